/*
 * Entries in order of adding, and a power-of-two table of indexes into them, probed
 * linearly. A removed entry keeps its place (value NULL) until the next rebuild, so
 * probing never has to move anything.
 */
#include "base/map.h"

#include "base/hash.h"

#include <assert.h>

enum { SLOT_COUNT_MIN = 16 };

void kd_map_init(kd_map *map, kd_world *world, kd_account *account)
{
    *map = (kd_map){.world = world, .account = account};
}

void kd_map_clear(kd_map *map)
{
    for (uint32_t i = 0; i < map->entry_count; i++)
        kd_heap_free(map->world, map->account, map->entries[i].bytes);
    kd_heap_free(map->world, map->account, map->entries);
    kd_heap_free(map->world, map->account, map->slots);
    kd_map_init(map, map->world, map->account);
}

static bool is_same(const kd_map_entry *entry, uint64_t hash, const kd_slice *key, uint64_t number)
{
    if (entry->value == NULL || entry->hash != hash)
        return false;
    if (key == NULL)
        return entry->number == number;
    return entry->size_bytes == key->size_bytes &&
           (key->size_bytes == 0 || memcmp(entry->bytes, key->data, key->size_bytes) == 0);
}

/* `key` is NULL for numbers. */
static kd_map_entry *find(const kd_map *map, uint64_t hash, const kd_slice *key, uint64_t number)
{
    if (map->slot_count == 0)
        return NULL;
    uint32_t mask = map->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; map->slots[at] != 0; at = (at + 1) & mask) {
        kd_map_entry *entry = &map->entries[map->slots[at] - 1];
        if (is_same(entry, hash, key, number))
            return entry;
    }
    return NULL;
}

static void slot_add(kd_map *map, uint32_t index)
{
    uint32_t mask = map->slot_count - 1;
    uint32_t at = (uint32_t)map->entries[index].hash & mask;
    while (map->slots[at] != 0)
        at = (at + 1) & mask;
    map->slots[at] = index + 1;
}

/*
 * New arrays with room for one more; removed entries are left behind. Both arrays are
 * there before either old one goes, so a failure leaves the map as it was.
 */
static kd_status grow(kd_ctx *ctx, kd_map *map)
{
    uint32_t slot_count = SLOT_COUNT_MIN;
    while (slot_count < (uint64_t)(map->live_count + 1) * 3)
        slot_count *= 2;
    uint32_t capacity = slot_count / 2;
    kd_map_entry *entries = kd_heap_alloc(ctx, map->account, capacity * sizeof *entries);
    if (entries == NULL)
        return KD_NOMEM;
    uint32_t *slots = kd_heap_alloc(ctx, map->account, slot_count * sizeof *slots);
    if (slots == NULL) {
        kd_heap_free(map->world, map->account, entries);
        return KD_NOMEM;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->entry_count; i++)
        if (map->entries[i].value != NULL)
            entries[kept++] = map->entries[i];
    assert(kept == map->live_count);
    kd_heap_free(map->world, map->account, map->entries);
    kd_heap_free(map->world, map->account, map->slots);
    map->entries = entries;
    map->slots = slots;
    map->entry_count = kept;
    map->entry_capacity = capacity;
    map->slot_count = slot_count;
    for (uint32_t i = 0; i < kept; i++)
        slot_add(map, i);
    return KD_OK;
}

static kd_status put(kd_ctx *ctx, kd_map *map, uint64_t hash, const kd_slice *key, uint64_t number,
                     void *value, void **out_previous)
{
    assert(value != NULL);
    if (out_previous != NULL)
        *out_previous = NULL;
    kd_map_entry *entry = find(map, hash, key, number);
    if (entry != NULL) {
        if (out_previous != NULL)
            *out_previous = entry->value;
        entry->value = value;
        return KD_OK;
    }
    if (map->entry_count == map->entry_capacity)
        KD_TRY(grow(ctx, map));
    char *copy = NULL;
    if (key != NULL && key->size_bytes > 0) {
        copy = kd_heap_alloc_raw(ctx, map->account, key->size_bytes);
        if (copy == NULL)
            return KD_NOMEM;
        memcpy(copy, key->data, key->size_bytes);
    }
    map->entries[map->entry_count] = (kd_map_entry){
        .hash = hash,
        .number = number,
        .bytes = copy,
        .size_bytes = key == NULL ? 0 : key->size_bytes,
        .value = value,
    };
    slot_add(map, map->entry_count++);
    map->live_count++;
    return KD_OK;
}

static void *take(kd_map *map, kd_map_entry *entry)
{
    if (entry == NULL)
        return NULL;
    void *value = entry->value;
    kd_heap_free(map->world, map->account, entry->bytes);
    entry->bytes = NULL;
    entry->value = NULL;
    map->live_count--;
    return value;
}

void *kd_map_find(const kd_map *map, kd_slice key)
{
    kd_map_entry *entry = find(map, kd_hash_bytes(key.data, key.size_bytes), &key, 0);
    return entry == NULL ? NULL : entry->value;
}

void *kd_map_find_u64(const kd_map *map, uint64_t key)
{
    kd_map_entry *entry = find(map, kd_hash_u64(key), NULL, key);
    return entry == NULL ? NULL : entry->value;
}

kd_status kd_map_put(kd_ctx *ctx, kd_map *map, kd_slice key, void *value, void **out_previous)
{
    return put(ctx, map, kd_hash_bytes(key.data, key.size_bytes), &key, 0, value, out_previous);
}

kd_status kd_map_put_u64(kd_ctx *ctx, kd_map *map, uint64_t key, void *value, void **out_previous)
{
    return put(ctx, map, kd_hash_u64(key), NULL, key, value, out_previous);
}

void *kd_map_remove(kd_map *map, kd_slice key)
{
    return take(map, find(map, kd_hash_bytes(key.data, key.size_bytes), &key, 0));
}

void *kd_map_remove_u64(kd_map *map, uint64_t key)
{
    return take(map, find(map, kd_hash_u64(key), NULL, key));
}

const kd_map_entry *kd_map_next(const kd_map *map, uint32_t *cursor)
{
    while (*cursor < map->entry_count) {
        const kd_map_entry *entry = &map->entries[(*cursor)++];
        if (entry->value != NULL)
            return entry;
    }
    return NULL;
}
