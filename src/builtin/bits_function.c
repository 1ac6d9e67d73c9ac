/*
 * Bit strings: operators, parts, casts. Every value is text of '0' and '1' (types/bits.h).
 */
#include "builtin/signature_internal.h"
#include "types/bits.h"

#define BIT KDI_TYPE(BIT)
#define VARBIT KDI_TYPE(VARBIT)

static kd_status bits_room(kd_ctx *ctx, kd_call_env *env, size_t count, char **out)
{
    *out = kd_alloc_raw(ctx, env->arena, count + 1);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status return_bits(const char *bits, size_t count, void *result)
{
    *(kd_str *)result = kd_str_from(bits, count);
    return KD_OK;
}

/* --- Operators -------------------------------------------------------------------------------- */

/* '0' is 0x30 and '1' 0x31: & and | of two characters are characters again. */
#define BINARY(function, word, expression)                                    \
    KDI_ROW(function)                                                         \
    {                                                                         \
        kd_slice a = kdi_arg_text(args, 0), b = kdi_arg_text(args, 1);        \
        char *bits;                                                           \
        if (a.size_bytes != b.size_bytes)                                     \
            return KD_FAIL(ctx, KD_INVALID, "22026",                          \
                           "cannot " word " bit strings of different sizes"); \
        KD_TRY(bits_room(ctx, env, a.size_bytes, &bits));                     \
        for (size_t i = 0; i < a.size_bytes; i++) {                           \
            char x = a.data[i], y = b.data[i];                                \
            bits[i] = (char)(expression);                                     \
        }                                                                     \
        return return_bits(bits, a.size_bytes, result);                       \
    }
BINARY(bits_and, "AND", x &y)
BINARY(bits_or, "OR", x | y)
BINARY(bits_xor, "XOR", '0' | (x ^ y))

KDI_ROW(bits_not)
{
    kd_slice a = kdi_arg_text(args, 0);
    char *bits;
    KD_TRY(bits_room(ctx, env, a.size_bytes, &bits));
    for (size_t i = 0; i < a.size_bytes; i++)
        bits[i] = (char)(a.data[i] ^ 1);
    return return_bits(bits, a.size_bytes, result);
}

static kd_status shift(kd_ctx *ctx, kd_call_env *env, kd_slice a, int64_t left, void *result)
{
    char *bits;
    int64_t count = (int64_t)a.size_bytes;
    KD_TRY(bits_room(ctx, env, a.size_bytes, &bits));
    for (int64_t i = 0; i < count; i++)
        bits[i] = i + left >= 0 && i + left < count ? a.data[i + left] : '0';
    return return_bits(bits, a.size_bytes, result);
}

KDI_ROW(shift_left)
{
    return shift(ctx, env, kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), result);
}

KDI_ROW(shift_right)
{
    return shift(ctx, env, kdi_arg_text(args, 0), -(int64_t)KDI_ARG(int32_t, args, 1), result);
}

KDI_ROW(bits_concat)
{
    kd_slice a = kdi_arg_text(args, 0), b = kdi_arg_text(args, 1);
    kd_buffer out = kd_buffer_in(env->arena);
    if (a.size_bytes + b.size_bytes > KD_BITS_LENGTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "bit string length exceeds the maximum allowed (%d)",
                       KD_BITS_LENGTH_MAX);
    KD_TRY(kd_buffer_append_slice(ctx, &out, a));
    KD_TRY(kd_buffer_append_slice(ctx, &out, b));
    return kdi_return_buffer(result, &out);
}

/* --- Lengths and parts ------------------------------------------------------------------------ */

KDI_ROW(bits_length)
{
    *(int32_t *)result = (int32_t)kdi_arg_text(args, 0).size_bytes;
    return KD_OK;
}

KDI_ROW(bits_octets)
{
    *(int32_t *)result = (int32_t)((kdi_arg_text(args, 0).size_bytes + 7) / 8);
    return KD_OK;
}

KDI_ROW(bits_count)
{
    kd_slice bits = kdi_arg_text(args, 0);
    int64_t count = 0;
    for (size_t i = 0; i < bits.size_bytes; i++)
        count += bits.data[i] & 1;
    *(int64_t *)result = count;
    return KD_OK;
}

static kd_status check_index(kd_ctx *ctx, kd_slice bits, int32_t index)
{
    if (index < 0 || (size_t)index >= bits.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "bit index %d out of valid range (0..%lld)", index,
                       (long long)bits.size_bytes - 1);
    return KD_OK;
}

KDI_ROW(bits_get)
{
    kd_slice bits = kdi_arg_text(args, 0);
    int32_t index = KDI_ARG(int32_t, args, 1);
    KD_TRY(check_index(ctx, bits, index));
    *(int32_t *)result = bits.data[index] & 1;
    return KD_OK;
}

KDI_ROW(bits_set)
{
    kd_slice bits = kdi_arg_text(args, 0);
    int32_t index = KDI_ARG(int32_t, args, 1), value = KDI_ARG(int32_t, args, 2);
    char *changed;
    KD_TRY(check_index(ctx, bits, index));
    if (value != 0 && value != 1)
        return KD_FAIL(ctx, KD_INVALID, "22023", "new bit must be 0 or 1");
    KD_TRY(bits_room(ctx, env, bits.size_bytes, &changed));
    memcpy(changed, bits.data, bits.size_bytes);
    changed[index] = (char)('0' + value);
    return return_bits(changed, bits.size_bytes, result);
}

/* Bits `start` .. `start + count - 1`, from 1; what lies outside is cut off. */
static kd_slice bits_between(kd_slice bits, int64_t start, int64_t count)
{
    int64_t size = (int64_t)bits.size_bytes, end = start + count;
    start = start < 1 ? 1 : start > size + 1 ? size + 1 : start;
    end = end < start ? start : end > size + 1 ? size + 1 : end;
    return (kd_slice){bits.data + start - 1, (size_t)(end - start)};
}

KDI_ROW(bits_from)
{
    kd_slice bits = kdi_arg_text(args, 0);
    return kdi_return_text(
        result, bits_between(bits, KDI_ARG(int32_t, args, 1), INT32_MAX + INT64_C(1) - INT32_MIN));
}

KDI_ROW(bits_from_for)
{
    int32_t count = KDI_ARG(int32_t, args, 2);
    if (count < 0)
        return KD_FAIL(ctx, KD_INVALID, "22011", "negative substring length not allowed");
    return kdi_return_text(result,
                           bits_between(kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), count));
}

KDI_ROW(bits_overlay)
{
    kd_slice bits = kdi_arg_text(args, 0), part = kdi_arg_text(args, 1);
    int64_t start = KDI_ARG(int32_t, args, 2);
    int64_t count = env->argument_count > 3 ? KDI_ARG(int32_t, args, 3) : (int64_t)part.size_bytes;
    kd_buffer out = kd_buffer_in(env->arena);
    if (start <= 0)
        return KD_FAIL(ctx, KD_INVALID, "22011", "negative substring length not allowed");
    KD_TRY(kd_buffer_append_slice(ctx, &out, bits_between(bits, 1, start - 1)));
    KD_TRY(kd_buffer_append_slice(ctx, &out, part));
    KD_TRY(kd_buffer_append_slice(ctx, &out, bits_between(bits, start + count, INT32_MAX)));
    return kdi_return_buffer(result, &out);
}

KDI_ROW(bits_position)
{
    kd_slice bits = kdi_arg_text(args, 0), part = kdi_arg_text(args, 1);
    const char *at = part.size_bytes == 0 || part.size_bytes > bits.size_bytes
                         ? NULL
                         : memmem(bits.data, bits.size_bytes, part.data, part.size_bytes);
    *(int32_t *)result = bits.size_bytes == 0   ? 0
                         : part.size_bytes == 0 ? 1
                         : at == NULL           ? 0
                                                : (int32_t)(at - bits.data) + 1;
    return KD_OK;
}

static const kd_function functions[] = {
    IMMUTABLE("&", bits_and, BIT, BIT, BIT),
    IMMUTABLE("|", bits_or, BIT, BIT, BIT),
    IMMUTABLE("#", bits_xor, BIT, BIT, BIT),
    IMMUTABLE("~", bits_not, BIT, BIT),
    IMMUTABLE("<<", shift_left, BIT, BIT, INT4),
    IMMUTABLE(">>", shift_right, BIT, BIT, INT4),
    IMMUTABLE("||", bits_concat, VARBIT, VARBIT, VARBIT),
    IMMUTABLE("length", bits_length, INT4, BIT),
    IMMUTABLE("bit_length", bits_length, INT4, BIT),
    IMMUTABLE("octet_length", bits_octets, INT4, BIT),
    IMMUTABLE("bit_count", bits_count, INT8, BIT),
    IMMUTABLE("get_bit", bits_get, INT4, BIT, INT4),
    IMMUTABLE("set_bit", bits_set, BIT, BIT, INT4, INT4),
    IMMUTABLE("substring", bits_from, BIT, BIT, INT4),
    IMMUTABLE("substring", bits_from_for, BIT, BIT, INT4, INT4),
    IMMUTABLE("overlay", bits_overlay, BIT, BIT, BIT, INT4),
    IMMUTABLE("overlay", bits_overlay, BIT, BIT, BIT, INT4, INT4),
    IMMUTABLE("position", bits_position, INT4, BIT, BIT),
};

/* --- Aggregates ------------------------------------------------------------------------------- */

typedef struct bits_state {
    char *bits; /* In the state's arena; NULL: nothing yet. */
    size_t count;
} bits_state;

static kd_status state_merge(kd_ctx *ctx, kd_call_env *env, bits_state *state, kd_slice more)
{
    char which = *(const char *)env->data;
    if (state->bits == NULL) {
        state->bits = kd_copy_text(ctx, env->state_arena, more.data, more.size_bytes);
        state->count = more.size_bytes;
        return state->bits == NULL ? KD_NOMEM : KD_OK;
    }
    if (state->count != more.size_bytes)
        return KD_FAIL(ctx, KD_INVALID, "22026", "cannot %s bit strings of different sizes",
                       which == '&'   ? "AND"
                       : which == '|' ? "OR"
                                      : "XOR");
    for (size_t i = 0; i < state->count; i++) {
        char x = state->bits[i], y = more.data[i];
        state->bits[i] = (char)(which == '&' ? x & y : which == '|' ? x | y : '0' | (x ^ y));
    }
    return KD_OK;
}

static kd_status aggregate_step(kd_ctx *ctx, kd_call_env *env, void *state, const void *const *args)
{
    return state_merge(ctx, env, state, kdi_arg_text(args, 0));
}

static kd_status aggregate_combine(kd_ctx *ctx, kd_call_env *env, void *state, const void *other)
{
    const bits_state *more = other;
    return more->bits == NULL ? KD_OK
                              : state_merge(ctx, env, state, (kd_slice){more->bits, more->count});
}

static kd_status aggregate_finish(kd_ctx *ctx, kd_call_env *env, const void *object, void *result,
                                  bool *out_is_null)
{
    (void)ctx;
    (void)env;
    const bits_state *state = object;
    *out_is_null = state->bits == NULL;
    return *out_is_null ? KD_OK : return_bits(state->bits, state->count, result);
}

#define AGGREGATE(NAME, WHICH)                                                              \
    {                                                                                       \
        KDI_SIGNATURE(BIT), .name = NAME, .result = BIT, .state_bytes = sizeof(bits_state), \
                            .skips_nulls = true, .step = aggregate_step,                    \
                            .combine = aggregate_combine, .finish = aggregate_finish,       \
                            .data = WHICH                                                   \
    }

static const kd_aggregate aggregates[] = {
    AGGREGATE("bit_and", "&"),
    AGGREGATE("bit_or", "|"),
    AGGREGATE("bit_xor", "#"),
};

/* --- Casts ------------------------------------------------------------------------------------ */

KDI_ROW(fit_checked)
{
    return kd_bits_fit(ctx, env->arena, env->result_type, false, kdi_arg_text(args, 0), result);
}

KDI_ROW(fit_cut)
{
    return kd_bits_fit(ctx, env->arena, env->result_type, true, kdi_arg_text(args, 0), result);
}

/* The lowest n bits, of a number that goes on with its sign to the left. */
static kd_status bits_of_integer(kd_ctx *ctx, kd_call_env *env, int64_t number, void *result)
{
    size_t count = env->result_type.modifier < 0 ? 1 : (size_t)env->result_type.modifier;
    char *bits;
    KD_TRY(bits_room(ctx, env, count, &bits));
    for (size_t i = 0; i < count; i++)
        bits[count - 1 - i] = (char)('0' + (number >> (i < 63 ? i : 63) & 1));
    return return_bits(bits, count, result);
}

KDI_ROW(int4_to_bits)
{
    return bits_of_integer(ctx, env, KDI_ARG(int32_t, args, 0), result);
}

KDI_ROW(int8_to_bits)
{
    return bits_of_integer(ctx, env, KDI_ARG(int64_t, args, 0), result);
}

static uint64_t integer_of(kd_slice bits)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bits.size_bytes; i++)
        number = number << 1 | (uint64_t)(bits.data[i] & 1);
    return number;
}

KDI_ROW(bits_to_int4)
{
    kd_slice bits = kdi_arg_text(args, 0);
    if (bits.size_bytes > 32)
        return KD_FAIL(ctx, KD_INVALID, "22003", "integer out of range");
    *(int32_t *)result = (int32_t)(uint32_t)integer_of(bits);
    return KD_OK;
}

KDI_ROW(bits_to_int8)
{
    kd_slice bits = kdi_arg_text(args, 0);
    if (bits.size_bytes > 64)
        return KD_FAIL(ctx, KD_INVALID, "22003", "bigint out of range");
    *(int64_t *)result = (int64_t)integer_of(bits);
    return KD_OK;
}

#define FIT(FROM, TO)                                                                              \
    {.from = KD_TYPE_##FROM, .to = KD_TYPE_##TO, .context = KD_CAST_IMPLICIT, .row = fit_checked}, \
    {                                                                                              \
        .from = KD_TYPE_##FROM, .to = KD_TYPE_##TO, .context = KD_CAST_EXPLICIT, .row = fit_cut    \
    }
#define WRITTEN(FROM, TO, ROW)                                                              \
    {                                                                                       \
        .from = KD_TYPE_##FROM, .to = KD_TYPE_##TO, .context = KD_CAST_EXPLICIT, .row = ROW \
    }

#undef BIT
#undef VARBIT
#undef INT4
#undef INT8
static const kd_cast casts[] = {
    FIT(BIT, BIT),
    FIT(BIT, VARBIT),
    FIT(VARBIT, BIT),
    FIT(VARBIT, VARBIT),
    WRITTEN(INT4, BIT, int4_to_bits),
    WRITTEN(INT8, BIT, int8_to_bits),
    WRITTEN(BIT, INT4, bits_to_int4),
    WRITTEN(BIT, INT8, bits_to_int8),
};

kd_status kdi_register_bits(kd_ctx *ctx, kd_registry *registry)
{
    KD_TRY(kd_registry_add_casts(ctx, registry, casts, KDI_COUNT(casts)));
    KD_TRY(kd_registry_add_aggregates(ctx, registry, aggregates, KDI_COUNT(aggregates)));
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
