/*
 * Codes of group keys, and the epochs in which they hold.
 */
#include "exec/group_code_internal.h"

#include "exec/kernel_internal.h"

#include <assert.h>

enum { RANGE_MIN = 4, RANGE_MIN_ALONE = 256, EPOCH_ROWS_MAX = 1 << 30 };

kd_status kdi_group_codes_create(kd_ctx *ctx, kd_arena *arena, uint32_t call_count,
                                 kdi_group_codes **out_codes)
{
    kdi_group_codes *codes = KD_NEW(ctx, arena, kdi_group_codes);
    *out_codes = codes;
    if (codes == NULL)
        return KD_NOMEM;
    codes->arena = arena;
    codes->key_count = UINT32_MAX; /* No epoch yet. */
    codes->codes = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->codes);
    codes->missing = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->missing);
    codes->missing_codes = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->missing_codes);
    codes->masks = kd_alloc_raw(ctx, arena, KDI_CODE_MASKS_MAX * sizeof *codes->masks);
    codes->sums = KD_NEW_ARRAY(ctx, arena, kdi_code_sum, call_count);
    if (codes->codes == NULL || codes->missing == NULL || codes->missing_codes == NULL ||
        codes->masks == NULL || codes->sums == NULL)
        return KD_NOMEM;
    return KD_OK;
}

/* Zeroed room for so many codes; what is there is zero already. */
static kd_status capacity_reserve(kd_ctx *ctx, kdi_group_codes *codes, uint32_t cardinality)
{
    if (cardinality <= codes->capacity)
        return KD_OK;
    uint32_t capacity = KDI_CODE_LANES_MAX;
    while (capacity < cardinality)
        capacity *= 2;
    uint32_t lanes = capacity <= KDI_CODE_LANES_MAX ? 4 : 1;
    char **groups = KD_NEW_ARRAY(ctx, codes->arena, char *, capacity);
    uint8_t *unseen = kd_alloc_raw(ctx, codes->arena, capacity);
    uint32_t *touched = kd_alloc_raw(ctx, codes->arena, capacity * sizeof *touched);
    size_t count_entries = (size_t)capacity * lanes;
    if (count_entries < 4 * KDI_CODE_LANES_MAX)
        count_entries = 4 * KDI_CODE_LANES_MAX;
    uint32_t *counts = KD_NEW_ARRAY(ctx, codes->arena, uint32_t, count_entries);
    if (groups == NULL || unseen == NULL || touched == NULL || counts == NULL)
        return KD_NOMEM;
    memset(unseen, 1, capacity);
    codes->groups = groups;
    codes->unseen = unseen;
    codes->touched = touched;
    codes->counts = counts;
    codes->capacity = capacity;
    return KD_OK;
}

kd_status kdi_group_codes_settle(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg)
{
    kd_status status = kdi_code_sums_fold(ctx, codes, agg);
    for (uint32_t i = 0; i < codes->touched_count; i++) {
        codes->groups[codes->touched[i]] = NULL;
        codes->unseen[codes->touched[i]] = 1;
    }
    codes->touched_count = 0;
    codes->row_count = 0;
    codes->key_count = UINT32_MAX; /* The next batch begins an epoch. */
    return status;
}

void kdi_group_codes_set(kdi_group_codes *codes, uint32_t missing, char *group)
{
    uint32_t code = codes->missing_codes[missing];
    codes->groups[code] = group;
    codes->touched[codes->touched_count++] = code;
}

/* ---- Keys ---- */

static bool is_range_type(const kd_vector *vector)
{
    return vector->physical == KD_PHYS_I16 || vector->physical == KD_PHYS_I32 ||
           vector->physical == KD_PHYS_I64;
}

static int64_t integer_at(const kd_vector *vector, uint32_t row)
{
    switch ((kd_physical)vector->physical) {
    case KD_PHYS_I16:
        return ((const int16_t *)vector->values)[row];
    case KD_PHYS_I32:
        return ((const int32_t *)vector->values)[row];
    default:
        return ((const int64_t *)vector->values)[row];
    }
}

static void flat_bounds(const kd_vector *vector, const kd_batch *batch, int64_t *out_low,
                        int64_t *out_high)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        if (vector->validity != NULL && !kd_bit_get(vector->validity, row))
            continue;
        int64_t value = integer_at(vector, row);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    *out_low = low <= high ? low : 0;
    *out_high = low <= high ? high : 0;
}

static uint32_t frame_largest(const kd_vector *vector, uint32_t row_count)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    switch (vector->width_bytes) {
    case 1:
        return kernels->largest_u8(vector->values, row_count);
    case 2:
        return kernels->largest_u16(vector->values, row_count);
    default:
        return kernels->largest_u32(vector->values, row_count);
    }
}

/* The range that the key's values lie in; false when it is too large to bother. */
static bool range_measure(const kd_vector *vector, const kd_batch *batch, int64_t *out_low,
                          int64_t *out_high)
{
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_FRAME:
        *out_low = vector->base;
        return !__builtin_add_overflow(vector->base, frame_largest(vector, batch->row_count),
                                       out_high);
    case KD_VECTOR_CONSTANT:
        *out_low = *out_high = kd_vector_is_null(vector, 0) ? 0 : integer_at(vector, 0);
        return true;
    default:
        flat_bounds(vector, batch, out_low, out_high);
        return true;
    }
}

static bool range_holds(const kdi_code_key *key, int64_t low, int64_t high)
{
    return key->dictionary_id == 0 && key->cardinality > 0 && low >= key->low &&
           (uint64_t)high - (uint64_t)key->low < key->cardinality - 1;
}

/* The range of before, as long as it does; else one with room around it. */
static bool range_key(const kd_vector *vector, const kd_batch *batch, const kdi_code_key *before,
                      bool is_alone, kdi_code_key *out)
{
    int64_t low, high;
    if (!is_range_type(vector) || !range_measure(vector, batch, &low, &high))
        return false;
    *out = *before;
    if (range_holds(before, low, high))
        return true;
    uint32_t most = is_alone ? KDI_RANGE_MAX : KDI_CODES_MAX;
    if ((uint64_t)high - (uint64_t)low >= most / 2)
        return false;
    *out = (kdi_code_key){.cardinality = is_alone ? RANGE_MIN_ALONE : RANGE_MIN};
    for (;; out->cardinality *= 2) {
        uint64_t unit = out->cardinality / 4;
        out->low = (int64_t)((uint64_t)low & ~(unit - 1));
        if (range_holds(out, low, high))
            return true;
    }
}

static bool key_of(const kd_vector *vector, const kd_batch *batch, const kdi_code_key *before,
                   bool is_alone, kdi_code_key *out)
{
    if (vector->form != KD_VECTOR_DICT)
        return range_key(vector, batch, before, is_alone, out);
    *out = (kdi_code_key){.dictionary_id = vector->dictionary_id,
                          .cardinality = vector->dictionary_count};
    return vector->dictionary_id != 0 && vector->dictionary_count > 0;
}

/* ---- Codes ---- */

static uint32_t constant_code(const kd_vector *vector, const kdi_code_key *key)
{
    if (kd_vector_is_null(vector, 0))
        return key->cardinality - 1;
    return (uint32_t)((uint64_t)integer_at(vector, 0) - (uint64_t)key->low);
}

/* codes[i] += (value - low) * factor */
static void codes_add_integers(uint32_t *codes, const kd_vector *vector, const kd_batch *batch,
                               const kdi_code_key *key, uint32_t factor)
{
    uint32_t null_code = key->cardinality - 1;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        bool is_null = vector->validity != NULL && !kd_bit_get(vector->validity, row);
        uint32_t code = null_code;
        if (!is_null && vector->form == KD_VECTOR_FRAME)
            code =
                (uint32_t)((uint64_t)vector->base - (uint64_t)key->low) + kdi_code_at(vector, row);
        else if (!is_null)
            code = (uint32_t)((uint64_t)integer_at(vector, row) - (uint64_t)key->low);
        codes[i] += code * factor;
    }
}

#define PICK_LOOP(name, code_type)                                                        \
    static void name(uint32_t *restrict codes, const code_type *restrict values,          \
                     const uint16_t *restrict selection, uint32_t count, uint32_t factor, \
                     uint32_t addend)                                                     \
    {                                                                                     \
        for (uint32_t i = 0; i < count; i++)                                              \
            codes[i] += values[selection[i]] * factor + addend;                           \
    }
PICK_LOOP(pick_u8, uint8_t)
PICK_LOOP(pick_u16, uint16_t)
PICK_LOOP(pick_u32, uint32_t)
#undef PICK_LOOP

/* codes[i] += stored code or offset * factor + addend */
static void codes_add(uint32_t *codes, const kd_vector *vector, const kd_batch *batch,
                      uint32_t factor, uint32_t addend)
{
    const kdi_kernel_set *kernels = kdi_kernels();
    uint32_t count = batch->selected_count;
    const uint16_t *selection = batch->selection;
    switch (vector->width_bytes) {
    case 1:
        if (selection == NULL)
            kernels->codes_u8(codes, vector->values, factor, addend, count);
        else
            pick_u8(codes, vector->values, selection, count, factor, addend);
        break;
    case 2:
        if (selection == NULL)
            kernels->codes_u16(codes, vector->values, factor, addend, count);
        else
            pick_u16(codes, vector->values, selection, count, factor, addend);
        break;
    default:
        if (selection == NULL)
            kernels->codes_u32(codes, vector->values, factor, addend, count);
        else
            pick_u32(codes, vector->values, selection, count, factor, addend);
        break;
    }
}

static void codes_fill(kdi_group_codes *codes, const kd_vector *keys, const kd_batch *batch)
{
    uint32_t factor = 1, addend = 0, count = batch->selected_count;
    bool differ = false;
    for (uint32_t k = 0; k < codes->key_count; k++) {
        if (keys[k].form == KD_VECTOR_CONSTANT)
            addend += constant_code(&keys[k], &codes->keys[k]) * factor;
        else
            differ = true;
        factor *= codes->keys[k].cardinality;
    }
    codes->one_code = differ ? KDI_NO_ONE_CODE : addend;
    for (uint32_t i = 0; i < count; i++)
        codes->codes[i] = addend;
    factor = 1;
    for (uint32_t k = 0; differ && k < codes->key_count; k++) {
        const kd_vector *vector = &keys[k];
        const kdi_code_key *key = &codes->keys[k];
        uint32_t shift = (uint32_t)((uint64_t)vector->base - (uint64_t)key->low);
        if (vector->form == KD_VECTOR_DICT)
            codes_add(codes->codes, vector, batch, factor, 0);
        else if (vector->form == KD_VECTOR_FRAME && vector->validity == NULL)
            codes_add(codes->codes, vector, batch, factor, shift * factor);
        else if (vector->form != KD_VECTOR_CONSTANT)
            codes_add_integers(codes->codes, vector, batch, key, factor);
        factor *= key->cardinality;
    }
}

/* Whether the batch has a code for the first time: hardly ever, so without looking which. */
static bool any_unseen(const kdi_group_codes *codes, uint32_t count)
{
    const uint8_t *restrict unseen = codes->unseen;
    const uint32_t *restrict by = codes->codes;
    uint8_t any = 0;
    for (uint32_t i = 0; i < count; i++)
        any |= unseen[by[i]];
    return any != 0;
}

static void missing_find(kdi_group_codes *codes, const kd_batch *batch)
{
    uint32_t missing = 0;
    uint32_t count = codes->one_code != KDI_NO_ONE_CODE ? 1 : batch->selected_count;
    codes->missing_count = 0;
    if (codes->touched_count == codes->cardinality || !any_unseen(codes, count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = codes->codes[i];
        if (codes->unseen[code] == 0)
            continue;
        codes->unseen[code] = 0;
        codes->missing_codes[missing] = code;
        codes->missing[missing++] = (uint16_t)kd_batch_row(batch, i);
    }
    codes->missing_count = missing;
}

static bool keys_same(const kdi_group_codes *codes, const kdi_code_key *found, uint32_t key_count)
{
    if (codes->key_count != key_count)
        return false;
    for (uint32_t k = 0; k < key_count; k++)
        if (codes->keys[k].dictionary_id != found[k].dictionary_id ||
            codes->keys[k].low != found[k].low ||
            codes->keys[k].cardinality != found[k].cardinality)
            return false;
    return true;
}

kd_status kdi_group_codes_open(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg,
                               const kd_vector *keys, uint32_t key_count, const kd_batch *batch,
                               bool *out_opened)
{
    kdi_code_key found[KDI_CODE_KEYS_MAX];
    uint64_t cardinality = 1;
    *out_opened = false;
    codes->has_masks = false;
    if (key_count > KDI_CODE_KEYS_MAX || batch->selected_count == 0)
        return KD_OK;
    for (uint32_t k = 0; k < key_count; k++) {
        if (!key_of(&keys[k], batch, &codes->keys[k], key_count == 1, &found[k]))
            return KD_OK;
        cardinality *= found[k].cardinality;
        if (cardinality > (key_count == 1 ? KDI_RANGE_MAX : KDI_CODES_MAX))
            return KD_OK;
    }
    if (!keys_same(codes, found, key_count) || codes->row_count > EPOCH_ROWS_MAX) {
        KD_TRY(kdi_group_codes_settle(ctx, codes, agg));
        KD_TRY(capacity_reserve(ctx, codes, (uint32_t)cardinality));
        memcpy(codes->keys, found, key_count * sizeof *found);
        codes->key_count = key_count;
        codes->cardinality = (uint32_t)cardinality;
        codes->lanes = cardinality <= KDI_CODE_LANES_MAX ? 4 : 1;
    }
    codes_fill(codes, keys, batch);
    missing_find(codes, batch);
    *out_opened = true;
    return KD_OK;
}
