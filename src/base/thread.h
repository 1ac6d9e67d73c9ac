/*
 * Threads, mutexes, conditions and read-write locks, all through the world.
 *
 * In the posix world these are pthreads. In a simulated world real threads
 * exist too, but only the holder of one baton runs: every call here is a point
 * at which the seed may pass the baton on, and waiting means giving it away.
 * Lock-free loops that spin call kd_yield(), or the simulation would not end.
 *
 * None of these can fail except kd_thread_start. Objects live in the caller's
 * storage, are initialised with the world, and are not moved afterwards.
 */
#ifndef KD_BASE_THREAD_H
#define KD_BASE_THREAD_H

#include "base/world.h"

#include <pthread.h>

typedef struct kd_mutex {
    kd_world *world;
    pthread_mutex_t native;
    bool sim_held; /* Simulated world: guarded by the baton. */
} kd_mutex;

typedef struct kd_cond {
    kd_world *world;
    pthread_cond_t native; /* On the monotonic clock. */
    uint64_t sim_sequence; /* Simulated world: counts signals. */
} kd_cond;

/* Many readers or one writer; writers are preferred. Not recursive. */
typedef struct kd_rwlock {
    kd_world *world;
    pthread_rwlock_t native;
    int sim_holders; /* Simulated world: readers, or -1 for a writer. */
} kd_rwlock;

typedef struct kd_thread kd_thread;

/* How a simulated world takes over. Members mirror the functions below. */
struct kd_schedule {
    void (*mutex_lock)(kd_mutex *mutex);
    bool (*mutex_try_lock)(kd_mutex *mutex);
    void (*mutex_unlock)(kd_mutex *mutex);
    bool (*cond_wait)(kd_cond *cond, kd_mutex *mutex, uint64_t timeout_ns);
    void (*cond_signal)(kd_cond *cond, bool everybody);
    void (*rwlock_lock)(kd_rwlock *lock, bool exclusive);
    void (*rwlock_unlock)(kd_rwlock *lock, bool exclusive);
    void (*yield)(kd_world *world);
    kd_status (*thread_start)(kd_ctx *ctx, const char *name, void (*run)(void *object),
                              void *object, kd_thread **out_thread);
    void (*thread_join)(kd_world *world, kd_thread *thread);
};

void kd_mutex_init(kd_mutex *mutex, kd_world *world);
void kd_mutex_clear(kd_mutex *mutex);
void kd_mutex_lock(kd_mutex *mutex);
bool kd_mutex_try_lock(kd_mutex *mutex);
void kd_mutex_unlock(kd_mutex *mutex);

void kd_cond_init(kd_cond *cond, kd_world *world);
void kd_cond_clear(kd_cond *cond);
/* `mutex` is held on entry and on exit. False when the time ran out (UINT64_MAX: never). May wake
 * without a signal: callers loop on their condition. */
bool kd_cond_wait(kd_cond *cond, kd_mutex *mutex, uint64_t timeout_ns);
void kd_cond_signal(kd_cond *cond);
void kd_cond_broadcast(kd_cond *cond);

void kd_rwlock_init(kd_rwlock *lock, kd_world *world);
void kd_rwlock_clear(kd_rwlock *lock);
void kd_rwlock_lock_shared(kd_rwlock *lock);
void kd_rwlock_unlock_shared(kd_rwlock *lock);
void kd_rwlock_lock_exclusive(kd_rwlock *lock);
void kd_rwlock_unlock_exclusive(kd_rwlock *lock);

/* `name` is a literal of at most 15 bytes. The thread runs until `run` returns and must be joined.
 */
kd_status kd_thread_start(kd_ctx *ctx, const char *name, void (*run)(void *object), void *object,
                          kd_thread **out_thread) KD_MUST_CHECK;
void kd_thread_join(kd_world *world, kd_thread *thread); /* NULL is allowed. */

void kd_yield(kd_world *world);

#endif
