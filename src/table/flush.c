/*
 * Flush: full chunks of the delta become segments.
 *
 * Chunks are taken whole, and only when no row in them is still being inserted: then
 * nothing but ends can change in them, and those are carried over at the publication.
 * Versions that no snapshot sees are left behind, and their entries leave the indexes. Chunks that
 * hold nothing else - rows that are changed again and again make such - go early, without a segment
 * and without a remap.
 */
#include "table/segment_build.h"
#include "table/upkeep.h"

/* All rows of the chunk are either committed or dead. */
static bool chunk_is_settled(kdi_chunk *chunk)
{
    uint32_t used = kdi_chunk_used(chunk);
    for (uint32_t i = 0; i < used; i++) {
        kd_stamp begin = atomic_load(&chunk->begins[i]);
        if (begin != KDI_STAMP_DEAD && kdi_is_in_flight(begin))
            return false;
    }
    return used == chunk->capacity;
}

static kd_status chunk_collect(kd_ctx *ctx, kdi_rewrite *build, kdi_chunk *chunk, kd_key_list *keys)
{
    kdi_remap *remap;
    kd_stamp oldest = kd_live_snapshots_oldest(&build->live);
    uint32_t used = kdi_chunk_used(chunk);
    size_t count_before = build->row_count;
    KD_TRY(kdi_rewrite_remap(ctx, build, chunk->unit, used, &remap));
    for (uint32_t i = 0; i < used; i++) {
        kd_stamp begin = atomic_load(&chunk->begins[i]);
        if (begin == KDI_STAMP_DEAD)
            continue;
        if (!kdi_version_is_seen(&build->live, begin, atomic_load(&chunk->ends[i]))) {
            kdi_indexes_remove_row(build->table, chunk, i, UINT32_MAX, keys);
            continue;
        }
        KD_TRY(kdi_rewrite_add(ctx, build,
                               (kdi_rewrite_row){.chunk = chunk,
                                                 .slot = i,
                                                 .ordinal = i,
                                                 .remap = remap,
                                                 .begin = begin <= oldest ? 0 : begin}));
    }
    if (build->row_count == count_before)
        remap->count = 0;
    return KD_OK;
}

/* No snapshot sees any of its rows, and nobody comes to it for slots. */
static bool chunk_is_over(kd_table *table, kdi_chunk *chunk, const kd_live_snapshots *live)
{
    uint32_t used = kdi_chunk_used(chunk);
    if (chunk == atomic_load(&table->active))
        return false;
    for (uint32_t i = 0; i < used; i++) {
        kd_stamp begin = atomic_load(&chunk->begins[i]);
        if (kdi_version_is_seen(live, begin, atomic_load(&chunk->ends[i])))
            return false;
    }
    return used == chunk->capacity;
}

static kd_status flush_locked(kd_ctx *ctx, kd_table *table, bool only_over, kdi_rewrite *build)
{
    kd_txn_manager *txns = table->storage->txns;
    if (!only_over)
        kdi_delta_seal(table);
    const kdi_unit_list *units = atomic_load(&table->units);
    kd_key_list keys = kd_key_list_in(build->arena);
    kd_txn_live_snapshots(txns, &build->live);
    for (uint32_t i = 0; units != NULL && i < units->chunk_count; i++) {
        kdi_chunk *chunk = units->chunks[i];
        KD_TRY(kd_progress_add(ctx, 0));
        if (only_over ? chunk_is_over(table, chunk, &build->live) : chunk_is_settled(chunk))
            KD_TRY(chunk_collect(ctx, build, chunk, &keys));
    }
    KD_TRY(kdi_rewrite_write(ctx, build, 0));
    kdi_chains_cut(build);
    return kdi_rewrite_move(ctx, build);
}

static kd_status flush(kd_ctx *ctx, kd_table *table, bool only_over)
{
    kd_txn_manager *txns = table->storage->txns;
    kdi_rewrite build;
    uint32_t pin;
    KD_TRY(kd_txn_pin(ctx, txns, KDI_SNAPSHOT_LATEST, &pin));
    kd_mutex_lock(&table->upkeep);
    bool is_held = atomic_load(&table->place_holds) > 0;
    kd_status status = is_held ? KD_OK : kdi_rewrite_begin(ctx, table, &build);
    if (status == KD_OK && !is_held) {
        status = flush_locked(ctx, table, only_over, &build);
        kdi_rewrite_end(ctx, &build);
    }
    kd_mutex_unlock(&table->upkeep);
    kd_txn_unpin(txns, pin);
    kd_txn_reclaim(txns);
    kd_txn_reclaim_born(txns);
    return status;
}

kd_status kd_table_flush(kd_ctx *ctx, kd_table *table)
{
    return flush(ctx, table, false);
}

kd_status kdi_flush_over(kd_ctx *ctx, kd_table *table, uint32_t chunks_min)
{
    enum { WORTH_SHARE = 8 }; /* Of the chunks: the move looks at all that stay. */
    const kdi_unit_list *units = atomic_load(&table->units);
    uint32_t chunk_count = units == NULL ? 0 : units->chunk_count;
    uint32_t over_count = 0;
    kd_live_snapshots live;
    if (chunk_count < chunks_min)
        return KD_OK;
    kd_txn_live_snapshots(table->storage->txns, &live);
    for (uint32_t i = 0; i < chunk_count; i++)
        over_count += chunk_is_over(table, units->chunks[i], &live);
    if (over_count < chunks_min || over_count < chunk_count / WORTH_SHARE)
        return KD_OK;
    return flush(ctx, table, true);
}
