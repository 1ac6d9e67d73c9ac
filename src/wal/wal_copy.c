/*
 * The log as it is stored: copying what is new of it, and shortening a log that nobody has open.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Copying --------------------------------------------------------------------------------- */

/* The header of the file whose first block the reader is at. */
static kd_status header_copy(kd_ctx *ctx, kdi_wal_reader *reader, kd_wal_place *at,
                             kd_wal_copy_visit *visit, void *object)
{
    const char *bytes;
    kd_wal_place from = reader->at, to = reader->at;
    from.offset = 0;
    KD_TRY(kdi_wal_reader_bytes(ctx, reader, 0, KDI_WAL_HEADER_BYTES, &bytes));
    if (bytes == NULL || !kdi_file_header_is_intact(bytes))
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "log file %016" PRIx64 " has lost its header",
                       to.file_no);
    *at = to;
    return visit(ctx, object, &from, &to, (kd_slice){bytes, KDI_WAL_HEADER_BYTES});
}

static kd_status blocks_copy(kd_ctx *ctx, kdi_wal_reader *reader, kd_wal_place *at,
                             uint64_t end_position, kd_wal_copy_visit *visit, void *object)
{
    while (reader->at.position < end_position) {
        const kdi_block_header *block;
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kdi_wal_reader_block(ctx, reader, &block));
        if (block == NULL)
            return KD_FAIL(ctx, KD_INVALID, "55000",
                           "the log does not go on from position %" PRIu64
                           ": it is that of another history of the database, or damaged",
                           reader->at.position);
        if (reader->at.file_no != at->file_no) {
            KD_TRY(header_copy(ctx, reader, at, visit, object));
            KD_TRY(kdi_wal_reader_block(ctx, reader, &block)); /* The header took its place. */
            kd_assert(block != NULL);
        }
        kd_wal_place from = reader->at;
        kd_slice bytes = {(const char *)block, kdi_block_bytes(block->payload_bytes)};
        kdi_wal_reader_pass(reader, block);
        *at = reader->at;
        KD_TRY(visit(ctx, object, &from, at, bytes));
    }
    return KD_OK;
}

kd_status kd_wal_copy(kd_ctx *ctx, kd_wal *wal, kd_wal_place *at, uint64_t end_position,
                      kd_wal_copy_visit *visit, void *object)
{
    kd_status status = KD_OK;
    int slot;
    kdi_wal_reader reader = {0};
    kdi_wal_directory files;
    KD_TRY_OUT(kdi_wal_reading_begin(ctx, wal, at->position, &files, &slot));
    KD_TRY_OUT(kdi_wal_reader_open_at(ctx, &reader, &files, at));
    KD_TRY_OUT(blocks_copy(ctx, &reader, at, end_position, visit, object));
out:
    kdi_wal_reader_close(&reader);
    kdi_wal_reading_end(wal, slot, &files);
    return status;
}

/* --- Shortening ------------------------------------------------------------------------------ */

/* Writes the first part of the block anew, up to `position`; what follows in the file goes. */
static kd_status block_shorten(kd_ctx *ctx, const kdi_wal_reader *reader,
                               const kdi_block_header *block, uint64_t position)
{
    kd_status status = KD_OK;
    kd_file *file = NULL;
    void *memory = NULL;
    char path[KDI_PATH_BYTES];
    uint32_t payload_bytes = (uint32_t)(position - block->position);
    size_t size_bytes = payload_bytes == 0 ? 0 : kdi_block_bytes(payload_bytes);
    kd_account *account = reader->directory->account;
    kdi_wal_file_path(reader->directory, reader->at.file_no, path);
    KD_TRY_OUT(ctx->world->file_open(ctx, path, KD_FILE_WRITE, &file));
    KD_TRY_OUT(ctx->world->file_resize(ctx, file, reader->at.offset));
    if (payload_bytes > 0) {
        char *bytes = kdi_aligned_alloc(ctx, account, size_bytes, &memory);
        if (bytes == NULL) {
            status = KD_NOMEM;
            goto out;
        }
        memset(bytes, 0, size_bytes);
        memcpy(bytes, block, KDI_BLOCK_HEADER_BYTES + payload_bytes);
        ((kdi_block_header *)bytes)->payload_bytes = payload_bytes;
        kdi_block_seal(bytes);
        KD_TRY_OUT(ctx->world->file_write(ctx, file, reader->at.offset, bytes, size_bytes));
    }
    KD_TRY_OUT(ctx->world->file_sync(ctx, file));
out:
    ctx->world->file_close(ctx->world, file);
    kd_heap_free(ctx->world, account, memory);
    return status;
}

static kd_status later_files_remove(kd_ctx *ctx, const kdi_wal_directory *directory,
                                    uint64_t file_no)
{
    for (size_t i = 0; i < directory->file_count; i++) {
        char path[KDI_PATH_BYTES];
        kdi_wal_file_path(directory, directory->files[i].file_no, path);
        if (directory->files[i].file_no > file_no)
            KD_TRY(ctx->world->path_remove(ctx, path));
    }
    return ctx->world->directory_sync(ctx, directory->path);
}

static kd_status log_shorten(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t position)
{
    for (;;) {
        const kdi_block_header *block;
        KD_TRY(kdi_wal_reader_block(ctx, reader, &block));
        if (block == NULL && reader->at.position == position)
            return KD_OK;
        if (block == NULL)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                           "the log in \"%s\" ends at position %" PRIu64 ", before %" PRIu64,
                           reader->directory->path, reader->at.position, position);
        if (block->position + block->payload_bytes > position) {
            KD_TRY(later_files_remove(ctx, reader->directory, reader->at.file_no));
            return block_shorten(ctx, reader, block, position);
        }
        kdi_wal_reader_pass(reader, block);
    }
}

kd_status kd_wal_cut(kd_ctx *ctx, kd_account *account, const char *directory, uint64_t log_id,
                     uint64_t from_position, uint64_t position)
{
    kd_status status = KD_OK;
    kdi_wal_reader reader = {0};
    kdi_wal_directory files = {
        .world = ctx->world, .account = account, .path = directory, .log_id = log_id};
    KD_TRY_OUT(kdi_wal_directory_load(ctx, &files));
    KD_TRY_OUT(kdi_wal_reader_open(ctx, &reader, &files, from_position, NULL, NULL));
    KD_TRY_OUT(log_shorten(ctx, &reader, position));
out:
    kdi_wal_reader_close(&reader);
    kdi_wal_directory_clear(&files);
    return status;
}
