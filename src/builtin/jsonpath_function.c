/*
 * jsonb_path_exists, jsonb_path_query and their kin, the operators @? and @@.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/signature_internal.h"
#include "types/jsonb.h"

#define JSONPATH KDI_TYPE(JSONPATH)

/* What a function is apart from its name: `data` of the entry. */
typedef struct path_form {
    bool is_quiet; /* Operators: errors give NULL. */
    bool uses_zone;
} path_form;

/* ---- Parsed paths ---- */

/* Kept between calls. */
typedef struct path_state {
    kd_arena *arena;
    kd_slice source;
    kd_jsonpath path;
    void **patterns;
} path_state;

static kd_status path_read(kd_ctx *ctx, kd_arena *arena, kd_slice text, path_state *out)
{
    out->source.data = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    out->source.size_bytes = text.size_bytes;
    if (out->source.data == NULL)
        return KD_NOMEM;
    KD_TRY(kd_jsonpath_parse(ctx, arena, out->source, &out->path));
    out->patterns = KD_NEW_ARRAY(ctx, arena, void *, out->path.pattern_count + 1);
    return out->patterns == NULL ? KD_NOMEM : KD_OK;
}

static kd_status path_of(kd_ctx *ctx, kd_call_env *env, kd_slice text, path_state **out)
{
    path_state *state = env->state;
    *out = state;
    if (state != NULL && (env->argument_is_constant[1] || kd_slice_equal(state->source, text)))
        return KD_OK;
    env->state = NULL;
    kd_arena *arena = state != NULL
                          ? state->arena
                          : kd_arena_create(ctx, env->state_arena, "jsonpath", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_arena_reset(arena);
    state = KD_NEW(ctx, arena, path_state);
    if (state == NULL)
        return KD_NOMEM;
    state->arena = arena;
    KD_TRY(path_read(ctx, arena, text, state));
    env->state = state;
    *out = state;
    return KD_OK;
}

kd_status kdi_path_prepare(kd_ctx *ctx, kd_slice text, kdi_path_call *io_call)
{
    path_state *state;
    KD_TRY(path_of(ctx, io_call->env, text, &state));
    io_call->path = &state->path;
    io_call->patterns = state->patterns;
    return KD_OK;
}

kd_status kdi_path_parse(kd_ctx *ctx, kd_slice text, kdi_path_call *io_call)
{
    path_state *state = KD_NEW(ctx, io_call->env->state_arena, path_state);
    if (state == NULL)
        return KD_NOMEM;
    KD_TRY(path_read(ctx, io_call->env->state_arena, text, state));
    io_call->path = &state->path;
    io_call->patterns = state->patterns;
    return KD_OK;
}

static kd_status check_variables(kd_ctx *ctx, kd_slice variables)
{
    if (kd_jsonb_open(variables).kind == KD_JSONB_OBJECT)
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "\"vars\" argument is not an object");
    kd_error_set_detail(ctx, "Jsonpath parameters should be encoded as key-value pairs of \"vars\" "
                             "object.");
    return status;
}

/* target, path [, vars [, silent]] */
static kd_status call_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, kdi_path_call *out)
{
    const path_form *form = env->data;
    *out = (kdi_path_call){.env = env,
                           .json = kdi_arg_text(args, 0),
                           .throws = !form->is_quiet,
                           .uses_zone = form->uses_zone};
    KD_TRY(kdi_path_prepare(ctx, kdi_arg_text(args, 1), out));
    if (env->argument_count > 2) {
        out->variables = kdi_arg_text(args, 2);
        KD_TRY(check_variables(ctx, out->variables));
    }
    if (env->argument_count > 3 && KDI_ARG(uint8_t, args, 3))
        out->throws = false;
    return KD_OK;
}

/* ---- Functions ---- */

/* After an error that was not to be told, what had been found before it is the answer. */

KDI_ROW(path_exists)
{
    kdi_path_call call;
    kdi_path_result answer;
    KD_TRY(call_of(ctx, env, args, &call));
    KD_TRY(kdi_path_run(ctx, &call, NULL, &answer));
    *out_is_null = answer == KDI_PATH_ERROR;
    *(uint8_t *)result = answer == KDI_PATH_OK;
    return KD_OK;
}

KDI_ROW(path_match)
{
    kdi_path_call call;
    kdi_path_result answer;
    kdi_path_values found = {0};
    KD_TRY(call_of(ctx, env, args, &call));
    KD_TRY(kdi_path_run(ctx, &call, &found, &answer));
    *out_is_null = true;
    if (found.count == 1 && !found.items[0].is_time) {
        uint8_t kind = kd_jsonb_open(found.items[0].json).kind;
        *out_is_null = kind != KD_JSONB_TRUE && kind != KD_JSONB_FALSE;
        *(uint8_t *)result = kind == KD_JSONB_TRUE;
        if (!*out_is_null || kind == KD_JSONB_NULL)
            return KD_OK;
    }
    return call.throws ? KD_FAIL(ctx, KD_INVALID, "22038", "single boolean result is expected")
                       : KD_OK;
}

static kd_status found_json(kd_ctx *ctx, kd_call_env *env, const kdi_path_values *found,
                            kd_slice **out)
{
    *out = KD_NEW_ARRAY(ctx, env->arena, kd_slice, found->count);
    if (*out == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < found->count; i++)
        KD_TRY(kdi_path_value_json(ctx, env, &found->items[i], &(*out)[i]));
    return KD_OK;
}

KDI_ROW(path_query_array)
{
    kdi_path_call call;
    kdi_path_result answer;
    kdi_path_values found = {0};
    kd_slice *items, array;
    KD_TRY(call_of(ctx, env, args, &call));
    KD_TRY(kdi_path_run(ctx, &call, &found, &answer));
    KD_TRY(found_json(ctx, env, &found, &items));
    KD_TRY(kd_jsonb_make_array(ctx, env->arena, items, (uint32_t)found.count, &array));
    return kdi_return_text(result, array);
}

KDI_ROW(path_query_first)
{
    kdi_path_call call;
    kdi_path_result answer;
    kdi_path_values found = {0};
    kd_slice first;
    KD_TRY(call_of(ctx, env, args, &call));
    KD_TRY(kdi_path_run(ctx, &call, &found, &answer));
    *out_is_null = found.count == 0;
    if (*out_is_null)
        return KD_OK;
    KD_TRY(kdi_path_value_json(ctx, env, &found.items[0], &first));
    return kdi_return_text(result, first);
}

/* ---- As rows ---- */

KDI_DESCRIBE(describe_query)
{
    const char *const names[1] = {((const path_form *)env->data)->uses_zone ? "jsonb_path_query_tz"
                                                                            : "jsonb_path_query"};
    static const kd_type types[1] = {JSONB};
    return kdi_describe(ctx, arena, 1, names, types, out_column_count, out_names, out_types);
}

KDI_OPEN(open_query)
{
    static const kd_type types[1] = {JSONB};
    kdi_row_list *rows;
    KD_TRY(kdi_row_list_create(ctx, arena, types, 1, &rows));
    *out_cursor = rows;
    for (uint32_t i = 0; i < arg_count; i++)
        if (args[i].is_null)
            return KD_OK;
    const path_form *form = env->data;
    kd_call_env own = *env;
    own.arena = own.state_arena = arena;
    kdi_path_call call = {.env = &own,
                          .json = kdi_value_text(&args[0]),
                          .throws = arg_count < 4 || !args[3].as.boolean,
                          .uses_zone = form->uses_zone};
    if (arg_count > 2) {
        call.variables = kdi_value_text(&args[2]);
        KD_TRY(check_variables(ctx, call.variables));
    }
    kdi_path_values found = {0};
    kdi_path_result answer;
    KD_TRY(kdi_path_parse(ctx, kdi_value_text(&args[1]), &call));
    KD_TRY(kdi_path_run(ctx, &call, &found, &answer));
    for (size_t i = 0; i < found.count; i++) {
        kd_value row = kd_value_null(types[0]);
        kd_slice json;
        KD_TRY(kdi_path_value_json(ctx, &own, &found.items[i], &json));
        row.is_null = false;
        row.as.str = kd_str_from(json.data, json.size_bytes);
        KD_TRY(kdi_row_list_add(ctx, rows, &row));
    }
    return KD_OK;
}

static const char *const names[] = {"target", "path", "vars", "silent"};
static const path_form plain = {0}, quiet = {.is_quiet = true}, with_zone = {.uses_zone = true};

#define PATH(HOW, NAME, ROW, RESULT, FORM, ...)                                                    \
    {                                                                                              \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .strict = true,                      \
                                    .result = {.id = (RESULT), .modifier = -1}, .volatility = HOW, \
                                    .argument_names = names, .data = &(FORM)                       \
    }
#define PATHS(HOW, NAME, ROW, RESULT, FORM)                         \
    PATH(HOW, NAME, ROW, RESULT, FORM, JSONB, JSONPATH),            \
        PATH(HOW, NAME, ROW, RESULT, FORM, JSONB, JSONPATH, JSONB), \
        PATH(HOW, NAME, ROW, RESULT, FORM, JSONB, JSONPATH, JSONB, BOOL)
#define BOTH(NAME, ROW, RESULT)                    \
    PATHS(KD_IMMUTABLE, NAME, ROW, RESULT, plain), \
        PATHS(KD_STABLE, NAME "_tz", ROW, RESULT, with_zone)

static const kd_function functions[] = {
    BOTH("jsonb_path_exists", path_exists, KD_TYPE_BOOL),
    BOTH("jsonb_path_match", path_match, KD_TYPE_BOOL),
    BOTH("jsonb_path_query_array", path_query_array, KD_TYPE_JSONB),
    BOTH("jsonb_path_query_first", path_query_first, KD_TYPE_JSONB),
    PATH(KD_IMMUTABLE, "@?", path_exists, KD_TYPE_BOOL, quiet, JSONB, JSONPATH),
    PATH(KD_IMMUTABLE, "@@", path_match, KD_TYPE_BOOL, quiet, JSONB, JSONPATH),
};

#define QUERY(NAME, FORM, ...)                                                                    \
    {                                                                                             \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .describe = describe_query, .open = open_query, \
                                    .next = kdi_row_list_next, .is_quick = true,                  \
                                    .argument_names = names, .data = &(FORM)                      \
    }
#define QUERIES(NAME, FORM)                                                        \
    QUERY(NAME, FORM, JSONB, JSONPATH), QUERY(NAME, FORM, JSONB, JSONPATH, JSONB), \
        QUERY(NAME, FORM, JSONB, JSONPATH, JSONB, BOOL)

static const kd_table_function table_functions[] = {QUERIES("jsonb_path_query", plain),
                                                    QUERIES("jsonb_path_query_tz", with_zone)};

kd_status kdi_register_jsonpath(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_table_functions(ctx, registry, table_functions,
                                           KDI_COUNT(table_functions)));
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
