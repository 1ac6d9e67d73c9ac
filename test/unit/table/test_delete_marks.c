/*
 * Delete marks: their small form, and marks that come after it.
 */
#include "table_fixture.h"

enum { ROWS = 20000 };

static void rows_make(table_fixture *f)
{
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = 0; id < ROWS; id++)
        fixture_insert(f, txn, id, NULL, 1);
    fixture_commit(f, txn);
    CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
}

static void rows_delete(table_fixture *f, int64_t first, bool is_kept)
{
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = first; id < ROWS; id += 10) {
        kd_rowref ref;
        CHECK(fixture_find(f, kd_txn_snapshot(txn), id, &ref, NULL));
        CHECK_EQ(fixture_delete(f, txn, ref).result, KD_WRITE_DONE);
    }
    if (is_kept)
        fixture_commit(f, txn);
    else
        kd_txn_rollback(txn);
}

TEST(marks_that_everybody_sees_take_little_memory)
{
    table_fixture f;
    fixture_open_in(&f, test_ctx(), test_path("db"), false);
    rows_make(&f);
    kd_txn *reader = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    rows_delete(&f, 0, true);
    size_t before = kd_governor_used_bytes(f.governor);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    int64_t sum;
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(reader), &sum), ROWS);
    fixture_commit(&f, reader);
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
    CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage)); /* Frees what the first left. */
    CHECK(kd_governor_used_bytes(f.governor) + ROWS / KD_VECTOR_ROWS * 7000 < before);
    CHECK_EQ(fixture_count(&f), ROWS - ROWS / 10);
    fixture_close(&f);
}

TEST(marks_come_on_top_of_small_ones)
{
    table_fixture f;
    fixture_open_in(&f, test_ctx(), test_path("db"), false);
    rows_make(&f);
    for (int round = 0; round < 3; round++) {
        rows_delete(&f, round, true);
        CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
        rows_delete(&f, round + 5, false);
        CHECK_EQ(fixture_count(&f), ROWS - (round + 1) * ROWS / 10);
        kd_storage_abandon(f.storage);
        fixture_reopen(&f);
        CHECK_EQ(fixture_count(&f), ROWS - (round + 1) * ROWS / 10);
    }
    rows_delete(&f, 7, true);
    CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, true));
    CHECK_EQ(fixture_count(&f), ROWS - 4 * ROWS / 10);
    fixture_close(&f);
}
