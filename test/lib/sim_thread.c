/*
 * The baton: real threads of which exactly one runs.
 *
 * The state here is touched only by the thread that holds the baton; the native mutex
 * and the condition per thread serve the moment of handing over, and give it the memory
 * ordering that sanitizers want to see.
 */
#include "sim_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void must(int code)
{
    if (code != 0)
        test_fail(__FILE__, __LINE__, "a pthread call failed with %d", code);
}

static _Noreturn void deadlock_report(const sim_world *sim)
{
    fprintf(stderr, "deadlock in the simulated world, seed %llu:\n", (unsigned long long)sim->seed);
    for (unsigned i = 0; i < sim->thread_count; i++) {
        const sim_thread *thread = sim->threads[i];
        fprintf(stderr, "    thread %u \"%s\": %s\n", thread->id, thread->name,
                thread->state == SIM_DONE       ? "done"
                : thread->state == SIM_RUNNABLE ? "runnable"
                                                : thread->waiting_what);
    }
    test_fail(__FILE__, __LINE__, "all threads wait");
}

static void thread_wake(sim_thread *thread)
{
    thread->state = SIM_RUNNABLE;
    thread->waiting_on = NULL;
    thread->deadline_ns = UINT64_MAX;
}

static unsigned runnable_collect(sim_world *sim, sim_thread **out_threads)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sim->thread_count; i++) {
        sim_thread *thread = sim->threads[i];
        bool is_due = thread->state == SIM_WAITING && thread->deadline_ns <= sim->clock_ns;
        if (thread->state == SIM_RUNNABLE || is_due)
            out_threads[count++] = thread;
    }
    return count;
}

static sim_thread *next_choose(sim_world *sim)
{
    sim_thread *candidates[SIM_THREAD_COUNT_MAX];
    unsigned count = runnable_collect(sim, candidates);
    if (count == 0) {
        uint64_t earliest_ns = UINT64_MAX;
        for (unsigned i = 0; i < sim->thread_count; i++)
            if (sim->threads[i]->state == SIM_WAITING && sim->threads[i]->deadline_ns < earliest_ns)
                earliest_ns = sim->threads[i]->deadline_ns;
        if (earliest_ns == UINT64_MAX)
            deadlock_report(sim);
        sim->clock_ns = earliest_ns;
        count = runnable_collect(sim, candidates);
    }
    sim_thread *next = candidates[test_random_below(&sim->schedule_random, count)];
    if (next->state == SIM_WAITING) {
        next->has_timed_out = true;
        thread_wake(next);
    }
    sim_trace_add(sim, next->id);
    return next;
}

/* Gives the baton to `next`; with `wait`, comes back when it is ours again. */
static void baton_pass(sim_world *sim, sim_thread *self, sim_thread *next, bool wait)
{
    if (next == self)
        return;
    must(pthread_mutex_lock(&sim->big));
    sim->running = next;
    must(pthread_cond_signal(&next->wake));
    while (wait && sim->running != self)
        must(pthread_cond_wait(&self->wake, &sim->big));
    must(pthread_mutex_unlock(&sim->big));
}

void sim_point(sim_world *sim, uint64_t event)
{
    sim_trace_add(sim, event);
    uint64_t bits = test_random_next(&sim->schedule_random);
    sim->clock_ns += 100 + bits % 1000;
    if (sim->thread_count > 1 && ((bits >> 32) & sim->switch_mask) == 0) {
        sim_thread *self = sim->running;
        baton_pass(sim, self, next_choose(sim), true);
    }
}

/* The running thread waits; the caller looks at has_timed_out afterwards. */
static void block(sim_world *sim, const char *what, const void *on, uint64_t deadline_ns)
{
    sim_thread *self = sim->running;
    self->state = SIM_WAITING;
    self->waiting_what = what;
    self->waiting_on = on;
    self->deadline_ns = deadline_ns;
    self->has_timed_out = false;
    baton_pass(sim, self, next_choose(sim), true);
}

static void wake_waiters(sim_world *sim, const void *on)
{
    for (unsigned i = 0; i < sim->thread_count; i++)
        if (sim->threads[i]->state == SIM_WAITING && sim->threads[i]->waiting_on == on)
            thread_wake(sim->threads[i]);
}

static uint64_t deadline_of(const sim_world *sim, uint64_t timeout_ns)
{
    return timeout_ns > UINT64_MAX - 1 - sim->clock_ns ? UINT64_MAX : sim->clock_ns + timeout_ns;
}

void sim_sleep(sim_world *sim, uint64_t duration_ns)
{
    sim_trace_add(sim, 90);
    block(sim, "sleeps", NULL, deadline_of(sim, duration_ns));
}

static void mutex_take(sim_world *sim, kd_mutex *mutex)
{
    while (mutex->sim_held)
        block(sim, "waits for a mutex", mutex, UINT64_MAX);
    mutex->sim_held = true;
}

static void sim_mutex_lock(kd_mutex *mutex)
{
    sim_world *sim = mutex->world->impl;
    sim_point(sim, 101);
    mutex_take(sim, mutex);
}

static bool sim_mutex_try_lock(kd_mutex *mutex)
{
    sim_point(mutex->world->impl, 102);
    if (mutex->sim_held)
        return false;
    mutex->sim_held = true;
    return true;
}

static void sim_mutex_unlock(kd_mutex *mutex)
{
    sim_world *sim = mutex->world->impl;
    CHECK(mutex->sim_held);
    mutex->sim_held = false;
    wake_waiters(sim, mutex);
    sim_point(sim, 103);
}

static bool sim_cond_wait(kd_cond *cond, kd_mutex *mutex, uint64_t timeout_ns)
{
    sim_world *sim = cond->world->impl;
    CHECK(mutex->sim_held);
    sim_trace_add(sim, 104);
    mutex->sim_held = false;
    wake_waiters(sim, mutex);
    bool is_spurious = test_random_below(&sim->schedule_random, 32) == 0;
    bool has_timed_out = false;
    if (is_spurious) {
        sim_point(sim, 105);
    } else {
        sim_thread *self = sim->running;
        block(sim, "waits for a condition", cond, deadline_of(sim, timeout_ns));
        has_timed_out = self->has_timed_out;
    }
    mutex_take(sim, mutex);
    return !has_timed_out;
}

static void sim_cond_signal(kd_cond *cond, bool everybody)
{
    sim_world *sim = cond->world->impl;
    sim_trace_add(sim, 106 + everybody);
    cond->sim_sequence++;
    sim_thread *waiting[SIM_THREAD_COUNT_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < sim->thread_count; i++)
        if (sim->threads[i]->state == SIM_WAITING && sim->threads[i]->waiting_on == cond)
            waiting[count++] = sim->threads[i];
    if (everybody)
        wake_waiters(sim, cond);
    else if (count > 0)
        thread_wake(waiting[test_random_below(&sim->schedule_random, count)]);
}

static void sim_rwlock_lock(kd_rwlock *lock, bool exclusive)
{
    sim_world *sim = lock->world->impl;
    sim_point(sim, 108 + exclusive);
    while (exclusive ? lock->sim_holders != 0 : lock->sim_holders < 0)
        block(sim, exclusive ? "waits for a lock" : "waits for a shared lock", lock, UINT64_MAX);
    lock->sim_holders = exclusive ? -1 : lock->sim_holders + 1;
}

static void sim_rwlock_unlock(kd_rwlock *lock, bool exclusive)
{
    sim_world *sim = lock->world->impl;
    CHECK(exclusive ? lock->sim_holders == -1 : lock->sim_holders > 0);
    lock->sim_holders = exclusive ? 0 : lock->sim_holders - 1;
    wake_waiters(sim, lock);
    sim_point(sim, 110);
}

static void sim_yield(kd_world *world)
{
    sim_world *sim = world->impl;
    sim_trace_add(sim, 111);
    sim->clock_ns += 100;
    baton_pass(sim, sim->running, next_choose(sim), true);
}

static void *thread_main(void *argument)
{
    sim_thread *self = argument;
    sim_world *sim = self->sim;
    must(pthread_mutex_lock(&sim->big));
    while (sim->running != self)
        must(pthread_cond_wait(&self->wake, &sim->big));
    must(pthread_mutex_unlock(&sim->big));

    self->run(self->object);

    self->state = SIM_DONE;
    wake_waiters(sim, self);
    baton_pass(sim, self, next_choose(sim), false);
    return NULL;
}

static sim_thread *thread_create(sim_world *sim, const char *name)
{
    CHECK(sim->thread_count < SIM_THREAD_COUNT_MAX);
    sim_thread *thread = calloc(1, sizeof *thread);
    CHECK(thread != NULL);
    thread->sim = sim;
    thread->id = sim->thread_count;
    thread->name = name;
    thread->deadline_ns = UINT64_MAX;
    must(pthread_cond_init(&thread->wake, NULL));
    sim->threads[sim->thread_count++] = thread;
    return thread;
}

static kd_status sim_thread_start(kd_ctx *ctx, const char *name, void (*run)(void *object),
                                  void *object, kd_thread **out_thread)
{
    sim_world *sim = ctx->world->impl;
    *out_thread = NULL;
    if (sim_allocation_due(sim))
        return KD_FAIL(ctx, KD_LIMIT, "53000", "could not start thread \"%s\": injected", name);
    sim_thread *thread = thread_create(sim, name);
    thread->run = run;
    thread->object = object;
    must(pthread_create(&thread->native, NULL, thread_main, thread));
    *out_thread = (kd_thread *)(void *)thread;
    sim_point(sim, 112);
    return KD_OK;
}

static void sim_thread_join(kd_world *world, kd_thread *joined)
{
    sim_world *sim = world->impl;
    sim_thread *thread = (sim_thread *)(void *)joined;
    sim_point(sim, 113);
    while (thread->state != SIM_DONE)
        block(sim, "waits for a thread to end", thread, UINT64_MAX);
    must(pthread_join(thread->native, NULL));
}

const kd_schedule sim_schedule = {
    .mutex_lock = sim_mutex_lock,
    .mutex_try_lock = sim_mutex_try_lock,
    .mutex_unlock = sim_mutex_unlock,
    .cond_wait = sim_cond_wait,
    .cond_signal = sim_cond_signal,
    .rwlock_lock = sim_rwlock_lock,
    .rwlock_unlock = sim_rwlock_unlock,
    .yield = sim_yield,
    .thread_start = sim_thread_start,
    .thread_join = sim_thread_join,
};

void sim_threads_begin(sim_world *sim)
{
    must(pthread_mutex_init(&sim->big, NULL));
    sim_thread *first = thread_create(sim, "main");
    sim->running = first;
    /* Some seeds switch at every point, some rarely: both find bugs that the other does not. */
    sim->switch_mask = ((uint64_t)1 << test_random_below(&sim->schedule_random, 6)) - 1;
}

void sim_threads_end(sim_world *sim)
{
    for (unsigned i = 0; i < sim->thread_count; i++) {
        if (i > 0 && sim->threads[i]->state != SIM_DONE)
            test_fail(__FILE__, __LINE__, "thread \"%s\" was not joined", sim->threads[i]->name);
        must(pthread_cond_destroy(&sim->threads[i]->wake));
        free(sim->threads[i]);
    }
    must(pthread_mutex_destroy(&sim->big));
}
