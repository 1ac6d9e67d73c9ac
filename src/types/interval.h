/*
 * Intervals: months, days and microseconds, kept apart because a month has no fixed number of days
 * and a day no fixed number of seconds. Comparison and hashing normalise (a month is 30 days, a day
 * 24 hours), in 128 bits.
 */
#ifndef KD_TYPES_INTERVAL_H
#define KD_TYPES_INTERVAL_H

#include "types/value.h"

/*
 * The modifier of an interval type: a set of fields (interval day to second), 0 for all, times 16;
 * plus the digits of the second, 0 to 6, or 7 for all of them.
 */
enum {
    KD_INTERVAL_YEAR = 1,
    KD_INTERVAL_MONTH = 2,
    KD_INTERVAL_DAY = 4,
    KD_INTERVAL_HOUR = 8,
    KD_INTERVAL_MINUTE = 16,
    KD_INTERVAL_SECOND = 32,
    KD_INTERVAL_DIGITS_ALL = 7,
};

static inline int32_t kd_interval_modifier(uint32_t fields, uint32_t digits)
{
    return (int32_t)(fields * 16 + digits);
}

static inline uint32_t kd_interval_fields(int32_t modifier)
{
    return modifier < 0 ? 0 : (uint32_t)modifier / 16;
}

static inline uint32_t kd_interval_digits(int32_t modifier)
{
    return modifier < 0 ? KD_INTERVAL_DIGITS_ALL : (uint32_t)modifier % 16;
}

/* PostgreSQL verbose ('1 day 2 hours ago', '1 day 02:03:04'), ISO 8601 ('P1Y2M', 'PT5S',
 * 'P0001-02-03T04:05:06') and SQL ('1-2', '3 4:05:06') forms. A bare
 * number counts the last field of the modifier, seconds when it has none. In the style sql_standard
 * of `settings` (NULL: no) one sign in front counts for all fields. */
kd_status kd_interval_parse(kd_ctx *ctx, const kd_text_settings *settings, kd_slice text,
                            int32_t modifier, kd_interval *out) KD_MUST_CHECK;
/* What the type keeps: nothing below its last field, seconds rounded to its digits. 22008. */
kd_status kd_interval_fit(kd_ctx *ctx, kd_interval value, int32_t modifier,
                          kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_format(kd_ctx *ctx, kd_interval_style style, kd_interval value,
                             kd_buffer *out) KD_MUST_CHECK;

int kd_interval_compare(kd_interval a, kd_interval b);
uint64_t kd_interval_hash(kd_interval value);
/* Microseconds when a month is 30 days and a day 24 hours. */
kd_i128 kd_interval_total_us(kd_interval value);

/* 22008 "interval out of range" in all of them. */
kd_status kd_interval_add(kd_ctx *ctx, kd_interval a, kd_interval b,
                          kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_sub(kd_ctx *ctx, kd_interval a, kd_interval b,
                          kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_negate(kd_ctx *ctx, kd_interval value, kd_interval *out) KD_MUST_CHECK;
/* Fractions of months go to days and of days to time, as PostgreSQL does. */
kd_status kd_interval_multiply(kd_ctx *ctx, kd_interval value, double factor,
                               kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_divide(kd_ctx *ctx, kd_interval value, double divisor,
                             kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_justify_hours(kd_ctx *ctx, kd_interval value, kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_justify_days(kd_ctx *ctx, kd_interval value, kd_interval *out) KD_MUST_CHECK;
kd_status kd_interval_justify(kd_ctx *ctx, kd_interval value, kd_interval *out) KD_MUST_CHECK;
/* make_interval: weeks and the seconds' fraction included. */
kd_status kd_interval_make(kd_ctx *ctx, const int32_t years_months_weeks_days_hours_minutes[6],
                           double seconds, kd_interval *out) KD_MUST_CHECK;

#endif
