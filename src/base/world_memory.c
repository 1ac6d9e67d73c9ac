/*
 * Files in memory. A file is a list of 64 KiB pages; pages that were never
 * written read as zeros and take no room. Names live in one list: a database has
 * some dozens of files. A removed file lives until its last handle is closed.
 */
#include "base/world_memory.h"

#include "base/heap.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

enum { PAGE_BYTES = 64 * 1024 };

typedef struct node {
    struct node *next;
    char *path;
    bool is_directory;
    bool is_removed;
    uint32_t handle_count;
    kd_rwlock lock; /* Guards size and pages. */
    uint64_t size_bytes;
    size_t page_count;
    uint8_t **pages;
} node;

typedef struct memory_world {
    kd_world world;
    kd_world *below;
    kd_account account;
    kd_mutex mutex; /* Guards the list and the nodes' names and counts. */
    node *nodes;
} memory_world;

struct kd_file {
    node *target;
    bool can_write;
};

static memory_world *self_of(kd_world *world)
{
    return world->impl;
}

static node *find(memory_world *self, const char *path)
{
    for (node *it = self->nodes; it != NULL; it = it->next)
        if (!it->is_removed && strcmp(it->path, path) == 0)
            return it;
    return NULL;
}

static void node_free(memory_world *self, node *it)
{
    for (size_t i = 0; i < it->page_count; i++)
        kd_heap_free(self->below, &self->account, it->pages[i]);
    kd_heap_free(self->below, &self->account, it->pages);
    kd_heap_free(self->below, &self->account, it->path);
    kd_rwlock_clear(&it->lock);
    kd_heap_free(self->below, &self->account, it);
}

/* The mutex is held. Frees the node once nothing names or holds it. */
static void node_drop(memory_world *self, node *it)
{
    if (!it->is_removed || it->handle_count > 0)
        return;
    node **link = &self->nodes;
    while (*link != it)
        link = &(*link)->next;
    *link = it->next;
    node_free(self, it);
}

static char *copy_path(kd_ctx *ctx, memory_world *self, const char *path)
{
    size_t size_bytes = strlen(path) + 1;
    char *copy = kd_heap_alloc_raw(ctx, &self->account, size_bytes);
    if (copy != NULL)
        memcpy(copy, path, size_bytes);
    return copy;
}

/* The mutex is held. */
static node *node_create(kd_ctx *ctx, memory_world *self, const char *path, bool is_directory)
{
    node *created = KD_HEAP_NEW(ctx, &self->account, node);
    if (created == NULL)
        return NULL;
    created->path = copy_path(ctx, self, path);
    if (created->path == NULL) {
        kd_heap_free(self->below, &self->account, created);
        return NULL;
    }
    kd_rwlock_init(&created->lock, self->below);
    created->is_directory = is_directory;
    created->next = self->nodes;
    self->nodes = created;
    return created;
}

/* The lock is held exclusively. Pages from the new end on are given back. */
static kd_status node_resize(kd_ctx *ctx, memory_world *self, node *it, uint64_t size_bytes)
{
    size_t needed = (size_t)((size_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
    if (needed > it->page_count) {
        size_t room = it->page_count * 2 > needed ? it->page_count * 2 : needed;
        uint8_t **pages = kd_heap_alloc(ctx, &self->account, room * sizeof *pages);
        if (pages == NULL)
            return KD_NOMEM;
        if (it->page_count > 0)
            memcpy(pages, it->pages, it->page_count * sizeof *pages);
        kd_heap_free(self->below, &self->account, it->pages);
        it->pages = pages;
        it->page_count = room;
    }
    for (size_t i = needed; i < it->page_count; i++) {
        kd_heap_free(self->below, &self->account, it->pages[i]);
        it->pages[i] = NULL;
    }
    size_t tail = (size_t)(size_bytes % PAGE_BYTES);
    if (size_bytes < it->size_bytes && tail > 0 && it->pages[needed - 1] != NULL)
        memset(it->pages[needed - 1] + tail, 0, PAGE_BYTES - tail);
    it->size_bytes = size_bytes;
    return KD_OK;
}

static kd_status open_node(kd_ctx *ctx, memory_world *self, const char *path, unsigned flags,
                           node **out_node)
{
    *out_node = find(self, path);
    if (*out_node == NULL) {
        if ((flags & KD_FILE_CREATE) == 0)
            return KD_FAIL(ctx, KD_INVALID, "58P01",
                           "could not open file \"%s\": No such file or directory", path);
        *out_node = node_create(ctx, self, path, false);
        return *out_node == NULL ? KD_NOMEM : KD_OK;
    }
    if ((flags & KD_FILE_EXCLUSIVE) != 0)
        return KD_FAIL(ctx, KD_INVALID, "58P02", "could not create file \"%s\": File exists", path);
    if ((*out_node)->is_directory)
        return KD_FAIL(ctx, KD_IO, "58030", "could not open file \"%s\": Is a directory", path);
    return KD_OK;
}

static kd_status memory_file_open(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file)
{
    memory_world *self = self_of(ctx->world);
    *out_file = NULL;
    kd_file *file = KD_HEAP_NEW(ctx, &self->account, kd_file);
    if (file == NULL)
        return KD_NOMEM;
    kd_mutex_lock(&self->mutex);
    node *target;
    kd_status status = open_node(ctx, self, path, flags, &target);
    if (status == KD_OK)
        target->handle_count++;
    kd_mutex_unlock(&self->mutex);
    if (status != KD_OK) {
        kd_heap_free(self->below, &self->account, file);
        return status;
    }
    *file = (kd_file){.target = target, .can_write = (flags & KD_FILE_WRITE) != 0};
    if ((flags & KD_FILE_TRUNCATE) != 0) {
        kd_rwlock_lock_exclusive(&target->lock);
        (void)node_resize(ctx, self, target, 0); /* Shrinking takes no memory. */
        kd_rwlock_unlock_exclusive(&target->lock);
    }
    *out_file = file;
    return KD_OK;
}

static void memory_file_close(kd_world *world, kd_file *file)
{
    if (file == NULL)
        return;
    memory_world *self = self_of(world);
    kd_mutex_lock(&self->mutex);
    file->target->handle_count--;
    node_drop(self, file->target);
    kd_mutex_unlock(&self->mutex);
    kd_heap_free(self->below, &self->account, file);
}

static kd_status memory_file_read(kd_ctx *ctx, kd_file *file, uint64_t offset, void *target,
                                  size_t size_bytes, size_t *out_read_bytes)
{
    (void)ctx;
    node *it = file->target;
    kd_rwlock_lock_shared(&it->lock);
    size_t done = 0;
    while (done < size_bytes && offset + done < it->size_bytes) {
        uint64_t at = offset + done;
        size_t inside = (size_t)(at % PAGE_BYTES);
        size_t part = PAGE_BYTES - inside;
        if (part > size_bytes - done)
            part = size_bytes - done;
        if (part > it->size_bytes - at)
            part = (size_t)(it->size_bytes - at);
        const uint8_t *page = it->pages[at / PAGE_BYTES];
        if (page == NULL)
            memset((char *)target + done, 0, part);
        else
            memcpy((char *)target + done, page + inside, part);
        done += part;
    }
    kd_rwlock_unlock_shared(&it->lock);
    *out_read_bytes = done;
    return KD_OK;
}

/* The lock is held exclusively; the file is long enough. */
static kd_status write_pages(kd_ctx *ctx, memory_world *self, node *it, uint64_t offset,
                             const void *source, size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        uint64_t at = offset + done;
        size_t inside = (size_t)(at % PAGE_BYTES);
        size_t part =
            PAGE_BYTES - inside < size_bytes - done ? PAGE_BYTES - inside : size_bytes - done;
        uint8_t **page = &it->pages[at / PAGE_BYTES];
        if (*page == NULL) {
            *page = kd_heap_alloc(ctx, &self->account, PAGE_BYTES);
            if (*page == NULL)
                return KD_NOMEM;
        }
        memcpy(*page + inside, (const char *)source + done, part);
        done += part;
    }
    return KD_OK;
}

static kd_status memory_file_write(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                                   size_t size_bytes)
{
    memory_world *self = self_of(ctx->world);
    node *it = file->target;
    assert(file->can_write);
    kd_rwlock_lock_exclusive(&it->lock);
    kd_status status = KD_OK;
    if (offset + size_bytes > it->size_bytes)
        status = node_resize(ctx, self, it, offset + size_bytes);
    if (status == KD_OK)
        status = write_pages(ctx, self, it, offset, source, size_bytes);
    kd_rwlock_unlock_exclusive(&it->lock);
    return status;
}

static kd_status memory_file_sync(kd_ctx *ctx, kd_file *file)
{
    (void)ctx;
    (void)file;
    return KD_OK;
}

static kd_status memory_file_size(kd_ctx *ctx, kd_file *file, uint64_t *out_bytes)
{
    (void)ctx;
    kd_rwlock_lock_shared(&file->target->lock);
    *out_bytes = file->target->size_bytes;
    kd_rwlock_unlock_shared(&file->target->lock);
    return KD_OK;
}

static kd_status memory_file_resize(kd_ctx *ctx, kd_file *file, uint64_t size_bytes)
{
    kd_rwlock_lock_exclusive(&file->target->lock);
    kd_status status = node_resize(ctx, self_of(ctx->world), file->target, size_bytes);
    kd_rwlock_unlock_exclusive(&file->target->lock);
    return status;
}

static kd_status memory_path_rename(kd_ctx *ctx, const char *from, const char *to)
{
    memory_world *self = self_of(ctx->world);
    char *name = copy_path(ctx, self, to);
    if (name == NULL)
        return KD_NOMEM;
    kd_mutex_lock(&self->mutex);
    node *source = find(self, from);
    node *target = find(self, to);
    if (source != NULL) {
        if (target != NULL && target != source) {
            target->is_removed = true;
            node_drop(self, target);
        }
        kd_heap_free(self->below, &self->account, source->path);
        source->path = name;
    }
    kd_mutex_unlock(&self->mutex);
    if (source != NULL)
        return KD_OK;
    kd_heap_free(self->below, &self->account, name);
    return KD_FAIL(ctx, KD_INVALID, "58P01",
                   "could not rename file \"%s\": No such file or directory", from);
}

static kd_status memory_path_remove(kd_ctx *ctx, const char *path)
{
    memory_world *self = self_of(ctx->world);
    kd_mutex_lock(&self->mutex);
    node *target = find(self, path);
    if (target != NULL) {
        target->is_removed = true;
        node_drop(self, target);
    }
    kd_mutex_unlock(&self->mutex);
    if (target == NULL)
        return KD_FAIL(ctx, KD_INVALID, "58P01",
                       "could not remove file \"%s\": No such file or directory", path);
    return KD_OK;
}

static kd_status memory_path_exists(kd_ctx *ctx, const char *path, bool *out_exists)
{
    memory_world *self = self_of(ctx->world);
    kd_mutex_lock(&self->mutex);
    *out_exists = find(self, path) != NULL;
    kd_mutex_unlock(&self->mutex);
    return KD_OK;
}

static kd_status memory_directory_create(kd_ctx *ctx, const char *path)
{
    memory_world *self = self_of(ctx->world);
    kd_mutex_lock(&self->mutex);
    kd_status status = KD_OK;
    if (find(self, path) == NULL && node_create(ctx, self, path, true) == NULL)
        status = KD_NOMEM;
    kd_mutex_unlock(&self->mutex);
    return status;
}

static kd_status memory_directory_sync(kd_ctx *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return KD_OK;
}

/* The name of `path` inside `directory`, or NULL. */
static const char *name_inside(const char *directory, const char *path)
{
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/')
        length--;
    if (strncmp(path, directory, length) != 0 || path[length] != '/')
        return NULL;
    const char *name = path + length + 1;
    return *name == '\0' || strchr(name, '/') != NULL ? NULL : name;
}

/* Copies one entry's name after the other under the mutex; visits without it. */
static kd_status memory_directory_list(kd_ctx *ctx, const char *path,
                                       kd_status (*visit)(kd_ctx *ctx, void *object,
                                                          const kd_directory_entry *entry),
                                       void *object)
{
    memory_world *self = self_of(ctx->world);
    for (size_t wanted = 0;; wanted++) {
        char *name = NULL;
        bool is_directory = false, found = false;
        size_t index = 0;
        kd_mutex_lock(&self->mutex);
        for (node *it = self->nodes; it != NULL && !found; it = it->next) {
            const char *inside = it->is_removed ? NULL : name_inside(path, it->path);
            if (inside == NULL || index++ != wanted)
                continue;
            found = true;
            is_directory = it->is_directory;
            name = copy_path(ctx, self, inside);
        }
        kd_mutex_unlock(&self->mutex);
        if (!found)
            return KD_OK;
        if (name == NULL)
            return KD_NOMEM;
        kd_status status =
            visit(ctx, object, &(kd_directory_entry){.name = name, .is_directory = is_directory});
        kd_heap_free(self->below, &self->account, name);
        if (status != KD_OK)
            return status;
    }
}

/* What is passed on to the world below. */

static size_t memory_machine_read(kd_world *world, const char *path, void *target,
                                  size_t size_bytes)
{
    kd_world *below = self_of(world)->below;
    return below->machine_read(below, path, target, size_bytes);
}

static uint64_t memory_monotonic_ns(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->monotonic_ns(below);
}

static int64_t memory_wall_us(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->wall_us(below);
}

static uint64_t memory_random_u64(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->random_u64(below);
}

static void memory_sleep_ns(kd_world *world, uint64_t duration_ns)
{
    kd_world *below = self_of(world)->below;
    below->sleep_ns(below, duration_ns);
}

static void *memory_memory_alloc(kd_world *world, size_t size_bytes)
{
    kd_world *below = self_of(world)->below;
    return below->memory_alloc(below, size_bytes);
}

static void memory_memory_free(kd_world *world, void *memory, size_t size_bytes)
{
    kd_world *below = self_of(world)->below;
    below->memory_free(below, memory, size_bytes);
}

static bool memory_allocation_fails(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->allocation_fails != NULL && below->allocation_fails(below);
}

static unsigned memory_processor_count(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->processor_count(below);
}

static uint64_t memory_total_bytes(kd_world *world)
{
    kd_world *below = self_of(world)->below;
    return below->memory_total_bytes(below);
}

kd_world *kd_world_memory_create(kd_ctx *ctx, kd_world *below)
{
    memory_world *self = below->memory_alloc(below, sizeof *self);
    if (self == NULL) {
        (void)KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory for a database in memory");
        return NULL;
    }
    memset(self, 0, sizeof *self);
    self->below = below;
    kd_account_init(&self->account, NULL, "files in memory", SIZE_MAX);
    kd_mutex_init(&self->mutex, below);
    self->world = (kd_world){
        .impl = self,
        .schedule = below->schedule,
        .file_open = memory_file_open,
        .file_read = memory_file_read,
        .file_write = memory_file_write,
        .file_sync = memory_file_sync,
        .file_size = memory_file_size,
        .file_resize = memory_file_resize,
        .file_close = memory_file_close,
        .path_rename = memory_path_rename,
        .path_remove = memory_path_remove,
        .path_exists = memory_path_exists,
        .directory_create = memory_directory_create,
        .directory_sync = memory_directory_sync,
        .directory_list = memory_directory_list,
        .machine_read = memory_machine_read,
        .monotonic_ns = memory_monotonic_ns,
        .wall_us = memory_wall_us,
        .random_u64 = memory_random_u64,
        .sleep_ns = memory_sleep_ns,
        .memory_alloc = memory_memory_alloc,
        .memory_free = memory_memory_free,
        .allocation_fails = memory_allocation_fails,
        .processor_count = memory_processor_count,
        .memory_total_bytes = memory_total_bytes,
    };
    return &self->world;
}

kd_world *kd_world_memory_below(kd_world *world)
{
    return self_of(world)->below;
}

void kd_world_memory_destroy(kd_world *world)
{
    if (world == NULL)
        return;
    memory_world *self = self_of(world);
    kd_world *below = self->below;
    while (self->nodes != NULL) {
        node *it = self->nodes;
        assert(it->handle_count == 0);
        self->nodes = it->next;
        node_free(self, it);
    }
    kd_mutex_clear(&self->mutex);
    below->memory_free(below, self, sizeof *self);
}
