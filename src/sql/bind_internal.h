/*
 * What the files of the binder share: the statement being bound, scopes of names,
 * and the state of one SELECT.
 *
 * A scope is what names a place in the text may use; scopes are chained outwards.
 * The items to the left of a LATERAL item form a scope of their own between it and
 * the query's outer scope. Names found in an outer scope make a correlation, which
 * costs the binder nothing: column ids are unique in the statement.
 */
#ifndef KD_SQL_BIND_INTERNAL_H
#define KD_SQL_BIND_INTERNAL_H

#include "sql/binder.h"
#include "sql/expr_walk.h"
#include "sql/parser.h"
#include "types/record.h"

#define KDI_S(slice) (int)(slice).size_bytes, (slice).data

typedef struct kdi_scope kdi_scope;
typedef struct kdi_query kdi_query;

/* A named item in FROM. */
typedef struct kdi_source {
    kd_slice schema;
    kd_slice alias;
    uint32_t column_count;
    kd_rel_column *columns;
    kd_rel *scan;            /* The SCAN it is, or NULL. */
    kd_rel *rel;             /* What gives its rows; set when the item is bound. */
    bool is_working;         /* A recursive query's use of itself. */
    uint32_t row_object;     /* The table whose row type its rows are of; 0: none. */
    kd_slice row_name;       /* Of a view: its rows' type is called so. */
    bool is_value;           /* A function's single values: a whole row is the value itself. */
    const kd_ast_node *item; /* Where FROM names a relation of the catalog and notes are taken. */
    bool is_table;           /* `rel` reads a stored table: its rows have system columns. */
    kd_column_id place;      /* In RETURNING: the written row's reference, ... */
    kd_column_id leaf;       /* ... and the number of the table that it is in; else 0. */
} kdi_source;

/* What FROM items make visible: columns for bare names (merged ones once), sources for t.x. */
typedef struct kdi_names {
    kd_rel_column *columns;
    size_t column_count, column_capacity;
    kdi_source *sources;
    size_t source_count, source_capacity;
} kdi_names;

struct kdi_scope {
    kdi_scope *outer;
    kdi_names names;
    kdi_query *query; /* The SELECT whose names these are; NULL beside a LATERAL item. */
    int depth;        /* Outermost: 0. */
    bool is_lateral;  /* Items to the left, seen only by LATERAL ones. */
};

typedef enum kdi_with_state {
    KDI_WITH_PENDING = 0,
    KDI_WITH_BINDING,
    KDI_WITH_BOUND
} kdi_with_state;

/* A WITH query in sight. */
typedef struct kdi_with {
    struct kdi_with *outer;
    struct kdi_with *visible; /* The innermost one that its own query sees. */
    struct kdi_with_list *list;
    kdi_with_state state;
    kd_slice name;
    const kd_ast_cte *ast;
    kdi_scope *scope; /* Where the WITH stands. */
    kd_cte *cte;      /* Bound once; NULL: bound anew at each use. */
    bool starting;    /* Inside its own non-recursive term, where it may not be used. */
    bool recursive;   /* WITH RECURSIVE */
    bool formless;    /* Recursive, but no UNION: it may not be used inside itself. */
    bool has_tail;    /* Recursive, but with ORDER BY or LIMIT: the same. */
    bool working;     /* Inside its own recursive step: a use is the working table. */
    bool working_used;
    uint32_t working_no;
    uint32_t column_count; /* Of the recursive one being bound. */
    kd_rel_column *columns;
    uint32_t hidden_count; /* The last of them: what SEARCH and CYCLE carry along. */
    kd_rel *working_rel;   /* The use inside the step. */
} kdi_with;

/* The queries of one WITH. */
typedef struct kdi_with_list {
    bool is_top;             /* The statement's own: only there may statements write. */
    const kdi_with *current; /* The one that is being bound; for the others it is not itself. */
} kdi_with_list;

typedef struct kdi_window {
    kd_slice name;
    uint32_t partition_count;
    kd_expr **partition_by;
    uint32_t order_count;
    kd_sort_key *order_by;
    kd_frame_mode mode;
    kd_frame_bound start, end;
    kd_expr *start_offset, *end_offset;
    kd_frame_exclusion exclusion;
    bool has_frame;
    kd_window_call *calls;
    size_t call_count, call_capacity;
} kdi_window;

/* A set-returning function outside FROM. */
typedef struct kdi_srf {
    kd_rel *rel;    /* A FUNCTION. */
    uint32_t level; /* One more than the deepest one among its arguments. */
    bool grouped;   /* Its rows are grouped by: it runs before the aggregation. */
} kdi_srf;

struct kdi_query {
    const char *clause; /* For messages: "WHERE", "JOIN conditions", ... */
    bool aggregates_ok, windows_ok, srfs_ok;
    bool inside_aggregate, inside_window;
    kd_aggregate_call *calls;
    size_t call_count, call_capacity;
    kd_expr **direct; /* Arguments before WITHIN GROUP, which have to be grouped. */
    size_t direct_count, direct_capacity;
    kdi_window **windows;
    size_t window_count, window_capacity;
    kdi_srf *srfs;
    size_t srf_count, srf_capacity;
    const char *srf_barrier; /* Inside this construct they are refused: "CASE"; NULL: none. */
    const kd_ast_list *window_definitions;
    const kd_ast_list *aliases; /* The select list, whose names stand for their expressions ... */
    size_t alias_limit;         /* ... those before this one. */
    bool grouped;
    kd_expr **keys;
    size_t key_count, key_capacity;
    uint32_t *
        key_targets; /* Which of the select list each is, where there are sets; UINT32_MAX: none. */
    size_t key_target_count, key_target_capacity;
    kd_column_id *key_ids;
    uint64_t *sets;
    size_t set_count, set_capacity;
    kd_column_id grouping_id;
};

/* A row type of this statement; its name is empty for ROW(...) and sub-queries. */
typedef struct kdi_shape {
    kd_slice name;
    kd_record_shape shape;
} kdi_shape;

/* Columns that COLUMNS(...) in the target being bound stands for, and whose turn it is. */
typedef struct kdi_columns {
    size_t count, index;
    kd_slice name;
} kdi_columns;

/* Arguments of a routine whose body is being bound (bind_routine.c). */
typedef struct kdi_frame kdi_frame;

typedef struct kdi_binder {
    kd_arena *arena;
    kdi_frame *frame;
    const kd_bind_options *options;
    const kd_registry *registry;
    kd_column_id last_id;
    uint32_t last_working_no;
    kd_type *parameter_types;
    size_t parameter_count, parameter_capacity;
    kdi_with *with;              /* Innermost WITH query in sight. */
    const kd_ast_with *top_with; /* The statement's own: only there may statements write. */
    kd_cte **ctes;
    size_t cte_count, cte_capacity;
    struct kd_bound_modifying_cte *modifying;
    size_t modifying_count, modifying_capacity;
    kdi_columns columns;
    kdi_shape *shapes;
    size_t shape_count, shape_capacity;
    int depth;
    uint32_t working_uses;  /* Of recursive queries inside themselves, so far. */
    uint32_t working_reads; /* The same, WITH queries that read them counted at each use. */
    bool rebinding;         /* A WITH query that reads a recursion's rows is bound at each use. */
    const kdi_with *step;   /* The next SELECT is this query's recursive step. */
    int inside_text;        /* Views and stored expressions: positions mean nothing there. */
    int deepest;            /* Deepest scope that a column was found in since it was last reset. */
    int shallowest;         /* The other end. */
    uint64_t
        found_depths; /* Bit d: a column was found at depth d; the last bit: at 63 or deeper. */
    const kd_table_entry *target; /* Of DML, to set reads_target. */
    struct kdi_view_target *view; /* That DML names; its table is `target`. */
    bool reads_target;
    bool locks_rows;
    const kd_ast_node *positioned; /* The query that gives positions; NULL: none does. */
    kd_bound_position *positions;
    size_t position_count, position_capacity;
    bool is_alone;          /* An expression outside any statement. */
    bool runs_routines;     /* Bodies that the engine runs when they are reached. */
    uint32_t inlined_count; /* Bodies put in so far. */
    bool keep_unknown;      /* The next SELECT leaves untyped literals to its user. */
    bool wants_refs;        /* Scans in the FROM being bound carry row references. */
    kd_rel **placed;        /* Scans whose rows' places are asked for. */
    size_t placed_count, placed_capacity;
    kd_text_settings settings; /* The session's, with enum labels from the catalog. */
} kdi_binder;

/* Puts the position on the error just recorded and gives the status back. */
kd_status kdi_at(kd_ctx *ctx, const kdi_binder *b, int position, kd_status status);
/* 54001 when nesting is too deep; pair with kdi_leave. */
kd_status kdi_enter(kd_ctx *ctx, kdi_binder *b) KD_MUST_CHECK;
static inline void kdi_leave(kdi_binder *b)
{
    b->depth--;
}

/* --- Nodes (bind_node.c) --- */
kd_expr *kdi_expr_new(kd_ctx *ctx, kdi_binder *b, kd_expr_kind kind, kd_type type, int position,
                      uint32_t argument_count);
kd_expr *kdi_constant(kd_ctx *ctx, kdi_binder *b, kd_value value, int position);
kd_expr *kdi_column_expr(kd_ctx *ctx, kdi_binder *b, const kd_rel_column *column, int position);
/* Trees share nothing, since the planner works in place. Sub-queries are not copied. */
kd_status kdi_copy_expr(kd_ctx *ctx, kdi_binder *b, const kd_expr *expr,
                        kd_expr **out) KD_MUST_CHECK;
kd_expr *kdi_not(kd_ctx *ctx, kdi_binder *b, kd_expr *argument);
/* Joins two conditions, either of which may be NULL. */
kd_status kdi_and(kd_ctx *ctx, kdi_binder *b, kd_expr *left, kd_expr *right,
                  kd_expr **out) KD_MUST_CHECK;
kd_rel *kdi_rel_new(kd_ctx *ctx, kdi_binder *b, kd_rel_kind kind, int position,
                    uint32_t column_count);
/* A node over `input` with the input's columns. */
kd_rel *kdi_rel_over(kd_ctx *ctx, kdi_binder *b, kd_rel_kind kind, kd_rel *input);
kd_rel *kdi_rel_one_row(kd_ctx *ctx, kdi_binder *b);
kd_status kdi_rel_filter(kd_ctx *ctx, kdi_binder *b, kd_expr *condition,
                         kd_rel **io_rel) KD_MUST_CHECK;
/* A PROJECT whose columns are these expressions; bare columns keep their ids when `keep_ids`. */
kd_status kdi_rel_project(kd_ctx *ctx, kdi_binder *b, kd_rel *input, kd_expr **exprs,
                          const kd_slice *names, uint32_t count, bool keep_ids,
                          kd_rel **out) KD_MUST_CHECK;
/* The same relation with one column more; `*out` is its id. */
kd_status kdi_rel_append(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel, kd_expr *expr,
                         kd_column_id *out) KD_MUST_CHECK;
kd_status kdi_rel_join(kd_ctx *ctx, kdi_binder *b, kd_join_kind kind, kd_rel *left, kd_rel *right,
                       kd_expr *condition, kd_rel **out) KD_MUST_CHECK;
kd_column_id kdi_next_id(kdi_binder *b);

/* --- Names (bind_name.c) --- */
kd_status kdi_find_relation(kd_ctx *ctx, kdi_binder *b, const kd_ast_name *name, bool missing_ok,
                            const kd_object **out_object,
                            const kd_virtual_table **out_virtual) KD_MUST_CHECK;
kd_status kdi_bind_type(kd_ctx *ctx, kdi_binder *b, const kd_ast_type *type,
                        kd_type *out_type) KD_MUST_CHECK;
/* The domain that a type's name stands for, or NULL. */
const kd_domain_entry *kdi_find_domain(const kdi_binder *b, const kd_ast_type *type);
/* A cast's value, already of the base type, checked as the domain asks (bind_domain.c). */
kd_status kdi_check_domain(kd_ctx *ctx, kdi_binder *b, const kd_domain_entry *domain,
                           kd_expr **io_value) KD_MUST_CHECK;
const char *kdi_type_text(kd_ctx *ctx, kdi_binder *b, kd_type type);
kd_status kdi_bind_column(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_column *ast,
                          kd_expr **out) KD_MUST_CHECK;
/* NULL when there is none. */
const kdi_source *kdi_find_source(kdi_scope *scope, kd_slice schema, kd_slice alias,
                                  kdi_scope **out_scope);
/* The row of the FROM item that the name is of; 42P01 when there is none. */
kd_status kdi_bind_whole_row(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_column *ast,
                             kd_expr **out) KD_MUST_CHECK;
kd_status kdi_names_add(kd_ctx *ctx, kdi_binder *b, kdi_names *names,
                        const kdi_names *more) KD_MUST_CHECK;
kd_status kdi_names_add_source(kd_ctx *ctx, kdi_binder *b, kdi_names *names,
                               kdi_source source) KD_MUST_CHECK;
kd_status kdi_names_add_column(kd_ctx *ctx, kdi_binder *b, kdi_names *names,
                               kd_rel_column column) KD_MUST_CHECK;
kd_status kdi_authorize(kd_ctx *ctx, kdi_binder *b, const kd_object *object,
                        char privilege) KD_MUST_CHECK;

/* --- Notes on names (name_note.c); none of them does anything where nobody asked --- */
void kdi_note_unclear(kdi_binder *b);
kd_status kdi_note_expr(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                        const kd_expr *expr) KD_MUST_CHECK;
kd_status kdi_note_object(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                          const kd_object *object) KD_MUST_CHECK;
/* Columns that were found in `found_in`, as they may be named in `scope`. */
kd_status kdi_note_column(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_scope *found_in,
                          const kd_ast_node *node, const kd_rel_column *column) KD_MUST_CHECK;
kd_status kdi_note_columns(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, kdi_scope *found_in,
                           const kd_ast_node *node, const kd_rel_column *columns,
                           size_t count) KD_MUST_CHECK;
kd_status kdi_note_item(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                        kdi_source *source) KD_MUST_CHECK;
kd_status kdi_note_merged(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *join,
                          const kd_slice *merged, size_t count,
                          const kdi_names *sides[2]) KD_MUST_CHECK;

/* --- System columns (bind_system.c) --- */
/* The items of this scope whose rows have the system column, and the last of them. */
size_t kdi_system_sources(const kdi_names *names, kd_slice name, const kdi_source **out_source);
bool kdi_has_system_column(const kdi_source *source, kd_slice name);
kd_status kdi_system_column(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, kd_slice name,
                            int position, kd_expr **out) KD_MUST_CHECK;
/* One more column of a node: one of its input's, or one that the node makes. */
kd_status kdi_rel_add_column(kd_ctx *ctx, kdi_binder *b, kd_rel *rel,
                             kd_rel_column column) KD_MUST_CHECK; /* bind_row.c */
/* The same for a node in FROM, and everything that was built over it. */
kd_status kdi_rel_expose(kd_ctx *ctx, kdi_binder *b, kd_rel *rel,
                         kd_rel_column column) KD_MUST_CHECK;
/* Whether a join may put NULLs in the place of its columns. */
bool kdi_rel_is_nullable(const kd_rel *rel);

/* --- Types (bind_coerce.c) --- */
static inline bool kdi_is_unknown(kd_type type)
{
    return type.id == KD_TYPE_UNKNOWN && !type.is_array;
}
/* Casts *io_expr to `type`; 42846 / 42804 when it cannot be. */
kd_status kdi_coerce(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                     kd_expr **io_expr) KD_MUST_CHECK;
/* Finds the common type (42804 "%s types %s and %s cannot be matched") and casts. */
kd_status kdi_unify(kd_ctx *ctx, kdi_binder *b, const char *what, kd_expr **exprs, uint32_t count,
                    kd_type *out_type) KD_MUST_CHECK;
/* Casts to boolean: "argument of %s must be type boolean, not type %s". */
/* 42883 for types that cannot be told equal: DISTINCT, GROUP BY, UNION. */
kd_status kdi_check_equality(kd_ctx *ctx, kdi_binder *b, kd_type type, int position) KD_MUST_CHECK;
kd_status kdi_to_boolean(kd_ctx *ctx, kdi_binder *b, const char *what,
                         kd_expr **io_expr) KD_MUST_CHECK;
/* Gives text to what is still of unknown type. */
kd_status kdi_settle(kd_ctx *ctx, kdi_binder *b, kd_expr **io_expr) KD_MUST_CHECK;
/* Resolves a function or operator by name and builds the call. */
kd_status kdi_call(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr **arguments, uint32_t count,
                   int position, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_find_operator(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_type left, kd_type right,
                            int position, const kd_function **out_function, kd_type out_types[2],
                            kd_type *out_result) KD_MUST_CHECK;
kd_status kdi_operator(kd_ctx *ctx, kdi_binder *b, kd_slice name, kd_expr *left, kd_expr *right,
                       int position, kd_expr **out) KD_MUST_CHECK;
/* "f(integer, text)" for messages. */
const char *kdi_signature(kd_ctx *ctx, kdi_binder *b, kd_slice name, const kd_type *types,
                          uint32_t count);

/* --- Routines (bind_routine_call.c, bind_routine.c) --- */
typedef struct kdi_routine_call {
    const kd_routine_entry *routine;
    uint32_t argument_count; /* One per argument that calls give. */
    kd_expr **arguments;
    kd_type element; /* What polymorphic types stand for. */
    bool is_exact;   /* No argument was cast. */
    int position;
} kdi_routine_call;
bool kdi_has_routine(const kdi_binder *b, const kd_ast_name *name);
/* `given` are the call's arguments as they are written. */
kd_status kdi_find_routine(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **given,
                           bool wants_procedure, kdi_routine_call *out,
                           bool *out_found) KD_MUST_CHECK;
/* The same for a call among expressions or in FROM; not found where a function of the system fits
 * better. */
kd_status kdi_match_routine(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **given,
                            kdi_routine_call *out, bool *out_found) KD_MUST_CHECK;
kd_status kdi_routine_value(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                            kd_expr **out) KD_MUST_CHECK;
/* RETURNS record: which columns is said where it is called. */
bool kdi_routine_gives_any_row(const kd_routine_entry *routine);
/* Its rows in FROM; `columns` are those of a column definition list, or NULL. */
kd_status kdi_routine_rows(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                           const kd_record_shape *columns, kd_rel **out) KD_MUST_CHECK;
/* As a table function that the engine runs. */
kd_status kdi_routine_function(kd_ctx *ctx, kdi_binder *b, const kdi_routine_call *call,
                               const kd_record_shape *columns,
                               const kd_table_function **out) KD_MUST_CHECK;
/* Names of arguments, inside a body. */
kd_status kdi_bind_argument(kd_ctx *ctx, kdi_binder *b, kd_slice name, int position,
                            bool *out_found, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_argument_number(kd_ctx *ctx, kdi_binder *b, const kd_ast_param *ast,
                                   kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_argument_part(kd_ctx *ctx, kdi_binder *b, kd_slice first, kd_slice second,
                                 int position, bool *out_found, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_binder_create(kd_ctx *ctx, kd_arena *arena, const kd_bind_options *options,
                            kdi_binder **out) KD_MUST_CHECK;

/* --- Expressions (bind_expr.c and its siblings) --- */
kd_status kdi_bind_expr(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                        kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_condition(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             const char *what, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_predicate(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_expr **out) KD_MUST_CHECK; /* bind_predicate.c */
kd_status kdi_bind_special(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                           kd_expr **out) KD_MUST_CHECK; /* bind_special.c */
/* ARRAY[...] cast to `type`: each element is cast by itself. `mark` is where the cast stands. */
kd_status kdi_bind_array_as(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_args *ast,
                            kd_type type, int mark, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                        kd_expr **out) KD_MUST_CHECK; /* bind_call.c */
/* name => value and VARIADIC array (bind_named.c). */
bool kdi_names_arguments(const kd_ast_call *ast);
bool kdi_is_variadic(const kd_ast_call *ast);
/* Puts arguments in the order of the function that has their names, and defaults in between. */
kd_status kdi_arrange_arguments(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast,
                                kd_expr ***io_arguments, uint32_t *io_count) KD_MUST_CHECK;
kd_status kdi_bind_variadic(kd_ctx *ctx, kdi_binder *b, const kd_ast_call *ast, kd_expr **arguments,
                            kd_expr **out) KD_MUST_CHECK;
/* An argument before WITHIN GROUP: checked when what is grouped by is known. */
kd_status kdi_note_direct(kd_ctx *ctx, kdi_binder *b, kdi_query *query,
                          kd_expr *argument) KD_MUST_CHECK;
kd_status kdi_check_direct(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope) KD_MUST_CHECK;
kd_status kdi_bind_aggregate(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                             kd_expr **out) KD_MUST_CHECK; /* bind_aggregate.c */
kd_status kdi_bind_window_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                               kd_expr **out) KD_MUST_CHECK; /* bind_window.c */
/* Windows that are defined and may be used by nobody. */
kd_status kdi_check_windows(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_list *windows) KD_MUST_CHECK;
/* rank(x) WITHIN GROUP (ORDER BY y) and its kin (bind_hypothetical.c). */
kd_status kdi_bind_hypothetical(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_call *ast, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_subquery(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            const kd_ast_subquery *ast, kd_expr **out) KD_MUST_CHECK;
/* operand op ANY/ALL (query); `operands` are one per column of the query. */
kd_status kdi_bind_quantified_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                    kd_expr **operands, uint32_t count, kd_slice operator_name,
                                    bool is_all, const kd_ast_node *query, int position,
                                    kd_expr **out) KD_MUST_CHECK;

/* --- Rows (bind_row.c) --- */
/* What a row type holds; not known for rows of any shape. */
kd_status kdi_row_shape(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_record_shape *out,
                        bool *out_known) KD_MUST_CHECK;
/* The domain that a field of a row type was declared with; 0: none. */
uint32_t kdi_field_domain(const kdi_binder *b, kd_type type, uint32_t index);
/* ROW of these expressions under these names (NULL: f1, f2, ...), of a row type of the catalog
 * where `object` is not 0. */
kd_status kdi_named_row(kd_ctx *ctx, kdi_binder *b, kd_expr **exprs, const kd_slice *names,
                        uint32_t count, uint32_t object, int position, kd_expr **out) KD_MUST_CHECK;
/* The type of rows of a shape that only this statement knows. */
kd_status kdi_shape_type(kd_ctx *ctx, kdi_binder *b, const kd_record_shape *shape,
                         kd_type *out) KD_MUST_CHECK;
/* ROW of these expressions. */
kd_status kdi_make_row(kd_ctx *ctx, kdi_binder *b, kd_expr **exprs, uint32_t count, int position,
                       kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_row_value(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kd_expr **out) KD_MUST_CHECK;
/* t, t.*: the row of a FROM item as one value. */
kd_status kdi_whole_row(kd_ctx *ctx, kdi_binder *b, const kdi_source *source, int position,
                        kd_expr **out) KD_MUST_CHECK;
kd_status kdi_row_field(kd_ctx *ctx, kdi_binder *b, kd_expr *row, const kd_record_shape *shape,
                        uint32_t index, int position, kd_expr **out) KD_MUST_CHECK;
/* (r).f and (r).* */
kd_status kdi_bind_field(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_field *ast,
                         kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_fields(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_field *ast,
                          kd_expr ***out_exprs, kd_record_shape *out_shape) KD_MUST_CHECK;
kd_status kdi_row_is_null(kd_ctx *ctx, kdi_binder *b, kd_expr *row, bool negated, int position,
                          kd_expr **out) KD_MUST_CHECK;
/* A value that has just become a row of a catalog's type: fields of domains are checked. */
kd_status kdi_check_fields(kd_ctx *ctx, kdi_binder *b, kd_expr **io_expr) KD_MUST_CHECK;
/* The same for the columns of a function in FROM whose rows are of its first argument's type. */
kd_status kdi_check_columns(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_coerce_row(kd_ctx *ctx, kdi_binder *b, kd_type type, kd_cast_context context,
                         kd_expr **io_expr) KD_MUST_CHECK;
/* Whether a row on the left is compared with this column by column. */
bool kdi_is_row_comparison(const kd_ast_node *right);
kd_status kdi_bind_row_operator(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                                const kd_ast_operator *ast, kd_expr **out) KD_MUST_CHECK;
/* The fields of (a, b) or ROW(a, b); anything else is one expression. */
kd_status kdi_bind_row(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                       kd_expr ***out_exprs, uint32_t *out_count) KD_MUST_CHECK;
kd_status kdi_compare_rows(kd_ctx *ctx, kdi_binder *b, kd_slice op, kd_expr **left, kd_expr **right,
                           uint32_t count, int position, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_sort_key(kd_ctx *ctx, kdi_binder *b, const kd_ast_sort *ast, kd_expr *expr,
                            kd_sort_key *out) KD_MUST_CHECK;

/* --- Queries --- */
kd_status kdi_bind_from(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_list *from,
                        kdi_names *names, kd_rel **out) KD_MUST_CHECK; /* bind_from.c */
/* What an item of this FROM sees that is not LATERAL: nothing to its left, but the items to the
 * left of an enclosing LATERAL query. */
kdi_scope *kdi_beyond_lateral(kdi_scope *scope);
kd_status kdi_bind_from_item(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                             kdi_names *names, kd_rel **out) KD_MUST_CHECK;
kd_status kdi_bind_join(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_join *ast,
                        kdi_names *names, kd_rel **out) KD_MUST_CHECK; /* bind_join.c */
/* Renames by AS name (a, b) and adds the item as a source. */
kd_status kdi_apply_alias(kd_ctx *ctx, kdi_binder *b, const kd_ast_alias *alias, kd_slice schema,
                          kd_slice default_name, kd_rel *rel, uint32_t visible_count,
                          kdi_names *names) KD_MUST_CHECK;
kd_status kdi_bind_table_call(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                              const kd_ast_table_call *ast, kdi_names *names,
                              kd_rel **out) KD_MUST_CHECK; /* bind_table_call.c */
/* `columns` NULL: none were listed where it is called. */
kd_status kdi_table_function_rel(kd_ctx *ctx, kdi_binder *b, const kd_table_function *function,
                                 kd_expr **arguments, uint32_t count,
                                 const kd_record_shape *columns, int position,
                                 kd_rel **out) KD_MUST_CHECK;
/* FUNCTIONs, and PROJECTs of one row, row by row; their columns keep their ids. */
kd_status kdi_side_by_side(kd_ctx *ctx, kdi_binder *b, kd_rel *const *rels, uint32_t count,
                           kd_rel **out) KD_MUST_CHECK;
kd_status kdi_scan_table(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                         bool with_ref, int position, kd_rel **out) KD_MUST_CHECK;
/* The union of a parent's partitions, columns by the names of `named_by`. With references, the row
 * reference and then the partition's object number follow the columns. */
kd_status kdi_scan_parent(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *parent,
                          const kd_table_entry *named_by, kd_slice alias, bool with_ref,
                          int position, kd_rel **out) KD_MUST_CHECK;
/* SELECT, VALUES or a set operation, tail and WITH included. */
kd_status kdi_bind_query(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_node *node,
                         kd_rel **out) KD_MUST_CHECK; /* bind_query.c */
kd_status kdi_bind_select(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_select *ast,
                          kd_rel **out) KD_MUST_CHECK; /* bind_select.c */
kd_status kdi_bind_values(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_select *ast,
                          kd_rel **out) KD_MUST_CHECK; /* bind_query.c */
kd_status kdi_bind_setop(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kd_ast_setop *ast,
                         kd_rel **out) KD_MUST_CHECK; /* bind_setop.c */
kd_status kdi_set_rel(kd_ctx *ctx, kdi_binder *b, kd_set_kind kind, bool all, kd_rel *left,
                      kd_rel *right, int position, kd_rel **out) KD_MUST_CHECK;
kd_status kdi_cast_columns(kd_ctx *ctx, kdi_binder *b, const kd_type *types,
                           kd_cast_context context, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_bind_limit(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer, const kdi_names *names,
                         const kd_ast_query_tail *tail, kd_rel **io_rel) KD_MUST_CHECK;
/* ORDER BY and LIMIT of a query whose output columns are all there is to sort by. */
kd_status kdi_sort_output(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer,
                          const kd_ast_query_tail *tail, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_bind_with(kd_ctx *ctx, kdi_binder *b, kdi_scope *outer,
                        const kd_ast_with *with) KD_MUST_CHECK; /* bind_cte.c */
kd_status kdi_use_with(kd_ctx *ctx, kdi_binder *b, kdi_with *with, int position,
                       kd_rel **out) KD_MUST_CHECK;
/* SEARCH and CYCLE (bind_search.c): the columns that they carry, of the starting rows, and of the
 * step's rows, which bring those of the rows that they came from. */
kd_status kdi_search_form(kd_ctx *ctx, kdi_binder *b, const kdi_with *with,
                          const kd_ast_setop *ast) KD_MUST_CHECK;
kd_status kdi_search_start(kd_ctx *ctx, kdi_binder *b, kdi_with *with,
                           kd_rel **io_start) KD_MUST_CHECK;
kd_status kdi_search_step(kd_ctx *ctx, kdi_binder *b, const kdi_with *with,
                          kd_rel **io_step) KD_MUST_CHECK;
/* 42P19 where recursive queries were used since `uses_before`. */
kd_status kdi_refuse_working(kd_ctx *ctx, kdi_binder *b, uint32_t uses_before,
                             const char *where) KD_MUST_CHECK;
kdi_with *kdi_find_with(const kdi_binder *b, kd_slice name);

/* TABLESAMPLE of a scan with row references, and USING SAMPLE (bind_sample.c). */
kd_status kdi_sample_table(kd_ctx *ctx, kdi_binder *b, const kd_ast_sample *ast,
                           const kd_rel_column *refs, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_sample_query(kd_ctx *ctx, kdi_binder *b, const kd_ast_sample *ast,
                           kd_rel **io_rel) KD_MUST_CHECK;

/* Targets: the select list and RETURNING. */
typedef struct kdi_targets {
    kd_expr **exprs;
    kd_slice *names;
    size_t count, expr_capacity, name_count, name_capacity;
} kdi_targets;
kd_status kdi_bind_targets(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                           kdi_targets *out) KD_MUST_CHECK; /* bind_target.c */
kd_slice kdi_target_name(const kd_ast_node *node);
kd_status kdi_bind_columns(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_call *ast,
                           kd_expr **out) KD_MUST_CHECK;
/* *, t.* or (r).*: its columns with their names. */
kd_status kdi_expand_star(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *node,
                          kdi_targets *out) KD_MUST_CHECK;

/* Grouping (bind_group.c). */
kd_status kdi_bind_grouping(kd_ctx *ctx, kdi_binder *b, kd_expr **arguments, uint32_t count,
                            int position, kd_expr **out) KD_MUST_CHECK;
kd_status kdi_bind_group_by(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_select *ast,
                            const kdi_targets *targets) KD_MUST_CHECK;
/* Replaces group keys by their columns and refuses other columns of `scope`. */
/* An expression of the select list, which may be a key by its place. */
kd_status kdi_group_target(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, uint32_t target,
                           kd_expr **slot) KD_MUST_CHECK;
kd_status kdi_group_rewrite(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                            kd_expr **slot) KD_MUST_CHECK;
kd_status kdi_group_rel(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                        kd_rel **io_rel) KD_MUST_CHECK;

/* --- DML (bind_insert.c, bind_update.c, bind_merge.c) --- */
kd_status kdi_bind_statement(kd_ctx *ctx, kdi_binder *b, const kd_ast_node *node,
                             kd_bound_statement *bound) KD_MUST_CHECK;
kd_status kdi_bind_insert(kd_ctx *ctx, kdi_binder *b, const kd_ast_insert *ast,
                          kd_bound_statement *bound) KD_MUST_CHECK;
kd_status kdi_bind_conflict(kd_ctx *ctx, kdi_binder *b, const kd_ast_on_conflict *ast,
                            kd_slice alias, kd_bound_statement *bound) KD_MUST_CHECK;
/* Once all of the statement's parameters are known. */
kd_status kdi_number_conflict(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound) KD_MUST_CHECK;
kd_status kdi_bind_update(kd_ctx *ctx, kdi_binder *b, const kd_ast_update *ast,
                          kd_bound_statement *bound) KD_MUST_CHECK;
kd_status kdi_bind_delete(kd_ctx *ctx, kdi_binder *b, const kd_ast_delete *ast,
                          kd_bound_statement *bound) KD_MUST_CHECK;
kd_status kdi_bind_merge(kd_ctx *ctx, kdi_binder *b, const kd_ast_merge *ast,
                         kd_bound_statement *bound) KD_MUST_CHECK;
/* The table that is written, with its ids; 42809 for anything but a table. */
kd_status kdi_bind_target(kd_ctx *ctx, kdi_binder *b, const kd_ast_name *name, char privilege,
                          kd_bound_statement *bound) KD_MUST_CHECK;
/* Views as targets (bind_view_target.c). `b->view` is the one that the statement names. */
typedef struct kdi_view_target kdi_view_target;
/* The view's table becomes the target; 55000 for views that cannot be written through. */
kd_status kdi_bind_view_target(kd_ctx *ctx, kdi_binder *b, const kd_view_entry *view,
                               char privilege, kd_bound_statement *bound) KD_MUST_CHECK;
uint32_t kdi_view_column_count(const kdi_view_target *target);
kd_slice kdi_view_name(const kdi_view_target *target);
int kdi_view_find_column(const kdi_view_target *target, kd_slice name); /* -1: none. */
bool kdi_view_is_computed(const kdi_view_target *target, uint32_t index);
uint32_t kdi_view_position_of(const kdi_view_target *target, uint32_t index);
/* The shape position of a column of the view; 0A000 when it is computed. */
kd_status kdi_view_position(kd_ctx *ctx, const kdi_view_target *target, uint32_t index,
                            const char *verb, uint32_t *out_position) KD_MUST_CHECK;
/* The view's columns over ids of the table's. Computed ones get ids of their own, which
 * kdi_view_substitute replaces in what was bound over them. */
kd_status kdi_view_source(kd_ctx *ctx, kdi_binder *b, kd_slice alias, const kd_column_id *ids,
                          kdi_source *out) KD_MUST_CHECK;
kd_status kdi_view_substitute(kd_ctx *ctx, kdi_binder *b, kd_expr **slot) KD_MUST_CHECK;
/* The view's rows over a scan of its table: the scan's columns stay, computed ones come after them;
 * `out_named` carries the view's columns by name. */
kd_status kdi_view_rel(kd_ctx *ctx, kdi_binder *b, kd_rel **io_rel,
                       kd_rel *out_named) KD_MUST_CHECK;
kd_status kdi_target_position(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                              const kd_ast_node *node, const char *verb,
                              uint32_t *out_position) KD_MUST_CHECK;
/* Parts of columns as targets (bind_part.c): a[1], j['k'], c.field. */
bool kdi_is_part(const kd_ast_node *target);
const kd_ast_node *kdi_part_column(const kd_ast_node *target);
/* The type of what is assigned to a part. */
kd_status kdi_part_type(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *target,
                        const kd_column *column, kd_type *out_type) KD_MUST_CHECK;
/* The whole column's new value, from the old one and the part's. */
kd_status kdi_assign_part(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_node *target,
                          const kd_column *column, kd_expr *old, kd_expr *value,
                          kd_expr **out) KD_MUST_CHECK;
/* The expression that a DEFAULT means for a column: a constant NULL where there is none. */
kd_status kdi_default_expr(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table,
                           uint32_t position, kd_expr **out) KD_MUST_CHECK;
/* SET list to assignments. Sub-queries of several columns are joined to *io_rel; NULL refuses. */
kd_status kdi_bind_assignments(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope,
                               const kd_table_entry *table, const kd_ast_list *list,
                               kd_rel **io_rel, kd_bound_assignment **out,
                               uint32_t *out_count) KD_MUST_CHECK;
/* Casts a value to a column's type: 42804 `column "a" is of type integer but expression ...`. */
kd_status kdi_assign(kd_ctx *ctx, kdi_binder *b, const kd_column *column,
                     kd_expr **io_expr) KD_MUST_CHECK;
kd_status kdi_bind_returning(kd_ctx *ctx, kdi_binder *b, kdi_scope *scope, const kd_ast_list *list,
                             kd_bound_statement *bound) KD_MUST_CHECK;
/* A source of the target's columns under `ids`. */
kd_status kdi_target_source(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                            const kd_column_id *ids, kdi_source *out) KD_MUST_CHECK;
/* The same for RETURNING, with the system columns of the row that is written. */
kd_status kdi_returning_source(kd_ctx *ctx, kdi_binder *b, kd_bound_statement *bound,
                               kd_slice alias, kdi_source *out) KD_MUST_CHECK;
/* The table's own columns, also where a view is the target. */
kd_status kdi_table_source(kd_ctx *ctx, kdi_binder *b, const kd_table_entry *table, kd_slice alias,
                           const kd_column_id *ids, kdi_source *out) KD_MUST_CHECK;
kd_status kdi_new_ids(kd_ctx *ctx, kdi_binder *b, uint32_t count, kd_column_id **out) KD_MUST_CHECK;

#endif
