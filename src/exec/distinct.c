/*
 * DISTINCT, DISTINCT ON, INTERSECT and EXCEPT: tables of rows seen.
 *
 * DISTINCT lets a row pass when its key is new. The set operations count the right side's rows per
 * key first; a left row then passes or not by what is left of the count.
 */
#include "exec/group_table_internal.h"
#include "exec/pipeline_internal.h"

#include <assert.h>

typedef struct seen_op {
    kdi_op op;
    kdi_row_layout layout; /* The keys; extra bytes: the count of right rows. */
    kdi_group_table table;
    uint32_t key_count;
} seen_op;

typedef struct seen_local {
    kd_compiled_expr **keys; /* DISTINCT ON; NULL: the columns themselves. */
    kd_vector *vectors;
    kdi_view *views;
    kd_arena *arena;
    kd_arena *batch_arena;
    char **groups;
    uint64_t *hashes;
    uint16_t *fresh;
    uint16_t *rows;
} seen_local;

static kd_status seen_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = KD_NEW(ctx, arena, seen_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, self->key_count);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, self->key_count);
    local->groups = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    local->fresh = KD_NEW_ARRAY(ctx, arena, uint16_t, 2 * KD_BATCH_ROWS);
    local->batch_arena = kd_arena_create(ctx, arena, "distinct batch", KD_ARENA_UNLIMITED);
    if (local->vectors == NULL || local->views == NULL || local->groups == NULL ||
        local->hashes == NULL || local->fresh == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    local->rows = local->fresh + KD_BATCH_ROWS;
    if (op->plan->kind == KD_PLAN_DISTINCT && op->plan->as.distinct.on_count > 0)
        return kdi_compile_all(ctx, op, arena, op->plan->as.distinct.on,
                               op->plan->as.distinct.on_count, op->plan->inputs[0], &local->keys);
    return KD_OK;
}

static kd_status seen_find(kd_ctx *ctx, seen_op *self, seen_local *local, const kd_batch *in,
                           uint32_t *out_fresh_count)
{
    uint32_t count = in->selected_count;
    const kd_vector *columns = in->columns;
    if (local->keys != NULL) {
        kd_arena_reset(local->batch_arena);
        for (uint32_t k = 0; k < self->key_count; k++)
            KD_TRY(
                kd_expr_evaluate(ctx, local->keys[k], local->batch_arena, in, &local->vectors[k]));
        columns = local->vectors;
    }
    KD_TRY(kdi_views_open(ctx, local->arena, local->views, self->key_count, columns, in->selection,
                          count));
    memset(local->hashes, 0, count * sizeof *local->hashes);
    for (uint32_t k = 0; k < self->key_count; k++)
        kdi_view_hash(&local->views[k], count, k > 0, local->hashes);
    return kdi_group_table_find(ctx, &self->table, local->views, local->hashes, count,
                                local->groups, local->fresh, out_fresh_count);
}

static void rows_pass(const kd_batch *in, uint16_t *rows, uint32_t count, kd_batch *out)
{
    *out = *in;
    out->selection = rows;
    out->selected_count = count;
}

static kd_status distinct_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                               kd_batch *out, kdi_flow *out_flow)
{
    seen_local *local = object;
    uint32_t count;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(seen_find(ctx, (seen_op *)op, local, in, &count));
    for (uint32_t i = 0; i < count; i++)
        local->rows[i] = (uint16_t)kd_batch_row(in, local->fresh[i]);
    rows_pass(in, local->rows, count, out);
    return KD_OK;
}

static void seen_close(kdi_op *op)
{
    kdi_group_table_clear(&((seen_op *)op)->table);
}

static const kdi_op_class distinct_class = {
    .local_create = seen_local_create,
    .push = distinct_push,
    .close = seen_close,
};

static kd_status seen_prepare(kd_ctx *ctx, seen_op *self, const kd_type *types, uint32_t count,
                              uint32_t extra_bytes)
{
    self->key_count = count;
    KD_TRY(
        kdi_row_layout_init(ctx, self->op.arena, types, count, true, extra_bytes, &self->layout));
    return kdi_group_table_init(ctx, self->op.arena, &self->table, &self->op.exec->shared->budget,
                                &self->layout, count);
}

/* DISTINCT over all columns is grouping by them: in parallel, by codes, and with spilling. */
static kd_status distinct_as_groups(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    kd_arena *arena = pipeline->exec->arena;
    const kd_plan *input = plan->inputs[0];
    uint32_t count = plan->column_count;
    kd_plan *groups = KD_NEW(ctx, arena, kd_plan);
    kd_expr *columns = KD_NEW_ARRAY(ctx, arena, kd_expr, count);
    kd_expr **keys = KD_NEW_ARRAY(ctx, arena, kd_expr *, count);
    if (groups == NULL || columns == NULL || keys == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < count; c++) {
        columns[c] = (kd_expr){.kind = KD_EXPR_COLUMN,
                               .type = plan->columns[c].type,
                               .position = -1,
                               .column = input->columns[c].id};
        keys[c] = &columns[c];
    }
    *groups = *plan;
    groups->kind = KD_PLAN_AGGREGATE;
    memset(&groups->as, 0, sizeof groups->as);
    groups->as.aggregate.key_count = count;
    groups->as.aggregate.keys = keys;
    return kdi_build_aggregate(ctx, pipeline, groups);
}

kd_status kdi_build_distinct(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    if (plan->as.distinct.on_count == 0 && plan->column_count > 0)
        return distinct_as_groups(ctx, pipeline, plan);
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    seen_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &distinct_class, sizeof *self, &self));
    self->op.is_serial = true;
    uint32_t count = plan->as.distinct.on_count;
    kd_type *types;
    if (count == 0) {
        count = plan->column_count;
        KD_TRY(kdi_plan_types(ctx, pipeline->exec->arena, plan, &types));
    } else {
        types = KD_NEW_ARRAY(ctx, pipeline->exec->arena, kd_type, count);
        if (types == NULL)
            return KD_NOMEM;
        for (uint32_t k = 0; k < count; k++)
            types[k] = plan->as.distinct.on[k]->type;
    }
    KD_TRY(seen_prepare(ctx, self, types, count, 0));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- Set operations ---- */

static int64_t *group_count(const seen_op *self, char *group)
{
    return (int64_t *)(void *)(group + self->layout.extra_offset);
}

static kd_status set_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                          kdi_flow *out_flow)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = object;
    uint32_t fresh_count;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(seen_find(ctx, self, local, in, &fresh_count));
    for (uint32_t i = 0; i < in->selected_count; i++)
        (*group_count(self, local->groups[i]))++;
    return KD_OK;
}

static bool set_passes(kd_set_kind kind, bool all, int64_t *count, bool is_fresh)
{
    bool is_there = *count > 0;
    if (kind == KD_SET_INTERSECT) {
        *count = all && is_there ? *count - 1 : 0;
        return is_there;
    }
    if (all) {
        *count -= is_there;
        return !is_there;
    }
    return is_fresh; /* Neither on the right nor given before. */
}

static kd_status set_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in, kd_batch *out,
                          kdi_flow *out_flow)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = object;
    uint32_t fresh_count, kept = 0, next = 0;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(seen_find(ctx, self, local, in, &fresh_count));
    for (uint32_t i = 0; i < in->selected_count; i++) {
        bool is_fresh = next < fresh_count && local->fresh[next] == i;
        next += is_fresh;
        local->rows[kept] = (uint16_t)kd_batch_row(in, i);
        kept += set_passes(op->plan->as.set.kind, op->plan->as.set.all,
                           group_count(self, local->groups[i]), is_fresh);
    }
    rows_pass(in, local->rows, kept, out);
    return KD_OK;
}

static const kdi_op_class set_class = {
    .local_create = seen_local_create,
    .push = set_push,
    .sink_create = seen_local_create,
    .sink = set_sink,
    .close = seen_close,
};

kd_status kdi_build_set_op(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    seen_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &set_class, sizeof *self, &self));
    self->op.is_serial = true;
    self->op.sink_is_serial = true;
    kd_type *types;
    KD_TRY(kdi_plan_types(ctx, pipeline->exec->arena, plan, &types));
    KD_TRY(seen_prepare(ctx, self, types, plan->column_count, sizeof(int64_t)));
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[1], &self->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
