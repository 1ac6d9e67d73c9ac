/*
 * The short paths of prepared statements on one row: the same answers and errors as
 * the ordinary way, also when the schema changes between two runs.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <string.h>

static kade_statement *prepare(kade_session *session, const char *sql)
{
    kade_statement *statement = NULL;
    CHECK_EQ(kade_prepare(session, sql, KADE_NUL, &statement), KADE_OK);
    return statement;
}

static kade_status insert(kade_statement *statement, int64_t id, const char *name)
{
    bool has_row;
    CHECK_EQ(kade_bind_int64(statement, 1, id), KADE_OK);
    if (name == NULL)
        CHECK_EQ(kade_bind_null(statement, 2), KADE_OK);
    else
        CHECK_EQ(kade_bind_text(statement, 2, name, KADE_NUL), KADE_OK);
    kade_status status = kade_step(statement, &has_row);
    CHECK(status != KADE_OK || !has_row);
    return status;
}

static const char *sqlstate(kade_statement *statement)
{
    return kade_session_error(kade_statement_session(statement))->sqlstate;
}

TEST(a_prepared_insert_gives_its_tag_and_its_rows)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), note text)");
    kade_statement *statement = prepare(it.session, "INSERT INTO t VALUES ($1, $2)");
    for (int64_t id = 1; id <= 3000; id++) {
        char name[32];
        (void)snprintf(name, sizeof name, "a name, number %d", (int)id);
        CHECK_EQ(insert(statement, id, id % 3 == 0 ? NULL : name), KADE_OK);
        CHECK_TEXT(kade_command_tag(statement), "INSERT 0 1");
        CHECK_EQ(kade_rows_affected(statement), 1);
    }
    kade_finalize(statement);
    CHECK_ROWS(it.session, "SELECT count(*), count(name), count(note), min(name), sum(id) FROM t",
               "3000|2000|0|a name, number 1|4501500");
    kit_close(&it);
}

TEST(a_prepared_insert_that_fails_leaves_nothing)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name varchar(5) NOT NULL)");
    kade_statement *statement = prepare(it.session, "INSERT INTO t VALUES ($1, $2)");
    CHECK_EQ(insert(statement, 1, "one"), KADE_OK);
    CHECK_EQ(insert(statement, 1, "again"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "23505");
    CHECK_EQ(insert(statement, 2, NULL), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "23502");
    CHECK_EQ(insert(statement, 2, "too long"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "22001");
    CHECK_EQ(insert(statement, 5000000000, "big"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "22003");
    CHECK_EQ(insert(statement, 2, "two"), KADE_OK);
    kade_finalize(statement);
    CHECK_ROWS(it.session, "SELECT id, name FROM t ORDER BY id", "1|one;2|two");
    kit_close(&it);
}

TEST(a_failing_prepared_insert_fails_its_transaction)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text)");
    kade_statement *statement = prepare(it.session, "INSERT INTO t VALUES ($1, $2)");
    kit_run(it.session, "BEGIN");
    CHECK_EQ(insert(statement, 1, "one"), KADE_OK);
    kit_run(it.session, "SAVEPOINT s");
    CHECK_EQ(insert(statement, 1, "again"), KADE_INVALID);
    CHECK_EQ(kade_session_transaction(it.session), KADE_TRANSACTION_FAILED);
    CHECK_EQ(insert(statement, 2, "two"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "25P02");
    kit_run(it.session, "ROLLBACK TO s");
    CHECK_EQ(insert(statement, 3, "three"), KADE_OK);
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(it.session, "SELECT id FROM t ORDER BY id", "1;3");
    kit_run(it.session, "BEGIN");
    CHECK_EQ(insert(statement, 4, "four"), KADE_OK);
    kit_run(it.session, "ROLLBACK");
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "2");
    kit_run(it.session, "BEGIN READ ONLY");
    CHECK_EQ(insert(statement, 4, "four"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "25006");
    kit_run(it.session, "ROLLBACK");
    kade_finalize(statement);
    kit_close(&it);
}

TEST(prepared_statements_follow_the_schema)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text)");
    kade_statement *write = prepare(it.session, "INSERT INTO t VALUES ($1, $2)");
    kade_statement *read = prepare(it.session, "SELECT name FROM t WHERE id = $1");
    CHECK_EQ(insert(write, 1, "one"), KADE_OK);
    kit_run(it.session, "ALTER TABLE t ADD COLUMN n int DEFAULT 7");
    CHECK_EQ(insert(write, 2, "two"), KADE_OK);
    kit_run(it.session, "ALTER TABLE t ADD CONSTRAINT short CHECK (length(name) < 5)");
    CHECK_EQ(insert(write, 3, "three"), KADE_INVALID);
    CHECK_TEXT(sqlstate(write), "23514");
    kit_run(it.session, "ALTER TABLE t DROP CONSTRAINT short; CREATE UNIQUE INDEX ON t (name)");
    CHECK_EQ(insert(write, 3, "two"), KADE_INVALID);
    CHECK_TEXT(sqlstate(write), "23505");
    kit_run(it.session, "DROP TABLE t");
    CHECK_EQ(insert(write, 4, "four"), KADE_INVALID);
    CHECK_TEXT(sqlstate(write), "42P01");
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text);"
                        "INSERT INTO t VALUES (9, 'nine')");
    CHECK_EQ(insert(write, 4, "four"), KADE_OK);
    bool has_row;
    CHECK_EQ(kade_bind_int64(read, 1, 9), KADE_OK);
    CHECK_EQ(kade_step(read, &has_row), KADE_OK);
    CHECK(has_row);
    kade_finalize(read);
    kade_finalize(write);
    CHECK_ROWS(it.session, "SELECT id, name FROM t ORDER BY id", "4|four;9|nine");
    kit_close(&it);
}

TEST(a_prepared_insert_through_a_view_is_checked)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, name text);"
                        "CREATE VIEW small AS SELECT * FROM t WHERE id < 10 WITH CHECK OPTION");
    kade_statement *statement = prepare(it.session, "INSERT INTO small VALUES ($1, $2)");
    CHECK_EQ(insert(statement, 1, "one"), KADE_OK);
    CHECK_EQ(insert(statement, 11, "eleven"), KADE_INVALID);
    CHECK_TEXT(sqlstate(statement), "44000");
    kade_finalize(statement);
    CHECK_ROWS(it.session, "SELECT id FROM t", "1");
    kit_close(&it);
}

TEST(settings_of_a_transaction_end_with_it)
{
    kit it = kit_memory();
    kit_run(it.session, "SET TimeZone = 'UTC'; BEGIN; SET LOCAL TimeZone = 'Europe/Berlin'");
    CHECK_ROWS(it.session, "SHOW TimeZone", "Europe/Berlin");
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(it.session, "SHOW TimeZone", "UTC");
    kit_run(it.session, "BEGIN; SET TimeZone = 'Asia/Tokyo'; SET LOCAL TimeZone = 'Europe/Berlin'");
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(it.session, "SHOW TimeZone", "Asia/Tokyo");
    kit_run(it.session, "BEGIN; SET TimeZone = 'UTC'; ROLLBACK");
    CHECK_ROWS(it.session, "SHOW TimeZone", "Asia/Tokyo");
    kit_close(&it);
}
