/*
 * JSON made of text arrays, and JSON changed as a whole: json_object, json_strip_nulls,
 * jsonb_set_lax.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/json.h"
#include "types/jsonb.h"

static kd_status return_json(kd_ctx *ctx, kd_call_env *env, const kd_buffer *text, void *result)
{
    kd_slice made = kd_buffer_slice(text);
    if (env->result_type.id == KD_TYPE_JSONB)
        KD_TRY(kd_jsonb_parse(ctx, env->arena, made, &made));
    return kdi_return_text(result, made);
}

/* --- json_object ------------------------------------------------------------------------------ */

static kd_status subscripts_fail(kd_ctx *ctx, const char *message)
{
    return KD_FAIL(ctx, KD_INVALID, "2202E", "%s", message);
}

static kd_status append_pair(kd_ctx *ctx, const kd_value *key, const kd_value *value,
                             kd_buffer *out)
{
    if (key->is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "null value not allowed for object key");
    if (out->size_bytes > 1)
        KD_TRY(kd_buffer_append_text(ctx, out, ", "));
    KD_TRY(kd_json_append_string(ctx, kdi_value_text(key), out));
    KD_TRY(kd_buffer_append_text(ctx, out, " : "));
    return value->is_null ? kd_buffer_append_text(ctx, out, "null")
                          : kd_json_append_string(ctx, kdi_value_text(value), out);
}

/* '{key, value, ...}' or '{{key, value}, ...}' */
static kd_status check_pairs(kd_ctx *ctx, const kd_array *array)
{
    const kd_array_shape *shape = &array->shape;
    if (shape->dimensions > 2)
        return subscripts_fail(ctx, "wrong number of array subscripts");
    if (shape->dimensions == 1 && shape->lengths[0] % 2 != 0)
        return subscripts_fail(ctx, "array must have even number of elements");
    if (shape->dimensions == 2 && shape->lengths[1] != 2)
        return subscripts_fail(ctx, "array must have two columns");
    return KD_OK;
}

KDI_ROW(object_of_pairs)
{
    kd_array array;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_array_open(ctx, env->argument_types[0], kdi_arg_text(args, 0), &array));
    KD_TRY(check_pairs(ctx, &array));
    KD_TRY(kd_buffer_append_byte(ctx, &text, '{'));
    for (uint32_t i = 0; i + 1 < array.count; i += 2) {
        kd_value key = kd_array_get(&array, i), value = kd_array_get(&array, i + 1);
        KD_TRY(append_pair(ctx, &key, &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, '}'));
    return return_json(ctx, env, &text, result);
}

KDI_ROW(object_of_arrays)
{
    kd_array keys, values;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_array_open(ctx, env->argument_types[0], kdi_arg_text(args, 0), &keys));
    KD_TRY(kd_array_open(ctx, env->argument_types[1], kdi_arg_text(args, 1), &values));
    if (keys.shape.dimensions > 1 || keys.shape.dimensions != values.shape.dimensions)
        return subscripts_fail(ctx, "wrong number of array subscripts");
    if (keys.count != values.count)
        return subscripts_fail(ctx, "mismatched array dimensions");
    KD_TRY(kd_buffer_append_byte(ctx, &text, '{'));
    for (uint32_t i = 0; i < keys.count; i++) {
        kd_value key = kd_array_get(&keys, i), value = kd_array_get(&values, i);
        KD_TRY(append_pair(ctx, &key, &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, '}'));
    return return_json(ctx, env, &text, result);
}

/* --- json_strip_nulls ------------------------------------------------------------------------- */

static bool ends_open(const kd_buffer *out)
{
    char last = out->size_bytes == 0 ? '[' : out->data[out->size_bytes - 1];
    return last == '[' || last == '{' || last == ':';
}

/* Writes the text again without blanks, and without the members that are null. */
KDI_ROW(strip_nulls)
{
    kd_slice source = kdi_arg_text(args, 0);
    kd_buffer out = kd_buffer_in(env->arena);
    kd_json_parser *parser = KD_NEW(ctx, env->arena, kd_json_parser);
    if (parser == NULL)
        return KD_NOMEM;
    kd_json_parser_init(parser, source);
    while (true) {
        kd_json_event event;
        KD_TRY(kd_json_next(ctx, parser, &event));
        if (event == KD_JSON_END)
            return kdi_return_buffer(result, &out);
        kd_slice piece = {source.data + parser->token_offset,
                          parser->offset - parser->token_offset};
        bool closes = event == KD_JSON_ARRAY_END || event == KD_JSON_OBJECT_END;
        if (event == KD_JSON_KEY) {
            /* The token with its quotes; what follows it belongs to the value. */
            piece.size_bytes = parser->token.size_bytes + 2;
            KD_TRY(kd_json_next(ctx, parser, &event));
            if (event == KD_JSON_NULL)
                continue;
            if (!ends_open(&out))
                KD_TRY(kd_buffer_append_byte(ctx, &out, ','));
            KD_TRY(kd_buffer_append_slice(ctx, &out, piece));
            KD_TRY(kd_buffer_append_byte(ctx, &out, ':'));
            piece = (kd_slice){source.data + parser->token_offset,
                               parser->offset - parser->token_offset};
        } else if (!closes && !ends_open(&out)) {
            KD_TRY(kd_buffer_append_byte(ctx, &out, ','));
        }
        KD_TRY(kd_buffer_append_slice(ctx, &out, piece));
    }
}

/* --- jsonb_set_lax ---------------------------------------------------------------------------- */

static kd_status steps_of(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                          kd_slice **out_steps, uint32_t *out_count)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, env->argument_types[1], kdi_arg_text(args, 1), &array));
    kd_value *values = KD_NEW_ARRAY(ctx, env->arena, kd_value, array.count);
    *out_steps = KD_NEW_ARRAY(ctx, env->arena, kd_slice, array.count);
    if (values == NULL || *out_steps == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < array.count; i++) {
        values[i] = kd_array_get(&array, i);
        if (values[i].is_null)
            return KD_FAIL(ctx, KD_INVALID, "22004", "path element at position %u is null", i + 1);
        (*out_steps)[i] = kdi_value_text(&values[i]);
    }
    *out_count = array.count;
    return KD_OK;
}

static kd_status set_null(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                          const kd_slice *steps, uint32_t count, bool create, kd_slice *out)
{
    kd_slice how = env->argument_count > 4 && args[4] != NULL ? kdi_arg_text(args, 4)
                   : env->argument_count > 4                  ? KD_SLICE("")
                                                              : KD_SLICE("use_json_null");
    kd_slice stored = kdi_arg_text(args, 0), null;
    if (kd_slice_equal(how, KD_SLICE("raise_exception"))) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22004", "JSON value must not be null");
        kd_error_set_hint(ctx,
                          "To avoid, either change the null_value_treatment argument or ensure "
                          "that an SQL NULL is not passed.");
        return status;
    }
    if (kd_slice_equal(how, KD_SLICE("return_target"))) {
        *out = stored;
        return KD_OK;
    }
    if (kd_slice_equal(how, KD_SLICE("delete_key")))
        return kd_jsonb_delete_path(ctx, env->arena, stored, steps, count, out);
    if (!kd_slice_equal(how, KD_SLICE("use_json_null")))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "null_value_treatment must be \"delete_key\", \"return_target\", "
                       "\"use_json_null\", or \"raise_exception\"");
    KD_TRY(kd_jsonb_make_null(ctx, env->arena, &null));
    return kd_jsonb_set(ctx, env->arena, stored, steps, count, null, create, out);
}

KDI_ROW(set_lax)
{
    bool has_create = env->argument_count > 3;
    *out_is_null = args[0] == NULL || args[1] == NULL || (has_create && args[3] == NULL);
    if (*out_is_null)
        return KD_OK;
    kd_slice *steps, answer;
    uint32_t count = 0;
    bool create = !has_create || KDI_ARG(uint8_t, args, 3);
    KD_TRY(steps_of(ctx, env, args, &steps, &count));
    if (args[2] == NULL)
        KD_TRY(set_null(ctx, env, args, steps, count, create, &answer));
    else
        KD_TRY(kd_jsonb_set(ctx, env->arena, kdi_arg_text(args, 0), steps, count,
                            kdi_arg_text(args, 2), create, &answer));
    return kdi_return_text(result, answer);
}

static const kd_function functions[] = {
    IMMUTABLE("json_object", object_of_pairs, JSON, TEXTS),
    IMMUTABLE("json_object", object_of_arrays, JSON, TEXTS, TEXTS),
    IMMUTABLE("jsonb_object", object_of_pairs, JSONB, TEXTS),
    IMMUTABLE("jsonb_object", object_of_arrays, JSONB, TEXTS, TEXTS),
    IMMUTABLE("json_strip_nulls", strip_nulls, JSON, JSON),
    LENIENT("jsonb_set_lax", set_lax, JSONB, JSONB, TEXTS, JSONB),
    LENIENT("jsonb_set_lax", set_lax, JSONB, JSONB, TEXTS, JSONB, BOOL),
    LENIENT("jsonb_set_lax", set_lax, JSONB, JSONB, TEXTS, JSONB, BOOL, TEXT),
};

kd_status kdi_register_json_make(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
