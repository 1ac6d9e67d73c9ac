/*
 * Where row stores put pages that memory has no room for: one temporary file per execution.
 *
 * Created at the first spill, removed with the execution. Space is handed out by adding to an end
 * offset and is not used again. Thread-safe.
 */
#ifndef KD_EXEC_SPILL_FILE_INTERNAL_H
#define KD_EXEC_SPILL_FILE_INTERNAL_H

#include "exec/row_store_internal.h"

#include "base/thread.h"

struct kdi_spill_file {
    kd_world *world;
    const char *directory; /* NULL: nothing can be spilled. */
    kd_mutex lock;         /* Creating the file. */
    kd_file *file;
    char path[512];
    atomic_uint_least64_t end;
};

void kdi_spill_file_init(kdi_spill_file *spill, kd_world *world, const char *directory);
/* Removes the file. */
void kdi_spill_file_clear(kd_ctx *ctx, kdi_spill_file *spill);

#endif
