/*
 * Unique keys over all partitions: reading and writing their entries.
 */
#include "engine/table_key.h"

#include <assert.h>

/* --- What they are ---------------------------------------------------------------------------- */

bool kdi_key_spans_partitions(const kd_table_entry *parent, const kd_table_index *index)
{
    if (parent->strategy == KD_PARTITION_NONE || !index->storage.unique)
        return false;
    for (uint32_t p = 0; p < parent->partition_column_count; p++) {
        bool found = false;
        for (uint32_t c = 0; c < index->storage.column_count; c++)
            found |= index->storage.columns[c].column_no == parent->partition_column_nos[p];
        if (!found)
            return true;
    }
    return false;
}

static const kd_column *column_of(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return &table->columns[i];
    assert(false && "an index is over columns of its table");
    return NULL;
}

/* What an index column is over, by the name or text that parent and partition share. */
static kd_slice source_of(const kd_table_entry *table, uint32_t column_no)
{
    const kd_column *column = column_of(table, column_no);
    return column->hidden ? column->default_text : column->storage.name;
}

bool kdi_index_is_counterpart(const kd_table_entry *parent, const kd_table_index *index,
                              const kd_table_entry *table, const kd_table_index *own)
{
    if (own->storage.unique != index->storage.unique ||
        own->storage.column_count != index->storage.column_count ||
        !kd_slice_equal(own->method, index->method) ||
        !kd_slice_equal(own->predicate_text, index->predicate_text))
        return false;
    for (uint32_t i = 0; i < own->storage.column_count; i++)
        if (!kd_slice_equal(source_of(parent, index->storage.columns[i].column_no),
                            source_of(table, own->storage.columns[i].column_no)))
            return false;
    return true;
}

/* --- Those that concern a partition ----------------------------------------------------------- */

static int position_of(const kd_table_entry *owner, uint32_t column_no,
                       const kd_table_entry *partition)
{
    const kd_column *source = column_of(owner, column_no);
    for (uint32_t i = 0; i < partition->column_count; i++)
        if (partition->columns[i].hidden == source->hidden &&
            kd_slice_equal(source_of(partition, partition->columns[i].storage.column_no),
                           source_of(owner, column_no)))
            return (int)i;
    return -1;
}

kd_status kdi_table_key_of(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                           const kd_table_entry *partition, kdi_table_key *key)
{
    kd_session *session = run->session;
    const kd_index_definition *index = &key->index->storage;
    key->partition = kd_value_i64(partition->object.object_no);
    key->predicate = index->predicate_column_no;
    key->positions = KD_NEW_ARRAY(ctx, arena, uint32_t, index->column_count);
    if (key->positions == NULL)
        return KD_NOMEM;
    bool complete = true;
    for (uint32_t i = 0; i < index->column_count; i++) {
        int position = position_of(key->owner, index->columns[i].column_no, partition);
        complete &= position >= 0;
        key->positions[i] = (uint32_t)position;
    }
    if (index->predicate_column_no >= 0) {
        key->predicate = position_of(key->owner, (uint32_t)index->predicate_column_no, partition);
        complete &= key->predicate >= 0;
    }
    if (!complete)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "partition \"%.*s\" lacks a column of \"%.*s\"",
                       (int)partition->object.name.size_bytes, partition->object.name.data,
                       (int)key->index->object.name.size_bytes, key->index->object.name.data);
    KD_TRY(kd_partition_key_shape(ctx, arena, key->owner, key->index, &key->shape));
    KD_TRY(kd_txn_lock_table(ctx, session->txn, key->index->key_table_no, KD_TABLE_WRITE, false));
    key->storage = kd_table_find(session->database->storage, key->index->key_table_no);
    if (key->storage == NULL)
        return KD_FAIL(ctx, KD_CONFLICT, "40001",
                       "could not serialize access due to a concurrent change of key \"%.*s\"",
                       (int)key->index->object.name.size_bytes, key->index->object.name.data);
    return KD_OK;
}

kd_status kdi_table_keys_find(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                              const kd_table_entry *partition, uint32_t first_no,
                              kdi_table_key **out_keys, uint32_t *out_count)
{
    size_t capacity = 0;
    *out_keys = NULL;
    *out_count = 0;
    while (first_no != 0) {
        const kd_table_entry *owner =
            (const kd_table_entry *)kd_catalog_get(run->catalog, first_no);
        if (!kd_catalog_is_newest(run->session->database->catalog, run->session->txn,
                                  &owner->object))
            return KD_FAIL(ctx, KD_CONFLICT, "40001",
                           "could not serialize access due to a concurrent change of table "
                           "\"%.*s\"",
                           (int)owner->object.name.size_bytes, owner->object.name.data);
        for (uint32_t i = 0; i < owner->index_count; i++) {
            kdi_table_key *added;
            if (owner->indexes[i].key_table_no == 0)
                continue;
            KD_TRY(KD_PUSH(ctx, arena, *out_keys, *out_count, capacity, &added));
            *added = (kdi_table_key){.owner = owner, .index = &owner->indexes[i]};
            KD_TRY(kdi_table_key_of(ctx, arena, run, partition, added));
        }
        first_no = owner->parent_no;
    }
    return KD_OK;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static bool has_entry(const kdi_table_key *key, const kd_value *values)
{
    const kd_index_definition *index = &key->index->storage;
    if (key->predicate >= 0 &&
        (values[key->predicate].is_null || !values[key->predicate].as.boolean))
        return false;
    for (uint32_t i = 0; i < index->column_count && !index->nulls_not_distinct; i++)
        if (values[key->positions[i]].is_null)
            return false;
    return true;
}

static bool row_has_entry(const kdi_table_key *key, const kd_batch *rows, uint32_t row)
{
    const kd_index_definition *index = &key->index->storage;
    if (key->predicate >= 0) {
        kd_value holds = kd_vector_get(&rows->columns[key->predicate], row);
        if (holds.is_null || !holds.as.boolean)
            return false;
    }
    for (uint32_t i = 0; i < index->column_count && !index->nulls_not_distinct; i++)
        if (kd_vector_is_null(&rows->columns[key->positions[i]], row))
            return false;
    return true;
}

/* The entries of a batch's rows. */
static kd_status make_entries(kd_ctx *ctx, const kdi_table_key *key, kd_arena *arena,
                              const kd_batch *rows, kd_batch *out)
{
    uint32_t count = key->index->storage.column_count, selected = 0;
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, count + 1);
    uint16_t *selection = KD_NEW_ARRAY(ctx, arena, uint16_t, rows->selected_count);
    if (columns == NULL || selection == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rows->selected_count; i++) {
        uint32_t row = kd_batch_row(rows, i);
        if (row_has_entry(key, rows, row))
            selection[selected++] = (uint16_t)row;
    }
    for (uint32_t i = 0; i < count; i++)
        columns[i] = rows->columns[key->positions[i]];
    *out = (kd_batch){.row_count = rows->row_count,
                      .selected_count = selected,
                      .selection = selection,
                      .column_count = count + 1,
                      .columns = columns};
    return kd_vector_init_constant(ctx, arena, &key->partition, &columns[count]);
}

kd_status kdi_table_key_insert(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key, kd_arena *arena,
                               const kd_batch *rows)
{
    kd_batch entries;
    KD_TRY(make_entries(ctx, key, arena, rows, &entries));
    if (entries.selected_count == 0)
        return KD_OK;
    return kd_table_insert_batch(ctx, txn, key->storage, key->shape, &entries, NULL);
}

kd_status kdi_table_key_load(kd_ctx *ctx, kd_bulk_load *load, const kdi_table_key *key,
                             kd_arena *arena, const kd_batch *rows)
{
    kd_batch entries;
    KD_TRY(make_entries(ctx, key, arena, rows, &entries));
    return entries.selected_count == 0 ? KD_OK : kd_bulk_load_append(ctx, load, &entries);
}

enum { KEY_COLUMNS_MAX = 32 };

static void read_key(const kdi_table_key *key, const kd_value *values, kd_value *out_entry)
{
    uint32_t count = key->index->storage.column_count;
    assert(count <= KEY_COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++)
        out_entry[i] = values[key->positions[i]];
    out_entry[count] = key->partition;
}

kd_status kdi_table_key_insert_row(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key,
                                   const kd_value *values, bool tells, kd_insert_outcome *out_entry,
                                   bool *out_taken)
{
    static const kd_on_conflict any = {.index_nos = NULL, .index_count = 0};
    kd_value entry[KEY_COLUMNS_MAX + 1];
    *out_taken = false;
    *out_entry = (kd_insert_outcome){.ref = KD_ROWREF_NONE};
    if (!has_entry(key, values))
        return KD_OK;
    read_key(key, values, entry);
    KD_TRY(kd_table_insert_row(ctx, txn, key->storage, key->shape, entry, tells ? &any : NULL,
                               out_entry));
    *out_taken = !out_entry->inserted;
    return KD_OK;
}

kd_status kdi_table_key_delete(kd_ctx *ctx, kd_txn *txn, const kdi_table_key *key, kd_arena *arena,
                               const kd_value *values)
{
    kd_value entry[KEY_COLUMNS_MAX + 1];
    kd_buffer bytes = kd_buffer_in(arena);
    kd_write_outcome outcome = {.result = KD_WRITE_GONE};
    kd_rowref ref;
    bool found;
    if (!has_entry(key, values))
        return KD_OK;
    read_key(key, values, entry);
    KD_TRY(kd_table_index_key(ctx, key->storage, key->index->storage.index_no, entry,
                              key->index->storage.column_count, &bytes));
    KD_TRY(kd_table_find_by_key(ctx, arena, key->storage, kd_table_settled(txn),
                                key->index->storage.index_no, kd_buffer_slice(&bytes), &ref,
                                &found));
    if (found)
        KD_TRY(kd_table_delete(ctx, txn, key->storage, ref, &outcome));
    /* The row is locked, and its entry changes with it only. */
    if (outcome.result != KD_WRITE_DONE)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "a row has no entry in key \"%.*s\"",
                       (int)key->index->object.name.size_bytes, key->index->object.name.data);
    return KD_OK;
}

bool kdi_table_key_changes(const kdi_table_key *key, const kd_value *old_values,
                           const kd_value *new_values)
{
    bool had = has_entry(key, old_values), has = has_entry(key, new_values);
    if (!had || !has)
        return had != has;
    for (uint32_t i = 0; i < key->index->storage.column_count; i++) {
        const kd_value *a = &old_values[key->positions[i]], *b = &new_values[key->positions[i]];
        if (a->is_null != b->is_null || (!a->is_null && kd_value_compare(a, b) != 0))
            return true;
    }
    return false;
}

/* --- From an entry to its row ----------------------------------------------------------------- */

static kd_status row_by_key(kd_ctx *ctx, kd_run *run, const kdi_table_key *key, kd_arena *arena,
                            const kd_table_entry *partition, const kd_value *entry,
                            kd_rowref *out_ref, bool *out_found)
{
    kd_table *storage = kd_table_find(run->session->database->storage, partition->table_no);
    kd_buffer bytes = kd_buffer_in(arena);
    const kd_index_definition *own = NULL;
    *out_found = false;
    for (uint32_t i = 0; i < partition->index_count && own == NULL; i++)
        if (kdi_index_is_counterpart(key->owner, key->index, partition, &partition->indexes[i]))
            own = &partition->indexes[i].storage;
    if (storage == NULL || own == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "partition \"%.*s\" lacks a unique index",
                       (int)partition->object.name.size_bytes, partition->object.name.data);
    KD_TRY(kd_table_index_key(ctx, storage, own->index_no, entry, own->column_count, &bytes));
    return kd_table_find_by_key(ctx, arena, storage, kd_table_settled(run->session->txn),
                                own->index_no, kd_buffer_slice(&bytes), out_ref, out_found);
}

kd_status kdi_table_key_row(kd_ctx *ctx, kd_run *run, const kdi_table_key *key, kd_arena *arena,
                            kd_rowref entry, const kd_value *values,
                            const kd_table_entry **out_partition, kd_rowref *out_ref)
{
    kd_value wanted[KEY_COLUMNS_MAX + 1], partition_no;
    uint32_t position = key->index->storage.column_count;
    bool found;
    *out_partition = NULL;
    read_key(key, values, wanted);
    KD_TRY(kd_table_get(ctx, arena, key->storage, kd_table_latest(run->session->txn), entry,
                        key->shape, &position, 1, &partition_no, &found));
    if (!found)
        return KD_OK;
    const kd_object *object = kd_catalog_get(run->catalog, (uint32_t)partition_no.as.i64);
    if (object == NULL)
        return KD_FAIL(ctx, KD_CONFLICT, "40001",
                       "could not serialize access due to a concurrent change of table \"%.*s\"",
                       (int)key->owner->object.name.size_bytes, key->owner->object.name.data);
    KD_TRY(
        row_by_key(ctx, run, key, arena, (const kd_table_entry *)object, wanted, out_ref, &found));
    if (found)
        *out_partition = (const kd_table_entry *)object;
    return KD_OK;
}
