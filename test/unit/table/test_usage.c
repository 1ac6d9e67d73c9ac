/*
 * Counters and searches: nothing is lost though many threads count, and what is kept stays small.
 */
#include "base/thread.h"
#include "table/usage.h"
#include "table_fixture.h"

enum { THREADS = 12, ROUNDS = 3000 };

typedef struct counting {
    table_fixture *f;
    uint64_t index_no;
    kd_slice key;
    kd_thread *thread;
    uint64_t found;
} counting;

static void count_on(void *object)
{
    counting *self = object;
    table_fixture *f = self->f;
    kd_ctx ctx = {.world = f->ctx.world};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "reader", KD_ARENA_UNLIMITED);
    kd_txn *txn;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    CHECK(arena != NULL);
    CHECK_STATUS(&ctx, kd_txn_begin(&ctx, kd_storage_txns(f->storage), &options, &txn));
    for (int i = 0; i < ROUNDS; i++) {
        kd_rowref ref;
        bool found;
        CHECK_STATUS(&ctx, kd_table_find_by_key(&ctx, arena, f->table, kd_txn_snapshot(txn),
                                                self->index_no, self->key, &ref, &found));
        self->found += found;
        kd_table_count(f->table, &(kd_table_usage){.scans = 1, .scan_rows = 10});
        kd_table_count_index(f->table, f->secondary,
                             &(kd_index_usage){.scans = 1, .entries = 3, .rows = 2});
        kd_table_note_search(f->table, &(kd_table_search){.column_count = 1,
                                                          .column_nos = {2},
                                                          .scans = 1,
                                                          .rows_read = 2000,
                                                          .rows_passed = 1});
    }
    kd_txn_rollback(txn);
    kd_arena_destroy(arena);
}

TEST(counts_of_many_threads_add_up)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 1, "one", 5);
    fixture_commit(&f, txn);
    kd_buffer keys[2] = {kd_buffer_in(f.arena), kd_buffer_in(f.arena)};
    for (int k = 0; k < 2; k++) {
        kd_value id = kd_value_i64(k + 1);
        CHECK_STATUS(&f.ctx, kd_table_index_key(&f.ctx, f.table, f.primary, &id, 1, &keys[k]));
    }
    counting all[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all[i] = (counting){.f = &f, .index_no = f.primary, .key = kd_buffer_slice(&keys[i % 2])};
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "counting", count_on, &all[i], &all[i].thread));
    }
    for (int i = 0; i < THREADS; i++)
        kd_thread_join(f.ctx.world, all[i].thread);
    kd_table_usage table = kd_table_usage_get(f.table);
    CHECK_EQ(table.scans, THREADS * ROUNDS);
    CHECK_EQ(table.scan_rows, THREADS * ROUNDS * 10);
    CHECK_EQ(table.inserted, 1);
    kd_index_usage primary = kd_table_index_usage_get(f.table, f.primary);
    CHECK_EQ(primary.scans, THREADS * ROUNDS);
    CHECK_EQ(primary.entries, THREADS * ROUNDS / 2);
    CHECK_EQ(primary.rows, THREADS * ROUNDS / 2);
    kd_index_usage secondary = kd_table_index_usage_get(f.table, f.secondary);
    CHECK_EQ(secondary.scans, THREADS * ROUNDS);
    CHECK_EQ(secondary.entries, THREADS * ROUNDS * 3);
    CHECK_EQ(secondary.rows, THREADS * ROUNDS * 2);
    CHECK_EQ(secondary.reads, THREADS * ROUNDS * 3);
    kd_table_search searches[KD_SEARCHES_MAX];
    CHECK_EQ(kd_table_searches(f.table, searches), 1);
    CHECK_EQ(searches[0].scans, THREADS * ROUNDS);
    CHECK_EQ(searches[0].rows_read, (uint64_t)THREADS * ROUNDS * 2000);

    kd_table_usage_reset(f.table);
    CHECK_EQ(kd_table_usage_get(f.table).scans, 0);
    CHECK_EQ(kd_table_index_usage_get(f.table, f.primary).scans, 0);
    CHECK_EQ(kd_table_searches(f.table, searches), 0);
    fixture_close(&f);
}

TEST(searches_that_read_most_are_kept)
{
    table_fixture f;
    fixture_open(&f);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t c = 1; c <= KD_SEARCHES_MAX * 3; c++)
            kd_table_note_search(f.table, &(kd_table_search){.column_count = 1,
                                                             .column_nos = {c},
                                                             .scans = 1,
                                                             .rows_read = 1000 + c});
    kd_table_search searches[KD_SEARCHES_MAX];
    CHECK_EQ(kd_table_searches(f.table, searches), KD_SEARCHES_MAX);
    bool has_largest = false;
    for (uint32_t i = 0; i < KD_SEARCHES_MAX; i++)
        has_largest |= searches[i].column_nos[0] == KD_SEARCHES_MAX * 3;
    CHECK(has_largest);
    /* A range is another search than an equality; a small table's is none. */
    kd_table_usage_reset(f.table);
    kd_table_search search = {.column_count = 1, .column_nos = {1}, .scans = 1, .rows_read = 5000};
    kd_table_note_search(f.table, &search);
    search.is_range = true;
    kd_table_note_search(f.table, &search);
    search.rows_read = KD_SEARCH_ROWS_MIN - 1;
    kd_table_note_search(f.table, &search);
    CHECK_EQ(kd_table_searches(f.table, searches), 2);
    CHECK_EQ(searches[1].rows_read, 5000);
    fixture_close(&f);
}

TEST(a_new_index_counts_reads_from_its_making)
{
    table_fixture f;
    fixture_open(&f);
    kd_table_count(f.table, &(kd_table_usage){.scans = 7});
    kd_index_column column = {.column_no = 2};
    kd_index_definition definition = {.name = KD_SLICE("t_name"),
                                      .columns_text = KD_SLICE("name"),
                                      .predicate_column_no = -1,
                                      .column_count = 1,
                                      .columns = &column};
    uint64_t index_no;
    kd_txn *txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_table_add_index(&f.ctx, txn, f.table, &definition, &index_no));
    fixture_commit(&f, txn);
    CHECK_EQ(kd_table_index_usage_get(f.table, index_no).reads, 0);
    CHECK_EQ(kd_table_index_usage_get(f.table, f.secondary).reads, 7);
    kd_table_count(f.table, &(kd_table_usage){.scans = 2});
    CHECK_EQ(kd_table_index_usage_get(f.table, index_no).reads, 2);
    kd_table_note_analysis(f.table, true);
    kd_table_analysis analysis = kd_table_analysis_get(f.table);
    CHECK_EQ(analysis.asked.count, 1);
    CHECK(analysis.asked.last_us > 0);
    CHECK_EQ(analysis.automatic.count, 0);
    fixture_close(&f);
}
