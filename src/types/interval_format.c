/*
 * Intervals as text, in the four styles that IntervalStyle names.
 *
 *   postgres          1 year 2 mons -3 days +04:05:06.7
 *   postgres_verbose  @ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs
 *   sql_standard      +1-2 -3 +4:05:06.7
 *   iso_8601          P1Y2M-3DT4H5M6.7S
 */
#include "types/datetime.h"
#include "types/interval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* An interval in the units that are written; those of one part have one sign. */
typedef struct parts {
    int64_t years, months;
    int64_t days;
    int64_t hours, minutes, seconds, micros;
} parts;

typedef struct writer {
    char text[160];
    int size;
} writer;

static parts parts_of(kd_interval value)
{
    return (parts){.years = value.months / 12,
                   .months = value.months % 12,
                   .days = value.days,
                   .hours = value.micros / KD_HOUR_US,
                   .minutes = value.micros / KD_MINUTE_US % 60,
                   .seconds = value.micros / KD_SECOND_US % 60,
                   .micros = value.micros % KD_SECOND_US};
}

#define WRITE(self, ...)                                   \
    ((self)->size += snprintf((self)->text + (self)->size, \
                              sizeof(self)->text - (size_t)(self)->size, __VA_ARGS__))

/* The seconds without their sign, in two digits when `is_padded`; the fraction without zeros. */
static void seconds_write(writer *self, const parts *it, bool is_padded)
{
    WRITE(self, is_padded ? "%02" PRId64 : "%" PRId64, imaxabs(it->seconds));
    if (it->micros == 0)
        return;
    WRITE(self, ".%06" PRId64, imaxabs(it->micros));
    while (self->text[self->size - 1] == '0')
        self->size--;
}

/* --- postgres ----------------------------------------------------------------------------------
 */

typedef struct plain_state {
    bool is_empty;
    bool before_is_negative; /* The part before was below zero: a positive one shows its sign. */
} plain_state;

static void plain_part(writer *self, plain_state *state, int64_t value, const char *name)
{
    if (value == 0)
        return;
    WRITE(self, "%s%s%" PRId64 " %s%s", state->is_empty ? "" : " ",
          state->before_is_negative && value > 0 ? "+" : "", value, name, value == 1 ? "" : "s");
    *state = (plain_state){.before_is_negative = value < 0};
}

static void plain_write(writer *self, const parts *it)
{
    plain_state state = {.is_empty = true};
    plain_part(self, &state, it->years, "year");
    plain_part(self, &state, it->months, "mon");
    plain_part(self, &state, it->days, "day");
    bool has_time = it->hours != 0 || it->minutes != 0 || it->seconds != 0 || it->micros != 0;
    if (!state.is_empty && !has_time)
        return;
    bool is_negative = it->hours < 0 || it->minutes < 0 || it->seconds < 0 || it->micros < 0;
    WRITE(self, "%s%s%02" PRId64 ":%02" PRId64 ":", state.is_empty ? "" : " ",
          is_negative                            ? "-"
          : state.before_is_negative && has_time ? "+"
                                                 : "",
          imaxabs(it->hours), imaxabs(it->minutes));
    seconds_write(self, it, true);
}

/* --- postgres_verbose --------------------------------------------------------------------------
 */

typedef struct verbose_state {
    bool is_zero;
    bool is_before; /* The first part was negative: all signs turn, "ago" ends the text. */
} verbose_state;

static void verbose_part(writer *self, verbose_state *state, int64_t value, const char *name)
{
    if (value == 0)
        return;
    if (state->is_zero)
        state->is_before = value < 0;
    if (state->is_before)
        value = -value;
    WRITE(self, " %" PRId64 " %s%s", value, name, value == 1 ? "" : "s");
    state->is_zero = false;
}

static void verbose_write(writer *self, const parts *it)
{
    verbose_state state = {.is_zero = true};
    WRITE(self, "@");
    verbose_part(self, &state, it->years, "year");
    verbose_part(self, &state, it->months, "mon");
    verbose_part(self, &state, it->days, "day");
    verbose_part(self, &state, it->hours, "hour");
    verbose_part(self, &state, it->minutes, "min");
    if (it->seconds != 0 || it->micros != 0) {
        bool is_negative = it->seconds < 0 || it->micros < 0;
        if (state.is_zero)
            state.is_before = is_negative;
        WRITE(self, is_negative != state.is_before ? " -" : " ");
        seconds_write(self, it, false);
        WRITE(self, imaxabs(it->seconds) == 1 && it->micros == 0 ? " sec" : " secs");
        state.is_zero = false;
    }
    if (state.is_zero)
        WRITE(self, " 0");
    if (state.is_before)
        WRITE(self, " ago");
}

/* --- sql_standard ------------------------------------------------------------------------------
 */

static void clock_write(writer *self, const parts *it)
{
    WRITE(self, "%" PRId64 ":%02" PRId64 ":", imaxabs(it->hours), imaxabs(it->minutes));
    seconds_write(self, it, true);
}

/* The standard has intervals of years and months and of days and time, with one sign; what is
 * neither shows all parts with all signs. */
static void sql_write(writer *self, const parts *it)
{
    bool month_negative = it->years < 0 || it->months < 0;
    bool time_negative = it->hours < 0 || it->minutes < 0 || it->seconds < 0 || it->micros < 0;
    bool has_months = it->years != 0 || it->months != 0;
    bool has_time = it->hours != 0 || it->minutes != 0 || it->seconds != 0 || it->micros != 0;
    bool has_negative = month_negative || it->days < 0 || time_negative;
    bool has_positive =
        (has_months && !month_negative) || it->days > 0 || (has_time && !time_negative);
    if (!has_negative && !has_positive) {
        WRITE(self, "0");
        return;
    }
    if ((has_negative && has_positive) || (has_months && (has_time || it->days != 0))) {
        WRITE(self, "%c%" PRId64 "-%" PRId64 " %c%" PRId64 " %c", month_negative ? '-' : '+',
              imaxabs(it->years), imaxabs(it->months), it->days < 0 ? '-' : '+', imaxabs(it->days),
              time_negative ? '-' : '+');
        clock_write(self, it);
        return;
    }
    if (has_negative)
        WRITE(self, "-");
    if (has_months) {
        WRITE(self, "%" PRId64 "-%" PRId64, imaxabs(it->years), imaxabs(it->months));
        return;
    }
    if (it->days != 0)
        WRITE(self, "%" PRId64 " ", imaxabs(it->days));
    clock_write(self, it);
}

/* --- iso_8601 ----------------------------------------------------------------------------------
 */

static void iso_part(writer *self, int64_t value, char unit)
{
    if (value != 0)
        WRITE(self, "%" PRId64 "%c", value, unit);
}

static void iso_write(writer *self, const parts *it)
{
    bool has_time = it->hours != 0 || it->minutes != 0 || it->seconds != 0 || it->micros != 0;
    if (!has_time && it->years == 0 && it->months == 0 && it->days == 0) {
        WRITE(self, "PT0S");
        return;
    }
    WRITE(self, "P");
    iso_part(self, it->years, 'Y');
    iso_part(self, it->months, 'M');
    iso_part(self, it->days, 'D');
    if (!has_time)
        return;
    WRITE(self, "T");
    iso_part(self, it->hours, 'H');
    iso_part(self, it->minutes, 'M');
    if (it->seconds == 0 && it->micros == 0)
        return;
    WRITE(self, it->seconds < 0 || it->micros < 0 ? "-" : "");
    seconds_write(self, it, false);
    WRITE(self, "S");
}

kd_status kd_interval_format(kd_ctx *ctx, kd_interval_style style, kd_interval value,
                             kd_buffer *out)
{
    static void (*const writers[])(writer *, const parts *) = {
        [KD_INTERVAL_STYLE_POSTGRES] = plain_write,
        [KD_INTERVAL_STYLE_VERBOSE] = verbose_write,
        [KD_INTERVAL_STYLE_SQL] = sql_write,
        [KD_INTERVAL_STYLE_ISO] = iso_write,
    };
    writer self = {.size = 0};
    parts it = parts_of(value);
    writers[style](&self, &it);
    return kd_buffer_append(ctx, out, self.text, (size_t)self.size);
}
