/*
 * The delta of a table: its active chunk and how slots are taken from it.
 */
#include "table/table_internal.h"

static kd_status chunk_publish(kd_ctx *ctx, kd_table *table, kdi_chunk *chunk)
{
    kdi_unit_change change = {.add_chunk = chunk};
    kdi_unit_list *list;
    if (kdi_units_append(table, chunk))
        return KD_OK;
    KD_TRY(kdi_units_make(ctx, table, &change, &list));
    kdi_units_publish(table, list);
    return KD_OK;
}

/* table->lock is held. */
static kd_status active_replace(kd_ctx *ctx, kd_table *table, kdi_chunk *full)
{
    if (atomic_load(&table->active) != full)
        return KD_OK; /* Somebody else was faster. */
    kd_storage *storage = table->storage;
    const kdi_unit_list *units = atomic_load(&table->units);
    bool is_first = units == NULL || (units->chunk_count == 0 && units->segment_count == 0);
    uint32_t capacity = is_first ? KDI_CHUNK_SLOTS_FIRST : KDI_CHUNK_SLOTS;
    uint64_t unit = atomic_fetch_add(&storage->next_unit, 1);
    kdi_chunk *chunk;
    KD_TRY(kdi_chunk_create(ctx, storage, unit, atomic_load(&table->set), capacity, &chunk));
    kd_status status = chunk_publish(ctx, table, chunk);
    if (status != KD_OK) {
        kdi_chunk_destroy(chunk);
        return status;
    }
    atomic_store(&table->active, chunk);
    return KD_OK;
}

kd_status kdi_delta_take(kd_ctx *ctx, kd_table *table, uint32_t wanted, kdi_chunk **out_chunk,
                         uint32_t *out_first, uint32_t *out_count)
{
    assert(wanted > 0);
    *out_chunk = NULL;
    *out_first = *out_count = 0;
    for (;;) {
        kdi_chunk *chunk = atomic_load(&table->active);
        if (chunk != NULL && kdi_chunk_used(chunk) < chunk->capacity) {
            uint32_t first = atomic_fetch_add(&chunk->used, wanted);
            if (first < chunk->capacity) {
                uint32_t room = chunk->capacity - first;
                *out_chunk = chunk;
                *out_first = first;
                *out_count = wanted < room ? wanted : room;
                return KD_OK;
            }
        }
        kd_mutex_lock(&table->lock);
        kd_status status = active_replace(ctx, table, chunk);
        kd_mutex_unlock(&table->lock);
        if (status != KD_OK)
            return status;
    }
}

void kdi_delta_seal(kd_table *table)
{
    kd_mutex_lock(&table->lock);
    kdi_chunk *chunk = atomic_load(&table->active);
    if (chunk != NULL) {
        uint32_t used = atomic_exchange(&chunk->used, chunk->capacity);
        /* Nobody has these slots or ever will. */
        for (uint32_t i = used; i < chunk->capacity; i++)
            atomic_store(&chunk->begins[i], KDI_STAMP_DEAD);
        atomic_store(&table->active, NULL);
    }
    kd_mutex_unlock(&table->lock);
}

kd_status kdi_delta_chunk(kd_ctx *ctx, kd_table *table, uint64_t unit, uint32_t set_version,
                          kdi_chunk **out_chunk)
{
    const kdi_unit_list *units = atomic_load(&table->units);
    *out_chunk = units == NULL ? NULL : kdi_chunk_by_unit(units, unit);
    if (*out_chunk != NULL)
        return KD_OK;
    if (set_version >= table->set_count)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "table %llu has no column set %u",
                       (unsigned long long)table->table_no, set_version);
    KD_TRY(kdi_chunk_create(ctx, table->storage, unit, table->sets[set_version], KDI_CHUNK_SLOTS,
                            out_chunk));
    /* Not given out again: what a lost transaction wrote there may still be in index runs. */
    atomic_store(&(*out_chunk)->used, KDI_CHUNK_SLOTS);
    for (uint32_t i = 0; i < KDI_CHUNK_SLOTS; i++)
        atomic_store(&(*out_chunk)->begins[i], KDI_STAMP_DEAD);
    kd_mutex_lock(&table->lock);
    kd_status status = chunk_publish(ctx, table, *out_chunk);
    kd_mutex_unlock(&table->lock);
    if (status != KD_OK) {
        kdi_chunk_destroy(*out_chunk);
        *out_chunk = NULL;
    }
    return status;
}

/* --- At the budget --------------------------------------------------------------------------- */

enum {
    SLOW_SHARE = 4,      /* Of the budget: deltas that take more slow their writers. */
    SLOW_STEP = 1 << 20, /* Bytes that are written between two waits. */
    SLOW_WAITS_MAX = 50, /* A reader may keep flushed chunks in memory: nobody waits for it. */
    SLOW_WAIT_NS = 1000000,
};

static bool is_over(kd_storage *storage)
{
    return atomic_load_explicit(&storage->delta_bytes, memory_order_relaxed) >
           kd_governor_budget_bytes(storage->governor) / SLOW_SHARE;
}

static void flush_inline(kd_table *table)
{
    kd_ctx ctx = {.world = table->storage->world};
    if (kd_table_flush(&ctx, table) != KD_OK)
        kd_error_clear(&ctx); /* Nothing is lost; the next writer tries again. */
}

void kdi_delta_slow(kd_ctx *ctx, kd_table *table)
{
    kd_storage *storage = table->storage;
    if (!is_over(storage))
        return;
    uint64_t bytes = atomic_load(&storage->delta_bytes);
    uint64_t mark = atomic_load(&storage->slowed_at);
    uint64_t since = bytes > mark ? bytes - mark : mark - bytes;
    if (since < SLOW_STEP || !atomic_compare_exchange_strong(&storage->slowed_at, &mark, bytes))
        return;
    if (storage->upkeep_thread == NULL) {
        flush_inline(table);
        return;
    }
    kd_mutex_lock(&storage->upkeep_lock);
    kd_cond_signal(&storage->upkeep_cond);
    kd_mutex_unlock(&storage->upkeep_lock);
    for (int i = 0; i < SLOW_WAITS_MAX && is_over(storage); i++)
        ctx->world->sleep_ns(ctx->world, SLOW_WAIT_NS);
}
