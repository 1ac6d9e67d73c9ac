/*
 * Backups of a database, many in one directory, or under one prefix of a bucket on a server that
 * speaks S3 (store_internal.h): there with the same names.
 *
 *   <target>/BACKUPS              which database they are of
 *   <target>/LOCK                 held while a backup is taken or removed; shared by readers
 *   <target>/<id>.backup          one backup: what it consists of. Without it there is none
 *   <target>/objects/<hash>-<n>   the contents of files, each once, however many backups have it
 *
 * So the first backup in a directory is a full one, each later one copies what the directory lacks,
 * and each of them is whole: there is no chain that could break. An id is the moment when the
 * backup was taken: 20261201T015930.123456Z.
 *
 * BACKUPS and <id>.backup are text, one fact a line:
 *
 *   KADE BACKUPS 1                          KADE BACKUP 2
 *   database <16 hex digits>                database <16 hex digits>
 *   end <8 hex digits>                      taken <microseconds since 1970-01-01 UTC>
 *                                           position <where its log ends>
 *                                           copied <files> <bytes> <bytes as stored>
 *                                           checkpoint <its stamp> <where replay begins>
 *                                           log <file number> <offset> <link> <incarnation>
 *                                           file <name> <bytes> <hash> <tail>
 *                                           part <name> <bytes> <hash> <tail> <offset>
 *                                           end <8 hex digits>
 *
 * The last line is the CRC-32C of everything before it. "log" is the place in the log where the
 * backup ends, and an archive goes on (archive.h), so does the next backup: a file of the log that
 * has grown since is the parts that are known and what is new of it (version 2 too); version 1 had
 * neither it nor "checkpoint". A name is ROOT, settings.conf, units/... or wal/...; a hash is XXH3
 * of 128 bits over the file's bytes, 32 hex digits; a tail XXH3 of 64 bits over its last 4 KiB (or
 * all), 16 hex digits. Segments and index runs end in a trailer that tells the file from every
 * other, so that one whose name, size and tail the newest backup knows is not read again.
 *
 * AN OBJECT is named by hash and size (hex digits): "KADEOBJ1", then pieces, the last one with 0
 * plain bytes:
 *
 *   offset  size  field
 *        0     4  plain bytes, at most 1 MiB
 *        4     4  stored bytes n; as many as the plain ones: not compressed, else one frame of zstd
 *        8     4  CRC-32C of the stored bytes
 *       12     n
 */
#ifndef KD_BACKUP_BACKUP_H
#define KD_BACKUP_BACKUP_H

#include "table/storage.h"

enum { KD_BACKUP_ID_BYTES = 32 };

typedef struct kd_backup_info {
    char id[KD_BACKUP_ID_BYTES];
    int64_t taken_us; /* Since 1970-01-01 UTC. */
    uint64_t position;
    uint64_t file_count, file_bytes;                 /* What it consists of. */
    uint64_t copied_count, copied_bytes, kept_bytes; /* What it added, and what that takes. */
} kd_backup_info;

/*
 * Takes a backup beside whatever else goes on. `bytes_per_second` limits how fast files are read
 * (0: not at all). It holds every commit that was acknowledged before the call. Refused when the
 * target is a directory of something else, or of another database's backups (55000), or another one
 * is being taken there (55006). One that fails or is killed leaves no backup, and objects that the
 * next one uses or kd_backup_prune removes.
 */
kd_status kd_backup_take(kd_ctx *ctx, kd_storage *storage, const char *target,
                         uint64_t bytes_per_second, kd_backup_info *out_info) KD_MUST_CHECK;

/* Whether the target is one on a server that speaks S3 (store_internal.h), not a directory. */
bool kd_backup_is_remote(const char *target);

/* Oldest first, in the arena. A damaged one is KD_CORRUPT. */
kd_status kd_backup_list(kd_ctx *ctx, kd_arena *arena, const char *target,
                         kd_backup_info **out_infos, size_t *out_count) KD_MUST_CHECK;

/* Reads every object of the backup and compares it with its hash. Without an id it is the newest,
 * and the archive is read too: it must be whole, without a gap, and continue that backup.
 * KD_CORRUPT (XX001) names the object and the file. */
kd_status kd_backup_verify(kd_ctx *ctx, const char *target, const char *id,
                           kd_backup_info *out_info) KD_MUST_CHECK;

/* What is wanted; all zeros: the latest that there is. One of them at most is set. */
typedef struct kd_restore_wish {
    const char *backup;   /* What this backup holds, and nothing of the archive. */
    int64_t moment_us;    /* Up to the first commit later than this (us since 1970). */
    uint64_t to_position; /* Up to the last record that ends here or before. */
} kd_restore_wish;

typedef struct kd_restored {
    kd_backup_info backup; /* From which it began. */
    uint64_t position;     /* Where the log was ended. */
    int64_t until_us;      /* What was acknowledged before is there. */
} kd_restored;

/*
 * Puts a database into a directory that is absent, empty, or what an interrupted restore left;
 * anything else is refused (55000): the newest backup that is old enough, and what the archive has
 * from there on. 58P01 when no backup is, or the archive does not reach that far, or there is a gap
 * in between; XX001 when something is damaged, 55000 when the archive does not continue the backup:
 * it is then that of another history. It is a database only with the last step; what fails takes
 * back what it has written.
 */
kd_status kd_backup_restore_to(kd_ctx *ctx, const char *target, const kd_restore_wish *wish,
                               const char *directory, kd_restored *out_restored) KD_MUST_CHECK;
/* Of the backup alone (NULL: the latest that there is). */
kd_status kd_backup_restore(kd_ctx *ctx, const char *target, const char *id, const char *directory,
                            kd_backup_info *out_info) KD_MUST_CHECK;

/* Which backups stay; the newest always does. Days and months are those of UTC, and of each the
 * newest backup is meant; only those count that have one. */
typedef struct kd_backup_keep {
    uint64_t count;   /* The newest so many, */
    int64_t age_us;   /* those that are younger than this, */
    uint64_t daily;   /* one of each of the last so many days, */
    uint64_t monthly; /* and of the last so many months. */
} kd_backup_keep;

typedef struct kd_backup_pruned {
    uint64_t backups, log_files, objects;
} kd_backup_pruned;

/* Removes the other backups, then the files of the archive before the oldest that stays for
 * another reason than its month, then the objects that neither a backup nor the archive has. What
 * is damaged is refused before anything goes; so is a wish that keeps nothing (22023). */
kd_status kd_backup_prune(kd_ctx *ctx, const char *target, const kd_backup_keep *keep,
                          kd_backup_pruned *out_pruned) KD_MUST_CHECK;

#endif
