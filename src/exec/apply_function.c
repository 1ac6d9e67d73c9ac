/*
 * APPLY of a quick table function (jsonb_array_elements(t.doc), JSON_TABLE): the arguments are
 * evaluated for whole batches of left rows, and the rows of many calls fill one batch.
 *
 * The general APPLY runs its right side as a plan of its own for every left row and gives a batch
 * per left row. Here a call costs its cursor, and what is above sees full batches; left rows are
 * independent, so threads share them.
 *
 * The right side is the function, or a PROJECT over it, whose expressions are evaluated over the
 * joined batch. Bytes that rows point to are in the arguments or in `calls`, which is emptied when
 * no cursor is open and nothing that was given is in use any more.
 */
#include "exec/join_wide_internal.h"

#include <assert.h>

/* Beyond it a batch goes out although it is not full: new pages cost more than its rows. */
enum { CALLS_BYTES_MAX = 256 << 10 };

typedef struct calling_op {
    kdi_op op;
    const kd_plan *function; /* KD_PLAN_FUNCTION */
    const kd_plan *project;  /* Above it; NULL: nothing is. */
    bool keeps_left;
} calling_op;

typedef struct calling_local {
    kd_arena *calls;      /* Cursors of the current output. */
    kd_arena *arguments;  /* What the arguments of the current input need. */
    kd_arena *projection; /* What the expressions of the current output need. */
    kd_compiled_expr **argument_exprs;
    kd_vector *argument_vectors;
    kd_value *argument_values;
    kd_call_env env;
    kd_compiled_expr **right_exprs; /* Per column of `project`. */
    uint32_t left_count, right_count;
    uint32_t *sources; /* Per output column: left column, or left_count + right column. */
    bool *left_wanted; /* By an expression or the output. */
    kd_vector *wide;   /* FLAT: left columns, then the function's. */
    kd_vector *outputs;
    void *cursor; /* Of the left row at `left_next`; NULL: none is open. */
    kd_batch rows;
    uint32_t rows_next;
    int64_t ordinality;
    uint32_t left_next;
    bool has_input;
} calling_local;

/* --- Setting up ------------------------------------------------------------------------------- */

static const kd_plan *right_plan(const calling_op *self)
{
    return self->project != NULL ? self->project : self->function;
}

static kd_status exprs_compile(kd_ctx *ctx, const calling_op *self, kd_arena *arena,
                               calling_local *local)
{
    const kd_plan *left = self->op.plan->inputs[0], *function = self->function;
    const kdi_scope *scope = &self->op.exec->scope;
    uint32_t argument_count = function->as.function.argument_count;
    uint32_t total = local->left_count + local->right_count;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, arena, kd_column_id, total);
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, argument_count);
    local->argument_exprs = KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, argument_count);
    local->argument_vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, argument_count);
    local->argument_values = KD_NEW_ARRAY(ctx, arena, kd_value, argument_count);
    local->right_exprs =
        KD_NEW_ARRAY(ctx, arena, kd_compiled_expr *, right_plan(self)->column_count);
    if (ids == NULL || types == NULL || local->argument_exprs == NULL ||
        local->argument_vectors == NULL || local->argument_values == NULL ||
        local->right_exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < total; i++)
        ids[i] = i < local->left_count ? left->columns[i].id
                                       : function->columns[i - local->left_count].id;
    for (uint32_t i = 0; i < argument_count; i++) {
        const kd_expr *argument = function->as.function.arguments[i];
        types[i] = argument->type;
        KD_TRY(kdi_expr_compile(ctx, arena, argument, ids, local->left_count, scope,
                                &local->argument_exprs[i]));
    }
    for (uint32_t i = 0; self->project != NULL && i < self->project->column_count; i++)
        KD_TRY(kdi_expr_compile(ctx, arena, self->project->as.project.exprs[i], ids, total, scope,
                                &local->right_exprs[i]));
    local->env = (kd_call_env){.facts = scope->facts,
                               .arena = local->calls,
                               .state_arena = local->calls,
                               .argument_count = argument_count,
                               .argument_types = types,
                               .data = function->as.function.function->data};
    return KD_OK;
}

/* Which left columns are repeated: those that come out, and all where expressions may read them. */
static kd_status sources_find(kd_ctx *ctx, const calling_op *self, kd_arena *arena,
                              calling_local *local)
{
    const kd_plan *plan = self->op.plan, *right = right_plan(self);
    local->sources = KD_NEW_ARRAY(ctx, arena, uint32_t, plan->column_count);
    local->outputs = KD_NEW_ARRAY(ctx, arena, kd_vector, plan->column_count);
    local->left_wanted = KD_NEW_ARRAY(ctx, arena, bool, local->left_count + 1);
    if (local->sources == NULL || local->outputs == NULL || local->left_wanted == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < plan->column_count; c++) {
        uint32_t at = kdi_column_find(plan->inputs[0], plan->columns[c].id);
        if (at != UINT32_MAX) {
            local->left_wanted[at] = true;
            local->sources[c] = at;
            continue;
        }
        at = kdi_column_find(right, plan->columns[c].id);
        if (at == UINT32_MAX)
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a join's column %u comes from nowhere",
                           plan->columns[c].id);
        local->sources[c] = local->left_count + at;
    }
    for (uint32_t k = 0; self->project != NULL && k < plan->as.apply.outer_count; k++) {
        uint32_t at = kdi_column_find(plan->inputs[0], plan->as.apply.outer_ids[k]);
        if (at != UINT32_MAX)
            local->left_wanted[at] = true;
    }
    return KD_OK;
}

static kd_status calling_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    calling_op *self = (calling_op *)op;
    calling_local *local = KD_NEW(ctx, arena, calling_local);
    kd_vector *left, *right;
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->left_count = op->plan->inputs[0]->column_count;
    local->right_count = self->function->column_count;
    local->calls = kd_arena_create(ctx, arena, "calls", KD_ARENA_UNLIMITED);
    local->arguments = kd_arena_create(ctx, arena, "arguments", KD_ARENA_UNLIMITED);
    local->projection = kd_arena_create(ctx, arena, "projection", KD_ARENA_UNLIMITED);
    local->wide = KD_NEW_ARRAY(ctx, arena, kd_vector, local->left_count + local->right_count);
    if (local->calls == NULL || local->arguments == NULL || local->projection == NULL ||
        local->wide == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_columns_create(ctx, arena, op->plan->inputs[0], &left));
    KD_TRY(kdi_columns_create(ctx, arena, self->function, &right));
    memcpy(local->wide, left, local->left_count * sizeof *left);
    memcpy(local->wide + local->left_count, right, local->right_count * sizeof *right);
    KD_TRY(exprs_compile(ctx, self, arena, local));
    return sources_find(ctx, self, arena, local);
}

static void cursor_close(const calling_op *self, calling_local *local)
{
    const kd_table_function *function = self->function->as.function.function;
    if (local->cursor != NULL && function->close != NULL)
        function->close(local->cursor);
    local->cursor = NULL;
}

static void calling_local_destroy(kdi_op *op, void *object)
{
    if (object != NULL)
        cursor_close((calling_op *)op, object);
}

/* --- Rows ------------------------------------------------------------------------------------- */

/* `count` rows of a column, from `first` of those selected, to `to` on; strings stay where they
 * are. */
static void values_copy(const kd_vector *from, const kd_batch *rows, uint32_t first, uint32_t count,
                        kd_vector *into, uint32_t to)
{
    size_t bytes = kd_physical_bytes((kd_physical)into->physical);
    _Alignas(16) char scratch[16];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = kd_batch_row(rows, first + i);
        if (kd_vector_is_null(from, row))
            kd_vector_set_null(into, to + i);
        else
            memcpy((char *)into->values + (to + i) * bytes, kd_vector_payload(from, row, scratch),
                   bytes);
    }
}

/* The left row beside rows `to` .. `to + count`. */
static void left_repeat(calling_local *local, const kd_batch *in, uint32_t left, uint32_t count,
                        uint32_t to)
{
    for (uint32_t c = 0; c < local->left_count; c++)
        for (uint32_t i = 0; local->left_wanted[c] && i < count; i++)
            values_copy(&in->columns[c], in, left, 1, &local->wide[c], to + i);
}

static void right_take(const calling_op *self, calling_local *local, uint32_t count, uint32_t to)
{
    kd_vector *right = local->wide + local->left_count;
    uint32_t given = local->rows.column_count;
    for (uint32_t c = 0; c < given; c++)
        values_copy(&local->rows.columns[c], &local->rows, local->rows_next, count, &right[c], to);
    if (!self->function->as.function.with_ordinality)
        return;
    assert(given + 1 == local->right_count);
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)right[given].values)[to + i] = ++local->ordinality;
}

static kd_status call_open(kd_ctx *ctx, const calling_op *self, calling_local *local, uint32_t row)
{
    const kd_table_function *function = self->function->as.function.function;
    uint32_t count = local->env.argument_count;
    for (uint32_t i = 0; i < count; i++)
        local->argument_values[i] = kd_vector_get(&local->argument_vectors[i], row);
    local->ordinality = 0;
    local->rows = (kd_batch){0};
    local->rows_next = 0;
    return function->open(ctx, local->calls, &local->env, local->argument_values, count,
                          &local->cursor);
}

/* The rows of one left row as far as they fit. `*out_ended`: there are no more. */
static kd_status call_fill(kd_ctx *ctx, const calling_op *self, calling_local *local,
                           const kd_batch *in, uint32_t *io_filled, bool *out_any, bool *out_ended)
{
    const kd_table_function *function = self->function->as.function.function;
    *out_ended = false;
    while (*io_filled < KD_BATCH_ROWS) {
        if (local->rows_next == local->rows.selected_count) {
            local->rows_next = 0;
            KD_TRY(function->next(ctx, local->cursor, &local->rows));
            *out_ended = local->rows.row_count == 0;
            if (*out_ended)
                return KD_OK;
            *out_any = true;
        }
        uint32_t count = local->rows.selected_count - local->rows_next;
        if (count > KD_BATCH_ROWS - *io_filled)
            count = KD_BATCH_ROWS - *io_filled;
        left_repeat(local, in, local->left_next, count, *io_filled);
        right_take(self, local, count, *io_filled);
        local->rows_next += count;
        *io_filled += count;
    }
    return KD_OK;
}

/* A left row without right rows, for LEFT. */
static void left_alone(calling_local *local, const kd_batch *in, uint32_t *io_filled)
{
    left_repeat(local, in, local->left_next, 1, *io_filled);
    for (uint32_t c = 0; c < local->right_count; c++)
        kd_vector_set_null(&local->wide[local->left_count + c], *io_filled);
    (*io_filled)++;
}

/* --- Batches ---------------------------------------------------------------------------------- */

static kd_status input_take(kd_ctx *ctx, calling_local *local, const kd_batch *in)
{
    kd_arena_reset(local->arguments);
    local->has_input = true;
    local->left_next = 0;
    for (uint32_t i = 0; i < local->env.argument_count; i++)
        KD_TRY(kd_expr_evaluate(ctx, local->argument_exprs[i], local->arguments, in,
                                &local->argument_vectors[i]));
    return KD_OK;
}

static kd_status emit(kd_ctx *ctx, const calling_op *self, calling_local *local, uint32_t count,
                      kd_batch *out)
{
    const kd_plan *plan = self->op.plan;
    kd_batch wide = {.row_count = count,
                     .selected_count = count,
                     .column_count = local->left_count + local->right_count,
                     .columns = local->wide};
    kd_arena_reset(local->projection);
    for (uint32_t c = 0; c < plan->column_count; c++) {
        uint32_t at = local->sources[c];
        if (at < local->left_count || self->project == NULL)
            local->outputs[c] = local->wide[at];
        else
            KD_TRY(kd_expr_evaluate(ctx, local->right_exprs[at - local->left_count],
                                    local->projection, &wide, &local->outputs[c]));
    }
    *out = wide;
    out->columns = local->outputs;
    out->column_count = plan->column_count;
    return KD_OK;
}

static kd_status calling_push(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                              kd_batch *out, kdi_flow *out_flow)
{
    calling_op *self = (calling_op *)op;
    calling_local *local = object;
    uint32_t filled = 0;
    if (!local->has_input)
        KD_TRY(input_take(ctx, local, in));
    if (local->cursor == NULL)
        kd_arena_reset(local->calls);
    for (uint32_t c = 0; c < local->left_count + local->right_count; c++)
        kdi_bits_fill(local->wide[c].validity, KD_BATCH_ROWS);
    while (local->left_next < in->selected_count && filled < KD_BATCH_ROWS) {
        bool ended, any = local->cursor != NULL;
        if (local->cursor == NULL && kd_arena_used_bytes(local->calls) > CALLS_BYTES_MAX) {
            if (filled > 0)
                break;
            kd_arena_reset(local->calls);
        }
        KD_TRY(kd_check_cancelled(ctx));
        if (local->cursor == NULL)
            KD_TRY(call_open(ctx, self, local, kd_batch_row(in, local->left_next)));
        KD_TRY(call_fill(ctx, self, local, in, &filled, &any, &ended));
        if (!ended)
            break;
        cursor_close(self, local);
        if (!any && self->keeps_left)
            left_alone(local, in, &filled);
        local->left_next++;
    }
    bool is_through = local->left_next == in->selected_count;
    local->has_input = !is_through;
    *out_flow = is_through ? KDI_NEED_INPUT : KDI_HAVE_MORE;
    return filled == 0 ? KD_OK : emit(ctx, self, local, filled, out);
}

static const kdi_op_class calling_class = {
    .local_create = calling_local_create,
    .local_destroy = calling_local_destroy,
    .push = calling_push,
};

/* The function that the right side is made of; NULL where it is more than that. */
static const kd_plan *called_function(const kd_plan *plan)
{
    const kd_plan *right = plan->inputs[1];
    bool has_project = right->kind == KD_PLAN_PROJECT;
    bool fits =
        plan->as.apply.condition == NULL && (plan->as.apply.kind == KD_JOIN_INNER ||
                                             (plan->as.apply.kind == KD_JOIN_LEFT && !has_project));
    if (has_project)
        right = right->inputs[0];
    return fits && right->kind == KD_PLAN_FUNCTION && right->as.function.function->is_quick ? right
                                                                                            : NULL;
}

bool kdi_applies_function(const kd_plan *plan)
{
    return called_function(plan) != NULL;
}

kd_status kdi_build_apply_function(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    KD_TRY(kdi_build(ctx, pipeline, plan->inputs[0]));
    calling_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &calling_class, sizeof *self, &self));
    self->function = called_function(plan);
    self->project = plan->inputs[1]->kind == KD_PLAN_PROJECT ? plan->inputs[1] : NULL;
    self->keeps_left = plan->as.apply.kind == KD_JOIN_LEFT;
    for (uint32_t i = 0; i < self->function->as.function.argument_count; i++)
        self->op.is_serial |= kdi_expr_is_volatile(self->function->as.function.arguments[i]);
    for (uint32_t i = 0; self->project != NULL && i < self->project->column_count; i++)
        self->op.is_serial |= kdi_expr_is_volatile(self->project->as.project.exprs[i]);
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
