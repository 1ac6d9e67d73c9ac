/*
 * Text of booleans, integers and floating-point numbers.
 */
#include "types/number_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- Integers ---- */

/* Eight digits at once: true when all are digits. */
static inline bool eight_are_digits(uint64_t chunk)
{
    return ((chunk & 0xf0f0f0f0f0f0f0f0u) |
            (((chunk + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) == 0x3333333333333333u;
}

static inline uint32_t eight_digits_value(uint64_t chunk)
{
    chunk -= 0x3030303030303030u;
    chunk = chunk * 10 + (chunk >> 8);
    chunk = (((chunk & 0x000000ff000000ffu) * 0x000f424000000064u) +
             (((chunk >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
            32;
    return (uint32_t)chunk;
}

bool kd_parse_int64(kd_slice text, int64_t *out)
{
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    *out = 0;
    bool negative = at < end && *at == '-';
    at += negative;
    size_t digits = (size_t)(end - at);
    if (digits == 0 || digits > 19)
        return false;
    uint64_t value = 0;
    for (; end - at >= 8; at += 8) {
        uint64_t chunk = kd_load_u64(at);
        if (!eight_are_digits(chunk))
            return false;
        value = value * 100000000 + eight_digits_value(chunk);
    }
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative) /* 19 digits never leave 64 bits. */
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static kd_status fail_range(kd_ctx *ctx, kd_slice text, const char *type_name)
{
    return KD_FAIL(ctx, KD_INVALID, "22003", "value \"%.*s\" is out of range for type %s",
                   (int)text.size_bytes, text.data, type_name);
}

kd_status kd_integer_parse(kd_ctx *ctx, kd_slice text, const char *type_name, int64_t min,
                           int64_t max, int64_t *out)
{
    if (!kd_parse_int64(text, out)) {
        kd_slice body = kd_slice_trim(text);
        if (body.size_bytes > 1 && body.data[0] == '+' && is_digit(body.data[1]))
            body = (kd_slice){body.data + 1, body.size_bytes - 1};
        if (!kd_parse_int64(body, out)) {
            size_t at = body.size_bytes > 0 && body.data[0] == '-';
            bool negative = at == 1;
            bool are_digits = at < body.size_bytes;
            size_t significant = 0;
            for (; at < body.size_bytes; at++) {
                are_digits = are_digits && is_digit(body.data[at]);
                significant += significant > 0 || body.data[at] != '0';
            }
            if (!are_digits)
                return KD_FAIL(ctx, KD_INVALID, "22P02",
                               "invalid input syntax for type %s: \"%.*s\"", type_name,
                               (int)text.size_bytes, text.data);
            if (significant > 18)
                return fail_range(ctx, text, type_name);
            *out = 0; /* Many leading zeros. */
            for (at = negative; at < body.size_bytes; at++)
                *out = *out * 10 + (body.data[at] - '0');
            *out = negative ? -*out : *out;
        }
    }
    if (*out < min || *out > max) {
        *out = 0;
        return fail_range(ctx, text, type_name);
    }
    return KD_OK;
}

size_t kd_int64_format(int64_t value, char *out)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "68697071727374757677787980818283848586878889909192939495969798"
        "99";
    char text[24];
    char *at = text + sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    while (rest >= 100) {
        at -= 2;
        memcpy(at, pairs + rest % 100 * 2, 2);
        rest /= 100;
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(at, pairs + rest * 2, 2);
    } else {
        *--at = (char)('0' + rest);
    }
    if (value < 0)
        *--at = '-';
    size_t size_bytes = (size_t)(text + sizeof text - at);
    memcpy(out, at, size_bytes);
    return size_bytes;
}

/* ---- Booleans ---- */

/* True when `text` is a prefix of `word` of at least `least` letters. */
static bool is_prefix(kd_slice text, const char *word, size_t least)
{
    return text.size_bytes >= least && text.size_bytes <= strlen(word) &&
           kd_slice_equal_ignoring_case(text, (kd_slice){word, text.size_bytes});
}

kd_status kd_bool_parse(kd_ctx *ctx, kd_slice text, bool *out)
{
    kd_slice body = kd_slice_trim(text);
    *out = is_prefix(body, "true", 1) || is_prefix(body, "yes", 1) || is_prefix(body, "on", 2) ||
           is_prefix(body, "1", 1);
    if (*out || is_prefix(body, "false", 1) || is_prefix(body, "no", 1) ||
        is_prefix(body, "off", 2) || is_prefix(body, "0", 1))
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type boolean: \"%.*s\"",
                   (int)text.size_bytes, text.data);
}

/* ---- Floating point ---- */

static const double powers_of_ten[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool kd_parse_double_fast(kd_slice text, double *out)
{
    const char *at = text.data;
    const char *end = at + text.size_bytes;
    *out = 0;
    bool negative = at < end && *at == '-';
    at += negative;
    uint64_t mantissa = 0;
    int fraction = 0;
    int digits = 0;
    bool has_point = false;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit <= 9) {
            mantissa = mantissa * 10 + digit;
            digits++;
            fraction += has_point;
        } else if (*at == '.' && !has_point) {
            has_point = true;
        } else {
            break;
        }
    }
    if (digits == 0 || digits > 18)
        return false;
    int exponent = 0;
    if (at < end) {
        if (*at != 'e' && *at != 'E')
            return false;
        at++;
        bool exponent_negative = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end || end - at > 3)
            return false;
        for (; at < end; at++) {
            if (!is_digit(*at))
                return false;
            exponent = exponent * 10 + (*at - '0');
        }
        exponent = exponent_negative ? -exponent : exponent;
    }
    /* Mantissa and power of ten are both exact, so one operation rounds correctly (Clinger). */
    exponent -= fraction;
    if (mantissa > (uint64_t)1 << 53 || exponent < -22 || exponent > 22)
        return false;
    double value = (double)mantissa;
    value = exponent < 0 ? value / powers_of_ten[-exponent] : value * powers_of_ten[exponent];
    *out = negative ? -value : value;
    return true;
}

static bool float_name_parse(kd_slice body, double *out)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {
        {"nan", (double)NAN},     {"infinity", HUGE_VAL}, {"+infinity", HUGE_VAL},
        {"-infinity", -HUGE_VAL}, {"inf", HUGE_VAL},      {"+inf", HUGE_VAL},
        {"-inf", -HUGE_VAL},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (kd_slice_equal_ignoring_case(body, kd_slice_of(names[i].name))) {
            *out = names[i].value;
            return true;
        }
    }
    return false;
}

static kd_status fail_float_syntax(kd_ctx *ctx, kd_slice text, const char *type_name)
{
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type %s: \"%.*s\"",
                   type_name, (int)text.size_bytes, text.data);
}

/* The slow path: copies the text to end it with NUL, and lets strtod round. strtod knows more forms
 * (hexadecimal, "nan(...)"), so what follows a sign must be a digit or a point. */
static kd_status float_read(kd_ctx *ctx, kd_slice text, bool is_float4, double *out)
{
    const char *type_name = is_float4 ? "real" : "double precision";
    kd_slice body = kd_slice_trim(text);
    *out = 0;
    if (float_name_parse(body, out))
        return KD_OK;
    for (size_t i = 0; i < body.size_bytes; i++)
        if (!is_digit(body.data[i]) && memchr("+-.eE", body.data[i], 5) == NULL)
            return fail_float_syntax(ctx, text, type_name);
    enum { SMALL_BYTES = 512 };
    char small[SMALL_BYTES];
    char *copy = small;
    kd_arena *scratch = NULL;
    kd_status status = KD_OK;
    if (body.size_bytes >= SMALL_BYTES) {
        scratch = kd_arena_create(ctx, NULL, "float text", KD_ARENA_UNLIMITED);
        if (scratch == NULL)
            return KD_NOMEM;
        copy = kd_alloc_raw(ctx, scratch, body.size_bytes + 1);
        if (copy == NULL) {
            status = KD_NOMEM;
            goto out;
        }
    }
    if (body.size_bytes > 0)
        memcpy(copy, body.data, body.size_bytes);
    copy[body.size_bytes] = '\0';
    char *end;
    errno = 0;
    *out = is_float4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    if (end == copy || end != copy + body.size_bytes) {
        status = fail_float_syntax(ctx, text, type_name);
        goto out;
    }
    if (errno == ERANGE && (*out == 0 || isinf(*out)))
        status = KD_FAIL(ctx, KD_INVALID, "22003", "\"%.*s\" is out of range for type %s",
                         (int)body.size_bytes, body.data, type_name);
out:
    kd_arena_destroy(scratch);
    return status;
}

kd_status kd_float8_parse(kd_ctx *ctx, kd_slice text, double *out)
{
    if (kd_parse_double_fast(text, out))
        return KD_OK;
    return float_read(ctx, text, false, out);
}

kd_status kd_float4_parse(kd_ctx *ctx, kd_slice text, float *out)
{
    double value;
    *out = 0;
    /* Short decimals are exact in double, so rounding once more to float is right: 7 digits with an
     * exponent up to 10 leave no double rounding. Longer ones go to strtof. */
    if (text.size_bytes <= 8 && kd_parse_double_fast(text, &value) && fabs(value) < 1e10 &&
        (value == 0 || fabs(value) > 1e-10)) {
        *out = (float)value;
        return KD_OK;
    }
    kd_status status = float_read(ctx, text, true, &value);
    if (status == KD_OK)
        *out = (float)value;
    return status;
}

/* From digits and exponent ("d.ddde+XX" of printf) to PostgreSQL's form: positional while the
 * decimal exponent is -5 < e < `exponent_limit`, else d.ddde+XX. */
static size_t digits_place(const char *digits, int count, int exponent, int exponent_limit,
                           char *out)
{
    char *at = out;
    if (exponent < -4 || exponent >= exponent_limit) {
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, (size_t)count - 1);
            at += count - 1;
        }
        return (size_t)(at - out) + (size_t)snprintf(at, 8, "e%+03d", exponent);
    }
    if (exponent < 0) {
        memcpy(at, "0.0000", 6);
        at += 1 - exponent;
        memcpy(at, digits, (size_t)count);
        return (size_t)(at - out) + (size_t)count;
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            *at++ = '.';
        *at++ = i < count ? digits[i] : '0';
    }
    return (size_t)(at - out);
}

static bool special_format(double value, char *out, size_t *out_size)
{
    if (!isnan(value) && !isinf(value))
        return false;
    const char *name = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    *out_size = strlen(name);
    memcpy(out, name, *out_size);
    return true;
}

/* Splits printf's "%.*e" into digits (trailing zeros dropped) and exponent. */
static int exponent_split(const char *text, char *digits, int *out_exponent)
{
    int count = 0;
    while (*text != 'e' && *text != '\0') {
        if (is_digit(*text))
            digits[count++] = *text;
        text++;
    }
    int64_t exponent = 0; /* printf writes its sign always. */
    kd_parse_int64((kd_slice){text + 2, strlen(text + 2)}, &exponent);
    *out_exponent = text[1] == '-' ? -(int)exponent : (int)exponent;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/*
 * Whether the digits lie exactly between the number and its neighbour. They would read back (ties
 * go to even), but PostgreSQL's shortest text has to be strictly inside. Only whole numbers beyond
 * the mantissa's `mantissa_bits` can be met in the middle with so few digits.
 */
static bool is_halfway(double magnitude, int mantissa_bits, const char *digits, int count,
                       int exponent)
{
    __extension__ typedef unsigned __int128 wide;
    if (exponent > 37 || magnitude < ldexp(1.0, mantissa_bits))
        return false;
    wide candidate = 0;
    for (int i = 0; i <= exponent; i++)
        candidate = candidate * 10 + (wide)(i < count ? digits[i] - '0' : 0);
    wide exact = (wide)magnitude;
    wide distance = candidate > exact ? candidate - exact : exact - candidate;
    return distance * 2 == (wide)1 << (ilogb(magnitude) - mantissa_bits + 1);
}

/* Numbers with few decimals are most of all data: when value * 10^k is a whole number below 2^53,
 * its digits are the shortest text (15 digits always read back). */
static int short_digits(double magnitude, char *digits, int *out_exponent)
{
    if (!(magnitude < 1e15) || magnitude < 1e-4)
        return 0;
    for (int places = 0; places <= 6; places++) {
        double scaled = magnitude * powers_of_ten[places];
        if (scaled >= 1e15)
            return 0;
        uint64_t whole = (uint64_t)scaled;
        if ((double)whole != scaled || (double)whole / powers_of_ten[places] != magnitude)
            continue;
        int count = (int)kd_int64_format((int64_t)whole, digits);
        *out_exponent = count - 1 - places;
        while (count > 1 && digits[count - 1] == '0')
            count--;
        return count;
    }
    return 0;
}

static size_t limited_format(double value, int digits, char *out)
{
    char text[KD_NUMBER_TEXT_BYTES];
    int size = snprintf(text, sizeof text, "%.*g", digits < 1 ? 1 : digits, value);
    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

size_t kd_float8_format(double value, int extra_float_digits, char *out)
{
    size_t size = 0;
    if (special_format(value, out, &size))
        return size;
    if (extra_float_digits <= 0)
        return limited_format(value, 15 + extra_float_digits, out);
    char *at = out;
    if (signbit(value))
        *at++ = '-';
    double magnitude = fabs(value);
    if (magnitude == 0) {
        *at++ = '0';
        return (size_t)(at - out);
    }
    char digits[32];
    int exponent = 0;
    int count = short_digits(magnitude, digits, &exponent);
    /* 15 digits always survive, except where the smallest numbers have fewer bits. */
    for (int precision = magnitude < 2.3e-308 ? 0 : 14; count == 0; precision++) {
        char text[KD_NUMBER_TEXT_BYTES];
        snprintf(text, sizeof text, "%.*e", precision, magnitude);
        if (precision < 16 && strtod(text, NULL) != magnitude)
            continue;
        count = exponent_split(text, digits, &exponent);
        if (precision < 16 && is_halfway(magnitude, 53, digits, count, exponent))
            count = 0;
    }
    return (size_t)(at - out) + digits_place(digits, count, exponent, 15, at);
}

size_t kd_float4_format(float value, int extra_float_digits, char *out)
{
    size_t size = 0;
    if (special_format((double)value, out, &size))
        return size;
    if (extra_float_digits <= 0)
        return limited_format((double)value, 6 + extra_float_digits, out);
    char *at = out;
    if (signbit(value))
        *at++ = '-';
    float magnitude = fabsf(value);
    if (magnitude == 0) {
        *at++ = '0';
        return (size_t)(at - out);
    }
    char digits[32];
    int exponent = 0;
    int count = 0;
    for (int precision = magnitude < 1.2e-38f ? 0 : 5; count == 0; precision++) {
        char text[KD_NUMBER_TEXT_BYTES];
        snprintf(text, sizeof text, "%.*e", precision, (double)magnitude);
        if (precision < 8 && strtof(text, NULL) != magnitude)
            continue;
        count = exponent_split(text, digits, &exponent);
        if (precision < 8 && is_halfway((double)magnitude, 24, digits, count, exponent))
            count = 0;
    }
    return (size_t)(at - out) + digits_place(digits, count, exponent, 6, at);
}
