/*
 * Expressions: constants, columns, operators, casts, and the way to everything else.
 */
#include "sql/bind_internal.h"

static kd_status bind_constant(kd_ctx *ctx, kdi_binder *b, const kd_ast_constant *ast,
                               kd_expr **out)
{
    kd_value value = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    switch (ast->what) {
    case KD_AST_NULL:
        break;
    case KD_AST_BOOLEAN:
        value = kd_value_bool(ast->boolean);
        break;
    case KD_AST_INTEGER:
        if (ast->integer >= INT32_MIN && ast->integer <= INT32_MAX)
            value = kd_value_i32((int32_t)ast->integer);
        else
            value = kd_value_i64(ast->integer);
        break;
    case KD_AST_DECIMAL:
        KD_TRY(kdi_at(ctx, b, ast->node.position,
                      kd_value_parse(ctx, b->arena, &b->settings, kd_type_of(KD_TYPE_NUMERIC),
                                     ast->text, &value)));
        break;
    case KD_AST_STRING:
        value = kd_value_text(ast->text);
        value.type = kd_type_of(KD_TYPE_UNKNOWN);
        break;
    case KD_AST_BITS:
        KD_TRY(kdi_at(ctx, b, ast->node.position,
                      kd_value_parse(ctx, b->arena, &b->settings, kd_type_of(KD_TYPE_BIT),
                                     ast->text, &value)));
        break;
    }
    *out = kdi_constant(ctx, b, value, ast->node.position);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status bind_parameter(kd_ctx *ctx, kdi_binder *b, const kd_ast_param *ast, kd_expr **out)
{
    if (b->frame != NULL)
        return kdi_bind_argument_number(ctx, b, ast, out);
    bool is_beyond =
        b->options->routine_no != 0 && (uint32_t)ast->number > b->options->parameter_name_count;
    if (!b->options->allow_parameters || ast->number < 1 || ast->number > 65535 || is_beyond)
        return kdi_at(ctx, b, ast->node.position,
                      KD_FAIL(ctx, KD_INVALID, "42P02", "there is no parameter $%d", ast->number));
    size_t old = b->parameter_count, needed = (size_t)ast->number;
    KD_TRY(kd_array_reserve(ctx, b->arena, (void **)&b->parameter_types, &b->parameter_capacity,
                            needed, sizeof *b->parameter_types));
    for (size_t i = old; i < needed; i++)
        b->parameter_types[i] = kd_type_of(KD_TYPE_UNKNOWN);
    if (needed > old)
        b->parameter_count = needed;
    *out = kdi_expr_new(ctx, b, KD_EXPR_PARAMETER, b->parameter_types[needed - 1],
                        ast->node.position, 0);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->parameter_no = (uint32_t)ast->number;
    return KD_OK;
}

/* -5 is a constant: -2147483648 is an integer although 2147483648 is not. */
static bool negated_constant(const kd_ast_operator *ast, kd_ast_constant *out)
{
    if (ast->left != NULL || !kd_slice_equal(ast->name, KD_SLICE("-")) ||
        ast->right->kind != KD_AST_CONSTANT)
        return false;
    *out = *(const kd_ast_constant *)ast->right;
    if (out->what != KD_AST_INTEGER)
        return false;
    out->node.position = ast->node.position;
    out->integer = -out->integer;
    return true;
}

static kd_status bind_operator(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_ast_operator *ast, kd_expr **out)
{
    kd_ast_constant constant;
    if (negated_constant(ast, &constant))
        return bind_constant(ctx, b, &constant, out);
    if (ast->left != NULL && ast->left->kind == KD_AST_ROW && kdi_is_row_comparison(ast->right))
        return kdi_bind_row_operator(ctx, b, scope, ast, out);
    kd_expr *left = NULL, *right;
    if (ast->left != NULL)
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->left, &left));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->right, &right));
    return kdi_operator(ctx, b, ast->name, left, right, ast->node.mark, out);
}

/* Calls of kade_try_cast in the places of the casts above `operand`. */
static kd_status casts_to_calls(kd_ctx *ctx, kdi_binder *b, const kd_expr *operand, kd_expr *cast)
{
    kd_type argument, result;
    const kd_function *found;
    bool ambiguous = false;
    if (cast == operand)
        return KD_OK;
    if (cast->kind != KD_EXPR_CAST)
        return kdi_at(ctx, b, cast->position,
                      KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "TRY_CAST of rows is not supported"));
    KD_TRY(casts_to_calls(ctx, b, operand, cast->arguments[0]));
    kd_function *function = KD_NEW(ctx, b->arena, kd_function);
    if (function == NULL)
        return KD_NOMEM;
    if (!kd_registry_find_function(b->registry, KD_SLICE("kade_try_cast"),
                                   &cast->arguments[0]->type, 1, &found, &argument, &result,
                                   &ambiguous))
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "there is no kade_try_cast");
    *function = *found;
    function->data = cast->cast;
    cast->kind = KD_EXPR_CALL;
    cast->function = function;
    return KD_OK;
}

/* TRY_CAST(x AS t): NULL where the cast refuses the value. Literals are cast when it runs. */
static kd_status bind_try_cast(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_cast *ast,
                               kd_type type, kd_expr **out)
{
    kd_expr *operand;
    if (kdi_find_domain(b, &ast->type) != NULL)
        return kdi_at(
            ctx, b, ast->node.position,
            KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "TRY_CAST to a domain is not supported"));
    KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    KD_TRY(kdi_settle(ctx, b, &operand));
    *out = operand;
    kd_status status = kdi_coerce(ctx, b, type, KD_CAST_EXPLICIT, out);
    if (status != KD_OK)
        return kdi_at(ctx, b, ast->node.mark, status);
    return casts_to_calls(ctx, b, operand, *out);
}

static kd_status bind_cast(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_cast *ast,
                           kd_expr **out)
{
    kd_type type;
    KD_TRY(kdi_bind_type(ctx, b, &ast->type, &type));
    if (ast->form == KD_AST_CAST_TRY)
        return bind_try_cast(ctx, b, scope, ast, type, out);
    kd_expr *operand;
    if (ast->operand->kind == KD_AST_ARRAY && type.is_array)
        KD_TRY(kdi_bind_array_as(ctx, b, scope, (const kd_ast_args *)ast->operand, type,
                                 ast->node.mark, &operand));
    else
        KD_TRY(kdi_bind_expr(ctx, b, scope, ast->operand, &operand));
    /* Literals char 'abc' and bit '10' have no length, where a column of type char has one. */
    if (ast->form == KD_AST_CAST_LITERAL && ast->type.modifiers.count == 0 &&
        (type.id == KD_TYPE_CHAR || type.id == KD_TYPE_BIT))
        type.modifier = -1;
    kd_status status = kdi_coerce(ctx, b, type, KD_CAST_EXPLICIT, &operand);
    *out = operand;
    if (status != KD_OK)
        return kdi_at(ctx, b, ast->node.mark, status);
    const kd_domain_entry *domain = kdi_find_domain(b, &ast->type);
    if (domain != NULL)
        KD_TRY(kdi_note_object(ctx, b, &ast->node, &domain->object));
    return domain == NULL ? KD_OK : kdi_check_domain(ctx, b, domain, out);
}

static kd_status bind_any(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          kd_expr **out)
{
    switch (node->kind) {
    case KD_AST_CONSTANT:
        return bind_constant(ctx, b, (const kd_ast_constant *)node, out);
    case KD_AST_PARAM:
        return bind_parameter(ctx, b, (const kd_ast_param *)node, out);
    case KD_AST_COLUMN:
        return kdi_bind_column(ctx, b, scope, (const kd_ast_column *)node, out);
    case KD_AST_OPERATOR:
        return bind_operator(ctx, b, scope, (const kd_ast_operator *)node, out);
    case KD_AST_CAST:
        return bind_cast(ctx, b, scope, (const kd_ast_cast *)node, out);
    case KD_AST_CALL:
        return kdi_bind_call(ctx, b, scope, (const kd_ast_call *)node, out);
    case KD_AST_SUBQUERY:
        return kdi_bind_subquery(ctx, b, scope, (const kd_ast_subquery *)node, out);
    case KD_AST_AND:
    case KD_AST_OR:
    case KD_AST_NOT:
    case KD_AST_IS:
    case KD_AST_DISTINCT_FROM:
    case KD_AST_BETWEEN:
    case KD_AST_IN:
    case KD_AST_LIKE:
    case KD_AST_QUANTIFIED:
        return kdi_bind_predicate(ctx, b, scope, node, out);
    default:
        return kdi_bind_special(ctx, b, scope, node, out);
    }
}

kd_status kdi_bind_expr(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                        kd_expr **out)
{
    *out = NULL;
    KD_TRY(kdi_enter(ctx, b));
    KD_TRY(bind_any(ctx, b, scope, node, out));
    KD_TRY(kdi_note_expr(ctx, b, node, *out));
    kdi_leave(b);
    return KD_OK;
}

kd_status kdi_bind_condition(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             const char *what, kd_expr **out)
{
    KD_TRY(kdi_bind_expr(ctx, b, scope, node, out));
    return kdi_to_boolean(ctx, b, what, out);
}
