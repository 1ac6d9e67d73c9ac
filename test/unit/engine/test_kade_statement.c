/*
 * Statements through kade.h: prepare, bind, step and read all types; errors and
 * their positions; scripts; what is left open when a session ends.
 */
#include "engine_kit.h"

#include <string.h>

TEST(values_of_every_type_come_back_as_bound)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    size_t size;
    static const uint8_t uuid[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                     0x0f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x21};
    uint8_t bytes[16];
    CHECK_KADE(it.session,
               kade_prepare(it.session,
                            "SELECT $1::bool, $2::int4, $3::int8, $4::float8, $5::numeric(10,2), "
                            "$6::text, $7::bytea, $8::date, $9::time, $10::timestamp, "
                            "$11::timestamptz, $12::interval, $13::uuid, $14::int2, $15::text",
                            KADE_NUL, &statement));
    CHECK_EQ(kade_parameter_count(statement), 15);
    CHECK_EQ(kade_parameter_type(statement, 1), KADE_TYPE_BOOL);
    CHECK_EQ(kade_column_count(statement), 15);
    CHECK_EQ(kade_column_type(statement, 7), KADE_TYPE_DATE);
    CHECK_TEXT(kade_column_type_name(statement, 4), "numeric(10,2)");
    CHECK_KADE(it.session, kade_bind_bool(statement, 1, true));
    CHECK_KADE(it.session, kade_bind_int64(statement, 2, -7));
    CHECK_KADE(it.session, kade_bind_int64(statement, 3, INT64_MAX));
    CHECK_KADE(it.session, kade_bind_double(statement, 4, 0.1));
    CHECK_KADE(it.session, kade_bind_decimal(statement, 5, "-12.50", KADE_NUL));
    CHECK_KADE(it.session, kade_bind_text(statement, 6, "a text longer than twelve", KADE_NUL));
    CHECK_KADE(it.session, kade_bind_blob(statement, 7, "\0\1\2", 3));
    CHECK_KADE(it.session, kade_bind_date(statement, 8, 19723));
    CHECK_KADE(it.session, kade_bind_time(statement, 9, 3600000000));
    CHECK_KADE(it.session, kade_bind_timestamp(statement, 10, 1704067200000001));
    CHECK_KADE(it.session, kade_bind_timestamptz(statement, 11, 1704067200000000));
    CHECK_KADE(it.session, kade_bind_interval(statement, 12, (kade_interval){1, 2, 3000000}));
    CHECK_KADE(it.session, kade_bind_uuid(statement, 13, uuid));
    CHECK_KADE(it.session, kade_bind_text(statement, 14, "42", 2));
    for (int round = 0; round < 2; round++) {
        CHECK_KADE(it.session, kade_step(statement, &has_row));
        CHECK(has_row);
        CHECK(kade_column_bool(statement, 0));
        CHECK_EQ(kade_column_int64(statement, 1), -7);
        CHECK_EQ(kade_column_int64(statement, 2), INT64_MAX);
        CHECK(kade_column_double(statement, 3) == 0.1);
        CHECK_TEXT(kade_column_text(statement, 4, &size), "-12.50");
        CHECK_EQ(size, 6);
        CHECK(kade_column_double(statement, 4) == -12.5);
        CHECK_TEXT(kade_column_text(statement, 5, NULL), "a text longer than twelve");
        CHECK_BYTES(kade_column_blob(statement, 6, &size), "\0\1\2", 3);
        CHECK_EQ(size, 3);
        CHECK_TEXT(kade_column_text(statement, 6, NULL), "\\x000102");
        CHECK_EQ(kade_column_date(statement, 7), 19723);
        CHECK_TEXT(kade_column_text(statement, 7, NULL), "2024-01-01");
        CHECK_EQ(kade_column_time(statement, 8), 3600000000);
        CHECK_EQ(kade_column_timestamp(statement, 9), 1704067200000001);
        CHECK_EQ(kade_column_timestamp(statement, 10), 1704067200000000);
        kade_interval interval = kade_column_interval(statement, 11);
        CHECK(interval.months == 1 && interval.days == 2 && interval.micros == 3000000);
        kade_column_uuid(statement, 12, bytes);
        CHECK_BYTES(bytes, uuid, 16);
        CHECK_EQ(kade_column_int64(statement, 13), 42);
        CHECK(kade_column_is_null(statement, 14));
        CHECK_TEXT(kade_column_text(statement, 14, NULL), "");
        CHECK_KADE(it.session, kade_step(statement, &has_row));
        CHECK(!has_row);
        CHECK(kade_column_is_null(statement, 0)); /* No current row. */
        CHECK_TEXT(kade_command_tag(statement), "SELECT 1");
    }
    kade_finalize(statement);
    kit_close(&it);
}

TEST(readers_convert_and_refused_casts_give_nothing)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT '17', 'x', 2.75::float8, true",
                                        KADE_NUL, &statement));
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK_EQ(kade_column_int64(statement, 0), 17);
    CHECK_EQ(kade_column_int64(statement, 1), 0);
    CHECK_EQ(kade_column_date(statement, 1), 0);
    CHECK_EQ(kade_column_int64(statement, 2), 3);
    CHECK_EQ(kade_column_int64(statement, 3), 1);
    CHECK_EQ(kade_column_int64(statement, 99), 0);
    CHECK_EQ(kade_session_error(it.session)->status, KADE_OK);
    kit_close(&it);
}

TEST(an_error_has_code_message_and_position)
{
    kit it = kit_memory();
    kade_statement *statement;
    CHECK(kade_prepare(it.session, "SELECT nothing", KADE_NUL, &statement) == KADE_INVALID);
    CHECK(statement == NULL);
    const kade_error *error = kade_session_error(it.session);
    CHECK_TEXT(error->sqlstate, "42703");
    CHECK_TEXT(error->severity, "ERROR");
    CHECK_EQ(error->position, 7);
    kit_fails(it.session, "SELECT 1; SELECT 2; SELECT oops", "42703");
    CHECK_EQ(kade_session_error(it.session)->position, 27);
    kit_fails(it.session, "SELECT 1; SELEC 2", "42601");
    CHECK_EQ(kade_session_error(it.session)->position, 10);
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    kit_fails(it.session, "INSERT INTO t VALUES (1)", "23505");
    CHECK_TEXT(kade_session_error(it.session)->constraint, "t_pkey");
    kit_run(it.session, "SELECT 1");
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "00000");
    kit_close(&it);
}

TEST(a_parameter_that_is_not_there_is_refused)
{
    kit it = kit_memory();
    kade_statement *statement;
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT $1::int", KADE_NUL, &statement));
    CHECK(kade_bind_int64(statement, 0, 1) == KADE_INVALID);
    CHECK(kade_bind_int64(statement, 2, 1) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "22023");
    kit_close(&it);
}

TEST(an_empty_text_is_a_statement_that_does_nothing)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row = true;
    CHECK_KADE(it.session, kade_prepare(it.session, " -- nothing\n ", KADE_NUL, &statement));
    CHECK_EQ(kade_column_count(statement), 0);
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK(!has_row);
    CHECK_TEXT(kade_command_tag(statement), "");
    kade_finalize(statement);
    kit_close(&it);
}

TEST(a_statement_follows_changes_of_the_catalog)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    kit_run(it.session, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT * FROM t", KADE_NUL, &statement));
    CHECK_EQ(kade_column_count(statement), 1);
    kit_run(it.session, "ALTER TABLE t ADD COLUMN b text DEFAULT 'x'");
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK_EQ(kade_column_count(statement), 2);
    CHECK_TEXT(kade_column_text(statement, 1, NULL), "x");
    kit_close(&it);
}

TEST(reset_lets_a_statement_run_anew)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT * FROM generate_series(1, $1)",
                                        KADE_NUL, &statement));
    CHECK_KADE(it.session, kade_bind_int64(statement, 1, 100000));
    for (int i = 0; i < 10; i++)
        CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK_EQ(kade_column_int64(statement, 0), 10);
    kade_reset(statement);
    CHECK(kade_column_is_null(statement, 0));
    CHECK_KADE(it.session, kade_bind_int64(statement, 1, 1));
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK_EQ(kade_column_int64(statement, 0), 1);
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK(!has_row);
    kit_close(&it);
}

static kade_status stop_at_second(void *object, kade_statement *statement)
{
    int *calls = object;
    CHECK(kade_column_count(statement) == 1);
    return ++*calls == 2 ? KADE_CANCELLED : KADE_OK;
}

TEST(a_script_stops_where_its_callback_says)
{
    kit it = kit_memory();
    int calls = 0;
    CHECK_EQ(
        kade_execute(it.session, "SELECT 1; SELECT 2; SELECT 3", KADE_NUL, stop_at_second, &calls),
        KADE_CANCELLED);
    CHECK_EQ(calls, 2);
    /* Rows that nobody wants are computed all the same. */
    kit_fails(it.session, "SELECT 1 / 0", "22012");
    kit_close(&it);
}

TEST(tags_and_numbers_of_changes)
{
    kit it = kit_memory();
    kade_statement *statement;
    bool has_row;
    kit_run(it.session, "CREATE TABLE t (a int)");
    CHECK_KADE(it.session, kade_prepare(it.session, "INSERT INTO t VALUES (1), (2), (3)", KADE_NUL,
                                        &statement));
    CHECK_KADE(it.session, kade_step(statement, &has_row));
    CHECK(!has_row);
    CHECK_TEXT(kade_command_tag(statement), "INSERT 0 3");
    CHECK_EQ(kade_rows_affected(statement), 3);
    kade_finalize(statement);
    CHECK_ROWS(it.session, "DELETE FROM t WHERE a < 3 RETURNING a", "1;2");
    kit_close(&it);
}

TEST(closing_the_database_ends_what_is_left)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kade_statement *statement;
    bool has_row;
    kade_appender *appender;
    kit_run(it.session, "CREATE TABLE t (a int)");
    kit_run(other, "BEGIN; INSERT INTO t VALUES (1)");
    CHECK_KADE(other, kade_prepare(other, "SELECT * FROM generate_series(1, 1000000)", KADE_NUL,
                                   &statement));
    CHECK_KADE(other, kade_step(statement, &has_row));
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    CHECK_KADE(it.session, kade_append_int64(appender, 1));
    kit_close(&it);
}
