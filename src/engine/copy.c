/*
 * COPY.
 */
#include "engine/engine_internal.h"

kd_status kdi_copy(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast)
{
    (void)run;
    (void)ast;
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "COPY is not there yet");
}
