/*
 * Text to intervals.
 *
 * As PostgreSQL reads them: the text is cut into fields, which are taken from right to left, so
 * that a unit is known before its number. What is no list of fields may be ISO 8601
 * ("P1Y2M3DT4H5M6S"). Sums are kept in the widths of the result; a step beyond them is 22015.
 */
#include "types/date_field_internal.h"
#include "types/datetime.h"
#include "types/interval.h"

#include <math.h>
#include <stdlib.h>

typedef enum unit {
    UNIT_NONE = 0,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_AGO,
} unit;

/* Words are compared by their first ten letters. */
enum { UNIT_WORD_BYTES = 10 };

static const struct unit_word {
    const char *word;
    unit unit;
} unit_words[] = {
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"usecond", UNIT_MICROSECOND},
    {"useconds", UNIT_MICROSECOND},
    {"microsecon", UNIT_MICROSECOND},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"mseconds", UNIT_MILLISECOND},
    {"msecond", UNIT_MILLISECOND},
    {"millisecon", UNIT_MILLISECOND},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"ago", UNIT_AGO},
};

typedef enum parse_result { PARSE_OK = 0, PARSE_BAD_FORMAT, PARSE_OVERFLOW } parse_result;

/* What has been summed so far. Years stay apart until the end: they and the months may each be out
 * of what the sum allows. */
typedef struct parser {
    int64_t micros;
    int32_t days;
    int32_t months;
    int32_t years;
    uint32_t fields;     /* Those of the type; 0: all. */
    uint32_t units_seen; /* One bit per unit: none may be given twice. */
    unit next;           /* Of a number without one, further left. */
    bool all_negative;   /* sql_standard: one sign in front counts for all fields. */
} parser;

enum {
    UNIT_BITS_SECONDS = 1u << UNIT_SECOND | 1u << UNIT_MILLISECOND | 1u << UNIT_MICROSECOND,
    UNIT_BITS_CLOCK = UNIT_BITS_SECONDS | 1u << UNIT_MINUTE | 1u << UNIT_HOUR,
};

/* --- Sums: false beyond the width ---------------------------------------------------------------
 */

static bool micros_fraction_add(parser *self, double fraction, double scale)
{
    fraction *= scale;
    int64_t micros = (int64_t)fraction;
    fraction -= (double)micros;
    micros += fraction > 0.5 ? 1 : fraction < -0.5 ? -1 : 0;
    return !__builtin_add_overflow(self->micros, micros, &self->micros);
}

static bool micros_add(parser *self, int64_t whole, double fraction, int64_t scale)
{
    int64_t micros;
    return !__builtin_mul_overflow(whole, scale, &micros) &&
           !__builtin_add_overflow(self->micros, micros, &self->micros) &&
           micros_fraction_add(self, fraction, (double)scale);
}

static bool days_add(parser *self, int64_t whole, int32_t scale)
{
    int32_t days;
    return whole == (int32_t)whole && !__builtin_mul_overflow((int32_t)whole, scale, &days) &&
           !__builtin_add_overflow(self->days, days, &self->days);
}

/* Whole days of the fraction stay days, the rest becomes time. */
static bool days_fraction_add(parser *self, double fraction, int scale)
{
    fraction *= scale;
    int32_t days = (int32_t)fraction;
    return !__builtin_add_overflow(self->days, days, &self->days) &&
           micros_fraction_add(self, fraction - days, (double)KD_DAY_US);
}

static bool months_add(parser *self, int64_t whole)
{
    return whole == (int32_t)whole &&
           !__builtin_add_overflow(self->months, (int32_t)whole, &self->months);
}

static bool years_add(parser *self, int64_t whole, double fraction, int32_t scale)
{
    int32_t years, months = (int32_t)rint(fraction * scale * 12);
    return whole == (int32_t)whole && !__builtin_mul_overflow((int32_t)whole, scale, &years) &&
           !__builtin_add_overflow(self->years, years, &self->years) &&
           !__builtin_add_overflow(self->months, months, &self->months);
}

static bool unit_add(parser *self, unit what, int64_t whole, double fraction)
{
    switch (what) {
    case UNIT_MICROSECOND:
        return micros_add(self, whole, fraction, 1);
    case UNIT_MILLISECOND:
        return micros_add(self, whole, fraction, 1000);
    case UNIT_SECOND:
        return micros_add(self, whole, fraction, KD_SECOND_US);
    case UNIT_MINUTE:
        return micros_add(self, whole, fraction, KD_MINUTE_US);
    case UNIT_HOUR:
        return micros_add(self, whole, fraction, KD_HOUR_US);
    case UNIT_DAY:
        return days_add(self, whole, 1) && days_fraction_add(self, fraction, 1);
    case UNIT_WEEK:
        return days_add(self, whole, 7) && days_fraction_add(self, fraction, 7);
    case UNIT_MONTH:
        return months_add(self, whole) && days_fraction_add(self, fraction, 30);
    case UNIT_YEAR:
        return years_add(self, whole, fraction, 1);
    case UNIT_DECADE:
        return years_add(self, whole, fraction, 10);
    case UNIT_CENTURY:
        return years_add(self, whole, fraction, 100);
    default:
        return years_add(self, whole, fraction, 1000);
    }
}

/* --- Fields --------------------------------------------------------------------------------------
 */

static unit unit_find(kd_slice word)
{
    if (word.size_bytes > UNIT_WORD_BYTES)
        word.size_bytes = UNIT_WORD_BYTES;
    for (size_t i = 0; i < sizeof unit_words / sizeof unit_words[0]; i++)
        if (kd_slice_equal(word, kd_slice_of(unit_words[i].word)))
            return unit_words[i].unit;
    return UNIT_NONE;
}

/* Takes a sign and digits off the text. No digits are 0. */
static parse_result whole_take(kd_slice *text, int64_t *out)
{
    size_t at = 0, begin = 0;
    bool is_negative = text->size_bytes > 0 && text->data[0] == '-';
    at = begin = text->size_bytes > 0 && (is_negative || text->data[0] == '+');
    *out = 0;
    for (; at < text->size_bytes && kdi_is_digit(text->data[at]); at++) {
        int digit = text->data[at] - '0';
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, is_negative ? -digit : digit, out))
            return PARSE_OVERFLOW;
    }
    if (at == begin) /* A sign without digits is left where it is. */
        return PARSE_OK;
    *text = (kd_slice){text->data + at, text->size_bytes - at};
    return PARSE_OK;
}

/* As above, and no more than 32 bits. */
static parse_result small_take(kd_slice *text, int64_t *out)
{
    parse_result result = whole_take(text, out);
    return result != PARSE_OK || *out == (int32_t)*out ? result : PARSE_OVERFLOW;
}

/* ".f...", all of the text; "." alone is 0. */
static parse_result fraction_read(kd_slice text, double *out)
{
    *out = 0;
    if (text.size_bytes == 1)
        return PARSE_OK;
    char copy[KDI_DATE_TEXT_BYTES_MAX + 2] = "0";
    for (size_t i = 1; i < text.size_bytes; i++)
        if (!kdi_is_digit(text.data[i]))
            return PARSE_BAD_FORMAT;
    memcpy(copy + 1, text.data, text.size_bytes);
    *out = strtod(copy, NULL);
    return PARSE_OK;
}

static bool char_take(kd_slice *text, char c)
{
    if (text->size_bytes == 0 || text->data[0] != c)
        return false;
    *text = (kd_slice){text->data + 1, text->size_bytes - 1};
    return true;
}

static bool starts(kd_slice text, char c)
{
    return text.size_bytes > 0 && text.data[0] == c;
}

/* 'hh:mm[:ss[.f]]'; 'mm:ss.f' has a fraction after two parts, and the type interval minute to
 * second reads 'mm:ss' without one. */
static parse_result clock_read(const parser *self, kd_slice text, int64_t *out_micros)
{
    int64_t hours, minutes, seconds = 0;
    double fraction = 0;
    parse_result result = whole_take(&text, &hours);
    if (result != PARSE_OK || !char_take(&text, ':'))
        return result != PARSE_OK ? result : PARSE_BAD_FORMAT;
    if ((result = small_take(&text, &minutes)) != PARSE_OK)
        return result;
    bool is_short = text.size_bytes == 0 ? self->fields == (KD_INTERVAL_MINUTE | KD_INTERVAL_SECOND)
                                         : starts(text, '.');
    if (char_take(&text, ':') && (result = small_take(&text, &seconds)) != PARSE_OK)
        return result;
    if (starts(text, '.')) {
        if ((result = fraction_read(text, &fraction)) != PARSE_OK)
            return result;
    } else if (text.size_bytes > 0) {
        return PARSE_BAD_FORMAT;
    }
    if (is_short) {
        if (hours != (int32_t)hours)
            return PARSE_OVERFLOW;
        seconds = minutes;
        minutes = hours;
        hours = 0;
    }
    if (hours < 0 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60)
        return PARSE_OVERFLOW;
    parser sum = {.micros = (int64_t)rint(fraction * 1000000.0)};
    if (!micros_add(&sum, hours, 0, KD_HOUR_US) || !micros_add(&sum, minutes, 0, KD_MINUTE_US) ||
        !micros_add(&sum, seconds, 0, KD_SECOND_US))
        return PARSE_OVERFLOW;
    *out_micros = sum.micros;
    return PARSE_OK;
}

/* A time takes the place of what fractions of larger units have given so far. */
static parse_result clock_set(parser *self, int64_t micros, bool is_negative)
{
    if ((self->units_seen & UNIT_BITS_CLOCK) != 0)
        return PARSE_BAD_FORMAT;
    self->units_seen |= UNIT_BITS_CLOCK;
    self->micros = is_negative || self->all_negative ? -micros : micros;
    self->next = UNIT_DAY;
    return PARSE_OK;
}

/* The rightmost number's unit when none is written: the type's last field, else seconds. */
static unit unit_of_type(uint32_t fields)
{
    static const unit units[] = {UNIT_YEAR, UNIT_MONTH,  UNIT_DAY,
                                 UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    return fields == 0 ? UNIT_SECOND : units[31 - __builtin_clz(fields)];
}

static parse_result number_field(parser *self, kd_slice text)
{
    int64_t whole, months;
    double fraction = 0;
    bool is_negative = starts(text, '-');
    unit what = self->next == UNIT_NONE ? unit_of_type(self->fields) : self->next;
    parse_result result = whole_take(&text, &whole);
    if (result != PARSE_OK)
        return result;
    if (char_take(&text, '-')) { /* SQL's 'years-months'. */
        if ((result = small_take(&text, &months)) != PARSE_OK || months < 0 || months > 11)
            return PARSE_OVERFLOW;
        if (text.size_bytes > 0)
            return PARSE_BAD_FORMAT;
        what = UNIT_MONTH;
        if (__builtin_mul_overflow(whole, 12, &whole) ||
            __builtin_add_overflow(whole, is_negative ? -months : months, &whole))
            return PARSE_OVERFLOW;
    } else if (starts(text, '.')) {
        if ((result = fraction_read(text, &fraction)) != PARSE_OK)
            return result;
        fraction = is_negative ? -fraction : fraction;
    } else if (text.size_bytes > 0) {
        return PARSE_BAD_FORMAT;
    }
    if (self->all_negative) {
        whole = whole > 0 ? -whole : whole;
        fraction = fraction > 0 ? -fraction : fraction;
    }
    if (what == UNIT_AGO)
        return PARSE_BAD_FORMAT;
    uint32_t bits = what == UNIT_SECOND && fraction != 0 ? UNIT_BITS_SECONDS : 1u << what;
    if (!unit_add(self, what, whole, fraction))
        return PARSE_OVERFLOW;
    if ((self->units_seen & bits) != 0)
        return PARSE_BAD_FORMAT;
    self->units_seen |= bits;
    self->next = what == UNIT_HOUR ? UNIT_DAY : what;
    return PARSE_OK;
}

static parse_result field_take(parser *self, const kdi_date_field *field)
{
    int64_t micros;
    parse_result result;
    switch (field->kind) {
    case KDI_DATE_FIELD_TIME:
        result = clock_read(self, field->text, &micros);
        return result == PARSE_OK ? clock_set(self, micros, false) : result;
    case KDI_DATE_FIELD_OFFSET: {
        kd_slice unsigned_text = {field->text.data + 1, field->text.size_bytes - 1};
        if (memchr(unsigned_text.data, ':', unsigned_text.size_bytes) != NULL &&
            clock_read(self, unsigned_text, &micros) == PARSE_OK)
            return clock_set(self, micros, field->text.data[0] == '-');
        return number_field(self, field->text);
    }
    case KDI_DATE_FIELD_DATE:
    case KDI_DATE_FIELD_NUMBER:
        return number_field(self, field->text);
    default:
        self->next = unit_find(field->text);
        return self->next == UNIT_NONE ? PARSE_BAD_FORMAT : PARSE_OK;
    }
}

/* 'ago' turns all signs. */
static parse_result turn(parser *self)
{
    if (self->micros == INT64_MIN || self->days == INT32_MIN || self->months == INT32_MIN ||
        self->years == INT32_MIN)
        return PARSE_OVERFLOW;
    self->micros = -self->micros;
    self->days = -self->days;
    self->months = -self->months;
    self->years = -self->years;
    return PARSE_OK;
}

static bool is_signed(const kdi_date_field *field)
{
    return starts(field->text, '-') || starts(field->text, '+');
}

static parse_result fields_parse(parser *self, const kd_text_settings *settings, kd_slice text)
{
    kdi_date_fields list;
    if (!kdi_date_fields_cut(text, &list))
        return PARSE_BAD_FORMAT;
    bool is_ago = false;
    if (settings != NULL && settings->interval_style == KD_INTERVAL_STYLE_SQL) {
        self->all_negative = starts(list.fields[0].text, '-');
        for (uint32_t i = 1; i < list.count; i++)
            self->all_negative &= !is_signed(&list.fields[i]);
    }
    for (uint32_t i = list.count; i-- > 0;) {
        parse_result result = field_take(self, &list.fields[i]);
        if (result != PARSE_OK)
            return result;
        is_ago |= self->next == UNIT_AGO;
    }
    if (self->units_seen == 0)
        return PARSE_BAD_FORMAT;
    return is_ago ? turn(self) : PARSE_OK;
}

/* --- ISO 8601 ------------------------------------------------------------------------------------
 */

typedef struct iso_reader {
    const char *at; /* Ends in NUL. */
    int64_t whole;
    double fraction;
    int width; /* Digits before the point. */
} iso_reader;

/* As C reads a double, exponents included; up to 10^15, where the fraction is still exact. */
static parse_result iso_number(iso_reader *self)
{
    if (!kdi_is_digit(*self->at) && *self->at != '-' && *self->at != '.')
        return PARSE_BAD_FORMAT;
    static const char digits[] = "0123456789";
    char copy[KDI_DATE_TEXT_BYTES_MAX + 2] = "0";
    bool is_negative = *self->at == '-';
    const char *begin = self->at + is_negative, *end;
    self->width = (int)strspn(begin, digits);
    end = begin + self->width;
    end += *end == '.' ? 1 + strspn(end + 1, digits) : 0;
    size_t size = (size_t)(end - begin);
    if (size == (size_t)(*begin == '.'))
        return PARSE_BAD_FORMAT;
    const char *power = end + 1 + (*end != '\0' && (end[1] == '-' || end[1] == '+'));
    if ((*end == 'e' || *end == 'E') && kdi_is_digit(*power))
        end = power + strspn(power, digits);
    size = (size_t)(end - begin);
    memcpy(copy + 1, begin, size);
    double value = strtod(copy, NULL);
    if (isinf(value))
        return PARSE_BAD_FORMAT;
    self->at = end;
    if (!(value <= 1.0e15))
        return PARSE_OVERFLOW;
    value = is_negative ? -value : value;
    self->whole = (int64_t)value;
    self->fraction = value - (double)self->whole;
    return PARSE_OK;
}

static parse_result iso_add(parser *self, const iso_reader *reader, unit what)
{
    return unit_add(self, what, reader->whole, reader->fraction) ? PARSE_OK : PARSE_OVERFLOW;
}

static unit iso_unit(char c, bool in_time)
{
    switch (c) {
    case 'Y':
        return in_time ? UNIT_NONE : UNIT_YEAR;
    case 'M':
        return in_time ? UNIT_MINUTE : UNIT_MONTH;
    case 'W':
        return in_time ? UNIT_NONE : UNIT_WEEK;
    case 'D':
        return in_time ? UNIT_NONE : UNIT_DAY;
    case 'H':
        return in_time ? UNIT_HOUR : UNIT_NONE;
    case 'S':
        return in_time ? UNIT_SECOND : UNIT_NONE;
    default:
        return UNIT_NONE;
    }
}

/* YYYYMMDD or hhmmss in one number. */
static parse_result iso_run(parser *self, const iso_reader *reader, bool in_time)
{
    int64_t first = reader->whole / 10000, second = reader->whole / 100 % 100,
            third = reader->whole % 100;
    bool fits = in_time ? micros_add(self, first, 0, KD_HOUR_US) &&
                              micros_add(self, second, 0, KD_MINUTE_US) &&
                              micros_add(self, third, 0, KD_SECOND_US) &&
                              micros_fraction_add(self, reader->fraction, 1)
                        : years_add(self, first, 0, 1) && months_add(self, second) &&
                              days_add(self, third, 1) &&
                              micros_fraction_add(self, reader->fraction, (double)KD_DAY_US);
    return fits ? PARSE_OK : PARSE_OVERFLOW;
}

/* 'years-months-days' or 'hours:minutes:seconds', of which the first number is read; the later
 * ones may be missing. */
static parse_result iso_list(parser *self, iso_reader *reader, bool in_time)
{
    static const unit units[2][3] = {{UNIT_YEAR, UNIT_MONTH, UNIT_DAY},
                                     {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND}};
    char separator = in_time ? ':' : '-';
    for (int i = 0;; i++) {
        parse_result result = iso_add(self, reader, units[in_time][i]);
        if (result != PARSE_OK || *reader->at == '\0' || (*reader->at == 'T' && !in_time))
            return result;
        if (*reader->at != separator || i == 2)
            return PARSE_BAD_FORMAT;
        reader->at++;
        if ((result = iso_number(reader)) != PARSE_OK)
            return result;
    }
}

static parse_result iso_parse(parser *self, const char *text)
{
    iso_reader reader = {.at = text + 1};
    if (text[0] != 'P' || text[1] == '\0')
        return PARSE_BAD_FORMAT;
    bool in_time = false, has_field = false;
    while (*reader.at != '\0') {
        if (*reader.at == 'T') {
            in_time = true;
            has_field = false;
            reader.at++;
            continue;
        }
        parse_result result = iso_number(&reader);
        if (result != PARSE_OK)
            return result;
        char c = *reader.at;
        unit what = iso_unit(c, in_time);
        bool is_end = c == '\0' || (c == 'T' && !in_time);
        if (what != UNIT_NONE) {
            reader.at++;
            result = iso_add(self, &reader, what);
        } else if (is_end && !has_field && reader.width == (in_time ? 6 : 8)) {
            result = iso_run(self, &reader, in_time);
        } else if (has_field || !(is_end || c == (in_time ? ':' : '-'))) {
            result = PARSE_BAD_FORMAT;
        } else {
            result = iso_list(self, &reader, in_time);
        }
        if (result != PARSE_OK)
            return result;
        has_field = true;
    }
    return PARSE_OK;
}

/* --- All of it -----------------------------------------------------------------------------------
 */

kd_status kd_interval_parse(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                            int32_t modifier, kd_interval *out)
{
    *out = (kd_interval){0};
    const parser empty = {.fields = kd_interval_fields(modifier)};
    parser self = empty;
    parse_result result = fields_parse(&self, settings, text);
    char copy[KDI_DATE_TEXT_BYTES_MAX + 1];
    if (result == PARSE_BAD_FORMAT && text.size_bytes <= KDI_DATE_TEXT_BYTES_MAX) {
        memcpy(copy, text.data, text.size_bytes);
        copy[text.size_bytes] = '\0';
        self = empty;
        result = strlen(copy) == text.size_bytes ? iso_parse(&self, copy) : PARSE_BAD_FORMAT;
    }
    int size = text.size_bytes > 300 ? 300 : (int)text.size_bytes;
    if (result == PARSE_BAD_FORMAT)
        return KD_FAIL(ctx, KD_INVALID, "22007", "invalid input syntax for type interval: \"%.*s\"",
                       size, text.data);
    if (result == PARSE_OVERFLOW)
        return KD_FAIL(ctx, KD_INVALID, "22015", "interval field value out of range: \"%.*s\"",
                       size, text.data);
    int64_t months = (int64_t)self.years * 12 + self.months;
    if (months != (int32_t)months)
        return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
    kd_interval value = {.months = (int32_t)months, .days = self.days, .micros = self.micros};
    return kd_interval_fit(ctx, value, modifier, out);
}
