/*
 * Snapshots, the watermark, savepoints, participants, pins and table locks.
 */
#include "base/thread.h"
#include "txn_fixture.h"

static void write_something(txn_fixture *f, kd_txn *txn, const char *text)
{
    kd_buffer *redo;
    CHECK_STATUS(&f->ctx, kd_txn_redo(&f->ctx, txn, &redo));
    CHECK_STATUS(&f->ctx, kd_buffer_append_text(&f->ctx, redo, text));
    CHECK_STATUS(&f->ctx, kd_txn_redo_added(&f->ctx, txn));
}

TEST(a_commit_moves_the_watermark_past_its_stamp)
{
    txn_fixture f;
    fixture_open(&f);
    kd_stamp before = kd_txn_watermark(f.manager);
    kd_txn *reader = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn *writer = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    write_something(&f, writer, "x");
    CHECK_STATUS(&f.ctx, kd_txn_commit(&f.ctx, writer));
    CHECK(kd_txn_watermark(f.manager) > before);
    CHECK_EQ(kd_txn_snapshot(reader).stamp, before);
    CHECK_EQ(kd_txn_oldest_snapshot(f.manager), before);
    CHECK_STATUS(&f.ctx, kd_txn_commit(&f.ctx, reader));
    CHECK_EQ(kd_txn_oldest_snapshot(f.manager), kd_txn_watermark(f.manager));
    fixture_close(&f);
}

TEST(read_committed_takes_a_snapshot_per_statement)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *reader = fixture_begin(&f, KD_READ_COMMITTED, 0);
    kd_stamp first = kd_txn_snapshot(reader).stamp;
    kd_txn *writer = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    write_something(&f, writer, "x");
    CHECK_STATUS(&f.ctx, kd_txn_commit(&f.ctx, writer));
    kd_txn_statement_begin(reader);
    CHECK(kd_txn_snapshot(reader).stamp > first);
    CHECK_STATUS(&f.ctx, kd_txn_wait_visible_durable(&f.ctx, reader));
    kd_txn_rollback(reader);
    fixture_close(&f);
}

TEST(a_read_only_transaction_refuses_redo)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *txn;
    kd_txn_options options = {.read_only = true};
    CHECK_STATUS(&f.ctx, kd_txn_begin(&f.ctx, f.manager, &options, &txn));
    kd_buffer *redo;
    CHECK_FAILS(&f.ctx, kd_txn_redo(&f.ctx, txn, &redo), "25006");
    kd_txn_rollback(txn);
    fixture_close(&f);
}

typedef struct member {
    int prepared, committed, rolled_back, rolled_back_to;
    bool refuses;
} member;

static kd_status member_prepare(kd_ctx *ctx, void *object)
{
    member *self = object;
    self->prepared++;
    return self->refuses ? KD_FAIL(ctx, KD_INVALID, "23503", "refused") : KD_OK;
}

static void member_committed(void *object, kd_stamp stamp)
{
    (void)stamp;
    ((member *)object)->committed++;
}

static void member_rolled_back(void *object)
{
    ((member *)object)->rolled_back++;
}

static void member_rolled_back_to(void *object, uint32_t savepoint)
{
    ((member *)object)->rolled_back_to = (int)savepoint;
}

static const kd_txn_participant participant = {member_prepare, member_committed, member_rolled_back,
                                               member_rolled_back_to, NULL};

TEST(a_participant_that_refuses_rolls_everything_back)
{
    txn_fixture f;
    fixture_open(&f);
    member good = {0};
    member bad = {.refuses = true};
    kd_txn *txn = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    CHECK_STATUS(&f.ctx, kd_txn_join(&f.ctx, txn, &participant, &good));
    CHECK_STATUS(&f.ctx, kd_txn_join(&f.ctx, txn, &participant, &bad));
    write_something(&f, txn, "x");
    kd_stamp before = kd_txn_watermark(f.manager);
    CHECK_FAILS(&f.ctx, kd_txn_commit(&f.ctx, txn), "23503");
    CHECK_EQ(good.rolled_back, 1);
    CHECK_EQ(bad.rolled_back, 1);
    CHECK_EQ(good.committed, 0);
    CHECK_EQ(kd_txn_watermark(f.manager), before);
    fixture_close(&f);
}

TEST(savepoints_nest_and_cut_the_redo)
{
    txn_fixture f;
    fixture_open(&f);
    member self = {0};
    uint32_t outer, inner;
    kd_txn *txn = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    CHECK_STATUS(&f.ctx, kd_txn_join(&f.ctx, txn, &participant, &self));
    write_something(&f, txn, "one");
    kd_buffer *redo;
    CHECK_STATUS(&f.ctx, kd_txn_redo(&f.ctx, txn, &redo));
    size_t after_one = redo->size_bytes;
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &outer));
    write_something(&f, txn, "two");
    CHECK_STATUS(&f.ctx, kd_txn_savepoint(&f.ctx, txn, &inner));
    CHECK(inner > outer);
    write_something(&f, txn, "three");
    kd_txn_rollback_to(txn, outer);
    CHECK_EQ(self.rolled_back_to, outer);
    CHECK_EQ(redo->size_bytes, after_one);
    write_something(&f, txn, "four");
    kd_txn_rollback_to(txn, outer); /* It is still there. */
    CHECK_EQ(redo->size_bytes, after_one);
    kd_txn_release(txn, outer);
    CHECK_STATUS(&f.ctx, kd_txn_commit(&f.ctx, txn));
    CHECK_EQ(self.committed, 1);
    fixture_close(&f);
}

static void count_one(void *object)
{
    ++*(int *)object;
}

TEST(garbage_waits_for_whoever_may_hold_it)
{
    txn_fixture f;
    fixture_open(&f);
    int freed = 0;
    uint32_t pin;
    kd_txn_garbage garbage;
    CHECK_STATUS(&f.ctx, kd_txn_pin(&f.ctx, f.manager, 1, &pin));
    kd_txn_retire(f.manager, &garbage, count_one, &freed);
    kd_txn_reclaim(f.manager);
    CHECK_EQ(freed, 0);
    kd_txn *later = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn_unpin(f.manager, pin);
    kd_txn_reclaim(f.manager);
    CHECK_EQ(freed, 1);
    kd_txn_rollback(later);
    fixture_close(&f);
}

TEST(table_locks_conflict_as_told)
{
    /* PostgreSQL's table, in the order of the modes. */
    static const bool conflicts[8][8] = {
        {0, 0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 1, 1}, {0, 0, 0, 0, 1, 1, 1, 1},
        {0, 0, 0, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 0, 1, 1, 1}, {0, 0, 1, 1, 1, 1, 1, 1},
        {0, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1},
    };
    txn_fixture f;
    fixture_open(&f);
    for (int held = 0; held < KD_TABLE_LOCK_COUNT; held++) {
        for (int wanted = 0; wanted < KD_TABLE_LOCK_COUNT; wanted++) {
            kd_txn *a = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
            kd_txn *b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
            CHECK_STATUS(&f.ctx, kd_txn_lock_table(&f.ctx, a, 5, (kd_table_lock)held, false));
            test_note("held %d, wanted %d", held, wanted);
            if (conflicts[held][wanted])
                CHECK_FAILS(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, (kd_table_lock)wanted, true),
                            "55P03");
            else
                CHECK_STATUS(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, (kd_table_lock)wanted, true));
            kd_txn_rollback(a);
            CHECK_STATUS(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, (kd_table_lock)wanted, true));
            kd_txn_rollback(b);
        }
    }
    fixture_close(&f);
}

TEST(a_lock_wait_ends_with_the_lock_timeout)
{
    txn_fixture f;
    fixture_open(&f);
    kd_txn *a = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn *b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 5 * 1000 * 1000);
    CHECK_STATUS(&f.ctx, kd_txn_lock_table(&f.ctx, a, 5, KD_TABLE_EXCLUSIVE, false));
    CHECK_FAILS_WITH(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, KD_TABLE_USE, false), "55P03",
                     "canceling statement due to lock timeout");
    kd_txn_rollback(b);
    /* The same when it is set later. */
    b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn_set_lock_timeout(b, 5 * 1000 * 1000);
    CHECK_FAILS(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, KD_TABLE_USE, false), "55P03");
    kd_txn_rollback(a);
    kd_txn_rollback(b);
    fixture_close(&f);
}

TEST(a_cancelled_statement_stops_waiting)
{
    txn_fixture f;
    fixture_open(&f);
    atomic_bool cancelled;
    atomic_init(&cancelled, true);
    kd_txn *a = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    kd_txn *b = fixture_begin(&f, KD_SNAPSHOT_ISOLATION, 0);
    CHECK_STATUS(&f.ctx, kd_txn_lock_table(&f.ctx, a, 5, KD_TABLE_EXCLUSIVE, false));
    f.ctx.cancelled = &cancelled;
    CHECK_FAILS(&f.ctx, kd_txn_lock_table(&f.ctx, b, 5, KD_TABLE_USE, false), "57014");
    f.ctx.cancelled = NULL;
    kd_txn_rollback(a);
    kd_txn_rollback(b);
    fixture_close(&f);
}

typedef struct committer {
    txn_fixture *f;
    int rounds;
    kd_thread *thread;
} committer;

static void commit_many(void *object)
{
    committer *self = object;
    kd_ctx ctx = test_ctx();
    for (int i = 0; i < self->rounds; i++) {
        kd_txn *txn;
        kd_buffer *redo;
        kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
        CHECK_STATUS(&ctx, kd_txn_begin(&ctx, self->f->manager, &options, &txn));
        kd_stamp snapshot = kd_txn_snapshot(txn).stamp;
        CHECK_STATUS(&ctx, kd_txn_redo(&ctx, txn, &redo));
        CHECK_STATUS(&ctx, kd_buffer_append_text(&ctx, redo, "something"));
        CHECK_STATUS(&ctx, kd_txn_commit(&ctx, txn));
        /* Its own commit is visible to whoever begins now. */
        CHECK(kd_txn_watermark(self->f->manager) > snapshot);
    }
}

TEST(many_threads_commit_and_the_watermark_only_grows)
{
    txn_fixture f;
    fixture_open(&f);
    committer all[4];
    for (int i = 0; i < 4; i++) {
        all[i] = (committer){.f = &f, .rounds = 500};
        CHECK_STATUS(&f.ctx,
                     kd_thread_start(&f.ctx, "committer", commit_many, &all[i], &all[i].thread));
    }
    kd_stamp last = 0;
    for (int i = 0; i < 2000; i++) {
        kd_stamp now = kd_txn_watermark(f.manager);
        CHECK(now >= last);
        last = now;
    }
    for (int i = 0; i < 4; i++)
        kd_thread_join(f.ctx.world, all[i].thread);
    CHECK_EQ(kd_txn_watermark(f.manager), kd_txn_newest_stamp(f.manager));
    CHECK_EQ(kd_txn_active_count(f.manager), 0);
    fixture_close(&f);
}
