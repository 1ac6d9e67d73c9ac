/*
 * The short paths, inside the engine: statements on one row that need no pipeline.
 *
 * What such a statement works with is made once and kept in the prepared statement, so
 * that a run allocates next to nothing: short_path.c reads a row by a unique key,
 * short_write.c inserts one. The ordinary way is taken where a short one does not
 * apply; it gives the same answers.
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

/* Sets prepared->short_insert where the statement inserts one row of given values into a table
 * that asks for nothing but NOT NULL and its indexes. */
kd_status kdi_short_insert_make(kd_ctx *ctx, kd_prepared *prepared) KD_MUST_CHECK;
/* Inserts the row. `*out_run` stays NULL when the ordinary way must be taken. */
kd_status kdi_short_insert_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                                 uint32_t parameter_count, kd_run **out_run) KD_MUST_CHECK;

/* --- What both are made of -------------------------------------------------------------------- */

/* Whether the expression's value is there without computing: a constant or a parameter. */
bool kdi_short_has_value(const kd_expr *expr);
/* That value, cast to the expression's type; bytes of a cast are in `arena`. */
kd_status kdi_short_value(kd_ctx *ctx, kd_arena *arena, const kd_run *run, const kd_expr *expr,
                          const kd_value *parameters, uint32_t parameter_count,
                          kd_value *out_value) KD_MUST_CHECK;
/* Runs that live in their prepared statement. Open ones are in the session's list. */
void kdi_short_run_init(kd_run *run, kd_prepared *prepared);
void kdi_short_run_open(kd_run *run);
void kdi_short_run_close(kd_run *run);
/* Begins the statement. Not entered: its catalog version is not what the snapshot would bind
 * against, or the isolation level keeps predicates; nothing is begun then. */
kd_status kdi_short_enter(kd_ctx *ctx, kd_prepared *prepared, bool *out_owns,
                          bool *out_entered) KD_MUST_CHECK;

#endif
