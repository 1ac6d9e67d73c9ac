/*
 * A database on the real disk with one table: id bigint primary key, name text, score integer with
 * a secondary index.
 */
#ifndef KD_TEST_TABLE_FIXTURE_H
#define KD_TEST_TABLE_FIXTURE_H

#include "table/storage_check.h"
#include "table/table.h"
#include "test.h"

#include <stdio.h>

typedef struct table_fixture {
    kd_ctx ctx;
    kd_arena *arena;
    kd_governor *governor;
    kd_storage *storage;
    kd_table *table;
    uint64_t table_no, primary, secondary;
    kd_storage_options options;
    kd_table_column columns[3];
    kd_table_shape shape;
} table_fixture;

static const uint32_t fixture_positions[3] = {0, 1, 2};

static inline void fixture_reopen(table_fixture *f)
{
    CHECK_STATUS(&f->ctx, kd_storage_open(&f->ctx, &f->options, &f->storage));
    f->table = kd_table_find(f->storage, f->table_no);
    CHECK(f->table != NULL);
}

static inline kd_txn *fixture_begin_as(table_fixture *f, kd_isolation isolation)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = isolation};
    CHECK_STATUS(&f->ctx, kd_txn_begin(&f->ctx, kd_storage_txns(f->storage), &options, &txn));
    return txn;
}

static inline kd_txn *fixture_begin(table_fixture *f)
{
    return fixture_begin_as(f, KD_SNAPSHOT_ISOLATION);
}

static inline void fixture_commit(table_fixture *f, kd_txn *txn)
{
    CHECK_STATUS(&f->ctx, kd_txn_commit(&f->ctx, txn));
}

static inline void fixture_define(table_fixture *f)
{
    f->columns[0] = (kd_table_column){.column_no = 1,
                                      .type = kd_type_of(KD_TYPE_INT8),
                                      .not_null = true,
                                      .name = KD_SLICE("id"),
                                      .missing = kd_value_null(kd_type_of(KD_TYPE_INT8))};
    f->columns[1] = (kd_table_column){.column_no = 2,
                                      .type = kd_type_of(KD_TYPE_TEXT),
                                      .name = KD_SLICE("name"),
                                      .missing = kd_value_null(kd_type_of(KD_TYPE_TEXT))};
    f->columns[2] = (kd_table_column){.column_no = 3,
                                      .type = kd_type_of(KD_TYPE_INT4),
                                      .name = KD_SLICE("score"),
                                      .missing = kd_value_null(kd_type_of(KD_TYPE_INT4))};
    f->shape =
        (kd_table_shape){.table_name = KD_SLICE("t"), .column_count = 3, .columns = f->columns};
}

static inline void fixture_create_table(table_fixture *f, bool is_sorted)
{
    uint32_t sort[1] = {2};
    kd_index_column id_column = {.column_no = 1};
    kd_index_column score_column = {.column_no = 3};
    kd_index_definition primary = {.name = KD_SLICE("t_pkey"),
                                   .columns_text = KD_SLICE("id"),
                                   .unique = true,
                                   .predicate_column_no = -1,
                                   .column_count = 1,
                                   .columns = &id_column};
    kd_index_definition secondary = {.name = KD_SLICE("t_score"),
                                     .columns_text = KD_SLICE("score"),
                                     .predicate_column_no = -1,
                                     .column_count = 1,
                                     .columns = &score_column};
    kd_txn *txn = fixture_begin(f);
    CHECK_STATUS(&f->ctx, kd_table_create(&f->ctx, txn, f->storage, &f->shape, sort,
                                          is_sorted ? 1 : 0, &f->table_no));
    f->table = kd_table_find(f->storage, f->table_no);
    CHECK(f->table != NULL);
    CHECK_STATUS(&f->ctx, kd_table_add_index(&f->ctx, txn, f->table, &primary, &f->primary));
    CHECK_STATUS(&f->ctx, kd_table_add_index(&f->ctx, txn, f->table, &secondary, &f->secondary));
    fixture_commit(f, txn);
}

/* Everything but the database. */
static inline void fixture_prepare(table_fixture *f, kd_ctx ctx, const char *directory)
{
    *f = (table_fixture){.ctx = ctx};
    f->arena = kd_arena_create(&f->ctx, NULL, "fixture", KD_ARENA_UNLIMITED);
    f->governor = kd_governor_create(&f->ctx, 256 << 20);
    CHECK(f->arena != NULL && f->governor != NULL);
    f->options = (kd_storage_options){.directory = directory,
                                      .governor = f->governor,
                                      .wal_file_bytes = 1 << 20,
                                      .no_background = true};
    fixture_define(f);
}

static inline void fixture_open_in(table_fixture *f, kd_ctx ctx, const char *directory,
                                   bool is_sorted)
{
    fixture_prepare(f, ctx, directory);
    CHECK_STATUS(&f->ctx, kd_storage_open(&f->ctx, &f->options, &f->storage));
    fixture_create_table(f, is_sorted);
}

static inline void fixture_open(table_fixture *f)
{
    fixture_open_in(f, test_ctx(), test_path("db"), true);
}

static inline void fixture_free(table_fixture *f)
{
    CHECK_EQ(kd_governor_used_bytes(f->governor), 0);
    kd_governor_destroy(f->governor);
    kd_arena_destroy(f->arena);
}

static inline void fixture_close(table_fixture *f)
{
    CHECK_STATUS(&f->ctx, kd_storage_check(&f->ctx, f->storage));
    CHECK_STATUS(&f->ctx, kd_storage_close(&f->ctx, f->storage));
    fixture_free(f);
}

static inline kd_value fixture_text(const char *text)
{
    return text == NULL ? kd_value_null(kd_type_of(KD_TYPE_TEXT))
                        : kd_value_text(kd_slice_of(text));
}

static inline kd_status fixture_try_insert(table_fixture *f, kd_txn *txn, int64_t id,
                                           const char *name, int32_t score, kd_rowref *out_ref)
{
    kd_value values[3] = {kd_value_i64(id), fixture_text(name), kd_value_i32(score)};
    kd_insert_outcome outcome;
    kd_status status =
        kd_table_insert_row(&f->ctx, txn, f->table, &f->shape, values, NULL, &outcome);
    if (out_ref != NULL)
        *out_ref = outcome.ref;
    return status;
}

static inline kd_rowref fixture_insert(table_fixture *f, kd_txn *txn, int64_t id, const char *name,
                                       int32_t score)
{
    kd_rowref ref;
    CHECK_STATUS(&f->ctx, fixture_try_insert(f, txn, id, name, score, &ref));
    return ref;
}

/* The row with the id, as the snapshot sees it. */
static inline bool fixture_find(table_fixture *f, kd_snapshot snapshot, int64_t id,
                                kd_rowref *out_ref, kd_value *out_values)
{
    bool is_found, is_visible;
    kd_value value = kd_value_i64(id);
    kd_buffer key = kd_buffer_in(f->arena);
    kd_arena_reset(f->arena);
    CHECK_STATUS(&f->ctx, kd_table_index_key(&f->ctx, f->table, f->primary, &value, 1, &key));
    CHECK_STATUS(&f->ctx, kd_table_find_by_key(&f->ctx, f->arena, f->table, snapshot, f->primary,
                                               kd_buffer_slice(&key), out_ref, &is_found));
    if (is_found && out_values != NULL) {
        CHECK_STATUS(&f->ctx,
                     kd_table_get(&f->ctx, f->arena, f->table, snapshot, *out_ref, &f->shape,
                                  fixture_positions, 3, out_values, &is_visible));
        CHECK(is_visible);
    }
    return is_found;
}

static inline int64_t fixture_score(table_fixture *f, kd_txn *txn, int64_t id)
{
    kd_rowref ref;
    kd_value values[3];
    if (!fixture_find(f, kd_txn_snapshot(txn), id, &ref, values))
        return -1;
    CHECK_EQ(values[0].as.i64, id);
    return values[2].is_null ? -2 : values[2].as.i32;
}

static inline kd_write_outcome fixture_update(table_fixture *f, kd_txn *txn, kd_rowref ref,
                                              int32_t score)
{
    uint32_t position = 2;
    kd_value value = kd_value_i32(score);
    kd_write_outcome outcome;
    CHECK_STATUS(&f->ctx, kd_table_update(&f->ctx, txn, f->table, &f->shape, ref, &position, &value,
                                          1, &outcome));
    return outcome;
}

static inline kd_write_outcome fixture_delete(table_fixture *f, kd_txn *txn, kd_rowref ref)
{
    kd_write_outcome outcome;
    CHECK_STATUS(&f->ctx, kd_table_delete(&f->ctx, txn, f->table, ref, &outcome));
    return outcome;
}

/* Counts the rows of a full scan and adds up their scores. */
static inline uint64_t fixture_scan(table_fixture *f, kd_snapshot snapshot, int64_t *out_sum)
{
    kd_arena *arena = kd_arena_create(&f->ctx, NULL, "scan", KD_ARENA_UNLIMITED);
    kd_scan_spec spec = {
        .shape = &f->shape, .positions = fixture_positions, .position_count = 3, .with_refs = true};
    kd_table_scan *scan;
    kd_scan_reader *reader;
    uint64_t count = 0;
    *out_sum = 0;
    CHECK_STATUS(&f->ctx, kd_table_scan_open(&f->ctx, arena, f->table, snapshot, &spec, &scan));
    CHECK_STATUS(&f->ctx, kd_scan_reader_create(&f->ctx, arena, scan, &reader));
    for (;;) {
        kd_batch batch;
        const kd_rowref *refs;
        bool is_end;
        CHECK_STATUS(&f->ctx, kd_scan_reader_next(&f->ctx, reader, &batch, &refs, &is_end));
        if (is_end)
            break;
        CHECK(batch.selected_count > 0);
        for (uint32_t i = 0; i < batch.selected_count; i++) {
            kd_value score = kd_vector_get(&batch.columns[2], kd_batch_row(&batch, i));
            *out_sum += score.is_null ? 0 : score.as.i32;
            count++;
        }
    }
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    kd_arena_destroy(arena);
    return count;
}

static inline uint64_t fixture_count(table_fixture *f)
{
    int64_t sum;
    kd_txn *txn = fixture_begin(f);
    uint64_t count = fixture_scan(f, kd_txn_snapshot(txn), &sum);
    fixture_commit(f, txn);
    return count;
}

#endif
