/*
 * Write sets: what a transaction has changed, to be stamped or undone.
 *
 * One per transaction, a participant of it. Row changes hold table->publish shared
 * while they are stamped, so that no row moves in between; changes of structure hold
 * storage->structure from before the stamp until they are published, so that a
 * checkpoint sees stamps and structure agree.
 */
#include "table/table_internal.h"

static kd_status writes_logging(kd_ctx *ctx, void *object)
{
    kdi_write_set *writes = object;
    if (writes->is_structural) {
        kd_mutex_lock(&writes->storage->structure);
        writes->holds_structure = true;
    }
    return kdi_serial_validate(ctx, writes);
}

static void writes_end(kdi_write_set *writes)
{
    if (writes->holds_structure)
        kd_mutex_unlock(&writes->storage->structure);
    kdi_serial_end(writes);
    kdi_private_end(writes);
    kd_arena_destroy(writes->scratch);
    kd_txn_attach(writes->txn, NULL);
}

static void insert_commit(const kdi_write *write, kd_stamp stamp)
{
    kdi_chunk *chunk = write->object;
    uint32_t first = kdi_ref_ordinal(write->ref);
    for (uint32_t i = first; i < first + write->count; i++)
        atomic_store(&chunk->begins[i], stamp);
    atomic_fetch_add_explicit(&write->table->row_count, write->count, memory_order_relaxed);
}

static void end_commit(const kdi_write *write, kd_stamp stamp)
{
    kdi_place place;
    bool is_found = kdi_place_find(write->table, write->ref, &place);
    assert(is_found); /* A move carries rows along that somebody is about to end. */
    (void)is_found;
    if (place.chunk != NULL) {
        atomic_store(&place.chunk->ends[place.ordinal], stamp);
    } else {
        kdi_mark_vector *vector =
            atomic_load(&place.segment->marks[place.ordinal / KD_VECTOR_ROWS]);
        atomic_store(&vector->ends[place.ordinal % KD_VECTOR_ROWS], stamp);
        atomic_fetch_add_explicit(&place.segment->ended_count, 1, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&write->table->row_count, 1, memory_order_relaxed);
}

static void writes_committed(void *object, kd_stamp stamp)
{
    kdi_write_set *writes = object;
    kd_table *latched = NULL;
    for (size_t i = 0; i < writes->count; i++) {
        const kdi_write *write = &writes->writes[i];
        if (write->table != latched) {
            if (latched != NULL)
                kd_rwlock_unlock_shared(&latched->publish);
            latched = write->table;
            if (latched != NULL) {
                kd_rwlock_lock_shared(&latched->publish);
                kdi_table_note_change(latched, stamp);
            }
        }
        if (write->kind == KDI_WRITE_INSERT)
            insert_commit(write, stamp);
        else if (write->kind == KDI_WRITE_END)
            end_commit(write, stamp);
        else if (write->kind == KDI_WRITE_STRUCTURE && write->structural->committed != NULL)
            write->structural->committed(write->object, stamp);
    }
    if (latched != NULL)
        kd_rwlock_unlock_shared(&latched->publish);
    kdi_serial_committed(writes, stamp);
    writes_end(writes);
}

/* --- Undoing --------------------------------------------------------------------------------- */

static void insert_undo(kdi_write_set *writes, const kdi_write *write)
{
    kdi_chunk *chunk = write->object;
    uint32_t first = kdi_ref_ordinal(write->ref);
    for (uint32_t i = first + write->count; i > first; i--) {
        kdi_indexes_remove_row(write->table, chunk, i - 1, UINT32_MAX, &writes->keys);
        atomic_store(&chunk->begins[i - 1], KDI_STAMP_DEAD);
    }
}

static void end_undo(kdi_write_set *writes, const kdi_write *write)
{
    kdi_place place;
    kdi_superseded_undo(writes, write->ref);
    kd_rwlock_lock_shared(&write->table->publish);
    bool is_found = kdi_place_find(write->table, write->ref, &place);
    assert(is_found);
    (void)is_found;
    kd_ctx ctx = {.world = write->table->storage->world};
    _Atomic kd_stamp *end;
    /* Neither can fail: the marks were made when the row was ended. */
    if (kdi_place_next(&place) != KD_ROWREF_NONE &&
        kdi_place_set_next(&ctx, &place, KD_ROWREF_NONE) != KD_OK)
        kd_error_clear(&ctx);
    if (kdi_place_end_cell(&ctx, &place, &end) == KD_OK)
        atomic_store(end, KD_STAMP_NONE);
    else
        kd_error_clear(&ctx);
    kd_rwlock_unlock_shared(&write->table->publish);
}

void kdi_writes_undo(kdi_write_set *writes, size_t keep)
{
    while (writes->count > keep) {
        const kdi_write *write = &writes->writes[--writes->count];
        if (write->kind == KDI_WRITE_INSERT)
            insert_undo(writes, write);
        else if (write->kind == KDI_WRITE_END)
            end_undo(writes, write);
        else if (write->kind == KDI_WRITE_PRIVATE)
            kdi_private_undo(writes, write);
        else if (write->structural->undone != NULL)
            write->structural->undone(write->object);
    }
}

static void writes_rolled_back(void *object)
{
    kdi_write_set *writes = object;
    kdi_writes_undo(writes, 0);
    writes_end(writes);
}

static void writes_rolled_back_to(void *object, uint32_t savepoint)
{
    kdi_write_set *writes = object;
    size_t keep = writes->count;
    while (keep > 0 && writes->writes[keep - 1].savepoint >= savepoint)
        keep--;
    kdi_writes_undo(writes, keep);
}

static kd_status writes_prepare(kd_ctx *ctx, void *object)
{
    return kdi_private_prepare(ctx, object);
}

static const kd_txn_participant participant = {
    .prepare = writes_prepare,
    .committed = writes_committed,
    .rolled_back = writes_rolled_back,
    .rolled_back_to = writes_rolled_back_to,
    .logging = writes_logging,
};

/* --- Noting ---------------------------------------------------------------------------------- */

kd_status kdi_writes_get(kd_ctx *ctx, kd_txn *txn, kd_storage *storage, kdi_write_set **out_writes)
{
    *out_writes = kd_txn_attachment(txn);
    kd_txn_keep(txn);
    if (*out_writes != NULL)
        return KD_OK;
    if (kd_txn_is_read_only(txn))
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot write in a read-only transaction");
    kdi_write_set *writes = KD_NEW(ctx, kd_txn_arena(txn), kdi_write_set);
    if (writes == NULL)
        return KD_NOMEM;
    writes->txn = txn;
    writes->storage = storage;
    writes->scratch = kd_arena_create(ctx, NULL, "row", KD_ARENA_UNLIMITED);
    if (writes->scratch == NULL)
        return KD_NOMEM;
    writes->keys = kd_key_list_in(kd_txn_arena(txn));
    writes->old_keys = kd_key_list_in(kd_txn_arena(txn));
    kd_status status = kd_txn_join(ctx, txn, &participant, writes);
    if (status != KD_OK) {
        kd_arena_destroy(writes->scratch);
        return status;
    }
    kd_mutex_init(&writes->predicate_lock, ctx->world);
    kd_txn_attach(txn, writes);
    *out_writes = writes;
    return KD_OK;
}

kd_status kdi_write_push(kd_ctx *ctx, kdi_write_set *writes, kdi_write_kind kind,
                         kdi_write **out_write)
{
    KD_TRY(KD_PUSH(ctx, kd_txn_arena(writes->txn), writes->writes, writes->count, writes->capacity,
                   out_write));
    (*out_write)->kind = kind;
    (*out_write)->savepoint = kd_txn_savepoint_now(writes->txn);
    return KD_OK;
}

kd_status kdi_writes_insert(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                            uint32_t first, uint32_t count)
{
    kdi_write *last = writes->count == 0 ? NULL : &writes->writes[writes->count - 1];
    if (last != NULL && last->kind == KDI_WRITE_INSERT && last->object == chunk &&
        last->savepoint == kd_txn_savepoint_now(writes->txn) &&
        kdi_ref_ordinal(last->ref) + last->count == first) {
        last->count += count;
        return KD_OK;
    }
    KD_TRY(kdi_write_push(ctx, writes, KDI_WRITE_INSERT, &last));
    last->table = table;
    last->object = chunk;
    last->structural = NULL;
    last->ref = kdi_ref(chunk->unit, first);
    last->count = count;
    return KD_OK;
}

void kdi_writes_insert_drop(kdi_write_set *writes)
{
    assert(writes->count > 0);
    kdi_write *last = &writes->writes[writes->count - 1];
    assert(last->kind == KDI_WRITE_INSERT);
    if (--last->count == 0)
        writes->count--;
}

kd_status kdi_writes_end(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kd_rowref ref)
{
    kdi_write *write;
    KD_TRY(kdi_write_push(ctx, writes, KDI_WRITE_END, &write));
    write->table = table;
    write->object = NULL;
    write->structural = NULL;
    write->ref = ref;
    write->count = 1;
    return KD_OK;
}

kd_status kdi_writes_structure(kd_ctx *ctx, kdi_write_set *writes, const kdi_structural *structural,
                               void *object)
{
    kdi_write *write;
    KD_TRY(kdi_write_push(ctx, writes, KDI_WRITE_STRUCTURE, &write));
    write->table = NULL;
    write->object = object;
    write->structural = structural;
    write->ref = KD_ROWREF_NONE;
    write->count = 0;
    writes->is_structural = true;
    return KD_OK;
}
