/*
 * The storage of one database: its directory, log, root, transactions, tables.
 *
 *   <directory>/ROOT            what the database consists of (store/root.h)
 *   <directory>/LOCK            held by the process that has it open
 *   <directory>/wal/            the log
 *   <directory>/units/          segments, index runs, delta images
 *
 * Opening recovers: reads the root, opens what it names, replays the log from the
 * root's position. Background threads flush, compact, merge index runs and write
 * checkpoints; in a simulated world they take part in the schedule.
 */
#ifndef KD_TABLE_STORAGE_H
#define KD_TABLE_STORAGE_H

#include "base/governor.h"
#include "store/damage.h"
#include "txn/txn.h"

typedef struct kd_storage kd_storage;

typedef struct kd_storage_options {
    const char *directory; /* Created when absent, unless read_only. */
    bool read_only;
    kd_governor *governor;
    uint64_t wal_file_bytes;       /* 0: 64 MiB. */
    uint64_t wal_buffer_bytes;     /* 0: 16 MiB. Rounded up to a power of two, at least 1 MiB. */
    uint64_t checkpoint_log_bytes; /* Log written between checkpoints; 0: 1 GiB. */
    uint64_t checkpoint_ns;        /* Time between them while anything is written; 0: 5 min. */
    uint64_t delta_flush_bytes;    /* A delta larger than this is flushed; 0: 64 MiB. */
    uint64_t redo_stream_bytes; /* Redo of a transaction above goes to the log early; 0: 64 MiB. */
    uint64_t
        index_entries_in_memory; /* More that a load has for an index become a run; 0: 4,096. */
    bool no_sync;                /* The log is forced to the disk by checkpoints only. */
    bool no_background;          /* Tests: flush, compact, checkpoint only when told to. */
} kd_storage_options;

/* 55006 when another process has it open; 58P01/KD_INVALID for a directory that is no database
 * (naming what was found); KD_UNSUPPORTED for a newer format; KD_CORRUPT with what and where. */
kd_status kd_storage_open(kd_ctx *ctx, const kd_storage_options *options,
                          kd_storage **out_storage) KD_MUST_CHECK;
/* Checkpoints (unless read-only, failed, or nothing was written since the opening) and closes. All
 * transactions have ended. */
kd_status kd_storage_close(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Closes at once without a checkpoint: what a crash leaves, for tests and after failures. */
void kd_storage_abandon(kd_storage *storage);

kd_txn_manager *kd_storage_txns(kd_storage *storage);
kd_governor *kd_storage_governor(kd_storage *storage);
uint64_t kd_storage_database_id(const kd_storage *storage);
bool kd_storage_is_read_only(const kd_storage *storage);

/* From now on: the block cache's bytes (at first a quarter of the budget), and the time between
 * checkpoints while anything is written. Any thread. */
void kd_storage_set_cache_bytes(kd_storage *storage, uint64_t cache_bytes);
void kd_storage_set_checkpoint_ns(kd_storage *storage, uint64_t checkpoint_ns);

/* Scrubbing: so many bytes a second are read again and checked in the background; 0: none. A pass
 * over everything begins once the interval since the last one's beginning is over. Any thread. */
void kd_storage_set_scrubbing(kd_storage *storage, uint64_t bytes_per_second, uint64_t interval_ns);
typedef struct kd_scrub_statistics {
    uint64_t bytes_per_second;
    bool is_running;
    uint64_t passes;                  /* Whole ones since the opening. */
    uint64_t bytes, found;            /* Of the pass that runs, or of the last. */
    int64_t begun_at_us, ended_at_us; /* Wall clock; 0: never. Ended: the last whole one. */
} kd_scrub_statistics;
kd_scrub_statistics kd_storage_scrub_statistics(kd_storage *storage);

/* Flushes large deltas, writes the delta image, index runs and the root, cuts the log. */
kd_status kd_storage_checkpoint(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* Flushes every table; with `compact`, merges and rewrites everything that is not already best. */
kd_status kd_storage_flush(kd_ctx *ctx, kd_storage *storage, bool compact) KD_MUST_CHECK;
/* Reads and checks every stored byte; fails with the first damage, naming file, block, table. */
kd_status kd_storage_check(kd_ctx *ctx, kd_storage *storage) KD_MUST_CHECK;
/* The same, past what it finds, and everything of the directory: root, log, image, files that
 * nothing names. Beside statements; a table's rows do not move while its indexes are compared. */
kd_status kd_storage_check_all(kd_ctx *ctx, kd_storage *storage,
                               const kd_damage_watch *watch) KD_MUST_CHECK;
/* Damage that was met since the opening, the oldest first; a place that is met again stands once.
 */
typedef struct kd_damage_record {
    kd_damage damage;
    char what[256];
} kd_damage_record;
/* `*out_found` is false past the last. */
void kd_storage_damage_get(kd_storage *storage, uint32_t at, kd_damage_record *out_record,
                           bool *out_found);
/* Checks the files of a database that is not open, or does not open: each for itself, without what
 * they say of each other. Writes nothing. */
kd_status kd_storage_check_files(kd_ctx *ctx, kd_account *account, const char *directory,
                                 const kd_damage_watch *watch) KD_MUST_CHECK;

/*
 * A hold: a checkpoint whose files, and the log behind it, stay while somebody copies them. Beside
 * it everything goes on, checkpoints too; what they would remove they remove after the hold's end.
 * Begin, copy `files`, then kd_storage_hold_log, copy `more_files` and `log_files` (of these only
 * the bytes told, of `more_files` those that are still there), end. With `root` these are the
 * database as of `end`, and hold every commit that was acknowledged before
 * kd_storage_hold_log. Paths are whole; everything lives in the arena.
 */
typedef struct kd_storage_file {
    const char *path;
    uint64_t size_bytes; /* Of log files; 0: all of it. */
} kd_storage_file;

typedef struct kd_storage_hold {
    kd_arena *arena;
    const char *directory;
    kd_slice root;  /* The bytes of the file ROOT. */
    kd_stamp stamp; /* What was committed up to it is in the root; the log has the rest. */
    uint64_t replay_position;
    kd_wal_place end; /* Of the log. */
    char slot[32];    /* Of the log. */
    kd_storage_file *files, *more_files, *log_files;
    size_t file_count, file_capacity, more_count, more_capacity, log_count;
} kd_storage_hold;

/* 25006 when it is open for reading only. */
kd_status kd_storage_hold_begin(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                                kd_storage_hold *out_hold) KD_MUST_CHECK;
kd_status kd_storage_hold_log(kd_ctx *ctx, kd_storage *storage,
                              kd_storage_hold *hold) KD_MUST_CHECK;
void kd_storage_hold_end(kd_storage *storage, kd_storage_hold *hold);

/*
 * An archive follows the log: what it has not copied yet stays, that is the log from `position` on
 * and the segments that the log before it installed. Called again as it moves on. A database in
 * whose directory there is a file of this name is opened as if everything that the log still has
 * were to be copied.
 */
#define KD_ARCHIVE_FILE "ARCHIVE"
kd_status kd_storage_archive_keep(kd_ctx *ctx, kd_storage *storage,
                                  uint64_t position) KD_MUST_CHECK;
void kd_storage_archive_end(kd_storage *storage);
/* What the database keeps only for it: log, and replaced segments. */
uint64_t kd_storage_archive_kept_bytes(kd_storage *storage);
/* The complete segments in the directory that are not known, in the arena. Those that the durable
 * log names are among them. One that no transaction needs any more may go at any time. */
kd_status kd_storage_segments(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                              bool (*is_known)(void *object, const char *path), void *object,
                              kd_storage_file **out_files, size_t *out_count) KD_MUST_CHECK;
kd_wal *kd_storage_log(kd_storage *storage); /* NULL when it is open for reading only. */
const char *kd_storage_directory(const kd_storage *storage);

typedef struct kd_storage_statistics {
    uint64_t segment_bytes, segment_count, delta_bytes, index_bytes, wal_bytes, checkpoint_count;
} kd_storage_statistics;
kd_storage_statistics kd_storage_read_statistics(kd_storage *storage);

#endif
