/*
 * Template of the unpack kernels: included once per instruction set by a file that
 * defines KDI_UNPACK_NAME and is compiled for that set.
 *
 * Every loop over lanes has a constant count and no aliasing, so that the compiler turns it into
 * whole registers; the width is a constant after inlining, so shifts and masks are too.
 *
 * Lanes of 8 bits run in 64-bit words, eight lanes each: processors have no shift of bytes, but a
 * shift of the whole word and a mask that drops what came over from the neighbour is the same.
 */
#include "store/bitpack_internal.h"

#include <string.h>

#define KDI_INLINE static inline __attribute__((always_inline))

KDI_INLINE uint64_t repeat_byte(unsigned byte)
{
    return (uint64_t)(byte & 0xff) * 0x0101010101010101u;
}

KDI_INLINE void unpack_bytes(const uint64_t *restrict source, unsigned width,
                             uint64_t *restrict target)
{
    const uint64_t mask = repeat_byte((1u << width) - 1);
    for (unsigned position = 0; position < 8; position++) {
        unsigned bit = position * width, shift = bit % 8;
        const uint64_t *restrict words = source + (size_t)(bit / 8) * 16;
        uint64_t *restrict out = target + (size_t)position * 16;
        if (shift + width <= 8) {
            for (unsigned lane = 0; lane < 16; lane++)
                out[lane] = (words[lane] >> shift) & mask;
        } else {
            const uint64_t low = repeat_byte(0xffu >> shift);
            unsigned back = 8 - shift;
            const uint64_t high = mask & repeat_byte(0xffu << back);
            for (unsigned lane = 0; lane < 16; lane++)
                out[lane] = ((words[lane] >> shift) & low) | ((words[lane + 16] << back) & high);
        }
    }
}

#define KDI_UNPACK_LANES(bits)                                                            \
    KDI_INLINE void unpack_##bits(const uint##bits##_t *restrict source, unsigned width,  \
                                  uint##bits##_t *restrict target)                        \
    {                                                                                     \
        enum { LANES = KDI_PACK_ROWS / bits };                                            \
        const uint##bits##_t mask =                                                       \
            (uint##bits##_t)((uint##bits##_t) ~(uint##bits##_t)0 >> (bits - width));      \
        for (unsigned position = 0; position < bits; position++) {                        \
            unsigned bit = position * width, shift = bit % bits;                          \
            const uint##bits##_t *restrict words = source + (size_t)(bit / bits) * LANES; \
            uint##bits##_t *restrict out = target + (size_t)position * LANES;             \
            if (shift + width <= bits) {                                                  \
                for (unsigned lane = 0; lane < LANES; lane++)                             \
                    out[lane] = (uint##bits##_t)((words[lane] >> shift) & mask);          \
            } else {                                                                      \
                unsigned back = bits - shift;                                             \
                for (unsigned lane = 0; lane < LANES; lane++)                             \
                    out[lane] = (uint##bits##_t)(                                         \
                        ((words[lane] >> shift) | (words[lane + LANES] << back)) & mask); \
            }                                                                             \
        }                                                                                 \
    }
KDI_UNPACK_LANES(16)
KDI_UNPACK_LANES(32)
KDI_UNPACK_LANES(64)
#undef KDI_UNPACK_LANES

#define KDI_BYTES(width)                       \
    case width:                                \
        unpack_bytes(source, (width), target); \
        break;
#define KDI_LANES(bits, width)                  \
    case width:                                 \
        unpack_##bits(source, (width), target); \
        break;
#define KDI_LANES4(bits, width) \
    KDI_LANES(bits, width)      \
    KDI_LANES(bits, width + 1) KDI_LANES(bits, width + 2) KDI_LANES(bits, width + 3)
#define KDI_LANES16(bits, width) \
    KDI_LANES4(bits, width)      \
    KDI_LANES4(bits, width + 4) KDI_LANES4(bits, width + 8) KDI_LANES4(bits, width + 12)

void KDI_UNPACK_NAME(const void *source, unsigned width, void *target)
{
    switch (width) {
    case 0:
        memset(target, 0, KDI_PACK_ROWS);
        break;
    case 8:
    case 16:
    case 32:
    case 64:
        memcpy(target, source, kdi_pack_bytes(width));
        break;
        KDI_BYTES(1)
        KDI_BYTES(2)
        KDI_BYTES(3)
        KDI_BYTES(4)
        KDI_BYTES(5)
        KDI_BYTES(6)
        KDI_BYTES(7)
        KDI_LANES4(16, 9)
        KDI_LANES(16, 13)
        KDI_LANES(16, 14)
        KDI_LANES(16, 15)
        KDI_LANES4(32, 17)
        KDI_LANES4(32, 21)
        KDI_LANES4(32, 25)
        KDI_LANES(32, 29)
        KDI_LANES(32, 30)
        KDI_LANES(32, 31)
        KDI_LANES16(64, 33)
        KDI_LANES4(64, 49)
        KDI_LANES4(64, 53)
        KDI_LANES4(64, 57)
        KDI_LANES(64, 61)
        KDI_LANES(64, 62)
        KDI_LANES(64, 63)
    default:
        break;
    }
}
