/*
 * Going on with another plan: when a join's build side shows that an estimate was far off, the rest
 * of the statement is planned with what was counted. If that is another plan, the run begins again
 * with it: nothing has been given yet, and the snapshot is the same. What was counted stays with
 * the prepared statement, so that its next run begins with the better plan.
 *
 * Belongs to one run and its thread.
 */
#ifndef KD_ENGINE_REPLAN_H
#define KD_ENGINE_REPLAN_H

#include "engine/engine_internal.h"

typedef struct kdi_replan {
    kd_replanner replanner;
    kd_run *run;
    kd_prepared *prepared; /* The run's, or what its EXPLAIN is of. */
    kd_known_rows known[KDI_KNOWN_ROWS];
    uint32_t known_count;
    kd_arena *arena; /* The plan to go on with; NULL: there is none. */
    const kd_bound_statement *bound;
    const kd_statement_plan *plan;
    double expected_rows; /* Where the last of `known` were found. */
    uint32_t times;
} kdi_replan;

/* Lets the run's plan, which is of `prepared`, be left for another one. In the run's arena. Plans
 * that read materialized views stay as they are, and so do statements that may not be run twice. */
kd_status kdi_replan_allow(kd_ctx *ctx, kd_run *run, kd_prepared *prepared) KD_MUST_CHECK;
/* The next batch of the run's execution, or of the one that takes its place. */
kd_status kdi_replan_next(kd_ctx *ctx, kd_run *run, kd_batch *out_batch,
                          bool *out_end) KD_MUST_CHECK;

#endif
