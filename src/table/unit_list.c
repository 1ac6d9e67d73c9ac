/*
 * Unit lists: immutable versions of what a table consists of.
 *
 * A change makes a new list from the current one and puts it in place under
 * table->lock; the old list, and what left with it, is retired.
 */
#include "table/table_internal.h"

#include <string.h>

static bool has_unit(kdi_remap *const *remaps, uint32_t count, uint64_t unit)
{
    for (uint32_t i = 0; i < count; i++) {
        if (remaps[i]->unit == unit)
            return true;
    }
    return false;
}

static bool drops_remap(const kdi_unit_change *change, uint64_t unit)
{
    uint32_t low = 0, high = change->drop_remap_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (change->drop_remaps[middle] < unit)
            low = middle + 1;
        else
            high = middle;
    }
    return low < change->drop_remap_count && change->drop_remaps[low] == unit;
}

static bool drops_segment(const kdi_unit_change *change, const kdi_segment *segment)
{
    for (uint32_t i = 0; i < change->drop_segment_count; i++) {
        if (change->drop_segments[i] == segment)
            return true;
    }
    return false;
}

static void segments_fill(kdi_unit_list *list, const kdi_unit_list *base,
                          const kdi_unit_change *change)
{
    for (uint32_t i = 0; i < base->segment_count; i++) {
        kdi_segment *segment = base->segments[i];
        if (!has_unit(change->add_remaps, change->add_remap_count, segment->unit) &&
            !drops_segment(change, segment))
            list->segments[list->segment_count++] = segment;
    }
    for (uint32_t i = 0; i < change->add_segment_count; i++) {
        uint32_t at = list->segment_count++;
        for (; at > 0 && list->segments[at - 1]->unit > change->add_segments[i]->unit; at--)
            list->segments[at] = list->segments[at - 1];
        list->segments[at] = change->add_segments[i];
    }
}

static void chunks_fill(kdi_unit_list *list, const kdi_unit_list *base,
                        const kdi_unit_change *change)
{
    for (uint32_t i = 0; i < base->chunk_count; i++) {
        if (!has_unit(change->add_remaps, change->add_remap_count, base->chunks[i]->unit))
            list->chunks[list->chunk_count++] = base->chunks[i];
    }
    if (change->add_chunk != NULL) {
        uint32_t at = list->chunk_count++;
        for (; at > 0 && list->chunks[at - 1]->unit > change->add_chunk->unit; at--)
            list->chunks[at] = list->chunks[at - 1];
        list->chunks[at] = change->add_chunk;
    }
}

static void remaps_fill(kdi_unit_list *list, const kdi_unit_list *base,
                        const kdi_unit_change *change)
{
    for (uint32_t i = 0; i < base->remap_count; i++) {
        if (!drops_remap(change, base->remaps[i]->unit))
            list->remaps[list->remap_count++] = base->remaps[i];
    }
    for (uint32_t i = 0; i < change->add_remap_count; i++) {
        if (change->add_remaps[i]->count == 0)
            continue; /* A unit that is not there is the same. */
        uint32_t at = list->remap_count++;
        for (; at > 0 && list->remaps[at - 1]->unit > change->add_remaps[i]->unit; at--)
            list->remaps[at] = list->remaps[at - 1];
        list->remaps[at] = change->add_remaps[i];
    }
}

static void units_note(kdi_unit_list *list)
{
    for (uint32_t i = 0; i < list->segment_count; i++)
        list->segment_units[i] = list->segments[i]->unit;
    for (uint32_t i = 0; i < list->chunk_count; i++)
        list->chunk_units[i] = list->chunks[i]->unit;
    for (uint32_t i = 0; i < list->remap_count; i++)
        list->remap_units[i] = list->remaps[i]->unit;
}

kd_status kdi_units_make(kd_ctx *ctx, kd_table *table, const kdi_unit_change *change,
                         kdi_unit_list **out_list)
{
    static const kdi_unit_list empty = {0};
    kd_storage *storage = table->storage;
    const kdi_unit_list *base = atomic_load(&table->units);
    if (base == NULL)
        base = &empty;
    *out_list = NULL;
    size_t segments = (size_t)base->segment_count + change->add_segment_count;
    size_t chunks = (size_t)base->chunk_count + (change->add_chunk != NULL ? 1 : 0);
    if (storage->is_recovering && change->add_chunk != NULL)
        chunks += chunks; /* More of them come: kdi_units_append. */
    size_t remaps = (size_t)base->remap_count + change->add_remap_count;
    size_t units = segments + chunks + remaps;
    size_t bytes = sizeof(kdi_unit_list) + units * (sizeof(void *) + sizeof(uint64_t));
    kdi_unit_list *list = kd_heap_alloc(ctx, &storage->account, bytes);
    if (list == NULL)
        return KD_NOMEM;
    list->storage = storage;
    list->born = kd_txn_epoch(storage->txns);
    list->chunk_capacity = (uint32_t)chunks;
    list->segments = (kdi_segment **)(void *)(list + 1);
    list->chunks = (kdi_chunk **)(void *)(list->segments + segments);
    list->remaps = (kdi_remap **)(void *)(list->chunks + chunks);
    list->segment_units = (uint64_t *)(void *)(list->remaps + remaps);
    list->chunk_units = list->segment_units + segments;
    list->remap_units = list->chunk_units + chunks;
    segments_fill(list, base, change);
    chunks_fill(list, base, change);
    remaps_fill(list, base, change);
    units_note(list);
    *out_list = list;
    return KD_OK;
}

bool kdi_units_append(kd_table *table, kdi_chunk *chunk)
{
    kdi_unit_list *list = atomic_load(&table->units);
    if (!table->storage->is_recovering || list == NULL ||
        list->chunk_count == list->chunk_capacity ||
        (list->chunk_count > 0 && list->chunk_units[list->chunk_count - 1] > chunk->unit))
        return false;
    list->chunks[list->chunk_count] = chunk;
    list->chunk_units[list->chunk_count++] = chunk->unit;
    return true;
}

void kdi_units_publish(kd_table *table, kdi_unit_list *list)
{
    kdi_unit_list *old = atomic_exchange(&table->units, list);
    if (old != NULL)
        kd_txn_retire_born(table->storage->txns, &old->garbage, old->born, kdi_units_destroy, old);
}

void kdi_units_destroy(void *object)
{
    kdi_unit_list *list = object;
    if (list != NULL)
        kd_heap_free(list->storage->world, &list->storage->account, list);
}

kd_status kdi_remap_make(kd_ctx *ctx, kd_storage *storage, uint64_t unit, uint32_t count,
                         kdi_remap **out_remap)
{
    kdi_remap *remap =
        kd_heap_alloc(ctx, &storage->account, sizeof *remap + count * sizeof(kd_rowref));
    *out_remap = remap;
    if (remap == NULL)
        return KD_NOMEM;
    remap->storage = storage;
    remap->unit = unit;
    remap->count = count;
    return KD_OK;
}

void kdi_remap_destroy(void *object)
{
    kdi_remap *remap = object;
    if (remap != NULL)
        kd_heap_free(remap->storage->world, &remap->storage->account, remap);
}
