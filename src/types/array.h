/*
 * Array values: any number of dimensions up to six, elements of one type, NULLs among them.
 *
 *   u8   dimensions, 0 .. 6 (0: the empty array, and nothing follows)
 *   u8   1 when a bitmap of NULLs follows, else 0
 *   per dimension: u32 length, i32 lower bound
 *   bitmap, when announced: (count + 7) / 8 bytes, bit set = not NULL
 *   fixed-size elements: kd_physical_bytes() each, NULLs zero
 *   STR elements: u32 end[count], then the bytes
 *
 * Little-endian and not aligned; the element type is known from the array's type.
 */
#ifndef KD_TYPES_ARRAY_H
#define KD_TYPES_ARRAY_H

#include "types/value.h"

enum { KD_ARRAY_DIMENSIONS_MAX = 6, KD_ARRAY_ELEMENTS_MAX = 1 << 27 };

typedef struct kd_array_shape {
    uint32_t dimensions;
    uint32_t lengths[KD_ARRAY_DIMENSIONS_MAX];
    int32_t lower_bounds[KD_ARRAY_DIMENSIONS_MAX];
} kd_array_shape;

/* An opened array; points into the stored bytes. */
typedef struct kd_array {
    kd_type element_type;
    kd_array_shape shape;
    uint32_t count;     /* Elements in all. */
    const char *bitmap; /* NULL: no NULLs. */
    const char *ends;   /* STR only. */
    const char *elements;
    size_t elements_bytes;
} kd_array;

/* KD_CORRUPT when the bytes are no array of this element type. After this the getters are safe. */
kd_status kd_array_open(kd_ctx *ctx, kd_type array_type, kd_slice stored,
                        kd_array *out) KD_MUST_CHECK;
/* Element number `index` in storage order (row-major), below count. Points into the array. */
kd_value kd_array_get(const kd_array *array, uint32_t index);
/* Subscripts as SQL writes them; false when outside or when their number is not the array's. */
bool kd_array_find(const kd_array *array, const int32_t *subscripts, uint32_t subscript_count,
                   uint32_t *out_index);

/* One dimension, lower bound 1; an empty one has no dimensions. */
kd_status kd_array_make(kd_ctx *ctx, kd_arena *arena, kd_type element_type,
                        const kd_value *elements, uint32_t count, kd_str *out) KD_MUST_CHECK;
kd_status kd_array_make_shaped(kd_ctx *ctx, kd_arena *arena, kd_type element_type,
                               const kd_array_shape *shape, const kd_value *elements,
                               kd_str *out) KD_MUST_CHECK;

/* '{1,2,NULL,"a b"}', '[0:1]={...}', nested. 22P02 "malformed array literal". */
kd_status kd_array_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type array_type, kd_slice text, kd_str *out) KD_MUST_CHECK;
kd_status kd_array_format(kd_ctx *ctx, const kd_text_settings *settings, kd_type array_type,
                          kd_slice stored, kd_buffer *out) KD_MUST_CHECK;

/* PostgreSQL's order: elements first, then their number, dimensions, lengths, lower bounds. */
int kd_array_compare(kd_type array_type, kd_slice a, kd_slice b);
uint64_t kd_array_hash(kd_type array_type, kd_slice stored);

#endif
