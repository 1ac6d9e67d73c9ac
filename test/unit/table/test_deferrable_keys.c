/*
 * Deferrable unique keys: rows enter though their key is taken, the doubts are noted, and judging
 * them lets exactly one row stand. By hand for each way in which a row comes and goes, then with
 * many threads that want the same keys.
 */
#include "base/thread.h"
#include "table_fixture.h"

enum { WORKERS = 4, SMALL_BUDGET = 8 << 20, BATCH = 1000 };

typedef struct keyed {
    table_fixture f;
    uint64_t index_no;
} keyed;

/* The fixture's table with a deferrable key over `score`. */
static void keyed_open(keyed *k)
{
    fixture_open(&k->f);
    kd_index_column column = {.column_no = 3};
    kd_index_definition key = {.name = KD_SLICE("t_score_key"),
                               .columns_text = KD_SLICE("score"),
                               .unique = true,
                               .deferrable = true,
                               .predicate_column_no = -1,
                               .column_count = 1,
                               .columns = &column};
    kd_txn *txn = fixture_begin(&k->f);
    CHECK_STATUS(&k->f.ctx, kd_table_add_index(&k->f.ctx, txn, k->f.table, &key, &k->index_no));
    fixture_commit(&k->f, txn);
}

/* Takes the doubts and judges them, as the end of a transaction does. */
static kd_status judge(table_fixture *f, kd_txn *txn, size_t *out_count)
{
    const kd_key_doubt *doubts = kd_table_doubts_take(txn, out_count);
    for (size_t i = 0; i < *out_count; i++)
        KD_TRY(kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[i]));
    return KD_OK;
}

static void check_right(table_fixture *f, kd_txn *txn, size_t doubt_count)
{
    size_t count;
    CHECK_STATUS(&f->ctx, judge(f, txn, &count));
    CHECK_EQ(count, doubt_count);
}

static void check_taken(table_fixture *f, kd_txn *txn, const char *detail)
{
    size_t count;
    CHECK_EQ(judge(f, txn, &count), KD_INVALID);
    CHECK_TEXT(f->ctx.error.sqlstate, "23505");
    CHECK_TEXT(f->ctx.error.detail, detail);
    CHECK_TEXT(f->ctx.error.constraint, "t_score_key");
    kd_error_clear(&f->ctx);
}

TEST(a_doubt_is_no_error_until_it_is_judged)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, 1, "one", 10);
    fixture_insert(f, txn, 2, "two", 20);
    check_right(f, txn, 0);
    fixture_commit(f, txn);
    txn = fixture_begin(f);
    kd_rowref second = fixture_insert(f, txn, 3, "three", 10);
    check_taken(f, txn, "Key (score)=(10) already exists.");
    fixture_update(f, txn, second, 30);
    check_right(f, txn, 0);
    fixture_insert(f, txn, 4, "four", 20);
    kd_rowref old;
    CHECK(fixture_find(f, kd_txn_snapshot(txn), 2, &old, NULL));
    fixture_delete(f, txn, old);
    check_right(f, txn, 1);
    fixture_commit(f, txn);
    fixture_close(f);
}

TEST(keys_may_change_places)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_txn *txn = fixture_begin(f);
    kd_rowref refs[20];
    for (int i = 0; i < 20; i++)
        refs[i] = fixture_insert(f, txn, i, "a row", i);
    fixture_commit(f, txn);
    CHECK_STATUS(&f->ctx, kd_table_flush(&f->ctx, f->table));
    txn = fixture_begin(f);
    for (int i = 0; i < 20; i++)
        refs[i] = fixture_update(f, txn, refs[i], 19 - i).newest;
    for (int i = 0; i < 20; i++) /* And once more on the own versions. */
        CHECK_EQ(fixture_update(f, txn, refs[i], 20 - i).result, KD_WRITE_DONE);
    size_t count;
    CHECK_STATUS(&f->ctx, judge(f, txn, &count));
    CHECK(count > 0);
    fixture_commit(f, txn);
    txn = fixture_begin(f);
    CHECK_EQ(fixture_score(f, txn, 0), 20);
    CHECK_EQ(fixture_score(f, txn, 19), 1);
    fixture_commit(f, txn);
    fixture_close(f);
}

TEST(a_savepoint_takes_the_rows_and_leaves_no_doubt)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    uint32_t savepoint;
    kd_txn *txn = fixture_begin(f);
    kd_rowref first = fixture_insert(f, txn, 1, "one", 10);
    CHECK_STATUS(&f->ctx, kd_txn_savepoint(&f->ctx, txn, &savepoint));
    fixture_insert(f, txn, 2, "two", 10);
    kd_txn_rollback_to(txn, savepoint);
    check_right(f, txn, 1);
    /* A delete that is undone brings the conflict back. */
    fixture_insert(f, txn, 3, "three", 10);
    size_t count;
    const kd_key_doubt *doubts = kd_table_doubts_take(txn, &count);
    CHECK_EQ(count, 1);
    CHECK_STATUS(&f->ctx, kd_txn_savepoint(&f->ctx, txn, &savepoint));
    fixture_delete(f, txn, first);
    CHECK_STATUS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]));
    kd_txn_rollback_to(txn, savepoint);
    CHECK_FAILS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]), "23505");
    kd_txn_rollback(txn);
    fixture_close(f);
}

TEST(a_key_stays_deferrable_after_reopening_and_after_a_crash)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, 1, "one", 10);
    fixture_commit(f, txn);
    for (int round = 0; round < 3; round++) {
        if (round == 2)
            CHECK_STATUS(&f->ctx, kd_storage_close(&f->ctx, f->storage));
        else
            kd_storage_abandon(f->storage);
        fixture_reopen(f);
        txn = fixture_begin(f);
        fixture_insert(f, txn, 2, "two", 10);
        check_taken(f, txn, "Key (score)=(10) already exists.");
        kd_txn_rollback(txn);
        CHECK_STATUS(&f->ctx, kd_storage_checkpoint(&f->ctx, f->storage));
    }
    fixture_close(f);
}

TEST(no_doubt_is_left_of_a_dropped_index)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, 1, "one", 10);
    fixture_insert(f, txn, 2, "two", 10);
    kd_txn *other = fixture_begin(f);
    CHECK_STATUS(&f->ctx, kd_table_drop_index(&f->ctx, other, f->table, k.index_no));
    fixture_commit(f, other);
    check_right(f, txn, 1);
    fixture_commit(f, txn);
    fixture_close(f);
}

TEST(an_index_over_equal_keys_is_not_built_although_deferrable)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, 1, "same", 1);
    fixture_insert(f, txn, 2, "same", 2);
    fixture_commit(f, txn);
    kd_index_column column = {.column_no = 2};
    kd_index_definition key = {.name = KD_SLICE("t_name_key"),
                               .columns_text = KD_SLICE("name"),
                               .unique = true,
                               .deferrable = true,
                               .predicate_column_no = -1,
                               .column_count = 1,
                               .columns = &column};
    uint64_t index_no;
    txn = fixture_begin(f);
    CHECK_FAILS(&f->ctx, kd_table_add_index(&f->ctx, txn, f->table, &key, &index_no), "23505");
    kd_txn_rollback(txn);
    fixture_close(f);
}

/* `count` rows with ids and scores from `first` on. */
static void batch_make(table_fixture *f, kd_arena *arena, int64_t first, int32_t first_score,
                       uint32_t count, kd_batch *out_batch)
{
    kd_vector *columns = kd_alloc(&f->ctx, arena, 3 * sizeof *columns);
    CHECK(columns != NULL);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&f->ctx, kd_vector_init_flat(&f->ctx, arena, f->columns[i].type, KD_BATCH_ROWS,
                                                  &columns[i]));
    for (uint32_t i = 0; i < count; i++) {
        kd_value id = kd_value_i64(first + i), score = kd_value_i32(first_score + (int32_t)i);
        kd_value name = fixture_text("a name that takes some room in memory");
        kd_vector_set(&columns[0], i, &id);
        kd_vector_set(&columns[1], i, &name);
        kd_vector_set(&columns[2], i, &score);
    }
    *out_batch = (kd_batch){
        .row_count = count, .selected_count = count, .column_count = 3, .columns = columns};
}

static void batch_insert(table_fixture *f, kd_txn *txn, int64_t first, int32_t first_score)
{
    kd_arena *arena = kd_arena_create(&f->ctx, NULL, "batch", KD_ARENA_UNLIMITED);
    kd_batch batch;
    CHECK(arena != NULL);
    batch_make(f, arena, first, first_score, BATCH, &batch);
    CHECK_STATUS(&f->ctx, kd_table_insert_batch(&f->ctx, txn, f->table, &f->shape, &batch, NULL));
    kd_arena_destroy(arena);
}

TEST(rows_of_large_transactions_are_doubted_too)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    kd_rowref ref;
    uint32_t savepoint;
    size_t count;
    kd_governor_set_budget(f->governor, SMALL_BUDGET);
    kd_txn *txn = fixture_begin(f);
    for (int i = 0; i < 40; i++)
        batch_insert(f, txn, i * BATCH, i * BATCH);
    CHECK(kd_storage_read_statistics(f->storage).segment_count > 0);
    check_right(f, txn, 0);
    CHECK_STATUS(&f->ctx, kd_txn_savepoint(&f->ctx, txn, &savepoint));
    batch_insert(f, txn, 40 * BATCH, 39 * BATCH);
    kd_txn_rollback_to(txn, savepoint);
    check_right(f, txn, BATCH);
    batch_insert(f, txn, 40 * BATCH, 40 * BATCH - 1); /* One key is there, in a private segment. */
    const kd_key_doubt *doubts = kd_table_doubts_take(txn, &count);
    CHECK_EQ(count, 1);
    CHECK_FAILS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]), "23505");
    CHECK(fixture_find(f, kd_txn_snapshot(txn), 40 * BATCH - 1, &ref, NULL));
    fixture_delete(f, txn, ref);
    CHECK_STATUS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]));
    fixture_commit(f, txn);
    CHECK_EQ(kd_table_row_count_estimate(f->table), 41 * BATCH - 1);
    fixture_close(f);
}

static void load(table_fixture *f, kd_txn *txn, int64_t first, int32_t first_score)
{
    kd_arena *arena = kd_arena_create(&f->ctx, NULL, "batch", KD_ARENA_UNLIMITED);
    kd_bulk_load *load;
    kd_batch batch;
    CHECK(arena != NULL);
    CHECK_STATUS(&f->ctx, kd_bulk_load_begin(&f->ctx, txn, f->table, &f->shape, &load));
    batch_make(f, arena, first, first_score, BATCH, &batch);
    CHECK_STATUS(&f->ctx, kd_bulk_load_append(&f->ctx, load, &batch));
    batch_make(f, arena, first + BATCH, first_score + BATCH - 1, BATCH, &batch);
    CHECK_STATUS(&f->ctx, kd_bulk_load_append(&f->ctx, load, &batch));
    CHECK_STATUS(&f->ctx, kd_bulk_load_finish(&f->ctx, load));
    kd_bulk_load_destroy(load);
    kd_arena_destroy(arena);
}

TEST(loaded_rows_are_doubted_too)
{
    keyed k;
    keyed_open(&k);
    table_fixture *f = &k.f;
    size_t count;
    kd_rowref ref;
    kd_txn *txn = fixture_begin(f);
    load(f, txn, 0, 0); /* Two rows have the score BATCH - 1. */
    const kd_key_doubt *doubts = kd_table_doubts_take(txn, &count);
    CHECK_EQ(count, 1);
    CHECK_FAILS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]), "23505");
    CHECK(fixture_find(f, kd_txn_snapshot(txn), BATCH, &ref, NULL));
    fixture_delete(f, txn, ref);
    CHECK_STATUS(&f->ctx, kd_table_doubt_judge(&f->ctx, txn, f->storage, &doubts[0]));
    fixture_commit(f, txn);
    fixture_close(f);
}

/* --- Threads ---------------------------------------------------------------------------------- */

typedef struct worker {
    table_fixture *f;
    kd_thread *thread;
    uint64_t seed;
    int rounds;
    int64_t done, first_id;
} worker;

enum { KEYS = 40 };

/* Two of few keys in each transaction, in any order: some meet, some lie crosswise. */
static void insert_pairs(void *object)
{
    worker *self = object;
    kd_ctx ctx = test_ctx();
    test_random random = {self->seed};
    table_fixture own = *self->f;
    own.ctx = ctx;
    for (int round = 0; round < self->rounds; round++) {
        kd_txn *txn;
        size_t count;
        kd_txn_options options = {.isolation = KD_READ_COMMITTED, .durability = KD_DURABLE_LATER};
        CHECK_STATUS(&own.ctx,
                     kd_txn_begin(&own.ctx, kd_storage_txns(own.storage), &options, &txn));
        for (int i = 0; i < 2; i++)
            fixture_insert(&own, txn, self->first_id + round * 2 + i, "mine",
                           (int32_t)test_random_below(&random, KEYS));
        kd_status status = judge(&own, txn, &count);
        if (status == KD_OK && test_random_below(&random, 4) != 0) {
            CHECK_STATUS(&own.ctx, kd_txn_commit(&own.ctx, txn));
            self->done += 2;
            continue;
        }
        CHECK(status == KD_OK || strcmp(own.ctx.error.sqlstate, "23505") == 0 ||
              strcmp(own.ctx.error.sqlstate, "40P01") == 0);
        kd_error_clear(&own.ctx);
        kd_txn_rollback(txn);
    }
}

static void check_keys(table_fixture *f, int64_t expected)
{
    bool is_taken[KEYS] = {false};
    int64_t sum, count = 0, sum_of_keys = 0;
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = 0; id < WORKERS * 1000; id++) {
        int64_t score = fixture_score(f, txn, id);
        if (score < 0)
            continue;
        CHECK(!is_taken[score]);
        is_taken[score] = true;
        sum_of_keys += score;
        count++;
    }
    CHECK_EQ(count, expected);
    CHECK_EQ(fixture_scan(f, kd_txn_snapshot(txn), &sum), (uint64_t)expected);
    CHECK_EQ(sum, sum_of_keys);
    fixture_commit(f, txn);
}

TEST(of_many_threads_that_want_one_key_one_commits)
{
    keyed k;
    keyed_open(&k);
    worker all[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        all[i] = (worker){
            .f = &k.f, .rounds = 200, .seed = (uint64_t)i + 1, .first_id = (int64_t)i * 1000};
        CHECK_STATUS(&k.f.ctx,
                     kd_thread_start(&k.f.ctx, "pairs", insert_pairs, &all[i], &all[i].thread));
    }
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(&k.f.ctx, kd_table_flush(&k.f.ctx, k.f.table));
        CHECK_STATUS(&k.f.ctx, kd_storage_checkpoint(&k.f.ctx, k.f.storage));
    }
    int64_t done = 0;
    for (int i = 0; i < WORKERS; i++) {
        kd_thread_join(k.f.ctx.world, all[i].thread);
        done += all[i].done;
    }
    CHECK(done > 0);
    check_keys(&k.f, done);
    kd_storage_abandon(k.f.storage);
    fixture_reopen(&k.f);
    int64_t sum;
    kd_txn *txn = fixture_begin(&k.f);
    CHECK(fixture_scan(&k.f, kd_txn_snapshot(txn), &sum) <= (uint64_t)done); /* DURABLE_LATER. */
    fixture_commit(&k.f, txn);
    fixture_close(&k.f);
}
