/*
 * Window functions over one partition: rows in order, peers, frames, calls.
 */
#ifndef KD_EXEC_WINDOW_INTERNAL_H
#define KD_EXEC_WINDOW_INTERNAL_H

#include "exec/pipeline_internal.h"
#include "exec/sort_internal.h"

/* One call: where its inputs stand in the rows, and the values of its offsets. */
typedef struct kdi_window_call {
    const kd_window_call *call;
    uint32_t first_argument; /* Column of the layout. */
    int64_t filter_column;   /* -1: none. */
    kd_value start_offset, end_offset;
    kd_call_env env;
    const void **payloads;
} kdi_window_call;

typedef struct kdi_window_partition {
    const kdi_row_layout *layout;
    char *const *rows;
    uint64_t count;
    uint64_t *peer_start, *peer_end; /* Of each row. */
    uint64_t *group;                 /* Number of each row's peer group. */
    uint64_t *group_start;           /* Of each group; one more entry at the end. */
    uint64_t group_count;
    const kdi_sort_column *order; /* Columns of the ORDER BY. */
    uint32_t order_count;
    const kd_session_facts *facts;
} kdi_window_partition;

typedef struct kdi_window_frame {
    uint64_t start, end; /* start <= end */
} kdi_window_frame;

/* The frame of a row, before exclusion. */
kd_status kdi_window_frame_of(kd_ctx *ctx, const kdi_window_partition *partition,
                              const kdi_window_call *call, uint64_t row,
                              kdi_window_frame *out_frame) KD_MUST_CHECK;
bool kdi_window_excludes(const kdi_window_partition *partition, const kdi_window_call *call,
                         uint64_t row, uint64_t other);
/* Checks the offsets once: 22013. */
kd_status kdi_window_check_offsets(kd_ctx *ctx, const kdi_window_call *call) KD_MUST_CHECK;
/* Results of all rows of the partition, at `first` and on. */
kd_status kdi_window_call_run(kd_ctx *ctx, kd_arena *arena, const kdi_window_partition *partition,
                              kdi_window_call *call, kd_vector *results,
                              uint64_t first) KD_MUST_CHECK;

#endif
