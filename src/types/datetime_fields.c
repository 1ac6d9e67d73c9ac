/*
 * Fields of dates and times: extract, date_trunc, date_bin, and making values from fields.
 */
#include "types/datetime.h"

#include "types/numeric.h"

#include <assert.h>
#include <math.h>

/* PostgreSQL's spellings of each field. */
static const struct {
    const char *name;
    kd_field field;
} field_names[] = {
    {"microseconds", KD_FIELD_MICROSECONDS},
    {"microsecond", KD_FIELD_MICROSECONDS},
    {"us", KD_FIELD_MICROSECONDS},
    {"usec", KD_FIELD_MICROSECONDS},
    {"usecs", KD_FIELD_MICROSECONDS},
    {"milliseconds", KD_FIELD_MILLISECONDS},
    {"millisecond", KD_FIELD_MILLISECONDS},
    {"ms", KD_FIELD_MILLISECONDS},
    {"msec", KD_FIELD_MILLISECONDS},
    {"msecs", KD_FIELD_MILLISECONDS},
    {"second", KD_FIELD_SECOND},
    {"seconds", KD_FIELD_SECOND},
    {"sec", KD_FIELD_SECOND},
    {"secs", KD_FIELD_SECOND},
    {"s", KD_FIELD_SECOND},
    {"minute", KD_FIELD_MINUTE},
    {"minutes", KD_FIELD_MINUTE},
    {"min", KD_FIELD_MINUTE},
    {"mins", KD_FIELD_MINUTE},
    {"m", KD_FIELD_MINUTE},
    {"hour", KD_FIELD_HOUR},
    {"hours", KD_FIELD_HOUR},
    {"hr", KD_FIELD_HOUR},
    {"hrs", KD_FIELD_HOUR},
    {"h", KD_FIELD_HOUR},
    {"day", KD_FIELD_DAY},
    {"days", KD_FIELD_DAY},
    {"d", KD_FIELD_DAY},
    {"week", KD_FIELD_WEEK},
    {"weeks", KD_FIELD_WEEK},
    {"w", KD_FIELD_WEEK},
    {"month", KD_FIELD_MONTH},
    {"months", KD_FIELD_MONTH},
    {"mon", KD_FIELD_MONTH},
    {"mons", KD_FIELD_MONTH},
    {"quarter", KD_FIELD_QUARTER},
    {"qtr", KD_FIELD_QUARTER},
    {"year", KD_FIELD_YEAR},
    {"years", KD_FIELD_YEAR},
    {"yr", KD_FIELD_YEAR},
    {"yrs", KD_FIELD_YEAR},
    {"y", KD_FIELD_YEAR},
    {"decade", KD_FIELD_DECADE},
    {"decades", KD_FIELD_DECADE},
    {"dec", KD_FIELD_DECADE},
    {"decs", KD_FIELD_DECADE},
    {"century", KD_FIELD_CENTURY},
    {"centuries", KD_FIELD_CENTURY},
    {"cent", KD_FIELD_CENTURY},
    {"c", KD_FIELD_CENTURY},
    {"millennium", KD_FIELD_MILLENNIUM},
    {"millennia", KD_FIELD_MILLENNIUM},
    {"mil", KD_FIELD_MILLENNIUM},
    {"mils", KD_FIELD_MILLENNIUM},
    {"dow", KD_FIELD_DOW},
    {"isodow", KD_FIELD_ISODOW},
    {"doy", KD_FIELD_DOY},
    {"isoyear", KD_FIELD_ISOYEAR},
    {"epoch", KD_FIELD_EPOCH},
    {"julian", KD_FIELD_JULIAN},
    {"timezone", KD_FIELD_TIMEZONE},
    {"timezone_h", KD_FIELD_TIMEZONE_HOUR},
    {"timezone_hour", KD_FIELD_TIMEZONE_HOUR},
    {"timezone_m", KD_FIELD_TIMEZONE_MINUTE},
    {"timezone_minute", KD_FIELD_TIMEZONE_MINUTE},
};

bool kd_field_find(kd_slice name, kd_field *out_field)
{
    for (size_t i = 0; i < sizeof field_names / sizeof field_names[0]; i++) {
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(field_names[i].name))) {
            *out_field = field_names[i].field;
            return true;
        }
    }
    return false;
}

static const char *field_name(kd_field field)
{
    static const char *const names[] = {
        [KD_FIELD_MICROSECONDS] = "microseconds",
        [KD_FIELD_MILLISECONDS] = "milliseconds",
        [KD_FIELD_SECOND] = "second",
        [KD_FIELD_MINUTE] = "minute",
        [KD_FIELD_HOUR] = "hour",
        [KD_FIELD_DAY] = "day",
        [KD_FIELD_WEEK] = "week",
        [KD_FIELD_MONTH] = "month",
        [KD_FIELD_QUARTER] = "quarter",
        [KD_FIELD_YEAR] = "year",
        [KD_FIELD_DECADE] = "decade",
        [KD_FIELD_CENTURY] = "century",
        [KD_FIELD_MILLENNIUM] = "millennium",
        [KD_FIELD_DOW] = "dow",
        [KD_FIELD_ISODOW] = "isodow",
        [KD_FIELD_DOY] = "doy",
        [KD_FIELD_ISOYEAR] = "isoyear",
        [KD_FIELD_EPOCH] = "epoch",
        [KD_FIELD_JULIAN] = "julian",
        [KD_FIELD_TIMEZONE] = "timezone",
        [KD_FIELD_TIMEZONE_HOUR] = "timezone_hour",
        [KD_FIELD_TIMEZONE_MINUTE] = "timezone_minute",
    };
    return names[field];
}

static kd_status fail_field(kd_ctx *ctx, kd_field field, const char *type_name)
{
    return KD_FAIL(ctx, KD_INVALID, "0A000", "unit \"%s\" not supported for type %s",
                   field_name(field), type_name);
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* ---- date_trunc ---- */

/* The first year of the decade, century or millennium; there is no year 0 in counting them. */
static int32_t period_first_year(int32_t year, int32_t length)
{
    if (length == 10)
        return (int32_t)floor_div(year, 10) * 10;
    if (year > 0)
        return (year + length - 1) / length * length - (length - 1);
    return -((length - 1 - (year - 1)) / length) * length + 1;
}

static int64_t date_us(int32_t year, int32_t month, int32_t day)
{
    return kd_date_from_civil(year, month, day) * KD_DAY_US;
}

/* `*out_is_date`: whether the result is a day boundary, which depends on the zone. */
static bool trunc_local(kd_field field, int64_t timestamp, int64_t *out, bool *out_is_date)
{
    kd_civil civil;
    kd_timestamp_to_civil(timestamp, &civil);
    *out_is_date = true;
    switch (field) {
    case KD_FIELD_MILLENNIUM:
        *out = date_us(period_first_year(civil.year, 1000), 1, 1);
        return true;
    case KD_FIELD_CENTURY:
        *out = date_us(period_first_year(civil.year, 100), 1, 1);
        return true;
    case KD_FIELD_DECADE:
        *out = date_us(period_first_year(civil.year, 10), 1, 1);
        return true;
    case KD_FIELD_YEAR:
        *out = date_us(civil.year, 1, 1);
        return true;
    case KD_FIELD_QUARTER:
        *out = date_us(civil.year, (civil.month - 1) / 3 * 3 + 1, 1);
        return true;
    case KD_FIELD_MONTH:
        *out = date_us(civil.year, civil.month, 1);
        return true;
    case KD_FIELD_WEEK: {
        int32_t date = kd_timestamp_to_date(timestamp);
        *out = (date - (kd_date_day_of_week(date) + 6) % 7) * KD_DAY_US;
        return true;
    }
    case KD_FIELD_DAY:
        *out = floor_div(timestamp, KD_DAY_US) * KD_DAY_US;
        return true;
    default:
        break;
    }
    *out_is_date = false;
    static const int64_t units[] = {
        [KD_FIELD_MICROSECONDS] = 1,           [KD_FIELD_MILLISECONDS] = 1000,
        [KD_FIELD_SECOND] = INT64_C(1000000),  [KD_FIELD_MINUTE] = INT64_C(60000000),
        [KD_FIELD_HOUR] = INT64_C(3600000000),
    };
    if (field > KD_FIELD_HOUR)
        return false;
    *out = floor_div(timestamp, units[field]) * units[field];
    return true;
}

kd_status kd_timestamp_trunc(kd_ctx *ctx, kd_field field, int64_t timestamp, int64_t *out)
{
    bool is_date;
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    if (!trunc_local(field, timestamp, out, &is_date))
        return fail_field(ctx, field, "timestamp without time zone");
    return kd_timestamp_check(ctx, *out);
}

kd_status kd_timestamptz_trunc(kd_ctx *ctx, const kd_zone *zone, kd_field field, int64_t timestamp,
                               int64_t *out)
{
    bool is_date;
    int64_t local;
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    KD_TRY(kd_timestamp_from_utc(ctx, zone, timestamp, &local));
    int64_t offset = local - timestamp;
    if (!trunc_local(field, local, &local, &is_date))
        return fail_field(ctx, field, "timestamp with time zone");
    if (is_date)
        return kd_timestamp_to_utc(ctx, zone, local, out);
    *out = local - offset; /* Within a day the offset stays: an hour that occurs twice does not. */
    return kd_timestamp_check(ctx, *out);
}

kd_status kd_interval_trunc(kd_ctx *ctx, kd_field field, kd_interval interval, kd_interval *out)
{
    static const int32_t unit_months[] = {
        [KD_FIELD_MONTH] = 1,    [KD_FIELD_QUARTER] = 3,    [KD_FIELD_YEAR] = 12,
        [KD_FIELD_DECADE] = 120, [KD_FIELD_CENTURY] = 1200, [KD_FIELD_MILLENNIUM] = 12000,
    };
    static const int64_t unit_micros[] = {
        [KD_FIELD_MICROSECONDS] = 1,           [KD_FIELD_MILLISECONDS] = 1000,
        [KD_FIELD_SECOND] = INT64_C(1000000),  [KD_FIELD_MINUTE] = INT64_C(60000000),
        [KD_FIELD_HOUR] = INT64_C(3600000000),
    };
    *out = (kd_interval){0};
    if (field > KD_FIELD_MILLENNIUM || field == KD_FIELD_WEEK)
        return fail_field(ctx, field, "interval");
    if (field <= KD_FIELD_HOUR) {
        *out = interval;
        out->micros -= interval.micros % unit_micros[field];
    } else if (field == KD_FIELD_DAY) {
        *out = (kd_interval){.months = interval.months, .days = interval.days};
    } else if (field == KD_FIELD_QUARTER) {
        /* Whole quarters of the year that is left. */
        out->months = interval.months / 12 * 12 + interval.months % 12 / 3 * 3;
    } else {
        out->months = interval.months - interval.months % unit_months[field];
    }
    return KD_OK;
}

/* ---- extract ---- */

static kd_extract whole(int64_t value)
{
    return (kd_extract){.value = value};
}

static int32_t century_of(int32_t year, int32_t length)
{
    return year > 0 ? (year + length - 1) / length : -((length - 1 - (year - 1)) / length);
}

/* Fields of a date. False: not one of them. */
static bool extract_date_part(kd_field field, int32_t date, kd_extract *out)
{
    int32_t year;
    int32_t month;
    int32_t day;
    kd_date_to_civil(date, &year, &month, &day);
    int32_t iso_year = 0;
    int32_t week = 0;
    if (field == KD_FIELD_WEEK || field == KD_FIELD_ISOYEAR)
        kd_date_iso_week(date, &iso_year, &week);
    switch (field) {
    case KD_FIELD_DAY:
        *out = whole(day);
        return true;
    case KD_FIELD_MONTH:
        *out = whole(month);
        return true;
    case KD_FIELD_QUARTER:
        *out = whole((month - 1) / 3 + 1);
        return true;
    case KD_FIELD_WEEK:
        *out = whole(week);
        return true;
    case KD_FIELD_YEAR:
        *out = whole(year > 0 ? year : year - 1);
        return true;
    case KD_FIELD_ISOYEAR:
        *out = whole(iso_year > 0 ? iso_year : iso_year - 1);
        return true;
    case KD_FIELD_DECADE:
        *out = whole(floor_div(year, 10));
        return true;
    case KD_FIELD_CENTURY:
        *out = whole(century_of(year, 100));
        return true;
    case KD_FIELD_MILLENNIUM:
        *out = whole(century_of(year, 1000));
        return true;
    case KD_FIELD_DOW:
        *out = whole(kd_date_day_of_week(date));
        return true;
    case KD_FIELD_ISODOW:
        *out = whole((kd_date_day_of_week(date) + 6) % 7 + 1);
        return true;
    case KD_FIELD_DOY:
        *out = whole(kd_date_day_of_year(date));
        return true;
    default:
        return false;
    }
}

static bool extract_time_part(kd_field field, int64_t time, kd_extract *out)
{
    int64_t minute_us = time % KD_MINUTE_US;
    switch (field) {
    case KD_FIELD_MICROSECONDS:
        *out = whole(minute_us);
        return true;
    case KD_FIELD_MILLISECONDS:
        *out = (kd_extract){.value = minute_us, .scale = 3};
        return true;
    case KD_FIELD_SECOND:
        *out = (kd_extract){.value = minute_us, .scale = 6};
        return true;
    case KD_FIELD_MINUTE:
        *out = whole(time / KD_MINUTE_US % 60);
        return true;
    case KD_FIELD_HOUR:
        *out = whole(time / KD_HOUR_US);
        return true;
    default:
        return false;
    }
}

/* Infinite values have no fields that go round; those that grow are infinite themselves. */
static bool extract_infinite(kd_field field, bool is_negative, kd_extract *out)
{
    switch (field) {
    case KD_FIELD_YEAR:
    case KD_FIELD_DECADE:
    case KD_FIELD_CENTURY:
    case KD_FIELD_MILLENNIUM:
    case KD_FIELD_JULIAN:
    case KD_FIELD_ISOYEAR:
    case KD_FIELD_EPOCH:
        *out = (kd_extract){.infinity = is_negative ? -1 : 1};
        return true;
    default:
        *out = (kd_extract){.is_null = true};
        return true;
    }
}

kd_status kd_date_extract(kd_ctx *ctx, kd_field field, int32_t date, kd_extract *out)
{
    *out = (kd_extract){0};
    kd_extract ignored;
    bool is_part = field == KD_FIELD_EPOCH || field == KD_FIELD_JULIAN ||
                   extract_date_part(field, 0, &ignored);
    if (!is_part)
        return fail_field(ctx, field, "date");
    if (!kd_date_is_finite(date)) {
        extract_infinite(field, date < 0, out);
        return KD_OK;
    }
    if (field == KD_FIELD_EPOCH)
        *out = whole(((int64_t)date - KD_UNIX_EPOCH_DAYS) * 86400);
    else if (field == KD_FIELD_JULIAN)
        *out = whole((int64_t)date - KD_DATE_MIN);
    else
        extract_date_part(field, date, out);
    return KD_OK;
}

kd_status kd_time_extract(kd_ctx *ctx, kd_field field, int64_t time, kd_extract *out)
{
    *out = (kd_extract){0};
    if (extract_time_part(field, time, out))
        return KD_OK;
    if (field != KD_FIELD_EPOCH)
        return fail_field(ctx, field, "time without time zone");
    *out = (kd_extract){.value = time, .scale = 6};
    return KD_OK;
}

/* Julian day with the time as its fraction, to as many digits as PostgreSQL's numeric division
 * gives: 16 significant ones, counted in groups of four. */
static kd_extract julian_of(int64_t timestamp)
{
    int64_t date = floor_div(timestamp, KD_DAY_US);
    kd_i128 time = timestamp - date * KD_DAY_US;
    int scale = time >= 100000000 ? 20 : time >= 10000 ? 24 : 28;
    kd_i128 unit = kd_pow10_i128(scale);
    /* The product of a day's micros and 10^28 would leave 128 bits: divide in two steps. */
    kd_i128 whole_part = time * kd_pow10_i128(20) / KD_DAY_US;
    kd_i128 rest = time * kd_pow10_i128(20) % KD_DAY_US;
    kd_i128 fraction = whole_part * kd_pow10_i128(scale - 20) +
                       (rest * kd_pow10_i128(scale - 20) + KD_DAY_US / 2) / KD_DAY_US;
    return (kd_extract){.value = (kd_i128)(date - KD_DATE_MIN) * unit + fraction, .scale = scale};
}

/* All fields of a finite timestamp but those of the zone. */
static bool extract_finite(kd_field field, int64_t timestamp, kd_extract *out)
{
    int64_t date = floor_div(timestamp, KD_DAY_US);
    if (extract_time_part(field, timestamp - date * KD_DAY_US, out) ||
        extract_date_part(field, (int32_t)date, out))
        return true;
    if (field == KD_FIELD_JULIAN)
        *out = julian_of(timestamp);
    return field == KD_FIELD_JULIAN;
}

/* Seconds since 1970 with six decimals. */
static kd_extract epoch_of(int64_t timestamp)
{
    return (kd_extract){.value = (kd_i128)timestamp - KD_UNIX_EPOCH_US, .scale = 6};
}

/* False: not one of the zone's fields. */
static bool extract_zone_part(kd_field field, int64_t east_s, kd_extract *out)
{
    if (field == KD_FIELD_TIMEZONE)
        *out = whole(east_s);
    else if (field == KD_FIELD_TIMEZONE_HOUR)
        *out = whole(east_s / 3600);
    else if (field == KD_FIELD_TIMEZONE_MINUTE)
        *out = whole(east_s / 60 % 60);
    else
        return false;
    return true;
}

kd_status kd_timetz_extract(kd_ctx *ctx, kd_field field, int64_t packed, kd_extract *out)
{
    kd_timetz value = kd_timetz_unpack(packed);
    *out = (kd_extract){0};
    if (field == KD_FIELD_EPOCH)
        *out = (kd_extract){.value = value.time + value.west_s * KD_SECOND_US, .scale = 6};
    else if (!extract_zone_part(field, -value.west_s, out) &&
             !extract_time_part(field, value.time, out))
        return fail_field(ctx, field, "time with time zone");
    return KD_OK;
}

kd_status kd_timestamp_extract(kd_ctx *ctx, kd_field field, int64_t timestamp, kd_extract *out)
{
    *out = (kd_extract){0};
    if (field >= KD_FIELD_TIMEZONE)
        return fail_field(ctx, field, "timestamp without time zone");
    if (!kd_timestamp_is_finite(timestamp))
        extract_infinite(field, timestamp < 0, out);
    else if (field == KD_FIELD_EPOCH)
        *out = epoch_of(timestamp);
    else
        extract_finite(field, timestamp, out);
    return KD_OK;
}

kd_status kd_timestamptz_extract(kd_ctx *ctx, const kd_zone *zone, kd_field field,
                                 int64_t timestamp, kd_extract *out)
{
    *out = (kd_extract){0};
    if (!kd_timestamp_is_finite(timestamp)) {
        extract_infinite(field, timestamp < 0, out);
        return KD_OK;
    }
    if (field == KD_FIELD_EPOCH) {
        *out = epoch_of(timestamp);
        return KD_OK;
    }
    int64_t local;
    KD_TRY(kd_timestamp_from_utc(ctx, zone, timestamp, &local));
    if (!extract_zone_part(field, (local - timestamp) / KD_SECOND_US, out))
        extract_finite(field, local, out);
    return KD_OK;
}

/* A year is 365.25 days and a month 30. */
static void interval_epoch(kd_interval interval, kd_extract *out)
{
    kd_i128 seconds = (kd_i128)(interval.months / 12) * 31557600 +
                      (kd_i128)(interval.months % 12) * 2592000 + (kd_i128)interval.days * 86400;
    kd_i128 micros = seconds * KD_SECOND_US + interval.micros;
    *out = (kd_extract){.value = micros, .scale = 6};
}

kd_status kd_interval_extract(kd_ctx *ctx, kd_field field, kd_interval interval, kd_extract *out)
{
    int32_t years = interval.months / 12;
    *out = (kd_extract){0};
    switch (field) {
    case KD_FIELD_DAY:
        *out = whole(interval.days);
        return KD_OK;
    case KD_FIELD_MONTH:
        *out = whole(interval.months % 12);
        return KD_OK;
    case KD_FIELD_QUARTER:
        *out = whole(interval.months % 12 / 3 + 1);
        return KD_OK;
    case KD_FIELD_YEAR:
        *out = whole(years);
        return KD_OK;
    case KD_FIELD_DECADE:
        *out = whole(years / 10);
        return KD_OK;
    case KD_FIELD_CENTURY:
        *out = whole(years / 100);
        return KD_OK;
    case KD_FIELD_MILLENNIUM:
        *out = whole(years / 1000);
        return KD_OK;
    case KD_FIELD_EPOCH:
        interval_epoch(interval, out);
        return KD_OK;
    default:
        if (extract_time_part(field, interval.micros, out))
            return KD_OK;
        return fail_field(ctx, field, "interval");
    }
}

/* ---- Making ---- */

kd_status kd_date_make(kd_ctx *ctx, int32_t year, int32_t month, int32_t day, int32_t *out)
{
    *out = 0;
    int32_t counted = year < 0 ? year + 1 : year; /* -1 is 1 BC, which is year 0 here. */
    if (year == 0 || year < -4714 || year > 5874897 || month < 1 || month > 12 || day < 1 ||
        day > kd_days_in_month(counted, month))
        return KD_FAIL(ctx, KD_INVALID, "22008", "date field value out of range: %d-%02d-%02d",
                       year, month, day);
    int32_t date = kd_date_from_civil(counted, month, day);
    if (date < KD_DATE_MIN || date > KD_DATE_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range: %d-%02d-%02d", year, month,
                       day);
    *out = date;
    return KD_OK;
}

kd_status kd_time_make(kd_ctx *ctx, int32_t hour, int32_t minute, double second, int64_t *out)
{
    *out = 0;
    double micros = rint(second * 1000000.0);
    if (isnan(second) || hour < 0 || hour > 24 || minute < 0 || minute > 59 || second < 0 ||
        micros > 60000000.0 ||
        hour * KD_HOUR_US + minute * KD_MINUTE_US + (int64_t)micros > KD_DAY_US)
        return KD_FAIL(ctx, KD_INVALID, "22008", "time field value out of range: %d:%02d:%02g",
                       hour, minute, second);
    *out = hour * KD_HOUR_US + minute * KD_MINUTE_US + (int64_t)micros;
    return KD_OK;
}

kd_status kd_timestamp_make(kd_ctx *ctx, int32_t year_month_day_hour_minute[5], double second,
                            int64_t *out)
{
    const int32_t *parts = year_month_day_hour_minute;
    int32_t date;
    int64_t time;
    *out = 0;
    KD_TRY(kd_date_make(ctx, parts[0], parts[1], parts[2], &date));
    KD_TRY(kd_time_make(ctx, parts[3], parts[4], second, &time));
    int64_t timestamp;
    KD_TRY(kd_date_to_timestamp(ctx, date, &timestamp));
    if (__builtin_add_overflow(timestamp, time, out))
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range");
    return kd_timestamp_check(ctx, *out);
}

kd_status kd_timestamp_from_epoch(kd_ctx *ctx, double seconds, int64_t *out)
{
    *out = 0;
    if (isnan(seconds))
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp cannot be NaN");
    if (isinf(seconds)) {
        *out = seconds < 0 ? KD_TIMESTAMP_NEGATIVE_INFINITY : KD_TIMESTAMP_INFINITY;
        return KD_OK;
    }
    double micros = rint((seconds - 946684800.0) * 1000000.0);
    if (micros < (double)KD_TIMESTAMP_MIN || micros >= (double)KD_TIMESTAMP_END)
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range: \"%g\"", seconds);
    *out = (int64_t)micros;
    return KD_OK;
}

kd_status kd_timestamp_bin(kd_ctx *ctx, kd_interval stride, int64_t timestamp, int64_t origin,
                           int64_t *out)
{
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    if (!kd_timestamp_is_finite(origin))
        return KD_FAIL(ctx, KD_INVALID, "22008", "origin out of range");
    if (stride.months != 0)
        return KD_FAIL(ctx, KD_INVALID, "0A000",
                       "timestamps cannot be binned into intervals containing months or years");
    kd_i128 stride_us = (kd_i128)stride.days * KD_DAY_US + stride.micros;
    if (stride_us <= 0)
        return KD_FAIL(ctx, KD_INVALID, "22008", "stride must be greater than zero");
    kd_i128 difference = (kd_i128)timestamp - origin;
    if (stride_us != (int64_t)stride_us || difference != (int64_t)difference)
        return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
    kd_i128 remainder = difference % stride_us;
    if (remainder < 0)
        remainder += stride_us;
    kd_i128 binned = (kd_i128)timestamp - remainder;
    if (binned < KD_TIMESTAMP_MIN || binned >= KD_TIMESTAMP_END)
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range");
    *out = (int64_t)binned;
    return KD_OK;
}
