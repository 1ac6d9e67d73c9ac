/*
 * Registers every family of built-in functions.
 */
#include "builtin/builtin.h"

#include "builtin/builtin_internal.h"
#include "builtin/template_internal.h"

static const kdi_family families[] = {
    kdi_register_comparison,
    kdi_register_arithmetic,
    kdi_register_casts,
    kdi_register_aggregates,
    kdi_register_text,
    kdi_register_concat,
    kdi_register_bytes,
    kdi_register_like,
    kdi_register_regexp,
    kdi_register_template_number,
    kdi_register_template_datetime,
    kdi_register_template_read,
    kdi_register_misc,
    kdi_register_json,
    kdi_register_json_make,
    kdi_register_overlaps,
    kdi_register_jsonpath,
    kdi_register_sql_json,
    kdi_register_sql_json_table,
    kdi_register_bits,
    kdi_register_identifier,
    kdi_register_collect,
    kdi_register_approximate,
    kdi_register_moment,
    kdi_register_statistics,
    kdi_register_series,
    kdi_register_array,
    kdi_register_subscript,
    kdi_register_domain,
    kdi_register_math,
    kdi_register_datetime,
    kdi_register_row,
    kdi_register_sample,
    kdi_register_send,
    kdi_register_side_by_side,
    kdi_register_json_record,
};

kd_status kd_builtin_register(kd_ctx *ctx, kd_registry *registry)
{
    for (size_t i = 0; i < KDI_COUNT(families); i++)
        KD_TRY(families[i](ctx, registry));
    return KD_OK;
}

kd_value kdi_arg_value(const kd_call_env *env, const void *const *args, uint32_t index)
{
    kd_value value = kd_value_null(env->argument_types[index]);
    if (args[index] == NULL)
        return value;
    value.is_null = false;
    memcpy(kd_value_payload(&value), args[index], kd_physical_bytes(kd_type_physical(value.type)));
    return value;
}

void kdi_return_value(const kd_value *value, void *result, bool *out_is_null)
{
    *out_is_null = value->is_null;
    if (!value->is_null)
        memcpy(result, &value->as, kd_physical_bytes(kd_type_physical(value->type)));
}

kd_status kdi_arg_padded(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                         uint32_t index, kd_str *out)
{
    kd_value value = kdi_arg_value(env, args, index);
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_value_format(ctx, kdi_settings(env), &value, &text));
    return kdi_return_buffer(out, &text);
}

kd_status kdi_append_argument(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                              uint32_t index, kd_buffer *out)
{
    if (args[index] == NULL)
        return KD_OK;
    kd_type type = env->argument_types[index];
    if (kd_type_is_string(type) && type.id != KD_TYPE_CHAR)
        return kd_buffer_append_slice(ctx, out, kdi_arg_text(args, index));
    kd_value value = kdi_arg_value(env, args, index);
    return kd_value_format(ctx, kdi_settings(env), &value, out);
}

kd_status kdi_value_in_form(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_value *io_value)
{
    kd_type from = io_value->type;
    io_value->type = type;
    if (io_value->is_null || type.id != KD_TYPE_NUMERIC || type.is_array ||
        from.modifier == type.modifier)
        return KD_OK;
    kd_decimal decimal;
    KD_TRY(kd_decimal_from_payload(ctx, arena, from, kd_value_payload(io_value), &decimal));
    if (!kd_numeric_is_fixed(type)) {
        KD_TRY(kd_decimal_to_wide(ctx, arena, &decimal, type, &decimal));
        return kd_decimal_store(ctx, arena, &decimal, &io_value->as.str);
    }
    kd_i128 fixed;
    KD_TRY(kd_decimal_to_fixed(ctx, &decimal, type, &fixed));
    if (kd_type_physical(type) == KD_PHYS_I64)
        io_value->as.i64 = (int64_t)fixed;
    else
        io_value->as.i128 = fixed;
    return KD_OK;
}
