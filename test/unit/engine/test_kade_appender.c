/*
 * Appenders: values of all types, defaults, rows that fail, transactions.
 */
#include "engine_kit.h"

#include <string.h>

TEST(rows_arrive_when_they_are_flushed)
{
    kit it = kit_memory();
    kade_appender *appender;
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text, at timestamp)");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    for (int i = 0; i < 5000; i++) {
        CHECK_KADE(it.session, kade_append_int64(appender, i));
        CHECK_KADE(it.session, i % 3 == 0 ? kade_append_null(appender)
                                          : kade_append_text(appender, "a\tb\\c\nd", KADE_NUL));
        CHECK_KADE(it.session, kade_append_timestamp(appender, i * INT64_C(1000000)));
        CHECK_KADE(it.session, kade_append_row_end(appender));
    }
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "0");
    CHECK_KADE(it.session, kade_appender_flush(appender));
    CHECK_ROWS(it.session, "SELECT count(*), count(name), max(at) FROM t",
               "5000|3333|1970-01-01 01:23:19");
    CHECK_ROWS(it.session, "SELECT count(*) FROM t WHERE name = E'a\\tb\\\\c\\nd'", "3333");
    CHECK_KADE(it.session, kade_appender_close(appender));
    kit_close(&it);
}

TEST(values_are_cast_to_their_columns)
{
    kit it = kit_memory();
    kade_appender *appender;
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    kit_run(it.session, "CREATE TYPE mood AS ENUM ('sad', 'ok');"
                        "CREATE TABLE t (b bool, i int, n numeric(6,2), x text, y bytea, d date, "
                        "c time, z timestamptz, v interval, u uuid, m mood, a int[])");
    CHECK_KADE(it.session, kade_appender_create(it.session, "public", "t", NULL, 0, &appender));
    CHECK_KADE(it.session, kade_append_bool(appender, true));
    CHECK_KADE(it.session, kade_append_double(appender, 2.6));
    CHECK_KADE(it.session, kade_append_double(appender, 1.25));
    CHECK_KADE(it.session, kade_append_int64(appender, -5));
    CHECK_KADE(it.session, kade_append_blob(appender, "\0\\x", 3));
    CHECK_KADE(it.session, kade_append_date(appender, 0));
    CHECK_KADE(it.session, kade_append_time(appender, 1000000));
    CHECK_KADE(it.session, kade_append_timestamp(appender, 0));
    CHECK_KADE(it.session, kade_append_interval(appender, (kade_interval){14, 3, 1000000}));
    CHECK_KADE(it.session, kade_append_uuid(appender, uuid));
    CHECK_KADE(it.session, kade_append_text(appender, "ok", 2));
    CHECK_KADE(it.session, kade_append_text(appender, "{1,NULL}", KADE_NUL));
    CHECK_KADE(it.session, kade_append_row_end(appender));
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT * FROM t",
               "t|3|1.25|-5|\\x005c78|1970-01-01|00:00:01|1970-01-01 00:00:00+00|"
               "1 year 2 mons 3 days 00:00:01|01020304-0506-0708-090a-0b0c0d0e0f10|ok|{1,NULL}");
    kit_close(&it);
}

TEST(a_bad_value_drops_its_row_only)
{
    kit it = kit_memory();
    kade_appender *appender;
    kit_run(it.session, "CREATE TABLE t (a int, b date)");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    CHECK_KADE(it.session, kade_append_int64(appender, 1));
    CHECK(kade_append_text(appender, "no date", KADE_NUL) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "22007");
    CHECK_KADE(it.session, kade_append_int64(appender, 2));
    CHECK_KADE(it.session, kade_append_null(appender));
    CHECK(kade_append_null(appender) == KADE_INVALID); /* One too many. */
    CHECK_KADE(it.session, kade_append_int64(appender, 3));
    CHECK(kade_append_row_end(appender) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "42601");
    CHECK_KADE(it.session, kade_append_int64(appender, 4));
    CHECK_KADE(it.session, kade_append_date(appender, 1));
    CHECK_KADE(it.session, kade_append_row_end(appender));
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT * FROM t", "4|1970-01-02");
    kit_close(&it);
}

TEST(defaults_by_value_and_by_column)
{
    kit it = kit_memory();
    kade_appender *appender;
    static const char *const columns[] = {"b", "c"};
    kit_run(it.session, "CREATE TABLE t (id serial, b int DEFAULT 7, c text DEFAULT 'x')");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", columns, 2, &appender));
    for (int i = 0; i < 4; i++) {
        CHECK_KADE(it.session,
                   i % 2 == 0 ? kade_append_default(appender) : kade_append_int64(appender, i));
        CHECK_KADE(it.session,
                   i == 2 ? kade_append_default(appender) : kade_append_text(appender, "y", 1));
        CHECK_KADE(it.session, kade_append_row_end(appender));
    }
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT * FROM t ORDER BY id", "1|7|y;2|1|y;3|7|x;4|3|y");
    kit_close(&it);
}

TEST(a_failed_flush_writes_nothing)
{
    kit it = kit_memory();
    kade_appender *appender;
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, b int DEFAULT 1)");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    for (int i = 0; i < 3; i++) {
        CHECK_KADE(it.session, kade_append_int64(appender, i % 2));
        CHECK_KADE(it.session,
                   i == 1 ? kade_append_default(appender) : kade_append_int64(appender, i));
        CHECK_KADE(it.session, kade_append_row_end(appender));
    }
    CHECK(kade_appender_flush(appender) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "23505");
    CHECK_EQ(kade_session_transaction(it.session), KADE_TRANSACTION_NONE);
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "0");
    CHECK_KADE(it.session, kade_append_int64(appender, 9));
    CHECK_KADE(it.session, kade_append_int64(appender, 9));
    CHECK_KADE(it.session, kade_append_row_end(appender));
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT id FROM t", "9");
    kit_close(&it);
}

TEST(numbers_arrive_exactly_whatever_the_session_shows)
{
    kit it = kit_memory();
    kade_appender *appender;
    kit_run(it.session, "SET extra_float_digits = 0; CREATE TABLE t (f float8)");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    CHECK_KADE(it.session, kade_append_double(appender, 0.1 + 0.2));
    CHECK_KADE(it.session, kade_append_row_end(appender));
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SET extra_float_digits = 1; SELECT f FROM t", "0.30000000000000004");
    kit_close(&it);
}

TEST(rows_join_the_open_transaction)
{
    kit it = kit_memory();
    kade_appender *appender;
    kit_run(it.session, "CREATE TABLE t (a int); BEGIN");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    CHECK_KADE(it.session, kade_append_int64(appender, 1));
    CHECK_KADE(it.session, kade_append_row_end(appender));
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "1");
    kit_run(it.session, "ROLLBACK");
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "0");
    CHECK(kade_appender_create(it.session, NULL, "nowhere", NULL, 0, &appender) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "42P01");
    kit_close(&it);
}
