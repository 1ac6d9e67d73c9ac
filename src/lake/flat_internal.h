/*
 * A builder of FlatBuffers (https://flatbuffers.dev/internals), as far as Arrow's metadata need it.
 *
 * A buffer is built from its end to its start: what is referred to comes first. A reference
 * (kdi_flat_ref) is a distance from the end, so it stays right while the buffer grows. Callers
 * finish an object before they begin the next one: tables do not nest while being built.
 */
#ifndef KD_LAKE_FLAT_INTERNAL_H
#define KD_LAKE_FLAT_INTERNAL_H

#include "base/bytes.h"

enum { KDI_FLAT_SLOTS_MAX = 8 };

typedef uint32_t kdi_flat_ref; /* 0: none. */

typedef struct kdi_flat {
    kd_ctx *ctx;
    kd_arena *arena;
    char *data; /* The bytes stand at data[capacity - size .. capacity). */
    size_t capacity;
    size_t size;
    kd_status status; /* The first failure; everything after it does nothing. */
    kdi_flat_ref slots[KDI_FLAT_SLOTS_MAX];
    uint32_t slot_count;
    size_t table_begin;
} kdi_flat;

kdi_flat kdi_flat_begin(kd_ctx *ctx, kd_arena *arena);
kdi_flat_ref kdi_flat_string(kdi_flat *flat, kd_slice text);
kdi_flat_ref kdi_flat_refs(kdi_flat *flat, const kdi_flat_ref *refs, uint32_t count);
/* A vector of structs of 8-byte alignment, as they stand in memory. */
kdi_flat_ref kdi_flat_structs(kdi_flat *flat, const void *structs, size_t struct_bytes,
                              uint32_t count);
void kdi_flat_table_begin(kdi_flat *flat, uint32_t slot_count);
/* `size_bytes` 1, 2, 4 or 8, little-endian. Written even where it is the default. */
void kdi_flat_add(kdi_flat *flat, uint32_t slot, uint64_t value, size_t size_bytes);
void kdi_flat_add_ref(kdi_flat *flat, uint32_t slot, kdi_flat_ref ref); /* 0 adds nothing. */
kdi_flat_ref kdi_flat_table_end(kdi_flat *flat);
/* The finished buffer; lives in the arena. */
kd_status kdi_flat_finish(kdi_flat *flat, kdi_flat_ref root, kd_slice *out_bytes) KD_MUST_CHECK;

#endif
