/*
 * CREATE TYPE and ALTER TYPE: enums and composite types.
 */
#include "sql/parser_internal.h"

/* ---- Enums ---- */

static kd_status enum_labels(kd_parser *p, kd_ast_names *labels)
{
    KD_TRY(kdi_expect_token(p, '('));
    while (!kdi_at_token(p, ')')) {
        kd_slice label;
        KD_TRY(kdi_string(p, &label));
        KD_TRY(kdi_push_name(p, labels, label));
        if (!kdi_at_token(p, ')')) {
            KD_TRY(kdi_expect_token(p, ','));
            if (kdi_at_token(p, ')'))
                return kdi_syntax_error(p, "a string");
        }
    }
    kdi_advance(p);
    return KD_OK;
}

static kd_status add_label(kd_parser *p, kd_ast_alter_enum *node)
{
    KD_TRY(kdi_if_not_exists(p, &node->if_not_exists));
    KD_TRY(kdi_string(p, &node->label));
    node->is_after = kdi_accept(p, KW_AFTER);
    node->has_neighbor = node->is_after || kdi_accept(p, KW_BEFORE);
    return node->has_neighbor ? kdi_string(p, &node->neighbor) : KD_OK;
}

static kd_status alter_enum(kd_parser *p, int32_t position, const kd_ast_name *name,
                            kd_ast_node **out)
{
    kd_ast_alter_enum *node = KDI_NODE_AT(p, KD_AST_ALTER_ENUM, kd_ast_alter_enum, position);
    if (node == NULL)
        return KD_NOMEM;
    node->name = *name;
    node->is_rename = kdi_accept(p, KW_RENAME);
    if (!node->is_rename && !kdi_accept(p, KW_ADD))
        return kdi_syntax_error(p, "ADD VALUE, ADD ATTRIBUTE or RENAME");
    KD_TRY(kdi_expect(p, KW_VALUE));
    if (node->is_rename) {
        KD_TRY(kdi_string(p, &node->label));
        KD_TRY(kdi_expect(p, KW_TO));
        KD_TRY(kdi_string(p, &node->new_label));
    } else {
        KD_TRY(add_label(p, node));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- Composite types ---- */

/* name type [COLLATE c] */
static kd_status attribute(kd_parser *p, kd_ast_column_def **out)
{
    kd_ast_column_def *node = KDI_NODE(p, KD_AST_COLUMN_DEF, kd_ast_column_def);
    *out = node;
    if (node == NULL)
        return KD_NOMEM;
    node->collation = kdi_no_name();
    node->has_type = true;
    KD_TRY(kdi_name(p, &node->name));
    KD_TRY(kdi_type(p, &node->type));
    if (kdi_accept(p, KW_COLLATE))
        KD_TRY(kdi_qualified_name(p, &node->collation));
    kdi_finish(p, &node->node);
    return KD_OK;
}

static kd_status attributes(kd_parser *p, kd_ast_list *list)
{
    KD_TRY(kdi_expect_token(p, '('));
    if (kdi_accept_token(p, ')'))
        return KD_OK;
    do {
        kd_ast_column_def *node;
        KD_TRY(attribute(p, &node));
        KD_TRY(kdi_push(p, list, &node->node));
    } while (kdi_accept_token(p, ','));
    return kdi_expect_token(p, ')');
}

kd_status kdi_create_type(kd_parser *p, int32_t position, kd_ast_node **out)
{
    kd_ast_name name;
    KD_TRY(kdi_qualified_name(p, &name));
    bool is_enum = kdi_at(p, KW_AS) && kdi_next_is(p, KW_ENUM);
    if (!is_enum && !(kdi_at(p, KW_AS) && kdi_next_is_token(p, '(')))
        return kdi_unsupported(p, position, "CREATE TYPE other than AS ENUM and AS (...)");
    kdi_advance(p);
    if (is_enum) {
        kd_ast_create_enum *node = KDI_NODE_AT(p, KD_AST_CREATE_ENUM, kd_ast_create_enum, position);
        if (node == NULL)
            return KD_NOMEM;
        node->name = name;
        kdi_advance(p);
        KD_TRY(enum_labels(p, &node->labels));
        *out = &node->node;
    } else {
        kd_ast_create_composite *node =
            KDI_NODE_AT(p, KD_AST_CREATE_COMPOSITE, kd_ast_create_composite, position);
        if (node == NULL)
            return KD_NOMEM;
        node->name = name;
        KD_TRY(attributes(p, &node->attributes));
        *out = &node->node;
    }
    kdi_finish(p, *out);
    return KD_OK;
}

static kd_status rename_attribute(kd_parser *p, int32_t position, const kd_ast_name *name,
                                  kd_ast_node **out)
{
    kd_ast_rename *node = KDI_NODE_AT(p, KD_AST_RENAME, kd_ast_rename, position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = KD_AST_OBJECT_COLUMN;
    node->relation = KD_AST_OBJECT_TYPE;
    node->name = *name;
    KD_TRY(kdi_name(p, &node->member));
    KD_TRY(kdi_expect(p, KW_TO));
    KD_TRY(kdi_name(p, &node->new_name));
    node->behavior = kdi_behavior(p);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status attribute_action(kd_parser *p, kd_ast_alter_action *action)
{
    action->parent = kdi_no_name();
    action->collation = kdi_no_name();
    if (kdi_accept_two(p, KW_ADD, KW_ATTRIBUTE)) {
        action->what = KD_AST_ADD_COLUMN;
        KD_TRY(attribute(p, &action->column_def));
    } else if (kdi_accept_two(p, KW_DROP, KW_ATTRIBUTE)) {
        action->what = KD_AST_DROP_COLUMN;
        KD_TRY(kdi_if_exists(p, &action->if_exists));
        KD_TRY(kdi_name(p, &action->name));
    } else {
        action->what = KD_AST_ALTER_TYPE;
        KD_TRY(kdi_expect(p, KW_ALTER));
        KD_TRY(kdi_expect(p, KW_ATTRIBUTE));
        KD_TRY(kdi_name(p, &action->name));
        if (kdi_accept(p, KW_SET))
            KD_TRY(kdi_expect(p, KW_DATA));
        KD_TRY(kdi_expect(p, KW_TYPE));
        KD_TRY(kdi_type(p, &action->type));
        if (kdi_accept(p, KW_COLLATE))
            KD_TRY(kdi_qualified_name(p, &action->collation));
    }
    action->behavior = kdi_behavior(p);
    kdi_finish(p, &action->node);
    return KD_OK;
}

static kd_status alter_composite(kd_parser *p, int32_t position, const kd_ast_name *name,
                                 kd_ast_node **out)
{
    kd_ast_alter_composite *node =
        KDI_NODE_AT(p, KD_AST_ALTER_COMPOSITE, kd_ast_alter_composite, position);
    if (node == NULL)
        return KD_NOMEM;
    node->name = *name;
    do {
        kd_ast_alter_action *action = KDI_NODE(p, KD_AST_ALTER_ACTION, kd_ast_alter_action);
        if (action == NULL)
            return KD_NOMEM;
        KD_TRY(attribute_action(p, action));
        KD_TRY(kdi_push(p, &node->actions, &action->node));
    } while (kdi_accept_token(p, ','));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_alter_type(kd_parser *p, int32_t position, const kd_ast_name *name, kd_ast_node **out)
{
    if (!kdi_next_is(p, KW_ATTRIBUTE))
        return alter_enum(p, position, name, out);
    if (kdi_accept_two(p, KW_RENAME, KW_ATTRIBUTE))
        return rename_attribute(p, position, name, out);
    return alter_composite(p, position, name, out);
}
