/*
 * A store that is a directory. A name becomes what was written by renaming a scratch file.
 */
#include "backup/backup_internal.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

typedef struct path_text {
    char text[PATH_BYTES];
} path_text;

struct kdi_stored {
    kd_file *file;
    kd_arena *arena;
};

struct kdi_storing {
    kd_arena *arena; /* Its own. */
    kd_file *file;
    uint64_t offset;
    path_text scratch, path;
};

static kd_status path_make(kd_ctx *ctx, const kdi_store *store, const char *name, path_text *out)
{
    const char *slash = name[0] == '\0' ? "" : "/";
    int length = snprintf(out->text, sizeof out->text, "%s%s%s", store->target, slash, name);
    if (length < 0 || (size_t)length >= sizeof out->text)
        return KD_FAIL(ctx, KD_INVALID, "22023", "the path of \"%s\" is too long", name);
    return KD_OK;
}

static void directory_close(kdi_store *store)
{
    (void)store;
}

/* --- The directory --------------------------------------------------------------------------- */

static kd_status directory_exists(kd_ctx *ctx, kdi_store *store, bool *out_exists)
{
    return ctx->world->path_exists(ctx, store->target, out_exists);
}

static kd_status directory_make(kd_ctx *ctx, kdi_store *store, const char *folder)
{
    path_text path;
    KD_TRY(path_make(ctx, store, folder, &path));
    kd_arena *arena = kd_arena_create(ctx, NULL, "directory", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = kdi_directory_make(ctx, arena, path.text);
    kd_arena_destroy(arena);
    return status;
}

static kd_status directory_settle(kd_ctx *ctx, kdi_store *store, const char *folder)
{
    path_text path;
    KD_TRY(path_make(ctx, store, folder, &path));
    return ctx->world->directory_sync(ctx, path.text);
}

static kd_status directory_list(kd_ctx *ctx, kdi_store *store, const char *folder,
                                kd_status (*visit)(kd_ctx *ctx, void *object,
                                                   const kd_directory_entry *entry),
                                void *object)
{
    path_text path;
    bool exists;
    KD_TRY(path_make(ctx, store, folder, &path));
    KD_TRY(ctx->world->path_exists(ctx, path.text, &exists));
    return exists ? ctx->world->directory_list(ctx, path.text, visit, object) : KD_OK;
}

/* A lock is the file itself, open. */
static kd_status directory_lock(kd_ctx *ctx, kdi_store *store, const char *name, bool writes,
                                kdi_store_lock **out_lock)
{
    path_text path;
    bool exists;
    kd_file *file;
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_LOCK;
    *out_lock = NULL;
    KD_TRY(path_make(ctx, store, name, &path));
    if (!writes) {
        KD_TRY(ctx->world->path_exists(ctx, path.text, &exists));
        if (!exists)
            return KD_OK; /* A copy of the backups somewhere, to which nobody adds. */
        flags = KD_FILE_READ | KD_FILE_LOCK;
    }
    KD_TRY(ctx->world->file_open(ctx, path.text, flags, &file));
    *out_lock = (kdi_store_lock *)file;
    return KD_OK;
}

static void directory_unlock(kd_ctx *ctx, kdi_store *store, kdi_store_lock *lock)
{
    (void)store;
    ctx->world->file_close(ctx->world, (kd_file *)lock);
}

/* --- Names ----------------------------------------------------------------------------------- */

static kd_status directory_has(kd_ctx *ctx, kdi_store *store, const char *name, bool *out_has,
                               uint64_t *out_bytes)
{
    path_text path;
    kd_file *file;
    *out_has = false;
    KD_TRY(path_make(ctx, store, name, &path));
    KD_TRY(ctx->world->path_exists(ctx, path.text, out_has));
    if (!*out_has || out_bytes == NULL)
        return KD_OK;
    KD_TRY(ctx->world->file_open(ctx, path.text, KD_FILE_READ, &file));
    kd_status status = ctx->world->file_size(ctx, file, out_bytes);
    ctx->world->file_close(ctx->world, file);
    return status;
}

static kd_status directory_remove(kd_ctx *ctx, kdi_store *store, const char *name)
{
    path_text path;
    KD_TRY(path_make(ctx, store, name, &path));
    return ctx->world->path_remove(ctx, path.text);
}

static kd_status directory_put(kd_ctx *ctx, kdi_store *store, const char *name, kd_slice bytes)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "small file", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = kdi_file_replace(ctx, arena, store->target, name, bytes);
    kd_arena_destroy(arena);
    return status;
}

/* --- Reading --------------------------------------------------------------------------------- */

static kd_status directory_read_open(kd_ctx *ctx, kdi_store *store, const char *name,
                                     kdi_stored **out_stored)
{
    path_text path;
    *out_stored = NULL;
    KD_TRY(path_make(ctx, store, name, &path));
    kd_arena *arena = kd_arena_create(ctx, NULL, "stored file", KD_ARENA_UNLIMITED);
    kdi_stored *stored = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_stored);
    kd_status status = stored == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK)
        status = ctx->world->file_open(ctx, path.text, KD_FILE_READ, &stored->file);
    if (status != KD_OK) {
        kd_arena_destroy(arena);
        return status;
    }
    stored->arena = arena;
    *out_stored = stored;
    return KD_OK;
}

static kd_status directory_read(kd_ctx *ctx, kdi_stored *stored, uint64_t offset, void *target,
                                size_t size_bytes, size_t *out_read_bytes)
{
    return ctx->world->file_read(ctx, stored->file, offset, target, size_bytes, out_read_bytes);
}

static kd_status directory_size(kd_ctx *ctx, kdi_stored *stored, uint64_t *out_bytes)
{
    return ctx->world->file_size(ctx, stored->file, out_bytes);
}

static void directory_read_close(kd_ctx *ctx, kdi_stored *stored)
{
    if (stored == NULL)
        return;
    ctx->world->file_close(ctx->world, stored->file);
    kd_arena_destroy(stored->arena);
}

/* --- Writing --------------------------------------------------------------------------------- */

static kd_status storing_begin(kd_ctx *ctx, kdi_store *store, const char *name, const char *scratch,
                               kdi_storing *storing)
{
    KD_TRY(path_make(ctx, store, name, &storing->path));
    KD_TRY(path_make(ctx, store, scratch, &storing->scratch));
    return ctx->world->file_open(ctx, storing->scratch.text,
                                 KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &storing->file);
}

static kd_status directory_write_open(kd_ctx *ctx, kdi_store *store, const char *name,
                                      const char *scratch, kdi_storing **out_storing)
{
    *out_storing = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "file under way", KD_ARENA_UNLIMITED);
    kdi_storing *storing = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_storing);
    kd_status status = storing == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK)
        status = storing_begin(ctx, store, name, scratch, storing);
    if (status != KD_OK) {
        kd_arena_destroy(arena);
        return status;
    }
    storing->arena = arena;
    *out_storing = storing;
    return KD_OK;
}

static kd_status directory_write(kd_ctx *ctx, kdi_storing *storing, const void *bytes,
                                 size_t size_bytes)
{
    KD_TRY(ctx->world->file_write(ctx, storing->file, storing->offset, bytes, size_bytes));
    storing->offset += size_bytes;
    return KD_OK;
}

static kd_status directory_write_finish(kd_ctx *ctx, kdi_storing *storing)
{
    KD_TRY(ctx->world->file_sync(ctx, storing->file));
    ctx->world->file_close(ctx->world, storing->file);
    storing->file = NULL;
    return ctx->world->path_rename(ctx, storing->scratch.text, storing->path.text);
}

static void directory_write_close(kd_ctx *ctx, kdi_storing *storing)
{
    if (storing == NULL)
        return;
    if (storing->file != NULL) {
        kd_ctx own = {.world = ctx->world};
        ctx->world->file_close(ctx->world, storing->file);
        if (ctx->world->path_remove(&own, storing->scratch.text) != KD_OK)
            kd_error_clear(&own); /* The next one overwrites it. */
    }
    kd_arena_destroy(storing->arena);
}

static const kdi_store_kind directory_kind = {
    .close = directory_close,
    .exists = directory_exists,
    .make = directory_make,
    .settle = directory_settle,
    .list = directory_list,
    .lock = directory_lock,
    .unlock = directory_unlock,
    .has = directory_has,
    .remove = directory_remove,
    .put = directory_put,
    .read_open = directory_read_open,
    .read = directory_read,
    .size = directory_size,
    .read_close = directory_read_close,
    .write_open = directory_write_open,
    .write = directory_write,
    .write_finish = directory_write_finish,
    .write_close = directory_write_close,
};

kd_status kdi_store_directory_open(kd_ctx *ctx, kd_arena *arena, const char *target,
                                   kdi_store **out_store)
{
    *out_store = KD_NEW(ctx, arena, kdi_store);
    if (*out_store == NULL)
        return KD_NOMEM;
    **out_store = (kdi_store){.kind = &directory_kind, .target = target};
    return KD_OK;
}
