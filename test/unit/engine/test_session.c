/*
 * Sessions: transactions that meet, savepoints, cancelling, notices, what is left
 * after a reopen, system views and functions.
 */
#include "engine_kit.h"

#include "base/thread.h"

#include <stdio.h>
#include <string.h>

TEST(a_database_that_does_not_exist_is_told)
{
    kade_database *database;
    kade_error *error;
    kade_open_options options = {.struct_bytes = sizeof options, .must_exist = true};
    CHECK(kade_open("/tmp/kade_test_nowhere.kade", KADE_NUL, &options, &database, &error) ==
          KADE_INVALID);
    CHECK(database == NULL);
    CHECK_TEXT(error->sqlstate, "3D000");
    kade_error_free(error);
    kade_error_free(NULL);
    kade_close(NULL);
}

TEST(what_was_committed_is_there_after_a_reopen)
{
    const char *path = kit_directory("reopen");
    kit it = kit_open(path);
    kit_run(it.session, "CREATE TABLE t (id serial PRIMARY KEY, name text);"
                        "INSERT INTO t (name) SELECT 'n' || g FROM generate_series(1, 5000) g;"
                        "BEGIN; INSERT INTO t (name) VALUES ('lost')");
    kit_close(&it);
    for (int round = 0; round < 2; round++) {
        it = kit_open(path);
        CHECK_ROWS(it.session, "SELECT count(*), max(name), max(id) FROM t", "5000|n999|5000");
        kit_run(it.session, "INSERT INTO t (name) VALUES ('again')");
        kit_run(it.session, "DELETE FROM t WHERE name = 'again'");
        kit_close(&it);
    }
    it = kit_open(path);
    CHECK_ROWS(it.session, "INSERT INTO t (name) VALUES ('x') RETURNING id > 5000", "t");
    kit_close(&it);
    (void)kit_directory("reopen");
}

TEST(every_durability_keeps_what_was_closed)
{
    const char *path = kit_directory("durability");
    for (int durability = 0; durability <= KADE_DURABILITY_OFF; durability++) {
        kade_open_options options = {.struct_bytes = sizeof options,
                                     .worker_count = 2,
                                     .memory_budget_bytes = 256u << 20,
                                     .durability = (kade_durability)durability};
        kit it = {0};
        CHECK_EQ(kade_open(path, KADE_NUL, &options, &it.database, NULL), KADE_OK);
        CHECK_EQ(kade_connect(it.database, &it.session, NULL), KADE_OK);
        kit_run(it.session, "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY)");
        for (int i = 0; i < 100; i++)
            kit_run(it.session, "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t");
        kit_close(&it);
    }
    kit it = kit_open(path);
    CHECK_ROWS(it.session, "SELECT count(*), max(id) FROM t", "400|400");
    kit_close(&it);
    (void)kit_directory("durability");
}

enum { COUNTERS = 6, COUNTS = 4000 };

static void count_up(void *object)
{
    kade_session *session = object;
    kade_statement *statement;
    kit_run(session, "SET default_transaction_isolation = 'read committed'");
    CHECK_EQ(
        kade_prepare(session, "UPDATE t SET v = v + 1 WHERE id + 0 = $1", KADE_NUL, &statement),
        KADE_OK);
    for (int i = 0; i < COUNTS; i++) {
        bool has_row;
        CHECK_EQ(kade_bind_int64(statement, 1, 1), KADE_OK);
        CHECK_EQ(kade_step(statement, &has_row), KADE_OK);
        CHECK_EQ(kade_rows_affected(statement), 1);
        kade_reset(statement);
    }
    kade_finalize(statement);
}

/* The newest version was met between the end of one version and the begin of the next, and the row
 * taken for gone: one update of some 100,000 was lost. */
TEST(counting_in_one_row_loses_nothing)
{
    kit it = kit_memory();
    kd_ctx ctx = test_ctx();
    kd_thread *threads[COUNTERS];
    kade_session *sessions[COUNTERS];
    kit_run(it.session, "CREATE TABLE t (id bigint PRIMARY KEY, v bigint);"
                        "INSERT INTO t VALUES (1, 0)");
    for (int i = 0; i < COUNTERS; i++) {
        sessions[i] = kit_connect(&it);
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "counter", count_up, sessions[i], &threads[i]));
    }
    for (int i = 0; i < COUNTERS; i++)
        kd_thread_join(ctx.world, threads[i]);
    CHECK_ROWS(it.session, "SELECT v FROM t", "24000");
    kit_close(&it);
}

TEST(two_sessions_and_one_row)
{
    kit it = kit_memory();
    kade_session *other = kit_connect(&it);
    kit_run(it.session, "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)");
    kit_run(it.session, "BEGIN; UPDATE t SET v = 1");
    CHECK_EQ(kade_session_transaction(it.session), KADE_TRANSACTION_OPEN);
    CHECK_ROWS(other, "SELECT v FROM t", "0");
    kit_run(other, "BEGIN");
    CHECK_ROWS(other, "SELECT v FROM t", "0");
    kit_run(it.session, "COMMIT");
    CHECK_ROWS(other, "SELECT v FROM t", "0"); /* Its snapshot is older. */
    kit_fails(other, "UPDATE t SET v = 2", "40001");
    CHECK_EQ(kade_session_transaction(other), KADE_TRANSACTION_FAILED);
    kit_fails(other, "SELECT 1", "25P02");
    kit_run(other, "ROLLBACK");
    CHECK_EQ(kade_session_transaction(other), KADE_TRANSACTION_NONE);
    CHECK_ROWS(other, "SELECT v FROM t", "1");
    kade_disconnect(other);
    kit_close(&it);
}

TEST(savepoints_undo_what_came_after_them)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE TABLE t (a int); BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s;"
                        "INSERT INTO t VALUES (2)");
    kit_fails(it.session, "SELECT 1 / 0", "22012");
    kit_run(it.session, "ROLLBACK TO s; INSERT INTO t VALUES (3); COMMIT");
    CHECK_ROWS(it.session, "SELECT a FROM t ORDER BY a", "1;3");
    kit_close(&it);
}

typedef struct canceller {
    kade_session *session;
    atomic_bool done;
} canceller;

static void cancel_again_and_again(void *object)
{
    canceller *self = object;
    while (!atomic_load(&self->done)) {
        kade_cancel(self->session);
        kd_world_posix()->sleep_ns(kd_world_posix(), 1000000);
    }
}

TEST(another_thread_cancels_a_long_statement)
{
    kit it = kit_memory();
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_thread *thread;
    canceller self = {.session = it.session};
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "cancel", cancel_again_and_again, &self, &thread));
    kit_fails(it.session,
              "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
              "57014");
    atomic_store(&self.done, true);
    kd_thread_join(ctx.world, thread);
    CHECK_ROWS(it.session, "SELECT 1", "1");
    kit_close(&it);
}

static void keep_notice(void *object, const kade_error *notice)
{
    snprintf(object, 200, "%s: %s", notice->severity, notice->message);
}

TEST(notices_reach_the_hook)
{
    kit it = kit_memory();
    char text[200] = "";
    kade_session_on_notice(it.session, keep_notice, text);
    kit_run(it.session, "DROP TABLE IF EXISTS nowhere");
    CHECK(strstr(text, "NOTICE: table \"nowhere\" does not exist") != NULL);
    kit_close(&it);
}

TEST(sequences_by_name_and_number)
{
    kit it = kit_memory();
    kit_run(it.session, "CREATE SCHEMA x; CREATE SEQUENCE x.\"S\" INCREMENT 5;"
                        "CREATE TABLE t (id serial, b bigint GENERATED ALWAYS AS IDENTITY)");
    CHECK_ROWS(it.session, "SELECT nextval('x.\"S\"'), currval('x.\"S\"'), lastval()", "1|1|1");
    CHECK_ROWS(it.session, "SELECT setval('x.\"S\"', 20); SELECT nextval('x.\"S\"')", "20;25");
    CHECK_ROWS(it.session, "SELECT setval('x.\"S\"', 7, false), nextval('x.\"S\"')", "7|7");
    kit_fails(it.session, "SELECT nextval('s')", "42P01");
    kit_fails(it.session, "SELECT nextval('t')", "42809");
    kit_fails(it.session, "SELECT currval('t_id_seq')", "55000");
    CHECK_ROWS(it.session, "INSERT INTO t DEFAULT VALUES RETURNING id, b", "1|1");
    CHECK_ROWS(it.session, "SELECT currval('t_id_seq')", "1");
    kit_close(&it);
}

TEST(system_views_and_functions_describe_the_catalog)
{
    kit it = kit_memory();
    kit_run(it.session,
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
            "CREATE TABLE t (id bigint PRIMARY KEY, m mood, n numeric(8,3) CHECK (n > 0));"
            "CREATE TABLE r (t_id bigint REFERENCES t ON DELETE CASCADE);"
            "CREATE INDEX t_m ON t (m DESC) WHERE n > 1; COMMENT ON TABLE t IS 'a comment'");
    CHECK_ROWS(it.session,
               "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
               "JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 't' ORDER BY attnum",
               "id|bigint;m|mood;n|numeric(8,3)");
    CHECK_ROWS(it.session,
               "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1",
               "r_t_id_fkey|FOREIGN KEY (t_id) REFERENCES t(id) ON DELETE CASCADE;"
               "t_n_check|CHECK (n > 0);t_pkey|PRIMARY KEY (id)");
    CHECK_ROWS(it.session, "SELECT indexdef FROM pg_indexes WHERE indexname = 't_m'",
               "CREATE INDEX t_m ON public.t USING btree (m DESC) WHERE (n > 1)");
    CHECK_ROWS(it.session, "SELECT obj_description(to_regclass('t'))", "a comment");
    CHECK_ROWS(it.session,
               "SELECT enum_first(NULL::mood), enum_last(NULL::mood), enum_range(NULL::mood), "
               "enum_range('ok'::mood, NULL)",
               "sad|happy|{sad,ok,happy}|{ok,happy}");
    CHECK_ROWS(it.session,
               "SELECT column_name, data_type, is_nullable, numeric_precision "
               "FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position",
               "id|bigint|NO|64;m|USER-DEFINED|YES|~;n|numeric|YES|8");
    CHECK_ROWS(it.session,
               "SELECT pg_size_pretty(10239), pg_size_pretty(10240), "
               "pg_size_pretty(123456789)",
               "10239 bytes|10 kB|118 MB");
    CHECK_ROWS(it.session, "SELECT count(*) > 20 FROM pg_catalog.pg_settings", "t");
    kit_run(it.session, "CREATE MATERIALIZED VIEW mv AS SELECT 1 AS x");
    CHECK_ROWS(it.session,
               "SELECT relkind, pg_get_viewdef(c.oid), m.definition, obj_description(c.oid) "
               "FROM pg_class c JOIN pg_matviews m ON m.matviewname = relname",
               "m| SELECT 1 AS x;| SELECT 1 AS x;|~");
    CHECK_ROWS(it.session, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
               "r;t");
    kit_run(it.session, "DROP MATERIALIZED VIEW mv");
    /* Every view can be read whole. */
    CHECK_ROWS(it.session,
               "SELECT count(*) FROM information_schema.views v, pg_views, pg_matviews, "
               "pg_inherits, pg_attrdef",
               "0");
    kit_close(&it);
}

typedef struct definer {
    kade_session *session;
    kd_thread *thread;
    int number;
} definer;

/* Transactions with definitions of its own tables, and one change of a table that all share. */
static void define_again_and_again(void *object)
{
    definer *self = object;
    for (int i = 0; i < 20; i++) {
        char text[400];
        (void)snprintf(text, sizeof text,
                       "BEGIN ISOLATION LEVEL READ COMMITTED; CREATE TABLE d%d_%d (a int PRIMARY "
                       "KEY); ALTER TABLE d%d_%d ADD COLUMN b int DEFAULT 5; INSERT INTO d%d_%d "
                       "VALUES (%d); COMMIT; ALTER TABLE shared ADD COLUMN c%d_%d int",
                       self->number, i, self->number, i, self->number, i, i, self->number, i);
        kit_run(self->session, text);
        if (i % 2 == 0) {
            (void)snprintf(text, sizeof text, "DROP TABLE d%d_%d", self->number, i);
            kit_run(self->session, text);
        }
    }
}

/* Goal: transactions that define different things at once all commit, and the catalog has all of
 * it, also after a reopen. */
TEST(definitions_of_several_sessions_do_not_meet)
{
    enum { SESSIONS = 3 };
    const char *path = kit_directory("definers");
    const char *count = "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_name "
                        "LIKE 'd%'), (SELECT count(*) FROM information_schema.columns WHERE "
                        "table_name = 'shared')";
    kd_ctx ctx = {.world = kd_world_posix()};
    definer all[SESSIONS];
    kd_error_clear(&ctx);
    kit it = kit_open(path);
    kit_run(it.session, "CREATE TABLE shared (id int)");
    for (int i = 0; i < SESSIONS; i++) {
        all[i] = (definer){.session = kit_connect(&it), .number = i};
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "definer", define_again_and_again, &all[i],
                                           &all[i].thread));
    }
    for (int i = 0; i < SESSIONS; i++) {
        kd_thread_join(ctx.world, all[i].thread);
        kade_disconnect(all[i].session);
    }
    CHECK_ROWS(it.session, count, "30|61");
    CHECK_ROWS(it.session, "SELECT a, b FROM d2_19", "19|5");
    kit_close(&it);
    it = kit_open(path);
    CHECK_ROWS(it.session, count, "30|61");
    kit_close(&it);
    (void)kit_directory("definers");
}
