/*
 * Conditions and runtime filters of a scan, and the columns that they need.
 */
#include "exec/scan_select_internal.h"

#include "exec/expr_internal.h"
#include "sql/expr_walk.h"

/* The positions of the plan's columns that the condition names. */
static kd_status step_columns(kd_ctx *ctx, const kd_plan *plan, kd_arena *arena,
                              const kd_expr *condition, uint32_t position_count,
                              kdi_scan_step *step)
{
    kd_id_set ids = {.arena = arena};
    KD_TRY(kd_expr_columns(ctx, condition, &ids));
    step->columns = KD_NEW_ARRAY(ctx, arena, uint32_t, position_count);
    if (step->columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < position_count; c++)
        if (kd_id_set_has(&ids, plan->columns[c].id))
            step->columns[step->column_count++] = c;
    return KD_OK;
}

kd_status kdi_scan_select_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *condition,
                                 uint32_t use_count, uint32_t position_count,
                                 kdi_scan_select *out_select)
{
    bool is_and = condition != NULL && condition->kind == KD_EXPR_AND;
    uint32_t count = condition == NULL ? 0 : is_and ? condition->argument_count : 1;
    *out_select = (kdi_scan_select){
        .arena = arena,
        .position_count = position_count,
        .step_count = count,
        .steps = KD_NEW_ARRAY(ctx, arena, kdi_scan_step, count),
        .use_count = use_count,
        .uses = KD_NEW_ARRAY(ctx, arena, kdi_filter_use, use_count),
        .rows = kd_alloc_raw(ctx, arena, sizeof(uint16_t) * KD_BATCH_ROWS),
        .batch_arena = kd_arena_create(ctx, arena, "scan batch", KD_ARENA_UNLIMITED),
    };
    if (out_select->steps == NULL || out_select->uses == NULL || out_select->rows == NULL ||
        out_select->batch_arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_expr *part = is_and ? condition->arguments[i] : condition;
        kdi_scan_step *step = &out_select->steps[i];
        KD_TRY(step_columns(ctx, op->plan, arena, part, position_count, step));
        KD_TRY(kdi_compile(ctx, op, arena, part, op->plan, &step->condition));
    }
    return KD_OK;
}

static kd_status column_need(kd_ctx *ctx, const kdi_scan_select *select, uint32_t column,
                             const kd_batch *batch)
{
    return kd_scan_reader_column(ctx, select->reader, column, batch->selection,
                                 batch->selected_count, &batch->columns[column]);
}

static void rows_left(kd_batch *batch, const uint16_t *rows, uint32_t count)
{
    batch->selected_count = count;
    batch->selection = count == batch->row_count ? NULL : rows;
}

static kd_status conditions_run(kd_ctx *ctx, kdi_scan_select *select, kd_batch *batch)
{
    kd_arena_reset(select->batch_arena);
    for (uint32_t i = 0; i < select->step_count && batch->selected_count > 0; i++) {
        const kdi_scan_step *step = &select->steps[i];
        uint32_t count;
        for (uint32_t c = 0; c < step->column_count; c++)
            KD_TRY(column_need(ctx, select, step->columns[c], batch));
        KD_TRY(
            kd_expr_select(ctx, step->condition, select->batch_arena, batch, select->rows, &count));
        rows_left(batch, select->rows, count);
    }
    return KD_OK;
}

static bool drops_more(const kdi_filter_use *a, const kdi_filter_use *b)
{
    return (double)a->passed * (double)b->tested < (double)b->passed * (double)a->tested;
}

static void uses_order(kdi_scan_select *select)
{
    for (uint32_t i = 1; i < select->use_count; i++)
        for (uint32_t k = i; k > 0 && drops_more(&select->uses[k], &select->uses[k - 1]); k--) {
            kdi_filter_use use = select->uses[k];
            select->uses[k] = select->uses[k - 1];
            select->uses[k - 1] = use;
        }
}

static kd_status filters_run(kd_ctx *ctx, kdi_scan_select *select, kd_batch *batch)
{
    uses_order(select);
    for (uint32_t i = 0; i < select->use_count && batch->selected_count > 0; i++) {
        kdi_filter_use *use = &select->uses[i];
        uint32_t count;
        if (use->is_off)
            continue;
        KD_TRY(column_need(ctx, select, use->column, batch));
        KD_TRY(kdi_filter_use_select(ctx, select->arena, use, batch, select->rows, &count));
        rows_left(batch, select->rows, count);
    }
    return KD_OK;
}

/* Whether the runtime filters go before the condition: one of them leaves less than half. */
static bool filters_go_first(const kdi_scan_select *select)
{
    for (uint32_t i = 0; i < select->use_count; i++)
        if (!select->uses[i].is_off && select->uses[i].passed * 2 <= select->uses[i].tested)
            return true;
    return false;
}

#define WITHIN_LOOP(value_type)                                             \
    for (uint32_t i = 0; i < count; i++) {                                  \
        uint16_t row = rows[i];                                             \
        int64_t value = ((const value_type *)view->values)[view->index[i]]; \
        bool is_null = kdi_view_is_null(view, i);                           \
        rows[kept] = row;                                                   \
        kept += is_null ? keeps_nulls : value >= low && value <= high;      \
    }                                                                       \
    return kept

/* Of dictionaries, and where NULL stays. */
static uint32_t view_within(const kdi_view *view, int64_t low, int64_t high, bool keeps_nulls,
                            uint16_t *rows, uint32_t count)
{
    uint32_t kept = 0;
    if (view->physical == KD_PHYS_I16) {
        WITHIN_LOOP(int16_t);
    }
    if (view->physical == KD_PHYS_I32) {
        WITHIN_LOOP(int32_t);
    }
    WITHIN_LOOP(int64_t);
}
#undef WITHIN_LOOP

static kd_status bound_run(kd_ctx *ctx, kdi_scan_select *select, kd_batch *batch)
{
    const kd_scan_bound *bound = select->bound;
    if (bound == NULL || !atomic_load_explicit(&bound->is_set, memory_order_acquire))
        return KD_OK;
    int64_t value = atomic_load_explicit(&bound->value, memory_order_relaxed);
    int64_t low = bound->is_least ? value : INT64_MIN, high = bound->is_least ? INT64_MAX : value;
    uint32_t count = batch->selected_count;
    KD_TRY(column_need(ctx, select, select->bound_column, batch));
    const kd_vector *vector = &batch->columns[select->bound_column];
    bool may_keep_nulls = bound->keeps_nulls && vector->validity != NULL;
    if (vector->form != KD_VECTOR_DICT && !may_keep_nulls) {
        count = kdi_rows_within(vector, low, high, batch->selection, count, select->rows);
    } else {
        for (uint32_t i = 0; batch->selection != select->rows && i < count; i++)
            select->rows[i] = (uint16_t)kd_batch_row(batch, i);
        KD_TRY(kdi_view_open(ctx, select->arena, &select->bound_view, vector, select->rows, count));
        count =
            view_within(&select->bound_view, low, high, bound->keeps_nulls, select->rows, count);
    }
    rows_left(batch, select->rows, count);
    return KD_OK;
}

kd_status kdi_scan_select_run(kd_ctx *ctx, kdi_scan_select *select, kd_batch *batch)
{
    bool first = filters_go_first(select);
    KD_TRY(bound_run(ctx, select, batch));
    if (first)
        KD_TRY(filters_run(ctx, select, batch));
    KD_TRY(conditions_run(ctx, select, batch));
    if (!first)
        KD_TRY(filters_run(ctx, select, batch));
    for (uint32_t c = 0; c < select->position_count && batch->selected_count > 0; c++)
        KD_TRY(column_need(ctx, select, c, batch));
    return KD_OK;
}
