/*
 * For the tests of lake: readers over texts in memory, results as text.
 */
#ifndef KD_TEST_LAKE_TEXT_H
#define KD_TEST_LAKE_TEXT_H

#include "lake/csv.h"
#include "test.h"

/* A source that gives a text in pieces of `piece_bytes`. */
typedef struct text_feed {
    kd_slice text;
    size_t at;
    size_t piece_bytes;
} text_feed;

kd_status text_feed_read(kd_ctx *ctx, void *object, void *target, size_t capacity_bytes,
                         size_t *out_bytes);

/* Reads the whole text with one worker and gives its rows as "a|b|c\n", NULL as "~". Rejected rows
 * are appended to `rejects` (may be NULL) as "line:column:reason\n". */
kd_status csv_to_text(kd_ctx *ctx, kd_arena *arena, kd_slice text, const kd_csv_options *options,
                      kd_buffer *out, kd_buffer *rejects);
/* "name type, name type" */
kd_status csv_schema_text(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                          const kd_csv_options *options, kd_buffer *out);
kd_status batch_to_text(kd_ctx *ctx, const kd_batch *batch, kd_buffer *out);

#endif
