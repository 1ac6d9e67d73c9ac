/*
 * Roles as far as logging in needs them.
 */
#include "server/login.h"

kd_status kdi_login_find(kd_ctx *ctx, kd_arena *arena, kd_database *database, kd_slice name,
                         kdi_login *out_login)
{
    (void)ctx;
    (void)arena;
    (void)database;
    *out_login = (kdi_login){.exists = kd_slice_equal(name, KD_SLICE("kade")), .may_log_in = true};
    return KD_OK;
}
