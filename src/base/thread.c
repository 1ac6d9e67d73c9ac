/*
 * Threads on pthreads, or handed to the world's schedule. Failures of pthread calls
 * on well-formed objects are bugs, hence the asserts.
 */
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

struct kd_thread {
    pthread_t native;
    void (*run)(void *object);
    void *object;
    const char *name;
};

#define kdi_must(call)      \
    do {                    \
        int must_ = (call); \
        assert(must_ == 0); \
        (void)must_;        \
    } while (0)

void kd_mutex_init(kd_mutex *mutex, kd_world *world)
{
    mutex->world = world;
    mutex->sim_held = false;
    kdi_must(pthread_mutex_init(&mutex->native, NULL));
}

void kd_mutex_clear(kd_mutex *mutex)
{
    kdi_must(pthread_mutex_destroy(&mutex->native));
}

void kd_mutex_lock(kd_mutex *mutex)
{
    if (mutex->world->schedule != NULL)
        mutex->world->schedule->mutex_lock(mutex);
    else
        kdi_must(pthread_mutex_lock(&mutex->native));
}

bool kd_mutex_try_lock(kd_mutex *mutex)
{
    if (mutex->world->schedule != NULL)
        return mutex->world->schedule->mutex_try_lock(mutex);
    return pthread_mutex_trylock(&mutex->native) == 0;
}

void kd_mutex_unlock(kd_mutex *mutex)
{
    if (mutex->world->schedule != NULL)
        mutex->world->schedule->mutex_unlock(mutex);
    else
        kdi_must(pthread_mutex_unlock(&mutex->native));
}

void kd_cond_init(kd_cond *cond, kd_world *world)
{
    cond->world = world;
    cond->sim_sequence = 0;
    pthread_condattr_t attributes;
    kdi_must(pthread_condattr_init(&attributes));
    kdi_must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    kdi_must(pthread_cond_init(&cond->native, &attributes));
    kdi_must(pthread_condattr_destroy(&attributes));
}

void kd_cond_clear(kd_cond *cond)
{
    kdi_must(pthread_cond_destroy(&cond->native));
}

bool kd_cond_wait(kd_cond *cond, kd_mutex *mutex, uint64_t timeout_ns)
{
    if (cond->world->schedule != NULL)
        return cond->world->schedule->cond_wait(cond, mutex, timeout_ns);
    if (timeout_ns == UINT64_MAX) {
        kdi_must(pthread_cond_wait(&cond->native, &mutex->native));
        return true;
    }
    uint64_t now_ns = cond->world->monotonic_ns(cond->world);
    uint64_t end_ns =
        timeout_ns > (uint64_t)INT64_MAX - now_ns ? (uint64_t)INT64_MAX : now_ns + timeout_ns;
    struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000u),
                           .tv_nsec = (long)(end_ns % 1000000000u)};
    return pthread_cond_timedwait(&cond->native, &mutex->native, &end) != ETIMEDOUT;
}

void kd_cond_signal(kd_cond *cond)
{
    if (cond->world->schedule != NULL)
        cond->world->schedule->cond_signal(cond, false);
    else
        kdi_must(pthread_cond_signal(&cond->native));
}

void kd_cond_broadcast(kd_cond *cond)
{
    if (cond->world->schedule != NULL)
        cond->world->schedule->cond_signal(cond, true);
    else
        kdi_must(pthread_cond_broadcast(&cond->native));
}

void kd_rwlock_init(kd_rwlock *lock, kd_world *world)
{
    lock->world = world;
    lock->sim_holders = 0;
    pthread_rwlockattr_t attributes;
    kdi_must(pthread_rwlockattr_init(&attributes));
#ifdef __GLIBC__
    /* glibc's default lets readers starve writers. */
    kdi_must(
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
#endif
    kdi_must(pthread_rwlock_init(&lock->native, &attributes));
    kdi_must(pthread_rwlockattr_destroy(&attributes));
}

void kd_rwlock_clear(kd_rwlock *lock)
{
    kdi_must(pthread_rwlock_destroy(&lock->native));
}

void kd_rwlock_lock_shared(kd_rwlock *lock)
{
    if (lock->world->schedule != NULL)
        lock->world->schedule->rwlock_lock(lock, false);
    else
        kdi_must(pthread_rwlock_rdlock(&lock->native));
}

void kd_rwlock_unlock_shared(kd_rwlock *lock)
{
    if (lock->world->schedule != NULL)
        lock->world->schedule->rwlock_unlock(lock, false);
    else
        kdi_must(pthread_rwlock_unlock(&lock->native));
}

void kd_rwlock_lock_exclusive(kd_rwlock *lock)
{
    if (lock->world->schedule != NULL)
        lock->world->schedule->rwlock_lock(lock, true);
    else
        kdi_must(pthread_rwlock_wrlock(&lock->native));
}

void kd_rwlock_unlock_exclusive(kd_rwlock *lock)
{
    if (lock->world->schedule != NULL)
        lock->world->schedule->rwlock_unlock(lock, true);
    else
        kdi_must(pthread_rwlock_unlock(&lock->native));
}

static void *thread_main(void *argument)
{
    kd_thread *thread = argument;
    (void)pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->object);
    return NULL;
}

kd_status kd_thread_start(kd_ctx *ctx, const char *name, void (*run)(void *object), void *object,
                          kd_thread **out_thread)
{
    kd_world *world = ctx->world;
    *out_thread = NULL;
    if (world->schedule != NULL)
        return world->schedule->thread_start(ctx, name, run, object, out_thread);
    kd_thread *thread = world->memory_alloc(world, sizeof *thread);
    if (thread == NULL)
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory to start thread \"%s\"", name);
    *thread = (kd_thread){.run = run, .object = object, .name = name};
    int code = pthread_create(&thread->native, NULL, thread_main, thread);
    if (code != 0) {
        world->memory_free(world, thread, sizeof *thread);
        return KD_FAIL(ctx, KD_LIMIT, "53000", "could not start thread \"%s\": %s", name,
                       strerror(code));
    }
    *out_thread = thread;
    return KD_OK;
}

void kd_thread_join(kd_world *world, kd_thread *thread)
{
    if (thread == NULL)
        return;
    if (world->schedule != NULL) {
        world->schedule->thread_join(world, thread);
        return;
    }
    kdi_must(pthread_join(thread->native, NULL));
    world->memory_free(world, thread, sizeof *thread);
}

void kd_yield(kd_world *world)
{
    if (world->schedule != NULL)
        world->schedule->yield(world);
    else
        (void)sched_yield();
}
