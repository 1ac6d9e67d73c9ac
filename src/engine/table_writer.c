/*
 * Writing rows to a table: defaults, generated columns, checks, partitions,
 * foreign keys, and then the storage.
 *
 * Inserts work on batches; updates and deletes on single rows, which were
 * collected before the first of them is written. A writer of a partitioned parent
 * fills defaults and hands each row to the writer of its partition.
 */
#include "engine/table_key.h"

#include <assert.h>

typedef struct column_source {
    int32_t given;          /* Position in the caller's input, or -1. */
    kd_compiled_expr *expr; /* Default or generated expression; NULL: NULL. */
    bool generated;
} column_source;

typedef struct compiled_check {
    kd_slice name;
    kd_compiled_expr *expr;
} compiled_check;

typedef struct partition {
    const kd_table_entry *table;
    kdi_table_writer *writer;   /* Made at the first row. */
    uint32_t *parent_positions; /* Per visible column of the partition: the parent's position. */
    uint32_t *positions_of;     /* Per parent position: the partition's. */
    uint16_t *selection;        /* Rows of the current batch that go here; made with the first. */
    uint32_t selected_count;
} partition;

struct kdi_table_writer {
    kd_run *run;
    kd_arena *arena;
    kd_arena *batch_arena;
    const kd_table_entry *table;
    kd_table *storage;
    column_source *sources; /* Per shape position. */
    uint32_t check_count;
    compiled_check *checks;
    bool has_generated;
    kdi_referrer *referrers;
    uint32_t referrer_count;
    kd_vector *vectors; /* Per shape position: the batch being written. */
    uint32_t partition_count;
    partition *partitions;
    uint32_t arbiter_count; /* Of ON CONFLICT: positions of indexes; none: any. */
    uint32_t *arbiters;
    kd_on_conflict policy;      /* The same for the storage; a parent's indexes have none. */
    bool keeps_partition;       /* DO UPDATE does not move rows. */
    const kd_table_entry *root; /* The table that the statement names: this one, or an ancestor. */
    const kdi_bounds *bounds;   /* Of a partition that is `root`; made at the first row. */
    kdi_table_key *keys;        /* Of its ancestors, over all their partitions. */
    kd_insert_outcome *entries; /* Room for one per key: what one row has entered. */
    uint32_t key_count;
    uint32_t expected_no; /* The partition that the next reference is thought to be of; 0: any. */
    bool is_moving;       /* A delete is half of a move: what refers to the row is for the mover. */
    kdi_row_place *places; /* Of the rows of a batch; NULL: nobody asks. */
    kd_rowref *refs;       /* Room for what the storage tells of them. */
    const partition *last; /* Where the last single row went. */
};

/* --- Making a writer
 * ------------------------------------------------------------------------------- */

kd_status kdi_compile_text(kd_ctx *ctx, kd_arena *arena, kd_run *run, kd_slice text,
                           const kd_table_entry *table, kd_type type,
                           kd_compiled_expr **out_compiled)
{
    kd_bind_options options;
    kd_column_id *ids = NULL;
    kd_expr *bound;
    KD_TRY(kdi_bind_options(ctx, arena, run->session, run->catalog, &run->facts, &options));
    options.allow_parameters = false;
    KD_TRY(kd_bind_expression_text(ctx, arena, &options, text, table, type, &ids, &bound));
    return kd_expr_compile(ctx, arena, bound, ids, table == NULL ? 0 : table->column_count,
                           &run->facts, NULL, 0, out_compiled);
}

static kd_status compile_text(kd_ctx *ctx, kdi_table_writer *writer, kd_slice text,
                              const kd_table_entry *table, kd_type type,
                              kd_compiled_expr **out_compiled)
{
    return kdi_compile_text(ctx, writer->arena, writer->run, text, table, type, out_compiled);
}

static kd_status make_sources(kd_ctx *ctx, kdi_table_writer *writer, const uint32_t *given,
                              uint32_t given_count)
{
    const kd_table_entry *table = writer->table;
    writer->sources = KD_NEW_ARRAY(ctx, writer->arena, column_source, table->column_count);
    writer->vectors = KD_NEW_ARRAY(ctx, writer->arena, kd_vector, table->column_count);
    if (writer->sources == NULL || writer->vectors == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->column_count; i++)
        writer->sources[i].given = -1;
    for (uint32_t i = 0; i < given_count; i++)
        writer->sources[given[i]].given = (int32_t)i;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const kd_column *column = &table->columns[i];
        column_source *source = &writer->sources[i];
        source->generated = column->generated;
        writer->has_generated |= column->generated;
        if (column->default_text.size_bytes == 0 || (source->given >= 0 && !column->generated))
            continue;
        KD_TRY(compile_text(ctx, writer, column->default_text, column->generated ? table : NULL,
                            column->storage.type, &source->expr));
    }
    return KD_OK;
}

static kd_status make_checks(kd_ctx *ctx, kdi_table_writer *writer)
{
    const kd_table_entry *table = writer->table;
    writer->checks = KD_NEW_ARRAY(ctx, writer->arena, compiled_check, table->check_count);
    if (writer->checks == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->check_count; i++) {
        compiled_check *check = &writer->checks[writer->check_count++];
        check->name = table->checks[i].name;
        KD_TRY(compile_text(ctx, writer, table->checks[i].expression_text, table,
                            kd_type_of(KD_TYPE_BOOL), &check->expr));
    }
    return KD_OK;
}

static int find_column(const kd_table_entry *table, kd_slice name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, name))
            return (int)i;
    return -1;
}

static kd_status make_partitions(kd_ctx *ctx, kdi_table_writer *writer)
{
    const kd_table_entry *parent = writer->table;
    const kd_table_entry **tables;
    KD_TRY(kd_catalog_partitions(ctx, writer->arena, writer->run->catalog, parent->object.object_no,
                                 &tables, &writer->partition_count));
    writer->partitions = KD_NEW_ARRAY(ctx, writer->arena, partition, writer->partition_count);
    if (writer->partitions == NULL)
        return KD_NOMEM;
    for (uint32_t p = 0; p < writer->partition_count; p++) {
        partition *it = &writer->partitions[p];
        it->table = tables[p];
        it->parent_positions = KD_NEW_ARRAY(ctx, writer->arena, uint32_t, it->table->visible_count);
        it->positions_of = KD_NEW_ARRAY(ctx, writer->arena, uint32_t, parent->column_count);
        if (it->parent_positions == NULL || it->positions_of == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < it->table->visible_count; i++) {
            int position = find_column(parent, it->table->columns[i].storage.name);
            if (position < 0)
                return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a partition has a column of its own");
            it->parent_positions[i] = (uint32_t)position;
            it->positions_of[position] = i;
        }
    }
    return KD_OK;
}

/* A definition that is being changed (its rows are rewritten) is not in the catalog yet. */
static bool is_draft(const kdi_table_writer *writer)
{
    const kd_object *object = &writer->table->object;
    return kd_catalog_get(writer->run->catalog, object->object_no) != object;
}

/* Rows that are copied into a new storage stay in their partition: their keys are entered already.
 */
static kd_status find_keys(kd_ctx *ctx, kdi_table_writer *writer)
{
    if (writer->table->parent_no == 0 || is_draft(writer))
        return KD_OK;
    KD_TRY(kdi_table_keys_find(ctx, writer->arena, writer->run, writer->table,
                               writer->table->parent_no, &writer->keys, &writer->key_count));
    writer->entries = KD_NEW_ARRAY(ctx, writer->arena, kd_insert_outcome, writer->key_count);
    return writer->entries == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_table_writer_enter(kd_ctx *ctx, kdi_table_writer *writer)
{
    kd_run *run = writer->run;
    const kd_table_entry *table = writer->table;
    kd_txn *txn = run->session->txn;
    if (kd_txn_is_read_only(txn))
        return KD_FAIL(ctx, KD_INVALID, "25006",
                       "cannot write to table \"%.*s\" in a read-only transaction",
                       (int)table->object.name.size_bytes, table->object.name.data);
    if (table->strategy != KD_PARTITION_NONE)
        return KD_OK; /* Its partitions' writers enter. */
    KD_TRY(kd_txn_lock_table(ctx, txn, table->table_no, KD_TABLE_WRITE, false));
    writer->storage = kd_table_find(run->session->database->storage, table->table_no);
    if (writer->storage == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P01", "relation \"%.*s\" was dropped meanwhile",
                       (int)table->object.name.size_bytes, table->object.name.data);
    if (!is_draft(writer) &&
        !kd_catalog_is_newest(run->session->database->catalog, txn, &table->object))
        return KD_FAIL(ctx, KD_CONFLICT, "40001",
                       "could not serialize access due to a concurrent change of table \"%.*s\"",
                       (int)table->object.name.size_bytes, table->object.name.data);
    return KD_OK;
}

kd_status kdi_table_writer_create(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                                  const kd_table_entry *table, const uint32_t *given,
                                  uint32_t given_count, kdi_table_writer **out_writer)
{
    *out_writer = NULL;
    kdi_table_writer *writer = KD_NEW(ctx, arena, kdi_table_writer);
    if (writer == NULL)
        return KD_NOMEM;
    writer->run = run;
    writer->arena = arena;
    writer->table = table;
    writer->root = table;
    KD_TRY(kdi_table_writer_enter(ctx, writer));
    writer->batch_arena = kd_arena_create(ctx, arena, "table writer", KD_ARENA_UNLIMITED);
    if (writer->batch_arena == NULL)
        return KD_NOMEM;
    KD_TRY(make_sources(ctx, writer, given, given_count));
    KD_TRY(kdi_foreign_referrers(ctx, arena, run->catalog, table, &writer->referrers,
                                 &writer->referrer_count));
    if (table->strategy != KD_PARTITION_NONE) {
        KD_TRY(make_partitions(ctx, writer));
    } else {
        KD_TRY(make_checks(ctx, writer));
        KD_TRY(find_keys(ctx, writer));
    }
    *out_writer = writer;
    return KD_OK;
}

/* --- Messages
 * -------------------------------------------------------------------------------------- */

/* "(1, abc, null)": the row as PostgreSQL shows it in details. */
static void set_failing_row(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values)
{
    kd_buffer text = kd_buffer_in(writer->batch_arena);
    kd_ctx quiet = {.world = ctx->world}; /* A failure to describe a failure is nothing. */
    kd_error_clear(&quiet);
    for (uint32_t i = 0; i < writer->table->visible_count; i++) {
        if (i > 0 && kd_buffer_append_text(&quiet, &text, ", ") != KD_OK)
            return;
        kd_status status = values[i].is_null
                               ? kd_buffer_append_text(&quiet, &text, "null")
                               : kd_value_format(&quiet, &writer->run->text, &values[i], &text);
        if (status != KD_OK)
            return;
    }
    kd_error_set_detail(ctx, "Failing row contains (%.*s).", (int)text.size_bytes, text.data);
}

void kdi_table_writer_describe(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values)
{
    set_failing_row(ctx, writer, values);
}

static kd_status check_failed(kd_ctx *ctx, kdi_table_writer *writer, const compiled_check *check,
                              const kd_value *values)
{
    kd_slice table = writer->table->object.name;
    char *name = kd_copy_text(ctx, writer->batch_arena, check->name.data, check->name.size_bytes);
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "23514",
                "new row for relation \"%.*s\" violates check constraint \"%.*s\"",
                (int)table.size_bytes, table.data, (int)check->name.size_bytes, check->name.data);
    if (name != NULL)
        kd_error_set_constraint(ctx, name);
    set_failing_row(ctx, writer, values);
    return status;
}

/* --- Inserting batches
 * ------------------------------------------------------------------------------ */

static void read_row(const kdi_table_writer *writer, const kd_batch *batch, uint32_t row,
                     kd_value *out_values)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++)
        out_values[i] = kd_vector_get(&batch->columns[i], row);
}

static kd_status new_row(kd_ctx *ctx, kdi_table_writer *writer, kd_value **out_values)
{
    *out_values = KD_NEW_ARRAY(ctx, writer->batch_arena, kd_value, writer->table->column_count);
    return *out_values == NULL ? KD_NOMEM : KD_OK;
}

/* Fills the vectors of the full row: given columns, defaults, then what is generated from them. */
static kd_status complete_batch(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *input,
                                kd_batch *full)
{
    *full = (kd_batch){.row_count = input->row_count,
                       .selected_count = input->selected_count,
                       .selection = input->selection,
                       .column_count = writer->table->column_count,
                       .columns = writer->vectors};
    kd_batch no_columns = *full;
    no_columns.column_count = 0;
    for (uint32_t i = 0; i < full->column_count; i++) {
        const column_source *source = &writer->sources[i];
        kd_value null = kd_value_null(writer->table->columns[i].storage.type);
        if (source->given >= 0 && !source->generated)
            writer->vectors[i] = input->columns[source->given];
        else if (source->expr == NULL || source->generated)
            KD_TRY(kd_vector_init_constant(ctx, writer->batch_arena, &null, &writer->vectors[i]));
        else
            KD_TRY(kd_expr_evaluate(ctx, source->expr, writer->batch_arena, &no_columns,
                                    &writer->vectors[i]));
    }
    for (uint32_t i = 0; writer->has_generated && i < full->column_count; i++)
        if (writer->sources[i].generated)
            KD_TRY(kd_expr_evaluate(ctx, writer->sources[i].expr, writer->batch_arena, full,
                                    &writer->vectors[i]));
    return KD_OK;
}

static kd_status run_checks(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *full)
{
    for (uint32_t c = 0; c < writer->check_count; c++) {
        kd_vector results;
        KD_TRY(kd_expr_evaluate(ctx, writer->checks[c].expr, writer->batch_arena, full, &results));
        for (uint32_t i = 0; i < full->selected_count; i++) {
            uint32_t row = kd_batch_row(full, i);
            if (kd_vector_is_null(&results, row) || kd_vector_get(&results, row).as.boolean)
                continue;
            kd_value *values;
            KD_TRY(new_row(ctx, writer, &values));
            read_row(writer, full, row, values);
            return check_failed(ctx, writer, &writer->checks[c], values);
        }
    }
    return KD_OK;
}

static kd_status check_references(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *full)
{
    if (writer->table->foreign_count == 0)
        return KD_OK;
    kd_value *values;
    KD_TRY(new_row(ctx, writer, &values));
    for (uint32_t i = 0; i < full->selected_count; i++) {
        read_row(writer, full, kd_batch_row(full, i), values);
        KD_TRY(kdi_foreign_check_row(ctx, writer->run, writer->table, NULL, values));
    }
    return KD_OK;
}

static kd_status insert_into_partitions(kd_ctx *ctx, kdi_table_writer *writer,
                                        const kd_batch *full);

/* Rows written to a partition by its own name must belong there; those that an ancestor has routed
 * do. */
static kd_status check_own_bound(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values)
{
    if (writer->table->parent_no == 0 || writer->root != writer->table)
        return KD_OK;
    if (writer->bounds == NULL)
        KD_TRY(kdi_bounds_create(ctx, writer->arena, writer->run, writer->table, &writer->bounds));
    bool holds;
    KD_TRY(kdi_bounds_hold(ctx, writer->bounds, writer->batch_arena, values, &holds));
    if (holds)
        return KD_OK;
    kd_status status = KD_FAIL(
        ctx, KD_INVALID, "23514", "new row for relation \"%.*s\" violates partition constraint",
        (int)writer->table->object.name.size_bytes, writer->table->object.name.data);
    set_failing_row(ctx, writer, values);
    return status;
}

static kd_status check_bounds(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *full)
{
    if (writer->table->parent_no == 0 || writer->root != writer->table)
        return KD_OK;
    kd_value *values;
    KD_TRY(new_row(ctx, writer, &values));
    for (uint32_t i = 0; i < full->selected_count; i++) {
        read_row(writer, full, kd_batch_row(full, i), values);
        KD_TRY(check_own_bound(ctx, writer, values));
    }
    return KD_OK;
}

static kd_status insert_stored(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *full)
{
    if (writer->places != NULL && writer->refs == NULL) {
        writer->refs = KD_NEW_ARRAY(ctx, writer->arena, kd_rowref, KD_BATCH_ROWS);
        if (writer->refs == NULL)
            return KD_NOMEM;
    }
    KD_TRY(kd_table_insert_batch(ctx, writer->run->session->txn, writer->storage,
                                 writer->table->shape, full, writer->refs));
    for (uint32_t i = 0; writer->places != NULL && i < full->selected_count; i++)
        writer->places[kd_batch_row(full, i)] =
            (kdi_row_place){.ref = writer->refs[i], .object_no = writer->table->object.object_no};
    return KD_OK;
}

kd_status kdi_table_writer_insert(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *input,
                                  kd_batch *out_full)
{
    kd_batch full;
    kd_arena_reset(writer->batch_arena);
    KD_TRY(complete_batch(ctx, writer, input, &full));
    if (out_full != NULL)
        *out_full = full;
    KD_TRY(check_bounds(ctx, writer, &full));
    if (writer->table->strategy != KD_PARTITION_NONE)
        return insert_into_partitions(ctx, writer, &full);
    KD_TRY(run_checks(ctx, writer, &full));
    for (uint32_t k = 0; k < writer->key_count; k++)
        KD_TRY(kdi_table_key_insert(ctx, writer->run->session->txn, &writer->keys[k],
                                    writer->batch_arena, &full));
    KD_TRY(insert_stored(ctx, writer, &full));
    return check_references(ctx, writer, &full);
}

void kdi_table_writer_note_places(kdi_table_writer *writer, kdi_row_place *places)
{
    writer->places = places;
}

const kd_table_entry *kdi_table_writer_last(const kdi_table_writer *writer)
{
    return writer->last == NULL ? writer->table : kdi_table_writer_last(writer->last->writer);
}

/* --- Partitions
 * -------------------------------------------------------------------------------------- */

static uint32_t position_of_column(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return i;
    assert(false && "a partition key is a column");
    return 0;
}

/* The partition for a row, values in the parent's order. 23514 when there is none. */
static kd_status route(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values,
                       partition **out_partition)
{
    const kd_table_entry *parent = writer->table;
    kd_value keys[32];
    *out_partition = NULL;
    assert(parent->partition_column_count <= 32);
    for (uint32_t i = 0; i < parent->partition_column_count; i++)
        keys[i] = values[position_of_column(parent, parent->partition_column_nos[i])];
    for (uint32_t p = 0; p < writer->partition_count; p++) {
        if (kd_partition_takes(parent, &writer->partitions[p].table->bound, keys)) {
            *out_partition = &writer->partitions[p];
            return KD_OK;
        }
    }
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "23514", "no partition of relation \"%.*s\" found for row",
                (int)parent->object.name.size_bytes, parent->object.name.data);
    set_failing_row(ctx, writer, values);
    return status;
}

/* A parent's arbiters are, for a partition, its own indexes over the same. */
static kd_status pass_arbiters(kd_ctx *ctx, kdi_table_writer *parent, kdi_table_writer *writer)
{
    uint32_t count = 0;
    if (!parent->keeps_partition)
        return KD_OK; /* No ON CONFLICT. */
    uint32_t *positions = KD_NEW_ARRAY(ctx, writer->arena, uint32_t, writer->table->index_count);
    if (positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < writer->table->index_count; i++)
        for (uint32_t k = 0; k < parent->arbiter_count; k++)
            if (kdi_index_is_counterpart(parent->table,
                                         &parent->table->indexes[parent->arbiters[k]],
                                         writer->table, &writer->table->indexes[i])) {
                positions[count++] = i;
                break;
            }
    if (count == 0 && parent->arbiter_count > 0)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "partition \"%.*s\" lacks a unique index",
                       (int)writer->table->object.name.size_bytes, writer->table->object.name.data);
    return kdi_table_writer_arbitrate(ctx, writer, positions, count);
}

kd_status kdi_table_writer_arbitrate(kd_ctx *ctx, kdi_table_writer *writer,
                                     const uint32_t *positions, uint32_t count)
{
    uint64_t *index_nos = KD_NEW_ARRAY(ctx, writer->arena, uint64_t, count);
    writer->arbiters = KD_NEW_ARRAY(ctx, writer->arena, uint32_t, count);
    if (index_nos == NULL || writer->arbiters == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        writer->arbiters[i] = positions[i];
        index_nos[i] = writer->table->indexes[positions[i]].storage.index_no;
    }
    writer->arbiter_count = count;
    writer->keeps_partition = true;
    writer->policy = (kd_on_conflict){.index_nos = index_nos, .index_count = count};
    return KD_OK;
}

static kd_status partition_writer(kd_ctx *ctx, kdi_table_writer *writer, partition *it)
{
    if (it->writer != NULL)
        return KD_OK;
    uint32_t *all = KD_NEW_ARRAY(ctx, writer->arena, uint32_t, it->table->visible_count);
    if (all == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < it->table->visible_count; i++)
        all[i] = i;
    KD_TRY(kdi_table_writer_create(ctx, writer->arena, writer->run, it->table, all,
                                   it->table->visible_count, &it->writer));
    it->writer->root = writer->root;
    return pass_arbiters(ctx, writer, it->writer);
}

static kd_status insert_into_partition(kd_ctx *ctx, kdi_table_writer *writer, partition *it,
                                       const kd_batch *full)
{
    KD_TRY(partition_writer(ctx, writer, it));
    kd_vector *columns =
        KD_NEW_ARRAY(ctx, writer->batch_arena, kd_vector, it->table->visible_count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < it->table->visible_count; i++)
        columns[i] = full->columns[it->parent_positions[i]];
    it->writer->places = writer->places;
    kd_batch part = {.row_count = full->row_count,
                     .selected_count = it->selected_count,
                     .selection = it->selection,
                     .column_count = it->table->visible_count,
                     .columns = columns};
    return kdi_table_writer_insert(ctx, it->writer, &part, NULL);
}

static kd_status insert_into_partitions(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *full)
{
    kd_value *values;
    KD_TRY(new_row(ctx, writer, &values));
    for (uint32_t p = 0; p < writer->partition_count; p++)
        writer->partitions[p].selected_count = 0;
    for (uint32_t i = 0; i < full->selected_count; i++) {
        partition *target;
        uint32_t row = kd_batch_row(full, i);
        read_row(writer, full, row, values);
        KD_TRY(route(ctx, writer, values, &target));
        if (target->selection == NULL)
            target->selection =
                kd_alloc_raw(ctx, writer->arena, sizeof *target->selection * KD_BATCH_ROWS);
        if (target->selection == NULL)
            return KD_NOMEM;
        target->selection[target->selected_count++] = (uint16_t)row;
    }
    for (uint32_t p = 0; p < writer->partition_count; p++)
        if (writer->partitions[p].selected_count > 0)
            KD_TRY(insert_into_partition(ctx, writer, &writer->partitions[p], full));
    return KD_OK;
}

/* --- Single rows
 * ------------------------------------------------------------------------------------- */

static kd_status generate_row(kd_ctx *ctx, kdi_table_writer *writer, kd_value *values)
{
    for (uint32_t i = 0; writer->has_generated && i < writer->table->column_count; i++)
        if (writer->sources[i].generated)
            KD_TRY(kd_expr_evaluate_row(ctx, writer->sources[i].expr, writer->batch_arena, values,
                                        &values[i]));
    return KD_OK;
}

static kd_status check_row(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values)
{
    KD_TRY(check_own_bound(ctx, writer, values));
    for (uint32_t c = 0; c < writer->check_count; c++) {
        kd_value result;
        KD_TRY(kd_expr_evaluate_row(ctx, writer->checks[c].expr, writer->batch_arena, values,
                                    &result));
        if (!result.is_null && !result.as.boolean)
            return check_failed(ctx, writer, &writer->checks[c], values);
    }
    return KD_OK;
}

/* A parent's row in the order of a partition; hidden columns are still to be generated. */
static kd_status to_partition(kd_ctx *ctx, kdi_table_writer *writer, const partition *it,
                              const kd_value *values, kd_value **out_values)
{
    *out_values = KD_NEW_ARRAY(ctx, writer->batch_arena, kd_value, it->table->column_count);
    if (*out_values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < it->table->column_count; i++)
        (*out_values)[i] = i < it->table->visible_count
                               ? values[it->parent_positions[i]]
                               : kd_value_null(it->table->columns[i].storage.type);
    return KD_OK;
}

static kd_status fill_defaults(kd_ctx *ctx, kdi_table_writer *writer, kd_value *values)
{
    for (uint32_t i = 0; i < writer->table->column_count; i++) {
        const column_source *source = &writer->sources[i];
        if (source->given >= 0 || source->generated)
            continue;
        values[i] = kd_value_null(writer->table->columns[i].storage.type);
        if (source->expr != NULL)
            KD_TRY(kd_expr_evaluate_row(ctx, source->expr, writer->batch_arena, NULL, &values[i]));
    }
    return KD_OK;
}

/* --- Keys over all partitions, row by row
 * ----------------------------------------------------- */

/* Takes back what a row that is not inserted after all has entered in the first keys. */
static kd_status leave_keys(kd_ctx *ctx, kdi_table_writer *writer, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        kd_write_outcome outcome;
        if (writer->entries[k].inserted)
            KD_TRY(kd_table_delete(ctx, writer->run->session->txn, writer->keys[k].storage,
                                   writer->entries[k].ref, &outcome));
    }
    return KD_OK;
}

bool kdi_is_part_of(const kd_catalog_version *catalog, const kd_table_entry *table,
                    uint32_t ancestor_no)
{
    while (table != NULL && table->object.object_no != ancestor_no)
        table = table->parent_no == 0
                    ? NULL
                    : (const kd_table_entry *)kd_catalog_get(catalog, table->parent_no);
    return table != NULL;
}

/* Whether ON CONFLICT is about the key: about the partition's index over the same. */
static bool is_arbiter(const kdi_table_writer *writer, const kdi_table_key *key)
{
    for (uint32_t i = 0; i < writer->arbiter_count; i++)
        if (kdi_index_is_counterpart(key->owner, key->index, writer->table,
                                     &writer->table->indexes[writer->arbiters[i]]))
            return true;
    return writer->arbiter_count == 0;
}

/* The outcome's reference is NONE for a row in the way that the statement's table does not hold. */
static kd_status enter_key(kd_ctx *ctx, kdi_table_writer *writer, uint32_t k,
                           const kd_value *values, bool tells, kd_insert_outcome *out_outcome)
{
    kd_run *run = writer->run;
    const kdi_table_key *key = &writer->keys[k];
    for (;;) {
        const kd_table_entry *holder;
        kd_rowref ref;
        bool taken;
        KD_TRY(kdi_table_key_insert_row(ctx, run->session->txn, key, values, tells,
                                        &writer->entries[k], &taken));
        if (!taken)
            return KD_OK;
        KD_TRY(kdi_table_key_row(ctx, run, key, writer->batch_arena, writer->entries[k].ref, values,
                                 &holder, &ref));
        *out_outcome = (kd_insert_outcome){.ref = KD_ROWREF_NONE};
        if (holder != NULL && kdi_is_part_of(run->catalog, holder, writer->root->object.object_no))
            out_outcome->ref = ref;
        if (holder != NULL)
            return KD_OK;
        KD_TRY(kd_check_cancelled(ctx)); /* It went meanwhile: try again. */
    }
}

static kd_status enter_keys(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values,
                            bool tells_conflict, kd_insert_outcome *out_outcome)
{
    for (uint32_t k = 0; k < writer->key_count; k++) {
        bool tells = tells_conflict && is_arbiter(writer, &writer->keys[k]);
        KD_TRY(enter_key(ctx, writer, k, values, tells, out_outcome));
        if (!out_outcome->inserted)
            return leave_keys(ctx, writer, k);
    }
    return KD_OK;
}

/* An update that changes such a key: its entries first, once the row is ours. */
static kd_status change_keys(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                             const kd_value *old_values, const kd_value *new_values,
                             kd_write_outcome *out_outcome)
{
    kd_txn *txn = writer->run->session->txn;
    bool is_locked = false;
    *out_outcome = (kd_write_outcome){.result = KD_WRITE_DONE};
    for (uint32_t k = 0; k < writer->key_count; k++) {
        const kdi_table_key *key = &writer->keys[k];
        bool taken;
        if (!kdi_table_key_changes(key, old_values, new_values))
            continue;
        if (!is_locked)
            KD_TRY(kd_table_lock_row(ctx, txn, writer->storage, ref, KD_LOCK_UPDATE, KD_WAIT,
                                     out_outcome));
        if (out_outcome->result != KD_WRITE_DONE)
            return KD_OK;
        is_locked = true;
        KD_TRY(kdi_table_key_delete(ctx, txn, key, writer->batch_arena, old_values));
        KD_TRY(kdi_table_key_insert_row(ctx, txn, key, new_values, false, &writer->entries[k],
                                        &taken));
    }
    return KD_OK;
}

kd_status kdi_table_writer_insert_row(kd_ctx *ctx, kdi_table_writer *writer, kd_value *values,
                                      bool tells_conflict, kd_insert_outcome *out_outcome)
{
    kd_arena_reset(writer->batch_arena);
    KD_TRY(fill_defaults(ctx, writer, values));
    KD_TRY(generate_row(ctx, writer, values));
    if (writer->table->strategy != KD_PARTITION_NONE) {
        partition *target;
        kd_value *own;
        KD_TRY(check_own_bound(ctx, writer, values));
        KD_TRY(route(ctx, writer, values, &target));
        KD_TRY(partition_writer(ctx, writer, target));
        KD_TRY(to_partition(ctx, writer, target, values, &own));
        writer->last = target;
        return kdi_table_writer_insert_row(ctx, target->writer, own, tells_conflict, out_outcome);
    }
    KD_TRY(check_row(ctx, writer, values));
    *out_outcome = (kd_insert_outcome){.ref = KD_ROWREF_NONE, .inserted = true};
    KD_TRY(enter_keys(ctx, writer, values, tells_conflict, out_outcome));
    if (!out_outcome->inserted)
        return KD_OK;
    KD_TRY(kd_table_insert_row(ctx, writer->run->session->txn, writer->storage,
                               writer->table->shape, values,
                               tells_conflict ? &writer->policy : NULL, out_outcome));
    if (!out_outcome->inserted)
        return leave_keys(ctx, writer, writer->key_count);
    if (writer->table->foreign_count > 0)
        KD_TRY(kdi_foreign_check_row(ctx, writer->run, writer->table, NULL, values));
    return KD_OK;
}

static bool same_value(const kd_value *a, const kd_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    return kd_value_compare(a, b) == 0;
}

/* Positions whose values differ between the two rows, with their new values. */
static uint32_t changed_columns(const kd_table_entry *table, const kd_value *old_values,
                                const kd_value *new_values, const bool *assigned,
                                uint32_t *positions, kd_value *values)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!assigned[i] && same_value(&old_values[i], &new_values[i]))
            continue;
        positions[count] = i;
        values[count++] = new_values[i];
    }
    return count;
}

static partition *partition_of_ref(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref);

static kd_status update_in_parent(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                  const kd_value *old_values, const kd_value *new_values,
                                  kd_write_outcome *out_outcome)
{
    partition *from = partition_of_ref(ctx, writer, ref), *to;
    if (from == NULL) {
        *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
        return KD_OK;
    }
    KD_TRY(route(ctx, writer, new_values, &to));
    KD_TRY(partition_writer(ctx, writer, from));
    writer->last = to;
    kd_value *old_own, *new_own;
    KD_TRY(to_partition(ctx, writer, from, old_values, &old_own));
    KD_TRY(generate_row(ctx, from->writer, old_own));
    if (from != to && writer->keeps_partition) {
        kd_status status = KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "invalid ON UPDATE specification");
        kd_error_set_detail(ctx, "The result tuple would appear in a different partition than the "
                                 "original tuple.");
        return status;
    }
    if (from != to) {
        from->writer->is_moving = true;
        kd_status status = kdi_table_writer_delete(ctx, from->writer, ref, old_own, out_outcome);
        from->writer->is_moving = false;
        if (status != KD_OK || out_outcome->result != KD_WRITE_DONE)
            return status;
        kd_insert_outcome inserted;
        KD_TRY(partition_writer(ctx, writer, to));
        KD_TRY(to_partition(ctx, writer, to, new_values, &new_own));
        KD_TRY(kdi_table_writer_insert_row(ctx, to->writer, new_own, false, &inserted));
        out_outcome->newest = inserted.ref;
        return kdi_foreign_act(ctx, writer->run, writer->table, writer->referrers,
                               writer->referrer_count, old_values, new_values);
    }
    uint32_t count = 0, column_count = from->table->column_count;
    uint32_t *positions = KD_NEW_ARRAY(ctx, writer->batch_arena, uint32_t, column_count);
    kd_value *changes = KD_NEW_ARRAY(ctx, writer->batch_arena, kd_value, column_count);
    kd_value *written = KD_NEW_ARRAY(ctx, writer->batch_arena, kd_value, column_count);
    if (positions == NULL || changes == NULL || written == NULL)
        return KD_NOMEM;
    KD_TRY(to_partition(ctx, writer, from, new_values, &new_own));
    for (uint32_t i = 0; i < from->table->visible_count; i++) {
        if (same_value(&old_own[i], &new_own[i]))
            continue; /* A key that stays does not disturb those who refer to it. */
        positions[count] = i;
        changes[count++] = new_own[i];
    }
    return kdi_table_writer_update(ctx, from->writer, ref, old_own, positions, changes, count,
                                   written, out_outcome);
}

kd_status kdi_table_writer_update(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                  const kd_value *old_values, const uint32_t *positions,
                                  const kd_value *values, uint32_t count, kd_value *new_values,
                                  kd_write_outcome *out_outcome)
{
    const kd_table_entry *table = writer->table;
    kd_arena_reset(writer->batch_arena);
    bool *assigned = KD_NEW_ARRAY(ctx, writer->batch_arena, bool, table->column_count);
    uint32_t *changed = KD_NEW_ARRAY(ctx, writer->batch_arena, uint32_t, table->column_count);
    kd_value *changes = KD_NEW_ARRAY(ctx, writer->batch_arena, kd_value, table->column_count);
    if (assigned == NULL || changed == NULL || changes == NULL)
        return KD_NOMEM;
    memcpy(new_values, old_values, table->column_count * sizeof *new_values);
    for (uint32_t i = 0; i < count; i++) {
        new_values[positions[i]] = values[i];
        assigned[positions[i]] = true;
    }
    KD_TRY(generate_row(ctx, writer, new_values));
    if (table->strategy != KD_PARTITION_NONE) {
        KD_TRY(check_own_bound(ctx, writer, new_values));
        return update_in_parent(ctx, writer, ref, old_values, new_values, out_outcome);
    }
    KD_TRY(check_row(ctx, writer, new_values));
    uint32_t changed_count =
        changed_columns(table, old_values, new_values, assigned, changed, changes);
    KD_TRY(change_keys(ctx, writer, ref, old_values, new_values, out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    KD_TRY(kd_table_update(ctx, writer->run->session->txn, writer->storage, table->shape, ref,
                           changed, changes, changed_count, out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    if (table->foreign_count > 0)
        KD_TRY(kdi_foreign_check_row(ctx, writer->run, table, old_values, new_values));
    if (writer->referrer_count > 0)
        KD_TRY(kdi_foreign_act(ctx, writer->run, table, writer->referrers, writer->referrer_count,
                               old_values, new_values));
    return KD_OK;
}

kd_status kdi_table_writer_delete(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                  const kd_value *old_values, kd_write_outcome *out_outcome)
{
    kd_arena_reset(writer->batch_arena);
    if (writer->table->strategy != KD_PARTITION_NONE) {
        partition *from = partition_of_ref(ctx, writer, ref);
        *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
        if (from == NULL)
            return KD_OK;
        kd_value *own;
        KD_TRY(partition_writer(ctx, writer, from));
        KD_TRY(to_partition(ctx, writer, from, old_values, &own));
        writer->last = from;
        KD_TRY(generate_row(ctx, from->writer, own));
        from->writer->is_moving = writer->is_moving;
        return kdi_table_writer_delete(ctx, from->writer, ref, own, out_outcome);
    }
    KD_TRY(kd_table_delete(ctx, writer->run->session->txn, writer->storage, ref, out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    for (uint32_t k = 0; k < writer->key_count; k++)
        KD_TRY(kdi_table_key_delete(ctx, writer->run->session->txn, &writer->keys[k],
                                    writer->batch_arena, old_values));
    if (writer->referrer_count == 0 || writer->is_moving)
        return KD_OK;
    return kdi_foreign_act(ctx, writer->run, writer->table, writer->referrers,
                           writer->referrer_count, old_values, NULL);
}

/* --- Reading back
 * ------------------------------------------------------------------------------------ */

static kd_status fetch_from(kd_ctx *ctx, kdi_table_writer *writer, const kd_table_entry *table,
                            kd_rowref ref, kd_snapshot snapshot, kd_arena *arena,
                            kd_value *out_values, bool *out_visible)
{
    *out_visible = false;
    kd_table *storage = kd_table_find(writer->run->session->database->storage, table->table_no);
    uint32_t *positions = KD_NEW_ARRAY(ctx, writer->batch_arena, uint32_t, table->column_count);
    if (storage == NULL || positions == NULL)
        return storage == NULL ? KD_OK : KD_NOMEM;
    for (uint32_t i = 0; i < table->column_count; i++)
        positions[i] = i;
    return kd_table_get(ctx, arena, storage, snapshot, ref, table->shape, positions,
                        table->column_count, out_values, out_visible);
}

/* A row of a partition, or of one of its own partitions, in the partition's order. */
static kd_status fetch_of(kd_ctx *ctx, kdi_table_writer *writer, partition *it, kd_rowref ref,
                          kd_snapshot snapshot, kd_arena *arena, kd_value **out_values,
                          bool *out_visible)
{
    *out_visible = false;
    *out_values = KD_NEW_ARRAY(ctx, arena, kd_value, it->table->column_count);
    if (*out_values == NULL)
        return KD_NOMEM;
    if (it->table->strategy == KD_PARTITION_NONE)
        return fetch_from(ctx, writer, it->table, ref, snapshot, arena, *out_values, out_visible);
    KD_TRY(partition_writer(ctx, writer, it));
    return kdi_table_writer_fetch(ctx, it->writer, ref, snapshot, arena, *out_values, out_visible);
}

void kdi_table_writer_expect(kdi_table_writer *writer, uint32_t partition_no)
{
    writer->expected_no = partition_no;
}

/* Partitions are looked at one after the other, but for the one that is expected to have the row.
 */
static uint32_t partition_expected(kdi_table_writer *writer)
{
    uint32_t p = 0;
    if (writer->expected_no == 0)
        return 0;
    const kd_catalog_version *catalog = writer->run->catalog;
    const kd_object *object = kd_catalog_get(catalog, writer->expected_no);
    for (p = 0; object != NULL && p < writer->partition_count; p++)
        if (kdi_is_part_of(catalog, (const kd_table_entry *)object,
                           writer->partitions[p].table->object.object_no)) {
            if (writer->partitions[p].writer != NULL)
                writer->partitions[p].writer->expected_no = writer->expected_no;
            return p;
        }
    return 0;
}

/* References are unique over all tables, so the partition that knows one is its owner. */
static partition *partition_of_ref(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref)
{
    kd_ctx quiet = {.world = ctx->world};
    kd_error_clear(&quiet);
    kd_snapshot latest = kd_table_latest(writer->run->session->txn);
    uint32_t first = partition_expected(writer);
    for (uint32_t i = 0; i < writer->partition_count; i++) {
        partition *it = &writer->partitions[(first + i) % writer->partition_count];
        kd_value *values;
        bool visible = false;
        if (fetch_of(&quiet, writer, it, ref, latest, writer->batch_arena, &values, &visible) ==
                KD_OK &&
            visible)
            return it;
        kd_error_clear(&quiet);
    }
    return NULL;
}

kd_status kdi_table_writer_fetch(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                 kd_snapshot snapshot, kd_arena *arena, kd_value *out_values,
                                 bool *out_visible)
{
    const kd_table_entry *parent = writer->table;
    if (parent->strategy == KD_PARTITION_NONE)
        return fetch_from(ctx, writer, parent, ref, snapshot, arena, out_values, out_visible);
    *out_visible = false;
    uint32_t first = partition_expected(writer);
    for (uint32_t i = 0; i < writer->partition_count && !*out_visible; i++) {
        partition *it = &writer->partitions[(first + i) % writer->partition_count];
        kd_value *own;
        KD_TRY(fetch_of(ctx, writer, it, ref, snapshot, arena, &own, out_visible));
        for (uint32_t c = 0; *out_visible && c < parent->column_count; c++)
            out_values[c] = c < parent->visible_count
                                ? own[it->positions_of[c]]
                                : kd_value_null(parent->columns[c].storage.type);
    }
    return KD_OK;
}

kd_status kdi_table_writer_default(kd_ctx *ctx, kdi_table_writer *writer, uint32_t position,
                                   kd_arena *arena, kd_value *out_value)
{
    const kd_column *column = &writer->table->columns[position];
    kd_compiled_expr *compiled;
    kd_value value;
    *out_value = kd_value_null(column->storage.type);
    if (column->default_text.size_bytes == 0 || column->generated)
        return KD_OK;
    KD_TRY(compile_text(ctx, writer, column->default_text, NULL, column->storage.type, &compiled));
    KD_TRY(kd_expr_evaluate_row(ctx, compiled, arena, NULL, &value));
    return kd_value_copy(ctx, arena, &value, out_value);
}
