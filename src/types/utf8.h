/*
 * UTF-8 text: checking, counting, case. Every text value in the engine is valid UTF-8 without NUL;
 * what comes from outside is checked once, here.
 */
#ifndef KD_TYPES_UTF8_H
#define KD_TYPES_UTF8_H

#include "base/bytes.h"

/* `*out_bad_offset` (may be NULL) is where the first wrong sequence starts. NUL is refused. */
bool kd_utf8_is_valid(kd_slice text, size_t *out_bad_offset);
/* 22021 `invalid byte sequence for encoding "UTF8": 0xff`. */
kd_status kd_utf8_check(kd_ctx *ctx, kd_slice text) KD_MUST_CHECK;

/* The functions below take valid text. */

bool kd_utf8_is_ascii(kd_slice text);
size_t kd_utf8_length(kd_slice text); /* Characters (code points). */
/* The byte where character `index` starts; the size when there are fewer. */
size_t kd_utf8_offset(kd_slice text, size_t index);
/* The first character and its size in bytes; text is not empty. */
uint32_t kd_utf8_decode(const char *at, size_t size_bytes, uint32_t *out_size_bytes);
/* Writes 1 to 4 bytes; gives how many. `code_point` is a scalar value. */
uint32_t kd_utf8_encode(uint32_t code_point, char out[4]);

/* Character by character, as PostgreSQL's upper() and lower() with a C.UTF-8-like locale. */
kd_status kd_utf8_append_upper(kd_ctx *ctx, kd_slice text, kd_buffer *out) KD_MUST_CHECK;
kd_status kd_utf8_append_lower(kd_ctx *ctx, kd_slice text, kd_buffer *out) KD_MUST_CHECK;
kd_status kd_utf8_append_initcap(kd_ctx *ctx, kd_slice text, kd_buffer *out) KD_MUST_CHECK;
uint32_t kd_utf8_fold(uint32_t code_point); /* Simple lower case, for ILIKE. */
bool kd_utf8_is_letter_or_digit(uint32_t code_point);

#endif
