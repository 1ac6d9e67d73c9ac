/*
 * Variable decimals: text, stored bytes, order, and conversions to and from other numbers.
 */
#include "types/decimal_internal.h"

#include "base/hash.h"
#include "types/number_text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

kd_decimal kdi_decimal_special(kd_decimal_kind kind)
{
    return (kd_decimal){.kind = (uint8_t)kind, .negative = kind == KD_DECIMAL_NEGATIVE_INFINITY};
}

kd_decimal kdi_decimal_zero(int32_t scale)
{
    return (kd_decimal){.scale = scale};
}

kd_decimal kdi_decimal_finish(const uint16_t *digits, uint32_t count, int32_t weight, bool negative,
                              int32_t scale)
{
    while (count > 0 && digits[0] == 0) {
        digits++;
        count--;
        weight--;
    }
    while (count > 0 && digits[count - 1] == 0)
        count--;
    if (count == 0)
        return kdi_decimal_zero(scale);
    return (kd_decimal){.negative = negative,
                        .scale = scale,
                        .weight = weight,
                        .digit_count = count,
                        .digits = digits};
}

uint16_t *kdi_decimal_digits(kd_ctx *ctx, kd_arena *arena, size_t count)
{
    return kd_alloc_array(ctx, arena, count + 1, sizeof(uint16_t));
}

kd_status kdi_decimal_check(kd_ctx *ctx, const kd_decimal *value)
{
    if (value->weight > KDI_DECIMAL_WEIGHT_MAX || value->scale > KD_NUMERIC_SCALE_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22003", "value overflows numeric format");
    return KD_OK;
}

/* ---- Text ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static kd_status fail_syntax(kd_ctx *ctx, kd_slice text)
{
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type numeric: \"%.*s\"",
                   (int)text.size_bytes, text.data);
}

static bool special_parse(kd_slice text, kd_decimal *out)
{
    static const struct {
        const char *name;
        kd_decimal_kind kind;
    } specials[] = {
        {"nan", KD_DECIMAL_NAN},
        {"infinity", KD_DECIMAL_INFINITY},
        {"+infinity", KD_DECIMAL_INFINITY},
        {"inf", KD_DECIMAL_INFINITY},
        {"+inf", KD_DECIMAL_INFINITY},
        {"-infinity", KD_DECIMAL_NEGATIVE_INFINITY},
        {"-inf", KD_DECIMAL_NEGATIVE_INFINITY},
    };
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        if (kd_slice_equal_ignoring_case(text, kd_slice_of(specials[i].name))) {
            *out = kdi_decimal_special(specials[i].kind);
            return true;
        }
    }
    return false;
}

/* Packs `count` decimal digits at `text` (a point among them is skipped) so that the digit after
 * the point position stands at a group boundary. `whole` digits stand before the point, which may
 * be negative or beyond the text. */
static kd_status digits_pack(kd_ctx *ctx, kd_arena *arena, const char *text, int64_t count,
                             int64_t whole, bool negative, int32_t scale, kd_decimal *out)
{
    /* Position of the first digit inside its group of four. */
    int64_t groups_before = whole > 0 ? (whole + 3) / 4 : -(-whole / 4);
    int64_t lead = groups_before * 4 - whole; /* Zeros before the first digit: 0 .. 3. */
    int64_t group_count = (lead + count + 3) / 4;
    uint16_t *digits = kdi_decimal_digits(ctx, arena, (size_t)group_count);
    if (digits == NULL)
        return KD_NOMEM;
    static const uint16_t place[4] = {1000, 100, 10, 1};
    int64_t position = lead;
    for (int64_t i = 0; i < count; text++) {
        if (*text == '.')
            continue;
        digits[position >> 2] =
            (uint16_t)(digits[position >> 2] + (*text - '0') * place[position & 3]);
        position++;
        i++;
    }
    *out = kdi_decimal_finish(digits, (uint32_t)group_count, (int32_t)(groups_before - 1), negative,
                              scale);
    return kdi_decimal_check(ctx, out);
}

kd_status kd_decimal_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_decimal *out)
{
    *out = kdi_decimal_zero(0);
    kd_slice body = kd_slice_trim(text);
    if (special_parse(body, out))
        return KD_OK;
    const char *at = body.data;
    const char *end = at + body.size_bytes;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    const char *first = at;
    int64_t whole = 0;
    int64_t fraction = 0;
    for (; at < end && is_digit(*at); at++)
        whole++;
    if (at < end && *at == '.')
        for (at++; at < end && is_digit(*at); at++)
            fraction++;
    if (whole + fraction == 0)
        return fail_syntax(ctx, text);
    int64_t exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool exponent_negative = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end || !is_digit(*at))
            return fail_syntax(ctx, text);
        for (; at < end && is_digit(*at); at++)
            if (exponent < INT32_MAX)
                exponent = exponent * 10 + (*at - '0');
        if (exponent >= INT32_MAX / 2)
            return KD_FAIL(ctx, KD_INVALID, "22003", "value overflows numeric format");
        exponent = exponent_negative ? -exponent : exponent;
    }
    if (at != end)
        return fail_syntax(ctx, text);
    int64_t count = whole + fraction;
    while (count > 0 && (*first == '0' || *first == '.')) { /* Leading zeros say nothing. */
        if (*first++ == '0') {
            count--;
            whole--;
        }
    }
    int64_t scale = fraction - exponent;
    scale = scale < 0 ? 0 : scale;
    if (scale > KD_NUMERIC_SCALE_MAX || whole + exponent > 131072)
        return count == 0 && scale <= KD_NUMERIC_SCALE_MAX
                   ? KD_OK
                   : KD_FAIL(ctx, KD_INVALID, "22003", "value overflows numeric format");
    return digits_pack(ctx, arena, first, count, whole + exponent, negative, (int32_t)scale, out);
}

static char *group_write(char *at, unsigned group)
{
    at[0] = (char)('0' + group / 1000);
    at[1] = (char)('0' + group / 100 % 10);
    at[2] = (char)('0' + group / 10 % 10);
    at[3] = (char)('0' + group % 10);
    return at + 4;
}

static unsigned group_at(const kd_decimal *value, int64_t weight)
{
    int64_t index = value->weight - weight;
    return index >= 0 && index < value->digit_count ? value->digits[index] : 0;
}

kd_status kd_decimal_format(kd_ctx *ctx, const kd_decimal *value, kd_buffer *out)
{
    static const char *const special_names[4] = {NULL, "NaN", "Infinity", "-Infinity"};
    if (value->kind != KD_DECIMAL_FINITE)
        return kd_buffer_append_text(ctx, out, special_names[value->kind & 3]);
    size_t whole_groups =
        value->digit_count > 0 && value->weight >= 0 ? (size_t)value->weight + 1 : 1;
    size_t room = 2 + whole_groups * 4 + (size_t)value->scale + 8;
    char *start;
    KD_TRY(kd_buffer_reserve(ctx, out, room, &start));
    char *at = start;
    if (value->negative)
        *at++ = '-';
    char *whole_start = at;
    for (int64_t weight = (int64_t)whole_groups - 1; weight >= 0; weight--)
        at = group_write(at, group_at(value, weight));
    size_t zeros = 0; /* Only the first group can have leading zeros. */
    while (zeros < 3 && whole_start[zeros] == '0')
        zeros++;
    memmove(whole_start, whole_start + zeros, (size_t)(at - whole_start) - zeros);
    at -= zeros;
    if (value->scale > 0) {
        *at++ = '.';
        char *fraction_end = at + value->scale;
        for (int64_t weight = -1; at < fraction_end; weight--)
            at = group_write(at, group_at(value, weight));
        at = fraction_end;
    }
    out->size_bytes += (size_t)(at - start);
    out->data[out->size_bytes] = '\0';
    return KD_OK;
}

/* ---- Stored bytes ---- */

/* A stored number taken apart; digits are little-endian and not aligned. */
typedef struct stored_view {
    uint8_t kind;
    bool negative;
    int32_t scale;
    int32_t weight;
    uint32_t count;
    const char *digits;
} stored_view;

static bool stored_open(kd_slice stored, stored_view *out)
{
    *out = (stored_view){.kind = KD_DECIMAL_NAN};
    kd_reader reader = kd_reader_of(stored);
    uint8_t head = kd_read_u8(&reader);
    if (reader.failed || (head & ~7u) != 0)
        return false;
    if ((head & 3) != KD_DECIMAL_FINITE) {
        out->kind = head & 3;
        out->negative = out->kind == KD_DECIMAL_NEGATIVE_INFINITY;
        return stored.size_bytes == 1;
    }
    uint64_t scale = kd_read_varint(&reader);
    uint64_t weight = kd_read_varint(&reader);
    size_t left = (size_t)(reader.end - reader.at);
    if (reader.failed || scale > KD_NUMERIC_SCALE_MAX || weight > 2 * KDI_DECIMAL_WEIGHT_MAX ||
        left % 2 != 0)
        return false;
    out->kind = KD_DECIMAL_FINITE;
    out->negative = (head & 4) != 0;
    out->scale = (int32_t)scale;
    out->weight = (int32_t)(weight >> 1) ^ -(int32_t)(weight & 1);
    out->count = (uint32_t)(left / 2);
    out->digits = reader.at;
    return true;
}

kd_status kd_decimal_store(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_str *out)
{
    memset(out, 0, sizeof *out);
    char small[64];
    size_t room = 16 + (size_t)value->digit_count * 2;
    char *bytes = small;
    if (room > sizeof small) {
        bytes = kd_alloc_raw(ctx, arena, room);
        if (bytes == NULL)
            return KD_NOMEM;
    }
    char *at = bytes;
    *at++ = (char)(value->kind | (value->negative && value->kind == KD_DECIMAL_FINITE ? 4 : 0));
    if (value->kind == KD_DECIMAL_FINITE) {
        uint32_t numbers[2] = {(uint32_t)value->scale,
                               (uint32_t)(value->weight * 2) ^ (uint32_t)(value->weight >> 31)};
        for (int i = 0; i < 2; i++) {
            for (; numbers[i] >= 0x80; numbers[i] >>= 7)
                *at++ = (char)(numbers[i] | 0x80);
            *at++ = (char)numbers[i];
        }
        if (value->digit_count > 0)
            memcpy(at, value->digits, (size_t)value->digit_count * 2);
        at += (size_t)value->digit_count * 2;
    }
    kd_slice stored = {bytes, (size_t)(at - bytes)};
    if (bytes != small) {
        *out = kd_str_from(stored.data, stored.size_bytes);
        return KD_OK;
    }
    return kd_str_copy(ctx, arena, stored, out);
}

kd_status kd_decimal_load(kd_ctx *ctx, kd_arena *arena, const kd_str *stored, kd_decimal *out)
{
    *out = kdi_decimal_zero(0);
    stored_view view;
    if (!stored_open(kd_str_slice(stored), &view))
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored numeric is damaged");
    if (view.kind != KD_DECIMAL_FINITE) {
        *out = kdi_decimal_special((kd_decimal_kind)view.kind);
        return KD_OK;
    }
    uint16_t *digits = kd_alloc_raw(ctx, arena, (size_t)view.count * 2);
    if (digits == NULL)
        return KD_NOMEM;
    if (view.count > 0)
        memcpy(digits, view.digits, (size_t)view.count * 2);
    for (uint32_t i = 0; i < view.count; i++)
        if (digits[i] >= KD_NUMERIC_BASE)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored numeric has a wrong digit");
    *out = kdi_decimal_finish(digits, view.count, view.weight, view.negative, view.scale);
    return KD_OK;
}

/* ---- Order ---- */

static int kind_rank(uint8_t kind)
{
    static const int8_t ranks[4] = {0, 2, 1, -1}; /* Finite, NaN, infinity, -infinity. */
    return ranks[kind & 3];
}

static int stored_sign(const stored_view *view)
{
    return view->count == 0 ? 0 : view->negative ? -1 : 1;
}

int kd_numeric_compare(kd_slice a, kd_slice b)
{
    stored_view left;
    stored_view right;
    if (!stored_open(a, &left))
        left = (stored_view){.kind = KD_DECIMAL_NAN};
    if (!stored_open(b, &right))
        right = (stored_view){.kind = KD_DECIMAL_NAN};
    int order = kind_rank(left.kind) - kind_rank(right.kind);
    if (order != 0 || left.kind != KD_DECIMAL_FINITE)
        return (order > 0) - (order < 0);
    int sign = stored_sign(&left);
    order = sign - stored_sign(&right);
    if (order != 0 || sign == 0)
        return (order > 0) - (order < 0);
    if (left.weight != right.weight)
        return left.weight > right.weight ? sign : -sign;
    uint32_t shared = left.count < right.count ? left.count : right.count;
    for (uint32_t i = 0; i < shared; i++) {
        uint16_t x = kd_load_u16(left.digits + 2 * (size_t)i);
        uint16_t y = kd_load_u16(right.digits + 2 * (size_t)i);
        if (x != y)
            return x > y ? sign : -sign;
    }
    if (left.count == right.count)
        return 0;
    return left.count > right.count ? sign : -sign;
}

uint64_t kd_numeric_hash(kd_slice stored)
{
    stored_view view;
    if (!stored_open(stored, &view) || view.kind != KD_DECIMAL_FINITE)
        return kd_hash_u64(UINT64_MAX - view.kind);
    uint64_t seed = view.count == 0 ? 0 : (uint64_t)(uint32_t)view.weight * 2 + view.negative;
    return kd_hash_combine(seed, kd_hash_bytes(view.digits, (size_t)view.count * 2));
}

int kdi_decimal_compare_magnitude(const kd_decimal *a, const kd_decimal *b)
{
    if (a->digit_count == 0 || b->digit_count == 0)
        return (a->digit_count > 0) - (b->digit_count > 0);
    if (a->weight != b->weight)
        return a->weight > b->weight ? 1 : -1;
    uint32_t shared = a->digit_count < b->digit_count ? a->digit_count : b->digit_count;
    for (uint32_t i = 0; i < shared; i++)
        if (a->digits[i] != b->digits[i])
            return a->digits[i] > b->digits[i] ? 1 : -1;
    return (a->digit_count > b->digit_count) - (a->digit_count < b->digit_count);
}

int kd_decimal_compare(const kd_decimal *a, const kd_decimal *b)
{
    int order = kind_rank(a->kind) - kind_rank(b->kind);
    if (order != 0 || a->kind != KD_DECIMAL_FINITE)
        return (order > 0) - (order < 0);
    int sign = kd_decimal_sign(a);
    order = sign - kd_decimal_sign(b);
    if (order != 0 || sign == 0)
        return (order > 0) - (order < 0);
    return sign * kdi_decimal_compare_magnitude(a, b);
}

/* ---- Conversions ---- */

kd_status kd_decimal_from_i64(kd_ctx *ctx, kd_arena *arena, int64_t value, kd_decimal *out)
{
    return kd_decimal_from_fixed(ctx, arena, value, 0, out);
}

kd_status kd_decimal_from_fixed(kd_ctx *ctx, kd_arena *arena, kd_i128 value, int scale,
                                kd_decimal *out)
{
    *out = kdi_decimal_zero(scale);
    enum { GROUPS_MAX = 11 };
    uint16_t *digits = kd_alloc_raw(ctx, arena, GROUPS_MAX * sizeof(uint16_t));
    if (digits == NULL)
        return KD_NOMEM;
    /* The lowest group may reach below the scale: shift it to a boundary of four first. */
    static const uint16_t shifts[4] = {1, 1000, 100, 10};
    unsigned shift = shifts[scale & 3];
    kd_u128 rest = value < 0 ? -(kd_u128)value : (kd_u128)value;
    uint32_t at = GROUPS_MAX;
    if (shift != 1 && rest > 0) { /* Take the partial group off without a wider product. */
        unsigned per_group = KD_NUMERIC_BASE / shift;
        digits[--at] = (uint16_t)((unsigned)(rest % per_group) * shift);
        rest /= per_group;
    }
    while (rest > UINT64_MAX) {
        digits[--at] = (uint16_t)(rest % KD_NUMERIC_BASE);
        rest /= KD_NUMERIC_BASE;
    }
    for (uint64_t low = (uint64_t)rest; low > 0; low /= KD_NUMERIC_BASE)
        digits[--at] = (uint16_t)(low % KD_NUMERIC_BASE);
    uint32_t count = GROUPS_MAX - at;
    int32_t weight = (int32_t)count - 1 - (scale + 3) / 4;
    *out = kdi_decimal_finish(digits + at, count, weight, value < 0, scale);
    return KD_OK;
}

static kd_status from_short_text(kd_ctx *ctx, kd_arena *arena, double value, int digits,
                                 kd_decimal *out)
{
    if (isnan(value) || isinf(value)) {
        *out = kdi_decimal_special(isnan(value) ? KD_DECIMAL_NAN
                                   : value > 0  ? KD_DECIMAL_INFINITY
                                                : KD_DECIMAL_NEGATIVE_INFINITY);
        return KD_OK;
    }
    char text[40];
    int size = snprintf(text, sizeof text, "%.*g", digits, value);
    return kd_decimal_parse(ctx, arena, (kd_slice){text, (size_t)size}, out);
}

kd_status kd_decimal_from_double(kd_ctx *ctx, kd_arena *arena, double value, kd_decimal *out)
{
    return from_short_text(ctx, arena, value, 15, out);
}

kd_status kd_decimal_from_float(kd_ctx *ctx, kd_arena *arena, float value, kd_decimal *out)
{
    return from_short_text(ctx, arena, (double)value, 6, out);
}

kd_status kd_decimal_from_payload(kd_ctx *ctx, kd_arena *arena, kd_type type, const void *payload,
                                  kd_decimal *out)
{
    int scale =
        type.id == KD_TYPE_NUMERIC && kd_numeric_is_fixed(type) ? kd_numeric_scale(type) : 0;
    switch (kd_type_physical(type)) {
    case KD_PHYS_I16:
        return kd_decimal_from_i64(ctx, arena, *(const int16_t *)payload, out);
    case KD_PHYS_I32:
        return kd_decimal_from_i64(ctx, arena, *(const int32_t *)payload, out);
    case KD_PHYS_I64:
        return kd_decimal_from_fixed(ctx, arena, *(const int64_t *)payload, scale, out);
    case KD_PHYS_I128: {
        kd_i128 value;
        memcpy(&value, payload, sizeof value);
        return kd_decimal_from_fixed(ctx, arena, value, scale, out);
    }
    case KD_PHYS_F32:
        return kd_decimal_from_float(ctx, arena, *(const float *)payload, out);
    case KD_PHYS_F64:
        return kd_decimal_from_double(ctx, arena, *(const double *)payload, out);
    default:
        assert(type.id == KD_TYPE_NUMERIC);
        return kd_decimal_load(ctx, arena, payload, out);
    }
}

bool kd_decimal_try_fixed(const kd_decimal *value, int scale, kd_i128 *out)
{
    *out = 0;
    if (value->kind != KD_DECIMAL_FINITE)
        return false;
    int64_t kept = ((int64_t)value->weight + 1) * 4 + scale; /* Decimal digits of the result. */
    if (value->digit_count == 0 || kept < 0)
        return true;
    if (kept > KD_FIXED_PRECISION_MAX + 4)
        return false;
    kd_u128 magnitude = 0;
    kd_u128 limit = (kd_u128)kd_pow10_i128(KD_FIXED_PRECISION_MAX);
    uint32_t index = 0;
    for (; kept >= 4; kept -= 4, index++) {
        unsigned digit = index < value->digit_count ? value->digits[index] : 0;
        if (magnitude > limit / KD_NUMERIC_BASE)
            return false;
        magnitude = magnitude * KD_NUMERIC_BASE + digit;
    }
    static const unsigned powers[4] = {1, 10, 100, 1000};
    unsigned digit = index < value->digit_count ? value->digits[index] : 0;
    unsigned divisor = KD_NUMERIC_BASE / powers[kept];
    if (magnitude > limit / powers[kept])
        return false;
    magnitude = magnitude * powers[kept] + digit / divisor;
    if (digit % divisor >= divisor / 2)
        magnitude++;
    if (magnitude >= limit)
        return false;
    *out = value->negative ? -(kd_i128)magnitude : (kd_i128)magnitude;
    return true;
}

kd_status kd_decimal_to_i64(kd_ctx *ctx, const kd_decimal *value, int64_t *out)
{
    *out = 0;
    if (value->kind != KD_DECIMAL_FINITE)
        return KD_FAIL(ctx, KD_INVALID, "0A000", "cannot convert %s to bigint",
                       value->kind == KD_DECIMAL_NAN ? "NaN" : "infinity");
    kd_i128 whole;
    if (!kd_decimal_try_fixed(value, 0, &whole) || whole > INT64_MAX || whole < INT64_MIN)
        return KD_FAIL(ctx, KD_INVALID, "22003", "bigint out of range");
    *out = (int64_t)whole;
    return KD_OK;
}

kd_status kd_decimal_to_fixed(kd_ctx *ctx, const kd_decimal *value, kd_type type, kd_i128 *out)
{
    *out = 0;
    int precision = kd_numeric_precision(type);
    int scale = kd_numeric_scale(type);
    if (value->kind == KD_DECIMAL_NAN)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "numeric(%d,%d) cannot hold NaN; unconstrained numeric can", precision,
                       scale);
    if (value->kind != KD_DECIMAL_FINITE) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22003", "numeric field overflow");
        kd_error_set_detail(ctx,
                            "A field with precision %d, scale %d cannot hold an infinite value.",
                            precision, scale);
        return status;
    }
    kd_i128 fixed;
    if (!kd_decimal_try_fixed(value, scale, &fixed))
        fixed = kd_pow10_i128(KD_FIXED_PRECISION_MAX); /* Too large for any precision. */
    KD_TRY(kd_fixed_check(ctx, fixed, precision, scale));
    *out = fixed;
    return KD_OK;
}

/* Digits before the point; fewer than 0 when zeros follow it. */
static int64_t whole_digits(const kd_decimal *value)
{
    int64_t digits = (int64_t)value->weight * 4 + 1;
    for (unsigned first = value->digits[0]; first >= 10; first /= 10)
        digits++;
    return digits;
}

kd_status kd_decimal_to_wide(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, kd_type type,
                             kd_decimal *out)
{
    *out = *value;
    if (type.modifier < 0 || value->kind == KD_DECIMAL_NAN)
        return KD_OK;
    int precision = kd_numeric_precision(type), scale = kd_numeric_scale(type);
    bool is_finite = value->kind == KD_DECIMAL_FINITE;
    if (is_finite)
        KD_TRY(kd_decimal_round(ctx, arena, value, scale, out));
    if (is_finite && (out->digit_count == 0 || whole_digits(out) <= precision - scale))
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22003", "numeric field overflow");
    if (is_finite)
        kd_error_set_detail(ctx,
                            "A field with precision %d, scale %d must round to an absolute value "
                            "less than 10^%d.",
                            precision, scale, precision - scale);
    else
        kd_error_set_detail(ctx,
                            "A field with precision %d, scale %d cannot hold an infinite value.",
                            precision, scale);
    return status;
}

kd_status kd_decimal_to_double(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value, double *out)
{
    *out = 0;
    if (value->kind == KD_DECIMAL_FINITE && value->digit_count <= 4 && value->weight < 4 &&
        value->weight > -4) {
        /* At most 16 digits and a small power of ten: one division or none is exact. */
        uint64_t mantissa = 0;
        for (uint32_t i = 0; i < value->digit_count; i++)
            mantissa = mantissa * KD_NUMERIC_BASE + value->digits[i];
        int groups_after = (int)value->digit_count - 1 - value->weight;
        if (mantissa < (uint64_t)1 << 53 && groups_after >= 0 && groups_after <= 5) {
            double result = (double)mantissa / (double)kd_pow10_i128(groups_after * 4);
            *out = value->negative ? -result : result;
            return KD_OK;
        }
    }
    kd_buffer text = kd_buffer_in(arena);
    KD_TRY(kd_decimal_format(ctx, value, &text));
    return kd_float8_parse(ctx, kd_buffer_slice(&text), out);
}

double kdi_decimal_estimate(const kd_decimal *value)
{
    if (value->kind != KD_DECIMAL_FINITE)
        return value->kind == KD_DECIMAL_NAN ? NAN : value->negative ? -HUGE_VAL : HUGE_VAL;
    double result = 0;
    for (uint32_t i = 0; i < value->digit_count && i < 6; i++)
        result = result * KD_NUMERIC_BASE + value->digits[i];
    uint32_t taken = value->digit_count < 6 ? value->digit_count : 6;
    result *= pow(10.0, 4.0 * (value->weight + 1 - (int)taken));
    return value->negative ? -result : result;
}
