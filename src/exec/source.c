/*
 * Sources that are no tables: VALUES, table functions, system views, nothing, and UNION ALL, which
 * reads whole pipelines one after another.
 */
#include "exec/partition_gate.h"
#include "exec/pipeline_internal.h"

#include "sql/binder.h"

#include <assert.h>

/* ---- VALUES ---- */

typedef struct values_local {
    kd_compiled_expr ***rows;
    kd_vector *columns;
    kd_arena *batch_arena;
    uint32_t next;
} values_local;

static kd_status values_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    values_local *local = KD_NEW(ctx, arena, values_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->batch_arena = kd_arena_create(ctx, arena, "values batch", KD_ARENA_UNLIMITED);
    if (local->batch_arena == NULL)
        return KD_NOMEM;
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

/* Constants are most of what VALUES holds: they need no compilation. */
static kd_status values_one(kd_ctx *ctx, kdi_op *op, values_local *local, const kd_expr *expr,
                            kd_value *out)
{
    if (expr->kind == KD_EXPR_CONSTANT) {
        *out = expr->constant;
        return KD_OK;
    }
    const kdi_scope *scope = &op->exec->scope;
    if (expr->kind == KD_EXPR_PARAMETER && expr->parameter_no > 0 &&
        expr->parameter_no <= scope->parameter_count) {
        *out = scope->parameters[expr->parameter_no - 1];
        return KD_OK;
    }
    return kdi_evaluate_now(ctx, op, local->batch_arena, expr, out);
}

static kd_status values_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    values_local *local = object;
    const kd_plan *plan = op->plan;
    kd_arena_reset(local->batch_arena);
    uint32_t count = 0;
    while (count < KD_BATCH_ROWS && local->next < plan->as.values.row_count) {
        kd_expr **row = plan->as.values.rows[local->next++];
        for (uint32_t c = 0; c < plan->column_count; c++) {
            kd_value value;
            KD_TRY(values_one(ctx, op, local, row[c], &value));
            kd_vector_set(&local->columns[c], count, &value);
        }
        count++;
    }
    *out_end = count == 0;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static const kdi_op_class values_class = {
    .local_create = values_local_create,
    .next = values_next,
};

kd_status kdi_build_values(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    kdi_op *op;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &values_class, sizeof *op, &op));
    op->is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, op);
}

/* ---- Nothing ---- */

static kd_status empty_next(kd_ctx *ctx, kdi_op *op, void *local, kd_batch *out, bool *out_end)
{
    (void)ctx;
    (void)op;
    (void)local;
    *out = (kd_batch){0};
    *out_end = true;
    return KD_OK;
}

static const kdi_op_class empty_class = {.next = empty_next};

kd_status kdi_build_empty(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    kdi_op *op;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &empty_class, sizeof *op, &op));
    op->is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, op);
}

/* ---- Table functions ---- */

typedef struct function_op {
    kdi_op op;
    kd_call_env env;
    void *cursor;
    bool is_cursor_open;
} function_op;

typedef struct function_local {
    kd_vector *columns;
    kd_arena *batch_arena;
    int64_t ordinality;
} function_local;

static kd_status function_open(kd_ctx *ctx, kdi_op *op)
{
    function_op *self = (function_op *)op;
    const kd_plan *plan = op->plan;
    uint32_t count = plan->as.function.argument_count;
    kd_value *args = KD_NEW_ARRAY(ctx, op->arena, kd_value, count);
    kd_type *types = KD_NEW_ARRAY(ctx, op->arena, kd_type, count);
    if (args == NULL || types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(kdi_evaluate_now(ctx, op, op->arena, plan->as.function.arguments[i], &args[i]));
        types[i] = args[i].type;
    }
    self->env = (kd_call_env){
        .facts = op->exec->scope.facts,
        .arena = op->arena,
        .state_arena = op->arena,
        .argument_count = count,
        .argument_types = types,
        .data = plan->as.function.function->data,
    };
    for (uint32_t i = 0; i < count && i < KD_FUNCTION_ARGUMENTS_MAX; i++)
        self->env.argument_is_constant[i] = true;
    KD_TRY(
        plan->as.function.function->open(ctx, op->arena, &self->env, args, count, &self->cursor));
    self->is_cursor_open = true;
    return KD_OK;
}

static kd_status function_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    function_local *local = KD_NEW(ctx, arena, function_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    if (!op->plan->as.function.with_ordinality)
        return KD_OK;
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

static void ordinality_add(function_local *local, uint32_t column_count, kd_batch *out)
{
    uint32_t last = column_count - 1;
    kd_vector number = local->columns[last];
    assert(out->column_count == last && number.physical == KD_PHYS_I64);
    memcpy(local->columns, out->columns, last * sizeof *out->columns);
    int64_t *values = number.values;
    for (uint32_t i = 0; i < out->selected_count; i++)
        values[kd_batch_row(out, i)] = ++local->ordinality;
    out->columns = local->columns;
    out->column_count = column_count;
}

static kd_status function_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    function_op *self = (function_op *)op;
    function_local *local = object;
    *out = (kd_batch){0};
    KD_TRY(op->plan->as.function.function->next(ctx, self->cursor, out));
    *out_end = out->row_count == 0;
    if (!*out_end && op->plan->as.function.with_ordinality)
        ordinality_add(local, op->plan->column_count, out);
    return KD_OK;
}

static void function_close(kdi_op *op)
{
    function_op *self = (function_op *)op;
    if (self->is_cursor_open && op->plan->as.function.function->close != NULL)
        op->plan->as.function.function->close(self->cursor);
    self->is_cursor_open = false;
}

static const kdi_op_class function_class = {
    .open = function_open,
    .local_create = function_local_create,
    .next = function_next,
    .close = function_close,
};

kd_status kdi_build_function(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    function_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &function_class, sizeof *self, &self));
    self->op.is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- System views ---- */

typedef struct virtual_op {
    kdi_op op;
    kdi_row_layout layout;
    kdi_row_store store;
    kdi_view *views;
    kd_vector *columns;
    kdi_row_cursor cursor;
    char **rows;
    uint32_t *sources; /* Per output column: its position in the view, by name. */
} virtual_op;

static kd_status virtual_emit(kd_ctx *ctx, void *object, const kd_value *values)
{
    virtual_op *self = object;
    uint32_t count = self->op.plan->column_count;
    for (uint32_t c = 0; c < count; c++)
        kd_vector_set(&self->columns[c], 0, &values[self->sources[c]]);
    KD_TRY(kdi_views_open(ctx, self->op.arena, self->views, count, self->columns, NULL, 1));
    uint32_t appended;
    char *row;
    return kdi_row_store_append(ctx, &self->store, self->views, NULL, 1, true, &row, &appended);
}

static kd_status virtual_sources(kd_ctx *ctx, virtual_op *self)
{
    const kd_plan *plan = self->op.plan;
    const kd_virtual_table *table = plan->as.virtual_table.table;
    self->sources = KD_NEW_ARRAY(ctx, self->op.arena, uint32_t, plan->column_count);
    if (self->sources == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < plan->column_count; c++) {
        uint32_t source = c;
        for (uint32_t i = 0; i < table->column_count; i++)
            if (kd_slice_equal(kd_slice_of(table->column_names[i]), plan->columns[c].name))
                source = i;
        self->sources[c] = source;
    }
    return KD_OK;
}

static kd_status virtual_open(kd_ctx *ctx, kdi_op *op)
{
    virtual_op *self = (virtual_op *)op;
    const kd_plan *plan = op->plan;
    kd_type *types;
    KD_TRY(kdi_plan_types(ctx, op->arena, plan, &types));
    KD_TRY(kdi_row_layout_init(ctx, op->arena, types, plan->column_count, false, 0, &self->layout));
    kdi_row_store_init(&self->store, op->budget, &self->layout);
    KD_TRY(kdi_columns_create(ctx, op->arena, plan, &self->columns));
    KD_TRY(virtual_sources(ctx, self));
    self->views = KD_NEW_ARRAY(ctx, op->arena, kdi_view, plan->column_count);
    self->rows = KD_NEW_ARRAY(ctx, op->arena, char *, KD_BATCH_ROWS);
    if (self->views == NULL || self->rows == NULL)
        return KD_NOMEM;
    const kd_execute_options *options = op->exec->options;
    void *session = options->facts == NULL ? NULL : options->facts->session;
    return plan->as.virtual_table.table->rows(ctx, op->arena, options->catalog, session,
                                              virtual_emit, self);
}

static kd_status virtual_next(kd_ctx *ctx, kdi_op *op, void *local, kd_batch *out, bool *out_end)
{
    (void)ctx;
    (void)local;
    virtual_op *self = (virtual_op *)op;
    uint32_t count = kdi_row_store_next(&self->store, &self->cursor, KD_BATCH_ROWS, self->rows);
    *out_end = count == 0;
    kdi_batch_gather(&self->layout, self->rows, count, self->columns, out);
    return KD_OK;
}

static void virtual_close(kdi_op *op)
{
    virtual_op *self = (virtual_op *)op;
    kdi_row_store_clear(op->exec->world, &self->store);
}

static const kdi_op_class virtual_class = {
    .open = virtual_open,
    .next = virtual_next,
    .close = virtual_close,
};

kd_status kdi_build_virtual(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    virtual_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &virtual_class, sizeof *self, &self));
    self->op.is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- UNION ALL ---- */

typedef struct union_op {
    kdi_op op;
    uint32_t count;
    kdi_pipeline **parts;
    atomic_bool *claimed; /* Serial parts are read by one thread. */
} union_op;

typedef struct union_local {
    kdi_runner **runners;
    bool *mine;
    uint32_t current;
    kd_vector *columns;
} union_local;

static kd_status union_open(kd_ctx *ctx, kdi_op *op)
{
    union_op *self = (union_op *)op;
    for (uint32_t i = 0; i < self->count; i++)
        KD_TRY(kdi_pipeline_prepare(ctx, self->parts[i]));
    return KD_OK;
}

static kd_status union_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    union_op *self = (union_op *)op;
    union_local *local = KD_NEW(ctx, arena, union_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->runners = KD_NEW_ARRAY(ctx, arena, kdi_runner *, self->count);
    local->mine = KD_NEW_ARRAY(ctx, arena, bool, self->count);
    local->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, op->plan->column_count);
    if (local->runners == NULL || local->mine == NULL || local->columns == NULL) {
        *out_local = NULL;
        return KD_NOMEM;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        kdi_pipeline *part = self->parts[i];
        if (part->is_serial || part->source->is_serial) {
            if (atomic_exchange(&self->claimed[i], true))
                continue; /* Another thread has it. */
        }
        local->mine[i] = true;
        KD_TRY(kdi_runner_create(ctx, arena, part, &local->runners[i]));
    }
    return KD_OK;
}

static void union_local_destroy(kdi_op *op, void *object)
{
    union_op *self = (union_op *)op;
    union_local *local = object;
    for (uint32_t i = 0; i < self->count; i++)
        kdi_runner_destroy(local->runners[i]);
}

static kd_status union_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    union_op *self = (union_op *)op;
    union_local *local = object;
    *out_end = false;
    for (; local->current < self->count; local->current++) {
        if (!local->mine[local->current])
            continue;
        bool end;
        KD_TRY(kdi_runner_next(ctx, local->runners[local->current], out, &end));
        if (end)
            continue;
        for (uint32_t c = 0; c < op->plan->column_count; c++) {
            local->columns[c] = out->columns[c];
            local->columns[c].type = op->plan->columns[c].type;
        }
        out->columns = local->columns;
        out->column_count = op->plan->column_count;
        return KD_OK;
    }
    *out_end = true;
    return KD_OK;
}

static double union_rows(kdi_op *op)
{
    union_op *self = (union_op *)op;
    double rows = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        kdi_op *source = self->parts[i]->source;
        rows +=
            source->class->rows == NULL ? source->plan->row_estimate : source->class->rows(source);
    }
    return rows;
}

static const kdi_op_class union_class = {
    .open = union_open,
    .local_create = union_local_create,
    .local_destroy = union_local_destroy,
    .next = union_next,
    .rows = union_rows,
};

kd_status kdi_build_union_all(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    union_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &union_class, sizeof *self, &self));
    kdi_gate_memory memory = {0};
    self->parts = KD_NEW_ARRAY(ctx, pipeline->exec->arena, kdi_pipeline *, plan->more_count);
    self->claimed = KD_NEW_ARRAY(ctx, pipeline->exec->arena, atomic_bool, plan->more_count);
    if (self->parts == NULL || self->claimed == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < plan->more_count; i++) {
        bool passes;
        KD_TRY(kdi_gate_passes(ctx, &self->op, plan->more[i], &memory, &passes));
        if (!passes)
            continue;
        KD_TRY(kdi_pipeline_create(ctx, pipeline->exec, &self->parts[self->count]));
        KD_TRY(kdi_build(ctx, self->parts[self->count++], plan->more[i]));
    }
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
