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

/* Why a set-returning function may not stand here; NULL: it may. */
static const char *srf_refusal(const kdi_query *query)
{
    if (query == NULL)
        return "set-returning functions are not allowed in this context";
    if (query->inside_aggregate)
        return "aggregate function calls cannot contain set-returning function calls";
    if (query->inside_window)
        return "window function calls cannot contain set-returning function calls";
    return NULL;
}

typedef struct srf_level {
    const kdi_query *query;
    uint32_t level;
} srf_level;

static kd_status note_level(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    srf_level *self = object;
    for (size_t i = 0; (*slot)->kind == KD_EXPR_COLUMN && i < self->query->srf_count; i++) {
        const kdi_srf *srf = &self->query->srfs[i];
        for (uint32_t c = 0; c < srf->rel->column_count; c++)
            if (srf->rel->columns[c].id == (*slot)->column && srf->level >= self->level)
                self->level = srf->level + 1;
    }
    return KD_OK;
}

static bool same_srf(const kd_rel *a, const kd_table_function *function, kd_expr *const *arguments,
                     uint32_t count)
{
    if (a->as.function.function != function || a->as.function.argument_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (kd_expr_is_volatile(arguments[i]) ||
            !kd_expr_equal(a->as.function.arguments[i], arguments[i]))
            return false;
    return true;
}

/* Its rows come from a lateral join; several columns are one row value. */
static kd_status srf_value(kd_ctx *ctx, kdi_binder *b, kd_rel *rel, int position, kd_expr **out)
{
    if (rel->column_count == 1) {
        *out = kdi_column_expr(ctx, b, &rel->columns[0], position);
        return *out == NULL ? KD_NOMEM : KD_OK;
    }
    kdi_source source = {.column_count = rel->column_count, .columns = rel->columns};
    return kdi_whole_row(ctx, b, &source, position, out);
}

/* Here no column list can say what the rows hold: the first argument's type has to. */
static kd_status check_row_type(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                const kd_table_function *function, kd_expr *const *arguments,
                                uint32_t count)
{
    kd_record_shape shape;
    bool known = true;
    if (function->wants_columns && count > 1)
        KD_TRY(kdi_row_shape(ctx, b, arguments[0]->type, &shape, &known));
    return known ? KD_OK
                 : kdi_at(ctx, b, ast->node.position,
                          KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                  "could not determine row type for result of %s", function->name));
}

static kd_status bind_srf(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                          const kd_table_function *function, kd_expr **arguments, uint32_t count,
                          const kd_type *wanted, kd_expr **out)
{
    kdi_query *query = scope == NULL ? NULL : scope->query;
    const char *refusal = srf_refusal(query);
    if (refusal != NULL)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "%s", refusal));
    if (!query->srfs_ok || query->srf_barrier != NULL)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "set-returning functions are not allowed in %s",
                              query->srf_barrier != NULL ? query->srf_barrier : query->clause));
    srf_level level = {.query = query};
    for (uint32_t i = 0; i < count; i++) {
        if (!(function->wants_columns && arguments[i]->type.id == KD_TYPE_RECORD))
            KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &arguments[i]));
        KD_TRY(kd_expr_walk(ctx, &arguments[i], note_level, &level));
    }
    for (size_t i = 0; i < query->srf_count; i++)
        if (same_srf(query->srfs[i].rel, function, arguments, count))
            return srf_value(ctx, b, query->srfs[i].rel, ast->node.position, out);
    kd_rel *rel;
    KD_TRY(check_row_type(ctx, b, ast, function, arguments, count));
    KD_TRY(
        kdi_table_function_rel(ctx, b, function, arguments, count, NULL, ast->node.position, &rel));
    kdi_srf *srf;
    KD_TRY(KD_PUSH(ctx, b->arena, query->srfs, query->srf_count, query->srf_capacity, &srf));
    *srf = (kdi_srf){.rel = rel, .level = level.level};
    return srf_value(ctx, b, rel, ast->node.position, out);
}

static kd_status bind_arguments(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_call *ast, kd_expr ***out_arguments)
{
    *out_arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, ast->arg_count);
    if (*out_arguments == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->arg_count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->args[i].value, &(*out_arguments)[i]));
    return KD_OK;
}

/* In the order of the function; with their types. */
static kd_status arrange_arguments(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                   kd_expr ***out_arguments, kd_type **out_types,
                                   uint32_t *out_count)
{
    *out_count = (uint32_t)ast->arg_count;
    if (kdi_names_arguments(ast) && !kdi_is_variadic(ast))
        KD_TRY(kdi_arrange_arguments(ctx, b, ast, out_arguments, out_count));
    *out_types = KD_NEW_ARRAY(ctx, b->arena, kd_type, *out_count);
    if (*out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < *out_count; i++)
        (*out_types)[i] = (*out_arguments)[i]->type;
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

/* Whether a function of the system takes the very types that are given. */
static bool has_builtin(const kdi_binder *b, kd_slice name, kd_expr *const *arguments,
                        uint32_t count, bool *out_is_exact)
{
    kd_type types[KD_FUNCTION_ARGUMENTS_MAX], wanted[KD_FUNCTION_ARGUMENTS_MAX], result;
    const kd_function *function;
    const kd_table_function *rows;
    bool ambiguous;
    *out_is_exact = true;
    if (count > KD_FUNCTION_ARGUMENTS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        types[i] = arguments[i]->type;
    if (!kd_registry_find_function(b->registry, name, types, count, &function, wanted, &result,
                                   &ambiguous) &&
        !kd_registry_find_table_function(b->registry, name, types, count, &rows, wanted))
        return false;
    for (uint32_t i = 0; i < count; i++)
        *out_is_exact &= kd_type_same(types[i], wanted[i]);
    return true;
}

kd_status kdi_match_routine(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **given,
                            kdi_routine_call *out, bool *out_found)
{
    bool is_exact, qualified = ast->function.schema.size_bytes > 0;
    KD_TRY(kdi_find_routine(ctx, b, ast, given, false, out, out_found));
    if (*out_found && !out->is_exact && !qualified && !kdi_names_arguments(ast) &&
        has_builtin(b, ast->function.name, given, (uint32_t)ast->arg_count, &is_exact))
        *out_found = false;
    return KD_OK;
}

static kd_status bind_routine(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                              kdi_routine_call *call, kd_expr **out)
{
    if (!call->routine->returns_set)
        return kdi_routine_value(ctx, b, call, out);
    const kd_table_function *function;
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, call->argument_count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < call->argument_count; i++)
        types[i] = call->arguments[i]->type;
    KD_TRY(kdi_routine_function(ctx, b, call, NULL, &function));
    return bind_srf(ctx, b, scope, ast, function, call->arguments, call->argument_count, types,
                    out);
}

/* json_populate_record gives one row: as an expression it is a function like any other. */
static bool is_row_function(const kdi_binder *b, const kd_table_function *function,
                            const kd_type *types, uint32_t count)
{
    const kd_function *found;
    kd_type wanted[KD_FUNCTION_ARGUMENTS_MAX], result;
    bool ambiguous;
    return function->wants_columns && count <= KD_FUNCTION_ARGUMENTS_MAX &&
           kd_registry_find_function(b->registry, kd_slice_of(function->name), types, count, &found,
                                     wanted, &result, &ambiguous);
}

kd_status kdi_bind_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                        kd_expr **out)
{
    kd_slice name = ast->function.name;
    if (kd_slice_equal(name, KD_SLICE("columns")) && scope != NULL &&
        !kd_registry_has_name(b->registry, name))
        return kdi_bind_columns(ctx, b, scope, ast, out);
    if (ast->over != NULL)
        return kdi_bind_window_call(ctx, b, scope, ast, out);
    if (ast->within_group.count > 0 && is_window_function(name))
        return kdi_bind_hypothetical(ctx, b, scope, ast, out);
    if (is_window_function(name))
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "window function %.*s requires an OVER clause", KDI_S(name)));
    if (kd_registry_is_aggregate(b->registry, name))
        return kdi_bind_aggregate(ctx, b, scope, ast, out);
    /* What is not there at all is told below, whatever the call says of it. */
    if (kd_registry_has_name(b->registry, name))
        KD_TRY(only_for_aggregates(ctx, b, ast));
    kd_expr **arguments = NULL;
    kd_type *types = NULL;
    uint32_t count;
    KD_TRY(bind_arguments(ctx, b, scope, ast, &arguments));
    if (kdi_has_routine(b, &ast->function)) {
        kdi_routine_call call;
        bool found;
        KD_TRY(kdi_match_routine(ctx, b, ast, arguments, &call, &found));
        if (found)
            return bind_routine(ctx, b, scope, ast, &call, out);
    }
    kd_slice schema = ast->function.schema;
    if (schema.size_bytes > 0 && kd_catalog_find_schema(b->options->catalog, schema) == NULL)
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist", KDI_S(schema)));
    KD_TRY(arrange_arguments(ctx, b, ast, &arguments, &types, &count));
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (wanted == NULL)
        return KD_NOMEM;
    if (count == 1 && kd_slice_equal(name, KD_SLICE("pg_typeof")))
        return bind_typeof(ctx, b, ast, types[0], out);
    if (kdi_is_variadic(ast))
        return kdi_bind_variadic(ctx, b, ast, arguments, out);
    const kd_table_function *table_function;
    if (kd_registry_find_table_function(b->registry, name, types, count, &table_function, wanted) &&
        !is_row_function(b, table_function, types, count))
        return bind_srf(ctx, b, scope, ast, table_function, arguments, count, wanted, out);
    return kdi_call(ctx, b, name, arguments, count, ast->node.position, out);
}
