/*
 * The real world: Linux.
 *
 * Reads and writes are positional, continue after signals and short transfers, and
 * report the path with the system's reason. A file is opened O_DIRECT only where the
 * file system takes it; the caller cannot tell, except by speed.
 */
#include "base/sanitizer.h"
#include "base/world.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MEMORY_ALIGN_BYTES = 64, TRANSFER_BYTES_MAX = 1 << 30 };

struct kd_file {
    int descriptor;
    char path[]; /* For messages. */
};

/* `what` is PostgreSQL's wording, as in: could not open file "x": No such file or directory. */
static kd_status os_fail(kd_ctx *ctx, const char *what, const char *path)
{
    int code = errno;
    const char *reason = strerror(code);
    kd_status status = KD_IO;
    const char *sqlstate = "58030";
    if (code == ENOENT || code == ENOTDIR) {
        status = KD_INVALID;
        sqlstate = "58P01";
    } else if (code == EEXIST) {
        status = KD_INVALID;
        sqlstate = "58P02";
    } else if (code == ENOSPC || code == EDQUOT) {
        sqlstate = "53100";
    } else if (code == EMFILE || code == ENFILE) {
        sqlstate = "53000";
    } else if (code == EACCES || code == EPERM || code == EROFS) {
        sqlstate = "42501";
    }
    (void)KD_FAIL(ctx, status, sqlstate, "could not %s \"%s\": %s", what, path, reason);
    if (ctx->error.status == status)
        ctx->error.os_error = code;
    return status;
}

static int open_retrying(const char *path, int flags)
{
    int descriptor;
    do
        descriptor = open(path, flags | O_CLOEXEC, 0600);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static int flags_of(unsigned flags)
{
    int native = (flags & KD_FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
    if ((flags & KD_FILE_CREATE) != 0)
        native |= O_CREAT;
    if ((flags & KD_FILE_EXCLUSIVE) != 0)
        native |= O_EXCL;
    if ((flags & KD_FILE_TRUNCATE) != 0)
        native |= O_TRUNC;
    if ((flags & KD_FILE_DSYNC) != 0)
        native |= O_DSYNC;
    return native;
}

/* Who opened the file to read shares the lock with others that did. */
static kd_status lock_take(kd_ctx *ctx, int descriptor, const char *path, bool is_shared)
{
    int result;
    do
        result = flock(descriptor, (is_shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result == 0)
        return KD_OK;
    if (errno == EWOULDBLOCK)
        return KD_FAIL(ctx, KD_BUSY, "55006", "\"%s\" is in use by another process", path);
    return os_fail(ctx, "lock file", path);
}

/* Opening succeeds on a directory read-only; everybody here wants a file. */
static kd_status regular_check(kd_ctx *ctx, int descriptor, const char *path)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return os_fail(ctx, "examine file", path);
    if (!S_ISDIR(info.st_mode))
        return KD_OK;
    errno = EISDIR;
    return os_fail(ctx, "open file", path);
}

static kd_status posix_file_open(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file)
{
    kd_status status = KD_OK;
    int descriptor = -1;
    *out_file = NULL;
    size_t path_bytes = strlen(path) + 1;
    kd_file *file = malloc(sizeof(kd_file) + path_bytes);
    if (file == NULL)
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory to open file \"%s\"", path);
    memcpy(file->path, path, path_bytes);

    int native = flags_of(flags);
    if ((flags & KD_FILE_DIRECT) != 0) {
        descriptor = open_retrying(path, native | O_DIRECT);
        /* A file system without direct I/O may create the file and refuse then. */
        if (descriptor < 0 && errno == EINVAL)
            descriptor = open_retrying(path, native & ~O_EXCL);
    } else {
        descriptor = open_retrying(path, native);
    }
    if (descriptor < 0) {
        status = os_fail(ctx, (flags & KD_FILE_CREATE) != 0 ? "create file" : "open file", path);
        goto out;
    }
    KD_TRY_OUT(regular_check(ctx, descriptor, path));
    if ((flags & KD_FILE_LOCK) != 0)
        KD_TRY_OUT(lock_take(ctx, descriptor, path, (flags & KD_FILE_WRITE) == 0));
    file->descriptor = descriptor;
    descriptor = -1;
    *out_file = file;
    file = NULL;
out:
    if (descriptor >= 0)
        (void)close(descriptor);
    free(file);
    return status;
}

static kd_status posix_file_read(kd_ctx *ctx, kd_file *file, uint64_t offset, void *target,
                                 size_t size_bytes, size_t *out_read_bytes)
{
    *out_read_bytes = 0;
    size_t done_bytes = 0;
    while (done_bytes < size_bytes) {
        size_t piece_bytes = size_bytes - done_bytes;
        if (piece_bytes > TRANSFER_BYTES_MAX)
            piece_bytes = TRANSFER_BYTES_MAX;
        ssize_t got = pread(file->descriptor, (char *)target + done_bytes, piece_bytes,
                            (off_t)(offset + done_bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return os_fail(ctx, "read file", file->path);
        if (got == 0)
            break;
        done_bytes += (size_t)got;
    }
    *out_read_bytes = done_bytes;
    return KD_OK;
}

static kd_status posix_file_write(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                                  size_t size_bytes)
{
    size_t done_bytes = 0;
    while (done_bytes < size_bytes) {
        size_t piece_bytes = size_bytes - done_bytes;
        if (piece_bytes > TRANSFER_BYTES_MAX)
            piece_bytes = TRANSFER_BYTES_MAX;
        ssize_t put = pwrite(file->descriptor, (const char *)source + done_bytes, piece_bytes,
                             (off_t)(offset + done_bytes));
        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = ENOSPC; /* A short write without a reason is a full disk. */
        if (put <= 0)
            return os_fail(ctx, "write file", file->path);
        done_bytes += (size_t)put;
    }
    return KD_OK;
}

static kd_status posix_file_sync(kd_ctx *ctx, kd_file *file)
{
    /* Not repeated on EINTR either: after a failed sync the kernel may have dropped the pages. */
    return fdatasync(file->descriptor) == 0 ? KD_OK : os_fail(ctx, "fsync file", file->path);
}

static kd_status posix_file_size(kd_ctx *ctx, kd_file *file, uint64_t *out_bytes)
{
    struct stat info;
    *out_bytes = 0;
    if (fstat(file->descriptor, &info) != 0)
        return os_fail(ctx, "examine file", file->path);
    *out_bytes = (uint64_t)info.st_size;
    return KD_OK;
}

static kd_status posix_file_resize(kd_ctx *ctx, kd_file *file, uint64_t size_bytes)
{
    int result;
    do
        result = ftruncate(file->descriptor, (off_t)size_bytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? KD_OK : os_fail(ctx, "resize file", file->path);
}

static void posix_file_close(kd_world *world, kd_file *file)
{
    (void)world;
    if (file == NULL)
        return;
    (void)close(file->descriptor); /* What had to be durable was synced before. */
    free(file);
}

static kd_status posix_path_rename(kd_ctx *ctx, const char *from, const char *to)
{
    return rename(from, to) == 0 ? KD_OK : os_fail(ctx, "rename file", from);
}

static kd_status posix_path_remove(kd_ctx *ctx, const char *path)
{
    if (unlink(path) == 0)
        return KD_OK;
    if (errno == EISDIR || errno == EPERM) {
        if (rmdir(path) == 0)
            return KD_OK;
        return os_fail(ctx, "remove directory", path);
    }
    return os_fail(ctx, "remove file", path);
}

static kd_status posix_path_exists(kd_ctx *ctx, const char *path, bool *out_exists)
{
    struct stat info;
    *out_exists = false;
    if (stat(path, &info) == 0) {
        *out_exists = true;
        return KD_OK;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        return KD_OK;
    return os_fail(ctx, "examine file", path);
}

static kd_status posix_directory_create(kd_ctx *ctx, const char *path)
{
    if (mkdir(path, 0700) == 0)
        return KD_OK;
    struct stat info;
    if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return KD_OK;
    return os_fail(ctx, "create directory", path);
}

static kd_status posix_directory_sync(kd_ctx *ctx, const char *path)
{
    kd_status status = KD_OK;
    int descriptor = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0)
        return os_fail(ctx, "open directory", path);
    if (fsync(descriptor) != 0)
        status = os_fail(ctx, "fsync directory", path);
    (void)close(descriptor);
    return status;
}

static bool entry_is_directory(int directory, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    struct stat info;
    return fstatat(directory, entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

static kd_status posix_directory_list(kd_ctx *ctx, const char *path,
                                      kd_status (*visit)(kd_ctx *ctx, void *object,
                                                         const kd_directory_entry *entry),
                                      void *object)
{
    kd_status status = KD_OK;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return os_fail(ctx, "open directory", path);
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                status = os_fail(ctx, "read directory", path);
            goto out;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        kd_directory_entry seen = {
            .name = entry->d_name,
            .is_directory = entry_is_directory(dirfd(directory), entry),
        };
        KD_TRY_OUT(visit(ctx, object, &seen));
    }
out:
    (void)closedir(directory);
    return status;
}

static uint64_t posix_monotonic_ns(kd_world *world)
{
    (void)world;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t posix_wall_us(kd_world *world)
{
    (void)world;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t posix_random_u64(kd_world *world)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        value = posix_monotonic_ns(world) * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    return value;
}

static void posix_sleep_ns(kd_world *world, uint64_t duration_ns)
{
    (void)world;
    struct timespec left = {.tv_sec = (time_t)(duration_ns / 1000000000u),
                            .tv_nsec = (long)(duration_ns % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/*
 * Blocks of the size that small arenas begin with, kept by each thread: a statement makes and ends
 * several arenas, and page-aligned blocks are dear to allocate. Sanitizers see every block.
 */
static const bool keeps_spares = !KD_ASAN && !KD_TSAN;
enum { SPARE_BLOCK_BYTES = 4096, SPARE_BLOCKS_MAX = 32 };

static _Thread_local void *spare_blocks[SPARE_BLOCKS_MAX];
static _Thread_local unsigned spare_count;
static pthread_key_t spare_key;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

/* At the thread's end. */
static void spare_free(void *object)
{
    (void)object;
    while (spare_count > 0)
        free(spare_blocks[--spare_count]);
}

static void spare_key_make(void)
{
    (void)pthread_key_create(&spare_key, spare_free);
}

static bool spare_put(void *memory, size_t size_bytes)
{
    if (!keeps_spares || size_bytes != SPARE_BLOCK_BYTES || spare_count == SPARE_BLOCKS_MAX)
        return false;
    if (spare_count == 0) {
        (void)pthread_once(&spare_once, spare_key_make);
        (void)pthread_setspecific(spare_key, spare_blocks);
    }
    spare_blocks[spare_count++] = memory;
    return true;
}

/*
 * Large blocks are the system's: the C library would keep them in the heap of the thread that freed
 * them, where other threads do not find them, and a budget would be exceeded by what is free. The
 * sanitizer sees its own allocator's blocks only.
 */
enum { MAPPED_BYTES_MIN = KD_ASAN ? INT32_MAX : 256 * 1024 };
/* Tables of this size are touched everywhere: fewer and larger pages of the system serve them. */
enum { HUGE_BYTES_MIN = 4 << 20 };

/*
 * A few mapped blocks that were given back, for whoever asks for one of the size: the tables of one
 * statement are often as large as those of the next, and the system would clear them page by page.
 */
enum { KEPT_BLOCKS_MAX = 32, KEPT_BYTES_MAX = 8 << 20 };
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *memory;
    size_t size_bytes;
} kept_blocks[KEPT_BLOCKS_MAX];
static unsigned kept_count;
static size_t kept_bytes;

static void *kept_take(size_t size_bytes)
{
    void *memory = NULL;
    (void)pthread_mutex_lock(&kept_lock);
    for (unsigned i = kept_count; i > 0 && memory == NULL; i--) {
        if (kept_blocks[i - 1].size_bytes != size_bytes)
            continue;
        memory = kept_blocks[i - 1].memory;
        kept_blocks[i - 1] = kept_blocks[--kept_count];
        kept_bytes -= size_bytes;
    }
    (void)pthread_mutex_unlock(&kept_lock);
    return memory;
}

static bool kept_put(void *memory, size_t size_bytes)
{
    (void)pthread_mutex_lock(&kept_lock);
    bool fits = keeps_spares && size_bytes < HUGE_BYTES_MIN && kept_count < KEPT_BLOCKS_MAX &&
                kept_bytes + size_bytes <= KEPT_BYTES_MAX;
    if (fits) {
        kept_blocks[kept_count].memory = memory;
        kept_blocks[kept_count++].size_bytes = size_bytes;
        kept_bytes += size_bytes;
    }
    (void)pthread_mutex_unlock(&kept_lock);
    return fits;
}

static void *posix_memory_alloc(kd_world *world, size_t size_bytes)
{
    (void)world;
    if (size_bytes == SPARE_BLOCK_BYTES && spare_count > 0)
        return spare_blocks[--spare_count];
    if (size_bytes >= MAPPED_BYTES_MIN) {
        void *kept = kept_take(size_bytes);
        if (kept != NULL)
            return kept;
        void *mapped =
            mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED)
            return NULL;
#ifdef MADV_HUGEPAGE
        if (size_bytes >= HUGE_BYTES_MIN)
            (void)madvise(mapped, size_bytes, MADV_HUGEPAGE);
#endif
        return mapped;
    }
    if (size_bytes > SIZE_MAX - MEMORY_ALIGN_BYTES)
        return NULL;
    /* What direct I/O reads into or writes from must be page-aligned: give it to all large blocks.
     */
    size_t align_bytes =
        size_bytes >= KD_DIRECT_ALIGN_BYTES ? KD_DIRECT_ALIGN_BYTES : MEMORY_ALIGN_BYTES;
    size_t rounded_bytes =
        (size_bytes + MEMORY_ALIGN_BYTES - 1) & ~(size_t)(MEMORY_ALIGN_BYTES - 1);
    void *memory = NULL;
    return posix_memalign(&memory, align_bytes, rounded_bytes) == 0 ? memory : NULL;
}

static void posix_memory_free(kd_world *world, void *memory, size_t size_bytes)
{
    (void)world;
    if (memory == NULL || spare_put(memory, size_bytes))
        return;
    if (size_bytes < MAPPED_BYTES_MIN)
        free(memory);
    else if (!kept_put(memory, size_bytes))
        (void)munmap(memory, size_bytes);
}

static unsigned posix_processor_count(kd_world *world)
{
    (void)world;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

/* A file with one number; UINT64_MAX when there is none ("max" is none too). */
static uint64_t number_in_file(const char *path)
{
    uint64_t value = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return value;
    unsigned long long number;
    if (fscanf(file, "%llu", &number) == 1)
        value = number;
    (void)fclose(file);
    return value;
}

static uint64_t posix_memory_total_bytes(kd_world *world)
{
    (void)world;
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    static const char *const limits[] = {
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        uint64_t limit = number_in_file(limits[i]);
        if (limit < total)
            total = limit;
    }
    return total;
}

static size_t posix_machine_read(kd_world *world, const char *path, void *target, size_t size_bytes)
{
    (void)world;
    size_t done_bytes = 0;
    int descriptor = open_retrying(path, O_RDONLY);
    if (descriptor < 0)
        return 0;
    while (done_bytes < size_bytes) {
        ssize_t got = read(descriptor, (char *)target + done_bytes, size_bytes - done_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            done_bytes = got < 0 ? 0 : done_bytes; /* A directory, say. */
            break;
        }
        done_bytes += (size_t)got;
    }
    (void)close(descriptor);
    return done_bytes;
}

static kd_world posix_world = {
    .file_open = posix_file_open,
    .file_read = posix_file_read,
    .file_write = posix_file_write,
    .file_sync = posix_file_sync,
    .file_size = posix_file_size,
    .file_resize = posix_file_resize,
    .file_close = posix_file_close,
    .path_rename = posix_path_rename,
    .path_remove = posix_path_remove,
    .path_exists = posix_path_exists,
    .directory_create = posix_directory_create,
    .directory_sync = posix_directory_sync,
    .directory_list = posix_directory_list,
    .machine_read = posix_machine_read,
    .monotonic_ns = posix_monotonic_ns,
    .wall_us = posix_wall_us,
    .random_u64 = posix_random_u64,
    .sleep_ns = posix_sleep_ns,
    .memory_alloc = posix_memory_alloc,
    .memory_free = posix_memory_free,
    .processor_count = posix_processor_count,
    .memory_total_bytes = posix_memory_total_bytes,
};

kd_world *kd_world_posix(void)
{
    return &posix_world;
}
