/*
 * Large transactions: their rows in private segments, savepoints, keys, crashes; writers at the
 * memory budget.
 */
#include "base/thread.h"
#include "table_fixture.h"

enum { BATCH = 1000, SMALL_BUDGET = 8 << 20 };

static kd_status rows_try(table_fixture *f, kd_txn *txn, int64_t first, uint32_t count,
                          kd_rowref *out_refs)
{
    kd_arena *arena = kd_arena_create(&f->ctx, NULL, "batch", KD_ARENA_UNLIMITED);
    kd_vector columns[3];
    CHECK(arena != NULL && count <= KD_BATCH_ROWS);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&f->ctx, kd_vector_init_flat(&f->ctx, arena, f->columns[i].type, KD_BATCH_ROWS,
                                                  &columns[i]));
    for (uint32_t i = 0; i < count; i++) {
        kd_value id = kd_value_i64(first + i);
        kd_value name = fixture_text("a name that takes some room in memory");
        kd_value score = kd_value_i32(1);
        kd_vector_set(&columns[0], i, &id);
        kd_vector_set(&columns[1], i, &name);
        kd_vector_set(&columns[2], i, &score);
    }
    kd_batch batch = {
        .row_count = count, .selected_count = count, .column_count = 3, .columns = columns};
    kd_status status = kd_table_insert_batch(&f->ctx, txn, f->table, &f->shape, &batch, out_refs);
    kd_arena_destroy(arena);
    return status;
}

static void rows_insert(table_fixture *f, kd_txn *txn, int64_t first, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += BATCH) {
        uint32_t left = count - done;
        CHECK_STATUS(&f->ctx, rows_try(f, txn, first + done, left < BATCH ? left : BATCH, NULL));
    }
}

static uint64_t count_in(table_fixture *f, kd_txn *txn)
{
    int64_t sum;
    uint64_t count = fixture_scan(f, kd_txn_snapshot(txn), &sum);
    CHECK_EQ(sum, (int64_t)count);
    return count;
}

static void crash(table_fixture *f)
{
    kd_storage_abandon(f->storage);
    fixture_reopen(f);
}

/* A transaction that has gone private with `count` rows from id 0. */
static kd_txn *large_begin(table_fixture *f, uint32_t count)
{
    kd_governor_set_budget(f->governor, SMALL_BUDGET);
    kd_txn *txn = fixture_begin(f);
    rows_insert(f, txn, 0, count);
    CHECK(kd_storage_read_statistics(f->storage).segment_count > 0);
    return txn;
}

TEST(a_large_transaction_sees_its_rows_and_others_do_after_commit)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = large_begin(&f, 40000);
    CHECK_EQ(fixture_count(&f), 0);
    CHECK_EQ(fixture_score(&f, txn, 39999), 1);
    rows_insert(&f, txn, 40000, 40000);
    CHECK_EQ(count_in(&f, txn), 80000);
    kd_rowref ref;
    CHECK(fixture_find(&f, kd_txn_snapshot(txn), 35000, &ref, NULL));
    CHECK_EQ(fixture_delete(&f, txn, ref).result, KD_WRITE_DONE);
    CHECK(fixture_find(&f, kd_txn_snapshot(txn), 35001, &ref, NULL));
    CHECK_EQ(fixture_update(&f, txn, ref, 1).result, KD_WRITE_DONE);
    CHECK_EQ(count_in(&f, txn), 79999);
    uint32_t savepoint;
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &savepoint));
    CHECK_EQ(rows_try(&f, txn, 35001, 1, NULL), KD_INVALID);
    CHECK_TEXT(f.ctx.error.sqlstate, "23505");
    kd_error_clear(&f.ctx);
    kd_txn_rollback_to(txn, savepoint);
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 79999);
    CHECK_EQ(kd_table_row_count_estimate(f.table), 79999);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    crash(&f);
    CHECK_EQ(fixture_count(&f), 79999);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, true));
    CHECK_EQ(fixture_count(&f), 79999);
    fixture_close(&f);
}

TEST(private_rows_go_with_their_savepoint)
{
    table_fixture f;
    fixture_open(&f);
    uint32_t first, second;
    kd_txn *txn = large_begin(&f, 40000);
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &first));
    rows_insert(&f, txn, 40000, 10000);
    kd_txn_rollback_to(txn, first);
    rows_insert(&f, txn, 45000, 10000); /* Half of the keys were there before. */
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &second));
    CHECK_EQ(rows_try(&f, txn, 54900, 200, NULL), KD_INVALID);
    CHECK_TEXT(f.ctx.error.sqlstate, "23505");
    kd_error_clear(&f.ctx);
    kd_txn_rollback_to(txn, second);
    rows_insert(&f, txn, 55000, 500);
    CHECK_EQ(count_in(&f, txn), 50500);
    CHECK_EQ(fixture_score(&f, txn, 44999), -1);
    CHECK_EQ(fixture_score(&f, txn, 45000), 1);
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &second));
    rows_insert(&f, txn, 60000, 30000);
    CHECK_EQ(count_in(&f, txn), 80500);
    kd_txn_rollback_to(txn, second);
    CHECK_EQ(count_in(&f, txn), 50500);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 50500);
    CHECK_EQ(kd_table_row_count_estimate(f.table), 50500);
    crash(&f);
    CHECK_EQ(fixture_count(&f), 50500);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    crash(&f);
    CHECK_EQ(fixture_count(&f), 50500);
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 44999), -1);
    CHECK_EQ(fixture_score(&f, txn, 54999), 1);
    rows_insert(&f, txn, 56000, 1000);
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 51500);
    fixture_close(&f);
}

TEST(a_large_transaction_that_is_rolled_back_leaves_nothing)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = large_begin(&f, 50000);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    CHECK_EQ(count_in(&f, txn), 50000);
    rows_insert(&f, txn, 50000, 30000);
    kd_txn_rollback(txn);
    CHECK_EQ(fixture_count(&f), 0);
    CHECK_EQ(kd_storage_read_statistics(f.storage).segment_count, 0);
    txn = fixture_begin(&f);
    rows_insert(&f, txn, 0, 2000);
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 2000);
    crash(&f);
    CHECK_EQ(fixture_count(&f), 2000);
    fixture_close(&f);
}

TEST(private_rows_give_their_places)
{
    table_fixture f;
    fixture_open(&f);
    kd_rowref refs[BATCH];
    kd_value values[3];
    bool is_visible;
    kd_txn *txn = large_begin(&f, 40000);
    CHECK_STATUS(&f.ctx, rows_try(&f, txn, 40000, BATCH, refs));
    for (int i = 0; i < BATCH; i += 99) {
        CHECK_STATUS(&f.ctx, kd_table_get(&f.ctx, f.arena, f.table, kd_txn_snapshot(txn), refs[i],
                                          &f.shape, fixture_positions, 3, values, &is_visible));
        CHECK(is_visible);
        CHECK_EQ(values[0].as.i64, 40000 + i);
    }
    fixture_commit(&f, txn);
    fixture_close(&f);
}

TEST(many_small_transactions_stay_within_the_budget)
{
    table_fixture f;
    fixture_open(&f);
    kd_governor_set_budget(f.governor, SMALL_BUDGET);
    uint64_t most = 0;
    for (int i = 0; i < 100; i++) {
        kd_txn *txn = fixture_begin(&f);
        rows_insert(&f, txn, i * BATCH, BATCH);
        fixture_commit(&f, txn);
        uint64_t bytes = kd_storage_read_statistics(f.storage).delta_bytes;
        most = bytes > most ? bytes : most;
    }
    CHECK(most < SMALL_BUDGET / 2);
    CHECK_EQ(fixture_count(&f), 100 * BATCH);
    fixture_close(&f);
}

/* --- Threads --------------------------------------------------------------------------------- */

enum { WRITERS = 3, ROUNDS = 6, ROUND_ROWS = 30000 };

typedef struct large_writer {
    table_fixture *f;
    uint64_t number;
    uint64_t inserted;
} large_writer;

/* Large transactions over keys of the writer's own, every third one rolled back. */
static void large_write(void *object)
{
    large_writer *writer = object;
    table_fixture f = *writer->f;
    f.ctx = (kd_ctx){.world = writer->f->ctx.world};
    for (int round = 0; round < ROUNDS; round++) {
        kd_txn *txn = fixture_begin(&f);
        int64_t first = (int64_t)(writer->number * ROUNDS + (uint64_t)round) * ROUND_ROWS;
        rows_insert(&f, txn, first, ROUND_ROWS);
        if (round % 3 == 2) {
            kd_txn_rollback(txn);
            continue;
        }
        fixture_commit(&f, txn);
        writer->inserted += ROUND_ROWS;
    }
}

TEST(large_transactions_of_several_threads_beside_upkeep)
{
    table_fixture f;
    fixture_open(&f);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    f.options.no_background = false;
    f.options.delta_flush_bytes = 1 << 20;
    f.options.checkpoint_log_bytes = 1 << 20;
    kd_governor_set_budget(f.governor, SMALL_BUDGET);
    fixture_reopen(&f);
    large_writer writers[WRITERS];
    kd_thread *threads[WRITERS];
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (large_writer){.f = &f, .number = i};
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "writer", large_write, &writers[i], &threads[i]));
    }
    for (int i = 0; i < 20; i++)
        CHECK(fixture_count(&f) % ROUND_ROWS == 0);
    uint64_t inserted = 0;
    for (uint64_t i = 0; i < WRITERS; i++) {
        kd_thread_join(f.ctx.world, threads[i]);
        inserted += writers[i].inserted;
    }
    CHECK_EQ(fixture_count(&f), inserted);
    crash(&f);
    CHECK_EQ(fixture_count(&f), inserted);
    fixture_close(&f);
}
