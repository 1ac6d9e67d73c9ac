/*
 * Time-outs of statements, inside the engine.
 *
 * One thread per database, started with the first statement that has a
 * statement_timeout, cancels statements past their deadline. A statement learns of
 * it as of any cancellation; kdi_watch_explain then says why.
 */
#ifndef KD_ENGINE_WATCHDOG_H
#define KD_ENGINE_WATCHDOG_H

#include "engine/engine_internal.h"

/* `deadline_ns` is on the monotonic clock. One statement per session at a time. */
kd_status kdi_watch_begin(kd_ctx *ctx, kd_session *session, uint64_t deadline_ns) KD_MUST_CHECK;
void kdi_watch_end(kd_session *session); /* Without a begin: nothing happens. */
/* Rewrites the record of a statement that failed because its time was up. */
void kdi_watch_explain(kd_ctx *ctx, kd_session *session);
/* The thread's end, at closing. No statement runs any more. */
void kdi_watch_stop(kd_database *database);

#endif
