/*
 * Operators that look at a batch and let it go: filter, project, limit, row locks.
 */
#include "exec/pipeline_internal.h"

#include <assert.h>

/* ---- Filter ---- */

typedef struct filter_local {
    kd_compiled_expr *condition;
    kd_arena *batch_arena;
    uint16_t *rows;
} filter_local;

static kd_status filter_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    filter_local *local = KD_NEW(ctx, arena, filter_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->rows = kd_alloc_raw(ctx, arena, sizeof(uint16_t) * KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "filter batch", KD_ARENA_UNLIMITED);
    if (local->rows == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    return kdi_compile(ctx, op, arena, op->plan->as.filter.condition, op->plan->inputs[0],
                       &local->condition);
}

static kd_status filter_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                             kd_batch *out, kdi_flow *out_flow)
{
    (void)op;
    filter_local *local = object;
    kd_arena_reset(local->batch_arena);
    uint32_t count;
    KD_TRY(kd_expr_select(ctx, local->condition, local->batch_arena, in, local->rows, &count));
    *out = *in;
    out->selected_count = count;
    if (count < in->row_count)
        out->selection = local->rows;
    *out_flow = KDI_NEED_INPUT;
    return KD_OK;
}

static const kdi_op_class filter_class = {
    .local_create = filter_local_create,
    .push = filter_push,
};

kd_status kdi_build_filter(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    kdi_op *op;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &filter_class, sizeof *op, &op));
    op->is_serial = kdi_expr_is_volatile(plan->as.filter.condition);
    return kdi_pipeline_add(ctx, pipeline, op);
}

/* ---- Project ---- */

typedef struct project_local {
    kd_compiled_expr **exprs;
    kd_vector *columns;
    kd_arena *batch_arena;
} project_local;

static kd_status project_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    project_local *local = KD_NEW(ctx, arena, project_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, op->plan->column_count);
    local->batch_arena = kd_arena_create(ctx, arena, "project batch", KD_ARENA_UNLIMITED);
    if (local->columns == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    return kdi_compile_all(ctx, op, arena, op->plan->as.project.exprs, op->plan->column_count,
                           op->plan->inputs[0], &local->exprs);
}

static kd_status project_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                              kd_batch *out, kdi_flow *out_flow)
{
    project_local *local = object;
    kd_arena_reset(local->batch_arena);
    for (uint32_t c = 0; c < op->plan->column_count; c++)
        KD_TRY(kd_expr_evaluate(ctx, local->exprs[c], local->batch_arena, in, &local->columns[c]));
    *out = *in;
    out->columns = local->columns;
    out->column_count = op->plan->column_count;
    *out_flow = KDI_NEED_INPUT;
    return KD_OK;
}

static const kdi_op_class project_class = {
    .local_create = project_local_create,
    .push = project_push,
};

kd_status kdi_build_project(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    kdi_op *op;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &project_class, sizeof *op, &op));
    for (uint32_t c = 0; c < plan->column_count; c++)
        op->is_serial |= kdi_expr_is_volatile(plan->as.project.exprs[c]);
    return kdi_pipeline_add(ctx, pipeline, op);
}

/* ---- Limit ---- */

/* The rows are counted for all threads together: which rows pass is open, how many is not. */
typedef struct limit_op {
    kdi_op op;
    uint64_t offset, end; /* Rows offset .. end - 1 of all that arrive pass. */
    atomic_uint_least64_t seen;
} limit_op;

static kd_status bound_evaluate(kd_ctx *ctx, kdi_op *op, const kd_expr *expr, const char *what,
                                const char *sqlstate, uint64_t none, uint64_t *out)
{
    *out = none;
    if (expr == NULL)
        return KD_OK;
    kd_value value;
    KD_TRY(kdi_evaluate_now(ctx, op, op->arena, expr, &value));
    if (value.is_null)
        return KD_OK;
    int64_t number = kd_type_physical(value.type) == KD_PHYS_I32   ? value.as.i32
                     : kd_type_physical(value.type) == KD_PHYS_I16 ? value.as.i16
                                                                   : value.as.i64;
    if (number < 0)
        return KD_FAIL(ctx, KD_INVALID, sqlstate, "%s must not be negative", what);
    *out = (uint64_t)number;
    return KD_OK;
}

kd_status kdi_limit_evaluate(kd_ctx *ctx, kdi_op *op, const kd_expr *count, const kd_expr *offset,
                             uint64_t *out_offset, uint64_t *out_end)
{
    uint64_t most;
    *out_end = 0;
    KD_TRY(bound_evaluate(ctx, op, offset, "OFFSET", "2201X", 0, out_offset));
    KD_TRY(bound_evaluate(ctx, op, count, "LIMIT", "2201W", UINT64_MAX, &most));
    *out_end = most > UINT64_MAX - *out_offset ? UINT64_MAX : *out_offset + most;
    return KD_OK;
}

static kd_status limit_open(kd_ctx *ctx, kdi_op *op)
{
    limit_op *self = (limit_op *)op;
    return kdi_limit_evaluate(ctx, op, op->plan->as.limit.count, op->plan->as.limit.offset,
                              &self->offset, &self->end);
}

static kd_status limit_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    (void)op;
    *out_local = kd_alloc_raw(ctx, arena, sizeof(uint16_t) * KD_BATCH_ROWS);
    return *out_local == NULL ? KD_NOMEM : KD_OK;
}

static kd_status limit_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                            kd_batch *out, kdi_flow *out_flow)
{
    (void)ctx;
    limit_op *self = (limit_op *)op;
    uint16_t *rows = object;
    uint64_t before = atomic_fetch_add(&self->seen, in->selected_count);
    uint64_t after = before + in->selected_count;
    *out_flow = after >= self->end ? KDI_DONE : KDI_NEED_INPUT;
    uint64_t first = before < self->offset ? self->offset - before : 0;
    uint64_t last =
        after > self->end ? (self->end > before ? self->end - before : 0) : in->selected_count;
    if (first >= last)
        return KD_OK;
    *out = *in;
    if (first == 0 && last == in->selected_count)
        return KD_OK;
    uint32_t count = (uint32_t)(last - first);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (uint16_t)kd_batch_row(in, (uint32_t)first + i);
    out->selection = rows;
    out->selected_count = count;
    return KD_OK;
}

static const kdi_op_class limit_class = {
    .open = limit_open,
    .local_create = limit_local_create,
    .push = limit_push,
};

kd_status kdi_build_limit(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    limit_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &limit_class, sizeof *self, &self));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
