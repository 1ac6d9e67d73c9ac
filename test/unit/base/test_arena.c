/*
 * Arenas, heap accounts, the governor, byte readers: budgets hold and everything
 * comes back.
 */
#include "base/arena.h"
#include "base/governor.h"
#include "base/heap.h"
#include "test.h"

static int cleanups[2];
static int cleanup_count;

static void note_order(void *object)
{
    cleanups[cleanup_count++] = *(int *)object;
}

TEST(arena_runs_cleanups_and_refunds_its_parent)
{
    kd_ctx ctx = test_ctx();
    kd_arena *parent = test_arena(&ctx);
    size_t before_bytes = kd_arena_used_bytes(parent);
    kd_arena *child = kd_arena_create(&ctx, parent, "child", 1 << 20);
    CHECK(child != NULL);
    for (int i = 0; i < 1000; i++) {
        char *memory = kd_alloc(&ctx, child, 100);
        CHECK(memory != NULL && (uintptr_t)memory % 16 == 0 && memory[99] == 0);
    }
    int first = 1, second = 2;
    CHECK_STATUS(&ctx, kd_arena_defer(&ctx, child, note_order, &first));
    CHECK_STATUS(&ctx, kd_arena_defer(&ctx, child, note_order, &second));
    CHECK(kd_arena_used_bytes(parent) > before_bytes + 100000);
    kd_arena_destroy(child);
    CHECK(cleanup_count == 2 && cleanups[0] == 2 && cleanups[1] == 1); /* Newest first. */
    CHECK_EQ(kd_arena_used_bytes(parent), before_bytes);
    kd_arena_destroy(parent);
}

TEST(arena_budget_is_a_clean_failure_and_counts_for_ancestors)
{
    kd_ctx ctx = test_ctx();
    kd_arena *parent = kd_arena_create(&ctx, NULL, "small", 64 * 1024);
    kd_arena *child = kd_arena_create(&ctx, parent, "child", KD_ARENA_UNLIMITED);
    CHECK(kd_alloc(&ctx, child, 100 * 1024) == NULL);
    CHECK_TEXT(ctx.error.sqlstate, "53200");
    kd_error_clear(&ctx);
    CHECK(kd_alloc_array(&ctx, child, SIZE_MAX / 2, 16) == NULL);
    kd_error_clear(&ctx);
    kd_arena_reset(child);
    CHECK(kd_alloc(&ctx, child, 40 * 1024) != NULL);
    kd_arena_destroy(parent);
}

TEST(arena_array_grows_and_keeps_its_items)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    int *items = NULL;
    size_t count = 0, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        int *item;
        CHECK_STATUS(&ctx, KD_PUSH(&ctx, arena, items, count, capacity, &item));
        *item = i;
    }
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(items[i], i);
    kd_arena_destroy(arena);
}

TEST(heap_counts_every_byte_against_every_level)
{
    kd_ctx ctx = test_ctx();
    kd_account parent, child;
    kd_account_init(&parent, NULL, "parent", 10000);
    kd_account_init(&child, &parent, "child", SIZE_MAX);
    char *memory = kd_heap_alloc(&ctx, &child, 100);
    CHECK(memory != NULL && memory[99] == 0);
    memory[99] = 'x';
    char *grown = kd_heap_resize(&ctx, &child, memory, 5000);
    CHECK(grown != NULL && grown[99] == 'x');
    CHECK(kd_heap_resize(&ctx, &child, grown, 9000) == NULL);
    kd_error_clear(&ctx);
    CHECK_EQ(grown[99], 'x');
    kd_heap_free(ctx.world, &child, grown);
    CHECK_EQ(atomic_load(&parent.used_bytes), 0);
}

TEST(governor_says_no_over_the_budget_but_grants_the_page_that_must_be)
{
    kd_ctx ctx = test_ctx();
    kd_governor *governor = kd_governor_create(&ctx, 2 * KD_GOVERNOR_PAGE_BYTES);
    void *pages[4];
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(&ctx, kd_governor_get_page(&ctx, governor, false, &pages[i]));
    CHECK(pages[0] != NULL && pages[1] != NULL && pages[2] == NULL);
    CHECK_STATUS(&ctx, kd_governor_get_page(&ctx, governor, true, &pages[2]));
    CHECK(pages[2] != NULL);
    CHECK_EQ(kd_governor_used_bytes(governor), 3 * KD_GOVERNOR_PAGE_BYTES);
    for (int i = 0; i < 3; i++)
        kd_governor_put_page(governor, pages[i]);
    CHECK_EQ(kd_governor_used_bytes(governor), 0);
    kd_governor_destroy(governor);
}

TEST(reader_stops_at_the_end_and_stays_failed)
{
    kd_reader reader = kd_reader_of(KD_SLICE("\x05\x00\x00\x00\x80\x01"));
    CHECK_EQ(kd_read_u32(&reader), 5);
    CHECK_EQ(kd_read_varint(&reader), 128);
    CHECK(!reader.failed);
    CHECK_EQ(kd_read_u8(&reader), 0);
    CHECK(reader.failed);
    kd_reader endless = kd_reader_of(KD_SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
    CHECK_EQ(kd_read_varint(&endless), 0);
    CHECK(endless.failed);
}

TEST(buffer_gives_what_readers_take)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_buffer buffer = kd_buffer_in(arena);
    for (uint64_t value = 1; value != 0; value *= 2)
        CHECK_STATUS(&ctx, kd_buffer_append_varint(&ctx, &buffer, value));
    CHECK_STATUS(&ctx, kd_buffer_append_counted(&ctx, &buffer, KD_SLICE("text")));
    CHECK_STATUS(&ctx, kd_buffer_append_format(&ctx, &buffer, "%d-%s", 42, "x"));
    kd_reader reader = kd_reader_of(kd_buffer_slice(&buffer));
    for (uint64_t value = 1; value != 0; value *= 2)
        CHECK_EQ(kd_read_varint(&reader), value);
    CHECK_SLICE(kd_read_slice(&reader), "text");
    CHECK_SLICE(((kd_slice){kd_read_bytes(&reader, 4), 4}), "42-x");
    CHECK(!reader.failed && reader.at == reader.end);
    kd_arena_destroy(arena);
}
