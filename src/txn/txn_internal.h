/*
 * Inside module txn: slots, the commit ring, lock entries, waits.
 *
 * A transaction number is (sequence << KDI_SLOT_BITS | slot), so that asking whether
 * a transaction is still active is one load from its slot.
 */
#ifndef KD_TXN_TXN_INTERNAL_H
#define KD_TXN_TXN_INTERNAL_H

#include "base/thread.h"
#include "txn/txn.h"

enum {
    KDI_SLOT_BITS = 12,
    KDI_SLOT_COUNT = 1 << KDI_SLOT_BITS,
    KDI_LOCK_SHARDS = 64,
    KDI_REDO_STREAM_BYTES = 64 << 20, /* Redo above this goes to the log early. */
    KDI_REDO_KEEP_BYTES = 1 << 20,    /* A redo arena above this is given back at the end. */
};

/* The `row` under which a lock on a whole table stands. */
#define KDI_LOCK_WHOLE_TABLE UINT64_MAX

/* One per transaction or pin; 0 in `snapshot` and `epoch` when free. A cache line each. */
typedef struct kdi_slot {
    _Atomic uint64_t txn_no;
    _Atomic uint64_t snapshot;
    _Atomic uint64_t keeps; /* Versions that ended after this stamp stay; 0: no such wish. */
    _Atomic uint64_t epoch;
    _Atomic uint64_t first_part; /* No part of its redo in the log lies before; 0: none. */
    kd_txn *txn;                 /* Made at the slot's first use, then kept. */
    /* Holds nothing that was born at a later epoch. UINT64_MAX: may reach everything. */
    _Atomic uint64_t reached;
    uint64_t padding[1];
} kdi_slot;

typedef struct kdi_commit {
    kd_stamp stamp;
    uint64_t end;
    bool is_done;
} kdi_commit;

typedef struct kdi_lock_entry kdi_lock_entry;
typedef struct kdi_lock_grant kdi_lock_grant;
struct kdi_lock_grant {
    kdi_lock_entry *entry;
    kd_txn *txn;
    uint64_t txn_no;
    uint8_t modes;             /* Bits of modes held. */
    uint8_t wanted;            /* Bits of modes waited for (table locks). */
    kdi_lock_grant *next;      /* On the same thing, oldest first. */
    kdi_lock_grant *next_held; /* Of the same transaction; guarded by the manager's held_lock. */
};

struct kdi_lock_entry {
    uint64_t table_no;
    _Atomic uint64_t row;
    kdi_lock_grant *grants;
    kdi_lock_entry *next;
};

typedef struct kdi_lock_shard {
    kd_mutex mutex;
    kdi_lock_entry **buckets;
    uint32_t bucket_count; /* A power of two, or 0. */
    uint32_t entry_count;
} kdi_lock_shard;

typedef struct kdi_savepoint {
    uint32_t no;
    uint64_t redo_bytes; /* Of the whole stream. */
} kdi_savepoint;

typedef struct kdi_member {
    const kd_txn_participant *participant;
    void *object;
} kdi_member;

struct kd_txn {
    kd_txn_manager *manager;
    uint64_t no;
    uint32_t slot;
    kd_txn_options options;
    int64_t start_us;
    kd_stamp snapshot;
    uint64_t seen_end; /* Log position that must be durable before answers leave. */
    bool sees_latest;
    bool looked_past; /* It may have written over rows that its snapshot does not see. */
    kd_stamp keeps;   /* What its slot says. */
    bool reaches_all;
    bool is_open;
    kd_arena *arena;
    kd_arena *redo_arena;
    kd_buffer redo;
    size_t redo_mark;
    uint64_t streamed_bytes;
    bool has_streamed;
    bool is_uncommittable; /* A cut of its redo found no room in the log. */
    size_t held_bytes;     /* Of the log, for the commit record. */
    kdi_member *members;
    size_t member_count, member_capacity;
    kdi_savepoint *savepoints;
    size_t savepoint_count, savepoint_capacity;
    uint32_t savepoint_no;
    void *attachment;
    kd_mutex held_lock;
    kdi_lock_grant *held;
    /* Guarded by the manager's wait_lock. */
    kd_cond wait_cond;
    uint64_t waiting_for;
    kd_txn *next_waiting;
};

struct kd_txn_manager {
    kd_world *world;
    kd_account *account;
    kd_wal *wal;
    atomic_bool has_failed;
    size_t redo_stream_bytes; /* KDI_REDO_STREAM_BYTES, but for tests. */
    _Atomic uint64_t next_sequence;

    kdi_slot *slots;
    kd_mutex slot_lock;
    uint16_t free_slots[KDI_SLOT_COUNT]; /* The lowest is last. */
    uint32_t free_count;
    _Atomic uint32_t slot_high; /* Slots at or above were never used. */
    _Atomic uint64_t epoch;

    _Atomic uint64_t deadlock_count; /* Since the opening. */
    _Atomic uint64_t pins_made;      /* Counted after a pin's snapshot stands in its slot. */

    _Atomic uint64_t watermark;
    _Atomic uint64_t watermark_end;
    kd_mutex commit_lock;
    kd_cond commit_cond;
    uint32_t commit_waiters;
    kdi_commit *commits; /* A ring of KDI_SLOT_COUNT: one transaction has one at most. */
    uint64_t commit_head, commit_tail;
    kd_stamp newest_stamp;

    kd_mutex garbage_lock;
    kd_txn_garbage *garbage, **garbage_tail;
    _Atomic uint64_t garbage_count;
    kd_txn_garbage *garbage_born;           /* What tells when it was born; in no order. */
    _Atomic uint64_t born_count, born_left; /* Now, and after the last look. */
    uint32_t born_skips;                    /* Looks that were left out since. */

    kd_mutex wait_lock;
    kd_txn *waiting;
    _Atomic uint32_t waiting_count;

    kdi_lock_shard shards[KDI_LOCK_SHARDS];
    _Atomic uint64_t row_lock_count;
};

/* manager.c */
kd_status kdi_slot_take(kd_ctx *ctx, kd_txn_manager *manager, uint32_t *out_slot) KD_MUST_CHECK;
void kdi_slot_give(kd_txn_manager *manager, uint32_t slot);
/* `keeps_all`: everything since the snapshot stays. */
kd_stamp kdi_snapshot_take(kd_txn_manager *manager, uint32_t slot, bool keeps_all,
                           uint64_t *out_end);
/* Under the log's lock: enters a stamp in log order. */
void kdi_commit_enter(void *object, uint64_t position, uint64_t end);
void kdi_commit_done(kd_txn_manager *manager, kd_stamp stamp);

/* lock_table.c */
kdi_lock_shard *kdi_lock_shard_of(kd_txn_manager *manager, uint64_t table_no, uint64_t row);
kdi_lock_entry *kdi_lock_find(kdi_lock_shard *shard, uint64_t table_no, uint64_t row);
/* The caller's grant on the entry, made when absent. The shard's mutex is held. */
kd_status kdi_lock_grant_get(kd_ctx *ctx, kdi_lock_shard *shard, kd_txn *txn, uint64_t table_no,
                             uint64_t row, kdi_lock_grant **out_grant) KD_MUST_CHECK;
void kdi_lock_release_all(kd_txn *txn);
void kdi_lock_shards_clear(kd_txn_manager *manager);
extern const uint8_t kdi_row_lock_conflicts[4];

/* wait.c */
void kdi_wait_wake(kd_txn_manager *manager, uint64_t ended_no);

#endif
