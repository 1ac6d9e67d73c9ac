/*
 * Several threads append, wait, checkpoint and truncate in the simulated world, the disk
 * is full at times, and the power fails at a call that the seed chooses, up to three times on one
 * disk. After each time the log is opened again and compared with what its users were told:
 *
 *   - every acknowledged record is there, at the position that it was given;
 *   - the records of a thread are there without a gap, and whole;
 *   - positions ascend.
 *
 * The same seed twice gives the same trace.
 */
#include "sim_world.h"
#include "wal_fixture.h"

#include <stdlib.h>

enum { THREAD_COUNT = 3, RECORD_COUNT_MAX = 400, APPENDS_PER_ROUND = 25, ROUND_COUNT = 4 };

typedef struct history {
    uint64_t positions[RECORD_COUNT_MAX]; /* As given by the append; 0 while it is under way. */
    uint64_t count;                       /* Appended, as far as known to have survived. */
    uint64_t acknowledged;                /* Of these, the first so many were durable once. */
    uint64_t flushed;   /* Of these, so many were flushed, which holds with no_sync too. */
    uint64_t next_seen; /* While recovering. */
} history;

typedef struct simulation {
    uint64_t seed;
    bool no_sync; /* Then a power cut may take anything but the order away. */
    sim_disk *disk;
    sim_world *sim;
    kd_account account;
    kd_wal *wal;
    history histories[THREAD_COUNT];
    uint64_t start_position; /* The last checkpoint. */
    uint64_t last_position;
} simulation;

typedef struct appender {
    simulation *run;
    history *self;
    uint64_t thread_no;
    uint64_t round;
    kd_thread *thread;
} appender;

static kd_status see_recovered(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    simulation *run = object;
    uint64_t number = fixture_check(record);
    CHECK(number >> 32 < THREAD_COUNT);
    history *owner = &run->histories[number >> 32];
    uint64_t index = number & UINT32_MAX;
    CHECK_EQ(index, owner->next_seen);
    CHECK(index < owner->count);
    /* 0: the crash came before the append returned, but the record had been written. */
    if (owner->positions[index] != 0)
        CHECK_EQ(record->position, owner->positions[index]);
    owner->positions[index] = record->position;
    CHECK(record->position > run->last_position);
    run->last_position = record->position;
    owner->next_seen++;
    return KD_OK;
}

/* What may come out: everything behind the checkpoint. */
static void recovery_expect(simulation *run)
{
    run->last_position = 0;
    for (int i = 0; i < THREAD_COUNT; i++) {
        history *owner = &run->histories[i];
        owner->next_seen = 0;
        while (owner->next_seen < owner->count && owner->positions[owner->next_seen] != 0 &&
               owner->positions[owner->next_seen] < run->start_position)
            owner->next_seen++;
    }
}

static void recovery_compare(simulation *run)
{
    for (int i = 0; i < THREAD_COUNT; i++) {
        history *owner = &run->histories[i];
        if (owner->next_seen < owner->acknowledged)
            test_fail(__FILE__, __LINE__, "thread %d: %llu records acknowledged, %llu recovered", i,
                      (unsigned long long)owner->acknowledged,
                      (unsigned long long)owner->next_seen);
        owner->count = owner->next_seen;
        for (uint64_t rest = owner->count; rest < RECORD_COUNT_MAX; rest++)
            owner->positions[rest] = 0;
    }
}

static size_t payload_choose(test_random *random)
{
    switch (test_random_below(random, 16)) {
    case 0:
        return 8 + test_random_below(random, 300000);
    case 1:
    case 2:
        return 3900 + test_random_below(random, 300);
    default:
        return 8 + test_random_below(random, 500);
    }
}

/* One append by one of the two ways. */
static kd_status append_one(kd_ctx *ctx, appender *me, kd_arena *arena, test_random *random,
                            uint64_t *out_end)
{
    kd_wal *wal = me->run->wal;
    history *self = me->self;
    kd_arena_reset(arena);
    kd_buffer buffer = kd_buffer_in(arena);
    uint64_t index = self->count;
    fixture_record(ctx, &buffer, me->thread_no << 32 | index, payload_choose(random));
    self->count++;
    self->positions[index] = 0;
    if (test_random_below(random, 2) == 0)
        return kd_wal_append(ctx, wal, buffer.data, buffer.size_bytes, &self->positions[index],
                             out_end);
    kd_wal_reservation reservation;
    KD_TRY(kd_wal_reserve(ctx, wal, buffer.size_bytes, 0, NULL, NULL, &reservation));
    self->positions[index] = reservation.position;
    *out_end = reservation.end;
    kd_yield(ctx->world);
    return kd_wal_fill(ctx, wal, &reservation, buffer.data);
}

static kd_status checkpoint(kd_ctx *ctx, simulation *run)
{
    uint64_t position = kd_wal_next_position(run->wal);
    KD_TRY(kd_wal_flush(ctx, run->wal));
    if (position > run->start_position)
        run->start_position = position;
    return kd_wal_truncate_before(ctx, run->wal, run->start_position);
}

/* Appends; a full disk is given room sooner or later, and the record is tried again. */
static kd_status append_with_room(kd_ctx *ctx, appender *me, kd_arena *arena, test_random *random,
                                  uint64_t *out_end)
{
    for (;;) {
        kd_status status = append_one(ctx, me, arena, random, out_end);
        if (status == KD_OK || strcmp(ctx->error.sqlstate, "53100") != 0)
            return status;
        kd_error_clear(ctx);
        me->self->count--;
        if (test_random_below(random, 2) == 0)
            sim_disk_set_capacity(me->run->disk, 0);
    }
}

static kd_status append_until_failure(kd_ctx *ctx, appender *me, kd_arena *arena)
{
    test_random random = {.state = me->run->seed * 1000 + me->round * 10 + me->thread_no};
    for (int i = 0; i < APPENDS_PER_ROUND && me->self->count < RECORD_COUNT_MAX; i++) {
        uint64_t end;
        KD_TRY(append_with_room(ctx, me, arena, &random, &end));
        uint64_t count = me->self->count;
        uint64_t choice = test_random_below(&random, 10);
        if (choice < 6) {
            bool by_first_byte = end - me->self->positions[count - 1] <= KD_WAL_WHOLE_BYTES;
            uint64_t position = by_first_byte ? me->self->positions[count - 1] + 1 : end;
            KD_TRY(kd_wal_wait_durable(ctx, me->run->wal, position));
            CHECK(kd_wal_durable_position(me->run->wal) >= end);
            me->self->acknowledged = count;
        } else if (choice == 6) {
            KD_TRY(checkpoint(ctx, me->run));
            me->self->acknowledged = count;
            me->self->flushed = count;
        } else if (choice == 7) {
            kd_status status = kd_wal_prepare(ctx, me->run->wal);
            if (status != KD_OK && strcmp(ctx->error.sqlstate, "53100") != 0)
                return status;
            kd_error_clear(ctx);
        } else if (choice == 8) {
            sim_disk_set_capacity(me->run->disk, sim_disk_used_bytes(me->run->disk) +
                                                     test_random_below(&random, 1 << 20));
        }
    }
    return KD_OK;
}

static void appender_main(void *object)
{
    appender *me = object;
    kd_ctx ctx = sim_ctx(me->run->sim);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "appender", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    kd_status status = append_until_failure(&ctx, me, arena);
    if (status != KD_OK)
        CHECK_EQ(status, KD_IO);
    kd_arena_destroy(arena);
}

static void threads_run(simulation *run, uint64_t round)
{
    kd_ctx ctx = sim_ctx(run->sim);
    appender appenders[THREAD_COUNT];
    for (uint64_t i = 0; i < THREAD_COUNT; i++) {
        appenders[i] =
            (appender){.run = run, .self = &run->histories[i], .thread_no = i, .round = round};
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "appender", appender_main, &appenders[i],
                                           &appenders[i].thread));
    }
    for (int i = 0; i < THREAD_COUNT; i++)
        kd_thread_join(ctx.world, appenders[i].thread);
    sim_disk_set_capacity(run->disk, 0);
}

/* Opens, works, ends one way or another. Gives the trace of the round. */
static uint64_t round_run(simulation *run, sim_disk *disk, uint64_t round, test_random *random)
{
    run->sim = sim_create(disk, run->seed * ROUND_COUNT + round);
    kd_ctx ctx = sim_ctx(run->sim);
    kd_account_init(&run->account, NULL, "wal", SIZE_MAX);
    kd_wal_options options = {
        .directory = "wal",
        .log_id = FIXTURE_LOG_ID,
        .create = run->start_position == 0,
        .start_position = run->start_position,
        .known_durable_position = run->start_position,
        .file_bytes = 64 << 10,
        .buffer_bytes = 1 << 20,
        .spare_files_max = 2,
        .no_sync = run->no_sync,
    };
    bool is_last = round == ROUND_COUNT - 1;
    uint64_t way = is_last ? 3 : test_random_below(random, 4);
    uint64_t nth = 1 + test_random_below(random, 1u << test_random_below(random, 9));
    if (way < 2)
        sim_crash_at(run->sim, nth);
    else if (way == 2 && !run->no_sync)
        sim_fail_nth_disk_call(run->sim, nth, test_random_below(random, 2) != 0);

    recovery_expect(run);
    kd_status status = kd_wal_open(&ctx, &run->account, &options, see_recovered, run, &run->wal);
    if (status == KD_OK) {
        recovery_compare(run);
        threads_run(run, round);
        if (sim_has_crashed(run->sim) || test_random_below(random, 2) != 0)
            kd_wal_abandon(ctx.world, run->wal);
        else
            status = kd_wal_close(&ctx, run->wal);
        CHECK(status == KD_OK || status == KD_IO);
    } else if (status != KD_IO || way == 3) {
        CHECK_STATUS(&ctx, status);
    }
    if (way < 2) {
        sim_crash(run->sim);
        for (int i = 0; i < THREAD_COUNT && run->no_sync; i++)
            run->histories[i].acknowledged = run->histories[i].flushed;
    }
    uint64_t trace = sim_trace(run->sim);
    sim_destroy(run->sim);
    return trace;
}

static uint64_t seed_run(uint64_t seed, bool no_sync)
{
    simulation *run = calloc(1, sizeof *run);
    CHECK(run != NULL);
    run->seed = seed;
    run->no_sync = no_sync;
    sim_disk *disk = sim_disk_create();
    run->disk = disk;
    test_random random = {.state = seed};
    uint64_t trace = 0;
    for (uint64_t round = 0; round < ROUND_COUNT; round++) {
        test_note("seed %llu, round %llu", (unsigned long long)seed, (unsigned long long)round);
        trace = trace * 31 + round_run(run, disk, round, &random);
    }
    sim_disk_destroy(disk);
    free(run);
    return trace;
}

TEST(wal_loses_nothing_acknowledged_under_any_seed)
{
    uint64_t count = test_seed_count(300);
    for (uint64_t seed = 1; seed <= count; seed++)
        (void)seed_run(seed, false);
}

/* Acknowledged records may be lost to the power then, never to a killed process; and what is left
 * is a log without a gap, not a damaged one. */
TEST(wal_without_sync_opens_after_any_seed)
{
    uint64_t count = test_seed_count(100);
    for (uint64_t seed = 1; seed <= count; seed++)
        (void)seed_run(seed, true);
}

TEST(wal_simulation_replays_exactly)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = seed_run(seed, false);
        CHECK_EQ(seed_run(seed, false), first);
    }
}
