/*
 * Rows that move: from chunks and segments into new segments.
 *
 * The move is prepared beside everything else; here it is made visible. Under the
 * exclusive latch nobody can end a row or stamp an end, so end stamps (committed or
 * in flight), references to later versions and row locks are carried over exactly
 * once. Rows without an end cost one load each.
 */
#include "table/table_internal.h"

static bool unit_find(const kdi_unit_list *units, uint64_t unit, kdi_place *out_place)
{
    *out_place = (kdi_place){0};
    for (uint32_t i = 0; units != NULL && i < units->chunk_count; i++) {
        if (units->chunks[i]->unit == unit)
            out_place->chunk = units->chunks[i];
    }
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        if (units->segments[i]->unit == unit)
            out_place->segment = units->segments[i];
    }
    return out_place->chunk != NULL || out_place->segment != NULL;
}

static kdi_segment *segment_of(kdi_segment **segments, uint32_t count, kd_rowref ref)
{
    for (uint32_t i = 0; i < count; i++) {
        if (segments[i]->unit == kdi_ref_unit(ref))
            return segments[i];
    }
    return NULL;
}

static kd_rowref moved_next(const kdi_place *old)
{
    return old->chunk == NULL && old->segment == NULL ? KD_ROWREF_NONE : kdi_place_next(old);
}

static kd_status row_carry(kd_ctx *ctx, const kdi_place *old, kd_stamp end, kdi_segment *segment,
                           uint32_t ordinal)
{
    _Atomic kd_stamp *cell;
    KD_TRY(kdi_segment_mark(ctx, segment, ordinal, &cell));
    kd_rowref next = moved_next(old);
    if (next != KD_ROWREF_NONE) {
        kdi_place place = {.segment = segment, .ordinal = ordinal};
        KD_TRY(kdi_place_set_next(ctx, &place, next));
    }
    atomic_store(cell, end);
    if (!kdi_is_in_flight(end))
        atomic_fetch_add_explicit(&segment->ended_count, 1, memory_order_relaxed);
    return KD_OK;
}

/*
 * The end of a row that moves. Recovery meets rows that are not in the old unit, or whose unit is
 * not there at all: they had ended before the checkpoint that left them out of its image, and were
 * moved only for snapshots that are gone.
 */
static kd_stamp moved_end(const kdi_place *old)
{
    if (old->chunk == NULL && old->segment == NULL)
        return 1;
    if (old->chunk != NULL && atomic_load(&old->chunk->begins[old->ordinal]) == KDI_STAMP_DEAD)
        return 1;
    return kdi_place_end(old);
}

static kd_status unit_carry(kd_ctx *ctx, kdi_place *old, const kdi_remap *remap,
                            kdi_segment **segments, uint32_t segment_count)
{
    for (uint32_t i = 0; i < remap->count; i++) {
        old->ordinal = i;
        if (remap->refs[i] == KD_ROWREF_NONE)
            continue;
        kd_stamp end = moved_end(old);
        if (end == KD_STAMP_NONE)
            continue;
        kdi_segment *segment = segment_of(segments, segment_count, remap->refs[i]);
        assert(segment != NULL);
        KD_TRY(row_carry(ctx, old, end, segment, kdi_ref_ordinal(remap->refs[i])));
    }
    return KD_OK;
}

typedef struct lock_move {
    kd_table *table;
    kdi_remap **remaps;
    uint32_t remap_count;
} lock_move;

static kd_status lock_carry(kd_ctx *ctx, void *object, uint64_t row)
{
    const lock_move *move = object;
    for (uint32_t i = 0; i < move->remap_count; i++) {
        const kdi_remap *remap = move->remaps[i];
        uint32_t ordinal = kdi_ref_ordinal(row);
        if (remap->unit == kdi_ref_unit(row) && ordinal < remap->count &&
            remap->refs[ordinal] != KD_ROWREF_NONE)
            return kd_row_lock_carry(ctx, move->table->storage->txns, move->table->table_no, row,
                                     remap->refs[ordinal], false);
    }
    return KD_OK;
}

static void old_unit_retire(kd_table *table, const kdi_place *old)
{
    kd_txn_manager *txns = table->storage->txns;
    if (old->chunk != NULL) {
        kd_txn_retire_born(txns, &old->chunk->garbage, old->chunk->born, kdi_chunk_destroy,
                           old->chunk);
    } else if (old->segment != NULL) {
        old->segment->removes_file = true;
        kd_txn_retire(txns, &old->segment->garbage, kdi_segment_close, old->segment);
    }
}

kd_status kdi_move_publish(kd_ctx *ctx, kd_table *table, kdi_segment **segments,
                           uint32_t segment_count, bool adds_segments, kdi_remap **remaps,
                           uint32_t remap_count)
{
    kd_txn_manager *txns = table->storage->txns;
    kdi_unit_list *list;
    kdi_unit_change change = {.add_segments = segments,
                              .add_segment_count = adds_segments ? segment_count : 0,
                              .add_remaps = remaps,
                              .add_remap_count = remap_count};
    kd_mutex_lock(&table->lock);
    kdi_unit_list *old_units = atomic_load(&table->units);
    kd_status status = KD_OK;
    for (uint32_t i = 0; status == KD_OK && i < remap_count; i++) {
        kdi_place old;
        (void)unit_find(old_units, remaps[i]->unit, &old);
        status = unit_carry(ctx, &old, remaps[i], segments, segment_count);
    }
    if (status == KD_OK)
        status = kdi_units_make(ctx, table, &change, &list);
    if (status == KD_OK && kd_row_lock_count(txns) > 0) {
        lock_move move = {table, remaps, remap_count};
        status = kd_row_lock_each(ctx, txns, table->table_no, lock_carry, &move);
        if (status != KD_OK)
            kdi_units_destroy(list);
    }
    if (status != KD_OK) {
        kd_mutex_unlock(&table->lock);
        return status;
    }
    for (uint32_t i = 0; i < remap_count; i++)
        remaps[i]->epoch = kd_txn_epoch(txns);
    kdi_place old_place;
    /* The old list goes first, so that nobody reaches a unit through it after the unit went. */
    atomic_store(&table->units, list);
    for (uint32_t i = 0; i < remap_count; i++) {
        if (unit_find(old_units, remaps[i]->unit, &old_place))
            old_unit_retire(table, &old_place);
    }
    if (old_units != NULL)
        kd_txn_retire_born(txns, &old_units->garbage, old_units->born, kdi_units_destroy,
                           old_units);
    for (uint32_t i = 0; i < remap_count; i++) {
        if (remaps[i]->count > 0)
            continue;
        kdi_remap_destroy(remaps[i]); /* Nobody saw it. */
        atomic_fetch_add(&table->units_gone, 1);
    }
    kd_mutex_unlock(&table->lock);
    return KD_OK;
}
