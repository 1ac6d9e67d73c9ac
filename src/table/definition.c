/*
 * Tables as objects: making, storing, creating, dropping, adding columns.
 */
#include "table/table_internal.h"

#include <string.h>

enum { SORT_COLUMNS_MAX = 64, SETS_MAX = 100000 };

kd_status kdi_table_make(kd_ctx *ctx, kd_storage *storage, uint64_t table_no, kd_table **out_table)
{
    *out_table = NULL;
    kd_table *table = KD_HEAP_NEW(ctx, &storage->account, kd_table);
    if (table == NULL)
        return KD_NOMEM;
    table->arena = kd_arena_create(ctx, NULL, "table", KD_ARENA_UNLIMITED);
    if (table->arena == NULL) {
        kd_heap_free(ctx->world, &storage->account, table);
        return KD_NOMEM;
    }
    table->storage = storage;
    table->table_no = table_no;
    atomic_store(&table->dropped, KD_STAMP_NONE);
    kd_mutex_init(&table->lock, ctx->world);
    kd_rwlock_init(&table->publish, ctx->world);
    kd_mutex_init(&table->upkeep, ctx->world);
    kd_mutex_init(&table->bulk, ctx->world);
    kd_mutex_init(&table->usage_lock, ctx->world);
    *out_table = table;
    return KD_OK;
}

static void units_free(kdi_unit_list *units)
{
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++)
        kdi_segment_close(units->segments[i]);
    for (uint32_t i = 0; units != NULL && i < units->chunk_count; i++)
        kdi_chunk_destroy(units->chunks[i]);
    for (uint32_t i = 0; units != NULL && i < units->remap_count; i++)
        kdi_remap_destroy(units->remaps[i]);
    kdi_units_destroy(units);
}

void kdi_table_destroy(void *object)
{
    kd_table *table = object;
    if (table == NULL)
        return;
    kd_storage *storage = table->storage;
    units_free(atomic_load(&table->units));
    kdi_index_list *indexes = atomic_load(&table->indexes);
    for (uint32_t i = 0; indexes != NULL && i < indexes->count; i++)
        kdi_index_destroy(indexes->items[i]);
    kd_heap_free(storage->world, &storage->account, indexes);
    kd_mutex_clear(&table->lock);
    kd_rwlock_clear(&table->publish);
    kd_mutex_clear(&table->upkeep);
    kd_mutex_clear(&table->bulk);
    kd_mutex_clear(&table->usage_lock);
    kd_heap_free(storage->world, &storage->account, table->searches);
    kd_arena_destroy(table->arena);
    kd_heap_free(storage->world, &storage->account, table);
}

kd_status kdi_table_set_push(kd_ctx *ctx, kd_table *table, const kdi_column_set *set)
{
    const kdi_column_set **place;
    KD_TRY(KD_PUSH(ctx, table->arena, table->sets, table->set_count, table->set_capacity, &place));
    *place = set;
    atomic_store(&table->set, set);
    return KD_OK;
}

/* --- Stored form ----------------------------------------------------------------------------- */

kd_status kdi_table_append(kd_ctx *ctx, const kd_table *table, size_t set_count, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_varint(ctx, out, table->table_no));
    KD_TRY(kd_buffer_append_varint(ctx, out, set_count));
    for (size_t i = 0; i < set_count; i++)
        KD_TRY(kdi_set_append(ctx, table->sets[i], out));
    KD_TRY(kd_buffer_append_varint(ctx, out, table->sort_column_count));
    for (uint32_t i = 0; i < table->sort_column_count; i++)
        KD_TRY(kd_buffer_append_varint(ctx, out, table->sort_column_nos[i]));
    return KD_OK;
}

static kd_status table_fill(kd_ctx *ctx, kd_reader *reader, kd_table *table)
{
    uint64_t set_count = kd_read_varint(reader);
    if (reader->failed || set_count == 0 || set_count > SETS_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the stored definition of table %llu is damaged",
                       (unsigned long long)table->table_no);
    for (uint64_t i = 0; i < set_count; i++) {
        kdi_column_set *set;
        KD_TRY(kdi_set_read(ctx, table->arena, reader, &set));
        KD_TRY(kdi_table_set_push(ctx, table, set));
    }
    atomic_store(&table->sets_committed, table->set_count);
    uint64_t sort_count = kd_read_varint(reader);
    if (reader->failed || sort_count > SORT_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the stored definition of table %llu is damaged",
                       (unsigned long long)table->table_no);
    table->sort_column_nos = KD_NEW_ARRAY(ctx, table->arena, uint32_t, sort_count);
    if (table->sort_column_nos == NULL)
        return KD_NOMEM;
    table->sort_column_count = (uint32_t)sort_count;
    for (uint64_t i = 0; i < sort_count; i++)
        table->sort_column_nos[i] = (uint32_t)kd_read_varint(reader);
    return KD_OK;
}

kd_status kdi_table_read(kd_ctx *ctx, kd_storage *storage, kd_reader *reader, kd_table **out_table)
{
    kd_table *table;
    *out_table = NULL;
    KD_TRY(kdi_table_make(ctx, storage, kd_read_varint(reader), &table));
    kd_status status = table_fill(ctx, reader, table);
    if (status != KD_OK) {
        kdi_table_destroy(table);
        return status;
    }
    *out_table = table;
    return KD_OK;
}

/* --- Creating and dropping ------------------------------------------------------------------- */

static void create_committed(void *object, kd_stamp stamp)
{
    kd_table *table = object;
    atomic_store(&table->sets_committed, table->set_count);
    atomic_store(&table->created, stamp);
}

static void create_undone(void *object)
{
    kd_table *table = object;
    kdi_directory_remove(&table->storage->tables, table->table_no);
    kd_txn_retire(table->storage->txns, &table->garbage, kdi_table_destroy, table);
}

static const kdi_structural create_change = {create_committed, create_undone};

static kd_status table_define(kd_ctx *ctx, kd_table *table, const kd_table_shape *shape,
                              const uint32_t *sort_columns, uint32_t sort_column_count)
{
    kdi_column_set *set;
    KD_TRY(kdi_set_make(ctx, table->arena, shape->columns, shape->column_count, 0, &set));
    KD_TRY(kdi_table_set_push(ctx, table, set));
    if (sort_column_count > SORT_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "too many sort columns (at most %d)",
                       SORT_COLUMNS_MAX);
    table->sort_column_nos = KD_NEW_ARRAY(ctx, table->arena, uint32_t, sort_column_count);
    if (table->sort_column_nos == NULL)
        return KD_NOMEM;
    table->sort_column_count = sort_column_count;
    for (uint32_t i = 0; i < sort_column_count; i++)
        table->sort_column_nos[i] = shape->columns[sort_columns[i]].column_no;
    return KD_OK;
}

kd_status kd_table_create(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                          const kd_table_shape *shape, const uint32_t *sort_columns,
                          uint32_t sort_column_count, uint64_t *out_table_no)
{
    kdi_write_set *writes;
    kd_table *table;
    kd_buffer *redo;
    *out_table_no = 0;
    KD_TRY(kdi_writes_get(ctx, txn, storage, &writes));
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t redo_before = redo->size_bytes;
    uint64_t table_no = atomic_fetch_add(&storage->next_table_no, 1);
    KD_TRY(kdi_table_make(ctx, storage, table_no, &table));
    atomic_store(&table->created, KD_STAMP_IN_FLIGHT | kd_txn_no(txn));
    kd_status status = table_define(ctx, table, shape, sort_columns, sort_column_count);
    if (status == KD_OK)
        status = kd_buffer_append_byte(ctx, redo, KDI_REDO_TABLE);
    if (status == KD_OK)
        status = kdi_table_append(ctx, table, table->set_count, redo);
    if (status == KD_OK)
        status = kdi_directory_put(ctx, &storage->tables, table_no, table);
    if (status == KD_OK) {
        status = kdi_writes_structure(ctx, writes, &create_change, table);
        if (status != KD_OK)
            kdi_directory_remove(&storage->tables, table_no);
    }
    if (status != KD_OK) {
        redo->size_bytes = redo_before;
        kdi_table_destroy(table);
        return status;
    }
    *out_table_no = table_no;
    return KD_OK;
}

static void drop_committed(void *object, kd_stamp stamp)
{
    kd_table *table = object;
    atomic_store(&table->dropped, stamp);
}

static void drop_undone(void *object)
{
    kd_table *table = object;
    atomic_store(&table->dropped, KD_STAMP_NONE);
}

static const kdi_structural drop_change = {drop_committed, drop_undone};

kd_status kd_table_drop(kd_ctx *ctx, kd_txn *txn, kd_table *table)
{
    kdi_write_set *writes;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    KD_TRY(kdi_redo_numbers(ctx, txn, KDI_REDO_DROP, &table->table_no, 1));
    KD_TRY(kdi_writes_structure(ctx, writes, &drop_change, table));
    atomic_store(&table->dropped, KD_STAMP_IN_FLIGHT | kd_txn_no(txn));
    return KD_OK;
}

kd_table *kd_table_find(kd_storage *storage, uint64_t table_no)
{
    return kdi_directory_find(&storage->tables, table_no);
}

uint64_t kd_table_no(const kd_table *table)
{
    return table->table_no;
}

/* Commits come in any order. */
void kdi_table_note_change(kd_table *table, kd_stamp stamp)
{
    kd_stamp before = atomic_load(&table->changed);
    while (before < stamp && !atomic_compare_exchange_weak(&table->changed, &before, stamp))
        continue;
}

kd_stamp kd_table_changed(kd_table *table)
{
    return atomic_load(&table->changed);
}

uint64_t kd_table_row_count_estimate(kd_table *table)
{
    int64_t count = atomic_load_explicit(&table->row_count, memory_order_relaxed);
    return count < 0 ? 0 : (uint64_t)count;
}

/* --- Adding a column ------------------------------------------------------------------------- */

static void column_undone(void *object)
{
    kd_table *table = object;
    kdi_delta_seal(table); /* Chunks of the undone set take no rows any more. */
    table->set_count--;
    atomic_store(&table->set, table->sets[table->set_count - 1]);
}

static void column_committed(void *object, kd_stamp stamp)
{
    (void)stamp;
    kd_table *table = object;
    atomic_store(&table->sets_committed, table->set_count);
}

static const kdi_structural column_change = {column_committed, column_undone};

static kd_status set_extend(kd_ctx *ctx, kd_table *table, const kd_table_column *column,
                            kdi_column_set **out_set)
{
    const kdi_column_set *old = atomic_load(&table->set);
    kd_table_column *columns =
        KD_NEW_ARRAY(ctx, table->arena, kd_table_column, old->count + (size_t)1);
    if (columns == NULL)
        return KD_NOMEM;
    memcpy(columns, old->columns, old->count * sizeof *columns);
    columns[old->count] = *column;
    return kdi_set_make(ctx, table->arena, columns, old->count + 1, (uint32_t)table->set_count,
                        out_set);
}

kd_status kd_table_add_column(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                              const kd_table_column *column)
{
    kdi_write_set *writes;
    kdi_column_set *set;
    kd_buffer *redo;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t redo_before = redo->size_bytes;
    KD_TRY(set_extend(ctx, table, column, &set));
    kd_status status = kdi_redo_numbers(ctx, txn, KDI_REDO_COLUMNS, &table->table_no, 1);
    if (status == KD_OK)
        status = kdi_set_append(ctx, set, redo);
    if (status == KD_OK)
        status = kdi_table_set_push(ctx, table, set);
    if (status == KD_OK) {
        status = kdi_writes_structure(ctx, writes, &column_change, table);
        if (status != KD_OK)
            column_undone(table);
    }
    if (status != KD_OK)
        redo->size_bytes = redo_before;
    else
        kdi_delta_seal(table); /* New rows go to chunks that have the column. */
    return status;
}
