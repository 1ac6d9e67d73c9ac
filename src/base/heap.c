/*
 * Heap memory with accounts. The block's size stands in a 16-byte header, so
 * that freeing needs no size and keeps the alignment.
 */
#include "base/heap.h"

#include "base/world.h"

#include <assert.h>
#include <string.h>

typedef struct header {
    size_t size_bytes; /* Including this header. */
    size_t padding;
} header;
_Static_assert(sizeof(header) == 16, "keeps the payload 16-byte aligned");

void kd_account_init(kd_account *account, kd_account *parent, const char *name, size_t budget_bytes)
{
    account->parent = parent;
    account->name = name;
    account->budget_bytes = budget_bytes;
    atomic_init(&account->used_bytes, 0);
}

static void refund(kd_account *account, const kd_account *end, size_t size_bytes)
{
    for (; account != end; account = account->parent)
        (void)atomic_fetch_sub_explicit(&account->used_bytes, size_bytes, memory_order_relaxed);
}

void kd_account_add(kd_account *account, size_t size_bytes)
{
    for (; account != NULL; account = account->parent)
        (void)atomic_fetch_add_explicit(&account->used_bytes, size_bytes, memory_order_relaxed);
}

void kd_account_subtract(kd_account *account, size_t size_bytes)
{
    refund(account, NULL, size_bytes);
}

static bool charge(kd_account *account, size_t size_bytes)
{
    for (kd_account *level = account; level != NULL; level = level->parent) {
        size_t before =
            atomic_fetch_add_explicit(&level->used_bytes, size_bytes, memory_order_relaxed);
        if (size_bytes > level->budget_bytes || before > level->budget_bytes - size_bytes) {
            refund(account, level->parent, size_bytes);
            return false;
        }
    }
    return true;
}

void *kd_heap_alloc_raw(kd_ctx *ctx, kd_account *account, size_t size_bytes)
{
    assert(account != NULL);
    kd_world *world = ctx->world;
    size_t total_bytes = size_bytes + sizeof(header);
    header *block = NULL;
    bool fault = world->allocation_fails != NULL && world->allocation_fails(world);
    if (!fault && total_bytes > size_bytes && charge(account, total_bytes)) {
        block = world->memory_alloc(world, total_bytes);
        if (block == NULL)
            refund(account, NULL, total_bytes);
    }
    if (block == NULL) {
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory: \"%s\" cannot grow by %zu bytes",
                      account->name, size_bytes);
        return NULL;
    }
    block->size_bytes = total_bytes;
    return block + 1;
}

void *kd_heap_alloc(kd_ctx *ctx, kd_account *account, size_t size_bytes)
{
    void *memory = kd_heap_alloc_raw(ctx, account, size_bytes);
    if (memory != NULL)
        memset(memory, 0, size_bytes);
    return memory;
}

void *kd_heap_resize(kd_ctx *ctx, kd_account *account, void *memory, size_t new_bytes)
{
    void *grown = kd_heap_alloc_raw(ctx, account, new_bytes);
    if (grown == NULL || memory == NULL)
        return grown;
    size_t old_bytes = ((header *)memory - 1)->size_bytes - sizeof(header);
    memcpy(grown, memory, old_bytes < new_bytes ? old_bytes : new_bytes);
    kd_heap_free(ctx->world, account, memory);
    return grown;
}

void kd_heap_free(kd_world *world, kd_account *account, void *memory)
{
    if (memory == NULL)
        return;
    header *block = (header *)memory - 1;
    size_t total_bytes = block->size_bytes;
    refund(account, NULL, total_bytes);
    world->memory_free(world, block, total_bytes);
}
