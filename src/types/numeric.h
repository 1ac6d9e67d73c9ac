/*
 * Exact decimal numbers, in two forms.
 *
 * Fixed: numeric(p,s) with p <= 38 is an integer, value * 10^s, held in 64 or 128 bits. All the
 * kd_fixed_ functions work on kd_i128 and a scale.
 *
 * Variable: unconstrained numeric, up to 131,072 digits before and 16,383 after the point, NaN and
 * the infinities. Arithmetic runs on a kd_decimal, whose digits live in an arena; what is stored in
 * a column is a kd_str of these bytes:
 *
 *   byte 0     bits 0-1 kind (kd_decimal_kind), bit 2 negative, other bits 0
 *   varint     scale: digits shown after the point
 *   varint     weight, zigzag: the first digit counts 10000^weight
 *   2 bytes each  digits of base 10,000, most significant first; none for zero
 *
 * NaN and the infinities are byte 0 alone. The first and the last digit are never 0, so equal
 * values with equal scales have equal bytes. Numbers up to 16 digits fit a kd_str without a
 * pointer.
 *
 * Base 10,000 is also what PostgreSQL's rules for the scale of quotients and roots are written in,
 * and results must agree with it to the last digit.
 */
#ifndef KD_TYPES_NUMERIC_H
#define KD_TYPES_NUMERIC_H

#include "types/str.h"
#include "types/type.h"

enum {
    KD_FIXED_PRECISION_MAX = 38,
    KD_NUMERIC_SCALE_MAX = 16383,
    KD_NUMERIC_BASE = 10000,
    KD_NUMERIC_BASE_DIGITS = 4,
};

/* ---- Fixed ---- */

/* 10^exponent for 0 .. 38. */
kd_i128 kd_pow10_i128(int exponent);

/* Text to value * 10^scale, rounded half away from zero. `type` is numeric with a modifier. */
kd_status kd_fixed_parse(kd_ctx *ctx, kd_type type, kd_slice text,
                         kd_i128 *out_value) KD_MUST_CHECK;
kd_status kd_fixed_format(kd_ctx *ctx, kd_i128 value, int scale, kd_buffer *out) KD_MUST_CHECK;
/* Fails with 22003 "numeric field overflow" when |value| >= 10^precision. */
kd_status kd_fixed_check(kd_ctx *ctx, kd_i128 value, int precision, int scale) KD_MUST_CHECK;
/* To another scale, rounding half away from zero. False when the result needs more than 38 digits.
 */
bool kd_fixed_rescale(kd_i128 value, int from_scale, int to_scale, kd_i128 *out_value);
int kd_fixed_compare(kd_i128 a, int a_scale, kd_i128 b, int b_scale);
double kd_fixed_to_double(kd_i128 value, int scale);

/* ---- Variable ---- */

typedef enum kd_decimal_kind {
    KD_DECIMAL_FINITE = 0,
    KD_DECIMAL_NAN,
    KD_DECIMAL_INFINITY,
    KD_DECIMAL_NEGATIVE_INFINITY,
} kd_decimal_kind;

/* Value = sign * sum of digits[i] * 10000^(weight - i). Zero has digit_count 0, weight 0 and is not
 * negative. `digits` is shared freely and never written after it was made. */
typedef struct kd_decimal {
    uint8_t kind;
    bool negative;
    int32_t scale;
    int32_t weight;
    uint32_t digit_count;
    const uint16_t *digits;
} kd_decimal;

kd_status kd_decimal_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                           kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_format(kd_ctx *ctx, const kd_decimal *value, kd_buffer *out) KD_MUST_CHECK;

/* The stored form and back. Reading fails with KD_CORRUPT on bytes that are none; short numbers
 * copy their digits into `arena`. */
kd_status kd_decimal_store(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                           kd_str *out) KD_MUST_CHECK;
kd_status kd_decimal_load(kd_ctx *ctx, kd_arena *arena, const kd_str *stored,
                          kd_decimal *out) KD_MUST_CHECK;

/* Order, equality and hash of stored numbers, without an arena. NaN is above everything, equal to
 * itself. Bytes that are no number count as NaN. */
int kd_numeric_compare(kd_slice a, kd_slice b);
uint64_t kd_numeric_hash(kd_slice stored);
int kd_decimal_compare(const kd_decimal *a, const kd_decimal *b);

kd_status kd_decimal_from_i64(kd_ctx *ctx, kd_arena *arena, int64_t value,
                              kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_from_fixed(kd_ctx *ctx, kd_arena *arena, kd_i128 value, int scale,
                                kd_decimal *out) KD_MUST_CHECK;
/* As PostgreSQL's cast: 15 significant digits. */
kd_status kd_decimal_from_double(kd_ctx *ctx, kd_arena *arena, double value,
                                 kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_from_float(kd_ctx *ctx, kd_arena *arena, float value,
                                kd_decimal *out) KD_MUST_CHECK;
/* Any integer, real, double or numeric payload of `type`. */
kd_status kd_decimal_from_payload(kd_ctx *ctx, kd_arena *arena, kd_type type, const void *payload,
                                  kd_decimal *out) KD_MUST_CHECK;

/* Rounds half away from zero. Fails with 22003 "bigint out of range", 0A000 for NaN and infinity.
 */
kd_status kd_decimal_to_i64(kd_ctx *ctx, const kd_decimal *value, int64_t *out) KD_MUST_CHECK;
/* Rounded to the type's scale; 22003 "numeric field overflow". `type`: precision <= 38. */
kd_status kd_decimal_to_fixed(kd_ctx *ctx, const kd_decimal *value, kd_type type,
                              kd_i128 *out) KD_MUST_CHECK;
/* For a numeric that is no integer: rounded to the type's scale where it has one; 22003. */
kd_status kd_decimal_to_wide(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_type type,
                             kd_decimal *out) KD_MUST_CHECK;
/* The value at `scale` as an integer, when it is finite and fits 38 digits; rounds. */
bool kd_decimal_try_fixed(const kd_decimal *value, int scale, kd_i128 *out);
kd_status kd_decimal_to_double(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                               double *out) KD_MUST_CHECK;

/* Arithmetic with PostgreSQL's result scales. 22012 for division by zero, 22003 "value overflows
 * numeric format", 2201E, 2201F, ... as PostgreSQL 15. `out` may be an input. */
kd_status kd_decimal_add(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_sub(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_mul(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out) KD_MUST_CHECK;
/* Without limits and rounding, for sums and products of which less is kept in the end. */
kd_status kd_decimal_add_exact(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_mul_exact(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out) KD_MUST_CHECK;
/* A sum of zero and `value` has the digits of `value`: the sum gets a copy of them in `arena`,
 * where it lives longer than the value. */
kd_status kd_decimal_own(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                         kd_decimal *io_sum) KD_MUST_CHECK;
kd_status kd_decimal_div(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_div_trunc(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_mod(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out) KD_MUST_CHECK;
kd_decimal kd_decimal_negate(kd_decimal value);
kd_decimal kd_decimal_abs(kd_decimal value);
int kd_decimal_sign(const kd_decimal *value); /* -1, 0, 1; NaN gives 0: ask for its kind first. */
/* `scale` may be negative: round(1234, -2) = 1200. */
kd_status kd_decimal_round(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int scale,
                           kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_trunc(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int scale,
                           kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_ceil(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                          kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_floor(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                           kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_sqrt(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                          kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_exp(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                         kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_ln(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                        kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_log(kd_ctx *ctx, kd_arena *arena, const kd_decimal *base,
                         const kd_decimal *value, kd_decimal *out) KD_MUST_CHECK;
kd_status kd_decimal_power(kd_ctx *ctx, kd_arena *arena, const kd_decimal *base,
                           const kd_decimal *exponent, kd_decimal *out) KD_MUST_CHECK;

#endif
