/*
 * The crew: threads for work that may block, as many as there is work at the same time, up to a
 * limit.
 *
 * Jobs are done in the order of coming. Most take microseconds, so that a crowd of them needs few
 * threads; some wait for locks or for clients. So up to `ready_max` threads are started as jobs
 * come, and more only for jobs that have waited for a while: kdi_crew_hurry looks for those. A
 * thread that found nothing to do for some seconds ends.
 */
#ifndef KD_SERVER_CREW_H
#define KD_SERVER_CREW_H

#include "base/arena.h"
#include "base/thread.h"

typedef struct kdi_crew kdi_crew;

/* Part of whatever is worked on; one call of kdi_crew_submit at a time. */
typedef struct kdi_crew_job {
    struct kdi_crew_job *next;
    void (*run)(struct kdi_crew_job *job);
    uint64_t submitted_ns;
} kdi_crew_job;

enum { KDI_CREW_PATIENCE_MS = 2 };

kd_status kdi_crew_create(kd_ctx *ctx, kd_arena *arena, uint32_t ready_max, uint32_t thread_max,
                          kdi_crew **out_crew) KD_MUST_CHECK;
/* Any thread. The job waits where there are thread_max threads, or no more can be started. */
void kdi_crew_submit(kdi_crew *crew, kdi_crew_job *job);
/* Starts threads for jobs that have waited for KDI_CREW_PATIENCE_MS. Whether some still wait: then
 * it is to be called again after as long. */
bool kdi_crew_hurry(kdi_crew *crew);
/* Whether a job waits that no thread is free for. */
bool kdi_crew_is_short(kdi_crew *crew);
/* Waits for the jobs that were submitted. NULL is allowed. */
void kdi_crew_stop(kdi_crew *crew);

#endif
