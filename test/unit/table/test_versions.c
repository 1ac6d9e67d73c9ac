/*
 * Versions that nobody sees: they leave indexes and chunks while older snapshots are held, and
 * those who stand at an older version still find the newest one.
 */
#include "table/upkeep.h"
#include "table_fixture.h"

enum { UPDATES = 5000, ENTRIES_FEW = 12, CHUNKS_FEW = 4 };

static uint32_t entry_count(table_fixture *f, int64_t id)
{
    kd_rowref refs[64];
    uint32_t count;
    kd_value value = kd_value_i64(id);
    kd_buffer key = kd_buffer_in(f->arena);
    const kdi_index *index = kdi_index_find(f->table, f->primary);
    CHECK_STATUS(&f->ctx, kd_table_index_key(&f->ctx, f->table, f->primary, &value, 1, &key));
    CHECK_STATUS(&f->ctx,
                 kd_index_find(&f->ctx, index->index, kd_buffer_slice(&key), refs, 64, &count));
    return count;
}

/* Nobody waits for the log: many small transactions. */
static kd_txn *begin_quick(table_fixture *f)
{
    kd_txn *txn = fixture_begin(f);
    kd_txn_set_durability(txn, KD_DURABLE_LATER);
    return txn;
}

static void update_once(table_fixture *f, kd_txn *txn, int64_t id, int32_t score)
{
    kd_rowref ref;
    CHECK(fixture_find(f, kd_txn_snapshot(txn), id, &ref, NULL));
    CHECK_EQ(fixture_update(f, txn, ref, score).result, KD_WRITE_DONE);
}

static void update_often(table_fixture *f, int64_t id, int32_t first, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        kd_txn *txn = begin_quick(f);
        update_once(f, txn, id, first + i);
        fixture_commit(f, txn);
    }
}

static void insert_row(table_fixture *f, int64_t id, int32_t score)
{
    kd_txn *txn = fixture_begin(f);
    fixture_insert(f, txn, id, "a name that does not fit in", score);
    fixture_commit(f, txn);
}

static uint32_t chunk_count(const table_fixture *f)
{
    return atomic_load(&f->table->units)->chunk_count;
}

TEST(between_versions_leave_while_old_snapshots_are_held)
{
    table_fixture f;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *readers[4];
    for (int32_t i = 0; i < 4; i++) {
        readers[i] = fixture_begin(&f);
        update_often(&f, 1, 1 + i * UPDATES, UPDATES);
        CHECK(entry_count(&f, 1) < ENTRIES_FEW);
        CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
        CHECK(chunk_count(&f) < CHUNKS_FEW + (uint32_t)i * 2);
    }
    CHECK_EQ(atomic_load(&f.table->units)->remap_count, 0);
    const kdi_index *secondary = kdi_index_find(f.table, f.secondary);
    CHECK(kd_index_entry_count(secondary->index) < CHUNKS_FEW * KDI_CHUNK_SLOTS);
    for (int32_t i = 0; i < 4; i++) {
        CHECK_EQ(fixture_score(&f, readers[i], 1), i * UPDATES);
        kd_txn_rollback(readers[i]);
    }
    fixture_close(&f);
}

/* The old version's link leads past what has gone: by chunks, by a flush, by a compaction. */
TEST(the_newest_version_is_found_from_an_old_one)
{
    table_fixture f;
    kd_rowref old;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    insert_row(&f, 2, 0);
    for (int round = 0; round < 4; round++) {
        kd_txn *reader = fixture_begin_as(&f, KD_READ_COMMITTED);
        CHECK(fixture_find(&f, kd_txn_snapshot(reader), 1, &old, NULL));
        for (int32_t i = 0; i < 3; i++) {
            update_often(&f, 1, i * UPDATES, UPDATES);
            CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
            if (round > 0)
                CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
            if (round > 1)
                CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
            if (round > 2)
                CHECK_STATUS(&f.ctx, kd_storage_checkpoint(&f.ctx, f.storage));
        }
        kd_value values[3];
        bool visible;
        test_note("round %d", round);
        CHECK_STATUS(&f.ctx, kd_table_get(&f.ctx, f.arena, f.table, kd_table_latest(reader), old,
                                          &f.shape, fixture_positions, 3, values, &visible));
        CHECK(visible);
        CHECK_EQ(values[2].as.i32, 3 * UPDATES - 1);
        kd_write_outcome outcome;
        CHECK_STATUS(&f.ctx, kd_table_lock_row(&f.ctx, reader, f.table, old, KD_LOCK_UPDATE,
                                               KD_WAIT, &outcome));
        CHECK_EQ(outcome.result, KD_WRITE_CHANGED);
        CHECK_STATUS(&f.ctx, kd_table_lock_row(&f.ctx, reader, f.table, outcome.newest,
                                               KD_LOCK_UPDATE, KD_WAIT, &outcome));
        CHECK_EQ(outcome.result, KD_WRITE_DONE);
        kd_txn_rollback(reader);
    }
    fixture_close(&f);
}

TEST(a_row_that_was_deleted_behind_versions_that_have_gone_is_gone)
{
    table_fixture f;
    kd_rowref old, newest;
    kd_write_outcome outcome;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *reader = fixture_begin_as(&f, KD_READ_COMMITTED);
    CHECK(fixture_find(&f, kd_txn_snapshot(reader), 1, &old, NULL));
    update_often(&f, 1, 1, UPDATES);
    kd_txn *txn = fixture_begin(&f);
    CHECK(fixture_find(&f, kd_txn_snapshot(txn), 1, &newest, NULL));
    fixture_delete(&f, txn, newest);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    CHECK_EQ(fixture_score(&f, reader, 1), 0);
    CHECK_STATUS(
        &f.ctx, kd_table_lock_row(&f.ctx, reader, f.table, old, KD_LOCK_UPDATE, KD_WAIT, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_GONE);
    kd_txn_rollback(reader);
    fixture_close(&f);
}

/* What a transaction found past its snapshot is no version for any snapshot, and still stays. */
TEST(what_was_found_as_the_newest_stays_to_the_end_of_the_statement)
{
    table_fixture f;
    kd_rowref old;
    kd_write_outcome outcome, again;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *reader = fixture_begin_as(&f, KD_READ_COMMITTED);
    CHECK(fixture_find(&f, kd_txn_snapshot(reader), 1, &old, NULL));
    update_often(&f, 1, 1, UPDATES);
    CHECK_STATUS(
        &f.ctx, kd_table_lock_row(&f.ctx, reader, f.table, old, KD_LOCK_UPDATE, KD_WAIT, &outcome));
    CHECK_EQ(outcome.result, KD_WRITE_CHANGED);
    update_often(&f, 1, UPDATES, UPDATES);
    CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    CHECK_STATUS(&f.ctx, kd_table_lock_row(&f.ctx, reader, f.table, outcome.newest, KD_LOCK_UPDATE,
                                           KD_WAIT, &again));
    CHECK_EQ(again.result, KD_WRITE_CHANGED);
    kd_txn_keep_end(reader);
    update_often(&f, 1, 2 * UPDATES, UPDATES);
    CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
    CHECK(chunk_count(&f) < CHUNKS_FEW);
    kd_txn_rollback(reader);
    fixture_close(&f);
}

/* What has ended and is still seen is no reason to write a segment again and again. */
TEST(compaction_leaves_rows_alone_that_an_old_snapshot_sees)
{
    enum { ROWS = 300 };
    table_fixture f;
    fixture_open(&f);
    for (int64_t id = 0; id < ROWS; id++)
        insert_row(&f, id, 5);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    uint64_t unit = atomic_load(&f.table->units)->segments[0]->unit;
    kd_txn *reader = fixture_begin(&f);
    for (int64_t id = 0; id < ROWS; id++)
        update_often(&f, id, 6, 2);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
    CHECK_EQ(atomic_load(&f.table->units)->segments[0]->unit, unit);
    CHECK_EQ(fixture_score(&f, reader, 7), 5);
    kd_txn_rollback(reader);
    CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
    CHECK_EQ(atomic_load(&f.table->units)->segment_count, 0);
    fixture_close(&f);
}

/* --- Memory ---------------------------------------------------------------------------------- */

static uint64_t delta_bytes(table_fixture *f)
{
    return kd_storage_read_statistics(f->storage).delta_bytes;
}

TEST(an_idle_transaction_holds_no_memory_of_versions_that_went)
{
    table_fixture f;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *reader = fixture_begin(&f);
    for (int32_t round = 0; round < 3; round++) {
        CHECK_EQ(fixture_score(&f, reader, 1), 0);
        kd_txn_rest(reader);
        update_often(&f, 1, 1, UPDATES);
        CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
        CHECK(delta_bytes(&f) < CHUNKS_FEW * KDI_CHUNK_SLOTS * 200);
        kd_txn_wake(reader);
    }
    /* A statement that may look at anything does. */
    update_often(&f, 1, 1, UPDATES);
    CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
    CHECK(delta_bytes(&f) > (UPDATES - KDI_CHUNK_SLOTS) * 24);
    kd_txn_rollback(reader);
    fixture_close(&f);
}

TEST(a_scan_holds_what_it_found_and_nothing_that_came_later)
{
    table_fixture f;
    kd_batch batch;
    bool is_end;
    const kd_rowref *refs;
    fixture_open(&f);
    insert_row(&f, 1, 7);
    kd_arena *arena = kd_arena_create(&f.ctx, NULL, "scan", KD_ARENA_UNLIMITED);
    kd_scan_spec spec = {
        .shape = &f.shape, .positions = fixture_positions, .position_count = 3, .with_refs = true};
    kd_table_scan *scan;
    kd_scan_reader *scanner;
    kd_txn *reader = fixture_begin(&f);
    kd_txn_scan_only(reader);
    CHECK_STATUS(&f.ctx,
                 kd_table_scan_open(&f.ctx, arena, f.table, kd_txn_snapshot(reader), &spec, &scan));
    CHECK_STATUS(&f.ctx, kd_scan_reader_create(&f.ctx, arena, scan, &scanner));
    for (int32_t round = 0; round < 3; round++) {
        update_often(&f, 1, 1, UPDATES);
        CHECK_STATUS(&f.ctx, kdi_flush_over(&f.ctx, f.table, 1));
        CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
        CHECK(delta_bytes(&f) < CHUNKS_FEW * KDI_CHUNK_SLOTS * 200);
    }
    CHECK_STATUS(&f.ctx, kd_scan_reader_next(&f.ctx, scanner, &batch, &refs, &is_end));
    CHECK_EQ(batch.selected_count, 1);
    CHECK_EQ(kd_vector_get(&batch.columns[2], kd_batch_row(&batch, 0)).as.i32, 7);
    kd_value name = kd_vector_get(&batch.columns[1], kd_batch_row(&batch, 0));
    CHECK_SLICE(kd_str_slice(&name.as.str), "a name that does not fit in");
    kd_scan_reader_destroy(scanner);
    kd_table_scan_close(scan);
    CHECK_SLICE(kd_str_slice(&name.as.str), "a name that does not fit in");
    kd_arena_destroy(arena);
    kd_txn_rollback(reader);
    fixture_close(&f);
}

/* --- Within one transaction ------------------------------------------------------------------ */

/* As the engine does: each statement in a savepoint. */
static void update_statement(table_fixture *f, kd_txn *txn, int64_t id, int32_t score)
{
    uint32_t savepoint;
    CHECK_STATUS(&f->ctx, kd_txn_savepoint(&f->ctx, txn, &savepoint));
    update_once(f, txn, id, score);
    kd_txn_release(txn, savepoint);
}

TEST(a_transaction_leaves_no_tail_of_its_own_versions)
{
    table_fixture f;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *txn = fixture_begin(&f);
    for (int32_t i = 1; i <= UPDATES; i++)
        update_statement(&f, txn, 1, i);
    CHECK(entry_count(&f, 1) < ENTRIES_FEW);
    CHECK_EQ(fixture_score(&f, txn, 1), UPDATES);
    uint32_t savepoint;
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &savepoint));
    for (int32_t i = 1; i <= UPDATES; i++)
        update_statement(&f, txn, 1, -3 - i);
    CHECK(entry_count(&f, 1) < ENTRIES_FEW);
    kd_txn_rollback_to(txn, savepoint);
    CHECK_EQ(fixture_score(&f, txn, 1), UPDATES);
    update_statement(&f, txn, 1, 7);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 1), 7);
    for (int32_t i = 1; i <= 100; i++)
        update_statement(&f, txn, 1, 1000 + i);
    kd_txn_rollback(txn);
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 1), 7);
    kd_txn_rollback(txn);
    fixture_close(&f);
}

TEST(a_statement_that_fails_brings_its_own_old_version_back)
{
    table_fixture f;
    fixture_open(&f);
    insert_row(&f, 1, 0);
    kd_txn *txn = fixture_begin(&f);
    for (int32_t i = 1; i <= 50; i++) {
        uint32_t savepoint;
        update_statement(&f, txn, 1, i);
        CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &savepoint));
        update_once(&f, txn, 1, 1000);
        kd_txn_rollback_to(txn, savepoint);
        kd_txn_release(txn, savepoint);
        CHECK_EQ(fixture_score(&f, txn, 1), i);
    }
    fixture_commit(&f, txn);
    fixture_close(&f);
}

/* --- SERIALIZABLE ---------------------------------------------------------------------------- */

/* A row came and went since the snapshot: who read its range has to know of it. */
TEST(serializable_meets_rows_that_came_and_went)
{
    table_fixture f;
    kd_rowref ref;
    fixture_open(&f);
    insert_row(&f, 2, 20);
    kd_txn *reader = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_score(&f, reader, 1), -1);
    kd_txn *writer = fixture_begin_as(&f, KD_SERIALIZABLE);
    CHECK_EQ(fixture_score(&f, writer, 2), 20);
    fixture_insert(&f, writer, 1, "one", 10);
    fixture_commit(&f, writer);
    update_often(&f, 1, 11, UPDATES);
    writer = fixture_begin(&f);
    CHECK(fixture_find(&f, kd_txn_snapshot(writer), 1, &ref, NULL));
    fixture_delete(&f, writer, ref);
    fixture_commit(&f, writer);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    fixture_insert(&f, reader, 3, "three", 30);
    CHECK_EQ(kd_txn_commit(&f.ctx, reader), KD_CONFLICT);
    CHECK_TEXT(f.ctx.error.sqlstate, "40001");
    kd_error_clear(&f.ctx);
    fixture_close(&f);
}

/* --- Threads --------------------------------------------------------------------------------- */

enum { HOT = 4, WRITERS = 3, ROUNDS = 400 };

typedef struct beside {
    table_fixture f;
    unsigned number;
    atomic_bool *stops;
} beside;

/* Moves a point from one row to another: the sum stays. Conflicts happen. */
static void points_move(void *object)
{
    beside *my = object;
    table_fixture *f = &my->f;
    uint32_t position = 2;
    for (int i = 0; i < ROUNDS; i++) {
        kd_txn *txn = fixture_begin_as(f, i % 2 == 0 ? KD_SNAPSHOT_ISOLATION : KD_READ_COMMITTED);
        kd_txn_set_durability(txn, KD_DURABLE_LATER);
        kd_status status = KD_OK;
        for (int k = 0; k < 2 && status == KD_OK; k++) {
            kd_rowref ref;
            kd_value values[3];
            kd_write_outcome outcome;
            int64_t id = ((int)my->number + i + k) % HOT;
            CHECK(fixture_find(f, kd_txn_snapshot(txn), id, &ref, values));
            kd_value score = kd_value_i32(values[2].as.i32 + (k == 0 ? 1 : -1));
            status = kd_table_update(&f->ctx, txn, f->table, &f->shape, ref, &position, &score, 1,
                                     &outcome);
            if (status == KD_OK && outcome.result != KD_WRITE_DONE) {
                CHECK_EQ(outcome.result, KD_WRITE_CHANGED); /* Never gone. */
                status = KD_CONFLICT;
            }
        }
        kd_error_clear(&f->ctx);
        if (status == KD_OK)
            fixture_commit(f, txn);
        else
            kd_txn_rollback(txn);
    }
}

static void points_count(void *object)
{
    beside *my = object;
    while (!atomic_load(my->stops)) {
        kd_txn *txn = fixture_begin(&my->f);
        for (int look = 0; look < 5; look++) {
            int64_t sum, by_key = 0;
            if (look % 2 == 0)
                kd_txn_scan_only(txn);
            CHECK_EQ(fixture_scan(&my->f, kd_txn_snapshot(txn), &sum), HOT);
            kd_txn_wake(txn);
            for (int64_t id = 0; id < HOT; id++)
                by_key += fixture_score(&my->f, txn, id);
            CHECK_EQ(sum, HOT * 100000);
            CHECK_EQ(by_key, HOT * 100000);
            kd_txn_rest(txn);
        }
        kd_txn_rollback(txn);
    }
}

static void table_keep(void *object)
{
    beside *my = object;
    kd_txn_manager *txns = kd_storage_txns(my->f.storage);
    for (int i = 0; !atomic_load(my->stops); i++) {
        uint32_t pin;
        CHECK_STATUS(&my->f.ctx, kd_txn_pin(&my->f.ctx, txns, UINT64_MAX, &pin));
        CHECK_STATUS(&my->f.ctx, kdi_flush_over(&my->f.ctx, my->f.table, 1));
        kd_txn_unpin(txns, pin);
        if (i % 7 == 0)
            CHECK_STATUS(&my->f.ctx, kd_table_flush(&my->f.ctx, my->f.table));
        if (i % 21 == 0)
            CHECK_STATUS(&my->f.ctx, kd_table_compact(&my->f.ctx, my->f.table));
        if (i % 40 == 0)
            CHECK_STATUS(&my->f.ctx, kd_storage_checkpoint(&my->f.ctx, my->f.storage));
        my->f.ctx.world->sleep_ns(my->f.ctx.world, 1000000);
    }
}

TEST(snapshots_hold_beside_writers_and_upkeep)
{
    table_fixture f;
    beside all[WRITERS + 3];
    kd_thread *threads[WRITERS + 3];
    atomic_bool stops = false;
    fixture_open(&f);
    for (int64_t id = 0; id < HOT; id++)
        insert_row(&f, id, 100000);
    for (unsigned i = 0; i < WRITERS + 3; i++) {
        all[i] = (beside){.f = f, .number = i, .stops = &stops};
        all[i].f.arena = kd_arena_create(&f.ctx, NULL, "beside", KD_ARENA_UNLIMITED);
        void (*work)(void *) = i < WRITERS        ? points_move
                               : i == WRITERS + 2 ? table_keep
                                                  : points_count;
        CHECK_STATUS(&f.ctx, kd_thread_start(&f.ctx, "beside", work, &all[i], &threads[i]));
    }
    for (unsigned i = 0; i < WRITERS + 3; i++) {
        if (i == WRITERS)
            atomic_store(&stops, true);
        kd_thread_join(f.ctx.world, threads[i]);
        kd_arena_destroy(all[i].f.arena);
    }
    fixture_close(&f);
}
