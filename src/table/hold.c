/*
 * Holds: the files of a checkpoint and the log behind it, for whoever copies them.
 *
 * What a checkpoint replaces goes only while there is no hold (checkpoint.c); the log is kept by a
 * slot. Segments that the log installs after the held checkpoint are found in the directory once
 * the end of the log is fixed: those that it names are complete by then.
 *
 * An archive (module backup) follows the log for ever: it keeps with a slot what it has not copied,
 * and the checkpoint keeps the segments of it.
 */
#include "table/checkpoint.h"
#include "table/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kd_status kdi_hold_add(kd_ctx *ctx, kd_storage_hold *hold, const char *path)
{
    kd_storage_file *file;
    KD_TRY(KD_PUSH(ctx, hold->arena, hold->files, hold->file_count, hold->file_capacity, &file));
    file->path = path;
    return KD_OK;
}

static kd_status root_read(kd_ctx *ctx, const kd_storage *storage, kd_storage_hold *hold)
{
    kd_status status = KD_OK;
    kd_file *file = NULL;
    uint64_t size_bytes;
    size_t got_bytes = 0;
    const char *path = kd_format_text(ctx, hold->arena, "%s/ROOT", storage->directory);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    KD_TRY_OUT(ctx->world->file_size(ctx, file, &size_bytes));
    char *bytes = kd_alloc(ctx, hold->arena, size_bytes);
    if (bytes == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(ctx->world->file_read(ctx, file, 0, bytes, size_bytes, &got_bytes));
    hold->root = (kd_slice){bytes, got_bytes};
out:
    ctx->world->file_close(ctx->world, file);
    return status;
}

/* storage->checkpoint is held, and the log not yet cut. */
kd_status kdi_hold_start(kd_ctx *ctx, kd_storage *storage, kd_storage_hold *hold)
{
    char slot[sizeof hold->slot];
    uint64_t position = hold->replay_position;
    KD_TRY(root_read(ctx, storage, hold));
    (void)snprintf(slot, sizeof slot, "hold %llu", (unsigned long long)++storage->hold_no);
    if (position < KD_WAL_POSITION_FIRST)
        position = KD_WAL_POSITION_FIRST;
    KD_TRY(kd_wal_slot_set(ctx, storage->wal, slot, position, 0));
    memcpy(hold->slot, slot, sizeof slot);
    storage->hold_count++;
    return KD_OK;
}

kd_status kd_storage_hold_begin(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                                kd_storage_hold *out_hold)
{
    *out_hold = (kd_storage_hold){.arena = arena, .directory = storage->directory};
    if (storage->options.read_only)
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database is open for reading only");
    KD_TRY(kdi_flush_large(ctx, storage));
    KD_TRY(kdi_marks_shrink(ctx, storage));
    kd_status status = kdi_checkpoint_held(ctx, storage, out_hold);
    if (status != KD_OK)
        kd_storage_hold_end(storage, out_hold);
    return status;
}

void kd_storage_hold_end(kd_storage *storage, kd_storage_hold *hold)
{
    if (hold->slot[0] == '\0')
        return;
    kd_mutex_lock(&storage->checkpoint);
    storage->hold_count--;
    kd_mutex_unlock(&storage->checkpoint);
    kd_wal_slot_drop(storage->world, storage->wal, hold->slot);
    hold->slot[0] = '\0';
}

/* --- The log, and what it installs ----------------------------------------------------------- */

typedef struct segment_search {
    kd_storage *storage;
    kd_arena *arena;
    bool (*is_known)(void *object, const char *path);
    void *object;
    kd_storage_file *files;
    size_t count, capacity;
} segment_search;

static bool is_held(void *object, const char *path)
{
    const kd_storage_hold *hold = object;
    for (size_t i = 0; i < hold->file_count; i++)
        if (strcmp(hold->files[i].path, path) == 0)
            return true;
    return false;
}

static kd_status segment_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    segment_search *search = object;
    char *end;
    const char *path;
    bool is_complete;
    uint64_t unit = strtoull(entry->name, &end, 16);
    if (entry->is_directory || strcmp(end, ".seg") != 0)
        return KD_OK;
    KD_TRY(kd_segment_file_path(ctx, search->arena, &search->storage->files, unit, &path));
    if (search->is_known(search->object, path))
        return KD_OK;
    kd_status status = kd_segment_is_complete(ctx, &search->storage->files, unit, &is_complete);
    if (status == KD_INVALID && strcmp(ctx->error.sqlstate, "58P01") == 0) {
        kd_error_clear(ctx); /* It went meanwhile: its transaction was rolled back. */
        return KD_OK;
    }
    KD_TRY(status);
    if (!is_complete)
        return KD_OK;
    kd_storage_file *file;
    KD_TRY(KD_PUSH(ctx, search->arena, search->files, search->count, search->capacity, &file));
    file->path = path;
    return KD_OK;
}

kd_status kd_storage_segments(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                              bool (*is_known)(void *object, const char *path), void *object,
                              kd_storage_file **out_files, size_t *out_count)
{
    segment_search search = {
        .storage = storage, .arena = arena, .is_known = is_known, .object = object};
    kd_status status =
        ctx->world->directory_list(ctx, storage->units_directory, segment_look, &search);
    *out_files = search.files;
    *out_count = search.count;
    return status;
}

kd_status kd_storage_hold_log(kd_ctx *ctx, kd_storage *storage, kd_storage_hold *hold)
{
    kd_wal_piece *pieces;
    KD_TRY(kd_wal_flush(ctx, storage->wal));
    uint64_t from = hold->replay_position < KD_WAL_POSITION_FIRST ? 0 : hold->replay_position;
    KD_TRY(
        kd_wal_pieces(ctx, hold->arena, storage->wal, from, &pieces, &hold->log_count, &hold->end));
    hold->log_files = KD_NEW_ARRAY(ctx, hold->arena, kd_storage_file, hold->log_count);
    if (hold->log_files == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < hold->log_count; i++) {
        hold->log_files[i].path =
            kd_format_text(ctx, hold->arena, "%s/%s", storage->wal_directory, pieces[i].name);
        hold->log_files[i].size_bytes = pieces[i].size_bytes;
        if (hold->log_files[i].path == NULL)
            return KD_NOMEM;
    }
    return kd_storage_segments(ctx, hold->arena, storage, is_held, hold, &hold->more_files,
                               &hold->more_count);
}

/* --- An archive that follows the log --------------------------------------------------------- */

static const char archive_slot[] = "archive";

kd_status kd_storage_archive_keep(kd_ctx *ctx, kd_storage *storage, uint64_t position)
{
    /* One byte before it: the file that ends there stays until the next one has been entered. */
    uint64_t keep = kd_wal_read_statistics(storage->wal).oldest_position;
    if (keep < position)
        keep = position - 1;
    KD_TRY(kd_wal_slot_set(ctx, storage->wal, archive_slot, keep, 0));
    atomic_store(&storage->archived_position, keep);
    return KD_OK;
}

void kd_storage_archive_end(kd_storage *storage)
{
    kd_wal_slot_drop(storage->world, storage->wal, archive_slot);
    atomic_store(&storage->archived_position, UINT64_MAX);
}

uint64_t kd_storage_archive_kept_bytes(kd_storage *storage)
{
    uint64_t durable = kd_wal_durable_position(storage->wal);
    uint64_t archived = atomic_load(&storage->archived_position);
    return atomic_load(&storage->spared_bytes) + (durable > archived ? durable - archived : 0);
}

/* Before anything of the log is cut: the archive may not have seen the oldest of it. */
kd_status kdi_archive_expect(kd_ctx *ctx, kd_storage *storage)
{
    bool exists;
    const char *path =
        kd_format_text(ctx, storage->arena, "%s/" KD_ARCHIVE_FILE, storage->directory);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    if (!exists)
        return KD_OK;
    return kd_storage_archive_keep(ctx, storage,
                                   kd_wal_read_statistics(storage->wal).oldest_position);
}
