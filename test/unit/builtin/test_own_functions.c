/*
 * Functions that PostgreSQL 15 does not have, and what recorded calls cannot show:
 * state that is kept between calls, bounds on patterns.
 */
#include "call_fixture.h"

typedef struct own_case {
    const char *name;
    const char *arguments[6];
    const char *answer;
} own_case;

static void check_functions(const own_case *cases, size_t count)
{
    call_fixture fixture;
    call_fixture_init(&fixture);
    for (size_t i = 0; i < count; i++) {
        test_note("%s(%s, %s)", cases[i].name, cases[i].arguments[0], cases[i].arguments[1]);
        CHECK_TEXT(call_function(&fixture, cases[i].name, cases[i].arguments), cases[i].answer);
    }
    call_fixture_clear(&fixture);
}

/* Origins as TimescaleDB has them: a Monday for widths without months, 2000-01-01 for months. */
TEST(time_bucket_starts_where_timescale_does)
{
    static const own_case cases[] = {
        {"time_bucket",
         {"interval:5 minutes", "timestamp:2020-01-01 10:07:31"},
         "=2020-01-01 10:05:00"},
        {"time_bucket",
         {"interval:1 week", "timestamp:2020-01-01 10:07:31"},
         "=2019-12-30 00:00:00"},
        {"time_bucket", {"interval:3 months", "timestamp:2020-05-17"}, "=2020-04-01 00:00:00"},
        {"time_bucket", {"interval:1 year", "date:1999-05-17"}, "=1999-01-01"},
        {"time_bucket", {"interval:1 week", "timestamp:1999-12-31"}, "=1999-12-27 00:00:00"},
        {"time_bucket",
         {"interval:1 hour", "timestamp:2020-01-01 10:07", "interval:5 minutes"},
         "=2020-01-01 10:05:00"},
        {"time_bucket",
         {"interval:1 week", "timestamp:2020-01-01", "timestamp:2000-01-02"},
         "=2019-12-29 00:00:00"},
        {"time_bucket",
         {"interval:1 day", "timestamptz:2020-07-01 23:30:00+00", "text:Europe/Berlin"},
         "=2020-07-02 00:00:00+02"},
        {"time_bucket",
         {"interval:1 day", "timestamptz:2020-07-01 23:30:00+00"},
         "=2020-07-01 02:00:00+02"},
        {"time_bucket", {"int4:5", "int4:-3"}, "=-5"},
        {"time_bucket", {"int8:5", "int8:13", "int8:2"}, "=12"},
        {"time_bucket",
         {"interval:0 days", "timestamp:2020-01-01"},
         "!22023 period must be greater than 0"},
        {"time_bucket",
         {"interval:infinity", "timestamp:infinity"},
         "!22007 invalid input syntax for type interval: \"infinity\""},
    };
    check_functions(cases, sizeof cases / sizeof *cases);
}

TEST(session_functions_tell_the_facts)
{
    static const own_case cases[] = {
        {"current_user", {NULL}, "=kade"},
        {"current_database", {NULL}, "=main"},
        {"current_schema", {NULL}, "=public"},
        {"array_slice", {"int4[]:{1,2,3,4}", "int4:2", "int4:3"}, "={2,3}"},
        {"array_slice", {"int4[]:{1,2,3,4}", "int4:\\N", "int4:2"}, "={1,2}"},
        {"array_slice", {"int4[]:{{1,2},{3,4}}", "int4:2", "int4:\\N"}, "={{3,4}}"},
        {"array_slice", {"int4[]:{1,2}", "int4:5", "int4:9"}, "={}"},
        {"isnan", {"float8:NaN"}, "=t"},
    };
    check_functions(cases, sizeof cases / sizeof *cases);
}

TEST(aggregates_beyond_postgresql)
{
    static const own_case cases[] = {
        {"first", {"text:{b,a long text of a row,c}", "int4:{3,1,2}"}, "=a long text of a row"},
        {"last", {"text:{b,a,a long text of a row}", "int4:{3,1,4}"}, "=a long text of a row"},
        {"last", {"int4:{1,2,NULL}", "int4:{1,NULL,3}"}, "\\N"},
        {"arg_max", {"int4:{1,2,NULL}", "int4:{1,2,3}"}, "=2"},
        {"min_by", {"text:{x,y}", "float8:{2,1}"}, "=y"},
        {"median", {"float8:{5,1,3,NULL}"}, "=3"},
        {"median", {"float8:{4,1,3,2}"}, "=2.5"},
        {"quantile_cont", {"float8:{4,1,3,2,5}", "float8:{0.25,0.25,0.25,0.25,0.25}"}, "=2"},
        {"any_value", {"int4:{NULL,7}"}, "=7"},
        {"approx_count_distinct", {"int4:{1,2,2,3,NULL}"}, "=3"},
    };
    call_fixture fixture;
    call_fixture_init(&fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_note("%s(%s)", cases[i].name, cases[i].arguments[0]);
        CHECK_TEXT(call_aggregate(&fixture, cases[i].name, cases[i].arguments, false),
                   cases[i].answer);
    }
    call_fixture_clear(&fixture);
}

/* A pattern that backtracks without end fails, and does so in bounded time. */
TEST(hopeless_patterns_end)
{
    call_fixture fixture;
    call_fixture_init(&fixture);
    const char *answer = call_function(
        &fixture, "~",
        (const char *const[]){"text:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                              "text:^(a+)+(x|y)\\1$", NULL});
    CHECK(strcmp(answer, "=f") == 0 || strncmp(answer, "!54000", 6) == 0);
    call_fixture_clear(&fixture);
}
