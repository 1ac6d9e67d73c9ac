/*
 * Encoding integers: FRAME, RLE or RAW, whichever takes the fewest bytes.
 *
 * All arithmetic is on uint64_t and may wrap: differences of int64_t always fit
 * that way, and reading adds them back in the same ring.
 *
 * A frame may follow a slope (base + slope * i), which makes ascending numbers and
 * regular timestamps cost next to nothing and still lets one value be read alone.
 * It is taken only when it saves at least 3 bits a value, because offsets from a
 * constant base can be given to operators as they are.
 */
#include "store/block_internal.h"

#include <assert.h>

enum { EXCEPTIONS_MAX = KD_VECTOR_ROWS / 8, SLOPE_GAIN_BITS = 3 };

typedef struct frame_plan {
    uint64_t factor;
    uint32_t row_count;
    uint32_t vector_count;
    uint32_t exception_bytes;
    size_t size_bytes;
    kdi_frame_entry entries[KDI_BLOCK_VECTORS];
} frame_plan;

typedef struct run_plan {
    uint64_t factor;
    uint32_t run_count;
    uint32_t offset_bytes;
    size_t size_bytes;
} run_plan;

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Usually ends after a few values, with 1. */
static uint64_t common_factor(const int64_t *values, uint32_t row_count, int64_t min)
{
    uint64_t factor = 0;
    uint64_t previous = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        uint64_t offset = (uint64_t)values[i] - (uint64_t)min;
        if (offset == previous)
            continue;
        previous = offset;
        if (factor != 0 && offset % factor == 0)
            continue;
        factor = greatest_divisor(offset, factor);
        if (factor == 1)
            break;
    }
    return factor == 0 ? 1 : factor;
}

void kdi_ints_profile(const int64_t *values, uint32_t row_count, kdi_int_profile *out_profile)
{
    assert(row_count > 0);
    int64_t min = values[0], max = values[0];
    uint32_t run_count = 1;
    for (uint32_t i = 1; i < row_count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        run_count += values[i] != values[i - 1];
    }
    uint64_t range = (uint64_t)max - (uint64_t)min;
    uint64_t factor = range > UINT8_MAX ? common_factor(values, row_count, min) : 1;
    /* Values with a factor cannot be given out as offsets: it has to save 3 bits. */
    if (factor > INT64_MAX || factor < (uint64_t)1 << SLOPE_GAIN_BITS)
        factor = 1;
    *out_profile = (kdi_int_profile){min, max, run_count, factor};
}

static uint32_t whole_bytes(uint64_t max_offset)
{
    unsigned width = kdi_bit_width(max_offset);
    return width <= 8 ? 1 : width <= 16 ? 2 : width <= 32 ? 4 : 8;
}

static size_t frame_data_bytes(unsigned width, uint32_t exception_count, uint32_t exception_bytes)
{
    return kdi_pack_bytes(width) + kdi_pad8((size_t)exception_count * exception_bytes) +
           kdi_pad8((size_t)exception_count * sizeof(uint16_t));
}

/* Counts of offsets by their width, then the cheapest width with everything wider as exceptions. */
static void choose_width(const uint64_t *offsets, uint32_t count, uint32_t exception_bytes,
                         kdi_frame_entry *entry)
{
    uint32_t by_width[65] = {0};
    for (uint32_t i = 0; i < count; i++)
        by_width[kdi_bit_width(offsets[i])]++;
    unsigned widest = 64;
    while (widest > 0 && by_width[widest] == 0)
        widest--;
    entry->width = (uint8_t)widest;
    entry->exception_count = 0;
    size_t best_bytes = frame_data_bytes(widest, 0, exception_bytes);
    uint32_t wider = 0;
    for (unsigned width = widest; width > 0; width--) {
        wider += by_width[width];
        if (wider > EXCEPTIONS_MAX)
            break;
        size_t bytes = frame_data_bytes(width - 1, wider, exception_bytes);
        if (bytes < best_bytes) {
            best_bytes = bytes;
            entry->width = (uint8_t)(width - 1);
            entry->exception_count = (uint16_t)wider;
        }
    }
}

/* Offsets of one vector under the entry's base and slope. */
static void frame_offsets(const int64_t *values, uint32_t count, const kdi_frame_entry *entry,
                          uint64_t factor, uint64_t *restrict offsets)
{
    uint64_t base = (uint64_t)entry->base, slope = (uint64_t)entry->slope;
    for (uint32_t i = 0; i < count; i++)
        offsets[i] = (uint64_t)values[i] - base - slope * i;
    if (factor > 1)
        for (uint32_t i = 0; i < count; i++)
            offsets[i] /= factor;
}

static uint64_t vector_range(const int64_t *values, uint32_t count, int64_t *out_min)
{
    int64_t min = values[0], max = values[0];
    for (uint32_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    *out_min = min;
    return (uint64_t)max - (uint64_t)min;
}

/* Only for vectors whose ends are their extremes and whose range leaves room for the sums. */
static void try_slope(const int64_t *values, uint32_t count, uint64_t range, uint64_t factor,
                      kdi_frame_entry *entry)
{
    int64_t first = values[0], last = values[count - 1];
    uint64_t span =
        last > first ? (uint64_t)last - (uint64_t)first : (uint64_t)first - (uint64_t)last;
    if (count < 3 || span != range || range == 0 || range >> 61 != 0)
        return;
    uint64_t step = span / factor / (count - 1) * factor;
    if (step == 0)
        return;
    uint64_t slope = last > first ? step : 0 - step;
    int64_t low = 0, high = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t rest = (int64_t)((uint64_t)values[i] - (uint64_t)first - slope * i);
        low = rest < low ? rest : low;
        high = rest > high ? rest : high;
    }
    unsigned flat_width = kdi_bit_width(range / factor);
    unsigned slope_width = kdi_bit_width(((uint64_t)high - (uint64_t)low) / factor);
    if (slope_width + SLOPE_GAIN_BITS > flat_width)
        return;
    entry->base = (int64_t)((uint64_t)first + (uint64_t)low);
    entry->slope = (int64_t)slope;
}

static void frame_plan_make(const int64_t *values, uint32_t row_count,
                            const kdi_int_profile *profile, frame_plan *out_plan)
{
    uint64_t offsets[KD_VECTOR_ROWS];
    *out_plan = (frame_plan){.factor = profile->factor, .row_count = row_count};
    out_plan->vector_count = kdi_vector_count(row_count);
    uint64_t range = ((uint64_t)profile->max - (uint64_t)profile->min) / profile->factor;
    uint32_t bytes = whole_bytes(range);
    out_plan->exception_bytes = bytes < 2 ? 2 : bytes;
    size_t at = sizeof(kdi_frame_head) + out_plan->vector_count * sizeof(kdi_frame_entry);
    for (uint32_t vector = 0; vector < out_plan->vector_count; vector++) {
        const int64_t *part = values + (size_t)vector * KD_VECTOR_ROWS;
        uint32_t count = row_count - vector * KD_VECTOR_ROWS;
        count = count > KD_VECTOR_ROWS ? KD_VECTOR_ROWS : count;
        kdi_frame_entry *entry = &out_plan->entries[vector];
        uint64_t part_range = vector_range(part, count, &entry->base);
        try_slope(part, count, part_range, profile->factor, entry);
        frame_offsets(part, count, entry, profile->factor, offsets);
        choose_width(offsets, count, out_plan->exception_bytes, entry);
        entry->data_at = (uint32_t)at;
        at += frame_data_bytes(entry->width, entry->exception_count, out_plan->exception_bytes);
    }
    out_plan->size_bytes = at;
}

static void store_integer(uint8_t *target, uint64_t value, uint32_t size_bytes)
{
    memcpy(target, &value, size_bytes); /* Little-endian: the low bytes come first. */
}

static void frame_write_vector(const int64_t *values, uint32_t count, const frame_plan *plan,
                               const kdi_frame_entry *entry, uint8_t *payload)
{
    uint64_t offsets[KD_VECTOR_ROWS] = {0};
    frame_offsets(values, count, entry, plan->factor, offsets);
    uint8_t *at = payload + entry->data_at;
    uint8_t *exceptions = at + kdi_pack_bytes(entry->width);
    uint8_t *rows = exceptions + kdi_pad8((size_t)entry->exception_count * plan->exception_bytes);
    uint32_t exception = 0;
    for (uint32_t i = 0; i < count && exception < entry->exception_count; i++) {
        if (kdi_bit_width(offsets[i]) <= entry->width)
            continue;
        store_integer(exceptions + (size_t)exception * plan->exception_bytes, offsets[i],
                      plan->exception_bytes);
        kd_store_u16(rows + (size_t)exception * sizeof(uint16_t), (uint16_t)i);
        exception++;
    }
    assert(exception == entry->exception_count);
    kdi_pack(offsets, entry->width, at);
}

static kd_status frame_write(kd_ctx *ctx, const int64_t *values, const frame_plan *plan,
                             kd_buffer *out)
{
    char *room;
    KD_TRY(kd_buffer_reserve(ctx, out, plan->size_bytes, &room));
    uint8_t *payload = (uint8_t *)room;
    memset(payload, 0, plan->size_bytes);
    kdi_frame_head head = {(int64_t)plan->factor, plan->vector_count, plan->exception_bytes};
    memcpy(payload, &head, sizeof head);
    memcpy(payload + sizeof head, plan->entries, plan->vector_count * sizeof(kdi_frame_entry));
    for (uint32_t vector = 0; vector < plan->vector_count; vector++) {
        uint32_t count = plan->row_count - vector * KD_VECTOR_ROWS;
        frame_write_vector(values + (size_t)vector * KD_VECTOR_ROWS,
                           count > KD_VECTOR_ROWS ? KD_VECTOR_ROWS : count, plan,
                           &plan->entries[vector], payload);
    }
    out->size_bytes += plan->size_bytes;
    return KD_OK;
}

kd_status kdi_frame_append(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                           const kdi_int_profile *profile, kd_buffer *out)
{
    frame_plan plan;
    frame_plan_make(values, row_count, profile, &plan);
    return frame_write(ctx, values, &plan, out);
}

static run_plan run_plan_make(const kdi_int_profile *profile)
{
    uint64_t range = ((uint64_t)profile->max - (uint64_t)profile->min) / profile->factor;
    run_plan plan = {.factor = profile->factor, .run_count = profile->run_count};
    plan.offset_bytes = whole_bytes(range);
    plan.size_bytes = sizeof(kdi_run_head) + kdi_pad8((size_t)plan.run_count * plan.offset_bytes) +
                      kdi_pad8((size_t)plan.run_count * sizeof(uint16_t));
    return plan;
}

static kd_status runs_write(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                            const kdi_int_profile *profile, const run_plan *plan, kd_buffer *out)
{
    char *room;
    KD_TRY(kd_buffer_reserve(ctx, out, plan->size_bytes, &room));
    uint8_t *payload = (uint8_t *)room;
    memset(payload, 0, plan->size_bytes);
    kdi_run_head head = {profile->min, (int64_t)plan->factor, plan->run_count, plan->offset_bytes};
    memcpy(payload, &head, sizeof head);
    uint8_t *offsets = payload + sizeof head;
    uint8_t *starts = offsets + kdi_pad8((size_t)plan->run_count * plan->offset_bytes);
    uint32_t run = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        if (i > 0 && values[i] == values[i - 1])
            continue;
        uint64_t offset = ((uint64_t)values[i] - (uint64_t)profile->min) / plan->factor;
        store_integer(offsets + (size_t)run * plan->offset_bytes, offset, plan->offset_bytes);
        kd_store_u16(starts + (size_t)run * sizeof(uint16_t), (uint16_t)i);
        run++;
    }
    assert(run == plan->run_count);
    out->size_bytes += plan->size_bytes;
    return KD_OK;
}

static kd_status raw_write(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                           uint32_t value_bytes, kd_buffer *out)
{
    size_t size_bytes = (size_t)row_count * value_bytes;
    char *room;
    KD_TRY(kd_buffer_reserve(ctx, out, kdi_pad8(size_bytes), &room));
    memset(room + size_bytes, 0, kdi_pad8(size_bytes) - size_bytes);
    for (uint32_t i = 0; i < row_count; i++)
        store_integer((uint8_t *)room + (size_t)i * value_bytes, (uint64_t)values[i], value_bytes);
    out->size_bytes += kdi_pad8(size_bytes);
    return KD_OK;
}

/* A block of more rows than a vector's worth of runs reads faster as a frame; runs must pay. */
static kdi_encoding cheapest(const frame_plan *frame, const run_plan *runs, size_t raw_bytes,
                             size_t *out_bytes)
{
    kdi_encoding encoding = KDI_FRAME;
    *out_bytes = frame->size_bytes;
    if (runs->size_bytes < *out_bytes) {
        encoding = KDI_RLE;
        *out_bytes = runs->size_bytes;
    }
    if (raw_bytes <= *out_bytes) {
        encoding = KDI_RAW;
        *out_bytes = raw_bytes;
    }
    return encoding;
}

size_t kdi_ints_cost(const int64_t *values, uint32_t row_count, kd_physical physical,
                     const kdi_int_profile *profile, kdi_encoding *out_encoding)
{
    frame_plan frame;
    frame_plan_make(values, row_count, profile, &frame);
    run_plan runs = run_plan_make(profile);
    size_t bytes;
    *out_encoding =
        cheapest(&frame, &runs, kdi_pad8((size_t)row_count * kd_physical_bytes(physical)), &bytes);
    return bytes;
}

kd_status kdi_ints_encode(kd_ctx *ctx, const int64_t *values, uint32_t row_count,
                          kd_physical physical, const kdi_int_profile *profile, kdi_encoding force,
                          kd_buffer *out, kdi_encoding *out_encoding)
{
    assert(row_count > 0 && row_count <= KD_BLOCK_ROWS);
    frame_plan frame;
    frame_plan_make(values, row_count, profile, &frame);
    run_plan runs = run_plan_make(profile);
    uint32_t value_bytes = kd_physical_bytes(physical);
    size_t bytes;
    *out_encoding = cheapest(&frame, &runs, kdi_pad8((size_t)row_count * value_bytes), &bytes);
    if (force != 0)
        *out_encoding = force;
    switch (*out_encoding) {
    case KDI_RLE:
        return runs_write(ctx, values, row_count, profile, &runs, out);
    case KDI_RAW:
        return raw_write(ctx, values, row_count, value_bytes, out);
    default:
        *out_encoding = KDI_FRAME;
        return frame_write(ctx, values, &frame, out);
    }
}
