/*
 * CREATE of everything but tables.
 */
#include "sql/parser_internal.h"

/* What stands between CREATE and the kind of thing. */
typedef struct create_words {
    int32_t position;
    bool or_replace;
    kd_ast_persistence persistence;
} create_words;

static kd_status create_schema(kd_parser *p, const create_words *words, kd_ast_node **out)
{
    kd_ast_create_schema *node =
        KDI_NODE_AT(p, KD_AST_CREATE_SCHEMA, kd_ast_create_schema, words->position);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    if (!kdi_at(p, KW_AUTHORIZATION))
        KD_TRY(kdi_name(p, &node->name));
    if (kdi_accept(p, KW_AUTHORIZATION))
        KD_TRY(kdi_role(p, &node->owner));
    while (kdi_at(p, KW_CREATE) || kdi_at(p, KW_GRANT)) {
        kd_ast_node *element;
        KD_TRY(kdi_parse_enter(p));
        KD_TRY(kdi_statement(p, &element));
        kdi_leave(p);
        KD_TRY(kdi_push(p, &node->elements, element));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_index(kd_parser *p, const create_words *words, bool unique,
                              kd_ast_node **out)
{
    kd_ast_create_index *node =
        KDI_NODE_AT(p, KD_AST_CREATE_INDEX, kd_ast_create_index, words->position);
    if (node == NULL)
        return KD_NOMEM;
    node->unique = unique;
    node->concurrently = kdi_accept(p, KW_CONCURRENTLY);
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    if (!kdi_at(p, KW_ON))
        KD_TRY(kdi_name(p, &node->name));
    KD_TRY(kdi_expect(p, KW_ON));
    kd_ast_table_ref *table;
    KD_TRY(kdi_relation(p, &table));
    node->table = table->name;
    node->only = table->only;
    KD_TRY(kdi_index_tail(p, node));
    *out = &node->node;
    return KD_OK;
}

static kd_status check_option(kd_parser *p, kd_ast_create_view *node)
{
    if (!kdi_accept(p, KW_WITH))
        return KD_OK;
    node->check_local = kdi_accept(p, KW_LOCAL);
    node->check_cascaded = !node->check_local;
    if (node->check_cascaded)
        (void)kdi_accept(p, KW_CASCADED);
    KD_TRY(kdi_expect(p, KW_CHECK));
    return kdi_expect(p, KW_OPTION);
}

static kd_status create_view(kd_parser *p, const create_words *words, bool recursive,
                             kd_ast_node **out)
{
    kd_ast_create_view *node =
        KDI_NODE_AT(p, KD_AST_CREATE_VIEW, kd_ast_create_view, words->position);
    if (node == NULL)
        return KD_NOMEM;
    node->or_replace = words->or_replace;
    node->temporary = words->persistence == KD_AST_TEMPORARY;
    node->recursive = recursive;
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    KD_TRY(kdi_qualified_name(p, &node->name));
    if (recursive && !kdi_at_token(p, '('))
        return kdi_syntax_error(p, "\"(\": a recursive view names its columns");
    KD_TRY(kdi_optional_name_parens(p, &node->columns));
    if (kdi_accept(p, KW_WITH))
        KD_TRY(kdi_option_parens(p, &node->options));
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_query(p, &node->query));
    KD_TRY(kdi_refuse_into(p, node->query, "0A000", "views must not contain SELECT INTO"));
    KD_TRY(check_option(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_materialized_view(kd_parser *p, const create_words *words,
                                          kd_ast_node **out)
{
    kd_ast_create_table_as *node =
        KDI_NODE_AT(p, KD_AST_CREATE_TABLE_AS, kd_ast_create_table_as, words->position);
    if (node == NULL)
        return KD_NOMEM;
    node->is_materialized_view = true;
    node->or_replace = words->or_replace;
    node->persistence = words->persistence;
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    KD_TRY(kdi_qualified_name(p, &node->name));
    KD_TRY(kdi_optional_name_parens(p, &node->columns));
    if (kdi_accept(p, KW_USING))
        KD_TRY(kdi_name(p, &node->method));
    if (kdi_accept(p, KW_WITH))
        KD_TRY(kdi_option_parens(p, &node->options));
    if (kdi_accept(p, KW_TABLESPACE))
        KD_TRY(kdi_name(p, &node->tablespace));
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_query(p, &node->query));
    if (kdi_accept(p, KW_WITH)) {
        node->with_no_data = kdi_accept(p, KW_NO);
        KD_TRY(kdi_expect(p, KW_DATA));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_sequence(kd_parser *p, const create_words *words, kd_ast_node **out)
{
    kd_ast_create_sequence *node =
        KDI_NODE_AT(p, KD_AST_CREATE_SEQUENCE, kd_ast_create_sequence, words->position);
    if (node == NULL)
        return KD_NOMEM;
    node->persistence = words->persistence;
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    KD_TRY(kdi_qualified_name(p, &node->name));
    KD_TRY(kdi_sequence_options(p, &node->options));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_domain(kd_parser *p, const create_words *words, kd_ast_node **out)
{
    kd_ast_create_domain *node =
        KDI_NODE_AT(p, KD_AST_CREATE_DOMAIN, kd_ast_create_domain, words->position);
    if (node == NULL)
        return KD_NOMEM;
    node->collation = kdi_no_name();
    KD_TRY(kdi_qualified_name(p, &node->name));
    (void)kdi_accept(p, KW_AS);
    KD_TRY(kdi_type(p, &node->type));
    for (;;) {
        if (kdi_accept(p, KW_COLLATE)) {
            KD_TRY(kdi_qualified_name(p, &node->collation));
            continue;
        }
        if (kdi_at_token(p, ';') || kdi_at_token(p, TOKEN_END))
            break;
        kd_ast_constraint *constraint;
        KD_TRY(kdi_domain_constraint(p, &constraint));
        KD_TRY(kdi_push(p, &node->constraints, &constraint->node));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_extension(kd_parser *p, const create_words *words, kd_ast_node **out)
{
    kd_ast_create_extension *node =
        KDI_NODE_AT(p, KD_AST_CREATE_EXTENSION, kd_ast_create_extension, words->position);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    KD_TRY(kdi_name(p, &node->name));
    (void)kdi_accept(p, KW_WITH);
    for (;;) {
        if (kdi_accept(p, KW_SCHEMA))
            KD_TRY(kdi_name(p, &node->schema));
        else if (kdi_accept(p, KW_VERSION))
            KD_TRY(kdi_word_or_string(p, &node->version));
        else if (kdi_accept(p, KW_CASCADE))
            node->cascade = true;
        else
            break;
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status create_other(kd_parser *p, const create_words *words, kd_ast_node **out)
{
    if (kdi_accept(p, KW_VIEW))
        return create_view(p, words, false, out);
    if (kdi_accept_two(p, KW_RECURSIVE, KW_VIEW))
        return create_view(p, words, true, out);
    if (kdi_accept_two(p, KW_MATERIALIZED, KW_VIEW))
        return create_materialized_view(p, words, out);
    if (kdi_at_routine(p))
        return kdi_parse_create_routine(p, words->position, words->or_replace, out);
    if (words->or_replace)
        return kdi_syntax_error(p, "TABLE, VIEW, FUNCTION or PROCEDURE");
    if (kdi_accept(p, KW_SEQUENCE))
        return create_sequence(p, words, out);
    if (words->persistence != KD_AST_PERMANENT)
        return kdi_syntax_error(p, "TABLE, VIEW or SEQUENCE");
    if (kdi_accept(p, KW_INDEX))
        return create_index(p, words, false, out);
    if (kdi_accept_two(p, KW_UNIQUE, KW_INDEX))
        return create_index(p, words, true, out);
    if (kdi_accept(p, KW_SCHEMA))
        return create_schema(p, words, out);
    if (kdi_accept(p, KW_TYPE))
        return kdi_create_type(p, words->position, out);
    if (kdi_accept(p, KW_DOMAIN))
        return create_domain(p, words, out);
    if (kdi_accept(p, KW_EXTENSION))
        return create_extension(p, words, out);
    if (kdi_at(p, KW_ROLE) || kdi_at(p, KW_USER) || kdi_at(p, KW_GROUP))
        return kdi_role_statement(p, false, words->position, out);
    if (kdi_at(p, KW_TRIGGER) || kdi_at(p, KW_AGGREGATE) || kdi_at(p, KW_OPERATOR) ||
        kdi_at(p, KW_RULE) || kdi_at(p, KW_POLICY) || kdi_at(p, KW_DATABASE) ||
        kdi_at(p, KW_CAST) || kdi_at(p, KW_COLLATION) || kdi_at(p, KW_STATISTICS) ||
        kdi_at(p, KW_PUBLICATION) || kdi_at(p, KW_SUBSCRIPTION) || kdi_at(p, KW_TABLESPACE) ||
        kdi_at(p, KW_LANGUAGE))
        return kdi_unsupported(p, p->token.position, "CREATE of this kind of object");
    return kdi_syntax_error(p, "TABLE, INDEX, VIEW, SCHEMA, SEQUENCE, TYPE, ...");
}

kd_status kdi_create(kd_parser *p, kd_ast_node **out)
{
    create_words words = {.position = p->token.position};
    kdi_advance(p);
    if (kdi_accept(p, KW_OR)) {
        KD_TRY(kdi_expect(p, KW_REPLACE));
        words.or_replace = true;
    }
    if (kdi_at(p, KW_LOCAL) || kdi_at(p, KW_GLOBAL))
        kdi_advance(p);
    if (kdi_accept(p, KW_TEMPORARY) || kdi_accept(p, KW_TEMP))
        words.persistence = KD_AST_TEMPORARY;
    else if (kdi_accept(p, KW_UNLOGGED))
        words.persistence = KD_AST_UNLOGGED;
    if (!kdi_at(p, KW_TABLE))
        return create_other(p, &words, out);
    kd_ast_create_table *table =
        KDI_NODE_AT(p, KD_AST_CREATE_TABLE, kd_ast_create_table, words.position);
    if (table == NULL)
        return KD_NOMEM;
    table->or_replace = words.or_replace;
    table->persistence = words.persistence;
    return kdi_parse_create_table(p, table, out);
}
