/*
 * Pages from the world, counted against one account. A few freed pages are kept, so
 * that operators that take and give in turns do not go to the system each time.
 */
#include "base/governor.h"

#include "base/thread.h"

#include <assert.h>

enum { KEPT_PAGES_MAX = 32 };

struct kd_governor {
    kd_world *world;
    kd_account account; /* Its used_bytes is the one count of everything handed out. */
    kd_mutex lock;      /* Guards the kept pages. */
    void *kept[KEPT_PAGES_MAX];
    unsigned kept_count;
    atomic_size_t budget_bytes; /* The account itself has no limit: see must_have. */
};

kd_governor *kd_governor_create(kd_ctx *ctx, size_t budget_bytes)
{
    kd_world *world = ctx->world;
    bool fault = world->allocation_fails != NULL && world->allocation_fails(world);
    kd_governor *governor = fault ? NULL : world->memory_alloc(world, sizeof *governor);
    if (governor == NULL) {
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory for the memory governor");
        return NULL;
    }
    if (budget_bytes == 0)
        budget_bytes = (size_t)(world->memory_total_bytes(world) / 10 * 6);
    governor->world = world;
    governor->kept_count = 0;
    kd_account_init(&governor->account, NULL, "database", SIZE_MAX);
    kd_mutex_init(&governor->lock, world);
    atomic_init(&governor->budget_bytes, budget_bytes);
    return governor;
}

void kd_governor_destroy(kd_governor *governor)
{
    if (governor == NULL)
        return;
    kd_world *world = governor->world;
    assert(kd_governor_used_bytes(governor) == 0);
    for (unsigned i = 0; i < governor->kept_count; i++)
        world->memory_free(world, governor->kept[i], KD_GOVERNOR_PAGE_BYTES);
    kd_mutex_clear(&governor->lock);
    world->memory_free(world, governor, sizeof *governor);
}

/* Counts the page first and looks then, so that two threads never share the last one. */
static bool page_charge(kd_governor *governor, bool must_have)
{
    size_t before = atomic_fetch_add_explicit(&governor->account.used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                              memory_order_relaxed);
    if (must_have || before + KD_GOVERNOR_PAGE_BYTES <= kd_governor_budget_bytes(governor))
        return true;
    (void)atomic_fetch_sub_explicit(&governor->account.used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                    memory_order_relaxed);
    return false;
}

kd_status kd_governor_get_page(kd_ctx *ctx, kd_governor *governor, bool must_have, void **out_page)
{
    kd_world *world = governor->world;
    *out_page = NULL;
    if (!page_charge(governor, must_have))
        return KD_OK;
    void *page = NULL;
    bool fault = world->allocation_fails != NULL && world->allocation_fails(world);
    if (!fault) {
        kd_mutex_lock(&governor->lock);
        if (governor->kept_count > 0)
            page = governor->kept[--governor->kept_count];
        kd_mutex_unlock(&governor->lock);
        if (page == NULL)
            page = world->memory_alloc(world, KD_GOVERNOR_PAGE_BYTES);
    }
    if (page == NULL) {
        (void)atomic_fetch_sub_explicit(&governor->account.used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                        memory_order_relaxed);
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory: the system has no page of %d bytes",
                       KD_GOVERNOR_PAGE_BYTES);
    }
    *out_page = page;
    return KD_OK;
}

void kd_governor_put_page(kd_governor *governor, void *page)
{
    if (page == NULL)
        return;
    size_t before = atomic_fetch_sub_explicit(&governor->account.used_bytes, KD_GOVERNOR_PAGE_BYTES,
                                              memory_order_relaxed);
    assert(before >= KD_GOVERNOR_PAGE_BYTES);
    (void)before;
    kd_mutex_lock(&governor->lock);
    if (governor->kept_count < KEPT_PAGES_MAX) {
        governor->kept[governor->kept_count++] = page;
        page = NULL;
    }
    kd_mutex_unlock(&governor->lock);
    if (page != NULL)
        governor->world->memory_free(governor->world, page, KD_GOVERNOR_PAGE_BYTES);
}

size_t kd_governor_budget_bytes(const kd_governor *governor)
{
    return atomic_load_explicit(&governor->budget_bytes, memory_order_relaxed);
}

size_t kd_governor_used_bytes(const kd_governor *governor)
{
    return atomic_load_explicit(&governor->account.used_bytes, memory_order_relaxed);
}

void kd_governor_set_budget(kd_governor *governor, size_t budget_bytes)
{
    atomic_store_explicit(&governor->budget_bytes, budget_bytes, memory_order_relaxed);
}

kd_account *kd_governor_account(kd_governor *governor)
{
    return &governor->account;
}
