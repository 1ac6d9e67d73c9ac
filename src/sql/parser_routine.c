/*
 * CREATE FUNCTION, PROCEDURE and MACRO; ALTER of the first two.
 */
#include "sql/parser_internal.h"

/* ---- Arguments ---- */

static bool accept_mode(kd_parser *p, kd_ast_argument_mode *out_mode)
{
    if (kdi_accept(p, KW_IN))
        *out_mode = kdi_accept(p, KW_OUT) ? KD_AST_ARGUMENT_INOUT : KD_AST_ARGUMENT_IN;
    else if (kdi_accept(p, KW_OUT))
        *out_mode = KD_AST_ARGUMENT_OUT;
    else if (kdi_accept(p, KW_INOUT))
        *out_mode = KD_AST_ARGUMENT_INOUT;
    else if (kdi_accept(p, KW_VARIADIC))
        *out_mode = KD_AST_ARGUMENT_VARIADIC;
    else
        return false;
    return true;
}

/* Whether this word is an argument's name: what comes next cannot go on or end a type. */
static bool at_argument_name(kd_parser *p)
{
    const kdi_token *next = kdi_peek(p, 1);
    if (!kdi_is_function_name(&p->token) && !kdi_is_name(&p->token))
        return false;
    if (next->kind == ',' || next->kind == ')' || next->kind == '(' || next->kind == '[' ||
        next->kind == '.' || next->kind == '=' || next->kind == '%' ||
        next->kind == TOKEN_COLON_EQUALS || next->keyword == KW_DEFAULT ||
        next->keyword == KW_ARRAY)
        return false;
    return next->keyword != KW_PRECISION && next->keyword != KW_VARYING &&
           next->keyword != KW_WITH && next->keyword != KW_WITHOUT && p->token.keyword != KW_SETOF;
}

static kd_status argument_default(kd_parser *p, kd_ast_routine_argument *argument)
{
    if (kdi_accept(p, KW_DEFAULT) || kdi_accept_token(p, '=') ||
        kdi_accept_token(p, TOKEN_COLON_EQUALS))
        return kdi_expr(p, &argument->value);
    return KD_OK;
}

static kd_status one_argument(kd_parser *p, bool has_type, kd_ast_routine_argument *argument)
{
    argument->position = p->token.position;
    if (!has_type) {
        KD_TRY(kdi_name(p, &argument->name));
        return argument_default(p, argument);
    }
    bool has_mode = accept_mode(p, &argument->mode);
    if (at_argument_name(p)) {
        argument->name = p->token.text;
        kdi_advance(p);
        if (!has_mode)
            (void)accept_mode(p, &argument->mode);
    }
    KD_TRY(kdi_type(p, &argument->type));
    return argument_default(p, argument);
}

static kd_status push_argument(kd_parser *p, kd_ast_create_routine *node,
                               kd_ast_routine_argument **out)
{
    return KD_PUSH(p->ctx, p->arena, node->arguments, node->argument_count, node->argument_capacity,
                   out);
}

static kd_status arguments(kd_parser *p, kd_ast_create_routine *node)
{
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_accept_token(p, ')'))
        return KD_OK;
    do {
        kd_ast_routine_argument *argument;
        KD_TRY(push_argument(p, node, &argument));
        KD_TRY(one_argument(p, node->what != KD_AST_ROUTINE_MACRO, argument));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* RETURNS TABLE (name type, ...) */
static kd_status table_columns(kd_parser *p, kd_ast_create_routine *node)
{
    node->returns_table = true;
    KD_TRY(kdi_expect_token(p, '('));
    do {
        kd_ast_routine_argument *argument;
        KD_TRY(push_argument(p, node, &argument));
        argument->mode = KD_AST_ARGUMENT_TABLE;
        argument->position = p->token.position;
        KD_TRY(kdi_name(p, &argument->name));
        KD_TRY(kdi_type(p, &argument->type));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* ---- What stands behind the arguments, in any order ---- */

static kd_status on_null_input(kd_parser *p)
{
    KD_TRY(kdi_expect(p, KW_ON));
    KD_TRY(kdi_expect(p, KW_NULL));
    return kdi_expect(p, KW_INPUT);
}

static kd_status security(kd_parser *p, kd_ast_routine_options *options)
{
    KD_TRY(kdi_expect(p, KW_SECURITY));
    options->security_definer = kdi_accept(p, KW_DEFINER);
    return options->security_definer ? KD_OK : kdi_expect(p, KW_INVOKER);
}

/* Attributes that ALTER can change too; `*out_found` false: none stands here. */
static kd_status attribute(kd_parser *p, kd_ast_routine_options *options, bool *out_found)
{
    int64_t ignored;
    kd_slice word;
    *out_found = true;
    if (kdi_accept(p, KW_IMMUTABLE))
        options->volatility = KD_AST_IMMUTABLE;
    else if (kdi_accept(p, KW_STABLE))
        options->volatility = KD_AST_STABLE;
    else if (kdi_accept(p, KW_VOLATILE))
        options->volatility = KD_AST_VOLATILE;
    else if (kdi_accept(p, KW_STRICT))
        options->strict = KD_AST_ON;
    else if (kdi_accept_two(p, KW_RETURNS, KW_NULL)) {
        options->strict = KD_AST_ON;
        return on_null_input(p);
    } else if (kdi_accept(p, KW_CALLED)) {
        options->strict = KD_AST_OFF;
        return on_null_input(p);
    } else if (kdi_accept(p, KW_LEAKPROOF) || kdi_accept_two(p, KW_NOT, KW_LEAKPROOF))
        return KD_OK;
    else if (kdi_at(p, KW_SECURITY))
        return security(p, options);
    else if (kdi_accept_two(p, KW_EXTERNAL, KW_SECURITY)) {
        options->security_definer = kdi_accept(p, KW_DEFINER);
        return options->security_definer ? KD_OK : kdi_expect(p, KW_INVOKER);
    } else if (kdi_accept(p, KW_PARALLEL))
        return kdi_word_or_string(p, &word);
    else if (kdi_at(p, KW_COST) || kdi_at(p, KW_ROWS)) {
        kdi_advance(p);
        return kdi_integer(p, &ignored);
    } else
        *out_found = false;
    return KD_OK;
}

/* BEGIN ATOMIC statement; ... END: what stands between is the body. */
static kd_status atomic_body(kd_parser *p, kd_ast_create_routine *node)
{
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_ATOMIC));
    node->form = KD_AST_ROUTINE_ATOMIC;
    node->body_begin = node->body_end = p->token.position;
    while (!kdi_at(p, KW_END)) {
        kd_ast_node *statement;
        KD_TRY(kdi_parse_enter(p));
        if (kdi_accept(p, KW_RETURN))
            return kdi_unsupported(p, p->previous.position, "RETURN inside BEGIN ATOMIC");
        KD_TRY(kdi_statement(p, &statement));
        kdi_leave(p);
        KD_TRY(kdi_expect_token(p, ';'));
        node->body_end = p->previous.end;
    }
    kdi_advance(p);
    return KD_OK;
}

static kd_status body(kd_parser *p, kd_ast_create_routine *node, bool *out_found)
{
    *out_found = true;
    if (kdi_accept(p, KW_RETURN)) {
        node->form = KD_AST_ROUTINE_RETURN;
        KD_TRY(kdi_expr(p, &node->value));
    } else if (kdi_at(p, KW_BEGIN)) {
        KD_TRY(atomic_body(p, node));
    } else if (kdi_accept(p, KW_AS)) {
        KD_TRY(kdi_string(p, &node->body));
        node->form = KD_AST_ROUTINE_STRING;
    } else {
        *out_found = false;
        return KD_OK;
    }
    if (node->has_body)
        return kdi_fail_at(p, "42601", p->previous.position, "conflicting or redundant options");
    node->has_body = true;
    return KD_OK;
}

static kd_status create_tail(kd_parser *p, kd_ast_create_routine *node)
{
    for (bool found = true; found;) {
        KD_TRY(attribute(p, &node->options, &found));
        if (!found)
            KD_TRY(body(p, node, &found));
        if (!found && kdi_accept(p, KW_LANGUAGE)) {
            KD_TRY(kdi_word_or_string(p, &node->language));
            found = true;
        }
    }
    return KD_OK;
}

/* MACRO name(a, b := 1) AS expression, or AS TABLE query */
static kd_status macro_tail(kd_parser *p, kd_ast_create_routine *node)
{
    KD_TRY(kdi_expect(p, KW_AS));
    node->has_body = true;
    if (!kdi_at(p, KW_TABLE)) {
        node->form = KD_AST_ROUTINE_RETURN;
        return kdi_expr(p, &node->value);
    }
    kdi_advance(p);
    node->form = KD_AST_ROUTINE_QUERY;
    return kdi_query(p, &node->value);
}

kd_status kdi_parse_create_routine(kd_parser *p, int32_t position, bool or_replace,
                                   kd_ast_node **out)
{
    kd_ast_create_routine *node =
        KDI_NODE_AT(p, KD_AST_CREATE_ROUTINE, kd_ast_create_routine, position);
    if (node == NULL)
        return KD_NOMEM;
    node->or_replace = or_replace;
    node->what = kdi_at(p, KW_FUNCTION)    ? KD_AST_ROUTINE_FUNCTION
                 : kdi_at(p, KW_PROCEDURE) ? KD_AST_ROUTINE_PROCEDURE
                                           : KD_AST_ROUTINE_MACRO;
    kdi_advance(p);
    KD_TRY(kdi_qualified_name(p, &node->name));
    KD_TRY(arguments(p, node));
    if (node->what == KD_AST_ROUTINE_MACRO) {
        KD_TRY(macro_tail(p, node));
    } else {
        if (kdi_at(p, KW_RETURNS) && !kdi_next_is(p, KW_NULL)) {
            kdi_advance(p);
            node->has_result = true;
            if (kdi_at(p, KW_TABLE) && kdi_next_is_token(p, '(')) {
                kdi_advance(p);
                KD_TRY(table_columns(p, node));
            } else {
                KD_TRY(kdi_type(p, &node->result));
            }
        }
        KD_TRY(create_tail(p, node));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

bool kdi_at_routine(const kd_parser *p)
{
    return kdi_at(p, KW_FUNCTION) || kdi_at(p, KW_PROCEDURE) || kdi_at_word(p, "macro");
}

kd_status kdi_parse_alter_routine(kd_parser *p, int32_t position, kd_ast_object_kind object,
                                  kd_ast_object *target, kd_ast_node **out)
{
    kd_ast_alter_routine *node =
        KDI_NODE_AT(p, KD_AST_ALTER_ROUTINE, kd_ast_alter_routine, position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = object;
    node->target = target;
    bool found, any = false;
    do {
        KD_TRY(attribute(p, &node->options, &found));
        any |= found;
    } while (found);
    if (!any)
        return kdi_syntax_error(p, "RENAME TO, OWNER TO, SET SCHEMA, IMMUTABLE, STRICT, ...");
    (void)kdi_accept(p, KW_RESTRICT);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
