/*
 * CREATE TABLE in all its forms.
 */
#include "sql/parser_internal.h"

static uint32_t like_option(const kdi_token *token)
{
    switch (token->keyword) {
    case KW_COMMENTS:
        return KD_AST_INCLUDING_COMMENTS;
    case KW_COMPRESSION:
        return KD_AST_INCLUDING_COMPRESSION;
    case KW_CONSTRAINTS:
        return KD_AST_INCLUDING_CONSTRAINTS;
    case KW_DEFAULTS:
        return KD_AST_INCLUDING_DEFAULTS;
    case KW_GENERATED:
        return KD_AST_INCLUDING_GENERATED;
    case KW_IDENTITY:
        return KD_AST_INCLUDING_IDENTITY;
    case KW_INDEXES:
        return KD_AST_INCLUDING_INDEXES;
    case KW_STATISTICS:
        return KD_AST_INCLUDING_STATISTICS;
    case KW_STORAGE:
        return KD_AST_INCLUDING_STORAGE;
    case KW_ALL:
        return KD_AST_INCLUDING_ALL;
    default:
        return 0;
    }
}

static kd_status table_like(kd_parser *p, kd_ast_list *list)
{
    kd_ast_table_like *node = KDI_NODE(p, KD_AST_TABLE_LIKE, kd_ast_table_like);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_qualified_name(p, &node->name));
    while (kdi_at(p, KW_INCLUDING) || kdi_at(p, KW_EXCLUDING)) {
        bool is_including = kdi_at(p, KW_INCLUDING);
        kdi_advance(p);
        uint32_t option = like_option(&p->token);
        if (option == 0)
            return kdi_syntax_error(p, "ALL, DEFAULTS, CONSTRAINTS, INDEXES, ...");
        node->including = is_including ? node->including | option : node->including & ~option;
        kdi_advance(p);
    }
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

static bool at_inline_index(kd_parser *p)
{
    if (kdi_at(p, KW_UNIQUE))
        return kdi_next_is(p, KW_INDEX);
    if (!kdi_at(p, KW_INDEX))
        return false;
    /* A column may be named index; its type does not look like this. */
    const kdi_token *second = kdi_peek(p, 2);
    return kdi_next_is_token(p, '(') || kdi_next_is(p, KW_USING) || second->keyword == KW_USING ||
           second->kind == '(';
}

static kd_status table_element(kd_parser *p, kd_ast_list *list)
{
    if (kdi_at(p, KW_LIKE))
        return table_like(p, list);
    if (at_inline_index(p)) {
        kd_ast_create_index *index;
        KD_TRY(kdi_inline_index(p, &index));
        return kdi_push(p, list, &index->node);
    }
    if (kdi_at_table_constraint(p)) {
        kd_ast_constraint *constraint;
        KD_TRY(kdi_table_constraint(p, &constraint));
        return kdi_push(p, list, &constraint->node);
    }
    kd_ast_column_def *column;
    KD_TRY(kdi_column_def(p, &column));
    return kdi_push(p, list, &column->node);
}

static kd_status table_elements(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_accept_token(p, ')'))
        return KD_OK;
    do {
        KD_TRY(table_element(p, list));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

/* ---- Partitions ---- */

static kd_status hash_bound(kd_parser *p, kd_ast_partition_bound *bound)
{
    bound->form = KD_AST_BOUND_WITH;
    KD_TRY(kdi_expect_token(p, '('));
    do {
        bool is_modulus = kdi_at_word(p, "modulus");
        if (!is_modulus && !kdi_at_word(p, "remainder"))
            return kdi_syntax_error(p, "MODULUS or REMAINDER");
        kdi_advance(p);
        KD_TRY(kdi_integer(p, is_modulus ? &bound->modulus : &bound->remainder));
    } while (kdi_accept_token(p, ','));
    if (bound->modulus < 1)
        return kdi_fail_at(p, "42P16", bound->node.position,
                           "modulus for hash partition must be specified and greater than zero");
    return kdi_expect_token(p, ')');
}

static kd_status bound_list(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr_list(p, list));
    return kdi_expect_token(p, ')');
}

kd_status kdi_partition_bound(kd_parser *p, kd_ast_partition_bound **out)
{
    kd_ast_partition_bound *bound = KDI_NODE(p, KD_AST_PARTITION_BOUND, kd_ast_partition_bound);
    *out = bound;
    if (bound == NULL)
        return KD_NOMEM;
    if (!kdi_accept(p, KW_DEFAULT)) {
        KD_TRY(kdi_expect(p, KW_FOR));
        KD_TRY(kdi_expect(p, KW_VALUES));
        if (kdi_accept(p, KW_IN)) {
            bound->form = KD_AST_BOUND_IN;
            KD_TRY(bound_list(p, &bound->items));
        } else if (kdi_accept(p, KW_FROM)) {
            bound->form = KD_AST_BOUND_FROM;
            KD_TRY(bound_list(p, &bound->items));
            KD_TRY(kdi_expect(p, KW_TO));
            KD_TRY(bound_list(p, &bound->upper));
        } else if (kdi_accept(p, KW_WITH)) {
            KD_TRY(hash_bound(p, bound));
        } else {
            return kdi_syntax_error(p, "IN, FROM or WITH");
        }
    }
    kdi_finish(p, &bound->node);
    return KD_OK;
}

static kd_status partition_by(kd_parser *p, kd_ast_partition_by **out)
{
    if (!kdi_at(p, KW_PARTITION))
        return KD_OK;
    kd_ast_partition_by *node = KDI_NODE(p, KD_AST_PARTITION_BY, kd_ast_partition_by);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_BY));
    if (kdi_accept(p, KW_RANGE))
        node->method = KD_AST_PARTITION_RANGE;
    else if (kdi_accept_word(p, "list"))
        node->method = KD_AST_PARTITION_LIST;
    else if (kdi_accept_word(p, "hash"))
        node->method = KD_AST_PARTITION_HASH;
    else
        return kdi_syntax_error(p, "RANGE, LIST or HASH");
    KD_TRY(kdi_index_items(p, &node->items));
    kdi_finish(p, &node->node);
    *out = node;
    return KD_OK;
}

/* ---- The rest of the statement ---- */

static kd_status on_commit(kd_parser *p, kd_ast_on_commit *out)
{
    if (!kdi_accept_two(p, KW_ON, KW_COMMIT))
        return KD_OK;
    if (kdi_accept(p, KW_DROP)) {
        *out = KD_AST_ON_COMMIT_DROP;
        return KD_OK;
    }
    *out = kdi_at(p, KW_DELETE) ? KD_AST_ON_COMMIT_DELETE : KD_AST_ON_COMMIT_PRESERVE;
    if (!kdi_accept(p, KW_DELETE))
        KD_TRY(kdi_expect(p, KW_PRESERVE));
    return kdi_expect(p, KW_ROWS);
}

static kd_status table_tail(kd_parser *p, kd_ast_create_table *table)
{
    if (kdi_at(p, KW_INHERITS))
        return kdi_unsupported(p, p->token.position, "INHERITS");
    KD_TRY(partition_by(p, &table->partition_by));
    if (kdi_accept(p, KW_USING))
        KD_TRY(kdi_name(p, &table->method));
    if (kdi_at(p, KW_WITH) && kdi_next_is_token(p, '(')) {
        kdi_advance(p);
        KD_TRY(kdi_option_parens(p, &table->options));
    } else if (kdi_at(p, KW_WITHOUT) && kdi_next_is(p, KW_OIDS)) {
        kdi_advance(p);
        kdi_advance(p);
    }
    KD_TRY(on_commit(p, &table->on_commit));
    return kdi_accept(p, KW_TABLESPACE) ? kdi_name(p, &table->tablespace) : KD_OK;
}

/* CREATE TABLE t [(a, b)] ... AS query: the columns were read as definitions without types. */
static kd_status to_table_as(kd_parser *p, const kd_ast_create_table *table, kd_ast_node **out)
{
    kd_ast_create_table_as *node =
        KDI_NODE_AT(p, KD_AST_CREATE_TABLE_AS, kd_ast_create_table_as, table->node.position);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    for (size_t i = 0; i < table->elements.count; i++) {
        const kd_ast_column_def *column = (const kd_ast_column_def *)table->elements.items[i];
        if (column->node.kind != KD_AST_COLUMN_DEF || column->has_type ||
            column->constraints.count > 0)
            return kdi_fail_at(p, "42601", column->node.position,
                               "CREATE TABLE AS takes column names only");
        KD_TRY(kdi_push_name(p, &node->columns, column->name));
    }
    if (table->partition_by != NULL)
        return kdi_syntax_error(p, NULL);
    node->name = table->name;
    node->persistence = table->persistence;
    node->if_not_exists = table->if_not_exists;
    node->or_replace = table->or_replace;
    node->method = table->method;
    node->options = table->options;
    node->on_commit = table->on_commit;
    node->tablespace = table->tablespace;
    if (kdi_at(p, KW_EXECUTE))
        KD_TRY(kdi_execute(p, &node->query));
    else
        KD_TRY(kdi_query(p, &node->query));
    if (kdi_at(p, KW_WITH) && (kdi_next_is(p, KW_DATA) || kdi_next_is(p, KW_NO))) {
        kdi_advance(p);
        node->with_no_data = kdi_accept(p, KW_NO);
        KD_TRY(kdi_expect(p, KW_DATA));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* After the columns: either the table is done, or its name and type come from a query. */
static kd_status finish_table(kd_parser *p, kd_ast_create_table *table, kd_ast_node **out)
{
    if (kdi_at(p, KW_AS))
        return to_table_as(p, table, out);
    for (size_t i = 0; i < table->elements.count; i++) {
        const kd_ast_column_def *column = (const kd_ast_column_def *)table->elements.items[i];
        bool lacks_type = column->node.kind == KD_AST_COLUMN_DEF && !column->has_type;
        if (lacks_type && table->partition_of.position < 0) {
            kd_status status =
                kdi_fail_at(p, "42601", column->node.end, "syntax error: the column has no type");
            return status;
        }
    }
    kdi_finish(p, &table->node);
    *out = &table->node;
    return KD_OK;
}

kd_status kdi_parse_create_table(kd_parser *p, kd_ast_create_table *table, kd_ast_node **out)
{
    table->partition_of = kdi_no_name();
    KD_TRY(kdi_expect(p, KW_TABLE));
    KD_TRY(kdi_if_not_exists(p, &table->if_not_exists));
    KD_TRY(kdi_qualified_name(p, &table->name));
    if (kdi_accept(p, KW_PARTITION)) {
        KD_TRY(kdi_expect(p, KW_OF));
        KD_TRY(kdi_qualified_name(p, &table->partition_of));
        if (kdi_at_token(p, '('))
            KD_TRY(table_elements(p, &table->elements));
        KD_TRY(kdi_partition_bound(p, &table->bound));
    } else if (kdi_at(p, KW_OF)) {
        return kdi_unsupported(p, p->token.position, "CREATE TABLE OF a type");
    } else if (kdi_at_token(p, '(')) {
        KD_TRY(table_elements(p, &table->elements));
    } else {
        KD_TRY(table_tail(p, table));
        return kdi_at(p, KW_AS) ? to_table_as(p, table, out) : kdi_syntax_error(p, "\"(\" or AS");
    }
    KD_TRY(table_tail(p, table));
    return finish_table(p, table, out);
}
