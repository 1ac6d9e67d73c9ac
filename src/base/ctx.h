/*
 * The call context: the first parameter of every function that can fail.
 *
 * It holds only what every layer needs. A module that wants something more
 * keeps it in a struct of its own that points at the context; fields are not
 * added here. A context belongs to one thread at a time: a worker thread has
 * its own, and the coordinator copies the first failure over.
 */
#ifndef KD_BASE_CTX_H
#define KD_BASE_CTX_H

#include "base/status.h"

#include <stdatomic.h>

typedef struct kd_world kd_world;

struct kd_ctx {
    kd_error error;
    kd_world *world;              /* Files, clock, threads, randomness: real or simulated. */
    const atomic_bool *cancelled; /* The statement's flag, set by another thread; may be NULL. */
};

/* Polled once per batch and before every wait. Fails with 57014 once the flag is set. */
kd_status kd_check_cancelled(kd_ctx *ctx) KD_MUST_CHECK;

#endif
