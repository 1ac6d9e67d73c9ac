/*
 * What the parts of the simulated world share.
 */
#ifndef KD_TEST_SIM_INTERNAL_H
#define KD_TEST_SIM_INTERNAL_H

#include "sim_world.h"

#include <pthread.h>

enum { SIM_THREAD_COUNT_MAX = 256, SIM_SECTOR_BYTES = 512, SIM_BLOCK_BYTES = 4096 };

typedef struct sim_thread {
    struct sim_world *sim;
    unsigned id;
    const char *name;
    pthread_t native;
    pthread_cond_t wake;
    enum { SIM_RUNNABLE, SIM_WAITING, SIM_DONE } state;
    const char *waiting_what; /* For the report of a deadlock. */
    const void *waiting_on;
    uint64_t deadline_ns; /* UINT64_MAX: none. */
    bool has_timed_out;
    void (*run)(void *object);
    void *object;
} sim_thread;

struct sim_world {
    kd_world world;
    sim_disk *disk;
    uint64_t seed;
    test_random schedule_random;
    test_random fault_random;
    test_random user_random;
    uint64_t clock_ns;
    int64_t wall_offset_us;
    uint64_t trace;

    pthread_mutex_t big; /* Only for handing the baton over. */
    sim_thread *running;
    sim_thread *threads[SIM_THREAD_COUNT_MAX];
    unsigned thread_count;
    uint64_t switch_mask; /* A switch is considered when the random bits under it are zero. */

    uint64_t calls_until_fault;      /* 0: none is planned. */
    uint64_t disk_calls_until_fault; /* 0: none is planned. */
    bool fault_forever;
    bool fault_fired;
    uint64_t calls_until_crash; /* 0: none is planned. */
    bool has_crashed;
    uint64_t writes_until_spoilt; /* 0: none is planned. */
    sim_spoilt_write spoils;
    bool write_is_spoilt;
    void (*watch)(void *object);
    void *watch_object;
    uint64_t watched_count; /* The disk's changes at the last call of it. */
    uint64_t disk_call_count;
    size_t open_file_count;
    size_t used_bytes;
};

/* sim_thread.c */
extern const kd_schedule sim_schedule;
void sim_threads_begin(sim_world *sim);
void sim_threads_end(sim_world *sim);
/* A point where the baton may pass on. `event` goes into the trace. */
void sim_point(sim_world *sim, uint64_t event);
void sim_sleep(sim_world *sim, uint64_t duration_ns);

/* sim_world.c */
void sim_trace_add(sim_world *sim, uint64_t event);
bool sim_allocation_due(sim_world *sim);

/* sim_disk.c */
void sim_disk_install(kd_world *world);
void sim_disk_lose_power(sim_disk *disk, test_random *random);

#endif
