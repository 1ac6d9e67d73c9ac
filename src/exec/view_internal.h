/*
 * Views: one way to read the selected rows of a vector of any form.
 *
 * values[index[i]] is the i-th selected row's physical value. FLAT vectors are read in place, DICT
 * vectors through their codes, CONSTANT ones through zeros; FRAME vectors are expanded first. Loops
 * over views need one version per physical type instead of one per type and form.
 */
#ifndef KD_EXEC_VIEW_INTERNAL_H
#define KD_EXEC_VIEW_INTERNAL_H

#include "types/vector.h"

/* Caller's storage; `room` is kept between uses. */
typedef struct kdi_view {
    const void *values;
    const uint32_t *index;    /* Per selected row. */
    const uint64_t *validity; /* By index; NULL: nothing is NULL. */
    uint32_t entry_count;     /* DICT: of its dictionary; else 0. */
    uint32_t value_bytes;
    uint8_t physical;
    kd_type type;
    uint32_t *index_room; /* KD_BATCH_ROWS entries; allocated at first use. */
    void *value_room;     /* FRAME: KD_BATCH_ROWS values. */
    uint64_t *validity_room;
} kdi_view;

kd_status kdi_view_open(kd_ctx *ctx, kd_arena *arena, kdi_view *view, const kd_vector *vector,
                        const uint16_t *selection, uint32_t count) KD_MUST_CHECK;

static inline bool kdi_view_is_null(const kdi_view *view, uint32_t i)
{
    return view->validity != NULL && !kd_bit_get(view->validity, view->index[i]);
}

static inline const void *kdi_view_at(const kdi_view *view, uint32_t i)
{
    return (const char *)view->values + (size_t)view->index[i] * view->value_bytes;
}

/* Of integer types. */
static inline int64_t kdi_view_integer(const kdi_view *view, uint32_t i)
{
    const void *at = kdi_view_at(view, i);
    switch (view->physical) {
    case KD_PHYS_I16:
        return *(const int16_t *)at;
    case KD_PHYS_I32:
        return *(const int32_t *)at;
    default:
        return *(const int64_t *)at;
    }
}

/* Hashes of the selected rows, into or (with `combine`) onto hashes[i]. NULL has a hash of its own.
 */
void kdi_view_hash(const kdi_view *view, uint32_t count, bool combine, uint64_t *hashes);
/* The hash of one value; the same function. */
uint64_t kdi_payload_hash(kd_type type, const void *payload);
bool kdi_payload_equal(kd_type type, const void *a, const void *b);
/* Types whose payload bytes are equal exactly when the values are. */
bool kdi_type_is_bitwise(kd_type type);
/* Strings that are equal exactly when their bytes are. */
bool kdi_type_is_plain_string(kd_type type);

/* Writes the selected rows of `source` at their own positions of the FLAT `target`. */
void kdi_vector_copy_rows(const kd_vector *source, const uint16_t *selection, uint32_t count,
                          kd_vector *target);

static inline uint32_t kdi_code_at(const kd_vector *vector, uint32_t row)
{
    switch (vector->width_bytes) {
    case 1:
        return ((const uint8_t *)vector->values)[row];
    case 2:
        return ((const uint16_t *)vector->values)[row];
    default:
        return ((const uint32_t *)vector->values)[row];
    }
}

/* A batch whose columns are copied apart from the values: column headers in `columns`. */
static inline void kdi_bits_fill(uint64_t *bits, uint32_t count)
{
    memset(bits, 0xff, ((size_t)count + 63) / 64 * 8);
}

enum { KDI_BATCH_WORDS = KD_BATCH_ROWS / 64 };

/* A FLAT vector with room for a batch, all valid. */
kd_status kdi_vector_create(kd_ctx *ctx, kd_arena *arena, kd_type type,
                            kd_vector *out_vector) KD_MUST_CHECK;
kd_status kdi_vector_create_for(kd_ctx *ctx, kd_arena *arena, kd_type type, uint32_t capacity,
                                kd_vector *out_vector) KD_MUST_CHECK;

#endif
