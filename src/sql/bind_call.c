/*
 * Calls: scalar functions, and the way to aggregates, windows and set-returning functions.
 */
#include "sql/bind_internal.h"

static bool is_window_function(kd_slice name)
{
    static const char *const names[] = {"row_number",  "rank",       "dense_rank", "percent_rank",
                                        "cume_dist",   "ntile",      "lag",        "lead",
                                        "first_value", "last_value", "nth_value"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kd_slice_equal(name, kd_slice_of(names[i])))
            return true;
    return false;
}

static kd_status only_for_aggregates(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast)
{
    const char *what = ast->star                     ? "*"
                       : ast->distinct               ? "DISTINCT"
                       : ast->filter != NULL         ? "FILTER"
                       : ast->within_group.count > 0 ? "WITHIN GROUP"
                       : ast->order_by.count > 0     ? "ORDER BY"
                                                     : NULL;
    if (what == NULL)
        return KD_OK;
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42809",
                          "%s specified, but %.*s is not an aggregate function", what,
                          KDI_S(ast->function.name)));
}

/* A set-returning function in the select list: its rows come from a lateral join. */
static kd_status bind_srf(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                          const kd_table_function *function, kd_expr **arguments,
                          const kd_type *wanted, kd_expr **out)
{
    kdi_query *query = scope == NULL ? NULL : scope->query;
    if (query == NULL || !query->srfs_ok)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "set-returning functions are not allowed in %s",
                              query == NULL ? "this context" : query->clause));
    uint32_t count = (uint32_t)ast->arg_count;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &arguments[i]));
    kd_rel *rel;
    KD_TRY(kdi_table_function_rel(ctx, b, function, arguments, count, ast->node.position, &rel));
    if (rel->column_count != 1)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "function %.*s gives several columns and must be used in FROM",
                              KDI_S(ast->function.name)));
    kdi_srf *srf;
    KD_TRY(KD_PUSH(ctx, b->arena, query->srfs, query->srf_count, query->srf_capacity, &srf));
    srf->rel = rel;
    *out = kdi_column_expr(ctx, b, &rel->columns[0], ast->node.position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status bind_arguments(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_call *ast, kd_expr ***out_arguments,
                                kd_type **out_types)
{
    *out_arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, ast->arg_count);
    *out_types = KD_NEW_ARRAY(ctx, b->arena, kd_type, ast->arg_count);
    if (*out_arguments == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->arg_count; i++) {
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->args[i].value, &(*out_arguments)[i]));
        (*out_types)[i] = (*out_arguments)[i]->type;
    }
    return KD_OK;
}

/* pg_typeof(x): known here and nowhere else. */
static kd_status bind_typeof(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_type type,
                             kd_expr **out)
{
    const char *name = kdi_is_unknown(type) ? "unknown" : kdi_type_text(ctx, b, type);
    *out = kdi_constant(ctx, b, kd_value_text(kd_slice_of(name)), ast->node.position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static bool has_names(const kd_ast_call *ast)
{
    for (size_t i = 0; i < ast->arg_count; i++)
        if (ast->args[i].name.size_bytes > 0)
            return true;
    return false;
}

/* Where a named argument stands in the function's list; UINT32_MAX: it has none of that name. */
static uint32_t named_place(const kd_function *function, kd_slice name)
{
    for (uint32_t i = 0; i < function->argument_count; i++)
        if (function->argument_names != NULL && function->argument_names[i] != NULL &&
            kd_slice_equal(kd_slice_of(function->argument_names[i]), name))
            return i;
    return UINT32_MAX;
}

/* f(b => 1, a => 2): put in the function's order; numbers left out in between are 0,
 * jsonb is {}. */
static kd_status bind_named(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **arguments,
                            kd_expr **out)
{
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX], wanted[KD_FUNCTION_ARGUMENTS_MAX], result;
    for (uint32_t total = (uint32_t)ast->arg_count; total <= KD_FUNCTION_ARGUMENTS_MAX; total++) {
        const kd_function *function;
        bool ambiguous;
        for (uint32_t i = 0; i < total; i++)
            types[i] = kd_type_of(KD_TYPE_UNKNOWN);
        if (!kd_registry_find_function(b->registry, ast->function.name, types, total, &function,
                                       wanted, &result, &ambiguous))
            continue;
        kd_expr *ordered[KD_FUNCTION_ARGUMENTS_MAX] = {NULL};
        bool fits = true;
        for (size_t i = 0; i < ast->arg_count && fits; i++) {
            kd_slice name = ast->args[i].name;
            uint32_t at = name.size_bytes > 0 ? named_place(function, name) : (uint32_t)i;
            fits = at < total && ordered[at] == NULL;
            if (fits)
                ordered[at] = arguments[i];
        }
        for (uint32_t i = 0; i < total && fits; i++) {
            if (ordered[i] != NULL)
                continue;
            bool is_object = wanted[i].id == KD_TYPE_JSONB && !wanted[i].is_array;
            kd_value missing = kd_value_i32(0);
            fits = kd_type_is_number(wanted[i]) || is_object;
            if (is_object)
                KD_TRY(kd_value_parse(ctx, b->arena, &b->settings, wanted[i], KD_SLICE("{}"),
                                      &missing));
            ordered[i] = kdi_constant(ctx, b, missing, -1);
            if (ordered[i] == NULL)
                return KD_NOMEM;
        }
        if (fits)
            return kdi_call(ctx, b, ast->function.name, ordered, total, ast->node.position, out);
    }
    return kdi_at(ctx, b, ast->node.position,
                  KD_FAIL(ctx, KD_INVALID, "42883",
                          "function %.*s with these argument names does not exist",
                          KDI_S(ast->function.name)));
}

/* f(a, VARIADIC ARRAY[b, c]) is f(a, b, c). */
static kd_status spread_variadic(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                 const kd_ast_call **out)
{
    const kd_ast_arg *last = ast->arg_count == 0 ? NULL : &ast->args[ast->arg_count - 1];
    *out = ast;
    if (last == NULL || !last->variadic)
        return KD_OK;
    if (last->value->kind != KD_AST_ARRAY)
        return kdi_at(ctx, b, last->value->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "VARIADIC takes an ARRAY[...] of single values here"));
    const kd_ast_list *elements = &((const kd_ast_args *)last->value)->args;
    kd_ast_call *spread = KD_NEW(ctx, b->arena, kd_ast_call);
    kd_ast_arg *args = KD_NEW_ARRAY(ctx, b->arena, kd_ast_arg, ast->arg_count + elements->count);
    if (spread == NULL || args == NULL)
        return KD_NOMEM;
    *spread = *ast;
    spread->arg_count = ast->arg_count - 1;
    for (size_t i = 0; i < spread->arg_count; i++)
        args[i] = ast->args[i];
    for (size_t i = 0; i < elements->count; i++)
        args[spread->arg_count++].value = elements->items[i];
    spread->args = args;
    *out = spread;
    return KD_OK;
}

kd_status kdi_bind_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                        kd_expr **out)
{
    kd_slice name = ast->function.name;
    KD_TRY(spread_variadic(ctx, b, ast, &ast));
    if (ast->over != NULL)
        return kdi_bind_window_call(ctx, b, scope, ast, out);
    if (is_window_function(name))
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "window function %.*s requires an OVER clause", KDI_S(name)));
    if (kd_registry_is_aggregate(b->registry, name))
        return kdi_bind_aggregate(ctx, b, scope, ast, out);
    KD_TRY(only_for_aggregates(ctx, b, ast));
    kd_expr **arguments = NULL;
    kd_type *types = NULL;
    KD_TRY(bind_arguments(ctx, b, scope, ast, &arguments, &types));
    uint32_t count = (uint32_t)ast->arg_count;
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (wanted == NULL)
        return KD_NOMEM;
    if (count == 1 && kd_slice_equal(name, KD_SLICE("pg_typeof")))
        return bind_typeof(ctx, b, ast, types[0], out);
    if (has_names(ast))
        return bind_named(ctx, b, ast, arguments, out);
    const kd_table_function *table_function;
    if (kd_registry_find_table_function(b->registry, name, types, count, &table_function, wanted))
        return bind_srf(ctx, b, scope, ast, table_function, arguments, wanted, out);
    return kdi_call(ctx, b, name, arguments, count, ast->node.position, out);
}
