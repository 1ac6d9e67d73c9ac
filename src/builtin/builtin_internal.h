/*
 * What the families of built-in functions share: their registration, short names
 * for types in tables, and reading arguments.
 */
#ifndef KD_BUILTIN_BUILTIN_INTERNAL_H
#define KD_BUILTIN_BUILTIN_INTERNAL_H

#include "builtin/builtin.h"
#include "types/numeric.h"

/* One per family; called in order by kd_builtin_register. */
typedef kd_status (*kdi_family)(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_comparison(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_arithmetic(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_casts(kd_ctx *ctx, kd_registry *registry);
kd_status kdi_register_aggregates(kd_ctx *ctx, kd_registry *registry);

/* A type in a static table. */
#define KDI_TYPE(NAME) {.id = KD_TYPE_##NAME, .modifier = -1}
#define KDI_ARRAY(NAME) {.id = KD_TYPE_##NAME, .is_array = 1, .modifier = -1}
#define KDI_ANY {.id = KD_PSEUDO_ANY, .modifier = -1}
#define KDI_ANYELEMENT {.id = KD_PSEUDO_ANYELEMENT, .modifier = -1}
#define KDI_ANYENUM {.id = KD_PSEUDO_ANYENUM, .modifier = -1}
#define KDI_ANYARRAY {.id = KD_PSEUDO_ANYARRAY, .modifier = -1}

#define KDI_COUNT(array) (sizeof(array) / sizeof *(array))

/* Argument `index` of a row function as a C type. */
#define KDI_ARG(type, args, index) (*(const type *)(args)[index])

/* A numeric, integer or floating argument as a decimal. */
static inline kd_status kdi_arg_decimal(kd_ctx *ctx, const kd_call_env *env,
                                        const void *const *args, uint32_t index, kd_decimal *out)
{
    return kd_decimal_from_payload(ctx, env->arena, env->argument_types[index], args[index], out);
}

/* Whether the row is NULL in one of two arguments: kernels must not fail on such rows. */
static inline bool kdi_row_is_null(const kd_vector *args, uint32_t count, uint32_t row)
{
    for (uint32_t i = 0; i < count; i++)
        if (kd_vector_is_null(&args[i], row))
            return true;
    return false;
}

#endif
