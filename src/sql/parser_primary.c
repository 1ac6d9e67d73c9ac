/*
 * Operands: constants, names, parentheses, CASE, CAST, arrays, rows.
 */
#include "sql/parser_internal.h"

bool kdi_begins_expr(const kdi_token *token)
{
    switch (token->kind) {
    case TOKEN_IDENT:
    case TOKEN_QUOTED_IDENT:
    case TOKEN_STRING:
    case TOKEN_BITS:
    case TOKEN_INTEGER:
    case TOKEN_DECIMAL:
    case TOKEN_PARAM:
    case TOKEN_OPERATOR:
    case '(':
    case '+':
    case '-':
        return true;
    case TOKEN_KEYWORD:
        break;
    default:
        return false;
    }
    switch (token->keyword) {
    case KW_ARRAY:
    case KW_CASE:
    case KW_CAST:
    case KW_CURRENT_CATALOG:
    case KW_CURRENT_DATE:
    case KW_CURRENT_ROLE:
    case KW_CURRENT_SCHEMA:
    case KW_CURRENT_TIME:
    case KW_CURRENT_TIMESTAMP:
    case KW_CURRENT_USER:
    case KW_DEFAULT:
    case KW_FALSE:
    case KW_LOCALTIME:
    case KW_LOCALTIMESTAMP:
    case KW_NOT:
    case KW_NULL:
    case KW_SESSION_USER:
    case KW_TRUE:
    case KW_USER:
        return true;
    default:
        return kdi_keyword_kind((kdi_keyword)token->keyword) <= KDI_WORD_COLUMN_NAME;
    }
}

/* ---- Constants ---- */

static kd_ast_constant *new_constant(kd_parser *p, kd_ast_constant_kind what, kd_slice text,
                                     int32_t position)
{
    kd_ast_constant *node = KDI_NODE_AT(p, KD_AST_CONSTANT, kd_ast_constant, position);
    if (node == NULL)
        return NULL;
    node->what = what;
    node->text = text;
    kdi_finish(p, &node->node);
    return node;
}

kd_ast_node *kdi_string_constant(kd_parser *p, kd_slice text, int32_t position)
{
    return (kd_ast_node *)new_constant(p, KD_AST_STRING, text, position);
}

kd_ast_node *kdi_boolean_constant(kd_parser *p, bool value, int32_t position)
{
    kd_ast_constant *node =
        new_constant(p, KD_AST_BOOLEAN, value ? KD_SLICE("true") : KD_SLICE("false"), position);
    if (node != NULL)
        node->boolean = value;
    return (kd_ast_node *)node;
}

kd_ast_node *kdi_integer_constant(kd_parser *p, int64_t value, int32_t position)
{
    char *text = kd_format_text(p->ctx, p->arena, "%lld", (long long)value);
    if (text == NULL)
        return NULL;
    kd_ast_constant *node = new_constant(p, KD_AST_INTEGER, kd_slice_of(text), position);
    if (node != NULL)
        node->integer = value;
    return (kd_ast_node *)node;
}

/* The current token as a constant. */
static kd_status constant(kd_parser *p, kd_ast_constant_kind what, kd_ast_node **out_expr)
{
    kdi_token token = p->token;
    kdi_advance(p);
    kd_ast_constant *node = new_constant(p, what, token.text, token.position);
    if (node == NULL)
        return KD_NOMEM;
    node->integer = token.integer;
    node->boolean = token.keyword == KW_TRUE;
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status param(kd_parser *p, kd_ast_node **out_expr)
{
    kd_ast_param *node = KDI_NODE(p, KD_AST_PARAM, kd_ast_param);
    if (node == NULL)
        return KD_NOMEM;
    node->number = (int32_t)p->token.integer;
    if (node->number > p->param_max)
        p->param_max = node->number;
    kdi_advance(p);
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return kdi_subscripts(p, out_expr);
}

/* type 'string', the type being parsed. */
static kd_status typed_literal(kd_parser *p, const kd_ast_type *type, kd_ast_node **out_expr)
{
    kd_ast_cast *node = KDI_NODE_AT(p, KD_AST_CAST, kd_ast_cast, type->position);
    if (node == NULL)
        return KD_NOMEM;
    node->type = *type;
    node->form = KD_AST_CAST_LITERAL;
    if (!kdi_at_token(p, TOKEN_STRING))
        return kdi_syntax_error(p, "a string");
    KD_TRY(constant(p, KD_AST_STRING, &node->operand));
    if (kd_slice_equal(type->name.name, KD_SLICE("interval")) && type->modifiers.count == 0 &&
        type->name.schema.size_bytes == 0)
        KD_TRY(kdi_interval_fields(p, &node->type));
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

/* ---- [..] and .f ---- */

static kd_status subscript(kd_parser *p, kd_ast_index_range *range)
{
    KD_TRY(kdi_expect_token(p, '['));
    if (!kdi_at_token(p, ':'))
        KD_TRY(kdi_expr(p, &range->lower));
    if (kdi_accept_token(p, ':')) {
        range->is_slice = true;
        if (!kdi_at_token(p, ']'))
            KD_TRY(kdi_expr(p, &range->upper));
    }
    return kdi_expect_token(p, ']');
}

static kd_status subscript_run(kd_parser *p, int32_t start, kd_ast_node **io_expr)
{
    kd_ast_subscript *node = KDI_NODE_AT(p, KD_AST_SUBSCRIPT, kd_ast_subscript, start);
    if (node == NULL)
        return KD_NOMEM;
    node->node.mark = p->token.position;
    node->base = *io_expr;
    while (kdi_at_token(p, '[')) {
        kd_ast_index_range *range;
        KD_TRY(KD_PUSH(p->ctx, p->arena, node->ranges, node->range_count, node->range_capacity,
                       &range));
        KD_TRY(subscript(p, range));
    }
    kdi_finish(p, &node->node);
    *io_expr = &node->node;
    return KD_OK;
}

static kd_status subscripts_from(kd_parser *p, int32_t start, kd_ast_node **io_expr)
{
    for (;;) {
        if (kdi_at_token(p, '[')) {
            KD_TRY(subscript_run(p, start, io_expr));
            continue;
        }
        if (!kdi_at_token(p, '.'))
            return KD_OK;
        kd_ast_field *node = KDI_NODE_AT(p, KD_AST_FIELD, kd_ast_field, start);
        if (node == NULL)
            return KD_NOMEM;
        node->node.mark = p->token.position;
        kdi_advance(p);
        node->base = *io_expr;
        node->star = kdi_accept_token(p, '*');
        if (!node->star)
            KD_TRY(kdi_label(p, &node->name));
        kdi_finish(p, &node->node);
        *io_expr = &node->node;
        if (node->star)
            return KD_OK;
    }
}

kd_status kdi_subscripts(kd_parser *p, kd_ast_node **io_expr)
{
    return subscripts_from(p, (*io_expr)->position, io_expr);
}

/* ---- Parentheses ---- */

static kd_status scalar_subquery(kd_parser *p, kd_ast_node *query, kd_ast_subquery_kind what,
                                 int32_t position, kd_ast_node **out_expr)
{
    kd_ast_subquery *node = KDI_NODE_AT(p, KD_AST_SUBQUERY, kd_ast_subquery, position);
    if (node == NULL)
        return KD_NOMEM;
    node->what = what;
    node->query = query;
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status make_row(kd_parser *p, kd_ast_list items, int32_t position, kd_ast_node **out_expr)
{
    kd_ast_args *node = KDI_NODE_AT(p, KD_AST_ROW, kd_ast_args, position);
    if (node == NULL)
        return KD_NOMEM;
    node->args = items;
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

/* One expression, several as a row, or a query as a scalar: what `( ... )` is as an operand. */
static kd_status name_parens(kd_parser *p, kd_ast_list items, kd_ast_node *query, int32_t start,
                             kd_ast_node **out_expr)
{
    if (query != NULL)
        KD_TRY(scalar_subquery(p, query, KD_AST_SUBQUERY_SCALAR, start, out_expr));
    else if (items.count > 1)
        KD_TRY(make_row(p, items, start, out_expr));
    else
        *out_expr = items.items[0];
    return subscripts_from(p, start, out_expr);
}

/* Inside `(`, at a second `(`: it may hold a query that goes on with UNION or ORDER BY, or an
 * operand that goes on with an operator. */
static kd_status nested_parens(kd_parser *p, kd_ast_list *items, kd_ast_node **out_query)
{
    int32_t start = p->token.position;
    kd_ast_list inner = {.count = 0};
    kd_ast_node *query;
    KD_TRY(kdi_parens_items(p, &inner, &query));
    if (query != NULL && kdi_at_query_tail(p))
        return kdi_query_after(p, start, query, out_query);
    if (query != NULL && kdi_at_token(p, ')')) {
        *out_query = query;
        return KD_OK;
    }
    kd_ast_node *operand;
    kd_ast_node *expr;
    KD_TRY(name_parens(p, inner, query, start, &operand));
    KD_TRY(kdi_expr_after(p, start, operand, &expr));
    KD_TRY(kdi_push(p, items, expr));
    return kdi_accept_token(p, ',') ? kdi_expr_list(p, items) : KD_OK;
}

kd_status kdi_parens_items(kd_parser *p, kd_ast_list *items, kd_ast_node **out_query)
{
    *out_query = NULL;
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_at_query(p))
        KD_TRY(kdi_query(p, out_query));
    else if (kdi_at_token(p, '('))
        KD_TRY(nested_parens(p, items, out_query));
    else
        KD_TRY(kdi_expr_list(p, items));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_leave(p);
    return KD_OK;
}

static kd_status parens(kd_parser *p, kd_ast_node **out_expr)
{
    int32_t start = p->token.position;
    kd_ast_list items = {.count = 0};
    kd_ast_node *query;
    KD_TRY(kdi_parens_items(p, &items, &query));
    return name_parens(p, items, query, start, out_expr);
}

/* ---- Words with a form of their own ---- */

static kd_status case_expr(kd_parser *p, kd_ast_node **out_expr)
{
    kd_ast_case *node = KDI_NODE(p, KD_AST_CASE, kd_ast_case);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (!kdi_at(p, KW_WHEN))
        KD_TRY(kdi_expr(p, &node->operand));
    do {
        KD_TRY(kdi_expect(p, KW_WHEN));
        kd_ast_when *when;
        KD_TRY(
            KD_PUSH(p->ctx, p->arena, node->whens, node->when_count, node->when_capacity, &when));
        KD_TRY(kdi_expr(p, &when->condition));
        KD_TRY(kdi_expect(p, KW_THEN));
        KD_TRY(kdi_expr(p, &when->result));
    } while (kdi_at(p, KW_WHEN));
    if (kdi_accept(p, KW_ELSE))
        KD_TRY(kdi_expr(p, &node->otherwise));
    KD_TRY(kdi_expect(p, KW_END));
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status cast_expr(kd_parser *p, kd_ast_cast_form form, kd_ast_node **out_expr)
{
    kd_ast_cast *node = KDI_NODE(p, KD_AST_CAST, kd_ast_cast);
    if (node == NULL)
        return KD_NOMEM;
    node->form = form;
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr(p, &node->operand));
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_type(p, &node->type));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status exists_expr(kd_parser *p, kd_ast_node **out_expr)
{
    int32_t position = p->token.position;
    kdi_advance(p);
    kd_ast_node *query;
    KD_TRY(kdi_query_parens(p, &query));
    return scalar_subquery(p, query, KD_AST_SUBQUERY_EXISTS, position, out_expr);
}

/* At `[`. Elements are expressions, or all of them brackets again. */
static kd_status array_brackets(kd_parser *p, int32_t position, kd_ast_node **out_expr)
{
    kd_ast_args *node = KDI_NODE_AT(p, KD_AST_ARRAY, kd_ast_args, position);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_expect_token(p, '['));
    bool of_brackets = kdi_at_token(p, '[');
    while (!kdi_at_token(p, ']')) {
        kd_ast_node *item;
        if (kdi_at_token(p, '[') != of_brackets)
            return kdi_syntax_error(p, of_brackets ? "\"[\"" : "an expression");
        if (of_brackets)
            KD_TRY(array_brackets(p, p->token.position, &item));
        else
            KD_TRY(kdi_expr(p, &item));
        KD_TRY(kdi_push(p, &node->args, item));
        if (!kdi_at_token(p, ']')) {
            KD_TRY(kdi_expect_token(p, ','));
            if (kdi_at_token(p, ']'))
                return kdi_syntax_error(p, "an expression");
        }
    }
    kdi_advance(p);
    kdi_leave(p);
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status array_expr(kd_parser *p, kd_ast_node **out_expr)
{
    int32_t position = p->token.position;
    kdi_advance(p);
    if (kdi_at_token(p, '(')) {
        kd_ast_node *query;
        KD_TRY(kdi_query_parens(p, &query));
        KD_TRY(scalar_subquery(p, query, KD_AST_SUBQUERY_ARRAY, position, out_expr));
    } else if (kdi_at_token(p, '[')) {
        KD_TRY(array_brackets(p, position, out_expr));
    } else {
        return kdi_syntax_error(p, "\"[\" or \"(\"");
    }
    return kdi_subscripts(p, out_expr);
}

static kd_status row_expr(kd_parser *p, kd_ast_node **out_expr)
{
    kd_ast_args *node = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (node == NULL)
        return KD_NOMEM;
    node->is_explicit = true;
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    if (!kdi_at_token(p, ')'))
        KD_TRY(kdi_expr_list(p, &node->args));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

/* COALESCE and the like: a word and one or more arguments. */
static kd_status args_expr(kd_parser *p, kd_ast_kind kind, kd_ast_node **out_expr)
{
    kd_ast_args *node = KDI_NODE(p, kind, kd_ast_args);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr_list(p, &node->args));
    if (kind == KD_AST_NULLIF && node->args.count != 2)
        return kdi_syntax_error(p, "two arguments");
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

static kd_status current_expr(kd_parser *p, kd_ast_current_kind what, kd_ast_node **out_expr)
{
    kd_ast_current *node = KDI_NODE(p, KD_AST_CURRENT, kd_ast_current);
    if (node == NULL)
        return KD_NOMEM;
    node->what = what;
    node->precision = -1;
    kdi_advance(p);
    bool has_precision = what == KD_AST_CURRENT_TIME || what == KD_AST_CURRENT_TIMESTAMP ||
                         what == KD_AST_LOCALTIME || what == KD_AST_LOCALTIMESTAMP;
    if (has_precision && kdi_accept_token(p, '(')) {
        int64_t precision;
        KD_TRY(kdi_integer(p, &precision));
        node->precision = precision > 6 ? 6 : (int32_t)precision;
        KD_TRY(kdi_expect_token(p, ')'));
    }
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

/* ---- Names ---- */

typedef struct dotted_name {
    kd_slice *parts;
    size_t count;
    size_t capacity;
    int32_t position;
    bool star;
} dotted_name;

static kd_status read_dotted(kd_parser *p, dotted_name *name)
{
    name->position = p->token.position;
    kd_slice *part;
    KD_TRY(KD_PUSH(p->ctx, p->arena, name->parts, name->count, name->capacity, &part));
    *part = p->token.text;
    kdi_advance(p);
    while (kdi_at_token(p, '.')) {
        kdi_advance(p);
        if (kdi_accept_token(p, '*')) {
            name->star = true;
            return KD_OK;
        }
        KD_TRY(KD_PUSH(p->ctx, p->arena, name->parts, name->count, name->capacity, &part));
        KD_TRY(kdi_label(p, part));
    }
    return KD_OK;
}

static kd_status to_qualified(kd_parser *p, const dotted_name *dotted, kd_ast_name *out_name)
{
    size_t count = dotted->count;
    *out_name = (kd_ast_name){.position = dotted->position, .end = p->previous.end};
    if (count > 3)
        return kdi_fail_at(p, "42601", dotted->position,
                           "improper qualified name (too many dotted names)");
    out_name->name = dotted->parts[count - 1];
    if (count > 1)
        out_name->schema = dotted->parts[count - 2];
    if (count > 2)
        out_name->catalog = dotted->parts[0];
    return KD_OK;
}

static kd_status star_expr(kd_parser *p, const dotted_name *name, kd_ast_node **out_expr)
{
    kd_ast_star *node = KDI_NODE_AT(p, KD_AST_STAR, kd_ast_star, name->position);
    if (node == NULL)
        return KD_NOMEM;
    node->parts = name->parts;
    node->part_count = name->count;
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return KD_OK;
}

/* name(3) 'string' was read as a call: its arguments are the type's modifiers. */
static kd_status call_literal(kd_parser *p, kd_ast_node **io_expr)
{
    kd_ast_call *call = (kd_ast_call *)*io_expr;
    kd_ast_type type = {
        .position = call->node.position, .end = call->node.end, .name = call->function};
    if (call->star || call->distinct || call->order_by.count > 0 || call->filter != NULL ||
        call->over != NULL || call->within_group.count > 0)
        return kdi_syntax_error(p, NULL);
    for (size_t i = 0; i < call->arg_count; i++) {
        if (call->args[i].name.size_bytes > 0 || call->args[i].variadic)
            return kdi_fail_at(p, "42601", call->args[i].position,
                               "type modifier cannot have parameter name");
        KD_TRY(kdi_push(p, &type.modifiers, call->args[i].value));
    }
    return typed_literal(p, &type, io_expr);
}

static kd_status name_expr(kd_parser *p, kd_ast_node **out_expr)
{
    bool may_be_function = kdi_is_function_name(&p->token);
    bool may_be_column = kdi_is_name(&p->token);
    if (!may_be_function && !may_be_column)
        return kdi_syntax_error(p, "an expression");
    dotted_name name = {.count = 0};
    KD_TRY(read_dotted(p, &name));
    if (name.star)
        return may_be_column ? star_expr(p, &name, out_expr) : kdi_syntax_error(p, NULL);
    may_be_function = name.count > 1 ? may_be_column : may_be_function;
    may_be_column = may_be_column || name.count > 1;
    if (may_be_function && (kdi_at_token(p, '(') || kdi_at_token(p, TOKEN_STRING))) {
        kd_ast_name function;
        KD_TRY(to_qualified(p, &name, &function));
        if (kdi_at_token(p, TOKEN_STRING)) {
            kd_ast_type type = {
                .position = function.position, .end = function.end, .name = function};
            return typed_literal(p, &type, out_expr);
        }
        KD_TRY(kdi_parse_call(p, function, out_expr));
        return kdi_at_token(p, TOKEN_STRING) ? call_literal(p, out_expr)
                                             : kdi_subscripts(p, out_expr);
    }
    if (!may_be_column)
        return kdi_syntax_error(p, NULL);
    kd_ast_column *node = KDI_NODE_AT(p, KD_AST_COLUMN, kd_ast_column, name.position);
    if (node == NULL)
        return KD_NOMEM;
    node->parts = name.parts;
    node->part_count = name.count;
    kdi_finish(p, &node->node);
    *out_expr = &node->node;
    return kdi_subscripts(p, out_expr);
}

/* A word that means something of its own before `(`, or COLLATION FOR. */
static kd_status form_expr(kd_parser *p, kd_ast_node **out_expr)
{
    switch (p->token.keyword) {
    case KW_EXISTS:
        return exists_expr(p, out_expr);
    case KW_ROW:
        return row_expr(p, out_expr);
    case KW_COALESCE:
        return args_expr(p, KD_AST_COALESCE, out_expr);
    case KW_GREATEST:
        return args_expr(p, KD_AST_GREATEST, out_expr);
    case KW_LEAST:
        return args_expr(p, KD_AST_LEAST, out_expr);
    case KW_NULLIF:
        return args_expr(p, KD_AST_NULLIF, out_expr);
    case KW_GROUPING:
        return args_expr(p, KD_AST_GROUPING, out_expr);
    case KW_TREAT:
        return cast_expr(p, KD_AST_CAST_FUNCTION, out_expr);
    default:
        break;
    }
    bool found;
    KD_TRY(kdi_special_form(p, &found, out_expr));
    return found ? KD_OK : name_expr(p, out_expr);
}

static kd_status word_expr(kd_parser *p, kd_ast_node **out_expr)
{
    bool before_parens = kdi_keyword_kind((kdi_keyword)p->token.keyword) == KDI_WORD_COLUMN_NAME &&
                         kdi_next_is_token(p, '(');
    switch (p->token.keyword) {
    case KW_NULL:
        return constant(p, KD_AST_NULL, out_expr);
    case KW_TRUE:
    case KW_FALSE:
        return constant(p, KD_AST_BOOLEAN, out_expr);
    case KW_CASE:
        return case_expr(p, out_expr);
    case KW_CAST:
        return cast_expr(p, KD_AST_CAST_FUNCTION, out_expr);
    case KW_ARRAY:
        return array_expr(p, out_expr);
    case KW_CURRENT_DATE:
        return current_expr(p, KD_AST_CURRENT_DATE, out_expr);
    case KW_CURRENT_TIME:
        return current_expr(p, KD_AST_CURRENT_TIME, out_expr);
    case KW_CURRENT_TIMESTAMP:
        return current_expr(p, KD_AST_CURRENT_TIMESTAMP, out_expr);
    case KW_LOCALTIME:
        return current_expr(p, KD_AST_LOCALTIME, out_expr);
    case KW_LOCALTIMESTAMP:
        return current_expr(p, KD_AST_LOCALTIMESTAMP, out_expr);
    case KW_CURRENT_USER:
    case KW_CURRENT_ROLE:
    case KW_USER:
        return current_expr(p, KD_AST_CURRENT_USER, out_expr);
    case KW_SESSION_USER:
        return current_expr(p, KD_AST_SESSION_USER, out_expr);
    case KW_CURRENT_CATALOG:
        return current_expr(p, KD_AST_CURRENT_CATALOG, out_expr);
    case KW_CURRENT_SCHEMA:
        if (!kdi_next_is_token(p, '('))
            return current_expr(p, KD_AST_CURRENT_SCHEMA, out_expr);
        break;
    default:
        break;
    }
    if (kdi_at_type_literal(p)) {
        kd_ast_type type;
        KD_TRY(kdi_simple_type(p, &type));
        return typed_literal(p, &type, out_expr);
    }
    return before_parens || kdi_at(p, KW_COLLATION) ? form_expr(p, out_expr)
                                                    : name_expr(p, out_expr);
}

kd_status kdi_primary(kd_parser *p, kd_ast_node **out_expr)
{
    bool found;
    *out_expr = NULL;
    switch (p->token.kind) {
    case TOKEN_STRING:
        return constant(p, KD_AST_STRING, out_expr);
    case TOKEN_INTEGER:
        return constant(p, KD_AST_INTEGER, out_expr);
    case TOKEN_DECIMAL:
        return constant(p, KD_AST_DECIMAL, out_expr);
    case TOKEN_BITS:
        return constant(p, KD_AST_BITS, out_expr);
    case TOKEN_PARAM:
        return param(p, out_expr);
    case '(':
        return parens(p, out_expr);
    case TOKEN_KEYWORD:
        return word_expr(p, out_expr);
    case TOKEN_IDENT:
        if (kdi_at_word(p, "try_cast") && kdi_next_is_token(p, '('))
            return cast_expr(p, KD_AST_CAST_TRY, out_expr);
        KD_TRY(kdi_json_form(p, &found, out_expr));
        return found ? KD_OK : name_expr(p, out_expr);
    case TOKEN_QUOTED_IDENT:
        return name_expr(p, out_expr);
    default:
        return kdi_syntax_error(p, "an expression");
    }
}
