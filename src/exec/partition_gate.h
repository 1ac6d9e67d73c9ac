/*
 * Whether a branch of a UNION ALL over partitions can have rows: see kd_plan_gate.
 */
#ifndef KD_EXEC_PARTITION_GATE_H
#define KD_EXEC_PARTITION_GATE_H

#include "exec/pipeline_internal.h"

/* What the branches of one UNION ALL share. */
typedef struct kdi_gate_memory {
    const kd_plan_gate *asked; /* The key that was looked up last; NULL: none. */
    uint32_t partition_no;     /* Whose row has it; 0: nobody's. */
} kdi_gate_memory;

/* Is asked while pipelines are made: the snapshot is the statement's. */
kd_status kdi_gate_passes(kd_ctx *ctx, kdi_op *op, const kd_plan *branch, kdi_gate_memory *memory,
                          bool *out_passes) KD_MUST_CHECK;

#endif
