/*
 * Decimal arithmetic: sums, products, quotients, rounding.
 *
 * Schoolbook methods on base-10,000 digits. Operands of one to four digits, which is most of all
 * data, take 64- and 128-bit integer paths.
 */
#include "types/decimal_internal.h"

#include <assert.h>

static kd_decimal special(kd_decimal_kind kind)
{
    return kdi_decimal_special(kind);
}

static bool is_infinite(const kd_decimal *value)
{
    return value->kind == KD_DECIMAL_INFINITY || value->kind == KD_DECIMAL_NEGATIVE_INFINITY;
}

static kd_decimal infinity_with_sign(int sign)
{
    return special(sign < 0 ? KD_DECIMAL_NEGATIVE_INFINITY : KD_DECIMAL_INFINITY);
}

kd_decimal kd_decimal_negate(kd_decimal value)
{
    if (value.kind == KD_DECIMAL_INFINITY)
        return special(KD_DECIMAL_NEGATIVE_INFINITY);
    if (value.kind == KD_DECIMAL_NEGATIVE_INFINITY)
        return special(KD_DECIMAL_INFINITY);
    value.negative = value.digit_count > 0 && !value.negative;
    return value;
}

kd_decimal kd_decimal_abs(kd_decimal value)
{
    if (value.kind == KD_DECIMAL_NEGATIVE_INFINITY)
        return special(KD_DECIMAL_INFINITY);
    value.negative = false;
    return value;
}

int kd_decimal_sign(const kd_decimal *value)
{
    if (value->kind == KD_DECIMAL_NAN)
        return 0;
    if (value->kind != KD_DECIMAL_FINITE)
        return value->kind == KD_DECIMAL_INFINITY ? 1 : -1;
    return value->digit_count == 0 ? 0 : value->negative ? -1 : 1;
}

/* ---- Rounding ---- */

kd_status kdi_decimal_cut(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int64_t scale,
                          bool rounds, kd_decimal *out)
{
    int32_t display_scale = scale < 0 ? 0 : (int32_t)scale;
    int64_t kept = ((int64_t)value->weight + 1) * 4 + scale; /* Decimal digits. */
    if (value->digit_count == 0 || kept >= (int64_t)value->digit_count * 4) {
        kd_decimal same = *value;
        same.scale = display_scale;
        *out = same;
        return KD_OK;
    }
    if (kept < 0) {
        *out = kdi_decimal_zero(display_scale);
        return KD_OK;
    }
    static const uint16_t powers[4] = {1, 10, 100, 1000};
    uint32_t count = (uint32_t)((kept + 3) / 4);
    unsigned unit = kept % 4 == 0 ? 1 : KD_NUMERIC_BASE / powers[kept % 4];
    uint16_t *digits = kdi_decimal_digits(ctx, arena, (size_t)count + 1);
    if (digits == NULL)
        return KD_NOMEM;
    if (count > 0)
        memcpy(digits + 1, value->digits, (size_t)count * 2);
    bool rounds_up;
    if (unit == 1) {
        rounds_up = value->digits[count] >= KD_NUMERIC_BASE / 2;
    } else {
        unsigned dropped = digits[count] % unit;
        digits[count] = (uint16_t)(digits[count] - dropped);
        rounds_up = dropped >= unit / 2;
    }
    for (uint32_t i = count; rounds && rounds_up; i--, unit = 1) {
        unsigned sum = digits[i] + unit;
        rounds_up = sum >= KD_NUMERIC_BASE;
        digits[i] = (uint16_t)(rounds_up ? sum - KD_NUMERIC_BASE : sum);
    }
    *out = kdi_decimal_finish(digits, count + 1, value->weight + 1, value->negative, display_scale);
    return KD_OK;
}

/* Beyond these no number has a digit. */
static int64_t scale_bounded(int scale)
{
    enum { WHOLE_DIGITS_MAX = (0x7fff + 1) * KD_NUMERIC_BASE_DIGITS };
    if (scale > KD_NUMERIC_SCALE_MAX)
        return KD_NUMERIC_SCALE_MAX;
    return scale < -WHOLE_DIGITS_MAX - 1 ? -WHOLE_DIGITS_MAX - 1 : scale;
}

kd_status kd_decimal_round(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int scale,
                           kd_decimal *out)
{
    if (value->kind != KD_DECIMAL_FINITE) {
        *out = *value;
        return KD_OK;
    }
    KD_TRY(kdi_decimal_cut(ctx, arena, value, scale_bounded(scale), true, out));
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_trunc(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, int scale,
                           kd_decimal *out)
{
    if (value->kind != KD_DECIMAL_FINITE) {
        *out = *value;
        return KD_OK;
    }
    return kdi_decimal_cut(ctx, arena, value, scale_bounded(scale), false, out);
}

/* Toward zero, then one step away when something was cut on the side that asks for it. */
static kd_status whole_number(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                              bool step_negative, kd_decimal *out)
{
    kd_decimal input = *value;
    if (value->kind != KD_DECIMAL_FINITE) {
        *out = input;
        return KD_OK;
    }
    kd_decimal whole;
    KD_TRY(kdi_decimal_cut(ctx, arena, &input, 0, false, &whole));
    if (input.negative == step_negative && kdi_decimal_compare_magnitude(&input, &whole) != 0) {
        static const uint16_t one_digit[1] = {1};
        kd_decimal one = kdi_decimal_finish(one_digit, 1, 0, step_negative, 0);
        KD_TRY(kd_decimal_add_exact(ctx, arena, &whole, &one, &whole));
    }
    *out = whole;
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_ceil(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *out)
{
    return whole_number(ctx, arena, value, false, out);
}

kd_status kd_decimal_floor(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *out)
{
    return whole_number(ctx, arena, value, true, out);
}

/* ---- Sums ---- */

/* Digit of `value` at place 10000^weight. */
static inline int digit_at(const kd_decimal *value, int64_t weight)
{
    int64_t index = (int64_t)value->weight - weight;
    return index >= 0 && index < value->digit_count ? value->digits[index] : 0;
}

static int64_t lowest_weight(const kd_decimal *value)
{
    return (int64_t)value->weight - value->digit_count + 1;
}

/* |a| + |b|, or |a| - |b| where |a| >= |b|. */
static kd_status combine(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         bool subtracts, bool negative, int32_t scale, kd_decimal *out)
{
    int64_t top = (a->weight > b->weight ? a->weight : b->weight) + 1;
    int64_t bottom = lowest_weight(a) < lowest_weight(b) ? lowest_weight(a) : lowest_weight(b);
    size_t count = (size_t)(top - bottom + 1);
    uint16_t *digits = kdi_decimal_digits(ctx, arena, count);
    if (digits == NULL)
        return KD_NOMEM;
    int carry = 0;
    for (size_t i = count; i-- > 0;) {
        int64_t weight = top - (int64_t)i;
        int right = digit_at(b, weight);
        int sum = digit_at(a, weight) + (subtracts ? -right : right) + carry;
        carry = 0;
        if (sum >= KD_NUMERIC_BASE) {
            sum -= KD_NUMERIC_BASE;
            carry = 1;
        } else if (sum < 0) {
            sum += KD_NUMERIC_BASE;
            carry = -1;
        }
        digits[i] = (uint16_t)sum;
    }
    assert(carry == 0);
    *out = kdi_decimal_finish(digits, (uint32_t)count, (int32_t)top, negative, scale);
    return KD_OK;
}

static kd_status add_finite(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                            kd_decimal *out)
{
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    if (a->digit_count == 0 || b->digit_count == 0) {
        kd_decimal sum = a->digit_count == 0 ? *b : *a;
        sum.scale = scale;
        *out = sum;
        return KD_OK;
    }
    if (a->negative == b->negative)
        return combine(ctx, arena, a, b, false, a->negative, scale, out);
    int order = kdi_decimal_compare_magnitude(a, b);
    if (order == 0) {
        *out = kdi_decimal_zero(scale);
        return KD_OK;
    }
    if (order < 0)
        return combine(ctx, arena, b, a, true, b->negative, scale, out);
    return combine(ctx, arena, a, b, true, a->negative, scale, out);
}

kd_status kd_decimal_add_exact(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out)
{
    if (a->kind == KD_DECIMAL_NAN || b->kind == KD_DECIMAL_NAN ||
        (is_infinite(a) && is_infinite(b) && a->kind != b->kind)) {
        *out = special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    if (is_infinite(a) || is_infinite(b)) {
        *out = is_infinite(a) ? *a : *b;
        return KD_OK;
    }
    return add_finite(ctx, arena, a, b, out);
}

kd_status kd_decimal_add(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out)
{
    KD_TRY(kd_decimal_add_exact(ctx, arena, a, b, out));
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_own(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_decimal *io_sum)
{
    if (io_sum->digit_count == 0 || io_sum->digits != value->digits)
        return KD_OK;
    size_t size_bytes = io_sum->digit_count * sizeof *io_sum->digits;
    uint16_t *digits = kd_alloc_raw(ctx, arena, size_bytes);
    if (digits == NULL)
        return KD_NOMEM;
    memcpy(digits, value->digits, size_bytes);
    io_sum->digits = digits;
    return KD_OK;
}

kd_status kd_decimal_sub(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out)
{
    kd_decimal negated = kd_decimal_negate(*b);
    return kd_decimal_add(ctx, arena, a, &negated, out);
}

/* ---- Products ---- */

/* Both up to four digits: one 64 x 64 bit multiplication. */
static void multiply_small(const kd_decimal *a, const kd_decimal *b, uint16_t *digits,
                           uint32_t count)
{
    uint64_t left = 0;
    uint64_t right = 0;
    for (uint32_t i = 0; i < a->digit_count; i++)
        left = left * KD_NUMERIC_BASE + a->digits[i];
    for (uint32_t i = 0; i < b->digit_count; i++)
        right = right * KD_NUMERIC_BASE + b->digits[i];
    const uint64_t half = 10000000000000000u; /* 10^16: four digits */
    kd_u128 product = (kd_u128)left * right;
    uint64_t low = (uint64_t)(product % half);
    uint64_t high = (uint64_t)(product / half);
    for (uint32_t i = count; i-- > 0;) {
        digits[i] = (uint16_t)(low % KD_NUMERIC_BASE);
        low /= KD_NUMERIC_BASE;
        if (count - i == 4)
            low = high;
    }
}

static kd_status multiply_large(kd_ctx *ctx, const kd_decimal *a, const kd_decimal *b,
                                uint16_t *digits, uint32_t count)
{
    memset(digits, 0, (size_t)count * 2);
    for (uint32_t i = a->digit_count; i-- > 0;) {
        uint32_t factor = a->digits[i];
        uint32_t carry = 0;
        if (factor == 0) /* Far apart digits of a long number. */
            continue;
        for (uint32_t j = b->digit_count; j-- > 0;) {
            uint32_t sum = digits[i + j + 1] + factor * b->digits[j] + carry;
            carry = sum / KD_NUMERIC_BASE;
            digits[i + j + 1] = (uint16_t)(sum - carry * KD_NUMERIC_BASE);
        }
        digits[i] = (uint16_t)carry;
        if ((i & 0xff) == 0)
            KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

static kd_status mul_finite(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                            kd_decimal *out)
{
    int32_t scale = a->scale + b->scale;
    if (a->digit_count == 0 || b->digit_count == 0) {
        *out = kdi_decimal_zero(scale);
        return KD_OK;
    }
    uint32_t count = a->digit_count + b->digit_count;
    uint16_t *digits = kdi_decimal_digits(ctx, arena, count);
    if (digits == NULL)
        return KD_NOMEM;
    if (a->digit_count <= 4 && b->digit_count <= 4)
        multiply_small(a, b, digits, count);
    else
        KD_TRY(multiply_large(ctx, a, b, digits, count));
    *out = kdi_decimal_finish(digits, count, a->weight + b->weight + 1, a->negative != b->negative,
                              scale);
    return KD_OK;
}

kd_status kd_decimal_mul_exact(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out)
{
    if (a->kind == KD_DECIMAL_NAN || b->kind == KD_DECIMAL_NAN) {
        *out = special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    if (is_infinite(a) || is_infinite(b)) {
        int sign = kd_decimal_sign(a) * kd_decimal_sign(b);
        *out = sign == 0 ? special(KD_DECIMAL_NAN) : infinity_with_sign(sign);
        return KD_OK;
    }
    return mul_finite(ctx, arena, a, b, out);
}

kd_status kd_decimal_mul(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out)
{
    kd_decimal product;
    KD_TRY(kd_decimal_mul_exact(ctx, arena, a, b, &product));
    if (product.kind == KD_DECIMAL_FINITE && product.scale > KD_NUMERIC_SCALE_MAX)
        KD_TRY(kdi_decimal_cut(ctx, arena, &product, KD_NUMERIC_SCALE_MAX, true, &product));
    *out = product;
    return kdi_decimal_check(ctx, out);
}

/* ---- Quotients ---- */

/*
 * Knuth's algorithm D in base 10,000. `rest` holds the dividend with a zero before it and room for
 * all quotient places; quotient digit i is left in quotient[i]. The divisor's first digit must be
 * at least half the base: the caller has scaled both.
 */
static kd_status divide_digits(kd_ctx *ctx, uint32_t *rest, uint32_t quotient_count,
                               const uint32_t *divisor, uint32_t divisor_count, uint16_t *quotient)
{
    for (uint32_t i = 0; i < quotient_count; i++) {
        uint64_t head = (uint64_t)rest[i] * KD_NUMERIC_BASE + rest[i + 1];
        uint64_t guess = head / divisor[0];
        uint64_t left = head % divisor[0];
        while (guess >= KD_NUMERIC_BASE ||
               (divisor_count > 1 && guess * divisor[1] > left * KD_NUMERIC_BASE + rest[i + 2])) {
            guess--;
            left += divisor[0];
            if (left >= KD_NUMERIC_BASE)
                break;
        }
        int64_t borrow = 0;
        for (uint32_t j = divisor_count; j-- > 0;) {
            int64_t difference = (int64_t)rest[i + 1 + j] - (int64_t)(guess * divisor[j]) + borrow;
            borrow = difference >= 0 ? 0 : -((KD_NUMERIC_BASE - 1 - difference) / KD_NUMERIC_BASE);
            rest[i + 1 + j] = (uint32_t)(difference - borrow * KD_NUMERIC_BASE);
        }
        if ((int64_t)rest[i] + borrow < 0) { /* Guessed one too many. */
            guess--;
            uint32_t carry = 0;
            for (uint32_t j = divisor_count; j-- > 0;) {
                uint32_t sum = rest[i + 1 + j] + divisor[j] + carry;
                carry = sum >= KD_NUMERIC_BASE;
                rest[i + 1 + j] = sum - carry * KD_NUMERIC_BASE;
            }
        }
        rest[i] = 0;
        quotient[i] = (uint16_t)guess;
        if ((i & 0xff) == 0xff)
            KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

/* digits * factor into `target`, which has one place more in front. */
static void scale_digits(const uint16_t *digits, uint32_t count, uint32_t factor, uint32_t *target)
{
    uint32_t carry = 0;
    for (uint32_t i = count; i-- > 0;) {
        uint32_t product = digits[i] * factor + carry;
        carry = product / KD_NUMERIC_BASE;
        target[i + 1] = product % KD_NUMERIC_BASE;
    }
    target[0] = carry;
}

kd_status kdi_decimal_div_scale(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                                const kd_decimal *b, int64_t scale, bool rounds, kd_decimal *out)
{
    assert(b->digit_count > 0);
    if (a->digit_count == 0) {
        *out = kdi_decimal_zero(scale < 0 ? 0 : (int32_t)scale);
        return KD_OK;
    }
    /* One place more than asked for, so that the cut below sees the digit that decides; what
     * remains after it cannot change the rounding of a truncated quotient. */
    int64_t weight = (int64_t)a->weight - b->weight; /* Of the first quotient digit. */
    int64_t wanted = weight + 1 + (scale + 3) / 4 + 1;
    if (wanted <= 0) {
        *out = kdi_decimal_zero(scale < 0 ? 0 : (int32_t)scale);
        return KD_OK;
    }
    uint32_t quotient_count = (uint32_t)wanted;
    uint32_t divisor_count = b->digit_count;
    size_t rest_count = 2 + (size_t)quotient_count + divisor_count;
    if (rest_count < (size_t)a->digit_count + 2)
        rest_count = (size_t)a->digit_count + 2;
    uint32_t *rest = KD_NEW_ARRAY(ctx, arena, uint32_t, rest_count);
    uint32_t *divisor = KD_NEW_ARRAY(ctx, arena, uint32_t, (size_t)divisor_count + 1);
    uint16_t *quotient = kdi_decimal_digits(ctx, arena, quotient_count);
    if (rest == NULL || divisor == NULL || quotient == NULL)
        return KD_NOMEM;
    uint32_t factor = KD_NUMERIC_BASE / (b->digits[0] + 1u);
    scale_digits(a->digits, a->digit_count, factor, rest);
    scale_digits(b->digits, divisor_count, factor, divisor);
    KD_TRY(divide_digits(ctx, rest, quotient_count, divisor + 1, divisor_count, quotient));
    kd_decimal exact = kdi_decimal_finish(quotient, quotient_count, (int32_t)weight,
                                          a->negative != b->negative, (int32_t)scale);
    return kdi_decimal_cut(ctx, arena, &exact, scale, rounds, out);
}

/* PostgreSQL's scale of a quotient: at least 16 significant digits, no less than either side. */
static int64_t division_scale(const kd_decimal *a, const kd_decimal *b)
{
    int64_t a_weight = a->digit_count > 0 ? a->weight : 0;
    unsigned a_first = a->digit_count > 0 ? a->digits[0] : 0;
    int64_t weight = a_weight - b->weight;
    if (a_first <= b->digits[0])
        weight--;
    int64_t scale = KDI_DECIMAL_SIGNIFICANT_MIN - weight * KD_NUMERIC_BASE_DIGITS;
    scale = scale > a->scale ? scale : a->scale;
    scale = scale > b->scale ? scale : b->scale;
    scale = scale > 0 ? scale : 0;
    return scale < KDI_DECIMAL_DISPLAY_SCALE_MAX ? scale : KDI_DECIMAL_DISPLAY_SCALE_MAX;
}

static kd_status fail_zero(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22012", "division by zero");
}

/* Quotients where one side is not finite. False: both are finite. */
static bool divide_special(const kd_decimal *a, const kd_decimal *b, kd_decimal *out,
                           bool *out_by_zero)
{
    *out_by_zero = false;
    if (a->kind == KD_DECIMAL_NAN || b->kind == KD_DECIMAL_NAN) {
        *out = special(KD_DECIMAL_NAN);
        return true;
    }
    if (is_infinite(a)) {
        *out_by_zero = kd_decimal_sign(b) == 0;
        *out = is_infinite(b) ? special(KD_DECIMAL_NAN)
                              : infinity_with_sign(kd_decimal_sign(a) * kd_decimal_sign(b));
        return true;
    }
    if (is_infinite(b)) {
        *out = kdi_decimal_zero(0);
        return true;
    }
    return false;
}

kd_status kd_decimal_div(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out)
{
    kd_decimal result;
    bool by_zero;
    if (divide_special(a, b, &result, &by_zero)) {
        *out = result;
        return by_zero ? fail_zero(ctx) : KD_OK;
    }
    if (b->digit_count == 0)
        return fail_zero(ctx);
    KD_TRY(kdi_decimal_div_scale(ctx, arena, a, b, division_scale(a, b), true, out));
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_div_trunc(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                               const kd_decimal *b, kd_decimal *out)
{
    kd_decimal result;
    bool by_zero;
    if (divide_special(a, b, &result, &by_zero)) {
        *out = result;
        return by_zero ? fail_zero(ctx) : KD_OK;
    }
    if (b->digit_count == 0)
        return fail_zero(ctx);
    KD_TRY(kdi_decimal_div_scale(ctx, arena, a, b, 0, false, out));
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_mod(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a, const kd_decimal *b,
                         kd_decimal *out)
{
    if (a->kind == KD_DECIMAL_NAN || b->kind == KD_DECIMAL_NAN) {
        *out = special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    if (kd_decimal_sign(b) == 0)
        return fail_zero(ctx);
    if (is_infinite(a)) {
        *out = special(KD_DECIMAL_NAN);
        return KD_OK;
    }
    if (is_infinite(b)) {
        *out = *a;
        return KD_OK;
    }
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    kd_decimal quotient;
    kd_decimal product;
    KD_TRY(kdi_decimal_div_scale(ctx, arena, a, b, 0, false, &quotient));
    KD_TRY(kd_decimal_mul_exact(ctx, arena, &quotient, b, &product));
    product = kd_decimal_negate(product);
    KD_TRY(kd_decimal_add_exact(ctx, arena, a, &product, out));
    out->scale = scale;
    return kdi_decimal_check(ctx, out);
}
