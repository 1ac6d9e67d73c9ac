/*
 * The simulated world itself: what it promises to lose is lost by some seed, what it
 * promises to keep is kept by all, and a seed is all that a run depends on.
 */
#include "base/epoch.h"
#include "sim_world.h"

enum { SEED_COUNT = 60, THREAD_COUNT = 4, STEP_COUNT = 50 };

/* A file with "old" durable and "new" written over it without a sync; then the power goes. */
static char survivor_of(uint64_t seed, bool sync)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    kd_world *world = sim_kd_world(sim);
    kd_file *file;
    CHECK_STATUS(&ctx, world->file_open(&ctx, "f", KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(&ctx, world->file_write(&ctx, file, 0, "old", 3));
    CHECK_STATUS(&ctx, world->file_sync(&ctx, file));
    CHECK_STATUS(&ctx, world->directory_sync(&ctx, "."));
    CHECK_STATUS(&ctx, world->file_write(&ctx, file, 0, "new", 3));
    if (sync)
        CHECK_STATUS(&ctx, world->file_sync(&ctx, file));
    sim_crash(sim);
    CHECK_FAILS(&ctx, world->file_sync(&ctx, file), "58030");
    world->file_close(world, file);
    sim_destroy(sim);

    sim = sim_create(disk, seed);
    ctx = sim_ctx(sim);
    world = sim_kd_world(sim);
    char bytes[3];
    size_t read_bytes;
    CHECK_STATUS(&ctx, world->file_open(&ctx, "f", KD_FILE_READ, &file));
    CHECK_STATUS(&ctx, world->file_read(&ctx, file, 0, bytes, 3, &read_bytes));
    CHECK_EQ(read_bytes, 3);
    world->file_close(world, file);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return bytes[0];
}

TEST(sim_crash_may_keep_or_lose_only_what_was_not_synced)
{
    unsigned kept = 0, lost = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        CHECK_EQ(survivor_of(seed, true), 'n');
        char first = survivor_of(seed, false);
        kept += first == 'n';
        lost += first == 'o';
    }
    CHECK_EQ(kept + lost, SEED_COUNT);
    CHECK(kept > 5 && lost > 5);
}

TEST(sim_rename_is_atomic_and_durable_only_after_the_directory_sync)
{
    unsigned old_names = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, seed);
        kd_ctx ctx = sim_ctx(sim);
        kd_world *world = sim_kd_world(sim);
        kd_file *file;
        CHECK_STATUS(&ctx, world->directory_create(&ctx, "d"));
        CHECK_STATUS(&ctx, world->file_open(&ctx, "d/new", KD_FILE_WRITE | KD_FILE_CREATE, &file));
        world->file_close(world, file);
        CHECK_STATUS(&ctx, world->directory_sync(&ctx, "."));
        CHECK_STATUS(&ctx, world->directory_sync(&ctx, "d"));
        CHECK_STATUS(&ctx, world->path_rename(&ctx, "d/new", "d/name"));
        if (seed % 2 == 0)
            CHECK_STATUS(&ctx, world->directory_sync(&ctx, "d"));
        sim_crash(sim);
        sim_destroy(sim);
        uint64_t size_bytes;
        bool has_new = sim_disk_file_size(disk, "d/new", &size_bytes);
        bool has_name = sim_disk_file_size(disk, "d/name", &size_bytes);
        CHECK(has_new != has_name);
        if (seed % 2 == 0)
            CHECK(has_name);
        old_names += has_new;
        sim_disk_destroy(disk);
    }
    CHECK(old_names > 3);
}

TEST(sim_failed_sync_loses_writes_and_the_next_one_lies)
{
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        sim_disk *disk = sim_disk_create();
        sim_world *sim = sim_create(disk, seed);
        kd_ctx ctx = sim_ctx(sim);
        kd_world *world = sim_kd_world(sim);
        kd_file *file;
        CHECK_STATUS(&ctx, world->file_open(&ctx, "f", KD_FILE_WRITE | KD_FILE_CREATE, &file));
        CHECK_STATUS(&ctx, world->directory_sync(&ctx, "."));
        CHECK_STATUS(&ctx, world->file_write(&ctx, file, 0, "data", 4));
        sim_fail_nth_disk_call(sim, 1, false);
        CHECK_EQ(world->file_sync(&ctx, file), KD_IO);
        kd_error_clear(&ctx);
        CHECK_STATUS(&ctx, world->file_sync(&ctx, file));
        world->file_close(world, file);
        sim_crash(sim);
        sim_destroy(sim);
        uint64_t size_bytes;
        CHECK(sim_disk_file_size(disk, "f", &size_bytes));
        lost += size_bytes == 0;
        sim_disk_destroy(disk);
    }
    CHECK(lost > 5 && lost < SEED_COUNT);
}

/* Threads that count under a mutex, wait for each other and sleep. */
typedef struct shared {
    sim_world *sim;
    kd_mutex lock;
    kd_cond changed;
    kd_rwlock guard;
    unsigned count;
    unsigned guarded;
} shared;

static void count_up(void *object)
{
    shared *self = object;
    kd_world *world = sim_kd_world(self->sim);
    for (int i = 0; i < STEP_COUNT; i++) {
        kd_mutex_lock(&self->lock);
        unsigned before = self->count;
        kd_yield(world);
        self->count = before + 1; /* Lost if the mutex let anybody in. */
        kd_cond_broadcast(&self->changed);
        kd_mutex_unlock(&self->lock);
        if (i % 10 == 0)
            world->sleep_ns(world, 1000000);
        if (i % 7 == 0) {
            kd_rwlock_lock_exclusive(&self->guard);
            unsigned guarded = self->guarded;
            kd_yield(world);
            self->guarded = guarded + 1;
            kd_rwlock_unlock_exclusive(&self->guard);
        } else {
            kd_rwlock_lock_shared(&self->guard);
            kd_rwlock_unlock_shared(&self->guard);
        }
    }
}

static uint64_t threads_trace(uint64_t seed)
{
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, seed);
    kd_ctx ctx = sim_ctx(sim);
    shared self = {.sim = sim};
    kd_mutex_init(&self.lock, ctx.world);
    kd_cond_init(&self.changed, ctx.world);
    kd_rwlock_init(&self.guard, ctx.world);
    kd_thread *threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++)
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "counter", count_up, &self, &threads[i]));
    kd_mutex_lock(&self.lock);
    while (self.count < THREAD_COUNT * STEP_COUNT)
        (void)kd_cond_wait(&self.changed, &self.lock, UINT64_MAX);
    CHECK(!kd_cond_wait(&self.changed, &self.lock, 1000) || self.count > 0);
    kd_mutex_unlock(&self.lock);
    for (int i = 0; i < THREAD_COUNT; i++)
        kd_thread_join(ctx.world, threads[i]);
    CHECK_EQ(self.guarded, THREAD_COUNT * ((STEP_COUNT + 6) / 7));
    uint64_t trace = sim_trace(sim);
    kd_rwlock_clear(&self.guard);
    kd_cond_clear(&self.changed);
    kd_mutex_clear(&self.lock);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return trace;
}

TEST(sim_threads_exclude_each_other_and_replay_by_seed)
{
    uint64_t previous = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t trace = threads_trace(seed);
        CHECK_EQ(threads_trace(seed), trace);
        CHECK(trace != previous);
        previous = trace;
    }
}

static kd_status allocate_three(sim_world *sim, kd_ctx *ctx)
{
    (void)sim;
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "three", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    for (int i = 0; i < 2 && status == KD_OK; i++)
        if (kd_alloc(ctx, arena, 100) == NULL)
            status = KD_NOMEM;
    kd_arena_destroy(arena);
    return status;
}

TEST(sim_sweep_reaches_every_allocation)
{
    sim_sweep_faults(allocate_three, NULL);
}
