/*
 * The whole engine in the simulated world: sessions, statements, background threads, a disk that
 * loses and tears, calls and allocations that fail.
 *
 * A seed is a run of several lives of one machine. In each, the database is opened (which may crash
 * again), held against the model, worked on by several sessions at once, and ends: closed in order,
 * or by power lost at a random disk call. Between them stand lives whose disk fails for a call or
 * for good, is too full, or whose allocations fail. Acknowledged transactions must be there, those
 * in the middle of their commit wholly or not at all, every answer must be the model's.
 *
 *     sim_engine                       KADE_TEST_SEEDS seeds from 1 on (or SIM_FIRST)
 *     SIM_SEED=n sim_engine            one seed again; SIM_TRACE=1 shows its statements
 */
#include "sim_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum life_kind { LIFE_CALM, LIFE_CRASH, LIFE_DISK, LIFE_MEMORY, LIFE_FULL } life_kind;

enum { LIVES = 4 };

/* Seeds that once failed; they always run.
 * 1034: an index scan missed the rows whose moves a checkpoint had forgotten meanwhile.
 * 107: an estimate cleared the record of the planner's own failure.
 * 192: a checkpoint between an index's mark and its entry left the entry out of all later ones.
 * 2190: a failed allocation made a view look as if it could not be written.
 * 1182, 12452: a checkpoint that failed half-way left the indexes that it had written marked as
 * unchanged; the next one named their old runs. */
static const uint64_t seeds_kept[] = {107, 192, 1034, 1182, 2190, 12452};

static struct {
    uint64_t lives, statements, doubts;
} totals;

static uint64_t between(sim_run *run, uint64_t least, uint64_t most)
{
    return least + test_random_below(&run->random, most - least + 1);
}

static kd_status database_open(kd_ctx *ctx, sim_run *run)
{
    kd_database_options options = {
        .memory_budget_bytes = (uint64_t)between(run, 8, 64) << 20,
        .worker_count = (unsigned)between(run, 1, 2),
        .no_background = test_random_below(&run->random, 3) == 0,
        .wal_file_bytes = 128 << 10,
        .checkpoint_log_bytes = between(run, 16 << 10, 400 << 10),
        .delta_flush_bytes = between(run, 2 << 10, 64 << 10),
        .bulk_bytes_min = 1,
        .index_entries_in_memory = run->seed % 2, /* Of every other seed nearly all become runs. */
        .redo_stream_bytes = between(run, 0, 2) == 0 ? between(run, 256, 4 << 10) : 0,
    };
    return kd_database_open(ctx, "db", &options, &run->database);
}

static bool is_weather(const sim_run *run, const kd_error *error)
{
    static const char *const states[] = {"58030", "53100", "53000", "53200"};
    if (!run->may_fail && !sim_has_crashed(run->sim))
        return false;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(error->sqlstate, states[i]) == 0)
            return true;
    return false;
}

static void must_be_weather(const sim_run *run, const kd_ctx *ctx, const char *what)
{
    if (!is_weather(run, &ctx->error))
        test_fail(__FILE__, __LINE__, "%s: %s %s", what, ctx->error.sqlstate, ctx->error.message);
}

static bool sessions_open(kd_ctx *ctx, sim_run *run)
{
    for (unsigned i = 0; i < run->session_count + run->has_keeper; i++) {
        worker *one = i < run->session_count ? &run->workers[i] : &run->keeper;
        kd_session_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
        kd_session_hooks hooks = {.object = one, .copy_read = copy_read};
        one->in_transaction = one->is_stuck = false;
        if (kd_session_open(ctx, run->database, &options, &one->session) != KD_OK) {
            must_be_weather(run, ctx, "a session");
            kd_error_clear(ctx);
            return false;
        }
        kd_session_set_hooks(one->session, &hooks);
    }
    return true;
}

static bool schema_ensure(sim_run *run)
{
    int64_t count;
    worker *first = &run->workers[0];
    if (ask_int(first, &count, "SELECT count(*) FROM pg_class WHERE relname = 'account'") !=
        FORETOLD)
        return false;
    CHECK(count == 1 || !run->has_schema);
    if (count == 0 && schema_create(first) != FORETOLD)
        return false;
    run->has_schema = true;
    return true;
}

/* All sessions at once, each on a thread of its own. */
static void sessions_work(kd_ctx *ctx, sim_run *run)
{
    kd_thread *threads[SESSIONS_MAX + 1] = {NULL};
    unsigned count = run->session_count + run->has_keeper;
    atomic_store(&run->live_workers, run->session_count);
    for (unsigned i = 1; i < count; i++) {
        bool is_keeper = i == run->session_count;
        worker *one = is_keeper ? &run->keeper : &run->workers[i];
        if (kd_thread_start(ctx, "session", is_keeper ? keeper_run : worker_run, one,
                            &threads[i]) == KD_OK)
            continue;
        must_be_weather(run, ctx, "a thread");
        kd_error_clear(ctx);
        if (!is_keeper)
            atomic_fetch_sub(&run->live_workers, 1);
    }
    worker_run(&run->workers[0]);
    for (unsigned i = 1; i < count; i++)
        kd_thread_join(ctx->world, threads[i]);
}

static void database_end(kd_ctx *ctx, sim_run *run)
{
    if (!sim_has_crashed(run->sim) && test_random_below(&run->random, 2) == 0)
        sim_crash(run->sim);
    if (sim_has_crashed(run->sim)) {
        kd_database_abandon(run->database);
        return;
    }
    if (kd_database_close(ctx, run->database) != KD_OK)
        must_be_weather(run, ctx, "closing");
    kd_error_clear(ctx);
    sim_crash(run->sim); /* What was not synced is lost now. */
}

static void weather_plan(sim_run *run, life_kind kind)
{
    uint64_t disk_call = 1 + between(run, 0, between(run, 0, 1) == 0 ? 60 : 900);
    run->may_fail = kind != LIFE_CALM;
    sim_disk_set_capacity(run->disk, 0);
    if (kind == LIFE_CRASH)
        sim_crash_at(run->sim, disk_call);
    else if (kind == LIFE_DISK)
        sim_fail_nth_disk_call(run->sim, disk_call, between(run, 0, 2) == 0);
    else if (kind == LIFE_MEMORY)
        sim_fail_nth(run->sim, 1 + between(run, 0, between(run, 0, 1) == 0 ? 2000 : 60000),
                     between(run, 0, 7) == 0);
    else if (kind == LIFE_FULL)
        sim_disk_set_capacity(run->disk,
                              sim_disk_used_bytes(run->disk) + between(run, 0, 400 << 10));
}

static uint64_t live(sim_run *run, uint64_t seed, life_kind kind, bool works)
{
    sim_world *sim = sim_create(run->disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    run->sim = sim;
    weather_plan(run, kind);
    run->database = NULL;
    if (database_open(&ctx, run) == KD_OK) {
        if (sessions_open(&ctx, run) && schema_ensure(run) && state_check(run) == FORETOLD && works)
            sessions_work(&ctx, run);
        for (unsigned i = 0; i < run->session_count; i++)
            totals.doubts += run->workers[i].in_doubt;
        database_end(&ctx, run);
    } else {
        must_be_weather(run, &ctx, "opening");
        kd_error_clear(&ctx);
        sim_crash(sim);
    }
    uint64_t trace = sim_trace(sim);
    sim_destroy(sim);
    return trace;
}

static void run_init(sim_run *run, uint64_t seed)
{
    memset(run, 0, sizeof *run);
    run->seed = seed;
    run->disk = sim_disk_create();
    run->random.state = seed * 7919 + 17;
    run->session_count = (unsigned)between(run, 1, SESSIONS_MAX);
    for (unsigned i = 0; i < run->session_count; i++) {
        run->workers[i] = (worker){.run = run, .no = i, .random = {seed * 31 + i}};
        belongings_init(&run->workers[i].committed);
    }
    run->has_keeper = between(run, 0, 1) == 0;
    run->keeper = (worker){.run = run, .no = SESSIONS_MAX, .random = {seed * 31 + SESSIONS_MAX}};
}

/* Returns the hash of all that happened. */
static uint64_t seed_run(uint64_t seed)
{
    static sim_run run;
    static const life_kind kinds[] = {LIFE_CALM, LIFE_CRASH, LIFE_CRASH,  LIFE_CRASH,
                                      LIFE_DISK, LIFE_DISK,  LIFE_MEMORY, LIFE_FULL};
    uint64_t trace = 0;
    run_init(&run, seed);
    for (uint64_t i = 0; i < LIVES; i++) {
        life_kind kind = kinds[between(&run, 0, sizeof kinds / sizeof *kinds - 1)];
        test_note("SIM_SEED=%llu, life %llu of kind %d", (unsigned long long)seed,
                  (unsigned long long)i, (int)kind);
        if (getenv("SIM_TRACE") != NULL)
            fprintf(stderr, "life %llu of kind %d\n", (unsigned long long)i, (int)kind);
        trace = trace * 31 + live(&run, seed * 64 + i, kind, true);
    }
    test_note("SIM_SEED=%llu, the last check", (unsigned long long)seed);
    trace = trace * 31 + live(&run, seed * 64 + LIVES, LIFE_CALM, false);
    for (unsigned i = 0; i < run.session_count; i++)
        CHECK(!run.workers[i].in_doubt);
    for (unsigned i = 0; i < run.session_count; i++)
        totals.statements += (uint64_t)run.workers[i].answered;
    totals.lives += LIVES + 1;
    sim_disk_destroy(run.disk);
    return trace;
}

static uint64_t number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

TEST(no_run_of_the_engine_loses_or_invents_anything)
{
    (void)alarm(0);
    if (getenv("SIM_SEED") != NULL) {
        (void)seed_run(number_of("SIM_SEED", 1));
        return;
    }
    for (size_t i = 0; i < sizeof seeds_kept / sizeof *seeds_kept; i++)
        (void)seed_run(seeds_kept[i]);
    uint64_t first = number_of("SIM_FIRST", 1), count = test_seed_count(200);
    for (uint64_t seed = first; seed < first + count; seed++)
        (void)seed_run(seed);
    printf("%llu seeds, %llu lives, %llu answers as foretold, %llu commits in doubt\n",
           (unsigned long long)count, (unsigned long long)totals.lives,
           (unsigned long long)totals.statements, (unsigned long long)totals.doubts);
}

TEST(the_same_seed_gives_the_same_run)
{
    uint64_t count = test_seed_count(20) / 10 + 1;
    for (uint64_t seed = 1; seed <= count; seed++)
        CHECK_EQ(seed_run(seed), seed_run(seed));
}
