/*
 * Every disk call of every scenario fails, once and from then on; so do, once, allocations: some of
 * them, or all with SWEEP_STRIDE=1.
 *
 * The scenarios are the operations of sim/short_work.h, each alone on the database that a crash has
 * left; the opening is the first of them. Each is run with its first, its second, ... disk call
 * failing, until a run meets no failure. What fails tells of the disk and of nothing else. If the
 * session still answers, it is as before or as after the operation; then the power goes, the
 * database is opened again, and is as before or after too - as after, if the operation was
 * acknowledged. Every stored byte, every index and the constraints hold.
 */
#include "short_work.h"

#include "table/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPENING = SHORT_OPERATIONS, /* The scenario without an operation. */
    STRIDE_USUAL = 29,          /* Of the allocations one in so many. */
};

typedef enum fault { DISK_ONCE, DISK_FOR_EVER, ANY_CALL } fault;

typedef struct scenario {
    unsigned operation;
    const sim_disk *base;
    kd_arena *arena;
    kd_slice before, after;
} scenario;

static struct {
    unsigned calls, failed;
} totals;

static sim_world *world_make(const scenario *it, uint64_t seed, sim_disk **out_disk)
{
    bool nothing = false;
    *out_disk = sim_disk_copy(it->base);
    sim_disk_lose(*out_disk, 512, &nothing); /* The base has nothing pending. */
    return sim_create(*out_disk, seed);
}

static void world_end(sim_world *sim, sim_session *on)
{
    sim_crash(sim);
    if (on->database != NULL)
        kd_database_abandon(on->database);
    on->database = NULL;
    sim_destroy(sim);
}

static kd_status operation_do(kd_ctx *ctx, sim_session *on, unsigned operation)
{
    return operation == OPENING ? KD_OK : short_work_do(ctx, on, operation, 0);
}

static void answers_learn(scenario *it)
{
    sim_session on = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    sim_disk *disk;
    sim_world *sim = world_make(it, 1, &disk);
    kd_ctx ctx = sim_ctx(sim);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &on));
    it->before = short_work_answers(&on, it->arena);
    CHECK_STATUS(&ctx, operation_do(&ctx, &on, it->operation));
    it->after = short_work_answers(&on, it->arena);
    world_end(sim, &on);
    sim_disk_destroy(disk);
}

static void answers_check(const scenario *it, sim_session *on, bool is_acknowledged)
{
    kd_arena *arena = test_arena(sim_session_ctx(on));
    kd_slice got = short_work_answers(on, arena);
    bool is_good =
        kd_slice_equal(got, it->after) || (!is_acknowledged && kd_slice_equal(got, it->before));
    if (!is_good)
        test_fail(__FILE__, __LINE__, "expected\n%.*s\ngot\n%.*s", (int)it->after.size_bytes,
                  it->after.data, (int)got.size_bytes, got.data);
    kd_arena_destroy(arena);
}

static void must_be_expected(const kd_error *error, fault how)
{
    bool is_resource = how == ANY_CALL && (strcmp(error->sqlstate, "53200") == 0 ||
                                           strcmp(error->sqlstate, "53000") == 0); /* A thread. */
    if (!is_resource && strcmp(error->sqlstate, "58030") != 0 &&
        strcmp(error->sqlstate, "53100") != 0)
        test_fail(__FILE__, __LINE__, "%s %s", error->sqlstate, error->message);
}

/* Where the disk works again, the database of the failed operation goes on, or says that its log is
 * gone. */
static void session_check(const scenario *it, sim_session *on, fault how)
{
    if (sim_script(on, "ROLLBACK") != KD_OK || sim_script(on, "SELECT 1") != KD_OK) {
        must_be_expected(&sim_session_ctx(on)->error, how);
        return;
    }
    answers_check(it, on, false);
}

static void reopened_check(const scenario *it, sim_disk *disk, bool is_acknowledged)
{
    sim_session on = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    sim_world *sim = sim_create(disk, 2);
    kd_ctx ctx = sim_ctx(sim);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &on));
    CHECK_STATUS(&ctx, kd_storage_check(&ctx, kd_database_storage(on.database)));
    answers_check(it, &on, is_acknowledged);
    short_work_constraints(&on);
    world_end(sim, &on);
}

static void fault_plan(sim_world *sim, uint64_t nth, fault how)
{
    if (how == ANY_CALL)
        sim_fail_nth(sim, nth, false);
    else
        sim_fail_nth_disk_call(sim, nth, how == DISK_FOR_EVER);
}

/* True when the operation made fewer calls. */
static bool run_with(const scenario *it, uint64_t nth, fault how)
{
    sim_session on = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    sim_disk *disk;
    sim_world *sim = world_make(it, nth, &disk);
    kd_ctx ctx = sim_ctx(sim);
    test_note("%s: call %llu fails, way %d",
              it->operation == OPENING ? "open" : short_operation_name(it->operation),
              (unsigned long long)nth, (int)how);
    if (it->operation == OPENING)
        fault_plan(sim, nth, how);
    kd_status status = sim_session_open(&ctx, &on);
    if (status == KD_OK && it->operation != OPENING) {
        fault_plan(sim, nth, how);
        status = operation_do(&ctx, &on, it->operation);
    }
    bool has_fired = sim_fault_fired(sim);
    fault_plan(sim, how == DISK_FOR_EVER ? nth : 0, how);
    CHECK(status == KD_OK || has_fired);
    if (status != KD_OK)
        must_be_expected(&ctx.error, how);
    if (status != KD_OK && on.session != NULL && how != DISK_FOR_EVER)
        session_check(it, &on, how);
    world_end(sim, &on);
    reopened_check(it, disk, status == KD_OK);
    sim_disk_destroy(disk);
    totals.calls += has_fired;
    totals.failed += status != KD_OK;
    return !has_fired;
}

static void scenarios_run(fault first, fault last, uint64_t stride)
{
    kd_ctx ctx = test_ctx();
    sim_disk *base = short_work_base();
    (void)alarm(0);
    for (unsigned operation = 0; operation <= OPENING; operation++) {
        scenario it = {.operation = operation, .base = base, .arena = test_arena(&ctx)};
        answers_learn(&it);
        for (int how = (int)first; how <= (int)last; how++)
            for (uint64_t nth = 1 + operation % stride; !run_with(&it, nth, (fault)how);)
                nth += stride;
        kd_arena_destroy(it.arena);
    }
    sim_disk_destroy(base);
    printf("%d scenarios, %u calls failed, %u of these failed the operation\n", OPENING + 1,
           totals.calls, totals.failed);
}

TEST(every_scenario_survives_every_failing_disk_call)
{
    scenarios_run(DISK_ONCE, DISK_FOR_EVER, 1);
}

TEST(every_scenario_survives_failing_allocations)
{
    const char *text = getenv("SWEEP_STRIDE");
    uint64_t stride = text == NULL ? STRIDE_USUAL : strtoull(text, NULL, 10);
    CHECK(stride > 0);
    scenarios_run(ANY_CALL, ANY_CALL, stride);
}
