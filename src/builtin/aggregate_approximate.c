/*
 * Approximate aggregates: approx_count_distinct, approx_quantile, approx_top_k. Their states have a
 * bounded size however many rows come, and those of several threads can be combined.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"

#include <math.h>
#include <stdlib.h>

#define STEP(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args)
#define COMBINE(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
#define FINISH(name)                                                                       \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *object, void *result, \
                          bool *out_is_null)

static uint64_t mixed_hash(kd_type type, const void *payload)
{
    uint64_t hash = kd_payload_hash(type, payload);
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

/* --- approx_count_distinct -------------------------------------------------------------------- */

enum { SKETCH_BITS = 12, SKETCH_SIZE = 1 << SKETCH_BITS };

/* HyperLogLog (Flajolet et al. 2007) with 4096 registers: about 1.6 % standard error. */
typedef struct sketch_state {
    uint8_t *registers;
    int64_t padding;
} sketch_state;

static kd_status sketch_open(kd_ctx *ctx, kd_call_env *env, sketch_state *state)
{
    if (state->registers == NULL)
        state->registers = kd_alloc(ctx, env->state_arena, SKETCH_SIZE);
    return state->registers == NULL ? KD_NOMEM : KD_OK;
}

STEP(sketch_step)
{
    sketch_state *state = object;
    KD_TRY(sketch_open(ctx, env, state));
    uint64_t hash = mixed_hash(env->argument_types[0], args[0]);
    uint64_t rest = hash >> SKETCH_BITS | (uint64_t)1 << (64 - SKETCH_BITS);
    uint8_t rank = (uint8_t)(__builtin_ctzll(rest) + 1);
    uint8_t *slot = &state->registers[hash & (SKETCH_SIZE - 1)];
    if (rank > *slot)
        *slot = rank;
    return KD_OK;
}

COMBINE(sketch_combine)
{
    sketch_state *state = object;
    const sketch_state *more = other;
    if (more->registers == NULL)
        return KD_OK;
    KD_TRY(sketch_open(ctx, env, state));
    for (int i = 0; i < SKETCH_SIZE; i++)
        if (more->registers[i] > state->registers[i])
            state->registers[i] = more->registers[i];
    return KD_OK;
}

FINISH(sketch_finish)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    const sketch_state *state = object;
    *(int64_t *)result = 0;
    if (state->registers == NULL)
        return KD_OK;
    double sum = 0;
    int zeros = 0;
    for (int i = 0; i < SKETCH_SIZE; i++) {
        sum += ldexp(1.0, -state->registers[i]);
        zeros += state->registers[i] == 0;
    }
    double size = SKETCH_SIZE;
    double estimate = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    if (estimate <= 2.5 * size && zeros > 0)
        estimate = size * log(size / zeros);
    *(int64_t *)result = (int64_t)llround(estimate);
    return KD_OK;
}

/* --- approx_quantile -------------------------------------------------------------------------- */

enum { DIGEST_DELTA = 200, DIGEST_CENTROIDS = DIGEST_DELTA + 8, DIGEST_PENDING = 2048 };

typedef struct centroid {
    double mean;
    double weight;
} centroid;

/*
 * A t-digest (Dunning and Ertl 2019): centroids in order, small ones at both ends, so that the
 * error in rank is least there. New values wait in `pending` and are merged in when it is full.
 */
typedef struct digest_state {
    centroid *items; /* Room for DIGEST_CENTROIDS; NULL before the first merge. */
    uint32_t count;
    uint32_t pending_count;
    uint32_t pending_capacity;
    double *pending;
    double least, greatest;
    kd_value fractions;
} digest_state;

/* The scale function k1: how far the fraction `q` is along the digest. */
static double scale_of(double q)
{
    return DIGEST_DELTA / 2.0 * (asin(2 * q - 1) / 1.5707963267948966 + 1);
}

static double fraction_at(double scale)
{
    double turned = (scale / (DIGEST_DELTA / 2.0) - 1) * 1.5707963267948966;
    return turned >= 1.5707963267948966 ? 1 : (sin(turned) + 1) / 2;
}

/* Bits that order as the numbers do. */
static uint64_t sortable(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double number_of(uint64_t bits)
{
    double number;
    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* By digits of 8 bits from the lowest; a digit that all share is passed over. */
static void numbers_sort(double *numbers, uint32_t count)
{
    uint64_t room[2][DIGEST_PENDING];
    uint64_t *from = room[0], *to = room[1];
    for (uint32_t i = 0; i < count; i++)
        from[i] = sortable(numbers[i]);
    for (int shift = 0; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        for (uint32_t i = 0; i < count; i++)
            starts[(from[i] >> shift & 255) + 1]++;
        if (starts[(from[0] >> shift & 255) + 1] == count)
            continue;
        for (int digit = 0; digit < 256; digit++)
            starts[digit + 1] += starts[digit];
        for (uint32_t i = 0; i < count; i++)
            to[starts[from[i] >> shift & 255]++] = from[i];
        uint64_t *swapped = from;
        from = to;
        to = swapped;
    }
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = number_of(from[i]);
}

/* Takes centroids in order; neighbours join as long as together they span no more than one step of
 * the scale. */
typedef struct packer {
    centroid *items;
    uint32_t count;
    double total, before, limit; /* Weights: of all, before the last centroid, where it must end. */
} packer;

static void pack(packer *it, centroid next)
{
    centroid *last = &it->items[it->count == 0 ? 0 : it->count - 1];
    if (it->count == 0) {
        it->limit = it->total * fraction_at(scale_of(0) + 1);
        it->items[it->count++] = next;
    } else if (it->before + last->weight + next.weight <= it->limit ||
               it->count >= DIGEST_CENTROIDS) {
        last->weight += next.weight;
        last->mean += (next.mean - last->mean) * next.weight / last->weight;
    } else {
        it->before += last->weight;
        it->limit = it->total * fraction_at(scale_of(it->before / it->total) + 1);
        it->items[it->count++] = next;
    }
}

static double weight_of(const centroid *items, uint32_t count)
{
    double total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += items[i].weight;
    return total;
}

/* Merges the numbers that wait, and `more` centroids, which are in order. */
static kd_status digest_merge(kd_ctx *ctx, kd_arena *arena, digest_state *state,
                              const centroid *more, uint32_t more_count)
{
    centroid merged[DIGEST_CENTROIDS];
    packer it = {.items = merged};
    uint32_t a = 0, b = 0, c = 0;
    if (state->pending_count == 0 && more_count == 0)
        return KD_OK;
    if (state->items == NULL)
        state->items = KD_NEW_ARRAY(ctx, arena, centroid, DIGEST_CENTROIDS);
    if (state->items == NULL)
        return KD_NOMEM;
    if (state->pending_count > 0)
        numbers_sort(state->pending, state->pending_count);
    it.total =
        weight_of(state->items, state->count) + state->pending_count + weight_of(more, more_count);
    while (a < state->count || b < state->pending_count || c < more_count) {
        double x = a < state->count ? state->items[a].mean : INFINITY;
        double y = b < state->pending_count ? state->pending[b] : INFINITY;
        double z = c < more_count ? more[c].mean : INFINITY;
        if (a < state->count && x <= y && x <= z)
            pack(&it, state->items[a++]);
        else if (b < state->pending_count && y <= z)
            pack(&it, (centroid){state->pending[b++], 1});
        else if (c < more_count)
            pack(&it, more[c++]);
        else if (b < state->pending_count)
            pack(&it, (centroid){state->pending[b++], 1});
        else
            pack(&it, state->items[a++]);
    }
    memcpy(state->items, merged, it.count * sizeof *merged);
    state->count = it.count;
    state->pending_count = 0;
    return KD_OK;
}

static kd_status digest_add(kd_ctx *ctx, kd_call_env *env, digest_state *state, double number)
{
    if (state->pending_count == DIGEST_PENDING)
        KD_TRY(digest_merge(ctx, env->state_arena, state, NULL, 0));
    if (state->pending_count == state->pending_capacity) {
        uint32_t capacity = state->pending_capacity == 0 ? 16 : state->pending_capacity * 4;
        if (capacity > DIGEST_PENDING)
            capacity = DIGEST_PENDING;
        double *pending = KD_NEW_ARRAY(ctx, env->state_arena, double, capacity);
        if (pending == NULL)
            return KD_NOMEM;
        if (state->pending_count > 0)
            memcpy(pending, state->pending, state->pending_count * sizeof *pending);
        state->pending = pending;
        state->pending_capacity = capacity;
    }
    state->pending[state->pending_count++] = number;
    return KD_OK;
}

STEP(digest_step)
{
    digest_state *state = object;
    double number = KDI_ARG(double, args, 0);
    if (isnan(number))
        return KD_FAIL(ctx, KD_INVALID, "22003", "approx_quantile of NaN");
    if (state->count == 0 && state->pending_count == 0) {
        kd_value fractions = kdi_arg_value(env, args, 1);
        KD_TRY(kd_value_copy(ctx, env->state_arena, &fractions, &state->fractions));
        state->least = state->greatest = number;
    }
    state->least = number < state->least ? number : state->least;
    state->greatest = number > state->greatest ? number : state->greatest;
    return digest_add(ctx, env, state, number);
}

COMBINE(digest_combine)
{
    digest_state *state = object;
    const digest_state *more = other;
    if (more->count == 0 && more->pending_count == 0)
        return KD_OK;
    if (state->count == 0 && state->pending_count == 0) {
        state->fractions = more->fractions;
        state->least = more->least;
        state->greatest = more->greatest;
    }
    state->least = more->least < state->least ? more->least : state->least;
    state->greatest = more->greatest > state->greatest ? more->greatest : state->greatest;
    for (uint32_t i = 0; i < more->pending_count; i++)
        KD_TRY(digest_add(ctx, env, state, more->pending[i]));
    return digest_merge(ctx, env->state_arena, state, more->items, more->count);
}

/* Between the middles of two centroids, in proportion; at the ends the least and greatest value. */
static double digest_quantile(const digest_state *state, double fraction)
{
    double total = 0, before = 0;
    for (uint32_t i = 0; i < state->count; i++)
        total += state->items[i].weight;
    double wanted = fraction * total, low_at = 0, low = state->least;
    for (uint32_t i = 0; i < state->count; i++) {
        double middle = before + state->items[i].weight / 2, mean = state->items[i].mean;
        if (wanted < middle)
            return middle == low_at ? mean
                                    : low + (mean - low) * (wanted - low_at) / (middle - low_at);
        before += state->items[i].weight;
        low_at = middle;
        low = mean;
    }
    return low_at == total ? state->greatest
                           : low + (state->greatest - low) * (wanted - low_at) / (total - low_at);
}

static kd_status check_fraction(kd_ctx *ctx, double fraction)
{
    if (!(fraction >= 0 && fraction <= 1))
        return KD_FAIL(ctx, KD_INVALID, "22003", "percentile value %g is not between 0 and 1",
                       fraction);
    return KD_OK;
}

FINISH(digest_finish)
{
    /* On a copy: a window asks for the answer and goes on. */
    const digest_state *whole = object;
    digest_state state = *whole;
    *out_is_null = (state.count == 0 && state.pending_count == 0) || state.fractions.is_null;
    if (*out_is_null)
        return KD_OK;
    state.items = KD_NEW_ARRAY(ctx, env->arena, centroid, DIGEST_CENTROIDS);
    state.pending = KD_NEW_ARRAY(ctx, env->arena, double, state.pending_count);
    if (state.items == NULL || state.pending == NULL)
        return KD_NOMEM;
    if (state.count > 0)
        memcpy(state.items, whole->items, state.count * sizeof *state.items);
    if (state.pending_count > 0)
        memcpy(state.pending, whole->pending, state.pending_count * sizeof *state.pending);
    KD_TRY(digest_merge(ctx, env->arena, &state, NULL, 0));
    if (!state.fractions.type.is_array) {
        KD_TRY(check_fraction(ctx, state.fractions.as.f64));
        *(double *)result = digest_quantile(&state, state.fractions.as.f64);
        return KD_OK;
    }
    kd_array fractions;
    KD_TRY(kd_array_open(ctx, state.fractions.type, kdi_value_text(&state.fractions), &fractions));
    kd_value *values = KD_NEW_ARRAY(ctx, env->arena, kd_value, fractions.count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < fractions.count; i++) {
        kd_value fraction = kd_array_get(&fractions, i);
        values[i] = kd_value_null(kd_type_of(KD_TYPE_FLOAT8));
        if (fraction.is_null)
            continue;
        KD_TRY(check_fraction(ctx, fraction.as.f64));
        values[i] = kd_value_f64(digest_quantile(&state, fraction.as.f64));
    }
    return kd_array_make(ctx, env->arena, kd_type_of(KD_TYPE_FLOAT8), values, fractions.count,
                         result);
}

/* --- approx_top_k ----------------------------------------------------------------------------- */

enum { TOP_CAPACITY_MIN = 1024, TOP_PER_ANSWER = 16, TOP_ANSWERS_MAX = 10000 };

typedef struct counter {
    kd_value value;
    uint64_t hash;
    int64_t count; /* 0: free. */
} counter;

/*
 * Frequent items (Misra and Gries 1982, in the form of Anderson et al. 2017): a hash table of
 * counters; when it is three quarters full, the median count is taken off all of them and those at
 * zero go. A count is too low by at most `taken`, which is below 3 N / capacity.
 */
typedef struct top_state {
    counter *slots; /* A power of two of them. */
    uint32_t capacity;
    uint32_t capacity_max;
    uint32_t used;
    int32_t wanted;
    int64_t taken;
    kd_arena *arena; /* Of slots and values; NULL before the first purge: the aggregate's. */
} top_state;

/* The value's slot, or the free one where it would be. */
static counter *slot_of(const top_state *state, const kd_value *value, uint64_t hash)
{
    for (uint64_t i = hash;; i++) {
        counter *slot = &state->slots[i & (state->capacity - 1)];
        if (slot->count == 0 || (slot->hash == hash && kd_value_compare(&slot->value, value) == 0))
            return slot;
    }
}

static kd_arena *top_arena(const kd_call_env *env, const top_state *state)
{
    return state->arena == NULL ? env->state_arena : state->arena;
}

/* Puts the counters that are left into a table of `capacity` slots. */
static kd_status top_rebuild(kd_ctx *ctx, kd_call_env *env, top_state *state, uint32_t capacity)
{
    top_state next = *state;
    next.capacity = capacity;
    next.used = 0;
    next.slots = KD_NEW_ARRAY(ctx, top_arena(env, state), counter, capacity);
    if (next.slots == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < state->capacity; i++)
        if (state->slots[i].count > 0) {
            *slot_of(&next, &state->slots[i].value, state->slots[i].hash) = state->slots[i];
            next.used++;
        }
    *state = next;
    return KD_OK;
}

static int count_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Takes the median count off all. What is left moves to an arena of its own, so that values that
 * came and went leave nothing behind. */
static kd_status top_purge(kd_ctx *ctx, kd_call_env *env, top_state *state)
{
    kd_arena *fresh = kd_arena_create(ctx, env->state_arena, "approx_top_k", KD_ARENA_UNLIMITED);
    if (fresh == NULL)
        return KD_NOMEM;
    kd_status status = KD_OK;
    top_state next = *state;
    uint32_t count = 0;
    int64_t *counts = KD_NEW_ARRAY(ctx, fresh, int64_t, state->capacity);
    next.slots = KD_NEW_ARRAY(ctx, fresh, counter, state->capacity);
    next.used = 0;
    next.arena = fresh;
    if (counts == NULL || next.slots == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    for (uint32_t i = 0; i < state->capacity; i++)
        if (state->slots[i].count > 0)
            counts[count++] = state->slots[i].count;
    qsort(counts, count, sizeof *counts, count_order);
    int64_t median = counts[count / 2];
    for (uint32_t i = 0; i < state->capacity; i++) {
        counter kept = state->slots[i];
        if (kept.count <= median)
            continue;
        kept.count -= median;
        KD_TRY_OUT(kd_value_copy(ctx, fresh, &state->slots[i].value, &kept.value));
        *slot_of(&next, &kept.value, kept.hash) = kept;
        next.used++;
    }
    next.taken += median;
    fresh = state->arena; /* The old one goes now. */
    *state = next;
out:
    kd_arena_destroy(fresh);
    return status;
}

static kd_status top_add(kd_ctx *ctx, kd_call_env *env, top_state *state, const kd_value *value,
                         uint64_t hash, int64_t count)
{
    if (state->capacity == 0)
        KD_TRY(top_rebuild(ctx, env, state, 16));
    counter *slot = slot_of(state, value, hash);
    if (slot->count > 0) {
        slot->count += count;
        return KD_OK;
    }
    if (state->used >= state->capacity / 4 * 3) {
        if (state->capacity < state->capacity_max)
            KD_TRY(top_rebuild(ctx, env, state, state->capacity * 2));
        else
            KD_TRY(top_purge(ctx, env, state));
        slot = slot_of(state, value, hash);
    }
    counter added = {.hash = hash, .count = count};
    KD_TRY(kd_value_copy(ctx, top_arena(env, state), value, &added.value));
    *slot = added;
    state->used++;
    return KD_OK;
}

static void top_wants(top_state *state, int32_t wanted)
{
    state->wanted = wanted;
    state->capacity_max = TOP_CAPACITY_MIN;
    while (state->capacity_max < (uint32_t)wanted * TOP_PER_ANSWER)
        state->capacity_max *= 2;
}

STEP(top_step)
{
    top_state *state = object;
    if (state->wanted == 0) {
        int32_t wanted = KDI_ARG(int32_t, args, 1);
        if (wanted < 1 || wanted > TOP_ANSWERS_MAX)
            return KD_FAIL(ctx, KD_INVALID, "22023", "approx_top_k: k must be between 1 and %d",
                           TOP_ANSWERS_MAX);
        top_wants(state, wanted);
    }
    kd_value value = kdi_arg_value(env, args, 0);
    return top_add(ctx, env, state, &value, mixed_hash(value.type, args[0]), 1);
}

COMBINE(top_combine)
{
    top_state *state = object;
    const top_state *more = other;
    if (more->wanted == 0)
        return KD_OK;
    if (state->wanted == 0)
        top_wants(state, more->wanted);
    for (uint32_t i = 0; i < more->capacity; i++)
        if (more->slots[i].count > 0)
            KD_TRY(top_add(ctx, env, state, &more->slots[i].value, more->slots[i].hash,
                           more->slots[i].count));
    state->taken += more->taken;
    return KD_OK;
}

/* The most frequent first; of equals the lesser value. */
static int counter_order(const void *a, const void *b)
{
    const counter *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return kd_value_compare(&x->value, &y->value);
}

FINISH(top_finish)
{
    const top_state *state = object;
    *out_is_null = state->wanted == 0;
    if (*out_is_null)
        return KD_OK;
    counter *counters = KD_NEW_ARRAY(ctx, env->arena, counter, state->used);
    kd_value *values = KD_NEW_ARRAY(ctx, env->arena, kd_value, state->used);
    if (counters == NULL || values == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->capacity; i++)
        if (state->slots[i].count > 0)
            counters[count++] = state->slots[i];
    qsort(counters, count, sizeof *counters, counter_order);
    count = count > (uint32_t)state->wanted ? (uint32_t)state->wanted : count;
    for (uint32_t i = 0; i < count; i++)
        values[i] = counters[i].value;
    return kd_array_make(ctx, env->arena, kd_type_element(env->result_type), values, count, result);
}

#define KEEPER(NAME, STATE, STEP_, COMBINE_, FINISH_)                                    \
    .name = NAME, .state_bytes = sizeof(STATE), .keeps_rows = true, .skips_nulls = true, \
    .step = STEP_, .combine = COMBINE_, .finish = FINISH_

static const kd_aggregate aggregates[] = {
    {KEEPER("approx_count_distinct", sketch_state, sketch_step, sketch_combine, sketch_finish),
     .result = INT8, KDI_SIGNATURE(ANY)},
    {KEEPER("approx_quantile", digest_state, digest_step, digest_combine, digest_finish),
     .result = FLOAT8, KDI_SIGNATURE(FLOAT8, FLOAT8)},
    {KEEPER("approx_quantile", digest_state, digest_step, digest_combine, digest_finish),
     .result = KDI_ARRAY(FLOAT8), KDI_SIGNATURE(FLOAT8, KDI_ARRAY(FLOAT8))},
    {KEEPER("approx_top_k", top_state, top_step, top_combine, top_finish), .result = ELEMENTS,
     KDI_SIGNATURE(ELEMENT, INT4)},
};

kd_status kdi_register_approximate(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates));
}
