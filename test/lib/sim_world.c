/*
 * The simulated world's table: clock, chance, memory, counting of faults; and the fault
 * sweep.
 */
#include "sim_internal.h"

#include "base/hash.h"

#include <stdlib.h>

void sim_trace_add(sim_world *sim, uint64_t event)
{
    sim->trace = kd_hash_combine(sim->trace, event);
}

/* One fallible call that is no disk call. */
bool sim_allocation_due(sim_world *sim)
{
    if (sim->calls_until_fault == 0 || --sim->calls_until_fault > 0)
        return false;
    if (sim->fault_forever)
        sim->calls_until_fault = 1;
    sim->fault_fired = true;
    return true;
}

static bool sim_allocation_fails(kd_world *world)
{
    return sim_allocation_due(world->impl);
}

/* The real machine's: they stay the same from run to run. */
static size_t sim_machine_read(kd_world *world, const char *path, void *target, size_t size_bytes)
{
    (void)world;
    kd_world *real = kd_world_posix();
    return real->machine_read(real, path, target, size_bytes);
}

static uint64_t sim_monotonic_ns(kd_world *world)
{
    sim_world *sim = world->impl;
    return sim->clock_ns += 50;
}

static int64_t sim_wall_us(kd_world *world)
{
    sim_world *sim = world->impl;
    return 1800000000000000 + sim->wall_offset_us + (int64_t)(sim->clock_ns / 1000);
}

static uint64_t sim_random_u64(kd_world *world)
{
    sim_world *sim = world->impl;
    return test_random_next(&sim->user_random);
}

static void sim_sleep_ns(kd_world *world, uint64_t duration_ns)
{
    sim_sleep(world->impl, duration_ns);
}

/* Filled with one pattern, so that a use of fresh memory is the same in every run. */
static void *sim_memory_alloc(kd_world *world, size_t size_bytes)
{
    sim_world *sim = world->impl;
    void *memory = kd_world_posix()->memory_alloc(world, size_bytes);
    CHECK(memory != NULL);
    memset(memory, 0xa5, size_bytes < 4096 ? size_bytes : 4096);
    sim->used_bytes += size_bytes;
    return memory;
}

static void sim_memory_free(kd_world *world, void *memory, size_t size_bytes)
{
    sim_world *sim = world->impl;
    CHECK(sim->used_bytes >= size_bytes);
    sim->used_bytes -= size_bytes;
    kd_world_posix()->memory_free(world, memory, size_bytes);
}

static unsigned sim_processor_count(kd_world *world)
{
    (void)world;
    return 4;
}

static uint64_t sim_memory_total_bytes(kd_world *world)
{
    (void)world;
    return (uint64_t)1 << 30;
}

sim_world *sim_create(sim_disk *disk, uint64_t seed)
{
    sim_world *sim = calloc(1, sizeof *sim);
    CHECK(sim != NULL);
    sim->disk = disk;
    sim->seed = seed;
    sim->clock_ns = 1000000000;
    sim->schedule_random.state = kd_hash_u64(seed + 1);
    sim->fault_random.state = kd_hash_u64(seed + 2000003);
    sim->user_random.state = kd_hash_u64(seed + 4000037);
    sim->world = (kd_world){
        .impl = sim,
        .schedule = &sim_schedule,
        .machine_read = sim_machine_read,
        .monotonic_ns = sim_monotonic_ns,
        .wall_us = sim_wall_us,
        .random_u64 = sim_random_u64,
        .sleep_ns = sim_sleep_ns,
        .memory_alloc = sim_memory_alloc,
        .memory_free = sim_memory_free,
        .allocation_fails = sim_allocation_fails,
        .processor_count = sim_processor_count,
        .memory_total_bytes = sim_memory_total_bytes,
    };
    sim_disk_install(&sim->world);
    sim_threads_begin(sim);
    return sim;
}

void sim_destroy(sim_world *sim)
{
    CHECK_EQ(sim->open_file_count, 0);
    CHECK_EQ(sim->used_bytes, 0);
    sim_threads_end(sim);
    free(sim);
}

kd_world *sim_kd_world(sim_world *sim)
{
    return &sim->world;
}

kd_ctx sim_ctx(sim_world *sim)
{
    kd_ctx ctx = {.world = &sim->world};
    kd_error_clear(&ctx);
    return ctx;
}

void sim_fail_nth(sim_world *sim, uint64_t nth, bool forever)
{
    sim->calls_until_fault = nth;
    sim->fault_forever = forever;
    sim->fault_fired = false;
}

void sim_fail_nth_disk_call(sim_world *sim, uint64_t nth, bool forever)
{
    sim->disk_calls_until_fault = nth;
    sim->fault_forever = forever;
    sim->fault_fired = false;
}

bool sim_fault_fired(const sim_world *sim)
{
    return sim->fault_fired;
}

void sim_spoil_nth_write(sim_world *sim, uint64_t nth, sim_spoilt_write how)
{
    sim->writes_until_spoilt = nth;
    sim->spoils = how;
    sim->write_is_spoilt = false;
}

bool sim_write_was_spoilt(const sim_world *sim)
{
    return sim->write_is_spoilt;
}

void sim_crash_at(sim_world *sim, uint64_t nth)
{
    sim->calls_until_crash = nth;
}

void sim_crash(sim_world *sim)
{
    if (sim->has_crashed)
        return;
    sim->has_crashed = true;
    sim_disk_lose_power(sim->disk, &sim->fault_random);
}

bool sim_has_crashed(const sim_world *sim)
{
    return sim->has_crashed;
}

void sim_jump_clock(sim_world *sim, int64_t micros)
{
    sim->wall_offset_us += micros;
}

uint64_t sim_disk_call_count(const sim_world *sim)
{
    return sim->disk_call_count;
}

uint64_t sim_trace(const sim_world *sim)
{
    return sim->trace;
}

size_t sim_open_file_count(const sim_world *sim)
{
    return sim->open_file_count;
}

size_t sim_used_bytes(const sim_world *sim)
{
    return sim->used_bytes;
}

/* One run of a sweep; true when the planned fault did not occur any more. */
static bool sweep_step(uint64_t nth, kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                       void (*setup)(sim_world *sim, kd_ctx *ctx), bool may_tolerate)
{
    test_note("fault sweep, call %llu fails", (unsigned long long)nth);
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    if (setup != NULL)
        setup(sim, &ctx);
    size_t memory_before = sim->used_bytes;
    size_t files_before = sim->open_file_count;
    sim_fail_nth(sim, nth, false);

    kd_status status = body(sim, &ctx);

    sim->calls_until_fault = 0;
    bool has_fired = sim->fault_fired;
    CHECK_EQ(sim->used_bytes, memory_before);
    CHECK_EQ(sim->open_file_count, files_before);
    CHECK_EQ(ctx.error.status, status);
    if (!has_fired && status != KD_OK)
        test_fail(__FILE__, __LINE__, "the run without a fault failed: %s %s", ctx.error.sqlstate,
                  ctx.error.message);
    if (!may_tolerate && has_fired)
        CHECK(status != KD_OK);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return !has_fired;
}

static void sweep(kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                  void (*setup)(sim_world *sim, kd_ctx *ctx), bool may_tolerate)
{
    uint64_t nth = 1;
    while (!sweep_step(nth, body, setup, may_tolerate))
        nth++;
    CHECK(nth > 1); /* A body without a single fallible call was not tested. */
    test_note("%s", "");
}

void sim_sweep_faults(kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                      void (*setup)(sim_world *sim, kd_ctx *ctx))
{
    sweep(body, setup, false);
}

void sim_sweep_faults_tolerated(kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                                void (*setup)(sim_world *sim, kd_ctx *ctx))
{
    sweep(body, setup, true);
}
