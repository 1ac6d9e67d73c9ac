/*
 * Queries through parser, binder, planner and executor, with answers known from PostgreSQL.
 */
#include "query_kit.h"

static query_kit *open_with_tables(void)
{
    query_kit *k = query_kit_open();
    query_kit_run(k, "CREATE TABLE t (id int PRIMARY KEY, a int, b text, n numeric(10,2))");
    query_kit_run(k, "CREATE TABLE u (id int PRIMARY KEY, t_id int, c text)");
    query_kit_run(k, "INSERT INTO t VALUES (1, 10, 'x', 1.50), (2, 20, 'y', 2.25), "
                     "(3, NULL, 'x', 3), (4, 20, NULL, NULL)");
    query_kit_run(k, "INSERT INTO u VALUES (1, 1, 'one'), (2, 1, 'uno'), (3, 3, 'drei'), "
                     "(4, NULL, 'none')");
    return k;
}

TEST(select_filters_orders_and_limits)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT 1 + 1", "2\n");
    ROWS(k, "SELECT id, a FROM t WHERE a = 20 ORDER BY id DESC", "4|20\n2|20\n");
    ROWS(k, "SELECT * FROM t WHERE id = 2", "2|20|y|2.25\n");
    ROWS(k, "SELECT b, id FROM t ORDER BY b, id", "x|1\nx|3\ny|2\n~|4\n");
    ROWS(k, "SELECT id FROM t ORDER BY a DESC NULLS LAST, id LIMIT 2 OFFSET 1", "4\n1\n");
    ROWS(k, "SELECT id * 2 AS d FROM t ORDER BY d DESC LIMIT 1", "8\n");
    ROWS(k, "SELECT DISTINCT a FROM t ORDER BY 1", "10\n20\n~\n");
    ROWS(k, "SELECT DISTINCT ON (b) b, id FROM t ORDER BY b, id DESC", "x|3\ny|2\n~|4\n");
    ROWS(k, "SELECT t.id FROM t WHERE n > 1.75 AND n < 10 ORDER BY 1", "2\n3\n");
    ROWS(k, "SELECT id FROM t WHERE a IN (10, 30) OR b IS NULL ORDER BY id", "1\n4\n");
    ROWS(k, "SELECT id FROM t WHERE a BETWEEN 5 AND 15", "1\n");
    ROWS(k, "SELECT id FROM t WHERE (a, b) = (20, 'y')", "2\n");
    ROWS(k, "SELECT CASE WHEN a > 15 THEN 'big' ELSE 'small' END FROM t ORDER BY id",
         "small\nbig\nsmall\nbig\n");
    ROWS(k, "SELECT COALESCE(a, 0), NULLIF(b, 'x') FROM t ORDER BY id", "10|~\n20|y\n0|~\n20|~\n");
    query_kit_close(k);
}

TEST(joins_give_what_they_should)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT t.id, u.c FROM t JOIN u ON t.id = u.t_id ORDER BY u.id",
         "1|one\n1|uno\n3|drei\n");
    ROWS(k, "SELECT t.id, u.c FROM t LEFT JOIN u ON t.id = u.t_id ORDER BY t.id, u.id",
         "1|one\n1|uno\n2|~\n3|drei\n4|~\n");
    ROWS(k, "SELECT t.id, u.c FROM t RIGHT JOIN u ON t.id = u.t_id ORDER BY u.id",
         "1|one\n1|uno\n3|drei\n~|none\n");
    ROWS(k, "SELECT t.id, u.id FROM t FULL JOIN u ON t.id = u.t_id ORDER BY 1, 2",
         "1|1\n1|2\n2|~\n3|3\n4|~\n~|4\n");
    ROWS(k, "SELECT id, a, c FROM t JOIN u USING (id) ORDER BY id",
         "1|10|one\n2|20|uno\n3|~|drei\n4|20|none\n");
    ROWS(k, "SELECT count(*) FROM t, u", "16\n");
    ROWS(k, "SELECT count(*) FROM t, u WHERE t.id < u.id", "6\n");
    ROWS(k, "SELECT t.id, u.c FROM t LEFT JOIN u ON t.id = u.t_id WHERE u.c = 'uno'", "1|uno\n");
    ROWS(k, "SELECT x.id, y.id FROM t x, t y, u WHERE x.a = y.a AND y.id = u.t_id AND u.id = 1",
         "1|1\n");
    ROWS(k,
         "SELECT t.id, s.m FROM t, LATERAL (SELECT max(c) AS m FROM u WHERE u.t_id = t.id) s "
         "ORDER BY 1",
         "1|uno\n2|~\n3|drei\n4|~\n");
    query_kit_close(k);
}

TEST(groups_are_formed)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT count(*), count(a), sum(a), min(b), max(id) FROM t", "4|3|50|x|4\n");
    ROWS(k, "SELECT a, count(*) FROM t GROUP BY a ORDER BY a", "10|1\n20|2\n~|1\n");
    ROWS(k, "SELECT a AS g, count(*) FROM t GROUP BY g HAVING count(*) > 1", "20|2\n");
    ROWS(k, "SELECT b, sum(n) FROM t GROUP BY 1 ORDER BY sum(n) DESC NULLS LAST",
         "x|4.50\ny|2.25\n~|~\n");
    ROWS(k, "SELECT a + 1, count(*) FROM t GROUP BY a + 1 ORDER BY 1", "11|1\n21|2\n~|1\n");
    ROWS(k,
         "SELECT t.id, t.b, count(u.id) FROM t LEFT JOIN u ON u.t_id = t.id GROUP BY t.id "
         "ORDER BY t.id",
         "1|x|2\n2|y|0\n3|x|1\n4|~|0\n");
    ROWS(k,
         "SELECT a, b, count(*), grouping(a, b) FROM t GROUP BY ROLLUP (a, b) "
         "ORDER BY 4, 1, 2",
         "10|x|1|0\n20|y|1|0\n20|~|1|0\n~|x|1|0\n10|~|1|1\n20|~|2|1\n~|~|1|1\n~|~|4|3\n");
    ROWS(k, "SELECT count(*) FILTER (WHERE a = 20), count(DISTINCT a) FROM t", "2|2\n");
    ROWS(k, "SELECT count(*) FROM t WHERE false", "0\n");
    ROWS(k, "SELECT sum(x.s) FROM (SELECT sum(a) AS s FROM t GROUP BY b) x", "50\n");
    query_kit_close(k);
}

TEST(sub_queries_become_joins_with_the_right_answers)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) ORDER BY id",
         "1\n3\n");
    ROWS(k, "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) ORDER BY id",
         "2\n4\n");
    ROWS(k, "SELECT id FROM t WHERE id IN (SELECT t_id FROM u) ORDER BY id", "1\n3\n");
    ROWS(k, "SELECT id FROM t WHERE id NOT IN (SELECT t_id FROM u) ORDER BY id", "");
    ROWS(k,
         "SELECT id FROM t WHERE id NOT IN (SELECT t_id FROM u WHERE t_id IS NOT NULL) "
         "ORDER BY id",
         "2\n4\n");
    ROWS(k, "SELECT id, (SELECT max(c) FROM u WHERE u.t_id = t.id) FROM t ORDER BY id",
         "1|uno\n2|~\n3|drei\n4|~\n");
    ROWS(k, "SELECT id, (SELECT count(*) FROM u WHERE u.t_id = t.id) FROM t ORDER BY id",
         "1|2\n2|0\n3|1\n4|0\n");
    ROWS(k, "SELECT id, (SELECT count(*) FROM u WHERE u.t_id <= t.id) FROM t ORDER BY id",
         "1|2\n2|2\n3|3\n4|3\n");
    ROWS(k, "SELECT id FROM t WHERE a = (SELECT max(a) FROM t) ORDER BY id", "2\n4\n");
    ROWS(k, "SELECT id, id IN (SELECT t_id FROM u) FROM t ORDER BY id", "1|t\n2|~\n3|t\n4|~\n");
    ROWS(k, "SELECT id, EXISTS (SELECT 1 FROM u WHERE t_id = t.id AND c > 'p') FROM t ORDER BY id",
         "1|t\n2|f\n3|f\n4|f\n");
    ROWS(k, "SELECT id FROM t WHERE a >= ALL (SELECT a FROM t WHERE a IS NOT NULL) ORDER BY id",
         "2\n4\n");
    ROWS(k, "SELECT id FROM t x WHERE a > (SELECT avg(a) FROM t y WHERE y.b = x.b)", "");
    ROWS(k, "SELECT (SELECT c FROM u WHERE u.id = t.id) FROM t WHERE id < 3 ORDER BY id",
         "one\nuno\n");
    ROWS(k, "SELECT id FROM t WHERE (id, 'one') IN (SELECT t_id, c FROM u)", "1\n");
    query_kit_close(k);
}

TEST(sets_ctes_and_views_work)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT a FROM t UNION SELECT t_id FROM u ORDER BY 1", "1\n3\n10\n20\n~\n");
    ROWS(k, "SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT NULL", "1\n1\n~\n");
    ROWS(k, "SELECT id FROM t EXCEPT SELECT t_id FROM u ORDER BY id", "2\n4\n");
    ROWS(k, "SELECT id FROM t INTERSECT SELECT t_id FROM u ORDER BY id", "1\n3\n");
    ROWS(k, "SELECT id FROM (SELECT id FROM t UNION ALL SELECT id FROM u) x WHERE id = 2",
         "2\n2\n");
    ROWS(k, "WITH w AS (SELECT id FROM t WHERE id > 2) SELECT * FROM w ORDER BY 1", "3\n4\n");
    ROWS(k,
         "WITH w AS (SELECT id FROM t WHERE id > 2) SELECT x.id, y.id FROM w x, w y "
         "ORDER BY 1, 2",
         "3|3\n3|4\n4|3\n4|4\n");
    ROWS(k,
         "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) "
         "SELECT sum(n) FROM r",
         "15\n");
    query_kit_run(k, "CREATE VIEW v (x, y) AS SELECT id, a + 1 FROM t WHERE id < 3");
    ROWS(k, "SELECT v.y FROM v WHERE x = 2", "21\n");
    ROWS(k, "SELECT * FROM v JOIN u ON u.t_id = v.x ORDER BY u.id", "1|11|1|1|one\n1|11|2|1|uno\n");
    ROWS(k, "VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC", "2|b\n1|a\n");
    ROWS(k, "SELECT x.column2 FROM (VALUES (1, 2), (3, 4)) x WHERE x.column1 = 3", "4\n");
    query_kit_close(k);
}

TEST(windows_work)
{
    query_kit *k = open_with_tables();
    ROWS(k, "SELECT id, row_number() OVER (ORDER BY id DESC) FROM t ORDER BY id",
         "1|4\n2|3\n3|2\n4|1\n");
    ROWS(k, "SELECT id, sum(id) OVER (PARTITION BY a ORDER BY id) FROM t ORDER BY id",
         "1|1\n2|2\n3|3\n4|6\n");
    ROWS(k,
         "SELECT id, lag(id, 1, 0) OVER w, count(*) OVER () FROM t WINDOW w AS (ORDER BY id) "
         "ORDER BY id",
         "1|0|4\n2|1|4\n3|2|4\n4|3|4\n");
    ROWS(k, "SELECT a, rank() OVER (ORDER BY count(*) DESC) FROM t GROUP BY a ORDER BY 2, 1",
         "20|1\n10|2\n~|2\n");
    query_kit_close(k);
}

TEST(errors_are_postgresqls)
{
    query_kit *k = open_with_tables();
    FAILS(k, "SELECT * FROM nowhere", "42P01", "relation \"nowhere\" does not exist");
    FAILS(k, "SELECT z FROM t", "42703", "column \"z\" does not exist");
    FAILS(k, "SELECT t.z FROM t", "42703", "column t.z does not exist");
    FAILS(k, "SELECT id FROM t, u", "42702", "column reference \"id\" is ambiguous");
    FAILS(k, "SELECT a, count(*) FROM t", "42803",
          "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function");
    FAILS(k, "SELECT nope(1)", "42883", "function nope(integer) does not exist");
    FAILS(k, "SELECT 1 + true", "42883", "operator does not exist: integer + boolean");
    FAILS(k, "SELECT * FROM t WHERE a", "42804",
          "argument of WHERE must be type boolean, not type integer");
    FAILS(k, "SELECT * FROM t WHERE count(*) > 1", "42803",
          "aggregate functions are not allowed in WHERE");
    FAILS(k, "SELECT 1 UNION SELECT 1, 2", "42601",
          "each UNION query must have the same number of columns");
    FAILS(k, "INSERT INTO t (id, nope) VALUES (1, 2)", "42703",
          "column \"nope\" of relation \"t\" does not exist");
    FAILS(k, "INSERT INTO t (id) VALUES (1, 2)", "42601",
          "INSERT has more expressions than target columns");
    FAILS(k, "INSERT INTO t (id) VALUES (true)", "42804",
          "column \"id\" is of type integer but expression is of type boolean");
    FAILS(k, "SELECT 'abc'::int", "22P02", "invalid input syntax for type integer: \"abc\"");
    FAILS(k, "SELECT id FROM t ORDER BY 2", "42P10", "ORDER BY position 2 is not in select list");
    query_kit_close(k);
}

TEST(data_changes_are_bound_and_planned)
{
    query_kit *k = open_with_tables();
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "UPDATE t SET a = a + 1, b = DEFAULT WHERE id = 3 "
                                            "RETURNING id, a"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "UPDATE t SET (a, b) = (SELECT id, c FROM u WHERE "
                                            "u.t_id = t.id LIMIT 1)"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "UPDATE t SET a = u.id FROM u WHERE u.t_id = t.id "
                                            "RETURNING t.id, u.c"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "DELETE FROM t USING u WHERE u.t_id = t.id"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "INSERT INTO t VALUES (1, 2, 'x') ON CONFLICT (id) DO "
                                            "UPDATE SET a = excluded.a + t.a WHERE t.b <> 'z'"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "INSERT INTO t (id, a) SELECT id, t_id FROM u"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "MERGE INTO t USING u ON t.id = u.t_id WHEN MATCHED "
                                            "THEN UPDATE SET b = u.c WHEN NOT MATCHED THEN INSERT "
                                            "(id, b) VALUES (u.id + 100, u.c)"));
    CHECK_STATUS(&k->ctx, query_kit_plan(k, "SELECT id FROM t WHERE a > $1 ORDER BY id LIMIT $2 "
                                            "FOR UPDATE SKIP LOCKED"));
    FAILS(k, "INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING", "42P10",
          "there is no unique or exclusion constraint");
    query_kit_close(k);
}

static void make_big(query_kit *k)
{
    query_kit_run(k, "CREATE TABLE digit (i int)");
    query_kit_run(k, "INSERT INTO digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)");
    query_kit_run(k, "CREATE TABLE big (id int PRIMARY KEY, g int, v int, UNIQUE (g, id))");
    query_kit_run(k, "INSERT INTO big SELECT a.i * 1000 + b.i * 100 + c.i * 10 + d.i, c.i, "
                     "NULLIF(d.i, 5) FROM digit a, digit b, digit c, digit d");
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

TEST(indexes_are_used_where_they_pay)
{
    query_kit *k = query_kit_open();
    make_big(k);
    const char *sql = "SELECT v FROM big WHERE id = 4217";
    CHECK(has(query_kit_explain(k, sql), "Index Scan using big_key"));
    ROWS(k, sql, "7\n");
    sql = "SELECT id FROM big WHERE id IN (5, 17, 5, NULL, 20000) ORDER BY id";
    CHECK(has(query_kit_explain(k, sql), "Index Scan"));
    ROWS(k, sql, "5\n17\n");
    sql = "SELECT id FROM big ORDER BY id DESC LIMIT 3";
    CHECK(has(query_kit_explain(k, sql), "Index Scan Backward"));
    CHECK(!has(query_kit_explain(k, sql), "Sort"));
    ROWS(k, sql, "9999\n9998\n9997\n");
    sql = "SELECT id FROM big WHERE id > 500 ORDER BY id LIMIT 2 OFFSET 1";
    CHECK(has(query_kit_explain(k, sql), "Index Scan"));
    ROWS(k, sql, "502\n503\n");
    sql = "SELECT id FROM big WHERE g = 3 AND id >= 135 AND id < 240 ORDER BY id";
    CHECK(has(query_kit_explain(k, sql), "Index Scan"));
    ROWS(k, sql, "135\n136\n137\n138\n139\n230\n231\n232\n233\n234\n235\n236\n237\n238\n239\n");
    sql = "SELECT x.i, y.v FROM digit x JOIN big y ON y.id = x.i + 40 WHERE x.i = 7";
    ROWS(k, sql, "7|7\n");
    ROWS(k, "SELECT count(*), sum(v), count(v) FROM big", "10000|40000|9000\n");
    ROWS(k, "SELECT count(*) FROM big WHERE v IS NULL AND g BETWEEN 2 AND 3", "200\n");
    ROWS(k, "SELECT g, count(DISTINCT v) FROM big GROUP BY g HAVING g > 7 ORDER BY g",
         "8|9\n9|9\n");
    ROWS(k, "SELECT count(*) FROM big x JOIN big y ON x.id = y.id + 1 WHERE y.g = 4", "1000\n");
    ROWS(k,
         "SELECT i, (SELECT max(v) FROM big WHERE id = i * 11) FROM digit WHERE i < 3 ORDER BY i",
         "0|0\n1|1\n2|2\n");
    query_kit_close(k);
}

TEST(scans_are_told_what_a_limit_still_wants)
{
    query_kit *k = query_kit_open();
    make_big(k);
    CHECK(has(query_kit_explain(k, "SELECT id FROM big ORDER BY v, id LIMIT 3"), "Top-N Bound: v"));
    const char *told[] = {
        "SELECT x.v, y.i FROM big x LEFT JOIN digit y ON y.i = x.g ORDER BY x.v LIMIT 3",
        "SELECT v FROM (SELECT v, id + 1 FROM big WHERE g > 2) t ORDER BY v DESC LIMIT 3",
        "SELECT v FROM (SELECT v FROM big UNION ALL SELECT i FROM digit) t ORDER BY v LIMIT 3",
    };
    const char *not_told[] = {
        "SELECT v FROM big ORDER BY v",
        "SELECT v FROM big ORDER BY v + 1 LIMIT 3",
        "SELECT v::text FROM big ORDER BY v::text, v LIMIT 3",
        "SELECT x.v, y.i FROM big x RIGHT JOIN digit y ON y.i = x.g ORDER BY x.v LIMIT 3",
        "SELECT x.v, y.i FROM big x FULL JOIN digit y ON y.i = x.g ORDER BY x.v LIMIT 3",
        "SELECT v, count(*) OVER (ORDER BY g) FROM big ORDER BY v LIMIT 3",
        "SELECT v FROM (SELECT v FROM big ORDER BY id LIMIT 100) t ORDER BY v LIMIT 3",
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        CHECK(has(query_kit_explain(k, told[i]), "Top-N Bound"));
    for (size_t i = 0; i < sizeof not_told / sizeof *not_told; i++)
        CHECK(!has(query_kit_explain(k, not_told[i]), "Top-N Bound: v"));
    query_kit_close(k);
}

TEST(constants_are_folded)
{
    query_kit *k = open_with_tables();
    CHECK(has(query_kit_explain(k, "SELECT id FROM t WHERE 1 + 1 = 3"), "no rows"));
    CHECK(has(query_kit_explain(k, "SELECT id FROM t WHERE a = 2 * 5"), "(a = 10)"));
    CHECK(!has(query_kit_explain(k, "SELECT id FROM t WHERE 2 > 1 OR a = 3"), "Filter"));
    ROWS(k, "SELECT CASE WHEN 1 = 2 THEN 1 / 0 ELSE 5 END", "5\n");
    ROWS(k, "SELECT id FROM t WHERE COALESCE(NULL, a, 1) = 10", "1\n");
    query_kit_close(k);
}

TEST(joins_nest_and_mix)
{
    query_kit *k = open_with_tables();
    ROWS(k,
         "SELECT a.id, b.id FROM t a LEFT JOIN (u b JOIN t c ON b.t_id = c.id) ON a.id = c.id "
         "ORDER BY 1, 2",
         "1|1\n1|2\n2|~\n3|3\n4|~\n");
    ROWS(k,
         "SELECT count(*) FROM t a LEFT JOIN u b ON a.id = b.t_id AND b.c > 'p' "
         "WHERE b.id IS NULL",
         "3\n");
    ROWS(k, "SELECT t.id FROM t NATURAL JOIN (SELECT id FROM u WHERE id > 2) x ORDER BY 1",
         "3\n4\n");
    ROWS(k,
         "SELECT id, (SELECT count(*) FROM u WHERE u.t_id = t.id AND u.id > "
         "(SELECT min(id) FROM u z WHERE z.t_id = t.id)) FROM t ORDER BY id",
         "1|1\n2|0\n3|0\n4|0\n");
    ROWS(k,
         "SELECT x.id, y.n FROM t x, LATERAL (SELECT count(*) AS n FROM t z WHERE z.a < x.a) y "
         "ORDER BY 1",
         "1|0\n2|1\n3|0\n4|1\n");
    ROWS(k,
         "SELECT b, (SELECT sum(n) FROM u JOIN t y ON y.id = u.t_id WHERE y.b = x.b) "
         "FROM t x GROUP BY b ORDER BY b",
         "x|6.00\ny|~\n~|~\n");
    ROWS(k, "SELECT max(id) FROM t WHERE a = (SELECT a FROM t ORDER BY id LIMIT 1)", "1\n");
    ROWS(k,
         "SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY a ORDER BY id) r FROM t) x "
         "WHERE r = 1 ORDER BY id",
         "1|1\n2|1\n3|1\n");
    ROWS(k, "SELECT count(*) FROM t WHERE (SELECT count(*) FROM u WHERE u.t_id = t.id) = 0", "2\n");
    ROWS(k,
         "SELECT id FROM t WHERE b IN (SELECT b FROM t GROUP BY b HAVING count(*) > 1) "
         "ORDER BY id",
         "1\n3\n");
    ROWS(k,
         "SELECT id FROM t WHERE EXISTS (SELECT * FROM u WHERE t_id = t.id LIMIT 1) AND NOT "
         "EXISTS (SELECT 1 FROM u WHERE t_id = t.id AND c = 'drei')",
         "1\n");
    ROWS(k, "SELECT 1 WHERE 3 NOT IN (SELECT id FROM u WHERE id < 3)", "1\n");
    ROWS(k, "SELECT u.id FROM u WHERE t_id NOT IN (SELECT id FROM t WHERE id > 1) ORDER BY 1",
         "1\n2\n");
    query_kit_close(k);
}

/* A group that is one row of the upper side with all its partners is made below the join. */
TEST(groups_are_made_below_joins_where_that_is_the_same)
{
    query_kit *k = open_with_tables();
    query_kit_run(k, "CREATE TABLE item (id int PRIMARY KEY, t_id int, v numeric(8,2), w float8)");
    query_kit_run(
        k, "INSERT INTO item SELECT i, i % 4 + 1, i % 50, i FROM generate_series(1, 4000) i");
    static const char *const sunk[] = {
        "SELECT t.id, count(item.id) FROM t LEFT JOIN item ON t.id = t_id GROUP BY t.id",
        "SELECT t.id, b, sum(v * 2) FROM t, item WHERE t.id = t_id GROUP BY t.id, b",
        "SELECT t_id, b, max(w) FROM t, item WHERE t.id = t_id GROUP BY t_id, b",
        "SELECT u.id, b, c, sum(v) FROM t, u, item WHERE t.id = u.t_id AND u.t_id = item.t_id "
        "GROUP BY u.id, b, c",
    };
    static const char *const stay[] = {
        "SELECT b, count(item.id) FROM t LEFT JOIN item ON t.id = t_id GROUP BY b",
        "SELECT t.id, sum(w) FROM t, item WHERE t.id = t_id GROUP BY t.id",
        "SELECT t.id, sum(a + v) FROM t, item WHERE t.id = t_id GROUP BY t.id",
        "SELECT t.id, min(100 / item.id) FROM t, item WHERE t.id = t_id GROUP BY t.id",
        "SELECT t.id, count(*) FROM t, item WHERE t.id = t_id AND item.id > a GROUP BY t.id",
        "SELECT t.id, count(COALESCE(v, 1)) FROM t LEFT JOIN item ON t.id = t_id GROUP BY t.id",
    };
    for (size_t i = 0; i < sizeof sunk / sizeof *sunk; i++)
        CHECK(has(query_kit_explain(k, sunk[i]), "Group Key: t_id"));
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
        const char *plan = query_kit_explain(k, stay[i]);
        CHECK(strstr(plan, "HashAggregate") < strstr(plan, "Join"));
    }
    ROWS(k,
         "SELECT t.id, count(item.id), sum(v) FROM t LEFT JOIN item ON t.id = t_id AND t.id < 3 "
         "GROUP BY t.id ORDER BY 1",
         "1|1000|24000.00\n2|1000|25000.00\n3|0|~\n4|0|~\n");
    query_kit_close(k);
}

/* The plan's text has the part twice: a WITH query's title and its use. */
static bool is_shared(const char *plan)
{
    const char *use = strstr(plan, "CTE Scan on CTE 0");
    return strncmp(plan, "CTE 0", 5) == 0 && use != NULL && strstr(use + 1, "CTE Scan on CTE 0");
}

TEST(what_a_plan_has_twice_is_computed_once)
{
    query_kit *k = open_with_tables();
    query_kit_run(k, "CREATE TABLE item (id int PRIMARY KEY, t_id int, v int, n numeric(8,2))");
    query_kit_run(
        k, "INSERT INTO item SELECT i, i % 4 + 1, i % 50, i FROM generate_series(1, 30000) i");
    query_kit_run(
        k, "CREATE VIEW sums AS SELECT t_id, sum(v) AS s, max(n) AS m FROM item GROUP BY t_id");
    /* One place needs fewer columns, whichever comes first. */
    CHECK(is_shared(
        query_kit_explain(k, "SELECT t_id, m FROM sums WHERE s = (SELECT max(s) FROM sums)")));
    CHECK(is_shared(query_kit_explain(
        k, "SELECT t_id FROM sums WHERE s = (SELECT max(s) FROM sums WHERE m IS NOT NULL)")));
    CHECK(!is_shared(query_kit_explain(
        k, "SELECT t_id FROM sums WHERE s = (SELECT max(v) FROM item WHERE n > 3)")));
    /* Kept rows would cost more, or the rest of them may not be wanted. */
    CHECK(!is_shared(query_kit_explain(k,
                                       "SELECT a.v FROM item a, item b WHERE a.id = b.id UNION ALL "
                                       "SELECT a.v FROM item a, item b WHERE a.id = b.id")));
    CHECK(!is_shared(query_kit_explain(k, "(SELECT t_id FROM sums UNION ALL SELECT t_id FROM sums) "
                                          "LIMIT 1")));
    ROWS(k, "SELECT t_id, m FROM sums WHERE s = (SELECT max(s) FROM sums) ORDER BY 1",
         "2|29997.00\n4|29999.00\n");
    query_kit_close(k);
}
