/*
 * Physical plans: what the executor runs.
 *
 * The planner makes one from a bound statement: sub-queries have become joins,
 * filters stand where they are cheapest, only needed columns are produced, each
 * operator has its algorithm. Expressions still name columns by id; the executor
 * resolves them against the `columns` of the input when it compiles them.
 *
 * A plan is immutable and may be run by several executions at once, with
 * different parameters; it lives in the arena it was made in and is valid for one
 * catalog version.
 */
#ifndef KD_PLAN_PHYSICAL_H
#define KD_PLAN_PHYSICAL_H

#include "plan/statistics.h"

typedef enum kd_plan_kind {
    KD_PLAN_SCAN = 1,   /* kd_table_scan with pruning filters and an exact condition */
    KD_PLAN_INDEX_SCAN, /* one index, a key range built from expressions without columns */
    KD_PLAN_FUNCTION,
    KD_PLAN_VALUES,
    KD_PLAN_VIRTUAL,
    KD_PLAN_FILTER,
    KD_PLAN_PROJECT,
    KD_PLAN_HASH_JOIN,   /* inputs[0] probe (left), inputs[1] build (right) */
    KD_PLAN_NESTED_LOOP, /* no usable keys; inputs[1] is materialised */
    KD_PLAN_APPLY, /* inputs[1] is run again for each left row, with its columns as parameters */
    KD_PLAN_AGGREGATE, /* hash; no keys: one row */
    KD_PLAN_WINDOW,
    KD_PLAN_DISTINCT, /* hash over all columns; ON: first row per key in input order */
    KD_PLAN_SORT,
    KD_PLAN_TOP_N, /* sort + limit with constant bounds */
    KD_PLAN_LIMIT,
    KD_PLAN_UNION_ALL,
    KD_PLAN_SET_OP,   /* INTERSECT / EXCEPT [ALL], by hash (UNION is DISTINCT over UNION_ALL) */
    KD_PLAN_CTE_SCAN, /* reads a materialised CTE */
    KD_PLAN_RECURSIVE,
    KD_PLAN_WORKING_SCAN,
    KD_PLAN_LOCK_ROWS,
    KD_PLAN_EMPTY, /* no rows: a contradiction was found */
    KD_PLAN_GIVEN, /* rows that the statement's run supplies: of a data-modifying WITH query */
} kd_plan_kind;

typedef struct kd_plan kd_plan;
typedef struct kd_bound_statement kd_bound_statement; /* sql/binder.h */

/* A bound of an index range per leading key column. */
typedef struct kd_index_bound {
    uint32_t equal_count; /* Leading columns fixed by equality. */
    kd_expr **equals;
    kd_expr *low, *high; /* Of the next column; NULL: open. */
    bool low_exclusive, high_exclusive;
    bool in_list; /* The last of `equals` is an IN_LIST's candidates: see in_values. */
    uint32_t in_count;
    kd_expr **in_values;
} kd_index_bound;

/* What an inverted index is asked: a test of one of its columns, or several that are joined. */
typedef struct kd_item_condition kd_item_condition;
struct kd_item_condition {
    kd_item_node_kind kind; /* ITEM: a test; else AND or OR of children. */
    kd_item_test test;
    uint32_t column; /* Position in the index. */
    kd_expr *value;  /* Names no column of the table. */
    size_t count, capacity;
    kd_item_condition **children;
};

/* A filter that a join's build side makes for the scans of its probe side at run time. */
typedef struct kd_runtime_filter {
    uint32_t join_no;
    uint32_t key_no;
    kd_column_id column;
} kd_runtime_filter;

/*
 * How a row of one table becomes a row of a query that reads nothing else: for rows that changed
 * while their lock was waited for. The steps follow one another from the scan up; each may name
 * what the scan and the steps before it give.
 */
typedef struct kd_recheck_step {
    kd_expr *condition; /* Must hold; NULL for a projection, */
    uint32_t count;     /* which gives these columns. */
    kd_column_id *ids;
    kd_expr **exprs;
} kd_recheck_step;
typedef struct kd_recheck {
    const kd_table_entry *table;
    kd_column_id ref_column;
    uint32_t column_count;
    kd_column_id *ids; /* Of the scan, and their positions in the table's shape. */
    uint32_t *positions;
    uint32_t step_count;
    kd_recheck_step *steps;
} kd_recheck;

/*
 * What tells at run time, before anything is read, that a scan of a partition has no rows: a bound
 * that contradicts a comparison, or a key over all partitions that another one has. The values
 * have no columns.
 */
typedef struct kd_plan_gate {
    const kd_table_entry *parent; /* Whose partitions the bound tells apart, or whose the key is. */
    const kd_partition_bound *bound; /* NULL: a key. */
    kd_scan_test test;
    const kd_table_index *key; /* And the columns of the table behind it: */
    const kd_table_shape *shape;
    uint32_t partition_no; /* The partition that is read. */
    kd_expr **values;      /* One for a bound; one per column of a key. */
} kd_plan_gate;

struct kd_plan {
    kd_plan_kind kind;
    uint32_t no; /* In the plan, from 1: for EXPLAIN ANALYZE and runtime filters. */
    uint32_t column_count;
    const kd_rel_column *columns; /* Output, in order. */
    kd_plan *inputs[2];
    uint32_t more_count; /* UNION_ALL: all inputs are here, and `inputs` is empty. */
    kd_plan **more;
    double row_estimate;
    uint32_t gate_count; /* Scans: of a partition below a UNION_ALL. */
    kd_plan_gate *gates;
    union {
        struct {
            const kd_table_entry *table;
            kd_slice alias;
            const uint32_t *positions; /* Shape positions per output column (without the ref). */
            const kd_slice *paths;     /* As kd_scan_spec has them; NULL: none. */
            kd_column_id ref_column;   /* 0, or the id of the last output column. */
            bool holds_places;         /* No row of the table moves while the plan runs. */
            uint32_t prune_count;      /* column op expression-without-columns, for zone maps */
            struct kd_plan_prune {
                uint32_t shape_position;
                kd_scan_test test;
                kd_expr *value;
            } * prunes;
            kd_expr *condition; /* Exact; over the output columns and `extra` ones. NULL: true. */
            uint32_t filter_count;
            const kd_runtime_filter *filters;
            uint32_t top_no; /* The TOP_N whose last row so far bounds `top_column`; 0: none. */
            kd_column_id top_column;
        } scan;
        struct {
            const kd_table_entry *table;
            kd_slice alias;
            const uint32_t *positions;
            kd_column_id ref_column;
            bool gives_place;            /* References are those of places, as scans give them. */
            bool holds_places;           /* As for scans. */
            kd_expr *place;              /* Only the row at this reference: there is no index. */
            const kd_table_index *index; /* NULL: a place. */
            kd_index_bound bound;
            bool descending;
            kd_item_condition *items; /* Of an inverted index, instead of the bound; else NULL. */
            kd_expr *items_condition; /* What `items` was made of: for EXPLAIN. */
            kd_expr *condition; /* What the range does not cover; all, of an inverted index. */
        } index_scan;
        struct {
            const kd_table_function *function;
            uint32_t argument_count;
            kd_expr **arguments;
            bool with_ordinality;
        } function;
        struct {
            uint32_t row_count;
            kd_expr ***rows;
        } values;
        struct {
            const kd_virtual_table *table;
        } virtual_table;
        struct {
            kd_expr *condition;
        } filter;
        struct {
            kd_expr **exprs;
        } project;
        struct {
            kd_join_kind kind;    /* RIGHT only where the planner did not swap. */
            uint32_t key_count;   /* NESTED_LOOP: 0. */
            kd_expr **left_keys;  /* Over inputs[0]. */
            kd_expr **right_keys; /* Over inputs[1], same types. */
            bool *null_equal;     /* Per key: IS NOT DISTINCT FROM. */
            kd_expr *residual;    /* Over both sides' columns. NULL: true. */
            kd_column_id mark;
            uint64_t filter_keys; /* Bit k: scans below use key k's build side as a filter. */
            uint64_t build_key;   /* Of inputs[1]: see kd_known_rows. 0: none. */
        } join;
        struct {               /* The right side is planned with the left's columns free in it. */
            kd_join_kind kind; /* INNER, LEFT, SEMI, ANTI, MARK, SINGLE */
            uint32_t outer_count; /* Left columns that the right side reads. */
            const kd_column_id *outer_ids;
            kd_expr *condition;
            kd_column_id mark;
        } apply;
        struct {
            uint32_t key_count;
            kd_expr **keys;
            uint32_t call_count;
            const kd_aggregate_call *calls;
            uint32_t set_count;
            const uint64_t *sets;
            kd_column_id grouping_id;
        } aggregate; /* Output: keys, calls, [grouping_id]. */
        struct {
            uint32_t partition_count;
            kd_expr **partition_by;
            uint32_t order_count;
            const kd_sort_key *order_by;
            uint32_t call_count;
            const kd_window_call *calls;
            uint64_t top_count; /* Of each partition only the rows of these first places are wanted
                                   (0: all): others may be left out. */
        } window;               /* Output: the input's columns, then the calls'. */
        struct {
            uint32_t on_count;
            kd_expr **on;
        } distinct;
        struct {
            uint32_t key_count;
            const kd_sort_key *keys;
            kd_expr *count;
            kd_expr *offset;
            bool with_ties;
        } sort; /* SORT, TOP_N */
        struct {
            kd_expr *count;
            kd_expr *offset;
        } limit;
        struct {
            kd_set_kind kind;
            bool all;
        } set;
        struct {
            uint32_t cte_no;
            const uint32_t *source_positions;
        } cte; /* Per output column. GIVEN: `cte_no` is the modifying query's number. */
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
            kd_column_id ref_column;
            bool one_by_one;           /* Below a LIMIT: no row is locked that is not given. */
            const kd_recheck *recheck; /* NULL: more than the row decides. */
        } lock;
    } as;
};

typedef struct kd_statement_plan kd_statement_plan;
struct kd_statement_plan {
    const kd_bound_statement *bound;
    kd_plan *root;       /* NULL for INSERT ... DEFAULT VALUES. */
    kd_recheck *recheck; /* UPDATE, DELETE; NULL: more than the row decides. */
    uint32_t cte_count;  /* Materialised ones, in the order to compute them lazily. */
    kd_plan **ctes;
    uint32_t working_count;
    uint32_t plan_count; /* Highest `no`. */
    uint32_t view_uses;  /* Aggregates that are read from materialized views. */
    /* One per data-modifying WITH query, in the order in which they run, before this one. */
    uint32_t modifying_count;
    kd_statement_plan *modifying;
    kd_statement_plan *conflict_test; /* Of ON CONFLICT's queries; else NULL. */
    kd_statement_plan *conflict_values;
};

/* A materialized view whose rows are what its query gives to the statement's snapshot: the query as
 * it was bound when they were read. */
typedef struct kd_plan_view {
    const kd_table_entry *table;     /* Of the plan's catalog version. */
    const kd_bound_statement *bound; /* Not planned; it is only looked at. */
} kd_plan_view;

/* What a run found: that so many rows come of these tables, joined and filtered as the statement
 * says. A key names the tables; it holds for one text, bound against one catalog. */
typedef struct kd_known_rows {
    uint64_t key;
    double rows;
} kd_known_rows;

typedef struct kd_plan_options {
    const kd_catalog_version *catalog;
    const kd_statistics *statistics; /* NULL: everything is guessed. */
    /* For the texts of expressions and predicates that indexes have; NULL: such indexes are passed
     * over. */
    const struct kd_bind_options *bind;
    bool no_index_scans; /* Settings for tests: enable_indexscan, enable_hashjoin = off. */
    bool no_hash_joins;
    bool joins_as_written; /* join_collapse_limit = 1 */
    /* Values of the first parameters, of their types, if the plan is for these alone. */
    const kd_value *values;
    uint32_t value_count;
    const kd_plan_view *views; /* That may be read in place of aggregates. */
    uint32_t view_count;
    const kd_known_rows *known; /* They replace estimates. */
    uint32_t known_count;
} kd_plan_options;

kd_status kd_plan_statement(kd_ctx *ctx, kd_arena *arena, const kd_plan_options *options,
                            const kd_bound_statement *bound,
                            kd_statement_plan **out_plan) KD_MUST_CHECK;

/* Equal for two plans that do the same but for the values that they do it with: of one text, one
 * for any parameters and one for these. */
uint64_t kd_plan_shape(const kd_statement_plan *plan);

/* Whether beginning again with `plan` is by far cheaper than what is left of `from`, which has
 * built the side of a join that `built` tells of, where `expected_rows` had been expected. */
bool kd_plan_pays(const kd_statement_plan *plan, kd_storage *storage, const kd_statement_plan *from,
                  kd_known_rows built, double expected_rows);

/* EXPLAIN's text, one line per operator, PostgreSQL-like: "Hash Join  (rows=123)". Actual figures
 * come through `actual`, indexed by plan no; NULL: not run. */
typedef struct kd_plan_actual {
    uint64_t rows, batches, time_ns;
    uint64_t read_bytes;   /* Scans: of stored blocks that were looked at, and of rows in memory. */
    uint64_t memory_bytes; /* The most that was kept at once, in pages and tables of hashes. */
    uint64_t spilled_bytes; /* Written to the spill file. */
    bool was_run;
} kd_plan_actual;
kd_status kd_plan_explain(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                          const kd_plan_actual *actual, kd_buffer *out) KD_MUST_CHECK;
/* The same as members of a JSON object: "Plan", and "CTEs" where there are any. */
kd_status kd_plan_explain_json(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                               const kd_plan_actual *actual, kd_buffer *out) KD_MUST_CHECK;
/* An expression as SQL text, for EXPLAIN and messages. */
kd_status kd_expr_format(kd_ctx *ctx, const kd_expr *expr, kd_buffer *out) KD_MUST_CHECK;

#endif
