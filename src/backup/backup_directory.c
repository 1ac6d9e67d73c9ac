/*
 * The directory of backups: whose it is, which there are, who may use it.
 */
#include "backup/backup_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = ".backup";

kd_status kdi_file_read(kd_ctx *ctx, kd_arena *arena, const char *path, kd_slice *out_bytes)
{
    kd_status status = KD_OK;
    kd_file *file = NULL;
    uint64_t size_bytes;
    size_t got_bytes;
    *out_bytes = (kd_slice){0};
    KD_TRY_OUT(ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    KD_TRY_OUT(ctx->world->file_size(ctx, file, &size_bytes));
    char *bytes = kd_alloc(ctx, arena, size_bytes + 1);
    if (bytes == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(ctx->world->file_read(ctx, file, 0, bytes, size_bytes, &got_bytes));
    *out_bytes = (kd_slice){bytes, got_bytes};
out:
    ctx->world->file_close(ctx->world, file);
    return status;
}

kd_status kdi_file_replace(kd_ctx *ctx, kd_arena *arena, const char *directory, const char *name,
                           kd_slice bytes)
{
    kd_file *file;
    const char *path = kd_format_text(ctx, arena, "%s/%s", directory, name);
    const char *new_path =
        path == NULL ? NULL : kd_format_text(ctx, arena, "%s/%s.new", directory, name);
    if (new_path == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->file_open(ctx, new_path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE,
                                 &file));
    kd_status status = ctx->world->file_write(ctx, file, 0, bytes.data, bytes.size_bytes);
    if (status == KD_OK)
        status = ctx->world->file_sync(ctx, file);
    ctx->world->file_close(ctx->world, file);
    KD_TRY(status);
    KD_TRY(ctx->world->path_rename(ctx, new_path, path));
    return ctx->world->directory_sync(ctx, directory);
}

kd_status kdi_directory_make(kd_ctx *ctx, kd_arena *arena, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    const char *above = length == 0 ? "." : kd_copy_text(ctx, arena, path, length);
    if (above == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->directory_create(ctx, path));
    return ctx->world->directory_sync(ctx, above);
}

/* --- Whose it is ----------------------------------------------------------------------------- */

typedef struct listing {
    kdi_backups *backups;
    bool is_ours, has_other;
} listing;

static kd_status entry_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    listing *look = object;
    kdi_backups *backups = look->backups;
    const char *name = entry->name;
    size_t length = strlen(name), suffix_length = sizeof suffix - 1;
    if (strcmp(name, "BACKUPS") == 0)
        look->is_ours = true;
    if (length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0) {
        char **id;
        KD_TRY(KD_PUSH(ctx, backups->arena, backups->ids, backups->id_count, backups->id_capacity,
                       &id));
        *id = kd_copy_text(ctx, backups->arena, name, length - suffix_length);
        if (*id == NULL)
            return KD_NOMEM;
    }
    /* What an interrupted first backup may leave is nobody else's. */
    look->has_other |= strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                       strcmp(name, "LOCK") != 0 && strncmp(name, "LOCK.", 5) != 0 &&
                       strcmp(name, "objects") != 0 && strcmp(name, "BACKUPS.new") != 0;
    return KD_OK;
}

static int id_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static kd_status look_around(kd_ctx *ctx, kdi_backups *backups, listing *out_look)
{
    *out_look = (listing){.backups = backups};
    backups->id_count = 0;
    KD_TRY(backups->store->kind->list(ctx, backups->store, "", entry_look, out_look));
    if (backups->id_count > 1)
        qsort(backups->ids, backups->id_count, sizeof *backups->ids, id_compare);
    if (!out_look->is_ours && out_look->has_other)
        return KD_FAIL(ctx, KD_INVALID, "55000", "\"%s\" is not a directory of KadeDB backups",
                       backups->target);
    return KD_OK;
}

static kd_status owner_write(kd_ctx *ctx, const kdi_backups *backups)
{
    kd_buffer text = kd_buffer_in(backups->arena);
    KD_TRY(kd_buffer_append_format(ctx, &text, "KADE BACKUPS 1\ndatabase %016" PRIx64 "\n",
                                   backups->database_id));
    KD_TRY(kdi_text_seal(ctx, &text));
    return backups->store->kind->put(ctx, backups->store, "BACKUPS", kd_buffer_slice(&text));
}

static kd_status owner_read(kd_ctx *ctx, kdi_backups *backups, uint64_t expected_id)
{
    kd_slice text;
    kd_reader lines;
    char *words[6];
    uint32_t count;
    const char *path = kd_format_text(ctx, backups->arena, "%s/BACKUPS", backups->target);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_store_get(ctx, backups->arena, backups->store, "BACKUPS", &text));
    KD_TRY(kdi_text_open(ctx, path, text, "KADE BACKUPS 1", &lines));
    KD_TRY(kdi_line_next(ctx, backups->arena, &lines, words, &count));
    if (count != 2 || strcmp(words[0], "database") != 0)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "file \"%s\" is damaged", path);
    backups->database_id = strtoull(words[1], NULL, 16);
    if (expected_id != 0 && backups->database_id != expected_id)
        return KD_FAIL(ctx, KD_INVALID, "55000", "\"%s\" holds backups of another database",
                       backups->target);
    return KD_OK;
}

/* --- Opening --------------------------------------------------------------------------------- */

static kd_status lock_take(kd_ctx *ctx, kdi_backups *backups, kdi_backups_use use)
{
    kd_status status = backups->store->kind->lock(ctx, backups->store, "LOCK",
                                                  use != KDI_BACKUPS_READ, &backups->lock);
    if (status != KD_OK && strcmp(ctx->error.sqlstate, "55006") == 0 &&
        !backups->store->is_remote) {
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_INVALID, "55006", "the backups in \"%s\" are in use by another run",
                       backups->target);
    }
    return status;
}

static kd_status none_there(kd_ctx *ctx, const char *target)
{
    return KD_FAIL(ctx, KD_INVALID, "58P01", "there are no backups in \"%s\"", target);
}

kd_status kdi_backups_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_backups_use use,
                           uint64_t database_id, kdi_backups *out)
{
    listing look;
    bool exists;
    *out = (kdi_backups){.arena = arena, .target = target};
    KD_TRY(kdi_store_open(ctx, arena, target, &out->store));
    const kdi_store_kind *kind = out->store->kind;
    KD_TRY(kind->exists(ctx, out->store, &exists));
    if (!exists && use != KDI_BACKUPS_MAKE)
        return none_there(ctx, target);
    if (!exists)
        KD_TRY(kind->make(ctx, out->store, ""));
    KD_TRY(look_around(ctx, out, &look));
    if (!look.is_ours && use != KDI_BACKUPS_MAKE)
        return none_there(ctx, target);
    if (use != KDI_BACKUPS_LOOK)
        KD_TRY(lock_take(ctx, out, use));
    KD_TRY(look_around(ctx, out, &look)); /* Again: whoever had the lock may have added one. */
    if (look.is_ours)
        return owner_read(ctx, out, database_id);
    out->database_id = database_id;
    KD_TRY(kind->make(ctx, out->store, "")); /* Also one that a crash left. */
    KD_TRY(kind->make(ctx, out->store, "objects"));
    return owner_write(ctx, out);
}

void kdi_backups_close(kd_ctx *ctx, kdi_backups *backups)
{
    if (backups->store != NULL)
        backups->store->kind->unlock(ctx, backups->store, backups->lock);
    kdi_store_close(backups->store);
    backups->lock = NULL;
    backups->store = NULL;
}

kd_status kdi_backups_find(kd_ctx *ctx, const kdi_backups *backups, const char *id,
                           const char **out_id)
{
    *out_id = NULL;
    if (id == NULL && backups->id_count > 0)
        *out_id = backups->ids[backups->id_count - 1];
    for (size_t i = 0; id != NULL && i < backups->id_count; i++)
        if (strcmp(backups->ids[i], id) == 0)
            *out_id = backups->ids[i];
    if (*out_id != NULL)
        return KD_OK;
    if (id == NULL)
        return KD_FAIL(ctx, KD_INVALID, "58P01", "there are no backups in \"%s\"", backups->target);
    return KD_FAIL(ctx, KD_INVALID, "58P01", "there is no backup \"%s\" in \"%s\"", id,
                   backups->target);
}
