/*
 * The statement log: which statements sessions ran, how long they took, how they failed.
 *
 * One line a statement, written when it has ended:
 *
 *     2026-11-30 22:07:09.123456 UTC [3] kade@sales app: duration: 0.412 ms  sqlstate: 00000
 *         statement: DELETE FROM orders WHERE id = 5
 *
 * (in one line), [3] being the session's number. Values of parameters are not written, and what
 * stands behind PASSWORD is not. A line goes into a buffer that a thread of the log's own writes
 * out: no statement waits for the file, and none fails because of it. Where the buffer is full
 * lines are left out, and a line says how many.
 *
 * A file that has grown to its size is renamed to <name>.1, the one of that name to <name>.2, and
 * so on; the eighth goes.
 */
#ifndef KD_ENGINE_STATEMENT_LOG_H
#define KD_ENGINE_STATEMENT_LOG_H

#include "engine/engine_internal.h"

/* `ctx->world` has the files and the thread. */
kd_status kdi_statement_log_create(kd_ctx *ctx, kd_database *database,
                                   kdi_statement_log **out_log) KD_MUST_CHECK;
/* Writes what is there. NULL is allowed. No session is left. */
void kdi_statement_log_destroy(kdi_statement_log *log);
/* Where lines go from now on; the texts live as long as the log. */
void kdi_statement_log_place(kdi_statement_log *log, kd_slice directory, kd_slice file_name,
                             uint64_t rotation_bytes);

/* Whether any of the session's settings asks for lines. */
static inline bool kdi_log_is_wanted(const kd_session *session)
{
    const kd_settings *settings = &session->settings;
    return (settings->log_statement | settings->log_duration) != 0 ||
           settings->log_min_duration_ms >= 0 || settings->log_min_error <= KD_LOG_ERRORS_UP_TO;
}

/* A statement that has ended, or failed to begin. */
typedef struct kdi_logged {
    kd_slice text;
    kd_log_statement class; /* The least setting that logs it; NONE: not known, it did not parse. */
    uint64_t started_ns;    /* 0: it did not start. */
    const kd_error *error;  /* NULL: it did not fail. */
} kdi_logged;

/* Writes a line if the session's settings say so. */
void kdi_statement_log_add(kd_session *session, const kdi_logged *logged);
/* A statement's text as the log has it: without what stands behind PASSWORD. In `arena` or the text
 * itself. */
kd_status kdi_hide_secrets(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                           kd_slice *out_text) KD_MUST_CHECK;
/* What a statement does, for log_statement. */
kd_log_statement kdi_statement_log_class(const kd_prepared *prepared);

#endif
