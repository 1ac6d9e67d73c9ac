/*
 * Which statement it is.
 */
#include "sql/parser_internal.h"

typedef struct statement_word {
    kdi_keyword word;
    kd_status (*parse)(kd_parser *p, kd_ast_node **out);
} statement_word;

static kd_status checkpoint(kd_parser *p, kd_ast_node **out)
{
    kd_ast_node *node = KDI_NODE(p, KD_AST_CHECKPOINT, kd_ast_node);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    kdi_finish(p, node);
    *out = node;
    return KD_OK;
}

/* Queries first: they are the most common. */
static const statement_word statement_words[] = {
    {KW_SELECT, kdi_preparable},
    {KW_INSERT, kdi_preparable},
    {KW_UPDATE, kdi_preparable},
    {KW_DELETE, kdi_preparable},
    {KW_WITH, kdi_preparable},
    {KW_VALUES, kdi_preparable},
    {KW_TABLE, kdi_preparable},
    {KW_FROM, kdi_preparable},
    {KW_MERGE, kdi_preparable},
    {KW_BEGIN, kdi_transaction},
    {KW_COMMIT, kdi_transaction},
    {KW_ROLLBACK, kdi_transaction},
    {KW_START, kdi_transaction},
    {KW_END, kdi_transaction},
    {KW_ABORT, kdi_transaction},
    {KW_SAVEPOINT, kdi_transaction},
    {KW_RELEASE, kdi_transaction},
    {KW_SET, kdi_set},
    {KW_RESET, kdi_reset},
    {KW_SHOW, kdi_show},
    {KW_CREATE, kdi_create},
    {KW_ALTER, kdi_alter},
    {KW_DROP, kdi_parse_drop},
    {KW_TRUNCATE, kdi_parse_truncate},
    {KW_COMMENT, kdi_parse_comment},
    {KW_PREPARE, kdi_prepare},
    {KW_EXECUTE, kdi_execute},
    {KW_DEALLOCATE, kdi_deallocate},
    {KW_DECLARE, kdi_declare},
    {KW_FETCH, kdi_fetch},
    {KW_MOVE, kdi_fetch},
    {KW_CLOSE, kdi_close},
    {KW_COPY, kdi_parse_copy},
    {KW_EXPLAIN, kdi_parse_explain},
    {KW_ANALYZE, kdi_vacuum},
    {KW_ANALYSE, kdi_vacuum},
    {KW_VACUUM, kdi_vacuum},
    {KW_CHECKPOINT, checkpoint},
    {KW_LOCK, kdi_lock},
    {KW_DISCARD, kdi_discard},
    {KW_CALL, kdi_call_procedure},
    {KW_DO, kdi_do},
    {KW_GRANT, kdi_grant},
    {KW_REVOKE, kdi_grant},
    {KW_REASSIGN, kdi_reassign_owned},
    {KW_LISTEN, kdi_notify},
    {KW_NOTIFY, kdi_notify},
    {KW_UNLISTEN, kdi_notify},
    {KW_REINDEX, kdi_reindex},
    {KW_CLUSTER, kdi_cluster},
    {KW_REFRESH, kdi_parse_refresh},
};

/* The INTO of a query, which stands in its first SELECT; NULL: none. */
static const kd_ast_into *query_into(const kd_ast_node *query)
{
    while (query->kind == KD_AST_SETOP)
        query = ((const kd_ast_setop *)query)->left;
    if (query->kind != KD_AST_SELECT)
        return NULL;
    const kd_ast_into *into = &((const kd_ast_select *)query)->into;
    return into->name.position < 0 ? NULL : into;
}

kd_status kdi_refuse_into(kd_parser *p, const kd_ast_node *query, const char *sqlstate,
                          const char *message)
{
    const kd_ast_into *into = query_into(query);
    return into == NULL ? KD_OK : kdi_fail_at(p, sqlstate, into->name.position, message);
}

/* SELECT ... INTO t is CREATE TABLE AS. */
static kd_status lift_into(kd_parser *p, kd_ast_node **io_statement)
{
    const kd_ast_into *into = query_into(*io_statement);
    if (into == NULL)
        return KD_OK;
    kd_ast_create_table_as *node =
        KDI_NODE_AT(p, KD_AST_CREATE_TABLE_AS, kd_ast_create_table_as, (*io_statement)->position);
    if (node == NULL)
        return KD_NOMEM;
    node->name = into->name;
    node->persistence = into->temporary  ? KD_AST_TEMPORARY
                        : into->unlogged ? KD_AST_UNLOGGED
                                         : KD_AST_PERMANENT;
    node->query = *io_statement;
    node->into_begin = into->begin;
    node->into_end = into->end;
    kdi_finish(p, &node->node);
    *io_statement = &node->node;
    return KD_OK;
}

kd_status kdi_statement(kd_parser *p, kd_ast_node **out_statement)
{
    *out_statement = NULL;
    if (kdi_at_token(p, '('))
        return kdi_preparable(p, out_statement);
    for (size_t i = 0; i < sizeof statement_words / sizeof *statement_words; i++) {
        if (!kdi_at(p, statement_words[i].word))
            continue;
        KD_TRY(statement_words[i].parse(p, out_statement));
        return kd_ast_is_query(*out_statement) ? lift_into(p, out_statement) : KD_OK;
    }
    if (kdi_at_pivot_query(p))
        return kdi_preparable(p, out_statement);
    if (kdi_at_word(p, "describe") || kdi_at_word(p, "summarize"))
        return kdi_parse_describe(p, out_statement);
    return kdi_syntax_error(p, "a statement");
}
