/*
 * How many first rows of each partition a condition above a window lets pass.
 */
#include "plan/plan_internal.h"

/* Calls whose values at a row follow from the rows before it and its equals. */
static bool is_place(const kd_window_call *call)
{
    return call->aggregate == NULL && (kd_slice_equal(call->name, KD_SLICE("row_number")) ||
                                       kd_slice_equal(call->name, KD_SLICE("rank")));
}

static bool is_of_rows_before(const kd_window_call *call)
{
    return is_place(call) ||
           (call->aggregate == NULL && kd_slice_equal(call->name, KD_SLICE("dense_rank")));
}

/* The last place that `place op constant` allows. */
static bool last_place(const kd_rel *window, const kd_expr *condition, int64_t *out)
{
    if (condition->kind != KD_EXPR_CALL || condition->argument_count != 2)
        return false;
    for (int side = 0; side < 2; side++) {
        const kd_expr *column = condition->arguments[side];
        const kd_expr *constant = condition->arguments[1 - side];
        kd_scan_test test;
        if (column->kind != KD_EXPR_COLUMN || constant->kind != KD_EXPR_CONSTANT ||
            constant->constant.is_null ||
            !kdi_scan_test_of(condition->function->name, side == 1, &test) ||
            !kdi_constant_integer(&constant->constant, out))
            continue;
        if (test == KD_SCAN_LESS && *out > INT64_MIN)
            --*out;
        else if (test != KD_SCAN_LESS_EQUAL && test != KD_SCAN_EQUAL)
            continue;
        for (uint32_t i = 0; i < window->as.window.call_count; i++)
            if (window->as.window.calls[i].output == column->column)
                return is_place(&window->as.window.calls[i]);
    }
    return false;
}

void kdi_note_first_rows(kd_rel *window, const kdi_conditions *conditions)
{
    for (uint32_t i = 0; i < window->as.window.call_count; i++)
        if (!is_of_rows_before(&window->as.window.calls[i]))
            return;
    for (size_t i = 0; i < conditions->count; i++) {
        int64_t last;
        uint64_t *top = &window->as.window.top_count;
        if (last_place(window, conditions->items[i], &last) && last > 0 &&
            (*top == 0 || (uint64_t)last < *top))
            *top = (uint64_t)last;
    }
}
