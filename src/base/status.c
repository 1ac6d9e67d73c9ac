/*
 * Recording a failure.
 */
#include "base/status.h"

#include "base/ctx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

kd_status kd_fail_at(kd_ctx *ctx, kd_status status, const char *sqlstate, const char *file,
                     int line, const char *format, ...)
{
    /* A failure while cleaning up after a failure is not news: keep the first. */
    if (ctx->error.status != KD_OK)
        return status;

    int os_error = errno;
    kd_error_clear(ctx);
    ctx->error.status = status;
    ctx->error.file = file;
    ctx->error.line = line;
    ctx->error.os_error = status == KD_IO ? os_error : 0;
    memcpy(ctx->error.sqlstate, sqlstate, 5);

    va_list args;
    va_start(args, format);
    (void)vsnprintf(ctx->error.message, sizeof ctx->error.message, format, args);
    va_end(args);
    return status;
}

void kd_error_set_hint(kd_ctx *ctx, const char *format, ...)
{
    if (ctx->error.status == KD_OK || ctx->error.hint[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ctx->error.hint, sizeof ctx->error.hint, format, args);
    va_end(args);
}

void kd_error_set_detail(kd_ctx *ctx, const char *format, ...)
{
    if (ctx->error.status == KD_OK || ctx->error.detail[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ctx->error.detail, sizeof ctx->error.detail, format, args);
    va_end(args);
}

void kd_error_set_position(kd_ctx *ctx, int position)
{
    if (ctx->error.status != KD_OK && ctx->error.position < 0)
        ctx->error.position = position;
}

void kd_error_set_constraint(kd_ctx *ctx, const char *name)
{
    if (ctx->error.status != KD_OK && ctx->error.constraint[0] == '\0')
        (void)snprintf(ctx->error.constraint, sizeof ctx->error.constraint, "%s", name);
}

void kd_error_clear(kd_ctx *ctx)
{
    ctx->error.status = KD_OK;
    ctx->error.sqlstate[0] = '\0';
    ctx->error.sqlstate[5] = '\0';
    ctx->error.os_error = 0;
    ctx->error.position = -1;
    ctx->error.file = NULL;
    ctx->error.line = 0;
    ctx->error.message[0] = '\0';
    ctx->error.detail[0] = '\0';
    ctx->error.hint[0] = '\0';
    ctx->error.constraint[0] = '\0';
}

kd_status kd_check_cancelled(kd_ctx *ctx)
{
    if (ctx->cancelled != NULL && atomic_load_explicit(ctx->cancelled, memory_order_relaxed))
        return KD_FAIL(ctx, KD_CANCELLED, "57014", "canceling statement due to user request");
    return KD_OK;
}

void kd_progress_begin(kd_ctx *ctx, const char *phase, uint64_t rows_expected)
{
    kd_progress *progress = ctx->progress;
    if (progress == NULL)
        return;
    atomic_store(&progress->phase, phase);
    atomic_store(&progress->rows_done, 0);
    atomic_store(&progress->rows_expected, rows_expected);
}

kd_status kd_progress_add(kd_ctx *ctx, uint64_t rows)
{
    kd_progress *progress = ctx->progress;
    KD_TRY(kd_check_cancelled(ctx));
    if (progress == NULL)
        return KD_OK;
    if (rows > 0)
        (void)atomic_fetch_add_explicit(&progress->rows_done, rows, memory_order_relaxed);
    return progress->tell == NULL ? KD_OK : progress->tell(ctx, progress->object);
}
