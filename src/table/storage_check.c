/*
 * Checking a whole database: every stored byte, and that indexes and rows agree.
 */
#include "table/storage_check.h"

#include "base/hash.h"

enum { FOUND_REFS = 64 };

typedef struct checker {
    kd_table *table;
    kd_arena *arena;
    kdi_index *index;
    kd_snapshot snapshot;
    kd_key_list keys;
    uint64_t entry_count;
    uint64_t fingerprint; /* Of an inverted index: of all entries, in any order. */
} checker;

/* Looks the entry up, unless very many rows share the key: then counting has to do. */
static kd_status entry_is_there(kd_ctx *ctx, checker *check, kd_rowref ref)
{
    kd_rowref refs[FOUND_REFS];
    uint32_t count;
    KD_TRY(kd_index_find(ctx, check->index->index, kd_key_list_get(&check->keys, 0), refs,
                         FOUND_REFS, &count));
    if (count > FOUND_REFS)
        return KD_OK;
    for (uint32_t i = 0; i < count; i++) {
        kdi_place place;
        if (kdi_place_find(check->table, refs[i], &place) && place.ref == ref)
            return KD_OK;
    }
    return KD_FAIL(ctx, KD_CORRUPT, "XX002",
                   "index \"%.*s\" has no entry for row %llu:%u of table %llu",
                   (int)check->index->definition.name.size_bytes,
                   check->index->definition.name.data, (unsigned long long)kdi_ref_unit(ref),
                   kdi_ref_ordinal(ref), (unsigned long long)check->table->table_no);
}

static kd_status row_keys(kd_ctx *ctx, checker *check, const kdi_place *place)
{
    return kdi_index_keys_at(ctx, check->arena, check->index, place, &check->keys);
}

/* A number for an entry; sums of them tell whether two lots of entries are the same. */
static uint64_t entry_print(kd_slice key, kd_rowref ref)
{
    return kd_hash_combine(kd_hash_bytes(key.data, key.size_bytes), ref);
}

static kd_status rows_have_entries(kd_ctx *ctx, checker *check, kd_scan_reader *reader,
                                   kd_arena *scratch)
{
    for (;;) {
        kd_batch batch;
        const kd_rowref *refs;
        bool is_end;
        KD_TRY(kd_scan_reader_next(ctx, reader, &batch, &refs, &is_end));
        if (is_end)
            return KD_OK;
        for (uint32_t i = 0; i < batch.selected_count; i++) {
            kd_rowref ref = refs[kd_batch_row(&batch, i)];
            kdi_place place;
            kd_arena_reset(scratch);
            check->arena = scratch;
            check->keys = kd_key_list_in(scratch);
            if (!kdi_place_find(check->table, ref, &place))
                return KD_FAIL(ctx, KD_CORRUPT, "XX002", "row %llu of table %llu has no place",
                               (unsigned long long)ref, (unsigned long long)check->table->table_no);
            KD_TRY(row_keys(ctx, check, &place));
            /* Rows that share a key are told apart by counting; looking each up would be quadratic.
             */
            if (check->index->definition.unique && check->keys.count > 0)
                KD_TRY(entry_is_there(ctx, check, place.ref));
            for (size_t k = 0; k < check->keys.count; k++)
                check->fingerprint += entry_print(kd_key_list_get(&check->keys, k), place.ref);
            check->entry_count += check->keys.count;
        }
    }
}

static kd_status rows_check(kd_ctx *ctx, checker *check, kd_arena *arena, kd_arena *scratch)
{
    const kdi_column_set *set = atomic_load(&check->table->set);
    kd_table_shape shape = {.column_count = set->count, .columns = set->columns};
    kd_scan_spec spec = {.shape = &shape, .with_refs = true};
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    kd_status status = KD_OK;
    KD_TRY_OUT(kd_table_scan_open(ctx, arena, check->table, check->snapshot, &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, arena, scan, &reader));
    KD_TRY_OUT(rows_have_entries(ctx, check, reader, scratch));
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    return status;
}

static kd_status wrong_entry(kd_ctx *ctx, const checker *check, const char *what)
{
    return KD_FAIL(ctx, KD_CORRUPT, "XX002", "index \"%.*s\" %s",
                   (int)check->index->definition.name.size_bytes,
                   check->index->definition.name.data, what);
}

/* The entry's row has this very key. Of an inverted index the fingerprint says it, since a row's
 * items would be made once for each of them. */
static kd_status entry_check(kd_ctx *ctx, checker *check, kd_arena *scratch, kd_slice key,
                             const kdi_place *place)
{
    if (kd_index_is_inverted(&check->index->definition)) {
        check->fingerprint -= entry_print(key, place->ref);
        return KD_OK;
    }
    kd_arena_reset(scratch);
    check->arena = scratch;
    check->keys = kd_key_list_in(scratch);
    KD_TRY(row_keys(ctx, check, place));
    if (check->keys.count == 1 && kd_slice_equal(key, kd_key_list_get(&check->keys, 0)))
        return KD_OK;
    return KD_FAIL(ctx, KD_CORRUPT, "XX002", "index \"%.*s\" has a wrong key for row %llu:%u",
                   (int)check->index->definition.name.size_bytes,
                   check->index->definition.name.data, (unsigned long long)kdi_ref_unit(place->ref),
                   place->ordinal);
}

/* Every visible entry has a visible row (kd_index_scan looks), with this very key, once. */
static kd_status entries_check(kd_ctx *ctx, checker *check, kd_arena *arena, kd_arena *scratch)
{
    kd_index_range everything = {0};
    kd_index_cursor *cursor = NULL;
    uint64_t visible_count = 0;
    kd_status status = KD_OK;
    KD_TRY_OUT(kd_index_cursor_open(ctx, arena, check->index->index, &everything, &cursor));
    bool is_end = false;
    while (!is_end) {
        kd_slice key;
        kd_rowref ref;
        kdi_place place;
        bool is_visible;
        KD_TRY_OUT(kd_index_cursor_next(ctx, cursor, &key, &ref, &is_end));
        if (is_end || !kdi_place_find(check->table, ref, &place))
            continue;
        KD_TRY_OUT(kdi_place_visible(ctx, &place, check->snapshot, &is_visible));
        if (!is_visible)
            continue;
        KD_TRY_OUT(entry_check(ctx, check, scratch, key, &place));
        visible_count++;
    }
    bool is_inverted = kd_index_is_inverted(&check->index->definition);
    if (visible_count != check->entry_count)
        status = KD_FAIL(ctx, KD_CORRUPT, "XX002",
                         "index \"%.*s\" gives %llu %s where the table has %llu",
                         (int)check->index->definition.name.size_bytes,
                         check->index->definition.name.data, (unsigned long long)visible_count,
                         is_inverted ? "items" : "rows", (unsigned long long)check->entry_count);
    else if (is_inverted && check->fingerprint != 0)
        status = wrong_entry(ctx, check, "has other items than its rows");
out:
    kd_index_cursor_close(cursor);
    return status;
}

kd_status kdi_table_check_indexes(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "check", KD_ARENA_UNLIMITED);
    kd_arena *scratch =
        arena == NULL ? NULL : kd_arena_create(ctx, arena, "check", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        status = KD_NOMEM;
    for (uint32_t i = 0; status == KD_OK && list != NULL && i < list->count; i++) {
        checker check = {.table = table, .index = list->items[i], .snapshot = snapshot};
        status = rows_check(ctx, &check, arena, scratch);
        if (status == KD_OK)
            status = entries_check(ctx, &check, arena, scratch);
    }
    kd_arena_destroy(arena);
    return status;
}

static kd_status table_check(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot)
{
    const kdi_unit_list *units = atomic_load(&table->units);
    const kdi_index_list *indexes = atomic_load(&table->indexes);
    kd_status status;
    for (uint32_t i = 0; units != NULL && i < units->segment_count; i++) {
        kd_segment *file = units->segments[i]->file;
        if (file != NULL) /* Else its transaction is still writing it. */
            KD_TRY(kd_segment_check(ctx, file));
    }
    for (uint32_t i = 0; indexes != NULL && i < indexes->count; i++)
        KD_TRY(kd_index_check(ctx, indexes->items[i]->index));
    kd_mutex_lock(&table->upkeep); /* So that no row moves between two looks at it. */
    status = kdi_table_check_indexes(ctx, table, snapshot);
    kd_mutex_unlock(&table->upkeep);
    return status;
}

kd_status kd_storage_check(kd_ctx *ctx, kd_storage *storage)
{
    uint32_t pin;
    KD_TRY(kd_txn_pin_all(ctx, storage->txns, &pin));
    kd_snapshot snapshot = {.stamp = kd_txn_watermark(storage->txns)};
    kd_txn_pin_narrow(storage->txns, pin, snapshot.stamp);
    kd_status status = KD_OK;
    uint64_t end = atomic_load(&storage->tables.end);
    for (uint64_t i = 0; status == KD_OK && i < end; i++) {
        kd_table *table = kd_table_find(storage, i);
        if (table == NULL || kdi_is_in_flight(atomic_load(&table->created)) ||
            atomic_load(&table->dropped) != KD_STAMP_NONE)
            continue;
        status = table_check(ctx, table, snapshot);
    }
    kd_txn_unpin(storage->txns, pin);
    return status;
}
