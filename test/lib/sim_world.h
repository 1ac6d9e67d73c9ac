/*
 * The simulated world: a disk, a clock, chance and a scheduler that all follow from one
 * seed, so that a run that fails can be run again, exactly.
 *
 * DISK. A sim_disk lives longer than the worlds that use it. What was written and not
 * synced, renamed and not synced in its directory, is "pending". At a crash the seed
 * decides, in sectors of 512 bytes and operation by operation, what of it is there
 * afterwards: nothing, all, a prefix, any subset, torn in the middle. A failed sync
 * loses pending writes silently, as Linux does: the next sync reports success.
 *
 * THREADS are real ones, but only the holder of the baton runs; at every call of the
 * world the seed may pass it on. A thread that waits for nothing that can happen is a
 * deadlock, which fails the test with the state of all threads.
 *
 * FAULTS. Every allocation and every disk call is counted; the nth can be made to fail,
 * once or from then on. At the nth disk call the machine can lose power: from then on
 * every disk call fails, so that all threads unwind and can be joined.
 *
 * One world at a time per test process; the thread that creates it holds the baton.
 */
#ifndef KD_TEST_SIM_WORLD_H
#define KD_TEST_SIM_WORLD_H

#include "base/thread.h"
#include "test.h"

typedef struct sim_disk sim_disk;
typedef struct sim_world sim_world;

sim_disk *sim_disk_create(void);
void sim_disk_destroy(sim_disk *disk);
/* Writes that would bring all files together over this many bytes fail with 53100. 0: no limit. */
void sim_disk_set_capacity(sim_disk *disk, uint64_t capacity_bytes);
uint64_t sim_disk_used_bytes(const sim_disk *disk);
/* The size of a file as a reader sees it; false when there is none of that path. */
bool sim_disk_file_size(const sim_disk *disk, const char *path, uint64_t *out_bytes);
/* Changes stored bytes behind everybody's back. */
void sim_disk_flip(sim_disk *disk, const char *path, uint64_t offset, uint8_t mask);
/* The nth path that exists (files only, in order of creation), or NULL. */
const char *sim_disk_path(const sim_disk *disk, size_t nth);

/*
 * Crashes that are chosen, instead of drawn: what is pending is copied with the disk, and a crash
 * of the copy keeps exactly the parts that `keeps` says (part_bytes each, at multiples of them; a
 * resize and a change of a name are one part). A copy can be used after sim_disk_lose, in a world
 * of its own.
 */
sim_disk *sim_disk_copy(const sim_disk *disk);
size_t sim_disk_pending_count(const sim_disk *disk, uint64_t part_bytes);
void sim_disk_lose(sim_disk *disk, uint64_t part_bytes, const bool *keeps);
/* Equal for equal names and bytes, as readers see them. */
uint64_t sim_disk_hash(const sim_disk *disk);

sim_world *sim_create(sim_disk *disk, uint64_t seed);
/* All its threads have been joined and all files closed. */
void sim_destroy(sim_world *sim);
kd_world *sim_kd_world(sim_world *sim);
kd_ctx sim_ctx(sim_world *sim);

/* Counting from this call on, 1 is the next fallible call. */
void sim_fail_nth(sim_world *sim, uint64_t nth, bool forever);
/* As sim_fail_nth, but counting disk calls only. */
void sim_fail_nth_disk_call(sim_world *sim, uint64_t nth, bool forever);
bool sim_fault_fired(const sim_world *sim);
/* A write that is not done as it was told, and nobody hears of it. */
typedef enum sim_spoilt_write {
    SIM_WRITE_LOST,    /* What stood there stays; zeros where the file ended. */
    SIM_WRITE_SHIFTED, /* It goes to another place of its file. */
    SIM_WRITE_ASTRAY,  /* It goes to the same place of another file. */
} sim_spoilt_write;
/* The nth write from now on, 1 is the next. */
void sim_spoil_nth_write(sim_world *sim, uint64_t nth, sim_spoilt_write how);
bool sim_write_was_spoilt(const sim_world *sim);
/* Power is lost during the nth disk call from now on. */
void sim_crash_at(sim_world *sim, uint64_t nth);
/* Power is lost now. */
void sim_crash(sim_world *sim);
bool sim_has_crashed(const sim_world *sim);
/* Calls `watch` between disk calls, and while a write is under way, whenever what a crash would
 * meet has changed: a copy of the disk at each of these moments stands for every crash there can
 * be. */
void sim_watch_disk(sim_world *sim, void (*watch)(void *object), void *object);

/* Sets the wall clock forward or back; the monotonic one goes on. */
void sim_jump_clock(sim_world *sim, int64_t micros);

uint64_t sim_disk_call_count(const sim_world *sim);
/* Depends on every event of the run: equal for equal seeds, or something is not deterministic. */
uint64_t sim_trace(const sim_world *sim);
size_t sim_open_file_count(const sim_world *sim);
size_t sim_used_bytes(const sim_world *sim); /* Memory. */

/*
 * Runs `body` failing the 1st, then the 2nd, ... fallible call after `setup` (may be NULL), until a
 * run sees no fault. After every run, failed or not, all memory and files are given back, and
 * status and record agree. A run that saw a fault must have failed.
 */
void sim_sweep_faults(kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                      void (*setup)(sim_world *sim, kd_ctx *ctx));
/* As sim_sweep_faults, but a run may succeed in spite of the fault. */
void sim_sweep_faults_tolerated(kd_status (*body)(sim_world *sim, kd_ctx *ctx),
                                void (*setup)(sim_world *sim, kd_ctx *ctx));

#endif
