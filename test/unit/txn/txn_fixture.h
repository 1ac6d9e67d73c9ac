/*
 * A transaction manager over a log in name only.
 */
#ifndef KD_TEST_TXN_FIXTURE_H
#define KD_TEST_TXN_FIXTURE_H

#include "test.h"
#include "txn/txn.h"

typedef struct txn_fixture {
    kd_ctx ctx;
    kd_account account;
    kd_wal *wal;
    kd_txn_manager *manager;
} txn_fixture;

static inline void fixture_open(txn_fixture *f)
{
    f->ctx = test_ctx();
    kd_account_init(&f->account, NULL, "test", SIZE_MAX);
    kd_wal_options options = {.create = true, .log_id = 7};
    CHECK_STATUS(&f->ctx, kd_wal_open(&f->ctx, &f->account, &options, NULL, NULL, &f->wal));
    CHECK_STATUS(&f->ctx, kd_txn_manager_create(&f->ctx, &f->account, &f->manager));
    kd_txn_manager_start(f->manager, f->wal, 1, 0);
}

static inline void fixture_close(txn_fixture *f)
{
    kd_txn_manager_destroy(f->manager);
    CHECK_STATUS(&f->ctx, kd_wal_close(&f->ctx, f->wal));
    CHECK_EQ(atomic_load(&f->account.used_bytes), 0);
}

static inline kd_txn *fixture_begin(txn_fixture *f, kd_isolation isolation, uint64_t timeout_ns)
{
    kd_txn *txn;
    kd_txn_options options = {.isolation = isolation, .lock_timeout_ns = timeout_ns};
    CHECK_STATUS(&f->ctx, kd_txn_begin(&f->ctx, f->manager, &options, &txn));
    return txn;
}

#endif
