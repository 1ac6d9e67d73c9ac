/*
 * What the files of decimal arithmetic share: raw digit arrays and their rounding.
 */
#ifndef KD_TYPES_DECIMAL_INTERNAL_H
#define KD_TYPES_DECIMAL_INTERNAL_H

#include "types/numeric.h"

enum {
    KDI_DECIMAL_WEIGHT_MAX = 32767,
    KDI_DECIMAL_DISPLAY_SCALE_MAX = 1000,
    KDI_DECIMAL_SIGNIFICANT_MIN = 16,
};

kd_decimal kdi_decimal_special(kd_decimal_kind kind);
kd_decimal kdi_decimal_zero(int32_t scale);
/* The number with these digits, without zeros at its ends. `digits` is kept. */
kd_decimal kdi_decimal_finish(const uint16_t *digits, uint32_t count, int32_t weight, bool negative,
                              int32_t scale);
uint16_t *kdi_decimal_digits(kd_ctx *ctx, kd_arena *arena, size_t count);
/* 22003 when the number is too large to be stored. */
kd_status kdi_decimal_check(kd_ctx *ctx, const kd_decimal *value) KD_MUST_CHECK;
/* Cuts to `scale` digits after the point (negative: before it), rounding half away or toward 0. */
kd_status kdi_decimal_cut(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int64_t scale,
                          bool rounds, kd_decimal *out) KD_MUST_CHECK;
int kdi_decimal_compare_magnitude(const kd_decimal *a, const kd_decimal *b);
/* Finite a / b to `scale` digits; b is not zero. */
kd_status kdi_decimal_div_scale(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                                const kd_decimal *b, int64_t scale, bool rounds,
                                kd_decimal *out) KD_MUST_CHECK;
/* An approximation, good for estimates; huge values saturate. */
double kdi_decimal_estimate(const kd_decimal *value);

#endif
