/*
 * Duplicates among more rows than memory holds: for DISTINCT ON and the set operations.
 *
 * Rows are sorted by the hash of their keys, then by their number; what the hash table knew when
 * memory ran short comes before them as rows of number -1 with a count. Equal keys are then
 * neighbours, but for other keys of the same hash.
 */
#ifndef KD_EXEC_DISTINCT_SPILL_INTERNAL_H
#define KD_EXEC_DISTINCT_SPILL_INTERNAL_H

#include "exec/group_table_internal.h"
#include "exec/sorter_internal.h"

typedef struct kdi_distinct_spill kdi_distinct_spill;

/* Whether a row goes on, by the count of its key, which it may change; `is_fresh`: no row of the
 * key has been there. A rule of NULL: if it is fresh. */
typedef bool (*kdi_distinct_rule)(const kd_plan *plan, int64_t *count, bool is_fresh);

typedef struct kdi_distinct_shape {
    const kd_type *types; /* Of the keys, then of other columns. */
    uint32_t key_count, column_count;
    bool keeps_order; /* Gives the other columns, in the order in which rows were added; else all
                         columns in any order. */
} kdi_distinct_shape;

kd_status kdi_distinct_spill_create(kd_ctx *ctx, const kdi_op *op, kd_arena *arena,
                                    kdi_distinct_shape shape, kdi_distinct_rule rule,
                                    kdi_distinct_spill **out_spill) KD_MUST_CHECK;
void kdi_distinct_spill_destroy(kdi_distinct_spill *spill); /* NULL is allowed. */
/* Takes over the groups of a table, whose columns are these or the keys only; the counts are in
 * their extra bytes, if any. `are_judged`: they have not been given and may go on themselves. */
kd_status kdi_distinct_spill_take(kd_ctx *ctx, kdi_distinct_spill *spill, kdi_group_table *table,
                                  bool are_judged) KD_MUST_CHECK;
/* `views` are of all columns; `weight` is what a row adds to the count of its key without going on
 * itself, 0: it is judged. */
kd_status kdi_distinct_spill_add(kd_ctx *ctx, kdi_distinct_spill *spill, const kdi_view *views,
                                 const uint64_t *hashes, uint32_t count,
                                 int64_t weight) KD_MUST_CHECK;
/* After the last row: those that go on, a batch at a time; an empty one at the end. */
kd_status kdi_distinct_spill_next(kd_ctx *ctx, kdi_distinct_spill *spill,
                                  kd_batch *out) KD_MUST_CHECK;

#endif
