/*
 * WINDOW: rows are collected with everything the calls read, sorted by partition and order, and
 * given partition by partition. Small partitions are taken several at a time.
 *
 * Rows that were sorted on disk are copied while their partitions are at work; a partition that
 * memory has no room for is written to disk again and its rows are read by number. Results are made
 * for one batch at a time, so a partition needs no memory for them.
 */
#include "exec/keep_internal.h"
#include "exec/sorter_internal.h"
#include "exec/window_internal.h"
#include "exec/window_top_internal.h"

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
    kdi_sorter sorter;
} window_op;

/* ---- Collecting ---- */

typedef struct window_local {
    kd_compiled_expr **exprs;
    kd_vector *vectors;
    kdi_appender appender;
    kd_arena *batch_arena;
    kdi_sorter sorter;
    kdi_window_top *top; /* NULL: all rows are kept. */
} window_local;

static void sorter_init(window_op *self, kd_world *world, kdi_sorter *sorter)
{
    kdi_sorter_init(sorter, world, self->op.budget, &self->layout, self->columns,
                    self->column_count);
}

static kd_status sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    window_op *self = (window_op *)op;
    window_local *local = KD_NEW(ctx, arena, window_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    sorter_init(self, ctx->world, &local->sorter);
    local->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, self->layout.column_count);
    local->batch_arena = kd_arena_create(ctx, arena, "window batch", KD_ARENA_UNLIMITED);
    if (local->vectors == NULL || local->batch_arena == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_appender_init(ctx, arena, self->layout.column_count, &local->appender));
    KD_TRY(kdi_window_top_create(ctx, arena, op->budget, op->plan, &local->top));
    return kdi_compile_all(ctx, op, arena, self->exprs, self->expr_count, op->plan->inputs[0],
                           &local->exprs);
}

static void sink_destroy(kdi_op *op, void *object)
{
    (void)op;
    window_local *local = object;
    kdi_sorter_clear(&local->sorter);
    kdi_window_top_clear(local->top);
}

static kd_status window_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                             kdi_flow *out_flow)
{
    window_op *self = (window_op *)op;
    window_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(kdi_sorter_make_room(ctx, &local->sorter));
    kd_arena_reset(local->batch_arena);
    memcpy(local->vectors, in->columns, self->input_count * sizeof *in->columns);
    for (uint32_t i = 0; i < self->expr_count; i++)
        KD_TRY(kd_expr_evaluate(ctx, local->exprs[i], local->batch_arena, in,
                                &local->vectors[self->input_count + i]));
    kd_batch wide = *in;
    wide.columns = local->vectors;
    wide.column_count = self->layout.column_count;
    uint16_t rows[KD_BATCH_ROWS];
    if (kdi_window_top_is_on(local->top)) {
        KD_TRY(kdi_window_top_select(ctx, local->top, local->vectors + self->input_count, in, rows,
                                     &wide.selected_count));
        wide.selection = rows;
        if (wide.selected_count == 0)
            return KD_OK;
    }
    return kdi_appender_add(ctx, &local->appender, &local->sorter.store, &wide);
}

static kd_status window_settle(kd_ctx *ctx, kdi_op *op, void *object)
{
    (void)op;
    window_local *local = object;
    kdi_window_top_clear(local->top);
    return kdi_sorter_seal(ctx, &local->sorter);
}

static kd_status window_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    return kdi_sorter_take(ctx, &((window_op *)op)->sorter, &((window_local *)object)->sorter);
}

static kd_status window_finish(kd_ctx *ctx, kdi_op *op)
{
    return kdi_sorter_finish(ctx, &((window_op *)op)->sorter);
}

/* ---- Partitions ---- */

/* The partitions at work are a set: rows from 0, `bounds` where each begins and the set ends. */
typedef struct window_reader {
    kd_arena *arena;       /* Of the set. */
    kd_arena *batch_arena; /* Results. */
    kd_arena *scratch;
    kd_vector *results;
    kd_vector *columns;
    uint64_t *bounds;
    size_t bound_count, bound_capacity;
    uint64_t count; /* Rows of the set. */
    uint64_t next;  /* The next one to give. */
    size_t part;    /* Its partition, */
    bool has_part;  /* prepared in `p`. */
    kdi_window_partition p;
    /* Rows out of the sorter. */
    char **sorted;
    uint32_t sorted_count, sorted_next;
    /* The set's rows: where they are, or (`is_on_disk`) in `buffer` by number. */
    char **rows;
    uint64_t row_capacity;
    bool copies, is_on_disk;
    kdi_row_store buffer;
    kdi_row_store first; /* Copying: the first row of the partition being collected. */
    kdi_row_reader reader;
} window_reader;

static kd_status local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    window_op *self = (window_op *)op;
    const kd_plan *plan = op->plan;
    window_reader *local = KD_NEW(ctx, arena, window_reader);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->buffer, op->budget, &self->layout);
    kdi_row_store_init(&local->first, op->budget, &self->layout);
    local->copies = !kdi_sorter_is_in_memory(&self->sorter);
    local->arena = kd_arena_create(ctx, arena, "partitions", KD_ARENA_UNLIMITED);
    local->batch_arena = kd_arena_create(ctx, arena, "window results", KD_ARENA_UNLIMITED);
    local->scratch = kd_arena_create(ctx, arena, "window frame", KD_ARENA_UNLIMITED);
    local->results = KD_NEW_ARRAY(ctx, arena, kd_vector, plan->as.window.call_count);
    local->sorted = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->p.blank = kd_alloc(ctx, arena, self->layout.row_bytes);
    if (local->arena == NULL || local->batch_arena == NULL || local->scratch == NULL ||
        local->results == NULL || local->sorted == NULL || local->p.blank == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_columns_create(ctx, arena, plan, &local->columns));
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        local->results[c] = local->columns[self->input_count + c];
    return KD_OK;
}

static void local_destroy(kdi_op *op, void *object)
{
    window_reader *local = object;
    kd_world *world = op->exec->world;
    kdi_row_reader_clear(&local->reader);
    kdi_row_store_clear(world, &local->buffer);
    kdi_row_store_clear(world, &local->first);
    kd_heap_free(world, &op->budget->account, local->rows);
    local->rows = NULL;
}

static bool same_partition(const window_op *self, const char *a, const char *b)
{
    for (uint32_t i = 0; i < self->op.plan->as.window.partition_count; i++)
        if (!kdi_row_columns_equal(&self->layout, a, b, self->columns[i].column, 1))
            return false;
    return true;
}

/* Room in the list of rows; when there is none the set goes to disk. */
static kd_status set_make_room(kd_ctx *ctx, window_op *self, window_reader *local)
{
    enum { PAGES_MIN = 4 };
    kdi_budget *budget = self->op.budget;
    KD_TRY(kd_check_cancelled(ctx));
    if (local->copies && local->buffer.page_count >= PAGES_MIN &&
        (local->is_on_disk || kdi_budget_is_tight(budget, 0))) {
        local->is_on_disk = true;
        KD_TRY(kdi_keep_make_room(ctx, &local->buffer));
    }
    if (local->is_on_disk || local->count + KD_BATCH_ROWS <= local->row_capacity)
        return KD_OK;
    uint64_t capacity = local->row_capacity * 2 + 2 * KD_BATCH_ROWS;
    char **rows = kd_heap_resize(ctx, &budget->account, local->rows, capacity * sizeof *rows);
    if (rows == NULL)
        return KD_NOMEM;
    local->rows = rows;
    local->row_capacity = capacity;
    return KD_OK;
}

/* Puts a row into the set; `*first` is the first of its partition. */
static kd_status set_add(kd_ctx *ctx, window_reader *local, char *row, bool begins, char **first)
{
    if (begins) {
        uint64_t *bound;
        KD_TRY(KD_PUSH(ctx, local->arena, local->bounds, local->bound_count, local->bound_capacity,
                       &bound));
        *bound = local->count;
        *first = row;
        if (local->copies) {
            kdi_row_store_rewind(ctx->world, &local->first);
            KD_TRY(kdi_row_store_copy(ctx, &local->first, row, true, first));
        }
    }
    if (local->copies)
        KD_TRY(kdi_row_store_copy(ctx, &local->buffer, row, true, &row));
    if (!local->is_on_disk)
        local->rows[local->count] = row;
    local->count++;
    return KD_OK;
}

static void set_forget(kd_ctx *ctx, window_reader *local)
{
    kdi_row_reader_clear(&local->reader);
    kdi_row_store_rewind(ctx->world, &local->buffer);
    kd_arena_reset(local->arena);
    local->bounds = NULL;
    local->bound_count = local->bound_capacity = 0;
    local->count = local->next = 0;
    local->part = 0;
    local->has_part = local->is_on_disk = false;
}

/* The next partitions, at least a batch of rows when there are so many. */
static kd_status set_collect(kd_ctx *ctx, window_op *self, window_reader *local)
{
    char *first = NULL;
    bool full = false;
    set_forget(ctx, local);
    while (!full) {
        if (local->sorted_next == local->sorted_count) {
            local->sorted_next = 0;
            KD_TRY(kdi_sorter_next(ctx, &self->sorter, local->sorted, &local->sorted_count));
            if (local->sorted_count == 0)
                break;
        }
        KD_TRY(set_make_room(ctx, self, local));
        while (local->sorted_next < local->sorted_count) {
            char *row = local->sorted[local->sorted_next];
            bool begins = first == NULL || !same_partition(self, first, row);
            full = begins && local->count >= KD_BATCH_ROWS;
            if (full)
                break;
            KD_TRY(set_add(ctx, local, row, begins, &first));
            local->sorted_next++;
        }
    }
    uint64_t *bound;
    KD_TRY(KD_PUSH(ctx, local->arena, local->bounds, local->bound_count, local->bound_capacity,
                   &bound));
    *bound = local->count;
    if (!local->is_on_disk)
        return KD_OK;
    KD_TRY(kdi_row_store_spill(ctx, &local->buffer, true));
    kdi_row_reader_init(&local->reader, ctx->world, &local->buffer);
    return kdi_row_reader_number(ctx, &local->reader);
}

static kd_status part_prepare(kd_ctx *ctx, window_op *self, window_reader *local)
{
    const kd_plan *plan = self->op.plan;
    uint64_t start = local->bounds[local->part];
    local->p = (kdi_window_partition){
        .ctx = ctx,
        .layout = &self->layout,
        .rows = local->is_on_disk ? NULL : local->rows + start,
        .reader = &local->reader,
        .first_row = start,
        .blank = local->p.blank,
        .count = local->bounds[local->part + 1] - start,
        .order = self->columns + plan->as.window.partition_count,
        .order_count = plan->as.window.order_count,
        .facts = self->op.exec->scope.facts,
        .scratch = local->scratch,
    };
    local->has_part = true;
    return kdi_window_peers_find(ctx, local->arena, &local->p);
}

/* Results of the set's next `count` rows. */
static kd_status results_make(kd_ctx *ctx, window_op *self, window_reader *local, uint32_t count)
{
    const kd_plan *plan = self->op.plan;
    kd_arena_reset(local->batch_arena);
    for (uint32_t c = 0; c < plan->as.window.call_count; c++)
        kdi_bits_fill(local->results[c].validity, KD_BATCH_ROWS);
    for (uint32_t done = 0; done < count;) {
        if (!local->has_part)
            KD_TRY(part_prepare(ctx, self, local));
        uint64_t row = local->next + done - local->bounds[local->part];
        uint64_t left = local->p.count - row;
        uint32_t taken = left < count - done ? (uint32_t)left : count - done;
        kdi_window_frame range = {row, row + taken};
        local->p.ctx = ctx;
        for (uint32_t c = 0; c < plan->as.window.call_count; c++)
            KD_TRY(kdi_window_call_run(ctx, local->batch_arena, &local->p, &self->calls[c], range,
                                       &local->results[c], done));
        done += taken;
        if (taken == left) {
            local->part++;
            local->has_part = false;
        }
    }
    return KD_OK;
}

/* ---- Giving ---- */

/* Addresses of the set's next rows, on disk those of one page. */
static kd_status rows_get(kd_ctx *ctx, window_reader *local, char **room, char ***out_rows,
                          uint32_t count)
{
    *out_rows = local->rows + local->next;
    if (!local->is_on_disk)
        return KD_OK;
    *out_rows = room;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_row_reader_row(ctx, &local->reader, local->next + i, &room[i]));
    return KD_OK;
}

/* Rows to the end of the page where the next one stands. */
static kd_status page_limit(kd_ctx *ctx, window_reader *local, uint32_t *count)
{
    char *row;
    KD_TRY(kdi_row_reader_row(ctx, &local->reader, local->next, &row));
    uint64_t end = local->reader.first_rows[local->reader.near_page + 1];
    if (end - local->next < *count)
        *count = (uint32_t)(end - local->next);
    return KD_OK;
}

static kd_status window_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    window_op *self = (window_op *)op;
    window_reader *local = object;
    char *room[KD_BATCH_ROWS], **rows;
    if (local->next == local->count)
        KD_TRY(set_collect(ctx, self, local));
    *out_end = local->count == 0;
    if (*out_end)
        return KD_OK;
    uint64_t left = local->count - local->next;
    uint32_t count = left < KD_BATCH_ROWS ? (uint32_t)left : KD_BATCH_ROWS;
    if (local->is_on_disk)
        KD_TRY(page_limit(ctx, local, &count));
    KD_TRY(results_make(ctx, self, local, count));
    KD_TRY(rows_get(ctx, local, room, &rows, count));
    for (uint32_t c = 0; c < self->input_count; c++)
        kdi_rows_gather(&self->layout, c, rows, NULL, count, &local->columns[c]);
    local->next += count;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = op->plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static void window_close(kdi_op *op)
{
    kdi_sorter_clear(&((window_op *)op)->sorter);
}

static const kdi_op_class window_class = {
    .local_create = local_create,
    .local_destroy = local_destroy,
    .next = window_next,
    .sink_create = sink_create,
    .sink_destroy = sink_destroy,
    .sink = window_sink,
    .settle = window_settle,
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
    out->state = kd_alloc(ctx, arena, call->aggregate == NULL ? 16 : call->aggregate->state_bytes);
    if (out->state == NULL)
        return KD_NOMEM;
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
    const kd_plan *plan = self->op.plan;
    return kdi_window_check_offsets(ctx, arena, out,
                                    plan->as.window.order_count == 0
                                        ? kd_type_of(KD_TYPE_INT8)
                                        : plan->as.window.order_by[0].expr->type);
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
    sorter_init(self, ctx->world, &self->sorter);
    self->op.is_serial = true;
    for (uint32_t i = 0; i < self->expr_count; i++)
        self->op.sink_is_serial |= kdi_expr_is_volatile(self->exprs[i]);
    KD_TRY(kdi_build_sink(ctx, pipeline, plan->inputs[0], &self->op));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
