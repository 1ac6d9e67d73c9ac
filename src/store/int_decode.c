/*
 * Checking and reading the integer payloads: FRAME and RLE.
 *
 * The check functions take any bytes; the others only payloads that passed.
 */
#include "store/block_internal.h"

/* --- FRAME --- */

static kdi_frame_head frame_head(const uint8_t *payload)
{
    kdi_frame_head head;
    memcpy(&head, payload, sizeof head);
    return head;
}

static kdi_frame_entry frame_entry(const uint8_t *payload, uint32_t vector)
{
    kdi_frame_entry entry;
    memcpy(&entry, payload + sizeof(kdi_frame_head) + (size_t)vector * sizeof entry, sizeof entry);
    return entry;
}

/* Where the exceptions of a vector stand. */
static const uint8_t *frame_exceptions(const uint8_t *payload, const kdi_frame_entry *entry)
{
    return payload + entry->data_at + kdi_pack_bytes(entry->width);
}

static const uint8_t *frame_exception_rows(const uint8_t *payload, const kdi_frame_entry *entry,
                                           uint32_t exception_bytes)
{
    return frame_exceptions(payload, entry) +
           kdi_pad8((size_t)entry->exception_count * exception_bytes);
}

static const char *rows_check(const uint8_t *rows, uint32_t count, uint32_t row_limit)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = kd_load_u16(rows + (size_t)i * sizeof(uint16_t));
        if (row < next || row >= row_limit)
            return "rows of exceptions are out of order";
        next = row + 1;
    }
    return NULL;
}

const char *kdi_frame_check(const uint8_t *payload, size_t payload_bytes, uint32_t row_count,
                            size_t *out_used_bytes)
{
    *out_used_bytes = 0;
    if (payload_bytes < sizeof(kdi_frame_head))
        return "the frame is cut off";
    kdi_frame_head head = frame_head(payload);
    size_t used = sizeof head + (size_t)head.vector_count * sizeof(kdi_frame_entry);
    if (head.vector_count != kdi_vector_count(row_count) || used > payload_bytes)
        return "the frame has a wrong number of vectors";
    if (head.exception_bytes != 2 && head.exception_bytes != 4 && head.exception_bytes != 8)
        return "the frame's exceptions have a wrong width";
    if (head.factor < 1)
        return "the frame's factor is not positive";
    for (uint32_t vector = 0; vector < head.vector_count; vector++) {
        kdi_frame_entry entry = frame_entry(payload, vector);
        if (entry.width > 64 || entry.data_at % 8 != 0)
            return "a vector of the frame has a wrong width or place";
        size_t end = entry.data_at + kdi_pack_bytes(entry.width) +
                     kdi_pad8((size_t)entry.exception_count * head.exception_bytes) +
                     kdi_pad8((size_t)entry.exception_count * sizeof(uint16_t));
        if (entry.data_at < used || end > payload_bytes)
            return "a vector of the frame is outside the block";
        const char *wrong = rows_check(frame_exception_rows(payload, &entry, head.exception_bytes),
                                       entry.exception_count, KD_VECTOR_ROWS);
        if (wrong != NULL)
            return wrong;
        used = end;
    }
    *out_used_bytes = used;
    return NULL;
}

size_t kdi_frame_bytes(const uint8_t *payload)
{
    kdi_frame_head head = frame_head(payload);
    kdi_frame_entry entry = frame_entry(payload, head.vector_count - 1);
    return entry.data_at + kdi_pack_bytes(entry.width) +
           kdi_pad8((size_t)entry.exception_count * head.exception_bytes) +
           kdi_pad8((size_t)entry.exception_count * sizeof(uint16_t));
}

static bool frame_find_exception(const uint8_t *payload, const kdi_frame_entry *entry,
                                 uint32_t exception_bytes, uint32_t row, uint64_t *out_offset)
{
    const uint8_t *rows = frame_exception_rows(payload, entry, exception_bytes);
    uint32_t low = 0, high = entry->exception_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        uint32_t at = kd_load_u16(rows + (size_t)middle * sizeof(uint16_t));
        if (at == row) {
            *out_offset = kdi_load_integer(frame_exceptions(payload, entry) +
                                               (size_t)middle * exception_bytes,
                                           exception_bytes);
            return true;
        }
        if (at < row)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int64_t kdi_frame_get(const uint8_t *payload, uint32_t row)
{
    kdi_frame_head head = frame_head(payload);
    kdi_frame_entry entry = frame_entry(payload, row / KD_VECTOR_ROWS);
    uint32_t i = row % KD_VECTOR_ROWS;
    uint64_t offset;
    if (entry.exception_count == 0 ||
        !frame_find_exception(payload, &entry, head.exception_bytes, i, &offset))
        offset = kdi_pack_get(payload + entry.data_at, entry.width, i);
    return (int64_t)((uint64_t)entry.base + (uint64_t)entry.slope * i +
                     (uint64_t)head.factor * offset);
}

kdi_frame_part kdi_frame_part_of(const uint8_t *payload, uint32_t vector)
{
    kdi_frame_head head = frame_head(payload);
    kdi_frame_entry entry = frame_entry(payload, vector);
    kdi_frame_part part = {
        .base = entry.base,
        .slope = entry.slope,
        .factor = head.factor,
        .packed = payload + entry.data_at,
        .width = entry.width,
        .max_offset = entry.width == 64 ? UINT64_MAX : ((uint64_t)1 << entry.width) - 1,
        .exception_count = entry.exception_count,
        .exception_bytes = head.exception_bytes,
        .exceptions = frame_exceptions(payload, &entry),
        .exception_rows = frame_exception_rows(payload, &entry, head.exception_bytes)};
    for (uint32_t i = 0; i < part.exception_count; i++) {
        uint64_t offset = kdi_frame_exception(&part, i);
        part.max_offset = offset > part.max_offset ? offset : part.max_offset;
    }
    return part;
}

uint64_t kdi_frame_exception(const kdi_frame_part *part, uint32_t index)
{
    return kdi_load_integer(part->exceptions + (size_t)index * part->exception_bytes,
                            part->exception_bytes);
}

static void widen(const void *restrict lanes, unsigned lane_bits, uint64_t *restrict out)
{
    switch (lane_bits) {
    case 8:
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
            out[i] = ((const uint8_t *)lanes)[i];
        break;
    case 16:
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
            out[i] = ((const uint16_t *)lanes)[i];
        break;
    case 32:
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
            out[i] = ((const uint32_t *)lanes)[i];
        break;
    default:
        memcpy(out, lanes, KD_VECTOR_ROWS * sizeof *out);
        break;
    }
}

void kdi_frame_expand(const uint8_t *payload, uint32_t vector, int64_t *out)
{
    uint64_t lanes[KD_VECTOR_ROWS];
    uint64_t *values = (uint64_t *)out;
    kdi_frame_part part = kdi_frame_part_of(payload, vector);
    kdi_unpack(part.packed, part.width, lanes);
    widen(lanes, kdi_pack_lane_bits(part.width), values);
    for (uint32_t i = 0; i < part.exception_count; i++)
        values[kd_load_u16(part.exception_rows + (size_t)i * 2)] = kdi_frame_exception(&part, i);
    uint64_t base = (uint64_t)part.base, slope = (uint64_t)part.slope;
    uint64_t factor = (uint64_t)part.factor;
    if (factor == 1 && slope == 0)
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
            values[i] += base;
    else
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)
            values[i] = values[i] * factor + base + slope * i;
}

/* --- RLE --- */

const char *kdi_runs_check(const uint8_t *payload, size_t payload_bytes, uint32_t row_count)
{
    if (payload_bytes < sizeof(kdi_run_head))
        return "the runs are cut off";
    kdi_run_head head;
    memcpy(&head, payload, sizeof head);
    if (head.offset_bytes != 1 && head.offset_bytes != 2 && head.offset_bytes != 4 &&
        head.offset_bytes != 8)
        return "the runs' values have a wrong width";
    if (head.run_count == 0 || head.run_count > row_count || head.factor < 1)
        return "the number of runs is wrong";
    size_t needed = sizeof head + kdi_pad8((size_t)head.run_count * head.offset_bytes) +
                    kdi_pad8((size_t)head.run_count * sizeof(uint16_t));
    if (needed > payload_bytes)
        return "the runs are cut off";
    const uint8_t *starts = kdi_runs_of(payload).starts;
    if (kd_load_u16(starts) != 0)
        return "the first run does not start at the first row";
    if (rows_check(starts, head.run_count, row_count) != NULL)
        return "the runs' first rows do not ascend";
    return NULL;
}

uint32_t kdi_runs_find(const kdi_runs *runs, uint32_t row)
{
    return kdi_runs_find_between(runs, 0, runs->head.run_count, row);
}

uint32_t kdi_runs_find_between(const kdi_runs *runs, uint32_t low, uint32_t high, uint32_t row)
{
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (kd_load_u16(runs->starts + (size_t)middle * sizeof(uint16_t)) <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t kdi_runs_get(const uint8_t *payload, uint32_t row)
{
    kdi_runs runs = kdi_runs_of(payload);
    return kdi_run_value(&runs, kdi_runs_find(&runs, row));
}
