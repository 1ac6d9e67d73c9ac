/*
 * The short paths, inside the engine: statements on one row that need no pipeline.
 *
 * What such a statement works with is made once and kept in the prepared statement, so
 * that a run allocates next to nothing: short_path.c reads a row by a unique key,
 * short_write.c inserts one, or changes or deletes one by its key. The ordinary way is taken where
 * a short one does not apply; it gives the same answers.
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

/* Sets prepared->short_write where the statement inserts one row of given values, or updates or
 * deletes the row of a unique key, in a table that asks for nothing but NOT NULL and its indexes.
 */
kd_status kdi_short_write_make(kd_ctx *ctx, kd_prepared *prepared) KD_MUST_CHECK;
/* Writes the row. `*out_run` stays NULL when the ordinary way must be taken. */
kd_status kdi_short_write_begin(kd_ctx *ctx, kd_prepared *prepared, const kd_value *parameters,
                                uint32_t parameter_count, kd_run **out_run) KD_MUST_CHECK;

/* --- What both are made of -------------------------------------------------------------------- */

/* Whether the expression's value is there without computing: a constant or a parameter. */
bool kdi_short_has_value(const kd_expr *expr);
/* That value, cast to the expression's type; bytes of a cast are in `arena`. */
kd_status kdi_short_value(kd_ctx *ctx, kd_arena *arena, const kd_run *run, const kd_expr *expr,
                          const kd_value *parameters, uint32_t parameter_count,
                          kd_value *out_value) KD_MUST_CHECK;
/* A unique index's key made of such values. */
typedef struct kdi_short_key {
    const kd_table_entry *table;
    uint64_t index_no;
    uint32_t count;
    kd_expr **exprs; /* In the index's order. */
    kd_value *values;
} kdi_short_key;
/* The plan's one probe of a unique index, perhaps below a projection; NULL: it does more. */
const kd_plan *kdi_short_probe(const kd_statement_plan *plan);
kd_status kdi_short_key_init(kd_ctx *ctx, kd_arena *arena, const kd_plan *probe,
                             kdi_short_key *out_key) KD_MUST_CHECK;
/* The key's bytes; `*out_null`: a value is NULL, so no row has it. */
kd_status kdi_short_key_make(kd_ctx *ctx, kdi_short_key *key, kd_arena *arena, const kd_run *run,
                             const kd_value *parameters, uint32_t parameter_count,
                             kd_table *storage, kd_buffer *out_bytes, bool *out_null) KD_MUST_CHECK;
/* Runs that live in their prepared statement. Open ones are in the session's list. */
void kdi_short_run_init(kd_run *run, kd_prepared *prepared);
void kdi_short_run_open(kd_run *run);
void kdi_short_run_close(kd_run *run);
/* Begins the statement. Not entered: its catalog version is not what the snapshot would bind
 * against, or the isolation level keeps predicates; nothing is begun then. */
kd_status kdi_short_enter(kd_ctx *ctx, kd_prepared *prepared, bool *out_owns,
                          bool *out_entered) KD_MUST_CHECK;

#endif
