/*
 * The archive of an opened database: whether it has one, starting and stopping it, its thread.
 */
#include "backup/archive_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t tick_ns = UINT64_C(250000000);
static const uint64_t retry_ns = UINT64_C(1000000000);

/* --- <database>/ARCHIVE ---------------------------------------------------------------------- */

static kd_status note_line(kd_ctx *ctx, const char *path, char *words[6], uint32_t count,
                           kdi_archive_note *out)
{
    if (count >= 2 && strcmp(words[0], "backup") == 0)
        out->backup = words[1];
    else if (count >= 2 && strcmp(words[0], "keep") == 0)
        out->keep_bytes = strtoull(words[1], NULL, 10);
    else if (count >= 2 && strcmp(words[0], "gap") == 0)
        out->is_given_up = true;
    else
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "file \"%s\" is damaged: a line is wrong", path);
    return KD_OK;
}

/* The directory's line is the last one: a path may have blanks. */
static kd_status note_parse(kd_ctx *ctx, kd_arena *arena, const char *path, kd_slice text,
                            kdi_archive_note *out)
{
    static const char start[] = "directory ";
    kd_reader lines;
    char *words[6];
    uint32_t count;
    KD_TRY(kdi_text_open(ctx, path, text, "KADE ARCHIVE 1", &lines));
    while ((size_t)(lines.end - lines.at) >= sizeof start &&
           memcmp(lines.at, start, sizeof start - 1) != 0) {
        KD_TRY(kdi_line_next(ctx, arena, &lines, words, &count));
        KD_TRY(note_line(ctx, path, words, count, out));
    }
    if ((size_t)(lines.end - lines.at) < sizeof start || out->backup == NULL)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "file \"%s\" is damaged: it is not complete",
                       path);
    const char *name = lines.at + sizeof start - 1;
    out->target = kd_copy_text(ctx, arena, name, (size_t)(lines.end - name) - 1);
    return out->target == NULL ? KD_NOMEM : KD_OK;
}

static const char *note_path(kd_ctx *ctx, kd_arena *arena, const kd_archive *archive)
{
    return kd_format_text(ctx, arena, "%s/" KD_ARCHIVE_FILE,
                          kd_storage_directory(archive->storage));
}

static kd_status note_read(kd_ctx *ctx, kd_arena *arena, const kd_archive *archive,
                           kdi_archive_note *out)
{
    bool exists;
    kd_slice text;
    *out = (kdi_archive_note){0};
    const char *path = note_path(ctx, arena, archive);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    if (!exists)
        return KD_OK;
    KD_TRY(kdi_file_read(ctx, arena, path, &text));
    return note_parse(ctx, arena, path, text, out);
}

static kd_status note_write(kd_ctx *ctx, kd_arena *arena, const kd_archive *archive,
                            const kdi_archive_note *note)
{
    kd_buffer text = kd_buffer_in(arena);
    KD_TRY(kd_buffer_append_format(
        ctx, &text, "KADE ARCHIVE 1\nbackup %s\nkeep %" PRIu64 "\n%sdirectory %s\n", note->backup,
        note->keep_bytes, note->is_given_up ? "gap 1\n" : "", note->target));
    KD_TRY(kdi_text_seal(ctx, &text));
    return kdi_file_replace(ctx, arena, kd_storage_directory(archive->storage), KD_ARCHIVE_FILE,
                            kd_buffer_slice(&text));
}

static kd_status note_remove(kd_ctx *ctx, kd_arena *arena, const kd_archive *archive)
{
    bool exists;
    const char *path = note_path(ctx, arena, archive);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    if (!exists)
        return KD_OK;
    KD_TRY(ctx->world->path_remove(ctx, path));
    return ctx->world->directory_sync(ctx, kd_storage_directory(archive->storage));
}

/* --- Status ---------------------------------------------------------------------------------- */

static void status_set(kd_archive *archive, kd_archive_state state)
{
    kd_mutex_lock(&archive->lock);
    kd_archive_status *now = &archive->status;
    now->state = state;
    now->keep_bytes = archive->note.keep_bytes;
    if (archive->is_open || archive->begins) {
        now->position = archive->at.position;
        now->until_us = archive->until_us;
    }
    (void)snprintf(archive->directory_text, sizeof archive->directory_text, "%s",
                   archive->note.target == NULL ? "" : archive->note.target);
    kd_mutex_unlock(&archive->lock);
}

static void error_set(kd_ctx *ctx, kd_archive *archive)
{
    kd_mutex_lock(&archive->lock);
    archive->status.failed_us = ctx->world->wall_us(ctx->world);
    (void)snprintf(archive->error_text, sizeof archive->error_text, "%s", ctx->error.message);
    kd_mutex_unlock(&archive->lock);
}

kd_status kd_archive_read_status(kd_ctx *ctx, kd_arena *arena, kd_archive *archive,
                                 kd_archive_status *out_status)
{
    char directory[sizeof archive->directory_text], error[sizeof archive->error_text];
    kd_mutex_lock(&archive->lock);
    *out_status = archive->status;
    memcpy(directory, archive->directory_text, sizeof directory);
    memcpy(error, archive->error_text, sizeof error);
    kd_mutex_unlock(&archive->lock);
    kd_wal *log = kd_storage_log(archive->storage);
    out_status->log_position = log == NULL ? 0 : kd_wal_durable_position(log);
    if (out_status->state == KD_ARCHIVE_FOLLOWING || out_status->state == KD_ARCHIVE_FAILING)
        out_status->kept_bytes = kd_storage_archive_kept_bytes(archive->storage);
    out_status->directory =
        directory[0] == '\0' ? NULL : kd_copy_text(ctx, arena, directory, strlen(directory));
    out_status->error = error[0] == '\0' ? NULL : kd_copy_text(ctx, arena, error, strlen(error));
    bool is_whole = (directory[0] == '\0' || out_status->directory != NULL) &&
                    (error[0] == '\0' || out_status->error != NULL);
    return is_whole ? KD_OK : KD_NOMEM;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static bool is_on(const kd_archive *archive)
{
    return archive->arena != NULL && !archive->note.is_given_up;
}

/* From now on nothing is kept for it; the next opening must know that too. */
static kd_status give_up(kd_ctx *ctx, kd_archive *archive)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "archive", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kdi_archive_note note = archive->note;
    note.is_given_up = true;
    kd_status status = note_write(ctx, arena, archive, &note);
    if (status != KD_OK) {
        kd_error_clear(ctx); /* The disk is full: what is away needs no room. */
        status = note_remove(ctx, arena, archive);
    }
    kd_arena_destroy(arena);
    KD_TRY(status);
    archive->note.is_given_up = true;
    kd_storage_archive_end(archive->storage);
    return KD_OK;
}

/* The log that comes next is gone, or so much is kept that the database's disk may fill. */
static bool is_hopeless(const kd_archive *archive)
{
    kd_wal_statistics log = kd_wal_read_statistics(kd_storage_log(archive->storage));
    return (archive->is_open && archive->at.position < log.oldest_position) ||
           kd_storage_archive_kept_bytes(archive->storage) > archive->note.keep_bytes;
}

/* The turn is had. */
static kd_status step(kd_ctx *ctx, kd_archive *archive)
{
    if (!is_on(archive))
        return KD_OK;
    kd_status status = kdi_archive_follow(ctx, archive);
    if (status == KD_OK) {
        status_set(archive, KD_ARCHIVE_FOLLOWING);
        return KD_OK;
    }
    kd_error error = ctx->error;
    error_set(ctx, archive);
    kd_error_clear(ctx);
    bool is_over = is_hopeless(archive) && give_up(ctx, archive) == KD_OK;
    kd_error_clear(ctx);
    ctx->error = error;
    status_set(archive, is_over ? KD_ARCHIVE_GAP : KD_ARCHIVE_FAILING);
    return status;
}

kd_status kd_archive_step(kd_ctx *ctx, kd_archive *archive)
{
    kd_mutex_lock(&archive->turn);
    kd_status status = step(ctx, archive);
    kd_mutex_unlock(&archive->turn);
    return status;
}

static void follow_run(void *object)
{
    kd_archive *archive = object;
    kd_mutex_lock(&archive->lock);
    while (!archive->stops) {
        bool fails = archive->status.state == KD_ARCHIVE_FAILING;
        (void)kd_cond_wait(&archive->changed, &archive->lock, fails ? retry_ns : tick_ns);
        if (archive->stops)
            break;
        kd_mutex_unlock(&archive->lock);
        kd_ctx ctx = {.world = archive->world};
        if (kd_archive_step(&ctx, archive) != KD_OK)
            kd_error_clear(&ctx); /* The status says it. */
        kd_mutex_lock(&archive->lock);
    }
    kd_mutex_unlock(&archive->lock);
}

static kd_status thread_start(kd_ctx *ctx, kd_archive *archive)
{
    if (archive->no_background || archive->thread != NULL)
        return KD_OK;
    return kd_thread_start(ctx, "archive", follow_run, archive, &archive->thread);
}

static void thread_stop(kd_archive *archive)
{
    if (archive->thread == NULL)
        return;
    kd_mutex_lock(&archive->lock);
    archive->stops = true;
    kd_cond_signal(&archive->changed);
    kd_mutex_unlock(&archive->lock);
    kd_thread_join(archive->world, archive->thread);
    archive->thread = NULL;
}

/* --- Its life -------------------------------------------------------------------------------- */

static void note_drop(kd_archive *archive)
{
    kdi_archive_forget(archive);
    kdi_store_close(archive->store);
    archive->store = NULL;
    archive->part = (kdi_archive_part){0};
    kd_arena_destroy(archive->arena);
    archive->arena = NULL;
    archive->note = (kdi_archive_note){0};
    archive->begins = false;
}

/* Takes over what the note says; the texts live in the arena, which becomes the archive's. */
static void note_take(kd_archive *archive, kd_arena *arena, const kdi_archive_note *note)
{
    kdi_store_close(archive->store);
    archive->store = NULL; /* The first step opens it, so that a failure is one of a step. */
    archive->part = (kdi_archive_part){0};
    archive->arena = arena;
    archive->note = *note;
}

/* Where it was is not known any more: the database is opened without, and the status says it. */
static void note_is_lost(kd_ctx *ctx, kd_archive *archive)
{
    error_set(ctx, archive);
    kd_error_clear(ctx);
    kd_storage_archive_end(archive->storage);
    status_set(archive, KD_ARCHIVE_GAP);
}

static kd_status note_begin(kd_ctx *ctx, kd_archive *archive)
{
    kdi_archive_note note;
    kd_arena *arena = kd_arena_create(ctx, NULL, "archive", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = note_read(ctx, arena, archive, &note);
    if (status == KD_CORRUPT || status == KD_UNSUPPORTED) {
        kd_arena_destroy(arena);
        note_is_lost(ctx, archive);
        return KD_OK;
    }
    if (status == KD_OK && note.target != NULL)
        note_take(archive, arena, &note);
    if (archive->arena == NULL)
        kd_arena_destroy(arena);
    KD_TRY(status);
    if (archive->arena == NULL)
        return KD_OK;
    if (note.is_given_up)
        kd_storage_archive_end(archive->storage);
    status_set(archive, note.is_given_up ? KD_ARCHIVE_GAP : KD_ARCHIVE_FOLLOWING);
    return thread_start(ctx, archive);
}

kd_status kd_archive_create(kd_ctx *ctx, kd_storage *storage, bool no_background,
                            kd_archive **out_archive)
{
    kd_account *account = kd_governor_account(kd_storage_governor(storage));
    kd_archive *archive = KD_HEAP_NEW(ctx, account, kd_archive);
    *out_archive = NULL;
    if (archive == NULL)
        return KD_NOMEM;
    archive->world = ctx->world;
    archive->storage = storage;
    archive->account = account;
    archive->no_background = no_background;
    kd_mutex_init(&archive->turn, ctx->world);
    kd_mutex_init(&archive->lock, ctx->world);
    kd_cond_init(&archive->changed, ctx->world);
    kd_map_init(&archive->known, ctx->world, account);
    kd_status status = KD_OK;
    if (!kd_storage_is_read_only(storage))
        status = note_begin(ctx, archive);
    if (status != KD_OK) {
        kd_archive_abandon(archive);
        return status;
    }
    *out_archive = archive;
    return KD_OK;
}

void kd_archive_abandon(kd_archive *archive)
{
    if (archive == NULL)
        return;
    thread_stop(archive);
    note_drop(archive);
    kd_map_clear(&archive->known);
    kd_cond_clear(&archive->changed);
    kd_mutex_clear(&archive->lock);
    kd_mutex_clear(&archive->turn);
    kd_heap_free(archive->world, archive->account, archive);
}

void kd_archive_destroy(kd_archive *archive)
{
    if (archive == NULL)
        return;
    kd_ctx ctx = {.world = archive->world};
    thread_stop(archive);
    if (kd_archive_step(&ctx, archive) != KD_OK)
        kd_error_clear(&ctx); /* The next opening goes on where it is. */
    kd_archive_abandon(archive);
}

/* --- Starting and stopping ------------------------------------------------------------------- */

/* An archive that is in the target already, left by an earlier start, ends before the backup. */
static kd_status target_check(kd_ctx *ctx, kd_arena *arena, kd_archive *archive, const char *target)
{
    bool exists;
    kdi_backups backups;
    kdi_store *store;
    kdi_archive_reader reader = {0};
    const kdi_archive_piece *piece = NULL;
    KD_TRY(kdi_store_open(ctx, arena, target, &store));
    kd_status status = store->kind->has(ctx, store, "BACKUPS", &exists, NULL);
    kdi_store_close(store);
    if (status != KD_OK || !exists)
        return status; /* The backup says what is wrong with it. */
    status = kdi_backups_open(ctx, arena, target, KDI_BACKUPS_LOOK,
                              kd_storage_database_id(archive->storage), &backups);
    if (status == KD_OK)
        status = kdi_archive_open(ctx, arena, &backups, false, &reader);
    if (status == KD_OK)
        do {
            status = kdi_archive_next(ctx, &reader, &piece);
        } while (status == KD_OK && piece != NULL);
    kdi_archive_close(ctx, &reader);
    kdi_backups_close(ctx, &backups);
    KD_TRY(status);
    if (reader.end.position <= kd_wal_durable_position(kd_storage_log(archive->storage)))
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "55000",
                   "the archive in \"%s\" is that of another history of this database", target);
}

static kd_status start_new(kd_ctx *ctx, kd_archive *archive, kd_arena *arena, const char *target,
                           uint64_t keep_bytes)
{
    kd_backup_info info;
    kdi_archive_note note = {.target = kd_copy_text(ctx, arena, target, strlen(target)),
                             .keep_bytes = keep_bytes};
    if (note.target == NULL)
        return KD_NOMEM;
    KD_TRY(target_check(ctx, arena, archive, target));
    /* Before the backup ends: what it does not have must stay, as it does for an archive now. */
    kd_wal *log = kd_storage_log(archive->storage);
    if (!is_on(archive))
        KD_TRY(kd_storage_archive_keep(ctx, archive->storage, kd_wal_durable_position(log)));
    KD_TRY(kd_backup_take(ctx, archive->storage, target, 0, &info));
    note.backup = kd_copy_text(ctx, arena, info.id, strlen(info.id));
    if (note.backup == NULL)
        return KD_NOMEM;
    KD_TRY(note_write(ctx, arena, archive, &note));
    note_take(archive, arena, &note);
    return KD_OK;
}

/* The turn is had. */
static kd_status start(kd_ctx *ctx, kd_archive *archive, const char *target, uint64_t keep_bytes)
{
    if (is_on(archive) && strcmp(archive->note.target, target) == 0 &&
        archive->note.keep_bytes == keep_bytes)
        return step(ctx, archive);
    kd_arena *arena = kd_arena_create(ctx, NULL, "archive", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_arena *old = archive->arena;
    kd_status status = start_new(ctx, archive, arena, target, keep_bytes);
    if (status != KD_OK) {
        kd_arena_destroy(arena);
        if (!is_on(archive))
            kd_storage_archive_end(archive->storage);
        return status;
    }
    kd_arena_destroy(old);
    kdi_archive_forget(archive);
    archive->begins = false;
    archive->until_us = 0;
    return step(ctx, archive);
}

kd_status kd_archive_start(kd_ctx *ctx, kd_archive *archive, const char *target,
                           uint64_t keep_bytes)
{
    if (kd_storage_is_read_only(archive->storage))
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database is open for reading only");
    if (strchr(target, '\n') != NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "a directory of backups has no line breaks");
    kd_mutex_lock(&archive->turn);
    kd_status status =
        start(ctx, archive, target, keep_bytes == 0 ? KD_ARCHIVE_KEEP_BYTES : keep_bytes);
    if (status == KD_OK)
        status = thread_start(ctx, archive);
    kd_mutex_unlock(&archive->turn);
    return status;
}

/* The turn is had. */
static kd_status stop(kd_ctx *ctx, kd_archive *archive)
{
    if (step(ctx, archive) != KD_OK)
        kd_error_clear(ctx); /* What is archived stays useful; the status says why no more. */
    kd_arena *arena = kd_arena_create(ctx, NULL, "archive", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = note_remove(ctx, arena, archive);
    kd_arena_destroy(arena);
    KD_TRY(status);
    kd_storage_archive_end(archive->storage);
    note_drop(archive);
    status_set(archive, KD_ARCHIVE_OFF);
    return KD_OK;
}

kd_status kd_archive_stop(kd_ctx *ctx, kd_archive *archive)
{
    if (kd_storage_is_read_only(archive->storage))
        return KD_FAIL(ctx, KD_INVALID, "25006", "the database is open for reading only");
    kd_mutex_lock(&archive->turn);
    kd_status status = stop(ctx, archive);
    kd_mutex_unlock(&archive->turn);
    return status;
}
