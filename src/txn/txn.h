/*
 * Transactions: stamps, snapshots, commit, savepoints.
 *
 * A commit's stamp is the log position of its commit record, so stamps order as
 * the log does. A row version carries the stamp that made it and the stamp that
 * ended it; while the writer is in flight, the stamp is KD_STAMP_IN_FLIGHT plus
 * its transaction number. A snapshot is one stamp: it sees versions whose begin
 * is at or below it and whose end is not, and its own transaction's work.
 *
 * Commit: append the redo records and the commit record, stamp the write set,
 * release locks, advance the watermark in stamp order, then wait until the log is
 * durable. Nobody, readers included, is acknowledged before the newest stamp that
 * they saw is durable.
 *
 * Isolation (Berenson et al., SIGMOD 1995; names as PostgreSQL's):
 * READ_COMMITTED takes a snapshot per statement, SNAPSHOT one per transaction,
 * SERIALIZABLE adds precision locking: bound predicates are kept and validated at
 * commit against the write sets committed since the snapshot.
 *
 * A kd_txn belongs to one thread at a time.
 */
#ifndef KD_TXN_TXN_H
#define KD_TXN_TXN_H

#include "base/arena.h"
#include "base/bytes.h"
#include "wal/wal.h"

typedef uint64_t kd_stamp;
#define KD_STAMP_IN_FLIGHT ((kd_stamp)1 << 63) /* | transaction number */
#define KD_STAMP_NONE UINT64_MAX               /* End stamp of a live version. */

typedef enum kd_isolation {
    KD_READ_COMMITTED = 0,
    KD_SNAPSHOT_ISOLATION,
    KD_SERIALIZABLE,
} kd_isolation;

typedef enum kd_durability {
    KD_DURABLE = 0, /* Acknowledged after the log is on disk. */
    KD_DURABLE_LATER, /* Acknowledged at once; lost at worst: what was not written yet. */
} kd_durability;

typedef struct kd_txn kd_txn;
typedef struct kd_txn_manager kd_txn_manager;

typedef struct kd_snapshot {
    kd_stamp stamp;
    uint64_t txn_no; /* Whose own work is seen; 0 for none. */
} kd_snapshot;

typedef struct kd_txn_options {
    kd_isolation isolation;
    kd_durability durability;
    bool read_only;
    uint64_t lock_timeout_ns; /* 0: wait for ever (deadlocks are found all the same). */
} kd_txn_options;

kd_status kd_txn_begin(kd_ctx *ctx, kd_txn_manager *manager, const kd_txn_options *options,
                       kd_txn **out_txn) KD_MUST_CHECK;
/* Start of a statement: READ_COMMITTED takes a new snapshot. */
void kd_txn_statement_begin(kd_txn *txn);
kd_snapshot kd_txn_snapshot(const kd_txn *txn);
kd_isolation kd_txn_isolation(const kd_txn *txn);
bool kd_txn_is_read_only(const kd_txn *txn);
uint64_t kd_txn_no(const kd_txn *txn);
int64_t kd_txn_start_us(const kd_txn *txn); /* Wall clock at begin, us since 1970 UTC: now(). */
kd_arena *kd_txn_arena(kd_txn *txn);        /* Lives until the transaction ends. */
void kd_txn_set_lock_timeout(kd_txn *txn, uint64_t timeout_ns);
void kd_txn_set_durability(kd_txn *txn, kd_durability durability);

/* Ends the transaction whatever happens; the handle is gone afterwards. A failure before the commit
 * record was appended has rolled back; a failed log is KD_IO 58030 and the database must be
 * reopened. Deferred participants' checks run first (see below). */
kd_status kd_txn_commit(kd_ctx *ctx, kd_txn *txn) KD_MUST_CHECK;
void kd_txn_rollback(kd_txn *txn);

/* Savepoints nest; rolling back to one undoes all later work and keeps the savepoint. Row locks taken
 * since may be kept. The engine also wraps each statement in one. */
kd_status kd_txn_savepoint(kd_ctx *ctx, kd_txn *txn, uint32_t *out_savepoint) KD_MUST_CHECK;
void kd_txn_rollback_to(kd_txn *txn, uint32_t savepoint);
void kd_txn_release(kd_txn *txn, uint32_t savepoint);
/* The number last given out (they count up from 1; 0: none yet). A participant tags its changes with it:
 * rolling back to savepoint S undoes the changes whose tag is S or higher. */
uint32_t kd_txn_last_savepoint(const kd_txn *txn);

/*
 * Whoever keeps state per transaction (table write sets, the catalog's new
 * version, deferred constraint checks) takes part in its end. Members may be NULL.
 * `prepare` runs in order of registration before anything is logged and may fail:
 * the transaction then rolls back. `committed` and `rolled_back` cannot fail.
 * `rolled_back_to` undoes what came after the savepoint.
 */
typedef struct kd_txn_participant {
    kd_status (*prepare)(kd_ctx *ctx, void *object);
    void (*committed)(void *object, kd_stamp stamp);
    void (*rolled_back)(void *object);
    void (*rolled_back_to)(void *object, uint32_t savepoint);
} kd_txn_participant;
kd_status kd_txn_join(kd_ctx *ctx, kd_txn *txn, const kd_txn_participant *participant,
                      void *object) KD_MUST_CHECK;

/* Table locks, held to the end of the transaction; deadlock 40P01, time-out 55P03. */
typedef enum kd_table_lock {
    KD_TABLE_USE = 0,   /* Reads and writes rows. */
    KD_TABLE_SHARE,     /* No other writers (index build): conflicts with writers' KD_TABLE_WRITE. */
    KD_TABLE_WRITE,     /* Writes rows: conflicts with SHARE and EXCLUSIVE. */
    KD_TABLE_EXCLUSIVE, /* Alone: DDL. */
} kd_table_lock;
kd_status kd_txn_lock_table(kd_ctx *ctx, kd_txn *txn, uint64_t table_no, kd_table_lock mode,
                            bool no_wait) KD_MUST_CHECK;

/* The newest stamp below which everything is committed and visible. */
kd_stamp kd_txn_watermark(const kd_txn_manager *manager);
/* The oldest snapshot in use: versions ended at or before it are seen by nobody. */
kd_stamp kd_txn_oldest_snapshot(kd_txn_manager *manager);

#endif
