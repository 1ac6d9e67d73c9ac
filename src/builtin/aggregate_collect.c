/*
 * Aggregates that keep their rows' values: string_agg, array_agg, json_agg and its kin,
 * percentiles, median; and those that keep one of them: any_value, first, last, min_by, max_by.
 * Those with states of a bounded size are in aggregate_approximate.c.
 *
 * Kept bytes live in env->state_arena.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "types/interval.h"
#include "types/json.h"
#include "types/jsonb.h"

#include <math.h>
#include <stdlib.h>

#define STEP(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args)
#define COMBINE(name) \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
#define FINISH(name)                                                                       \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *object, void *result, \
                          bool *out_is_null)

/* --- Texts after each other ------------------------------------------------------------------- */

/* The text begins with the first row's delimiter, so that two states join by concatenation. */
typedef struct text_state {
    kd_buffer text;
    size_t skipped; /* Bytes of the first delimiter. */
    int64_t count;
} text_state;

static kd_status text_begin(kd_ctx *ctx, kd_call_env *env, text_state *state, kd_slice delimiter)
{
    state->text.arena = env->state_arena;
    if (state->count++ == 0)
        state->skipped = delimiter.size_bytes;
    return kd_buffer_append_slice(ctx, &state->text, delimiter);
}

STEP(string_agg_step)
{
    text_state *state = object;
    if (args[0] == NULL)
        return KD_OK;
    KD_TRY(text_begin(ctx, env, state, args[1] == NULL ? KD_SLICE("") : kdi_arg_text(args, 1)));
    return kd_buffer_append_slice(ctx, &state->text, kdi_arg_text(args, 0));
}

COMBINE(text_combine)
{
    text_state *state = object;
    const text_state *more = other;
    if (more->count == 0)
        return KD_OK;
    state->text.arena = env->state_arena;
    if (state->count == 0)
        state->skipped = more->skipped;
    state->count += more->count;
    return kd_buffer_append_slice(ctx, &state->text, kd_buffer_slice(&more->text));
}

static kd_slice collected(const text_state *state)
{
    return (kd_slice){state->text.data + state->skipped, state->text.size_bytes - state->skipped};
}

FINISH(string_agg_finish)
{
    (void)ctx;
    (void)env;
    const text_state *state = object;
    *out_is_null = state->count == 0;
    return state->count == 0 ? KD_OK : kdi_return_text(result, collected(state));
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* `data` of those that leave NULLs out or refuse equal keys. */
typedef struct json_form {
    bool is_strict; /* NULLs are left out. */
    bool is_unique; /* Keys must differ. */
} json_form;

static const json_form strict_form = {.is_strict = true}, unique_form = {.is_unique = true},
                       unique_strict_form = {true, true};

static bool form_is_strict(const kd_call_env *env)
{
    return env->data != NULL && ((const json_form *)env->data)->is_strict;
}

static bool form_is_unique(const kd_call_env *env)
{
    return env->data != NULL && ((const json_form *)env->data)->is_unique;
}

STEP(json_agg_step)
{
    text_state *state = object;
    kd_value value = kdi_arg_value(env, args, 0);
    if (value.is_null && form_is_strict(env))
        return KD_OK;
    bool is_nested = value.type.is_array || value.type.id == KD_TYPE_RECORD;
    bool goes_below = is_nested && !value.is_null && state->count > 0;
    KD_TRY(text_begin(ctx, env, state, goes_below ? KD_SLICE(", \n ") : KD_SLICE(", ")));
    return kdi_append_json(ctx, kdi_settings(env), &value, &state->text);
}

typedef struct object_state {
    text_state text;
    kd_slice *keys; /* As they are written; kept where they must differ. */
    size_t key_count, key_capacity;
} object_state;

static kd_status add_key(kd_ctx *ctx, const kd_call_env *env, object_state *state, kd_slice key)
{
    kd_slice *added;
    KD_TRY(
        KD_PUSH(ctx, env->state_arena, state->keys, state->key_count, state->key_capacity, &added));
    *added =
        (kd_slice){kd_copy_text(ctx, env->state_arena, key.data, key.size_bytes), key.size_bytes};
    return added->data == NULL ? KD_NOMEM : KD_OK;
}

STEP(json_object_step)
{
    object_state *state = object;
    if (args[0] == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "field name must not be null");
    kd_value key = kdi_arg_value(env, args, 0), value = kdi_arg_value(env, args, 1);
    kd_buffer written = kd_buffer_in(env->arena);
    KD_TRY(kdi_append_json_key(ctx, kdi_settings(env), &key, &written));
    if (form_is_unique(env))
        KD_TRY(add_key(ctx, env, state, kd_buffer_slice(&written)));
    if (value.is_null && form_is_strict(env))
        return KD_OK;
    KD_TRY(text_begin(ctx, env, &state->text, KD_SLICE(", ")));
    KD_TRY(kd_buffer_append_slice(ctx, &state->text.text, kd_buffer_slice(&written)));
    KD_TRY(kd_buffer_append_text(ctx, &state->text.text, " : "));
    return kdi_append_json(ctx, kdi_settings(env), &value, &state->text.text);
}

COMBINE(object_combine)
{
    object_state *state = object;
    const object_state *more = other;
    for (size_t i = 0; i < more->key_count; i++)
        KD_TRY(add_key(ctx, env, state, more->keys[i]));
    return text_combine(ctx, env, &state->text, &more->text);
}

static int key_order(const void *a, const void *b)
{
    const kd_slice *x = a, *y = b;
    size_t common = x->size_bytes < y->size_bytes ? x->size_bytes : y->size_bytes;
    int order = memcmp(x->data, y->data, common);
    return order != 0 ? order : (x->size_bytes > y->size_bytes) - (x->size_bytes < y->size_bytes);
}

/* The keys are sorted in a copy: a window's frame may go on with the state. */
static kd_status check_keys(kd_ctx *ctx, const kd_call_env *env, const object_state *state)
{
    if (state->key_count < 2)
        return KD_OK;
    kd_slice *keys = KD_NEW_ARRAY(ctx, env->arena, kd_slice, state->key_count);
    if (keys == NULL)
        return KD_NOMEM;
    memcpy(keys, state->keys, state->key_count * sizeof *keys);
    qsort(keys, state->key_count, sizeof *keys, key_order);
    for (size_t i = 1; i < state->key_count; i++)
        if (kd_slice_equal(keys[i - 1], keys[i]))
            return KD_FAIL(ctx, KD_INVALID, "22030", "duplicate JSON object key value: %.*s",
                           (int)keys[i].size_bytes, keys[i].data);
    return KD_OK;
}

static kd_status json_finish(kd_ctx *ctx, kd_call_env *env, const text_state *state,
                             const char *open, const char *close, void *result, bool *out_is_null)
{
    *out_is_null = state->count == 0;
    if (state->count == 0)
        return KD_OK;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_text(ctx, &text, open));
    KD_TRY(kd_buffer_append_slice(ctx, &text, collected(state)));
    KD_TRY(kd_buffer_append_text(ctx, &text, close));
    kd_slice answer = kd_buffer_slice(&text);
    if (env->result_type.id == KD_TYPE_JSONB)
        KD_TRY(kd_jsonb_parse(ctx, env->arena, answer, &answer));
    return kdi_return_text(result, answer);
}

FINISH(json_agg_finish)
{
    return json_finish(ctx, env, object, "[", "]", result, out_is_null);
}

FINISH(json_object_finish)
{
    const object_state *state = object;
    KD_TRY(check_keys(ctx, env, state));
    return json_finish(ctx, env, &state->text, "{ ", " }", result, out_is_null);
}

/* --- Lists of values -------------------------------------------------------------------------- */

typedef struct list_state {
    kd_value *items;
    size_t count;
    size_t capacity;
    kd_value direct; /* Of ordered-set aggregates: the fraction. */
} list_state;

static kd_status list_add(kd_ctx *ctx, kd_call_env *env, list_state *list, const kd_value *value)
{
    kd_value *added;
    KD_TRY(KD_PUSH(ctx, env->state_arena, list->items, list->count, list->capacity, &added));
    return kd_value_copy(ctx, env->state_arena, value, added);
}

STEP(array_agg_step)
{
    kd_value value = kdi_arg_value(env, args, 0);
    return list_add(ctx, env, object, &value);
}

COMBINE(list_combine)
{
    list_state *list = object;
    const list_state *more = other;
    for (size_t i = 0; i < more->count; i++) {
        kd_value *added;
        KD_TRY(KD_PUSH(ctx, env->state_arena, list->items, list->count, list->capacity, &added));
        *added = more->items[i];
    }
    if (list->count == more->count)
        list->direct = more->direct;
    return KD_OK;
}

/* Arrays of one shape become an array of one dimension more. */
static kd_status arrays_finish(kd_ctx *ctx, kd_call_env *env, const list_state *list, void *result)
{
    kd_array array = {0};
    kd_array_shape shape = {0};
    kd_value *elements = NULL;
    size_t used = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].is_null)
            return KD_FAIL(ctx, KD_INVALID, "22004", "cannot accumulate null arrays");
        KD_TRY(kd_array_open(ctx, list->items[i].type, kdi_value_text(&list->items[i]), &array));
        if (array.count == 0)
            return KD_FAIL(ctx, KD_INVALID, "2202E", "cannot accumulate empty arrays");
        if (i == 0) {
            if (array.shape.dimensions >= KD_ARRAY_DIMENSIONS_MAX)
                return KD_FAIL(ctx, KD_LIMIT, "54000",
                               "number of array dimensions (%d) exceeds "
                               "the maximum allowed (%d)",
                               KD_ARRAY_DIMENSIONS_MAX + 1, KD_ARRAY_DIMENSIONS_MAX);
            shape.dimensions = array.shape.dimensions + 1;
            shape.lengths[0] = (uint32_t)list->count;
            shape.lower_bounds[0] = 1;
            memcpy(shape.lengths + 1, array.shape.lengths, (shape.dimensions - 1) * 4);
            memcpy(shape.lower_bounds + 1, array.shape.lower_bounds, (shape.dimensions - 1) * 4);
            elements = KD_NEW_ARRAY(ctx, env->arena, kd_value, list->count * array.count);
            if (elements == NULL)
                return KD_NOMEM;
        }
        if (array.shape.dimensions + 1 != shape.dimensions ||
            memcmp(array.shape.lengths, shape.lengths + 1, array.shape.dimensions * 4) != 0)
            return KD_FAIL(ctx, KD_INVALID, "2202E",
                           "cannot accumulate arrays of different dimensionality");
        for (uint32_t k = 0; k < array.count; k++)
            elements[used++] = kd_array_get(&array, k);
    }
    return kd_array_make_shaped(ctx, env->arena, array.element_type, &shape, elements, result);
}

FINISH(array_agg_finish)
{
    const list_state *list = object;
    *out_is_null = list->count == 0;
    if (list->count == 0)
        return KD_OK;
    if (env->argument_types[0].is_array)
        return arrays_finish(ctx, env, list, result);
    return kd_array_make(ctx, env->arena, kd_type_element(env->result_type), list->items,
                         (uint32_t)list->count, result);
}

/* --- Percentiles: rows come sorted ------------------------------------------------------------ */

STEP(ordered_step)
{
    list_state *list = object;
    uint32_t last = env->argument_count - 1;
    if (list->count == 0 && last > 0) {
        kd_value direct = kdi_arg_value(env, args, 0);
        KD_TRY(kd_value_copy(ctx, env->state_arena, &direct, &list->direct));
    }
    kd_value value = kdi_arg_value(env, args, last);
    return list_add(ctx, env, list, &value);
}

static kd_status check_fraction(kd_ctx *ctx, double fraction)
{
    if (!(fraction >= 0 && fraction <= 1))
        return KD_FAIL(ctx, KD_INVALID, "22003", "percentile value %g is not between 0 and 1",
                       fraction);
    return KD_OK;
}

typedef kd_status (*percentile)(kd_ctx *ctx, const list_state *list, double fraction,
                                kd_value *out);

static kd_status discrete(kd_ctx *ctx, const list_state *list, double fraction, kd_value *out)
{
    KD_TRY(check_fraction(ctx, fraction));
    double row = ceil(fraction * (double)list->count);
    *out = list->items[row < 1 ? 0 : (size_t)row - 1];
    return KD_OK;
}

static kd_status continuous(kd_ctx *ctx, const list_state *list, double fraction, kd_value *out)
{
    KD_TRY(check_fraction(ctx, fraction));
    double at = fraction * (double)(list->count - 1);
    const kd_value *low = &list->items[(size_t)floor(at)], *high = &list->items[(size_t)ceil(at)];
    double part = at - floor(at);
    *out = *low;
    if (low == high)
        return KD_OK;
    if (low->type.id == KD_TYPE_FLOAT8) {
        out->as.f64 = low->as.f64 + part * (high->as.f64 - low->as.f64);
        return KD_OK;
    }
    kd_interval difference;
    KD_TRY(kd_interval_sub(ctx, high->as.interval, low->as.interval, &difference));
    KD_TRY(kd_interval_multiply(ctx, difference, part, &difference));
    return kd_interval_add(ctx, difference, low->as.interval, &out->as.interval);
}

/* One fraction, or an array of them, whose answers form an array. */
static kd_status percentiles(kd_ctx *ctx, kd_call_env *env, const list_state *list,
                             percentile method, void *result, bool *out_is_null)
{
    *out_is_null = list->count == 0 || list->direct.is_null;
    if (*out_is_null)
        return KD_OK;
    if (!list->direct.type.is_array) {
        kd_value value;
        KD_TRY(method(ctx, list, list->direct.as.f64, &value));
        kdi_return_value(&value, result, out_is_null);
        return KD_OK;
    }
    kd_array fractions;
    KD_TRY(kd_array_open(ctx, list->direct.type, kdi_value_text(&list->direct), &fractions));
    kd_value *values = KD_NEW_ARRAY(ctx, env->arena, kd_value, fractions.count);
    if (values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < fractions.count; i++) {
        kd_value fraction = kd_array_get(&fractions, i);
        values[i] = kd_value_null(list->items[0].type);
        if (!fraction.is_null)
            KD_TRY(method(ctx, list, fraction.as.f64, &values[i]));
    }
    return kd_array_make_shaped(ctx, env->arena, list->items[0].type, &fractions.shape, values,
                                result);
}

FINISH(percentile_disc_finish)
{
    return percentiles(ctx, env, object, discrete, result, out_is_null);
}

FINISH(percentile_cont_finish)
{
    return percentiles(ctx, env, object, continuous, result, out_is_null);
}

FINISH(mode_finish)
{
    (void)ctx;
    (void)env;
    const list_state *list = object;
    *out_is_null = list->count == 0;
    size_t best = 0, best_count = 0, start = 0;
    for (size_t i = 1; i <= list->count; i++) {
        if (i < list->count && kd_value_compare(&list->items[i], &list->items[start]) == 0)
            continue;
        if (i - start > best_count) {
            best = start;
            best_count = i - start;
        }
        start = i;
    }
    if (list->count > 0)
        kdi_return_value(&list->items[best], result, out_is_null);
    return KD_OK;
}

/* --- median, quantile_cont, quantile_disc: rows come as they are
 * ------------------------------------------ */

static int value_order(const void *a, const void *b)
{
    return kd_value_compare(a, b);
}

STEP(median_step)
{
    list_state *list = object;
    if (list->count == 0 && env->argument_count > 1)
        list->direct = kdi_arg_value(env, args, 1);
    kd_value value = kdi_arg_value(env, args, 0);
    return list_add(ctx, env, list, &value);
}

static kd_status sorted_percentile(kd_ctx *ctx, kd_call_env *env, const list_state *list,
                                   percentile method, void *result, bool *out_is_null)
{
    *out_is_null = list->count == 0;
    if (list->count == 0)
        return KD_OK;
    list_state sorted = *list;
    sorted.items = KD_NEW_ARRAY(ctx, env->arena, kd_value, list->count);
    if (sorted.items == NULL)
        return KD_NOMEM;
    memcpy(sorted.items, list->items, list->count * sizeof *list->items);
    qsort(sorted.items, sorted.count, sizeof *sorted.items, value_order);
    kd_value value;
    KD_TRY(method(ctx, &sorted, env->argument_count > 1 ? list->direct.as.f64 : 0.5, &value));
    kdi_return_value(&value, result, out_is_null);
    return KD_OK;
}

FINISH(median_finish)
{
    return sorted_percentile(ctx, env, object, continuous, result, out_is_null);
}

FINISH(quantile_disc_finish)
{
    return sorted_percentile(ctx, env, object, discrete, result, out_is_null);
}

/* --- One row's value -------------------------------------------------------------------------- */

/* The value of the row with the least or greatest key. Strings are kept in room that grows. */
typedef struct pick_state {
    kd_value value;
    kd_value key;
    char *room[2];
    size_t room_bytes[2];
    bool seen;
} pick_state;

static kd_status pick_keep(kd_ctx *ctx, kd_call_env *env, pick_state *state, int slot,
                           const kd_value *value)
{
    kd_value *target = slot == 0 ? &state->value : &state->key;
    *target = *value;
    if (value->is_null || kd_type_physical(value->type) != KD_PHYS_STR ||
        value->as.str.size_bytes <= KD_STR_INLINE_BYTES)
        return KD_OK;
    kd_slice bytes = kdi_value_text(value);
    if (bytes.size_bytes > state->room_bytes[slot]) {
        size_t wanted = bytes.size_bytes * 2;
        state->room_bytes[slot] = 0;
        state->room[slot] = kd_alloc_raw(ctx, env->state_arena, wanted);
        if (state->room[slot] == NULL)
            return KD_NOMEM;
        state->room_bytes[slot] = wanted;
    }
    memmove(state->room[slot], bytes.data, bytes.size_bytes);
    target->as.str = kd_str_from(state->room[slot], bytes.size_bytes);
    return KD_OK;
}

static kd_status pick(kd_ctx *ctx, kd_call_env *env, pick_state *state, const kd_value *value,
                      const kd_value *key, int sign)
{
    if (state->seen && kd_value_compare(key, &state->key) * sign <= 0)
        return KD_OK;
    state->seen = true;
    KD_TRY(pick_keep(ctx, env, state, 0, value));
    return pick_keep(ctx, env, state, 1, key);
}

static kd_status pick_row(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args,
                          int sign)
{
    if (args[1] == NULL)
        return KD_OK;
    kd_value value = kdi_arg_value(env, args, 0), key = kdi_arg_value(env, args, 1);
    return pick(ctx, env, object, &value, &key, sign);
}

STEP(first_step)
{
    return pick_row(ctx, env, object, args, -1);
}

STEP(last_step)
{
    return pick_row(ctx, env, object, args, 1);
}

COMBINE(first_combine)
{
    const pick_state *more = other;
    return more->seen ? pick(ctx, env, object, &more->value, &more->key, -1) : KD_OK;
}

COMBINE(last_combine)
{
    const pick_state *more = other;
    return more->seen ? pick(ctx, env, object, &more->value, &more->key, 1) : KD_OK;
}

STEP(any_value_step)
{
    pick_state *state = object;
    if (state->seen)
        return KD_OK;
    state->seen = true;
    kd_value value = kdi_arg_value(env, args, 0);
    return pick_keep(ctx, env, state, 0, &value);
}

COMBINE(any_value_combine)
{
    (void)ctx;
    (void)env;
    pick_state *state = object;
    const pick_state *more = other;
    if (!state->seen)
        *state = *more;
    return KD_OK;
}

FINISH(pick_finish)
{
    (void)ctx;
    (void)env;
    const pick_state *state = object;
    *out_is_null = !state->seen;
    if (state->seen)
        kdi_return_value(&state->value, result, out_is_null);
    return KD_OK;
}

static kd_type first_type(const kd_type *arguments, uint32_t argument_count)
{
    (void)argument_count;
    return arguments[0];
}

/* --- The first and the last row ----------------------------------------------------------------
 */

STEP(first_row_step)
{
    pick_state *state = object;
    if (state->seen)
        return KD_OK;
    state->seen = true;
    kd_value value = kdi_arg_value(env, args, 0);
    return pick_keep(ctx, env, state, 0, &value);
}

STEP(last_row_step)
{
    pick_state *state = object;
    state->seen = true;
    kd_value value = kdi_arg_value(env, args, 0);
    return pick_keep(ctx, env, state, 0, &value);
}

COMBINE(last_row_combine)
{
    (void)ctx;
    (void)env;
    if (((const pick_state *)other)->seen)
        *(pick_state *)object = *(const pick_state *)other;
    return KD_OK;
}

#define KEEPER(NAME, STATE, STEP_, COMBINE_, FINISH_)                              \
    .name = NAME, .state_bytes = sizeof(STATE), .keeps_rows = true, .step = STEP_, \
    .combine = COMBINE_, .finish = FINISH_
/* The last argument is the result's type. */
#define JSON_AGG(NAME, FORM, ...)                                                          \
    {                                                                                      \
        KEEPER(NAME, text_state, json_agg_step, text_combine, json_agg_finish),            \
            .order_matters = true, .data = FORM, .result = __VA_ARGS__, KDI_SIGNATURE(ANY) \
    }
#define JSON_AGGS(NAME, ...) \
    JSON_AGG(NAME, NULL, __VA_ARGS__), JSON_AGG(NAME "_strict", &strict_form, __VA_ARGS__)
#define OBJECT_AGG(NAME, FORM, ...)                                                             \
    {                                                                                           \
        KEEPER(NAME, object_state, json_object_step, object_combine, json_object_finish),       \
            .order_matters = true, .data = FORM, .result = __VA_ARGS__, KDI_SIGNATURE(ANY, ANY) \
    }
#define OBJECT_AGGS(NAME, ...)                                                                  \
    OBJECT_AGG(NAME, NULL, __VA_ARGS__), OBJECT_AGG(NAME "_strict", &strict_form, __VA_ARGS__), \
        OBJECT_AGG(NAME "_unique", &unique_form, __VA_ARGS__),                                  \
        OBJECT_AGG(NAME "_unique_strict", &unique_strict_form, __VA_ARGS__)
#define ORDERED_SET(NAME, RESULT, FINISH_, ...)                                             \
    {                                                                                       \
        KEEPER(NAME, list_state, ordered_step, list_combine, FINISH_),                      \
            .ordered_set = 1, .order_matters = true, .skips_nulls = true, .result = RESULT, \
            KDI_SIGNATURE(__VA_ARGS__)                                                      \
    }
#define PICK(NAME, WHICH, SKIPS)                                                                   \
    {                                                                                              \
        KEEPER(NAME, pick_state, WHICH##_step, WHICH##_combine, pick_finish),                      \
            .order_matters = true, .result = ANY, .result_type = first_type, .skips_nulls = SKIPS, \
            KDI_SIGNATURE(ANY, ANY)                                                                \
    }
#define MEDIAN(NAME, TYPE, ...)                                             \
    {                                                                       \
        KEEPER(NAME, list_state, median_step, list_combine, median_finish), \
            .skips_nulls = true, .result = TYPE, KDI_SIGNATURE(__VA_ARGS__) \
    }

static const kd_aggregate aggregates[] = {
    {KEEPER("string_agg", text_state, string_agg_step, text_combine, string_agg_finish),
     .order_matters = true, .result = TEXT, KDI_SIGNATURE(TEXT, TEXT)},
    {KEEPER("string_agg", text_state, string_agg_step, text_combine, string_agg_finish),
     .order_matters = true, .result = BYTEA, KDI_SIGNATURE(BYTEA, BYTEA)},
    {KEEPER("array_agg", list_state, array_agg_step, list_combine, array_agg_finish),
     .order_matters = true, .result = ELEMENTS, KDI_SIGNATURE(ELEMENT)},
    JSON_AGGS("json_agg", JSON),
    JSON_AGGS("jsonb_agg", JSONB),
    OBJECT_AGGS("json_object_agg", JSON),
    OBJECT_AGGS("jsonb_object_agg", JSONB),
    {KEEPER("percentile_cont", list_state, ordered_step, list_combine, percentile_cont_finish),
     .ordered_set = 1, .order_matters = true, .skips_nulls = true, .result = FLOAT8,
     .unsorted = &kdi_percentile_cont_unsorted, KDI_SIGNATURE(FLOAT8, FLOAT8)},
    ORDERED_SET("percentile_cont", INTERVAL, percentile_cont_finish, FLOAT8, INTERVAL),
    ORDERED_SET("percentile_cont", KDI_ARRAY(FLOAT8), percentile_cont_finish, KDI_ARRAY(FLOAT8),
                FLOAT8),
    ORDERED_SET("percentile_cont", KDI_ARRAY(INTERVAL), percentile_cont_finish, KDI_ARRAY(FLOAT8),
                INTERVAL),
    {KEEPER("percentile_disc", list_state, ordered_step, list_combine, percentile_disc_finish),
     .ordered_set = 1, .order_matters = true, .skips_nulls = true, .result = ELEMENT,
     .unsorted = &kdi_percentile_disc_unsorted, KDI_SIGNATURE(FLOAT8, ELEMENT)},
    ORDERED_SET("percentile_disc", ELEMENTS, percentile_disc_finish, KDI_ARRAY(FLOAT8), ELEMENT),
    ORDERED_SET("mode", ELEMENT, mode_finish, ELEMENT),
    MEDIAN("median", FLOAT8, FLOAT8),
    MEDIAN("median", INTERVAL, INTERVAL),
    MEDIAN("quantile_cont", FLOAT8, FLOAT8, FLOAT8),
    PICK("first", first, false),
    PICK("last", last, false),
    PICK("arg_min", first, true),
    PICK("arg_max", last, true),
    PICK("min_by", first, true),
    PICK("max_by", last, true),
    {KEEPER("any_value", pick_state, any_value_step, any_value_combine, pick_finish),
     .skips_nulls = true, .result = ANY, .result_type = first_type, KDI_SIGNATURE(ANY)},
    {KEEPER("arbitrary", pick_state, any_value_step, any_value_combine, pick_finish),
     .skips_nulls = true, .result = ANY, .result_type = first_type, KDI_SIGNATURE(ANY)},
    {KEEPER("first", pick_state, first_row_step, any_value_combine, pick_finish),
     .order_matters = true, .result = ANY, .result_type = first_type, KDI_SIGNATURE(ANY)},
    {KEEPER("last", pick_state, last_row_step, last_row_combine, pick_finish),
     .order_matters = true, .result = ANY, .result_type = first_type, KDI_SIGNATURE(ANY)},
    {KEEPER("list", list_state, array_agg_step, list_combine, array_agg_finish),
     .order_matters = true, .result = ELEMENTS, KDI_SIGNATURE(ELEMENT)},
    {KEEPER("quantile_disc", list_state, median_step, list_combine, quantile_disc_finish),
     .skips_nulls = true, .result = ELEMENT, KDI_SIGNATURE(ELEMENT, FLOAT8)},
};

kd_status kdi_register_collect(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates));
}
