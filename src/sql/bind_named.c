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

bool kdi_names_arguments(const kd_ast_call *ast)
{
    for (size_t i = 0; i < ast->arg_count; i++)
        if (ast->args[i].name.size_bytes > 0)
            return true;
    return false;
}

bool kdi_is_variadic(const kd_ast_call *ast)
{
    return ast->arg_count > 0 && ast->args[ast->arg_count - 1].variadic;
}

/* --- Names --- */

/* What a call may name: the arguments of a function, of values or of rows. */
typedef struct callee {
    const char *name;
    uint32_t argument_count;
    const char *const *argument_names;
} callee;

/* What is called `name` and takes `total` arguments. */
static bool find_callee(kdi_binder *b, kd_slice name, uint32_t total, callee *out, kd_type *wanted)
{
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX], result;
    const kd_function *function;
    const kd_table_function *table_function;
    bool ambiguous;
    for (uint32_t i = 0; i < total; i++)
        types[i] = kd_type_of(KD_TYPE_UNKNOWN);
    if (kd_registry_find_table_function(b->registry, name, types, total, &table_function, wanted)) {
        *out = (callee){table_function->name, table_function->argument_count,
                        table_function->argument_names};
        return true;
    }
    if (!kd_registry_find_function(b->registry, name, types, total, &function, wanted, &result,
                                   &ambiguous))
        return false;
    *out = (callee){function->name, function->argument_count, function->argument_names};
    return true;
}

static const char *const *names_of(const callee *function)
{
    if (function->argument_names != NULL)
        return function->argument_names;
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++)
        if (strcmp(known_names[i].function, function->name) == 0)
            return known_names[i].names;
    return NULL;
}

/* Where a named argument stands in the function's list; UINT32_MAX: it has none of that name. */
static uint32_t named_place(const callee *function, kd_slice name)
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

/* The default of an argument that is left out before others: numbers are 0, jsonb is {}, and of
 * booleans only jsonb_set_lax has one there, create_if_missing. False: it has none. */
static kd_status default_of(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_expr **out, bool *out_has)
{
    kd_value value = kd_value_i32(0);
    *out_has = !type.is_array &&
               (kd_type_is_number(type) || type.id == KD_TYPE_JSONB || type.id == KD_TYPE_BOOL);
    if (!*out_has)
        return KD_OK;
    if (type.id == KD_TYPE_JSONB)
        KD_TRY(kd_value_parse(ctx, b->arena, &b->settings, type, KD_SLICE("{}"), &value));
    if (type.id == KD_TYPE_BOOL)
        value = kd_value_bool(true);
    *out = kdi_constant(ctx, b, value, -1);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* In the function's order; false where the names are not its own or a place stays empty that has
 * no default. */
static kd_status put_in_order(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                              const callee *function, const kd_type *wanted, uint32_t total,
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
    for (uint32_t i = 0; i < total && *out_fits; i++)
        if (ordered[i] == NULL)
            KD_TRY(default_of(ctx, b, wanted[i], &ordered[i], out_fits));
    return KD_OK;
}

kd_status kdi_arrange_arguments(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                kd_expr ***io_arguments, uint32_t *io_count)
{
    kd_type wanted[KD_FUNCTION_ARGUMENTS_MAX];
    KD_TRY(check_names(ctx, b, ast));
    for (uint32_t total = *io_count; total <= KD_FUNCTION_ARGUMENTS_MAX; total++) {
        callee function;
        bool fits;
        if (!find_callee(b, ast->function.name, total, &function, wanted))
            continue;
        kd_expr **ordered = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, total);
        if (ordered == NULL)
            return KD_NOMEM;
        KD_TRY(put_in_order(ctx, b, ast, &function, wanted, total, *io_arguments, ordered, &fits));
        if (!fits)
            continue;
        *io_arguments = ordered;
        *io_count = total;
        return KD_OK;
    }
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42883",
                          "function %.*s with these argument names does not exist",
                          KDI_S(ast->function.name)));
}

/* --- VARIADIC --- */

/* f(a, VARIADIC array): the array's elements are the last arguments, how many it turns out. */
kd_status kdi_bind_variadic(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **arguments,
                            kd_expr **out)
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
