/*
 * Superusers may do everything.
 */
#include "security/authorize.h"

#include "security/role.h"

#include <assert.h>

kd_status kd_authorize(kd_ctx *ctx, void *object, const kd_object *entry, char privilege)
{
    const kd_principal *principal = object;
    assert(entry != NULL);
    if (kd_role_is_superuser(principal->catalog, principal->role_no))
        return KD_OK;
    return KD_FAIL(ctx, KD_DENIED, "42501", "permission denied for \"%.*s\" (privilege %c)",
                   (int)entry->name.size_bytes, entry->name.data, privilege);
}
