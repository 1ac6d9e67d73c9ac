/*
 * Predicates: AND, OR, NOT, IS, IS DISTINCT FROM, BETWEEN, IN, LIKE, ANY and ALL.
 */
#include "sql/bind_internal.h"

static const kd_type boolean_type = {.id = KD_TYPE_BOOL, .modifier = -1};

static kd_status negate_if(kd_ctx *ctx, kdi_binder *b, bool negated, kd_expr **io_expr)
{
    if (!negated)
        return KD_OK;
    *io_expr = kdi_not(ctx, b, *io_expr);
    return *io_expr == NULL ? KD_NOMEM : KD_OK;
}

static kd_status bind_and_or(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                             kd_expr **out)
{
    bool is_and = ast->node.kind == KD_AST_AND;
    uint32_t count = (uint32_t)ast->args.count;
    kd_expr *expr = kdi_expr_new(ctx, b, is_and ? KD_EXPR_AND : KD_EXPR_OR, boolean_type,
                                 ast->node.position, count);
    if (expr == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_bind_condition(ctx, b, scope, ast->args.items[i], is_and ? "AND" : "OR",
                                  &expr->arguments[i]));
    *out = expr;
    return KD_OK;
}

static kd_status make_distinct(kd_ctx *ctx, kdi_binder *b, kd_expr *left, kd_expr *right,
                               int position, kd_expr **out)
{
    kd_expr *pair[2] = {left, right};
    kd_type type, types[2], result;
    const kd_function *function;
    /* There must be an equality; then both sides become of one type. */
    KD_TRY(kdi_find_operator(ctx, b, KD_SLICE("="), left->type, right->type, position, &function,
                             types, &result));
    if (kd_type_same(types[0], types[1])) {
        KD_TRY(kdi_coerce(ctx, b, types[0], KD_CAST_IMPLICIT, &pair[0]));
        KD_TRY(kdi_coerce(ctx, b, types[1], KD_CAST_IMPLICIT, &pair[1]));
    }
    KD_TRY(kdi_unify(ctx, b, "IS DISTINCT FROM", pair, 2, &type));
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_IS_DISTINCT, boolean_type, position, 2);
    if (expr == NULL)
        return KD_NOMEM;
    expr->arguments[0] = pair[0];
    expr->arguments[1] = pair[1];
    *out = expr;
    return KD_OK;
}

static kd_status is_null(kd_ctx *ctx, kdi_binder *b, kd_expr *operand, bool negated, int position,
                         kd_expr **out)
{
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_IS_NULL, boolean_type, position, 1);
    if (expr == NULL)
        return KD_NOMEM;
    expr->arguments[0] = operand;
    *out = expr;
    return negate_if(ctx, b, negated, out);
}

/* A row IS [NOT] NULL when all its fields are. */
static kd_status bind_row_is_null(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                  const kd_ast_is *ast, kd_expr **out)
{
    kd_expr **fields;
    uint32_t count;
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->operand, &fields, &count));
    kd_expr *all = kdi_expr_new(ctx, b, KD_EXPR_AND, boolean_type, ast->node.position, count);
    if (all == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(kdi_settle(ctx, b, &fields[i]));
        KD_TRY(is_null(ctx, b, fields[i], ast->negated, ast->node.position, &all->arguments[i]));
    }
    *out = all;
    return KD_OK;
}

static kd_status bind_is(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_is *ast,
                         kd_expr **out)
{
    if (ast->operand->kind == KD_AST_ROW && ast->test == KD_AST_IS_NULL)
        return bind_row_is_null(ctx, b, scope, ast, out);
    kd_expr *operand;
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    switch (ast->test) {
    case KD_AST_IS_NULL:
        KD_TRY(kdi_settle(ctx, b, &operand));
        if (operand->type.id == KD_TYPE_RECORD && !operand->type.is_array)
            return kdi_row_is_null(ctx, b, operand, ast->negated, ast->node.position, out);
        return is_null(ctx, b, operand, ast->negated, ast->node.position, out);
    case KD_AST_IS_UNKNOWN:
        KD_TRY(kdi_to_boolean(ctx, b, "IS UNKNOWN", &operand));
        return is_null(ctx, b, operand, ast->negated, ast->node.position, out);
    case KD_AST_IS_TRUE:
    case KD_AST_IS_FALSE: {
        bool wanted = ast->test == KD_AST_IS_TRUE;
        KD_TRY(kdi_to_boolean(ctx, b, wanted ? "IS TRUE" : "IS FALSE", &operand));
        kd_expr *constant = kdi_constant(ctx, b, kd_value_bool(wanted), ast->node.position);
        if (constant == NULL)
            return KD_NOMEM;
        KD_TRY(make_distinct(ctx, b, operand, constant, ast->node.position, out));
        return negate_if(ctx, b, !ast->negated, out);
    }
    case KD_AST_IS_NORMALIZED: {
        kd_slice form = ast->form.size_bytes > 0 ? ast->form : KD_SLICE("nfc");
        kd_expr *arguments[2] = {operand,
                                 kdi_constant(ctx, b, kd_value_text(form), ast->node.position)};
        if (arguments[1] == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_call(ctx, b, KD_SLICE("is_normalized"), arguments, 2, ast->node.position, out));
        return negate_if(ctx, b, ast->negated, out);
    }
    default:
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "this IS test is not supported"));
    }
}

static kd_status bind_distinct_from(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                    const kd_ast_distinct_from *ast, kd_expr **out)
{
    kd_expr **left, **right;
    uint32_t left_count, right_count;
    if (ast->left->kind != KD_AST_ROW || ast->right->kind != KD_AST_ROW) {
        kd_expr *pair[2];
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->left, &pair[0]));
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->right, &pair[1]));
        KD_TRY(make_distinct(ctx, b, pair[0], pair[1], ast->node.mark, out));
        return negate_if(ctx, b, ast->negated, out);
    }
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->left, &left, &left_count));
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->right, &right, &right_count));
    if (left_count != right_count || left_count == 0)
        return kdi_at(
            ctx, b, ast->node.mark,
            KD_FAIL(ctx, KD_INVALID, "42601", "unequal number of entries in row expressions"));
    kd_expr *any = kdi_expr_new(ctx, b, KD_EXPR_OR, boolean_type, ast->node.mark, left_count);
    if (any == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < left_count; i++)
        KD_TRY(make_distinct(ctx, b, left[i], right[i], ast->node.mark, &any->arguments[i]));
    *out = any;
    return negate_if(ctx, b, ast->negated, out);
}

static kd_status between(kd_ctx *ctx, kdi_binder *b, const kd_ast_between *ast, kd_expr *operand,
                         kd_expr *low, kd_expr *high, kd_expr **out)
{
    kd_expr *above, *below;
    KD_TRY(kdi_operator(ctx, b, KD_SLICE(">="), operand, low, ast->node.mark, &above));
    KD_TRY(kdi_operator(ctx, b, KD_SLICE("<="), operand, high, ast->node.mark, &below));
    return kdi_and(ctx, b, above, below, out);
}

static kd_status bind_between(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                              const kd_ast_between *ast, kd_expr **out)
{
    kd_expr *operand, *low, *high;
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->low, &low));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->high, &high));
    KD_TRY(between(ctx, b, ast, operand, low, high, out));
    if (ast->symmetric) {
        kd_expr *either = kdi_expr_new(ctx, b, KD_EXPR_OR, boolean_type, ast->node.position, 2);
        if (either == NULL)
            return KD_NOMEM;
        either->arguments[0] = *out;
        KD_TRY(between(ctx, b, ast, operand, high, low, &either->arguments[1]));
        *out = either;
    }
    return negate_if(ctx, b, ast->negated, out);
}

static kd_status in_as_or(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_in *ast,
                          kd_expr **needle, uint32_t needle_count, kd_expr **out)
{
    uint32_t count = (uint32_t)ast->items.count;
    kd_expr *any = kdi_expr_new(ctx, b, KD_EXPR_OR, boolean_type, ast->node.position, count);
    if (any == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_expr **item, *whole;
        uint32_t item_count;
        if (ast->operand->kind == KD_AST_ROW) {
            KD_TRY(kdi_bind_row(ctx, b, scope, ast->items.items[i], &item, &item_count));
        } else {
            item = &whole;
            item_count = 1;
            KD_TRY(kdi_bind_expr(ctx, b, scope, ast->items.items[i], &whole));
        }
        if (item_count != needle_count)
            return kdi_at(
                ctx, b, ast->items.items[i]->position,
                KD_FAIL(ctx, KD_INVALID, "42601", "unequal number of entries in row expressions"));
        KD_TRY(kdi_compare_rows(ctx, b, KD_SLICE("="), needle, item, needle_count, ast->node.mark,
                                &any->arguments[i]));
    }
    *out = count == 1 ? any->arguments[0] : any;
    return KD_OK;
}

static kd_status bind_in_list(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_in *ast,
                              kd_expr *needle, kd_expr **out)
{
    uint32_t count = (uint32_t)ast->items.count;
    kd_expr *list =
        kdi_expr_new(ctx, b, KD_EXPR_IN_LIST, boolean_type, ast->node.position, count + 1);
    kd_type *types = KD_NEW_ARRAY(ctx, b->arena, kd_type, count + 1);
    if (list == NULL || types == NULL)
        return KD_NOMEM;
    list->arguments[0] = needle;
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->items.items[i], &list->arguments[i + 1]));
    for (uint32_t i = 0; i <= count; i++)
        types[i] = list->arguments[i]->type;
    kd_type common;
    if (count > 1 && kd_registry_common_type(b->registry, types, count + 1, &common)) {
        KD_TRY(kdi_unify(ctx, b, "IN", list->arguments, count + 1, &common));
        kd_type wanted[2], result;
        const kd_function *function;
        KD_TRY(kdi_find_operator(ctx, b, KD_SLICE("="), common, common, ast->node.mark, &function,
                                 wanted, &result));
        *out = list;
        return KD_OK;
    }
    return in_as_or(ctx, b, scope, ast, &needle, 1, out);
}

static kd_status bind_in(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_in *ast,
                         kd_expr **out)
{
    kd_expr **needle, *whole;
    uint32_t needle_count;
    bool by_fields = ast->query != NULL || ast->operand->kind == KD_AST_ROW;
    for (size_t i = 0; i < ast->items.count && ast->query == NULL; i++)
        by_fields &= ast->items.items[i]->kind == KD_AST_ROW;
    if (by_fields)
        KD_TRY(kdi_bind_row(ctx, b, scope, ast->operand, &needle, &needle_count));
    else
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &whole));
    if (ast->query != NULL)
        KD_TRY(kdi_bind_quantified_query(ctx, b, scope, needle, needle_count, KD_SLICE("="), false,
                                         ast->query, ast->node.mark, out));
    else if (by_fields)
        KD_TRY(in_as_or(ctx, b, scope, ast, needle, needle_count, out));
    else
        KD_TRY(bind_in_list(ctx, b, scope, ast, whole, out));
    return negate_if(ctx, b, ast->negated, out);
}

static kd_status bind_like(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_like *ast,
                           kd_expr **out)
{
    static const char *const operators[3][2] = {{"~~", "!~~"}, {"~~*", "!~~*"}, {"~", "!~"}};
    kd_expr *operand, *pattern, *arguments[2];
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->pattern, &pattern));
    uint32_t count = 1;
    arguments[0] = pattern;
    if (ast->escape != NULL)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->escape, &arguments[count++]));
    if (ast->what == KD_AST_LIKE_SIMILAR)
        KD_TRY(kdi_call(ctx, b, KD_SLICE("similar_to_escape"), arguments, count, ast->node.mark,
                        &pattern));
    else if (ast->escape != NULL)
        KD_TRY(
            kdi_call(ctx, b, KD_SLICE("like_escape"), arguments, count, ast->node.mark, &pattern));
    return kdi_operator(ctx, b, kd_slice_of(operators[ast->what][ast->negated]), operand, pattern,
                        ast->node.mark, out);
}

static kd_status bind_any_array(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_quantified *ast, kd_expr **out)
{
    kd_expr *needle, *array;
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &needle));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->array, &array));
    if (kdi_is_unknown(array->type))
        KD_TRY(kdi_settle(ctx, b, &needle));
    if (kdi_is_unknown(array->type))
        KD_TRY(kdi_coerce(ctx, b, kd_type_array_of(needle->type), KD_CAST_IMPLICIT, &array));
    if (!array->type.is_array)
        return kdi_at(
            ctx, b, ast->node.mark,
            KD_FAIL(ctx, KD_INVALID, "42809", "op ANY/ALL (array) requires array on right side"));
    kd_type wanted[2], result;
    kd_expr *expr = kdi_expr_new(ctx, b, KD_EXPR_ANY_ARRAY, boolean_type, ast->node.mark, 2);
    if (expr == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_find_operator(ctx, b, ast->operator_name, needle->type, kd_type_element(array->type),
                             ast->node.mark, &expr->function, wanted, &result));
    if (!kd_type_same(result, boolean_type))
        return kdi_at(ctx, b, ast->node.mark,
                      KD_FAIL(ctx, KD_INVALID, "42809",
                              "op ANY/ALL (array) requires operator to yield boolean"));
    KD_TRY(kdi_coerce(ctx, b, wanted[0], KD_CAST_IMPLICIT, &needle));
    KD_TRY(kdi_coerce(ctx, b, kd_type_array_of(wanted[1]), KD_CAST_IMPLICIT, &array));
    expr->arguments[0] = needle;
    expr->arguments[1] = array;
    expr->all = ast->is_all;
    *out = expr;
    return KD_OK;
}

static kd_status bind_quantified(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                 const kd_ast_quantified *ast, kd_expr **out)
{
    if (ast->query == NULL)
        return bind_any_array(ctx, b, scope, ast, out);
    kd_expr **needle;
    uint32_t count;
    KD_TRY(kdi_bind_row(ctx, b, scope, ast->operand, &needle, &count));
    return kdi_bind_quantified_query(ctx, b, scope, needle, count, ast->operator_name, ast->is_all,
                                     ast->query, ast->node.mark, out);
}

kd_status kdi_bind_predicate(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_expr **out)
{
    switch (node->kind) {
    case KD_AST_AND:
    case KD_AST_OR:
        return bind_and_or(ctx, b, scope, (const kd_ast_args *)node, out);
    case KD_AST_NOT:
        KD_TRY(
            kdi_bind_condition(ctx, b, scope, ((const kd_ast_unary *)node)->operand, "NOT", out));
        return negate_if(ctx, b, true, out);
    case KD_AST_IS:
        return bind_is(ctx, b, scope, (const kd_ast_is *)node, out);
    case KD_AST_DISTINCT_FROM:
        return bind_distinct_from(ctx, b, scope, (const kd_ast_distinct_from *)node, out);
    case KD_AST_BETWEEN:
        return bind_between(ctx, b, scope, (const kd_ast_between *)node, out);
    case KD_AST_IN:
        return bind_in(ctx, b, scope, (const kd_ast_in *)node, out);
    case KD_AST_LIKE:
        return bind_like(ctx, b, scope, (const kd_ast_like *)node, out);
    default:
        return bind_quantified(ctx, b, scope, (const kd_ast_quantified *)node, out);
    }
}
