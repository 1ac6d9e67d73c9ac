/*
 * to_char of timestamps and intervals, to_date and to_timestamp with a template.
 *
 * A template is read from left to right; at each place the longest pattern that fits
 * is taken, quoted text and everything else stands for itself. FM before a pattern
 * leaves padding out; TH and th after a number add an ordinal's ending.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/signature_internal.h"
#include "types/datetime.h"
#include "types/utf8.h"

typedef enum pattern_kind {
    P_AD,
    P_A_D,
    P_AM,
    P_A_M,
    P_CC,
    P_D,
    P_DAY,
    P_DD,
    P_DDD,
    P_DY,
    P_FF1,
    P_FF2,
    P_FF3,
    P_FF4,
    P_FF5,
    P_FF6,
    P_HH,
    P_HH24,
    P_I,
    P_ID,
    P_IDDD,
    P_IW,
    P_IY,
    P_IYY,
    P_IYYY,
    P_J,
    P_MI,
    P_MM,
    P_MON,
    P_MONTH,
    P_MS,
    P_OF,
    P_Q,
    P_RM,
    P_SS,
    P_SSSS,
    P_TZ,
    P_TZH,
    P_TZM,
    P_US,
    P_W,
    P_WW,
    P_Y,
    P_Y_YYY,
    P_YY,
    P_YYY,
    P_YYYY,
} pattern_kind;

/* The longer of two patterns with one beginning comes first. Names are compared without case; what
 * is written in which case tells the case of the result. */
static const struct {
    const char *text;
    pattern_kind kind;
} patterns[] = {
    {"SSSSS", P_SSSS}, {"MONTH", P_MONTH}, {"Y,YYY", P_Y_YYY}, {"HH24", P_HH24}, {"HH12", P_HH},
    {"IDDD", P_IDDD},  {"IYYY", P_IYYY},   {"SSSS", P_SSSS},   {"YYYY", P_YYYY}, {"A.D.", P_A_D},
    {"B.C.", P_A_D},   {"A.M.", P_A_M},    {"P.M.", P_A_M},    {"DAY", P_DAY},   {"DDD", P_DDD},
    {"FF1", P_FF1},    {"FF2", P_FF2},     {"FF3", P_FF3},     {"FF4", P_FF4},   {"FF5", P_FF5},
    {"FF6", P_FF6},    {"IYY", P_IYY},     {"MON", P_MON},     {"TZH", P_TZH},   {"TZM", P_TZM},
    {"YYY", P_YYY},    {"AD", P_AD},       {"BC", P_AD},       {"AM", P_AM},     {"PM", P_AM},
    {"CC", P_CC},      {"DD", P_DD},       {"DY", P_DY},       {"HH", P_HH},     {"ID", P_ID},
    {"IW", P_IW},      {"IY", P_IY},       {"MI", P_MI},       {"MM", P_MM},     {"MS", P_MS},
    {"OF", P_OF},      {"RM", P_RM},       {"SS", P_SS},       {"TZ", P_TZ},     {"US", P_US},
    {"WW", P_WW},      {"YY", P_YY},       {"D", P_D},         {"I", P_I},       {"J", P_J},
    {"Q", P_Q},        {"W", P_W},         {"Y", P_Y},
};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const roman[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                    "VII", "VIII", "IX",  "X",  "XI", "XII"};

static char upper_of(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool starts_with(kd_slice text, size_t at, const char *word, bool exact)
{
    for (size_t i = 0; word[i] != '\0'; i++)
        if (at + i >= text.size_bytes ||
            (exact ? text.data[at + i] != word[i] : upper_of(text.data[at + i]) != word[i]))
            return false;
    return true;
}

/* Patterns are written in capitals or in small letters; names of days and months also with a
 * capital first. "mS" is no MS. */
static bool case_is_right(kd_slice text, size_t at, const char *word, pattern_kind kind)
{
    size_t letters = 0, capitals = 0;
    for (size_t i = 0; word[i] != '\0'; i++) {
        letters += word[i] >= 'A' && word[i] <= 'Z';
        capitals += text.data[at + i] >= 'A' && text.data[at + i] <= 'Z';
    }
    bool is_name = kind == P_DAY || kind == P_DY || kind == P_MON || kind == P_MONTH;
    return capitals == 0 || capitals == letters ||
           (is_name && capitals == 1 && upper_of(text.data[at]) == text.data[at]);
}

/* One place of a template. */
typedef struct place {
    bool is_pattern;
    pattern_kind kind;
    bool fill_mode;
    char ending;   /* 'T' for TH, 't' for th, 0 for none */
    kd_slice text; /* As written: tells the case; or the literal text. */
} place;

/* Reads the place at `*io_at`; quotes are taken off literal text. */
static place next_place(kd_slice format, size_t *io_at)
{
    place it = {0};
    size_t at = *io_at;
    while (starts_with(format, at, "FM", false) || starts_with(format, at, "FX", false) ||
           starts_with(format, at, "TM", false)) {
        it.fill_mode |= upper_of(format.data[at]) != 'F' || upper_of(format.data[at + 1]) == 'M';
        at += 2;
    }
    for (size_t i = 0; i < KDI_COUNT(patterns); i++) {
        if (!starts_with(format, at, patterns[i].text, false) ||
            !case_is_right(format, at, patterns[i].text, patterns[i].kind))
            continue;
        it.is_pattern = true;
        it.kind = patterns[i].kind;
        it.text = (kd_slice){format.data + at, strlen(patterns[i].text)};
        at += it.text.size_bytes;
        if (starts_with(format, at, "TH", true) || starts_with(format, at, "th", true)) {
            it.ending = format.data[at] == 'T' ? 'T' : 't';
            at += 2;
        }
        *io_at = at;
        return it;
    }
    if (at >= format.size_bytes) {
        *io_at = at;
        return it;
    }
    if (format.data[at] == '"') {
        size_t start = ++at;
        while (at < format.size_bytes && format.data[at] != '"')
            at++;
        it.text = (kd_slice){format.data + start, at - start};
        *io_at = at < format.size_bytes ? at + 1 : at;
        return it;
    }
    if (format.data[at] == '\\' && at + 1 < format.size_bytes && format.data[at + 1] == '"')
        at++;
    uint32_t width;
    (void)kd_utf8_decode(format.data + at, format.size_bytes - at, &width);
    it.text = (kd_slice){format.data + at, width};
    *io_at = at + width;
    return it;
}

/* --- to_char ---------------------------------------------------------------------------------- */

typedef struct moment {
    kd_civil civil; /* Of an interval: its fields, hours unbounded. */
    int64_t hours;
    int64_t years;
    bool is_interval;
    bool has_zone;
    int32_t date;
    kd_zone_offset offset;
} moment;

static kd_status append_number(kd_ctx *ctx, const place *it, int64_t value, int width,
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
static kd_status append_name(kd_ctx *ctx, const place *it, const char *name, size_t length,
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
    for (; written < width && !it->fill_mode; written++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return KD_OK;
}

static kd_status append_as_written(kd_ctx *ctx, const place *it, const char *word, kd_buffer *out)
{
    bool lower = it->text.data[0] == lower_of(it->text.data[0]);
    for (; *word != '\0'; word++)
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)(lower ? lower_of(*word) : *word)));
    return KD_OK;
}

static kd_status append_year(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    int32_t iso_year = 0, week;
    if (!m->is_interval)
        kd_date_iso_week(m->date, &iso_year, &week);
    bool iso = it->kind == P_I || it->kind == P_IY || it->kind == P_IYY || it->kind == P_IYYY;
    int64_t year = iso && !m->is_interval ? iso_year : m->years;
    if (year <= 0 && !m->is_interval)
        year = 1 - year;
    switch (it->kind) {
    case P_Y_YYY:
        KD_TRY(kd_buffer_append_format(ctx, out, "%lld,%03lld", (long long)(year / 1000),
                                       (long long)(year % 1000)));
        return KD_OK;
    case P_YYYY:
    case P_IYYY:
        return append_number(ctx, it, year, 4, out);
    case P_YYY:
    case P_IYY:
        return append_number(ctx, it, year % 1000, 3, out);
    case P_YY:
    case P_IY:
        return append_number(ctx, it, year % 100, 2, out);
    default:
        return append_number(ctx, it, year % 10, 1, out);
    }
}

static kd_status append_zone(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    int32_t seconds = m->offset.seconds, size = seconds < 0 ? -seconds : seconds;
    const char *name = m->has_zone && m->offset.abbreviation != NULL ? m->offset.abbreviation : "";
    switch (it->kind) {
    case P_TZ:
        return append_as_written(ctx, it, name, out);
    case P_TZH:
        return kd_buffer_append_format(ctx, out, "%c%02d", seconds < 0 ? '-' : '+', size / 3600);
    case P_TZM:
        return kd_buffer_append_format(ctx, out, "%02d", size / 60 % 60);
    default:
        KD_TRY(kd_buffer_append_format(ctx, out, "%c%02d", seconds < 0 ? '-' : '+', size / 3600));
        if (size % 3600 != 0)
            return kd_buffer_append_format(ctx, out, ":%02d", size / 60 % 60);
        return KD_OK;
    }
}

static kd_status append_clock(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    static const int powers[6] = {100000, 10000, 1000, 100, 10, 1};
    int64_t hour = m->hours;
    switch (it->kind) {
    case P_HH:
        return append_number(ctx, it, hour % 12 == 0 ? 12 : hour % 12, 2, out);
    case P_HH24:
        return append_number(ctx, it, hour, 2, out);
    case P_MI:
        return append_number(ctx, it, m->civil.minute, 2, out);
    case P_SS:
        return append_number(ctx, it, m->civil.second, 2, out);
    case P_MS:
        return append_number(ctx, it, m->civil.micros / 1000, 3, out);
    case P_US:
        return append_number(ctx, it, m->civil.micros, 6, out);
    case P_SSSS:
        return append_number(ctx, it, hour * 3600 + m->civil.minute * 60 + m->civil.second, 0, out);
    case P_AM:
        return append_as_written(ctx, it, hour % 24 >= 12 ? "PM" : "AM", out);
    case P_A_M:
        return append_as_written(ctx, it, hour % 24 >= 12 ? "P.M." : "A.M.", out);
    default: {
        int digits = (int)it->kind - P_FF1;
        return append_number(ctx, it, m->civil.micros / powers[digits], digits + 1, out);
    }
    }
}

static kd_status append_day(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    int32_t weekday = m->is_interval ? 0 : kd_date_day_of_week(m->date), iso_year, week;
    int32_t year_day = m->is_interval ? m->civil.day : kd_date_day_of_year(m->date);
    switch (it->kind) {
    case P_DAY:
        return append_name(ctx, it, days[weekday], 9, 9, out);
    case P_DY:
        return append_name(ctx, it, days[weekday], 3, 3, out);
    case P_D:
        return append_number(ctx, it, weekday + 1, 0, out);
    case P_ID:
        return append_number(ctx, it, weekday == 0 ? 7 : weekday, 0, out);
    case P_DD:
        return append_number(ctx, it, m->civil.day, 2, out);
    case P_DDD:
        return append_number(ctx, it, year_day, 3, out);
    case P_W:
        return append_number(ctx, it, (m->civil.day - 1) / 7 + 1, 0, out);
    case P_WW:
        return append_number(ctx, it, (year_day - 1) / 7 + 1, 2, out);
    case P_J:
        return append_number(ctx, it, (int64_t)m->date - KD_DATE_MIN, 0, out);
    default:
        break;
    }
    kd_date_iso_week(m->date, &iso_year, &week);
    if (it->kind == P_IW)
        return append_number(ctx, it, week, 2, out);
    return append_number(ctx, it, (week - 1) * 7 + (weekday == 0 ? 7 : weekday), 3, out);
}

/* An interval's months may be negative: they count back from the end of a year; no months in some
 * years are the year's last one, or its first when the years are negative. */
static kd_status append_roman(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    int32_t month = m->civil.month;
    if (month == 0 && m->years == 0)
        return KD_OK;
    if (month <= 0)
        month = month < 0 ? month + 13 : m->years > 0 ? 12 : 1;
    KD_TRY(append_as_written(ctx, it, roman[month - 1], out));
    for (size_t i = strlen(roman[month - 1]); i < 4 && !it->fill_mode; i++)
        KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return KD_OK;
}

/* What only a point in time has. */
static bool is_of_no_interval(pattern_kind kind)
{
    static const pattern_kind kinds[] = {P_AD, P_A_D, P_MONTH, P_MON, P_DAY, P_DY,
                                         P_D,  P_ID,  P_TZ,    P_TZH, P_TZM, P_OF};
    for (size_t i = 0; i < KDI_COUNT(kinds); i++)
        if (kinds[i] == kind)
            return true;
    return false;
}

static kd_status append_place(kd_ctx *ctx, const place *it, const moment *m, kd_buffer *out)
{
    if (m->is_interval && is_of_no_interval(it->kind))
        return KD_FAIL(ctx, KD_INVALID, "22007",
                       "invalid format specification for an interval value");
    int32_t month = m->civil.month;
    int64_t century = m->years > 0 ? (m->years + 99) / 100 : m->years / 100 - 1;
    switch (it->kind) {
    case P_AD:
        return append_as_written(ctx, it, m->years <= 0 ? "BC" : "AD", out);
    case P_A_D:
        return append_as_written(ctx, it, m->years <= 0 ? "B.C." : "A.D.", out);
    case P_CC:
        return append_number(ctx, it, century, 2, out);
    case P_Q:
        return month == 0 ? KD_OK : append_number(ctx, it, (month - 1) / 3 + 1, 0, out);
    case P_MM:
        return append_number(ctx, it, month, 2, out);
    case P_MONTH:
        return append_name(ctx, it, months[month - 1], 9, 9, out);
    case P_MON:
        return append_name(ctx, it, months[month - 1], 3, 3, out);
    case P_RM:
        return append_roman(ctx, it, m, out);
    case P_OF:
    case P_TZ:
    case P_TZH:
    case P_TZM:
        return append_zone(ctx, it, m, out);
    case P_Y:
    case P_YY:
    case P_YYY:
    case P_YYYY:
    case P_Y_YYY:
    case P_I:
    case P_IY:
    case P_IYY:
    case P_IYYY:
        return append_year(ctx, it, m, out);
    case P_D:
    case P_DAY:
    case P_DD:
    case P_DDD:
    case P_DY:
    case P_ID:
    case P_IDDD:
    case P_IW:
    case P_J:
    case P_W:
    case P_WW:
        return append_day(ctx, it, m, out);
    default:
        return append_clock(ctx, it, m, out);
    }
}

static kd_status write_moment(kd_ctx *ctx, kd_call_env *env, kd_slice format, const moment *m,
                              void *result)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    for (size_t at = 0; at < format.size_bytes;) {
        place it = next_place(format, &at);
        KD_TRY(it.is_pattern ? append_place(ctx, &it, m, &buffer)
                             : kd_buffer_append_slice(ctx, &buffer, it.text));
    }
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
    int64_t since_1970 = utc - KD_UNIX_EPOCH_US;
    int64_t seconds = since_1970 / KD_SECOND_US - (since_1970 % KD_SECOND_US < 0);
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

/* --- to_date, to_timestamp -------------------------------------------------------------------- */

typedef struct fields {
    int64_t year, month, day, hour, minute, second, micros, year_day, julian;
    bool has_year, has_julian, has_year_day, is_pm, has_meridiem, is_bc, has_offset;
    int32_t offset_sign, offset_hours, offset_minutes;
    int32_t precision; /* Digits of the second that FFn keeps; 0: all. */
} fields;

static kd_status invalid_value(kd_ctx *ctx, kd_slice input, size_t at, const place *it)
{
    size_t left = input.size_bytes - at;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22007", "invalid value \"%.*s\" for \"%.*s\"",
                               (int)(left > it->text.size_bytes ? it->text.size_bytes : left),
                               input.data + at, (int)it->text.size_bytes, it->text.data);
    kd_error_set_detail(ctx, "Value must be an integer.");
    return status;
}

static kd_status read_digits(kd_ctx *ctx, kd_slice input, size_t *io_at, const place *it,
                             size_t width_max, int64_t *out)
{
    size_t at = *io_at;
    bool negative = false;
    while (at < input.size_bytes && input.data[at] == ' ')
        at++;
    if (at < input.size_bytes && (input.data[at] == '-' || input.data[at] == '+') && width_max > 2)
        negative = input.data[at++] == '-';
    size_t start = at;
    *out = 0;
    while (at < input.size_bytes && at - start < width_max && input.data[at] >= '0' &&
           input.data[at] <= '9')
        *out = *out * 10 + (input.data[at++] - '0');
    if (at == start)
        return invalid_value(ctx, input, *io_at, it);
    *out = negative ? -*out : *out;
    *io_at = at;
    if (it->ending != 0)
        *io_at += 2;
    return KD_OK;
}

/* Full names first, so that "March" is not read as "Mar" and a rest. */
static kd_status read_name(kd_ctx *ctx, kd_slice input, size_t *io_at, const place *it,
                           const char *const *names, int count, int64_t *out)
{
    bool full = it->kind == P_MONTH || it->kind == P_DAY;
    for (int i = 0; i < count; i++) {
        size_t length = full ? strlen(names[i]) : 3;
        if (*io_at + length > input.size_bytes ||
            !kd_slice_equal_ignoring_case((kd_slice){input.data + *io_at, length},
                                          (kd_slice){names[i], length}))
            continue;
        *io_at += length;
        *out = i;
        return KD_OK;
    }
    kd_slice word = {input.data + *io_at, 0};
    while (*io_at + word.size_bytes < input.size_bytes && word.data[word.size_bytes] != ' ')
        word.size_bytes++;
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "22007", "invalid value \"%.*s\" for \"%.*s\"",
                (int)word.size_bytes, word.data, (int)it->text.size_bytes, it->text.data);
    kd_error_set_detail(ctx, "The given value did not match any of the allowed values for this "
                             "field.");
    return status;
}

/* Years of fewer than four digits are those nearest to 2020. */
static int64_t full_year(int64_t year, pattern_kind kind)
{
    if (kind == P_YY || kind == P_IY || kind == P_Y || kind == P_I)
        return year < 70 ? year + 2000 : year < 100 ? year + 1900 : year;
    if (kind == P_YYY || kind == P_IYY)
        return year < 100 ? full_year(year, P_YY) : year < 520 ? year + 2000 : year + 1000;
    return year;
}

static kd_status read_fraction(kd_ctx *ctx, kd_slice input, size_t *io_at, const place *it,
                               int digits, int64_t *out)
{
    size_t start = *io_at;
    KD_TRY(read_digits(ctx, input, io_at, it, (size_t)digits, out));
    for (size_t i = *io_at - start; i < 6; i++)
        *out *= 10;
    return KD_OK;
}

static kd_status read_meridiem(kd_ctx *ctx, kd_slice input, size_t *io_at, const place *it,
                               fields *out)
{
    bool dotted = it->kind == P_A_M || it->kind == P_A_D;
    size_t length = dotted ? 4 : 2;
    char first = *io_at < input.size_bytes ? lower_of(input.data[*io_at]) : 0;
    bool is_date = it->kind == P_AD || it->kind == P_A_D;
    bool known = is_date ? first == 'a' || first == 'b' : first == 'a' || first == 'p';
    if (*io_at + length > input.size_bytes || !known)
        return invalid_value(ctx, input, *io_at, it);
    *io_at += length;
    if (is_date)
        out->is_bc = first == 'b';
    else
        out->has_meridiem = true;
    if (!is_date)
        out->is_pm = first == 'p';
    return KD_OK;
}

static kd_status read_place(kd_ctx *ctx, kd_slice input, size_t *io_at, const place *it,
                            bool next_is_digit, fields *out)
{
    int64_t number;
    size_t two = it->fill_mode && !next_is_digit ? 9 : 2;
    switch (it->kind) {
    case P_YYYY:
    case P_IYYY:
    case P_YYY:
    case P_YY:
    case P_Y: {
        bool is_full = it->kind == P_YYYY || it->kind == P_IYYY;
        size_t width = next_is_digit ? it->text.size_bytes : is_full ? 9 : 4;
        size_t start = *io_at;
        KD_TRY(read_digits(ctx, input, io_at, it, width, &number));
        out->year = *io_at - start >= 4 ? number : full_year(number, it->kind);
        out->has_year = true;
        return KD_OK;
    }
    case P_MM:
        return read_digits(ctx, input, io_at, it, two, &out->month);
    case P_DD:
        return read_digits(ctx, input, io_at, it, two, &out->day);
    case P_DDD:
        out->has_year_day = true;
        return read_digits(ctx, input, io_at, it, 3, &out->year_day);
    case P_J:
        out->has_julian = true;
        return read_digits(ctx, input, io_at, it, 9, &out->julian);
    case P_HH:
    case P_HH24:
        return read_digits(ctx, input, io_at, it, two, &out->hour);
    case P_MI:
        return read_digits(ctx, input, io_at, it, two, &out->minute);
    case P_SS:
        return read_digits(ctx, input, io_at, it, two, &out->second);
    case P_MS:
        return read_fraction(ctx, input, io_at, it, 3, &out->micros);
    case P_US:
        return read_fraction(ctx, input, io_at, it, 6, &out->micros);
    case P_SSSS:
        KD_TRY(read_digits(ctx, input, io_at, it, 5, &number));
        out->hour = number / 3600, out->minute = number / 60 % 60, out->second = number % 60;
        return KD_OK;
    case P_MONTH:
    case P_MON:
        KD_TRY(read_name(ctx, input, io_at, it, months, 12, &out->month));
        out->month++;
        return KD_OK;
    case P_DAY:
    case P_DY:
        return read_name(ctx, input, io_at, it, days, 7, &number);
    case P_D:
    case P_ID:
    case P_Q:
    case P_W:
        return read_digits(ctx, input, io_at, it, 1, &number);
    case P_AM:
    case P_A_M:
    case P_AD:
    case P_A_D:
        return read_meridiem(ctx, input, io_at, it, out);
    case P_FF1:
    case P_FF2:
    case P_FF3:
    case P_FF4:
    case P_FF5:
    case P_FF6:
        out->precision = (int32_t)it->kind - P_FF1 + 1;
        return read_fraction(ctx, input, io_at, it, next_is_digit ? out->precision : 6,
                             &out->micros);
    case P_TZH:
        out->has_offset = true;
        out->offset_sign = *io_at < input.size_bytes && input.data[*io_at] == '-' ? -1 : 1;
        *io_at +=
            *io_at < input.size_bytes && (input.data[*io_at] == '-' || input.data[*io_at] == '+');
        KD_TRY(read_digits(ctx, input, io_at, it, 2, &number));
        out->offset_hours = (int32_t)number;
        return KD_OK;
    case P_TZM:
        KD_TRY(read_digits(ctx, input, io_at, it, 2, &number));
        out->offset_minutes = (int32_t)number;
        return KD_OK;
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "formatting field \"%.*s\" is not supported in to_timestamp",
                       (int)it->text.size_bytes, it->text.data);
    }
}

static bool is_separator(char c)
{
    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             ((uint8_t)c & 0x80) != 0);
}

static kd_status read_fields(kd_ctx *ctx, kd_slice input, kd_slice format, fields *out)
{
    *out = (fields){.month = 1, .day = 1};
    size_t in = 0;
    for (size_t at = 0; at < format.size_bytes;) {
        place it = next_place(format, &at);
        if (in >= input.size_bytes)
            break;
        if (!it.is_pattern) {
            /* A separator takes one separator, if there is one; other text takes its length. */
            if (it.text.size_bytes == 1 && is_separator(it.text.data[0]))
                in += is_separator(input.data[in]);
            else
                in += it.text.size_bytes;
            continue;
        }
        while (in < input.size_bytes &&
               (input.data[in] == ' ' ||
                (is_separator(input.data[in]) && input.data[in] != '-' && input.data[in] != '+')))
            in++;
        size_t ahead = at;
        bool next_is_digit = ahead < format.size_bytes && next_place(format, &ahead).is_pattern;
        if (in < input.size_bytes)
            KD_TRY(read_place(ctx, input, &in, &it, next_is_digit, out));
    }
    return KD_OK;
}

static kd_status field_out_of_range(kd_ctx *ctx, kd_slice input)
{
    return KD_FAIL(ctx, KD_INVALID, "22008", "date/time field value out of range: \"%.*s\"",
                   (int)input.size_bytes, input.data);
}

static kd_status date_of_fields(kd_ctx *ctx, kd_slice input, const fields *f, int32_t *out)
{
    int64_t year = f->has_year ? f->year : 0;
    if (f->is_bc)
        year = 1 - year;
    if (f->has_julian) {
        *out = (int32_t)(f->julian + KD_DATE_MIN);
        return KD_OK;
    }
    if (year < -4713 || year > 5874897 || f->month < 1 || f->month > 12 || f->day < 1 ||
        f->day > kd_days_in_month((int32_t)year, (int32_t)f->month))
        return field_out_of_range(ctx, input);
    *out = kd_date_from_civil((int32_t)year, (int32_t)f->month, (int32_t)f->day);
    if (f->has_year_day)
        *out = kd_date_from_civil((int32_t)year, 1, 1) + (int32_t)f->year_day - 1;
    return KD_OK;
}

KDI_ROW(to_date)
{
    fields f;
    KD_TRY(read_fields(ctx, kdi_arg_text(args, 0), kdi_arg_text(args, 1), &f));
    return date_of_fields(ctx, kdi_arg_text(args, 0), &f, result);
}

/* The local time that was read, or, `as_instant`, the time in UTC that it means. */
static kd_status instant_of_fields(kd_ctx *ctx, const kd_zone *zone, kd_slice input,
                                   const fields *f, bool as_instant, int64_t *out)
{
    int32_t date;
    int64_t hour = f->hour, local;
    KD_TRY(date_of_fields(ctx, input, f, &date));
    if (f->has_meridiem && (hour < 1 || hour > 12))
        return KD_FAIL(ctx, KD_INVALID, "22007", "hour \"%lld\" is invalid for the 12-hour clock",
                       (long long)hour);
    if (f->has_meridiem)
        hour = hour % 12 + (f->is_pm ? 12 : 0);
    if (hour > 23 || f->minute > 59 || f->second > 59)
        return field_out_of_range(ctx, input);
    KD_TRY(kd_date_to_timestamp(ctx, date, &local));
    local += hour * KD_HOUR_US + f->minute * KD_MINUTE_US + f->second * KD_SECOND_US + f->micros;
    if (f->precision > 0)
        local = kd_timestamp_round(local, f->precision);
    *out = local;
    if (!as_instant)
        return KD_OK;
    if (!f->has_offset)
        return kd_timestamp_to_utc(ctx, zone, local, out);
    *out =
        local - f->offset_sign * (f->offset_hours * KD_HOUR_US + f->offset_minutes * KD_MINUTE_US);
    return kd_timestamp_check(ctx, *out);
}

KDI_ROW(to_timestamp)
{
    kd_slice input = kdi_arg_text(args, 0);
    fields f;
    KD_TRY(read_fields(ctx, input, kdi_arg_text(args, 1), &f));
    return instant_of_fields(ctx, kdi_zone(env), input, &f, true, result);
}

/* --- Templates of the SQL standard ------------------------------------------------------------ */

/* Which parts of a date and time the template has; what stands between them has to be quoted, or a
 * separator that the standard knows. */
static kd_status template_parts(kd_ctx *ctx, kd_slice format, bool *out_date, bool *out_time,
                                bool *out_zone)
{
    *out_date = *out_time = *out_zone = false;
    for (size_t at = 0; at < format.size_bytes;) {
        bool is_quoted = format.data[at] == '"';
        place it = next_place(format, &at);
        if (!it.is_pattern && !is_quoted && it.text.size_bytes > 0 &&
            (it.text.size_bytes > 1 || strchr("-./,':; ", it.text.data[0]) == NULL))
            return KD_FAIL(ctx, KD_INVALID, "22007", "invalid datetime format separator: \"%.*s\"",
                           (int)it.text.size_bytes, it.text.data);
        if (!it.is_pattern)
            continue;
        bool is_time = (it.kind >= P_FF1 && it.kind <= P_HH24) || it.kind == P_MI ||
                       it.kind == P_MS || it.kind == P_SS || it.kind == P_SSSS || it.kind == P_US ||
                       it.kind == P_AM || it.kind == P_A_M;
        bool is_zone = it.kind == P_TZ || it.kind == P_TZH || it.kind == P_TZM || it.kind == P_OF;
        *out_time |= is_time;
        *out_zone |= is_zone;
        *out_date |= !is_time && !is_zone;
    }
    return KD_OK;
}

static kd_status read_literal(kd_ctx *ctx, kd_slice input, size_t *io_at, kd_slice text,
                              bool is_quoted)
{
    for (size_t i = 0; i < text.size_bytes; i++, (*io_at)++)
        if (*io_at >= input.size_bytes || input.data[*io_at] != text.data[i])
            return KD_FAIL(ctx, KD_INVALID, "22007", "unmatched format %s \"%c\"",
                           is_quoted ? "character" : "separator", text.data[i]);
    return KD_OK;
}

/* As read_fields, but the input has to match the template sign by sign. */
static kd_status read_exactly(kd_ctx *ctx, kd_slice input, kd_slice format, fields *out)
{
    *out = (fields){.month = 1, .day = 1};
    size_t in = 0;
    for (size_t at = 0; at < format.size_bytes;) {
        bool is_quoted = format.data[at] == '"';
        place it = next_place(format, &at);
        if (in >= input.size_bytes)
            return KD_FAIL(ctx, KD_INVALID, "22007",
                           "input string is too short for datetime format");
        if (!it.is_pattern) {
            KD_TRY(read_literal(ctx, input, &in, it.text, is_quoted));
            continue;
        }
        size_t ahead = at;
        place next = at < format.size_bytes ? next_place(format, &ahead) : (place){0};
        /* A blank may stand for the sign of an offset. */
        in += it.kind == P_TZH && input.data[in] == ' ' && in + 1 < input.size_bytes &&
              input.data[in + 1] != '-';
        KD_TRY(read_place(ctx, input, &in, &it, next.is_pattern && next.kind != P_TZH, out));
    }
    while (in < input.size_bytes && input.data[in] == ' ')
        in++;
    if (in < input.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "22007",
                       "trailing characters remain in input string after datetime format");
    return KD_OK;
}

kd_status kdi_template_datetime(kd_ctx *ctx, const kd_zone *zone, kd_slice input, kd_slice format,
                                kdi_path_value *out)
{
    bool has_date, has_time, has_zone;
    fields f;
    int64_t at;
    int32_t date;
    KD_TRY(template_parts(ctx, format, &has_date, &has_time, &has_zone));
    KD_TRY(read_exactly(ctx, input, format, &f));
    if (!has_time && (has_zone || !has_date))
        return KD_FAIL(ctx, KD_INVALID, "22007", "datetime format is %s",
                       has_zone && has_date ? "zoned but not timed" : "not dated and not timed");
    *out = (kdi_path_value){.is_time = true, .has_zone = has_zone};
    out->offset_s = f.offset_sign * (f.offset_hours * 3600 + f.offset_minutes * 60);
    if (!has_time) {
        KD_TRY(date_of_fields(ctx, input, &f, &date));
        out->time = (kd_value){.type = kd_type_of(KD_TYPE_DATE), .as.i32 = date};
        return KD_OK;
    }
    KD_TRY(instant_of_fields(ctx, zone, input, &f, has_zone && has_date, &at));
    kd_type_id type = !has_date ? KD_TYPE_TIME : has_zone ? KD_TYPE_TIMESTAMPTZ : KD_TYPE_TIMESTAMP;
    if (type == KD_TYPE_TIME)
        at = (at % KD_DAY_US + KD_DAY_US) % KD_DAY_US;
    out->time = (kd_value){.type = kd_type_of(type), .as.i64 = at};
    return KD_OK;
}

static const kd_function functions[] = {
    STABLE("to_char", timestamp_to_char, TEXT, TIMESTAMP, TEXT),
    STABLE("to_char", timestamptz_to_char, TEXT, TIMESTAMPTZ, TEXT),
    STABLE("to_char", interval_to_char, TEXT, INTERVAL, TEXT),
    STABLE("to_date", to_date, DATE, TEXT, TEXT),
    STABLE("to_timestamp", to_timestamp, TIMESTAMPTZ, TEXT, TEXT),
};

kd_status kdi_register_template_datetime(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
