/*
 * SERIALIZABLE: write skew is refused, harmless reads are not.
 */
#include "table_fixture.h"

static void two_rows(table_fixture *f)
{
    fixture_open(f);
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, 1, "one", 10);
    fixture_insert(f, txn, 2, "two", 20);
    fixture_insert(f, txn, 3, "three", 30);
    fixture_commit(f, txn);
}

static void raise_score(table_fixture *f, kd_txn *txn, int64_t id)
{
    kd_rowref ref;
    CHECK(fixture_find(f, kd_txn_snapshot(txn), id, &ref, NULL));
    CHECK_EQ(fixture_update(f, txn, ref, 100).result, KD_WRITE_DONE);
}

TEST(write_skew_by_keys_is_refused)
{
    table_fixture f;
    two_rows(&f);
    kd_txn *a = fixture_begin_as(&f, KD_SERIALIZABLE);
    kd_txn *b = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_score(&f, a, 1), 10);
    CHECK_EQ(fixture_score(&f, b, 2), 20);
    raise_score(&f, a, 2);
    raise_score(&f, b, 1);
    fixture_commit(&f, a);
    CHECK_STATUS(&f.ctx,
                 kd_table_flush(&f.ctx, f.table)); /* The versions are found where they go. */
    CHECK_FAILS(&f.ctx, kd_txn_commit(&f.ctx, b), "40001");
    fixture_close(&f);
}

TEST(a_phantom_is_refused_and_a_row_elsewhere_is_not)
{
    table_fixture f;
    int64_t sum;
    two_rows(&f);
    kd_txn *a = fixture_begin_as(&f, KD_SERIALIZABLE);
    kd_txn *b = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(a), &sum), 3);
    fixture_insert(&f, a, 4, "from a", 1);
    fixture_insert(&f, b, 5, "from b", 1);
    fixture_commit(&f, b);
    CHECK_FAILS(&f.ctx, kd_txn_commit(&f.ctx, a), "40001");
    a = fixture_begin_as(&f, KD_SERIALIZABLE);
    b = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_score(&f, a, 1), 10);
    CHECK_EQ(fixture_score(&f, b, 2), 20);
    raise_score(&f, a, 1);
    raise_score(&f, b, 2);
    fixture_commit(&f, a);
    fixture_commit(&f, b); /* They read and wrote different keys. */
    fixture_close(&f);
}

TEST(a_reader_always_commits)
{
    table_fixture f;
    int64_t sum;
    two_rows(&f);
    kd_txn *a = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(a), &sum), 3);
    kd_txn *b = fixture_begin_as(&f, KD_SERIALIZABLE);
    raise_score(&f, b, 1);
    fixture_commit(&f, b);
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(a), &sum), 3);
    CHECK_EQ(sum, 60);
    fixture_commit(&f, a);
    fixture_close(&f);
}
