/*
 * The unpack kernels of each instruction set. bitpack.c chooses one at run time.
 */
#ifndef KD_STORE_BITPACK_INTERNAL_H
#define KD_STORE_BITPACK_INTERNAL_H

#include "store/bitpack.h"

typedef void kdi_unpack_fn(const void *source, unsigned width, void *target);

kdi_unpack_fn kdi_unpack_baseline;
#if defined(__x86_64__)
kdi_unpack_fn kdi_unpack_avx2;
#endif

#endif
