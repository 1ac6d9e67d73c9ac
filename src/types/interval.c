/*
 * Interval arithmetic and order.
 */
#include "types/interval.h"

#include "base/hash.h"
#include "types/datetime.h"

#include <math.h>

enum { MONTHS_PER_YEAR = 12, DAYS_PER_MONTH = 30 };

kd_i128 kd_interval_total_us(kd_interval value)
{
    kd_i128 days = (kd_i128)value.months * DAYS_PER_MONTH + value.days;
    return days * KD_DAY_US + value.micros;
}

int kd_interval_compare(kd_interval a, kd_interval b)
{
    kd_i128 left = kd_interval_total_us(a);
    kd_i128 right = kd_interval_total_us(b);
    return (left > right) - (left < right);
}

uint64_t kd_interval_hash(kd_interval value)
{
    kd_i128 total = kd_interval_total_us(value);
    return kd_hash_combine(kd_hash_u64((uint64_t)total), (uint64_t)(total >> 64));
}

static kd_status fail_range(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
}

kd_status kd_interval_add(kd_ctx *ctx, kd_interval a, kd_interval b, kd_interval *out)
{
    kd_interval sum;
    *out = (kd_interval){0};
    if (__builtin_add_overflow(a.months, b.months, &sum.months) ||
        __builtin_add_overflow(a.days, b.days, &sum.days) ||
        __builtin_add_overflow(a.micros, b.micros, &sum.micros))
        return fail_range(ctx);
    *out = sum;
    return KD_OK;
}

kd_status kd_interval_sub(kd_ctx *ctx, kd_interval a, kd_interval b, kd_interval *out)
{
    kd_interval difference;
    *out = (kd_interval){0};
    if (__builtin_sub_overflow(a.months, b.months, &difference.months) ||
        __builtin_sub_overflow(a.days, b.days, &difference.days) ||
        __builtin_sub_overflow(a.micros, b.micros, &difference.micros))
        return fail_range(ctx);
    *out = difference;
    return KD_OK;
}

kd_status kd_interval_negate(kd_ctx *ctx, kd_interval value, kd_interval *out)
{
    return kd_interval_sub(ctx, (kd_interval){0}, value, out);
}

/* To a millionth, as PostgreSQL's TSROUND: what double noise left of a fraction. */
static double rounded_fraction(double value)
{
    return rint(value * 1000000.0) / 1000000.0;
}

static bool fits_i32(double value)
{
    return value >= -2147483648.0 && value <= 2147483647.0;
}

static bool fits_i64(double value)
{
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0;
}

/*
 * Multiplication and division are one thing with the operation as a parameter: the whole parts of
 * months and days, then the month's fraction spilled into days of a 30-day month, then the days'
 * fraction into time.
 */
static kd_status scale_interval(kd_ctx *ctx, kd_interval value, double by, bool divides,
                                kd_interval *out)
{
    *out = (kd_interval){0};
    double months = divides ? value.months / by : value.months * by;
    double days = divides ? value.days / by : value.days * by;
    double micros = divides ? (double)value.micros / by : (double)value.micros * by;
    if (isnan(months) || isnan(days) || isnan(micros) || !fits_i32(months) || !fits_i32(days))
        return fail_range(ctx);
    kd_interval result = {.months = (int32_t)months, .days = (int32_t)days};
    double month_days = rounded_fraction((months - result.months) * DAYS_PER_MONTH);
    double seconds =
        rounded_fraction((days - result.days + month_days - (double)(int64_t)month_days) * 86400.0);
    if (fabs(seconds) >= 86400.0) {
        result.days += (int32_t)(seconds / 86400.0);
        seconds -= (double)((int32_t)(seconds / 86400.0)) * 86400.0;
    }
    double day_sum = (double)result.days + (double)(int64_t)month_days;
    if (!fits_i32(day_sum))
        return fail_range(ctx);
    result.days = (int32_t)day_sum;
    double total = rint(micros + seconds * 1000000.0);
    if (isnan(total) || !fits_i64(total))
        return fail_range(ctx);
    result.micros = (int64_t)total;
    *out = result;
    return KD_OK;
}

kd_status kd_interval_multiply(kd_ctx *ctx, kd_interval value, double factor, kd_interval *out)
{
    return scale_interval(ctx, value, factor, false, out);
}

kd_status kd_interval_divide(kd_ctx *ctx, kd_interval value, double divisor, kd_interval *out)
{
    *out = (kd_interval){0};
    if (divisor == 0)
        return KD_FAIL(ctx, KD_INVALID, "22012", "division by zero");
    return scale_interval(ctx, value, divisor, true, out);
}

kd_status kd_interval_justify_hours(kd_ctx *ctx, kd_interval value, kd_interval *out)
{
    *out = (kd_interval){0};
    int64_t whole_days = value.micros / KD_DAY_US;
    int64_t days = value.days + whole_days;
    int64_t micros = value.micros - whole_days * KD_DAY_US;
    if (days > 0 && micros < 0) {
        micros += KD_DAY_US;
        days--;
    } else if (days < 0 && micros > 0) {
        micros -= KD_DAY_US;
        days++;
    }
    if (days != (int32_t)days)
        return fail_range(ctx);
    *out = (kd_interval){.months = value.months, .days = (int32_t)days, .micros = micros};
    return KD_OK;
}

kd_status kd_interval_justify_days(kd_ctx *ctx, kd_interval value, kd_interval *out)
{
    *out = (kd_interval){0};
    int32_t whole_months = value.days / DAYS_PER_MONTH;
    int64_t months = (int64_t)value.months + whole_months;
    int32_t days = value.days - whole_months * DAYS_PER_MONTH;
    if (months > 0 && days < 0) {
        days += DAYS_PER_MONTH;
        months--;
    } else if (months < 0 && days > 0) {
        days -= DAYS_PER_MONTH;
        months++;
    }
    if (months != (int32_t)months)
        return fail_range(ctx);
    *out = (kd_interval){.months = (int32_t)months, .days = days, .micros = value.micros};
    return KD_OK;
}

kd_status kd_interval_justify(kd_ctx *ctx, kd_interval value, kd_interval *out)
{
    *out = (kd_interval){0};
    int64_t whole_days = value.micros / KD_DAY_US;
    int64_t micros = value.micros - whole_days * KD_DAY_US;
    int64_t days = value.days + whole_days;
    int64_t months = value.months + days / DAYS_PER_MONTH;
    days %= DAYS_PER_MONTH;
    if (months > 0 && (days < 0 || (days == 0 && micros < 0))) {
        days += DAYS_PER_MONTH;
        months--;
    } else if (months < 0 && (days > 0 || (days == 0 && micros > 0))) {
        days -= DAYS_PER_MONTH;
        months++;
    }
    if (days > 0 && micros < 0) {
        micros += KD_DAY_US;
        days--;
    } else if (days < 0 && micros > 0) {
        micros -= KD_DAY_US;
        days++;
    }
    if (months != (int32_t)months)
        return fail_range(ctx);
    *out = (kd_interval){.months = (int32_t)months, .days = (int32_t)days, .micros = micros};
    return KD_OK;
}

kd_status kd_interval_make(kd_ctx *ctx, const int32_t years_months_weeks_days_hours_minutes[6],
                           double seconds, kd_interval *out)
{
    const int32_t *parts = years_months_weeks_days_hours_minutes;
    *out = (kd_interval){0};
    int64_t months = (int64_t)parts[0] * MONTHS_PER_YEAR + parts[1];
    int64_t days = (int64_t)parts[2] * 7 + parts[3];
    double second_micros = rint(seconds * 1000000.0);
    if (months != (int32_t)months || days != (int32_t)days || isnan(second_micros) ||
        !fits_i64(second_micros))
        return fail_range(ctx);
    kd_i128 micros =
        (kd_i128)parts[4] * KD_HOUR_US + (kd_i128)parts[5] * KD_MINUTE_US + (kd_i128)second_micros;
    if (micros > INT64_MAX || micros < INT64_MIN)
        return fail_range(ctx);
    *out =
        (kd_interval){.months = (int32_t)months, .days = (int32_t)days, .micros = (int64_t)micros};
    return KD_OK;
}

kd_status kd_interval_fit(kd_ctx *ctx, kd_interval value, int32_t modifier, kd_interval *out)
{
    static const int64_t steps[7] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    uint32_t fields = kd_interval_fields(modifier), digits = kd_interval_digits(modifier);
    uint32_t last = fields == 0 ? KD_INTERVAL_SECOND : 1u << (31 - __builtin_clz(fields));
    if (last == KD_INTERVAL_YEAR)
        value.months -= value.months % 12;
    if (last <= KD_INTERVAL_MONTH)
        value.days = 0;
    if (last <= KD_INTERVAL_DAY)
        value.micros = 0;
    else if (last == KD_INTERVAL_HOUR)
        value.micros -= value.micros % KD_HOUR_US;
    else if (last == KD_INTERVAL_MINUTE)
        value.micros -= value.micros % KD_MINUTE_US;
    else if (digits < 6) {
        int64_t step = steps[digits];
        if (__builtin_add_overflow(value.micros, value.micros < 0 ? -step / 2 : step / 2,
                                   &value.micros))
            return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
        value.micros -= value.micros % step;
    }
    *out = value;
    return KD_OK;
}
