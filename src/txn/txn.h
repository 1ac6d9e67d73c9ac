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
    KD_DURABLE = 0,   /* Acknowledged after the log is on disk. */
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
void kd_txn_set_read_only(kd_txn *txn, bool read_only); /* SET TRANSACTION */
uint64_t kd_txn_no(const kd_txn *txn);
int64_t kd_txn_start_us(const kd_txn *txn); /* Wall clock at begin, us since 1970 UTC: now(). */
kd_arena *kd_txn_arena(kd_txn *txn);        /* Lives until the transaction ends. */
void kd_txn_set_lock_timeout(kd_txn *txn, uint64_t timeout_ns);
void kd_txn_set_durability(kd_txn *txn, kd_durability durability);

/* Ends the transaction whatever happens; the handle is gone afterwards. A failure before the commit
 * record was appended has rolled back: a full disk (53100) is one. A failed log is KD_IO 58030 and
 * the database must be reopened. Deferred participants' checks run first (see below). */
kd_status kd_txn_commit(kd_ctx *ctx, kd_txn *txn) KD_MUST_CHECK;
void kd_txn_rollback(kd_txn *txn);

/* Savepoints nest; rolling back to one undoes all later work and keeps the savepoint. Row locks
 * taken since may be kept. The engine also wraps each statement in one. */
kd_status kd_txn_savepoint(kd_ctx *ctx, kd_txn *txn, uint32_t *out_savepoint) KD_MUST_CHECK;
void kd_txn_rollback_to(kd_txn *txn, uint32_t savepoint);
void kd_txn_release(kd_txn *txn, uint32_t savepoint);

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
    /* After every prepare, right before the commit record gets its stamp (only when something is
     * logged). Waits for no transaction; `committed` or `rolled_back` follows. */
    kd_status (*logging)(kd_ctx *ctx, void *object);
} kd_txn_participant;
/* Whether anything has been written (or anybody else has joined) since the transaction began. */
bool kd_txn_has_work(const kd_txn *txn);
kd_status kd_txn_join(kd_ctx *ctx, kd_txn *txn, const kd_txn_participant *participant,
                      void *object) KD_MUST_CHECK;

/* Table locks, PostgreSQL's eight, held to the end of the transaction; deadlock 40P01, time-out
 * 55P03. Plain readers take none. */
typedef enum kd_table_lock {
    KD_TABLE_USE = 0,      /* ACCESS SHARE */
    KD_TABLE_LOCK_ROWS,    /* ROW SHARE: FOR UPDATE and the like. */
    KD_TABLE_WRITE,        /* ROW EXCLUSIVE: writes rows. */
    KD_TABLE_KEEP_UP,      /* SHARE UPDATE EXCLUSIVE */
    KD_TABLE_SHARE,        /* SHARE: nobody writes (index builds). */
    KD_TABLE_SHARE_ALONE,  /* SHARE ROW EXCLUSIVE */
    KD_TABLE_READERS_ONLY, /* EXCLUSIVE */
    KD_TABLE_EXCLUSIVE,    /* ACCESS EXCLUSIVE: alone, for definitions. */
    KD_TABLE_LOCK_COUNT
} kd_table_lock;
kd_status kd_txn_lock_table(kd_ctx *ctx, kd_txn *txn, uint64_t table_no, kd_table_lock mode,
                            bool no_wait) KD_MUST_CHECK;

/*
 * The manager: one per database. `account` outlives it. The log is attached once
 * recovery has read it; without one (a database opened for reading) nothing can be
 * written.
 */
kd_status kd_txn_manager_create(kd_ctx *ctx, kd_account *account,
                                kd_txn_manager **out_manager) KD_MUST_CHECK;
/* Redo above this goes to the log early (64 MiB, unless a test wants it sooner). */
void kd_txn_manager_stream_above(kd_txn_manager *manager, size_t redo_bytes);
/* All transactions have ended. NULL is allowed. */
void kd_txn_manager_destroy(kd_txn_manager *manager);
/* `watermark` is the newest stamp that recovery applied, `next_no` above every number in the log.
 */
void kd_txn_manager_start(kd_txn_manager *manager, kd_wal *wal, kd_stamp watermark,
                          uint64_t next_no);
uint64_t kd_txn_manager_next_no(kd_txn_manager *manager);
/* How many waits would have been for ever, since the opening. */
uint64_t kd_txn_manager_deadlock_count(kd_txn_manager *manager);
uint32_t kd_txn_active_count(kd_txn_manager *manager);

/*
 * Records in the log that belong to transactions. The redo stream of a transaction
 * is its parts and the rest in the commit record, joined; a cut shortens what came
 * so far (a savepoint after parts were written). Only the commit record makes any
 * of it count. The bytes are those that module table appended to kd_txn_redo().
 *
 *   KD_LOG_COMMIT  u64 transaction number, i64 wall time (us since 1970), u8 flags
 *                  (1: parts came before), redo bytes to the end
 *   KD_LOG_PART    u64 transaction number, redo bytes to the end
 *   KD_LOG_CUT     u64 transaction number, u64 length of the stream that stays
 *   KD_LOG_ALONE   a change outside of transactions (sequences), in force at once
 */
typedef enum kd_log_kind {
    KD_LOG_COMMIT = 1,
    KD_LOG_PART = 2,
    KD_LOG_CUT = 3,
    KD_LOG_ALONE = 4,
} kd_log_kind;
enum { KD_LOG_COMMIT_HEAD_BYTES = 17, KD_LOG_PART_HEAD_BYTES = 8 };

/* Redo goes to the end of this buffer. 25006 in a read-only transaction. */
kd_status kd_txn_redo(kd_ctx *ctx, kd_txn *txn, kd_buffer **out_redo) KD_MUST_CHECK;
/* To be called after redo was added: a large transaction's redo goes to the log early. */
kd_status kd_txn_redo_added(kd_ctx *ctx, kd_txn *txn) KD_MUST_CHECK;
/* The commit of what is in the redo now will not meet a full disk (53100): for those whose
 * `prepare` does what cannot be undone. Called once, and nothing is added to the redo afterwards.
 */
kd_status kd_txn_hold_log(kd_ctx *ctx, kd_txn *txn) KD_MUST_CHECK;
/* Appends a record of kind KD_LOG_ALONE; durable with the next commit, or with `wait`. */
kd_status kd_txn_log_alone(kd_ctx *ctx, kd_txn_manager *manager, kd_slice payload,
                           bool wait) KD_MUST_CHECK;

/* Waits until the newest stamp that this transaction may have seen is durable: before anything that
 * it read is told to anybody. One comparison when it is already. */
kd_status kd_txn_wait_visible_durable(kd_ctx *ctx, kd_txn *txn) KD_MUST_CHECK;
/* From now on the transaction sees others' commits past its snapshot (checks of latest state). */
void kd_txn_note_latest(kd_txn *txn);
/* What it finds past its snapshot from now on - the newest version of a row - stays until
 * kd_txn_keep_end, though nobody's snapshot may see it any more by then. kd_txn_note_latest and
 * every writer call this. A SERIALIZABLE transaction keeps everything since its snapshot to its
 * end. */
void kd_txn_keep(kd_txn *txn);
/* What the snapshot sees that the transaction has now stays as well: for statements that are still
 * open when kd_txn_statement_begin takes a new one. */
void kd_txn_keep_snapshot(kd_txn *txn);
/* No statement of the transaction is open: nothing of what they found is looked at again. */
void kd_txn_keep_end(kd_txn *txn);
kd_stamp kd_txn_snapshot_stamp(const kd_txn *txn);

/* The open transaction of that number, or NULL. Only for its own thread. */
kd_txn *kd_txn_of_no(kd_txn_manager *manager, uint64_t txn_no);

/* The number of the newest savepoint ever set in the transaction: changes made now come before the
 * next one, so rolling back to `savepoint` undoes what was noted with a number >= it. */
uint32_t kd_txn_savepoint_now(const kd_txn *txn);
/* Whether rolling back to a savepoint that is still set would undo what was noted with number
 * `later` and leave what was noted with `earlier`. */
bool kd_txn_savepoint_between(const kd_txn *txn, uint32_t earlier, uint32_t later);
/* The number of the innermost savepoint that is set; 0: none. */
uint32_t kd_txn_savepoint_innermost(const kd_txn *txn);
/* One pointer per transaction for module table's write set. */
void *kd_txn_attachment(const kd_txn *txn);
void kd_txn_attach(kd_txn *txn, void *object);
kd_txn_manager *kd_txn_manager_of(const kd_txn *txn);

/*
 * Row locks (their mode and conflicts are PostgreSQL's). A row is named by its table and
 * a number. An update or delete in flight is known to module table from the row's
 * end stamp and takes no entry here; the latch joins the two: whoever writes an end
 * stamp or takes a lock holds it, for a few instructions.
 */
typedef enum kd_row_lock {
    KD_LOCK_KEY_SHARE = 0, /* Foreign-key checks: the key stays. */
    KD_LOCK_SHARE,
    KD_LOCK_NO_KEY_UPDATE, /* What an update of no key column takes. */
    KD_LOCK_UPDATE,
} kd_row_lock;

void kd_row_latch(kd_txn_manager *manager, uint64_t table_no, uint64_t row);
void kd_row_unlatch(kd_txn_manager *manager, uint64_t table_no, uint64_t row);
/* With the latch held: a transaction in the way of `mode`, or 0. */
uint64_t kd_row_lock_blocker(kd_txn *txn, uint64_t table_no, uint64_t row, kd_row_lock mode);
/* With the latch held, after kd_row_lock_blocker gave 0. Kept to the end of the transaction. */
kd_status kd_row_lock_take(kd_ctx *ctx, kd_txn *txn, uint64_t table_no, uint64_t row,
                           kd_row_lock mode) KD_MUST_CHECK;
/* The locks on `from` hold for `to` too: a new version of the row (`keep`), or its new place.
 * Neither latch is held. */
kd_status kd_row_lock_carry(kd_ctx *ctx, kd_txn_manager *manager, uint64_t table_no, uint64_t from,
                            uint64_t to, bool keep) KD_MUST_CHECK;
/* The rows of a table that are locked, for a move of many rows: calls `visit` without latches. */
kd_status kd_row_lock_each(kd_ctx *ctx, kd_txn_manager *manager, uint64_t table_no,
                           kd_status (*visit)(kd_ctx *ctx, void *object, uint64_t row),
                           void *object) KD_MUST_CHECK;
/* How many row locks there are: 0 spares the walks above. */
uint64_t kd_row_lock_count(kd_txn_manager *manager);

/* Waits until the other transaction has ended. 40P01 when that would be for ever, 55P03 after the
 * lock time-out, 57014 when cancelled. No latch is held. */
kd_status kd_txn_wait_for(kd_ctx *ctx, kd_txn *txn, uint64_t other_no) KD_MUST_CHECK;
bool kd_txn_is_active(kd_txn_manager *manager, uint64_t txn_no);
/* How many transactions wait for one that has not ended. */
uint32_t kd_txn_waiting_count(kd_txn_manager *manager);

/*
 * Pins: what was reachable when a transaction began (or a pin was taken) stays in
 * memory until it ends. Who unlinks an object retires it here.
 */
kd_status kd_txn_pin(kd_ctx *ctx, kd_txn_manager *manager, kd_stamp snapshot,
                     uint32_t *out_pin) KD_MUST_CHECK;
void kd_txn_unpin(kd_txn_manager *manager, uint32_t pin);
/* A pin that keeps every version that ended after the watermark of now, seen or not. */
kd_status kd_txn_pin_all(kd_ctx *ctx, kd_txn_manager *manager, uint32_t *out_pin) KD_MUST_CHECK;
/* From now on such a pin holds this snapshot alone; it is none older than the pin. */
void kd_txn_pin_narrow(kd_txn_manager *manager, uint32_t pin, kd_stamp snapshot);
typedef struct kd_txn_garbage kd_txn_garbage;
struct kd_txn_garbage {
    kd_txn_garbage *next;
    uint64_t epoch;
    uint64_t born;
    void (*fn)(void *object);
    void *object;
};
void kd_txn_retire(kd_txn_manager *manager, kd_txn_garbage *garbage, void (*fn)(void *object),
                   void *object);
/* Runs what has become safe. */
void kd_txn_reclaim(kd_txn_manager *manager);
/*
 * The same for what is made and unlinked in great numbers, and would pile up beside one long
 * statement or an open transaction between two statements. `born` is the epoch when it was made. It
 * does not wait for whoever has reached nothing that was born so late: a scan keeps to what it
 * found at its opening, a transaction without an open statement to nothing. kd_txn_reclaim_born
 * runs what has become safe.
 */
void kd_txn_retire_born(kd_txn_manager *manager, kd_txn_garbage *garbage, uint64_t born,
                        void (*fn)(void *object), void *object);
void kd_txn_reclaim_born(kd_txn_manager *manager);
/* The pin has reached what it holds; and so has the transaction `txn_no` (0: none), if it looks at
 * nothing but what its scans found. */
void kd_txn_pin_reached(kd_txn_manager *manager, uint32_t pin, uint64_t txn_no);
/* Between statements, and in one that only scans: nothing is reached but by kd_txn_pin_reached.
 * Ends with the next kd_txn_wake, which whatever else is done with the transaction begins with. */
void kd_txn_rest(kd_txn *txn);
void kd_txn_scan_only(kd_txn *txn);
void kd_txn_wake(kd_txn *txn);
/* Epochs order retirements and transactions: a transaction that began at epoch e sees nothing that
 * was retired before. */
uint64_t kd_txn_epoch(kd_txn_manager *manager);
uint64_t kd_txn_epoch_next(kd_txn_manager *manager);
uint64_t kd_txn_oldest_epoch(kd_txn_manager *manager);

/* Redo of transactions in flight that is in the log already lies at or behind this position;
 * UINT64_MAX when there is none. */
uint64_t kd_txn_oldest_part(kd_txn_manager *manager);

/* The newest stamp given to anybody, visible or not; kd_txn_wait_visible waits for the watermark to
 * reach it. */
kd_stamp kd_txn_newest_stamp(kd_txn_manager *manager);
void kd_txn_wait_watermark(kd_txn_manager *manager, kd_stamp stamp);

/* The newest stamp below which everything is committed and visible. */
kd_stamp kd_txn_watermark(const kd_txn_manager *manager);
/* The oldest snapshot in use: versions ended at or before it are seen by nobody. */
kd_stamp kd_txn_oldest_snapshot(kd_txn_manager *manager);

/*
 * Who may see a version. Those that ended after `newest` stay: snapshots at or behind it are in
 * use, or will be. Of the others, those that one of `stamps` (ascending, each below `newest`) sees.
 * What this says to be over stays over: no snapshot that is taken later sees it.
 */
enum { KD_LIVE_SNAPSHOTS_MAX = 64 };
typedef struct kd_live_snapshots {
    kd_stamp newest;
    uint32_t count;
    kd_stamp stamps[KD_LIVE_SNAPSHOTS_MAX];
} kd_live_snapshots;
void kd_txn_live_snapshots(kd_txn_manager *manager, kd_live_snapshots *out_live);
/* Of a version with committed stamps: begin 0 is before every snapshot. */
bool kd_live_snapshots_see(const kd_live_snapshots *live, kd_stamp begin, kd_stamp end);
/* No snapshot in use lies before. */
static inline kd_stamp kd_live_snapshots_oldest(const kd_live_snapshots *live)
{
    return live->count > 0 ? live->stamps[0] : live->newest;
}

#endif
