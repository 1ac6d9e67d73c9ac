/*
 * Sorters: any number of rows into order, with the statement's memory.
 *
 * Rows are appended to `store`. Before each batch kdi_sorter_make_room writes what is there to disk
 * as a run when memory is short. Threads sort rows of their own; kdi_sorter_take unites them. More
 * runs than can be merged at once are merged in passes.
 */
#ifndef KD_EXEC_SORTER_INTERNAL_H
#define KD_EXEC_SORTER_INTERNAL_H

#include "exec/sort_internal.h"

typedef struct kdi_sorter {
    kd_world *world; /* NULL: there is nothing to clear. */
    kdi_budget *budget;
    kdi_sort_order order;
    kdi_row_store store; /* Rows not sorted yet. */
    size_t promise;      /* Of memory to sort them. */
    kdi_sort_run *runs;  /* On the heap. */
    size_t run_count, run_capacity;
    uint64_t next; /* Of the only run, when it is in memory. */
    kdi_sort_merge *merge;
} kdi_sorter;

/* `columns` live as long as the sorter. */
void kdi_sorter_init(kdi_sorter *sorter, kd_world *world, kdi_budget *budget,
                     const kdi_row_layout *layout, const kdi_sort_column *columns,
                     uint32_t column_count);
void kdi_sorter_clear(kdi_sorter *sorter);
kd_status kdi_sorter_make_room(kd_ctx *ctx, kdi_sorter *sorter) KD_MUST_CHECK;
/* Sorts what has not been sorted. For threads that work at the same time. */
kd_status kdi_sorter_seal(kd_ctx *ctx, kdi_sorter *sorter) KD_MUST_CHECK;
/* Takes everything over from a sealed sorter of the same layout and order. */
kd_status kdi_sorter_take(kd_ctx *ctx, kdi_sorter *sorter, kdi_sorter *source) KD_MUST_CHECK;
uint64_t kdi_sorter_row_count(const kdi_sorter *sorter);
/* No more rows come; the first ones can be read. */
kd_status kdi_sorter_finish(kd_ctx *ctx, kdi_sorter *sorter) KD_MUST_CHECK;
/* All rows stay in memory until the sorter is cleared; valid once it is finished. */
bool kdi_sorter_is_in_memory(const kdi_sorter *sorter);
/* At most a batch, 0 at the end; rows on disk are valid until the next call. */
kd_status kdi_sorter_next(kd_ctx *ctx, kdi_sorter *sorter, char **out_rows,
                          uint32_t *out_count) KD_MUST_CHECK;

#endif
