/*
 * Reading blocks: rows as a vector in the cheapest form, and single values.
 *
 * Only blocks that passed kdi_block_check come here.
 */
#include "store/block_internal.h"

#include <assert.h>

/* Runs that are given out as a dictionary, and the rows that a run must have then. */
enum { DICT_RUNS_MAX = KD_BATCH_ROWS / 2, DICT_RUN_ROWS_MIN = 2 };
/* Rows are picked one by one when at most one in so many is asked for. */
enum { PICK_SHARE = 16, RUN_STEPS = 6 };

static const double powers_of_ten[19] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                         1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

bool kdi_type_takes_dictionary(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    return physical == KD_PHYS_STR || physical == KD_PHYS_I16 || physical == KD_PHYS_I32 ||
           physical == KD_PHYS_I64;
}

/* Not so for numeric (1.0 and 1.00), jsonb and arrays: equal values may differ in their bytes. */
bool kdi_type_codes_are_values(kd_type type)
{
    if (kd_type_physical(type) != KD_PHYS_STR)
        return true;
    return kd_type_is_string(type) || (type.id == KD_TYPE_BYTEA && !type.is_array);
}

/* What a read asks for: all of row_count rows, or only `rows`, counted from the first. */
typedef struct decode_range {
    uint32_t first_row, row_count;
    const uint16_t *rows; /* NULL: all. */
    uint32_t count;
} decode_range;

static kd_status room_values(kd_ctx *ctx, kdi_decode_room *room)
{
    if (room->values == NULL) {
        room->values = kd_alloc(ctx, room->arena, (size_t)KD_BATCH_ROWS * 16);
        if (room->values == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

static kd_status room_wide(kd_ctx *ctx, kdi_decode_room *room)
{
    if (room->wide == NULL) {
        room->wide = kd_alloc(ctx, room->arena, (size_t)KD_BATCH_ROWS * sizeof(int64_t));
        if (room->wide == NULL)
            return KD_NOMEM;
    }
    return KD_OK;
}

static kd_status room_dictionary(kd_ctx *ctx, kdi_decode_room *room, size_t size_bytes)
{
    room->dictionary_of = 0;
    if (room->dictionary_capacity < size_bytes) {
        room->dictionary_capacity = 0;
        room->dictionary_values = kd_alloc(ctx, room->arena, size_bytes);
        if (room->dictionary_values == NULL)
            return KD_NOMEM;
        room->dictionary_capacity = size_bytes;
    }
    return KD_OK;
}

/* The block's validity bits from first_row on, or NULL when all of these rows are valid. */
static uint64_t *validity_of(const kdi_block_view *view, uint32_t first_row, uint32_t row_count)
{
    if (view->validity == NULL)
        return NULL;
    const uint64_t *bits = view->validity + first_row / 64;
    for (uint32_t word = 0; word < row_count / 64; word++)
        if (bits[word] != UINT64_MAX)
            return kdi_unconst(bits);
    uint32_t rest = row_count % 64;
    if (rest != 0) {
        uint64_t mask = ((uint64_t)1 << rest) - 1;
        if ((bits[row_count / 64] & mask) != mask)
            return kdi_unconst(bits);
    }
    return NULL;
}

static kd_str string_at(const uint8_t *ends, const char *text, uint32_t index)
{
    uint32_t start = index == 0 ? 0 : kd_load_u32(ends + ((size_t)index - 1) * sizeof(uint32_t));
    uint32_t end = kd_load_u32(ends + (size_t)index * sizeof(uint32_t));
    return kd_str_from(text + start, end - start);
}

/* --- CONSTANT --- */

static bool constant_load(const kdi_decode_input *input, void *out_payload)
{
    const uint8_t *payload = input->view.payload;
    memset(out_payload, 0, 16);
    if (kd_load_u32(payload) != 0)
        return false;
    uint32_t size_bytes = kd_load_u32(payload + 4);
    if (input->physical == KD_PHYS_STR) {
        kd_str str = kd_str_from((const char *)payload + 8, size_bytes);
        memcpy(out_payload, &str, sizeof str);
    } else {
        memcpy(out_payload, payload + 8, size_bytes);
    }
    return true;
}

static void decode_constant(const kdi_decode_input *input, kdi_decode_room *room, kd_vector *out)
{
    out->form = KD_VECTOR_CONSTANT;
    out->values = room->constant;
    if (!constant_load(input, room->constant)) {
        room->constant_validity[0] = 0;
        out->validity = room->constant_validity;
    }
}

/* --- RAW --- */

static kd_status decode_raw(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                            uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    size_t value_bytes = kd_physical_bytes(input->physical);
    const uint8_t *at = input->view.payload + first_row * value_bytes;
    if (value_bytes <= 8) {
        out->values = kdi_unconst(at);
        return KD_OK;
    }
    /* A block is aligned to 8 bytes, not to 16. */
    KD_TRY(room_values(ctx, room));
    memcpy(room->values, at, row_count * value_bytes);
    out->values = room->values;
    return KD_OK;
}

/* --- FRAME --- */

static void narrow(const int64_t *restrict values, uint32_t row_count, kd_physical physical,
                   void *restrict target)
{
    switch (physical) {
    case KD_PHYS_BOOL:
        for (uint32_t i = 0; i < row_count; i++)
            ((uint8_t *)target)[i] = values[i] != 0;
        break;
    case KD_PHYS_I16:
        for (uint32_t i = 0; i < row_count; i++)
            ((int16_t *)target)[i] = (int16_t)values[i];
        break;
    case KD_PHYS_I32:
        for (uint32_t i = 0; i < row_count; i++)
            ((int32_t *)target)[i] = (int32_t)values[i];
        break;
    default:
        memcpy(target, values, (size_t)row_count * sizeof *values);
        break;
    }
}

#define PLACE_LOOP(from, to)                                                                    \
    if (factor == 1)                                                                            \
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)                                           \
            ((to *)target)[i] = (to)((to)((const from *)lanes)[i] + (to)addend);                \
    else                                                                                        \
        for (uint32_t i = 0; i < KD_VECTOR_ROWS; i++)                                           \
            ((to *)target)[i] =                                                                 \
                (to)((uint32_t)((const from *)lanes)[i] * (uint32_t)factor + (uint32_t)addend); \
    break

/* Lanes * factor + addend, which fit the target. */
static void place_lanes(const void *restrict lanes, unsigned lane_bits, uint64_t factor,
                        uint64_t addend, uint32_t target_bytes, void *restrict target)
{
    switch (lane_bits + target_bytes) {
    case 8 + 1:
        PLACE_LOOP(uint8_t, uint8_t);
    case 8 + 2:
        PLACE_LOOP(uint8_t, uint16_t);
    case 8 + 4:
        PLACE_LOOP(uint8_t, uint32_t);
    case 16 + 2:
        PLACE_LOOP(uint16_t, uint16_t);
    case 16 + 4:
        PLACE_LOOP(uint16_t, uint32_t);
    default:
        PLACE_LOOP(uint32_t, uint32_t);
    }
}
#undef PLACE_LOOP

static void place_integer(void *target, uint32_t row, uint32_t target_bytes, uint64_t value)
{
    memcpy((uint8_t *)target + (size_t)row * target_bytes, &value, target_bytes);
}

/* The part's offsets * factor + addend into target_bytes each; they fit. */
static void frame_place(const kdi_frame_part *part, uint64_t addend, uint32_t target_bytes,
                        void *target)
{
    uint64_t lanes[KD_VECTOR_ROWS];
    unsigned lane_bits = kdi_pack_lane_bits(part->width);
    uint64_t factor = (uint64_t)part->factor;
    if (addend == 0 && factor == 1 && lane_bits == target_bytes * 8) {
        kdi_unpack(part->packed, part->width, target);
    } else {
        kdi_unpack(part->packed, part->width, lanes);
        place_lanes(lanes, lane_bits, factor, addend, target_bytes, target);
    }
    for (uint32_t i = 0; i < part->exception_count; i++)
        place_integer(target, kd_load_u16(part->exception_rows + (size_t)i * 2), target_bytes,
                      kdi_frame_exception(part, i) * factor + addend);
}

/* Width of offsets from the lower of the parts' bases, or 0 when a frame does not serve. */
static uint32_t frame_width(const kdi_frame_part *parts, uint32_t part_count, kd_physical physical,
                            int64_t *out_base)
{
    int64_t base = parts[0].base;
    for (uint32_t i = 1; i < part_count; i++)
        base = parts[i].base < base ? parts[i].base : base;
    *out_base = base;
    uint64_t highest = 0;
    for (uint32_t i = 0; i < part_count; i++) {
        uint64_t shift = (uint64_t)parts[i].base - (uint64_t)base;
        if (parts[i].slope != 0 || parts[i].factor > (int64_t)UINT32_MAX || shift > UINT32_MAX ||
            parts[i].max_offset > UINT32_MAX)
            return 0;
        uint64_t high = shift + parts[i].max_offset * (uint64_t)parts[i].factor;
        highest = high > highest ? high : highest;
    }
    uint32_t width = highest <= UINT8_MAX ? 1 : highest <= UINT16_MAX ? 2 : 4;
    if (highest > UINT32_MAX || physical == KD_PHYS_BOOL || width >= kd_physical_bytes(physical))
        return 0;
    return width;
}

static kd_status decode_frame(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                              uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    enum { PARTS_MAX = KD_BATCH_ROWS / KD_VECTOR_ROWS };
    kdi_frame_part parts[PARTS_MAX];
    uint32_t first = first_row / KD_VECTOR_ROWS;
    uint32_t count = kdi_vector_count(row_count);
    KD_TRY(room_values(ctx, room));
    out->values = room->values;
    for (uint32_t i = 0; i < count; i++)
        parts[i] = kdi_frame_part_of(input->view.payload, first + i);
    int64_t base;
    uint32_t width = frame_width(parts, count, input->physical, &base);
    if (width != 0) {
        out->form = KD_VECTOR_FRAME;
        out->base = base;
        out->width_bytes = (uint8_t)width;
        for (uint32_t i = 0; i < count; i++)
            frame_place(&parts[i], (uint64_t)parts[i].base - (uint64_t)base, width,
                        (uint8_t *)room->values + (size_t)i * KD_VECTOR_ROWS * width);
        return KD_OK;
    }
    if (input->physical == KD_PHYS_I64) {
        for (uint32_t i = 0; i < count; i++)
            kdi_frame_expand(input->view.payload, first + i,
                             (int64_t *)room->values + (size_t)i * KD_VECTOR_ROWS);
        return KD_OK;
    }
    KD_TRY(room_wide(ctx, room));
    for (uint32_t i = 0; i < count; i++)
        kdi_frame_expand(input->view.payload, first + i, room->wide + (size_t)i * KD_VECTOR_ROWS);
    narrow(room->wide, row_count, input->physical, room->values);
    return KD_OK;
}

/* --- RLE --- */

/* The part of a block's runs that a read asks for. */
typedef struct run_range {
    kdi_runs runs;
    uint32_t first_run, run_count;
    uint32_t first_row, end_row;
    kd_physical physical;
} run_range;

/* Where the run at `index` begins and the one after it, counted from the range's first row. */
static uint32_t run_begin(const run_range *range, uint32_t index)
{
    if (index == 0)
        return 0;
    const uint8_t *start = range->runs.starts + (size_t)(range->first_run + index) * 2;
    return index == range->run_count ? range->end_row - range->first_row
                                     : kd_load_u16(start) - range->first_row;
}

#define WIDEN_RUNS(type)                                                              \
    for (uint32_t i = 0; i < range->run_count; i++)                                   \
        out[i] = (int64_t)(base + factor * ((const type *)(const void *)offsets)[i]); \
    break

/* The runs' values. */
static void runs_widen(const run_range *range, int64_t *restrict out)
{
    const kdi_run_head *head = &range->runs.head;
    const uint8_t *offsets = range->runs.offsets + (size_t)range->first_run * head->offset_bytes;
    uint64_t base = (uint64_t)head->base, factor = (uint64_t)head->factor;
    switch (head->offset_bytes) {
    case 1:
        WIDEN_RUNS(uint8_t);
    case 2:
        WIDEN_RUNS(uint16_t);
    case 4:
        WIDEN_RUNS(uint32_t);
    default:
        WIDEN_RUNS(uint64_t);
    }
}
#undef WIDEN_RUNS

/* Each value over its run: pieces of fixed size, of which the last reaches into the next run. The
 * target has room for one more than the rows. */
#define SPREAD_LOOP(name, type, value_of)                                       \
    static void name(const run_range *range, const int64_t *values, void *room) \
    {                                                                           \
        enum { PIECE = sizeof(type) >= 4 ? 4 : 8 };                             \
        type *target = room;                                                    \
        (void)values;                                                           \
        for (uint32_t i = 0, row = 0; i < range->run_count; i++) {              \
            type value = (type)(value_of);                                      \
            uint32_t end = run_begin(range, i + 1);                             \
            for (; row < end; row += PIECE)                                     \
                for (uint32_t k = 0; k < PIECE; k++)                            \
                    target[row + k] = value;                                    \
            row = end;                                                          \
        }                                                                       \
    }
SPREAD_LOOP(spread_8, uint8_t, values[i])
SPREAD_LOOP(spread_16, uint16_t, values[i])
SPREAD_LOOP(spread_32, uint32_t, values[i])
SPREAD_LOOP(spread_64, uint64_t, values[i])
SPREAD_LOOP(spread_code_8, uint8_t, i)
SPREAD_LOOP(spread_code_16, uint16_t, i)
#undef SPREAD_LOOP

/* Whether no value occurs twice, as in a sorted column: then the runs are a dictionary. */
static bool runs_are_distinct(const int64_t *values, uint32_t count)
{
    uint32_t ascending = 0, descending = 0;
    for (uint32_t i = 1; i < count; i++) {
        ascending += values[i] > values[i - 1];
        descending += values[i] < values[i - 1];
    }
    return ascending == count - 1 || descending == count - 1;
}

static kd_status decode_runs_as_codes(kd_ctx *ctx, const kdi_decode_input *input,
                                      const run_range *range, kdi_decode_room *room, kd_vector *out)
{
    KD_TRY(room_dictionary(ctx, room, (size_t)DICT_RUNS_MAX * sizeof(int64_t)));
    narrow(room->wide, range->run_count, range->physical, room->dictionary_values);
    bool is_narrow = range->run_count <= UINT8_MAX + 1;
    if (is_narrow)
        spread_code_8(range, NULL, room->values);
    else
        spread_code_16(range, NULL, room->values);
    room->dictionary = (kd_vector){.type = input->type,
                                   .physical = (uint8_t)input->physical,
                                   .form = KD_VECTOR_FLAT,
                                   .values = room->dictionary_values};
    out->form = KD_VECTOR_DICT;
    out->width_bytes = is_narrow ? 1 : 2;
    out->values = room->values;
    out->dictionary = &room->dictionary;
    out->dictionary_count = range->run_count;
    return KD_OK;
}

static void runs_spread(const run_range *range, int64_t *values, void *target)
{
    switch (range->physical) {
    case KD_PHYS_BOOL:
        for (uint32_t i = 0; i < range->run_count; i++)
            values[i] = values[i] != 0;
        spread_8(range, values, target);
        break;
    case KD_PHYS_I16:
        spread_16(range, values, target);
        break;
    case KD_PHYS_I32:
        spread_32(range, values, target);
        break;
    default:
        spread_64(range, values, target);
        break;
    }
}

static run_range run_range_of(const kdi_decode_input *input, uint32_t first_row, uint32_t row_count)
{
    run_range range = {.runs = kdi_runs_of(input->view.payload),
                       .first_row = first_row,
                       .end_row = first_row + row_count,
                       .physical = input->physical};
    range.first_run = kdi_runs_find(&range.runs, first_row);
    range.run_count = kdi_runs_find(&range.runs, range.end_row - 1) - range.first_run + 1;
    return range;
}

static kd_status decode_runs(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                             uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    run_range range = run_range_of(input, first_row, row_count);
    KD_TRY(room_wide(ctx, room));
    runs_widen(&range, room->wide);
    if (range.run_count == 1 && out->validity == NULL) {
        out->form = KD_VECTOR_CONSTANT;
        out->values = room->constant;
        narrow(room->wide, 1, range.physical, room->constant);
        return KD_OK;
    }
    KD_TRY(room_values(ctx, room));
    out->values = room->values;
    if (out->validity == NULL && range.run_count <= DICT_RUNS_MAX &&
        range.run_count * DICT_RUN_ROWS_MIN <= row_count && input->physical != KD_PHYS_BOOL &&
        runs_are_distinct(room->wide, range.run_count))
        return decode_runs_as_codes(ctx, input, &range, room, out);
    runs_spread(&range, room->wide, room->values);
    return KD_OK;
}

/* --- DICT and LOCAL --- */

/* The codes of the rows asked for; all others are 0. */
static void codes_pick(const uint8_t *packed, uint32_t width, const decode_range *range,
                       uint32_t code_bytes, void *codes)
{
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t at = range->first_row + range->rows[i];
        kdi_pack_prefetch(packed + at / KD_VECTOR_ROWS * kdi_pack_bytes(width), width,
                          at % KD_VECTOR_ROWS);
    }
    memset(codes, 0, (size_t)range->row_count * code_bytes);
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t at = range->first_row + range->rows[i];
        uint64_t code = kdi_pack_get(packed + at / KD_VECTOR_ROWS * kdi_pack_bytes(width), width,
                                     at % KD_VECTOR_ROWS);
        place_integer(codes, range->rows[i], code_bytes, code);
    }
}

/* The codes of whole vectors: in the block itself where they are whole bytes there. */
static kd_status decode_codes(kd_ctx *ctx, const uint8_t *packed, uint32_t width,
                              const decode_range *range, kdi_decode_room *room, kd_vector *out)
{
    uint32_t first = range->first_row / KD_VECTOR_ROWS;
    out->form = KD_VECTOR_DICT;
    out->width_bytes = width <= 8 ? 1 : 2;
    out->validity = NULL;
    if (width == 8 || width == 16) {
        out->values = kdi_unconst(packed + first * kdi_pack_bytes(width));
        return KD_OK;
    }
    KD_TRY(room_values(ctx, room));
    out->values = room->values;
    if (range->rows != NULL) {
        codes_pick(packed, width, range, out->width_bytes, room->values);
        return KD_OK;
    }
    for (uint32_t i = 0; i < kdi_vector_count(range->row_count); i++)
        kdi_unpack(packed + (first + i) * kdi_pack_bytes(width), width,
                   (uint8_t *)room->values + (size_t)i * KD_VECTOR_ROWS * out->width_bytes);
    return KD_OK;
}

static uint32_t code_at(const kd_vector *vector, uint32_t row)
{
    return vector->width_bytes == 1 ? ((const uint8_t *)vector->values)[row]
                                    : ((const uint16_t *)vector->values)[row];
}

/* For types whose codes say nothing: the strings themselves. */
static kd_status expand_codes(kd_ctx *ctx, uint32_t row_count, kdi_decode_room *room,
                              kd_vector *out)
{
    enum { VALUES_BYTES = KD_BATCH_ROWS * sizeof(kd_str), BITS_BYTES = KD_BATCH_ROWS / 8 };
    if (room->null_bits == NULL) {
        room->null_bits = kd_alloc(ctx, room->arena, BITS_BYTES + VALUES_BYTES);
        if (room->null_bits == NULL)
            return KD_NOMEM;
    }
    kd_str *values = (kd_str *)(void *)((char *)room->null_bits + BITS_BYTES);
    const kd_vector *dictionary = out->dictionary;
    memset(room->null_bits, 0xff, BITS_BYTES);
    bool has_null = false;
    for (uint32_t row = 0; row < row_count; row++) {
        uint32_t code = code_at(out, row);
        values[row] = ((const kd_str *)dictionary->values)[code];
        if (dictionary->validity != NULL && !kd_bit_get(dictionary->validity, code)) {
            kd_bit_clear(room->null_bits, row);
            has_null = true;
        }
    }
    *out = (kd_vector){.type = out->type,
                       .physical = out->physical,
                       .form = KD_VECTOR_FLAT,
                       .values = values,
                       .validity = has_null ? room->null_bits : NULL};
    return KD_OK;
}

static kdi_local_head local_head(const kdi_decode_input *input)
{
    kdi_local_head head;
    memcpy(&head, input->view.payload, sizeof head);
    return head;
}

static const uint8_t *local_values(const kdi_decode_input *input, const kdi_local_head *head)
{
    return input->view.payload + sizeof *head +
           kdi_vector_count(input->view.row_count) * kdi_pack_bytes(head->width);
}

/* `payload` gets the entry's physical value; not NULL's. */
static void local_value(const kdi_decode_input *input, const kdi_local_head *head, uint32_t code,
                        void *payload)
{
    const uint8_t *values = local_values(input, head);
    size_t value_count = head->entry_count - head->has_null;
    if (input->physical == KD_PHYS_STR) {
        const char *text = (const char *)values + kdi_pad8(value_count * sizeof(uint32_t));
        kd_str str = string_at(values, text, code);
        memcpy(payload, &str, sizeof str);
    } else {
        memcpy(payload, values + (size_t)code * sizeof(int64_t),
               kd_physical_bytes(input->physical));
    }
}

static kd_status local_dictionary(kd_ctx *ctx, const kdi_decode_input *input, kdi_decode_room *room)
{
    kdi_local_head head = local_head(input);
    if (input->local_id != 0 && room->dictionary_of == input->local_id)
        return KD_OK;
    size_t value_bytes = kd_physical_bytes(input->physical);
    size_t values_bytes = kdi_pad8(head.entry_count * value_bytes);
    size_t bits_bytes = (size_t)(head.entry_count + 63) / 64 * 8;
    KD_TRY(room_dictionary(ctx, room, values_bytes + bits_bytes));
    uint8_t *values = room->dictionary_values;
    uint64_t *bits = (uint64_t *)(void *)(values + values_bytes);
    memset(values, 0, values_bytes);
    memset(bits, 0xff, bits_bytes);
    for (uint32_t code = 0; code < head.entry_count - head.has_null; code++)
        local_value(input, &head, code, values + code * value_bytes);
    if (head.has_null)
        kd_bit_clear(bits, head.entry_count - 1);
    room->dictionary = (kd_vector){.type = input->type,
                                   .physical = (uint8_t)input->physical,
                                   .form = KD_VECTOR_FLAT,
                                   .values = values,
                                   .validity = head.has_null ? bits : NULL};
    room->dictionary_of = input->local_id;
    return KD_OK;
}

static kd_status decode_dict(kd_ctx *ctx, const kdi_decode_input *input, const decode_range *range,
                             kdi_decode_room *room, kd_vector *out)
{
    const uint8_t *payload = input->view.payload;
    if (input->view.encoding == KDI_DICT) {
        KD_TRY(decode_codes(ctx, payload + 8, kd_load_u32(payload), range, room, out));
        out->dictionary = input->shared;
        out->dictionary_count = input->shared_count;
        out->dictionary_id = input->shared_id;
    } else {
        kdi_local_head head = local_head(input);
        KD_TRY(local_dictionary(ctx, input, room));
        KD_TRY(decode_codes(ctx, payload + sizeof head, head.width, range, room, out));
        out->dictionary = &room->dictionary;
        out->dictionary_count = head.entry_count;
        out->dictionary_id = input->local_id;
    }
    return input->codes_are_values ? KD_OK : expand_codes(ctx, range->row_count, room, out);
}

/* --- STRINGS, TEXT, WIDE, DECIMAL --- */

static kd_status decode_strings(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                                uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    KD_TRY(room_values(ctx, room));
    const uint8_t *ends = input->view.payload;
    const char *text =
        (const char *)ends + kdi_pad8((size_t)input->view.row_count * sizeof(uint32_t));
    kd_str *values = room->values;
    uint32_t start =
        first_row == 0 ? 0 : kd_load_u32(ends + ((size_t)first_row - 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t end = kd_load_u32(ends + ((size_t)first_row + i) * sizeof(uint32_t));
        values[i] = kd_str_from(text + start, end - start);
        start = end;
    }
    out->values = values;
    return KD_OK;
}

static kd_status decode_text(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                             uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    KD_TRY(room_values(ctx, room));
    KD_TRY(room_wide(ctx, room));
    const uint8_t *frame = input->view.payload;
    const char *text = (const char *)frame + kdi_frame_bytes(frame);
    for (uint32_t i = 0; i < kdi_vector_count(row_count); i++)
        kdi_frame_expand(frame, first_row / KD_VECTOR_ROWS + i,
                         room->wide + (size_t)i * KD_VECTOR_ROWS);
    kd_str *values = room->values;
    int64_t start = first_row == 0 ? 0 : kdi_frame_get(frame, first_row - 1);
    for (uint32_t i = 0; i < row_count; i++) {
        values[i] = kd_str_from(text + start, (size_t)(room->wide[i] - start));
        start = room->wide[i];
    }
    out->values = values;
    return KD_OK;
}

static kd_str text_at(const uint8_t *frame, uint32_t row)
{
    const char *text = (const char *)frame + kdi_frame_bytes(frame);
    int64_t start = row == 0 ? 0 : kdi_frame_get(frame, row - 1);
    return kd_str_from(text + start, (size_t)(kdi_frame_get(frame, row) - start));
}

static uint64_t lane_at(const void *lanes, unsigned lane_bits, uint32_t index)
{
    switch (lane_bits) {
    case 8:
        return ((const uint8_t *)lanes)[index];
    case 16:
        return ((const uint16_t *)lanes)[index];
    case 32:
        return ((const uint32_t *)lanes)[index];
    default:
        return ((const uint64_t *)lanes)[index];
    }
}

static kd_i128 wide_base(const uint8_t *payload)
{
    kd_i128 base;
    memcpy(&base, payload, sizeof base);
    return base;
}

static kd_status decode_wide(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                             uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    uint64_t lanes[KD_VECTOR_ROWS];
    KD_TRY(room_values(ctx, room));
    const uint8_t *payload = input->view.payload;
    kd_u128 base = (kd_u128)wide_base(payload);
    uint32_t width = kd_load_u32(payload + 16);
    unsigned lane_bits = kdi_pack_lane_bits(width);
    kd_u128 *values = room->values;
    for (uint32_t row = 0; row < row_count; row++) {
        uint32_t index = row % KD_VECTOR_ROWS;
        if (index == 0)
            kdi_unpack(payload + 24 + (first_row + row) / KD_VECTOR_ROWS * kdi_pack_bytes(width),
                       width, lanes);
        values[row] = base + lane_at(lanes, lane_bits, index);
    }
    out->values = values;
    return KD_OK;
}

static const uint8_t *decimal_frame(const uint8_t *payload, kdi_decimal_head *out_head)
{
    memcpy(out_head, payload, sizeof *out_head);
    return payload + sizeof *out_head + (size_t)out_head->exception_count * sizeof(double) +
           kdi_pad8((size_t)out_head->exception_count * 2);
}

/* First exception at or after `row`. */
static uint32_t decimal_exception(const uint8_t *payload, const kdi_decimal_head *head,
                                  uint32_t row)
{
    const uint8_t *rows = payload + sizeof *head + (size_t)head->exception_count * sizeof(double);
    uint32_t low = 0, high = head->exception_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (kd_load_u16(rows + (size_t)middle * 2) < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static kd_status decode_decimal(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                                uint32_t row_count, kdi_decode_room *room, kd_vector *out)
{
    kdi_decimal_head head;
    const uint8_t *payload = input->view.payload;
    const uint8_t *frame = decimal_frame(payload, &head);
    KD_TRY(room_values(ctx, room));
    KD_TRY(room_wide(ctx, room));
    double *values = room->values;
    for (uint32_t i = 0; i < kdi_vector_count(row_count); i++)
        kdi_frame_expand(frame, first_row / KD_VECTOR_ROWS + i,
                         room->wide + (size_t)i * KD_VECTOR_ROWS);
    double divisor = powers_of_ten[head.exponent];
    for (uint32_t i = 0; i < row_count; i++)
        values[i] = (double)room->wide[i] / divisor;
    const uint8_t *exceptions = payload + sizeof head;
    const uint8_t *rows = exceptions + (size_t)head.exception_count * sizeof(double);
    for (uint32_t i = decimal_exception(payload, &head, first_row); i < head.exception_count; i++) {
        uint32_t row = kd_load_u16(rows + (size_t)i * 2);
        if (row >= first_row + row_count)
            break;
        memcpy(&values[row - first_row], exceptions + (size_t)i * sizeof(double), sizeof(double));
    }
    out->values = values;
    return KD_OK;
}

static double decimal_get(const uint8_t *payload, uint32_t row)
{
    kdi_decimal_head head;
    const uint8_t *frame = decimal_frame(payload, &head);
    const uint8_t *exceptions = payload + sizeof head;
    const uint8_t *rows = exceptions + (size_t)head.exception_count * sizeof(double);
    uint32_t i = decimal_exception(payload, &head, row);
    if (i < head.exception_count && kd_load_u16(rows + (size_t)i * 2) == row) {
        double value;
        memcpy(&value, exceptions + (size_t)i * sizeof value, sizeof value);
        return value;
    }
    return (double)kdi_frame_get(frame, row) / powers_of_ten[head.exponent];
}

/* --- All --- */

kd_status kdi_block_decode(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                           uint32_t row_count, kdi_decode_room *room, kd_vector *out_vector)
{
    assert(first_row % KD_VECTOR_ROWS == 0);
    assert(row_count > 0 && row_count <= KD_BATCH_ROWS);
    assert(first_row + row_count <= input->view.row_count);
    *out_vector = (kd_vector){
        .type = input->type, .physical = (uint8_t)input->physical, .form = KD_VECTOR_FLAT};
    out_vector->validity = validity_of(&input->view, first_row, row_count);
    switch (input->view.encoding) {
    case KDI_CONSTANT:
        decode_constant(input, room, out_vector);
        return KD_OK;
    case KDI_RAW:
        return decode_raw(ctx, input, first_row, row_count, room, out_vector);
    case KDI_FRAME:
        return decode_frame(ctx, input, first_row, row_count, room, out_vector);
    case KDI_RLE:
        return decode_runs(ctx, input, first_row, row_count, room, out_vector);
    case KDI_DICT:
    case KDI_LOCAL:
        return decode_dict(ctx, input,
                           &(decode_range){.first_row = first_row, .row_count = row_count}, room,
                           out_vector);
    case KDI_STRINGS:
        return decode_strings(ctx, input, first_row, row_count, room, out_vector);
    case KDI_TEXT:
        return decode_text(ctx, input, first_row, row_count, room, out_vector);
    case KDI_WIDE:
        return decode_wide(ctx, input, first_row, row_count, room, out_vector);
    default:
        return decode_decimal(ctx, input, first_row, row_count, room, out_vector);
    }
}

/* The frame's value per row asked for; exceptions may be set where nobody asks. */
static void frame_pick(const kdi_decode_input *input, const decode_range *range, void *values)
{
    enum { PARTS_MAX = KD_BATCH_ROWS / KD_VECTOR_ROWS };
    kdi_frame_part parts[PARTS_MAX];
    uint32_t part_count = kdi_vector_count(range->row_count);
    uint32_t value_bytes = (uint32_t)kd_physical_bytes(input->physical);
    for (uint32_t p = 0; p < part_count; p++)
        parts[p] = kdi_frame_part_of(input->view.payload, range->first_row / KD_VECTOR_ROWS + p);
    for (uint32_t i = 0; i < range->count; i++) {
        const kdi_frame_part *part = &parts[range->rows[i] / KD_VECTOR_ROWS];
        kdi_pack_prefetch(part->packed, part->width, range->rows[i] % KD_VECTOR_ROWS);
    }
    memset(values, 0, (size_t)range->row_count * value_bytes);
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t row = range->rows[i], at = row % KD_VECTOR_ROWS;
        const kdi_frame_part *part = &parts[row / KD_VECTOR_ROWS];
        uint64_t offset = kdi_pack_get(part->packed, part->width, at);
        place_integer(values, row, value_bytes,
                      (uint64_t)part->base + (uint64_t)part->slope * at +
                          (uint64_t)part->factor * offset);
    }
    for (uint32_t p = 0; p < part_count; p++) {
        const kdi_frame_part *part = &parts[p];
        for (uint32_t i = 0; i < part->exception_count; i++) {
            uint32_t at = kd_load_u16(part->exception_rows + (size_t)i * 2);
            place_integer(values, p * KD_VECTOR_ROWS + at, value_bytes,
                          (uint64_t)part->base + (uint64_t)part->slope * at +
                              (uint64_t)part->factor * kdi_frame_exception(part, i));
        }
    }
}

/* The run of a later row, not further away than the row itself: most are a run or two further. */
static uint32_t run_after(const kdi_runs *runs, uint32_t run, uint32_t row, uint32_t step)
{
    uint32_t high = run + step + 1;
    high = high < runs->head.run_count ? high : runs->head.run_count;
    for (uint32_t i = 0; i < RUN_STEPS; i++) {
        if (run + 1 >= high ||
            kd_load_u16(runs->starts + (size_t)(run + 1) * sizeof(uint16_t)) > row)
            return run;
        run++;
    }
    return kdi_runs_find_between(runs, run, high, row);
}

static void runs_pick(const kdi_decode_input *input, const decode_range *range, void *values)
{
    kdi_runs runs = kdi_runs_of(input->view.payload);
    uint32_t value_bytes = (uint32_t)kd_physical_bytes(input->physical);
    uint32_t run = kdi_runs_find(&runs, range->first_row), before = 0;
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t row = range->rows[i];
        run = run_after(&runs, run, range->first_row + row, row - before);
        before = row;
        place_integer(values, row, value_bytes, (uint64_t)kdi_run_value(&runs, run));
    }
}

static void values_pick(const kdi_decode_input *input, const decode_range *range, void *values)
{
    size_t value_bytes = kd_physical_bytes(input->physical);
    for (uint32_t i = 0; i < range->count; i++) {
        kd_value value;
        kdi_block_get(input, range->first_row + range->rows[i], &value);
        memcpy((uint8_t *)values + range->rows[i] * value_bytes, &value.as, value_bytes);
    }
}

kd_status kdi_block_decode_rows(kd_ctx *ctx, const kdi_decode_input *input, uint32_t first_row,
                                uint32_t row_count, const uint16_t *rows, uint32_t count,
                                kdi_decode_room *room, kd_vector *out_vector)
{
    kdi_encoding encoding = input->view.encoding;
    bool is_at_hand = encoding == KDI_CONSTANT ||
                      (encoding == KDI_RAW && kd_physical_bytes(input->physical) <= 8);
    if (is_at_hand || count * PICK_SHARE > row_count || input->physical == KD_PHYS_BOOL)
        return kdi_block_decode(ctx, input, first_row, row_count, room, out_vector);
    decode_range range = {first_row, row_count, rows, count};
    *out_vector = (kd_vector){
        .type = input->type, .physical = (uint8_t)input->physical, .form = KD_VECTOR_FLAT};
    if (encoding == KDI_DICT || encoding == KDI_LOCAL)
        return decode_dict(ctx, input, &range, room, out_vector);
    KD_TRY(room_values(ctx, room));
    out_vector->values = room->values;
    out_vector->validity = validity_of(&input->view, first_row, row_count);
    if (encoding == KDI_FRAME) {
        frame_pick(input, &range, room->values);
        return KD_OK;
    }
    memset(room->values, 0, row_count * kd_physical_bytes(input->physical));
    if (encoding == KDI_RLE)
        runs_pick(input, &range, room->values);
    else
        values_pick(input, &range, room->values);
    return KD_OK;
}

static void get_coded(const kdi_decode_input *input, uint32_t row, kd_value *out)
{
    const uint8_t *payload = input->view.payload;
    bool shared = input->view.encoding == KDI_DICT;
    kdi_local_head head = {0};
    uint32_t width = kd_load_u32(payload);
    if (!shared) {
        head = local_head(input);
        width = head.width;
    }
    const uint8_t *packed = payload + (shared ? 8 : sizeof head);
    uint32_t code = (uint32_t)kdi_pack_get(packed + row / KD_VECTOR_ROWS * kdi_pack_bytes(width),
                                           width, row % KD_VECTOR_ROWS);
    if (!shared) {
        out->is_null = head.has_null && code == head.entry_count - 1;
        if (!out->is_null)
            local_value(input, &head, code, &out->as);
        return;
    }
    const kd_vector *dictionary = input->shared;
    size_t value_bytes = kd_physical_bytes(input->physical);
    out->is_null = dictionary->validity != NULL && !kd_bit_get(dictionary->validity, code);
    memcpy(&out->as, (const uint8_t *)dictionary->values + code * value_bytes, value_bytes);
}

static void get_integer(const kdi_decode_input *input, int64_t value, kd_value *out)
{
    uint64_t bits = (uint64_t)value;
    if (input->physical == KD_PHYS_BOOL)
        bits = value != 0;
    memcpy(&out->as, &bits, kd_physical_bytes(input->physical));
}

void kdi_block_get(const kdi_decode_input *input, uint32_t row, kd_value *out_value)
{
    assert(row < input->view.row_count);
    const uint8_t *payload = input->view.payload;
    size_t value_bytes = kd_physical_bytes(input->physical);
    memset(out_value, 0, sizeof *out_value);
    out_value->type = input->type;
    if (input->view.validity != NULL && !kd_bit_get(input->view.validity, row)) {
        out_value->is_null = true;
        return;
    }
    switch (input->view.encoding) {
    case KDI_CONSTANT:
        out_value->is_null = !constant_load(input, &out_value->as);
        break;
    case KDI_RAW:
        memcpy(&out_value->as, payload + row * value_bytes, value_bytes);
        break;
    case KDI_FRAME:
        get_integer(input, kdi_frame_get(payload, row), out_value);
        break;
    case KDI_RLE:
        get_integer(input, kdi_runs_get(payload, row), out_value);
        break;
    case KDI_DICT:
    case KDI_LOCAL:
        get_coded(input, row, out_value);
        break;
    case KDI_STRINGS:
        out_value->as.str = string_at(
            payload,
            (const char *)payload + kdi_pad8((size_t)input->view.row_count * sizeof(uint32_t)),
            row);
        break;
    case KDI_TEXT:
        out_value->as.str = text_at(payload, row);
        break;
    case KDI_WIDE: {
        uint32_t width = kd_load_u32(payload + 16);
        uint64_t offset = kdi_pack_get(payload + 24 + row / KD_VECTOR_ROWS * kdi_pack_bytes(width),
                                       width, row % KD_VECTOR_ROWS);
        out_value->as.i128 = (kd_i128)((kd_u128)wide_base(payload) + offset);
        break;
    }
    default:
        out_value->as.f64 = decimal_get(payload, row);
        break;
    }
}
