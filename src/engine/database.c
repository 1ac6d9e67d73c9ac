/*
 * Opening and closing databases.
 */
#include "engine/engine_internal.h"

#include "backup/archive.h"
#include "builtin/builtin.h"
#include "engine/advisory_lock.h"
#include "engine/configuration.h"
#include "engine/notify.h"
#include "engine/result_cache.h"
#include "engine/sample_store.h"
#include "engine/schema_change.h"
#include "engine/statement_log.h"
#include "engine/view_content.h"
#include "engine/watchdog.h"

#include <assert.h>
#include <stdio.h>

static const char memory_path[] = ":memory:";
enum { BULK_BYTES_MIN = 4 << 20 }; /* COPY of smaller files stays in the delta. */

/* The last part of the path without ".kade": what current_database() says. */
static void name_from_path(kd_database *database, const char *path)
{
    const char *start = path;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (size_t i = 0; i + 1 < length; i++)
        if (path[i] == '/')
            start = path + i + 1;
    length -= (size_t)(start - path);
    if (length > 5 && memcmp(start + length - 5, ".kade", 5) == 0)
        length -= 5;
    (void)snprintf(database->name, sizeof database->name, "%.*s", (int)length, start);
}

static kd_status check_exists(kd_ctx *ctx, const char *path)
{
    bool exists = false;
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    if (!exists)
        return KD_FAIL(ctx, KD_INVALID, "3D000", "database \"%s\" does not exist", path);
    return KD_OK;
}

static kd_status open_storage(kd_ctx *ctx, kd_database *database,
                              const kd_database_options *options)
{
    kd_storage_options storage_options = {
        .directory = database->path,
        .read_only = options->read_only,
        .governor = database->governor,
        .no_sync = options->no_sync,
        .no_background = options->no_background,
        .wal_file_bytes = options->wal_file_bytes,
        .wal_buffer_bytes = kdi_configuration_limits(database->configuration).wal_buffer_bytes,
        .checkpoint_log_bytes = options->checkpoint_log_bytes,
        .delta_flush_bytes = options->delta_flush_bytes,
        .index_entries_in_memory = options->index_entries_in_memory,
        .redo_stream_bytes = options->redo_stream_bytes,
    };
    return kd_storage_open(ctx, &storage_options, &database->storage);
}

static kd_status open_parts(kd_ctx *ctx, kd_database *database, const kd_database_options *options)
{
    unsigned workers = options->worker_count != 0 ? options->worker_count
                                                  : ctx->world->processor_count(ctx->world);
    database->governor = kd_governor_create(ctx, options->memory_budget_bytes);
    if (database->governor == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_notify_open(ctx, database));
    KD_TRY(kdi_advisory_open(ctx, database));
    KD_TRY(kdi_result_cache_create(ctx, database, &database->results));
    KD_TRY(kdi_view_contents_create(ctx, database, &database->views));
    KD_TRY(kdi_configuration_open(ctx, database, options->settings, &database->configuration));
    KD_TRY(open_storage(ctx, database, options));
    if (!database->is_memory)
        KD_TRY(
            kd_archive_create(ctx, database->storage, options->no_background, &database->archive));
    kdi_configuration_apply(database);
    KD_TRY(kd_registry_create(ctx, database->arena, &database->registry));
    KD_TRY(kd_builtin_register(ctx, database->registry));
    KD_TRY(kdi_register_session_functions(ctx, database->registry));
    KD_TRY(kd_catalog_open(ctx, database->arena, database->storage, database->registry,
                           &database->catalog));
    KD_TRY(kd_workers_create(ctx, workers, &database->workers));
    KD_TRY(kdi_sample_store_create(ctx, database->arena, database->storage, &database->samples));
    KD_TRY(kdi_drop_stale_schemas(ctx, database));
    return kdi_schema_changes_open(ctx, database);
}

/* Everything but the storage, which its caller has closed. */
static void release(kd_database *database)
{
    kd_world *world = database->world;
    bool is_memory = database->is_memory;
    kdi_watch_stop(database);
    kdi_notify_close(database);
    kdi_advisory_close(database);
    kdi_statement_log_destroy(database->statement_log);
    kdi_configuration_close(database->configuration);
    kdi_sample_store_destroy(database->samples);
    kd_workers_destroy(database->workers);
    kdi_result_cache_destroy(database->results);
    kd_governor_destroy(database->governor);
    kd_cond_clear(&database->session_ended);
    kd_cond_clear(&database->watch_changed);
    kd_mutex_clear(&database->watch_mutex);
    kd_mutex_clear(&database->mutex);
    kd_arena_destroy(database->arena);
    if (is_memory)
        kd_world_memory_destroy(world);
}

/* `world`: the caller's, or one in memory that the database owns. */
static kd_status create(kd_ctx *ctx, kd_world *world, const char *path,
                        const kd_database_options *options, kd_database **out_database)
{
    kd_ctx own = {.world = world, .cancelled = ctx->cancelled};
    *out_database = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "database", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_database *database = KD_NEW(ctx, arena, kd_database);
    char *path_copy = database == NULL ? NULL : kd_copy_text(ctx, arena, path, strlen(path));
    char *spill =
        path_copy == NULL ? NULL
        : options->temp_directory != NULL
            ? kd_copy_text(ctx, arena, options->temp_directory, strlen(options->temp_directory))
            : kd_format_text(ctx, arena, "%s/tmp", path);
    if (spill == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    database->world = world;
    database->arena = arena;
    database->path = path_copy;
    database->spill_directory = spill;
    database->read_only = options->read_only;
    database->durability = options->durability;
    database->bulk_bytes_min =
        options->bulk_bytes_min != 0 ? options->bulk_bytes_min : BULK_BYTES_MIN;
    database->is_memory = world != ctx->world;
    name_from_path(database, database->is_memory ? "memory" : path);
    kd_mutex_init(&database->mutex, world);
    kd_mutex_init(&database->watch_mutex, world);
    kd_cond_init(&database->watch_changed, world);
    kd_cond_init(&database->session_ended, world);
    kd_status status = kdi_statement_log_create(ctx, database, &database->statement_log);
    if (status == KD_OK)
        status = open_parts(&own, database, options);
    else
        own.error = ctx->error;
    if (status != KD_OK) {
        ctx->error = own.error;
        database->is_memory = false; /* The caller still owns the world. */
        kdi_view_contents_destroy(database->views);
        kd_catalog_close(database->catalog);
        kd_archive_abandon(database->archive);
        if (database->storage != NULL)
            kd_storage_abandon(database->storage);
        release(database);
        return status;
    }
    *out_database = database;
    return KD_OK;
}

kd_status kd_database_open(kd_ctx *ctx, const char *path, const kd_database_options *options,
                           kd_database **out_database)
{
    static const kd_database_options defaults = {0};
    *out_database = NULL;
    if (options == NULL)
        options = &defaults;
    if (strcmp(path, memory_path) != 0) {
        if (options->must_exist || options->read_only)
            KD_TRY(check_exists(ctx, path));
        return create(ctx, ctx->world, path, options, out_database);
    }
    kd_world *memory = kd_world_memory_create(ctx, ctx->world);
    if (memory == NULL)
        return KD_NOMEM;
    kd_status status = create(ctx, memory, "memory", options, out_database);
    if (status != KD_OK)
        kd_world_memory_destroy(memory);
    return status;
}

static void end_sessions(kd_database *database)
{
    while (database->first_session != NULL)
        kd_session_close(database->first_session);
}

kd_status kd_database_close(kd_ctx *ctx, kd_database *database)
{
    kd_ctx own = {.world = database->world};
    end_sessions(database);
    kdi_view_contents_destroy(database->views);
    kd_catalog_close(database->catalog);
    kd_archive_destroy(database->archive);
    kd_status status = kd_storage_close(&own, database->storage);
    if (status != KD_OK)
        ctx->error = own.error;
    release(database);
    return status;
}

void kd_database_abandon(kd_database *database)
{
    end_sessions(database);
    kdi_view_contents_destroy(database->views);
    kd_catalog_close(database->catalog);
    kd_archive_abandon(database->archive);
    kd_storage_abandon(database->storage);
    release(database);
}

const char *kd_database_path(const kd_database *database)
{
    return database->path;
}

const char *kd_database_name(const kd_database *database)
{
    return database->name;
}

kd_storage *kd_database_storage(kd_database *database)
{
    return database->storage;
}

kd_catalog *kd_database_catalog(kd_database *database)
{
    return database->catalog;
}

kd_registry *kd_database_registry(kd_database *database)
{
    return database->registry;
}

kd_governor *kd_database_governor(kd_database *database)
{
    return database->governor;
}
