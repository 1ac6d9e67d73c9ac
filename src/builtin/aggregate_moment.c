/*
 * Aggregates of floating-point numbers that analysts know from elsewhere: product, geomean,
 * skewness, kurtosis, a sum without rounding losses; count_if; and histogram, which counts values.
 */
#include "builtin/signature_internal.h"
#include "types/json.h"

#include <math.h>
#include <stdlib.h>

#define STEP(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args)
#define COMBINE(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
#define FINISH(name)                                                                       \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *object, void *result, \
                          bool *out_is_null)
#define UNUSED     \
    do {           \
        (void)ctx; \
        (void)env; \
    } while (0)

/* --- Products and sums ------------------------------------------------------------------------ */

typedef struct number_state {
    double value;
    double lost; /* What rounding took from the sum so far. */
    int64_t count;
} number_state;

STEP(product_step)
{
    UNUSED;
    number_state *state = object;
    double number = KDI_ARG(double, args, 0);
    state->value = state->count++ == 0 ? number : state->value * number;
    return KD_OK;
}

COMBINE(product_combine)
{
    UNUSED;
    number_state *state = object;
    const number_state *more = other;
    if (more->count > 0)
        state->value = state->count == 0 ? more->value : state->value * more->value;
    state->count += more->count;
    return KD_OK;
}

/* Neumaier's variant of Kahan's sum. */
static void sum_add(number_state *state, double number)
{
    double sum = state->value + number;
    state->lost += fabs(state->value) >= fabs(number) ? (state->value - sum) + number
                                                      : (number - sum) + state->value;
    state->value = sum;
}

STEP(sum_step)
{
    UNUSED;
    number_state *state = object;
    sum_add(state, KDI_ARG(double, args, 0));
    state->count++;
    return KD_OK;
}

COMBINE(sum_combine)
{
    UNUSED;
    number_state *state = object;
    const number_state *more = other;
    sum_add(state, more->value);
    state->lost += more->lost;
    state->count += more->count;
    return KD_OK;
}

FINISH(product_finish)
{
    UNUSED;
    const number_state *state = object;
    *out_is_null = state->count == 0;
    *(double *)result = state->value;
    return KD_OK;
}

FINISH(sum_finish)
{
    UNUSED;
    const number_state *state = object;
    *out_is_null = state->count == 0;
    *(double *)result = isfinite(state->value) ? state->value + state->lost : state->value;
    return KD_OK;
}

STEP(geomean_step)
{
    number_state *state = object;
    double number = KDI_ARG(double, args, 0);
    UNUSED;
    if (number < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201E", "cannot take logarithm of a negative number");
    sum_add(state, log(number));
    state->count++;
    return KD_OK;
}

FINISH(geomean_finish)
{
    UNUSED;
    const number_state *state = object;
    *out_is_null = state->count == 0;
    double sum = isfinite(state->value) ? state->value + state->lost : state->value;
    *(double *)result = exp(sum / (double)(state->count == 0 ? 1 : state->count));
    return KD_OK;
}

/* --- Moments ---------------------------------------------------------------------------------- */

/* Sums of powers of the distance from the mean, kept as rows come (Pebay 2008). */
typedef struct moment_state {
    double count, mean, m2, m3, m4;
} moment_state;

static void moment_join(moment_state *a, const moment_state *b)
{
    if (b->count == 0)
        return;
    if (a->count == 0) {
        *a = *b;
        return;
    }
    double n = a->count + b->count, d = b->mean - a->mean, na = a->count, nb = b->count;
    double d_n = d / n;
    double m4 = a->m4 + b->m4 + d * d_n * d_n * d_n * na * nb * (na * na - na * nb + nb * nb) +
                6 * d_n * d_n * (na * na * b->m2 + nb * nb * a->m2) +
                4 * d_n * (na * b->m3 - nb * a->m3);
    double m3 =
        a->m3 + b->m3 + d * d_n * d_n * na * nb * (na - nb) + 3 * d_n * (na * b->m2 - nb * a->m2);
    a->m2 += b->m2 + d * d_n * na * nb;
    a->m3 = m3;
    a->m4 = m4;
    a->mean += d_n * nb;
    a->count = n;
}

STEP(moment_step)
{
    UNUSED;
    moment_state one = {.count = 1, .mean = KDI_ARG(double, args, 0)};
    moment_join(object, &one);
    return KD_OK;
}

COMBINE(moment_combine)
{
    UNUSED;
    moment_join(object, other);
    return KD_OK;
}

/* Of a sample, with Fisher's correction, as spreadsheets have them. */
FINISH(skewness_finish)
{
    UNUSED;
    const moment_state *state = object;
    double n = state->count;
    *out_is_null = n < 3 || state->m2 == 0;
    if (!*out_is_null)
        *(double *)result = sqrt(n * (n - 1)) / (n - 2) * sqrt(n) * state->m3 / pow(state->m2, 1.5);
    return KD_OK;
}

FINISH(kurtosis_finish)
{
    UNUSED;
    const moment_state *state = object;
    double n = state->count;
    *out_is_null = n < 4 || state->m2 == 0;
    if (!*out_is_null)
        *(double *)result = (n - 1) / ((n - 2) * (n - 3)) *
                            ((n + 1) * n * state->m4 / (state->m2 * state->m2) - 3 * (n - 1));
    return KD_OK;
}

/* --- count_if --------------------------------------------------------------------------------- */

STEP(count_if_step)
{
    UNUSED;
    *(int64_t *)object += KDI_ARG(uint8_t, args, 0);
    return KD_OK;
}

COMBINE(count_if_combine)
{
    UNUSED;
    *(int64_t *)object += *(const int64_t *)other;
    return KD_OK;
}

FINISH(count_if_finish)
{
    UNUSED;
    (void)out_is_null;
    *(int64_t *)result = *(const int64_t *)object;
    return KD_OK;
}

/* --- histogram: how often each value is there ------------------------------------------------- */

typedef struct bar {
    kd_value value;
    uint64_t hash;
    int64_t count; /* 0: free. */
} bar;

typedef struct histogram_state {
    bar *slots; /* A power of two of them. */
    uint32_t capacity;
    uint32_t used;
} histogram_state;

static bar *bar_of(const histogram_state *state, const kd_value *value, uint64_t hash)
{
    for (uint64_t i = hash ^ hash >> 32;; i++) {
        bar *slot = &state->slots[i & (state->capacity - 1)];
        if (slot->count == 0 || (slot->hash == hash && kd_value_compare(&slot->value, value) == 0))
            return slot;
    }
}

static kd_status histogram_grow(kd_ctx *ctx, kd_call_env *env, histogram_state *state)
{
    histogram_state next = {.capacity = state->capacity == 0 ? 16 : state->capacity * 2,
                            .used = state->used};
    next.slots = KD_NEW_ARRAY(ctx, env->state_arena, bar, next.capacity);
    if (next.slots == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < state->capacity; i++)
        if (state->slots[i].count > 0)
            *bar_of(&next, &state->slots[i].value, state->slots[i].hash) = state->slots[i];
    *state = next;
    return KD_OK;
}

static kd_status histogram_add(kd_ctx *ctx, kd_call_env *env, histogram_state *state,
                               const kd_value *value, int64_t count)
{
    uint64_t hash = kd_value_hash(value);
    if (state->used >= state->capacity / 4 * 3)
        KD_TRY(histogram_grow(ctx, env, state));
    bar *slot = bar_of(state, value, hash);
    if (slot->count == 0) {
        KD_TRY(kd_value_copy(ctx, env->state_arena, value, &slot->value));
        slot->hash = hash;
        state->used++;
    }
    slot->count += count;
    return KD_OK;
}

STEP(histogram_step)
{
    kd_value value = kdi_arg_value(env, args, 0);
    return histogram_add(ctx, env, object, &value, 1);
}

COMBINE(histogram_combine)
{
    const histogram_state *more = other;
    for (uint32_t i = 0; i < more->capacity; i++)
        if (more->slots[i].count > 0)
            KD_TRY(histogram_add(ctx, env, object, &more->slots[i].value, more->slots[i].count));
    return KD_OK;
}

static int bar_order(const void *a, const void *b)
{
    return kd_value_compare(&((const bar *)a)->value, &((const bar *)b)->value);
}

/* {"value": count, ...} in the order of the values. */
FINISH(histogram_finish)
{
    const histogram_state *state = object;
    kd_buffer text = kd_buffer_in(env->arena);
    uint32_t count = 0;
    *out_is_null = state->used == 0;
    if (*out_is_null)
        return KD_OK;
    bar *bars = KD_NEW_ARRAY(ctx, env->arena, bar, state->used);
    if (bars == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < state->capacity; i++)
        if (state->slots[i].count > 0)
            bars[count++] = state->slots[i];
    qsort(bars, count, sizeof *bars, bar_order);
    for (uint32_t i = 0; i < count; i++) {
        kd_buffer key = kd_buffer_in(env->arena);
        KD_TRY(kd_value_format(ctx, kdi_settings(env), &bars[i].value, &key));
        KD_TRY(kd_buffer_append_text(ctx, &text, i == 0 ? "{" : ", "));
        KD_TRY(kd_json_append_string(ctx, kd_buffer_slice(&key), &text));
        KD_TRY(kd_buffer_append_format(ctx, &text, ": %lld", (long long)bars[i].count));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &text, '}'));
    return kdi_return_buffer(result, &text);
}

#define NUMBERS(NAME, STATE, STEP_, COMBINE_, FINISH_)                                       \
    {                                                                                        \
        KDI_SIGNATURE(FLOAT8), .name = NAME, .result = FLOAT8, .state_bytes = sizeof(STATE), \
                               .skips_nulls = true, .step = STEP_, .combine = COMBINE_,      \
                               .finish = FINISH_                                             \
    }
#define COUNT_IF(NAME)                                                                     \
    {                                                                                      \
        KDI_SIGNATURE(BOOL), .name = NAME, .result = INT8, .state_bytes = sizeof(int64_t), \
                             .skips_nulls = true, .step = count_if_step,                   \
                             .combine = count_if_combine, .finish = count_if_finish        \
    }

static const kd_aggregate aggregates[] = {
    NUMBERS("product", number_state, product_step, product_combine, product_finish),
    NUMBERS("fsum", number_state, sum_step, sum_combine, sum_finish),
    NUMBERS("kahan_sum", number_state, sum_step, sum_combine, sum_finish),
    NUMBERS("geomean", number_state, geomean_step, sum_combine, geomean_finish),
    NUMBERS("skewness", moment_state, moment_step, moment_combine, skewness_finish),
    NUMBERS("kurtosis", moment_state, moment_step, moment_combine, kurtosis_finish),
    COUNT_IF("count_if"),
    COUNT_IF("countif"),
    {.name = "histogram",
     .state_bytes = sizeof(histogram_state),
     .keeps_rows = true,
     .skips_nulls = true,
     .step = histogram_step,
     .combine = histogram_combine,
     .finish = histogram_finish,
     .result = JSON,
     KDI_SIGNATURE(ELEMENT)},
};

kd_status kdi_register_moment(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates));
}
