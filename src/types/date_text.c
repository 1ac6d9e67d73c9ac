/*
 * Text to dates, times and timestamps.
 *
 * The general parser follows PostgreSQL: text is cut into fields by their looks (date, time,
 * number, word, offset), then each field fills in the parts of the date that it can mean, given
 * what is known by then. Before it is tried, the plain ISO forms are read by a fast path.
 */
#include "types/datetime.h"

#include "types/date_field_internal.h"
#include "types/number_text.h"

#include <assert.h>
#include <math.h>

/* ---- Fast paths ---- */

static bool digits_read(const char *at, int count, int32_t *out)
{
    int32_t value = 0;
    for (int i = 0; i < count; i++) {
        unsigned digit = (unsigned char)at[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        value = value * 10 + (int32_t)digit;
    }
    *out = value;
    return true;
}

bool kd_date_parse_fast(kd_slice text, int32_t *out)
{
    const char *at = text.data;
    int32_t year;
    int32_t month;
    int32_t day;
    *out = 0;
    if (text.size_bytes != 10 || at[4] != '-' || at[7] != '-' || !digits_read(at, 4, &year) ||
        !digits_read(at + 5, 2, &month) || !digits_read(at + 8, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > kd_days_in_month(year, month))
        return false;
    *out = kd_date_from_civil(year, month, day);
    return true;
}

/* 'HH:MM', and with `seconds_optional` false at least 'HH:MM:SS', then a fraction. */
static bool time_read_fast(const char *at, size_t size, bool seconds_optional, int64_t *out)
{
    static const int32_t scale[7] = {0, 100000, 10000, 1000, 100, 10, 1};
    int32_t hour;
    int32_t minute;
    int32_t second = 0;
    int32_t micros = 0;
    if (size < 5 || at[2] != ':' || !digits_read(at, 2, &hour) || !digits_read(at + 3, 2, &minute))
        return false;
    if (size == 5) {
        if (!seconds_optional)
            return false;
    } else {
        if (size < 8 || at[5] != ':' || !digits_read(at + 6, 2, &second))
            return false;
        if (size > 8) {
            size_t digits = size - 9;
            if (at[8] != '.' || digits < 1 || digits > 6 ||
                !digits_read(at + 9, (int)digits, &micros))
                return false;
            micros *= scale[digits];
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *out = hour * KD_HOUR_US + minute * KD_MINUTE_US + second * KD_SECOND_US + micros;
    return true;
}

bool kd_time_parse_fast(kd_slice text, int64_t *out)
{
    *out = 0;
    return time_read_fast(text.data, text.size_bytes, true, out);
}

bool kd_timestamp_parse_fast(kd_slice text, int64_t *out)
{
    int32_t date;
    int64_t time = 0;
    *out = 0;
    if (text.size_bytes < 10 || !kd_date_parse_fast((kd_slice){text.data, 10}, &date))
        return false;
    if (text.size_bytes > 10) {
        char separator = text.data[10];
        if ((separator != ' ' && separator != 'T') ||
            !time_read_fast(text.data + 11, text.size_bytes - 11, true, &time))
            return false;
    }
    *out = date * KD_DAY_US + time;
    return true;
}

/* ---- Decoding ---- */

typedef enum decode_result {
    DECODE_OK = 0,
    DECODE_BAD_FORMAT,
    DECODE_FIELD_OVERFLOW,
    DECODE_DATE_ORDER_OVERFLOW, /* As above, with the hint about datestyle. */
    DECODE_OFFSET_OVERFLOW,
    DECODE_FAILED, /* Recorded already. */
} decode_result;

enum { TEXT_BYTES_MAX = 128 };
enum {
    HAS_YEAR = 1,
    HAS_MONTH = 2,
    HAS_DAY = 4,
    HAS_DATE = 7,
    HAS_HOUR = 8,
    HAS_MINUTE = 16,
    HAS_SECOND = 32,
    HAS_TIME = 56,
    HAS_ZONE = 64,
};

typedef enum moment {
    MOMENT_CIVIL = 0,
    MOMENT_EPOCH,
    MOMENT_INFINITY,
    MOMENT_NEGATIVE_INFINITY,
    MOMENT_NOW,
} moment;

typedef struct decoder {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_text_settings *settings;
    moment moment;
    unsigned has;
    kd_civil civil;
    int32_t nanos; /* The second's fraction, cut to nine digits. */
    bool has_text_month;
    bool year_is_short;
    bool is_bc;
    kdi_date_unit label; /* What the next number is; NONE: its place tells. */
    int32_t day_of_year;
    int32_t julian_date;
    bool has_julian;
    bool is_am, is_pm;
    int32_t offset_seconds; /* East, when HAS_ZONE and `zone` is NULL. */
    const kd_zone *zone;
    bool only_time; /* Decoding a time of day. */
} decoder;

static const kd_zone *session_zone(const kd_text_settings *settings)
{
    return settings == NULL ? NULL : settings->zone;
}

/* ".f...": micros rounded as PostgreSQL does, nanos cut. */
static bool fraction_decode(decoder *self, kd_slice text)
{
    enum { DIGITS_MAX = 17 };
    if (text.size_bytes == 0 || text.data[0] != '.')
        return false;
    char copy[DIGITS_MAX + 2] = "0";
    size_t size = text.size_bytes < DIGITS_MAX ? text.size_bytes : DIGITS_MAX;
    int32_t unit = 100000000;
    self->nanos = 0;
    for (size_t i = 1; i < text.size_bytes; i++) {
        if (!kdi_is_digit(text.data[i]))
            return false;
        self->nanos += (text.data[i] - '0') * unit;
        unit /= 10;
    }
    memcpy(copy + 1, text.data, size);
    double fraction = 0;
    if (size > 1 && !kd_parse_double_fast((kd_slice){copy, size + 1}, &fraction))
        return false;
    self->civil.micros = (int32_t)rint(fraction * 1000000.0);
    return true;
}

/* Digits from `*at`; false when there are none or too many. */
static bool number_take(kd_slice *text, int32_t *out)
{
    size_t size = 0;
    int64_t value = 0;
    while (size < text->size_bytes && kdi_is_digit(text->data[size]) && size < 10)
        value = value * 10 + (text->data[size++] - '0');
    if (size == 0 || value > INT32_MAX ||
        (size < text->size_bytes && kdi_is_digit(text->data[size])))
        return false;
    *out = (int32_t)value;
    *text = (kd_slice){text->data + size, text->size_bytes - size};
    return true;
}

static bool separator_take(kd_slice *text, char c)
{
    if (text->size_bytes == 0 || text->data[0] != c)
        return false;
    *text = (kd_slice){text->data + 1, text->size_bytes - 1};
    return true;
}

static decode_result time_check(const kd_civil *civil)
{
    if (civil->hour > 24 || civil->minute > 59 || civil->second > 60)
        return DECODE_FIELD_OVERFLOW;
    if (civil->hour == 24 && (civil->minute > 0 || civil->second > 0 || civil->micros > 0))
        return DECODE_FIELD_OVERFLOW;
    return DECODE_OK;
}

static decode_result time_decode(decoder *self, kd_slice text)
{
    kd_civil *civil = &self->civil;
    civil->second = 0;
    civil->micros = 0;
    self->nanos = 0;
    if (!number_take(&text, &civil->hour) || !separator_take(&text, ':'))
        return DECODE_BAD_FORMAT;
    civil->minute = 0; /* 'hh:' is a whole hour. */
    if (text.size_bytes > 0 && !number_take(&text, &civil->minute))
        return DECODE_BAD_FORMAT;
    if (text.size_bytes > 0 && text.data[0] == '.') {
        /* 'MM:SS.f' */
        civil->second = civil->minute;
        civil->minute = civil->hour;
        civil->hour = 0;
        if (!fraction_decode(self, text))
            return DECODE_BAD_FORMAT;
    } else if (text.size_bytes > 0) {
        if (!separator_take(&text, ':') || !number_take(&text, &civil->second))
            return DECODE_BAD_FORMAT;
        if (text.size_bytes > 0 && !fraction_decode(self, text))
            return DECODE_BAD_FORMAT;
    }
    self->has |= HAS_TIME;
    return time_check(civil);
}

bool kd_offset_parse(kd_slice text, int32_t *out_seconds, bool *out_overflows)
{
    *out_seconds = 0;
    *out_overflows = false;
    if (text.size_bytes < 2 || (text.data[0] != '-' && text.data[0] != '+') ||
        !kdi_is_digit(text.data[1]))
        return false;
    bool is_west = text.data[0] == '-';
    text = (kd_slice){text.data + 1, text.size_bytes - 1};
    size_t digits = text.size_bytes;
    int32_t hours = 0, minutes = 0, seconds = 0;
    if (!number_take(&text, &hours)) {
        *out_overflows = true;
        return false;
    }
    if (separator_take(&text, ':')) { /* What is missing after ':' is 0. */
        if (text.size_bytes > 0 && !number_take(&text, &minutes))
            return false;
        if (separator_take(&text, ':') && text.size_bytes > 0 && !number_take(&text, &seconds))
            return false;
    } else if (text.size_bytes == 0 && digits > 2) {
        minutes = hours % 100;
        hours = hours / 100;
    }
    *out_overflows = hours > 15 || minutes > 59 || seconds > 59;
    if (*out_overflows || text.size_bytes > 0)
        return false;
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    *out_seconds = is_west ? -total : total;
    return true;
}

static decode_result offset_decode(decoder *self, kd_slice text)
{
    bool overflows;
    if (!kd_offset_parse(text, &self->offset_seconds, &overflows))
        return overflows ? DECODE_OFFSET_OVERFLOW : DECODE_BAD_FORMAT;
    self->has |= HAS_ZONE;
    return DECODE_OK;
}

static decode_result year_set(decoder *self, int32_t value, size_t digits)
{
    self->civil.year = value;
    self->year_is_short = digits <= 2;
    self->has |= HAS_YEAR;
    return DECODE_OK;
}

static decode_result month_set(decoder *self, int32_t value)
{
    self->civil.month = value;
    self->has |= HAS_MONTH;
    return DECODE_OK;
}

static decode_result day_set(decoder *self, int32_t value)
{
    self->civil.day = value;
    self->has |= HAS_DAY;
    return DECODE_OK;
}

/* Digits run together: a date 'YYYYMMDD' or 'YYMMDD', or after a date a time 'HHMMSS', 'HHMM'. */
static decode_result run_decode(decoder *self, kd_slice text)
{
    const char *point = memchr(text.data, '.', text.size_bytes);
    size_t digits = point == NULL ? text.size_bytes : (size_t)(point - text.data);
    const char *at = text.data;
    bool has_date = (self->has & HAS_DATE) == HAS_DATE || self->only_time;
    if (point == NULL && !has_date && digits >= 6) {
        int32_t year;
        int32_t month;
        int32_t day;
        size_t year_digits = digits - 4;
        if (year_digits > 6 || !digits_read(at, (int)year_digits, &year) ||
            !digits_read(at + year_digits, 2, &month) ||
            !digits_read(at + year_digits + 2, 2, &day))
            return DECODE_BAD_FORMAT;
        year_set(self, year, year_digits);
        month_set(self, month);
        return day_set(self, day);
    }
    if ((self->has & HAS_TIME) != 0 || (digits != 6 && digits != 4))
        return DECODE_BAD_FORMAT;
    kd_civil *civil = &self->civil;
    civil->second = 0;
    civil->micros = 0;
    if (!digits_read(at, 2, &civil->hour) || !digits_read(at + 2, 2, &civil->minute) ||
        (digits == 6 && !digits_read(at + 4, 2, &civil->second)))
        return DECODE_BAD_FORMAT;
    if (point != NULL && !fraction_decode(self, (kd_slice){point, text.size_bytes - digits}))
        return DECODE_BAD_FORMAT;
    self->has |= HAS_TIME;
    return time_check(civil);
}

/* With a month in letters: which of day and year a number is. */
static decode_result beside_text_month(decoder *self, int32_t value, size_t digits)
{
    bool is_year_first = self->settings != NULL && self->settings->date_order == 2;
    if ((self->has & HAS_YEAR) == 0)
        return digits >= 3 || is_year_first ? year_set(self, value, digits) : day_set(self, value);
    if (digits >= 3 && self->year_is_short) {
        /* 'DD-Mon-YYYY': what was taken for a year was the day. */
        day_set(self, self->civil.year);
        return year_set(self, value, digits);
    }
    return day_set(self, value);
}

/* A number that is part of a date; what it is follows from its place. */
static decode_result number_decode(decoder *self, kd_slice text)
{
    kd_slice rest = text;
    int32_t value;
    if (!number_take(&rest, &value))
        return DECODE_FIELD_OVERFLOW;
    size_t digits = text.size_bytes - rest.size_bytes;
    if (rest.size_bytes > 0)
        return run_decode(self, text);
    uint8_t order = self->settings == NULL ? 0 : self->settings->date_order;
    unsigned has = self->has & HAS_DATE;
    if (digits == 3 && has == HAS_YEAR && value >= 1 && value <= 366) {
        self->day_of_year = value;
        self->has |= HAS_MONTH | HAS_DAY;
        return DECODE_OK;
    }
    switch (has) {
    case 0:
        if (digits >= 3 || order == 2)
            return year_set(self, value, digits);
        return order == 1 ? day_set(self, value) : month_set(self, value);
    case HAS_YEAR:
    case HAS_DAY:
        return month_set(self, value);
    case HAS_MONTH:
        return self->has_text_month ? beside_text_month(self, value, digits) : day_set(self, value);
    case HAS_YEAR | HAS_MONTH:
        return self->has_text_month ? beside_text_month(self, value, digits) : day_set(self, value);
    case HAS_MONTH | HAS_DAY:
        return year_set(self, value, digits);
    case HAS_DATE:
        return run_decode(self, text);
    default:
        return DECODE_BAD_FORMAT;
    }
}

static bool is_part_of_date(char c)
{
    return kdi_is_digit(c) || kdi_is_letter(c);
}

/* 'a-b-c' with any separators; the month may be a word. */
static decode_result date_decode(decoder *self, kd_slice text)
{
    kd_slice parts[3];
    uint32_t count = 0;
    for (size_t i = 0; i < text.size_bytes;) {
        while (i < text.size_bytes && !is_part_of_date(text.data[i]))
            i++;
        if (i == text.size_bytes)
            return DECODE_BAD_FORMAT; /* Ends in a separator. */
        size_t start = i;
        bool digits = kdi_is_digit(text.data[i]);
        while (i < text.size_bytes &&
               (digits ? kdi_is_digit(text.data[i]) : kdi_is_letter(text.data[i])))
            i++;
        if (count == 3)
            return DECODE_BAD_FORMAT;
        parts[count++] = (kd_slice){text.data + start, i - start};
    }
    bool used[3] = {false, false, false};
    for (uint32_t i = 0; i < count; i++) {
        if (!kdi_is_letter(parts[i].data[0]))
            continue;
        const kdi_date_word *word = kdi_date_word_find(parts[i]);
        if (word == NULL)
            return DECODE_BAD_FORMAT;
        used[i] = true;
        if (word->meaning == KDI_DATE_IGNORED)
            continue;
        if (word->meaning != KDI_DATE_MONTH || (self->has & HAS_MONTH) != 0)
            return DECODE_BAD_FORMAT;
        month_set(self, word->value);
        self->has_text_month = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (used[i])
            continue;
        unsigned had = self->has;
        decode_result result = number_decode(self, parts[i]);
        if (result != DECODE_OK)
            return result;
        if (had == self->has) /* Nothing left that it could be. */
            return DECODE_BAD_FORMAT;
    }
    return (self->has & HAS_DATE) == HAS_DATE ? DECODE_OK : DECODE_BAD_FORMAT;
}

/* `fraction` is of a day: ".5", or nothing. */
static decode_result julian_set(decoder *self, int32_t value, kd_slice fraction)
{
    char copy[TEXT_BYTES_MAX + 2] = "0";
    double part = 0;
    self->has_julian = true;
    self->julian_date = value;
    self->has |= HAS_DATE;
    if (fraction.size_bytes <= 1)
        return DECODE_OK;
    memcpy(copy + 1, fraction.data, fraction.size_bytes);
    if (!kd_parse_double_fast((kd_slice){copy, fraction.size_bytes + 1}, &part))
        return DECODE_BAD_FORMAT;
    int64_t time = (int64_t)(part * (double)KD_DAY_US);
    kd_civil *civil = &self->civil;
    civil->hour = (int32_t)(time / KD_HOUR_US);
    civil->minute = (int32_t)(time / KD_MINUTE_US % 60);
    civil->second = (int32_t)(time / KD_SECOND_US % 60);
    civil->micros = (int32_t)(time % KD_SECOND_US);
    self->nanos = civil->micros * 1000;
    self->has |= HAS_TIME;
    return DECODE_OK;
}

static decode_result zone_decode(decoder *self, kd_slice name)
{
    if (self->ctx->world == NULL)
        return DECODE_BAD_FORMAT;
    if (kd_zone_find(self->ctx, self->arena, name, &self->zone) != KD_OK)
        return DECODE_FAILED;
    if (self->zone == NULL) {
        (void)KD_FAIL(self->ctx, KD_INVALID, "22023", "time zone \"%.*s\" not recognized",
                      (int)name.size_bytes, name.data);
        return DECODE_FAILED;
    }
    self->has |= HAS_ZONE;
    return DECODE_OK;
}

static int64_t session_now(const kd_text_settings *settings)
{
    if (settings == NULL)
        return 0;
    if (settings->reads_now != NULL)
        *settings->reads_now = true;
    return settings->now_us;
}

/* Today's date in the session's zone, some days on. */
static decode_result relative_day(decoder *self, int32_t days)
{
    int64_t now_us = session_now(self->settings);
    const kd_zone *zone = session_zone(self->settings);
    int64_t unix_seconds = now_us / KD_SECOND_US - (now_us % KD_SECOND_US < 0) + 946684800;
    int64_t local = now_us + kd_zone_at_utc(zone, unix_seconds).seconds * KD_SECOND_US;
    int32_t date = kd_timestamp_to_date(local) + days;
    kd_date_to_civil(date, &self->civil.year, &self->civil.month, &self->civil.day);
    self->has |= HAS_DATE;
    return DECODE_OK;
}

static decode_result zone_word_decode(decoder *self, kd_slice word)
{
    int32_t seconds;
    bool is_dst;
    if (!kd_zone_abbreviation(word, &seconds, &is_dst)) {
        if (word.size_bytes < 3)
            return DECODE_BAD_FORMAT;
        if (self->ctx->world == NULL ||
            kd_zone_find(self->ctx, self->arena, word, &self->zone) != KD_OK ||
            self->zone == NULL) {
            kd_error_clear(self->ctx);
            return DECODE_BAD_FORMAT;
        }
    } else {
        self->offset_seconds = seconds;
    }
    self->has |= HAS_ZONE;
    return DECODE_OK;
}

static decode_result moment_set(decoder *self, moment value)
{
    self->moment = value;
    self->has |= HAS_DATE | HAS_TIME | HAS_ZONE;
    return DECODE_OK;
}

static decode_result word_decode(decoder *self, kd_slice text)
{
    const kdi_date_word *word = kdi_date_word_find(text);
    if (word == NULL)
        return zone_word_decode(self, text);
    switch ((kdi_date_meaning)word->meaning) {
    case KDI_DATE_IGNORED:
    case KDI_DATE_WEEKDAY:
    case KDI_DATE_AD:
        return DECODE_OK;
    case KDI_DATE_MONTH:
        if ((self->has & HAS_MONTH) != 0 && !self->has_text_month && (self->has & HAS_DAY) == 0 &&
            self->civil.month >= 1 && self->civil.month <= 31)
            day_set(self, self->civil.month); /* '8 Jan 1999': the number was the day. */
        else if ((self->has & HAS_MONTH) != 0)
            return DECODE_BAD_FORMAT;
        self->has_text_month = true;
        return month_set(self, word->value);
    case KDI_DATE_AM:
    case KDI_DATE_PM:
        if (self->is_am || self->is_pm)
            return DECODE_BAD_FORMAT;
        self->is_am = word->meaning == KDI_DATE_AM;
        self->is_pm = !self->is_am;
        return DECODE_OK;
    case KDI_DATE_BC:
        self->is_bc = true;
        return DECODE_OK;
    case KDI_DATE_ISO_TIME:
        self->label = KDI_DATE_UNIT_TIME;
        return DECODE_OK;
    case KDI_DATE_UNIT:
        if (self->label != KDI_DATE_UNIT_NONE)
            return DECODE_BAD_FORMAT;
        self->label = (kdi_date_unit)word->value;
        return DECODE_OK;
    case KDI_DATE_DST:
        self->offset_seconds += 3600;
        return DECODE_OK;
    case KDI_DATE_EPOCH:
        return moment_set(self, MOMENT_EPOCH);
    case KDI_DATE_INFINITY:
        return moment_set(self, MOMENT_INFINITY);
    case KDI_DATE_NOW:
        return moment_set(self, MOMENT_NOW);
    case KDI_DATE_TODAY:
        return relative_day(self, 0);
    case KDI_DATE_TOMORROW:
        return relative_day(self, 1);
    case KDI_DATE_YESTERDAY:
        return relative_day(self, -1);
    case KDI_DATE_MIDNIGHT:
        self->has |= HAS_TIME | HAS_ZONE;
        return DECODE_OK;
    }
    return DECODE_BAD_FORMAT;
}

/* The part of a time or date that a labelled number gives; what is known is not given again. */
static unsigned labelled_part(kdi_date_unit label)
{
    switch (label) {
    case KDI_DATE_UNIT_JULIAN:
        return HAS_DATE;
    case KDI_DATE_UNIT_YEAR:
        return HAS_YEAR;
    case KDI_DATE_UNIT_DAY:
        return HAS_DAY;
    case KDI_DATE_UNIT_HOUR:
        return HAS_HOUR;
    case KDI_DATE_UNIT_MINUTE:
        return HAS_MINUTE;
    case KDI_DATE_UNIT_SECOND:
        return HAS_SECOND;
    default:
        return 0;
    }
}

/* A number after a word that says what it is: 'J2451187.5', 'Y2001M12D27H04M05S06.789'. */
static decode_result labelled_decode(decoder *self, kd_slice text)
{
    kd_civil *civil = &self->civil;
    kdi_date_unit label = self->label;
    kd_slice rest = text;
    int32_t value;
    self->label = KDI_DATE_UNIT_NONE;
    if (label == KDI_DATE_UNIT_TIME)
        return run_decode(self, text);
    if (!number_take(&rest, &value))
        return DECODE_FIELD_OVERFLOW;
    if ((rest.size_bytes > 0 && rest.data[0] != '.') || (self->has & labelled_part(label)) != 0)
        return DECODE_BAD_FORMAT;
    switch (label) {
    case KDI_DATE_UNIT_JULIAN:
        return julian_set(self, value, rest);
    case KDI_DATE_UNIT_YEAR:
        return year_set(self, value, 4);
    case KDI_DATE_UNIT_MONTH:
        if ((self->has & HAS_MONTH) == 0 || (self->has & HAS_HOUR) == 0)
            return month_set(self, value);
        if ((self->has & HAS_MINUTE) != 0)
            return DECODE_BAD_FORMAT;
        civil->minute = value; /* After the hour M is the minute. */
        self->has |= HAS_MINUTE;
        return DECODE_OK;
    case KDI_DATE_UNIT_DAY:
        return day_set(self, value);
    case KDI_DATE_UNIT_HOUR:
        civil->hour = value;
        self->has |= HAS_HOUR;
        return DECODE_OK;
    case KDI_DATE_UNIT_MINUTE:
        civil->minute = value;
        self->has |= HAS_MINUTE;
        return DECODE_OK;
    default:
        civil->second = value;
        self->has |= HAS_SECOND;
        return rest.size_bytes == 0 || fraction_decode(self, rest) ? time_check(civil)
                                                                   : DECODE_BAD_FORMAT;
    }
}

/* What has separators inside: a date, or after one a zone's name or a time with a zone's offset
 * ('040506-08'). */
static decode_result date_field_decode(decoder *self, kd_slice text)
{
    unsigned month_and_day = HAS_MONTH | HAS_DAY;
    bool has_date = self->only_time || (self->has & month_and_day) == month_and_day;
    const char *minus = memchr(text.data, '-', text.size_bytes);
    kdi_date_unit label = self->label;
    if (label == KDI_DATE_UNIT_NONE && !has_date)
        return date_decode(self, text);
    if (label == KDI_DATE_UNIT_NONE && !kdi_is_digit(text.data[0]))
        return (self->has & HAS_ZONE) != 0 ? DECODE_BAD_FORMAT : zone_decode(self, text);
    if ((label != KDI_DATE_UNIT_NONE && label != KDI_DATE_UNIT_TIME &&
         label != KDI_DATE_UNIT_JULIAN) ||
        minus == NULL || (self->has & (HAS_TIME | HAS_ZONE)) != 0)
        return DECODE_BAD_FORMAT;
    kd_slice number = {text.data, (size_t)(minus - text.data)};
    decode_result result =
        label == KDI_DATE_UNIT_NONE ? run_decode(self, number) : labelled_decode(self, number);
    kd_slice offset = {minus, text.size_bytes - number.size_bytes};
    return result == DECODE_OK ? offset_decode(self, offset) : result;
}

static decode_result field_decode(decoder *self, const kdi_date_field *field)
{
    kd_slice text = field->text;
    kdi_date_unit label = self->label;
    switch (field->kind) {
    case KDI_DATE_FIELD_TIME:
        if ((self->has & HAS_TIME) != 0 || label > KDI_DATE_UNIT_TIME ||
            label == KDI_DATE_UNIT_JULIAN)
            return DECODE_BAD_FORMAT;
        self->label = KDI_DATE_UNIT_NONE;
        return time_decode(self, text);
    case KDI_DATE_FIELD_OFFSET:
        return (self->has & HAS_ZONE) != 0 ? DECODE_BAD_FORMAT : offset_decode(self, text);
    case KDI_DATE_FIELD_WORD:
        return word_decode(self, text);
    case KDI_DATE_FIELD_SIGNED_WORD:
        if (!kd_slice_equal(text, KD_SLICE("-infinity")))
            return DECODE_BAD_FORMAT;
        return moment_set(self, MOMENT_NEGATIVE_INFINITY);
    case KDI_DATE_FIELD_DATE:
        return date_field_decode(self, text);
    case KDI_DATE_FIELD_NUMBER:
        break;
    }
    if (label != KDI_DATE_UNIT_NONE)
        return labelled_decode(self, text);
    if (self->only_time)
        return run_decode(self, text);
    if ((self->has & HAS_DATE) == 0 && memchr(text.data, '.', text.size_bytes) != NULL)
        return date_decode(self, text); /* 'YYYY.DDD' */
    if (text.size_bytes >= 6 && ((self->has & HAS_DATE) == 0 || (self->has & HAS_TIME) == 0))
        return run_decode(self, text);
    return number_decode(self, text);
}

static decode_result date_check(decoder *self)
{
    kd_civil *civil = &self->civil;
    if (self->has_julian) {
        kd_date_to_civil(self->julian_date + KD_DATE_MIN, &civil->year, &civil->month, &civil->day);
        return DECODE_OK;
    }
    if (self->is_bc) {
        if (civil->year <= 0)
            return DECODE_FIELD_OVERFLOW;
        civil->year = 1 - civil->year;
    } else if (self->year_is_short) {
        civil->year += civil->year < 70 ? 2000 : 1900;
    } else if (civil->year <= 0) {
        return DECODE_FIELD_OVERFLOW;
    }
    if (civil->year > 5874898)
        return DECODE_FIELD_OVERFLOW;
    if (self->day_of_year > 0) {
        int32_t date = kd_date_from_civil(civil->year, 1, 1) + self->day_of_year - 1;
        kd_date_to_civil(date, &civil->year, &civil->month, &civil->day);
    }
    if (civil->month < 1 || civil->month > 12 || civil->day < 1 || civil->day > 31)
        return DECODE_DATE_ORDER_OVERFLOW;
    if (civil->day > kd_days_in_month(civil->year, civil->month))
        return DECODE_FIELD_OVERFLOW;
    return DECODE_OK;
}

static decode_result half_day_apply(decoder *self)
{
    kd_civil *civil = &self->civil;
    if (!self->is_am && !self->is_pm)
        return DECODE_OK;
    if (civil->hour > 12)
        return DECODE_FIELD_OVERFLOW;
    if (self->is_am && civil->hour == 12)
        civil->hour = 0;
    else if (self->is_pm && civil->hour != 12)
        civil->hour += 12;
    return DECODE_OK;
}

static decode_result decode(decoder *self, kd_slice text)
{
    kdi_date_fields list;
    if (text.size_bytes > TEXT_BYTES_MAX || !kdi_date_fields_cut(text, &list))
        return DECODE_BAD_FORMAT;
    for (uint32_t i = 0; i < list.count; i++) {
        decode_result result = field_decode(self, &list.fields[i]);
        if (result != DECODE_OK)
            return result;
        /* An epoch or infinity stands alone. */
        if (self->moment != MOMENT_CIVIL && list.count > 1 &&
            (self->moment != MOMENT_NOW || !self->only_time))
            return DECODE_BAD_FORMAT;
    }
    if (self->moment != MOMENT_CIVIL)
        return DECODE_OK;
    if (self->label != KDI_DATE_UNIT_NONE)
        return DECODE_BAD_FORMAT;
    decode_result result = half_day_apply(self);
    if (result == DECODE_OK)
        result = time_check(&self->civil);
    if (result != DECODE_OK)
        return result;
    if (self->only_time) { /* A zone's offset depends on a date, which there is none of. */
        unsigned date = self->has & HAS_DATE;
        bool is_whole = (self->has & HAS_TIME) == HAS_TIME && (date == 0 || date == HAS_DATE);
        return is_whole && self->zone == NULL ? DECODE_OK : DECODE_BAD_FORMAT;
    }
    if ((self->has & HAS_DATE) != HAS_DATE)
        return DECODE_BAD_FORMAT;
    return date_check(self);
}

static kd_status fail_decode(kd_ctx *ctx, decode_result result, const char *type_name,
                             kd_slice text)
{
    int size = text.size_bytes > 300 ? 300 : (int)text.size_bytes;
    switch (result) {
    case DECODE_FAILED:
        return ctx->error.status;
    case DECODE_FIELD_OVERFLOW:
        return KD_FAIL(ctx, KD_INVALID, "22008", "date/time field value out of range: \"%.*s\"",
                       size, text.data);
    case DECODE_DATE_ORDER_OVERFLOW: {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22008",
                                   "date/time field value out of range: \"%.*s\"", size, text.data);
        kd_error_set_hint(ctx, "Perhaps you need a different \"datestyle\" setting.");
        return status;
    }
    case DECODE_OFFSET_OVERFLOW:
        return KD_FAIL(ctx, KD_INVALID, "22009", "time zone displacement out of range: \"%.*s\"",
                       size, text.data);
    default:
        return KD_FAIL(ctx, KD_INVALID, "22007", "invalid input syntax for type %s: \"%.*s\"",
                       type_name, size, text.data);
    }
}

static kd_status fail_range(kd_ctx *ctx, const char *what, kd_slice text)
{
    return KD_FAIL(ctx, KD_INVALID, "22008", "%s out of range: \"%.*s\"", what,
                   (int)text.size_bytes, text.data);
}

/* The local time decoded; false beyond the range of timestamps. */
static bool local_timestamp(const decoder *self, int64_t *out)
{
    const kd_civil *civil = &self->civil;
    if (civil->year < -4713 || civil->year > 294277)
        return false;
    int64_t date = kd_date_from_civil(civil->year, civil->month, civil->day);
    int64_t time = civil->hour * KD_HOUR_US + civil->minute * KD_MINUTE_US +
                   civil->second * KD_SECOND_US + civil->micros;
    return !__builtin_mul_overflow(date, KD_DAY_US, out) &&
           !__builtin_add_overflow(*out, time, out);
}

static bool in_range(int64_t timestamp)
{
    return timestamp >= KD_TIMESTAMP_MIN && timestamp < KD_TIMESTAMP_END;
}

static int64_t to_utc(const decoder *self, int64_t local)
{
    int64_t unix_seconds = local / KD_SECOND_US - (local % KD_SECOND_US < 0) + 946684800;
    int32_t offset = self->offset_seconds;
    if ((self->has & HAS_ZONE) == 0)
        offset = kd_zone_at_local(session_zone(self->settings), unix_seconds).seconds;
    else if (self->zone != NULL)
        offset = kd_zone_at_local(self->zone, unix_seconds).seconds;
    return local - offset * KD_SECOND_US;
}

/* Moments other than a civil time; `is_local` for types without a zone. */
static int64_t moment_value(const decoder *self, bool is_local)
{
    switch (self->moment) {
    case MOMENT_EPOCH:
        return KD_UNIX_EPOCH_US;
    case MOMENT_INFINITY:
        return KD_TIMESTAMP_INFINITY;
    case MOMENT_NEGATIVE_INFINITY:
        return KD_TIMESTAMP_NEGATIVE_INFINITY;
    default: {
        int64_t now_us = session_now(self->settings);
        int64_t unix_seconds = now_us / KD_SECOND_US - (now_us % KD_SECOND_US < 0) + 946684800;
        int32_t offset = kd_zone_at_utc(session_zone(self->settings), unix_seconds).seconds;
        return is_local ? now_us + offset * KD_SECOND_US : now_us;
    }
    }
}

static decoder decoder_of(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings)
{
    return (decoder){.ctx = ctx, .arena = arena, .settings = settings};
}

kd_status kd_date_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                        kd_slice text, int32_t *out)
{
    if (kd_date_parse_fast(text, out))
        return KD_OK;
    decoder self = decoder_of(ctx, arena, settings);
    decode_result result = decode(&self, text);
    if (result != DECODE_OK)
        return fail_decode(ctx, result, "date", text);
    if (self.moment != MOMENT_CIVIL) {
        *out = kd_timestamp_to_date(moment_value(&self, true));
        return KD_OK;
    }
    if (self.civil.year < -4713 || (self.civil.year == -4713 && self.civil.month < 11) ||
        self.civil.year > 5874897)
        return fail_range(ctx, "date", text);
    int32_t date = kd_date_from_civil(self.civil.year, self.civil.month, self.civil.day);
    if (date < KD_DATE_MIN || date > KD_DATE_MAX)
        return fail_range(ctx, "date", text);
    *out = date;
    return KD_OK;
}

/* A time of day, alone or of a whole timestamp; `*out_time` is not set where it is a moment. */
static kd_status clock_decode(decoder *self, const char *type_name, kd_slice text,
                              int64_t *out_time)
{
    kd_ctx *ctx = self->ctx;
    self->only_time = true;
    decode_result result = decode(self, text);
    if (result != DECODE_OK) {
        decoder whole = decoder_of(ctx, self->arena, self->settings);
        if (result != DECODE_BAD_FORMAT || decode(&whole, text) != DECODE_OK ||
            whole.moment != MOMENT_CIVIL || (whole.has & HAS_TIME) == 0)
            return fail_decode(ctx, result, type_name, text);
        *self = whole;
    }
    if (self->moment != MOMENT_CIVIL)
        return self->moment == MOMENT_NOW ? KD_OK
                                          : fail_decode(ctx, DECODE_BAD_FORMAT, type_name, text);
    *out_time = self->civil.hour * KD_HOUR_US + self->civil.minute * KD_MINUTE_US +
                self->civil.second * KD_SECOND_US + self->civil.micros;
    return *out_time > KD_DAY_US ? fail_decode(ctx, DECODE_FIELD_OVERFLOW, type_name, text) : KD_OK;
}

kd_status kd_time_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                        kd_slice text, int64_t *out)
{
    if (kd_time_parse_fast(text, out))
        return KD_OK;
    decoder self = decoder_of(ctx, arena, settings);
    KD_TRY(clock_decode(&self, "time", text, out));
    if (self.moment != MOMENT_CIVIL) {
        int64_t now = moment_value(&self, true);
        *out = (now % KD_DAY_US + KD_DAY_US) % KD_DAY_US;
    }
    return KD_OK;
}

kd_status kd_timetz_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                          kd_slice text, int64_t *out)
{
    decoder self = decoder_of(ctx, arena, settings);
    int64_t time = 0, local;
    *out = 0;
    KD_TRY(clock_decode(&self, "time with time zone", text, &time));
    if (self.moment != MOMENT_CIVIL) {
        local = moment_value(&self, true);
        *out = kd_timetz_of(local, (int32_t)((local - moment_value(&self, false)) / KD_SECOND_US));
        return KD_OK;
    }
    if (self.only_time) /* A session's zone is taken as it is today. */
        (void)relative_day(&self, 0);
    if (!local_timestamp(&self, &local) || !in_range(local))
        return fail_range(ctx, "timestamp", text);
    int32_t west_s = (int32_t)((to_utc(&self, local) - local) / KD_SECOND_US);
    *out = kd_timetz_pack((kd_timetz){.time = time, .west_s = west_s});
    return KD_OK;
}

kd_status kd_timestamp_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                             kd_slice text, int64_t *out)
{
    if (kd_timestamp_parse_fast(text, out))
        return KD_OK;
    decoder self = decoder_of(ctx, arena, settings);
    decode_result result = decode(&self, text);
    if (result != DECODE_OK)
        return fail_decode(ctx, result, "timestamp", text);
    if (self.moment != MOMENT_CIVIL) {
        *out = moment_value(&self, true);
        return KD_OK;
    }
    int64_t local;
    if (!local_timestamp(&self, &local) || !in_range(local))
        return fail_range(ctx, "timestamp", text);
    *out = local;
    return KD_OK;
}

kd_status kd_timestamptz_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                               kd_slice text, int64_t *out)
{
    *out = 0;
    decoder self = decoder_of(ctx, arena, settings);
    int64_t local;
    if (!kd_timestamp_parse_fast(text, &local)) {
        decode_result result = decode(&self, text);
        if (result != DECODE_OK)
            return fail_decode(ctx, result, "timestamp with time zone", text);
        if (self.moment != MOMENT_CIVIL) {
            *out = moment_value(&self, false);
            return KD_OK;
        }
        if (!local_timestamp(&self, &local))
            return fail_range(ctx, "timestamp", text);
    }
    int64_t utc = to_utc(&self, local);
    if (!in_range(utc))
        return fail_range(ctx, "timestamp", text);
    *out = utc;
    return KD_OK;
}

kd_status kd_timestamp_ns_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                                kd_slice text, int64_t *out)
{
    *out = 0;
    decoder self = decoder_of(ctx, arena, settings);
    decode_result result = decode(&self, text);
    if (result != DECODE_OK)
        return fail_decode(ctx, result, "timestamp_ns", text);
    int64_t nanos = self.nanos;
    int64_t utc;
    if (self.moment != MOMENT_CIVIL) {
        utc = moment_value(&self, false);
        if (!kd_timestamp_is_finite(utc)) {
            *out = utc;
            return KD_OK;
        }
        nanos = 0;
    } else {
        self.civil.micros = 0;
        self.has |= HAS_ZONE; /* A missing zone is UTC, offset 0. */
        if (!local_timestamp(&self, &utc))
            return fail_range(ctx, "timestamp", text);
        utc = to_utc(&self, utc);
    }
    int64_t total;
    if (__builtin_sub_overflow(utc, KD_UNIX_EPOCH_US, &total) ||
        __builtin_mul_overflow(total, 1000, &total) ||
        __builtin_add_overflow(total, nanos, &total) || !kd_timestamp_is_finite(total))
        return fail_range(ctx, "timestamp", text);
    *out = total;
    return KD_OK;
}
