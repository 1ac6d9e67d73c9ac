/*
 * The short paths of INSERT ... VALUES with one row, and of UPDATE and DELETE of the
 * row that a unique key names.
 *
 * Taken where the table has no more to ask than NOT NULL and its indexes. Inserted
 * values are constants and parameters; an update may also compute from the row's
 * columns with immutable functions. The table's writer, vectors and compiled
 * expressions are kept from run to run: parameters are columns to the expressions, so
 * that nothing that a run evaluates stays behind in them. A conflict undoes the
 * attempt and leaves the statement to the ordinary way, which knows whether and when
 * to try again.
 */
#include "engine/short_path.h"

#include <assert.h>
#include <string.h>

struct kdi_short_write {
    const kd_bound_statement *bound;
    kdi_table_writer *writer; /* Made at the first run. */
    kd_arena *arena;          /* Bytes of values; reset by each run. */
    kd_run run;
    /* INSERT */
    kd_expr **given; /* In the order of the statement's target columns. */
    kd_batch batch;
    kd_vector *vectors;
    /* UPDATE and DELETE */
    kdi_short_key key;
    uint32_t *positions; /* All of the table's shape. */
    kd_value *old_row;   /* Then the parameters. */
    kd_value *new_row;
    kd_compiled_expr **exprs; /* Per target column. */
    kd_value *values;
};

/* --- At planning time ------------------------------------------------------------------------- */

static bool is_plain(const kd_bound_statement *bound)
{
    return !bound->has_on_conflict && bound->returning_count == 0 &&
           bound->modifying_cte_count == 0 && bound->cte_count == 0 &&
           bound->view_check_count == 0 &&
           (bound->kind == KD_DML_INSERT || bound->kind == KD_DML_UPDATE ||
            bound->kind == KD_DML_DELETE);
}

static bool is_given(const kd_bound_statement *bound, uint32_t position)
{
    for (uint32_t i = 0; i < bound->target_count; i++)
        if (bound->target_positions[i] == position)
            return true;
    return false;
}

static kd_status asks_little(kd_ctx *ctx, kd_prepared *prepared, bool *out_little)
{
    const kd_bound_statement *bound = prepared->bound;
    const kd_table_entry *table = bound->target;
    kdi_referrer *referrers;
    uint32_t referrer_count;
    *out_little = false;
    if (table->strategy != KD_PARTITION_NONE || table->parent_no != 0 || table->check_count > 0 ||
        table->foreign_count > 0)
        return KD_OK;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const kd_column *column = &table->columns[i];
        if (column->generated || (bound->kind == KD_DML_INSERT && !is_given(bound, i) &&
                                  column->default_text.size_bytes > 0))
            return KD_OK;
    }
    KD_TRY(kdi_foreign_referrers(ctx, prepared->plan_arena, prepared->catalog, table, &referrers,
                                 &referrer_count));
    *out_little = referrer_count == 0 || bound->kind == KD_DML_INSERT;
    return KD_OK;
}

/* The one row of an INSERT; NULL: there is more to do than to take values. */
static kd_expr **row_of(const kd_statement_plan *plan, uint32_t value_count)
{
    const kd_plan *root = plan->root;
    if (root == NULL || root->kind != KD_PLAN_VALUES || root->as.values.row_count != 1 ||
        root->column_count != value_count)
        return NULL;
    kd_expr **row = root->as.values.rows[0];
    for (uint32_t i = 0; i < value_count; i++)
        if (!kdi_short_has_value(row[i]))
            return NULL;
    return row;
}

static kd_status insert_make(kd_ctx *ctx, kd_prepared *prepared, kdi_short_write *made,
                             bool *out_made)
{
    kd_arena *arena = prepared->plan_arena;
    uint32_t count = made->bound->target_count;
    made->given = row_of(prepared->plan, count);
    *out_made = made->given != NULL;
    if (!*out_made)
        return KD_OK;
    made->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, count);
    if (made->vectors == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kd_vector_init_flat(ctx, arena, made->given[i]->type, 1, &made->vectors[i]));
    made->batch = (kd_batch){
        .row_count = 1, .selected_count = 1, .column_count = count, .columns = made->vectors};
    return KD_OK;
}

/* A copy with columns in the place of parameters: `first` is the first one's id. NULL, and
 * `*out_simple` false, where the value depends on more than the row and the parameters. */
static kd_status expr_copy(kd_ctx *ctx, kd_arena *arena, const kd_expr *expr, kd_column_id first,
                           kd_expr **out_copy, bool *out_simple)
{
    bool is_text = kd_type_physical(expr->type) == KD_PHYS_STR;
    *out_copy = KD_NEW(ctx, arena, kd_expr);
    if (*out_copy == NULL)
        return KD_NOMEM;
    **out_copy = *expr;
    switch (expr->kind) {
    case KD_EXPR_PARAMETER:
        (*out_copy)->kind = KD_EXPR_COLUMN;
        (*out_copy)->column = first + expr->parameter_no - 1;
        return KD_OK;
    case KD_EXPR_CONSTANT:
    case KD_EXPR_COLUMN:
        return KD_OK;
    case KD_EXPR_CALL:
        *out_simple &= expr->function->volatility == KD_IMMUTABLE;
        break;
    case KD_EXPR_CAST: /* Through text, settings would count. */
        is_text |= kd_type_physical(expr->arguments[0]->type) == KD_PHYS_STR;
        *out_simple &= !is_text && expr->cast != NULL;
        break;
    case KD_EXPR_AND:
    case KD_EXPR_OR:
    case KD_EXPR_NOT:
    case KD_EXPR_IS_NULL:
    case KD_EXPR_CASE:
    case KD_EXPR_COALESCE:
        break;
    default:
        *out_simple = false;
        break;
    }
    (*out_copy)->arguments = KD_NEW_ARRAY(ctx, arena, kd_expr *, expr->argument_count);
    if ((*out_copy)->arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; *out_simple && i < expr->argument_count; i++) {
        if (expr->arguments[i] != NULL)
            KD_TRY(expr_copy(ctx, arena, expr->arguments[i], first, &(*out_copy)->arguments[i],
                             out_simple));
    }
    return KD_OK;
}

/* Ids of the row's values: the probe's columns at their places in the shape, then the parameters.
 */
static kd_status row_ids(kd_ctx *ctx, kd_prepared *prepared, const kd_plan *probe,
                         kd_column_id first, kd_column_id **out_ids, uint32_t *out_count)
{
    uint32_t column_count = prepared->bound->target->column_count;
    uint32_t read_count = probe->column_count - (probe->as.index_scan.ref_column != 0);
    *out_count = column_count + prepared->parameter_count;
    *out_ids = KD_NEW_ARRAY(ctx, prepared->plan_arena, kd_column_id, *out_count);
    if (*out_ids == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < read_count; i++)
        (*out_ids)[probe->as.index_scan.positions[i]] = probe->columns[i].id;
    for (uint32_t i = 0; i < prepared->parameter_count; i++)
        (*out_ids)[column_count + i] = first + i;
    return KD_OK;
}

static kd_status exprs_make(kd_ctx *ctx, kd_prepared *prepared, kdi_short_write *made,
                            const kd_plan *probe, bool *out_made)
{
    const kd_bound_statement *bound = made->bound;
    const kd_plan *root = prepared->plan->root;
    kd_arena *arena = prepared->plan_arena;
    kd_column_id first = bound->last_column_id + 1, *ids;
    uint32_t id_count;
    *out_made = bound->target_count == 0 ||
                (root != probe && root->column_count == bound->target_count + 1);
    if (!*out_made || bound->target_count == 0)
        return KD_OK;
    KD_TRY(row_ids(ctx, prepared, probe, first, &ids, &id_count));
    made->exprs = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, bound->target_count);
    if (made->exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; *out_made && i < bound->target_count; i++) {
        kd_expr *copy;
        const kd_expr *expr = root->as.project.exprs[i + 1]; /* After the row's reference. */
        KD_TRY(expr_copy(ctx, arena, expr, first, &copy, out_made));
        if (*out_made)
            KD_TRY(kd_expr_compile_row(ctx, arena, copy, ids, id_count, &made->run.facts, NULL, 0,
                                       &made->exprs[i]));
    }
    return KD_OK;
}

static kd_status change_make(kd_ctx *ctx, kd_prepared *prepared, kdi_short_write *made,
                             bool *out_made)
{
    kd_arena *arena = prepared->plan_arena;
    uint32_t count = made->bound->target->column_count;
    const kd_plan *probe = kdi_short_probe(prepared->plan);
    *out_made = probe != NULL && probe->as.index_scan.table == made->bound->target;
    if (!*out_made)
        return KD_OK;
    KD_TRY(kdi_short_key_init(ctx, arena, probe, &made->key));
    made->positions = KD_NEW_ARRAY(ctx, arena, uint32_t, count);
    made->old_row = KD_NEW_ARRAY(ctx, arena, kd_value, count + prepared->parameter_count);
    made->new_row = KD_NEW_ARRAY(ctx, arena, kd_value, count);
    made->values = KD_NEW_ARRAY(ctx, arena, kd_value, made->bound->target_count);
    if (made->positions == NULL || made->old_row == NULL || made->new_row == NULL ||
        made->values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        made->positions[i] = i;
    return exprs_make(ctx, prepared, made, probe, out_made);
}

kd_status kdi_short_write_make(kd_ctx *ctx, kd_prepared *prepared)
{
    kd_arena *arena = prepared->plan_arena;
    bool ok;
    prepared->short_write = NULL;
    if (!is_plain(prepared->bound))
        return KD_OK;
    KD_TRY(asks_little(ctx, prepared, &ok));
    if (!ok)
        return KD_OK;
    kdi_short_write *made = KD_NEW(ctx, arena, kdi_short_write);
    if (made == NULL)
        return KD_NOMEM;
    made->bound = prepared->bound;
    made->arena = kd_arena_create(ctx, arena, "short write", KD_ARENA_UNLIMITED);
    if (made->arena == NULL)
        return KD_NOMEM;
    kdi_short_run_init(&made->run, prepared);
    if (prepared->bound->kind == KD_DML_INSERT)
        KD_TRY(insert_make(ctx, prepared, made, &ok));
    else
        KD_TRY(change_make(ctx, prepared, made, &ok));
    if (ok)
        prepared->short_write = made;
    return KD_OK;
}

/* --- At run time ------------------------------------------------------------------------------ */

static kd_status writer_ready(kd_ctx *ctx, kdi_short_write *it, kd_prepared *prepared)
{
    const kd_bound_statement *bound = it->bound;
    it->run.catalog = prepared->catalog;
    if (it->writer != NULL)
        return kdi_table_writer_enter(ctx, it->writer);
    return kdi_table_writer_create(ctx, prepared->plan_arena, &it->run, bound->target,
                                   bound->target_positions, bound->target_count, &it->writer);
}

static kd_status insert_row(kd_ctx *ctx, kdi_short_write *it, const kd_value *parameters,
                            uint32_t parameter_count)
{
    for (uint32_t i = 0; i < it->batch.column_count; i++) {
        kd_value value;
        KD_TRY(kdi_short_value(ctx, it->arena, &it->run, it->given[i], parameters, parameter_count,
                               &value));
        kd_vector_set(&it->vectors[i], 0, &value);
    }
    KD_TRY(kdi_table_writer_insert(ctx, it->writer, &it->batch, NULL));
    it->run.affected = 1;
    return KD_OK;
}

/* What the statement assigns, from the old row and the parameters. */
static kd_status assign(kd_ctx *ctx, kdi_short_write *it, const kd_value *parameters,
                        uint32_t parameter_count)
{
    const kd_prepared *prepared = it->run.prepared;
    kd_value *given = it->old_row + it->bound->target->column_count;
    for (uint32_t i = 0; i < prepared->parameter_count; i++) {
        kd_expr parameter = {
            .kind = KD_EXPR_PARAMETER, .type = prepared->parameter_types[i], .parameter_no = i + 1};
        KD_TRY(kdi_short_value(ctx, it->arena, &it->run, &parameter, parameters, parameter_count,
                               &given[i]));
    }
    for (uint32_t i = 0; i < it->bound->target_count; i++) {
        kd_value value;
        KD_TRY(kd_expr_evaluate_row(ctx, it->exprs[i], it->arena, it->old_row, &value));
        KD_TRY(kd_value_copy(ctx, it->arena, &value, &it->values[i]));
    }
    return KD_OK;
}

/* `*out_done` false: the row has changed since the snapshot. */
static kd_status change_row(kd_ctx *ctx, kdi_short_write *it, const kd_value *parameters,
                            uint32_t parameter_count, bool *out_done)
{
    kd_session *session = it->run.session;
    const kd_table_entry *table = it->key.table;
    kd_table *storage = kd_table_find(session->database->storage, table->table_no);
    kd_buffer key = kd_buffer_in(it->arena);
    kd_write_outcome outcome;
    kd_rowref ref;
    bool is_null, found;
    KD_TRY(kdi_short_key_make(ctx, &it->key, it->arena, &it->run, parameters, parameter_count,
                              storage, &key, &is_null));
    if (is_null)
        return KD_OK;
    KD_TRY(kd_table_get_by_key(ctx, it->arena, storage, kd_txn_snapshot(session->txn),
                               it->key.index_no, kd_buffer_slice(&key), table->shape, it->positions,
                               table->column_count, it->old_row, &ref, &found));
    if (!found)
        return KD_OK;
    if (it->bound->kind == KD_DML_DELETE) {
        KD_TRY(kdi_table_writer_delete(ctx, it->writer, ref, it->old_row, &outcome));
    } else {
        KD_TRY(assign(ctx, it, parameters, parameter_count));
        KD_TRY(kdi_table_writer_update(ctx, it->writer, ref, it->old_row,
                                       it->bound->target_positions, it->values,
                                       it->bound->target_count, it->new_row, &outcome));
    }
    *out_done = outcome.result == KD_WRITE_DONE;
    it->run.affected = *out_done;
    return KD_OK;
}

static kd_status write_row(kd_ctx *ctx, kdi_short_write *it, kd_prepared *prepared,
                           const kd_value *parameters, uint32_t parameter_count, bool *out_done)
{
    *out_done = true;
    kd_arena_reset(it->arena);
    KD_TRY(writer_ready(ctx, it, prepared));
    if (it->bound->kind == KD_DML_INSERT)
        KD_TRY(insert_row(ctx, it, parameters, parameter_count));
    else
        KD_TRY(change_row(ctx, it, parameters, parameter_count, out_done));
    return *out_done ? kdi_deferred_run(ctx, prepared->session, false) : KD_OK;
}

static void undo_to(kd_txn *txn, uint32_t savepoint)
{
    kd_txn_rollback_to(txn, savepoint);
    kd_txn_release(txn, savepoint);
}

/* Undoes the attempt. A conflict is no failure yet. */
static kd_status give_up(kd_ctx *ctx, kd_session *session, kd_status status, bool owns,
                         uint32_t savepoint)
{
    bool is_deadlock = status != KD_OK && strcmp(ctx->error.sqlstate, "40P01") == 0;
    if (owns)
        kdi_transaction_rollback(session);
    else
        undo_to(session->txn, savepoint);
    if (status == KD_OK)
        return KD_OK;
    if (status == KD_CONFLICT && !is_deadlock) {
        kd_error_clear(ctx);
        return KD_OK;
    }
    kdi_note_failure(session);
    return status;
}

kd_status kdi_short_write_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                                uint32_t parameter_count, kd_run **out_run)
{
    static const char *const words[] = {"SELECT", "INSERT 0", "UPDATE", "DELETE", "MERGE"};
    kdi_short_write *it = prepared->short_write;
    kd_session *session = prepared->session;
    uint32_t savepoint = 0;
    bool owns, entered, done;
    *out_run = NULL;
    /* The watchdog and the flag that it sets belong to ordinary runs. */
    if (session->runs != NULL || session->state == KD_SESSION_FAILED ||
        session->settings.statement_timeout_ms > 0)
        return KD_OK;
    KD_TRY(kdi_short_enter(ctx, prepared, &owns, &entered));
    if (!entered)
        return KD_OK;
    atomic_store_explicit(&session->cancelled, false, memory_order_relaxed);
    if (!owns)
        KD_TRY(kd_txn_savepoint(ctx, session->txn, &savepoint));
    kdi_short_run_open(&it->run);
    kd_status status = write_row(ctx, it, prepared, parameters, parameter_count, &done);
    if (status != KD_OK || !done) {
        kdi_short_run_close(&it->run);
        return give_up(ctx, session, status, owns, savepoint);
    }
    if (owns)
        status = kdi_transaction_commit(ctx, session);
    else
        kd_txn_release(session->txn, savepoint);
    if (status != KD_OK) {
        kdi_short_run_close(&it->run);
        return status;
    }
    it->run.is_done = true;
    kdi_set_tag_count(&it->run, words[it->bound->kind]);
    *out_run = &it->run;
    return KD_OK;
}
