/*
 * The pool of morsel workers, and pipelines run by several threads.
 *
 * A parallel pipeline has one runner per thread, all made by the caller before anything starts,
 * since arenas and locals belong to one thread at a time. The caller runs the first; the others
 * are jobs of the pool. A job that no worker has taken when the caller is through is run by the
 * caller, so a busy pool costs time but never a wait for somebody else's statement.
 */
#include "exec/worker_internal.h"

#include "base/thread.h"

#include <assert.h>

enum { WORKERS_MAX = 256 };

typedef struct job job;
struct job {
    job *next;
    void (*run)(void *object);
    void *object;
    bool is_taken;
};

struct kd_workers {
    kd_world *world;
    kd_arena *arena;
    kd_mutex lock;
    kd_cond wake;
    job *first;
    job **end;
    bool stopping;
    unsigned thread_count;
    kd_thread **threads;
};

static void worker_main(void *object)
{
    kd_workers *workers = object;
    kd_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->first == NULL && !workers->stopping)
            (void)kd_cond_wait(&workers->wake, &workers->lock, UINT64_MAX);
        if (workers->first == NULL)
            break;
        job *taken = workers->first;
        workers->first = taken->next;
        if (workers->first == NULL)
            workers->end = &workers->first;
        taken->is_taken = true;
        kd_mutex_unlock(&workers->lock);
        taken->run(taken->object);
        kd_mutex_lock(&workers->lock);
    }
    kd_mutex_unlock(&workers->lock);
}

kd_status kd_workers_create(kd_ctx *ctx, unsigned thread_count, kd_workers **out_workers)
{
    *out_workers = NULL;
    if (thread_count > WORKERS_MAX)
        thread_count = WORKERS_MAX;
    kd_arena *arena = kd_arena_create(ctx, NULL, "workers", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_workers *workers = KD_NEW(ctx, arena, kd_workers);
    kd_thread **threads = KD_NEW_ARRAY(ctx, arena, kd_thread *, thread_count);
    if (workers == NULL || threads == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    workers->world = ctx->world;
    workers->arena = arena;
    workers->threads = threads;
    workers->end = &workers->first;
    kd_mutex_init(&workers->lock, ctx->world);
    kd_cond_init(&workers->wake, ctx->world);
    for (unsigned i = 0; i < thread_count; i++) {
        kd_status status = kd_thread_start(ctx, "kd-morsel", worker_main, workers, &threads[i]);
        if (status != KD_OK) {
            kd_workers_destroy(workers);
            return status;
        }
        workers->thread_count++;
    }
    *out_workers = workers;
    return KD_OK;
}

void kd_workers_destroy(kd_workers *workers)
{
    if (workers == NULL)
        return;
    kd_mutex_lock(&workers->lock);
    workers->stopping = true;
    kd_cond_broadcast(&workers->wake);
    kd_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++)
        kd_thread_join(workers->world, workers->threads[i]);
    kd_cond_clear(&workers->wake);
    kd_mutex_clear(&workers->lock);
    kd_arena_destroy(workers->arena);
}

static void job_submit(kd_workers *workers, job *entry)
{
    kd_mutex_lock(&workers->lock);
    entry->next = NULL;
    *workers->end = entry;
    workers->end = &entry->next;
    kd_cond_signal(&workers->wake);
    kd_mutex_unlock(&workers->lock);
}

/* Takes the job back when nobody has begun it. */
static bool job_revoke(kd_workers *workers, job *entry)
{
    kd_mutex_lock(&workers->lock);
    bool revoked = !entry->is_taken;
    if (revoked) {
        job **link = &workers->first;
        while (*link != entry)
            link = &(*link)->next;
        *link = entry->next;
        if (*link == NULL)
            workers->end = link;
        entry->is_taken = true;
    }
    kd_mutex_unlock(&workers->lock);
    return revoked;
}

/* ---- One pipeline, several threads ---- */

typedef struct crew crew;

typedef struct member {
    crew *crew;
    job job;
    kd_ctx ctx;
    kd_arena *arena;
    kdi_runner *runner;
    void *sink_local;
    kd_status status;
} member;

struct crew {
    kdi_pipeline *pipeline;
    kd_mutex lock; /* Combining, and the count of those at work. */
    kd_cond done;
    unsigned working;
    atomic_bool stop;             /* A failure somewhere, or the statement was cancelled. */
    const atomic_bool *cancelled; /* The statement's own flag. */
};

static kd_status member_combine(member *self)
{
    crew *team = self->crew;
    kdi_op *sink = team->pipeline->sink;
    if (sink->class->combine == NULL)
        return KD_OK;
    kd_mutex_lock(&team->lock);
    kd_status status = sink->class->combine(&self->ctx, sink, self->sink_local);
    kd_mutex_unlock(&team->lock);
    return status;
}

static void member_work(member *self)
{
    crew *team = self->crew;
    kdi_op *sink = team->pipeline->sink;
    self->status = kdi_sink_feed(&self->ctx, team->pipeline, self->runner, self->sink_local);
    if (self->status == KD_OK && sink->class->settle != NULL)
        self->status = sink->class->settle(&self->ctx, sink, self->sink_local);
    if (self->status == KD_OK)
        self->status = member_combine(self);
    if (self->status != KD_OK)
        atomic_store(&team->stop, true);
}

static void member_job(void *object)
{
    member *self = object;
    crew *team = self->crew;
    member_work(self);
    kd_mutex_lock(&team->lock);
    team->working--;
    kd_cond_signal(&team->done);
    kd_mutex_unlock(&team->lock);
}

static kd_status member_prepare(kd_ctx *ctx, crew *team, kd_arena *parent, member *self)
{
    kdi_pipeline *pipeline = team->pipeline;
    self->crew = team;
    self->ctx = (kd_ctx){.world = ctx->world, .cancelled = &team->stop};
    self->arena = kd_arena_create(ctx, parent, "pipeline thread", KD_ARENA_UNLIMITED);
    if (self->arena == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_runner_create(ctx, self->arena, pipeline, &self->runner));
    if (pipeline->sink->class->sink_create != NULL)
        KD_TRY(pipeline->sink->class->sink_create(ctx, pipeline->sink, self->arena,
                                                  &self->sink_local));
    return KD_OK;
}

static void member_clear(member *self)
{
    kdi_op *sink = self->crew == NULL ? NULL : self->crew->pipeline->sink;
    if (self->sink_local != NULL && sink->class->sink_destroy != NULL)
        sink->class->sink_destroy(sink, self->sink_local);
    kdi_runner_destroy(self->runner);
    kd_arena_destroy(self->arena);
}

/* The failure that began it; members that were only told to stop do not count. */
static kd_status crew_status(kd_ctx *ctx, member *members, unsigned count)
{
    if (ctx->cancelled != NULL && atomic_load(ctx->cancelled))
        return kd_check_cancelled(ctx);
    kd_status status = KD_OK;
    for (unsigned i = 0; i < count; i++) {
        if (members[i].status == KD_OK || (status != KD_OK && members[i].status == KD_CANCELLED))
            continue;
        if (status != KD_OK && status != KD_CANCELLED)
            continue;
        status = members[i].status;
        if (ctx->error.status == KD_OK || ctx->error.status == KD_CANCELLED)
            ctx->error = members[i].ctx.error;
    }
    return status;
}

/* The caller's own part, then the jobs nobody took, then the wait for the others. */
static void crew_lead(kd_ctx *ctx, kd_workers *workers, crew *team, member *members, unsigned count)
{
    team->working = count - 1; /* Before anybody can be done. */
    for (unsigned i = 1; i < count; i++) {
        members[i].job = (job){.run = member_job, .object = &members[i]};
        job_submit(workers, &members[i].job);
    }
    member_work(&members[0]);
    for (unsigned i = 1; i < count; i++)
        if (job_revoke(workers, &members[i].job))
            member_job(&members[i]);
    kd_mutex_lock(&team->lock);
    while (team->working > 0) {
        if (ctx->cancelled != NULL && atomic_load(ctx->cancelled))
            atomic_store(&team->stop, true);
        (void)kd_cond_wait(&team->done, &team->lock, 20 * 1000 * 1000);
    }
    kd_mutex_unlock(&team->lock);
}

static kd_status drain_parallel(kd_ctx *ctx, kdi_pipeline *pipeline, unsigned count)
{
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, pipeline->exec->arena, "pipeline", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    crew *team = KD_NEW(ctx, arena, crew);
    member *members = KD_NEW_ARRAY(ctx, arena, member, count);
    if (team == NULL || members == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    team->pipeline = pipeline;
    kd_mutex_init(&team->lock, ctx->world);
    kd_cond_init(&team->done, ctx->world);
    for (unsigned i = 0; i < count; i++)
        KD_TRY_OUT(member_prepare(ctx, team, arena, &members[i]));
    /* The caller polls its statement's flag itself; the others see the crew's. */
    members[0].ctx.cancelled = ctx->cancelled;
    members[0].ctx.progress = ctx->progress;
    crew_lead(ctx, pipeline->exec->options->workers, team, members, count);
    status = crew_status(ctx, members, count);
out:
    for (unsigned i = 0; i < count; i++)
        member_clear(&members[i]);
    kd_cond_clear(&team->done);
    kd_mutex_clear(&team->lock);
    kd_arena_destroy(arena);
    return status;
}

static kd_status drain_serial(kd_ctx *ctx, kdi_pipeline *pipeline)
{
    kd_status status = KD_OK;
    kdi_op *sink = pipeline->sink;
    kdi_runner *runner = NULL;
    void *local = NULL;
    kd_arena *arena = kd_arena_create(ctx, pipeline->exec->arena, "pipeline", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(kdi_runner_create(ctx, arena, pipeline, &runner));
    if (sink->class->sink_create != NULL)
        KD_TRY_OUT(sink->class->sink_create(ctx, sink, arena, &local));
    KD_TRY_OUT(kdi_sink_feed(ctx, pipeline, runner, local));
    if (sink->class->settle != NULL)
        KD_TRY_OUT(sink->class->settle(ctx, sink, local));
    if (sink->class->combine != NULL)
        KD_TRY_OUT(sink->class->combine(ctx, sink, local));
out:
    if (local != NULL && sink->class->sink_destroy != NULL)
        sink->class->sink_destroy(sink, local);
    kdi_runner_destroy(runner);
    kd_arena_destroy(arena);
    return status;
}

unsigned kdi_pipeline_threads(const kdi_pipeline *pipeline)
{
    const kd_execution *exec = pipeline->exec;
    kd_workers *workers = exec->options->workers;
    if (workers == NULL || exec->is_sub || pipeline->is_serial || pipeline->source->is_serial)
        return 1;
    double rows = pipeline->source->class->rows == NULL
                      ? pipeline->source->plan->row_estimate
                      : pipeline->source->class->rows(pipeline->source);
    if (rows < KDI_PARALLEL_ROWS_MIN)
        return 1;
    unsigned most = workers->thread_count + 1;
    if (exec->options->thread_max != 0 && exec->options->thread_max < most)
        most = exec->options->thread_max;
    double useful = rows / KDI_PARALLEL_ROWS_MIN;
    return useful < most ? (unsigned)useful + 1 > most ? most : (unsigned)useful + 1 : most;
}

kd_status kdi_pipeline_drain(kd_ctx *ctx, kdi_pipeline *pipeline)
{
    unsigned count = kdi_pipeline_threads(pipeline);
    return count > 1 ? drain_parallel(ctx, pipeline, count) : drain_serial(ctx, pipeline);
}
