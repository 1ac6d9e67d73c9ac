/*
 * The calendar, output of dates and times, and arithmetic on them.
 */
#include "types/datetime.h"

#include <assert.h>
#include <math.h>

/* ---- Calendar ---- */

bool kd_year_is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int32_t kd_days_in_month(int32_t year, int32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && kd_year_is_leap(year));
}

/* Years begin in March, so that the leap day is the last; eras of 400 years have 146,097 days. */
int32_t kd_date_from_civil(int32_t year, int32_t month, int32_t day)
{
    int32_t shifted = year - (month <= 2);
    int32_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int32_t year_of_era = shifted - era * 400;
    int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int32_t)((int64_t)era * 146097 + day_of_era - 730425);
}

void kd_date_to_civil(int32_t date, int32_t *out_year, int32_t *out_month, int32_t *out_day)
{
    int64_t shifted = (int64_t)date + 730425;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int32_t day_of_era = (int32_t)(shifted - era * 146097);
    int32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t month = (5 * day_of_year + 2) / 153;
    *out_day = day_of_year - (153 * month + 2) / 5 + 1;
    *out_month = month < 10 ? month + 3 : month - 9;
    *out_year = (int32_t)(era * 400) + year_of_era + (*out_month <= 2);
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

void kd_timestamp_to_civil(int64_t timestamp, kd_civil *out)
{
    int64_t days = floor_div(timestamp, KD_DAY_US);
    int64_t time = timestamp - days * KD_DAY_US;
    kd_date_to_civil((int32_t)days, &out->year, &out->month, &out->day);
    out->hour = (int32_t)(time / KD_HOUR_US);
    out->minute = (int32_t)(time / KD_MINUTE_US % 60);
    out->second = (int32_t)(time / KD_SECOND_US % 60);
    out->micros = (int32_t)(time % KD_SECOND_US);
}

int32_t kd_date_day_of_week(int32_t date)
{
    return (int32_t)((((int64_t)date + 6) % 7 + 7) % 7); /* 2000-01-01 was a Saturday. */
}

int32_t kd_date_day_of_year(int32_t date)
{
    int32_t year;
    int32_t month;
    int32_t day;
    kd_date_to_civil(date, &year, &month, &day);
    return date - kd_date_from_civil(year, 1, 1) + 1;
}

void kd_date_iso_week(int32_t date, int32_t *out_year, int32_t *out_week)
{
    /* A week belongs to the year of its Thursday. */
    int32_t weekday = (kd_date_day_of_week(date) + 6) % 7; /* Monday is 0. */
    int32_t thursday = date - weekday + 3;
    int32_t month;
    int32_t day;
    kd_date_to_civil(thursday, out_year, &month, &day);
    *out_week = (thursday - kd_date_from_civil(*out_year, 1, 1)) / 7 + 1;
}

bool kd_timestamp_is_finite(int64_t timestamp)
{
    return timestamp != KD_TIMESTAMP_INFINITY && timestamp != KD_TIMESTAMP_NEGATIVE_INFINITY;
}

bool kd_date_is_finite(int32_t date)
{
    return date != KD_DATE_INFINITY && date != KD_DATE_NEGATIVE_INFINITY;
}

static int64_t unix_seconds_of(int64_t timestamp)
{
    return floor_div(timestamp, KD_SECOND_US) + 946684800;
}

/* ---- Conversions ---- */

static kd_status fail_timestamp(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range");
}

kd_status kd_timestamp_check(kd_ctx *ctx, int64_t timestamp)
{
    if (timestamp < KD_TIMESTAMP_MIN || timestamp >= KD_TIMESTAMP_END)
        return fail_timestamp(ctx);
    return KD_OK;
}

kd_status kd_date_to_timestamp(kd_ctx *ctx, int32_t date, int64_t *out)
{
    *out = 0;
    if (!kd_date_is_finite(date)) {
        *out = date < 0 ? KD_TIMESTAMP_NEGATIVE_INFINITY : KD_TIMESTAMP_INFINITY;
        return KD_OK;
    }
    if (date >= KD_TIMESTAMP_END / KD_DAY_US)
        return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range for timestamp");
    *out = date * KD_DAY_US;
    return KD_OK;
}

int32_t kd_timestamp_to_date(int64_t timestamp)
{
    if (!kd_timestamp_is_finite(timestamp))
        return timestamp < 0 ? KD_DATE_NEGATIVE_INFINITY : KD_DATE_INFINITY;
    return (int32_t)floor_div(timestamp, KD_DAY_US);
}

kd_status kd_timestamp_to_utc(kd_ctx *ctx, const kd_zone *zone, int64_t local, int64_t *out_utc)
{
    *out_utc = local;
    if (!kd_timestamp_is_finite(local))
        return KD_OK;
    int32_t offset = kd_zone_at_local(zone, unix_seconds_of(local)).seconds;
    *out_utc = local - offset * KD_SECOND_US;
    return kd_timestamp_check(ctx, *out_utc);
}

kd_status kd_timestamp_from_utc(kd_ctx *ctx, const kd_zone *zone, int64_t utc, int64_t *out_local)
{
    *out_local = utc;
    if (!kd_timestamp_is_finite(utc))
        return KD_OK;
    *out_local = utc + kd_zone_at_utc(zone, unix_seconds_of(utc)).seconds * KD_SECOND_US;
    return kd_timestamp_check(ctx, *out_local);
}

kd_status kd_timestamp_us_to_ns(kd_ctx *ctx, int64_t us, int64_t *out_ns)
{
    *out_ns = us;
    if (!kd_timestamp_is_finite(us))
        return KD_OK;
    int64_t unix_us;
    if (__builtin_sub_overflow(us, KD_UNIX_EPOCH_US, &unix_us) ||
        __builtin_mul_overflow(unix_us, 1000, out_ns) || !kd_timestamp_is_finite(*out_ns)) {
        *out_ns = 0;
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range for timestamp_ns");
    }
    return KD_OK;
}

int64_t kd_timestamp_ns_to_us(int64_t ns)
{
    if (!kd_timestamp_is_finite(ns))
        return ns;
    int64_t us = floor_div(ns, 1000);
    us += ns - us * 1000 >= 500;
    return us + KD_UNIX_EPOCH_US;
}

int64_t kd_timestamp_round(int64_t timestamp, int digits)
{
    static const int64_t units[7] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (digits < 0 || digits >= 6 || !kd_timestamp_is_finite(timestamp))
        return timestamp;
    int64_t unit = units[digits];
    int64_t half = timestamp >= 0 ? unit / 2 : -(unit / 2);
    int64_t raised;
    if (__builtin_add_overflow(timestamp, half, &raised))
        return timestamp;
    return raised / unit * unit;
}

int64_t kd_timetz_round(int64_t packed, int digits)
{
    kd_timetz value = kd_timetz_unpack(packed);
    value.time = kd_timestamp_round(value.time, digits);
    return kd_timetz_pack(value);
}

int64_t kd_timetz_of(int64_t local, int32_t east_s)
{
    int64_t time = local - floor_div(local, KD_DAY_US) * KD_DAY_US;
    return kd_timetz_pack((kd_timetz){.time = time, .west_s = -east_s});
}

int64_t kd_timetz_shift(int64_t packed, int32_t east_s)
{
    kd_timetz value = kd_timetz_unpack(packed);
    return kd_timetz_of(value.time + (value.west_s + east_s) * KD_SECOND_US, east_s);
}

/* ---- Arithmetic ---- */

kd_status kd_date_add_days(kd_ctx *ctx, int32_t date, int32_t days, int32_t *out)
{
    *out = date;
    if (!kd_date_is_finite(date))
        return KD_OK;
    if (__builtin_add_overflow(date, days, out) || *out < KD_DATE_MIN || *out > KD_DATE_MAX) {
        *out = 0;
        return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range");
    }
    return KD_OK;
}

/* The date `months` later, its day cut to the month's length. */
static kd_status months_add(kd_ctx *ctx, int64_t timestamp, int32_t months, int64_t *out)
{
    kd_civil civil;
    kd_timestamp_to_civil(timestamp, &civil);
    int64_t count = (int64_t)civil.year * 12 + civil.month - 1 + months;
    int64_t year = floor_div(count, 12);
    if (year < -4713 || year > 294277)
        return fail_timestamp(ctx);
    int32_t month = (int32_t)(count - year * 12) + 1;
    int32_t last = kd_days_in_month((int32_t)year, month);
    int32_t day = civil.day < last ? civil.day : last;
    int64_t time = timestamp - floor_div(timestamp, KD_DAY_US) * KD_DAY_US;
    int64_t date = kd_date_from_civil((int32_t)year, month, day);
    if (__builtin_mul_overflow(date, KD_DAY_US, out) || __builtin_add_overflow(*out, time, out))
        return fail_timestamp(ctx);
    return KD_OK;
}

kd_status kd_timestamp_add(kd_ctx *ctx, int64_t timestamp, kd_interval interval, int64_t *out)
{
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    if (interval.months != 0)
        KD_TRY(months_add(ctx, timestamp, interval.months, &timestamp));
    kd_i128 sum = (kd_i128)timestamp + (kd_i128)interval.days * KD_DAY_US;
    timestamp = (int64_t)sum;
    if (sum != timestamp || __builtin_add_overflow(timestamp, interval.micros, &timestamp)) {
        *out = 0;
        return fail_timestamp(ctx);
    }
    *out = timestamp;
    return kd_timestamp_check(ctx, timestamp);
}

kd_status kd_timestamptz_add(kd_ctx *ctx, const kd_zone *zone, int64_t timestamp,
                             kd_interval interval, int64_t *out)
{
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    if (interval.months != 0 || interval.days != 0) {
        /* Near the ends of the range local time may leave it where UTC does not. */
        int64_t local =
            timestamp + kd_zone_at_utc(zone, unix_seconds_of(timestamp)).seconds * KD_SECOND_US;
        kd_interval calendar = {.months = interval.months, .days = interval.days};
        KD_TRY(kd_timestamp_add(ctx, local, calendar, &local));
        KD_TRY(kd_timestamp_to_utc(ctx, zone, local, &timestamp));
    }
    if (__builtin_add_overflow(timestamp, interval.micros, out)) {
        *out = 0;
        return fail_timestamp(ctx);
    }
    return kd_timestamp_check(ctx, *out);
}

kd_status kd_timestamp_sub(kd_ctx *ctx, int64_t a, int64_t b, kd_interval *out)
{
    *out = (kd_interval){0};
    if (!kd_timestamp_is_finite(a) || !kd_timestamp_is_finite(b))
        return KD_FAIL(ctx, KD_INVALID, "22008", "cannot subtract infinite timestamps");
    int64_t micros;
    if (__builtin_sub_overflow(a, b, &micros))
        return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
    return kd_interval_justify_hours(ctx, (kd_interval){.micros = micros}, out);
}

kd_status kd_timestamp_age(kd_ctx *ctx, int64_t a, int64_t b, kd_interval *out)
{
    *out = (kd_interval){0};
    if (!kd_timestamp_is_finite(a) || !kd_timestamp_is_finite(b))
        return KD_FAIL(ctx, KD_INVALID, "22008", "timestamp out of range");
    bool is_negative = a < b;
    kd_civil late;
    kd_civil early;
    kd_timestamp_to_civil(is_negative ? b : a, &late);
    kd_timestamp_to_civil(is_negative ? a : b, &early);
    int64_t late_time = a < b ? b : a;
    int64_t early_time = a < b ? a : b;
    int64_t micros = (late_time - floor_div(late_time, KD_DAY_US) * KD_DAY_US) -
                     (early_time - floor_div(early_time, KD_DAY_US) * KD_DAY_US);
    int32_t days = late.day - early.day;
    int32_t months = (late.year - early.year) * 12 + late.month - early.month;
    if (micros < 0) {
        micros += KD_DAY_US;
        days--;
    }
    if (days < 0) {
        /* Borrows the length of the earlier date's month, as PostgreSQL does. */
        days += kd_days_in_month(early.year, early.month);
        months--;
    }
    if (is_negative) {
        micros = -micros;
        days = -days;
        months = -months;
    }
    *out = (kd_interval){.months = months, .days = days, .micros = micros};
    return KD_OK;
}
