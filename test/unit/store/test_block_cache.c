/*
 * The block cache: budget, scan resistance, failures, and many threads at once.
 */
#include "base/thread.h"
#include "store/block_cache.h"
#include "test.h"

enum { BLOCK_BYTES = 1024 };

typedef struct loader {
    uint64_t value;
    atomic_uint *loads;
    bool fails;
} loader;

static kd_status load(kd_ctx *ctx, void *object, void *target)
{
    loader *self = object;
    if (self->loads != NULL)
        atomic_fetch_add(self->loads, 1);
    if (self->fails)
        return KD_FAIL(ctx, KD_IO, "58030", "planned");
    for (size_t i = 0; i < BLOCK_BYTES / 8; i++)
        kd_store_u64((char *)target + 8 * i, self->value);
    return KD_OK;
}

static void use(kd_ctx *ctx, kd_block_cache *cache, uint64_t unit, uint32_t block_no)
{
    kd_block *block;
    loader self = {.value = unit * 1000 + block_no};
    CHECK_STATUS(ctx,
                 kd_block_cache_get(ctx, cache, unit, block_no, BLOCK_BYTES, load, &self, &block));
    CHECK_EQ(kd_load_u64(kd_block_data(block)), unit * 1000 + block_no);
    CHECK_EQ(kd_load_u64((const char *)kd_block_data(block) + BLOCK_BYTES - 8),
             unit * 1000 + block_no);
    kd_block_put(block);
}

TEST(the_cache_keeps_its_budget_and_hot_blocks)
{
    kd_ctx ctx = test_ctx();
    kd_account account;
    kd_account_init(&account, NULL, "test", SIZE_MAX);
    kd_block_cache *cache;
    CHECK_STATUS(&ctx, kd_block_cache_create(&ctx, &account, 100 * BLOCK_BYTES, &cache));
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 20; i++)
            use(&ctx, cache, 1, i);
    for (uint32_t i = 0; i < 5000; i++) /* A scan passes by. */
        use(&ctx, cache, 2, i);
    kd_block_cache_statistics before = kd_block_cache_read_statistics(cache);
    CHECK(before.used_bytes <= 100 * BLOCK_BYTES);
    for (uint32_t i = 0; i < 20; i++)
        use(&ctx, cache, 1, i);
    kd_block_cache_statistics after = kd_block_cache_read_statistics(cache);
    CHECK(after.misses - before.misses <= 2);
    kd_block_cache_drop_unit(cache, 1);
    kd_block_cache_set_budget(cache, 0);
    CHECK_EQ(kd_block_cache_read_statistics(cache).used_bytes, 0);
    use(&ctx, cache, 3, 1); /* One over the budget is granted. */
    kd_block_cache_destroy(cache);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
}

TEST(a_failed_load_leaves_nothing)
{
    kd_ctx ctx = test_ctx();
    kd_account account;
    kd_account_init(&account, NULL, "test", SIZE_MAX);
    kd_block_cache *cache;
    CHECK_STATUS(&ctx, kd_block_cache_create(&ctx, &account, 100 * BLOCK_BYTES, &cache));
    loader self = {.fails = true};
    kd_block *block;
    CHECK_FAILS(&ctx, kd_block_cache_get(&ctx, cache, 1, 1, BLOCK_BYTES, load, &self, &block),
                "58030");
    CHECK(block == NULL);
    use(&ctx, cache, 1, 1);
    kd_block_cache_destroy(cache);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
}

typedef struct worker {
    kd_block_cache *cache;
    uint64_t seed;
} worker;

static void hammer(void *object)
{
    worker *self = object;
    kd_ctx ctx = test_ctx();
    test_random random = {self->seed};
    for (int i = 0; i < 20000; i++) {
        uint64_t unit = 1 + test_random_below(&random, 3);
        uint32_t block_no = (uint32_t)test_random_below(&random, 150);
        loader load_one = {.value = unit * 1000 + block_no,
                           .fails = test_random_below(&random, 50) == 0};
        kd_block *block;
        kd_status status = kd_block_cache_get(&ctx, self->cache, unit, block_no, BLOCK_BYTES, load,
                                              &load_one, &block);
        if (status != KD_OK) {
            kd_error_clear(&ctx);
            continue;
        }
        CHECK_EQ(kd_load_u64(kd_block_data(block)), unit * 1000 + block_no);
        kd_block_put(block);
    }
}

TEST(many_threads_share_the_cache)
{
    kd_ctx ctx = test_ctx();
    kd_account account;
    kd_account_init(&account, NULL, "test", SIZE_MAX);
    kd_block_cache *cache;
    CHECK_STATUS(&ctx, kd_block_cache_create(&ctx, &account, 100 * BLOCK_BYTES, &cache));
    kd_thread *threads[4];
    worker workers[4];
    for (uint64_t i = 0; i < 4; i++) {
        workers[i] = (worker){cache, i + 1};
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "hammer", hammer, &workers[i], &threads[i]));
    }
    for (int i = 0; i < 4; i++)
        kd_thread_join(ctx.world, threads[i]);
    CHECK(kd_block_cache_read_statistics(cache).used_bytes <= 104 * BLOCK_BYTES);
    kd_block_cache_destroy(cache);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
}
