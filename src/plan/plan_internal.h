/*
 * What the files of the planner share.
 *
 * A bound tree goes through these passes, each of which gives an equivalent tree:
 *
 *   inline_cte    WITH queries used once take the place of their use
 *   unnest        sub-queries in expressions become joins, LATERAL where correlated
 *   decorrelate   LATERAL joins become plain ones where that can be done
 *   pushdown      conditions sink to where they cost least; outer joins that cannot
 *                 give NULL rows become inner; inner joins are put in order
 *   physical      each operator gets its algorithm and only the columns it needs
 */
#ifndef KD_PLAN_PLAN_INTERNAL_H
#define KD_PLAN_PLAN_INTERNAL_H

#include "plan/physical.h"
#include "sql/binder.h"
#include "sql/expr_walk.h"

enum { KDI_PLAN_DEPTH_MAX = 2500 };

/* Where a column's values come from: a table's column, or another column (0: neither). */
typedef struct kdi_origin {
    const kd_rel *scan;
    uint32_t position; /* In the table's shape. */
    kd_column_id alias;
    bool is_of_group; /* What a call says of a group. */
} kdi_origin;

/* A condition's share of rows, once asked for. */
typedef struct kdi_share {
    const kd_expr *condition;
    double share;
} kdi_share;

typedef struct kdi_planner {
    kd_ctx *ctx; /* For estimates, which ask much and never fail. */
    kd_arena *arena;
    const kd_plan_options *options;
    const kd_bound_statement *bound;
    const kd_registry *registry;
    kd_column_id last_id;
    uint32_t last_no;
    uint32_t depth;
    kd_plan **ctes;
    kd_cte **cte_of;
    size_t cte_count, cte_capacity, cte_of_count, cte_of_capacity;
    uint32_t working_count;
    uint32_t view_uses;
    kdi_origin *origins; /* By column id. */
    uint32_t origin_count, scan_count;
    kdi_share *shares;
    size_t share_count, share_capacity;
    /* What a LIMIT over a sort would like of the scan below it. */
    const kd_rel *order_scan;
    const kd_sort_key *order;
    uint32_t order_count;
    double order_limit;
    bool order_met;
} kdi_planner;

/* A list of conditions that all must hold. */
typedef struct kdi_conditions {
    kd_expr **items;
    size_t count, capacity;
} kdi_conditions;

/* An input of a join that has several: inner, or the right side of a join that keeps left rows as
 * they are. */
typedef struct kdi_leaf {
    kd_rel *rel;
    kd_join_kind kind; /* INNER, LEFT, SEMI, ANTI, ANTI_NULL, MARK, SINGLE */
    kdi_conditions on; /* Of all but INNER. */
    kd_column_id mark;
    bool mark_is_exists;
} kdi_leaf;

kd_status kdi_plan_enter(kd_ctx *ctx, kdi_planner *p) KD_MUST_CHECK;
static inline void kdi_plan_leave(kdi_planner *p)
{
    p->depth--;
}

/* --- Making nodes (plan_node.c) --- */
kd_expr *kdi_make_expr(kd_ctx *ctx, kdi_planner *p, kd_expr_kind kind, kd_type type,
                       uint32_t argument_count);
kd_expr *kdi_make_column(kd_ctx *ctx, kdi_planner *p, kd_column_id id, kd_type type);
kd_expr *kdi_make_constant(kd_ctx *ctx, kdi_planner *p, kd_value value);
kd_rel *kdi_make_rel(kd_ctx *ctx, kdi_planner *p, kd_rel_kind kind, kd_rel *input);
kd_status kdi_make_join(kd_ctx *ctx, kdi_planner *p, kd_join_kind kind, kd_rel *left, kd_rel *right,
                        kd_expr *condition, kd_rel **out) KD_MUST_CHECK;
kd_status kdi_make_filter(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *conditions,
                          kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_make_call(kd_ctx *ctx, kdi_planner *p, const kd_function *function, kd_expr *left,
                        kd_expr *right, kd_expr **out) KD_MUST_CHECK;
/* Adds the parts of ANDs one by one. */
kd_status kdi_conditions_add(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list,
                             kd_expr *condition) KD_MUST_CHECK;
/* One expression of all; NULL for none. */
kd_status kdi_conditions_join(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *list,
                              kd_expr **out) KD_MUST_CHECK;
/* A copy in which columns among `ids` are replaced by `exprs`. */
kd_status kdi_substitute(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_column_id *ids,
                         kd_expr *const *exprs, uint32_t count, kd_expr **out) KD_MUST_CHECK;
/* scan_path.c: paths into documents as columns of the scan, in its own condition (`needed` of the
 * scan above it), and in expressions over it that are all that is asked of it. */
kd_status kdi_scan_condition_paths(kd_ctx *ctx, kdi_planner *p, const kd_id_set *needed,
                                   kd_plan *scan) KD_MUST_CHECK;
kd_status kdi_scan_paths(kd_ctx *ctx, kdi_planner *p, kd_plan *input, kd_expr ***slots,
                         size_t count) KD_MUST_CHECK;
/* view_rewrite.c: reads aggregates in the tree from materialized views that have them. */
kd_status kdi_rewrite_views(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel) KD_MUST_CHECK;
/* recheck.c. NULL when more than one row of one table decides. */
kd_status kdi_recheck_make(kd_ctx *ctx, kdi_planner *p, kd_rel *rel,
                           kd_recheck **out) KD_MUST_CHECK;
/* For every KD_REL_LOCK of the statement. */
kd_status kdi_recheck_note_locks(kd_ctx *ctx, kdi_planner *p,
                                 const kd_bound_statement *bound) KD_MUST_CHECK;
/* The position in its table's shape of a scan's column. */
bool kdi_scan_position(const kd_rel *scan, kd_column_id id, uint32_t *out_position);
/* inverted_access.c: the inverted index that serves some of the conditions best; its `index` is
 * NULL when none does, or when a scan is cheaper. `own` has the scan's columns. */
typedef struct kdi_inverted_offer {
    const kd_table_index *index;
    kd_item_condition *items;
    kdi_conditions served;
    double cost; /* In rows that are fetched one by one. */
    double rows; /* Found, before any other condition. */
} kdi_inverted_offer;
kd_status kdi_inverted_access(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_id_set *own,
                              const kdi_conditions *conditions,
                              kdi_inverted_offer *out_offer) KD_MUST_CHECK;
bool kdi_has_column(const kd_rel *rel, kd_column_id id);
/* Whether the expression names only columns of `set` (correlations count as named). */
kd_status kdi_uses_only(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_id_set *set,
                        bool *out_only) KD_MUST_CHECK;
kd_status kdi_uses_any(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_id_set *set,
                       bool *out_any) KD_MUST_CHECK;
static inline kd_id_set kdi_set(kdi_planner *p)
{
    return (kd_id_set){.arena = p->arena};
}
/* For `a = b` with equality of one type: its sides. */
bool kdi_is_equality(const kd_expr *expr, kd_expr **out_left, kd_expr **out_right,
                     bool *out_null_equal);
/* The constant false or NULL. */
bool kdi_is_never_true(const kd_expr *expr);
bool kdi_is_true(const kd_expr *expr);

/* --- Passes --- */
/* Constant folding, of one expression and of a whole tree (fold.c). */
kd_status kdi_fold(kd_ctx *ctx, kdi_planner *p, kd_expr **slot) KD_MUST_CHECK;
kd_status kdi_fold_tree(kd_ctx *ctx, kdi_planner *p, kd_rel *rel) KD_MUST_CHECK;
/* Whether a WITH query writes, and which of those that do it is. */
bool kdi_is_modifying(const kd_bound_statement *bound, const kd_cte *cte, uint32_t *out_no);
kd_status kdi_inline_ctes(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_unnest(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_decorrelate(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel) KD_MUST_CHECK;
kd_status kdi_push_down(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                        kd_rel **io_rel) KD_MUST_CHECK;
/* Adds what follows from the conditions, for inner joins (derive.c). */
kd_status kdi_derive_conditions(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list) KD_MUST_CHECK;
/* The first leaf is INNER. */
/* What ORs over several inputs imply for the one that has the columns of `set`. */
kd_status kdi_derive_for(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *list,
                         const kd_id_set *set, kdi_conditions *out) KD_MUST_CHECK;
kd_status kdi_order_joins(kd_ctx *ctx, kdi_planner *p, kdi_leaf *leaves, size_t leaf_count,
                          kdi_conditions *conditions, kd_rel **out) KD_MUST_CHECK;
/* The leaves joined one after the other: what was asked for, or too many to look at. */
kd_status kdi_join_as_written(kd_ctx *ctx, kdi_planner *p, kdi_leaf *leaves, uint32_t count,
                              kdi_conditions *conditions, kd_rel **out) KD_MUST_CHECK;
/* Groups over joined leaves, made below the join where that is the same and pays (group_below.c);
 * NULL: it is not, or does not. */
kd_status kdi_group_below(kd_ctx *ctx, kdi_planner *p, const kd_rel *group, const kdi_leaf *leaves,
                          size_t count, const kdi_conditions *all, kd_rel **out) KD_MUST_CHECK;
kd_status kdi_physical(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                       kd_plan **out) KD_MUST_CHECK;
/* The same, giving exactly the operator's columns in their order. */
kd_status kdi_exact(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, kd_plan **out) KD_MUST_CHECK;
kd_status kdi_exact_columns(kd_ctx *ctx, kdi_planner *p, const kd_rel_column *columns,
                            uint32_t count, kd_plan **io_plan) KD_MUST_CHECK;
/* All logical passes. */
kd_status kdi_optimize(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel) KD_MUST_CHECK;
/* A LIMIT of 0. */
bool kdi_is_zero(const kd_expr *expr);
/* Physical tables: a scan or an index scan with its condition (access.c). */
kd_status kdi_plan_access(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, kdi_conditions *conditions,
                          const kd_id_set *needed, kd_plan **out) KD_MUST_CHECK;
/* Whether an index would be used for these conditions' equalities. */
kd_status kdi_index_serves(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, kdi_conditions *conditions,
                           bool *out_serves) KD_MUST_CHECK;
/* `column op value-without-own-columns`, as zone maps and bounds of partitions understand it. */
typedef struct kdi_comparison {
    uint32_t position;
    kd_scan_test test;
    kd_expr *value; /* Of the column's type; NULL for the NULL tests. */
} kdi_comparison;
kd_status kdi_comparison_of(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_expr *condition,
                            kdi_comparison *out, bool *out_found) KD_MUST_CHECK;
/* The same of an expression over the scan instead of a column; `position` says nothing then. */
kd_status kdi_comparison_with(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, const kd_expr *key,
                              const kd_expr *condition, kdi_comparison *out,
                              bool *out_found) KD_MUST_CHECK;
/* Whether every row that passes the conditions is in the index: index_text.c. */
kd_status kdi_index_holds_all(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan,
                              const kd_table_index *index, const kdi_conditions *conditions,
                              bool *out_holds) KD_MUST_CHECK;
/* An expression over the table, from its text, over the scan's columns; NULL when it names others.
 */
kd_status kdi_scan_expression(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan, kd_slice text,
                              kd_type wanted, kd_expr **out) KD_MUST_CHECK;
/* The test that a comparison's operator is; `swapped`: its sides were changed. */
bool kdi_scan_test_of(const char *name, bool swapped, kd_scan_test *out);
/* Of a value of an integer type. */
bool kdi_constant_integer(const kd_value *value, int64_t *out);
/* Notes in a window how many first rows of each partition the conditions above it want. */
void kdi_note_first_rows(kd_rel *window, const kdi_conditions *conditions);
/* What can tell at run time that a partition has nothing for the conditions (prune.c). */
kd_status kdi_partition_gates(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                              const kdi_conditions *conditions, kd_plan *plan) KD_MUST_CHECK;
/* Whether a partition's bound and the conditions contradict each other. */
kd_status kdi_partition_excluded(kd_ctx *ctx, kdi_planner *p, kd_rel *scan,
                                 const kdi_conditions *conditions,
                                 bool *out_excluded) KD_MUST_CHECK;
kd_status kdi_plan_join(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                        kd_plan **out) KD_MUST_CHECK;
/* What the plan has twice is computed once (common_plan.c). Before filters are placed. */
kd_status kdi_share_plans(kd_ctx *ctx, kdi_planner *p, kd_plan **io_plan) KD_MUST_CHECK;
/* Tells the scans below hash joins of their build sides (join_filter.c). */
kd_status kdi_place_filters(kd_ctx *ctx, kdi_planner *p, kd_plan *plan) KD_MUST_CHECK;
kd_plan *kdi_make_plan(kd_ctx *ctx, kdi_planner *p, kd_plan_kind kind, double rows,
                       uint32_t column_count);
/* The columns of `from` that are needed, in order. */
kd_status kdi_plan_columns(kd_ctx *ctx, kdi_planner *p, const kd_rel_column *from, uint32_t count,
                           const kd_id_set *needed, kd_plan *plan) KD_MUST_CHECK;

/* --- Estimates (estimate.c) --- */
/* Notes where the tree's columns come from, so that they can be told about. */
kd_status kdi_note_origins(kd_ctx *ctx, kdi_planner *p, kd_rel *rel) KD_MUST_CHECK;
/* The same of one new node whose inputs have been noted. */
kd_status kdi_note_node(kd_ctx *ctx, kdi_planner *p, kd_rel *rel) KD_MUST_CHECK;
/* The table's column behind a column; NULL: it is computed. */
const kdi_origin *kdi_origin_of(const kdi_planner *p, kd_column_id id);
double kdi_estimate(kdi_planner *p, kd_rel *rel);
/* NULL: nothing is stored for it, or the planner runs without a storage. */
kd_table *kdi_table_stored(const kdi_planner *p, const kd_table_entry *table);
/* Of a hash join: a row built costs about two probed; one given, less than one. */
double kdi_join_cost(double build, double probe, double out);
double kdi_table_rows(kdi_planner *p, const kd_table_entry *table);
double kdi_selectivity(kdi_planner *p, const kd_expr *condition);
double kdi_selectivity_all(kdi_planner *p, const kdi_conditions *list);
/* Different values in the whole table of what the expression hands on; 0: not known. */
double kdi_distinct(kdi_planner *p, const kd_expr *expr);
double kdi_distinct_together(kdi_planner *p, const kd_rel *scan, const uint32_t *positions,
                             uint32_t count);
double kdi_values_met(double distinct, double rows);
double kdi_equality_share(kdi_planner *p, const kd_expr *left, const kd_expr *right,
                          double left_rows, double right_rows);
double kdi_join_rows(kdi_planner *p, kd_join_kind kind, const kdi_conditions *all, double left,
                     double right);
double kdi_group_count(kdi_planner *p, kd_expr *const *keys, uint32_t count, double input);

#endif
