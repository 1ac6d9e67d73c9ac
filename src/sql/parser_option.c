/*
 * Option lists: (name = value, ...) of WITH, COPY, EXPLAIN, and of sequences.
 */
#include "sql/parser_internal.h"

kd_status kdi_push_option(kd_parser *p, kd_ast_list *list, const char *name, kd_ast_node *value)
{
    int32_t position = value != NULL ? value->position : p->previous.position;
    kd_ast_option *option = KDI_NODE_AT(p, KD_AST_OPTION, kd_ast_option, position);
    if (option == NULL)
        return KD_NOMEM;
    option->name = kd_slice_of(name);
    option->value = value;
    kdi_finish(p, &option->node);
    return kdi_push(p, list, &option->node);
}

kd_status kdi_push_flag(kd_parser *p, kd_ast_list *list, const char *name, bool value)
{
    kd_ast_node *constant = kdi_boolean_constant(p, value, p->previous.position);
    if (constant == NULL)
        return KD_NOMEM;
    return kdi_push_option(p, list, name, constant);
}

/* A bare word as a value: a column of that name; `true` and the like are constants. */
static kd_status word_value(kd_parser *p, kd_ast_node **out_value)
{
    kd_ast_column *column = KDI_NODE(p, KD_AST_COLUMN, kd_ast_column);
    if (column == NULL)
        return KD_NOMEM;
    size_t capacity = 0;
    kd_slice *part;
    do {
        KD_TRY(KD_PUSH(p->ctx, p->arena, column->parts, column->part_count, capacity, &part));
        KD_TRY(kdi_label(p, part));
    } while (kdi_accept_token(p, '.'));
    kdi_finish(p, &column->node);
    *out_value = &column->node;
    return KD_OK;
}

static kd_status list_value(kd_parser *p, kd_ast_node **out_value)
{
    kd_ast_args *row = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (row == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expect_token(p, '('));
    do {
        kd_ast_node *item;
        if (kdi_is_label(&p->token))
            KD_TRY(word_value(p, &item));
        else
            KD_TRY(kdi_primary(p, &item));
        KD_TRY(kdi_push(p, &row->args, item));
    } while (kdi_accept_token(p, ','));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &row->node);
    *out_value = &row->node;
    return KD_OK;
}

static kd_status option_value(kd_parser *p, kd_ast_node **out_value)
{
    if (kdi_at_token(p, '(')) {
        KD_TRY(kdi_parse_enter(p));
        KD_TRY(list_value(p, out_value));
        kdi_leave(p);
        return KD_OK;
    }
    if (kdi_at_token(p, '*')) {
        kd_ast_star *star = KDI_NODE(p, KD_AST_STAR, kd_ast_star);
        if (star == NULL)
            return KD_NOMEM;
        kdi_advance(p);
        kdi_finish(p, &star->node);
        *out_value = &star->node;
        return KD_OK;
    }
    bool is_constant = kdi_at(p, KW_TRUE) || kdi_at(p, KW_FALSE) || kdi_at(p, KW_NULL) ||
                       (kdi_at(p, KW_INTERVAL) && kdi_next_is_token(p, TOKEN_STRING));
    if (kdi_is_label(&p->token) && !is_constant)
        return word_value(p, out_value);
    if (kdi_at_token(p, '-') || kdi_at_token(p, '+'))
        return kdi_restricted_expr(p, out_value);
    return kdi_primary(p, out_value);
}

static kd_status option(kd_parser *p, kd_ast_list *list)
{
    kd_ast_option *node = KDI_NODE(p, KD_AST_OPTION, kd_ast_option);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_label(p, &node->name));
    if (kdi_accept_token(p, '.')) {
        node->prefix = node->name;
        KD_TRY(kdi_label(p, &node->name));
    }
    bool has_equals = kdi_accept_token(p, '=');
    if (has_equals || (!kdi_at_token(p, ',') && !kdi_at_token(p, ')')))
        KD_TRY(option_value(p, &node->value));
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

kd_status kdi_option_parens(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    do {
        KD_TRY(option(p, list));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* ---- Sequences ---- */

static kd_status number_option(kd_parser *p, kd_ast_list *list, const char *name)
{
    kd_ast_node *value;
    bool is_number = kdi_at_token(p, TOKEN_INTEGER) || kdi_at_token(p, TOKEN_DECIMAL) ||
                     kdi_at_token(p, '-') || kdi_at_token(p, '+');
    if (!is_number)
        return kdi_syntax_error(p, "a number");
    KD_TRY(kdi_restricted_expr(p, &value));
    return kdi_push_option(p, list, name, value);
}

static kd_status type_option(kd_parser *p, kd_ast_list *list)
{
    kd_ast_cast *cast = KDI_NODE(p, KD_AST_CAST, kd_ast_cast);
    kd_ast_constant *null = KDI_NODE(p, KD_AST_CONSTANT, kd_ast_constant);
    if (cast == NULL || null == NULL)
        return KD_NOMEM;
    cast->operand = &null->node; /* what is KD_AST_NULL already. */
    KD_TRY(kdi_type(p, &cast->type));
    kdi_finish(p, &cast->node);
    return kdi_push_option(p, list, "as", &cast->node);
}

static bool at_number(const kd_parser *p)
{
    return kdi_at_token(p, TOKEN_INTEGER) || kdi_at_token(p, TOKEN_DECIMAL) ||
           kdi_at_token(p, '-') || kdi_at_token(p, '+');
}

static kd_status sequence_option(kd_parser *p, kd_ast_list *list, bool *out_found)
{
    *out_found = true;
    if (kdi_accept(p, KW_AS))
        return type_option(p, list);
    if (kdi_accept(p, KW_INCREMENT)) {
        (void)kdi_accept(p, KW_BY);
        return number_option(p, list, "increment");
    }
    if (kdi_accept(p, KW_MINVALUE))
        return number_option(p, list, "minvalue");
    if (kdi_accept(p, KW_MAXVALUE))
        return number_option(p, list, "maxvalue");
    if (kdi_accept_two(p, KW_NO, KW_MINVALUE))
        return kdi_push_option(p, list, "minvalue", NULL);
    if (kdi_accept_two(p, KW_NO, KW_MAXVALUE))
        return kdi_push_option(p, list, "maxvalue", NULL);
    if (kdi_accept_two(p, KW_NO, KW_CYCLE))
        return kdi_push_flag(p, list, "cycle", false);
    if (kdi_accept(p, KW_CYCLE))
        return kdi_push_flag(p, list, "cycle", true);
    if (kdi_accept(p, KW_CACHE))
        return number_option(p, list, "cache");
    if (kdi_accept(p, KW_START)) {
        (void)kdi_accept(p, KW_WITH);
        return number_option(p, list, "start");
    }
    if (kdi_accept(p, KW_RESTART)) {
        bool has_with = kdi_accept(p, KW_WITH);
        return has_with || at_number(p) ? number_option(p, list, "restart")
                                        : kdi_push_option(p, list, "restart", NULL);
    }
    kd_ast_node *value;
    if (kdi_accept(p, KW_OWNED)) {
        KD_TRY(kdi_expect(p, KW_BY));
        KD_TRY(word_value(p, &value));
        return kdi_push_option(p, list, "owned_by", value);
    }
    if (kdi_accept_two(p, KW_SEQUENCE, KW_NAME)) {
        KD_TRY(word_value(p, &value));
        return kdi_push_option(p, list, "sequence_name", value);
    }
    *out_found = false;
    return KD_OK;
}

kd_status kdi_sequence_options(kd_parser *p, kd_ast_list *list)
{
    bool found;
    do {
        KD_TRY(sequence_option(p, list, &found));
    } while (found);
    return KD_OK;
}
