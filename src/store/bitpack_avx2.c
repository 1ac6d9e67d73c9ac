/*
 * The unpack kernels for AVX2 (this file alone is compiled with -mavx2).
 */
#define KDI_UNPACK_NAME kdi_unpack_avx2
#include "store/bitpack_kernel.h"
