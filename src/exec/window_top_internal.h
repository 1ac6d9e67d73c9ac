/*
 * Leaving out rows that are not among the first ones of their partition, before they are sorted.
 */
#ifndef KD_EXEC_WINDOW_TOP_INTERNAL_H
#define KD_EXEC_WINDOW_TOP_INTERNAL_H

#include "exec/pipeline_internal.h"

typedef struct kdi_window_top kdi_window_top;

/* One thread's; NULL where all rows are wanted or their sort key is of another kind. */
kd_status kdi_window_top_create(kd_ctx *ctx, kd_arena *arena, kdi_budget *budget,
                                const kd_plan *plan, kdi_window_top **out_top) KD_MUST_CHECK;
void kdi_window_top_clear(kdi_window_top *top); /* NULL is allowed. */
/* False once it turned out not to pay. */
bool kdi_window_top_is_on(const kdi_window_top *top);
/* The batch's rows that may be wanted; `keys` are the partition's columns and the first sort key.
 */
kd_status kdi_window_top_select(kd_ctx *ctx, kdi_window_top *top, const kd_vector *keys,
                                const kd_batch *batch, uint16_t *out_rows,
                                uint32_t *out_count) KD_MUST_CHECK;

#endif
