/*
 * Entering a row into the indexes, and uniqueness.
 *
 * The row stands in its slot, in flight, before its first entry appears, so whoever
 * finds the entry finds an owner. For a unique index: latch the key, look at every
 * row that has it, wait (latch released) for owners in flight and look again; when
 * nobody is left, the latest committed state has decided and the entry goes in
 * under the same latch.
 *
 * For a deferrable one the entry goes in whatever was seen, under the same latch, and
 * a key that has, or may come to have, another owner is a doubt. Of two rows with one
 * key the second to take the latch sees the first, so that at least one of them is in
 * doubt; it is judged later as above, once the statement or transaction has done
 * its work.
 */
#include "table/table_internal.h"

enum { FOUND_REFS = 16, CLEANED_FROM = 4 };

/* Does the row at `ref` own its key? */
static kd_status row_judge(kd_ctx *ctx, kd_txn *txn, kd_table *table, kd_rowref ref,
                           kdi_key_state *state)
{
    kdi_place place;
    kd_stamp begin;
    if (!kdi_place_find(table, ref, &place))
        return KD_OK;
    kd_stamp end = kdi_place_end(&place);
    if (end != KD_STAMP_NONE && !kdi_is_in_flight(end))
        return KD_OK;
    KD_TRY(kdi_place_begin(ctx, &place, KDI_SNAPSHOT_LATEST, &begin));
    if (begin == KDI_STAMP_DEAD || begin == KDI_STAMP_EMPTY)
        return KD_OK;
    if (kdi_is_in_flight(begin) && kdi_stamp_txn(begin) != kd_txn_no(txn)) {
        state->blocker = kdi_stamp_txn(begin);
        return KD_OK;
    }
    if (kdi_is_in_flight(begin) && place.segment != NULL && place.segment->is_private) {
        KD_TRY(kdi_private_bury(ctx, kd_txn_attachment(txn)));
        end = kdi_place_end(&place); /* The row may have been rolled back. */
        if (end != KD_STAMP_NONE && !kdi_is_in_flight(end))
            return KD_OK;
    }
    if (end == KD_STAMP_NONE)
        state->conflict = place.ref;
    else if (kdi_stamp_txn(end) != kd_txn_no(txn))
        state->blocker = kdi_stamp_txn(end);
    return KD_OK;
}

/*
 * A version that nobody sees: its entries leave all indexes, or a row that is changed often would
 * drag an ever longer tail of them through every lookup. Where it left its chunk already, only the
 * key at hand is known.
 */
static void version_clean(kdi_write_set *writes, kd_table *table, const kdi_index *index,
                          kd_slice key, kd_rowref ref, const kd_live_snapshots *live)
{
    kdi_place place;
    kd_stamp begin, end;
    kd_ctx ctx = {.world = table->storage->world};
    if (!kdi_place_find(table, ref, &place)) {
        kd_index_forget(index->index, key, ref);
        return;
    }
    end = kdi_place_end(&place);
    if (kdi_is_in_flight(end) || end > live->newest)
        return;
    if (kdi_place_begin(&ctx, &place, kd_live_snapshots_oldest(live), &begin) != KD_OK) {
        kd_error_clear(&ctx); /* Whoever reads the row is told. */
        return;
    }
    if (kdi_version_is_seen(live, begin, end))
        return;
    if (place.chunk == NULL || place.ref != ref) {
        kd_index_forget(index->index, key, ref);
        return;
    }
    kdi_indexes_remove_row(table, place.chunk, place.ordinal, UINT32_MAX, &writes->old_keys);
    /* So that the flush knows. Nothing else is left that asks for the stamp. */
    atomic_store(&place.chunk->begins[place.ordinal], KDI_STAMP_DEAD);
}

static void versions_clean(kdi_write_set *writes, kd_table *table, const kdi_index *index,
                           kd_slice key, const kd_rowref *refs, uint32_t count)
{
    kd_live_snapshots live;
    if (count < CLEANED_FROM || count % CLEANED_FROM != 0)
        return; /* Those that are seen come by at each update: not every time. */
    kd_txn_live_snapshots(table->storage->txns, &live);
    for (uint32_t i = 0; i < count; i++)
        version_clean(writes, table, index, key, refs[i], &live);
}

kd_status kdi_unique_judge(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                           const kd_rowref *refs, uint32_t count, kd_rowref self,
                           kdi_key_state *out_state)
{
    *out_state = (kdi_key_state){.conflict = KD_ROWREF_NONE};
    for (uint32_t i = 0; i < count && out_state->conflict == KD_ROWREF_NONE; i++) {
        if (refs[i] != self)
            KD_TRY(row_judge(ctx, writes->txn, table, refs[i], out_state));
    }
    return KD_OK;
}

/* The key's latch is held. */
static kd_status key_judge(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                           const kdi_index *index, kd_slice key, kd_rowref self,
                           kdi_key_state *state)
{
    kd_rowref few[FOUND_REFS];
    kd_rowref *refs = few;
    uint32_t capacity = FOUND_REFS;
    uint32_t count;
    KD_TRY(kd_index_find(ctx, index->index, key, refs, capacity, &count));
    while (count > capacity) {
        capacity = count * 2;
        refs = KD_NEW_ARRAY(ctx, writes->scratch, kd_rowref, capacity);
        if (refs == NULL)
            return KD_NOMEM;
        KD_TRY(kd_index_find(ctx, index->index, key, refs, capacity, &count));
    }
    KD_TRY(kdi_unique_judge(ctx, writes, table, refs, count, self, state));
    versions_clean(writes, table, index, key, refs, count);
    return KD_OK;
}

/* The mark comes after the entry: a checkpoint that takes it off before may have missed the entry,
 * and the next one has to look again. */
static kd_status entry_put(kd_ctx *ctx, kdi_index *index, kd_slice key, kd_rowref self)
{
    KD_TRY(kd_index_insert(ctx, index->index, key, self));
    atomic_store(&index->is_dirty, true);
    return KD_OK;
}

static kd_status enter_unique(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_index *index,
                              kd_slice key, kd_rowref self, kd_rowref *out_conflict)
{
    for (;;) {
        kdi_key_state state;
        kd_index_latch_key(index->index, key);
        kd_status status = key_judge(ctx, writes, table, index, key, self, &state);
        if (status == KD_OK && state.conflict == KD_ROWREF_NONE && state.blocker == 0)
            status = entry_put(ctx, index, key, self);
        kd_index_unlatch_key(index->index, key);
        if (status != KD_OK)
            return status;
        if (state.conflict != KD_ROWREF_NONE || state.blocker == 0) {
            *out_conflict = state.conflict;
            return KD_OK;
        }
        KD_TRY(kd_txn_wait_for(ctx, writes->txn, state.blocker));
    }
}

/* --- Deferrable keys ------------------------------------------------------------------------- */

static kd_status doubt_add(kd_ctx *ctx, kdi_write_set *writes, const kdi_index *index, kd_slice key,
                           kd_rowref self)
{
    kd_arena *arena = kd_txn_arena(writes->txn);
    kd_key_doubt *added;
    char *copy = kd_copy_text(ctx, arena, key.data, key.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    KD_TRY(
        KD_PUSH(ctx, arena, writes->doubts, writes->doubt_count, writes->doubt_capacity, &added));
    *added = (kd_key_doubt){.table_no = index->table->table_no,
                            .index_no = index->definition.index_no,
                            .ref = self,
                            .key = {copy, key.size_bytes}};
    return KD_OK;
}

static kd_status enter_deferrable(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                                  kdi_index *index, kd_slice key, kd_rowref self)
{
    kdi_key_state state;
    kd_index_latch_key(index->index, key);
    kd_status status = key_judge(ctx, writes, table, index, key, self, &state);
    if (status == KD_OK)
        status = entry_put(ctx, index, key, self);
    kd_index_unlatch_key(index->index, key);
    if (status != KD_OK || (state.conflict == KD_ROWREF_NONE && state.blocker == 0))
        return status;
    return doubt_add(ctx, writes, index, key, self);
}

const kd_key_doubt *kd_table_doubts_take(kd_txn *txn, size_t *out_count)
{
    kdi_write_set *writes = kd_txn_attachment(txn);
    *out_count = writes == NULL ? 0 : writes->doubt_count;
    if (*out_count == 0)
        return NULL;
    const kd_key_doubt *doubts = writes->doubts;
    writes->doubts = NULL;
    writes->doubt_count = writes->doubt_capacity = 0;
    return doubts;
}

/* Whether the transaction's row is still there: neither rolled back nor deleted nor replaced. */
static kd_status own_row_stands(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kd_rowref ref,
                                kdi_place *out_place, bool *out_stands)
{
    kd_stamp begin;
    *out_stands = false;
    if (!kdi_place_find(table, ref, out_place))
        return KD_OK;
    KD_TRY(kdi_place_begin(ctx, out_place, KDI_SNAPSHOT_LATEST, &begin));
    if (begin == KDI_STAMP_DEAD || begin == KDI_STAMP_EMPTY)
        return KD_OK;
    if (out_place->segment != NULL && out_place->segment->is_private)
        KD_TRY(kdi_private_bury(ctx, writes));
    *out_stands = kdi_place_end(out_place) == KD_STAMP_NONE;
    return KD_OK;
}

kd_status kd_table_doubt_judge(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                               const kd_key_doubt *doubt)
{
    kdi_write_set *writes = kd_txn_attachment(txn);
    kd_table *table = kd_table_find(storage, doubt->table_no);
    kdi_index *index = table == NULL ? NULL : kdi_index_find(table, doubt->index_no);
    kdi_key_state state = {.conflict = KD_ROWREF_NONE};
    kdi_place place;
    bool stands;
    if (index == NULL)
        return KD_OK;
    assert(writes != NULL);
    KD_TRY(own_row_stands(ctx, writes, table, doubt->ref, &place, &stands));
    while (stands) {
        kd_index_latch_key(index->index, doubt->key);
        kd_status status = key_judge(ctx, writes, table, index, doubt->key, place.ref, &state);
        kd_index_unlatch_key(index->index, doubt->key);
        KD_TRY(status);
        if (state.conflict != KD_ROWREF_NONE || state.blocker == 0)
            break;
        KD_TRY(kd_txn_wait_for(ctx, txn, state.blocker));
    }
    kd_status status = state.conflict == KD_ROWREF_NONE
                           ? KD_OK
                           : kdi_unique_fail(ctx, writes->scratch, index, &place);
    kd_arena_reset(writes->scratch);
    return status;
}

/* --- Entering rows --------------------------------------------------------------------------- */

/* A key that has to be the only one of its kind. */
static kd_status enter_checked(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                               kdi_index *index, kd_slice key, kd_rowref self,
                               kd_rowref *out_conflict)
{
    if (index->definition.deferrable)
        return enter_deferrable(ctx, writes, table, index, key, self);
    return enter_unique(ctx, writes, table, index, key, self, out_conflict);
}

static kd_status enter_one(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_index *index,
                           const kdi_chunk *chunk, uint32_t slot, kd_rowref *out_conflict)
{
    bool has_null;
    kd_rowref self = kdi_ref(chunk->unit, slot);
    kd_key_list *keys = &writes->keys;
    *out_conflict = KD_ROWREF_NONE;
    KD_TRY(kdi_index_keys_of(ctx, index, chunk, slot, keys, &has_null));
    if (keys->count == 0)
        return KD_OK;
    if (index->definition.unique && (!has_null || index->definition.nulls_not_distinct))
        return enter_checked(ctx, writes, table, index, kd_key_list_get(keys, 0), self,
                             out_conflict);
    for (size_t i = 0; i < keys->count; i++)
        KD_TRY(entry_put(ctx, index, kd_key_list_get(keys, i), self));
    return KD_OK;
}

kd_status kdi_unique_enter_key(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                               kdi_index *index, kd_slice key, bool is_checked, kd_rowref self,
                               kd_rowref *out_conflict)
{
    *out_conflict = KD_ROWREF_NONE;
    if (is_checked)
        return enter_checked(ctx, writes, table, index, key, self, out_conflict);
    return entry_put(ctx, index, key, self);
}

bool kdi_conflict_is_told(const kd_on_conflict *on_conflict, uint64_t index_no)
{
    if (on_conflict == NULL)
        return false;
    for (uint32_t i = 0; i < on_conflict->index_count; i++) {
        if (on_conflict->index_nos[i] == index_no)
            return true;
    }
    return on_conflict->index_count == 0;
}

kd_status kdi_unique_enter(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                           uint32_t slot, const kd_on_conflict *on_conflict,
                           kd_rowref *out_conflict, const kdi_index **out_index)
{
    kd_status status = KD_OK;
    const kdi_index_list *list = atomic_load(&table->indexes);
    uint32_t entered = 0;
    bool is_told = false;
    *out_conflict = KD_ROWREF_NONE;
    *out_index = NULL;
    while (list != NULL && entered < list->count && status == KD_OK && !is_told) {
        kd_rowref conflict;
        const kdi_index *index = list->items[entered];
        status = enter_one(ctx, writes, table, list->items[entered++], chunk, slot, &conflict);
        if (status != KD_OK || conflict == KD_ROWREF_NONE)
            continue;
        /* A conflict that fails the statement gives way to one in a later index that is told. */
        is_told = kdi_conflict_is_told(on_conflict, index->definition.index_no);
        if (*out_index == NULL || is_told) {
            *out_conflict = conflict;
            *out_index = index;
        }
        if (on_conflict == NULL)
            break;
    }
    /* The index that failed may hold some of the row's items. */
    if (status != KD_OK || *out_index != NULL)
        kdi_indexes_remove_row(table, chunk, slot, entered, &writes->keys);
    return status;
}

kd_status kdi_key_value_text(kd_ctx *ctx, uint32_t position, const kd_value *value, kd_buffer *out)
{
    static const kd_text_settings settings = {.extra_float_digits = 1};
    if (position > 0)
        KD_TRY(kd_buffer_append_text(ctx, out, ", "));
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "null");
    if (value->type.id == KD_TYPE_ENUM)
        return kd_buffer_append_format(ctx, out, "%d", value->as.i32);
    return kd_value_format(ctx, &settings, value, out);
}

static kd_status key_text(kd_ctx *ctx, kd_arena *scratch, const kdi_index *index,
                          const kdi_place *place, kd_buffer *out)
{
    const kdi_column_set *set = atomic_load(&index->table->set);
    for (uint32_t i = 0; i < index->definition.column_count; i++) {
        int at = kdi_set_find(set, index->definition.columns[i].column_no, 0);
        kd_value value;
        assert(at >= 0);
        KD_TRY(kdi_place_value(ctx, scratch, place, &set->columns[at], (uint32_t)at, &value));
        KD_TRY(kdi_key_value_text(ctx, i, &value, out));
    }
    return KD_OK;
}

kd_status kdi_key_taken(kd_ctx *ctx, const kd_index_definition *definition, kd_slice key)
{
    int name = (int)definition->name.size_bytes, columns = (int)definition->columns_text.size_bytes;
    const char *column = definition->columns_text.data;
    kd_status status = definition->exclusion
                           ? KD_FAIL(ctx, KD_INVALID, "23P01",
                                     "conflicting key value violates exclusion constraint \"%.*s\"",
                                     name, definition->name.data)
                           : KD_FAIL(ctx, KD_INVALID, "23505",
                                     "duplicate key value violates unique constraint \"%.*s\"",
                                     name, definition->name.data);
    if (definition->exclusion)
        kd_error_set_detail(ctx, "Key (%.*s)=(%.*s) conflicts with existing key (%.*s)=(%.*s).",
                            columns, column, (int)key.size_bytes, key.data, columns, column,
                            (int)key.size_bytes, key.data);
    else
        kd_error_set_detail(ctx, "Key (%.*s)=(%.*s) already exists.", columns, column,
                            (int)key.size_bytes, key.data);
    kd_error_set_constraint(ctx, definition->name.data);
    return status;
}

kd_status kdi_unique_fail(kd_ctx *ctx, kd_arena *scratch, const kdi_index *index,
                          const kdi_place *place)
{
    const kd_index_definition *definition = &index->definition;
    kd_buffer text = kd_buffer_in(scratch);
    KD_TRY(kd_buffer_append_text(ctx, &text, "")); /* NUL-terminated, even for no columns. */
    KD_TRY(key_text(ctx, scratch, index, place, &text));
    return kdi_key_taken(ctx, definition, kd_buffer_slice(&text));
}
