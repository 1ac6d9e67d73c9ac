/*
 * Inserting rows into the delta.
 *
 * Order for each row: fill the slot, note it in the write set and the redo, publish
 * its begin stamp, enter it into the indexes. When a key is taken, the slot dies and
 * note and redo go away again.
 */
#include "table/table_internal.h"

#include <string.h>

kd_status kdi_check_not_null(kd_ctx *ctx, const kd_table_shape *shape, uint32_t position,
                             bool is_null)
{
    const kd_table_column *column = &shape->columns[position];
    if (!is_null || !column->not_null)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "23502",
                   "null value in column \"%.*s\" of relation \"%.*s\" violates not-null "
                   "constraint",
                   (int)column->name.size_bytes, column->name.data,
                   (int)shape->table_name.size_bytes, shape->table_name.data);
}

static kd_status redo_numbers_to(kd_ctx *ctx, kd_buffer *redo, kdi_redo op, const uint64_t *numbers,
                                 uint32_t count)
{
    KD_TRY(kd_buffer_append_byte(ctx, redo, (uint8_t)op));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kd_buffer_append_varint(ctx, redo, numbers[i]));
    return KD_OK;
}

kd_status kdi_redo_numbers(kd_ctx *ctx, kd_txn *txn, kdi_redo op, const uint64_t *numbers,
                           uint32_t count)
{
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t size_before = redo->size_bytes;
    kd_status status = redo_numbers_to(ctx, redo, op, numbers, count);
    if (status != KD_OK)
        redo->size_bytes = size_before;
    return status;
}

kd_status kdi_redo_rows(kd_ctx *ctx, kd_txn *txn, const kd_table *table, const kdi_chunk *chunk,
                        uint32_t first, uint32_t count)
{
    uint64_t numbers[] = {table->table_no, chunk->unit, first, count, chunk->set->version};
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t size_before = redo->size_bytes;
    kd_status status = redo_numbers_to(ctx, redo, KDI_REDO_ROWS, numbers, 5);
    if (status == KD_OK)
        status = kdi_chunk_append_rows(ctx, chunk, first, count, redo);
    if (status != KD_OK)
        redo->size_bytes = size_before;
    return status;
}

/* What rows take besides their values: stamps, the next version, null bytes. */
static uint64_t delta_bytes(const kdi_chunk *chunk, uint32_t count, uint64_t redo_bytes)
{
    return redo_bytes + (uint64_t)count * (3 * sizeof(kd_stamp) + chunk->set->count);
}

/* The slot's values are in; on failure it is dead and nothing is noted. */
static kd_status row_note(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                          uint32_t slot)
{
    kd_status status = kdi_writes_insert(ctx, writes, table, chunk, slot, 1);
    if (status == KD_OK) {
        status = kdi_redo_rows(ctx, writes->txn, table, chunk, slot, 1);
        if (status != KD_OK)
            kdi_writes_insert_drop(writes);
    }
    if (status == KD_OK)
        atomic_store(&chunk->begins[slot], KD_STAMP_IN_FLIGHT | kd_txn_no(writes->txn));
    return status;
}

static kd_status slot_fail(kd_ctx *ctx, kdi_write_set *writes, const kdi_index *index,
                           kdi_chunk *chunk, uint32_t slot)
{
    kdi_place place = {.chunk = chunk, .ordinal = slot, .ref = kdi_ref(chunk->unit, slot)};
    return kdi_unique_fail(ctx, writes->scratch, index, &place);
}

static kd_status row_enter(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                           uint32_t slot, const kd_on_conflict *on_conflict,
                           kd_insert_outcome *out_outcome)
{
    kd_rowref conflict;
    const kdi_index *index;
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, writes->txn, &redo));
    size_t redo_before = redo->size_bytes;
    KD_TRY(row_note(ctx, writes, table, chunk, slot));
    kd_status status =
        kdi_unique_enter(ctx, writes, table, chunk, slot, on_conflict, &conflict, &index);
    if (status == KD_OK && conflict == KD_ROWREF_NONE) {
        *out_outcome = (kd_insert_outcome){.ref = kdi_ref(chunk->unit, slot), .inserted = true};
        return KD_OK;
    }
    redo->size_bytes = redo_before;
    kdi_writes_insert_drop(writes);
    atomic_store(&chunk->begins[slot], KDI_STAMP_DEAD);
    if (status != KD_OK)
        return status;
    if (!kdi_conflict_is_told(on_conflict, index->definition.index_no))
        return slot_fail(ctx, writes, index, chunk, slot);
    *out_outcome =
        (kd_insert_outcome){.ref = conflict, .conflict_index_no = index->definition.index_no};
    return KD_OK;
}

kd_status kdi_insert_values(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                            const kdi_column_set *set, const kd_value *values,
                            const kd_on_conflict *on_conflict, kd_insert_outcome *out_outcome)
{
    kdi_chunk *chunk;
    uint32_t slot, count;
    kd_status status = KD_OK;
    *out_outcome = (kd_insert_outcome){.ref = KD_ROWREF_NONE};
    KD_TRY(kdi_delta_take(ctx, table, 1, &chunk, &slot, &count));
    for (uint32_t i = 0; status == KD_OK && i < chunk->set->count; i++) {
        int at = kdi_set_find(set, chunk->set->columns[i].column_no, i);
        const kd_value *value = at < 0 ? &chunk->set->columns[i].missing : &values[at];
        status = kdi_chunk_put(ctx, chunk, slot, i, &value->as, value->is_null);
    }
    if (status == KD_OK)
        status = row_enter(ctx, writes, table, chunk, slot, on_conflict, out_outcome);
    if (status != KD_OK)
        atomic_store(&chunk->begins[slot], KDI_STAMP_DEAD);
    kd_arena_reset(writes->scratch);
    if (status == KD_OK)
        status = kd_txn_redo_added(ctx, writes->txn);
    return status;
}

/* A shape as a column set: what the caller's columns are, without copying them. */
static kdi_column_set shape_set(const kd_table_shape *shape)
{
    /* The cast drops a const that nobody here makes use of. */
    kdi_column_set set = {.count = shape->column_count};
    memcpy(&set.columns, &shape->columns, sizeof set.columns);
    return set;
}

kd_status kd_table_insert_row(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                              const kd_table_shape *shape, const kd_value *values,
                              const kd_on_conflict *on_conflict, kd_insert_outcome *out_outcome)
{
    kdi_write_set *writes;
    *out_outcome = (kd_insert_outcome){.ref = KD_ROWREF_NONE};
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    for (uint32_t i = 0; i < shape->column_count; i++)
        KD_TRY(kdi_check_not_null(ctx, shape, i, values[i].is_null));
    kdi_delta_slow(ctx, table);
    kdi_column_set set = shape_set(shape);
    KD_TRY(kdi_insert_values(ctx, writes, table, &set, values, on_conflict, out_outcome));
    kd_table_count(table, &(kd_table_usage){.inserted = out_outcome->inserted});
    return KD_OK;
}

/* --- Batches --------------------------------------------------------------------------------- */

static kd_status batch_check_nulls(kd_ctx *ctx, const kd_table_shape *shape, const kd_batch *batch)
{
    for (uint32_t column = 0; column < shape->column_count; column++) {
        if (!shape->columns[column].not_null)
            continue;
        for (uint32_t i = 0; i < batch->selected_count; i++) {
            uint32_t row = kd_batch_row(batch, i);
            KD_TRY(kdi_check_not_null(ctx, shape, column,
                                      kd_vector_is_null(&batch->columns[column], row)));
        }
    }
    return KD_OK;
}

static kd_status column_fill(kd_ctx *ctx, kdi_chunk *chunk, uint32_t column, uint32_t first,
                             uint32_t count, const kd_vector *vector, const kd_batch *batch,
                             uint32_t start)
{
    char scratch[16];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = kd_batch_row(batch, start + i);
        bool is_null = kd_vector_is_null(vector, row);
        const void *payload = is_null ? NULL : kd_vector_payload(vector, row, scratch);
        KD_TRY(kdi_chunk_put(ctx, chunk, first + i, column, payload, is_null));
    }
    return KD_OK;
}

static kd_status column_fill_missing(kd_ctx *ctx, kdi_chunk *chunk, uint32_t column, uint32_t first,
                                     uint32_t count)
{
    const kd_value *missing = &chunk->set->columns[column].missing;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_chunk_put(ctx, chunk, first + i, column, &missing->as, missing->is_null));
    return KD_OK;
}

static kd_status slots_fill(kd_ctx *ctx, const kd_table_shape *shape, kdi_chunk *chunk,
                            uint32_t first, uint32_t count, const kd_batch *batch, uint32_t start)
{
    kdi_column_set set = shape_set(shape);
    for (uint32_t column = 0; column < chunk->set->count; column++) {
        int at = kdi_set_find(&set, chunk->set->columns[column].column_no, column);
        if (at < 0)
            KD_TRY(column_fill_missing(ctx, chunk, column, first, count));
        else
            KD_TRY(
                column_fill(ctx, chunk, column, first, count, &batch->columns[at], batch, start));
    }
    return KD_OK;
}

/* Filled slots: note all, publish, then enter row by row. */
static kd_status slots_enter(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                             uint32_t first, uint32_t count)
{
    KD_TRY(kdi_writes_insert(ctx, writes, table, chunk, first, count));
    /* From here on the caller's rollback (of the statement or all) undoes the rows. */
    for (uint32_t i = first; i < first + count; i++)
        atomic_store(&chunk->begins[i], KD_STAMP_IN_FLIGHT | kd_txn_no(writes->txn));
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, writes->txn, &redo));
    size_t redo_before = redo->size_bytes;
    KD_TRY(kdi_redo_rows(ctx, writes->txn, table, chunk, first, count));
    writes->delta_bytes += delta_bytes(chunk, count, redo->size_bytes - redo_before);
    for (uint32_t slot = first; slot < first + count; slot++) {
        kd_rowref conflict;
        const kdi_index *index;
        KD_TRY(kdi_unique_enter(ctx, writes, table, chunk, slot, NULL, &conflict, &index));
        if (conflict != KD_ROWREF_NONE)
            return slot_fail(ctx, writes, index, chunk, slot);
    }
    return kd_txn_redo_added(ctx, writes->txn);
}

kd_status kd_table_insert_batch(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                                const kd_table_shape *shape, const kd_batch *batch,
                                kd_rowref *out_refs)
{
    kdi_write_set *writes;
    assert(batch->column_count == shape->column_count);
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    KD_TRY(batch_check_nulls(ctx, shape, batch));
    kd_table_count(table, &(kd_table_usage){.inserted = batch->selected_count});
    if (kdi_private_wanted(writes, table))
        return kdi_private_insert(ctx, writes, table, shape, batch, out_refs);
    kdi_delta_slow(ctx, table);
    for (uint32_t done = 0; done < batch->selected_count;) {
        kdi_chunk *chunk;
        uint32_t first, count;
        KD_TRY(kdi_delta_take(ctx, table, batch->selected_count - done, &chunk, &first, &count));
        kd_status status = slots_fill(ctx, shape, chunk, first, count, batch, done);
        if (status != KD_OK) {
            for (uint32_t i = first; i < first + count; i++)
                atomic_store(&chunk->begins[i], KDI_STAMP_DEAD);
            return status;
        }
        KD_TRY(slots_enter(ctx, writes, table, chunk, first, count));
        for (uint32_t i = 0; out_refs != NULL && i < count; i++)
            out_refs[done + i] = kdi_ref(chunk->unit, first + i);
        done += count;
    }
    kd_arena_reset(writes->scratch);
    return KD_OK;
}
