/*
 * Long definitions and upkeep tell their progress, and stop when asked to: each statement is
 * stopped at the first place where it looks, at the second, ... until one run gets through. After
 * each stop everything is as it was before.
 */
#include "engine/kade_internal.h"

#include "engine_kit.h"

#include <stdio.h>

enum { STOPS_MAX = 100000 };

static const char state_query[] =
    "SELECT count(*), sum(v), min(pg_typeof(v)::text), min(w), max(w) FROM t;"
    "SELECT count(*), sum(v) FROM m;"
    "SELECT relname FROM pg_class WHERE relnamespace = 2200 ORDER BY 1;"
    "SELECT conname, convalidated FROM pg_constraint ORDER BY 1;"
    "SELECT attname, attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
    "WHERE relname = 't' ORDER BY attnum";

typedef struct stop {
    uint64_t looks, stop_at;
    uint64_t rows_most;
    const char *phase; /* Of the last look. */
} stop;

static kd_status look(kd_ctx *ctx, void *object)
{
    stop *self = object;
    uint64_t rows = atomic_load(&ctx->progress->rows_done);
    self->rows_most = rows > self->rows_most ? rows : self->rows_most;
    self->phase = atomic_load(&ctx->progress->phase);
    if (++self->looks != self->stop_at)
        return KD_OK;
    return KD_FAIL(ctx, KD_CANCELLED, "57014", "canceling statement due to user request");
}

static void fill(kade_session *session)
{
    kit_run(session,
            "CREATE SCHEMA IF NOT EXISTS public;"
            "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT generate_series(0, 9);"
            "CREATE TABLE t (k int PRIMARY KEY, v int, w text);"
            "INSERT INTO t SELECT g, g % 10, 'w' || g FROM generate_series(1, 20000) g;"
            "CREATE MATERIALIZED VIEW m AS SELECT * FROM t; VACUUM;"
            "INSERT INTO t SELECT g, g % 10, 'w' || g FROM generate_series(20001, 30000) g;"
            "DELETE FROM t WHERE k % 3 = 0");
}

/* The statement stops at every place, or at ever fewer of them where there are many. */
static void stop_everywhere(const char *sql, const char *phase)
{
    kit it = kit_memory();
    char before[1 << 14];
    fill(it.session);
    (void)snprintf(before, sizeof before, "%s", kit_rows(it.session, state_query));
    kd_progress *progress = it.session->ctx->progress;
    for (uint64_t at = 1;; at += 1 + at / 8) {
        stop self = {.stop_at = at};
        CHECK(at < STOPS_MAX);
        progress->object = &self;
        progress->tell = look;
        kade_status status = kade_execute(it.session, sql, KADE_NUL, NULL, NULL);
        progress->tell = NULL;
        if (status == KADE_OK) {
            test_note("%s: %llu looks", sql, (unsigned long long)self.looks);
            CHECK(self.looks > 0);
            CHECK(self.rows_most >= 5000);
            CHECK_TEXT(self.phase, phase);
            break;
        }
        test_note("%s: stopped at look %llu", sql, (unsigned long long)at);
        CHECK_TEXT(kade_session_error(it.session)->sqlstate, "57014");
        CHECK_ROWS(it.session, state_query, before);
    }
    CHECK_ROWS(it.session, "SELECT count(*) FROM t", "20000");
    kit_close(&it);
}

TEST(create_index_stops_anywhere)
{
    stop_everywhere("CREATE INDEX i ON t (w)", "index");
    stop_everywhere("CREATE UNIQUE INDEX i ON t (w, v)", "index");
    stop_everywhere("CREATE INDEX i ON t (lower(w))", "rewrite");
}

TEST(constraints_that_look_at_rows_stop_anywhere)
{
    stop_everywhere("ALTER TABLE t ADD CONSTRAINT c CHECK (v % 7 >= 0)", "check");
    stop_everywhere("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (v) REFERENCES p", "check");
    stop_everywhere("ALTER TABLE t ADD CONSTRAINT c UNIQUE (w)", "index");
    stop_everywhere("ALTER TABLE t ALTER w SET NOT NULL", "check");
}

TEST(rewriting_a_table_stops_anywhere)
{
    stop_everywhere("ALTER TABLE t ALTER v TYPE bigint", "rewrite");
    stop_everywhere("ALTER TABLE t ADD x double precision DEFAULT random()", "rewrite");
}

TEST(upkeep_stops_anywhere)
{
    stop_everywhere("VACUUM", "compact");
    stop_everywhere("CHECKPOINT", "checkpoint");
    stop_everywhere("REINDEX TABLE t", "index");
}

TEST(copies_of_queries_stop_anywhere)
{
    stop_everywhere("REFRESH MATERIALIZED VIEW m", "query");
    stop_everywhere("CREATE TABLE c AS SELECT * FROM t", "query");
    stop_everywhere("UPDATE t SET v = v + 1", "write");
}

/* The time is over at the first look, however fast the machine is. */
static kd_status wait_for_the_end(kd_ctx *ctx, void *object)
{
    (void)object;
    for (;;) {
        KD_TRY(kd_check_cancelled(ctx));
        ctx->world->sleep_ns(ctx->world, 1000000);
    }
}

TEST(definitions_run_out_of_time)
{
    static const char *const statements[] = {
        "CREATE INDEX i ON t (w)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (v >= 0)",
        "ALTER TABLE t ALTER v TYPE bigint",
        "VACUUM",
        "CHECKPOINT",
        "REFRESH MATERIALIZED VIEW m",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        kit it = kit_memory();
        char before[1 << 14];
        fill(it.session);
        (void)snprintf(before, sizeof before, "%s", kit_rows(it.session, state_query));
        kit_run(it.session, "SET statement_timeout = 100");
        it.session->ctx->progress->tell = wait_for_the_end;
        kit_fails(it.session, statements[i], "57014");
        it.session->ctx->progress->tell = NULL;
        kit_run(it.session, "RESET statement_timeout");
        CHECK_ROWS(it.session, state_query, before);
        kit_close(&it);
    }
}
