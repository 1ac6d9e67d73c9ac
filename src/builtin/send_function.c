/*
 * float8send and its kin: a value's bytes as PostgreSQL's binary protocol has them, the most
 * significant first.
 */
#include "builtin/signature_internal.h"
#include "types/datetime.h"

static kd_status put_bits(kd_ctx *ctx, kd_call_env *env, uint64_t bits, int size, void *result)
{
    kd_buffer out = kd_buffer_in(env->arena);
    for (int i = size; i-- > 0;)
        KD_TRY(kd_buffer_append_byte(ctx, &out, (uint8_t)(bits >> (8 * i))));
    return kdi_return_buffer(result, &out);
}

KDI_ROW(send_8)
{
    return put_bits(ctx, env, KDI_ARG(uint8_t, args, 0), 1, result);
}

KDI_ROW(send_16)
{
    return put_bits(ctx, env, KDI_ARG(uint16_t, args, 0), 2, result);
}

KDI_ROW(send_32)
{
    return put_bits(ctx, env, KDI_ARG(uint32_t, args, 0), 4, result);
}

KDI_ROW(send_64)
{
    return put_bits(ctx, env, KDI_ARG(uint64_t, args, 0), 8, result);
}

KDI_ROW(send_timetz)
{
    kd_timetz value = kd_timetz_unpack(KDI_ARG(int64_t, args, 0));
    kd_buffer out = kd_buffer_in(env->arena);
    for (int i = 0; i < 8; i++)
        KD_TRY(kd_buffer_append_byte(ctx, &out, (uint8_t)((uint64_t)value.time >> (8 * (7 - i)))));
    for (int i = 0; i < 4; i++)
        KD_TRY(
            kd_buffer_append_byte(ctx, &out, (uint8_t)((uint32_t)value.west_s >> (8 * (3 - i)))));
    return kdi_return_buffer(result, &out);
}

KDI_ROW(send_oid)
{
    return put_bits(ctx, env, KDI_ARG(uint64_t, args, 0), 4, result);
}

KDI_ROW(send_bytes)
{
    return kdi_return_text(result, kdi_arg_text(args, 0));
}

KDI_ROW(send_interval)
{
    kd_interval value = KDI_ARG(kd_interval, args, 0);
    kd_buffer out = kd_buffer_in(env->arena);
    uint64_t parts[2] = {(uint64_t)value.micros,
                         (uint64_t)(uint32_t)value.days << 32 | (uint32_t)value.months};
    for (int i = 0; i < 16; i++)
        KD_TRY(kd_buffer_append_byte(ctx, &out, (uint8_t)(parts[i / 8] >> (8 * (7 - i % 8)))));
    return kdi_return_buffer(result, &out);
}

static const kd_function functions[] = {
    IMMUTABLE("boolsend", send_8, BYTEA, BOOL),
    IMMUTABLE("int2send", send_16, BYTEA, INT2),
    IMMUTABLE("int4send", send_32, BYTEA, INT4),
    IMMUTABLE("int8send", send_64, BYTEA, INT8),
    IMMUTABLE("float4send", send_32, BYTEA, FLOAT4),
    IMMUTABLE("float8send", send_64, BYTEA, FLOAT8),
    IMMUTABLE("oidsend", send_oid, BYTEA, KDI_TYPE(OID)),
    IMMUTABLE("date_send", send_32, BYTEA, DATE),
    IMMUTABLE("time_send", send_64, BYTEA, TIME),
    IMMUTABLE("timetz_send", send_timetz, BYTEA, TIMETZ),
    IMMUTABLE("timestamp_send", send_64, BYTEA, TIMESTAMP),
    IMMUTABLE("timestamptz_send", send_64, BYTEA, TIMESTAMPTZ),
    IMMUTABLE("interval_send", send_interval, BYTEA, INTERVAL),
    IMMUTABLE("textsend", send_bytes, BYTEA, TEXT),
    IMMUTABLE("byteasend", send_bytes, BYTEA, BYTEA),
};

kd_status kdi_register_send(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
