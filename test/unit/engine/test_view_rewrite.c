/*
 * Aggregates read from materialized views: only while the view is exactly current, and with the
 * answer that the tables give.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static kit open_views(void)
{
    kit it = kit_memory();
    kit_run(it.session,
            "SET enable_materialized_view_rewrite = on;"
            "CREATE TABLE f (k int, d int, x int, y numeric, t text);"
            "CREATE TABLE dim (d int PRIMARY KEY, name text);"
            "INSERT INTO dim VALUES (0, 'zero'), (1, 'one'), (2, 'two');"
            "INSERT INTO f SELECT i % 10, i % 3, i, i / 7.0, 't' || i % 4 "
            "FROM generate_series(1, 1000) i; INSERT INTO f VALUES (NULL, 1, NULL, NULL, NULL);"
            "CREATE MATERIALIZED VIEW m AS SELECT name, k, count(*) AS n, sum(x) AS sx, "
            "avg(y) AS ay, count(DISTINCT t) FILTER (WHERE x > 9) AS c FROM f JOIN dim "
            "ON f.d = dim.d WHERE x > 5 OR x IS NULL GROUP BY k, name;"
            "CREATE MATERIALIZED VIEW total AS SELECT count(*), max(x), min(y) FROM f");
    return it;
}

/* Whether the plan reads the view, and no table that it is made of. */
static bool reads_view(kade_session *session, const char *sql, const char *view)
{
    char text[1024], scan[64];
    (void)snprintf(text, sizeof text, "EXPLAIN %s", sql);
    (void)snprintf(scan, sizeof scan, "Scan on %s ", view);
    const char *plan = kit_rows(session, text);
    return strstr(plan, scan) != NULL && strstr(plan, "Scan on f ") == NULL;
}

/* The rows are those that the tables give. */
static void check_same(kade_session *session, const char *sql)
{
    char rows[8192];
    kit_run(session, "SET enable_materialized_view_rewrite = off");
    (void)snprintf(rows, sizeof rows, "%s", kit_rows(session, sql));
    kit_run(session, "SET enable_materialized_view_rewrite = on");
    CHECK_ROWS(session, sql, rows);
}

#define ROWS " FROM f JOIN dim ON f.d = dim.d WHERE (x > 5 OR x IS NULL)"
static const char *const answered[] = {
    "SELECT k, name, sum(x), count(*)" ROWS " GROUP BY name, k ORDER BY 1, 2",
    "SELECT k, avg(y) * 2" ROWS " GROUP BY k, name ORDER BY 1, 2",
    "SELECT name, k, count(DISTINCT t) FILTER (WHERE x > 9)" ROWS " GROUP BY k, name ORDER BY 1, 2",
    "SELECT k, sum(x)" ROWS " AND k = 3 GROUP BY name, k HAVING sum(x) > 10 ORDER BY 2",
    "SELECT k, sum(x)" ROWS " AND k IS NULL AND name <> 'two' GROUP BY name, k ORDER BY 2",
    "SELECT sum(s) FROM (SELECT sum(x) AS s" ROWS " GROUP BY name, k) q",
    "WITH q AS (SELECT k, sum(x) AS s" ROWS " GROUP BY name, k) SELECT sum(s), max(k) FROM q",
    "SELECT k FROM (SELECT k, name, count(*) AS n" ROWS
    " GROUP BY k, name) q JOIN dim ON dim.name = q.name WHERE n > 30 ORDER BY 1",
};

static const char *const not_answered[] = {
    "SELECT k, sum(x)" ROWS " GROUP BY k ORDER BY 1",
    "SELECT k, sum(x)" ROWS " AND t = 't1' GROUP BY k, name ORDER BY 1, 2",
    "SELECT k, sum(x)" ROWS " AND x > 6 GROUP BY k, name ORDER BY 1, 2",
    "SELECT k, sum(y)" ROWS " GROUP BY k, name ORDER BY 1, 2",
    "SELECT k, count(DISTINCT t)" ROWS " GROUP BY k, name ORDER BY 1, 2",
    "SELECT k, name, sum(x)" ROWS " GROUP BY ROLLUP (k, name) ORDER BY 1, 2, 3",
    "SELECT k, sum(x) FROM f JOIN dim ON f.d = dim.d WHERE x > 5 GROUP BY k, name ORDER BY 1, 2",
    ("SELECT k, sum(x) FROM f LEFT JOIN dim ON f.d = dim.d WHERE x > 5 OR x IS NULL "
     "GROUP BY k, name ORDER BY 1, 2"),
};

TEST(a_current_view_answers)
{
    kit it = open_views();
    for (size_t i = 0; i < sizeof answered / sizeof *answered; i++) {
        test_note("%s", answered[i]);
        CHECK(reads_view(it.session, answered[i], "m"));
        check_same(it.session, answered[i]);
    }
    for (size_t i = 0; i < sizeof not_answered / sizeof *not_answered; i++) {
        test_note("%s", not_answered[i]);
        CHECK(!reads_view(it.session, not_answered[i], "m"));
        check_same(it.session, not_answered[i]);
    }
    CHECK(reads_view(it.session, "SELECT min(y), count(*) FROM f", "total"));
    check_same(it.session, "SELECT min(y), count(*) FROM f");
    kit_run(it.session, "PREPARE q(int) AS SELECT sum(x)" ROWS " AND k = $1 GROUP BY k, name");
    check_same(it.session, "EXECUTE q(4)");
    kit_run(it.session, "RESET enable_materialized_view_rewrite");
    CHECK(!reads_view(it.session, answered[0], "m")); /* Off by default. */
    kit_close(&it);
}

/* Each change makes the view one of another time, until it is refreshed. */
TEST(a_view_that_is_not_current_does_not_answer)
{
    static const char *const changes[] = {
        "INSERT INTO f VALUES (3, 1, 100000, 1)",
        "UPDATE f SET x = x + 1 WHERE x = 100000",
        "DELETE FROM f WHERE x = 100001",
        "UPDATE dim SET name = 'none' WHERE d = 0",
        "TRUNCATE f",
        "INSERT INTO f SELECT i % 10, i % 3, i, i / 7.0, 't' FROM generate_series(1, 100) i",
    };
    const char *sql = "SELECT count(*), max(d) FROM f";
    kit it = open_views();
    kade_session *s = it.session;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        test_note("%s", changes[i]);
        CHECK(reads_view(s, answered[0], "m"));
        kit_run(s, changes[i]);
        CHECK(!reads_view(s, answered[0], "m"));
        check_same(s, answered[0]);
        kit_run(s, "REFRESH MATERIALIZED VIEW m");
        CHECK(reads_view(s, answered[0], "m"));
        check_same(s, answered[0]);
    }
    kit_run(s, "CREATE MATERIALIZED VIEW n AS SELECT count(*), max(d) FROM f");
    CHECK(reads_view(s, sql, "n"));
    kit_run(s, "BEGIN; INSERT INTO f VALUES (1, 77)");
    CHECK(!reads_view(s, sql, "n")); /* What the transaction has written, it sees. */
    CHECK_ROWS(s, sql, "101|77");
    kit_run(s, "ROLLBACK");
    CHECK(reads_view(s, sql, "n"));
    kit_run(s, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    CHECK(!reads_view(s, sql, "n"));
    kit_run(s, "COMMIT; BEGIN; INSERT INTO f VALUES (1, 78); REFRESH MATERIALIZED VIEW n; COMMIT");
    check_same(s, sql);
    kit_run(s, "BEGIN; REFRESH MATERIALIZED VIEW n; INSERT INTO f VALUES (1, 79); COMMIT");
    CHECK(!reads_view(s, sql, "n"));
    CHECK_ROWS(s, sql, "102|79");
    kit_run(s, "REFRESH MATERIALIZED VIEW n; REFRESH MATERIALIZED VIEW n WITH NO DATA");
    CHECK(!reads_view(s, sql, "n"));
    kit_run(s, "REFRESH MATERIALIZED VIEW n");
    CHECK(reads_view(s, sql, "n"));
    kit_run(s, "DROP MATERIALIZED VIEW n");
    CHECK_ROWS(s, sql, "102|79");
    kit_close(&it);
}

TEST(a_view_answers_to_what_its_query_meant)
{
    kit it = kit_memory();
    kade_session *s = it.session;
    const char *by_function = "SELECT sum(twice(a)) FROM t", *by_date = "SELECT count(*) FROM t "
                                                                        "WHERE d > '02/03/2024'";
    kit_run(s, "SET enable_materialized_view_rewrite = on;"
               "CREATE TABLE t (a int, b int, d date); INSERT INTO t VALUES (1, 2, '2024-02-20');"
               "CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';"
               "CREATE MATERIALIZED VIEW m AS SELECT sum(twice(a)) FROM t;"
               "CREATE MATERIALIZED VIEW n AS SELECT count(*) FROM t WHERE d > '02/03/2024';"
               "CREATE MATERIALIZED VIEW o AS SELECT sum(b) FROM t");
    CHECK_ROWS(s, by_function, "2");
    CHECK_ROWS(s, by_date, "1");
    kit_run(s, "CREATE OR REPLACE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql "
               "AS 'SELECT $1 * 20'; SET datestyle = 'ISO, DMY'");
    CHECK_ROWS(s, by_function, "20");
    CHECK_ROWS(s, by_date, "0");
    CHECK_ROWS(s, "SELECT sum(b) FROM t", "2");
    kit_run(s, "ALTER TABLE t RENAME COLUMN a TO c; ALTER TABLE t RENAME COLUMN b TO a;"
               "ALTER TABLE t RENAME COLUMN c TO b");
    CHECK_ROWS(s, "SELECT sum(b) FROM t", "1");
    CHECK_ROWS(s, "SELECT sum(a) FROM t", "2");
    kit_close(&it);
}

/* --- Beside writers --------------------------------------------------------------------------- */

enum { WRITERS = 2, READS = 300 };

typedef struct writer {
    kade_session *session;
    kd_thread *thread;
    uint32_t state;
    atomic_bool *stops;
} writer;

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static void write_on(void *object)
{
    static const char *const texts[] = {
        "INSERT INTO f VALUES (1, 1, 50, 2.5, 'x')",
        "UPDATE f SET x = x + 1 WHERE k = 4",
        "DELETE FROM f WHERE x = 60",
        "BEGIN; DELETE FROM f WHERE k = 2; ROLLBACK",
        "UPDATE dim SET name = 'new' WHERE d = 2",
        "REFRESH MATERIALIZED VIEW m",
        "REFRESH MATERIALIZED VIEW m",
        "REFRESH MATERIALIZED VIEW total",
        "BEGIN; REFRESH MATERIALIZED VIEW total; ROLLBACK",
    };
    writer *self = object;
    while (!atomic_load(self->stops)) {
        const char *sql = texts[draw(&self->state, sizeof texts / sizeof *texts)];
        if (kade_execute(self->session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
            (void)kade_execute(self->session, "ROLLBACK", KADE_NUL, NULL, NULL);
    }
}

TEST(views_answer_exactly_beside_writers)
{
    static const char *const isolations[] = {"REPEATABLE READ", "SERIALIZABLE"};
    kit it = open_views();
    kade_session *s = it.session;
    kd_ctx ctx = test_ctx();
    atomic_bool stops = false;
    writer writers[WRITERS];
    uint32_t state = 3;
    kit_run(s, "ALTER SYSTEM SET result_cache_bytes = '4MB'");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (writer){.session = kit_connect(&it), .state = (uint32_t)i + 1, .stops = &stops};
        CHECK_STATUS(&ctx,
                     kd_thread_start(&ctx, "writer", write_on, &writers[i], &writers[i].thread));
    }
    for (int i = 0; i < READS; i++) {
        char rows[8192], begin[80];
        const char *sql = draw(&state, 3) == 0
                              ? "SELECT count(*), max(x), min(y) FROM f"
                              : answered[draw(&state, sizeof answered / sizeof *answered)];
        test_note("%s", sql);
        (void)snprintf(begin, sizeof begin, "BEGIN ISOLATION LEVEL %s READ ONLY",
                       isolations[draw(&state, 2)]);
        kit_run(s, begin);
        (void)snprintf(rows, sizeof rows, "%s", kit_rows(s, sql));
        kit_run(s, "SET LOCAL enable_materialized_view_rewrite = off;"
                   "SET LOCAL result_cache = off");
        CHECK_ROWS(s, sql, rows);
        kit_run(s, "COMMIT");
    }
    atomic_store(&stops, true);
    for (int i = 0; i < WRITERS; i++) {
        kd_thread_join(ctx.world, writers[i].thread);
        kade_disconnect(writers[i].session);
    }
    kit_close(&it);
}
