/*
 * The outside world, as a table of functions.
 *
 * No code outside base/ calls the operating system. Production runs on
 * kd_world_posix(); the simulator (test/lib/sim_world.h) swaps in a world whose
 * disk tears writes, whose clock is a counter, whose randomness is a seed and
 * whose threads pass one baton, so that any failure it finds replays from one
 * number.
 *
 * Paths are UTF-8, '/'-separated. File offsets and sizes are bytes. A file
 * opened with KD_FILE_DIRECT takes only offsets, sizes and buffers aligned to
 * KD_DIRECT_ALIGN_BYTES. All functions may be called from any thread; one
 * kd_file may be read and written by several threads at distinct ranges.
 */
#ifndef KD_BASE_WORLD_H
#define KD_BASE_WORLD_H

#include "base/ctx.h"

#include <stddef.h>
#include <stdint.h>

typedef struct kd_file kd_file;

enum { KD_DIRECT_ALIGN_BYTES = 4096 };

enum kd_file_flags {
    KD_FILE_READ = 0,      /* Read only; the file must exist. */
    KD_FILE_WRITE = 1,     /* Read and write. */
    KD_FILE_CREATE = 2,    /* Create when absent. */
    KD_FILE_EXCLUSIVE = 4, /* With CREATE: fail when present (58P02). */
    KD_FILE_DIRECT = 8,    /* O_DIRECT where the file system offers it, else ignored. */
    KD_FILE_DSYNC = 16,    /* Each write is durable when it returns. */
    KD_FILE_TRUNCATE = 32,
    KD_FILE_LOCK = 64, /* Take the advisory lock until the file is closed: with WRITE alone, without
                          it shared with others that only read. 55006 when it is taken. */
};

typedef struct kd_directory_entry {
    const char *name; /* Valid during the callback only. */
    bool is_directory;
} kd_directory_entry;

/* Scheduling of threads: NULL members in the posix world, where pthreads are
 * called directly; the simulated world supplies them (see base/thread.h). */
typedef struct kd_schedule kd_schedule;

struct kd_world {
    void *impl;
    const kd_schedule *schedule; /* NULL in production. */

    /* Files. A missing file is KD_INVALID 58P01; other failures are KD_IO 58030,
     * a full disk KD_IO 53100. Messages name the path. */
    kd_status (*file_open)(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file);
    /* Reads exactly `size_bytes`, or stops early only at end of file. */
    kd_status (*file_read)(kd_ctx *ctx, kd_file *file, uint64_t offset, void *target,
                           size_t size_bytes, size_t *out_read_bytes);
    kd_status (*file_write)(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                            size_t size_bytes);
    kd_status (*file_sync)(kd_ctx *ctx, kd_file *file); /* Data and size. */
    kd_status (*file_size)(kd_ctx *ctx, kd_file *file, uint64_t *out_bytes);
    kd_status (*file_resize)(kd_ctx *ctx, kd_file *file, uint64_t size_bytes);
    void (*file_close)(kd_world *world, kd_file *file); /* NULL is allowed. */

    /* Names. rename and remove are durable only after directory_sync. */
    kd_status (*path_rename)(kd_ctx *ctx, const char *from, const char *to);
    kd_status (*path_remove)(kd_ctx *ctx, const char *path); /* A file or an empty directory. */
    kd_status (*path_exists)(kd_ctx *ctx, const char *path, bool *out_exists);
    kd_status (*directory_create)(kd_ctx *ctx, const char *path); /* Present already is fine. */
    kd_status (*directory_sync)(kd_ctx *ctx, const char *path);
    kd_status (*directory_list)(kd_ctx *ctx, const char *path,
                                kd_status (*visit)(kd_ctx *ctx, void *object,
                                                   const kd_directory_entry *entry),
                                void *object);

    /* Files that the machine has whatever world a database lives in, a simulated one too: time
     * zones. The first bytes of the file; their count, 0 when it cannot be read. */
    size_t (*machine_read)(kd_world *world, const char *path, void *target, size_t size_bytes);

    /* Time and chance. */
    uint64_t (*monotonic_ns)(kd_world *world);
    int64_t (*wall_us)(kd_world *world); /* Microseconds since 1970-01-01 UTC. */
    uint64_t (*random_u64)(kd_world *world);
    void (*sleep_ns)(kd_world *world, uint64_t duration_ns);

    /* Memory. NULL when exhausted; `memory_free` gets the size back. 64-byte aligned; blocks of
     * KD_DIRECT_ALIGN_BYTES and more are aligned to that, so that direct I/O takes them. */
    void *(*memory_alloc)(kd_world *world, size_t size_bytes);
    void (*memory_free)(kd_world *world, void *memory, size_t size_bytes);
    bool (*allocation_fails)(kd_world *world); /* NULL in production: asked on every allocation. */

    unsigned (*processor_count)(kd_world *world);
    uint64_t (*memory_total_bytes)(kd_world *world); /* Machine or cgroup, the smaller. */
};

/* The real one; lives as long as the process. */
kd_world *kd_world_posix(void);

#endif
