/*
 * Registers every family of built-in functions.
 */
#include "builtin/builtin.h"

#include "builtin/builtin_internal.h"

static const kdi_family families[] = {
    kdi_register_comparison,
    kdi_register_arithmetic,
    kdi_register_casts,
    kdi_register_aggregates,
};

kd_status kd_builtin_register(kd_ctx *ctx, kd_registry *registry)
{
    for (size_t i = 0; i < KDI_COUNT(families); i++)
        KD_TRY(families[i](ctx, registry));
    return KD_OK;
}
