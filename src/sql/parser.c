/*
 * The parser's frame: tokens, names, and the entry points.
 */
#include "sql/parser.h"

#include "sql/parser_internal.h"

/* ---- Tokens ---- */

void kdi_advance(kd_parser *p)
{
    if (p->token.kind == TOKEN_END || p->token.kind == TOKEN_ERROR)
        return;
    p->previous = p->token;
    if (p->ahead_count > 0) {
        p->token = p->ahead[0];
        p->ahead[0] = p->ahead[1];
        p->ahead_count--;
    } else {
        kdi_lexer_next(p->ctx, &p->lexer, &p->token);
    }
}

/* A failure beyond the statement must not be recorded while the statement itself is right. */
static bool ends_lookahead(const kdi_token *token)
{
    return token->kind == TOKEN_END || token->kind == TOKEN_ERROR || token->kind == ';';
}

const kdi_token *kdi_peek(kd_parser *p, int distance)
{
    static const kdi_token end = {.kind = TOKEN_END};
    if (ends_lookahead(&p->token))
        return &end;
    while (p->ahead_count < distance) {
        if (p->ahead_count > 0 && ends_lookahead(&p->ahead[p->ahead_count - 1]))
            return &end;
        kdi_lexer_next(p->ctx, &p->lexer, &p->ahead[p->ahead_count]);
        p->ahead_count++;
    }
    return &p->ahead[distance - 1];
}

bool kdi_accept_two(kd_parser *p, kdi_keyword first, kdi_keyword second)
{
    if (!kdi_at(p, first) || !kdi_next_is(p, second))
        return false;
    kdi_advance(p);
    kdi_advance(p);
    return true;
}

bool kdi_token_is_word(const kdi_token *token, const char *word)
{
    return token->kind == TOKEN_IDENT && kd_slice_equal(token->text, kd_slice_of(word));
}

bool kdi_at_word(const kd_parser *p, const char *word)
{
    return kdi_token_is_word(&p->token, word);
}

bool kdi_accept_word(kd_parser *p, const char *word)
{
    if (!kdi_at_word(p, word))
        return false;
    kdi_advance(p);
    return true;
}

kd_status kdi_expect(kd_parser *p, kdi_keyword keyword)
{
    if (kdi_accept(p, keyword))
        return KD_OK;
    char upper[KDI_KEYWORD_BYTES_MAX];
    kd_slice text = kdi_keyword_text(keyword);
    size_t i = 0;
    for (; i < text.size_bytes && i + 1 < sizeof upper; i++)
        upper[i] = text.data[i] == '_' ? '_' : (char)(text.data[i] & ~0x20);
    upper[i] = '\0';
    return kdi_syntax_error(p, upper);
}

kd_status kdi_expect_token(kd_parser *p, int kind)
{
    if (kdi_accept_token(p, kind))
        return KD_OK;
    char symbol[4] = {'"', (char)kind, '"', '\0'};
    return kdi_syntax_error(p, kind < 256 ? symbol : kind == TOKEN_STRING ? "a string" : NULL);
}

kd_status kdi_parse_enter(kd_parser *p)
{
    if (++p->depth <= KD_PARSER_DEPTH_MAX)
        return KD_OK;
    if (p->ctx->error.status != KD_OK)
        return p->ctx->error.status;
    kd_status status = KD_FAIL(p->ctx, KD_LIMIT, "54001", "statement is nested too deeply");
    kd_error_set_position(p->ctx, p->token.position);
    kd_error_set_hint(p->ctx, "At most %d levels are read.", KD_PARSER_DEPTH_MAX);
    return status;
}

kd_status kdi_fail_at(kd_parser *p, const char *sqlstate, int32_t position, const char *message)
{
    if (p->ctx->error.status != KD_OK)
        return p->ctx->error.status; /* The lexer's, of this token or of one ahead, came first. */
    kd_status status = KD_FAIL(p->ctx, KD_INVALID, sqlstate, "%s", message);
    kd_error_set_position(p->ctx, position);
    return status;
}

kd_status kdi_unsupported(kd_parser *p, int32_t position, const char *what)
{
    if (p->ctx->error.status != KD_OK)
        return p->ctx->error.status;
    kd_status status = KD_FAIL(p->ctx, KD_UNSUPPORTED, "0A000", "%s is not supported", what);
    kd_error_set_position(p->ctx, position);
    return status;
}

/* ---- Nodes ---- */

void *kdi_node_at(kd_parser *p, kd_ast_kind kind, size_t bytes, int32_t position)
{
    kd_ast_node *node = kd_alloc(p->ctx, p->arena, bytes);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->position = position;
    node->mark = position;
    node->end = position;
    return node;
}

kd_status kdi_push(kd_parser *p, kd_ast_list *list, kd_ast_node *node)
{
    kd_ast_node **item;
    KD_TRY(KD_PUSH(p->ctx, p->arena, list->items, list->count, list->capacity, &item));
    *item = node;
    return KD_OK;
}

kd_status kdi_push_name(kd_parser *p, kd_ast_names *names, kd_slice name)
{
    kd_slice *item;
    KD_TRY(KD_PUSH(p->ctx, p->arena, names->items, names->count, names->capacity, &item));
    *item = name;
    return KD_OK;
}

/* ---- Names ---- */

bool kdi_is_name(const kdi_token *token)
{
    if (token->kind != TOKEN_KEYWORD)
        return token->kind == TOKEN_IDENT || token->kind == TOKEN_QUOTED_IDENT;
    return kdi_keyword_kind((kdi_keyword)token->keyword) <= KDI_WORD_COLUMN_NAME;
}

bool kdi_is_function_name(const kdi_token *token)
{
    if (token->kind != TOKEN_KEYWORD)
        return token->kind == TOKEN_IDENT || token->kind == TOKEN_QUOTED_IDENT;
    kdi_keyword_class kind = kdi_keyword_kind((kdi_keyword)token->keyword);
    return kind == KDI_WORD_UNRESERVED || kind == KDI_WORD_TYPE_NAME;
}

bool kdi_is_label(const kdi_token *token)
{
    return token->kind == TOKEN_KEYWORD || token->kind == TOKEN_IDENT ||
           token->kind == TOKEN_QUOTED_IDENT;
}

kd_status kdi_name(kd_parser *p, kd_slice *out_name)
{
    *out_name = (kd_slice){NULL, 0};
    if (!kdi_is_name(&p->token))
        return kdi_syntax_error(p, "a name");
    *out_name = p->token.text;
    kdi_advance(p);
    return KD_OK;
}

kd_status kdi_label(kd_parser *p, kd_slice *out_name)
{
    *out_name = (kd_slice){NULL, 0};
    if (!kdi_is_label(&p->token))
        return kdi_syntax_error(p, "a name");
    *out_name = p->token.text;
    kdi_advance(p);
    return KD_OK;
}

kd_status kdi_string(kd_parser *p, kd_slice *out_text)
{
    *out_text = p->token.text;
    return kdi_expect_token(p, TOKEN_STRING);
}

kd_status kdi_word_or_string(kd_parser *p, kd_slice *out_text)
{
    *out_text = p->token.text;
    if (!kdi_is_label(&p->token) && !kdi_at_token(p, TOKEN_STRING))
        return kdi_syntax_error(p, "a word or a string");
    kdi_advance(p);
    return KD_OK;
}

kd_status kdi_integer(kd_parser *p, int64_t *out_value)
{
    *out_value = p->token.integer;
    if (!kdi_accept_token(p, TOKEN_INTEGER))
        return kdi_syntax_error(p, "an integer");
    return KD_OK;
}

kd_status kdi_signed_integer(kd_parser *p, int64_t *out_value)
{
    bool is_negative = kdi_at_token(p, '-');
    if (is_negative || kdi_at_token(p, '+'))
        kdi_advance(p);
    KD_TRY(kdi_integer(p, out_value));
    if (is_negative)
        *out_value = -*out_value;
    return KD_OK;
}

/* Roles may be named by CURRENT_USER and the like, which are reserved words. */
kd_status kdi_role(kd_parser *p, kd_slice *out_name)
{
    if (kdi_at(p, KW_CURRENT_USER) || kdi_at(p, KW_CURRENT_ROLE) || kdi_at(p, KW_SESSION_USER)) {
        *out_name = p->token.text;
        kdi_advance(p);
        return KD_OK;
    }
    (void)kdi_accept(p, KW_GROUP); /* GRANT ... TO GROUP g */
    return kdi_name(p, out_name);
}

kd_status kdi_qualified_name(kd_parser *p, kd_ast_name *out_name)
{
    *out_name = (kd_ast_name){.position = p->token.position};
    KD_TRY(kdi_name(p, &out_name->name));
    for (int part = 1; kdi_at_token(p, '.'); part++) {
        if (part == 3)
            return kdi_fail_at(p, "42601", out_name->position,
                               "improper qualified name (too many dotted names)");
        kdi_advance(p);
        out_name->catalog = out_name->schema;
        out_name->schema = out_name->name;
        KD_TRY(kdi_label(p, &out_name->name));
    }
    out_name->end = p->previous.end;
    return KD_OK;
}

kd_status kdi_name_list(kd_parser *p, kd_ast_names *names)
{
    do {
        kd_slice name;
        KD_TRY(kdi_name(p, &name));
        KD_TRY(kdi_push_name(p, names, name));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

kd_status kdi_name_parens(kd_parser *p, kd_ast_names *names)
{
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_name_list(p, names));
    return kdi_expect_token(p, ')');
}

kd_status kdi_optional_name_parens(kd_parser *p, kd_ast_names *names)
{
    return kdi_at_token(p, '(') ? kdi_name_parens(p, names) : KD_OK;
}

kd_status kdi_qualified_name_list(kd_parser *p, kd_ast_list *list)
{
    do {
        kd_ast_name_item *item = KDI_NODE(p, KD_AST_NAME_ITEM, kd_ast_name_item);
        if (item == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_qualified_name(p, &item->name));
        kdi_finish(p, &item->node);
        KD_TRY(kdi_push(p, list, &item->node));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

kd_status kdi_if_exists(kd_parser *p, bool *out_found)
{
    *out_found = kdi_accept(p, KW_IF);
    return *out_found ? kdi_expect(p, KW_EXISTS) : KD_OK;
}

kd_status kdi_if_not_exists(kd_parser *p, bool *out_found)
{
    *out_found = kdi_accept(p, KW_IF);
    if (!*out_found)
        return KD_OK;
    KD_TRY(kdi_expect(p, KW_NOT));
    return kdi_expect(p, KW_EXISTS);
}

kd_ast_behavior kdi_behavior(kd_parser *p)
{
    if (kdi_accept(p, KW_CASCADE))
        return KD_AST_CASCADE;
    return kdi_accept(p, KW_RESTRICT) ? KD_AST_RESTRICT : KD_AST_BEHAVIOR_DEFAULT;
}

/* ---- Entry points ---- */

kd_status kd_parser_create(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_parser **out_parser)
{
    *out_parser = NULL;
    if (text.size_bytes > KD_PARSER_TEXT_BYTES_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "statement text is longer than %d bytes",
                       KD_PARSER_TEXT_BYTES_MAX);
    if (text.data == NULL)
        text = KD_SLICE("");
    KD_TRY(kdi_check_utf8(ctx, text, -1));
    kd_parser *p = KD_NEW(ctx, arena, kd_parser);
    if (p == NULL)
        return KD_NOMEM;
    p->ctx = ctx;
    p->arena = arena;
    p->lexer = (kdi_lexer){.arena = arena, .text = text};
    kdi_lexer_next(ctx, &p->lexer, &p->token);
    *out_parser = p;
    return KD_OK;
}

kd_status kd_parser_next(kd_ctx *ctx, kd_parser *p, kd_statement *out_statement)
{
    *out_statement = (kd_statement){.node = NULL};
    p->ctx = ctx;
    while (kdi_accept_token(p, ';')) {
    }
    if (kdi_at_token(p, TOKEN_END))
        return KD_OK;
    p->depth = 0;
    p->param_max = 0;
    kd_statement statement = {.position = p->token.position};
    KD_TRY(kdi_statement(p, &statement.node));
    if (!kdi_at_token(p, ';') && !kdi_at_token(p, TOKEN_END))
        return kdi_syntax_error(p, NULL);
    statement.end = p->previous.end;
    statement.param_max = p->param_max;
    *out_statement = statement;
    return KD_OK;
}

kd_status kd_parse_statement(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                             kd_statement *out_statement)
{
    *out_statement = (kd_statement){.node = NULL};
    kd_parser *p;
    kd_statement statement;
    kd_statement second;
    KD_TRY(kd_parser_create(ctx, arena, text, &p));
    KD_TRY(kd_parser_next(ctx, p, &statement));
    KD_TRY(kd_parser_next(ctx, p, &second));
    if (second.node != NULL)
        return kdi_fail_at(p, "42601", second.position,
                           "cannot insert multiple commands into a prepared statement");
    *out_statement = statement;
    return KD_OK;
}

kd_status kd_parse_expression(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                              kd_ast_node **out_expression)
{
    *out_expression = NULL;
    kd_parser *p;
    kd_ast_node *expression;
    KD_TRY(kd_parser_create(ctx, arena, text, &p));
    KD_TRY(kdi_expr(p, &expression));
    if (!kdi_at_token(p, TOKEN_END))
        return kdi_syntax_error(p, NULL);
    *out_expression = expression;
    return KD_OK;
}

kd_status kd_parse_type(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_ast_type *out_type)
{
    *out_type = (kd_ast_type){.position = 0};
    kd_parser *p;
    kd_ast_type type;
    KD_TRY(kd_parser_create(ctx, arena, text, &p));
    KD_TRY(kdi_type(p, &type));
    if (!kdi_at_token(p, TOKEN_END))
        return kdi_syntax_error(p, NULL);
    *out_type = type;
    return KD_OK;
}
