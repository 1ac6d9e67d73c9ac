/*
 * Time-outs of statements and of idle sessions, inside the engine.
 *
 * One thread per database, started with the first statement that has a
 * statement_timeout or the first session that rests with a time-out, cancels statements past
 * their deadline. A statement learns of it as of any cancellation; kdi_watch_explain then says why.
 *
 * A session is idle while nobody is inside a call on it and none of its statements runs; with
 * idle_session_timeout or, in a transaction, idle_in_transaction_session_timeout it is so between
 * kdi_idle_begin and kdi_idle_end. In that time the watchdog may end it: its transaction is rolled
 * back, and all calls but closing fail with 57P05 or 25P03. Whoever calls holds back, with
 * kdi_idle_end, until the watchdog is done with it.
 */
#ifndef KD_ENGINE_WATCHDOG_H
#define KD_ENGINE_WATCHDOG_H

#include "engine/engine_internal.h"

/* `deadline_ns` is on the monotonic clock. One statement per session at a time. */
kd_status kdi_watch_begin(kd_ctx *ctx, kd_session *session, uint64_t deadline_ns) KD_MUST_CHECK;
void kdi_watch_end(kd_session *session); /* Without a begin: nothing happens. */
/* Rewrites the record of a statement that failed because its time was up. */
void kdi_watch_explain(kd_ctx *ctx, kd_session *session);
/* When a call on the session has returned. */
void kdi_idle_begin(kd_session *session);
/* Before anything of the session is touched. */
void kdi_idle_end(kd_session *session);
/* Fails where the session was ended. */
kd_status kdi_idle_check(kd_ctx *ctx, const kd_session *session) KD_MUST_CHECK;
/* The thread's end, at closing. No statement runs any more. */
void kdi_watch_stop(kd_database *database);

#endif
