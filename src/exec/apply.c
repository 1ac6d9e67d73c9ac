/*
 * APPLY: the right side is run again for each left row, with that row's columns as constants.
 *
 * The right side's rows are remembered under the outer values they were made for, so that left rows
 * with the same values (correlated sub-queries over few distinct keys) run it once. They are given
 * as they come, so memory is needed for remembering only: when it is short, everything remembered
 * is forgotten.
 */
#include "exec/group_table_internal.h"
#include "exec/join_wide_internal.h"
#include "exec/keep_internal.h"

#include <assert.h>

enum { CACHED_ROWS_MAX = 1 << 20 };

typedef struct apply_op {
    kdi_op op;
    kd_join_kind kind;
    uint32_t outer_count;
    uint32_t *outer_columns; /* Positions in the left input; UINT32_MAX: an outer query's column. */
    kdi_row_layout key_layout; /* Outer values; the extra bytes hold the cached rows' bounds. */
    kdi_row_layout layout;
    bool can_cache;
} apply_op;

/* Where a cached result stands in the list of rows. */
typedef struct cached {
    uint64_t first, count; /* COUNT_UNKNOWN: it was not run to its end. */
} cached;

#define COUNT_UNKNOWN UINT64_MAX

typedef struct apply_local {
    kdi_join_wide *wide;
    kd_arena *arena;
    kd_arena *batch_arena;
    kd_column_id *ids; /* The parent's outer columns, then ours. */
    kd_value *values;
    uint32_t inherited;
    kdi_group_table keys;
    kdi_view *views;
    kd_vector *vectors;
    kdi_row_store store; /* Right rows. */
    char **rows;         /* All of them, by number; on the heap. */
    uint64_t row_count, row_capacity;
    kdi_appender appender;
    uint64_t next, end; /* Remembered right rows of the current left row still to give. */
    kd_execution *sub;  /* Or the right side being run; NULL: it is not. */
    kd_arena *sub_arena;
    cached *entry; /* What remembers the run; NULL: nothing does. */
    uint32_t left_next;
    bool has_left, matched, open, right_ended;
    uint16_t *selection;
    uint16_t *rest;
    uint32_t rest_count;
} apply_local;

static kd_account *account_of(const apply_op *self)
{
    return &self->op.budget->account;
}

static kd_status scope_create(kd_ctx *ctx, apply_op *self, apply_local *local)
{
    const kdi_scope *scope = &self->op.exec->scope;
    uint32_t total = scope->outer_count + self->outer_count;
    local->inherited = scope->outer_count;
    local->ids = KD_NEW_ARRAY(ctx, local->arena, kd_column_id, total);
    local->values = KD_NEW_ARRAY(ctx, local->arena, kd_value, total);
    if (local->ids == NULL || local->values == NULL)
        return KD_NOMEM;
    /* Ours come first: an inner column hides an outer one of the same number. */
    for (uint32_t i = 0; i < self->outer_count; i++)
        local->ids[i] = self->op.plan->as.apply.outer_ids[i];
    for (uint32_t i = 0; i < scope->outer_count; i++) {
        local->ids[self->outer_count + i] = scope->outer_ids[i];
        local->values[self->outer_count + i] = scope->outer_values[i];
        for (uint32_t k = 0; k < self->outer_count; k++)
            if (self->outer_columns[k] == UINT32_MAX && local->ids[k] == scope->outer_ids[i])
                local->values[k] = scope->outer_values[i];
    }
    return KD_OK;
}

static kd_status local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    apply_op *self = (apply_op *)op;
    apply_local *local = KD_NEW(ctx, arena, apply_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    kdi_row_store_init(&local->store, op->budget, &self->layout);
    local->batch_arena = kd_arena_create(ctx, arena, "apply batch", KD_ARENA_UNLIMITED);
    local->views = KD_NEW_ARRAY(ctx, arena, kdi_view, self->outer_count);
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, self->outer_count);
    local->selection = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    local->rest = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    if (local->batch_arena == NULL || local->views == NULL || local->vectors == NULL ||
        local->selection == NULL || local->rest == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_group_table_init(ctx, arena, &local->keys, op->budget, &self->key_layout,
                                self->outer_count));
    KD_TRY(kdi_appender_init(ctx, arena, self->layout.column_count, &local->appender));
    KD_TRY(scope_create(ctx, self, local));
    return kdi_join_wide_create(ctx, op, arena, op->plan->as.apply.condition, &local->wide);
}

static void run_end(apply_local *local)
{
    kd_execution_destroy(local->sub);
    kd_arena_destroy(local->sub_arena);
    local->sub = NULL;
    local->sub_arena = NULL;
    local->entry = NULL;
}

static void local_destroy(kdi_op *op, void *object)
{
    apply_op *self = (apply_op *)op;
    apply_local *local = object;
    run_end(local);
    kdi_group_table_clear(&local->keys);
    kdi_row_store_clear(op->exec->world, &local->store);
    kd_heap_free(op->exec->world, account_of(self), local->rows);
    local->rows = NULL;
}

static kd_status rows_note(kd_ctx *ctx, apply_op *self, apply_local *local, uint32_t count)
{
    if (local->row_count + count > local->row_capacity) {
        uint64_t capacity = local->row_capacity * 2 + KD_BATCH_ROWS;
        char **rows = kd_heap_resize(ctx, account_of(self), local->rows, capacity * sizeof *rows);
        if (rows == NULL)
            return KD_NOMEM;
        local->rows = rows;
        local->row_capacity = capacity;
    }
    memcpy(local->rows + local->row_count, local->appender.rows, count * sizeof *local->rows);
    local->row_count += count;
    return KD_OK;
}

static kd_status run_begin(kd_ctx *ctx, apply_op *self, apply_local *local)
{
    kdi_scope scope = self->op.exec->scope;
    scope.outer_ids = local->ids;
    scope.outer_values = local->values;
    scope.outer_count = self->outer_count + local->inherited;
    local->sub_arena = kd_arena_create(ctx, local->arena, "apply run", KD_ARENA_UNLIMITED);
    if (local->sub_arena == NULL)
        return KD_NOMEM;
    return kdi_sub_execution_create(ctx, local->sub_arena, self->op.exec, self->op.plan->inputs[1],
                                    &scope, &local->sub);
}

static void cache_drop(kd_ctx *ctx, apply_local *local)
{
    kdi_row_store_clear(ctx->world, &local->store);
    kdi_row_store_clear(ctx->world, &local->keys.store);
    kdi_group_table_forget(&local->keys);
    local->row_count = 0;
    local->entry = NULL;
}

static bool cache_is_full(const apply_local *local)
{
    enum { PAGES_MIN = 2 };
    return local->row_count > CACHED_ROWS_MAX ||
           (local->store.page_count + local->keys.store.page_count > PAGES_MIN &&
            kdi_budget_is_tight(local->store.budget, 0));
}

/* The entry for the left row's values; a new one's count is not known. */
static kd_status entry_find(kd_ctx *ctx, apply_op *self, apply_local *local, cached **out_entry)
{
    uint64_t hash = 0;
    for (uint32_t k = 0; k < self->outer_count; k++)
        KD_TRY(kd_vector_init_constant(ctx, local->batch_arena, &local->values[k],
                                       &local->vectors[k]));
    KD_TRY(kdi_views_open(ctx, local->arena, local->views, self->outer_count, local->vectors, NULL,
                          1));
    for (uint32_t k = 0; k < self->outer_count; k++)
        kdi_view_hash(&local->views[k], 1, k > 0, &hash);
    char *row;
    uint16_t fresh;
    uint32_t fresh_count;
    KD_TRY(kdi_group_table_find(ctx, &local->keys, local->views, &hash, 1, &row, &fresh,
                                &fresh_count));
    *out_entry = (cached *)(void *)(row + self->key_layout.extra_offset);
    if (fresh_count > 0)
        (*out_entry)->count = COUNT_UNKNOWN;
    return KD_OK;
}

/* The right rows for the left row, from memory or by running. */
static kd_status right_open(kd_ctx *ctx, apply_op *self, apply_local *local, const kd_batch *in,
                            uint16_t left)
{
    for (uint32_t k = 0; k < self->outer_count; k++)
        if (self->outer_columns[k] != UINT32_MAX)
            local->values[k] = kd_vector_get(&in->columns[self->outer_columns[k]], left);
    local->right_ended = false;
    if (!self->can_cache)
        return run_begin(ctx, self, local);
    if (cache_is_full(local))
        cache_drop(ctx, local);
    KD_TRY(entry_find(ctx, self, local, &local->entry));
    if (local->entry->count == COUNT_UNKNOWN) {
        local->entry->first = local->row_count;
        return run_begin(ctx, self, local);
    }
    local->next = local->entry->first;
    local->end = local->entry->first + local->entry->count;
    return KD_OK;
}

static kd_status right_next(kd_ctx *ctx, apply_op *self, apply_local *local, kd_batch *out_batch)
{
    kdi_join_wide *wide = local->wide;
    *out_batch = (kd_batch){0};
    if (local->sub == NULL) {
        uint64_t left = local->end - local->next;
        uint32_t count = left < KD_BATCH_ROWS ? (uint32_t)left : KD_BATCH_ROWS;
        local->right_ended = count == 0;
        for (uint32_t c = 0; count > 0 && c < wide->right_count; c++)
            kdi_rows_gather(&self->layout, c, local->rows + local->next, NULL, count,
                            &wide->right_room[c]);
        local->next += count;
        *out_batch = (kd_batch){.row_count = count,
                                .selected_count = count,
                                .column_count = wide->right_count,
                                .columns = wide->right_room};
        return KD_OK;
    }
    KD_TRY(kd_execution_next(ctx, local->sub, out_batch, &local->right_ended));
    if (local->right_ended) {
        if (local->entry != NULL)
            local->entry->count = local->row_count - local->entry->first;
        run_end(local);
        return KD_OK;
    }
    if (local->entry != NULL && cache_is_full(local))
        cache_drop(ctx, local);
    if (local->entry == NULL)
        return KD_OK;
    KD_TRY(kdi_appender_add(ctx, &local->appender, &local->store, out_batch));
    return rows_note(ctx, self, local, out_batch->selected_count);
}

/* One right row was enough for the left row. With a condition the others are still wanted by left
 * rows of the same values. */
static kd_status right_enough(kd_ctx *ctx, apply_op *self, apply_local *local)
{
    if (local->sub != NULL && local->entry != NULL && local->wide->condition == NULL)
        local->entry->count = local->row_count - local->entry->first;
    else
        while (local->sub != NULL && local->entry != NULL) {
            kd_batch batch;
            KD_TRY(right_next(ctx, self, local, &batch));
        }
    run_end(local);
    local->right_ended = true;
    return KD_OK;
}

/* The pairs of a left row with a batch of right rows that pass the condition. */
static kd_status condition_apply(kd_ctx *ctx, apply_local *local, const kd_batch *pairs,
                                 uint32_t *out_passed)
{
    kd_vector truth;
    uint32_t passed = 0;
    KD_TRY(kd_expr_evaluate(ctx, local->wide->condition, local->batch_arena, pairs, &truth));
    for (uint32_t i = 0; i < pairs->selected_count; i++) {
        uint16_t row = (uint16_t)kd_batch_row(pairs, i);
        kd_value value = kd_vector_get(&truth, row);
        local->open |= value.is_null;
        local->selection[passed] = row;
        passed += !value.is_null && value.as.boolean;
    }
    *out_passed = passed;
    return KD_OK;
}

/* A batch of right rows beside the left row; what passes the condition. */
static kd_status pairs_give(kd_ctx *ctx, apply_op *self, apply_local *local, const kd_batch *in,
                            uint16_t left, kd_batch *out)
{
    kdi_join_wide *wide = local->wide;
    kd_batch right;
    KD_TRY(right_next(ctx, self, local, &right));
    if (local->right_ended)
        return KD_OK;
    for (uint32_t c = 0; c < wide->left_count; c++) {
        kd_value value = kd_vector_get(&in->columns[c], left);
        kd_vector_set(&wide->left_room[c], 0, &value);
        wide->columns[c] = wide->left_room[c];
        wide->columns[c].form = KD_VECTOR_CONSTANT;
    }
    memcpy(wide->columns + wide->left_count, right.columns,
           wide->right_count * sizeof *right.columns);
    kd_batch pairs = right;
    pairs.columns = wide->columns;
    pairs.column_count = wide->left_count + wide->right_count;
    const uint16_t *selection = right.selection;
    uint32_t passed = right.selected_count;
    if (wide->condition != NULL) {
        KD_TRY(condition_apply(ctx, local, &pairs, &passed));
        selection = local->selection;
    }
    if (passed == 0)
        return KD_OK;
    if (self->kind == KD_JOIN_SINGLE && (local->matched || passed > 1))
        return KD_FAIL(ctx, KD_INVALID, "21000",
                       "more than one row returned by a subquery used as an expression");
    local->matched = true;
    if (!kdi_join_gives_right(self->kind))
        return right_enough(ctx, self, local);
    kdi_join_wide_emit(wide, &self->op, right.row_count, selection, passed, out);
    return KD_OK;
}

/* What the left row becomes when its right rows are through: noted for the batch's last output. */
static void left_settle(apply_op *self, apply_local *local, uint16_t left)
{
    bool keeps = false;
    kdi_join_wide *wide = local->wide;
    switch (self->kind) {
    case KD_JOIN_LEFT:
    case KD_JOIN_SINGLE:
    case KD_JOIN_ANTI:
        keeps = !local->matched;
        break;
    case KD_JOIN_ANTI_NULL:
        keeps = !local->matched && !local->open;
        break;
    case KD_JOIN_SEMI:
        keeps = local->matched;
        break;
    case KD_JOIN_MARK:
        keeps = true;
        ((uint8_t *)wide->mark.values)[left] = local->matched;
        if (!local->matched && local->open)
            kd_bit_clear(wide->mark.validity, left);
        break;
    default:
        break;
    }
    if (keeps)
        local->rest[local->rest_count++] = left;
}

static kd_status apply_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                            kd_batch *out, kdi_flow *out_flow)
{
    apply_op *self = (apply_op *)op;
    apply_local *local = object;
    *out_flow = KDI_HAVE_MORE;
    if (local->left_next == 0 && !local->has_left) {
        local->rest_count = 0;
        kdi_bits_fill(local->wide->mark.validity, KD_BATCH_ROWS);
    }
    while (local->left_next < in->selected_count) {
        uint16_t left = (uint16_t)kd_batch_row(in, local->left_next);
        kd_arena_reset(local->batch_arena);
        if (!local->has_left) {
            KD_TRY(kd_check_cancelled(ctx));
            local->has_left = true;
            local->matched = local->open = false;
            KD_TRY(right_open(ctx, self, local, in, left));
        }
        while (!local->right_ended && out->selected_count == 0)
            KD_TRY(pairs_give(ctx, self, local, in, left, out));
        if (local->right_ended) {
            left_settle(self, local, left);
            local->has_left = false;
            local->left_next++;
        }
        if (out->selected_count > 0)
            return KD_OK;
    }
    if (local->rest_count > 0) {
        kdi_join_wide *wide = local->wide;
        memcpy(wide->columns, in->columns, in->column_count * sizeof *in->columns);
        kdi_join_wide_right_nulls(wide);
        kdi_join_wide_emit(wide, op, in->row_count, local->rest, local->rest_count, out);
    }
    local->left_next = 0;
    *out_flow = KDI_NEED_INPUT;
    return KD_OK;
}

static const kdi_op_class apply_class = {
    .local_create = local_create,
    .local_destroy = local_destroy,
    .push = apply_push,
};

static bool plan_is_volatile(const kd_plan *plan, uint32_t depth)
{
    if (plan == NULL)
        return false;
    if (depth > 200)
        return true;
    if (plan->kind == KD_PLAN_LOCK_ROWS)
        return true;
    if (plan->kind == KD_PLAN_FILTER && kdi_expr_is_volatile(plan->as.filter.condition))
        return true;
    if (plan->kind == KD_PLAN_PROJECT)
        for (uint32_t c = 0; c < plan->column_count; c++)
            if (kdi_expr_is_volatile(plan->as.project.exprs[c]))
                return true;
    for (uint32_t i = 0; i < plan->more_count; i++)
        if (plan_is_volatile(plan->more[i], depth + 1))
            return true;
    return plan_is_volatile(plan->inputs[0], depth + 1) ||
           plan_is_volatile(plan->inputs[1], depth + 1);
}

static kd_status layouts_make(kd_ctx *ctx, apply_op *self)
{
    const kd_plan *plan = self->op.plan;
    kd_arena *arena = self->op.arena;
    const kdi_scope *scope = &self->op.exec->scope;
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, self->outer_count);
    self->outer_columns = KD_NEW_ARRAY(ctx, arena, uint32_t, self->outer_count);
    if (types == NULL || self->outer_columns == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < self->outer_count; k++) {
        kd_column_id id = plan->as.apply.outer_ids[k];
        self->outer_columns[k] = kdi_column_find(plan->inputs[0], id);
        if (self->outer_columns[k] != UINT32_MAX) {
            types[k] = plan->inputs[0]->columns[self->outer_columns[k]].type;
            continue;
        }
        types[k] = kd_type_of(KD_TYPE_INT4);
        for (uint32_t i = 0; i < scope->outer_count; i++)
            if (scope->outer_ids[i] == id)
                types[k] = scope->outer_values[i].type;
    }
    KD_TRY(kdi_row_layout_init(ctx, arena, types, self->outer_count, true, sizeof(cached),
                               &self->key_layout));
    kd_type *right;
    KD_TRY(kdi_plan_types(ctx, arena, plan->inputs[1], &right));
    return kdi_row_layout_init(ctx, arena, right, plan->inputs[1]->column_count, false, 0,
                               &self->layout);
}

kd_status kdi_build_apply(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    if (kdi_applies_function(plan))
        return kdi_build_apply_function(ctx, pipeline, plan);
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    apply_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &apply_class, sizeof *self, &self));
    self->kind = plan->as.apply.kind;
    self->outer_count = plan->as.apply.outer_count;
    self->can_cache = !plan_is_volatile(plan->inputs[1], 0);
    self->op.is_serial = true;
    KD_TRY(layouts_make(ctx, self));
    KD_TRY(kdi_need_ctes(ctx, pipeline, plan->inputs[1]));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
