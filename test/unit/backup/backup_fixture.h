/*
 * The table fixture, filled with rows 0, 1, 2, ... and a database made of a backup beside it.
 */
#ifndef KD_TEST_BACKUP_FIXTURE_H
#define KD_TEST_BACKUP_FIXTURE_H

#include "backup/backup.h"
#include "table_fixture.h"

/* Rows first .. first + count - 1. */
static inline void rows_add(table_fixture *f, int64_t first, int64_t count)
{
    kd_txn *txn = fixture_begin(f);
    for (int64_t id = first; id < first + count; id++)
        fixture_insert(f, txn, id, "a name of some length", 1);
    fixture_commit(f, txn);
}

/* Opens what was restored, beside the original: everything is intact, and there are the first rows
 * and no others. */
static inline uint64_t restored_rows(table_fixture *f, const char *directory)
{
    table_fixture restored = *f;
    int64_t sum;
    restored.options.directory = directory;
    restored.arena = kd_arena_create(&f->ctx, NULL, "restored", KD_ARENA_UNLIMITED);
    fixture_reopen(&restored);
    CHECK_STATUS(&f->ctx, kd_storage_check(&f->ctx, restored.storage));
    kd_txn *txn = fixture_begin(&restored);
    uint64_t count = fixture_scan(&restored, kd_txn_snapshot(txn), &sum);
    kd_rowref ref;
    for (uint64_t id = 0; id < count; id += 1 + count / 500)
        CHECK(fixture_find(&restored, kd_txn_snapshot(txn), (int64_t)id, &ref, NULL));
    CHECK(!fixture_find(&restored, kd_txn_snapshot(txn), (int64_t)count, &ref, NULL));
    fixture_commit(&restored, txn);
    rows_add(&restored, (int64_t)count, 10); /* It goes on. */
    CHECK_STATUS(&f->ctx, kd_storage_close(&f->ctx, restored.storage));
    kd_arena_destroy(restored.arena);
    return count;
}

#endif
