/*
 * Functions in FROM.
 */
#include "sql/bind_internal.h"

kd_status kdi_table_function_rel(kd_ctx *ctx, kdi_binder *b, const kd_table_function *function,
                                 kd_expr **arguments, uint32_t count, int position, kd_rel **out)
{
    *out = NULL;
    kd_value *values = KD_NEW_ARRAY(ctx, b->arena, kd_value, count);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (values == NULL || types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        types[i] = arguments[i]->type;
        values[i] = arguments[i]->kind == KD_EXPR_CONSTANT ? arguments[i]->constant
                                                           : kd_value_null(types[i]);
    }
    kd_call_env env = {.facts = b->options->facts,
                       .arena = b->arena,
                       .state_arena = b->arena,
                       .argument_count = count,
                       .argument_types = types,
                       .data = function->data};
    uint32_t column_count;
    kd_slice *names;
    kd_type *column_types;
    kd_status status = function->describe(ctx, b->arena, &env, values, count, &column_count, &names,
                                          &column_types);
    if (status != KD_OK)
        return kdi_at(ctx, b, position, status);
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_FUNCTION, position, column_count);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < column_count; i++)
        rel->columns[i] =
            (kd_rel_column){.id = kdi_next_id(b), .type = column_types[i], .name = names[i]};
    rel->as.function.function = function;
    rel->as.function.argument_count = count;
    rel->as.function.arguments = arguments;
    *out = rel;
    return KD_OK;
}

static kd_status add_ordinality(kd_ctx *ctx, kdi_binder *b, kd_rel *rel)
{
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, rel->column_count + 1);
    if (columns == NULL)
        return KD_NOMEM;
    memcpy(columns, rel->columns, rel->column_count * sizeof *columns);
    columns[rel->column_count] = (kd_rel_column){
        .id = kdi_next_id(b), .type = kd_type_of(KD_TYPE_INT8), .name = KD_SLICE("ordinality")};
    rel->columns = columns;
    rel->column_count++;
    rel->as.function.with_ordinality = true;
    return KD_OK;
}

/* Not a table function: one row with the value. */
static kd_status bind_scalar(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             bool ordinality, kd_rel **out)
{
    kd_expr *exprs[2];
    kd_slice names[2] = {kdi_target_name(node), KD_SLICE("ordinality")};
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, &exprs[0]));
    KD_TRY(kdi_settle(ctx, b, &exprs[0]));
    exprs[1] = kdi_constant(ctx, b, kd_value_i64(1), -1);
    kd_rel *one = kdi_rel_one_row(ctx, b);
    if (one == NULL || exprs[1] == NULL)
        return KD_NOMEM;
    return kdi_rel_project(ctx, b, one, exprs, names, ordinality ? 2 : 1, false, out);
}

static kd_status bind_one(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          bool ordinality, kd_rel **out)
{
    kdi_query query = {.clause = "functions in FROM"};
    kdi_scope inner = {.outer = scope, .query = &query, .depth = scope == NULL ? 0 : scope->depth};
    if (node->kind != KD_AST_CALL)
        return bind_scalar(ctx, b, &inner, node, ordinality, out);
    const kd_ast_call *call = (const kd_ast_call *)node;
    uint32_t count = (uint32_t)call->arg_count;
    kd_expr **arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (arguments == NULL || types == NULL || wanted == NULL)
        return KD_NOMEM;
    if (kd_registry_is_aggregate(b->registry, call->function.name))
        return bind_scalar(ctx, b, &inner, node, ordinality, out);
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(kdi_bind_expr(ctx, b, &inner, call->args[i].value, &arguments[i]));
        types[i] = arguments[i]->type;
    }
    const kd_table_function *function;
    if (!kd_registry_find_table_function(b->registry, call->function.name, types, count, &function,
                                         wanted))
        return bind_scalar(ctx, b, &inner, node, ordinality, out);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &arguments[i]));
    KD_TRY(kdi_table_function_rel(ctx, b, function, arguments, count, node->position, out));
    return ordinality ? add_ordinality(ctx, b, *out) : KD_OK;
}

kd_status kdi_bind_table_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                              const kd_ast_table_call *ast, kdi_names *names, kd_rel **out)
{
    if (ast->calls.count != 1)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                              "ROWS FROM with several functions is not supported"));
    const kd_ast_node *node = ast->calls.items[0];
    KD_TRY(bind_one(ctx, b, scope, node, ast->ordinality, out));
    kd_slice function_name = kdi_target_name(node);
    kd_rel named = **out;
    kd_rel_column first;
    /* A function that gives one column names it after its alias. */
    if (named.column_count == (ast->ordinality ? 2u : 1u) && ast->alias.name.size_bytes > 0 &&
        (named.kind != KD_REL_FUNCTION || kd_slice_equal(named.columns[0].name, function_name))) {
        kd_rel_column *columns = KD_NEW_ARRAY(ctx, b->arena, kd_rel_column, named.column_count);
        if (columns == NULL)
            return KD_NOMEM;
        memcpy(columns, named.columns, named.column_count * sizeof *columns);
        first = columns[0];
        first.name = ast->alias.name;
        columns[0] = first;
        named.columns = columns;
    }
    return kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, function_name, &named,
                           named.column_count, names);
}
