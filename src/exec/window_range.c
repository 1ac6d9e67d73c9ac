/*
 * Frames of RANGE with an offset: the rows whose order key lies within a distance of the row's.
 *
 * A bound is a key that other keys are compared with: integers, dates, times, timestamps, intervals
 * and most numerics of known scale as 128-bit integers, floats as doubles, other numerics as
 * decimals. NaN lies above everything and equals itself, so that a row with NaN has the others in
 * its frame.
 */
#include "exec/window_internal.h"

#include "types/datetime.h"
#include "types/numeric.h"

#include <assert.h>
#include <math.h>

typedef enum key_form { KEY_INTEGER, KEY_FLOAT, KEY_DECIMAL } key_form;

typedef struct range_key {
    key_form form;
    kd_i128 integer;
    double number;
    kd_decimal decimal; /* Digits in the partition's scratch arena. */
} range_key;

/* Which bound: of rows up to the key in the order of values, and whether the offset goes down. */
typedef struct range_way {
    bool up_to;
    bool subtract;
} range_way;

static bool is_interval(const kd_value *value)
{
    return value->type.id == KD_TYPE_INTERVAL && !value->type.is_array;
}

/* Dates stand in frames as timestamps; those beyond stay in order. */
static kd_i128 date_key(int32_t date)
{
    if (!kd_date_is_finite(date))
        return date < 0 ? (kd_i128)INT64_MIN : (kd_i128)INT64_MAX;
    return (kd_i128)date * KD_DAY_US;
}

static kd_status key_of(kd_ctx *ctx, kd_arena *scratch, kd_type type, const void *payload,
                        bool as_decimal, range_key *out)
{
    kd_value value = {.type = type};
    memcpy(&value.as, payload, kd_physical_bytes(kd_type_physical(type)));
    out->form = KEY_INTEGER;
    if (as_decimal) {
        out->form = KEY_DECIMAL;
        return kd_decimal_from_payload(ctx, scratch, type, payload, &out->decimal);
    }
    switch (kd_type_physical(type)) {
    case KD_PHYS_I16:
        out->integer = value.as.i16;
        return KD_OK;
    case KD_PHYS_I32:
        out->integer = type.id == KD_TYPE_DATE ? date_key(value.as.i32) : value.as.i32;
        return KD_OK;
    case KD_PHYS_I64:
        out->integer = value.as.i64;
        return KD_OK;
    case KD_PHYS_I128:
        out->integer = value.as.i128;
        return KD_OK;
    case KD_PHYS_INTERVAL:
        out->integer = kd_interval_total_us(value.as.interval);
        return KD_OK;
    case KD_PHYS_F32:
        out->form = KEY_FLOAT;
        out->number = value.as.f32;
        return KD_OK;
    case KD_PHYS_F64:
        out->form = KEY_FLOAT;
        out->number = value.as.f64;
        return KD_OK;
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "RANGE with offset PRECEDING/FOLLOWING is not supported for this column "
                       "type");
    }
}

/* ---- Moving a key ---- */

static kd_status move_by_interval(kd_ctx *ctx, kdi_window_partition *partition, kd_type type,
                                  kd_interval distance, bool subtract, range_key *io_key)
{
    if (type.id == KD_TYPE_INTERVAL) {
        kd_i128 total = kd_interval_total_us(distance);
        io_key->integer += subtract ? -total : total;
        return KD_OK;
    }
    if (type.id == KD_TYPE_TIME) { /* Of a clock, days and months count for nothing. */
        io_key->integer += subtract ? -distance.micros : distance.micros;
        return KD_OK;
    }
    if (type.id == KD_TYPE_TIMETZ) { /* The instant stands above the zone. */
        kd_i128 moved = (kd_i128)distance.micros * (1 << KD_TIMETZ_ZONE_BITS);
        io_key->integer += subtract ? -moved : moved;
        return KD_OK;
    }
    if (subtract)
        KD_TRY(kd_interval_negate(ctx, distance, &distance));
    int64_t moved;
    const kd_zone *zone = partition->facts == NULL || partition->facts->text == NULL
                              ? NULL
                              : partition->facts->text->zone;
    if (type.id == KD_TYPE_TIMESTAMPTZ)
        KD_TRY(kd_timestamptz_add(ctx, zone, (int64_t)io_key->integer, distance, &moved));
    else
        KD_TRY(kd_timestamp_add(ctx, (int64_t)io_key->integer, distance, &moved));
    io_key->integer = moved;
    return KD_OK;
}

/* Infinity less infinity is no number: the frame then holds all but NaN, as if the bound were
 * beyond everything. */
static void move_float(double by, range_way way, range_key *io_key)
{
    if (isinf(by) && isinf(io_key->number) &&
        (way.subtract ? io_key->number > 0 : io_key->number < 0))
        io_key->number = way.up_to ? (double)INFINITY : -(double)INFINITY;
    else
        io_key->number += way.subtract ? -by : by;
}

static kd_status move_decimal(kd_ctx *ctx, kd_arena *scratch, const kd_decimal *by, range_way way,
                              range_key *io_key)
{
    kd_decimal *key = &io_key->decimal;
    kd_decimal_kind opposite = way.subtract ? KD_DECIMAL_INFINITY : KD_DECIMAL_NEGATIVE_INFINITY;
    if (by->kind == KD_DECIMAL_INFINITY && key->kind == opposite) {
        key->kind = way.up_to ? KD_DECIMAL_INFINITY : KD_DECIMAL_NEGATIVE_INFINITY;
        return KD_OK;
    }
    return way.subtract ? kd_decimal_sub(ctx, scratch, key, by, key)
                        : kd_decimal_add(ctx, scratch, key, by, key);
}

static kd_status key_move(kd_ctx *ctx, kdi_window_partition *partition, kd_type type,
                          const kd_value *offset, range_way way, range_key *io_key)
{
    if (is_interval(offset))
        return move_by_interval(ctx, partition, type, offset->as.interval, way.subtract, io_key);
    range_key distance;
    kd_value given = *offset;
    KD_TRY(key_of(ctx, partition->scratch, offset->type, kd_value_payload(&given),
                  io_key->form == KEY_DECIMAL, &distance));
    if (io_key->form == KEY_DECIMAL)
        return move_decimal(ctx, partition->scratch, &distance.decimal, way, io_key);
    if (io_key->form == KEY_FLOAT) {
        move_float(distance.form == KEY_FLOAT ? distance.number : (double)distance.integer, way,
                   io_key);
        return KD_OK;
    }
    if (type.id == KD_TYPE_NUMERIC)
        for (int s = kd_numeric_scale(offset->type); s < kd_numeric_scale(type); s++)
            distance.integer *= 10;
    io_key->integer += way.subtract ? -distance.integer : distance.integer;
    return KD_OK;
}

/* ---- Looking for it ---- */

static int keys_compare(const range_key *a, const range_key *b)
{
    if (a->form == KEY_DECIMAL)
        return kd_decimal_compare(&a->decimal, &b->decimal);
    if (a->form == KEY_INTEGER)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    if (isnan(a->number) || isnan(b->number))
        return (int)isnan(a->number) - (int)isnan(b->number);
    return a->number < b->number ? -1 : a->number > b->number;
}

/* The first row of [low, high) whose key is not before `key` in the order (`after`: is behind it).
 */
static kd_status range_search(kd_ctx *ctx, kdi_window_partition *partition, const range_key *key,
                              bool after, uint64_t low, uint64_t high, uint64_t *out)
{
    const kdi_sort_column *order = &partition->order[0];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        range_key other;
        KD_TRY(
            key_of(ctx, partition->scratch, partition->layout->types[order->column],
                   kdi_row_at(partition->layout, kdi_window_row(partition, middle), order->column),
                   key->form == KEY_DECIMAL, &other));
        int compared = keys_compare(&other, key);
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
    uint64_t low = 0, high = partition->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        bool is_null =
            kdi_row_is_null(partition->layout, kdi_window_row(partition, middle), order->column);
        if (is_null == order->nulls_first)
            low = middle + 1;
        else
            high = middle;
    }
    *out_low = order->nulls_first ? low : 0;
    *out_high = order->nulls_first ? partition->count : low;
}

static bool is_fixed(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    return physical == KD_PHYS_I64 || physical == KD_PHYS_I128;
}

/* Whether integers of the column's scale are not enough: numerics stored by value, and distances of
 * a finer scale. */
static bool wants_decimals(kd_type type, kd_type distance)
{
    return type.id == KD_TYPE_NUMERIC && (!is_fixed(type) || !is_fixed(distance) ||
                                          kd_numeric_scale(distance) > kd_numeric_scale(type));
}

kd_status kdi_window_range_bound(kd_ctx *ctx, kdi_window_partition *partition, uint64_t row,
                                 const kd_value *offset, bool preceding, bool is_end, uint64_t *out)
{
    assert(partition->order_count == 1);
    const kdi_sort_column *order = &partition->order[0];
    if (kdi_row_is_null(partition->layout, kdi_window_row(partition, row), order->column)) {
        kdi_window_frame peers = kdi_window_peers(partition, row);
        *out = is_end ? peers.end : peers.start;
        return KD_OK;
    }
    kd_type type = partition->layout->types[order->column];
    range_way way = {.up_to = is_end != order->descending,
                     .subtract = preceding != order->descending};
    range_key key;
    uint64_t low, high;
    kd_arena_reset(partition->scratch);
    KD_TRY(key_of(ctx, partition->scratch, type,
                  kdi_row_at(partition->layout, kdi_window_row(partition, row), order->column),
                  wants_decimals(type, offset->type), &key));
    KD_TRY(key_move(ctx, partition, type, offset, way, &key));
    range_rows(partition, &low, &high);
    return range_search(ctx, partition, &key, is_end, low, high, out);
}

/* ---- Offsets ---- */

kd_status kdi_window_offset_check(kd_ctx *ctx, kd_arena *arena, kd_type ordered,
                                  const kd_value *offset)
{
    kd_value distance = *offset;
    range_key key;
    bool is_decimal = distance.type.id == KD_TYPE_NUMERIC;
    KD_TRY(key_of(ctx, arena, distance.type, kd_value_payload(&distance), is_decimal, &key));
    if (ordered.id == KD_TYPE_TIME || ordered.id == KD_TYPE_TIMETZ)
        key.integer = distance.as.interval.micros;
    bool is_wrong = key.form == KEY_INTEGER ? key.integer < 0
                    : key.form == KEY_FLOAT
                        ? isnan(key.number) || key.number < 0
                        : key.decimal.kind == KD_DECIMAL_NAN ||
                              key.decimal.kind == KD_DECIMAL_NEGATIVE_INFINITY ||
                              key.decimal.negative;
    return is_wrong ? KD_FAIL(ctx, KD_INVALID, "22013",
                              "invalid preceding or following size in window function")
                    : KD_OK;
}
