/*
 * Delta chunks: memory, values, and their form in the log.
 *
 * Rows in the log and in delta images, column after column:
 *
 *   u8     1 when any of the rows is NULL in this column
 *   bytes  one per row, 1 for NULL (only then)
 *   ...    fixed-width columns: the values as they stand in memory, NULLs too;
 *          strings: varint length and bytes, length 0 for NULL
 */
#include "table/table_internal.h"

#include <string.h>

enum { STRING_BLOCK_BYTES = 4096 - 64, STRING_BLOCK_BYTES_MAX = 256 * 1024 };

struct kdi_string_block {
    kdi_string_block *next;
    size_t capacity;
    size_t used;
    char bytes[];
};

static size_t align16(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

static size_t chunk_memory_bytes(const kdi_column_set *set, uint32_t capacity)
{
    size_t bytes = 3 * align16(capacity * sizeof(kd_stamp));
    bytes += 2 * align16((size_t)set->count * sizeof(void *));
    for (uint32_t i = 0; i < set->count; i++)
        bytes += align16((size_t)capacity * set->widths[i]) + align16(capacity);
    return bytes;
}

static void *carve(char **at, size_t bytes)
{
    void *place = *at;
    *at += align16(bytes);
    return place;
}

kd_status kdi_chunk_create(kd_ctx *ctx, kd_storage *storage, uint64_t unit,
                           const kdi_column_set *set, uint32_t capacity, kdi_chunk **out_chunk)
{
    *out_chunk = NULL;
    kdi_chunk *chunk = KD_HEAP_NEW(ctx, &storage->account, kdi_chunk);
    if (chunk == NULL)
        return KD_NOMEM;
    size_t bytes = chunk_memory_bytes(set, capacity);
    char *at = kd_heap_alloc(ctx, &storage->account, bytes);
    if (at == NULL) {
        kd_heap_free(ctx->world, &storage->account, chunk);
        return KD_NOMEM;
    }
    chunk->storage = storage;
    chunk->unit = unit;
    chunk->born = kd_txn_epoch(storage->txns);
    chunk->capacity = capacity;
    chunk->set = set;
    chunk->memory = at;
    atomic_store(&chunk->bytes, bytes);
    kd_mutex_init(&chunk->string_lock, ctx->world);
    chunk->begins = carve(&at, capacity * sizeof(kd_stamp));
    chunk->ends = carve(&at, capacity * sizeof(kd_stamp));
    chunk->nexts = carve(&at, capacity * sizeof(kd_stamp));
    chunk->values = carve(&at, set->count * sizeof(void *));
    chunk->nulls = carve(&at, set->count * sizeof(void *));
    for (uint32_t i = 0; i < set->count; i++) {
        chunk->values[i] = carve(&at, (size_t)capacity * set->widths[i]);
        chunk->nulls[i] = carve(&at, capacity);
    }
    for (uint32_t i = 0; i < capacity; i++) {
        atomic_init(&chunk->begins[i], KDI_STAMP_EMPTY);
        atomic_init(&chunk->ends[i], KD_STAMP_NONE);
        atomic_init(&chunk->nexts[i], KD_ROWREF_NONE);
    }
    atomic_fetch_add(&storage->delta_bytes, bytes);
    *out_chunk = chunk;
    return KD_OK;
}

void kdi_chunk_destroy(void *object)
{
    kdi_chunk *chunk = object;
    if (chunk == NULL)
        return;
    kd_storage *storage = chunk->storage;
    atomic_fetch_sub(&storage->delta_bytes, atomic_load(&chunk->bytes));
    while (chunk->strings != NULL) {
        kdi_string_block *block = chunk->strings;
        chunk->strings = block->next;
        kd_heap_free(storage->world, &storage->account, block);
    }
    kd_mutex_clear(&chunk->string_lock);
    kd_heap_free(storage->world, &storage->account, chunk->memory);
    kd_heap_free(storage->world, &storage->account, chunk);
}

static kd_status string_room(kd_ctx *ctx, kdi_chunk *chunk, size_t bytes, char **out_at)
{
    kdi_string_block *block = chunk->strings;
    *out_at = NULL;
    if (block == NULL || block->capacity - block->used < bytes) {
        size_t capacity = block == NULL ? STRING_BLOCK_BYTES : block->capacity * 2;
        if (capacity > STRING_BLOCK_BYTES_MAX)
            capacity = STRING_BLOCK_BYTES_MAX;
        capacity = capacity < bytes ? bytes : capacity;
        block = kd_heap_alloc_raw(ctx, &chunk->storage->account, sizeof *block + capacity);
        if (block == NULL)
            return KD_NOMEM;
        *block = (kdi_string_block){.next = chunk->strings, .capacity = capacity};
        chunk->strings = block;
        atomic_fetch_add(&chunk->bytes, sizeof *block + capacity);
        atomic_fetch_add(&chunk->storage->delta_bytes, sizeof *block + capacity);
    }
    *out_at = block->bytes + block->used;
    block->used += bytes;
    return KD_OK;
}

static kd_status string_put(kd_ctx *ctx, kdi_chunk *chunk, kd_slice bytes, kd_str *out_str)
{
    if (bytes.size_bytes <= KD_STR_INLINE_BYTES) {
        *out_str = kd_str_from(bytes.data, bytes.size_bytes);
        return KD_OK;
    }
    char *at;
    kd_mutex_lock(&chunk->string_lock);
    kd_status status = string_room(ctx, chunk, bytes.size_bytes, &at);
    kd_mutex_unlock(&chunk->string_lock);
    if (status != KD_OK)
        return status;
    memcpy(at, bytes.data, bytes.size_bytes);
    *out_str = kd_str_from(at, bytes.size_bytes);
    return KD_OK;
}

kd_status kdi_chunk_put(kd_ctx *ctx, kdi_chunk *chunk, uint32_t slot, uint32_t column,
                        const void *payload, bool is_null)
{
    assert(slot < chunk->capacity);
    assert(column < chunk->set->count);
    chunk->nulls[column][slot] = is_null;
    if (is_null)
        return KD_OK;
    uint32_t width = chunk->set->widths[column];
    char *target = chunk->values[column] + (size_t)slot * width;
    if (chunk->set->physicals[column] != KD_PHYS_STR) {
        memcpy(target, payload, width);
        return KD_OK;
    }
    kd_str source, copy;
    memcpy(&source, payload, sizeof source);
    KD_TRY(string_put(ctx, chunk, kd_str_slice(&source), &copy));
    memcpy(target, &copy, sizeof copy);
    return KD_OK;
}

kd_value kdi_chunk_get(const kdi_chunk *chunk, uint32_t slot, uint32_t column)
{
    kd_value value = kd_value_null(chunk->set->columns[column].type);
    if (chunk->nulls[column][slot] == 0) {
        value.is_null = false;
        memcpy(&value.as, kdi_chunk_payload(chunk, slot, column), chunk->set->widths[column]);
    }
    return value;
}

/* --- The stored form ------------------------------------------------------------------------- */

static kd_status column_append(kd_ctx *ctx, const kdi_chunk *chunk, uint32_t column, uint32_t first,
                               uint32_t count, kd_buffer *out)
{
    const uint8_t *nulls = chunk->nulls[column] + first;
    bool has_nulls = memchr(nulls, 1, count) != NULL;
    KD_TRY(kd_buffer_append_byte(ctx, out, has_nulls));
    if (has_nulls)
        KD_TRY(kd_buffer_append(ctx, out, nulls, count));
    if (chunk->set->physicals[column] != KD_PHYS_STR)
        return kd_buffer_append(ctx, out, kdi_chunk_payload(chunk, first, column),
                                (size_t)count * chunk->set->widths[column]);
    for (uint32_t i = 0; i < count; i++) {
        kd_str str = {0};
        if (nulls[i] == 0)
            memcpy(&str, kdi_chunk_payload(chunk, first + i, column), sizeof str);
        KD_TRY(kd_buffer_append_counted(ctx, out, kd_str_slice(&str)));
    }
    return KD_OK;
}

kd_status kdi_chunk_append_rows(kd_ctx *ctx, const kdi_chunk *chunk, uint32_t first, uint32_t count,
                                kd_buffer *out)
{
    for (uint32_t i = 0; i < chunk->set->count; i++)
        KD_TRY(column_append(ctx, chunk, i, first, count, out));
    return KD_OK;
}

static kd_status strings_read(kd_ctx *ctx, kdi_chunk *chunk, uint32_t column, uint32_t first,
                              uint32_t count, kd_reader *reader)
{
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        kd_str str;
        kd_slice bytes = kd_read_slice(reader);
        if (reader->failed)
            break;
        KD_TRY(string_put(ctx, chunk, bytes, &str));
        memcpy(chunk->values[column] + (size_t)(first + i) * sizeof str, &str, sizeof str);
    }
    return KD_OK;
}

kd_status kdi_chunk_read_rows(kd_ctx *ctx, kdi_chunk *chunk, uint32_t first, uint32_t count,
                              kd_reader *reader)
{
    if (first > chunk->capacity || count > chunk->capacity - first)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "rows outside of delta chunk %llu",
                       (unsigned long long)chunk->unit);
    for (uint32_t column = 0; column < chunk->set->count; column++) {
        if (kd_read_u8(reader) != 0) {
            const char *nulls = kd_read_bytes(reader, count);
            for (uint32_t i = 0; nulls != NULL && i < count; i++)
                chunk->nulls[column][first + i] = nulls[i] != 0;
        }
        uint32_t width = chunk->set->widths[column];
        if (chunk->set->physicals[column] == KD_PHYS_STR) {
            KD_TRY(strings_read(ctx, chunk, column, first, count, reader));
            continue;
        }
        const char *values = kd_read_bytes(reader, (size_t)count * width);
        if (values != NULL)
            memcpy(chunk->values[column] + (size_t)first * width, values, (size_t)count * width);
    }
    if (reader->failed)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the rows of delta chunk %llu end too early",
                       (unsigned long long)chunk->unit);
    return KD_OK;
}
