/*
 * Random operations of several open transactions against a plain model in memory, with flushes,
 * compactions, checkpoints and reopenings in between.
 *
 * The model keeps the committed rows, a copy of them for each open snapshot, and who has written
 * which id; operations that would wait for another transaction of the same thread are left out.
 */
#include "table/upkeep.h"
#include "table_fixture.h"

enum { IDS = 300, HOT_IDS = 12, TXNS = 4, HOLDERS = 12, ABSENT = -1 };

typedef struct model_txn {
    kd_txn *txn;
    int32_t view[IDS]; /* What it sees: the score, or ABSENT. */
    bool written[IDS];
    int32_t saved_view[IDS];
    bool saved_written[IDS];
    bool deleted[IDS];  /* At some time: another row may have the id now. */
    uint32_t savepoint; /* 0: none. */
} model_txn;

/* A snapshot that is held for a while by somebody who reads only. */
typedef struct holder {
    kd_txn *txn;
    int32_t view[IDS];
    uint64_t deletions[IDS];
} holder;

typedef struct model {
    table_fixture f;
    test_random random;
    int32_t committed[IDS];
    uint64_t version[IDS]; /* Counts committed changes. */
    uint64_t seen_version[TXNS][IDS];
    uint64_t deletions[IDS];
    model_txn txns[TXNS];
    holder holders[HOLDERS];
} model;

static uint64_t below(model *m, uint64_t bound)
{
    return test_random_below(&m->random, bound);
}

static void txn_check(model *m, model_txn *t)
{
    int64_t sum, expected_sum = 0;
    uint64_t expected = 0;
    for (int id = 0; id < IDS; id++) {
        expected += t->view[id] != ABSENT;
        expected_sum += t->view[id] != ABSENT ? t->view[id] : 0;
    }
    CHECK_EQ(fixture_scan(&m->f, kd_txn_snapshot(t->txn), &sum), expected);
    CHECK_EQ(sum, expected_sum);
    for (int i = 0; i < 20; i++) {
        int id = (int)below(m, IDS);
        CHECK_EQ(fixture_score(&m->f, t->txn, id), t->view[id]);
    }
}

static void txn_begin(model *m, int which)
{
    model_txn *t = &m->txns[which];
    *t = (model_txn){.txn = fixture_begin(&m->f)};
    memcpy(t->view, m->committed, sizeof t->view);
    memcpy(m->seen_version[which], m->version, sizeof m->version);
}

static void txn_end(model *m, int which, bool commits)
{
    model_txn *t = &m->txns[which];
    if (commits) {
        fixture_commit(&m->f, t->txn);
        for (int id = 0; id < IDS; id++) {
            if (t->written[id]) {
                m->committed[id] = t->view[id];
                m->version[id]++;
                m->deletions[id] += t->deleted[id];
            }
        }
    } else {
        kd_txn_rollback(t->txn);
    }
    t->txn = NULL;
}

static bool is_written_by_other(const model *m, int which, int id)
{
    for (int i = 0; i < TXNS; i++) {
        /* What was undone by a savepoint may still be locked. */
        if (i != which && m->txns[i].txn != NULL &&
            (m->txns[i].written[id] || m->txns[i].saved_written[id]))
            return true;
    }
    return false;
}

static void txn_insert(model *m, int which, int id)
{
    model_txn *t = &m->txns[which];
    char name[64];
    /* The snapshot may still see a row that others have deleted: the transaction would have both.
     */
    if (!t->written[id] && m->version[id] != m->seen_version[which][id])
        return;
    (void)snprintf(name, sizeof name, "name of %d, %s", id, id % 2 ? "short" : "rather longer");
    int32_t score = (int32_t)below(m, 50);
    bool is_own_ghost = t->written[id];
    int32_t latest = is_own_ghost ? t->view[id] : m->committed[id];
    kd_status status = fixture_try_insert(&m->f, t->txn, id, name, score, NULL);
    if (latest != ABSENT) {
        CHECK_EQ(status, KD_INVALID);
        CHECK_TEXT(m->f.ctx.error.sqlstate, "23505");
        kd_error_clear(&m->f.ctx);
        return;
    }
    CHECK_STATUS(&m->f.ctx, status);
    t->view[id] = score;
    t->written[id] = true;
}

static void txn_change(model *m, int which, int id, bool deletes)
{
    model_txn *t = &m->txns[which];
    kd_rowref ref;
    bool is_there = fixture_find(&m->f, kd_txn_snapshot(t->txn), id, &ref, NULL);
    CHECK_EQ(is_there, t->view[id] != ABSENT);
    if (!is_there)
        return;
    bool conflicts = !t->written[id] && m->version[id] != m->seen_version[which][id];
    int32_t score = (int32_t)below(m, 50);
    uint32_t position = 2;
    kd_value value = kd_value_i32(score);
    kd_write_outcome outcome;
    kd_status status = deletes ? kd_table_delete(&m->f.ctx, t->txn, m->f.table, ref, &outcome)
                               : kd_table_update(&m->f.ctx, t->txn, m->f.table, &m->f.shape, ref,
                                                 &position, &value, 1, &outcome);
    if (conflicts) {
        CHECK_EQ(status, KD_CONFLICT);
        CHECK_TEXT(m->f.ctx.error.sqlstate, "40001");
        kd_error_clear(&m->f.ctx);
        return;
    }
    CHECK_STATUS(&m->f.ctx, status);
    CHECK_EQ(outcome.result, KD_WRITE_DONE);
    t->view[id] = deletes ? ABSENT : score;
    t->written[id] = true;
    t->deleted[id] |= deletes;
}

static void txn_savepoint(model *m, int which)
{
    model_txn *t = &m->txns[which];
    if (t->savepoint == 0) {
        CHECK_STATUS(&m->f.ctx, kd_txn_savepoint(&m->f.ctx, t->txn, &t->savepoint));
        memcpy(t->saved_view, t->view, sizeof t->view);
        memcpy(t->saved_written, t->written, sizeof t->written);
    } else if (below(m, 2) == 0) {
        kd_txn_rollback_to(t->txn, t->savepoint);
        memcpy(t->view, t->saved_view, sizeof t->view);
        memcpy(t->written, t->saved_written, sizeof t->written);
    } else {
        kd_txn_release(t->txn, t->savepoint);
        t->savepoint = 0;
        memset(t->saved_written, 0, sizeof t->saved_written);
    }
}

/* --- Snapshots that are held ----------------------------------------------------------------- */

static void holder_begin(model *m, holder *h)
{
    h->txn = fixture_begin_as(&m->f, KD_READ_COMMITTED);
    memcpy(h->view, m->committed, sizeof h->view);
    memcpy(h->deletions, m->deletions, sizeof h->deletions);
}

/* From the version that the snapshot sees to the newest one. */
static void holder_follow(model *m, holder *h, int id)
{
    kd_rowref ref;
    kd_value values[3];
    bool visible;
    if (!fixture_find(&m->f, kd_txn_snapshot(h->txn), id, &ref, NULL) ||
        h->deletions[id] != m->deletions[id])
        return;
    CHECK_STATUS(&m->f.ctx, kd_table_get(&m->f.ctx, m->f.arena, m->f.table, kd_table_latest(h->txn),
                                         ref, &m->f.shape, fixture_positions, 3, values, &visible));
    CHECK(visible);
    CHECK_EQ(values[2].as.i32, m->committed[id]);
    kd_txn_keep_end(h->txn);
}

static void holder_step(model *m)
{
    holder *h = &m->holders[below(m, HOLDERS)];
    uint64_t what = below(m, 10);
    int64_t sum, expected_sum = 0;
    uint64_t expected = 0;
    if (h->txn == NULL) {
        holder_begin(m, h);
    } else if (what == 0) {
        kd_txn_rollback(h->txn);
        h->txn = NULL;
    } else if (what < 3) {
        for (int id = 0; id < IDS; id++) {
            expected += h->view[id] != ABSENT;
            expected_sum += h->view[id] != ABSENT ? h->view[id] : 0;
        }
        CHECK_EQ(fixture_scan(&m->f, kd_txn_snapshot(h->txn), &sum), expected);
        CHECK_EQ(sum, expected_sum);
    } else {
        int id = (int)below(m, what < 7 ? HOT_IDS : IDS);
        CHECK_EQ(fixture_score(&m->f, h->txn, id), h->view[id]);
        holder_follow(m, h, id);
    }
}

static void reopen(model *m)
{
    for (int i = 0; i < HOLDERS; i++) {
        if (m->holders[i].txn != NULL)
            kd_txn_rollback(m->holders[i].txn);
        m->holders[i].txn = NULL;
    }
    for (int i = 0; i < TXNS; i++) {
        if (m->txns[i].txn != NULL)
            txn_end(m, i, below(m, 2) == 0);
    }
    if (below(m, 2) == 0)
        kd_storage_abandon(m->f.storage);
    else
        CHECK_STATUS(&m->f.ctx, kd_storage_close(&m->f.ctx, m->f.storage));
    fixture_reopen(&m->f);
    CHECK_STATUS(&m->f.ctx, kd_storage_check(&m->f.ctx, m->f.storage));
}

static void upkeep(model *m)
{
    switch (below(m, 5)) {
    case 0:
        CHECK_STATUS(&m->f.ctx, kd_table_flush(&m->f.ctx, m->f.table));
        break;
    case 1:
        CHECK_STATUS(&m->f.ctx, kd_table_compact(&m->f.ctx, m->f.table));
        break;
    case 2:
        CHECK_STATUS(&m->f.ctx, kd_storage_checkpoint(&m->f.ctx, m->f.storage));
        break;
    case 3:
        CHECK_STATUS(&m->f.ctx, kdi_flush_over(&m->f.ctx, m->f.table, 1));
        break;
    default:
        if (below(m, 4) == 0)
            reopen(m);
    }
}

static void step(model *m)
{
    int which = (int)below(m, TXNS);
    model_txn *t = &m->txns[which];
    uint64_t what = below(m, 100);
    if (below(m, 10) == 0)
        holder_step(m);
    if (t->txn != NULL && below(m, 2) == 0)
        kd_txn_keep_end(t->txn); /* No statement of it is open. */
    if (what < 2) {
        upkeep(m);
    } else if (t->txn == NULL) {
        txn_begin(m, which);
    } else if (what < 10) {
        txn_end(m, which, what < 8);
    } else if (what < 14) {
        txn_savepoint(m, which);
    } else if (what < 20) {
        txn_check(m, t);
    } else {
        int id = (int)below(m, what % 2 == 0 ? HOT_IDS : IDS);
        if (is_written_by_other(m, which, id))
            return;
        if (what < 60)
            txn_insert(m, which, id);
        else
            txn_change(m, which, id, what < 75);
    }
}

static void run(uint64_t seed, int steps)
{
    model m = {.random = {seed}};
    char name[32];
    test_note("seed %llu", (unsigned long long)seed);
    (void)snprintf(name, sizeof name, "db%llu", (unsigned long long)seed);
    fixture_open_in(&m.f, test_ctx(), test_path(name), seed % 2 == 0);
    for (int id = 0; id < IDS; id++)
        m.committed[id] = ABSENT;
    for (int i = 0; i < steps; i++)
        step(&m);
    reopen(&m);
    txn_begin(&m, 0);
    txn_check(&m, &m.txns[0]);
    txn_end(&m, 0, true);
    fixture_close(&m.f);
}

TEST(random_operations_agree_with_a_plain_model)
{
    uint64_t seeds = (test_seed_count(60) + 9) / 10;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        run(seed, 2500);
}
