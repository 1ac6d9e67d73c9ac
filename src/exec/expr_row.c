/*
 * Rows as values: making them and taking their fields; calls with as many arguments as an array has
 * elements.
 */
#include "exec/expr_internal.h"

#include "types/array.h"
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

/* ---- VARIADIC ---- */

static kd_status spread_one(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, uint16_t row,
                            kd_vector *out)
{
    uint32_t fixed = node->argument_count - 1;
    const kd_vector *arrays = &node->argument_vectors[fixed];
    if (kd_vector_is_null(arrays, row)) {
        kd_vector_set_null(out, row);
        return KD_OK;
    }
    kd_array array;
    _Alignas(16) char room[16];
    const kd_str *stored = kd_vector_payload(arrays, row, room);
    KD_TRY(kd_array_open(ctx, arrays->type, kd_str_slice(stored), &array));
    uint32_t count = fixed + array.count;
    const void **args = KD_NEW_ARRAY(ctx, frame->arena, const void *, count);
    kd_type *types = KD_NEW_ARRAY(ctx, frame->arena, kd_type, count);
    kd_value *elements = KD_NEW_ARRAY(ctx, frame->arena, kd_value, array.count);
    if (args == NULL || types == NULL || elements == NULL)
        return KD_NOMEM;
    for (uint32_t a = 0; a < count; a++) {
        if (a < fixed) {
            types[a] = node->arguments[a]->type;
            if (!kd_vector_is_null(&node->argument_vectors[a], row))
                args[a] =
                    kd_vector_payload(&node->argument_vectors[a], row, node->scratch + 16 * a);
            continue;
        }
        types[a] = array.element_type;
        elements[a - fixed] = kd_array_get(&array, a - fixed);
        if (!elements[a - fixed].is_null)
            args[a] = &elements[a - fixed].as;
    }
    for (uint32_t a = 0; a < count && node->strict; a++)
        if (args[a] == NULL) {
            kd_vector_set_null(out, row);
            return KD_OK;
        }
    node->env.argument_count = count;
    node->env.argument_types = types;
    memset(node->env.argument_is_constant, 0, sizeof node->env.argument_is_constant);
    _Alignas(16) char result[16] = {0};
    bool is_null = false;
    KD_TRY(node->row(ctx, &node->env, args, result, &is_null));
    kd_value value = kd_value_null(node->type);
    value.is_null = is_null;
    if (!is_null)
        memcpy(&value.as, result, kd_physical_bytes(kd_type_physical(node->type)));
    kd_vector_set(out, row, &value);
    return KD_OK;
}

kd_status kdi_eval_spread(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                          uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < node->argument_count; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    node->env.arena = frame->arena;
    *out = kdi_node_result(node);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(spread_one(ctx, node, frame, row_at(selection, i), out));
    return KD_OK;
}
