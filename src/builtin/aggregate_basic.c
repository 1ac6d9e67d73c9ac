/*
 * The everyday aggregates: count, sum, avg, min, max, bool_and, bool_or.
 *
 * Sums of integers and of numerics that fit are kept in 128 bits and never
 * overflow in practice; a numeric sum that does not fit goes on as a decimal.
 * NULLs are skipped by the caller of `step` and here in `step_vector`.
 */
#include "builtin/builtin_internal.h"
#include "types/interval.h"

#include <assert.h>

/* The rows of a bulk step that count: `position` walks the states, `row` the values. */
#define FOR_ROWS(position, row)                                                                \
    for (uint32_t position = 0, row = 0;                                                       \
         position < count && (row = selection == NULL ? position : selection[position], true); \
         position++)

static inline bool is_null_at(const kd_vector *vector, uint32_t row)
{
    if (vector->validity == NULL)
        return false;
    return !kd_bit_get(vector->validity, vector->form == KD_VECTOR_CONSTANT ? 0 : row);
}

/* --- count ------------------------------------------------------------------------------------ */

static kd_status count_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    (void)args;
    (*(int64_t *)state)++;
    return KD_OK;
}

static kd_status count_step_vector(kd_ctx *ctx, kd_call_env *env, void *const *states,
                                   const kd_vector *args, const uint16_t *selection, uint32_t count)
{
    (void)ctx;
    (void)env;
    FOR_ROWS(i, row)
    {
        *(int64_t *)states[i] += !is_null_at(&args[0], row);
    }
    return KD_OK;
}

static kd_status count_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    *(int64_t *)state += *(const int64_t *)other;
    return KD_OK;
}

static kd_status count_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                              bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = *(const int64_t *)state;
    return KD_OK;
}

/* --- Sums of integers ------------------------------------------------------------------------- */

/* `sum` is kept in 64 bits as long as it fits: `high` counts the carries. */
typedef struct integer_sum {
    kd_i128 sum;
    int64_t count;
    int64_t padding;
} integer_sum;

#define INTEGER_STEP(suffix, type)                                                                \
    static kd_status sum_step_##suffix(kd_ctx *ctx, kd_call_env *env, void *state,                \
                                       const void *const *args)                                   \
    {                                                                                             \
        (void)ctx;                                                                                \
        (void)env;                                                                                \
        integer_sum *sum = state;                                                                 \
        sum->sum += KDI_ARG(type, args, 0);                                                       \
        sum->count++;                                                                             \
        return KD_OK;                                                                             \
    }                                                                                             \
    static kd_status sum_step_vector_##suffix(kd_ctx *ctx, kd_call_env *env, void *const *states, \
                                              const kd_vector *args, const uint16_t *selection,   \
                                              uint32_t count)                                     \
    {                                                                                             \
        (void)ctx;                                                                                \
        (void)env;                                                                                \
        const type *values = args[0].values;                                                      \
        bool flat = args[0].form == KD_VECTOR_FLAT;                                               \
        FOR_ROWS(i, row)                                                                          \
        {                                                                                         \
            integer_sum *sum = states[i];                                                         \
            if (is_null_at(&args[0], row))                                                        \
                continue;                                                                         \
            sum->sum += values[flat ? row : 0];                                                   \
            sum->count++;                                                                         \
        }                                                                                         \
        return KD_OK;                                                                             \
    }
INTEGER_STEP(i16, int16_t)
INTEGER_STEP(i32, int32_t)
INTEGER_STEP(i64, int64_t)

static kd_status integer_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    integer_sum *sum = state;
    const integer_sum *more = other;
    sum->sum += more->sum;
    sum->count += more->count;
    return KD_OK;
}

static kd_status integer_finish_i64(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                    bool *out_is_null)
{
    (void)env;
    const integer_sum *sum = state;
    *out_is_null = sum->count == 0;
    if (sum->sum > INT64_MAX || sum->sum < INT64_MIN)
        return KD_FAIL(ctx, KD_INVALID, "22003", "bigint out of range");
    *(int64_t *)result = (int64_t)sum->sum;
    return KD_OK;
}

static kd_status integer_finish_numeric(kd_ctx *ctx, kd_call_env *env, const void *state,
                                        void *result, bool *out_is_null)
{
    const integer_sum *sum = state;
    *out_is_null = sum->count == 0;
    kd_decimal value;
    KD_TRY(kd_decimal_from_fixed(ctx, env->arena, sum->sum, 0, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

static kd_status quotient(kd_ctx *ctx, kd_call_env *env, const kd_decimal *total, int64_t count,
                          void *result)
{
    kd_decimal divisor, answer;
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, count, &divisor));
    KD_TRY(kd_decimal_div(ctx, env->arena, total, &divisor, &answer));
    return kd_decimal_store(ctx, env->arena, &answer, result);
}

static kd_status integer_finish_avg(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                    bool *out_is_null)
{
    const integer_sum *sum = state;
    *out_is_null = sum->count == 0;
    if (sum->count == 0)
        return KD_OK;
    kd_decimal total;
    KD_TRY(kd_decimal_from_fixed(ctx, env->arena, sum->sum, 0, &total));
    return quotient(ctx, env, &total, sum->count, result);
}

/* --- Sums of floating-point numbers ----------------------------------------------------------- */

#define FLOAT_STEP(suffix, type)                                                                  \
    static kd_status sum_step_##suffix(kd_ctx *ctx, kd_call_env *env, void *state,                \
                                       const void *const *args)                                   \
    {                                                                                             \
        (void)ctx;                                                                                \
        (void)env;                                                                                \
        kd_double_sum *sum = state;                                                               \
        sum->sum += (double)KDI_ARG(type, args, 0);                                               \
        sum->count++;                                                                             \
        return KD_OK;                                                                             \
    }                                                                                             \
    static kd_status sum_step_vector_##suffix(kd_ctx *ctx, kd_call_env *env, void *const *states, \
                                              const kd_vector *args, const uint16_t *selection,   \
                                              uint32_t count)                                     \
    {                                                                                             \
        (void)ctx;                                                                                \
        (void)env;                                                                                \
        const type *values = args[0].values;                                                      \
        bool flat = args[0].form == KD_VECTOR_FLAT;                                               \
        FOR_ROWS(i, row)                                                                          \
        {                                                                                         \
            kd_double_sum *sum = states[i];                                                       \
            if (is_null_at(&args[0], row))                                                        \
                continue;                                                                         \
            sum->sum += (double)values[flat ? row : 0];                                           \
            sum->count++;                                                                         \
        }                                                                                         \
        return KD_OK;                                                                             \
    }
FLOAT_STEP(f32, float)
FLOAT_STEP(f64, double)

static kd_status float_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    kd_double_sum *sum = state;
    const kd_double_sum *more = other;
    sum->sum += more->sum;
    sum->count += more->count;
    return KD_OK;
}

static kd_status float_finish_f32(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                  bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const kd_double_sum *sum = state;
    *out_is_null = sum->count == 0;
    *(float *)result = (float)sum->sum;
    return KD_OK;
}

static kd_status float_finish_f64(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                  bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const kd_double_sum *sum = state;
    *out_is_null = sum->count == 0;
    *(double *)result = sum->sum;
    return KD_OK;
}

static kd_status float_finish_avg(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                  bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const kd_double_sum *sum = state;
    *out_is_null = sum->count == 0;
    *(double *)result = sum->count == 0 ? 0 : sum->sum / (double)sum->count;
    return KD_OK;
}

/* --- Sums of numerics ------------------------------------------------------------------------- */

/* Goes on as a decimal: the value is NaN, infinite, or too long for 38 digits. */
static kd_status numeric_grow(kd_ctx *ctx, kd_call_env *env, kd_numeric_sum *sum)
{
    if (sum->big != NULL)
        return KD_OK;
    kd_decimal *big = KD_NEW(ctx, env->state_arena, kd_decimal);
    if (big == NULL)
        return KD_NOMEM;
    KD_TRY(kd_decimal_from_fixed(ctx, env->state_arena, sum->fixed, sum->scale, big));
    sum->big = big;
    return KD_OK;
}

static kd_status numeric_add_big(kd_ctx *ctx, kd_call_env *env, kd_numeric_sum *sum,
                                 const kd_decimal *value)
{
    KD_TRY(numeric_grow(ctx, env, sum));
    KD_TRY(kd_decimal_add(ctx, env->state_arena, sum->big, value, sum->big));
    return kd_decimal_own(ctx, env->state_arena, value, sum->big);
}

static bool numeric_add_fixed(kd_numeric_sum *sum, kd_i128 value, int scale)
{
    kd_i128 added;
    int common = scale > sum->scale ? scale : sum->scale;
    kd_i128 ours = sum->fixed;
    if (common != sum->scale && !kd_fixed_rescale(ours, sum->scale, common, &ours))
        return false;
    if (common != scale && !kd_fixed_rescale(value, scale, common, &value))
        return false;
    if (__builtin_add_overflow(ours, value, &added) || added >= kd_pow10_i128(38) ||
        added <= -kd_pow10_i128(38))
        return false;
    sum->fixed = added;
    sum->scale = common;
    return true;
}

static kd_status numeric_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    kd_numeric_sum *sum = state;
    kd_type type = env->argument_types[0];
    sum->count++;
    if (sum->big == NULL && kd_numeric_is_fixed(type)) {
        kd_i128 value;
        if (kd_type_physical(type) == KD_PHYS_I64)
            value = KDI_ARG(int64_t, args, 0);
        else
            memcpy(&value, args[0], sizeof value);
        if (numeric_add_fixed(sum, value, kd_numeric_scale(type)))
            return KD_OK;
    }
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    kd_i128 fixed;
    if (sum->big == NULL && value.kind == KD_DECIMAL_FINITE &&
        kd_decimal_try_fixed(&value, value.scale, &fixed) &&
        numeric_add_fixed(sum, fixed, value.scale))
        return KD_OK;
    return numeric_add_big(ctx, env, sum, &value);
}

static kd_status numeric_add_sum(kd_ctx *ctx, kd_call_env *env, void *state, kd_i128 added,
                                 int64_t count, int scale)
{
    kd_numeric_sum *sum = state;
    sum->count += count;
    if (sum->big == NULL && numeric_add_fixed(sum, added, scale))
        return KD_OK;
    kd_decimal value;
    KD_TRY(kd_decimal_from_fixed(ctx, env->arena, added, scale, &value));
    return numeric_add_big(ctx, env, sum, &value);
}

static kd_status numeric_value(kd_ctx *ctx, kd_call_env *env, const kd_numeric_sum *sum,
                               kd_decimal *out)
{
    if (sum->big != NULL) {
        *out = *sum->big;
        return KD_OK;
    }
    return kd_decimal_from_fixed(ctx, env->arena, sum->fixed, sum->scale, out);
}

static kd_status numeric_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    kd_numeric_sum *sum = state;
    const kd_numeric_sum *more = other;
    if (more->count == 0)
        return KD_OK;
    sum->count += more->count;
    if (sum->big == NULL && more->big == NULL && numeric_add_fixed(sum, more->fixed, more->scale))
        return KD_OK;
    kd_decimal value;
    KD_TRY(numeric_value(ctx, env, more, &value));
    return numeric_add_big(ctx, env, sum, &value);
}

static kd_status numeric_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                bool *out_is_null)
{
    const kd_numeric_sum *sum = state;
    *out_is_null = sum->count == 0;
    kd_decimal value;
    KD_TRY(numeric_value(ctx, env, sum, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

static kd_status numeric_finish_avg(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                    bool *out_is_null)
{
    const kd_numeric_sum *sum = state;
    *out_is_null = sum->count == 0;
    if (sum->count == 0)
        return KD_OK;
    kd_decimal total;
    KD_TRY(numeric_value(ctx, env, sum, &total));
    return quotient(ctx, env, &total, sum->count, result);
}

/* --- Intervals -------------------------------------------------------------------------------- */

typedef struct interval_sum {
    kd_interval sum;
    int64_t count;
    int64_t padding;
} interval_sum;

static kd_status interval_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)env;
    interval_sum *sum = state;
    sum->count++;
    return kd_interval_add(ctx, sum->sum, KDI_ARG(kd_interval, args, 0), &sum->sum);
}

static kd_status interval_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)env;
    interval_sum *sum = state;
    const interval_sum *more = other;
    sum->count += more->count;
    return kd_interval_add(ctx, sum->sum, more->sum, &sum->sum);
}

static kd_status interval_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                 bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const interval_sum *sum = state;
    *out_is_null = sum->count == 0;
    *(kd_interval *)result = sum->sum;
    return KD_OK;
}

static kd_status interval_finish_avg(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                     bool *out_is_null)
{
    (void)env;
    const interval_sum *sum = state;
    *out_is_null = sum->count == 0;
    if (sum->count == 0)
        return KD_OK;
    return kd_interval_divide(ctx, sum->sum, (double)sum->count, result);
}

/* --- min and max ------------------------------------------------------------------------------ */

/* The payload of the best value so far; a far string's bytes are in env->state_arena. */
typedef struct extreme {
    char payload[16];
    uint8_t has_value;
    uint8_t padding[15];
} extreme;

static kd_status extreme_keep(kd_ctx *ctx, kd_call_env *env, extreme *best, const void *payload)
{
    kd_physical physical = kd_type_physical(env->argument_types[0]);
    best->has_value = 1;
    if (physical != KD_PHYS_STR) {
        memcpy(best->payload, payload, kd_physical_bytes(physical));
        return KD_OK;
    }
    kd_str kept;
    KD_TRY(kd_str_copy(ctx, env->state_arena, kd_str_slice(payload), &kept));
    memcpy(best->payload, &kept, sizeof kept);
    return KD_OK;
}

static kd_status extreme_offer(kd_ctx *ctx, kd_call_env *env, extreme *best, const void *payload,
                               int direction)
{
    if (best->has_value &&
        kd_payload_compare(env->argument_types[0], payload, best->payload) * direction <= 0)
        return KD_OK;
    return extreme_keep(ctx, env, best, payload);
}

#define EXTREME(name, direction)                                                                   \
    static kd_status name##_step(kd_ctx *ctx, kd_call_env *env, void *state,                       \
                                 const void *const *args)                                          \
    {                                                                                              \
        return extreme_offer(ctx, env, state, args[0], direction);                                 \
    }                                                                                              \
    static kd_status name##_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other) \
    {                                                                                              \
        const extreme *more = other;                                                               \
        return more->has_value ? extreme_offer(ctx, env, state, more->payload, direction) : KD_OK; \
    }
EXTREME(max, 1)
EXTREME(min, -1)

/* Integers of 32 and 64 bits have loops of their own: most extremes are of them. */
#define EXTREME_VECTOR(name, type, better)                                                  \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, void *const *states,               \
                          const kd_vector *args, const uint16_t *selection, uint32_t count) \
    {                                                                                       \
        (void)ctx;                                                                          \
        (void)env;                                                                          \
        const type *values = args[0].values;                                                \
        bool flat = args[0].form == KD_VECTOR_FLAT;                                         \
        if (count == 0)                                                                     \
            return KD_OK;                                                                   \
        extreme *best = states[0]; /* Neighbours are often of one group. */                 \
        type known;                                                                         \
        memcpy(&known, best->payload, sizeof known);                                        \
        FOR_ROWS(i, row)                                                                    \
        {                                                                                   \
            if (states[i] != best) {                                                        \
                memcpy(best->payload, &known, sizeof known);                                \
                best = states[i];                                                           \
                memcpy(&known, best->payload, sizeof known);                                \
            }                                                                               \
            if (is_null_at(&args[0], row))                                                  \
                continue;                                                                   \
            type value = values[flat ? row : 0];                                            \
            known = !best->has_value || value better known ? value : known;                 \
            best->has_value = 1;                                                            \
        }                                                                                   \
        memcpy(best->payload, &known, sizeof known);                                        \
        return KD_OK;                                                                       \
    }
EXTREME_VECTOR(max_vector_i16, int16_t, >)
EXTREME_VECTOR(max_vector_i32, int32_t, >)
EXTREME_VECTOR(max_vector_i64, int64_t, >)
EXTREME_VECTOR(min_vector_i16, int16_t, <)
EXTREME_VECTOR(min_vector_i32, int32_t, <)
EXTREME_VECTOR(min_vector_i64, int64_t, <)

static kd_status extreme_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                bool *out_is_null)
{
    (void)ctx;
    const extreme *best = state;
    *out_is_null = !best->has_value;
    memcpy(result, best->payload, kd_physical_bytes(kd_type_physical(env->argument_types[0])));
    return KD_OK;
}

static kd_type type_of_argument(const kd_type *arguments, uint32_t argument_count)
{
    assert(argument_count > 0);
    (void)argument_count;
    return arguments[0];
}

/* --- Booleans --------------------------------------------------------------------------------- */

typedef struct bool_state {
    uint8_t seen;
    uint8_t any_true;
    uint8_t any_false;
    uint8_t padding[13];
} bool_state;

static kd_status bool_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    bool_state *seen = state;
    bool value = KDI_ARG(uint8_t, args, 0);
    seen->seen = 1;
    seen->any_true |= value;
    seen->any_false |= !value;
    return KD_OK;
}

static kd_status bool_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    (void)ctx;
    (void)env;
    bool_state *seen = state;
    const bool_state *more = other;
    seen->seen |= more->seen;
    seen->any_true |= more->any_true;
    seen->any_false |= more->any_false;
    return KD_OK;
}

static kd_status bool_and_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                 bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const bool_state *seen = state;
    *out_is_null = !seen->seen;
    *(uint8_t *)result = !seen->any_false;
    return KD_OK;
}

static kd_status bool_or_finish(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                                bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const bool_state *seen = state;
    *out_is_null = !seen->seen;
    *(uint8_t *)result = seen->any_true;
    return KD_OK;
}

/* --- The table -------------------------------------------------------------------------------- */

#define ON(NAME, ARGUMENT, RESULT, STATE, ...)                                                     \
    {                                                                                              \
        .name = NAME, .argument_count = 1, .arguments = {KDI_TYPE(ARGUMENT)},                      \
        .result = KDI_TYPE(RESULT), .state_bytes = sizeof(STATE), .skips_nulls = true, __VA_ARGS__ \
    }
#define INTEGER_SUM(NAME, ARGUMENT, RESULT, suffix, FINISH)                                   \
    ON(NAME, ARGUMENT, RESULT, integer_sum, .step = sum_step_##suffix,                        \
       .step_vector = sum_step_vector_##suffix, .combine = integer_combine, .finish = FINISH, \
       .state_kind = KD_STATE_INTEGER_SUM)
#define FLOAT_SUM(NAME, ARGUMENT, RESULT, suffix, FINISH)                                   \
    ON(NAME, ARGUMENT, RESULT, kd_double_sum, .step = sum_step_##suffix,                    \
       .step_vector = sum_step_vector_##suffix, .combine = float_combine, .finish = FINISH, \
       .state_kind = KD_STATE_DOUBLE_SUM)
#define EXTREMES(ARGUMENT, MAX_VECTOR, MIN_VECTOR)                                          \
    ON("max", ARGUMENT, ARGUMENT, extreme, .step = max_step, .step_vector = MAX_VECTOR,     \
       .combine = max_combine, .finish = extreme_finish, .result_type = type_of_argument),  \
        ON("min", ARGUMENT, ARGUMENT, extreme, .step = min_step, .step_vector = MIN_VECTOR, \
           .combine = min_combine, .finish = extreme_finish, .result_type = type_of_argument)
#define EXTREMES_OF(...)                                                                       \
    {.name = "max",                                                                            \
     .argument_count = 1,                                                                      \
     .arguments = {__VA_ARGS__},                                                               \
     .result = __VA_ARGS__,                                                                    \
     .state_bytes = sizeof(extreme),                                                           \
     .skips_nulls = true,                                                                      \
     .step = max_step,                                                                         \
     .combine = max_combine,                                                                   \
     .finish = extreme_finish,                                                                 \
     .result_type = type_of_argument},                                                         \
    {                                                                                          \
        .name = "min", .argument_count = 1, .arguments = {__VA_ARGS__}, .result = __VA_ARGS__, \
        .state_bytes = sizeof(extreme), .skips_nulls = true, .step = min_step,                 \
        .combine = min_combine, .finish = extreme_finish, .result_type = type_of_argument      \
    }

static const kd_aggregate aggregates[] = {
    {.name = "count",
     .argument_count = 1,
     .arguments = {KDI_ANY},
     .result = KDI_TYPE(INT8),
     .state_bytes = 16,
     .skips_nulls = true,
     .step = count_step,
     .state_kind = KD_STATE_COUNT,
     .step_vector = count_step_vector,
     .combine = count_combine,
     .finish = count_finish},
    INTEGER_SUM("sum", INT2, INT8, i16, integer_finish_i64),
    INTEGER_SUM("sum", INT4, INT8, i32, integer_finish_i64),
    INTEGER_SUM("sum", INT8, NUMERIC, i64, integer_finish_numeric),
    INTEGER_SUM("avg", INT2, NUMERIC, i16, integer_finish_avg),
    INTEGER_SUM("avg", INT4, NUMERIC, i32, integer_finish_avg),
    INTEGER_SUM("avg", INT8, NUMERIC, i64, integer_finish_avg),
    FLOAT_SUM("sum", FLOAT4, FLOAT4, f32, float_finish_f32),
    FLOAT_SUM("sum", FLOAT8, FLOAT8, f64, float_finish_f64),
    FLOAT_SUM("avg", FLOAT4, FLOAT8, f32, float_finish_avg),
    FLOAT_SUM("avg", FLOAT8, FLOAT8, f64, float_finish_avg),
    ON("sum", NUMERIC, NUMERIC, kd_numeric_sum, .keeps_rows = true, .step = numeric_step,
       .state_kind = KD_STATE_NUMERIC_SUM, .add_sum = numeric_add_sum, .combine = numeric_combine,
       .finish = numeric_finish),
    ON("avg", NUMERIC, NUMERIC, kd_numeric_sum, .keeps_rows = true, .step = numeric_step,
       .state_kind = KD_STATE_NUMERIC_SUM, .add_sum = numeric_add_sum, .combine = numeric_combine,
       .finish = numeric_finish_avg),
    ON("sum", INTERVAL, INTERVAL, interval_sum, .step = interval_step, .combine = interval_combine,
       .finish = interval_finish),
    ON("avg", INTERVAL, INTERVAL, interval_sum, .step = interval_step, .combine = interval_combine,
       .finish = interval_finish_avg),
    EXTREMES(INT2, max_vector_i16, min_vector_i16),
    EXTREMES(INT4, max_vector_i32, min_vector_i32),
    EXTREMES(INT8, max_vector_i64, min_vector_i64),
    EXTREMES(FLOAT4, NULL, NULL),
    EXTREMES(FLOAT8, NULL, NULL),
    EXTREMES(NUMERIC, NULL, NULL),
    EXTREMES(TEXT, NULL, NULL),
    EXTREMES(CHAR, NULL, NULL),
    EXTREMES(DATE, max_vector_i32, min_vector_i32),
    EXTREMES(TIME, max_vector_i64, min_vector_i64),
    EXTREMES(TIMESTAMP, max_vector_i64, min_vector_i64),
    EXTREMES(TIMESTAMPTZ, max_vector_i64, min_vector_i64),
    EXTREMES(TIMESTAMP_NS, max_vector_i64, min_vector_i64),
    EXTREMES(INTERVAL, NULL, NULL),
    EXTREMES(OID, max_vector_i64, min_vector_i64),
    EXTREMES(TIMETZ, max_vector_i64, min_vector_i64),
    EXTREMES(TID, max_vector_i64, min_vector_i64),
    EXTREMES_OF(KDI_ANYENUM),
    EXTREMES_OF(KDI_ANYARRAY),
    ON("bool_and", BOOL, BOOL, bool_state, .step = bool_step, .combine = bool_combine,
       .finish = bool_and_finish),
    ON("every", BOOL, BOOL, bool_state, .step = bool_step, .combine = bool_combine,
       .finish = bool_and_finish),
    ON("bool_or", BOOL, BOOL, bool_state, .step = bool_step, .combine = bool_combine,
       .finish = bool_or_finish),
};

kd_status kdi_register_aggregates(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates));
}
