/*
 * Versions that their own transaction replaced again.
 *
 * Between the version that a transaction found and the one that it leaves behind, the ones between
 * are seen by nobody, the transaction included. They come back only when it rolls back to a
 * savepoint that was set after such a version was made and before it was replaced: mostly the one
 * of the statement that replaced it. Once no such savepoint is set any more, its entries leave the
 * indexes, or a row that is changed again and again in one transaction would be looked up ever more
 * slowly. The slots stay until the commit stamps them: their begin and end are then the same.
 */
#include "table/table_internal.h"

#include <string.h>

enum { RECENT = 1024, KEPT_BEHIND = 1024 };

/* By reference: under which savepoint a version was made. */
typedef struct recent_version {
    kd_rowref ref;
    uint32_t savepoint;
} recent_version;

typedef struct kdi_superseded {
    kd_table *table;
    kdi_chunk *chunk;
    uint32_t slot;
    uint32_t made, replaced; /* Numbers of savepoints. */
} kdi_superseded;

typedef struct kdi_superseded_set {
    recent_version recent[RECENT]; /* What is not in it counts as made before all savepoints. */
    kdi_superseded *items;         /* As they were replaced; those before `first` are done with. */
    size_t first, count, capacity;
} kdi_superseded_set;

static recent_version *recent_of(kdi_superseded_set *set, kd_rowref ref)
{
    return &set->recent[(ref ^ ref >> KD_ROWREF_ORDINAL_BITS) % RECENT];
}

static kd_status set_get(kd_ctx *ctx, kdi_write_set *writes, kdi_superseded_set **out_set)
{
    if (writes->superseded == NULL)
        writes->superseded = KD_NEW(ctx, kd_txn_arena(writes->txn), kdi_superseded_set);
    *out_set = writes->superseded;
    return *out_set == NULL ? KD_NOMEM : KD_OK;
}

/* What is in front and cannot come back leaves the indexes. */
static void front_clean(kdi_write_set *writes, kdi_superseded_set *set)
{
    uint32_t now = kd_txn_savepoint_now(writes->txn);
    while (set->first < set->count) {
        const kdi_superseded *item = &set->items[set->first];
        bool may_return = kd_txn_savepoint_between(writes->txn, item->made, item->replaced);
        if (may_return && item->replaced == now)
            break; /* The statement may still fail: later. */
        /* Behind a savepoint of the user's it stays: that is one version for each. */
        if (!may_return)
            kdi_indexes_remove_row(item->table, item->chunk, item->slot, UINT32_MAX,
                                   &writes->old_keys);
        set->first++;
    }
    if (set->first < KEPT_BEHIND || set->first * 2 < set->count)
        return;
    memmove(set->items, set->items + set->first, (set->count - set->first) * sizeof *set->items);
    set->count -= set->first;
    set->first = 0;
}

kd_status kdi_superseded_note(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                              const kdi_place *place)
{
    kdi_superseded_set *set;
    kdi_superseded *item;
    if (place->chunk == NULL ||
        !kdi_is_in_flight(atomic_load(&place->chunk->begins[place->ordinal])))
        return KD_OK;
    KD_TRY(set_get(ctx, writes, &set));
    front_clean(writes, set);
    KD_TRY(KD_PUSH(ctx, kd_txn_arena(writes->txn), set->items, set->count, set->capacity, &item));
    const recent_version *recent = recent_of(set, place->ref);
    *item = (kdi_superseded){.table = table,
                             .chunk = place->chunk,
                             .slot = place->ordinal,
                             .made = recent->ref == place->ref ? recent->savepoint : 0,
                             .replaced = kd_txn_savepoint_now(writes->txn)};
    return KD_OK;
}

void kdi_superseded_made(kdi_write_set *writes, kd_rowref ref)
{
    if (writes->superseded == NULL)
        return;
    *recent_of(writes->superseded, ref) =
        (recent_version){.ref = ref, .savepoint = kd_txn_savepoint_now(writes->txn)};
}

void kdi_superseded_undo(kdi_write_set *writes, kd_rowref ref)
{
    kdi_superseded_set *set = writes->superseded;
    if (set == NULL || set->first == set->count)
        return;
    const kdi_superseded *last = &set->items[set->count - 1];
    if (kdi_ref(last->chunk->unit, last->slot) == ref)
        set->count--;
}
