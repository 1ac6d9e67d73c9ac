/*
 * The map against a plain array: random puts and removes, then every key is asked.
 */
#include "base/map.h"
#include "test.h"

#include <stdio.h>

static kd_account account;
static int values[512];

static void map_begin(kd_ctx *ctx, kd_map *map)
{
    *ctx = test_ctx();
    kd_account_init(&account, NULL, "map test", SIZE_MAX);
    kd_map_init(map, ctx->world, &account);
}

TEST(map_by_number_agrees_with_an_array)
{
    kd_ctx ctx;
    kd_map map;
    map_begin(&ctx, &map);
    int *model[512] = {0};
    test_random random = {.state = 3};
    size_t live = 0;
    for (int round = 0; round < 20000; round++) {
        uint64_t key = test_random_below(&random, 512);
        if (test_random_below(&random, 3) != 0) {
            int *value = &values[test_random_below(&random, 512)];
            void *previous;
            CHECK_STATUS(&ctx, kd_map_put_u64(&ctx, &map, key << 32, value, &previous));
            CHECK(previous == model[key]);
            live += model[key] == NULL;
            model[key] = value;
        } else {
            CHECK(kd_map_remove_u64(&map, key << 32) == model[key]);
            live -= model[key] != NULL;
            model[key] = NULL;
        }
        CHECK_EQ(kd_map_count(&map), live);
    }
    for (uint64_t key = 0; key < 512; key++)
        CHECK(kd_map_find_u64(&map, key << 32) == model[key]);
    kd_map_clear(&map);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
}

TEST(map_by_bytes_keeps_the_order_of_adding)
{
    kd_ctx ctx;
    kd_map map;
    map_begin(&ctx, &map);
    char text[16];
    for (int i = 0; i < 500; i++) {
        (void)snprintf(text, sizeof text, "key %d", i * 7919 % 500);
        CHECK_STATUS(&ctx, kd_map_put(&ctx, &map, kd_slice_of(text), &values[i], NULL));
    }
    CHECK(kd_map_remove(&map, KD_SLICE("key 0")) == &values[0]);
    CHECK(kd_map_find(&map, KD_SLICE("key 0")) == NULL);
    CHECK(kd_map_find(&map, KD_SLICE("key")) == NULL);
    uint32_t cursor = 0;
    for (int i = 1; i < 500; i++) {
        const kd_map_entry *entry = kd_map_next(&map, &cursor);
        CHECK(entry != NULL && entry->value == &values[i]);
    }
    CHECK(kd_map_next(&map, &cursor) == NULL);
    kd_map_clear(&map);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
}

TEST(map_takes_the_empty_key_and_refuses_over_budget)
{
    kd_ctx ctx;
    kd_map map;
    map_begin(&ctx, &map);
    CHECK_STATUS(&ctx, kd_map_put(&ctx, &map, KD_SLICE(""), &values[1], NULL));
    CHECK(kd_map_find(&map, (kd_slice){NULL, 0}) == &values[1]);
    account.budget_bytes = atomic_load(&account.used_bytes);
    CHECK_FAILS(&ctx, kd_map_put(&ctx, &map, KD_SLICE("more"), &values[2], NULL), "53200");
    CHECK(kd_map_find(&map, KD_SLICE("")) == &values[1]);
    CHECK_EQ(kd_map_count(&map), 1);
    kd_map_clear(&map);
}
