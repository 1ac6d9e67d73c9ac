/*
 * Where backups are kept: a store of named bytes, in a directory or on a server that speaks S3.
 *
 * A name has one folder at most: "BACKUPS", "objects/<hash>-<n>". What is written under one is
 * there as a whole or not at all, and nobody sees half of it. A store belongs to one thread at a
 * time. A target is a path, or
 *
 *     s3://<bucket>[/<prefix>][?endpoint=<url>][&region=<name>]
 *
 * with what it does not say from the environment: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
 * AWS_REGION, AWS_DEFAULT_REGION, AWS_CA_BUNDLE; who asks, always: AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. The bucket is part of the path, not of the host.
 */
#ifndef KD_BACKUP_STORE_INTERNAL_H
#define KD_BACKUP_STORE_INTERNAL_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/world.h"

typedef struct kdi_store kdi_store;
typedef struct kdi_stored kdi_stored;   /* One that is being read, */
typedef struct kdi_storing kdi_storing; /* or written. */
typedef struct kdi_store_lock kdi_store_lock;

typedef struct kdi_store_kind {
    void (*close)(kdi_store *store);

    /* Whether the directory is there; on a server, the bucket always is. */
    kd_status (*exists)(kd_ctx *ctx, kdi_store *store, bool *out_exists);
    /* Makes a folder ("": the target), and its name durable. */
    kd_status (*make)(kd_ctx *ctx, kdi_store *store, const char *folder);
    /* What was finished in the folder or removed from it is durable after this. */
    kd_status (*settle)(kd_ctx *ctx, kdi_store *store, const char *folder);
    /* What is in the folder; nothing when there is no such folder. */
    kd_status (*list)(kd_ctx *ctx, kdi_store *store, const char *folder,
                      kd_status (*visit)(kd_ctx *ctx, void *object,
                                         const kd_directory_entry *entry),
                      void *object);

    /* 55006 when another run has it. Without `writes` it is shared, and where there is none to
     * share (a copy of backups; a server) `*out_lock` is NULL. */
    kd_status (*lock)(kd_ctx *ctx, kdi_store *store, const char *name, bool writes,
                      kdi_store_lock **out_lock);
    void (*unlock)(kd_ctx *ctx, kdi_store *store, kdi_store_lock *lock); /* NULL is allowed. */

    /* `out_bytes` may be NULL. */
    kd_status (*has)(kd_ctx *ctx, kdi_store *store, const char *name, bool *out_has,
                     uint64_t *out_bytes);
    kd_status (*remove)(kd_ctx *ctx, kdi_store *store, const char *name);
    /* Replaces what is there, durably. */
    kd_status (*put)(kd_ctx *ctx, kdi_store *store, const char *name, kd_slice bytes);

    /* 58P01 when there is none. Reads stop early only at its end. */
    kd_status (*read_open)(kd_ctx *ctx, kdi_store *store, const char *name,
                           kdi_stored **out_stored);
    kd_status (*read)(kd_ctx *ctx, kdi_stored *stored, uint64_t offset, void *target,
                      size_t size_bytes, size_t *out_read_bytes);
    kd_status (*size)(kd_ctx *ctx, kdi_stored *stored, uint64_t *out_bytes);
    void (*read_close)(kd_ctx *ctx, kdi_stored *stored); /* NULL is allowed. */

    /* A directory keeps it under the scratch name until it is finished; durable once settled. */
    kd_status (*write_open)(kd_ctx *ctx, kdi_store *store, const char *name, const char *scratch,
                            kdi_storing **out_storing);
    kd_status (*write)(kd_ctx *ctx, kdi_storing *storing, const void *bytes, size_t size_bytes);
    /* Gives it its name. To be closed also when it fails. */
    kd_status (*write_finish)(kd_ctx *ctx, kdi_storing *storing);
    void (*write_close)(kd_ctx *ctx, kdi_storing *storing); /* NULL is allowed. */
} kdi_store_kind;

struct kdi_store {
    const kdi_store_kind *kind;
    const char *target; /* As it was given. */
    bool is_remote;     /* Nothing can be added to what is there, and locks are dear. */
};

/* Of what the target says; nothing is looked at yet. Its texts live in the arena. */
kd_status kdi_store_open(kd_ctx *ctx, kd_arena *arena, const char *target,
                         kdi_store **out_store) KD_MUST_CHECK;
void kdi_store_close(kdi_store *store); /* NULL is allowed. */
/* A small one as a whole. 58P01 when there is none. */
kd_status kdi_store_get(kd_ctx *ctx, kd_arena *arena, kdi_store *store, const char *name,
                        kd_slice *out_bytes) KD_MUST_CHECK;

/* The two kinds: store_directory.c, store_s3.c. */
kd_status kdi_store_directory_open(kd_ctx *ctx, kd_arena *arena, const char *target,
                                   kdi_store **out_store) KD_MUST_CHECK;
kd_status kdi_store_s3_open(kd_ctx *ctx, kd_arena *arena, const char *target,
                            kdi_store **out_store) KD_MUST_CHECK;

#endif
