/*
 * Row locks: the four modes of PostgreSQL and their conflicts.
 *
 *                    KEY SHARE  SHARE  NO KEY UPDATE  UPDATE
 *   KEY SHARE                                           x
 *   SHARE                               x               x
 *   NO KEY UPDATE                x      x               x
 *   UPDATE              x        x      x               x
 */
#include "txn/txn_internal.h"

const uint8_t kdi_row_lock_conflicts[4] = {
    [KD_LOCK_KEY_SHARE] = 1u << KD_LOCK_UPDATE,
    [KD_LOCK_SHARE] = 1u << KD_LOCK_NO_KEY_UPDATE | 1u << KD_LOCK_UPDATE,
    [KD_LOCK_NO_KEY_UPDATE] =
        1u << KD_LOCK_SHARE | 1u << KD_LOCK_NO_KEY_UPDATE | 1u << KD_LOCK_UPDATE,
    [KD_LOCK_UPDATE] = 15,
};

void kd_row_latch(kd_txn_manager *manager, uint64_t table_no, uint64_t row)
{
    kd_mutex_lock(&kdi_lock_shard_of(manager, table_no, row)->mutex);
}

void kd_row_unlatch(kd_txn_manager *manager, uint64_t table_no, uint64_t row)
{
    kd_mutex_unlock(&kdi_lock_shard_of(manager, table_no, row)->mutex);
}

uint64_t kd_row_lock_blocker(kd_txn *txn, uint64_t table_no, uint64_t row, kd_row_lock mode)
{
    kdi_lock_shard *shard = kdi_lock_shard_of(txn->manager, table_no, row);
    const kdi_lock_entry *entry = kdi_lock_find(shard, table_no, row);
    if (entry == NULL)
        return 0;
    for (const kdi_lock_grant *grant = entry->grants; grant != NULL; grant = grant->next) {
        if (grant->txn != txn && (grant->modes & kdi_row_lock_conflicts[mode]) != 0)
            return grant->txn_no;
    }
    return 0;
}

kd_status kd_row_lock_take(kd_ctx *ctx, kd_txn *txn, uint64_t table_no, uint64_t row,
                           kd_row_lock mode)
{
    kdi_lock_shard *shard = kdi_lock_shard_of(txn->manager, table_no, row);
    kdi_lock_grant *grant;
    KD_TRY(kdi_lock_grant_get(ctx, shard, txn, table_no, row, &grant));
    grant->modes |= (uint8_t)(1u << mode);
    return KD_OK;
}

uint64_t kd_row_lock_count(kd_txn_manager *manager)
{
    return atomic_load(&manager->row_lock_count);
}
