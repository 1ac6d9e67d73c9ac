/*
 * Window calls over a partition.
 *
 * Aggregates whose frame begins at the partition's start and excludes nothing are carried along;
 * the others are computed per frame, and again only when the frame differs from the last row's.
 */
#include "exec/window_internal.h"

#include <assert.h>

typedef kdi_window_partition partition;

static void result_set(kd_vector *results, uint64_t at, const void *payload)
{
    size_t bytes = kd_physical_bytes((kd_physical)results->physical);
    if (payload == NULL)
        kd_vector_set_null(results, (uint32_t)at);
    else
        memcpy((char *)results->values + at * bytes, payload, bytes);
}

static void result_set_i64(kd_vector *results, uint64_t at, int64_t value)
{
    if (results->physical == KD_PHYS_I32)
        ((int32_t *)results->values)[at] = (int32_t)value;
    else
        ((int64_t *)results->values)[at] = value;
}

static const void *argument_at(partition *p, const kdi_window_call *call, uint32_t argument,
                               uint64_t row)
{
    uint32_t column = call->first_argument + argument;
    const char *at = kdi_window_row(p, row);
    return kdi_row_is_null(p->layout, at, column) ? NULL : kdi_row_at(p->layout, at, column);
}

/* A row's value as a result: its bytes are copied when the row does not stay. */
static kd_status result_take(kd_ctx *ctx, kd_arena *arena, const partition *p, kd_vector *results,
                             uint64_t at, const void *payload)
{
    kd_str str;
    if (payload == NULL || p->rows != NULL || results->physical != KD_PHYS_STR ||
        kd_load_u32(payload) <= KD_STR_INLINE_BYTES) {
        result_set(results, at, payload);
        return KD_OK;
    }
    memcpy(&str, payload, sizeof str);
    char *copy = kd_copy_text(ctx, arena, kd_str_data(&str), str.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    str = kd_str_from(copy, str.size_bytes);
    result_set(results, at, &str);
    return KD_OK;
}

static bool integer_at(partition *p, const kdi_window_call *call, uint32_t argument, uint64_t row,
                       int64_t *out)
{
    const void *payload = argument_at(p, call, argument, row);
    if (payload == NULL)
        return false;
    kd_type type = p->layout->types[call->first_argument + argument];
    switch (kd_type_physical(type)) {
    case KD_PHYS_I16:
        *out = *(const int16_t *)payload;
        return true;
    case KD_PHYS_I32:
        *out = *(const int32_t *)payload;
        return true;
    default:
        *out = *(const int64_t *)payload;
        return true;
    }
}

/* ---- Aggregates ---- */

static kd_status aggregate_step(kd_ctx *ctx, partition *p, kdi_window_call *call, uint64_t row,
                                void *state)
{
    const kd_aggregate *aggregate = call->call->aggregate;
    if (call->filter_column >= 0) {
        uint32_t column = (uint32_t)call->filter_column;
        const char *at = kdi_window_row(p, row);
        if (kdi_row_is_null(p->layout, at, column) ||
            *(const uint8_t *)kdi_row_at(p->layout, at, column) == 0)
            return KD_OK;
    }
    if (aggregate == NULL) {
        (*(int64_t *)state)++;
        return KD_OK;
    }
    bool has_null = false;
    for (uint32_t a = 0; a < call->call->argument_count; a++) {
        call->payloads[a] = argument_at(p, call, a, row);
        has_null |= call->payloads[a] == NULL;
    }
    if (has_null && aggregate->skips_nulls)
        return KD_OK;
    return aggregate->step(ctx, &call->env, state, call->payloads);
}

static kd_status aggregate_result(kd_ctx *ctx, kdi_window_call *call, const void *state,
                                  kd_vector *results, uint64_t at)
{
    _Alignas(16) char result[16] = {0};
    bool is_null = false;
    if (call->call->aggregate == NULL)
        memcpy(result, state, 8);
    else
        KD_TRY(call->call->aggregate->finish(ctx, &call->env, state, result, &is_null));
    result_set(results, at, is_null ? NULL : result);
    return KD_OK;
}

static void state_reset(const kdi_window_call *call, void *state, uint32_t bytes)
{
    memset(state, 0, bytes);
    if (call->call->aggregate != NULL && call->call->aggregate->init != NULL)
        call->call->aggregate->init(state);
}

static void result_repeat(kd_vector *results, uint64_t at)
{
    size_t bytes = kd_physical_bytes((kd_physical)results->physical);
    if (!kd_bit_get(results->validity, (uint32_t)at - 1))
        kd_vector_set_null(results, (uint32_t)at);
    else
        memcpy((char *)results->values + at * bytes, (char *)results->values + (at - 1) * bytes,
               bytes);
}

static kd_status aggregate_run(kd_ctx *ctx, partition *p, kdi_window_call *call,
                               kdi_window_frame range, kd_vector *results, uint32_t first)
{
    uint32_t bytes = call->call->aggregate == NULL ? 16 : call->call->aggregate->state_bytes;
    bool carried = call->call->start == KD_BOUND_UNBOUNDED_PRECEDING &&
                   call->call->exclusion == KD_EXCLUDE_NOTHING;
    if (range.start == 0)
        state_reset(call, call->state, bytes);
    for (uint64_t row = range.start; row < range.end; row++) {
        uint64_t at = first + (row - range.start);
        kdi_window_frame frame, last = call->last;
        if (row % 1024 == 0)
            KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kdi_window_frame_of(ctx, p, call, row, &frame));
        bool same = row > 0 && frame.start == last.start && frame.end == last.end &&
                    call->call->exclusion == KD_EXCLUDE_NOTHING;
        if (same && row > range.start) {
            result_repeat(results, at);
            continue;
        }
        uint64_t from = frame.start;
        if (same || (carried && row > 0 && frame.end >= last.end))
            from = last.end;
        else
            state_reset(call, call->state, bytes);
        for (uint64_t other = from; other < frame.end; other++) {
            if (!kdi_window_excludes(p, call, row, other))
                KD_TRY(aggregate_step(ctx, p, call, other, call->state));
            if (other % 4096 == 0)
                KD_TRY(kd_check_cancelled(ctx));
        }
        KD_TRY(aggregate_result(ctx, call, call->state, results, at));
        call->last = frame;
    }
    return KD_OK;
}

/* ---- Ranks ---- */

static void rank_run(partition *p, char which, kdi_window_frame range, kd_vector *results,
                     uint32_t first)
{
    for (uint64_t row = range.start; row < range.end; row++) {
        uint64_t at = first + (row - range.start);
        double number = 0;
        switch (which) {
        case 'n':
            result_set_i64(results, at, (int64_t)row + 1);
            break;
        case 'r':
            result_set_i64(results, at, (int64_t)kdi_window_peers(p, row).start + 1);
            break;
        case 'd':
            result_set_i64(results, at, (int64_t)kdi_window_group(p, row) + 1);
            break;
        case 'p':
            if (p->count > 1)
                number = (double)kdi_window_peers(p, row).start / (double)(p->count - 1);
            result_set(results, at, &number);
            break;
        default:
            number = (double)kdi_window_peers(p, row).end / (double)p->count;
            result_set(results, at, &number);
            break;
        }
    }
}

static kd_status ntile_run(kd_ctx *ctx, partition *p, kdi_window_call *call, kdi_window_frame range,
                           kd_vector *results, uint32_t first)
{
    int64_t buckets;
    if (!integer_at(p, call, 0, 0, &buckets)) {
        for (uint64_t row = range.start; row < range.end; row++)
            result_set(results, first + (row - range.start), NULL);
        return KD_OK;
    }
    if (buckets <= 0)
        return KD_FAIL(ctx, KD_INVALID, "22014", "argument of ntile must be greater than zero");
    uint64_t size = p->count / (uint64_t)buckets;
    uint64_t larger = p->count % (uint64_t)buckets; /* So many buckets have one more. */
    for (uint64_t row = range.start; row < range.end; row++) {
        uint64_t bucket = row < larger * (size + 1) ? row / (size + 1)
                                                    : larger + (row - larger * (size + 1)) / size;
        result_set_i64(results, first + (row - range.start), (int64_t)bucket + 1);
    }
    return KD_OK;
}

/* ---- Values of other rows ---- */

static kd_status shift_run(kd_ctx *ctx, kd_arena *arena, partition *p, kdi_window_call *call,
                           bool forward, kdi_window_frame range, kd_vector *results, uint32_t first)
{
    for (uint64_t row = range.start; row < range.end; row++) {
        uint64_t at = first + (row - range.start);
        int64_t distance = 1;
        if (call->call->argument_count > 1 && !integer_at(p, call, 1, row, &distance)) {
            result_set(results, at, NULL);
            continue;
        }
        kd_i128 other = forward ? (kd_i128)row + distance : (kd_i128)row - distance;
        const void *payload = NULL;
        if (other >= 0 && other < (kd_i128)p->count)
            payload = argument_at(p, call, 0, (uint64_t)other);
        else if (call->call->argument_count > 2)
            payload = argument_at(p, call, 2, row);
        KD_TRY(result_take(ctx, arena, p, results, at, payload));
    }
    return KD_OK;
}

/* The `nth` (from 1) row of the frame that is not excluded; from its end for last_value. */
static bool frame_nth(partition *p, const kdi_window_call *call, uint64_t row,
                      kdi_window_frame frame, int64_t nth, bool from_end, uint64_t *out)
{
    if (call->call->exclusion == KD_EXCLUDE_NOTHING) {
        if ((uint64_t)nth > frame.end - frame.start)
            return false;
        *out = from_end ? frame.end - (uint64_t)nth : frame.start + (uint64_t)nth - 1;
        return true;
    }
    uint64_t size = frame.end - frame.start;
    for (uint64_t i = 0; i < size; i++) {
        uint64_t other = from_end ? frame.end - 1 - i : frame.start + i;
        if (kdi_window_excludes(p, call, row, other))
            continue;
        if (--nth == 0) {
            *out = other;
            return true;
        }
    }
    return false;
}

static kd_status nth_run(kd_ctx *ctx, kd_arena *arena, partition *p, kdi_window_call *call,
                         bool from_end, kdi_window_frame range, kd_vector *results, uint32_t first)
{
    bool has_n = kd_slice_equal(call->call->name, KD_SLICE("nth_value"));
    for (uint64_t row = range.start; row < range.end; row++) {
        uint64_t at = first + (row - range.start);
        int64_t nth = 1;
        if (has_n && !integer_at(p, call, 1, row, &nth)) {
            result_set(results, at, NULL);
            continue;
        }
        if (nth <= 0)
            return KD_FAIL(ctx, KD_INVALID, "22016",
                           "argument of nth_value must be greater than zero");
        kdi_window_frame frame;
        KD_TRY(kdi_window_frame_of(ctx, p, call, row, &frame));
        uint64_t other;
        bool found = frame_nth(p, call, row, frame, nth, from_end, &other);
        KD_TRY(
            result_take(ctx, arena, p, results, at, found ? argument_at(p, call, 0, other) : NULL));
    }
    return KD_OK;
}

static kd_status call_run(kd_ctx *ctx, kd_arena *arena, partition *p, kdi_window_call *call,
                          kdi_window_frame range, kd_vector *results, uint32_t first)
{
    static const struct {
        const char *name;
        char which;
    } ranks[] = {
        {"row_number", 'n'},   {"rank", 'r'},      {"dense_rank", 'd'},
        {"percent_rank", 'p'}, {"cume_dist", 'c'},
    };
    kd_slice name = call->call->name;
    call->env.arena = arena;
    if (call->call->aggregate != NULL || name.size_bytes == 0)
        return aggregate_run(ctx, p, call, range, results, first);
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        if (kd_slice_equal(name, kd_slice_of(ranks[i].name))) {
            rank_run(p, ranks[i].which, range, results, first);
            return KD_OK;
        }
    if (kd_slice_equal(name, KD_SLICE("ntile")))
        return ntile_run(ctx, p, call, range, results, first);
    bool is_lead = kd_slice_equal(name, KD_SLICE("lead"));
    if (is_lead || kd_slice_equal(name, KD_SLICE("lag")))
        return shift_run(ctx, arena, p, call, is_lead, range, results, first);
    bool is_last = kd_slice_equal(name, KD_SLICE("last_value"));
    if (is_last || kd_slice_equal(name, KD_SLICE("first_value")) ||
        kd_slice_equal(name, KD_SLICE("nth_value")))
        return nth_run(ctx, arena, p, call, is_last, range, results, first);
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "window function %.*s is not known",
                   (int)name.size_bytes, name.data);
}

kd_status kdi_window_call_run(kd_ctx *ctx, kd_arena *arena, kdi_window_partition *p,
                              kdi_window_call *call, kdi_window_frame range, kd_vector *results,
                              uint32_t first)
{
    KD_TRY(kd_check_cancelled(ctx));
    kd_status status = call_run(ctx, arena, p, call, range, results, first);
    /* A row that could not be read was taken for blank: that is what failed, whatever came of it.
     */
    return p->status != KD_OK ? p->status : status;
}
