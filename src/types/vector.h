/*
 * Vectors and batches: data in bulk.
 *
 * A batch is up to KD_BATCH_ROWS rows of several vectors. A vector holds one
 * column of it in one of four forms, so that operators can work on encoded data:
 *
 *   FLAT      values[row]
 *   CONSTANT  values[0] for every row (validity bit 0 says whether it is NULL)
 *   DICT      dictionary->values[codes[row]]; the dictionary is FLAT and may be larger than a
 *             batch. Its own validity holds: a NULL row's code points at a NULL entry.
 *   FRAME     base + offsets[row], for integer physical types (I16, I32, I64): offsets are
 *             unsigned, 1, 2 or 4 bytes wide (width_bytes)
 *
 * Validity: one bit per row, set = not NULL; a NULL pointer means that no row is
 * NULL. For FLAT and FRAME the value of a NULL row is defined but meaningless.
 * DICT: the dictionary's validity, by code. CONSTANT: bit 0.
 *
 * A selection lists the rows that are alive, ascending; NULL means 0 .. count-1.
 * Operators that drop rows shorten the selection and leave the vectors alone.
 *
 * Lifetime: vectors point into memory that the producer keeps until its next
 * batch (or until its arena is reset). Who keeps rows longer copies them.
 */
#ifndef KD_TYPES_VECTOR_H
#define KD_TYPES_VECTOR_H

#include "types/value.h"

enum { KD_VECTOR_ROWS = 1024, KD_BATCH_ROWS = 2048 };

typedef enum kd_vector_form {
    KD_VECTOR_FLAT = 0,
    KD_VECTOR_CONSTANT,
    KD_VECTOR_DICT,
    KD_VECTOR_FRAME,
} kd_vector_form;

typedef struct kd_vector kd_vector;
struct kd_vector {
    kd_type type;
    uint8_t physical;            /* kd_physical of `type` */
    uint8_t form;                /* kd_vector_form */
    uint8_t width_bytes;         /* FRAME: of offsets; DICT: of codes (1, 2 or 4). */
    void *values;                /* FLAT, CONSTANT: physical values. DICT: codes. FRAME: offsets. */
    uint64_t *validity;          /* May be NULL. */
    int64_t base;                /* FRAME only. */
    const kd_vector *dictionary; /* DICT only: FLAT. */
    uint32_t dictionary_count;   /* DICT only: entries. */
    uint64_t dictionary_id;      /* DICT only: equal ids (not 0) mean the same dictionary. */
};

typedef struct kd_batch {
    uint32_t row_count;      /* Rows that the vectors hold. */
    uint32_t selected_count; /* Rows alive; == row_count when `selection` is NULL. */
    const uint16_t *selection;
    uint32_t column_count;
    kd_vector *columns;
} kd_batch;

static inline bool kd_bit_get(const uint64_t *bits, uint32_t index)
{
    return (bits[index >> 6] >> (index & 63)) & 1;
}

static inline void kd_bit_set(uint64_t *bits, uint32_t index)
{
    bits[index >> 6] |= (uint64_t)1 << (index & 63);
}

static inline void kd_bit_clear(uint64_t *bits, uint32_t index)
{
    bits[index >> 6] &= ~((uint64_t)1 << (index & 63));
}

static inline uint32_t kd_batch_row(const kd_batch *batch, uint32_t position)
{
    return batch->selection == NULL ? position : batch->selection[position];
}

/* Allocates room for `capacity` FLAT values and validity (all valid) in `arena`. */
kd_status kd_vector_init_flat(kd_ctx *ctx, kd_arena *arena, kd_type type, uint32_t capacity,
                              kd_vector *out_vector) KD_MUST_CHECK;
/* A CONSTANT vector of the value; the payload is copied into `arena`, string bytes are not. */
kd_status kd_vector_init_constant(kd_ctx *ctx, kd_arena *arena, const kd_value *value,
                                  kd_vector *out_vector) KD_MUST_CHECK;

bool kd_vector_is_null(const kd_vector *vector, uint32_t row);
/* The address of the row's physical value; `scratch` (16 bytes) is used for FRAME. */
const void *kd_vector_payload(const kd_vector *vector, uint32_t row, void *scratch);
kd_value kd_vector_get(const kd_vector *vector, uint32_t row);
/* Into a FLAT vector made by kd_vector_init_flat; strings are not copied. */
void kd_vector_set(kd_vector *vector, uint32_t row, const kd_value *value);
void kd_vector_set_null(kd_vector *vector, uint32_t row);

/* Gives the same rows as FLAT: the vector itself when it is already, else values for the selected
 * rows (others undefined) at their own positions, in `arena`. */
kd_status kd_vector_flatten(kd_ctx *ctx, kd_arena *arena, const kd_vector *vector,
                            const uint16_t *selection, uint32_t selected_count, uint32_t row_count,
                            kd_vector *out_flat) KD_MUST_CHECK;
/* Copies the selected rows to FLAT positions start .. start + selected_count - 1 of `target`,
 * which has room; far strings are copied into `arena` when it is not NULL. */
kd_status kd_vector_gather(kd_ctx *ctx, kd_arena *arena, const kd_vector *source,
                           const uint16_t *selection, uint32_t selected_count, kd_vector *target,
                           uint32_t start) KD_MUST_CHECK;

#endif
