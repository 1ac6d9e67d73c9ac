/*
 * Putting groups on the disk: files written with zeros ahead, blocks, the step to the next
 * file.
 *
 * Whoever reserves a place in the log sees to it that there is room for its blocks first
 * (wal_append.c), so a disk that is full is met before anything has its place, and only a
 * broken one afterwards.
 *
 * One thread at a time is the writer, and it has one write under way at a time. So when
 * a block is written, everything before it is durable already, and says so in its
 * header: that is what tells a damaged block from a torn tail later.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

kd_status kdi_wal_writer_sync(kd_ctx *ctx, kd_wal *wal)
{
    KD_TRY(ctx->world->file_sync(ctx, wal->file));
    wal->synced_position = wal->at.position;
    return KD_OK;
}

/* --- Room: files that are written with zeros, ahead of the blocks ------------------------------
 */

/* Of the file that is prepared last. */
static uint64_t ahead_file_bytes(const kd_wal *wal)
{
    return wal->ahead_no == wal->at.file_no ? wal->at.file_bytes : wal->options.file_bytes;
}

uint64_t kdi_wal_writer_room(const kd_wal *wal)
{
    if (wal->ahead_no == wal->at.file_no)
        return wal->prepared_bytes > wal->at.offset ? wal->prepared_bytes - wal->at.offset : 0;
    uint64_t whole_count = wal->ahead_no - wal->at.file_no - 1;
    uint64_t room_bytes = wal->at.file_bytes - wal->at.offset;
    room_bytes += whole_count * (wal->options.file_bytes - KDI_WAL_HEADER_BYTES);
    if (wal->prepared_bytes > KDI_WAL_HEADER_BYTES)
        room_bytes += wal->prepared_bytes - KDI_WAL_HEADER_BYTES;
    return room_bytes;
}

/* A full disk, or no memory. Everywhere but in a sync it leaves nothing behind that a later try
 * could take for done. */
static bool is_passing(const kd_ctx *ctx, kd_status status)
{
    return status == KD_NOMEM || (status == KD_IO && strcmp(ctx->error.sqlstate, "53100") == 0);
}

/* Zeros are written ahead through a descriptor without O_DSYNC and synced once: a later write
 * into them changes no metadata, which makes it several times faster. */
static kd_status zeros_write(kd_ctx *ctx, kd_wal *wal, uint64_t end, bool *out_passes)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    kd_file *file = NULL;
    bool is_syncing = false;
    char path[KDI_PATH_BYTES];
    kdi_wal_file_path(&wal->directory, wal->ahead_no, path);
    KD_TRY_OUT(world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_DIRECT, &file));
    for (uint64_t offset = wal->prepared_bytes; offset < end; offset += KDI_ZEROS_BYTES) {
        uint64_t piece_bytes = end - offset < KDI_ZEROS_BYTES ? end - offset : KDI_ZEROS_BYTES;
        KD_TRY_OUT(world->file_write(ctx, file, offset, wal->zeros, piece_bytes));
    }
    is_syncing = true;
    if (!wal->options.no_sync)
        KD_TRY_OUT(world->file_sync(ctx, file));
    wal->prepared_bytes = end;
out:
    *out_passes = !is_syncing && is_passing(ctx, status);
    world->file_close(world, file);
    return status;
}

/* Makes a spare the file of this number, if there is one. */
static kd_status spare_take(kd_ctx *ctx, kd_wal *wal, uint64_t file_no)
{
    kdi_wal_directory *directory = &wal->directory;
    kd_mutex_lock(&wal->lock);
    bool is_there = directory->spare_count > 0;
    uint64_t spare_no = is_there ? directory->spares[--directory->spare_count] : 0;
    kd_mutex_unlock(&wal->lock);
    kd_status status = KD_OK;
    if (is_there) {
        char from[KDI_PATH_BYTES], to[KDI_PATH_BYTES];
        kdi_wal_spare_path(directory, spare_no, from);
        kdi_wal_file_path(directory, file_no, to);
        status = ctx->world->path_rename(ctx, from, to);
    }
    kd_mutex_lock(&wal->lock);
    if (status == KD_OK) {
        wal->statistics.files_recycled += is_there;
        wal->statistics.files_created += !is_there;
    } else {
        /* Out of memory: the next opening finds it again. */
        (void)!kdi_wal_directory_add_spare(ctx, directory, spare_no);
    }
    kd_mutex_unlock(&wal->lock);
    return status;
}

/* One more file that is prepared: of the next number. Its name is durable when this returns. */
static kd_status ahead_begin(kd_ctx *ctx, kd_wal *wal, bool *out_passes)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    kd_file *file = NULL;
    bool is_syncing = false;
    uint64_t size_bytes;
    char path[KDI_PATH_BYTES];
    uint64_t file_no = wal->ahead_no + 1;
    kdi_wal_file_path(&wal->directory, file_no, path);
    KD_TRY_OUT(spare_take(ctx, wal, file_no));
    KD_TRY_OUT(world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    KD_TRY_OUT(world->file_size(ctx, file, &size_bytes));
    is_syncing = true;
    KD_TRY_OUT(world->directory_sync(ctx, wal->directory.path));
    if (size_bytes > wal->options.file_bytes)
        size_bytes = wal->options.file_bytes;
    wal->ahead_no = file_no;
    wal->prepared_bytes = size_bytes & ~(uint64_t)(KD_WAL_BLOCK_ALIGN_BYTES - 1);
out:
    *out_passes = !is_syncing && is_passing(ctx, status);
    world->file_close(world, file);
    return status;
}

/* Steps double, so that small databases stay small. */
kd_status kdi_wal_writer_extend(kd_ctx *ctx, kd_wal *wal, bool *out_passes)
{
    uint64_t file_bytes = ahead_file_bytes(wal);
    if (wal->prepared_bytes == file_bytes)
        return ahead_begin(ctx, wal, out_passes);
    uint64_t step_bytes = wal->prepared_bytes;
    if (step_bytes < KDI_ZEROS_BYTES)
        step_bytes = KDI_ZEROS_BYTES;
    if (step_bytes > KDI_PREWRITE_BYTES_MAX)
        step_bytes = KDI_PREWRITE_BYTES_MAX;
    if (step_bytes > file_bytes - wal->prepared_bytes)
        step_bytes = file_bytes - wal->prepared_bytes;
    return zeros_write(ctx, wal, wal->prepared_bytes + step_bytes, out_passes);
}

/* For the blocks that nobody reserved: the opening and the closing one. */
static kd_status empty_block_prepare(kd_ctx *ctx, kd_wal *wal)
{
    while (kdi_wal_writer_room(wal) < KD_WAL_BLOCK_ALIGN_BYTES) {
        bool passes;
        KD_TRY(kdi_wal_writer_extend(ctx, wal, &passes));
    }
    return KD_OK;
}

/* --- Files and blocks ------------------------------------------------------------------------- */

static kd_status file_open(kd_ctx *ctx, kd_wal *wal, uint64_t file_no)
{
    kd_world *world = ctx->world;
    char path[KDI_PATH_BYTES];
    kdi_wal_file_path(&wal->directory, file_no, path);
    unsigned flags = KD_FILE_WRITE | KD_FILE_DIRECT;
    if (!wal->options.no_sync)
        flags |= KD_FILE_DSYNC;
    world->file_close(world, wal->file);
    wal->file = NULL;
    return world->file_open(ctx, path, flags, &wal->file);
}

static kd_status header_write(kd_ctx *ctx, kd_wal *wal)
{
    memset(wal->block, 0, KDI_WAL_HEADER_BYTES);
    kdi_file_header *header = (kdi_file_header *)wal->block;
    header->log_id = wal->options.log_id;
    header->file_no = wal->at.file_no;
    header->file_bytes = wal->at.file_bytes;
    header->start_position = wal->at.position;
    header->durable_position = wal->synced_position;
    header->incarnation = wal->at.incarnation;
    header->link = wal->at.link;
    kdi_file_header_seal(header);
    return ctx->world->file_write(ctx, wal->file, 0, header, KDI_WAL_HEADER_BYTES);
}

/*
 * Goes on in a file of the next number. Its name is durable before its header, and its header
 * before any block, so a block that counts is always found again. With no_sync the full file is
 * synced now, once, so that a power cut leaves the log without gaps between its files.
 */
static kd_status file_begin(kd_ctx *ctx, kd_wal *wal, uint64_t file_no)
{
    if (wal->options.no_sync && wal->file != NULL)
        KD_TRY(kdi_wal_writer_sync(ctx, wal));
    kd_assert(file_no < wal->ahead_no || wal->prepared_bytes > KDI_WAL_HEADER_BYTES);
    KD_TRY(file_open(ctx, wal, file_no));
    wal->at.file_no = file_no;
    wal->at.file_bytes = wal->options.file_bytes;
    KD_TRY(header_write(ctx, wal));
    if (wal->options.no_sync)
        KD_TRY(
            ctx->world->file_sync(ctx, wal->file)); /* The file before may be recycled from now. */
    wal->at.offset = KDI_WAL_HEADER_BYTES;
    kdi_wal_file file = {
        .file_no = file_no,
        .start_position = wal->at.position,
        .durable_position = wal->synced_position,
        .file_bytes = wal->at.file_bytes,
        .incarnation = wal->at.incarnation,
        .link = wal->at.link,
        .is_valid = true,
    };
    kd_mutex_lock(&wal->lock);
    kd_status status = kdi_wal_directory_add(ctx, &wal->directory, &file);
    wal->statistics.written_bytes += KDI_WAL_HEADER_BYTES;
    kd_mutex_unlock(&wal->lock);
    return status;
}

/* From the ring, in at most two pieces. */
static void buffer_copy(const kd_wal *wal, uint64_t position, char *target, size_t size_bytes)
{
    size_t from = position & (wal->buffer_bytes - 1);
    size_t first_bytes = wal->buffer_bytes - from;
    if (first_bytes > size_bytes)
        first_bytes = size_bytes;
    memcpy(target, wal->buffer + from, first_bytes);
    if (size_bytes > first_bytes)
        memcpy(target + first_bytes, wal->buffer, size_bytes - first_bytes);
}

/* One block at the writer's place, with the ring's next `payload_bytes`. It fits the file, which is
 * prepared that far. */
static kd_status block_write(kd_ctx *ctx, kd_wal *wal, size_t payload_bytes, uint32_t flags)
{
    size_t block_bytes = kdi_block_bytes(payload_bytes);
    kd_assert(block_bytes <= KDI_BLOCK_BYTES_MAX);
    kd_assert(wal->at.offset + block_bytes <= wal->at.file_bytes);
    kd_assert(wal->at.file_no < wal->ahead_no ||
              wal->at.offset + block_bytes <= wal->prepared_bytes);
    kdi_block_header *header = (kdi_block_header *)wal->block;
    *header = (kdi_block_header){
        .log_id = wal->options.log_id,
        .file_no = wal->at.file_no,
        .position = wal->at.position,
        .durable_position = wal->synced_position,
        .payload_bytes = (uint32_t)payload_bytes,
        .link = wal->at.link,
        .incarnation = wal->at.incarnation,
        .flags = flags,
    };
    size_t used_bytes = KDI_BLOCK_HEADER_BYTES + payload_bytes;
    if (payload_bytes > 0)
        buffer_copy(wal, wal->at.position, wal->block + KDI_BLOCK_HEADER_BYTES, payload_bytes);
    memset(wal->block + used_bytes, 0, block_bytes - used_bytes);
    kdi_block_seal(header);
    KD_TRY(ctx->world->file_write(ctx, wal->file, wal->at.offset, header, block_bytes));
    wal->at.offset += block_bytes;
    wal->at.position += payload_bytes;
    wal->at.link = header->checksum;
    if (!wal->options.no_sync)
        wal->synced_position = wal->at.position;
    return KD_OK;
}

kd_status kdi_wal_writer_write(kd_ctx *ctx, kd_wal *wal, uint64_t end)
{
    while (wal->at.position < end) {
        if (wal->at.offset == wal->at.file_bytes)
            KD_TRY(file_begin(ctx, wal, wal->at.file_no + 1));
        uint64_t room_bytes = wal->at.file_bytes - wal->at.offset;
        if (room_bytes > KDI_BLOCK_BYTES_MAX)
            room_bytes = KDI_BLOCK_BYTES_MAX;
        size_t payload_bytes = room_bytes - KDI_BLOCK_HEADER_BYTES;
        if (payload_bytes > end - wal->at.position)
            payload_bytes = end - wal->at.position;
        KD_TRY(block_write(ctx, wal, payload_bytes, 0));
    }
    return KD_OK;
}

static kd_status opening_write(kd_ctx *ctx, kd_wal *wal)
{
    KD_TRY(empty_block_prepare(ctx, wal));
    if (wal->at.offset == wal->at.file_bytes)
        KD_TRY(file_begin(ctx, wal, wal->at.file_no + 1));
    KD_TRY(block_write(ctx, wal, 0, KDI_BLOCK_OPENING));
    return wal->options.no_sync ? kdi_wal_writer_sync(ctx, wal) : KD_OK;
}

kd_status kdi_wal_writer_create(kd_ctx *ctx, kd_wal *wal, uint64_t position)
{
    wal->at = (kd_wal_place){.position = position, .incarnation = 1};
    wal->synced_position = position;
    return opening_write(ctx, wal);
}

/*
 * The opening block goes alone, before anything else, and is durable with no_sync too: whoever
 * follows the log later sees the new incarnation there, and takes no block of an older one behind
 * it for live. Were it lost, the next opening would be the same incarnation again, and continued by
 * blocks that this one leaves.
 */
kd_status kdi_wal_writer_start(kd_ctx *ctx, kd_wal *wal, const kd_wal_place *end)
{
    wal->at = *end;
    KD_TRY(file_open(ctx, wal, end->file_no));
    uint64_t size_bytes;
    KD_TRY(ctx->world->file_size(ctx, wal->file, &size_bytes));
    if (size_bytes > wal->at.file_bytes)
        size_bytes = wal->at.file_bytes;
    wal->ahead_no = end->file_no;
    wal->prepared_bytes = size_bytes & ~(uint64_t)(KD_WAL_BLOCK_ALIGN_BYTES - 1);
    wal->synced_position = end->position;
    wal->at.incarnation++;
    return opening_write(ctx, wal);
}

kd_status kdi_wal_writer_finish(kd_ctx *ctx, kd_wal *wal)
{
    if (wal->options.no_sync)
        KD_TRY(kdi_wal_writer_sync(ctx, wal));
    if (wal->at.offset == wal->at.file_bytes)
        return KD_OK; /* The next file's header will say that all of this one was written. */
    KD_TRY(empty_block_prepare(ctx, wal));
    return block_write(ctx, wal, 0, KDI_BLOCK_CLOSING);
}
