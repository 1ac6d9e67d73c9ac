/*
 * WINDOW: rows are collected with everything the calls read, sorted by partition and order, and
 * given partition by partition. Small partitions are worked on several at a time.
 */
#include "exec/keep_internal.h"
#include "exec/window_internal.h"

#include <assert.h>

typedef struct window_op {
    kdi_op op;
    kdi_row_layout layout;
    uint32_t input_count;
    kd_expr **exprs; /* Columns of the layout behind the input's. */
    uint32_t expr_count;
    kdi_sort_column *columns; /* Partition, then order. */
    uint32_t column_count;
    kdi_window_call *calls;
    kdi_row_store store;
    char **rows;
    uint64_t row_count;
} window_op;

/* ---- Collecting ---- */

typedef struct window_local {
    kd_compiled_expr **exprs;
    kd_vector *vectors;
    kdi_appender appender;
    kd_arena *batch_arena;
    kdi_row_store store;
} window_local;

static kd_status sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    window_op *self = (window_op *)op;
    window_local *local = KD_NEW(ctx, arena, window_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->store, &op->exec->shared->budget, &self->layout);
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, self->layout.column_count);
    local->batch_arena = kd_arena_create(ctx, arena, "window batch", KD_ARENA_UNLIMITED);
    if (local->vectors == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_appender_init(ctx, arena, self->layout.column_count, &local->appender));
    return kdi_compile_all(ctx, op, arena, self->exprs, self->expr_count, op->plan->inputs[0],
                           &local->exprs);
}

static void sink_destroy(kdi_op *op, void *object)
{
    window_local *local = object;
    kdi_row_store_clear(op->exec->world, &local->store);
}

static kd_status window_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                             kdi_flow *out_flow)
{
    window_op *self = (window_op *)op;
    window_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    kd_arena_reset(local->batch_arena);
    memcpy(local->vectors, in->columns, self->input_count * sizeof *in->columns);
    for (uint32_t i = 0; i < self->expr_count; i++)
        KD_TRY(kd_expr_evaluate(ctx, local->exprs[i], local->batch_arena, in,
                                &local->vectors[self->input_count + i]));
    kd_batch wide = *in;
    wide.columns = local->vectors;
    wide.column_count = self->layout.column_count;
    return kdi_appender_add(ctx, &local->appender, &local->store, &wide);
}

static kd_status window_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    window_local *local = object;
    return kdi_row_store_move(ctx, &((window_op *)op)->store, &local->store);
}

static kd_status window_finish(kd_ctx *ctx, kdi_op *op)
{
    window_op *self = (window_op *)op;
    return kdi_sort_store(ctx, &self->store, self->columns, self->column_count, &self->rows,
                          &self->row_count);
}

/* ---- Giving ---- */

typedef struct window_reader {
    kd_arena *arena; /* Of the partitions at work. */
    kd_vector *results;
    kd_vector *columns;
    uint64_t start, end; /* Rows whose results are there. */
    uint64_t next;
} window_reader;

static kd_status local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    window_reader *local = KD_NEW(ctx, arena, window_reader);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = kd_arena_create(ctx, arena, "partition", KD_ARENA_UNLIMITED);
    local->results = KD_NEW_ARRAY(ctx, arena, kd_vector, op->plan->as.window.call_count);
    if (local->arena == NULL || local->results == NULL)
        return KD_NOMEM;
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

static bool rows_agree(const kdi_row_layout *layout, const char *a, const char *b,
                       const kdi_sort_column *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = columns[i].column;
        bool a_is_null = kdi_row_is_null(layout, a, column);
        bool b_is_null = kdi_row_is_null(layout, b, column);
        if (a_is_null || b_is_null) {
            if (a_is_null != b_is_null)
                return false;
            continue;
        }
        if (!kdi_payload_equal(layout->types[column], kdi_row_at(layout, a, column),
                               kdi_row_at(layout, b, column)))
            return false;
    }
    return true;
}

static uint64_t partition_end(const window_op *self, uint64_t start)
{
    uint32_t partition_count = self->op.plan->as.window.partition_count;
    uint64_t end = start + 1;
    while (end < self->row_count && rows_agree(&self->layout, self->rows[start], self->rows[end],
                                               self->columns, partition_count))
        end++;
    return end;
}

static kd_status peers_find(kd_ctx *ctx, kd_arena *arena, kdi_window_partition *p)
{
    p->peer_start = KD_NEW_ARRAY(ctx, arena, uint64_t, p->count);
    p->peer_end = KD_NEW_ARRAY(ctx, arena, uint64_t, p->count);
    p->group = KD_NEW_ARRAY(ctx, arena, uint64_t, p->count);
    p->group_start = KD_NEW_ARRAY(ctx, arena, uint64_t, p->count + 1);
    if (p->peer_start == NULL || p->peer_end == NULL || p->group == NULL || p->group_start == NULL)
        return KD_NOMEM;
    uint64_t start = 0;
    while (start < p->count) {
        uint64_t end = start + 1;
        while (end < p->count &&
               rows_agree(p->layout, p->rows[start], p->rows[end], p->order, p->order_count))
            end++;
        for (uint64_t row = start; row < end; row++) {
            p->peer_start[row] = start;
            p->peer_end[row] = end;
            p->group[row] = p->group_count;
        }
        p->group_start[p->group_count++] = start;
        start = end;
    }
    p->group_start[p->group_count] = p->count;
    return KD_OK;
}

static kd_status partition_run(kd_ctx *ctx, window_op *self, window_reader *local, uint64_t start,
                               uint64_t end)
{
    const kd_plan *plan = self->op.plan;
    kdi_window_partition p = {
        .layout = &self->layout,
        .rows = self->rows + start,
        .count = end - start,
        .order = self->columns + plan->as.window.partition_count,
        .order_count = plan->as.window.order_count,
        .facts = self->op.exec->scope.facts,
    };
    KD_TRY(peers_find(ctx, local->arena, &p));
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        KD_TRY(kdi_window_call_run(ctx, local->arena, &p, &self->calls[c], &local->results[c],
                                   start - local->start));
    return KD_OK;
}

/* The next partitions, at least a batch of rows when there are so many. */
static kd_status partitions_run(kd_ctx *ctx, window_op *self, window_reader *local)
{
    const kd_plan *plan = self->op.plan;
    kd_arena_reset(local->arena);
    local->start = local->next = local->end;
    uint64_t bounds[KD_BATCH_ROWS + 1];
    uint32_t partitions = 0;
    bounds[0] = local->start;
    while (local->end < self->row_count && local->end - local->start < KD_BATCH_ROWS) {
        local->end = partition_end(self, local->end);
        bounds[++partitions] = local->end;
    }
    uint64_t count = local->end - local->start;
    if (count > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "a window partition has too many rows");
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        KD_TRY(kd_vector_init_flat(ctx, local->arena, plan->as.window.calls[c].type,
                                   (uint32_t)count, &local->results[c]));
    for (uint32_t i = 0; i < partitions; i++)
        KD_TRY(partition_run(ctx, self, local, bounds[i], bounds[i + 1]));
    return KD_OK;
}

static kd_status window_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    window_op *self = (window_op *)op;
    window_reader *local = object;
    const kd_plan *plan = op->plan;
    *out_end = local->next == local->end && local->end == self->row_count;
    if (*out_end)
        return KD_OK;
    if (local->next == local->end)
        KD_TRY(partitions_run(ctx, self, local));
    uint64_t remaining = local->end - local->next;
    uint32_t count = remaining < KD_BATCH_ROWS ? (uint32_t)remaining : KD_BATCH_ROWS;
    for (uint32_t c = 0; c < self->input_count; c++)
        kdi_rows_gather(&self->layout, c, self->rows + local->next, NULL, count,
                        &local->columns[c]);
    uint32_t first = (uint32_t)(local->next - local->start);
    for (uint32_t c = 0; c < plan->as.window.call_count; c++) {
        kd_vector slice = local->results[c];
        kd_vector *column = &local->columns[self->input_count + c];
        size_t bytes = kd_physical_bytes((kd_physical)slice.physical);
        memcpy(column->values, (char *)slice.values + first * bytes, count * bytes);
        kdi_bits_fill(column->validity, KD_BATCH_ROWS);
        for (uint32_t i = 0; i < count; i++)
            if (!kd_bit_get(slice.validity, first + i))
                kd_bit_clear(column->validity, i);
    }
    local->next += count;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static void window_close(kdi_op *op)
{
    window_op *self = (window_op *)op;
    kdi_row_store_clear(op->exec->world, &self->store);
    kd_heap_free(op->exec->world, kd_governor_account(op->exec->shared->budget.governor),
                 self->rows);
    self->rows = NULL;
}

static const kdi_op_class window_class = {
    .local_create = local_create,
    .next = window_next,
    .sink_create = sink_create,
    .sink_destroy = sink_destroy,
    .sink = window_sink,
    .combine = window_combine,
    .finish = window_finish,
    .close = window_close,
};

/* ---- Building ---- */

static uint32_t expr_add(window_op *self, kd_type *types, kd_expr *expr)
{
    uint32_t column = self->input_count + self->expr_count;
    types[column] = expr->type;
    self->exprs[self->expr_count++] = expr;
    return column;
}

static kd_status call_prepare(kd_ctx *ctx, window_op *self, kd_type *types,
                              const kd_window_call *call, kdi_window_call *out)
{
    kd_arena *arena = self->op.arena;
    out->call = call;
    out->filter_column = -1;
    out->first_argument = self->input_count + self->expr_count;
    kd_type *argument_types = KD_NEW_ARRAY(ctx, arena, kd_type, call->argument_count);
    out->payloads = KD_NEW_ARRAY(ctx, arena, const void *, call->argument_count);
    if (argument_types == NULL || out->payloads == NULL)
        return KD_NOMEM;
    out->env = (kd_call_env){
        .facts = self->op.exec->scope.facts,
        .state_arena = arena,
        .argument_count = call->argument_count,
        .argument_types = argument_types,
        .result_type = call->type,
        .data = call->aggregate == NULL ? NULL : call->aggregate->data,
    };
    for (uint32_t a = 0; a < call->argument_count; a++) {
        (void)expr_add(self, types, call->arguments[a]);
        argument_types[a] = call->arguments[a]->type;
        if (a < KD_FUNCTION_ARGUMENTS_MAX)
            out->env.argument_is_constant[a] = call->arguments[a]->kind == KD_EXPR_CONSTANT;
    }
    if (call->filter != NULL)
        out->filter_column = expr_add(self, types, call->filter);
    if (call->start_offset != NULL)
        KD_TRY(kdi_evaluate_now(ctx, &self->op, arena, call->start_offset, &out->start_offset));
    if (call->end_offset != NULL)
        KD_TRY(kdi_evaluate_now(ctx, &self->op, arena, call->end_offset, &out->end_offset));
    return kdi_window_check_offsets(ctx, out);
}

static kd_status layout_make(kd_ctx *ctx, window_op *self)
{
    const kd_plan *plan = self->op.plan;
    kd_arena *arena = self->op.arena;
    self->input_count = plan->inputs[0]->column_count;
    uint32_t partition_count = plan->as.window.partition_count;
    self->column_count = partition_count + plan->as.window.order_count;
    uint32_t most = self->column_count;
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        most += plan->as.window.calls[c].argument_count + 1;
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, self->input_count + most);
    self->exprs = KD_NEW_ARRAY(ctx, arena, kd_expr *, most);
    self->columns = KD_NEW_ARRAY(ctx, arena, kdi_sort_column, self->column_count);
    self->calls = KD_NEW_ARRAY(ctx, arena, kdi_window_call, plan->as.window.call_count);
    if (types == NULL || self->exprs == NULL || self->columns == NULL || self->calls == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < self->input_count; c++)
        types[c] = plan->inputs[0]->columns[c].type;
    for (uint32_t i = 0; i < partition_count; i++)
        self->columns[i].column = expr_add(self, types, plan->as.window.partition_by[i]);
    for (uint32_t i = 0; i < plan->as.window.order_count; i++) {
        const kd_sort_key *key = &plan->as.window.order_by[i];
        self->columns[partition_count + i] =
            (kdi_sort_column){.column = expr_add(self, types, key->expr),
                              .descending = key->descending,
                              .nulls_first = key->nulls_first};
    }
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        KD_TRY(call_prepare(ctx, self, types, &plan->as.window.calls[c], &self->calls[c]));
    return kdi_row_layout_init(ctx, arena, types, self->input_count + self->expr_count, false, 0,
                               &self->layout);
}

kd_status kdi_build_window(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    window_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &window_class, sizeof *self, &self));
    KD_TRY(layout_make(ctx, self));
    kdi_row_store_init(&self->store, &pipeline->exec->shared->budget, &self->layout);
    self->op.is_serial = true;
    for (uint32_t i = 0; i < self->expr_count; i++)
        self->op.sink_is_serial |= kdi_expr_is_volatile(self->exprs[i]);
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[0], &self->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
