/*
 * Samples by blocks, for scans.
 */
#ifndef KD_EXEC_SCAN_SAMPLE_INTERNAL_H
#define KD_EXEC_SCAN_SAMPLE_INTERNAL_H

#include "exec/pipeline_internal.h"

typedef struct kdi_block_sample {
    const kd_function *function;
    kd_call_env env;
    kd_value arguments[KD_FUNCTION_ARGUMENTS_MAX]; /* From 1; 0 is the row reference. */
} kdi_block_sample;

/* Where the scan's condition draws by blocks, lets the scan leave out the others. */
kd_status kdi_block_sample_prepare(kd_ctx *ctx, kdi_op *op, const kd_expr *condition,
                                   kd_scan_spec *spec) KD_MUST_CHECK;

#endif
