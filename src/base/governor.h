/*
 * The memory governor: one budget for everything that grows with data, handed
 * out in pages of 256 KiB that blocking operators (sort, hash tables) and the
 * delta take and give back singly.
 *
 * A client asks for a page; when the budget is used up the answer is "no" (a
 * result, not a failure) and the client spills its own pages and asks again.
 * One page per client is granted even over the budget, so that every operator
 * can make progress with a spill. Thread-safe.
 *
 * Statements that keep rows say when they run. Each is due a share of the budget,
 * and when so many run that the shares would be too small to work with, the next
 * one waits before it begins.
 */
#ifndef KD_BASE_GOVERNOR_H
#define KD_BASE_GOVERNOR_H

#include "base/heap.h"

enum { KD_GOVERNOR_PAGE_BYTES = 256 * 1024 };

typedef struct kd_governor kd_governor;

/* `budget_bytes` 0 means 60 % of the machine's or cgroup's memory. */
kd_governor *kd_governor_create(kd_ctx *ctx, size_t budget_bytes) KD_MUST_CHECK;
void kd_governor_destroy(kd_governor *governor); /* NULL is allowed; all pages are back. */

/* `*out_page` is NULL when the budget says no (and `must_have` is false). Pages are not zeroed. */
kd_status kd_governor_get_page(kd_ctx *ctx, kd_governor *governor, bool must_have,
                               void **out_page) KD_MUST_CHECK;
void kd_governor_put_page(kd_governor *governor, void *page); /* NULL is allowed. */

/* Whom to ask for memory that he could do without before a page is refused; he tells whether he
 * gave any back. Called by any thread, under its locks. Set while nobody asks for pages. */
void kd_governor_set_reserve(kd_governor *governor, bool (*give_back)(void *object), void *object);

size_t kd_governor_budget_bytes(const kd_governor *governor);
size_t kd_governor_used_bytes(const kd_governor *governor);
void kd_governor_set_budget(kd_governor *governor, size_t budget_bytes);
/* A statement runs from here to kd_governor_leave. `waits`: first until there is room for it, which
 * its cancellation ends (57014); one that holds locks must not wait. */
kd_status kd_governor_enter(kd_ctx *ctx, kd_governor *governor, bool waits) KD_MUST_CHECK;
void kd_governor_leave(kd_governor *governor);
/* What each of the statements running now may keep when memory is short. */
size_t kd_governor_share_bytes(const kd_governor *governor);

/* The account that heap memory counted against the same budget is charged to. */
kd_account *kd_governor_account(kd_governor *governor);

#endif
