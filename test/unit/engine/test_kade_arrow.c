/*
 * Arrow: results as arrays, and arrays into tables again.
 */
#include "engine_kit.h"

#include <string.h>

static const char table_sql[] =
    "CREATE TABLE a (b bool, s smallint, i int, l bigint, f real, g float8, n numeric(10,2), "
    "w numeric(30,4), v numeric, x text, y bytea, d date, c time, t timestamp, z timestamptz, "
    "j interval, u uuid, o jsonb, r int[]);"
    "INSERT INTO a SELECT g % 2 = 0, g, g, g * 10000000000, g / 2.0, g / 4.0, g / 8.0, g / 16.0, "
    "g / 32.0, 'text number ' || g, '\\x00ff'::bytea, '2024-01-01'::date + g, "
    "'00:00'::time + g * interval '1 second', '1970-01-01'::timestamp + g * interval '1 day', "
    "'2024-01-01 00:00+00'::timestamptz, g * interval '1 month 2 days 3 seconds', "
    "'01020304-0506-0708-090a-0b0c0d0e0f10'::uuid, '{\"a\": 1}'::jsonb, ARRAY[g, NULL] "
    "FROM generate_series(-5, 3000) g;"
    "INSERT INTO a (l) VALUES (1)";

TEST(a_result_goes_out_as_arrow_and_in_again)
{
    kit it = kit_memory();
    kade_statement *statement;
    kade_appender *appender;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray array;
    static const char *const formats[] = {
        "b", "s",   "i",   "l",    "f",       "g",   "d:10,2", "d:30,4", "u", "u",
        "z", "tdD", "ttu", "tsu:", "tsu:UTC", "tin", "u",      "u",      "u"};
    kit_run(it.session, table_sql);
    kit_run(it.session, "CREATE TABLE copy (LIKE a)");
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT * FROM a", KADE_NUL, &statement));
    CHECK_KADE(it.session, kade_arrow_stream(statement, &stream));
    CHECK_EQ(stream.get_schema(&stream, &schema), 0);
    CHECK_EQ(schema.n_children, 19);
    for (int i = 0; i < 19; i++)
        CHECK_TEXT(schema.children[i]->format, formats[i]);
    CHECK_TEXT(schema.children[3]->name, "l");
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "copy", NULL, 0, &appender));
    int64_t rows = 0;
    for (;;) {
        CHECK_EQ(stream.get_next(&stream, &array), 0);
        if (array.release == NULL)
            break;
        CHECK(array.length > 0 && array.length <= 4096);
        rows += array.length;
        CHECK_EQ(kade_append_arrow(appender, &schema, &array), KADE_OK);
        array.release(&array);
    }
    CHECK_EQ(rows, 3007);
    stream.release(&stream);
    schema.release(&schema);
    CHECK_KADE(it.session, kade_appender_close(appender));
    CHECK_ROWS(it.session, "SELECT count(*) FROM copy", "3007");
    CHECK_ROWS(it.session, "SELECT count(*) FROM (SELECT * FROM a EXCEPT SELECT * FROM copy) q",
               "0");
    kit_close(&it);
}

TEST(arrays_outlive_their_statement_and_children_their_parent)
{
    kit it = kit_memory();
    kade_statement *statement;
    struct ArrowArray array;
    struct ArrowSchema schema;
    CHECK_KADE(it.session, kade_prepare(it.session,
                                        "SELECT g, 'a text that is far ' || g, NULL::int "
                                        "FROM generate_series(1, 5) g",
                                        KADE_NUL, &statement));
    CHECK_KADE(it.session, kade_arrow_schema(statement, &schema));
    CHECK_KADE(it.session, kade_arrow_next(statement, &array));
    kit_close(&it);
    CHECK_EQ(array.length, 5);
    struct ArrowArray texts = *array.children[1];
    array.children[1]->release = NULL; /* Moved. */
    CHECK_EQ(((const int32_t *)array.children[0]->buffers[1])[4], 5);
    CHECK_EQ(array.children[2]->null_count, 5);
    array.release(&array);
    CHECK(array.release == NULL);
    const int32_t *offsets = texts.buffers[1];
    CHECK_BYTES((const char *)texts.buffers[2] + offsets[4], "a text that is far 5", 20);
    texts.release(&texts);
    schema.release(&schema);
}

TEST(a_batch_of_other_columns_is_refused)
{
    kit it = kit_memory();
    kade_statement *statement;
    kade_appender *appender;
    struct ArrowArray array;
    struct ArrowSchema schema;
    kit_run(it.session, "CREATE TABLE t (a int, b date)");
    CHECK_KADE(it.session, kade_prepare(it.session, "SELECT 1, 'x'", KADE_NUL, &statement));
    CHECK_KADE(it.session, kade_arrow_schema(statement, &schema));
    CHECK_KADE(it.session, kade_arrow_next(statement, &array));
    CHECK_KADE(it.session, kade_appender_create(it.session, NULL, "t", NULL, 0, &appender));
    CHECK(kade_append_arrow(appender, &schema, &array) == KADE_INVALID);
    CHECK_TEXT(kade_session_error(it.session)->sqlstate, "22007");
    kade_appender_abandon(appender);
    array.release(&array);
    schema.release(&schema);
    kit_close(&it);
}
