/*
 * Upkeep in the background: flush, compact, checkpoint, let go.
 */
#include "table/upkeep.h"

#include "table/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNKS_OVER = 16,   /* So many chunks that nobody sees are dropped. */
    SEGMENTS_LOOSE = 8, /* More small segments than this are merged. */
    INDEX_SHARE = 4,    /* Of the budget: indexes with more in memory are checkpointed. */
    FLUSH_SHARE = 8,    /* Of the budget: a delta larger than this is flushed. */
};

static const uint64_t tick_ns = 100u * 1000 * 1000;
static const uint64_t flush_bytes_usual = 64u << 20;
static const uint64_t index_bytes_least = 32u << 20;
static const uint64_t checkpoint_bytes_usual = 1u << 30;
static const uint64_t checkpoint_bytes_least = 64u << 10; /* More than one leaves in the log. */

static uint64_t delta_bytes(kd_table *table)
{
    uint64_t bytes = 0;
    const kdi_unit_list *units = atomic_load(&table->units);
    for (uint32_t i = 0; units != NULL && i < units->chunk_count; i++)
        bytes += atomic_load(&units->chunks[i]->bytes);
    return bytes;
}

kd_table *kdi_live_table(kd_storage *storage, uint64_t number)
{
    kd_table *table = kd_table_find(storage, number);
    if (table == NULL || kdi_is_in_flight(atomic_load(&table->created)) ||
        atomic_load(&table->dropped) != KD_STAMP_NONE)
        return NULL;
    return table;
}

kd_status kdi_flush_large(kd_ctx *ctx, kd_storage *storage)
{
    uint64_t limit = storage->options.delta_flush_bytes;
    limit = limit == 0 ? flush_bytes_usual : limit;
    uint64_t share = kd_governor_budget_bytes(storage->governor) / FLUSH_SHARE;
    limit = limit < share ? limit : share;
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; status == KD_OK && i < end; i++) {
        kd_table *table = kdi_live_table(storage, i);
        if (table != NULL && delta_bytes(table) > limit)
            status = kd_table_flush(ctx, table);
        else if (table != NULL)
            status = kdi_flush_over(ctx, table, CHUNKS_OVER);
    }
    kd_txn_unpin(storage->txns, pin);
    return status;
}

static bool is_scattered(kd_table *table)
{
    enum { OVER_SHARE = 2 };
    uint32_t loose = 0;
    kd_live_snapshots live;
    kd_txn_live_snapshots(table->storage->txns, &live);
    const kdi_unit_list *units = atomic_load(&table->units);
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        kdi_segment *segment = units->segments[i];
        loose += segment->row_count < KD_SEGMENT_ROWS_MAX / 8;
        if (kdi_segment_is_over(segment, &live, OVER_SHARE))
            return true;
    }
    return loose > SEGMENTS_LOOSE;
}

static kd_status compact_scattered(kd_ctx *ctx, kd_storage *storage)
{
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; status == KD_OK && i < end; i++) {
        kd_table *table = kdi_live_table(storage, i);
        if (table != NULL && is_scattered(table))
            status = kd_table_compact(ctx, table);
        if (status == KD_CORRUPT) {
            kd_error_clear(ctx); /* It was noted; other tables and checkpoints go on. */
            status = KD_OK;
        }
    }
    kd_txn_unpin(storage->txns, pin);
    return status;
}

static kd_status marks_shrink(kd_ctx *ctx, kd_table *table, kd_stamp oldest)
{
    const kdi_unit_list *units = atomic_load(&table->units);
    kd_status status = KD_OK;
    for (uint32_t i = 0; status == KD_OK && units != NULL && i < units->segment_count; i++) {
        kdi_segment *segment = units->segments[i];
        if (!atomic_load(&segment->has_stamps) || kdi_is_in_flight(atomic_load(&segment->begin)))
            continue;
        kd_rwlock_lock_exclusive(&table->publish);
        status = kdi_segment_shrink_marks(ctx, segment, oldest);
        kd_rwlock_unlock_exclusive(&table->publish);
    }
    return status;
}

kd_status kdi_marks_shrink(kd_ctx *ctx, kd_storage *storage)
{
    uint32_t pin;
    kd_stamp oldest = kd_txn_oldest_snapshot(storage->txns);
    KD_TRY(kd_txn_pin(ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; status == KD_OK && i < end; i++) {
        kd_table *table = kdi_live_table(storage, i);
        if (table != NULL)
            status = marks_shrink(ctx, table, oldest);
    }
    kd_txn_unpin(storage->txns, pin);
    return status;
}

void kdi_dropped_reap(kd_storage *storage)
{
    uint32_t pin; /* Rollbacks take tables away meanwhile. */
    kd_ctx ctx = {.world = storage->world};
    kd_stamp oldest = kd_txn_oldest_snapshot(storage->txns);
    if (kd_txn_pin(&ctx, storage->txns, KDI_SNAPSHOT_LATEST, &pin) != KD_OK)
        return;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kd_table_find(storage, i);
        kd_stamp dropped = table == NULL ? KD_STAMP_NONE : atomic_load(&table->dropped);
        if (kdi_is_in_flight(dropped) || dropped > oldest)
            continue;
        kdi_directory_remove(&storage->tables, i);
        const kdi_unit_list *units = atomic_load(&table->units);
        for (uint32_t k = 0; units != NULL && k < units->segment_count; k++)
            units->segments[k]->removes_file = true;
        const kdi_index_list *indexes = atomic_load(&table->indexes);
        for (uint32_t k = 0; indexes != NULL && k < indexes->count; k++)
            indexes->items[k]->is_dropped = true;
        kd_txn_retire(storage->txns, &table->garbage, kdi_table_destroy, table);
    }
    kd_txn_unpin(storage->txns, pin);
}

/* What stands in the memory part of indexes goes to runs at a checkpoint. */
static uint64_t index_limit(kd_storage *storage)
{
    uint64_t limit = kd_governor_budget_bytes(storage->governor) / INDEX_SHARE;
    return limit < index_bytes_least ? index_bytes_least : limit;
}

/* Of time alone only when something was written since the last one: it leaves a few records of its
 * own in the log, which are no reason for another. */
static bool checkpoint_is_due(kd_storage *storage)
{
    uint64_t limit = storage->options.checkpoint_log_bytes;
    limit = limit == 0 ? checkpoint_bytes_usual : limit;
    uint64_t interval_ns = atomic_load(&storage->checkpoint_ns);
    uint64_t next_position = kd_wal_next_position(storage->wal);
    uint64_t written = next_position - storage->checkpoint_position;
    bool is_news =
        written > checkpoint_bytes_least || next_position > atomic_load(&storage->checkpoint_end);
    uint64_t passed_ns =
        storage->world->monotonic_ns(storage->world) - atomic_load(&storage->checkpoint_at_ns);
    return written > limit || (is_news && passed_ns > interval_ns) ||
           kd_storage_read_statistics(storage).index_bytes > index_limit(storage);
}

static kd_status tick(kd_ctx *ctx, kd_storage *storage)
{
    kdi_dropped_reap(storage);
    kd_txn_reclaim(storage->txns);
    kd_txn_reclaim_born(storage->txns);
    /* First: what was acknowledged without waiting needs no room on the disk any more. */
    KD_TRY(kd_wal_wait_durable(ctx, storage->wal, kd_wal_next_position(storage->wal)));
    KD_TRY(kdi_flush_large(ctx, storage));
    KD_TRY(compact_scattered(ctx, storage));
    KD_TRY(kdi_marks_shrink(ctx, storage));
    if (checkpoint_is_due(storage))
        KD_TRY(kd_storage_checkpoint(ctx, storage));
    KD_TRY(kd_wal_prepare(ctx, storage->wal));
    return kdi_scrub_tick(ctx, storage);
}

static void upkeep_run(void *object)
{
    kd_storage *storage = object;
    kd_mutex_lock(&storage->upkeep_lock);
    while (!storage->upkeep_stops) {
        (void)kd_cond_wait(&storage->upkeep_cond, &storage->upkeep_lock, tick_ns);
        if (storage->upkeep_stops)
            break;
        kd_mutex_unlock(&storage->upkeep_lock);
        kd_ctx ctx = {.world = storage->world};
        /* A failure here (a full disk, no memory) is met again by the next tick, or by whoever
         * writes; nothing is lost by it. */
        if (tick(&ctx, storage) != KD_OK)
            kd_error_clear(&ctx);
        kd_mutex_lock(&storage->upkeep_lock);
    }
    kd_mutex_unlock(&storage->upkeep_lock);
}

kd_status kdi_upkeep_start(kd_ctx *ctx, kd_storage *storage)
{
    return kd_thread_start(ctx, "upkeep", upkeep_run, storage, &storage->upkeep_thread);
}

void kdi_upkeep_stop(kd_storage *storage)
{
    if (storage->upkeep_thread == NULL)
        return;
    kd_mutex_lock(&storage->upkeep_lock);
    storage->upkeep_stops = true;
    kd_cond_signal(&storage->upkeep_cond);
    kd_mutex_unlock(&storage->upkeep_lock);
    kd_thread_join(storage->world, storage->upkeep_thread);
    storage->upkeep_thread = NULL;
}

/* --- Orphans --------------------------------------------------------------------------------- */

typedef struct orphan_search {
    kd_storage *storage;
    kd_arena *arena;
    char **paths;
    size_t count, capacity;
} orphan_search;

static bool segment_is_known(kd_storage *storage, uint64_t unit)
{
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end; i++) {
        kd_table *table = kd_table_find(storage, i);
        const kdi_unit_list *units = table == NULL ? NULL : atomic_load(&table->units);
        for (uint32_t k = 0; units != NULL && k < units->segment_count; k++) {
            if (units->segments[k]->unit == unit)
                return true;
        }
    }
    return false;
}

/* Retired, but the log since the last checkpoint names it: another recovery may need it. */
static bool segment_is_doomed(kd_storage *storage, uint64_t unit)
{
    bool is_there = false;
    kd_mutex_lock(&storage->doomed_lock);
    for (const kdi_doomed *doomed = storage->doomed; doomed != NULL; doomed = doomed->next)
        is_there |= doomed->unit == unit;
    kd_mutex_unlock(&storage->doomed_lock);
    return is_there;
}

static bool index_is_known(kd_storage *storage, uint64_t index_no)
{
    bool is_there = false;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; i < end && !is_there; i++) {
        kd_table *table = kd_table_find(storage, i);
        is_there = table != NULL && kdi_index_find(table, index_no) != NULL;
    }
    kd_mutex_lock(&storage->doomed_lock);
    for (const kdi_doomed *doomed = storage->doomed; doomed != NULL; doomed = doomed->next)
        is_there |= doomed->unit == 0 && doomed->index_no == index_no;
    kd_mutex_unlock(&storage->doomed_lock);
    return is_there;
}

/* "<index>-<run>.run" of an index that never came to be; runs of indexes that are there are their
 * module's. */
static bool is_lost_run(kd_storage *storage, const char *name)
{
    char *end;
    unsigned long long index_no = strtoull(name, &end, 10);
    size_t length = strlen(name);
    return *end == '-' && length > 4 && strcmp(name + length - 4, ".run") == 0 &&
           !index_is_known(storage, index_no);
}

static kd_status orphan_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    orphan_search *search = object;
    char *end;
    unsigned long long unit = strtoull(entry->name, &end, 16);
    bool is_segment = strcmp(end, ".seg") == 0;
    bool is_image = strcmp(end, ".img") == 0;
    bool is_run = !entry->is_directory && is_lost_run(search->storage, entry->name);
    if (entry->is_directory || (!is_segment && !is_image && !is_run))
        return KD_OK;
    if (is_segment &&
        (segment_is_known(search->storage, unit) || segment_is_doomed(search->storage, unit)))
        return KD_OK;
    if (is_image && unit == search->storage->image_unit)
        return KD_OK;
    char **path;
    KD_TRY(KD_PUSH(ctx, search->arena, search->paths, search->count, search->capacity, &path));
    *path =
        kd_format_text(ctx, search->arena, "%s/%s", search->storage->units_directory, entry->name);
    if (!is_run && unit >= atomic_load(&search->storage->next_unit))
        atomic_store(&search->storage->next_unit, unit + 1);
    return *path == NULL ? KD_NOMEM : KD_OK;
}

/* A segment that an archive may have to copy goes with a checkpoint after that. */
static kd_status orphan_remove(kd_ctx *ctx, kd_storage *storage, const char *path)
{
    const char *name = path + strlen(storage->units_directory) + 1;
    char *end;
    unsigned long long unit = strtoull(name, &end, 16);
    if (strcmp(end, ".seg") != 0 || atomic_load(&storage->archived_position) == UINT64_MAX)
        return ctx->world->path_remove(ctx, path);
    kdi_doom(storage, unit, 0, (kd_slice){0});
    return KD_OK;
}

static kd_status orphans_find(kd_ctx *ctx, kd_storage *storage, orphan_search *out_search)
{
    *out_search = (orphan_search){.storage = storage};
    out_search->arena = kd_arena_create(ctx, NULL, "orphans", KD_ARENA_UNLIMITED);
    if (out_search->arena == NULL)
        return KD_NOMEM;
    return ctx->world->directory_list(ctx, storage->units_directory, orphan_look, out_search);
}

kd_status kdi_orphans_remove(kd_ctx *ctx, kd_storage *storage)
{
    orphan_search search;
    kd_txn_reclaim(storage->txns); /* Segments that recovery retired are doomed by this. */
    kd_status status = orphans_find(ctx, storage, &search);
    for (size_t i = 0; status == KD_OK && i < search.count; i++)
        status = orphan_remove(ctx, storage, search.paths[i]);
    kd_arena_destroy(search.arena);
    return status;
}

kd_status kdi_orphans_tell(kd_ctx *ctx, kd_storage *storage, const kd_damage_watch *watch)
{
    orphan_search search;
    size_t folder = strlen(storage->directory) + 1;
    if (!storage->options.read_only)
        return KD_OK;
    kd_txn_reclaim(storage->txns);
    kd_status status = orphans_find(ctx, storage, &search);
    for (size_t i = 0; status == KD_OK && i < search.count; i++) {
        kd_damage damage = kd_damage_none();
        damage.is_note = true;
        (void)snprintf(damage.file, sizeof damage.file, "%s", search.paths[i] + folder);
        status = watch->found(ctx, watch->object, &damage,
                              "nothing names this file: the next opening for writing removes it");
    }
    kd_arena_destroy(search.arena);
    return status;
}
