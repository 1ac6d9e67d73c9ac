/*
 * Dates and times as text: ISO 8601 as PostgreSQL writes it, and the styles that DateStyle names.
 *
 *   style     date         timestamp                       timestamptz
 *   ISO       1997-12-17   1997-12-17 07:37:16             1997-12-17 07:37:16-08
 *   SQL       12/17/1997   12/17/1997 07:37:16             12/17/1997 07:37:16 PST
 *   Postgres  12-17-1997   Wed Dec 17 07:37:16 1997        Wed Dec 17 07:37:16 1997 PST
 *   German    17.12.1997   17.12.1997 07:37:16             17.12.1997 07:37:16 PST
 *
 * With the order DMY, SQL and Postgres write the day before the month.
 */
#include "types/datetime.h"

static char *two_digits(char *at, int32_t value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

/* Four digits or more; the caller writes " BC" at the end. */
static char *year_write(char *at, int32_t year)
{
    if (year <= 0)
        year = 1 - year;
    char digits[12];
    int count = 0;
    for (int32_t rest = year; rest > 0 || count < 4; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

/* The fraction without trailing zeros; `digits` is how many `value` has. */
static char *fraction_write(char *at, int32_t value, int digits)
{
    if (value == 0)
        return at;
    *at++ = '.';
    for (int i = digits; i-- > 0;) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at += digits;
    while (at[-1] == '0')
        at--;
    return at;
}

static char *time_write(char *at, int32_t hour, int32_t minute, int32_t second)
{
    at = two_digits(at, hour);
    *at++ = ':';
    at = two_digits(at, minute);
    *at++ = ':';
    return two_digits(at, second);
}

static char *text_write(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

static size_t infinite_write(char *out, bool is_negative)
{
    return (size_t)(text_write(out, is_negative ? "-infinity" : "infinity") - out);
}

static kd_date_style style_of(const kd_text_settings *settings)
{
    return settings == NULL ? KD_DATE_STYLE_ISO : (kd_date_style)settings->date_style;
}

/* The year, month and day with the style's separators; Postgres writes timestamps otherwise. */
static char *date_write(const kd_text_settings *settings, char *at, const kd_civil *civil)
{
    static const char separators[] = {[KD_DATE_STYLE_ISO] = '-',
                                      [KD_DATE_STYLE_SQL] = '/',
                                      [KD_DATE_STYLE_POSTGRES] = '-',
                                      [KD_DATE_STYLE_GERMAN] = '.'};
    kd_date_style style = style_of(settings);
    char separator = separators[style];
    if (style == KD_DATE_STYLE_ISO) {
        at = year_write(at, civil->year);
        *at++ = separator;
        at = two_digits(at, civil->month);
        *at++ = separator;
        return two_digits(at, civil->day);
    }
    bool day_first = style == KD_DATE_STYLE_GERMAN || settings->date_order == 1;
    at = two_digits(at, day_first ? civil->day : civil->month);
    *at++ = separator;
    at = two_digits(at, day_first ? civil->month : civil->day);
    *at++ = separator;
    return year_write(at, civil->year);
}

/* "Wed Dec 17 07:37:16 1997" */
static char *postgres_write(const kd_text_settings *settings, char *at, const kd_civil *civil)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int32_t date = kd_date_from_civil(civil->year, civil->month, civil->day);
    memcpy(at, days + 3 * kd_date_day_of_week(date), 3);
    at[3] = ' ';
    at += 4;
    if (settings->date_order == 1) {
        at = two_digits(at, civil->day);
        *at++ = ' ';
    }
    memcpy(at, months + 3 * (civil->month - 1), 3);
    at[3] = ' ';
    at += 4;
    if (settings->date_order != 1) {
        at = two_digits(at, civil->day);
        *at++ = ' ';
    }
    at = time_write(at, civil->hour, civil->minute, civil->second);
    at = fraction_write(at, civil->micros, 6);
    *at++ = ' ';
    return year_write(at, civil->year);
}

static char *civil_write(const kd_text_settings *settings, char *at, const kd_civil *civil)
{
    if (style_of(settings) == KD_DATE_STYLE_POSTGRES)
        return postgres_write(settings, at, civil);
    at = date_write(settings, at, civil);
    *at++ = ' ';
    at = time_write(at, civil->hour, civil->minute, civil->second);
    return fraction_write(at, civil->micros, 6);
}

static char *offset_write(char *at, int32_t offset)
{
    *at++ = offset < 0 ? '-' : '+';
    int32_t magnitude = offset < 0 ? -offset : offset;
    at = two_digits(at, magnitude / 3600);
    if (magnitude % 3600 != 0) {
        *at++ = ':';
        at = two_digits(at, magnitude / 60 % 60);
    }
    if (magnitude % 60 != 0) {
        *at++ = ':';
        at = two_digits(at, magnitude % 60);
    }
    return at;
}

/* Styles other than ISO name the zone, in ten letters at most. */
static char *zone_write(const kd_text_settings *settings, char *at, kd_zone_offset offset)
{
    enum { NAME_BYTES_MAX = 10 };
    if (style_of(settings) == KD_DATE_STYLE_ISO)
        return offset_write(at, offset.seconds);
    *at++ = ' ';
    if (offset.abbreviation == NULL)
        return offset_write(at, offset.seconds);
    for (int i = 0; i < NAME_BYTES_MAX && offset.abbreviation[i] != '\0'; i++)
        *at++ = offset.abbreviation[i];
    return at;
}

size_t kd_date_format(const kd_text_settings *settings, int32_t date, char *out)
{
    if (!kd_date_is_finite(date))
        return infinite_write(out, date < 0);
    kd_civil civil = {0};
    kd_date_to_civil(date, &civil.year, &civil.month, &civil.day);
    char *at = date_write(settings, out, &civil);
    if (civil.year <= 0)
        at = text_write(at, " BC");
    return (size_t)(at - out);
}

size_t kd_time_format(int64_t time, char *out)
{
    char *at = time_write(out, (int32_t)(time / KD_HOUR_US % 100),
                          (int32_t)(time / KD_MINUTE_US % 60), (int32_t)(time / KD_SECOND_US % 60));
    at = fraction_write(at, (int32_t)(time % KD_SECOND_US), 6);
    return (size_t)(at - out);
}

size_t kd_timetz_format(int64_t packed, char *out)
{
    kd_timetz value = kd_timetz_unpack(packed);
    size_t size = kd_time_format(value.time, out);
    return (size_t)(offset_write(out + size, -value.west_s) - out);
}

size_t kd_timestamp_format(const kd_text_settings *settings, int64_t timestamp, char *out)
{
    if (!kd_timestamp_is_finite(timestamp))
        return infinite_write(out, timestamp < 0);
    kd_civil civil;
    kd_timestamp_to_civil(timestamp, &civil);
    char *at = civil_write(settings, out, &civil);
    if (civil.year <= 0)
        at = text_write(at, " BC");
    return (size_t)(at - out);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

size_t kd_timestamptz_format(const kd_text_settings *settings, int64_t timestamp, char *out)
{
    if (!kd_timestamp_is_finite(timestamp))
        return infinite_write(out, timestamp < 0);
    int64_t unix_seconds = floor_div(timestamp, KD_SECOND_US) + 946684800;
    kd_zone_offset offset = kd_zone_at_utc(settings == NULL ? NULL : settings->zone, unix_seconds);
    kd_civil civil;
    kd_timestamp_to_civil(timestamp + offset.seconds * KD_SECOND_US, &civil);
    char *at = civil_write(settings, out, &civil);
    at = zone_write(settings, at, offset);
    if (civil.year <= 0)
        at = text_write(at, " BC");
    return (size_t)(at - out);
}

size_t kd_timestamp_ns_format(int64_t timestamp, char *out)
{
    if (!kd_timestamp_is_finite(timestamp))
        return infinite_write(out, timestamp < 0);
    int64_t seconds = floor_div(timestamp, 1000000000);
    kd_civil civil;
    kd_timestamp_to_civil(seconds * KD_SECOND_US + KD_UNIX_EPOCH_US, &civil);
    char *at = civil_write(NULL, out, &civil);
    at = fraction_write(at, (int32_t)(timestamp - seconds * 1000000000), 9);
    return (size_t)(at - out);
}
