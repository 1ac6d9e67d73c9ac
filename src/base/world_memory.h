/*
 * A world whose files are in memory: databases opened as ":memory:".
 *
 * Clock, randomness, memory and threads are those of the world it is made over;
 * only files and directories are its own, empty at first and gone with it.
 * Writing is always durable as far as the caller can tell.
 */
#ifndef KD_BASE_WORLD_MEMORY_H
#define KD_BASE_WORLD_MEMORY_H

#include "base/world.h"

/* NULL means failure, recorded in `ctx`. `below` must outlive it. */
kd_world *kd_world_memory_create(kd_ctx *ctx, kd_world *below) KD_MUST_CHECK;
/* The world that it was made over: where COPY finds the user's files. */
kd_world *kd_world_memory_below(kd_world *world);
/* All its files are closed. NULL is allowed. */
void kd_world_memory_destroy(kd_world *world);

#endif
