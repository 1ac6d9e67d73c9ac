/*
 * The B+tree behind an index's in-memory part.
 *
 * Invariants: entries of a node ascend; separator i of an inner node is at or below
 * every entry of child i + 1 and above every entry of child i; all leaves are at one
 * depth and linked both ways; `prefix` holds `skip` bytes that all keys of the node
 * start with.
 */
#include "index/memory_tree.h"

#include <assert.h>

enum { HEIGHT_MAX = 16, PREFIX_MAX = 40, CACHE_LINE_BYTES = 64 };

typedef struct tree_entry {
    union {
        char bytes[KDI_TREE_INLINE_BYTES];
        char pointer[8]; /* const char *, for longer keys */
    } key;
    uint16_t size_and_mark; /* Bits 0-14 size, bit 15 removed. */
    uint64_t ref;
} tree_entry;
_Static_assert(sizeof(tree_entry) == 32, "two to a cache line");

enum { REMOVED_MARK = 0x8000, SIZE_MASK = 0x7fff };

typedef struct tree_node tree_node;
struct tree_node {
    uint16_t count;
    uint16_t skip;
    bool is_leaf;
    tree_node *previous, *next; /* Leaves. */
    char prefix[PREFIX_MAX];
    uint64_t heads[KDI_TREE_NODE_ENTRIES];
    tree_entry entries[KDI_TREE_NODE_ENTRIES];
};

typedef struct inner_node {
    tree_node node;
    tree_node *children[KDI_TREE_NODE_ENTRIES + 1];
} inner_node;

struct kdi_tree {
    kd_world *world;
    kd_account *account;
    kd_rwlock lock;
    atomic_uint reference_count;
    tree_node *root;
    tree_node *first_leaf, *last_leaf;
    atomic_uint_fast64_t count;
    atomic_uint_fast64_t removed_count;
    atomic_uint_fast64_t put_count;
    atomic_size_t memory_bytes;
};

/* --- Keys --- */

static uint32_t key_size(const tree_entry *entry)
{
    return entry->size_and_mark & SIZE_MASK;
}

static kd_slice key_of(const tree_entry *entry)
{
    uint32_t size_bytes = key_size(entry);
    if (size_bytes <= KDI_TREE_INLINE_BYTES)
        return (kd_slice){entry->key.bytes, size_bytes};
    const char *bytes;
    memcpy(&bytes, entry->key.pointer, sizeof bytes);
    return (kd_slice){bytes, size_bytes};
}

static bool is_removed(const tree_entry *entry)
{
    return (entry->size_and_mark & REMOVED_MARK) != 0;
}

/* The eight bytes after `skip` as a number that orders as they do; missing bytes are 0. */
static uint64_t head_of(kd_slice key, uint32_t skip)
{
    uint64_t word = 0;
    if (key.size_bytes >= skip + sizeof word) {
        memcpy(&word, key.data + skip, sizeof word);
    } else if (key.size_bytes > skip) {
        memcpy(&word, key.data + skip, key.size_bytes - skip);
    }
    return __builtin_bswap64(word);
}

static kd_status entry_make(kd_ctx *ctx, kdi_tree *tree, kd_slice key, uint64_t ref, bool removed,
                            tree_entry *out_entry)
{
    memset(out_entry, 0, sizeof *out_entry);
    out_entry->ref = ref;
    out_entry->size_and_mark = (uint16_t)(key.size_bytes | (removed ? REMOVED_MARK : 0));
    if (key.size_bytes <= KDI_TREE_INLINE_BYTES) {
        if (key.size_bytes > 0)
            memcpy(out_entry->key.bytes, key.data, key.size_bytes);
        return KD_OK;
    }
    char *copy = kd_heap_alloc_raw(ctx, tree->account, key.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    atomic_fetch_add_explicit(&tree->memory_bytes, key.size_bytes, memory_order_relaxed);
    memcpy(copy, key.data, key.size_bytes);
    memcpy(out_entry->key.pointer, &copy, sizeof copy);
    return KD_OK;
}

static void entry_free(kdi_tree *tree, tree_entry *entry)
{
    if (key_size(entry) <= KDI_TREE_INLINE_BYTES)
        return;
    char *bytes;
    memcpy(&bytes, entry->key.pointer, sizeof bytes);
    kd_heap_free(tree->world, tree->account, bytes);
}

/* --- Nodes --- */

static tree_node *children_of(tree_node *node, uint32_t index)
{
    assert(!node->is_leaf);
    return ((inner_node *)node)->children[index];
}

static tree_node *node_create(kd_ctx *ctx, kdi_tree *tree, bool is_leaf)
{
    size_t size_bytes = is_leaf ? sizeof(tree_node) : sizeof(inner_node);
    tree_node *node = kd_heap_alloc_raw(ctx, tree->account, size_bytes);
    if (node == NULL)
        return NULL;
    atomic_fetch_add_explicit(&tree->memory_bytes, size_bytes, memory_order_relaxed);
    node->count = 0;
    node->skip = 0;
    node->is_leaf = is_leaf;
    node->previous = node->next = NULL;
    return node;
}

static uint32_t shared_prefix(kd_slice a, kd_slice b)
{
    size_t limit = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    size_t at = 0;
    while (at < limit && a.data[at] == b.data[at])
        at++;
    return (uint32_t)at;
}

/* Entries ascend, so the first and the last share the least. */
static void node_rehead(tree_node *node)
{
    if (node->count == 0)
        return;
    kd_slice first = key_of(&node->entries[0]);
    uint32_t shared = shared_prefix(first, key_of(&node->entries[node->count - 1]));
    node->skip = (uint16_t)(shared < PREFIX_MAX ? shared : PREFIX_MAX);
    if (node->skip > 0)
        memcpy(node->prefix, first.data, node->skip);
    for (uint32_t i = 0; i < node->count; i++)
        node->heads[i] = head_of(key_of(&node->entries[i]), node->skip);
}

/* Order of the key's start against what all keys of the node start with. */
static int prefix_order(const tree_node *node, kd_slice key)
{
    size_t known = key.size_bytes < node->skip ? key.size_bytes : node->skip;
    int order = known == 0 ? 0 : memcmp(key.data, node->prefix, known);
    return order == 0 && key.size_bytes < node->skip ? -1 : order;
}

/* The heads that a search may look at, asked for at once: their misses overlap. */
static void prefetch_heads(const tree_node *node)
{
    const char *heads = (const char *)node->heads;
    for (size_t at = 0; at < sizeof node->heads; at += CACHE_LINE_BYTES)
        __builtin_prefetch(heads + at);
}

/* First entry at or above (key, ref). */
static uint32_t node_lower_bound(const tree_node *node, kd_slice key, uint64_t ref)
{
    prefetch_heads(node);
    if (node->count == 0)
        return 0;
    int order = prefix_order(node, key);
    if (order != 0)
        return order < 0 ? 0 : node->count;
    uint64_t head = head_of(key, node->skip);
    uint32_t low = 0, length = node->count;
    while (length > 0) {
        uint32_t half = length / 2, middle = low + half;
        bool below = node->heads[middle] < head;
        if (node->heads[middle] == head)
            below = kdi_entry_compare(key_of(&node->entries[middle]), node->entries[middle].ref,
                                      key, ref) < 0;
        low = below ? middle + 1 : low;
        length = below ? length - half - 1 : half;
    }
    return low;
}

/* The child that holds (key, ref) or the place where it belongs. */
static uint32_t child_index(const tree_node *node, kd_slice key, uint64_t ref)
{
    uint32_t at = node_lower_bound(node, key, ref);
    bool equal = at < node->count && kdi_entry_compare(key_of(&node->entries[at]),
                                                       node->entries[at].ref, key, ref) == 0;
    return at + equal;
}

static void node_insert(tree_node *node, uint32_t at, const tree_entry *entry)
{
    assert(node->count < KDI_TREE_NODE_ENTRIES);
    uint32_t behind = node->count - at;
    memmove(&node->entries[at + 1], &node->entries[at], behind * sizeof node->entries[0]);
    memmove(&node->heads[at + 1], &node->heads[at], behind * sizeof node->heads[0]);
    node->entries[at] = *entry;
    node->count++;
    kd_slice key = key_of(entry);
    const tree_entry *other = &node->entries[at == 0 ? node->count - 1 : 0];
    if (node->count == 1 || shared_prefix(key, key_of(other)) < node->skip)
        node_rehead(node);
    else
        node->heads[at] = head_of(key, node->skip);
}

/* --- Creating and freeing --- */

kd_status kdi_tree_create(kd_ctx *ctx, kd_account *account, kdi_tree **out_tree)
{
    *out_tree = NULL;
    kdi_tree *tree = KD_HEAP_NEW(ctx, account, kdi_tree);
    if (tree == NULL)
        return KD_NOMEM;
    tree->world = ctx->world;
    tree->account = account;
    tree->root = node_create(ctx, tree, true);
    if (tree->root == NULL) {
        kd_heap_free(ctx->world, account, tree);
        return KD_NOMEM;
    }
    tree->first_leaf = tree->last_leaf = tree->root;
    atomic_init(&tree->reference_count, 1);
    atomic_init(&tree->count, 0);
    atomic_init(&tree->removed_count, 0);
    atomic_init(&tree->put_count, 0);
    kd_rwlock_init(&tree->lock, ctx->world);
    *out_tree = tree;
    return KD_OK;
}

kdi_tree *kdi_tree_ref(kdi_tree *tree)
{
    atomic_fetch_add_explicit(&tree->reference_count, 1, memory_order_relaxed);
    return tree;
}

static void node_free(kdi_tree *tree, tree_node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        entry_free(tree, &node->entries[i]);
    kd_heap_free(tree->world, tree->account, node);
}

/* Depth first, with the path on a stack of its own. */
static void free_nodes(kdi_tree *tree)
{
    tree_node *path[HEIGHT_MAX];
    uint32_t next_child[HEIGHT_MAX] = {0};
    uint32_t depth = 0;
    path[0] = tree->root;
    for (;;) {
        tree_node *node = path[depth];
        if (!node->is_leaf && next_child[depth] <= node->count) {
            path[depth + 1] = children_of(node, next_child[depth]++);
            next_child[depth + 1] = 0;
            depth++;
            continue;
        }
        node_free(tree, node);
        if (depth == 0)
            return;
        depth--;
    }
}

void kdi_tree_unref(kdi_tree *tree)
{
    if (tree == NULL ||
        atomic_fetch_sub_explicit(&tree->reference_count, 1, memory_order_acq_rel) > 1)
        return;
    free_nodes(tree);
    kd_rwlock_clear(&tree->lock);
    kd_heap_free(tree->world, tree->account, tree);
}

uint64_t kdi_tree_count(const kdi_tree *tree)
{
    return atomic_load_explicit(&tree->count, memory_order_relaxed);
}

uint64_t kdi_tree_removed_count(const kdi_tree *tree)
{
    return atomic_load_explicit(&tree->removed_count, memory_order_relaxed);
}

uint64_t kdi_tree_put_count(const kdi_tree *tree)
{
    return atomic_load_explicit(&tree->put_count, memory_order_relaxed);
}

size_t kdi_tree_memory_bytes(const kdi_tree *tree)
{
    return atomic_load_explicit(&tree->memory_bytes, memory_order_relaxed);
}

/* --- Changing --- */

/* Moves the upper half of a full leaf to `right`; the separator is a copy of right's first key. */
static kd_status split_leaf(kd_ctx *ctx, kdi_tree *tree, tree_node *left, tree_node *right,
                            uint32_t keep, tree_entry *out_separator)
{
    const tree_entry *first = &left->entries[keep];
    KD_TRY(entry_make(ctx, tree, key_of(first), first->ref, false, out_separator));
    right->count = (uint16_t)(left->count - keep);
    memcpy(right->entries, first, right->count * sizeof *first);
    left->count = (uint16_t)keep;
    right->next = left->next;
    right->previous = left;
    if (left->next != NULL)
        left->next->previous = right;
    else
        tree->last_leaf = right;
    left->next = right;
    return KD_OK;
}

/* As split_leaf, but the middle separator moves up. */
static void split_inner(tree_node *left, tree_node *right, uint32_t keep, tree_entry *out_separator)
{
    inner_node *from = (inner_node *)left, *to = (inner_node *)right;
    *out_separator = left->entries[keep];
    right->count = (uint16_t)(left->count - keep - 1);
    memcpy(right->entries, &left->entries[keep + 1], right->count * sizeof(tree_entry));
    memcpy(to->children, &from->children[keep + 1], (right->count + 1u) * sizeof(tree_node *));
    left->count = (uint16_t)keep;
}

/* Splits child `index` of `parent`, which has room. Ascending inserts leave full nodes behind. */
static kd_status split_child(kd_ctx *ctx, kdi_tree *tree, tree_node *parent, uint32_t index,
                             bool at_end)
{
    tree_node *left = children_of(parent, index);
    tree_node *right = node_create(ctx, tree, left->is_leaf);
    if (right == NULL)
        return KD_NOMEM;
    uint32_t keep = at_end ? left->count * 15 / 16 : left->count / 2;
    tree_entry separator;
    if (left->is_leaf) {
        kd_status status = split_leaf(ctx, tree, left, right, keep, &separator);
        if (status != KD_OK) {
            kd_heap_free(tree->world, tree->account, right);
            return status;
        }
    } else {
        split_inner(left, right, keep, &separator);
    }
    node_rehead(left);
    node_rehead(right);
    inner_node *inner = (inner_node *)parent;
    memmove(&inner->children[index + 2], &inner->children[index + 1],
            (parent->count - index) * sizeof(tree_node *));
    inner->children[index + 1] = right;
    node_insert(parent, index, &separator);
    return KD_OK;
}

static kd_status split_root(kd_ctx *ctx, kdi_tree *tree, bool at_end)
{
    tree_node *root = node_create(ctx, tree, false);
    if (root == NULL)
        return KD_NOMEM;
    ((inner_node *)root)->children[0] = tree->root;
    kd_status status = split_child(ctx, tree, root, 0, at_end);
    if (status != KD_OK) {
        kd_heap_free(tree->world, tree->account, root);
        return status;
    }
    tree->root = root;
    return KD_OK;
}

/* The leaf for (key, ref), with room for one more. */
static kd_status descend_for_insert(kd_ctx *ctx, kdi_tree *tree, kd_slice key, uint64_t ref,
                                    tree_node **out_leaf)
{
    if (tree->root->count == KDI_TREE_NODE_ENTRIES)
        KD_TRY(
            split_root(ctx, tree, node_lower_bound(tree->root, key, ref) == KDI_TREE_NODE_ENTRIES));
    tree_node *node = tree->root;
    while (!node->is_leaf) {
        uint32_t index = child_index(node, key, ref);
        tree_node *child = children_of(node, index);
        if (child->count == KDI_TREE_NODE_ENTRIES) {
            bool at_end = node_lower_bound(child, key, ref) == KDI_TREE_NODE_ENTRIES;
            KD_TRY(split_child(ctx, tree, node, index, at_end));
            index = child_index(node, key, ref);
            child = children_of(node, index);
        }
        node = child;
    }
    *out_leaf = node;
    return KD_OK;
}

static bool entry_is(const tree_node *leaf, uint32_t at, kd_slice key, uint64_t ref)
{
    return at < leaf->count && leaf->entries[at].ref == ref &&
           kd_slice_equal(key_of(&leaf->entries[at]), key);
}

static void set_removed(kdi_tree *tree, tree_entry *entry, bool removed)
{
    if (is_removed(entry) == removed)
        return;
    entry->size_and_mark ^= REMOVED_MARK;
    if (removed)
        atomic_fetch_add_explicit(&tree->removed_count, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&tree->removed_count, 1, memory_order_relaxed);
}

/* Ascending entries come behind the last one and need no way down. */
static tree_node *leaf_to_append(const kdi_tree *tree, kd_slice key, uint64_t ref)
{
    tree_node *leaf = tree->last_leaf;
    if (leaf->count == 0 || leaf->count == KDI_TREE_NODE_ENTRIES)
        return NULL;
    const tree_entry *last = &leaf->entries[leaf->count - 1];
    return kdi_entry_compare(key_of(last), last->ref, key, ref) < 0 ? leaf : NULL;
}

static kd_status put_locked(kd_ctx *ctx, kdi_tree *tree, kd_slice key, uint64_t ref, bool removed)
{
    tree_node *leaf = leaf_to_append(tree, key, ref);
    uint32_t at = leaf == NULL ? 0 : leaf->count;
    if (leaf == NULL) {
        KD_TRY(descend_for_insert(ctx, tree, key, ref, &leaf));
        at = node_lower_bound(leaf, key, ref);
    }
    if (entry_is(leaf, at, key, ref)) {
        set_removed(tree, &leaf->entries[at], removed);
        return KD_OK;
    }
    tree_entry entry;
    KD_TRY(entry_make(ctx, tree, key, ref, false, &entry));
    node_insert(leaf, at, &entry);
    atomic_fetch_add_explicit(&tree->count, 1, memory_order_relaxed);
    set_removed(tree, &leaf->entries[at], removed);
    return KD_OK;
}

kd_status kdi_tree_put(kd_ctx *ctx, kdi_tree *tree, kd_slice key, uint64_t ref, bool removed)
{
    kd_rwlock_lock_exclusive(&tree->lock);
    kd_status status = put_locked(ctx, tree, key, ref, removed);
    atomic_fetch_add_explicit(&tree->put_count, 1, memory_order_relaxed);
    kd_rwlock_unlock_exclusive(&tree->lock);
    return status;
}

kd_status kdi_tree_put_all(kd_ctx *ctx, kdi_tree *tree, const kd_slice *keys, const uint64_t *refs,
                           uint32_t count)
{
    kd_status status = KD_OK;
    kd_rwlock_lock_exclusive(&tree->lock);
    for (uint32_t i = 0; i < count && status == KD_OK; i++)
        status = put_locked(ctx, tree, keys[i], refs[i], false);
    atomic_fetch_add_explicit(&tree->put_count, count, memory_order_relaxed);
    kd_rwlock_unlock_exclusive(&tree->lock);
    return status;
}

static tree_node *descend(const kdi_tree *tree, kd_slice key, uint64_t ref)
{
    tree_node *node = tree->root;
    while (!node->is_leaf)
        node = children_of(node, child_index(node, key, ref));
    return node;
}

void kdi_tree_delete(kdi_tree *tree, kd_slice key, uint64_t ref)
{
    kd_rwlock_lock_exclusive(&tree->lock);
    tree_node *leaf = descend(tree, key, ref);
    uint32_t at = node_lower_bound(leaf, key, ref);
    if (entry_is(leaf, at, key, ref)) {
        set_removed(tree, &leaf->entries[at], false);
        entry_free(tree, &leaf->entries[at]);
        uint32_t behind = leaf->count - at - 1u;
        memmove(&leaf->entries[at], &leaf->entries[at + 1], behind * sizeof(tree_entry));
        memmove(&leaf->heads[at], &leaf->heads[at + 1], behind * sizeof(uint64_t));
        leaf->count--;
        atomic_fetch_sub_explicit(&tree->count, 1, memory_order_relaxed);
    }
    kd_rwlock_unlock_exclusive(&tree->lock);
}

/* --- Reading --- */

uint32_t kdi_tree_find(kdi_tree *tree, kd_slice key, uint64_t from_ref, kdi_tree_hit *hits,
                       uint32_t capacity)
{
    uint32_t count = 0;
    kd_rwlock_lock_shared(&tree->lock);
    const tree_node *leaf = descend(tree, key, from_ref);
    uint32_t at = node_lower_bound(leaf, key, from_ref);
    while (count < capacity) {
        if (at == leaf->count) {
            leaf = leaf->next;
            at = 0;
            if (leaf == NULL)
                break;
            continue;
        }
        /* Mostly the head alone says that the next key is another. */
        if (leaf->heads[at] != head_of(key, leaf->skip))
            break;
        const tree_entry *entry = &leaf->entries[at++];
        if (!kd_slice_equal(key_of(entry), key))
            break;
        hits[count++] = (kdi_tree_hit){entry->ref, is_removed(entry)};
    }
    kd_rwlock_unlock_shared(&tree->lock);
    return count;
}

/* Steps to the entry before (*leaf, *at); false at the beginning. */
static bool step_back(const tree_node **leaf, uint32_t *at)
{
    while (*at == 0) {
        *leaf = (*leaf)->previous;
        if (*leaf == NULL)
            return false;
        *at = (*leaf)->count;
    }
    (*at)--;
    return true;
}

/* Stands at the scan's next entry; false at the end. Upwards `*at` is the entry, and the caller
 * adds one; downwards it is the entry, and step_back goes on from it. */
static bool scan_start(const kdi_tree *tree, const kdi_tree_position *from,
                       const tree_node **out_leaf, uint32_t *out_at)
{
    if (from->unbounded) {
        *out_leaf = from->descending ? tree->last_leaf : tree->first_leaf;
        *out_at = from->descending ? (*out_leaf)->count : 0;
        return !from->descending || step_back(out_leaf, out_at);
    }
    *out_leaf = descend(tree, from->key, from->ref);
    *out_at = node_lower_bound(*out_leaf, from->key, from->ref);
    bool equal = entry_is(*out_leaf, *out_at, from->key, from->ref);
    if (!from->descending) {
        *out_at += equal && from->exclusive;
        return true;
    }
    if (equal && !from->exclusive)
        return true;
    return step_back(out_leaf, out_at);
}

static kd_status copy_entry(kd_ctx *ctx, const tree_entry *entry, kd_buffer *key_room,
                            kdi_index_entry *out_entry)
{
    kd_slice key = key_of(entry);
    *out_entry = (kdi_index_entry){{NULL, key.size_bytes}, entry->ref, is_removed(entry)};
    return kd_buffer_append_slice(ctx, key_room, key);
}

static kd_status scan_locked(kd_ctx *ctx, kdi_tree *tree, const kdi_tree_position *from,
                             kd_buffer *key_room, kdi_index_entry *entries, uint32_t capacity,
                             uint32_t *out_count)
{
    const tree_node *leaf;
    uint32_t at;
    bool more = scan_start(tree, from, &leaf, &at);
    while (more && *out_count < capacity) {
        if (from->descending) {
            KD_TRY(copy_entry(ctx, &leaf->entries[at], key_room, &entries[(*out_count)++]));
            more = step_back(&leaf, &at);
            continue;
        }
        if (at < leaf->count) {
            KD_TRY(copy_entry(ctx, &leaf->entries[at++], key_room, &entries[(*out_count)++]));
            continue;
        }
        leaf = leaf->next;
        at = 0;
        more = leaf != NULL;
    }
    return KD_OK;
}

kd_status kdi_tree_scan(kd_ctx *ctx, kdi_tree *tree, const kdi_tree_position *from,
                        kd_buffer *key_room, kdi_index_entry *entries, uint32_t capacity,
                        uint32_t *out_count)
{
    *out_count = 0;
    key_room->size_bytes = 0;
    kd_rwlock_lock_shared(&tree->lock);
    kd_status status = scan_locked(ctx, tree, from, key_room, entries, capacity, out_count);
    kd_rwlock_unlock_shared(&tree->lock);
    /* The buffer may have moved while it grew: the keys are placed at the end. */
    size_t at = 0;
    for (uint32_t i = 0; i < *out_count && status == KD_OK; i++) {
        entries[i].key.data = key_room->data + at;
        at += entries[i].key.size_bytes;
    }
    if (status != KD_OK)
        *out_count = 0;
    return status;
}
