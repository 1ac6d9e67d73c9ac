/*
 * The kernels for AVX-512 F, BW, DQ and VL (this file alone is compiled for them).
 */
#define KDI_KERNEL_SET kdi_kernels_avx512
#include "exec/kernel_template.h"
