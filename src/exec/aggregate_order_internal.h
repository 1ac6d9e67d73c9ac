/*
 * Groups that come in the order of their key: an integer that seldom falls, as in a table that is
 * loaded in the order of its key. A group is then over when the next one begins, and no row needs
 * to be looked up. Where the key falls between two batches, as between segments, another run
 * begins; all threads' runs are merged in the end, without moving a group.
 */
#ifndef KD_EXEC_AGGREGATE_ORDER_INTERNAL_H
#define KD_EXEC_AGGREGATE_ORDER_INTERNAL_H

#include "exec/aggregate_internal.h"

typedef enum kdi_order_state {
    KDI_ORDER_OPEN = 0,
    KDI_ORDER_HOLDS,
    KDI_ORDER_LOST
} kdi_order_state;

/* A thread's. While the order holds, the groups of the last run are in the table's store, but not
 * in its slots. */
typedef struct kdi_group_order {
    kdi_order_state state;
    kdi_row_store *runs; /* Those before the last. */
    uint32_t run_count;
    uint64_t run_groups; /* Theirs. */
    int64_t last_key;
    char *last_row; /* NULL: no group yet. */
    uint16_t *fresh;
    uint32_t *index;
} kdi_group_order;

/* Only for one key of an integer type; else nothing is ever in order. */
kd_status kdi_group_order_init(kd_ctx *ctx, kd_arena *arena, const kd_type *key_types,
                               uint32_t key_count, kdi_group_order *out_order) KD_MUST_CHECK;
/* Gives the runs' memory back. */
void kdi_group_order_clear(kd_world *world, kdi_group_order *order);
/* Groups of `count` rows by the key's view; `*out_holds` is false, and nothing is done, when they
 * are not in order. `rows` has room for a batch. */
kd_status kdi_group_order_find(kd_ctx *ctx, kdi_group_order *order, kdi_group_table *table,
                               const kdi_agg *agg, const kdi_view *view, uint32_t count,
                               uint64_t *hashes, char **groups, bool *out_holds) KD_MUST_CHECK;
/* A list of stores that grows; `source` is empty afterwards. */
kd_status kdi_row_stores_add(kd_ctx *ctx, kdi_row_store **stores, uint32_t *count,
                             kdi_row_store *source) KD_MUST_CHECK;
void kdi_row_stores_clear(kd_world *world, kdi_row_store **stores, uint32_t *count);
/* Unites groups that several stores have; those taken in are marked, see kdi_group_is_taken. */
kd_status kdi_group_order_merge(kd_ctx *ctx, kdi_agg *agg, kdi_row_store *stores,
                                uint32_t store_count) KD_MUST_CHECK;

static inline bool kdi_group_is_taken(const char *row)
{
    return kd_load_u64(row + 8) != 0;
}

#endif
