/*
 * ALTER of everything but tables' actions.
 */
#include "sql/parser_internal.h"

typedef struct altered {
    int32_t position;
    kd_ast_object_kind object;
    bool if_exists;
    kd_ast_object *target;
} altered;

static kd_status rename_object(kd_parser *p, const altered *a, kd_ast_node **out)
{
    kd_ast_rename *node = KDI_NODE_AT(p, KD_AST_RENAME, kd_ast_rename, a->position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = a->object;
    node->relation = a->object;
    node->if_exists = a->if_exists;
    node->name = a->target->name;
    node->member = a->target->member;
    node->target = a->target;
    KD_TRY(kdi_expect(p, KW_TO));
    KD_TRY(kdi_name(p, &node->new_name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status alter_owner(kd_parser *p, const altered *a, kd_ast_node **out)
{
    kd_ast_alter_owner *node = KDI_NODE_AT(p, KD_AST_ALTER_OWNER, kd_ast_alter_owner, a->position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = a->object;
    node->target = a->target;
    KD_TRY(kdi_expect(p, KW_TO));
    KD_TRY(kdi_role(p, &node->owner));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status alter_set_schema(kd_parser *p, const altered *a, kd_ast_node **out)
{
    kd_ast_alter_set_schema *node =
        KDI_NODE_AT(p, KD_AST_ALTER_SET_SCHEMA, kd_ast_alter_set_schema, a->position);
    if (node == NULL)
        return KD_NOMEM;
    node->object = a->object;
    node->if_exists = a->if_exists;
    node->target = a->target;
    KD_TRY(kdi_name(p, &node->schema));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status alter_sequence(kd_parser *p, const altered *a, kd_ast_node **out)
{
    kd_ast_alter_sequence *node =
        KDI_NODE_AT(p, KD_AST_ALTER_SEQUENCE, kd_ast_alter_sequence, a->position);
    if (node == NULL)
        return KD_NOMEM;
    node->name = a->target->name;
    node->if_exists = a->if_exists;
    KD_TRY(kdi_sequence_options(p, &node->options));
    if (kdi_accept_two(p, KW_SET, KW_LOGGED))
        KD_TRY(kdi_push_flag(p, &node->options, "logged", true));
    else if (kdi_accept_two(p, KW_SET, KW_UNLOGGED))
        KD_TRY(kdi_push_flag(p, &node->options, "logged", false));
    if (node->options.count == 0)
        return kdi_syntax_error(p, "a sequence option");
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- Domains ---- */

static kd_status domain_action(kd_parser *p, kd_ast_alter_action *action)
{
    if (kdi_accept_two(p, KW_SET, KW_DEFAULT)) {
        action->what = KD_AST_SET_DEFAULT;
        return kdi_expr(p, &action->value);
    }
    if (kdi_accept_two(p, KW_DROP, KW_DEFAULT)) {
        action->what = KD_AST_DROP_DEFAULT;
        return KD_OK;
    }
    if (kdi_accept_two(p, KW_SET, KW_NOT)) {
        action->what = KD_AST_SET_NOT_NULL;
        return kdi_expect(p, KW_NULL);
    }
    if (kdi_accept_two(p, KW_DROP, KW_NOT)) {
        action->what = KD_AST_DROP_NOT_NULL;
        return kdi_expect(p, KW_NULL);
    }
    if (kdi_accept_two(p, KW_VALIDATE, KW_CONSTRAINT)) {
        action->what = KD_AST_VALIDATE_CONSTRAINT;
        return kdi_name(p, &action->name);
    }
    if (kdi_accept_two(p, KW_DROP, KW_CONSTRAINT)) {
        action->what = KD_AST_DROP_CONSTRAINT;
        KD_TRY(kdi_if_exists(p, &action->if_exists));
        KD_TRY(kdi_name(p, &action->name));
        action->behavior = kdi_behavior(p);
        return KD_OK;
    }
    action->what = KD_AST_ADD_CONSTRAINT;
    KD_TRY(kdi_expect(p, KW_ADD));
    return kdi_domain_constraint(p, &action->constraint);
}

static kd_status alter_domain(kd_parser *p, const altered *a, kd_ast_node **out)
{
    if (kdi_accept_two(p, KW_RENAME, KW_CONSTRAINT)) {
        kd_ast_rename *rename = KDI_NODE_AT(p, KD_AST_RENAME, kd_ast_rename, a->position);
        if (rename == NULL)
            return KD_NOMEM;
        rename->object = KD_AST_OBJECT_DOMAIN_CONSTRAINT;
        rename->relation = KD_AST_OBJECT_DOMAIN;
        rename->name = a->target->name;
        KD_TRY(kdi_name(p, &rename->member));
        KD_TRY(kdi_expect(p, KW_TO));
        KD_TRY(kdi_name(p, &rename->new_name));
        kdi_finish(p, &rename->node);
        *out = &rename->node;
        return KD_OK;
    }
    kd_ast_alter_domain *node =
        KDI_NODE_AT(p, KD_AST_ALTER_DOMAIN, kd_ast_alter_domain, a->position);
    if (node == NULL)
        return KD_NOMEM;
    node->name = a->target->name;
    node->action = KDI_NODE(p, KD_AST_ALTER_ACTION, kd_ast_alter_action);
    if (node->action == NULL)
        return KD_NOMEM;
    node->action->parent = kdi_no_name();
    node->action->collation = kdi_no_name();
    KD_TRY(domain_action(p, node->action));
    kdi_finish(p, &node->action->node);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static kd_status alter_object(kd_parser *p, altered *a, kd_ast_node **out)
{
    KD_TRY(kdi_if_exists(p, &a->if_exists));
    KD_TRY(kdi_object(p, a->object, &a->target));
    if (kdi_at(p, KW_RENAME) && kdi_next_is(p, KW_TO)) {
        kdi_advance(p);
        return rename_object(p, a, out);
    }
    if (kdi_accept(p, KW_OWNER))
        return alter_owner(p, a, out);
    if (kdi_accept_two(p, KW_SET, KW_SCHEMA))
        return alter_set_schema(p, a, out);
    switch (a->object) {
    case KD_AST_OBJECT_DATABASE:
        return kdi_alter_settings(
            p, a->position,
            &(kd_ast_set){.scope = KD_AST_SET_OF_DATABASE, .database = a->target->name.name}, out);
    case KD_AST_OBJECT_SEQUENCE:
        return alter_sequence(p, a, out);
    case KD_AST_OBJECT_TYPE:
        return kdi_alter_type(p, a->position, &a->target->name, out);
    case KD_AST_OBJECT_DOMAIN:
        return alter_domain(p, a, out);
    case KD_AST_OBJECT_FUNCTION:
    case KD_AST_OBJECT_PROCEDURE:
    case KD_AST_OBJECT_ROUTINE:
        return kdi_parse_alter_routine(p, a->position, a->object, a->target, out);
    default:
        return kdi_syntax_error(p, "RENAME TO, OWNER TO or SET SCHEMA");
    }
}

kd_status kdi_alter(kd_parser *p, kd_ast_node **out)
{
    altered a = {.position = p->token.position};
    kdi_advance(p);
    if (kdi_at(p, KW_DEFAULT))
        return kdi_default_privileges(p, a.position, out);
    bool is_role = kdi_at(p, KW_ROLE) || kdi_at(p, KW_USER) || kdi_at(p, KW_GROUP);
    if (is_role)
        return kdi_role_statement(p, true, a.position, out);
    if (kdi_accept(p, KW_SYSTEM))
        return kdi_alter_settings(p, a.position, &(kd_ast_set){.scope = KD_AST_SET_OF_SYSTEM}, out);
    KD_TRY(kdi_object_kind(p, &a.object));
    switch (a.object) {
    case KD_AST_OBJECT_TABLE:
    case KD_AST_OBJECT_INDEX:
    case KD_AST_OBJECT_VIEW:
    case KD_AST_OBJECT_MATERIALIZED_VIEW:
        return kdi_parse_alter_table(p, a.object, a.position, out);
    case KD_AST_OBJECT_COLUMN:
    case KD_AST_OBJECT_CONSTRAINT:
        return kdi_syntax_error(p, "TABLE");
    default:
        return alter_object(p, &a, out);
    }
}
