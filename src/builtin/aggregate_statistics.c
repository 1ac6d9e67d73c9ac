/*
 * Statistical aggregates: variance, deviation, covariance, regression; and bit_and, bit_or,
 * bit_xor.
 *
 * Of integers and numerics they are exact, as PostgreSQL's: the sums of values and of
 * their squares are kept as integers (a square as two halves of 64 bits), and only the
 * last division rounds. Of floating-point numbers they follow Youngs and Cramer (1971).
 */
#include "builtin/signature_internal.h"

#include <math.h>

/* --- Exact ------------------------------------------------------------------------------------ */

/* While `big_sum` is NULL the values are integers times 10^-scale. */
typedef struct exact_state {
    kd_i128 sum;
    kd_u128 squares_high; /* Sum of the squares' upper 64 bits, */
    kd_u128 squares_low;  /* and of the lower ones. */
    int64_t count;
    kd_decimal *big_sum; /* Two of them, in env->state_arena: sum and squares. */
    int32_t scale;
    int32_t padding[3];
} exact_state;

static void exact_add(exact_state *state, int64_t value)
{
    kd_u128 square = (kd_u128)((kd_i128)value * value);
    state->sum += value;
    state->squares_high += (uint64_t)(square >> 64);
    state->squares_low += (uint64_t)square;
    state->count++;
}

static kd_status exact_i16(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    exact_add(state, KDI_ARG(int16_t, args, 0));
    return KD_OK;
}

static kd_status exact_i32(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    exact_add(state, KDI_ARG(int32_t, args, 0));
    return KD_OK;
}

static kd_status exact_i64(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)ctx;
    (void)env;
    exact_add(state, KDI_ARG(int64_t, args, 0));
    return KD_OK;
}

/* An unsigned number as a decimal of scale `scale`, in parts that fit. */
static kd_status wide_decimal(kd_ctx *ctx, kd_arena *arena, kd_u128 value, int scale,
                              kd_decimal *out)
{
    kd_decimal high, unit;
    KD_TRY(kd_decimal_from_fixed(ctx, arena, (kd_i128)(value >> 64), 0, &high));
    KD_TRY(kd_decimal_from_fixed(ctx, arena, (kd_i128)1 << 64, 0, &unit));
    KD_TRY(kd_decimal_mul(ctx, arena, &high, &unit, &high));
    KD_TRY(kd_decimal_from_fixed(ctx, arena, (kd_i128)(uint64_t)value, 0, out));
    KD_TRY(kd_decimal_add(ctx, arena, out, &high, out));
    if (scale == 0)
        return KD_OK;
    KD_TRY(kd_decimal_from_fixed(ctx, arena, 1, scale, &unit));
    return kd_decimal_mul(ctx, arena, out, &unit, out);
}

static kd_status exact_sums(kd_ctx *ctx, kd_arena *arena, const exact_state *state,
                            kd_decimal out[2])
{
    if (state->big_sum != NULL) {
        out[0] = state->big_sum[0];
        out[1] = state->big_sum[1];
        return KD_OK;
    }
    kd_decimal high, unit;
    KD_TRY(kd_decimal_from_fixed(ctx, arena, state->sum, state->scale, &out[0]));
    KD_TRY(wide_decimal(ctx, arena, state->squares_high, state->scale * 2, &high));
    KD_TRY(kd_decimal_from_fixed(ctx, arena, (kd_i128)1 << 64, 0, &unit));
    KD_TRY(kd_decimal_mul(ctx, arena, &high, &unit, &high));
    KD_TRY(wide_decimal(ctx, arena, state->squares_low, state->scale * 2, &out[1]));
    return kd_decimal_add(ctx, arena, &out[1], &high, &out[1]);
}

/* Goes on with decimals. */
static kd_status exact_grow(kd_ctx *ctx, kd_arena *arena, exact_state *state)
{
    if (state->big_sum != NULL)
        return KD_OK;
    kd_decimal *big = KD_NEW_ARRAY(ctx, arena, kd_decimal, 2);
    if (big == NULL)
        return KD_NOMEM;
    KD_TRY(exact_sums(ctx, arena, state, big));
    state->big_sum = big;
    return KD_OK;
}

static kd_status big_add(kd_ctx *ctx, kd_call_env *env, const kd_decimal *value, kd_decimal *io_sum)
{
    KD_TRY(kd_decimal_add_exact(ctx, env->state_arena, io_sum, value, io_sum));
    return kd_decimal_own(ctx, env->state_arena, value, io_sum);
}

static kd_status exact_numeric(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args)
{
    exact_state *state = object;
    kd_decimal value, square;
    kd_i128 fixed;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    if (state->count == 0 && value.kind == KD_DECIMAL_FINITE && value.scale <= 18)
        state->scale = value.scale;
    if (state->big_sum == NULL && value.kind == KD_DECIMAL_FINITE && value.scale <= state->scale &&
        kd_decimal_try_fixed(&value, state->scale, &fixed) && fixed <= INT64_MAX &&
        fixed >= INT64_MIN) {
        exact_add(state, (int64_t)fixed);
        return KD_OK;
    }
    KD_TRY(exact_grow(ctx, env->state_arena, state));
    state->count++;
    KD_TRY(kd_decimal_mul_exact(ctx, env->arena, &value, &value, &square));
    KD_TRY(big_add(ctx, env, &value, &state->big_sum[0]));
    return big_add(ctx, env, &square, &state->big_sum[1]);
}

static kd_status exact_combine(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
{
    exact_state *state = object;
    const exact_state *more = other;
    if (more->count == 0)
        return KD_OK;
    if (state->count == 0)
        state->scale = more->scale;
    if (state->big_sum == NULL && more->big_sum == NULL && state->scale == more->scale) {
        state->sum += more->sum;
        state->squares_high += more->squares_high;
        state->squares_low += more->squares_low;
        state->count += more->count;
        return KD_OK;
    }
    kd_decimal sums[2];
    KD_TRY(exact_grow(ctx, env->state_arena, state));
    KD_TRY(exact_sums(ctx, env->state_arena, more, sums));
    state->count += more->count;
    for (int i = 0; i < 2; i++)
        KD_TRY(big_add(ctx, env, &sums[i], &state->big_sum[i]));
    return KD_OK;
}

enum { ROOT_SPARE_DIGITS = 8 };

/* (n * squares - sum^2) / (n * (n - 1)), or / n^2; its root for a deviation. */
static kd_status exact_finish(kd_ctx *ctx, kd_call_env *env, const void *object, bool sample,
                              bool root, void *result, bool *out_is_null)
{
    const exact_state *state = object;
    *out_is_null = state->count < 1 + sample;
    if (*out_is_null)
        return KD_OK;
    kd_decimal sums[2], count, square, divisor, answer;
    KD_TRY(exact_sums(ctx, env->arena, state, sums));
    if (sums[0].kind != KD_DECIMAL_FINITE || sums[1].kind != KD_DECIMAL_FINITE) {
        answer = (kd_decimal){.kind = KD_DECIMAL_NAN};
        return kd_decimal_store(ctx, env->arena, &answer, result);
    }
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, state->count, &count));
    KD_TRY(kd_decimal_mul_exact(ctx, env->arena, &sums[0], &sums[0], &square));
    KD_TRY(kd_decimal_mul_exact(ctx, env->arena, &sums[1], &count, &answer));
    square = kd_decimal_negate(square);
    KD_TRY(kd_decimal_add_exact(ctx, env->arena, &answer, &square, &answer));
    if (kd_decimal_sign(&answer) <= 0) {
        KD_TRY(kd_decimal_from_i64(ctx, env->arena, 0, &answer));
        return kd_decimal_store(ctx, env->arena, &answer, result);
    }
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, state->count - sample, &divisor));
    KD_TRY(kd_decimal_mul(ctx, env->arena, &count, &divisor, &divisor));
    KD_TRY(kd_decimal_div(ctx, env->arena, &answer, &divisor, &answer));
    if (root) {
        /* More digits than are kept: a root that was rounded just there would be rounded twice. */
        int scale = answer.scale;
        KD_TRY(kd_decimal_round(ctx, env->arena, &answer, scale + ROOT_SPARE_DIGITS, &answer));
        KD_TRY(kd_decimal_sqrt(ctx, env->arena, &answer, &answer));
        KD_TRY(kd_decimal_round(ctx, env->arena, &answer, scale, &answer));
    }
    return kd_decimal_store(ctx, env->arena, &answer, result);
}

/* --- Floating point --------------------------------------------------------------------------- */

/* Of one column only x is used; of two, the first is y and the second x, as SQL has them. */
typedef struct float_state {
    double n, sx, sxx, sy, syy, sxy;
} float_state;

static kd_status float_check(kd_ctx *ctx, double *sum, bool inputs_finite)
{
    if (!isinf(*sum))
        return KD_OK;
    if (inputs_finite)
        return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: overflow");
    *sum = NAN;
    return KD_OK;
}

static kd_status float_add(kd_ctx *ctx, float_state *state, double x)
{
    bool finite = isfinite(state->sx) && isfinite(x);
    bool had_rows = state->n > 0;
    state->n += 1.0;
    state->sx += x;
    if (had_rows) {
        double delta = x * state->n - state->sx;
        state->sxx += delta * delta / (state->n * (state->n - 1.0));
        if (isinf(state->sx))
            KD_TRY(float_check(ctx, &state->sx, finite));
        return float_check(ctx, &state->sxx, finite);
    }
    if (!isfinite(x))
        state->sxx = NAN;
    return KD_OK;
}

static kd_status float_step_f64(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)env;
    return float_add(ctx, state, KDI_ARG(double, args, 0));
}

static kd_status float_step_f32(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    (void)env;
    return float_add(ctx, state, (double)KDI_ARG(float, args, 0));
}

static kd_status pair_step(kd_ctx *ctx, kd_call_env *env, void *object, const void *const *args)
{
    (void)env;
    float_state *state = object;
    double y = KDI_ARG(double, args, 0), x = KDI_ARG(double, args, 1);
    bool finite = isfinite(x) && isfinite(y) && isfinite(state->sx) && isfinite(state->sy);
    bool had_rows = state->n > 0;
    state->n += 1.0;
    state->sx += x;
    state->sy += y;
    if (!had_rows) {
        if (!isfinite(x))
            state->sxx = state->sxy = NAN;
        if (!isfinite(y))
            state->syy = state->sxy = NAN;
        return KD_OK;
    }
    double dx = x * state->n - state->sx, dy = y * state->n - state->sy;
    double scale = 1.0 / (state->n * (state->n - 1.0));
    state->sxx += dx * dx * scale;
    state->syy += dy * dy * scale;
    state->sxy += dx * dy * scale;
    double *const sums[5] = {&state->sx, &state->sy, &state->sxx, &state->syy, &state->sxy};
    for (int i = 0; i < 5; i++)
        KD_TRY(float_check(ctx, sums[i], finite));
    return KD_OK;
}

static kd_status float_combine(kd_ctx *ctx, kd_call_env *env, void *object, const void *other)
{
    (void)ctx;
    (void)env;
    float_state *a = object;
    const float_state *b = other;
    if (b->n == 0)
        return KD_OK;
    if (a->n == 0) {
        *a = *b;
        return KD_OK;
    }
    double n = a->n + b->n;
    double dx = a->sx / a->n - b->sx / b->n, dy = a->sy / a->n - b->sy / b->n;
    double weight = a->n * b->n / n;
    a->sxx += b->sxx + weight * dx * dx;
    a->syy += b->syy + weight * dy * dy;
    a->sxy += b->sxy + weight * dx * dy;
    a->sx += b->sx;
    a->sy += b->sy;
    a->n = n;
    return KD_OK;
}

#define SPREAD(name, sample, root)                                                                 \
    static kd_status name##_exact(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,  \
                                  bool *out_is_null)                                               \
    {                                                                                              \
        return exact_finish(ctx, env, state, sample, root, result, out_is_null);                   \
    }                                                                                              \
    static kd_status name##_float(kd_ctx *ctx, kd_call_env *env, const void *object, void *result, \
                                  bool *out_is_null)                                               \
    {                                                                                              \
        (void)ctx;                                                                                 \
        (void)env;                                                                                 \
        const float_state *state = object;                                                         \
        double value = state->sxx / (state->n - (sample));                                         \
        *out_is_null = state->n < 1 + (sample);                                                    \
        *(double *)result = (root) ? sqrt(value) : value;                                          \
        return KD_OK;                                                                              \
    }
SPREAD(var_pop, 0, 0)
SPREAD(var_samp, 1, 0)
SPREAD(stddev_pop, 0, 1)
SPREAD(stddev_samp, 1, 1)

/* `least` rows are needed, and `condition` must hold, else NULL. */
#define REGRESSION(name, least, condition, value)                                          \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *object, void *result, \
                          bool *out_is_null)                                               \
    {                                                                                      \
        (void)ctx;                                                                         \
        (void)env;                                                                         \
        const float_state *s = object;                                                     \
        *out_is_null = !(s->n >= (least) && (condition));                                  \
        *(double *)result = *out_is_null ? 0 : (value);                                    \
        return KD_OK;                                                                      \
    }
REGRESSION(covar_pop, 1, true, s->sxy / s->n)
REGRESSION(covar_samp, 2, true, s->sxy / (s->n - 1.0))
REGRESSION(corr, 1, s->sxx != 0 && s->syy != 0, s->sxy / sqrt(s->sxx * s->syy))
REGRESSION(regr_avgx, 1, true, s->sx / s->n)
REGRESSION(regr_avgy, 1, true, s->sy / s->n)
REGRESSION(regr_sxx, 1, true, s->sxx)
REGRESSION(regr_syy, 1, true, s->syy)
REGRESSION(regr_sxy, 1, true, s->sxy)
REGRESSION(regr_slope, 1, s->sxx != 0, s->sxy / s->sxx)
REGRESSION(regr_intercept, 1, s->sxx != 0, (s->sy - s->sx * s->sxy / s->sxx) / s->n)
REGRESSION(regr_r2, 1, s->sxx != 0, s->syy == 0 ? 1.0 : (s->sxy * s->sxy) / (s->sxx * s->syy))

static kd_status regr_count(kd_ctx *ctx, kd_call_env *env, const void *state, void *result,
                            bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = (int64_t)((const float_state *)state)->n;
    return KD_OK;
}

/* --- Bits ------------------------------------------------------------------------------------- */

typedef struct bit_state {
    int64_t bits;
    int64_t count;
} bit_state;

#define BIT_AGGREGATE(name, suffix, type, operator)                                    \
    static kd_status name##_step_##suffix(kd_ctx *ctx, kd_call_env *env, void *object, \
                                          const void *const *args)                     \
    {                                                                                  \
        (void)ctx;                                                                     \
        (void)env;                                                                     \
        bit_state *state = object;                                                     \
        int64_t value = KDI_ARG(type, args, 0);                                        \
        state->bits = state->count++ == 0 ? value : (state->bits operator value);      \
        return KD_OK;                                                                  \
    }
#define BIT_AGGREGATES(name, operator)                                                        \
    BIT_AGGREGATE(name, i16, int16_t, operator)                                               \
    BIT_AGGREGATE(name, i32, int32_t, operator)                                               \
    BIT_AGGREGATE(name, i64, int64_t, operator)                                               \
    static kd_status name##_combine(kd_ctx *ctx, kd_call_env *env, void *object,              \
                                    const void *other)                                        \
    {                                                                                         \
        (void)ctx;                                                                            \
        (void)env;                                                                            \
        bit_state *state = object;                                                            \
        const bit_state *more = other;                                                        \
        if (more->count > 0)                                                                  \
            state->bits = state->count == 0 ? more->bits : (state->bits operator more->bits); \
        state->count += more->count;                                                          \
        return KD_OK;                                                                         \
    }
BIT_AGGREGATES(bit_and, &)
BIT_AGGREGATES(bit_or, |)
BIT_AGGREGATES(bit_xor, ^)

static kd_status bit_finish(kd_ctx *ctx, kd_call_env *env, const void *object, void *result,
                            bool *out_is_null)
{
    (void)ctx;
    const bit_state *state = object;
    *out_is_null = state->count == 0;
    memcpy(result, &state->bits, kd_physical_bytes(kd_type_physical(env->result_type)));
    return KD_OK;
}

#define SPREAD_OF(NAME, FINISH)                                                            \
    EXACT(NAME, FINISH, INT2, exact_i16), EXACT(NAME, FINISH, INT4, exact_i32),            \
        EXACT(NAME, FINISH, INT8, exact_i64), EXACT(NAME, FINISH, NUMERIC, exact_numeric), \
        REAL(NAME, FINISH, FLOAT4, float_step_f32), REAL(NAME, FINISH, FLOAT8, float_step_f64)
#define EXACT(NAME, FINISH, TYPE, STEP)                                                            \
    {                                                                                              \
        KDI_SIGNATURE(KDI_TYPE(TYPE)), .name = NAME, .result = KDI_TYPE(NUMERIC),                  \
                                       .state_bytes = sizeof(exact_state), .skips_nulls = true,    \
                                       .keeps_rows = true, .step = STEP, .combine = exact_combine, \
                                       .finish = FINISH##_exact                                    \
    }
#define REAL(NAME, FINISH, TYPE, STEP)                                                            \
    {                                                                                             \
        KDI_SIGNATURE(KDI_TYPE(TYPE)),                                                            \
            .name = NAME, .result = KDI_TYPE(FLOAT8), .state_bytes = sizeof(float_state),         \
            .skips_nulls = true, .step = STEP, .combine = float_combine, .finish = FINISH##_float \
    }
#define PAIR(NAME, RESULT, FINISH)                                                             \
    {                                                                                          \
        KDI_SIGNATURE(KDI_TYPE(FLOAT8), KDI_TYPE(FLOAT8)),                                     \
            .name = NAME, .result = KDI_TYPE(RESULT), .state_bytes = sizeof(float_state),      \
            .skips_nulls = true, .step = pair_step, .combine = float_combine, .finish = FINISH \
    }
#define BITS(NAME, TYPE, WHICH, suffix)                                                           \
    {                                                                                             \
        KDI_SIGNATURE(KDI_TYPE(TYPE)), .name = NAME, .result = KDI_TYPE(TYPE),                    \
                                       .state_bytes = sizeof(bit_state), .skips_nulls = true,     \
                                       .step = WHICH##_step_##suffix, .combine = WHICH##_combine, \
                                       .finish = bit_finish                                       \
    }
#define BITS_OF(NAME, WHICH) \
    BITS(NAME, INT2, WHICH, i16), BITS(NAME, INT4, WHICH, i32), BITS(NAME, INT8, WHICH, i64)

#undef INT2
#undef INT4
#undef INT8
#undef NUMERIC
#undef FLOAT4
#undef FLOAT8

static const kd_aggregate aggregates[] = {
    SPREAD_OF("var_pop", var_pop),
    SPREAD_OF("var_samp", var_samp),
    SPREAD_OF("variance", var_samp),
    SPREAD_OF("stddev_pop", stddev_pop),
    SPREAD_OF("stddev_samp", stddev_samp),
    SPREAD_OF("stddev", stddev_samp),
    PAIR("covar_pop", FLOAT8, covar_pop),
    PAIR("covar_samp", FLOAT8, covar_samp),
    PAIR("corr", FLOAT8, corr),
    PAIR("regr_avgx", FLOAT8, regr_avgx),
    PAIR("regr_avgy", FLOAT8, regr_avgy),
    PAIR("regr_sxx", FLOAT8, regr_sxx),
    PAIR("regr_syy", FLOAT8, regr_syy),
    PAIR("regr_sxy", FLOAT8, regr_sxy),
    PAIR("regr_slope", FLOAT8, regr_slope),
    PAIR("regr_intercept", FLOAT8, regr_intercept),
    PAIR("regr_r2", FLOAT8, regr_r2),
    PAIR("regr_count", INT8, regr_count),
    BITS_OF("bit_and", bit_and),
    BITS_OF("bit_or", bit_or),
    BITS_OF("bit_xor", bit_xor),
};

kd_status kdi_register_statistics(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates));
}
