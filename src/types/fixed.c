/*
 * Fixed decimals: numeric(p,s) as a 128-bit integer and a scale.
 */
#include "types/numeric.h"

#include <assert.h>
#include <math.h>

kd_i128 kd_pow10_i128(int exponent)
{
    static const uint64_t powers[20] = {
        1u,
        10u,
        100u,
        1000u,
        10000u,
        100000u,
        1000000u,
        10000000u,
        100000000u,
        1000000000u,
        10000000000u,
        100000000000u,
        1000000000000u,
        10000000000000u,
        100000000000000u,
        1000000000000000u,
        10000000000000000u,
        100000000000000000u,
        1000000000000000000u,
        10000000000000000000u,
    };
    assert(exponent >= 0);
    assert(exponent <= KD_FIXED_PRECISION_MAX);
    if (exponent < 20)
        return (kd_i128)powers[exponent];
    return (kd_i128)powers[19] * (kd_i128)powers[exponent - 19];
}

static kd_u128 magnitude_of(kd_i128 value)
{
    return value < 0 ? -(kd_u128)value : (kd_u128)value;
}

static kd_status fail_overflow(kd_ctx *ctx, int precision, int scale)
{
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22003", "numeric field overflow");
    int whole_digits = precision - scale;
    kd_error_set_detail(ctx,
                        "A field with precision %d, scale %d must round to an absolute value less "
                        "than %s%d.",
                        precision, scale, whole_digits == 0 ? "" : "10^",
                        whole_digits == 0 ? 1 : whole_digits);
    return status;
}

kd_status kd_fixed_check(kd_ctx *ctx, kd_i128 value, int precision, int scale)
{
    if (precision > KD_FIXED_PRECISION_MAX)
        precision = KD_FIXED_PRECISION_MAX;
    if (magnitude_of(value) >= (kd_u128)kd_pow10_i128(precision))
        return fail_overflow(ctx, precision, scale);
    return KD_OK;
}

bool kd_fixed_rescale(kd_i128 value, int from_scale, int to_scale, kd_i128 *out_value)
{
    *out_value = 0;
    int shift = to_scale - from_scale;
    if (shift > 0) {
        if (value == 0)
            return true;
        if (shift > KD_FIXED_PRECISION_MAX ||
            magnitude_of(value) >=
                (kd_u128)kd_pow10_i128(KD_FIXED_PRECISION_MAX) / (kd_u128)kd_pow10_i128(shift))
            return false;
        *out_value = value * kd_pow10_i128(shift);
        return true;
    }
    if (shift == 0) {
        *out_value = value;
        return true;
    }
    if (-shift > KD_FIXED_PRECISION_MAX)
        return true; /* Less than half of the last place: rounds to zero. */
    kd_u128 divisor = (kd_u128)kd_pow10_i128(-shift);
    kd_u128 magnitude = magnitude_of(value);
    kd_u128 quotient = magnitude / divisor;
    if (magnitude % divisor >= divisor / 2)
        quotient++;
    *out_value = value < 0 ? -(kd_i128)quotient : (kd_i128)quotient;
    return true;
}

int kd_fixed_compare(kd_i128 a, int a_scale, kd_i128 b, int b_scale)
{
    int a_sign = (a > 0) - (a < 0);
    int b_sign = (b > 0) - (b < 0);
    if (a_sign != b_sign)
        return a_sign < b_sign ? -1 : 1;
    /* Same sign: the side with fewer decimals is scaled up; when that leaves 38 digits, its
     * magnitude is the greater one. */
    kd_i128 scaled;
    if (a_scale < b_scale) {
        if (!kd_fixed_rescale(a, a_scale, b_scale, &scaled))
            return a_sign;
        a = scaled;
    } else if (b_scale < a_scale) {
        if (!kd_fixed_rescale(b, b_scale, a_scale, &scaled))
            return -b_sign;
        b = scaled;
    }
    return (a > b) - (a < b);
}

double kd_fixed_to_double(kd_i128 value, int scale)
{
    /* Both exact: one rounding, as reading the text would give. */
    if (magnitude_of(value) < ((kd_u128)1 << 53) && scale <= 22)
        return (double)value / (double)kd_pow10_i128(scale);
    return (double)((long double)value / (long double)kd_pow10_i128(scale));
}

kd_status kd_fixed_format(kd_ctx *ctx, kd_i128 value, int scale, kd_buffer *out)
{
    assert(scale >= 0);
    assert(scale <= KD_FIXED_PRECISION_MAX + 1);
    char text[48];
    char *end = text + sizeof text;
    char *at = end;
    kd_u128 magnitude = magnitude_of(value);
    int written = 0;
    /* 128-bit division is slow: take 64-bit pieces while the number is wide. */
    while (magnitude > UINT64_MAX) {
        uint64_t piece = (uint64_t)(magnitude % 10);
        magnitude /= 10;
        if (written == scale && scale > 0)
            *--at = '.';
        *--at = (char)('0' + piece);
        written++;
    }
    uint64_t rest = (uint64_t)magnitude;
    while (rest > 0 || written <= scale) {
        if (written == scale && scale > 0)
            *--at = '.';
        *--at = (char)('0' + rest % 10);
        rest /= 10;
        written++;
    }
    if (value < 0)
        *--at = '-';
    return kd_buffer_append(ctx, out, at, (size_t)(end - at));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number's text taken apart. Digits stand in [digits, digits_end), with at most one point. */
typedef struct decimal_text {
    bool negative;
    const char *digits;
    const char *digits_end;
    size_t digit_count;
    size_t fraction_count;
    int64_t exponent;
} decimal_text;

static bool exponent_scan(const char **at, const char *end, int64_t *out_exponent)
{
    const char *p = *at + 1;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return false;
    int64_t exponent = 0;
    for (; p < end && is_digit(*p); p++)
        if (exponent < 1000000000)
            exponent = exponent * 10 + (*p - '0');
    *out_exponent = negative ? -exponent : exponent;
    *at = p;
    return true;
}

static bool decimal_text_scan(kd_slice text, decimal_text *out)
{
    text = kd_slice_trim(text);
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    *out = (decimal_text){0};
    if (at < end && (*at == '-' || *at == '+'))
        out->negative = *at++ == '-';
    out->digits = at;
    bool has_point = false;
    for (; at < end && (is_digit(*at) || (*at == '.' && !has_point)); at++) {
        if (*at == '.') {
            has_point = true;
        } else {
            out->digit_count++;
            out->fraction_count += has_point;
        }
    }
    out->digits_end = at;
    if (out->digit_count == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E') && !exponent_scan(&at, end, &out->exponent))
        return false;
    return at == end;
}

static kd_status fail_special(kd_ctx *ctx, kd_type type, kd_slice text)
{
    text = kd_slice_trim(text);
    int precision = kd_numeric_precision(type);
    int scale = kd_numeric_scale(type);
    kd_slice bare = text;
    if (bare.size_bytes > 0 && (bare.data[0] == '-' || bare.data[0] == '+'))
        bare = (kd_slice){bare.data + 1, bare.size_bytes - 1};
    if (kd_slice_equal_ignoring_case(bare, KD_SLICE("infinity")) ||
        kd_slice_equal_ignoring_case(bare, KD_SLICE("inf"))) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22003", "numeric field overflow");
        kd_error_set_detail(ctx,
                            "A field with precision %d, scale %d cannot hold an infinite value.",
                            precision, scale);
        return status;
    }
    if (kd_slice_equal_ignoring_case(text, KD_SLICE("nan")))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "numeric(%d,%d) cannot hold NaN; unconstrained numeric can", precision,
                       scale);
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type numeric: \"%.*s\"",
                   (int)text.size_bytes, text.data);
}

kd_status kd_fixed_parse(kd_ctx *ctx, kd_type type, kd_slice text, kd_i128 *out_value)
{
    *out_value = 0;
    int precision = kd_numeric_precision(type);
    int scale = kd_numeric_scale(type);
    decimal_text number;
    if (!decimal_text_scan(text, &number))
        return fail_special(ctx, type, text);

    int64_t shift = number.exponent - (int64_t)number.fraction_count + scale;
    int64_t kept = (int64_t)number.digit_count + (shift < 0 ? shift : 0);
    kd_u128 magnitude = 0;
    kd_u128 limit = (kd_u128)kd_pow10_i128(precision);
    int64_t seen = 0;
    for (const char *at = number.digits; at < number.digits_end && seen <= kept; at++) {
        if (*at == '.')
            continue;
        if (seen < kept)
            magnitude = magnitude * 10 + (kd_u128)(*at - '0');
        else if (*at >= '5')
            magnitude++; /* The first digit dropped decides. */
        seen++;
        if (magnitude >= limit)
            return fail_overflow(ctx, precision, scale);
    }
    for (; shift > 0 && magnitude != 0; shift--) {
        magnitude *= 10;
        if (magnitude >= limit)
            return fail_overflow(ctx, precision, scale);
    }
    *out_value = number.negative ? -(kd_i128)magnitude : (kd_i128)magnitude;
    return KD_OK;
}
