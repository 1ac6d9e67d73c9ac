/*
 * Sums of doubles by code.
 *
 * Which sum comes out depends on the order of the additions. The first rows of an epoch are added
 * in their order, one by one, as a sum by row does; where there are many, they go to lanes and
 * parts, as they would be shared among threads.
 */
#include "exec/group_code_internal.h"

#include <assert.h>

enum { ORDERED_ROWS = 1 << 14, PARTS = 8 };

static kd_status doubles_reserve(kd_ctx *ctx, kdi_group_codes *codes, kdi_code_sum *sum)
{
    if (sum->capacity >= codes->cardinality)
        return KD_OK;
    uint32_t capacity = codes->capacity;
    size_t entries = capacity < 4 * KDI_CODE_LANES_MAX ? 4 * KDI_CODE_LANES_MAX : capacity;
    double *doubles = KD_NEW_ARRAY(ctx, codes->arena, double, entries);
    uint32_t *nulls = KD_NEW_ARRAY(ctx, codes->arena, uint32_t, capacity);
    if (doubles == NULL || nulls == NULL)
        return KD_NOMEM;
    sum->doubles = doubles;
    sum->nulls = nulls;
    sum->capacity = capacity;
    return KD_OK;
}

/* ---- Values ---- */

#define ENTRIES_LOOP(name, code_type)                                                            \
    static void name(double *restrict out, const double *restrict entries,                       \
                     const code_type *restrict codes, const uint16_t *selection, uint32_t count) \
    {                                                                                            \
        for (uint32_t i = 0; i < count; i++)                                                     \
            out[i] = entries[codes[selection == NULL ? i : selection[i]]];                       \
    }
ENTRIES_LOOP(entries_u8, uint8_t)
ENTRIES_LOOP(entries_u16, uint16_t)
ENTRIES_LOOP(entries_u32, uint32_t)
#undef ENTRIES_LOOP

static void entries_pick(const kd_vector *vector, const kd_batch *batch, double *out)
{
    const double *entries = vector->dictionary->values;
    uint32_t count = batch->selected_count;
    switch (vector->width_bytes) {
    case 1:
        entries_u8(out, entries, vector->values, batch->selection, count);
        break;
    case 2:
        entries_u16(out, entries, vector->values, batch->selection, count);
        break;
    default:
        entries_u32(out, entries, vector->values, batch->selection, count);
        break;
    }
}

/* The selected rows' values side by side, in `room` unless they lie so already. */
static const double *values_pick(const kd_vector *vector, const kd_batch *batch, double *room)
{
    const double *values = vector->values;
    if (vector->form == KD_VECTOR_DICT) {
        entries_pick(vector, batch, room);
        return room;
    }
    assert(vector->form == KD_VECTOR_FLAT || vector->form == KD_VECTOR_CONSTANT);
    bool is_constant = vector->form == KD_VECTOR_CONSTANT;
    if (!is_constant && batch->selection == NULL)
        return values;
    for (uint32_t i = 0; i < batch->selected_count; i++)
        room[i] = values[is_constant ? 0 : kd_batch_row(batch, i)];
    return room;
}

/* Which of the selected rows are NULL; false when none is. */
static bool nulls_find(const kd_vector *vector, const kd_batch *batch, uint8_t *out_nulls)
{
    bool is_dict = vector->form == KD_VECTOR_DICT, is_constant = vector->form == KD_VECTOR_CONSTANT;
    const uint64_t *validity = is_dict ? vector->dictionary->validity : vector->validity;
    uint8_t any = 0;
    for (uint32_t i = 0; validity != NULL && i < batch->selected_count; i++) {
        uint32_t row = is_constant ? 0 : kd_batch_row(batch, i);
        out_nulls[i] = !kd_bit_get(validity, is_dict ? kdi_code_at(vector, row) : row);
        any |= out_nulls[i];
    }
    return any != 0;
}

/* NULLs are counted, and add nothing. */
static void nulls_take(const kdi_group_codes *codes, kdi_code_sum *sum, const uint8_t *nulls,
                       const double *values, uint32_t count, double *room)
{
    for (uint32_t i = 0; i < count; i++) {
        sum->nulls[codes->codes[i]] += nulls[i];
        room[i] = nulls[i] ? 0 : values[i];
    }
}

/* ---- Adding ---- */

static void add_ordered(double *restrict sums, const uint32_t *restrict codes, uint32_t lanes,
                        const double *restrict values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sums[codes[i] * lanes] += values[i];
}

KDI_ADD_LANES(double)

static double add_ordered_all(double total, const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        total += values[i];
    return total;
}

/* One group: in parts that do not wait for each other. */
static double add_parts(double total, const double *values, uint32_t count)
{
    double parts[PARTS] = {0};
    uint32_t i = 0;
    for (; i + PARTS <= count; i += PARTS)
        for (uint32_t p = 0; p < PARTS; p++)
            parts[p] += values[i + p];
    for (uint32_t p = 0; p < PARTS; p++)
        total += parts[p];
    return add_ordered_all(total, values + i, count - i);
}

static void values_add(kdi_group_codes *codes, double *sums, const double *values, uint32_t count)
{
    bool is_ordered = codes->row_count < ORDERED_ROWS;
    double *one = codes->one_code == KDI_NO_ONE_CODE ? NULL : &sums[codes->one_code * codes->lanes];
    if (one != NULL)
        *one = is_ordered ? add_ordered_all(*one, values, count) : add_parts(*one, values, count);
    else if (is_ordered || codes->lanes == 1)
        add_ordered(sums, codes->codes, codes->lanes, values, count);
    else
        add_lanes(sums, codes->codes, values, count);
}

kd_status kdi_code_doubles_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg,
                                uint32_t call_index, const kd_batch *batch)
{
    double room[KD_BATCH_ROWS];
    uint8_t nulls[KD_BATCH_ROWS];
    kdi_code_sum *sum = &codes->sums[call_index];
    kd_vector vector;
    KD_TRY(kd_expr_evaluate(ctx, agg->calls[call_index].arguments[0], agg->batch_arena, batch,
                            &vector));
    KD_TRY(doubles_reserve(ctx, codes, sum));
    const double *values = values_pick(&vector, batch, room);
    if (nulls_find(&vector, batch, nulls)) {
        nulls_take(codes, sum, nulls, values, batch->selected_count, room);
        values = room;
    }
    values_add(codes, sum->doubles, values, batch->selected_count);
    return KD_OK;
}

void kdi_code_doubles_fold(const kdi_group_codes *codes, kdi_code_sum *sum, uint32_t code,
                           kd_double_sum *state, int64_t count)
{
    double *lanes = sum->doubles + (size_t)code * codes->lanes;
    for (uint32_t l = 0; l < codes->lanes; l++) {
        state->sum += lanes[l];
        lanes[l] = 0;
    }
    state->count += count;
}
