/*
 * Window functions over one partition: rows in order, peers, frames, calls.
 */
#ifndef KD_EXEC_WINDOW_INTERNAL_H
#define KD_EXEC_WINDOW_INTERNAL_H

#include "exec/pipeline_internal.h"
#include "exec/row_reader_internal.h"
#include "exec/sort_internal.h"

/* The rows [start, end) of a frame; start <= end. */
typedef struct kdi_window_frame {
    uint64_t start, end;
} kdi_window_frame;

/* One call: where its inputs stand in the rows, and the values of its offsets. */
typedef struct kdi_window_call {
    const kd_window_call *call;
    uint32_t first_argument; /* Column of the layout. */
    int64_t filter_column;   /* -1: none. */
    kd_value start_offset, end_offset;
    kd_call_env env;
    const void **payloads;
    void *state; /* An aggregate's, carried from row to row of a partition. */
    kdi_window_frame last;
} kdi_window_call;

typedef struct kdi_window_partition {
    kd_ctx *ctx;
    const kdi_row_layout *layout;
    char *const *rows;      /* NULL: they are on disk, */
    kdi_row_reader *reader; /* in its store, */
    uint64_t first_row;     /* from here. */
    kd_status status;       /* Of reading; looked at after each call. */
    char *blank;            /* What a row is that could not be read. */
    uint64_t count;
    /* Peers: a bit per row that begins a group, and the number of groups before each word. */
    uint64_t *starts, *ranks;
    uint64_t group_count;
    kdi_window_frame peers;       /* The group asked for last. */
    const kdi_sort_column *order; /* Columns of the ORDER BY. */
    uint32_t order_count;
    const kd_session_facts *facts;
    kd_arena *scratch; /* Of one bound of one row. */
} kdi_window_partition;

char *kdi_window_row_read(kdi_window_partition *partition, uint64_t row);

/* A row; on disk it stays while a few others are looked at. */
static inline char *kdi_window_row(kdi_window_partition *partition, uint64_t row)
{
    return partition->rows != NULL ? partition->rows[row] : kdi_window_row_read(partition, row);
}

/* Finds the groups of peers. */
kd_status kdi_window_peers_find(kd_ctx *ctx, kd_arena *arena,
                                kdi_window_partition *partition) KD_MUST_CHECK;
/* The group of peers of a row, its number, and where another group begins (the partition's end for
 * one past the last). */
kdi_window_frame kdi_window_peers(kdi_window_partition *partition, uint64_t row);
uint64_t kdi_window_group(kdi_window_partition *partition, uint64_t row);
uint64_t kdi_window_group_start(const kdi_window_partition *partition, uint64_t group);

/* The frame of a row, before exclusion. */
kd_status kdi_window_frame_of(kd_ctx *ctx, kdi_window_partition *partition,
                              const kdi_window_call *call, uint64_t row,
                              kdi_window_frame *out_frame) KD_MUST_CHECK;
bool kdi_window_excludes(kdi_window_partition *partition, const kdi_window_call *call, uint64_t row,
                         uint64_t other);
/* Checks the offsets once: 22013. `ordered` is the type of the first ORDER BY column. */
kd_status kdi_window_check_offsets(kd_ctx *ctx, kd_arena *arena, const kdi_window_call *call,
                                   kd_type ordered) KD_MUST_CHECK;
/* RANGE with an offset (window_range.c): a bound of a row's frame, and what an offset may be. */
kd_status kdi_window_range_bound(kd_ctx *ctx, kdi_window_partition *partition, uint64_t row,
                                 const kd_value *offset, bool preceding, bool is_end,
                                 uint64_t *out) KD_MUST_CHECK;
kd_status kdi_window_offset_check(kd_ctx *ctx, kd_arena *arena, kd_type ordered,
                                  const kd_value *offset) KD_MUST_CHECK;
/* Results of the rows of `range`, at `first` and on; a partition's ranges are asked for in order.
 */
kd_status kdi_window_call_run(kd_ctx *ctx, kd_arena *arena, kdi_window_partition *partition,
                              kdi_window_call *call, kdi_window_frame range, kd_vector *results,
                              uint32_t first) KD_MUST_CHECK;

#endif
