/*
 * The crew: threads for work that may block, as many as there is work at the same time, up to a
 * limit.
 *
 * Jobs are done in the order of coming. A thread that found nothing to do for some seconds ends.
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
} kdi_crew_job;

kd_status kdi_crew_create(kd_ctx *ctx, kd_arena *arena, uint32_t thread_max,
                          kdi_crew **out_crew) KD_MUST_CHECK;
/* Any thread. The job waits where there are thread_max threads, or no more can be started. */
void kdi_crew_submit(kdi_crew *crew, kdi_crew_job *job);
/* Whether a job waits that no thread is free for. */
bool kdi_crew_is_short(kdi_crew *crew);
/* Waits for the jobs that were submitted. NULL is allowed. */
void kdi_crew_stop(kdi_crew *crew);

#endif
