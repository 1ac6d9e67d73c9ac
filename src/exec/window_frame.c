/*
 * Frames: ROWS, RANGE and GROUPS bounds, and exclusion.
 *
 * RANGE with an offset looks for the rows whose order key lies within a distance. Keys of integer
 * kinds (integers, dates, times, timestamps, fixed numerics) are compared as 128-bit integers,
 * floats as doubles; intervals are added with the calendar's rules.
 */
#include "exec/window_internal.h"

#include "types/datetime.h"
#include "types/numeric.h"

#include <assert.h>

typedef struct range_key {
    bool is_float;
    kd_i128 integer;
    double number;
} range_key;

static kd_status unsupported(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                   "RANGE with offset PRECEDING/FOLLOWING is not supported for this column type");
}

static bool is_interval(const kd_value *value)
{
    return value->type.id == KD_TYPE_INTERVAL && !value->type.is_array;
}

static kd_status key_of(kd_ctx *ctx, kd_type type, const void *payload, bool as_timestamp,
                        range_key *out)
{
    kd_value value = {.type = type};
    memcpy(&value.as, payload, kd_physical_bytes(kd_type_physical(type)));
    *out = (range_key){0};
    switch (kd_type_physical(type)) {
    case KD_PHYS_I16:
        out->integer = value.as.i16;
        return KD_OK;
    case KD_PHYS_I32:
        out->integer = value.as.i32;
        if (as_timestamp && type.id == KD_TYPE_DATE)
            out->integer *= KD_DAY_US;
        return KD_OK;
    case KD_PHYS_I64:
        out->integer = value.as.i64;
        return KD_OK;
    case KD_PHYS_I128:
        out->integer = value.as.i128;
        return KD_OK;
    case KD_PHYS_F32:
        out->is_float = true;
        out->number = value.as.f32;
        return KD_OK;
    case KD_PHYS_F64:
        out->is_float = true;
        out->number = value.as.f64;
        return KD_OK;
    default:
        return unsupported(ctx);
    }
}

static kd_status key_add_interval(kd_ctx *ctx, kdi_window_partition *partition, kd_type type,
                                  range_key key, kd_interval distance, bool subtract,
                                  range_key *out)
{
    *out = key;
    if (type.id == KD_TYPE_TIME) {
        out->integer += subtract ? -distance.micros : distance.micros;
        return KD_OK;
    }
    if (subtract)
        KD_TRY(kd_interval_negate(ctx, distance, &distance));
    int64_t moved;
    const kd_zone *zone = partition->facts == NULL || partition->facts->text == NULL
                              ? NULL
                              : partition->facts->text->zone;
    if (type.id == KD_TYPE_TIMESTAMPTZ)
        KD_TRY(kd_timestamptz_add(ctx, zone, (int64_t)key.integer, distance, &moved));
    else if (type.id == KD_TYPE_TIMESTAMP || type.id == KD_TYPE_DATE)
        KD_TRY(kd_timestamp_add(ctx, (int64_t)key.integer, distance, &moved));
    else
        return unsupported(ctx);
    out->integer = moved;
    return KD_OK;
}

static kd_status key_move(kd_ctx *ctx, kdi_window_partition *partition, kd_type type, range_key key,
                          const kd_value *offset, bool subtract, range_key *out)
{
    if (is_interval(offset))
        return key_add_interval(ctx, partition, type, key, offset->as.interval, subtract, out);
    range_key distance;
    KD_TRY(key_of(ctx, offset->type, &offset->as, false, &distance));
    *out = key;
    if (key.is_float || distance.is_float) {
        double by = distance.is_float ? distance.number : (double)distance.integer;
        out->number += subtract ? -by : by;
        return KD_OK;
    }
    if (type.id == KD_TYPE_NUMERIC) {
        int have = offset->type.id == KD_TYPE_NUMERIC ? kd_numeric_scale(offset->type) : 0;
        for (int s = have; s < kd_numeric_scale(type); s++)
            distance.integer *= 10;
        if (have > kd_numeric_scale(type))
            return unsupported(ctx);
    }
    out->integer += subtract ? -distance.integer : distance.integer;
    return KD_OK;
}

static int keys_compare(range_key a, range_key b)
{
    if (a.is_float)
        return a.number < b.number ? -1 : a.number > b.number;
    return a.integer < b.integer ? -1 : a.integer > b.integer;
}

/* The first row of [low, high) whose key is not before `key` in the order (`after`: is behind it).
 */
static kd_status range_search(kd_ctx *ctx, kdi_window_partition *partition, bool as_timestamp,
                              range_key key, bool after, uint64_t low, uint64_t high, uint64_t *out)
{
    const kdi_sort_column *order = &partition->order[0];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        range_key other;
        KD_TRY(
            key_of(ctx, partition->layout->types[order->column],
                   kdi_row_at(partition->layout, kdi_window_row(partition, middle), order->column),
                   as_timestamp, &other));
        int compared = keys_compare(other, key);
        if (order->descending)
            compared = -compared;
        if (after ? compared <= 0 : compared < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return KD_OK;
}

/* Rows with a key that is not NULL. */
static void range_rows(kdi_window_partition *partition, uint64_t *out_low, uint64_t *out_high)
{
    const kdi_sort_column *order = &partition->order[0];
    uint64_t nulls_end = partition->count;
    *out_low = 0;
    *out_high = partition->count;
    if (order->nulls_first) {
        uint64_t low = 0;
        while (low < nulls_end) {
            uint64_t middle = low + (nulls_end - low) / 2;
            if (kdi_row_is_null(partition->layout, kdi_window_row(partition, middle),
                                order->column))
                low = middle + 1;
            else
                nulls_end = middle;
        }
        *out_low = low;
        return;
    }
    uint64_t low = 0, high = partition->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (kdi_row_is_null(partition->layout, kdi_window_row(partition, middle), order->column))
            high = middle;
        else
            low = middle + 1;
    }
    *out_high = low;
}

static kd_status range_bound(kd_ctx *ctx, kdi_window_partition *partition, uint64_t row,
                             const kd_value *offset, bool preceding, bool is_end, uint64_t *out)
{
    if (partition->order_count != 1)
        return KD_FAIL(
            ctx, KD_INVALID, "42P20",
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
    const kdi_sort_column *order = &partition->order[0];
    if (kdi_row_is_null(partition->layout, kdi_window_row(partition, row), order->column)) {
        kdi_window_frame peers = kdi_window_peers(partition, row);
        *out = is_end ? peers.end : peers.start;
        return KD_OK;
    }
    kd_type type = partition->layout->types[order->column];
    bool as_timestamp = is_interval(offset);
    range_key key, bound;
    KD_TRY(key_of(ctx, type,
                  kdi_row_at(partition->layout, kdi_window_row(partition, row), order->column),
                  as_timestamp, &key));
    KD_TRY(key_move(ctx, partition, type, key, offset, preceding != order->descending, &bound));
    uint64_t low, high;
    range_rows(partition, &low, &high);
    return range_search(ctx, partition, as_timestamp, bound, is_end, low, high, out);
}

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
        return range_bound(ctx, p, row, offset, back, is_end, out);
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

static bool value_is_negative(const kd_value *value)
{
    switch (kd_type_physical(value->type)) {
    case KD_PHYS_I16:
        return value->as.i16 < 0;
    case KD_PHYS_I32:
        return value->as.i32 < 0;
    case KD_PHYS_I64:
        return value->as.i64 < 0;
    case KD_PHYS_I128:
        return value->as.i128 < 0;
    case KD_PHYS_F32:
        return value->as.f32 < 0;
    case KD_PHYS_F64:
        return value->as.f64 < 0;
    case KD_PHYS_INTERVAL:
        return kd_interval_total_us(value->as.interval) < 0;
    default:
        return false;
    }
}

static kd_status offset_check(kd_ctx *ctx, kd_frame_bound bound, const kd_value *offset,
                              const char *name)
{
    if (bound != KD_BOUND_PRECEDING && bound != KD_BOUND_FOLLOWING)
        return KD_OK;
    if (offset->is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "frame %s offset must not be null", name);
    if (value_is_negative(offset))
        return KD_FAIL(ctx, KD_INVALID, "22013", "frame %s offset must not be negative", name);
    return KD_OK;
}

kd_status kdi_window_check_offsets(kd_ctx *ctx, const kdi_window_call *call)
{
    KD_TRY(offset_check(ctx, call->call->start, &call->start_offset, "starting"));
    return offset_check(ctx, call->call->end, &call->end_offset, "ending");
}
