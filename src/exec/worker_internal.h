/*
 * How pipelines get threads: see worker.c.
 */
#ifndef KD_EXEC_WORKER_INTERNAL_H
#define KD_EXEC_WORKER_INTERNAL_H

#include "exec/pipeline_internal.h"

kd_world *kdi_exec_world(const kd_execution *exec);

/* Below this many rows a pipeline stays on the calling thread. */
enum { KDI_PARALLEL_ROWS_MIN = 20000 };

/* How many threads may run the pipeline now. */
unsigned kdi_pipeline_threads(const kdi_pipeline *pipeline);
/* Runs the prepared pipeline into its sink, with as many threads as is worth it. */
kd_status kdi_pipeline_drain(kd_ctx *ctx, kdi_pipeline *pipeline) KD_MUST_CHECK;
/* One runner to its end, into the sink. */
kd_status kdi_sink_feed(kd_ctx *ctx, kdi_pipeline *pipeline, kdi_runner *runner,
                        void *local) KD_MUST_CHECK;

#endif
