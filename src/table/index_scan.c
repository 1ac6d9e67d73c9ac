/*
 * Index lookups and index scans: entries are checked against their rows.
 *
 * An entry may stand for a version that the snapshot does not see, or for a row that
 * is gone; never for another key, since a version's values do not change.
 */
#include "table/table_internal.h"

enum { FOUND_REFS = 32 };

static kd_status pick_visible(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                              const kd_rowref *refs, uint32_t count, kdi_place *out_place,
                              bool *out_found)
{
    for (uint32_t i = count; i > 0; i--) { /* The newest version is mostly the last. */
        if (!kdi_place_find(table, refs[i - 1], out_place))
            continue;
        KD_TRY(kdi_place_visible(ctx, out_place, snapshot, out_found));
        if (*out_found)
            return KD_OK;
    }
    return KD_OK;
}

static kd_status place_in(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                          const kdi_index *index, kd_slice key, kdi_place *out_place,
                          bool *out_found)
{
    kd_rowref few[FOUND_REFS];
    uint32_t count;
    KD_TRY(kdi_serial_note_range(ctx, table, snapshot, index->definition.index_no, key, key));
    KD_TRY(kd_index_find(ctx, index->index, key, few, FOUND_REFS, &count));
    if (count <= FOUND_REFS)
        return pick_visible(ctx, table, snapshot, few, count, out_place, out_found);
    for (;;) {
        /* Many versions of one row, or an index that is not unique. */
        uint32_t capacity = count * 2;
        kd_rowref *refs = KD_NEW_ARRAY(ctx, arena, kd_rowref, capacity);
        if (refs == NULL)
            return KD_NOMEM;
        KD_TRY(kd_index_find(ctx, index->index, key, refs, capacity, &count));
        if (count <= capacity)
            return pick_visible(ctx, table, snapshot, refs, count, out_place, out_found);
    }
}

static kd_status place_by_key(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                              uint64_t index_no, kd_slice key, kdi_place *out_place,
                              bool *out_found)
{
    *out_found = false;
    kdi_index *index = kdi_index_get(ctx, table, index_no);
    if (index == NULL)
        return KD_CONFLICT;
    KD_TRY(place_in(ctx, arena, table, snapshot, index, key, out_place, out_found));
    kdi_count_key(index, *out_found);
    return KD_OK;
}

kd_status kd_table_find_by_key(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                               uint64_t index_no, kd_slice key, kd_rowref *out_ref, bool *out_found)
{
    kdi_place place;
    *out_ref = KD_ROWREF_NONE;
    KD_TRY(place_by_key(ctx, arena, table, snapshot, index_no, key, &place, out_found));
    if (*out_found)
        *out_ref = place.ref;
    return KD_OK;
}

kd_status kd_table_get_by_key(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                              uint64_t index_no, kd_slice key, const kd_table_shape *shape,
                              const uint32_t *positions, uint32_t position_count,
                              kd_value *out_values, kd_rowref *out_ref, bool *out_found)
{
    kdi_place place;
    if (out_ref != NULL)
        *out_ref = KD_ROWREF_NONE;
    KD_TRY(place_by_key(ctx, arena, table, snapshot, index_no, key, &place, out_found));
    if (!*out_found)
        return KD_OK;
    if (out_ref != NULL)
        *out_ref = place.ref;
    kd_status status =
        kdi_place_values(ctx, arena, &place, shape, positions, position_count, out_values);
    *out_found = status == KD_OK;
    return status;
}

struct kd_index_scan {
    kd_table *table;
    kd_snapshot snapshot;
    kd_index_cursor *cursor;
    uint32_t pin;
    uint64_t own_unit; /* Own rows in flight at or after this place came after the opening. */
    uint32_t own_slot;
};

kd_status kd_index_scan_open(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                             uint64_t index_no, const kd_index_scan_range *range,
                             kd_index_scan **out_scan)
{
    *out_scan = NULL;
    const kdi_index *index = kdi_index_get(ctx, table, index_no);
    if (index == NULL)
        return KD_CONFLICT;
    KD_TRY(kdi_serial_note_range(ctx, table, snapshot, index_no, range->low, range->high));
    kd_index_scan *scan = KD_NEW(ctx, arena, kd_index_scan);
    if (scan == NULL)
        return KD_NOMEM;
    scan->table = table;
    scan->snapshot = snapshot;
    KD_TRY(kd_txn_pin(ctx, table->storage->txns, snapshot.stamp, &scan->pin));
    kdi_chunk *active = atomic_load(&table->active);
    if (active != NULL) {
        scan->own_unit = active->unit;
        scan->own_slot = kdi_chunk_used(active);
    } else {
        scan->own_unit = atomic_load(&table->storage->next_unit);
    }
    kd_index_range bounds = {.low = range->low,
                             .high = range->high,
                             .low_exclusive = range->low_exclusive,
                             .high_exclusive = range->high_exclusive,
                             .descending = range->descending};
    kd_status status = kd_index_cursor_open(ctx, arena, index->index, &bounds, &scan->cursor);
    if (status != KD_OK) {
        kd_txn_unpin(table->storage->txns, scan->pin);
        return status;
    }
    *out_scan = scan;
    return KD_OK;
}

/* The scan's own transaction added the row after the scan was opened. */
static bool is_own_later(const kd_index_scan *scan, const kdi_place *place)
{
    if (place->chunk == NULL)
        return false;
    if (!kdi_is_in_flight(atomic_load(&place->chunk->begins[place->ordinal])))
        return false;
    return place->chunk->unit > scan->own_unit ||
           (place->chunk->unit == scan->own_unit && place->ordinal >= scan->own_slot);
}

kd_status kd_index_scan_next(kd_ctx *ctx, kd_index_scan *scan, kd_rowref *out_ref, bool *out_end)
{
    *out_ref = KD_ROWREF_NONE;
    for (uint32_t step = 0;; step++) {
        kd_slice key;
        kd_rowref ref;
        kdi_place place;
        bool is_visible;
        if (step % KD_VECTOR_ROWS == 0)
            KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kd_index_cursor_next(ctx, scan->cursor, &key, &ref, out_end));
        if (*out_end)
            return KD_OK;
        if (!kdi_place_find(scan->table, ref, &place))
            continue;
        KD_TRY(kdi_place_visible(ctx, &place, scan->snapshot, &is_visible));
        if (is_visible && !is_own_later(scan, &place)) {
            *out_ref = place.ref;
            return KD_OK;
        }
    }
}

void kd_index_scan_close(kd_index_scan *scan)
{
    if (scan == NULL)
        return;
    kd_index_cursor_close(scan->cursor);
    kd_txn_unpin(scan->table->storage->txns, scan->pin);
}
