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

static int64_t change(kade_statement *statement, int64_t first, int64_t second)
{
    bool has_row;
    CHECK_EQ(kade_bind_int64(statement, 1, first), KADE_OK);
    if (kade_parameter_count(statement) > 1)
        CHECK_EQ(kade_bind_int64(statement, 2, second), KADE_OK);
    if (kade_step(statement, &has_row) != KADE_OK)
        return -1;
    CHECK(!has_row);
    return kade_rows_affected(statement);
}

TEST(prepared_updates_and_deletes_by_key)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, v bigint, n text UNIQUE);"
                        "INSERT INTO t SELECT g, g * 10, 'n' || g FROM generate_series(1, 2000) g");
    kade_statement *add =
        prepare(it.session, "UPDATE t SET v = v + $2, n = n || 'x' WHERE id = $1");
    kade_statement *set = prepare(it.session, "UPDATE t SET id = $2 WHERE id = $1");
    kade_statement *clear = prepare(it.session, "UPDATE t SET v = NULL WHERE id = $1");
    kade_statement *drop = prepare(it.session, "DELETE FROM t WHERE id = $1");
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(change(add, 7, 5), 1);
        CHECK_TEXT(kade_command_tag(add), "UPDATE 1");
        CHECK_EQ(change(add, 2000, -1), 1);
        if (round == 1)
            kit_run(it.session, "CHECKPOINT; VACUUM");
    }
    CHECK_ROWS(it.session, "SELECT * FROM t WHERE id IN (7, 2000) ORDER BY id",
               "7|85|n7xxx;2000|19997|n2000xxx");
    CHECK_EQ(change(add, 9999, 1), 0);
    CHECK_TEXT(kade_command_tag(add), "UPDATE 0");
    CHECK_EQ(change(set, 7, 8), -1);
    CHECK_TEXT(sqlstate(set), "23505");
    CHECK_EQ(change(set, 7, 70000), 1);
    CHECK_EQ(change(clear, 70000, 0), 1);
    CHECK_EQ(change(drop, 2000, 0), 1);
    CHECK_TEXT(kade_command_tag(drop), "DELETE 1");
    CHECK_EQ(change(drop, 2000, 0), 0);
    CHECK_ROWS(it.session, "SELECT v, n FROM t WHERE id = 70000", "~|n7xxx");
    CHECK_ROWS(it.session, "SELECT count(*), count(v), max(id) FROM t", "1999|1998|70000");
    CHECK_EQ(kade_bind_null(drop, 1), KADE_OK);
    bool has_row;
    CHECK_EQ(kade_step(drop, &has_row), KADE_OK);
    CHECK_EQ(kade_rows_affected(drop), 0);
    kade_finalize(add);
    kade_finalize(set);
    kade_finalize(clear);
    kade_finalize(drop);
    kit_close(&it);
}

TEST(a_prepared_update_meets_other_transactions)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kit_run(it.session,
            "CREATE TABLE t (id int PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, 0)");
    kade_statement *add = prepare(it.session, "UPDATE t SET v = v + $2 WHERE id = $1");
    CHECK_EQ(change(add, 1, 1), 1);
    kit_run(it.session, "BEGIN");
    CHECK_ROWS(it.session, "SELECT v FROM t", "1");
    kit_run(other, "UPDATE t SET v = 10");
    CHECK_EQ(change(add, 1, 1), -1);
    CHECK_TEXT(sqlstate(add), "40001");
    kit_run(it.session, "ROLLBACK; BEGIN ISOLATION LEVEL READ COMMITTED");
    CHECK_ROWS(it.session, "SELECT v FROM t", "10");
    kit_run(other, "UPDATE t SET v = 20");
    CHECK_EQ(change(add, 1, 1), 1);
    CHECK_EQ(change(add, 1, 1), 1);
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(other, "SELECT v FROM t", "22");
    kade_finalize(add);
    kade_disconnect(other);
    kit_close(&it);
}

/* now() and texts that settings read are not kept from run to run. */
TEST(a_prepared_update_computes_anew)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, s text);"
                        "INSERT INTO t VALUES (1, NULL, ''), (2, NULL, '')");
    kade_statement *touch = prepare(it.session, "UPDATE t SET at = now() WHERE id = $1");
    kade_statement *note =
        prepare(it.session, "UPDATE t SET s = (timestamptz '2020-01-01 00:00+00')::text || $2::int "
                            "WHERE id = $1");
    CHECK_EQ(change(touch, 1, 0), 1);
    CHECK_EQ(change(touch, 2, 0), 1);
    CHECK_ROWS(it.session, "SELECT count(DISTINCT at) FROM t", "2");
    kit_run(it.session, "SET TimeZone = 'UTC'");
    CHECK_EQ(change(note, 1, 1), 1);
    kit_run(it.session, "SET TimeZone = 'Europe/Berlin'");
    CHECK_EQ(change(note, 2, 2), 1);
    CHECK_ROWS(it.session, "SELECT s FROM t ORDER BY id",
               "2020-01-01 00:00:00+001;2020-01-01 01:00:00+012");
    kade_finalize(touch);
    kade_finalize(note);
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
