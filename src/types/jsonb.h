/*
 * jsonb: JSON in binary, with fields found by binary search.
 *
 *   value    u32 header: bits 0-3 kind, bits 4-31 count or size, then a body
 *   null, false, true   no body
 *   number   `size` bytes: a stored numeric (numeric.h), so that no digit is lost
 *   string   `size` bytes of UTF-8
 *   array    u32 end[count]; then the values, value i ending at end[i], counted from the first
 *   object   u32 key_end[count]; u32 value_end[count]; the keys' bytes; the values
 *
 * Keys are unique and sorted by length, then bytes (PostgreSQL's order). All integers are little-
 * endian and not aligned. A value's size follows from its header and last offset; nothing is
 * padded.
 *
 * The readers here never leave the slice they are given: bytes that break the format read as null.
 * kd_jsonb_check tells them apart.
 */
#ifndef KD_TYPES_JSONB_H
#define KD_TYPES_JSONB_H

#include "types/json.h"
#include "types/numeric.h"

typedef enum kd_jsonb_kind {
    KD_JSONB_NULL = 0,
    KD_JSONB_FALSE = 1,
    KD_JSONB_TRUE = 2,
    KD_JSONB_NUMBER = 3,
    KD_JSONB_STRING = 4,
    KD_JSONB_ARRAY = 5,
    KD_JSONB_OBJECT = 6,
} kd_jsonb_kind;

/* Readers recurse to this depth; deeper text is refused with 54001. */
enum { KD_JSONB_COUNT_MAX = (1 << 28) - 1, KD_JSONB_DEPTH_MAX = 1000 };

/* An opened value. `body` is the string's bytes, the number's stored form, or what follows the
 * header of a container. */
typedef struct kd_jsonb {
    uint8_t kind;
    uint32_t count; /* Elements or fields. */
    kd_slice body;
} kd_jsonb;

kd_jsonb kd_jsonb_open(kd_slice stored);
kd_status kd_jsonb_check(kd_ctx *ctx, kd_slice stored) KD_MUST_CHECK;

/* Text to jsonb and back: '{"a": 1, "b": [1, 2]}'. */
kd_status kd_jsonb_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_format(kd_ctx *ctx, kd_slice stored, kd_buffer *out) KD_MUST_CHECK;
/* jsonb_pretty. */
kd_status kd_jsonb_format_pretty(kd_ctx *ctx, kd_slice stored, kd_buffer *out) KD_MUST_CHECK;

/* Object > Array > Boolean > Number > String > Null; an empty array alone is below all of them. */
int kd_jsonb_compare(kd_slice a, kd_slice b);
uint64_t kd_jsonb_hash(kd_slice stored);
const char *kd_jsonb_typeof(kd_slice stored);

/* ---- Reading ---- */

/* Element or field `index`, below `count`. */
kd_slice kd_jsonb_element(const kd_jsonb *container, uint32_t index);
kd_slice kd_jsonb_key(const kd_jsonb *object, uint32_t index);
bool kd_jsonb_get_field(kd_slice stored, kd_slice key, kd_slice *out_value);
/* The same for keys that are mostly at the same place: `*io_near` is where to look first. */
bool kd_jsonb_get_field_near(kd_slice stored, kd_slice key, uint32_t *io_near, kd_slice *out_value);
/* Negative counts from the end. */
bool kd_jsonb_get_element(kd_slice stored, int64_t index, kd_slice *out_value);
/* #>: each step a key, or an index in decimal for arrays. */
bool kd_jsonb_get_path(kd_slice stored, const kd_slice *steps, uint32_t step_count,
                       kd_slice *out_value);
/* ->>: strings bare, others as JSON. JSON null gives `*out_is_null`. */
kd_status kd_jsonb_as_text(kd_ctx *ctx, kd_arena *arena, kd_slice stored, bool *out_is_null,
                           kd_slice *out_text) KD_MUST_CHECK;

/* Keys one below the other, each ended by a zero byte, which no key has; and where each was found
 * last. */
enum { KD_JSONB_KEYS_NEAR = 4 };
typedef struct kd_jsonb_keys {
    kd_slice bytes;
    uint32_t near[KD_JSONB_KEYS_NEAR];
} kd_jsonb_keys;
bool kd_jsonb_follow(kd_jsonb_keys *keys, kd_slice stored, kd_slice *out);
/* What ->> gives at the end of the keys: NULL for JSON null and where there is nothing. The text
 * may point into `stored`. */
kd_status kd_jsonb_follow_text(kd_ctx *ctx, kd_arena *arena, kd_jsonb_keys *keys, kd_slice stored,
                               bool *out_is_null, kd_slice *out_text) KD_MUST_CHECK;

/* @> */
kd_status kd_jsonb_contains(kd_ctx *ctx, kd_slice a, kd_slice b, bool *out) KD_MUST_CHECK;
/* ?: a top-level key, array string, or the string itself. */
bool kd_jsonb_exists(kd_slice stored, kd_slice key);

/* ---- Making ---- */

kd_status kd_jsonb_make_null(kd_ctx *ctx, kd_arena *arena, kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_make_bool(kd_ctx *ctx, kd_arena *arena, bool value, kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_make_string(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                               kd_slice *out) KD_MUST_CHECK;
/* NaN and infinities become the strings "NaN", "Infinity". */
kd_status kd_jsonb_make_number(kd_ctx *ctx, kd_arena *arena, const kd_decimal *number,
                               kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_make_array(kd_ctx *ctx, kd_arena *arena, const kd_slice *elements,
                              uint32_t count, kd_slice *out) KD_MUST_CHECK;
/* Sorts and keeps the last of equal keys. */
kd_status kd_jsonb_make_object(kd_ctx *ctx, kd_arena *arena, const kd_slice *keys,
                               const kd_slice *values, uint32_t count, kd_slice *out) KD_MUST_CHECK;

/* || */
kd_status kd_jsonb_concat(kd_ctx *ctx, kd_arena *arena, kd_slice a, kd_slice b,
                          kd_slice *out) KD_MUST_CHECK;
/* - text: removes the key, or array strings equal to it. 22023 on scalars. */
kd_status kd_jsonb_delete_key(kd_ctx *ctx, kd_arena *arena, kd_slice stored, kd_slice key,
                              kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_delete_element(kd_ctx *ctx, kd_arena *arena, kd_slice stored, int64_t index,
                                  kd_slice *out) KD_MUST_CHECK;
kd_status kd_jsonb_delete_path(kd_ctx *ctx, kd_arena *arena, kd_slice stored, const kd_slice *steps,
                               uint32_t step_count, kd_slice *out) KD_MUST_CHECK;
/* jsonb_set. */
kd_status kd_jsonb_set(kd_ctx *ctx, kd_arena *arena, kd_slice stored, const kd_slice *steps,
                       uint32_t step_count, kd_slice value, bool create_if_missing,
                       kd_slice *out) KD_MUST_CHECK;
/* jsonb_strip_nulls: fields with null values removed, at every depth. */
kd_status kd_jsonb_strip_nulls(kd_ctx *ctx, kd_arena *arena, kd_slice stored,
                               kd_slice *out) KD_MUST_CHECK;

#endif
