/*
 * Conversions and arithmetic agree with PostgreSQL 15: table-driven, from recorded answers.
 */
#include "test.h"

#include "types/datetime.h"
#include "types/number_text.h"
#include "types/numeric.h"
#include "types/value.h"

#include "recorded_operations.h"
#include "recorded_parse.h"
#include "recorded_zones.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct session {
    kd_ctx ctx;
    kd_arena *arena;
    kd_text_settings settings;
} session;

static session session_begin(void)
{
    session self = {.ctx = test_ctx(), .settings = {.extra_float_digits = 1}};
    self.arena = test_arena(&self.ctx);
    return self;
}

/* "numeric(10,2)[]" to a type. */
static kd_type type_named(const char *name)
{
    char plain[64];
    snprintf(plain, sizeof plain, "%s", name);
    bool is_array = strstr(plain, "[]") != NULL;
    if (is_array)
        *strstr(plain, "[]") = '\0';
    int32_t modifier = -1;
    char *open = strchr(plain, '(');
    if (open != NULL) {
        const char *comma = strchr(open, ',');
        int first = atoi(open + 1);
        modifier = comma != NULL ? first * 256 + atoi(comma + 1) : first;
        *open = '\0';
    }
    kd_type type;
    CHECK(kd_type_find(kd_slice_of(plain), &type));
    type.modifier = modifier;
    type.is_array = is_array;
    return type;
}

static kd_status parse_as(session *self, const char *type, const char *text, kd_value *out)
{
    return kd_value_parse(&self->ctx, self->arena, &self->settings, type_named(type),
                          kd_slice_of(text), out);
}

static kd_status format(session *self, kd_type_id type, kd_value value, kd_buffer *out)
{
    if (value.type.id == KD_TYPE_UNKNOWN)
        value.type = kd_type_of(type);
    return kd_value_format(&self->ctx, &self->settings, &value, out);
}

/* The answer, or the error as it was recorded, compared with what is expected. */
static void answer_check(session *self, kd_status status, const kd_buffer *answer,
                         const char *expected)
{
    char error[700];
    const char *actual = answer->data == NULL ? "" : answer->data;
    if (status != KD_OK) {
        snprintf(error, sizeof error, "ERR %s %s", self->ctx.error.sqlstate,
                 self->ctx.error.message);
        actual = error;
        kd_error_clear(&self->ctx);
    }
    CHECK_TEXT(actual, expected);
}

TEST(text_converts_as_recorded)
{
    session self = session_begin();
    for (size_t i = 0; i < sizeof recorded_parse / sizeof recorded_parse[0]; i++) {
        const char *const *row = recorded_parse[i];
        test_note("%s '%s'", row[0], row[1]);
        kd_value value;
        kd_buffer answer = kd_buffer_in(self.arena);
        kd_status status = parse_as(&self, row[0], row[1], &value);
        if (status == KD_OK)
            status = format(&self, KD_TYPE_TEXT, value, &answer);
        answer_check(&self, status, &answer, row[2]);
    }
    kd_arena_destroy(self.arena);
}

TEST(zoned_timestamps_convert_as_recorded)
{
    session self = session_begin();
    for (size_t i = 0; i < sizeof recorded_zones / sizeof recorded_zones[0]; i++) {
        const char *const *row = recorded_zones[i];
        test_note("%s: %s %s %s", row[0], row[1], row[3], row[4]);
        CHECK_STATUS(&self.ctx,
                     kd_zone_open(&self.ctx, self.arena, kd_slice_of(row[0]), &self.settings.zone));
        kd_value value;
        kd_value step;
        kd_buffer answer = kd_buffer_in(self.arena);
        kd_status status = parse_as(&self, row[2], row[3], &value);
        if (status == KD_OK && strcmp(row[1], "tsadd") == 0) {
            status = parse_as(&self, "interval", row[4], &step);
            if (status == KD_OK)
                status = kd_timestamptz_add(&self.ctx, self.settings.zone, value.as.i64,
                                            step.as.interval, &value.as.i64);
        }
        if (status == KD_OK)
            status = format(&self, KD_TYPE_TIMESTAMPTZ, value, &answer);
        answer_check(&self, status, &answer, row[5]);
    }
    kd_arena_destroy(self.arena);
}

typedef kd_status (*decimal_function)(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                                      const kd_decimal *b, kd_decimal *out);
typedef kd_status (*decimal_function_1)(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                                        kd_decimal *out);

static const struct {
    const char *name;
    decimal_function_1 one;
    decimal_function two;
} decimal_functions[] = {
    {"numadd", NULL, kd_decimal_add},        {"numsub", NULL, kd_decimal_sub},
    {"nummul", NULL, kd_decimal_mul},        {"numdiv", NULL, kd_decimal_div},
    {"numdivt", NULL, kd_decimal_div_trunc}, {"nummod", NULL, kd_decimal_mod},
    {"numlog", NULL, kd_decimal_log},        {"numpower", NULL, kd_decimal_power},
    {"numsqrt", kd_decimal_sqrt, NULL},      {"numexp", kd_decimal_exp, NULL},
    {"numln", kd_decimal_ln, NULL},          {"numceil", kd_decimal_ceil, NULL},
    {"numfloor", kd_decimal_floor, NULL},
};

static kd_status decimal_answer(session *self, const char *const *row, kd_buffer *answer)
{
    kd_ctx *ctx = &self->ctx;
    kd_decimal a;
    kd_decimal b;
    kd_decimal result = {0};
    KD_TRY(kd_decimal_parse(ctx, self->arena, kd_slice_of(row[1]), &a));
    if (strcmp(row[0], "numround") == 0)
        KD_TRY(kd_decimal_round(ctx, self->arena, &a, atoi(row[2]), &result));
    if (strcmp(row[0], "numtrunc") == 0)
        KD_TRY(kd_decimal_trunc(ctx, self->arena, &a, atoi(row[2]), &result));
    for (size_t i = 0; i < sizeof decimal_functions / sizeof decimal_functions[0]; i++) {
        if (strcmp(row[0], decimal_functions[i].name) != 0)
            continue;
        if (decimal_functions[i].one != NULL) {
            KD_TRY(decimal_functions[i].one(ctx, self->arena, &a, &result));
            continue;
        }
        KD_TRY(kd_decimal_parse(ctx, self->arena, kd_slice_of(row[2]), &b));
        KD_TRY(decimal_functions[i].two(ctx, self->arena, &a, &b, &result));
    }
    kd_value value = {.type = kd_type_of(KD_TYPE_NUMERIC)};
    KD_TRY(kd_decimal_store(ctx, self->arena, &result, &value.as.str));
    return format(self, KD_TYPE_NUMERIC, value, answer);
}

static kd_status interval_answer(session *self, const char *const *row, kd_buffer *answer)
{
    kd_ctx *ctx = &self->ctx;
    kd_value a;
    kd_value b;
    KD_TRY(parse_as(self, "interval", row[1], &a));
    kd_interval *interval = &a.as.interval;
    if (strcmp(row[0], "justh") == 0) {
        KD_TRY(kd_interval_justify_hours(ctx, *interval, interval));
    } else if (strcmp(row[0], "justd") == 0) {
        KD_TRY(kd_interval_justify_days(ctx, *interval, interval));
    } else if (strcmp(row[0], "justi") == 0) {
        KD_TRY(kd_interval_justify(ctx, *interval, interval));
    } else {
        KD_TRY(parse_as(self, "float8", row[2], &b));
        if (strcmp(row[0], "ivmul") == 0)
            KD_TRY(kd_interval_multiply(ctx, *interval, b.as.f64, interval));
        else
            KD_TRY(kd_interval_divide(ctx, *interval, b.as.f64, interval));
    }
    return format(self, KD_TYPE_INTERVAL, a, answer);
}

static kd_status extract_answer(session *self, const char *const *row, kd_buffer *answer)
{
    kd_ctx *ctx = &self->ctx;
    kd_field field;
    kd_value value;
    kd_extract result;
    CHECK(kd_field_find(kd_slice_of(row[1]), &field));
    KD_TRY(parse_as(self, row[2], row[3], &value));
    if (value.type.id == KD_TYPE_DATE)
        KD_TRY(kd_date_extract(ctx, field, value.as.i32, &result));
    else if (value.type.id == KD_TYPE_TIME)
        KD_TRY(kd_time_extract(ctx, field, value.as.i64, &result));
    else if (value.type.id == KD_TYPE_TIMESTAMP)
        KD_TRY(kd_timestamp_extract(ctx, field, value.as.i64, &result));
    else if (value.type.id == KD_TYPE_TIMESTAMPTZ)
        KD_TRY(kd_timestamptz_extract(ctx, NULL, field, value.as.i64, &result));
    else
        KD_TRY(kd_interval_extract(ctx, field, value.as.interval, &result));
    if (result.is_null || result.infinity != 0)
        return kd_buffer_append_text(ctx, answer,
                                     result.is_null        ? "NULL"
                                     : result.infinity > 0 ? "Infinity"
                                                           : "-Infinity");
    return kd_fixed_format(ctx, result.value, result.scale, answer);
}

static kd_status time_answer(session *self, const char *const *row, kd_buffer *answer)
{
    kd_ctx *ctx = &self->ctx;
    kd_value a;
    kd_value b;
    if (strcmp(row[0], "age") == 0) {
        kd_value result = {.type = kd_type_of(KD_TYPE_INTERVAL)};
        KD_TRY(parse_as(self, "timestamp", row[1], &a));
        KD_TRY(parse_as(self, "timestamp", row[2], &b));
        KD_TRY(kd_timestamp_age(ctx, a.as.i64, b.as.i64, &result.as.interval));
        return format(self, KD_TYPE_INTERVAL, result, answer);
    }
    if (strcmp(row[0], "tsadd") == 0) {
        KD_TRY(parse_as(self, row[1], row[2], &a));
        KD_TRY(parse_as(self, "interval", row[3], &b));
        if (a.type.id == KD_TYPE_TIMESTAMPTZ)
            KD_TRY(kd_timestamptz_add(ctx, NULL, a.as.i64, b.as.interval, &a.as.i64));
        else
            KD_TRY(kd_timestamp_add(ctx, a.as.i64, b.as.interval, &a.as.i64));
        return format(self, KD_TYPE_TIMESTAMP, a, answer);
    }
    kd_field field;
    CHECK(kd_field_find(kd_slice_of(row[1]), &field));
    KD_TRY(parse_as(self, row[2], row[3], &a));
    if (a.type.id == KD_TYPE_INTERVAL)
        KD_TRY(kd_interval_trunc(ctx, field, a.as.interval, &a.as.interval));
    else if (a.type.id == KD_TYPE_TIMESTAMP)
        KD_TRY(kd_timestamp_trunc(ctx, field, a.as.i64, &a.as.i64));
    else
        KD_TRY(kd_timestamptz_trunc(ctx, NULL, field, a.as.i64, &a.as.i64));
    return format(self, KD_TYPE_TIMESTAMP, a, answer);
}

TEST(operations_answer_as_recorded)
{
    session self = session_begin();
    for (size_t i = 0; i < sizeof recorded_operations / sizeof recorded_operations[0]; i++) {
        const char *const *row = recorded_operations[i];
        test_note("%s %s %s %s", row[0], row[1], row[2], row[3]);
        kd_buffer answer = kd_buffer_in(self.arena);
        kd_status status;
        if (strncmp(row[0], "num", 3) == 0)
            status = decimal_answer(&self, row, &answer);
        else if (strncmp(row[0], "iv", 2) == 0 || strncmp(row[0], "just", 4) == 0)
            status = interval_answer(&self, row, &answer);
        else if (strcmp(row[0], "extract") == 0)
            status = extract_answer(&self, row, &answer);
        else
            status = time_answer(&self, row, &answer);
        answer_check(&self, status, &answer, row[4]);
    }
    kd_arena_destroy(self.arena);
}

TEST(fast_and_general_timestamp_parsers_agree)
{
    test_random random = {7};
    for (int i = 0; i < 2000; i++) {
        int64_t timestamp =
            (int64_t)(test_random_next(&random) % 400000000000000000u) - 200000000000000000;
        if (timestamp < -60000000000000000)
            continue;
        char text[KD_DATETIME_TEXT_BYTES];
        size_t size = kd_timestamp_format(NULL, timestamp, text);
        int64_t fast;
        if (kd_timestamp_parse_fast((kd_slice){text, size}, &fast))
            CHECK_EQ(fast, timestamp);
        kd_ctx ctx = test_ctx();
        int64_t general;
        text[size] = ' '; /* A blank at the end: not for the fast path. */
        CHECK_STATUS(&ctx,
                     kd_timestamp_parse(&ctx, NULL, NULL, (kd_slice){text, size + 1}, &general));
        CHECK_EQ(general, timestamp);
    }
}

TEST(nanosecond_timestamps_keep_nine_digits)
{
    kd_ctx ctx = test_ctx();
    int64_t value;
    CHECK_STATUS(&ctx, kd_timestamp_ns_parse(&ctx, NULL, NULL,
                                             KD_SLICE("2001-02-03 04:05:06.123456789+01"), &value));
    char text[KD_DATETIME_TEXT_BYTES];
    size_t size = kd_timestamp_ns_format(value, text);
    CHECK_SLICE(((kd_slice){text, size}), "2001-02-03 03:05:06.123456789");
    CHECK_FAILS(&ctx, kd_timestamp_ns_parse(&ctx, NULL, NULL, KD_SLICE("2300-01-01"), &value),
                "22008");
}
