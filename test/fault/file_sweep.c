/*
 * A life of a database under failing file operations: the first, the second, ... call on the disk
 * fails, once or from then on, until a life does not notice any more. After each life the machine
 * loses power and the database is opened again: what was acknowledged is there, what was not is
 * there wholly or not at all, and every stored byte reads.
 */
#include "sim_world.h"

#include "engine/database.h"
#include "engine/statement.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each step is a transaction that also notes its number in `done`. Step n leaves n rows of its own
 * in `t`, unless it says otherwise. */
static const char *const steps[] = {
    "INSERT INTO t VALUES (1, 1, 'a')",
    "INSERT INTO t SELECT i, 2, repeat('b', i) FROM generate_series(10, 11) g (i)",
    "COPY t FROM STDIN WITH (FORMAT csv)",
    "INSERT INTO t VALUES (30, 4, 'd'), (31, 4, 'd'), (32, 4, 'd'), (33, 4, 'd'), (34, 4, 'gone');"
    "DELETE FROM t WHERE b = 'gone'",
    "INSERT INTO t SELECT i, 0, 'moved' FROM generate_series(40, 44) g (i);"
    "UPDATE t SET step = 5 WHERE b = 'moved'",
    "CREATE INDEX t_step ON t (step);"
    "INSERT INTO t SELECT i, 6, 'f' FROM generate_series(50, 55) g (i)",
    "ALTER TABLE t ADD COLUMN c int DEFAULT 7;"
    "INSERT INTO t SELECT i, 7, 'g' FROM generate_series(60, 66) g (i)",
    "INSERT INTO t SELECT i, 8, 'h' FROM generate_series(70, 77) g (i) ON CONFLICT (id) DO NOTHING",
};
enum { STEPS = sizeof steps / sizeof *steps };

typedef struct life {
    kd_database *database;
    kd_session *session;
    bool acknowledged[STEPS + 1];
    bool copy_is_done;
} life;

static kd_status run(life *it, kd_slice sql, int64_t *out_number)
{
    kd_ctx *ctx = kd_session_ctx(it->session);
    kd_prepared *prepared;
    kd_run *going;
    kd_error_clear(ctx);
    kd_status status = kd_prepared_create(ctx, it->session, sql, NULL, 0, &prepared);
    if (status != KD_OK)
        return status;
    status = kd_run_begin(ctx, prepared, NULL, 0, &going);
    for (bool is_end = false; status == KD_OK && !is_end;) {
        kd_batch batch;
        status = kd_run_next(ctx, going, &batch, &is_end);
        if (status != KD_OK)
            kd_run_abandon(going);
        else if (is_end)
            status = kd_run_end(ctx, going);
        else if (out_number != NULL)
            *out_number = kd_vector_get(&batch.columns[0], kd_batch_row(&batch, 0)).as.i64;
    }
    kd_prepared_destroy(prepared);
    return status;
}

/* Statements separated by ';' (none of the steps has one inside). */
static kd_status script(life *it, const char *sql)
{
    kd_status status = KD_OK;
    while (status == KD_OK && *sql != '\0') {
        size_t size = strcspn(sql, ";");
        status = run(it, (kd_slice){sql, size}, NULL);
        sql += size + (sql[size] == ';');
    }
    return status;
}

static bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    static const char rows[] = "20,3,\"c, 1\"\n21,3,c2\n22,3,\n";
    life *it = object;
    *out_bytes = it->copy_is_done || capacity_bytes < sizeof rows ? 0 : sizeof rows - 1;
    memcpy(target, rows, *out_bytes);
    it->copy_is_done = !it->copy_is_done;
    return true;
}

static kd_status life_open(kd_ctx *ctx, life *it)
{
    kd_database_options options = {.memory_budget_bytes = (uint64_t)16 << 20,
                                   .worker_count = 1,
                                   .no_background = true,
                                   .wal_file_bytes = 64 << 10};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_session_hooks hooks = {.object = it, .copy_read = copy_read};
    it->database = NULL;
    KD_TRY(kd_database_open(ctx, "db", &options, &it->database));
    KD_TRY(kd_session_open(ctx, it->database, &session_options, &it->session));
    kd_session_set_hooks(it->session, &hooks);
    return KD_OK;
}

static kd_status step_run(life *it, int number)
{
    char done[64];
    (void)snprintf(done, sizeof done, "INSERT INTO done VALUES (%d)", number);
    KD_TRY(script(it, "BEGIN"));
    KD_TRY(script(it, steps[number - 1]));
    KD_TRY(script(it, done));
    KD_TRY(script(it, "COMMIT"));
    it->acknowledged[number] = true;
    return KD_OK;
}

/* Flushes and checkpoints lie between the steps; their failures harm nothing. */
static kd_status work(life *it)
{
    KD_TRY(script(it, "BEGIN;CREATE TABLE t (id int PRIMARY KEY, step int NOT NULL, b text);"
                      "CREATE TABLE done (step int PRIMARY KEY);COMMIT"));
    it->acknowledged[0] = true;
    for (int number = 1; number <= STEPS; number++) {
        KD_TRY(step_run(it, number));
        if (number % 3 == 0)
            KD_TRY(script(it, "VACUUM"));
        if (number % 4 == 0)
            KD_TRY(script(it, "CHECKPOINT"));
    }
    return KD_OK;
}

static int64_t number_of(life *it, const char *sql)
{
    int64_t number = -1;
    CHECK_STATUS(kd_session_ctx(it->session), run(it, kd_slice_of(sql), &number));
    return number;
}

static void check(kd_ctx *ctx, life *it)
{
    char sql[128];
    int64_t total = 0;
    CHECK_STATUS(ctx, life_open(ctx, it));
    CHECK_STATUS(ctx, kd_storage_check(ctx, kd_database_storage(it->database)));
    bool exists =
        number_of(it, "SELECT count(*) FROM pg_class WHERE relname IN ('t', 'done')") == 2;
    CHECK(exists || !it->acknowledged[0]);
    for (int number = 1; exists && number <= STEPS; number++) {
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM done WHERE step = %d", number);
        int64_t is_done = number_of(it, sql);
        CHECK(is_done == 1 || !it->acknowledged[number]);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE step = %d", number);
        CHECK_EQ(number_of(it, sql), is_done * number);
        total += is_done * number;
    }
    if (exists)
        CHECK_EQ(number_of(it, "SELECT count(*) FROM t"), total);
    kd_database_abandon(it->database);
}

static void life_end(sim_world *sim, life *it)
{
    sim_crash(sim);
    if (it->database != NULL)
        kd_database_abandon(it->database);
    it->database = NULL;
    sim_destroy(sim);
}

static void check_after(sim_disk *disk, uint64_t seed, life *it)
{
    sim_world *sim = sim_create(disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    check(&ctx, it);
    it->database = NULL;
    life_end(sim, it);
    sim_disk_destroy(disk);
}

/* True when the fault did not occur any more. */
static bool life_under(uint64_t nth, bool forever)
{
    life it = {.database = NULL};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, nth);
    kd_ctx ctx = sim_ctx(sim);
    test_note("file operation %llu fails%s", (unsigned long long)nth, forever ? " for good" : "");
    sim_fail_nth_disk_call(sim, nth, forever);
    kd_status status = life_open(&ctx, &it);
    const kd_error *error = &ctx.error;
    if (status == KD_OK) {
        status = work(&it);
        error = &kd_session_ctx(it.session)->error;
    }
    bool has_fired = sim_fault_fired(sim);
    if (status != KD_OK && !has_fired)
        test_fail(__FILE__, __LINE__, "without a fault: %s %s", error->sqlstate, error->message);
    if (status != KD_OK && status != KD_IO)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
    life_end(sim, &it);
    check_after(disk, nth + 1, &it);
    return !has_fired;
}

TEST(a_life_survives_every_failing_file_operation)
{
    uint64_t nth = 1;
    (void)alarm(600);
    while (!life_under(nth, false))
        nth++;
    CHECK(nth > 100);
    printf("%llu operations, each failed once\n", (unsigned long long)nth - 1);
}

TEST(a_life_survives_a_disk_that_fails_from_any_operation_on)
{
    uint64_t nth = 1;
    (void)alarm(600);
    while (!life_under(nth, true))
        nth++;
    printf("%llu operations, each the last that worked but one\n", (unsigned long long)nth - 1);
}

/* Power is lost at the nth operation, again at the `again`th of the recovery that follows, and a
 * third time in that of this one. True when the life ended before the nth. */
static bool life_until(uint64_t nth, uint64_t way, uint64_t *io_states)
{
    life it = {.database = NULL};
    sim_disk *disk = sim_disk_create();
    test_random random = {nth * 1000 + way};
    bool has_crashed = true;
    test_note("power is lost at file operation %llu, way %llu", (unsigned long long)nth,
              (unsigned long long)way);
    for (uint64_t depth = 0; depth < 3; depth++) {
        sim_world *sim = sim_create(disk, nth * 4000 + way * 4 + depth);
        kd_ctx ctx = sim_ctx(sim);
        sim_crash_at(sim, depth == 0 ? nth : 1 + test_random_below(&random, 40));
        kd_status status = life_open(&ctx, &it);
        if (status == KD_OK && depth == 0)
            status = work(&it);
        if (depth == 0)
            has_crashed = sim_has_crashed(sim);
        if (status != KD_OK && !sim_has_crashed(sim))
            test_fail(__FILE__, __LINE__, "no power was lost, and yet it failed");
        (*io_states)++;
        life_end(sim, &it);
    }
    check_after(disk, nth * 4000 + way * 4 + 3, &it);
    return !has_crashed;
}

TEST(a_life_survives_power_lost_at_any_operation_and_in_two_recoveries)
{
    uint64_t ways = (test_seed_count(20) + 19) / 20, states = 0, nth = 1;
    (void)alarm(0);
    for (bool is_over = false; !is_over; nth++)
        for (uint64_t way = 0; way < ways; way++)
            is_over = life_until(nth, way, &states);
    printf("%llu operations, %llu losses of power\n", (unsigned long long)nth - 1,
           (unsigned long long)states);
}
