/*
 * Text to intervals.
 */
#include "types/datetime.h"
#include "types/interval.h"

#include <math.h>

typedef enum unit {
    UNIT_NONE = 0,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_AGO,
} unit;

static const struct unit_word {
    const char *word;
    unit unit;
} unit_words[] = {
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"usecond", UNIT_MICROSECOND},
    {"useconds", UNIT_MICROSECOND},
    {"microsecond", UNIT_MICROSECOND},
    {"microseconds", UNIT_MICROSECOND},
    {"microsecon", UNIT_MICROSECOND},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"mseconds", UNIT_MILLISECOND},
    {"msecond", UNIT_MILLISECOND},
    {"millisecond", UNIT_MILLISECOND},
    {"milliseconds", UNIT_MILLISECOND},
    {"millisecon", UNIT_MILLISECOND},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"ago", UNIT_AGO},
};

typedef enum parse_result { PARSE_OK = 0, PARSE_BAD_FORMAT, PARSE_OVERFLOW } parse_result;

/* What has been summed so far; `at` and `end` are the text left. */
typedef struct parser {
    const char *at;
    const char *end;
    kd_i128 months;
    kd_i128 days;
    kd_i128 micros;
    bool has_field;
    uint32_t fields;     /* Those of the type; 0: all. */
    uint32_t units_seen; /* One bit per unit: none may be given twice. */
} parser;

/* A number's text as a whole part and a fraction, both with the sign. */
typedef struct quantity {
    bool negative;
    bool has_sign;
    int64_t whole;
    double fraction;
} quantity;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void blanks_skip(parser *self)
{
    while (self->at < self->end && is_blank(*self->at))
        self->at++;
}

static double rounded(double value)
{
    return rint(value * 1000000.0) / 1000000.0;
}

/* Adds the micros of a fraction of a unit. */
static void fraction_add(parser *self, double fraction, double unit_us)
{
    self->micros += (kd_i128)rint(rounded(fraction * unit_us / 1000000.0) * 1000000.0);
}

/* A fraction of days: whole days stay days, the rest becomes time. */
static void day_fraction_add(parser *self, double days)
{
    double whole = trunc(days);
    self->days += (kd_i128)whole;
    fraction_add(self, days - whole, (double)KD_DAY_US);
}

static parse_result quantity_add(parser *self, quantity number, unit what)
{
    static const double unit_micros[] = {
        [UNIT_MICROSECOND] = 1.0,   [UNIT_MILLISECOND] = 1000.0, [UNIT_SECOND] = 1000000.0,
        [UNIT_MINUTE] = 60000000.0, [UNIT_HOUR] = 3600000000.0,
    };
    static const int32_t unit_months[] = {
        [UNIT_MONTH] = 1,      [UNIT_YEAR] = 12,          [UNIT_DECADE] = 120,
        [UNIT_CENTURY] = 1200, [UNIT_MILLENNIUM] = 12000,
    };
    kd_i128 whole = number.negative ? -(kd_i128)number.whole : number.whole;
    double fraction = number.negative ? -number.fraction : number.fraction;
    self->has_field = true;
    if ((self->units_seen & 1u << what) != 0)
        return PARSE_BAD_FORMAT;
    self->units_seen |= 1u << what;
    switch (what) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        self->micros += whole * (kd_i128)unit_micros[what];
        self->micros += (kd_i128)rint(fraction * unit_micros[what]);
        return PARSE_OK;
    case UNIT_DAY:
        self->days += whole;
        day_fraction_add(self, fraction);
        return PARSE_OK;
    case UNIT_WEEK:
        self->days += whole * 7;
        day_fraction_add(self, fraction * 7);
        return PARSE_OK;
    case UNIT_MONTH:
        self->months += whole;
        day_fraction_add(self, rounded(fraction * 30));
        return PARSE_OK;
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
        self->months += whole * unit_months[what];
        self->months += (kd_i128)rint(fraction * unit_months[what]);
        return PARSE_OK;
    default:
        return PARSE_BAD_FORMAT;
    }
}

/* [+-]digits[.digits], or .digits */
static parse_result quantity_take(parser *self, quantity *out)
{
    *out = (quantity){0};
    if (self->at < self->end && (*self->at == '-' || *self->at == '+')) {
        out->has_sign = true;
        out->negative = *self->at++ == '-';
        blanks_skip(self);
    }
    const char *start = self->at;
    for (; self->at < self->end && is_digit(*self->at); self->at++)
        if (__builtin_mul_overflow(out->whole, 10, &out->whole) ||
            __builtin_add_overflow(out->whole, *self->at - '0', &out->whole))
            return PARSE_OVERFLOW;
    bool has_digits = self->at > start;
    if (self->at < self->end && *self->at == '.') {
        self->at++;
        double scale = 10;
        double digits = 0;
        int count = 0;
        for (; self->at < self->end && is_digit(*self->at); self->at++, count++) {
            if (count >= 15)
                continue;
            digits = digits * 10 + (*self->at - '0');
            scale = count == 0 ? 10 : scale * 10;
        }
        out->fraction = digits / scale;
        has_digits = has_digits || count > 0;
    }
    return has_digits ? PARSE_OK : PARSE_BAD_FORMAT;
}

static unit unit_find(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof unit_words / sizeof unit_words[0]; i++)
        if (kd_slice_equal_ignoring_case((kd_slice){word, size}, kd_slice_of(unit_words[i].word)))
            return unit_words[i].unit;
    return UNIT_NONE;
}

/* After 'hh:' comes 'mm[:ss[.f]]'; 'mm:ss.f' has a fraction after two parts. The type interval
 * minute to second reads 'mm:ss' without one. */
static parse_result clock_take(parser *self, quantity hours)
{
    quantity minutes;
    quantity seconds = {0};
    if (hours.fraction != 0 || quantity_take(self, &minutes) != PARSE_OK || minutes.has_sign)
        return PARSE_BAD_FORMAT;
    bool two_parts = self->at == self->end || *self->at != ':';
    if (minutes.fraction != 0 || self->at[-1] == '.' ||
        (two_parts && self->fields == (KD_INTERVAL_MINUTE | KD_INTERVAL_SECOND))) {
        seconds = minutes;
        minutes = hours;
        hours = (quantity){.negative = hours.negative};
    } else if (self->at < self->end && *self->at == ':') {
        self->at++;
        if (quantity_take(self, &seconds) != PARSE_OK || seconds.has_sign)
            return PARSE_BAD_FORMAT;
    }
    if (minutes.whole > 59 || seconds.whole > 60)
        return PARSE_OVERFLOW;
    kd_i128 micros = (kd_i128)hours.whole * KD_HOUR_US + (kd_i128)minutes.whole * KD_MINUTE_US +
                     (kd_i128)seconds.whole * KD_SECOND_US +
                     (kd_i128)rint(seconds.fraction * 1000000.0);
    self->micros += hours.negative ? -micros : micros;
    self->has_field = true;
    return PARSE_OK;
}

/* After 'years-' come the months. */
static parse_result year_month_take(parser *self, quantity years)
{
    quantity months;
    if (years.fraction != 0 || quantity_take(self, &months) != PARSE_OK || months.has_sign ||
        months.fraction != 0 || (self->at < self->end && !is_blank(*self->at)))
        return PARSE_BAD_FORMAT;
    if (months.whole >= 12)
        return PARSE_OVERFLOW;
    kd_i128 total = (kd_i128)years.whole * 12 + months.whole;
    self->months += years.negative ? -total : total;
    self->has_field = true;
    return PARSE_OK;
}

/* A number's unit when none is written: what the literal's field says, days before a time of day
 * (SQL's '3 4:05:06'), else seconds. */
static unit unit_implied(const parser *self)
{
    static const unit units[] = {UNIT_YEAR, UNIT_MONTH,  UNIT_DAY,
                                 UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    const char *at = self->at;
    if (at < self->end && (*at == '-' || *at == '+'))
        at++;
    const char *start = at;
    while (at < self->end && is_digit(*at))
        at++;
    if (at > start && at < self->end && *at == ':')
        return UNIT_DAY;
    if (at != self->end)
        return UNIT_NONE;
    if (at != start) /* '1 3' day to hour. */
        return self->fields >> 3 == 1 ? UNIT_DAY : UNIT_NONE;
    return self->fields == 0 ? UNIT_SECOND : units[31 - __builtin_clz(self->fields)];
}

static parse_result verbose_parse(parser *self)
{
    bool is_ago = false;
    if (self->at < self->end && *self->at == '@')
        self->at++;
    for (blanks_skip(self); self->at < self->end; blanks_skip(self)) {
        if (is_ago)
            return PARSE_BAD_FORMAT; /* 'ago' is the last word. */
        if (*self->at == ',') {
            self->at++;
            continue;
        }
        if (is_letter(*self->at)) {
            const char *word = self->at;
            while (self->at < self->end && is_letter(*self->at))
                self->at++;
            if (unit_find(word, (size_t)(self->at - word)) != UNIT_AGO)
                return PARSE_BAD_FORMAT;
            is_ago = true;
            continue;
        }
        quantity number;
        parse_result result = quantity_take(self, &number);
        if (result != PARSE_OK)
            return result;
        if (self->at < self->end && (*self->at == ':' || *self->at == '-')) {
            result = *self->at++ == ':' ? clock_take(self, number) : year_month_take(self, number);
        } else {
            blanks_skip(self);
            const char *word = self->at;
            while (self->at < self->end && is_letter(*self->at))
                self->at++;
            unit what =
                self->at == word ? unit_implied(self) : unit_find(word, (size_t)(self->at - word));
            result = what == UNIT_AGO ? PARSE_BAD_FORMAT : quantity_add(self, number, what);
        }
        if (result != PARSE_OK)
            return result;
    }
    if (is_ago) {
        self->months = -self->months;
        self->days = -self->days;
        self->micros = -self->micros;
    }
    return self->has_field ? PARSE_OK : PARSE_BAD_FORMAT;
}

/* ISO 8601: 'P1Y2M3DT4H5M6S', 'P2W', 'P0001-02-03T04:05:06'. */
static parse_result iso_parse(parser *self)
{
    self->at++;
    bool in_time = false;
    uint32_t alternative = 0; /* Fields of the form with separators seen so far. */
    while (self->at < self->end) {
        if (*self->at == 'T') {
            in_time = true;
            alternative = 0;
            self->has_field = true; /* 'PT' is no time at all. */
            self->at++;
            continue;
        }
        quantity number;
        parse_result result = quantity_take(self, &number);
        if (result != PARSE_OK)
            return result;
        char c = self->at < self->end ? *self->at : '\0';
        unit what = UNIT_NONE;
        static const unit date_units[3] = {UNIT_YEAR, UNIT_MONTH, UNIT_DAY};
        static const unit time_units[3] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
        if (is_letter(c)) {
            self->at++;
            switch (c) {
            case 'Y':
                what = in_time ? UNIT_NONE : UNIT_YEAR;
                break;
            case 'M':
                what = in_time ? UNIT_MINUTE : UNIT_MONTH;
                break;
            case 'W':
                what = in_time ? UNIT_NONE : UNIT_WEEK;
                break;
            case 'D':
                what = in_time ? UNIT_NONE : UNIT_DAY;
                break;
            case 'H':
                what = in_time ? UNIT_HOUR : UNIT_NONE;
                break;
            case 'S':
                what = in_time ? UNIT_SECOND : UNIT_NONE;
                break;
            default:
                break;
            }
            if (c == 'T' && !in_time && alternative > 0 && alternative < 3) {
                what = date_units[alternative];
                in_time = true;
                alternative = 0;
            }
        } else if (alternative < 3 && (c == '\0' || c == (in_time ? ':' : '-'))) {
            what = in_time ? time_units[alternative] : date_units[alternative];
            alternative++;
            self->at += c != '\0';
        }
        result = quantity_add(self, number, what);
        if (result != PARSE_OK)
            return result;
    }
    return self->has_field ? PARSE_OK : PARSE_BAD_FORMAT;
}

kd_status kd_interval_parse(kd_ctx *ctx, kd_slice text, int32_t modifier, kd_interval *out)
{
    *out = (kd_interval){0};
    parser self = {.at = text.data,
                   .end = text.data + text.size_bytes,
                   .fields = kd_interval_fields(modifier)};
    blanks_skip(&self);
    while (self.end > self.at && is_blank(self.end[-1]))
        self.end--;
    parse_result result = PARSE_BAD_FORMAT;
    if (self.at < self.end)
        result = *self.at == 'P' ? iso_parse(&self) : verbose_parse(&self);
    if (result == PARSE_BAD_FORMAT)
        return KD_FAIL(ctx, KD_INVALID, "22007", "invalid input syntax for type interval: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    if (result == PARSE_OVERFLOW || self.months != (int32_t)self.months ||
        self.days != (int32_t)self.days)
        return KD_FAIL(ctx, KD_INVALID, "22015", "interval field value out of range: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    if (self.micros != (int64_t)self.micros)
        return KD_FAIL(ctx, KD_INVALID, "22008", "interval out of range");
    kd_interval value = {
        .months = (int32_t)self.months, .days = (int32_t)self.days, .micros = (int64_t)self.micros};
    return kd_interval_fit(ctx, value, modifier, out);
}
