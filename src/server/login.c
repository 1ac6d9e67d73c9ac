/*
 * Roles as far as logging in needs them.
 */
#include "server/login.h"

#include "security/role.h"
#include "types/datetime.h"

kd_status kdi_login_find(kd_ctx *ctx, kd_arena *arena, kd_database *database, kd_slice name,
                         kdi_login *out_login)
{
    kd_role role;
    kd_world *world = ctx->world;
    kd_catalog_version *version = kd_catalog_pin_newest(kd_database_catalog(database));
    kd_status status = KD_OK;
    *out_login = (kdi_login){.exists = kd_role_find(version, name, &role)};
    if (out_login->exists) {
        /* A password that has expired lets nobody in; other ways to log in are not its matter. */
        bool is_valid = role.valid_until == INT64_MAX ||
                        world->wall_us(world) + KD_UNIX_EPOCH_US < role.valid_until;
        out_login->may_log_in = role.can_login;
        out_login->is_superuser = role.is_superuser;
        char *copy = kd_copy_text(ctx, arena, role.password.data, role.password.size_bytes);
        if (copy == NULL)
            status = KD_NOMEM;
        else if (is_valid)
            out_login->verifier = (kd_slice){copy, role.password.size_bytes};
    }
    kd_catalog_unpin(version);
    return status;
}
