/*
 * What the files of module backup share about archives: pieces, and reading them in order.
 */
#ifndef KD_BACKUP_ARCHIVE_INTERNAL_H
#define KD_BACKUP_ARCHIVE_INTERNAL_H

#include "backup/archive.h"
#include "backup/backup_internal.h"

#include "base/map.h"
#include "base/thread.h"

enum { KDI_ARCHIVE_HEADER_BYTES = 112 };

typedef enum kdi_archive_kind {
    KDI_ARCHIVE_LOG = 1,
    KDI_ARCHIVE_SEGMENTS = 2,
} kdi_archive_kind;

/* Where it begins and ends in the log; `file_bytes` of the places is not known. */
typedef struct kdi_archive_piece {
    kdi_archive_kind kind;
    bool begins;
    kd_wal_place from, to;
    int64_t since_us, until_us;
    uint32_t plain_bytes, stored_bytes, checksum;
} kdi_archive_piece;

/* Whether `to` comes right behind `from` in the log: the same place, or the begin of the next file.
 */
bool kdi_place_continues(const kd_wal_place *from, const kd_wal_place *to);
/* Places of one history, by file and offset. */
int kdi_place_compare(const kd_wal_place *left, const kd_wal_place *right);

/* --- Reading: archive_read.c ----------------------------------------------------------------- */

/* What has pieces of a file of the log: all of them in a directory, which goes on growing; on a
 * server one part after the other. */
typedef struct kdi_archive_file {
    uint64_t file_no;
    uint64_t part_no; /* From 1 on, in one order over all files; 0: there are no parts. */
} kdi_archive_file;

typedef struct kdi_archive_reader {
    kd_arena *arena;
    const kdi_backups *backups;
    kdi_archive_file *files; /* In their order. */
    size_t file_count, file_capacity, file_at;
    uint64_t last_bytes; /* Of the last file, when nobody was adding. */
    kdi_stored *file;
    const char *path;            /* For messages. */
    uint64_t size_bytes, offset; /* Of the file; behind the current piece. */
    kdi_archive_piece piece;
    kd_wal_place end; /* Of the last piece of log; file_no 0: there was none. */
    bool is_torn;     /* The last file ends with an incomplete piece, which does not count. */
    char *plain, *stored;
} kdi_archive_reader;

/* To be closed also when it fails. Without an archive there are no files. `is_locked`: the caller
 * has its lock. */
kd_status kdi_archive_open(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups, bool is_locked,
                           kdi_archive_reader *out) KD_MUST_CHECK;
void kdi_archive_close(kd_ctx *ctx, kdi_archive_reader *reader);
/* The next piece, or NULL at the end. A gap before it is KD_CORRUPT. */
kd_status kdi_archive_next(kd_ctx *ctx, kdi_archive_reader *reader,
                           const kdi_archive_piece **out_piece) KD_MUST_CHECK;
/* Of the piece that kdi_archive_next gave, until the next one. */
kd_status kdi_archive_payload(kd_ctx *ctx, kdi_archive_reader *reader,
                              kd_slice *out_plain) KD_MUST_CHECK;
/* The files that a piece of segments tells of, in the arena. */
kd_status kdi_archive_segments(kd_ctx *ctx, kd_arena *arena, kdi_archive_reader *reader,
                               kdi_backup_file **out_files, size_t *out_count) KD_MUST_CHECK;
/* KD_CORRUPT when the archive ends with an incomplete piece. */
kd_status kdi_archive_torn(kd_ctx *ctx, const kdi_archive_reader *reader) KD_MUST_CHECK;
/* As kd_archive_list. */
kd_status kdi_archive_stretches(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                                bool whole, kd_archive_stretch **out_stretches,
                                size_t *out_count) KD_MUST_CHECK;
/* In the store. */
const char *kdi_archive_name(kd_ctx *ctx, kd_arena *arena,
                             const kdi_archive_file *file) KD_MUST_CHECK;
/* Waits a while for whoever has it; 55006 then. NULL where there is nothing to lock. */
kd_status kdi_archive_lock(kd_ctx *ctx, kdi_store *store, bool writes,
                           kdi_store_lock **out_lock) KD_MUST_CHECK;

/* --- Writing: archive_write.c ---------------------------------------------------------------- */

/* A part as it is on the server, and what comes behind it: it is put again as it grows. */
typedef struct kdi_archive_part {
    kdi_archive_file of;
    char *bytes; /* KDI_ARCHIVE_PART_ROOM of them. */
    size_t size_bytes;
    bool is_changed;
} kdi_archive_part;

enum {
    KDI_ARCHIVE_PART_BYTES = 1 << 20, /* Once it has so many, another one begins. */
    KDI_ARCHIVE_PART_ROOM = 3 << 20,  /* With the piece that makes it so. */
};

typedef struct kdi_archive_writer {
    kdi_store *store;
    const char *path; /* Of the archive, where it is a directory. */
    kdi_archive_part *part;
    uint64_t database_id;
    bool is_open;
    kd_file *file;            /* In a directory. */
    uint64_t file_no, offset; /* Of the open file; where the next piece goes. */
    void *zstd;
    char *stored; /* A piece with its header. */
    size_t stored_capacity;
} kdi_archive_writer;

/* `part`: the last one, where the store is on a server. */
kd_status kdi_archive_writer_open(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                                  kdi_archive_part *part, kdi_archive_writer *out) KD_MUST_CHECK;
void kdi_archive_writer_close(kd_ctx *ctx, kdi_archive_writer *writer);
/* Goes to a file, of which so many bytes count: what is behind goes, and what is there is durable
 * when another one begins. */
kd_status kdi_archive_writer_enter(kd_ctx *ctx, kd_arena *arena, kdi_archive_writer *writer,
                                   uint64_t file_no, uint64_t size_bytes) KD_MUST_CHECK;
kd_status kdi_archive_write(kd_ctx *ctx, kdi_archive_writer *writer, kdi_archive_piece *piece,
                            kd_slice plain) KD_MUST_CHECK;
/* What is written is durable after this. */
kd_status kdi_archive_writer_sync(kd_ctx *ctx, kdi_archive_writer *writer) KD_MUST_CHECK;
kd_status kdi_archive_header_read(kd_ctx *ctx, const char *path, uint64_t database_id,
                                  const char *header, kdi_archive_piece *out,
                                  bool *out_is_one) KD_MUST_CHECK;

/* --- Restoring: backup_restore.c, archive_restore.c ------------------------------------------ */

typedef struct kdi_restore {
    const kd_restore_wish *wish;
    kd_arena *arena, *scratch; /* Scratch is reset after each file. */
    kdi_backups backups;
    kdi_manifest manifest;
    const char *directory; /* NULL: only read. */
    bool has_begun;        /* To write into it. */
    char **written;        /* Paths. */
    size_t written_count, written_capacity;
    /* Of the archive: whether it has log behind the backup, and where that ends. */
    bool has_log;
    kd_wal_place log_end;
    int64_t log_until_us;
    kd_restored restored;
} kdi_restore;

/* The backup is chosen: finds out whether the wish can be had. */
kd_status kdi_replay_plan(kd_ctx *ctx, kdi_restore *run) KD_MUST_CHECK;
/* The backup's files are there: adds what the archive has, and cuts the log where it is to end. */
kd_status kdi_replay_write(kd_ctx *ctx, kdi_restore *run) KD_MUST_CHECK;
/* Opens a file of the database for writing; it goes if the restore fails. */
kd_status kdi_restored_open(kd_ctx *ctx, kdi_restore *run, const char *name, unsigned flags,
                            kd_file **out_file) KD_MUST_CHECK;
kd_status kdi_file_restore(kd_ctx *ctx, kdi_restore *run,
                           const kdi_backup_file *file) KD_MUST_CHECK;

/* --- Following: archive_follow.c, archive.c -------------------------------------------------- */

/* What <database>/ARCHIVE says. */
typedef struct kdi_archive_note {
    const char *target; /* NULL: there is no archive. */
    const char *backup;
    uint64_t keep_bytes;
    bool is_given_up;
} kdi_archive_note;

struct kd_archive {
    kd_world *world;
    kd_storage *storage;
    kd_account *account;
    bool no_background;
    kd_mutex turn; /* One step, start or stop at a time. */
    /* Guarded by turn. */
    kd_arena *arena; /* Of the archive that is on; NULL: none is. */
    kdi_archive_note note;
    bool is_open;  /* What follows is known. */
    bool is_clean; /* The last file has nothing behind the last piece. */
    kdi_store *store;
    kdi_archive_part part;
    kd_wal_place at; /* The archive has the log before, */
    bool begins;     /* or nothing yet: it continues a backup that ends there. */
    int64_t until_us;
    kdi_archive_file last; /* Its last file; file_no 0: none. */
    uint64_t file_bytes;
    kd_map known; /* Segments that the archive or its backup has, by name. */
    kd_mutex lock;
    /* Guarded by lock. */
    kd_archive_status status; /* The texts are not in use. */
    char directory_text[1024], error_text[KD_ERROR_MESSAGE_BYTES];
    kd_cond changed;
    kd_thread *thread;
    bool stops;
};

/* The turn is had, and the archive is on: learns what the target has, if it is not known, and
 * copies what is new. */
kd_status kdi_archive_follow(kd_ctx *ctx, kd_archive *archive) KD_MUST_CHECK;
/* Forgets what the target has. */
void kdi_archive_forget(kd_archive *archive);

#endif
