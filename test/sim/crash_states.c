/*
 * Crash states, enumerated: all workloads of one to three operations on a small database, every
 * moment at which the power can go, and for each moment what the disk may have kept.
 *
 * A workload runs once. Whenever what a crash would meet changes, the disk is copied together with
 * its pending writes. Each copy then stands for many crashes: where few parts are pending, for
 * every subset of them; where many are, for nothing, everything, all but one, and subsets drawn by
 * a seed, in parts of 512 bytes and of 4 KiB. A subset is a reordering too: what was written later
 * may be there and what was written before not. In each of these states the database must open; it
 * must answer as after the last operation that was acknowledged, or as after the one under way;
 * every stored byte, every index against its table, and the constraints must hold. Recoveries are
 * cut off in the same way, up to three deep.
 *
 *     crash_states     a third of KADE_TEST_SEEDS workloads, from SIM_FIRST on; 11000: all
 */
#include "short_work.h"

#include "base/hash.h"
#include "table/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPERATIONS_MAX = SHORT_PLACES,
    ALL_SUBSETS_OF = 5, /* Pending parts: 32 states. */
    DRAWN_SUBSETS = 12,
    MISSING_ONES_MAX = 8,
    PARTS_MAX = 4096,
    DEPTH_MAX = 3, /* Crashes in a row. */
    OPERATIONS = SHORT_OPERATIONS_COMBINED,
    SEEN_SLOTS = 1 << 15,
    SECTOR_BYTES = 512,
    PAGE_BYTES = 4096,
};

/* A moment at which the power may go. */
typedef struct moment {
    sim_disk *disk;
    unsigned acknowledged;
} moment;

typedef struct moments {
    moment *items;
    size_t count, capacity;
    const sim_disk *watched;
    const unsigned *acknowledged;
} moments;

typedef struct workload {
    unsigned count;
    unsigned operations[OPERATIONS_MAX];
    unsigned acknowledged;
    kd_arena *arena;
    kd_slice answers[OPERATIONS_MAX + 1]; /* Before the first, after the first, ... */
    test_random random;
    uint64_t seen[SEEN_SLOTS]; /* Hashes of states that were checked; 0: free. */
    size_t seen_count;
} workload;

static struct {
    uint64_t workloads, moments, states, different, depth[DEPTH_MAX];
} totals;

/* --- Moments ---------------------------------------------------------------------------------- */

static void moment_add(void *object)
{
    moments *all = object;
    if (all->count == all->capacity) {
        all->capacity = all->capacity * 2 + 64;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        CHECK(all->items != NULL);
    }
    all->items[all->count++] =
        (moment){.disk = sim_disk_copy(all->watched), .acknowledged = *all->acknowledged};
}

static void moments_clear(moments *all)
{
    for (size_t i = 0; i < all->count; i++)
        sim_disk_destroy(all->items[i].disk);
    free(all->items);
    *all = (moments){.items = NULL};
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void answers_check(const workload *work, sim_session *it, unsigned acknowledged)
{
    kd_arena *arena = test_arena(sim_session_ctx(it));
    kd_slice got = short_work_answers(it, arena);
    bool is_before = kd_slice_equal(got, work->answers[acknowledged]);
    bool is_after =
        acknowledged < work->count && kd_slice_equal(got, work->answers[acknowledged + 1]);
    if (!is_before && !is_after)
        test_fail(__FILE__, __LINE__, "%u operations were acknowledged; expected\n%.*s\ngot\n%.*s",
                  acknowledged, (int)work->answers[acknowledged].size_bytes,
                  work->answers[acknowledged].data, (int)got.size_bytes, got.data);
    kd_arena_destroy(arena);
}

/* --- One state -------------------------------------------------------------------------------- */

static void explore_some(workload *work, moments *all, unsigned depth);

/* The disk as it is after a crash; it is used up. */
static void state_check(workload *work, sim_disk *disk, unsigned acknowledged, unsigned depth)
{
    sim_session it = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    bool cuts = depth + 1 < DEPTH_MAX && test_random_below(&work->random, 8) == 0;
    moments within = {.watched = disk, .acknowledged = &acknowledged};
    sim_world *sim = sim_create(disk, work->random.state);
    kd_ctx ctx = sim_ctx(sim);
    if (cuts)
        sim_watch_disk(sim, moment_add, &within);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &it));
    sim_watch_disk(sim, NULL, NULL);
    CHECK_STATUS(&ctx, kd_storage_check(&ctx, kd_database_storage(it.database)));
    answers_check(work, &it, acknowledged);
    short_work_constraints(&it);
    sim_crash(sim);
    kd_database_abandon(it.database);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    totals.different++;
    totals.depth[depth]++;
    if (cuts)
        explore_some(work, &within, depth + 1);
    moments_clear(&within);
}

static bool is_new(workload *work, uint64_t hash)
{
    hash += hash == 0;
    size_t at = hash % SEEN_SLOTS;
    while (work->seen[at] != 0 && work->seen[at] != hash)
        at = (at + 1) % SEEN_SLOTS;
    if (work->seen[at] == hash)
        return false;
    if (work->seen_count < SEEN_SLOTS / 2) {
        work->seen[at] = hash;
        work->seen_count++;
    }
    return true;
}

static void crash(workload *work, const moment *at, uint64_t part_bytes, const bool *keeps,
                  unsigned depth)
{
    sim_disk *disk = sim_disk_copy(at->disk);
    sim_disk_lose(disk, part_bytes, keeps);
    totals.states++;
    if (is_new(work, kd_hash_combine(sim_disk_hash(disk), at->acknowledged)))
        state_check(work, disk, at->acknowledged, depth);
    else
        sim_disk_destroy(disk);
}

/* --- Subsets ---------------------------------------------------------------------------------- */

static void keeps_draw(workload *work, bool *keeps, size_t count)
{
    uint64_t share = 1 + test_random_below(&work->random, 7); /* Of eight. */
    for (size_t i = 0; i < count; i++)
        keeps[i] = test_random_below(&work->random, 8) < share;
}

static void crash_by_all(workload *work, const moment *at, uint64_t part_bytes, size_t count,
                         unsigned depth)
{
    bool keeps[ALL_SUBSETS_OF];
    for (unsigned set = 0; set < 1u << count; set++) {
        for (size_t i = 0; i < count; i++)
            keeps[i] = (set >> i & 1) != 0;
        crash(work, at, part_bytes, keeps, depth);
    }
}

static void crash_by_some(workload *work, const moment *at, uint64_t part_bytes, size_t count,
                          unsigned depth)
{
    static bool keeps[PARTS_MAX];
    CHECK(count <= PARTS_MAX);
    for (int all = 0; all < 2; all++) {
        memset(keeps, all, count);
        crash(work, at, part_bytes, keeps, depth);
    }
    for (size_t i = 0; i < count && i < MISSING_ONES_MAX; i++) {
        size_t missing = count - 1 - i;
        memset(keeps, 1, count);
        keeps[missing] = false;
        crash(work, at, part_bytes, keeps, depth);
    }
    for (unsigned i = 0; i < DRAWN_SUBSETS; i++) {
        keeps_draw(work, keeps, count);
        crash(work, at, part_bytes, keeps, depth);
    }
}

static void explore(workload *work, const moments *all)
{
    static const uint64_t sizes[] = {PAGE_BYTES, SECTOR_BYTES};
    for (size_t i = 0; i < all->count; i++) {
        const moment *at = &all->items[i];
        totals.moments++;
        for (size_t k = 0; k < 2; k++) {
            size_t count = sim_disk_pending_count(at->disk, sizes[k]);
            if (k > 0 && count == sim_disk_pending_count(at->disk, sizes[0]))
                continue; /* The same parts. */
            if (count <= ALL_SUBSETS_OF)
                crash_by_all(work, at, sizes[k], count, 0);
            else
                crash_by_some(work, at, sizes[k], count, 0);
        }
    }
}

/* Of a recovery that is cut off: a few of its moments, each in two ways. */
static void explore_some(workload *work, moments *all, unsigned depth)
{
    static bool keeps[DEPTH_MAX][PARTS_MAX];
    for (unsigned i = 0; i < 3 && all->count > 0; i++) {
        const moment *at = &all->items[test_random_below(&work->random, all->count)];
        for (unsigned way = 0; way < 2; way++) {
            size_t count = sim_disk_pending_count(at->disk, SECTOR_BYTES);
            CHECK(count <= PARTS_MAX);
            keeps_draw(work, keeps[depth], count);
            crash(work, at, SECTOR_BYTES, keeps[depth], depth);
        }
    }
}

/* --- Workloads -------------------------------------------------------------------------------- */

/* Runs it once, and collects the moments. */
static void workload_run(workload *work, const sim_disk *base, moments *all)
{
    sim_session it = {.redo_stream_bytes = SHORT_STREAM_BYTES};
    sim_disk *disk = sim_disk_copy(base);
    bool nothing = false;
    CHECK_EQ(sim_disk_pending_count(disk, SECTOR_BYTES), 0);
    sim_disk_lose(disk, SECTOR_BYTES, &nothing);
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    work->acknowledged = 0;
    all->watched = disk;
    all->acknowledged = &work->acknowledged;
    sim_watch_disk(sim, moment_add, all);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &it));
    work->answers[0] = short_work_answers(&it, work->arena);
    for (unsigned i = 0; i < work->count; i++) {
        if (short_work_do(&ctx, &it, work->operations[i], i) != KD_OK)
            test_fail(__FILE__, __LINE__, "%s", ctx.error.message);
        work->acknowledged = i + 1;
        moment_add(all);
        work->answers[i + 1] = short_work_answers(&it, work->arena);
    }
    sim_watch_disk(sim, NULL, NULL);
    sim_crash(sim);
    kd_database_abandon(it.database);
    sim_destroy(sim);
    sim_disk_destroy(disk);
}

/* The first of them have one operation, of all that there are; then come those of two, then of
 * three. */
static void workload_choose(workload *work, uint64_t no)
{
    work->count = 1;
    work->operations[0] = (unsigned)no;
    if (no < SHORT_OPERATIONS)
        return;
    no -= SHORT_OPERATIONS;
    work->count = no < OPERATIONS * OPERATIONS ? 2 : 3;
    no -= work->count == 3 ? OPERATIONS * OPERATIONS : 0;
    for (unsigned i = 0; i < work->count; i++, no /= OPERATIONS)
        work->operations[i] = (unsigned)(no % OPERATIONS);
}

static void workload_note(const workload *work, uint64_t no)
{
    const char *names[OPERATIONS_MAX] = {"", "", ""};
    for (unsigned i = 0; i < work->count; i++)
        names[i] = short_operation_name(work->operations[i]);
    test_note("workload %llu: %s, %s, %s", (unsigned long long)no, names[0], names[1], names[2]);
}

static void workload_explore(const sim_disk *base, uint64_t no)
{
    static workload work;
    kd_ctx ctx = test_ctx();
    moments all = {.items = NULL};
    memset(&work, 0, sizeof work);
    work.random.state = no;
    work.arena = test_arena(&ctx);
    workload_choose(&work, no);
    workload_note(&work, no);
    workload_run(&work, base, &all);
    explore(&work, &all);
    moments_clear(&all);
    kd_arena_destroy(work.arena);
    totals.workloads++;
}

TEST(whatever_a_crash_leaves_of_a_short_workload_is_whole)
{
    enum { STRIDE = 1009 }; /* Prime: a few workloads are spread over all. */
    uint64_t all =
        SHORT_OPERATIONS + OPERATIONS * OPERATIONS + OPERATIONS * OPERATIONS * OPERATIONS;
    uint64_t first = getenv("SIM_FIRST") == NULL ? 0 : strtoull(getenv("SIM_FIRST"), NULL, 10);
    uint64_t count = test_seed_count(100) / 3;
    (void)alarm(0);
    sim_disk *base = short_work_base();
    for (uint64_t i = first; i < first + count && i < all; i++)
        workload_explore(base, count >= all ? i : i * STRIDE % all);
    sim_disk_destroy(base);
    printf("%llu of %llu workloads, %llu moments, %llu crash states, %llu of them different and "
           "checked"
           " (%llu after one crash, %llu after two, %llu after three)\n",
           (unsigned long long)totals.workloads, (unsigned long long)all,
           (unsigned long long)totals.moments, (unsigned long long)totals.states,
           (unsigned long long)totals.different, (unsigned long long)totals.depth[0],
           (unsigned long long)totals.depth[1], (unsigned long long)totals.depth[2]);
}
