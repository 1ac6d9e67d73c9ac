/*
 * A hash map from bytes or from a 64-bit number to a pointer.
 *
 * Open addressing over an array of entries that stand in the order in which they
 * were added: iteration follows that order, so nothing a user can see depends on
 * addresses or hashes. Keys of bytes are copied. Not thread-safe.
 */
#ifndef KD_BASE_MAP_H
#define KD_BASE_MAP_H

#include "base/bytes.h"
#include "base/heap.h"

typedef struct kd_map_entry {
    uint64_t hash;   /* The number itself hashed, or the bytes. */
    uint64_t number; /* The key of a map by number. */
    char *bytes;     /* The key of a map by bytes, NULL for numbers. */
    size_t size_bytes;
    void *value; /* NULL marks an entry that was removed. */
} kd_map_entry;

/* In the caller's storage. The fields are the map's own. */
typedef struct kd_map {
    kd_world *world;
    kd_account *account;
    kd_map_entry *entries;
    uint32_t *slots;      /* Index + 1 of an entry, 0 when free. */
    uint32_t entry_count; /* Removed ones included. */
    uint32_t entry_capacity;
    uint32_t slot_count; /* A power of two, or 0. */
    uint32_t live_count;
} kd_map;

/* Allocates nothing yet. One map has keys of one sort only. */
void kd_map_init(kd_map *map, kd_world *world, kd_account *account);
void kd_map_clear(kd_map *map); /* Gives the memory back; the values are the caller's. */

/* NULL when absent. */
void *kd_map_find(const kd_map *map, kd_slice key);
void *kd_map_find_u64(const kd_map *map, uint64_t key);
/* Sets or replaces; `value` is not NULL. `out_previous` may be NULL. */
kd_status kd_map_put(kd_ctx *ctx, kd_map *map, kd_slice key, void *value,
                     void **out_previous) KD_MUST_CHECK;
kd_status kd_map_put_u64(kd_ctx *ctx, kd_map *map, uint64_t key, void *value,
                         void **out_previous) KD_MUST_CHECK;
/* The value that was there, or NULL. */
void *kd_map_remove(kd_map *map, kd_slice key);
void *kd_map_remove_u64(kd_map *map, uint64_t key);

static inline size_t kd_map_count(const kd_map *map)
{
    return map->live_count;
}

/* In the order of adding. `*cursor` starts at 0; NULL at the end. The map may lose entries
 * meanwhile, but gain none. */
const kd_map_entry *kd_map_next(const kd_map *map, uint32_t *cursor);

#endif
