/*
 * COPY, EXPLAIN, DESCRIBE, VACUUM, LOCK and the other statements that manage.
 */
#include "sql/parser_internal.h"

/* ---- COPY ---- */

static kd_status copy_string(kd_parser *p, kd_ast_list *list, const char *name)
{
    (void)kdi_accept(p, KW_AS);
    int32_t position = p->token.position;
    kd_slice text;
    KD_TRY(kdi_string(p, &text));
    kd_ast_node *value = kdi_string_constant(p, text, position);
    return value == NULL ? KD_NOMEM : kdi_push_option(p, list, name, value);
}

/* FORCE QUOTE and the like: * or a list of columns. */
static kd_status copy_columns(kd_parser *p, kd_ast_list *list, const char *name)
{
    if (kdi_at_token(p, '*')) {
        kd_ast_star *star = KDI_NODE(p, KD_AST_STAR, kd_ast_star);
        if (star == NULL)
            return KD_NOMEM;
        kdi_advance(p);
        return kdi_push_option(p, list, name, &star->node);
    }
    kd_ast_args *row = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (row == NULL)
        return KD_NOMEM;
    do {
        kd_ast_column *column = KDI_NODE(p, KD_AST_COLUMN, kd_ast_column);
        size_t capacity = 0;
        kd_slice *part;
        if (column == NULL)
            return KD_NOMEM;
        KD_TRY(KD_PUSH(p->ctx, p->arena, column->parts, column->part_count, capacity, &part));
        KD_TRY(kdi_name(p, part));
        kdi_finish(p, &column->node);
        KD_TRY(kdi_push(p, &row->args, &column->node));
    } while (kdi_accept_token(p, ','));
    kdi_finish(p, &row->node);
    return kdi_push_option(p, list, name, &row->node);
}

static kd_status copy_format(kd_parser *p, kd_ast_list *list, const char *format)
{
    kd_ast_node *value = kdi_string_constant(p, kd_slice_of(format), p->previous.position);
    return value == NULL ? KD_NOMEM : kdi_push_option(p, list, "format", value);
}

static kd_status old_copy_option(kd_parser *p, kd_ast_list *list, bool *out_found)
{
    *out_found = true;
    if (kdi_accept(p, KW_BINARY))
        return copy_format(p, list, "binary");
    if (kdi_accept(p, KW_CSV))
        return copy_format(p, list, "csv");
    if (kdi_accept(p, KW_FREEZE))
        return kdi_push_flag(p, list, "freeze", true);
    if (kdi_accept(p, KW_HEADER))
        return kdi_push_flag(p, list, "header", true);
    if (kdi_accept(p, KW_DELIMITER))
        return copy_string(p, list, "delimiter");
    if (kdi_accept(p, KW_NULL))
        return copy_string(p, list, "null");
    if (kdi_accept(p, KW_QUOTE))
        return copy_string(p, list, "quote");
    if (kdi_accept(p, KW_ESCAPE))
        return copy_string(p, list, "escape");
    if (kdi_accept(p, KW_ENCODING))
        return copy_string(p, list, "encoding");
    if (kdi_accept_two(p, KW_FORCE, KW_QUOTE))
        return copy_columns(p, list, "force_quote");
    if (kdi_accept_two(p, KW_FORCE, KW_NULL))
        return copy_columns(p, list, "force_null");
    if (kdi_accept_two(p, KW_FORCE, KW_NOT)) {
        KD_TRY(kdi_expect(p, KW_NULL));
        return copy_columns(p, list, "force_not_null");
    }
    *out_found = false;
    return KD_OK;
}

static kd_status copy_options(kd_parser *p, kd_ast_list *list)
{
    if (kdi_accept(p, KW_USING)) {
        KD_TRY(kdi_expect(p, KW_DELIMITERS));
        KD_TRY(copy_string(p, list, "delimiter"));
    }
    (void)kdi_accept(p, KW_WITH);
    if (kdi_at_token(p, '('))
        return kdi_option_parens(p, list);
    bool found;
    do {
        KD_TRY(old_copy_option(p, list, &found));
    } while (found);
    return KD_OK;
}

static kd_status copy_source(kd_parser *p, kd_ast_copy *node)
{
    if (kdi_accept_token(p, '(')) {
        KD_TRY(kdi_preparable(p, &node->query));
        KD_TRY(kdi_refuse_into(p, node->query, "0A000", "COPY (SELECT INTO) is not supported"));
        return kdi_expect_token(p, ')');
    }
    if (kdi_accept(p, KW_BINARY))
        KD_TRY(copy_format(p, &node->options, "binary"));
    KD_TRY(kdi_qualified_name(p, &node->table));
    return kdi_optional_name_parens(p, &node->columns);
}

kd_status kdi_parse_copy(kd_parser *p, kd_ast_node **out)
{
    kd_ast_copy *node = KDI_NODE(p, KD_AST_COPY, kd_ast_copy);
    if (node == NULL)
        return KD_NOMEM;
    node->table = kdi_no_name();
    kdi_advance(p);
    KD_TRY(copy_source(p, node));
    node->is_from = kdi_at(p, KW_FROM) && node->query == NULL;
    if (node->is_from)
        kdi_advance(p);
    else
        KD_TRY(kdi_expect(p, KW_TO));
    node->is_program = kdi_accept(p, KW_PROGRAM);
    node->is_standard = !node->is_program && (kdi_accept(p, KW_STDIN) || kdi_accept(p, KW_STDOUT));
    if (!node->is_standard)
        KD_TRY(kdi_string(p, &node->file));
    KD_TRY(copy_options(p, &node->options));
    int32_t position = p->token.position;
    KD_TRY(kdi_where(p, &node->where));
    if (node->where != NULL && !node->is_from)
        return kdi_fail_at(p, "42601", position, "WHERE clause not allowed with COPY TO");
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- EXPLAIN, DESCRIBE ---- */

static kd_status explainable(kd_parser *p, kd_ast_node **out)
{
    switch (p->token.keyword) {
    case KW_DECLARE:
        return kdi_declare(p, out);
    case KW_CREATE:
        return kdi_create(p, out);
    case KW_REFRESH:
        return kdi_parse_refresh(p, out);
    case KW_EXECUTE:
        return kdi_execute(p, out);
    default:
        return kdi_preparable(p, out);
    }
}

kd_status kdi_parse_explain(kd_parser *p, kd_ast_node **out)
{
    kd_ast_explain *node = KDI_NODE(p, KD_AST_EXPLAIN, kd_ast_explain);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    /* `(` begins options, unless a query or another `(` follows. */
    const kdi_token *next = kdi_peek(p, 1);
    bool has_options = kdi_at_token(p, '(') && kdi_is_label(next) && next->keyword != KW_SELECT &&
                       next->keyword != KW_WITH && next->keyword != KW_FROM &&
                       next->keyword != KW_TABLE && next->keyword != KW_VALUES;
    if (has_options) {
        KD_TRY(kdi_option_parens(p, &node->options));
    } else {
        if (kdi_accept(p, KW_ANALYZE) || kdi_accept(p, KW_ANALYSE))
            KD_TRY(kdi_push_flag(p, &node->options, "analyze", true));
        if (kdi_accept(p, KW_VERBOSE))
            KD_TRY(kdi_push_flag(p, &node->options, "verbose", true));
    }
    KD_TRY(explainable(p, &node->statement));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_parse_describe(kd_parser *p, kd_ast_node **out)
{
    kd_ast_describe *node = KDI_NODE(p, KD_AST_DESCRIBE, kd_ast_describe);
    if (node == NULL)
        return KD_NOMEM;
    node->is_summarize = kdi_at_word(p, "summarize");
    node->table = kdi_no_name();
    kdi_advance(p);
    bool is_alone = kdi_at_token(p, ';') || kdi_at_token(p, TOKEN_END);
    if (kdi_at(p, KW_TABLE))
        kdi_advance(p); /* DESCRIBE TABLE t */
    if (kdi_at_query(p) || kdi_at_token(p, '('))
        KD_TRY(kdi_query(p, &node->query));
    else if (!is_alone || node->is_summarize)
        KD_TRY(kdi_qualified_name(p, &node->table));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- VACUUM, ANALYZE ---- */

static kd_status vacuum_flags(kd_parser *p, kd_ast_vacuum *node)
{
    if (kdi_at_token(p, '('))
        return kdi_option_parens(p, &node->options);
    if (!node->is_analyze && kdi_accept(p, KW_FULL))
        KD_TRY(kdi_push_flag(p, &node->options, "full", true));
    if (!node->is_analyze && kdi_accept(p, KW_FREEZE))
        KD_TRY(kdi_push_flag(p, &node->options, "freeze", true));
    if (kdi_accept(p, KW_VERBOSE))
        KD_TRY(kdi_push_flag(p, &node->options, "verbose", true));
    if (!node->is_analyze && (kdi_accept(p, KW_ANALYZE) || kdi_accept(p, KW_ANALYSE)))
        KD_TRY(kdi_push_flag(p, &node->options, "analyze", true));
    return KD_OK;
}

kd_status kdi_vacuum(kd_parser *p, kd_ast_node **out)
{
    kd_ast_vacuum *node = KDI_NODE(p, KD_AST_VACUUM, kd_ast_vacuum);
    if (node == NULL)
        return KD_NOMEM;
    node->is_analyze = !kdi_at(p, KW_VACUUM);
    kdi_advance(p);
    KD_TRY(vacuum_flags(p, node));
    if (kdi_is_name(&p->token)) {
        do {
            kd_ast_vacuum_item *item;
            KD_TRY(KD_PUSH(p->ctx, p->arena, node->items, node->item_count, node->item_capacity,
                           &item));
            KD_TRY(kdi_qualified_name(p, &item->table));
            KD_TRY(kdi_optional_name_parens(p, &item->columns));
        } while (kdi_accept_token(p, ','));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- The rest ---- */

static kd_status lock_mode(kd_parser *p, kd_slice *out_mode)
{
    if (kdi_accept(p, KW_ACCESS)) {
        *out_mode = kdi_at(p, KW_SHARE) ? KD_SLICE("access share") : KD_SLICE("access exclusive");
        return kdi_accept(p, KW_SHARE) ? KD_OK : kdi_expect(p, KW_EXCLUSIVE);
    }
    if (kdi_accept(p, KW_ROW)) {
        *out_mode = kdi_at(p, KW_SHARE) ? KD_SLICE("row share") : KD_SLICE("row exclusive");
        return kdi_accept(p, KW_SHARE) ? KD_OK : kdi_expect(p, KW_EXCLUSIVE);
    }
    if (kdi_accept(p, KW_EXCLUSIVE)) {
        *out_mode = KD_SLICE("exclusive");
        return KD_OK;
    }
    KD_TRY(kdi_expect(p, KW_SHARE));
    *out_mode = KD_SLICE("share");
    if (kdi_accept(p, KW_UPDATE)) {
        *out_mode = KD_SLICE("share update exclusive");
        return kdi_expect(p, KW_EXCLUSIVE);
    }
    if (kdi_accept(p, KW_ROW)) {
        *out_mode = KD_SLICE("share row exclusive");
        return kdi_expect(p, KW_EXCLUSIVE);
    }
    return KD_OK;
}

kd_status kdi_lock(kd_parser *p, kd_ast_node **out)
{
    kd_ast_lock *node = KDI_NODE(p, KD_AST_LOCK, kd_ast_lock);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    (void)kdi_accept(p, KW_TABLE);
    do {
        kd_ast_table_ref *table;
        KD_TRY(kdi_relation(p, &table));
        KD_TRY(kdi_push(p, &node->tables, &table->node));
    } while (kdi_accept_token(p, ','));
    node->mode = KD_SLICE("access exclusive");
    if (kdi_accept(p, KW_IN)) {
        KD_TRY(lock_mode(p, &node->mode));
        KD_TRY(kdi_expect(p, KW_MODE));
    }
    node->nowait = kdi_accept(p, KW_NOWAIT);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_discard(kd_parser *p, kd_ast_node **out)
{
    kd_ast_discard *node = KDI_NODE(p, KD_AST_DISCARD, kd_ast_discard);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    node->what = kdi_at(p, KW_TEMPORARY) ? KD_SLICE("temp") : p->token.text;
    bool is_known = kdi_accept(p, KW_ALL) || kdi_accept(p, KW_PLANS) ||
                    kdi_accept(p, KW_SEQUENCES) || kdi_accept(p, KW_TEMP) ||
                    kdi_accept(p, KW_TEMPORARY);
    if (!is_known)
        return kdi_syntax_error(p, "ALL, PLANS, SEQUENCES or TEMP");
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_call_procedure(kd_parser *p, kd_ast_node **out)
{
    kd_ast_call_procedure *node = KDI_NODE(p, KD_AST_CALL_PROCEDURE, kd_ast_call_procedure);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    kd_ast_node *call;
    KD_TRY(kdi_primary(p, &call));
    if (call->kind != KD_AST_CALL || ((kd_ast_call *)call)->over != NULL)
        return kdi_syntax_error(p, "\"(\"");
    node->call = (kd_ast_call *)call;
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_do(kd_parser *p, kd_ast_node **out)
{
    kd_ast_do *node = KDI_NODE(p, KD_AST_DO, kd_ast_do);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    do {
        if (kdi_accept(p, KW_LANGUAGE))
            KD_TRY(kdi_word_or_string(p, &node->language));
        else
            KD_TRY(kdi_string(p, &node->code));
    } while (kdi_at(p, KW_LANGUAGE) || kdi_at_token(p, TOKEN_STRING));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_reindex(kd_parser *p, kd_ast_node **out)
{
    kd_ast_reindex *node = KDI_NODE(p, KD_AST_REINDEX, kd_ast_reindex);
    if (node == NULL)
        return KD_NOMEM;
    node->name = kdi_no_name();
    kdi_advance(p);
    if (kdi_at_token(p, '('))
        KD_TRY(kdi_option_parens(p, &node->options));
    node->object = p->token.text;
    bool is_known = kdi_accept(p, KW_TABLE) || kdi_accept(p, KW_INDEX) ||
                    kdi_accept(p, KW_SCHEMA) || kdi_accept(p, KW_DATABASE) ||
                    kdi_accept(p, KW_SYSTEM);
    if (!is_known)
        return kdi_syntax_error(p, "TABLE, INDEX, SCHEMA or DATABASE");
    node->concurrently = kdi_accept(p, KW_CONCURRENTLY);
    KD_TRY(kdi_qualified_name(p, &node->name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_cluster(kd_parser *p, kd_ast_node **out)
{
    kd_ast_cluster *node = KDI_NODE(p, KD_AST_CLUSTER, kd_ast_cluster);
    if (node == NULL)
        return KD_NOMEM;
    node->table = kdi_no_name();
    kdi_advance(p);
    if (kdi_at_token(p, '('))
        KD_TRY(kdi_option_parens(p, &node->options));
    else if (kdi_accept(p, KW_VERBOSE))
        KD_TRY(kdi_push_flag(p, &node->options, "verbose", true));
    if (kdi_is_name(&p->token)) {
        KD_TRY(kdi_qualified_name(p, &node->table));
        if (kdi_accept(p, KW_USING)) {
            KD_TRY(kdi_name(p, &node->index));
        } else if (kdi_accept(p, KW_ON)) {
            node->index = node->table.name; /* CLUSTER index ON table */
            KD_TRY(kdi_qualified_name(p, &node->table));
        }
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_parse_refresh(kd_parser *p, kd_ast_node **out)
{
    kd_ast_refresh *node = KDI_NODE(p, KD_AST_REFRESH, kd_ast_refresh);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_MATERIALIZED));
    KD_TRY(kdi_expect(p, KW_VIEW));
    node->concurrently = kdi_accept(p, KW_CONCURRENTLY);
    KD_TRY(kdi_qualified_name(p, &node->name));
    if (kdi_accept(p, KW_WITH)) {
        node->with_no_data = kdi_accept(p, KW_NO);
        KD_TRY(kdi_expect(p, KW_DATA));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
