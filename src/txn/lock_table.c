/*
 * The table of locks: (table, row) -> who holds which modes.
 *
 * Sharded hash tables; an entry exists while somebody holds or wants something on
 * it. A row's entry moves to another key when the row moves, so whoever comes from
 * a grant looks at the entry's key again after locking its shard.
 */
#include "base/hash.h"
#include "txn/txn_internal.h"

#include <assert.h>

enum { BUCKETS_FIRST = 64 };

static uint64_t key_hash(uint64_t table_no, uint64_t row)
{
    return kd_hash_combine(kd_hash_u64(table_no), row);
}

kdi_lock_shard *kdi_lock_shard_of(kd_txn_manager *manager, uint64_t table_no, uint64_t row)
{
    return &manager->shards[key_hash(table_no, row) % KDI_LOCK_SHARDS];
}

static kdi_lock_entry **bucket_of(kdi_lock_shard *shard, uint64_t table_no, uint64_t row)
{
    uint64_t hash = key_hash(table_no, row) / KDI_LOCK_SHARDS;
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

kdi_lock_entry *kdi_lock_find(kdi_lock_shard *shard, uint64_t table_no, uint64_t row)
{
    if (shard->entry_count == 0)
        return NULL;
    for (kdi_lock_entry *entry = *bucket_of(shard, table_no, row); entry != NULL;
         entry = entry->next) {
        if (entry->table_no == table_no && atomic_load(&entry->row) == row)
            return entry;
    }
    return NULL;
}

static kd_status shard_grow(kd_ctx *ctx, kd_account *account, kdi_lock_shard *shard)
{
    uint32_t count = shard->bucket_count == 0 ? BUCKETS_FIRST : shard->bucket_count * 4;
    kdi_lock_entry **buckets = kd_heap_alloc(ctx, account, count * sizeof *buckets);
    if (buckets == NULL)
        return KD_NOMEM;
    kdi_lock_entry **old = shard->buckets;
    uint32_t old_count = shard->bucket_count;
    shard->buckets = buckets;
    shard->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            kdi_lock_entry *entry = old[i];
            old[i] = entry->next;
            kdi_lock_entry **bucket = bucket_of(shard, entry->table_no, atomic_load(&entry->row));
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    kd_heap_free(ctx->world, account, old);
    return KD_OK;
}

static void entry_link(kdi_lock_shard *shard, kdi_lock_entry *entry)
{
    kdi_lock_entry **bucket = bucket_of(shard, entry->table_no, atomic_load(&entry->row));
    entry->next = *bucket;
    *bucket = entry;
    shard->entry_count++;
}

static void entry_unlink(kdi_lock_shard *shard, kdi_lock_entry *entry)
{
    kdi_lock_entry **at = bucket_of(shard, entry->table_no, atomic_load(&entry->row));
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    shard->entry_count--;
}

static kd_status entry_get(kd_ctx *ctx, kd_txn_manager *manager, kdi_lock_shard *shard,
                           uint64_t table_no, uint64_t row, kdi_lock_entry **out_entry)
{
    *out_entry = kdi_lock_find(shard, table_no, row);
    if (*out_entry != NULL)
        return KD_OK;
    if (shard->entry_count >= shard->bucket_count * 2)
        KD_TRY(shard_grow(ctx, manager->account, shard));
    kdi_lock_entry *entry = KD_HEAP_NEW(ctx, manager->account, kdi_lock_entry);
    if (entry == NULL)
        return KD_NOMEM;
    entry->table_no = table_no;
    atomic_store(&entry->row, row);
    entry_link(shard, entry);
    *out_entry = entry;
    return KD_OK;
}

static void entry_drop_if_empty(kd_txn_manager *manager, kdi_lock_shard *shard,
                                kdi_lock_entry *entry)
{
    if (entry->grants != NULL)
        return;
    entry_unlink(shard, entry);
    kd_heap_free(manager->world, manager->account, entry);
}

/* A grant of `txn` on the entry, which may belong to another thread. */
static kd_status grant_add(kd_ctx *ctx, kd_txn *txn, kdi_lock_entry *entry,
                           kdi_lock_grant **out_grant)
{
    kd_txn_manager *manager = txn->manager;
    kdi_lock_grant *grant = KD_HEAP_NEW(ctx, manager->account, kdi_lock_grant);
    *out_grant = grant;
    if (grant == NULL)
        return KD_NOMEM;
    grant->entry = entry;
    grant->txn = txn;
    grant->txn_no = txn->no;
    kdi_lock_grant **tail = &entry->grants;
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = grant;
    kd_mutex_lock(&txn->held_lock);
    grant->next_held = txn->held;
    txn->held = grant;
    kd_mutex_unlock(&txn->held_lock);
    if (atomic_load(&entry->row) != KDI_LOCK_WHOLE_TABLE)
        atomic_fetch_add(&manager->row_lock_count, 1);
    return KD_OK;
}

kd_status kdi_lock_grant_get(kd_ctx *ctx, kdi_lock_shard *shard, kd_txn *txn, uint64_t table_no,
                             uint64_t row, kdi_lock_grant **out_grant)
{
    kdi_lock_entry *entry;
    *out_grant = NULL;
    KD_TRY(entry_get(ctx, txn->manager, shard, table_no, row, &entry));
    for (kdi_lock_grant *grant = entry->grants; grant != NULL; grant = grant->next) {
        if (grant->txn == txn) {
            *out_grant = grant;
            return KD_OK;
        }
    }
    kd_status status = grant_add(ctx, txn, entry, out_grant);
    entry_drop_if_empty(txn->manager, shard, entry); /* When the grant could not be made. */
    return status;
}

static void grant_release(kd_txn *txn, kdi_lock_grant *grant)
{
    kd_txn_manager *manager = txn->manager;
    kdi_lock_entry *entry = grant->entry;
    kdi_lock_shard *shard;
    uint64_t row;
    for (;;) {
        row = atomic_load(&entry->row);
        shard = kdi_lock_shard_of(manager, entry->table_no, row);
        kd_mutex_lock(&shard->mutex);
        if (atomic_load(&entry->row) == row)
            break;
        kd_mutex_unlock(&shard->mutex); /* It moved meanwhile. */
    }
    kdi_lock_grant **at = &entry->grants;
    while (*at != grant)
        at = &(*at)->next;
    *at = grant->next;
    entry_drop_if_empty(manager, shard, entry);
    kd_mutex_unlock(&shard->mutex);
    if (row != KDI_LOCK_WHOLE_TABLE)
        atomic_fetch_sub(&manager->row_lock_count, 1);
    kd_heap_free(manager->world, manager->account, grant);
}

void kdi_lock_release_all(kd_txn *txn)
{
    for (;;) {
        /* One by one: another thread may carry one of these to a row's new version, and puts the
         * copy on this list while the original is not yet released. */
        kd_mutex_lock(&txn->held_lock);
        kdi_lock_grant *grant = txn->held;
        if (grant != NULL)
            txn->held = grant->next_held;
        kd_mutex_unlock(&txn->held_lock);
        if (grant == NULL)
            return;
        grant_release(txn, grant);
    }
}

void kdi_lock_shards_clear(kd_txn_manager *manager)
{
    for (uint32_t i = 0; i < KDI_LOCK_SHARDS; i++) {
        assert(manager->shards[i].entry_count == 0);
        kd_heap_free(manager->world, manager->account, manager->shards[i].buckets);
        kd_mutex_clear(&manager->shards[i].mutex);
    }
}

/* --- Locks that follow a row ----------------------------------------------------------------- */

static void lock_two(kdi_lock_shard *a, kdi_lock_shard *b)
{
    kd_mutex_lock(a < b ? &a->mutex : &b->mutex);
    if (a != b)
        kd_mutex_lock(a < b ? &b->mutex : &a->mutex);
}

static void unlock_two(kdi_lock_shard *a, kdi_lock_shard *b)
{
    kd_mutex_unlock(&a->mutex);
    if (a != b)
        kd_mutex_unlock(&b->mutex);
}

static kd_status grants_copy(kd_ctx *ctx, kd_txn_manager *manager, kdi_lock_shard *shard,
                             const kdi_lock_entry *from, uint64_t to)
{
    kdi_lock_entry *entry;
    KD_TRY(entry_get(ctx, manager, shard, from->table_no, to, &entry));
    kd_status status = KD_OK;
    for (const kdi_lock_grant *grant = from->grants; grant != NULL && status == KD_OK;
         grant = grant->next) {
        kdi_lock_grant *copy;
        status = grant_add(ctx, grant->txn, entry, &copy);
        if (status == KD_OK)
            copy->modes = grant->modes;
    }
    entry_drop_if_empty(manager, shard, entry);
    return status;
}

kd_status kd_row_lock_carry(kd_ctx *ctx, kd_txn_manager *manager, uint64_t table_no, uint64_t from,
                            uint64_t to, bool keep)
{
    kdi_lock_shard *source = kdi_lock_shard_of(manager, table_no, from);
    kdi_lock_shard *target = kdi_lock_shard_of(manager, table_no, to);
    kd_status status = KD_OK;
    lock_two(source, target);
    kdi_lock_entry *entry = kdi_lock_find(source, table_no, from);
    if (entry != NULL && keep) {
        status = grants_copy(ctx, manager, target, entry, to);
    } else if (entry != NULL) {
        if (target->entry_count >= target->bucket_count * 2)
            status = shard_grow(ctx, manager->account, target);
        if (status != KD_OK && target->bucket_count > 0) {
            kd_error_clear(ctx); /* Fuller buckets do as well. */
            status = KD_OK;
        }
        if (status == KD_OK) {
            entry_unlink(source, entry);
            atomic_store(&entry->row, to);
            entry_link(target, entry);
        }
    }
    unlock_two(source, target);
    return status;
}

kd_status kd_row_lock_each(kd_ctx *ctx, kd_txn_manager *manager, uint64_t table_no,
                           kd_status (*visit)(kd_ctx *ctx, void *object, uint64_t row),
                           void *object)
{
    for (uint32_t i = 0; i < KDI_LOCK_SHARDS; i++) {
        kdi_lock_shard *shard = &manager->shards[i];
        for (uint32_t bucket = 0;; bucket++) {
            uint64_t rows[16];
            uint32_t count = 0;
            kd_mutex_lock(&shard->mutex);
            bool is_end = bucket >= shard->bucket_count;
            for (kdi_lock_entry *entry = is_end ? NULL : shard->buckets[bucket];
                 entry != NULL && count < 16; entry = entry->next) {
                uint64_t row = atomic_load(&entry->row);
                if (entry->table_no == table_no && row != KDI_LOCK_WHOLE_TABLE)
                    rows[count++] = row;
            }
            kd_mutex_unlock(&shard->mutex);
            if (is_end)
                break;
            for (uint32_t k = 0; k < count; k++)
                KD_TRY(visit(ctx, object, rows[k]));
        }
    }
    return KD_OK;
}
