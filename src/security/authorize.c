/*
 * The one role there is owns the database.
 */
#include "security/authorize.h"

#include <assert.h>

kd_status kd_authorize(kd_ctx *ctx, void *object, const kd_object *entry, char privilege)
{
    const kd_principal *principal = object;
    assert(entry != NULL);
    if (principal->user_name != NULL && principal->user_name[0] != '\0')
        return KD_OK;
    return KD_FAIL(ctx, KD_DENIED, "42501",
                   "permission denied for \"%.*s\" (privilege %c): nobody "
                   "is logged in",
                   (int)entry->name.size_bytes, entry->name.data, privilege);
}
