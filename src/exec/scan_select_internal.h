/*
 * Which rows of a scan's batch are left: the bound of a TOP_N above, the scan's conditions and the
 * runtime filters, one after the other, each over the rows that those before it left. A column is
 * decoded when it is first needed, and only for the rows that are left then.
 */
#ifndef KD_EXEC_SCAN_SELECT_INTERNAL_H
#define KD_EXEC_SCAN_SELECT_INTERNAL_H

#include "exec/pipeline_internal.h"

/* One part of the condition's AND. */
typedef struct kdi_scan_step {
    kd_compiled_expr *condition;
    uint32_t column_count;
    uint32_t *columns; /* Positions that it looks at. */
} kdi_scan_step;

/* A thread's. */
typedef struct kdi_scan_select {
    kd_arena *arena;
    kd_arena *batch_arena;
    kd_scan_reader *reader;
    uint32_t position_count; /* Columns that the reader decodes. */
    uint32_t step_count;
    kdi_scan_step *steps;
    uint32_t use_count;
    kdi_filter_use *uses;       /* The one that drops most comes first. */
    const kd_scan_bound *bound; /* Of a TOP_N above; NULL: none. Who creates this sets it. */
    uint32_t bound_column;
    kdi_view bound_view;
    uint16_t *rows;
} kdi_scan_select;

/* `condition` may be NULL; who calls fills `uses` in. */
kd_status kdi_scan_select_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *condition,
                                 uint32_t use_count, uint32_t position_count,
                                 kdi_scan_select *out_select) KD_MUST_CHECK;
/* Shortens the batch's selection; the columns are good for what is left. Nothing may be left. */
kd_status kdi_scan_select_run(kd_ctx *ctx, kdi_scan_select *select, kd_batch *batch) KD_MUST_CHECK;

#endif
