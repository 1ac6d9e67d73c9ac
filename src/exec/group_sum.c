/*
 * Counts and sums by code: a few additions per row into arrays that stay in the cache, and one
 * visit to each group's state when the epoch ends.
 */
#include "exec/group_code_internal.h"

#include "exec/kernel_internal.h"
#include "types/numeric.h"

#include <assert.h>

static const uint64_t reach_max = (uint64_t)1 << 62;

void kdi_code_rows_count(kdi_group_codes *codes, uint32_t count)
{
    uint32_t *restrict counts = codes->counts;
    const uint32_t *restrict by = codes->codes;
    codes->row_count += count;
    if (codes->one_code != KDI_NO_ONE_CODE) {
        counts[codes->one_code * codes->lanes] += count;
        return;
    }
    uint32_t i = 0;
    if (codes->lanes == 1) {
        for (; i < count; i++)
            counts[by[i]]++;
        return;
    }
    for (; i + 4 <= count; i += 4) {
        counts[by[i] * 4]++;
        counts[by[i + 1] * 4 + 1]++;
        counts[by[i + 2] * 4 + 2]++;
        counts[by[i + 3] * 4 + 3]++;
    }
    for (; i < count; i++)
        counts[by[i] * 4]++;
}

/* ---- Sums ---- */

static kd_status sum_reserve(kd_ctx *ctx, kdi_group_codes *codes, kdi_code_sum *sum)
{
    if (sum->capacity >= codes->cardinality)
        return KD_OK;
    uint32_t capacity = codes->capacity;
    size_t entries = capacity < 4 * KDI_CODE_LANES_MAX ? 4 * KDI_CODE_LANES_MAX : capacity;
    int64_t *sums = KD_NEW_ARRAY(ctx, codes->arena, int64_t, entries);
    uint32_t *nulls = KD_NEW_ARRAY(ctx, codes->arena, uint32_t, capacity);
    uint8_t *scales = KD_NEW_ARRAY(ctx, codes->arena, uint8_t, capacity);
    if (sums == NULL || nulls == NULL || scales == NULL)
        return KD_NOMEM;
    sum->sums = sums;
    sum->nulls = nulls;
    sum->scales = scales;
    sum->capacity = capacity;
    return KD_OK;
}

/* One group: codes do not matter. */
static int64_t sum_all(const int64_t *values, const uint16_t *selection, uint32_t count)
{
    if (selection == NULL)
        return kdi_kernels()->sum(values, count);
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += (uint64_t)values[selection[i]];
    return (int64_t)total;
}

static void add_selected(int64_t *restrict sums, const uint32_t *restrict codes, uint32_t lanes,
                         const int64_t *restrict values, const uint16_t *restrict selection,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sums[codes[i] * lanes + (i & (lanes - 1))] += values[selection[i]];
}

static void add_plain(int64_t *restrict sums, const uint32_t *restrict codes,
                      const int64_t *restrict values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sums[codes[i]] += values[i];
}

KDI_ADD_LANES(int64_t)

/* Few groups: a pass for each over whole registers costs less than an addition per row. */
static bool masks_pay(const kdi_group_codes *codes, const kd_batch *batch)
{
    return kdi_kernels()->sum_masked != NULL && codes->cardinality <= KDI_CODE_MASK_CODES_MAX &&
           codes->touched_count <= KDI_CODE_MASKS_MAX &&
           batch->row_count * codes->touched_count <= batch->selected_count * KDI_CODE_MASKS_MAX;
}

/* A mask of rows for every code that the epoch has seen. */
static void masks_make(kdi_group_codes *codes, const kd_batch *batch)
{
    uint8_t by_row[KD_BATCH_ROWS];
    uint32_t count = batch->selected_count;
    if (codes->has_masks)
        return;
    if (batch->selection == NULL) {
        for (uint32_t i = 0; i < count; i++)
            by_row[i] = (uint8_t)codes->codes[i];
        memset(by_row + count, KDI_CODE_MASK_CODES_MAX, (KD_BATCH_ROWS - count) % 64);
    } else {
        memset(by_row, KDI_CODE_MASK_CODES_MAX, sizeof by_row);
        for (uint32_t i = 0; i < count; i++)
            by_row[batch->selection[i]] = (uint8_t)codes->codes[i];
    }
    for (uint32_t t = 0; t < codes->touched_count; t++)
        kdi_kernels()->mask_equal(by_row, (uint8_t)codes->touched[t], batch->row_count,
                                  codes->masks[t]);
    codes->has_masks = true;
}

static void add_masked(kdi_group_codes *codes, kdi_code_sum *sum, const kdi_fixed_vector *vector,
                       const kd_batch *batch)
{
    masks_make(codes, batch);
    uint32_t words = (batch->row_count + 63) / 64;
    for (uint32_t t = 0; t < codes->touched_count; t++) {
        uint32_t code = codes->touched[t];
        uint64_t *mask = codes->masks[t], valid[KDI_BATCH_WORDS];
        for (uint32_t w = 0; vector->validity != NULL && w < words; w++) {
            valid[w] = mask[w] & vector->validity[w];
            sum->nulls[code] += (uint32_t)__builtin_popcountll(mask[w] & ~vector->validity[w]);
        }
        sum->sums[code * codes->lanes] += kdi_kernels()->sum_masked(
            vector->values, vector->validity != NULL ? valid : mask, batch->row_count);
    }
}

/* Rows with NULLs, constants and differing scales, one by one. */
static void add_careful(const kdi_group_codes *codes, kdi_code_sum *sum,
                        const kdi_fixed_vector *vector, const kd_batch *batch)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        uint32_t code = codes->codes[i];
        if (vector->validity != NULL && !kd_bit_get(vector->validity, row)) {
            sum->nulls[code]++;
            continue;
        }
        sum->sums[code * codes->lanes] += vector->values[vector->is_constant ? 0 : row];
        uint8_t scale = vector->scales != NULL ? vector->scales[row] : (uint8_t)vector->scale;
        if (scale > sum->scales[code])
            sum->scales[code] = scale;
    }
}

static void add_values(kdi_group_codes *codes, kdi_code_sum *sum, const kdi_fixed_vector *vector,
                       const kd_batch *batch)
{
    uint32_t count = batch->selected_count;
    bool is_plain = !vector->is_constant && !sum->is_shown;
    if (is_plain && vector->validity == NULL && codes->one_code != KDI_NO_ONE_CODE)
        sum->sums[codes->one_code * codes->lanes] +=
            sum_all(vector->values, batch->selection, count);
    else if (is_plain && masks_pay(codes, batch))
        add_masked(codes, sum, vector, batch);
    else if (vector->validity != NULL || !is_plain)
        add_careful(codes, sum, vector, batch);
    else if (batch->selection != NULL)
        add_selected(sum->sums, codes->codes, codes->lanes, vector->values, batch->selection,
                     count);
    else if (codes->lanes == 1)
        add_plain(sum->sums, codes->codes, vector->values, count);
    else
        add_lanes(sum->sums, codes->codes, vector->values, count);
}

static void nulls_add(const kdi_group_codes *codes, kdi_code_sum *sum, const kd_vector *vector,
                      const kd_batch *batch)
{
    for (uint32_t i = 0; i < batch->selected_count; i++)
        sum->nulls[codes->codes[i]] += kd_vector_is_null(vector, kd_batch_row(batch, i));
}

/* ---- Folding ---- */

/* To one group's state. */
static kd_status state_add(kd_ctx *ctx, kdi_agg_call *call, const kdi_code_sum *sum, char *group,
                           uint32_t code, int64_t total, int64_t count)
{
    void *state = group + call->state_offset;
    if (call->aggregate == NULL || call->aggregate->state_kind == KD_STATE_COUNT) {
        *(int64_t *)state += count;
        return KD_OK;
    }
    if (call->aggregate->state_kind == KD_STATE_INTEGER_SUM) {
        struct {
            kd_i128 sum;
            int64_t count;
        } *integers = state;
        integers->sum += total;
        integers->count += count;
        return KD_OK;
    }
    int scale = sum->scale;
    if (sum->is_shown && sum->scales[code] < scale) {
        total /= (int64_t)kd_pow10_i128(scale - sum->scales[code]);
        scale = sum->scales[code];
    }
    return call->aggregate->add_sum(ctx, &call->env, state, total, count, scale);
}

static uint32_t rows_of(const kdi_group_codes *codes, uint32_t code)
{
    const uint32_t *counts = codes->counts + (size_t)code * codes->lanes;
    return codes->lanes == 1 ? counts[0] : counts[0] + counts[1] + counts[2] + counts[3];
}

static int64_t total_take(int64_t *sums, uint32_t lanes)
{
    uint64_t total = 0;
    for (uint32_t l = 0; l < lanes; l++) {
        total += (uint64_t)sums[l];
        sums[l] = 0;
    }
    return (int64_t)total;
}

/* `with_rows`: the rows of `counts` are counted too. */
static kd_status sum_fold(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, uint32_t call_index,
                          bool with_rows)
{
    kdi_agg_call *call = &agg->calls[call_index];
    kdi_code_sum *sum = &codes->sums[call_index];
    call->env.arena = agg->batch_arena;
    for (uint32_t i = 0; i < codes->touched_count; i++) {
        uint32_t code = codes->touched[i];
        int64_t total = 0, count = with_rows ? rows_of(codes, code) : 0;
        if (sum->nulls != NULL && with_rows) {
            count -= sum->nulls[code];
            sum->nulls[code] = 0;
        }
        if (sum->doubles != NULL) {
            void *state = codes->groups[code] + call->state_offset;
            kdi_code_doubles_fold(codes, sum, code, state, count);
            continue;
        }
        if (sum->sums != NULL)
            total = total_take(sum->sums + (size_t)code * codes->lanes, codes->lanes);
        if (count != 0 || total != 0)
            KD_TRY(state_add(ctx, call, sum, codes->groups[code], code, total, count));
        if (with_rows && sum->sums != NULL)
            sum->scales[code] = 0;
    }
    sum->reach = 0;
    return KD_OK;
}

kd_status kdi_code_sums_fold(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg)
{
    kd_status status = KD_OK;
    for (uint32_t c = 0; c < agg->call_count; c++) {
        if (codes->sums[c].is_open && status == KD_OK)
            status = sum_fold(ctx, codes, agg, c, true);
        codes->sums[c].is_open = false;
        codes->sums[c].is_shown = false;
        codes->sums[c].goes_by_rows = false;
    }
    for (uint32_t i = 0; i < codes->touched_count; i++)
        memset(codes->counts + (size_t)codes->touched[i] * codes->lanes, 0,
               codes->lanes * sizeof *codes->counts);
    return status;
}

/* ---- Stepping ---- */

static bool has_no_null(const kd_vector *vector)
{
    if (vector->form == KD_VECTOR_DICT)
        return vector->dictionary->validity == NULL;
    return vector->validity == NULL;
}

static kd_status count_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, kdi_agg_call *call,
                            kdi_code_sum *sum, const kd_batch *batch)
{
    kd_vector vector;
    KD_TRY(kd_expr_evaluate(ctx, call->arguments[0], agg->batch_arena, batch, &vector));
    if (has_no_null(&vector))
        return KD_OK;
    KD_TRY(sum_reserve(ctx, codes, sum));
    nulls_add(codes, sum, &vector, batch);
    return KD_OK;
}

/* False when the values are too large to be added up in 64 bits. */
static kd_status values_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, uint32_t call_index,
                             const kd_batch *batch, bool *out_done)
{
    kdi_agg_call *call = &agg->calls[call_index];
    kdi_code_sum *sum = &codes->sums[call_index];
    kdi_frame frame = {.arena = agg->batch_arena, .input = batch};
    kdi_fixed_vector vector;
    KD_TRY(kdi_fixed_evaluate(ctx, call->fixed, &frame, batch->selection, batch->selected_count,
                              &vector, out_done));
    if (!*out_done || vector.wide != NULL) {
        *out_done = false;
        return KD_OK;
    }
    kd_u128 low = vector.low < 0 ? (kd_u128)-vector.low : (kd_u128)vector.low;
    kd_u128 high = vector.high < 0 ? (kd_u128)-vector.high : (kd_u128)vector.high;
    kd_u128 reach = (low > high ? low : high) * batch->selected_count;
    if (reach > reach_max) {
        *out_done = false;
        return KD_OK;
    }
    if (sum->reach + (uint64_t)reach > reach_max)
        KD_TRY(sum_fold(ctx, codes, agg, call_index, false));
    KD_TRY(sum_reserve(ctx, codes, sum));
    sum->reach += (uint64_t)reach;
    sum->scale = vector.scale;
    sum->is_shown = vector.scales != NULL;
    add_values(codes, sum, &vector, batch);
    return KD_OK;
}

static bool is_double_sum(const kdi_agg_call *call)
{
    return call->aggregate->state_kind == KD_STATE_DOUBLE_SUM &&
           call->env.argument_types[0].id == KD_TYPE_FLOAT8;
}

static bool is_summable(const kdi_agg_call *call)
{
    if (call->filter != NULL || call->call->distinct || call->call->order_count > 0)
        return false;
    return call->aggregate == NULL || call->aggregate->state_kind == KD_STATE_COUNT ||
           call->fixed != NULL || is_double_sum(call);
}

kd_status kdi_code_sum_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, uint32_t call_index,
                            const kd_batch *batch, bool *out_done)
{
    kdi_agg_call *call = &agg->calls[call_index];
    kdi_code_sum *sum = &codes->sums[call_index];
    *out_done = !sum->goes_by_rows && is_summable(call);
    if (*out_done && call->aggregate != NULL) {
        if (call->aggregate->state_kind == KD_STATE_COUNT)
            KD_TRY(count_step(ctx, codes, agg, call, sum, batch));
        else if (is_double_sum(call))
            KD_TRY(kdi_code_doubles_step(ctx, codes, agg, call_index, batch));
        else
            KD_TRY(values_step(ctx, codes, agg, call_index, batch, out_done));
    }
    if (*out_done) {
        sum->is_open = true;
        return KD_OK;
    }
    if (sum->is_open)
        KD_TRY(sum_fold(ctx, codes, agg, call_index, true));
    sum->is_open = false;
    sum->goes_by_rows = true;
    return KD_OK;
}
