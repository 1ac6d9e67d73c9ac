/*
 * Bit packing of 1,024 unsigned values in W bits each, transposed as in FastLanes
 * (Afroozeh and Boncz, VLDB 2023): exactly 128 * W bytes.
 *
 * The lane word of a width has T = 8, 16, 32 or 64 bits, the smallest that holds W.
 * There are S = 1024 / T lanes; value i is in lane i % S at position i / S. Each lane
 * is packed for itself, lowest bits first, into W words, and the words of all lanes
 * stand side by side:
 *
 *     word k of lane l   at byte (k * S + l) * T / 8
 *     value i            bits (i / S) * W ... of lane i % S
 *
 * So one shift and one mask with the same counts serve S neighbouring values: the loops
 * vectorise at any register width, the output comes in the order of the rows, and one value
 * costs one or two loads. A width of T itself is the plain array.
 *
 * Packed bytes are 8-byte aligned. Little-endian.
 */
#ifndef KD_STORE_BITPACK_H
#define KD_STORE_BITPACK_H

#include <stddef.h>
#include <stdint.h>

enum { KDI_PACK_ROWS = 1024, KDI_PACK_BYTES_PER_BIT = KDI_PACK_ROWS / 8 };

static inline unsigned kdi_pack_lane_bits(unsigned width)
{
    return width <= 8 ? 8 : width <= 16 ? 16 : width <= 32 ? 32 : 64;
}

static inline size_t kdi_pack_bytes(unsigned width)
{
    return (size_t)width * KDI_PACK_BYTES_PER_BIT;
}

/* Bits needed for `value`; 0 for 0. */
static inline unsigned kdi_bit_width(uint64_t value)
{
    return value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
}

/* Takes the low `width` (0 .. 64) bits of each value. */
void kdi_pack(const uint64_t values[KDI_PACK_ROWS], unsigned width, void *target);
/* Gives 1,024 values of kdi_pack_lane_bits(width) bits each. Width 0 gives zero bytes. */
void kdi_unpack(const void *source, unsigned width, void *target);

/* Asks for the bytes that kdi_pack_get of the same value reads first. */
static inline void kdi_pack_prefetch(const void *source, unsigned width, uint32_t index)
{
    unsigned lane_log = width <= 8 ? 3 : width <= 16 ? 4 : width <= 32 ? 5 : 6;
    uint32_t lanes = KDI_PACK_ROWS >> lane_log;
    uint32_t word = (index >> (10 - lane_log)) * width >> lane_log;
    size_t at = (size_t)word * lanes + (index & (lanes - 1));
    __builtin_prefetch((const uint8_t *)source + (at << (lane_log - 3)));
}

/* One value; index < 1,024. */
static inline uint64_t kdi_pack_get(const void *source, unsigned width, uint32_t index)
{
    if (width == 0)
        return 0;
    unsigned lane_log = width <= 8 ? 3 : width <= 16 ? 4 : width <= 32 ? 5 : 6;
    unsigned lane_bits = 1u << lane_log;
    uint32_t lanes = KDI_PACK_ROWS >> lane_log;
    uint32_t bit = (index >> (10 - lane_log)) * width;
    uint32_t shift = bit & (lane_bits - 1);
    size_t at = (size_t)(bit >> lane_log) * lanes + (index & (lanes - 1));
    uint64_t low, high = 0;
    int more = shift + width > lane_bits;
    switch (lane_bits) {
    case 8:
        low = ((const uint8_t *)source)[at];
        high = more ? ((const uint8_t *)source)[at + lanes] : 0;
        break;
    case 16:
        low = ((const uint16_t *)source)[at];
        high = more ? ((const uint16_t *)source)[at + lanes] : 0;
        break;
    case 32:
        low = ((const uint32_t *)source)[at];
        high = more ? ((const uint32_t *)source)[at + lanes] : 0;
        break;
    default:
        low = ((const uint64_t *)source)[at];
        high = more ? ((const uint64_t *)source)[at + lanes] : 0;
        break;
    }
    uint64_t value = low >> shift;
    if (more)
        value |= high << (lane_bits - shift);
    return width == 64 ? value : value & (((uint64_t)1 << width) - 1);
}

#endif
