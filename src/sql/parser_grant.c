/*
 * Roles and privileges.
 */
#include "sql/parser_internal.h"

/* ---- GRANT and REVOKE ---- */

static kd_status privilege(kd_parser *p, kd_ast_list *list)
{
    kd_ast_privilege *node = KDI_NODE(p, KD_AST_PRIVILEGE, kd_ast_privilege);
    if (node == NULL)
        return KD_NOMEM;
    node->name = p->token.text;
    bool is_word = kdi_at(p, KW_SELECT) || kdi_at(p, KW_REFERENCES) || kdi_at(p, KW_CREATE);
    if (kdi_accept(p, KW_ALTER)) {
        KD_TRY(kdi_expect(p, KW_SYSTEM));
        node->name = KD_SLICE("alter system");
    } else if (!is_word && !kdi_is_name(&p->token)) {
        return kdi_syntax_error(p, "a privilege or a role");
    } else {
        kdi_advance(p);
    }
    KD_TRY(kdi_optional_name_parens(p, &node->columns));
    kdi_finish(p, &node->node);
    return kdi_push(p, list, &node->node);
}

static kd_status privileges(kd_parser *p, kd_ast_list *list)
{
    if (kdi_at(p, KW_ALL)) {
        kd_ast_privilege *node = KDI_NODE(p, KD_AST_PRIVILEGE, kd_ast_privilege);
        if (node == NULL)
            return KD_NOMEM;
        node->name = KD_SLICE("all");
        kdi_advance(p);
        (void)kdi_accept(p, KW_PRIVILEGES);
        KD_TRY(kdi_optional_name_parens(p, &node->columns));
        kdi_finish(p, &node->node);
        return kdi_push(p, list, &node->node);
    }
    do {
        KD_TRY(privilege(p, list));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

/* TABLES, SEQUENCES, ...: the plural words. */
static kd_status plural_kind(kd_parser *p, kd_ast_object_kind *out_kind)
{
    if (kdi_accept(p, KW_TABLES))
        *out_kind = KD_AST_OBJECT_TABLE;
    else if (kdi_accept(p, KW_SEQUENCES))
        *out_kind = KD_AST_OBJECT_SEQUENCE;
    else if (kdi_accept(p, KW_FUNCTIONS))
        *out_kind = KD_AST_OBJECT_FUNCTION;
    else if (kdi_accept(p, KW_PROCEDURES))
        *out_kind = KD_AST_OBJECT_PROCEDURE;
    else if (kdi_accept(p, KW_ROUTINES))
        *out_kind = KD_AST_OBJECT_ROUTINE;
    else if (kdi_accept(p, KW_TYPES))
        *out_kind = KD_AST_OBJECT_TYPE;
    else if (kdi_accept(p, KW_SCHEMAS))
        *out_kind = KD_AST_OBJECT_SCHEMA;
    else
        return kdi_syntax_error(p, "TABLES, SEQUENCES, FUNCTIONS, ...");
    return KD_OK;
}

static kd_status grant_objects(kd_parser *p, kd_ast_grant *node)
{
    bool is_word = kdi_at(p, KW_TABLE) || kdi_at(p, KW_SEQUENCE) || kdi_at(p, KW_SCHEMA) ||
                   kdi_at(p, KW_DATABASE) || kdi_at(p, KW_FUNCTION) || kdi_at(p, KW_PROCEDURE) ||
                   kdi_at(p, KW_ROUTINE) || kdi_at(p, KW_TYPE) || kdi_at(p, KW_DOMAIN) ||
                   kdi_at(p, KW_LANGUAGE) || kdi_at(p, KW_TABLESPACE);
    kd_ast_object_kind listed = KD_AST_OBJECT_TABLE;
    if (kdi_accept(p, KW_ALL)) {
        KD_TRY(plural_kind(p, &node->object));
        KD_TRY(kdi_expect(p, KW_IN));
        KD_TRY(kdi_expect(p, KW_SCHEMA));
        node->all_in_schema = true;
        listed = KD_AST_OBJECT_SCHEMA;
    } else if (kdi_accept(p, KW_PARAMETER)) {
        node->object = listed = KD_AST_OBJECT_PARAMETER;
    } else if (is_word && !kdi_next_is_token(p, ',') && !kdi_next_is_token(p, '.')) {
        KD_TRY(kdi_object_kind(p, &node->object));
        listed = node->object;
    }
    do {
        kd_ast_object *object;
        KD_TRY(kdi_object(p, listed, &object));
        KD_TRY(kdi_push(p, &node->objects, &object->node));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

static kd_status grantees(kd_parser *p, kd_ast_names *names)
{
    do {
        kd_slice name;
        KD_TRY(kdi_role(p, &name));
        KD_TRY(kdi_push_name(p, names, name));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

static kd_status grant_tail(kd_parser *p, kd_ast_grant *node)
{
    KD_TRY(kdi_expect(p, node->is_revoke ? KW_FROM : KW_TO));
    KD_TRY(grantees(p, &node->grantees));
    if (!node->is_revoke && kdi_accept(p, KW_WITH)) {
        node->with_option = true;
        if (!kdi_accept(p, KW_GRANT))
            KD_TRY(kdi_expect(p, KW_ADMIN));
        KD_TRY(kdi_expect(p, KW_OPTION));
    }
    if (kdi_accept(p, KW_GRANTED)) {
        KD_TRY(kdi_expect(p, KW_BY));
        KD_TRY(kdi_role(p, &node->granted_by));
    }
    if (node->is_revoke)
        node->behavior = kdi_behavior(p);
    return KD_OK;
}

/* After GRANT or REVOKE. */
static kd_status grant_body(kd_parser *p, kd_ast_grant *node)
{
    if (node->is_revoke && (kdi_at(p, KW_GRANT) || kdi_at(p, KW_ADMIN)) &&
        kdi_next_is(p, KW_OPTION)) {
        kdi_advance(p);
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_FOR));
        node->option_only = true;
    }
    KD_TRY(privileges(p, &node->privileges));
    if (node->is_default) {
        KD_TRY(kdi_expect(p, KW_ON));
        KD_TRY(plural_kind(p, &node->object));
    } else if (kdi_accept(p, KW_ON)) {
        KD_TRY(grant_objects(p, node));
    } else {
        node->is_role = true;
    }
    return grant_tail(p, node);
}

kd_status kdi_grant(kd_parser *p, kd_ast_node **out)
{
    kd_ast_grant *node = KDI_NODE(p, KD_AST_GRANT, kd_ast_grant);
    if (node == NULL)
        return KD_NOMEM;
    node->is_revoke = kdi_at(p, KW_REVOKE);
    kdi_advance(p);
    KD_TRY(grant_body(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ALTER DEFAULT PRIVILEGES [FOR ROLE r] [IN SCHEMA s] {GRANT | REVOKE} ... */
kd_status kdi_default_privileges(kd_parser *p, int32_t position, kd_ast_node **out)
{
    kd_ast_grant *node = KDI_NODE_AT(p, KD_AST_GRANT, kd_ast_grant, position);
    if (node == NULL)
        return KD_NOMEM;
    node->is_default = true;
    kdi_advance(p);
    KD_TRY(kdi_expect(p, KW_PRIVILEGES));
    while (kdi_at(p, KW_FOR) || kdi_at(p, KW_IN)) {
        bool is_schema = kdi_accept(p, KW_IN);
        if (is_schema) {
            KD_TRY(kdi_expect(p, KW_SCHEMA));
            KD_TRY(kdi_name_list(p, &node->default_schemas));
            continue;
        }
        kdi_advance(p);
        if (!kdi_accept(p, KW_ROLE))
            KD_TRY(kdi_expect(p, KW_USER));
        KD_TRY(grantees(p, &node->default_roles));
    }
    node->is_revoke = kdi_accept(p, KW_REVOKE);
    if (!node->is_revoke)
        KD_TRY(kdi_expect(p, KW_GRANT));
    KD_TRY(grant_body(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- Roles ---- */

static kd_status role_list(kd_parser *p, kd_ast_list *list, const char *name)
{
    kd_ast_args *row = KDI_NODE(p, KD_AST_ROW, kd_ast_args);
    if (row == NULL)
        return KD_NOMEM;
    do {
        int32_t position = p->token.position;
        kd_slice role;
        KD_TRY(kdi_role(p, &role));
        kd_ast_node *value = kdi_string_constant(p, role, position);
        if (value == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_push(p, &row->args, value));
    } while (kdi_accept_token(p, ','));
    kdi_finish(p, &row->node);
    return kdi_push_option(p, list, name, &row->node);
}

/* Behind REASSIGN or DROP, at OWNED. */
kd_status kdi_owned_tail(kd_parser *p, int32_t position, bool is_reassign, kd_ast_node **out)
{
    kd_ast_owned *node = KDI_NODE_AT(p, KD_AST_OWNED, kd_ast_owned, position);
    if (node == NULL)
        return KD_NOMEM;
    node->is_reassign = is_reassign;
    KD_TRY(kdi_expect(p, KW_OWNED));
    KD_TRY(kdi_expect(p, KW_BY));
    KD_TRY(grantees(p, &node->roles));
    if (is_reassign) {
        KD_TRY(kdi_expect(p, KW_TO));
        KD_TRY(kdi_role(p, &node->new_role));
    } else {
        node->behavior = kdi_behavior(p);
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_reassign_owned(kd_parser *p, kd_ast_node **out)
{
    int32_t position = p->token.position;
    kdi_advance(p);
    return kdi_owned_tail(p, position, true, out);
}

/* SUPERUSER, NOLOGIN, ...: words that are no keywords. */
static kd_status role_flag(kd_parser *p, kd_ast_list *list, bool *out_found)
{
    static const char *const flags[] = {"superuser", "createdb",    "createrole",
                                        "login",     "replication", "bypassrls"};
    *out_found = false;
    if (kdi_accept(p, KW_INHERIT)) {
        *out_found = true;
        return kdi_push_flag(p, list, "inherit", true);
    }
    if (!kdi_at_token(p, TOKEN_IDENT))
        return KD_OK;
    kd_slice word = p->token.text;
    bool value = word.size_bytes < 3 || memcmp(word.data, "no", 2) != 0;
    kd_slice bare = value ? word : (kd_slice){word.data + 2, word.size_bytes - 2};
    if (!value && kd_slice_equal(bare, KD_SLICE("inherit"))) {
        kdi_advance(p);
        *out_found = true;
        return kdi_push_flag(p, list, "inherit", false);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!kd_slice_equal(bare, kd_slice_of(flags[i])))
            continue;
        kdi_advance(p);
        *out_found = true;
        return kdi_push_flag(p, list, flags[i], value);
    }
    return KD_OK;
}

static kd_status text_option(kd_parser *p, kd_ast_list *list, const char *name)
{
    int32_t position = p->token.position;
    kd_slice text;
    KD_TRY(kdi_string(p, &text));
    kd_ast_node *value = kdi_string_constant(p, text, position);
    return value == NULL ? KD_NOMEM : kdi_push_option(p, list, name, value);
}

/* NULL takes the password away: an option without a value. */
static kd_status password_option(kd_parser *p, kd_ast_list *list)
{
    if (kdi_accept(p, KW_NULL))
        return kdi_push_option(p, list, "password", NULL);
    return text_option(p, list, "password");
}

static kd_status limit_option(kd_parser *p, kd_ast_list *list)
{
    int32_t position = p->token.position;
    int64_t limit;
    KD_TRY(kdi_signed_integer(p, &limit));
    kd_ast_node *value = kdi_integer_constant(p, limit, position);
    return value == NULL ? KD_NOMEM : kdi_push_option(p, list, "connection_limit", value);
}

static kd_status role_option(kd_parser *p, kd_ast_list *list, bool *out_found)
{
    KD_TRY(role_flag(p, list, out_found));
    if (*out_found)
        return KD_OK;
    *out_found = true;
    if (kdi_accept(p, KW_ENCRYPTED)) {
        if (!kdi_at(p, KW_PASSWORD))
            return kdi_syntax_error(p, "PASSWORD");
    }
    if (kdi_accept(p, KW_PASSWORD))
        return password_option(p, list);
    if (kdi_accept_two(p, KW_CONNECTION, KW_LIMIT))
        return limit_option(p, list);
    if (kdi_accept_two(p, KW_VALID, KW_UNTIL))
        return text_option(p, list, "valid_until");
    if (kdi_accept_two(p, KW_IN, KW_ROLE) || kdi_accept_two(p, KW_IN, KW_GROUP))
        return role_list(p, list, "in_role");
    if (kdi_accept(p, KW_ROLE) || kdi_accept(p, KW_USER))
        return role_list(p, list, "role");
    if (kdi_accept(p, KW_ADMIN))
        return role_list(p, list, "admin");
    *out_found = false;
    return KD_OK;
}

/* ALTER ROLE r RENAME TO n */
static kd_status rename_role(kd_parser *p, const kd_ast_create_role *role, kd_ast_node **out)
{
    kd_ast_rename *rename = KDI_NODE_AT(p, KD_AST_RENAME, kd_ast_rename, role->node.position);
    if (rename == NULL)
        return KD_NOMEM;
    rename->object = rename->relation = KD_AST_OBJECT_ROLE;
    rename->name =
        (kd_ast_name){.position = role->node.position, .end = p->previous.end, .name = role->name};
    KD_TRY(kdi_name(p, &rename->new_name));
    kdi_finish(p, &rename->node);
    *out = &rename->node;
    return KD_OK;
}

/* ALTER GROUP g {ADD | DROP} USER u: memberships by another name. */
static kd_status alter_group(kd_parser *p, const kd_ast_create_role *role, kd_ast_node **out)
{
    kd_ast_grant *node = KDI_NODE_AT(p, KD_AST_GRANT, kd_ast_grant, role->node.position);
    kd_ast_privilege *group = KDI_NODE_AT(p, KD_AST_PRIVILEGE, kd_ast_privilege, p->token.position);
    if (node == NULL || group == NULL)
        return KD_NOMEM;
    node->is_role = true;
    node->is_revoke = p->previous.keyword == KW_DROP;
    group->name = role->name;
    KD_TRY(kdi_expect(p, KW_USER));
    KD_TRY(grantees(p, &node->grantees));
    KD_TRY(kdi_push(p, &node->privileges, &group->node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ALTER ROLE r [IN DATABASE d] {SET ... | RESET ...} */
static kd_status role_setting(kd_parser *p, const kd_ast_create_role *role, kd_ast_node **out)
{
    kd_ast_set whose = {.scope = KD_AST_SET_OF_ROLE, .role = role->name};
    if (kdi_accept_two(p, KW_IN, KW_DATABASE))
        KD_TRY(kdi_name(p, &whose.database));
    return kdi_alter_settings(p, role->node.position, &whose, out);
}

kd_status kdi_role_statement(kd_parser *p, bool is_alter, int32_t position, kd_ast_node **out)
{
    kd_ast_create_role *node = KDI_NODE_AT(p, KD_AST_CREATE_ROLE, kd_ast_create_role, position);
    if (node == NULL)
        return KD_NOMEM;
    node->is_alter = is_alter;
    node->is_user = kdi_at(p, KW_USER);
    bool is_group = kdi_at(p, KW_GROUP);
    kdi_advance(p);
    if (is_alter && !is_group && kdi_accept(p, KW_ALL))
        node->name = KD_SLICE("all");
    else
        KD_TRY(kdi_role(p, &node->name));
    if (is_alter && kdi_accept_two(p, KW_RENAME, KW_TO))
        return rename_role(p, node, out);
    if (is_alter && is_group && (kdi_accept(p, KW_ADD) || kdi_accept(p, KW_DROP)))
        return alter_group(p, node, out);
    bool is_setting = kdi_at(p, KW_SET) || kdi_at(p, KW_RESET) ||
                      (kdi_at(p, KW_IN) && kdi_next_is(p, KW_DATABASE));
    if (is_alter && is_setting)
        return role_setting(p, node, out);
    (void)kdi_accept(p, KW_WITH);
    bool found;
    do {
        KD_TRY(role_option(p, &node->options, &found));
    } while (found);
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
