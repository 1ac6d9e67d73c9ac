/*
 * Advisory locks: locks on numbers, whose meaning is the application's (pg_advisory_lock and its
 * kin).
 *
 * A number of 64 bits and a pair of 32 bits are different keys. A lock is held by a session until
 * it is unlocked as often as it was taken, or the session ends; one of a transaction until that
 * ends. Shared holders stand beside each other; a session is never in its own way.
 *
 * Sessions that wait for each other here are found (40P01); a circle that goes through row or table
 * locks as well is not, and ends with lock_timeout or statement_timeout.
 */
#ifndef KD_ENGINE_ADVISORY_LOCK_H
#define KD_ENGINE_ADVISORY_LOCK_H

#include "engine/engine_internal.h"

kd_status kdi_advisory_open(kd_ctx *ctx, kd_database *database) KD_MUST_CHECK;
void kdi_advisory_close(kd_database *database);
kd_status kdi_register_advisory_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
/* The session's transaction has ended. */
void kdi_advisory_transaction_ended(kd_session *session);
/* Everything that the session holds. */
void kdi_advisory_forget(kd_session *session);

#endif
