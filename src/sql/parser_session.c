/*
 * Transactions, settings, prepared statements, cursors, notifications.
 */
#include "sql/parser_internal.h"

/* ---- Transactions ---- */

static kd_status isolation_level(kd_parser *p, kd_ast_isolation *out)
{
    KD_TRY(kdi_expect(p, KW_LEVEL));
    if (kdi_accept(p, KW_SERIALIZABLE)) {
        *out = KD_AST_SERIALIZABLE;
    } else if (kdi_accept_two(p, KW_REPEATABLE, KW_READ)) {
        *out = KD_AST_REPEATABLE_READ;
    } else if (kdi_accept_two(p, KW_READ, KW_COMMITTED)) {
        *out = KD_AST_READ_COMMITTED;
    } else if (kdi_accept_two(p, KW_READ, KW_UNCOMMITTED)) {
        *out = KD_AST_READ_UNCOMMITTED;
    } else {
        return kdi_syntax_error(p, "SERIALIZABLE, REPEATABLE READ or READ COMMITTED");
    }
    return KD_OK;
}

static kd_status transaction_mode(kd_parser *p, kd_ast_transaction_modes *modes, bool *out_found)
{
    *out_found = true;
    if (kdi_accept(p, KW_ISOLATION))
        return isolation_level(p, &modes->isolation);
    if (kdi_accept_two(p, KW_READ, KW_ONLY))
        modes->read_only = KD_AST_ON;
    else if (kdi_accept_two(p, KW_READ, KW_WRITE))
        modes->read_only = KD_AST_OFF;
    else if (kdi_accept(p, KW_DEFERRABLE))
        modes->deferrable = KD_AST_ON;
    else if (kdi_accept_two(p, KW_NOT, KW_DEFERRABLE))
        modes->deferrable = KD_AST_OFF;
    else
        *out_found = false;
    return KD_OK;
}

static kd_status transaction_modes(kd_parser *p, kd_ast_transaction_modes *modes)
{
    bool found;
    KD_TRY(transaction_mode(p, modes, &found));
    while (found) {
        bool has_comma = kdi_accept_token(p, ',');
        KD_TRY(transaction_mode(p, modes, &found));
        if (has_comma && !found)
            return kdi_syntax_error(p, "a transaction mode");
    }
    return KD_OK;
}

static void transaction_noise(kd_parser *p)
{
    if (!kdi_accept(p, KW_WORK))
        (void)kdi_accept(p, KW_TRANSACTION);
}

static kd_status chain(kd_parser *p, kd_ast_transaction *node)
{
    if (!kdi_accept(p, KW_AND))
        return KD_OK;
    node->chain = kdi_accept(p, KW_NO) ? KD_AST_OFF : KD_AST_ON;
    return kdi_expect(p, KW_CHAIN);
}

static kd_status commit_or_rollback(kd_parser *p, kd_ast_transaction *node, bool is_commit)
{
    if (kdi_accept(p, KW_PREPARED)) {
        node->what = is_commit ? KD_AST_COMMIT_PREPARED : KD_AST_ROLLBACK_PREPARED;
        return kdi_string(p, &node->name);
    }
    node->what = is_commit ? KD_AST_COMMIT : KD_AST_ROLLBACK;
    transaction_noise(p);
    if (!is_commit && kdi_accept(p, KW_TO)) {
        node->what = KD_AST_ROLLBACK_TO;
        (void)kdi_accept(p, KW_SAVEPOINT);
        return kdi_name(p, &node->name);
    }
    return chain(p, node);
}

static kd_status transaction_body(kd_parser *p, kd_ast_transaction *node, kdi_keyword word)
{
    switch (word) {
    case KW_BEGIN:
        transaction_noise(p);
        return transaction_modes(p, &node->modes);
    case KW_START:
        KD_TRY(kdi_expect(p, KW_TRANSACTION));
        return transaction_modes(p, &node->modes);
    case KW_COMMIT:
    case KW_END:
        return commit_or_rollback(p, node, true);
    case KW_ROLLBACK:
    case KW_ABORT:
        return commit_or_rollback(p, node, false);
    case KW_SAVEPOINT:
        node->what = KD_AST_SAVEPOINT;
        return kdi_name(p, &node->name);
    case KW_RELEASE:
        node->what = KD_AST_RELEASE;
        (void)kdi_accept(p, KW_SAVEPOINT);
        return kdi_name(p, &node->name);
    default: /* PREPARE TRANSACTION */
        node->what = KD_AST_PREPARE_TRANSACTION;
        KD_TRY(kdi_expect(p, KW_TRANSACTION));
        return kdi_string(p, &node->name);
    }
}

kd_status kdi_transaction(kd_parser *p, kd_ast_node **out)
{
    kd_ast_transaction *node = KDI_NODE(p, KD_AST_TRANSACTION, kd_ast_transaction);
    if (node == NULL)
        return KD_NOMEM;
    kdi_keyword word = (kdi_keyword)p->token.keyword;
    kdi_advance(p);
    KD_TRY(transaction_body(p, node, word));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- SET ---- */

static kd_status setting_name(kd_parser *p, kd_slice *out_name)
{
    KD_TRY(kdi_name(p, out_name));
    if (!kdi_at_token(p, '.'))
        return KD_OK;
    kd_buffer joined = kd_buffer_in(p->arena);
    KD_TRY(kd_buffer_append_slice(p->ctx, &joined, *out_name));
    while (kdi_accept_token(p, '.')) {
        kd_slice part;
        KD_TRY(kdi_label(p, &part));
        KD_TRY(kd_buffer_append_byte(p->ctx, &joined, '.'));
        KD_TRY(kd_buffer_append_slice(p->ctx, &joined, part));
    }
    *out_name = kd_buffer_slice(&joined);
    return KD_OK;
}

static kd_status setting_value(kd_parser *p, kd_ast_list *list)
{
    kd_ast_node *value;
    if (kdi_is_label(&p->token)) {
        kd_slice text = p->token.text;
        kdi_advance(p);
        value = kdi_string_constant(p, text, p->previous.position);
        return value == NULL ? KD_NOMEM : kdi_push(p, list, value);
    }
    bool is_constant = kdi_at_token(p, TOKEN_STRING) || kdi_at_token(p, TOKEN_INTEGER) ||
                       kdi_at_token(p, TOKEN_DECIMAL) || kdi_at_token(p, '-') ||
                       kdi_at_token(p, '+');
    if (!is_constant)
        return kdi_syntax_error(p, "a value");
    KD_TRY(kdi_restricted_expr(p, &value));
    return kdi_push(p, list, value);
}

static kd_status setting_values(kd_parser *p, kd_ast_set *node)
{
    if (kdi_accept(p, KW_DEFAULT)) {
        node->what = KD_AST_SET_TO_DEFAULT;
        return KD_OK;
    }
    do {
        KD_TRY(setting_value(p, &node->values));
    } while (kdi_accept_token(p, ','));
    return KD_OK;
}

static kd_status set_time_zone(kd_parser *p, kd_ast_set *node)
{
    node->name = KD_SLICE("timezone");
    if (kdi_accept(p, KW_LOCAL) || kdi_accept(p, KW_DEFAULT)) {
        node->what = KD_AST_SET_TO_DEFAULT;
        return KD_OK;
    }
    if (!kdi_at(p, KW_INTERVAL))
        return setting_value(p, &node->values);
    kd_ast_node *value;
    KD_TRY(kdi_primary(p, &value));
    return kdi_push(p, &node->values, value);
}

/* name { TO | = } values, name FROM CURRENT */
static kd_status assignment(kd_parser *p, kd_ast_set *node)
{
    KD_TRY(setting_name(p, &node->name));
    if (kdi_accept_two(p, KW_FROM, KW_CURRENT)) {
        node->what = KD_AST_SET_FROM_CURRENT;
        return KD_OK;
    }
    if (!kdi_accept(p, KW_TO) && !kdi_accept_token(p, '='))
        return kdi_syntax_error(p, "TO or \"=\"");
    return setting_values(p, node);
}

/* The forms of SET with words of their own. */
static kd_status set_special(kd_parser *p, kd_ast_set *node, bool *out_found)
{
    *out_found = true;
    if (kdi_accept_two(p, KW_TIME, KW_ZONE))
        return set_time_zone(p, node);
    if (kdi_at(p, KW_TRANSACTION) && !kdi_next_is(p, KW_TO) && !kdi_next_is_token(p, '=')) {
        kdi_advance(p);
        if (kdi_accept(p, KW_SNAPSHOT)) {
            node->what = KD_AST_SET_SNAPSHOT;
            return setting_value(p, &node->values);
        }
        node->what = KD_AST_SET_TRANSACTION;
        return transaction_modes(p, &node->modes);
    }
    if (kdi_accept_two(p, KW_SESSION, KW_CHARACTERISTICS)) {
        node->what = KD_AST_SET_CHARACTERISTICS;
        KD_TRY(kdi_expect(p, KW_AS));
        KD_TRY(kdi_expect(p, KW_TRANSACTION));
        return transaction_modes(p, &node->modes);
    }
    if (kdi_accept_two(p, KW_SESSION, KW_AUTHORIZATION)) {
        node->name = KD_SLICE("session_authorization");
        return setting_values(p, node);
    }
    bool is_assignment = kdi_next_is(p, KW_TO) || kdi_next_is_token(p, '=');
    if (kdi_at(p, KW_NAMES) && !is_assignment) {
        kdi_advance(p);
        node->name = KD_SLICE("client_encoding");
        if (kdi_at_token(p, ';') || kdi_at_token(p, TOKEN_END)) {
            node->what = KD_AST_SET_TO_DEFAULT;
            return KD_OK;
        }
        return setting_values(p, node);
    }
    if (kdi_at(p, KW_ROLE) && !is_assignment) {
        kdi_advance(p);
        node->name = KD_SLICE("role");
        return setting_value(p, &node->values);
    }
    if (kdi_at(p, KW_SCHEMA) && !is_assignment) {
        kdi_advance(p);
        node->name = KD_SLICE("search_path");
        return setting_value(p, &node->values);
    }
    *out_found = false;
    return KD_OK;
}

static kd_status set_constraints(kd_parser *p, int32_t position, kd_ast_node **out)
{
    kd_ast_set_constraints *node =
        KDI_NODE_AT(p, KD_AST_SET_CONSTRAINTS, kd_ast_set_constraints, position);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (!kdi_accept(p, KW_ALL))
        KD_TRY(kdi_qualified_name_list(p, &node->names));
    node->deferred = kdi_accept(p, KW_DEFERRED);
    if (!node->deferred)
        KD_TRY(kdi_expect(p, KW_IMMEDIATE));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_set(kd_parser *p, kd_ast_node **out)
{
    kd_ast_set *node = KDI_NODE(p, KD_AST_SET, kd_ast_set);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (kdi_at(p, KW_CONSTRAINTS) && !kdi_next_is(p, KW_TO) && !kdi_next_is_token(p, '='))
        return set_constraints(p, node->node.position, out);
    bool is_scope = !kdi_next_is(p, KW_TO) && !kdi_next_is_token(p, '=');
    if (is_scope && kdi_accept(p, KW_LOCAL))
        node->local = true;
    else if (is_scope && kdi_at(p, KW_SESSION) && !kdi_next_is(p, KW_CHARACTERISTICS) &&
             !kdi_next_is(p, KW_AUTHORIZATION))
        kdi_advance(p);
    bool found;
    KD_TRY(set_special(p, node, &found));
    if (!found)
        KD_TRY(assignment(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* SHOW and RESET name settings in several words too. */
static kd_status shown_name(kd_parser *p, kd_slice *out_name)
{
    if (kdi_accept_two(p, KW_TIME, KW_ZONE)) {
        *out_name = KD_SLICE("timezone");
        return KD_OK;
    }
    if (kdi_accept(p, KW_TRANSACTION)) {
        *out_name = KD_SLICE("transaction_isolation");
        KD_TRY(kdi_expect(p, KW_ISOLATION));
        return kdi_expect(p, KW_LEVEL);
    }
    if (kdi_accept_two(p, KW_SESSION, KW_AUTHORIZATION)) {
        *out_name = KD_SLICE("session_authorization");
        return KD_OK;
    }
    if (kdi_accept(p, KW_ALL)) {
        *out_name = KD_SLICE("all");
        return KD_OK;
    }
    return setting_name(p, out_name);
}

static kd_status reset_name(kd_parser *p, kd_ast_set *node)
{
    node->what = kdi_at(p, KW_ALL) ? KD_AST_RESET_ALL : KD_AST_SET_TO_DEFAULT;
    return shown_name(p, &node->name);
}

kd_status kdi_reset(kd_parser *p, kd_ast_node **out)
{
    kd_ast_set *node = KDI_NODE(p, KD_AST_SET, kd_ast_set);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(reset_name(p, node));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_alter_settings(kd_parser *p, int32_t position, const kd_ast_set *whose,
                             kd_ast_node **out)
{
    kd_ast_set *node = KDI_NODE_AT(p, KD_AST_SET, kd_ast_set, position);
    if (node == NULL)
        return KD_NOMEM;
    node->scope = whose->scope;
    node->database = whose->database;
    node->role = whose->role;
    if (kdi_accept(p, KW_RESET)) {
        KD_TRY(reset_name(p, node));
    } else {
        KD_TRY(kdi_expect(p, KW_SET));
        KD_TRY(assignment(p, node));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_show(kd_parser *p, kd_ast_node **out)
{
    kd_ast_show *node = KDI_NODE(p, KD_AST_SHOW, kd_ast_show);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(shown_name(p, &node->name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- Prepared statements ---- */

kd_status kdi_prepare(kd_parser *p, kd_ast_node **out)
{
    if (kdi_next_is(p, KW_TRANSACTION))
        return kdi_transaction(p, out);
    kd_ast_prepare *node = KDI_NODE(p, KD_AST_PREPARE, kd_ast_prepare);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_name(p, &node->name));
    if (kdi_accept_token(p, '(')) {
        do {
            kd_ast_type *type;
            KD_TRY(KD_PUSH(p->ctx, p->arena, node->types, node->type_count, node->type_capacity,
                           &type));
            KD_TRY(kdi_type(p, type));
        } while (kdi_accept_token(p, ','));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    KD_TRY(kdi_expect(p, KW_AS));
    KD_TRY(kdi_preparable(p, &node->statement));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_execute(kd_parser *p, kd_ast_node **out)
{
    kd_ast_execute *node = KDI_NODE(p, KD_AST_EXECUTE, kd_ast_execute);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_name(p, &node->name));
    if (kdi_accept_token(p, '(')) {
        KD_TRY(kdi_expr_list(p, &node->args));
        KD_TRY(kdi_expect_token(p, ')'));
    }
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_deallocate(kd_parser *p, kd_ast_node **out)
{
    kd_ast_deallocate *node = KDI_NODE(p, KD_AST_DEALLOCATE, kd_ast_deallocate);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (kdi_at(p, KW_PREPARE) && !kdi_next_is_token(p, ';') && !kdi_next_is_token(p, TOKEN_END))
        kdi_advance(p);
    if (!kdi_accept(p, KW_ALL))
        KD_TRY(kdi_name(p, &node->name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- Cursors ---- */

kd_status kdi_declare(kd_parser *p, kd_ast_node **out)
{
    kd_ast_declare_cursor *node = KDI_NODE(p, KD_AST_DECLARE_CURSOR, kd_ast_declare_cursor);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    KD_TRY(kdi_name(p, &node->name));
    while (!kdi_at(p, KW_CURSOR)) {
        if (kdi_accept(p, KW_BINARY))
            node->binary = true;
        else if (kdi_accept(p, KW_INSENSITIVE))
            node->insensitive = true;
        else if (kdi_accept(p, KW_SCROLL))
            node->scroll = KD_AST_ON;
        else if (kdi_accept_two(p, KW_NO, KW_SCROLL))
            node->scroll = KD_AST_OFF;
        else if (!kdi_accept(p, KW_ASENSITIVE))
            return kdi_syntax_error(p, "CURSOR");
    }
    kdi_advance(p);
    if (kdi_at(p, KW_WITH) || kdi_at(p, KW_WITHOUT)) {
        node->hold = kdi_at(p, KW_WITH);
        kdi_advance(p);
        KD_TRY(kdi_expect(p, KW_HOLD));
    }
    KD_TRY(kdi_expect(p, KW_FOR));
    KD_TRY(kdi_query(p, &node->query));
    KD_TRY(kdi_refuse_into(p, node->query, "42601", "SELECT ... INTO is not allowed here"));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

static bool at_signed_integer(const kd_parser *p)
{
    return kdi_at_token(p, TOKEN_INTEGER) || kdi_at_token(p, '-') || kdi_at_token(p, '+');
}

static kd_status fetch_direction(kd_parser *p, kd_ast_fetch *node)
{
    node->count = 1;
    if (kdi_accept(p, KW_NEXT))
        return KD_OK;
    if (kdi_accept(p, KW_ALL)) {
        node->all = true;
        return KD_OK;
    }
    if (at_signed_integer(p))
        return kdi_signed_integer(p, &node->count);
    if (kdi_accept(p, KW_PRIOR)) {
        node->direction = KD_AST_FETCH_BACKWARD;
        return KD_OK;
    }
    if (kdi_accept(p, KW_FIRST) || kdi_accept(p, KW_LAST)) {
        node->direction = KD_AST_FETCH_ABSOLUTE;
        node->count = p->previous.keyword == KW_FIRST ? 1 : -1;
        return KD_OK;
    }
    if (kdi_accept(p, KW_ABSOLUTE) || kdi_accept(p, KW_RELATIVE)) {
        node->direction =
            p->previous.keyword == KW_ABSOLUTE ? KD_AST_FETCH_ABSOLUTE : KD_AST_FETCH_RELATIVE;
        return kdi_signed_integer(p, &node->count);
    }
    if (kdi_accept(p, KW_FORWARD) || kdi_accept(p, KW_BACKWARD)) {
        if (p->previous.keyword == KW_BACKWARD)
            node->direction = KD_AST_FETCH_BACKWARD;
        node->all = kdi_accept(p, KW_ALL);
        if (at_signed_integer(p))
            return kdi_signed_integer(p, &node->count);
    }
    return KD_OK;
}

/* A cursor may be named `next`: a word is a direction only if something follows it. */
kd_status kdi_fetch(kd_parser *p, kd_ast_node **out)
{
    kd_ast_fetch *node = KDI_NODE(p, KD_AST_FETCH, kd_ast_fetch);
    if (node == NULL)
        return KD_NOMEM;
    node->is_move = kdi_at(p, KW_MOVE);
    kdi_advance(p);
    node->count = 1;
    bool is_name =
        kdi_is_name(&p->token) && (kdi_next_is_token(p, ';') || kdi_next_is_token(p, TOKEN_END));
    if (!is_name)
        KD_TRY(fetch_direction(p, node));
    if (!kdi_accept(p, KW_FROM))
        (void)kdi_accept(p, KW_IN);
    KD_TRY(kdi_name(p, &node->cursor));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

kd_status kdi_close(kd_parser *p, kd_ast_node **out)
{
    kd_ast_close *node = KDI_NODE(p, KD_AST_CLOSE, kd_ast_close);
    if (node == NULL)
        return KD_NOMEM;
    kdi_advance(p);
    if (!kdi_accept(p, KW_ALL))
        KD_TRY(kdi_name(p, &node->name));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}

/* ---- LISTEN, NOTIFY, UNLISTEN ---- */

kd_status kdi_notify(kd_parser *p, kd_ast_node **out)
{
    kd_ast_notify *node = KDI_NODE(p, KD_AST_NOTIFY, kd_ast_notify);
    if (node == NULL)
        return KD_NOMEM;
    node->what = kdi_at(p, KW_LISTEN)   ? KD_AST_NOTIFY_LISTEN
                 : kdi_at(p, KW_NOTIFY) ? KD_AST_NOTIFY_NOTIFY
                                        : KD_AST_NOTIFY_UNLISTEN;
    kdi_advance(p);
    bool is_all = node->what == KD_AST_NOTIFY_UNLISTEN && kdi_accept_token(p, '*');
    if (!is_all)
        KD_TRY(kdi_name(p, &node->channel));
    if (node->what == KD_AST_NOTIFY_NOTIFY && kdi_accept_token(p, ','))
        KD_TRY(kdi_string(p, &node->payload));
    kdi_finish(p, &node->node);
    *out = &node->node;
    return KD_OK;
}
