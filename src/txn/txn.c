/*
 * A transaction's life: begin, statements, savepoints, participants, rollback.
 */
#include "txn/txn_internal.h"

#include <assert.h>

static kd_status txn_make(kd_ctx *ctx, kd_txn_manager *manager, kd_txn **out_txn)
{
    *out_txn = NULL;
    kd_txn *txn = KD_HEAP_NEW(ctx, manager->account, kd_txn);
    if (txn == NULL)
        return KD_NOMEM;
    txn->arena = kd_arena_create(ctx, NULL, "transaction", KD_ARENA_UNLIMITED);
    if (txn->arena == NULL) {
        kd_heap_free(ctx->world, manager->account, txn);
        return KD_NOMEM;
    }
    txn->redo_arena = kd_arena_create(ctx, NULL, "redo", KD_ARENA_UNLIMITED);
    if (txn->redo_arena == NULL) {
        kd_arena_destroy(txn->arena);
        kd_heap_free(ctx->world, manager->account, txn);
        return KD_NOMEM;
    }
    txn->manager = manager;
    txn->redo = kd_buffer_in(txn->redo_arena);
    kd_mutex_init(&txn->held_lock, ctx->world);
    kd_cond_init(&txn->wait_cond, ctx->world);
    *out_txn = txn;
    return KD_OK;
}

kd_status kd_txn_begin(kd_ctx *ctx, kd_txn_manager *manager, const kd_txn_options *options,
                       kd_txn **out_txn)
{
    *out_txn = NULL;
    uint32_t slot;
    KD_TRY(kdi_slot_take(ctx, manager, &slot));
    kd_txn *txn = manager->slots[slot].txn;
    if (txn == NULL) {
        kd_status status = txn_make(ctx, manager, &txn);
        if (status != KD_OK) {
            kdi_slot_give(manager, slot);
            return status;
        }
        manager->slots[slot].txn = txn;
    }
    txn->slot = slot;
    txn->options = *options;
    txn->no = atomic_fetch_add(&manager->next_sequence, 1) << KDI_SLOT_BITS | slot;
    txn->start_us = ctx->world->wall_us(ctx->world);
    bool keeps_all = options->isolation == KD_SERIALIZABLE;
    txn->snapshot = kdi_snapshot_take(manager, slot, keeps_all, &txn->seen_end);
    txn->keeps = keeps_all ? txn->snapshot : 0;
    txn->reaches_all = true;
    txn->sees_latest = txn->looked_past = false;
    txn->is_open = true;
    atomic_store(&manager->slots[slot].txn_no, txn->no);
    *out_txn = txn;
    return KD_OK;
}

/* Everything of the transaction is stamped or undone: others may go on. */
static void txn_end(kd_txn *txn)
{
    kd_txn_manager *manager = txn->manager;
    assert(txn->is_open);
    if (txn->held_bytes > 0)
        kd_wal_release(manager->wal, txn->held_bytes);
    txn->held_bytes = 0;
    kdi_lock_release_all(txn);
    uint64_t no = txn->no;
    atomic_store(&manager->slots[txn->slot].txn_no, 0);
    kdi_wait_wake(manager, no);

    if (kd_arena_used_bytes(txn->arena) > 0)
        kd_arena_reset(txn->arena);
    if (txn->redo.capacity_bytes > KDI_REDO_KEEP_BYTES) {
        kd_arena_reset(txn->redo_arena);
        txn->redo = kd_buffer_in(txn->redo_arena);
    }
    txn->redo.size_bytes = 0;
    txn->streamed_bytes = 0;
    txn->has_streamed = false;
    txn->is_uncommittable = false;
    txn->members = NULL;
    txn->member_count = txn->member_capacity = 0;
    txn->savepoints = NULL;
    txn->savepoint_count = txn->savepoint_capacity = 0;
    txn->savepoint_no = 0;
    txn->attachment = NULL;
    txn->is_open = false;
}

static void txn_leave(kd_txn *txn)
{
    kdi_slot_give(txn->manager, txn->slot);
    kd_txn_reclaim(txn->manager);
}

void kd_txn_rollback(kd_txn *txn)
{
    kd_txn_wake(txn);
    for (size_t i = txn->member_count; i > 0; i--) {
        const kdi_member *member = &txn->members[i - 1];
        if (member->participant->rolled_back != NULL)
            member->participant->rolled_back(member->object);
    }
    txn_end(txn);
    txn_leave(txn);
}

static size_t redo_pending(const kd_txn *txn)
{
    size_t head = KD_WAL_FRAME_BYTES + KD_LOG_COMMIT_HEAD_BYTES;
    return txn->redo.size_bytes > head ? txn->redo.size_bytes - head : 0;
}

/* --- Commit ---------------------------------------------------------------------------------- */

static kd_status members_prepare(kd_ctx *ctx, kd_txn *txn)
{
    for (size_t i = 0; i < txn->member_count; i++) { /* May grow meanwhile. */
        kdi_member member = txn->members[i];
        if (member.participant->prepare != NULL)
            KD_TRY(member.participant->prepare(ctx, member.object));
    }
    return KD_OK;
}

static void members_committed(kd_txn *txn, kd_stamp stamp)
{
    for (size_t i = 0; i < txn->member_count; i++) {
        const kdi_member *member = &txn->members[i];
        if (member->participant->committed != NULL)
            member->participant->committed(member->object, stamp);
    }
}

static kd_status log_failed(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_IO, "58030", "the log has failed: the database must be opened again");
}

static kd_status wait_end_durable(kd_ctx *ctx, kd_txn_manager *manager, uint64_t end)
{
    if (manager->wal == NULL || kd_wal_durable_position(manager->wal) >= end)
        return KD_OK;
    return kd_wal_wait_durable(ctx, manager->wal, end);
}

/* Nothing to log: the answers that were read must be durable, that is all. */
static kd_status commit_reader(kd_ctx *ctx, kd_txn *txn)
{
    kd_txn_manager *manager = txn->manager;
    members_committed(txn, txn->snapshot);
    uint64_t end = txn->seen_end;
    if (txn->sees_latest && manager->wal != NULL)
        end = kd_wal_next_position(manager->wal);
    bool waits = txn->options.durability == KD_DURABLE;
    txn_end(txn);
    txn_leave(txn);
    return waits ? wait_end_durable(ctx, manager, end) : KD_OK;
}

static void commit_head_fill(kd_txn *txn)
{
    char *head = txn->redo.data + KD_WAL_FRAME_BYTES;
    kd_store_u64(head, txn->no);
    kd_store_u64(head + 8, (uint64_t)txn->manager->world->wall_us(txn->manager->world));
    head[16] = txn->has_streamed ? 1 : 0;
}

static kd_status commit_reserve(kd_ctx *ctx, kd_txn *txn, kd_wal_reservation *out_place)
{
    kd_txn_manager *manager = txn->manager;
    size_t held_bytes = txn->held_bytes;
    txn->held_bytes = 0;
    if (txn->is_uncommittable) {
        kd_wal_release(manager->wal, held_bytes);
        return KD_FAIL(ctx, KD_IO, "53100",
                       "the transaction cannot be committed: the log had no room for a savepoint");
    }
    return kd_wal_reserve(ctx, manager->wal, txn->redo.size_bytes, held_bytes, kdi_commit_enter,
                          manager, out_place);
}

static kd_status commit_writer(kd_ctx *ctx, kd_txn *txn)
{
    kd_txn_manager *manager = txn->manager;
    kd_wal_reservation place;
    commit_head_fill(txn);
    kd_status status = kd_wal_record_end(ctx, &txn->redo, txn->redo_mark);
    if (status == KD_OK && atomic_load(&manager->has_failed))
        status = log_failed(ctx);
    for (size_t i = 0; status == KD_OK && i < txn->member_count; i++) {
        if (txn->members[i].participant->logging != NULL)
            status = txn->members[i].participant->logging(ctx, txn->members[i].object);
    }
    if (status == KD_OK)
        status = commit_reserve(ctx, txn, &place);
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    status = kd_wal_fill(ctx, manager->wal, &place, txn->redo.data);
    if (status != KD_OK) {
        /* Whether the record will be there after a restart is unknown; here it never happened. */
        atomic_store(&manager->has_failed, true);
        kd_txn_rollback(txn);
        kdi_commit_done(manager, place.position);
        return status;
    }
    /* From here on nothing fails until the log is waited for. */
    members_committed(txn, place.position);
    bool waits = txn->options.durability == KD_DURABLE;
    txn_end(txn);
    kdi_commit_done(manager, place.position);
    kd_txn_wait_watermark(manager, place.position);
    txn_leave(txn);
    if (!waits)
        return KD_OK;
    status = kd_wal_wait_durable(ctx, manager->wal, place.end);
    if (status != KD_OK)
        atomic_store(&manager->has_failed, true);
    return status;
}

kd_status kd_txn_commit(kd_ctx *ctx, kd_txn *txn)
{
    kd_txn_wake(txn);
    kd_status status = members_prepare(ctx, txn);
    if (status != KD_OK) {
        kd_txn_rollback(txn);
        return status;
    }
    if (redo_pending(txn) == 0 && !txn->has_streamed)
        return commit_reader(ctx, txn);
    return commit_writer(ctx, txn);
}

kd_status kd_txn_wait_visible_durable(kd_ctx *ctx, kd_txn *txn)
{
    if (txn->options.durability != KD_DURABLE)
        return KD_OK;
    uint64_t end = txn->seen_end;
    if (txn->sees_latest && txn->manager->wal != NULL) {
        end = kd_wal_next_position(txn->manager->wal);
        txn->sees_latest = false;
    }
    return wait_end_durable(ctx, txn->manager, end);
}

/* --- Redo ------------------------------------------------------------------------------------ */

static kd_status redo_start(kd_ctx *ctx, kd_txn *txn)
{
    static const char head[KD_LOG_COMMIT_HEAD_BYTES] = {0};
    if (txn->options.read_only || txn->manager->wal == NULL)
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot write in a read-only transaction");
    if (atomic_load(&txn->manager->has_failed))
        return log_failed(ctx);
    kd_status status = kd_wal_record_begin(ctx, &txn->redo, KD_LOG_COMMIT, &txn->redo_mark);
    if (status == KD_OK)
        status = kd_buffer_append(ctx, &txn->redo, head, sizeof head);
    if (status != KD_OK)
        txn->redo.size_bytes = 0;
    return status;
}

kd_status kd_txn_redo(kd_ctx *ctx, kd_txn *txn, kd_buffer **out_redo)
{
    *out_redo = NULL;
    kd_txn_wake(txn);
    if (txn->redo.size_bytes == 0)
        KD_TRY(redo_start(ctx, txn));
    *out_redo = &txn->redo;
    return KD_OK;
}

kd_status kd_txn_redo_added(kd_ctx *ctx, kd_txn *txn)
{
    if (txn->redo.size_bytes < txn->manager->redo_stream_bytes)
        return KD_OK;
    /* The part's head fits where the commit record's will be: the redo is not copied. */
    size_t pending = redo_pending(txn);
    size_t head = KD_WAL_FRAME_BYTES + KD_LOG_PART_HEAD_BYTES;
    char *record = txn->redo.data + KD_LOG_COMMIT_HEAD_BYTES - KD_LOG_PART_HEAD_BYTES;
    kd_store_u32(record, (uint32_t)(KD_LOG_PART_HEAD_BYTES + pending));
    record[4] = KD_LOG_PART;
    kd_store_u64(record + KD_WAL_FRAME_BYTES, txn->no);
    /* Before the part is in the log, so that no checkpoint overlooks it. */
    kdi_slot *slot = &txn->manager->slots[txn->slot];
    if (atomic_load(&slot->first_part) == 0)
        atomic_store(&slot->first_part, kd_wal_next_position(txn->manager->wal));
    KD_TRY(kd_wal_append(ctx, txn->manager->wal, record, head + pending, NULL, NULL));
    txn->streamed_bytes += pending;
    txn->has_streamed = true;
    txn->redo.size_bytes = 0;
    return redo_start(ctx, txn);
}

kd_status kd_txn_hold_log(kd_ctx *ctx, kd_txn *txn)
{
    assert(txn->held_bytes == 0);
    KD_TRY(kd_wal_hold(ctx, txn->manager->wal, txn->redo.size_bytes));
    txn->held_bytes = txn->redo.size_bytes;
    return KD_OK;
}

static kd_status record_append(kd_ctx *ctx, kd_txn_manager *manager, uint8_t kind, kd_slice payload,
                               bool wait)
{
    kd_arena *scratch = kd_arena_create(ctx, NULL, "log record", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_buffer buffer = kd_buffer_in(scratch);
    size_t mark;
    uint64_t end = 0;
    kd_status status = kd_wal_record_begin(ctx, &buffer, kind, &mark);
    if (status == KD_OK)
        status = kd_buffer_append_slice(ctx, &buffer, payload);
    if (status == KD_OK)
        status = kd_wal_record_end(ctx, &buffer, mark);
    if (status == KD_OK)
        status = kd_wal_append(ctx, manager->wal, buffer.data, buffer.size_bytes, NULL, &end);
    if (status == KD_OK && wait)
        status = kd_wal_wait_durable(ctx, manager->wal, end);
    kd_arena_destroy(scratch);
    return status;
}

kd_status kd_txn_log_alone(kd_ctx *ctx, kd_txn_manager *manager, kd_slice payload, bool wait)
{
    if (manager->wal == NULL)
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot write in a read-only database");
    return record_append(ctx, manager, KD_LOG_ALONE, payload, wait);
}

/* --- Savepoints ------------------------------------------------------------------------------ */

kd_status kd_txn_savepoint(kd_ctx *ctx, kd_txn *txn, uint32_t *out_savepoint)
{
    *out_savepoint = 0;
    kdi_savepoint *savepoint;
    kd_txn_wake(txn);
    KD_TRY(KD_PUSH(ctx, txn->arena, txn->savepoints, txn->savepoint_count, txn->savepoint_capacity,
                   &savepoint));
    savepoint->no = ++txn->savepoint_no;
    savepoint->redo_bytes = txn->streamed_bytes + redo_pending(txn);
    *out_savepoint = savepoint->no;
    return KD_OK;
}

/* Shortens the redo stream; what was streamed already is cut by a record of its own. */
static void redo_cut(kd_txn *txn, uint64_t stream_bytes)
{
    if (txn->redo.size_bytes == 0)
        return;
    size_t head = KD_WAL_FRAME_BYTES + KD_LOG_COMMIT_HEAD_BYTES;
    if (stream_bytes >= txn->streamed_bytes) {
        txn->redo.size_bytes = head + (size_t)(stream_bytes - txn->streamed_bytes);
        if (txn->redo.size_bytes == head && !txn->has_streamed)
            txn->redo.size_bytes = 0; /* Nothing was written after all. */
        return;
    }
    char payload[16];
    kd_store_u64(payload, txn->no);
    kd_store_u64(payload + 8, stream_bytes);
    kd_ctx ctx = {.world = txn->manager->world};
    kd_status status =
        record_append(&ctx, txn->manager, KD_LOG_CUT, (kd_slice){payload, sizeof payload}, false);
    /* Without the cut the parts would count: the transaction must not commit any more. */
    if (status != KD_OK)
        txn->is_uncommittable = true;
    txn->streamed_bytes = stream_bytes;
    txn->redo.size_bytes = head;
}

void kd_txn_rollback_to(kd_txn *txn, uint32_t savepoint)
{
    kd_txn_wake(txn);
    while (txn->savepoint_count > 0 && txn->savepoints[txn->savepoint_count - 1].no > savepoint)
        txn->savepoint_count--;
    assert(txn->savepoint_count > 0);
    assert(txn->savepoints[txn->savepoint_count - 1].no == savepoint);
    for (size_t i = txn->member_count; i > 0; i--) {
        const kdi_member *member = &txn->members[i - 1];
        if (member->participant->rolled_back_to != NULL)
            member->participant->rolled_back_to(member->object, savepoint);
    }
    redo_cut(txn, txn->savepoints[txn->savepoint_count - 1].redo_bytes);
}

void kd_txn_release(kd_txn *txn, uint32_t savepoint)
{
    while (txn->savepoint_count > 0 && txn->savepoints[txn->savepoint_count - 1].no >= savepoint)
        txn->savepoint_count--;
}

void kd_txn_wake(kd_txn *txn)
{
    if (txn->reaches_all)
        return;
    txn->reaches_all = true;
    atomic_store(&txn->manager->slots[txn->slot].reached, UINT64_MAX);
}

/* Those of SERIALIZABLE point at what they read. */
static void reach(kd_txn *txn, uint64_t epoch)
{
    if (txn->options.isolation == KD_SERIALIZABLE)
        return;
    txn->reaches_all = false;
    atomic_store(&txn->manager->slots[txn->slot].reached, epoch);
}

void kd_txn_rest(kd_txn *txn)
{
    reach(txn, 0);
}

void kd_txn_scan_only(kd_txn *txn)
{
    reach(txn, atomic_load(&txn->manager->epoch));
}

bool kd_txn_savepoint_between(const kd_txn *txn, uint32_t earlier, uint32_t later)
{
    for (size_t i = txn->savepoint_count; i > 0 && txn->savepoints[i - 1].no > earlier; i--) {
        if (txn->savepoints[i - 1].no <= later)
            return true;
    }
    return false;
}

uint32_t kd_txn_savepoint_innermost(const kd_txn *txn)
{
    return txn->savepoint_count == 0 ? 0 : txn->savepoints[txn->savepoint_count - 1].no;
}

/* --- What others ask ------------------------------------------------------------------------- */

bool kd_txn_has_work(const kd_txn *txn)
{
    return txn->member_count > 0;
}

kd_status kd_txn_join(kd_ctx *ctx, kd_txn *txn, const kd_txn_participant *participant, void *object)
{
    kdi_member *member;
    KD_TRY(
        KD_PUSH(ctx, txn->arena, txn->members, txn->member_count, txn->member_capacity, &member));
    *member = (kdi_member){.participant = participant, .object = object};
    return KD_OK;
}

void kd_txn_statement_begin(kd_txn *txn)
{
    kd_txn_wake(txn);
    if (txn->options.isolation != KD_READ_COMMITTED)
        return;
    uint64_t end;
    /* Locks are given up before the watermark passes their holder's stamp: without waiting, the
     * next statement could see a row as it was before another one's commit beside the version that
     * this transaction has put over it. */
    if (txn->looked_past)
        kd_txn_wait_watermark(txn->manager, kd_txn_newest_stamp(txn->manager));
    txn->looked_past = false;
    txn->snapshot = kdi_snapshot_take(txn->manager, txn->slot, false, &end);
    txn->seen_end = end > txn->seen_end ? end : txn->seen_end;
}

kd_snapshot kd_txn_snapshot(const kd_txn *txn)
{
    return (kd_snapshot){.stamp = txn->snapshot, .txn_no = txn->no};
}

kd_stamp kd_txn_snapshot_stamp(const kd_txn *txn)
{
    return txn->snapshot;
}

void kd_txn_note_latest(kd_txn *txn)
{
    kd_txn_keep(txn);
    txn->sees_latest = true;
}

static void keep_from(kd_txn *txn, kd_stamp stamp)
{
    txn->keeps = stamp;
    atomic_store(&txn->manager->slots[txn->slot].keeps, stamp);
}

void kd_txn_keep(kd_txn *txn)
{
    kd_txn_wake(txn);
    txn->looked_past = true;
    if (txn->keeps == 0)
        keep_from(txn, atomic_load(&txn->manager->watermark));
}

void kd_txn_keep_snapshot(kd_txn *txn)
{
    kd_txn_wake(txn);
    if (txn->keeps == 0 || txn->keeps > txn->snapshot)
        keep_from(txn, txn->snapshot);
}

void kd_txn_keep_end(kd_txn *txn)
{
    if (txn->keeps != 0 && txn->options.isolation != KD_SERIALIZABLE)
        keep_from(txn, 0);
}

kd_isolation kd_txn_isolation(const kd_txn *txn)
{
    return txn->options.isolation;
}

bool kd_txn_is_read_only(const kd_txn *txn)
{
    return txn->options.read_only;
}

void kd_txn_set_read_only(kd_txn *txn, bool read_only)
{
    txn->options.read_only = read_only;
}

uint64_t kd_txn_no(const kd_txn *txn)
{
    return txn->no;
}

int64_t kd_txn_start_us(const kd_txn *txn)
{
    return txn->start_us;
}

kd_arena *kd_txn_arena(kd_txn *txn)
{
    return txn->arena;
}

void kd_txn_set_lock_timeout(kd_txn *txn, uint64_t timeout_ns)
{
    txn->options.lock_timeout_ns = timeout_ns;
}

void kd_txn_set_durability(kd_txn *txn, kd_durability durability)
{
    txn->options.durability = durability;
}

uint32_t kd_txn_savepoint_now(const kd_txn *txn)
{
    return txn->savepoint_no;
}

void *kd_txn_attachment(const kd_txn *txn)
{
    return txn->attachment;
}

void kd_txn_attach(kd_txn *txn, void *object)
{
    txn->attachment = object;
}

kd_txn *kd_txn_of_no(kd_txn_manager *manager, uint64_t txn_no)
{
    if (txn_no == 0 || !kd_txn_is_active(manager, txn_no))
        return NULL;
    return manager->slots[txn_no & (KDI_SLOT_COUNT - 1)].txn;
}

kd_txn_manager *kd_txn_manager_of(const kd_txn *txn)
{
    return txn->manager;
}
