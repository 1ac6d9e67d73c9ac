/*
 * LISTEN, NOTIFY, UNLISTEN, as in PostgreSQL.
 *
 * What a transaction says and asks for takes effect when it has committed, in the order of the
 * commits' ends; equal notifications of one transaction are one. A listener is given its own as
 * well. Each session has a queue, which its owner empties between transactions; it is told of the
 * first by its hook `wake`.
 */
#ifndef KD_ENGINE_NOTIFY_H
#define KD_ENGINE_NOTIFY_H

#include "engine/engine_internal.h"

kd_status kdi_notify_open(kd_ctx *ctx, kd_database *database) KD_MUST_CHECK;
void kdi_notify_close(kd_database *database);

kd_status kdi_notify_command(kd_ctx *ctx, kd_run *run, const kd_ast_notify *ast) KD_MUST_CHECK;
/* pg_notify(), pg_cancel_backend(), pg_terminate_backend(). */
kd_status kdi_register_notify_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
/* The session's transaction has committed; what it asked for is done. Without memory for a
 * listener's copy that listener misses it. */
void kdi_notify_committed(kd_session *session);
/* It was rolled back. */
void kdi_notify_drop(kd_session *session);
/* The session ends, or says UNLISTEN * by DISCARD ALL. */
void kdi_notify_forget(kd_session *session);

#endif
