/*
 * Bulk load: rows straight into segments that the commit installs.
 *
 * Without sort columns batches stream into the writer; with them rows are staged and
 * sorted, a segment's worth at a time. finish() puts the segments into the table, in
 * flight as a whole, and then enters their keys: checked one by one, as any insert,
 * so that a unique key holds against other writers at every moment. Segments of a
 * transaction that does not commit leave the table again; what is left of their keys
 * points at no row and goes at the next checkpoint.
 */
#include "table/segment_build.h"

#include <stdlib.h>

enum { STAGED_ROWS_MAX = KD_SEGMENT_ROWS_MAX, STAGED_BYTES_MAX = 256 << 20 };

struct kd_bulk_load {
    kd_txn *txn;
    kd_table *table;
    kdi_write_set *writes;
    kd_table_shape shape;
    kdi_rewrite build;
    kd_arena *arena;
    bool is_finished;
    /* Streaming. */
    kd_segment_writer *writer;
    uint64_t unit;
    kd_vector *columns; /* Of one batch, in the order of the table's columns. */
};

kd_status kd_bulk_load_begin(kd_ctx *ctx, kd_txn *txn, kd_table *table, const kd_table_shape *shape,
                             kd_bulk_load **out_load)
{
    kdi_write_set *writes;
    *out_load = NULL;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    kd_arena *arena = kd_arena_create(ctx, NULL, "bulk load", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_bulk_load *load = KD_NEW(ctx, arena, kd_bulk_load);
    kd_status status = load == NULL ? KD_NOMEM : kdi_rewrite_begin(ctx, table, &load->build);
    if (status == KD_OK) {
        load->txn = txn;
        load->table = table;
        load->writes = writes;
        load->shape = *shape;
        load->arena = arena;
        load->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, load->build.set->count);
        if (load->columns == NULL) {
            kdi_rewrite_end(ctx, &load->build);
            status = KD_NOMEM;
        }
    }
    if (status != KD_OK) {
        kd_arena_destroy(arena);
        return status;
    }
    *out_load = load;
    return KD_OK;
}

void kd_bulk_load_destroy(kd_bulk_load *load)
{
    if (load == NULL)
        return;
    kd_ctx ctx = {.world = load->table->storage->world};
    kd_segment_writer_destroy(load->writer);
    kdi_rewrite_end(&ctx, &load->build);
    kd_arena_destroy(load->arena);
}

static int shape_find(const kd_table_shape *shape, uint32_t column_no, uint32_t hint)
{
    if (hint < shape->column_count && shape->columns[hint].column_no == column_no)
        return (int)hint;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        if (shape->columns[i].column_no == column_no)
            return (int)i;
    }
    return -1;
}

/* --- Streaming ------------------------------------------------------------------------------- */

static kd_status stream_open(kd_ctx *ctx, kd_bulk_load *load)
{
    const kdi_column_set *set = load->build.set;
    kd_storage *storage = load->table->storage;
    kd_type *types = KD_NEW_ARRAY(ctx, load->arena, kd_type, set->count);
    uint32_t *numbers = KD_NEW_ARRAY(ctx, load->arena, uint32_t, set->count);
    if (types == NULL || numbers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < set->count; i++) {
        types[i] = set->columns[i].type;
        numbers[i] = set->columns[i].column_no;
    }
    load->unit = atomic_fetch_add(&storage->next_unit, 1);
    kd_segment_shape shape = {.unit = load->unit,
                              .table_no = (uint32_t)load->table->table_no,
                              .schema_version = set->version,
                              .column_count = set->count,
                              .types = types,
                              .column_nos = numbers};
    return kd_segment_writer_create(ctx, &storage->files, &shape, &load->writer);
}

static kd_status stream_close(kd_ctx *ctx, kd_bulk_load *load)
{
    kdi_rewrite *build = &load->build;
    kdi_segment **place;
    if (load->writer == NULL)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, build->arena, build->segments, build->segment_count,
                   build->segment_capacity, &place));
    build->segment_count--; /* Counted when it is there. */
    KD_TRY(kd_segment_writer_finish(ctx, load->writer));
    kd_segment_writer_destroy(load->writer);
    load->writer = NULL;
    KD_TRY(kdi_segment_open(ctx, load->table->storage, load->unit,
                            KD_STAMP_IN_FLIGHT | kd_txn_no(load->txn), 0, place));
    build->segment_count++;
    return KD_OK;
}

static kd_status stream_append(kd_ctx *ctx, kd_bulk_load *load, const kd_batch *batch)
{
    uint16_t selection[KD_BATCH_ROWS];
    for (uint32_t done = 0; done < batch->selected_count;) {
        if (load->writer == NULL)
            KD_TRY(stream_open(ctx, load));
        uint32_t room = KD_SEGMENT_ROWS_MAX - kd_segment_writer_row_count(load->writer);
        uint32_t count = batch->selected_count - done;
        count = count < room ? count : room;
        kd_batch part = *batch;
        part.columns = load->columns;
        part.column_count = load->build.set->count;
        if (count < batch->selected_count) {
            for (uint32_t i = 0; i < count; i++)
                selection[i] = (uint16_t)kd_batch_row(batch, done + i);
            part.selection = selection;
            part.selected_count = count;
        }
        KD_TRY(kd_segment_writer_append(ctx, load->writer, &part, NULL));
        done += count;
        if (count == room)
            KD_TRY(stream_close(ctx, load));
    }
    return KD_OK;
}

/* --- Staging --------------------------------------------------------------------------------- */

static kd_status stage_row(kd_ctx *ctx, kd_bulk_load *load, uint32_t row)
{
    kdi_rewrite *build = &load->build;
    kdi_chunk *chunk;
    uint32_t slot;
    char scratch[16];
    KD_TRY(kdi_rewrite_stage(ctx, build, &chunk, &slot));
    for (uint32_t i = 0; i < build->set->count; i++) {
        const kd_vector *vector = &load->columns[i];
        bool is_null = kd_vector_is_null(vector, row);
        KD_TRY(kdi_chunk_put(ctx, chunk, slot, i,
                             is_null ? NULL : kd_vector_payload(vector, row, scratch), is_null));
    }
    return kdi_rewrite_add(ctx, build, (kdi_rewrite_row){.chunk = chunk, .slot = slot});
}

static kd_status stage_append(kd_ctx *ctx, kd_bulk_load *load, const kd_batch *batch)
{
    kd_stamp begin = KD_STAMP_IN_FLIGHT | kd_txn_no(load->txn);
    for (uint32_t i = 0; i < batch->selected_count; i++)
        KD_TRY(stage_row(ctx, load, kd_batch_row(batch, i)));
    if (load->build.row_count >= STAGED_ROWS_MAX - KD_BATCH_ROWS ||
        load->build.staged_bytes >= STAGED_BYTES_MAX)
        return kdi_rewrite_write(ctx, &load->build, begin);
    return KD_OK;
}

static kd_status columns_arrange(kd_ctx *ctx, kd_bulk_load *load, const kd_batch *batch)
{
    const kdi_column_set *set = load->build.set;
    for (uint32_t i = 0; i < set->count; i++) {
        int at = shape_find(&load->shape, set->columns[i].column_no, i);
        if (at >= 0)
            load->columns[i] = batch->columns[at];
        else if (load->columns[i].values == NULL)
            KD_TRY(kd_vector_init_constant(ctx, load->arena, &set->columns[i].missing,
                                           &load->columns[i]));
    }
    for (uint32_t column = 0; column < load->shape.column_count; column++) {
        if (!load->shape.columns[column].not_null || batch->columns[column].validity == NULL)
            if (batch->columns[column].form != KD_VECTOR_DICT)
                continue;
        for (uint32_t i = 0; load->shape.columns[column].not_null && i < batch->selected_count; i++)
            KD_TRY(kdi_check_not_null(
                ctx, &load->shape, column,
                kd_vector_is_null(&batch->columns[column], kd_batch_row(batch, i))));
    }
    return KD_OK;
}

kd_status kd_bulk_load_append(kd_ctx *ctx, kd_bulk_load *load, const kd_batch *batch)
{
    assert(!load->is_finished);
    KD_TRY(kd_check_cancelled(ctx));
    KD_TRY(columns_arrange(ctx, load, batch));
    kd_table_count(load->table, &(kd_table_usage){.inserted = batch->selected_count});
    if (load->table->sort_column_count > 0)
        return stage_append(ctx, load, batch);
    return stream_append(ctx, load, batch);
}

/* --- Finishing ------------------------------------------------------------------------------- */

static void segment_committed(void *object, kd_stamp stamp)
{
    kdi_segment *segment = object;
    atomic_store(&segment->begin, stamp);
    kdi_table_note_change(segment->table, stamp);
    atomic_fetch_add(&segment->table->row_count, segment->row_count);
}

void kdi_segment_undone(void *object)
{
    kdi_segment *segment = object;
    kd_table *table = segment->table;
    kd_ctx ctx = {.world = table->storage->world};
    kdi_unit_list *list;
    kdi_unit_change change = {.drop_segments = &segment, .drop_segment_count = 1};
    kd_mutex_lock(&table->lock);
    kd_status status = kdi_units_make(&ctx, table, &change, &list);
    if (status == KD_OK)
        kdi_units_publish(table, list);
    kd_mutex_unlock(&table->lock);
    if (status != KD_OK) {
        /* It stays in memory, in flight by nobody: no snapshot sees it, no checkpoint names it. */
        kd_error_clear(&ctx);
        atomic_store(&segment->begin, KDI_STAMP_DEAD);
        return;
    }
    segment->removes_file = segment->file != NULL;
    kd_txn_retire(table->storage->txns, &segment->garbage, kdi_segment_close, segment);
}

static const kdi_structural segment_change = {segment_committed, kdi_segment_undone};

static kd_status segment_install(kd_ctx *ctx, kd_bulk_load *load, kdi_segment *segment)
{
    kd_table *table = load->table;
    kdi_unit_list *list;
    uint64_t numbers[] = {table->table_no, segment->unit, 1, 0};
    segment->table = table;
    KD_TRY(kdi_redo_numbers(ctx, load->txn, KDI_REDO_INSTALL, numbers, 4));
    KD_TRY(kdi_writes_structure(ctx, load->writes, &segment_change, segment));
    kdi_unit_change change = {.add_segments = &segment, .add_segment_count = 1};
    kd_mutex_lock(&table->lock);
    kd_status status = kdi_units_make(ctx, table, &change, &list);
    if (status == KD_OK)
        kdi_units_publish(table, list);
    kd_mutex_unlock(&table->lock);
    if (status != KD_OK)
        load->writes->count--; /* Not in the table: nothing to undo. */
    return status;
}

kd_status kd_bulk_load_finish(kd_ctx *ctx, kd_bulk_load *load)
{
    kdi_rewrite *build = &load->build;
    assert(!load->is_finished);
    load->is_finished = true;
    KD_TRY(kdi_rewrite_write(ctx, build, KD_STAMP_IN_FLIGHT | kd_txn_no(load->txn)));
    KD_TRY(stream_close(ctx, load));
    kd_mutex_lock(&load->table->bulk);
    kd_status status = KD_OK;
    while (status == KD_OK && build->segment_count > 0) {
        kdi_segment *segment = build->segments[build->segment_count - 1];
        status = segment_install(ctx, load, segment);
        if (status != KD_OK)
            break;
        build->segment_count--;              /* The transaction's now. */
        kd_mutex_unlock(&load->table->bulk); /* Entering keys may wait for others. */
        status = kdi_indexes_enter_segment(ctx, load->writes, load->table, segment);
        kd_mutex_lock(&load->table->bulk);
    }
    kd_mutex_unlock(&load->table->bulk);
    return status;
}
