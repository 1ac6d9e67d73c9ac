/*
 * A sink that keeps all rows of its input: the right side of a nested loop, a CTE, a recursion's
 * rounds. Pages that memory has no room for go to disk; kdi_row_reader reads both kinds.
 */
#ifndef KD_EXEC_KEEP_INTERNAL_H
#define KD_EXEC_KEEP_INTERNAL_H

#include "exec/pipeline_internal.h"
#include "exec/row_reader_internal.h"

typedef struct kdi_keep {
    kdi_op op;
    kdi_row_layout layout;
    kdi_row_store store;
} kdi_keep;

/* Columns are those of `input`; EXPLAIN ANALYZE tells its memory of `owner`. */
kd_status kdi_keep_create(kd_ctx *ctx, kd_execution *exec, const kd_plan *owner,
                          const kd_plan *input, kdi_keep **out_keep) KD_MUST_CHECK;

/* Before a batch: writes full pages to disk when memory is short. */
kd_status kdi_keep_make_room(kd_ctx *ctx, kdi_row_store *store) KD_MUST_CHECK;

/* Rows put into a store by hand. */
typedef struct kdi_appender {
    kd_arena *arena;
    kdi_view *views;
    char **rows;
} kdi_appender;

kd_status kdi_appender_init(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                            kdi_appender *out_appender) KD_MUST_CHECK;
/* Addresses are in appender->rows. */
kd_status kdi_appender_add(kd_ctx *ctx, kdi_appender *appender, kdi_row_store *store,
                           const kd_batch *batch) KD_MUST_CHECK;

#endif
