/*
 * The simulated disk. Every file has two states: what readers see, and what is on the
 * platter; between them stands the list of pending operations. So has the table of
 * names. A crash plays a part of the pending operations onto the platter and makes that
 * what readers see.
 */
#include "sim_internal.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct image {
    uint8_t *data;
    uint64_t size_bytes;
    uint64_t capacity_bytes;
} image;

/* A write, or a resize when data is NULL. */
typedef struct data_op {
    uint64_t offset; /* The new size of a resize. */
    uint64_t size_bytes;
    uint8_t *data;
} data_op;

typedef struct inode {
    bool is_directory;
    image seen;
    image stored;
    data_op *ops;
    size_t op_count;
    size_t op_capacity;
    const sim_world *locked_by;
} inode;

typedef struct name {
    char *path;
    inode *node;
} name;

typedef struct name_table {
    name *names;
    size_t count;
    size_t capacity;
} name_table;

/* from -> to with the inode; `from` is NULL for a creation, `to` for a removal. */
typedef struct name_op {
    char *from;
    char *to;
    inode *node;
} name_op;

struct sim_disk {
    inode **nodes;
    size_t node_count;
    size_t node_capacity;
    name_table seen;
    name_table stored;
    name_op *ops;
    size_t op_count;
    size_t op_capacity;
    uint64_t capacity_bytes;
    uint64_t change_count; /* Grows when what a crash may leave becomes another. */
};

struct kd_file {
    sim_world *sim;
    inode *node;
    unsigned flags;
    char *path;
};

static void *grow(void *items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return items;
    *capacity = needed * 2 + 8;
    void *grown = realloc(items, *capacity * item_bytes);
    CHECK(grown != NULL);
    return grown;
}

static char *text_copy(const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    CHECK((copy == NULL) == (text == NULL));
    return copy;
}

/* Images */

static void image_resize(image *target, uint64_t size_bytes)
{
    target->data = grow(target->data, &target->capacity_bytes, size_bytes, 1);
    if (size_bytes > target->size_bytes)
        memset(target->data + target->size_bytes, 0, size_bytes - target->size_bytes);
    target->size_bytes = size_bytes;
}

static void image_write(image *target, uint64_t offset, const uint8_t *data, uint64_t size_bytes)
{
    if (size_bytes == 0)
        return;
    if (offset + size_bytes > target->size_bytes)
        image_resize(target, offset + size_bytes);
    memcpy(target->data + offset, data, size_bytes);
}

static void op_apply(image *target, const data_op *op)
{
    if (op->data == NULL)
        image_resize(target, op->offset);
    else
        image_write(target, op->offset, op->data, op->size_bytes);
}

static void op_remove(inode *node, size_t index)
{
    free(node->ops[index].data);
    node->op_count--;
    memmove(&node->ops[index], &node->ops[index + 1], (node->op_count - index) * sizeof *node->ops);
}

static void op_add(inode *node, uint64_t offset, const void *data, uint64_t size_bytes)
{
    node->ops = grow(node->ops, &node->op_capacity, node->op_count + 1, sizeof *node->ops);
    data_op op = {.offset = offset, .size_bytes = size_bytes};
    if (data != NULL) {
        op.data = malloc(size_bytes + 1);
        CHECK(op.data != NULL);
        memcpy(op.data, data, size_bytes);
    }
    node->ops[node->op_count++] = op;
    op_apply(&node->seen, &op);
}

/* What a synchronous write makes durable: itself, and older pending writes that it overlaps. */
static void ops_store_overlapping(inode *node, uint64_t offset, uint64_t size_bytes)
{
    for (size_t i = 0; i < node->op_count;) {
        const data_op *op = &node->ops[i];
        bool overlaps = op->data == NULL ||
                        (op->offset < offset + size_bytes && offset < op->offset + op->size_bytes);
        if (overlaps) {
            op_apply(&node->stored, op);
            op_remove(node, i);
        } else {
            i++;
        }
    }
}

static void ops_store_all(inode *node)
{
    for (size_t i = 0; i < node->op_count; i++) {
        op_apply(&node->stored, &node->ops[i]);
        free(node->ops[i].data);
    }
    node->op_count = 0;
}

/* Names */

static name *name_find(const name_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->names[i].path, path) == 0)
            return &table->names[i];
    return NULL;
}

static void name_remove(name_table *table, const char *path)
{
    name *found = name_find(table, path);
    if (found == NULL)
        return;
    free(found->path);
    size_t index = (size_t)(found - table->names);
    table->count--;
    memmove(found, found + 1, (table->count - index) * sizeof *found);
}

static void name_set(name_table *table, const char *path, inode *node)
{
    name *found = name_find(table, path);
    if (found != NULL) {
        found->node = node;
        return;
    }
    table->names = grow(table->names, &table->capacity, table->count + 1, sizeof *table->names);
    table->names[table->count++] = (name){.path = text_copy(path), .node = node};
}

static void name_table_clear(name_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->names[i].path);
    free(table->names);
    *table = (name_table){0};
}

static void name_op_apply(name_table *table, const name_op *op)
{
    if (op->from != NULL)
        name_remove(table, op->from);
    if (op->to != NULL)
        name_set(table, op->to, op->node);
}

static void name_op_add(sim_disk *disk, const char *from, const char *to, inode *node)
{
    disk->ops = grow(disk->ops, &disk->op_capacity, disk->op_count + 1, sizeof *disk->ops);
    name_op *op = &disk->ops[disk->op_count++];
    *op = (name_op){.from = text_copy(from), .to = text_copy(to), .node = node};
    name_op_apply(&disk->seen, op);
    disk->change_count++;
}

static void name_op_clear(name_op *op)
{
    free(op->from);
    free(op->to);
}

/* Whether `path` stands directly in `directory`. */
static bool is_inside(const char *path, const char *directory)
{
    if (path == NULL)
        return false;
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == NULL && strcmp(directory, ".") == 0)
        return true;
    return strlen(directory) == length && strncmp(path, directory, length) == 0;
}

static void names_store(sim_disk *disk, const char *directory)
{
    size_t kept = 0;
    disk->change_count++;
    for (size_t i = 0; i < disk->op_count; i++) {
        name_op *op = &disk->ops[i];
        if (is_inside(op->from, directory) || is_inside(op->to, directory)) {
            name_op_apply(&disk->stored, op);
            name_op_clear(op);
        } else {
            disk->ops[kept++] = *op;
        }
    }
    disk->op_count = kept;
}

static inode *node_create(sim_disk *disk, bool is_directory)
{
    inode *node = calloc(1, sizeof *node);
    CHECK(node != NULL);
    node->is_directory = is_directory;
    disk->nodes =
        grow(disk->nodes, &disk->node_capacity, disk->node_count + 1, sizeof *disk->nodes);
    disk->nodes[disk->node_count++] = node;
    return node;
}

static bool parent_exists(const sim_disk *disk, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return true;
    char parent[4096];
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    const name *found = name_find(&disk->seen, parent);
    return found != NULL && found->node->is_directory;
}

/* The disk as a whole */

sim_disk *sim_disk_create(void)
{
    sim_disk *disk = calloc(1, sizeof *disk);
    CHECK(disk != NULL);
    return disk;
}

void sim_disk_destroy(sim_disk *disk)
{
    if (disk == NULL)
        return;
    for (size_t i = 0; i < disk->node_count; i++) {
        inode *node = disk->nodes[i];
        while (node->op_count > 0)
            op_remove(node, node->op_count - 1);
        free(node->ops);
        free(node->seen.data);
        free(node->stored.data);
        free(node);
    }
    for (size_t i = 0; i < disk->op_count; i++)
        name_op_clear(&disk->ops[i]);
    free(disk->ops);
    free(disk->nodes);
    name_table_clear(&disk->seen);
    name_table_clear(&disk->stored);
    free(disk);
}

void sim_disk_set_capacity(sim_disk *disk, uint64_t capacity_bytes)
{
    disk->capacity_bytes = capacity_bytes;
}

uint64_t sim_disk_used_bytes(const sim_disk *disk)
{
    uint64_t used_bytes = 0;
    for (size_t i = 0; i < disk->seen.count; i++)
        used_bytes += disk->seen.names[i].node->seen.size_bytes;
    return used_bytes;
}

bool sim_disk_file_size(const sim_disk *disk, const char *path, uint64_t *out_bytes)
{
    const name *found = name_find(&disk->seen, path);
    *out_bytes = found == NULL ? 0 : found->node->seen.size_bytes;
    return found != NULL && !found->node->is_directory;
}

void sim_disk_flip(sim_disk *disk, const char *path, uint64_t offset, uint8_t mask)
{
    const name *found = name_find(&disk->seen, path);
    CHECK(found != NULL && offset < found->node->seen.size_bytes);
    found->node->seen.data[offset] ^= mask;
    if (offset < found->node->stored.size_bytes)
        found->node->stored.data[offset] ^= mask;
}

const char *sim_disk_path(const sim_disk *disk, size_t nth)
{
    for (size_t i = 0; i < disk->seen.count; i++)
        if (!disk->seen.names[i].node->is_directory && nth-- == 0)
            return disk->seen.names[i].path;
    return NULL;
}

/* How a crash treats pending operations; one way for the names and one for each file. */
typedef enum fate { FATE_NONE, FATE_ALL, FATE_PREFIX, FATE_ANY, FATE_TORN, FATE_COUNT } fate;

static bool survives(fate how, size_t index, size_t prefix, test_random *random)
{
    if (how == FATE_NONE || how == FATE_ALL)
        return how == FATE_ALL;
    if (how == FATE_PREFIX)
        return index < prefix;
    return test_random_below(random, 2) != 0;
}

/* Sector by sector: a write that was under way may be there in any part. */
static void op_apply_torn(image *target, const data_op *op, test_random *random)
{
    for (uint64_t done = 0; done < op->size_bytes;) {
        uint64_t sector_end =
            (op->offset + done) / SIM_SECTOR_BYTES * SIM_SECTOR_BYTES + SIM_SECTOR_BYTES;
        uint64_t piece = sector_end - op->offset - done;
        if (piece > op->size_bytes - done)
            piece = op->size_bytes - done;
        if (test_random_below(random, 2) != 0)
            image_write(target, op->offset + done, op->data + done, piece);
        done += piece;
    }
}

static void node_lose_power(inode *node, test_random *random)
{
    fate how = (fate)test_random_below(random, FATE_COUNT);
    size_t prefix = test_random_below(random, node->op_count + 1);
    for (size_t i = 0; i < node->op_count; i++) {
        const data_op *op = &node->ops[i];
        bool last_of_prefix = how == FATE_PREFIX && i == prefix;
        if (op->data != NULL && (how == FATE_TORN || last_of_prefix))
            op_apply_torn(&node->stored, op, random);
        else if (survives(how, i, prefix, random))
            op_apply(&node->stored, op);
        free(op->data);
    }
    node->op_count = 0;
    node->locked_by = NULL;
    image_resize(&node->seen, 0);
    image_write(&node->seen, 0, node->stored.data, node->stored.size_bytes);
}

static bool stored_parents_exist(const sim_disk *disk, const char *path)
{
    char parent[4096];
    (void)snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strrchr(parent, '/'); slash != NULL && slash != parent;
         slash = strrchr(parent, '/')) {
        *slash = '\0';
        if (name_find(&disk->stored, parent) == NULL)
            return false;
    }
    return true;
}

/* What is on the platter is what readers see. */
static void disk_restart(sim_disk *disk)
{
    for (size_t i = 0; i < disk->stored.count;) {
        if (stored_parents_exist(disk, disk->stored.names[i].path))
            i++;
        else
            name_remove(&disk->stored, disk->stored.names[i].path);
    }
    name_table_clear(&disk->seen);
    for (size_t i = 0; i < disk->stored.count; i++)
        name_set(&disk->seen, disk->stored.names[i].path, disk->stored.names[i].node);
}

void sim_disk_lose_power(sim_disk *disk, test_random *random)
{
    fate how = (fate)test_random_below(random, FATE_COUNT);
    size_t prefix = test_random_below(random, disk->op_count + 1);
    for (size_t i = 0; i < disk->op_count; i++) {
        if (survives(how, i, prefix, random))
            name_op_apply(&disk->stored, &disk->ops[i]);
        name_op_clear(&disk->ops[i]);
    }
    disk->op_count = 0;
    for (size_t i = 0; i < disk->node_count; i++)
        node_lose_power(disk->nodes[i], random);
    disk_restart(disk);
}

/* --- Crashes that are chosen ------------------------------------------------------------------ */

/* The copy has no readers: its files' seen bytes are missing until sim_disk_lose. */
static inode *node_copy(sim_disk *disk, const inode *from)
{
    inode *node = node_create(disk, from->is_directory);
    image_write(&node->stored, 0, from->stored.data, from->stored.size_bytes);
    for (size_t i = 0; i < from->op_count; i++) {
        const data_op *op = &from->ops[i];
        op_add(node, op->offset, op->data, op->size_bytes);
    }
    image_resize(&node->seen, 0);
    return node;
}

static inode *node_twin(const sim_disk *copy, const sim_disk *disk, const inode *node)
{
    for (size_t i = 0; i < disk->node_count; i++)
        if (disk->nodes[i] == node)
            return copy->nodes[i];
    return NULL;
}

sim_disk *sim_disk_copy(const sim_disk *disk)
{
    sim_disk *copy = sim_disk_create();
    for (size_t i = 0; i < disk->node_count; i++)
        (void)node_copy(copy, disk->nodes[i]);
    for (size_t i = 0; i < disk->stored.count; i++)
        name_set(&copy->stored, disk->stored.names[i].path,
                 node_twin(copy, disk, disk->stored.names[i].node));
    for (size_t i = 0; i < disk->op_count; i++) {
        const name_op *op = &disk->ops[i];
        name_op_add(copy, op->from, op->to, node_twin(copy, disk, op->node));
    }
    return copy;
}

/* How many parts of a pending write reach the platter, or do not, each for itself. */
static size_t op_part_count(const data_op *op, uint64_t part_bytes)
{
    if (op->data == NULL || op->size_bytes == 0)
        return 1;
    return (op->offset + op->size_bytes - 1) / part_bytes - op->offset / part_bytes + 1;
}

size_t sim_disk_pending_count(const sim_disk *disk, uint64_t part_bytes)
{
    size_t count = disk->op_count;
    for (size_t i = 0; i < disk->node_count; i++)
        for (size_t k = 0; k < disk->nodes[i]->op_count; k++)
            count += op_part_count(&disk->nodes[i]->ops[k], part_bytes);
    return count;
}

/* One choice for each part of the write. Returns how many were taken. */
static size_t op_apply_parts(image *target, const data_op *op, uint64_t part_bytes,
                             const bool *keeps)
{
    size_t count = op_part_count(op, part_bytes);
    if (count == 1 && keeps[0])
        op_apply(target, op);
    uint64_t done = 0;
    for (size_t i = 0; i < count && count > 1; i++) {
        uint64_t piece = part_bytes - (op->offset + done) % part_bytes;
        if (piece > op->size_bytes - done)
            piece = op->size_bytes - done;
        if (keeps[i])
            image_write(target, op->offset + done, op->data + done, piece);
        done += piece;
    }
    return count;
}

void sim_disk_lose(sim_disk *disk, uint64_t part_bytes, const bool *keeps)
{
    for (size_t i = 0; i < disk->op_count; i++) {
        if (*keeps++)
            name_op_apply(&disk->stored, &disk->ops[i]);
        name_op_clear(&disk->ops[i]);
    }
    disk->op_count = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        inode *node = disk->nodes[i];
        for (size_t k = 0; k < node->op_count; k++) {
            keeps += op_apply_parts(&node->stored, &node->ops[k], part_bytes, keeps);
            free(node->ops[k].data);
        }
        node->op_count = 0;
        node->locked_by = NULL;
        image_resize(&node->seen, 0);
        image_write(&node->seen, 0, node->stored.data, node->stored.size_bytes);
    }
    disk_restart(disk);
}

uint64_t sim_disk_hash(const sim_disk *disk)
{
    uint64_t all = 0;
    for (size_t i = 0; i < disk->seen.count; i++) {
        const name *one = &disk->seen.names[i];
        uint64_t path = kd_hash_bytes(one->path, strlen(one->path));
        const image *bytes = &one->node->seen;
        all += kd_hash_combine(path, kd_hash_bytes(bytes->data, bytes->size_bytes) +
                                         one->node->is_directory); /* In any order of names. */
    }
    return all;
}

void sim_watch_disk(sim_world *sim, void (*watch)(void *object), void *object)
{
    sim->watch = watch;
    sim->watch_object = object;
    sim->watched_count = sim->disk->change_count;
}

static void disk_watch(sim_world *sim)
{
    if (sim->watch == NULL || sim->watched_count == sim->disk->change_count)
        return;
    sim->watched_count = sim->disk->change_count;
    sim->watch(sim->watch_object);
}

/* The calls */

typedef enum call_verdict { CALL_GOES_ON, CALL_FAILS, CALL_CRASHES } call_verdict;

/* Counts a disk call and says what happens to it. The baton may pass on first. */
static call_verdict call_begin(sim_world *sim, uint64_t event)
{
    sim_point(sim, event);
    if (sim->has_crashed)
        return CALL_FAILS;
    disk_watch(sim);
    sim->disk_call_count++;
    if (sim->calls_until_crash > 0 && --sim->calls_until_crash == 0)
        return CALL_CRASHES;
    if (sim_allocation_due(sim))
        return CALL_FAILS;
    if (sim->disk_calls_until_fault > 0 && --sim->disk_calls_until_fault == 0) {
        if (sim->fault_forever)
            sim->disk_calls_until_fault = 1;
        sim->fault_fired = true;
        return CALL_FAILS;
    }
    return CALL_GOES_ON;
}

static kd_status call_fail(kd_ctx *ctx, const char *what, const char *path)
{
    sim_world *sim = ctx->world->impl;
    if (sim->has_crashed)
        return KD_FAIL(ctx, KD_IO, "58030", "could not %s \"%s\": the power is off", what, path);
    if (test_random_below(&sim->fault_random, 4) == 0)
        return KD_FAIL(ctx, KD_IO, "53100", "could not %s \"%s\": No space left on device", what,
                       path);
    return KD_FAIL(ctx, KD_IO, "58030", "could not %s \"%s\": Input/output error", what, path);
}

/* For calls that change nothing, or nothing but names: a crash comes before or after them. */
#define CALL_BEGIN(ctx, event, what, path)                               \
    do {                                                                 \
        call_verdict verdict_ = call_begin((ctx)->world->impl, (event)); \
        if (verdict_ == CALL_CRASHES)                                    \
            sim_crash((ctx)->world->impl);                               \
        if (verdict_ != CALL_GOES_ON)                                    \
            return call_fail((ctx), (what), (path));                     \
    } while (0)

static uint64_t path_event(uint64_t event, const char *path)
{
    return kd_hash_combine(event, kd_hash_bytes(path, strlen(path)));
}

static kd_status file_find(kd_ctx *ctx, const char *path, unsigned flags, inode **out_node)
{
    sim_world *sim = ctx->world->impl;
    name *found = name_find(&sim->disk->seen, path);
    *out_node = NULL;
    if (found != NULL && found->node->is_directory)
        return KD_FAIL(ctx, KD_IO, "58030", "could not open file \"%s\": Is a directory", path);
    if (found != NULL && (flags & KD_FILE_CREATE) != 0 && (flags & KD_FILE_EXCLUSIVE) != 0)
        return KD_FAIL(ctx, KD_INVALID, "58P02", "could not create file \"%s\": File exists", path);
    if (found != NULL) {
        *out_node = found->node;
        return KD_OK;
    }
    if ((flags & KD_FILE_CREATE) == 0 || !parent_exists(sim->disk, path))
        return KD_FAIL(ctx, KD_INVALID, "58P01",
                       "could not open file \"%s\": No such file or directory", path);
    *out_node = node_create(sim->disk, false);
    name_op_add(sim->disk, NULL, path, *out_node);
    return KD_OK;
}

static kd_status sim_file_open(kd_ctx *ctx, const char *path, unsigned flags, kd_file **out_file)
{
    sim_world *sim = ctx->world->impl;
    *out_file = NULL;
    CALL_BEGIN(ctx, path_event(1, path), "open file", path);
    inode *node;
    KD_TRY(file_find(ctx, path, flags, &node));
    if ((flags & KD_FILE_LOCK) != 0) {
        if (node->locked_by != NULL)
            return KD_FAIL(ctx, KD_BUSY, "55006", "\"%s\" is in use by another process", path);
        node->locked_by = sim;
    }
    if ((flags & KD_FILE_TRUNCATE) != 0 && node->seen.size_bytes > 0) {
        op_add(node, 0, NULL, 0);
        sim->disk->change_count++;
    }
    kd_file *file = calloc(1, sizeof *file);
    CHECK(file != NULL);
    *file = (kd_file){.sim = sim, .node = node, .flags = flags, .path = text_copy(path)};
    sim->open_file_count++;
    *out_file = file;
    return KD_OK;
}

static void direct_check(const kd_file *file, uint64_t offset, const void *memory,
                         size_t size_bytes)
{
    if ((file->flags & KD_FILE_DIRECT) == 0)
        return;
    CHECK_EQ(offset % KD_DIRECT_ALIGN_BYTES, 0);
    CHECK_EQ(size_bytes % KD_DIRECT_ALIGN_BYTES, 0);
    CHECK_EQ((uintptr_t)memory % KD_DIRECT_ALIGN_BYTES, 0);
}

static kd_status sim_file_read(kd_ctx *ctx, kd_file *file, uint64_t offset, void *target,
                               size_t size_bytes, size_t *out_read_bytes)
{
    *out_read_bytes = 0;
    direct_check(file, offset, target, size_bytes);
    CALL_BEGIN(ctx, path_event(2 + offset * 16, file->path), "read file", file->path);
    const image *seen = &file->node->seen;
    if (offset >= seen->size_bytes)
        return KD_OK;
    uint64_t left = seen->size_bytes - offset;
    *out_read_bytes = left < size_bytes ? left : size_bytes;
    memcpy(target, seen->data + offset, *out_read_bytes);
    return KD_OK;
}

static bool is_over_capacity(const sim_disk *disk, const inode *node, uint64_t end)
{
    return disk->capacity_bytes != 0 && end > node->seen.size_bytes &&
           sim_disk_used_bytes(disk) + (end - node->seen.size_bytes) > disk->capacity_bytes;
}

/* Spilled rows hold addresses, which differ from run to run: their bytes are no part of the trace.
 */
static uint64_t content_event(const char *path, uint64_t offset, const void *source,
                              size_t size_bytes)
{
    bool is_scratch = strstr(path, "/tmp/") != NULL;
    return path_event(3 + offset * 16 + (is_scratch ? 0 : kd_hash_bytes(source, size_bytes)), path);
}

/* Another file than `node` that readers see, drawn by the seed; NULL when there is none. */
static inode *other_file(sim_world *sim, const inode *node)
{
    const name_table *seen = &sim->disk->seen;
    size_t first = test_random_below(&sim->fault_random, seen->count);
    for (size_t i = 0; i < seen->count; i++) {
        inode *other = seen->names[(first + i) % seen->count].node;
        if (!other->is_directory && other != node && other->seen.size_bytes > 0)
            return other;
    }
    return NULL;
}

/* Where the write goes: NULL for nowhere. */
static inode *write_target(sim_world *sim, inode *node, uint64_t *offset)
{
    if (sim->writes_until_spoilt == 0 || --sim->writes_until_spoilt > 0)
        return node;
    sim->write_is_spoilt = true;
    uint64_t blocks = node->seen.size_bytes / SIM_BLOCK_BYTES + 1;
    uint64_t away = 1 + test_random_below(&sim->fault_random, blocks);
    if (sim->spoils == SIM_WRITE_ASTRAY)
        return other_file(sim, node);
    if (sim->spoils == SIM_WRITE_LOST)
        return NULL;
    *offset = *offset / SIM_BLOCK_BYTES >= away && away % 2 == 0 ? *offset - away * SIM_BLOCK_BYTES
                                                                 : *offset + away * SIM_BLOCK_BYTES;
    return node;
}

/* The write as the disk does it, which may be another than it was told. Returns where it went. */
static inode *write_add(sim_world *sim, inode *node, uint64_t *offset, const void *source,
                        size_t size_bytes)
{
    uint64_t end = *offset + size_bytes;
    inode *target = write_target(sim, node, offset);
    if (target != node && end > node->seen.size_bytes)
        op_add(node, end, NULL, 0); /* The file system has counted it. */
    if (target != NULL)
        op_add(target, *offset, source, size_bytes);
    sim->disk->change_count++;
    return target;
}

static kd_status sim_file_write(kd_ctx *ctx, kd_file *file, uint64_t offset, const void *source,
                                size_t size_bytes)
{
    sim_world *sim = file->sim;
    CHECK((file->flags & KD_FILE_WRITE) != 0);
    direct_check(file, offset, source, size_bytes);
    call_verdict verdict = call_begin(sim, content_event(file->path, offset, source, size_bytes));
    if (verdict == CALL_FAILS) {
        /* Some of it may have got there. */
        if (!sim->has_crashed)
            op_add(file->node, offset, source, test_random_below(&sim->fault_random, size_bytes));
        return call_fail(ctx, "write file", file->path);
    }
    if (is_over_capacity(sim->disk, file->node, offset + size_bytes))
        return KD_FAIL(ctx, KD_IO, "53100", "could not write file \"%s\": No space left on device",
                       file->path);
    inode *target = write_add(sim, file->node, &offset, source, size_bytes);
    if (verdict == CALL_CRASHES) {
        sim_crash(sim);
        return call_fail(ctx, "write file", file->path);
    }
    disk_watch(sim);
    if ((file->flags & KD_FILE_DSYNC) == 0)
        return KD_OK;
    sim_point(sim, 3); /* Others run, or crash, while the write is under way. */
    if (sim->has_crashed)
        return call_fail(ctx, "write file", file->path);
    if (target != NULL)
        ops_store_overlapping(target, offset, size_bytes);
    sim->disk->change_count++;
    return KD_OK;
}

static kd_status sim_file_sync(kd_ctx *ctx, kd_file *file)
{
    sim_world *sim = file->sim;
    call_verdict verdict = call_begin(sim, path_event(4, file->path));
    if (verdict == CALL_CRASHES)
        sim_crash(sim);
    if (verdict != CALL_GOES_ON) {
        /* The trap: pages that could not be written are called clean, and are lost. */
        inode *node = file->node;
        for (size_t i = 0; i < node->op_count;)
            if (test_random_below(&sim->fault_random, 2) != 0)
                op_remove(node, i);
            else
                i++;
        return call_fail(ctx, "fsync file", file->path);
    }
    sim->disk->change_count += file->node->op_count > 0;
    ops_store_all(file->node);
    return KD_OK;
}

static kd_status sim_file_size(kd_ctx *ctx, kd_file *file, uint64_t *out_bytes)
{
    *out_bytes = 0;
    CALL_BEGIN(ctx, path_event(5, file->path), "examine file", file->path);
    *out_bytes = file->node->seen.size_bytes;
    return KD_OK;
}

static kd_status sim_file_resize(kd_ctx *ctx, kd_file *file, uint64_t size_bytes)
{
    CALL_BEGIN(ctx, path_event(6 + size_bytes * 16, file->path), "resize file", file->path);
    if (is_over_capacity(file->sim->disk, file->node, size_bytes))
        return KD_FAIL(ctx, KD_IO, "53100", "could not resize file \"%s\": No space left on device",
                       file->path);
    op_add(file->node, size_bytes, NULL, 0);
    file->sim->disk->change_count++;
    return KD_OK;
}

static void sim_file_close(kd_world *world, kd_file *file)
{
    sim_world *sim = world->impl;
    if (file == NULL)
        return;
    sim_trace_add(sim, path_event(7, file->path));
    if ((file->flags & KD_FILE_LOCK) != 0)
        file->node->locked_by = NULL;
    sim->open_file_count--;
    free(file->path);
    free(file);
}

static bool has_children(const sim_disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->seen.count; i++)
        if (is_inside(disk->seen.names[i].path, path))
            return true;
    return false;
}

/* Everything below a directory moves with it. */
static void children_rename(sim_disk *disk, const char *from, const char *to)
{
    size_t length = strlen(from);
    for (size_t i = 0; i < disk->seen.count; i++) {
        name *child = &disk->seen.names[i];
        if (strncmp(child->path, from, length) != 0 || child->path[length] != '/')
            continue;
        char moved[4096], old[4096];
        (void)snprintf(old, sizeof old, "%s", child->path);
        (void)snprintf(moved, sizeof moved, "%s%s", to, old + length);
        name_op_add(disk, old, moved, child->node);
        i = (size_t)-1; /* The table has changed: look again from the start. */
    }
}

static kd_status sim_path_rename(kd_ctx *ctx, const char *from, const char *to)
{
    sim_world *sim = ctx->world->impl;
    CALL_BEGIN(ctx, path_event(path_event(8, from), to), "rename file", from);
    name *found = name_find(&sim->disk->seen, from);
    if (found == NULL || !parent_exists(sim->disk, to))
        return KD_FAIL(ctx, KD_INVALID, "58P01",
                       "could not rename file \"%s\": No such file or directory", from);
    inode *node = found->node;
    name_op_add(sim->disk, from, to, node);
    if (node->is_directory)
        children_rename(sim->disk, from, to);
    return KD_OK;
}

static kd_status sim_path_remove(kd_ctx *ctx, const char *path)
{
    sim_world *sim = ctx->world->impl;
    CALL_BEGIN(ctx, path_event(9, path), "remove file", path);
    const name *found = name_find(&sim->disk->seen, path);
    if (found == NULL)
        return KD_FAIL(ctx, KD_INVALID, "58P01",
                       "could not remove file \"%s\": No such file or directory", path);
    if (found->node->is_directory && has_children(sim->disk, path))
        return KD_FAIL(ctx, KD_IO, "58030",
                       "could not remove directory \"%s\": Directory not empty", path);
    name_op_add(sim->disk, path, NULL, found->node);
    return KD_OK;
}

static kd_status sim_path_exists(kd_ctx *ctx, const char *path, bool *out_exists)
{
    sim_world *sim = ctx->world->impl;
    *out_exists = false;
    CALL_BEGIN(ctx, path_event(10, path), "examine file", path);
    *out_exists = name_find(&sim->disk->seen, path) != NULL;
    return KD_OK;
}

static kd_status sim_directory_create(kd_ctx *ctx, const char *path)
{
    sim_world *sim = ctx->world->impl;
    CALL_BEGIN(ctx, path_event(11, path), "create directory", path);
    const name *found = name_find(&sim->disk->seen, path);
    if (found != NULL && found->node->is_directory)
        return KD_OK;
    if (found != NULL || !parent_exists(sim->disk, path))
        return KD_FAIL(ctx, KD_INVALID, found != NULL ? "58P02" : "58P01",
                       "could not create directory \"%s\": %s", path,
                       found != NULL ? "File exists" : "No such file or directory");
    name_op_add(sim->disk, NULL, path, node_create(sim->disk, true));
    return KD_OK;
}

static kd_status sim_directory_sync(kd_ctx *ctx, const char *path)
{
    sim_world *sim = ctx->world->impl;
    CALL_BEGIN(ctx, path_event(12, path), "fsync directory", path);
    names_store(sim->disk, path);
    return KD_OK;
}

static kd_status sim_directory_list(kd_ctx *ctx, const char *path,
                                    kd_status (*visit)(kd_ctx *ctx, void *object,
                                                       const kd_directory_entry *entry),
                                    void *object)
{
    sim_world *sim = ctx->world->impl;
    CALL_BEGIN(ctx, path_event(13, path), "open directory", path);
    const sim_disk *disk = sim->disk;
    const name *directory = name_find(&disk->seen, path);
    if (strcmp(path, ".") != 0 && (directory == NULL || !directory->node->is_directory))
        return KD_FAIL(ctx, KD_INVALID, "58P01",
                       "could not open directory \"%s\": No such file or directory", path);
    kd_status status = KD_OK;
    size_t count = disk->seen.count; /* The visit may change the table: it works on copies. */
    name *copies = calloc(count + 1, sizeof *copies);
    CHECK(copies != NULL);
    for (size_t i = 0; i < count; i++)
        copies[i] = (name){text_copy(disk->seen.names[i].path), disk->seen.names[i].node};
    for (size_t i = 0; i < count && status == KD_OK; i++) {
        if (!is_inside(copies[i].path, path))
            continue;
        const char *slash = strrchr(copies[i].path, '/');
        kd_directory_entry entry = {.name = slash == NULL ? copies[i].path : slash + 1,
                                    .is_directory = copies[i].node->is_directory};
        status = visit(ctx, object, &entry);
    }
    for (size_t i = 0; i < count; i++)
        free(copies[i].path);
    free(copies);
    return status;
}

void sim_disk_install(kd_world *world)
{
    world->file_open = sim_file_open;
    world->file_read = sim_file_read;
    world->file_write = sim_file_write;
    world->file_sync = sim_file_sync;
    world->file_size = sim_file_size;
    world->file_resize = sim_file_resize;
    world->file_close = sim_file_close;
    world->path_rename = sim_path_rename;
    world->path_remove = sim_path_remove;
    world->path_exists = sim_path_exists;
    world->directory_create = sim_directory_create;
    world->directory_sync = sim_directory_sync;
    world->directory_list = sim_directory_list;
}
