/*
 * The syntax tree of statements about the session, transactions, roles and upkeep.
 * As all of the tree, see ast.h.
 */
#ifndef KD_SQL_AST_SESSION_H
#define KD_SQL_AST_SESSION_H

#include "sql/ast_define.h"

typedef enum kd_ast_transaction_kind {
    KD_AST_BEGIN,
    KD_AST_COMMIT,
    KD_AST_ROLLBACK,
    KD_AST_SAVEPOINT,
    KD_AST_RELEASE,
    KD_AST_ROLLBACK_TO,
    KD_AST_PREPARE_TRANSACTION,
    KD_AST_COMMIT_PREPARED,
    KD_AST_ROLLBACK_PREPARED,
} kd_ast_transaction_kind;

typedef enum kd_ast_isolation {
    KD_AST_ISOLATION_DEFAULT,
    KD_AST_READ_UNCOMMITTED,
    KD_AST_READ_COMMITTED,
    KD_AST_REPEATABLE_READ,
    KD_AST_SERIALIZABLE,
} kd_ast_isolation;

typedef struct kd_ast_transaction_modes {
    kd_ast_isolation isolation;
    kd_ast_tristate read_only;
    kd_ast_tristate deferrable;
} kd_ast_transaction_modes;

typedef struct kd_ast_transaction {
    kd_ast_node node;
    kd_ast_transaction_kind what;
    kd_ast_transaction_modes modes;
    kd_slice name; /* Savepoint, or the prepared transaction's id. */
    kd_ast_tristate chain;
} kd_ast_transaction;

typedef enum kd_ast_set_kind {
    KD_AST_SET_VALUE,      /* SET name = values */
    KD_AST_SET_TO_DEFAULT, /* SET name TO DEFAULT, RESET name */
    KD_AST_SET_FROM_CURRENT,
    KD_AST_RESET_ALL,
    KD_AST_SET_TRANSACTION,     /* modes */
    KD_AST_SET_CHARACTERISTICS, /* SET SESSION CHARACTERISTICS AS TRANSACTION modes */
    KD_AST_SET_SNAPSHOT,        /* SET TRANSACTION SNAPSHOT 'id': values[0] */
} kd_ast_set_kind;

/* Whose setting is set or reset. */
typedef enum kd_ast_set_scope {
    KD_AST_SET_OF_SESSION = 0,
    KD_AST_SET_OF_SYSTEM,   /* ALTER SYSTEM */
    KD_AST_SET_OF_DATABASE, /* ALTER DATABASE name */
    KD_AST_SET_OF_ROLE,     /* ALTER ROLE name [IN DATABASE name]; "all" for ALL */
} kd_ast_set_scope;

/* SET TIME ZONE is the setting "timezone" (LOCAL and DEFAULT: SET_TO_DEFAULT), NAMES is
 * "client_encoding", SESSION AUTHORIZATION "session_authorization", ROLE "role", SCHEMA
 * "search_path", as in PostgreSQL. */
typedef struct kd_ast_set {
    kd_ast_node node;
    kd_ast_set_kind what;
    kd_ast_set_scope scope;
    kd_slice database;
    kd_slice role;
    bool local;
    kd_slice name;      /* "a.b" for a qualified one */
    kd_ast_list values; /* Constants; bare words are string constants; INTERVAL '..' a cast */
    kd_ast_transaction_modes modes;
} kd_ast_set;

typedef struct kd_ast_show {
    kd_ast_node node;
    kd_slice name; /* "all" for SHOW ALL; "tables" for SHOW TABLES */
} kd_ast_show;

typedef struct kd_ast_set_constraints {
    kd_ast_node node;
    kd_ast_list names; /* kd_ast_name_item; empty: ALL */
    bool deferred;
} kd_ast_set_constraints;

typedef struct kd_ast_prepare {
    kd_ast_node node;
    kd_slice name;
    kd_ast_type *types;
    size_t type_count;
    size_t type_capacity;
    kd_ast_node *statement;
} kd_ast_prepare;

typedef struct kd_ast_execute {
    kd_ast_node node;
    kd_slice name;
    kd_ast_list args;
} kd_ast_execute;

/* DEALLOCATE and CLOSE. */
typedef struct kd_ast_close {
    kd_ast_node node;
    kd_slice name; /* Empty: ALL */
} kd_ast_close;
typedef kd_ast_close kd_ast_deallocate;

typedef struct kd_ast_declare_cursor {
    kd_ast_node node;
    kd_slice name;
    bool binary;
    bool insensitive;
    kd_ast_tristate scroll;
    bool hold;
    kd_ast_node *query;
} kd_ast_declare_cursor;

typedef enum kd_ast_fetch_direction {
    KD_AST_FETCH_FORWARD,
    KD_AST_FETCH_BACKWARD,
    KD_AST_FETCH_ABSOLUTE,
    KD_AST_FETCH_RELATIVE,
} kd_ast_fetch_direction;

typedef struct kd_ast_fetch {
    kd_ast_node node;
    bool is_move;
    kd_slice cursor;
    kd_ast_fetch_direction direction;
    bool all;      /* ALL: until the end */
    int64_t count; /* NEXT is FORWARD 1, PRIOR BACKWARD 1, FIRST ABSOLUTE 1, LAST ABSOLUTE -1 */
} kd_ast_fetch;

typedef struct kd_ast_copy {
    kd_ast_node node;
    kd_ast_name table; /* position < 0: `query` */
    kd_ast_names columns;
    kd_ast_node *query; /* SELECT, SETOP, INSERT, UPDATE, DELETE, MERGE */
    bool is_from;
    bool is_program;
    bool is_standard; /* STDIN or STDOUT */
    kd_slice file;
    kd_ast_list options; /* The old forms are given by their new names. */
    kd_ast_node *where;
} kd_ast_copy;

typedef struct kd_ast_explain {
    kd_ast_node node;
    kd_ast_list options; /* kd_ast_option: analyze, verbose, buffers, format, ... */
    kd_ast_node *statement;
} kd_ast_explain;

typedef struct kd_ast_describe {
    kd_ast_node node;
    bool is_summarize;
    kd_ast_name table; /* position < 0: `query`, or nothing (DESCRIBE: all tables) */
    kd_ast_node *query;
} kd_ast_describe;

typedef struct kd_ast_vacuum_item {
    kd_ast_name table;
    kd_ast_names columns;
} kd_ast_vacuum_item;

typedef struct kd_ast_vacuum {
    kd_ast_node node;
    bool is_analyze;     /* ANALYZE, not VACUUM */
    kd_ast_list options; /* kd_ast_option: full, freeze, verbose, analyze, ... */
    kd_ast_vacuum_item *items;
    size_t item_count;
    size_t item_capacity;
} kd_ast_vacuum;

typedef struct kd_ast_lock {
    kd_ast_node node;
    kd_ast_list tables; /* kd_ast_table_ref */
    kd_slice mode;      /* "access exclusive" (the default), "row share", ... */
    bool nowait;
} kd_ast_lock;

typedef struct kd_ast_discard {
    kd_ast_node node;
    kd_slice what; /* all, plans, sequences, temp */
} kd_ast_discard;

typedef struct kd_ast_call_procedure {
    kd_ast_node node;
    kd_ast_call *call;
} kd_ast_call_procedure;

typedef struct kd_ast_do {
    kd_ast_node node;
    kd_slice language; /* Empty: the default. */
    kd_slice code;
} kd_ast_do;

typedef struct kd_ast_create_role {
    kd_ast_node node;
    bool is_alter;
    bool is_user; /* CREATE USER: may log in */
    bool if_exists;
    kd_slice name;
    kd_ast_list options; /* superuser, createdb, login ... (boolean); password (string or NULL);
                          * connection_limit; valid_until; in_role, role, admin (KD_AST_ROW) */
} kd_ast_create_role;

/* REASSIGN OWNED and DROP OWNED. */
typedef struct kd_ast_owned {
    kd_ast_node node;
    bool is_reassign;
    kd_ast_names roles;
    kd_slice new_role;
    kd_ast_behavior behavior;
} kd_ast_owned;

typedef struct kd_ast_create_extension {
    kd_ast_node node;
    kd_slice name;
    bool if_not_exists;
    kd_slice schema;
    kd_slice version;
    bool cascade;
} kd_ast_create_extension;

typedef struct kd_ast_privilege {
    kd_ast_node node;
    kd_slice name; /* "select", ..., "all"; a role when roles are granted */
    kd_ast_names columns;
} kd_ast_privilege;

typedef struct kd_ast_grant {
    kd_ast_node node;
    bool is_revoke;
    bool is_role;           /* GRANT role TO role: privileges are the roles, no objects */
    bool option_only;       /* REVOKE GRANT OPTION FOR / ADMIN OPTION FOR */
    bool with_option;       /* WITH GRANT OPTION / ADMIN OPTION */
    bool all_in_schema;     /* ON ALL TABLES IN SCHEMA: objects are schemas */
    bool is_default;        /* ALTER DEFAULT PRIVILEGES */
    kd_ast_list privileges; /* kd_ast_privilege; one named "all" for ALL */
    kd_ast_object_kind object;
    kd_ast_list objects;   /* kd_ast_object */
    kd_ast_names grantees; /* "public" for PUBLIC */
    kd_slice granted_by;
    kd_ast_names default_schemas; /* ALTER DEFAULT PRIVILEGES IN SCHEMA */
    kd_ast_names default_roles;   /* ... FOR ROLE */
    kd_ast_behavior behavior;
} kd_ast_grant;

typedef enum kd_ast_notify_kind {
    KD_AST_NOTIFY_LISTEN,
    KD_AST_NOTIFY_NOTIFY,
    KD_AST_NOTIFY_UNLISTEN,
} kd_ast_notify_kind;

typedef struct kd_ast_notify {
    kd_ast_node node;
    kd_ast_notify_kind what;
    kd_slice channel; /* Empty: UNLISTEN * */
    kd_slice payload;
} kd_ast_notify;

typedef struct kd_ast_reindex {
    kd_ast_node node;
    kd_slice object; /* table, index, schema, database, system */
    kd_ast_name name;
    bool concurrently;
    kd_ast_list options;
} kd_ast_reindex;

typedef struct kd_ast_cluster {
    kd_ast_node node;
    kd_ast_name table; /* position < 0: all */
    kd_slice index;
    kd_ast_list options;
} kd_ast_cluster;

typedef struct kd_ast_refresh {
    kd_ast_node node;
    kd_ast_name name;
    bool concurrently;
    bool with_no_data;
} kd_ast_refresh;

#endif
