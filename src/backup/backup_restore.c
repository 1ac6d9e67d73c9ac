/*
 * Restoring and verifying.
 *
 * The root comes last, so that a directory is a database only when everything else is there. The
 * file RESTORING tells until then whose rest it is, for the next try.
 */
#include "backup/archive_internal.h"

/* The newest that is not too new. */
static kd_status backup_choose(kd_ctx *ctx, kdi_restore *run)
{
    const kd_restore_wish *wish = run->wish;
    const char *id;
    kd_backup_info *info = &run->manifest.info;
    KD_TRY(kdi_backups_find(ctx, &run->backups, wish->backup, &id));
    for (size_t i = run->backups.id_count;; i--) {
        KD_TRY(kdi_manifest_read(ctx, run->arena, &run->backups, id, &run->manifest));
        bool is_too_new = (wish->moment_us != 0 && info->taken_us > wish->moment_us) ||
                          (wish->to_position != 0 && info->position > wish->to_position);
        if (!is_too_new)
            return KD_OK;
        if (i <= 1)
            return KD_FAIL(ctx, KD_INVALID, "58P01",
                           "no backup in \"%s\" is that old: the oldest is \"%s\"",
                           run->backups.target, id);
        id = run->backups.ids[i - 2];
    }
}

static kd_status restore_open(kd_ctx *ctx, kdi_restore *run, const char *target)
{
    run->arena = kd_arena_create(ctx, NULL, "restore", KD_ARENA_UNLIMITED);
    run->scratch = kd_arena_create(ctx, NULL, "restored file", KD_ARENA_UNLIMITED);
    if (run->arena == NULL || run->scratch == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_backups_open(ctx, run->arena, target, KDI_BACKUPS_READ, 0, &run->backups));
    return backup_choose(ctx, run);
}

static void restore_close(kd_ctx *ctx, kdi_restore *run)
{
    kdi_backups_close(ctx, &run->backups);
    kd_arena_destroy(run->scratch);
    kd_arena_destroy(run->arena);
}

/* --- Verifying ------------------------------------------------------------------------------- */

static kd_status run_verify(kd_ctx *ctx, kdi_restore *run)
{
    const kdi_manifest *manifest = &run->manifest;
    kd_progress_begin(ctx, "verify backup", manifest->info.file_bytes);
    for (size_t i = 0; i < manifest->file_count; i++) {
        kd_arena_reset(run->scratch);
        KD_TRY(kdi_object_read(ctx, run->scratch, &run->backups, &manifest->files[i], NULL));
    }
    return KD_OK;
}

kd_status kd_backup_verify(kd_ctx *ctx, const char *target, const char *id,
                           kd_backup_info *out_info)
{
    kd_restore_wish wish = {.backup = id};
    kdi_restore run = {.wish = &wish};
    kd_archive_stretch *stretches;
    size_t count;
    kd_status status = restore_open(ctx, &run, target);
    if (status == KD_OK)
        status = run_verify(ctx, &run);
    if (status == KD_OK)
        status = kdi_replay_plan(ctx, &run);
    if (status == KD_OK && id == NULL)
        status = kdi_archive_stretches(ctx, run.arena, &run.backups, true, &stretches, &count);
    *out_info = run.manifest.info;
    restore_close(ctx, &run);
    return status;
}

/* --- The directory --------------------------------------------------------------------------- */

typedef struct look {
    bool is_ours, has_root, has_other;
} look;

static kd_status entry_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    look *found = object;
    found->is_ours |= strcmp(entry->name, "RESTORING") == 0;
    found->has_root |= strcmp(entry->name, "ROOT") == 0;
    found->has_other |= strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
                        strcmp(entry->name, "RESTORING.new") != 0;
    return KD_OK;
}

static kd_status directory_check(kd_ctx *ctx, const kdi_restore *run)
{
    bool exists;
    look found = {0};
    KD_TRY(ctx->world->path_exists(ctx, run->directory, &exists));
    if (!exists)
        return KD_OK;
    KD_TRY(ctx->world->directory_list(ctx, run->directory, entry_look, &found));
    if (found.has_root)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "there is a database in \"%s\"; a restore goes into a new directory",
                       run->directory);
    if (found.has_other && !found.is_ours)
        return KD_FAIL(ctx, KD_INVALID, "55000", "directory \"%s\" is not empty", run->directory);
    return KD_OK;
}

static const char *path_in(kd_ctx *ctx, kd_arena *arena, const kdi_restore *run, const char *name)
{
    return kd_format_text(ctx, arena, "%s/%s", run->directory, name);
}

typedef struct leftovers {
    kd_arena *arena;
    const char *directory;
    char **paths;
    size_t count, capacity;
} leftovers;

static kd_status leftover_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    leftovers *found = object;
    char **path;
    if (entry->is_directory)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, found->arena, found->paths, found->count, found->capacity, &path));
    *path = kd_format_text(ctx, found->arena, "%s/%s", found->directory, entry->name);
    return *path == NULL ? KD_NOMEM : KD_OK;
}

/* What an interrupted restore has left may be of another moment: log that goes on too far. */
static kd_status leftovers_remove(kd_ctx *ctx, kdi_restore *run, const char *directory)
{
    leftovers found = {.arena = run->arena, .directory = directory};
    KD_TRY(ctx->world->directory_list(ctx, directory, leftover_look, &found));
    for (size_t i = 0; i < found.count; i++)
        KD_TRY(ctx->world->path_remove(ctx, found.paths[i]));
    return found.count == 0 ? KD_OK : ctx->world->directory_sync(ctx, directory);
}

static kd_status directory_make(kd_ctx *ctx, kdi_restore *run)
{
    const char *units = path_in(ctx, run->arena, run, "units");
    const char *wal = path_in(ctx, run->arena, run, "wal");
    if (units == NULL || wal == NULL)
        return KD_NOMEM;
    run->has_begun = true;
    KD_TRY(kdi_directory_make(ctx, run->arena, run->directory));
    KD_TRY(kdi_file_replace(ctx, run->arena, run->directory, "RESTORING", KD_SLICE("")));
    KD_TRY(ctx->world->directory_create(ctx, units));
    KD_TRY(leftovers_remove(ctx, run, units));
    KD_TRY(ctx->world->directory_create(ctx, wal));
    return leftovers_remove(ctx, run, wal);
}

/* --- Files ----------------------------------------------------------------------------------- */

kd_status kdi_restored_open(kd_ctx *ctx, kdi_restore *run, const char *name, unsigned flags,
                            kd_file **out_file)
{
    char **written;
    char *path = kd_format_text(ctx, run->arena, "%s/%s", run->directory, name);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(KD_PUSH(ctx, run->arena, run->written, run->written_count, run->written_capacity,
                   &written));
    *written = path;
    return ctx->world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | flags, out_file);
}

/* The root waits under another name. */
kd_status kdi_file_restore(kd_ctx *ctx, kdi_restore *run, const kdi_backup_file *file)
{
    kd_file *target;
    const char *name = strcmp(file->name, "ROOT") == 0 ? "ROOT.new" : file->name;
    kd_arena_reset(run->scratch);
    KD_TRY(kdi_restored_open(ctx, run, name, file->offset > 0 ? 0 : KD_FILE_TRUNCATE, &target));
    kd_status status = kdi_object_read(ctx, run->scratch, &run->backups, file, target);
    if (status == KD_OK)
        status = ctx->world->file_sync(ctx, target);
    ctx->world->file_close(ctx->world, target);
    return status;
}

static kd_status objects_check(kd_ctx *ctx, kdi_restore *run)
{
    for (size_t i = 0; i < run->manifest.file_count; i++) {
        bool exists;
        const kdi_backup_file *file = &run->manifest.files[i];
        KD_TRY(kdi_object_exists(ctx, &run->backups, file, &exists));
        if (!exists)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001", "backup \"%s\" lacks the object of \"%s\"",
                           run->manifest.info.id, file->name);
    }
    return KD_OK;
}

static kd_status root_take_over(kd_ctx *ctx, kdi_restore *run)
{
    const char *from = path_in(ctx, run->arena, run, "ROOT.new");
    const char *to = path_in(ctx, run->arena, run, "ROOT");
    const char *marker = path_in(ctx, run->arena, run, "RESTORING");
    const char *units = path_in(ctx, run->arena, run, "units");
    const char *wal = path_in(ctx, run->arena, run, "wal");
    if (from == NULL || to == NULL || marker == NULL || units == NULL || wal == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->directory_sync(ctx, units));
    KD_TRY(ctx->world->directory_sync(ctx, wal));
    KD_TRY(ctx->world->directory_sync(ctx, run->directory));
    KD_TRY(ctx->world->path_rename(ctx, from, to));
    KD_TRY(ctx->world->directory_sync(ctx, run->directory));
    run->has_begun = false; /* It is a database now. */
    KD_TRY(ctx->world->path_remove(ctx, marker));
    return ctx->world->directory_sync(ctx, run->directory);
}

static void remove_quietly(kd_ctx *ctx, const char *path)
{
    bool exists = false;
    if (path == NULL || ctx->world->path_exists(ctx, path, &exists) != KD_OK ||
        (exists && ctx->world->path_remove(ctx, path) != KD_OK))
        kd_error_clear(ctx); /* The next restore into this directory overwrites it. */
}

/* Takes back what was written. */
static void restore_undo(kd_world *world, kdi_restore *run)
{
    static const char *const names[] = {"units", "wal", "RESTORING.new", "RESTORING"};
    kd_ctx own = {.world = world};
    for (size_t i = 0; i < run->written_count; i++)
        remove_quietly(&own, run->written[i]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_quietly(&own, path_in(&own, run->scratch, run, names[i]));
    remove_quietly(&own, run->directory);
}

static kd_status run_restore(kd_ctx *ctx, kdi_restore *run)
{
    const kdi_manifest *manifest = &run->manifest;
    KD_TRY(directory_check(ctx, run));
    KD_TRY(objects_check(ctx, run));
    KD_TRY(kdi_replay_plan(ctx, run));
    KD_TRY(directory_make(ctx, run));
    kd_progress_begin(ctx, "restore", manifest->info.file_bytes);
    for (size_t i = 0; i < manifest->file_count; i++)
        KD_TRY(kdi_file_restore(ctx, run, &manifest->files[i]));
    KD_TRY(kdi_replay_write(ctx, run));
    return root_take_over(ctx, run);
}

kd_status kd_backup_restore_to(kd_ctx *ctx, const char *target, const kd_restore_wish *wish,
                               const char *directory, kd_restored *out_restored)
{
    kdi_restore run = {.wish = wish, .directory = directory};
    kd_status status = restore_open(ctx, &run, target);
    if (status == KD_OK)
        status = run_restore(ctx, &run);
    if (status != KD_OK && run.has_begun)
        restore_undo(ctx->world, &run);
    run.restored.backup = run.manifest.info;
    *out_restored = run.restored;
    restore_close(ctx, &run);
    return status;
}

kd_status kd_backup_restore(kd_ctx *ctx, const char *target, const char *id, const char *directory,
                            kd_backup_info *out_info)
{
    kd_restored restored;
    kd_restore_wish wish = {.backup = id};
    kd_status status = kd_backup_restore_to(ctx, target, &wish, directory, &restored);
    *out_info = restored.backup;
    return status;
}
