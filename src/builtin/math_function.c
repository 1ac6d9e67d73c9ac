/*
 * Mathematical functions of integers, floating-point numbers and numeric.
 *
 * Floating-point functions of one argument share a row function that finds its C
 * function in kd_function.data and checks domain and range as PostgreSQL does.
 */
#include "builtin/signature_internal.h"
#include "types/array.h"
#include "base/world.h"

#include <math.h>

/* --- Floating point --------------------------------------------------------------------------- */

static kd_status out_of_range(kd_ctx *ctx, bool overflow)
{
    return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: %s",
                   overflow ? "overflow" : "underflow");
}

static kd_status input_out_of_range(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22003", "input is out of range");
}

typedef struct real_function {
    double (*call)(double);
    double low, high; /* Outside: input is out of range; NaN passes. */
    bool infinity_fails;
    bool may_overflow; /* An infinite result of a finite argument fails. */
} real_function;

KDI_ROW(real_call)
{
    const real_function *function = env->data;
    double value = KDI_ARG(double, args, 0);
    if (value < function->low || value > function->high ||
        (isinf(value) && function->infinity_fails))
        return input_out_of_range(ctx);
    double answer = function->call(value);
    if (function->may_overflow && isinf(answer) && isfinite(value))
        return out_of_range(ctx, true);
    *(double *)result = answer;
    return KD_OK;
}

static double radians_of(double degrees)
{
    return degrees * (M_PI / 180.0);
}

/* Sine of 0 .. 30 and cosine of 0 .. 60 degrees, made exact at 30 and 60. */
static double sine_small(double degrees)
{
    return sin(radians_of(degrees)) / sin(radians_of(30.0)) / 2.0;
}

static double cosine_small(double degrees)
{
    return 1.0 - (1.0 - cos(radians_of(degrees))) / (1.0 - cos(radians_of(60.0))) / 2.0;
}

static double sine_quadrant(double degrees)
{
    return degrees <= 30.0 ? sine_small(degrees) : cosine_small(90.0 - degrees);
}

static double cosine_quadrant(double degrees)
{
    return degrees <= 60.0 ? cosine_small(degrees) : sine_small(90.0 - degrees);
}

static double sind(double degrees)
{
    if (isnan(degrees))
        return degrees;
    double angle = fmod(degrees, 360.0), sign = 1.0;
    if (angle < 0.0) {
        angle = -angle;
        sign = -sign;
    }
    if (angle > 180.0) {
        angle = 360.0 - angle;
        sign = -sign;
    }
    if (angle > 90.0)
        angle = 180.0 - angle;
    return sign * sine_quadrant(angle);
}

static double cosd(double degrees)
{
    if (isnan(degrees))
        return degrees;
    double angle = fabs(fmod(degrees, 360.0)), sign = 1.0;
    if (angle > 180.0)
        angle = 360.0 - angle;
    if (angle > 90.0) {
        angle = 180.0 - angle;
        sign = -sign;
    }
    return sign * cosine_quadrant(angle);
}

static double tangent(double degrees, bool inverse)
{
    if (isnan(degrees))
        return degrees;
    double angle = fmod(degrees, 360.0), sign = 1.0;
    if (angle < 0.0) {
        angle = -angle;
        sign = -sign;
    }
    if (angle > 180.0) {
        angle = 360.0 - angle;
        sign = -sign;
    }
    if (angle > 90.0) {
        angle = 180.0 - angle;
        sign = -sign;
    }
    double one = sine_quadrant(45.0) / cosine_quadrant(45.0);
    double value = inverse ? cosine_quadrant(angle) / sine_quadrant(angle)
                           : sine_quadrant(angle) / cosine_quadrant(angle);
    double answer = sign * (value / one);
    return answer == 0.0 ? 0.0 : answer;
}

static double tand(double degrees)
{
    return tangent(degrees, false);
}

static double cotd(double degrees)
{
    return tangent(degrees, true);
}

static double cot(double value)
{
    return 1.0 / tan(value);
}

static double arcsine_quadrant(double value)
{
    return value <= 0.5 ? asin(value) / asin(0.5) * 30.0 : 90.0 - acos(value) / acos(0.5) * 60.0;
}

static double arccosine_quadrant(double value)
{
    return value <= 0.5 ? 90.0 - asin(value) / asin(0.5) * 30.0 : acos(value) / acos(0.5) * 60.0;
}

static double asind(double value)
{
    if (isnan(value))
        return value;
    return value >= 0 ? arcsine_quadrant(value) : -arcsine_quadrant(-value);
}

static double acosd(double value)
{
    if (isnan(value))
        return value;
    return value >= 0 ? arccosine_quadrant(value) : 90.0 + arcsine_quadrant(-value);
}

static double atand(double value)
{
    return atan(value) / atan(1.0) * 45.0;
}

static double degrees(double value)
{
    return value / (M_PI / 180.0);
}

static double sign_of(double value)
{
    return value > 0 ? 1.0 : value < 0 ? -1.0 : 0.0; /* NaN too */
}

KDI_ROW(exp_f64)
{
    double value = KDI_ARG(double, args, 0), answer = exp(value);
    if (isinf(answer) && isfinite(value))
        return out_of_range(ctx, true);
    if (answer == 0 && isfinite(value))
        return out_of_range(ctx, false);
    *(double *)result = answer;
    return KD_OK;
}

KDI_ROW(sqrt_f64)
{
    double value = KDI_ARG(double, args, 0);
    if (value < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201F", "cannot take square root of a negative number");
    *(double *)result = sqrt(value);
    return KD_OK;
}

static kd_status log_check(kd_ctx *ctx, double value)
{
    if (value == 0)
        return KD_FAIL(ctx, KD_INVALID, "2201E", "cannot take logarithm of zero");
    if (value < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201E", "cannot take logarithm of a negative number");
    return KD_OK;
}

KDI_ROW(ln_f64)
{
    KD_TRY(log_check(ctx, KDI_ARG(double, args, 0)));
    *(double *)result = log(KDI_ARG(double, args, 0));
    return KD_OK;
}

KDI_ROW(log10_f64)
{
    KD_TRY(log_check(ctx, KDI_ARG(double, args, 0)));
    *(double *)result = log10(KDI_ARG(double, args, 0));
    return KD_OK;
}

KDI_ROW(atan2_f64)
{
    *(double *)result = atan2(KDI_ARG(double, args, 0), KDI_ARG(double, args, 1));
    return KD_OK;
}

KDI_ROW(atan2d_f64)
{
    *(double *)result =
        atan2(KDI_ARG(double, args, 0), KDI_ARG(double, args, 1)) / atan(1.0) * 45.0;
    return KD_OK;
}

KDI_ROW(pi)
{
    *(double *)result = M_PI;
    return KD_OK;
}

KDI_ROW(isnan_f64)
{
    double value = KDI_ARG(double, args, 0);
    *(uint8_t *)result = value != value;
    return KD_OK;
}

/* --- Random ----------------------------------------------------------------------------------- */

/* Each expression instance has a generator of its own, seeded once: xorshift64*. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* After setseed the next generators begin with what follows from the seed. */
static uint64_t generator_seed(kd_ctx *ctx, const kd_call_env *env)
{
    kd_random_seed *seed = env->facts == NULL ? NULL : env->facts->random_seed;
    if (seed == NULL || !atomic_load(&seed->is_set))
        return ctx->world->random_u64(ctx->world) | 1;
    return mixed(atomic_fetch_add(&seed->next, 0x9e3779b97f4a7c15u)) | 1;
}

KDI_ROW(setseed)
{
    double value = KDI_ARG(double, args, 0);
    kd_random_seed *seed = env->facts == NULL ? NULL : env->facts->random_seed;
    if (!(value >= -1 && value <= 1))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "setseed parameter %g is out of allowed range [-1,1]", value);
    uint64_t bits;
    value = value == 0 ? 0 : value;
    memcpy(&bits, &value, sizeof bits);
    if (seed != NULL) {
        atomic_store(&seed->next, mixed(bits + 1));
        atomic_store(&seed->is_set, true);
    }
    memset(result, 0, sizeof(int32_t));
    return KD_OK;
}

KDI_ROW(random)
{
    uint64_t *state = env->state;
    if (state == NULL) {
        state = KD_NEW(ctx, env->state_arena, uint64_t);
        if (state == NULL)
            return KD_NOMEM;
        *state = generator_seed(ctx, env);
        env->state = state;
    }
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    *(double *)result = (double)((x * 0x2545f4914f6cdd1du) >> 11) * 0x1.0p-53;
    return KD_OK;
}

/* --- Integers --------------------------------------------------------------------------------- */

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

#define INTEGER_FUNCTIONS(suffix, type, max, name)                                                \
    KDI_ROW(gcd_##suffix)                                                                         \
    {                                                                                             \
        uint64_t answer =                                                                         \
            common_divisor(magnitude(KDI_ARG(type, args, 0)), magnitude(KDI_ARG(type, args, 1))); \
        if (answer > (uint64_t)max)                                                               \
            return KD_FAIL(ctx, KD_INVALID, "22003", name " out of range");                       \
        *(type *)result = (type)answer;                                                           \
        return KD_OK;                                                                             \
    }                                                                                             \
    KDI_ROW(lcm_##suffix)                                                                         \
    {                                                                                             \
        uint64_t a = magnitude(KDI_ARG(type, args, 0)), b = magnitude(KDI_ARG(type, args, 1));    \
        uint64_t answer = 0;                                                                      \
        if (a != 0 && b != 0 && __builtin_mul_overflow(a / common_divisor(a, b), b, &answer))     \
            answer = UINT64_MAX;                                                                  \
        if (answer > (uint64_t)max)                                                               \
            return KD_FAIL(ctx, KD_INVALID, "22003", name " out of range");                       \
        *(type *)result = (type)answer;                                                           \
        return KD_OK;                                                                             \
    }
INTEGER_FUNCTIONS(i32, int32_t, INT32_MAX, "integer")
INTEGER_FUNCTIONS(i64, int64_t, INT64_MAX, "bigint")

/* --- Numeric ---------------------------------------------------------------------------------- */

typedef kd_status (*decimal_unary)(kd_ctx *ctx, kd_arena *arena, const kd_decimal *value,
                                   kd_decimal *out);

static kd_status decimal_call(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                              decimal_unary function, void *result)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    KD_TRY(function(ctx, env->arena, &value, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

#define DECIMAL_FUNCTION(name, function)                       \
    KDI_ROW(name)                                              \
    {                                                          \
        return decimal_call(ctx, env, args, function, result); \
    }
DECIMAL_FUNCTION(ceil_numeric, kd_decimal_ceil)
DECIMAL_FUNCTION(floor_numeric, kd_decimal_floor)
DECIMAL_FUNCTION(sqrt_numeric, kd_decimal_sqrt)
DECIMAL_FUNCTION(exp_numeric, kd_decimal_exp)
DECIMAL_FUNCTION(ln_numeric, kd_decimal_ln)

/* round and trunc: to whole, or to the scale of argument 1. */
static kd_status to_scale(kd_ctx *ctx, kd_call_env *env, const void *const *args, bool rounds,
                          void *result)
{
    kd_decimal value;
    int32_t scale = env->argument_count > 1 ? KDI_ARG(int32_t, args, 1) : 0;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    KD_TRY(rounds ? kd_decimal_round(ctx, env->arena, &value, scale, &value)
                  : kd_decimal_trunc(ctx, env->arena, &value, scale, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

KDI_ROW(round_numeric)
{
    return to_scale(ctx, env, args, true, result);
}

KDI_ROW(trunc_numeric)
{
    return to_scale(ctx, env, args, false, result);
}

KDI_ROW(log_numeric)
{
    kd_decimal base, value;
    if (env->argument_count > 1) {
        KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &base));
        KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &value));
    } else {
        KD_TRY(kd_decimal_from_i64(ctx, env->arena, 10, &base));
        KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    }
    KD_TRY(kd_decimal_log(ctx, env->arena, &base, &value, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

KDI_ROW(sign_numeric)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    if (value.kind != KD_DECIMAL_NAN)
        KD_TRY(kd_decimal_from_i64(ctx, env->arena, kd_decimal_sign(&value), &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

KDI_ROW(scale_numeric)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    *out_is_null = value.kind != KD_DECIMAL_FINITE;
    *(int32_t *)result = *out_is_null ? 0 : value.scale;
    return KD_OK;
}

/* The digits after the point without trailing zeros. */
static int32_t needed_scale(const kd_decimal *value)
{
    if (value->digit_count == 0)
        return 0;
    int32_t scale = ((int32_t)value->digit_count - value->weight - 1) * KD_NUMERIC_BASE_DIGITS;
    if (scale <= 0)
        return 0;
    for (uint32_t last = value->digits[value->digit_count - 1]; last % 10 == 0 && last > 0;
         last /= 10)
        scale--;
    return scale < 0 ? 0 : scale;
}

KDI_ROW(min_scale)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    *out_is_null = value.kind != KD_DECIMAL_FINITE;
    *(int32_t *)result = *out_is_null ? 0 : needed_scale(&value);
    return KD_OK;
}

KDI_ROW(trim_scale)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    if (value.kind == KD_DECIMAL_FINITE)
        value.scale = needed_scale(&value);
    return kd_decimal_store(ctx, env->arena, &value, result);
}

KDI_ROW(gcd_numeric)
{
    kd_decimal a, b, rest;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &a));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &b));
    int32_t scale = a.scale > b.scale ? a.scale : b.scale;
    a = kd_decimal_abs(a);
    b = kd_decimal_abs(b);
    if (a.kind != KD_DECIMAL_FINITE || b.kind != KD_DECIMAL_FINITE) {
        a = (kd_decimal){.kind = KD_DECIMAL_NAN};
        return kd_decimal_store(ctx, env->arena, &a, result);
    }
    while (b.digit_count != 0) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kd_decimal_mod(ctx, env->arena, &a, &b, &rest));
        a = b;
        b = rest;
    }
    a.scale = scale;
    return kd_decimal_store(ctx, env->arena, &a, result);
}

KDI_ROW(lcm_numeric)
{
    kd_decimal a, b, divisor;
    kd_str stored;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &a));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &b));
    KD_TRY(gcd_numeric(ctx, env, args, &stored, out_is_null));
    KD_TRY(kd_decimal_load(ctx, env->arena, &stored, &divisor));
    int32_t scale = a.scale > b.scale ? a.scale : b.scale;
    if (divisor.kind == KD_DECIMAL_FINITE && divisor.digit_count != 0) {
        KD_TRY(kd_decimal_div_trunc(ctx, env->arena, &a, &divisor, &a));
        KD_TRY(kd_decimal_mul(ctx, env->arena, &a, &b, &divisor));
        divisor = kd_decimal_abs(divisor);
    }
    if (divisor.kind == KD_DECIMAL_FINITE)
        divisor.scale = scale;
    return kd_decimal_store(ctx, env->arena, &divisor, result);
}

KDI_ROW(factorial)
{
    int64_t count = KDI_ARG(int64_t, args, 0);
    if (count < 0)
        return KD_FAIL(ctx, KD_INVALID, "22003", "factorial of a negative number is undefined");
    if (count > 32177)
        return KD_FAIL(ctx, KD_INVALID, "22003", "value overflows numeric format");
    kd_decimal product, factor;
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, 1, &product));
    for (int64_t i = 2; i <= count; i++) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(kd_decimal_from_i64(ctx, env->arena, i, &factor));
        KD_TRY(kd_decimal_mul(ctx, env->arena, &product, &factor, &product));
    }
    return kd_decimal_store(ctx, env->arena, &product, result);
}

/* --- width_bucket ----------------------------------------------------------------------------- */

static kd_status bucket_bounds(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "2201G", "%s", what);
}

KDI_ROW(width_bucket_f64)
{
    double value = KDI_ARG(double, args, 0), low = KDI_ARG(double, args, 1);
    double high = KDI_ARG(double, args, 2);
    int32_t count = KDI_ARG(int32_t, args, 3), answer;
    if (count <= 0)
        return bucket_bounds(ctx, "count must be greater than zero");
    if (isnan(value) || isnan(low) || isnan(high))
        return bucket_bounds(ctx, "operand, lower bound, and upper bound cannot be NaN");
    if (isinf(low) || isinf(high))
        return bucket_bounds(ctx, "lower and upper bounds must be finite");
    if (low == high)
        return bucket_bounds(ctx, "lower bound cannot equal upper bound");
    bool below = low < high ? value < low : value > low;
    bool above = low < high ? value >= high : value <= high;
    if (above && count == INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22003", "integer out of range");
    if (below)
        answer = 0;
    else if (above)
        answer = count + 1;
    else
        answer = (int32_t)((double)count * (value / 2 - low / 2) / (high / 2 - low / 2)) + 1;
    *(int32_t *)result = answer > count && !above ? count : answer;
    return KD_OK;
}

KDI_ROW(width_bucket_numeric)
{
    kd_decimal value, low, high, count, span;
    int32_t buckets = KDI_ARG(int32_t, args, 3);
    if (buckets <= 0)
        return bucket_bounds(ctx, "count must be greater than zero");
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &low));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 2, &high));
    if (value.kind == KD_DECIMAL_NAN || low.kind == KD_DECIMAL_NAN || high.kind == KD_DECIMAL_NAN)
        return bucket_bounds(ctx, "operand, lower bound, and upper bound cannot be NaN");
    if (low.kind != KD_DECIMAL_FINITE || high.kind != KD_DECIMAL_FINITE)
        return bucket_bounds(ctx, "lower and upper bounds must be finite");
    int order = kd_decimal_compare(&low, &high);
    if (order == 0)
        return bucket_bounds(ctx, "lower bound cannot equal upper bound");
    bool below = kd_decimal_compare(&value, &low) * order > 0;
    bool above = kd_decimal_compare(&value, &high) * order <= 0;
    if (below || above) {
        *(int32_t *)result = below ? 0 : buckets + 1;
        return KD_OK;
    }
    KD_TRY(kd_decimal_sub(ctx, env->arena, &value, &low, &value));
    KD_TRY(kd_decimal_sub(ctx, env->arena, &high, &low, &span));
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, buckets, &count));
    KD_TRY(kd_decimal_mul(ctx, env->arena, &value, &count, &value));
    KD_TRY(kd_decimal_div_trunc(ctx, env->arena, &value, &span, &value));
    int64_t answer;
    KD_TRY(kd_decimal_to_i64(ctx, &value, &answer));
    *(int32_t *)result = (int32_t)answer + 1;
    return KD_OK;
}

static const real_function real_ceil = {ceil, -INFINITY, INFINITY, false, false},
                           real_floor = {floor, -INFINITY, INFINITY, false, false},
                           real_round = {rint, -INFINITY, INFINITY, false, false},
                           real_trunc = {trunc, -INFINITY, INFINITY, false, false},
                           real_sign = {sign_of, -INFINITY, INFINITY, false, false},
                           real_cbrt = {cbrt, -INFINITY, INFINITY, false, false},
                           real_sin = {sin, -INFINITY, INFINITY, true, false},
                           real_cos = {cos, -INFINITY, INFINITY, true, false},
                           real_tan = {tan, -INFINITY, INFINITY, true, false},
                           real_cot = {cot, -INFINITY, INFINITY, true, false},
                           real_asin = {asin, -1, 1, false, false},
                           real_acos = {acos, -1, 1, false, false},
                           real_atan = {atan, -INFINITY, INFINITY, false, false},
                           real_sind = {sind, -INFINITY, INFINITY, true, false},
                           real_cosd = {cosd, -INFINITY, INFINITY, true, false},
                           real_tand = {tand, -INFINITY, INFINITY, true, false},
                           real_cotd = {cotd, -INFINITY, INFINITY, true, false},
                           real_asind = {asind, -1, 1, false, false},
                           real_acosd = {acosd, -1, 1, false, false},
                           real_atand = {atand, -INFINITY, INFINITY, false, false},
                           real_sinh = {sinh, -INFINITY, INFINITY, false, false},
                           real_cosh = {cosh, -INFINITY, INFINITY, false, false},
                           real_tanh = {tanh, -INFINITY, INFINITY, false, false},
                           real_asinh = {asinh, -INFINITY, INFINITY, false, false},
                           real_acosh = {acosh, 1, INFINITY, false, false},
                           real_atanh = {atanh, -1, 1, false, false},
                           real_degrees = {degrees, -INFINITY, INFINITY, false, true},
                           real_radians = {radians_of, -INFINITY, INFINITY, false, true};

#define REAL(NAME, FUNCTION)                                                                     \
    {                                                                                            \
        KDI_SIGNATURE(FLOAT8), .name = NAME, .row = real_call, .result = FLOAT8, .strict = true, \
                               .data = &FUNCTION                                                 \
    }

/* How many thresholds, which ascend, the operand has reached. */
KDI_ROW(width_bucket_array)
{
    kd_array thresholds;
    KD_TRY(kd_array_open(ctx, env->argument_types[1], kdi_arg_text(args, 1), &thresholds));
    if (thresholds.shape.dimensions > 1)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "thresholds must be one-dimensional array");
    if (thresholds.bitmap != NULL)
        return KD_FAIL(ctx, KD_INVALID, "22004", "thresholds array must not contain NULLs");
    kd_value operand = kdi_arg_value(env, args, 0);
    KD_TRY(kdi_value_in_form(ctx, env->arena, thresholds.element_type, &operand));
    uint32_t low = 0, high = thresholds.count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        kd_value threshold = kd_array_get(&thresholds, middle);
        if (kd_value_compare(&operand, &threshold) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *(int32_t *)result = (int32_t)low;
    return KD_OK;
}

static const kd_function functions[] = {
    REAL("ceil", real_ceil),
    REAL("ceiling", real_ceil),
    REAL("floor", real_floor),
    REAL("round", real_round),
    REAL("trunc", real_trunc),
    REAL("sign", real_sign),
    REAL("cbrt", real_cbrt),
    REAL("||/", real_cbrt),
    REAL("sin", real_sin),
    REAL("cos", real_cos),
    REAL("tan", real_tan),
    REAL("cot", real_cot),
    REAL("asin", real_asin),
    REAL("acos", real_acos),
    REAL("atan", real_atan),
    REAL("sind", real_sind),
    REAL("cosd", real_cosd),
    REAL("tand", real_tand),
    REAL("cotd", real_cotd),
    REAL("asind", real_asind),
    REAL("acosd", real_acosd),
    REAL("atand", real_atand),
    REAL("sinh", real_sinh),
    REAL("cosh", real_cosh),
    REAL("tanh", real_tanh),
    REAL("asinh", real_asinh),
    REAL("acosh", real_acosh),
    REAL("atanh", real_atanh),
    REAL("degrees", real_degrees),
    REAL("radians", real_radians),
    IMMUTABLE("exp", exp_f64, FLOAT8, FLOAT8),
    IMMUTABLE("sqrt", sqrt_f64, FLOAT8, FLOAT8),
    IMMUTABLE("|/", sqrt_f64, FLOAT8, FLOAT8),
    IMMUTABLE("ln", ln_f64, FLOAT8, FLOAT8),
    IMMUTABLE("log", log10_f64, FLOAT8, FLOAT8),
    IMMUTABLE("log10", log10_f64, FLOAT8, FLOAT8),
    IMMUTABLE("atan2", atan2_f64, FLOAT8, FLOAT8, FLOAT8),
    IMMUTABLE("atan2d", atan2d_f64, FLOAT8, FLOAT8, FLOAT8),
    NO_ARGUMENTS("pi", pi, FLOAT8, KD_IMMUTABLE),
    {KDI_SIGNATURE(FLOAT8), .name = "setseed", .row = setseed, .result = KDI_TYPE(VOID),
     .strict = true, .volatility = KD_VOLATILE},
    NO_ARGUMENTS("random", random, FLOAT8, KD_VOLATILE),
    IMMUTABLE("isnan", isnan_f64, BOOL, FLOAT8),
    IMMUTABLE("gcd", gcd_i32, INT4, INT4, INT4),
    IMMUTABLE("gcd", gcd_i64, INT8, INT8, INT8),
    IMMUTABLE("gcd", gcd_numeric, NUMERIC, NUMERIC, NUMERIC),
    IMMUTABLE("lcm", lcm_i32, INT4, INT4, INT4),
    IMMUTABLE("lcm", lcm_i64, INT8, INT8, INT8),
    IMMUTABLE("lcm", lcm_numeric, NUMERIC, NUMERIC, NUMERIC),
    IMMUTABLE("ceil", ceil_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("ceiling", ceil_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("floor", floor_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("round", round_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("round", round_numeric, NUMERIC, NUMERIC, INT4),
    IMMUTABLE("trunc", trunc_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("trunc", trunc_numeric, NUMERIC, NUMERIC, INT4),
    IMMUTABLE("sign", sign_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("sqrt", sqrt_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("exp", exp_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("ln", ln_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("log", log_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("log10", log_numeric, NUMERIC, NUMERIC),
    IMMUTABLE("log", log_numeric, NUMERIC, NUMERIC, NUMERIC),
    IMMUTABLE("scale", scale_numeric, INT4, NUMERIC),
    IMMUTABLE("min_scale", min_scale, INT4, NUMERIC),
    IMMUTABLE("trim_scale", trim_scale, NUMERIC, NUMERIC),
    IMMUTABLE("factorial", factorial, NUMERIC, INT8),
    IMMUTABLE("width_bucket", width_bucket_array, INT4, ELEMENT, ELEMENTS),
    IMMUTABLE("width_bucket", width_bucket_f64, INT4, FLOAT8, FLOAT8, FLOAT8, INT4),
    IMMUTABLE("width_bucket", width_bucket_numeric, INT4, NUMERIC, NUMERIC, NUMERIC, INT4),
};

kd_status kdi_register_math(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
