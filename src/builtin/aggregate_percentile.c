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

enum { CHUNK_MIN = 16, CHUNK_MAX = 1024, DIGIT_BITS_MAX = 11 };

typedef struct bag_chunk bag_chunk;
struct bag_chunk {
    bag_chunk *before;
    uint32_t count; /* Of the last chunk: see chunk_count. */
    uint32_t capacity;
};

typedef struct bag_state {
    char *next, *end; /* Within the last chunk, the only one that grows. */
    bag_chunk *last;
    int64_t count_before; /* Values in the other chunks. */
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

static uint32_t chunk_count(const bag_state *bag, const bag_chunk *chunk, bool narrow)
{
    if (chunk != bag->last)
        return chunk->count;
    return (uint32_t)((size_t)(bag->next - chunk_values(chunk)) / (narrow ? 4 : 8));
}

static int64_t bag_count(const bag_state *bag, bool narrow)
{
    return bag->last == NULL ? 0 : bag->count_before + chunk_count(bag, bag->last, narrow);
}

static kd_status bag_grow(kd_ctx *ctx, kd_call_env *env, bag_state *bag, bool narrow)
{
    uint32_t capacity = bag->last == NULL ? CHUNK_MIN : bag->last->capacity * 2;
    capacity = capacity > CHUNK_MAX ? CHUNK_MAX : capacity;
    size_t bytes = (size_t)capacity * (narrow ? 4 : 8);
    bag_chunk *chunk = kd_alloc_raw(ctx, env->state_arena, sizeof *chunk + bytes);
    if (chunk == NULL)
        return KD_NOMEM;
    if (bag->last != NULL) {
        bag->last->count = bag->last->capacity;
        bag->count_before += bag->last->capacity;
    }
    *chunk = (bag_chunk){.before = bag->last, .capacity = capacity};
    bag->last = chunk;
    bag->next = chunk_values(chunk);
    bag->end = bag->next + bytes;
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

static bool is_null_at(const kd_vector *vector, uint32_t at)
{
    return vector->validity != NULL && !kd_bit_get(vector->validity, at);
}

/* What a loop over rows needs; a constant's rows are all its row 0. */
typedef struct bag_rows {
    const kd_vector *args;
    const uint16_t *selection;
    uint32_t count;
    uint32_t fraction_mask, value_mask;
    bool may_be_null;
    bool narrow;
} bag_rows;

#define BAG_LOOP(name, value_type, kept_type, key_of)                                             \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *const *states, const bag_rows *in) \
    {                                                                                             \
        const value_type *values = in->args[1].values;                                            \
        for (uint32_t i = 0; i < in->count; i++) {                                                \
            uint32_t row = in->selection == NULL ? i : in->selection[i];                          \
            uint32_t at = row & in->value_mask, fraction_at = row & in->fraction_mask;            \
            bag_state *bag = states[i];                                                           \
            if (in->may_be_null &&                                                                \
                (is_null_at(&in->args[0], fraction_at) || is_null_at(&in->args[1], at)))          \
                continue;                                                                         \
            if (bag->next == bag->end) {                                                          \
                if (bag->last == NULL)                                                            \
                    bag->fraction = ((const double *)in->args[0].values)[fraction_at];            \
                KD_TRY(bag_grow(ctx, env, bag, in->narrow));                                      \
            }                                                                                     \
            kept_type kept = key_of(values[at]);                                                  \
            memcpy(bag->next, &kept, sizeof kept);                                                \
            bag->next += sizeof kept;                                                             \
        }                                                                                         \
        return KD_OK;                                                                             \
    }
BAG_LOOP(step_i16, int16_t, int32_t, )
BAG_LOOP(step_i32, int32_t, int32_t, )
BAG_LOOP(step_i64, int64_t, int64_t, )
BAG_LOOP(step_f64, double, int64_t, double_key)
#undef BAG_LOOP

static kd_status bag_step_vector(kd_ctx *ctx, kd_call_env *env, void *const *states,
                                 const kd_vector *args, const uint16_t *selection,
                                 uint32_t selected_count)
{
    bag_rows in = {.args = args,
                   .selection = selection,
                   .count = selected_count,
                   .fraction_mask = args[0].form == KD_VECTOR_CONSTANT ? 0 : UINT32_MAX,
                   .value_mask = args[1].form == KD_VECTOR_CONSTANT ? 0 : UINT32_MAX,
                   .may_be_null = args[0].validity != NULL || args[1].validity != NULL,
                   .narrow = is_narrow(env)};
    switch ((kd_physical)args[1].physical) {
    case KD_PHYS_F64:
        return step_f64(ctx, env, states, &in);
    case KD_PHYS_I16:
        return step_i16(ctx, env, states, &in);
    case KD_PHYS_I32:
        return step_i32(ctx, env, states, &in);
    default:
        return step_i64(ctx, env, states, &in);
    }
}

static kd_status bag_combine(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
{
    (void)ctx;
    bag_state *bag = object;
    const bag_state *more = other;
    bool narrow = is_narrow(env);
    if (more->last == NULL)
        return KD_OK;
    if (bag->last == NULL) {
        *bag = *more;
        return KD_OK;
    }
    bag_chunk *first = more->last;
    while (first->before != NULL)
        first = first->before;
    int64_t count = bag_count(bag, narrow);
    bag->last->count = chunk_count(bag, bag->last, narrow);
    first->before = bag->last;
    bag->last = more->last;
    bag->next = more->next;
    bag->end = more->end;
    bag->count_before = count + more->count_before;
    return KD_OK;
}

/* ---- The wanted row ---- */

#define CHUNK_LOOPS(suffix, value_type)                                                            \
    static void chunk_bounds_##suffix(const value_type *values, uint32_t count, int64_t *io_least, \
                                      int64_t *io_most)                                            \
    {                                                                                              \
        value_type least = values[0], most = values[0];                                            \
        for (uint32_t i = 1; i < count; i++) {                                                     \
            least = values[i] < least ? values[i] : least;                                         \
            most = values[i] > most ? values[i] : most;                                            \
        }                                                                                          \
        *io_least = least < *io_least ? least : *io_least;                                         \
        *io_most = most > *io_most ? most : *io_most;                                              \
    }                                                                                              \
    static void chunk_digits_##suffix(const value_type *values, uint32_t count, int64_t least,     \
                                      const digit *wanted, uint64_t *counts)                       \
    {                                                                                              \
        uint64_t mask = ((uint64_t)1 << wanted->bits) - 1;                                         \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            uint64_t high = ((uint64_t)values[i] - (uint64_t)least) >> wanted->shift;              \
            counts[high & mask] += high >> wanted->bits == wanted->prefix;                         \
        }                                                                                          \
    }

/* A digit of the values' distances from the least, of those that begin with `prefix`. */
typedef struct digit {
    uint32_t bits;
    uint32_t shift;
    uint64_t prefix;
} digit;

CHUNK_LOOPS(narrow, int32_t)
CHUNK_LOOPS(wide, int64_t)
#undef CHUNK_LOOPS

static void bag_bounds(const bag_state *bag, bool narrow, int64_t *out_least, int64_t *out_most)
{
    *out_least = INT64_MAX;
    *out_most = INT64_MIN;
    for (const bag_chunk *chunk = bag->last; chunk != NULL; chunk = chunk->before) {
        const void *values = chunk_values(chunk);
        uint32_t count = chunk_count(bag, chunk, narrow);
        if (narrow)
            chunk_bounds_narrow(values, count, out_least, out_most);
        else
            chunk_bounds_wide(values, count, out_least, out_most);
    }
}

static void digits_count(const bag_state *bag, bool narrow, int64_t least, const digit *wanted,
                         uint64_t *counts)
{
    for (const bag_chunk *chunk = bag->last; chunk != NULL; chunk = chunk->before) {
        const void *values = chunk_values(chunk);
        uint32_t count = chunk_count(bag, chunk, narrow);
        if (narrow)
            chunk_digits_narrow(values, count, least, wanted, counts);
        else
            chunk_digits_wide(values, count, least, wanted, counts);
    }
}

/* Few values need few counters: zeroing and looking through them is work as well. */
static uint32_t digit_bits(int64_t count)
{
    uint32_t bits = 4;
    while (bits < DIGIT_BITS_MAX && ((int64_t)1 << bits) < count * 2)
        bits++;
    return bits;
}

static int64_t bag_nth(const bag_state *bag, bool narrow, uint64_t nth)
{
    int64_t least, most;
    uint64_t counts[1 << DIGIT_BITS_MAX];
    digit wanted = {.bits = digit_bits(bag_count(bag, narrow))};
    bag_bounds(bag, narrow, &least, &most);
    uint64_t range = (uint64_t)most - (uint64_t)least;
    while (range >> wanted.shift >> wanted.bits != 0)
        wanted.shift += wanted.bits;
    for (;;) {
        uint32_t last = (1u << wanted.bits) - 1, at = 0;
        memset(counts, 0, sizeof *counts << wanted.bits);
        digits_count(bag, narrow, least, &wanted, counts);
        while (at < last && nth >= counts[at])
            nth -= counts[at++];
        wanted.prefix = wanted.prefix << wanted.bits | at;
        if (wanted.shift == 0)
            return (int64_t)((uint64_t)least + wanted.prefix);
        wanted.shift -= wanted.bits;
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
    int64_t count = bag_count(bag, is_narrow(env));
    *out_is_null = count == 0;
    if (count == 0)
        return KD_OK;
    KD_TRY(fraction_check(ctx, bag));
    double row = ceil(bag->fraction * (double)count);
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
    int64_t count = bag_count(bag, false);
    *out_is_null = count == 0;
    if (count == 0)
        return KD_OK;
    KD_TRY(fraction_check(ctx, bag));
    double at = bag->fraction * (double)(count - 1);
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
