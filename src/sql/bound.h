/*
 * Bound queries: the tree that the binder makes of the syntax tree, and that
 * the planner rewrites and turns into a physical plan.
 *
 * Every column that some operator produces has a number unique in its statement
 * (kd_column_id). Expressions name columns by it, wherever they stand, so
 * operators can be moved without renaming; a column used below the operator that
 * makes it but inside a sub-query is a correlation.
 *
 * All nodes live in the statement's (or prepared statement's) arena. Types are
 * final: every implicit conversion is a KD_EXPR_CAST. Names are only for output.
 */
#ifndef KD_SQL_BOUND_H
#define KD_SQL_BOUND_H

#include "catalog/catalog.h"

typedef uint32_t kd_column_id;
typedef struct kd_expr kd_expr;
typedef struct kd_rel kd_rel;

typedef enum kd_expr_kind {
    KD_EXPR_CONSTANT = 1,
    KD_EXPR_COLUMN,
    KD_EXPR_PARAMETER,
    KD_EXPR_CALL, /* Scalar function or operator, arguments of its declared types. */
    KD_EXPR_CAST,
    KD_EXPR_AND, /* n-ary */
    KD_EXPR_OR,  /* n-ary */
    KD_EXPR_NOT,
    KD_EXPR_IS_NULL,     /* IS NOT NULL is NOT of it */
    KD_EXPR_IS_DISTINCT, /* two arguments; IS NOT DISTINCT is NOT of it */
    KD_EXPR_CASE,        /* when, then, when, then, ..., [else]; conditions are boolean */
    KD_EXPR_COALESCE,
    KD_EXPR_IN_LIST,   /* needle, then the candidates, all of one type; NULL as SQL has it */
    KD_EXPR_ARRAY,     /* elements of the element type */
    KD_EXPR_SUBSCRIPT, /* array, index (int4) ... ; slices are calls */
    KD_EXPR_SUBQUERY,  /* see kd_subquery_kind; the planner turns it into joins */
    KD_EXPR_ANY_ARRAY, /* needle op ANY (array): `function` is the operator; `all` for ALL */
    KD_EXPR_ROW,       /* A row of its arguments, under `field_names`. */
    KD_EXPR_FIELD,     /* Field number `field` of a row. */
    KD_EXPR_GROUPING,  /* GROUPING(...): only while a query with GROUP BY is bound. */
} kd_expr_kind;

typedef enum kd_subquery_kind {
    KD_SUBQUERY_SCALAR = 0, /* More than one row: 21000. */
    KD_SUBQUERY_EXISTS,
    KD_SUBQUERY_ANY, /* arguments[0..n-1] op column i, `operators` per column; IN is "=" */
    KD_SUBQUERY_ALL,
    KD_SUBQUERY_ARRAY, /* ARRAY(SELECT ...) */
} kd_subquery_kind;

struct kd_expr {
    kd_expr_kind kind;
    kd_type type;
    int position; /* In the statement's text; -1: made up. */
    uint32_t argument_count;
    kd_expr **arguments;
    kd_value constant;           /* CONSTANT */
    bool untyped;                /* CONSTANT, PARAMETER: a field of ROW(...) taken for a text. */
    kd_column_id column;         /* COLUMN */
    kd_slice name;               /* COLUMN: for EXPLAIN; may be empty. */
    uint32_t parameter_no;       /* PARAMETER, from 1 */
    const kd_function *function; /* CALL, ANY_ARRAY */
    const kd_cast *cast;         /* CAST; NULL: by text (I/O cast) or by elements */
    bool case_has_else;          /* CASE */
    uint32_t field;              /* FIELD */
    const kd_slice *field_names; /* ROW: one per argument. */
    bool all;                    /* ANY_ARRAY */
    bool spreads;                /* CALL: its last argument is an array of the last ones. */
    const kd_expr
        *origin; /* SUBQUERY: the call that it was put in for (a ROW of its arguments under
                  * the routine's number in `field`), to tell equal ones; else NULL. */
    kd_subquery_kind subquery_kind;
    kd_rel *subquery;
    const kd_function **operators; /* SUBQUERY ANY/ALL: one per compared column */
};

typedef struct kd_sort_key {
    kd_expr *expr;
    bool descending;
    bool nulls_first;
} kd_sort_key;

/* One aggregate call of an AGGREGATE node. */
typedef struct kd_aggregate_call {
    const kd_aggregate *aggregate; /* NULL: count(*) */
    uint32_t argument_count;
    kd_expr **arguments;
    bool distinct;
    kd_expr *filter; /* NULL: none */
    uint32_t order_count;
    kd_sort_key *order; /* ORDER BY inside the call, or WITHIN GROUP's */
    kd_type type;
    kd_column_id output;
} kd_aggregate_call;

typedef enum kd_frame_mode { KD_FRAME_RANGE = 0, KD_FRAME_ROWS, KD_FRAME_GROUPS } kd_frame_mode;
typedef enum kd_frame_bound {
    KD_BOUND_UNBOUNDED_PRECEDING = 0,
    KD_BOUND_PRECEDING,
    KD_BOUND_CURRENT,
    KD_BOUND_FOLLOWING,
    KD_BOUND_UNBOUNDED_FOLLOWING,
} kd_frame_bound;
typedef enum kd_frame_exclusion {
    KD_EXCLUDE_NOTHING = 0,
    KD_EXCLUDE_CURRENT,
    KD_EXCLUDE_GROUP,
    KD_EXCLUDE_TIES,
} kd_frame_exclusion;

/* One window call: an aggregate over a frame, or one of the window functions by name. */
typedef struct kd_window_call {
    const kd_aggregate *aggregate; /* NULL: `name`, or count(*) when `name` is empty */
    kd_slice name; /* "row_number", "rank", "dense_rank", "percent_rank", "cume_dist",
                      "ntile", "lag", "lead", "first_value", "last_value", "nth_value" */
    uint32_t argument_count;
    kd_expr **arguments;
    kd_expr *filter;
    kd_frame_mode mode;
    kd_frame_bound start, end;
    kd_expr *start_offset, *end_offset;
    kd_frame_exclusion exclusion;
    kd_type type;
    kd_column_id output;
} kd_window_call;

typedef enum kd_rel_kind {
    KD_REL_SCAN = 1, /* a stored table (not a partitioned parent: that is a UNION of scans) */
    KD_REL_FUNCTION, /* a table function */
    KD_REL_VALUES,   /* rows of expressions; one row of none: SELECT without FROM */
    KD_REL_FILTER,
    KD_REL_PROJECT,
    KD_REL_JOIN,
    KD_REL_AGGREGATE,
    KD_REL_WINDOW,
    KD_REL_DISTINCT, /* over all input columns, or DISTINCT ON keys */
    KD_REL_SORT,
    KD_REL_LIMIT,
    KD_REL_SET,       /* UNION, INTERSECT, EXCEPT; by position */
    KD_REL_CTE,       /* a use of a WITH query that is computed once */
    KD_REL_RECURSIVE, /* WITH RECURSIVE: inputs[0] start, inputs[1] step */
    KD_REL_WORKING,   /* inside a recursive step: the rows of the last round */
    KD_REL_LOCK,      /* FOR UPDATE ...: needs ref columns of the scans below */
    KD_REL_VIRTUAL,   /* a system view: rows come from the engine through a callback */
} kd_rel_kind;

typedef enum kd_join_kind {
    KD_JOIN_INNER = 0, /* without condition: cross */
    KD_JOIN_LEFT,
    KD_JOIN_RIGHT,
    KD_JOIN_FULL,
    KD_JOIN_SEMI,       /* left rows with a match; made by the planner */
    KD_JOIN_ANTI,       /* left rows without */
    KD_JOIN_ANTI_NULL,  /* NOT IN: no row passes once the right side has a NULL; see executor */
    KD_JOIN_MARK,       /* left rows and one boolean column: matched (NULL when unknown) */
    KD_JOIN_SINGLE,     /* left join that fails (21000) on a second match: scalar sub-queries */
    KD_JOIN_RIGHT_SEMI, /* right rows with a match; a physical choice for SEMI */
    KD_JOIN_RIGHT_ANTI, /* right rows without; for ANTI */
} kd_join_kind;

typedef enum kd_set_kind { KD_SET_UNION = 0, KD_SET_INTERSECT, KD_SET_EXCEPT } kd_set_kind;

/* A column that an operator gives. */
typedef struct kd_rel_column {
    kd_column_id id;
    kd_type type;
    kd_slice name; /* For output and EXPLAIN. */
} kd_rel_column;

/* System views: the engine registers them; see kd_virtual_tables in binder.h. */
typedef struct kd_virtual_table kd_virtual_table;

typedef struct kd_cte {
    kd_slice name;
    kd_rel *query;
    uint32_t use_count;
    bool materialized;
    bool is_recursive;
    void *plan; /* The planner's. */
} kd_cte;

struct kd_rel {
    kd_rel_kind kind;
    int position;
    uint32_t column_count;  /* What it gives, in order. FILTER, SORT, LIMIT, DISTINCT, LOCK give */
    kd_rel_column *columns; /* their input's columns (same ids).                               */
    kd_rel *inputs[2];
    double row_estimate;       /* The planner's. */
    uint64_t row_key;          /* The planner's: see kd_known_rows. 0: none. */
    kd_rel *above;             /* The binder's: what was built over it, inside FROM. */
    kd_rel_column row_column;  /* The binder's: its row as one value; id 0: not made. */
    kd_column_id place_column; /* The same: its rows' references, ... */
    kd_column_id leaf_column;  /* ... and the numbers of the partitions that they are of. */
    union {
        struct {
            const kd_table_entry *table;
            kd_slice alias;
            uint32_t *positions; /* Per column: position in the table's shape ... */
            kd_column_id
                ref_column;    /* 0: not wanted; else a bigint column, last, with the kd_rowref */
            kd_expr *place;    /* Only the row at this reference, if any; NULL: all rows. */
            bool gives_place;  /* The reference is for the user: of the row, not of a version. */
            bool holds_places; /* And is compared with another scan's: rows may not move. */
        } scan;
        struct {
            const kd_table_function *function;
            uint32_t argument_count;
            kd_expr **arguments;  /* May be correlated (LATERAL). */
            bool with_ordinality; /* Its column is the last. */
        } function;
        struct {
            uint32_t row_count;
            kd_expr ***rows;
        } values;
        struct {
            kd_expr *condition;
        } filter;
        struct {
            kd_expr **exprs;
        } project; /* One per column. */
        struct {
            kd_join_kind kind;
            kd_expr *condition;  /* NULL: true. */
            bool lateral;        /* The right input refers to the left's columns. */
            kd_column_id mark;   /* MARK: its boolean output, last column. */
            bool mark_is_exists; /* MARK: NULL and false mean the same to its user. */
        } join;
        struct {
            uint32_t key_count; /* Group keys: expressions and the columns they become. */
            kd_expr **keys;
            kd_column_id *key_ids;
            uint32_t call_count;
            kd_aggregate_call *calls;
            /* GROUPING SETS: bit i of a set: key i is grouped by. 0 sets: plain GROUP BY of all
             * keys. `grouping_id` (0: not wanted) is an int8 column with the set's complement. */
            uint32_t set_count;
            uint64_t *sets;
            kd_column_id grouping_id;
        } aggregate;
        struct {
            uint32_t partition_count;
            kd_expr **partition_by;
            uint32_t order_count;
            kd_sort_key *order_by;
            uint32_t call_count;
            kd_window_call *calls; /* All over the same partitioning and order. */
            uint64_t
                top_count; /* Set by the planner: only rows of these places are wanted; 0: all. */
        } window;
        struct {
            uint32_t on_count;
            kd_expr **on;
        } distinct; /* 0: all columns. */
        struct {
            uint32_t key_count;
            kd_sort_key *keys;
        } sort;
        struct {
            kd_expr *count;
            kd_expr *offset;
            bool with_ties;
        } limit; /* NULL: none. */
        struct {
            kd_set_kind kind;
            bool all;
            kd_column_id *left_ids;
            kd_column_id *right_ids;
        } set;
        struct {
            kd_cte *cte;
            kd_column_id *source_ids;
        } cte; /* Per column, in the CTE's query. */
        struct {
            bool all;
            uint32_t working_no;
        } recursive;
        struct {
            uint32_t working_no;
        } working;
        struct {
            kd_row_lock mode;
            kd_wait wait;
            const kd_table_entry *table;
            kd_column_id ref_column;    /* The scan's row reference below. */
            struct kd_recheck *recheck; /* The planner's. */
        } lock;
        struct {
            const kd_virtual_table *table;
        } virtual_table;
    } as;
};

#endif
