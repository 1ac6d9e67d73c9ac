/*
 * Packing, and the choice of the unpack kernels.
 */
#include "store/bitpack.h"

#include <stdatomic.h>
#include <string.h>

#define KDI_UNPACK_NAME kdi_unpack_baseline
#include "store/bitpack_kernel.h"

/* Packing runs once per value stored: the shift count is a variable here, which the lane loops
 * vectorise as well. */
#define KDI_PACK_LANES(bits)                                                                   \
    static void pack_##bits(const uint64_t *restrict values, unsigned width,                   \
                            uint##bits##_t *restrict target)                                   \
    {                                                                                          \
        enum { LANES = KDI_PACK_ROWS / bits };                                                 \
        const uint##bits##_t mask =                                                            \
            (uint##bits##_t)((uint##bits##_t) ~(uint##bits##_t)0 >> (bits - width));           \
        memset(target, 0, kdi_pack_bytes(width));                                              \
        for (unsigned position = 0; position < bits; position++) {                             \
            unsigned bit = position * width, shift = bit % bits;                               \
            const uint64_t *restrict in = values + (size_t)position * LANES;                   \
            uint##bits##_t *restrict words = target + (size_t)(bit / bits) * LANES;            \
            for (unsigned lane = 0; lane < LANES; lane++)                                      \
                words[lane] |= (uint##bits##_t)((uint##bits##_t)(in[lane] & mask) << shift);   \
            if (shift + width > bits)                                                          \
                for (unsigned lane = 0; lane < LANES; lane++)                                  \
                    words[lane + LANES] =                                                      \
                        (uint##bits##_t)((uint##bits##_t)(in[lane] & mask) >> (bits - shift)); \
        }                                                                                      \
    }
KDI_PACK_LANES(8)
KDI_PACK_LANES(16)
KDI_PACK_LANES(32)
KDI_PACK_LANES(64)
#undef KDI_PACK_LANES

void kdi_pack(const uint64_t values[KDI_PACK_ROWS], unsigned width, void *target)
{
    if (width == 0)
        return;
    switch (kdi_pack_lane_bits(width)) {
    case 8:
        pack_8(values, width, target);
        break;
    case 16:
        pack_16(values, width, target);
        break;
    case 32:
        pack_32(values, width, target);
        break;
    default:
        pack_64(values, width, target);
        break;
    }
}

static kdi_unpack_fn *choose_unpack(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return kdi_unpack_avx2;
#endif
    return kdi_unpack_baseline;
}

void kdi_unpack(const void *source, unsigned width, void *target)
{
    /* Every thread that comes here first stores the same pointer. */
    static _Atomic(kdi_unpack_fn *) chosen;
    kdi_unpack_fn *unpack = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (unpack == NULL) {
        unpack = choose_unpack();
        atomic_store_explicit(&chosen, unpack, memory_order_relaxed);
    }
    unpack(source, width, target);
}
