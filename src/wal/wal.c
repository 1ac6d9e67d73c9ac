/*
 * Opening (which is recovery), closing, replaying, statistics.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"

#include <inttypes.h>

enum {
    FILE_BYTES_USUAL = 64 << 20,
    FILE_BYTES_MIN = 64 << 10,
    BUFFER_BYTES_USUAL = 16 << 20,
    BUFFER_BYTES_MIN = 1 << 20,
    SPARE_FILES_USUAL = 4,
};

char *kdi_aligned_alloc(kd_ctx *ctx, kd_account *account, size_t size_bytes, void **out_memory)
{
    char *memory = kd_heap_alloc_raw(ctx, account, size_bytes + KD_DIRECT_ALIGN_BYTES);
    *out_memory = memory;
    if (memory == NULL)
        return NULL;
    size_t over_bytes = (uintptr_t)memory % KD_DIRECT_ALIGN_BYTES;
    return over_bytes == 0 ? memory : memory + (KD_DIRECT_ALIGN_BYTES - over_bytes);
}

static void options_complete(kd_wal_options *options)
{
    if (options->file_bytes == 0)
        options->file_bytes = FILE_BYTES_USUAL;
    if (options->buffer_bytes == 0)
        options->buffer_bytes = BUFFER_BYTES_USUAL;
    if (options->spare_files_max == 0)
        options->spare_files_max = SPARE_FILES_USUAL;
    kd_assert(options->file_bytes % KD_WAL_BLOCK_ALIGN_BYTES == 0);
    kd_assert(options->file_bytes >= FILE_BYTES_MIN);
    kd_assert((options->buffer_bytes & (options->buffer_bytes - 1)) == 0);
    kd_assert(options->buffer_bytes >= BUFFER_BYTES_MIN);
}

static void wal_init(kd_wal *wal, kd_ctx *ctx, kd_account *account, const kd_wal_options *options)
{
    wal->world = ctx->world;
    wal->account = account;
    wal->options = *options;
    options_complete(&wal->options);
    wal->is_memory = options->directory == NULL;
    wal->buffer_bytes = wal->options.buffer_bytes;
    wal->directory.world = ctx->world;
    wal->directory.account = account;
    wal->directory.log_id = options->log_id;
    for (int i = 0; i < KDI_SLOT_COUNT_MAX; i++)
        wal->reading_positions[i] = UINT64_MAX;
    atomic_init(&wal->durable_position, 0);
    kd_mutex_init(&wal->lock, ctx->world);
    kd_cond_init(&wal->group_done[0], ctx->world);
    kd_cond_init(&wal->group_done[1], ctx->world);
    kd_cond_init(&wal->space, ctx->world);
}

static kd_status memory_get(kd_ctx *ctx, kd_wal *wal)
{
    size_t path_bytes = strlen(wal->options.directory) + 1;
    if (path_bytes > KDI_PATH_BYTES - 64)
        return KD_FAIL(ctx, KD_INVALID, "42602", "the name of the log's directory is too long");
    char *path = kd_heap_alloc_raw(ctx, wal->account, path_bytes);
    if (path == NULL)
        return KD_NOMEM;
    memcpy(path, wal->options.directory, path_bytes);
    wal->options.directory = path;
    wal->directory.path = path;
    if (wal->options.read_only)
        return KD_OK;
    wal->buffer = kd_heap_alloc_raw(ctx, wal->account, wal->buffer_bytes);
    if (wal->buffer == NULL)
        return KD_NOMEM;
    wal->block = kdi_aligned_alloc(ctx, wal->account, KDI_BLOCK_BYTES_MAX + KDI_ZEROS_BYTES,
                                   &wal->block_memory);
    if (wal->block == NULL)
        return KD_NOMEM;
    wal->zeros = wal->block + KDI_BLOCK_BYTES_MAX;
    memset(wal->zeros, 0, KDI_ZEROS_BYTES);
    return KD_OK;
}

void kd_wal_abandon(kd_world *world, kd_wal *wal)
{
    if (wal == NULL)
        return;
    world->file_close(world, wal->file);
    kdi_wal_directory_clear(&wal->directory);
    kd_heap_free(world, wal->account, wal->buffer);
    kd_heap_free(world, wal->account, wal->block_memory);
    union {
        const char *stored;
        void *freed;
    } path = {.stored = wal->directory.path};
    kd_heap_free(world, wal->account, path.freed);
    kd_cond_clear(&wal->space);
    kd_cond_clear(&wal->group_done[1]);
    kd_cond_clear(&wal->group_done[0]);
    kd_mutex_clear(&wal->lock);
    kd_heap_free(world, wal->account, wal);
}

/*
 * Makes spares of the files that are not part of the log: those behind its end, and those
 * before a gap, which an older truncation left. `keep_to` 0 keeps none.
 */
static kd_status leftovers_recycle(kd_ctx *ctx, kd_wal *wal, uint64_t keep_to)
{
    kdi_wal_directory *directory = &wal->directory;
    uint64_t keep_from = keep_to;
    for (kdi_wal_file *file = kdi_wal_directory_find(directory, keep_from);
         file != NULL && file->is_valid; file = kdi_wal_directory_find(directory, keep_from - 1))
        keep_from = file->file_no;
    size_t kept = 0;
    for (size_t i = 0; i < directory->file_count; i++) {
        kdi_wal_file file = directory->files[i];
        if (file.file_no >= keep_from && file.file_no <= keep_to) {
            directory->files[kept++] = file;
            continue;
        }
        char from[KDI_PATH_BYTES], to[KDI_PATH_BYTES];
        kdi_wal_file_path(directory, file.file_no, from);
        kdi_wal_spare_path(directory, directory->next_spare_no, to);
        KD_TRY(ctx->world->path_rename(ctx, from, to));
        KD_TRY(kdi_wal_directory_add_spare(ctx, directory, directory->next_spare_no));
    }
    directory->file_count = kept;
    return KD_OK;
}

static kd_status end_check(kd_ctx *ctx, const kd_wal *wal, kdi_wal_reader *reader)
{
    KD_TRY(kdi_wal_reader_check_end(ctx, reader));
    uint64_t needed = wal->options.start_position;
    if (needed < wal->options.known_durable_position)
        needed = wal->options.known_durable_position;
    if (reader->at.position >= needed)
        return KD_OK;
    char path[KDI_PATH_BYTES];
    kdi_wal_file_path(&wal->directory, reader->at.file_no, path);
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "log file \"%.300s\" is damaged at offset %" PRIu64
                   ": the log ends at position %" PRIu64 " but was durable up to %" PRIu64,
                   path, reader->at.offset, reader->at.position, needed);
}

/*
 * What was just read need not be on the disk: the last owner may have died between a write and
 * its completion, or have run with no_sync. The opening block is about to call it durable.
 */
static kd_status recovered_sync(kd_ctx *ctx, kd_wal *wal)
{
    kd_status status = KD_OK;
    kd_world *world = ctx->world;
    kdi_wal_directory *directory = &wal->directory;
    for (size_t i = directory->file_count; i-- > 0;) {
        kd_file *file = NULL;
        char path[KDI_PATH_BYTES];
        kdi_wal_file_path(directory, directory->files[i].file_no, path);
        KD_TRY(world->file_open(ctx, path, KD_FILE_WRITE, &file));
        status = world->file_sync(ctx, file);
        world->file_close(world, file);
        KD_TRY(status);
        if (directory->files[i].start_position <= wal->options.start_position)
            break; /* Older ones were durable when the checkpoint was noted. */
    }
    return world->directory_sync(ctx, directory->path);
}

static kd_status log_recover(kd_ctx *ctx, kd_wal *wal, kd_wal_visit *visit, void *object)
{
    kd_status status = KD_OK;
    kdi_wal_reader reader = {0};
    KD_TRY_OUT(kdi_wal_reader_open(ctx, &reader, &wal->directory, wal->options.start_position,
                                   visit, object));
    KD_TRY_OUT(kdi_wal_reader_run(ctx, &reader, UINT64_MAX));
    KD_TRY_OUT(end_check(ctx, wal, &reader));
    wal->next_position = reader.at.position;
    if (wal->options.read_only)
        goto out;
    KD_TRY_OUT(leftovers_recycle(ctx, wal, reader.at.file_no));
    KD_TRY_OUT(recovered_sync(ctx, wal));
    KD_TRY_OUT(kdi_wal_writer_start(ctx, wal, &reader.at));
out:
    kdi_wal_reader_close(&reader);
    return status;
}

/* The log's own directory has a name too, which must not be lost. */
static kd_status parent_sync(kd_ctx *ctx, const char *path)
{
    char parent[KDI_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = '\0';
    if (length == 0)
        return ctx->world->directory_sync(ctx, slash == NULL ? "." : "/");
    return ctx->world->directory_sync(ctx, parent);
}

static kd_status log_create(kd_ctx *ctx, kd_wal *wal)
{
    uint64_t position = wal->options.start_position;
    if (position < KD_WAL_POSITION_FIRST)
        position = KD_WAL_POSITION_FIRST;
    KD_TRY(parent_sync(ctx, wal->directory.path));
    KD_TRY(leftovers_recycle(ctx, wal, 0));
    wal->next_position = position;
    return kdi_wal_writer_create(ctx, wal, position);
}

static kd_status directory_open(kd_ctx *ctx, kd_wal *wal, kd_wal_visit *visit, void *object)
{
    KD_TRY(memory_get(ctx, wal));
    bool may_create = wal->options.create && !wal->options.read_only;
    if (may_create)
        KD_TRY(ctx->world->directory_create(ctx, wal->directory.path));
    KD_TRY(kdi_wal_directory_load(ctx, &wal->directory));
    bool has_log = false;
    for (size_t i = 0; i < wal->directory.file_count; i++)
        has_log = has_log || wal->directory.files[i].is_valid;
    if (may_create && !has_log)
        return log_create(ctx, wal);
    return log_recover(ctx, wal, visit, object);
}

kd_status kd_wal_open(kd_ctx *ctx, kd_account *account, const kd_wal_options *options,
                      kd_wal_visit *visit, void *object, kd_wal **out_wal)
{
    *out_wal = NULL;
    kd_wal *wal = KD_HEAP_NEW(ctx, account, kd_wal);
    if (wal == NULL)
        return KD_NOMEM;
    wal_init(wal, ctx, account, options);
    kd_status status = KD_OK;
    if (wal->is_memory)
        wal->next_position = options->start_position > KD_WAL_POSITION_FIRST
                                 ? options->start_position
                                 : KD_WAL_POSITION_FIRST;
    else
        status = directory_open(ctx, wal, visit, object);
    if (status != KD_OK) {
        kd_wal_abandon(ctx->world, wal);
        return status;
    }
    wal->written_position = wal->next_position;
    wal->room_bytes = kdi_wal_writer_room(wal);
    atomic_store(&wal->durable_position, wal->next_position);
    if (wal->directory.file_count > 0)
        wal->truncated_position = wal->directory.files[0].start_position;
    *out_wal = wal;
    return KD_OK;
}

kd_status kd_wal_close(kd_ctx *ctx, kd_wal *wal)
{
    if (wal == NULL)
        return KD_OK;
    kd_status status = KD_OK;
    if (!wal->is_memory && !wal->options.read_only) {
        kd_assert(wal->first_open == NULL);
        status = kd_wal_flush(ctx, wal);
        if (status == KD_OK && wal->has_failed)
            status = KD_FAIL(ctx, KD_IO, "58030", "the log has failed: %s", wal->error.message);
        if (status == KD_OK)
            status = kdi_wal_writer_finish(ctx, wal);
    }
    kd_wal_abandon(ctx->world, wal);
    return status;
}

/* Registers the position, so that no truncation takes files away below the replay. */
kd_status kdi_wal_reading_begin(kd_ctx *ctx, kd_wal *wal, uint64_t from_position,
                                kdi_wal_directory *out_files, int *out_slot)
{
    kd_status status = KD_OK;
    *out_slot = -1;
    *out_files = (kdi_wal_directory){.world = wal->world,
                                     .account = wal->account,
                                     .path = wal->directory.path,
                                     .log_id = wal->options.log_id};
    if (wal->is_memory)
        return KD_FAIL(ctx, KD_INVALID, "58P01", "a database in memory keeps no log");
    kd_mutex_lock(&wal->lock);
    if (from_position == 0 ? wal->directory.files[0].link != 0
                           : from_position < wal->truncated_position) {
        status = KD_FAIL(ctx, KD_INVALID, "58P01",
                         "log position %" PRIu64 " is no longer kept; the oldest is %" PRIu64,
                         from_position, wal->truncated_position);
        goto out;
    }
    for (size_t i = 0; i < wal->directory.file_count; i++)
        KD_TRY_OUT(kdi_wal_directory_add(ctx, out_files, &wal->directory.files[i]));
    for (int i = 0; i < KDI_SLOT_COUNT_MAX && *out_slot < 0; i++)
        if (wal->reading_positions[i] == UINT64_MAX)
            *out_slot = i;
    if (*out_slot < 0) {
        status =
            KD_FAIL(ctx, KD_LIMIT, "53000", "too many readers of the log (%d)", KDI_SLOT_COUNT_MAX);
        goto out;
    }
    wal->reading_positions[*out_slot] = from_position;
out:
    kd_mutex_unlock(&wal->lock);
    return status;
}

void kdi_wal_reading_end(kd_wal *wal, int slot, kdi_wal_directory *files)
{
    kdi_wal_directory_clear(files);
    if (slot < 0)
        return;
    kd_mutex_lock(&wal->lock);
    wal->reading_positions[slot] = UINT64_MAX;
    kd_mutex_unlock(&wal->lock);
}

static kd_status file_size_find(kd_ctx *ctx, kd_wal *wal, uint64_t file_no, uint64_t *out_bytes)
{
    kd_mutex_lock(&wal->lock);
    const kdi_wal_file *file = kdi_wal_directory_find(&wal->directory, file_no);
    *out_bytes = file == NULL ? 0 : file->file_bytes;
    kd_mutex_unlock(&wal->lock);
    return file != NULL ? KD_OK
                        : KD_FAIL(ctx, KD_INVALID, "58P01",
                                  "log file %" PRIx64 " is no longer kept", file_no);
}

/* Follows the log from `from_position` to `end_position`, which was durable before the call;
 * `out_first_no` and `out_end`: the file where it begins, the place where it ends. */
static kd_status log_follow(kd_ctx *ctx, kd_wal *wal, uint64_t from_position, uint64_t end_position,
                            kd_wal_visit *visit, void *object, uint64_t *out_first_no,
                            kd_wal_place *out_end)
{
    kd_status status = KD_OK;
    int slot;
    kdi_wal_reader reader = {0};
    kdi_wal_directory snapshot;
    KD_TRY_OUT(kdi_wal_reading_begin(ctx, wal, from_position, &snapshot, &slot));
    KD_TRY_OUT(kdi_wal_reader_open(ctx, &reader, &snapshot, from_position, visit, object));
    *out_first_no = reader.at.file_no;
    KD_TRY_OUT(kdi_wal_reader_run(ctx, &reader, end_position));
    *out_end = reader.at;
    if (reader.at.position < end_position) {
        char path[KDI_PATH_BYTES];
        kdi_wal_file_path(&snapshot, reader.at.file_no, path);
        status =
            KD_FAIL(ctx, KD_CORRUPT, "XX001",
                    "log file \"%.300s\" is damaged at offset %" PRIu64 " (position %" PRIu64 ")",
                    path, reader.at.offset, reader.at.position);
    }
out:
    kdi_wal_reader_close(&reader);
    kdi_wal_reading_end(wal, slot, &snapshot);
    return status;
}

kd_status kd_wal_replay(kd_ctx *ctx, kd_wal *wal, uint64_t from_position, kd_wal_visit *visit,
                        void *object)
{
    uint64_t end_position = kd_wal_durable_position(wal), first_no;
    kd_wal_place end;
    if (!wal->is_memory && from_position >= end_position)
        return KD_OK;
    return log_follow(ctx, wal, from_position, end_position, visit, object, &first_no, &end);
}

kd_status kd_wal_pieces(kd_ctx *ctx, kd_arena *arena, kd_wal *wal, uint64_t from_position,
                        kd_wal_piece **out_pieces, size_t *out_count, kd_wal_place *out_end)
{
    uint64_t first_no = 0, end_position = kd_wal_durable_position(wal);
    kd_wal_place end = {0};
    *out_pieces = NULL;
    *out_count = 0;
    KD_TRY(log_follow(ctx, wal, from_position, end_position, NULL, NULL, &first_no, &end));
    *out_end = end;
    size_t count = end.file_no - first_no + 1;
    kd_wal_piece *pieces = KD_NEW_ARRAY(ctx, arena, kd_wal_piece, count);
    if (pieces == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < count; i++) {
        uint64_t file_no = first_no + i, size_bytes = end.offset;
        if (file_no != end.file_no)
            KD_TRY(file_size_find(ctx, wal, file_no, &size_bytes));
        kdi_wal_file_name(file_no, pieces[i].name);
        pieces[i].size_bytes = size_bytes;
    }
    *out_pieces = pieces;
    *out_count = count;
    return KD_OK;
}

kd_wal_statistics kd_wal_read_statistics(kd_wal *wal)
{
    kd_mutex_lock(&wal->lock);
    kd_wal_statistics statistics = wal->statistics;
    statistics.oldest_position = wal->truncated_position;
    statistics.durable_position = kd_wal_durable_position(wal);
    statistics.next_position = wal->next_position;
    statistics.file_count = (unsigned)wal->directory.file_count;
    statistics.spare_count = (unsigned)wal->directory.spare_count;
    statistics.has_failed = wal->has_failed;
    kd_mutex_unlock(&wal->lock);
    return statistics;
}
