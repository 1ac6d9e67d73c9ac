/*
 * The block cache: 16 shards, each a hash table and two queues under one mutex.
 *
 * A block enters the probationary queue and moves to the protected one on its
 * second use, so one scan of a large table pushes out other scans' blocks only.
 * Victims come from the end of the probationary queue while it holds more than a
 * quarter of the shard, else from the protected one. A hit in the protected queue
 * only marks the block (moving it would write to its neighbours on every point read);
 * a marked victim loses its mark and goes to the front instead.
 *
 * A pin is taken under the shard's mutex and given back by one atomic decrement.
 * A victim is chosen under the mutex and must have no pins; nobody can pin it then,
 * for that needs the mutex. Only one shard's mutex is ever held at a time.
 *
 * A block being loaded stands in the table, pinned by its loader, with state
 * LOADING; others wait on the shard's condition. When loading fails the block is
 * FAILED: it leaves the table, the last who waited frees it, and each tries itself.
 */
#include "store/block_cache.h"

#include "base/hash.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

enum { SHARD_COUNT = 16, SLOTS_MIN = 64, VICTIM_STEPS_MAX = 256 };

typedef enum block_state { LOADING, READY, FAILED } block_state;

typedef struct cache_shard cache_shard;

struct kd_block {
    uint64_t unit;
    uint32_t block_no;
    uint32_t state; /* block_state; guarded by the shard's mutex. */
    atomic_uint pin_count;
    bool is_protected;
    bool was_used; /* Since it was last passed over as a victim. */
    size_t size_bytes;
    cache_shard *shard;
    kd_block *next_in_slot;
    kd_block *newer, *older; /* In its queue. */
    _Alignas(16) uint8_t data[];
};

typedef struct block_queue {
    kd_block *newest, *oldest;
    size_t size_bytes;
} block_queue;

struct cache_shard {
    kd_mutex mutex;
    kd_cond loaded;
    kd_block **slots;
    size_t slot_count;
    size_t block_count;
    block_queue probation, protected;
    uint64_t hits, misses, evictions;
};

struct kd_block_cache {
    kd_world *world;
    kd_account *account;
    atomic_size_t budget_bytes;
    atomic_size_t used_bytes;
    cache_shard shards[SHARD_COUNT];
};

static uint64_t key_hash(uint64_t unit, uint32_t block_no)
{
    return kd_hash_combine(kd_hash_u64(unit), block_no);
}

static cache_shard *shard_of(kd_block_cache *cache, uint64_t hash)
{
    return &cache->shards[hash >> 60];
}

kd_status kd_block_cache_create(kd_ctx *ctx, kd_account *account, size_t budget_bytes,
                                kd_block_cache **out_cache)
{
    *out_cache = NULL;
    kd_block_cache *cache = KD_HEAP_NEW(ctx, account, kd_block_cache);
    if (cache == NULL)
        return KD_NOMEM;
    cache->world = ctx->world;
    cache->account = account;
    atomic_init(&cache->budget_bytes, budget_bytes);
    atomic_init(&cache->used_bytes, 0);
    for (int i = 0; i < SHARD_COUNT; i++) {
        kd_mutex_init(&cache->shards[i].mutex, ctx->world);
        kd_cond_init(&cache->shards[i].loaded, ctx->world);
    }
    for (int i = 0; i < SHARD_COUNT; i++) {
        cache_shard *shard = &cache->shards[i];
        shard->slots = kd_heap_alloc(ctx, account, SLOTS_MIN * sizeof *shard->slots);
        if (shard->slots == NULL) {
            kd_block_cache_destroy(cache);
            return KD_NOMEM;
        }
        shard->slot_count = SLOTS_MIN;
    }
    *out_cache = cache;
    return KD_OK;
}

static block_queue *queue_of(cache_shard *shard, const kd_block *block)
{
    return block->is_protected ? &shard->protected : &shard->probation;
}

static void queue_remove(block_queue *queue, kd_block *block)
{
    if (block->newer != NULL)
        block->newer->older = block->older;
    else
        queue->newest = block->older;
    if (block->older != NULL)
        block->older->newer = block->newer;
    else
        queue->oldest = block->newer;
    block->newer = block->older = NULL;
    queue->size_bytes -= block->size_bytes;
}

static void queue_add(block_queue *queue, kd_block *block)
{
    block->newer = NULL;
    block->older = queue->newest;
    if (queue->newest != NULL)
        queue->newest->newer = block;
    else
        queue->oldest = block;
    queue->newest = block;
    queue->size_bytes += block->size_bytes;
}

static kd_block **slot_of(cache_shard *shard, uint64_t unit, uint32_t block_no)
{
    return &shard->slots[key_hash(unit, block_no) & (shard->slot_count - 1)];
}

static kd_block *table_find(cache_shard *shard, uint64_t unit, uint32_t block_no)
{
    kd_block *block = *slot_of(shard, unit, block_no);
    while (block != NULL && (block->unit != unit || block->block_no != block_no))
        block = block->next_in_slot;
    return block;
}

static void table_remove(cache_shard *shard, kd_block *block)
{
    kd_block **link = slot_of(shard, block->unit, block->block_no);
    while (*link != block)
        link = &(*link)->next_in_slot;
    *link = block->next_in_slot;
    block->next_in_slot = NULL;
    shard->block_count--;
}

/* A table that cannot grow is only slower. */
static void table_grow(kd_ctx *ctx, kd_block_cache *cache, cache_shard *shard)
{
    size_t slot_count = shard->slot_count * 2;
    kd_block **slots = kd_heap_alloc(ctx, cache->account, slot_count * sizeof *slots);
    if (slots == NULL) {
        kd_error_clear(ctx);
        return;
    }
    kd_block **old = shard->slots;
    size_t old_count = shard->slot_count;
    shard->slots = slots;
    shard->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        for (kd_block *block = old[i]; block != NULL;) {
            kd_block *next = block->next_in_slot;
            kd_block **slot = slot_of(shard, block->unit, block->block_no);
            block->next_in_slot = *slot;
            *slot = block;
            block = next;
        }
    }
    kd_heap_free(cache->world, cache->account, old);
}

static void table_add(kd_ctx *ctx, kd_block_cache *cache, cache_shard *shard, kd_block *block)
{
    if (shard->block_count >= shard->slot_count)
        table_grow(ctx, cache, shard);
    kd_block **slot = slot_of(shard, block->unit, block->block_no);
    block->next_in_slot = *slot;
    *slot = block;
    shard->block_count++;
}

static void block_free(kd_block_cache *cache, kd_block *block)
{
    atomic_fetch_sub_explicit(&cache->used_bytes, block->size_bytes, memory_order_relaxed);
    kd_heap_free(cache->world, cache->account, block);
}

static kd_block *oldest_unpinned(block_queue *queue)
{
    kd_block *block = queue->oldest;
    for (int steps = 0; block != NULL && steps < VICTIM_STEPS_MAX; steps++) {
        kd_block *next = block->newer;
        if (atomic_load_explicit(&block->pin_count, memory_order_acquire) == 0) {
            if (!block->was_used)
                return block;
            block->was_used = false;
            queue_remove(queue, block);
            queue_add(queue, block);
            next = next == NULL ? block : next;
        }
        block = next;
    }
    return NULL;
}

static kd_block *choose_victim(cache_shard *shard)
{
    bool probation_first = shard->probation.size_bytes * 3 >= shard->protected.size_bytes;
    kd_block *victim = oldest_unpinned(probation_first ? &shard->probation : &shard->protected);
    if (victim == NULL)
        victim = oldest_unpinned(probation_first ? &shard->protected : &shard->probation);
    return victim;
}

/* Evicts, beginning with the given shard, until `size_bytes` more fit `budget_bytes`. */
static void make_room(kd_block_cache *cache, const cache_shard *first, size_t size_bytes,
                      size_t budget_bytes)
{
    size_t at = (size_t)(first - cache->shards);
    for (size_t i = 0; i < SHARD_COUNT; i++) {
        cache_shard *shard = &cache->shards[(at + i) % SHARD_COUNT];
        for (;;) {
            if (atomic_load_explicit(&cache->used_bytes, memory_order_relaxed) + size_bytes <=
                budget_bytes)
                return;
            kd_mutex_lock(&shard->mutex);
            kd_block *victim = choose_victim(shard);
            if (victim != NULL) {
                queue_remove(queue_of(shard, victim), victim);
                table_remove(shard, victim);
                shard->evictions++;
            }
            kd_mutex_unlock(&shard->mutex);
            if (victim == NULL)
                break;
            block_free(cache, victim);
        }
    }
}

void kd_block_cache_destroy(kd_block_cache *cache)
{
    if (cache == NULL)
        return;
    for (int i = 0; i < SHARD_COUNT; i++) {
        cache_shard *shard = &cache->shards[i];
        block_queue *queues[2] = {&shard->probation, &shard->protected};
        for (int q = 0; q < 2; q++) {
            while (queues[q]->oldest != NULL) {
                kd_block *block = queues[q]->oldest;
                assert(atomic_load(&block->pin_count) == 0);
                queue_remove(queues[q], block);
                block_free(cache, block);
            }
        }
        kd_heap_free(cache->world, cache->account, shard->slots);
        kd_cond_clear(&shard->loaded);
        kd_mutex_clear(&shard->mutex);
    }
    kd_heap_free(cache->world, cache->account, cache);
}

void kd_block_cache_set_budget(kd_block_cache *cache, size_t budget_bytes)
{
    atomic_store_explicit(&cache->budget_bytes, budget_bytes, memory_order_relaxed);
    make_room(cache, &cache->shards[0], 0, budget_bytes);
}

/* When the account has no more, the cache gives back half of what it holds and asks again. */
static kd_block *block_alloc(kd_ctx *ctx, kd_block_cache *cache, cache_shard *shard,
                             size_t size_bytes)
{
    size_t budget = atomic_load_explicit(&cache->budget_bytes, memory_order_relaxed);
    make_room(cache, shard, size_bytes, budget);
    kd_block *block = kd_heap_alloc_raw(ctx, cache->account, sizeof *block + size_bytes);
    if (block == NULL) {
        size_t used = atomic_load_explicit(&cache->used_bytes, memory_order_relaxed);
        if (used == 0)
            return NULL;
        kd_error_clear(ctx);
        make_room(cache, shard, 0, used / 2);
        block = kd_heap_alloc_raw(ctx, cache->account, sizeof *block + size_bytes);
        if (block == NULL)
            return NULL;
    }
    memset(block, 0, sizeof *block);
    block->size_bytes = size_bytes;
    block->shard = shard;
    atomic_fetch_add_explicit(&cache->used_bytes, size_bytes, memory_order_relaxed);
    return block;
}

/* The second use moves a block to the protected queue. */
static void touch(cache_shard *shard, kd_block *block)
{
    if (block->is_protected) {
        if (!block->was_used)
            block->was_used = true;
        return;
    }
    queue_remove(&shard->probation, block);
    block->is_protected = true;
    queue_add(&shard->protected, block);
}

/* Under the mutex. Waits while somebody loads the block; NULL when it is not there (any more). */
static kd_block *find_ready(kd_block_cache *cache, cache_shard *shard, uint64_t unit,
                            uint32_t block_no)
{
    kd_block *block = table_find(shard, unit, block_no);
    if (block == NULL)
        return NULL;
    atomic_fetch_add_explicit(&block->pin_count, 1, memory_order_relaxed);
    while (block->state == LOADING)
        (void)kd_cond_wait(&shard->loaded, &shard->mutex, UINT64_MAX);
    if (block->state == READY) {
        touch(shard, block);
        return block;
    }
    /* It has left the table already; whoever drops the last pin frees it. */
    if (atomic_fetch_sub_explicit(&block->pin_count, 1, memory_order_acq_rel) == 1)
        block_free(cache, block);
    return NULL;
}

/* The loader's second half, with the outcome. */
static void publish(kd_block_cache *cache, cache_shard *shard, kd_block *block, bool loaded)
{
    kd_mutex_lock(&shard->mutex);
    if (loaded) {
        block->state = READY;
        queue_add(&shard->probation, block);
    } else {
        block->state = FAILED;
        table_remove(shard, block);
        if (atomic_fetch_sub_explicit(&block->pin_count, 1, memory_order_acq_rel) == 1)
            block_free(cache, block);
    }
    kd_cond_broadcast(&shard->loaded);
    kd_mutex_unlock(&shard->mutex);
}

kd_status kd_block_cache_get(kd_ctx *ctx, kd_block_cache *cache, uint64_t unit, uint32_t block_no,
                             size_t size_bytes,
                             kd_status (*load)(kd_ctx *ctx, void *object, void *target),
                             void *object, kd_block **out_block)
{
    *out_block = NULL;
    cache_shard *shard = shard_of(cache, key_hash(unit, block_no));
    kd_mutex_lock(&shard->mutex);
    kd_block *block = find_ready(cache, shard, unit, block_no);
    shard->hits += block != NULL;
    kd_mutex_unlock(&shard->mutex);
    if (block != NULL) {
        *out_block = block;
        return KD_OK;
    }
    kd_block *mine = block_alloc(ctx, cache, shard, size_bytes);
    if (mine == NULL)
        return KD_NOMEM;
    mine->unit = unit;
    mine->block_no = block_no;
    mine->state = LOADING;
    atomic_init(&mine->pin_count, 1);
    kd_mutex_lock(&shard->mutex);
    block = find_ready(cache, shard, unit, block_no); /* Somebody may have been faster. */
    if (block == NULL) {
        table_add(ctx, cache, shard, mine);
        shard->misses++;
    }
    kd_mutex_unlock(&shard->mutex);
    if (block != NULL) {
        block_free(cache, mine);
        *out_block = block;
        return KD_OK;
    }
    kd_status status = load(ctx, object, mine->data);
    publish(cache, shard, mine, status == KD_OK);
    if (status == KD_OK)
        *out_block = mine;
    return status;
}

const void *kd_block_data(const kd_block *block)
{
    return block->data;
}

void kd_block_put(kd_block *block)
{
    if (block != NULL) {
        unsigned before = atomic_fetch_sub_explicit(&block->pin_count, 1, memory_order_release);
        assert(before > 0);
        (void)before;
    }
}

static void drop_from_queue(kd_block_cache *cache, cache_shard *shard, block_queue *queue,
                            uint64_t unit)
{
    for (kd_block *block = queue->oldest; block != NULL;) {
        kd_block *next = block->newer;
        if (block->unit == unit) {
            assert(atomic_load(&block->pin_count) == 0);
            queue_remove(queue, block);
            table_remove(shard, block);
            block_free(cache, block);
        }
        block = next;
    }
}

void kd_block_cache_drop_unit(kd_block_cache *cache, uint64_t unit)
{
    for (int i = 0; i < SHARD_COUNT; i++) {
        cache_shard *shard = &cache->shards[i];
        kd_mutex_lock(&shard->mutex);
        drop_from_queue(cache, shard, &shard->probation, unit);
        drop_from_queue(cache, shard, &shard->protected, unit);
        kd_mutex_unlock(&shard->mutex);
    }
}

kd_block_cache_statistics kd_block_cache_read_statistics(kd_block_cache *cache)
{
    kd_block_cache_statistics sum = {0};
    for (int i = 0; i < SHARD_COUNT; i++) {
        cache_shard *shard = &cache->shards[i];
        kd_mutex_lock(&shard->mutex);
        sum.hits += shard->hits;
        sum.misses += shard->misses;
        sum.evictions += shard->evictions;
        kd_mutex_unlock(&shard->mutex);
    }
    sum.used_bytes = atomic_load_explicit(&cache->used_bytes, memory_order_relaxed);
    return sum;
}
