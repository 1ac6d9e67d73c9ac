/*
 * float8send and its kin: a value's bytes as PostgreSQL's binary protocol has them, the most
 * significant first.
 */
#include "builtin/signature_internal.h"
#include "types/binary.h"

/* The argument as a value, written. */
static kd_status send_value(kd_ctx *ctx, kd_call_env *env, kd_type type, const void *payload,
                            void *result)
{
    kd_value value = {.type = type};
    memcpy(kd_value_payload(&value), payload, kd_physical_bytes(kd_type_physical(type)));
    kd_buffer out = kd_buffer_in(env->arena);
    KD_TRY(kd_binary_append(ctx, NULL, &value, &out));
    return kdi_return_buffer(result, &out);
}

#define SEND(name, TYPE)                                                          \
    KDI_ROW(name)                                                                 \
    {                                                                             \
        return send_value(ctx, env, kd_type_of(KD_TYPE_##TYPE), args[0], result); \
    }

SEND(send_bool, BOOL)
SEND(send_int2, INT2)
SEND(send_int4, INT4)
SEND(send_int8, INT8)
SEND(send_float4, FLOAT4)
SEND(send_float8, FLOAT8)
SEND(send_oid, OID)
SEND(send_date, DATE)
SEND(send_time, TIME)
SEND(send_timetz, TIMETZ)
SEND(send_timestamp, TIMESTAMP)
SEND(send_interval, INTERVAL)
SEND(send_bytes, BYTEA)

static const kd_function functions[] = {
    IMMUTABLE("boolsend", send_bool, BYTEA, BOOL),
    IMMUTABLE("int2send", send_int2, BYTEA, INT2),
    IMMUTABLE("int4send", send_int4, BYTEA, INT4),
    IMMUTABLE("int8send", send_int8, BYTEA, INT8),
    IMMUTABLE("float4send", send_float4, BYTEA, FLOAT4),
    IMMUTABLE("float8send", send_float8, BYTEA, FLOAT8),
    IMMUTABLE("oidsend", send_oid, BYTEA, KDI_TYPE(OID)),
    IMMUTABLE("date_send", send_date, BYTEA, DATE),
    IMMUTABLE("time_send", send_time, BYTEA, TIME),
    IMMUTABLE("timetz_send", send_timetz, BYTEA, TIMETZ),
    IMMUTABLE("timestamp_send", send_timestamp, BYTEA, TIMESTAMP),
    IMMUTABLE("timestamptz_send", send_timestamp, BYTEA, TIMESTAMPTZ),
    IMMUTABLE("interval_send", send_interval, BYTEA, INTERVAL),
    IMMUTABLE("textsend", send_bytes, BYTEA, TEXT),
    IMMUTABLE("byteasend", send_bytes, BYTEA, BYTEA),
};

kd_status kdi_register_send(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
