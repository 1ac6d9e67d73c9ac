/*
 * Table locks. Requests stand in line: who comes later waits behind an earlier
 * request that it conflicts with, so DDL is not starved by a stream of readers. Who
 * holds something on the table already passes the line, or it would wait for
 * somebody who waits for it.
 */
#include "txn/txn_internal.h"

enum {
    SOLE = 1u << KD_TABLE_EXCLUSIVE,
    SOLE_WRITERS = SOLE | 1u << KD_TABLE_READERS_ONLY,
    SHARERS = 1u << KD_TABLE_SHARE | 1u << KD_TABLE_SHARE_ALONE | SOLE_WRITERS,
    KEEPERS = SHARERS | 1u << KD_TABLE_KEEP_UP,
    WRITERS = 1u << KD_TABLE_WRITE,
};

static const uint8_t conflicts[KD_TABLE_LOCK_COUNT] = {
    [KD_TABLE_USE] = SOLE,
    [KD_TABLE_LOCK_ROWS] = SOLE_WRITERS,
    [KD_TABLE_WRITE] = SHARERS,
    [KD_TABLE_KEEP_UP] = KEEPERS,
    [KD_TABLE_SHARE] = WRITERS | (KEEPERS & ~(1u << KD_TABLE_SHARE)),
    [KD_TABLE_SHARE_ALONE] = WRITERS | KEEPERS,
    [KD_TABLE_READERS_ONLY] = WRITERS | KEEPERS | 1u << KD_TABLE_LOCK_ROWS,
    [KD_TABLE_EXCLUSIVE] = UINT8_MAX,
};

static uint64_t blocker_of(const kdi_lock_grant *own, kd_table_lock mode)
{
    bool is_earlier = true;
    for (const kdi_lock_grant *grant = own->entry->grants; grant != NULL; grant = grant->next) {
        if (grant == own) {
            is_earlier = false;
            continue;
        }
        uint8_t modes = grant->modes;
        if (is_earlier && own->modes == 0)
            modes |= grant->wanted;
        if ((modes & conflicts[mode]) != 0)
            return grant->txn_no;
    }
    return 0;
}

kd_status kd_txn_lock_table(kd_ctx *ctx, kd_txn *txn, uint64_t table_no, kd_table_lock mode,
                            bool no_wait)
{
    kdi_lock_shard *shard = kdi_lock_shard_of(txn->manager, table_no, KDI_LOCK_WHOLE_TABLE);
    uint8_t bit = (uint8_t)(1u << mode);
    kdi_lock_grant *grant;
    kd_mutex_lock(&shard->mutex);
    kd_status status = kdi_lock_grant_get(ctx, shard, txn, table_no, KDI_LOCK_WHOLE_TABLE, &grant);
    while (status == KD_OK && (grant->modes & bit) == 0) {
        uint64_t blocker = blocker_of(grant, mode);
        if (blocker == 0) {
            grant->modes |= bit;
            break;
        }
        if (no_wait) {
            status = KD_FAIL(ctx, KD_BUSY, "55P03", "could not obtain lock on relation");
            break;
        }
        grant->wanted |= bit;
        kd_mutex_unlock(&shard->mutex);
        status = kd_txn_wait_for(ctx, txn, blocker);
        kd_mutex_lock(&shard->mutex);
    }
    /* A grant without modes stays until the transaction ends; it is in nobody's way. */
    if (grant != NULL)
        grant->wanted = 0;
    kd_mutex_unlock(&shard->mutex);
    return status;
}
