/*
 * The catalog: what objects there are, as versions.
 *
 * A catalog version is immutable: schemas, relations (tables, views, sequences,
 * indexes), types. A transaction that does DDL works on a copy of its own, which
 * becomes the newest version when it commits, under the commit's stamp. A
 * statement binds against one version, pinned for as long as the statement or
 * the prepared plan lives; everything a version hands out lives as long as the pin.
 *
 * Objects are stored as rows of a system table (object number, kind, body), so that they share
 * log, recovery and transactions with data.
 */
#ifndef KD_CATALOG_CATALOG_H
#define KD_CATALOG_CATALOG_H

#include "catalog/function.h"
#include "types/record.h"
#include "table/table.h"

typedef enum kd_object_kind {
    KD_OBJECT_SCHEMA = 1,
    KD_OBJECT_TABLE = 2,
    KD_OBJECT_VIEW = 3,
    KD_OBJECT_INDEX = 4,
    KD_OBJECT_SEQUENCE = 5,
    KD_OBJECT_ENUM = 6,
    KD_OBJECT_DOMAIN = 7,
    KD_OBJECT_COMPOSITE = 8,
    KD_OBJECT_ROUTINE = 9,
    KD_OBJECT_ROLE = 10,
} kd_object_kind;

enum {
    KD_OBJECT_NO_FIRST = 16384, /* Lower numbers are of what every database has. */
    KD_OWNER_ROLE_NO = 10,      /* The role that owns the database; see security/role.h. */
};

/* What a role may do with an object: bits of security/privilege.h. */
typedef struct kd_grant {
    uint32_t grantee_no; /* A role; 0: PUBLIC. */
    uint32_t grantor_no;
    uint32_t privileges;
    uint32_t options; /* Those that it may grant to others. */
} kd_grant;

typedef struct kd_grants {
    bool is_set; /* false: what objects of the kind have by default. */
    uint32_t count;
    const kd_grant *items;
} kd_grants;

/* Every object starts with this. Names are as written (folded unless quoted). */
typedef struct kd_object {
    uint32_t object_no; /* Never reused. */
    uint32_t schema_no; /* 0 for schemas and roles. */
    kd_object_kind kind;
    kd_slice name;
    kd_slice comment;  /* Empty: none. */
    uint32_t owner_no; /* A role. 0: KD_OWNER_ROLE_NO. */
    kd_grants grants;
} kd_object;

typedef enum kd_column_identity {
    KD_IDENTITY_NONE = 0,
    KD_IDENTITY_BY_DEFAULT,
    KD_IDENTITY_ALWAYS,
} kd_column_identity;

/* A column of a table. Dropped columns are no longer listed. */
typedef struct kd_column {
    kd_table_column storage; /* Number, type, not-null, name, missing value. */
    kd_slice default_text;   /* An expression's text; empty: none. For generated: the expression. */
    bool generated;          /* GENERATED ALWAYS AS (default_text) STORED */
    bool hidden;             /* Key of an expression or predicate of a partial index; generated. */
    kd_column_identity identity;
    uint32_t sequence_no; /* Identity or serial: the owned sequence's object; 0: none. */
    uint32_t domain_no;   /* The domain that it was declared with; 0: none. */
    bool domain_not_null; /* Only the domain says NOT NULL. */
    kd_slice comment;
    kd_grants grants;
} kd_column;

typedef struct kd_check {
    kd_slice name;
    kd_slice expression_text;
    bool not_valid; /* Rows from before it was added may break it. */
} kd_check;

typedef enum kd_foreign_action {
    KD_FOREIGN_NO_ACTION = 0,
    KD_FOREIGN_RESTRICT,
    KD_FOREIGN_CASCADE,
    KD_FOREIGN_SET_NULL,
    KD_FOREIGN_SET_DEFAULT,
} kd_foreign_action;

typedef struct kd_foreign_key {
    kd_slice name;
    uint32_t target_no; /* Referenced table's object. */
    uint32_t column_count;
    const uint32_t *column_nos; /* Of this table. */
    const uint32_t *target_column_nos;
    kd_foreign_action on_delete, on_update;
    bool match_full;
    bool deferrable, initially_deferred;
    bool not_valid; /* As for checks. */
} kd_foreign_key;

/* An index of a table, or the index behind a primary key or unique constraint. */
typedef struct kd_table_index {
    kd_object object;            /* KD_OBJECT_INDEX: named in the table's schema. */
    kd_index_definition storage; /* index_no, columns, unique, predicate. */
    bool is_primary;
    bool is_constraint;      /* Made by PRIMARY KEY or UNIQUE. */
    bool initially_deferred; /* storage.deferrable: at the commit, unless SET CONSTRAINTS says. */
    /* A unique key of a partitioned table that does not hold its partition columns: the storage
     * that keeps it over all partitions, and has `storage.index_no`; else 0. See
     * engine/table_key.h. */
    uint64_t key_table_no;
    kd_slice method;           /* "btree", "gin", "hash" as written. */
    kd_slice predicate_text;   /* Partial: its text; else empty. */
    const kd_slice *key_texts; /* Per index column: its name or expression as text. */
} kd_table_index;

typedef enum kd_partition_strategy {
    KD_PARTITION_NONE = 0,
    KD_PARTITION_RANGE,
    KD_PARTITION_LIST,
    KD_PARTITION_HASH,
} kd_partition_strategy;

/* A bound of a range partition: one value per key column. */
typedef struct kd_partition_bound {
    bool is_default;
    uint32_t count;          /* RANGE: key columns; LIST: values; HASH: 2 (modulus, remainder). */
    const kd_value *from;    /* RANGE: inclusive lower bounds; LIST and HASH: the values. */
    const int8_t *from_kind; /* RANGE: -1 MINVALUE, 0 a value, 1 MAXVALUE; else NULL. */
    const kd_value *to;      /* RANGE: exclusive upper bounds; else NULL. */
    const int8_t *to_kind;
} kd_partition_bound;

/* What the end of a transaction does to the rows of a temporary table. */
typedef enum kd_on_commit {
    KD_ON_COMMIT_PRESERVE = 0,
    KD_ON_COMMIT_DELETE,
    KD_ON_COMMIT_DROP,
} kd_on_commit;

typedef struct kd_table_entry {
    kd_object object;
    uint64_t table_no; /* Storage; 0 for a partitioned parent. */
    bool is_temporary;
    uint32_t next_column_no;
    uint32_t column_count; /* Hidden ones included, last. */
    uint32_t visible_count;
    const kd_column *columns;
    const kd_table_shape *shape; /* The same columns, as table.h takes them. */
    uint32_t index_count;
    const kd_table_index *indexes;
    uint32_t check_count;
    const kd_check *checks;
    uint32_t foreign_count;
    const kd_foreign_key *foreign_keys;
    /* Partitioning. */
    kd_partition_strategy strategy; /* Of a parent. */
    uint32_t partition_column_count;
    const uint32_t *partition_column_nos;
    uint32_t parent_no; /* Of a partition; 0: none. */
    kd_partition_bound bound;
    uint32_t sort_column_count;
    const uint32_t *sort_column_nos;
    kd_on_commit on_commit;
    kd_slice query_text;    /* A materialized view's; empty: an ordinary table. */
    bool is_populated;      /* A materialized view's: false until its first REFRESH. */
    uint32_t depends_count; /* Objects that the query reads. */
    const uint32_t *depends_on;
} kd_table_entry;

typedef enum kd_check_option {
    KD_CHECK_OPTION_NONE = 0,
    KD_CHECK_OPTION_LOCAL,
    KD_CHECK_OPTION_CASCADED,
} kd_check_option;

typedef struct kd_view_entry {
    kd_object object;
    kd_slice query_text;
    uint32_t column_count;
    const kd_slice *column_names;
    const kd_type *column_types;
    uint32_t depends_count; /* Objects that its query reads. */
    const uint32_t *depends_on;
    kd_check_option check_option;
} kd_view_entry;

typedef struct kd_sequence_entry {
    kd_object object;
    uint64_t sequence_no;    /* Storage. */
    kd_type type;            /* smallint, integer or bigint */
    uint32_t owner_table_no; /* Object; 0: none. */
    uint32_t owner_column_no;
} kd_sequence_entry;

typedef struct kd_enum_entry {
    kd_object object;
    uint32_t label_count;
    const kd_slice *labels; /* In order. */
    const int32_t *ranks;   /* Ascending; see type.h. */
} kd_enum_entry;

typedef struct kd_domain_entry {
    kd_object object;
    kd_type base;
    bool not_null;
    kd_slice default_text;
    uint32_t check_count;
    const kd_check *checks; /* Over VALUE. */
} kd_domain_entry;

typedef struct kd_attribute {
    kd_slice name;
    kd_type type;
    uint32_t domain_no; /* The domain that it was declared with; 0: none. */
    kd_slice comment;
} kd_attribute;

/* CREATE TYPE name AS (...). Tables have row types of their own, under their object numbers. */
typedef struct kd_composite_entry {
    kd_object object;
    uint32_t attribute_count;
    const kd_attribute *attributes;
} kd_composite_entry;

typedef enum kd_argument_mode {
    KD_ARGUMENT_IN = 0,
    KD_ARGUMENT_OUT,
    KD_ARGUMENT_INOUT,
    KD_ARGUMENT_VARIADIC,
    KD_ARGUMENT_TABLE, /* A column of RETURNS TABLE. */
} kd_argument_mode;

/* Types of arguments and results may be pseudo types (function.h). */
typedef struct kd_routine_argument {
    kd_slice name; /* May be empty. */
    kd_type type;
    kd_argument_mode mode;
    uint32_t domain_no; /* As of columns. */
    kd_slice default_text;
} kd_routine_argument;

typedef enum kd_routine_kind {
    KD_ROUTINE_FUNCTION = 0,
    KD_ROUTINE_PROCEDURE,
    KD_ROUTINE_MACRO, /* Arguments have no types: they are put in as they are. */
} kd_routine_kind;

typedef enum kd_routine_body {
    KD_BODY_STRING = 0, /* Statements, as in AS '...'. */
    KD_BODY_RETURN,     /* One expression. */
    KD_BODY_ATOMIC,     /* Statements of BEGIN ATOMIC ... END. */
    KD_BODY_QUERY,      /* A macro's AS TABLE. */
} kd_routine_body;

/* Functions, procedures and macros in SQL. Several of a schema may have one name. */
typedef struct kd_routine_entry {
    kd_object object;
    kd_routine_kind kind;
    kd_routine_body form;
    kd_volatility volatility;
    bool strict;
    bool returns_set;
    bool security_definer;
    uint32_t argument_count; /* All of them, in order. */
    const kd_routine_argument *arguments;
    kd_type result; /* What one row is: VOID, a type, or RECORD where arguments say the columns. */
    uint32_t result_domain_no;
    kd_slice body;
    uint32_t depends_count; /* Relations, types and routines that it names. */
    const uint32_t *depends_on;
} kd_routine_entry;

/* A role that another is a member of. */
typedef struct kd_membership {
    uint32_t role_no;
    uint32_t grantor_no;
    bool with_admin; /* May make others members. */
} kd_membership;

/* ALTER ROLE ... SET: what sessions of the role begin with. */
typedef struct kd_role_setting {
    bool in_database; /* IN DATABASE was said. */
    kd_slice name;
    uint32_t value_count;
    const kd_slice *values; /* As SET takes them. */
} kd_role_setting;

/* ALTER DEFAULT PRIVILEGES FOR the role: what objects that it makes begin with. */
typedef struct kd_default_grants {
    uint32_t schema_no;  /* 0: in any schema. */
    kd_object_kind kind; /* TABLE (views too), SEQUENCE, ROUTINE, DOMAIN (all types) or SCHEMA. */
    kd_grants grants;
} kd_default_grants;

typedef struct kd_role_entry {
    kd_object object;
    bool is_superuser, inherits, can_create_role, can_create_database;
    bool can_login, can_replicate, bypasses_row_security;
    int32_t connection_limit; /* -1: none. */
    int64_t valid_until;      /* Of its password; INT64_MAX: for ever. */
    kd_slice password;        /* A verifier (security/scram.h); empty: none. */
    uint32_t membership_count;
    const kd_membership *memberships;
    uint32_t setting_count;
    const kd_role_setting *settings;
    uint32_t default_count;
    const kd_default_grants *defaults;
} kd_role_entry;

/* --- Versions -------------------------------------------------------------------------------- */

typedef struct kd_catalog kd_catalog;                 /* Of a database. */
typedef struct kd_catalog_version kd_catalog_version; /* Immutable, counted. */

/* The version that a transaction binds against: its own if it did DDL, else the one of its
 * snapshot. Pinned; give it back with kd_catalog_unpin. */
kd_status kd_catalog_pin(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn,
                         kd_catalog_version **out_version) KD_MUST_CHECK;
/* The newest that is committed: for who has no transaction. */
kd_catalog_version *kd_catalog_pin_newest(kd_catalog *catalog);
void kd_catalog_unpin(kd_catalog_version *version); /* NULL is allowed. */
/* Whether a statement of this snapshot would get this very version: for short statements that keep
 * theirs pinned. May say no when it is; takes no lock. */
bool kd_catalog_is_current(const kd_catalog_version *version, kd_snapshot snapshot);
/* Whether nobody has committed another version of this object since the transaction saw `entry` (of
 * a version that it pinned). Stays true as long as the object's table lock is held. */
bool kd_catalog_is_newest(kd_catalog *catalog, kd_txn *txn, const kd_object *entry);
/* Differs whenever anything differs: plans are cached under it. */
uint64_t kd_catalog_version_no(const kd_catalog_version *version);
const kd_registry *kd_catalog_registry(const kd_catalog_version *version);
kd_storage *kd_catalog_storage(const kd_catalog_version *version);

/* Objects by number or by (schema, name). Tables, views, indexes, sequences share one name space
 * per schema; types have their own. NULL when there is none. */
const kd_object *kd_catalog_get(const kd_catalog_version *version, uint32_t object_no);
/* Enums, domains and composite types. */
bool kd_object_is_type(const kd_object *object);
/* What a row type of the catalog holds; 42704 when it is gone. */
kd_status kd_catalog_row_shape(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                               kd_type type, kd_record_shape *out) KD_MUST_CHECK;
const kd_object *kd_catalog_find_schema(const kd_catalog_version *version, kd_slice name);
/* Of stored roles only: see kd_role_find of security/role.h. */
const kd_object *kd_catalog_find_role(const kd_catalog_version *version, kd_slice name);
const kd_object *kd_catalog_find_relation(const kd_catalog_version *version, uint32_t schema_no,
                                          kd_slice name);
const kd_object *kd_catalog_find_type(const kd_catalog_version *version, uint32_t schema_no,
                                      kd_slice name);
/* Routines of one name: the first, then each after `after`; NULL at the end. */
const kd_routine_entry *kd_catalog_find_routine(const kd_catalog_version *version,
                                                uint32_t schema_no, kd_slice name,
                                                const kd_routine_entry *after);
/* Whether two routines take the same arguments: only one of them may be in a schema. */
bool kd_routine_same_arguments(const kd_routine_entry *a, const kd_routine_entry *b);
/* Arguments that a call gives: all but OUT and TABLE ones. */
static inline bool kd_argument_is_input(const kd_routine_argument *argument)
{
    return argument->mode != KD_ARGUMENT_OUT && argument->mode != KD_ARGUMENT_TABLE;
}
/* An index by name comes as its own kd_object, and here is the table that it belongs to. */
const kd_table_entry *kd_catalog_index_table(const kd_catalog_version *version,
                                             uint32_t index_object_no,
                                             const kd_table_index **out_index);
/* Partitions of a parent, ordered by their bounds. */
kd_status kd_catalog_partitions(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                                uint32_t parent_no, const kd_table_entry ***out_partitions,
                                uint32_t *out_count) KD_MUST_CHECK;
/* Whether a partition's bound admits a key, given in the order of the parent's partition columns
 * (partition.c). */
bool kd_partition_takes(const kd_table_entry *parent, const kd_partition_bound *bound,
                        const kd_value *keys);
/* Whether no row of a partition passes `first partition column op value`. */
bool kd_partition_excludes(const kd_table_entry *parent, const kd_partition_bound *bound,
                           kd_scan_test test, const kd_value *value);
/* The columns of the table behind a key over all partitions: the key's, then the number of the
 * partition that holds the row. */
kd_status kd_partition_key_shape(kd_ctx *ctx, kd_arena *arena, const kd_table_entry *owner,
                                 const kd_table_index *index,
                                 const kd_table_shape **out_shape) KD_MUST_CHECK;
/* The number of the partition whose row has a key (values in the index's order), as a snapshot sees
 * it; 0: none has. */
kd_status kd_partition_of_key(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                              const kd_table_index *index, const kd_table_shape *shape,
                              kd_snapshot snapshot, const kd_value *values,
                              uint32_t *out_partition_no) KD_MUST_CHECK;
/* Visits every object, in order of number. */
void kd_catalog_visit(const kd_catalog_version *version,
                      void (*visit)(void *object, const kd_object *entry), void *object);

/* --- Changes: inside a transaction, under the engine's table locks
 * -------------------------------- */

/* Numbers for new objects, unique for ever (rolled-back ones are lost). */
kd_status kd_catalog_next_object_no(kd_ctx *ctx, kd_catalog *catalog,
                                    uint32_t *out_object_no) KD_MUST_CHECK;
/*
 * Adds or replaces an object; the entry is copied. The object and its name are the transaction's to
 * its end, and what the entry refers to stays: others who want them wait. 40001 when somebody has
 * changed the object, or come to depend on one that is removed, since the transaction's snapshot;
 * 42P07 (42710, 42P06) when the name was taken meanwhile.
 */
kd_status kd_catalog_put(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn,
                         const kd_object *entry) KD_MUST_CHECK;
kd_status kd_catalog_remove(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn,
                            uint32_t object_no) KD_MUST_CHECK;

/* Opens the catalog of a storage: makes the system table and the schemas "public" and "pg_catalog"
 * in a new database, reads all objects otherwise. */
kd_status kd_catalog_open(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                          const kd_registry *registry, kd_catalog **out_catalog) KD_MUST_CHECK;
void kd_catalog_close(kd_catalog *catalog); /* NULL is allowed; nothing is pinned. */

#endif
