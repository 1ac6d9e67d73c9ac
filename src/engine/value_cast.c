/*
 * Casting single values: parameters, COPY's texts, partition bounds.
 */
#include "engine/value_cast.h"

#include <assert.h>

/* Integers into other integers without building an expression: what binding an int64 does most. */
static bool cast_integer(const kd_value *value, kd_type type, kd_value *out)
{
    int64_t number;
    switch (value->type.id) {
    case KD_TYPE_INT2:
        number = value->as.i16;
        break;
    case KD_TYPE_INT4:
        number = value->as.i32;
        break;
    case KD_TYPE_INT8:
        number = value->as.i64;
        break;
    default:
        return false;
    }
    *out = (kd_value){.type = type};
    switch (type.id) {
    case KD_TYPE_INT2:
        out->as.i16 = (int16_t)number;
        return out->as.i16 == number;
    case KD_TYPE_INT4:
        out->as.i32 = (int32_t)number;
        return out->as.i32 == number;
    case KD_TYPE_INT8:
        out->as.i64 = number;
        return true;
    case KD_TYPE_FLOAT8:
        out->as.f64 = (double)number;
        return true;
    default:
        return false;
    }
}

static bool same_form(kd_type a, kd_type b)
{
    return kd_type_same(a, b) && (a.modifier == b.modifier || b.modifier < 0) &&
           kd_type_physical(a) == kd_type_physical(b);
}

kd_status kd_value_cast(kd_ctx *ctx, kd_arena *arena, const kd_registry *registry,
                        const kd_session_facts *facts, const kd_value *value, kd_type type,
                        kd_cast_context context, kd_value *out_value)
{
    *out_value = kd_value_null(type);
    if (value->is_null)
        return KD_OK;
    if (type.id == KD_TYPE_UNKNOWN || same_form(value->type, type))
        return kd_value_copy(ctx, arena, value, out_value);
    if (!value->type.is_array && !type.is_array && cast_integer(value, type, out_value))
        return KD_OK;
    if (kd_type_is_string(value->type) && !kd_type_is_string(type))
        return kd_value_parse(ctx, arena, facts->text, type, kd_str_slice(&value->as.str),
                              out_value);
    if (value->type.id != KD_TYPE_UNKNOWN &&
        !kd_registry_can_coerce(registry, value->type, type, context))
        return KD_FAIL(ctx, KD_INVALID, "42846", "cannot cast type %s to %s",
                       kd_type_internal_name(value->type), kd_type_internal_name(type));
    kd_value typed = *value;
    if (typed.type.id == KD_TYPE_UNKNOWN)
        typed.type = kd_type_of(KD_TYPE_TEXT);
    kd_expr constant = {
        .kind = KD_EXPR_CONSTANT, .type = typed.type, .position = -1, .constant = typed};
    kd_expr *arguments[1] = {&constant};
    kd_expr cast = {.kind = KD_EXPR_CAST,
                    .type = type,
                    .position = -1,
                    .argument_count = 1,
                    .arguments = arguments,
                    .cast = kd_registry_find_cast(registry, typed.type, type, context)};
    kd_compiled_expr *compiled;
    kd_value result;
    KD_TRY(kd_expr_compile(ctx, arena, &cast, NULL, 0, facts, NULL, 0, &compiled));
    KD_TRY(kd_expr_evaluate_row(ctx, compiled, arena, NULL, &result));
    return kd_value_copy(ctx, arena, &result, out_value);
}
