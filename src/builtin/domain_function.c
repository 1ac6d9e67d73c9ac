/*
 * What a cast to a domain says when the value is not allowed. For the binder: it stands in
 * the branch of a CASE that is taken when a check fails.
 */
#include "builtin/signature_internal.h"

/* (value, domain, constraint): the constraint is empty for NOT NULL. */
KDI_ROW(domain_error)
{
    kd_slice domain = kdi_arg_text(args, 1), constraint = kdi_arg_text(args, 2);
    if (constraint.size_bytes == 0)
        return KD_FAIL(ctx, KD_INVALID, "23502", "domain %.*s does not allow null values",
                       (int)domain.size_bytes, domain.data);
    (void)result;
    return KD_FAIL(
        ctx, KD_INVALID, "23514", "value for domain %.*s violates check constraint \"%.*s\"",
        (int)domain.size_bytes, domain.data, (int)constraint.size_bytes, constraint.data);
}

static const kd_function functions[] = {
    STABLE_LENIENT("kade_domain_error", domain_error, ELEMENT, ELEMENT, TEXT, TEXT),
    STABLE_LENIENT("kade_domain_error", domain_error, ELEMENTS, ELEMENTS, TEXT, TEXT),
};

kd_status kdi_register_domain(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
