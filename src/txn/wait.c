/*
 * Waiting for another transaction to end, and finding deadlocks.
 *
 * A waiter waits for one transaction at a time (when that one has ended it looks
 * again), so the graph of waits has one edge per waiter and a walk along it finds a
 * cycle. Every cycle is closed by somebody who begins to wait, and the walk and the
 * new edge are under one lock, so none is missed; that one fails with 40P01.
 */
#include "txn/txn_internal.h"

#include <assert.h>

/* How often a waiter looks at its statement's cancel flag. */
enum { POLL_NS = 20 * 1000 * 1000 };

static kd_txn *waiting_find(kd_txn_manager *manager, uint64_t txn_no)
{
    for (kd_txn *txn = manager->waiting; txn != NULL; txn = txn->next_waiting) {
        if (txn->no == txn_no)
            return txn;
    }
    return NULL;
}

static bool closes_cycle(kd_txn_manager *manager, const kd_txn *self, uint64_t other_no)
{
    uint64_t at = other_no;
    for (int steps = 0; steps < KDI_SLOT_COUNT; steps++) {
        if (at == self->no)
            return true;
        kd_txn *next = waiting_find(manager, at);
        if (next == NULL)
            return false;
        at = next->waiting_for;
    }
    return false; /* A cycle of others: theirs to find. */
}

static void waiting_remove(kd_txn_manager *manager, kd_txn *txn)
{
    kd_txn **at = &manager->waiting;
    while (*at != txn)
        at = &(*at)->next_waiting;
    *at = txn->next_waiting;
    txn->next_waiting = NULL;
    txn->waiting_for = 0;
    atomic_fetch_sub(&manager->waiting_count, 1);
}

static kd_status wait_locked(kd_ctx *ctx, kd_txn *txn, uint64_t other_no, uint64_t start_ns)
{
    kd_txn_manager *manager = txn->manager;
    while (kd_txn_is_active(manager, other_no)) {
        KD_TRY(kd_check_cancelled(ctx));
        uint64_t slice = POLL_NS;
        if (txn->options.lock_timeout_ns > 0) {
            uint64_t passed = ctx->world->monotonic_ns(ctx->world) - start_ns;
            if (passed >= txn->options.lock_timeout_ns)
                return KD_FAIL(ctx, KD_BUSY, "55P03", "canceling statement due to lock timeout");
            uint64_t left = txn->options.lock_timeout_ns - passed;
            slice = left < slice ? left : slice;
        }
        (void)kd_cond_wait(&txn->wait_cond, &manager->wait_lock, slice);
    }
    return KD_OK;
}

kd_status kd_txn_wait_for(kd_ctx *ctx, kd_txn *txn, uint64_t other_no)
{
    kd_txn_manager *manager = txn->manager;
    kd_status status = KD_OK;
    assert(other_no != 0);
    assert(other_no != txn->no);
    uint64_t start_ns = txn->options.lock_timeout_ns > 0 ? ctx->world->monotonic_ns(ctx->world) : 0;

    kd_mutex_lock(&manager->wait_lock);
    txn->waiting_for = other_no;
    txn->next_waiting = manager->waiting;
    manager->waiting = txn;
    /* Before looking whether the other is active: it clears its slot first and then looks at the
     * count, so one of the two sees the other. */
    atomic_fetch_add(&manager->waiting_count, 1);
    if (closes_cycle(manager, txn, other_no)) {
        atomic_fetch_add_explicit(&manager->deadlock_count, 1, memory_order_relaxed);
        status = KD_FAIL(ctx, KD_CONFLICT, "40P01", "deadlock detected");
        kd_error_set_detail(ctx, "Transaction %llu waits for transaction %llu, which waits for it.",
                            (unsigned long long)(txn->no >> KDI_SLOT_BITS),
                            (unsigned long long)(other_no >> KDI_SLOT_BITS));
    } else {
        status = wait_locked(ctx, txn, other_no, start_ns);
    }
    waiting_remove(manager, txn);
    kd_mutex_unlock(&manager->wait_lock);
    return status;
}

uint32_t kd_txn_waiting_count(kd_txn_manager *manager)
{
    uint32_t count = 0;
    kd_mutex_lock(&manager->wait_lock);
    for (kd_txn *txn = manager->waiting; txn != NULL; txn = txn->next_waiting)
        count += kd_txn_is_active(manager, txn->waiting_for);
    kd_mutex_unlock(&manager->wait_lock);
    return count;
}

void kdi_wait_wake(kd_txn_manager *manager, uint64_t ended_no)
{
    if (atomic_load(&manager->waiting_count) == 0)
        return;
    kd_mutex_lock(&manager->wait_lock);
    for (kd_txn *txn = manager->waiting; txn != NULL; txn = txn->next_waiting) {
        if (txn->waiting_for == ended_no)
            kd_cond_signal(&txn->wait_cond);
    }
    kd_mutex_unlock(&manager->wait_lock);
}

uint64_t kd_txn_manager_deadlock_count(kd_txn_manager *manager)
{
    return atomic_load_explicit(&manager->deadlock_count, memory_order_relaxed);
}
