/*
 * The binder: names to objects, operators to functions, types everywhere.
 *
 * It works on one statement against one catalog version. Statements other than
 * queries and DML are carried out by the engine from their syntax tree, with the
 * help of kd_bind_expression and kd_bind_type.
 */
#ifndef KD_SQL_BINDER_H
#define KD_SQL_BINDER_H

#include "sql/ast.h"
#include "sql/bound.h"

/* A system view (pg_catalog.pg_class, information_schema.tables, ...). */
struct kd_virtual_table {
    const char *schema;
    const char *name;
    uint32_t column_count;
    const char *const *column_names;
    const kd_type *column_types;
    /* Fills rows: calls `emit` once per row with column_count values. */
    kd_status (*rows)(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                      void *session,
                      kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values),
                      void *object);
};

typedef struct kd_virtual_tables {
    const kd_virtual_table *tables;
    uint32_t count;
} kd_virtual_tables;

typedef struct kd_bind_options {
    const kd_catalog_version *catalog;
    const kd_session_facts *facts; /* For folding constants: text settings. */
    const kd_slice *search_path;   /* Schema names, in order; pg_catalog is implied. */
    uint32_t search_path_count;
    const kd_virtual_tables *virtual_tables;
    const kd_type *parameter_types; /* Declared ones; UNKNOWN where left open. */
    uint32_t parameter_count;
    bool allow_parameters;
    /* Of a statement that the engine runs for a routine: the names of its parameters (NULL: they
     * have none), its own name, and its number; 0: no routine. */
    const kd_slice *parameter_names;
    uint32_t parameter_name_count;
    kd_slice routine_name;
    uint32_t routine_no;
    struct kd_name_notes *notes; /* What names mean is told there; NULL: nobody asks. */
    /* The rows of a query are told apart by the rows of its tables: for cursors. */
    bool gives_positions;
    /* Asked for every object that is read or written: module security's; NULL allows all. */
    kd_status (*authorize)(kd_ctx *ctx, void *object, const kd_object *entry, char privilege);
    void *authorize_object;
} kd_bind_options;

typedef enum kd_dml_kind {
    KD_DML_SELECT = 0,
    KD_DML_INSERT,
    KD_DML_UPDATE,
    KD_DML_DELETE,
    KD_DML_MERGE
} kd_dml_kind;

/* One assignment of an UPDATE or ON CONFLICT: the value is a column of the source query. */
typedef struct kd_bound_assignment {
    uint32_t shape_position;
    kd_expr *value; /* Over the source's columns (see below); NULL: DEFAULT */
} kd_bound_assignment;

typedef enum kd_merge_action {
    KD_MERGE_INSERT = 0,
    KD_MERGE_UPDATE,
    KD_MERGE_DELETE,
    KD_MERGE_NOTHING
} kd_merge_action;
typedef struct kd_bound_merge_when {
    bool matched;
    kd_expr *condition; /* NULL: always. */
    kd_merge_action action;
    uint32_t assignment_count; /* UPDATE: changed columns; INSERT: given columns. */
    kd_bound_assignment *assignments;
} kd_bound_merge_when;

/* WITH CHECK OPTION of a view that is written: over `target_ids`, for new rows. */
typedef struct kd_bound_view_check {
    kd_slice view;
    kd_expr *condition;
} kd_bound_view_check;

/* A table that a row of a cursor's query comes from, row by row. Two columns behind those of the
 * select list say where: the row reference, and the number of the table or partition. */
typedef struct kd_bound_position {
    uint32_t object_no; /* The table that is named. */
    bool is_locked;     /* By FOR UPDATE and its like. */
} kd_bound_position;

/*
 * A bound query or DML statement.
 *
 * SELECT: `query`, whose columns are the result's.
 * INSERT: `query` gives the rows, one column per `target_positions` entry, already of the column's
 *   type; columns not listed take their default. NULL query: DEFAULT VALUES. An expression DEFAULT
 * in VALUES is bound to the default's expression. UPDATE, DELETE: `query` gives the affected rows:
 * its first column is the row reference of the target; then, for UPDATE, the new values in order of
 * `target_positions`; then the columns that `returning` needs from FROM/USING. `recheck` lets the
 * engine evaluate WHERE again on the newest version of a row that another transaction changed (READ
 * COMMITTED): the whole query is run again, restricted to that row by the engine binding
 * `recheck_ref` (a parameter-like cell) - see engine. MERGE: `query` is target LEFT/RIGHT joined
 * with the source; first column the row reference (NULL: not matched); `when` clauses are over its
 * columns. RETURNING: expressions over `returning_old_ids`: columns whose ids stand for the
 * target's columns (new row for INSERT and UPDATE, old one for DELETE), one per shape position,
 * plus the query's.
 */
typedef struct kd_bound_statement {
    kd_dml_kind kind;
    kd_dml_kind written_as; /* What the command tag tells; another than `kind` where RETURNING with
                             * sub-queries was made a query over the statement's rows. */
    kd_rel *query;
    uint32_t parameter_count;
    kd_type *parameter_types; /* Inferred. */
    uint32_t cte_count;
    kd_cte **ctes;                /* Used by `query`, in order of definition. */
    uint32_t modifying_cte_count; /* Data-modifying WITH: run first, in order; their rows
                                     feed CTE uses. */
    struct kd_bound_modifying_cte {
        kd_cte *cte;
        struct kd_bound_statement *statement;
    } * modifying_ctes;
    /* DML. */
    const kd_table_entry *target; /* May be a partitioned parent: the engine routes. */
    uint32_t target_count;
    uint32_t *target_positions; /* Shape positions. */
    bool has_partition_column;  /* UPDATE, DELETE, MERGE of a partitioned parent: the query's
                                   second column (int8) is the object number of the partition
                                   that the row reference is of. */
    bool overriding_system;     /* OVERRIDING SYSTEM VALUE */
    bool has_on_conflict;
    bool on_conflict_update;       /* else DO NOTHING */
    uint32_t conflict_index_count; /* Arbiter indexes (positions in target->indexes); 0: any. */
    uint32_t *conflict_indexes;
    uint32_t conflict_assignment_count;
    kd_bound_assignment
        *conflict_assignments; /* Over target_ids (existing row) and excluded_ids. */
    kd_expr *conflict_where;
    kd_column_id *excluded_ids; /* One per shape position. */
    /* DO UPDATE with sub-queries that look at the row; else NULL. A query with a row where WHERE
     * holds, instead of `conflict_where`, and one whose row has the values of the assignments that
     * are no DEFAULT. Their parameters from `conflict_parameter_no` on: the existing row, the
     * excluded one, and the columns of `query` behind the target's. */
    kd_rel *conflict_test;
    kd_rel *conflict_values;
    uint32_t conflict_parameter_no;
    uint32_t when_count;
    kd_bound_merge_when *whens;
    kd_column_id *target_ids; /* One per shape position: the target row in expressions below. */
    uint32_t view_check_count;
    kd_bound_view_check *view_checks;
    kd_column_id place_id; /* In `returning`: the row's reference, ... */
    kd_column_id leaf_id;  /* ... and the object number of the table that it is in. */
    bool returns_places;   /* One of the two is used. */
    uint32_t returning_count;
    kd_expr **returning;
    kd_rel_column *returning_columns;
    bool reads_target;       /* The query reads the table that is written. */
    bool runs_routines;      /* The engine runs bodies inside it: in one thread. */
    bool for_update;         /* SELECT ... FOR UPDATE/SHARE: writes locks. */
    uint32_t position_count; /* SELECT with `gives_positions`: its last columns are of these. */
    const kd_bound_position *positions;
    kd_column_id last_column_id; /* Ids above it are free: the planner goes on from here. */
} kd_bound_statement;

/* ctid and its kin: names that no column of a table may have. */
bool kd_is_system_column(kd_slice name);

/* Binds SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE. Errors carry position and hint. */
kd_status kd_bind_statement(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            const kd_ast_node *statement,
                            kd_bound_statement **out_bound) KD_MUST_CHECK;

/* A stand-alone expression over the columns of one table (CHECK, DEFAULT, generated column, index
 * expression, partial index predicate) and, if `shape_ids` is not NULL, gives the ids that stand
 * for the table's shape positions. `table` NULL: no columns may be used. Cast to `wanted` by
 * assignment unless that is UNKNOWN. */
kd_status kd_bind_expression(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                             const kd_ast_node *expr, const kd_table_entry *table, kd_type wanted,
                             kd_column_id **out_shape_ids, kd_expr **out_bound) KD_MUST_CHECK;
/* The same from text (as the catalog stores it). */
kd_status kd_bind_expression_text(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                                  kd_slice text, const kd_table_entry *table, kd_type wanted,
                                  kd_column_id **out_shape_ids, kd_expr **out_bound) KD_MUST_CHECK;

/* CALL: which procedure, with its arguments in order, as expressions without columns; its OUT
 * arguments are the columns of a row. */
typedef struct kd_bound_procedure {
    const kd_routine_entry *routine;
    uint32_t argument_count;
    kd_expr **arguments;
    bool is_row;
    kd_record_shape shape;
} kd_bound_procedure;
kd_status kd_bind_procedure(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            const kd_ast_call *call, kd_bound_procedure *out) KD_MUST_CHECK;

/* A type name with modifiers to a type: built-in ones, enums, domains (their base). */
kd_status kd_bind_type(kd_ctx *ctx, const kd_bind_options *options, const kd_ast_type *type,
                       kd_type *out_type) KD_MUST_CHECK;
/* A relation's name by the search path; 42P01 when there is none (unless `missing_ok`). */
kd_status kd_bind_relation(kd_ctx *ctx, const kd_bind_options *options, const kd_ast_name *name,
                           bool missing_ok, const kd_object **out_object) KD_MUST_CHECK;

#endif
