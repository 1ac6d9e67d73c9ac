/*
 * Unique keys over all partitions of a table, where sessions meet.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char schema[] =
    "CREATE TABLE w (id int PRIMARY KEY, at int NOT NULL, n int) PARTITION BY RANGE (at);"
    "CREATE TABLE w1 PARTITION OF w FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE w2 PARTITION OF w FOR VALUES FROM (10) TO (20);"
    "CREATE TABLE c (id int PRIMARY KEY, w int REFERENCES w)";

/* A statement in a session and thread of its own. */
typedef struct other {
    kade_session *session;
    kd_thread *thread;
    const char *sql;
    char sqlstate[6];
} other;

static void run_other(void *object)
{
    other *self = object;
    (void)kade_execute(self->session, self->sql, KADE_NUL, NULL, NULL);
    memcpy(self->sqlstate, kade_session_error(self->session)->sqlstate, sizeof self->sqlstate);
}

/* `first` holds what `second` waits for; then the first transaction ends with `end`. The sleep only
 * makes it likely that the second waits: what it must answer is the same if it comes late. */
static void meet(const char *setup, const char *first, const char *end, const char *second,
                 const char *expected)
{
    kit it = kit_memory();
    kd_ctx ctx = test_ctx();
    other two = {.session = kit_connect(&it), .sql = second};
    kit_run(two.session, "SET default_transaction_isolation = 'read committed'");
    kit_run(it.session, schema);
    kit_run(it.session, setup);
    kit_run(it.session, "BEGIN");
    kit_run(it.session, first);
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "other", run_other, &two, &two.thread));
    ctx.world->sleep_ns(ctx.world, 20000000);
    kit_run(it.session, end);
    kd_thread_join(ctx.world, two.thread);
    test_note("%s; %s; %s", first, end, second);
    CHECK_TEXT(two.sqlstate, expected);
    kit_close(&it);
}

TEST(one_key_in_two_partitions_waits)
{
    const char *first = "INSERT INTO w VALUES (1, 1)", *second = "INSERT INTO w VALUES (1, 11)";
    meet("", first, "COMMIT", second, "23505");
    meet("", first, "ROLLBACK", second, "00000");
    meet("", first, "COMMIT", "INSERT INTO w VALUES (1, 11) ON CONFLICT DO NOTHING", "00000");
    meet("INSERT INTO w VALUES (2, 12)", first, "COMMIT", "UPDATE w SET id = 1 WHERE id = 2",
         "23505");
    meet("INSERT INTO w VALUES (2, 12)", first, "ROLLBACK", "UPDATE w SET id = 1 WHERE id = 2",
         "00000");
    /* A row that goes, or gets another key, makes room. */
    meet("INSERT INTO w VALUES (1, 1)", "DELETE FROM w WHERE id = 1", "COMMIT", second, "00000");
    meet("INSERT INTO w VALUES (1, 1)", "DELETE FROM w WHERE id = 1", "ROLLBACK", second, "23505");
    meet("INSERT INTO w VALUES (1, 1)", "UPDATE w SET id = 5, at = 15", "COMMIT", second, "00000");
    meet("INSERT INTO w VALUES (1, 1)", "UPDATE w SET id = 5, at = 15", "ROLLBACK", second,
         "23505");
}

TEST(references_and_rows_in_partitions_wait)
{
    const char *row = "INSERT INTO w VALUES (1, 1, 0)", *child = "INSERT INTO c VALUES (1, 1)";
    const char *gone = "DELETE FROM w WHERE id = 1";
    meet(row, child, "COMMIT", gone, "23503");
    meet(row, child, "ROLLBACK", gone, "00000");
    meet(row, gone, "COMMIT", child, "23503");
    meet(row, gone, "ROLLBACK", child, "00000");
    meet(row, "UPDATE w SET id = 2", "COMMIT", child, "23503");
    meet(row, "UPDATE w SET at = 12", "COMMIT", child, "00000");
}

/* Who began before a definition must not go on as if it were not there. */
TEST(older_transactions_and_new_definitions)
{
    static const char *const definitions[] = {
        "CREATE TABLE d (w int REFERENCES w); INSERT INTO d VALUES (1)",
        "ALTER TABLE w DETACH PARTITION w1",
        "ALTER TABLE w ADD UNIQUE (n)",
        "ALTER TABLE w DROP CONSTRAINT w_pkey CASCADE",
    };
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        kit it = kit_memory();
        kade_session *older = kit_connect(&it);
        kit_run(it.session, schema);
        kit_run(it.session, "INSERT INTO w VALUES (1, 1, 0)");
        kit_run(older, "BEGIN; SELECT * FROM w");
        kit_run(it.session, definitions[i]);
        kit_fails(older, i == 0 ? "DELETE FROM w" : "INSERT INTO w VALUES (2, 2, 0)", "40001");
        kit_close(&it);
    }
}

/* The same where a whole tree of partitions comes and goes. */
TEST(older_transactions_and_trees)
{
    kit it = kit_memory();
    kade_session *older = kit_connect(&it);
    kit_run(it.session, schema);
    kit_run(it.session, "CREATE TABLE t PARTITION OF w FOR VALUES FROM (20) TO (30) PARTITION BY "
                        "RANGE (at); CREATE TABLE t1 PARTITION OF t DEFAULT");
    kit_run(older, "BEGIN; SELECT * FROM w");
    kit_run(it.session, "ALTER TABLE w DETACH PARTITION t");
    kit_fails(older, "INSERT INTO w VALUES (2, 22, 0)", "40001");
    kit_run(older, "ROLLBACK; BEGIN; SELECT * FROM w");
    kit_run(it.session, "ALTER TABLE w ATTACH PARTITION t FOR VALUES FROM (20) TO (30)");
    kit_fails(older, "INSERT INTO t VALUES (2, 22, 0)", "40001");
    kit_run(older, "ROLLBACK; INSERT INTO t VALUES (2, 22, 0)");
    kit_fails(it.session, "INSERT INTO w VALUES (2, 2, 0)", "23505");
    kit_close(&it);
}

/* An update that leaves the key alone does not wait for those who refer to the row. */
TEST(an_update_beside_a_reference)
{
    kit it = kit_memory();
    kade_session *second = kit_connect(&it);
    kit_run(it.session, schema);
    kit_run(it.session, "INSERT INTO w VALUES (1, 1, 0); BEGIN; INSERT INTO c VALUES (1, 1)");
    kit_run(second, "SET lock_timeout = '1s'; UPDATE w SET n = n + 1 WHERE id = 1");
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(it.session, "SELECT * FROM w", "1|1|1");
    kit_close(&it);
}

/* What EXPLAIN ANALYZE says of the scan of a table. */
static bool was_read(const char *plan, const char *scan)
{
    const char *at = strstr(plan, scan);
    CHECK(at != NULL);
    const char *never = strstr(at, "(never executed)"), *actual = strstr(at, "(actual");
    return actual != NULL && (never == NULL || actual < never);
}

/* One look into the key tells which partition a parameter's row is in; a bound does as much. */
TEST(partitions_that_are_not_read)
{
    kit it = kit_memory();
    kit_run(it.session, schema);
    kit_run(it.session, "INSERT INTO w VALUES (1, 1, 0), (2, 11, 0)");
    const char *plan = kit_rows(it.session, "EXPLAIN ANALYZE SELECT * FROM w WHERE id = "
                                            "(now()::date - current_date) + 2");
    CHECK(strstr(plan, "Partitions By: w_pkey = ") != NULL);
    CHECK(!was_read(plan, "on w1 ") && was_read(plan, "on w2 "));
    plan = kit_rows(it.session, "EXPLAIN ANALYZE SELECT * FROM w WHERE at < "
                                "(now()::date - current_date) + 10");
    CHECK(strstr(plan, "Partitions By: at < ") != NULL);
    CHECK(was_read(plan, "on w1 ") && !was_read(plan, "on w2 "));
    kit_close(&it);
}

enum { WRITERS = 4, TURNS = 300, KEYS = 24 };

typedef struct writer {
    kade_session *session;
    kd_thread *thread;
    uint32_t seed;
    bool well;
} writer;

static bool is_expected(const char *sqlstate)
{
    return strcmp(sqlstate, "00000") == 0 || strcmp(sqlstate, "23505") == 0 ||
           strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

static void write_randomly(void *object)
{
    static const char *const forms[] = {
        "INSERT INTO w VALUES (%u, %u, 0)",
        "INSERT INTO w VALUES (%u, %u, 0) ON CONFLICT (id) DO UPDATE SET n = w.n + 1",
        "UPDATE w SET at = %2$u WHERE id = %1$u",
        "UPDATE w SET id = %2$u WHERE id = %1$u",
        "DELETE FROM w WHERE id = %u",
    };
    writer *self = object;
    self->well = true;
    for (int i = 0; i < TURNS && self->well; i++) {
        char sql[160];
        self->seed = self->seed * 1664525u + 1013904223u;
        uint32_t random = self->seed >> 8;
        (void)snprintf(sql, sizeof sql, forms[random % 5], random / 5 % KEYS, random / 200 % 20);
        (void)kade_execute(self->session, sql, KADE_NUL, NULL, NULL);
        self->well = is_expected(kade_session_error(self->session)->sqlstate);
    }
}

/* The key's entries and the rows say the same: an entry too many would refuse a key that is free,
 * one too few would let one in twice. */
static void check_entries(kade_session *session)
{
    CHECK_ROWS(session, "SELECT count(*) - count(DISTINCT id) FROM w", "0");
    kit_run(session, "BEGIN; CREATE TABLE copy AS SELECT * FROM w; DELETE FROM w;"
                     "INSERT INTO w SELECT id, 19 - at, n FROM copy");
    CHECK_ROWS(session,
               "SELECT count(*) FROM w FULL JOIN copy USING (id) WHERE w.n IS NULL OR "
               "copy.n IS NULL",
               "0");
    kit_run(session, "ROLLBACK");
    CHECK_ROWS(session,
               "WITH t AS (INSERT INTO w SELECT g, 5, 0 FROM generate_series(0, 30) g ON "
               "CONFLICT (id) DO NOTHING RETURNING id) SELECT count(*) + (SELECT "
               "count(*) FROM w) FROM t",
               "31");
}

TEST(many_writers_of_few_keys)
{
    const char *path = kit_directory("partition_keys");
    kit it = kit_open(path);
    kd_ctx ctx = test_ctx();
    writer writers[WRITERS];
    kit_run(it.session, schema);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.session = kit_connect(&it), .seed = i + 1};
        CHECK_STATUS(
            &ctx, kd_thread_start(&ctx, "writer", write_randomly, &writers[i], &writers[i].thread));
    }
    for (int i = 0; i < WRITERS; i++) {
        kd_thread_join(ctx.world, writers[i].thread);
        test_note("writer %d: %s", i, kade_session_error(writers[i].session)->message);
        CHECK(writers[i].well);
    }
    kit_close(&it);
    it = kit_open(path);
    check_entries(it.session);
    kit_close(&it);
}

/* A transaction over 64 MiB goes to private segments: so do its keys. */
TEST(keys_of_large_transactions)
{
    kit it = kit_memory();
    kit_run(it.session, schema);
    kit_run(it.session, "ALTER TABLE w ADD COLUMN pad text; BEGIN;"
                        "INSERT INTO w SELECT g, g % 20, 0, repeat(md5(g::text), 12) FROM "
                        "generate_series(1, 200000) g");
    kit_fails(it.session, "INSERT INTO w VALUES (199999, 0)", "23505");
    kit_run(it.session, "ROLLBACK; INSERT INTO w VALUES (199999, 0)");
    kit_run(it.session, "INSERT INTO w SELECT g, g % 20, 0, repeat(md5(g::text), 12) FROM "
                        "generate_series(1, 199998) g; DELETE FROM w WHERE id % 2 = 0");
    kit_fails(it.session, "INSERT INTO w VALUES (199997, 0)", "23505");
    kit_run(it.session, "INSERT INTO w VALUES (199996, 0)");
    kit_close(&it);
}

/* COPY of a large file into one partition takes the keys along. */
TEST(copying_into_a_partition)
{
    kit it = kit_memory();
    const char *path = test_path("key.csv");
    char copy_out[400], copy_in[400];
    (void)snprintf(copy_out, sizeof copy_out,
                   "COPY (SELECT g, 1, 0, repeat('x', 200) FROM generate_series(1, 25000) g) TO "
                   "'%s' (FORMAT csv)",
                   path);
    (void)snprintf(copy_in, sizeof copy_in, "COPY w1 FROM '%s' (FORMAT csv)", path);
    kit_run(it.session, schema);
    kit_run(it.session, "ALTER TABLE w ADD COLUMN pad text");
    kit_run(it.session, copy_out);
    kit_run(it.session, copy_in);
    kit_fails(it.session, "INSERT INTO w VALUES (7777, 15)", "23505");
    kit_run(it.session, "DELETE FROM w1");
    kit_run(it.session, copy_in);
    kit_run(it.session, "DELETE FROM w1");
    memcpy(copy_in, "COPY w2", 7);
    kit_fails(it.session, copy_in, "23514");
    (void)remove(path);
    kit_close(&it);
}
