/*
 * Logic with three values, and the forms that choose which argument to evaluate.
 *
 * An argument is evaluated only for rows that still need it: the selection is narrowed, so an error
 * in the right arm of AND is not raised for rows that the left arm has decided.
 */
#include "exec/expr_internal.h"

#include <assert.h>

enum { FALSE_VALUE = 0, TRUE_VALUE = 1, NULL_VALUE = 2 };

/* 0, 1 or 2 per row of the selection. */
static uint8_t truth_at(const kd_vector *vector, uint32_t row)
{
    if (kd_vector_is_null(vector, row))
        return NULL_VALUE;
    char scratch[16];
    return *(const uint8_t *)kd_vector_payload(vector, row, scratch) != 0;
}

static uint16_t row_at(const uint16_t *selection, uint32_t i)
{
    return selection == NULL ? (uint16_t)i : selection[i];
}

/*
 * AND and OR are one another's mirror: `deciding` is the value that ends a row. Rows not decided
 * stay in the selection; a NULL on the way is remembered in the result's validity.
 */
static kd_status connective(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                            const uint16_t *selection, uint32_t count, uint8_t deciding,
                            kd_vector *out)
{
    *out = kdi_node_result(node);
    uint8_t *values = out->values;
    uint16_t *active = node->rows[0];
    uint32_t active_count = count;
    for (uint32_t i = 0; i < count; i++) {
        active[i] = row_at(selection, i);
        values[active[i]] = !deciding;
    }
    for (uint32_t a = 0; a < node->argument_count && active_count > 0; a++) {
        kd_vector argument;
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, active, active_count, &argument));
        uint32_t kept = 0;
        for (uint32_t i = 0; i < active_count; i++) {
            uint16_t row = active[i];
            uint8_t truth = truth_at(&argument, row);
            active[kept] = row;
            kept += truth != deciding;
            if (truth == NULL_VALUE) {
                kd_bit_clear(out->validity, row);
            } else if (truth == deciding) {
                kd_bit_set(out->validity, row);
                values[row] = deciding;
            }
        }
        active_count = kept;
    }
    return KD_OK;
}

kd_status kdi_eval_and(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out)
{
    return connective(ctx, node, frame, selection, count, FALSE_VALUE, out);
}

kd_status kdi_eval_or(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                      uint32_t count, kd_vector *out)
{
    return connective(ctx, node, frame, selection, count, TRUE_VALUE, out);
}

kd_status kdi_select_and(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, uint16_t *out_rows, uint32_t *out_count)
{
    /* A row is kept only when every argument is true, so NULL may end it like false. */
    for (uint32_t a = 0; a < node->argument_count; a++) {
        KD_TRY(kdi_node_select_rows(ctx, node->arguments[a], frame, selection, count, out_rows,
                                    &count));
        selection = out_rows;
        if (count == 0)
            break;
    }
    *out_count = count;
    return KD_OK;
}

kd_status kdi_select_or(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, uint16_t *out_rows, uint32_t *out_count)
{
    uint64_t chosen[KDI_BATCH_WORDS] = {0};
    uint16_t *open = node->rows[0];
    uint16_t *found = node->rows[1];
    for (uint32_t i = 0; i < count; i++)
        open[i] = row_at(selection, i);
    uint32_t open_count = count;
    for (uint32_t a = 0; a < node->argument_count && open_count > 0; a++) {
        uint32_t found_count;
        KD_TRY(kdi_node_select_rows(ctx, node->arguments[a], frame, open, open_count, found,
                                    &found_count));
        for (uint32_t i = 0; i < found_count; i++)
            kd_bit_set(chosen, found[i]);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t row = open[i];
            open[kept] = row;
            kept += !kd_bit_get(chosen, row);
        }
        open_count = kept;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        out_rows[kept] = row;
        kept += kd_bit_get(chosen, row);
    }
    *out_count = kept;
    return KD_OK;
}

kd_status kdi_eval_not(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out)
{
    kd_vector argument;
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, &argument));
    *out = kdi_node_result(node);
    uint8_t *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        uint8_t truth = truth_at(&argument, row);
        values[row] = truth == FALSE_VALUE;
        if (truth == NULL_VALUE)
            kd_bit_clear(out->validity, row);
    }
    return KD_OK;
}

kd_status kdi_eval_is_null(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                           uint32_t count, kd_vector *out)
{
    kd_vector argument;
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, &argument));
    *out = kdi_node_result(node);
    uint8_t *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        values[row] = kd_vector_is_null(&argument, row);
    }
    return KD_OK;
}

kd_status kdi_eval_is_distinct(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                               const uint16_t *selection, uint32_t count, kd_vector *out)
{
    kd_vector a, b;
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, &a));
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[1], frame, selection, count, &b));
    *out = kdi_node_result(node);
    uint8_t *values = out->values;
    _Alignas(16) char scratch[2][16];
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        bool a_is_null = kd_vector_is_null(&a, row);
        bool b_is_null = kd_vector_is_null(&b, row);
        if (a_is_null || b_is_null)
            values[row] = a_is_null != b_is_null;
        else
            values[row] = !kdi_payload_equal(a.type, kd_vector_payload(&a, row, scratch[0]),
                                             kd_vector_payload(&b, row, scratch[1]));
    }
    return KD_OK;
}

uint32_t kdi_rows_subtract(uint16_t *rows, uint32_t count, const uint16_t *taken,
                           uint32_t taken_count)
{
    uint32_t kept = 0, next = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = rows[i];
        if (next < taken_count && taken[next] == row) {
            next++;
            continue;
        }
        rows[kept++] = row;
    }
    assert(next == taken_count);
    return kept;
}

kd_status kdi_eval_case(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, kd_vector *out)
{
    *out = kdi_node_result(node);
    uint16_t *open = node->rows[0];
    uint16_t *taken = node->rows[1];
    for (uint32_t i = 0; i < count; i++)
        open[i] = row_at(selection, i);
    uint32_t open_count = count;
    uint32_t pairs = node->argument_count / 2;
    kd_vector arm;
    for (uint32_t p = 0; p < pairs && open_count > 0; p++) {
        uint32_t taken_count;
        KD_TRY(kdi_node_select_rows(ctx, node->arguments[2 * p], frame, open, open_count, taken,
                                    &taken_count));
        if (taken_count == 0)
            continue;
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[2 * p + 1], frame, taken, taken_count, &arm));
        kdi_vector_copy_rows(&arm, taken, taken_count, out);
        open_count = kdi_rows_subtract(open, open_count, taken, taken_count);
    }
    if (open_count == 0)
        return KD_OK;
    if (node->argument_count % 2 == 1) {
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[node->argument_count - 1], frame, open,
                                 open_count, &arm));
        kdi_vector_copy_rows(&arm, open, open_count, out);
        return KD_OK;
    }
    for (uint32_t i = 0; i < open_count; i++)
        kd_vector_set_null(out, open[i]);
    return KD_OK;
}

kd_status kdi_eval_coalesce(kd_ctx *ctx, kdi_node *node, kdi_frame *frame,
                            const uint16_t *selection, uint32_t count, kd_vector *out)
{
    *out = kdi_node_result(node);
    uint16_t *open = node->rows[0];
    for (uint32_t i = 0; i < count; i++) {
        open[i] = row_at(selection, i);
        kd_vector_set_null(out, open[i]);
    }
    uint32_t open_count = count;
    for (uint32_t a = 0; a < node->argument_count && open_count > 0; a++) {
        kd_vector argument;
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, open, open_count, &argument));
        kdi_vector_copy_rows(&argument, open, open_count, out);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t row = open[i];
            open[kept] = row;
            kept += !kd_bit_get(out->validity, row);
        }
        open_count = kept;
    }
    return KD_OK;
}
