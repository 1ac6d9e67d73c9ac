/*
 * An index against its table, both ways.
 */
#include "table/storage_check.h"

#include "base/hash.h"

#include <stdio.h>

enum { FOUND_REFS = 64, TOLD_MAX = 20 };

typedef struct checker {
    kd_table *table;
    kd_arena *arena;
    kdi_index *index;
    kd_snapshot snapshot;
    const kd_damage_watch *watch;
    uint32_t told;
    kd_key_list keys;
    uint64_t entry_count;
    uint64_t fingerprint; /* Of an inverted index: of all entries, in any order. */
} checker;

/* `place` NULL: about the index as a whole. */
static kd_status tell(kd_ctx *ctx, checker *check, const kdi_place *place, const char *what)
{
    const kd_slice name = check->index->definition.name;
    kd_damage damage = kd_damage_none();
    char text[KD_ERROR_MESSAGE_BYTES];
    if (place != NULL && check->told++ >= TOLD_MAX)
        return KD_OK;
    damage.status = KD_CORRUPT;
    damage.table_no = check->table->table_no;
    damage.index_no = check->index->definition.index_no;
    if (place != NULL) {
        damage.first_row = place->ordinal;
        damage.row_count = 1;
        (void)snprintf(text, sizeof text, "index \"%.*s\" %s row %llu:%u", (int)name.size_bytes,
                       name.data, what, (unsigned long long)kdi_ref_unit(place->ref),
                       place->ordinal);
    } else {
        (void)snprintf(text, sizeof text, "index \"%.*s\" %s", (int)name.size_bytes, name.data,
                       what);
    }
    return check->watch->found(ctx, check->watch->object, &damage, text);
}

/* Looks the entry up, unless very many rows share the key: then counting has to do. */
static kd_status entry_is_there(kd_ctx *ctx, checker *check, const kdi_place *row)
{
    kd_rowref refs[FOUND_REFS];
    uint32_t count;
    KD_TRY(kd_index_find(ctx, check->index->index, kd_key_list_get(&check->keys, 0), refs,
                         FOUND_REFS, &count));
    if (count > FOUND_REFS)
        return KD_OK;
    for (uint32_t i = 0; i < count; i++) {
        kdi_place place;
        if (kdi_place_find(check->table, refs[i], &place) && place.ref == row->ref)
            return KD_OK;
    }
    return tell(ctx, check, row, "has no entry for");
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
                KD_TRY(entry_is_there(ctx, check, &place));
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
    return tell(ctx, check, place, "has a wrong key for");
}

/* Every entry was met; whether they are as many as the rows, and of an inverted index the same. */
static kd_status totals_check(kd_ctx *ctx, checker *check, uint64_t visible_count)
{
    bool is_inverted = kd_index_is_inverted(&check->index->definition);
    char text[96];
    if (visible_count != check->entry_count) {
        (void)snprintf(text, sizeof text, "gives %llu %s where the table has %llu",
                       (unsigned long long)visible_count, is_inverted ? "items" : "rows",
                       (unsigned long long)check->entry_count);
        return tell(ctx, check, NULL, text);
    }
    if (is_inverted && check->fingerprint != 0)
        return tell(ctx, check, NULL, "has other items than its rows");
    return KD_OK;
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
    status = totals_check(ctx, check, visible_count);
out:
    kd_index_cursor_close(cursor);
    return status;
}

kd_status kdi_index_compare(kd_ctx *ctx, kdi_index *index, kd_snapshot snapshot,
                            const kd_damage_watch *watch)
{
    checker check = {.table = index->table, .index = index, .snapshot = snapshot, .watch = watch};
    kd_damage damage = kd_damage_none();
    damage.table_no = index->table->table_no;
    damage.index_no = index->definition.index_no;
    kd_arena *arena = kd_arena_create(ctx, NULL, "check", KD_ARENA_UNLIMITED);
    kd_arena *scratch =
        arena == NULL ? NULL : kd_arena_create(ctx, arena, "check", KD_ARENA_UNLIMITED);
    kd_status status = scratch == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK)
        status = rows_check(ctx, &check, arena, scratch);
    if (status == KD_OK)
        status = entries_check(ctx, &check, arena, scratch);
    kd_arena_destroy(arena);
    return kd_damage_tell(ctx, watch, status, &damage);
}
