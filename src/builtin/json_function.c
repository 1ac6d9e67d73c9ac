/*
 * Functions and operators of json and jsonb.
 *
 * json is text and is searched as it stands; jsonb is binary (types/jsonb.h). Values
 * are built as text by kdi_append_json, and parsed where the result is jsonb.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/json.h"
#include "types/jsonb.h"
#include "types/number_text.h"

static bool is_jsonb(const kd_call_env *env)
{
    return env->argument_types[0].id == KD_TYPE_JSONB;
}

/* --- -> and ->> ------------------------------------------------------------------------------- */

/* `*out_found` and the value found, as it is stored. */
static kd_status get_field(kd_ctx *ctx, kd_arena *arena, bool binary, kd_slice from, kd_slice key,
                           bool *out_found, kd_slice *out)
{
    if (!binary)
        return kd_json_get_field(ctx, arena, from, key, out_found, out);
    *out_found = kd_jsonb_get_field(from, key, out);
    return KD_OK;
}

static kd_status get_element(kd_ctx *ctx, bool binary, kd_slice from, int64_t index,
                             bool *out_found, kd_slice *out)
{
    if (!binary)
        return kd_json_get_element(ctx, from, index, out_found, out);
    uint8_t kind = kd_jsonb_open(from).kind;
    *out_found = kd_jsonb_get_element(from, index, out);
    /* To PostgreSQL a scalar is an array of itself here. */
    if (kind != KD_JSONB_ARRAY && kind != KD_JSONB_OBJECT && (index == 0 || index == -1)) {
        *out_found = true;
        *out = from;
    }
    return KD_OK;
}

/* The value as json or jsonb, or as ->> gives it. */
static kd_status return_found(kd_ctx *ctx, kd_call_env *env, bool binary, bool found, bool as_text,
                              kd_slice value, void *result, bool *out_is_null)
{
    *out_is_null = !found;
    if (!found)
        return KD_OK;
    if (as_text)
        KD_TRY(binary ? kd_jsonb_as_text(ctx, env->arena, value, out_is_null, &value)
                      : kd_json_as_text(ctx, env->arena, value, out_is_null, &value));
    return *out_is_null ? KD_OK : kdi_return_text(result, value);
}

#define GETTERS(suffix, as_text)                                                                  \
    KDI_ROW(field_##suffix)                                                                       \
    {                                                                                             \
        bool found;                                                                               \
        kd_slice value;                                                                           \
        KD_TRY(get_field(ctx, env->arena, is_jsonb(env), kdi_arg_text(args, 0),                   \
                         kdi_arg_text(args, 1), &found, &value));                                 \
        return return_found(ctx, env, is_jsonb(env), found, as_text, value, result, out_is_null); \
    }                                                                                             \
    KDI_ROW(element_##suffix)                                                                     \
    {                                                                                             \
        bool found;                                                                               \
        kd_slice value;                                                                           \
        KD_TRY(get_element(ctx, is_jsonb(env), kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1),  \
                           &found, &value));                                                      \
        return return_found(ctx, env, is_jsonb(env), found, as_text, value, result, out_is_null); \
    }
GETTERS(json, false)
GETTERS(text, true)

/* --- Paths ------------------------------------------------------------------------------------ */

typedef struct path {
    kd_value *values; /* Keep the slices' bytes where they are. */
    kd_slice *steps;
    uint32_t count;
    bool has_null;
} path;

static kd_status path_room(kd_ctx *ctx, kd_arena *arena, uint32_t count, path *out)
{
    *out = (path){.count = count};
    out->values = KD_NEW_ARRAY(ctx, arena, kd_value, count);
    out->steps = KD_NEW_ARRAY(ctx, arena, kd_slice, count);
    return out->values == NULL || out->steps == NULL ? KD_NOMEM : KD_OK;
}

static void path_fill(path *it)
{
    for (uint32_t i = 0; i < it->count; i++) {
        it->has_null |= it->values[i].is_null;
        it->steps[i] = kdi_value_text(&it->values[i]);
    }
}

static kd_status path_argument(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                               uint32_t index, path *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, env->argument_types[index], kdi_arg_text(args, index), &array));
    KD_TRY(path_room(ctx, env->arena, array.count, out));
    for (uint32_t i = 0; i < array.count; i++)
        out->values[i] = kd_array_get(&array, i);
    path_fill(out);
    return KD_OK;
}

static kd_status path_of_arguments(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   path *out)
{
    KD_TRY(path_room(ctx, env->arena, env->argument_count - 1, out));
    for (uint32_t i = 0; i < out->count; i++)
        out->values[i] = kdi_arg_value(env, args, i + 1);
    path_fill(out);
    return KD_OK;
}

static kd_status follow(kd_ctx *ctx, kd_call_env *env, bool binary, kd_slice from, const path *way,
                        bool *out_found, kd_slice *out)
{
    *out_found = !way->has_null;
    *out = from;
    for (uint32_t i = 0; i < way->count && *out_found; i++) {
        const char *kind = binary ? kd_jsonb_typeof(*out) : kd_json_typeof(*out);
        int64_t index;
        if (strcmp(kind, "object") == 0)
            KD_TRY(get_field(ctx, env->arena, binary, *out, way->steps[i], out_found, out));
        else if (strcmp(kind, "array") == 0 && kd_parse_int64(way->steps[i], &index))
            KD_TRY(get_element(ctx, binary, *out, index, out_found, out));
        else
            *out_found = false;
    }
    return KD_OK;
}

static kd_status get_path(kd_ctx *ctx, kd_call_env *env, const void *const *args, bool by_array,
                          bool as_text, void *result, bool *out_is_null)
{
    path way;
    bool found;
    kd_slice value;
    *out_is_null = args[0] == NULL;
    if (args[0] == NULL)
        return KD_OK;
    KD_TRY(by_array ? path_argument(ctx, env, args, 1, &way)
                    : path_of_arguments(ctx, env, args, &way));
    KD_TRY(follow(ctx, env, is_jsonb(env), kdi_arg_text(args, 0), &way, &found, &value));
    return return_found(ctx, env, is_jsonb(env), found, as_text, value, result, out_is_null);
}

KDI_ROW(path_json)
{
    return get_path(ctx, env, args, true, false, result, out_is_null);
}

KDI_ROW(path_text)
{
    return get_path(ctx, env, args, true, true, result, out_is_null);
}

KDI_ROW(extract_path)
{
    return get_path(ctx, env, args, false, false, result, out_is_null);
}

KDI_ROW(extract_path_text)
{
    return get_path(ctx, env, args, false, true, result, out_is_null);
}

/* --- Containment and existence ---------------------------------------------------------------- */

KDI_ROW(contains)
{
    bool answer;
    KD_TRY(kd_jsonb_contains(ctx, kdi_arg_text(args, 0), kdi_arg_text(args, 1), &answer));
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(contained)
{
    bool answer;
    KD_TRY(kd_jsonb_contains(ctx, kdi_arg_text(args, 1), kdi_arg_text(args, 0), &answer));
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(exists)
{
    *(uint8_t *)result = kd_jsonb_exists(kdi_arg_text(args, 0), kdi_arg_text(args, 1));
    return KD_OK;
}

static kd_status exists_keys(kd_ctx *ctx, kd_call_env *env, const void *const *args, bool all,
                             void *result)
{
    path keys;
    KD_TRY(path_argument(ctx, env, args, 1, &keys));
    bool answer = all;
    for (uint32_t i = 0; i < keys.count && answer == all; i++)
        if (!keys.values[i].is_null)
            answer = kd_jsonb_exists(kdi_arg_text(args, 0), keys.steps[i]);
    *(uint8_t *)result = answer;
    return KD_OK;
}

KDI_ROW(exists_any)
{
    return exists_keys(ctx, env, args, false, result);
}

KDI_ROW(exists_all)
{
    return exists_keys(ctx, env, args, true, result);
}

/* --- Changing --------------------------------------------------------------------------------- */

KDI_ROW(concat)
{
    kd_slice answer;
    KD_TRY(kd_jsonb_concat(ctx, env->arena, kdi_arg_text(args, 0), kdi_arg_text(args, 1), &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(delete_key)
{
    kd_slice answer;
    KD_TRY(kd_jsonb_delete_key(ctx, env->arena, kdi_arg_text(args, 0), kdi_arg_text(args, 1),
                               &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(delete_keys)
{
    path keys;
    kd_slice answer = kdi_arg_text(args, 0);
    KD_TRY(path_argument(ctx, env, args, 1, &keys));
    for (uint32_t i = 0; i < keys.count; i++)
        if (!keys.values[i].is_null)
            KD_TRY(kd_jsonb_delete_key(ctx, env->arena, answer, keys.steps[i], &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(delete_element)
{
    kd_slice answer;
    KD_TRY(kd_jsonb_delete_element(ctx, env->arena, kdi_arg_text(args, 0),
                                   KDI_ARG(int32_t, args, 1), &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(delete_path)
{
    path way;
    kd_slice answer;
    KD_TRY(path_argument(ctx, env, args, 1, &way));
    KD_TRY(kd_jsonb_delete_path(ctx, env->arena, kdi_arg_text(args, 0), way.steps, way.count,
                                &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(set)
{
    path way;
    kd_slice answer;
    bool create = env->argument_count < 4 || KDI_ARG(uint8_t, args, 3);
    KD_TRY(path_argument(ctx, env, args, 1, &way));
    if (way.has_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "path element at position 1 is null");
    KD_TRY(kd_jsonb_set(ctx, env->arena, kdi_arg_text(args, 0), way.steps, way.count,
                        kdi_arg_text(args, 2), create, &answer));
    return kdi_return_text(result, answer);
}

/* The array with the value before element `index`, or after it; `index` may lie outside. */
static kd_status insert_element(kd_ctx *ctx, kd_arena *arena, kd_slice stored, int64_t index,
                                bool after, kd_slice value, kd_slice *out)
{
    kd_jsonb array = kd_jsonb_open(stored);
    kd_slice *elements = KD_NEW_ARRAY(ctx, arena, kd_slice, (size_t)array.count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    int64_t count = array.count, at = index < 0 ? index + count : index;
    bool outside = at < 0 || at >= count;
    at = at < 0 ? 0 : at > count ? count : at;
    at += after && !outside;
    for (int64_t i = 0, next = 0; i <= count; i++)
        elements[i] = i == at ? value : kd_jsonb_element(&array, (uint32_t)next++);
    return kd_jsonb_make_array(ctx, arena, elements, array.count + 1, out);
}

static kd_status not_an_index(kd_ctx *ctx, uint32_t position, kd_slice step)
{
    return KD_FAIL(ctx, KD_INVALID, "22P02",
                   "path element at position %u is not an integer: \"%.*s\"", position,
                   (int)step.size_bytes, step.data);
}

KDI_ROW(insert)
{
    path way;
    bool after = env->argument_count > 3 && KDI_ARG(uint8_t, args, 3), found;
    kd_slice whole = kdi_arg_text(args, 0), value = kdi_arg_text(args, 2), holder, changed;
    KD_TRY(path_argument(ctx, env, args, 1, &way));
    *(kd_str *)result = *(const kd_str *)args[0];
    if (way.count == 0 || way.has_null)
        return KD_OK;
    uint8_t kind = kd_jsonb_open(whole).kind;
    int64_t index;
    if (kind != KD_JSONB_ARRAY && kind != KD_JSONB_OBJECT)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot set path in scalar");
    if (kind == KD_JSONB_ARRAY && !kd_parse_int64(way.steps[0], &index))
        return not_an_index(ctx, 1, way.steps[0]);
    path up = way;
    up.count--;
    kd_slice last = way.steps[up.count], there;
    KD_TRY(follow(ctx, env, true, whole, &up, &found, &holder));
    if (!found)
        return KD_OK;
    kind = kd_jsonb_open(holder).kind;
    if (kind == KD_JSONB_OBJECT) {
        if (kd_jsonb_get_field(holder, last, &there))
            return KD_FAIL(ctx, KD_INVALID, "22023", "cannot replace existing key");
        KD_TRY(kd_jsonb_set(ctx, env->arena, whole, way.steps, way.count, value, true, &changed));
        return kdi_return_text(result, changed);
    }
    if (kind != KD_JSONB_ARRAY)
        return KD_OK;
    if (!kd_parse_int64(last, &index))
        return not_an_index(ctx, way.count, last);
    KD_TRY(insert_element(ctx, env->arena, holder, index, after, value, &changed));
    if (up.count > 0)
        KD_TRY(kd_jsonb_set(ctx, env->arena, whole, up.steps, up.count, changed, false, &changed));
    return kdi_return_text(result, changed);
}

KDI_ROW(strip_nulls)
{
    kd_slice answer;
    KD_TRY(kd_jsonb_strip_nulls(ctx, env->arena, kdi_arg_text(args, 0), &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(pretty)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(kd_jsonb_format_pretty(ctx, kdi_arg_text(args, 0), &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(type_name)
{
    kd_slice value = kdi_arg_text(args, 0);
    return kdi_return_text(
        result, kd_slice_of(is_jsonb(env) ? kd_jsonb_typeof(value) : kd_json_typeof(value)));
}

/* Converts json text to jsonb where it is not yet. */
static kd_status as_binary(kd_ctx *ctx, kd_arena *arena, bool binary, kd_slice value, kd_slice *out)
{
    *out = value;
    return binary ? KD_OK : kd_jsonb_parse(ctx, arena, value, out);
}

KDI_ROW(array_length)
{
    kd_slice stored;
    KD_TRY(as_binary(ctx, env->arena, is_jsonb(env), kdi_arg_text(args, 0), &stored));
    kd_jsonb array = kd_jsonb_open(stored);
    if (array.kind != KD_JSONB_ARRAY)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot get array length of a %s",
                       array.kind == KD_JSONB_OBJECT ? "non-array" : "scalar");
    *(int32_t *)result = (int32_t)array.count;
    return KD_OK;
}

/* --- Building --------------------------------------------------------------------------------- */

static kd_status return_built(kd_ctx *ctx, kd_call_env *env, const kd_buffer *text, void *result)
{
    kd_slice answer = kd_buffer_slice(text);
    if (env->result_type.id == KD_TYPE_JSONB)
        KD_TRY(kd_jsonb_parse(ctx, env->arena, answer, &answer));
    return kdi_return_text(result, answer);
}

KDI_ROW(to_json)
{
    kd_buffer text = kd_buffer_in(env->arena);
    kd_value value = kdi_arg_value(env, args, 0);
    KD_TRY(kdi_append_json(ctx, kdi_settings(env), &value, &text));
    return return_built(ctx, env, &text, result);
}

KDI_ROW(array_to_json)
{
    kd_buffer text = kd_buffer_in(env->arena);
    kd_value value = kdi_arg_value(env, args, 0);
    bool lines = env->argument_count > 1 && KDI_ARG(uint8_t, args, 1);
    KD_TRY(kdi_append_json_array(ctx, kdi_settings(env), &value, lines ? ",\n " : ",", &text));
    return kdi_return_buffer(result, &text);
}

KDI_ROW(build_array)
{
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_byte(ctx, &text, '['));
    for (uint32_t i = 0; i < env->argument_count; i++) {
        kd_value value = kdi_arg_value(env, args, i);
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, &text, ", "));
        KD_TRY(kdi_append_json(ctx, kdi_settings(env), &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, ']'));
    return return_built(ctx, env, &text, result);
}

KDI_ROW(build_object)
{
    if (env->argument_count % 2 != 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "argument list must have even number of elements");
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_byte(ctx, &text, '{'));
    for (uint32_t i = 0; i < env->argument_count; i += 2) {
        kd_value key = kdi_arg_value(env, args, i), value = kdi_arg_value(env, args, i + 1);
        if (args[i] == NULL && env->result_type.id == KD_TYPE_JSONB)
            return KD_FAIL(ctx, KD_INVALID, "22023", "argument %u: key must not be null", i + 1);
        if (args[i] == NULL) {
            kd_status status =
                KD_FAIL(ctx, KD_INVALID, "22023", "argument %u cannot be null", i + 1);
            kd_error_set_hint(ctx, "Object keys should be text.");
            return status;
        }
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, &text, ", "));
        KD_TRY(kdi_append_json_key(ctx, kdi_settings(env), &key, &text));
        KD_TRY(kd_buffer_append_text(ctx, &text, " : "));
        KD_TRY(kdi_append_json(ctx, kdi_settings(env), &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, '}'));
    return return_built(ctx, env, &text, result);
}

/* --- As rows ---------------------------------------------------------------------------------- */

typedef enum row_form { ROWS_KEYS, ROWS_ELEMENTS, ROWS_FIELDS } row_form;

/* What a table function gives: set in kd_table_function.data. */
typedef struct row_shape {
    const char *name; /* As messages have it. */
    row_form form;
    bool as_text;
    bool binary;
} row_shape;

static kd_type value_type(const row_shape *shape)
{
    return kd_type_of(shape->as_text ? KD_TYPE_TEXT : shape->binary ? KD_TYPE_JSONB : KD_TYPE_JSON);
}

KDI_DESCRIBE(describe_rows)
{
    const row_shape *shape = env->data;
    const char *names[2] = {"key", "value"};
    kd_type types[2] = {kd_type_of(KD_TYPE_TEXT), value_type(shape)};
    uint32_t first = shape->form == ROWS_ELEMENTS;
    if (shape->form == ROWS_KEYS)
        names[0] = shape->name;
    return kdi_describe(ctx, arena, shape->form == ROWS_FIELDS ? 2 : 1, names + first,
                        types + first, out_column_count, out_names, out_types);
}

static kd_status row_value(kd_ctx *ctx, kd_arena *arena, const row_shape *shape, kd_slice stored,
                           kd_value *out)
{
    *out = kd_value_null(value_type(shape));
    out->is_null = false;
    if (shape->as_text)
        KD_TRY(kd_jsonb_as_text(ctx, arena, stored, &out->is_null, &stored));
    if (!out->is_null)
        out->as.str = kd_str_from(stored.data, stored.size_bytes);
    return KD_OK;
}

static kd_status check_rows(kd_ctx *ctx, const row_shape *shape, uint8_t kind)
{
    uint8_t wanted = shape->form == ROWS_ELEMENTS ? KD_JSONB_ARRAY : KD_JSONB_OBJECT;
    if (kind == wanted)
        return KD_OK;
    const char *what = kind == KD_JSONB_ARRAY    ? "an array"
                       : kind == KD_JSONB_OBJECT ? "an object"
                                                 : "a scalar";
    bool is_scalar = kind != KD_JSONB_ARRAY && kind != KD_JSONB_OBJECT;
    if (shape->form == ROWS_ELEMENTS && shape->binary)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot extract elements from %s", what);
    if (shape->form == ROWS_FIELDS && shape->binary)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot call %s on a non-object", shape->name);
    if (shape->form == ROWS_FIELDS)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot deconstruct %s%s", what,
                       is_scalar ? "" : " as an object");
    return KD_FAIL(ctx, KD_INVALID, "22023", "cannot call %s on %s", shape->name,
                   kind == KD_JSONB_OBJECT ? "a non-array" : what);
}

/* Rows of json text: members in the order in which they stand, values as they are written. */
static kd_status text_rows(kd_ctx *ctx, kd_arena *arena, const row_shape *shape, kd_slice text,
                           kdi_row_list *list)
{
    kd_json_parser parser;
    kd_json_event event;
    kd_type type = value_type(shape);
    kd_json_parser_init(&parser, text);
    KD_TRY(kd_json_next(ctx, &parser, &event));
    KD_TRY(check_rows(ctx, shape,
                      event == KD_JSON_OBJECT_BEGIN  ? KD_JSONB_OBJECT
                      : event == KD_JSON_ARRAY_BEGIN ? KD_JSONB_ARRAY
                                                     : KD_JSONB_NULL));
    while (true) {
        kd_value row[2] = {kd_value_null(kd_type_of(KD_TYPE_TEXT)), kd_value_null(type)};
        KD_TRY(kd_json_next(ctx, &parser, &event));
        if (event == KD_JSON_OBJECT_END || event == KD_JSON_ARRAY_END)
            return KD_OK;
        if (event == KD_JSON_KEY) {
            kd_slice key;
            KD_TRY(kd_json_unescape(ctx, arena, parser.token, parser.token_has_escape, &key));
            row[0] = kd_value_text(key);
            KD_TRY(kd_json_next(ctx, &parser, &event));
        }
        size_t start = parser.token_offset;
        KD_TRY(kd_json_skip(ctx, &parser, event));
        kd_slice value = {text.data + start, parser.offset - start};
        row[1].is_null = false;
        if (shape->as_text)
            KD_TRY(kd_json_as_text(ctx, arena, value, &row[1].is_null, &value));
        if (!row[1].is_null)
            row[1].as.str = kd_str_from(value.data, value.size_bytes);
        KD_TRY(kdi_row_list_add(ctx, list, row + (shape->form == ROWS_ELEMENTS)));
    }
}

KDI_OPEN(open_rows)
{
    const row_shape *shape = env->data;
    kd_type types[2] = {kd_type_of(KD_TYPE_TEXT), value_type(shape)};
    uint32_t first = shape->form == ROWS_ELEMENTS;
    kdi_row_list *list;
    KD_TRY(
        kdi_row_list_create(ctx, arena, types + first, shape->form == ROWS_FIELDS ? 2 : 1, &list));
    *out_cursor = list;
    if (args[0].is_null)
        return KD_OK;
    if (!shape->binary)
        return text_rows(ctx, arena, shape, kdi_value_text(&args[0]), list);
    kd_jsonb opened = kd_jsonb_open(kdi_value_text(&args[0]));
    KD_TRY(check_rows(ctx, shape, opened.kind));
    for (uint32_t i = 0; i < opened.count; i++) {
        kd_value row[2] = {kd_value_null(types[0]), kd_value_null(types[1])};
        if (shape->form != ROWS_ELEMENTS)
            row[0] = kd_value_text(kd_jsonb_key(&opened, i));
        if (shape->form != ROWS_KEYS)
            KD_TRY(row_value(ctx, arena, shape, kd_jsonb_element(&opened, i), &row[1]));
        KD_TRY(kdi_row_list_add(ctx, list, row + first));
    }
    return KD_OK;
}

static const kd_function functions[] = {
    IMMUTABLE("->", field_json, JSON, JSON, TEXT),
    IMMUTABLE("->", field_json, JSONB, JSONB, TEXT),
    IMMUTABLE("->", element_json, JSON, JSON, INT4),
    IMMUTABLE("->", element_json, JSONB, JSONB, INT4),
    IMMUTABLE("->>", field_text, TEXT, JSON, TEXT),
    IMMUTABLE("->>", field_text, TEXT, JSONB, TEXT),
    IMMUTABLE("->>", element_text, TEXT, JSON, INT4),
    IMMUTABLE("->>", element_text, TEXT, JSONB, INT4),
    IMMUTABLE("#>", path_json, JSON, JSON, TEXTS),
    IMMUTABLE("#>", path_json, JSONB, JSONB, TEXTS),
    IMMUTABLE("#>>", path_text, TEXT, JSON, TEXTS),
    IMMUTABLE("#>>", path_text, TEXT, JSONB, TEXTS),
    VARIADIC("json_extract_path", extract_path, JSON, JSON, TEXT),
    VARIADIC("jsonb_extract_path", extract_path, JSONB, JSONB, TEXT),
    VARIADIC("json_extract_path_text", extract_path_text, TEXT, JSON, TEXT),
    VARIADIC("jsonb_extract_path_text", extract_path_text, TEXT, JSONB, TEXT),
    IMMUTABLE("@>", contains, BOOL, JSONB, JSONB),
    IMMUTABLE("<@", contained, BOOL, JSONB, JSONB),
    IMMUTABLE("?", exists, BOOL, JSONB, TEXT),
    IMMUTABLE("?|", exists_any, BOOL, JSONB, TEXTS),
    IMMUTABLE("?&", exists_all, BOOL, JSONB, TEXTS),
    IMMUTABLE("jsonb_contains", contains, BOOL, JSONB, JSONB),
    IMMUTABLE("jsonb_contained", contained, BOOL, JSONB, JSONB),
    IMMUTABLE("jsonb_exists", exists, BOOL, JSONB, TEXT),
    IMMUTABLE("jsonb_exists_any", exists_any, BOOL, JSONB, TEXTS),
    IMMUTABLE("jsonb_exists_all", exists_all, BOOL, JSONB, TEXTS),
    IMMUTABLE("||", concat, JSONB, JSONB, JSONB),
    IMMUTABLE("-", delete_key, JSONB, JSONB, TEXT),
    IMMUTABLE("-", delete_keys, JSONB, JSONB, TEXTS),
    IMMUTABLE("-", delete_element, JSONB, JSONB, INT4),
    IMMUTABLE("#-", delete_path, JSONB, JSONB, TEXTS),
    IMMUTABLE("jsonb_concat", concat, JSONB, JSONB, JSONB),
    IMMUTABLE("jsonb_delete", delete_key, JSONB, JSONB, TEXT),
    IMMUTABLE("jsonb_delete", delete_keys, JSONB, JSONB, TEXTS),
    IMMUTABLE("jsonb_delete", delete_element, JSONB, JSONB, INT4),
    IMMUTABLE("jsonb_delete_path", delete_path, JSONB, JSONB, TEXTS),
    IMMUTABLE("jsonb_set", set, JSONB, JSONB, TEXTS, JSONB),
    IMMUTABLE("jsonb_set", set, JSONB, JSONB, TEXTS, JSONB, BOOL),
    IMMUTABLE("jsonb_insert", insert, JSONB, JSONB, TEXTS, JSONB),
    IMMUTABLE("jsonb_insert", insert, JSONB, JSONB, TEXTS, JSONB, BOOL),
    IMMUTABLE("jsonb_strip_nulls", strip_nulls, JSONB, JSONB),
    IMMUTABLE("jsonb_pretty", pretty, TEXT, JSONB),
    IMMUTABLE("jsonb_typeof", type_name, TEXT, JSONB),
    IMMUTABLE("json_typeof", type_name, TEXT, JSON),
    IMMUTABLE("jsonb_array_length", array_length, INT4, JSONB),
    IMMUTABLE("json_array_length", array_length, INT4, JSON),
    STABLE("to_json", to_json, JSON, ANY),
    STABLE("to_jsonb", to_json, JSONB, ANY),
    STABLE("array_to_json", array_to_json, JSON, ELEMENTS),
    STABLE("array_to_json", array_to_json, JSON, ELEMENTS, BOOL),
    NO_ARGUMENTS("json_build_array", build_array, JSON, KD_IMMUTABLE),
    NO_ARGUMENTS("jsonb_build_array", build_array, JSONB, KD_IMMUTABLE),
    NO_ARGUMENTS("json_build_object", build_object, JSON, KD_IMMUTABLE),
    NO_ARGUMENTS("jsonb_build_object", build_object, JSONB, KD_IMMUTABLE),
    VARIADIC("json_build_array", build_array, JSON, ANY),
    VARIADIC("jsonb_build_array", build_array, JSONB, ANY),
    VARIADIC("json_build_object", build_object, JSON, ANY),
    VARIADIC("jsonb_build_object", build_object, JSONB, ANY),
};

#define ROWS(NAME, TYPE, FORM, AS_TEXT, BINARY)                                                    \
    {                                                                                              \
        .name = NAME, KDI_SIGNATURE(KDI_TYPE(TYPE)), .describe = describe_rows, .open = open_rows, \
        .next = kdi_row_list_next, .is_quick = true, .data = &(const row_shape)                    \
        {                                                                                          \
            NAME, FORM, AS_TEXT, BINARY                                                            \
        }                                                                                          \
    }

#undef JSON
#undef JSONB
static const kd_table_function table_functions[] = {
    ROWS("json_object_keys", JSON, ROWS_KEYS, false, false),
    ROWS("jsonb_object_keys", JSONB, ROWS_KEYS, false, true),
    ROWS("json_array_elements", JSON, ROWS_ELEMENTS, false, false),
    ROWS("jsonb_array_elements", JSONB, ROWS_ELEMENTS, false, true),
    ROWS("json_array_elements_text", JSON, ROWS_ELEMENTS, true, false),
    ROWS("jsonb_array_elements_text", JSONB, ROWS_ELEMENTS, true, true),
    ROWS("json_each", JSON, ROWS_FIELDS, false, false),
    ROWS("jsonb_each", JSONB, ROWS_FIELDS, false, true),
    ROWS("json_each_text", JSON, ROWS_FIELDS, true, false),
    ROWS("jsonb_each_text", JSONB, ROWS_FIELDS, true, true),
};

kd_status kdi_register_json(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions)));
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
