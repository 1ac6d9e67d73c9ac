/*
 * The in-memory part of an index: a B+tree of (key, reference) entries under one
 * read-write lock. Module-internal.
 *
 * Nodes hold up to 64 entries of 32 bytes with the key inside when it has at most
 * 22 bytes, else a pointer to it. Beside the entries stand their heads: eight bytes
 * of each key as a number, taken after the prefix that all keys of the node share (40
 * bytes of it at most, kept in the node). A search compares heads and looks at a key
 * only where they are equal: a leaf out of the cache costs about three misses.
 *
 * Nodes split on the way down, before anything changes below, so a failed allocation
 * leaves a whole tree. They never merge: a tree lives until the next checkpoint.
 */
#ifndef KD_INDEX_MEMORY_TREE_H
#define KD_INDEX_MEMORY_TREE_H

#include "base/bytes.h"
#include "base/heap.h"
#include "base/thread.h"

enum { KDI_TREE_NODE_ENTRIES = 64, KDI_TREE_INLINE_BYTES = 22 };

/* An entry as sources give it out. A removed entry hides the same one in older parts. */
typedef struct kdi_index_entry {
    kd_slice key;
    uint64_t ref;
    bool removed;
} kdi_index_entry;

typedef struct kdi_tree kdi_tree;

kd_status kdi_tree_create(kd_ctx *ctx, kd_account *account, kdi_tree **out_tree) KD_MUST_CHECK;
kdi_tree *kdi_tree_ref(kdi_tree *tree);
void kdi_tree_unref(kdi_tree *tree); /* Frees it with the last one. NULL is allowed. */

/* Adds the entry or changes its mark. */
kd_status kdi_tree_put(kd_ctx *ctx, kdi_tree *tree, kd_slice key, uint64_t ref,
                       bool removed) KD_MUST_CHECK;
/* Adds entries without a mark, under one lock; ascending ones are the cheapest. */
kd_status kdi_tree_put_all(kd_ctx *ctx, kdi_tree *tree, const kd_slice *keys, const uint64_t *refs,
                           uint32_t count) KD_MUST_CHECK;
/* Takes the entry out, when it is there. */
void kdi_tree_delete(kdi_tree *tree, kd_slice key, uint64_t ref);
uint64_t kdi_tree_count(const kdi_tree *tree);
uint64_t kdi_tree_removed_count(const kdi_tree *tree);
/* How often something was put into it: entries that a find does not know yet make it larger. */
uint64_t kdi_tree_put_count(const kdi_tree *tree);
/* What was allocated for it; not less when entries leave. */
size_t kdi_tree_memory_bytes(const kdi_tree *tree);

typedef struct kdi_tree_hit {
    uint64_t ref;
    bool removed;
} kdi_tree_hit;
/* Entries of exactly this key with references from `from_ref` on, ascending, at most `capacity`. */
uint32_t kdi_tree_find(kdi_tree *tree, kd_slice key, uint64_t from_ref, kdi_tree_hit *hits,
                       uint32_t capacity);

/* Where a scan goes on: at or after (key, ref) upwards, at or before it downwards; `exclusive`
 * leaves the entry itself out. `unbounded`: from the first or last entry. */
typedef struct kdi_tree_position {
    kd_slice key;
    uint64_t ref;
    bool exclusive;
    bool unbounded;
    bool descending;
} kdi_tree_position;
/* Copies up to `capacity` entries; the keys' bytes are appended to `key_room`, whose old content is
 * dropped. Fewer than `capacity` means the end. */
kd_status kdi_tree_scan(kd_ctx *ctx, kdi_tree *tree, const kdi_tree_position *from,
                        kd_buffer *key_room, kdi_index_entry *entries, uint32_t capacity,
                        uint32_t *out_count) KD_MUST_CHECK;

/* Order of entries: by key, then by reference. */
static inline int kdi_entry_compare(kd_slice a_key, uint64_t a_ref, kd_slice b_key, uint64_t b_ref)
{
    int order = kd_slice_compare(a_key, b_key);
    return order != 0 ? order : (a_ref > b_ref) - (a_ref < b_ref);
}

#endif
