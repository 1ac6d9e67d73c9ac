/*
 * Where row stores put pages that memory has no room for: one temporary file per execution.
 *
 * Created at the first spill, removed with the execution. Space is handed out in places of a page;
 * those given back are used again, so that merging in several passes needs no more room than the
 * rows. Thread-safe.
 */
#ifndef KD_EXEC_SPILL_FILE_INTERNAL_H
#define KD_EXEC_SPILL_FILE_INTERNAL_H

#include "exec/row_store_internal.h"

#include "base/thread.h"

struct kdi_spill_file {
    kd_world *world;
    const char *directory; /* NULL: nothing can be spilled. */
    uint64_t limit_bytes;  /* temp_file_limit; UINT64_MAX: none. */
    kd_account *account;
    kd_mutex lock; /* Creating the file, handing out places. */
    kd_file *file;
    char path[512];
    uint64_t end;
    uint64_t *free_places; /* Offsets of places given back. */
    size_t free_count, free_capacity;
};

void kdi_spill_file_init(kdi_spill_file *spill, kd_world *world, const char *directory,
                         uint64_t limit_bytes, kd_account *account);
/* Gives a place back. */
void kdi_spill_file_put(kdi_spill_file *spill, uint64_t offset);
/* Removes the file. */
void kdi_spill_file_clear(kd_ctx *ctx, kdi_spill_file *spill);

#endif
