/*
 * Functions in FROM.
 */
#include "sql/bind_internal.h"

#include "sql/ast_define.h"

/* The copy of a function that is called with these columns. */
static kd_status with_columns(kd_ctx *ctx, kdi_binder *b, const kd_table_function *function,
                              kd_expr *const *arguments, uint32_t count,
                              const kd_record_shape *columns, const kd_table_function **out)
{
    kd_record_shape *shape = KD_NEW(ctx, b->arena, kd_record_shape);
    kd_table_function *copy = KD_NEW(ctx, b->arena, kd_table_function);
    if (shape == NULL || copy == NULL)
        return KD_NOMEM;
    bool known = columns != NULL;
    if (known)
        *shape = *columns;
    else if (count > 1)
        KD_TRY(kdi_row_shape(ctx, b, arguments[0]->type, shape, &known));
    if (!known)
        return KD_FAIL(ctx, KD_INVALID, "42601",
                       "a column definition list is required for functions returning \"record\"");
    *copy = *function;
    copy->data = shape;
    *out = copy;
    return KD_OK;
}

kd_status kdi_table_function_rel(kd_ctx *ctx, kdi_binder *b, const kd_table_function *function,
                                 kd_expr **arguments, uint32_t count,
                                 const kd_record_shape *columns, int position, kd_rel **out)
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
    kd_status status = KD_OK;
    if (function->wants_columns)
        status = with_columns(ctx, b, function, arguments, count, columns, &function);
    else if (columns != NULL)
        status = KD_FAIL(ctx, KD_INVALID, "42601",
                         "a column definition list is only allowed for functions returning "
                         "\"record\"");
    if (status != KD_OK)
        return kdi_at(ctx, b, position, status);
    kd_call_env env = {.facts = b->options->facts,
                       .arena = b->arena,
                       .state_arena = b->arena,
                       .argument_count = count,
                       .argument_types = types,
                       .data = function->data};
    uint32_t column_count;
    kd_slice *names;
    kd_type *column_types;
    status = function->describe(ctx, b->arena, &env, values, count, &column_count, &names,
                                &column_types);
    if (status != KD_OK)
        return kdi_at(ctx, b, position, status);
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_FUNCTION, position, column_count);
    if (rel == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < column_count; i++)
        rel->columns[i] =
            (kd_rel_column){.id = kdi_next_id(b), .type = column_types[i], .name = names[i]};
    b->runs_routines |= function->runs_statements;
    rel->as.function.function = function;
    rel->as.function.argument_count = count;
    rel->as.function.arguments = arguments;
    *out = rel;
    return KD_OK;
}

/* --- Side by side --- */

static kd_status fill_part(kd_ctx *ctx, kdi_binder *b, const kd_rel *rel, kd_side_part *part)
{
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, rel->column_count);
    if (types == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < rel->column_count; c++)
        types[c] = rel->columns[c].type;
    bool is_function = rel->kind == KD_REL_FUNCTION;
    *part = (kd_side_part){.function = is_function ? rel->as.function.function : NULL,
                           .argument_count = is_function ? rel->as.function.argument_count : 1,
                           .column_count = rel->column_count,
                           .column_types = types};
    return KD_OK;
}

kd_status kdi_side_by_side(kd_ctx *ctx, kdi_binder *b, kd_rel *const *rels, uint32_t count,
                           kd_rel **out)
{
    *out = rels[0];
    if (count == 1 && rels[0]->kind == KD_REL_FUNCTION)
        return KD_OK;
    kd_side_by_side *side = KD_NEW(ctx, b->arena, kd_side_by_side);
    kd_side_part *parts = KD_NEW_ARRAY(ctx, b->arena, kd_side_part, count);
    kd_table_function *function = KD_NEW(ctx, b->arena, kd_table_function);
    const kd_table_function *registered;
    if (side == NULL || parts == NULL || function == NULL)
        return KD_NOMEM;
    if (!kd_registry_find_table_function(b->registry, KD_SLICE(KD_SIDE_BY_SIDE), NULL, 0,
                                         &registered, NULL))
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "no function runs others side by side");
    uint32_t columns = 0, arguments = 0, argument = 0, column = 0;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(fill_part(ctx, b, rels[i], &parts[i]));
        columns += parts[i].column_count;
        arguments += parts[i].argument_count;
    }
    *side = (kd_side_by_side){count, parts};
    *function = *registered;
    function->data = side;
    kd_rel *rel = kdi_rel_new(ctx, b, KD_REL_FUNCTION, rels[0]->position, columns);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, arguments);
    if (rel == NULL || exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_expr **from = rels[i]->kind == KD_REL_FUNCTION ? rels[i]->as.function.arguments
                                                          : rels[i]->as.project.exprs;
        for (uint32_t a = 0; a < parts[i].argument_count; a++)
            exprs[argument++] = from[a];
        for (uint32_t c = 0; c < parts[i].column_count; c++)
            rel->columns[column++] = rels[i]->columns[c];
    }
    rel->as.function.function = function;
    rel->as.function.argument_count = arguments;
    rel->as.function.arguments = exprs;
    *out = rel;
    return KD_OK;
}

/* --- FROM --- */

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

static kd_status one_value(kd_ctx *ctx, kdi_binder *b, kd_expr *expr, kd_slice name, kd_rel **out)
{
    kd_rel *one = kdi_rel_one_row(ctx, b);
    if (one == NULL)
        return KD_NOMEM;
    return kdi_rel_project(ctx, b, one, &expr, &name, 1, false, out);
}

/* Not a table function: one row with the value. */
static kd_status bind_scalar(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_rel **out)
{
    kd_expr *expr;
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, &expr));
    KD_TRY(kdi_settle(ctx, b, &expr));
    return one_value(ctx, b, expr, kdi_target_name(node), out);
}

/* AS t(a int, b text) */
static kd_status listed_columns(kd_ctx *ctx, kdi_binder *b, const kd_ast_list *list,
                                kd_record_shape **out)
{
    *out = NULL;
    if (list == NULL || list->count == 0)
        return KD_OK;
    kd_record_shape *shape = KD_NEW(ctx, b->arena, kd_record_shape);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, list->count);
    kd_slice *names = KD_NEW_ARRAY(ctx, b->arena, kd_slice, list->count);
    if (shape == NULL || types == NULL || names == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const kd_ast_column_def *definition = (const kd_ast_column_def *)list->items[i];
        KD_TRY(kdi_bind_type(ctx, b, &definition->type, &types[i]));
        names[i] = definition->name;
        for (size_t k = 0; k < i; k++)
            if (kd_slice_equal(names[k], names[i]))
                return KD_FAIL(ctx, KD_INVALID, "42701",
                               "column name \"%.*s\" specified more than once", KDI_S(names[i]));
    }
    *shape = (kd_record_shape){(uint32_t)list->count, types, names};
    *out = shape;
    return KD_OK;
}

/* What one call in FROM gives. */
typedef struct item {
    kd_rel *rel;
    bool expands;          /* Rows of a known type among its columns become columns themselves. */
    bool must_be_function; /* Beside others, or counted. */
} item;

static kd_status bind_one(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          const kd_ast_list *definitions, item *out)
{
    kdi_query query = {.clause = "functions in FROM"};
    kdi_scope inner = {.outer = scope, .query = &query, .depth = scope == NULL ? 0 : scope->depth};
    kd_record_shape *columns;
    KD_TRY(listed_columns(ctx, b, definitions, &columns));
    const kd_ast_call *call = (const kd_ast_call *)node;
    const kd_table_function *function;
    bool has_routine = node->kind == KD_AST_CALL && kdi_has_routine(b, &call->function);
    bool is_call = node->kind == KD_AST_CALL && (has_routine || !kdi_is_variadic(call)) &&
                   !kd_registry_is_aggregate(b->registry, call->function.name);
    uint32_t count = is_call ? (uint32_t)call->arg_count : 0;
    kd_expr **arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, &inner, call->args[i].value, &arguments[i]));
    if (has_routine && is_call) {
        kdi_routine_call routine;
        bool found;
        KD_TRY(kdi_match_routine(ctx, b, call, arguments, &routine, &found));
        bool as_value = found && !routine.routine->returns_set && columns == NULL &&
                        routine.routine->form != KD_BODY_QUERY &&
                        !kdi_routine_gives_any_row(routine.routine);
        if (found && !as_value && out->must_be_function) {
            KD_TRY(kdi_routine_function(ctx, b, &routine, columns, &function));
            return kdi_table_function_rel(ctx, b, function, routine.arguments,
                                          routine.argument_count, NULL, node->position, &out->rel);
        }
        if (found && !as_value)
            return kdi_routine_rows(ctx, b, &routine, columns, &out->rel);
        if (found) {
            kd_expr *value;
            out->expands = true;
            KD_TRY(kdi_routine_value(ctx, b, &routine, &value));
            return one_value(ctx, b, value, routine.routine->object.name, &out->rel);
        }
    }
    if (is_call && kdi_names_arguments(call))
        KD_TRY(kdi_arrange_arguments(ctx, b, call, &arguments, &count));
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    kd_type *wanted = KD_NEW_ARRAY(ctx, b->arena, kd_type, count);
    if (types == NULL || wanted == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        types[i] = arguments[i]->type;
    if (!is_call || !kd_registry_find_table_function(b->registry, call->function.name, types, count,
                                                     &function, wanted)) {
        if (columns != NULL)
            return kdi_at(ctx, b, node->position,
                          KD_FAIL(ctx, KD_INVALID, "42601",
                                  "a column definition list is only allowed for functions "
                                  "returning \"record\""));
        out->expands = node->kind == KD_AST_CALL;
        return bind_scalar(ctx, b, &inner, node, &out->rel);
    }
    for (uint32_t i = 0; i < count; i++)
        if (!(function->wants_columns && types[i].id == KD_TYPE_RECORD))
            KD_TRY(kdi_coerce(ctx, b, wanted[i], KD_CAST_IMPLICIT, &arguments[i]));
    out->expands = !function->wants_columns;
    return kdi_table_function_rel(ctx, b, function, arguments, count, columns, node->position,
                                  &out->rel);
}

/* The columns of a row that a function gives, in its place; `*out_row_object` is its type, where
 * the row is all there is. */
static kd_status expand_rows(kd_ctx *ctx, kdi_binder *b, const item *items, uint32_t item_count,
                             uint32_t *out_row_object, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_targets list = {0};
    kd_slice *name;
    uint32_t left = 0, at = 0;
    bool changed = false;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        const kd_rel_column *column = &rel->columns[i];
        for (; left == 0 && at < item_count; at++)
            left = items[at].rel->column_count;
        bool expands = left > 0 && items[at - 1].expands, known = false;
        kd_record_shape shape = {.field_count = 1, .names = &column->name};
        left -= left > 0;
        if (expands)
            KD_TRY(kdi_row_shape(ctx, b, column->type, &shape, &known));
        if (!known)
            shape = (kd_record_shape){.field_count = 1, .names = &column->name};
        changed |= known;
        if (known && rel->column_count == 1)
            *out_row_object = column->type.object;
        for (uint32_t f = 0; f < shape.field_count; f++) {
            kd_expr *expr = kdi_column_expr(ctx, b, column, rel->position);
            if (expr == NULL)
                return KD_NOMEM;
            if (known)
                KD_TRY(kdi_row_field(ctx, b, expr, &shape, f, rel->position, &expr));
            KD_TRY(KD_PUSH(ctx, b->arena, list.names, list.name_count, list.name_capacity, &name));
            *name = shape.names[f];
            kd_expr **slot;
            KD_TRY(KD_PUSH(ctx, b->arena, list.exprs, list.count, list.expr_capacity, &slot));
            *slot = expr;
        }
    }
    if (!changed)
        return KD_OK;
    return kdi_rel_project(ctx, b, rel, list.exprs, list.names, (uint32_t)list.count, true, io_rel);
}

static kd_status bind_calls(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_table_call *ast, uint32_t *out_row_object, kd_rel **out)
{
    uint32_t count = (uint32_t)ast->calls.count;
    kd_rel **rels = KD_NEW_ARRAY(ctx, b->arena, kd_rel *, count);
    item *items = KD_NEW_ARRAY(ctx, b->arena, item, count);
    if (rels == NULL || items == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_ast_list *definitions =
            ast->call_column_defs == NULL ? NULL : &ast->call_column_defs[i];
        if (count == 1 && (definitions == NULL || definitions->count == 0))
            definitions = &ast->alias.column_defs;
        items[i].must_be_function = count > 1 || ast->ordinality;
        KD_TRY(bind_one(ctx, b, scope, ast->calls.items[i], definitions, &items[i]));
        rels[i] = items[i].rel;
    }
    if (ast->alias.column_defs.count > 0 && (count > 1 || ast->ordinality))
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42601",
                              count > 1 ? "ROWS FROM() with multiple functions cannot have a "
                                          "column definition list"
                                        : "WITH ORDINALITY cannot be used with a column "
                                          "definition list"));
    *out = rels[0];
    if (count > 1 || ast->ordinality)
        KD_TRY(kdi_side_by_side(ctx, b, rels, count, out));
    if (ast->ordinality)
        KD_TRY(add_ordinality(ctx, b, *out));
    return expand_rows(ctx, b, items, count, out_row_object, out);
}

kd_status kdi_bind_table_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                              const kd_ast_table_call *ast, kdi_names *names, kd_rel **out)
{
    const kd_ast_node *node = ast->calls.items[0];
    uint32_t row_object = 0;
    KD_TRY(bind_calls(ctx, b, scope, ast, &row_object, out));
    kd_slice function_name = kdi_target_name(node);
    kd_rel named = **out;
    kd_rel_column first;
    /* A function that gives one column names it after its alias. */
    if (row_object == 0 && named.column_count == (ast->ordinality ? 2u : 1u) &&
        ast->alias.name.size_bytes > 0 &&
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
    KD_TRY(kdi_apply_alias(ctx, b, &ast->alias, (kd_slice){NULL, 0}, function_name, &named,
                           named.column_count, names));
    kdi_source *source = &names->sources[names->source_count - 1];
    source->row_object = (row_object & KD_ROW_IS_LOCAL) == 0 ? row_object : 0;
    source->is_value = named.column_count == 1 && ast->calls.count == 1 && row_object == 0 &&
                       ast->alias.column_defs.count == 0;
    return kdi_check_columns(ctx, b, out);
}
