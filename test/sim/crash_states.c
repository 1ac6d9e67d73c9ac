/*
 * Crash states, enumerated: all workloads of up to three operations on a small database, every
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
 *     crash_states                     a third of KADE_TEST_SEEDS workloads, from SIM_FIRST on;
 * 9000 are all of them
 */
#include "sim_session.h"

#include "base/hash.h"
#include "table/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPERATIONS_MAX = 3,
    ALL_SUBSETS_OF = 5, /* Pending parts: 32 states. */
    DRAWN_SUBSETS = 12,
    MISSING_ONES_MAX = 8,
    PARTS_MAX = 4096,
    DEPTH_MAX = 3,      /* Crashes in a row. */
    STREAM_BYTES = 600, /* Larger transactions go to the log in parts. */
    SEEN_SLOTS = 1 << 15,
    SECTOR_BYTES = 512,
    PAGE_BYTES = 4096,
};

/* Each is one transaction or leaves all answers alone. '#' is the operation's place in the
 * workload. */
static const struct {
    const char *name, *sql;
} operations[] = {
    {"insert", "INSERT INTO t VALUES (10#, 1, 1, 'new #')"},
    {"update", "UPDATE t SET grp = grp + 1, txt = 'update #' WHERE id % 4 = 0"},
    {"delete", "DELETE FROM t WHERE id IN (SELECT min(id) FROM t UNION ALL SELECT max(id) FROM t)"},
    {"transaction",
     "BEGIN;INSERT INTO t VALUES (20#, 2, 2, 'kept');SAVEPOINT s;DELETE FROM t WHERE grp = 1;"
     "ROLLBACK TO s;UPDATE t SET parent = 2 WHERE parent = 1;INSERT INTO extra_log VALUES "
     "(20#);COMMIT"},
    {"parts",
     "BEGIN;INSERT INTO t SELECT 400 + 10 * # + i, 1, 1, repeat('part ', 40) FROM "
     "generate_series(0, 4) g (i);"
     "DELETE FROM t WHERE id = 24;CHECKPOINT;SAVEPOINT s;UPDATE t SET grp = 5 WHERE grp = 0;"
     "ROLLBACK TO s;UPDATE t SET grp = 4 WHERE id = 5;COMMIT"},
    {"rollback",
     "BEGIN;INSERT INTO t VALUES (30#, 2, 2, 'gone');DELETE FROM t WHERE grp = 0;ROLLBACK"},
    {"flush", "VACUUM"},
    {"checkpoint", "CHECKPOINT"},
    {"load", "COPY t FROM 'load#.csv' WITH (FORMAT csv)"},
    {"create index", "CREATE INDEX IF NOT EXISTS t_txt ON t (txt)"},
    {"drop index", "DROP INDEX IF EXISTS t_grp"},
    {"create table", "CREATE TABLE IF NOT EXISTS copied AS SELECT id, txt FROM t"},
    {"drop table", "DROP TABLE IF EXISTS extra"},
    {"number", "INSERT INTO t VALUES (1000 + nextval('numbers'), 0, 1, 'numbered')"},
    {"reopen", NULL},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* In a segment, in the delta, with marks on both, and the newest row in the log alone. */
static const char schema[] =
    "CREATE TABLE parent (id int PRIMARY KEY);INSERT INTO parent VALUES (1), (2);"
    "CREATE TABLE t (id int PRIMARY KEY, grp int, parent int REFERENCES parent, txt text);"
    "CREATE INDEX t_grp ON t (grp);CREATE SEQUENCE numbers;"
    "CREATE TABLE extra (id int PRIMARY KEY);INSERT INTO extra VALUES (1), (2);"
    "CREATE TABLE extra_log (id int PRIMARY KEY);"
    "INSERT INTO t SELECT i, i % 3, 1 + i % 2, 'old ' || i FROM generate_series(1, 12) g "
    "(i);VACUUM;"
    "INSERT INTO t SELECT i, i % 3, 1, 'later' FROM generate_series(20, 25) g (i);"
    "DELETE FROM t WHERE id IN (3, 21);UPDATE t SET txt = 'changed' WHERE id = 4;CHECKPOINT;"
    "INSERT INTO t VALUES (30, 1, 2, 'in the log')";

static const char *const loads[OPERATIONS_MAX] = {
    "5000,1,1,loaded\n5001,2,2,loaded\n5002,0,,loaded\n",
    "5100,1,1,loaded\n5101,2,2,loaded\n",
    "5200,1,,\n",
};

/* What is asked in each state. The condition says of which relation it is: absent ones are not
 * asked. */
static const struct {
    const char *relation, *sql;
} questions[] = {
    {"t", "SELECT id, grp, parent, txt FROM t ORDER BY id"},
    {"t", "SELECT id FROM t WHERE grp = 1 ORDER BY id"},
    {"t", "SELECT txt FROM t WHERE id = 4"},
    {"t_grp", "SELECT 't_grp'"},
    {"t_txt", "SELECT id FROM t WHERE txt = 'later' ORDER BY id"},
    {"extra", "SELECT id FROM extra ORDER BY id"},
    {"extra_log", "SELECT id FROM extra_log ORDER BY id"},
    {"copied", "SELECT id, txt FROM copied ORDER BY id"},
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

static bool relation_exists(sim_session *it, const char *name)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_class WHERE relname = '%s'", name);
    return sim_number(it, sql) == 1;
}

static kd_slice answers_read(sim_session *it, kd_arena *arena)
{
    kd_ctx *ctx = sim_session_ctx(it);
    kd_buffer text = kd_buffer_in(arena);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (!relation_exists(it, questions[i].relation))
            continue;
        CHECK_STATUS(ctx, kd_buffer_append_format(ctx, &text, "%s:\n", questions[i].sql));
        CHECK_STATUS(ctx, sim_statement(it, kd_slice_of(questions[i].sql), &text));
    }
    return kd_buffer_slice(&text);
}

static void answers_check(const workload *work, sim_session *it, unsigned acknowledged)
{
    kd_arena *arena = test_arena(sim_session_ctx(it));
    kd_slice got = answers_read(it, arena);
    bool is_before = kd_slice_equal(got, work->answers[acknowledged]);
    bool is_after =
        acknowledged < work->count && kd_slice_equal(got, work->answers[acknowledged + 1]);
    if (!is_before && !is_after)
        test_fail(__FILE__, __LINE__, "%u operations were acknowledged; expected\n%.*s\ngot\n%.*s",
                  acknowledged, (int)work->answers[acknowledged].size_bytes,
                  work->answers[acknowledged].data, (int)got.size_bytes, got.data);
    kd_arena_destroy(arena);
}

static void must_fail(sim_session *it, const char *sql, const char *sqlstate)
{
    CHECK_FAILS(sim_session_ctx(it), sim_statement(it, kd_slice_of(sql), NULL), sqlstate);
}

/* Keys, foreign keys and numbers are kept, and the database takes writes. */
static void constraints_check(sim_session *it)
{
    kd_ctx *ctx = sim_session_ctx(it);
    must_fail(it, "INSERT INTO t SELECT id, 0, 1, 'twice' FROM t WHERE id < 100", "23505");
    must_fail(it, "INSERT INTO t VALUES (900, 0, 99, 'no parent')", "23503");
    must_fail(it, "DELETE FROM parent", "23503");
    CHECK_EQ(sim_number(it, "SELECT count(*) FROM t WHERE id >= 1000 AND id < 5000 AND"
                            " id >= 1000 + (SELECT nextval('numbers'))"),
             0);
    int64_t count = sim_number(it, "SELECT count(*) FROM t");
    CHECK_STATUS(ctx, sim_script(it, "INSERT INTO t VALUES (901, 1, 1, 'after the crash')"));
    CHECK_EQ(sim_number(it, "SELECT count(*) FROM t"), count + 1);
    CHECK_EQ(sim_number(it, "SELECT grp FROM t WHERE id = 901"), 1);
}

/* --- One state -------------------------------------------------------------------------------- */

static void explore_some(workload *work, moments *all, unsigned depth);

/* The disk as it is after a crash; it is used up. */
static void state_check(workload *work, sim_disk *disk, unsigned acknowledged, unsigned depth)
{
    sim_session it = {.redo_stream_bytes = STREAM_BYTES};
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
    constraints_check(&it);
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

static void operation_run(kd_ctx *ctx, sim_session *it, unsigned operation, unsigned place)
{
    char sql[512];
    if (operations[operation].sql == NULL) {
        CHECK_STATUS(ctx, kd_database_close(ctx, it->database));
        CHECK_STATUS(ctx, sim_session_open(ctx, it));
        return;
    }
    (void)snprintf(sql, sizeof sql, "%s", operations[operation].sql);
    for (char *at = strchr(sql, '#'); at != NULL; at = strchr(sql, '#'))
        *at = (char)('0' + place);
    CHECK_STATUS(sim_session_ctx(it), sim_script(it, sql));
}

static void load_make(kd_ctx *ctx, unsigned place)
{
    kd_file *file;
    char path[16];
    const char *text = loads[place];
    kd_world *world = ctx->world;
    (void)snprintf(path, sizeof path, "load%u.csv", place);
    CHECK_STATUS(ctx, world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE, &file));
    CHECK_STATUS(ctx, world->file_write(ctx, file, 0, text, strlen(text)));
    CHECK_STATUS(ctx, world->file_sync(ctx, file));
    world->file_close(world, file);
    CHECK_STATUS(ctx, world->directory_sync(ctx, "."));
}

static sim_disk *base_make(void)
{
    sim_session it = {.redo_stream_bytes = STREAM_BYTES};
    sim_disk *disk = sim_disk_create();
    sim_world *sim = sim_create(disk, 1);
    kd_ctx ctx = sim_ctx(sim);
    for (unsigned i = 0; i < OPERATIONS_MAX; i++)
        load_make(&ctx, i);
    CHECK_STATUS(&ctx, sim_session_open(&ctx, &it));
    CHECK_STATUS(sim_session_ctx(&it), sim_script(&it, schema));
    sim_crash(sim);
    kd_database_abandon(it.database);
    sim_destroy(sim);
    return disk;
}

/* Runs it once, and collects the moments. */
static void workload_run(workload *work, const sim_disk *base, moments *all)
{
    sim_session it = {.redo_stream_bytes = STREAM_BYTES};
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
    work->answers[0] = answers_read(&it, work->arena);
    for (unsigned i = 0; i < work->count; i++) {
        operation_run(&ctx, &it, work->operations[i], i);
        work->acknowledged = i + 1;
        moment_add(all);
        work->answers[i + 1] = answers_read(&it, work->arena);
    }
    sim_watch_disk(sim, NULL, NULL);
    sim_crash(sim);
    kd_database_abandon(it.database);
    sim_destroy(sim);
    sim_disk_destroy(disk);
}

/* The first of them have one operation, then come those of two, then of three. */
static void workload_choose(workload *work, uint64_t no)
{
    uint64_t of_count = OPERATIONS;
    work->count = 1;
    for (; no >= of_count; of_count *= OPERATIONS, work->count++)
        no -= of_count;
    CHECK(work->count <= OPERATIONS_MAX);
    for (unsigned i = 0; i < work->count; i++, no /= OPERATIONS)
        work->operations[i] = (unsigned)(no % OPERATIONS);
}

static void workload_note(const workload *work, uint64_t no)
{
    const char *names[OPERATIONS_MAX] = {"", "", ""};
    for (unsigned i = 0; i < work->count; i++)
        names[i] = operations[work->operations[i]].name;
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
    uint64_t all = OPERATIONS + OPERATIONS * OPERATIONS + OPERATIONS * OPERATIONS * OPERATIONS;
    uint64_t first = getenv("SIM_FIRST") == NULL ? 0 : strtoull(getenv("SIM_FIRST"), NULL, 10);
    uint64_t count = test_seed_count(100) / 3;
    (void)alarm(0);
    sim_disk *base = base_make();
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
