/*
 * Row locks: the matrix of modes, deadlocks, and locks that follow a row.
 */
#include "base/thread.h"
#include "txn_fixture.h"

static uint64_t row_try(txn_fixture *f, kd_txn *txn, uint64_t row, kd_row_lock mode)
{
    kd_row_latch(f->manager, 1, row);
    uint64_t blocker = kd_row_lock_blocker(txn, 1, row, mode);
    if (blocker == 0)
        CHECK_STATUS(&f->ctx, kd_row_lock_take(&f->ctx, txn, 1, row, mode));
    kd_row_unlatch(f->manager, 1, row);
    return blocker;
}

TEST(row_lock_modes_conflict_as_in_postgresql)
{
    static const bool conflicts[4][4] = {
        [KD_LOCK_KEY_SHARE] = {false, false, false, true},
        [KD_LOCK_SHARE] = {false, false, true, true},
        [KD_LOCK_NO_KEY_UPDATE] = {false, true, true, true},
        [KD_LOCK_UPDATE] = {true, true, true, true},
    };
    txn_fixture f;
    fixture_open(&f);
    for (int held = 0; held < 4; held++) {
        for (int wanted = 0; wanted < 4; wanted++) {
            kd_txn *a = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
            kd_txn *b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
            test_note("held %d, wanted %d", held, wanted);
            CHECK_EQ(row_try(&f, a, 9, (kd_row_lock)held), 0);
            uint64_t expected = conflicts[held][wanted] ? kd_txn_no(a) : 0;
            CHECK_EQ(row_try(&f, b, 9, (kd_row_lock)wanted), expected);
            CHECK_EQ(row_try(&f, a, 9, (kd_row_lock)held), 0); /* Never in its own way. */
            kd_txn_rollback(a);
            kd_txn_rollback(b);
        }
    }
    CHECK_EQ(kd_row_lock_count(f.manager), 0);
    fixture_close(&f);
}

typedef struct waiter {
    txn_fixture *f;
    kd_txn *txn;
    uint64_t row;
    kd_status status;
    char sqlstate[6];
    kd_thread *thread;
} waiter;

static void wait_for_row(void *object)
{
    waiter *self = object;
    kd_ctx ctx = test_ctx();
    self->status = KD_OK;
    for (;;) {
        kd_row_latch(self->f->manager, 1, self->row);
        uint64_t blocker = kd_row_lock_blocker(self->txn, 1, self->row, KD_LOCK_UPDATE);
        if (blocker == 0)
            self->status = kd_row_lock_take(&ctx, self->txn, 1, self->row, KD_LOCK_UPDATE);
        kd_row_unlatch(self->f->manager, 1, self->row);
        if (blocker == 0)
            break;
        self->status = kd_txn_wait_for(&ctx, self->txn, blocker);
        if (self->status != KD_OK)
            break;
    }
    memcpy(self->sqlstate, ctx.error.sqlstate, sizeof self->sqlstate);
    kd_error_clear(&ctx);
    kd_txn_rollback(self->txn);
}

TEST(a_cycle_of_waits_is_found_and_one_goes_on)
{
    txn_fixture f;
    fixture_open(&f);
    enum { COUNT = 3 };
    waiter all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = (waiter){.f = &f, .txn = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0)};
        CHECK_EQ(row_try(&f, all[i].txn, (uint64_t)i, KD_LOCK_UPDATE), 0);
        all[i].row = (uint64_t)(i + 1) % COUNT;
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "waiter", wait_for_row, &all[i], &all[i].thread));
    int victims = 0;
    for (int i = 0; i < COUNT; i++) {
        kd_thread_join(f.ctx.world, all[i].thread);
        if (all[i].status != KD_OK) {
            CHECK_TEXT(all[i].sqlstate, "40P01");
            victims++;
        }
    }
    CHECK_EQ(victims, 1);
    CHECK_EQ(kd_txn_manager_deadlock_count(f.manager), 1);
    fixture_close(&f);
}

TEST(two_waiters_do_not_stop_the_holder)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *holder = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    CHECK_EQ(row_try(&f, holder, 3, KD_LOCK_UPDATE), 0);
    waiter all[2];
    for (int i = 0; i < 2; i++) {
        all[i] = (waiter){.f = &f, .txn = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0), .row = 3};
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "waiter", wait_for_row, &all[i], &all[i].thread));
    }
    for (uint64_t row = 100; row < 200; row++)
        CHECK_EQ(row_try(&f, holder, row, KD_LOCK_UPDATE), 0);
    CHECK_STATUS(&f.ctx, kd_txn_commit(&f.ctx, holder));
    for (int i = 0; i < 2; i++) {
        kd_thread_join(f.ctx.world, all[i].thread);
        CHECK_EQ(all[i].status, KD_OK);
    }
    fixture_close(&f);
}

TEST(locks_follow_a_row_to_its_new_place_and_version)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *a = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn *b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    for (uint64_t row = 0; row < 300; row++)
        CHECK_EQ(row_try(&f, a, row, KD_LOCK_SHARE), 0);
    for (uint64_t row = 0; row < 300; row++)
        CHECK_STATUS(&f.ctx,
                     kd_row_lock_carry(&f.ctx, f.manager, 1, row, row + 1000, row % 2 == 0));
    for (uint64_t row = 0; row < 300; row++) {
        CHECK_EQ(row_try(&f, b, row + 1000, KD_LOCK_UPDATE), kd_txn_no(a));
        CHECK_EQ(row_try(&f, b, row, KD_LOCK_UPDATE), row % 2 == 0 ? kd_txn_no(a) : 0);
    }
    kd_txn_rollback(a);
    CHECK_EQ(row_try(&f, b, 1000, KD_LOCK_UPDATE), 0);
    kd_txn_rollback(b);
    CHECK_EQ(kd_row_lock_count(f.manager), 0);
    fixture_close(&f);
}
