/*
 * Parses paths: recursive descent, one function per level of precedence.
 *
 * The grammar keeps predicates (comparisons, && and the like) and expressions apart, but both may
 * stand in parentheses, so one set of functions reads both and asks afterwards which it was.
 */
#include "types/jsonb.h"
#include "types/jsonpath.h"
#include "types/jsonpath_lexer_internal.h"

typedef struct parser {
    kdi_jsonpath_lexer lexer;
    kd_arena *arena;
    uint32_t item_count;
    uint32_t pattern_count;
    int depth;
    int filters;    /* Open: '@' is allowed. */
    int subscripts; /* Open: 'last' is allowed. */
} parser;

typedef kd_jsonpath_item item;

static kd_status advance(kd_ctx *ctx, parser *p)
{
    return kdi_jsonpath_advance(ctx, &p->lexer);
}

static kd_status syntax_error(kd_ctx *ctx, parser *p)
{
    return kdi_jsonpath_error(ctx, &p->lexer, "syntax error");
}

static kd_status expect(kd_ctx *ctx, parser *p, int kind)
{
    if (p->lexer.kind != kind)
        return syntax_error(ctx, p);
    return advance(ctx, p);
}

static bool at_word(const parser *p, const char *word)
{
    return p->lexer.kind == PATH_NAME &&
           kd_slice_equal_ignoring_case(p->lexer.value, kd_slice_of(word));
}

/* null, true and false in small letters only. */
static bool at_exact(const parser *p, const char *word)
{
    return p->lexer.kind == PATH_NAME && kd_slice_equal(p->lexer.value, kd_slice_of(word));
}

static kd_status item_new(kd_ctx *ctx, parser *p, kd_jsonpath_kind kind, item **out)
{
    if (++p->item_count > KD_JSONPATH_ITEMS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath is too complex");
    *out = KD_NEW(ctx, p->arena, item);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->kind = (uint8_t)kind;
    return KD_OK;
}

static kd_status item_over(kd_ctx *ctx, parser *p, kd_jsonpath_kind kind, item *left, item *right,
                           item **out)
{
    KD_TRY(item_new(ctx, p, kind, out));
    (*out)->left = left;
    (*out)->right = right;
    return KD_OK;
}

/* A predicate without an accessor behind it: (@.a > 1).type() is an expression. */
static bool is_predicate(const item *it)
{
    return it->kind >= KD_JSONPATH_OR && it->kind <= KD_JSONPATH_LIKE_REGEX && it->next == NULL;
}

static kd_status enter(kd_ctx *ctx, parser *p)
{
    if (++p->depth > KD_JSONPATH_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath is nested too deeply");
    return KD_OK;
}

static kd_status parse_or(kd_ctx *ctx, parser *p, item **out);
static kd_status parse_sum(kd_ctx *ctx, parser *p, item **out);

static kd_status parse_expression(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(enter(ctx, p));
    KD_TRY(parse_sum(ctx, p, out));
    p->depth--;
    return is_predicate(*out) ? syntax_error(ctx, p) : KD_OK;
}

/* '(' predicate ')' */
static kd_status parse_delimited(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(expect(ctx, p, '('));
    KD_TRY(parse_or(ctx, p, out));
    if (!is_predicate(*out))
        return syntax_error(ctx, p);
    return expect(ctx, p, ')');
}

/* ---- Accessors ---- */

static const struct {
    const char *name;
    kd_jsonpath_kind kind;
} methods[] = {
    {"abs", KD_JSONPATH_ABS},           {"size", KD_JSONPATH_SIZE},
    {"type", KD_JSONPATH_TYPE},         {"floor", KD_JSONPATH_FLOOR},
    {"double", KD_JSONPATH_DOUBLE},     {"ceiling", KD_JSONPATH_CEILING},
    {"keyvalue", KD_JSONPATH_KEYVALUE}, {"datetime", KD_JSONPATH_DATETIME},
};

/* The name is read and '(' stands behind it. */
static kd_status parse_method(kd_ctx *ctx, parser *p, kd_slice name, item **out)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!kd_slice_equal_ignoring_case(name, kd_slice_of(methods[i].name)))
            continue;
        KD_TRY(item_new(ctx, p, methods[i].kind, out));
        KD_TRY(advance(ctx, p));
        if (methods[i].kind == KD_JSONPATH_DATETIME && p->lexer.kind == PATH_STRING) {
            KD_TRY(item_new(ctx, p, KD_JSONPATH_LITERAL, &(*out)->left));
            KD_TRY(kd_jsonb_make_string(ctx, p->arena, p->lexer.value, &(*out)->left->json));
            KD_TRY(advance(ctx, p));
        }
        return expect(ctx, p, ')');
    }
    return syntax_error(ctx, p);
}

static kd_status parse_level(kd_ctx *ctx, parser *p, uint32_t *out)
{
    int64_t level = 0;
    if (at_word(p, "last")) {
        *out = KD_JSONPATH_LAST;
        return advance(ctx, p);
    }
    if (p->lexer.kind != PATH_INTEGER)
        return syntax_error(ctx, p);
    for (size_t i = 0; i < p->lexer.value.size_bytes && level <= INT32_MAX; i++)
        level = level * 10 + (p->lexer.value.data[i] - '0');
    if (level > INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22003", "value \"%.*s\" is out of range for type integer",
                       (int)p->lexer.value.size_bytes, p->lexer.value.data);
    *out = (uint32_t)level;
    return advance(ctx, p);
}

/* Behind '.**': [{level [to level]}] */
static kd_status parse_any(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(item_new(ctx, p, KD_JSONPATH_ANY, out));
    KD_TRY(advance(ctx, p));
    (*out)->last = KD_JSONPATH_LAST;
    if (p->lexer.kind != '{')
        return KD_OK;
    KD_TRY(advance(ctx, p));
    KD_TRY(parse_level(ctx, p, &(*out)->first));
    (*out)->last = (*out)->first;
    if (at_word(p, "to")) {
        KD_TRY(advance(ctx, p));
        KD_TRY(parse_level(ctx, p, &(*out)->last));
    }
    return expect(ctx, p, '}');
}

/* Behind '.': a key, *, ** or a method. */
static kd_status parse_member(kd_ctx *ctx, parser *p, item **out)
{
    if (p->lexer.kind == '*') {
        KD_TRY(item_new(ctx, p, KD_JSONPATH_ANY_KEY, out));
        return advance(ctx, p);
    }
    if (p->lexer.kind == PATH_ANY)
        return parse_any(ctx, p, out);
    bool is_word = p->lexer.kind == PATH_NAME;
    if (!is_word && p->lexer.kind != PATH_STRING)
        return syntax_error(ctx, p);
    kd_slice name = p->lexer.value;
    KD_TRY(advance(ctx, p));
    if (is_word && p->lexer.kind == '(')
        return parse_method(ctx, p, name, out);
    KD_TRY(item_new(ctx, p, KD_JSONPATH_KEY, out));
    (*out)->text = name;
    return KD_OK;
}

/* Behind '[': * or a list of subscripts. */
static kd_status parse_subscripts(kd_ctx *ctx, parser *p, item **out)
{
    if (p->lexer.kind == '*') {
        KD_TRY(item_new(ctx, p, KD_JSONPATH_ANY_ELEMENT, out));
        KD_TRY(advance(ctx, p));
        return expect(ctx, p, ']');
    }
    KD_TRY(item_new(ctx, p, KD_JSONPATH_INDEX, out));
    p->subscripts++;
    while (true) {
        kd_jsonpath_range *range;
        KD_TRY(KD_PUSH(ctx, p->arena, (*out)->ranges, (*out)->range_count, (*out)->range_capacity,
                       &range));
        *range = (kd_jsonpath_range){0};
        KD_TRY(parse_expression(ctx, p, &range->from));
        if (at_word(p, "to")) {
            KD_TRY(advance(ctx, p));
            KD_TRY(parse_expression(ctx, p, &range->to));
        }
        if (p->lexer.kind != ',')
            break;
        KD_TRY(advance(ctx, p));
    }
    p->subscripts--;
    return expect(ctx, p, ']');
}

static kd_status parse_filter(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(item_new(ctx, p, KD_JSONPATH_FILTER, out));
    p->filters++;
    KD_TRY(parse_delimited(ctx, p, &(*out)->left));
    p->filters--;
    return KD_OK;
}

static kd_status parse_accessors(kd_ctx *ctx, parser *p, item *base)
{
    item *last = base;
    while (last->next != NULL)
        last = last->next;
    while (true) {
        int kind = p->lexer.kind;
        if (kind != '.' && kind != '[' && kind != '?')
            return KD_OK;
        KD_TRY(advance(ctx, p));
        if (kind == '.')
            KD_TRY(parse_member(ctx, p, &last->next));
        else if (kind == '[')
            KD_TRY(parse_subscripts(ctx, p, &last->next));
        else
            KD_TRY(parse_filter(ctx, p, &last->next));
        last = last->next;
    }
}

/* ---- Primaries ---- */

static kd_status parse_literal(kd_ctx *ctx, parser *p, item **out, bool *out_found)
{
    kd_slice json = {"", 0};
    *out_found = true;
    if (p->lexer.kind == PATH_STRING) {
        KD_TRY(kd_jsonb_make_string(ctx, p->arena, p->lexer.value, &json));
    } else if (p->lexer.kind == PATH_INTEGER || p->lexer.kind == PATH_NUMBER) {
        kd_decimal number;
        KD_TRY(kd_decimal_parse(ctx, p->arena, p->lexer.value, &number));
        KD_TRY(kd_jsonb_make_number(ctx, p->arena, &number, &json));
    } else if (at_exact(p, "null")) {
        KD_TRY(kd_jsonb_make_null(ctx, p->arena, &json));
    } else if (at_exact(p, "true") || at_exact(p, "false")) {
        KD_TRY(kd_jsonb_make_bool(ctx, p->arena, at_exact(p, "true"), &json));
    } else {
        *out_found = false;
        return KD_OK;
    }
    KD_TRY(item_new(ctx, p, KD_JSONPATH_LITERAL, out));
    (*out)->json = json;
    return advance(ctx, p);
}

static kd_status parse_simple(kd_ctx *ctx, parser *p, item **out)
{
    bool found;
    KD_TRY(parse_literal(ctx, p, out, &found));
    if (found)
        return KD_OK;
    kd_jsonpath_kind kind;
    if (p->lexer.kind == PATH_VARIABLE)
        kind = KD_JSONPATH_VARIABLE;
    else if (p->lexer.kind == '$')
        kind = KD_JSONPATH_ROOT;
    else if (p->lexer.kind == '@')
        kind = KD_JSONPATH_CURRENT;
    else if (at_word(p, "last"))
        kind = KD_JSONPATH_LAST_INDEX;
    else
        return syntax_error(ctx, p);
    if (kind == KD_JSONPATH_CURRENT && p->filters == 0)
        return KD_FAIL(ctx, KD_INVALID, "42601", "@ is not allowed in root expressions");
    if (kind == KD_JSONPATH_LAST_INDEX && p->subscripts == 0)
        return KD_FAIL(ctx, KD_INVALID, "42601", "LAST is allowed only in array subscripts");
    KD_TRY(item_new(ctx, p, kind, out));
    (*out)->text = p->lexer.value;
    return advance(ctx, p);
}

/* '(' ... ')', with what may follow a predicate or an expression in parentheses. */
static kd_status parse_parentheses(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(enter(ctx, p));
    KD_TRY(advance(ctx, p));
    KD_TRY(parse_or(ctx, p, out));
    KD_TRY(expect(ctx, p, ')'));
    p->depth--;
    if (is_predicate(*out) && at_word(p, "is")) {
        KD_TRY(advance(ctx, p));
        if (!at_word(p, "unknown"))
            return syntax_error(ctx, p);
        KD_TRY(item_over(ctx, p, KD_JSONPATH_IS_UNKNOWN, *out, NULL, out));
        return advance(ctx, p);
    }
    return parse_accessors(ctx, p, *out);
}

static kd_status parse_exists(kd_ctx *ctx, parser *p, item **out)
{
    item *operand;
    KD_TRY(advance(ctx, p));
    KD_TRY(expect(ctx, p, '('));
    KD_TRY(enter(ctx, p));
    KD_TRY(parse_expression(ctx, p, &operand));
    p->depth--;
    KD_TRY(expect(ctx, p, ')'));
    return item_over(ctx, p, KD_JSONPATH_EXISTS, operand, NULL, out);
}

static kd_status parse_primary(kd_ctx *ctx, parser *p, item **out)
{
    if (p->lexer.kind == '(')
        return parse_parentheses(ctx, p, out);
    if (at_word(p, "exists"))
        return parse_exists(ctx, p, out);
    KD_TRY(parse_simple(ctx, p, out));
    return parse_accessors(ctx, p, *out);
}

/* ---- Operators ---- */

static kd_status negate_literal(kd_ctx *ctx, parser *p, item *it)
{
    kd_jsonb opened = kd_jsonb_open(it->json);
    kd_str stored = kd_str_from(opened.body.data, opened.body.size_bytes);
    kd_decimal number;
    KD_TRY(kd_decimal_load(ctx, p->arena, &stored, &number));
    number = kd_decimal_negate(number);
    return kd_jsonb_make_number(ctx, p->arena, &number, &it->json);
}

static kd_status parse_unary(kd_ctx *ctx, parser *p, item **out)
{
    int sign = p->lexer.kind;
    if (sign != '+' && sign != '-')
        return parse_primary(ctx, p, out);
    KD_TRY(enter(ctx, p));
    KD_TRY(advance(ctx, p));
    item *operand;
    KD_TRY(parse_unary(ctx, p, &operand));
    p->depth--;
    if (is_predicate(operand))
        return syntax_error(ctx, p);
    bool is_number = operand->kind == KD_JSONPATH_LITERAL && operand->next == NULL &&
                     kd_jsonb_open(operand->json).kind == KD_JSONB_NUMBER;
    if (is_number) {
        *out = operand;
        return sign == '-' ? negate_literal(ctx, p, operand) : KD_OK;
    }
    return item_over(ctx, p, sign == '-' ? KD_JSONPATH_MINUS : KD_JSONPATH_PLUS, operand, NULL,
                     out);
}

/* A chain of left-associative operators; at most two levels call each other. */
static kd_status parse_chain(kd_ctx *ctx, parser *p, const char *signs,
                             const kd_jsonpath_kind *kinds,
                             kd_status (*operand)(kd_ctx *, parser *, item **), item **out)
{
    KD_TRY(operand(ctx, p, out));
    int chained = 0;
    while (p->lexer.kind > 0 && p->lexer.kind < 128 && p->lexer.kind > PATH_NUMBER) {
        const char *sign = strchr(signs, p->lexer.kind);
        if (sign == NULL)
            break;
        item *right;
        if (is_predicate(*out))
            return syntax_error(ctx, p);
        /* The tree leans to the left and is walked by recursion. */
        if (++chained > KD_JSONPATH_DEPTH_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath is nested too deeply");
        KD_TRY(advance(ctx, p));
        KD_TRY(operand(ctx, p, &right));
        if (is_predicate(right))
            return syntax_error(ctx, p);
        KD_TRY(item_over(ctx, p, kinds[sign - signs], *out, right, out));
    }
    return KD_OK;
}

static kd_status parse_product(kd_ctx *ctx, parser *p, item **out)
{
    static const kd_jsonpath_kind kinds[] = {KD_JSONPATH_MULTIPLY, KD_JSONPATH_DIVIDE,
                                             KD_JSONPATH_MODULO};
    return parse_chain(ctx, p, "*/%", kinds, parse_unary, out);
}

static kd_status parse_sum(kd_ctx *ctx, parser *p, item **out)
{
    static const kd_jsonpath_kind kinds[] = {KD_JSONPATH_ADD, KD_JSONPATH_SUBTRACT};
    return parse_chain(ctx, p, "+-", kinds, parse_product, out);
}

static bool comparison_of(int token, kd_jsonpath_kind *out)
{
    switch (token) {
    case PATH_EQUAL:
        *out = KD_JSONPATH_EQUAL;
        return true;
    case PATH_NOT_EQUAL:
        *out = KD_JSONPATH_NOT_EQUAL;
        return true;
    case '<':
        *out = KD_JSONPATH_LESS;
        return true;
    case '>':
        *out = KD_JSONPATH_GREATER;
        return true;
    case PATH_LESS_EQUAL:
        *out = KD_JSONPATH_LESS_EQUAL;
        return true;
    case PATH_GREATER_EQUAL:
        *out = KD_JSONPATH_GREATER_EQUAL;
        return true;
    default:
        return false;
    }
}

static kd_status read_flags(kd_ctx *ctx, parser *p, uint8_t *out)
{
    static const char letters[] = "ismxq";
    kd_slice text = p->lexer.value;
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char *letter = text.data[i] == '\0' ? NULL : strchr(letters, text.data[i]);
        if (letter == NULL) {
            kd_status status =
                KD_FAIL(ctx, KD_INVALID, "42601", "invalid input syntax for type jsonpath");
            kd_error_set_detail(ctx, "Unrecognized flag character \"%c\" in LIKE_REGEX predicate.",
                                text.data[i] >= ' ' && text.data[i] < 127 ? text.data[i] : '?');
            return status;
        }
        *out |= (uint8_t)(1 << (letter - letters));
    }
    if ((*out & KD_JSONPATH_FLAG_X) != 0 && (*out & KD_JSONPATH_FLAG_Q) == 0)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "XQuery \"x\" flag (expanded regular expressions) is not implemented");
    return KD_OK;
}

/* expr LIKE_REGEX "pattern" [FLAG "flags"] */
static kd_status parse_like(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(advance(ctx, p));
    if (p->lexer.kind != PATH_STRING)
        return syntax_error(ctx, p);
    KD_TRY(item_over(ctx, p, KD_JSONPATH_LIKE_REGEX, *out, NULL, out));
    (*out)->text = p->lexer.value;
    (*out)->pattern_no = p->pattern_count++;
    KD_TRY(advance(ctx, p));
    if (!at_word(p, "flag"))
        return KD_OK;
    KD_TRY(advance(ctx, p));
    if (p->lexer.kind != PATH_STRING)
        return syntax_error(ctx, p);
    KD_TRY(read_flags(ctx, p, &(*out)->flags));
    return advance(ctx, p);
}

/* expr STARTS WITH "string" or $variable */
static kd_status parse_starts(kd_ctx *ctx, parser *p, item **out)
{
    item *prefix;
    KD_TRY(advance(ctx, p));
    if (!at_word(p, "with"))
        return syntax_error(ctx, p);
    KD_TRY(advance(ctx, p));
    if (p->lexer.kind != PATH_STRING && p->lexer.kind != PATH_VARIABLE)
        return syntax_error(ctx, p);
    KD_TRY(parse_simple(ctx, p, &prefix));
    return item_over(ctx, p, KD_JSONPATH_STARTS_WITH, *out, prefix, out);
}

static kd_status parse_comparison(kd_ctx *ctx, parser *p, item **out)
{
    kd_jsonpath_kind kind;
    KD_TRY(parse_sum(ctx, p, out));
    if (is_predicate(*out))
        return KD_OK;
    if (at_word(p, "like_regex"))
        return parse_like(ctx, p, out);
    if (at_word(p, "starts"))
        return parse_starts(ctx, p, out);
    if (!comparison_of(p->lexer.kind, &kind))
        return KD_OK;
    item *right;
    KD_TRY(advance(ctx, p));
    KD_TRY(parse_expression(ctx, p, &right));
    return item_over(ctx, p, kind, *out, right, out);
}

static kd_status parse_not(kd_ctx *ctx, parser *p, item **out)
{
    if (p->lexer.kind != '!')
        return parse_comparison(ctx, p, out);
    item *operand;
    KD_TRY(advance(ctx, p));
    KD_TRY(enter(ctx, p));
    if (at_word(p, "exists"))
        KD_TRY(parse_exists(ctx, p, &operand));
    else
        KD_TRY(parse_delimited(ctx, p, &operand));
    p->depth--;
    return item_over(ctx, p, KD_JSONPATH_NOT, operand, NULL, out);
}

static kd_status parse_logic(kd_ctx *ctx, parser *p, int token, kd_jsonpath_kind kind,
                             kd_status (*operand)(kd_ctx *, parser *, item **), item **out)
{
    KD_TRY(operand(ctx, p, out));
    for (int chained = 0; p->lexer.kind == token; chained++) {
        item *right;
        if (!is_predicate(*out))
            return syntax_error(ctx, p);
        if (chained >= KD_JSONPATH_DEPTH_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonpath is nested too deeply");
        KD_TRY(advance(ctx, p));
        KD_TRY(operand(ctx, p, &right));
        if (!is_predicate(right))
            return syntax_error(ctx, p);
        KD_TRY(item_over(ctx, p, kind, *out, right, out));
    }
    return KD_OK;
}

static kd_status parse_and(kd_ctx *ctx, parser *p, item **out)
{
    return parse_logic(ctx, p, PATH_AND, KD_JSONPATH_AND, parse_not, out);
}

static kd_status parse_or(kd_ctx *ctx, parser *p, item **out)
{
    KD_TRY(enter(ctx, p));
    KD_TRY(parse_logic(ctx, p, PATH_OR, KD_JSONPATH_OR, parse_and, out));
    p->depth--;
    return KD_OK;
}

kd_status kd_jsonpath_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_jsonpath *out)
{
    parser p = {.lexer = {.arena = arena, .text = text}, .arena = arena};
    *out = (kd_jsonpath){0};
    KD_TRY(advance(ctx, &p));
    if (p.lexer.kind == PATH_END)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type jsonpath: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    if (at_word(&p, "strict") || at_word(&p, "lax")) {
        out->is_strict = at_word(&p, "strict");
        KD_TRY(advance(ctx, &p));
    }
    KD_TRY(parse_or(ctx, &p, &out->root));
    if (p.lexer.kind != PATH_END)
        return syntax_error(ctx, &p);
    out->pattern_count = p.pattern_count;
    return KD_OK;
}
