/*
 * to_date and to_timestamp with a template, and templates of the SQL standard.
 *
 * Input and template are walked together. Blanks before and after fields do not count; a separator
 * in the template takes one from the input if there is one; FX takes all of this back. A number
 * before another one has the width of its pattern, else it takes all digits that come. What was
 * read is put together at the end: years and centuries, weeks of either calendar, days of the year.
 */
#include "builtin/jsonpath_internal.h"
#include "builtin/template_internal.h"
#include "types/datetime.h"
#include "types/utf8.h"

typedef enum calendar { CALENDAR_ANY = 0, CALENDAR_GREGORIAN, CALENDAR_ISO_WEEK } calendar;

/* 0: not read. */
typedef struct fields {
    calendar calendar;
    int32_t hour, minute, second, day_second, millis, micros;
    int32_t weekday; /* From Sunday, 1. */
    int32_t day, year_day, month, year, year_digits, is_bc, century, week, month_week, julian;
    int32_t is_pm, precision;
    bool is_12_hour;
    int32_t offset_sign, offset_hours, offset_minutes;
} fields;

typedef struct reader {
    kd_slice input;
    size_t at;
    kdi_template template;
    bool is_fixed; /* FX */
    int extra;     /* Characters skipped beyond what the template has. */
    fields *out;
} reader;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_separator(char c)
{
    return c > ' ' && c < 127 && !is_digit(c) && !(small(c) >= 'a' && small(c) <= 'z');
}

static bool at_end(const reader *self)
{
    return self->at >= self->input.size_bytes;
}

static void skip_spaces(reader *self, bool counts)
{
    for (; !at_end(self) && is_space(self->input.data[self->at]); self->at++)
        self->extra += counts;
}

static void skip_character(reader *self)
{
    uint32_t width;
    if (at_end(self))
        return;
    (void)kd_utf8_decode(self->input.data + self->at, self->input.size_bytes - self->at, &width);
    self->at += width;
}

/* --- Fields ------------------------------------------------------------------------------------
 */

static kd_status bad_value(kd_ctx *ctx, kd_slice value, const kdi_place *it, const char *detail)
{
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "22007", "invalid value \"%.*s\" for \"%.*s\"",
                (int)value.size_bytes, value.data, (int)it->text.size_bytes, it->text.data);
    kd_error_set_detail(ctx, "%s", detail);
    return status;
}

static kd_status set(kd_ctx *ctx, const kdi_place *it, int32_t value, int32_t *target)
{
    if (*target != 0 && *target != value) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22007",
                                   "conflicting values for \"%.*s\" field in formatting string",
                                   (int)it->text.size_bytes, it->text.data);
        kd_error_set_detail(ctx,
                            "This value contradicts a previous setting for the same field type.");
        return status;
    }
    *target = value;
    return KD_OK;
}

/* Whether what comes after the place in the template cannot be a digit. */
static bool next_is_no_digit(const reader *self, const kdi_place *it)
{
    static const kdi_pattern_kind words[] = {KDI_P_AD, KDI_P_A_D, KDI_P_AM,  KDI_P_A_M,   KDI_P_DAY,
                                             KDI_P_DY, KDI_P_FX,  KDI_P_MON, KDI_P_MONTH, KDI_P_OF,
                                             KDI_P_RM, KDI_P_TZ,  KDI_P_TZH};
    kdi_template ahead = self->template;
    kdi_place next;
    if (it->ending != 0 || !kdi_template_next(&ahead, &next))
        return true;
    if (next.form != KDI_PLACE_PATTERN)
        return !is_digit(next.text.data[0]);
    for (size_t i = 0; i < KDI_COUNT(words); i++)
        if (next.kind == words[i])
            return true;
    return false;
}

/* A sign and digits from `at`, no further than `end`. */
static bool take_number(kd_slice input, size_t *io_at, size_t end, int64_t *out)
{
    size_t at = *io_at;
    while (at < end && is_space(input.data[at]))
        at++;
    bool is_negative = at < end && input.data[at] == '-';
    at += at < end && (is_negative || input.data[at] == '+');
    size_t begin = at;
    int64_t value = 0;
    for (; at < end && is_digit(input.data[at]); at++)
        value = value > INT32_MAX ? value : value * 10 + (input.data[at] - '0');
    *out = is_negative ? -value : value;
    if (at > begin)
        *io_at = at;
    return at > begin;
}

/* `out_digits` tells how many characters it took; may be NULL. */
static kd_status read_number(kd_ctx *ctx, reader *self, const kdi_place *it, size_t width,
                             int32_t *target, size_t *out_digits)
{
    kd_slice input = self->input;
    size_t begin = self->at;
    int64_t value = 0;
    skip_spaces(self, false);
    size_t left = input.size_bytes - self->at;
    kd_slice shown = {input.data + self->at, left < width ? left : width};
    bool has_read;
    if (it->fill_mode || next_is_no_digit(self, it)) {
        has_read = take_number(input, &self->at, input.size_bytes, &value);
    } else {
        if (left < width) {
            kd_status status = KD_FAIL(ctx, KD_INVALID, "22007",
                                       "source string too short for \"%.*s\" formatting field",
                                       (int)it->text.size_bytes, it->text.data);
            kd_error_set_hint(ctx, "If your source string is not fixed-width, try using the \"FM\" "
                                   "modifier.");
            return status;
        }
        size_t from = self->at;
        has_read = take_number(input, &self->at, self->at + width, &value);
        if (has_read && self->at - from < width)
            return bad_value(ctx, shown, it,
                             "If your source string is not fixed-width, try using the \"FM\" "
                             "modifier.");
    }
    if (!has_read)
        return bad_value(ctx, shown, it, "Value must be an integer.");
    if (value > INT32_MAX || value < INT32_MIN)
        return KD_FAIL(ctx, KD_INVALID, "22008",
                       "value for \"%.*s\" in source string is out of range",
                       (int)it->text.size_bytes, it->text.data);
    if (out_digits != NULL)
        *out_digits = self->at - begin;
    for (int i = 0; i < 2 && it->ending != 0; i++)
        skip_character(self);
    return target == NULL ? KD_OK : set(ctx, it, (int32_t)value, target);
}

/* The first of the names that the input begins with; `length` 0: all of each. */
static kd_status read_name(kd_ctx *ctx, reader *self, const kdi_place *it, const char *const *names,
                           int count, size_t length, int32_t *out)
{
    kd_slice left = {self->input.data + self->at, self->input.size_bytes - self->at};
    for (int i = 0; i < count; i++) {
        kd_slice name = {names[i], length == 0 ? strlen(names[i]) : length};
        if (left.size_bytes < name.size_bytes ||
            !kd_slice_equal_ignoring_case((kd_slice){left.data, name.size_bytes}, name))
            continue;
        self->at += name.size_bytes;
        *out = i;
        return KD_OK;
    }
    size_t size = 0;
    while (size < left.size_bytes && !is_space(left.data[size]))
        size++;
    return bad_value(ctx, (kd_slice){left.data, size}, it,
                     "The given value did not match any of the allowed values for this field.");
}

/* Years of fewer than four digits are those nearest to 2020. */
static int32_t full_year(int32_t year)
{
    return year < 70     ? year + 2000
           : year < 100  ? year + 1900
           : year < 520  ? year + 2000
           : year < 1000 ? year + 1000
                         : year;
}

static kd_status read_year(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    fields *out = self->out;
    int64_t thousands, rest;
    size_t digits;
    if (it->kind != KDI_P_Y_YYY) {
        KD_TRY(read_number(ctx, self, it, it->text.size_bytes, &out->year, &digits));
        out->year_digits = (int32_t)it->text.size_bytes;
        if (digits < 4 && it->text.size_bytes < 4)
            out->year = full_year(out->year);
        return KD_OK;
    }
    size_t at = self->at;
    bool is_right = take_number(self->input, &at, self->input.size_bytes, &thousands) &&
                    thousands < 1000000 && at < self->input.size_bytes &&
                    self->input.data[at] == ',';
    size_t from = at + 1, end = from + 3;
    if (end > self->input.size_bytes)
        end = self->input.size_bytes;
    if (!is_right || !take_number(self->input, &from, end, &rest))
        return KD_FAIL(ctx, KD_INVALID, "22007", "invalid input string for \"Y,YYY\"");
    self->at = from;
    out->year_digits = 4;
    for (int i = 0; i < 2 && it->ending != 0; i++)
        skip_character(self);
    return set(ctx, it, (int32_t)(thousands * 1000 + rest), &out->year);
}

/* Digits after the point: "25" is 0.25. */
static kd_status read_fraction(kd_ctx *ctx, reader *self, const kdi_place *it, size_t width,
                               int32_t *target, size_t unit)
{
    size_t digits;
    KD_TRY(read_number(ctx, self, it, width, target, &digits));
    for (; digits < unit; digits++)
        *target *= 10;
    return KD_OK;
}

static kd_status read_offset_hours(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    fields *out = self->out;
    char c = at_end(self) ? '\0' : self->input.data[self->at];
    if (c == '+' || c == '-' || c == ' ') {
        out->offset_sign = c == '-' ? -1 : 1;
        self->at++;
    } else { /* A minus may have been taken for a separator. */
        bool is_minus = self->extra > 0 && self->at > 0 && self->input.data[self->at - 1] == '-';
        out->offset_sign = is_minus ? -1 : 1;
    }
    return read_number(ctx, self, it, 2, &out->offset_hours, NULL);
}

static kd_status use_calendar(kd_ctx *ctx, fields *out, calendar its)
{
    if (out->calendar == CALENDAR_ANY)
        out->calendar = its;
    if (out->calendar == its)
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "22007", "invalid combination of date conventions");
    kd_error_set_hint(ctx, "Do not mix Gregorian and ISO week date conventions in a formatting "
                           "template.");
    return status;
}

static kd_status read_clock(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    static const char *const halves[] = {"am", "pm"}, *const dotted_halves[] = {"a.m.", "p.m."};
    fields *out = self->out;
    size_t width = it->text.size_bytes;
    int32_t index = 0;
    switch (it->kind) {
    case KDI_P_AM:
    case KDI_P_A_M:
        KD_TRY(
            read_name(ctx, self, it, it->kind == KDI_P_AM ? halves : dotted_halves, 2, 0, &index));
        out->is_12_hour = true;
        return set(ctx, it, index, &out->is_pm);
    case KDI_P_HH:
        out->is_12_hour = true;
        return read_number(ctx, self, it, 2, &out->hour, NULL);
    case KDI_P_HH24:
        return read_number(ctx, self, it, 2, &out->hour, NULL);
    case KDI_P_MI:
        return read_number(ctx, self, it, width, &out->minute, NULL);
    case KDI_P_SS:
        return read_number(ctx, self, it, width, &out->second, NULL);
    case KDI_P_SSSS:
        return read_number(ctx, self, it, width, &out->day_second, NULL);
    case KDI_P_MS:
        return read_fraction(ctx, self, it, 3, &out->millis, 3);
    case KDI_P_US:
        return read_fraction(ctx, self, it, 6, &out->micros, 6);
    case KDI_P_TZH:
        return read_offset_hours(ctx, self, it);
    case KDI_P_TZM:
        out->offset_sign = out->offset_sign == 0 ? 1 : out->offset_sign;
        return read_number(ctx, self, it, 2, &out->offset_minutes, NULL);
    case KDI_P_TZ:
    case KDI_P_OF:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "formatting field \"%.*s\" is only supported in to_char",
                       (int)it->text.size_bytes, it->text.data);
    default:
        out->precision = (int32_t)it->kind - KDI_P_FF1 + 1;
        return read_fraction(ctx, self, it, (size_t)out->precision, &out->micros, 6);
    }
}

static kd_status read_month(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    int32_t index = 0;
    KD_TRY(use_calendar(ctx, self->out, CALENDAR_GREGORIAN));
    if (it->kind == KDI_P_MM)
        return read_number(ctx, self, it, 2, &self->out->month, NULL);
    if (it->kind != KDI_P_RM) {
        size_t length = it->kind == KDI_P_MON ? 3 : 0;
        KD_TRY(read_name(ctx, self, it, kdi_month_names, 12, length, &index));
        return set(ctx, it, index + 1, &self->out->month);
    }
    const char *longest_first[12]; /* "VIII" before "VII" and "V". */
    for (int i = 0; i < 12; i++)
        longest_first[i] = kdi_roman_months[11 - i];
    KD_TRY(read_name(ctx, self, it, longest_first, 12, 0, &index));
    return set(ctx, it, 12 - index, &self->out->month);
}

static kd_status read_weekday(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    fields *out = self->out;
    int32_t day = 0;
    if (it->kind == KDI_P_DAY || it->kind == KDI_P_DY) {
        KD_TRY(read_name(ctx, self, it, kdi_day_names, 7, it->kind == KDI_P_DY ? 3 : 0, &day));
        return set(ctx, it, day + 1, &out->weekday);
    }
    KD_TRY(use_calendar(ctx, out, it->kind == KDI_P_D ? CALENDAR_GREGORIAN : CALENDAR_ISO_WEEK));
    KD_TRY(read_number(ctx, self, it, 1, &day, NULL));
    return set(ctx, it, it->kind == KDI_P_D ? day : day >= 7 ? 1 : day + 1, &out->weekday);
}

static kd_status read_pattern(kd_ctx *ctx, reader *self, const kdi_place *it)
{
    static const char *const eras[] = {"ad", "bc"}, *const dotted_eras[] = {"a.d.", "b.c."};
    fields *out = self->out;
    size_t width = it->text.size_bytes;
    int32_t index = 0;
    switch (it->kind) {
    case KDI_P_AD:
    case KDI_P_A_D:
        KD_TRY(read_name(ctx, self, it, it->kind == KDI_P_AD ? eras : dotted_eras, 2, 0, &index));
        return set(ctx, it, index, &out->is_bc);
    case KDI_P_CC:
        return read_number(ctx, self, it, width, &out->century, NULL);
    case KDI_P_J:
        return read_number(ctx, self, it, width, &out->julian, NULL);
    case KDI_P_Q: /* Which day of the quarter? None: it is read and left. */
        return read_number(ctx, self, it, width, NULL, NULL);
    case KDI_P_DD:
        KD_TRY(use_calendar(ctx, out, CALENDAR_GREGORIAN));
        return read_number(ctx, self, it, width, &out->day, NULL);
    case KDI_P_DDD:
    case KDI_P_IDDD:
        KD_TRY(
            use_calendar(ctx, out, it->kind == KDI_P_DDD ? CALENDAR_GREGORIAN : CALENDAR_ISO_WEEK));
        return read_number(ctx, self, it, 3, &out->year_day, NULL);
    case KDI_P_W:
        KD_TRY(use_calendar(ctx, out, CALENDAR_GREGORIAN));
        return read_number(ctx, self, it, width, &out->month_week, NULL);
    case KDI_P_WW:
    case KDI_P_IW:
        KD_TRY(
            use_calendar(ctx, out, it->kind == KDI_P_WW ? CALENDAR_GREGORIAN : CALENDAR_ISO_WEEK));
        return read_number(ctx, self, it, width, &out->week, NULL);
    case KDI_P_I:
    case KDI_P_IY:
    case KDI_P_IYY:
    case KDI_P_IYYY:
        KD_TRY(use_calendar(ctx, out, CALENDAR_ISO_WEEK));
        return read_year(ctx, self, it);
    case KDI_P_Y:
    case KDI_P_YY:
    case KDI_P_YYY:
    case KDI_P_YYYY:
    case KDI_P_Y_YYY:
        KD_TRY(use_calendar(ctx, out, CALENDAR_GREGORIAN));
        return read_year(ctx, self, it);
    case KDI_P_MM:
    case KDI_P_MON:
    case KDI_P_MONTH:
    case KDI_P_RM:
        return read_month(ctx, self, it);
    case KDI_P_D:
    case KDI_P_ID:
    case KDI_P_DAY:
    case KDI_P_DY:
        return read_weekday(ctx, self, it);
    default:
        return read_clock(ctx, self, it);
    }
}

/* A character of the template that is no pattern: one of the input, as far as blanks before have
 * not taken its place. */
static void pass_character(reader *self, const kdi_place *it)
{
    if (self->is_fixed) {
        skip_character(self);
    } else if (it->form == KDI_PLACE_CHARACTER) {
        if (self->extra > 0)
            self->extra--;
        else
            skip_character(self);
    } else {
        self->extra--;
        char c = self->input.data[self->at];
        if (is_space(c) || is_separator(c)) {
            self->at++;
            self->extra++;
        }
    }
}

static kd_status read_fields(kd_ctx *ctx, kd_slice input, kd_slice format, fields *out)
{
    *out = (fields){0};
    reader self = {.input = input, .template = {.text = format}, .out = out};
    kdi_place it;
    bool is_first = true;
    while (!at_end(&self) && kdi_template_next(&self.template, &it)) {
        bool is_pattern = it.form == KDI_PLACE_PATTERN;
        if (is_pattern && it.kind == KDI_P_FX) {
            self.is_fixed = true;
            continue;
        }
        if (!self.is_fixed && (is_pattern || is_first))
            skip_spaces(&self, true);
        is_first = false;
        if (!is_pattern) {
            if (!at_end(&self))
                pass_character(&self, &it);
            continue;
        }
        KD_TRY(read_pattern(ctx, &self, &it));
        if (!self.is_fixed) {
            self.extra = 0;
            skip_spaces(&self, true);
        }
    }
    return KD_OK;
}

/* --- Putting together --------------------------------------------------------------------------
 */

static kd_status field_out_of_range(kd_ctx *ctx, kd_slice input)
{
    return KD_FAIL(ctx, KD_INVALID, "22008", "date/time field value out of range: \"%.*s\"",
                   (int)input.size_bytes, input.data);
}

/* Year 0 is 1 BC. False when the template had none. */
static bool year_of_fields(const fields *f, int64_t *out)
{
    int64_t century = f->is_bc ? -(int64_t)f->century : f->century;
    *out = 0;
    if (f->year == 0 && f->century == 0)
        return false;
    if (f->year == 0) { /* The century's first year. */
        *out = century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1;
    } else if (f->century != 0 && f->year_digits <= 2) {
        int64_t rest = f->year % 100;
        if (rest != 0)
            *out = century >= 0 ? rest + (century - 1) * 100 : (century + 1) * 100 - rest + 1;
        else
            *out = century * 100 + (century < 0);
    } else {
        *out = f->is_bc ? -(int64_t)f->year : f->year;
        *out += *out < 0;
    }
    return true;
}

/* The Monday of the first ISO week. */
static int64_t iso_year_begin(int32_t year)
{
    int32_t fourth = kd_date_from_civil(year, 1, 4);
    return fourth - (kd_date_day_of_week(fourth) + 6) % 7;
}

static kd_status date_from_count(kd_ctx *ctx, kd_slice input, int64_t date, kd_civil *out)
{
    if (date < KD_DATE_MIN || date > KD_DATE_MAX)
        return field_out_of_range(ctx, input);
    kd_date_to_civil((int32_t)date, &out->year, &out->month, &out->day);
    return KD_OK;
}

/* A day of the year fills what month and day leave open. */
static kd_status apply_year_day(kd_ctx *ctx, kd_slice input, const fields *f, int64_t year_day,
                                bool has_year, kd_civil *out)
{
    if (year_day == 0 || (out->month > 1 && out->day > 1))
        return KD_OK;
    if (!has_year && !f->is_bc)
        return KD_FAIL(ctx, KD_INVALID, "22007",
                       "cannot calculate day of year without year information");
    if (f->calendar == CALENDAR_ISO_WEEK)
        return date_from_count(ctx, input, iso_year_begin(out->year) - 1 + year_day, out);
    int64_t rest = year_day;
    int32_t month = 1;
    while (month <= 12 && rest > kd_days_in_month(out->year, month))
        rest -= kd_days_in_month(out->year, month++);
    if (month > 12 || rest < 1)
        return field_out_of_range(ctx, input);
    out->month = out->month <= 1 ? month : out->month;
    out->day = out->day <= 1 ? (int32_t)rest : out->day;
    return KD_OK;
}

static kd_status date_of_fields(kd_ctx *ctx, kd_slice input, const fields *f, int32_t *out)
{
    kd_civil civil = {.month = 1, .day = 1};
    int64_t year, year_day = f->year_day;
    bool has_year = year_of_fields(f, &year);
    if (year < -4713 || year > 5874897)
        return field_out_of_range(ctx, input);
    civil.year = (int32_t)year;
    if (f->julian != 0)
        KD_TRY(date_from_count(ctx, input, (int64_t)f->julian + KD_DATE_MIN, &civil));
    if (f->week != 0 && f->calendar == CALENDAR_ISO_WEEK) {
        int64_t day = f->weekday == 0 ? 0 : f->weekday > 1 ? f->weekday - 2 : 6;
        KD_TRY(date_from_count(
            ctx, input, iso_year_begin(civil.year) + ((int64_t)f->week - 1) * 7 + day, &civil));
    } else if (f->week != 0) {
        year_day = ((int64_t)f->week - 1) * 7 + 1;
    }
    int64_t day = f->month_week != 0 ? ((int64_t)f->month_week - 1) * 7 + 1 : f->day;
    if (day < INT32_MIN || day > INT32_MAX)
        return field_out_of_range(ctx, input);
    civil.day = day != 0 ? (int32_t)day : civil.day;
    civil.month = f->month != 0 ? f->month : civil.month;
    KD_TRY(apply_year_day(ctx, input, f, year_day, has_year || f->julian != 0, &civil));
    if (civil.month < 1 || civil.month > 12 || civil.day < 1 ||
        civil.day > kd_days_in_month(civil.year, civil.month))
        return field_out_of_range(ctx, input);
    *out = kd_date_from_civil(civil.year, civil.month, civil.day);
    if (*out < KD_DATE_MIN || *out > KD_DATE_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range: \"%.*s\"",
                       (int)input.size_bytes, input.data);
    return KD_OK;
}

static kd_status time_of_fields(kd_ctx *ctx, kd_slice input, const fields *f, int64_t *out)
{
    int64_t hour = f->day_second / 3600, minute = f->day_second / 60 % 60,
            second = f->day_second % 60;
    int64_t micros = (int64_t)f->millis * 1000 + f->micros;
    hour = f->hour != 0 ? f->hour : hour;
    minute = f->minute != 0 ? f->minute : minute;
    second = f->second != 0 ? f->second : second;
    if (f->is_12_hour && (hour < 1 || hour > 12)) {
        kd_status status =
            KD_FAIL(ctx, KD_INVALID, "22007", "hour \"%lld\" is invalid for the 12-hour clock",
                    (long long)hour);
        kd_error_set_hint(ctx, "Use the 24-hour clock, or give an hour between 1 and 12.");
        return status;
    }
    if (f->is_12_hour)
        hour = hour % 12 + (f->is_pm != 0 ? 12 : 0);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
        micros < 0 || micros >= KD_SECOND_US)
        return field_out_of_range(ctx, input);
    if (f->offset_sign != 0 && (f->offset_hours < 0 || f->offset_hours > 15 ||
                                f->offset_minutes < 0 || f->offset_minutes > 59))
        return KD_FAIL(ctx, KD_INVALID, "22009", "time zone displacement out of range: \"%.*s\"",
                       (int)input.size_bytes, input.data);
    *out = hour * KD_HOUR_US + minute * KD_MINUTE_US + second * KD_SECOND_US + micros;
    return KD_OK;
}

/* The local time that was read, or, `as_instant`, the time in UTC that it means. */
static kd_status instant_of_fields(kd_ctx *ctx, const kd_zone *zone, kd_slice input,
                                   const fields *f, bool as_instant, int64_t *out)
{
    int32_t date;
    int64_t time, local;
    KD_TRY(date_of_fields(ctx, input, f, &date));
    KD_TRY(time_of_fields(ctx, input, f, &time));
    KD_TRY(kd_date_to_timestamp(ctx, date, &local));
    local += time;
    if (f->precision > 0)
        local = kd_timestamp_round(local, f->precision);
    *out = local;
    if (!as_instant)
        return KD_OK;
    if (f->offset_sign == 0)
        return kd_timestamp_to_utc(ctx, zone, local, out);
    *out =
        local - f->offset_sign * (f->offset_hours * KD_HOUR_US + f->offset_minutes * KD_MINUTE_US);
    return kd_timestamp_check(ctx, *out);
}

KDI_ROW(to_date)
{
    fields f;
    int64_t time;
    KD_TRY(read_fields(ctx, kdi_arg_text(args, 0), kdi_arg_text(args, 1), &f));
    KD_TRY(date_of_fields(ctx, kdi_arg_text(args, 0), &f, result));
    return time_of_fields(ctx, kdi_arg_text(args, 0), &f, &time);
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
    kdi_template template = {.text = format};
    kdi_place it;
    *out_date = *out_time = *out_zone = false;
    while (kdi_template_next(&template, &it)) {
        bool is_pattern = it.form == KDI_PLACE_PATTERN;
        if (!is_pattern && !it.is_quoted &&
            (it.text.size_bytes > 1 || strchr("-./,':; ", it.text.data[0]) == NULL))
            return KD_FAIL(ctx, KD_INVALID, "22007", "invalid datetime format separator: \"%.*s\"",
                           (int)it.text.size_bytes, it.text.data);
        if (!is_pattern)
            continue;
        kdi_pattern_kind kind = it.kind;
        bool is_time = (kind >= KDI_P_FF1 && kind <= KDI_P_FF6) || kind == KDI_P_HH ||
                       kind == KDI_P_HH24 || kind == KDI_P_MI || kind == KDI_P_MS ||
                       kind == KDI_P_SS || kind == KDI_P_SSSS || kind == KDI_P_US ||
                       kind == KDI_P_AM || kind == KDI_P_A_M;
        bool is_zone =
            kind == KDI_P_TZ || kind == KDI_P_TZH || kind == KDI_P_TZM || kind == KDI_P_OF;
        *out_time |= is_time;
        *out_zone |= is_zone;
        *out_date |= !is_time && !is_zone && kind != KDI_P_FX;
    }
    return KD_OK;
}

/* As read_fields, but the input has to match the template sign by sign. */
static kd_status read_exactly(kd_ctx *ctx, kd_slice input, kd_slice format, fields *out)
{
    *out = (fields){0};
    reader self = {.input = input, .template = {.text = format}, .is_fixed = true, .out = out};
    kdi_place it;
    while (kdi_template_next(&self.template, &it)) {
        if (it.form == KDI_PLACE_PATTERN && it.kind == KDI_P_FX)
            continue;
        if (at_end(&self))
            return KD_FAIL(ctx, KD_INVALID, "22007",
                           "input string is too short for datetime format");
        if (it.form == KDI_PLACE_PATTERN) {
            KD_TRY(read_pattern(ctx, &self, &it));
            continue;
        }
        for (size_t i = 0; i < it.text.size_bytes; i++, self.at++)
            if (at_end(&self) || input.data[self.at] != it.text.data[i])
                return KD_FAIL(ctx, KD_INVALID, "22007", "unmatched format %s \"%.*s\"",
                               it.form == KDI_PLACE_CHARACTER ? "character" : "separator",
                               (int)it.text.size_bytes, it.text.data);
    }
    skip_spaces(&self, false);
    if (!at_end(&self))
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
    STABLE("to_date", to_date, DATE, TEXT, TEXT),
    STABLE("to_timestamp", to_timestamp, TIMESTAMPTZ, TEXT, TEXT),
};

kd_status kdi_register_template_read(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
