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

/* How far a statement is. Other threads may read the numbers. */
typedef struct kd_progress {
    _Atomic(const char *) phase;                    /* Words of the program text. */
    atomic_uint_least64_t rows_done, rows_expected; /* Expected: 0 while unknown. */
    /* Tells whoever wants to know; fails with 57014 when they want it to stop. NULL: nobody. */
    kd_status (*tell)(kd_ctx *ctx, void *object);
    void *object;
} kd_progress;

struct kd_ctx {
    kd_error error;
    kd_world *world;              /* Files, clock, threads, randomness: real or simulated. */
    const atomic_bool *cancelled; /* The statement's flag, set by another thread; may be NULL. */
    kd_progress *progress; /* The statement's, in the context of its own thread; else NULL. */
};

/* Polled once per batch and before every wait. Fails with 57014 once the flag is set. */
kd_status kd_check_cancelled(kd_ctx *ctx) KD_MUST_CHECK;

/* The statement begins on something that counts rows of its own. */
void kd_progress_begin(kd_ctx *ctx, const char *phase, uint64_t rows_expected);
/* Polled by long work like kd_check_cancelled, which it calls: `rows` more are done. May call out
 * of the database: no lock that others wait for shortly may be held. */
kd_status kd_progress_add(kd_ctx *ctx, uint64_t rows) KD_MUST_CHECK;

#endif
