/*
 * percentile_disc and percentile_cont without sorting: over integers, dates and times, which are
 * integers, and doubles, which become integers of the same order.
 *
 * Values are kept as they come, in chunks per group; states of several threads join by linking
 * their chunks. The answer is found by digits: the values' distances from the least one are
 * counted by their highest digit, then those with the digit that the wanted row falls into by the
 * next. Small ranges need one digit, so one pass.
 */
#include "builtin/signature_internal.h"

#include <math.h>

enum { CHUNK_MIN = 16, CHUNK_MAX = 1024, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

typedef struct bag_chunk bag_chunk;
struct bag_chunk {
    bag_chunk *before;
    uint32_t count;
    uint32_t capacity;
};

typedef struct bag_state {
    bag_chunk *last; /* Only the last of a thread's own chunks grows. */
    int64_t count;
    double fraction;
} bag_state;

static char *chunk_values(const bag_chunk *chunk)
{
    return (char *)(uintptr_t)(chunk + 1);
}

static bool is_narrow(const kd_call_env *env)
{
    return kd_physical_bytes(kd_type_physical(env->argument_types[1])) <= 4;
}

static kd_status bag_grow(kd_ctx *ctx, kd_call_env *env, bag_state *bag, bool narrow)
{
    uint32_t capacity = bag->last == NULL ? CHUNK_MIN : bag->last->capacity * 2;
    capacity = capacity > CHUNK_MAX ? CHUNK_MAX : capacity;
    size_t bytes = sizeof(bag_chunk) + (size_t)capacity * (narrow ? 4 : 8);
    bag_chunk *chunk = kd_alloc_raw(ctx, env->state_arena, bytes);
    if (chunk == NULL)
        return KD_NOMEM;
    *chunk = (bag_chunk){.before = bag->last, .capacity = capacity};
    bag->last = chunk;
    return KD_OK;
}

static inline kd_status bag_add(kd_ctx *ctx, kd_call_env *env, bag_state *bag, bool narrow,
                                int64_t value)
{
    if (bag->last == NULL || bag->last->count == bag->last->capacity)
        KD_TRY(bag_grow(ctx, env, bag, narrow));
    char *values = chunk_values(bag->last);
    uint32_t at = bag->last->count++;
    if (narrow)
        ((int32_t *)(void *)values)[at] = (int32_t)value;
    else
        ((int64_t *)(void *)values)[at] = value;
    bag->count++;
    return KD_OK;
}

/* Doubles as integers of the same order; NaN is above everything. */
static int64_t double_key(double value)
{
    int64_t bits;
    if (isnan(value))
        return INT64_MAX;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static double key_double(int64_t key)
{
    double value;
    if (key == INT64_MAX)
        return NAN;
    int64_t bits = key < 0 ? key ^ INT64_MAX : key;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t value_at(const kd_vector *vector, uint32_t row)
{
    if (vector->physical == KD_PHYS_F64)
        return double_key(((const double *)vector->values)[row]);
    if (vector->physical == KD_PHYS_I16)
        return ((const int16_t *)vector->values)[row];
    if (vector->physical == KD_PHYS_I32)
        return ((const int32_t *)vector->values)[row];
    return ((const int64_t *)vector->values)[row];
}

static bool is_null_at(const kd_vector *vector, uint32_t at)
{
    return vector->validity != NULL && !kd_bit_get(vector->validity, at);
}

static kd_status bag_step_vector(kd_ctx *ctx, kd_call_env *env, void *const *states,
                                 const kd_vector *args, const uint16_t *selection,
                                 uint32_t selected_count)
{
    bool narrow = is_narrow(env);
    bool one_fraction = args[0].form == KD_VECTOR_CONSTANT;
    bool one_value = args[1].form == KD_VECTOR_CONSTANT;
    for (uint32_t i = 0; i < selected_count; i++) {
        uint32_t row = selection == NULL ? i : selection[i];
        uint32_t fraction_row = one_fraction ? 0 : row, value_row = one_value ? 0 : row;
        if (is_null_at(&args[0], fraction_row) || is_null_at(&args[1], value_row))
            continue;
        bag_state *bag = states[i];
        if (bag->count == 0)
            bag->fraction = ((const double *)args[0].values)[fraction_row];
        KD_TRY(bag_add(ctx, env, bag, narrow, value_at(&args[1], value_row)));
    }
    return KD_OK;
}

static kd_status bag_combine(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
{
    (void)ctx;
    (void)env;
    bag_state *bag = object;
    const bag_state *more = other;
    if (more->count == 0)
        return KD_OK;
    if (bag->count == 0) {
        *bag = *more;
        return KD_OK;
    }
    bag_chunk *first = more->last;
    while (first->before != NULL)
        first = first->before;
    first->before = bag->last;
    bag->last = more->last;
    bag->count += more->count;
    return KD_OK;
}

/* ---- The wanted row ---- */

static int64_t chunk_get(const bag_chunk *chunk, bool narrow, uint32_t i)
{
    const void *values = chunk_values(chunk);
    return narrow ? ((const int32_t *)values)[i] : ((const int64_t *)values)[i];
}

static void bag_bounds(const bag_state *bag, bool narrow, int64_t *out_least, int64_t *out_most)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (const bag_chunk *chunk = bag->last; chunk != NULL; chunk = chunk->before) {
        for (uint32_t i = 0; i < chunk->count; i++) {
            int64_t value = chunk_get(chunk, narrow, i);
            least = value < least ? value : least;
            most = value > most ? value : most;
        }
    }
    *out_least = least;
    *out_most = most;
}

/* How many distances have each digit at `shift`, among those that begin with `prefix`. */
static void digits_count(const bag_state *bag, bool narrow, int64_t least, uint64_t prefix,
                         uint32_t shift, uint64_t *counts)
{
    memset(counts, 0, DIGITS * sizeof *counts);
    for (const bag_chunk *chunk = bag->last; chunk != NULL; chunk = chunk->before) {
        for (uint32_t i = 0; i < chunk->count; i++) {
            uint64_t distance = (uint64_t)chunk_get(chunk, narrow, i) - (uint64_t)least;
            uint64_t high = distance >> shift;
            counts[high & (DIGITS - 1)] += high >> DIGIT_BITS == prefix;
        }
    }
}

static int64_t bag_nth(const bag_state *bag, bool narrow, uint64_t nth)
{
    int64_t least, most;
    uint64_t counts[DIGITS];
    uint64_t prefix = 0;
    uint32_t shift = 0;
    bag_bounds(bag, narrow, &least, &most);
    uint64_t range = (uint64_t)most - (uint64_t)least;
    while (range >> shift >= DIGITS)
        shift += DIGIT_BITS;
    for (;;) {
        digits_count(bag, narrow, least, prefix, shift, counts);
        uint32_t digit = 0;
        while (digit < DIGITS - 1 && nth >= counts[digit])
            nth -= counts[digit++];
        prefix = prefix << DIGIT_BITS | digit;
        if (shift == 0)
            return (int64_t)((uint64_t)least + prefix);
        shift -= DIGIT_BITS;
    }
}

static kd_status fraction_check(kd_ctx *ctx, const bag_state *bag)
{
    if (!(bag->fraction >= 0 && bag->fraction <= 1))
        return KD_FAIL(ctx, KD_INVALID, "22003", "percentile value %g is not between 0 and 1",
                       bag->fraction);
    return KD_OK;
}

static kd_status bag_finish(kd_ctx *ctx, kd_call_env *env, const void *object, void *result,
                            bool *out_is_null)
{
    const bag_state *bag = object;
    *out_is_null = bag->count == 0;
    if (bag->count == 0)
        return KD_OK;
    KD_TRY(fraction_check(ctx, bag));
    double row = ceil(bag->fraction * (double)bag->count);
    int64_t value = bag_nth(bag, is_narrow(env), row < 1 ? 0 : (uint64_t)row - 1);
    kd_physical physical = kd_type_physical(env->argument_types[1]);
    if (physical == KD_PHYS_I16)
        *(int16_t *)result = (int16_t)value;
    else if (physical == KD_PHYS_I32)
        *(int32_t *)result = (int32_t)value;
    else if (physical == KD_PHYS_F64)
        *(double *)result = key_double(value);
    else
        *(int64_t *)result = value;
    return KD_OK;
}

/* Between the two rows that the fraction falls between. */
static kd_status bag_finish_between(kd_ctx *ctx, kd_call_env *env, const void *object, void *result,
                                    bool *out_is_null)
{
    (void)env;
    const bag_state *bag = object;
    *out_is_null = bag->count == 0;
    if (bag->count == 0)
        return KD_OK;
    KD_TRY(fraction_check(ctx, bag));
    double at = bag->fraction * (double)(bag->count - 1);
    double low = key_double(bag_nth(bag, false, (uint64_t)floor(at)));
    *(double *)result = low;
    if (floor(at) == ceil(at))
        return KD_OK;
    double high = key_double(bag_nth(bag, false, (uint64_t)ceil(at)));
    *(double *)result = low + (at - floor(at)) * (high - low);
    return KD_OK;
}

const kd_aggregate kdi_percentile_disc_unsorted = {
    .name = "percentile_disc",
    .argument_count = 2,
    .state_bytes = sizeof(bag_state),
    .skips_nulls = true,
    .keeps_rows = true,
    .ordered_set = 1,
    .step_vector = bag_step_vector,
    .combine = bag_combine,
    .finish = bag_finish,
};

const kd_aggregate kdi_percentile_cont_unsorted = {
    .name = "percentile_cont",
    .argument_count = 2,
    .state_bytes = sizeof(bag_state),
    .skips_nulls = true,
    .keeps_rows = true,
    .ordered_set = 1,
    .step_vector = bag_step_vector,
    .combine = bag_combine,
    .finish = bag_finish_between,
};
