/*
 * The kernels for any processor, and the choice among the sets.
 */
#define KDI_KERNEL_SET kdi_kernels_baseline
#include "exec/kernel_template.h"

#include <stdatomic.h>
#include <stddef.h>

static const kdi_kernel_set *choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &kdi_kernels_avx512;
    if (__builtin_cpu_supports("avx2"))
        return &kdi_kernels_avx2;
#endif
    return &kdi_kernels_baseline;
}

/* Threads that come at the same time choose the same. */
const kdi_kernel_set *kdi_kernels(void)
{
    static _Atomic(const kdi_kernel_set *) chosen;
    const kdi_kernel_set *set = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (set == NULL) {
        set = choose();
        atomic_store_explicit(&chosen, set, memory_order_relaxed);
    }
    return set;
}
