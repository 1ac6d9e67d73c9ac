/*
 * The block cache: stored blocks in memory, by (unit, block number), as they are
 * on disk after the checksum was checked.
 *
 * Replacement is scan-resistant: a block enters a probationary queue and moves to
 * the protected one on its second use. Pinned blocks stay. Memory is charged to
 * the account; when the budget is used up unpinned blocks leave first, and a read
 * may still get one block over it, so that statements can go on. Thread-safe.
 */
#ifndef KD_STORE_BLOCK_CACHE_H
#define KD_STORE_BLOCK_CACHE_H

#include "base/heap.h"
#include "base/world.h"

typedef struct kd_block_cache kd_block_cache;
typedef struct kd_block kd_block; /* One cached block, pinned. */

kd_status kd_block_cache_create(kd_ctx *ctx, kd_account *account, size_t budget_bytes,
                                kd_block_cache **out_cache) KD_MUST_CHECK;
void kd_block_cache_destroy(kd_block_cache *cache); /* NULL is allowed; nothing is pinned. */
void kd_block_cache_set_budget(kd_block_cache *cache, size_t budget_bytes);

/* Gives the block pinned. On a miss calls `load`, which fills `target` (size_bytes) and checks it;
 * several threads asking for one block load it once. */
kd_status kd_block_cache_get(kd_ctx *ctx, kd_block_cache *cache, uint64_t unit, uint32_t block_no,
                             size_t size_bytes,
                             kd_status (*load)(kd_ctx *ctx, void *object, void *target),
                             void *object, kd_block **out_block) KD_MUST_CHECK;
const void *kd_block_data(const kd_block *block);
void kd_block_put(kd_block *block); /* NULL is allowed. */
/* Forgets a unit that was removed; none of its blocks is pinned. */
void kd_block_cache_drop_unit(kd_block_cache *cache, uint64_t unit);

typedef struct kd_block_cache_statistics {
    uint64_t hits, misses, evictions;
    size_t used_bytes;
} kd_block_cache_statistics;
kd_block_cache_statistics kd_block_cache_read_statistics(kd_block_cache *cache);

#endif
