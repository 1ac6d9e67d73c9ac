/*
 * EXPLAIN of statements that write: the table, what finds the rows, and with ANALYZE the figures of
 * the run that wrote. What operators read, keep and spill.
 */
#include "engine_kit.h"

#include <stdlib.h>

TEST(changes_name_their_table)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int PRIMARY KEY, b text);"
                        "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i");
    CHECK_TEXT(kit_rows(it.session, "EXPLAIN INSERT INTO t DEFAULT VALUES"), "Insert on t");
    CHECK_TEXT(kit_rows(it.session, "EXPLAIN INSERT INTO t VALUES (2000, 'y')"),
               "Insert on t;  ->  Values  (rows=1)");
    CHECK_TEXT(kit_rows(it.session, "EXPLAIN (FORMAT JSON) INSERT INTO t DEFAULT VALUES"),
               "[{\"Plan\": {\"Node Type\": \"ModifyTable\", \"Operation\": \"Insert\", "
               "\"Relation Name\": \"t\", \"Alias\": \"t\"}}]");
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "1000");
    kit_close(&it);
}

TEST(analyze_has_the_figures_of_what_was_written)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int PRIMARY KEY, b text);"
                        "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i");
    const char *text = kit_rows(it.session, "EXPLAIN ANALYZE UPDATE t SET b = 'y' WHERE a > 400");
    CHECK(strncmp(text, "Update on t;", 12) == 0);
    CHECK(strstr(text, "ms rows=600 read=") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE UPDATE t SET b = 'z' WHERE a = 7");
    CHECK(strstr(text, "Index Scan using t_pkey on t") != NULL);
    CHECK(strstr(text, "ms rows=1)") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE INSERT INTO t SELECT a + 5000, b FROM t");
    CHECK(strstr(text, "ms rows=1000 read=") != NULL);
    text = kit_rows(it.session, "EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM t WHERE b = 'y'");
    CHECK(strstr(text, "\"Operation\": \"Delete\"") != NULL);
    CHECK(strstr(text, "\"Actual Rows\": 1200") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE WITH q AS (INSERT INTO t VALUES (3000, 'q') "
                                "RETURNING a) SELECT * FROM q");
    CHECK(strstr(text, "modifying CTE 0: Insert on t") != NULL);
    CHECK_ROWS(it.session, "SELECT b, count(*) FROM t GROUP BY b ORDER BY b", "q|1;x|798;z|2");
    kit_close(&it);
}

/* The number behind `label` in the line of `operator`; -1: there is none. */
static long figure(const char *text, const char *operator, const char * label)
{
    const char *at = strstr(text, operator);
    const char *end = at == NULL ? NULL : strchr(at, ';');
    const char *found = at == NULL ? NULL : strstr(at, label);
    if (found == NULL || (end != NULL && found > end))
        return -1;
    return strtol(found + strlen(label), NULL, 10);
}

TEST(analyze_tells_bytes_of_operators)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int, b bigint, c text);"
                        "INSERT INTO t SELECT i % 1000, i, 'text ' || i "
                        "FROM generate_series(1, 100000) i");
    const char *text = kit_rows(it.session, "EXPLAIN ANALYZE SELECT a, count(*) FROM t GROUP BY a");
    /* Rows in memory: four bytes each. */
    CHECK(figure(text, "Seq Scan on t", "read=") == (100000 * 4 + 1023) / 1024);
    CHECK(figure(text, "HashAggregate", "memory=") > 0);
    CHECK(figure(text, "HashAggregate", "spilled=") == -1);
    kit_run(it.session, "VACUUM t");
    text = kit_rows(it.session, "EXPLAIN ANALYZE SELECT a FROM t");
    long encoded = figure(text, "Seq Scan on t", "read=");
    CHECK(encoded > 0 && encoded < 200); /* Ten bits a value. */
    text = kit_rows(it.session, "EXPLAIN ANALYZE SELECT a FROM t WHERE b > 99000");
    CHECK(figure(text, "Seq Scan on t", "read=") < encoded); /* Blocks that were left out. */
    text = kit_rows(it.session, "EXPLAIN ANALYZE SELECT x.a FROM t x, t y WHERE x.b = y.b");
    CHECK(figure(text, "Hash Join", "memory=") > 1000);
    kit_run(it.session, "SET work_mem = '1MB'");
    text = kit_rows(it.session, "EXPLAIN ANALYZE SELECT a FROM t ORDER BY c");
    CHECK(figure(text, "Sort", "memory=") > 0);
    CHECK(figure(text, "Sort", "spilled=") > 100);
    text = kit_rows(it.session, "EXPLAIN (ANALYZE, FORMAT JSON) SELECT a FROM t ORDER BY c");
    CHECK(strstr(text, "\"Read Bytes\": ") != NULL);
    CHECK(strstr(text, "\"Memory Bytes\": ") != NULL);
    kit_close(&it);
}

TEST(execute_is_explained_by_what_it_runs)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int PRIMARY KEY, b int);"
                        "INSERT INTO t SELECT i, i % 7 FROM generate_series(1, 1000) i;"
                        "PREPARE r (int) AS SELECT b FROM t WHERE a = $1;"
                        "PREPARE w (int) AS UPDATE t SET b = b + 100 WHERE a = $1");
    const char *text = kit_rows(it.session, "EXPLAIN EXECUTE r (3)");
    CHECK(strstr(text, "Index Scan using t_pkey on t") != NULL);
    CHECK(strstr(text, "actual") == NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE EXECUTE r (3)");
    CHECK(strstr(text, "ms rows=1)") != NULL);
    text = kit_rows(it.session, "EXPLAIN EXECUTE w (3)");
    CHECK(strncmp(text, "Update on t;", 12) == 0);
    CHECK_ROWS(it.session, "SELECT b FROM t WHERE a = 3", "3");
    text = kit_rows(it.session, "EXPLAIN ANALYZE EXECUTE w (3)");
    CHECK(strstr(text, "ms rows=1)") != NULL);
    CHECK_ROWS(it.session, "SELECT b FROM t WHERE a = 3", "103");
    kit_run(it.session, "EXECUTE w (3)"); /* Its figures went nowhere that is gone. */
    CHECK_ROWS(it.session, "SELECT b FROM t WHERE a = 3", "203");
    kit_fails(it.session, "EXPLAIN EXECUTE r", "42601");
    kit_fails(it.session, "EXPLAIN EXECUTE absent (1)", "26000");
    kit_close(&it);
}

TEST(analyze_of_what_fails_ends_before_its_plan)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 5000)");
    kit_fails(it.session, "EXPLAIN ANALYZE SELECT 1 / (a - 4000) FROM t ORDER BY a", "22012");
    kit_fails(
        it.session,
        "EXPLAIN ANALYZE SELECT x.a, (SELECT 1 / (y.a - 4000) FROM t y WHERE y.a > x.a LIMIT 1)"
        " FROM t x ORDER BY x.a",
        "22012");
    kit_fails(it.session,
              "EXPLAIN ANALYZE SELECT 1 / (s - 4000) FROM t, generate_series(1, t.a) AS s",
              "22012");
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "5000");
    kit_close(&it);
}
