/*
 * What the build side of a hash join says about the keys that can have a partner, for the scans
 * of its probe side: bounds for zone maps, and a set that each row is looked up in.
 */
#ifndef KD_EXEC_RUNTIME_FILTER_INTERNAL_H
#define KD_EXEC_RUNTIME_FILTER_INTERNAL_H

#include "exec/row_store_internal.h"

typedef struct kdi_runtime_filter {
    kd_type type;
    uint64_t row_count; /* 0: nothing passes. */
    bool has_bounds;    /* Integers. */
    int64_t min, max;
    uint64_t *bits;  /* Integers close together: bit (value - min) of the set. */
    uint64_t *words; /* Others: a Bloom filter, one word per key. */
    uint32_t shift;  /* Word of a hash: hash >> shift. */
} kdi_runtime_filter;

/* Over one column of the rows in `store`, which are in memory. */
kd_status kdi_runtime_filter_create(kd_ctx *ctx, kd_arena *arena, const kdi_row_store *store,
                                    uint32_t column,
                                    const kdi_runtime_filter **out_filter) KD_MUST_CHECK;
/* The bounds as values of the filter's type; false: none. */
bool kdi_runtime_filter_bounds(const kdi_runtime_filter *filter, kd_value *out_min,
                               kd_value *out_max);

/* One thread's use of a filter in a scan. */
typedef struct kdi_filter_use {
    const kdi_runtime_filter *filter;
    uint32_t column; /* Of the scan's batches. */
    kdi_view view;
    uint64_t *hashes;
    uint64_t tested, passed;
    bool is_off;            /* Nearly everything passes: not worth the test. */
    uint64_t dictionary_id; /* Whose entries `entries` tells about. */
    uint64_t *entries;      /* A bit per entry. */
    uint32_t entry_capacity;
} kdi_filter_use;

/* Gives in `rows` those of the batch's rows that may have a partner; `rows` may be its selection.
 */
kd_status kdi_filter_use_select(kd_ctx *ctx, kd_arena *arena, kdi_filter_use *use,
                                const kd_batch *batch, uint16_t *rows,
                                uint32_t *out_count) KD_MUST_CHECK;

#endif
