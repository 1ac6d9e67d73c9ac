/*
 * Sessions that want the same keys: what one session alone can never break.
 *
 * In sim_engine every row has one owner, so no two sessions ever meet in a unique key or at the two
 * ends of a reference. Here all of them insert, move and delete keys of a few, and children of
 * parents that others delete, under the scheduler's seed, with flushes and checkpoints between,
 * some in transactions that are taken back. No answer is foretold; in the end, and after a crash,
 * no key is there twice by a scan, no child is without its parent, and every index agrees with its
 * table.
 *
 *     sim_keys                         KADE_TEST_SEEDS seeds; SIM_SEED=n: one again
 */
#include "sim_session.h"

#include "table/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SESSIONS = 3, TRANSACTIONS = 60, KEYS = 3 };

typedef struct visitor {
    sim_session on;
    test_random random;
    unsigned no;
    unsigned done; /* Transactions that took effect. */
} visitor;

static const char schema[] =
    "CREATE TABLE claim (id serial, key int UNIQUE, pair int, owner int, UNIQUE (pair, owner));"
    "CREATE TABLE parent (id int PRIMARY KEY);INSERT INTO parent SELECT generate_series(0, 4);"
    "CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent);"
    "INSERT INTO claim (key, pair, owner) VALUES (0, 0, 0), (1, 1, 1);VACUUM;CHECKPOINT";

static const char *const laws[] = {
    "SELECT count(*) FROM (SELECT key FROM claim WHERE key + 0 >= 0 GROUP BY key HAVING count(*) > "
    "1) d",
    "SELECT count(*) FROM (SELECT pair, owner FROM claim GROUP BY pair, owner HAVING count(*) > 1) "
    "d",
    "SELECT count(*) FROM child c WHERE NOT EXISTS (SELECT 1 FROM parent p WHERE p.id + 0 = "
    "c.parent)",
};

static unsigned below(visitor *self, unsigned bound)
{
    return (unsigned)test_random_below(&self->random, bound);
}

/* Whether it took effect. Others may have been in the way, or it broke a law and was refused. */
static bool try_run(visitor *self, const char *sql)
{
    static const char *const allowed[] = {"23505", "23503", "40001", "40P01", "25P02"};
    kd_ctx *ctx = sim_session_ctx(&self->on);
    if (sim_statement(&self->on, kd_slice_of(sql), NULL) == KD_OK)
        return true;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(ctx->error.sqlstate, allowed[i]) == 0)
            return false;
    test_fail(__FILE__, __LINE__, "%s: %s %s", sql, ctx->error.sqlstate, ctx->error.message);
}

static bool statement_run(visitor *self)
{
    static const char *const claims[] = {
        "INSERT INTO claim (key, pair, owner) VALUES (%u, %u, %u)",
        "INSERT INTO claim (key, pair, owner) VALUES (%u, %u, %u) ON CONFLICT (key) DO NOTHING",
        ("INSERT INTO claim (key, pair, owner) VALUES (%u, %u, %u) ON CONFLICT (key) DO UPDATE SET"
         " owner = claim.owner + 1"),
        "UPDATE claim SET key = %u WHERE key = %u OR id = %u",
        "UPDATE claim SET pair = %u WHERE key = %u OR id = %u",
        "DELETE FROM claim WHERE key = %u AND pair >= %u AND owner >= %u",
        "DELETE FROM claim WHERE key = %u OR key = %u OR key = %u",
    };
    static const char *const references[] = {
        "INSERT INTO child (parent) VALUES (%u)",
        "DELETE FROM parent WHERE id = %u",
        "INSERT INTO parent VALUES (%u) ON CONFLICT DO NOTHING",
        "DELETE FROM child WHERE parent <> %u",
    };
    char sql[256];
    const char *form = below(self, 2) == 0
                           ? claims[below(self, sizeof claims / sizeof *claims)]
                           : references[below(self, sizeof references / sizeof *references)];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof sql, form, below(self, KEYS), below(self, KEYS), below(self, KEYS));
#pragma GCC diagnostic pop
    return try_run(self, sql);
}

static void transaction_run(visitor *self)
{
    static const char *const levels[] = {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"};
    char begin[64];
    unsigned count = 1 + below(self, 3);
    (void)snprintf(begin, sizeof begin, "BEGIN ISOLATION LEVEL %s", levels[below(self, 3)]);
    bool is_good = try_run(self, begin);
    for (unsigned i = 0; i < count && is_good; i++)
        is_good = statement_run(self);
    is_good &= below(self, 5) != 0;
    self->done += try_run(self, is_good ? "COMMIT" : "ROLLBACK") && is_good;
}

static void visitor_run(void *object)
{
    visitor *self = object;
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        unsigned what = below(self, 12);
        if (what == 0)
            (void)try_run(self, "VACUUM");
        else if (what == 1)
            (void)try_run(self, "CHECKPOINT");
        else if (what < 6)
            self->done += statement_run(self);
        else
            transaction_run(self);
    }
}

static void laws_check(kd_ctx *ctx, sim_session *on)
{
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
        if (sim_number(on, laws[i]) != 0)
            test_fail(__FILE__, __LINE__, "broken: %s", laws[i]);
    CHECK_STATUS(ctx, kd_storage_check(ctx, kd_database_storage(on->database)));
}

static void sessions_work(kd_ctx *ctx, uint64_t seed, const sim_session *first)
{
    static visitor visitors[SESSIONS];
    kd_thread *threads[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++) {
        visitors[i] = (visitor){.no = i, .random = {seed * 977 + i}};
        CHECK_STATUS(ctx, sim_session_join(ctx, first, &visitors[i].on));
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        CHECK_STATUS(ctx, kd_thread_start(ctx, "session", visitor_run, &visitors[i], &threads[i]));
    for (unsigned i = 0; i < SESSIONS; i++)
        kd_thread_join(ctx->world, threads[i]);
    for (unsigned i = 0; i < SESSIONS; i++)
        CHECK(visitors[i].done > 0);
}

static void seed_run(uint64_t seed)
{
    sim_disk *disk = sim_disk_create();
    for (unsigned life = 0; life < 2; life++) {
        sim_session first = {.database = NULL};
        sim_world *sim = sim_create(disk, seed * 2 + life);
        kd_ctx ctx = sim_ctx(sim);
        test_note("SIM_SEED=%llu, life %u", (unsigned long long)seed, life);
        CHECK_STATUS(&ctx, sim_session_open(&ctx, &first));
        if (life == 0) {
            CHECK_STATUS(sim_session_ctx(&first), sim_script(&first, schema));
            sessions_work(&ctx, seed, &first);
        }
        laws_check(&ctx, &first);
        sim_crash(sim);
        kd_database_abandon(first.database);
        sim_destroy(sim);
    }
    sim_disk_destroy(disk);
}

TEST(no_two_sessions_get_one_key_and_no_child_loses_its_parent)
{
    const char *only = getenv("SIM_SEED");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t count = only != NULL ? 1 : test_seed_count(100);
    (void)alarm(0);
    for (uint64_t seed = first; seed < first + count; seed++)
        seed_run(seed);
    printf("%llu seeds\n", (unsigned long long)count);
}
