/*
 * Constraints of columns, tables and domains.
 */
#include "sql/parser_internal.h"

static kd_status fk_action(kd_parser *p, kd_ast_fk_action *out_action, kd_ast_names *columns)
{
    if (kdi_accept(p, KW_NO)) {
        *out_action = KD_AST_FK_NO_ACTION;
        return kdi_expect(p, KW_ACTION);
    }
    if (kdi_accept(p, KW_RESTRICT)) {
        *out_action = KD_AST_FK_RESTRICT;
        return KD_OK;
    }
    if (kdi_accept(p, KW_CASCADE)) {
        *out_action = KD_AST_FK_CASCADE;
        return KD_OK;
    }
    if (!kdi_accept(p, KW_SET))
        return kdi_syntax_error(p, "NO ACTION, RESTRICT, CASCADE, SET NULL or SET DEFAULT");
    *out_action = kdi_at(p, KW_NULL) ? KD_AST_FK_SET_NULL : KD_AST_FK_SET_DEFAULT;
    if (!kdi_accept(p, KW_NULL))
        KD_TRY(kdi_expect(p, KW_DEFAULT));
    int32_t position = p->token.position;
    if (!kdi_at_token(p, '('))
        return KD_OK;
    if (columns == NULL)
        return kdi_fail_at(p, "0A000", position,
                           "a column list with SET NULL is only supported for ON DELETE actions");
    return kdi_name_parens(p, columns);
}

static kd_status references(kd_parser *p, kd_ast_constraint *node)
{
    node->what = KD_AST_CONSTRAINT_FOREIGN;
    KD_TRY(kdi_expect(p, KW_REFERENCES));
    KD_TRY(kdi_qualified_name(p, &node->references));
    KD_TRY(kdi_optional_name_parens(p, &node->references_columns));
    if (kdi_accept(p, KW_MATCH)) {
        if (kdi_accept(p, KW_FULL))
            node->match = KD_AST_MATCH_FULL;
        else if (kdi_accept(p, KW_PARTIAL))
            node->match = KD_AST_MATCH_PARTIAL;
        else
            KD_TRY(kdi_expect(p, KW_SIMPLE));
    }
    while (kdi_at(p, KW_ON) && (kdi_next_is(p, KW_DELETE) || kdi_next_is(p, KW_UPDATE))) {
        kdi_advance(p);
        if (kdi_accept(p, KW_DELETE)) {
            KD_TRY(fk_action(p, &node->on_delete, &node->on_delete_columns));
        } else {
            kdi_advance(p);
            KD_TRY(fk_action(p, &node->on_update, NULL));
        }
    }
    return KD_OK;
}

static kd_status check(kd_parser *p, kd_ast_constraint *node)
{
    node->what = KD_AST_CONSTRAINT_CHECK;
    kdi_advance(p);
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr(p, &node->value));
    return kdi_expect_token(p, ')');
}

/* GENERATED {ALWAYS | BY DEFAULT} AS IDENTITY [(options)], GENERATED ALWAYS AS (e) STORED */
static kd_status generated(kd_parser *p, kd_ast_constraint *node)
{
    kdi_advance(p);
    node->always = kdi_accept(p, KW_ALWAYS);
    if (!node->always) {
        KD_TRY(kdi_expect(p, KW_BY));
        KD_TRY(kdi_expect(p, KW_DEFAULT));
    }
    KD_TRY(kdi_expect(p, KW_AS));
    if (kdi_accept(p, KW_IDENTITY)) {
        node->what = KD_AST_CONSTRAINT_IDENTITY;
        if (!kdi_accept_token(p, '('))
            return KD_OK;
        KD_TRY(kdi_sequence_options(p, &node->options));
        return kdi_expect_token(p, ')');
    }
    node->what = KD_AST_CONSTRAINT_GENERATED;
    int32_t position = p->token.position;
    if (!node->always)
        return kdi_fail_at(p, "42601", position,
                           "for a generated column, GENERATED ALWAYS must be specified");
    KD_TRY(kdi_expect_token(p, '('));
    KD_TRY(kdi_expr(p, &node->value));
    KD_TRY(kdi_expect_token(p, ')'));
    node->is_virtual = !kdi_accept(p, KW_STORED);
    if (node->is_virtual)
        (void)kdi_accept_word(p, "virtual");
    return KD_OK;
}

static kd_status nulls_distinct(kd_parser *p, bool *out_not_distinct)
{
    if (!kdi_at(p, KW_NULLS) || (!kdi_next_is(p, KW_DISTINCT) && !kdi_next_is(p, KW_NOT)))
        return KD_OK;
    kdi_advance(p);
    *out_not_distinct = kdi_accept(p, KW_NOT);
    return kdi_expect(p, KW_DISTINCT);
}

/* PRIMARY KEY or UNIQUE [NULLS [NOT] DISTINCT]. */
static kd_status key_kind(kd_parser *p, kd_ast_constraint *node)
{
    bool is_primary = kdi_at(p, KW_PRIMARY);
    kdi_advance(p);
    node->what = is_primary ? KD_AST_CONSTRAINT_PRIMARY : KD_AST_CONSTRAINT_UNIQUE;
    return is_primary ? kdi_expect(p, KW_KEY) : nulls_distinct(p, &node->nulls_not_distinct);
}

/* What PRIMARY KEY, UNIQUE and EXCLUDE end with. */
static kd_status index_parameters(kd_parser *p, kd_ast_constraint *node)
{
    if (kdi_accept(p, KW_INCLUDE))
        KD_TRY(kdi_name_parens(p, &node->include));
    if (kdi_at(p, KW_WITH) && kdi_next_is_token(p, '(')) {
        kdi_advance(p);
        KD_TRY(kdi_option_parens(p, &node->options));
    }
    if (kdi_accept(p, KW_USING)) {
        KD_TRY(kdi_expect(p, KW_INDEX));
        KD_TRY(kdi_expect(p, KW_TABLESPACE));
        KD_TRY(kdi_name(p, &node->tablespace));
    }
    return KD_OK;
}

kd_status kdi_constraint_attributes(kd_parser *p, kd_ast_constraint *node)
{
    for (;;) {
        if (kdi_accept_two(p, KW_NOT, KW_DEFERRABLE)) {
            node->not_deferrable = true;
        } else if (kdi_accept(p, KW_DEFERRABLE)) {
            node->deferrable = true;
        } else if (kdi_accept(p, KW_INITIALLY)) {
            node->initially_deferred = kdi_accept(p, KW_DEFERRED);
            if (!node->initially_deferred)
                KD_TRY(kdi_expect(p, KW_IMMEDIATE));
            else if (!node->not_deferrable)
                node->deferrable = true;
        } else if (kdi_accept_two(p, KW_NOT, KW_VALID)) {
            node->not_valid = true;
        } else if (kdi_accept_two(p, KW_NO, KW_INHERIT)) {
            node->no_inherit = true;
        } else {
            break;
        }
        if (node->not_deferrable && (node->deferrable || node->initially_deferred))
            return kdi_fail_at(p, "42601", p->previous.position,
                               "conflicting constraint properties");
    }
    return KD_OK;
}

/* Only keys and references can be deferred. */
static kd_status own_attributes(kd_parser *p, kd_ast_constraint *node, bool of_column)
{
    int32_t position = p->token.position;
    KD_TRY(kdi_constraint_attributes(p, node));
    if (node->what == KD_AST_CONSTRAINT_PRIMARY || node->what == KD_AST_CONSTRAINT_UNIQUE ||
        node->what == KD_AST_CONSTRAINT_FOREIGN)
        return KD_OK;
    if (of_column && (node->deferrable || node->not_deferrable))
        return kdi_fail_at(p, "42601", position, "misplaced DEFERRABLE clause");
    if (node->deferrable)
        return kdi_fail_at(p, "0A000", position, "CHECK constraints cannot be marked DEFERRABLE");
    return KD_OK;
}

static kd_status new_constraint(kd_parser *p, kd_ast_constraint **out)
{
    kd_ast_constraint *node = KDI_NODE(p, KD_AST_CONSTRAINT, kd_ast_constraint);
    *out = node;
    if (node == NULL)
        return KD_NOMEM;
    node->references = kdi_no_name();
    return kdi_accept(p, KW_CONSTRAINT) ? kdi_name(p, &node->name) : KD_OK;
}

static kd_status column_constraint_body(kd_parser *p, kd_ast_constraint *node)
{
    switch (p->token.keyword) {
    case KW_NOT:
        kdi_advance(p);
        node->what = KD_AST_CONSTRAINT_NOT_NULL;
        return kdi_expect(p, KW_NULL);
    case KW_NULL:
        kdi_advance(p);
        node->what = KD_AST_CONSTRAINT_NULL;
        return KD_OK;
    case KW_DEFAULT:
        kdi_advance(p);
        node->what = KD_AST_CONSTRAINT_DEFAULT;
        return kdi_restricted_expr(p, &node->value);
    case KW_CHECK:
        return check(p, node);
    case KW_PRIMARY:
    case KW_UNIQUE:
        KD_TRY(key_kind(p, node));
        return index_parameters(p, node);
    case KW_REFERENCES:
        return references(p, node);
    case KW_GENERATED:
        return generated(p, node);
    default:
        return kdi_syntax_error(p, "a constraint");
    }
}

static bool at_column_constraint(const kd_parser *p)
{
    switch (p->token.keyword) {
    case KW_CONSTRAINT:
    case KW_NOT:
    case KW_NULL:
    case KW_DEFAULT:
    case KW_CHECK:
    case KW_PRIMARY:
    case KW_UNIQUE:
    case KW_REFERENCES:
    case KW_GENERATED:
        return true;
    default:
        return false;
    }
}

static kd_status column_constraints(kd_parser *p, kd_ast_column_def *column)
{
    for (;;) {
        if (kdi_accept(p, KW_COLLATE)) {
            KD_TRY(kdi_qualified_name(p, &column->collation));
            continue;
        }
        if (!at_column_constraint(p))
            return KD_OK;
        kd_ast_constraint *node;
        KD_TRY(new_constraint(p, &node));
        KD_TRY(column_constraint_body(p, node));
        KD_TRY(own_attributes(p, node, true));
        kdi_finish(p, &node->node);
        KD_TRY(kdi_push(p, &column->constraints, &node->node));
    }
}

kd_status kdi_column_def(kd_parser *p, kd_ast_column_def **out_column)
{
    kd_ast_column_def *column = KDI_NODE(p, KD_AST_COLUMN_DEF, kd_ast_column_def);
    *out_column = column;
    if (column == NULL)
        return KD_NOMEM;
    column->collation = kdi_no_name();
    KD_TRY(kdi_name(p, &column->name));
    if (kdi_accept(p, KW_WITH)) {
        KD_TRY(kdi_expect(p, KW_OPTIONS)); /* column WITH OPTIONS constraint, in a partition */
    } else if (!at_column_constraint(p) && !kdi_at_token(p, ',') && !kdi_at_token(p, ')')) {
        column->has_type = true;
        KD_TRY(kdi_type(p, &column->type));
    }
    if (kdi_accept(p, KW_STORAGE))
        KD_TRY(kdi_label(p, &column->storage));
    if (kdi_accept(p, KW_COMPRESSION))
        KD_TRY(kdi_label(p, &column->compression));
    KD_TRY(column_constraints(p, column));
    kdi_finish(p, &column->node);
    return KD_OK;
}

/* ---- Table constraints ---- */

bool kdi_at_table_constraint(kd_parser *p)
{
    switch (p->token.keyword) {
    case KW_CONSTRAINT:
    case KW_CHECK:
    case KW_UNIQUE:
    case KW_PRIMARY:
    case KW_FOREIGN:
        return true;
    case KW_EXCLUDE:
        return kdi_next_is(p, KW_USING) || kdi_next_is_token(p, '(');
    default:
        return false;
    }
}

static kd_status key_columns(kd_parser *p, kd_ast_constraint *node)
{
    if (kdi_accept_two(p, KW_USING, KW_INDEX))
        return kdi_name(p, &node->using_index);
    KD_TRY(kdi_name_parens(p, &node->columns));
    return index_parameters(p, node);
}

/* Rows that are equal in some columns exclude each other: that is UNIQUE. Anything else would need
 * an index of ranges. */
static kd_status exclusion(kd_parser *p, kd_ast_constraint *node)
{
    node->what = KD_AST_CONSTRAINT_UNIQUE;
    node->is_exclusion = true;
    if (kdi_accept(p, KW_USING)) {
        kd_slice method;
        KD_TRY(kdi_name(p, &method));
    }
    KD_TRY(kdi_expect_token(p, '('));
    do {
        int32_t position = p->token.position;
        kd_slice *added;
        kd_slice name;
        if (kdi_at_token(p, '('))
            return kdi_unsupported(p, position, "EXCLUDE over expressions (use a UNIQUE index)");
        KD_TRY(kdi_name(p, &name));
        KD_TRY(kdi_expect(p, KW_WITH));
        if (!kdi_accept_token(p, '=')) {
            kd_status status =
                kdi_unsupported(p, p->token.position, "EXCLUDE with operators other than =");
            kd_error_set_hint(p->ctx, "Look for rows in the way in a SERIALIZABLE transaction.");
            return status;
        }
        KD_TRY(KD_PUSH(p->ctx, p->arena, node->columns.items, node->columns.count,
                       node->columns.capacity, &added));
        *added = name;
    } while (kdi_accept_token(p, ','));
    KD_TRY(kdi_expect_token(p, ')'));
    KD_TRY(index_parameters(p, node));
    if (kdi_at(p, KW_WHERE))
        return kdi_unsupported(p, p->token.position,
                               "EXCLUDE with WHERE (use a partial UNIQUE index)");
    return KD_OK;
}

static kd_status table_constraint_body(kd_parser *p, kd_ast_constraint *node)
{
    switch (p->token.keyword) {
    case KW_CHECK:
        return check(p, node);
    case KW_PRIMARY:
    case KW_UNIQUE:
        KD_TRY(key_kind(p, node));
        return key_columns(p, node);
    case KW_FOREIGN:
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_KEY));
        KD_TRY(kdi_name_parens(p, &node->columns));
        return references(p, node);
    case KW_EXCLUDE:
        kdi_advance(p);
        return exclusion(p, node);
    default:
        return kdi_syntax_error(p, "CHECK, PRIMARY KEY, UNIQUE or FOREIGN KEY");
    }
}

kd_status kdi_table_constraint(kd_parser *p, kd_ast_constraint **out)
{
    KD_TRY(new_constraint(p, out));
    KD_TRY(table_constraint_body(p, *out));
    KD_TRY(own_attributes(p, *out, false));
    kdi_finish(p, &(*out)->node);
    return KD_OK;
}

kd_status kdi_domain_constraint(kd_parser *p, kd_ast_constraint **out)
{
    KD_TRY(new_constraint(p, out));
    bool is_allowed =
        kdi_at(p, KW_NOT) || kdi_at(p, KW_NULL) || kdi_at(p, KW_CHECK) || kdi_at(p, KW_DEFAULT);
    if (!is_allowed)
        return kdi_syntax_error(p, "CHECK, NOT NULL or DEFAULT");
    KD_TRY(column_constraint_body(p, *out));
    KD_TRY(kdi_constraint_attributes(p, *out));
    kdi_finish(p, &(*out)->node);
    return KD_OK;
}

kd_status kdi_identity(kd_parser *p, kd_ast_constraint **out)
{
    KD_TRY(new_constraint(p, out));
    KD_TRY(generated(p, *out));
    if ((*out)->what != KD_AST_CONSTRAINT_IDENTITY)
        return kdi_fail_at(p, "42601", (*out)->node.position, "IDENTITY is expected here");
    kdi_finish(p, &(*out)->node);
    return KD_OK;
}
