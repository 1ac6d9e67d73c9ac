/*
 * DISTINCT, DISTINCT ON, INTERSECT and EXCEPT: tables of rows seen.
 *
 * DISTINCT lets a row pass when its key is new; over rows sorted by the key, the row before is all
 * there is to look at. The set operations count the right side's rows per key first; a left row
 * then passes or not by what is left of the count. When memory runs short, the table and all rows
 * from then on are sorted instead (distinct_spill.c).
 */
#include "exec/distinct_spill_internal.h"
#include "exec/pipeline_internal.h"

#include <assert.h>

enum { TIGHT_ROWS_MIN = 1 << 12 };

typedef struct seen_op {
    kdi_op op;
    kdi_row_layout layout; /* The keys; extra bytes: the count of right rows. */
    kdi_group_table table;
    uint32_t key_count;
    kdi_distinct_spill *spill; /* NULL: the table has everything. */
    bool is_sorted;            /* DISTINCT ON: equal keys are neighbours. */
    kdi_row_store last;        /* Sorted: the key of the last batch's last row. */
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
    /* DISTINCT ON: the keys, then the columns. */
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, self->key_count + op->plan->column_count);
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

/* The keys of the batch's selected rows, in the local's views, and their hashes. */
static kd_status keys_open(kd_ctx *ctx, seen_op *self, seen_local *local, const kd_batch *in)
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
    if (self->is_sorted)
        return KD_OK;
    memset(local->hashes, 0, count * sizeof *local->hashes);
    for (uint32_t k = 0; k < self->key_count; k++)
        kdi_view_hash(&local->views[k], count, k > 0, local->hashes);
    return KD_OK;
}

static kd_status seen_find(kd_ctx *ctx, seen_op *self, seen_local *local, const kd_batch *in,
                           uint32_t *out_fresh_count)
{
    return kdi_group_table_find(ctx, &self->table, local->views, local->hashes, in->selected_count,
                                local->groups, local->fresh, out_fresh_count);
}

/* Before a batch: whether the rows are sorted from now on. */
static kd_status spill_begin(kd_ctx *ctx, seen_op *self, kdi_distinct_rule rule)
{
    const kd_plan *plan = self->op.plan;
    if (self->spill != NULL || self->table.store.row_count < TIGHT_ROWS_MIN ||
        !kdi_budget_is_tight(self->table.store.budget, 0))
        return KD_OK;
    bool is_on = plan->kind == KD_PLAN_DISTINCT;
    uint32_t column_count = is_on ? plan->column_count : 0;
    kd_type *types = KD_NEW_ARRAY(ctx, self->op.arena, kd_type, self->key_count + column_count);
    if (types == NULL)
        return KD_NOMEM;
    memcpy(types, self->layout.types, self->key_count * sizeof *types);
    for (uint32_t c = 0; c < column_count; c++)
        types[self->key_count + c] = plan->columns[c].type;
    kdi_distinct_shape shape = {.types = types,
                                .key_count = self->key_count,
                                .column_count = column_count,
                                .keeps_order = is_on};
    KD_TRY(kdi_distinct_spill_create(ctx, &self->op, self->op.arena, shape, rule, &self->spill));
    return kdi_distinct_spill_take(ctx, self->spill, &self->table, false);
}

static kd_status spill_flush(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out,
                             kdi_flow *out_flow)
{
    (void)object;
    seen_op *self = (seen_op *)op;
    *out_flow = KDI_NEED_INPUT;
    if (self->spill == NULL)
        return KD_OK;
    KD_TRY(kdi_distinct_spill_next(ctx, self->spill, out));
    *out_flow = out->selected_count > 0 ? KDI_HAVE_MORE : KDI_NEED_INPUT;
    return KD_OK;
}

static void rows_pass(const kd_batch *in, uint16_t *rows, uint32_t count, kd_batch *out)
{
    *out = *in;
    out->selection = rows;
    out->selected_count = count;
}

static bool views_agree(const kdi_view *view, uint32_t a, uint32_t b)
{
    bool a_is_null = kdi_view_is_null(view, a), b_is_null = kdi_view_is_null(view, b);
    if (a_is_null || b_is_null)
        return a_is_null == b_is_null;
    return kdi_payload_equal(view->type, kdi_view_at(view, a), kdi_view_at(view, b));
}

static bool last_agrees(const seen_op *self, const kdi_view *views)
{
    if (self->last.row_count == 0)
        return false;
    char *row = kdi_page_row(&self->last, &self->last.pages[0], 0);
    uint16_t position = 0;
    uint32_t equal = 1;
    for (uint32_t k = 0; k < self->key_count && equal > 0; k++)
        equal = kdi_rows_match(&self->layout, k, &views[k], &position, &row, 1);
    return equal > 0;
}

/* Rows whose key is not that of the row before. */
static kd_status sorted_push(kd_ctx *ctx, seen_op *self, seen_local *local, const kd_batch *in,
                             uint32_t *out_kept)
{
    uint32_t count = in->selected_count, kept = 0, appended;
    for (uint32_t i = 0; i < count; i++) {
        bool same = i > 0 || last_agrees(self, local->views);
        for (uint32_t k = 0; k < self->key_count && i > 0 && same; k++)
            same = views_agree(&local->views[k], i - 1, i);
        local->rows[kept] = (uint16_t)kd_batch_row(in, i);
        kept += !same;
    }
    *out_kept = kept;
    uint16_t last = (uint16_t)(count - 1);
    kdi_row_store_rewind(ctx->world, &self->last);
    return kdi_row_store_append(ctx, &self->last, local->views, &last, 1, true, local->groups,
                                &appended);
}

static kd_status distinct_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                               kd_batch *out, kdi_flow *out_flow)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = object;
    uint32_t count;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(keys_open(ctx, self, local, in));
    if (self->is_sorted) {
        KD_TRY(sorted_push(ctx, self, local, in, &count));
        rows_pass(in, local->rows, count, out);
        return KD_OK;
    }
    KD_TRY(spill_begin(ctx, self, NULL));
    if (self->spill != NULL) {
        KD_TRY(kdi_views_open(ctx, local->arena, local->views + self->key_count,
                              op->plan->column_count, in->columns, in->selection,
                              in->selected_count));
        return kdi_distinct_spill_add(ctx, self->spill, local->views, local->hashes,
                                      in->selected_count, 0);
    }
    KD_TRY(seen_find(ctx, self, local, in, &count));
    for (uint32_t i = 0; i < count; i++)
        local->rows[i] = (uint16_t)kd_batch_row(in, local->fresh[i]);
    rows_pass(in, local->rows, count, out);
    return KD_OK;
}

static void seen_close(kdi_op *op)
{
    seen_op *self = (seen_op *)op;
    kdi_group_table_clear(&self->table);
    kdi_distinct_spill_destroy(self->spill);
    kdi_row_store_clear(op->exec->world, &self->last);
}

static const kdi_op_class distinct_class = {
    .local_create = seen_local_create,
    .push = distinct_push,
    .flush = spill_flush,
    .close = seen_close,
};

static kd_status seen_prepare(kd_ctx *ctx, seen_op *self, const kd_type *types, uint32_t count,
                              uint32_t extra_bytes)
{
    kdi_budget *budget = self->op.budget;
    self->key_count = count;
    KD_TRY(
        kdi_row_layout_init(ctx, self->op.arena, types, count, true, extra_bytes, &self->layout));
    kdi_row_store_init(&self->last, budget, &self->layout);
    return kdi_group_table_init(ctx, self->op.arena, &self->table, budget, &self->layout, count);
}

/* Whether the input is sorted by the keys first, in whatever order of them. */
static bool input_is_sorted(const kd_plan *plan)
{
    const kd_plan *input = plan->inputs[0];
    uint32_t count = plan->as.distinct.on_count;
    while (input->kind == KD_PLAN_FILTER)
        input = input->inputs[0];
    if ((input->kind != KD_PLAN_SORT && input->kind != KD_PLAN_TOP_N) ||
        input->as.sort.key_count < count)
        return false;
    for (uint32_t k = 0; k < count; k++) {
        const kd_expr *key = input->as.sort.keys[k].expr;
        bool found = false;
        for (uint32_t i = 0; i < count && key->kind == KD_EXPR_COLUMN; i++)
            found |= plan->as.distinct.on[i]->kind == KD_EXPR_COLUMN &&
                     plan->as.distinct.on[i]->column == key->column;
        if (!found)
            return false;
    }
    return true;
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
    self->is_sorted = plan->as.distinct.on_count > 0 && input_is_sorted(plan);
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- Set operations ---- */

static int64_t *group_count(const seen_op *self, char *group)
{
    return (int64_t *)(void *)(group + self->layout.extra_offset);
}

static bool set_rule(const kd_plan *plan, int64_t *count, bool is_fresh)
{
    bool is_there = *count > 0;
    if (plan->as.set.kind == KD_SET_INTERSECT) {
        *count = plan->as.set.all && is_there ? *count - 1 : 0;
        return is_there;
    }
    if (plan->as.set.all) {
        *count -= is_there;
        return !is_there;
    }
    return is_fresh; /* Neither on the right nor given before. */
}

static kd_status set_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                          kdi_flow *out_flow)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = object;
    uint32_t fresh_count;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(keys_open(ctx, self, local, in));
    KD_TRY(spill_begin(ctx, self, set_rule));
    if (self->spill != NULL)
        return kdi_distinct_spill_add(ctx, self->spill, local->views, local->hashes,
                                      in->selected_count, 1);
    KD_TRY(seen_find(ctx, self, local, in, &fresh_count));
    for (uint32_t i = 0; i < in->selected_count; i++)
        (*group_count(self, local->groups[i]))++;
    return KD_OK;
}

static kd_status set_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in, kd_batch *out,
                          kdi_flow *out_flow)
{
    seen_op *self = (seen_op *)op;
    seen_local *local = object;
    const kd_plan *plan = op->plan;
    uint32_t fresh_count = 0, kept = 0, next = 0;
    bool adds = plan->as.set.kind != KD_SET_INTERSECT && !plan->as.set.all;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(keys_open(ctx, self, local, in));
    if (adds)
        KD_TRY(spill_begin(ctx, self, set_rule));
    if (self->spill != NULL)
        return kdi_distinct_spill_add(ctx, self->spill, local->views, local->hashes,
                                      in->selected_count, 0);
    if (adds)
        KD_TRY(seen_find(ctx, self, local, in, &fresh_count));
    else
        kdi_group_table_lookup(&self->table, local->views, local->hashes, in->selected_count,
                               local->groups);
    for (uint32_t i = 0; i < in->selected_count; i++) {
        bool is_fresh = next < fresh_count && local->fresh[next] == i;
        int64_t none = 0;
        int64_t *count = local->groups[i] == NULL ? &none : group_count(self, local->groups[i]);
        next += is_fresh;
        local->rows[kept] = (uint16_t)kd_batch_row(in, i);
        kept += set_rule(plan, count, is_fresh);
    }
    rows_pass(in, local->rows, kept, out);
    return KD_OK;
}

static const kdi_op_class set_class = {
    .local_create = seen_local_create,
    .push = set_push,
    .flush = spill_flush,
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
