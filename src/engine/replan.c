/*
 * Going on with another plan: see replan.h.
 */
#include "engine/replan.h"

static kd_status surprised(kd_ctx *ctx, kd_replanner *replanner, kd_known_rows found,
                           double expected_rows, bool *out_stop)
{
    kdi_replan *self = (kdi_replan *)replanner;
    kd_run *run = self->run;
    kd_status status = KD_OK;
    kd_arena *arena = NULL;
    *out_stop = false;
    if (self->known_count == KDI_KNOWN_ROWS)
        return KD_OK;
    self->known[self->known_count++] = found;
    self->expected_rows = expected_rows;
    arena = kd_arena_create(ctx, run->arena, "plan", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kdi_run_plan_known(ctx, run, self->prepared, arena, self->known, self->known_count,
                                  &self->bound, &self->plan));
    if (!kd_plan_pays(self->plan, run->session->database->storage, run->plan, found, expected_rows))
        goto out;
    /* The transaction may have been told that it will only scan. */
    if (kdi_plan_scans_only(run->plan) && !kdi_plan_scans_only(self->plan))
        goto out;
    self->arena = arena;
    arena = NULL;
    *out_stop = true;
out:
    kd_arena_destroy(arena);
    return status;
}

kd_status kdi_replan_allow(kd_ctx *ctx, kd_run *run, kd_prepared *prepared)
{
    if (!prepared->is_repeatable || run->plan->view_uses > 0)
        return KD_OK;
    kdi_replan *self = KD_NEW(ctx, run->arena, kdi_replan);
    if (self == NULL)
        return KD_NOMEM;
    self->replanner.surprised = surprised;
    self->run = run;
    self->prepared = prepared;
    self->known_count = prepared->known_count;
    memcpy(self->known, prepared->known, sizeof self->known);
    run->replan = self;
    return KD_OK;
}

/* A plan for values knows rows of these values alone. */
static void keep_known(const kdi_replan *self)
{
    kd_prepared *prepared = self->prepared;
    prepared->replans++;
    if (prepared->parameter_count > 0)
        return;
    memcpy(prepared->known, self->known, sizeof prepared->known);
    prepared->known_count = self->known_count;
    prepared->settings_stamp = 0; /* Its plan is of before. */
}

static kd_status begin_again(kd_ctx *ctx, kd_run *run)
{
    kdi_replan *self = run->replan;
    kd_execution_destroy(run->execution);
    run->execution = NULL;
    kd_error_clear(ctx);
    kd_arena_destroy(run->own_arena);
    run->own_arena = self->arena;
    run->bound = self->bound;
    run->plan = self->plan;
    self->arena = NULL;
    self->times++;
    keep_known(self);
    return kdi_run_execute(ctx, run, run->plan, &run->execution);
}

kd_status kdi_replan_next(kd_ctx *ctx, kd_run *run, kd_batch *out_batch, bool *out_end)
{
    kd_status status = kd_execution_next(ctx, run->execution, out_batch, out_end);
    while (status == KD_CONFLICT && run->replan != NULL && run->replan->arena != NULL) {
        status = begin_again(ctx, run);
        if (status == KD_OK)
            status = kd_execution_next(ctx, run->execution, out_batch, out_end);
    }
    return status;
}
