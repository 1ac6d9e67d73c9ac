/*
 * Plans that are left for better ones while they run: the answers are the same, what was counted is
 * remembered for as long as it holds, and what may not run twice does not.
 *
 * Half of f's rows have one key of a thousand, which no count of distinct keys tells: a plan that
 * expects 120 of them joins all of g to them before e leaves nearly nothing.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <string.h>

static const char *const QUERY = "SELECT count(*) FROM f, d, g, e WHERE f.k = d.k AND "
                                 "d.name = 'n7' AND f.j = g.j AND g.v = e.v";

static kit skewed(void)
{
    kit it = kit_memory();
    kit_run(it.session,
            "CREATE TABLE d (k int PRIMARY KEY, name text);"
            "INSERT INTO d SELECT i, 'n' || i FROM generate_series(1, 1000) i;"
            "CREATE TABLE f (k int, j int);"
            "INSERT INTO f SELECT CASE WHEN i % 2 = 0 THEN 7 ELSE i % 1000 + 1 END, i % 20000 "
            "FROM generate_series(1, 120000) i;"
            "CREATE TABLE g (j int, v int);"
            "INSERT INTO g SELECT i % 20000, i FROM generate_series(1, 200000) i;"
            "CREATE TABLE e (v int, w int);"
            "INSERT INTO e SELECT i * 400, i % 1000 FROM generate_series(1, 50000) i;"
            "ANALYZE");
    return it;
}

static int replans(kade_session *session, const char *text)
{
    char sql[512];
    int count = -1;
    (void)snprintf(sql, sizeof sql,
                   "SELECT replans FROM kade_plan_cache WHERE statement = $q$%s$q$", text);
    return sscanf(kit_rows(session, sql), "%d", &count) == 1 ? count : -1;
}

TEST(a_plan_is_left_for_a_better_one)
{
    kit it = skewed();
    const char *text = kit_rows(it.session, "EXPLAIN SELECT count(*) FROM f, d, g, e WHERE "
                                            "f.k = d.k AND d.name = 'n7' AND f.j = g.j AND "
                                            "g.v = e.v");
    CHECK(strstr(text, "Planned Anew") == NULL);
    CHECK_ROWS(it.session, QUERY, "3000");
    CHECK_EQ(replans(it.session, QUERY), 1);
    CHECK_ROWS(it.session, QUERY, "3000"); /* Begins with the better plan. */
    CHECK_EQ(replans(it.session, QUERY), 1);
    kit_run(it.session, "ANALYZE f"); /* What was counted is forgotten. */
    CHECK_ROWS(it.session, QUERY, "3000");
    CHECK_EQ(replans(it.session, QUERY), 2);
    kit_run(it.session, "DELETE FROM f WHERE k = 7");
    CHECK_ROWS(it.session, QUERY, "0");
    kit_close(&it);
}

TEST(analyze_tells_of_it)
{
    kit it = skewed();
    char sql[512];
    (void)snprintf(sql, sizeof sql, "EXPLAIN ANALYZE %s", QUERY);
    const char *text = kit_rows(it.session, sql);
    CHECK(strstr(text, "Planned Anew: 1, for 60000 rows in a join's build side") != NULL);
    CHECK(strstr(text, "rows=3000") != NULL); /* The figures are those of the plan shown. */
    (void)snprintf(sql, sizeof sql, "EXPLAIN (ANALYZE, FORMAT JSON) %s", QUERY);
    CHECK(strstr(kit_rows(it.session, sql), "\"Replans\": 1") != NULL);
    kit_close(&it);
}

TEST(values_of_parameters_are_not_remembered)
{
    kit it = skewed();
    kit_run(it.session, "PREPARE p (text) AS SELECT count(*) FROM f, d, g, e WHERE f.k = d.k AND "
                        "d.name = $1 AND f.j = g.j AND g.v = e.v");
    for (int i = 0; i < 8; i++) {
        CHECK_ROWS(it.session, "EXECUTE p ('n7')", "3000");
        CHECK_ROWS(it.session, "EXECUTE p ('n8')", "0");
    }
    kit_close(&it);
}

TEST(what_may_not_run_twice_does_not)
{
    kit it = skewed();
    kit_run(it.session, "CREATE SEQUENCE s");
    CHECK_ROWS(it.session,
               "SELECT count(n) FROM (SELECT nextval('s') AS n, j FROM f, d WHERE f.k = d.k AND "
               "d.name = 'n7') x, g, e WHERE x.j = g.j AND g.v = e.v",
               "3000");
    CHECK_ROWS(it.session, "SELECT nextval('s')", "60001");
    kit_close(&it);
}
