/*
 * An elastic pool of threads.
 */
#include "server/crew.h"

enum { IDLE_NS = 10 * 1000 * 1000 };
#define IDLE_LONG_NS UINT64_C(10000000000)

typedef struct member member;
struct member {
    kdi_crew *crew;
    member *next; /* Among those that ended, or whose structs are free. */
    kd_thread *thread;
};

struct kdi_crew {
    kd_world *world;
    kd_arena *arena; /* Members; under the mutex. */
    kd_mutex mutex;
    kd_cond work_came;
    kd_cond thread_ended;
    kdi_crew_job *first, **last;
    uint32_t job_count; /* Waiting. */
    uint32_t thread_count, ready_max, thread_max;
    uint32_t idle_count;
    member *ended; /* To be joined. */
    member *spare;
    bool stops;
};

kd_status kdi_crew_create(kd_ctx *ctx, kd_arena *arena, uint32_t ready_max, uint32_t thread_max,
                          kdi_crew **out_crew)
{
    kdi_crew *crew = KD_NEW(ctx, arena, kdi_crew);
    *out_crew = NULL;
    if (crew == NULL)
        return KD_NOMEM;
    *crew = (kdi_crew){.world = ctx->world, .ready_max = ready_max, .thread_max = thread_max};
    crew->arena = kd_arena_create(ctx, arena, "crew", KD_ARENA_UNLIMITED);
    if (crew->arena == NULL)
        return KD_NOMEM;
    crew->last = &crew->first;
    kd_mutex_init(&crew->mutex, ctx->world);
    kd_cond_init(&crew->work_came, ctx->world);
    kd_cond_init(&crew->thread_ended, ctx->world);
    *out_crew = crew;
    return KD_OK;
}

/* The next job, or NULL: nothing came for long, or the crew stops. The mutex is held. */
static kdi_crew_job *take(kdi_crew *crew)
{
    while (crew->first == NULL && !crew->stops) {
        crew->idle_count++;
        bool came = kd_cond_wait(&crew->work_came, &crew->mutex, IDLE_LONG_NS);
        crew->idle_count--;
        if (!came && crew->first == NULL)
            return NULL;
    }
    kdi_crew_job *job = crew->first;
    if (job == NULL)
        return NULL;
    crew->first = job->next;
    if (crew->first == NULL)
        crew->last = &crew->first;
    crew->job_count--;
    return job;
}

static void work(void *object)
{
    member *self = object;
    kdi_crew *crew = self->crew;
    kd_mutex_lock(&crew->mutex);
    for (kdi_crew_job *job; (job = take(crew)) != NULL;) {
        kd_mutex_unlock(&crew->mutex);
        job->run(job);
        kd_mutex_lock(&crew->mutex);
    }
    crew->thread_count--;
    self->next = crew->ended;
    crew->ended = self;
    kd_cond_signal(&crew->thread_ended);
    kd_mutex_unlock(&crew->mutex);
}

/* The mutex is held; it is given up while threads are joined that have ended. */
static void join_ended(kdi_crew *crew)
{
    while (crew->ended != NULL) {
        member *it = crew->ended;
        crew->ended = it->next;
        kd_mutex_unlock(&crew->mutex);
        kd_thread_join(crew->world, it->thread);
        kd_mutex_lock(&crew->mutex);
        it->next = crew->spare;
        crew->spare = it;
    }
}

/* The mutex is held. A thread that cannot be started is done without. */
static void start_one(kdi_crew *crew)
{
    kd_ctx ctx = {.world = crew->world};
    kd_error_clear(&ctx);
    member *it = crew->spare;
    if (it != NULL)
        crew->spare = it->next;
    else
        it = KD_NEW(&ctx, crew->arena, member);
    if (it == NULL)
        return;
    it->crew = crew;
    crew->thread_count++;
    if (kd_thread_start(&ctx, "kade-session", work, it, &it->thread) == KD_OK)
        return;
    crew->thread_count--;
    it->next = crew->spare;
    crew->spare = it;
}

void kdi_crew_submit(kdi_crew *crew, kdi_crew_job *job)
{
    kd_mutex_lock(&crew->mutex);
    join_ended(crew);
    job->next = NULL;
    job->submitted_ns = crew->world->monotonic_ns(crew->world);
    *crew->last = job;
    crew->last = &job->next;
    crew->job_count++;
    if (crew->idle_count < crew->job_count && crew->thread_count < crew->ready_max &&
        crew->thread_count < crew->thread_max)
        start_one(crew);
    kd_cond_signal(&crew->work_came);
    kd_mutex_unlock(&crew->mutex);
}

bool kdi_crew_hurry(kdi_crew *crew)
{
    uint64_t now_ns = crew->world->monotonic_ns(crew->world);
    kd_mutex_lock(&crew->mutex);
    /* As many at once as an eighth of those who wait: the others may be served meanwhile. */
    uint32_t more = 1 + crew->job_count / 8;
    bool is_late = crew->first != NULL &&
                   now_ns - crew->first->submitted_ns >= KDI_CREW_PATIENCE_MS * UINT64_C(1000000);
    for (; is_late && more > 0 && crew->thread_count < crew->thread_max; more--)
        start_one(crew);
    bool some_wait = crew->first != NULL;
    kd_mutex_unlock(&crew->mutex);
    return some_wait;
}

bool kdi_crew_is_short(kdi_crew *crew)
{
    kd_mutex_lock(&crew->mutex);
    bool is_short = crew->job_count > crew->idle_count;
    kd_mutex_unlock(&crew->mutex);
    return is_short;
}

void kdi_crew_stop(kdi_crew *crew)
{
    if (crew == NULL)
        return;
    kd_mutex_lock(&crew->mutex);
    crew->stops = true;
    kd_cond_broadcast(&crew->work_came);
    while (crew->thread_count > 0 || crew->ended != NULL) {
        join_ended(crew);
        if (crew->thread_count > 0)
            (void)kd_cond_wait(&crew->thread_ended, &crew->mutex, IDLE_NS);
    }
    kd_mutex_unlock(&crew->mutex);
    kd_mutex_clear(&crew->mutex);
    kd_cond_clear(&crew->work_came);
    kd_cond_clear(&crew->thread_ended);
}
