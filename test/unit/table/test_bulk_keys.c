/*
 * Keys of bulk loads: entered all at once, they hold against keys that others enter one by one, and
 * against other loads.
 */
#include "base/thread.h"
#include "table_fixture.h"

enum { IN_MEMORY = 8 };

static void fixture_open_for_runs(table_fixture *f)
{
    fixture_open(f);
    CHECK_STATUS(&f->ctx, kd_storage_close(&f->ctx, f->storage));
    f->options.index_entries_in_memory = IN_MEMORY;
    fixture_reopen(f);
}

/* Ids first, first + step and so on. */
static kd_status load(kd_ctx *ctx, table_fixture *f, kd_arena *arena, kd_txn *txn, int64_t first,
                      int64_t step, uint32_t count)
{
    kd_bulk_load *load;
    kd_vector columns[3];
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(
            ctx, kd_vector_init_flat(ctx, arena, f->columns[i].type, KD_BATCH_ROWS, &columns[i]));
    CHECK(count <= KD_BATCH_ROWS);
    for (uint32_t i = 0; i < count; i++) {
        kd_value id = kd_value_i64(first + step * i);
        kd_value name = fixture_text("loaded");
        kd_value score = kd_value_i32(1);
        kd_vector_set(&columns[0], i, &id);
        kd_vector_set(&columns[1], i, &name);
        kd_vector_set(&columns[2], i, &score);
    }
    kd_batch batch = {
        .row_count = count, .selected_count = count, .column_count = 3, .columns = columns};
    KD_TRY(kd_bulk_load_begin(ctx, txn, f->table, &f->shape, &load));
    kd_status status = kd_bulk_load_append(ctx, load, &batch);
    if (status == KD_OK)
        status = kd_bulk_load_finish(ctx, load);
    kd_bulk_load_destroy(load);
    return status;
}

static void load_fails(table_fixture *f, int64_t first, uint32_t count, const char *detail)
{
    kd_txn *txn = fixture_begin(f);
    CHECK_EQ(load(&f->ctx, f, f->arena, txn, first, 1, count), KD_INVALID);
    CHECK_TEXT(f->ctx.error.sqlstate, "23505");
    CHECK_TEXT(f->ctx.error.detail, detail);
    kd_error_clear(&f->ctx);
    kd_txn_rollback(txn);
}

TEST(a_load_meets_keys_wherever_they_stand)
{
    table_fixture f;
    fixture_open_for_runs(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 50, "in the tree", 0);
    CHECK_STATUS(&f.ctx, load(&f.ctx, &f, f.arena, txn, 1000, 2, 500));
    fixture_commit(&f, txn);
    load_fails(&f, 0, 100, "Key (id)=(50) already exists.");
    load_fails(&f, 1998, 100, "Key (id)=(1998) already exists.");
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_try_insert(&f, txn, 1998, "taken", 1, NULL), KD_INVALID);
    kd_error_clear(&f.ctx);
    kd_txn_rollback(txn);
    /* A row that went makes room, also for a load in its own transaction. */
    kd_rowref ref;
    txn = fixture_begin(&f);
    CHECK(fixture_find(&f, kd_txn_snapshot(txn), 50, &ref, NULL));
    CHECK_EQ(fixture_delete(&f, txn, ref).result, KD_WRITE_DONE);
    CHECK_STATUS(&f.ctx, load(&f.ctx, &f, f.arena, txn, 0, 1, 100));
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 600);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), 600);
    load_fails(&f, 90, 20, "Key (id)=(90) already exists.");
    fixture_close(&f);
}

TEST(more_loads_than_an_index_has_runs)
{
    enum { LOADS = 60, ROWS = 50 };
    table_fixture f;
    fixture_open_for_runs(&f);
    for (int64_t i = 0; i < LOADS; i++) {
        kd_txn *txn = fixture_begin(&f);
        CHECK_STATUS(&f.ctx, load(&f.ctx, &f, f.arena, txn, i, LOADS, ROWS));
        if (i % 10 == 9)
            kd_txn_rollback(txn);
        else
            fixture_commit(&f, txn);
    }
    CHECK_EQ(fixture_count(&f), LOADS * ROWS * 9 / 10);
    kd_txn *txn = fixture_begin(&f);
    for (int64_t id = 0; id < LOADS * ROWS; id++)
        CHECK_EQ(fixture_score(&f, txn, id), id % 10 == 9 ? -1 : 1);
    fixture_commit(&f, txn);
    fixture_close(&f);
}

/* --- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 60, SPACE = 600, LOADED = 40 };

typedef struct racer {
    table_fixture *f;
    kd_thread *thread;
    uint64_t seed;
    bool owns[SPACE];
} racer;

static kd_status race_once(kd_ctx *ctx, racer *self, kd_arena *arena, test_random *random,
                           kd_txn *txn, bool *tries)
{
    int64_t first = (int64_t)test_random_below(random, SPACE - LOADED);
    if (test_random_below(random, 2) == 0) {
        for (int64_t id = first; id < first + LOADED; id++)
            tries[id] = true;
        return load(ctx, self->f, arena, txn, first, 1, LOADED);
    }
    for (int64_t id = first; id < first + 3; id++) {
        kd_value values[3] = {kd_value_i64(id), fixture_text("one"), kd_value_i32(1)};
        kd_insert_outcome outcome;
        tries[id] = true;
        KD_TRY(
            kd_table_insert_row(ctx, txn, self->f->table, &self->f->shape, values, NULL, &outcome));
    }
    return KD_OK;
}

static void race(void *object)
{
    racer *self = object;
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    test_random random = {self->seed};
    for (int i = 0; i < ROUNDS; i++) {
        bool tries[SPACE] = {false};
        kd_txn *txn;
        kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION,
                                  .durability = KD_DURABLE_LATER};
        CHECK_STATUS(&ctx, kd_txn_begin(&ctx, kd_storage_txns(self->f->storage), &options, &txn));
        kd_status status = race_once(&ctx, self, arena, &random, txn, tries);
        kd_arena_reset(arena);
        if (status != KD_OK || test_random_below(&random, 4) == 0) {
            /* Taken, or each waited for the other. */
            CHECK(status == KD_OK || status == KD_INVALID || status == KD_CONFLICT);
            kd_error_clear(&ctx);
            kd_txn_rollback(txn);
            continue;
        }
        CHECK_STATUS(&ctx, kd_txn_commit(&ctx, txn));
        for (int id = 0; id < SPACE; id++)
            self->owns[id] |= tries[id];
    }
    kd_arena_destroy(arena);
}

TEST(no_key_has_two_owners)
{
    table_fixture f;
    racer racers[THREADS] = {0};
    fixture_open_for_runs(&f);
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i].f = &f;
        racers[i].seed = i + 1;
        CHECK_STATUS(&f.ctx, kd_thread_start(&f.ctx, "racer", race, &racers[i], &racers[i].thread));
    }
    for (int i = 0; i < 8; i++) {
        CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    }
    for (unsigned i = 0; i < THREADS; i++)
        kd_thread_join(f.ctx.world, racers[i].thread);
    uint64_t expected = 0;
    kd_txn *txn = fixture_begin(&f);
    for (int id = 0; id < SPACE; id++) {
        int owners = 0;
        for (unsigned i = 0; i < THREADS; i++)
            owners += racers[i].owns[id];
        CHECK(owners <= 1);
        CHECK_EQ(fixture_score(&f, txn, id), owners == 1 ? 1 : -1);
        expected += (uint64_t)owners;
    }
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), expected);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), expected);
    fixture_close(&f);
}
