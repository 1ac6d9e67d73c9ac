/*
 * Which backups there are, and which stay.
 */
#include "backup/archive_internal.h"

#include "types/datetime.h"

static const int64_t year_2000_us = INT64_C(946684800000000);

typedef struct keeping {
    kd_arena *arena;
    kdi_backups backups;
    kdi_manifest *manifests; /* One for each id. */
    bool *stays;             /* Of each. */
    size_t oldest;           /* From which the archive is kept. */
    kd_map objects;          /* Names of what the backups that stay need. */
    char **lost;             /* Names of objects that go. */
    size_t lost_count, lost_capacity;
    kdi_archive_reader archive;
    size_t log_files_going; /* Of the archive's, the oldest. */
} keeping;

static kd_status keeping_open(kd_ctx *ctx, keeping *run, const char *target, kdi_backups_use use)
{
    KD_TRY(kdi_backups_open(ctx, run->arena, target, use, 0, &run->backups));
    run->manifests = KD_NEW_ARRAY(ctx, run->arena, kdi_manifest, run->backups.id_count + 1);
    run->stays = KD_NEW_ARRAY(ctx, run->arena, bool, run->backups.id_count + 1);
    if (run->manifests == NULL || run->stays == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < run->backups.id_count; i++)
        KD_TRY(kdi_manifest_read(ctx, run->arena, &run->backups, run->backups.ids[i],
                                 &run->manifests[i]));
    return KD_OK;
}

kd_status kd_backup_list(kd_ctx *ctx, kd_arena *arena, const char *target,
                         kd_backup_info **out_infos, size_t *out_count)
{
    keeping run = {.arena = arena};
    *out_infos = NULL;
    *out_count = 0;
    kd_status status = keeping_open(ctx, &run, target, KDI_BACKUPS_READ);
    kdi_backups_close(ctx, &run.backups);
    KD_TRY(status);
    kd_backup_info *infos = KD_NEW_ARRAY(ctx, arena, kd_backup_info, run.backups.id_count + 1);
    if (infos == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < run.backups.id_count; i++)
        infos[i] = run.manifests[i].info;
    *out_infos = infos;
    *out_count = run.backups.id_count;
    return KD_OK;
}

/* --- Pruning --------------------------------------------------------------------------------- */

static kd_status manifest_remove(kd_ctx *ctx, keeping *run, const char *id)
{
    kdi_store *store = run->backups.store;
    const char *name = kd_format_text(ctx, run->arena, "%s.backup", id);
    return name == NULL ? KD_NOMEM : store->kind->remove(ctx, store, name);
}

static kd_status objects_note(kd_ctx *ctx, keeping *run, kdi_manifest *manifest)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        char name[KDI_OBJECT_NAME_BYTES];
        kdi_backup_object_name(&manifest->files[i], name);
        KD_TRY(kd_map_put(ctx, &run->objects, kd_slice_of(name), manifest, NULL));
    }
    return KD_OK;
}

/* What one file of the archive tells of segments. */
typedef struct log_file {
    size_t at;
    uint64_t needed_to; /* Up to where the log may name them. */
    kdi_backup_file *segments;
    size_t count, capacity;
} log_file;

/* The file goes when nothing in it is behind the oldest backup; if not, its segments are needed. */
static kd_status log_file_passed(kd_ctx *ctx, keeping *run, kdi_manifest *oldest, log_file *file)
{
    bool goes = file->at == run->log_files_going && file->at < run->archive.file_at &&
                run->archive.files[file->at].file_no < oldest->end.file_no &&
                file->needed_to <= oldest->info.position;
    run->log_files_going += goes;
    for (size_t i = 0; !goes && i < file->count; i++) {
        char name[KDI_OBJECT_NAME_BYTES];
        kdi_backup_object_name(&file->segments[i], name);
        KD_TRY(kd_map_put(ctx, &run->objects, kd_slice_of(name), oldest, NULL));
    }
    file->at++;
    file->needed_to = 0;
    file->count = 0;
    return KD_OK;
}

static kd_status segments_note(kd_ctx *ctx, keeping *run, log_file *file)
{
    kdi_backup_file *segments, *segment;
    size_t count;
    const kdi_archive_piece *piece = &run->archive.piece;
    if (piece->to.position > file->needed_to)
        file->needed_to = piece->to.position;
    KD_TRY(kdi_archive_segments(ctx, run->arena, &run->archive, &segments, &count));
    for (size_t i = 0; i < count; i++) {
        KD_TRY(KD_PUSH(ctx, run->arena, file->segments, file->count, file->capacity, &segment));
        *segment = segments[i];
    }
    return KD_OK;
}

static kd_status archive_note(kd_ctx *ctx, keeping *run, kdi_manifest *oldest)
{
    log_file file = {0};
    KD_TRY(kdi_archive_open(ctx, run->arena, &run->backups, true, &run->archive));
    for (;;) {
        const kdi_archive_piece *piece;
        KD_TRY(kdi_archive_next(ctx, &run->archive, &piece));
        while (file.at < run->archive.file_at)
            KD_TRY(log_file_passed(ctx, run, oldest, &file));
        if (piece == NULL)
            return log_file_passed(ctx, run, oldest, &file); /* The last one stays. */
        if (piece->kind == KDI_ARCHIVE_SEGMENTS)
            KD_TRY(segments_note(ctx, run, &file));
    }
}

static kd_status log_files_remove(kd_ctx *ctx, keeping *run)
{
    kdi_store *store = run->backups.store;
    for (size_t i = 0; i < run->log_files_going; i++) {
        const char *name = kdi_archive_name(ctx, run->arena, &run->archive.files[i]);
        if (name == NULL)
            return KD_NOMEM;
        KD_TRY(store->kind->remove(ctx, store, name));
    }
    return run->log_files_going == 0 ? KD_OK : store->kind->settle(ctx, store, "archive");
}

static kd_status object_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    keeping *run = object;
    if (entry->is_directory || kd_map_find(&run->objects, kd_slice_of(entry->name)) != NULL)
        return KD_OK;
    char **name;
    KD_TRY(KD_PUSH(ctx, run->arena, run->lost, run->lost_count, run->lost_capacity, &name));
    *name = kd_format_text(ctx, run->arena, "objects/%s", entry->name);
    return *name == NULL ? KD_NOMEM : KD_OK;
}

static kd_status objects_remove(kd_ctx *ctx, keeping *run)
{
    kdi_store *store = run->backups.store;
    KD_TRY(store->kind->list(ctx, store, "objects", object_look, run));
    for (size_t i = 0; i < run->lost_count; i++)
        KD_TRY(store->kind->remove(ctx, store, run->lost[i]));
    return store->kind->settle(ctx, store, "objects");
}

/* Days since 2000, and months. */
typedef struct periods {
    int64_t day, month;
} periods;

static periods periods_of(int64_t taken_us)
{
    static const int64_t months_a_year = 12;
    kd_civil civil;
    kd_timestamp_to_civil(taken_us - year_2000_us, &civil);
    return (periods){.day = kd_date_from_civil(civil.year, civil.month, civil.day),
                     .month = civil.year * months_a_year + civil.month};
}

/* From the newest to the oldest: the first of a day or a month that is seen is its newest. */
static void stays_mark(keeping *run, const kd_backup_keep *keep, int64_t now_us)
{
    periods last = {.day = INT64_MIN, .month = INT64_MIN};
    uint64_t days = 0, months = 0;
    size_t count = run->backups.id_count;
    run->oldest = count == 0 ? 0 : count - 1;
    for (size_t i = count; i-- > 0;) {
        int64_t taken_us = run->manifests[i].info.taken_us;
        periods now = periods_of(taken_us);
        bool is_daily = now.day != last.day && days < keep->daily;
        bool is_monthly = now.month != last.month && months < keep->monthly;
        bool is_recent = i + 1 == count || count - i <= keep->count ||
                         now_us - taken_us < keep->age_us || is_daily;
        days += is_daily;
        months += is_monthly;
        last = now;
        run->stays[i] = is_recent || is_monthly;
        if (is_recent)
            run->oldest = i;
    }
}

/* The archive's lock is had, where there is an archive: nobody adds to it. */
static kd_status run_prune(kd_ctx *ctx, keeping *run, const kd_backup_keep *keep,
                           kd_backup_pruned *out_pruned)
{
    size_t count = run->backups.id_count, going = 0;
    stays_mark(run, keep, ctx->world->wall_us(ctx->world));
    for (size_t i = 0; i < count; i++)
        if (run->stays[i])
            KD_TRY(objects_note(ctx, run, &run->manifests[i]));
    if (count > 0)
        KD_TRY(archive_note(ctx, run, &run->manifests[run->oldest]));
    for (size_t i = 0; i < count; i++) {
        if (run->stays[i])
            continue;
        KD_TRY(manifest_remove(ctx, run, run->backups.ids[i]));
        going++;
    }
    /* No object goes before the backups and pieces that need it have gone for good. */
    KD_TRY(run->backups.store->kind->settle(ctx, run->backups.store, ""));
    KD_TRY(log_files_remove(ctx, run));
    KD_TRY(objects_remove(ctx, run));
    *out_pruned = (kd_backup_pruned){
        .backups = going, .log_files = run->log_files_going, .objects = run->lost_count};
    return KD_OK;
}

static kd_status prune_locked(kd_ctx *ctx, keeping *run, const kd_backup_keep *keep,
                              kd_backup_pruned *out_pruned)
{
    bool exists;
    kdi_store_lock *lock = NULL;
    kdi_store *store = run->backups.store;
    KD_TRY(store->kind->has(ctx, store, "archive", &exists, NULL));
    if (exists || store->is_remote)
        KD_TRY(kdi_archive_lock(ctx, store, true, &lock));
    kd_status status = run_prune(ctx, run, keep, out_pruned);
    kdi_archive_close(ctx, &run->archive);
    store->kind->unlock(ctx, store, lock);
    return status;
}

kd_status kd_backup_prune(kd_ctx *ctx, const char *target, const kd_backup_keep *keep,
                          kd_backup_pruned *out_pruned)
{
    *out_pruned = (kd_backup_pruned){0};
    if (keep->count == 0 && keep->daily == 0 && keep->monthly == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "at least one backup must be kept");
    keeping run = {0};
    run.arena = kd_arena_create(ctx, NULL, "pruning backups", KD_ARENA_UNLIMITED);
    if (run.arena == NULL)
        return KD_NOMEM;
    kd_account account;
    kd_account_init(&account, NULL, "pruning backups", SIZE_MAX);
    kd_map_init(&run.objects, ctx->world, &account);
    kd_status status = keeping_open(ctx, &run, target, KDI_BACKUPS_WRITE);
    if (status == KD_OK)
        status = prune_locked(ctx, &run, keep, out_pruned);
    kdi_backups_close(ctx, &run.backups);
    kd_map_clear(&run.objects);
    kd_arena_destroy(run.arena);
    return status;
}
