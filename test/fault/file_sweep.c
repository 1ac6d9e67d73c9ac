/*
 * A life of a database under failing file operations: the first, the second, ... call on the disk
 * fails, once or from then on, until a life does not notice any more. After each life the machine
 * loses power and the database is opened again: what was acknowledged is there, what was not is
 * there wholly or not at all, and every stored byte reads.
 */
#include "sim_session.h"

#include "table/storage.h"

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
    sim_session on;
    bool acknowledged[STEPS + 1];
} life;

static const char copy_rows[] = "20,3,\"c, 1\"\n21,3,c2\n22,3,\n";

static kd_status life_open(kd_ctx *ctx, life *it)
{
    it->on.copy_rows = copy_rows;
    return sim_session_open(ctx, &it->on);
}

static kd_status step_run(life *it, int number)
{
    char done[64];
    (void)snprintf(done, sizeof done, "INSERT INTO done VALUES (%d)", number);
    KD_TRY(sim_script(&it->on, "BEGIN"));
    KD_TRY(sim_script(&it->on, steps[number - 1]));
    KD_TRY(sim_script(&it->on, done));
    KD_TRY(sim_script(&it->on, "COMMIT"));
    it->acknowledged[number] = true;
    return KD_OK;
}

/* Flushes and checkpoints lie between the steps; their failures harm nothing. */
static kd_status work(life *it)
{
    KD_TRY(sim_script(&it->on,
                      "BEGIN;CREATE TABLE t (id int PRIMARY KEY, step int NOT NULL, b text);"
                      "CREATE TABLE done (step int PRIMARY KEY);COMMIT"));
    it->acknowledged[0] = true;
    for (int number = 1; number <= STEPS; number++) {
        KD_TRY(step_run(it, number));
        if (number % 3 == 0)
            KD_TRY(sim_script(&it->on, "VACUUM"));
        if (number % 4 == 0)
            KD_TRY(sim_script(&it->on, "CHECKPOINT"));
    }
    return KD_OK;
}

static void check(kd_ctx *ctx, life *it)
{
    char sql[128];
    int64_t total = 0;
    CHECK_STATUS(ctx, life_open(ctx, it));
    CHECK_STATUS(ctx, kd_storage_check(ctx, kd_database_storage(it->on.database)));
    bool exists =
        sim_number(&it->on, "SELECT count(*) FROM pg_class WHERE relname IN ('t', 'done')") == 2;
    CHECK(exists || !it->acknowledged[0]);
    for (int number = 1; exists && number <= STEPS; number++) {
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM done WHERE step = %d", number);
        int64_t is_done = sim_number(&it->on, sql);
        CHECK(is_done == 1 || !it->acknowledged[number]);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE step = %d", number);
        CHECK_EQ(sim_number(&it->on, sql), is_done * number);
        total += is_done * number;
    }
    if (exists)
        CHECK_EQ(sim_number(&it->on, "SELECT count(*) FROM t"), total);
    kd_database_abandon(it->on.database);
}

static void life_end(sim_world *sim, life *it)
{
    sim_crash(sim);
    if (it->on.database != NULL)
        kd_database_abandon(it->on.database);
    it->on.database = NULL;
    sim_destroy(sim);
}

static void check_after(sim_disk *disk, uint64_t seed, life *it)
{
    sim_world *sim = sim_create(disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    check(&ctx, it);
    it->on.database = NULL;
    life_end(sim, it);
    sim_disk_destroy(disk);
}

/* True when the fault did not occur any more. */
static bool life_under(uint64_t nth, bool forever)
{
    life it = {.on = {.database = NULL}};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, nth);
    kd_ctx ctx = sim_ctx(sim);
    test_note("file operation %llu fails%s", (unsigned long long)nth, forever ? " for good" : "");
    sim_fail_nth_disk_call(sim, nth, forever);
    kd_status status = life_open(&ctx, &it);
    const kd_error *error = &ctx.error;
    if (status == KD_OK) {
        status = work(&it);
        error = &sim_session_ctx(&it.on)->error;
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
    life it = {.on = {.database = NULL}};
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
