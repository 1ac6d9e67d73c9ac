/*
 * Plans that are kept: the same answers as without, whatever happens between two runs, and plans
 * for values where those matter. Every case runs a text twice before something changes, so that
 * the plan of the first run is the one that must not be used again.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* How often the text was taken out of what is kept. */
static int uses(kade_session *session, const char *text)
{
    char sql[512];
    int count = -1;
    (void)snprintf(sql, sizeof sql, "SELECT uses FROM kade_plan_cache WHERE statement = $q$%s$q$",
                   text);
    return sscanf(kit_rows(session, sql), "%d", &count) == 1 ? count : -1;
}

/* The text's answer before a change and after it, each asked for twice. */
static void changes(kade_session *session, const char *text, const char *before, const char *change,
                    const char *after)
{
    test_note("%s", change);
    for (int i = 0; i < 2; i++)
        CHECK_ROWS(session, text, before);
    CHECK(uses(session, text) >= 1);
    kit_run(session, change);
    for (int i = 0; i < 2; i++)
        CHECK_ROWS(session, text, after);
}

static void fails_after(kade_session *session, const char *text, const char *before,
                        const char *change, const char *sqlstate)
{
    test_note("%s", change);
    for (int i = 0; i < 2; i++)
        CHECK_ROWS(session, text, before);
    kit_run(session, change);
    for (int i = 0; i < 2; i++)
        kit_fails(session, text, sqlstate);
}

TEST(a_text_that_comes_again_has_its_plan_still)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
    for (int i = 0; i < 5; i++)
        CHECK_ROWS(it.session, "SELECT sum(a) FROM t WHERE a > 0", "3");
    CHECK_EQ(uses(it.session, "SELECT sum(a) FROM t WHERE a > 0"), 4);
    kit_run(it.session, "DISCARD PLANS");
    CHECK_EQ(uses(it.session, "SELECT sum(a) FROM t WHERE a > 0"), -1);
    kit_run(it.session, "SET plan_cache_bytes = 0; SELECT 1");
    CHECK_ROWS(it.session, "SELECT count(*) FROM kade_plan_cache", "0");
    kit_run(it.session, "SELECT sum(a) FROM t WHERE a > 0");
    CHECK_EQ(uses(it.session, "SELECT sum(a) FROM t WHERE a > 0"), -1);
    kit_close(&it);
}

TEST(the_room_for_plans_is_kept_to)
{
    kit it = kit_memory();
    kit_run(it.session, "SET plan_cache_bytes = '200kB'");
    for (int i = 0; i < 300; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "SELECT %d + 1", i);
        kit_run(it.session, text);
    }
    CHECK_ROWS(it.session, "SELECT sum(bytes) <= 200 * 1024 AND count(*) > 5 FROM kade_plan_cache",
               "t");
    CHECK_EQ(uses(it.session, "SELECT 299 + 1"), 0); /* The last used stay. */
    CHECK_EQ(uses(it.session, "SELECT 0 + 1"), -1);
    kit_close(&it);
}

TEST(kept_plans_follow_the_schema)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 10), (2, 20)");
    changes(s, "SELECT * FROM t WHERE a = 2", "2|20", "ALTER TABLE t ADD COLUMN c text DEFAULT 'c'",
            "2|20|c");
    changes(s, "SELECT * FROM t WHERE a = 2", "2|20|c", "ALTER TABLE t DROP COLUMN b", "2|c");
    changes(s, "SELECT a / 4 FROM t WHERE a = 2", "0",
            "ALTER TABLE t ALTER COLUMN a TYPE numeric(9, 1)", "0.50000000000000000000");
    changes(s, "SELECT count(*) FROM t WHERE a = 2", "1", "CREATE INDEX t_a ON t (a)", "1");
    changes(s, "SELECT count(*) FROM t WHERE a = 2", "1", "DROP INDEX t_a", "1");
    changes(s, "SELECT count(*) FROM t WHERE a > 0", "2", "TRUNCATE t", "0");
    fails_after(s, "SELECT count(*) FROM t", "0", "DROP TABLE t", "42P01");
    kit_run(s, "CREATE TABLE t (z text); INSERT INTO t VALUES ('z')");
    CHECK_ROWS(s, "SELECT count(*) FROM t", "1");

    kit_run(s, "CREATE VIEW v AS SELECT 1 AS x");
    changes(s, "SELECT x FROM v", "1", "CREATE OR REPLACE VIEW v AS SELECT 2 AS x", "2");
    kit_run(s, "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'");
    changes(s, "SELECT f(1)", "2",
            "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 10'", "11");
    changes(s, "SELECT f(1::int2)", "11",
            "CREATE FUNCTION f(int2) RETURNS int LANGUAGE sql AS 'SELECT 100'", "100");
    kit_run(s, "CREATE TYPE mood AS ENUM ('low', 'high')");
    changes(s, "SELECT 'high'::mood > 'low'::mood, enum_range(NULL::mood)", "t|{low,high}",
            "ALTER TYPE mood ADD VALUE 'mid' BEFORE 'high'", "t|{low,mid,high}");
    kit_close(&it);
}

TEST(a_statement_whose_plan_fails_is_asked_again)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    static char prepare[40000]; /* A plan that takes more than its arena's first chunk. */
    int length = snprintf(prepare, sizeof prepare,
                          "PREPARE p (int, text) AS SELECT a, b FROM t WHERE a NOT IN (0");
    for (int i = 2; i < 5000; i++)
        length += snprintf(prepare + length, sizeof prepare - (size_t)length, ", %d", i);
    (void)snprintf(prepare + length, sizeof prepare - (size_t)length, ") AND a = $1 AND b = $2");
    kit_run(s, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')");
    kit_run(s, prepare);
    CHECK_ROWS(s, "EXECUTE p (1, 'x')", "1|x");
    kit_run(s, "DROP TABLE t");
    for (int i = 0; i < 3; i++)
        kit_fails(s, "EXECUTE p (1, 'x')", "42P01");
    CHECK_ROWS(s, "SELECT parameter_types FROM pg_prepared_statements", "{integer,text}");
    kit_run(s, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'y')");
    CHECK_ROWS(s, "EXECUTE p (1, 'y')", "1|y");
    kit_close(&it);
}

TEST(kept_plans_follow_what_names_mean)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    kit_run(s, "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t (a int);"
               "CREATE TABLE two.t (a int); INSERT INTO one.t VALUES (1);"
               "INSERT INTO two.t VALUES (2); SET search_path = one");
    changes(s, "SELECT a FROM t", "1", "SET search_path = two", "2");
    changes(s, "SELECT a FROM t", "2", "CREATE TEMPORARY TABLE t (a int); INSERT INTO t VALUES (3)",
            "3");
    changes(s, "SELECT a FROM t", "3", "DROP TABLE t", "2");
    kit_run(s, "BEGIN; SET LOCAL search_path = one");
    CHECK_ROWS(s, "SELECT a FROM t", "1");
    kit_run(s, "ROLLBACK");
    CHECK_ROWS(s, "SELECT a FROM t", "2");
    kit_run(s, "BEGIN; ALTER TABLE two.t ADD COLUMN b int DEFAULT 5");
    CHECK_ROWS(s, "SELECT * FROM t", "2|5");
    kit_run(s, "ROLLBACK");
    CHECK_ROWS(s, "SELECT * FROM t", "2");
    kit_close(&it);
}

TEST(kept_plans_follow_the_settings_that_constants_are_read_by)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    changes(s, "SELECT '2024-01-15 12:00+00'::timestamptz", "2024-01-15 12:00:00+00",
            "SET timezone = 'Asia/Tokyo'", "2024-01-15 21:00:00+09");
    changes(s, "SELECT '2024-01-15 12:00'::timestamptz AT TIME ZONE 'UTC'", "2024-01-15 03:00:00",
            "SET timezone = 'UTC'", "2024-01-15 12:00:00");
    changes(s, "SELECT extract(month FROM '03/04/2024'::date)", "3", "SET datestyle = 'ISO, DMY'",
            "4");
    changes(s, "SELECT '-1 02:03'::interval + interval '0'", "-1 days +02:03:00",
            "SET intervalstyle = 'sql_standard'", "-1 2:03:00");
    changes(s, "SELECT '\\x41'::bytea::text", "\\x41", "SET bytea_output = 'escape'", "A");
    kit_close(&it);
}

/* Constants that are this moment's are not kept under their text. */
TEST(a_constant_of_now_is_read_anew)
{
    kit it = kit_memory();
    const char *text = "SELECT 'now'::timestamptz";
    kit_run(it.session, text);
    CHECK_EQ(uses(it.session, text), -1);
    kit_run(it.session, "SELECT 'today'::date");
    CHECK_EQ(uses(it.session, "SELECT 'today'::date"), -1);
    kit_run(it.session, "SELECT now()");
    CHECK_EQ(uses(it.session, "SELECT now()"), 0);
    kit_close(&it);
}

static const char *plan_kind(kade_session *session, const char *name)
{
    static char found[64];
    char sql[160];
    (void)snprintf(sql, sizeof sql,
                   "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
                   "WHERE name = '%s'",
                   name);
    (void)snprintf(found, sizeof found, "%s", kit_rows(session, sql));
    return found;
}

static void repeat(kade_session *session, const char *sql, int times)
{
    for (int i = 0; i < times; i++)
        kit_run(session, sql);
}

TEST(values_have_plans_of_their_own_where_they_matter)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int PRIMARY KEY, b int);"
               "INSERT INTO t SELECT i, i FROM generate_series(1, 20000) i;"
               "CREATE INDEX t_b ON t (b); ANALYZE t");
    kit_run(s, "PREPARE same(int) AS SELECT count(*) FROM t WHERE b = $1");
    repeat(s, "EXECUTE same(5)", 8);
    CHECK_TEXT(plan_kind(s, "same"), "3|5");
    kit_run(s, "PREPARE other(int) AS SELECT count(*) FROM t WHERE $1 IS NULL OR b = $1");
    CHECK_ROWS(s, "EXECUTE other(NULL)", "20000");
    CHECK_ROWS(s, "EXECUTE other(7)", "1");
    repeat(s, "EXECUTE other(5)", 6);
    CHECK_TEXT(plan_kind(s, "other"), "0|8");
    kit_run(s, "PREPARE none AS SELECT count(*) FROM t");
    repeat(s, "EXECUTE none", 3);
    CHECK_TEXT(plan_kind(s, "none"), "3|0");
    kit_run(s, "PREPARE point AS SELECT b FROM t WHERE a = $1");
    for (int i = 0; i < 7; i++)
        CHECK_ROWS(s, "EXECUTE point(9)", "9");
    CHECK_TEXT(plan_kind(s, "point"), "7|0");

    kit_run(s, "SET plan_cache_mode = force_custom_plan");
    for (int i = 0; i < 2; i++)
        CHECK_ROWS(s, "EXECUTE point(9)", "9");
    CHECK_TEXT(plan_kind(s, "point"), "7|2");
    kit_run(s, "SET plan_cache_mode = force_generic_plan");
    repeat(s, "EXECUTE other(5)", 2);
    CHECK_TEXT(plan_kind(s, "other"), "2|8");
    kit_close(&it);
}

/* Writes with plans for values: the values are those of the run, and so are RETURNING's and ON
 * CONFLICT's. */
TEST(writes_with_plans_for_values)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    kit_run(s, "SET plan_cache_mode = force_custom_plan;"
               "CREATE TABLE t (a int PRIMARY KEY, b text);"
               "PREPARE add(int, text) AS INSERT INTO t VALUES ($1, $2), ($1 + 1, $2) "
               "ON CONFLICT (a) DO UPDATE SET b = t.b || excluded.b || $2 RETURNING a, b, $1");
    CHECK_ROWS(s, "EXECUTE add(1, 'x')", "1|x|1;2|x|1");
    CHECK_ROWS(s, "EXECUTE add(2, 'y')", "2|xyy|2;3|y|2");
    kit_run(s, "PREPARE change(int) AS UPDATE t SET b = b || $1 WHERE a >= $1 RETURNING a, b");
    CHECK_ROWS(s, "EXECUTE change(3)", "3|y3");
    kit_run(s, "PREPARE gone(int[]) AS WITH d AS (DELETE FROM t WHERE a = ANY ($1) RETURNING a) "
               "SELECT sum(a), $1 FROM d");
    CHECK_ROWS(s, "EXECUTE gone(ARRAY[1, 3])", "4|{1,3}");
    CHECK_ROWS(s, "SELECT * FROM t", "2|xyy");
    CHECK_TEXT(plan_kind(s, "add"), "0|2");
    kit_close(&it);
}

TEST(plans_are_made_anew_when_statistics_change)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int, b int); CREATE INDEX t_b ON t (b);"
               "PREPARE q(int) AS SELECT count(*) FROM t WHERE b < $1");
    repeat(s, "EXECUTE q(5)", 7);
    CHECK_TEXT(plan_kind(s, "q"), "2|5");
    kit_run(s, "INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i");
    CHECK_ROWS(s, "EXECUTE q(5)", "4");
    CHECK_TEXT(plan_kind(s, "q"), "2|6"); /* The values are looked at again. */
    repeat(s, "EXECUTE q(5)", 5);
    CHECK_TEXT(plan_kind(s, "q"), "3|10");
    kit_run(s, "ANALYZE t");
    repeat(s, "EXECUTE q(5)", 1);
    CHECK_TEXT(plan_kind(s, "q"), "3|11");
    kit_close(&it);
}

/* --- Beside another session that changes the schema ------------------------------------------- */

enum { ROUNDS = 60 };

typedef struct definer {
    kade_session *session;
    atomic_bool *stops;
} definer;

static void define(void *object)
{
    definer *self = object;
    for (int i = 0; i < ROUNDS; i++) {
        kit_run(self->session, "ALTER TABLE t ADD COLUMN c int DEFAULT 1");
        kit_run(self->session, "CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE b = 20");
        if (i == ROUNDS / 2)
            kit_run(self->session, "CREATE INDEX t_b ON t (b)");
        kit_run(self->session, "ANALYZE t");
        kit_run(self->session, "CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE b = 40");
        kit_run(self->session, "ALTER TABLE t DROP COLUMN c");
    }
    atomic_store(self->stops, true);
}

/* Every answer is one of a moment: with the column or without. */
TEST(kept_plans_beside_a_session_that_changes_the_schema)
{
    kit it = kit_memory();
    atomic_bool stops = false;
    kit_run(it.session, "CREATE TABLE t (a int PRIMARY KEY, b int);"
                        "INSERT INTO t SELECT i, i * 2 FROM generate_series(1, 100) i;"
                        "CREATE VIEW v AS SELECT a, b FROM t WHERE b = 20;"
                        "PREPARE q(int) AS SELECT a FROM t WHERE b = $1");
    definer other = {.session = kit_connect(&it), .stops = &stops};
    kd_thread *thread;
    kd_ctx ctx = {.world = kd_world_posix()};
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "definer", define, &other, &thread));
    while (!atomic_load(&stops)) {
        const char *row = kit_rows(it.session, "SELECT * FROM t WHERE a = 7");
        CHECK(strcmp(row, "7|14") == 0 || strcmp(row, "7|14|1") == 0);
        CHECK_ROWS(it.session, "SELECT count(*), sum(b) FROM t WHERE b > 0", "100|10100");
        CHECK_ROWS(it.session, "EXECUTE q(20)", "10");
        row = kit_rows(it.session, "SELECT a FROM v");
        CHECK(strcmp(row, "10") == 0 || strcmp(row, "20") == 0);
    }
    kd_thread_join(ctx.world, thread);
    kade_disconnect(other.session);
    kit_close(&it);
}
