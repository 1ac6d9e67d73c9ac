/*
 * Epoch-based reclamation: readers without locks, writers that free what readers
 * may still hold.
 *
 * A reader enters, follows pointers, leaves. A writer unlinks an object, retires it,
 * and the object's function runs once every reader that was inside at that moment has
 * left. Entering is one store and one fence on a cache line of the thread's own.
 *
 * Slots are taken once per thread or session, not per entry. Entering nests.
 */
#ifndef KD_BASE_EPOCH_H
#define KD_BASE_EPOCH_H

#include "base/heap.h"

typedef struct kd_epoch kd_epoch;
typedef struct kd_epoch_slot kd_epoch_slot;

/* Embedded in what is to be retired, so that retiring cannot fail. */
typedef struct kd_retired kd_retired;
struct kd_retired {
    kd_retired *next;
    uint64_t epoch;
    void (*fn)(void *object);
    void *object;
};

kd_status kd_epoch_create(kd_ctx *ctx, kd_account *account, kd_epoch **out_epoch) KD_MUST_CHECK;
/* Nobody is inside. Runs everything still retired. NULL is allowed. */
void kd_epoch_destroy(kd_epoch *epoch);

kd_status kd_epoch_slot_get(kd_ctx *ctx, kd_epoch *epoch, kd_epoch_slot **out_slot) KD_MUST_CHECK;
void kd_epoch_slot_put(kd_epoch *epoch, kd_epoch_slot *slot); /* NULL is allowed. */

void kd_epoch_enter(kd_epoch *epoch, kd_epoch_slot *slot);
void kd_epoch_leave(kd_epoch *epoch, kd_epoch_slot *slot);

/* Runs `fn(object)` later, in some thread that retires or reclaims, outside of locks of the epoch.
 * The object was made unreachable before. */
void kd_epoch_retire(kd_epoch *epoch, kd_retired *retired, void (*fn)(void *object), void *object);
/* Runs what has become safe; gives how many are still waiting. */
size_t kd_epoch_reclaim(kd_epoch *epoch);

#endif
