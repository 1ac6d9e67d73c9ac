/*
 * EXPLAIN of statements that write: the table, what finds the rows, and with ANALYZE the figures of
 * the run that wrote.
 */
#include "engine_kit.h"

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
    CHECK(strstr(text, "ms rows=600)") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE UPDATE t SET b = 'z' WHERE a = 7");
    CHECK(strstr(text, "Index Scan using t_pkey on t") != NULL);
    CHECK(strstr(text, "ms rows=1)") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE INSERT INTO t SELECT a + 5000, b FROM t");
    CHECK(strstr(text, "ms rows=1000)") != NULL);
    text = kit_rows(it.session, "EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM t WHERE b = 'y'");
    CHECK(strstr(text, "\"Operation\": \"Delete\"") != NULL);
    CHECK(strstr(text, "\"Actual Rows\": 1200") != NULL);
    text = kit_rows(it.session, "EXPLAIN ANALYZE WITH q AS (INSERT INTO t VALUES (3000, 'q') "
                                "RETURNING a) SELECT * FROM q");
    CHECK(strstr(text, "modifying CTE 0: Insert on t") != NULL);
    CHECK_ROWS(it.session, "SELECT b, count(*) FROM t GROUP BY b ORDER BY b", "q|1;x|798;z|2");
    kit_close(&it);
}
