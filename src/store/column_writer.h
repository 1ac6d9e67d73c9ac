/*
 * Writing one column of a segment: rows are staged until a block is full, then
 * the block is encoded. Module-internal.
 *
 * A column is in one of three modes. Strings start in CODES: every value is kept
 * as a code of the segment's dictionary, and blocks are encoded at the end, when
 * the dictionary is known. Should it outgrow 65,535 values or not pay, its blocks
 * are turned back into strings and the column goes on in PLAIN, where each block is
 * encoded as soon as it is full. Integers start as UNDECIDED: after the first block
 * they go to CODES when codes would be much smaller, else to PLAIN. All other types
 * are PLAIN.
 */
#ifndef KD_STORE_COLUMN_WRITER_H
#define KD_STORE_COLUMN_WRITER_H

#include "store/dictionary_builder.h"
#include "store/segment_internal.h"

typedef enum kdi_column_mode { KDI_PLAIN, KDI_UNDECIDED, KDI_CODES } kdi_column_mode;

enum { KDI_NULL_CODE = UINT16_MAX, KDI_BLOCK_WORDS = KD_BLOCK_ROWS / 64 };

/* Where finished blocks go. */
typedef struct kdi_block_output {
    kd_file_sink sink;
    kdi_block_identity identity; /* column and block are set for each. */
    kd_buffer block;             /* The one being built. */
} kdi_block_output;

typedef struct kdi_column_writer {
    kd_arena *arena;
    kd_type type;
    kd_physical physical;
    uint32_t column; /* In the segment. */
    kdi_column_mode mode;
    bool try_local;     /* PLAIN: a dictionary per block may pay. */
    kdi_encoding force; /* Tests: take this encoding where the values allow it; 0: the cheapest. */
    uint32_t block_count; /* Full ones. */
    uint32_t staged_rows; /* Of the current block. */

    /* PLAIN and UNDECIDED: the current block. */
    int64_t *integers; /* BOOL .. I64 */
    uint8_t *fixed;    /* F32, F64, I128, INTERVAL: physical values */
    kd_buffer text;    /* STR: bytes, */
    uint32_t *ends;    /* and where each ends. */
    uint64_t *validity;
    uint32_t null_count; /* Of the current block. */

    /* CODES */
    kdi_dictionary dictionary;
    uint16_t *codes[KDI_SEGMENT_BLOCKS_MAX];
    bool has_null;

    kdi_column_entry entry;
    kdi_block_entry *blocks; /* KDI_SEGMENT_BLOCKS_MAX */
} kdi_column_writer;

kd_status kdi_column_writer_init(kd_ctx *ctx, kdi_column_writer *column, kd_arena *arena,
                                 kd_type type, uint32_t column_index) KD_MUST_CHECK;
/* `count` rows of the batch from position `from` on; they fit the current block. */
kd_status kdi_column_stage(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                           const kd_vector *vector, const kd_batch *batch, uint32_t from,
                           uint32_t count) KD_MUST_CHECK;
/* The current block is full, or the last one (at least one row). */
kd_status kdi_column_end_block(kd_ctx *ctx, kdi_column_writer *column,
                               kdi_block_output *output) KD_MUST_CHECK;
/* Encodes what waited for the dictionary. */
kd_status kdi_column_finish(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                            uint32_t row_count) KD_MUST_CHECK;

/* --- Inside (column_stage.c, column_encode.c) --- */

/* Turns the column's codes back into values and goes on in PLAIN. */
kd_status kdi_column_leave_codes(kd_ctx *ctx, kdi_column_writer *column,
                                 kdi_block_output *output) KD_MUST_CHECK;
/* Encodes and writes the current block of a PLAIN column. */
kd_status kdi_column_encode_plain(kd_ctx *ctx, kdi_column_writer *column, kdi_block_output *output,
                                  uint32_t block) KD_MUST_CHECK;
kd_status kdi_column_plain_room(kd_ctx *ctx, kdi_column_writer *column) KD_MUST_CHECK;

/* A block under construction: begin, append the payload to output->block, end. */
kd_status kdi_output_begin(kd_ctx *ctx, kdi_block_output *output, uint32_t row_count,
                           const uint64_t *validity) KD_MUST_CHECK;
/* Fills in offset, size_bytes, checksum, row_count and encoding of the entry. */
kd_status kdi_output_end(kd_ctx *ctx, kdi_block_output *output, kdi_encoding encoding,
                         uint32_t column, uint32_t block, uint32_t row_count, bool has_nulls,
                         kdi_block_entry *out_entry) KD_MUST_CHECK;

/* Zone maps (zone_map.c). */
void kdi_zone_integers(kdi_block_entry *entry, kd_physical physical, int64_t min, int64_t max);
void kdi_zone_string(kdi_block_entry *entry, kd_type type, kd_slice min, kd_slice max);
void kdi_zone_fixed(kdi_block_entry *entry, kd_type type, const uint8_t *values, uint32_t row_count,
                    const uint64_t *validity);
/* The bytes that exact bounds of the type take; false for types that keep none. */
bool kdi_type_keeps_bounds(kd_type type);
uint32_t kdi_estimate_distinct(const int64_t *values, uint32_t row_count, uint32_t run_count);

#endif
