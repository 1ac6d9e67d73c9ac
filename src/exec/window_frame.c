/*
 * Frames: ROWS, RANGE and GROUPS bounds, and exclusion.
 */
#include "exec/window_internal.h"

static int64_t offset_rows(const kd_value *offset)
{
    switch (kd_type_physical(offset->type)) {
    case KD_PHYS_I16:
        return offset->as.i16;
    case KD_PHYS_I32:
        return offset->as.i32;
    default:
        return offset->as.i64;
    }
}

static uint64_t move_clamped(uint64_t at, int64_t distance, bool back, uint64_t most)
{
    uint64_t by = (uint64_t)distance;
    if (back)
        return by > at ? 0 : at - by;
    return by > most || at + by > most ? most : at + by;
}

static kd_status bound_of(kd_ctx *ctx, kdi_window_partition *p, const kdi_window_call *call,
                          uint64_t row, kd_frame_bound bound, const kd_value *offset, bool is_end,
                          uint64_t *out)
{
    kd_frame_mode mode = call->call->mode;
    if (bound == KD_BOUND_UNBOUNDED_PRECEDING || bound == KD_BOUND_UNBOUNDED_FOLLOWING) {
        *out = bound == KD_BOUND_UNBOUNDED_PRECEDING ? 0 : p->count;
        return KD_OK;
    }
    if (bound == KD_BOUND_CURRENT) {
        kdi_window_frame peers = {row, row + 1};
        if (mode != KD_FRAME_ROWS)
            peers = kdi_window_peers(p, row);
        *out = is_end ? peers.end : peers.start;
        return KD_OK;
    }
    bool back = bound == KD_BOUND_PRECEDING;
    if (mode == KD_FRAME_RANGE)
        return kdi_window_range_bound(ctx, p, row, offset, back, is_end, out);
    int64_t distance = offset_rows(offset);
    if (mode == KD_FRAME_ROWS) {
        /* An end stands behind its row. */
        if (back && is_end)
            *out = (uint64_t)distance > row ? 0 : row + 1 - (uint64_t)distance;
        else
            *out = move_clamped(row + is_end, distance, back, p->count);
        return KD_OK;
    }
    uint64_t group = kdi_window_group(p, row);
    if (back && (uint64_t)distance > group) {
        *out = 0;
        return KD_OK;
    }
    if (!back && (uint64_t)distance >= p->group_count - group) {
        *out = p->count;
        return KD_OK;
    }
    group = back ? group - (uint64_t)distance : group + (uint64_t)distance;
    *out = kdi_window_group_start(p, group + is_end);
    return KD_OK;
}

kd_status kdi_window_frame_of(kd_ctx *ctx, kdi_window_partition *partition,
                              const kdi_window_call *call, uint64_t row,
                              kdi_window_frame *out_frame)
{
    *out_frame = (kdi_window_frame){0};
    KD_TRY(bound_of(ctx, partition, call, row, call->call->start, &call->start_offset, false,
                    &out_frame->start));
    KD_TRY(bound_of(ctx, partition, call, row, call->call->end, &call->end_offset, true,
                    &out_frame->end));
    if (out_frame->end < out_frame->start)
        out_frame->end = out_frame->start;
    return KD_OK;
}

bool kdi_window_excludes(kdi_window_partition *partition, const kdi_window_call *call, uint64_t row,
                         uint64_t other)
{
    kdi_window_frame peers;
    switch (call->call->exclusion) {
    case KD_EXCLUDE_CURRENT:
        return other == row;
    case KD_EXCLUDE_GROUP:
        peers = kdi_window_peers(partition, row);
        return other >= peers.start && other < peers.end;
    case KD_EXCLUDE_TIES:
        peers = kdi_window_peers(partition, row);
        return other != row && other >= peers.start && other < peers.end;
    default:
        return false;
    }
}

static kd_status offset_check(kd_ctx *ctx, kd_arena *arena, const kdi_window_call *call,
                              kd_type ordered, kd_frame_bound bound, const kd_value *offset,
                              const char *name)
{
    if (bound != KD_BOUND_PRECEDING && bound != KD_BOUND_FOLLOWING)
        return KD_OK;
    if (offset->is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "frame %s offset must not be null", name);
    if (call->call->mode == KD_FRAME_RANGE)
        return kdi_window_offset_check(ctx, arena, ordered, offset);
    if (offset_rows(offset) < 0)
        return KD_FAIL(ctx, KD_INVALID, "22013", "frame %s offset must not be negative", name);
    return KD_OK;
}

kd_status kdi_window_check_offsets(kd_ctx *ctx, kd_arena *arena, const kdi_window_call *call,
                                   kd_type ordered)
{
    KD_TRY(offset_check(ctx, arena, call, ordered, call->call->start, &call->start_offset,
                        "starting"));
    return offset_check(ctx, arena, call, ordered, call->call->end, &call->end_offset, "ending");
}
