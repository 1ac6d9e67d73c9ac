/*
 * Writing batches as newline-delimited JSON: one object per row, members in column order. Numbers
 * and booleans are JSON's own, json and jsonb are embedded, NaN and infinities and everything
 * else are strings in their text form.
 */
#ifndef KD_LAKE_NDJSON_WRITER_H
#define KD_LAKE_NDJSON_WRITER_H

#include "types/vector.h"

kd_status kd_ndjson_write_batch(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_slice *names, const kd_batch *batch,
                                kd_buffer *out) KD_MUST_CHECK;

#endif
