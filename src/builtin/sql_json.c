/*
 * The functions behind the forms of SQL/JSON (sql/parser_json.c): JSON_EXISTS, JSON_VALUE,
 * JSON_QUERY, JSON_OBJECT, JSON_ARRAY, JSON(), IS JSON. Their names have blanks, so that nobody
 * writes them. JSON_TABLE's is in sql_json_table.c.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/signature_internal.h"
#include "types/json.h"
#include "types/json_clause.h"
#include "types/jsonb.h"
#include "types/utf8.h"

#define JSONPATH KDI_TYPE(JSONPATH)

/* --- JSON_EXISTS, JSON_VALUE, JSON_QUERY ------------------------------------------------------ */

/* Argument 3 has the clauses; the value, the path or a variable list that is NULL gives NULL. */
static kd_status run_path(kd_ctx *ctx, kd_call_env *env, const void *const *args, uint32_t on_error,
                          kdi_path_values *found, kdi_path_result *out)
{
    kdi_path_call call = {.env = env,
                          .json = kdi_arg_text(args, 0),
                          .variables = kdi_arg_text(args, 2),
                          .throws = on_error == KD_CLAUSE_ERROR};
    KD_TRY(kdi_path_prepare(ctx, kdi_arg_text(args, 1), &call));
    return kdi_path_run(ctx, &call, found, out);
}

KDI_ROW(json_exists)
{
    kdi_path_result answer;
    uint32_t on_error = (uint32_t)KDI_ARG(int32_t, args, 3);
    KD_TRY(run_path(ctx, env, args, on_error, NULL, &answer));
    *out_is_null = answer == KDI_PATH_ERROR && (on_error == KD_CLAUSE_UNKNOWN || on_error == 0);
    *(uint8_t *)result =
        answer == KDI_PATH_ERROR ? on_error == KD_CLAUSE_TRUE : answer == KDI_PATH_OK;
    return KD_OK;
}

/* JSON's text as the type of RETURNING: arrays and rows are made of their elements and members. */
static kd_status text_as_type(kd_ctx *ctx, const kd_call_env *env, kd_slice text, bool is_json,
                              kd_value *out)
{
    kd_type type = env->result_type;
    if (is_json && (type.is_array || type.id == KD_TYPE_RECORD))
        return kdi_json_to_value(ctx, env->arena, kdi_settings(env), type, text, out);
    return kd_value_parse(ctx, env->arena, kdi_settings(env), type, text, out);
}

/* What stands for an answer that is not there: argument 4 on empty, argument 5 on error. */
static kd_status give_instead(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                              uint32_t behavior, uint32_t at, void *result, bool *out_is_null)
{
    kd_value value = kdi_arg_value(env, args, at);
    value.type = env->result_type;
    if (behavior == KD_CLAUSE_EMPTY_ARRAY || behavior == KD_CLAUSE_EMPTY_OBJECT)
        KD_TRY(text_as_type(ctx, env, kd_slice_of(behavior == KD_CLAUSE_EMPTY_ARRAY ? "[]" : "{}"),
                            true, &value));
    kdi_return_value(&value, result, out_is_null);
    return KD_OK;
}

/* Argument 5 unless the clause is ERROR: then the error is told. */
static kd_status give_error(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                            uint32_t on_error, const char *sqlstate, const char *message,
                            void *result, bool *out_is_null)
{
    if (on_error == KD_CLAUSE_ERROR)
        return KD_FAIL(ctx, KD_INVALID, sqlstate, "%s", message);
    return give_instead(ctx, env, args, on_error, 5, result, out_is_null);
}

/* The text as the type of RETURNING; what does not fit is an error of the form. */
static kd_status give_text(kd_ctx *ctx, kd_call_env *env, const void *const *args, kd_slice text,
                           bool is_json, uint32_t on_error, void *result, bool *out_is_null)
{
    kd_value value;
    kd_status status = text_as_type(ctx, env, text, is_json, &value);
    if (status == KD_INVALID && on_error != KD_CLAUSE_ERROR) {
        kd_error_clear(ctx);
        return give_instead(ctx, env, args, on_error, 5, result, out_is_null);
    }
    KD_TRY(status);
    kdi_return_value(&value, result, out_is_null);
    return KD_OK;
}

static kd_status give_json(kd_ctx *ctx, kd_call_env *env, const void *const *args, kd_slice json,
                           uint32_t on_error, void *result, bool *out_is_null)
{
    if (env->result_type.id == KD_TYPE_JSONB && !env->result_type.is_array)
        return kdi_return_text(result, json);
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_jsonb_format(ctx, json, &text));
    return give_text(ctx, env, args, kd_buffer_slice(&text), true, on_error, result, out_is_null);
}

typedef struct clauses {
    uint32_t on_empty, on_error, flags;
} clauses;

/* Runs the path. `*out_done`: nothing was found, or an error, and the answer is given. */
static kd_status find_items(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                            clauses *out_clauses, kdi_path_values *found, void *result,
                            bool *out_is_null, bool *out_done)
{
    kdi_path_result answer;
    uint32_t flags = (uint32_t)KDI_ARG(int32_t, args, 3);
    *out_clauses = (clauses){flags & KD_CLAUSE_BEHAVIOR_MASK,
                             flags >> KD_CLAUSE_ON_ERROR_SHIFT & KD_CLAUSE_BEHAVIOR_MASK, flags};
    *out_done = true;
    KD_TRY(run_path(ctx, env, args, out_clauses->on_error, found, &answer));
    if (answer == KDI_PATH_ERROR)
        return give_instead(ctx, env, args, out_clauses->on_error, 5, result, out_is_null);
    if (found->count == 0 && out_clauses->on_empty == KD_CLAUSE_ERROR)
        return KD_FAIL(ctx, KD_INVALID, "22035", "no SQL/JSON item found for specified path");
    if (found->count == 0)
        return give_instead(ctx, env, args, out_clauses->on_empty, 4, result, out_is_null);
    *out_done = false;
    return KD_OK;
}

static bool is_missing(const void *const *args)
{
    return args[0] == NULL || args[1] == NULL || args[2] == NULL;
}

KDI_ROW(json_query)
{
    clauses how;
    kdi_path_values found = {0};
    kd_slice json;
    bool done;
    *out_is_null = is_missing(args);
    if (*out_is_null)
        return KD_OK;
    KD_TRY(find_items(ctx, env, args, &how, &found, result, out_is_null, &done));
    if (done)
        return KD_OK;
    bool wraps = (how.flags & KD_CLAUSE_WRAP) != 0 ||
                 ((how.flags & KD_CLAUSE_WRAP_MANY) != 0 && found.count > 1);
    if (found.count > 1 && !wraps)
        return give_error(ctx, env, args, how.on_error, "22034",
                          "JSON path expression in JSON_QUERY must return single item when no "
                          "wrapper is requested",
                          result, out_is_null);
    kd_slice *items = KD_NEW_ARRAY(ctx, env->arena, kd_slice, found.count);
    if (items == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < found.count; i++)
        KD_TRY(kdi_path_value_json(ctx, env, &found.items[i], &items[i]));
    json = items[0];
    if (wraps)
        KD_TRY(kd_jsonb_make_array(ctx, env->arena, items, (uint32_t)found.count, &json));
    kd_jsonb opened = kd_jsonb_open(json);
    if ((how.flags & KD_CLAUSE_OMIT_QUOTES) != 0 && opened.kind == KD_JSONB_STRING)
        return give_text(ctx, env, args, opened.body, false, how.on_error, result, out_is_null);
    return give_json(ctx, env, args, json, how.on_error, result, out_is_null);
}

KDI_ROW(json_value)
{
    clauses how;
    kdi_path_values found = {0};
    kd_slice json, text;
    bool done;
    bool is_row = env->result_type.id == KD_TYPE_RECORD && !env->result_type.is_array;
    if (is_row && args[3] != NULL && (KDI_ARG(int32_t, args, 3) & KD_CLAUSE_COLUMN) != 0)
        return json_query(ctx, env, args, result, out_is_null);
    *out_is_null = is_missing(args);
    if (*out_is_null)
        return KD_OK;
    KD_TRY(find_items(ctx, env, args, &how, &found, result, out_is_null, &done));
    if (done)
        return KD_OK;
    if (found.count > 1)
        return give_error(ctx, env, args, how.on_error, "22034",
                          "JSON path expression in JSON_VALUE must return single scalar item",
                          result, out_is_null);
    KD_TRY(kdi_path_value_json(ctx, env, &found.items[0], &json));
    uint8_t kind = kd_jsonb_open(json).kind;
    if (kind == KD_JSONB_ARRAY || kind == KD_JSONB_OBJECT)
        return give_error(ctx, env, args, how.on_error, "2203F",
                          "JSON path expression in JSON_VALUE must return single scalar item",
                          result, out_is_null);
    if (env->result_type.id == KD_TYPE_JSON || env->result_type.id == KD_TYPE_JSONB)
        return give_json(ctx, env, args, json, how.on_error, result, out_is_null);
    KD_TRY(kd_jsonb_as_text(ctx, env->arena, json, out_is_null, &text));
    return *out_is_null ? KD_OK
                        : give_text(ctx, env, args, text, false, how.on_error, result, out_is_null);
}

/* --- JSON_OBJECT, JSON_ARRAY ------------------------------------------------------------------ */

KDI_ROW(json_array)
{
    bool absent = (KDI_ARG(int32_t, args, 0) & KD_CLAUSE_ABSENT) != 0;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_byte(ctx, &text, '['));
    for (uint32_t i = 1; i < env->argument_count; i++) {
        kd_value value = kdi_arg_value(env, args, i);
        if (value.is_null && absent)
            continue;
        if (text.size_bytes > 1)
            KD_TRY(kd_buffer_append_text(ctx, &text, ", "));
        KD_TRY(kdi_append_json(ctx, kdi_settings(env), &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, ']'));
    return kdi_return_buffer(result, &text);
}

static kd_status duplicate_key(kd_ctx *ctx, kd_slice key)
{
    return KD_FAIL(ctx, KD_INVALID, "22030", "duplicate JSON object key value: \"%.*s\"",
                   (int)key.size_bytes, key.data);
}

KDI_ROW(json_object)
{
    int32_t flags = KDI_ARG(int32_t, args, 0);
    kd_buffer text = kd_buffer_in(env->arena);
    kd_slice *keys = KD_NEW_ARRAY(ctx, env->arena, kd_slice, env->argument_count);
    size_t key_count = 0;
    if (keys == NULL)
        return KD_NOMEM;
    KD_TRY(kd_buffer_append_byte(ctx, &text, '{'));
    for (uint32_t i = 1; i + 1 < env->argument_count; i += 2) {
        kd_value value = kdi_arg_value(env, args, i + 1);
        kd_buffer key = kd_buffer_in(env->arena);
        if (args[i] == NULL)
            return KD_FAIL(ctx, KD_INVALID, "22004", "null value not allowed for object key");
        KD_TRY(kdi_append_argument(ctx, env, args, i, &key));
        for (size_t k = 0; k < key_count && (flags & KD_CLAUSE_UNIQUE) != 0; k++)
            if (kd_slice_equal(keys[k], kd_buffer_slice(&key)))
                return duplicate_key(ctx, keys[k]);
        keys[key_count++] = kd_buffer_slice(&key);
        if (value.is_null && (flags & KD_CLAUSE_ABSENT) != 0)
            continue;
        if (text.size_bytes > 1)
            KD_TRY(kd_buffer_append_text(ctx, &text, ", "));
        KD_TRY(kd_json_append_string(ctx, kd_buffer_slice(&key), &text));
        KD_TRY(kd_buffer_append_text(ctx, &text, " : "));
        KD_TRY(kdi_append_json(ctx, kdi_settings(env), &value, &text));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, '}'));
    return kdi_return_buffer(result, &text);
}

/* --- IS JSON ---------------------------------------------------------------------------------- */

/* Whether two members of one object have the same name, at any depth. */
static kd_status has_same_keys(kd_ctx *ctx, kd_arena *arena, kd_slice text, bool *out)
{
    /* Making jsonb keeps the last of equal keys: fewer fields than the text has keys. */
    kd_json_parser *parser = KD_NEW(ctx, arena, kd_json_parser);
    kd_slice stored;
    int64_t keys = 0, fields = 0;
    if (parser == NULL)
        return KD_NOMEM;
    kd_json_parser_init(parser, text);
    for (kd_json_event event = KD_JSON_NULL; event != KD_JSON_END;) {
        KD_TRY(kd_json_next(ctx, parser, &event));
        keys += event == KD_JSON_KEY;
    }
    KD_TRY(kd_jsonb_parse(ctx, arena, text, &stored));
    kd_buffer again = kd_buffer_in(arena);
    KD_TRY(kd_jsonb_format(ctx, stored, &again));
    kd_json_parser_init(parser, kd_buffer_slice(&again));
    for (kd_json_event event = KD_JSON_NULL; event != KD_JSON_END;) {
        KD_TRY(kd_json_next(ctx, parser, &event));
        fields += event == KD_JSON_KEY;
    }
    *out = keys != fields;
    return KD_OK;
}

/* The argument's text: of a bytea its bytes. `*out_is_text` is false where they are no UTF-8. */
static kd_status text_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, kd_slice *out,
                         bool *out_is_text)
{
    kd_type_id id = env->argument_types[0].id;
    *out = kdi_arg_text(args, 0);
    size_t bad;
    *out_is_text = id != KD_TYPE_BYTEA || kd_utf8_is_valid(*out, &bad);
    if (id != KD_TYPE_JSONB)
        return KD_OK;
    kd_buffer written = kd_buffer_in(env->arena);
    KD_TRY(kd_jsonb_format(ctx, *out, &written));
    *out = kd_buffer_slice(&written);
    return KD_OK;
}

KDI_ROW(json_parse)
{
    kd_slice text;
    bool is_text, same_keys = false;
    KD_TRY(text_of(ctx, env, args, &text, &is_text));
    if (!is_text)
        return KD_FAIL(ctx, KD_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\"");
    KD_TRY(kd_json_check(ctx, text));
    if ((KDI_ARG(int32_t, args, 1) & KD_CLAUSE_UNIQUE) != 0)
        KD_TRY(has_same_keys(ctx, env->arena, text, &same_keys));
    if (same_keys)
        return KD_FAIL(ctx, KD_INVALID, "22030", "duplicate JSON object key value");
    return kdi_return_text(result, text);
}

KDI_ROW(is_json)
{
    int32_t what = KDI_ARG(int32_t, args, 1);
    kd_slice text;
    bool is_text, same_keys = false;
    KD_TRY(text_of(ctx, env, args, &text, &is_text));
    *(uint8_t *)result = false;
    if (!is_text)
        return KD_OK;
    kd_status status = kd_json_check(ctx, text);
    if (status == KD_OK && (what & KD_CLAUSE_UNIQUE) != 0)
        status = has_same_keys(ctx, env->arena, text, &same_keys);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        return KD_OK;
    }
    KD_TRY(status);
    const char *type = kd_json_typeof(text);
    bool is_object = strcmp(type, "object") == 0, is_array = strcmp(type, "array") == 0;
    int kind = what & 3;
    *(uint8_t *)result =
        !same_keys && (kind == 0 || (kind == 1 && is_object) || (kind == 2 && is_array) ||
                       (kind == 3 && !is_object && !is_array));
    return KD_OK;
}

#define IS_JSON(TYPE)                                    \
    IMMUTABLE("sql is json", is_json, BOOL, TYPE, INT4), \
        IMMUTABLE("sql json parse", json_parse, JSON, TYPE, INT4)

static const kd_function functions[] = {
    STABLE("sql json exists", json_exists, BOOL, JSONB, JSONPATH, JSONB, INT4),
    STABLE_LENIENT("sql json value", json_value, ELEMENT, JSONB, JSONPATH, JSONB, INT4, ELEMENT,
                   ELEMENT),
    STABLE_LENIENT("sql json query", json_query, ELEMENT, JSONB, JSONPATH, JSONB, INT4, ELEMENT,
                   ELEMENT),
    STABLE_LENIENT("sql json array", json_array, JSON, INT4),
    VARIADIC("sql json array", json_array, JSON, INT4, ANY),
    STABLE_LENIENT("sql json object", json_object, JSON, INT4),
    VARIADIC("sql json object", json_object, JSON, INT4, ANY),
    IS_JSON(TEXT),
    IS_JSON(JSON),
    IS_JSON(JSONB),
    IS_JSON(BYTEA),
};

kd_status kdi_register_sql_json(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
