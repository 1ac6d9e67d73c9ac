/*
 * CTE_SCAN, RECURSIVE and WORKING_SCAN: rows that are made once and read from several places.
 *
 * A CTE is built in the main execution when the first reader is built, and run when the first
 * reader starts. A recursion keeps the rows of its last round where the step's WORKING_SCAN finds
 * them; each round is a run of the step's plan by itself.
 */
#include "exec/keep_internal.h"
#include "exec/seen_set_internal.h"

#include <assert.h>

enum { PLAN_DEPTH_MAX = 1000 };

struct kdi_cte {
    kdi_keep *keep;
    kdi_pipeline *pipeline;
};

struct kdi_working {
    const kdi_row_store *store;
};

static kd_status cte_ensure(kd_ctx *ctx, kdi_shared *shared, uint32_t no, struct kdi_cte **out_cte)
{
    *out_cte = NULL;
    if (no >= shared->plan->cte_count)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "there is no CTE %u", no);
    if (shared->ctes[no] == NULL) {
        kd_execution *exec = shared->main;
        const kd_plan *plan = shared->plan->ctes[no];
        struct kdi_cte *cte = KD_NEW(ctx, exec->arena, struct kdi_cte);
        if (cte == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_keep_create(ctx, exec, plan, plan, &cte->keep));
        KD_TRY(kdi_pipeline_create(ctx, exec, &cte->pipeline));
        KD_TRY(kdi_build(ctx, cte->pipeline, plan));
        cte->pipeline->sink = &cte->keep->op;
        shared->ctes[no] = cte;
    }
    *out_cte = shared->ctes[no];
    return KD_OK;
}

static kd_status ctes_need(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan, uint32_t depth)
{
    if (plan == NULL)
        return KD_OK;
    if (depth > PLAN_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "the plan is nested too deeply");
    if (plan->kind == KD_PLAN_CTE_SCAN) {
        struct kdi_cte *cte;
        KD_TRY(cte_ensure(ctx, pipeline->exec->shared, plan->as.cte.cte_no, &cte));
        return kdi_pipeline_need(ctx, pipeline, cte->pipeline);
    }
    for (uint32_t i = 0; i < plan->more_count; i++)
        KD_TRY(ctes_need(ctx, pipeline, plan->more[i], depth + 1));
    KD_TRY(ctes_need(ctx, pipeline, plan->inputs[0], depth + 1));
    return ctes_need(ctx, pipeline, plan->inputs[1], depth + 1);
}

kd_status kdi_need_ctes(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    return ctes_need(ctx, pipeline, plan, 0);
}

/* ---- Reading a store ---- */

typedef struct store_op {
    kdi_op op;
    struct kdi_cte *cte;        /* CTE_SCAN */
    const kdi_row_store *store; /* Set at open. */
    const uint32_t *positions;  /* NULL: the same order. */
    atomic_uint next_page;
} store_op;

typedef struct store_local {
    kd_vector *columns;
    char **rows;
    kdi_row_reader reader;
    kdi_row_cursor cursor;
    bool has_page;
} store_local;

static kd_status store_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    store_local *local = KD_NEW(ctx, arena, store_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_reader_init(&local->reader, ctx->world, ((store_op *)op)->store);
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (local->rows == NULL)
        return KD_NOMEM;
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

static void store_local_destroy(kdi_op *op, void *object)
{
    (void)op;
    kdi_row_reader_clear(&((store_local *)object)->reader);
}

static kd_status store_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    store_op *self = (store_op *)op;
    store_local *local = object;
    const kdi_row_store *store = self->store;
    uint32_t count = 0;
    while (count == 0) {
        if (!local->has_page || local->cursor.row >= store->pages[local->cursor.page].row_count) {
            local->cursor = (kdi_row_cursor){.page = atomic_fetch_add(&self->next_page, 1)};
            local->has_page = local->cursor.page < store->page_count;
            *out_end = !local->has_page;
            if (*out_end)
                return KD_OK;
        }
        const kdi_page *page;
        KD_TRY(kdi_row_reader_page(ctx, &local->reader, local->cursor.page, &page));
        while (count < KD_BATCH_ROWS && local->cursor.row < page->row_count)
            local->rows[count++] = kdi_page_row(store, page, local->cursor.row++);
    }
    for (uint32_t c = 0; c < op->plan->column_count; c++)
        kdi_rows_gather(store->layout, self->positions == NULL ? c : self->positions[c],
                        local->rows, NULL, count, &local->columns[c]);
    *out_end = false;
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = op->plan->column_count,
                      .columns = local->columns};
    return KD_OK;
}

static double store_rows(kdi_op *op)
{
    store_op *self = (store_op *)op;
    return self->store == NULL ? 0 : (double)self->store->row_count;
}

static kd_status cte_open(kd_ctx *ctx, kdi_op *op)
{
    (void)ctx;
    store_op *self = (store_op *)op;
    self->store = &self->cte->keep->store;
    return KD_OK;
}

static const kdi_op_class cte_class = {
    .open = cte_open,
    .local_create = store_local_create,
    .local_destroy = store_local_destroy,
    .next = store_next,
    .rows = store_rows,
};

kd_status kdi_build_cte_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    store_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &cte_class, sizeof *self, &self));
    KD_TRY(cte_ensure(ctx, pipeline->exec->shared, plan->as.cte.cte_no, &self->cte));
    self->positions = plan->as.cte.source_positions;
    KD_TRY(kdi_pipeline_need(ctx, pipeline, self->cte->pipeline));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

static kd_status working_open(kd_ctx *ctx, kdi_op *op)
{
    store_op *self = (store_op *)op;
    const kdi_shared *shared = op->exec->shared;
    uint32_t no = op->plan->as.working.working_no;
    if (no > shared->plan->working_count || shared->workings[no] == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a recursive reference outside of a recursion");
    self->store = shared->workings[no]->store;
    return KD_OK;
}

static const kdi_op_class working_class = {
    .open = working_open,
    .local_create = store_local_create,
    .local_destroy = store_local_destroy,
    .next = store_next,
    .rows = store_rows,
};

kd_status kdi_build_working_scan(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    store_op *self;
    KD_TRY(kdi_op_create(ctx, pipeline->exec, plan, &working_class, sizeof *self, &self));
    self->op.is_serial = true;
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}

/* ---- Recursion ---- */

typedef struct recursive_op {
    kdi_op op;
    kdi_row_layout layout;   /* With a header, for the table of rows seen. */
    kdi_row_store rounds[2]; /* The rows that the step reads, and those that it makes. */
    kdi_seen_set seen;       /* UNION: all rows so far. */
    uint32_t current;        /* Which of `rounds` the step reads. */
    bool is_started;
} recursive_op;

typedef struct recursive_local {
    kd_arena *arena;
    kdi_appender appender;
    kd_vector *columns;
    char **rows;
    uint64_t *hashes;
    kd_execution *side; /* The side that runs; NULL between rounds. */
    kd_arena *side_arena;
} recursive_local;

static kd_status recursive_local_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    recursive_local *local = KD_NEW(ctx, arena, recursive_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    local->arena = arena;
    local->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    local->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    if (local->rows == NULL || local->hashes == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_appender_init(ctx, arena, op->plan->column_count, &local->appender));
    return kdi_columns_create(ctx, arena, op->plan, &local->columns);
}

/* UNION: only the rows that are new, also for `out`. */
static kd_status round_add_new(kd_ctx *ctx, recursive_op *self, recursive_local *local,
                               kdi_row_store *next, const kd_batch *batch, kd_batch *out)
{
    uint32_t count = batch->selected_count;
    kdi_view *views = local->appender.views;
    KD_TRY(kdi_views_open(ctx, local->arena, views, self->layout.column_count, batch->columns,
                          batch->selection, count));
    memset(local->hashes, 0, count * sizeof *local->hashes);
    for (uint32_t c = 0; c < self->layout.column_count; c++)
        kdi_view_hash(&views[c], count, c > 0, local->hashes);
    uint16_t fresh[KD_BATCH_ROWS];
    uint32_t fresh_count, appended;
    KD_TRY(kdi_seen_set_add(ctx, &self->seen, views, local->hashes, count, fresh, &fresh_count));
    KD_TRY(
        kdi_row_store_append(ctx, next, views, fresh, fresh_count, true, local->rows, &appended));
    kdi_batch_gather(&self->layout, local->rows, appended, local->columns, out);
    return KD_OK;
}

static kd_status side_begin(kd_ctx *ctx, recursive_op *self, recursive_local *local)
{
    const kd_plan *plan = self->op.plan->inputs[self->is_started ? 1 : 0];
    self->is_started = true;
    local->side_arena = kd_arena_create(ctx, local->arena, "round", KD_ARENA_UNLIMITED);
    if (local->side_arena == NULL)
        return KD_NOMEM;
    return kdi_sub_execution_create(ctx, local->side_arena, self->op.exec, plan,
                                    &self->op.exec->scope, &local->side);
}

static void side_end(recursive_local *local)
{
    kd_execution_destroy(local->side);
    if (local->side_arena != NULL)
        kd_arena_destroy(local->side_arena);
    local->side = NULL;
    local->side_arena = NULL;
}

static void recursive_local_destroy(kdi_op *op, void *object)
{
    (void)op;
    side_end(object);
}

/* The step's WORKING_SCAN finds the current round while the side runs. */
static kd_status side_next(kd_ctx *ctx, recursive_op *self, recursive_local *local, kd_batch *out,
                           bool *out_end)
{
    kdi_shared *shared = self->op.exec->shared;
    uint32_t no = self->op.plan->as.recursive.working_no;
    struct kdi_working working = {.store = &self->rounds[self->current]};
    struct kdi_working *before = shared->workings[no];
    shared->workings[no] = &working;
    kd_status status = KD_OK;
    if (local->side == NULL)
        status = side_begin(ctx, self, local);
    if (status == KD_OK)
        status = kd_execution_next(ctx, local->side, out, out_end);
    shared->workings[no] = before;
    return status;
}

/* Rows are handed on as they are made: a LIMIT above ends a recursion that has no end of its own.
 */
static kd_status recursive_next(kd_ctx *ctx, kdi_op *op, void *object, kd_batch *out, bool *out_end)
{
    recursive_op *self = (recursive_op *)op;
    recursive_local *local = object;
    for (;;) {
        kdi_row_store *next = &self->rounds[!self->current];
        bool side_has_ended = false;
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(side_next(ctx, self, local, out, &side_has_ended));
        if (!side_has_ended) {
            kd_batch batch = *out;
            KD_TRY(kdi_keep_make_room(ctx, next));
            if (op->plan->as.recursive.all)
                return kdi_appender_add(ctx, &local->appender, next, &batch);
            KD_TRY(round_add_new(ctx, self, local, next, &batch, out));
            if (out->selected_count > 0)
                return KD_OK;
            continue;
        }
        side_end(local);
        *out_end = next->row_count == 0;
        if (*out_end)
            return KD_OK;
        kdi_row_store_clear(ctx->world, &self->rounds[self->current]);
        self->current = !self->current;
    }
}

static void recursive_close(kdi_op *op)
{
    recursive_op *self = (recursive_op *)op;
    for (int i = 0; i < 2; i++)
        kdi_row_store_clear(op->exec->world, &self->rounds[i]);
    kdi_seen_set_clear(&self->seen);
}

static const kdi_op_class recursive_class = {
    .local_create = recursive_local_create,
    .local_destroy = recursive_local_destroy,
    .next = recursive_next,
    .close = recursive_close,
};

kd_status kdi_build_recursive(kd_ctx *ctx, kdi_pipeline *pipeline, const kd_plan *plan)
{
    recursive_op *self;
    kd_execution *exec = pipeline->exec;
    KD_TRY(kdi_op_create(ctx, exec, plan, &recursive_class, sizeof *self, &self));
    self->op.is_serial = true;
    kd_type *types;
    KD_TRY(kdi_plan_types(ctx, exec->arena, plan, &types));
    KD_TRY(
        kdi_row_layout_init(ctx, exec->arena, types, plan->column_count, true, 0, &self->layout));
    for (int i = 0; i < 2; i++)
        kdi_row_store_init(&self->rounds[i], self->op.budget, &self->layout);
    KD_TRY(kdi_seen_set_init(ctx, exec->arena, &self->seen, self->op.budget, &self->layout));
    KD_TRY(kdi_need_ctes(ctx, pipeline, plan->inputs[0]));
    KD_TRY(kdi_need_ctes(ctx, pipeline, plan->inputs[1]));
    return kdi_pipeline_add(ctx, pipeline, &self->op);
}
