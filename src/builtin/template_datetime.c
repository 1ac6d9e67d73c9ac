/*
 * to_char of timestamps and intervals.
 */
#include "builtin/template_internal.h"
#include "types/datetime.h"

static char upper_of(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

typedef struct moment {
    kd_civil civil; /* Of an interval: its fields, hours unbounded. */
    int64_t hours;
    int64_t years;
    bool is_interval;
    bool has_zone;
    int32_t date;
    kd_zone_offset offset;
} moment;

static kd_status append_number(kd_ctx *ctx, const kdi_place *it, int64_t value, int width,
                               kd_buffer *out)
{
    if (value < 0 && width > 0)
        width++;
    KD_TRY(
        kd_buffer_append_format(ctx, out, "%0*lld", it->fill_mode ? 0 : width, (long long)value));
    if (it->ending == 0)
        return KD_OK;
    int64_t rest = value < 0 ? -value : value;
    int64_t tens = rest / 10 % 10, ones = rest % 10;
    const char *ending = tens == 1   ? "th"
                         : ones == 1 ? "st"
                         : ones == 2 ? "nd"
                         : ones == 3 ? "rd"
                                     : "th";
    for (int i = 0; i < 2; i++)
        KD_TRY(kd_buffer_append_byte(
            ctx, out, (uint8_t)(it->ending == 'T' ? upper_of(ending[i]) : ending[i])));
    return KD_OK;
}

/* In the case that the pattern was written in: MONTH, Month, month; blanks to `width`. */
static kd_status append_name(kd_ctx *ctx, const kdi_place *it, const char *name, size_t length,
                             size_t width, kd_buffer *out)
{
    bool first_upper = it->text.data[0] == upper_of(it->text.data[0]);
    bool all_upper = first_upper && it->text.data[1] == upper_of(it->text.data[1]);
    size_t written = 0;
    for (; written < length && name[written] != '\0'; written++) {
        bool upper = all_upper || (first_upper && written == 0);
        char c = upper ? upper_of(name[written]) : lower_of(name[written]);
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    for (; written < width && !it->fill_mode && !it->is_translated; written++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return KD_OK;
}

static kd_status append_as_written(kd_ctx *ctx, const kdi_place *it, const char *word,
                                   kd_buffer *out)
{
    bool lower = it->text.data[0] == lower_of(it->text.data[0]);
    for (; *word != '\0'; word++)
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)(lower ? lower_of(*word) : *word)));
    return KD_OK;
}

static kd_status append_year(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    int32_t iso_year = 0, week;
    if (!m->is_interval)
        kd_date_iso_week(m->date, &iso_year, &week);
    bool iso = it->kind == KDI_P_I || it->kind == KDI_P_IY || it->kind == KDI_P_IYY ||
               it->kind == KDI_P_IYYY;
    int64_t year = iso && !m->is_interval ? iso_year : m->years;
    if (year <= 0 && !m->is_interval)
        year = 1 - year;
    switch (it->kind) {
    case KDI_P_Y_YYY:
        KD_TRY(kd_buffer_append_format(ctx, out, "%lld,%03lld", (long long)(year / 1000),
                                       (long long)(year % 1000)));
        return KD_OK;
    case KDI_P_YYYY:
    case KDI_P_IYYY:
        return append_number(ctx, it, year, 4, out);
    case KDI_P_YYY:
    case KDI_P_IYY:
        return append_number(ctx, it, year % 1000, 3, out);
    case KDI_P_YY:
    case KDI_P_IY:
        return append_number(ctx, it, year % 100, 2, out);
    default:
        return append_number(ctx, it, year % 10, 1, out);
    }
}

static kd_status append_zone(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    int32_t seconds = m->offset.seconds, size = seconds < 0 ? -seconds : seconds;
    const char *name = m->has_zone && m->offset.abbreviation != NULL ? m->offset.abbreviation : "";
    switch (it->kind) {
    case KDI_P_TZ:
        return append_as_written(ctx, it, name, out);
    case KDI_P_TZH:
        return kd_buffer_append_format(ctx, out, "%c%02d", seconds < 0 ? '-' : '+', size / 3600);
    case KDI_P_TZM:
        return kd_buffer_append_format(ctx, out, "%02d", size / 60 % 60);
    default:
        KD_TRY(kd_buffer_append_format(ctx, out, "%c%02d", seconds < 0 ? '-' : '+', size / 3600));
        if (size % 3600 != 0)
            return kd_buffer_append_format(ctx, out, ":%02d", size / 60 % 60);
        return KD_OK;
    }
}

static kd_status append_clock(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    static const int powers[6] = {100000, 10000, 1000, 100, 10, 1};
    int64_t hour = m->hours;
    kdi_place padded = *it; /* Zeros before a fraction's digits always count. */
    padded.fill_mode = false;
    switch (it->kind) {
    case KDI_P_HH:
        return append_number(ctx, it, hour % 12 == 0 ? 12 : hour % 12, 2, out);
    case KDI_P_HH24:
        return append_number(ctx, it, hour, 2, out);
    case KDI_P_MI:
        return append_number(ctx, it, m->civil.minute, 2, out);
    case KDI_P_SS:
        return append_number(ctx, it, m->civil.second, 2, out);
    case KDI_P_MS:
        return append_number(ctx, &padded, m->civil.micros / 1000, 3, out);
    case KDI_P_US:
        return append_number(ctx, &padded, m->civil.micros, 6, out);
    case KDI_P_SSSS:
        return append_number(ctx, it, hour * 3600 + m->civil.minute * 60 + m->civil.second, 0, out);
    case KDI_P_AM:
        return append_as_written(ctx, it, hour % 24 >= 12 ? "PM" : "AM", out);
    case KDI_P_A_M:
        return append_as_written(ctx, it, hour % 24 >= 12 ? "P.M." : "A.M.", out);
    default: {
        int digits = (int)it->kind - KDI_P_FF1;
        return append_number(ctx, &padded, m->civil.micros / powers[digits], digits + 1, out);
    }
    }
}

static kd_status append_day(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    int32_t weekday = m->is_interval ? 0 : kd_date_day_of_week(m->date), iso_year, week;
    int64_t year_day = m->is_interval ? (m->years * 12 + m->civil.month) * 30 + m->civil.day
                                      : kd_date_day_of_year(m->date);
    switch (it->kind) {
    case KDI_P_DAY:
        return append_name(ctx, it, kdi_day_names[weekday], 9, 9, out);
    case KDI_P_DY:
        return append_name(ctx, it, kdi_day_names[weekday], 3, 3, out);
    case KDI_P_D:
        return append_number(ctx, it, weekday + 1, 0, out);
    case KDI_P_ID:
        return append_number(ctx, it, weekday == 0 ? 7 : weekday, 0, out);
    case KDI_P_DD:
        return append_number(ctx, it, m->civil.day, 2, out);
    case KDI_P_DDD:
        return append_number(ctx, it, year_day, 3, out);
    case KDI_P_W:
        return append_number(ctx, it, (m->civil.day - 1) / 7 + 1, 0, out);
    case KDI_P_WW:
        return append_number(ctx, it, (year_day - 1) / 7 + 1, 2, out);
    case KDI_P_J:
        return append_number(ctx, it, (int64_t)m->date - KD_DATE_MIN, 0, out);
    default:
        break;
    }
    kd_date_iso_week(m->date, &iso_year, &week);
    if (it->kind == KDI_P_IW)
        return append_number(ctx, it, week, 2, out);
    return append_number(ctx, it, (week - 1) * 7 + (weekday == 0 ? 7 : weekday), 3, out);
}

/* An interval's months may be negative: they count back from the end of a year; no months in some
 * years are the year's last one, or its first when the years are negative. */
static kd_status append_roman(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    int32_t month = m->civil.month;
    if (month == 0 && m->years == 0)
        return KD_OK;
    if (month <= 0)
        month = month < 0 ? month + 13 : m->years > 0 ? 12 : 1;
    KD_TRY(append_as_written(ctx, it, kdi_roman_months[month - 1], out));
    for (size_t i = strlen(kdi_roman_months[month - 1]); i < 4 && !it->fill_mode; i++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return KD_OK;
}

/* What only a point in time has. */
static bool is_of_no_interval(kdi_pattern_kind kind)
{
    static const kdi_pattern_kind kinds[] = {KDI_P_AD,  KDI_P_A_D, KDI_P_MONTH, KDI_P_MON,
                                             KDI_P_DAY, KDI_P_DY,  KDI_P_D,     KDI_P_ID,
                                             KDI_P_TZ,  KDI_P_TZH, KDI_P_TZM,   KDI_P_OF};
    for (size_t i = 0; i < KDI_COUNT(kinds); i++)
        if (kinds[i] == kind)
            return true;
    return false;
}

static kd_status append_place(kd_ctx *ctx, const kdi_place *it, const moment *m, kd_buffer *out)
{
    if (m->is_interval && is_of_no_interval(it->kind))
        return KD_FAIL(ctx, KD_INVALID, "22007",
                       "invalid format specification for an interval value");
    int32_t month = m->civil.month;
    int64_t century = m->is_interval ? m->years / 100
                      : m->years > 0 ? (m->years + 99) / 100
                                     : m->years / 100 - 1;
    switch (it->kind) {
    case KDI_P_FX:
        return KD_OK;
    case KDI_P_AD:
        return append_as_written(ctx, it, m->years <= 0 ? "BC" : "AD", out);
    case KDI_P_A_D:
        return append_as_written(ctx, it, m->years <= 0 ? "B.C." : "A.D.", out);
    case KDI_P_CC:
        return append_number(ctx, it, century, 2, out);
    case KDI_P_Q:
        return month == 0 ? KD_OK : append_number(ctx, it, (month - 1) / 3 + 1, 0, out);
    case KDI_P_MM:
        return append_number(ctx, it, month, 2, out);
    case KDI_P_MONTH:
        return append_name(ctx, it, kdi_month_names[month - 1], 9, 9, out);
    case KDI_P_MON:
        return append_name(ctx, it, kdi_month_names[month - 1], 3, 3, out);
    case KDI_P_RM:
        return append_roman(ctx, it, m, out);
    case KDI_P_OF:
    case KDI_P_TZ:
    case KDI_P_TZH:
    case KDI_P_TZM:
        return append_zone(ctx, it, m, out);
    case KDI_P_Y:
    case KDI_P_YY:
    case KDI_P_YYY:
    case KDI_P_YYYY:
    case KDI_P_Y_YYY:
    case KDI_P_I:
    case KDI_P_IY:
    case KDI_P_IYY:
    case KDI_P_IYYY:
        return append_year(ctx, it, m, out);
    case KDI_P_D:
    case KDI_P_DAY:
    case KDI_P_DD:
    case KDI_P_DDD:
    case KDI_P_DY:
    case KDI_P_ID:
    case KDI_P_IDDD:
    case KDI_P_IW:
    case KDI_P_J:
    case KDI_P_W:
    case KDI_P_WW:
        return append_day(ctx, it, m, out);
    default:
        return append_clock(ctx, it, m, out);
    }
}

static kd_status write_moment(kd_ctx *ctx, kd_call_env *env, kd_slice format, const moment *m,
                              void *result)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    kdi_template template = {.text = format};
    kdi_place it;
    while (kdi_template_next(&template, &it))
        KD_TRY(it.form == KDI_PLACE_PATTERN ? append_place(ctx, &it, m, &buffer)
                                            : kd_buffer_append_slice(ctx, &buffer, it.text));
    return kdi_return_buffer(result, &buffer);
}

static void moment_of(int64_t timestamp, moment *out)
{
    kd_timestamp_to_civil(timestamp, &out->civil);
    out->date = kd_timestamp_to_date(timestamp);
    out->hours = out->civil.hour;
    out->years = out->civil.year;
}

KDI_ROW(timestamp_to_char)
{
    int64_t timestamp = KDI_ARG(int64_t, args, 0);
    moment m = {0};
    *out_is_null = !kd_timestamp_is_finite(timestamp) || kdi_arg_text(args, 1).size_bytes == 0;
    if (*out_is_null)
        return KD_OK;
    moment_of(timestamp, &m);
    return write_moment(ctx, env, kdi_arg_text(args, 1), &m, result);
}

KDI_ROW(timestamptz_to_char)
{
    int64_t utc = KDI_ARG(int64_t, args, 0), local;
    moment m = {.has_zone = true};
    *out_is_null = !kd_timestamp_is_finite(utc) || kdi_arg_text(args, 1).size_bytes == 0;
    if (*out_is_null)
        return KD_OK;
    KD_TRY(kd_timestamp_from_utc(ctx, kdi_zone(env), utc, &local));
    moment_of(local, &m);
    int64_t seconds = utc / KD_SECOND_US - (utc % KD_SECOND_US < 0) + 946684800; /* From 1970. */
    m.offset = kd_zone_at_utc(kdi_zone(env), seconds);
    return write_moment(ctx, env, kdi_arg_text(args, 1), &m, result);
}

KDI_ROW(interval_to_char)
{
    kd_interval value = KDI_ARG(kd_interval, args, 0);
    *out_is_null = kdi_arg_text(args, 1).size_bytes == 0;
    if (*out_is_null)
        return KD_OK;
    moment m = {
        .is_interval = true, .years = value.months / 12, .hours = value.micros / KD_HOUR_US};
    m.civil = (kd_civil){.month = value.months % 12,
                         .day = value.days,
                         .minute = (int32_t)(value.micros % KD_HOUR_US / KD_MINUTE_US),
                         .second = (int32_t)(value.micros % KD_MINUTE_US / KD_SECOND_US),
                         .micros = (int32_t)(value.micros % KD_SECOND_US)};
    return write_moment(ctx, env, kdi_arg_text(args, 1), &m, result);
}

static const kd_function functions[] = {
    STABLE("to_char", timestamp_to_char, TEXT, TIMESTAMP, TEXT),
    STABLE("to_char", timestamptz_to_char, TEXT, TIMESTAMPTZ, TEXT),
    STABLE("to_char", interval_to_char, TEXT, INTERVAL, TEXT),
};

kd_status kdi_register_template_datetime(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
