/*
 * Guessing a column's type from the texts in it: the narrowest that holds them all.
 *
 * Careful where a guess would lose something: digits with a leading zero are codes, not
 * numbers, so they stay text; 0 and 1 are numbers, not booleans; `integer` is left once a
 * value comes near its end, because the sample is not the whole file.
 */
#include "lake/import_column_internal.h"

#include "types/datetime.h"
#include "types/number_text.h"

#include <string.h>

enum { SAFE_INTEGER_DIGITS = 8, DOUBLE_DIGITS = 15 };

kdi_type_guess kdi_type_guess_begin(void)
{
    return (kdi_type_guess){
        .can_bool = true,
        .can_integer = true,
        .can_double = true,
        .can_numeric = true,
        .can_date = true,
        .can_time = true,
        .can_timestamp = true,
        .can_uuid = true,
    };
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_bool(kd_slice text)
{
    return kd_slice_equal_ignoring_case(text, KD_SLICE("true")) ||
           kd_slice_equal_ignoring_case(text, KD_SLICE("false")) ||
           kd_slice_equal_ignoring_case(text, KD_SLICE("t")) ||
           kd_slice_equal_ignoring_case(text, KD_SLICE("f"));
}

static bool is_uuid(kd_slice text)
{
    if (text.size_bytes != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        char byte = text.data[i];
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex =
            is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
        if (is_dash ? byte != '-' : !is_hex)
            return false;
    }
    return true;
}

typedef struct number_shape {
    size_t whole_digits;
    size_t fraction_digits;
    bool has_point;
    bool has_exponent;
    bool leading_zero;
} number_shape;

/* -?digits[.digits][e[+-]digits] with digits on at least one side of the point. */
static bool number_read(kd_slice text, number_shape *out)
{
    size_t i = 0, n = text.size_bytes;
    const char *data = text.data;
    *out = (number_shape){0};
    if (i < n && (data[i] == '-' || data[i] == '+'))
        i++;
    size_t whole_at = i;
    while (i < n && is_digit(data[i]))
        i++;
    out->whole_digits = i - whole_at;
    out->leading_zero = out->whole_digits > 1 && data[whole_at] == '0';
    if (i < n && data[i] == '.') {
        out->has_point = true;
        size_t fraction_at = ++i;
        while (i < n && is_digit(data[i]))
            i++;
        out->fraction_digits = i - fraction_at;
    }
    if (out->whole_digits + out->fraction_digits == 0)
        return false;
    if (i < n && (data[i] == 'e' || data[i] == 'E')) {
        out->has_exponent = true;
        i++;
        if (i < n && (data[i] == '-' || data[i] == '+'))
            i++;
        size_t exponent_at = i;
        while (i < n && is_digit(data[i]))
            i++;
        if (i == exponent_at || i - exponent_at > 3)
            return false;
    }
    return i == n;
}

static void guess_number(kdi_type_guess *guess, kd_slice text)
{
    number_shape shape;
    if (!number_read(text, &shape) || shape.leading_zero) {
        guess->can_integer = guess->can_double = guess->can_numeric = false;
        return;
    }
    int64_t ignored;
    if (shape.has_point || shape.has_exponent || !kd_parse_int64(text, &ignored))
        guess->can_integer = false;
    if (shape.whole_digits > SAFE_INTEGER_DIGITS)
        guess->is_big = true;
    if (shape.whole_digits + shape.fraction_digits > DOUBLE_DIGITS)
        guess->can_double = false;
    if (shape.has_exponent)
        guess->can_numeric = false;
}

void kdi_type_guess_add(kdi_type_guess *guess, kd_slice text)
{
    guess->seen_count++;
    if (guess->can_bool)
        guess->can_bool = is_bool(text);
    if (guess->can_numeric || guess->can_double)
        guess_number(guess, text);
    int32_t date;
    if (guess->can_date)
        guess->can_date = kd_date_parse_fast(text, &date);
    int64_t time;
    if (guess->can_time)
        guess->can_time = kd_time_parse_fast(text, &time);
    if (guess->can_timestamp)
        guess->can_timestamp = kd_timestamp_parse_fast(text, &time);
    if (guess->can_uuid)
        guess->can_uuid = is_uuid(text);
}

kd_type kdi_type_guess_end(const kdi_type_guess *guess)
{
    kd_type_id id = KD_TYPE_TEXT;
    if (guess->seen_count == 0)
        id = KD_TYPE_TEXT;
    else if (guess->can_bool)
        id = KD_TYPE_BOOL;
    else if (guess->can_integer)
        id = guess->is_big ? KD_TYPE_INT8 : KD_TYPE_INT4;
    else if (guess->can_double)
        id = KD_TYPE_FLOAT8;
    else if (guess->can_numeric)
        id = KD_TYPE_NUMERIC;
    else if (guess->can_date)
        id = KD_TYPE_DATE;
    else if (guess->can_time)
        id = KD_TYPE_TIME;
    else if (guess->can_timestamp)
        id = KD_TYPE_TIMESTAMP;
    else if (guess->can_uuid)
        id = KD_TYPE_UUID;
    return kd_type_of(id);
}
