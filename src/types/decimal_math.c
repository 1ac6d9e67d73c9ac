/*
 * Roots, exponentials, logarithms and powers of decimals.
 *
 * The scale of each result is PostgreSQL's (16 significant digits at least, no fewer decimals than
 * the input). The methods are our own: everything is computed with some ten digits more than asked
 * for and rounded once. Intermediate numbers live in a scratch arena that ends with the call.
 */
#include "types/decimal_internal.h"

#include <assert.h>
#include <math.h>

enum { GUARD_DIGITS = 10, RESULT_SCALE_MAX = 2 * KDI_DECIMAL_DISPLAY_SCALE_MAX };

static const uint16_t one_digits[1] = {1};
static const kd_decimal one = {.digit_count = 1, .digits = one_digits};

/* The context and the scratch arena, which all steps need. */
typedef struct math {
    kd_ctx *ctx;
    kd_arena *scratch;
} math;

static kd_status multiply(math *self, const kd_decimal *a, const kd_decimal *b, int64_t scale,
                          kd_decimal *out)
{
    kd_decimal product;
    KD_TRY(kd_decimal_mul_exact(self->ctx, self->scratch, a, b, &product));
    return kdi_decimal_cut(self->ctx, self->scratch, &product, scale, true, out);
}

static kd_status divide(math *self, const kd_decimal *a, const kd_decimal *b, int64_t scale,
                        kd_decimal *out)
{
    return kdi_decimal_div_scale(self->ctx, self->scratch, a, b, scale, true, out);
}

static kd_status add(math *self, const kd_decimal *a, const kd_decimal *b, kd_decimal *out)
{
    return kd_decimal_add_exact(self->ctx, self->scratch, a, b, out);
}

static kd_status subtract(math *self, const kd_decimal *a, const kd_decimal *b, kd_decimal *out)
{
    kd_decimal negated = kd_decimal_negate(*b);
    return add(self, a, &negated, out);
}

static kd_status small(math *self, int64_t value, kd_decimal *out)
{
    return kd_decimal_from_i64(self->ctx, self->scratch, value, out);
}

static int64_t bounded_scale(int64_t scale, int32_t least)
{
    scale = scale > least ? scale : least;
    scale = scale > 0 ? scale : 0;
    return scale < KDI_DECIMAL_DISPLAY_SCALE_MAX ? scale : KDI_DECIMAL_DISPLAY_SCALE_MAX;
}

/* Rounds into the caller's arena, so that nothing of the scratch arena is left. */
static kd_status finish(math *self, kd_arena *arena, const kd_decimal *value, int64_t scale,
                        kd_decimal *out)
{
    kd_decimal rounded;
    KD_TRY(kdi_decimal_cut(self->ctx, self->scratch, value, scale, true, &rounded));
    KD_TRY(kdi_decimal_check(self->ctx, &rounded));
    uint16_t *digits = kdi_decimal_digits(self->ctx, arena, rounded.digit_count);
    if (digits == NULL)
        return KD_NOMEM;
    if (rounded.digit_count > 0)
        memcpy(digits, rounded.digits, (size_t)rounded.digit_count * 2);
    rounded.digits = digits;
    *out = rounded;
    return KD_OK;
}

/* Decimal digits before the point, less one: 1 for 10 .. 99, -1 for 0.1 .. 0.99. */
static int64_t decimal_weight(const kd_decimal *value)
{
    if (value->digit_count == 0)
        return 0;
    unsigned first = value->digits[0];
    return (int64_t)value->weight * 4 + (first >= 1000 ? 3 : first >= 100 ? 2 : first >= 10);
}

/* ---- Square root ---- */

/* A root just below the middle between two results may have been rounded to the middle first: what
 * is more than half a unit above the root is a unit too much. */
static kd_status root_correct(math *self, const kd_decimal *value, int64_t scale,
                              kd_decimal *io_root)
{
    static const uint16_t units[4] = {1, 1000, 100, 10}, halves[4] = {5, 5000, 500, 50};
    int64_t place = scale + 1; /* Of the half. */
    kd_decimal half = {.scale = (int32_t)place,
                       .weight = (int32_t) - ((place + 3) / 4),
                       .digit_count = 1,
                       .digits = &halves[place % 4]};
    kd_decimal unit = {.scale = (int32_t)scale,
                       .weight = (int32_t) - ((scale + 3) / 4),
                       .digit_count = 1,
                       .digits = &units[scale % 4]};
    kd_decimal middle, square;
    if (io_root->digit_count == 0)
        return KD_OK;
    half.negative = unit.negative = true;
    KD_TRY(add(self, io_root, &half, &middle));
    KD_TRY(multiply(self, &middle, &middle, 2 * place, &square));
    return kd_decimal_compare(&square, value) > 0 ? add(self, io_root, &unit, io_root) : KD_OK;
}

/* Newton's method from a double's sixteen digits; each step doubles them. */
static kd_status root(math *self, const kd_decimal *value, int64_t scale, kd_decimal *out)
{
    if (value->digit_count == 0) {
        *out = kdi_decimal_zero((int32_t)(scale < 0 ? 0 : scale));
        return KD_OK;
    }
    double head = 0;
    int taken = 0;
    for (; taken < 4; taken++)
        head = head * KD_NUMERIC_BASE +
               ((uint32_t)taken < value->digit_count ? value->digits[taken] : 0);
    int exponent = value->weight - 3;
    if (exponent % 2 != 0) {
        head *= KD_NUMERIC_BASE;
        exponent--;
    }
    kd_decimal guess;
    KD_TRY(kd_decimal_from_double(self->ctx, self->scratch, sqrt(head), &guess));
    guess.weight += exponent / 2;
    int64_t precise = scale + GUARD_DIGITS;
    int64_t digits = precise + decimal_weight(&guess) + 1;
    static const uint16_t half_digits[1] = {5000};
    const kd_decimal half = {.scale = 1, .weight = -1, .digit_count = 1, .digits = half_digits};
    for (int64_t right = 12; right < digits * 2; right *= 2) {
        kd_decimal quotient;
        KD_TRY(divide(self, value, &guess, precise, &quotient));
        KD_TRY(add(self, &guess, &quotient, &guess));
        KD_TRY(multiply(self, &guess, &half, precise, &guess));
    }
    KD_TRY(kdi_decimal_cut(self->ctx, self->scratch, &guess, scale, true, out));
    return root_correct(self, value, scale, out);
}

/* ---- Exponential ---- */

static kd_status exponential(math *self, const kd_decimal *value, int64_t scale, kd_decimal *out)
{
    double estimate = kdi_decimal_estimate(value);
    if (fabs(estimate) >= RESULT_SCALE_MAX * 3) {
        if (estimate > 0)
            return KD_FAIL(self->ctx, KD_INVALID, "22003", "value overflows numeric format");
        *out = kdi_decimal_zero((int32_t)scale);
        return KD_OK;
    }
    /* e^x = (e^(x / 2^n))^(2^n), with x / 2^n below a hundredth. */
    int halvings = 0;
    while (fabs(estimate) > 0.01) {
        estimate /= 2;
        halvings++;
    }
    double result_weight = kdi_decimal_estimate(value) * 0.434294481903252;
    int64_t precise = scale + (result_weight > 0 ? (int64_t)result_weight + 1 : 0) +
                      halvings * 302 / 1000 + GUARD_DIGITS;
    kd_decimal power_of_two;
    KD_TRY(small(self, (int64_t)1 << halvings, &power_of_two));
    kd_decimal x;
    KD_TRY(divide(self, value, &power_of_two, precise, &x));
    kd_decimal sum = one;
    kd_decimal term = one;
    for (int64_t i = 1; term.digit_count > 0; i++) {
        kd_decimal divisor;
        KD_TRY(small(self, i, &divisor));
        KD_TRY(multiply(self, &term, &x, precise, &term));
        KD_TRY(divide(self, &term, &divisor, precise, &term));
        KD_TRY(add(self, &sum, &term, &sum));
    }
    for (int i = 0; i < halvings; i++) {
        KD_TRY(kd_check_cancelled(self->ctx));
        KD_TRY(multiply(self, &sum, &sum, precise, &sum));
    }
    return kdi_decimal_cut(self->ctx, self->scratch, &sum, scale, true, out);
}

/* ---- Logarithm ---- */

/* Decimal weight of ln(value), for choosing scales. */
static kd_status logarithm_weight(math *self, const kd_decimal *value, int64_t *out)
{
    *out = 0;
    double estimate = kdi_decimal_estimate(value);
    if (estimate >= 0.9 && estimate <= 1.1) {
        kd_decimal distance;
        KD_TRY(subtract(self, value, &one, &distance));
        if (distance.digit_count > 0)
            *out = (int64_t)distance.weight * 4 + (int64_t)log10(distance.digits[0]);
        return KD_OK;
    }
    if (value->digit_count == 0)
        return KD_OK;
    int64_t digits = value->digits[0];
    int64_t weight = (int64_t)value->weight * 4;
    if (value->digit_count > 1) {
        digits = digits * KD_NUMERIC_BASE + value->digits[1];
        weight -= 4;
    }
    *out = (int64_t)log10(fabs(log((double)digits) + (double)weight * 2.302585092994046));
    return KD_OK;
}

/* ln x = 2^n * 2 * (z + z^3/3 + z^5/5 + ...) with z = (y-1)/(y+1), y the 2^n-th root of x. */
static kd_status logarithm(math *self, const kd_decimal *value, int64_t scale, kd_decimal *out)
{
    double estimate = kdi_decimal_estimate(value);
    bool is_inverted = estimate < 0.9; /* Small numbers lose their digits in a root: take 1/x. */
    int roots = 0;
    double size = fabs((double)decimal_weight(value)) * 2.303 + 3;
    while (size > 0.09) {
        size /= 2;
        roots++;
    }
    if (estimate >= 0.9 && estimate <= 1.1)
        roots = 0;
    scale = scale > 0 ? scale : 0;
    int64_t precise = scale + roots * 302 / 1000 + 2 + GUARD_DIGITS;
    kd_decimal x = *value;
    if (is_inverted)
        KD_TRY(divide(self, &one, &x, precise, &x));
    for (int i = 0; i < roots; i++) {
        KD_TRY(kd_check_cancelled(self->ctx));
        KD_TRY(root(self, &x, precise, &x));
    }
    kd_decimal below;
    kd_decimal above;
    kd_decimal z;
    KD_TRY(subtract(self, &x, &one, &below));
    KD_TRY(add(self, &x, &one, &above));
    KD_TRY(divide(self, &below, &above, precise, &z));
    kd_decimal square;
    KD_TRY(multiply(self, &z, &z, precise, &square));
    kd_decimal sum = z;
    kd_decimal term = z;
    kd_decimal part = z;
    for (int64_t i = 3; part.digit_count > 0; i += 2) {
        kd_decimal divisor;
        KD_TRY(small(self, i, &divisor));
        KD_TRY(multiply(self, &term, &square, precise, &term));
        KD_TRY(divide(self, &term, &divisor, precise, &part));
        KD_TRY(add(self, &sum, &part, &sum));
    }
    kd_decimal factor;
    KD_TRY(small(self, (int64_t)2 << roots, &factor));
    KD_TRY(multiply(self, &sum, &factor, scale, out));
    if (is_inverted)
        *out = kd_decimal_negate(*out);
    return KD_OK;
}

/* ---- Powers ---- */

/* Squares and multiplies, keeping `digits` significant digits. */
static kd_status whole_power(math *self, const kd_decimal *base, uint64_t exponent, int64_t digits,
                             kd_decimal *out)
{
    kd_decimal factor = *base;
    kd_decimal result = one;
    for (;;) {
        KD_TRY(kd_check_cancelled(self->ctx));
        if ((exponent & 1) != 0)
            KD_TRY(multiply(self, &result, &factor,
                            digits - decimal_weight(&result) - decimal_weight(&factor), &result));
        exponent >>= 1;
        if (exponent == 0)
            break;
        KD_TRY(multiply(self, &factor, &factor, digits - 2 * decimal_weight(&factor), &factor));
        if (factor.weight > 4 * KDI_DECIMAL_WEIGHT_MAX)
            return KD_FAIL(self->ctx, KD_INVALID, "22003", "value overflows numeric format");
    }
    *out = result;
    return KD_OK;
}

static kd_status power_whole(math *self, const kd_decimal *base, int64_t exponent, int64_t scale,
                             kd_decimal *out)
{
    if (exponent == 0 || base->digit_count == 0) {
        *out = exponent == 0 ? one : kdi_decimal_zero((int32_t)scale);
        return KD_OK;
    }
    double head = 0;
    for (uint32_t i = 0; i < 4; i++)
        head = head * KD_NUMERIC_BASE + (i < base->digit_count ? base->digits[i] : 0);
    double weight =
        (double)exponent * (log10(head) + 4.0 * ((double)base->weight - 3)); /* Of the result. */
    /* Said before the digits are computed, which can take long. */
    if (weight > (KDI_DECIMAL_WEIGHT_MAX + 1.0) * KD_NUMERIC_BASE_DIGITS + 1)
        return KD_FAIL(self->ctx, KD_INVALID, "22003", "value overflows numeric format");
    if (weight + 1 < (double)-scale || weight + 1 < -(double)KDI_DECIMAL_DISPLAY_SCALE_MAX) {
        *out = kdi_decimal_zero((int32_t)scale);
        return KD_OK;
    }
    uint64_t magnitude = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;
    int64_t digits = scale + (int64_t)weight + (int64_t)log10((double)magnitude) + 2 + GUARD_DIGITS;
    digits = digits < GUARD_DIGITS ? GUARD_DIGITS : digits;
    KD_TRY(whole_power(self, base, magnitude, digits, out));
    return exponent < 0 ? divide(self, &one, out, scale, out) : KD_OK;
}

static bool is_whole(const kd_decimal *value)
{
    return value->digit_count == 0 || (int64_t)value->digit_count <= (int64_t)value->weight + 1;
}

static bool is_odd(const kd_decimal *whole)
{
    return whole->digit_count > 0 && (int64_t)whole->digit_count == (int64_t)whole->weight + 1 &&
           whole->digits[whole->digit_count - 1] % 2 != 0;
}

/* Whether the result is beyond any numeric, by y ln x: too large, or nothing but zeros. */
static kd_status power_beyond(math *self, double estimate, bool *out_beyond, int64_t *out_scale,
                              kd_decimal *out)
{
    *out_beyond = fabs(estimate) > RESULT_SCALE_MAX * 3.01;
    if (!*out_beyond)
        return KD_OK;
    if (estimate > 0)
        return KD_FAIL(self->ctx, KD_INVALID, "22003", "value overflows numeric format");
    *out_scale = KDI_DECIMAL_DISPLAY_SCALE_MAX;
    *out = kdi_decimal_zero(KDI_DECIMAL_DISPLAY_SCALE_MAX);
    return KD_OK;
}

/* y ln x from the first digits alone: the logarithm of a number of 100,000 digits takes long. A
 * thousandth is taken off, so that what is near the border is not decided here; of numbers near 1
 * the first digits tell nothing. */
static double power_glance(const kd_decimal *base, const kd_decimal *exponent)
{
    double first = base->digits[0] + (base->digit_count > 1 ? base->digits[1] / 1e4 : 0);
    double logarithm = log(first) + base->weight * log(1e4);
    return fabs(logarithm) < 1 ? 0 : logarithm * kdi_decimal_estimate(exponent) * 0.999;
}

/* e^(y ln x), twice: first roughly, to learn how large the result is. */
static kd_status power_real(math *self, const kd_decimal *base, const kd_decimal *exponent,
                            int64_t *out_scale, kd_decimal *out)
{
    kd_decimal magnitude = kd_decimal_abs(*base);
    bool is_negative = base->negative && is_odd(exponent);
    int64_t weight;
    bool is_beyond;
    KD_TRY(power_beyond(self, power_glance(base, exponent), &is_beyond, out_scale, out));
    if (is_beyond)
        return KD_OK;
    KD_TRY(logarithm_weight(self, &magnitude, &weight));
    int64_t rough_scale = 8 - weight > 0 ? 8 - weight : 0;
    kd_decimal log_base;
    kd_decimal product;
    KD_TRY(logarithm(self, &magnitude, rough_scale, &log_base));
    KD_TRY(multiply(self, &log_base, exponent, rough_scale, &product));
    double estimate = kdi_decimal_estimate(&product);
    KD_TRY(power_beyond(self, estimate, &is_beyond, out_scale, out));
    if (is_beyond)
        return KD_OK;
    int64_t result_weight = (int64_t)(estimate * 0.434294481903252);
    int64_t scale = KDI_DECIMAL_SIGNIFICANT_MIN - result_weight;
    int32_t least = base->scale > exponent->scale ? base->scale : exponent->scale;
    scale = bounded_scale(scale, least);
    /* The product's error is the result's relative error, and the logarithm's times the exponent.
     */
    int64_t product_scale = scale + (result_weight > 0 ? result_weight : 0) + GUARD_DIGITS;
    int64_t log_scale = product_scale + decimal_weight(exponent) + 2;
    KD_TRY(logarithm(self, &magnitude, log_scale, &log_base));
    KD_TRY(multiply(self, &log_base, exponent, product_scale, &product));
    KD_TRY(exponential(self, &product, scale, out));
    if (is_negative)
        *out = kd_decimal_negate(*out);
    *out_scale = scale;
    return KD_OK;
}

static kd_status power(math *self, const kd_decimal *base, const kd_decimal *exponent,
                       int64_t *out_scale, kd_decimal *out)
{
    kd_i128 whole;
    int64_t scale = bounded_scale(KDI_DECIMAL_SIGNIFICANT_MIN, base->scale);
    *out_scale = scale;
    if (is_whole(exponent) && kd_decimal_try_fixed(exponent, 0, &whole) && whole <= INT32_MAX &&
        whole >= INT32_MIN)
        return power_whole(self, base, (int64_t)whole, scale, out);
    if (base->digit_count == 0) {
        *out_scale = KDI_DECIMAL_SIGNIFICANT_MIN;
        *out = kdi_decimal_zero(KDI_DECIMAL_SIGNIFICANT_MIN);
        return KD_OK;
    }
    return power_real(self, base, exponent, out_scale, out);
}

/* ---- Special values and the public functions ---- */

static kd_status fail_complex(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "2201F",
                   "a negative number raised to a non-integer power yields a complex result");
}

static kd_decimal infinity(void)
{
    return kdi_decimal_special(KD_DECIMAL_INFINITY);
}

/* At least one side is infinite, none is NaN. */
static kd_decimal power_infinite(const kd_decimal *base, const kd_decimal *exponent)
{
    int exponent_sign = kd_decimal_sign(exponent);
    if (exponent_sign == 0 || kd_decimal_compare(base, &one) == 0)
        return one;
    if (kd_decimal_sign(base) == 0)
        return kdi_decimal_zero(0);
    if (exponent->kind != KD_DECIMAL_FINITE) {
        kd_decimal magnitude = kd_decimal_abs(*base);
        int order = kd_decimal_compare(&magnitude, &one);
        if (order == 0)
            return one; /* -1 */
        return (order > 0) == (exponent_sign > 0) ? infinity() : kdi_decimal_zero(0);
    }
    if (exponent_sign < 0)
        return kdi_decimal_zero(0);
    if (base->kind == KD_DECIMAL_NEGATIVE_INFINITY && is_odd(exponent))
        return kdi_decimal_special(KD_DECIMAL_NEGATIVE_INFINITY);
    return infinity();
}

kd_status kd_decimal_power(kd_ctx *ctx, kd_arena *arena, const kd_decimal *base,
                           const kd_decimal *exponent, kd_decimal *out)
{
    if (base->kind == KD_DECIMAL_NAN || exponent->kind == KD_DECIMAL_NAN) {
        bool is_one = base->kind == KD_DECIMAL_NAN
                          ? exponent->kind == KD_DECIMAL_FINITE && exponent->digit_count == 0
                          : kd_decimal_compare(base, &one) == 0;
        *out = is_one ? one : kdi_decimal_special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    if (kd_decimal_sign(base) == 0 && kd_decimal_sign(exponent) < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201F", "zero raised to a negative power is undefined");
    if (kd_decimal_sign(base) < 0 && exponent->kind == KD_DECIMAL_FINITE && !is_whole(exponent))
        return fail_complex(ctx);
    if (base->kind != KD_DECIMAL_FINITE || exponent->kind != KD_DECIMAL_FINITE) {
        *out = power_infinite(base, exponent);
        return KD_OK;
    }
    kd_status status = KD_OK;
    math self = {.ctx = ctx,
                 .scratch = kd_arena_create(ctx, arena, "numeric power", KD_ARENA_UNLIMITED)};
    if (self.scratch == NULL)
        return KD_NOMEM;
    kd_decimal result;
    int64_t scale = 0;
    KD_TRY_OUT(power(&self, base, exponent, &scale, &result));
    KD_TRY_OUT(finish(&self, arena, &result, scale, out));
out:
    kd_arena_destroy(self.scratch);
    return status;
}

kd_status kd_decimal_sqrt(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *out)
{
    if (value->kind != KD_DECIMAL_NEGATIVE_INFINITY && value->kind != KD_DECIMAL_FINITE) {
        *out = *value;
        return KD_OK;
    }
    if (kd_decimal_sign(value) < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201F", "cannot take square root of a negative number");
    kd_status status = KD_OK;
    math self = {.ctx = ctx,
                 .scratch = kd_arena_create(ctx, arena, "numeric sqrt", KD_ARENA_UNLIMITED)};
    if (self.scratch == NULL)
        return KD_NOMEM;
    int64_t weight = value->digit_count == 0 ? 0 : value->weight;
    int64_t digits_before = weight >= 0 ? weight * 2 + 1 : 1 - (1 - weight * 4) / 2;
    int64_t scale = bounded_scale(KDI_DECIMAL_SIGNIFICANT_MIN - digits_before, value->scale);
    kd_decimal result;
    KD_TRY_OUT(root(&self, value, scale, &result));
    KD_TRY_OUT(finish(&self, arena, &result, scale, out));
out:
    kd_arena_destroy(self.scratch);
    return status;
}

kd_status kd_decimal_exp(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *out)
{
    if (value->kind != KD_DECIMAL_FINITE) {
        *out = value->kind == KD_DECIMAL_NEGATIVE_INFINITY ? kdi_decimal_zero(0) : *value;
        return KD_OK;
    }
    kd_status status = KD_OK;
    math self = {.ctx = ctx,
                 .scratch = kd_arena_create(ctx, arena, "numeric exp", KD_ARENA_UNLIMITED)};
    if (self.scratch == NULL)
        return KD_NOMEM;
    double weight = kdi_decimal_estimate(value) * 0.434294481903252;
    weight = weight > RESULT_SCALE_MAX ? RESULT_SCALE_MAX : weight;
    weight = weight < -RESULT_SCALE_MAX ? -RESULT_SCALE_MAX : weight;
    int64_t scale = bounded_scale(KDI_DECIMAL_SIGNIFICANT_MIN - (int64_t)weight, value->scale);
    kd_decimal result;
    KD_TRY_OUT(exponential(&self, value, scale, &result));
    KD_TRY_OUT(finish(&self, arena, &result, scale, out));
out:
    kd_arena_destroy(self.scratch);
    return status;
}

static kd_status logarithm_check(kd_ctx *ctx, const kd_decimal *value)
{
    int sign = kd_decimal_sign(value);
    if (value->kind == KD_DECIMAL_NAN || sign > 0)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "2201E", "cannot take logarithm of %s",
                   sign == 0 ? "zero" : "a negative number");
}

kd_status kd_decimal_ln(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *out)
{
    kd_status status = logarithm_check(ctx, value);
    if (status != KD_OK || value->kind != KD_DECIMAL_FINITE) {
        *out = *value;
        return status;
    }
    math self = {.ctx = ctx,
                 .scratch = kd_arena_create(ctx, arena, "numeric ln", KD_ARENA_UNLIMITED)};
    if (self.scratch == NULL)
        return KD_NOMEM;
    int64_t weight;
    kd_decimal result;
    KD_TRY_OUT(logarithm_weight(&self, value, &weight));
    int64_t scale = bounded_scale(KDI_DECIMAL_SIGNIFICANT_MIN - weight, value->scale);
    KD_TRY_OUT(logarithm(&self, value, scale, &result));
    KD_TRY_OUT(finish(&self, arena, &result, scale, out));
out:
    kd_arena_destroy(self.scratch);
    return status;
}

static kd_status logarithm_to_base(math *self, const kd_decimal *base, const kd_decimal *value,
                                   int64_t *out_scale, kd_decimal *out)
{
    int64_t base_weight;
    int64_t value_weight;
    KD_TRY(logarithm_weight(self, base, &base_weight));
    KD_TRY(logarithm_weight(self, value, &value_weight));
    int64_t weight = value_weight - base_weight;
    int32_t least = base->scale > value->scale ? base->scale : value->scale;
    int64_t scale = bounded_scale(KDI_DECIMAL_SIGNIFICANT_MIN - weight, least);
    kd_decimal log_base;
    kd_decimal log_value;
    int64_t precise = scale + weight + 8 + GUARD_DIGITS;
    KD_TRY(logarithm(self, base, precise - base_weight, &log_base));
    KD_TRY(logarithm(self, value, precise - value_weight, &log_value));
    if (log_base.digit_count == 0)
        return KD_FAIL(self->ctx, KD_INVALID, "22012", "division by zero");
    *out_scale = scale;
    return divide(self, &log_value, &log_base, scale, out);
}

kd_status kd_decimal_log(kd_ctx *ctx, kd_arena *arena, const kd_decimal *base,
                         const kd_decimal *value, kd_decimal *out)
{
    if (base->kind == KD_DECIMAL_NAN || value->kind == KD_DECIMAL_NAN) {
        *out = kdi_decimal_special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    /* A negative value is told before a wrong base. */
    kd_status status = kd_decimal_sign(value) < 0 ? logarithm_check(ctx, value) : KD_OK;
    if (status == KD_OK)
        status = logarithm_check(ctx, base);
    if (status == KD_OK)
        status = logarithm_check(ctx, value);
    if (status != KD_OK)
        return status;
    if (base->kind != KD_DECIMAL_FINITE) {
        *out = value->kind != KD_DECIMAL_FINITE ? kdi_decimal_special(KD_DECIMAL_NAN)
                                                : kdi_decimal_zero(0);
        return KD_OK;
    }
    if (value->kind != KD_DECIMAL_FINITE) {
        *out = infinity();
        return KD_OK;
    }
    math self = {.ctx = ctx,
                 .scratch = kd_arena_create(ctx, arena, "numeric log", KD_ARENA_UNLIMITED)};
    if (self.scratch == NULL)
        return KD_NOMEM;
    int64_t scale = 0;
    kd_decimal result;
    KD_TRY_OUT(logarithm_to_base(&self, base, value, &scale, &result));
    KD_TRY_OUT(finish(&self, arena, &result, scale, out));
out:
    kd_arena_destroy(self.scratch);
    return status;
}
