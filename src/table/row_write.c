/*
 * Deleting, updating and locking rows: meeting other writers.
 *
 * A writer owns a row by putting its in-flight stamp into the row's end; a locker by
 * an entry in the table of row locks. Both happen under the row's latch, which also
 * covers looking at the other: so of two who come at once one sees the other.
 * table->publish, held shared meanwhile, keeps the row where it is.
 */
#include "table/table_internal.h"

#include <stdio.h>

typedef enum verdict {
    FREE,    /* Ours to take. */
    BLOCKED, /* `blocker` is in the way. */
    CHANGED, /* Ended by a committed transaction. */
    OWN,     /* Ended by ourselves. */
    GONE,    /* Never was, or seen by nobody. */
} verdict;

typedef struct meeting {
    kd_txn *txn;
    kd_table *table;
    kd_row_lock mode;
    bool writes; /* Puts an end stamp; otherwise locks. */
    kdi_place place;
    uint64_t blocker;
    kd_rowref newest;
} meeting;

static bool modes_conflict(kd_stamp end, kd_row_lock mode)
{
    /* An update in flight that leaves the key alone lets key-share locks pass. */
    return (end & KDI_STAMP_KEY) != 0 || mode != KD_LOCK_KEY_SHARE;
}

/* The latch is held. */
static kd_status judge(kd_ctx *ctx, meeting *meet, verdict *out_verdict)
{
    kd_stamp begin;
    kd_stamp end = kdi_place_end(&meet->place);
    *out_verdict = GONE;
    KD_TRY(kdi_place_begin(ctx, &meet->place, KDI_SNAPSHOT_LATEST, &begin));
    if (begin == KDI_STAMP_DEAD || begin == KDI_STAMP_EMPTY)
        return KD_OK;
    if (kdi_is_in_flight(begin) && kdi_stamp_txn(begin) != kd_txn_no(meet->txn)) {
        meet->blocker = kdi_stamp_txn(begin); /* A new version that the caller was led to. */
        *out_verdict = BLOCKED;
    } else if (end == KD_STAMP_NONE) {
        meet->blocker =
            kd_row_lock_blocker(meet->txn, meet->table->table_no, meet->place.ref, meet->mode);
        *out_verdict = meet->blocker == 0 ? FREE : BLOCKED;
    } else if (!kdi_is_in_flight(end)) {
        *out_verdict = CHANGED;
    } else if (kdi_stamp_txn(end) == kd_txn_no(meet->txn)) {
        *out_verdict = OWN;
    } else if (modes_conflict(end, meet->mode)) {
        meet->blocker = kdi_stamp_txn(end);
        *out_verdict = BLOCKED;
    } else {
        *out_verdict = FREE;
    }
    return KD_OK;
}

/* The latch is held and the row is free. */
static kd_status take(kd_ctx *ctx, meeting *meet)
{
    _Atomic kd_stamp *end;
    if (!meet->writes)
        return kd_row_lock_take(ctx, meet->txn, meet->table->table_no, meet->place.ref, meet->mode);
    KD_TRY(kdi_place_end_cell(ctx, &meet->place, &end));
    kd_stamp stamp = KD_STAMP_IN_FLIGHT | kd_txn_no(meet->txn);
    if (meet->mode == KD_LOCK_UPDATE)
        stamp |= KDI_STAMP_KEY;
    atomic_store(end, stamp);
    return KD_OK;
}

/* One look at the row. With FREE it is taken. */
static kd_status look(kd_ctx *ctx, meeting *meet, kd_rowref ref, verdict *out_verdict)
{
    kd_table *table = meet->table;
    kd_txn_manager *txns = table->storage->txns;
    *out_verdict = GONE;
    meet->newest = KD_ROWREF_NONE;
    kd_rwlock_lock_shared(&table->publish);
    kd_status status = KD_OK;
    if (kdi_place_find(table, ref, &meet->place)) {
        kd_row_latch(txns, table->table_no, meet->place.ref);
        status = judge(ctx, meet, out_verdict);
        if (status == KD_OK && *out_verdict == FREE)
            status = take(ctx, meet);
        kd_row_unlatch(txns, table->table_no, meet->place.ref);
        if (*out_verdict == CHANGED || *out_verdict == FREE)
            meet->newest = kdi_newest_version(table, &meet->place);
    }
    kd_rwlock_unlock_shared(&table->publish);
    return status;
}

static kd_status serialize_failure(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_CONFLICT, "40001", "could not serialize access due to concurrent %s",
                   what);
}

/* Whether the newest version has other values in a unique key than the one that was met. */
static kd_status key_compare(kd_ctx *ctx, kd_arena *arena, const meeting *meet, bool *out_differs)
{
    kdi_place newest;
    const kdi_index_list *list = atomic_load(&meet->table->indexes);
    *out_differs = false;
    if (!kdi_place_find(meet->table, meet->newest, &newest))
        return KD_OK;
    for (uint32_t i = 0; list != NULL && i < list->count && !*out_differs; i++) {
        kd_key_list keys[2] = {kd_key_list_in(arena), kd_key_list_in(arena)};
        if (!kdi_index_may_be_referenced(&list->items[i]->definition))
            continue;
        KD_TRY(kdi_index_keys_at(ctx, arena, list->items[i], &meet->place, &keys[0]));
        KD_TRY(kdi_index_keys_at(ctx, arena, list->items[i], &newest, &keys[1]));
        *out_differs = keys[0].count != keys[1].count ||
                       (keys[0].count > 0 && !kd_slice_equal(kd_key_list_get(&keys[0], 0),
                                                             kd_key_list_get(&keys[1], 0)));
    }
    return KD_OK;
}

/* A key-share lock looks for the latest state, but its key must not have gone after the snapshot.
 */
static kd_status key_check(kd_ctx *ctx, const meeting *meet)
{
    kd_stamp end = kdi_place_end(&meet->place);
    if (kdi_is_in_flight(end) || end <= kd_txn_snapshot_stamp(meet->txn))
        return KD_OK;
    if (meet->newest == KD_ROWREF_NONE)
        return serialize_failure(ctx, "delete");
    bool differs;
    kd_arena *arena = kd_arena_create(ctx, NULL, "row key", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = key_compare(ctx, arena, meet, &differs);
    kd_arena_destroy(arena);
    return status != KD_OK || !differs ? status : serialize_failure(ctx, "update");
}

static kd_status changed_outcome(kd_ctx *ctx, const meeting *meet, kd_write_outcome *out_outcome)
{
    bool is_gone = meet->newest == KD_ROWREF_NONE;
    if (kd_txn_isolation(meet->txn) != KD_READ_COMMITTED) {
        if (meet->mode != KD_LOCK_KEY_SHARE)
            return serialize_failure(ctx, is_gone ? "delete" : "update");
        KD_TRY(key_check(ctx, meet));
    }
    out_outcome->result = is_gone ? KD_WRITE_GONE : KD_WRITE_CHANGED;
    out_outcome->newest = meet->newest;
    return KD_OK;
}

/* A writer under SNAPSHOT meets a row that is newer than its snapshot: it was led there by a key.
 */
static kd_status newer_check(kd_ctx *ctx, const meeting *meet)
{
    kd_stamp begin;
    if (kd_txn_isolation(meet->txn) == KD_READ_COMMITTED || meet->mode == KD_LOCK_KEY_SHARE)
        return KD_OK;
    kd_stamp snapshot = kd_txn_snapshot_stamp(meet->txn);
    KD_TRY(kdi_place_begin(ctx, &meet->place, snapshot, &begin));
    if (!kdi_is_in_flight(begin) && begin > snapshot)
        return serialize_failure(ctx, "update");
    return KD_OK;
}

/* Looks, waits and looks again until the row is taken or there is something to tell. */
static kd_status meet_row(kd_ctx *ctx, meeting *meet, kd_rowref ref, kd_wait wait,
                          kd_slice table_name, kd_write_outcome *out_outcome)
{
    *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
    for (;;) {
        verdict found;
        KD_TRY(look(ctx, meet, ref, &found));
        switch (found) {
        case FREE:
            out_outcome->result = KD_WRITE_DONE;
            out_outcome->newest = meet->place.ref;
            return KD_OK;
        case CHANGED:
            return changed_outcome(ctx, meet, out_outcome);
        case OWN:
        case GONE:
            return KD_OK;
        case BLOCKED:
            break;
        }
        if (wait == KD_WAIT_SKIP) {
            out_outcome->result = KD_WRITE_SKIPPED;
            return KD_OK;
        }
        if (wait == KD_WAIT_NOT)
            return KD_FAIL(ctx, KD_BUSY, "55P03",
                           "could not obtain lock on row in relation \"%.*s\"",
                           (int)table_name.size_bytes, table_name.data);
        KD_TRY(kd_txn_wait_for(ctx, meet->txn, meet->blocker));
    }
}

/* Ends the row; undone again when noting it fails. */
static kd_status end_row(kd_ctx *ctx, kdi_write_set *writes, meeting *meet, kd_rowref ref,
                         kd_write_outcome *out_outcome)
{
    KD_TRY(meet_row(ctx, meet, ref, KD_WAIT, (kd_slice){0}, out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    kd_status status = kdi_writes_end(ctx, writes, meet->table, meet->place.ref);
    if (status != KD_OK) {
        kdi_place place;
        _Atomic kd_stamp *end;
        kd_ctx own = {.world = ctx->world};
        kd_rwlock_lock_shared(&meet->table->publish); /* It may have moved already. */
        bool is_found = kdi_place_find(meet->table, meet->place.ref, &place);
        assert(is_found); /* And its cell is there: it was just written. */
        if (is_found && kdi_place_end_cell(&own, &place, &end) == KD_OK)
            atomic_store(end, KD_STAMP_NONE);
        kd_rwlock_unlock_shared(&meet->table->publish);
        return status;
    }
    size_t keep = writes->count - 1;
    status = newer_check(ctx, meet);
    if (status == KD_OK)
        status = kdi_superseded_note(ctx, writes, meet->table, &meet->place);
    if (status == KD_OK && !kdi_private_is_unlogged(writes, meet->place.segment)) {
        uint64_t numbers[] = {meet->table->table_no, kdi_ref_unit(meet->place.ref),
                              kdi_ref_ordinal(meet->place.ref)};
        status = kdi_redo_numbers(ctx, writes->txn, KDI_REDO_END, numbers, 3);
    }
    if (status != KD_OK)
        kdi_writes_undo(writes, keep);
    return status;
}

kd_status kd_table_delete(kd_ctx *ctx, kd_txn *txn, kd_table *table, kd_rowref ref,
                          kd_write_outcome *out_outcome)
{
    kdi_write_set *writes;
    *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    meeting meet = {.txn = txn, .table = table, .mode = KD_LOCK_UPDATE, .writes = true};
    KD_TRY(end_row(ctx, writes, &meet, ref, out_outcome));
    kd_table_count(table, &(kd_table_usage){.deleted = out_outcome->result == KD_WRITE_DONE});
    return kd_txn_redo_added(ctx, txn);
}

/* --- Update ---------------------------------------------------------------------------------- */

static bool touches_key(kd_table *table, const kd_table_shape *shape, const uint32_t *positions,
                        uint32_t changed_count)
{
    const kdi_index_list *list = atomic_load(&table->indexes);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        const kd_index_definition *definition = &list->items[i]->definition;
        if (!kdi_index_may_be_referenced(definition))
            continue;
        for (uint32_t c = 0; c < definition->column_count; c++) {
            for (uint32_t k = 0; k < changed_count; k++) {
                if (shape->columns[positions[k]].column_no == definition->columns[c].column_no)
                    return true;
            }
        }
    }
    return false;
}

/* The new version's values in the order of the table's columns. */
static kd_status values_merge(kd_ctx *ctx, kd_arena *scratch, const kdi_column_set *set,
                              const kdi_place *old, const kd_table_shape *shape,
                              const uint32_t *positions, const kd_value *values,
                              uint32_t changed_count, kd_value *merged)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const kd_value *changed = NULL;
        for (uint32_t k = 0; k < changed_count; k++) {
            if (shape->columns[positions[k]].column_no == set->columns[i].column_no)
                changed = &values[k];
        }
        if (changed != NULL)
            merged[i] = *changed;
        else
            KD_TRY(kdi_place_value(ctx, scratch, old, &set->columns[i], i, &merged[i]));
    }
    return KD_OK;
}

static kd_status version_add(kd_ctx *ctx, kdi_write_set *writes, meeting *meet,
                             const kd_table_shape *shape, const uint32_t *positions,
                             const kd_value *values, uint32_t changed_count, kd_rowref *out_ref)
{
    kd_table *table = meet->table;
    const kdi_column_set *set = atomic_load(&table->set);
    kd_insert_outcome outcome;
    *out_ref = KD_ROWREF_NONE;
    kd_value *merged = KD_NEW_ARRAY(ctx, writes->scratch, kd_value, set->count);
    if (merged == NULL)
        return KD_NOMEM;
    KD_TRY(values_merge(ctx, writes->scratch, set, &meet->place, shape, positions, values,
                        changed_count, merged));
    kd_rowref old = meet->place.ref;
    KD_TRY(kdi_insert_values(ctx, writes, table, set, merged, NULL, &outcome));
    *out_ref = outcome.ref;
    kdi_superseded_made(writes, outcome.ref);

    kd_status status = KD_OK;
    kdi_place place;
    kd_rwlock_lock_shared(&table->publish); /* The old version may have moved meanwhile. */
    if (kdi_place_find(table, old, &place)) {
        status = kdi_place_set_next(ctx, &place, outcome.ref);
        if (status == KD_OK && kd_row_lock_count(table->storage->txns) > 0)
            status = kd_row_lock_carry(ctx, table->storage->txns, table->table_no, place.ref,
                                       outcome.ref, true);
    }
    kd_rwlock_unlock_shared(&table->publish);
    return status;
}

kd_status kd_table_update(kd_ctx *ctx, kd_txn *txn, kd_table *table, const kd_table_shape *shape,
                          kd_rowref ref, const uint32_t *shape_positions, const kd_value *values,
                          uint32_t changed_count, kd_write_outcome *out_outcome)
{
    kdi_write_set *writes;
    *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
    KD_TRY(kdi_writes_get(ctx, txn, table->storage, &writes));
    for (uint32_t i = 0; i < changed_count; i++)
        KD_TRY(kdi_check_not_null(ctx, shape, shape_positions[i], values[i].is_null));
    bool is_key = touches_key(table, shape, shape_positions, changed_count);
    meeting meet = {.txn = txn,
                    .table = table,
                    .mode = is_key ? KD_LOCK_UPDATE : KD_LOCK_NO_KEY_UPDATE,
                    .writes = true};
    kdi_delta_slow(ctx, table);
    size_t keep = writes->count;
    kd_buffer *redo;
    KD_TRY(kd_txn_redo(ctx, txn, &redo));
    size_t redo_before = redo->size_bytes;
    KD_TRY(end_row(ctx, writes, &meet, ref, out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    kd_table_count(table, &(kd_table_usage){.updated = 1});
    kd_status status = version_add(ctx, writes, &meet, shape, shape_positions, values,
                                   changed_count, &out_outcome->newest);
    if (status != KD_OK && redo->size_bytes >= redo_before && keep < writes->count) {
        /* The old version lives on, so that a caller who handles the failure finds it. */
        kdi_writes_undo(writes, keep);
        redo->size_bytes = redo_before;
        *out_outcome = (kd_write_outcome){.result = KD_WRITE_GONE, .newest = KD_ROWREF_NONE};
    }
    return status;
}

/* --- Explicit locks -------------------------------------------------------------------------- */

/*
 * A key-share lock beside an update in flight holds for the version that is coming too, and for
 * those that the same transaction puts in its place. The updater links a version before it carries
 * locks to it: either it meets this lock, or this meets its link.
 */
static kd_status lock_follow(kd_ctx *ctx, meeting *meet)
{
    kd_table *table = meet->table;
    kdi_place at;
    kd_status status = KD_OK;
    kd_rwlock_lock_shared(&table->publish);
    bool is_found = kdi_place_find(table, meet->place.ref, &at);
    for (int step = 0; is_found && status == KD_OK && step < KDI_NEXT_STEPS_MAX; step++) {
        kd_rowref here = at.ref;
        kd_rowref next = kdi_place_next(&at);
        is_found = next != KD_ROWREF_NONE && kdi_place_find(table, next, &at);
        if (is_found)
            status =
                kd_row_lock_carry(ctx, table->storage->txns, table->table_no, here, at.ref, true);
    }
    kd_rwlock_unlock_shared(&table->publish);
    return status;
}

kd_status kd_table_lock_row(kd_ctx *ctx, kd_txn *txn, kd_table *table, kd_rowref ref,
                            kd_row_lock mode, kd_wait wait, kd_write_outcome *out_outcome)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%llu", (unsigned long long)table->table_no);
    meeting meet = {.txn = txn, .table = table, .mode = mode};
    kd_txn_keep(txn);
    KD_TRY(meet_row(ctx, &meet, ref, wait, kd_slice_of(name), out_outcome));
    if (out_outcome->result != KD_WRITE_DONE)
        return KD_OK;
    KD_TRY(newer_check(ctx, &meet));
    return mode == KD_LOCK_KEY_SHARE ? lock_follow(ctx, &meet) : KD_OK;
}
