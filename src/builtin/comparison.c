/*
 * Comparison operators: = <> < <= > >= for every type that has an order.
 *
 * One kernel per physical type and operator, made by macros: dense loops over
 * flat values that the compiler turns into SIMD, and one loop for everything
 * else (selections, constants on both sides). Types whose order is not that of
 * their payload (numeric, interval, jsonb, arrays) go through kd_payload_compare.
 *
 * Floating-point: NaN equals itself and is above all numbers (PostgreSQL), which
 * a plain C comparison is not; the float kernels say so explicitly.
 */
#include "builtin/builtin_internal.h"

#define FLOAT_LESS(a, b) ((a) < (b) || ((b) != (b) && (a) == (a)))
#define FLOAT_EQUAL(a, b) ((a) == (b) || ((a) != (a) && (b) != (b)))

#define PLAIN_EQ(a, b) ((a) == (b))
#define PLAIN_NE(a, b) ((a) != (b))
#define PLAIN_LT(a, b) ((a) < (b))
#define PLAIN_LE(a, b) ((a) <= (b))
#define PLAIN_GT(a, b) ((a) > (b))
#define PLAIN_GE(a, b) ((a) >= (b))
#define FLOAT_EQ(a, b) FLOAT_EQUAL(a, b)
#define FLOAT_NE(a, b) (!FLOAT_EQUAL(a, b))
#define FLOAT_LT(a, b) FLOAT_LESS(a, b)
#define FLOAT_LE(a, b) (!FLOAT_LESS(b, a))
#define FLOAT_GT(a, b) FLOAT_LESS(b, a)
#define FLOAT_GE(a, b) (!FLOAT_LESS(a, b))

#define KERNEL(name, type, test)                                                     \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,      \
                          const uint16_t *selection, uint32_t count, kd_vector *out) \
    {                                                                                \
        (void)ctx;                                                                   \
        (void)env;                                                                   \
        const type *a = args[0].values;                                              \
        const type *b = args[1].values;                                              \
        uint8_t *results = out->values;                                              \
        bool a_flat = args[0].form == KD_VECTOR_FLAT;                                \
        bool b_flat = args[1].form == KD_VECTOR_FLAT;                                \
        if (selection == NULL && a_flat && b_flat) {                                 \
            for (uint32_t i = 0; i < count; i++)                                     \
                results[i] = test(a[i], b[i]);                                       \
        } else if (selection == NULL && a_flat) {                                    \
            const type constant = b[0];                                              \
            for (uint32_t i = 0; i < count; i++)                                     \
                results[i] = test(a[i], constant);                                   \
        } else {                                                                     \
            for (uint32_t i = 0; i < count; i++) {                                   \
                uint32_t row = selection == NULL ? i : selection[i];                 \
                results[row] = test(a[a_flat ? row : 0], b[b_flat ? row : 0]);       \
            }                                                                        \
        }                                                                            \
        return KD_OK;                                                                \
    }

#define KERNELS(suffix, type, FAMILY)      \
    KERNEL(eq_##suffix, type, FAMILY##_EQ) \
    KERNEL(ne_##suffix, type, FAMILY##_NE) \
    KERNEL(lt_##suffix, type, FAMILY##_LT) \
    KERNEL(le_##suffix, type, FAMILY##_LE) \
    KERNEL(gt_##suffix, type, FAMILY##_GT) \
    KERNEL(ge_##suffix, type, FAMILY##_GE)

KERNELS(bool, uint8_t, PLAIN)
KERNELS(i16, int16_t, PLAIN)
KERNELS(i32, int32_t, PLAIN)
KERNELS(i64, int64_t, PLAIN)
KERNELS(i128, kd_i128, PLAIN)
KERNELS(f32, float, FLOAT)
KERNELS(f64, double, FLOAT)

#define STR_EQ(a, b) (kd_str_equal(&(a), &(b)))
#define STR_NE(a, b) (!kd_str_equal(&(a), &(b)))
#define STR_LT(a, b) (kd_str_compare(&(a), &(b)) < 0)
#define STR_LE(a, b) (kd_str_compare(&(a), &(b)) <= 0)
#define STR_GT(a, b) (kd_str_compare(&(a), &(b)) > 0)
#define STR_GE(a, b) (kd_str_compare(&(a), &(b)) >= 0)
KERNELS(str, kd_str, STR)

/* --- Types with an order of their own --------------------------------------------------------- */

/* Numeric arguments may differ in form; everything else has one payload per type. */
static kd_status order_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, int *out_order)
{
    kd_type a = env->argument_types[0], b = env->argument_types[1];
    if (a.id != KD_TYPE_NUMERIC || a.is_array || a.modifier == b.modifier) {
        *out_order = kd_payload_compare(a, args[0], args[1]);
        return KD_OK;
    }
    kd_decimal left, right;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &left));
    KD_TRY(kdi_arg_decimal(ctx, env, args, 1, &right));
    *out_order = kd_decimal_compare(&left, &right);
    return KD_OK;
}

#define ROW_TEST(name, test)                                                                    \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)out_is_null;                                                                      \
        int order;                                                                              \
        KD_TRY(order_of(ctx, env, args, &order));                                               \
        *(uint8_t *)result = order test 0;                                                      \
        return KD_OK;                                                                           \
    }
ROW_TEST(row_eq, ==)
ROW_TEST(row_ne, !=)
ROW_TEST(row_lt, <)
ROW_TEST(row_le, <=)
ROW_TEST(row_gt, >)
ROW_TEST(row_ge, >=)

static kd_status row_compare(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    (void)out_is_null;
    int order;
    KD_TRY(order_of(ctx, env, args, &order));
    *(int32_t *)result = order;
    return KD_OK;
}

/* The operand type comes last, because a type is a list in braces. */
#define OPERATOR(text, member, ...)                                                 \
    {                                                                               \
        .name = text, .argument_count = 2, .arguments = {__VA_ARGS__, __VA_ARGS__}, \
        .result = KDI_TYPE(BOOL), .strict = true, member                            \
    }
#define OPERATORS(suffix, ...)                              \
    OPERATOR("=", .vector = eq_##suffix, __VA_ARGS__),      \
        OPERATOR("<>", .vector = ne_##suffix, __VA_ARGS__), \
        OPERATOR("<", .vector = lt_##suffix, __VA_ARGS__),  \
        OPERATOR("<=", .vector = le_##suffix, __VA_ARGS__), \
        OPERATOR(">", .vector = gt_##suffix, __VA_ARGS__),  \
        OPERATOR(">=", .vector = ge_##suffix, __VA_ARGS__)
#define ROW_OPERATORS(...)                                                                     \
    OPERATOR("=", .row = row_eq, __VA_ARGS__), OPERATOR("<>", .row = row_ne, __VA_ARGS__),     \
        OPERATOR("<", .row = row_lt, __VA_ARGS__), OPERATOR("<=", .row = row_le, __VA_ARGS__), \
        OPERATOR(">", .row = row_gt, __VA_ARGS__), OPERATOR(">=", .row = row_ge, __VA_ARGS__)

/* The operators under the names of PostgreSQL's functions: booleq, date_lt. */
#define NAMED(prefix, suffix, ...)                                 \
    OPERATOR(prefix "eq", .vector = eq_##suffix, __VA_ARGS__),     \
        OPERATOR(prefix "ne", .vector = ne_##suffix, __VA_ARGS__), \
        OPERATOR(prefix "lt", .vector = lt_##suffix, __VA_ARGS__), \
        OPERATOR(prefix "le", .vector = le_##suffix, __VA_ARGS__), \
        OPERATOR(prefix "gt", .vector = gt_##suffix, __VA_ARGS__), \
        OPERATOR(prefix "ge", .vector = ge_##suffix, __VA_ARGS__)
#define NAMED_ROW(prefix, ...)                             \
    OPERATOR(prefix "eq", .row = row_eq, __VA_ARGS__),     \
        OPERATOR(prefix "ne", .row = row_ne, __VA_ARGS__), \
        OPERATOR(prefix "lt", .row = row_lt, __VA_ARGS__), \
        OPERATOR(prefix "le", .row = row_le, __VA_ARGS__), \
        OPERATOR(prefix "gt", .row = row_gt, __VA_ARGS__), \
        OPERATOR(prefix "ge", .row = row_ge, __VA_ARGS__)

static const kd_function comparisons[] = {
    OPERATORS(bool, KDI_TYPE(BOOL)),
    OPERATORS(i16, KDI_TYPE(INT2)),
    OPERATORS(i32, KDI_TYPE(INT4)),
    OPERATORS(i64, KDI_TYPE(INT8)),
    OPERATORS(f32, KDI_TYPE(FLOAT4)),
    OPERATORS(f64, KDI_TYPE(FLOAT8)),
    ROW_OPERATORS(KDI_TYPE(NUMERIC)),
    OPERATORS(str, KDI_TYPE(TEXT)),
    OPERATORS(str, KDI_TYPE(CHAR)),
    OPERATORS(str, KDI_TYPE(BYTEA)),
    OPERATORS(str, KDI_TYPE(BIT)),
    OPERATORS(str, KDI_TYPE(VARBIT)),
    OPERATORS(i32, KDI_TYPE(DATE)),
    OPERATORS(i64, KDI_TYPE(TIME)),
    OPERATORS(i64, KDI_TYPE(TIMESTAMP)),
    OPERATORS(i64, KDI_TYPE(TIMESTAMPTZ)),
    OPERATORS(i64, KDI_TYPE(TIMESTAMP_NS)),
    ROW_OPERATORS(KDI_TYPE(INTERVAL)),
    OPERATORS(i128, KDI_TYPE(UUID)),
    ROW_OPERATORS(KDI_TYPE(JSONB)),
    OPERATORS(i64, KDI_TYPE(OID)),
    OPERATORS(i64, KDI_TYPE(TIMETZ)),
    OPERATORS(i64, KDI_TYPE(TID)),
    OPERATORS(i32, KDI_ANYENUM),
    ROW_OPERATORS(KDI_ANYARRAY),
    NAMED("bool", bool, KDI_TYPE(BOOL)),
    NAMED("int2", i16, KDI_TYPE(INT2)),
    NAMED("int4", i32, KDI_TYPE(INT4)),
    NAMED("int8", i64, KDI_TYPE(INT8)),
    NAMED("float4", f32, KDI_TYPE(FLOAT4)),
    NAMED("float8", f64, KDI_TYPE(FLOAT8)),
    NAMED("oid", i64, KDI_TYPE(OID)),
    NAMED("date_", i32, KDI_TYPE(DATE)),
    NAMED("time_", i64, KDI_TYPE(TIME)),
    NAMED("timetz_", i64, KDI_TYPE(TIMETZ)),
    NAMED("tid", i64, KDI_TYPE(TID)),
    NAMED("timestamp_", i64, KDI_TYPE(TIMESTAMP)),
    NAMED("timestamptz_", i64, KDI_TYPE(TIMESTAMPTZ)),
    NAMED("uuid_", i128, KDI_TYPE(UUID)),
    NAMED("bpchar", str, KDI_TYPE(CHAR)),
    NAMED("bytea", str, KDI_TYPE(BYTEA)),
    OPERATOR("texteq", .vector = eq_str, KDI_TYPE(TEXT)),
    OPERATOR("textne", .vector = ne_str, KDI_TYPE(TEXT)),
    OPERATOR("text_lt", .vector = lt_str, KDI_TYPE(TEXT)),
    OPERATOR("text_le", .vector = le_str, KDI_TYPE(TEXT)),
    OPERATOR("text_gt", .vector = gt_str, KDI_TYPE(TEXT)),
    OPERATOR("text_ge", .vector = ge_str, KDI_TYPE(TEXT)),
    NAMED_ROW("numeric_", KDI_TYPE(NUMERIC)),
    NAMED_ROW("interval_", KDI_TYPE(INTERVAL)),
    NAMED_ROW("jsonb_", KDI_TYPE(JSONB)),
    NAMED_ROW("array_", KDI_ANYARRAY),
    /* The three-way comparison of PostgreSQL's B-tree support functions, for any type. */
    {.name = "btcompare",
     .argument_count = 2,
     .arguments = {KDI_ANYELEMENT, KDI_ANYELEMENT},
     .result = KDI_TYPE(INT4),
     .strict = true,
     .row = row_compare},
};

kd_status kdi_register_comparison(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, comparisons, KDI_COUNT(comparisons));
}
