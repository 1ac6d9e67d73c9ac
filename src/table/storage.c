/*
 * Opening and closing a database's storage.
 */
#include "table/storage.h"

#include "table/checkpoint.h"
#include "table/upkeep.h"

#include <stdio.h>
#include <string.h>

enum { CACHE_SHARE = 4 }; /* The block cache gets a quarter of the budget. */

static const uint64_t checkpoint_ns_usual = 300u * UINT64_C(1000000000);

static void storage_free(kd_storage *storage)
{
    kd_world *world = storage->world;
    kd_account *account = kd_governor_account(storage->governor);
    kd_arena_destroy(storage->arena);
    kd_mutex_clear(&storage->structure);
    kd_mutex_clear(&storage->checkpoint);
    kd_mutex_clear(&storage->serial);
    kd_mutex_clear(&storage->doomed_lock);
    kd_mutex_clear(&storage->damages.lock);
    kd_heap_free(world, &storage->account, storage->damages.records);
    kd_mutex_clear(&storage->upkeep_lock);
    kd_cond_clear(&storage->upkeep_cond);
    kdi_directory_clear(&storage->tables);
    kdi_directory_clear(&storage->sequences);
    kd_heap_free(world, account, storage);
}

/* Everything in memory; the log was closed or abandoned. */
static void storage_destroy(kd_storage *storage)
{
    kd_world *world = storage->world;
    if (storage->txns != NULL)
        kd_txn_reclaim(storage->txns);
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++)
        kdi_table_destroy(kdi_directory_find(&storage->tables, i));
    end = atomic_load(&storage->sequences.end);
    for (uint64_t i = 0; i < end; i++)
        kdi_sequence_destroy(kdi_directory_find(&storage->sequences, i));
    kdi_serial_clear(storage);
    kd_txn_manager_destroy(storage->txns);
    kdi_doomed_free(storage, storage->doomed, false);
    kd_block_cache_destroy(storage->cache);
    if (storage->lock_file != NULL)
        world->file_close(world, storage->lock_file);
    storage_free(storage);
}

static char *path_in(kd_ctx *ctx, kd_storage *storage, const char *name)
{
    return kd_format_text(ctx, storage->arena, "%s/%s", storage->options.directory, name);
}

static kd_status storage_make(kd_ctx *ctx, const kd_storage_options *options,
                              kd_storage **out_storage)
{
    kd_account *account = kd_governor_account(options->governor);
    kd_storage *storage = KD_HEAP_NEW(ctx, account, kd_storage);
    *out_storage = storage;
    if (storage == NULL)
        return KD_NOMEM;
    storage->world = ctx->world;
    storage->options = *options;
    atomic_init(&storage->checkpoint_at_ns, ctx->world->monotonic_ns(ctx->world));
    kd_storage_set_checkpoint_ns(storage, options->checkpoint_ns);
    storage->governor = options->governor;
    kd_account_init(&storage->account, account, "storage", SIZE_MAX);
    kd_mutex_init(&storage->structure, ctx->world);
    kd_mutex_init(&storage->checkpoint, ctx->world);
    kd_mutex_init(&storage->serial, ctx->world);
    kd_mutex_init(&storage->doomed_lock, ctx->world);
    kd_mutex_init(&storage->damages.lock, ctx->world);
    kd_mutex_init(&storage->upkeep_lock, ctx->world);
    kd_cond_init(&storage->upkeep_cond, ctx->world);
    kdi_directory_init(&storage->tables, storage);
    kdi_directory_init(&storage->sequences, storage);
    atomic_store(&storage->archived_position, UINT64_MAX);
    atomic_store(&storage->next_unit, 1);
    atomic_store(&storage->next_table_no, 1);
    atomic_store(&storage->next_sequence_no, 1);
    atomic_store(&storage->next_index_no, 1);
    storage->arena = kd_arena_create(ctx, NULL, "storage", KD_ARENA_UNLIMITED);
    if (storage->arena == NULL)
        return KD_NOMEM;
    storage->directory =
        kd_copy_text(ctx, storage->arena, options->directory, strlen(options->directory));
    storage->units_directory = path_in(ctx, storage, "units");
    storage->wal_directory = path_in(ctx, storage, "wal");
    if (storage->directory == NULL || storage->units_directory == NULL ||
        storage->wal_directory == NULL)
        return KD_NOMEM;
    storage->options.directory = storage->directory;
    return KD_OK;
}

/* --- The directory --------------------------------------------------------------------------- */

typedef struct directory_look {
    bool has_lock;
    bool has_other;
} directory_look;

static kd_status entry_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    (void)ctx;
    directory_look *look = object;
    if (strcmp(entry->name, "LOCK") == 0)
        look->has_lock = true;
    else if (strcmp(entry->name, "ROOT.new") != 0 && strcmp(entry->name, ".") != 0 &&
             strcmp(entry->name, "..") != 0)
        look->has_other = true;
    return KD_OK;
}

/* Whether a database may be made here: nothing is there, or what a crash left of making one. */
static kd_status may_create(kd_ctx *ctx, kd_storage *storage, bool *out_may)
{
    bool exists;
    directory_look look = {0};
    *out_may = false;
    char *root = path_in(ctx, storage, "ROOT");
    if (root == NULL)
        return KD_NOMEM;
    KD_TRY(ctx->world->path_exists(ctx, storage->directory, &exists));
    if (!exists) {
        *out_may = true;
        return KD_OK;
    }
    KD_TRY(ctx->world->path_exists(ctx, root, &exists));
    if (exists)
        return KD_OK;
    KD_TRY(ctx->world->directory_list(ctx, storage->directory, entry_look, &look));
    *out_may = !look.has_other;
    return KD_OK;
}

static kd_status lock_take(kd_ctx *ctx, kd_storage *storage)
{
    char *path = path_in(ctx, storage, "LOCK");
    if (path == NULL)
        return KD_NOMEM;
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_LOCK;
    if (storage->options.read_only) {
        bool exists;
        KD_TRY(ctx->world->path_exists(ctx, path, &exists));
        if (!exists)
            return KD_OK; /* Nobody can have it open for writing. */
        flags = KD_FILE_READ | KD_FILE_LOCK;
    }
    return ctx->world->file_open(ctx, path, flags, &storage->lock_file);
}

/* Makes the directory, and its name durable in the one above. */
static kd_status directory_make(kd_ctx *ctx, kd_storage *storage)
{
    const char *path = storage->directory;
    size_t size_bytes = strlen(path);
    while (size_bytes > 1 && path[size_bytes - 1] == '/')
        size_bytes--;
    while (size_bytes > 0 && path[size_bytes - 1] != '/')
        size_bytes--;
    while (size_bytes > 1 && path[size_bytes - 1] == '/')
        size_bytes--;
    KD_TRY(ctx->world->directory_create(ctx, path));
    if (size_bytes == 0)
        return ctx->world->directory_sync(ctx, ".");
    const char *above = kd_copy_text(ctx, storage->arena, path, size_bytes);
    return above == NULL ? KD_NOMEM : ctx->world->directory_sync(ctx, above);
}

static kd_status database_create(kd_ctx *ctx, kd_storage *storage)
{
    if (storage->options.read_only)
        return KD_FAIL(ctx, KD_INVALID, "58P01", "there is no database in \"%s\"",
                       storage->directory);
    do {
        storage->database_id = ctx->world->random_u64(ctx->world);
    } while (storage->database_id == 0);
    return kdi_root_write_first(ctx, storage);
}

static kd_status root_get(kd_ctx *ctx, kd_storage *storage, kd_root *out_root)
{
    bool may, found;
    KD_TRY(may_create(ctx, storage, &may));
    if (may && !storage->options.read_only)
        KD_TRY(directory_make(ctx, storage));
    if (!may)
        KD_TRY(kd_root_read(ctx, storage->arena, storage->directory, out_root, &found));
    if (!may || !storage->options.read_only)
        KD_TRY(lock_take(ctx, storage));
    /* Again under the lock: whoever had it may have made the database or written its root. */
    KD_TRY(may_create(ctx, storage, &may));
    if (may)
        KD_TRY(database_create(ctx, storage));
    KD_TRY(kd_root_read(ctx, storage->arena, storage->directory, out_root, &found));
    if (!found)
        return KD_FAIL(ctx, KD_INVALID, "58P01", "there is no database in \"%s\"",
                       storage->directory);
    storage->database_id = out_root->database_id;
    storage->root_generation = out_root->generation;
    if (storage->options.read_only)
        return KD_OK;
    KD_TRY(ctx->world->directory_create(ctx, storage->units_directory));
    KD_TRY(ctx->world->directory_create(ctx, storage->wal_directory));
    return ctx->world->directory_sync(ctx, storage->directory);
}

/* --- Opening --------------------------------------------------------------------------------- */

static kd_status storage_start(kd_ctx *ctx, kd_storage *storage)
{
    kd_root root;
    size_t budget = kd_governor_budget_bytes(storage->governor);
    KD_TRY(root_get(ctx, storage, &root));
    KD_TRY(kd_block_cache_create(ctx, &storage->account, budget / CACHE_SHARE, &storage->cache));
    storage->files = (kd_segment_options){.directory = storage->units_directory,
                                          .cache = storage->cache,
                                          .database_id = storage->database_id,
                                          .account = &storage->account};
    KD_TRY(kd_txn_manager_create(ctx, &storage->account, &storage->txns));
    if (storage->options.redo_stream_bytes != 0)
        kd_txn_manager_stream_above(storage->txns, storage->options.redo_stream_bytes);
    KD_TRY(kdi_recover(ctx, storage, root.body));
    if (storage->options.read_only)
        return KD_OK;
    KD_TRY(kdi_archive_expect(ctx, storage));
    KD_TRY(kdi_orphans_remove(ctx, storage));
    return storage->options.no_background ? KD_OK : kdi_upkeep_start(ctx, storage);
}

kd_status kd_storage_open(kd_ctx *ctx, const kd_storage_options *options, kd_storage **out_storage)
{
    kd_storage *storage;
    *out_storage = NULL;
    kd_status status = storage_make(ctx, options, &storage);
    if (storage == NULL)
        return KD_NOMEM;
    if (status == KD_OK)
        status = storage_start(ctx, storage);
    if (status != KD_OK) {
        kd_storage_abandon(storage);
        return status;
    }
    *out_storage = storage;
    return KD_OK;
}

void kd_storage_abandon(kd_storage *storage)
{
    if (storage == NULL)
        return;
    kdi_upkeep_stop(storage);
    kd_wal_abandon(storage->world, storage->wal);
    storage_destroy(storage);
}

/* Something was logged that the root does not say. */
static bool has_news(const kd_storage *storage)
{
    return !storage->options.read_only &&
           (storage->settled_position == 0 ||
            kd_wal_read_statistics(storage->wal).next_position != storage->settled_position);
}

kd_status kd_storage_close(kd_ctx *ctx, kd_storage *storage)
{
    kdi_upkeep_stop(storage);
    kd_status status = KD_OK;
    if (has_news(storage))
        status = kdi_checkpoint(ctx, storage);
    if (status != KD_OK) {
        /* What was committed is in the log; the next opening finds it there. */
        kd_wal_abandon(storage->world, storage->wal);
        storage_destroy(storage);
        return status;
    }
    kd_wal *wal = storage->wal;
    storage->wal = NULL;
    status = kd_wal_close(ctx, wal);
    storage_destroy(storage);
    return status;
}

/* --- What others ask ------------------------------------------------------------------------- */

kd_txn_manager *kd_storage_txns(kd_storage *storage)
{
    return storage->txns;
}

kd_governor *kd_storage_governor(kd_storage *storage)
{
    return storage->governor;
}

uint64_t kd_storage_database_id(const kd_storage *storage)
{
    return storage->database_id;
}

kd_wal *kd_storage_log(kd_storage *storage)
{
    return storage->options.read_only ? NULL : storage->wal;
}

const char *kd_storage_directory(const kd_storage *storage)
{
    return storage->directory;
}

bool kd_storage_is_read_only(const kd_storage *storage)
{
    return storage->options.read_only;
}

void kd_storage_set_cache_bytes(kd_storage *storage, uint64_t cache_bytes)
{
    kd_block_cache_set_budget(storage->cache, cache_bytes);
}

void kd_storage_set_checkpoint_ns(kd_storage *storage, uint64_t checkpoint_ns)
{
    atomic_store(&storage->checkpoint_ns, checkpoint_ns == 0 ? checkpoint_ns_usual : checkpoint_ns);
}

kd_status kd_storage_checkpoint(kd_ctx *ctx, kd_storage *storage)
{
    KD_TRY(kdi_flush_large(ctx, storage));
    KD_TRY(kdi_marks_shrink(ctx, storage));
    return kdi_checkpoint(ctx, storage);
}

static uint64_t row_count(kd_storage *storage, uint64_t end)
{
    uint64_t rows = 0;
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kd_table_find(storage, i);
        if (table != NULL && atomic_load(&table->dropped) == KD_STAMP_NONE)
            rows += kd_table_row_count_estimate(table);
    }
    return rows;
}

static kd_status flush_one(kd_ctx *ctx, kd_storage *storage, uint64_t number, bool compact)
{
    kd_table *table = kd_table_find(storage, number);
    if (table == NULL || atomic_load(&table->dropped) != KD_STAMP_NONE)
        return KD_OK;
    KD_TRY(kd_table_flush(ctx, table));
    return compact ? kd_table_compact(ctx, table) : KD_OK;
}

/* Each table is pinned for its turn: one that is dropped meanwhile stays in memory, and what the
 * turns before replaced does not. */
kd_status kd_storage_flush(kd_ctx *ctx, kd_storage *storage, bool compact)
{
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
    uint64_t end = atomic_load(&storage->tables.end);
    kd_progress_begin(ctx, compact ? "compact" : "flush", row_count(storage, end));
    kd_txn_unpin(storage->txns, pin);
    for (uint64_t i = 0; i < end; i++) {
        KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
        kd_status status = flush_one(ctx, storage, i, compact);
        kd_txn_unpin(storage->txns, pin);
        KD_TRY(status);
    }
    return KD_OK;
}

/* Pinned: a table that a rollback takes away stays in memory. 0 where no pin is to be had. */
static uint64_t index_bytes(kd_storage *storage)
{
    uint64_t bytes = 0;
    uint32_t pin;
    kd_ctx ctx = {.world = storage->world};
    if (kd_txn_pin(&ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin) != KD_OK)
        return 0;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kd_table_find(storage, i);
        const kdi_index_list *list = table == NULL ? NULL : atomic_load(&table->indexes);
        for (uint32_t k = 0; list != NULL && k < list->count; k++)
            bytes += kd_index_memory_bytes(list->items[k]->index);
    }
    kd_txn_unpin(storage->txns, pin);
    return bytes;
}

kd_storage_statistics kd_storage_read_statistics(kd_storage *storage)
{
    kd_wal_statistics wal = kd_wal_read_statistics(storage->wal);
    return (kd_storage_statistics){.segment_bytes = atomic_load(&storage->segment_bytes),
                                   .segment_count = atomic_load(&storage->segment_count),
                                   .delta_bytes = atomic_load(&storage->delta_bytes),
                                   .index_bytes = index_bytes(storage),
                                   .wal_bytes = wal.next_position - wal.oldest_position,
                                   .checkpoint_count = atomic_load(&storage->checkpoint_count)};
}
