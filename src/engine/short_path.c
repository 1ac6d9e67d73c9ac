/*
 * The short path: reading one row by a unique key.
 *
 * A prepared SELECT whose plan is one probe of a unique index, with its columns
 * as they are, needs no pipeline: the key is made from the parameters, the row
 * looked up and copied into a batch of one. Everything it works with is kept in
 * the prepared statement, so that a run allocates nothing.
 *
 * It is taken only when the statement's pinned catalog version is what its
 * snapshot would bind against; otherwise the ordinary way decides.
 */
#include "engine/short_path.h"

#include "engine/value_cast.h"

#include <assert.h>

struct kdi_short_read {
    kdi_short_key key;
    uint32_t column_count;
    uint32_t *positions;
    kd_value *row;
    kd_vector *columns;
    kd_arena *arena; /* The row's bytes and the key; reset by each run. */
    kd_run run;
};

/* --- At planning time
 * -------------------------------------------------------------------------------- */

bool kdi_short_has_value(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT || expr->kind == KD_EXPR_PARAMETER;
}

const kd_plan *kdi_short_probe(const kd_statement_plan *plan)
{
    const kd_plan *root = plan->root;
    if (root == NULL || plan->cte_count > 0)
        return NULL;
    if (root->kind == KD_PLAN_PROJECT)
        root = root->inputs[0];
    if (root->kind != KD_PLAN_INDEX_SCAN || root->as.index_scan.place != NULL ||
        root->as.index_scan.condition != NULL)
        return NULL;
    const kd_index_bound *bound = &root->as.index_scan.bound;
    const kd_index_definition *index = &root->as.index_scan.index->storage;
    if (!index->unique || index->deferrable || bound->in_list ||
        bound->equal_count != index->column_count || index->predicate_column_no >= 0)
        return NULL;
    for (uint32_t i = 0; i < bound->equal_count; i++)
        if (!kdi_short_has_value(bound->equals[i]))
            return NULL;
    return root;
}

kd_status kdi_short_key_init(kd_ctx *ctx, kd_arena *arena, const kd_plan *probe,
                             kdi_short_key *out_key)
{
    *out_key = (kdi_short_key){.table = probe->as.index_scan.table,
                               .index_no = probe->as.index_scan.index->storage.index_no,
                               .count = probe->as.index_scan.bound.equal_count,
                               .exprs = probe->as.index_scan.bound.equals};
    out_key->values = KD_NEW_ARRAY(ctx, arena, kd_value, out_key->count);
    return out_key->values == NULL ? KD_NOMEM : KD_OK;
}

/* Where output column `index` stands in the table; false when it is computed. */
static bool position_of(const kd_statement_plan *plan, const kd_plan *scan, uint32_t index,
                        uint32_t *out_position)
{
    uint32_t column = index;
    if (plan->root != scan) {
        const kd_expr *expr = plan->root->as.project.exprs[index];
        if (expr->kind != KD_EXPR_COLUMN)
            return false;
        for (column = 0; column < scan->column_count; column++)
            if (scan->columns[column].id == expr->column)
                break;
        if (column == scan->column_count)
            return false;
    }
    *out_position = scan->as.index_scan.positions[column];
    return true;
}

kd_status kdi_short_read_make(kd_ctx *ctx, kd_prepared *prepared)
{
    const kd_statement_plan *plan = prepared->plan;
    kd_arena *arena = prepared->plan_arena;
    prepared->short_read = NULL;
    const kd_plan *scan = prepared->bound->kind == KD_DML_SELECT ? kdi_short_probe(plan) : NULL;
    if (scan == NULL || scan->as.index_scan.ref_column != 0)
        return KD_OK;
    kdi_short_read *made = KD_NEW(ctx, arena, kdi_short_read);
    uint32_t count = plan->root->column_count;
    if (made == NULL)
        return KD_NOMEM;
    *made = (kdi_short_read){.column_count = count};
    KD_TRY(kdi_short_key_init(ctx, arena, scan, &made->key));
    made->positions = KD_NEW_ARRAY(ctx, arena, uint32_t, count);
    made->row = KD_NEW_ARRAY(ctx, arena, kd_value, count);
    made->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, count);
    made->arena = kd_arena_create(ctx, arena, "short read", KD_ARENA_UNLIMITED);
    if (made->positions == NULL || made->row == NULL || made->columns == NULL ||
        made->arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (!position_of(plan, scan, i, &made->positions[i]))
            return KD_OK;
        KD_TRY(kd_vector_init_flat(ctx, arena, prepared->columns[i].type, 1, &made->columns[i]));
    }
    kdi_short_run_init(&made->run, prepared);
    prepared->short_read = made;
    return KD_OK;
}

/* --- At run time
 * -------------------------------------------------------------------------------------- */

kd_status kdi_short_value(kd_ctx *ctx, kd_arena *arena, const kd_run *run, const kd_expr *expr,
                          const kd_value *parameters, uint32_t parameter_count, kd_value *out_value)
{
    kd_value given = expr->kind == KD_EXPR_CONSTANT ? expr->constant : kd_value_null(expr->type);
    if (expr->kind == KD_EXPR_PARAMETER && expr->parameter_no <= parameter_count)
        given = parameters[expr->parameter_no - 1];
    if (kd_type_same(given.type, expr->type) && expr->type.modifier < 0) {
        *out_value = given;
        return KD_OK;
    }
    return kd_value_cast(ctx, arena, run->session->database->registry, &run->facts, &given,
                         expr->type, KD_CAST_ASSIGNMENT, out_value);
}

kd_status kdi_short_key_make(kd_ctx *ctx, kdi_short_key *key, kd_arena *arena, const kd_run *run,
                             const kd_value *parameters, uint32_t parameter_count,
                             kd_table *storage, kd_buffer *out_bytes, bool *out_null)
{
    *out_null = false;
    for (uint32_t i = 0; i < key->count; i++) {
        KD_TRY(kdi_short_value(ctx, arena, run, key->exprs[i], parameters, parameter_count,
                               &key->values[i]));
        *out_null |= key->values[i].is_null;
    }
    if (*out_null)
        return KD_OK;
    return kd_table_index_key(ctx, storage, key->index_no, key->values, key->count, out_bytes);
}

static kd_status read_row(kd_ctx *ctx, kdi_short_read *it, kd_prepared *prepared, kd_txn *txn,
                          const kd_value *parameters, uint32_t parameter_count, bool *out_found)
{
    const kdi_short_key *wanted = &it->key;
    kd_table *storage =
        kd_table_find(prepared->session->database->storage, wanted->table->table_no);
    kd_buffer key = kd_buffer_in(it->arena);
    bool is_null;
    *out_found = false;
    kd_arena_reset(it->arena);
    KD_TRY(kdi_short_key_make(ctx, &it->key, it->arena, &it->run, parameters, parameter_count,
                              storage, &key, &is_null));
    if (is_null)
        return KD_OK;
    KD_TRY(kd_table_get_by_key(ctx, it->arena, storage, kd_txn_snapshot(txn), wanted->index_no,
                               kd_buffer_slice(&key), wanted->table->shape, it->positions,
                               it->column_count, it->row, NULL, out_found));
    for (uint32_t i = 0; *out_found && i < it->column_count; i++) {
        if (it->row[i].is_null)
            kd_vector_set_null(&it->columns[i], 0);
        else
            kd_vector_set(&it->columns[i], 0, &it->row[i]);
    }
    return KD_OK;
}

void kdi_short_run_init(kd_run *run, kd_prepared *prepared)
{
    *run = (kd_run){.prepared = prepared,
                    .session = prepared->session,
                    .is_short = true,
                    .column_count = prepared->column_count,
                    .columns = prepared->columns};
    run->facts.text = &run->text;
}

void kdi_short_run_open(kd_run *run)
{
    kd_session *session = run->session;
    assert(!run->is_open);
    run->is_open = true;
    run->is_done = false;
    run->affected = 0;
    run->next = session->runs;
    kdi_session_text(session, run->prepared->catalog, &run->text);
    session->runs = run;
}

void kdi_short_run_close(kd_run *run)
{
    kd_session *session = run->session;
    kd_run **link = &session->runs;
    assert(run->is_open);
    while (*link != run)
        link = &(*link)->next;
    *link = run->next;
    run->is_open = false;
    kdi_statement_end(session);
}

kd_status kdi_short_enter(kd_ctx *ctx, kd_prepared *prepared, bool *out_owns, bool *out_entered)
{
    kd_session *session = prepared->session;
    *out_entered = false;
    KD_TRY(kdi_transaction_ensure(ctx, session, out_owns));
    kd_txn *txn = session->txn;
    kdi_statement_begin(session, session->runs != NULL);
    *out_entered = kd_catalog_is_current(prepared->catalog, kd_txn_snapshot(txn)) &&
                   kd_txn_isolation(txn) != KD_SERIALIZABLE;
    if (!*out_entered && *out_owns)
        kdi_transaction_discard(session);
    return KD_OK;
}

kd_status kdi_short_read_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                               uint32_t parameter_count, kd_run **out_run)
{
    kdi_short_read *it = prepared->short_read;
    kd_session *session = prepared->session;
    *out_run = NULL;
    if (it->run.is_open || session->state == KD_SESSION_FAILED)
        return KD_OK;
    bool owns, entered, found = false;
    KD_TRY(kdi_short_enter(ctx, prepared, &owns, &entered));
    if (!entered)
        return KD_OK;
    kd_txn *txn = session->txn;
    kdi_short_run_open(&it->run);
    kd_status status = read_row(ctx, it, prepared, txn, parameters, parameter_count, &found);
    if (status == KD_OK && owns)
        status = kdi_transaction_commit(ctx, session);
    else if (owns)
        kdi_transaction_rollback(session);
    else if (status == KD_OK)
        status = kd_txn_wait_visible_durable(ctx, txn);
    if (status != KD_OK) {
        if (session->is_explicit)
            session->state = KD_SESSION_FAILED;
        kdi_short_run_close(&it->run);
        return status;
    }
    it->run.is_done = !found;
    *out_run = &it->run;
    return KD_OK;
}

void kdi_short_read_next(kd_run *run, kd_batch *out_batch)
{
    kdi_short_read *it = run->prepared->short_read;
    *out_batch = (kd_batch){.row_count = 1,
                            .selected_count = 1,
                            .column_count = it->column_count,
                            .columns = it->columns};
    run->affected = 1;
    run->is_done = true;
}
