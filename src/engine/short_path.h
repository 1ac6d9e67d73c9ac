/*
 * The short path of point reads, inside the engine: see short_path.c.
 */
#ifndef KD_ENGINE_SHORT_PATH_H
#define KD_ENGINE_SHORT_PATH_H

#include "engine/engine_internal.h"

/* Sets prepared->short_read where the plan is one probe of a unique index. */
kd_status kdi_short_read_make(kd_ctx *ctx, kd_prepared *prepared) KD_MUST_CHECK;
/* Reads the row. `*out_run` stays NULL when the ordinary way must be taken. */
kd_status kdi_short_read_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                               uint32_t parameter_count, kd_run **out_run) KD_MUST_CHECK;
/* The row; the run is not done yet. */
void kdi_short_read_next(kd_run *run, kd_batch *out_batch);
void kdi_short_read_end(kd_run *run);

#endif
