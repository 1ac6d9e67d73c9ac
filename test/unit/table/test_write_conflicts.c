/*
 * Writers that meet: outcomes under each isolation, waiting, unique keys across threads, and upkeep
 * beside them.
 */
#include "base/thread.h"
#include "table/upkeep.h"
#include "table_fixture.h"

TEST(snapshot_isolation_lets_the_first_updater_win)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *a = fixture_begin(&f);
    kd_rowref ref = fixture_insert(&f, a, 1, "one", 0);
    fixture_commit(&f, a);
    a = fixture_begin(&f);
    kd_txn *b = fixture_begin(&f);
    CHECK_EQ(fixture_update(&f, a, ref, 1).result, KD_WRITE_DONE);
    fixture_commit(&f, a);
    uint32_t position = 2;
    kd_value value = kd_value_i32(2);
    kd_write_outcome outcome;
    CHECK_FAILS_WITH(
        &f.ctx, kd_table_update(&f.ctx, b, f.table, &f.shape, ref, &position, &value, 1, &outcome),
        "40001", "could not serialize access due to concurrent update");
    kd_txn_rollback(b);
    fixture_close(&f);
}

TEST(read_committed_is_led_to_the_newest_version)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *a = fixture_begin(&f);
    kd_rowref ref = fixture_insert(&f, a, 1, "one", 0);
    fixture_commit(&f, a);
    kd_txn *b = fixture_begin_as(&f, KD_READ_COMMITTED);
    for (int i = 1; i <= 3; i++) {
        kd_rowref now;
        a = fixture_begin(&f);
        CHECK(fixture_find(&f, kd_txn_snapshot(a), 1, &now, NULL));
        CHECK_EQ(fixture_update(&f, a, now, i).result, KD_WRITE_DONE);
        fixture_commit(&f, a);
    }
    kd_write_outcome outcome = fixture_update(&f, b, ref, 10);
    CHECK_EQ(outcome.result, KD_WRITE_CHANGED);
    kd_value values[3];
    bool is_visible;
    CHECK_STATUS(&f.ctx, kd_table_get(&f.ctx, f.arena, f.table, kd_table_latest(b), outcome.newest,
                                      &f.shape, fixture_positions, 3, values, &is_visible));
    CHECK(is_visible);
    CHECK_EQ(values[2].as.i32, 3);
    CHECK_EQ(fixture_update(&f, b, outcome.newest, 13).result, KD_WRITE_DONE);
    fixture_commit(&f, b);
    a = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, a, 1), 13);
    fixture_commit(&f, a);
    fixture_close(&f);
}

TEST(locked_rows_are_waited_for_refused_or_skipped)
{
    table_fixture f;
    fixture_open(&f);
    kd_write_outcome outcome;
    kd_txn *a = fixture_begin(&f);
    kd_rowref ref = fixture_insert(&f, a, 1, "one", 0);
    fixture_commit(&f, a);
    a = fixture_begin_as(&f, KD_READ_COMMITTED);
    kd_txn *b = fixture_begin_as(&f, KD_READ_COMMITTED);
    CHECK_STATUS(&f.ctx,
                 kd_table_lock_row(&f.ctx, a, f.table, ref, KD_LOCK_UPDATE, KD_WAIT, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_DONE);
    CHECK_FAILS(
        &f.ctx,
        kd_table_lock_row(&f.ctx, b, f.table, ref, KD_LOCK_KEY_SHARE, KD_WAIT_NOT, &outcome),
        "55P03");
    CHECK_STATUS(&f.ctx,
                 kd_table_lock_row(&f.ctx, b, f.table, ref, KD_LOCK_SHARE, KD_WAIT_SKIP, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_SKIPPED);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table)); /* The lock moves with the row. */
    CHECK_STATUS(&f.ctx,
                 kd_table_lock_row(&f.ctx, b, f.table, ref, KD_LOCK_SHARE, KD_WAIT_SKIP, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_SKIPPED);
    fixture_commit(&f, a);
    CHECK_STATUS(&f.ctx,
                 kd_table_lock_row(&f.ctx, b, f.table, ref, KD_LOCK_KEY_SHARE, KD_WAIT, &outcome));
    a = fixture_begin_as(&f, KD_READ_COMMITTED);
    /* An update that leaves the key alone passes a key-share lock, and the lock follows it. */
    outcome = fixture_update(&f, a, ref, 5);
    CHECK_EQ(outcome.result, KD_WRITE_DONE);
    fixture_commit(&f, a);
    a = fixture_begin_as(&f, KD_READ_COMMITTED);
    CHECK_FAILS(&f.ctx,
                kd_table_lock_row(&f.ctx, a, f.table, outcome.newest, KD_LOCK_UPDATE, KD_WAIT_NOT,
                                  &outcome),
                "55P03");
    fixture_commit(&f, b);
    fixture_commit(&f, a);
    fixture_close(&f);
}

TEST(a_delete_in_flight_moves_with_a_flush)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *a = fixture_begin(&f);
    kd_rowref refs[4];
    for (int i = 0; i < 4; i++)
        refs[i] = fixture_insert(&f, a, i, "a row", i);
    fixture_commit(&f, a);
    a = fixture_begin(&f);
    kd_txn *b = fixture_begin(&f);
    CHECK_EQ(fixture_delete(&f, a, refs[0]).result, KD_WRITE_DONE);
    CHECK_EQ(fixture_delete(&f, b, refs[1]).result, KD_WRITE_DONE);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
    CHECK_EQ(fixture_delete(&f, a, refs[2]).result, KD_WRITE_DONE);
    fixture_commit(&f, a);
    kd_txn_rollback(b);
    CHECK_EQ(fixture_count(&f), 2);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), 2);
    fixture_close(&f);
}

enum { WORKERS = 4, COUNTERS = 3 };

typedef struct worker {
    table_fixture *f;
    int rounds;
    uint64_t seed;
    int64_t done;
    kd_thread *thread;
} worker;

static kd_status add_one(kd_ctx *ctx, table_fixture *f, kd_arena *arena, kd_txn *txn, int64_t id)
{
    kd_rowref ref;
    bool is_found, is_visible;
    kd_value value = kd_value_i64(id);
    kd_value values[3];
    kd_write_outcome outcome;
    kd_buffer key = kd_buffer_in(arena);
    uint32_t position = 2;
    kd_snapshot snapshot = kd_txn_snapshot(txn);
    KD_TRY(kd_table_index_key(ctx, f->table, f->primary, &value, 1, &key));
    KD_TRY(kd_table_find_by_key(ctx, arena, f->table, snapshot, f->primary, kd_buffer_slice(&key),
                                &ref, &is_found));
    CHECK(is_found);
    for (;;) {
        KD_TRY(kd_table_get(ctx, arena, f->table, snapshot, ref, &f->shape, fixture_positions, 3,
                            values, &is_visible));
        CHECK(is_visible);
        values[2].as.i32++;
        KD_TRY(kd_table_update(ctx, txn, f->table, &f->shape, ref, &position, &values[2], 1,
                               &outcome));
        if (outcome.result == KD_WRITE_DONE)
            return KD_OK;
        CHECK_EQ(outcome.result, KD_WRITE_CHANGED);
        ref = outcome.newest;
        snapshot = kd_table_latest(txn);
    }
}

static void add_many(void *object)
{
    worker *self = object;
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    test_random random = {self->seed};
    for (int i = 0; i < self->rounds; i++) {
        kd_txn *txn;
        kd_isolation isolation =
            test_random_below(&random, 2) == 0 ? KD_READ_COMMITTED : KD_SNAPSHOT_ISOLATION;
        kd_txn_options options = {.isolation = isolation, .durability = KD_DURABLE_LATER};
        CHECK_STATUS(&ctx, kd_txn_begin(&ctx, kd_storage_txns(self->f->storage), &options, &txn));
        int64_t id = (int64_t)test_random_below(&random, COUNTERS);
        kd_status status = add_one(&ctx, self->f, arena, txn, id);
        kd_arena_reset(arena);
        if (status == KD_OK) {
            CHECK_STATUS(&ctx, kd_txn_commit(&ctx, txn));
            self->done++;
            continue;
        }
        CHECK_EQ(status, KD_CONFLICT);
        kd_error_clear(&ctx);
        kd_txn_rollback(txn);
    }
    kd_arena_destroy(arena);
}

TEST(no_update_is_lost_beside_flush_compaction_and_checkpoint)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    for (int64_t id = 0; id < COUNTERS; id++)
        fixture_insert(&f, txn, id, "counter", 0);
    fixture_commit(&f, txn);
    worker all[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        all[i] = (worker){.f = &f, .rounds = 300, .seed = (uint64_t)i + 1};
        CHECK_STATUS(&f.ctx, kd_thread_start(&f.ctx, "adder", add_many, &all[i], &all[i].thread));
    }
    for (int i = 0; i < 10; i++) {
        CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
        CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    }
    int64_t done = 0;
    for (int i = 0; i < WORKERS; i++) {
        kd_thread_join(f.ctx.world, all[i].thread);
        done += all[i].done;
    }
    for (int round = 0; round < 2; round++) {
        int64_t sum;
        txn = fixture_begin(&f);
        CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(txn), &sum), COUNTERS);
        CHECK_EQ(sum, done);
        fixture_commit(&f, txn);
        CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
        fixture_reopen(&f);
    }
    fixture_close(&f);
}

static void insert_same(void *object)
{
    worker *self = object;
    kd_ctx ctx = test_ctx();
    test_random random = {self->seed};
    table_fixture own = *self->f;
    own.ctx = ctx;
    for (int64_t id = 0; id < self->rounds; id++) {
        kd_txn *txn;
        kd_txn_options options = {.isolation = KD_READ_COMMITTED, .durability = KD_DURABLE_LATER};
        CHECK_STATUS(&own.ctx,
                     kd_txn_begin(&own.ctx, kd_storage_txns(own.storage), &options, &txn));
        kd_status status = fixture_try_insert(&own, txn, id, "mine", 1, NULL);
        if (status == KD_OK && test_random_below(&random, 4) != 0) {
            CHECK_STATUS(&own.ctx, kd_txn_commit(&own.ctx, txn));
            self->done++;
            continue;
        }
        if (status != KD_OK)
            CHECK_TEXT(own.ctx.error.sqlstate, "23505");
        kd_error_clear(&own.ctx);
        kd_txn_rollback(txn);
    }
}

TEST(a_unique_key_is_taken_once_by_many_threads)
{
    table_fixture f;
    fixture_open(&f);
    worker all[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        all[i] = (worker){.f = &f, .rounds = 400, .seed = (uint64_t)i + 1};
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "inserter", insert_same, &all[i], &all[i].thread));
    }
    for (int i = 0; i < 4; i++)
        CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    int64_t done = 0;
    for (int i = 0; i < WORKERS; i++) {
        kd_thread_join(f.ctx.world, all[i].thread);
        done += all[i].done;
    }
    CHECK_EQ(fixture_count(&f), (uint64_t)done);
    fixture_close(&f);
}

TEST(key_share_under_a_snapshot_fails_when_the_key_has_gone)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *writer = fixture_begin(&f);
    kd_rowref kept = fixture_insert(&f, writer, 1, "one", 1);
    kd_rowref gone = fixture_insert(&f, writer, 2, "two", 2);
    kd_rowref moved = fixture_insert(&f, writer, 3, "three", 3);
    fixture_commit(&f, writer);
    kd_txn *locker = fixture_begin(&f);
    writer = fixture_begin(&f);
    kd_write_outcome outcome;
    CHECK_EQ(fixture_update(&f, writer, kept, 11).result, KD_WRITE_DONE);
    CHECK_EQ(fixture_delete(&f, writer, gone).result, KD_WRITE_DONE);
    uint32_t position = 0;
    kd_value id = kd_value_i64(33);
    CHECK_STATUS(&f.ctx, kd_table_update(&f.ctx, writer, f.table, &f.shape, moved, &position, &id,
                                         1, &outcome));
    fixture_commit(&f, writer);
    CHECK_STATUS(&f.ctx, kd_table_lock_row(&f.ctx, locker, f.table, kept, KD_LOCK_KEY_SHARE,
                                           KD_WAIT, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_CHANGED);
    CHECK_STATUS(&f.ctx, kd_table_lock_row(&f.ctx, locker, f.table, outcome.newest,
                                           KD_LOCK_KEY_SHARE, KD_WAIT, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_DONE);
    CHECK_FAILS(
        &f.ctx,
        kd_table_lock_row(&f.ctx, locker, f.table, gone, KD_LOCK_KEY_SHARE, KD_WAIT, &outcome),
        "40001");
    CHECK_FAILS(
        &f.ctx,
        kd_table_lock_row(&f.ctx, locker, f.table, moved, KD_LOCK_KEY_SHARE, KD_WAIT, &outcome),
        "40001");
    kd_txn_rollback(locker);
    fixture_close(&f);
}

enum { HOT_UPDATES = 9000, HOT_READER_ENDS = 2500 };

static void hot_update(table_fixture *f, int32_t score)
{
    kd_rowref ref;
    kd_txn *txn = fixture_begin(f);
    CHECK(fixture_find(f, kd_txn_snapshot(txn), 1, &ref, NULL));
    CHECK_EQ(fixture_update(f, txn, ref, score).result, KD_WRITE_DONE);
    if (score < HOT_UPDATES)
        kd_txn_set_durability(txn, KD_DURABLE_LATER);
    fixture_commit(f, txn);
    kd_arena_reset(f->arena);
}

TEST(versions_of_a_hot_row_that_nobody_sees_go_without_a_segment)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    (void)fixture_insert(&f, txn, 1, "hot", 0);
    fixture_commit(&f, txn);
    kd_txn *reader = fixture_begin(&f); /* Sees the first version to the end. */
    for (int i = 1; i <= HOT_UPDATES; i++) {
        if (i == HOT_READER_ENDS) {
            /* Nothing is over as long as the reader is there. */
            uint64_t before = kd_storage_read_statistics(f.storage).delta_bytes;
            CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
            CHECK_EQ(kd_storage_read_statistics(f.storage).delta_bytes, before);
            CHECK_EQ(fixture_score(&f, reader, 1), 0);
            kd_txn_rollback(reader);
        }
        hot_update(&f, i);
        if (i > HOT_READER_ENDS && i % 1000 == 0)
            CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
    }
    kd_txn_reclaim(kd_storage_txns(f.storage));
    kd_storage_statistics statistics = kd_storage_read_statistics(f.storage);
    CHECK(statistics.delta_bytes < 1 << 20);
    CHECK_EQ(statistics.segment_count, 0);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 1), HOT_UPDATES);
    kd_txn_rollback(txn);
    fixture_close(&f);
}
