/*
 * What the files of module backup share: the directory of backups, the description of one, objects.
 */
#ifndef KD_BACKUP_BACKUP_INTERNAL_H
#define KD_BACKUP_BACKUP_INTERNAL_H

#include "backup/backup.h"
#include "backup/store_internal.h"

#define XXH_STATIC_LINKING_ONLY /* The state as a struct, not from malloc. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <xxhash.h>
#pragma GCC diagnostic pop

enum {
    KDI_PIECE_BYTES = 1 << 20,
    KDI_TAIL_BYTES = 4096,
    KDI_OBJECT_NAME_BYTES = 64,
};

/* --- The directory: backup_directory.c --- */

typedef enum kdi_backups_use {
    KDI_BACKUPS_LOOK, /* Without its lock: nothing is removed, who looks has the archive's. */
    KDI_BACKUPS_READ,
    KDI_BACKUPS_WRITE,
    KDI_BACKUPS_MAKE
} kdi_backups_use;

typedef struct kdi_backups {
    kd_arena *arena;
    const char *target;
    kdi_store *store;
    kdi_store_lock *lock; /* NULL where there is none to share. */
    uint64_t database_id;
    char **ids; /* Oldest first. */
    size_t id_count, id_capacity;
} kdi_backups;

/* `database_id`: whose backups they must be; 0 takes any. To be closed also when it fails. */
kd_status kdi_backups_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_backups_use use,
                           uint64_t database_id, kdi_backups *out) KD_MUST_CHECK;
void kdi_backups_close(kd_ctx *ctx, kdi_backups *backups);
/* `id` or, when it is NULL, the newest; 58P01 when there is none. */
kd_status kdi_backups_find(kd_ctx *ctx, const kdi_backups *backups, const char *id,
                           const char **out_id) KD_MUST_CHECK;

/* Makes the directory, and its name durable in the one above. */
kd_status kdi_directory_make(kd_ctx *ctx, kd_arena *arena, const char *path) KD_MUST_CHECK;
/* Small files. Replacing is atomic and durable. */
kd_status kdi_file_read(kd_ctx *ctx, kd_arena *arena, const char *path,
                        kd_slice *out_bytes) KD_MUST_CHECK;
kd_status kdi_file_replace(kd_ctx *ctx, kd_arena *arena, const char *directory, const char *name,
                           kd_slice bytes) KD_MUST_CHECK;

/* --- What a backup consists of: backup_manifest.c --- */

/* A file, or a part of one that has grown since an earlier backup. */
typedef struct kdi_backup_file {
    const char *name;
    uint64_t offset; /* In the file; 0: its first part, or all of it. */
    uint64_t size_bytes;
    uint64_t hash[2]; /* High, low. */
    uint64_t tail;
} kdi_backup_file;

typedef struct kdi_manifest {
    kd_backup_info info;
    uint64_t database_id;
    uint64_t stamp, replay_position; /* Of its root. */
    kd_wal_place end;                /* Of its log; file_no 0: a description of version 1. */
    kdi_backup_file *files;
    size_t file_count, file_capacity;
} kdi_manifest;

/* Adds the "end" line. */
kd_status kdi_text_seal(kd_ctx *ctx, kd_buffer *text) KD_MUST_CHECK;
/* Checks the first line and the "end" line; gives what is between them. */
kd_status kdi_text_open(kd_ctx *ctx, const char *path, kd_slice text, const char *what,
                        kd_reader *out_lines) KD_MUST_CHECK;
/* The words of the next line, NUL-terminated in the arena; 0 at the end. */
kd_status kdi_line_next(kd_ctx *ctx, kd_arena *arena, kd_reader *lines, char *words[6],
                        uint32_t *out_count) KD_MUST_CHECK;
kd_status kdi_manifest_write(kd_ctx *ctx, const kdi_backups *backups,
                             const kdi_manifest *manifest) KD_MUST_CHECK;
kd_status kdi_manifest_read(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                            const char *id, kdi_manifest *out) KD_MUST_CHECK;
kd_status kdi_file_line_append(kd_ctx *ctx, kd_buffer *text,
                               const kdi_backup_file *file) KD_MUST_CHECK;
/* False when the words are not such a line. */
bool kdi_file_line_read(char *words[6], uint32_t count, kdi_backup_file *out);
void kdi_backup_object_name(const kdi_backup_file *file, char out_name[KDI_OBJECT_NAME_BYTES]);

/* --- Objects: backup_object.c --- */

typedef struct kdi_object_writer {
    const kdi_backups *backups;
    const char *scratch; /* What a directory calls those under way. */
    void *zstd;
    char *piece, *stored; /* KDI_PIECE_BYTES; a piece with its header. */
    size_t stored_capacity;
} kdi_object_writer;

/* Where the bytes of an object come from: a file, from an offset on, or memory. */
typedef struct kdi_object_source {
    kd_file *file; /* NULL: it is bytes. */
    const char *bytes;
    /* Told of every piece that was read (NULL: nobody). */
    kd_status (*passed)(kd_ctx *ctx, void *object, size_t size_bytes);
    void *object;
} kdi_object_source;

/* How pieces of bytes are stored: `zstd` is a ZSTD_CCtx; as many bytes as before: as they were. */
size_t kdi_piece_pack(void *zstd, const void *bytes, size_t size_bytes, char *out, size_t capacity);
/* NULL when they are damaged. `plain` has room for so many. */
const char *kdi_piece_unpack(const char *stored, size_t stored_bytes, char *plain,
                             size_t plain_bytes);

/* One writer for many objects, one after another. */
kd_status kdi_object_writer_open(kd_ctx *ctx, const kdi_backups *backups, const char *scratch,
                                 kdi_object_writer *out) KD_MUST_CHECK;
void kdi_object_writer_close(kdi_object_writer *writer);
/* The bytes of `source` from the file's offset on, as many as it says. They are read once for their
 * hash, which goes into `file`, and again when there is no such object yet; else `*out_kept_bytes`
 * is 0. */
kd_status kdi_object_write(kd_ctx *ctx, kdi_object_writer *writer, const kdi_object_source *source,
                           kdi_backup_file *file, uint64_t *out_kept_bytes) KD_MUST_CHECK;
/* Size and tail of a file, by which it is known again. */
kd_status kdi_file_measure(kd_ctx *ctx, kd_file *file, char *piece,
                           kdi_backup_file *out) KD_MUST_CHECK;
kd_status kdi_object_exists(kd_ctx *ctx, const kdi_backups *backups, const kdi_backup_file *file,
                            bool *out_exists) KD_MUST_CHECK;
/* Reads and checks the object of a file and writes its bytes to `target` (NULL: nowhere). */
kd_status kdi_object_read(kd_ctx *ctx, kd_arena *arena, const kdi_backups *backups,
                          const kdi_backup_file *file, kd_file *target) KD_MUST_CHECK;

#endif
