/*
 * Dates, times, timestamps and intervals: the clock, operators, fields, truncation, making.
 */
#include "builtin/signature_internal.h"
#include "base/world.h"
#include "types/datetime.h"

#include <math.h>

/* --- The clock -------------------------------------------------------------------------------- */

KDI_ROW(now)
{
    *(int64_t *)result = env->facts->transaction_us;
    return KD_OK;
}

KDI_ROW(statement_timestamp)
{
    *(int64_t *)result = env->facts->statement_us;
    return KD_OK;
}

KDI_ROW(clock_timestamp)
{
    *(int64_t *)result = ctx->world->wall_us(ctx->world) + KD_UNIX_EPOCH_US;
    return KD_OK;
}

/* --- Sums and differences --------------------------------------------------------------------- */

static kd_interval negated(kd_interval value)
{
    return (kd_interval){.micros = (int64_t)(0 - (uint64_t)value.micros),
                         .days = (int32_t)(0 - (uint32_t)value.days),
                         .months = (int32_t)(0 - (uint32_t)value.months)};
}

KDI_ROW(date_plus_days)
{
    return kd_date_add_days(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(int32_t, args, 1), result);
}

KDI_ROW(days_plus_date)
{
    return kd_date_add_days(ctx, KDI_ARG(int32_t, args, 1), KDI_ARG(int32_t, args, 0), result);
}

KDI_ROW(date_minus_days)
{
    int64_t days = -(int64_t)KDI_ARG(int32_t, args, 1);
    if (days > INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range");
    return kd_date_add_days(ctx, KDI_ARG(int32_t, args, 0), (int32_t)days, result);
}

KDI_ROW(date_minus_date)
{
    int32_t a = KDI_ARG(int32_t, args, 0), b = KDI_ARG(int32_t, args, 1);
    if (!kd_date_is_finite(a) || !kd_date_is_finite(b))
        return KD_FAIL(ctx, KD_INVALID, "22008", "cannot subtract infinite dates");
    *(int32_t *)result = a - b;
    return KD_OK;
}

static kd_status date_plus(kd_ctx *ctx, int32_t date, kd_interval interval, void *result)
{
    int64_t timestamp;
    KD_TRY(kd_date_to_timestamp(ctx, date, &timestamp));
    return kd_timestamp_add(ctx, timestamp, interval, result);
}

KDI_ROW(date_plus_interval)
{
    return date_plus(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(kd_interval, args, 1), result);
}

KDI_ROW(interval_plus_date)
{
    return date_plus(ctx, KDI_ARG(int32_t, args, 1), KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(date_minus_interval)
{
    return date_plus(ctx, KDI_ARG(int32_t, args, 0), negated(KDI_ARG(kd_interval, args, 1)),
                     result);
}

static kd_status date_and_time(kd_ctx *ctx, int32_t date, int64_t time, void *result)
{
    int64_t timestamp;
    KD_TRY(kd_date_to_timestamp(ctx, date, &timestamp));
    if (kd_timestamp_is_finite(timestamp))
        timestamp += time;
    *(int64_t *)result = timestamp;
    return kd_timestamp_is_finite(timestamp) ? kd_timestamp_check(ctx, timestamp) : KD_OK;
}

KDI_ROW(date_plus_time)
{
    return date_and_time(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(time_plus_date)
{
    return date_and_time(ctx, KDI_ARG(int32_t, args, 1), KDI_ARG(int64_t, args, 0), result);
}

KDI_ROW(timestamp_plus)
{
    return kd_timestamp_add(ctx, KDI_ARG(int64_t, args, 0), KDI_ARG(kd_interval, args, 1), result);
}

KDI_ROW(plus_timestamp)
{
    return kd_timestamp_add(ctx, KDI_ARG(int64_t, args, 1), KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(timestamp_minus)
{
    return kd_timestamp_add(ctx, KDI_ARG(int64_t, args, 0), negated(KDI_ARG(kd_interval, args, 1)),
                            result);
}

KDI_ROW(timestamptz_plus)
{
    return kd_timestamptz_add(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 0),
                              KDI_ARG(kd_interval, args, 1), result);
}

KDI_ROW(plus_timestamptz)
{
    return kd_timestamptz_add(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 1),
                              KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(timestamptz_minus)
{
    return kd_timestamptz_add(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 0),
                              negated(KDI_ARG(kd_interval, args, 1)), result);
}

KDI_ROW(timestamp_difference)
{
    return kd_timestamp_sub(ctx, KDI_ARG(int64_t, args, 0), KDI_ARG(int64_t, args, 1), result);
}

static int64_t time_of_day(int64_t micros)
{
    int64_t rest = micros % KD_DAY_US;
    return rest < 0 ? rest + KD_DAY_US : rest;
}

KDI_ROW(time_plus_interval)
{
    *(int64_t *)result = time_of_day(KDI_ARG(int64_t, args, 0) % KD_DAY_US +
                                     KDI_ARG(kd_interval, args, 1).micros % KD_DAY_US);
    return KD_OK;
}

KDI_ROW(interval_plus_time)
{
    *(int64_t *)result = time_of_day(KDI_ARG(int64_t, args, 1) % KD_DAY_US +
                                     KDI_ARG(kd_interval, args, 0).micros % KD_DAY_US);
    return KD_OK;
}

KDI_ROW(time_minus_interval)
{
    *(int64_t *)result = time_of_day(KDI_ARG(int64_t, args, 0) % KD_DAY_US -
                                     KDI_ARG(kd_interval, args, 1).micros % KD_DAY_US);
    return KD_OK;
}

KDI_ROW(time_difference)
{
    *(kd_interval *)result =
        (kd_interval){.micros = KDI_ARG(int64_t, args, 0) - KDI_ARG(int64_t, args, 1)};
    return KD_OK;
}

/* Of a clock, days and months count for nothing. */
static int64_t timetz_moved(int64_t packed, int64_t micros)
{
    kd_timetz value = kd_timetz_unpack(packed);
    value.time = time_of_day(value.time % KD_DAY_US + micros % KD_DAY_US);
    return kd_timetz_pack(value);
}

KDI_ROW(timetz_plus_interval)
{
    *(int64_t *)result =
        timetz_moved(KDI_ARG(int64_t, args, 0), KDI_ARG(kd_interval, args, 1).micros);
    return KD_OK;
}

KDI_ROW(interval_plus_timetz)
{
    *(int64_t *)result =
        timetz_moved(KDI_ARG(int64_t, args, 1), KDI_ARG(kd_interval, args, 0).micros);
    return KD_OK;
}

KDI_ROW(timetz_minus_interval)
{
    *(int64_t *)result = timetz_moved(KDI_ARG(int64_t, args, 0),
                                      -(KDI_ARG(kd_interval, args, 1).micros % KD_DAY_US));
    return KD_OK;
}

static kd_status date_and_timetz(kd_ctx *ctx, int32_t date, int64_t packed, void *result)
{
    kd_timetz value = kd_timetz_unpack(packed);
    return date_and_time(ctx, date, value.time + value.west_s * KD_SECOND_US, result);
}

KDI_ROW(date_plus_timetz)
{
    return date_and_timetz(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(timetz_plus_date)
{
    return date_and_timetz(ctx, KDI_ARG(int32_t, args, 1), KDI_ARG(int64_t, args, 0), result);
}

KDI_ROW(interval_plus)
{
    return kd_interval_add(ctx, KDI_ARG(kd_interval, args, 0), KDI_ARG(kd_interval, args, 1),
                           result);
}

KDI_ROW(interval_minus)
{
    return kd_interval_sub(ctx, KDI_ARG(kd_interval, args, 0), KDI_ARG(kd_interval, args, 1),
                           result);
}

KDI_ROW(interval_negate)
{
    return kd_interval_negate(ctx, KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(interval_times)
{
    return kd_interval_multiply(ctx, KDI_ARG(kd_interval, args, 0), KDI_ARG(double, args, 1),
                                result);
}

KDI_ROW(times_interval)
{
    return kd_interval_multiply(ctx, KDI_ARG(kd_interval, args, 1), KDI_ARG(double, args, 0),
                                result);
}

KDI_ROW(interval_over)
{
    return kd_interval_divide(ctx, KDI_ARG(kd_interval, args, 0), KDI_ARG(double, args, 1), result);
}

/* Nanosecond timestamps with intervals: months and days on the calendar, the rest as it is. */
static kd_status ns_plus(kd_ctx *ctx, int64_t ns, kd_interval interval, int64_t *out)
{
    if (!kd_timestamp_is_finite(ns)) {
        *out = ns;
        return KD_OK;
    }
    int64_t rest = ns % 1000;
    rest += rest < 0 ? 1000 : 0;
    int64_t us = (ns - rest) / 1000 + KD_UNIX_EPOCH_US;
    KD_TRY(kd_timestamp_add(ctx, us, interval, &us));
    KD_TRY(kd_timestamp_us_to_ns(ctx, us, out));
    *out += rest;
    return KD_OK;
}

KDI_ROW(timestamp_ns_plus)
{
    return ns_plus(ctx, KDI_ARG(int64_t, args, 0), KDI_ARG(kd_interval, args, 1), result);
}

KDI_ROW(timestamp_ns_minus)
{
    return ns_plus(ctx, KDI_ARG(int64_t, args, 0), negated(KDI_ARG(kd_interval, args, 1)), result);
}

KDI_ROW(timestamp_ns_difference)
{
    return kd_timestamp_sub(ctx, kd_timestamp_ns_to_us(KDI_ARG(int64_t, args, 0)),
                            kd_timestamp_ns_to_us(KDI_ARG(int64_t, args, 1)), result);
}

/* --- Comparisons across types ----------------------------------------------------------------- */

static int order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Also where that is beyond the range of timestamps: it is only compared. */
static int64_t utc_of(const kd_zone *zone, int64_t local)
{
    if (!kd_timestamp_is_finite(local))
        return local;
    int64_t unix_seconds = local / KD_SECOND_US - (local % KD_SECOND_US < 0) + 946684800;
    return local - kd_zone_at_local(zone, unix_seconds).seconds * KD_SECOND_US;
}

enum { TIMESTAMP_DAY_MAX = 106751991 };

/* Argument `i` as it is compared with timestamps, or with those that have a zone. Dates beyond the
 * last timestamp are above all of them. */
static kd_status moment_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, uint32_t i,
                           bool zoned, int64_t *out)
{
    kd_type type = env->argument_types[i];
    if (type.id == KD_TYPE_DATE) {
        int32_t date = KDI_ARG(int32_t, args, i);
        if (kd_date_is_finite(date) && date > TIMESTAMP_DAY_MAX) {
            *out = INT64_MAX - 1;
            return KD_OK;
        }
        KD_TRY(kd_date_to_timestamp(ctx, date, out));
    } else {
        *out = KDI_ARG(int64_t, args, i);
    }
    if (zoned && type.id != KD_TYPE_TIMESTAMPTZ)
        *out = utc_of(kdi_zone(env), *out);
    return KD_OK;
}

KDI_ROW(comparable_timestamp)
{
    return moment_of(ctx, env, args, 0, false, result);
}

KDI_ROW(comparable_timestamptz)
{
    return moment_of(ctx, env, args, 0, true, result);
}

static kd_status date_timestamp_order(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                      int *out)
{
    const kd_type *types = env->argument_types;
    bool zoned = types[0].id == KD_TYPE_TIMESTAMPTZ || types[1].id == KD_TYPE_TIMESTAMPTZ;
    int64_t left, right;
    KD_TRY(moment_of(ctx, env, args, 0, zoned, &left));
    KD_TRY(moment_of(ctx, env, args, 1, zoned, &right));
    *out = order(left, right);
    return KD_OK;
}

#define CROSS_COMPARISON(name, test)                           \
    KDI_ROW(name)                                              \
    {                                                          \
        int answer;                                            \
        KD_TRY(date_timestamp_order(ctx, env, args, &answer)); \
        *(uint8_t *)result = answer test 0;                    \
        return KD_OK;                                          \
    }
CROSS_COMPARISON(cross_eq, ==)
CROSS_COMPARISON(cross_ne, !=)
CROSS_COMPARISON(cross_lt, <)
CROSS_COMPARISON(cross_le, <=)
CROSS_COMPARISON(cross_gt, >)
CROSS_COMPARISON(cross_ge, >=)

/* --- extract, date_part, date_trunc ----------------------------------------------------------- */

static const char *type_name(kd_type type)
{
    switch (type.id) {
    case KD_TYPE_DATE:
        return "date";
    case KD_TYPE_TIME:
        return "time without time zone";
    case KD_TYPE_TIMETZ:
        return "time with time zone";
    case KD_TYPE_TIMESTAMPTZ:
        return "timestamp with time zone";
    case KD_TYPE_INTERVAL:
        return "interval";
    default:
        return "timestamp without time zone";
    }
}

static kd_status field_unknown(kd_ctx *ctx, kd_slice name, kd_type type)
{
    char lower[32];
    size_t size = name.size_bytes < sizeof lower ? name.size_bytes : sizeof lower;
    for (size_t i = 0; i < size; i++)
        lower[i] =
            name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] + 32) : name.data[i];
    return KD_FAIL(ctx, KD_INVALID, "22023", "unit \"%.*s\" not recognized for type %s", (int)size,
                   lower, type_name(type));
}

static kd_status field_of(kd_ctx *ctx, kd_slice name, kd_type type, kd_field *out)
{
    return kd_field_find(name, out) ? KD_OK : field_unknown(ctx, name, type);
}

/* Whole and fraction apart: together they may have more digits than a double. */
static double as_double(const kd_extract *extracted)
{
    kd_i128 unit = kd_pow10_i128(extracted->scale);
    return (double)(extracted->value / unit) + (double)(extracted->value % unit) / (double)unit;
}

static kd_status extract_field(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                               kd_extract *out)
{
    kd_type type = env->argument_types[1];
    kd_field field;
    KD_TRY(field_of(ctx, kdi_arg_text(args, 0), type, &field));
    switch (type.id) {
    case KD_TYPE_DATE:
        return kd_date_extract(ctx, field, KDI_ARG(int32_t, args, 1), out);
    case KD_TYPE_TIME:
        return kd_time_extract(ctx, field, KDI_ARG(int64_t, args, 1), out);
    case KD_TYPE_TIMETZ:
        return kd_timetz_extract(ctx, field, KDI_ARG(int64_t, args, 1), out);
    case KD_TYPE_TIMESTAMPTZ:
        return kd_timestamptz_extract(ctx, kdi_zone(env), field, KDI_ARG(int64_t, args, 1), out);
    case KD_TYPE_INTERVAL:
        return kd_interval_extract(ctx, field, KDI_ARG(kd_interval, args, 1), out);
    default:
        return kd_timestamp_extract(ctx, field, KDI_ARG(int64_t, args, 1), out);
    }
}

static kd_status extracted_decimal(kd_ctx *ctx, kd_call_env *env, const kd_extract *extracted,
                                   kd_decimal *out)
{
    if (extracted->infinity == 0)
        return kd_decimal_from_fixed(ctx, env->arena, extracted->value, extracted->scale, out);
    *out = (kd_decimal){.kind = extracted->infinity > 0 ? KD_DECIMAL_INFINITY
                                                        : KD_DECIMAL_NEGATIVE_INFINITY};
    return KD_OK;
}

KDI_ROW(extract)
{
    kd_extract extracted;
    KD_TRY(extract_field(ctx, env, args, &extracted));
    *out_is_null = extracted.is_null;
    if (extracted.is_null)
        return KD_OK;
    kd_decimal value;
    KD_TRY(extracted_decimal(ctx, env, &extracted, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

/* In PostgreSQL 15 date_part of a date goes through a timestamp. */
KDI_ROW(date_part)
{
    kd_extract extracted;
    int64_t timestamp;
    const void *own[2] = {args[0], args[1]};
    kd_type types[2] = {env->argument_types[0], env->argument_types[1]};
    kd_call_env own_env = *env;
    if (types[1].id == KD_TYPE_DATE) {
        KD_TRY(kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 1), &timestamp));
        own[1] = &timestamp;
        types[1] = kd_type_of(KD_TYPE_TIMESTAMP);
        own_env.argument_types = types;
    }
    KD_TRY(extract_field(ctx, &own_env, own, &extracted));
    *out_is_null = extracted.is_null;
    if (extracted.is_null)
        return KD_OK;
    if (extracted.infinity != 0)
        *(double *)result = extracted.infinity > 0 ? (double)INFINITY : -(double)INFINITY;
    else
        *(double *)result = as_double(&extracted);
    return KD_OK;
}

/* date_trunc takes fewer fields than extract. */
static kd_status trunc_field(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                             kd_field *out)
{
    kd_slice name = kdi_arg_text(args, 0);
    KD_TRY(field_of(ctx, name, env->argument_types[1], out));
    if (*out == KD_FIELD_DOW || *out == KD_FIELD_ISODOW || *out == KD_FIELD_DOY ||
        *out == KD_FIELD_ISOYEAR || *out == KD_FIELD_EPOCH || *out == KD_FIELD_JULIAN)
        return field_unknown(ctx, name, env->argument_types[1]);
    return KD_OK;
}

KDI_ROW(trunc_timestamp)
{
    kd_field field;
    KD_TRY(trunc_field(ctx, env, args, &field));
    return kd_timestamp_trunc(ctx, field, KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(trunc_timestamptz)
{
    kd_field field;
    KD_TRY(trunc_field(ctx, env, args, &field));
    const kd_zone *zone = kdi_zone(env);
    if (env->argument_count > 2)
        KD_TRY(kd_zone_open(ctx, env->arena, kdi_arg_text(args, 2), &zone));
    return kd_timestamptz_trunc(ctx, zone, field, KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(trunc_interval)
{
    kd_field field;
    KD_TRY(trunc_field(ctx, env, args, &field));
    return kd_interval_trunc(ctx, field, KDI_ARG(kd_interval, args, 1), result);
}

KDI_ROW(date_bin)
{
    return kd_timestamp_bin(ctx, KDI_ARG(kd_interval, args, 0), KDI_ARG(int64_t, args, 1),
                            KDI_ARG(int64_t, args, 2), result);
}

/* --- age -------------------------------------------------------------------------------------- */

KDI_ROW(age_timestamps)
{
    return kd_timestamp_age(ctx, KDI_ARG(int64_t, args, 0), KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(age_timestamptzs)
{
    int64_t a, b;
    KD_TRY(kd_timestamp_from_utc(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 0), &a));
    KD_TRY(kd_timestamp_from_utc(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 1), &b));
    return kd_timestamp_age(ctx, a, b, result);
}

static kd_status today(kd_ctx *ctx, const kd_call_env *env, int64_t *out)
{
    int64_t local;
    KD_TRY(kd_timestamp_from_utc(ctx, kdi_zone(env), env->facts->transaction_us, &local));
    return kd_date_to_timestamp(ctx, kd_timestamp_to_date(local), out);
}

KDI_ROW(age_timestamp)
{
    int64_t now_local;
    KD_TRY(today(ctx, env, &now_local));
    return kd_timestamp_age(ctx, now_local, KDI_ARG(int64_t, args, 0), result);
}

KDI_ROW(age_timestamptz)
{
    int64_t now_local, local;
    KD_TRY(today(ctx, env, &now_local));
    KD_TRY(kd_timestamp_from_utc(ctx, kdi_zone(env), KDI_ARG(int64_t, args, 0), &local));
    return kd_timestamp_age(ctx, now_local, local, result);
}

/* --- Making ----------------------------------------------------------------------------------- */

KDI_ROW(make_date)
{
    return kd_date_make(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(int32_t, args, 1),
                        KDI_ARG(int32_t, args, 2), result);
}

KDI_ROW(make_time)
{
    return kd_time_make(ctx, KDI_ARG(int32_t, args, 0), KDI_ARG(int32_t, args, 1),
                        KDI_ARG(double, args, 2), result);
}

KDI_ROW(make_timestamp)
{
    int32_t fields[5];
    for (int i = 0; i < 5; i++)
        fields[i] = KDI_ARG(int32_t, args, i);
    return kd_timestamp_make(ctx, fields, KDI_ARG(double, args, 5), result);
}

KDI_ROW(make_timestamptz)
{
    int64_t local;
    KD_TRY(make_timestamp(ctx, env, args, &local, out_is_null));
    const kd_zone *zone = kdi_zone(env);
    if (env->argument_count == 6)
        return kd_timestamp_to_utc(ctx, zone, local, result);
    kd_slice name = kdi_arg_text(args, 6);
    if (name.size_bytes > 0 && name.data[0] >= '0' && name.data[0] <= '9') {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22023",
                                   "invalid input syntax for type numeric time zone: \"%.*s\"",
                                   (int)name.size_bytes, name.data);
        kd_error_set_hint(ctx, "Numeric time zones must have \"-\" or \"+\" as first character.");
        return status;
    }
    int32_t offset_s;
    bool overflows;
    if (kd_offset_parse(name, &offset_s, &overflows)) { /* East, as in a literal. */
        *(int64_t *)result = local - offset_s * KD_SECOND_US;
        return kd_timestamp_check(ctx, *(int64_t *)result);
    }
    if (overflows)
        return KD_FAIL(ctx, KD_INVALID, "22023", "numeric time zone \"%.*s\" out of range",
                       (int)name.size_bytes, name.data);
    KD_TRY(kd_zone_open(ctx, env->arena, name, &zone));
    return kd_timestamp_to_utc(ctx, zone, local, result);
}

KDI_ROW(date_time_to_timestamptz)
{
    int64_t local;
    KD_TRY(date_plus_time(ctx, env, args, &local, out_is_null));
    return kd_timestamp_to_utc(ctx, kdi_zone(env), local, result);
}

KDI_ROW(make_interval)
{
    int32_t fields[6] = {0};
    for (uint32_t i = 0; i < 6 && i < env->argument_count; i++)
        fields[i] = KDI_ARG(int32_t, args, i);
    double seconds = env->argument_count > 6 ? KDI_ARG(double, args, 6) : 0;
    return kd_interval_make(ctx, fields, seconds, result);
}

KDI_ROW(to_timestamp_epoch)
{
    return kd_timestamp_from_epoch(ctx, KDI_ARG(double, args, 0), result);
}

/* --- Zones ------------------------------------------------------------------------------------ */

/* The zone named by argument 0, kept while the name stays the same. */
typedef struct zone_state {
    kd_slice name;
    const kd_zone *zone;
} zone_state;

static kd_status zone_argument(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                               const kd_zone **out)
{
    zone_state *state = env->state;
    kd_slice name = kdi_arg_text(args, 0);
    *out = state == NULL ? NULL : state->zone;
    if (state != NULL && kd_slice_equal(state->name, name))
        return KD_OK;
    KD_TRY(kd_zone_open(ctx, env->state_arena, name, out));
    state = KD_NEW(ctx, env->state_arena, zone_state);
    if (state == NULL)
        return KD_NOMEM;
    state->zone = *out;
    state->name.data = kd_copy_text(ctx, env->state_arena, name.data, name.size_bytes);
    state->name.size_bytes = name.size_bytes;
    if (state->name.data == NULL)
        return KD_NOMEM;
    env->state = state;
    return KD_OK;
}

KDI_ROW(zone_of_timestamp)
{
    const kd_zone *zone;
    KD_TRY(zone_argument(ctx, env, args, &zone));
    return kd_timestamp_to_utc(ctx, zone, KDI_ARG(int64_t, args, 1), result);
}

KDI_ROW(zone_of_timestamptz)
{
    const kd_zone *zone;
    KD_TRY(zone_argument(ctx, env, args, &zone));
    return kd_timestamp_from_utc(ctx, zone, KDI_ARG(int64_t, args, 1), result);
}

static kd_status offset_argument(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                                 int64_t *out)
{
    kd_interval offset = KDI_ARG(kd_interval, args, 0);
    if (offset.months != 0 || offset.days != 0) {
        kd_buffer text = kd_buffer_in(env->arena);
        KD_TRY(kd_interval_format(ctx, KD_INTERVAL_STYLE_POSTGRES, offset, &text));
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "interval time zone \"%s\" must not include months or days", text.data);
    }
    *out = offset.micros;
    return KD_OK;
}

/* The zone as it is now: a time of day has no date that could tell. */
KDI_ROW(zone_of_timetz)
{
    const kd_zone *zone;
    int64_t now = env->facts->transaction_us, local;
    KD_TRY(zone_argument(ctx, env, args, &zone));
    KD_TRY(kd_timestamp_from_utc(ctx, zone, now, &local));
    *(int64_t *)result =
        kd_timetz_shift(KDI_ARG(int64_t, args, 1), (int32_t)((local - now) / KD_SECOND_US));
    return KD_OK;
}

KDI_ROW(offset_of_timetz)
{
    int64_t offset = 0;
    KD_TRY(offset_argument(ctx, env, args, &offset));
    offset /= KD_SECOND_US;
    if (offset > KD_TIMETZ_WEST_MAX || offset < -KD_TIMETZ_WEST_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22009", "time zone displacement out of range");
    *(int64_t *)result = kd_timetz_shift(KDI_ARG(int64_t, args, 1), (int32_t)offset);
    return KD_OK;
}

static kd_status shifted(kd_ctx *ctx, int64_t timestamp, int64_t by, int64_t *out)
{
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    return kd_timestamp_add(ctx, timestamp, (kd_interval){.micros = by}, out);
}

KDI_ROW(offset_of_timestamp)
{
    int64_t offset = 0;
    KD_TRY(offset_argument(ctx, env, args, &offset));
    return shifted(ctx, KDI_ARG(int64_t, args, 1), -offset, result);
}

KDI_ROW(offset_of_timestamptz)
{
    int64_t offset = 0;
    KD_TRY(offset_argument(ctx, env, args, &offset));
    return shifted(ctx, KDI_ARG(int64_t, args, 1), offset, result);
}

/* --- Others ----------------------------------------------------------------------------------- */

KDI_ROW(justify_hours)
{
    return kd_interval_justify_hours(ctx, KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(justify_days)
{
    return kd_interval_justify_days(ctx, KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(justify_interval)
{
    return kd_interval_justify(ctx, KDI_ARG(kd_interval, args, 0), result);
}

KDI_ROW(date_isfinite)
{
    *(uint8_t *)result = kd_date_is_finite(KDI_ARG(int32_t, args, 0));
    return KD_OK;
}

KDI_ROW(timestamp_isfinite)
{
    *(uint8_t *)result = kd_timestamp_is_finite(KDI_ARG(int64_t, args, 0));
    return KD_OK;
}

KDI_ROW(interval_isfinite)
{
    *(uint8_t *)result = true;
    return KD_OK;
}

/* --- time_bucket ------------------------------------------------------------------------------ */

enum { MONDAY_2000 = 2 }; /* 2000-01-03, TimescaleDB's origin for widths without months. */

static kd_status bad_width(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "%s", what);
}

static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

/* Buckets of whole months from the origin's month, keeping its day and time. */
static kd_status month_bucket(kd_ctx *ctx, int32_t months, int64_t timestamp, int64_t origin,
                              int64_t *out)
{
    kd_civil at, from;
    kd_timestamp_to_civil(timestamp, &at);
    kd_timestamp_to_civil(origin, &from);
    int64_t distance = ((int64_t)at.year - from.year) * 12 + at.month - from.month;
    int64_t start = floor_to(distance, months);
    for (int tries = 0; tries < 2; tries++, start -= months) {
        KD_TRY(kd_timestamp_add(ctx, origin, (kd_interval){.months = (int32_t)start}, out));
        if (*out <= timestamp)
            break;
    }
    return KD_OK;
}

/* `origin` NULL: the width's own. */
static kd_status bucket(kd_ctx *ctx, kd_interval width, int64_t timestamp, const int64_t *origin,
                        int64_t *out)
{
    *out = timestamp;
    if (!kd_timestamp_is_finite(timestamp))
        return KD_OK;
    if (width.months != 0) {
        if (width.days != 0 || width.micros != 0)
            return bad_width(ctx, "month intervals cannot have day or time component");
        if (width.months < 0)
            return bad_width(ctx, "period must be greater than 0");
        return month_bucket(ctx, width.months, timestamp, origin == NULL ? 0 : *origin, out);
    }
    kd_i128 step = kd_interval_total_us(width);
    if (step <= 0)
        return bad_width(ctx, "period must be greater than 0");
    if (step > INT64_MAX)
        return bad_width(ctx, "period too large");
    int64_t start = origin == NULL ? MONDAY_2000 * KD_DAY_US : *origin;
    kd_i128 distance = (kd_i128)timestamp - start, rest = distance % step;
    if (rest < 0)
        rest += step;
    *out = (int64_t)((kd_i128)timestamp - rest);
    return kd_timestamp_check(ctx, *out);
}

/* time_bucket(width, ts [, origin | offset]) without a zone. */
KDI_ROW(bucket_plain)
{
    kd_interval width = KDI_ARG(kd_interval, args, 0);
    int64_t timestamp = KDI_ARG(int64_t, args, 1);
    if (env->argument_count < 3)
        return bucket(ctx, width, timestamp, NULL, result);
    if (env->argument_types[2].id != KD_TYPE_INTERVAL) {
        int64_t origin = KDI_ARG(int64_t, args, 2);
        return bucket(ctx, width, timestamp, &origin, result);
    }
    kd_interval offset = KDI_ARG(kd_interval, args, 2);
    KD_TRY(kd_timestamp_add(ctx, timestamp, negated(offset), &timestamp));
    KD_TRY(bucket(ctx, width, timestamp, NULL, &timestamp));
    return kd_timestamp_add(ctx, timestamp, offset, result);
}

/* time_bucket(width, timestamptz, zone [, origin [, offset]]): buckets of local time. */
KDI_ROW(bucket_zoned)
{
    const kd_zone *zone;
    const void *zone_args[1] = {args[2]};
    KD_TRY(zone_argument(ctx, env, zone_args, &zone));
    int64_t local, origin_local;
    const int64_t *origin = NULL;
    kd_interval offset = {0};
    KD_TRY(kd_timestamp_from_utc(ctx, zone, KDI_ARG(int64_t, args, 1), &local));
    if (env->argument_count > 3) {
        KD_TRY(kd_timestamp_from_utc(ctx, zone, KDI_ARG(int64_t, args, 3), &origin_local));
        origin = &origin_local;
    }
    if (env->argument_count > 4)
        offset = KDI_ARG(kd_interval, args, 4);
    KD_TRY(kd_timestamp_add(ctx, local, negated(offset), &local));
    KD_TRY(bucket(ctx, KDI_ARG(kd_interval, args, 0), local, origin, &local));
    KD_TRY(kd_timestamp_add(ctx, local, offset, &local));
    return kd_timestamp_to_utc(ctx, zone, local, result);
}

KDI_ROW(bucket_date)
{
    int64_t timestamp, origin;
    const int64_t *origin_at = NULL;
    KD_TRY(kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 1), &timestamp));
    if (env->argument_count > 2) {
        KD_TRY(kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 2), &origin));
        origin_at = &origin;
    }
    KD_TRY(bucket(ctx, KDI_ARG(kd_interval, args, 0), timestamp, origin_at, &timestamp));
    *(int32_t *)result = kd_timestamp_to_date(timestamp);
    return KD_OK;
}

#define INTEGER_BUCKET(name, type)                                                    \
    KDI_ROW(name)                                                                     \
    {                                                                                 \
        int64_t width = KDI_ARG(type, args, 0), value = KDI_ARG(type, args, 1);       \
        int64_t offset = env->argument_count > 2 ? KDI_ARG(type, args, 2) : 0, start; \
        if (width <= 0)                                                               \
            return bad_width(ctx, "period must be greater than 0");                   \
        offset %= width;                                                              \
        bool over = __builtin_sub_overflow(value, offset, &start);                    \
        over |= start < INT64_MIN + width;                                            \
        if (!over)                                                                    \
            start = floor_to(start, width) + offset;                                  \
        if (over || start != (type)start)                                             \
            return KD_FAIL(ctx, KD_INVALID, "22003", "timestamp out of range");       \
        *(type *)result = (type)start;                                                \
        return KD_OK;                                                                 \
    }
INTEGER_BUCKET(bucket_i16, int16_t)
INTEGER_BUCKET(bucket_i32, int32_t)
INTEGER_BUCKET(bucket_i64, int64_t)

#define COMPARE_ACROSS(HOW, A, B)                                        \
    HOW("=", cross_eq, BOOL, A, B), HOW("<>", cross_ne, BOOL, A, B),     \
        HOW("<", cross_lt, BOOL, A, B), HOW("<=", cross_le, BOOL, A, B), \
        HOW(">", cross_gt, BOOL, A, B), HOW(">=", cross_ge, BOOL, A, B)

static const char *const interval_names[] = {"years", "months", "weeks", "days",
                                             "hours", "mins",   "secs"};
static const char *const date_names[] = {"year", "month", "day"};
static const char *const bucket_names[] = {"bucket_width", "ts", "timezone", "origin", "offset"};
static const char *const bucket_origin_names[] = {"bucket_width", "ts", "origin"};
static const char *const bucket_offset_names[] = {"bucket_width", "ts", "offset"};

#define NAMED(NAME, ROW, RESULT, NAMES, ...)                                                    \
    {                                                                                           \
        KDI_SIGNATURE(__VA_ARGS__), .name = NAME, .row = ROW, .result = RESULT, .strict = true, \
                                    .argument_names = NAMES                                     \
    }

static const kd_function functions[] = {
    NO_ARGUMENTS("now", now, TIMESTAMPTZ, KD_STABLE),
    NO_ARGUMENTS("current_timestamp", now, TIMESTAMPTZ, KD_STABLE),
    NO_ARGUMENTS("transaction_timestamp", now, TIMESTAMPTZ, KD_STABLE),
    NO_ARGUMENTS("statement_timestamp", statement_timestamp, TIMESTAMPTZ, KD_STABLE),
    NO_ARGUMENTS("clock_timestamp", clock_timestamp, TIMESTAMPTZ, KD_VOLATILE),
    IMMUTABLE("+", date_plus_days, DATE, DATE, INT4),
    IMMUTABLE("+", days_plus_date, DATE, INT4, DATE),
    IMMUTABLE("-", date_minus_days, DATE, DATE, INT4),
    IMMUTABLE("-", date_minus_date, INT4, DATE, DATE),
    IMMUTABLE("+", date_plus_interval, TIMESTAMP, DATE, INTERVAL),
    IMMUTABLE("+", interval_plus_date, TIMESTAMP, INTERVAL, DATE),
    IMMUTABLE("-", date_minus_interval, TIMESTAMP, DATE, INTERVAL),
    IMMUTABLE("+", date_plus_time, TIMESTAMP, DATE, TIME),
    IMMUTABLE("+", time_plus_date, TIMESTAMP, TIME, DATE),
    IMMUTABLE("+", timestamp_plus, TIMESTAMP, TIMESTAMP, INTERVAL),
    IMMUTABLE("+", plus_timestamp, TIMESTAMP, INTERVAL, TIMESTAMP),
    IMMUTABLE("-", timestamp_minus, TIMESTAMP, TIMESTAMP, INTERVAL),
    IMMUTABLE("-", timestamp_difference, INTERVAL, TIMESTAMP, TIMESTAMP),
    STABLE("+", timestamptz_plus, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL),
    STABLE("+", plus_timestamptz, TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ),
    STABLE("-", timestamptz_minus, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL),
    IMMUTABLE("-", timestamp_difference, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ),
    IMMUTABLE("+", timestamp_ns_plus, TIMESTAMP_NS, TIMESTAMP_NS, INTERVAL),
    IMMUTABLE("-", timestamp_ns_minus, TIMESTAMP_NS, TIMESTAMP_NS, INTERVAL),
    IMMUTABLE("-", timestamp_ns_difference, INTERVAL, TIMESTAMP_NS, TIMESTAMP_NS),
    IMMUTABLE("+", time_plus_interval, TIME, TIME, INTERVAL),
    IMMUTABLE("+", interval_plus_time, TIME, INTERVAL, TIME),
    IMMUTABLE("-", time_minus_interval, TIME, TIME, INTERVAL),
    IMMUTABLE("-", time_difference, INTERVAL, TIME, TIME),
    IMMUTABLE("+", timetz_plus_interval, TIMETZ, TIMETZ, INTERVAL),
    IMMUTABLE("+", interval_plus_timetz, TIMETZ, INTERVAL, TIMETZ),
    IMMUTABLE("-", timetz_minus_interval, TIMETZ, TIMETZ, INTERVAL),
    IMMUTABLE("+", date_plus_timetz, TIMESTAMPTZ, DATE, TIMETZ),
    IMMUTABLE("+", timetz_plus_date, TIMESTAMPTZ, TIMETZ, DATE),
    IMMUTABLE("+", interval_plus, INTERVAL, INTERVAL, INTERVAL),
    IMMUTABLE("-", interval_minus, INTERVAL, INTERVAL, INTERVAL),
    IMMUTABLE("-", interval_negate, INTERVAL, INTERVAL),
    IMMUTABLE("*", interval_times, INTERVAL, INTERVAL, FLOAT8),
    IMMUTABLE("*", times_interval, INTERVAL, FLOAT8, INTERVAL),
    IMMUTABLE("/", interval_over, INTERVAL, INTERVAL, FLOAT8),
    COMPARE_ACROSS(IMMUTABLE, DATE, TIMESTAMP),
    COMPARE_ACROSS(IMMUTABLE, TIMESTAMP, DATE),
    COMPARE_ACROSS(STABLE, DATE, TIMESTAMPTZ),
    COMPARE_ACROSS(STABLE, TIMESTAMPTZ, DATE),
    COMPARE_ACROSS(STABLE, TIMESTAMP, TIMESTAMPTZ),
    COMPARE_ACROSS(STABLE, TIMESTAMPTZ, TIMESTAMP),
    IMMUTABLE("kade_timestamp", comparable_timestamp, TIMESTAMP, DATE),
    STABLE("kade_timestamptz", comparable_timestamptz, TIMESTAMPTZ, DATE),
    STABLE("kade_timestamptz", comparable_timestamptz, TIMESTAMPTZ, TIMESTAMP),
    IMMUTABLE("extract", extract, NUMERIC, TEXT, DATE),
    IMMUTABLE("extract", extract, NUMERIC, TEXT, TIME),
    IMMUTABLE("extract", extract, NUMERIC, TEXT, TIMETZ),
    IMMUTABLE("extract", extract, NUMERIC, TEXT, TIMESTAMP),
    STABLE("extract", extract, NUMERIC, TEXT, TIMESTAMPTZ),
    IMMUTABLE("extract", extract, NUMERIC, TEXT, INTERVAL),
    IMMUTABLE("date_part", date_part, FLOAT8, TEXT, DATE),
    IMMUTABLE("date_part", date_part, FLOAT8, TEXT, TIME),
    IMMUTABLE("date_part", date_part, FLOAT8, TEXT, TIMETZ),
    IMMUTABLE("date_part", date_part, FLOAT8, TEXT, TIMESTAMP),
    STABLE("date_part", date_part, FLOAT8, TEXT, TIMESTAMPTZ),
    IMMUTABLE("date_part", date_part, FLOAT8, TEXT, INTERVAL),
    IMMUTABLE("date_trunc", trunc_timestamp, TIMESTAMP, TEXT, TIMESTAMP),
    STABLE("date_trunc", trunc_timestamptz, TIMESTAMPTZ, TEXT, TIMESTAMPTZ),
    STABLE("date_trunc", trunc_timestamptz, TIMESTAMPTZ, TEXT, TIMESTAMPTZ, TEXT),
    IMMUTABLE("date_trunc", trunc_interval, INTERVAL, TEXT, INTERVAL),
    IMMUTABLE("date_bin", date_bin, TIMESTAMP, INTERVAL, TIMESTAMP, TIMESTAMP),
    IMMUTABLE("date_bin", date_bin, TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ),
    IMMUTABLE("age", age_timestamps, INTERVAL, TIMESTAMP, TIMESTAMP),
    STABLE("age", age_timestamptzs, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ),
    STABLE("age", age_timestamp, INTERVAL, TIMESTAMP),
    STABLE("age", age_timestamptz, INTERVAL, TIMESTAMPTZ),
    NAMED("make_date", make_date, DATE, date_names, INT4, INT4, INT4),
    IMMUTABLE("make_time", make_time, TIME, INT4, INT4, FLOAT8),
    IMMUTABLE("make_timestamp", make_timestamp, TIMESTAMP, INT4, INT4, INT4, INT4, INT4, FLOAT8),
    STABLE("make_timestamptz", make_timestamptz, TIMESTAMPTZ, INT4, INT4, INT4, INT4, INT4, FLOAT8),
    STABLE("make_timestamptz", make_timestamptz, TIMESTAMPTZ, INT4, INT4, INT4, INT4, INT4, FLOAT8,
           TEXT),
    STABLE("timestamptz", date_time_to_timestamptz, TIMESTAMPTZ, DATE, TIME),
    IMMUTABLE("timestamptz", date_plus_timetz, TIMESTAMPTZ, DATE, TIMETZ),
    IMMUTABLE("timestamp", date_plus_time, TIMESTAMP, DATE, TIME),
    NO_ARGUMENTS("make_interval", make_interval, INTERVAL, KD_IMMUTABLE),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4, INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4, INT4, INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4, INT4, INT4, INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4, INT4, INT4, INT4,
          INT4),
    NAMED("make_interval", make_interval, INTERVAL, interval_names, INT4, INT4, INT4, INT4, INT4,
          INT4, FLOAT8),
    IMMUTABLE("to_timestamp", to_timestamp_epoch, TIMESTAMPTZ, FLOAT8),
    IMMUTABLE("timezone", zone_of_timestamp, TIMESTAMPTZ, TEXT, TIMESTAMP),
    IMMUTABLE("timezone", zone_of_timestamptz, TIMESTAMP, TEXT, TIMESTAMPTZ),
    IMMUTABLE("timezone", offset_of_timestamp, TIMESTAMPTZ, INTERVAL, TIMESTAMP),
    IMMUTABLE("timezone", offset_of_timestamptz, TIMESTAMP, INTERVAL, TIMESTAMPTZ),
    STABLE("timezone", zone_of_timetz, TIMETZ, TEXT, TIMETZ),
    IMMUTABLE("timezone", offset_of_timetz, TIMETZ, INTERVAL, TIMETZ),
    IMMUTABLE("justify_hours", justify_hours, INTERVAL, INTERVAL),
    IMMUTABLE("justify_days", justify_days, INTERVAL, INTERVAL),
    IMMUTABLE("justify_interval", justify_interval, INTERVAL, INTERVAL),
    IMMUTABLE("isfinite", date_isfinite, BOOL, DATE),
    IMMUTABLE("isfinite", timestamp_isfinite, BOOL, TIMESTAMP),
    IMMUTABLE("isfinite", timestamp_isfinite, BOOL, TIMESTAMPTZ),
    IMMUTABLE("isfinite", interval_isfinite, BOOL, INTERVAL),
    NAMED("time_bucket", bucket_plain, TIMESTAMP, bucket_names, INTERVAL, TIMESTAMP),
    NAMED("time_bucket", bucket_plain, TIMESTAMP, bucket_origin_names, INTERVAL, TIMESTAMP,
          TIMESTAMP),
    NAMED("time_bucket", bucket_plain, TIMESTAMP, bucket_offset_names, INTERVAL, TIMESTAMP,
          INTERVAL),
    NAMED("time_bucket", bucket_plain, TIMESTAMPTZ, bucket_names, INTERVAL, TIMESTAMPTZ),
    NAMED("time_bucket", bucket_plain, TIMESTAMPTZ, bucket_origin_names, INTERVAL, TIMESTAMPTZ,
          TIMESTAMPTZ),
    NAMED("time_bucket", bucket_plain, TIMESTAMPTZ, bucket_offset_names, INTERVAL, TIMESTAMPTZ,
          INTERVAL),
    NAMED("time_bucket", bucket_zoned, TIMESTAMPTZ, bucket_names, INTERVAL, TIMESTAMPTZ, TEXT),
    NAMED("time_bucket", bucket_zoned, TIMESTAMPTZ, bucket_names, INTERVAL, TIMESTAMPTZ, TEXT,
          TIMESTAMPTZ),
    NAMED("time_bucket", bucket_zoned, TIMESTAMPTZ, bucket_names, INTERVAL, TIMESTAMPTZ, TEXT,
          TIMESTAMPTZ, INTERVAL),
    NAMED("time_bucket", bucket_date, DATE, bucket_names, INTERVAL, DATE),
    NAMED("time_bucket", bucket_date, DATE, bucket_origin_names, INTERVAL, DATE, DATE),
    IMMUTABLE("time_bucket", bucket_i16, INT2, INT2, INT2),
    IMMUTABLE("time_bucket", bucket_i16, INT2, INT2, INT2, INT2),
    IMMUTABLE("time_bucket", bucket_i32, INT4, INT4, INT4),
    IMMUTABLE("time_bucket", bucket_i32, INT4, INT4, INT4, INT4),
    IMMUTABLE("time_bucket", bucket_i64, INT8, INT8, INT8),
    IMMUTABLE("time_bucket", bucket_i64, INT8, INT8, INT8, INT8),
};

kd_status kdi_register_datetime(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
