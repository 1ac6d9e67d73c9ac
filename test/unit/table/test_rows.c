/*
 * Rows one by one: visibility, keys, savepoints, batches, sequences, columns.
 */
#include "table_fixture.h"

TEST(a_row_is_seen_by_its_own_transaction_and_after_commit)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *older = fixture_begin(&f);
    kd_txn *writer = fixture_begin(&f);
    fixture_insert(&f, writer, 1, "one", 10);
    CHECK_EQ(fixture_score(&f, writer, 1), 10);
    CHECK_EQ(fixture_score(&f, older, 1), -1);
    fixture_commit(&f, writer);
    CHECK_EQ(fixture_score(&f, older, 1), -1);
    kd_txn *newer = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, newer, 1), 10);
    fixture_commit(&f, older);
    fixture_commit(&f, newer);
    fixture_close(&f);
}

TEST(an_update_gives_every_snapshot_its_version)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *readers[5];
    kd_txn *writer = fixture_begin(&f);
    fixture_insert(&f, writer, 1, "a name that is longer than twelve bytes", 0);
    fixture_commit(&f, writer);
    for (int i = 0; i < 5; i++) {
        readers[i] = fixture_begin(&f);
        writer = fixture_begin(&f);
        kd_rowref ref;
        CHECK(fixture_find(&f, kd_txn_snapshot(writer), 1, &ref, NULL));
        CHECK_EQ(fixture_update(&f, writer, ref, i + 1).result, KD_WRITE_DONE);
        CHECK_EQ(fixture_score(&f, writer, 1), i + 1);
        fixture_commit(&f, writer);
    }
    for (int i = 0; i < 5; i++)
        CHECK_EQ(fixture_score(&f, readers[i], 1), i);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    for (int i = 0; i < 5; i++)
        CHECK_EQ(fixture_score(&f, readers[i], 1), i);
    for (int i = 0; i < 5; i++) {
        int64_t sum;
        CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(readers[i]), &sum), 1);
        CHECK_EQ(sum, i);
        fixture_commit(&f, readers[i]);
    }
    fixture_close(&f);
}

static kd_rowref place_seen(table_fixture *f, kd_txn *txn, kd_rowref ref)
{
    kd_rowref place;
    bool found;
    CHECK_STATUS(&f->ctx,
                 kd_table_find_place(&f->ctx, f->table, kd_txn_snapshot(txn), ref, &place, &found));
    return found ? place : KD_ROWREF_NONE;
}

/* Two scans of one statement must name a row alike: while its places are held it is not moved. */
TEST(a_row_stays_where_it_is_while_places_are_held)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    kd_rowref ref = fixture_insert(&f, txn, 1, "one", 10);
    fixture_commit(&f, txn);
    kd_txn *older = fixture_begin(&f);
    kd_table_hold_places(f.table);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
    CHECK_EQ(place_seen(&f, older, ref), ref);
    kd_table_release_places(f.table);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    kd_rowref moved = place_seen(&f, older, ref);
    CHECK(moved != ref);
    CHECK(moved != KD_ROWREF_NONE);
    /* From any reference to a row each snapshot finds the version that it sees. */
    txn = fixture_begin(&f);
    kd_write_outcome outcome = fixture_update(&f, txn, moved, 20);
    CHECK_EQ(place_seen(&f, txn, ref), outcome.newest);
    CHECK_EQ(place_seen(&f, older, ref), moved);
    CHECK_EQ(fixture_delete(&f, txn, outcome.newest).result, KD_WRITE_DONE);
    CHECK_EQ(place_seen(&f, txn, ref), KD_ROWREF_NONE);
    CHECK_EQ(place_seen(&f, older, moved), moved);
    fixture_commit(&f, txn);
    fixture_commit(&f, older);
    fixture_close(&f);
}

TEST(rollback_leaves_nothing)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *writer = fixture_begin(&f);
    kd_rowref ref = fixture_insert(&f, writer, 1, "one", 10);
    fixture_commit(&f, writer);
    writer = fixture_begin(&f);
    fixture_insert(&f, writer, 2, "two", 20);
    CHECK_EQ(fixture_update(&f, writer, ref, 11).result, KD_WRITE_DONE);
    kd_txn_rollback(writer);
    CHECK_EQ(fixture_count(&f), 1);
    writer = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, writer, 1), 10);
    CHECK_EQ(fixture_delete(&f, writer, ref).result, KD_WRITE_DONE);
    CHECK_EQ(fixture_delete(&f, writer, ref).result, KD_WRITE_GONE);
    fixture_insert(&f, writer, 1, "one again", 12);
    fixture_insert(&f, writer, 2, "two", 20);
    fixture_commit(&f, writer);
    CHECK_EQ(fixture_count(&f), 2);
    fixture_close(&f);
}

TEST(rolling_back_to_a_savepoint_undoes_what_came_after)
{
    table_fixture f;
    fixture_open(&f);
    uint32_t outer, inner;
    kd_txn *txn = fixture_begin(&f);
    kd_rowref one = fixture_insert(&f, txn, 1, "one", 10);
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &outer));
    fixture_insert(&f, txn, 2, "two", 20);
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &inner));
    CHECK_EQ(fixture_update(&f, txn, one, 11).result, KD_WRITE_DONE);
    kd_txn_rollback_to(txn, inner);
    CHECK_EQ(fixture_score(&f, txn, 1), 10);
    CHECK_EQ(fixture_score(&f, txn, 2), 20);
    kd_txn_rollback_to(txn, outer);
    CHECK_EQ(fixture_score(&f, txn, 2), -1);
    fixture_insert(&f, txn, 2, "two again", 21);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
    fixture_reopen(&f);
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_score(&f, txn, 1), 10);
    CHECK_EQ(fixture_score(&f, txn, 2), 21);
    fixture_commit(&f, txn);
    fixture_close(&f);
}

TEST(a_taken_key_fails_as_postgresql_says)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 1, "one", 10);
    CHECK_EQ(fixture_try_insert(&f, txn, 1, "other", 11, NULL), KD_INVALID);
    CHECK_TEXT(f.ctx.error.sqlstate, "23505");
    CHECK_TEXT(f.ctx.error.message, "duplicate key value violates unique constraint \"t_pkey\"");
    CHECK_TEXT(f.ctx.error.detail, "Key (id)=(1) already exists.");
    kd_error_clear(&f.ctx);
    kd_value values[3] = {kd_value_null(kd_type_of(KD_TYPE_INT8)), fixture_text("x"),
                          kd_value_i32(1)};
    kd_insert_outcome outcome;
    CHECK_FAILS_WITH(
        &f.ctx, kd_table_insert_row(&f.ctx, txn, f.table, &f.shape, values, NULL, &outcome),
        "23502", "null value in column \"id\" of relation \"t\" violates not-null constraint");
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 1);
    fixture_close(&f);
}

TEST(on_conflict_tells_the_row_in_the_way)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    kd_rowref one = fixture_insert(&f, txn, 1, "one", 10);
    kd_on_conflict any = {0};
    kd_value values[3] = {kd_value_i64(1), fixture_text("x"), kd_value_i32(1)};
    kd_insert_outcome outcome;
    CHECK_STATUS(&f.ctx,
                 kd_table_insert_row(&f.ctx, txn, f.table, &f.shape, values, &any, &outcome));
    CHECK(!outcome.inserted);
    CHECK_EQ(outcome.ref, one);
    CHECK_EQ(outcome.conflict_index_no, f.primary);
    uint64_t other = f.secondary;
    kd_on_conflict elsewhere = {.index_nos = &other, .index_count = 1};
    CHECK_FAILS(&f.ctx,
                kd_table_insert_row(&f.ctx, txn, f.table, &f.shape, values, &elsewhere, &outcome),
                "23505");
    fixture_commit(&f, txn);
    fixture_close(&f);
}

static void batch_insert(table_fixture *f, kd_txn *txn, int64_t first, uint32_t count)
{
    kd_vector columns[3];
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&f->ctx, kd_vector_init_flat(&f->ctx, f->arena, f->columns[i].type,
                                                  KD_BATCH_ROWS, &columns[i]));
    for (uint32_t done = 0; done < count;) {
        uint32_t part = count - done < KD_BATCH_ROWS ? count - done : KD_BATCH_ROWS;
        for (uint32_t i = 0; i < part; i++) {
            kd_value id = kd_value_i64(first + done + i);
            kd_value name = fixture_text((done + i) % 3 == 0 ? NULL : "some name or other");
            kd_value score = kd_value_i32((int32_t)((done + i) * 7919 % 1000));
            kd_vector_set(&columns[0], i, &id);
            if (name.is_null)
                kd_vector_set_null(&columns[1], i);
            else
                kd_vector_set(&columns[1], i, &name);
            kd_vector_set(&columns[2], i, &score);
        }
        kd_batch batch = {
            .row_count = part, .selected_count = part, .column_count = 3, .columns = columns};
        CHECK_STATUS(&f->ctx,
                     kd_table_insert_batch(&f->ctx, txn, f->table, &f->shape, &batch, NULL));
        for (uint32_t i = 0; i < part; i++)
            columns[1].validity[i / 64] |= (uint64_t)1 << (i % 64);
        done += part;
    }
}

TEST(batches_survive_flush_compaction_and_reopening)
{
    table_fixture f;
    fixture_open(&f);
    int64_t sum, before;
    for (int round = 0; round < 3; round++) {
        kd_txn *txn = fixture_begin(&f);
        batch_insert(&f, txn, round * 10000, 5000);
        fixture_commit(&f, txn);
        CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    }
    kd_txn *txn = fixture_begin(&f);
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(txn), &before), 15000);
    for (int64_t id = 0; id < 5000; id += 2) {
        kd_rowref ref;
        CHECK(fixture_find(&f, kd_txn_snapshot(txn), id, &ref, NULL));
        CHECK_EQ(fixture_delete(&f, txn, ref).result, KD_WRITE_DONE);
    }
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_count(&f), 12500);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    CHECK_STATUS(&f.ctx, kd_table_compact(&f.ctx, f.table));
    CHECK_EQ(fixture_count(&f), 12500);
    CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    for (int round = 0; round < 2; round++) {
        CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
        fixture_reopen(&f);
        CHECK_EQ(fixture_count(&f), 12500);
        CHECK_STATUS(&f.ctx, kd_storage_check(&f.ctx, f.storage));
    }
    txn = fixture_begin(&f);
    CHECK_EQ(fixture_scan(&f, kd_txn_snapshot(txn), &sum), 12500);
    CHECK(sum < before);
    fixture_commit(&f, txn);
    fixture_close(&f);
}

TEST(an_index_scan_goes_in_key_order_and_skips_its_own_new_rows)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    for (int64_t id = 0; id < 100; id++)
        fixture_insert(&f, txn, id, "n", (int32_t)(id * 37 % 100));
    fixture_commit(&f, txn);
    txn = fixture_begin(&f);
    kd_index_scan *scan;
    kd_index_scan_range range = {0};
    CHECK_STATUS(&f.ctx, kd_index_scan_open(&f.ctx, kd_txn_arena(txn), f.table,
                                            kd_txn_snapshot(txn), f.secondary, &range, &scan));
    for (int32_t expected = 0;; expected++) {
        kd_rowref ref;
        bool is_end, is_visible;
        kd_value values[3];
        CHECK_STATUS(&f.ctx, kd_index_scan_next(&f.ctx, scan, &ref, &is_end));
        if (is_end) {
            CHECK_EQ(expected, 100);
            break;
        }
        CHECK_STATUS(&f.ctx, kd_table_get(&f.ctx, f.arena, f.table, kd_txn_snapshot(txn), ref,
                                          &f.shape, fixture_positions, 3, values, &is_visible));
        CHECK(is_visible);
        CHECK_EQ(values[2].as.i32, expected);
        CHECK_EQ(fixture_update(&f, txn, ref, expected + 1000).result, KD_WRITE_DONE);
    }
    kd_index_scan_close(scan);
    fixture_commit(&f, txn);
    fixture_close(&f);
}

TEST(a_new_column_has_its_missing_value_in_old_rows)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    fixture_insert(&f, txn, 1, "flushed", 10);
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    txn = fixture_begin(&f);
    fixture_insert(&f, txn, 2, "in the delta", 20);
    kd_table_column added = {.column_no = 4,
                             .type = kd_type_of(KD_TYPE_INT4),
                             .name = KD_SLICE("added"),
                             .missing = kd_value_i32(77)};
    CHECK_STATUS(&f.ctx, kd_table_add_column(&f.ctx, txn, f.table, &added));
    kd_table_column columns[4] = {f.columns[0], f.columns[1], f.columns[2], added};
    kd_table_shape shape = {.table_name = KD_SLICE("t"), .column_count = 4, .columns = columns};
    kd_value values[4] = {kd_value_i64(3), fixture_text("new"), kd_value_i32(30), kd_value_i32(78)};
    kd_insert_outcome outcome;
    CHECK_STATUS(&f.ctx, kd_table_insert_row(&f.ctx, txn, f.table, &shape, values, NULL, &outcome));
    fixture_commit(&f, txn);
    for (int round = 0; round < 3; round++) {
        txn = fixture_begin(&f);
        for (int64_t id = 1; id <= 3; id++) {
            kd_rowref ref;
            bool is_visible;
            uint32_t position = 3;
            CHECK(fixture_find(&f, kd_txn_snapshot(txn), id, &ref, NULL));
            CHECK_STATUS(&f.ctx, kd_table_get(&f.ctx, f.arena, f.table, kd_txn_snapshot(txn), ref,
                                              &shape, &position, 1, values, &is_visible));
            CHECK_EQ(values[0].as.i32, id == 3 ? 78 : 77);
        }
        fixture_commit(&f, txn);
        if (round == 0) {
            kd_storage_abandon(f.storage);
            fixture_reopen(&f);
        } else {
            CHECK_STATUS(&f.ctx, kd_storage_flush(&f.ctx, f.storage, true));
        }
    }
    fixture_close(&f);
}

TEST(sequences_go_on_behind_what_was_given_out)
{
    table_fixture f;
    fixture_open(&f);
    uint64_t number;
    int64_t value, last = 0;
    kd_sequence_definition definition = {.start = 1, .increment = 1, .min = 1, .max = 1000};
    kd_txn *txn = fixture_begin(&f);
    CHECK_STATUS(&f.ctx, kd_sequence_create(&f.ctx, txn, f.storage, &definition, &number));
    CHECK_STATUS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, number, &value));
    CHECK_EQ(value, 1);
    fixture_commit(&f, txn);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 50; i++) {
            CHECK_STATUS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, number, &value));
            CHECK(value > last);
            last = value;
        }
        txn = fixture_begin(&f); /* A durable commit behind the sequence's records. */
        fixture_insert(&f, txn, round, "n", 1);
        fixture_commit(&f, txn);
        if (round % 2 == 0)
            kd_storage_abandon(f.storage);
        else
            CHECK_STATUS(&f.ctx, kd_storage_close(&f.ctx, f.storage));
        fixture_reopen(&f);
    }
    CHECK_STATUS(&f.ctx, kd_sequence_set(&f.ctx, f.storage, number, 1000, true));
    CHECK_FAILS(&f.ctx, kd_sequence_next(&f.ctx, f.storage, number, &value), "2200H");
    fixture_close(&f);
}

static void bulk_load(table_fixture *f, kd_txn *txn, int64_t first, uint32_t count)
{
    kd_bulk_load *load;
    kd_vector columns[3];
    CHECK_STATUS(&f->ctx, kd_bulk_load_begin(&f->ctx, txn, f->table, &f->shape, &load));
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&f->ctx, kd_vector_init_flat(&f->ctx, f->arena, f->columns[i].type,
                                                  KD_BATCH_ROWS, &columns[i]));
    for (uint32_t done = 0; done < count; done += KD_BATCH_ROWS) {
        uint32_t part = count - done < KD_BATCH_ROWS ? count - done : KD_BATCH_ROWS;
        for (uint32_t i = 0; i < part; i++) {
            kd_value id = kd_value_i64(first + done + i);
            kd_value name = fixture_text("a name from a file");
            kd_value score = kd_value_i32(1);
            kd_vector_set(&columns[0], i, &id);
            kd_vector_set(&columns[1], i, &name);
            kd_vector_set(&columns[2], i, &score);
        }
        kd_batch batch = {
            .row_count = part, .selected_count = part, .column_count = 3, .columns = columns};
        CHECK_STATUS(&f->ctx, kd_bulk_load_append(&f->ctx, load, &batch));
    }
    kd_status status = kd_bulk_load_finish(&f->ctx, load);
    kd_bulk_load_destroy(load);
    CHECK_STATUS(&f->ctx, status);
}

TEST(a_bulk_load_is_there_after_commit_and_gone_after_rollback)
{
    table_fixture f;
    fixture_open(&f);
    kd_txn *reader = fixture_begin(&f);
    kd_txn *txn = fixture_begin(&f);
    bulk_load(&f, txn, 0, 5000);
    CHECK_EQ(fixture_score(&f, txn, 4999), 1);
    kd_txn_rollback(txn);
    CHECK_EQ(fixture_count(&f), 0);
    txn = fixture_begin(&f);
    bulk_load(&f, txn, 0, 5000);
    CHECK_EQ(fixture_try_insert(&f, txn, 17, "taken", 1, NULL), KD_INVALID);
    kd_error_clear(&f.ctx);
    fixture_commit(&f, txn);
    CHECK_EQ(fixture_score(&f, reader, 4999), -1);
    fixture_commit(&f, reader);
    CHECK_EQ(fixture_count(&f), 5000);
    kd_storage_abandon(f.storage);
    fixture_reopen(&f);
    CHECK_EQ(fixture_count(&f), 5000);
    fixture_close(&f);
}

/* The scores as a scan gives them, INT32_MIN for NULL; at most `capacity`. */
static uint32_t scores_scan(table_fixture *f, int32_t *scores, uint32_t capacity)
{
    kd_arena *arena = test_arena(&f->ctx);
    kd_scan_spec spec = {.shape = &f->shape, .positions = fixture_positions, .position_count = 3};
    kd_txn *txn = fixture_begin(f);
    kd_table_scan *scan;
    kd_scan_reader *reader;
    uint32_t count = 0;
    CHECK_STATUS(&f->ctx,
                 kd_table_scan_open(&f->ctx, arena, f->table, kd_txn_snapshot(txn), &spec, &scan));
    CHECK_STATUS(&f->ctx, kd_scan_reader_create(&f->ctx, arena, scan, &reader));
    for (bool is_end = false; !is_end;) {
        kd_batch batch;
        const kd_rowref *refs;
        CHECK_STATUS(&f->ctx, kd_scan_reader_next(&f->ctx, reader, &batch, &refs, &is_end));
        for (uint32_t i = 0; !is_end && i < batch.selected_count && count < capacity; i++) {
            kd_value score = kd_vector_get(&batch.columns[2], kd_batch_row(&batch, i));
            scores[count++] = score.is_null ? INT32_MIN : score.as.i32;
        }
    }
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    fixture_commit(f, txn);
    kd_arena_destroy(arena);
    return count;
}

TEST(rows_move_into_segments_in_the_tables_order_with_nulls_last)
{
    enum { COUNT = 40 };
    table_fixture f;
    int32_t scores[COUNT];
    fixture_open(&f);
    kd_txn *txn = fixture_begin(&f);
    for (int64_t id = 0; id < COUNT; id++) {
        kd_insert_outcome outcome;
        kd_value score = id % 4 == 1 ? kd_value_null(kd_type_of(KD_TYPE_INT4))
                                     : kd_value_i32((int32_t)(id * 7 % COUNT));
        kd_value values[3] = {kd_value_i64(id), fixture_text("row"), score};
        CHECK_STATUS(&f.ctx,
                     kd_table_insert_row(&f.ctx, txn, f.table, &f.shape, values, NULL, &outcome));
    }
    fixture_commit(&f, txn);
    CHECK_STATUS(&f.ctx, kd_table_flush(&f.ctx, f.table));
    CHECK_EQ(scores_scan(&f, scores, COUNT), COUNT);
    for (int i = 1; i < COUNT; i++) {
        if (i < COUNT * 3 / 4)
            CHECK(scores[i - 1] != INT32_MIN && scores[i - 1] < scores[i]);
        else
            CHECK_EQ(scores[i], INT32_MIN);
    }
    fixture_close(&f);
}
