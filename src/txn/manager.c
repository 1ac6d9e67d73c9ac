/*
 * The manager of a database's transactions: slots, the watermark, retirement.
 *
 * Taking a snapshot publishes it in the transaction's slot and then looks at the
 * watermark again: if it moved, somebody may have computed the oldest snapshot
 * without seeing this one, so the newer one is taken instead. The same holds for
 * epochs. Both rest on sequentially consistent loads and stores.
 */
#include "txn/txn_internal.h"

#include <assert.h>

enum { LOOKS_MAX = 16 }; /* At slots, while pins come and go. */

kd_status kd_txn_manager_create(kd_ctx *ctx, kd_account *account, kd_txn_manager **out_manager)
{
    *out_manager = NULL;
    kd_txn_manager *manager = KD_HEAP_NEW(ctx, account, kd_txn_manager);
    if (manager == NULL)
        return KD_NOMEM;
    manager->world = ctx->world;
    manager->account = account;
    manager->redo_stream_bytes = KDI_REDO_STREAM_BYTES;
    manager->slots = kd_heap_alloc(ctx, account, KDI_SLOT_COUNT * sizeof(kdi_slot));
    manager->commits = kd_heap_alloc(ctx, account, KDI_SLOT_COUNT * sizeof(kdi_commit));
    if (manager->slots == NULL || manager->commits == NULL) {
        kd_heap_free(ctx->world, account, manager->slots);
        kd_heap_free(ctx->world, account, manager->commits);
        kd_heap_free(ctx->world, account, manager);
        return KD_NOMEM;
    }
    for (uint32_t i = 0; i < KDI_SLOT_COUNT; i++)
        manager->free_slots[i] = (uint16_t)(KDI_SLOT_COUNT - 1 - i);
    manager->free_count = KDI_SLOT_COUNT;
    atomic_store(&manager->next_sequence, 1);
    atomic_store(&manager->epoch, 1);
    atomic_store(&manager->watermark, 1);
    manager->newest_stamp = 1;
    manager->garbage_tail = &manager->garbage;
    kd_mutex_init(&manager->slot_lock, ctx->world);
    kd_mutex_init(&manager->commit_lock, ctx->world);
    kd_cond_init(&manager->commit_cond, ctx->world);
    kd_mutex_init(&manager->garbage_lock, ctx->world);
    kd_mutex_init(&manager->wait_lock, ctx->world);
    for (uint32_t i = 0; i < KDI_LOCK_SHARDS; i++)
        kd_mutex_init(&manager->shards[i].mutex, ctx->world);
    *out_manager = manager;
    return KD_OK;
}

void kd_txn_manager_stream_above(kd_txn_manager *manager, size_t redo_bytes)
{
    manager->redo_stream_bytes = redo_bytes;
}

static void txn_free(kd_txn_manager *manager, kd_txn *txn)
{
    if (txn == NULL)
        return;
    kd_arena_destroy(txn->arena);
    kd_arena_destroy(txn->redo_arena);
    kd_cond_clear(&txn->wait_cond);
    kd_mutex_clear(&txn->held_lock);
    kd_heap_free(manager->world, manager->account, txn);
}

void kd_txn_manager_destroy(kd_txn_manager *manager)
{
    if (manager == NULL)
        return;
    assert(manager->free_count == KDI_SLOT_COUNT);
    kd_txn_reclaim(manager);
    manager->born_left = 0;
    kd_txn_reclaim_born(manager);
    assert(manager->garbage == NULL);
    assert(manager->garbage_born == NULL);
    for (uint32_t i = 0; i < KDI_SLOT_COUNT; i++)
        txn_free(manager, manager->slots[i].txn);
    kdi_lock_shards_clear(manager);
    kd_mutex_clear(&manager->slot_lock);
    kd_mutex_clear(&manager->commit_lock);
    kd_cond_clear(&manager->commit_cond);
    kd_mutex_clear(&manager->garbage_lock);
    kd_mutex_clear(&manager->wait_lock);
    kd_heap_free(manager->world, manager->account, manager->commits);
    kd_heap_free(manager->world, manager->account, manager->slots);
    kd_heap_free(manager->world, manager->account, manager);
}

void kd_txn_manager_start(kd_txn_manager *manager, kd_wal *wal, kd_stamp watermark,
                          uint64_t next_no)
{
    manager->wal = wal;
    manager->newest_stamp = watermark;
    atomic_store(&manager->watermark, watermark);
    atomic_store(&manager->watermark_end, 0); /* What recovery read is durable. */
    uint64_t sequence = (next_no >> KDI_SLOT_BITS) + 1;
    if (sequence > atomic_load(&manager->next_sequence))
        atomic_store(&manager->next_sequence, sequence);
}

uint64_t kd_txn_manager_next_no(kd_txn_manager *manager)
{
    return atomic_load(&manager->next_sequence) << KDI_SLOT_BITS;
}

uint32_t kd_txn_active_count(kd_txn_manager *manager)
{
    kd_mutex_lock(&manager->slot_lock);
    uint32_t count = KDI_SLOT_COUNT - manager->free_count;
    kd_mutex_unlock(&manager->slot_lock);
    return count;
}

/* --- Slots ----------------------------------------------------------------------------------- */

static void epoch_publish(kd_txn_manager *manager, kdi_slot *slot)
{
    uint64_t epoch = atomic_load(&manager->epoch);
    for (;;) {
        atomic_store(&slot->epoch, epoch);
        uint64_t now = atomic_load(&manager->epoch);
        if (now == epoch)
            return;
        epoch = now;
    }
}

kd_status kdi_slot_take(kd_ctx *ctx, kd_txn_manager *manager, uint32_t *out_slot)
{
    *out_slot = 0;
    kd_mutex_lock(&manager->slot_lock);
    if (manager->free_count == 0) {
        kd_mutex_unlock(&manager->slot_lock);
        return KD_FAIL(ctx, KD_LIMIT, "53300", "too many open transactions (at most %d)",
                       KDI_SLOT_COUNT);
    }
    uint32_t slot = manager->free_slots[--manager->free_count];
    if (slot >= atomic_load_explicit(&manager->slot_high, memory_order_relaxed))
        atomic_store(&manager->slot_high, slot + 1);
    kd_mutex_unlock(&manager->slot_lock);
    atomic_store(&manager->slots[slot].reached, UINT64_MAX);
    epoch_publish(manager, &manager->slots[slot]);
    *out_slot = slot;
    return KD_OK;
}

void kdi_slot_give(kd_txn_manager *manager, uint32_t slot)
{
    kdi_slot *place = &manager->slots[slot];
    atomic_store(&place->first_part, 0);
    atomic_store(&place->snapshot, 0);
    if (atomic_load_explicit(&place->keeps, memory_order_relaxed) != 0)
        atomic_store(&place->keeps, 0);
    atomic_store(&place->epoch, 0);
    kd_mutex_lock(&manager->slot_lock);
    manager->free_slots[manager->free_count++] = (uint16_t)slot;
    kd_mutex_unlock(&manager->slot_lock);
}

bool kd_txn_is_active(kd_txn_manager *manager, uint64_t txn_no)
{
    return atomic_load(&manager->slots[txn_no & (KDI_SLOT_COUNT - 1)].txn_no) == txn_no;
}

kd_stamp kdi_snapshot_take(kd_txn_manager *manager, uint32_t slot, bool keeps_all,
                           uint64_t *out_end)
{
    kdi_slot *place = &manager->slots[slot];
    kd_stamp stamp = atomic_load(&manager->watermark);
    for (;;) {
        if (keeps_all)
            atomic_store(&place->keeps, stamp);
        atomic_store(&place->snapshot, stamp);
        kd_stamp now = atomic_load(&manager->watermark);
        if (now == stamp)
            break;
        stamp = now;
    }
    *out_end = atomic_load(&manager->watermark_end);
    return stamp;
}

kd_status kd_txn_pin(kd_ctx *ctx, kd_txn_manager *manager, kd_stamp snapshot, uint32_t *out_pin)
{
    KD_TRY(kdi_slot_take(ctx, manager, out_pin));
    kd_stamp watermark = atomic_load(&manager->watermark);
    atomic_store(&manager->slots[*out_pin].snapshot, snapshot < watermark ? snapshot : watermark);
    atomic_fetch_add(&manager->pins_made, 1);
    return KD_OK;
}

kd_status kd_txn_pin_all(kd_ctx *ctx, kd_txn_manager *manager, uint32_t *out_pin)
{
    uint64_t end;
    KD_TRY(kdi_slot_take(ctx, manager, out_pin));
    (void)kdi_snapshot_take(manager, *out_pin, true, &end);
    return KD_OK;
}

void kd_txn_pin_narrow(kd_txn_manager *manager, uint32_t pin, kd_stamp snapshot)
{
    kdi_slot *place = &manager->slots[pin];
    assert(snapshot >= atomic_load(&place->keeps));
    atomic_store(&place->snapshot, snapshot);
    /* Whoever looked at the snapshot before looks at this afterwards, or looks again. */
    atomic_fetch_add(&manager->pins_made, 1);
    atomic_store(&place->keeps, 0);
}

void kd_txn_unpin(kd_txn_manager *manager, uint32_t pin)
{
    kdi_slot_give(manager, pin);
}

kd_stamp kd_txn_watermark(const kd_txn_manager *manager)
{
    return atomic_load(&manager->watermark);
}

kd_stamp kd_txn_oldest_snapshot(kd_txn_manager *manager)
{
    kd_stamp oldest = atomic_load(&manager->watermark);
    uint32_t high = atomic_load(&manager->slot_high);
    for (uint32_t i = 0; i < high; i++) {
        kd_stamp snapshot = atomic_load(&manager->slots[i].snapshot);
        if (snapshot != 0 && snapshot < oldest)
            oldest = snapshot;
    }
    return oldest;
}

/* --- Who sees a version ---------------------------------------------------------------------- */

/*
 * Why nothing is overlooked. `newest` is the watermark W before any slot is looked at, lowered to
 * what slots keep. Everything rests on one order of all these loads and stores.
 *
 * - A snapshot that stands in its slot when that is looked at is in the list (or at or above
 *   `newest`). One that is put there later was compared with the watermark afterwards, so it is at
 *   least W, and sees no version that ended at or before W.
 * - A snapshot that goes from one holder to another (a pin of what a transaction sees) stands in
 * both slots for a while. Who looks at the new slot too early and at the old one too late misses
 * it; but the pin was counted between its appearance there and its disappearance here, so the count
 * has changed, and everything is looked at again.
 * - A transaction that leaves its snapshot for a newer one while statements with the old one are
 *   open writes `keeps` first: it is looked at after the snapshot.
 * - What a transaction finds past its snapshot is the newest version of a row, found after `keeps`
 * was written with a stamp k not above the watermark then. Its end, if it comes, is stamped later,
 * so it is above k; and above every W that was loaded before `keeps` stood there.
 */
static void stamp_add(kd_live_snapshots *live, kd_stamp stamp)
{
    uint32_t at = live->count;
    while (at > 0 && live->stamps[at - 1] > stamp)
        at--;
    if (at > 0 && live->stamps[at - 1] == stamp)
        return;
    if (live->count == KD_LIVE_SNAPSHOTS_MAX) {
        /* No room: everything since the last one counts as seen. */
        kd_stamp last = live->stamps[live->count - 1];
        kd_stamp highest = stamp > last ? stamp : last;
        live->newest = highest < live->newest ? highest : live->newest;
        if (at == live->count)
            return;
        live->count--;
    }
    for (uint32_t i = live->count; i > at; i--)
        live->stamps[i] = live->stamps[i - 1];
    live->stamps[at] = stamp;
    live->count++;
}

static void slots_look(kd_txn_manager *manager, kd_live_snapshots *live)
{
    live->count = 0;
    live->newest = atomic_load(&manager->watermark);
    uint32_t high = atomic_load(&manager->slot_high);
    for (uint32_t i = 0; i < high; i++) {
        kd_stamp snapshot = atomic_load(&manager->slots[i].snapshot);
        kd_stamp keeps = atomic_load(&manager->slots[i].keeps);
        if (keeps != 0 && keeps < live->newest)
            live->newest = keeps;
        if (snapshot != 0 && snapshot < live->newest)
            stamp_add(live, snapshot);
    }
    while (live->count > 0 && live->stamps[live->count - 1] >= live->newest)
        live->count--;
}

void kd_txn_live_snapshots(kd_txn_manager *manager, kd_live_snapshots *out_live)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        uint64_t pins_made = atomic_load(&manager->pins_made);
        slots_look(manager, out_live);
        if (atomic_load(&manager->pins_made) == pins_made)
            return;
    }
    *out_live = (kd_live_snapshots){0}; /* Everything stays, this time. */
}

bool kd_live_snapshots_see(const kd_live_snapshots *live, kd_stamp begin, kd_stamp end)
{
    if (end > live->newest)
        return true;
    uint32_t low = 0, high = live->count; /* The first at or above `begin`. */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (live->stamps[middle] < begin)
            low = middle + 1;
        else
            high = middle;
    }
    return low < live->count && live->stamps[low] < end;
}

uint64_t kd_txn_oldest_part(kd_txn_manager *manager)
{
    uint64_t oldest = UINT64_MAX;
    uint32_t high = atomic_load(&manager->slot_high);
    for (uint32_t i = 0; i < high; i++) {
        uint64_t part = atomic_load(&manager->slots[i].first_part);
        if (part != 0 && part < oldest)
            oldest = part;
    }
    return oldest;
}

/* --- Retirement ------------------------------------------------------------------------------ */

uint64_t kd_txn_epoch(kd_txn_manager *manager)
{
    return atomic_load(&manager->epoch);
}

uint64_t kd_txn_epoch_next(kd_txn_manager *manager)
{
    return atomic_fetch_add(&manager->epoch, 1);
}

uint64_t kd_txn_oldest_epoch(kd_txn_manager *manager)
{
    uint64_t oldest = atomic_load(&manager->epoch);
    uint32_t high = atomic_load(&manager->slot_high);
    for (uint32_t i = 0; i < high; i++) {
        uint64_t epoch = atomic_load(&manager->slots[i].epoch);
        if (epoch != 0 && epoch < oldest)
            oldest = epoch;
    }
    return oldest;
}

/* --- Retirement of what tells when it was born ----------------------------------------------- */

/* The lock is held. */
static void born_put(kd_txn_manager *manager, kd_txn_garbage *garbage)
{
    garbage->next = manager->garbage_born;
    manager->garbage_born = garbage;
    manager->born_count++;
}

/* So many have come since the last look that another one is worth it. */
static bool born_are_many(kd_txn_manager *manager)
{
    enum { FEW = 8, SHARE = 8 };
    uint64_t left = atomic_load_explicit(&manager->born_left, memory_order_relaxed);
    return atomic_load_explicit(&manager->born_count, memory_order_relaxed) >=
           left + (left / SHARE > FEW ? left / SHARE : FEW);
}

/* Where many are held, not every time. */
static bool born_are_due(kd_txn_manager *manager)
{
    enum { MANY = 4096, SKIPS_MAX = 16 };
    return atomic_load(&manager->born_left) < MANY || born_are_many(manager) ||
           ++manager->born_skips % SKIPS_MAX == 0;
}

void kd_txn_retire_born(kd_txn_manager *manager, kd_txn_garbage *garbage, uint64_t born,
                        void (*fn)(void *object), void *object)
{
    garbage->fn = fn;
    garbage->object = object;
    garbage->born = born;
    kd_mutex_lock(&manager->garbage_lock);
    garbage->epoch = kd_txn_epoch_next(manager);
    born_put(manager, garbage);
    kd_mutex_unlock(&manager->garbage_lock);
}

/* Who may hold what. */
enum { HOLDERS_MAX = 64 };
typedef struct holders {
    uint32_t count;
    uint64_t since[HOLDERS_MAX], reached[HOLDERS_MAX];
} holders;

static void holders_look(kd_txn_manager *manager, holders *all)
{
    all->count = 0;
    uint32_t high = atomic_load(&manager->slot_high);
    for (uint32_t i = 0; i < high; i++) {
        uint64_t reached = atomic_load(&manager->slots[i].reached);
        uint64_t since = atomic_load(&manager->slots[i].epoch);
        if (since == 0)
            continue;
        if (all->count < HOLDERS_MAX) {
            all->since[all->count] = since;
            all->reached[all->count++] = reached;
            continue;
        }
        uint32_t last = HOLDERS_MAX - 1; /* No room: one stands for several. */
        all->since[last] = since < all->since[last] ? since : all->since[last];
        all->reached[last] = UINT64_MAX;
    }
}

static bool is_held(const holders *all, const kd_txn_garbage *garbage)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->since[i] <= garbage->epoch && all->reached[i] >= garbage->born)
            return true;
    }
    return false;
}

/*
 * All that is looked at was unlinked before. So whoever reaches more than its slot says, after the
 * look at that, does not reach these; and what a scan found before is named by its pin until its
 * transaction's slot names it, which is counted.
 */
void kd_txn_reclaim_born(kd_txn_manager *manager)
{
    holders all;
    kd_txn_garbage *left = NULL;
    kd_txn_garbage *ready = NULL;
    kd_mutex_lock(&manager->garbage_lock);
    if (born_are_due(manager)) {
        left = manager->garbage_born;
        manager->garbage_born = NULL;
        manager->born_count = manager->born_left = 0;
    }
    kd_mutex_unlock(&manager->garbage_lock);
    bool is_sure = false;
    for (int look = 0; left != NULL && !is_sure && look < LOOKS_MAX; look++) {
        uint64_t pins_made = atomic_load(&manager->pins_made);
        holders_look(manager, &all);
        is_sure = atomic_load(&manager->pins_made) == pins_made;
    }
    while (left != NULL) {
        kd_txn_garbage *garbage = left;
        left = garbage->next;
        if (is_sure && !is_held(&all, garbage)) {
            garbage->next = ready;
            ready = garbage;
            continue;
        }
        kd_mutex_lock(&manager->garbage_lock);
        born_put(manager, garbage);
        manager->born_left = manager->born_count;
        kd_mutex_unlock(&manager->garbage_lock);
    }
    while (ready != NULL) {
        kd_txn_garbage *garbage = ready;
        ready = garbage->next;
        garbage->fn(garbage->object);
    }
}

void kd_txn_pin_reached(kd_txn_manager *manager, uint32_t pin, uint64_t txn_no)
{
    uint64_t now = atomic_load(&manager->epoch);
    if (txn_no != 0) {
        _Atomic uint64_t *reached = &manager->slots[txn_no & (KDI_SLOT_COUNT - 1)].reached;
        uint64_t before = atomic_load(reached);
        while (before < now && !atomic_compare_exchange_weak(reached, &before, now))
            continue;
        atomic_fetch_add(&manager->pins_made, 1);
    }
    atomic_store(&manager->slots[pin].reached, now);
}

/* --- Retirement in order -------------------------------------------------------------------- */

void kd_txn_retire(kd_txn_manager *manager, kd_txn_garbage *garbage, void (*fn)(void *object),
                   void *object)
{
    garbage->next = NULL;
    garbage->fn = fn;
    garbage->object = object;
    kd_mutex_lock(&manager->garbage_lock);
    garbage->epoch = kd_txn_epoch_next(manager);
    *manager->garbage_tail = garbage;
    manager->garbage_tail = &garbage->next;
    atomic_fetch_add(&manager->garbage_count, 1);
    kd_mutex_unlock(&manager->garbage_lock);
}

void kd_txn_reclaim(kd_txn_manager *manager)
{
    if (born_are_many(manager))
        kd_txn_reclaim_born(manager);
    if (atomic_load_explicit(&manager->garbage_count, memory_order_relaxed) == 0)
        return;
    uint64_t oldest = kd_txn_oldest_epoch(manager);
    kd_txn_garbage *ready = NULL;
    kd_txn_garbage **tail = &ready;
    kd_mutex_lock(&manager->garbage_lock);
    while (manager->garbage != NULL && manager->garbage->epoch < oldest) {
        *tail = manager->garbage;
        tail = &manager->garbage->next;
        manager->garbage = manager->garbage->next;
        atomic_fetch_sub(&manager->garbage_count, 1);
    }
    if (manager->garbage == NULL)
        manager->garbage_tail = &manager->garbage;
    *tail = NULL;
    kd_mutex_unlock(&manager->garbage_lock);
    while (ready != NULL) {
        kd_txn_garbage *garbage = ready;
        ready = garbage->next;
        garbage->fn(garbage->object); /* Frees the garbage too, mostly. */
    }
}

/* --- The watermark --------------------------------------------------------------------------- */

void kdi_commit_enter(void *object, uint64_t position, uint64_t end)
{
    kd_txn_manager *manager = object;
    kd_mutex_lock(&manager->commit_lock);
    assert(manager->commit_tail - manager->commit_head < KDI_SLOT_COUNT);
    assert(position > manager->newest_stamp);
    manager->commits[manager->commit_tail++ % KDI_SLOT_COUNT] =
        (kdi_commit){.stamp = position, .end = end};
    manager->newest_stamp = position;
    kd_mutex_unlock(&manager->commit_lock);
}

void kdi_commit_done(kd_txn_manager *manager, kd_stamp stamp)
{
    kd_mutex_lock(&manager->commit_lock);
    for (uint64_t i = manager->commit_head; i != manager->commit_tail; i++) {
        if (manager->commits[i % KDI_SLOT_COUNT].stamp == stamp) {
            manager->commits[i % KDI_SLOT_COUNT].is_done = true;
            break;
        }
    }
    bool moved = false;
    while (manager->commit_head != manager->commit_tail) {
        const kdi_commit *first = &manager->commits[manager->commit_head % KDI_SLOT_COUNT];
        if (!first->is_done)
            break;
        /* The end first: who sees the stamp must wait for at least its end. */
        atomic_store(&manager->watermark_end, first->end);
        atomic_store(&manager->watermark, first->stamp);
        manager->commit_head++;
        moved = true;
    }
    if (moved && manager->commit_waiters > 0)
        kd_cond_broadcast(&manager->commit_cond);
    kd_mutex_unlock(&manager->commit_lock);
}

kd_stamp kd_txn_newest_stamp(kd_txn_manager *manager)
{
    kd_mutex_lock(&manager->commit_lock);
    kd_stamp stamp = manager->newest_stamp;
    kd_mutex_unlock(&manager->commit_lock);
    return stamp;
}

void kd_txn_wait_watermark(kd_txn_manager *manager, kd_stamp stamp)
{
    if (atomic_load(&manager->watermark) >= stamp)
        return;
    kd_mutex_lock(&manager->commit_lock);
    manager->commit_waiters++;
    while (atomic_load(&manager->watermark) < stamp)
        (void)kd_cond_wait(&manager->commit_cond, &manager->commit_lock, UINT64_MAX);
    manager->commit_waiters--;
    kd_mutex_unlock(&manager->commit_lock);
}
