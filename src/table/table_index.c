/*
 * A table's indexes: definitions, lists of them, keys of rows.
 */
#include "table/table_internal.h"

#include <string.h>

enum { INDEX_COLUMNS_MAX = 32 };

kdi_index *kdi_index_find(kd_table *table, uint64_t index_no)
{
    const kdi_index_list *list = atomic_load_explicit(&table->indexes, memory_order_acquire);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        if (list->items[i]->definition.index_no == index_no)
            return list->items[i];
    }
    return NULL;
}

bool kd_table_has_index(kd_table *table, uint64_t index_no)
{
    return kdi_index_find(table, index_no) != NULL;
}

kdi_index *kdi_index_get(kd_ctx *ctx, kd_table *table, uint64_t index_no)
{
    kdi_index *index = kdi_index_find(table, index_no);
    if (index == NULL)
        (void)KD_FAIL(ctx, KD_CONFLICT, "40001",
                      "could not serialize access due to a concurrent DROP of index %llu",
                      (unsigned long long)index_no);
    return index;
}

static kd_status slice_copy(kd_ctx *ctx, kd_arena *arena, kd_slice *slice)
{
    char *copy = kd_copy_text(ctx, arena, slice->data, slice->size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    slice->data = copy;
    return KD_OK;
}

static kd_status definition_copy(kd_ctx *ctx, kd_arena *arena, kd_index_definition *definition)
{
    KD_TRY(slice_copy(ctx, arena, &definition->name));
    KD_TRY(slice_copy(ctx, arena, &definition->columns_text));
    kd_index_column *columns = KD_NEW_ARRAY(ctx, arena, kd_index_column, definition->column_count);
    if (columns == NULL)
        return KD_NOMEM;
    memcpy(columns, definition->columns, definition->column_count * sizeof *columns);
    definition->columns = columns;
    return KD_OK;
}

static kd_status index_fill(kd_ctx *ctx, kd_table *table, kdi_index *index,
                            const kd_index_definition *definition, kd_slice manifest)
{
    kd_storage *storage = table->storage;
    const kdi_column_set *set = atomic_load(&table->set);
    index->table = table;
    index->definition = *definition;
    KD_TRY(definition_copy(ctx, table->arena, &index->definition));
    index->types = KD_NEW_ARRAY(ctx, table->arena, kd_type, definition->column_count);
    index->manifest_arena = kd_arena_create(ctx, NULL, "index", KD_ARENA_UNLIMITED);
    if (index->types == NULL || index->manifest_arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < definition->column_count; i++) {
        int at = kdi_set_find(set, definition->columns[i].column_no, i);
        if (at < 0)
            return KD_FAIL(ctx, KD_INVALID, "42703", "index column %u is not in table %llu",
                           definition->columns[i].column_no, (unsigned long long)table->table_no);
        index->types[i] = set->columns[at].type;
    }
    index->options = (kd_index_options){
        .index_no = definition->index_no, .files = &storage->files, .account = &storage->account};
    index->manifest = manifest;
    if (manifest.size_bytes == 0) {
        atomic_store(&index->is_dirty, true);
        return kd_index_create(ctx, &index->options, &index->index);
    }
    index->is_stored = true;
    KD_TRY(slice_copy(ctx, index->manifest_arena, &index->manifest));
    return kd_index_open(ctx, &index->options, index->manifest, &index->index);
}

kd_status kdi_index_make(kd_ctx *ctx, kd_table *table, const kd_index_definition *definition,
                         kd_slice manifest, kdi_index **out_index)
{
    *out_index = NULL;
    kdi_index *index = KD_HEAP_NEW(ctx, &table->storage->account, kdi_index);
    if (index == NULL)
        return KD_NOMEM;
    kd_status status = index_fill(ctx, table, index, definition, manifest);
    if (status != KD_OK) {
        index->table = table;
        kdi_index_destroy(index);
        return status;
    }
    kdi_usage_begin(index);
    *out_index = index;
    return KD_OK;
}

kd_status kdi_index_make_damaged(kd_ctx *ctx, kd_table *table,
                                 const kd_index_definition *definition, kd_slice manifest,
                                 kdi_index **out_index)
{
    kdi_index *index;
    kd_error error = ctx->error;
    *out_index = NULL;
    kd_error_clear(ctx);
    KD_TRY(kdi_index_make(ctx, table, definition, (kd_slice){0}, &index));
    index->manifest = manifest;
    kd_status status = slice_copy(ctx, index->manifest_arena, &index->manifest);
    if (status == KD_OK)
        status = kd_index_set_damage(ctx, index->index, error.message);
    if (status != KD_OK) {
        kdi_index_destroy(index);
        return status;
    }
    ctx->error = error;
    kdi_damage_note_error(ctx, table, 0, index);
    kd_error_clear(ctx);
    *out_index = index;
    return KD_OK;
}

void kdi_index_break(kdi_index *index)
{
    kd_index_set_broken(index->index);
    atomic_store(&index->is_dirty, true);
    atomic_store(&index->table->storage->settled_position, 0); /* Closing writes a root. */
}

kd_status kdi_index_mend(kd_ctx *ctx, kdi_index *index)
{
    kd_index *damaged = index->index;
    kd_snapshot latest = {.stamp = KDI_SNAPSHOT_LATEST};
    KD_TRY(kd_index_create_after(ctx, &index->options, index->manifest, &index->index));
    kd_status status = kdi_index_build(ctx, index, latest);
    if (status != KD_OK) {
        kd_index_close(ctx->world, index->index);
        index->index = damaged;
        if (status != KD_CORRUPT && status != KD_INVALID)
            return status;
        kdi_damage_note_error(ctx, index->table, 0, index); /* Why it stays damaged. */
        kd_error_clear(ctx);
        return KD_OK;
    }
    kd_index_close(ctx->world, damaged);
    if (index->manifest.size_bytes > 0)
        kdi_doom(index->table->storage, 0, index->definition.index_no, index->manifest);
    index->manifest = (kd_slice){0};
    atomic_store(&index->is_dirty, true);
    return KD_OK;
}

void kdi_index_destroy(void *object)
{
    kdi_index *index = object;
    if (index == NULL)
        return;
    kd_storage *storage = index->table->storage;
    kd_index_close(storage->world, index->index);
    if (index->is_dropped && index->manifest.size_bytes > 0)
        kdi_doom(storage, 0, index->definition.index_no, index->manifest);
    kd_arena_destroy(index->manifest_arena);
    kd_heap_free(storage->world, &storage->account, index);
}

static void list_destroy(void *object)
{
    kdi_index_list *list = object;
    kd_heap_free(list->storage->world, &list->storage->account, list);
}

kd_status kdi_index_list_change(kd_ctx *ctx, kd_table *table, kdi_index *add, kdi_index *remove)
{
    kd_storage *storage = table->storage;
    kdi_index_list *old = atomic_load(&table->indexes);
    uint32_t old_count = old == NULL ? 0 : old->count;
    kdi_index_list *list = kd_heap_alloc(
        ctx, &storage->account, sizeof *list + ((size_t)old_count + 1) * sizeof(kdi_index *));
    if (list == NULL)
        return KD_NOMEM;
    list->storage = storage;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old->items[i] != remove)
            list->items[list->count++] = old->items[i];
    }
    if (add != NULL)
        list->items[list->count++] = add;
    atomic_store(&table->indexes, list);
    if (old != NULL)
        kd_txn_retire(storage->txns, &old->garbage, list_destroy, old);
    return KD_OK;
}

/* --- Renaming -------------------------------------------------------------------------------- */

/* Texts that an index gets with the commit, in the table's arena. */
struct kdi_index_texts {
    kdi_index *index;
    kdi_index_texts *before; /* Of the same transaction; NULL: none. */
    kd_slice name, columns_text;
};

static void rename_committed(void *object, kd_stamp stamp)
{
    const kdi_index_texts *texts = object;
    kdi_index *index = texts->index;
    (void)stamp;
    index->definition.name = texts->name;
    index->definition.columns_text = texts->columns_text;
    index->renaming = NULL;
}

static void rename_undone(void *object)
{
    const kdi_index_texts *texts = object;
    texts->index->renaming = texts->before;
}

static const kdi_structural rename_change = {rename_committed, rename_undone};

static bool has_texts(const kdi_index *index, const kd_index_definition *definition)
{
    const kdi_index_texts *last = index->renaming;
    return kd_slice_equal(last == NULL ? index->definition.name : last->name, definition->name) &&
           kd_slice_equal(last == NULL ? index->definition.columns_text : last->columns_text,
                          definition->columns_text);
}

static kd_status rename_log(kd_ctx *ctx, kd_txn *txn, const kdi_index *index,
                            const kdi_index_texts *texts)
{
    uint64_t numbers[] = {index->table->table_no, index->definition.index_no};
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t size_before = redo->size_bytes;
    kd_status status = kdi_redo_numbers(ctx, txn, KDI_REDO_INDEX_NAME, numbers, 2);
    if (status == KD_OK)
        status = kd_buffer_append_counted(ctx, redo, texts->name);
    if (status == KD_OK)
        status = kd_buffer_append_counted(ctx, redo, texts->columns_text);
    if (status != KD_OK)
        redo->size_bytes = size_before;
    return status;
}

kd_status kd_table_rename_index(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                                const kd_index_definition *definition)
{
    kdi_write_set *writes;
    kdi_index *index = kdi_index_find(table, definition->index_no);
    if (index == NULL || has_texts(index, definition))
        return KD_OK;
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    kdi_index_texts *texts = KD_NEW(ctx, table->arena, kdi_index_texts);
    if (texts == NULL)
        return KD_NOMEM;
    *texts = (kdi_index_texts){index, index->renaming, definition->name, definition->columns_text};
    KD_TRY(slice_copy(ctx, table->arena, &texts->name));
    KD_TRY(slice_copy(ctx, table->arena, &texts->columns_text));
    KD_TRY(rename_log(ctx, txn, index, texts));
    KD_TRY(kdi_writes_structure(ctx, writes, &rename_change, texts));
    index->renaming = texts;
    return KD_OK;
}

kd_status kdi_index_set_texts(kd_ctx *ctx, kdi_index *index, kd_slice name, kd_slice columns_text)
{
    KD_TRY(slice_copy(ctx, index->table->arena, &name));
    KD_TRY(slice_copy(ctx, index->table->arena, &columns_text));
    index->definition.name = name;
    index->definition.columns_text = columns_text;
    return KD_OK;
}

/* --- Stored form ----------------------------------------------------------------------------- */

kd_status kdi_index_definition_append(kd_ctx *ctx, const kd_index_definition *definition,
                                      kd_buffer *out)
{
    KD_TRY(kd_buffer_append_varint(ctx, out, definition->index_no));
    KD_TRY(kd_buffer_append_counted(ctx, out, definition->name));
    KD_TRY(kd_buffer_append_counted(ctx, out, definition->columns_text));
    uint8_t uniqueness =
        (uint8_t)(definition->unique | definition->deferrable << 1 | definition->exclusion << 2);
    KD_TRY(kd_buffer_append_byte(ctx, out, uniqueness));
    KD_TRY(kd_buffer_append_byte(ctx, out, definition->nulls_not_distinct));
    KD_TRY(kd_buffer_append_varint(ctx, out, (uint64_t)(definition->predicate_column_no + 1)));
    KD_TRY(kd_buffer_append_varint(ctx, out, definition->column_count));
    for (uint32_t i = 0; i < definition->column_count; i++) {
        const kd_index_column *column = &definition->columns[i];
        KD_TRY(kd_buffer_append_varint(ctx, out, column->column_no));
        KD_TRY(kd_buffer_append_byte(ctx, out,
                                     (uint8_t)(column->order.descending |
                                               column->order.nulls_first << 1 |
                                               (int)column->items << 2)));
    }
    return KD_OK;
}

kd_status kdi_index_definition_read(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                                    kd_index_definition *out_definition)
{
    *out_definition = (kd_index_definition){0};
    out_definition->index_no = kd_read_varint(reader);
    out_definition->name = kd_read_slice(reader);
    out_definition->columns_text = kd_read_slice(reader);
    uint8_t uniqueness = kd_read_u8(reader);
    out_definition->unique = (uniqueness & 1) != 0;
    out_definition->deferrable = (uniqueness & 2) != 0;
    out_definition->exclusion = (uniqueness & 4) != 0;
    out_definition->nulls_not_distinct = kd_read_u8(reader) != 0;
    out_definition->predicate_column_no = (int64_t)kd_read_varint(reader) - 1;
    out_definition->column_count = (uint32_t)kd_read_varint(reader);
    if (reader->failed || out_definition->column_count > INDEX_COLUMNS_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "a stored index definition is damaged");
    kd_index_column *columns =
        KD_NEW_ARRAY(ctx, arena, kd_index_column, out_definition->column_count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < out_definition->column_count; i++) {
        columns[i].column_no = (uint32_t)kd_read_varint(reader);
        uint8_t order = kd_read_u8(reader);
        columns[i].order.descending = (order & 1) != 0;
        columns[i].order.nulls_first = (order & 2) != 0;
        columns[i].items = (kd_item_class)(order >> 2);
        if (order >> 2 > KD_ITEM_CLASS_LAST)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001", "a stored index definition is damaged");
    }
    out_definition->columns = columns;
    return KD_OK;
}

/* --- Keys ------------------------------------------------------------------------------------ */

/* A column of a chunk's row, or what rows have that are older than the column. */
static kd_value row_column(const kd_table *table, const kdi_chunk *chunk, uint32_t slot,
                           uint32_t column_no)
{
    int at = kdi_set_find(chunk->set, column_no, 0);
    if (at >= 0)
        return kdi_chunk_get(chunk, slot, (uint32_t)at);
    const kdi_column_set *set = atomic_load(&table->set);
    at = kdi_set_find(set, column_no, 0);
    assert(at >= 0);
    return set->columns[at].missing;
}

kd_status kdi_index_column_append(kd_ctx *ctx, const kdi_index *index, uint32_t column,
                                  kd_value *value, kd_key_list *keys)
{
    const kd_index_column *definition = &index->definition.columns[column];
    if (definition->items == KD_ITEMS_NONE)
        return kd_key_append(ctx, index->types[column], &value->as, value->is_null,
                             definition->order, &keys->bytes);
    if (value->is_null)
        return KD_OK;
    value->type = index->types[column];
    return kd_items_append(ctx, definition->items, (uint8_t)column, value, keys);
}

static kd_status keys_end(kd_ctx *ctx, const kdi_index *index, size_t start, kd_key_list *keys)
{
    if (!kd_index_is_inverted(&index->definition))
        return kd_key_list_end(ctx, keys, start);
    kd_key_list_sort(keys);
    return KD_OK;
}

/* Adds a row's keys. Those of an inverted index are to be alone in the list. */
static kd_status keys_add(kd_ctx *ctx, const kdi_index *index, const kdi_chunk *chunk,
                          uint32_t slot, kd_key_list *out, bool *out_has_null)
{
    const kd_index_definition *definition = &index->definition;
    size_t start = out->bytes.size_bytes;
    *out_has_null = false;
    if (definition->predicate_column_no >= 0) {
        kd_value predicate =
            row_column(index->table, chunk, slot, (uint32_t)definition->predicate_column_no);
        if (predicate.is_null || !predicate.as.boolean)
            return KD_OK;
    }
    for (uint32_t i = 0; i < definition->column_count; i++) {
        kd_value value = row_column(index->table, chunk, slot, definition->columns[i].column_no);
        *out_has_null |= value.is_null;
        KD_TRY(kdi_index_column_append(ctx, index, i, &value, out));
    }
    return keys_end(ctx, index, start, out);
}

kd_status kdi_index_keys_of(kd_ctx *ctx, const kdi_index *index, const kdi_chunk *chunk,
                            uint32_t slot, kd_key_list *out, bool *out_has_null)
{
    kd_key_list_clear(out);
    return keys_add(ctx, index, chunk, slot, out, out_has_null);
}

kd_status kdi_index_keys_at(kd_ctx *ctx, kd_arena *arena, const kdi_index *index,
                            const kdi_place *place, kd_key_list *out)
{
    const kd_index_definition *definition = &index->definition;
    const kdi_column_set *set = atomic_load(&index->table->set);
    kd_value value;
    kd_key_list_clear(out);
    if (definition->predicate_column_no >= 0) {
        int at = kdi_set_find(set, (uint32_t)definition->predicate_column_no, 0);
        assert(at >= 0);
        KD_TRY(kdi_place_value(ctx, arena, place, &set->columns[at], (uint32_t)at, &value));
        if (value.is_null || !value.as.boolean)
            return KD_OK;
    }
    for (uint32_t i = 0; i < definition->column_count; i++) {
        int at = kdi_set_find(set, definition->columns[i].column_no, i);
        assert(at >= 0);
        KD_TRY(kdi_place_value(ctx, arena, place, &set->columns[at], (uint32_t)at, &value));
        KD_TRY(kdi_index_column_append(ctx, index, i, &value, out));
    }
    return keys_end(ctx, index, 0, out);
}

kd_status kd_table_index_key(kd_ctx *ctx, kd_table *table, uint64_t index_no,
                             const kd_value *values, uint32_t value_count, kd_buffer *out)
{
    const kdi_index *index = kdi_index_get(ctx, table, index_no);
    if (index == NULL)
        return KD_CONFLICT;
    assert(value_count <= index->definition.column_count);
    for (uint32_t i = 0; i < value_count; i++)
        KD_TRY(kd_key_append(ctx, index->types[i], &values[i].as, values[i].is_null,
                             index->definition.columns[i].order, out));
    return KD_OK;
}

enum { STRETCH_ROWS = 256 };

static kd_status inverted_add(kd_ctx *ctx, kdi_index *index, const kdi_chunk *chunk, uint32_t slot,
                              kd_key_list *keys)
{
    bool has_null;
    KD_TRY(kdi_index_keys_of(ctx, index, chunk, slot, keys, &has_null));
    for (size_t k = 0; k < keys->count; k++)
        KD_TRY(kd_index_insert(ctx, index->index, kd_key_list_get(keys, k),
                               kdi_ref(chunk->unit, slot)));
    return KD_OK;
}

/* At most STRETCH_ROWS rows, one key each or none: the index is entered once for all. */
static kd_status stretch_add(kd_ctx *ctx, kdi_index *index, const kdi_chunk *chunk, uint32_t first,
                             uint32_t count, kd_key_list *keys)
{
    kd_slice slices[STRETCH_ROWS];
    uint64_t refs[STRETCH_ROWS];
    kd_key_list_clear(keys);
    for (uint32_t slot = first; slot < first + count; slot++) {
        size_t before = keys->count;
        bool has_null;
        KD_TRY(keys_add(ctx, index, chunk, slot, keys, &has_null));
        if (keys->count > before)
            refs[before] = kdi_ref(chunk->unit, slot);
    }
    for (size_t k = 0; k < keys->count; k++)
        slices[k] = kd_key_list_get(keys, k);
    return kd_index_insert_all(ctx, index->index, slices, refs, (uint32_t)keys->count);
}

static kd_status index_add_rows(kd_ctx *ctx, kdi_index *index, const kdi_chunk *chunk,
                                uint32_t first, uint32_t count, kd_key_list *keys)
{
    if (kd_index_is_inverted(&index->definition)) {
        for (uint32_t slot = first; slot < first + count; slot++)
            KD_TRY(inverted_add(ctx, index, chunk, slot, keys));
        return KD_OK;
    }
    for (uint32_t done = 0; done < count; done += STRETCH_ROWS) {
        uint32_t rows = count - done < STRETCH_ROWS ? count - done : STRETCH_ROWS;
        KD_TRY(stretch_add(ctx, index, chunk, first + done, rows, keys));
    }
    return KD_OK;
}

kd_status kdi_indexes_add_rows(kd_ctx *ctx, kd_table *table, const kdi_chunk *chunk, uint32_t first,
                               uint32_t count, bool only_unstored, kd_key_list *keys)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        kdi_index *index = list->items[i];
        if (only_unstored && index->is_stored)
            continue;
        KD_TRY(index_add_rows(ctx, index, chunk, first, count, keys));
        atomic_store_explicit(&index->is_dirty, true, memory_order_relaxed);
    }
    return KD_OK;
}

void kdi_indexes_remove_row(kd_table *table, const kdi_chunk *chunk, uint32_t slot,
                            uint32_t index_count, kd_key_list *keys)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    kd_ctx ctx = {.world = table->storage->world};
    for (uint32_t i = 0; list != NULL && i < list->count && i < index_count; i++) {
        bool has_null;
        /* An entry that stays points at a slot which nobody sees and which is never used again: it
         * only costs room. */
        if (kdi_index_keys_of(&ctx, list->items[i], chunk, slot, keys, &has_null) != KD_OK) {
            kd_error_clear(&ctx);
            continue;
        }
        for (size_t k = 0; k < keys->count; k++)
            kd_index_forget(list->items[i]->index, kd_key_list_get(keys, k),
                            kdi_ref(chunk->unit, slot));
    }
}
