/*
 * Whole statements under failing allocations: the first, the second, ... allocation of the
 * session's thread fails, until a statement does not notice any more. After each: a clean 53200 or
 * a result, the session works, nothing of the failed statement is left; at the end all memory is
 * given back.
 */
#include "test.h"

#include "base/thread.h"
#include "engine/database.h"
#include "engine/statement.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEP_AFTER = 400 }; /* Every allocation up to here, then every seventh. */

static kd_world world;
static const kd_world *real;
static _Atomic int64_t held_bytes;
static _Thread_local uint64_t fail_at, counted;

static bool allocation_fails(kd_world *self)
{
    (void)self;
    return fail_at != 0 && ++counted == fail_at;
}

static void *memory_alloc(kd_world *self, size_t size_bytes)
{
    void *memory = real->memory_alloc(self, size_bytes);
    if (memory != NULL)
        atomic_fetch_add(&held_bytes, (int64_t)size_bytes);
    return memory;
}

static void memory_free(kd_world *self, void *memory, size_t size_bytes)
{
    if (memory != NULL)
        atomic_fetch_sub(&held_bytes, (int64_t)size_bytes);
    real->memory_free(self, memory, size_bytes);
}

static void world_make(void)
{
    real = kd_world_posix();
    world = *real;
    world.memory_alloc = memory_alloc;
    world.memory_free = memory_free;
    world.allocation_fails = allocation_fails;
}

static kd_status run(kd_session *session, const char *sql, int64_t *out_rows)
{
    kd_ctx *ctx = kd_session_ctx(session);
    kd_prepared *prepared;
    kd_run *it;
    kd_error_clear(ctx);
    *out_rows = 0;
    kd_status status = kd_prepared_create(ctx, session, kd_slice_of(sql), NULL, 0, &prepared);
    if (status != KD_OK)
        return status;
    status = kd_run_begin(ctx, prepared, NULL, 0, &it);
    if (status == KD_OK) {
        bool end = false;
        while (status == KD_OK && !end) {
            kd_batch batch;
            status = kd_run_next(ctx, it, &batch, &end);
            *out_rows += status == KD_OK ? batch.selected_count : 0;
        }
        if (status == KD_OK)
            status = kd_run_end(ctx, it);
        else
            kd_run_abandon(it);
    }
    kd_prepared_destroy(prepared);
    return status;
}

static void must(kd_session *session, const char *sql)
{
    int64_t rows;
    CHECK_STATUS(kd_session_ctx(session), run(session, sql, &rows));
}

static int64_t count_rows(kd_session *session, const char *sql)
{
    int64_t rows;
    CHECK_STATUS(kd_session_ctx(session), run(session, sql, &rows));
    return rows;
}

static bool copy_is_done;

static bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    static const char rows[] = "2000,copied\n2001,\"also, copied\"\n";
    (void)object;
    *out_bytes = copy_is_done || capacity_bytes < sizeof rows ? 0 : sizeof rows - 1;
    memcpy(target, rows, *out_bytes);
    copy_is_done = true;
    return true;
}

static bool copy_write(void *object, const void *source, size_t size_bytes)
{
    (void)object;
    (void)source;
    (void)size_bytes;
    return true;
}

/* Statements separated by ';', none of which has one inside. */
static kd_status script(kd_session *session, const char *sql)
{
    char one[512];
    int64_t rows;
    kd_status status = KD_OK;
    copy_is_done = false;
    while (status == KD_OK && *sql != '\0') {
        size_t size = strcspn(sql, ";");
        (void)snprintf(one, sizeof one, "%.*s", (int)size, sql);
        status = run(session, one, &rows);
        sql += size + (sql[size] == ';');
    }
    return status;
}

/* Answers how many runs failed. */
static int sweep(kd_session *session, const char *sql, const char *undo)
{
    int failures = 0;
    kd_ctx *ctx = kd_session_ctx(session);
    for (uint64_t nth = 1;; nth += nth < STEP_AFTER ? 1 : 7) {
        test_note("allocation %llu of: %s", (unsigned long long)nth, sql);
        int64_t before = count_rows(session, "SELECT a FROM t");
        counted = 0;
        fail_at = nth;
        kd_status status = script(session, sql);
        bool fired = counted >= nth;
        fail_at = 0;
        if (status != KD_OK) {
            CHECK_EQ(status, KD_NOMEM);
            CHECK_TEXT(ctx->error.sqlstate, "53200");
            if (kd_session_get_state(session) != KD_SESSION_IDLE)
                must(session, "ROLLBACK");
            must(session, "DEALLOCATE ALL");
            CHECK_EQ(count_rows(session, "SELECT a FROM t"), before);
            failures++;
        } else if (undo != NULL) {
            must(session, undo);
        }
        if (!fired)
            break;
    }
    return failures;
}

static const struct {
    const char *sql, *undo;
} statements[] = {
    {"SELECT a + 1, b FROM t WHERE a > 3 ORDER BY b, a LIMIT 5", NULL},
    {"SELECT t.a, u.x FROM t JOIN u ON t.a = u.a WHERE u.x > 2", NULL},
    {"SELECT b, count(*), sum(a), string_agg(b, ',') FROM t GROUP BY b HAVING count(*) > 0", NULL},
    {"SELECT DISTINCT b FROM t UNION SELECT 'x' EXCEPT SELECT 'y'", NULL},
    {"WITH w AS (SELECT a FROM t) SELECT (SELECT max(x) FROM u WHERE u.a = w.a) FROM w", NULL},
    {"INSERT INTO t VALUES (1000, 'new'), (1001, 'newer') RETURNING a",
     "DELETE FROM t WHERE a >= 1000"},
    {"INSERT INTO t VALUES (1, 'again') ON CONFLICT (a) DO UPDATE SET b = excluded.b", NULL},
    {"UPDATE t SET b = b || '!' WHERE a = 2", NULL},
    {"DELETE FROM t WHERE a = 999999", NULL},
    {"CREATE TABLE made (a integer PRIMARY KEY, b text UNIQUE, c integer REFERENCES t (a))",
     "DROP TABLE made"},
    {"CREATE INDEX made ON t (b)", "DROP INDEX made"},
    {"CREATE INDEX made ON papers USING gin (doc, tags)", "DROP INDEX made"},
    {"INSERT INTO papers VALUES (100, '{\"k\": [1, {\"n\": \"x\"}]}', '{a,b,NULL}')",
     "DELETE FROM papers WHERE a >= 100"},
    {"SELECT a FROM papers WHERE doc @> '{\"k\": 7}' OR doc @@ '$.n[*] == 3 && $.k > 1'", NULL},
    {"SELECT a FROM papers WHERE tags && '{t3,t4}' AND doc ? 'k'", NULL},
    {"UPDATE papers SET doc = doc || '{\"k\": 8}' WHERE doc @> '{\"k\": 7}'", NULL},
    {"ALTER TABLE u ADD COLUMN y integer DEFAULT 5", "ALTER TABLE u DROP COLUMN y"},
    {"CREATE VIEW made AS SELECT a FROM t", "DROP VIEW made"},
    {"EXPLAIN SELECT * FROM t JOIN u USING (a)", NULL},
    {"SELECT * FROM kade_check()", NULL},
    {"EXPLAIN ANALYZE SELECT b, count(*) FROM t GROUP BY b", NULL},
    {"WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20)"
     " SELECT sum(n) FROM r",
     NULL},
    {"SELECT a, row_number() OVER (PARTITION BY b ORDER BY a), lag(a) OVER (ORDER BY a) FROM t",
     NULL},
    {"SELECT b, a, sum(a) FROM t GROUP BY GROUPING SETS ((b), (a), ())", NULL},
    {"SELECT * FROM t LEFT JOIN LATERAL (SELECT max(x) FROM u WHERE u.a = t.a) m ON true", NULL},
    {"SELECT to_char(timestamp '2001-02-03', 'YYYY-MM-DD'), b ~ '^[a-c]$', b LIKE '%a%',"
     " regexp_replace(b, 'a', 'x', 'g'), ('{\"k\":[1,2]}'::jsonb -> 'k' ->> 0) FROM t",
     NULL},
    {"SELECT array_agg(a ORDER BY a DESC), jsonb_object_agg(a, b), avg(a::numeric) FROM t", NULL},
    {"MERGE INTO t USING (SELECT DISTINCT a FROM u) u ON t.a = u.a WHEN MATCHED THEN UPDATE "
     "SET b = 'm'"
     " WHEN NOT MATCHED THEN INSERT VALUES (u.a + 5000, 'n')",
     "DELETE FROM t WHERE a >= 5000"},
    {"UPDATE t SET b = u.x::text FROM u WHERE u.a = t.a RETURNING t.a", NULL},
    {"DELETE FROM t USING u WHERE t.a = u.a + 100000", NULL},
    {"COPY t FROM STDIN WITH (FORMAT csv)", "DELETE FROM t WHERE a >= 2000"},
    {"COPY (SELECT * FROM t) TO STDOUT WITH (FORMAT csv, HEADER)", NULL},
    {"BEGIN;DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a;FETCH 2 FROM c;FETCH ALL FROM c;"
     "CLOSE c;COMMIT",
     NULL},
    {"BEGIN;SAVEPOINT s;INSERT INTO t VALUES (3000, 'x');ROLLBACK TO s;"
     "SELECT a FROM t FOR UPDATE;COMMIT",
     NULL},
    {"BEGIN ISOLATION LEVEL SERIALIZABLE;SELECT count(*) FROM t;UPDATE u SET x = x;COMMIT", NULL},
    {"PREPARE p (int) AS SELECT a FROM t WHERE a = $1;EXECUTE p (2);DEALLOCATE p", NULL},
    {"PREPARE p (int) AS SELECT a FROM t WHERE a = $1;EXPLAIN ANALYZE EXECUTE p (2);DEALLOCATE p",
     NULL},
    {"SELECT count(*) FROM f, d, g, e WHERE f.k = d.k AND d.a = 7 AND f.j = g.j AND g.v = e.v",
     NULL}, /* Planned anew: see test_replan.c. */
    {"CREATE TYPE made AS ENUM ('a', 'b')", "DROP TYPE made"},
    {"CREATE SEQUENCE made START 5", "DROP SEQUENCE made"},
    {"CREATE SCHEMA made", "DROP SCHEMA made"},
    {"CREATE TABLE made AS SELECT a, b FROM t", "DROP TABLE made"},
    {"CREATE TABLE made (a int, b text) PARTITION BY RANGE (a)", "DROP TABLE made"},
    {"CREATE TEMP TABLE made (a int)", "DROP TABLE made"},
    {"ALTER TABLE u RENAME COLUMN x TO renamed", "ALTER TABLE u RENAME COLUMN renamed TO x"},
    {"ALTER TABLE u ADD CONSTRAINT made CHECK (x > 0)", "ALTER TABLE u DROP CONSTRAINT made"},
    {"ALTER TABLE t ALTER COLUMN b SET DEFAULT 'd'", NULL},
    {"BEGIN;TRUNCATE u;ROLLBACK", NULL},
    {"COMMENT ON TABLE t IS 'a table'", NULL},
    {"ANALYZE t", NULL},
    {"SET work_mem = '64kB'", NULL},
    {"SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
     " WHERE n.nspname = 'public'",
     NULL},
    {"VACUUM", NULL},
    {"CHECKPOINT", NULL},
};

TEST(statements_survive_every_failing_allocation)
{
    kd_database *database;
    kd_session *session;
    (void)alarm(600);
    world_make();
    kd_ctx ctx = {.world = &world};
    kd_error_clear(&ctx);
    kd_database_options options = {
        .memory_budget_bytes = (uint64_t)64 << 20, .worker_count = 1, .no_background = true};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    CHECK_STATUS(&ctx, kd_database_open(&ctx, ":memory:", &options, &database));
    CHECK_STATUS(&ctx, kd_session_open(&ctx, database, &session_options, &session));
    kd_session_hooks hooks = {.copy_read = copy_read, .copy_write = copy_write};
    kd_session_set_hooks(session, &hooks);
    must(session, "CREATE TABLE t (a integer PRIMARY KEY, b text)");
    must(session, "CREATE TABLE u (a integer, x integer)");
    must(session,
         "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'a'), (5, NULL), (6, 'b')");
    must(session, "INSERT INTO u VALUES (1, 1), (2, 2), (3, 3), (3, 4), (7, 5)");
    must(session, "CREATE TABLE papers (a integer, doc jsonb, tags text[])");
    must(session, "CREATE INDEX papers_doc ON papers USING gin (doc)");
    must(session, "CREATE INDEX papers_tags ON papers USING gin (tags, doc jsonb_path_ops)");
    must(session, "INSERT INTO papers SELECT g, jsonb_build_object('k', g, 'n', ARRAY[g, g + 1]),"
                  " ARRAY['t' || g] FROM generate_series(1, 30) g");
    must(session, "CREATE TABLE d AS SELECT i AS k, i AS a FROM generate_series(1, 1000) i");
    must(session, "CREATE TABLE f AS SELECT CASE WHEN i % 2 = 0 THEN 7 ELSE i % 1000 + 1 END AS k,"
                  " i % 20000 AS j FROM generate_series(1, 160000) i");
    must(session, "CREATE TABLE g AS SELECT i % 20000 AS j, i AS v"
                  " FROM generate_series(1, 400000) i");
    must(session, "CREATE TABLE e AS SELECT i * 400 AS v FROM generate_series(1, 100000) i");
    int failures = 0;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        failures += sweep(session, statements[i].sql, statements[i].undo);
    CHECK(failures > 100);
    CHECK_STATUS(&ctx, kd_database_close(&ctx, database));
    CHECK_EQ(atomic_load(&held_bytes), 0); /* Nothing leaked on any of the paths. */
    printf("%d failures, all clean\n", failures);
}
