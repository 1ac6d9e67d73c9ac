/*
 * The short path of INSERT ... VALUES with one row.
 *
 * Taken where the values are constants and parameters and the table has no more to
 * ask than NOT NULL and its indexes. The table's writer and the row's vectors are
 * kept from run to run. A conflict undoes the attempt and leaves the statement to
 * the ordinary way, which knows whether and when to try again.
 */
#include "engine/short_path.h"

#include <assert.h>
#include <string.h>

struct kdi_short_insert {
    kd_expr **values; /* In the order of the statement's target columns. */
    uint32_t value_count;
    kdi_table_writer *writer; /* Made at the first run. */
    kd_batch batch;
    kd_vector *vectors;
    kd_arena *arena; /* Bytes of cast values; reset by each run. */
    kd_run run;
};

/* --- At planning time ------------------------------------------------------------------------- */

static bool is_plain(const kd_bound_statement *bound)
{
    return bound->kind == KD_DML_INSERT && !bound->has_on_conflict && bound->returning_count == 0 &&
           bound->modifying_cte_count == 0 && bound->cte_count == 0 && bound->view_check_count == 0;
}

static bool is_given(const kd_bound_statement *bound, uint32_t position)
{
    for (uint32_t i = 0; i < bound->target_count; i++)
        if (bound->target_positions[i] == position)
            return true;
    return false;
}

static bool asks_little(const kd_bound_statement *bound)
{
    const kd_table_entry *table = bound->target;
    if (table->strategy != KD_PARTITION_NONE || table->parent_no != 0 || table->check_count > 0 ||
        table->foreign_count > 0)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const kd_column *column = &table->columns[i];
        if (column->generated || (column->default_text.size_bytes > 0 && !is_given(bound, i)))
            return false;
    }
    return true;
}

/* The one row of the statement; NULL: there is more to do than to take values. */
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

kd_status kdi_short_insert_make(kd_ctx *ctx, kd_prepared *prepared)
{
    const kd_bound_statement *bound = prepared->bound;
    kd_arena *arena = prepared->plan_arena;
    prepared->short_insert = NULL;
    if (!is_plain(bound) || !asks_little(bound))
        return KD_OK;
    kd_expr **row = row_of(prepared->plan, bound->target_count);
    if (row == NULL)
        return KD_OK;
    kdi_short_insert *made = KD_NEW(ctx, arena, kdi_short_insert);
    if (made == NULL)
        return KD_NOMEM;
    *made = (kdi_short_insert){.values = row, .value_count = bound->target_count};
    made->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, made->value_count);
    made->arena = kd_arena_create(ctx, arena, "short insert", KD_ARENA_UNLIMITED);
    if (made->vectors == NULL || made->arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < made->value_count; i++)
        KD_TRY(kd_vector_init_flat(ctx, arena, row[i]->type, 1, &made->vectors[i]));
    made->batch = (kd_batch){.row_count = 1,
                             .selected_count = 1,
                             .column_count = made->value_count,
                             .columns = made->vectors};
    kdi_short_run_init(&made->run, prepared);
    prepared->short_insert = made;
    return KD_OK;
}

/* --- At run time ------------------------------------------------------------------------------ */

static kd_status writer_ready(kd_ctx *ctx, kdi_short_insert *it, kd_prepared *prepared)
{
    const kd_bound_statement *bound = prepared->bound;
    it->run.catalog = prepared->catalog;
    if (it->writer != NULL)
        return kdi_table_writer_enter(ctx, it->writer);
    return kdi_table_writer_create(ctx, prepared->plan_arena, &it->run, bound->target,
                                   bound->target_positions, bound->target_count, &it->writer);
}

static kd_status insert_row(kd_ctx *ctx, kdi_short_insert *it, kd_prepared *prepared,
                            const kd_value *parameters, uint32_t parameter_count)
{
    kd_arena_reset(it->arena);
    KD_TRY(writer_ready(ctx, it, prepared));
    for (uint32_t i = 0; i < it->value_count; i++) {
        kd_value value;
        KD_TRY(kdi_short_value(ctx, it->arena, &it->run, it->values[i], parameters, parameter_count,
                               &value));
        kd_vector_set(&it->vectors[i], 0, &value);
    }
    KD_TRY(kdi_table_writer_insert(ctx, it->writer, &it->batch, NULL));
    return kdi_deferred_run(ctx, prepared->session, false);
}

/* Ends a failed attempt. A conflict is no failure yet. */
static kd_status give_up(kd_ctx *ctx, kd_session *session, kd_status status, bool owns,
                         uint32_t savepoint)
{
    bool is_deadlock = strcmp(ctx->error.sqlstate, "40P01") == 0;
    if (owns)
        kdi_transaction_rollback(session);
    else
        kd_txn_rollback_to(session->txn, savepoint);
    if (status == KD_CONFLICT && !is_deadlock) {
        kd_error_clear(ctx);
        return KD_OK;
    }
    if (session->is_explicit)
        session->state = KD_SESSION_FAILED;
    return status;
}

kd_status kdi_short_insert_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                                 uint32_t parameter_count, kd_run **out_run)
{
    kdi_short_insert *it = prepared->short_insert;
    kd_session *session = prepared->session;
    uint32_t savepoint = 0;
    bool owns, entered;
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
    kd_status status = insert_row(ctx, it, prepared, parameters, parameter_count);
    if (status != KD_OK) {
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
    it->run.affected = 1;
    it->run.is_done = true;
    kdi_set_tag_count(&it->run, "INSERT 0");
    *out_run = &it->run;
    return KD_OK;
}
