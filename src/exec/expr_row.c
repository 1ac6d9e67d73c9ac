/*
 * Rows as values: making them and taking their fields.
 */
#include "exec/expr_internal.h"

#include "types/record.h"

static uint16_t row_at(const uint16_t *selection, uint32_t i)
{
    return selection == NULL ? (uint16_t)i : selection[i];
}

kd_status kdi_eval_row(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                       uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < node->argument_count; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    *out = kdi_node_result(node);
    kd_value *fields = KD_NEW_ARRAY(ctx, frame->arena, kd_value, node->argument_count);
    if (fields == NULL)
        return KD_NOMEM;
    kd_record_shape shape = {.field_count = node->argument_count,
                             .types = node->env.argument_types,
                             .names = node->expr->field_names};
    kd_str *values = out->values;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        for (uint32_t a = 0; a < node->argument_count; a++)
            fields[a] = kd_vector_get(&node->argument_vectors[a], row);
        KD_TRY(kd_record_make(ctx, frame->arena, &shape, fields, &values[row]));
    }
    return KD_OK;
}

kd_status kdi_eval_field(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                         uint32_t count, kd_vector *out)
{
    kd_vector *rows = &node->argument_vectors[0];
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, rows));
    *out = kdi_node_result(node);
    _Alignas(16) char scratch[16];
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        kd_value field = kd_value_null(node->type);
        if (!kd_vector_is_null(rows, row)) {
            const kd_str *stored = kd_vector_payload(rows, row, scratch);
            KD_TRY(kd_record_get(ctx, kd_str_slice(stored), node->expr->field, node->type, &field));
        }
        kd_vector_set(out, row, &field);
    }
    return KD_OK;
}
