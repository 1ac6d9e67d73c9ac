/*
 * Groups by code, and aggregates over encoded columns.
 *
 * Sums of a frame are taken over its offsets: one small addition per row into an array of a few
 * cache lines, and once per batch and code the base times the count.
 */
#include "exec/group_code_internal.h"

#include <assert.h>

kd_status kdi_group_codes_create(kd_ctx *ctx, kd_arena *arena, kdi_group_codes **out_codes)
{
    kdi_group_codes *codes = KD_NEW(ctx, arena, kdi_group_codes);
    *out_codes = codes;
    if (codes == NULL)
        return KD_NOMEM;
    /* Zeroed where and when they are used: a statement over a few rows uses little of them. */
    codes->groups = kd_alloc_raw(ctx, arena, KDI_CODES_MAX * sizeof *codes->groups);
    codes->codes = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->codes);
    codes->missing = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->missing);
    codes->missing_codes = kd_alloc_raw(ctx, arena, KD_BATCH_ROWS * sizeof *codes->missing_codes);
    codes->counts = kd_alloc_raw(ctx, arena, KDI_CODE_SUMS_MAX * sizeof *codes->counts);
    codes->sums = kd_alloc_raw(ctx, arena, KDI_CODE_SUMS_MAX * sizeof *codes->sums);
    codes->sum_counts = kd_alloc_raw(ctx, arena, KDI_CODE_SUMS_MAX * sizeof *codes->sum_counts);
    if (codes->groups == NULL || codes->codes == NULL || codes->missing == NULL ||
        codes->missing_codes == NULL || codes->counts == NULL || codes->sums == NULL ||
        codes->sum_counts == NULL)
        return KD_NOMEM;
    return KD_OK;
}

void kdi_group_codes_forget(kdi_group_codes *codes)
{
    memset(codes->groups, 0, codes->cardinality * sizeof *codes->groups);
}

static uint8_t largest(const uint8_t *values, uint32_t count)
{
    uint8_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* Room for a frame's offsets and NULL: a power of two, so that it seldom changes. */
static uint32_t frame_cardinality(const kd_vector *vector, const kdi_code_key *before,
                                  uint32_t row_count)
{
    uint32_t needed = (uint32_t)largest(vector->values, row_count) + 2;
    uint32_t cardinality = 4;
    if (before->form == KD_VECTOR_FRAME && before->base == vector->base)
        cardinality = before->cardinality;
    while (cardinality < needed)
        cardinality *= 2;
    return cardinality;
}

static bool key_of(const kd_vector *vector, const kdi_code_key *before, uint32_t row_count,
                   kdi_code_key *out)
{
    *out = (kdi_code_key){.form = vector->form};
    switch ((kd_vector_form)vector->form) {
    case KD_VECTOR_DICT:
        out->dictionary_id = vector->dictionary_id;
        out->cardinality = vector->dictionary_count;
        return vector->dictionary_id != 0 && vector->dictionary_count > 0;
    case KD_VECTOR_FRAME:
        out->base = vector->base;
        if (vector->width_bytes != 1)
            return false;
        out->cardinality = frame_cardinality(vector, before, row_count);
        return true;
    default:
        return false;
    }
}

#define CODES_LOOP(name, code_type)                                                       \
    static void name(uint32_t *restrict codes, const code_type *restrict values,          \
                     const uint16_t *restrict selection, uint32_t count, uint32_t factor) \
    {                                                                                     \
        if (selection == NULL) {                                                          \
            for (uint32_t i = 0; i < count; i++)                                          \
                codes[i] += values[i] * factor;                                           \
            return;                                                                       \
        }                                                                                 \
        for (uint32_t i = 0; i < count; i++)                                              \
            codes[i] += values[selection[i]] * factor;                                    \
    }
CODES_LOOP(codes_add_u8, uint8_t)
CODES_LOOP(codes_add_u16, uint16_t)
CODES_LOOP(codes_add_u32, uint32_t)
#undef CODES_LOOP

static void codes_add(uint32_t *codes, const kd_vector *vector, const uint16_t *selection,
                      uint32_t count, uint32_t factor, uint32_t cardinality)
{
    if (vector->form == KD_VECTOR_FRAME && vector->validity != NULL) {
        const uint8_t *values = vector->values;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t row = selection == NULL ? i : selection[i];
            codes[i] +=
                (kd_bit_get(vector->validity, row) ? values[row] : cardinality - 1) * factor;
        }
        return;
    }
    switch (vector->width_bytes) {
    case 1:
        codes_add_u8(codes, vector->values, selection, count, factor);
        break;
    case 2:
        codes_add_u16(codes, vector->values, selection, count, factor);
        break;
    default:
        codes_add_u32(codes, vector->values, selection, count, factor);
        break;
    }
}

static void missing_find(kdi_group_codes *codes, const kd_batch *batch)
{
    static char sentinel; /* "Being added": the code is in the list already. */
    uint32_t missing = 0;
    uint32_t count = codes->cardinality == 1 ? 1 : batch->selected_count;
    for (uint32_t i = 0; i < count; i++) {
        char **group = &codes->groups[codes->codes[i]];
        if (*group != NULL)
            continue;
        *group = &sentinel;
        codes->missing_codes[missing] = codes->codes[i];
        codes->missing[missing++] = (uint16_t)kd_batch_row(batch, i);
    }
    codes->missing_count = missing;
}

bool kdi_group_codes_open(kdi_group_codes *codes, const kd_vector *keys, uint32_t key_count,
                          const kd_batch *batch)
{
    kdi_code_key found[KDI_CODE_KEYS_MAX];
    uint64_t cardinality = 1;
    if (key_count > KDI_CODE_KEYS_MAX)
        return false;
    for (uint32_t k = 0; k < key_count; k++) {
        if (!key_of(&keys[k], &codes->keys[k], batch->row_count, &found[k]))
            return false;
        cardinality *= found[k].cardinality;
        if (cardinality > KDI_CODES_MAX)
            return false;
    }
    bool same = codes->key_count == key_count && codes->cardinality == cardinality;
    for (uint32_t k = 0; k < key_count && same; k++)
        same = codes->keys[k].form == found[k].form && codes->keys[k].base == found[k].base &&
               codes->keys[k].dictionary_id == found[k].dictionary_id &&
               codes->keys[k].cardinality == found[k].cardinality;
    if (!same) {
        memcpy(codes->keys, found, key_count * sizeof *found);
        codes->key_count = key_count;
        codes->cardinality = (uint32_t)cardinality;
        kdi_group_codes_forget(codes);
    }
    uint32_t count = batch->selected_count;
    memset(codes->codes, 0, count * sizeof *codes->codes);
    uint32_t factor = 1;
    for (uint32_t k = 0; k < key_count; k++) {
        codes_add(codes->codes, &keys[k], batch->selection, count, factor, found[k].cardinality);
        factor *= found[k].cardinality;
    }
    missing_find(codes, batch);
    if (codes->cardinality <= KDI_CODE_SUMS_MAX) {
        memset(codes->counts, 0, codes->cardinality * sizeof *codes->counts);
        if (key_count == 0)
            codes->counts[0] = count;
        else
            for (uint32_t i = 0; i < count; i++)
                codes->counts[codes->codes[i]]++;
    }
    return true;
}

/* ---- Aggregates ---- */

#define SUM_LOOP(name, value_type)                                                               \
    static void name(const value_type *restrict values, const uint32_t *restrict codes,          \
                     const uint16_t *restrict selection, uint32_t count, int64_t *restrict sums) \
    {                                                                                            \
        if (codes == NULL) {                                                                     \
            int64_t total = 0;                                                                   \
            if (selection == NULL)                                                               \
                for (uint32_t i = 0; i < count; i++)                                             \
                    total += (int64_t)values[i];                                                 \
            else                                                                                 \
                for (uint32_t i = 0; i < count; i++)                                             \
                    total += (int64_t)values[selection[i]];                                      \
            sums[0] = total;                                                                     \
            return;                                                                              \
        }                                                                                        \
        for (uint32_t i = 0; i < count; i++)                                                     \
            sums[codes[i]] += (int64_t)values[selection == NULL ? i : selection[i]];             \
    }
SUM_LOOP(sum_u8, uint8_t)
SUM_LOOP(sum_u16, uint16_t)
SUM_LOOP(sum_u32, uint32_t)
SUM_LOOP(sum_i16, int16_t)
SUM_LOOP(sum_i32, int32_t)
#undef SUM_LOOP

static int64_t value_at(const kd_vector *vector, uint32_t row)
{
    if (vector->form == KD_VECTOR_FRAME)
        return kdi_code_at(vector, row);
    return vector->physical == KD_PHYS_I16 ? ((const int16_t *)vector->values)[row]
                                           : ((const int32_t *)vector->values)[row];
}

static void sum_nullable(const kd_vector *vector, const kdi_group_codes *codes,
                         const kd_batch *batch)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        int64_t valid = kd_bit_get(vector->validity, row);
        uint32_t code = codes->codes[i];
        codes->sums[code] += value_at(vector, row) & -valid;
        codes->sum_counts[code] += valid;
    }
}

static void sum_plain(const kd_vector *vector, const kdi_group_codes *codes, const kd_batch *batch)
{
    const uint32_t *by = codes->cardinality == 1 ? NULL : codes->codes;
    uint32_t count = batch->selected_count;
    int64_t *sums = codes->sums;
    bool frame = vector->form == KD_VECTOR_FRAME;
    if (!frame && vector->physical == KD_PHYS_I16)
        sum_i16(vector->values, by, batch->selection, count, sums);
    else if (!frame)
        sum_i32(vector->values, by, batch->selection, count, sums);
    else if (vector->width_bytes == 1)
        sum_u8(vector->values, by, batch->selection, count, sums);
    else if (vector->width_bytes == 2)
        sum_u16(vector->values, by, batch->selection, count, sums);
    else
        sum_u32(vector->values, by, batch->selection, count, sums);
}

/* Offsets of up to 32 bits and values of up to 32 bits cannot overflow a batch's 64-bit sum. */
static bool can_sum(const kd_vector *vector)
{
    if (vector->form == KD_VECTOR_FRAME)
        return true;
    return vector->form == KD_VECTOR_FLAT &&
           (vector->physical == KD_PHYS_I16 || vector->physical == KD_PHYS_I32);
}

static void sums_fold(const kdi_group_codes *codes, const kdi_agg_call *call,
                      const kd_vector *vector)
{
    struct {
        kd_i128 sum;
        int64_t count;
    } * state;
    const int64_t *counts = vector->validity == NULL ? codes->counts : codes->sum_counts;
    int64_t base = vector->form == KD_VECTOR_FRAME ? vector->base : 0;
    for (uint32_t c = 0; c < codes->cardinality; c++) {
        if (counts[c] == 0)
            continue;
        state = (void *)(codes->groups[c] + call->state_offset);
        state->sum += (kd_i128)base * counts[c] + codes->sums[c];
        state->count += counts[c];
    }
}

static void counts_fold(const kdi_group_codes *codes, const kdi_agg_call *call)
{
    for (uint32_t c = 0; c < codes->cardinality; c++)
        if (codes->counts[c] != 0)
            *(int64_t *)(void *)(codes->groups[c] + call->state_offset) += codes->counts[c];
}

static bool has_no_null(const kd_vector *vector)
{
    if (vector->form == KD_VECTOR_DICT)
        return vector->dictionary->validity == NULL;
    return vector->validity == NULL;
}

kd_status kdi_group_codes_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg,
                               kdi_agg_call *call, const kd_batch *batch, bool *out_done)
{
    *out_done = false;
    const kd_aggregate *aggregate = call->aggregate;
    if (codes->cardinality > KDI_CODE_SUMS_MAX || call->filter != NULL || call->call->distinct ||
        call->call->order_count > 0)
        return KD_OK;
    if (aggregate != NULL && aggregate->state_kind == KD_STATE_OPAQUE)
        return KD_OK;
    *out_done = true;
    if (aggregate == NULL) {
        counts_fold(codes, call);
        return KD_OK;
    }
    kd_vector vector;
    KD_TRY(kd_expr_evaluate(ctx, call->arguments[0], agg->batch_arena, batch, &vector));
    if (aggregate->state_kind == KD_STATE_COUNT && has_no_null(&vector)) {
        counts_fold(codes, call);
        return KD_OK;
    }
    if (aggregate->state_kind != KD_STATE_INTEGER_SUM || !can_sum(&vector)) {
        *out_done = false;
        return KD_OK;
    }
    memset(codes->sums, 0, codes->cardinality * sizeof *codes->sums);
    if (vector.validity != NULL) {
        memset(codes->sum_counts, 0, codes->cardinality * sizeof *codes->sum_counts);
        sum_nullable(&vector, codes, batch);
    } else {
        sum_plain(&vector, codes, batch);
    }
    sums_fold(codes, call, &vector);
    return KD_OK;
}
