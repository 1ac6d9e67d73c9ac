/*
 * Epochs on real threads: readers follow a pointer that a writer keeps replacing; an
 * object that is freed too early is caught by its mark, or by a sanitizer.
 */
#include "base/epoch.h"
#include "base/thread.h"
#include "test.h"

enum { READER_COUNT = 3, REPLACEMENT_COUNT = 3000, ALIVE = 0x600d };

typedef struct item {
    kd_retired retired;
    unsigned mark;
} item;

typedef struct board {
    kd_account account;
    kd_epoch *epoch;
    _Atomic(item *) current;
    atomic_bool is_over;
    atomic_uint freed_count;
} board;

static board the_board;

static void item_free(void *object)
{
    item *old = object;
    CHECK_EQ(old->mark, ALIVE);
    old->mark = 0;
    kd_heap_free(kd_world_posix(), &the_board.account, old);
    (void)atomic_fetch_add(&the_board.freed_count, 1);
}

static void reader_run(void *object)
{
    (void)object;
    kd_ctx ctx = test_ctx();
    kd_epoch_slot *slot;
    CHECK_STATUS(&ctx, kd_epoch_slot_get(&ctx, the_board.epoch, &slot));
    while (!atomic_load(&the_board.is_over)) {
        kd_epoch_enter(the_board.epoch, slot);
        item *seen = atomic_load(&the_board.current);
        kd_epoch_enter(the_board.epoch, slot);
        CHECK_EQ(seen->mark, ALIVE);
        kd_epoch_leave(the_board.epoch, slot);
        CHECK_EQ(seen->mark, ALIVE);
        kd_epoch_leave(the_board.epoch, slot);
    }
    kd_epoch_slot_put(the_board.epoch, slot);
}

static item *item_create(kd_ctx *ctx)
{
    item *made = KD_HEAP_NEW(ctx, &the_board.account, item);
    CHECK(made != NULL);
    made->mark = ALIVE;
    return made;
}

TEST(epoch_frees_nothing_that_a_reader_can_reach)
{
    kd_ctx ctx = test_ctx();
    kd_account_init(&the_board.account, NULL, "epoch test", SIZE_MAX);
    CHECK_STATUS(&ctx, kd_epoch_create(&ctx, &the_board.account, &the_board.epoch));
    atomic_store(&the_board.current, item_create(&ctx));
    kd_thread *readers[READER_COUNT];
    for (int i = 0; i < READER_COUNT; i++)
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "reader", reader_run, NULL, &readers[i]));
    for (int i = 0; i < REPLACEMENT_COUNT; i++) {
        item *old = atomic_exchange(&the_board.current, item_create(&ctx));
        kd_epoch_retire(the_board.epoch, &old->retired, item_free, old);
    }
    atomic_store(&the_board.is_over, true);
    for (int i = 0; i < READER_COUNT; i++)
        kd_thread_join(ctx.world, readers[i]);
    CHECK_EQ(kd_epoch_reclaim(the_board.epoch), 0);
    CHECK_EQ(atomic_load(&the_board.freed_count), REPLACEMENT_COUNT);
    item *last = atomic_load(&the_board.current);
    kd_epoch_retire(the_board.epoch, &last->retired, item_free, last);
    kd_epoch_destroy(the_board.epoch);
    CHECK_EQ(atomic_load(&the_board.account.used_bytes), 0);
}

TEST(epoch_keeps_what_was_retired_while_a_reader_is_inside)
{
    kd_ctx ctx = test_ctx();
    kd_account_init(&the_board.account, NULL, "epoch test", SIZE_MAX);
    atomic_store(&the_board.freed_count, 0);
    CHECK_STATUS(&ctx, kd_epoch_create(&ctx, &the_board.account, &the_board.epoch));
    kd_epoch_slot *slot;
    CHECK_STATUS(&ctx, kd_epoch_slot_get(&ctx, the_board.epoch, &slot));
    kd_epoch_enter(the_board.epoch, slot);
    item *old = item_create(&ctx);
    kd_epoch_retire(the_board.epoch, &old->retired, item_free, old);
    CHECK_EQ(kd_epoch_reclaim(the_board.epoch), 1);
    kd_epoch_leave(the_board.epoch, slot);
    kd_epoch_enter(the_board.epoch, slot); /* A later visit does not hold it. */
    CHECK_EQ(kd_epoch_reclaim(the_board.epoch), 0);
    CHECK_EQ(atomic_load(&the_board.freed_count), 1);
    kd_epoch_leave(the_board.epoch, slot);
    kd_epoch_slot_put(the_board.epoch, slot);
    kd_epoch_destroy(the_board.epoch);
}
