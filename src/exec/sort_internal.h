/*
 * Sorting rows of stores.
 *
 * An entry is the first 16 bytes of the row's memory-comparable key, as two big-endian words, and
 * the row's address. Keys of fixed-width types that fit are decided by the words alone. Others, as
 * those with text, leave the last byte to say whether the key went on: only then equal words are
 * decided by comparing the columns. Many rows of equal words are sorted by the next 16 bytes of
 * their keys, and so on.
 *
 *   value:  [1] [big-endian, sign turned]    NULL: [0 or 2] [zeros]
 *   text:   [1] [bytes] [0]                  NULL: [0 or 2]
 */
#ifndef KD_EXEC_SORT_INTERNAL_H
#define KD_EXEC_SORT_INTERNAL_H

#include "exec/pipeline_internal.h"

typedef struct kdi_sort_column {
    uint32_t column; /* Of the layout. */
    bool descending;
    bool nulls_first;
    bool never_null; /* Its values have no first byte. */
} kdi_sort_column;

typedef struct kdi_sort_entry {
    uint64_t high, low;
    char *row;
} kdi_sort_entry;

typedef struct kdi_sort_order {
    const kdi_row_layout *layout;
    const kdi_sort_column *columns;
    uint32_t column_count;
    bool is_decided;     /* The words hold the whole key. */
    uint32_t skip_bytes; /* Of the first column's text: known to be the same. */
    uint32_t depth;      /* So many prefixes before were the same. */
} kdi_sort_order;

kdi_sort_order kdi_sort_order_of(const kdi_row_layout *layout, const kdi_sort_column *columns,
                                 uint32_t column_count);
kdi_sort_entry kdi_sort_entry_of(const kdi_sort_order *order, char *row);
int kdi_sort_compare(const kdi_sort_order *order, const kdi_sort_entry *a, const kdi_sort_entry *b);
/* Entries of `count` rows. */
void kdi_sort_entries_make(const kdi_sort_order *order, char *const *rows, size_t count,
                           kdi_sort_entry *out_entries);
/* Stable. `scratch` has room for as many entries. Fails only when it is cancelled. */
kd_status kdi_sort_entries(kd_ctx *ctx, const kdi_sort_order *order, kdi_sort_entry *entries,
                           kdi_sort_entry *scratch, size_t count) KD_MUST_CHECK;
/* Entries of all rows of a store in memory, in order; on the heap of the store's budget. */
kd_status kdi_sort_store(kd_ctx *ctx, const kdi_row_store *store, const kdi_sort_order *order,
                         kdi_sort_entry **out_entries) KD_MUST_CHECK;

/* Rows in order: in memory with their entries, or on disk, where the store is in order itself. */
typedef struct kdi_sort_run {
    kdi_row_store store;
    kdi_sort_entry *entries; /* NULL: on disk. */
    uint64_t count;
} kdi_sort_run;

/* Merges runs. Rows of equal keys come in the order of the runs. */
typedef struct kdi_sort_merge kdi_sort_merge;
kd_status kdi_sort_merge_create(kd_ctx *ctx, kd_account *account, const kdi_sort_order *order,
                                kdi_sort_run *runs, size_t run_count,
                                kdi_sort_merge **out_merge) KD_MUST_CHECK;
void kdi_sort_merge_destroy(kd_world *world, kd_account *account, kdi_sort_merge *merge);
/* The next rows, at most a batch; 0 at the end. Valid until the next call. */
kd_status kdi_sort_merge_next(kd_ctx *ctx, kdi_sort_merge *merge, char **out_rows,
                              uint32_t *out_count) KD_MUST_CHECK;

#endif
