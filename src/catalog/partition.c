/*
 * Partitions as such: which rows they take, and the tables behind keys over all of them.
 */
#include "catalog/catalog.h"

#include <assert.h>

/* --- Bounds ----------------------------------------------------------------------------------- */

/* Whether the key is at or above (1), below (-1) a bound; MINVALUE and MAXVALUE as they say. */
static int compare_bound(const kd_value *keys, const kd_value *bound, const int8_t *kinds,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (kinds != NULL && kinds[i] != 0)
            return kinds[i] < 0 ? 1 : -1;
        int order = kd_value_compare(&keys[i], &bound[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

static bool list_has(const kd_partition_bound *bound, const kd_value *key)
{
    for (uint32_t i = 0; i < bound->count; i++)
        if (bound->from[i].is_null ? key->is_null
                                   : !key->is_null && kd_value_compare(key, &bound->from[i]) == 0)
            return true;
    return false;
}

static bool hash_has(const kd_partition_bound *bound, const kd_value *keys, uint32_t count)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++)
        hash = hash * 31 + (keys[i].is_null ? 0 : kd_value_hash(&keys[i]));
    return hash % (uint64_t)bound->from[0].as.i64 == (uint64_t)bound->from[1].as.i64;
}

bool kd_partition_takes(const kd_table_entry *parent, const kd_partition_bound *bound,
                        const kd_value *keys)
{
    bool has_null = false;
    for (uint32_t i = 0; i < parent->partition_column_count; i++)
        has_null |= keys[i].is_null;
    if (bound->is_default)
        return true; /* Default partitions come last. */
    switch (parent->strategy) {
    case KD_PARTITION_RANGE:
        return !has_null && compare_bound(keys, bound->from, bound->from_kind, bound->count) >= 0 &&
               compare_bound(keys, bound->to, bound->to_kind, bound->count) < 0;
    case KD_PARTITION_LIST:
        return list_has(bound, &keys[0]);
    case KD_PARTITION_HASH:
        return hash_has(bound, keys, parent->partition_column_count);
    case KD_PARTITION_NONE:
        break;
    }
    return false;
}

static bool range_excludes(const kd_partition_bound *bound, kd_scan_test test,
                           const kd_value *value)
{
    bool alone = bound->count == 1;
    bool has_low = bound->from_kind == NULL || bound->from_kind[0] == 0;
    bool has_high = bound->to_kind == NULL || bound->to_kind[0] == 0;
    int low = has_low ? kd_value_compare(value, &bound->from[0]) : 1;
    int high = has_high ? kd_value_compare(value, &bound->to[0]) : -1;
    switch (test) {
    case KD_SCAN_EQUAL:
        return low < 0 || high > 0 || (high == 0 && alone);
    case KD_SCAN_LESS:
        return low <= 0;
    case KD_SCAN_LESS_EQUAL:
        return low < 0;
    case KD_SCAN_GREATER:
    case KD_SCAN_GREATER_EQUAL:
        return high > 0 || (high == 0 && alone);
    default:
        return false;
    }
}

bool kd_partition_excludes(const kd_table_entry *parent, const kd_partition_bound *bound,
                           kd_scan_test test, const kd_value *value)
{
    bool is_comparison = test != KD_SCAN_IS_NULL && test != KD_SCAN_IS_NOT_NULL;
    if (is_comparison && value->is_null)
        return true; /* True of no row. */
    if (bound->is_default || !is_comparison)
        return false;
    if (parent->strategy == KD_PARTITION_RANGE)
        return range_excludes(bound, test, value);
    if (test != KD_SCAN_EQUAL)
        return false;
    return (parent->strategy == KD_PARTITION_LIST && !list_has(bound, value)) ||
           (parent->strategy == KD_PARTITION_HASH && parent->partition_column_count == 1 &&
            !hash_has(bound, value, 1));
}

/* --- Keys over all partitions ----------------------------------------------------------------- */

static const kd_column *column_of(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return &table->columns[i];
    assert(false && "an index is over columns of its table");
    return NULL;
}

kd_status kd_partition_key_shape(kd_ctx *ctx, kd_arena *arena, const kd_table_entry *owner,
                                 const kd_table_index *index, const kd_table_shape **out_shape)
{
    uint32_t count = index->storage.column_count;
    kd_table_shape *shape = KD_NEW(ctx, arena, kd_table_shape);
    kd_table_column *columns = KD_NEW_ARRAY(ctx, arena, kd_table_column, count + 1);
    *out_shape = shape;
    if (shape == NULL || columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kd_column *source = column_of(owner, index->storage.columns[i].column_no);
        columns[i] = (kd_table_column){.type = source->storage.type, .name = source->storage.name};
    }
    columns[count] = (kd_table_column){
        .type = kd_type_of(KD_TYPE_INT8), .not_null = true, .name = KD_SLICE("partition")};
    for (uint32_t i = 0; i <= count; i++) {
        columns[i].column_no = i + 1;
        columns[i].missing = kd_value_null(columns[i].type);
    }
    *shape = (kd_table_shape){
        .table_name = index->object.name, .column_count = count + 1, .columns = columns};
    return KD_OK;
}

kd_status kd_partition_of_key(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                              const kd_table_index *index, const kd_table_shape *shape,
                              kd_snapshot snapshot, const kd_value *values,
                              uint32_t *out_partition_no)
{
    kd_table *table = kd_table_find(storage, index->key_table_no);
    uint32_t position = index->storage.column_count;
    kd_buffer key = kd_buffer_in(arena);
    kd_value partition_no;
    bool found = false;
    *out_partition_no = 0;
    for (uint32_t i = 0; i < index->storage.column_count; i++)
        if (values[i].is_null)
            return KD_OK;
    if (table == NULL)
        return KD_OK;
    KD_TRY(kd_table_index_key(ctx, table, index->storage.index_no, values,
                              index->storage.column_count, &key));
    KD_TRY(kd_table_get_by_key(ctx, arena, table, snapshot, index->storage.index_no,
                               kd_buffer_slice(&key), shape, &position, 1, &partition_no, NULL,
                               &found));
    if (found)
        *out_partition_no = (uint32_t)partition_no.as.i64;
    return KD_OK;
}
