/*
 * Single values: text, order, hash and stored form, by type.
 */
#include "types/value.h"

#include "base/hash.h"
#include "types/array.h"
#include "types/bits.h"
#include "types/bytes_text.h"
#include "types/datetime.h"
#include "types/interval.h"
#include "types/jsonb.h"
#include "types/jsonpath.h"
#include "types/number_text.h"
#include "types/numeric.h"
#include "types/record.h"
#include "types/tid.h"
#include "types/utf8.h"

#include <assert.h>
#include <math.h>

kd_value kd_value_bool(bool value)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_BOOL), .as.boolean = value};
}

kd_value kd_value_i32(int32_t value)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_INT4), .as.i32 = value};
}

kd_value kd_value_i64(int64_t value)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_INT8), .as.i64 = value};
}

kd_value kd_value_f64(double value)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_FLOAT8), .as.f64 = value};
}

kd_value kd_value_text(kd_slice text)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_TEXT),
                      .as.str = kd_str_from(text.data, text.size_bytes)};
}

kd_status kd_value_copy(kd_ctx *ctx, kd_arena *arena, const kd_value *value, kd_value *out_copy)
{
    kd_value copy = *value;
    *out_copy = kd_value_null(value->type);
    if (!value->is_null && kd_type_physical(value->type) == KD_PHYS_STR)
        KD_TRY(kd_str_copy(ctx, arena, kd_str_slice(&value->as.str), &copy.as.str));
    *out_copy = copy;
    return KD_OK;
}

/* ---- Text to value ---- */

kd_status kd_text_fit(kd_ctx *ctx, kd_type type, bool is_explicit_cast, kd_slice text,
                      kd_slice *out_text)
{
    *out_text = text;
    if (type.modifier >= 0 && text.size_bytes > (size_t)type.modifier) {
        size_t kept = kd_utf8_offset(text, (size_t)type.modifier);
        for (size_t i = kept; i < text.size_bytes && !is_explicit_cast; i++)
            if (text.data[i] != ' ')
                return KD_FAIL(ctx, KD_INVALID, "22001", "value too long for type %s(%d)",
                               type.id == KD_TYPE_CHAR ? "character" : "character varying",
                               type.modifier);
        out_text->size_bytes = kept;
    }
    if (type.id == KD_TYPE_CHAR)
        while (out_text->size_bytes > 0 && out_text->data[out_text->size_bytes - 1] == ' ')
            out_text->size_bytes--;
    return KD_OK;
}

static kd_status parse_string(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice text,
                              kd_str *out)
{
    KD_TRY(kd_utf8_check(ctx, text));
    if (type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_CHAR)
        KD_TRY(kd_text_fit(ctx, type, false, text, &text));
    if (type.id == KD_TYPE_JSON)
        KD_TRY(kd_json_check(ctx, text));
    return kd_str_copy(ctx, arena, text, out);
}

static kd_status parse_numeric(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice text,
                               kd_value *out)
{
    kd_physical physical = kd_type_physical(type);
    if (physical != KD_PHYS_STR) {
        kd_i128 fixed;
        KD_TRY(kd_fixed_parse(ctx, type, text, &fixed));
        if (physical == KD_PHYS_I64)
            out->as.i64 = (int64_t)fixed;
        else
            out->as.i128 = fixed;
        return KD_OK;
    }
    kd_decimal number;
    KD_TRY(kd_decimal_parse(ctx, arena, text, &number));
    KD_TRY(kd_decimal_to_wide(ctx, arena, &number, type, &number));
    return kd_decimal_store(ctx, arena, &number, &out->as.str);
}

static kd_status parse_integer(kd_ctx *ctx, kd_type type, kd_slice text, kd_value *out)
{
    int64_t value;
    switch ((kd_type_id)type.id) {
    case KD_TYPE_INT2:
        KD_TRY(kd_integer_parse(ctx, text, "smallint", INT16_MIN, INT16_MAX, &value));
        out->as.i16 = (int16_t)value;
        return KD_OK;
    case KD_TYPE_INT4:
        KD_TRY(kd_integer_parse(ctx, text, "integer", INT32_MIN, INT32_MAX, &value));
        out->as.i32 = (int32_t)value;
        return KD_OK;
    case KD_TYPE_OID:
        /* What is negative is taken as the bits that it has. */
        KD_TRY(kd_integer_parse(ctx, text, "oid", INT32_MIN, UINT32_MAX, &value));
        value &= UINT32_MAX;
        break;
    default:
        KD_TRY(kd_integer_parse(ctx, text, "bigint", INT64_MIN, INT64_MAX, &value));
        break;
    }
    out->as.i64 = value;
    return KD_OK;
}

static kd_status parse_time(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_slice text, kd_value *out)
{
    int64_t *target = &out->as.i64;
    switch ((kd_type_id)type.id) {
    case KD_TYPE_DATE:
        return kd_date_parse(ctx, arena, settings, text, &out->as.i32);
    case KD_TYPE_TIME:
        KD_TRY(kd_time_parse(ctx, arena, settings, text, target));
        break;
    case KD_TYPE_TIMETZ:
        KD_TRY(kd_timetz_parse(ctx, arena, settings, text, target));
        *target = kd_timetz_round(*target, type.modifier);
        return KD_OK;
    case KD_TYPE_TIMESTAMP:
        KD_TRY(kd_timestamp_parse(ctx, arena, settings, text, target));
        break;
    case KD_TYPE_TIMESTAMPTZ:
        KD_TRY(kd_timestamptz_parse(ctx, arena, settings, text, target));
        break;
    default:
        return kd_timestamp_ns_parse(ctx, arena, settings, text, target);
    }
    if (type.modifier >= 0)
        *target = kd_timestamp_round(*target, type.modifier);
    return KD_OK;
}

static kd_status parse_enum(kd_ctx *ctx, const kd_text_settings *settings, kd_type type,
                            kd_slice text, int32_t *out_rank)
{
    if (settings == NULL || settings->enum_rank == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "enum labels are not known here");
    int32_t rank;
    KD_TRY(settings->enum_rank(ctx, settings->enum_object, type, text, &rank));
    if (rank < 0)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input value for enum: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    *out_rank = rank;
    return KD_OK;
}

static kd_status parse_bytes(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice text, kd_str *out)
{
    kd_slice bytes;
    if (type.id == KD_TYPE_JSONB)
        KD_TRY(kd_jsonb_parse(ctx, arena, text, &bytes));
    else
        KD_TRY(kd_bytea_parse(ctx, arena, text, &bytes));
    *out = kd_str_from(bytes.data, bytes.size_bytes);
    return KD_OK;
}

/* What is kept is the canonical text. */
static kd_status parse_path(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_str *out)
{
    kd_jsonpath path;
    kd_buffer canonical = kd_buffer_in(arena);
    KD_TRY(kd_utf8_check(ctx, text));
    KD_TRY(kd_jsonpath_parse(ctx, arena, text, &path));
    KD_TRY(kd_jsonpath_format(ctx, &path, &canonical));
    *out = kd_str_from(canonical.data, canonical.size_bytes);
    return KD_OK;
}

static kd_status parse_row(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                           kd_type type, kd_slice text, kd_str *out)
{
    if (type.object == 0 || (type.object & KD_ROW_IS_LOCAL) != 0 || settings == NULL ||
        settings->row_shape == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "input of anonymous composite types is not implemented");
    kd_record_shape shape;
    KD_TRY(settings->row_shape(ctx, settings->enum_object, arena, type, &shape));
    return kd_record_parse(ctx, arena, settings, &shape, text, out);
}

static kd_status parse_object(kd_ctx *ctx, const kd_text_settings *settings, kd_type type,
                              kd_slice text, int64_t *out_no)
{
    if (settings == NULL || settings->object_no == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "names of objects are not known here");
    return settings->object_no(ctx, settings, type, text, out_no);
}

/* One case per type. */
static kd_status parse_scalar(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                              kd_type type, kd_slice text, kd_value *out)
{
    switch ((kd_type_id)type.id) {
    case KD_TYPE_BOOL:
        return kd_bool_parse(ctx, text, &out->as.boolean);
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
        return parse_integer(ctx, type, text, out);
    case KD_TYPE_OID:
        return type.object == 0 ? parse_integer(ctx, type, text, out)
                                : parse_object(ctx, settings, type, text, &out->as.i64);
    case KD_TYPE_FLOAT4:
        return kd_float4_parse(ctx, text, &out->as.f32);
    case KD_TYPE_FLOAT8:
        return kd_float8_parse(ctx, text, &out->as.f64);
    case KD_TYPE_NUMERIC:
        return parse_numeric(ctx, arena, type, text, out);
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
    case KD_TYPE_TIMETZ:
        return parse_time(ctx, arena, settings, type, text, out);
    case KD_TYPE_TID:
        return kd_tid_parse(ctx, text, &out->as.i64);
    case KD_TYPE_INTERVAL:
        return kd_interval_parse(ctx, settings, text, type.modifier, &out->as.interval);
    case KD_TYPE_UUID:
        return kd_uuid_parse(ctx, text, &out->as.i128);
    case KD_TYPE_BYTEA:
    case KD_TYPE_JSONB:
        return parse_bytes(ctx, arena, type, text, &out->as.str);
    case KD_TYPE_ENUM:
        return parse_enum(ctx, settings, type, text, &out->as.i32);
    case KD_TYPE_UNKNOWN:
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
    case KD_TYPE_JSON:
        return parse_string(ctx, arena, type, text, &out->as.str);
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return kd_bits_parse(ctx, arena, type, text, &out->as.str);
    case KD_TYPE_JSONPATH:
        return parse_path(ctx, arena, text, &out->as.str);
    case KD_TYPE_RECORD:
        return parse_row(ctx, arena, settings, type, text, &out->as.str);
    case KD_TYPE_VOID:
        return KD_OK;
    case KD_TYPE_COUNT:
        break;
    }
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "unknown type %u", type.id);
}

kd_status kd_value_parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type type, kd_slice text, kd_value *out_value)
{
    *out_value = kd_value_null(type);
    kd_value value = {.type = type};
    if (type.is_array)
        KD_TRY(kd_array_parse(ctx, arena, settings, type, text, &value.as.str));
    else
        KD_TRY(parse_scalar(ctx, arena, settings, type, text, &value));
    *out_value = value;
    return KD_OK;
}

/* ---- Value to text ---- */

static kd_status format_number(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                               kd_buffer *out)
{
    int extra_digits = settings == NULL ? 1 : settings->extra_float_digits;
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, KD_NUMBER_TEXT_BYTES, &at));
    switch ((kd_type_id)value->type.id) {
    case KD_TYPE_INT2:
        out->size_bytes += kd_int64_format(value->as.i16, at);
        break;
    case KD_TYPE_INT4:
        out->size_bytes += kd_int64_format(value->as.i32, at);
        break;
    case KD_TYPE_FLOAT4:
        out->size_bytes += kd_float4_format(value->as.f32, extra_digits, at);
        break;
    case KD_TYPE_FLOAT8:
        out->size_bytes += kd_float8_format(value->as.f64, extra_digits, at);
        break;
    default:
        out->size_bytes += kd_int64_format(value->as.i64, at);
        break;
    }
    out->data[out->size_bytes] = '\0';
    return KD_OK;
}

static kd_status format_numeric(kd_ctx *ctx, const kd_value *value, kd_buffer *out)
{
    kd_physical physical = kd_type_physical(value->type);
    if (physical != KD_PHYS_STR)
        return kd_fixed_format(ctx, physical == KD_PHYS_I64 ? value->as.i64 : value->as.i128,
                               kd_numeric_scale(value->type), out);
    kd_decimal number;
    KD_TRY(kd_decimal_load(ctx, out->arena, &value->as.str, &number));
    return kd_decimal_format(ctx, &number, out);
}

static kd_status format_time(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                             kd_buffer *out)
{
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, KD_DATETIME_TEXT_BYTES, &at));
    switch ((kd_type_id)value->type.id) {
    case KD_TYPE_DATE:
        out->size_bytes += kd_date_format(settings, value->as.i32, at);
        break;
    case KD_TYPE_TIME:
        out->size_bytes += kd_time_format(value->as.i64, at);
        break;
    case KD_TYPE_TIMETZ:
        out->size_bytes += kd_timetz_format(value->as.i64, at);
        break;
    case KD_TYPE_TIMESTAMP:
        out->size_bytes += kd_timestamp_format(settings, value->as.i64, at);
        break;
    case KD_TYPE_TIMESTAMPTZ:
        out->size_bytes += kd_timestamptz_format(settings, value->as.i64, at);
        break;
    default:
        out->size_bytes += kd_timestamp_ns_format(value->as.i64, at);
        break;
    }
    out->data[out->size_bytes] = '\0';
    return KD_OK;
}

static kd_status format_string(kd_ctx *ctx, const kd_value *value, kd_buffer *out)
{
    kd_slice text = kd_str_slice(&value->as.str);
    KD_TRY(kd_buffer_append_slice(ctx, out, text));
    if (value->type.id != KD_TYPE_CHAR || value->type.modifier < 0)
        return KD_OK;
    size_t length = kd_utf8_length(text);
    size_t padding =
        length < (size_t)value->type.modifier ? (size_t)value->type.modifier - length : 0;
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, padding, &at));
    memset(at, ' ', padding);
    at[padding] = '\0';
    out->size_bytes += padding;
    return KD_OK;
}

static kd_status format_enum(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                             kd_buffer *out)
{
    if (settings == NULL || settings->enum_label == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "enum labels are not known here");
    kd_slice label;
    KD_TRY(settings->enum_label(ctx, settings->enum_object, value->type, value->as.i32, &label));
    return kd_buffer_append_slice(ctx, out, label);
}

kd_status kd_value_format(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                          kd_buffer *out)
{
    if (value->is_null)
        return KD_OK;
    if (value->type.is_array)
        return kd_array_format(ctx, settings, value->type, kd_str_slice(&value->as.str), out);
    switch ((kd_type_id)value->type.id) {
    case KD_TYPE_BOOL:
        return kd_buffer_append(ctx, out, value->as.boolean ? "t" : "f", 1);
    case KD_TYPE_NUMERIC:
        return format_numeric(ctx, value, out);
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
    case KD_TYPE_TIMETZ:
        return format_time(ctx, settings, value, out);
    case KD_TYPE_TID:
        return kd_tid_format(ctx, value->as.i64, out);
    case KD_TYPE_INTERVAL:
        return kd_interval_format(ctx,
                                  settings == NULL ? KD_INTERVAL_STYLE_POSTGRES
                                                   : (kd_interval_style)settings->interval_style,
                                  value->as.interval, out);
    case KD_TYPE_UUID: {
        char text[KD_UUID_TEXT_BYTES];
        kd_uuid_format(value->as.i128, text);
        return kd_buffer_append(ctx, out, text, sizeof text);
    }
    case KD_TYPE_BYTEA:
        return kd_bytea_format(ctx, kd_str_slice(&value->as.str),
                               settings != NULL && settings->bytea_escape_output, out);
    case KD_TYPE_JSONB:
        return kd_jsonb_format(ctx, kd_str_slice(&value->as.str), out);
    case KD_TYPE_ENUM:
        return format_enum(ctx, settings, value, out);
    case KD_TYPE_RECORD:
        return kd_record_format(ctx, settings, kd_str_slice(&value->as.str), out);
    case KD_TYPE_VOID:
        return KD_OK;
    case KD_TYPE_OID:
        if (value->type.object != 0 && settings != NULL && settings->object_name != NULL)
            return settings->object_name(ctx, settings, value->type, value->as.i64, out);
        return format_number(ctx, settings, value, out);
    default:
        if (kd_type_physical(value->type) == KD_PHYS_STR)
            return format_string(ctx, value, out);
        return format_number(ctx, settings, value, out);
    }
}

/* ---- Order and hash ---- */

static int order_of(int difference)
{
    return (difference > 0) - (difference < 0);
}

static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int compare_strings(kd_type type, const kd_str *a, const kd_str *b)
{
    if (type.is_array)
        return kd_array_compare(type, kd_str_slice(a), kd_str_slice(b));
    if (type.id == KD_TYPE_NUMERIC)
        return kd_numeric_compare(kd_str_slice(a), kd_str_slice(b));
    if (type.id == KD_TYPE_JSONB)
        return kd_jsonb_compare(kd_str_slice(a), kd_str_slice(b));
    if (type.id == KD_TYPE_RECORD)
        return kd_record_compare(kd_str_slice(a), kd_str_slice(b));
    return order_of(kd_str_compare(a, b));
}

#define LOAD(type, address) (*(const type *)(address))

static kd_i128 load_i128(const void *payload)
{
    kd_i128 value;
    memcpy(&value, payload, sizeof value);
    return value;
}

int64_t kd_value_ordinal(const kd_value *value)
{
    switch (kd_type_physical(value->type)) {
    case KD_PHYS_I16:
        return value->as.i16;
    case KD_PHYS_I32:
        return value->as.i32;
    default:
        return value->as.i64;
    }
}

int kd_payload_compare(kd_type type, const void *a, const void *b)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return LOAD(uint8_t, a) - LOAD(uint8_t, b);
    case KD_PHYS_I16:
        return order_of(LOAD(int16_t, a) - LOAD(int16_t, b));
    case KD_PHYS_I32:
        return (LOAD(int32_t, a) > LOAD(int32_t, b)) - (LOAD(int32_t, a) < LOAD(int32_t, b));
    case KD_PHYS_I64:
        return (LOAD(int64_t, a) > LOAD(int64_t, b)) - (LOAD(int64_t, a) < LOAD(int64_t, b));
    case KD_PHYS_I128:
        return (load_i128(a) > load_i128(b)) - (load_i128(a) < load_i128(b));
    case KD_PHYS_F32:
        return compare_doubles((double)LOAD(float, a), (double)LOAD(float, b));
    case KD_PHYS_F64:
        return compare_doubles(LOAD(double, a), LOAD(double, b));
    case KD_PHYS_STR:
        return compare_strings(type, a, b);
    case KD_PHYS_INTERVAL:
        return kd_interval_compare(LOAD(kd_interval, a), LOAD(kd_interval, b));
    case KD_PHYS_COUNT:
        break;
    }
    return 0;
}

bool kd_payload_equal(kd_type type, const void *a, const void *b)
{
    if (kd_type_physical(type) == KD_PHYS_STR && !type.is_array && type.id != KD_TYPE_NUMERIC &&
        type.id != KD_TYPE_JSONB && type.id != KD_TYPE_RECORD)
        return kd_str_equal(a, b);
    return kd_payload_compare(type, a, b) == 0;
}

static uint64_t hash_double(double value)
{
    if (isnan(value))
        return kd_hash_u64(0x7ff8000000000000u);
    if (value == 0)
        value = 0; /* -0 equals 0. */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return kd_hash_u64(bits);
}

static uint64_t hash_string(kd_type type, const kd_str *str)
{
    kd_slice bytes = kd_str_slice(str);
    if (type.is_array)
        return kd_array_hash(type, bytes);
    if (type.id == KD_TYPE_NUMERIC)
        return kd_numeric_hash(bytes);
    if (type.id == KD_TYPE_JSONB)
        return kd_jsonb_hash(bytes);
    if (type.id == KD_TYPE_RECORD)
        return kd_record_hash(bytes);
    return kd_hash_bytes(bytes.data, bytes.size_bytes);
}

uint64_t kd_payload_hash(kd_type type, const void *payload)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return kd_hash_u64(LOAD(uint8_t, payload));
    case KD_PHYS_I16:
        return kd_hash_u64((uint64_t)(int64_t)LOAD(int16_t, payload));
    case KD_PHYS_I32:
        return kd_hash_u64((uint64_t)(int64_t)LOAD(int32_t, payload));
    case KD_PHYS_I64:
        return kd_hash_u64(LOAD(uint64_t, payload));
    case KD_PHYS_I128:
        return kd_hash_combine(kd_hash_u64(kd_load_u64(payload)),
                               kd_load_u64((const char *)payload + 8));
    case KD_PHYS_F32:
        return hash_double((double)LOAD(float, payload));
    case KD_PHYS_F64:
        return hash_double(LOAD(double, payload));
    case KD_PHYS_STR:
        return hash_string(type, payload);
    case KD_PHYS_INTERVAL:
        return kd_interval_hash(LOAD(kd_interval, payload));
    case KD_PHYS_COUNT:
        break;
    }
    return 0;
}

#undef LOAD

int kd_value_compare(const kd_value *a, const kd_value *b)
{
    assert(!a->is_null);
    assert(!b->is_null);
    return kd_payload_compare(a->type, &a->as, &b->as);
}

uint64_t kd_value_hash(const kd_value *value)
{
    if (value->is_null)
        return kd_hash_u64(0x4e554c4cu);
    return kd_payload_hash(value->type, &value->as);
}

/* ---- Stored form ---- */

kd_status kd_value_append(kd_ctx *ctx, const kd_value *value, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, value->is_null ? 0 : 1));
    if (value->is_null)
        return KD_OK;
    kd_physical physical = kd_type_physical(value->type);
    if (physical == KD_PHYS_STR)
        return kd_buffer_append_counted(ctx, out, kd_str_slice(&value->as.str));
    return kd_buffer_append(ctx, out, &value->as, kd_physical_bytes(physical));
}

kd_status kd_value_read(kd_ctx *ctx, kd_type type, kd_reader *reader, kd_value *out_value)
{
    *out_value = kd_value_null(type);
    uint8_t flag = kd_read_u8(reader);
    if (reader->failed || flag > 1)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored value has a wrong flag");
    if (flag == 0)
        return KD_OK;
    kd_value value = {.type = type};
    kd_physical physical = kd_type_physical(type);
    if (physical == KD_PHYS_STR) {
        kd_slice bytes = kd_read_slice(reader);
        if (!reader->failed && bytes.size_bytes > UINT32_MAX)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored value is too long");
        value.as.str = kd_str_from(bytes.data, bytes.size_bytes);
    } else {
        const char *bytes = kd_read_bytes(reader, kd_physical_bytes(physical));
        if (bytes != NULL)
            memcpy(&value.as, bytes, kd_physical_bytes(physical));
    }
    if (reader->failed)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored value is cut short");
    if (physical == KD_PHYS_BOOL && kd_load_u16(&value.as) % 256 > 1)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "stored boolean is neither 0 nor 1");
    *out_value = value;
    return KD_OK;
}
