/*
 * Building FlatBuffers from the end to the start.
 */
#include "lake/flat_internal.h"

#include <assert.h>

enum { CAPACITY_FIRST = 1024, ALIGN_MAX = 8 };

kdi_flat kdi_flat_begin(kd_ctx *ctx, kd_arena *arena)
{
    return (kdi_flat){.ctx = ctx, .arena = arena};
}

static void flat_reserve(kdi_flat *flat, size_t more)
{
    if (flat->status != KD_OK || flat->capacity - flat->size >= more)
        return;
    size_t capacity = flat->capacity == 0 ? CAPACITY_FIRST : flat->capacity;
    while (capacity - flat->size < more)
        capacity *= 2;
    char *grown = kd_alloc(flat->ctx, flat->arena, capacity);
    if (grown == NULL) {
        flat->status = KD_NOMEM;
        return;
    }
    if (flat->size > 0)
        memcpy(grown + capacity - flat->size, flat->data + flat->capacity - flat->size, flat->size);
    flat->data = grown;
    flat->capacity = capacity;
}

static void flat_put(kdi_flat *flat, const void *bytes, size_t size_bytes)
{
    flat_reserve(flat, size_bytes);
    if (flat->status != KD_OK)
        return;
    flat->size += size_bytes;
    if (size_bytes > 0)
        memcpy(flat->data + flat->capacity - flat->size, bytes, size_bytes);
}

/* Zeros, so that after `following` more bytes the size is a multiple of `align`. */
static void flat_align(kdi_flat *flat, size_t align, size_t following)
{
    static const char ZEROS[ALIGN_MAX] = {0};
    size_t over = (flat->size + following) % align;
    if (over != 0)
        flat_put(flat, ZEROS, align - over);
}

static void flat_put_u32(kdi_flat *flat, uint32_t value)
{
    flat_put(flat, &value, sizeof value);
}

/* A forward reference: the distance from where it stands to what it names. */
static void flat_put_ref(kdi_flat *flat, kdi_flat_ref ref)
{
    flat_align(flat, 4, 0);
    flat_put_u32(flat, (uint32_t)(flat->size + 4 - ref));
}

kdi_flat_ref kdi_flat_string(kdi_flat *flat, kd_slice text)
{
    flat_align(flat, 4, text.size_bytes + 1);
    flat_put(flat, "", 1);
    flat_put(flat, text.data, text.size_bytes);
    flat_put_u32(flat, (uint32_t)text.size_bytes);
    return (kdi_flat_ref)flat->size;
}

kdi_flat_ref kdi_flat_refs(kdi_flat *flat, const kdi_flat_ref *refs, uint32_t count)
{
    flat_align(flat, 4, 0);
    for (uint32_t i = count; i > 0; i--)
        flat_put_ref(flat, refs[i - 1]);
    flat_put_u32(flat, count);
    return (kdi_flat_ref)flat->size;
}

kdi_flat_ref kdi_flat_structs(kdi_flat *flat, const void *structs, size_t struct_bytes,
                              uint32_t count)
{
    flat_align(flat, 8, struct_bytes * count);
    flat_put(flat, structs, struct_bytes * count);
    flat_put_u32(flat, count);
    return (kdi_flat_ref)flat->size;
}

void kdi_flat_table_begin(kdi_flat *flat, uint32_t slot_count)
{
    assert(slot_count <= KDI_FLAT_SLOTS_MAX);
    memset(flat->slots, 0, sizeof flat->slots);
    flat->slot_count = slot_count;
    flat->table_begin = flat->size;
}

void kdi_flat_add(kdi_flat *flat, uint32_t slot, uint64_t value, size_t size_bytes)
{
    assert(slot < flat->slot_count);
    flat_align(flat, size_bytes, 0);
    flat_put(flat, &value, size_bytes);
    flat->slots[slot] = (kdi_flat_ref)flat->size;
}

void kdi_flat_add_ref(kdi_flat *flat, uint32_t slot, kdi_flat_ref ref)
{
    assert(slot < flat->slot_count);
    if (ref == 0)
        return;
    flat_put_ref(flat, ref);
    flat->slots[slot] = (kdi_flat_ref)flat->size;
}

kdi_flat_ref kdi_flat_table_end(kdi_flat *flat)
{
    flat_align(flat, 4, 0);
    flat_put_u32(flat, 0); /* The distance to the table of slots: known below. */
    size_t table = flat->size;
    for (uint32_t i = flat->slot_count; i > 0; i--) {
        uint16_t offset = 0;
        if (flat->slots[i - 1] != 0)
            offset = (uint16_t)(table - flat->slots[i - 1]);
        flat_put(flat, &offset, sizeof offset);
    }
    uint16_t table_bytes = (uint16_t)(table - flat->table_begin);
    uint16_t slots_bytes = (uint16_t)(4 + 2 * flat->slot_count);
    flat_put(flat, &table_bytes, sizeof table_bytes);
    flat_put(flat, &slots_bytes, sizeof slots_bytes);
    if (flat->status == KD_OK)
        kd_store_u32(flat->data + flat->capacity - table, (uint32_t)(flat->size - table));
    return (kdi_flat_ref)table;
}

kd_status kdi_flat_finish(kdi_flat *flat, kdi_flat_ref root, kd_slice *out_bytes)
{
    flat_align(flat, ALIGN_MAX, 4);
    flat_put_u32(flat, (uint32_t)(flat->size + 4 - root));
    *out_bytes = (kd_slice){0};
    if (flat->status == KD_OK)
        *out_bytes = (kd_slice){flat->data + flat->capacity - flat->size, flat->size};
    return flat->status;
}
