/*
 * Aggregate calls: their arguments, their states inside group rows, and what DISTINCT and ORDER BY
 * inside a call need.
 */
#ifndef KD_EXEC_AGGREGATE_INTERNAL_H
#define KD_EXEC_AGGREGATE_INTERNAL_H

#include "exec/distinct_spill_internal.h"
#include "exec/expr_fixed_internal.h"
#include "exec/group_table_internal.h"
#include "exec/pipeline_internal.h"

/* One call of one thread. */
typedef struct kdi_agg_call {
    const kd_aggregate_call *call;
    const kd_aggregate *aggregate; /* NULL: count(*) */
    kd_compiled_expr **arguments;
    kd_compiled_expr **order;
    kd_compiled_expr *filter;
    kdi_fixed *fixed;            /* Sums of integers and fixed numbers: their values; or NULL. */
    kd_vector *argument_vectors; /* Arguments, then order keys. */
    kd_vector *flat;             /* FLAT or CONSTANT, for step_vector. */
    const void **payloads;
    char *scratch;
    kd_call_env env;
    uint32_t state_offset; /* From the start of the row. */
    /* Rows (group, arguments, order keys). DISTINCT: those seen, in `seen` or, when memory was
     * short, in `spill`. ORDER BY: those kept. */
    kdi_row_layout *layout;
    kdi_view *views;
    kdi_group_table *seen;
    kdi_distinct_spill *spill;
    kdi_sort_column *kept_order;
    kdi_sorter *kept;
    uint8_t *seen_codes; /* DISTINCT over a dictionary: codes met in `seen_group`. */
    uint64_t seen_dictionary;
    const char *seen_group;
} kdi_agg_call;

typedef struct kdi_agg {
    const kdi_op *op;
    uint32_t call_count;
    kdi_agg_call *calls;
    kdi_row_layout layout; /* Keys, then states. */
    kd_arena *batch_arena;
    uint16_t *rows[2];
    void **states;
    char **state_rows;
    uint64_t *hashes;
} kdi_agg;

/* `key_types` are the group's columns; `arena` lives as long as the states. */
kd_status kdi_agg_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_type *key_types,
                         uint32_t key_count, const kd_aggregate_call *calls, uint32_t call_count,
                         const kd_plan *input, kdi_agg **out_agg) KD_MUST_CHECK;
void kdi_agg_destroy(kdi_agg *agg); /* NULL is allowed. */
void kdi_agg_init_row(const kdi_agg *agg, char *row);
/* groups[i] is the group of the batch's i-th selected row. */
kd_status kdi_agg_step(kd_ctx *ctx, kdi_agg *agg, const kd_batch *batch,
                       char *const *groups) KD_MUST_CHECK;
/* One of its calls. */
kd_status kdi_agg_step_call(kd_ctx *ctx, kdi_agg *agg, kdi_agg_call *call, const kd_batch *batch,
                            char *const *groups) KD_MUST_CHECK;
/* Before a batch: writes what DISTINCT and ORDER BY keep to disk when memory is short. */
kd_status kdi_agg_make_room(kd_ctx *ctx, kdi_agg *agg) KD_MUST_CHECK;
/* Steps what DISTINCT and ORDER BY kept, and forgets it; before any finish. */
kd_status kdi_agg_settle(kd_ctx *ctx, kdi_agg *agg) KD_MUST_CHECK;
/* Adds the states of `source` to those of `target`. */
kd_status kdi_agg_combine(kd_ctx *ctx, kdi_agg *agg, char *target,
                          const char *source) KD_MUST_CHECK;
/* Results of `count` groups, one column per call. */
kd_status kdi_agg_finish(kd_ctx *ctx, kdi_agg *agg, kd_arena *batch_arena, char *const *rows,
                         uint32_t count, kd_vector *columns) KD_MUST_CHECK;
/* Whether several threads may step states of their own and combine them. */
bool kdi_agg_is_parallel(const kd_aggregate_call *calls, uint32_t call_count);

#endif
