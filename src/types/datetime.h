/*
 * Dates, times of day and timestamps: the proleptic Gregorian calendar from 4713 BC to 294276 AD
 * (dates to 5874897 AD), with PostgreSQL's text forms and arithmetic.
 *
 *   date          int32, days since 2000-01-01
 *   time          int64, microseconds since midnight, 0 .. 86,400,000,000
 *   timetz        int64, as kd_timetz_pack makes it
 *   timestamp     int64, microseconds since 2000-01-01 00:00:00 (timestamptz: UTC)
 *   timestamp_ns  int64, nanoseconds since 1970-01-01 00:00:00 UTC, years 1677 .. 2262
 *
 * Infinite values are the extremes of their integer.
 */
#ifndef KD_TYPES_DATETIME_H
#define KD_TYPES_DATETIME_H

#include "types/interval.h"
#include "types/value.h"
#include "types/zone.h"

#define KD_DATE_INFINITY INT32_MAX
#define KD_DATE_NEGATIVE_INFINITY INT32_MIN
#define KD_TIMESTAMP_INFINITY INT64_MAX
#define KD_TIMESTAMP_NEGATIVE_INFINITY INT64_MIN
#define KD_DAY_US INT64_C(86400000000)
#define KD_HOUR_US INT64_C(3600000000)
#define KD_MINUTE_US INT64_C(60000000)
#define KD_SECOND_US INT64_C(1000000)
#define KD_UNIX_EPOCH_US INT64_C(-946684800000000) /* 1970 counted from 2000. */

enum {
    KD_UNIX_EPOCH_DAYS = -10957, /* 1970-01-01 as a date. */
    KD_DATE_MIN = -2451545,      /* 4714-11-24 BC, Julian day 0 */
    KD_DATE_MAX = 2145031948,    /* 5874897-12-31 */
};
#define KD_TIMESTAMP_MIN INT64_C(-211813488000000000) /* 4714-11-24 00:00:00 BC */
#define KD_TIMESTAMP_END INT64_C(9223371331200000000) /* 294277-01-01: first beyond the range */

/* ---- Calendar ---- */

typedef struct kd_civil {
    int32_t year;  /* 1 BC is 0, 2 BC is -1. */
    int32_t month; /* 1 .. 12 */
    int32_t day;   /* 1 .. 31 */
    int32_t hour, minute, second, micros;
} kd_civil;

bool kd_year_is_leap(int32_t year);
int32_t kd_days_in_month(int32_t year, int32_t month);
int32_t kd_date_from_civil(int32_t year, int32_t month, int32_t day); /* Fields in range. */
void kd_date_to_civil(int32_t date, int32_t *out_year, int32_t *out_month, int32_t *out_day);
/* Splits a finite timestamp; the date part fills `out`, so does the time of day. */
void kd_timestamp_to_civil(int64_t timestamp, kd_civil *out);
int32_t kd_date_day_of_week(int32_t date); /* 0 is Sunday */
int32_t kd_date_day_of_year(int32_t date); /* 1 .. 366 */
void kd_date_iso_week(int32_t date, int32_t *out_year, int32_t *out_week);
bool kd_timestamp_is_finite(int64_t timestamp);
bool kd_date_is_finite(int32_t date);

/* ---- Times of day with a zone ---- */

/* The local time and how far its zone is from UTC. */
typedef struct kd_timetz {
    int64_t time;   /* As of the type time. */
    int32_t west_s; /* Seconds, west positive, less than 16 hours: the sign that orders them. */
} kd_timetz;

/*
 * The order of the type is that of the instant, and of two names of one instant the one further
 * west is the greater. So the instant stands above the zone, and integers compare as the type does:
 *
 *   bits 17 .. 63   microseconds since midnight of UTC: may be negative, or beyond a day
 *   bits 0 .. 16    seconds west of UTC + 65,536
 */
enum { KD_TIMETZ_ZONE_BITS = 17, KD_TIMETZ_WEST_BIAS = 65536, KD_TIMETZ_WEST_MAX = 57599 };

static inline int64_t kd_timetz_pack(kd_timetz value)
{
    int64_t instant = value.time + value.west_s * KD_SECOND_US;
    return instant * (1 << KD_TIMETZ_ZONE_BITS) + value.west_s + KD_TIMETZ_WEST_BIAS;
}

/* Of any 64 bits. */
static inline kd_timetz kd_timetz_unpack(int64_t packed)
{
    int32_t zone = (int32_t)(packed & ((1 << KD_TIMETZ_ZONE_BITS) - 1));
    int32_t west_s = zone - KD_TIMETZ_WEST_BIAS;
    int64_t instant = (packed - zone) / (1 << KD_TIMETZ_ZONE_BITS);
    return (kd_timetz){.time = instant - west_s * KD_SECOND_US, .west_s = west_s};
}

/* ---- Text ---- */

/* `settings` NULL: UTC, MDY. 22007, 22008 as PostgreSQL. `arena` is used for zones named in text.
 */
kd_status kd_date_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                        kd_slice text, int32_t *out) KD_MUST_CHECK;
kd_status kd_time_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                        kd_slice text, int64_t *out) KD_MUST_CHECK;
/* Packed. A text without a zone is of the session's, as it is today. */
kd_status kd_timetz_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                          kd_slice text, int64_t *out) KD_MUST_CHECK;
kd_status kd_timestamp_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                             kd_slice text, int64_t *out) KD_MUST_CHECK;
kd_status kd_timestamptz_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                               kd_slice text, int64_t *out) KD_MUST_CHECK;
/* Up to nine digits of the second; a missing zone is UTC. */
kd_status kd_timestamp_ns_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                                kd_slice text, int64_t *out) KD_MUST_CHECK;

/* An offset as it stands in texts: '+hh', '-hhmm', '+hh:mm[:ss]', east positive. False for anything
 * else; `out_overflows`: because it is 16 hours or more. */
bool kd_offset_parse(kd_slice text, int32_t *out_seconds, bool *out_overflows);

/* Fast paths for bulk input: false when the text is anything but the plain form, and the general
 * parser must decide. 'YYYY-MM-DD' and 'YYYY-MM-DD HH:MM[:SS[.f{1,6}]]' ('T' instead of the blank,
 * and 'HH:MM:SS' alone for a time). */
bool kd_date_parse_fast(kd_slice text, int32_t *out);
bool kd_time_parse_fast(kd_slice text, int64_t *out);
bool kd_timestamp_parse_fast(kd_slice text, int64_t *out);

/* Into a buffer of at least KD_DATETIME_TEXT_BYTES; gives the length. `settings` NULL: ISO style,
 * UTC. timestamp_ns has the ISO form only. */
enum { KD_DATETIME_TEXT_BYTES = 64 };
size_t kd_date_format(const kd_text_settings *settings, int32_t date, char *out);
size_t kd_time_format(int64_t time, char *out);
size_t kd_timetz_format(int64_t packed, char *out);
size_t kd_timestamp_format(const kd_text_settings *settings, int64_t timestamp, char *out);
size_t kd_timestamptz_format(const kd_text_settings *settings, int64_t timestamp, char *out);
size_t kd_timestamp_ns_format(int64_t timestamp, char *out);

/* ---- Arithmetic: 22008 "timestamp out of range" and the like ---- */

kd_status kd_timestamp_check(kd_ctx *ctx, int64_t timestamp) KD_MUST_CHECK;
kd_status kd_date_to_timestamp(kd_ctx *ctx, int32_t date, int64_t *out) KD_MUST_CHECK;
int32_t kd_timestamp_to_date(int64_t timestamp); /* Infinite stays infinite. */
/* Local time to UTC and back (AT TIME ZONE, casts between timestamp and timestamptz). */
kd_status kd_timestamp_to_utc(kd_ctx *ctx, const kd_zone *zone, int64_t local,
                              int64_t *out_utc) KD_MUST_CHECK;
kd_status kd_timestamp_from_utc(kd_ctx *ctx, const kd_zone *zone, int64_t utc,
                                int64_t *out_local) KD_MUST_CHECK;
kd_status kd_timestamp_us_to_ns(kd_ctx *ctx, int64_t us, int64_t *out_ns) KD_MUST_CHECK;
int64_t kd_timestamp_ns_to_us(int64_t ns); /* Infinite stays infinite. Rounds. */
/* To `digits` of the second (0 .. 6), rounding half away from zero: the type's modifier. */
int64_t kd_timestamp_round(int64_t timestamp, int digits);
int64_t kd_timetz_round(int64_t packed, int digits);
/* The time of day of a local timestamp, in a zone that is so many seconds east. */
int64_t kd_timetz_of(int64_t local, int32_t east_s);
/* The same instant in another zone. */
int64_t kd_timetz_shift(int64_t packed, int32_t east_s);

kd_status kd_date_add_days(kd_ctx *ctx, int32_t date, int32_t days, int32_t *out) KD_MUST_CHECK;
/* Months first (the day is cut to the month's length), then days, then time. */
kd_status kd_timestamp_add(kd_ctx *ctx, int64_t timestamp, kd_interval interval,
                           int64_t *out) KD_MUST_CHECK;
/* Months and days are counted in the zone's local time. */
kd_status kd_timestamptz_add(kd_ctx *ctx, const kd_zone *zone, int64_t timestamp,
                             kd_interval interval, int64_t *out) KD_MUST_CHECK;
/* Days and time, as timestamp - timestamp gives. */
kd_status kd_timestamp_sub(kd_ctx *ctx, int64_t a, int64_t b, kd_interval *out) KD_MUST_CHECK;
/* Years, months, days, time: age(a, b). For timestamptz convert to local first. */
kd_status kd_timestamp_age(kd_ctx *ctx, int64_t a, int64_t b, kd_interval *out) KD_MUST_CHECK;

/* ---- Fields ---- */

typedef enum kd_field {
    KD_FIELD_MICROSECONDS,
    KD_FIELD_MILLISECONDS,
    KD_FIELD_SECOND,
    KD_FIELD_MINUTE,
    KD_FIELD_HOUR,
    KD_FIELD_DAY,
    KD_FIELD_WEEK,
    KD_FIELD_MONTH,
    KD_FIELD_QUARTER,
    KD_FIELD_YEAR,
    KD_FIELD_DECADE,
    KD_FIELD_CENTURY,
    KD_FIELD_MILLENNIUM,
    KD_FIELD_DOW,
    KD_FIELD_ISODOW,
    KD_FIELD_DOY,
    KD_FIELD_ISOYEAR,
    KD_FIELD_EPOCH,
    KD_FIELD_JULIAN,
    KD_FIELD_TIMEZONE,
    KD_FIELD_TIMEZONE_HOUR,
    KD_FIELD_TIMEZONE_MINUTE,
} kd_field;

/* "year", "years", "mon", "isodow", ... in any case. */
bool kd_field_find(kd_slice name, kd_field *out_field);

/* date_trunc; 0A000 for fields that cannot be truncated to. */
kd_status kd_timestamp_trunc(kd_ctx *ctx, kd_field field, int64_t timestamp,
                             int64_t *out) KD_MUST_CHECK;
kd_status kd_timestamptz_trunc(kd_ctx *ctx, const kd_zone *zone, kd_field field, int64_t timestamp,
                               int64_t *out) KD_MUST_CHECK;
kd_status kd_interval_trunc(kd_ctx *ctx, kd_field field, kd_interval interval,
                            kd_interval *out) KD_MUST_CHECK;

/*
 * extract: an exact result, value * 10^scale (PostgreSQL 15 gives numeric). `is_null` is set
 * for fields that an infinite timestamp does not have; its epoch, year, ... are infinite:
 * `infinity` is then 1 or -1. Only julian days need more than 64 bits.
 */
typedef struct kd_extract {
    kd_i128 value;
    int scale;
    bool is_null;
    int8_t infinity;
} kd_extract;

kd_status kd_date_extract(kd_ctx *ctx, kd_field field, int32_t date, kd_extract *out) KD_MUST_CHECK;
kd_status kd_time_extract(kd_ctx *ctx, kd_field field, int64_t time, kd_extract *out) KD_MUST_CHECK;
kd_status kd_timetz_extract(kd_ctx *ctx, kd_field field, int64_t packed,
                            kd_extract *out) KD_MUST_CHECK;
kd_status kd_timestamp_extract(kd_ctx *ctx, kd_field field, int64_t timestamp,
                               kd_extract *out) KD_MUST_CHECK;
kd_status kd_timestamptz_extract(kd_ctx *ctx, const kd_zone *zone, kd_field field,
                                 int64_t timestamp, kd_extract *out) KD_MUST_CHECK;
kd_status kd_interval_extract(kd_ctx *ctx, kd_field field, kd_interval interval,
                              kd_extract *out) KD_MUST_CHECK;

/* ---- Making ---- */

/* 22008 "date field value out of range: ..."; negative years are BC. */
kd_status kd_date_make(kd_ctx *ctx, int32_t year, int32_t month, int32_t day,
                       int32_t *out) KD_MUST_CHECK;
kd_status kd_time_make(kd_ctx *ctx, int32_t hour, int32_t minute, double second,
                       int64_t *out) KD_MUST_CHECK;
kd_status kd_timestamp_make(kd_ctx *ctx, int32_t year_month_day_hour_minute[5], double second,
                            int64_t *out) KD_MUST_CHECK;
/* to_timestamp(double): seconds since 1970 to a timestamptz. */
kd_status kd_timestamp_from_epoch(kd_ctx *ctx, double seconds, int64_t *out) KD_MUST_CHECK;
/* date_bin: `stride` without months and positive. */
kd_status kd_timestamp_bin(kd_ctx *ctx, kd_interval stride, int64_t timestamp, int64_t origin,
                           int64_t *out) KD_MUST_CHECK;

#endif
