/*
 * Where a row is, its stamps, its values, and its later versions.
 */
#include "table/table_internal.h"

#include <string.h>

enum { REMAP_STEPS_MAX = 1000 };

/* Where `unit` stands in an ascending array; `count`: nowhere. */
static uint32_t unit_position(const uint64_t *units, uint32_t count, uint64_t unit)
{
    uint32_t low = 0;
    uint32_t length = count;
    while (length > 0) {
        uint32_t half = length / 2;
        bool is_below = units[low + half] < unit;
        low = is_below ? low + half + 1 : low;
        length = is_below ? length - half - 1 : half;
    }
    return low < count && units[low] == unit ? low : count;
}

kdi_chunk *kdi_chunk_by_unit(const kdi_unit_list *units, uint64_t unit)
{
    uint32_t at = unit_position(units->chunk_units, units->chunk_count, unit);
    return at < units->chunk_count ? units->chunks[at] : NULL;
}

static kdi_segment *segment_by_unit(const kdi_unit_list *units, uint64_t unit)
{
    uint32_t at = unit_position(units->segment_units, units->segment_count, unit);
    return at < units->segment_count ? units->segments[at] : NULL;
}

static const kdi_remap *remap_by_unit(const kdi_unit_list *units, uint64_t unit)
{
    uint32_t at = unit_position(units->remap_units, units->remap_count, unit);
    return at < units->remap_count ? units->remaps[at] : NULL;
}

bool kdi_place_find(kd_table *table, kd_rowref ref, kdi_place *out_place)
{
    return kdi_place_find_in(atomic_load_explicit(&table->units, memory_order_acquire), ref,
                             out_place);
}

bool kdi_place_find_in(const kdi_unit_list *units, kd_rowref ref, kdi_place *out_place)
{
    *out_place = (kdi_place){.ref = ref};
    if (units == NULL)
        return false;
    for (int step = 0; step < REMAP_STEPS_MAX && ref != KD_ROWREF_NONE; step++) {
        uint64_t unit = kdi_ref_unit(ref);
        uint32_t ordinal = kdi_ref_ordinal(ref);
        out_place->ref = ref;
        out_place->ordinal = ordinal;
        out_place->chunk = kdi_chunk_by_unit(units, unit);
        if (out_place->chunk != NULL)
            return ordinal < out_place->chunk->capacity;
        out_place->segment = segment_by_unit(units, unit);
        if (out_place->segment != NULL)
            return ordinal < out_place->segment->row_count;
        const kdi_remap *remap = remap_by_unit(units, unit);
        ref = remap != NULL && ordinal < remap->count ? remap->refs[ordinal] : KD_ROWREF_NONE;
    }
    return false;
}

kd_stamp kdi_place_end(const kdi_place *place)
{
    if (place->chunk != NULL)
        return atomic_load(&place->chunk->ends[place->ordinal]);
    return kdi_segment_end(place->segment, place->ordinal);
}

kd_status kdi_place_begin(kd_ctx *ctx, const kdi_place *place, kd_stamp newest_needed,
                          kd_stamp *out_begin)
{
    if (place->chunk == NULL)
        return kdi_segment_begin(ctx, place->segment, place->ordinal, newest_needed, out_begin);
    *out_begin = atomic_load(&place->chunk->begins[place->ordinal]);
    return KD_OK;
}

kd_status kdi_place_end_cell(kd_ctx *ctx, const kdi_place *place, _Atomic kd_stamp **out_cell)
{
    if (place->chunk == NULL)
        return kdi_segment_mark(ctx, place->segment, place->ordinal, out_cell);
    *out_cell = &place->chunk->ends[place->ordinal];
    return KD_OK;
}

kd_rowref kdi_place_next(const kdi_place *place)
{
    if (place->chunk != NULL)
        return atomic_load(&place->chunk->nexts[place->ordinal]);
    kdi_mark_vector *vector = atomic_load(&place->segment->marks[place->ordinal / KD_VECTOR_ROWS]);
    _Atomic kd_rowref *nexts = vector == NULL ? NULL : atomic_load(&vector->nexts);
    return nexts == NULL ? KD_ROWREF_NONE : atomic_load(&nexts[place->ordinal % KD_VECTOR_ROWS]);
}

static kd_status mark_nexts(kd_ctx *ctx, kd_storage *storage, kdi_mark_vector *vector,
                            _Atomic kd_rowref **out_nexts)
{
    *out_nexts = atomic_load(&vector->nexts);
    if (*out_nexts != NULL)
        return KD_OK;
    _Atomic kd_rowref *made = kd_heap_alloc(ctx, &storage->account, KD_VECTOR_ROWS * sizeof *made);
    if (made == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
        atomic_init(&made[i], KD_ROWREF_NONE);
    _Atomic kd_rowref *expected = NULL;
    if (atomic_compare_exchange_strong(&vector->nexts, &expected, made)) {
        *out_nexts = made;
    } else {
        kd_heap_free(storage->world, &storage->account, made);
        *out_nexts = expected;
    }
    return KD_OK;
}

kd_status kdi_place_set_next(kd_ctx *ctx, const kdi_place *place, kd_rowref next)
{
    if (place->chunk != NULL) {
        atomic_store(&place->chunk->nexts[place->ordinal], next);
        return KD_OK;
    }
    _Atomic kd_stamp *end;
    _Atomic kd_rowref *nexts;
    KD_TRY(kdi_segment_mark(ctx, place->segment, place->ordinal, &end));
    kdi_mark_vector *vector = atomic_load(&place->segment->marks[place->ordinal / KD_VECTOR_ROWS]);
    KD_TRY(mark_nexts(ctx, place->segment->storage, vector, &nexts));
    atomic_store(&nexts[place->ordinal % KD_VECTOR_ROWS], next);
    return KD_OK;
}

kd_status kdi_place_visible(kd_ctx *ctx, const kdi_place *place, kd_snapshot snapshot,
                            bool *out_visible)
{
    kd_stamp begin;
    *out_visible = false;
    KD_TRY(kdi_place_begin(ctx, place, snapshot.stamp, &begin));
    if (place->chunk == NULL && kdi_is_in_flight(begin) && place->segment->is_private &&
        kdi_stamp_seen(begin, snapshot))
        KD_TRY(kdi_private_settle(ctx, place->segment->storage, snapshot.txn_no));
    *out_visible =
        kdi_stamp_seen(begin, snapshot) && !kdi_stamp_seen(kdi_place_end(place), snapshot);
    return KD_OK;
}

kd_status kdi_place_value(kd_ctx *ctx, kd_arena *arena, const kdi_place *place,
                          const kd_table_column *column, uint32_t hint, kd_value *out_value)
{
    if (place->chunk == NULL) {
        if (place->segment->file == NULL) /* Only its own transaction comes to its rows. */
            KD_TRY(kdi_private_settle(ctx, place->segment->storage,
                                      kdi_stamp_txn(atomic_load(&place->segment->begin))));
        int at = kd_segment_find_column(place->segment->file, column->column_no);
        if (at < 0)
            return kd_value_copy(ctx, arena, &column->missing, out_value);
        KD_TRY(kd_segment_get(ctx, place->segment->file, (uint32_t)at, place->ordinal, arena,
                              out_value));
        out_value->type = column->type;
        return KD_OK;
    }
    int at = kdi_set_find(place->chunk->set, column->column_no, hint);
    if (at < 0)
        return kd_value_copy(ctx, arena, &column->missing, out_value);
    kd_value value = kdi_chunk_get(place->chunk, place->ordinal, (uint32_t)at);
    value.type = column->type;
    if (value.is_null || place->chunk->set->physicals[at] != KD_PHYS_STR) {
        *out_value = value;
        return KD_OK;
    }
    return kd_value_copy(ctx, arena, &value, out_value);
}

kd_status kdi_place_values(kd_ctx *ctx, kd_arena *arena, const kdi_place *place,
                           const kd_table_shape *shape, const uint32_t *positions,
                           uint32_t position_count, kd_value *out_values)
{
    for (uint32_t i = 0; i < position_count; i++)
        KD_TRY(kdi_place_value(ctx, arena, place, &shape->columns[positions[i]], positions[i],
                               &out_values[i]));
    return KD_OK;
}

/* --- The public point read ------------------------------------------------------------------- */

/* Goes to the newest version; false when this is it, or it was deleted. */
static bool newer_place(kd_table *table, kdi_place *place)
{
    kd_rowref here = place->ref;
    kd_rwlock_lock_shared(&table->publish);
    kd_rowref newest = kdi_newest_version(table, place);
    bool is_newer = newest != here && kdi_place_find(table, newest, place);
    kd_rwlock_unlock_shared(&table->publish);
    return is_newer;
}

kd_status kd_table_get(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                       kd_rowref ref, const kd_table_shape *shape, const uint32_t *positions,
                       uint32_t position_count, kd_value *out_values, bool *out_visible)
{
    kdi_place place;
    *out_visible = false;
    if (!kdi_place_find(table, ref, &place))
        return KD_OK;
    KD_TRY(kdi_place_visible(ctx, &place, snapshot, out_visible));
    /* Latest state is asked for the row, and not for a version that was the newest a moment ago. */
    while (!*out_visible && snapshot.stamp == KDI_SNAPSHOT_LATEST) {
        if (!newer_place(table, &place))
            return KD_OK;
        KD_TRY(kdi_place_visible(ctx, &place, snapshot, out_visible));
        /* It follows a version whose end is committed, so it is committed, though its begin may
         * be stamped a moment later. */
        *out_visible |= !kdi_stamp_seen(kdi_place_end(&place), snapshot);
    }
    if (!*out_visible)
        return KD_OK;
    kd_status status =
        kdi_place_values(ctx, arena, &place, shape, positions, position_count, out_values);
    *out_visible = status == KD_OK;
    return status;
}

kd_status kd_table_find_place(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot, kd_rowref ref,
                              kd_rowref *out_place, bool *out_found)
{
    kdi_place place;
    *out_place = KD_ROWREF_NONE;
    *out_found = false;
    for (bool there = kdi_place_find(table, ref, &place); there;) {
        KD_TRY(kdi_place_visible(ctx, &place, snapshot, out_found));
        *out_place = place.ref;
        if (*out_found)
            return KD_OK;
        kd_rwlock_lock_shared(&table->publish);
        kd_rowref next = kdi_place_next(&place);
        there = next != KD_ROWREF_NONE && kdi_place_find(table, next, &place);
        kd_rwlock_unlock_shared(&table->publish);
    }
    return KD_OK;
}

void kd_table_hold_places(kd_table *table)
{
    kd_mutex_lock(&table->upkeep);
    atomic_fetch_add(&table->place_holds, 1);
    kd_mutex_unlock(&table->upkeep);
}

void kd_table_release_places(kd_table *table)
{
    atomic_fetch_sub(&table->place_holds, 1);
}

kd_snapshot kd_table_settled(kd_txn *txn)
{
    kd_txn_manager *manager = kd_txn_manager_of(txn);
    kd_txn_note_latest(txn); /* First: what that stamp sees must stay. */
    kd_stamp newest = kd_txn_newest_stamp(manager);
    kd_txn_wait_watermark(manager, newest);
    return (kd_snapshot){.stamp = newest, .txn_no = kd_txn_no(txn)};
}

kd_snapshot kd_table_latest(kd_txn *txn)
{
    kd_txn_note_latest(txn);
    return (kd_snapshot){.stamp = KDI_SNAPSHOT_LATEST, .txn_no = kd_txn_no(txn)};
}
