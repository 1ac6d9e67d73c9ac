/*
 * Indexes: CREATE INDEX, the inline INDEX of tables, and lists of index items.
 */
#include "sql/parser_internal.h"

/* A column, or a value: an expression in parentheses or a function call. */
static kd_status index_value(kd_parser *p, kd_ast_index_item *item)
{
    if (kdi_at_token(p, '(')) {
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(kdi_expr(p, &item->value));
        return kdi_expect_token(p, ')');
    }
    bool is_column =
        kdi_is_name(&p->token) && !kdi_next_is_token(p, '(') && !kdi_next_is_token(p, '.');
    if (is_column)
        return kdi_name(p, &item->column);
    KD_TRY(kdi_primary(p, &item->value));
    return KD_OK;
}

static bool at_opclass(kd_parser *p)
{
    return kdi_is_name(&p->token) && !kdi_at(p, KW_NULLS) && !kdi_at(p, KW_INCLUDE);
}

static kd_status index_item(kd_parser *p, kd_ast_list *list)
{
    kd_ast_index_item *item = KDI_NODE(p, KD_AST_INDEX_ITEM, kd_ast_index_item);
    if (item == NULL)
        return KD_NOMEM;
    item->collation = kdi_no_name();
    item->opclass = kdi_no_name();
    KD_TRY(index_value(p, item));
    if (kdi_accept(p, KW_COLLATE))
        KD_TRY(kdi_qualified_name(p, &item->collation));
    if (at_opclass(p)) {
        KD_TRY(kdi_qualified_name(p, &item->opclass));
        if (kdi_at_token(p, '('))
            KD_TRY(kdi_option_parens(p, &item->opclass_options));
    }
    KD_TRY(kdi_sort_direction(p, &item->direction, &item->nulls));
    kdi_finish(p, &item->node);
    return kdi_push(p, list, &item->node);
}

kd_status kdi_index_items(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    do {
        KD_TRY(index_item(p, list));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* [USING method] (items) [INCLUDE (...)] [NULLS [NOT] DISTINCT] [WITH (...)] [TABLESPACE t]
 * [WHERE e] */
kd_status kdi_index_tail(kd_parser *p, kd_ast_create_index *index)
{
    if (kdi_accept(p, KW_USING))
        KD_TRY(kdi_name(p, &index->method));
    KD_TRY(kdi_index_items(p, &index->items));
    if (kdi_accept(p, KW_INCLUDE))
        KD_TRY(kdi_name_parens(p, &index->include));
    if (kdi_at(p, KW_NULLS)) {
        kdi_advance(p);
        index->nulls_not_distinct = kdi_accept(p, KW_NOT);
        KD_TRY(kdi_expect(p, KW_DISTINCT));
    }
    if (kdi_accept(p, KW_WITH))
        KD_TRY(kdi_option_parens(p, &index->options));
    if (kdi_accept(p, KW_TABLESPACE))
        KD_TRY(kdi_name(p, &index->tablespace));
    KD_TRY(kdi_where(p, &index->where));
    kdi_finish(p, &index->node);
    return KD_OK;
}

/* In a table's parentheses: [UNIQUE] INDEX [name] [USING method] (items) ... */
kd_status kdi_inline_index(kd_parser *p, kd_ast_create_index **out)
{
    kd_ast_create_index *index = KDI_NODE(p, KD_AST_CREATE_INDEX, kd_ast_create_index);
    *out = index;
    if (index == NULL)
        return KD_NOMEM;
    index->table = kdi_no_name();
    index->unique = kdi_accept(p, KW_UNIQUE);
    KD_TRY(kdi_expect(p, KW_INDEX));
    if (!kdi_at(p, KW_USING) && !kdi_at_token(p, '('))
        KD_TRY(kdi_name(p, &index->name));
    return kdi_index_tail(p, index);
}
