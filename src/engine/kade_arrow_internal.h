/*
 * Arrow's forms of the types, as kade_arrow_next() documents them, for writing
 * (kade_arrow.c) and reading (kade_arrow_read.c).
 */
#ifndef KD_ENGINE_KADE_ARROW_INTERNAL_H
#define KD_ENGINE_KADE_ARROW_INTERNAL_H

#include "engine/kade_internal.h"

/* One value of a column of an Arrow array as a value of the engine, of the type nearest to the
 * column's. Bytes of strings stay where they are. 0A000 for formats that are not read. */
kd_status kdi_arrow_value(kd_ctx *ctx, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row,
                          kd_value *out_value) KD_MUST_CHECK;

#endif
