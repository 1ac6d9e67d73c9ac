/*
 * The kernels for AVX2 (this file alone is compiled with -mavx2).
 */
#define KDI_KERNEL_SET kdi_kernels_avx2
#include "exec/kernel_template.h"
