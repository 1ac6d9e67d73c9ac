/*
 * ALTER TABLE, and the same actions on indexes and views.
 */
#include "sql/parser_internal.h"

static kd_status add_action(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_at_table_constraint(p) && !(kdi_at(p, KW_UNIQUE) && kdi_next_is(p, KW_INDEX))) {
        a->what = KD_AST_ADD_CONSTRAINT;
        return kdi_table_constraint(p, &a->constraint);
    }
    if (kdi_at(p, KW_UNIQUE) ||
        (kdi_at(p, KW_INDEX) &&
         (kdi_next_is_token(p, '(') || kdi_next_is(p, KW_USING) || kdi_peek(p, 2)->kind == '(' ||
          kdi_peek(p, 2)->keyword == KW_USING))) {
        a->what = KD_AST_ADD_INDEX;
        return kdi_inline_index(p, &a->index);
    }
    a->what = KD_AST_ADD_COLUMN;
    (void)kdi_accept(p, KW_COLUMN);
    KD_TRY(kdi_if_not_exists(p, &a->if_not_exists));
    KD_TRY(kdi_column_def(p, &a->column_def));
    return a->column_def->has_type ? KD_OK : kdi_syntax_error(p, "a type");
}

static kd_status drop_action(kd_parser *p, kd_ast_alter_action *a)
{
    a->what = KD_AST_DROP_COLUMN;
    if (kdi_accept(p, KW_CONSTRAINT))
        a->what = KD_AST_DROP_CONSTRAINT;
    else
        (void)kdi_accept(p, KW_COLUMN);
    KD_TRY(kdi_if_exists(p, &a->if_exists));
    KD_TRY(kdi_name(p, &a->name));
    a->behavior = kdi_behavior(p);
    return KD_OK;
}

/* ---- ALTER [COLUMN] c ... ---- */

static kd_status column_type(kd_parser *p, kd_ast_alter_action *a)
{
    a->what = KD_AST_ALTER_TYPE;
    KD_TRY(kdi_expect(p, KW_TYPE));
    KD_TRY(kdi_type(p, &a->type));
    if (kdi_accept(p, KW_COLLATE))
        KD_TRY(kdi_qualified_name(p, &a->collation));
    return kdi_accept(p, KW_USING) ? kdi_expr(p, &a->value) : KD_OK;
}

static kd_status drop_of_column(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_accept(p, KW_DEFAULT)) {
        a->what = KD_AST_DROP_DEFAULT;
        return KD_OK;
    }
    if (kdi_accept(p, KW_NOT)) {
        a->what = KD_AST_DROP_NOT_NULL;
        return kdi_expect(p, KW_NULL);
    }
    a->what = kdi_at(p, KW_IDENTITY) ? KD_AST_DROP_IDENTITY : KD_AST_DROP_EXPRESSION;
    if (!kdi_accept(p, KW_IDENTITY) && !kdi_accept(p, KW_EXPRESSION))
        return kdi_syntax_error(p, "DEFAULT, NOT NULL, IDENTITY or EXPRESSION");
    return kdi_if_exists(p, &a->if_exists);
}

/* {SET GENERATED {ALWAYS | BY DEFAULT} | SET sequence option | RESTART [[WITH] n]} ... */
static kd_status identity_options(kd_parser *p, kd_ast_alter_action *a)
{
    a->what = KD_AST_SET_IDENTITY;
    for (;;) {
        if (kdi_at(p, KW_RESTART)) {
            KD_TRY(kdi_sequence_options(p, &a->options));
        } else if (kdi_accept_two(p, KW_SET, KW_GENERATED)) {
            bool always = kdi_accept(p, KW_ALWAYS);
            if (!always) {
                KD_TRY(kdi_expect(p, KW_BY));
                KD_TRY(kdi_expect(p, KW_DEFAULT));
            }
            KD_TRY(kdi_push_flag(p, &a->options, "generated", always));
        } else if (kdi_accept(p, KW_SET)) {
            size_t before = a->options.count;
            KD_TRY(kdi_sequence_options(p, &a->options));
            if (a->options.count == before)
                return kdi_syntax_error(p, "a sequence option");
        } else {
            return KD_OK;
        }
    }
}

static kd_status set_of_column(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_accept_two(p, KW_SET, KW_DEFAULT)) {
        a->what = KD_AST_SET_DEFAULT;
        return kdi_expr(p, &a->value);
    }
    if (kdi_accept_two(p, KW_SET, KW_NOT)) {
        a->what = KD_AST_SET_NOT_NULL;
        return kdi_expect(p, KW_NULL);
    }
    if (kdi_accept_two(p, KW_SET, KW_DATA))
        return column_type(p, a);
    if (kdi_accept_two(p, KW_SET, KW_STATISTICS)) {
        a->what = KD_AST_SET_STATISTICS;
        return kdi_restricted_expr(p, &a->value);
    }
    if (kdi_accept_two(p, KW_SET, KW_STORAGE)) {
        a->what = KD_AST_SET_STORAGE;
        return kdi_label(p, &a->new_name);
    }
    if (kdi_accept_two(p, KW_SET, KW_COMPRESSION)) {
        a->what = KD_AST_SET_COMPRESSION;
        return kdi_label(p, &a->new_name);
    }
    if (kdi_accept_two(p, KW_SET, KW_EXPRESSION)) {
        a->what = KD_AST_SET_EXPRESSION;
        KD_TRY(kdi_expect(p, KW_AS));
        KD_TRY(kdi_expect_token(p, '('));
        KD_TRY(kdi_expr(p, &a->value));
        return kdi_expect_token(p, ')');
    }
    if (kdi_next_is_token(p, '(')) {
        a->what = KD_AST_SET_COLUMN_OPTIONS;
        kdi_advance(p);
        return kdi_option_parens(p, &a->options);
    }
    return identity_options(p, a);
}

static kd_status alter_column(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_accept(p, KW_CONSTRAINT)) {
        a->what = KD_AST_ALTER_CONSTRAINT;
        KD_TRY(kdi_name(p, &a->name));
        a->constraint = KDI_NODE(p, KD_AST_CONSTRAINT, kd_ast_constraint);
        if (a->constraint == NULL)
            return KD_NOMEM;
        a->constraint->references = kdi_no_name();
        return kdi_constraint_attributes(p, a->constraint);
    }
    (void)kdi_accept(p, KW_COLUMN);
    KD_TRY(kdi_name(p, &a->name));
    if (kdi_at(p, KW_TYPE))
        return column_type(p, a);
    if (kdi_accept(p, KW_DROP))
        return drop_of_column(p, a);
    if (kdi_at(p, KW_SET))
        return set_of_column(p, a);
    if (kdi_at(p, KW_RESTART))
        return identity_options(p, a);
    if (!kdi_accept(p, KW_ADD))
        return kdi_syntax_error(p, "TYPE, SET, DROP or ADD");
    /* ADD GENERATED ... AS IDENTITY: a column constraint without its column. */
    if (!kdi_at(p, KW_GENERATED))
        return kdi_syntax_error(p, "GENERATED");
    a->what = KD_AST_ADD_IDENTITY;
    return kdi_identity(p, &a->constraint);
}

/* ---- SET, RESET and the rest ---- */

static kd_status set_action(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_at_token(p, '(')) {
        a->what = KD_AST_SET_OPTIONS;
        return kdi_option_parens(p, &a->options);
    }
    if (kdi_accept(p, KW_LOGGED) || kdi_accept(p, KW_UNLOGGED)) {
        a->what = p->previous.keyword == KW_LOGGED ? KD_AST_SET_LOGGED : KD_AST_SET_UNLOGGED;
        return KD_OK;
    }
    if (kdi_accept(p, KW_TABLESPACE)) {
        a->what = KD_AST_SET_TABLESPACE;
        return kdi_name(p, &a->new_name);
    }
    if (kdi_accept_two(p, KW_ACCESS, KW_METHOD)) {
        a->what = KD_AST_SET_METHOD;
        return kdi_label(p, &a->new_name);
    }
    KD_TRY(kdi_expect(p, KW_WITHOUT));
    a->what = KD_AST_SET_WITHOUT_CLUSTER;
    return kdi_accept(p, KW_OIDS) ? KD_OK : kdi_expect(p, KW_CLUSTER);
}

static kd_status reset_action(kd_parser *p, kd_ast_alter_action *a)
{
    a->what = KD_AST_SET_OPTIONS;
    KD_TRY(kdi_option_parens(p, &a->options));
    for (size_t i = 0; i < a->options.count; i++)
        ((kd_ast_option *)a->options.items[i])->reset = true;
    return KD_OK;
}

static kd_status replica_identity(kd_parser *p, kd_ast_alter_action *a)
{
    a->what = KD_AST_SET_REPLICA_IDENTITY;
    KD_TRY(kdi_expect(p, KW_IDENTITY));
    if (kdi_accept(p, KW_USING)) {
        KD_TRY(kdi_expect(p, KW_INDEX));
        return kdi_name(p, &a->name);
    }
    if (!kdi_at(p, KW_DEFAULT) && !kdi_at(p, KW_FULL) && !kdi_at(p, KW_NOTHING))
        return kdi_syntax_error(p, "DEFAULT, FULL, NOTHING or USING INDEX");
    return kdi_label(p, &a->new_name);
}

/* {ENABLE | DISABLE} TRIGGER t, [{ENABLE | DISABLE | FORCE | NO FORCE}] ROW LEVEL SECURITY */
static kd_status switch_action(kd_parser *p, kd_ast_alter_action *a)
{
    a->new_name = p->token.text;
    if (kdi_accept_two(p, KW_NO, KW_FORCE))
        a->new_name = KD_SLICE("no force");
    else
        kdi_advance(p);
    if (kdi_accept(p, KW_TRIGGER)) {
        a->what = KD_AST_SET_TRIGGER;
        return kdi_label(p, &a->name);
    }
    a->what = KD_AST_SET_ROW_SECURITY;
    KD_TRY(kdi_expect(p, KW_ROW));
    KD_TRY(kdi_expect(p, KW_LEVEL));
    return kdi_expect(p, KW_SECURITY);
}

static kd_status partition_action(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_accept(p, KW_ATTACH)) {
        a->what = KD_AST_ATTACH_PARTITION;
        KD_TRY(kdi_expect(p, KW_PARTITION));
        KD_TRY(kdi_qualified_name(p, &a->parent));
        if (kdi_at(p, KW_FOR) || kdi_at(p, KW_DEFAULT))
            return kdi_partition_bound(p, &a->bound);
        return KD_OK; /* ALTER INDEX ... ATTACH PARTITION has no bound. */
    }
    kdi_advance(p);
    a->what = KD_AST_DETACH_PARTITION;
    KD_TRY(kdi_expect(p, KW_PARTITION));
    KD_TRY(kdi_qualified_name(p, &a->parent));
    a->concurrently = kdi_accept(p, KW_CONCURRENTLY);
    a->finalize = !a->concurrently && kdi_accept(p, KW_FINALIZE);
    return KD_OK;
}

static kd_status action_body(kd_parser *p, kd_ast_alter_action *a)
{
    if (kdi_accept(p, KW_ADD))
        return add_action(p, a);
    if (kdi_accept(p, KW_DROP))
        return drop_action(p, a);
    if (kdi_accept(p, KW_ALTER))
        return alter_column(p, a);
    if (kdi_accept(p, KW_SET))
        return set_action(p, a);
    if (kdi_accept(p, KW_RESET))
        return reset_action(p, a);
    if (kdi_accept(p, KW_OWNER)) {
        a->what = KD_AST_SET_OWNER;
        KD_TRY(kdi_expect(p, KW_TO));
        return kdi_role(p, &a->new_name);
    }
    if (kdi_accept_two(p, KW_VALIDATE, KW_CONSTRAINT)) {
        a->what = KD_AST_VALIDATE_CONSTRAINT;
        return kdi_name(p, &a->name);
    }
    if (kdi_accept_two(p, KW_CLUSTER, KW_ON)) {
        a->what = KD_AST_CLUSTER_ON;
        return kdi_name(p, &a->name);
    }
    if (kdi_accept(p, KW_REPLICA))
        return replica_identity(p, a);
    if (kdi_at(p, KW_ATTACH) || kdi_at(p, KW_DETACH))
        return partition_action(p, a);
    if (kdi_accept(p, KW_INHERIT) || kdi_accept_two(p, KW_NO, KW_INHERIT)) {
        a->what = KD_AST_INHERIT;
        return kdi_unsupported(p, a->node.position, "INHERIT");
    }
    if (kdi_at(p, KW_ENABLE) || kdi_at(p, KW_DISABLE) || kdi_at(p, KW_FORCE) || kdi_at(p, KW_NO))
        return switch_action(p, a);
    return kdi_syntax_error(p, "ADD, DROP, ALTER, RENAME, SET, ...");
}

static kd_status actions(kd_parser *p, kd_ast_alter_table *table)
{
    do {
        kd_ast_alter_action *a = KDI_NODE(p, KD_AST_ALTER_ACTION, kd_ast_alter_action);
        if (a == NULL)
            return KD_NOMEM;
        a->collation = kdi_no_name();
        a->parent = kdi_no_name();
        KD_TRY(action_body(p, a));
        if (a->what == KD_AST_ATTACH_PARTITION && a->bound == NULL &&
            table->object != KD_AST_OBJECT_INDEX)
            return kdi_syntax_error(p, "FOR VALUES or DEFAULT");
        kdi_finish(p, &a->node);
        KD_TRY(kdi_push(p, &table->actions, &a->node));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

/* RENAME TO t, RENAME [COLUMN] a TO b, RENAME CONSTRAINT a TO b */
static kd_status rename_part(kd_parser *p, const kd_ast_alter_table *table, kd_ast_node **out)
{
    kd_ast_rename *node = KDI_NODE_AT(p, KD_AST_RENAME, kd_ast_rename, table->node.position);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    node->relation = table->object;
    node->object = table->object;
    node->if_exists = table->if_exists;
    node->name = table->name;
    if (!kdi_at(p, KW_TO)) {
        node->object =
            kdi_accept(p, KW_CONSTRAINT) ? KD_AST_OBJECT_CONSTRAINT : KD_AST_OBJECT_COLUMN;
        (void)kdi_accept(p, KW_COLUMN);
        KD_TRY(kdi_name(p, &node->member));
    }
    KD_TRY(kdi_expect(p, KW_TO));
    KD_TRY(kdi_name(p, &node->new_name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status move_to_schema(kd_parser *p, const kd_ast_alter_table *table, kd_ast_node **out)
{
    kd_ast_alter_set_schema *node =
        KDI_NODE_AT(p, KD_AST_ALTER_SET_SCHEMA, kd_ast_alter_set_schema, table->node.position);
    if (node == NULL)
        return KD_NOMEM;
    node->target = KDI_NODE_AT(p, KD_AST_OBJECT, kd_ast_object, table->name.position);
    if (node->target == NULL)
        return KD_NOMEM;
    node->target->name = table->name;
    node->target->node.end = table->name.end;
    node->object = table->object;
    node->if_exists = table->if_exists;
    KD_TRY(kdi_name(p, &node->schema));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_parse_alter_table(kd_parser *p, kd_ast_object_kind object, int32_t position,
                                kd_ast_node **out)
{
    kd_ast_alter_table *node = KDI_NODE_AT(p, KD_AST_ALTER_TABLE, kd_ast_alter_table, position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = object;
    KD_TRY(kdi_if_exists(p, &node->if_exists));
    kd_ast_table_ref *table;
    KD_TRY(kdi_relation(p, &table));
    node->name = table->name;
    node->only = table->only;
    if (kdi_at(p, KW_RENAME))
        return rename_part(p, node, out);
    if (kdi_accept_two(p, KW_SET, KW_SCHEMA))
        return move_to_schema(p, node, out);
    KD_TRY(actions(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
