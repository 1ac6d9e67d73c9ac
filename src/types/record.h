/*
 * Row values: fields of any types, with their names. A row says itself what it holds, so that it
 * can be ordered, hashed and written as text or JSON wherever it goes.
 *
 *   u8   depth: 1, or one more than the deepest row inside
 *   u16  number of fields
 *   u32  bytes of the description that follows
 *   per field: kd_type (12 bytes), counted name
 *   per field: its stored form (value.h)
 *
 * Little-endian and not aligned. The order is that of PostgreSQL's record comparison: field by
 * field, NULLs equal and last.
 */
#ifndef KD_TYPES_RECORD_H
#define KD_TYPES_RECORD_H

#include "types/value.h"

enum { KD_RECORD_FIELDS_MAX = 1664, KD_RECORD_DEPTH_MAX = 64 };

/* What a row type holds. */
typedef struct kd_record_shape {
    uint32_t field_count;
    const kd_type *types;
    const kd_slice *names;
} kd_record_shape;

/* An opened row: fields come one after the other. Points into the stored bytes. */
typedef struct kd_record {
    uint8_t depth;
    uint32_t field_count;
    uint32_t next_index;
    kd_reader descriptions;
    kd_reader values;
} kd_record;

/* `values` are of the shape's types. 54001 when rows are nested too deeply. */
kd_status kd_record_make(kd_ctx *ctx, kd_arena *arena, const kd_record_shape *shape,
                         const kd_value *values, kd_str *out) KD_MUST_CHECK;
/* KD_CORRUPT when the bytes are no row. */
kd_status kd_record_open(kd_ctx *ctx, kd_slice stored, kd_record *out) KD_MUST_CHECK;
/* The next field; `*out_found` false after the last. `out_name` may be NULL. */
kd_status kd_record_next(kd_ctx *ctx, kd_record *record, kd_slice *out_name, kd_value *out_value,
                         bool *out_found) KD_MUST_CHECK;
/* Takes a field for one of `type`; 42804 when its form is another one. */
kd_status kd_record_field_as(kd_ctx *ctx, kd_type type, kd_value *io_field) KD_MUST_CHECK;
/* Field `index`; 42804 when it is not there or not of `type`: the row is of another shape. */
kd_status kd_record_get(kd_ctx *ctx, kd_slice stored, uint32_t index, kd_type type,
                        kd_value *out_value) KD_MUST_CHECK;

/* '(1,abc,"a b",)'. 22P02 "malformed record literal". */
kd_status kd_record_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                          const kd_record_shape *shape, kd_slice text, kd_str *out) KD_MUST_CHECK;
kd_status kd_record_format(kd_ctx *ctx, const kd_text_settings *settings, kd_slice stored,
                           kd_buffer *out) KD_MUST_CHECK;

/* A row, or an array of rows, as its type in the catalog is now: fields by position where there are
 * as many as before, else by name, the others NULL. So does every row inside. */
kd_status kd_record_conform(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_value *io_value) KD_MUST_CHECK;

int kd_record_compare(kd_slice a, kd_slice b);
uint64_t kd_record_hash(kd_slice stored);

#endif
