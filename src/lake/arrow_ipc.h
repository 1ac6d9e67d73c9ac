/*
 * Writing batches as Arrow IPC: the stream form (.arrows) and the file form (.arrow, Feather V2).
 *
 *     stream   schema message, record batch messages, end mark
 *     file     "ARROW1\0\0", the stream, footer, footer length, "ARROW1"
 *
 * Metadata are FlatBuffers, built by hand here; bodies are 8-byte aligned buffers, uncompressed.
 * Column types are as kade.h's kade_arrow_next() documents.
 */
#ifndef KD_LAKE_ARROW_IPC_H
#define KD_LAKE_ARROW_IPC_H

#include "types/vector.h"

typedef enum kd_arrow_form {
    KD_ARROW_STREAM = 0,
    KD_ARROW_FILE,
} kd_arrow_form;

typedef struct kd_arrow_writer kd_arrow_writer;

/* The writer lives in `arena`; `out` receives its bytes and may be emptied between calls. */
kd_status kd_arrow_writer_create(kd_ctx *ctx, kd_arena *arena, kd_arrow_form form,
                                 const kd_text_settings *settings, const kd_slice *names,
                                 const kd_type *types, uint32_t column_count, kd_buffer *out,
                                 kd_arrow_writer **out_writer) KD_MUST_CHECK;
kd_status kd_arrow_writer_batch(kd_ctx *ctx, kd_arrow_writer *writer, const kd_batch *batch,
                                kd_buffer *out) KD_MUST_CHECK;
kd_status kd_arrow_writer_end(kd_ctx *ctx, kd_arrow_writer *writer, kd_buffer *out) KD_MUST_CHECK;

#endif
