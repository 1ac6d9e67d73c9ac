/*
 * Functions about the session, about values of any kind, and UUIDs.
 */
#include "builtin/signature_internal.h"
#include "base/world.h"
#include "types/bytes_text.h"

KDI_ROW(gen_random_uuid)
{
    uint8_t bytes[16];
    for (int i = 0; i < 16; i += 8)
        kd_store_u64(bytes + i, ctx->world->random_u64(ctx->world));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* Version 4, */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* variant of RFC 4122. */
    kd_i128 uuid = kd_uuid_from_bytes(bytes);
    memcpy(result, &uuid, sizeof uuid);
    return KD_OK;
}

KDI_ROW(version)
{
    return kdi_return_text(result, KD_SLICE("PostgreSQL 15.0 compatible, KadeDB 0.1.0, 64-bit"));
}

static kd_status return_name(const char *name, void *result, bool *out_is_null)
{
    *out_is_null = name == NULL;
    return name == NULL ? KD_OK : kdi_return_text(result, kd_slice_of(name));
}

KDI_ROW(current_user)
{
    return return_name(env->facts->user_name, result, out_is_null);
}

KDI_ROW(session_user)
{
    const kd_session_facts *facts = env->facts;
    return return_name(facts->session_user_name != NULL ? facts->session_user_name
                                                        : facts->user_name,
                       result, out_is_null);
}

KDI_ROW(current_database)
{
    return return_name(env->facts->database_name, result, out_is_null);
}

KDI_ROW(current_schema)
{
    const char *name = env->facts->current_schema; /* Empty where none of the path is there. */
    return return_name(name == NULL || name[0] == '\0' ? NULL : name, result, out_is_null);
}

KDI_ROW(pg_typeof)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    kd_type type = env->argument_types[0];
    type.modifier = -1;
    KD_TRY(kd_type_format(ctx, type, &buffer));
    return kdi_return_buffer(result, &buffer);
}

/* TRY_CAST: `data` is the cast that the binder found; what it refuses is NULL. */
KDI_ROW(try_cast)
{
    kd_value source = {.type = env->argument_types[0]}, target;
    memcpy(&source.as, args[0], kd_physical_bytes(kd_type_physical(source.type)));
    kd_status status = kd_cast_value(ctx, env, env->data, &source, env->result_type, &target);
    if (status == KD_INVALID) {
        kd_error_clear(ctx);
        *out_is_null = true;
        return KD_OK;
    }
    KD_TRY(status);
    *out_is_null = target.is_null;
    memcpy(result, &target.as, kd_physical_bytes(kd_type_physical(env->result_type)));
    return KD_OK;
}

/* A row reference as ctid has it. */
KDI_ROW(place)
{
    *(int64_t *)result = KDI_ARG(int64_t, args, 0);
    return KD_OK;
}

static int32_t count_nulls(const kd_call_env *env, const void *const *args)
{
    int32_t count = 0;
    for (uint32_t i = 0; i < env->argument_count; i++)
        count += args[i] == NULL;
    return count;
}

KDI_ROW(num_nulls)
{
    *(int32_t *)result = count_nulls(env, args);
    return KD_OK;
}

KDI_ROW(num_nonnulls)
{
    *(int32_t *)result = (int32_t)env->argument_count - count_nulls(env, args);
    return KD_OK;
}

/* A hash of any value; equal values have equal hashes. Not PostgreSQL's numbers. */
KDI_ROW(hash)
{
    uint64_t seed = 0;
    for (uint32_t i = 0; i < env->argument_count; i++)
        seed = seed * 0x9e3779b97f4a7c15u +
               (args[i] == NULL ? 1 : kd_payload_hash(env->argument_types[i], args[i]));
    *(int64_t *)result = (int64_t)seed;
    return KD_OK;
}

/* Sleeps in short naps, so that a cancelled statement ends soon. */
KDI_ROW(pg_sleep)
{
    double left = KDI_ARG(double, args, 0) * 1e9;
    memset(result, 0, 1);
    while (left > 0) {
        uint64_t nap = left > 5e7 ? 50000000 : (uint64_t)left;
        KD_TRY(kd_check_cancelled(ctx));
        ctx->world->sleep_ns(ctx->world, nap);
        left -= nap == 50000000 ? 5e7 : left;
    }
    return kd_check_cancelled(ctx);
}

/* What the value takes: text with the header of four bytes that PostgreSQL would have. */
KDI_ROW(pg_column_size)
{
    kd_type type = env->argument_types[0];
    kd_physical physical = kd_type_physical(type);
    int32_t size = (int32_t)kd_physical_bytes(physical);
    if (physical == KD_PHYS_STR)
        size = (int32_t)(kdi_arg_text(args, 0).size_bytes + 4);
    *(int32_t *)result = size;
    return KD_OK;
}

KDI_ROW(pg_is_in_recovery)
{
    *(uint8_t *)result = false;
    return KD_OK;
}

KDI_ROW(pg_client_encoding)
{
    return kdi_return_text(result, KD_SLICE("UTF8"));
}

static kd_slice without_blanks(kd_slice text)
{
    while (text.size_bytes > 0 && text.data[text.size_bytes - 1] == ' ')
        text.size_bytes--;
    for (; text.size_bytes > 0 && text.data[0] == ' '; text.size_bytes--)
        text.data++;
    return text;
}

/* '1.5 GB': a number and a unit of 1,024s. */
KDI_ROW(pg_size_bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    kd_slice text = without_blanks(kdi_arg_text(args, 0)), number = text;
    size_t at = 0;
    while (at < text.size_bytes && strchr("+-.0123456789", text.data[at]) != NULL)
        at++;
    size_t exponent = at + 1;
    if (at > 0 && at < text.size_bytes && (text.data[at] | 0x20) == 'e') {
        while (exponent < text.size_bytes && strchr("+-0123456789", text.data[exponent]) != NULL)
            exponent++;
        at = exponent > at + 1 ? exponent : at;
    }
    number.size_bytes = at;
    kd_slice unit = without_blanks((kd_slice){text.data + at, text.size_bytes - at});
    int64_t factor = 0;
    for (uint32_t i = 0; i < KDI_COUNT(units); i++)
        if (kd_slice_equal_ignoring_case(unit, kd_slice_of(units[i])))
            factor = INT64_C(1) << (10 * i);
    if (unit.size_bytes == 0)
        factor = 1;
    kd_decimal value, multiplier;
    if (factor == 0 || kd_decimal_parse(ctx, env->arena, number, &value) != KD_OK) {
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid size: \"%.*s\"",
                       (int)kdi_arg_text(args, 0).size_bytes, kdi_arg_text(args, 0).data);
    }
    KD_TRY(kd_decimal_from_i64(ctx, env->arena, factor, &multiplier));
    KD_TRY(kd_decimal_mul(ctx, env->arena, &value, &multiplier, &value));
    return kd_decimal_to_i64(ctx, &value, result);
}

static const kd_function functions[] = {
    IMMUTABLE("pg_column_size", pg_column_size, INT4, ANY),
    NO_ARGUMENTS("pg_is_in_recovery", pg_is_in_recovery, BOOL, KD_STABLE),
    NO_ARGUMENTS("pg_client_encoding", pg_client_encoding, TEXT, KD_STABLE),
    NO_ARGUMENTS("getdatabaseencoding", pg_client_encoding, TEXT, KD_STABLE),
    IMMUTABLE("pg_size_bytes", pg_size_bytes, INT8, TEXT),
    NO_ARGUMENTS("gen_random_uuid", gen_random_uuid, UUID, KD_VOLATILE),
    NO_ARGUMENTS("uuid_generate_v4", gen_random_uuid, UUID, KD_VOLATILE),
    NO_ARGUMENTS("version", version, TEXT, KD_STABLE),
    NO_ARGUMENTS("current_user", current_user, TEXT, KD_STABLE),
    NO_ARGUMENTS("session_user", session_user, TEXT, KD_STABLE),
    NO_ARGUMENTS("user", current_user, TEXT, KD_STABLE),
    NO_ARGUMENTS("current_database", current_database, TEXT, KD_STABLE),
    NO_ARGUMENTS("current_catalog", current_database, TEXT, KD_STABLE),
    NO_ARGUMENTS("current_schema", current_schema, TEXT, KD_STABLE),
    STABLE_LENIENT("pg_typeof", pg_typeof, TEXT, ANY),
    STABLE("kade_try_cast", try_cast, TEXT, ANY),
    STABLE("kade_place", place, KDI_TYPE(TID), INT8),
    VARIADIC("num_nulls", num_nulls, INT4, ANY),
    VARIADIC("num_nonnulls", num_nonnulls, INT4, ANY),
    VARIADIC("hash", hash, INT8, ANY),
    {KDI_SIGNATURE(FLOAT8), .name = "pg_sleep", .row = pg_sleep, .result = KDI_TYPE(VOID),
     .strict = true, .volatility = KD_VOLATILE},
};

kd_status kdi_register_misc(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
