/*
 * Calls of functions and casts: NULLs of strict functions, FLAT arguments for vector functions,
 * payload pointers for row functions.
 */
#include "exec/expr_internal.h"

#include "types/array.h"

#include <assert.h>

static uint16_t row_at(const uint16_t *selection, uint32_t i)
{
    return selection == NULL ? (uint16_t)i : selection[i];
}

/* Clears the bits of rows in which the argument is NULL. */
static void nulls_merge(const kd_vector *argument, const uint16_t *selection, uint32_t count,
                        uint64_t *validity)
{
    if ((argument->form == KD_VECTOR_FLAT || argument->form == KD_VECTOR_FRAME)) {
        if (argument->validity == NULL)
            return;
        for (uint32_t w = 0; w < KDI_BATCH_WORDS; w++) {
            uint32_t first = w * 64;
            if (selection == NULL && first >= count)
                break;
            if (selection != NULL && count > 0 && first > selection[count - 1])
                break;
            validity[w] &= argument->validity[w];
        }
        return;
    }
    if (argument->form == KD_VECTOR_DICT && argument->dictionary->validity == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        if (kd_vector_is_null(argument, row))
            kd_bit_clear(validity, row);
    }
}

static bool arguments_may_be_null(const kdi_node *node)
{
    for (uint32_t i = 0; i < node->argument_count; i++) {
        const kd_vector *argument = &node->argument_vectors[i];
        const uint64_t *validity =
            argument->form == KD_VECTOR_DICT ? argument->dictionary->validity : argument->validity;
        if (validity != NULL && !(argument->form == KD_VECTOR_CONSTANT && kd_bit_get(validity, 0)))
            return true;
    }
    return false;
}

/* Rows without a NULL argument into `rows`; the others become NULL in `out`. */
static uint32_t nulls_exclude(kdi_node *node, const uint16_t *selection, uint32_t count,
                              kd_vector *out, uint16_t *rows)
{
    for (uint32_t i = 0; i < node->argument_count; i++)
        nulls_merge(&node->argument_vectors[i], selection, count, out->validity);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(selection, i);
        rows[kept] = row;
        kept += kd_bit_get(out->validity, row);
    }
    return kept;
}

static kd_status rows_call(kd_ctx *ctx, kdi_node *node, const uint16_t *rows, uint32_t count,
                           kd_vector *out)
{
    size_t bytes = kd_physical_bytes((kd_physical)out->physical);
    uint32_t argument_count = node->argument_count;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = row_at(rows, i);
        for (uint32_t a = 0; a < argument_count; a++) {
            const kd_vector *argument = &node->argument_vectors[a];
            node->payloads[a] = !node->strict && kd_vector_is_null(argument, row)
                                    ? NULL
                                    : kd_vector_payload(argument, row, node->scratch + 16 * a);
        }
        _Alignas(16) char result[16] = {0};
        bool is_null = false;
        KD_TRY(node->row(ctx, &node->env, node->payloads, result, &is_null));
        if (is_null)
            kd_vector_set_null(out, row);
        else
            memcpy((char *)out->values + row * bytes, result, bytes);
    }
    return KD_OK;
}

static kd_status vector_call(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *rows,
                             uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < node->argument_count; a++) {
        const kd_vector *argument = &node->argument_vectors[a];
        if (argument->form == KD_VECTOR_FLAT || argument->form == KD_VECTOR_CONSTANT)
            node->flat_arguments[a] = *argument;
        else
            KD_TRY(kd_vector_flatten(ctx, frame->arena, argument, rows, count,
                                     frame->input->row_count, &node->flat_arguments[a]));
    }
    return node->vector(ctx, &node->env, node->flat_arguments, rows, count, out);
}

kd_status kdi_eval_call(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                        uint32_t count, kd_vector *out)
{
    for (uint32_t a = 0; a < node->argument_count; a++)
        KD_TRY(kdi_node_evaluate(ctx, node->arguments[a], frame, selection, count,
                                 &node->argument_vectors[a]));
    node->env.arena = frame->arena;
    *out = kdi_node_result(node);
    const uint16_t *rows = selection;
    uint32_t row_count = count;
    if (node->strict && arguments_may_be_null(node)) {
        row_count = nulls_exclude(node, selection, count, out, node->rows[0]);
        rows = node->rows[0];
    }
    if (row_count == 0)
        return KD_OK;
    if (node->vector != NULL)
        return vector_call(ctx, node, frame, rows, row_count, out);
    return rows_call(ctx, node, rows, row_count, out);
}

kd_status kdi_call_one(kd_ctx *ctx, kdi_node *node, const kd_function *function,
                       const void *const *args, void *result, bool *out_is_null)
{
    *out_is_null = false;
    if (function->row != NULL)
        return function->row(ctx, &node->env, args, result, out_is_null);
    kd_vector vectors[KD_FUNCTION_ARGUMENTS_MAX];
    uint64_t valid = 1;
    assert(node->env.argument_count <= KD_FUNCTION_ARGUMENTS_MAX);
    for (uint32_t i = 0; i < node->env.argument_count; i++) {
        kd_type type = node->env.argument_types[i];
        vectors[i] = (kd_vector){.type = type,
                                 .physical = (uint8_t)kd_type_physical(type),
                                 .form = KD_VECTOR_CONSTANT,
                                 .values = (void *)(uintptr_t)args[i],
                                 .validity = NULL};
    }
    kd_vector out = {.type = node->env.result_type,
                     .physical = (uint8_t)kd_type_physical(node->env.result_type),
                     .form = KD_VECTOR_FLAT,
                     .values = result,
                     .validity = &valid};
    KD_TRY(function->vector(ctx, &node->env, vectors, NULL, 1, &out));
    *out_is_null = (valid & 1) == 0;
    return KD_OK;
}

/* ---- Casts ---- */

/* The same physical value under another type. */
kd_status kdi_eval_retype(kd_ctx *ctx, kdi_node *node, kdi_frame *frame, const uint16_t *selection,
                          uint32_t count, kd_vector *out)
{
    KD_TRY(kdi_node_evaluate(ctx, node->arguments[0], frame, selection, count, out));
    assert(out->physical == node->result.physical);
    out->type = node->type;
    return KD_OK;
}

/* By text, or of an array's elements. */
static kd_status value_cast_row(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                void *result, bool *out_is_null)
{
    kd_value source = {.type = env->argument_types[0]}, target;
    memcpy(&source.as, args[0], kd_physical_bytes(kd_type_physical(source.type)));
    KD_TRY(kd_cast_value(ctx, env, env->data, &source, env->result_type, &target));
    *out_is_null = target.is_null;
    memcpy(result, &target.as, kd_physical_bytes(kd_type_physical(env->result_type)));
    return KD_OK;
}

kd_status kdi_cast_prepare(kd_ctx *ctx, kdi_node *node)
{
    const kd_cast *cast = node->expr->cast;
    kd_type from = node->arguments[0]->type;
    kd_type to = node->type;
    node->strict = true;
    node->eval = kdi_eval_call;
    if (from.id == KD_TYPE_RECORD && to.id == KD_TYPE_RECORD && to.object == 0) {
        node->eval = kdi_eval_retype;
        return KD_OK;
    }
    if (from.is_array && to.is_array) {
        bool is_same = from.id == to.id && from.object == to.object &&
                       (to.modifier == from.modifier ||
                        (to.modifier == -1 && kd_type_physical(kd_type_element(from)) ==
                                                  kd_type_physical(kd_type_element(to))));
        if (is_same)
            node->eval = kdi_eval_retype;
        node->row = value_cast_row;
        node->env.data = cast;
        return KD_OK;
    }
    if (cast == NULL) {
        node->row = value_cast_row;
        return KD_OK;
    }
    if (cast->no_work && kd_type_physical(from) == kd_type_physical(to)) {
        node->eval = kdi_eval_retype;
        return KD_OK;
    }
    node->row = cast->row;
    node->vector = cast->vector;
    if (node->row == NULL && node->vector == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a cast has no function");
    return KD_OK;
}
