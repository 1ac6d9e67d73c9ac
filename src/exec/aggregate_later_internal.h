/*
 * Rows put away by the hash of their group, for a table that takes no more groups.
 *
 * Each is grouped by itself later; a part that is still too large puts rows away in turn, by other
 * bits of the hash.
 */
#ifndef KD_EXEC_AGGREGATE_LATER_INTERNAL_H
#define KD_EXEC_AGGREGATE_LATER_INTERNAL_H

#include "exec/aggregate_internal.h"

enum { KDI_LATER_BITS = 5, KDI_LATER_PARTS = 1 << KDI_LATER_BITS, KDI_LATER_LEVELS = 6 };

typedef struct kdi_later kdi_later;

/* Rows of `level` - 1 that wait to be grouped. */
typedef struct kdi_waiting {
    kdi_row_store store;
    uint32_t level;
} kdi_waiting;

/* `layout` has a header, the keys, then the input's columns. */
kd_status kdi_later_create(kd_ctx *ctx, const kdi_op *op, kd_arena *arena,
                           const kdi_row_layout *layout, uint32_t key_count, uint32_t level,
                           kdi_later **out_later) KD_MUST_CHECK;
void kdi_later_destroy(kdi_later *later); /* NULL is allowed. */
/* Puts the rows away whose group is NULL; `out_rest` are the others, `groups` is packed along. */
kd_status kdi_later_put(kd_ctx *ctx, kdi_later *later, const kd_vector *keys,
                        const uint64_t *hashes, const kd_batch *batch, char **groups,
                        kd_batch *out_rest) KD_MUST_CHECK;
/* Hands the parts over, to KDI_LATER_PARTS stores or to a list of waiting ones. */
kd_status kdi_later_take(kd_ctx *ctx, kdi_later *later, kdi_row_store *targets) KD_MUST_CHECK;
kd_status kdi_later_wait(kd_ctx *ctx, kdi_later *later, kd_arena *arena, kdi_waiting **waiting,
                         size_t *count, size_t *capacity) KD_MUST_CHECK;
/* Vectors for a batch of such rows. */
kd_status kdi_later_columns(kd_ctx *ctx, kd_arena *arena, const kdi_row_layout *layout,
                            kd_vector **out_columns) KD_MUST_CHECK;

#endif
