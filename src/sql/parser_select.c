/*
 * Queries: SELECT, VALUES, TABLE, set operations, WITH, and their tails.
 */
#include "sql/parser_internal.h"

bool kdi_at_query(kd_parser *p)
{
    switch (p->token.keyword) {
    case KW_SELECT:
    case KW_TABLE:
    case KW_WITH:
    case KW_FROM:
        return true;
    case KW_VALUES:
        return kdi_next_is_token(p, '(');
    default:
        return kdi_at_pivot_query(p);
    }
}

bool kdi_at_query_tail(kd_parser *p)
{
    switch (p->token.keyword) {
    case KW_UNION:
    case KW_INTERSECT:
    case KW_EXCEPT:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_OFFSET:
    case KW_FETCH:
    case KW_FOR:
        return true;
    default:
        return false;
    }
}

/* `qualify` is no reserved word: it is the clause where an expression follows it. */
bool kdi_at_qualify(kd_parser *p)
{
    if (!kdi_at_word(p, "qualify"))
        return false;
    const kdi_token *next = kdi_peek(p, 1);
    return kdi_begins_expr(next) && next->keyword != KW_SET;
}

kd_status kdi_where(kd_parser *p, kd_ast_node **out_where)
{
    return kdi_accept(p, KW_WHERE) ? kdi_expr(p, out_where) : KD_OK;
}

/* ---- Targets ---- */

static kd_status replace_item(kd_parser *p, kd_ast_list *list)
{
    kd_ast_target *target = KDI_NODE(p, KD_AST_TARGET, kd_ast_target);
    if (target == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expr(p, &target->value));
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_label(p, &target->alias));
    kdi_finish(p, &target->node);
    return kdi_push(p, list, &target->node);
}

/* RENAME (a AS b) */
static kd_status rename_item(kd_parser *p, kd_ast_list *list)
{
    kd_ast_target *target = KDI_NODE(p, KD_AST_TARGET, kd_ast_target);
    kd_slice name;
    if (target == NULL)
        return KD_NOMEM;
    int32_t position = p->token.position;
    KD_TRY(kdi_name(p, &name));
    target->value = kdi_string_constant(p, name, position);
    if (target->value == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_label(p, &target->alias));
    kdi_finish(p, &target->node);
    return kdi_push(p, list, &target->node);
}

kd_status kdi_star_rest(kd_parser *p, kd_ast_star *star)
{
    if (kdi_at(p, KW_EXCLUDE) && (kdi_next_is_token(p, '(') || kdi_is_name(kdi_peek(p, 1)))) {
        kdi_advance(p);
        if (kdi_at_token(p, '(')) {
            KD_TRY(kdi_name_parens(p, &star->exclude));
        } else {
            kd_slice name;
            KD_TRY(kdi_name(p, &name));
            KD_TRY(kdi_push_name(p, &star->exclude, name));
        }
    }
    if (kdi_at(p, KW_REPLACE) && kdi_next_is_token(p, '(')) {
        kdi_advance(p);
        kdi_advance(p);
        do {
            KD_TRY(replace_item(p, &star->replace));
        } while (kdi_accept_token(p, ','));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    if (kdi_at(p, KW_RENAME) && kdi_next_is_token(p, '(')) {
        kdi_advance(p);
        kdi_advance(p);
        do {
            KD_TRY(rename_item(p, &star->rename));
        } while (kdi_accept_token(p, ','));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    kdi_finish(p, &star->node);
    return KD_OK;
}

static kd_status target_value(kd_parser *p, kd_ast_node **out_value)
{
    if (!kdi_at_token(p, '*')) {
        KD_TRY(kdi_expr(p, out_value));
        return (*out_value)->kind == KD_AST_STAR ? kdi_star_rest(p, (kd_ast_star *)*out_value)
                                                 : KD_OK;
    }
    kd_ast_star *star = KDI_NODE(p, KD_AST_STAR, kd_ast_star);
    if (star == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    *out_value = &star->node;
    return kdi_star_rest(p, star);
}

static bool at_bare_label(kd_parser *p)
{
    if (kdi_at_token(p, TOKEN_KEYWORD))
        return kdi_keyword_is_bare_label((kdi_keyword)p->token.keyword);
    if (kdi_at_json_format(p))
        return false;
    return kdi_at_token(p, TOKEN_QUOTED_IDENT) ||
           (kdi_at_token(p, TOKEN_IDENT) && !kdi_at_qualify(p));
}

static kd_status target(kd_parser *p, kd_ast_list *list)
{
    kd_ast_target *node = KDI_NODE(p, KD_AST_TARGET, kd_ast_target);
    if (node == NULL)
        return KD_NOMEM;
    /* x: 42 is 42 AS x. */
    bool is_named = kdi_is_name(&p->token) && kdi_next_is_token(p, ':');
    if (is_named) {
        KD_TRY(kdi_name(p, &node->alias));
        kdi_advance(p);
    }
    KD_TRY(target_value(p, &node->value));
    bool is_bare_star =
        node->value->kind == KD_AST_STAR && ((kd_ast_star *)node->value)->part_count == 0;
    if (!is_bare_star && !is_named && (kdi_accept(p, KW_AS) || at_bare_label(p)))
        KD_TRY(kdi_label(p, &node->alias));
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

kd_status kdi_targets(kd_parser *p, kd_ast_list *list)
{
    do {
        KD_TRY(target(p, list));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

/* A lone * for FROM-first queries and TABLE t. */
static kd_status push_star(kd_parser *p, kd_ast_list *list, int32_t position)
{
    kd_ast_target *node = KDI_NODE_AT(p, KD_AST_TARGET, kd_ast_target, position);
    kd_ast_star *star = KDI_NODE_AT(p, KD_AST_STAR, kd_ast_star, position);
    if (node == NULL || star == NULL)
        return KD_NOMEM;
    node->value = &star->node;
    return kdi_push(p, list, &node->node);
}

/* ---- ORDER BY ---- */

kd_status kdi_sort_direction(kd_parser *p, kd_ast_direction *out_direction, kd_ast_nulls *out_nulls)
{
    if (kdi_accept(p, KW_ASC))
        *out_direction = KD_AST_ASCENDING;
    else if (kdi_accept(p, KW_DESC))
        *out_direction = KD_AST_DESCENDING;
    if (!kdi_at(p, KW_NULLS) || (!kdi_next_is(p, KW_FIRST) && !kdi_next_is(p, KW_LAST)))
        return KD_OK;
    kdi_advance(p);
    *out_nulls = kdi_at(p, KW_FIRST) ? KD_AST_NULLS_FIRST : KD_AST_NULLS_LAST;
    kdi_advance(p);
    return KD_OK;
}

static kd_status sort_item(kd_parser *p, kd_ast_list *list)
{
    kd_ast_sort *node = KDI_NODE(p, KD_AST_SORT, kd_ast_sort);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expr(p, &node->value));
    if (kdi_accept(p, KW_USING)) {
        node->direction = KD_AST_USING;
        KD_TRY(kdi_any_operator(p, &node->using_schema, &node->using_operator));
        if (kdi_at(p, KW_ASC) || kdi_at(p, KW_DESC))
            return kdi_syntax_error(p, NULL);
    }
    KD_TRY(kdi_sort_direction(p, &node->direction, &node->nulls));
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

kd_status kdi_sort_list(kd_parser *p, kd_ast_list *list)
{
    do {
        KD_TRY(sort_item(p, list));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

kd_status kdi_order_by(kd_parser *p, kd_ast_list *list)
{
    if (!kdi_accept(p, KW_ORDER))
        return KD_OK;
    KD_TRY(kdi_expect(p, KW_BY));
    return kdi_sort_list(p, list);
}

/* ORDER BY ALL [direction], or the usual list. */
static kd_status query_order_by(kd_parser *p, kd_ast_query_tail *tail)
{
    if (!kdi_at(p, KW_ORDER))
        return KD_OK;
    if (tail->order_by.count > 0)
        return kdi_fail_at(p, "42601", p->token.position, "multiple ORDER BY clauses not allowed");
    if (!kdi_next_is(p, KW_BY) || kdi_peek(p, 2)->keyword != KW_ALL)
        return kdi_order_by(p, &tail->order_by);
    kdi_advance(p);
    kdi_advance(p);
    kd_ast_sort *node = KDI_NODE(p, KD_AST_SORT, kd_ast_sort);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    tail->order_by_all = true;
    KD_TRY(kdi_sort_direction(p, &node->direction, &node->nulls));
    kdi_finish(p, &node->node);
    return kdi_push(p, &tail->order_by, &node->node);
}

/* ---- LIMIT, OFFSET, FETCH, FOR ---- */

static kd_status check_no_limit(kd_parser *p, const kd_ast_query_tail *tail)
{
    if (tail->limit == NULL && !tail->limit_all)
        return KD_OK;
    return kdi_fail_at(p, "42601", p->token.position, "multiple LIMIT clauses not allowed");
}

static kd_status limit_clause(kd_parser *p, kd_ast_query_tail *tail)
{
    KD_TRY(check_no_limit(p, tail));
    kdi_advance(p);
    if (kdi_accept(p, KW_ALL)) {
        tail->limit_all = true;
        return KD_OK;
    }
    /* 10% of the rows, unless % has a right side. */
    tail->limit_percent = (kdi_at_token(p, TOKEN_INTEGER) || kdi_at_token(p, TOKEN_DECIMAL)) &&
                          kdi_next_is_token(p, '%') && !kdi_begins_expr(kdi_peek(p, 2));
    if (tail->limit_percent) {
        KD_TRY(kdi_primary(p, &tail->limit));
        kdi_advance(p);
        return KD_OK;
    }
    KD_TRY(kdi_expr(p, &tail->limit));
    if (!kdi_at_token(p, ','))
        return KD_OK;
    kd_status status =
        kdi_fail_at(p, "42601", p->token.position, "LIMIT #,# syntax is not supported");
    kd_error_set_hint(p->ctx, "Use separate LIMIT and OFFSET clauses.");
    return status;
}

static kd_status offset_clause(kd_parser *p, kd_ast_query_tail *tail)
{
    if (tail->offset != NULL)
        return kdi_fail_at(p, "42601", p->token.position, "multiple OFFSET clauses not allowed");
    kdi_advance(p);
    KD_TRY(kdi_expr(p, &tail->offset));
    if (!kdi_accept(p, KW_ROW))
        (void)kdi_accept(p, KW_ROWS);
    return KD_OK;
}

static kd_status fetch_clause(kd_parser *p, kd_ast_query_tail *tail)
{
    KD_TRY(check_no_limit(p, tail));
    kdi_advance(p);
    if (!kdi_accept(p, KW_FIRST))
        KD_TRY(kdi_expect(p, KW_NEXT));
    if (kdi_at(p, KW_ROW) || kdi_at(p, KW_ROWS)) {
        tail->limit = kdi_integer_constant(p, 1, p->token.position);
        if (tail->limit == NULL)
            return KD_NOMEM;
    } else if (kdi_at_token(p, '+') || kdi_at_token(p, '-')) {
        KD_TRY(kdi_expr(p, &tail->limit));
    } else {
        KD_TRY(kdi_primary(p, &tail->limit));
    }
    if (!kdi_accept(p, KW_ROW))
        KD_TRY(kdi_expect(p, KW_ROWS));
    if (kdi_accept(p, KW_ONLY))
        return KD_OK;
    KD_TRY(kdi_expect(p, KW_WITH));
    tail->with_ties = true;
    return kdi_expect(p, KW_TIES);
}

static kd_status locking_clause(kd_parser *p, kd_ast_query_tail *tail)
{
    kd_ast_locking *node = KDI_NODE(p, KD_AST_LOCKING, kd_ast_locking);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (kdi_accept_two(p, KW_READ, KW_ONLY))
        return KD_OK;
    if (kdi_accept(p, KW_UPDATE)) {
        node->strength = KD_AST_FOR_UPDATE;
    } else if (kdi_accept(p, KW_SHARE)) {
        node->strength = KD_AST_FOR_SHARE;
    } else if (kdi_accept(p, KW_KEY)) {
        KD_TRY(kdi_expect(p, KW_SHARE));
        node->strength = KD_AST_FOR_KEY_SHARE;
    } else if (kdi_accept(p, KW_NO)) {
        KD_TRY(kdi_expect(p, KW_KEY));
        KD_TRY(kdi_expect(p, KW_UPDATE));
        node->strength = KD_AST_FOR_NO_KEY_UPDATE;
    } else {
        return kdi_syntax_error(p, "UPDATE, NO KEY UPDATE, SHARE or KEY SHARE");
    }
    if (kdi_accept(p, KW_OF))
        KD_TRY(kdi_qualified_name_list(p, &node->tables));
    if (kdi_accept(p, KW_NOWAIT))
        node->wait = KD_AST_LOCK_NOWAIT;
    else if (kdi_accept_two(p, KW_SKIP, KW_LOCKED))
        node->wait = KD_AST_LOCK_SKIP;
    kdi_finish(p, &node->node);
    return kdi_push(p, &tail->locking, &node->node);
}

static kd_status query_tail(kd_parser *p, kd_ast_query_tail *tail)
{
    KD_TRY(query_order_by(p, tail));
    for (;;) {
        if (kdi_at(p, KW_LIMIT))
            KD_TRY(limit_clause(p, tail));
        else if (kdi_at(p, KW_OFFSET))
            KD_TRY(offset_clause(p, tail));
        else if (kdi_at(p, KW_FETCH))
            KD_TRY(fetch_clause(p, tail));
        else if (kdi_at(p, KW_FOR))
            KD_TRY(locking_clause(p, tail));
        else
            break;
    }
    if (tail->with_ties && tail->order_by.count == 0)
        return kdi_fail_at(p, "42601", p->token.position,
                           "WITH TIES cannot be specified without ORDER BY clause");
    for (size_t i = 0; tail->with_ties && i < tail->locking.count; i++)
        if (((const kd_ast_locking *)tail->locking.items[i])->wait == KD_AST_LOCK_SKIP)
            return kdi_fail_at(p, "42601", tail->locking.items[i]->position,
                               "SKIP LOCKED and WITH TIES options cannot be used together");
    return KD_OK;
}

/* ---- GROUP BY ---- */

static kd_status group_item(kd_parser *p, kd_ast_list *list);

static kd_status grouping_set(kd_parser *p, kd_ast_grouping_kind what, kd_ast_list *list)
{
    kd_ast_grouping_set *node = KDI_NODE(p, KD_AST_GROUPING_SET, kd_ast_grouping_set);
    if (node == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_parse_enter(p));
    node->what = what;
    kdi_advance(p);
    if (what == KD_AST_GROUPING_SETS)
        KD_TRY(kdi_expect(p, KW_SETS));
    if (what != KD_AST_GROUPING_EMPTY)
        KD_TRY(kdi_expect_token(p, '('));
    if (what == KD_AST_GROUPING_SETS) {
        do {
            KD_TRY(group_item(p, &node->items));
        } while (kdi_accept_token(p, ','));
    } else if (what != KD_AST_GROUPING_EMPTY) {
        KD_TRY(kdi_expr_list(p, &node->items));
    }
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_leave(p);
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

static kd_status group_item(kd_parser *p, kd_ast_list *list)
{
    if (kdi_at_token(p, '(') && kdi_next_is_token(p, ')'))
        return grouping_set(p, KD_AST_GROUPING_EMPTY, list);
    if (kdi_at(p, KW_ROLLUP) && kdi_next_is_token(p, '('))
        return grouping_set(p, KD_AST_GROUPING_ROLLUP, list);
    if (kdi_at(p, KW_CUBE) && kdi_next_is_token(p, '('))
        return grouping_set(p, KD_AST_GROUPING_CUBE, list);
    if (kdi_at(p, KW_GROUPING) && kdi_next_is(p, KW_SETS))
        return grouping_set(p, KD_AST_GROUPING_SETS, list);
    kd_ast_node *expr;
    KD_TRY(kdi_expr(p, &expr));
    return kdi_push(p, list, expr);
}

static kd_status group_by(kd_parser *p, kd_ast_select *select)
{
    if (!kdi_accept(p, KW_GROUP))
        return KD_OK;
    KD_TRY(kdi_expect(p, KW_BY));
    if (kdi_accept(p, KW_ALL)) {
        if (!kdi_begins_expr(&p->token) || kdi_at_qualify(p)) {
            select->group_by_all = true;
            return KD_OK;
        }
    } else {
        select->group_by_distinct = kdi_accept(p, KW_DISTINCT);
    }
    do {
        KD_TRY(group_item(p, &select->group_by));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

static kd_status window_clause(kd_parser *p, kd_ast_select *select)
{
    if (!kdi_accept(p, KW_WINDOW))
        return KD_OK;
    do {
        kd_ast_window *window = KDI_NODE(p, KD_AST_WINDOW, kd_ast_window);
        if (window == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_name(p, &window->name));
        KD_TRY(kdi_expect(p, KW_AS));
        KD_TRY(kdi_window_spec(p, window));
        KD_TRY(kdi_push(p, &select->windows, &window->node));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

/* ---- SELECT ---- */

static kd_status into_clause(kd_parser *p, kd_ast_into *into)
{
    into->begin = p->token.position;
    if (!kdi_accept(p, KW_INTO))
        return KD_OK;
    if (kdi_at(p, KW_LOCAL) || kdi_at(p, KW_GLOBAL))
        kdi_advance(p);
    if (kdi_accept(p, KW_TEMPORARY) || kdi_accept(p, KW_TEMP))
        into->temporary = true;
    else
        into->unlogged = kdi_accept(p, KW_UNLOGGED);
    (void)kdi_accept(p, KW_TABLE);
    KD_TRY(kdi_qualified_name(p, &into->name));
    into->end = p->previous.end;
    return KD_OK;
}

static kd_status select_list(kd_parser *p, kd_ast_select *select)
{
    kdi_advance(p);
    if (kdi_accept(p, KW_DISTINCT)) {
        select->distinct = true;
        if (kdi_accept(p, KW_ON)) {
            KD_TRY(kdi_expect_token(p, '('));
            KD_TRY(kdi_expr_list(p, &select->distinct_on));
            KD_TRY(kdi_expect_token(p, ')'));
        }
    } else {
        (void)kdi_accept(p, KW_ALL);
    }
    bool is_empty =
        !kdi_begins_expr(&p->token) && !kdi_at_token(p, '*') && !kdi_is_function_name(&p->token);
    if (is_empty && !select->distinct)
        return into_clause(p, &select->into);
    KD_TRY(kdi_targets(p, &select->targets));
    return into_clause(p, &select->into);
}

static kd_status simple_select(kd_parser *p, kd_ast_node **out_query)
{
    kd_ast_select *select = KDI_NODE(p, KD_AST_SELECT, kd_ast_select);
    if (select == NULL)
        return KD_NOMEM;
    select->into.name = kdi_no_name();
    bool is_from_first = kdi_accept(p, KW_FROM);
    if (is_from_first)
        KD_TRY(kdi_from_list(p, &select->from));
    if (kdi_at(p, KW_SELECT))
        KD_TRY(select_list(p, select));
    else
        KD_TRY(push_star(p, &select->targets, p->token.position));
    if (!is_from_first && kdi_accept(p, KW_FROM))
        KD_TRY(kdi_from_list(p, &select->from));
    KD_TRY(kdi_where(p, &select->where));
    KD_TRY(group_by(p, select));
    if (kdi_accept(p, KW_HAVING))
        KD_TRY(kdi_expr(p, &select->having));
    KD_TRY(window_clause(p, select));
    if (kdi_at_qualify(p)) {
        kdi_advance(p);
        KD_TRY(kdi_expr(p, &select->qualify));
        KD_TRY(window_clause(p, select));
    }
    KD_TRY(kdi_using_sample(p, &select->sample));
    kdi_finish(p, &select->node);
    *out_query = &select->node;
    return KD_OK;
}

static kd_status values_row(kd_parser *p, kd_ast_list *rows)
{
    kd_ast_args *row = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (row == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr_list(p, &row->args));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &row->node);
    return kdi_push(p, rows, &row->node);
}

static kd_status values_query(kd_parser *p, kd_ast_node **out_query)
{
    kd_ast_select *select = KDI_NODE(p, KD_AST_SELECT, kd_ast_select);
    if (select == NULL)
        return KD_NOMEM;
    select->into.name = kdi_no_name();
    select->is_values = true;
    kdi_advance(p);
    do {
        KD_TRY(values_row(p, &select->values));
    } while (kdi_accept_token(p, ','));
    kdi_finish(p, &select->node);
    *out_query = &select->node;
    return KD_OK;
}

static kd_status table_query(kd_parser *p, kd_ast_node **out_query)
{
    kd_ast_select *select = KDI_NODE(p, KD_AST_SELECT, kd_ast_select);
    kd_ast_table_ref *table;
    if (select == NULL)
        return KD_NOMEM;
    select->into.name = kdi_no_name();
    kdi_advance(p);
    KD_TRY(push_star(p, &select->targets, p->token.position));
    KD_TRY(kdi_relation(p, &table));
    KD_TRY(kdi_push(p, &select->from, &table->node));
    kdi_finish(p, &select->node);
    *out_query = &select->node;
    return KD_OK;
}

/* ---- Set operations ---- */

static kd_status operand(kd_parser *p, kd_ast_node **out_query)
{
    switch (p->token.keyword) {
    case KW_SELECT:
    case KW_FROM:
        return simple_select(p, out_query);
    case KW_VALUES:
        return values_query(p, out_query);
    case KW_TABLE:
        return table_query(p, out_query);
    default:
        if (kdi_at_pivot_query(p))
            return kdi_pivot_query(p, out_query);
        return kdi_at_token(p, '(') ? kdi_query_parens(p, out_query)
                                    : kdi_syntax_error(p, "SELECT");
    }
}

static int setop_level(const kd_parser *p)
{
    if (kdi_at(p, KW_INTERSECT))
        return 2;
    return kdi_at(p, KW_UNION) || kdi_at(p, KW_EXCEPT) ? 1 : 0;
}

/* Goes on after `left`, which began at `start`, with operations of at least level `min`. */
static kd_status set_operations(kd_parser *p, int min, int32_t start, kd_ast_node **io_query)
{
    for (int level = setop_level(p); level >= min && level > 0; level = setop_level(p)) {
        kd_ast_setop *node = KDI_NODE_AT(p, KD_AST_SETOP, kd_ast_setop, start);
        if (node == NULL)
            return KD_NOMEM;
        node->node.mark = p->token.position;
        node->what = level == 2            ? KD_AST_INTERSECT
                     : kdi_at(p, KW_UNION) ? KD_AST_UNION
                                           : KD_AST_EXCEPT;
        kdi_advance(p);
        node->all = kdi_accept(p, KW_ALL);
        if (!node->all)
            (void)kdi_accept(p, KW_DISTINCT);
        node->by_name = kdi_accept_two(p, KW_BY, KW_NAME);
        node->left = *io_query;
        int32_t right_start = p->token.position;
        KD_TRY(operand(p, &node->right));
        KD_TRY(set_operations(p, level + 1, right_start, &node->right));
        kdi_finish(p, &node->node);
        *io_query = &node->node;
    }
    return KD_OK;
}

static kd_ast_query_tail *tail_of(kd_ast_node *query)
{
    return query->kind == KD_AST_SETOP ? &((kd_ast_setop *)query)->tail
                                       : &((kd_ast_select *)query)->tail;
}

kd_status kdi_query_after(kd_parser *p, int32_t start, kd_ast_node *first, kd_ast_node **out_query)
{
    *out_query = first;
    KD_TRY(set_operations(p, 1, start, out_query));
    if (kdi_at_query_tail(p)) {
        KD_TRY(query_tail(p, tail_of(*out_query)));
        (*out_query)->position = start;
        kdi_finish(p, *out_query);
    }
    return KD_OK;
}

static kd_status query_with(kd_parser *p, int32_t start, kd_ast_with with, kd_ast_node **out_query)
{
    int32_t operand_start = p->token.position;
    kd_ast_node *first;
    KD_TRY(operand(p, &first));
    KD_TRY(kdi_query_after(p, operand_start, first, out_query));
    if (with.ctes.count == 0)
        return KD_OK;
    kd_ast_query_tail *tail = tail_of(*out_query);
    if (tail->with.ctes.count > 0)
        return kdi_fail_at(p, "42601", start, "multiple WITH clauses not allowed");
    tail->with = with;
    (*out_query)->position = start;
    kdi_finish(p, *out_query);
    return KD_OK;
}

kd_status kdi_query(kd_parser *p, kd_ast_node **out_query)
{
    *out_query = NULL;
    int32_t start = p->token.position;
    kd_ast_with with = {.recursive = false};
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_with(p, &with));
    KD_TRY(query_with(p, start, with, out_query));
    kdi_leave(p);
    return KD_OK;
}

kd_status kdi_query_parens(kd_parser *p, kd_ast_node **out_query)
{
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_query(p, out_query));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_leave(p);
    return KD_OK;
}

/* ---- WITH ---- */

static kd_status search_clause(kd_parser *p, kd_ast_cte *cte)
{
    if (!kdi_accept(p, KW_SEARCH))
        return KD_OK;
    cte->search_breadth = kdi_accept(p, KW_BREADTH);
    if (!cte->search_breadth)
        KD_TRY(kdi_expect(p, KW_DEPTH));
    KD_TRY(kdi_expect(p, KW_FIRST));
    KD_TRY(kdi_expect(p, KW_BY));
    KD_TRY(kdi_name_list(p, &cte->search_columns));
    KD_TRY(kdi_expect(p, KW_SET));
    return kdi_name(p, &cte->search_sequence);
}

static kd_status cycle_clause(kd_parser *p, kd_ast_cte *cte)
{
    if (!kdi_accept(p, KW_CYCLE))
        return KD_OK;
    KD_TRY(kdi_name_list(p, &cte->cycle_columns));
    KD_TRY(kdi_expect(p, KW_SET));
    KD_TRY(kdi_name(p, &cte->cycle_mark));
    if (kdi_accept(p, KW_TO)) {
        KD_TRY(kdi_primary(p, &cte->cycle_to));
        KD_TRY(kdi_expect(p, KW_DEFAULT));
        KD_TRY(kdi_primary(p, &cte->cycle_default));
    }
    KD_TRY(kdi_expect(p, KW_USING));
    return kdi_name(p, &cte->cycle_path);
}

static kd_status cte_item(kd_parser *p, kd_ast_list *list)
{
    kd_ast_cte *cte = KDI_NODE(p, KD_AST_CTE, kd_ast_cte);
    if (cte == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_name(p, &cte->name));
    KD_TRY(kdi_optional_name_parens(p, &cte->columns));
    KD_TRY(kdi_expect(p, KW_AS));
    if (kdi_accept(p, KW_MATERIALIZED)) {
        cte->materialized = KD_AST_MATERIALIZED;
    } else if (kdi_accept(p, KW_NOT)) {
        KD_TRY(kdi_expect(p, KW_MATERIALIZED));
        cte->materialized = KD_AST_NOT_MATERIALIZED;
    }
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_preparable(p, &cte->statement));
    KD_TRY(kdi_expect_token(p, ')'));
    KD_TRY(search_clause(p, cte));
    KD_TRY(cycle_clause(p, cte));
    kdi_finish(p, &cte->node);
    return kdi_push(p, list, &cte->node);
}

kd_status kdi_with(kd_parser *p, kd_ast_with *out_with)
{
    if (!kdi_accept(p, KW_WITH))
        return KD_OK;
    out_with->recursive = kdi_accept(p, KW_RECURSIVE);
    do {
        KD_TRY(cte_item(p, &out_with->ctes));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

kd_status kdi_preparable(kd_parser *p, kd_ast_node **out_statement)
{
    *out_statement = NULL;
    int32_t start = p->token.position;
    kd_ast_with with = {.recursive = false};
    KD_TRY(kdi_parse_enter(p));
    KD_TRY(kdi_with(p, &with));
    switch (p->token.keyword) {
    case KW_INSERT:
        KD_TRY(kdi_insert(p, with, out_statement));
        break;
    case KW_UPDATE:
        KD_TRY(kdi_update(p, with, out_statement));
        break;
    case KW_DELETE:
        KD_TRY(kdi_delete(p, with, out_statement));
        break;
    case KW_MERGE:
        KD_TRY(kdi_merge(p, with, out_statement));
        break;
    default:
        KD_TRY(query_with(p, start, with, out_statement));
        break;
    }
    kdi_leave(p);
    (*out_statement)->position = start;
    kdi_finish(p, *out_statement);
    return KD_OK;
}
