/*
 * Walking bound trees: what the binder and the planner both need to know about
 * the shape of expressions and operators.
 */
#ifndef KD_SQL_EXPR_WALK_H
#define KD_SQL_EXPR_WALK_H

#include "sql/bound.h"

/* Depth of expressions and of operators, each; beyond it 54001. */
enum { KD_BOUND_DEPTH_MAX = 2000 };

typedef kd_status (*kd_expr_visit)(kd_ctx *ctx, void *object, kd_expr **slot);

/* Visits the places that hold the operator's own expressions (not its inputs', nor what is nested
 * in the expressions). NULL places are skipped. */
kd_status kd_rel_visit_exprs(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit,
                             void *object) KD_MUST_CHECK;
/* Visits the expression and everything below, parents first; sub-queries are not entered. A visit
 * may replace *slot; what it put there is walked. */
kd_status kd_expr_walk(kd_ctx *ctx, kd_expr **slot, kd_expr_visit visit,
                       void *object) KD_MUST_CHECK;
/* Every expression node of the operator tree, sub-queries included. */
kd_status kd_rel_walk(kd_ctx *ctx, kd_rel *rel, kd_expr_visit visit, void *object) KD_MUST_CHECK;
kd_status kd_expr_walk_deep(kd_ctx *ctx, kd_expr **slot, kd_expr_visit visit,
                            void *object) KD_MUST_CHECK;

/* The same in structure, types and values; sub-queries are equal only to themselves. Volatile calls
 * are equal to nothing. */
bool kd_expr_equal(const kd_expr *a, const kd_expr *b);
/* A set of column ids. */
typedef struct kd_id_set {
    kd_arena *arena;
    uint64_t *words;
    size_t word_capacity;
    size_t word_count;
} kd_id_set;
bool kd_id_set_has(const kd_id_set *set, kd_column_id id);
kd_status kd_id_set_add(kd_ctx *ctx, kd_id_set *set, kd_column_id id) KD_MUST_CHECK;
bool kd_id_set_is_empty(const kd_id_set *set);
bool kd_id_set_contains(const kd_id_set *set, const kd_id_set *part);
bool kd_id_set_overlaps(const kd_id_set *a, const kd_id_set *b);
kd_status kd_id_set_unite(kd_ctx *ctx, kd_id_set *set, const kd_id_set *more) KD_MUST_CHECK;

/* Columns that the expression names, those free in its sub-queries included. */
kd_status kd_expr_columns(kd_ctx *ctx, const kd_expr *expr, kd_id_set *out) KD_MUST_CHECK;
/* Columns that the operator tree names but does not produce: its correlations. */
kd_status kd_rel_free_columns(kd_ctx *ctx, const kd_rel *rel, kd_id_set *out) KD_MUST_CHECK;
/* The columns that the operator gives. */
kd_status kd_rel_column_set(kd_ctx *ctx, const kd_rel *rel, kd_id_set *out) KD_MUST_CHECK;

bool kd_expr_is_volatile(const kd_expr *expr);
/* The same answer for the same row in every session at every time: what indexes may keep. */
bool kd_expr_is_immutable(const kd_expr *expr);
bool kd_expr_has_subquery(const kd_expr *expr);
bool kd_rel_is_volatile(kd_rel *rel);

#endif
