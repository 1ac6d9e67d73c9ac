/*
 * Runtime filters: the keys of a join's build side, tested by the scans of its probe side.
 *
 * Integers that lie close together make a bit per value, which is exact and needs no hash. Other
 * keys make a Bloom filter of one 64-bit word per key (Putze, Sanders, Singler, JEA 2009), of the
 * executor's own hashes. A dictionary's entries are tested once each. A use that lets nearly all
 * rows through turns itself off.
 */
#include "exec/runtime_filter_internal.h"

#include "base/hash.h"
#include "exec/kernel_internal.h"

enum {
    BITS_MAX = 1 << 27,
    BITS_PER_ROW_MAX = 256,
    BITS_MIN = 1 << 21, /* 256 KiB: in the second cache whatever the rows are. */
    TEST_ROWS_MIN = 16 * 1024,
    PASS_PERCENT_MAX = 80,
    DICTIONARY_SHARE = 2, /* Entries are tested when there are at most so many per row. */
};

/* --- Making one ------------------------------------------------------------------------------ */

static bool integer_at(const void *payload, uint8_t physical, int64_t *out)
{
    switch ((kd_physical)physical) {
    case KD_PHYS_I16: {
        int16_t value;
        memcpy(&value, payload, sizeof value);
        *out = value;
        return true;
    }
    case KD_PHYS_I32: {
        int32_t value;
        memcpy(&value, payload, sizeof value);
        *out = value;
        return true;
    }
    case KD_PHYS_I64:
        memcpy(out, payload, sizeof *out);
        return true;
    default:
        return false;
    }
}

typedef struct filter_build {
    kdi_runtime_filter *filter;
    const kdi_row_layout *layout;
    uint32_t column;
    uint8_t physical;
} filter_build;

static void bounds_add(const filter_build *build, const void *payload)
{
    kdi_runtime_filter *filter = build->filter;
    int64_t value;
    if (integer_at(payload, build->physical, &value)) {
        filter->min = filter->row_count == 0 || value < filter->min ? value : filter->min;
        filter->max = filter->row_count == 0 || value > filter->max ? value : filter->max;
    }
    filter->row_count++;
}

static uint64_t bloom_bits(uint64_t hash)
{
    return (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63) |
           (uint64_t)1 << (hash >> 12 & 63);
}

static void key_add(const filter_build *build, const void *payload)
{
    kdi_runtime_filter *filter = build->filter;
    int64_t value;
    if (filter->bits != NULL) {
        if (integer_at(payload, build->physical, &value)) {
            uint64_t at = (uint64_t)value - (uint64_t)filter->min;
            filter->bits[at / 64] |= (uint64_t)1 << (at % 64);
        }
        return;
    }
    uint64_t hash = kdi_payload_hash(filter->type, payload);
    filter->words[hash >> filter->shift] |= bloom_bits(hash);
}

static void each_key(const filter_build *build, const kdi_row_store *store,
                     void (*visit)(const filter_build *build, const void *payload))
{
    char *rows[256];
    kdi_row_cursor cursor = {0};
    for (uint32_t count;
         (count = kdi_row_store_next(store, &cursor, sizeof rows / sizeof *rows, rows)) > 0;)
        for (uint32_t i = 0; i < count; i++)
            if (!kdi_row_is_null(build->layout, rows[i], build->column))
                visit(build, kdi_row_at(build->layout, rows[i], build->column));
}

static kd_status set_allocate(kd_ctx *ctx, kd_arena *arena, kdi_runtime_filter *filter)
{
    uint64_t range = (uint64_t)filter->max - (uint64_t)filter->min;
    uint64_t most = filter->row_count * BITS_PER_ROW_MAX;
    if (most < BITS_MIN)
        most = BITS_MIN;
    if (filter->has_bounds && range < BITS_MAX && range < most) {
        filter->bits = kd_alloc_array(ctx, arena, range / 64 + 1, sizeof *filter->bits);
        return filter->bits == NULL ? KD_NOMEM : KD_OK;
    }
    uint32_t log = 8;
    while (((uint64_t)1 << log) * 4 < filter->row_count && log < 28)
        log++;
    filter->shift = 64 - log;
    filter->words = kd_alloc_array(ctx, arena, (size_t)1 << log, sizeof *filter->words);
    return filter->words == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_runtime_filter_create(kd_ctx *ctx, kd_arena *arena, const kdi_row_store *store,
                                    uint32_t column, const kdi_runtime_filter **out_filter)
{
    kdi_runtime_filter *filter = KD_NEW(ctx, arena, kdi_runtime_filter);
    *out_filter = filter;
    if (filter == NULL)
        return KD_NOMEM;
    filter->type = store->layout->types[column];
    filter_build build = {.filter = filter,
                          .layout = store->layout,
                          .column = column,
                          .physical = store->layout->physicals[column]};
    int64_t unused, zero = 0;
    filter->has_bounds = integer_at(&zero, build.physical, &unused);
    each_key(&build, store, bounds_add);
    if (filter->row_count == 0)
        return KD_OK;
    KD_TRY(set_allocate(ctx, arena, filter));
    each_key(&build, store, key_add);
    return KD_OK;
}

bool kdi_runtime_filter_bounds(const kdi_runtime_filter *filter, kd_value *out_min,
                               kd_value *out_max)
{
    if (!filter->has_bounds || filter->row_count == 0)
        return false;
    *out_min = *out_max = (kd_value){.type = filter->type};
    switch (kd_type_physical(filter->type)) {
    case KD_PHYS_I16:
        out_min->as.i16 = (int16_t)filter->min;
        out_max->as.i16 = (int16_t)filter->max;
        return true;
    case KD_PHYS_I32:
        out_min->as.i32 = (int32_t)filter->min;
        out_max->as.i32 = (int32_t)filter->max;
        return true;
    default:
        out_min->as.i64 = filter->min;
        out_max->as.i64 = filter->max;
        return true;
    }
}

/* --- Using one ------------------------------------------------------------------------------- */

static inline bool bits_have(const kdi_runtime_filter *filter, int64_t value)
{
    uint64_t at = (uint64_t)value - (uint64_t)filter->min;
    return at <= (uint64_t)filter->max - (uint64_t)filter->min &&
           (filter->bits[at / 64] >> (at % 64) & 1) != 0;
}

static inline bool words_have(const kdi_runtime_filter *filter, uint64_t hash)
{
    uint64_t bits = bloom_bits(hash);
    return (filter->words[hash >> filter->shift] & bits) == bits;
}

#define BITS_LOOP(name, value_type)                                                              \
    static uint32_t name(const kdi_runtime_filter *filter, const kdi_view *view, uint32_t count, \
                         uint16_t *rows)                                                         \
    {                                                                                            \
        const value_type *values = view->values;                                                 \
        uint32_t kept = 0;                                                                       \
        for (uint32_t i = 0; i < count; i++) {                                                   \
            uint16_t row = rows[i];                                                              \
            rows[kept] = row;                                                                    \
            kept += bits_have(filter, values[view->index[i]]) && !kdi_view_is_null(view, i);     \
        }                                                                                        \
        return kept;                                                                             \
    }
BITS_LOOP(bits_i16, int16_t)
BITS_LOOP(bits_i32, int32_t)
BITS_LOOP(bits_i64, int64_t)
#undef BITS_LOOP

/* A frame's offsets are tested as they are: bit base - min + offset. */
#define FRAME_LOOP(name, offset_type)                                               \
    static uint32_t name(const kdi_runtime_filter *filter, const kd_vector *vector, \
                         uint32_t count, uint16_t *rows)                            \
    {                                                                               \
        const offset_type *offsets = vector->values;                                \
        uint64_t shift = (uint64_t)vector->base - (uint64_t)filter->min;            \
        uint64_t range = (uint64_t)filter->max - (uint64_t)filter->min;             \
        uint32_t kept = 0;                                                          \
        for (uint32_t i = 0; i < count; i++) {                                      \
            uint16_t row = rows[i];                                                 \
            uint64_t at = shift + (uint64_t)(int64_t)offsets[row];                  \
            rows[kept] = row;                                                       \
            kept += at <= range && (filter->bits[at / 64] >> (at % 64) & 1) != 0;   \
        }                                                                           \
        return kept;                                                                \
    }
FRAME_LOOP(frame_u8, uint8_t)
FRAME_LOOP(frame_u16, uint16_t)
FRAME_LOOP(frame_u32, uint32_t)
FRAME_LOOP(flat_i32, int32_t) /* Integers as they are, where the base is 0. */
FRAME_LOOP(flat_i64, int64_t)
#undef FRAME_LOOP

static uint32_t offsets_select(const kd_vector *vector, kdi_kernel_bits set, uint32_t count,
                               uint16_t *rows)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    switch (vector->width_bytes) {
    case 1:
        return kernels->members_u8(vector->values, set, count, rows);
    case 2:
        return kernels->members_u16(vector->values, set, count, rows);
    default:
        return kernels->members_u32(vector->values, set, count, rows);
    }
}

/* All of a frame's rows at once; false when its offsets do not fit the kernels' 32 bits. */
static bool frame_members(const kdi_runtime_filter *filter, const kd_vector *vector, uint32_t count,
                          uint16_t *rows, uint32_t *out_count)
{
    uint64_t range = (uint64_t)filter->max - (uint64_t)filter->min;
    kdi_kernel_bits set = {.words = filter->bits};
    if (vector->base >= filter->min) {
        uint64_t shift = (uint64_t)vector->base - (uint64_t)filter->min;
        *out_count = 0;
        if (shift > range)
            return true;
        set.span = (uint32_t)(range - shift);
        set.add = (uint32_t)shift;
    } else {
        uint64_t low = (uint64_t)filter->min - (uint64_t)vector->base;
        if (low + range > UINT32_MAX)
            return false;
        set.low = (uint32_t)low;
        set.span = (uint32_t)range;
        set.add = (uint32_t)-low;
    }
    *out_count = offsets_select(vector, set, count, rows);
    return true;
}

/* The same of 32-bit integers, which wrap as the kernels' arithmetic does. */
static uint32_t flat_members(const kdi_runtime_filter *filter, const kd_vector *vector,
                             uint32_t count, uint16_t *rows)
{
    kdi_kernel_bits set = {.words = filter->bits,
                           .low = (uint32_t)filter->min,
                           .span = (uint32_t)((uint64_t)filter->max - (uint64_t)filter->min),
                           .add = (uint32_t) - (uint64_t)filter->min};
    return kdi_kernels()->members_u32(vector->values, set, count, rows);
}

static uint32_t frame_select(const kdi_runtime_filter *filter, const kd_vector *vector,
                             uint32_t count, uint16_t *rows)
{
    switch (vector->width_bytes) {
    case 1:
        return frame_u8(filter, vector, count, rows);
    case 2:
        return frame_u16(filter, vector, count, rows);
    default:
        return frame_u32(filter, vector, count, rows);
    }
}

static kd_status view_select(kd_ctx *ctx, kd_arena *arena, kdi_filter_use *use,
                             const kd_vector *vector, uint16_t *rows, uint32_t *io_count)
{
    const kdi_runtime_filter *filter = use->filter;
    uint32_t count = *io_count, kept = 0;
    KD_TRY(kdi_view_open(ctx, arena, &use->view, vector, rows, count));
    if (filter->bits != NULL) {
        *io_count = use->view.physical == KD_PHYS_I16   ? bits_i16(filter, &use->view, count, rows)
                    : use->view.physical == KD_PHYS_I32 ? bits_i32(filter, &use->view, count, rows)
                                                        : bits_i64(filter, &use->view, count, rows);
        return KD_OK;
    }
    if (use->hashes == NULL)
        use->hashes = kd_alloc_raw(ctx, arena, sizeof *use->hashes * KD_BATCH_ROWS);
    if (use->hashes == NULL)
        return KD_NOMEM;
    kdi_view_hash(&use->view, count, false, use->hashes);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t row = rows[i];
        rows[kept] = row;
        kept += words_have(filter, use->hashes[i]) && !kdi_view_is_null(&use->view, i);
    }
    *io_count = kept;
    return KD_OK;
}

static bool payload_passes(const kdi_runtime_filter *filter, uint8_t physical, const void *payload)
{
    int64_t value;
    if (filter->bits != NULL)
        return integer_at(payload, physical, &value) && bits_have(filter, value);
    return words_have(filter, kdi_payload_hash(filter->type, payload));
}

#define TEST_LOOP(value_type)                                                                     \
    for (uint32_t e = 0; e < count;) {                                                            \
        uint64_t word = 0;                                                                        \
        uint32_t end = count - e < 64 ? count : e + 64;                                           \
        for (uint32_t bit = 0; e < end; e++, bit++)                                               \
            word |= (uint64_t)bits_have(use->filter, ((const value_type *)dictionary->values)[e]) \
                    << bit;                                                                       \
        use->entries[(e - 1) / 64] = word;                                                        \
    }                                                                                             \
    return true

/* Entries of the kind that most dictionaries of numbers have, without a call for each. */
static bool integers_test(kdi_filter_use *use, const kd_vector *dictionary, uint32_t count)
{
    if (use->filter->bits == NULL || dictionary->validity != NULL)
        return false;
    switch ((kd_physical)dictionary->physical) {
    case KD_PHYS_I16:
        TEST_LOOP(int16_t);
    case KD_PHYS_I32:
        TEST_LOOP(int32_t);
    case KD_PHYS_I64:
        TEST_LOOP(int64_t);
    default:
        return false;
    }
}
#undef TEST_LOOP

/* Tests the entries of the vector's dictionary, unless they are those at hand. */
static kd_status entries_test(kd_ctx *ctx, kd_arena *arena, kdi_filter_use *use,
                              const kd_vector *vector)
{
    if (vector->dictionary_id != 0 && use->dictionary_id == vector->dictionary_id)
        return KD_OK;
    uint32_t count = vector->dictionary_count;
    if (count > use->entry_capacity) {
        use->entry_capacity = count * 2;
        use->entries = kd_alloc_raw(ctx, arena, ((size_t)use->entry_capacity + 63) / 64 * 8);
        if (use->entries == NULL)
            return KD_NOMEM;
    }
    memset(use->entries, 0, ((size_t)count + 63) / 64 * 8);
    use->dictionary_id = vector->dictionary_id;
    if (integers_test(use, vector->dictionary, count))
        return KD_OK;
    for (uint32_t e = 0; e < count; e++) {
        uint64_t scratch[2];
        if (!kd_vector_is_null(vector->dictionary, e) &&
            payload_passes(use->filter, vector->physical,
                           kd_vector_payload(vector->dictionary, e, scratch)))
            kd_bit_set(use->entries, e);
    }
    return KD_OK;
}

static uint32_t entries_select(const kdi_filter_use *use, const kd_vector *vector,
                               const kd_batch *batch, uint16_t *rows)
{
    uint32_t kept = 0;
    if (batch->selection == NULL)
        return offsets_select(
            vector, (kdi_kernel_bits){.words = use->entries, .span = vector->dictionary_count - 1},
            batch->row_count, rows);
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint16_t row = batch->selection[i];
        rows[kept] = row;
        kept += kd_bit_get(use->entries, kdi_code_at(vector, row));
    }
    return kept;
}

/* A dictionary of one batch alone has to pay within it. */
static bool entries_pay(const kdi_filter_use *use, const kd_vector *vector, uint32_t count)
{
    if (vector->form != KD_VECTOR_DICT)
        return false;
    if (vector->dictionary_id == 0)
        return vector->dictionary_count * DICTIONARY_SHARE <= count;
    return vector->dictionary_id == use->dictionary_id ||
           vector->dictionary_count <= count * DICTIONARY_SHARE;
}

static kd_status rows_select(kd_ctx *ctx, kd_arena *arena, kdi_filter_use *use,
                             const kd_batch *batch, uint16_t *rows, uint32_t *out_count)
{
    const kd_vector *vector = &batch->columns[use->column];
    *out_count = batch->selected_count;
    if (entries_pay(use, vector, batch->selected_count)) {
        KD_TRY(entries_test(ctx, arena, use, vector));
        *out_count = entries_select(use, vector, batch, rows);
        return KD_OK;
    }
    bool is_plain = vector->validity == NULL && use->filter->bits != NULL;
    bool is_frame = is_plain && vector->form == KD_VECTOR_FRAME;
    if (is_frame && batch->selection == NULL &&
        frame_members(use->filter, vector, batch->row_count, rows, out_count))
        return KD_OK;
    if (is_plain && batch->selection == NULL && vector->form == KD_VECTOR_FLAT &&
        vector->physical == KD_PHYS_I32) {
        *out_count = flat_members(use->filter, vector, batch->row_count, rows);
        return KD_OK;
    }
    *out_count = batch->selected_count;
    for (uint32_t i = 0; batch->selection != rows && i < *out_count; i++)
        rows[i] = (uint16_t)kd_batch_row(batch, i);
    if (is_frame) {
        *out_count = frame_select(use->filter, vector, *out_count, rows);
        return KD_OK;
    }
    if (is_plain && vector->form == KD_VECTOR_FLAT && vector->physical != KD_PHYS_I16) {
        kd_vector plain = *vector;
        plain.base = 0;
        *out_count = vector->physical == KD_PHYS_I32
                         ? flat_i32(use->filter, &plain, *out_count, rows)
                         : flat_i64(use->filter, &plain, *out_count, rows);
        return KD_OK;
    }
    return view_select(ctx, arena, use, vector, rows, out_count);
}

kd_status kdi_filter_use_select(kd_ctx *ctx, kd_arena *arena, kdi_filter_use *use,
                                const kd_batch *batch, uint16_t *rows, uint32_t *out_count)
{
    use->tested += batch->selected_count;
    *out_count = 0;
    if (use->filter->row_count > 0 && batch->selected_count > 0)
        KD_TRY(rows_select(ctx, arena, use, batch, rows, out_count));
    use->passed += *out_count;
    use->is_off =
        use->tested >= TEST_ROWS_MIN && use->passed * 100 > use->tested * PASS_PERCENT_MAX;
    return KD_OK;
}
