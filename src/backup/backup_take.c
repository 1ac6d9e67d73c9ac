/*
 * Taking a backup: hold a checkpoint, copy what the directory lacks, then describe it.
 */
#include "backup/backup_internal.h"

#include "base/map.h"
#include "types/datetime.h"

#include <stdio.h>
#include <string.h>

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t nap_ns = UINT64_C(50000000); /* How long a cancellation may go unseen. */
static const int64_t year_2000_us = INT64_C(946684800000000);

typedef struct take {
    kd_storage *storage;
    kd_arena *arena;
    kdi_backups backups;
    kd_storage_hold hold;
    kdi_manifest manifest, before; /* The newest backup until now; empty when there is none. */
    kd_map before_names;
    kdi_object_writer writer;
    char *piece; /* Of what is measured. */
    uint64_t bytes_per_second, read_bytes, begun_ns;
} take;

static void id_make(int64_t taken_us, char out_id[KD_BACKUP_ID_BYTES])
{
    kd_civil civil;
    kd_timestamp_to_civil(taken_us - year_2000_us, &civil);
    (void)snprintf(out_id, KD_BACKUP_ID_BYTES, "%04u%02u%02uT%02u%02u%02u.%06uZ",
                   (unsigned)civil.year % 10000, (unsigned)civil.month % 100,
                   (unsigned)civil.day % 100, (unsigned)civil.hour % 100,
                   (unsigned)civil.minute % 100, (unsigned)civil.second % 100,
                   (unsigned)civil.micros % 1000000);
}

/* Later than every backup that is there, whatever the clock says: the newest is the last by name.
 */
static void moment_choose(kd_ctx *ctx, take *run)
{
    kd_backup_info *info = &run->manifest.info;
    info->taken_us = ctx->world->wall_us(ctx->world);
    if (run->before.file_count > 0 && info->taken_us <= run->before.info.taken_us)
        info->taken_us = run->before.info.taken_us + 1;
    id_make(info->taken_us, info->id);
}

static kd_status before_load(kd_ctx *ctx, take *run)
{
    const char *id;
    if (run->backups.id_count == 0)
        return KD_OK;
    KD_TRY(kdi_backups_find(ctx, &run->backups, NULL, &id));
    KD_TRY(kdi_manifest_read(ctx, run->arena, &run->backups, id, &run->before));
    for (size_t i = 0; i < run->before.file_count; i++)
        KD_TRY(kd_map_put(ctx, &run->before_names, kd_slice_of(run->before.files[i].name),
                          &run->before.files[i], NULL));
    return KD_OK;
}

/* --- Files ----------------------------------------------------------------------------------- */

static kd_status throttle(kd_ctx *ctx, void *object, size_t size_bytes)
{
    take *run = object;
    run->read_bytes += size_bytes;
    KD_TRY(kd_progress_add(ctx, size_bytes));
    while (run->bytes_per_second != 0) {
        uint64_t passed_ns = ctx->world->monotonic_ns(ctx->world) - run->begun_ns;
        uint64_t allowed =
            (uint64_t)((double)passed_ns / (double)second_ns * (double)run->bytes_per_second);
        if (run->read_bytes <= allowed)
            break;
        ctx->world->sleep_ns(ctx->world, nap_ns);
        KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

static bool has_trailer(const char *name)
{
    size_t length = strlen(name);
    return length > 4 &&
           (strcmp(name + length - 4, ".seg") == 0 || strcmp(name + length - 4, ".run") == 0);
}

/* The newest backup has the file already. */
static kd_status is_known(kd_ctx *ctx, take *run, kdi_backup_file *file, bool *out_known)
{
    const kdi_backup_file *known = kd_map_find(&run->before_names, kd_slice_of(file->name));
    *out_known = false;
    if (known == NULL || !has_trailer(file->name) || known->size_bytes != file->size_bytes ||
        known->tail != file->tail)
        return KD_OK;
    KD_TRY(kdi_object_exists(ctx, &run->backups, known, out_known));
    if (*out_known)
        memcpy(file->hash, known->hash, sizeof file->hash);
    return KD_OK;
}

static void content_count(take *run, const kdi_backup_file *file, uint64_t kept_bytes)
{
    kd_backup_info *info = &run->manifest.info;
    info->copied_count += kept_bytes > 0;
    info->copied_bytes += kept_bytes > 0 ? file->size_bytes : 0;
    info->kept_bytes += kept_bytes;
}

static kd_status content_copy(kd_ctx *ctx, take *run, kd_file *source, kdi_backup_file *file)
{
    uint64_t kept_bytes;
    kdi_object_source bytes = {.file = source, .passed = throttle, .object = run};
    KD_TRY(kdi_object_write(ctx, &run->writer, &bytes, file, &kept_bytes));
    content_count(run, file, kept_bytes);
    return KD_OK;
}

static kd_status file_enter(kd_ctx *ctx, take *run, const kdi_backup_file *file)
{
    kdi_backup_file *entered;
    kdi_manifest *manifest = &run->manifest;
    KD_TRY(KD_PUSH(ctx, run->arena, manifest->files, manifest->file_count, manifest->file_capacity,
                   &entered));
    *entered = *file;
    manifest->info.file_count++;
    manifest->info.file_bytes += file->size_bytes;
    return KD_OK;
}

static kd_status file_copy(kd_ctx *ctx, take *run, const char *path)
{
    kd_status status = KD_OK;
    kd_file *source = NULL;
    bool known;
    kdi_backup_file file = {.name = path + strlen(run->hold.directory) + 1};
    KD_TRY_OUT(ctx->world->file_open(ctx, path, KD_FILE_READ, &source));
    KD_TRY_OUT(kdi_file_measure(ctx, source, run->piece, &file));
    KD_TRY_OUT(is_known(ctx, run, &file, &known));
    if (!known)
        KD_TRY_OUT(content_copy(ctx, run, source, &file));
    KD_TRY_OUT(file_enter(ctx, run, &file));
out:
    ctx->world->file_close(ctx->world, source);
    return status;
}

static kd_status root_copy(kd_ctx *ctx, take *run)
{
    kdi_backup_file file = {.name = "ROOT", .size_bytes = run->hold.root.size_bytes};
    kdi_object_source bytes = {.bytes = run->hold.root.data};
    uint64_t kept_bytes;
    KD_TRY(kdi_object_write(ctx, &run->writer, &bytes, &file, &kept_bytes));
    content_count(run, &file, kept_bytes);
    return file_enter(ctx, run, &file);
}

/* --- The log --------------------------------------------------------------------------------- */

static kd_status block_pass(kd_ctx *ctx, void *object, const kd_wal_place *from,
                            const kd_wal_place *to, kd_slice bytes)
{
    (void)ctx;
    (void)object;
    (void)from;
    (void)to;
    (void)bytes;
    return KD_OK;
}

/* The log goes on behind the newest backup: its files begin with what that one has of them. */
static kd_status is_continued(kd_ctx *ctx, const take *run, bool *out_is_continued)
{
    kd_wal_place at = run->before.end;
    const kd_wal_place *end = &run->hold.end;
    *out_is_continued = false;
    if (at.file_no == 0 || at.position > end->position)
        return KD_OK;
    kd_status status =
        kd_wal_copy(ctx, kd_storage_log(run->storage), &at, end->position, block_pass, NULL);
    if (status == KD_INVALID || status == KD_CORRUPT) {
        kd_error_clear(ctx); /* Of another history, or no longer there: nothing is known of it. */
        return KD_OK;
    }
    *out_is_continued = status == KD_OK && at.file_no == end->file_no && at.offset == end->offset &&
                        at.link == end->link;
    return status;
}

/* Of a file's first `limit_bytes` what the newest backup has; `*out_bytes` of them. */
static kd_status parts_keep(kd_ctx *ctx, take *run, const char *name, uint64_t limit_bytes,
                            uint64_t *out_bytes)
{
    *out_bytes = 0;
    for (size_t i = 0; i < run->before.file_count; i++) {
        bool exists;
        const kdi_backup_file *part = &run->before.files[i];
        if (strcmp(part->name, name) != 0 || part->offset != *out_bytes ||
            part->offset + part->size_bytes > limit_bytes)
            continue;
        KD_TRY(kdi_object_exists(ctx, &run->backups, part, &exists));
        if (!exists)
            return KD_OK;
        KD_TRY(file_enter(ctx, run, part));
        *out_bytes += part->size_bytes;
    }
    return KD_OK;
}

static kd_status log_file_copy(kd_ctx *ctx, take *run, const kd_storage_file *log_file,
                               bool is_continued)
{
    kd_file *source;
    kdi_backup_file part = {.name = log_file->path + strlen(run->hold.directory) + 1};
    if (is_continued)
        KD_TRY(parts_keep(ctx, run, part.name, log_file->size_bytes, &part.offset));
    part.size_bytes = log_file->size_bytes - part.offset;
    if (part.size_bytes == 0)
        return KD_OK;
    KD_TRY(ctx->world->file_open(ctx, log_file->path, KD_FILE_READ, &source));
    kd_status status = content_copy(ctx, run, source, &part);
    ctx->world->file_close(ctx->world, source);
    KD_TRY(status);
    return file_enter(ctx, run, &part);
}

static kd_status log_copy(kd_ctx *ctx, take *run)
{
    bool continued;
    KD_TRY(is_continued(ctx, run, &continued));
    for (size_t i = 0; i < run->hold.log_count; i++)
        KD_TRY(log_file_copy(ctx, run, &run->hold.log_files[i], continued));
    return KD_OK;
}

/* --- The held files -------------------------------------------------------------------------- */

/* What ALTER SYSTEM has set. */
static kd_status settings_copy(kd_ctx *ctx, take *run)
{
    bool exists;
    const char *path = kd_format_text(ctx, run->arena, "%s/settings.conf", run->hold.directory);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    return exists ? file_copy(ctx, run, path) : KD_OK;
}

/* A segment that nothing names yet may go before its turn: its transaction was rolled back. */
static kd_status more_copy(kd_ctx *ctx, take *run)
{
    for (size_t i = 0; i < run->hold.more_count; i++) {
        kd_status status = file_copy(ctx, run, run->hold.more_files[i].path);
        if (status == KD_INVALID && strcmp(ctx->error.sqlstate, "58P01") == 0)
            kd_error_clear(ctx);
        else
            KD_TRY(status);
    }
    return KD_OK;
}

static kd_status held_copy(kd_ctx *ctx, take *run)
{
    kd_storage_hold *hold = &run->hold;
    KD_TRY(root_copy(ctx, run));
    KD_TRY(settings_copy(ctx, run));
    for (size_t i = 0; i < hold->file_count; i++)
        KD_TRY(file_copy(ctx, run, hold->files[i].path));
    moment_choose(ctx, run);
    KD_TRY(kd_storage_hold_log(ctx, run->storage, hold));
    KD_TRY(more_copy(ctx, run));
    KD_TRY(log_copy(ctx, run));
    run->manifest.info.position = hold->end.position;
    run->manifest.stamp = hold->stamp;
    run->manifest.replay_position = hold->replay_position;
    run->manifest.end = hold->end;
    return KD_OK;
}

/* --- The whole ------------------------------------------------------------------------------- */

static kd_status run_take(kd_ctx *ctx, take *run, const char *target)
{
    uint64_t database_id = kd_storage_database_id(run->storage);
    KD_TRY(kdi_backups_open(ctx, run->arena, target, KDI_BACKUPS_MAKE, database_id, &run->backups));
    KD_TRY(before_load(ctx, run));
    KD_TRY(kdi_object_writer_open(ctx, &run->backups, "objects/new", &run->writer));
    run->piece = kd_alloc(ctx, run->arena, KDI_PIECE_BYTES);
    if (run->piece == NULL)
        return KD_NOMEM;
    run->manifest.database_id = database_id;
    kd_progress_begin(ctx, "backup", kd_storage_read_statistics(run->storage).segment_bytes);
    run->begun_ns = ctx->world->monotonic_ns(ctx->world);
    KD_TRY(kd_storage_hold_begin(ctx, run->arena, run->storage, &run->hold));
    kd_status status = held_copy(ctx, run);
    kd_storage_hold_end(run->storage, &run->hold);
    KD_TRY(status);
    KD_TRY(run->backups.store->kind->settle(ctx, run->backups.store, "objects"));
    return kdi_manifest_write(ctx, &run->backups, &run->manifest);
}

kd_status kd_backup_take(kd_ctx *ctx, kd_storage *storage, const char *target,
                         uint64_t bytes_per_second, kd_backup_info *out_info)
{
    take run = {.storage = storage, .bytes_per_second = bytes_per_second};
    *out_info = (kd_backup_info){0};
    run.arena = kd_arena_create(ctx, NULL, "backup", KD_ARENA_UNLIMITED);
    if (run.arena == NULL)
        return KD_NOMEM;
    kd_map_init(&run.before_names, ctx->world, kd_governor_account(kd_storage_governor(storage)));
    kd_status status = run_take(ctx, &run, target);
    kdi_object_writer_close(&run.writer);
    kdi_backups_close(ctx, &run.backups);
    kd_map_clear(&run.before_names);
    *out_info = run.manifest.info;
    kd_arena_destroy(run.arena);
    return status;
}
