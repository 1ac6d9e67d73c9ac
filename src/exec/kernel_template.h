/*
 * Template of the kernels: included once per instruction set by a file that defines
 * KDI_KERNEL_SET and is compiled for that set. The loops are plain, so that the compiler turns
 * them into whole registers.
 */
#include "exec/kernel_internal.h"

#define WIDEN(name, type)                                                                 \
    static void name(int64_t *restrict target, const void *restrict values, int64_t base, \
                     uint32_t count)                                                      \
    {                                                                                     \
        const type *from = values;                                                        \
        for (uint32_t i = 0; i < count; i++)                                              \
            target[i] = (int64_t)((uint64_t)base + (uint64_t)(int64_t)from[i]);           \
    }
WIDEN(widen_u8, uint8_t)
WIDEN(widen_u16, uint16_t)
WIDEN(widen_u32, uint32_t)
WIDEN(widen_i16, int16_t)
WIDEN(widen_i32, int32_t)
#undef WIDEN

#define BINARY(name, operator)                                                            \
    static void name(int64_t *target, const int64_t *a, const int64_t *b, uint32_t count) \
    {                                                                                     \
        for (uint32_t i = 0; i < count; i++)                                              \
            target[i] = (int64_t)((uint64_t)a[i] operator(uint64_t) b[i]);                \
    }
BINARY(add, +)
BINARY(subtract, -)
BINARY(multiply, *)
#undef BINARY

static void multiply_add(int64_t *target, const int64_t *a, int64_t factor, int64_t addend,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        target[i] = (int64_t)((uint64_t)a[i] * (uint64_t)factor + (uint64_t)addend);
}

static void bounds(const int64_t *values, uint32_t count, int64_t *out_low, int64_t *out_high)
{
    int64_t low = values[0], high = values[0];
    for (uint32_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *out_low = low;
    *out_high = high;
}

static int64_t sum(const int64_t *values, uint32_t count)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += (uint64_t)values[i];
    return (int64_t)total;
}

#define LARGEST(name, type)                                  \
    static uint32_t name(const void *values, uint32_t count) \
    {                                                        \
        const type *from = values;                           \
        type most = 0;                                       \
        for (uint32_t i = 0; i < count; i++)                 \
            most = from[i] > most ? from[i] : most;          \
        return most;                                         \
    }
LARGEST(largest_u8, uint8_t)
LARGEST(largest_u16, uint16_t)
LARGEST(largest_u32, uint32_t)
#undef LARGEST

#define CODES(name, type)                                                                     \
    static void name(uint32_t *restrict target, const void *restrict values, uint32_t factor, \
                     uint32_t addend, uint32_t count)                                         \
    {                                                                                         \
        const type *from = values;                                                            \
        for (uint32_t i = 0; i < count; i++)                                                  \
            target[i] += from[i] * factor + addend;                                           \
    }
CODES(codes_u8, uint8_t)
CODES(codes_u16, uint16_t)
CODES(codes_u32, uint32_t)
#undef CODES

const kdi_kernel_set KDI_KERNEL_SET = {
    .widen_u8 = widen_u8,
    .widen_u16 = widen_u16,
    .widen_u32 = widen_u32,
    .widen_i16 = widen_i16,
    .widen_i32 = widen_i32,
    .add = add,
    .subtract = subtract,
    .multiply = multiply,
    .multiply_add = multiply_add,
    .bounds = bounds,
    .sum = sum,
    .largest_u8 = largest_u8,
    .largest_u16 = largest_u16,
    .largest_u32 = largest_u32,
    .codes_u8 = codes_u8,
    .codes_u16 = codes_u16,
    .codes_u32 = codes_u32,
};
