/*
 * Loops over whole vectors, once per instruction set; kdi_kernels() gives the best of this machine.
 *
 * All take plain arrays that do not overlap unless a target is also the only source. Sums and
 * products wrap: who calls has bounded the values, or does not use the rows whose values may not be
 * bounded.
 */
#ifndef KD_EXEC_KERNEL_INTERNAL_H
#define KD_EXEC_KERNEL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kdi_kernel_range {
    uint64_t low, span;
    bool outside;
} kdi_kernel_range;

/* A set of integers close together, asked about offsets: those with offset - low (32 bits) above
 * `span` are not in it; others are where bit offset + add (32 bits) is set. */
typedef struct kdi_kernel_bits {
    const uint64_t *words;
    uint32_t low, span, add;
} kdi_kernel_bits;

typedef struct kdi_kernel_set {
    /* base + values, as 64 bits. */
    void (*widen_u8)(int64_t *target, const void *values, int64_t base, uint32_t count);
    void (*widen_u16)(int64_t *target, const void *values, int64_t base, uint32_t count);
    void (*widen_u32)(int64_t *target, const void *values, int64_t base, uint32_t count);
    void (*widen_i16)(int64_t *target, const void *values, int64_t base, uint32_t count);
    void (*widen_i32)(int64_t *target, const void *values, int64_t base, uint32_t count);
    void (*add)(int64_t *target, const int64_t *a, const int64_t *b, uint32_t count);
    void (*subtract)(int64_t *target, const int64_t *a, const int64_t *b, uint32_t count);
    void (*multiply)(int64_t *target, const int64_t *a, const int64_t *b, uint32_t count);
    /* a * factor + addend. */
    void (*multiply_add)(int64_t *target, const int64_t *a, int64_t factor, int64_t addend,
                         uint32_t count);
    /* The least and the largest of one value or more. */
    void (*bounds)(const int64_t *values, uint32_t count, int64_t *out_low, int64_t *out_high);
    int64_t (*sum)(const int64_t *values, uint32_t count);
    /* Of the values whose bit is set, in mask words for `count` values; no other is read. NULL
     * where it is no faster than adding row by row. */
    int64_t (*sum_masked)(const int64_t *values, const uint64_t *mask, uint32_t count);
    /* Bits of the codes that are `code`, whole words: codes up to the next 64 are readable. */
    void (*mask_equal)(const uint8_t *codes, uint8_t code, uint32_t count, uint64_t *out_mask);
    uint32_t (*largest_u8)(const void *values, uint32_t count);
    uint32_t (*largest_u16)(const void *values, uint32_t count);
    uint32_t (*largest_u32)(const void *values, uint32_t count);
    /* target += values * factor + addend */
    void (*codes_u8)(uint32_t *target, const void *values, uint32_t factor, uint32_t addend,
                     uint32_t count);
    void (*codes_u16)(uint32_t *target, const void *values, uint32_t factor, uint32_t addend,
                      uint32_t count);
    void (*codes_u32)(uint32_t *target, const void *values, uint32_t factor, uint32_t addend,
                      uint32_t count);
    /* Rows 0 .. count - 1 whose value - low, unsigned and of the values' width, is at most `span`,
     * or is not; gives their number. `out_rows` has room for `count`. */
    uint32_t (*select_8)(const void *values, kdi_kernel_range range, uint32_t count,
                         uint16_t *out_rows);
    uint32_t (*select_16)(const void *values, kdi_kernel_range range, uint32_t count,
                          uint16_t *out_rows);
    uint32_t (*select_32)(const void *values, kdi_kernel_range range, uint32_t count,
                          uint16_t *out_rows);
    uint32_t (*select_64)(const void *values, kdi_kernel_range range, uint32_t count,
                          uint16_t *out_rows);
    /* Rows 0 .. count - 1 whose `a` is less than `b`, or equal with `or_equal`. */
    uint32_t (*less)(const int64_t *a, const int64_t *b, bool or_equal, uint32_t count,
                     uint16_t *out_rows);
    /* Rows 0 .. count - 1 whose offset is in the set. */
    uint32_t (*members_u8)(const void *offsets, kdi_kernel_bits set, uint32_t count,
                           uint16_t *out_rows);
    uint32_t (*members_u16)(const void *offsets, kdi_kernel_bits set, uint32_t count,
                            uint16_t *out_rows);
    uint32_t (*members_u32)(const void *offsets, kdi_kernel_bits set, uint32_t count,
                            uint16_t *out_rows);
} kdi_kernel_set;

const kdi_kernel_set *kdi_kernels(void);

extern const kdi_kernel_set kdi_kernels_baseline;
#if defined(__x86_64__)
extern const kdi_kernel_set kdi_kernels_avx2;
extern const kdi_kernel_set kdi_kernels_avx512;
#endif

#endif
