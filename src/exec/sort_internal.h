/*
 * Sorting rows of stores.
 *
 * An entry is the first 16 bytes of the row's memory-comparable key, as two big-endian words, and
 * the row's address. Keys of fixed-width types that fit are decided by the words alone; others
 * fall back to comparing the columns.
 */
#ifndef KD_EXEC_SORT_INTERNAL_H
#define KD_EXEC_SORT_INTERNAL_H

#include "exec/pipeline_internal.h"

typedef struct kdi_sort_column {
    uint32_t column; /* Of the layout. */
    bool descending;
    bool nulls_first;
} kdi_sort_column;

typedef struct kdi_sort_entry {
    uint64_t high, low;
    char *row;
} kdi_sort_entry;

typedef struct kdi_sort_order {
    const kdi_row_layout *layout;
    const kdi_sort_column *columns;
    uint32_t column_count;
    bool is_decided; /* The words hold the whole key. */
} kdi_sort_order;

kdi_sort_order kdi_sort_order_of(const kdi_row_layout *layout, const kdi_sort_column *columns,
                                 uint32_t column_count);
kdi_sort_entry kdi_sort_entry_of(const kdi_sort_order *order, char *row);
int kdi_sort_compare(const kdi_sort_order *order, const kdi_sort_entry *a, const kdi_sort_entry *b);
/* Stable. `scratch` has room for as many entries. */
void kdi_sort_entries(const kdi_sort_order *order, kdi_sort_entry *entries, kdi_sort_entry *scratch,
                      size_t count);
/* All rows of a store in memory, in order; `out_rows` is on the store's account's heap. */
kd_status kdi_sort_store(kd_ctx *ctx, const kdi_row_store *store, const kdi_sort_column *columns,
                         uint32_t column_count, char ***out_rows,
                         uint64_t *out_count) KD_MUST_CHECK;

/* Merges runs (stores in order, on disk) with rows in memory that are in order. */
typedef struct kdi_sort_merge kdi_sort_merge;
kd_status kdi_sort_merge_create(kd_ctx *ctx, kd_arena *arena, const kdi_sort_order *order,
                                kdi_row_store *runs, size_t run_count, char *const *rows,
                                uint64_t row_count, kdi_sort_merge **out_merge) KD_MUST_CHECK;
/* The next rows, at most a batch; 0 at the end. Valid until the next call. */
kd_status kdi_sort_merge_next(kd_ctx *ctx, kdi_sort_merge *merge, char **out_rows,
                              uint32_t *out_count) KD_MUST_CHECK;

#endif
