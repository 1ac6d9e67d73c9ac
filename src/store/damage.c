/*
 * Telling what a check finds.
 */
#include "store/damage.h"

kd_status kd_damage_tell(kd_ctx *ctx, const kd_damage_watch *watch, kd_status status,
                         kd_damage *damage)
{
    if (!kd_is_damage(status))
        return status;
    kd_error error = ctx->error;
    kd_error_clear(ctx);
    damage->status = status;
    return watch->found(ctx, watch->object, damage, error.message);
}
