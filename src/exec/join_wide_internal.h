/*
 * What all joins share: the "wide" columns (left's, then right's) that conditions are evaluated
 * over, and how the output's columns are taken from them.
 */
#ifndef KD_EXEC_JOIN_WIDE_INTERNAL_H
#define KD_EXEC_JOIN_WIDE_INTERNAL_H

#include "exec/pipeline_internal.h"

typedef struct kdi_join_wide {
    uint32_t left_count, right_count;
    kd_column_id *ids;     /* left_count + right_count */
    kd_vector *columns;    /* As many: what the current output is made of. */
    kd_vector *right_room; /* FLAT room for right columns. */
    kd_vector *left_room;  /* FLAT room for left columns that are repeated. */
    kd_vector *nulls;      /* A NULL constant per wide column. */
    uint32_t *sources;     /* Per output column: wide position; UINT32_MAX: the mark. */
    kd_vector *outputs;
    kd_vector mark;              /* FLAT boolean. */
    kd_compiled_expr *condition; /* NULL: true. */
} kdi_join_wide;

kd_status kdi_join_wide_create(kd_ctx *ctx, kdi_op *op, kd_arena *arena, const kd_expr *condition,
                               kdi_join_wide **out_wide) KD_MUST_CHECK;
/* The output batch for these rows of the wide columns. */
void kdi_join_wide_emit(kdi_join_wide *wide, const kdi_op *op, uint32_t row_count,
                        const uint16_t *selection, uint32_t count, kd_batch *out);
void kdi_join_wide_right_nulls(kdi_join_wide *wide);
void kdi_join_wide_left_nulls(kdi_join_wide *wide);
bool kdi_join_gives_right(kd_join_kind kind);

#endif
