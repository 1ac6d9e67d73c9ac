/*
 * COPY's binary format: PostgreSQL's, version 1.
 *
 *   "PGCOPY\n\377\r\n\0", u32 flags (bit 16: OIDs, refused), u32 bytes of an extension, which
 * follow per row: i16 fields; per field i32 bytes (-1: NULL) and the value as types/binary.h has it
 *   i16 -1
 *
 * Integers have their most significant byte first.
 */
#ifndef KD_ENGINE_COPY_BINARY_H
#define KD_ENGINE_COPY_BINARY_H

#include "engine/engine_internal.h"
#include "lake/import.h"
#include "lake/text_source.h"

typedef struct kdi_binary_reader kdi_binary_reader;

/* Reads the header. `run` gives the session and how values are read; everything lives in its
 * arena. */
kd_status kdi_binary_reader_create(kd_ctx *ctx, kd_run *run, kd_text_source *source,
                                   const kd_import_column *columns, uint32_t column_count,
                                   kdi_binary_reader **out_reader) KD_MUST_CHECK;
/* The next rows, valid until the next call; none at the end. 22P04 for bytes that are no rows. */
kd_status kdi_binary_reader_next(kd_ctx *ctx, kdi_binary_reader *reader,
                                 kd_batch *out_batch) KD_MUST_CHECK;

kd_status kdi_binary_write_header(kd_ctx *ctx, kd_buffer *out) KD_MUST_CHECK;
/* One row of a batch. */
kd_status kdi_binary_write_row(kd_ctx *ctx, const kd_text_settings *settings, const kd_batch *batch,
                               uint32_t row, kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_binary_write_end(kd_ctx *ctx, kd_buffer *out) KD_MUST_CHECK;

#endif
