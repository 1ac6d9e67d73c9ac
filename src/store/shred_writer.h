/*
 * Shreds: frequent paths of a segment's jsonb columns as columns of text beside the documents.
 * Module-internal; segment.h says what a shred is.
 */
#ifndef KD_STORE_SHRED_WRITER_H
#define KD_STORE_SHRED_WRITER_H

#include "store/column_writer.h"
#include "types/jsonb.h"

typedef struct kdi_shred {
    uint32_t source; /* The column of documents. */
    kd_jsonb_keys keys;
    bool is_dropped; /* A text was too long. */
    kdi_column_writer column;
    kd_vector texts; /* Of a batch. */
} kdi_shred;

typedef struct kdi_shredder {
    kd_arena *arena;
    kd_arena *batch_arena;
    uint32_t count;
    kdi_shred *shreds; /* Those of a document column stand together. */
} kdi_shredder;

/* Chooses the paths after the segment's first rows. */
kd_status kdi_shredder_choose(kd_ctx *ctx, kdi_shredder *shredder, const kdi_column_writer *columns,
                              uint32_t column_count, const kd_batch *batch) KD_MUST_CHECK;
/* As kdi_column_stage, _end_block and _finish do for a column. */
kd_status kdi_shredder_stage(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output,
                             const kd_batch *batch, uint32_t from, uint32_t count) KD_MUST_CHECK;
kd_status kdi_shredder_end_block(kd_ctx *ctx, kdi_shredder *shredder,
                                 kdi_block_output *output) KD_MUST_CHECK;
kd_status kdi_shredder_finish(kd_ctx *ctx, kdi_shredder *shredder, kdi_block_output *output,
                              uint32_t row_count) KD_MUST_CHECK;
/* The shreds that the segment gets: none dropped any more. */
void kdi_shredder_settle(kdi_shredder *shredder);

#endif
