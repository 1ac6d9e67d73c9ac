/*
 * One global counter, one slot per reader, one list of retired objects.
 *
 * A reader publishes the counter's value in its slot and then reads the counter again:
 * if it still stands there, every later advance of the counter sees the slot (both are
 * sequentially consistent). An object retired at epoch e was unlinked before the
 * counter passed e, so a reader that entered at e + 1 or later cannot reach it; it is
 * freed when no slot stands at e or before.
 */
#include "base/epoch.h"

#include "base/thread.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>

enum { RECLAIM_EVERY = 64, CACHE_LINE_BYTES = 64 };

struct kd_epoch_slot {
    alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t epoch; /* 0: outside. */
    unsigned depth;                                       /* The reader's own. */
    bool is_taken;
    kd_epoch_slot *next; /* Slots are never given back to the heap before the end. */
};

struct kd_epoch {
    kd_world *world;
    kd_account *account;
    atomic_uint_fast64_t current;
    kd_mutex lock; /* Guards the list of slots and the retired ones. */
    _Atomic(kd_epoch_slot *) slots;
    kd_retired *first_retired; /* Oldest first. */
    kd_retired **last_retired;
    size_t retired_count;
};

kd_status kd_epoch_create(kd_ctx *ctx, kd_account *account, kd_epoch **out_epoch)
{
    *out_epoch = NULL;
    kd_epoch *epoch = KD_HEAP_NEW(ctx, account, kd_epoch);
    if (epoch == NULL)
        return KD_NOMEM;
    epoch->world = ctx->world;
    epoch->account = account;
    atomic_init(&epoch->current, 1);
    kd_mutex_init(&epoch->lock, ctx->world);
    epoch->last_retired = &epoch->first_retired;
    *out_epoch = epoch;
    return KD_OK;
}

static void run_all(kd_retired *retired)
{
    while (retired != NULL) {
        kd_retired *next = retired->next; /* The function may free the link itself. */
        retired->fn(retired->object);
        retired = next;
    }
}

void kd_epoch_destroy(kd_epoch *epoch)
{
    if (epoch == NULL)
        return;
    kd_world *world = epoch->world;
    for (kd_retired *batch = epoch->first_retired; batch != NULL; batch = epoch->first_retired) {
        epoch->first_retired = NULL; /* The functions may retire further objects. */
        epoch->last_retired = &epoch->first_retired;
        run_all(batch);
    }
    kd_epoch_slot *slot = atomic_load(&epoch->slots);
    while (slot != NULL) {
        kd_epoch_slot *next = slot->next;
        assert(atomic_load(&slot->epoch) == 0);
        world->memory_free(world, slot, sizeof *slot);
        slot = next;
    }
    kd_mutex_clear(&epoch->lock);
    kd_heap_free(world, epoch->account, epoch);
}

/* Slots come from the world itself, which aligns to cache lines. */
static kd_epoch_slot *slot_create(kd_ctx *ctx)
{
    kd_world *world = ctx->world;
    bool fault = world->allocation_fails != NULL && world->allocation_fails(world);
    kd_epoch_slot *slot = fault ? NULL : world->memory_alloc(world, sizeof *slot);
    if (slot == NULL) {
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory for an epoch slot");
        return NULL;
    }
    atomic_init(&slot->epoch, 0);
    slot->depth = 0;
    slot->is_taken = true;
    slot->next = NULL;
    return slot;
}

kd_status kd_epoch_slot_get(kd_ctx *ctx, kd_epoch *epoch, kd_epoch_slot **out_slot)
{
    *out_slot = NULL;
    kd_mutex_lock(&epoch->lock);
    kd_epoch_slot *slot = atomic_load(&epoch->slots);
    while (slot != NULL && slot->is_taken)
        slot = slot->next;
    if (slot != NULL) {
        slot->is_taken = true;
    } else {
        slot = slot_create(ctx);
        if (slot != NULL) {
            slot->next = atomic_load(&epoch->slots);
            atomic_store(&epoch->slots, slot);
        }
    }
    kd_mutex_unlock(&epoch->lock);
    *out_slot = slot;
    return slot == NULL ? KD_NOMEM : KD_OK;
}

void kd_epoch_slot_put(kd_epoch *epoch, kd_epoch_slot *slot)
{
    if (slot == NULL)
        return;
    assert(slot->depth == 0);
    kd_mutex_lock(&epoch->lock);
    slot->is_taken = false;
    kd_mutex_unlock(&epoch->lock);
}

void kd_epoch_enter(kd_epoch *epoch, kd_epoch_slot *slot)
{
    if (slot->depth++ > 0)
        return;
    uint64_t seen = atomic_load(&epoch->current);
    for (;;) {
        atomic_store(&slot->epoch, seen);
        uint64_t again = atomic_load(&epoch->current);
        if (again == seen)
            return;
        seen = again;
    }
}

void kd_epoch_leave(kd_epoch *epoch, kd_epoch_slot *slot)
{
    (void)epoch;
    assert(slot->depth > 0);
    if (--slot->depth == 0)
        atomic_store_explicit(&slot->epoch, 0, memory_order_release);
}

void kd_epoch_retire(kd_epoch *epoch, kd_retired *retired, void (*fn)(void *object), void *object)
{
    retired->next = NULL;
    retired->fn = fn;
    retired->object = object;
    kd_mutex_lock(&epoch->lock);
    retired->epoch = atomic_fetch_add(&epoch->current, 1);
    *epoch->last_retired = retired;
    epoch->last_retired = &retired->next;
    bool is_due = ++epoch->retired_count % RECLAIM_EVERY == 0;
    kd_mutex_unlock(&epoch->lock);
    if (is_due)
        (void)kd_epoch_reclaim(epoch);
}

/* The oldest epoch that a reader may stand in; UINT64_MAX when all are outside. */
static uint64_t oldest_reader(kd_epoch *epoch)
{
    uint64_t oldest = UINT64_MAX;
    for (kd_epoch_slot *slot = atomic_load(&epoch->slots); slot != NULL; slot = slot->next) {
        uint64_t at = atomic_load(&slot->epoch);
        if (at != 0 && at < oldest)
            oldest = at;
    }
    return oldest;
}

size_t kd_epoch_reclaim(kd_epoch *epoch)
{
    kd_mutex_lock(&epoch->lock);
    uint64_t oldest = oldest_reader(epoch);
    kd_retired *batch = epoch->first_retired;
    kd_retired **cut = &epoch->first_retired;
    while (*cut != NULL && (*cut)->epoch < oldest) {
        cut = &(*cut)->next;
        epoch->retired_count--;
    }
    kd_retired *rest = *cut;
    if (rest == batch) {
        batch = NULL;
    } else {
        *cut = NULL;
        epoch->first_retired = rest;
        if (rest == NULL)
            epoch->last_retired = &epoch->first_retired;
    }
    size_t waiting = epoch->retired_count;
    kd_mutex_unlock(&epoch->lock);
    run_all(batch);
    return waiting;
}
