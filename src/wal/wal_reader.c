/*
 * Following the log: block by block along the chain of position, link and
 * incarnation, and record by record through the blocks' payloads.
 *
 * The reader itself never decides between a torn tail and corruption. It stops where
 * the chain stops; kdi_wal_reader_check_end then looks at everything behind that place
 * for a witness: a block or file header, intact and of this log, that was written when
 * the bytes at the end were durable already.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

#include <inttypes.h>

static kd_status place_corrupt(kd_ctx *ctx, const kdi_wal_reader *reader, const char *what)
{
    char path[KDI_PATH_BYTES];
    kdi_wal_file_path(reader->directory, reader->at.file_no, path);
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "log file \"%.300s\" is damaged at offset %" PRIu64 " (position %" PRIu64
                   "): %s",
                   path, reader->at.offset, reader->at.position, what);
}

/* Goes to the first block of a file whose header was found valid. */
static kd_status file_enter(kd_ctx *ctx, kdi_wal_reader *reader, const kdi_wal_file *file)
{
    kd_world *world = ctx->world;
    char path[KDI_PATH_BYTES];
    world->file_close(world, reader->file);
    reader->file = NULL;
    kdi_wal_file_path(reader->directory, file->file_no, path);
    KD_TRY(world->file_open(ctx, path, KD_FILE_READ | KD_FILE_DIRECT, &reader->file));
    reader->window_bytes = 0;
    reader->window_offset = 0;
    reader->at.file_no = file->file_no;
    reader->at.offset = KDI_WAL_HEADER_BYTES;
    reader->at.file_bytes = file->file_bytes;
    return KD_OK;
}

static kd_status first_file_find(kd_ctx *ctx, const kdi_wal_directory *directory,
                                 uint64_t from_position, const kdi_wal_file **out_file)
{
    *out_file = NULL;
    const kdi_wal_file *oldest = NULL;
    for (size_t i = 0; i < directory->file_count; i++) {
        const kdi_wal_file *file = &directory->files[i];
        if (!file->is_valid)
            continue;
        if (oldest == NULL || file->start_position < oldest->start_position)
            oldest = file;
        bool is_begin = from_position == 0 && file->link == 0;
        if ((file->start_position <= from_position || is_begin) &&
            (*out_file == NULL || file->file_no > (*out_file)->file_no))
            *out_file = file;
    }
    if (*out_file != NULL)
        return KD_OK;
    if (oldest == NULL)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "directory \"%s\" has no readable log file",
                       directory->path);
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "log position %" PRIu64
                   " is missing: the oldest file in \"%s\" begins at %" PRIu64,
                   from_position, directory->path, oldest->start_position);
}

static kd_status window_make(kd_ctx *ctx, kdi_wal_reader *reader, size_t size_bytes)
{
    reader->window_capacity = size_bytes;
    reader->window =
        kdi_aligned_alloc(ctx, reader->directory->account, size_bytes, &reader->window_memory);
    return reader->window == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_wal_reader_open(kd_ctx *ctx, kdi_wal_reader *reader, kdi_wal_directory *directory,
                              uint64_t from_position, kd_wal_visit *visit, void *object)
{
    *reader = (kdi_wal_reader){
        .directory = directory, .from_position = from_position, .visit = visit, .object = object};
    const kdi_wal_file *file;
    KD_TRY(first_file_find(ctx, directory, from_position, &file));
    KD_TRY(window_make(ctx, reader, KDI_WINDOW_BYTES));
    reader->at.position = file->start_position;
    reader->at.link = file->link;
    reader->at.incarnation = file->incarnation;
    return file_enter(ctx, reader, file);
}

kd_status kdi_wal_reader_open_at(kd_ctx *ctx, kdi_wal_reader *reader, kdi_wal_directory *directory,
                                 const kd_wal_place *at)
{
    *reader = (kdi_wal_reader){.directory = directory, .from_position = at->position};
    const kdi_wal_file *file = kdi_wal_directory_find(directory, at->file_no);
    if (file == NULL || !file->is_valid)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "log file %016" PRIx64 " is missing in \"%s\"",
                       at->file_no, directory->path);
    /* What is new since the last look is little, mostly. */
    KD_TRY(window_make(ctx, reader, KDI_BLOCK_BYTES_MAX));
    KD_TRY(file_enter(ctx, reader, file));
    reader->at = *at;
    reader->at.file_bytes = file->file_bytes;
    return KD_OK;
}

void kdi_wal_reader_close(kdi_wal_reader *reader)
{
    if (reader->directory == NULL)
        return;
    kd_world *world = reader->directory->world;
    world->file_close(world, reader->file);
    kd_heap_free(world, reader->directory->account, reader->window_memory);
    kd_heap_free(world, reader->directory->account, reader->pending);
    *reader = (kdi_wal_reader){0};
}

/* Makes the window hold them. */
kd_status kdi_wal_reader_bytes(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t offset,
                               size_t size_bytes, const char **out_bytes)
{
    *out_bytes = NULL;
    kd_assert(offset % KD_DIRECT_ALIGN_BYTES == 0);
    kd_assert(size_bytes <= KDI_BLOCK_BYTES_MAX);
    uint64_t window_end = reader->window_offset + reader->window_bytes;
    if (offset < reader->window_offset || offset + size_bytes > window_end) {
        reader->window_bytes = 0;
        KD_TRY(ctx->world->file_read(ctx, reader->file, offset, reader->window,
                                     reader->window_capacity, &reader->window_bytes));
        reader->window_offset = offset;
        if (size_bytes > reader->window_bytes)
            return KD_OK;
    }
    *out_bytes = reader->window + (offset - reader->window_offset);
    return KD_OK;
}

static bool block_continues(const kdi_wal_reader *reader, const kdi_block_header *header)
{
    const kd_wal_place *at = &reader->at;
    bool is_opening = (header->flags & KDI_BLOCK_OPENING) != 0;
    return kdi_block_header_is_intact(header) && header->log_id == reader->directory->log_id &&
           header->file_no == at->file_no && header->position == at->position &&
           header->link == at->link && header->durable_position <= at->position &&
           (header->incarnation == at->incarnation ||
            (is_opening && header->incarnation == at->incarnation + 1)) &&
           at->offset + kdi_block_bytes(header->payload_bytes) <= at->file_bytes;
}

/* The block at the reader's place, or NULL when none continues the chain there. */
static kd_status block_get(kd_ctx *ctx, kdi_wal_reader *reader, const kdi_block_header **out_block)
{
    *out_block = NULL;
    const char *bytes;
    KD_TRY(kdi_wal_reader_bytes(ctx, reader, reader->at.offset, KD_WAL_BLOCK_ALIGN_BYTES, &bytes));
    if (bytes == NULL || !block_continues(reader, (const kdi_block_header *)bytes))
        return KD_OK;
    size_t size_bytes = kdi_block_bytes(((const kdi_block_header *)bytes)->payload_bytes);
    KD_TRY(kdi_wal_reader_bytes(ctx, reader, reader->at.offset, size_bytes, &bytes));
    if (bytes != NULL && kdi_block_is_intact(bytes))
        *out_block = (const kdi_block_header *)bytes;
    return KD_OK;
}

/* Moves to the next file when this one is full and the next one continues it. */
static kd_status file_next(kd_ctx *ctx, kdi_wal_reader *reader, bool *out_moved)
{
    *out_moved = false;
    kdi_wal_file *next = kdi_wal_directory_find(reader->directory, reader->at.file_no + 1);
    if (next == NULL || !next->is_valid || next->start_position != reader->at.position ||
        next->link != reader->at.link || next->incarnation < reader->at.incarnation)
        return KD_OK;
    reader->at.incarnation = next->incarnation;
    *out_moved = true;
    return file_enter(ctx, reader, next);
}

/* The frame's payload length; the stored bytes are checked, never trusted. */
static kd_status frame_check(kd_ctx *ctx, const kdi_wal_reader *reader, const char *frame,
                             uint64_t position, uint32_t *out_payload_bytes)
{
    *out_payload_bytes = kd_load_u32(frame);
    if (*out_payload_bytes <= KD_WAL_PAYLOAD_BYTES_MAX && frame[4] != 0)
        return KD_OK;
    (void)place_corrupt(ctx, reader, "a record's frame is not valid");
    kd_error_set_detail(ctx, "The record is at position %" PRIu64 ".", position);
    return KD_CORRUPT;
}

static kd_status record_visit(kd_ctx *ctx, const kdi_wal_reader *reader, const char *frame,
                              uint32_t payload_bytes, uint64_t position)
{
    if (reader->visit == NULL)
        return KD_OK;
    kd_wal_record record = {
        .position = position,
        .end = position + KD_WAL_FRAME_BYTES + payload_bytes,
        .kind = (uint8_t)frame[4],
        .payload = {frame + KD_WAL_FRAME_BYTES, payload_bytes},
    };
    return reader->visit(ctx, reader->object, &record);
}

/* Adds up to `wanted_bytes` in all to the pending record, from the front of `bytes`. */
static kd_status pending_fill(kd_ctx *ctx, kdi_wal_reader *reader, kd_slice *bytes,
                              size_t wanted_bytes)
{
    size_t piece_bytes = wanted_bytes - reader->pending_bytes;
    if (piece_bytes > bytes->size_bytes)
        piece_bytes = bytes->size_bytes;
    if (reader->pending_bytes + piece_bytes > reader->pending_capacity) {
        size_t capacity = reader->pending_capacity * 2;
        if (capacity < reader->pending_bytes + piece_bytes)
            capacity = reader->pending_bytes + piece_bytes + 4096;
        char *grown = kd_heap_resize(ctx, reader->directory->account, reader->pending, capacity);
        if (grown == NULL)
            return KD_NOMEM;
        reader->pending = grown;
        reader->pending_capacity = capacity;
    }
    if (piece_bytes > 0)
        memcpy(reader->pending + reader->pending_bytes, bytes->data, piece_bytes);
    reader->pending_bytes += piece_bytes;
    bytes->data += piece_bytes;
    bytes->size_bytes -= piece_bytes;
    return KD_OK;
}

/* Continues a record that began in an earlier block. */
static kd_status pending_continue(kd_ctx *ctx, kdi_wal_reader *reader, kd_slice *bytes)
{
    if (reader->pending_bytes < KD_WAL_FRAME_BYTES)
        KD_TRY(pending_fill(ctx, reader, bytes, KD_WAL_FRAME_BYTES));
    if (reader->pending_bytes < KD_WAL_FRAME_BYTES)
        return KD_OK;
    uint32_t payload_bytes;
    KD_TRY(frame_check(ctx, reader, reader->pending, reader->pending_position, &payload_bytes));
    size_t record_bytes = KD_WAL_FRAME_BYTES + (size_t)payload_bytes;
    KD_TRY(pending_fill(ctx, reader, bytes, record_bytes));
    if (reader->pending_bytes < record_bytes)
        return KD_OK;
    reader->pending_bytes = 0;
    return record_visit(ctx, reader, reader->pending, payload_bytes, reader->pending_position);
}

/* Visits the records of a payload; whole ones in place, the last one may stay pending. */
static kd_status payload_take(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t position,
                              kd_slice bytes)
{
    uint64_t end = position + bytes.size_bytes;
    if (position < reader->from_position) {
        uint64_t skipped =
            reader->from_position < end ? reader->from_position - position : bytes.size_bytes;
        bytes.data += skipped;
        bytes.size_bytes -= skipped;
    }
    if (reader->pending_bytes > 0)
        KD_TRY(pending_continue(ctx, reader, &bytes));
    while (bytes.size_bytes > 0) {
        uint32_t payload_bytes = 0;
        uint64_t record_position = end - bytes.size_bytes;
        size_t record_bytes = SIZE_MAX;
        if (bytes.size_bytes >= KD_WAL_FRAME_BYTES) {
            KD_TRY(frame_check(ctx, reader, bytes.data, record_position, &payload_bytes));
            record_bytes = KD_WAL_FRAME_BYTES + (size_t)payload_bytes;
        }
        if (record_bytes > bytes.size_bytes) {
            reader->pending_position = record_position;
            return pending_fill(ctx, reader, &bytes, bytes.size_bytes);
        }
        KD_TRY(record_visit(ctx, reader, bytes.data, payload_bytes, record_position));
        bytes.data += record_bytes;
        bytes.size_bytes -= record_bytes;
    }
    return KD_OK;
}

void kdi_wal_reader_pass(kdi_wal_reader *reader, const kdi_block_header *block)
{
    reader->at.offset += kdi_block_bytes(block->payload_bytes);
    reader->at.position += block->payload_bytes;
    reader->at.link = block->checksum;
    reader->at.incarnation = block->incarnation;
}

static kd_status block_take(kd_ctx *ctx, kdi_wal_reader *reader, const kdi_block_header *block)
{
    if ((block->flags & KDI_BLOCK_OPENING) != 0)
        reader->pending_bytes = 0; /* Its writer died before the rest came. */
    kd_slice payload = {(const char *)block + KDI_BLOCK_HEADER_BYTES, block->payload_bytes};
    KD_TRY(payload_take(ctx, reader, block->position, payload));
    kdi_wal_reader_pass(reader, block);
    return KD_OK;
}

kd_status kdi_wal_reader_block(kd_ctx *ctx, kdi_wal_reader *reader,
                               const kdi_block_header **out_block)
{
    *out_block = NULL;
    while (reader->at.offset == reader->at.file_bytes) {
        bool moved;
        KD_TRY(file_next(ctx, reader, &moved));
        if (!moved)
            return KD_OK;
    }
    return block_get(ctx, reader, out_block);
}

kd_status kdi_wal_reader_run(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t end_position)
{
    while (reader->at.position < end_position) {
        const kdi_block_header *block;
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kdi_wal_reader_block(ctx, reader, &block));
        if (block == NULL)
            return KD_OK;
        KD_TRY(block_take(ctx, reader, block));
    }
    return KD_OK;
}

/* Looks at every place of the open file from `offset` on where a block can begin. */
static kd_status file_check_witness(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t offset)
{
    for (;; offset += KD_WAL_BLOCK_ALIGN_BYTES) {
        const char *bytes;
        KD_TRY(kdi_wal_reader_bytes(ctx, reader, offset, KD_WAL_BLOCK_ALIGN_BYTES, &bytes));
        if (bytes == NULL)
            return KD_OK;
        const kdi_block_header *header = (const kdi_block_header *)bytes;
        if (kdi_block_header_is_intact(header) && header->log_id == reader->directory->log_id &&
            header->file_no == reader->at.file_no &&
            header->incarnation >= reader->at.incarnation &&
            header->durable_position > reader->at.position)
            return place_corrupt(ctx, reader, "a later block proves that it had been written");
    }
}

/* The file after a full one may have lost its header but kept its blocks. */
static kd_status headless_check(kd_ctx *ctx, kdi_wal_reader *reader)
{
    const kdi_wal_file *next = kdi_wal_directory_find(reader->directory, reader->at.file_no + 1);
    if (next == NULL || next->is_valid)
        return KD_OK;
    kd_wal_place full = reader->at;
    KD_TRY(file_enter(ctx, reader, next));
    reader->at.offset = 0; /* The header is what is damaged, if anything is. */
    KD_TRY(file_check_witness(ctx, reader, KDI_WAL_HEADER_BYTES));
    reader->at = full;
    return KD_OK;
}

kd_status kdi_wal_reader_check_end(kd_ctx *ctx, kdi_wal_reader *reader)
{
    kdi_wal_directory *directory = reader->directory;
    if (reader->at.offset < reader->at.file_bytes)
        KD_TRY(file_check_witness(ctx, reader, reader->at.offset));
    else
        KD_TRY(headless_check(ctx, reader));
    for (size_t i = 0; i < directory->file_count; i++) {
        const kdi_wal_file *file = &directory->files[i];
        if (file->is_valid && file->file_no > reader->at.file_no &&
            file->incarnation >= reader->at.incarnation &&
            file->durable_position > reader->at.position)
            return place_corrupt(ctx, reader, "a later file proves that it had been written");
    }
    return KD_OK;
}
