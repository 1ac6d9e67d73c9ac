/*
 * INSERT, UPDATE, DELETE, MERGE.
 *
 * Updates and deletes first collect the affected rows and their new values, then
 * write: a statement never sees its own changes, whatever its plan. A row that
 * comes twice (UPDATE ... FROM with two matches) is written once.
 *
 * READ COMMITTED: a row that another transaction changed after the snapshot is looked
 * at again as it is now, alone, and changed if it still fits (kd_recheck). Where more
 * than the row decides (joins, sub-queries, MERGE), and under the other levels, the
 * attempt ends with 40001; statement.c runs the statement again under a new snapshot
 * where the isolation level allows it.
 */
#include "engine/engine_internal.h"

#include <assert.h>
#include <string.h>

typedef struct dml {
    kd_run *run;
    kd_arena *arena;     /* The run's. */
    kd_arena *row_arena; /* Reset per row or batch. */
    const kd_bound_statement *bound;
    const kd_table_entry *table;
    kdi_table_writer *writer;
    kdi_dml_job *job;
    kd_compiled_expr **returning;
    kd_compiled_expr **view_checks;
    kd_value *returning_row; /* Values of the ids that RETURNING is compiled against. */
    uint32_t extra_count;    /* Query columns after the target's in returning_row. */
    kdi_row_place place;     /* Of the row that is returned next. */
    kdi_row_place *places;   /* Of a batch's rows, where RETURNING names them; else NULL. */
    kd_row_recheck *recheck; /* Made when a row changed first. */
} dml;

/* What RETURNING may name besides the columns of the target and of the query: the place. */
enum { PLACE_COLUMNS = 2 };

static kd_column_id *all_ids(kd_ctx *ctx, dml *work, uint32_t *out_count)
{
    const kd_bound_statement *bound = work->bound;
    uint32_t query_count = bound->query == NULL ? 0 : bound->query->column_count;
    kd_column_id *ids =
        KD_NEW_ARRAY(ctx, work->arena, kd_column_id,
                     (size_t)work->table->column_count + query_count + PLACE_COLUMNS);
    *out_count = 0;
    if (ids == NULL)
        return NULL;
    for (uint32_t i = 0; i < work->table->column_count; i++)
        ids[(*out_count)++] = bound->target_ids[i];
    for (uint32_t i = 0; i < query_count; i++)
        ids[(*out_count)++] = bound->query->columns[i].id;
    ids[(*out_count)++] = bound->place_id;
    ids[(*out_count)++] = bound->leaf_id;
    work->extra_count = query_count;
    return ids;
}

static kd_status compile(kd_ctx *ctx, dml *work, const kd_expr *expr, const kd_column_id *ids,
                         uint32_t id_count, kd_compiled_expr **out_compiled)
{
    *out_compiled = NULL;
    if (expr == NULL)
        return KD_OK;
    return kd_expr_compile_row(ctx, work->arena, expr, ids, id_count, &work->run->facts,
                               work->run->parameters, work->run->parameter_count, out_compiled);
}

static kd_status prepare_returning(kd_ctx *ctx, dml *work)
{
    const kd_bound_statement *bound = work->bound;
    if (bound->returning_count == 0)
        return KD_OK;
    uint32_t id_count;
    kd_column_id *ids = all_ids(ctx, work, &id_count);
    work->returning = KD_NEW_ARRAY(ctx, work->arena, kd_compiled_expr *, bound->returning_count);
    work->returning_row = KD_NEW_ARRAY(ctx, work->arena, kd_value, id_count);
    if (ids == NULL || work->returning == NULL || work->returning_row == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < bound->returning_count; i++)
        KD_TRY(compile(ctx, work, bound->returning[i], ids, id_count, &work->returning[i]));
    return kdi_row_set_create(ctx, work->arena, bound->returning_columns, bound->returning_count,
                              &work->job->returned);
}

static kd_status prepare_view_checks(kd_ctx *ctx, dml *work)
{
    const kd_bound_statement *bound = work->bound;
    work->view_checks = KD_NEW_ARRAY(ctx, work->arena, kd_compiled_expr *, bound->view_check_count);
    if (work->view_checks == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < bound->view_check_count; i++)
        KD_TRY(compile(ctx, work, bound->view_checks[i].condition, bound->target_ids,
                       work->table->column_count, &work->view_checks[i]));
    return KD_OK;
}

/* A row that a view's CHECK OPTION does not let in fails the statement, which takes it back. */
static kd_status check_views(kd_ctx *ctx, dml *work, const kd_value *row)
{
    for (uint32_t i = 0; i < work->bound->view_check_count; i++) {
        kd_value holds;
        KD_TRY(kd_expr_evaluate_row(ctx, work->view_checks[i], work->row_arena, row, &holds));
        if (!holds.is_null && holds.as.boolean)
            continue;
        kd_slice view = work->bound->view_checks[i].view;
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "44000", "new row violates check option for view \"%.*s\"",
                    (int)view.size_bytes, view.data);
        kdi_table_writer_describe(ctx, work->writer, row);
        return status;
    }
    return KD_OK;
}

/* Adds the RETURNING row of one target row; `query_row` may be NULL. */
static kd_status return_row(kd_ctx *ctx, dml *work, const kd_value *target_row,
                            const kd_value *query_row)
{
    work->job->affected++;
    if (work->job->returned == NULL)
        return KD_OK;
    uint32_t count = work->table->column_count;
    kd_value *results = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->bound->returning_count);
    if (results == NULL)
        return KD_NOMEM;
    memcpy(work->returning_row, target_row, count * sizeof *target_row);
    for (uint32_t i = 0; i < work->extra_count; i++)
        work->returning_row[count + i] =
            query_row == NULL ? kd_value_null(work->bound->query->columns[i].type) : query_row[i];
    work->returning_row[count + work->extra_count] = kd_value_i64((int64_t)work->place.ref);
    work->returning_row[count + work->extra_count + 1] = kd_value_i64(work->place.object_no);
    for (uint32_t i = 0; i < work->bound->returning_count; i++)
        KD_TRY(kd_expr_evaluate_row(ctx, work->returning[i], work->row_arena, work->returning_row,
                                    &results[i]));
    return kdi_row_set_add(ctx, work->job->returned, results);
}

/* A row that was written: checked against views, and returned. */
static kd_status row_written(kd_ctx *ctx, dml *work, const kd_value *target_row,
                             const kd_value *query_row)
{
    KD_TRY(check_views(ctx, work, target_row));
    return return_row(ctx, work, target_row, query_row);
}

/* Where the row that was written last is. */
static void note_place(dml *work, const kdi_table_writer *writer, kd_rowref ref)
{
    work->place =
        (kdi_row_place){.ref = ref, .object_no = kdi_table_writer_last(writer)->object.object_no};
}

/* --- Source rows ---------------------------------------------------------------------------------
 */

kd_status kdi_dml_read(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                       kdi_row_set **out_rows)
{
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    const kd_rel *query = plan->bound->query;
    KD_TRY_OUT(kdi_row_set_create(ctx, run->arena, query->columns, query->column_count, out_rows));
    KD_TRY_OUT(kdi_run_execute(ctx, run, plan, &execution));
    for (;;) {
        kd_batch batch;
        bool end;
        KD_TRY_OUT(kd_execution_next(ctx, execution, &batch, &end));
        if (end && batch.selected_count == 0)
            break;
        KD_TRY_OUT(kdi_row_set_add_batch(ctx, *out_rows, &batch));
        if (end)
            break;
    }
    if (plan == run->plan)
        kdi_keep_actuals(run->actuals, plan, execution);
out:
    kd_execution_destroy(execution);
    return status;
}

static kd_status collect(kd_ctx *ctx, dml *work, kdi_row_set **out_rows)
{
    *out_rows = work->job->source;
    return *out_rows != NULL ? KD_OK : kdi_dml_read(ctx, work->run, work->job->plan, out_rows);
}

static void read_batch_row(const kd_batch *batch, uint32_t row, uint32_t count,
                           kd_value *out_values)
{
    for (uint32_t i = 0; i < count; i++)
        out_values[i] = kd_vector_get(&batch->columns[i], row);
}

typedef kd_status (*row_handler)(kd_ctx *ctx, dml *work, void *object, const kd_value *row);

/* Calls `handle` for each collected row, in order. */
static kd_status for_each_row(kd_ctx *ctx, dml *work, row_handler handle, void *object)
{
    kdi_row_set *rows;
    uint32_t count = work->bound->query->column_count;
    kd_value *row = KD_NEW_ARRAY(ctx, work->arena, kd_value, count);
    if (row == NULL)
        return KD_NOMEM;
    KD_TRY(collect(ctx, work, &rows));
    kd_progress_begin(ctx, "write", rows->row_count);
    for (;;) {
        kd_batch batch;
        bool end;
        kdi_row_set_next(rows, &batch, &end);
        if (end)
            return KD_OK;
        KD_TRY(kd_progress_add(ctx, batch.row_count));
        for (uint32_t i = 0; i < batch.row_count; i++) {
            read_batch_row(&batch, i, count, row);
            KD_TRY(handle(ctx, work, object, row));
            kd_arena_reset(work->row_arena);
        }
    }
}

/* Whether this statement has written the row already; notes it otherwise. */
static kd_status note_written(kd_ctx *ctx, dml *work, kd_rowref ref, bool *out_again)
{
    static char present;
    *out_again = kd_map_find_u64(work->job->written, ref) != NULL;
    return *out_again ? KD_OK : kd_map_put_u64(ctx, work->job->written, ref, &present, NULL);
}

/* --- INSERT
 * ---------------------------------------------------------------------------------------- */

static kd_status insert_batch(kd_ctx *ctx, dml *work, const kd_batch *batch)
{
    kd_batch full;
    KD_TRY(kdi_table_writer_insert(ctx, work->writer, batch, &full));
    if (work->job->returned == NULL && work->bound->view_check_count == 0) {
        work->job->affected += batch->selected_count;
        return KD_OK;
    }
    kd_value *values = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->table->column_count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < full.selected_count; i++) {
        read_batch_row(&full, kd_batch_row(&full, i), work->table->column_count, values);
        if (work->places != NULL)
            work->place = work->places[kd_batch_row(&full, i)];
        KD_TRY(row_written(ctx, work, values, NULL));
    }
    kd_arena_reset(work->row_arena);
    return KD_OK;
}

/* The source may be read while rows are written, unless it reads the table that is written. */
static kd_status insert_streamed(kd_ctx *ctx, dml *work)
{
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    KD_TRY_OUT(kdi_run_execute(ctx, work->run, work->job->plan, &execution));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_execution_next(ctx, execution, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(insert_batch(ctx, work, &batch));
    }
    if (work->job->plan == work->run->plan)
        kdi_keep_actuals(work->run->actuals, work->job->plan, execution);
out:
    kd_execution_destroy(execution);
    return status;
}

static kd_status insert_collected(kd_ctx *ctx, dml *work)
{
    kdi_row_set *rows;
    KD_TRY(collect(ctx, work, &rows));
    kd_progress_begin(ctx, "write", rows->row_count);
    for (;;) {
        kd_batch batch;
        bool end;
        kdi_row_set_next(rows, &batch, &end);
        if (end)
            return KD_OK;
        KD_TRY(insert_batch(ctx, work, &batch));
    }
}

static kd_status insert_defaults(kd_ctx *ctx, dml *work)
{
    kd_batch one = {.row_count = 1, .selected_count = 1};
    return insert_batch(ctx, work, &one);
}

/* --- INSERT ... ON CONFLICT
 * -------------------------------------------------------------------------- */

typedef struct upsert {
    kd_compiled_expr *where;
    uint32_t assignment_count;
    uint32_t *positions;
    kd_compiled_expr **exprs; /* NULL: DEFAULT */
    kd_value *values;
    kd_value *both; /* Existing row, the excluded one, then what the query gives besides. */
    uint32_t extra_count;
    kd_value *written;
    /* Of a clause with a query of its own. */
    kd_value *parameters; /* The statement's, and the row's behind them. */
    uint32_t parameter_count;
    bool reads_written;  /* It reads what this statement writes ... */
    bool hides_own_work; /* ... and does not see it, for nothing was written before. */
} upsert;

/* Whether a plan reads the table, one of its partitions, or a table that it is a partition of. */
static bool plan_reads(const dml *work, const kd_statement_plan *statement, const kd_plan *plan)
{
    const kd_catalog_version *catalog = work->run->catalog;
    const kd_table_entry *table = NULL;
    bool reads = false;
    if (plan == NULL)
        return false;
    if (plan->kind == KD_PLAN_SCAN)
        table = plan->as.scan.table;
    else if (plan->kind == KD_PLAN_INDEX_SCAN)
        table = plan->as.index_scan.table;
    else if (plan->kind == KD_PLAN_CTE_SCAN)
        reads = plan_reads(work, statement, statement->ctes[plan->as.cte.cte_no]);
    if (table != NULL) /* What earlier statements of a WITH wrote is not told apart. */
        reads = work->run->given != NULL ||
                kdi_is_part_of(catalog, table, work->table->object.object_no) ||
                kdi_is_part_of(catalog, work->table, table->object.object_no);
    for (uint32_t i = 0; i < plan->more_count && !reads; i++)
        reads = plan_reads(work, statement, plan->more[i]);
    for (int i = 0; i < 2 && !reads; i++)
        reads = plan_reads(work, statement, plan->inputs[i]);
    return reads;
}

/* What the clause's own queries need. */
static kd_status prepare_conflict_queries(kd_ctx *ctx, dml *work, upsert *out)
{
    const kd_statement_plan *plans[2] = {work->job->plan->conflict_test,
                                         work->job->plan->conflict_values};
    const kd_txn *txn = work->run->session->txn;
    uint32_t first = work->bound->conflict_parameter_no - 1;
    if (plans[0] == NULL && plans[1] == NULL)
        return KD_OK;
    out->parameter_count = first + 2 * work->table->column_count + out->extra_count;
    out->parameters = KD_NEW_ARRAY(ctx, work->arena, kd_value, out->parameter_count);
    if (out->parameters == NULL)
        return KD_NOMEM;
    assert(work->run->parameter_count <= first);
    for (uint32_t i = 0; i < work->run->parameter_count; i++)
        out->parameters[i] = work->run->parameters[i];
    for (int i = 0; i < 2; i++)
        out->reads_written |= plans[i] != NULL && plan_reads(work, plans[i], plans[i]->root);
    out->hides_own_work = work->run->hides_own_work;
    if (work->run->given == NULL)
        out->hides_own_work = !kd_txn_has_work(txn) && kd_txn_isolation(txn) != KD_SERIALIZABLE;
    return KD_OK;
}

static kd_status prepare_upsert(kd_ctx *ctx, dml *work, upsert *out)
{
    const kd_bound_statement *bound = work->bound;
    const kd_rel *query = bound->query;
    uint32_t count = work->table->column_count;
    *out = (upsert){.assignment_count = bound->conflict_assignment_count};
    KD_TRY(kdi_table_writer_arbitrate(ctx, work->writer, bound->conflict_indexes,
                                      bound->conflict_index_count));
    if (!bound->on_conflict_update)
        return KD_OK;
    out->extra_count = query == NULL ? 0 : query->column_count - bound->target_count;
    size_t id_count = (size_t)count * 2 + out->extra_count;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, work->arena, kd_column_id, id_count);
    out->positions = KD_NEW_ARRAY(ctx, work->arena, uint32_t, out->assignment_count);
    out->exprs = KD_NEW_ARRAY(ctx, work->arena, kd_compiled_expr *, out->assignment_count);
    out->values = KD_NEW_ARRAY(ctx, work->arena, kd_value, out->assignment_count);
    out->both = KD_NEW_ARRAY(ctx, work->arena, kd_value, id_count);
    out->written = KD_NEW_ARRAY(ctx, work->arena, kd_value, count);
    if (ids == NULL || out->positions == NULL || out->exprs == NULL || out->values == NULL ||
        out->both == NULL || out->written == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = bound->target_ids[i];
        ids[count + i] = bound->excluded_ids[i];
    }
    for (uint32_t i = 0; i < out->extra_count; i++)
        ids[count * 2 + i] = query->columns[bound->target_count + i].id;
    for (uint32_t i = 0; i < out->assignment_count; i++)
        out->positions[i] = bound->conflict_assignments[i].shape_position;
    KD_TRY(prepare_conflict_queries(ctx, work, out));
    KD_TRY(compile(ctx, work, bound->conflict_where, ids, (uint32_t)id_count, &out->where));
    for (uint32_t i = 0; i < out->assignment_count && bound->conflict_values == NULL; i++)
        KD_TRY(compile(ctx, work, bound->conflict_assignments[i].value, ids, (uint32_t)id_count,
                       &out->exprs[i]));
    return KD_OK;
}

/* A query of the clause over the row in `up->both`: its one row, or none. Its sub-queries see the
 * tables as the statement found them. */
static kd_status conflict_query_run(kd_ctx *ctx, dml *work, upsert *up,
                                    const kd_statement_plan *plan, kd_value *out_row,
                                    bool *out_found)
{
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    kd_run *run = work->run;
    kd_value *parameters = run->parameters;
    uint32_t parameter_count = run->parameter_count;
    bool hides_own_work = run->hides_own_work;
    uint32_t row_count = 2 * work->table->column_count + up->extra_count;
    *out_found = false;
    if (up->reads_written && !up->hides_own_work)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "in a transaction that has written before, a sub-query of ON CONFLICT DO "
                       "UPDATE cannot look at the row and read the table that is written");
    memcpy(up->parameters + up->parameter_count - row_count, up->both,
           row_count * sizeof *up->both);
    run->parameters = up->parameters;
    run->parameter_count = up->parameter_count;
    run->hides_own_work = up->hides_own_work;
    status = kdi_run_execute(ctx, run, plan, &execution);
    run->parameters = parameters;
    run->parameter_count = parameter_count;
    run->hides_own_work = hides_own_work;
    for (bool end = status != KD_OK; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_execution_next(ctx, execution, &batch, &end));
        for (uint32_t i = 0; batch.selected_count > 0 && i < batch.column_count; i++) {
            kd_value value = kd_vector_get(&batch.columns[i], kd_batch_row(&batch, 0));
            KD_TRY_OUT(kd_value_copy(ctx, work->row_arena, &value, &out_row[i]));
        }
        *out_found |= batch.selected_count > 0;
    }
out:
    kd_execution_destroy(execution);
    return status;
}

/* Whether WHERE holds for the row in `up->both`. */
static kd_status conflict_holds(kd_ctx *ctx, dml *work, upsert *up, bool *out_holds)
{
    kd_value holds;
    *out_holds = true;
    if (work->bound->conflict_test != NULL)
        return conflict_query_run(ctx, work, up, work->job->plan->conflict_test, &holds, out_holds);
    if (up->where == NULL)
        return KD_OK;
    KD_TRY(kd_expr_evaluate_row(ctx, up->where, work->row_arena, up->both, &holds));
    *out_holds = !holds.is_null && holds.as.boolean;
    return KD_OK;
}

/* The new values of the row in `up->both`. */
static kd_status conflict_values(kd_ctx *ctx, dml *work, upsert *up)
{
    const kd_bound_statement *bound = work->bound;
    uint32_t next = 0;
    bool found;
    kd_value *row = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, up->assignment_count);
    if (row == NULL)
        return KD_NOMEM;
    if (bound->conflict_values != NULL) {
        KD_TRY(conflict_query_run(ctx, work, up, work->job->plan->conflict_values, row, &found));
        assert(found);
    }
    for (uint32_t i = 0; i < up->assignment_count; i++) {
        if (bound->conflict_assignments[i].value == NULL)
            KD_TRY(kdi_table_writer_default(ctx, work->writer, up->positions[i], work->row_arena,
                                            &up->values[i]));
        else if (bound->conflict_values != NULL)
            up->values[i] = row[next++];
        else
            KD_TRY(
                kd_expr_evaluate_row(ctx, up->exprs[i], work->row_arena, up->both, &up->values[i]));
    }
    return KD_OK;
}

/* The row in the way gets the assignments. `*out_again`: it changed meanwhile, try the insert
 * again. */
static kd_status update_existing(kd_ctx *ctx, dml *work, upsert *up, const kd_value *excluded,
                                 kd_rowref ref, bool *out_again)
{
    uint32_t count = work->table->column_count;
    bool visible, twice, holds;
    *out_again = false;
    KD_TRY(kdi_table_writer_fetch(ctx, work->writer, ref, kd_table_latest(work->run->session->txn),
                                  work->row_arena, up->both, &visible));
    *out_again = !visible;
    if (!visible)
        return KD_OK;
    memcpy(up->both + count, excluded, count * sizeof *excluded);
    if (kd_map_find_u64(work->job->written, ref) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "21000",
                       "ON CONFLICT DO UPDATE command cannot affect row a second time");
    KD_TRY(conflict_holds(ctx, work, up, &holds));
    if (!holds)
        return KD_OK;
    KD_TRY(conflict_values(ctx, work, up));
    KD_TRY(note_written(ctx, work, ref, &twice));
    kd_write_outcome outcome;
    KD_TRY(kdi_table_writer_update(ctx, work->writer, ref, up->both, up->positions, up->values,
                                   up->assignment_count, up->written, &outcome));
    *out_again = outcome.result != KD_WRITE_DONE;
    if (*out_again) {
        (void)kd_map_remove_u64(work->job->written, ref);
        return KD_OK;
    }
    KD_TRY(note_written(ctx, work, outcome.newest, &twice));
    note_place(work, work->writer, outcome.newest);
    return row_written(ctx, work, up->written, NULL);
}

/* DO NOTHING is done for a row that the snapshot sees, or that this statement wrote: for another
 * the transaction's answers would not fit together. `values` are room for it. */
static kd_status in_the_way_is_seen(kd_ctx *ctx, dml *work, kd_value *values, kd_rowref ref)
{
    kd_txn *txn = work->run->session->txn;
    bool is_seen;
    if (ref == KD_ROWREF_NONE || kd_txn_isolation(txn) == KD_READ_COMMITTED)
        return KD_OK;
    KD_TRY(note_written(ctx, work, ref, &is_seen));
    if (!is_seen)
        KD_TRY(kdi_table_writer_fetch(ctx, work->writer, ref, kd_txn_snapshot(txn), work->row_arena,
                                      values, &is_seen));
    return is_seen ? KD_OK
                   : KD_FAIL(ctx, KD_CONFLICT, "40001",
                             "could not serialize access due to concurrent update");
}

static kd_status upsert_row(kd_ctx *ctx, dml *work, void *object, const kd_value *row)
{
    upsert *up = object;
    const kd_bound_statement *bound = work->bound;
    kd_value *values = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->table->column_count);
    if (values == NULL)
        return KD_NOMEM;
    for (;;) {
        kd_insert_outcome outcome;
        bool again = false, twice;
        for (uint32_t i = 0; i < work->table->column_count; i++)
            values[i] = kd_value_null(work->table->columns[i].storage.type);
        for (uint32_t i = 0; i < bound->target_count; i++)
            values[bound->target_positions[i]] = row[i];
        KD_TRY(kdi_table_writer_insert_row(ctx, work->writer, values, true, &outcome));
        if (outcome.inserted) {
            KD_TRY(note_written(ctx, work, outcome.ref, &twice));
            note_place(work, work->writer, outcome.ref);
            return row_written(ctx, work, values, NULL);
        }
        if (!bound->on_conflict_update)
            return in_the_way_is_seen(ctx, work, values, outcome.ref);
        if (outcome.ref == KD_ROWREF_NONE)
            return KD_FAIL(ctx, KD_INVALID, "23505",
                           "the row in the way is in another partition than \"%.*s\"",
                           (int)work->table->object.name.size_bytes, work->table->object.name.data);
        kdi_table_writer_expect(work->writer, 0);
        for (uint32_t i = 0; i < up->extra_count; i++)
            up->both[work->table->column_count * 2 + i] = row[bound->target_count + i];
        KD_TRY(update_existing(ctx, work, up, values, outcome.ref, &again));
        if (!again)
            return KD_OK;
        KD_TRY(kd_check_cancelled(ctx));
    }
}

static kd_status run_insert(kd_ctx *ctx, dml *work)
{
    const kd_bound_statement *bound = work->bound;
    KD_TRY(kdi_table_writer_create(ctx, work->arena, work->run, work->table,
                                   bound->target_positions, bound->target_count, &work->writer));
    if (bound->has_on_conflict) {
        upsert up;
        KD_TRY(prepare_upsert(ctx, work, &up));
        if (bound->query == NULL)
            return upsert_row(ctx, work, &up, NULL);
        return for_each_row(ctx, work, upsert_row, &up);
    }
    if (bound->returns_places) {
        work->places = KD_NEW_ARRAY(ctx, work->arena, kdi_row_place, KD_BATCH_ROWS);
        if (work->places == NULL)
            return KD_NOMEM;
        kdi_table_writer_note_places(work->writer, work->places);
    }
    if (bound->query == NULL)
        return insert_defaults(ctx, work);
    bool collects = bound->reads_target || work->job->source != NULL;
    return collects ? insert_collected(ctx, work) : insert_streamed(ctx, work);
}

/* --- UPDATE and DELETE
 * --------------------------------------------------------------------------------- */

/* What a write that did not happen means for the statement. */
static kd_status missed(kd_ctx *ctx, dml *work, kd_write_outcome outcome)
{
    kd_isolation isolation = kd_txn_isolation(work->run->session->txn);
    if (outcome.result == KD_WRITE_GONE && isolation == KD_READ_COMMITTED)
        return KD_OK; /* Deleted meanwhile: nothing to do. */
    if (outcome.result == KD_WRITE_SKIPPED)
        return KD_OK;
    return KD_FAIL(ctx, KD_CONFLICT, "40001", "could not serialize access due to concurrent %s",
                   outcome.result == KD_WRITE_GONE ? "delete" : "update");
}

/* The query says which partition a row is of. */
static void expect_partition(dml *work, const kd_value *row)
{
    if (work->bound->has_partition_column)
        kdi_table_writer_expect(work->writer, (uint32_t)row[1].as.i64);
}

/* The target row as the statement sees it; false when an earlier row of the statement took it. */
static kd_status fetch_target(kd_ctx *ctx, dml *work, kd_rowref ref, kd_value **out_values,
                              bool *out_found)
{
    kd_session *session = work->run->session;
    bool twice;
    *out_found = false;
    *out_values = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->table->column_count);
    if (*out_values == NULL)
        return KD_NOMEM;
    KD_TRY(note_written(ctx, work, ref, &twice));
    if (twice)
        return KD_OK;
    kd_snapshot snapshot =
        work->run->reads_latest ? kd_table_latest(session->txn) : kd_txn_snapshot(session->txn);
    return kdi_table_writer_fetch(ctx, work->writer, ref, snapshot, work->row_arena, *out_values,
                                  out_found);
}

/* A row on its way through an UPDATE or DELETE: what the query said of it, and what it was. */
typedef struct target_row {
    const kd_value *row; /* Of the query: the reference first, then the partition, if any. */
    kd_rowref ref;
    kd_value *old_values;
    bool found;
} target_row;

/* Locks the newest version from `newest` on; KD_ROWREF_NONE when the row has gone. Without the lock
 * it could be met between the end of one version and the begin of the next, and seem to be gone. */
static kd_status newest_lock(kd_ctx *ctx, dml *work, kd_rowref newest, kd_rowref *out_ref)
{
    const kd_session *session = work->run->session;
    kd_table *storage = kd_table_find(session->database->storage, work->table->table_no);
    kd_row_lock mode = work->bound->kind == KD_DML_DELETE ? KD_LOCK_UPDATE : KD_LOCK_NO_KEY_UPDATE;
    kd_write_outcome outcome = {.result = KD_WRITE_CHANGED, .newest = newest};
    *out_ref = KD_ROWREF_NONE;
    while (storage != NULL && outcome.result == KD_WRITE_CHANGED)
        KD_TRY(
            kd_table_lock_row(ctx, session->txn, storage, outcome.newest, mode, KD_WAIT, &outcome));
    if (outcome.result == KD_WRITE_DONE)
        *out_ref = outcome.newest;
    return KD_OK;
}

/* The row changed after the snapshot: looks at it as it is now. `target->found`: try again. */
static kd_status look_again(kd_ctx *ctx, dml *work, kd_rowref newest, target_row *target)
{
    const kd_run *run = work->run;
    const kd_rel *query = work->bound->query;
    const kd_recheck *recheck = work->job->plan->recheck;
    kd_value *row = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, query->column_count);
    bool twice;
    if (row == NULL)
        return KD_NOMEM;
    if (work->recheck == NULL)
        KD_TRY(kd_row_recheck_create(ctx, work->arena, recheck, &run->facts, run->parameters,
                                     run->parameter_count, &work->recheck));
    target->found = false;
    KD_TRY(newest_lock(ctx, work, newest, &target->ref));
    if (target->ref == KD_ROWREF_NONE)
        return KD_OK;
    newest = target->ref;
    KD_TRY(note_written(ctx, work, newest, &twice));
    if (twice)
        return KD_OK;
    KD_TRY(kdi_table_writer_fetch(ctx, work->writer, newest, kd_table_latest(run->session->txn),
                                  work->row_arena, target->old_values, &target->found));
    if (target->found)
        KD_TRY(kd_row_recheck_run(ctx, work->recheck, work->row_arena, target->old_values, newest,
                                  &target->found));
    for (uint32_t i = 0; target->found && i < query->column_count; i++) {
        const kd_value *value = kd_row_recheck_value(work->recheck, query->columns[i].id);
        if (value == NULL)
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a changed row lacks a column");
        row[i] = *value;
    }
    target->row = row;
    return KD_OK;
}

typedef kd_status (*row_writer)(kd_ctx *ctx, dml *work, void *object, const target_row *target,
                                kd_write_outcome *out_outcome);

/* Writes one row, as it is in the snapshot or, where it changed and still fits, as it is now.
 * `*out_target` says which. */
static kd_status write_row(kd_ctx *ctx, dml *work, void *object, const kd_value *row,
                           row_writer change, target_row *out_target)
{
    *out_target = (target_row){.row = row, .ref = (kd_rowref)row[0].as.i64};
    expect_partition(work, row);
    KD_TRY(fetch_target(ctx, work, out_target->ref, &out_target->old_values, &out_target->found));
    while (out_target->found) {
        kd_write_outcome outcome;
        KD_TRY(change(ctx, work, object, out_target, &outcome));
        if (outcome.result == KD_WRITE_DONE) {
            bool is_delete = work->bound->kind == KD_DML_DELETE;
            note_place(work, work->writer, is_delete ? out_target->ref : outcome.newest);
            return KD_OK;
        }
        if (outcome.result != KD_WRITE_CHANGED || work->job->plan->recheck == NULL) {
            out_target->found = false;
            return missed(ctx, work, outcome);
        }
        KD_TRY(look_again(ctx, work, outcome.newest, out_target));
    }
    return KD_OK;
}

static kd_status update_write(kd_ctx *ctx, dml *work, void *object, const target_row *target,
                              kd_write_outcome *out_outcome)
{
    const kd_bound_statement *bound = work->bound;
    return kdi_table_writer_update(
        ctx, work->writer, target->ref, target->old_values, bound->target_positions,
        target->row + 1 + bound->has_partition_column, bound->target_count, object, out_outcome);
}

static kd_status update_row(kd_ctx *ctx, dml *work, void *object, const kd_value *row)
{
    target_row target;
    KD_TRY(write_row(ctx, work, object, row, update_write, &target));
    return target.found ? row_written(ctx, work, object, target.row) : KD_OK;
}

static kd_status delete_write(kd_ctx *ctx, dml *work, void *object, const target_row *target,
                              kd_write_outcome *out_outcome)
{
    (void)object;
    return kdi_table_writer_delete(ctx, work->writer, target->ref, target->old_values, out_outcome);
}

static kd_status delete_row(kd_ctx *ctx, dml *work, void *object, const kd_value *row)
{
    target_row target;
    KD_TRY(write_row(ctx, work, object, row, delete_write, &target));
    return target.found ? return_row(ctx, work, target.old_values, target.row) : KD_OK;
}

static kd_status run_update(kd_ctx *ctx, dml *work)
{
    const kd_bound_statement *bound = work->bound;
    kd_value *written = KD_NEW_ARRAY(ctx, work->arena, kd_value, work->table->column_count);
    if (written == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_table_writer_create(ctx, work->arena, work->run, work->table,
                                   bound->target_positions, bound->target_count, &work->writer));
    return for_each_row(ctx, work, update_row, written);
}

static kd_status run_delete(kd_ctx *ctx, dml *work)
{
    KD_TRY(
        kdi_table_writer_create(ctx, work->arena, work->run, work->table, NULL, 0, &work->writer));
    return for_each_row(ctx, work, delete_row, NULL);
}

/* --- MERGE
 * ------------------------------------------------------------------------------------------------
 */

typedef struct merge_when {
    const kd_bound_merge_when *bound;
    kd_compiled_expr *condition;
    uint32_t *positions;
    kd_compiled_expr **exprs;
    kd_value *values;
    kdi_table_writer *writer; /* INSERT: knows which columns are given. */
} merge_when;

static kd_status prepare_when(kd_ctx *ctx, dml *work, const kd_bound_merge_when *bound,
                              merge_when *out)
{
    const kd_rel *query = work->bound->query;
    uint32_t count = bound->assignment_count;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, work->arena, kd_column_id, query->column_count);
    *out = (merge_when){.bound = bound};
    out->positions = KD_NEW_ARRAY(ctx, work->arena, uint32_t, count);
    out->exprs = KD_NEW_ARRAY(ctx, work->arena, kd_compiled_expr *, count);
    out->values = KD_NEW_ARRAY(ctx, work->arena, kd_value, count);
    if (ids == NULL || out->positions == NULL || out->exprs == NULL || out->values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < query->column_count; i++)
        ids[i] = query->columns[i].id;
    KD_TRY(compile(ctx, work, bound->condition, ids, query->column_count, &out->condition));
    for (uint32_t i = 0; i < count; i++) {
        out->positions[i] = bound->assignments[i].shape_position;
        KD_TRY(compile(ctx, work, bound->assignments[i].value, ids, query->column_count,
                       &out->exprs[i]));
    }
    if (bound->action != KD_MERGE_INSERT)
        return KD_OK;
    return kdi_table_writer_create(ctx, work->arena, work->run, work->table, out->positions, count,
                                   &out->writer);
}

static kd_status evaluate_assignments(kd_ctx *ctx, dml *work, merge_when *when, const kd_value *row)
{
    for (uint32_t i = 0; i < when->bound->assignment_count; i++) {
        if (when->exprs[i] == NULL)
            KD_TRY(kdi_table_writer_default(ctx, work->writer, when->positions[i], work->row_arena,
                                            &when->values[i]));
        else
            KD_TRY(
                kd_expr_evaluate_row(ctx, when->exprs[i], work->row_arena, row, &when->values[i]));
    }
    return KD_OK;
}

static kd_status merge_insert(kd_ctx *ctx, dml *work, merge_when *when, const kd_value *row)
{
    kd_value *values = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->table->column_count);
    kd_insert_outcome outcome;
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < work->table->column_count; i++)
        values[i] = kd_value_null(work->table->columns[i].storage.type);
    for (uint32_t i = 0; i < when->bound->assignment_count; i++)
        values[when->positions[i]] = when->values[i];
    KD_TRY(kdi_table_writer_insert_row(ctx, when->writer, values, false, &outcome));
    return return_row(ctx, work, values, row);
}

static kd_status merge_change(kd_ctx *ctx, dml *work, merge_when *when, const kd_value *row)
{
    kd_rowref ref = (kd_rowref)row[0].as.i64;
    kd_value *old_values;
    bool found;
    kd_write_outcome outcome;
    if (kd_map_find_u64(work->job->written, ref) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "21000", "MERGE command cannot affect row a second time");
    expect_partition(work, row);
    KD_TRY(fetch_target(ctx, work, ref, &old_values, &found));
    if (!found)
        return KD_OK;
    if (when->bound->action == KD_MERGE_DELETE) {
        KD_TRY(kdi_table_writer_delete(ctx, work->writer, ref, old_values, &outcome));
        if (outcome.result != KD_WRITE_DONE)
            return missed(ctx, work, outcome);
        return return_row(ctx, work, old_values, row);
    }
    kd_value *written = KD_NEW_ARRAY(ctx, work->row_arena, kd_value, work->table->column_count);
    if (written == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_table_writer_update(ctx, work->writer, ref, old_values, when->positions,
                                   when->values, when->bound->assignment_count, written, &outcome));
    if (outcome.result != KD_WRITE_DONE)
        return missed(ctx, work, outcome);
    return row_written(ctx, work, written, row);
}

/* The first WHEN that fits a row acts on it. */
static kd_status merge_row(kd_ctx *ctx, dml *work, void *object, const kd_value *row)
{
    merge_when *whens = object;
    bool matched = !row[0].is_null;
    for (uint32_t i = 0; i < work->bound->when_count; i++) {
        merge_when *when = &whens[i];
        if (when->bound->matched != matched)
            continue;
        if (when->condition != NULL) {
            kd_value holds;
            KD_TRY(kd_expr_evaluate_row(ctx, when->condition, work->row_arena, row, &holds));
            if (holds.is_null || !holds.as.boolean)
                continue;
        }
        if (when->bound->action == KD_MERGE_NOTHING)
            return KD_OK;
        KD_TRY(evaluate_assignments(ctx, work, when, row));
        return when->bound->action == KD_MERGE_INSERT ? merge_insert(ctx, work, when, row)
                                                      : merge_change(ctx, work, when, row);
    }
    return KD_OK;
}

static kd_status run_merge(kd_ctx *ctx, dml *work)
{
    merge_when *whens = KD_NEW_ARRAY(ctx, work->arena, merge_when, work->bound->when_count);
    if (whens == NULL)
        return KD_NOMEM;
    KD_TRY(
        kdi_table_writer_create(ctx, work->arena, work->run, work->table, NULL, 0, &work->writer));
    for (uint32_t i = 0; i < work->bound->when_count; i++)
        KD_TRY(prepare_when(ctx, work, &work->bound->whens[i], &whens[i]));
    return for_each_row(ctx, work, merge_row, whens);
}

/* --- All of them
 * -------------------------------------------------------------------------------------------- */

static void set_tag(kd_run *run, kd_dml_kind kind)
{
    static const char *const words[] = {"SELECT", "INSERT 0", "UPDATE", "DELETE", "MERGE"};
    kdi_set_tag_count(run, words[kind]);
}

kd_status kdi_dml_one(kd_ctx *ctx, kd_run *run, kdi_dml_job *job)
{
    const kd_bound_statement *bound = job->plan->bound;
    dml work = {
        .run = run, .arena = run->arena, .bound = bound, .table = bound->target, .job = job};
    work.row_arena = kd_arena_create(ctx, run->arena, "row", KD_ARENA_UNLIMITED);
    if (work.row_arena == NULL)
        return KD_NOMEM;
    KD_TRY(prepare_returning(ctx, &work));
    KD_TRY(prepare_view_checks(ctx, &work));
    switch (bound->kind) {
    case KD_DML_INSERT:
        return run_insert(ctx, &work);
    case KD_DML_UPDATE:
        return run_update(ctx, &work);
    case KD_DML_DELETE:
        return run_delete(ctx, &work);
    case KD_DML_MERGE:
        return run_merge(ctx, &work);
    case KD_DML_SELECT:
        break;
    }
    assert(false && "queries are not written");
    return KD_OK;
}

static kd_status run_alone(kd_ctx *ctx, kd_run *run, kd_map *written)
{
    kdi_dml_job job = {.plan = run->plan, .written = written};
    KD_TRY(kdi_dml_one(ctx, run, &job));
    run->rows = job.returned;
    run->affected = job.affected;
    return KD_OK;
}

kd_status kdi_dml_run(kd_ctx *ctx, kd_run *run)
{
    const kd_bound_statement *bound = run->bound;
    kd_account account;
    kd_map written;
    kd_account_init(&account, NULL, "written rows", SIZE_MAX);
    kd_map_init(&written, ctx->world, &account);
    kd_status status = bound->modifying_cte_count > 0 ? kdi_modifying_with_run(ctx, run, &written)
                                                      : run_alone(ctx, run, &written);
    kd_map_clear(&written);
    if (status == KD_OK)
        set_tag(run, bound->written_as);
    return status;
}
