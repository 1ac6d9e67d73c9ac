/*
 * Keeping all rows of an input; on disk when memory is short.
 */
#include "exec/keep_internal.h"

kd_status kdi_appender_init(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                            kdi_appender *out_appender)
{
    *out_appender = (kdi_appender){
        .arena = arena,
        .views = KD_NEW_ARRAY(ctx, arena, kdi_view, column_count),
        .rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS),
    };
    return out_appender->views == NULL || out_appender->rows == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_appender_add(kd_ctx *ctx, kdi_appender *appender, kdi_row_store *store,
                           const kd_batch *batch)
{
    KD_TRY(kdi_views_open(ctx, appender->arena, appender->views, store->layout->column_count,
                          batch->columns, batch->selection, batch->selected_count));
    uint32_t appended;
    return kdi_row_store_append(ctx, store, appender->views, NULL, batch->selected_count, true,
                                appender->rows, &appended);
}

kd_status kdi_keep_make_room(kd_ctx *ctx, kdi_row_store *store)
{
    enum { PAGES_MIN = 2 };
    if (store->page_count - store->spilled_count < PAGES_MIN ||
        !kdi_budget_is_tight(store->budget, 0))
        return KD_OK;
    return kdi_row_store_spill(ctx, store, true);
}

typedef struct keep_local {
    kdi_row_store store;
    kdi_appender appender;
} keep_local;

static kd_status keep_sink_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, void **out_local)
{
    kdi_keep *self = (kdi_keep *)op;
    keep_local *local = KD_NEW(ctx, arena, keep_local);
    *out_local = local;
    if (local == NULL)
        return KD_NOMEM;
    kdi_row_store_init(&local->store, op->budget, &self->layout);
    return kdi_appender_init(ctx, arena, self->layout.column_count, &local->appender);
}

static void keep_sink_destroy(kdi_op *op, void *object)
{
    keep_local *local = object;
    kdi_row_store_clear(op->exec->world, &local->store);
}

static kd_status keep_sink(kd_ctx *ctx, kdi_op *op, void *object, const kd_batch *in,
                           kdi_flow *out_flow)
{
    (void)op;
    keep_local *local = object;
    *out_flow = KDI_NEED_INPUT;
    KD_TRY(kdi_keep_make_room(ctx, &local->store));
    return kdi_appender_add(ctx, &local->appender, &local->store, in);
}

static kd_status keep_combine(kd_ctx *ctx, kdi_op *op, void *object)
{
    kdi_keep *self = (kdi_keep *)op;
    keep_local *local = object;
    return kdi_row_store_move(ctx, &self->store, &local->store);
}

static void keep_close(kdi_op *op)
{
    kdi_row_store_clear(op->exec->world, &((kdi_keep *)op)->store);
}

static const kdi_op_class keep_class = {
    .sink_create = keep_sink_create,
    .sink_destroy = keep_sink_destroy,
    .sink = keep_sink,
    .combine = keep_combine,
    .close = keep_close,
};

kd_status kdi_keep_create(kd_ctx *ctx, kd_execution *exec, const kd_plan *owner,
                          const kd_plan *input, kdi_keep **out_keep)
{
    kdi_keep *self;
    *out_keep = NULL;
    KD_TRY(kdi_op_create(ctx, exec, owner, &keep_class, sizeof *self, &self));
    kd_type *types;
    KD_TRY(kdi_plan_types(ctx, exec->arena, input, &types));
    KD_TRY(
        kdi_row_layout_init(ctx, exec->arena, types, input->column_count, false, 0, &self->layout));
    kdi_row_store_init(&self->store, self->op.budget, &self->layout);
    *out_keep = self;
    return KD_OK;
}
