/*
 * Who may see a version: the list of snapshots in use, alone and beside threads that take
 * snapshots, hand them over and move the watermark.
 */
#include "base/thread.h"
#include "txn_fixture.h"

static void commit_something(txn_fixture *f)
{
    kd_buffer *redo;
    kd_txn *txn = fixture_begin(f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn_set_durability(txn, KD_DURABLE_LATER);
    CHECK_STATUS(&f->ctx, kd_txn_redo(&f->ctx, txn, &redo));
    CHECK_STATUS(&f->ctx, kd_buffer_append(&f->ctx, redo, "x", 1));
    CHECK_STATUS(&f->ctx, kd_txn_commit(&f->ctx, txn));
}

static bool is_seen(txn_fixture *f, kd_stamp begin, kd_stamp end)
{
    kd_live_snapshots live;
    kd_txn_live_snapshots(f->manager, &live);
    return kd_live_snapshots_see(&live, begin, end);
}

TEST(a_version_between_snapshots_is_seen_by_nobody)
{
    txn_fixture f;
    fixture_open(&f);
    kd_stamp stamps[6];
    kd_txn *readers[2];
    for (int i = 0; i < 6; i++) {
        if (i == 1 || i == 4)
            readers[i / 4] = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
        commit_something(&f);
        stamps[i] = kd_txn_watermark(f.manager);
    }
    /* The readers stand at stamps 0 and 3. */
    CHECK(is_seen(&f, 0, stamps[1]));
    CHECK(is_seen(&f, stamps[0], stamps[1]));
    CHECK(!is_seen(&f, 0, stamps[0]));
    CHECK(!is_seen(&f, stamps[1], stamps[2]));
    CHECK(!is_seen(&f, stamps[1], stamps[3]));
    CHECK(is_seen(&f, stamps[1], stamps[4]));
    CHECK(!is_seen(&f, stamps[4], stamps[5]));
    CHECK(is_seen(&f, stamps[4], stamps[5] + 1));
    kd_txn_rollback(readers[0]);
    CHECK(!is_seen(&f, 0, stamps[1]));
    CHECK(is_seen(&f, 0, stamps[4]));
    kd_txn_rollback(readers[1]);
    CHECK(!is_seen(&f, 0, stamps[5]));
    fixture_close(&f);
}

TEST(what_is_kept_stays_to_the_end_of_the_statement)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *reader = fixture_begin(&f, KD_READ_COMMITTED, 0);
    commit_something(&f);
    kd_stamp first = kd_txn_watermark(f.manager);
    kd_txn_note_latest(reader);
    commit_something(&f);
    kd_stamp second = kd_txn_watermark(f.manager);
    commit_something(&f);
    CHECK(is_seen(&f, first, second));
    CHECK(is_seen(&f, second, second + 1));
    kd_txn_keep_end(reader);
    CHECK(!is_seen(&f, first, second));
    /* A statement with the old snapshot is open while another one begins. */
    kd_stamp old = kd_txn_snapshot_stamp(reader);
    kd_txn_keep_snapshot(reader);
    kd_txn_statement_begin(reader);
    CHECK(is_seen(&f, old, old + 1));
    kd_txn_keep_end(reader);
    CHECK(!is_seen(&f, old, old + 1));
    kd_txn_rollback(reader);
    fixture_close(&f);
}

TEST(a_serializable_transaction_keeps_all_since_its_snapshot)
{
    txn_fixture f;
    fixture_open(&f);
    commit_something(&f);
    kd_txn *reader = fixture_begin(&f, KD_SERIALIZABLE, 0);
    commit_something(&f);
    kd_stamp first = kd_txn_watermark(f.manager);
    commit_something(&f);
    kd_txn_keep_end(reader);
    CHECK(is_seen(&f, first, kd_txn_watermark(f.manager)));
    CHECK(!is_seen(&f, 0, kd_txn_snapshot_stamp(reader)));
    kd_txn_rollback(reader);
    CHECK(!is_seen(&f, first, kd_txn_watermark(f.manager)));
    fixture_close(&f);
}

TEST(more_snapshots_than_the_list_holds_are_all_seen)
{
    enum { READERS = KD_LIVE_SNAPSHOTS_MAX * 2 };
    txn_fixture f;
    kd_txn *readers[READERS];
    fixture_open(&f);
    for (int i = 0; i < READERS; i++) {
        commit_something(&f);
        readers[i] = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    }
    commit_something(&f);
    for (int i = 0; i < READERS; i++) {
        kd_stamp stamp = kd_txn_snapshot_stamp(readers[i]);
        CHECK(is_seen(&f, stamp, stamp + 1));
    }
    CHECK(!is_seen(&f, 0, kd_txn_snapshot_stamp(readers[0])));
    for (int i = READERS; i > 0; i--) /* In another order than that of the slots. */
        kd_txn_rollback(readers[i - 1]);
    fixture_close(&f);
}

TEST(a_pin_of_everything_becomes_one_of_a_snapshot)
{
    txn_fixture f;
    uint32_t pin;
    fixture_open(&f);
    commit_something(&f);
    CHECK_STATUS(&f.ctx, kd_txn_pin_all(&f.ctx, f.manager, &pin));
    commit_something(&f);
    kd_stamp first = kd_txn_watermark(f.manager);
    commit_something(&f);
    kd_stamp second = kd_txn_watermark(f.manager);
    commit_something(&f);
    CHECK(is_seen(&f, first, second));
    kd_txn_pin_narrow(f.manager, pin, second);
    CHECK(!is_seen(&f, first, second));
    CHECK(is_seen(&f, second, second + 1));
    kd_txn_unpin(f.manager, pin);
    CHECK(!is_seen(&f, second, second + 1));
    fixture_close(&f);
}

/* --- Threads --------------------------------------------------------------------------------- */

enum { HOLDERS = 3, HANDOVERS = 3000 };

typedef struct holder {
    txn_fixture f;
    _Atomic uint64_t held; /* A snapshot that some slot holds just now, with a number above it. */
    atomic_bool *stops;
} holder;

static void hold(void *object)
{
    holder *my = object;
    for (uint64_t i = 1; i <= HANDOVERS; i++) {
        uint32_t pin, next;
        kd_txn *txn = fixture_begin(&my->f, KD_READ_COMMITTED, 0);
        kd_stamp stamp = kd_txn_snapshot_stamp(txn);
        CHECK(stamp < (uint64_t)1 << 40);
        atomic_store(&my->held, i << 40 | stamp);
        CHECK_STATUS(&my->f.ctx, kd_txn_pin(&my->f.ctx, my->f.manager, stamp, &pin));
        kd_txn_statement_begin(txn); /* The pin alone has it now. */
        CHECK_STATUS(&my->f.ctx, kd_txn_pin(&my->f.ctx, my->f.manager, stamp, &next));
        kd_txn_unpin(my->f.manager, pin);
        kd_txn_rollback(txn);
        atomic_store(&my->held, 0);
        kd_txn_unpin(my->f.manager, next);
    }
}

static void commit_on(void *object)
{
    holder *my = object;
    while (!atomic_load(my->stops))
        commit_something(&my->f);
}

TEST(no_look_misses_a_snapshot_that_changes_hands)
{
    txn_fixture f;
    holder holders[HOLDERS + 1];
    kd_thread *threads[HOLDERS + 1];
    atomic_bool stops = false;
    fixture_open(&f);
    for (int i = 0; i <= HOLDERS; i++)
        holders[i] = (holder){.f = f, .stops = &stops};
    for (int i = 0; i <= HOLDERS; i++) {
        CHECK_STATUS(&f.ctx, kd_thread_start(&f.ctx, "holder", i < HOLDERS ? hold : commit_on,
                                             &holders[i], &threads[i]));
    }
    for (int round = 0; round < HANDOVERS; round++) {
        uint64_t before[HOLDERS];
        kd_live_snapshots live;
        for (int i = 0; i < HOLDERS; i++)
            before[i] = atomic_load(&holders[i].held);
        kd_txn_live_snapshots(f.manager, &live);
        for (int i = 0; i < HOLDERS; i++) {
            kd_stamp stamp = before[i] & (((uint64_t)1 << 40) - 1);
            if (before[i] != 0 && atomic_load(&holders[i].held) == before[i])
                CHECK(kd_live_snapshots_see(&live, stamp, stamp + 1));
        }
    }
    for (int i = 0; i <= HOLDERS; i++) {
        if (i == HOLDERS)
            atomic_store(&stops, true);
        kd_thread_join(f.ctx.world, threads[i]);
    }
    fixture_close(&f);
}
