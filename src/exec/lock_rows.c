/*
 * FOR UPDATE and its kin: locks rows on their way.
 *
 * READ COMMITTED goes on with the newest version of a row that changed while its lock was
 * waited for, if that is still a row of the query (kd_recheck). Where more than the row decides,
 * the statement fails with 40001 and is run again, since rows are given only when all are
 * locked.
 */
#include "exec/pipeline_internal.h"

typedef struct lock_local {
    kd_arena *arena; /* Reset per row that changed. */
    uint16_t *rows;
    uint32_t at; /* In the input batch that is being worked on. */
    kd_row_recheck *recheck;
    kd_value *values; /* Of the table's shape. */
    uint32_t *positions;
    kd_vector *changed; /* The row that comes next, as it is now. */
    bool has_changed;
} lock_local;

static kd_status lock_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    lock_local *local = KD_NEW(ctx, arena, lock_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = kd_arena_create(ctx, arena, "changed row", KD_ARENA_UNLIMITED);
    local->rows = kd_alloc_raw(ctx, arena, sizeof(uint16_t) * KD_BATCH_ROWS);
    local->changed = KD_NEW_ARRAY(ctx, arena, kd_vector, op->plan->column_count);
    return local->arena == NULL || local->rows == NULL || local->changed == NULL ? KD_NOMEM : KD_OK;
}

static kd_status recheck_prepare(kd_ctx *ctx, kdi_op *op, lock_local *local)
{
    const kd_execute_options *options = op->exec->options;
    const kd_recheck *recheck = op->plan->as.lock.recheck;
    uint32_t count = recheck->table->column_count;
    if (local->recheck != NULL)
        return KD_OK;
    local->values = KD_NEW_ARRAY(ctx, op->arena, kd_value, count);
    local->positions = KD_NEW_ARRAY(ctx, op->arena, uint32_t, count);
    if (local->values == NULL || local->positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        local->positions[i] = i;
    return kd_row_recheck_create(ctx, op->arena, recheck, options->facts, options->parameters,
                                 options->parameter_count, &local->recheck);
}

/* The row's newest version is locked: what of it goes on, if anything. */
static kd_status changed_take(kd_ctx *ctx, kdi_op *op, lock_local *local, kd_table *table,
                              kd_rowref ref, bool *out_is_there)
{
    const kd_plan *plan = op->plan;
    const kd_table_entry *entry = plan->as.lock.table;
    kd_arena_reset(local->arena);
    KD_TRY(recheck_prepare(ctx, op, local));
    KD_TRY(kd_table_get(ctx, local->arena, table, kd_table_latest(op->exec->options->txn), ref,
                        entry->shape, local->positions, entry->column_count, local->values,
                        out_is_there));
    if (!*out_is_there)
        return KD_OK;
    KD_TRY(kd_row_recheck_run(ctx, local->recheck, local->arena, local->values, ref,
                              &local->has_changed));
    for (uint32_t i = 0; local->has_changed && i < plan->column_count; i++) {
        const kd_value *value = kd_row_recheck_value(local->recheck, plan->columns[i].id);
        if (value == NULL)
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a locked row lacks a column");
        KD_TRY(kd_vector_init_constant(ctx, local->arena, value, &local->changed[i]));
    }
    return KD_OK;
}

/* Locks one row. `*out_kept`: it goes on as it is; local->has_changed: as it is now. */
static kd_status row_lock(kd_ctx *ctx, kdi_op *op, lock_local *local, kd_table *table,
                          kd_rowref ref, bool *out_kept)
{
    const kd_plan *plan = op->plan;
    bool changed = false;
    for (;;) {
        kd_write_outcome outcome;
        *out_kept = false;
        KD_TRY(kd_table_lock_row(ctx, op->exec->options->txn, table, ref, plan->as.lock.mode,
                                 plan->as.lock.wait, &outcome));
        *out_kept = outcome.result == KD_WRITE_DONE && !changed;
        if (outcome.result == KD_WRITE_DONE && changed) {
            /* A key-share lock lets updates pass: the row may have changed again. */
            bool is_there;
            KD_TRY(changed_take(ctx, op, local, table, outcome.newest, &is_there));
            if (is_there)
                return KD_OK;
            ref = outcome.newest;
            continue;
        }
        if (outcome.result != KD_WRITE_CHANGED)
            return KD_OK;
        if (plan->as.lock.recheck == NULL)
            return KD_FAIL(ctx, KD_CONFLICT, "40001",
                           "could not serialize access due to concurrent update");
        changed = true;
        ref = outcome.newest;
    }
}

static void changed_give(const kdi_op *op, lock_local *local, kd_batch *out)
{
    *out = (kd_batch){.row_count = 1,
                      .selected_count = 1,
                      .column_count = op->plan->column_count,
                      .columns = local->changed};
    local->has_changed = false;
}

static kd_status lock_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in, kd_batch *out,
                           kdi_flow *out_flow)
{
    lock_local *local = object;
    const kd_plan *plan = op->plan;
    kd_table *table = kd_table_find(op->exec->options->storage, plan->as.lock.table->table_no);
    uint32_t column = kdi_column_find(plan->inputs[0], plan->as.lock.ref_column);
    if (table == NULL || column == UINT32_MAX)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "rows to lock have no reference");
    KD_TRY(kd_txn_lock_table(ctx, op->exec->options->txn, plan->as.lock.table->table_no,
                             KD_TABLE_LOCK_ROWS, false));
    uint32_t kept = 0;
    bool is_enough = local->has_changed;
    while (local->at < in->selected_count && !is_enough) {
        uint16_t row = (uint16_t)kd_batch_row(in, local->at++);
        kd_value ref = kd_vector_get(&in->columns[column], row);
        bool is_kept = ref.is_null; /* The empty side of an outer join. */
        if (!ref.is_null)
            KD_TRY(row_lock(ctx, op, local, table, (kd_rowref)ref.as.i64, &is_kept));
        local->rows[kept] = row;
        kept += is_kept;
        is_enough = local->has_changed || (is_kept && plan->as.lock.one_by_one);
    }
    *out = *in;
    out->selection = local->rows;
    out->selected_count = kept;
    if (kept == 0 && local->has_changed)
        changed_give(op, local, out);
    bool is_done = local->at == in->selected_count && !local->has_changed;
    if (is_done)
        local->at = 0;
    *out_flow = is_done ? KDI_NEED_INPUT : KDI_HAVE_MORE;
    return KD_OK;
}

static const kdi_op_class lock_class = {
    .local_create = lock_local_create,
    .push = lock_push,
};

kd_status kdi_build_lock_rows(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    kdi_op *op;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &lock_class, sizeof *op, &op));
    op->is_serial = true; /* Waiting for locks is for the session's thread. */
    return kdi_pipeline_add(ctx, pipeline, op);
}
