/*
 * Calls that do not list their arguments in order: name => value, and VARIADIC array.
 */
#include "sql/bind_internal.h"

/* PostgreSQL's names of arguments of built-in functions that do not say them themselves. */
static const struct {
    const char *function;
    const char *names[KD_FUNCTION_ARGUMENTS_MAX];
} known_names[] = {
    {"json_array_element", {"from_json", "element_index"}},
    {"json_array_element_text", {"from_json", "element_index"}},
    {"json_object_field", {"from_json", "field_name"}},
    {"json_object_field_text", {"from_json", "field_name"}},
    {"jsonb_array_element", {"from_json", "element_index"}},
    {"jsonb_array_element_text", {"from_json", "element_index"}},
    {"jsonb_object_field", {"from_json", "field_name"}},
    {"jsonb_object_field_text", {"from_json", "field_name"}},
    {"jsonb_insert", {"jsonb_in", "path", "replacement", "insert_after"}},
    {"jsonb_path_exists", {"target", "path", "vars", "silent"}},
    {"jsonb_path_match", {"target", "path", "vars", "silent"}},
    {"jsonb_path_query_array", {"target", "path", "vars", "silent"}},
    {"jsonb_path_query_first", {"target", "path", "vars", "silent"}},
    {"jsonb_set", {"jsonb_in", "path", "replacement", "create_if_missing"}},
    {"jsonb_set_lax",
     {"jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"}},
    {"make_date", {"year", "month", "day"}},
    {"make_time", {"hour", "min", "sec"}},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec", "timezone"}},
    {"parse_ident", {"str", "strict"}},
};

bool kdi_call_is_plain(const kd_ast_call *ast)
{
    for (size_t i = 0; i < ast->arg_count; i++)
        if (ast->args[i].name.size_bytes > 0 || ast->args[i].variadic)
            return false;
    return true;
}

/* --- Names --- */

static const char *const *names_of(const kd_function *function)
{
    if (function->argument_names != NULL)
        return function->argument_names;
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++)
        if (strcmp(known_names[i].function, function->name) == 0)
            return known_names[i].names;
    return NULL;
}

/* Where a named argument stands in the function's list; UINT32_MAX: it has none of that name. */
static uint32_t named_place(const kd_function *function, kd_slice name)
{
    const char *const *names = names_of(function);
    for (uint32_t i = 0; names != NULL && i < function->argument_count; i++)
        if (names[i] != NULL && kd_slice_equal(kd_slice_of(names[i]), name))
            return i;
    return UINT32_MAX;
}

static kd_status check_names(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast)
{
    for (size_t i = 0; i < ast->arg_count; i++) {
        const kd_ast_arg *arg = &ast->args[i];
        if (arg->name.size_bytes == 0) {
            if (i > 0 && ast->args[i - 1].name.size_bytes > 0)
                return kdi_at(ctx, b, arg->value->position,
                              KD_FAIL(ctx, KD_INVALID, "42601",
                                      "positional argument cannot follow named argument"));
            continue;
        }
        for (size_t k = 0; k < i; k++)
            if (kd_slice_equal(ast->args[k].name, arg->name))
                return kdi_at(ctx, b, arg->position,
                              KD_FAIL(ctx, KD_INVALID, "42601",
                                      "argument name \"%.*s\" used more than once",
                                      KDI_S(arg->name)));
    }
    return KD_OK;
}

/* In the function's order; false where the names are not its own or a place stays empty that has
 * no default: numbers left out in between are 0, jsonb is {}. */
static kd_status put_in_order(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                              const kd_function *function, const kd_type *wanted, uint32_t total,
                              kd_expr **arguments, kd_expr **ordered, bool *out_fits)
{
    *out_fits = true;
    for (size_t i = 0; i < ast->arg_count && *out_fits; i++) {
        kd_slice name = ast->args[i].name;
        uint32_t at = name.size_bytes > 0 ? named_place(function, name) : (uint32_t)i;
        *out_fits = at < total && ordered[at] == NULL;
        if (*out_fits)
            ordered[at] = arguments[i];
    }
    for (uint32_t i = 0; i < total && *out_fits; i++) {
        if (ordered[i] != NULL)
            continue;
        bool is_object = wanted[i].id == KD_TYPE_JSONB && !wanted[i].is_array;
        kd_value missing = kd_value_i32(0);
        *out_fits = kd_type_is_number(wanted[i]) || is_object;
        if (is_object)
            KD_TRY(
                kd_value_parse(ctx, b->arena, &b->settings, wanted[i], KD_SLICE("{}"), &missing));
        ordered[i] = kdi_constant(ctx, b, missing, -1);
        if (ordered[i] == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

static kd_status bind_named(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **arguments,
                            kd_expr **out)
{
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX], wanted[KD_FUNCTION_ARGUMENTS_MAX], result;
    KD_TRY(check_names(ctx, b, ast));
    for (uint32_t total = (uint32_t)ast->arg_count; total <= KD_FUNCTION_ARGUMENTS_MAX; total++) {
        const kd_function *function;
        bool ambiguous, fits;
        for (uint32_t i = 0; i < total; i++)
            types[i] = kd_type_of(KD_TYPE_UNKNOWN);
        if (!kd_registry_find_function(b->registry, ast->function.name, types, total, &function,
                                       wanted, &result, &ambiguous))
            continue;
        kd_expr *ordered[KD_FUNCTION_ARGUMENTS_MAX] = {NULL};
        KD_TRY(put_in_order(ctx, b, ast, function, wanted, total, arguments, ordered, &fits));
        if (fits)
            return kdi_call(ctx, b, ast->function.name, ordered, total, ast->node.position, out);
    }
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42883",
                          "function %.*s with these argument names does not exist",
                          KDI_S(ast->function.name)));
}

/* --- VARIADIC --- */

/* f(a, VARIADIC array): the array's elements are the last arguments, how many it turns out. */
static kd_status bind_variadic(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                               kd_expr **arguments, kd_expr **out)
{
    uint32_t count = (uint32_t)ast->arg_count;
    kd_expr *array = arguments[count - 1];
    if (!array->type.is_array)
        return kdi_at(ctx, b, ast->args[count - 1].value->position,
                      KD_FAIL(ctx, KD_INVALID, "42804", "VARIADIC argument must be an array"));
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL || wanted == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = i + 1 < count ? arguments[i]->type : kd_type_element(array->type);
    const kd_function *function;
    kd_type result;
    bool ambiguous = false;
    bool found = kd_registry_find_function(b->registry, ast->function.name, types, count, &function,
                                           wanted, &result, &ambiguous);
    if (!found || !function->variadic || function->row == NULL) {
        types[count - 1] = array->type;
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42883", "function %s does not exist",
                              kdi_signature(ctx, b, ast->function.name, types, count)));
    }
    kd_expr *call = kdi_expr_new(ctx, b, KD_EXPR_CALL, result, ast->node.position, count);
    if (call == NULL)
        return KD_NOMEM;
    call->function = function;
    call->spreads = true;
    wanted[count - 1] = kd_type_array_of(wanted[count - 1]);
    for (uint32_t i = 0; i < count; i++) {
        call->arguments[i] = arguments[i];
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &call->arguments[i]));
    }
    *out = call;
    return KD_OK;
}

kd_status kdi_bind_named_call(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                              kd_expr **arguments, kd_expr **out)
{
    if (ast->args[ast->arg_count - 1].variadic)
        return bind_variadic(ctx, b, ast, arguments, out);
    return bind_named(ctx, b, ast, arguments, out);
}
