/*
 * Expressions with a syntax of their own: CASE, COALESCE, ARRAY, subscripts, zones.
 */
#include "sql/bind_internal.h"

static kd_status refuse(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node, const char *what)
{
    return kdi_at(ctx, b, node->position,
                  KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "%s is not supported here", what));
}

static kd_status bind_list(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                           kd_expr **out)
{
    for (size_t i = 0; i < list->count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, scope, list->items[i], &out[i]));
    return KD_OK;
}

static kd_status bind_case(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_case *ast,
                           kd_expr **out)
{
    uint32_t whens = (uint32_t)ast->when_count;
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_CASE, kd_type_of(KD_TYPE_UNKNOWN),
                                 ast->node.position, whens * 2 + (ast->otherwise != NULL));
    kd_expr **results = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, whens + 1);
    if (expr == NULL || results == NULL)
        return KD_NOMEM;
    kd_expr *operand = NULL;
    if (ast->operand != NULL)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    if (operand != NULL && operand->kind == KD_EXPR_CONSTANT)
        KD_TRY(kdi_settle(ctx, b, &operand)); /* Once, not anew for each WHEN. */
    for (uint32_t i = 0; i < whens; i++) {
        kd_expr *condition;
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->whens[i].condition, &condition));
        if (operand != NULL)
            KD_TRY(kdi_operator(ctx, b, KD_SLICE("="), operand, condition, condition->position,
                                &condition));
        KD_TRY(kdi_to_boolean(ctx, b, "CASE/WHEN", &condition));
        expr->arguments[i * 2] = condition;
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->whens[i].result, &results[i + 1]));
    }
    /* ELSE comes first when the type is chosen, as in PostgreSQL. */
    expr->case_has_else = ast->otherwise != NULL;
    if (ast->otherwise != NULL)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->otherwise, &results[0]));
    kd_expr **first = ast->otherwise != NULL ? results : results + 1;
    KD_TRY(kdi_unify(ctx, b, "CASE", first, whens + expr->case_has_else, &expr->type));
    for (uint32_t i = 0; i < whens; i++)
        expr->arguments[i * 2 + 1] = results[i + 1];
    if (expr->case_has_else)
        expr->arguments[whens * 2] = results[0];
    *out = expr;
    return KD_OK;
}

static kd_status bind_coalesce(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                               kd_expr **out)
{
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_COALESCE, kd_type_of(KD_TYPE_UNKNOWN),
                                 ast->node.position, (uint32_t)ast->args.count);
    if (expr == NULL)
        return KD_NOMEM;
    KD_TRY(bind_list(ctx, b, scope, &ast->args, expr->arguments));
    KD_TRY(kdi_unify(ctx, b, "COALESCE", expr->arguments, expr->argument_count, &expr->type));
    *out = expr;
    return KD_OK;
}

/* The better of two: CASE WHEN a IS NULL OR NOT (a op b) IS NOT FALSE ... spelled out. */
static kd_status better_of(kd_ctx *ctx, kdi_binder *b, kd_slice op, kd_expr *left, kd_expr *right,
                           kd_expr **out)
{
    kd_type boolean = kd_type_of(KD_TYPE_BOOL);
    kd_expr *choice = kdi_expr_new(ctx, b, KD_EXPR_CASE, left->type, left->position, 3);
    kd_expr *either = kdi_expr_new(ctx, b, KD_EXPR_OR, boolean, left->position, 2);
    kd_expr *missing = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, boolean, left->position, 1);
    if (choice == NULL || either == NULL || missing == NULL)
        return KD_NOMEM;
    missing->arguments[0] = right;
    either->arguments[0] = missing;
    KD_TRY(kdi_operator(ctx, b, op, left, right, left->position, &either->arguments[1]));
    choice->case_has_else = true;
    choice->arguments[0] = either;
    choice->arguments[1] = left;
    choice->arguments[2] = right;
    *out = choice;
    return KD_OK;
}

/* As a balanced tree, so that the text of the result grows with n log n and not with 2^n. */
static kd_status best_of(kd_ctx *ctx, kdi_binder *b, kd_slice op, kd_expr **exprs, uint32_t count,
                         kd_expr **out)
{
    if (count == 1) {
        *out = exprs[0];
        return KD_OK;
    }
    kd_expr *left, *right;
    KD_TRY(best_of(ctx, b, op, exprs, count / 2, &left));
    KD_TRY(best_of(ctx, b, op, exprs + count / 2, count - count / 2, &right));
    return better_of(ctx, b, op, left, right, out);
}

static kd_status bind_extreme(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                              kd_expr **out)
{
    bool greatest = ast->node.kind == KD_AST_GREATEST;
    uint32_t count = (uint32_t)ast->args.count;
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, count);
    if (exprs == NULL)
        return KD_NOMEM;
    KD_TRY(bind_list(ctx, b, scope, &ast->args, exprs));
    kd_type type;
    KD_TRY(kdi_unify(ctx, b, greatest ? "GREATEST" : "LEAST", exprs, count, &type));
    kd_slice name = greatest ? KD_SLICE("greatest") : KD_SLICE("least");
    if (count <= KD_FUNCTION_ARGUMENTS_MAX && kd_registry_has_name(b->registry, name))
        return kdi_call(ctx, b, name, exprs, count, ast->node.position, out);
    return best_of(ctx, b, greatest ? KD_SLICE(">=") : KD_SLICE("<="), exprs, count, out);
}

static kd_status bind_nullif(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                             kd_expr **out)
{
    kd_expr *pair[2], *equal;
    KD_TRY(bind_list(ctx, b, scope, &ast->args, pair));
    KD_TRY(kdi_operator(ctx, b, KD_SLICE("="), pair[0], pair[1], ast->node.position, &equal));
    kd_expr *value = pair[0];
    KD_TRY(kdi_settle(ctx, b, &value));
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_CASE, value->type, ast->node.position, 3);
    kd_expr *null = kdi_constant(ctx, b, kd_value_null(value->type), ast->node.position);
    if (expr == NULL || null == NULL)
        return KD_NOMEM;
    expr->case_has_else = true;
    expr->arguments[0] = equal;
    expr->arguments[1] = null;
    expr->arguments[2] = value;
    *out = expr;
    return KD_OK;
}

static kd_status bind_array(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                            kd_expr **out)
{
    uint32_t count = (uint32_t)ast->args.count;
    if (count == 0) {
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "42P18", "cannot determine type of empty array");
        kd_error_set_hint(ctx,
                          "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
        return kdi_at(ctx, b, ast->node.position, status);
    }
    kd_expr *expr =
        kdi_expr_new(ctx, b, KD_EXPR_ARRAY, kd_type_of(KD_TYPE_UNKNOWN), ast->node.position, count);
    if (expr == NULL)
        return KD_NOMEM;
    KD_TRY(bind_list(ctx, b, scope, &ast->args, expr->arguments));
    kd_type element;
    KD_TRY(kdi_unify(ctx, b, "ARRAY", expr->arguments, count, &element));
    expr->type = element.is_array ? element : kd_type_array_of(element);
    *out = expr;
    return KD_OK;
}

kd_status kdi_bind_array_as(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                            kd_type type, int mark, kd_expr **out)
{
    uint32_t count = (uint32_t)ast->args.count;
    bool is_nested = false;
    KD_TRY(kdi_enter(ctx, b));
    *out = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, type, ast->node.position, count);
    if (*out == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_ast_node *item = ast->args.items[i];
        kd_expr **slot = &(*out)->arguments[i];
        if (item->kind == KD_AST_ARRAY)
            KD_TRY(kdi_bind_array_as(ctx, b, scope, (const kd_ast_args *)item, type, mark, slot));
        else
            KD_TRY(kdi_bind_expr(ctx, b, scope, item, slot));
        is_nested |= (*slot)->type.is_array;
    }
    kd_type wanted = is_nested ? type : kd_type_element(type);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_at(ctx, b, mark,
                      kdi_coerce(ctx, b, wanted, KD_CAST_EXPLICIT, &(*out)->arguments[i])));
    kdi_leave(b);
    return KD_OK;
}

static kd_status bind_index(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                            kd_expr **out)
{
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, out));
    return kdi_coerce(ctx, b, kd_type_of(KD_TYPE_INT4), KD_CAST_ASSIGNMENT, out);
}

/* kade_array_slice(array, bounds): for each dimension which bounds were given, 1 the lower and 2
 * the upper one, and the two. Beside a slice, [n] is [1:n]. */
static kd_status bind_slice(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_subscript *ast, kd_expr *base, kd_expr **out)
{
    kd_type numbers = kd_type_array_of(kd_type_of(KD_TYPE_INT4));
    kd_expr *bounds = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, numbers, ast->node.position,
                                   (uint32_t)ast->range_count * 3);
    kd_expr *arguments[2] = {base, bounds};
    if (bounds == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->range_count; i++) {
        const kd_ast_index_range *range = &ast->ranges[i];
        const kd_ast_node *nodes[2] = {range->is_slice ? range->lower : NULL,
                                       range->is_slice ? range->upper : range->lower};
        int32_t given = (nodes[0] != NULL || !range->is_slice) | (nodes[1] != NULL) << 1;
        bounds->arguments[i * 3] = kdi_constant(ctx, b, kd_value_i32(given), -1);
        for (int k = 0; k < 2; k++) {
            kd_expr **bound = &bounds->arguments[i * 3 + 1 + (size_t)k];
            if (nodes[k] != NULL)
                KD_TRY(bind_index(ctx, b, scope, nodes[k], bound));
            else
                *bound = kdi_constant(ctx, b, kd_value_i32(1), -1);
            if (*bound == NULL || bounds->arguments[i * 3] == NULL)
                return KD_NOMEM;
        }
    }
    return kdi_call(ctx, b, KD_SLICE("kade_array_slice"), arguments, 2, ast->node.position, out);
}

/* Numbers are positions and texts are keys: base #> ARRAY[...]. */
static kd_status bind_jsonb_subscript(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                      const kd_ast_subscript *ast, kd_expr *base, kd_expr **out)
{
    kd_type text = kd_type_of(KD_TYPE_TEXT);
    kd_expr *path = kdi_expr_new(ctx, b, KD_EXPR_ARRAY, kd_type_array_of(text), ast->node.position,
                                 (uint32_t)ast->range_count);
    if (path == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->range_count; i++) {
        kd_expr **step = &path->arguments[i];
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->ranges[i].lower, step));
        kd_type type = (*step)->type;
        bool is_place = !type.is_array && (type.id == KD_TYPE_INT2 || type.id == KD_TYPE_INT4);
        if (!is_place && !kdi_is_unknown(type) && !kd_type_is_string(type))
            return kdi_at(ctx, b, ast->ranges[i].lower->position,
                          KD_FAIL(ctx, KD_INVALID, "42804", "subscript type %s is not supported",
                                  kdi_type_text(ctx, b, type)));
        KD_TRY(kdi_coerce(ctx, b, text, is_place ? KD_CAST_EXPLICIT : KD_CAST_IMPLICIT, step));
    }
    return kdi_operator(ctx, b, KD_SLICE("#>"), base, path, ast->node.position, out);
}

static kd_status bind_subscript(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_subscript *ast, kd_expr **out)
{
    kd_expr *base;
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->base, &base));
    bool slices = false;
    for (size_t i = 0; i < ast->range_count; i++)
        slices |= ast->ranges[i].is_slice;
    bool is_jsonb = !base->type.is_array && base->type.id == KD_TYPE_JSONB;
    if (is_jsonb && slices)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42804", "jsonb subscript does not support slices"));
    if (is_jsonb)
        return bind_jsonb_subscript(ctx, b, scope, ast, base, out);
    if (!base->type.is_array)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42804",
                              "cannot subscript type %s because it does not support subscripting",
                              kdi_type_text(ctx, b, base->type)));
    if (slices)
        return bind_slice(ctx, b, scope, ast, base, out);
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_SUBSCRIPT, kd_type_element(base->type),
                                 ast->node.position, (uint32_t)ast->range_count + 1);
    if (expr == NULL)
        return KD_NOMEM;
    expr->arguments[0] = base;
    for (size_t i = 0; i < ast->range_count; i++)
        KD_TRY(bind_index(ctx, b, scope, ast->ranges[i].lower, &expr->arguments[i + 1]));
    *out = expr;
    return KD_OK;
}

static kd_status bind_zone(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                           const kd_ast_at_time_zone *ast, kd_expr **out)
{
    kd_expr *arguments[2];
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &arguments[1]));
    if (ast->zone == NULL)
        return refuse(ctx, b, &ast->node, "AT LOCAL");
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->zone, &arguments[0]));
    return kdi_call(ctx, b, KD_SLICE("timezone"), arguments, 2, ast->node.mark, out);
}

static kd_status bind_current(kd_ctx *ctx, kdi_binder *b, const kd_ast_current *ast, kd_expr **out)
{
    static const struct {
        const char *function;
        uint8_t type; /* KD_TYPE_UNKNOWN: as the function gives it. */
    } forms[] = {
        [KD_AST_CURRENT_DATE] = {"now", KD_TYPE_DATE},
        [KD_AST_CURRENT_TIME] = {"now", KD_TYPE_TIMETZ},
        [KD_AST_CURRENT_TIMESTAMP] = {"now", KD_TYPE_TIMESTAMPTZ},
        [KD_AST_LOCALTIME] = {"now", KD_TYPE_TIME},
        [KD_AST_LOCALTIMESTAMP] = {"now", KD_TYPE_TIMESTAMP},
        [KD_AST_CURRENT_USER] = {"current_user", KD_TYPE_UNKNOWN},
        [KD_AST_SESSION_USER] = {"session_user", KD_TYPE_UNKNOWN},
        [KD_AST_CURRENT_CATALOG] = {"current_database", KD_TYPE_UNKNOWN},
        [KD_AST_CURRENT_SCHEMA] = {"current_schema", KD_TYPE_UNKNOWN},
    };
    KD_TRY(
        kdi_call(ctx, b, kd_slice_of(forms[ast->what].function), NULL, 0, ast->node.position, out));
    if (forms[ast->what].type == KD_TYPE_UNKNOWN)
        return KD_OK;
    kd_type type = kd_type_of(forms[ast->what].type);
    if (ast->precision >= 0)
        type.modifier = ast->precision > 6 ? 6 : ast->precision;
    return kdi_coerce(ctx, b, type, KD_CAST_EXPLICIT, out);
}

/* The arguments' columns say which query's grouping is asked for. */
static kd_status bind_grouping(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                               kd_expr **out)
{
    if (ast->args.count > 31)
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_LIMIT, "54023", "GROUPING must have fewer than 32 arguments"));
    kd_expr **arguments = KD_NEW_ARRAY(ctx, b->arena, kd_expr *, ast->args.count);
    if (arguments == NULL)
        return KD_NOMEM;
    int deepest = b->deepest;
    b->deepest = -1;
    KD_TRY(bind_list(ctx, b, scope, &ast->args, arguments));
    kdi_scope *home = scope;
    while (home != NULL && (home->query == NULL || (b->deepest >= 0 && home->depth > b->deepest)))
        home = home->outer;
    b->deepest = deepest > b->deepest ? deepest : b->deepest;
    if (home == NULL || !home->query->grouped || !home->query->aggregates_ok)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42803",
                              "arguments to GROUPING must be grouping expressions of the "
                              "associated query level"));
    KD_TRY(
        kdi_bind_grouping(ctx, b, arguments, (uint32_t)ast->args.count, ast->node.position, out));
    (*out)->field = (uint32_t)home->depth;
    return KD_OK;
}

/* t.* as one value: count(t.*). */
static kd_status bind_whole(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_star *ast,
                            kd_expr **out)
{
    if (ast->part_count == 0)
        return refuse(ctx, b, &ast->node, "*");
    kd_ast_column column = {.node = ast->node, .parts = ast->parts, .part_count = ast->part_count};
    return kdi_bind_whole_row(ctx, b, scope, &column, out);
}

/* CASE and COALESCE do not evaluate all of their parts, so none may give several rows. */
static kd_status bind_choice(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_expr **out)
{
    kdi_query *query = scope == NULL ? NULL : scope->query;
    const char *barrier = query == NULL ? NULL : query->srf_barrier;
    bool is_case = node->kind == KD_AST_CASE;
    if (query != NULL)
        query->srf_barrier = is_case ? "CASE" : "COALESCE";
    kd_status status = is_case ? bind_case(ctx, b, scope, (const kd_ast_case *)node, out)
                               : bind_coalesce(ctx, b, scope, (const kd_ast_args *)node, out);
    if (query != NULL)
        query->srf_barrier = barrier;
    return status;
}

kd_status kdi_bind_special(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           kd_expr **out)
{
    switch (node->kind) {
    case KD_AST_CASE:
    case KD_AST_COALESCE:
        return bind_choice(ctx, b, scope, node, out);
    case KD_AST_GREATEST:
    case KD_AST_LEAST:
        return bind_extreme(ctx, b, scope, (const kd_ast_args *)node, out);
    case KD_AST_NULLIF:
        return bind_nullif(ctx, b, scope, (const kd_ast_args *)node, out);
    case KD_AST_GROUPING:
        return bind_grouping(ctx, b, scope, (const kd_ast_args *)node, out);
    case KD_AST_ARRAY:
        return bind_array(ctx, b, scope, (const kd_ast_args *)node, out);
    case KD_AST_SUBSCRIPT:
        return bind_subscript(ctx, b, scope, (const kd_ast_subscript *)node, out);
    case KD_AST_COLLATE:
        return kdi_bind_expr(ctx, b, scope, ((const kd_ast_collate *)node)->operand, out);
    case KD_AST_AT_TIME_ZONE:
        return bind_zone(ctx, b, scope, (const kd_ast_at_time_zone *)node, out);
    case KD_AST_CURRENT:
        return bind_current(ctx, b, (const kd_ast_current *)node, out);
    case KD_AST_FIELD:
        return kdi_bind_field(ctx, b, scope, (const kd_ast_field *)node, out);
    case KD_AST_DEFAULT:
        return kdi_at(ctx, b, node->position,
                      KD_FAIL(ctx, KD_INVALID, "42601", "DEFAULT is not allowed in this context"));
    case KD_AST_ROW:
        return kdi_bind_row_value(ctx, b, scope, node, out);
    case KD_AST_STAR:
        return bind_whole(ctx, b, scope, (const kd_ast_star *)node, out);
    default:
        return refuse(ctx, b, node, "this expression");
    }
}
