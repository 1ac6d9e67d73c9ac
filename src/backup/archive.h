/*
 * The archive of a database's log, beside its backups: a backup and the log behind it are the
 * database at any moment since.
 *
 *   <target>/archive/LOCK         held for moments, by whoever adds or removes
 *   <target>/archive/<no>.log     pieces of the file of the log that has this number (wal/wal.h)
 *
 * On a server that speaks S3 nothing can grow: there a file of the log is parts,
 * <no>-<part>.log (16 hex digits each), numbered in one order; the last one is put again, longer,
 * until it has 1 MiB of pieces.
 *
 * A file of pieces only grows, and is finished once the log has stepped to its next file. A PIECE
 * is a header and what it tells of, compressed where that helps:
 *
 *   offset  size  field
 *        0     8  magic "KADEARC1"
 *        8     4  CRC-32C of bytes 12..111
 *       12     4  CRC-32C of the stored bytes
 *       16     8  database id
 *       24     8  number of the log's file
 *       32     8  offset in it where the bytes begin
 *       40     8  log position there
 *       48     8  log position behind them; of segments: up to which the log may name them
 *       56     8  moment up to which the archive had everything before (us since 1970; 0: begins)
 *       64     8  moment: what was acknowledged before is in the archive up to here
 *       72     4  plain bytes, at most 1 MiB
 *       76     4  stored bytes n; as many as the plain ones: not compressed, else one frame of zstd
 *       80     4  kind: 1 bytes of the log's file, 2 segments
 *       84     4  flags: 1 = nothing is before it: it continues a backup, which holds what was
 *       88     4  link before (checksum of the last block), and
 *       92     4  incarnation
 *       96     4  link behind, and
 *      100     4  incarnation
 *      104     8  zero
 *      112     n  the stored bytes
 *
 * Segments are files that the log installs and does not contain. Before a piece that may name them,
 * a piece of kind 2 tells the new ones, as "file" lines of a backup's description (backup.h), whose
 * contents are objects beside those of the backups.
 *
 * Pieces of kind 1 continue each other in file, offset, position and link, but where one begins:
 * there, and only there, something may be missing in between, which nobody needs who starts from
 * the backup that the piece continues.
 *
 * <database>/ARCHIVE says that the database has an archive. It is not copied by backups: a database
 * that is made of one does not write into the archive of the original.
 *
 *   KADE ARCHIVE 1
 *   backup <the one that it begins with>
 *   keep <bytes>
 *   gap <1: it has been given up>
 *   directory <to the end of the line>
 *   end <8 hex digits>
 */
#ifndef KD_BACKUP_ARCHIVE_H
#define KD_BACKUP_ARCHIVE_H

#include "table/storage.h"

#define KD_ARCHIVE_KEEP_BYTES (UINT64_C(8) << 30)

typedef struct kd_archive kd_archive;

typedef enum kd_archive_state {
    KD_ARCHIVE_OFF = 0,
    KD_ARCHIVE_FOLLOWING,
    KD_ARCHIVE_FAILING, /* The database keeps what is missing, and every second it tries again. */
    KD_ARCHIVE_GAP,     /* Given up: it ends, and kd_archive_start begins anew with a backup. */
} kd_archive_state;

typedef struct kd_archive_status {
    kd_archive_state state;
    const char *directory; /* NULL when it is off. */
    uint64_t position;     /* The archive has the log up to here, */
    uint64_t log_position; /* and the log is durable up to here. */
    int64_t until_us;      /* What was acknowledged before is in the archive; 0: not known yet. */
    uint64_t kept_bytes;   /* Kept in the database only for the archive. */
    uint64_t keep_bytes;   /* More than this is not kept: then it is given up. */
    int64_t failed_us;     /* 0: it has not failed since the opening. */
    const char *error;     /* The last failure; NULL: none. */
} kd_archive_status;

/*
 * Of an opened database, whether it has an archive or not. With one, a thread follows the log from
 * now on (`no_background`: kd_archive_step does). The storage outlives it.
 */
kd_status kd_archive_create(kd_ctx *ctx, kd_storage *storage, bool no_background,
                            kd_archive **out_archive) KD_MUST_CHECK;
/* A last step, then the end. NULL is allowed. */
void kd_archive_destroy(kd_archive *archive);
/* The end without that: what a crash leaves. */
void kd_archive_abandon(kd_archive *archive);

/*
 * From now on the log goes to the archive in `target`, a directory of backups. Unless it does
 * already, a backup is taken there first, with which the archive begins. More than `keep_bytes` (0:
 * 8 GiB) is not kept in the database when the archive cannot be written. 55000 when the target is
 * something else, or has an archive of another history of this database.
 */
kd_status kd_archive_start(kd_ctx *ctx, kd_archive *archive, const char *target,
                           uint64_t keep_bytes) KD_MUST_CHECK;
/* After what was acknowledged until now is in the archive, if that is possible. */
kd_status kd_archive_stop(kd_ctx *ctx, kd_archive *archive) KD_MUST_CHECK;
/* Copies what is durable now. */
kd_status kd_archive_step(kd_ctx *ctx, kd_archive *archive) KD_MUST_CHECK;
/* Texts live in the arena. */
kd_status kd_archive_read_status(kd_ctx *ctx, kd_arena *arena, kd_archive *archive,
                                 kd_archive_status *out_status) KD_MUST_CHECK;

/* What the archive in a directory of backups has: stretches without a gap, oldest first. */
typedef struct kd_archive_stretch {
    uint64_t from_position, to_position;
    int64_t until_us;
    uint64_t piece_count, log_bytes, stored_bytes, segment_count;
} kd_archive_stretch;
/* In the arena; none without an archive. Checks the pieces' headers, and with `whole` everything. A
 * gap, a damaged piece and one that is cut off are KD_CORRUPT (XX001). */
kd_status kd_archive_list(kd_ctx *ctx, kd_arena *arena, const char *target, bool whole,
                          kd_archive_stretch **out_stretches, size_t *out_count) KD_MUST_CHECK;

#endif
