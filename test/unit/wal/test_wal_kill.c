/*
 * A real process appends from several threads on the real disk and is killed at a random
 * moment, again and again on one log. What it had acknowledged, told through shared
 * memory, must be there when the log is opened the next time.
 *
 * KADE_TEST_SEEDS is the number of kills.
 */
#include "base/thread.h"
#include "wal_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREAD_COUNT = 3, KILLS_USUAL = 25, FILE_BYTES = 256 << 10 };

/* Shared between the processes. */
typedef struct ledger {
    atomic_uint_fast64_t acknowledged[THREAD_COUNT];
    atomic_uint_fast64_t checkpoint; /* Recovery begins here. */
} ledger;

typedef struct recovery {
    uint64_t next[THREAD_COUNT];
    bool is_known[THREAD_COUNT]; /* The first record behind the checkpoint was seen. */
    uint64_t last_position;
} recovery;

static ledger *the_ledger;
static kd_wal *the_wal;
static recovery the_recovery;
static kd_account account;

static kd_status see_recovered(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    recovery *self = object;
    uint64_t number = fixture_check(record);
    uint64_t thread_no = number >> 32;
    CHECK(thread_no < THREAD_COUNT);
    uint64_t index = number & UINT32_MAX;
    if (self->is_known[thread_no])
        CHECK_EQ(index, self->next[thread_no]);
    self->is_known[thread_no] = true;
    self->next[thread_no] = index + 1;
    CHECK(record->position > self->last_position);
    self->last_position = record->position;
    return KD_OK;
}

static void log_open(kd_ctx *ctx, const char *directory)
{
    memset(&the_recovery.is_known, 0, sizeof the_recovery.is_known);
    the_recovery.last_position = 0;
    kd_account_init(&account, NULL, "wal", SIZE_MAX);
    kd_wal_options options = {
        .directory = directory,
        .log_id = FIXTURE_LOG_ID,
        .create = true,
        .start_position = atomic_load(&the_ledger->checkpoint),
        .known_durable_position = atomic_load(&the_ledger->checkpoint),
        .file_bytes = FILE_BYTES,
        .buffer_bytes = 1 << 20,
    };
    CHECK_STATUS(ctx, kd_wal_open(ctx, &account, &options, see_recovered, &the_recovery, &the_wal));
}

/* Makes everything durable, notes the place, lets old files go. */
static void checkpoint(kd_ctx *ctx)
{
    uint64_t position = kd_wal_next_position(the_wal);
    CHECK_STATUS(ctx, kd_wal_wait_durable(ctx, the_wal, position));
    uint64_t before = atomic_load(&the_ledger->checkpoint);
    while (before < position &&
           !atomic_compare_exchange_weak(&the_ledger->checkpoint, &before, position)) {
    }
    CHECK_STATUS(ctx, kd_wal_truncate_before(ctx, the_wal, atomic_load(&the_ledger->checkpoint)));
}

static void append_for_ever(void *object)
{
    uint64_t thread_no = (uint64_t)(uintptr_t)object;
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    test_random random = {.state = thread_no + (uint64_t)getpid() * 8};
    for (uint64_t index = the_recovery.next[thread_no];; index++) {
        kd_arena_reset(arena);
        kd_buffer buffer = kd_buffer_in(arena);
        size_t payload_bytes =
            8 + test_random_below(&random, test_random_below(&random, 20) == 0 ? 400000 : 900);
        fixture_record(&ctx, &buffer, thread_no << 32 | index, payload_bytes);
        uint64_t end;
        CHECK_STATUS(&ctx,
                     kd_wal_append(&ctx, the_wal, buffer.data, buffer.size_bytes, NULL, &end));
        if (test_random_below(&random, 4) == 0)
            continue;
        CHECK_STATUS(&ctx, kd_wal_wait_durable(&ctx, the_wal, end));
        atomic_store(&the_ledger->acknowledged[thread_no], index + 1);
        if (test_random_below(&random, 50) == 0)
            checkpoint(&ctx);
    }
}

static _Noreturn void victim_run(const char *directory)
{
    kd_ctx ctx = test_ctx();
    log_open(&ctx, directory);
    for (uint64_t i = 0; i < THREAD_COUNT; i++) {
        kd_thread *thread;
        CHECK_STATUS(
            &ctx, kd_thread_start(&ctx, "victim", append_for_ever, (void *)(uintptr_t)i, &thread));
    }
    for (;;)
        (void)pause();
}

/* Looks at the log as the next owner would, and keeps what it found for the next victim. */
static void survivors_check(kd_ctx *ctx, const char *directory)
{
    uint64_t before[THREAD_COUNT];
    memcpy(before, the_recovery.next, sizeof before);
    log_open(ctx, directory);
    for (int i = 0; i < THREAD_COUNT; i++) {
        uint64_t acknowledged = atomic_load(&the_ledger->acknowledged[i]);
        /* Nothing behind the checkpoint: the count of then stands, or what was acknowledged since.
         */
        if (!the_recovery.is_known[i] && acknowledged > the_recovery.next[i])
            the_recovery.next[i] = acknowledged;
        CHECK(the_recovery.next[i] >= acknowledged);
        CHECK(the_recovery.next[i] >= before[i]);
    }
    kd_wal_abandon(ctx->world, the_wal);
}

static uint64_t acknowledged_total(void)
{
    uint64_t total = 0;
    for (int i = 0; i < THREAD_COUNT; i++)
        total += atomic_load(&the_ledger->acknowledged[i]);
    return total;
}

TEST(wal_survives_being_killed_at_any_moment)
{
    kd_ctx ctx = test_ctx();
    const char *directory = test_path("wal");
    the_ledger =
        mmap(NULL, sizeof *the_ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(the_ledger != MAP_FAILED);
    uint64_t kill_count = test_seed_count(KILLS_USUAL);
    test_random random = {.state = ctx.world->random_u64(ctx.world)};
    /* A slow machine may need more tries until a victim gets to work at all. */
    for (uint64_t i = 0; i < kill_count || (acknowledged_total() == 0 && i < 1000); i++) {
        pid_t victim = fork();
        CHECK(victim >= 0);
        if (victim == 0)
            victim_run(directory);
        /* Some die while they recover, most of them at work. */
        uint64_t microseconds = 300 + test_random_below(&random, 1u << (10 + i % 7));
        ctx.world->sleep_ns(ctx.world, microseconds * 1000);
        CHECK_EQ(kill(victim, SIGKILL), 0);
        int result = 0;
        CHECK(waitpid(victim, &result, 0) == victim);
        CHECK(WIFSIGNALED(result)); /* It had not ended by a failed check before. */
        test_note("kill %llu after %llu us", (unsigned long long)i,
                  (unsigned long long)microseconds);
        survivors_check(&ctx, directory);
    }
    CHECK(acknowledged_total() > 0);
    CHECK(munmap(the_ledger, sizeof *the_ledger) == 0);
}
