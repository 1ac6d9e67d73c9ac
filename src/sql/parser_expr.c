/*
 * Operators, by precedence climbing.
 *
 * Every loop turn takes one operator of at least the level asked for, so chains
 * become left-deep trees without recursion; AND and OR chains become one node.
 * The levels and their associativity are PostgreSQL's.
 */
#include "sql/parser_internal.h"

typedef enum expr_level {
    LEVEL_NONE = 0,
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_IS,      /* Does not associate where a right operand follows: IS DISTINCT FROM. */
    LEVEL_COMPARE, /* Does not associate: a < b < c is an error. */
    LEVEL_MATCH,   /* BETWEEN, IN, LIKE: neither. */
    LEVEL_ESCAPE,
    LEVEL_OPERATOR,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_POWER,
    LEVEL_AT,
    LEVEL_COLLATE,
    LEVEL_MINUS,
    LEVEL_CAST,
} expr_level;

/* One call of climb: what the functions for single operators need. */
typedef struct climb_state {
    kd_ast_node *left;
    int32_t start;
    int32_t mark;       /* Where the operator stands. */
    bool restricted;    /* b_expr: no AND, OR, NOT, IN, LIKE, BETWEEN, IS NULL. */
    expr_level closed;  /* May not come again: its last operator had a right operand. */
    kd_ast_node *chain; /* An AND or OR made by this call, which may take more. */
} climb_state;

static kd_status climb(kd_parser *p, expr_level min, bool restricted, kd_ast_node **out_expr);

static void *new_node(kd_parser *p, const climb_state *s, kd_ast_kind kind, size_t bytes)
{
    kd_ast_node *node = kdi_node_at(p, kind, bytes, s->start);
    if (node != NULL)
        node->mark = s->mark;
    return node;
}
#define NEW(p, s, kind, type) ((type *)new_node((p), (s), (kind), sizeof(type)))

static void done(kd_parser *p, climb_state *s, kd_ast_node *node)
{
    kdi_finish(p, node);
    s->left = node;
}

static bool is_match_word(const kdi_token *token)
{
    return token->keyword == KW_BETWEEN || token->keyword == KW_IN || token->keyword == KW_LIKE ||
           token->keyword == KW_ILIKE || token->keyword == KW_SIMILAR;
}

static expr_level word_level(kd_parser *p, bool restricted)
{
    switch (p->token.keyword) {
    case KW_OR:
        return restricted ? LEVEL_NONE : LEVEL_OR;
    case KW_AND:
        return restricted ? LEVEL_NONE : LEVEL_AND;
    case KW_ISNULL:
    case KW_NOTNULL:
        return restricted ? LEVEL_NONE : LEVEL_IS;
    case KW_IS:
        if (restricted) {
            int distance = kdi_next_is(p, KW_NOT) ? 2 : 1;
            uint16_t word = kdi_peek(p, distance)->keyword;
            return word == KW_DISTINCT || word == KW_DOCUMENT ? LEVEL_IS : LEVEL_NONE;
        }
        return LEVEL_IS;
    case KW_NOT:
        return !restricted && is_match_word(kdi_peek(p, 1)) ? LEVEL_MATCH : LEVEL_NONE;
    case KW_SIMILAR:
        /* SUBSTRING (s SIMILAR p ESCAPE e) has no TO. */
        return !restricted && kdi_next_is(p, KW_TO) ? LEVEL_MATCH : LEVEL_NONE;
    case KW_BETWEEN:
    case KW_IN:
    case KW_LIKE:
    case KW_ILIKE:
        return restricted ? LEVEL_NONE : LEVEL_MATCH;
    case KW_OPERATOR:
        return kdi_next_is_token(p, '(') ? LEVEL_OPERATOR : LEVEL_NONE;
    case KW_OVERLAPS:
        return restricted ? LEVEL_NONE : LEVEL_OPERATOR;
    case KW_AT:
        return !restricted && (kdi_next_is(p, KW_TIME) || kdi_next_is(p, KW_LOCAL)) ? LEVEL_AT
                                                                                    : LEVEL_NONE;
    case KW_COLLATE:
        return restricted ? LEVEL_NONE : LEVEL_COLLATE;
    default:
        return LEVEL_NONE;
    }
}

static expr_level level_of(kd_parser *p, bool restricted)
{
    switch (p->token.kind) {
    case '<':
    case '>':
    case '=':
    case TOKEN_LESS_EQUALS:
    case TOKEN_GREATER_EQUALS:
    case TOKEN_NOT_EQUALS:
        return LEVEL_COMPARE;
    case TOKEN_OPERATOR:
        return LEVEL_OPERATOR;
    case '+':
    case '-':
        return LEVEL_ADD;
    case '*':
    case '/':
    case '%':
        return LEVEL_MULTIPLY;
    case '^':
        return LEVEL_POWER;
    case TOKEN_TYPECAST:
        return LEVEL_CAST;
    case TOKEN_KEYWORD:
        return word_level(p, restricted);
    default:
        return LEVEL_NONE;
    }
}

static bool is_symbol(const kdi_token *token)
{
    switch (token->kind) {
    case '<':
    case '>':
    case '=':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '^':
    case TOKEN_LESS_EQUALS:
    case TOKEN_GREATER_EQUALS:
    case TOKEN_NOT_EQUALS:
    case TOKEN_OPERATOR:
        return true;
    default:
        return false;
    }
}

kd_status kdi_any_operator(kd_parser *p, kd_slice *out_schema, kd_slice *out_name)
{
    *out_schema = (kd_slice){NULL, 0};
    bool is_long = kdi_accept(p, KW_OPERATOR);
    if (is_long) {
        KD_TRY(kdi_expect_token(p, '('));
        if (kdi_is_name(&p->token)) {
            KD_TRY(kdi_name(p, out_schema));
            KD_TRY(kdi_expect_token(p, '.'));
        }
    }
    *out_name = p->token.text;
    if (!is_symbol(&p->token))
        return kdi_syntax_error(p, "an operator");
    kdi_advance(p);
    return is_long ? kdi_expect_token(p, ')') : KD_OK;
}

/* ---- x op ANY (...) ---- */

static bool at_quantifier(kd_parser *p)
{
    return kdi_at(p, KW_ANY) || kdi_at(p, KW_SOME) || kdi_at(p, KW_ALL);
}

static kd_status take_quantified(kd_parser *p, climb_state *s, kd_slice schema, kd_slice name)
{
    kd_ast_quantified *node = NEW(p, s, KD_AST_QUANTIFIED, kd_ast_quantified);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    node->schema = schema;
    node->operator_name = name;
    node->is_all = kdi_at(p, KW_ALL);
    kdi_advance(p);
    kd_ast_list items = {.count = 0};
    if (!kdi_at_token(p, '('))
        return kdi_syntax_error(p, "\"(\"");
    int32_t position = p->token.position;
    KD_TRY(kdi_parens_items(p, &items, &node->query));
    if (node->query == NULL && items.count != 1)
        return kdi_fail_at(p, "42601", position, "ANY and ALL take one array or one query");
    if (node->query == NULL)
        node->array = items.items[0];
    done(p, s, &node->node);
    s->closed = LEVEL_NONE;
    return KD_OK;
}

static kd_status take_operator(kd_parser *p, climb_state *s, expr_level level)
{
    kd_slice schema;
    kd_slice name;
    KD_TRY(kdi_any_operator(p, &schema, &name));
    if (at_quantifier(p))
        return take_quantified(p, s, schema, name);
    kd_ast_operator *node = NEW(p, s, KD_AST_OPERATOR, kd_ast_operator);
    if (node == NULL)
        return KD_NOMEM;
    node->schema = schema;
    node->name = name;
    node->left = s->left;
    KD_TRY(climb(p, (expr_level)(level + 1), s->restricted, &node->right));
    done(p, s, &node->node);
    s->closed = level == LEVEL_COMPARE ? level : LEVEL_NONE;
    return KD_OK;
}

static kd_status take_logical(kd_parser *p, climb_state *s, kd_ast_kind kind, expr_level level)
{
    kdi_advance(p);
    kd_ast_args *node;
    if (s->chain != NULL && s->chain == s->left && s->left->kind == kind) {
        node = (kd_ast_args *)s->left;
    } else {
        node = NEW(p, s, kind, kd_ast_args);
        if (node == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_push(p, &node->args, s->left));
    }
    kd_ast_node *right;
    KD_TRY(climb(p, (expr_level)(level + 1), false, &right));
    KD_TRY(kdi_push(p, &node->args, right));
    done(p, s, &node->node);
    s->chain = s->left;
    s->closed = LEVEL_NONE;
    return KD_OK;
}

/* ---- IS ---- */

static kd_status take_is_distinct(kd_parser *p, climb_state *s, bool negated)
{
    KD_TRY(kdi_expect(p, KW_FROM));
    kd_ast_distinct_from *node = NEW(p, s, KD_AST_DISTINCT_FROM, kd_ast_distinct_from);
    if (node == NULL)
        return KD_NOMEM;
    node->left = s->left;
    node->negated = negated;
    KD_TRY(climb(p, LEVEL_COMPARE, s->restricted, &node->right));
    done(p, s, &node->node);
    s->closed = LEVEL_IS;
    return KD_OK;
}

static kd_status is_test(kd_parser *p, kd_ast_is *node)
{
    switch (p->token.keyword) {
    case KW_NULL:
        node->test = KD_AST_IS_NULL;
        break;
    case KW_TRUE:
        node->test = KD_AST_IS_TRUE;
        break;
    case KW_FALSE:
        node->test = KD_AST_IS_FALSE;
        break;
    case KW_UNKNOWN:
        node->test = KD_AST_IS_UNKNOWN;
        break;
    case KW_DOCUMENT:
        node->test = KD_AST_IS_DOCUMENT;
        break;
    case KW_NFC:
    case KW_NFD:
    case KW_NFKC:
    case KW_NFKD:
        node->form = p->token.text;
        node->test = KD_AST_IS_NORMALIZED;
        kdi_advance(p);
        return kdi_expect(p, KW_NORMALIZED);
    case KW_NORMALIZED:
        node->form = KD_SLICE("nfc");
        node->test = KD_AST_IS_NORMALIZED;
        break;
    default:
        return kdi_syntax_error(p, "NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM");
    }
    kdi_advance(p);
    return KD_OK;
}

static kd_status take_is_json(kd_parser *p, climb_state *s, bool negated)
{
    kd_ast_node *test;
    KD_TRY(kdi_is_json(p, s->left, &test));
    if (negated) {
        kd_ast_unary *node = NEW(p, s, KD_AST_NOT, kd_ast_unary);
        if (node == NULL)
            return KD_NOMEM;
        node->operand = test;
        test = &node->node;
    }
    done(p, s, test);
    s->closed = LEVEL_NONE;
    return KD_OK;
}

static kd_status take_is(kd_parser *p, climb_state *s)
{
    kdi_keyword word = (kdi_keyword)p->token.keyword;
    kdi_advance(p);
    bool negated = word == KW_NOTNULL || (word == KW_IS && kdi_accept(p, KW_NOT));
    if (word == KW_IS && kdi_accept(p, KW_DISTINCT))
        return take_is_distinct(p, s, negated);
    if (word == KW_IS && kdi_at_word(p, "json"))
        return take_is_json(p, s, negated);
    kd_ast_is *node = NEW(p, s, KD_AST_IS, kd_ast_is);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    node->negated = negated;
    node->test = KD_AST_IS_NULL;
    if (word == KW_IS)
        KD_TRY(is_test(p, node));
    done(p, s, &node->node);
    s->closed = LEVEL_NONE;
    return KD_OK;
}

/* ---- BETWEEN, IN, LIKE ---- */

static kd_status take_between(kd_parser *p, climb_state *s, bool negated)
{
    kdi_advance(p);
    kd_ast_between *node = NEW(p, s, KD_AST_BETWEEN, kd_ast_between);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    node->negated = negated;
    node->symmetric = kdi_accept(p, KW_SYMMETRIC);
    if (!node->symmetric)
        (void)kdi_accept(p, KW_ASYMMETRIC);
    KD_TRY(climb(p, LEVEL_NONE, true, &node->low));
    KD_TRY(kdi_expect(p, KW_AND));
    KD_TRY(climb(p, LEVEL_ESCAPE, false, &node->high));
    done(p, s, &node->node);
    s->closed = LEVEL_MATCH;
    return KD_OK;
}

static kd_status take_in(kd_parser *p, climb_state *s, bool negated)
{
    kdi_advance(p);
    kd_ast_in *node = NEW(p, s, KD_AST_IN, kd_ast_in);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    node->negated = negated;
    if (!kdi_at_token(p, '('))
        return kdi_syntax_error(p, "\"(\"");
    KD_TRY(kdi_parens_items(p, &node->items, &node->query));
    done(p, s, &node->node);
    s->closed = LEVEL_NONE;
    return KD_OK;
}

static kd_slice like_operator(kd_ast_like_kind what, bool negated)
{
    if (what == KD_AST_LIKE_LIKE)
        return negated ? KD_SLICE("!~~") : KD_SLICE("~~");
    return negated ? KD_SLICE("!~~*") : KD_SLICE("~~*");
}

static kd_status take_like(kd_parser *p, climb_state *s, bool negated)
{
    kd_ast_like_kind what = kdi_at(p, KW_LIKE)    ? KD_AST_LIKE_LIKE
                            : kdi_at(p, KW_ILIKE) ? KD_AST_LIKE_ILIKE
                                                  : KD_AST_LIKE_SIMILAR;
    kdi_advance(p);
    if (what == KD_AST_LIKE_SIMILAR)
        KD_TRY(kdi_expect(p, KW_TO));
    else if (at_quantifier(p))
        return take_quantified(p, s, (kd_slice){NULL, 0}, like_operator(what, negated));
    kd_ast_like *node = NEW(p, s, KD_AST_LIKE, kd_ast_like);
    if (node == NULL)
        return KD_NOMEM;
    node->what = what;
    node->negated = negated;
    node->operand = s->left;
    KD_TRY(climb(p, LEVEL_ESCAPE, false, &node->pattern));
    if (kdi_accept(p, KW_ESCAPE))
        KD_TRY(climb(p, LEVEL_ESCAPE, false, &node->escape));
    done(p, s, &node->node);
    s->closed = LEVEL_MATCH;
    return KD_OK;
}

static kd_status take_match(kd_parser *p, climb_state *s)
{
    bool negated = kdi_accept(p, KW_NOT);
    if (kdi_at(p, KW_BETWEEN))
        return take_between(p, s, negated);
    if (kdi_at(p, KW_IN))
        return take_in(p, s, negated);
    return take_like(p, s, negated);
}

/* ---- The rest ---- */

static kd_status take_overlaps(kd_parser *p, climb_state *s)
{
    if (s->left->kind != KD_AST_ROW)
        return kdi_syntax_error(p, NULL);
    kd_ast_list both[2] = {((kd_ast_args *)s->left)->args};
    kdi_advance(p);
    kd_ast_node *right;
    KD_TRY(kdi_primary(p, &right));
    if (right->kind != KD_AST_ROW)
        return kdi_syntax_error(p, "a row of two");
    both[1] = ((kd_ast_args *)right)->args;
    kd_ast_call *call;
    KD_TRY(kdi_parse_make_call(p, "overlaps", s->start, &call));
    call->node.mark = s->mark;
    for (int side = 0; side < 2; side++) {
        if (both[side].count != 2)
            return kdi_fail_at(p, "42601", s->mark,
                               "wrong number of parameters on a side of OVERLAPS expression");
        for (size_t i = 0; i < 2; i++)
            KD_TRY(kdi_push_arg(p, call, both[side].items[i]));
    }
    done(p, s, &call->node);
    s->closed = LEVEL_NONE;
    return KD_OK;
}

static kd_status take_at(kd_parser *p, climb_state *s)
{
    kdi_advance(p);
    kd_ast_at_time_zone *node = NEW(p, s, KD_AST_AT_TIME_ZONE, kd_ast_at_time_zone);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    if (!kdi_accept(p, KW_LOCAL)) {
        KD_TRY(kdi_expect(p, KW_TIME));
        KD_TRY(kdi_expect(p, KW_ZONE));
        KD_TRY(climb(p, LEVEL_COLLATE, false, &node->zone));
    }
    done(p, s, &node->node);
    return KD_OK;
}

static kd_status take_collate(kd_parser *p, climb_state *s)
{
    kdi_advance(p);
    kd_ast_collate *node = NEW(p, s, KD_AST_COLLATE, kd_ast_collate);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    KD_TRY(kdi_qualified_name(p, &node->collation));
    done(p, s, &node->node);
    return KD_OK;
}

static kd_status take_cast(kd_parser *p, climb_state *s)
{
    kdi_advance(p);
    kd_ast_cast *node = NEW(p, s, KD_AST_CAST, kd_ast_cast);
    if (node == NULL)
        return KD_NOMEM;
    node->operand = s->left;
    node->form = KD_AST_CAST_COLONS;
    KD_TRY(kdi_type(p, &node->type));
    done(p, s, &node->node);
    return KD_OK;
}

static kd_status take(kd_parser *p, climb_state *s, expr_level level)
{
    switch (level) {
    case LEVEL_OR:
        return take_logical(p, s, KD_AST_OR, level);
    case LEVEL_AND:
        return take_logical(p, s, KD_AST_AND, level);
    case LEVEL_IS:
        return take_is(p, s);
    case LEVEL_MATCH:
        return take_match(p, s);
    case LEVEL_AT:
        return take_at(p, s);
    case LEVEL_COLLATE:
        return take_collate(p, s);
    case LEVEL_CAST:
        return take_cast(p, s);
    default:
        return kdi_at(p, KW_OVERLAPS) ? take_overlaps(p, s) : take_operator(p, s, level);
    }
}

static kd_status climb_after(kd_parser *p, expr_level min, climb_state *s, kd_ast_node **out_expr)
{
    for (;;) {
        expr_level level = level_of(p, s->restricted);
        if (level == LEVEL_NONE || level < min)
            break;
        if (level == s->closed)
            return kdi_syntax_error(p, "parentheses around one of the comparisons");
        s->mark = p->token.position;
        KD_TRY(take(p, s, level));
    }
    *out_expr = s->left;
    return KD_OK;
}

/* -1 is a constant, so that the smallest bigint can be written. */
static kd_status negate_constant(kd_parser *p, climb_state *s, kd_ast_constant *constant)
{
    char *text = kd_format_text(p->ctx, p->arena, "-%.*s", (int)constant->text.size_bytes,
                                constant->text.data);
    if (text == NULL)
        return KD_NOMEM;
    bool was_negative = constant->text.data[0] == '-';
    constant->text.data = was_negative ? constant->text.data + 1 : text;
    constant->text.size_bytes += was_negative ? (size_t)-1 : 1;
    if (constant->what == KD_AST_INTEGER) {
        if (constant->integer == INT64_MIN)
            constant->what = KD_AST_DECIMAL;
        else
            constant->integer = -constant->integer;
    } else if (kd_slice_equal(constant->text, KD_SLICE("-9223372036854775808"))) {
        constant->what = KD_AST_INTEGER;
        constant->integer = INT64_MIN;
    }
    constant->node.position = constant->node.mark = s->start;
    done(p, s, &constant->node);
    return KD_OK;
}

static kd_status prefix_operator(kd_parser *p, climb_state *s)
{
    bool is_sign = kdi_at_token(p, '+') || kdi_at_token(p, '-');
    bool is_minus = kdi_at_token(p, '-');
    s->mark = p->token.position;
    kd_ast_operator *node = NEW(p, s, KD_AST_OPERATOR, kd_ast_operator);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_any_operator(p, &node->schema, &node->name));
    KD_TRY(climb(p, is_sign ? LEVEL_MINUS : LEVEL_ADD, s->restricted, &node->right));
    kd_ast_constant *constant = (kd_ast_constant *)node->right;
    if (is_minus && node->right->kind == KD_AST_CONSTANT &&
        (constant->what == KD_AST_INTEGER || constant->what == KD_AST_DECIMAL))
        return negate_constant(p, s, constant);
    done(p, s, &node->node);
    return KD_OK;
}

static kd_status first_operand(kd_parser *p, climb_state *s)
{
    if (kdi_at(p, KW_NOT) && !s->restricted) {
        kd_ast_unary *node = KDI_NODE(p, KD_AST_NOT, kd_ast_unary);
        if (node == NULL)
            return KD_NOMEM;
        kdi_advance(p);
        KD_TRY(climb(p, LEVEL_NOT, false, &node->operand));
        done(p, s, &node->node);
        return KD_OK;
    }
    if (kdi_at(p, KW_DEFAULT) && !s->restricted) {
        kd_ast_node *node = KDI_NODE(p, KD_AST_DEFAULT, kd_ast_node);
        if (node == NULL)
            return KD_NOMEM;
        kdi_advance(p);
        done(p, s, node);
        return KD_OK;
    }
    bool is_prefix = kdi_at_token(p, '+') || kdi_at_token(p, '-') ||
                     kdi_at_token(p, TOKEN_OPERATOR) ||
                     (kdi_at(p, KW_OPERATOR) && kdi_next_is_token(p, '('));
    return is_prefix ? prefix_operator(p, s) : kdi_primary(p, &s->left);
}

static kd_status climb(kd_parser *p, expr_level min, bool restricted, kd_ast_node **out_expr)
{
    *out_expr = NULL;
    KD_TRY(kdi_parse_enter(p));
    climb_state s = {.start = p->token.position, .restricted = restricted};
    KD_TRY(first_operand(p, &s));
    KD_TRY(climb_after(p, min, &s, out_expr));
    kdi_leave(p);
    return KD_OK;
}

kd_status kdi_expr(kd_parser *p, kd_ast_node **out_expr)
{
    return climb(p, LEVEL_NONE, false, out_expr);
}

kd_status kdi_restricted_expr(kd_parser *p, kd_ast_node **out_expr)
{
    return climb(p, LEVEL_NONE, true, out_expr);
}

kd_status kdi_expr_after(kd_parser *p, int32_t start, kd_ast_node *left, kd_ast_node **out_expr)
{
    climb_state s = {.start = start, .left = left};
    return climb_after(p, LEVEL_NONE, &s, out_expr);
}

kd_status kdi_expr_list(kd_parser *p, kd_ast_list *list)
{
    do {
        kd_ast_node *expr;
        KD_TRY(kdi_expr(p, &expr));
        KD_TRY(kdi_push(p, list, expr));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}
