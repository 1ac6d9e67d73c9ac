/*
 * FROM: tables, functions, sub-queries, joins, aliases.
 */
#include "sql/parser_internal.h"

static kd_status joined(kd_parser *p, int32_t start, kd_ast_node **io_item);

/* ---- Aliases ---- */

/* asof, semi, ... name a kind of join where JOIN (or the join's side) follows. */
static bool at_join_word(kd_parser *p)
{
    bool is_word = kdi_at_word(p, "asof") || kdi_at_word(p, "semi") || kdi_at_word(p, "anti") ||
                   kdi_at_word(p, "positional");
    if (!is_word)
        return false;
    uint16_t next = kdi_peek(p, 1)->keyword;
    return next == KW_JOIN || (kdi_at_word(p, "asof") && (next == KW_LEFT || next == KW_RIGHT ||
                                                          next == KW_FULL || next == KW_INNER));
}

static bool at_bare_alias(kd_parser *p)
{
    return kdi_is_name(&p->token) && !kdi_at_qualify(p) && !at_join_word(p) &&
           !kdi_at_json_format(p);
}

static kd_status alias_column_def(kd_parser *p, kd_slice name, int32_t position, kd_ast_list *list)
{
    kd_ast_column_def *column = KDI_NODE_AT(p, KD_AST_COLUMN_DEF, kd_ast_column_def, position);
    if (column == NULL)
        return KD_NOMEM;
    column->name = name;
    column->has_type = true;
    column->collation = kdi_no_name();
    KD_TRY(kdi_type(p, &column->type));
    if (kdi_accept(p, KW_COLLATE))
        KD_TRY(kdi_qualified_name(p, &column->collation));
    kdi_finish(p, &column->node);
    return kdi_push(p, list, &column->node);
}

/* (a, b) or (a int, b text): the first item tells which. */
static kd_status alias_columns(kd_parser *p, kd_ast_names *names, kd_ast_list *defs)
{
    KD_TRY(kdi_expect_token(p, '('));
    bool is_first = true;
    bool has_types = names == NULL;
    do {
        int32_t position = p->token.position;
        kd_slice name;
        KD_TRY(kdi_name(p, &name));
        if (is_first && !kdi_at_token(p, ',') && !kdi_at_token(p, ')'))
            has_types = defs != NULL;
        is_first = false;
        if (has_types)
            KD_TRY(alias_column_def(p, name, position, defs));
        else
            KD_TRY(kdi_push_name(p, names, name));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

static kd_status alias_clause(kd_parser *p, bool may_have_types, kd_ast_alias *alias)
{
    kd_ast_list *defs = may_have_types ? &alias->column_defs : NULL;
    bool has_as = kdi_accept(p, KW_AS);
    if (has_as && may_have_types && kdi_at_token(p, '('))
        return alias_columns(p, NULL, defs);
    if (!has_as && !at_bare_alias(p))
        return KD_OK;
    KD_TRY(kdi_name(p, &alias->name));
    return kdi_at_token(p, '(') ? alias_columns(p, &alias->columns, defs) : KD_OK;
}

/* ---- Tables ---- */

static kd_status new_table_ref(kd_parser *p, kd_ast_table_ref **out_table)
{
    *out_table = KDI_NODE(p, KD_AST_TABLE_REF, kd_ast_table_ref);
    if (*out_table == NULL)
        return KD_NOMEM;
    (*out_table)->sample.method = kdi_no_name();
    return KD_OK;
}

kd_status kdi_relation(kd_parser *p, kd_ast_table_ref **out_table)
{
    *out_table = NULL;
    kd_ast_table_ref *table;
    KD_TRY(new_table_ref(p, &table));
    table->only = kdi_accept(p, KW_ONLY);
    bool has_parens = table->only && kdi_accept_token(p, '(');
    KD_TRY(kdi_qualified_name(p, &table->name));
    if (has_parens)
        KD_TRY(kdi_expect_token(p, ')'));
    else if (!table->only)
        (void)kdi_accept_token(p, '*');
    kdi_finish(p, &table->node);
    *out_table = table;
    return KD_OK;
}

static kd_status tablesample(kd_parser *p, kd_ast_sample *sample)
{
    if (!kdi_accept(p, KW_TABLESAMPLE))
        return KD_OK;
    sample->method.position = p->token.position;
    if (!kdi_is_function_name(&p->token))
        return kdi_syntax_error(p, "a sampling method");
    KD_TRY(kdi_label(p, &sample->method.name));
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr_list(p, &sample->args));
    KD_TRY(kdi_expect_token(p, ')'));
    if (kdi_accept(p, KW_REPEATABLE)) {
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(kdi_expr(p, &sample->seed));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    return KD_OK;
}

static kd_status sample_size(kd_parser *p, kd_ast_sample *sample)
{
    if (!kdi_at_token(p, TOKEN_INTEGER) && !kdi_at_token(p, TOKEN_DECIMAL))
        return kdi_syntax_error(p, "a number of rows or percent");
    KD_TRY(kdi_primary(p, &sample->size));
    sample->is_percent = kdi_accept_token(p, '%') || kdi_accept_word(p, "percent");
    if (!sample->is_percent)
        (void)kdi_accept(p, KW_ROWS);
    return KD_OK;
}

/* USING SAMPLE 10%, USING SAMPLE 5 ROWS, USING SAMPLE 10% (system, 42),
 * USING SAMPLE reservoir(50 ROWS) REPEATABLE (42). */
kd_status kdi_using_sample(kd_parser *p, kd_ast_sample *sample)
{
    if (!kdi_at(p, KW_USING) || kdi_peek(p, 1)->kind != TOKEN_IDENT)
        return KD_OK;
    kdi_advance(p);
    sample->method.position = p->token.position;
    if (!kdi_accept_word(p, "sample"))
        return kdi_syntax_error(p, "SAMPLE");
    if (kdi_at_token(p, TOKEN_IDENT) || p->token.keyword != 0) {
        KD_TRY(kdi_label(p, &sample->method.name));
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(sample_size(p, sample));
        KD_TRY(kdi_expect_token(p, ')'));
    } else {
        KD_TRY(sample_size(p, sample));
        if (kdi_accept_token(p, '(')) {
            KD_TRY(kdi_label(p, &sample->method.name));
            if (kdi_accept_token(p, ','))
                KD_TRY(kdi_expr(p, &sample->seed));
            KD_TRY(kdi_expect_token(p, ')'));
        }
    }
    if (!kdi_accept(p, KW_REPEATABLE))
        return KD_OK;
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr(p, &sample->seed));
    return kdi_expect_token(p, ')');
}

/* A file: FROM 'data.csv'. */
static kd_status file_item(kd_parser *p, kd_ast_node **out_item)
{
    kd_ast_table_ref *table;
    KD_TRY(new_table_ref(p, &table));
    table->is_file = true;
    table->name = (kd_ast_name){.position = p->token.position, .end = p->token.end};
    KD_TRY(kdi_string(p, &table->name.name));
    KD_TRY(alias_clause(p, false, &table->alias));
    kdi_finish(p, &table->node);
    *out_item = &table->node;
    return KD_OK;
}

/* t PIVOT (...) AS x is a query of its own. */
static kd_status pivoted(kd_parser *p, int32_t start, kd_ast_node **io_item)
{
    while (kdi_at_pivot_suffix(p)) {
        kd_ast_node *query;
        KD_TRY(kdi_pivot_suffix(p, start, *io_item, &query));
        kd_ast_table_query *item = KDI_NODE_AT(p, KD_AST_TABLE_QUERY, kd_ast_table_query, start);
        if (item == NULL)
            return KD_NOMEM;
        item->query = query;
        if (!kdi_at_pivot_suffix(p))
            KD_TRY(alias_clause(p, false, &item->alias));
        kdi_finish(p, &item->node);
        *io_item = &item->node;
    }
    return KD_OK;
}

static kd_status table_item(kd_parser *p, kd_ast_node **out_item)
{
    kd_ast_table_ref *table;
    KD_TRY(kdi_relation(p, &table));
    if (!kdi_at_pivot_suffix(p))
        KD_TRY(alias_clause(p, false, &table->alias));
    KD_TRY(tablesample(p, &table->sample));
    kdi_finish(p, &table->node);
    *out_item = &table->node;
    return pivoted(p, table->node.position, out_item);
}

static kd_status query_item(kd_parser *p, kd_ast_node *query, int32_t start, bool lateral,
                            kd_ast_node **out_item)
{
    kd_ast_table_query *item = KDI_NODE_AT(p, KD_AST_TABLE_QUERY, kd_ast_table_query, start);
    if (item == NULL)
        return KD_NOMEM;
    item->query = query;
    item->lateral = lateral;
    if (!kdi_at_pivot_suffix(p))
        KD_TRY(alias_clause(p, false, &item->alias));
    kdi_finish(p, &item->node);
    *out_item = &item->node;
    return pivoted(p, start, out_item);
}

static kd_status json_item(kd_parser *p, kd_ast_node **out_item)
{
    kd_ast_table_query *item;
    KD_TRY(kdi_json_table(p, &item));
    KD_TRY(alias_clause(p, false, &item->alias));
    kdi_finish(p, &item->node);
    *out_item = &item->node;
    return KD_OK;
}

/* ---- Functions ---- */

static kd_status call_tail(kd_parser *p, kd_ast_table_call *item, kd_ast_node **out_item)
{
    if (kdi_at(p, KW_WITH) && kdi_next_is(p, KW_ORDINALITY)) {
        kdi_advance(p);
        kdi_advance(p);
        item->ordinality = true;
    }
    KD_TRY(alias_clause(p, true, &item->alias));
    kdi_finish(p, &item->node);
    *out_item = &item->node;
    return KD_OK;
}

/* FILTER, WITHIN GROUP and OVER are for values. */
static kd_status add_call(kd_parser *p, kd_ast_table_call *item, kd_ast_node *node)
{
    const kd_ast_call *call = (const kd_ast_call *)node;
    if (node->kind == KD_AST_CALL &&
        (call->over != NULL || call->filter != NULL || call->within_group.count > 0))
        return kdi_syntax_error(p, NULL);
    return kdi_push(p, &item->calls, node);
}

static kd_status rows_from(kd_parser *p, bool lateral, int32_t start, kd_ast_node **out_item)
{
    kd_ast_table_call *item = KDI_NODE_AT(p, KD_AST_TABLE_CALL, kd_ast_table_call, start);
    if (item == NULL)
        return KD_NOMEM;
    item->rows_from = true;
    item->lateral = lateral;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_FROM));
    KD_TRY(kdi_expect_token(p, '('));
    size_t def_capacity = 0;
    do {
        kd_ast_node *call;
        kd_ast_list *defs;
        size_t count = item->calls.count;
        KD_TRY(kdi_primary(p, &call));
        KD_TRY(KD_PUSH(p->ctx, p->arena, item->call_column_defs, count, def_capacity, &defs));
        KD_TRY(add_call(p, item, call));
        if (kdi_accept(p, KW_AS))
            KD_TRY(alias_columns(p, NULL, defs));
    } while (kdi_accept_token(p, ','));
    KD_TRY(kdi_expect_token(p, ')'));
    return call_tail(p, item, out_item);
}

static kd_status call_item(kd_parser *p, bool lateral, int32_t start, kd_ast_node **out_item)
{
    kd_ast_table_call *item = KDI_NODE_AT(p, KD_AST_TABLE_CALL, kd_ast_table_call, start);
    if (item == NULL)
        return KD_NOMEM;
    item->lateral = lateral;
    kd_ast_node *call;
    KD_TRY(kdi_primary(p, &call));
    if (call->kind == KD_AST_COLUMN || call->kind == KD_AST_STAR || call->kind == KD_AST_CONSTANT ||
        call->kind == KD_AST_ROW)
        return kdi_syntax_error(p, "\"(\"");
    KD_TRY(add_call(p, item, call));
    return call_tail(p, item, out_item);
}

/* A table's name or a function's: only the token after the name tells. */
static kd_status named_item(kd_parser *p, bool lateral, int32_t start, kd_ast_node **out_item)
{
    if (!kdi_is_name(&p->token) || lateral || kdi_next_is_token(p, '('))
        return call_item(p, lateral, start, out_item);
    if (!kdi_next_is_token(p, '.'))
        return table_item(p, out_item);
    kd_ast_table_ref *table;
    KD_TRY(kdi_relation(p, &table));
    if (kdi_at_token(p, '(') && p->previous.kind != '*') {
        kd_ast_table_call *item = KDI_NODE_AT(p, KD_AST_TABLE_CALL, kd_ast_table_call, start);
        kd_ast_node *call;
        if (item == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_parse_call(p, table->name, &call));
        KD_TRY(add_call(p, item, call));
        return call_tail(p, item, out_item);
    }
    KD_TRY(alias_clause(p, false, &table->alias));
    KD_TRY(tablesample(p, &table->sample));
    kdi_finish(p, &table->node);
    *out_item = &table->node;
    return KD_OK;
}

/* ---- Parentheses: a query or a join ---- */

/* From `(` through `)`. Gives a query in `*out_query`, or a join in `*out_item`. */
static kd_status parens(kd_parser *p, kd_ast_node **out_query, kd_ast_node **out_item)
{
    *out_query = NULL;
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_expect_token(p, '('));
    int32_t start = p->token.position;
    if (kdi_at_query(p)) {
        KD_TRY(kdi_query(p, out_query));
    } else if (kdi_at_token(p, '(')) {
        kd_ast_node *query;
        kd_ast_node *item = NULL;
        KD_TRY(parens(p, &query, &item));
        if (query != NULL && (kdi_at_query_tail(p) || kdi_at_token(p, ')'))) {
            KD_TRY(kdi_query_after(p, start, query, out_query));
        } else {
            if (query != NULL)
                KD_TRY(query_item(p, query, start, false, &item));
            else if (item->kind == KD_AST_JOIN)
                KD_TRY(alias_clause(p, false, &((kd_ast_join *)item)->alias));
            KD_TRY(joined(p, start, &item));
            *out_item = item;
        }
    } else {
        KD_TRY(kdi_from_item(p, out_item));
    }
    if (*out_query == NULL && (*out_item)->kind != KD_AST_JOIN)
        return kdi_syntax_error(p, "a join or a query inside the parentheses");
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_leave(p);
    return KD_OK;
}

static kd_status parens_item(kd_parser *p, bool lateral, int32_t start, kd_ast_node **out_item)
{
    kd_ast_node *query;
    KD_TRY(parens(p, &query, out_item));
    if (query != NULL)
        return query_item(p, query, start, lateral, out_item);
    if (lateral)
        return kdi_syntax_error(p, "a query after LATERAL");
    kd_ast_join *join = (kd_ast_join *)*out_item;
    if (join->alias.name.size_bytes == 0)
        KD_TRY(alias_clause(p, false, &join->alias));
    join->node.position = start;
    kdi_finish(p, &join->node);
    return KD_OK;
}

static kd_status single_item(kd_parser *p, kd_ast_node **out_item)
{
    int32_t start = p->token.position;
    *out_item = NULL;
    bool lateral = kdi_accept(p, KW_LATERAL);
    if (kdi_at_token(p, '('))
        return parens_item(p, lateral, start, out_item);
    if (kdi_at(p, KW_ROWS) && kdi_next_is(p, KW_FROM))
        return rows_from(p, lateral, start, out_item);
    if (kdi_at_token(p, TOKEN_STRING) && !lateral)
        return file_item(p, out_item);
    if (kdi_at(p, KW_ONLY) && !lateral)
        return table_item(p, out_item);
    if (kdi_at_json_table(p))
        return json_item(p, out_item);
    if (kdi_at(p, KW_XMLTABLE) && kdi_next_is_token(p, '('))
        return kdi_unsupported(p, p->token.position, "XMLTABLE");
    if (!kdi_is_name(&p->token) && !kdi_begins_expr(&p->token) && !kdi_is_function_name(&p->token))
        return kdi_syntax_error(p, "a table, a function or a query");
    return named_item(p, lateral, start, out_item);
}

/* ---- Joins ---- */

typedef struct join_words {
    kd_ast_join_kind what;
    bool natural;
    bool asof;
    bool has_condition;
} join_words;

static bool at_join(kd_parser *p)
{
    switch (p->token.keyword) {
    case KW_JOIN:
    case KW_INNER:
    case KW_LEFT:
    case KW_RIGHT:
    case KW_FULL:
    case KW_CROSS:
    case KW_NATURAL:
        return true;
    default:
        return at_join_word(p);
    }
}

static kd_status read_join_words(kd_parser *p, join_words *words)
{
    *words = (join_words){.what = KD_AST_JOIN_INNER, .has_condition = true};
    if (kdi_accept(p, KW_CROSS)) {
        words->what = KD_AST_JOIN_CROSS;
        words->has_condition = false;
    } else if (kdi_accept_word(p, "positional")) {
        words->what = KD_AST_JOIN_POSITIONAL;
        words->has_condition = false;
    } else if (kdi_accept_word(p, "semi")) {
        words->what = KD_AST_JOIN_SEMI;
    } else if (kdi_accept_word(p, "anti")) {
        words->what = KD_AST_JOIN_ANTI;
    } else {
        words->natural = kdi_accept(p, KW_NATURAL);
        words->asof = !words->natural && kdi_accept_word(p, "asof");
        words->has_condition = !words->natural;
        if (kdi_at(p, KW_LEFT) || kdi_at(p, KW_RIGHT) || kdi_at(p, KW_FULL)) {
            words->what = kdi_at(p, KW_LEFT)    ? KD_AST_JOIN_LEFT
                          : kdi_at(p, KW_RIGHT) ? KD_AST_JOIN_RIGHT
                                                : KD_AST_JOIN_FULL;
            kdi_advance(p);
            (void)kdi_accept(p, KW_OUTER);
        } else {
            (void)kdi_accept(p, KW_INNER);
        }
    }
    return kdi_expect(p, KW_JOIN);
}

static kd_status join_condition(kd_parser *p, kd_ast_join *join)
{
    if (kdi_accept(p, KW_ON))
        return kdi_expr(p, &join->condition);
    if (!kdi_accept(p, KW_USING))
        return kdi_syntax_error(p, "ON or USING");
    KD_TRY(kdi_name_parens(p, &join->using_columns));
    return kdi_accept(p, KW_AS) ? kdi_name(p, &join->using_alias) : KD_OK;
}

/* Goes on after a first item with the joins that follow. The right side of a join that wants a
 * condition takes the joins before that condition. */
static kd_status joined(kd_parser *p, int32_t start, kd_ast_node **io_item)
{
    while (at_join(p)) {
        kd_ast_join *join = KDI_NODE_AT(p, KD_AST_JOIN, kd_ast_join, start);
        if (join == NULL)
            return KD_NOMEM;
        join->node.mark = p->token.position;
        join_words words;
        KD_TRY(read_join_words(p, &words));
        join->what = words.what;
        join->natural = words.natural;
        join->asof = words.asof;
        join->left = *io_item;
        if (words.has_condition) {
            KD_TRY(kdi_from_item(p, &join->right));
            KD_TRY(join_condition(p, join));
        } else {
            KD_TRY(single_item(p, &join->right));
        }
        kdi_finish(p, &join->node);
        *io_item = &join->node;
    }
    return KD_OK;
}

kd_status kdi_from_item(kd_parser *p, kd_ast_node **out_item)
{
    *out_item = NULL;
    int32_t start = p->token.position;
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(single_item(p, out_item));
    KD_TRY(joined(p, start, out_item));
    kdi_leave(p);
    return KD_OK;
}

kd_status kdi_from_list(kd_parser *p, kd_ast_list *list)
{
    do {
        kd_ast_node *item;
        KD_TRY(kdi_from_item(p, &item));
        KD_TRY(kdi_push(p, list, item));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}
