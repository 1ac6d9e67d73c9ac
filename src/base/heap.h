/*
 * Heap memory: for counted things with individual lives (delta chunks, lock
 * entries, index nodes, cached blocks), where an arena's "everything at once"
 * does not fit.
 *
 * Every block is charged to an account, so that memory reports and budgets know
 * it. Accounts form a tree like arenas and may be used from several threads.
 */
#ifndef KD_BASE_HEAP_H
#define KD_BASE_HEAP_H

#include "base/ctx.h"

#include <stdatomic.h>

typedef struct kd_account kd_account;
struct kd_account {
    kd_account *parent;
    const char *name; /* A literal. */
    size_t budget_bytes;
    atomic_size_t used_bytes; /* Own and descendants'. */
};

void kd_account_init(kd_account *account, kd_account *parent, const char *name,
                     size_t budget_bytes);

/* Counts memory that came from elsewhere; without regard to budgets. */
void kd_account_add(kd_account *account, size_t size_bytes);
void kd_account_subtract(kd_account *account, size_t size_bytes);

/* Zeroed, 16-byte aligned. NULL means failure, recorded in `ctx` (53200). */
void *kd_heap_alloc(kd_ctx *ctx, kd_account *account, size_t size_bytes) KD_MUST_CHECK;
/* Not zeroed. */
void *kd_heap_alloc_raw(kd_ctx *ctx, kd_account *account, size_t size_bytes) KD_MUST_CHECK;
/* Keeps min(old, new) bytes; new room is not zeroed. `memory` may be NULL. On failure NULL, and
 * the old block stays valid. */
void *kd_heap_resize(kd_ctx *ctx, kd_account *account, void *memory,
                     size_t new_bytes) KD_MUST_CHECK;
void kd_heap_free(kd_world *world, kd_account *account, void *memory); /* NULL is allowed. */

#define KD_HEAP_NEW(ctx, account, type) ((type *)kd_heap_alloc((ctx), (account), sizeof(type)))

#endif
