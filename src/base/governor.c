/*
 * Pages from the world, counted against one account. Freed pages are kept, up to a small share of
 * the budget: the next statement would have the system clear new ones, which costs more than what
 * it does with them.
 */
#include "base/governor.h"

#include "base/thread.h"

#include <assert.h>

enum {
    KEPT_PAGES_MIN = 32,
    KEPT_PAGES_MAX = 1024,
    KEPT_SHARE = 64,               /* Of the budget. */
    STATEMENT_BYTES_MIN = 4 << 20, /* What a statement needs to work with. */
    RUNNING_MIN = 2,
    LOOK_EVERY_NS = 20 * 1000 * 1000,
};

struct kd_governor {
    kd_world *world;
    kd_account account; /* Its used_bytes is the one count of everything handed out. */
    kd_mutex lock;      /* Guards the kept pages. */
    void *kept[KEPT_PAGES_MAX];
    unsigned kept_count;
    atomic_size_t budget_bytes; /* The account itself has no limit: see must_have. */
    kd_mutex entry_lock;
    kd_cond left;
    atomic_uint waiting;
    atomic_uint running;
    bool (*give_back)(void *object); /* NULL: nobody could. */
    void *reserve;
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
    governor->give_back = NULL;
    governor->reserve = NULL;
    kd_account_init(&governor->account, NULL, "database", SIZE_MAX);
    kd_mutex_init(&governor->lock, world);
    kd_mutex_init(&governor->entry_lock, world);
    kd_cond_init(&governor->left, world);
    atomic_init(&governor->waiting, 0);
    atomic_init(&governor->running, 0);
    atomic_init(&governor->budget_bytes, budget_bytes);
    return governor;
}

void kd_governor_destroy(kd_governor *governor)
{
    if (governor == NULL)
        return;
    kd_world *world = governor->world;
    assert(kd_governor_used_bytes(governor) == 0);
    assert(atomic_load(&governor->running) == 0);
    for (unsigned i = 0; i < governor->kept_count; i++)
        world->memory_free(world, governor->kept[i], KD_GOVERNOR_PAGE_BYTES);
    kd_cond_clear(&governor->left);
    kd_mutex_clear(&governor->entry_lock);
    kd_mutex_clear(&governor->lock);
    world->memory_free(world, governor, sizeof *governor);
}

static unsigned kept_limit(const kd_governor *governor)
{
    size_t pages = kd_governor_budget_bytes(governor) / KEPT_SHARE / KD_GOVERNOR_PAGE_BYTES;
    return pages < KEPT_PAGES_MIN   ? KEPT_PAGES_MIN
           : pages > KEPT_PAGES_MAX ? KEPT_PAGES_MAX
                                    : (unsigned)pages;
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

void kd_governor_set_reserve(kd_governor *governor, bool (*give_back)(void *object), void *object)
{
    governor->give_back = give_back;
    governor->reserve = object;
}

kd_status kd_governor_get_page(kd_ctx *ctx, kd_governor *governor, bool must_have, void **out_page)
{
    kd_world *world = governor->world;
    *out_page = NULL;
    while (!page_charge(governor, must_have))
        if (governor->give_back == NULL || !governor->give_back(governor->reserve))
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
    if (governor->kept_count < kept_limit(governor)) {
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
    kd_world *world = governor->world;
    atomic_store_explicit(&governor->budget_bytes, budget_bytes, memory_order_relaxed);
    kd_mutex_lock(&governor->lock);
    while (governor->kept_count > kept_limit(governor))
        world->memory_free(world, governor->kept[--governor->kept_count], KD_GOVERNOR_PAGE_BYTES);
    kd_mutex_unlock(&governor->lock);
}

/* The block cache and the delta have the other half. */
static size_t statements_bytes(const kd_governor *governor)
{
    return kd_governor_budget_bytes(governor) / 2;
}

static bool has_room(const kd_governor *governor)
{
    size_t most = statements_bytes(governor) / STATEMENT_BYTES_MIN;
    return atomic_load(&governor->running) < (most < RUNNING_MIN ? RUNNING_MIN : most);
}

kd_status kd_governor_enter(kd_ctx *ctx, kd_governor *governor, bool waits)
{
    kd_status status = KD_OK;
    if (!waits) {
        (void)atomic_fetch_add(&governor->running, 1);
        return KD_OK;
    }
    kd_mutex_lock(&governor->entry_lock);
    (void)atomic_fetch_add(&governor->waiting, 1);
    while (status == KD_OK && !has_room(governor)) {
        (void)kd_cond_wait(&governor->left, &governor->entry_lock, LOOK_EVERY_NS);
        status = kd_check_cancelled(ctx);
    }
    (void)atomic_fetch_sub(&governor->waiting, 1);
    if (status == KD_OK)
        (void)atomic_fetch_add(&governor->running, 1);
    kd_mutex_unlock(&governor->entry_lock);
    return status;
}

void kd_governor_leave(kd_governor *governor)
{
    unsigned before = atomic_fetch_sub(&governor->running, 1);
    assert(before > 0);
    (void)before;
    /* One that begins to wait just now looks again by itself. */
    if (atomic_load(&governor->waiting) == 0)
        return;
    kd_mutex_lock(&governor->entry_lock);
    kd_cond_signal(&governor->left);
    kd_mutex_unlock(&governor->entry_lock);
}

size_t kd_governor_share_bytes(const kd_governor *governor)
{
    unsigned running = atomic_load_explicit(&governor->running, memory_order_relaxed);
    return statements_bytes(governor) / (running == 0 ? 1 : running);
}

kd_account *kd_governor_account(kd_governor *governor)
{
    return &governor->account;
}
