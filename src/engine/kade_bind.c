/*
 * Parameters of the public API's statements.
 */
#include "engine/kade_internal.h"

#include "types/utf8.h"

#include <assert.h>

uint32_t kade_parameter_count(const kade_statement *statement)
{
    return statement->parameter_count;
}

int kade_parameter_type(const kade_statement *statement, uint32_t index)
{
    if (index < 1 || index > statement->parameter_count)
        return KADE_TYPE_UNKNOWN;
    kd_type type = statement->parameter_types[index - 1];
    return type.id + (type.is_array ? KADE_TYPE_ARRAY : 0);
}

const char *kade_parameter_type_name(const kade_statement *statement, uint32_t index)
{
    if (index < 1 || index > statement->parameter_count)
        return "unknown";
    return statement->parameter_names[index - 1];
}

/* The value's bytes are copied into an arena of the parameter's own, so that binding again and
 * again takes no more room. */
static kd_status set(kade_statement *statement, uint32_t index, const kd_value *value)
{
    kd_ctx *ctx = statement->session->ctx;
    if (statement->is_running)
        kdi_statement_stop(statement);
    if (index < 1 || index > statement->parameter_count)
        return KD_FAIL(ctx, KD_INVALID, "22023", "there is no parameter $%u (the statement has %u)",
                       index, statement->parameter_count);
    kd_arena **arena = &statement->parameter_arenas[index - 1];
    kd_value *target = &statement->parameters[index - 1];
    if (value->is_null || kd_type_physical(value->type) != KD_PHYS_STR) {
        *target = *value;
        return KD_OK;
    }
    if (*arena == NULL) {
        *arena = kd_arena_create(ctx, statement->arena, "parameter", KD_ARENA_UNLIMITED);
        if (*arena == NULL)
            return KD_NOMEM;
    }
    *target = kd_value_null(value->type);
    kd_arena_reset(*arena);
    return kd_value_copy(ctx, *arena, value, target);
}

static kade_status bind(kade_statement *statement, uint32_t index, kd_value value)
{
    (void)kdi_api_begin(statement->session);
    return kdi_api_end(statement->session, set(statement, index, &value));
}

static kade_status bind_bytes(kade_statement *statement, uint32_t index, kd_type_id type,
                              kd_slice bytes)
{
    kd_ctx *ctx = kdi_api_begin(statement->session);
    if (bytes.size_bytes > INT32_MAX)
        return kdi_api_end(statement->session,
                           KD_FAIL(ctx, KD_LIMIT, "54000", "a value may have 2 GiB at most"));
    if (type == KD_TYPE_TEXT) {
        kd_status status = kd_utf8_check(ctx, bytes);
        if (status != KD_OK)
            return kdi_api_end(statement->session, status);
    }
    kd_value value = {.type = kd_type_of(type),
                      .as.str = kd_str_from(bytes.data, bytes.size_bytes)};
    return kdi_api_end(statement->session, set(statement, index, &value));
}

kade_status kade_bind_null(kade_statement *statement, uint32_t index)
{
    return bind(statement, index, kd_value_null(kd_type_of(KD_TYPE_UNKNOWN)));
}

kade_status kade_bind_bool(kade_statement *statement, uint32_t index, bool value)
{
    return bind(statement, index, kd_value_bool(value));
}

kade_status kade_bind_int64(kade_statement *statement, uint32_t index, int64_t value)
{
    return bind(statement, index, kd_value_i64(value));
}

kade_status kade_bind_double(kade_statement *statement, uint32_t index, double value)
{
    return bind(statement, index, kd_value_f64(value));
}

kade_status kade_bind_text(kade_statement *statement, uint32_t index, const char *text,
                           size_t text_bytes)
{
    return bind_bytes(statement, index, KD_TYPE_TEXT, kdi_api_slice(text, text_bytes));
}

kade_status kade_bind_blob(kade_statement *statement, uint32_t index, const void *blob,
                           size_t blob_bytes)
{
    return bind_bytes(statement, index, KD_TYPE_BYTEA, kdi_api_slice(blob, blob_bytes));
}

kade_status kade_bind_decimal(kade_statement *statement, uint32_t index, const char *text,
                              size_t text_bytes)
{
    kd_ctx *ctx = kdi_api_begin(statement->session);
    kd_value value;
    kd_status status = kd_value_parse(ctx, statement->row_arena, NULL, kd_type_of(KD_TYPE_NUMERIC),
                                      kdi_api_slice(text, text_bytes), &value);
    if (status == KD_OK)
        status = set(statement, index, &value);
    return kdi_api_end(statement->session, status);
}

kade_status kade_bind_date(kade_statement *statement, uint32_t index, int32_t days)
{
    return bind(statement, index,
                (kd_value){.type = kd_type_of(KD_TYPE_DATE), .as.i32 = kdi_date_from_unix(days)});
}

kade_status kade_bind_time(kade_statement *statement, uint32_t index, int64_t micros)
{
    return bind(statement, index, (kd_value){.type = kd_type_of(KD_TYPE_TIME), .as.i64 = micros});
}

kade_status kade_bind_timestamp(kade_statement *statement, uint32_t index, int64_t micros)
{
    return bind(statement, index,
                (kd_value){.type = kd_type_of(KD_TYPE_TIMESTAMP),
                           .as.i64 = kdi_timestamp_from_unix(micros)});
}

kade_status kade_bind_timestamptz(kade_statement *statement, uint32_t index, int64_t micros)
{
    return bind(statement, index,
                (kd_value){.type = kd_type_of(KD_TYPE_TIMESTAMPTZ),
                           .as.i64 = kdi_timestamp_from_unix(micros)});
}

kade_status kade_bind_interval(kade_statement *statement, uint32_t index, kade_interval value)
{
    return bind(statement, index, kdi_value_interval(value));
}

kade_status kade_bind_uuid(kade_statement *statement, uint32_t index, const uint8_t bytes[16])
{
    return bind(
        statement, index,
        (kd_value){.type = kd_type_of(KD_TYPE_UUID), .as.i128 = kdi_uuid_from_bytes(bytes)});
}

kade_status kade_clear_bindings(kade_statement *statement)
{
    (void)kdi_api_begin(statement->session);
    if (statement->is_running)
        kdi_statement_stop(statement);
    for (uint32_t i = 0; i < statement->parameter_count; i++)
        statement->parameters[i] = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    return KADE_OK;
}
