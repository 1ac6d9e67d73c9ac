/*
 * Casts of single values: by a registered cast, by text, or of an array by its elements.
 */
#include "catalog/function.h"
#include "types/array.h"

static bool is_stable_text(kd_type type, bool from_text)
{
    if (type.is_array)
        return true;
    switch (type.id) {
    case KD_TYPE_DATE:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_INTERVAL:
    case KD_TYPE_ENUM:
    case KD_TYPE_RECORD:
        return true;
    case KD_TYPE_TIME:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_TIMESTAMP_NS:
        return from_text; /* 'now' */
    case KD_TYPE_OID:
        return type.object != 0; /* regclass and its kin */
    default:
        return false;
    }
}

static bool has_zone(kd_type type)
{
    return type.id == KD_TYPE_TIMESTAMPTZ || type.id == KD_TYPE_TIMETZ;
}

static bool is_local(kd_type type)
{
    return type.id == KD_TYPE_DATE || type.id == KD_TYPE_TIME || type.id == KD_TYPE_TIMESTAMP;
}

bool kd_cast_is_stable(kd_type from, kd_type to)
{
    if (from.is_array && to.is_array)
        return kd_cast_is_stable(kd_type_element(from), kd_type_element(to));
    if (kd_type_is_string(from) != kd_type_is_string(to))
        return kd_type_is_string(from) ? is_stable_text(to, true) : is_stable_text(from, false);
    if (from.id == KD_TYPE_TIMESTAMPTZ && to.id == KD_TYPE_TIMETZ)
        return true;
    return (is_local(from) && has_zone(to)) || (from.id == KD_TYPE_TIMESTAMPTZ && is_local(to));
}

static kd_status cast_by_text(kd_ctx *ctx, kd_call_env *env, const kd_value *source, kd_type target,
                              kd_value *out)
{
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_reserve(ctx, &text, 16, NULL));
    const kd_text_settings *settings = env->facts == NULL ? NULL : env->facts->text;
    if (kd_type_is_string(source->type)) {
        kd_slice slice = kd_str_slice(&source->as.str);
        return kd_value_parse(ctx, env->arena, settings, target, slice, out);
    }
    kd_text_settings plain; /* What no one sees is in the forms that read back the same. */
    if (settings != NULL && !kd_type_is_string(target)) {
        plain = *settings;
        plain.date_style = KD_DATE_STYLE_ISO;
        plain.interval_style = KD_INTERVAL_STYLE_POSTGRES;
        settings = &plain;
    }
    KD_TRY(kd_value_format(ctx, settings, source, &text));
    return kd_value_parse(ctx, env->arena, settings, target, kd_buffer_slice(&text), out);
}

static kd_status cast_elements(kd_ctx *ctx, kd_call_env *env, const kd_cast *cast,
                               const kd_value *source, kd_type target, kd_value *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, source->type, kd_str_slice(&source->as.str), &array));
    kd_type element_type = kd_type_element(target);
    kd_value *elements = KD_NEW_ARRAY(ctx, env->arena, kd_value, array.count);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        KD_TRY(kd_cast_value(ctx, env, cast, &element, element_type, &elements[i]));
    }
    *out = (kd_value){.type = target};
    return kd_array_make_shaped(ctx, env->arena, element_type, &array.shape, elements,
                                &out->as.str);
}

kd_status kd_cast_value(kd_ctx *ctx, kd_call_env *env, const kd_cast *cast, const kd_value *source,
                        kd_type target_type, kd_value *out)
{
    *out = kd_value_null(target_type);
    if (source->is_null)
        return KD_OK;
    if (source->type.is_array && target_type.is_array)
        return cast_elements(ctx, env, cast, source, target_type, out);
    if (cast == NULL)
        return cast_by_text(ctx, env, source, target_type, out);
    kd_value result = {.type = target_type};
    if (cast->no_work) {
        result.as = source->as;
    } else {
        const void *args[1] = {&source->as};
        kd_type argument_type = source->type;
        kd_call_env own = *env;
        own.argument_types = &argument_type;
        own.result_type = target_type;
        own.data = NULL;
        if (cast->row != NULL) {
            KD_TRY(cast->row(ctx, &own, args, &result.as, &result.is_null));
        } else {
            kd_value copy = *source;
            kd_vector in = {.type = argument_type,
                            .physical = (uint8_t)kd_type_physical(argument_type),
                            .form = KD_VECTOR_CONSTANT,
                            .values = &copy.as};
            kd_vector out_vector = {.type = target_type,
                                    .physical = (uint8_t)kd_type_physical(target_type),
                                    .values = &result.as};
            KD_TRY(cast->vector(ctx, &own, &in, NULL, 1, &out_vector));
        }
    }
    *out = result;
    return KD_OK;
}
