/*
 * INSERT, UPDATE, DELETE, MERGE.
 */
#include "sql/parser_internal.h"

/* ---- SET ---- */

/* column, column.field, column[1]: as an expression that the binder takes apart. */
static kd_status assignment_target(kd_parser *p, kd_ast_list *list)
{
    kd_ast_column *column = KDI_NODE(p, KD_AST_COLUMN, kd_ast_column);
    if (column == NULL)
        return KD_NOMEM;
    size_t capacity = 0;
    kd_slice *part;
    KD_TRY(KD_PUSH(p->ctx, p->arena, column->parts, column->part_count, capacity, &part));
    KD_TRY(kdi_name(p, part));
    kdi_finish(p, &column->node);
    kd_ast_node *target = &column->node;
    KD_TRY(kdi_subscripts(p, &target));
    return kdi_push(p, list, target);
}

static kd_status target_list(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    do {
        KD_TRY(assignment_target(p, list));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

static kd_status assignment(kd_parser *p, kd_ast_list *list)
{
    kd_ast_assignment *node = KDI_NODE(p, KD_AST_ASSIGNMENT, kd_ast_assignment);
    if (node == NULL)
        return KD_NOMEM;
    node->is_multiple = kdi_at_token(p, '(');
    if (node->is_multiple)
        KD_TRY(target_list(p, &node->targets));
    else
        KD_TRY(assignment_target(p, &node->targets));
    KD_TRY(kdi_expect_token(p, '='));
    KD_TRY(kdi_expr(p, &node->value));
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

static kd_status assignments(kd_parser *p, kd_ast_list *list)
{
    do {
        KD_TRY(assignment(p, list));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

static kd_status returning(kd_parser *p, kd_ast_list *list)
{
    return kdi_accept(p, KW_RETURNING) ? kdi_targets(p, list) : KD_OK;
}

/* ---- INSERT ---- */

static kd_status overriding(kd_parser *p, kd_ast_overriding *out)
{
    if (!kdi_accept(p, KW_OVERRIDING))
        return KD_OK;
    *out = kdi_at(p, KW_USER) ? KD_AST_OVERRIDING_USER : KD_AST_OVERRIDING_SYSTEM;
    if (!kdi_accept(p, KW_USER))
        KD_TRY(kdi_expect(p, KW_SYSTEM));
    return kdi_expect(p, KW_VALUE);
}

static kd_status conflict_target(kd_parser *p, kd_ast_on_conflict *conflict)
{
    if (kdi_accept(p, KW_ON)) {
        KD_TRY(kdi_expect(p, KW_CONSTRAINT));
        return kdi_name(p, &conflict->constraint);
    }
    if (!kdi_at_token(p, '('))
        return KD_OK;
    KD_TRY(kdi_index_items(p, &conflict->inference));
    return kdi_where(p, &conflict->inference_where);
}

static kd_status on_conflict(kd_parser *p, kd_ast_on_conflict **out)
{
    if (!kdi_at(p, KW_ON))
        return KD_OK;
    kd_ast_on_conflict *node = KDI_NODE(p, KD_AST_ON_CONFLICT, kd_ast_on_conflict);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_CONFLICT));
    KD_TRY(conflict_target(p, node));
    KD_TRY(kdi_expect(p, KW_DO));
    if (!kdi_accept(p, KW_NOTHING)) {
        if (!kdi_accept(p, KW_UPDATE))
            return kdi_syntax_error(p, "NOTHING or UPDATE");
        KD_TRY(kdi_expect(p, KW_SET));
        node->do_update = true;
        KD_TRY(assignments(p, &node->assignments));
        KD_TRY(kdi_where(p, &node->where));
    }
    kdi_finish(p, &node->node);
    *out = node;
    return KD_OK;
}

/* `(` after the table begins its columns or a query. */
static bool at_column_list(kd_parser *p)
{
    if (!kdi_at_token(p, '('))
        return false;
    const kdi_token *next = kdi_peek(p, 1);
    if (next->kind == '(' || next->keyword == KW_SELECT || next->keyword == KW_WITH ||
        next->keyword == KW_TABLE || next->keyword == KW_FROM)
        return false;
    return next->keyword != KW_VALUES || kdi_peek(p, 2)->kind != '(';
}

kd_status kdi_insert(kd_parser *p, kd_ast_with with, kd_ast_node **out)
{
    kd_ast_insert *node = KDI_NODE(p, KD_AST_INSERT, kd_ast_insert);
    if (node == NULL)
        return KD_NOMEM;
    node->with = with;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_INTO));
    KD_TRY(kdi_qualified_name(p, &node->table));
    if (kdi_accept(p, KW_AS))
        KD_TRY(kdi_name(p, &node->alias));
    if (at_column_list(p))
        KD_TRY(target_list(p, &node->columns));
    node->by_name = kdi_accept_two(p, KW_BY, KW_NAME);
    KD_TRY(overriding(p, &node->overriding));
    if (kdi_accept(p, KW_DEFAULT)) {
        KD_TRY(kdi_expect(p, KW_VALUES));
    } else if (kdi_at_query(p) || kdi_at_token(p, '(')) {
        KD_TRY(kdi_query(p, &node->source));
    } else {
        return kdi_syntax_error(p, "VALUES, SELECT or DEFAULT VALUES");
    }
    KD_TRY(on_conflict(p, &node->on_conflict));
    KD_TRY(returning(p, &node->returning));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- UPDATE and DELETE ---- */

/* SET is a name, but here it begins the clause. */
static kd_status target_table(kd_parser *p, kd_ast_table_ref **out_table)
{
    KD_TRY(kdi_relation(p, out_table));
    if (kdi_accept(p, KW_AS) || (kdi_is_name(&p->token) && !kdi_at(p, KW_SET)))
        KD_TRY(kdi_name(p, &(*out_table)->alias.name));
    kdi_finish(p, &(*out_table)->node);
    return KD_OK;
}

static kd_status where_or_current_of(kd_parser *p, kd_ast_node **out_where)
{
    if (!kdi_at(p, KW_WHERE) || !kdi_next_is(p, KW_CURRENT) || kdi_peek(p, 2)->keyword != KW_OF)
        return kdi_where(p, out_where);
    kdi_advance(p);
    kd_ast_current_of *node = KDI_NODE(p, KD_AST_CURRENT_OF, kd_ast_current_of);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    kdi_advance(p);
    KD_TRY(kdi_name(p, &node->cursor));
    kdi_finish(p, &node->node);
    *out_where = &node->node;
    return KD_OK;
}

kd_status kdi_update(kd_parser *p, kd_ast_with with, kd_ast_node **out)
{
    kd_ast_update *node = KDI_NODE(p, KD_AST_UPDATE, kd_ast_update);
    if (node == NULL)
        return KD_NOMEM;
    node->with = with;
    kdi_advance(p);
    KD_TRY(target_table(p, &node->table));
    KD_TRY(kdi_expect(p, KW_SET));
    KD_TRY(assignments(p, &node->assignments));
    if (kdi_accept(p, KW_FROM))
        KD_TRY(kdi_from_list(p, &node->from));
    KD_TRY(where_or_current_of(p, &node->where));
    KD_TRY(returning(p, &node->returning));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_delete(kd_parser *p, kd_ast_with with, kd_ast_node **out)
{
    kd_ast_delete *node = KDI_NODE(p, KD_AST_DELETE, kd_ast_delete);
    if (node == NULL)
        return KD_NOMEM;
    node->with = with;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_FROM));
    KD_TRY(target_table(p, &node->table));
    if (kdi_accept(p, KW_USING))
        KD_TRY(kdi_from_list(p, &node->using_from));
    KD_TRY(where_or_current_of(p, &node->where));
    KD_TRY(returning(p, &node->returning));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- MERGE ---- */

static kd_status merge_insert(kd_parser *p, kd_ast_merge_when *when)
{
    when->action = KD_AST_MERGE_INSERT;
    if (kdi_at_token(p, '('))
        KD_TRY(target_list(p, &when->columns));
    KD_TRY(overriding(p, &when->overriding));
    if (kdi_accept(p, KW_DEFAULT))
        return kdi_expect(p, KW_VALUES);
    KD_TRY(kdi_expect(p, KW_VALUES));
    when->values = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (when->values == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr_list(p, &when->values->args));
    KD_TRY(kdi_expect_token(p, ')'));
    kdi_finish(p, &when->values->node);
    return KD_OK;
}

static kd_status merge_action(kd_parser *p, kd_ast_merge_when *when)
{
    if (kdi_accept(p, KW_DO))
        return kdi_expect(p, KW_NOTHING);
    bool may_insert = when->match == KD_AST_MERGE_NOT_MATCHED;
    if (may_insert && kdi_accept(p, KW_INSERT))
        return merge_insert(p, when);
    if (!may_insert && kdi_accept(p, KW_DELETE)) {
        when->action = KD_AST_MERGE_DELETE;
        return KD_OK;
    }
    if (!may_insert && kdi_accept(p, KW_UPDATE)) {
        when->action = KD_AST_MERGE_UPDATE;
        KD_TRY(kdi_expect(p, KW_SET));
        return assignments(p, &when->assignments);
    }
    return kdi_syntax_error(p,
                            may_insert ? "INSERT or DO NOTHING" : "UPDATE, DELETE or DO NOTHING");
}

static kd_status merge_when(kd_parser *p, kd_ast_list *list)
{
    kd_ast_merge_when *when = KDI_NODE(p, KD_AST_MERGE_WHEN, kd_ast_merge_when);
    if (when == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_expect(p, KW_WHEN));
    when->match = kdi_accept(p, KW_NOT) ? KD_AST_MERGE_NOT_MATCHED : KD_AST_MERGE_MATCHED;
    KD_TRY(kdi_expect(p, KW_MATCHED));
    if (when->match == KD_AST_MERGE_NOT_MATCHED && kdi_accept(p, KW_BY)) {
        if (kdi_accept_word(p, "source"))
            when->match = KD_AST_MERGE_NOT_MATCHED_BY_SOURCE;
        else if (!kdi_accept_word(p, "target"))
            return kdi_syntax_error(p, "SOURCE or TARGET");
    }
    if (kdi_accept(p, KW_AND))
        KD_TRY(kdi_expr(p, &when->condition));
    KD_TRY(kdi_expect(p, KW_THEN));
    KD_TRY(merge_action(p, when));
    kdi_finish(p, &when->node);
    return kdi_push(p, list, &when->node);
}

kd_status kdi_merge(kd_parser *p, kd_ast_with with, kd_ast_node **out)
{
    kd_ast_merge *node = KDI_NODE(p, KD_AST_MERGE, kd_ast_merge);
    if (node == NULL)
        return KD_NOMEM;
    node->with = with;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_INTO));
    KD_TRY(target_table(p, &node->target));
    KD_TRY(kdi_expect(p, KW_USING));
    KD_TRY(kdi_from_item(p, &node->source));
    KD_TRY(kdi_expect(p, KW_ON));
    KD_TRY(kdi_expr(p, &node->condition));
    do {
        KD_TRY(merge_when(p, &node->whens));
    } while (kdi_at(p, KW_WHEN));
    KD_TRY(returning(p, &node->returning));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
