/*
 * Arithmetic operators on integers, floating-point numbers and numeric.
 *
 * Integer kernels compute a whole vector and collect "some row overflowed" in
 * one flag; only when it is set they look which row it was, because rows that are
 * NULL hold anything and may overflow freely.
 */
#include "builtin/builtin_internal.h"

#include <math.h>

static kd_status out_of_range(kd_ctx *ctx, const char *type_name)
{
    return KD_FAIL(ctx, KD_INVALID, "22003", "%s out of range", type_name);
}

static kd_status division_by_zero(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INVALID, "22012", "division by zero");
}

/* --- Integers --------------------------------------------------------------------------------- */

#define INTEGER_KERNEL(name, type, type_name, builtin)                                        \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,               \
                          const uint16_t *selection, uint32_t count, kd_vector *out)          \
    {                                                                                         \
        (void)env;                                                                            \
        const type *a = args[0].values;                                                       \
        const type *b = args[1].values;                                                       \
        type *results = out->values;                                                          \
        bool a_flat = args[0].form == KD_VECTOR_FLAT;                                         \
        bool b_flat = args[1].form == KD_VECTOR_FLAT;                                         \
        bool overflow = false;                                                                \
        if (selection == NULL && a_flat && b_flat) {                                          \
            for (uint32_t i = 0; i < count; i++)                                              \
                overflow |= builtin(a[i], b[i], &results[i]);                                 \
        } else if (selection == NULL && a_flat) {                                             \
            const type constant = b[0];                                                       \
            for (uint32_t i = 0; i < count; i++)                                              \
                overflow |= builtin(a[i], constant, &results[i]);                             \
        } else {                                                                              \
            for (uint32_t i = 0; i < count; i++) {                                            \
                uint32_t row = selection == NULL ? i : selection[i];                          \
                overflow |= builtin(a[a_flat ? row : 0], b[b_flat ? row : 0], &results[row]); \
            }                                                                                 \
        }                                                                                     \
        for (uint32_t i = 0; overflow && i < count; i++) {                                    \
            uint32_t row = selection == NULL ? i : selection[i];                              \
            type ignored;                                                                     \
            if (builtin(a[a_flat ? row : 0], b[b_flat ? row : 0], &ignored) &&                \
                !kdi_row_is_null(args, 2, row))                                               \
                return out_of_range(ctx, type_name);                                          \
        }                                                                                     \
        return KD_OK;                                                                         \
    }

/* Division and remainder: zero and the one overflowing quotient are looked at row by row. */
#define DIVISION_KERNEL(name, type, type_name, minimum, operator, when_minus_one)    \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,      \
                          const uint16_t *selection, uint32_t count, kd_vector *out) \
    {                                                                                \
        (void)env;                                                                   \
        const type *a = args[0].values;                                              \
        const type *b = args[1].values;                                              \
        type *results = out->values;                                                 \
        bool a_flat = args[0].form == KD_VECTOR_FLAT;                                \
        bool b_flat = args[1].form == KD_VECTOR_FLAT;                                \
        for (uint32_t i = 0; i < count; i++) {                                       \
            uint32_t row = selection == NULL ? i : selection[i];                     \
            type dividend = a[a_flat ? row : 0];                                     \
            type divisor = b[b_flat ? row : 0];                                      \
            if (divisor != 0 && divisor != -1) {                                     \
                results[row] = (type)(dividend operator divisor);                    \
            } else if (kdi_row_is_null(args, 2, row)) {                              \
                results[row] = 0;                                                    \
            } else if (divisor == 0) {                                               \
                return division_by_zero(ctx);                                        \
            } else {                                                                 \
                when_minus_one(type, type_name, minimum)                             \
            }                                                                        \
        }                                                                            \
        return KD_OK;                                                                \
    }
#define NEGATED_QUOTIENT(type, type_name, minimum) \
    if (dividend == minimum)                       \
        return out_of_range(ctx, type_name);       \
    results[row] = (type)-dividend;
#define NO_REMAINDER(type, type_name, minimum) results[row] = 0;

#define UNARY_KERNEL(name, type, expression, failure)                                \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,      \
                          const uint16_t *selection, uint32_t count, kd_vector *out) \
    {                                                                                \
        (void)env;                                                                   \
        (void)ctx;                                                                   \
        const type *a = args[0].values;                                              \
        type *results = out->values;                                                 \
        bool a_flat = args[0].form == KD_VECTOR_FLAT;                                \
        for (uint32_t i = 0; i < count; i++) {                                       \
            uint32_t row = selection == NULL ? i : selection[i];                     \
            type value = a[a_flat ? row : 0];                                        \
            failure;                                                                 \
            results[row] = (type)(expression);                                       \
        }                                                                            \
        return KD_OK;                                                                \
    }
#define MINIMUM_FAILS(minimum, type_name)        \
    if (value == minimum) {                      \
        if (!kdi_row_is_null(args, 1, row))      \
            return out_of_range(ctx, type_name); \
        value = 0;                               \
    }

#define INTEGER_KERNELS(suffix, type, type_name, minimum)                        \
    INTEGER_KERNEL(add_##suffix, type, type_name, __builtin_add_overflow)        \
    INTEGER_KERNEL(sub_##suffix, type, type_name, __builtin_sub_overflow)        \
    INTEGER_KERNEL(mul_##suffix, type, type_name, __builtin_mul_overflow)        \
    DIVISION_KERNEL(div_##suffix, type, type_name, minimum, /, NEGATED_QUOTIENT) \
    DIVISION_KERNEL(mod_##suffix, type, type_name, minimum, %, NO_REMAINDER)     \
    UNARY_KERNEL(neg_##suffix, type, -value, MINIMUM_FAILS(minimum, type_name))  \
    UNARY_KERNEL(abs_##suffix, type, value < 0 ? -value : value,                 \
                 MINIMUM_FAILS(minimum, type_name))                              \
    UNARY_KERNEL(plus_##suffix, type, value, )                                   \
    UNARY_KERNEL(not_##suffix, type, ~value, )

INTEGER_KERNELS(i16, int16_t, "smallint", INT16_MIN)
INTEGER_KERNELS(i32, int32_t, "integer", INT32_MIN)
INTEGER_KERNELS(i64, int64_t, "bigint", INT64_MIN)

/* --- Bits ------------------------------------------------------------------------------------- */

#define BIT_KERNEL(name, type, expression)                                           \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,      \
                          const uint16_t *selection, uint32_t count, kd_vector *out) \
    {                                                                                \
        (void)env;                                                                   \
        (void)ctx;                                                                   \
        const type *left = args[0].values;                                           \
        const type *right = args[1].values;                                          \
        type *results = out->values;                                                 \
        for (uint32_t i = 0; i < count; i++) {                                       \
            uint32_t row = selection == NULL ? i : selection[i];                     \
            type a = left[args[0].form == KD_VECTOR_FLAT ? row : 0];                 \
            type b = right[args[1].form == KD_VECTOR_FLAT ? row : 0];                \
            results[row] = (type)(expression);                                       \
        }                                                                            \
        return KD_OK;                                                                \
    }
#define BIT_KERNELS(suffix, type)        \
    BIT_KERNEL(and_##suffix, type, a &b) \
    BIT_KERNEL(or_##suffix, type, a | b) \
    BIT_KERNEL(xor_##suffix, type, a ^ b)
BIT_KERNELS(i16, int16_t)
BIT_KERNELS(i32, int32_t)
BIT_KERNELS(i64, int64_t)

/* Shift counts wrap at the width, as the machine's do and PostgreSQL's therefore too. */
#define SHIFT_FUNCTION(name, type, utype, bits, expression)                                     \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)ctx;                                                                              \
        (void)env;                                                                              \
        (void)out_is_null;                                                                      \
        type value = KDI_ARG(type, args, 0);                                                    \
        int32_t by = KDI_ARG(int32_t, args, 1) & (bits - 1);                                    \
        *(type *)result = (type)(expression);                                                   \
        return KD_OK;                                                                           \
    }
SHIFT_FUNCTION(left_i16, int16_t, uint16_t, 16, (uint32_t)value << by)
SHIFT_FUNCTION(left_i32, int32_t, uint32_t, 32, (uint32_t)value << by)
SHIFT_FUNCTION(left_i64, int64_t, uint64_t, 64, (uint64_t)value << by)
SHIFT_FUNCTION(right_i16, int16_t, uint16_t, 16, value >> by)
SHIFT_FUNCTION(right_i32, int32_t, uint32_t, 32, value >> by)
SHIFT_FUNCTION(right_i64, int64_t, uint64_t, 64, value >> by)

/* --- Floating point --------------------------------------------------------------------------- */

/* An infinite result of finite operands is an overflow, a zero product of non-zero ones an
 * underflow. */
#define FLOAT_KERNEL(name, type, expression, under)                                            \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,                \
                          const uint16_t *selection, uint32_t count, kd_vector *out)           \
    {                                                                                          \
        (void)env;                                                                             \
        const type *left = args[0].values;                                                     \
        const type *right = args[1].values;                                                    \
        type *results = out->values;                                                           \
        bool a_flat = args[0].form == KD_VECTOR_FLAT, b_flat = args[1].form == KD_VECTOR_FLAT; \
        for (uint32_t i = 0; i < count; i++) {                                                 \
            uint32_t row = selection == NULL ? i : selection[i];                               \
            type a = left[a_flat ? row : 0], b = right[b_flat ? row : 0];                      \
            type r = expression;                                                               \
            results[row] = r;                                                                  \
            if (__builtin_expect(isinf(r) && !isinf(a) && !isinf(b), 0) &&                     \
                !kdi_row_is_null(args, 2, row))                                                \
                return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: overflow");      \
            if (__builtin_expect(under, 0) && !kdi_row_is_null(args, 2, row))                  \
                return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: underflow");     \
        }                                                                                      \
        return KD_OK;                                                                          \
    }
#define FLOAT_DIVISION(name, type)                                                   \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,      \
                          const uint16_t *selection, uint32_t count, kd_vector *out) \
    {                                                                                \
        (void)env;                                                                   \
        const type *left = args[0].values;                                           \
        const type *right = args[1].values;                                          \
        type *results = out->values;                                                 \
        for (uint32_t i = 0; i < count; i++) {                                       \
            uint32_t row = selection == NULL ? i : selection[i];                     \
            type a = left[args[0].form == KD_VECTOR_FLAT ? row : 0];                 \
            type b = right[args[1].form == KD_VECTOR_FLAT ? row : 0];                \
            type r = b == 0 ? 0 : a / b;                                             \
            results[row] = r;                                                        \
            bool over = isinf(r) && !isinf(a) && !isinf(b);                          \
            bool under = r == 0 && a != 0 && b != 0 && !isinf(b);                    \
            if (__builtin_expect((b == 0 && !isnan(a)) || over || under, 0) &&       \
                !kdi_row_is_null(args, 2, row)) {                                    \
                if (b == 0)                                                          \
                    return division_by_zero(ctx);                                    \
                return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: %s",   \
                               over ? "overflow" : "underflow");                     \
            }                                                                        \
            if (b == 0)                                                              \
                results[row] = a; /* NaN / 0 */                                      \
        }                                                                            \
        return KD_OK;                                                                \
    }
#define FLOAT_KERNELS(suffix, type)                                    \
    FLOAT_KERNEL(add_##suffix, type, a + b, false)                     \
    FLOAT_KERNEL(sub_##suffix, type, a - b, false)                     \
    FLOAT_KERNEL(mul_##suffix, type, a *b, r == 0 && a != 0 && b != 0) \
    FLOAT_DIVISION(div_##suffix, type)                                 \
    UNARY_KERNEL(neg_##suffix, type, -value, )                         \
    UNARY_KERNEL(plus_##suffix, type, value, )
FLOAT_KERNELS(f32, float)
FLOAT_KERNELS(f64, double)
UNARY_KERNEL(abs_f32, float, fabsf(value), )
UNARY_KERNEL(abs_f64, double, fabs(value), )

/* --- Numeric ---------------------------------------------------------------------------------- */

typedef kd_status (*decimal_operation)(kd_ctx *ctx, kd_arena *arena, const kd_decimal *a,
                                       const kd_decimal *b, kd_decimal *out);

static kd_status decimal_binary(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                void *result, decimal_operation operation)
{
    kd_decimal a, b, answer;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &a));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &b));
    KD_TRY(operation(ctx, env->arena, &a, &b, &answer));
    return kd_decimal_store(ctx, env->arena, &answer, result);
}

#define DECIMAL_FUNCTION(name, operation)                                                       \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)out_is_null;                                                                      \
        return decimal_binary(ctx, env, args, result, operation);                               \
    }
DECIMAL_FUNCTION(add_numeric, kd_decimal_add)
DECIMAL_FUNCTION(sub_numeric, kd_decimal_sub)
DECIMAL_FUNCTION(mul_numeric, kd_decimal_mul)
DECIMAL_FUNCTION(div_numeric, kd_decimal_div)
DECIMAL_FUNCTION(mod_numeric, kd_decimal_mod)
DECIMAL_FUNCTION(power_numeric, kd_decimal_power)
DECIMAL_FUNCTION(div_trunc_numeric, kd_decimal_div_trunc)

#define DECIMAL_UNARY(name, expression)                                                         \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)out_is_null;                                                                      \
        kd_decimal value;                                                                       \
        KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));                                     \
        value = expression;                                                                     \
        return kd_decimal_store(ctx, env->arena, &value, result);                               \
    }
DECIMAL_UNARY(neg_numeric, kd_decimal_negate(value))
DECIMAL_UNARY(abs_numeric, kd_decimal_abs(value))
DECIMAL_UNARY(plus_numeric, value)

static kd_status power_f64(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                           bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    double base = KDI_ARG(double, args, 0), exponent = KDI_ARG(double, args, 1);
    if (base == 0 && exponent < 0)
        return KD_FAIL(ctx, KD_INVALID, "2201F", "zero raised to a negative power is undefined");
    if (base < 0 && isfinite(exponent) && floor(exponent) != exponent)
        return KD_FAIL(ctx, KD_INVALID, "2201F",
                       "a negative number raised to a non-integer power yields a complex result");
    double answer = pow(base, exponent);
    if (isinf(answer) && isfinite(base) && isfinite(exponent))
        return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: overflow");
    if (answer == 0 && base != 0 && isfinite(base) && isfinite(exponent))
        return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: underflow");
    *(double *)result = answer;
    return KD_OK;
}

static kd_status inc_numeric(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    static const uint16_t one_digit[1] = {1};
    static const kd_decimal one = {.digit_count = 1, .digits = one_digit};
    kd_decimal value;
    (void)out_is_null;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    KD_TRY(kd_decimal_add(ctx, env->arena, &value, &one, &value));
    return kd_decimal_store(ctx, env->arena, &value, result);
}

#define BINARY(text, TYPE, member)                                                        \
    {                                                                                     \
        .name = text, .argument_count = 2, .arguments = {KDI_TYPE(TYPE), KDI_TYPE(TYPE)}, \
        .result = KDI_TYPE(TYPE), .strict = true, member                                  \
    }
#define UNARY(text, TYPE, member)                                         \
    {                                                                     \
        .name = text, .argument_count = 1, .arguments = {KDI_TYPE(TYPE)}, \
        .result = KDI_TYPE(TYPE), .strict = true, member                  \
    }
#define SHIFT(text, TYPE, function)                                                       \
    {                                                                                     \
        .name = text, .argument_count = 2, .arguments = {KDI_TYPE(TYPE), KDI_TYPE(INT4)}, \
        .result = KDI_TYPE(TYPE), .strict = true, .row = function                         \
    }
#define INTEGERS(TYPE, suffix)                                                                  \
    BINARY("+", TYPE, .vector = add_##suffix), BINARY("-", TYPE, .vector = sub_##suffix),       \
        BINARY("*", TYPE, .vector = mul_##suffix), BINARY("/", TYPE, .vector = div_##suffix),   \
        BINARY("%", TYPE, .vector = mod_##suffix), BINARY("mod", TYPE, .vector = mod_##suffix), \
        UNARY("-", TYPE, .vector = neg_##suffix), UNARY("+", TYPE, .vector = plus_##suffix),    \
        UNARY("abs", TYPE, .vector = abs_##suffix), UNARY("@", TYPE, .vector = abs_##suffix),   \
        UNARY("~", TYPE, .vector = not_##suffix), BINARY("&", TYPE, .vector = and_##suffix),    \
        BINARY("|", TYPE, .vector = or_##suffix), BINARY("#", TYPE, .vector = xor_##suffix),    \
        SHIFT("<<", TYPE, left_##suffix), SHIFT(">>", TYPE, right_##suffix)
#define FLOATS(TYPE, suffix)                                                                  \
    BINARY("+", TYPE, .vector = add_##suffix), BINARY("-", TYPE, .vector = sub_##suffix),     \
        BINARY("*", TYPE, .vector = mul_##suffix), BINARY("/", TYPE, .vector = div_##suffix), \
        UNARY("-", TYPE, .vector = neg_##suffix), UNARY("+", TYPE, .vector = plus_##suffix),  \
        UNARY("abs", TYPE, .vector = abs_##suffix), UNARY("@", TYPE, .vector = abs_##suffix)

/* The same under the names of PostgreSQL's functions: int4pl, float8mul. */
#define NAMED(prefix, TYPE, suffix)                         \
    BINARY(prefix "pl", TYPE, .vector = add_##suffix),      \
        BINARY(prefix "mi", TYPE, .vector = sub_##suffix),  \
        BINARY(prefix "mul", TYPE, .vector = mul_##suffix), \
        BINARY(prefix "div", TYPE, .vector = div_##suffix), \
        UNARY(prefix "um", TYPE, .vector = neg_##suffix),   \
        UNARY(prefix "abs", TYPE, .vector = abs_##suffix)

static const kd_function arithmetic[] = {
    NAMED("int2", INT2, i16),
    NAMED("int4", INT4, i32),
    NAMED("int8", INT8, i64),
    NAMED("float4", FLOAT4, f32),
    NAMED("float8", FLOAT8, f64),
    BINARY("int2mod", INT2, .vector = mod_i16),
    BINARY("int4mod", INT4, .vector = mod_i32),
    BINARY("int8mod", INT8, .vector = mod_i64),
    BINARY("numeric_add", NUMERIC, .row = add_numeric),
    BINARY("numeric_sub", NUMERIC, .row = sub_numeric),
    BINARY("numeric_mul", NUMERIC, .row = mul_numeric),
    BINARY("numeric_div", NUMERIC, .row = div_numeric),
    BINARY("numeric_mod", NUMERIC, .row = mod_numeric),
    UNARY("numeric_uminus", NUMERIC, .row = neg_numeric),
    UNARY("numeric_abs", NUMERIC, .row = abs_numeric),
    UNARY("numeric_inc", NUMERIC, .row = inc_numeric),
    INTEGERS(INT2, i16),
    INTEGERS(INT4, i32),
    INTEGERS(INT8, i64),
    FLOATS(FLOAT4, f32),
    FLOATS(FLOAT8, f64),
    BINARY("+", NUMERIC, .row = add_numeric),
    BINARY("-", NUMERIC, .row = sub_numeric),
    BINARY("*", NUMERIC, .row = mul_numeric),
    BINARY("/", NUMERIC, .row = div_numeric),
    BINARY("%", NUMERIC, .row = mod_numeric),
    BINARY("mod", NUMERIC, .row = mod_numeric),
    BINARY("div", NUMERIC, .row = div_trunc_numeric),
    BINARY("^", NUMERIC, .row = power_numeric),
    BINARY("power", NUMERIC, .row = power_numeric),
    BINARY("pow", NUMERIC, .row = power_numeric),
    BINARY("^", FLOAT8, .row = power_f64),
    BINARY("power", FLOAT8, .row = power_f64),
    BINARY("pow", FLOAT8, .row = power_f64),
    UNARY("-", NUMERIC, .row = neg_numeric),
    UNARY("+", NUMERIC, .row = plus_numeric),
    UNARY("abs", NUMERIC, .row = abs_numeric),
    UNARY("@", NUMERIC, .row = abs_numeric),
};

kd_status kdi_register_arithmetic(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, arithmetic, KDI_COUNT(arithmetic));
}
