/*
 * The syntax tree of definitions: tables, indexes, views, types and what changes or drops them.
 * As all of the tree, see ast.h.
 */
#ifndef KD_SQL_AST_DEFINE_H
#define KD_SQL_AST_DEFINE_H

#include "sql/ast.h"

/* `prefix.name = value`. The value is a constant, a KD_AST_COLUMN for a bare word, or NULL when
 * only the name was written; FORCE_QUOTE (a, b) is a KD_AST_ROW of columns, * a KD_AST_STAR. */
typedef struct kd_ast_option {
    kd_ast_node node;
    kd_slice prefix;
    kd_slice name;
    kd_ast_node *value;
    bool reset; /* RESET (name) in ALTER */
} kd_ast_option;

typedef enum kd_ast_constraint_kind {
    KD_AST_CONSTRAINT_NOT_NULL,
    KD_AST_CONSTRAINT_NULL,
    KD_AST_CONSTRAINT_DEFAULT,
    KD_AST_CONSTRAINT_CHECK,
    KD_AST_CONSTRAINT_PRIMARY,
    KD_AST_CONSTRAINT_UNIQUE,
    KD_AST_CONSTRAINT_FOREIGN,
    KD_AST_CONSTRAINT_IDENTITY,
    KD_AST_CONSTRAINT_GENERATED,
} kd_ast_constraint_kind;

typedef enum kd_ast_fk_action {
    KD_AST_FK_NO_ACTION,
    KD_AST_FK_RESTRICT,
    KD_AST_FK_CASCADE,
    KD_AST_FK_SET_NULL,
    KD_AST_FK_SET_DEFAULT,
} kd_ast_fk_action;

typedef enum kd_ast_fk_match {
    KD_AST_MATCH_SIMPLE,
    KD_AST_MATCH_FULL,
    KD_AST_MATCH_PARTIAL,
} kd_ast_fk_match;

typedef struct kd_ast_constraint {
    kd_ast_node node;
    kd_ast_constraint_kind what;
    kd_slice name;        /* CONSTRAINT name; may be empty */
    kd_ast_node *value;   /* DEFAULT, CHECK, GENERATED ... AS (value) STORED */
    bool is_virtual;      /* GENERATED ... VIRTUAL (or neither word) */
    bool always;          /* GENERATED ALWAYS AS IDENTITY; else BY DEFAULT */
    kd_ast_list options;  /* Identity: sequence options. PRIMARY / UNIQUE: WITH (...) */
    kd_ast_names columns; /* Table constraints: PRIMARY KEY (a, b), FOREIGN KEY (a, b) */
    kd_ast_names include;
    bool is_exclusion; /* EXCLUDE with equalities: UNIQUE, whose errors tell it. */
    bool nulls_not_distinct;
    kd_slice using_index; /* ADD CONSTRAINT ... USING INDEX name */
    kd_slice tablespace;
    kd_ast_name references; /* Foreign keys. */
    kd_ast_names references_columns;
    kd_ast_fk_match match;
    kd_ast_fk_action on_delete;
    kd_ast_fk_action on_update;
    kd_ast_names on_delete_columns; /* ON DELETE SET NULL (a) */
    bool deferrable;
    bool not_deferrable; /* Written out. */
    bool initially_deferred;
    bool not_valid;
    bool no_inherit;
} kd_ast_constraint;

typedef struct kd_ast_column_def {
    kd_ast_node node;
    kd_slice name;
    bool has_type; /* Not for PARTITION OF, CREATE TABLE AS column lists. */
    kd_ast_type type;
    kd_ast_name collation;
    kd_slice storage;
    kd_slice compression;
    kd_ast_list constraints; /* kd_ast_constraint; attributes (DEFERRABLE) are merged in already */
} kd_ast_column_def;

typedef struct kd_ast_table_like {
    kd_ast_node node;
    kd_ast_name name;
    uint32_t including; /* Set of kd_ast_like_option. */
} kd_ast_table_like;

typedef enum kd_ast_like_option {
    KD_AST_INCLUDING_COMMENTS = 1,
    KD_AST_INCLUDING_COMPRESSION = 2,
    KD_AST_INCLUDING_CONSTRAINTS = 4,
    KD_AST_INCLUDING_DEFAULTS = 8,
    KD_AST_INCLUDING_GENERATED = 16,
    KD_AST_INCLUDING_IDENTITY = 32,
    KD_AST_INCLUDING_INDEXES = 64,
    KD_AST_INCLUDING_STATISTICS = 128,
    KD_AST_INCLUDING_STORAGE = 256,
    KD_AST_INCLUDING_ALL = 511,
} kd_ast_like_option;

typedef struct kd_ast_index_item {
    kd_ast_node node;
    kd_slice column; /* A plain column; else empty and `value` is set. */
    kd_ast_node *value;
    kd_ast_name collation;
    kd_ast_name opclass;
    kd_ast_list opclass_options; /* kd_ast_option */
    kd_ast_direction direction;
    kd_ast_nulls nulls;
} kd_ast_index_item;

typedef enum kd_ast_partition_method {
    KD_AST_PARTITION_RANGE,
    KD_AST_PARTITION_LIST,
    KD_AST_PARTITION_HASH,
} kd_ast_partition_method;

typedef struct kd_ast_partition_by {
    kd_ast_node node;
    kd_ast_partition_method method;
    kd_ast_list items; /* kd_ast_index_item */
} kd_ast_partition_by;

typedef enum kd_ast_bound_form {
    KD_AST_BOUND_DEFAULT,
    KD_AST_BOUND_IN,   /* list */
    KD_AST_BOUND_FROM, /* lower, upper */
    KD_AST_BOUND_WITH, /* modulus, remainder */
} kd_ast_bound_form;

/* MINVALUE and MAXVALUE arrive as KD_AST_COLUMN named minvalue and maxvalue, as in PostgreSQL. */
typedef struct kd_ast_partition_bound {
    kd_ast_node node;
    kd_ast_bound_form form;
    kd_ast_list items; /* IN: the list; FROM: the lower bound */
    kd_ast_list upper;
    int64_t modulus;
    int64_t remainder;
} kd_ast_partition_bound;

typedef enum kd_ast_persistence {
    KD_AST_PERMANENT,
    KD_AST_TEMPORARY,
    KD_AST_UNLOGGED,
} kd_ast_persistence;

typedef enum kd_ast_on_commit {
    KD_AST_ON_COMMIT_NONE,
    KD_AST_ON_COMMIT_PRESERVE,
    KD_AST_ON_COMMIT_DELETE,
    KD_AST_ON_COMMIT_DROP,
} kd_ast_on_commit;

typedef struct kd_ast_create_schema {
    kd_ast_node node;
    kd_slice name; /* May be empty with AUTHORIZATION. */
    kd_slice owner;
    bool if_not_exists;
    kd_ast_list elements; /* Statements inside: CREATE TABLE, VIEW, INDEX, SEQUENCE, GRANT */
} kd_ast_create_schema;

typedef struct kd_ast_create_table {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_persistence persistence;
    bool if_not_exists;
    bool or_replace;
    kd_ast_list elements;     /* COLUMN_DEF, CONSTRAINT, TABLE_LIKE, CREATE_INDEX (inline) */
    kd_ast_name partition_of; /* position < 0: not a partition */
    kd_ast_partition_bound *bound;
    kd_ast_partition_by *partition_by;
    kd_slice method;     /* USING method */
    kd_ast_list options; /* WITH (...) */
    kd_ast_on_commit on_commit;
    kd_slice tablespace;
} kd_ast_create_table;

typedef struct kd_ast_create_table_as {
    kd_ast_node node;
    kd_ast_name name;
    bool is_materialized_view;
    kd_ast_persistence persistence;
    bool if_not_exists;
    bool or_replace;
    kd_ast_names columns;
    kd_slice method;
    kd_ast_list options;
    kd_ast_on_commit on_commit;
    kd_slice tablespace;
    kd_ast_node *query; /* SELECT, SETOP or KD_AST_EXECUTE; its range is the definition's text */
    int into_begin, into_end; /* SELECT ... INTO: the bytes of that clause in the range */
    bool with_no_data;
} kd_ast_create_table_as;

typedef struct kd_ast_create_index {
    kd_ast_node node;
    kd_slice name;     /* Empty: the engine chooses. */
    kd_ast_name table; /* position < 0 for an inline INDEX of CREATE TABLE */
    bool only;
    bool unique;
    bool concurrently;
    bool if_not_exists;
    bool nulls_not_distinct;
    kd_slice method;   /* Empty: btree */
    kd_ast_list items; /* kd_ast_index_item */
    kd_ast_names include;
    kd_ast_list options;
    kd_slice tablespace;
    kd_ast_node *where;
} kd_ast_create_index;

typedef struct kd_ast_create_view {
    kd_ast_node node;
    kd_ast_name name;
    bool or_replace;
    bool recursive;
    bool temporary;
    bool if_not_exists;
    kd_ast_names columns;
    kd_ast_list options;
    kd_ast_node *query; /* Its range is the definition's text. */
    bool check_cascaded;
    bool check_local;
} kd_ast_create_view;

/* Options are kd_ast_option: as (value: KD_AST_CAST of NULL to the type), increment, minvalue,
 * maxvalue (value NULL: NO MINVALUE), start, restart (value may be NULL), cache, cycle (boolean),
 * owned_by (KD_AST_COLUMN; `none` for NONE), sequence_name, logged (boolean). */
typedef struct kd_ast_create_sequence {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_persistence persistence;
    bool if_not_exists;
    kd_ast_list options;
} kd_ast_create_sequence;

typedef struct kd_ast_alter_sequence {
    kd_ast_node node;
    kd_ast_name name;
    bool if_exists;
    kd_ast_list options;
} kd_ast_alter_sequence;

typedef struct kd_ast_create_enum {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_names labels;
} kd_ast_create_enum;

typedef struct kd_ast_alter_enum {
    kd_ast_node node;
    kd_ast_name name;
    kd_slice label; /* ADD VALUE label, or RENAME VALUE old */
    bool is_rename;
    kd_slice new_label; /* RENAME VALUE ... TO */
    bool if_not_exists;
    bool has_neighbor;
    bool is_after; /* AFTER neighbor; else BEFORE */
    kd_slice neighbor;
} kd_ast_alter_enum;

typedef struct kd_ast_create_domain {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_type type;
    kd_ast_name collation;
    kd_ast_list constraints; /* kd_ast_constraint: NOT NULL, NULL, DEFAULT, CHECK */
} kd_ast_create_domain;

typedef struct kd_ast_create_composite {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_list attributes; /* kd_ast_column_def: name, type, collation */
} kd_ast_create_composite;

typedef enum kd_ast_alter_what {
    KD_AST_ADD_COLUMN,         /* column_def, if_not_exists */
    KD_AST_DROP_COLUMN,        /* name, if_exists, behavior */
    KD_AST_ALTER_TYPE,         /* name, type, collation, value (USING) */
    KD_AST_SET_DEFAULT,        /* name, value */
    KD_AST_DROP_DEFAULT,       /* name */
    KD_AST_SET_NOT_NULL,       /* name */
    KD_AST_DROP_NOT_NULL,      /* name */
    KD_AST_SET_EXPRESSION,     /* name, value */
    KD_AST_DROP_EXPRESSION,    /* name, if_exists */
    KD_AST_ADD_IDENTITY,       /* name, constraint */
    KD_AST_SET_IDENTITY,       /* name, options: sequence options and generated (boolean: always) */
    KD_AST_DROP_IDENTITY,      /* name, if_exists */
    KD_AST_SET_STATISTICS,     /* name, value */
    KD_AST_SET_STORAGE,        /* name, new_name */
    KD_AST_SET_COMPRESSION,    /* name, new_name */
    KD_AST_SET_COLUMN_OPTIONS, /* name, options */
    KD_AST_ADD_CONSTRAINT,     /* constraint */
    KD_AST_ALTER_CONSTRAINT,   /* name, constraint (its DEFERRABLE fields) */
    KD_AST_DROP_CONSTRAINT,    /* name, if_exists, behavior */
    KD_AST_VALIDATE_CONSTRAINT, /* name */
    KD_AST_ADD_INDEX,           /* index: ADD INDEX name (cols) */
    KD_AST_SET_OPTIONS,         /* options; each may be a reset */
    KD_AST_SET_LOGGED,
    KD_AST_SET_UNLOGGED,
    KD_AST_SET_TABLESPACE,       /* new_name */
    KD_AST_SET_METHOD,           /* new_name */
    KD_AST_SET_OWNER,            /* new_name */
    KD_AST_SET_REPLICA_IDENTITY, /* new_name: default, full, nothing, or an index (name) */
    KD_AST_CLUSTER_ON,           /* name */
    KD_AST_SET_WITHOUT_CLUSTER,
    KD_AST_SET_ROW_SECURITY, /* new_name: enable, disable, force, no force */
    KD_AST_SET_TRIGGER,      /* name (user, all or a trigger), new_name: enable, disable, ... */
    KD_AST_INHERIT,          /* parent; is_no: NO INHERIT */
    KD_AST_ATTACH_PARTITION, /* parent: the partition; bound */
    KD_AST_DETACH_PARTITION, /* parent: the partition; concurrently, finalize */
} kd_ast_alter_what;

typedef struct kd_ast_alter_action {
    kd_ast_node node;
    kd_ast_alter_what what;
    kd_slice name;
    kd_slice new_name;
    kd_ast_column_def *column_def;
    kd_ast_constraint *constraint;
    struct kd_ast_create_index *index;
    kd_ast_type type;
    kd_ast_name collation;
    kd_ast_node *value;
    kd_ast_list options;
    kd_ast_name parent;
    kd_ast_partition_bound *bound;
    kd_ast_behavior behavior;
    bool if_exists;
    bool if_not_exists;
    bool concurrently;
    bool finalize;
    bool is_no;
} kd_ast_alter_action;

typedef enum kd_ast_object_kind {
    KD_AST_OBJECT_TABLE,
    KD_AST_OBJECT_INDEX,
    KD_AST_OBJECT_VIEW,
    KD_AST_OBJECT_MATERIALIZED_VIEW,
    KD_AST_OBJECT_SEQUENCE,
    KD_AST_OBJECT_SCHEMA,
    KD_AST_OBJECT_TYPE,
    KD_AST_OBJECT_DOMAIN,
    KD_AST_OBJECT_COLUMN,
    KD_AST_OBJECT_CONSTRAINT,
    KD_AST_OBJECT_DOMAIN_CONSTRAINT,
    KD_AST_OBJECT_FUNCTION,
    KD_AST_OBJECT_PROCEDURE,
    KD_AST_OBJECT_ROUTINE,
    KD_AST_OBJECT_AGGREGATE,
    KD_AST_OBJECT_ROLE,
    KD_AST_OBJECT_DATABASE,
    KD_AST_OBJECT_EXTENSION,
    KD_AST_OBJECT_TRIGGER,
    KD_AST_OBJECT_RULE,
    KD_AST_OBJECT_POLICY,
    KD_AST_OBJECT_COLLATION,
    KD_AST_OBJECT_STATISTICS,
    KD_AST_OBJECT_TABLESPACE,
    KD_AST_OBJECT_LANGUAGE,
    KD_AST_OBJECT_PARAMETER,
} kd_ast_object_kind;

typedef struct kd_ast_object {
    kd_ast_node node;
    kd_ast_name name; /* COLUMN: the table's name; CONSTRAINT ... ON t: the table or domain. */
    kd_slice member;  /* COLUMN, CONSTRAINT, TRIGGER, RULE, POLICY: its own name. */
    bool has_args;    /* Functions: a list of argument types was written. */
    kd_ast_type *arg_types;
    size_t arg_type_count;
    size_t arg_type_capacity;
} kd_ast_object;

typedef enum kd_ast_tristate { KD_AST_UNSET, KD_AST_OFF, KD_AST_ON } kd_ast_tristate;

typedef enum kd_ast_argument_mode {
    KD_AST_ARGUMENT_IN,
    KD_AST_ARGUMENT_OUT,
    KD_AST_ARGUMENT_INOUT,
    KD_AST_ARGUMENT_VARIADIC,
    KD_AST_ARGUMENT_TABLE, /* A column of RETURNS TABLE. */
} kd_ast_argument_mode;

typedef struct kd_ast_routine_argument {
    int32_t position;
    kd_ast_argument_mode mode;
    kd_slice name;      /* May be empty, but for macros. */
    kd_ast_type type;   /* Not for macros. */
    kd_ast_node *value; /* DEFAULT; NULL: none. */
} kd_ast_routine_argument;

typedef enum kd_ast_volatility {
    KD_AST_VOLATILITY_UNSET,
    KD_AST_IMMUTABLE,
    KD_AST_STABLE,
    KD_AST_VOLATILE,
} kd_ast_volatility;

typedef struct kd_ast_routine_options {
    kd_ast_volatility volatility;
    kd_ast_tristate strict;
    bool security_definer;
} kd_ast_routine_options;

typedef enum kd_ast_routine_kind {
    KD_AST_ROUTINE_FUNCTION,
    KD_AST_ROUTINE_PROCEDURE,
    KD_AST_ROUTINE_MACRO,
} kd_ast_routine_kind;

typedef enum kd_ast_routine_form {
    KD_AST_ROUTINE_STRING, /* `body` */
    KD_AST_ROUTINE_RETURN, /* `value`: an expression */
    KD_AST_ROUTINE_ATOMIC, /* The text's bytes from body_begin to body_end. */
    KD_AST_ROUTINE_QUERY,  /* `value`: a macro's query */
} kd_ast_routine_form;

typedef struct kd_ast_create_routine {
    kd_ast_node node;
    kd_ast_routine_kind what;
    kd_ast_name name;
    bool or_replace;
    kd_ast_routine_argument *arguments;
    size_t argument_count, argument_capacity;
    bool has_result; /* RETURNS was written. */
    bool returns_table;
    kd_ast_type result; /* Not with returns_table. */
    kd_slice language;  /* Empty: not said. */
    kd_ast_routine_options options;
    bool has_body;
    kd_ast_routine_form form;
    kd_slice body;
    kd_ast_node *value;
    int32_t body_begin, body_end;
} kd_ast_create_routine;

typedef struct kd_ast_alter_routine {
    kd_ast_node node;
    kd_ast_object_kind object;
    kd_ast_object *target;
    kd_ast_routine_options options;
} kd_ast_alter_routine;

typedef struct kd_ast_alter_table {
    kd_ast_node node;
    kd_ast_object_kind object; /* TABLE, INDEX, VIEW, MATERIALIZED_VIEW, SEQUENCE */
    kd_ast_name name;
    bool if_exists;
    bool only;
    kd_ast_list actions; /* kd_ast_alter_action */
} kd_ast_alter_table;

typedef struct kd_ast_alter_domain {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_alter_action *action; /* Of DEFAULT, NOT NULL, CONSTRAINT */
} kd_ast_alter_domain;

typedef struct kd_ast_alter_composite {
    kd_ast_node node;
    kd_ast_name name;
    kd_ast_list actions; /* kd_ast_alter_action: ADD_COLUMN, DROP_COLUMN, ALTER_TYPE */
} kd_ast_alter_composite;

/* ALTER object name RENAME TO new_name; COLUMN, CONSTRAINT and type attributes: `member`. */
typedef struct kd_ast_rename {
    kd_ast_node node;
    kd_ast_object_kind object;   /* What is renamed. */
    kd_ast_object_kind relation; /* COLUMN and CONSTRAINT: what kind of thing was named. */
    bool if_exists;
    kd_ast_name name;
    kd_ast_object *target; /* Of routines: with the types of its arguments. */
    kd_slice member;
    kd_slice new_name;
    kd_ast_behavior behavior;
} kd_ast_rename;

typedef struct kd_ast_alter_owner {
    kd_ast_node node;
    kd_ast_object_kind object;
    kd_ast_object *target;
    kd_slice owner; /* "current_user" and the like are given as those words. */
} kd_ast_alter_owner;

typedef struct kd_ast_alter_set_schema {
    kd_ast_node node;
    kd_ast_object_kind object;
    bool if_exists;
    kd_ast_object *target;
    kd_slice schema;
} kd_ast_alter_set_schema;

typedef struct kd_ast_drop {
    kd_ast_node node;
    kd_ast_object_kind object;
    kd_ast_list objects; /* kd_ast_object */
    bool if_exists;
    bool concurrently;
    kd_ast_behavior behavior;
} kd_ast_drop;

typedef struct kd_ast_comment {
    kd_ast_node node;
    kd_ast_object_kind object;
    kd_ast_object *target;
    bool is_null; /* IS NULL removes the comment. */
    kd_slice text;
} kd_ast_comment;

#endif
