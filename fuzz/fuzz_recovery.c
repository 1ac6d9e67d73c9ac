/*
 * What recovery reads, of any bytes but with right checksums: the body of the root, or the records
 * of the log. The database opens and can be read and checked, or is refused as damaged. The first
 * byte chooses.
 */
#include "base/world_memory.h"
#include "table/table_internal.h"
#include "store/root.h"
#include "table/storage_check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { WAL_FILE_BYTES = 64 << 10, INPUT_BYTES_MAX = 16 << 10, COLUMNS = 2 };

static kd_table_column columns[COLUMNS];
static kd_table_shape shape = {
    .table_name = KD_SLICE("t"), .column_count = COLUMNS, .columns = columns};
static const uint32_t positions[COLUMNS] = {0, 1};

static kd_status storage_open(kd_ctx *ctx, kd_governor *governor, kd_storage **out_storage)
{
    kd_storage_options options = {.directory = "db",
                                  .governor = governor,
                                  .wal_file_bytes = WAL_FILE_BYTES,
                                  .no_background = true};
    return kd_storage_open(ctx, &options, out_storage);
}

static void shape_define(void)
{
    static const char *const names[COLUMNS] = {"id", "name"};
    static const kd_type_id types[COLUMNS] = {KD_TYPE_INT8, KD_TYPE_TEXT};
    for (uint32_t i = 0; i < COLUMNS; i++)
        columns[i] = (kd_table_column){.column_no = i + 1,
                                       .type = kd_type_of(types[i]),
                                       .name = kd_slice_of(names[i]),
                                       .missing = kd_value_null(kd_type_of(types[i]))};
}

/* A table with an index, a flushed row and one in the delta; as a crash leaves it. */
static kd_status database_make(kd_ctx *ctx, kd_storage *storage)
{
    kd_index_column column = {.column_no = 1};
    kd_index_definition primary = {.name = KD_SLICE("t_pkey"),
                                   .columns_text = KD_SLICE("id"),
                                   .unique = true,
                                   .predicate_column_no = -1,
                                   .column_count = 1,
                                   .columns = &column};
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_txn *txn;
    uint64_t table_no, index_no;
    KD_TRY(kd_txn_begin(ctx, kd_storage_txns(storage), &options, &txn));
    KD_TRY(kd_table_create(ctx, txn, storage, &shape, NULL, 0, &table_no));
    kd_table *table = kd_table_find(storage, table_no);
    KD_TRY(kd_table_add_index(ctx, txn, table, &primary, &index_no));
    KD_TRY(kd_txn_commit(ctx, txn));
    for (int64_t id = 1; id <= 2; id++) {
        kd_value values[COLUMNS] = {kd_value_i64(id), kd_value_text(KD_SLICE("name"))};
        kd_insert_outcome outcome;
        KD_TRY(kd_txn_begin(ctx, kd_storage_txns(storage), &options, &txn));
        KD_TRY(kd_table_insert_row(ctx, txn, table, &shape, values, NULL, &outcome));
        KD_TRY(kd_txn_commit(ctx, txn));
        if (id == 1)
            KD_TRY(kd_table_flush(ctx, table));
    }
    return kd_storage_checkpoint(ctx, storage);
}

/* Records: a length of two bytes and the kind before each. */
static kd_status records_append(kd_ctx *ctx, kd_storage *storage, const uint8_t *data,
                                size_t size_bytes)
{
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "records", KD_ARENA_UNLIMITED);
    kd_buffer records = kd_buffer_in(arena);
    while (size_bytes > 3) {
        size_t mark, length = data[0] | (size_t)data[1] << 8;
        length = length > size_bytes - 3 ? size_bytes - 3 : length;
        KD_TRY_OUT(kd_wal_record_begin(ctx, &records, (uint8_t)(1 + data[2] % 7), &mark));
        KD_TRY_OUT(kd_buffer_append(ctx, &records, data + 3, length));
        KD_TRY_OUT(kd_wal_record_end(ctx, &records, mark));
        data += 3 + length;
        size_bytes -= 3 + length;
    }
    if (records.size_bytes > 0) {
        KD_TRY_OUT(kd_wal_append(ctx, storage->wal, records.data, records.size_bytes, NULL, NULL));
        KD_TRY_OUT(kd_wal_flush(ctx, storage->wal));
    }
out:
    kd_arena_destroy(arena);
    return status;
}

static kd_status rows_read(kd_ctx *ctx, kd_txn *txn, kd_table *table)
{
    kd_status status = KD_OK;
    kd_scan_spec spec = {.shape = &shape, .positions = positions, .position_count = COLUMNS};
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_arena *arena = kd_txn_arena(txn);
    KD_TRY_OUT(kd_table_scan_open(ctx, arena, table, kd_txn_snapshot(txn), &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, arena, scan, &reader));
    for (bool is_end = false; !is_end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, NULL, &is_end));
    }
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static kd_status everything_read(kd_ctx *ctx, kd_storage *storage)
{
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_txn *txn;
    kd_table *table = kd_table_find(storage, 1);
    KD_TRY(kd_storage_check(ctx, storage));
    if (table == NULL)
        return KD_OK;
    KD_TRY(kd_txn_begin(ctx, kd_storage_txns(storage), &options, &txn));
    kd_status status = rows_read(ctx, txn, table);
    kd_txn_rollback(txn);
    return status;
}

static void run(kd_ctx *ctx, kd_governor *governor, const uint8_t *data, size_t size_bytes)
{
    kd_storage *storage;
    if (storage_open(ctx, governor, &storage) != KD_OK)
        abort();
    kd_root root = {.database_id = kd_storage_database_id(storage), .generation = 100};
    kd_status status = database_make(ctx, storage);
    if (status == KD_OK && data[0] % 2 != 0)
        status = records_append(ctx, storage, data + 1, size_bytes - 1);
    kd_storage_abandon(storage);
    if (status == KD_OK && data[0] % 2 == 0) {
        bool old_stays;
        root.body = (kd_slice){(const char *)data + 1, size_bytes - 1};
        status = kd_root_write(ctx, "db", &root, &old_stays);
    }
    if (status == KD_OK && storage_open(ctx, governor, &storage) == KD_OK) {
        (void)!everything_read(ctx, storage);
        kd_storage_abandon(storage);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes < 2 || size_bytes > INPUT_BYTES_MAX)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    shape_define();
    kd_world *world = kd_world_memory_create(&ctx, kd_world_posix());
    if (world == NULL)
        return 0;
    ctx.world = world;
    kd_governor *governor = kd_governor_create(&ctx, (uint64_t)64 << 20);
    run(&ctx, governor, data, size_bytes);
    kd_governor_destroy(governor);
    kd_world_memory_destroy(world);
    return 0;
}
