/*
 * Casts between types, in PostgreSQL's contexts.
 *
 * Casts by text (integer to text, text to date) are not listed: the evaluator
 * does them through kd_value_format and kd_value_parse. Listed are those whose
 * result is not what the text would give, or that are worth a direct way.
 */
#include "builtin/builtin_internal.h"
#include "types/datetime.h"
#include "types/interval.h"
#include "types/jsonb.h"
#include "types/utf8.h"

#include <math.h>

static const kd_zone *zone_of(const kd_call_env *env)
{
    return env->facts == NULL || env->facts->text == NULL ? NULL : env->facts->text->zone;
}

/* --- Between integers and floating point ------------------------------------------------------ */

#define WIDEN(name, from_type, to_type)                                               \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const kd_vector *args,       \
                          const uint16_t *selection, uint32_t count, kd_vector *out)  \
    {                                                                                 \
        (void)ctx;                                                                    \
        (void)env;                                                                    \
        const from_type *values = args[0].values;                                     \
        to_type *results = out->values;                                               \
        if (selection == NULL && args[0].form == KD_VECTOR_FLAT) {                    \
            for (uint32_t i = 0; i < count; i++)                                      \
                results[i] = (to_type)values[i];                                      \
            return KD_OK;                                                             \
        }                                                                             \
        for (uint32_t i = 0; i < count; i++) {                                        \
            uint32_t row = selection == NULL ? i : selection[i];                      \
            results[row] = (to_type)values[args[0].form == KD_VECTOR_FLAT ? row : 0]; \
        }                                                                             \
        return KD_OK;                                                                 \
    }
WIDEN(i16_to_i32, int16_t, int32_t)
WIDEN(i16_to_i64, int16_t, int64_t)
WIDEN(i32_to_i64, int32_t, int64_t)
WIDEN(i16_to_f32, int16_t, float)
WIDEN(i32_to_f32, int32_t, float)
WIDEN(i64_to_f32, int64_t, float)
WIDEN(i16_to_f64, int16_t, double)
WIDEN(i32_to_f64, int32_t, double)
WIDEN(i64_to_f64, int64_t, double)
WIDEN(f32_to_f64, float, double)

#define NARROW(name, from_type, to_type, low, high, type_name)                                  \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)env;                                                                              \
        (void)out_is_null;                                                                      \
        from_type value = KDI_ARG(from_type, args, 0);                                          \
        if (value < low || value > high)                                                        \
            return KD_FAIL(ctx, KD_INVALID, "22003", type_name " out of range");                \
        *(to_type *)result = (to_type)value;                                                    \
        return KD_OK;                                                                           \
    }
NARROW(i32_to_i16, int32_t, int16_t, INT16_MIN, INT16_MAX, "smallint")
NARROW(i64_to_i16, int64_t, int16_t, INT16_MIN, INT16_MAX, "smallint")
NARROW(i64_to_i32, int64_t, int32_t, INT32_MIN, INT32_MAX, "integer")

/* Rounds half to even, as PostgreSQL's rint does. The bounds are exact in double. */
#define ROUND(name, from_type, to_type, low, high, type_name)                                   \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)env;                                                                              \
        (void)out_is_null;                                                                      \
        double value = rint((double)KDI_ARG(from_type, args, 0));                               \
        if (!(value >= low && value < high))                                                    \
            return KD_FAIL(ctx, KD_INVALID, "22003", type_name " out of range");                \
        *(to_type *)result = (to_type)value;                                                    \
        return KD_OK;                                                                           \
    }
ROUND(f32_to_i16, float, int16_t, -32768.0, 32768.0, "smallint")
ROUND(f64_to_i16, double, int16_t, -32768.0, 32768.0, "smallint")
ROUND(f32_to_i32, float, int32_t, -2147483648.0, 2147483648.0, "integer")
ROUND(f64_to_i32, double, int32_t, -2147483648.0, 2147483648.0, "integer")
ROUND(f32_to_i64, float, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")
ROUND(f64_to_i64, double, int64_t, -9223372036854775808.0, 9223372036854775808.0, "bigint")

static kd_status f64_to_f32(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                            bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    double value = KDI_ARG(double, args, 0);
    float narrow = (float)value;
    if (isinf(narrow) && !isinf(value))
        return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: overflow");
    if (narrow == 0 && value != 0)
        return KD_FAIL(ctx, KD_INVALID, "22003", "value out of range: underflow");
    *(float *)result = narrow;
    return KD_OK;
}

static kd_status bool_to_i32(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int32_t *)result = KDI_ARG(uint8_t, args, 0);
    return KD_OK;
}

static kd_status i32_to_bool(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                             bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(uint8_t *)result = KDI_ARG(int32_t, args, 0) != 0;
    return KD_OK;
}

/* --- Numeric ---------------------------------------------------------------------------------- */

/* Stores a decimal in the form that the result type has, rounded to its scale. */
static kd_status store_numeric(kd_ctx *ctx, kd_call_env *env, const kd_decimal *value, void *result)
{
    kd_type type = env->result_type;
    if (!kd_numeric_is_fixed(type)) {
        kd_decimal wide;
        KD_TRY(kd_decimal_to_wide(ctx, env->arena, value, type, &wide));
        return kd_decimal_store(ctx, env->arena, &wide, result);
    }
    kd_i128 fixed;
    KD_TRY(kd_decimal_to_fixed(ctx, value, type, &fixed));
    if (kd_type_physical(type) == KD_PHYS_I64)
        *(int64_t *)result = (int64_t)fixed;
    else
        memcpy(result, &fixed, sizeof fixed);
    return KD_OK;
}

static kd_status number_to_numeric(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    (void)out_is_null;
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    return store_numeric(ctx, env, &value, result);
}

static kd_status numeric_to_bounded(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                    int64_t low, int64_t high, const char *type_name,
                                    int64_t *out_value)
{
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    if (value.kind != KD_DECIMAL_FINITE)
        return KD_FAIL(ctx, KD_INVALID, "0A000", "cannot convert %s to %s",
                       value.kind == KD_DECIMAL_NAN ? "NaN" : "infinity", type_name);
    kd_i128 wide;
    if (!kd_decimal_try_fixed(&value, 0, &wide) || wide < low || wide > high)
        return KD_FAIL(ctx, KD_INVALID, "22003", "%s out of range", type_name);
    *out_value = (int64_t)wide;
    return KD_OK;
}

#define NUMERIC_TO(name, type, low, high, type_name)                                            \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        (void)out_is_null;                                                                      \
        int64_t value;                                                                          \
        KD_TRY(numeric_to_bounded(ctx, env, args, low, high, type_name, &value));               \
        *(type *)result = (type)value;                                                          \
        return KD_OK;                                                                           \
    }
NUMERIC_TO(numeric_to_i16, int16_t, INT16_MIN, INT16_MAX, "smallint")
NUMERIC_TO(numeric_to_i32, int32_t, INT32_MIN, INT32_MAX, "integer")
NUMERIC_TO(numeric_to_i64, int64_t, INT64_MIN, INT64_MAX, "bigint")

static kd_status numeric_to_f64(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                void *result, bool *out_is_null)
{
    (void)out_is_null;
    kd_decimal value;
    KD_TRY(kdi_arg_decimal(ctx, env, args, 0, &value));
    return kd_decimal_to_double(ctx, env->arena, &value, result);
}

static kd_status numeric_to_f32(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                void *result, bool *out_is_null)
{
    double wide;
    KD_TRY(numeric_to_f64(ctx, env, args, &wide, out_is_null));
    const void *wide_args[1] = {&wide};
    return f64_to_f32(ctx, env, wide_args, result, out_is_null);
}

/* --- Text ------------------------------------------------------------------------------------- */

static kd_status bool_to_text(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    bool value = KDI_ARG(uint8_t, args, 0);
    *(kd_str *)result = value ? kd_str_from("true", 4) : kd_str_from("false", 5);
    return KD_OK;
}

/* How many leading bytes are the text without its trailing blanks. */
static size_t without_blanks(kd_slice text)
{
    size_t size_bytes = text.size_bytes;
    while (size_bytes > 0 && text.data[size_bytes - 1] == ' ')
        size_bytes--;
    return size_bytes;
}

/*
 * To varchar(n) or char(n). Too long: blanks beyond the length go silently; other characters go
 * when the cast is written, and are refused otherwise. char(n) is held without padding.
 */
static kd_status to_length(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                           bool cut)
{
    const kd_str *value = args[0];
    kd_slice text = kd_str_slice(value);
    bool is_char = env->result_type.id == KD_TYPE_CHAR;
    if (env->result_type.modifier >= 0) {
        size_t end = kd_utf8_offset(text, (size_t)env->result_type.modifier);
        if (end < text.size_bytes && !cut && without_blanks(text) > end)
            return KD_FAIL(ctx, KD_INVALID, "22001", "value too long for type %s(%d)",
                           is_char ? "character" : "character varying", env->result_type.modifier);
        text.size_bytes = end;
    }
    if (is_char)
        text.size_bytes = without_blanks(text);
    *(kd_str *)result = text.size_bytes == value->size_bytes
                            ? *value
                            : kd_str_from(kd_str_data(value), text.size_bytes);
    return KD_OK;
}

static kd_status to_length_cut(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                               bool *out_is_null)
{
    (void)out_is_null;
    return to_length(ctx, env, args, result, true);
}

static kd_status to_length_checked(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    (void)out_is_null;
    return to_length(ctx, env, args, result, false);
}

/* --- Dates and times -------------------------------------------------------------------------- */

static kd_status round_timestamp(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                 void *result, bool *out_is_null)
{
    (void)ctx;
    (void)out_is_null;
    int64_t value = KDI_ARG(int64_t, args, 0);
    int32_t digits = env->result_type.modifier;
    *(int64_t *)result = digits < 0 ? value : kd_timestamp_round(value, digits);
    return KD_OK;
}

static kd_status date_to_timestamp(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    return kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 0), result);
}

static kd_status date_to_timestamptz(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     void *result, bool *out_is_null)
{
    (void)out_is_null;
    int64_t local;
    KD_TRY(kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 0), &local));
    return kd_timestamp_to_utc(ctx, zone_of(env), local, result);
}

static kd_status timestamp_to_date(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int32_t *)result = kd_timestamp_to_date(KDI_ARG(int64_t, args, 0));
    return KD_OK;
}

static kd_status timestamptz_to_date(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     void *result, bool *out_is_null)
{
    (void)out_is_null;
    int64_t local;
    KD_TRY(kd_timestamp_from_utc(ctx, zone_of(env), KDI_ARG(int64_t, args, 0), &local));
    *(int32_t *)result = kd_timestamp_to_date(local);
    return KD_OK;
}

static kd_status timestamp_to_timestamptz(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                          void *result, bool *out_is_null)
{
    int64_t utc;
    KD_TRY(kd_timestamp_to_utc(ctx, zone_of(env), KDI_ARG(int64_t, args, 0), &utc));
    const void *utc_args[1] = {&utc};
    return round_timestamp(ctx, env, utc_args, result, out_is_null);
}

static kd_status timestamptz_to_timestamp(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                          void *result, bool *out_is_null)
{
    int64_t local;
    KD_TRY(kd_timestamp_from_utc(ctx, zone_of(env), KDI_ARG(int64_t, args, 0), &local));
    const void *local_args[1] = {&local};
    return round_timestamp(ctx, env, local_args, result, out_is_null);
}

/* The time of day; infinite timestamps have none. */
static int64_t time_of_day(int64_t timestamp)
{
    int64_t time = timestamp % KD_DAY_US;
    return time < 0 ? time + KD_DAY_US : time;
}

static kd_status timestamp_to_time(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                   void *result, bool *out_is_null)
{
    (void)ctx;
    (void)env;
    int64_t value = KDI_ARG(int64_t, args, 0);
    *out_is_null = !kd_timestamp_is_finite(value);
    *(int64_t *)result = *out_is_null ? 0 : time_of_day(value);
    return KD_OK;
}

static kd_status timestamptz_to_time(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                     void *result, bool *out_is_null)
{
    int64_t local;
    KD_TRY(kd_timestamp_from_utc(ctx, zone_of(env), KDI_ARG(int64_t, args, 0), &local));
    const void *local_args[1] = {&local};
    return timestamp_to_time(ctx, env, local_args, result, out_is_null);
}

/* A time of day of the session's zone, as it is now. */
KDI_ROW(time_to_timetz)
{
    int64_t local, utc = env->facts == NULL ? 0 : env->facts->transaction_us;
    KD_TRY(kd_timestamp_from_utc(ctx, zone_of(env), utc, &local));
    int64_t midnight = local - time_of_day(local), time = KDI_ARG(int64_t, args, 0);
    KD_TRY(kd_timestamp_to_utc(ctx, zone_of(env), midnight + time, &utc));
    int32_t west_s = (int32_t)((utc - midnight - time) / KD_SECOND_US);
    *(int64_t *)result = kd_timetz_pack((kd_timetz){.time = time, .west_s = west_s});
    return KD_OK;
}

KDI_ROW(timestamptz_to_timetz)
{
    int64_t utc = KDI_ARG(int64_t, args, 0), local;
    *out_is_null = !kd_timestamp_is_finite(utc);
    if (*out_is_null)
        return KD_OK;
    KD_TRY(kd_timestamp_from_utc(ctx, zone_of(env), utc, &local));
    *(int64_t *)result = kd_timetz_round(
        kd_timetz_of(local, (int32_t)((local - utc) / KD_SECOND_US)), env->result_type.modifier);
    return KD_OK;
}

KDI_ROW(timetz_to_time)
{
    *(int64_t *)result = kd_timetz_unpack(KDI_ARG(int64_t, args, 0)).time;
    return KD_OK;
}

KDI_ROW(round_timetz)
{
    *(int64_t *)result = kd_timetz_round(KDI_ARG(int64_t, args, 0), env->result_type.modifier);
    return KD_OK;
}

static kd_status time_to_interval(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                  void *result, bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(kd_interval *)result = (kd_interval){.micros = KDI_ARG(int64_t, args, 0)};
    return KD_OK;
}

static kd_status interval_to_time(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                  void *result, bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = time_of_day(KDI_ARG(kd_interval, args, 0).micros);
    return KD_OK;
}

static kd_status fit_interval(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                              bool *out_is_null)
{
    (void)out_is_null;
    return kd_interval_fit(ctx, KDI_ARG(kd_interval, args, 0), env->result_type.modifier, result);
}

static kd_status us_to_ns(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                          bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    return kd_timestamp_us_to_ns(ctx, KDI_ARG(int64_t, args, 0), result);
}

static kd_status ns_to_us(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                          bool *out_is_null)
{
    (void)ctx;
    (void)env;
    (void)out_is_null;
    *(int64_t *)result = kd_timestamp_ns_to_us(KDI_ARG(int64_t, args, 0));
    return KD_OK;
}

static kd_status date_to_ns(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                            bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    int64_t us;
    KD_TRY(kd_date_to_timestamp(ctx, KDI_ARG(int32_t, args, 0), &us));
    return kd_timestamp_us_to_ns(ctx, us, result);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static kd_status json_to_jsonb(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                               bool *out_is_null)
{
    (void)out_is_null;
    kd_slice stored;
    KD_TRY(kd_jsonb_parse(ctx, env->arena, kd_str_slice(args[0]), &stored));
    *(kd_str *)result = kd_str_from(stored.data, stored.size_bytes);
    return KD_OK;
}

static kd_status jsonb_to_json(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                               bool *out_is_null)
{
    (void)out_is_null;
    kd_buffer text = kd_buffer_in(env->arena);
    KD_TRY(kd_jsonb_format(ctx, kd_str_slice(args[0]), &text));
    *(kd_str *)result = kd_str_from(text.data, text.size_bytes);
    return KD_OK;
}

static kd_status jsonb_to_bool(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result,
                               bool *out_is_null)
{
    (void)env;
    (void)out_is_null;
    kd_jsonb value = kd_jsonb_open(kd_str_slice(args[0]));
    if (value.kind != KD_JSONB_TRUE && value.kind != KD_JSONB_FALSE)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot cast jsonb %s to type boolean",
                       kd_jsonb_typeof(kd_str_slice(args[0])));
    *(uint8_t *)result = value.kind == KD_JSONB_TRUE;
    return KD_OK;
}

/* A jsonb number as a numeric argument, for the casts from numeric to use. */
static kd_status jsonb_number(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                              const char *type_name, kd_str *out_numeric)
{
    kd_slice stored = kd_str_slice(args[0]);
    kd_jsonb value = kd_jsonb_open(stored);
    if (value.kind != KD_JSONB_NUMBER)
        return KD_FAIL(ctx, KD_INVALID, "22023", "cannot cast jsonb %s to type %s",
                       kd_jsonb_typeof(stored), type_name);
    /* The argument is from now on a numeric. */
    static const kd_type numeric[1] = {KDI_TYPE(NUMERIC)};
    env->argument_types = numeric;
    return kd_str_copy(ctx, env->arena, value.body, out_numeric);
}

#define JSONB_TO(name, type_name, convert)                                                      \
    static kd_status name(kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, \
                          bool *out_is_null)                                                    \
    {                                                                                           \
        kd_str number;                                                                          \
        kd_call_env numeric_env = *env;                                                         \
        KD_TRY(jsonb_number(ctx, &numeric_env, args, type_name, &number));                      \
        const void *number_args[1] = {&number};                                                 \
        return convert(ctx, &numeric_env, number_args, result, out_is_null);                    \
    }
JSONB_TO(jsonb_to_numeric, "numeric", number_to_numeric)
JSONB_TO(jsonb_to_i16, "smallint", numeric_to_i16)
JSONB_TO(jsonb_to_i32, "integer", numeric_to_i32)
JSONB_TO(jsonb_to_i64, "bigint", numeric_to_i64)
JSONB_TO(jsonb_to_f32, "real", numeric_to_f32)
JSONB_TO(jsonb_to_f64, "double precision", numeric_to_f64)

/* --- The table -------------------------------------------------------------------------------- */

#define CAST(FROM, TO, CONTEXT, member)                                                  \
    {                                                                                    \
        .from = KD_TYPE_##FROM, .to = KD_TYPE_##TO, .context = KD_CAST_##CONTEXT, member \
    }

KDI_ROW(i64_to_oid)
{
    int64_t value = KDI_ARG(int64_t, args, 0);
    if (value < 0 || value > UINT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22003", "OID out of range");
    *(int64_t *)result = value;
    return KD_OK;
}

static const kd_cast casts[] = {
    CAST(INT2, INT4, IMPLICIT, .vector = i16_to_i32),
    CAST(INT2, INT8, IMPLICIT, .vector = i16_to_i64),
    CAST(INT2, FLOAT4, IMPLICIT, .vector = i16_to_f32),
    CAST(INT2, FLOAT8, IMPLICIT, .vector = i16_to_f64),
    CAST(INT2, NUMERIC, IMPLICIT, .row = number_to_numeric),
    CAST(INT4, INT2, ASSIGNMENT, .row = i32_to_i16),
    CAST(INT4, INT8, IMPLICIT, .vector = i32_to_i64),
    CAST(INT4, FLOAT4, IMPLICIT, .vector = i32_to_f32),
    CAST(INT4, FLOAT8, IMPLICIT, .vector = i32_to_f64),
    CAST(INT4, NUMERIC, IMPLICIT, .row = number_to_numeric),
    CAST(INT4, OID, IMPLICIT, .vector = i32_to_i64),
    CAST(INT4, BOOL, EXPLICIT, .row = i32_to_bool),
    CAST(INT8, INT2, ASSIGNMENT, .row = i64_to_i16),
    CAST(INT8, INT4, ASSIGNMENT, .row = i64_to_i32),
    CAST(INT8, FLOAT4, IMPLICIT, .vector = i64_to_f32),
    CAST(INT8, FLOAT8, IMPLICIT, .vector = i64_to_f64),
    CAST(INT8, NUMERIC, IMPLICIT, .row = number_to_numeric),
    CAST(INT8, OID, IMPLICIT, .row = i64_to_oid),
    CAST(INT2, OID, IMPLICIT, .vector = i16_to_i64),
    CAST(OID, OID, IMPLICIT, .no_work = true), /* regclass and its kin. */
    CAST(OID, INT8, ASSIGNMENT, .no_work = true),
    CAST(OID, INT4, ASSIGNMENT, .row = i64_to_i32),
    CAST(FLOAT4, INT2, ASSIGNMENT, .row = f32_to_i16),
    CAST(FLOAT4, INT4, ASSIGNMENT, .row = f32_to_i32),
    CAST(FLOAT4, INT8, ASSIGNMENT, .row = f32_to_i64),
    CAST(FLOAT4, FLOAT8, IMPLICIT, .vector = f32_to_f64),
    CAST(FLOAT4, NUMERIC, ASSIGNMENT, .row = number_to_numeric),
    CAST(FLOAT8, INT2, ASSIGNMENT, .row = f64_to_i16),
    CAST(FLOAT8, INT4, ASSIGNMENT, .row = f64_to_i32),
    CAST(FLOAT8, INT8, ASSIGNMENT, .row = f64_to_i64),
    CAST(FLOAT8, FLOAT4, ASSIGNMENT, .row = f64_to_f32),
    CAST(FLOAT8, NUMERIC, ASSIGNMENT, .row = number_to_numeric),
    CAST(NUMERIC, INT2, ASSIGNMENT, .row = numeric_to_i16),
    CAST(NUMERIC, INT4, ASSIGNMENT, .row = numeric_to_i32),
    CAST(NUMERIC, INT8, ASSIGNMENT, .row = numeric_to_i64),
    CAST(NUMERIC, FLOAT4, IMPLICIT, .row = numeric_to_f32),
    CAST(NUMERIC, FLOAT8, IMPLICIT, .row = numeric_to_f64),
    CAST(NUMERIC, NUMERIC, IMPLICIT, .row = number_to_numeric),
    CAST(BOOL, INT4, EXPLICIT, .row = bool_to_i32),
    CAST(BOOL, TEXT, ASSIGNMENT, .row = bool_to_text),
    CAST(BOOL, VARCHAR, ASSIGNMENT, .row = bool_to_text),
    CAST(TEXT, VARCHAR, IMPLICIT, .row = to_length_checked),
    CAST(TEXT, VARCHAR, EXPLICIT, .row = to_length_cut),
    CAST(TEXT, CHAR, IMPLICIT, .row = to_length_checked),
    CAST(TEXT, CHAR, EXPLICIT, .row = to_length_cut),
    CAST(VARCHAR, TEXT, IMPLICIT, .no_work = true),
    CAST(VARCHAR, CHAR, IMPLICIT, .row = to_length_checked),
    CAST(VARCHAR, CHAR, EXPLICIT, .row = to_length_cut),
    CAST(VARCHAR, VARCHAR, IMPLICIT, .row = to_length_checked),
    CAST(VARCHAR, VARCHAR, EXPLICIT, .row = to_length_cut),
    CAST(CHAR, TEXT, IMPLICIT, .no_work = true),
    CAST(CHAR, VARCHAR, IMPLICIT, .row = to_length_checked),
    CAST(CHAR, VARCHAR, EXPLICIT, .row = to_length_cut),
    CAST(CHAR, CHAR, IMPLICIT, .row = to_length_checked),
    CAST(CHAR, CHAR, EXPLICIT, .row = to_length_cut),
    CAST(DATE, TIMESTAMP, IMPLICIT, .row = date_to_timestamp),
    CAST(DATE, TIMESTAMPTZ, IMPLICIT, .row = date_to_timestamptz),
    CAST(DATE, TIMESTAMP_NS, IMPLICIT, .row = date_to_ns),
    CAST(TIMESTAMP, DATE, ASSIGNMENT, .row = timestamp_to_date),
    CAST(TIMESTAMP, TIME, ASSIGNMENT, .row = timestamp_to_time),
    CAST(TIMESTAMP, TIMESTAMP, IMPLICIT, .row = round_timestamp),
    CAST(TIMESTAMP, TIMESTAMPTZ, IMPLICIT, .row = timestamp_to_timestamptz),
    CAST(TIMESTAMP, TIMESTAMP_NS, IMPLICIT, .row = us_to_ns),
    CAST(TIMESTAMPTZ, DATE, ASSIGNMENT, .row = timestamptz_to_date),
    CAST(TIMESTAMPTZ, TIME, ASSIGNMENT, .row = timestamptz_to_time),
    CAST(TIMESTAMPTZ, TIMESTAMP, ASSIGNMENT, .row = timestamptz_to_timestamp),
    CAST(TIMESTAMPTZ, TIMESTAMPTZ, IMPLICIT, .row = round_timestamp),
    CAST(TIMESTAMPTZ, TIMESTAMP_NS, IMPLICIT, .row = us_to_ns),
    CAST(TIMESTAMP_NS, TIMESTAMP, ASSIGNMENT, .row = ns_to_us),
    CAST(TIMESTAMP_NS, TIMESTAMPTZ, ASSIGNMENT, .row = ns_to_us),
    CAST(TIME, INTERVAL, IMPLICIT, .row = time_to_interval),
    CAST(TIME, TIME, IMPLICIT, .row = round_timestamp),
    CAST(TIME, TIMETZ, IMPLICIT, .row = time_to_timetz),
    CAST(TIMESTAMPTZ, TIMETZ, ASSIGNMENT, .row = timestamptz_to_timetz),
    CAST(TIMETZ, TIME, ASSIGNMENT, .row = timetz_to_time),
    CAST(TIMETZ, TIMETZ, IMPLICIT, .row = round_timetz),
    CAST(INTERVAL, INTERVAL, IMPLICIT, .row = fit_interval),
    CAST(INTERVAL, TIME, ASSIGNMENT, .row = interval_to_time),
    CAST(JSON, JSONB, ASSIGNMENT, .row = json_to_jsonb),
    CAST(JSONB, JSON, ASSIGNMENT, .row = jsonb_to_json),
    CAST(JSONB, BOOL, EXPLICIT, .row = jsonb_to_bool),
    CAST(JSONB, NUMERIC, EXPLICIT, .row = jsonb_to_numeric),
    CAST(JSONB, INT2, EXPLICIT, .row = jsonb_to_i16),
    CAST(JSONB, INT4, EXPLICIT, .row = jsonb_to_i32),
    CAST(JSONB, INT8, EXPLICIT, .row = jsonb_to_i64),
    CAST(JSONB, FLOAT4, EXPLICIT, .row = jsonb_to_f32),
    CAST(JSONB, FLOAT8, EXPLICIT, .row = jsonb_to_f64),
};

kd_status kdi_register_casts(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_casts(ctx, registry, casts, KDI_COUNT(casts));
}
