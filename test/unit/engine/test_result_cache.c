/*
 * Kept rows of queries: given again while nothing has changed, and never when something has, at any
 * isolation level, whatever changes it.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static kit open_kept(void)
{
    kit it = kit_memory();
    kit_run(it.session, "ALTER SYSTEM SET result_cache_bytes = '8MB'");
    return it;
}

static long count_of(kade_session *session, const char *column)
{
    char sql[80];
    long count = -1;
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM kade_result_cache", column);
    CHECK_EQ(sscanf(kit_rows(session, sql), "%ld", &count), 1);
    return count;
}

/* Whether the query is answered from kept rows when it comes a second time. */
static bool is_kept(kade_session *session, const char *sql)
{
    char first[1024];
    (void)snprintf(first, sizeof first, "%s", kit_rows(session, sql));
    long hits = count_of(session, "hits");
    CHECK_ROWS(session, sql, first);
    return count_of(session, "hits") == hits + 1;
}

TEST(rows_are_given_again)
{
    kit it = open_kept();
    kade_session *s = it.session, *other = kit_connect(&it);
    kit_run(s, "CREATE TABLE t (a int PRIMARY KEY, b text);"
               "INSERT INTO t SELECT i, 'a text that is longer, ' || i FROM "
               "generate_series(1, 5000) i");
    CHECK(is_kept(s, "SELECT count(*), max(b) FROM t"));
    long hits = count_of(s, "hits");
    CHECK_ROWS(other, "SELECT count(*), max(b) FROM t", "5000|a text that is longer, 999");
    CHECK_EQ(count_of(s, "hits"), hits + 1);
    CHECK(is_kept(s, "SELECT b FROM t WHERE a < 40 ORDER BY a"));
    CHECK(is_kept(s, "SELECT a FROM t WHERE a < 0"));
    CHECK(is_kept(s, "WITH x AS (SELECT a FROM t WHERE a < 9) SELECT sum(x.a) FROM x, x y"));
    CHECK(is_kept(s, "SELECT t.a FROM t WHERE a = (SELECT max(a) FROM t) "
                     "AND EXISTS (SELECT 1 FROM t u WHERE u.a = t.a - 1)"));
    kit_run(s, "BEGIN");
    CHECK(is_kept(s, "SELECT sum(a) FROM t"));
    kit_run(s, "COMMIT; PREPARE q(int, text) AS SELECT count(*) FROM t WHERE a < $1 AND b > $2");
    CHECK(is_kept(s, "EXECUTE q(100, 'b')"));
    CHECK_ROWS(s, "EXECUTE q(100, 'a')", "99");
    CHECK_ROWS(s, "EXECUTE q(101, 'a')", "100");
    kade_disconnect(other);
    kit_close(&it);
}

TEST(what_does_not_follow_from_stored_rows_is_not_kept)
{
    static const char *const texts[] = {
        "SELECT count(*) FROM t WHERE b < now()::text",
        "SELECT count(*) FROM t WHERE random() >= 0",
        "SELECT count(*), current_setting('timezone') FROM t",
        "SELECT count(*) FROM t WHERE '2020-01-01'::text::timestamptz < 'tomorrow'::timestamptz",
        "SELECT b::timestamptz IS NULL FROM t WHERE a = -1",
        "SELECT count(*) FROM t WHERE ctid IS NOT NULL",
        "SELECT count(*) FROM pg_class",
        "SELECT count(*) FROM generate_series(1, 3)",
        "SELECT a FROM t WHERE a = 1 FOR UPDATE",
        "SELECT count(*) FROM t TABLESAMPLE BERNOULLI (100)",
    };
    kit it = open_kept();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        test_note("%s", texts[i]);
        CHECK(!is_kept(s, texts[i]));
    }
    const char *plain = "SELECT count(*) FROM t";
    CHECK(is_kept(s, plain));
    kit_run(s, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    CHECK(!is_kept(s, plain));
    kit_run(s, "COMMIT; BEGIN; INSERT INTO t VALUES (3, 'z')");
    CHECK(!is_kept(s, plain));
    CHECK_ROWS(s, plain, "3");
    kit_run(s, "ROLLBACK; SET result_cache = off");
    CHECK(!is_kept(s, plain));
    kit_run(s, "SET result_cache = on");
    CHECK(is_kept(s, plain));
    kit_run(s, "ALTER SYSTEM SET result_cache_bytes = 0");
    CHECK(!is_kept(s, plain));
    CHECK_ROWS(s, "SELECT entries, bytes FROM kade_result_cache", "0|0");
    kit_close(&it);
}

/* The same text with another meaning is another answer. */
TEST(kept_rows_belong_to_what_the_text_means)
{
    kit it = open_kept();
    kade_session *s = it.session, *other = kit_connect(&it);
    kit_run(s, "CREATE TABLE t (a int, d timestamptz);"
               "INSERT INTO t VALUES (1, '2024-01-01 00:00+00');"
               "CREATE SCHEMA two; CREATE TABLE two.t (a int); INSERT INTO two.t VALUES (2)");
    kit_run(other, "CREATE TEMPORARY TABLE t (a int); INSERT INTO t VALUES (3)");
    CHECK(is_kept(s, "SELECT a FROM t WHERE a > 0"));
    CHECK_ROWS(other, "SELECT a FROM t WHERE a > 0", "3");
    CHECK_ROWS(s, "SELECT a FROM t WHERE a > 0", "1");
    kit_run(s, "SET search_path = two");
    CHECK_ROWS(s, "SELECT a FROM t WHERE a > 0", "2");
    kit_run(s, "RESET search_path");
    CHECK_ROWS(s, "SELECT d FROM t WHERE a > 0", "2024-01-01 00:00:00+00");
    kit_run(s, "SET timezone = 'Asia/Tokyo'");
    CHECK_ROWS(s, "SELECT d FROM t WHERE a > 0", "2024-01-01 09:00:00+09");
    CHECK_ROWS(s, "SELECT concat(a, ' ', d) FROM t WHERE a > 0", "1 2024-01-01 09:00:00+09");
    kade_disconnect(other);
    kit_close(&it);
}

TEST(kept_rows_go_when_a_table_changes)
{
    static const char *const changes[] = {
        "INSERT INTO p VALUES (5, 5)",
        "UPDATE p SET b = b + 1 WHERE a = 5",
        "DELETE FROM p WHERE a = 5",
        "INSERT INTO p SELECT i, 1 FROM generate_series(100, 190) i",
        "INSERT INTO p_low VALUES (7, 7)",
        "UPDATE p SET a = a + 100 WHERE a = 7",
        "MERGE INTO p USING (VALUES (3)) v (x) ON a = x WHEN NOT MATCHED THEN INSERT VALUES (x, 1)",
        "BEGIN; INSERT INTO p VALUES (8, 8); SAVEPOINT s; INSERT INTO p VALUES (9, 9);"
        "ROLLBACK TO s; COMMIT",
        "TRUNCATE p_high",
        "INSERT INTO p VALUES (150, 1)",
        "CREATE TABLE p_more PARTITION OF p FOR VALUES FROM (200) TO (300);"
        "INSERT INTO p VALUES (250, 1)",
        "ALTER TABLE p DETACH PARTITION p_more",
        "ALTER TABLE p ALTER COLUMN b TYPE bigint",
        "ALTER TABLE p RENAME COLUMN b TO c; ALTER TABLE p ADD COLUMN b int DEFAULT 7",
        "DROP TABLE p_high",
        "TRUNCATE p",
        "INSERT INTO p (a, b) SELECT i, i FROM generate_series(1, 90) i",
    };
    const char *sql = "SELECT count(*), sum(a), sum(b) FROM p";
    kit it = open_kept();
    kade_session *s = it.session;
    char before[256], fresh[256];
    kit_run(s, "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
               "CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (100);"
               "CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (100) TO (200);"
               "INSERT INTO p VALUES (1, 1), (101, 2)");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        test_note("%s", changes[i]);
        CHECK(is_kept(s, sql));
        (void)snprintf(before, sizeof before, "%s", kit_rows(s, sql));
        kit_run(s, changes[i]);
        kit_run(s, "SET result_cache = off");
        (void)snprintf(fresh, sizeof fresh, "%s", kit_rows(s, sql));
        kit_run(s, "SET result_cache = on");
        CHECK(strcmp(before, fresh) != 0 || strstr(changes[i], "TYPE bigint") != NULL);
        CHECK_ROWS(s, sql, fresh);
    }
    CHECK(is_kept(s, sql));
    kit_run(s, "BEGIN; INSERT INTO p VALUES (77); ROLLBACK; VACUUM");
    long hits = count_of(s, "hits");
    CHECK_ROWS(s, sql, kit_rows(s, sql));
    CHECK(count_of(s, "hits") >= hits + 2); /* Nothing has changed. */
    kit_close(&it);
}

TEST(the_room_for_rows_is_kept_to)
{
    kit it = open_kept();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int, b text);"
               "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;"
               "ALTER SYSTEM SET result_cache_bytes = '256kB'");
    kit_run(s, "SELECT b FROM t LIMIT 3000"); /* More than a quarter of the room. */
    CHECK_EQ(count_of(s, "entries"), 0);
    for (int i = 0; i < 100; i++) {
        char sql[80];
        (void)snprintf(sql, sizeof sql, "SELECT b FROM t WHERE a BETWEEN %d AND %d", i, i + 40);
        kit_run(s, sql);
    }
    CHECK(count_of(s, "bytes") <= 256 * 1024);
    CHECK(count_of(s, "entries") > 3);
    CHECK(count_of(s, "evicted") > 10);
    kit_close(&it);
}

TEST(explain_analyze_tells_of_kept_rows)
{
    kit it = open_kept();
    kade_session *s = it.session;
    kit_run(s, "CREATE TABLE t (a int)");
    CHECK(strstr(kit_rows(s, "EXPLAIN ANALYZE SELECT max(a) FROM t"), "Result Cache: miss") !=
          NULL);
    kit_run(s, "SELECT max(a) FROM t");
    CHECK(strstr(kit_rows(s, "EXPLAIN ANALYZE SELECT max(a) FROM t"), "Result Cache: hit") != NULL);
    CHECK(strstr(kit_rows(s, "EXPLAIN SELECT max(a) FROM t"), "Result Cache") == NULL);
    kit_close(&it);
}

/* --- Beside writers --------------------------------------------------------------------------- */

enum { WRITERS = 3, READS = 400 };

typedef struct writer {
    kade_session *session;
    kd_thread *thread;
    uint32_t state;
    atomic_bool *stops;
    atomic_long *confirmed; /* Of the counter's row: a commit that has been told. */
} writer;

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

/* Conflicts with the others are no matter. */
static void try_run(writer *self, const char *sql)
{
    if (kade_execute(self->session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
        (void)kade_execute(self->session, "ROLLBACK", KADE_NUL, NULL, NULL);
}

static void change_something(writer *self)
{
    static const char *const texts[] = {
        "INSERT INTO t VALUES (%u, %u)",
        "INSERT INTO t VALUES (%u, 1), (%u, 2)",
        "UPDATE t SET b = b + 1 WHERE a %% 7 = %u %% 7",
        "DELETE FROM t WHERE a = %u",
        "UPDATE t SET a = (a + 50) %% 200 WHERE b = %u",
        "BEGIN; INSERT INTO t VALUES (%u, 3); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT",
        "BEGIN; DELETE FROM t WHERE a < %u; ROLLBACK",
        "INSERT INTO u SELECT i, i FROM generate_series(1, %u) i",
        "DELETE FROM u WHERE a > %u",
    };
    char sql[256];
    const char *text = texts[draw(&self->state, sizeof texts / sizeof *texts)];
    (void)snprintf(sql, sizeof sql, text, draw(&self->state, 200), draw(&self->state, 200));
    try_run(self, sql);
}

static void define_something(writer *self)
{
    static const char *const texts[] = {
        "TRUNCATE u",
        "TRUNCATE t_low",
        "ALTER TABLE u ADD COLUMN c int DEFAULT 1",
        "ALTER TABLE u DROP COLUMN IF EXISTS c",
        "VACUUM",
        "CREATE OR REPLACE VIEW v AS SELECT a FROM t WHERE b > 1",
        "CREATE OR REPLACE VIEW v AS SELECT a FROM t WHERE b > 2",
    };
    try_run(self, texts[draw(&self->state, sizeof texts / sizeof *texts)]);
}

/* One of them counts, and says how far it has come only when the commit is told. */
static void write_on(void *object)
{
    writer *self = object;
    char sql[80];
    for (long n = 1; !atomic_load(self->stops); n++) {
        if (self->confirmed == NULL) {
            change_something(self);
            continue;
        }
        (void)snprintf(sql, sizeof sql, "UPDATE counter SET n = %ld", n);
        CHECK_EQ(kade_execute(self->session, sql, KADE_NUL, NULL, NULL), KADE_OK);
        atomic_store(self->confirmed, n);
        if (n % 4 == 0)
            define_something(self);
    }
}

static const char *const questions[] = {
    "SELECT count(*), sum(a), sum(b) FROM t",
    "SELECT a, count(*) FROM t WHERE a < 20 GROUP BY a ORDER BY a",
    "SELECT count(*) FROM t_high",
    "SELECT count(*), sum(a) FROM u",
    "SELECT count(*) FROM t, u WHERE t.a = u.a",
    "SELECT count(*), min(a) FROM v",
    "SELECT max(n) FROM counter",
};

/* One snapshot gives the same with kept rows and without, in both orders. */
static void compare(kade_session *s, uint32_t *state)
{
    char first[8192];
    bool kept_first = draw(state, 2) == 0;
    kit_run(s, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    for (int i = 0; i < 3; i++) {
        const char *sql = questions[draw(state, sizeof questions / sizeof *questions)];
        test_note("%s", sql);
        kit_run(s, kept_first ? "SET LOCAL result_cache = on" : "SET LOCAL result_cache = off");
        (void)snprintf(first, sizeof first, "%s", kit_rows(s, sql));
        kit_run(s, kept_first ? "SET LOCAL result_cache = off" : "SET LOCAL result_cache = on");
        CHECK_ROWS(s, sql, first);
    }
    kit_run(s, "COMMIT");
}

/* What a commit was told for is seen by every statement that begins later. */
static void look_at_counter(kade_session *s, atomic_long *confirmed, uint32_t *state)
{
    long n = -1, least = atomic_load(confirmed);
    bool in_block = draw(state, 2) == 0;
    if (in_block)
        kit_run(s, "BEGIN ISOLATION LEVEL READ COMMITTED");
    CHECK_EQ(sscanf(kit_rows(s, "SELECT max(n) FROM counter"), "%ld", &n), 1);
    CHECK(n >= least);
    least = atomic_load(confirmed);
    CHECK_EQ(sscanf(kit_rows(s, "SELECT max(n) FROM counter"), "%ld", &n), 1);
    CHECK(n >= least);
    if (in_block)
        kit_run(s, "COMMIT");
}

TEST(kept_rows_are_never_stale_beside_writers)
{
    kit it = open_kept();
    kade_session *s = it.session;
    kd_ctx ctx = test_ctx();
    atomic_bool stops = false;
    atomic_long confirmed = 0;
    writer writers[WRITERS];
    uint32_t state = 7;
    kit_run(s, "CREATE TABLE counter (n bigint); INSERT INTO counter VALUES (0);"
               "CREATE TABLE t (a int, b int) PARTITION BY RANGE (a);"
               "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100);"
               "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (200);"
               "CREATE TABLE u (a int, b int); CREATE VIEW v AS SELECT a FROM t WHERE b > 1");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.session = kit_connect(&it),
                              .state = (uint32_t)i + 1,
                              .stops = &stops,
                              .confirmed = i == 0 ? &confirmed : NULL};
        kit_run(writers[i].session, "SET synchronous_commit = off");
        CHECK_STATUS(&ctx,
                     kd_thread_start(&ctx, "writer", write_on, &writers[i], &writers[i].thread));
    }
    for (int i = 0; i < READS; i++) {
        compare(s, &state);
        look_at_counter(s, &confirmed, &state);
    }
    atomic_store(&stops, true);
    for (int i = 0; i < WRITERS; i++) {
        kd_thread_join(ctx.world, writers[i].thread);
        kade_disconnect(writers[i].session);
    }
    CHECK(count_of(s, "hits") > 0);
    CHECK(count_of(s, "stale") > 0);
    kit_close(&it);
}
