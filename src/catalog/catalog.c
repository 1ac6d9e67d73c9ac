/*
 * Catalog versions, and the transactions that change them.
 *
 * An object's entry lives in a counted box, shared by all versions that have it;
 * a version is an array of them sorted by number plus a hash table by name. The
 * versions of a database form a chain from newest to oldest; one goes away when
 * nobody has it pinned and every snapshot is past its successor.
 *
 * Lock order: the catalog's mutex is taken last and never held over a call into
 * txn or table.
 */
#include "catalog/catalog.h"

#include "base/hash.h"
#include "base/thread.h"
#include "catalog/entry_codec.h"

#include <assert.h>

enum {
    SYSTEM_TABLE_NO = 1, /* The first table of a database. */
    SYSTEM_SEQUENCE_NO = 1,
    SYSTEM_COLUMN_COUNT = 2,
    REFERENCE_MAX = 4096, /* Of one entry: types and sequences of all its columns, and more. */
};

typedef struct box {
    kd_arena *arena; /* Owns the entry and this struct. */
    atomic_uint use_count;
    const kd_object *entry;
} box;

typedef struct item {
    const kd_object *object;
    box *holder;                 /* Counted once per version and box: see is_owner. */
    bool is_owner;               /* false: an index inside its table's entry. */
    const kd_table_index *index; /* For indexes. */
} item;

struct kd_catalog_version {
    kd_catalog *catalog;
    kd_arena *arena;
    kd_catalog_version *older; /* Guarded by the catalog's mutex, as pin_count. */
    uint32_t pin_count;
    kd_stamp stamp; /* Of the commit that made it; 0 for the first. */
    uint64_t version_no;
    uint32_t item_count;
    item *items;         /* By object number. */
    uint32_t slot_count; /* A power of two. */
    uint32_t *slots;     /* Open addressing: index into items + 1. */
};

/* The work of a transaction that did DDL. Lives in the transaction's arena. */
typedef struct change {
    struct change *earlier;
    uint32_t tag; /* kd_txn_savepoint_now when it was made. */
    uint32_t object_no;
    box *added;                 /* The object's new entry; NULL: it was removed. */
    kd_catalog_version *result; /* The version after it: all changes so far over a base. */
    uint64_t base_no;           /* The version that the base is. */
} change;

typedef struct session_work {
    struct session_work *next; /* In the catalog's list, guarded by its mutex. */
    kd_catalog *catalog;
    uint64_t txn_no;
    kd_txn *txn;
    change *latest;
    kd_catalog_version *final; /* Made to be committed, if the latest's base is not the newest. */
    uint32_t *references;      /* Room for REFERENCE_MAX numbers. */
} session_work;

struct kd_catalog {
    kd_world *world;
    kd_storage *storage;
    const kd_registry *registry;
    kd_mutex mutex;
    kd_catalog_version *newest;
    session_work *works;
    uint64_t last_version_no;        /* Guarded by the mutex. */
    atomic_uint_least64_t newest_no; /* Of `newest`, for looking without the mutex. */
    atomic_uint work_count;          /* Of `works`. */
};

/* --- Boxes and versions ------------------------------------------------------------------------
 */

static void box_put(box *holder)
{
    if (holder != NULL && atomic_fetch_sub(&holder->use_count, 1) == 1)
        kd_arena_destroy(holder->arena);
}

static kd_status box_create(kd_ctx *ctx, kd_slice body, box **out_box)
{
    kd_status status = KD_OK;
    *out_box = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "catalog entry", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    box *created = KD_NEW(ctx, arena, box);
    if (created == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    created->arena = arena;
    atomic_init(&created->use_count, 1);
    KD_TRY_OUT(kd_entry_decode(ctx, arena, body, &created->entry));
    *out_box = created;
    arena = NULL; /* The box owns it now. */
out:
    kd_arena_destroy(arena);
    return status;
}

static void version_destroy(kd_catalog_version *version)
{
    for (uint32_t i = 0; i < version->item_count; i++)
        if (version->items[i].is_owner)
            box_put(version->items[i].holder);
    kd_arena_destroy(version->arena);
}

/* Name spaces: schemas, relations, types, routines, roles. */
static int space_of(kd_object_kind kind)
{
    switch (kind) {
    case KD_OBJECT_SCHEMA:
        return 0;
    case KD_OBJECT_ENUM:
    case KD_OBJECT_DOMAIN:
    case KD_OBJECT_COMPOSITE:
        return 2;
    case KD_OBJECT_ROUTINE:
        return 3;
    case KD_OBJECT_ROLE:
        return 4;
    default:
        return 1;
    }
}

static uint64_t name_hash(int space, uint32_t schema_no, kd_slice name)
{
    uint64_t hash = kd_hash_bytes(name.data, name.size_bytes);
    return kd_hash_combine(hash, (uint64_t)schema_no * 8 + (uint64_t)space);
}

static void fill_slots(kd_catalog_version *version)
{
    for (uint32_t i = 0; i < version->item_count; i++) {
        const kd_object *object = version->items[i].object;
        uint64_t at = name_hash(space_of(object->kind), object->schema_no, object->name);
        while (version->slots[at & (version->slot_count - 1)] != 0)
            at++;
        version->slots[at & (version->slot_count - 1)] = i + 1;
    }
}

static void sort_items(item *items, uint32_t count)
{
    /* Nearly sorted always: new objects have the highest numbers. */
    for (uint32_t i = 1; i < count; i++) {
        item moved = items[i];
        uint32_t at = i;
        for (; at > 0 && items[at - 1].object->object_no > moved.object->object_no; at--)
            items[at] = items[at - 1];
        items[at] = moved;
    }
}

static uint32_t items_of_box(const box *holder)
{
    if (holder->entry->kind != KD_OBJECT_TABLE)
        return 1;
    return 1 + ((const kd_table_entry *)holder->entry)->index_count;
}

static void add_items(kd_catalog_version *version, box *holder)
{
    (void)atomic_fetch_add(&holder->use_count, 1);
    version->items[version->item_count++] =
        (item){.object = holder->entry, .holder = holder, .is_owner = true};
    if (holder->entry->kind != KD_OBJECT_TABLE)
        return;
    const kd_table_entry *table = (const kd_table_entry *)holder->entry;
    for (uint32_t i = 0; i < table->index_count; i++)
        version->items[version->item_count++] = (item){
            .object = &table->indexes[i].object, .holder = holder, .index = &table->indexes[i]};
}

static uint64_t next_version_no(kd_catalog *catalog)
{
    kd_mutex_lock(&catalog->mutex);
    uint64_t version_no = ++catalog->last_version_no;
    kd_mutex_unlock(&catalog->mutex);
    return version_no;
}

static bool is_listed(const uint32_t *numbers, uint32_t count, uint32_t number)
{
    for (uint32_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* What a version has that its base has not: other entries for these objects, or none. */
typedef struct difference {
    uint32_t object_count;
    const uint32_t *object_nos;
    uint32_t added_count;
    box *const *added;
} difference;

/* `base` may be NULL. */
static kd_status version_create(kd_ctx *ctx, kd_catalog *catalog, const kd_catalog_version *base,
                                difference differs, kd_catalog_version **out_version)
{
    box *const *added = differs.added;
    uint32_t added_count = differs.added_count;
    *out_version = NULL;
    uint32_t capacity = base == NULL ? 0 : base->item_count;
    for (uint32_t i = 0; i < added_count; i++)
        capacity += items_of_box(added[i]);
    uint32_t slot_count = 16;
    while (slot_count < capacity * 2)
        slot_count *= 2;

    kd_arena *arena = kd_arena_create(ctx, NULL, "catalog version", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_catalog_version *version = KD_NEW(ctx, arena, kd_catalog_version);
    item *items = KD_NEW_ARRAY(ctx, arena, item, capacity);
    uint32_t *slots = KD_NEW_ARRAY(ctx, arena, uint32_t, slot_count);
    if (version == NULL || items == NULL || slots == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    *version = (kd_catalog_version){.catalog = catalog,
                                    .arena = arena,
                                    .items = items,
                                    .slot_count = slot_count,
                                    .slots = slots};
    version->version_no = next_version_no(catalog);
    for (uint32_t i = 0; base != NULL && i < base->item_count; i++)
        if (base->items[i].is_owner &&
            !is_listed(differs.object_nos, differs.object_count, base->items[i].object->object_no))
            add_items(version, base->items[i].holder);
    for (uint32_t i = 0; i < added_count; i++)
        add_items(version, added[i]);
    sort_items(version->items, version->item_count);
    fill_slots(version);
    *out_version = version;
    return KD_OK;
}

/* --- Looking things up -------------------------------------------------------------------------
 */

static const item *item_of(const kd_catalog_version *version, uint32_t object_no)
{
    uint32_t low = 0, high = version->item_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (version->items[middle].object->object_no < object_no)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == version->item_count || version->items[low].object->object_no != object_no)
        return NULL;
    return &version->items[low];
}

const kd_object *kd_catalog_get(const kd_catalog_version *version, uint32_t object_no)
{
    const item *found = item_of(version, object_no);
    return found == NULL ? NULL : found->object;
}

static kd_status table_shape(kd_ctx *ctx, kd_arena *arena, const kd_table_entry *table,
                             kd_record_shape *out)
{
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, table->visible_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, arena, kd_slice, table->visible_count);
    if (types == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < table->visible_count; i++) {
        types[i] = table->columns[i].storage.type;
        names[i] = table->columns[i].storage.name;
    }
    *out = (kd_record_shape){table->visible_count, types, names};
    return KD_OK;
}

static kd_status composite_shape(kd_ctx *ctx, kd_arena *arena, const kd_composite_entry *entry,
                                 kd_record_shape *out)
{
    kd_type *types = KD_NEW_ARRAY(ctx, arena, kd_type, entry->attribute_count);
    kd_slice *names = KD_NEW_ARRAY(ctx, arena, kd_slice, entry->attribute_count);
    if (types == NULL || names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < entry->attribute_count; i++) {
        types[i] = entry->attributes[i].type;
        names[i] = entry->attributes[i].name;
    }
    *out = (kd_record_shape){entry->attribute_count, types, names};
    return KD_OK;
}

bool kd_object_is_type(const kd_object *object)
{
    return space_of(object->kind) == 2;
}

kd_status kd_catalog_row_shape(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                               kd_type type, kd_record_shape *out)
{
    const kd_object *object = kd_catalog_get(version, type.object);
    if (object != NULL && object->kind == KD_OBJECT_COMPOSITE)
        return composite_shape(ctx, arena, (const kd_composite_entry *)object, out);
    if (object == NULL || object->kind != KD_OBJECT_TABLE)
        return KD_FAIL(ctx, KD_INVALID, "42704", "row type %u does not exist", type.object);
    return table_shape(ctx, arena, (const kd_table_entry *)object, out);
}

static const kd_object *find_by_name(const kd_catalog_version *version, int space,
                                     uint32_t schema_no, kd_slice name)
{
    uint64_t at = name_hash(space, schema_no, name);
    for (;; at++) {
        uint32_t slot = version->slots[at & (version->slot_count - 1)];
        if (slot == 0)
            return NULL;
        const kd_object *object = version->items[slot - 1].object;
        if (object->schema_no == schema_no && space_of(object->kind) == space &&
            kd_slice_equal(object->name, name))
            return object;
    }
}

const kd_object *kd_catalog_find_schema(const kd_catalog_version *version, kd_slice name)
{
    return find_by_name(version, 0, 0, name);
}

const kd_object *kd_catalog_find_role(const kd_catalog_version *version, kd_slice name)
{
    return find_by_name(version, 4, 0, name);
}

const kd_object *kd_catalog_find_relation(const kd_catalog_version *version, uint32_t schema_no,
                                          kd_slice name)
{
    return find_by_name(version, 1, schema_no, name);
}

const kd_object *kd_catalog_find_type(const kd_catalog_version *version, uint32_t schema_no,
                                      kd_slice name)
{
    return find_by_name(version, 2, schema_no, name);
}

const kd_routine_entry *kd_catalog_find_routine(const kd_catalog_version *version,
                                                uint32_t schema_no, kd_slice name,
                                                const kd_routine_entry *after)
{
    bool reached = after == NULL;
    for (uint64_t at = name_hash(3, schema_no, name);; at++) {
        uint32_t slot = version->slots[at & (version->slot_count - 1)];
        if (slot == 0)
            return NULL;
        const kd_object *object = version->items[slot - 1].object;
        if (object->kind != KD_OBJECT_ROUTINE || object->schema_no != schema_no ||
            !kd_slice_equal(object->name, name))
            continue;
        if (reached)
            return (const kd_routine_entry *)object;
        reached = object == &after->object;
    }
}

static const kd_routine_argument *next_input(const kd_routine_entry *routine, uint32_t *io_at)
{
    while (*io_at < routine->argument_count) {
        const kd_routine_argument *argument = &routine->arguments[(*io_at)++];
        if (kd_argument_is_input(argument))
            return argument;
    }
    return NULL;
}

bool kd_routine_same_arguments(const kd_routine_entry *a, const kd_routine_entry *b)
{
    uint32_t at_a = 0, at_b = 0;
    for (;;) {
        const kd_routine_argument *x = next_input(a, &at_a), *y = next_input(b, &at_b);
        if (x == NULL || y == NULL)
            return x == y;
        if (!kd_type_same(x->type, y->type) || x->domain_no != y->domain_no)
            return false;
    }
}

const kd_table_entry *kd_catalog_index_table(const kd_catalog_version *version,
                                             uint32_t index_object_no,
                                             const kd_table_index **out_index)
{
    *out_index = NULL;
    const item *found = item_of(version, index_object_no);
    if (found == NULL || found->index == NULL)
        return NULL;
    *out_index = found->index;
    return (const kd_table_entry *)found->holder->entry;
}

void kd_catalog_visit(const kd_catalog_version *version,
                      void (*visit)(void *object, const kd_object *entry), void *object)
{
    for (uint32_t i = 0; i < version->item_count; i++)
        visit(object, version->items[i].object);
}

/* Range bounds order by their lower end; a default partition is last. */
static int bound_compare(const kd_table_entry *a, const kd_table_entry *b)
{
    if (a->bound.is_default != b->bound.is_default)
        return a->bound.is_default ? 1 : -1;
    uint32_t count = a->bound.count < b->bound.count ? a->bound.count : b->bound.count;
    for (uint32_t i = 0; i < count && a->bound.from_kind != NULL && b->bound.from_kind != NULL;
         i++) {
        int kind_order = a->bound.from_kind[i] - b->bound.from_kind[i];
        if (kind_order != 0)
            return kind_order;
        if (a->bound.from_kind[i] == 0) {
            int order = kd_value_compare(&a->bound.from[i], &b->bound.from[i]);
            if (order != 0)
                return order;
        }
    }
    return a->object.object_no < b->object.object_no ? -1 : 1;
}

kd_status kd_catalog_partitions(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                                uint32_t parent_no, const kd_table_entry ***out_partitions,
                                uint32_t *out_count)
{
    *out_partitions = NULL;
    *out_count = 0;
    size_t capacity = 0;
    for (uint32_t i = 0; i < version->item_count; i++) {
        const kd_object *object = version->items[i].object;
        if (object->kind != KD_OBJECT_TABLE)
            continue;
        const kd_table_entry *table = (const kd_table_entry *)object;
        if (table->parent_no != parent_no)
            continue;
        const kd_table_entry **added;
        KD_TRY(KD_PUSH(ctx, arena, *out_partitions, *out_count, capacity, &added));
        uint32_t at = *out_count - 1;
        for (; at > 0 && bound_compare((*out_partitions)[at - 1], table) > 0; at--)
            (*out_partitions)[at] = (*out_partitions)[at - 1];
        (*out_partitions)[at] = table;
    }
    return KD_OK;
}

uint64_t kd_catalog_version_no(const kd_catalog_version *version)
{
    return version->version_no;
}

const kd_registry *kd_catalog_registry(const kd_catalog_version *version)
{
    return version->catalog->registry;
}

kd_storage *kd_catalog_storage(const kd_catalog_version *version)
{
    return version->catalog->storage;
}

/* --- Pinning -----------------------------------------------------------------------------------
 */

/* Takes versions that nobody can need any more off the chain; the caller destroys them unlocked. */
static kd_catalog_version *detach_old(kd_catalog *catalog, kd_stamp oldest_snapshot)
{
    kd_catalog_version *detached = NULL;
    kd_catalog_version *successor = catalog->newest;
    while (successor != NULL && successor->older != NULL) {
        kd_catalog_version *version = successor->older;
        if (version->pin_count == 0 && successor->stamp <= oldest_snapshot) {
            successor->older = version->older;
            version->older = detached;
            detached = version;
        } else {
            successor = version;
        }
    }
    return detached;
}

static void destroy_list(kd_catalog_version *version)
{
    while (version != NULL) {
        kd_catalog_version *older = version->older;
        version_destroy(version);
        version = older;
    }
}

static session_work *work_of(kd_catalog *catalog, uint64_t txn_no)
{
    for (session_work *work = catalog->works; work != NULL; work = work->next)
        if (work->txn_no == txn_no)
            return work;
    return NULL;
}

/* The version of the transaction's snapshot, without its own work. The caller holds the mutex. */
static kd_catalog_version *base_of(kd_catalog *catalog, kd_txn *txn)
{
    kd_snapshot snapshot = kd_txn_snapshot(txn);
    kd_catalog_version *version = catalog->newest;
    while (version != NULL && version->stamp > snapshot.stamp)
        version = version->older;
    return version;
}

/* Whether the transaction has changed the object. */
static bool has_changed(const session_work *work, uint32_t object_no)
{
    for (const change *it = work == NULL ? NULL : work->latest; it != NULL; it = it->earlier)
        if (it->object_no == object_no)
            return true;
    return false;
}

/* The transaction's changes over another version. */
static kd_status merge(kd_ctx *ctx, const session_work *work, const kd_catalog_version *base,
                       kd_catalog_version **out_version)
{
    kd_status status = KD_OK;
    uint32_t count = 0, object_count = 0, added_count = 0;
    *out_version = NULL;
    for (const change *it = work->latest; it != NULL; it = it->earlier)
        count++;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "catalog merge", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    uint32_t *object_nos = KD_NEW_ARRAY(ctx, scratch, uint32_t, count);
    box **added = KD_NEW_ARRAY(ctx, scratch, box *, count);
    if (object_nos == NULL || added == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    for (const change *it = work->latest; it != NULL; it = it->earlier) {
        if (is_listed(object_nos, object_count, it->object_no))
            continue; /* A later change of it counts. */
        object_nos[object_count++] = it->object_no;
        if (it->added != NULL)
            added[added_count++] = it->added;
    }
    KD_TRY_OUT(version_create(ctx, work->catalog, base,
                              (difference){object_count, object_nos, added_count, added},
                              out_version));
out:
    kd_arena_destroy(scratch);
    return status;
}

static void discard(kd_catalog *catalog, kd_catalog_version *version);

kd_catalog_version *kd_catalog_pin_newest(kd_catalog *catalog)
{
    kd_mutex_lock(&catalog->mutex);
    kd_catalog_version *version = catalog->newest;
    version->pin_count++;
    kd_mutex_unlock(&catalog->mutex);
    return version;
}

/* What the transaction sees, pinned. Under READ COMMITTED the snapshot moves, and the transaction's
 * changes with it. */
kd_status kd_catalog_pin(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn,
                         kd_catalog_version **out_version)
{
    *out_version = NULL;
    kd_snapshot snapshot = kd_txn_snapshot(txn);
    kd_mutex_lock(&catalog->mutex);
    session_work *work = work_of(catalog, kd_txn_no(txn));
    kd_catalog_version *base = base_of(catalog, txn);
    change *latest = work == NULL ? NULL : work->latest;
    kd_catalog_version *version = latest == NULL ? base : latest->result;
    bool moved = latest != NULL && base != NULL && latest->base_no != base->version_no;
    if (version != NULL)
        (moved ? base : version)->pin_count++;
    kd_mutex_unlock(&catalog->mutex);
    if (version == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "no catalog version for snapshot %llu",
                       (unsigned long long)snapshot.stamp);
    *out_version = version;
    if (!moved)
        return KD_OK;
    kd_status status = merge(ctx, work, base, out_version);
    kd_mutex_lock(&catalog->mutex);
    base->pin_count--;
    kd_catalog_version *replaced = latest->result;
    if (status == KD_OK) {
        (*out_version)->pin_count++;
        latest->result = *out_version;
        latest->base_no = base->version_no;
    }
    kd_mutex_unlock(&catalog->mutex);
    if (status == KD_OK)
        discard(catalog, replaced);
    return status;
}

bool kd_catalog_is_current(const kd_catalog_version *version, kd_snapshot snapshot)
{
    const kd_catalog *catalog = version->catalog;
    return atomic_load_explicit(&catalog->work_count, memory_order_acquire) == 0 &&
           atomic_load_explicit(&catalog->newest_no, memory_order_acquire) == version->version_no &&
           version->stamp <= snapshot.stamp;
}

bool kd_catalog_is_newest(kd_catalog *catalog, kd_txn *txn, const kd_object *entry)
{
    kd_mutex_lock(&catalog->mutex);
    const session_work *work = work_of(catalog, kd_txn_no(txn));
    const kd_catalog_version *version =
        has_changed(work, entry->object_no) ? work->latest->result : catalog->newest;
    bool is_newest = kd_catalog_get(version, entry->object_no) == entry;
    kd_mutex_unlock(&catalog->mutex);
    return is_newest;
}

void kd_catalog_unpin(kd_catalog_version *version)
{
    if (version == NULL)
        return;
    kd_catalog *catalog = version->catalog;
    kd_mutex_lock(&catalog->mutex);
    assert(version->pin_count > 0);
    version->pin_count--;
    /* A working version that was rolled back or superseded waits for its last pin. */
    bool orphan = version->pin_count == 0 && version->stamp == KD_STAMP_NONE;
    kd_mutex_unlock(&catalog->mutex);
    if (orphan)
        version_destroy(version);
}

/* --- Changing ----------------------------------------------------------------------------------
 */

/* Drops one working version: now, or at its last unpin (stamp NONE marks it). */
static void discard(kd_catalog *catalog, kd_catalog_version *version)
{
    kd_mutex_lock(&catalog->mutex);
    bool pinned = version->pin_count > 0;
    version->stamp = KD_STAMP_NONE;
    kd_mutex_unlock(&catalog->mutex);
    if (!pinned)
        version_destroy(version);
}

static void forget_work(session_work *work)
{
    kd_catalog *catalog = work->catalog;
    kd_mutex_lock(&catalog->mutex);
    session_work **link = &catalog->works;
    while (*link != work)
        link = &(*link)->next;
    *link = work->next;
    (void)atomic_fetch_sub(&catalog->work_count, 1);
    kd_mutex_unlock(&catalog->mutex);
}

static void work_rolled_back_to(void *object, uint32_t savepoint)
{
    session_work *work = object;
    while (work->latest != NULL && work->latest->tag >= savepoint) {
        change *undone = work->latest;
        kd_mutex_lock(&work->catalog->mutex);
        work->latest = undone->earlier;
        kd_mutex_unlock(&work->catalog->mutex);
        box_put(undone->added);
        discard(work->catalog, undone->result);
    }
}

static void work_rolled_back(void *object)
{
    session_work *work = object;
    if (work->final != NULL)
        version_destroy(work->final);
    work_rolled_back_to(work, 0);
    forget_work(work);
}

/* From here to the end of the commit no other transaction's changes get in between: versions stand
 * in the order of their stamps. The lock is held only for that time. */
static kd_status work_prepare(kd_ctx *ctx, void *object)
{
    session_work *work = object;
    kd_catalog *catalog = work->catalog;
    if (work->latest == NULL)
        return KD_OK;
    KD_TRY(kd_txn_lock_table(ctx, work->txn, SYSTEM_TABLE_NO, KD_TABLE_EXCLUSIVE, false));
    kd_mutex_lock(&catalog->mutex);
    kd_catalog_version *newest = catalog->newest;
    newest->pin_count++;
    kd_mutex_unlock(&catalog->mutex);
    kd_status status = work->latest->base_no == newest->version_no
                           ? KD_OK
                           : merge(ctx, work, newest, &work->final);
    kd_catalog_unpin(newest);
    return status;
}

static void work_committed(void *object, kd_stamp stamp)
{
    session_work *work = object;
    kd_catalog *catalog = work->catalog;
    kd_stamp oldest = kd_txn_oldest_snapshot(kd_storage_txns(catalog->storage));
    kd_catalog_version *old = NULL;
    if (work->latest != NULL) {
        kd_catalog_version *final = work->final != NULL ? work->final : work->latest->result;
        kd_mutex_lock(&catalog->mutex);
        final->stamp = stamp;
        final->older = catalog->newest;
        catalog->newest = final;
        atomic_store_explicit(&catalog->newest_no, final->version_no, memory_order_release);
        old = detach_old(catalog, oldest);
        kd_mutex_unlock(&catalog->mutex);
        for (change *it = work->latest; it != NULL; it = it->earlier) {
            box_put(it->added);
            if (it->result != final)
                discard(catalog, it->result);
        }
    }
    forget_work(work);
    destroy_list(old);
}

static const kd_txn_participant participant = {
    .prepare = work_prepare,
    .committed = work_committed,
    .rolled_back = work_rolled_back,
    .rolled_back_to = work_rolled_back_to,
};

/* The transaction's work, made at its first change. */
static kd_status work_begin(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, session_work **out_work)
{
    kd_mutex_lock(&catalog->mutex);
    *out_work = work_of(catalog, kd_txn_no(txn));
    kd_mutex_unlock(&catalog->mutex);
    if (*out_work != NULL)
        return KD_OK;
    if (kd_txn_is_read_only(txn))
        return KD_FAIL(ctx, KD_INVALID, "25006",
                       "cannot change the catalog in a read-only transaction");
    session_work *work = KD_NEW(ctx, kd_txn_arena(txn), session_work);
    if (work == NULL)
        return KD_NOMEM;
    work->references = KD_NEW_ARRAY(ctx, kd_txn_arena(txn), uint32_t, REFERENCE_MAX);
    if (work->references == NULL)
        return KD_NOMEM;
    work->catalog = catalog;
    work->txn = txn;
    work->txn_no = kd_txn_no(txn);
    KD_TRY(kd_txn_join(ctx, txn, &participant, work));
    kd_mutex_lock(&catalog->mutex);
    work->next = catalog->works;
    catalog->works = work;
    (void)atomic_fetch_add(&catalog->work_count, 1);
    kd_mutex_unlock(&catalog->mutex);
    *out_work = work;
    return KD_OK;
}

/* --- The system table --------------------------------------------------------------------------
 */

static const kd_table_column system_columns[SYSTEM_COLUMN_COUNT] = {
    {.column_no = 1,
     .type = {.id = KD_TYPE_INT8, .modifier = -1},
     .not_null = true,
     .name = {"object_no", 9},
     .missing = {.is_null = true}},
    {.column_no = 2,
     .type = {.id = KD_TYPE_BYTEA, .modifier = -1},
     .not_null = true,
     .name = {"body", 4},
     .missing = {.is_null = true}},
};

static const kd_table_shape system_shape = {
    .table_name = {"kade_objects", 12},
    .column_count = SYSTEM_COLUMN_COUNT,
    .columns = system_columns,
};

typedef kd_status (*row_visitor)(kd_ctx *ctx, void *object, kd_rowref ref, int64_t object_no,
                                 kd_slice body);

static kd_status visit_batch(kd_ctx *ctx, const kd_batch *batch, const kd_rowref *refs,
                             row_visitor visit, void *object)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        kd_value object_no = kd_vector_get(&batch->columns[0], row);
        kd_value body = kd_vector_get(&batch->columns[1], row);
        KD_TRY(visit(ctx, object, refs[row], object_no.as.i64, kd_str_slice(&body.as.str)));
    }
    return KD_OK;
}

static kd_status visit_rows(kd_ctx *ctx, kd_storage *storage, kd_snapshot snapshot,
                            row_visitor visit, void *object)
{
    kd_status status = KD_OK;
    kd_table_scan *scan = NULL;
    kd_scan_reader *reader = NULL;
    static const uint32_t positions[SYSTEM_COLUMN_COUNT] = {0, 1};
    kd_scan_spec spec = {.shape = &system_shape,
                         .positions = positions,
                         .position_count = SYSTEM_COLUMN_COUNT,
                         .with_refs = true};
    kd_arena *arena = kd_arena_create(ctx, NULL, "catalog scan", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kd_table_scan_open(ctx, arena, kd_table_find(storage, SYSTEM_TABLE_NO), snapshot,
                                  &spec, &scan));
    KD_TRY_OUT(kd_scan_reader_create(ctx, arena, scan, &reader));
    for (;;) {
        kd_batch batch;
        const kd_rowref *refs;
        bool end;
        KD_TRY_OUT(kd_scan_reader_next(ctx, reader, &batch, &refs, &end));
        if (end)
            break;
        KD_TRY_OUT(visit_batch(ctx, &batch, refs, visit, object));
    }
out:
    kd_scan_reader_destroy(reader);
    kd_table_scan_close(scan);
    kd_arena_destroy(arena);
    return status;
}

typedef struct row_search {
    int64_t object_no;
    kd_rowref ref;
} row_search;

static kd_status match_row(kd_ctx *ctx, void *object, kd_rowref ref, int64_t object_no,
                           kd_slice body)
{
    (void)ctx;
    (void)body;
    row_search *search = object;
    if (object_no == search->object_no)
        search->ref = ref;
    return KD_OK;
}

static kd_status delete_row(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, uint32_t object_no)
{
    row_search search = {.object_no = object_no, .ref = KD_ROWREF_NONE};
    KD_TRY(visit_rows(ctx, catalog->storage, kd_table_settled(txn), match_row, &search));
    if (search.ref == KD_ROWREF_NONE)
        return KD_OK;
    kd_write_outcome outcome;
    KD_TRY(kd_table_delete(ctx, txn, kd_table_find(catalog->storage, SYSTEM_TABLE_NO), search.ref,
                           &outcome));
    if (outcome.result != KD_WRITE_DONE)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "catalog row %u is locked by nobody we know",
                       object_no);
    return KD_OK;
}

static kd_status insert_row(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, uint32_t object_no,
                            kd_slice body)
{
    kd_value values[SYSTEM_COLUMN_COUNT] = {kd_value_i64(object_no), kd_value_text(body)};
    values[1].type = kd_type_of(KD_TYPE_BYTEA);
    kd_insert_outcome outcome;
    return kd_table_insert_row(ctx, txn, kd_table_find(catalog->storage, SYSTEM_TABLE_NO),
                               &system_shape, values, NULL, &outcome);
}

/* --- Claims: an object and its name belong to the transaction until it ends ---------------------
 *
 * Transactions that change different objects do not meet. One that changes an object waits for
 * whoever has changed it, or depends on it, and then must have seen what is there now.
 */

#define OBJECT_LOCK ((uint64_t)1 << 62) /* | object number, in the space of table locks. */
#define NAME_LOCK ((uint64_t)1 << 63)   /* | hash of a name. */

/* The objects that must be there for an entry to have a meaning. Zeros stand for none. */
static uint32_t references_of(const kd_object *entry, uint32_t *out, uint32_t max)
{
    uint32_t count = 0;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    const kd_view_entry *view = (const kd_view_entry *)entry;
#define ADD(number)                  \
    do {                             \
        if (count < max)             \
            out[count++] = (number); \
    } while (0)
    ADD(entry->schema_no);
    ADD(entry->owner_no);
    for (uint32_t i = 0; i < entry->grants.count; i++)
        ADD(entry->grants.items[i].grantee_no);
    if (entry->kind == KD_OBJECT_TABLE) {
        ADD(table->parent_no);
        for (uint32_t i = 0; i < table->column_count; i++) {
            ADD(kd_type_object_no(table->columns[i].storage.type));
            ADD(table->columns[i].sequence_no);
            ADD(table->columns[i].domain_no);
            for (uint32_t g = 0; g < table->columns[i].grants.count; g++)
                ADD(table->columns[i].grants.items[g].grantee_no);
        }
        for (uint32_t i = 0; i < table->foreign_count; i++)
            ADD(table->foreign_keys[i].target_no);
        for (uint32_t i = 0; i < table->depends_count; i++)
            ADD(table->depends_on[i]);
    } else if (entry->kind == KD_OBJECT_VIEW) {
        for (uint32_t i = 0; i < view->depends_count; i++)
            ADD(view->depends_on[i]);
    } else if (entry->kind == KD_OBJECT_DOMAIN) {
        ADD(kd_type_object_no(((const kd_domain_entry *)entry)->base));
    } else if (entry->kind == KD_OBJECT_COMPOSITE) {
        const kd_composite_entry *composite = (const kd_composite_entry *)entry;
        for (uint32_t i = 0; i < composite->attribute_count; i++) {
            ADD(kd_type_object_no(composite->attributes[i].type));
            ADD(composite->attributes[i].domain_no);
        }
    } else if (entry->kind == KD_OBJECT_ROUTINE) {
        const kd_routine_entry *routine = (const kd_routine_entry *)entry;
        ADD(routine->result.object);
        for (uint32_t i = 0; i < routine->argument_count; i++)
            ADD(routine->arguments[i].type.object);
        for (uint32_t i = 0; i < routine->depends_count; i++)
            ADD(routine->depends_on[i]);
    } else if (entry->kind == KD_OBJECT_ROLE) {
        const kd_role_entry *role = (const kd_role_entry *)entry;
        for (uint32_t i = 0; i < role->membership_count; i++)
            ADD(role->memberships[i].role_no);
    }
#undef ADD
    return count;
}

static bool refers_to(const kd_object *entry, uint32_t object_no, uint32_t *scratch)
{
    uint32_t count = references_of(entry, scratch, REFERENCE_MAX);
    return is_listed(scratch, count, object_no);
}

static kd_status changed_meanwhile(kd_ctx *ctx, const kd_object *object)
{
    return KD_FAIL(ctx, KD_CONFLICT, "40001",
                   "could not serialize access due to a concurrent change of \"%.*s\"",
                   object == NULL ? 0 : (int)object->name.size_bytes,
                   object == NULL ? "" : object->name.data);
}

/* Waits for whoever has the object, and checks that it is as the transaction sees it. */
static kd_status claim_object(kd_ctx *ctx, session_work *work, uint32_t object_no, bool *out_exists)
{
    kd_catalog *catalog = work->catalog;
    kd_status status = KD_OK;
    KD_TRY(kd_txn_lock_table(ctx, work->txn, OBJECT_LOCK | object_no, KD_TABLE_EXCLUSIVE, false));
    kd_mutex_lock(&catalog->mutex);
    const kd_catalog_version *own =
        work->latest != NULL ? work->latest->result : base_of(catalog, work->txn);
    const kd_object *seen = kd_catalog_get(own, object_no);
    const kd_object *there = kd_catalog_get(catalog->newest, object_no);
    *out_exists = seen != NULL;
    if (!has_changed(work, object_no) && seen != there)
        status = changed_meanwhile(ctx, seen != NULL ? seen : there);
    kd_mutex_unlock(&catalog->mutex);
    return status;
}

static const kd_object *find_same_routine(const kd_catalog_version *version,
                                          const kd_routine_entry *routine)
{
    const kd_routine_entry *at = NULL;
    do
        at = kd_catalog_find_routine(version, routine->object.schema_no, routine->object.name, at);
    while (at != NULL && !kd_routine_same_arguments(at, routine));
    return at == NULL ? NULL : &at->object;
}

static kd_status name_is_taken(kd_ctx *ctx, const kd_object *object)
{
    int space = space_of(object->kind);
    if (object->kind == KD_OBJECT_ROUTINE)
        return KD_FAIL(ctx, KD_INVALID, "42723",
                       "function \"%.*s\" already exists with same argument types",
                       (int)object->name.size_bytes, object->name.data);
    return KD_FAIL(ctx, KD_INVALID,
                   space == 0   ? "42P06"
                   : space == 1 ? "42P07"
                                : "42710",
                   "%s \"%.*s\" already exists",
                   space == 0   ? "schema"
                   : space == 1 ? "relation"
                   : space == 4 ? "role"
                                : "type",
                   (int)object->name.size_bytes, object->name.data);
}

/* Names of others that were not committed when the transaction looked. */
static kd_status claim_name(kd_ctx *ctx, session_work *work, const kd_object *object)
{
    kd_catalog *catalog = work->catalog;
    kd_status status = KD_OK;
    int space = space_of(object->kind);
    uint64_t hash = name_hash(space, object->schema_no, object->name);
    kd_mutex_lock(&catalog->mutex);
    const kd_catalog_version *own =
        work->latest != NULL ? work->latest->result : base_of(catalog, work->txn);
    const kd_object *before = kd_catalog_get(own, object->object_no);
    bool is_same = before != NULL && before->schema_no == object->schema_no &&
                   kd_slice_equal(before->name, object->name);
    kd_mutex_unlock(&catalog->mutex);
    if (is_same)
        return KD_OK;
    KD_TRY(kd_txn_lock_table(ctx, work->txn, NAME_LOCK | hash >> 1, KD_TABLE_EXCLUSIVE, false));
    kd_mutex_lock(&catalog->mutex);
    const kd_object *there =
        object->kind == KD_OBJECT_ROUTINE
            ? find_same_routine(catalog->newest, (const kd_routine_entry *)object)
            : find_by_name(catalog->newest, space, object->schema_no, object->name);
    if (there != NULL && there->object_no != object->object_no) {
        const kd_object *owner = there->kind == KD_OBJECT_INDEX
                                     ? item_of(catalog->newest, there->object_no)->holder->entry
                                     : there;
        if (!has_changed(work, owner->object_no))
            status = name_is_taken(ctx, object);
    }
    kd_mutex_unlock(&catalog->mutex);
    return status;
}

/* What the entry refers to stays until the transaction ends, and is still there. */
static kd_status claim_references(kd_ctx *ctx, session_work *work, const kd_object *entry)
{
    kd_catalog *catalog = work->catalog;
    uint32_t *numbers = work->references;
    uint32_t count = references_of(entry, numbers, REFERENCE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (numbers[i] < KD_OBJECT_NO_FIRST || numbers[i] == entry->object_no ||
            has_changed(work, numbers[i]))
            continue;
        KD_TRY(kd_txn_lock_table(ctx, work->txn, OBJECT_LOCK | numbers[i], KD_TABLE_SHARE, false));
        kd_mutex_lock(&catalog->mutex);
        bool is_there = kd_catalog_get(catalog->newest, numbers[i]) != NULL;
        kd_mutex_unlock(&catalog->mutex);
        if (!is_there)
            return changed_meanwhile(ctx, entry);
    }
    return KD_OK;
}

static kd_status claim_put(kd_ctx *ctx, session_work *work, const kd_object *entry,
                           bool *out_exists)
{
    KD_TRY(claim_object(ctx, work, entry->object_no, out_exists));
    KD_TRY(claim_name(ctx, work, entry));
    const kd_table_entry *table = (const kd_table_entry *)entry;
    for (uint32_t i = 0; entry->kind == KD_OBJECT_TABLE && i < table->index_count; i++)
        KD_TRY(claim_name(ctx, work, &table->indexes[i].object));
    return claim_references(ctx, work, entry);
}

/* Also nobody may have come to depend on it since the transaction looked. */
static kd_status claim_remove(kd_ctx *ctx, session_work *work, uint32_t object_no)
{
    kd_catalog *catalog = work->catalog;
    kd_status status = KD_OK;
    bool exists;
    KD_TRY(claim_object(ctx, work, object_no, &exists));
    kd_mutex_lock(&catalog->mutex);
    const kd_catalog_version *base = base_of(catalog, work->txn), *newest = catalog->newest;
    for (uint32_t i = 0; newest != base && status == KD_OK && i < newest->item_count; i++) {
        const kd_object *entry = newest->items[i].object;
        if (newest->items[i].is_owner && kd_catalog_get(base, entry->object_no) != entry &&
            !has_changed(work, entry->object_no) && refers_to(entry, object_no, work->references))
            status = changed_meanwhile(ctx, entry);
    }
    kd_mutex_unlock(&catalog->mutex);
    return status;
}

/* --- Put and remove ----------------------------------------------------------------------------
 */

/* The transaction's newest version, pinned, and the number of its base. */
static const kd_catalog_version *work_pin(session_work *work, uint64_t *out_base_no)
{
    kd_catalog *catalog = work->catalog;
    kd_mutex_lock(&catalog->mutex);
    kd_catalog_version *version =
        work->latest != NULL ? work->latest->result : base_of(catalog, work->txn);
    *out_base_no = work->latest != NULL ? work->latest->base_no : version->version_no;
    version->pin_count++;
    kd_mutex_unlock(&catalog->mutex);
    return version;
}

static kd_status change_apply(kd_ctx *ctx, session_work *work, uint32_t object_no, box *added)
{
    change *made = KD_NEW(ctx, kd_txn_arena(work->txn), change);
    uint64_t base_no;
    if (made == NULL)
        return KD_NOMEM;
    const kd_catalog_version *before = work_pin(work, &base_no);
    kd_catalog_version *version = NULL;
    kd_status status = version_create(ctx, work->catalog, before,
                                      (difference){1, &object_no, added != NULL, &added}, &version);
    kd_catalog_unpin((kd_catalog_version *)(uintptr_t)before);
    if (status != KD_OK)
        return status;
    if (added != NULL)
        (void)atomic_fetch_add(&added->use_count, 1);
    *made = (change){.earlier = work->latest,
                     .tag = kd_txn_savepoint_now(work->txn),
                     .object_no = object_no,
                     .added = added,
                     .result = version,
                     .base_no = base_no};
    kd_mutex_lock(&work->catalog->mutex);
    work->latest = made;
    kd_mutex_unlock(&work->catalog->mutex);
    return KD_OK;
}

kd_status kd_catalog_put(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, const kd_object *entry)
{
    kd_status status = KD_OK;
    box *added = NULL;
    session_work *work;
    bool exists;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "catalog put", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_buffer body = kd_buffer_in(scratch);
    KD_TRY_OUT(work_begin(ctx, catalog, txn, &work));
    KD_TRY_OUT(claim_put(ctx, work, entry, &exists));
    KD_TRY_OUT(kd_entry_encode(ctx, entry, &body));
    KD_TRY_OUT(box_create(ctx, kd_buffer_slice(&body), &added));
    if (exists)
        KD_TRY_OUT(delete_row(ctx, catalog, txn, entry->object_no));
    KD_TRY_OUT(insert_row(ctx, catalog, txn, entry->object_no, kd_buffer_slice(&body)));
    KD_TRY_OUT(change_apply(ctx, work, entry->object_no, added));
out:
    box_put(added);
    kd_arena_destroy(scratch);
    return status;
}

kd_status kd_catalog_remove(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, uint32_t object_no)
{
    session_work *work;
    KD_TRY(work_begin(ctx, catalog, txn, &work));
    KD_TRY(claim_remove(ctx, work, object_no));
    KD_TRY(delete_row(ctx, catalog, txn, object_no));
    return change_apply(ctx, work, object_no, NULL);
}

kd_status kd_catalog_next_object_no(kd_ctx *ctx, kd_catalog *catalog, uint32_t *out_object_no)
{
    int64_t value = 0;
    *out_object_no = 0;
    KD_TRY(kd_sequence_next(ctx, catalog->storage, SYSTEM_SEQUENCE_NO, &value));
    *out_object_no = (uint32_t)value;
    return KD_OK;
}

/* --- Opening -----------------------------------------------------------------------------------
 */

static kd_status put_schema(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn, const char *name)
{
    kd_object schema = {.kind = KD_OBJECT_SCHEMA, .name = kd_slice_of(name), .comment = {"", 0}};
    KD_TRY(kd_catalog_next_object_no(ctx, catalog, &schema.object_no));
    return kd_catalog_put(ctx, catalog, txn, &schema);
}

static kd_status storage_create(kd_ctx *ctx, kd_catalog *catalog, kd_txn *txn)
{
    uint64_t table_no, sequence_no;
    kd_sequence_definition numbers = {
        .start = KD_OBJECT_NO_FIRST, .increment = 1, .min = KD_OBJECT_NO_FIRST, .max = INT32_MAX};
    KD_TRY(kd_table_create(ctx, txn, catalog->storage, &system_shape, NULL, 0, &table_no));
    KD_TRY(kd_sequence_create(ctx, txn, catalog->storage, &numbers, &sequence_no));
    if (table_no != SYSTEM_TABLE_NO || sequence_no != SYSTEM_SEQUENCE_NO)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000",
                       "the catalog must be the first table of a database");
    return KD_OK;
}

/* A new database: the system table, its sequence, the first schemas, in one transaction. */
static kd_status bootstrap(kd_ctx *ctx, kd_catalog *catalog)
{
    kd_status status = KD_OK;
    kd_txn *txn = NULL;
    kd_txn_options options = {.isolation = KD_SNAPSHOT_ISOLATION};
    KD_TRY_OUT(kd_txn_begin(ctx, kd_storage_txns(catalog->storage), &options, &txn));
    KD_TRY_OUT(storage_create(ctx, catalog, txn));
    KD_TRY_OUT(put_schema(ctx, catalog, txn, "public"));
    KD_TRY_OUT(put_schema(ctx, catalog, txn, "pg_catalog"));
    KD_TRY_OUT(put_schema(ctx, catalog, txn, "information_schema"));
out:
    if (status == KD_OK)
        return kd_txn_commit(ctx, txn);
    if (txn != NULL)
        kd_txn_rollback(txn);
    return status;
}

typedef struct box_list {
    kd_arena *arena;
    box **boxes;
    uint32_t count;
    size_t capacity;
} box_list;

static kd_status load_row(kd_ctx *ctx, void *object, kd_rowref ref, int64_t object_no,
                          kd_slice body)
{
    (void)ref;
    (void)object_no;
    box_list *list = object;
    box **added;
    KD_TRY(KD_PUSH(ctx, list->arena, list->boxes, list->count, list->capacity, &added));
    list->count--; /* Counted only once it is there. */
    KD_TRY(box_create(ctx, body, added));
    list->count++;
    return KD_OK;
}

static kd_status load(kd_ctx *ctx, kd_catalog *catalog)
{
    kd_status status = KD_OK;
    box_list list = {0};
    kd_catalog_version *version;
    kd_snapshot snapshot = {.stamp = kd_txn_watermark(kd_storage_txns(catalog->storage))};
    list.arena = kd_arena_create(ctx, NULL, "catalog load", KD_ARENA_UNLIMITED);
    if (list.arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(visit_rows(ctx, catalog->storage, snapshot, load_row, &list));
    KD_TRY_OUT(version_create(ctx, catalog, NULL,
                              (difference){.added = list.boxes, .added_count = list.count},
                              &version));
    catalog->newest = version;
    atomic_store(&catalog->newest_no, version->version_no);
out:
    for (uint32_t i = 0; i < list.count; i++)
        box_put(list.boxes[i]);
    kd_arena_destroy(list.arena);
    return status;
}

kd_status kd_catalog_open(kd_ctx *ctx, kd_arena *arena, kd_storage *storage,
                          const kd_registry *registry, kd_catalog **out_catalog)
{
    kd_status status = KD_OK;
    *out_catalog = NULL;
    kd_catalog *catalog = KD_NEW(ctx, arena, kd_catalog);
    if (catalog == NULL)
        return KD_NOMEM;
    catalog->world = ctx->world;
    catalog->storage = storage;
    catalog->registry = registry;
    kd_mutex_init(&catalog->mutex, ctx->world);
    if (kd_table_find(storage, SYSTEM_TABLE_NO) == NULL) {
        KD_TRY_OUT(version_create(ctx, catalog, NULL, (difference){0}, &catalog->newest));
        KD_TRY_OUT(bootstrap(ctx, catalog));
    } else {
        KD_TRY_OUT(load(ctx, catalog));
    }
    *out_catalog = catalog;
out:
    if (status != KD_OK)
        kd_catalog_close(catalog);
    return status;
}

void kd_catalog_close(kd_catalog *catalog)
{
    if (catalog == NULL)
        return;
    destroy_list(catalog->newest);
    kd_mutex_clear(&catalog->mutex);
}
