/*
 * PostgreSQL's binary form of values, both ways.
 */
#include "types/binary.h"

#include "types/array.h"
#include "types/datetime.h"
#include "types/jsonb.h"
#include "types/numeric.h"
#include "types/record.h"
#include "types/tid.h"
#include "types/type_number.h"
#include "types/utf8.h"

enum {
    NUMERIC_NEGATIVE = 0x4000,
    NUMERIC_NAN = 0xC000,
    NUMERIC_INFINITY = 0xD000,
    NUMERIC_NEGATIVE_INFINITY = 0xF000,
    DEPTH_MAX = 64,
};

kd_status kd_buffer_append_big_u16(kd_ctx *ctx, kd_buffer *out, uint16_t value)
{
    return kd_buffer_append_u16(ctx, out, __builtin_bswap16(value));
}

kd_status kd_buffer_append_big_u32(kd_ctx *ctx, kd_buffer *out, uint32_t value)
{
    return kd_buffer_append_u32(ctx, out, __builtin_bswap32(value));
}

kd_status kd_buffer_append_big_u64(kd_ctx *ctx, kd_buffer *out, uint64_t value)
{
    return kd_buffer_append_u64(ctx, out, __builtin_bswap64(value));
}

/* --- Writing ---------------------------------------------------------------------------------- */

static kd_status append_decimal(kd_ctx *ctx, const kd_decimal *number, kd_buffer *out)
{
    static const uint16_t signs[] = {0, NUMERIC_NAN, NUMERIC_INFINITY, NUMERIC_NEGATIVE_INFINITY};
    uint16_t sign = number->kind != KD_DECIMAL_FINITE ? signs[number->kind]
                    : number->negative                ? NUMERIC_NEGATIVE
                                                      : 0;
    bool is_finite = number->kind == KD_DECIMAL_FINITE;
    KD_TRY(kd_buffer_append_big_u16(ctx, out, is_finite ? (uint16_t)number->digit_count : 0));
    KD_TRY(kd_buffer_append_big_u16(ctx, out, is_finite ? (uint16_t)number->weight : 0));
    KD_TRY(kd_buffer_append_big_u16(ctx, out, sign));
    KD_TRY(kd_buffer_append_big_u16(ctx, out, is_finite ? (uint16_t)number->scale : 0));
    for (uint32_t i = 0; is_finite && i < number->digit_count; i++)
        KD_TRY(kd_buffer_append_big_u16(ctx, out, number->digits[i]));
    return KD_OK;
}

static kd_status append_numeric(kd_ctx *ctx, const kd_value *value, kd_buffer *out)
{
    kd_decimal number;
    kd_arena *scratch = kd_arena_create(ctx, NULL, "numeric", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = kd_decimal_from_payload(ctx, scratch, value->type, &value->as, &number);
    if (status == KD_OK)
        status = append_decimal(ctx, &number, out);
    kd_arena_destroy(scratch);
    return status;
}

static kd_status append_bits(kd_ctx *ctx, kd_slice bits, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)bits.size_bytes));
    for (size_t at = 0; at < bits.size_bytes; at += 8) {
        uint8_t byte = 0;
        for (size_t i = 0; i < 8 && at + i < bits.size_bytes; i++)
            byte = (uint8_t)(byte | (bits.data[at + i] == '1') << (7 - i));
        KD_TRY(kd_buffer_append_byte(ctx, out, byte));
    }
    return KD_OK;
}

static kd_status append_text_form(kd_ctx *ctx, const kd_text_settings *settings,
                                  const kd_value *value, kd_buffer *out)
{
    if (value->type.id == KD_TYPE_JSONB || value->type.id == KD_TYPE_JSONPATH)
        KD_TRY(kd_buffer_append_byte(ctx, out, 1));
    return kd_value_format(ctx, settings, value, out);
}

kd_status kd_binary_append_counted(kd_ctx *ctx, const kd_text_settings *settings,
                                   const kd_value *value, kd_buffer *out)
{
    if (value->is_null)
        return kd_buffer_append_big_u32(ctx, out, UINT32_MAX);
    size_t start = out->size_bytes;
    KD_TRY(kd_buffer_append_big_u32(ctx, out, 0));
    KD_TRY(kd_binary_append(ctx, settings, value, out));
    kd_store_big_u32(out->data + start, (uint32_t)(out->size_bytes - start - 4));
    return KD_OK;
}

static kd_status append_array(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                              kd_buffer *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, value->type, kd_str_slice(&value->as.str), &array));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, array.shape.dimensions));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, array.bitmap != NULL));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)kd_type_number(array.element_type)));
    for (uint32_t i = 0; i < array.shape.dimensions; i++) {
        KD_TRY(kd_buffer_append_big_u32(ctx, out, array.shape.lengths[i]));
        KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)array.shape.lower_bounds[i]));
    }
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        KD_TRY(kd_binary_append_counted(ctx, settings, &element, out));
    }
    return KD_OK;
}

static kd_status append_record(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                               kd_buffer *out)
{
    kd_record record;
    KD_TRY(kd_record_open(ctx, kd_str_slice(&value->as.str), &record));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, record.field_count));
    for (;;) {
        kd_value field;
        bool found;
        KD_TRY(kd_record_next(ctx, &record, NULL, &field, &found));
        if (!found)
            return KD_OK;
        KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)kd_type_number(field.type)));
        KD_TRY(kd_binary_append_counted(ctx, settings, &field, out));
    }
}

static kd_status append_timetz(kd_ctx *ctx, int64_t packed, kd_buffer *out)
{
    kd_timetz value = kd_timetz_unpack(packed);
    KD_TRY(kd_buffer_append_big_u64(ctx, out, (uint64_t)value.time));
    return kd_buffer_append_big_u32(ctx, out, (uint32_t)value.west_s);
}

static kd_status append_interval(kd_ctx *ctx, kd_interval value, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_big_u64(ctx, out, (uint64_t)value.micros));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)value.days));
    return kd_buffer_append_big_u32(ctx, out, (uint32_t)value.months);
}

static kd_status append_uuid(kd_ctx *ctx, kd_i128 held, kd_buffer *out)
{
    kd_u128 bits = (kd_u128)held ^ ((kd_u128)1 << 127);
    KD_TRY(kd_buffer_append_big_u64(ctx, out, (uint64_t)(bits >> 64)));
    return kd_buffer_append_big_u64(ctx, out, (uint64_t)bits);
}

/* A place has more bits here than PostgreSQL's 32 and 16. */
static kd_status append_tid(kd_ctx *ctx, int64_t tid, kd_buffer *out)
{
    uint64_t unit = (uint64_t)tid >> KD_TID_ORDINAL_BITS;
    uint32_t ordinal = (uint32_t)tid & ((1 << KD_TID_ORDINAL_BITS) - 1);
    if (unit > UINT32_MAX || ordinal > UINT16_MAX)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "this ctid has a text form only");
    KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)unit));
    return kd_buffer_append_big_u16(ctx, out, (uint16_t)ordinal);
}

static kd_status append_string(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                               kd_buffer *out)
{
    switch (value->type.id) {
    case KD_TYPE_NUMERIC:
        return append_numeric(ctx, value, out);
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return append_bits(ctx, kd_str_slice(&value->as.str), out);
    case KD_TYPE_RECORD:
        return append_record(ctx, settings, value, out);
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_BYTEA:
    case KD_TYPE_JSON:
    case KD_TYPE_UNKNOWN:
        return kd_buffer_append_slice(ctx, out, kd_str_slice(&value->as.str));
    default:
        return append_text_form(ctx, settings, value, out);
    }
}

kd_status kd_binary_append(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                           kd_buffer *out)
{
    if (value->type.is_array)
        return append_array(ctx, settings, value, out);
    switch (value->type.id) {
    case KD_TYPE_ENUM:
        return kd_value_format(ctx, settings, value, out);
    case KD_TYPE_NUMERIC:
        return append_numeric(ctx, value, out);
    case KD_TYPE_OID:
        return kd_buffer_append_big_u32(ctx, out, (uint32_t)value->as.i64);
    case KD_TYPE_TIMETZ:
        return append_timetz(ctx, value->as.i64, out);
    case KD_TYPE_TID:
        return append_tid(ctx, value->as.i64, out);
    case KD_TYPE_VOID:
        return KD_OK;
    default:
        break;
    }
    switch (kd_type_physical(value->type)) {
    case KD_PHYS_BOOL:
        return kd_buffer_append_byte(ctx, out, value->as.boolean);
    case KD_PHYS_I16:
        return kd_buffer_append_big_u16(ctx, out, (uint16_t)value->as.i16);
    case KD_PHYS_I32:
    case KD_PHYS_F32:
        return kd_buffer_append_big_u32(ctx, out, kd_load_u32(&value->as));
    case KD_PHYS_I64:
    case KD_PHYS_F64:
        return kd_buffer_append_big_u64(ctx, out, kd_load_u64(&value->as));
    case KD_PHYS_I128:
        return append_uuid(ctx, value->as.i128, out);
    case KD_PHYS_INTERVAL:
        return append_interval(ctx, value->as.interval, out);
    default:
        return append_string(ctx, settings, value, out);
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static kd_status malformed(kd_ctx *ctx, kd_type type)
{
    kd_type plain = type;
    plain.is_array = 0;
    return KD_FAIL(ctx, KD_INVALID, "22P03", "incorrect binary data format for type %s%s",
                   kd_type_internal_name(plain), type.is_array ? "[]" : "");
}

static uint16_t read_big_u16(kd_reader *reader)
{
    return __builtin_bswap16(kd_read_u16(reader));
}

static uint32_t read_big_u32(kd_reader *reader)
{
    return __builtin_bswap32(kd_read_u32(reader));
}

static uint64_t read_big_u64(kd_reader *reader)
{
    return __builtin_bswap64(kd_read_u64(reader));
}

static kd_status read_text(kd_ctx *ctx, kd_arena *arena, kd_slice bytes, kd_value *out)
{
    KD_TRY(kd_utf8_check(ctx, bytes));
    return kd_str_copy(ctx, arena, bytes, &out->as.str);
}

/* Digits in PostgreSQL's form; ours has no zeros at either end. */
static kd_status make_decimal(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_reader *reader,
                              kd_decimal *out)
{
    uint32_t count = read_big_u16(reader);
    int32_t weight = (int16_t)read_big_u16(reader);
    uint16_t sign = read_big_u16(reader);
    uint16_t scale = read_big_u16(reader);
    *out = (kd_decimal){.scale = scale, .negative = sign == NUMERIC_NEGATIVE};
    if (reader->failed || scale > KD_NUMERIC_SCALE_MAX ||
        (size_t)(reader->end - reader->at) != 2 * (size_t)count)
        return malformed(ctx, type);
    if (sign == NUMERIC_NAN || sign == NUMERIC_INFINITY || sign == NUMERIC_NEGATIVE_INFINITY) {
        *out = (kd_decimal){.kind = sign == NUMERIC_NAN        ? KD_DECIMAL_NAN
                                    : sign == NUMERIC_INFINITY ? KD_DECIMAL_INFINITY
                                                               : KD_DECIMAL_NEGATIVE_INFINITY};
        return KD_OK;
    }
    if (sign != 0 && sign != NUMERIC_NEGATIVE)
        return malformed(ctx, type);
    uint16_t *digits = KD_NEW_ARRAY(ctx, arena, uint16_t, count + 1);
    if (digits == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        digits[i] = read_big_u16(reader);
        if (digits[i] >= KD_NUMERIC_BASE)
            return malformed(ctx, type);
    }
    for (; count > 0 && digits[0] == 0; count--, weight--)
        digits++;
    while (count > 0 && digits[count - 1] == 0)
        count--;
    out->digits = digits;
    out->digit_count = count;
    out->weight = count == 0 ? 0 : weight;
    out->negative = count > 0 && out->negative;
    return KD_OK;
}

/* Digits below the scale that was given are cut, as PostgreSQL does. */
static kd_status read_numeric(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_reader *reader,
                              kd_value *out)
{
    kd_decimal number;
    KD_TRY(make_decimal(ctx, arena, type, reader, &number));
    if (number.kind == KD_DECIMAL_FINITE)
        KD_TRY(kd_decimal_trunc(ctx, arena, &number, number.scale, &number));
    if (!kd_numeric_is_fixed(type)) {
        KD_TRY(kd_decimal_to_wide(ctx, arena, &number, type, &number));
        return kd_decimal_store(ctx, arena, &number, &out->as.str);
    }
    kd_i128 fixed;
    KD_TRY(kd_decimal_to_fixed(ctx, &number, type, &fixed));
    if (kd_type_physical(type) == KD_PHYS_I64)
        out->as.i64 = (int64_t)fixed;
    else
        out->as.i128 = fixed;
    return KD_OK;
}

static kd_status read_bits(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_reader *reader,
                           kd_value *out)
{
    uint32_t count = read_big_u32(reader);
    if (reader->failed || (size_t)(reader->end - reader->at) != ((size_t)count + 7) / 8)
        return malformed(ctx, type);
    char *bits = kd_alloc_raw(ctx, arena, count);
    if (bits == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        bits[i] = (uint8_t)reader->at[i / 8] >> (7 - i % 8) & 1 ? '1' : '0';
    reader->at = reader->end;
    return kd_str_copy(ctx, arena, (kd_slice){bits, count}, &out->as.str);
}

static kd_status read_parsed(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                             kd_type type, kd_slice bytes, kd_value *out)
{
    bool has_version = type.id == KD_TYPE_JSONB || type.id == KD_TYPE_JSONPATH;
    if (has_version && (bytes.size_bytes == 0 || bytes.data[0] != 1))
        return KD_FAIL(ctx, KD_INVALID, "22P03", "unsupported %s version number",
                       kd_type_internal_name(type));
    if (has_version)
        bytes = (kd_slice){bytes.data + 1, bytes.size_bytes - 1};
    KD_TRY(kd_utf8_check(ctx, bytes));
    return kd_value_parse(ctx, arena, settings, type, bytes, out);
}

static kd_status read_value(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_slice bytes, uint32_t depth, kd_value *out);

/* A length and as many bytes; -1 is NULL. */
static kd_status read_counted(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                              kd_type type, kd_reader *reader, uint32_t depth, kd_value *out)
{
    int32_t size = (int32_t)read_big_u32(reader);
    *out = kd_value_null(type);
    if (size == -1 && !reader->failed)
        return KD_OK;
    const char *bytes = size < 0 ? NULL : kd_read_bytes(reader, (size_t)size);
    if (bytes == NULL || reader->failed)
        return malformed(ctx, type);
    return read_value(ctx, arena, settings, type, (kd_slice){bytes, (size_t)size}, depth, out);
}

static bool read_shape(kd_reader *reader, kd_array_shape *shape, uint64_t *out_count)
{
    uint64_t count = shape->dimensions > 0;
    for (uint32_t i = 0; i < shape->dimensions; i++) {
        shape->lengths[i] = read_big_u32(reader);
        shape->lower_bounds[i] = (int32_t)read_big_u32(reader);
        if (shape->lengths[i] == 0 || shape->lengths[i] > KD_ARRAY_ELEMENTS_MAX ||
            shape->lower_bounds[i] > INT32_MAX - (int32_t)shape->lengths[i])
            return false;
        count *= shape->lengths[i];
        if (count > KD_ARRAY_ELEMENTS_MAX)
            return false;
    }
    *out_count = count;
    /* Each element has a length of four bytes at least. */
    return !reader->failed && count <= (size_t)(reader->end - reader->at) / 4;
}

static kd_status read_array(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_reader *reader, uint32_t depth, kd_value *out)
{
    kd_type element = kd_type_element(type);
    kd_array_shape shape = {.dimensions = read_big_u32(reader)};
    uint32_t has_nulls = read_big_u32(reader);
    uint64_t element_no = read_big_u32(reader);
    uint64_t count;
    if (reader->failed || shape.dimensions > KD_ARRAY_DIMENSIONS_MAX || has_nulls > 1)
        return malformed(ctx, type);
    if (element_no != kd_type_number(element))
        return KD_FAIL(ctx, KD_INVALID, "42804", "wrong element type");
    if (shape.dimensions > 0 && reader->at == reader->end)
        return malformed(ctx, type);
    if (!read_shape(reader, &shape, &count)) {
        /* An empty array may have dimensions of length 0. */
        bool is_empty = shape.dimensions == 1 && shape.lengths[0] == 0 && !reader->failed;
        if (!is_empty)
            return malformed(ctx, type);
        return kd_array_make(ctx, arena, element, NULL, 0, &out->as.str);
    }
    kd_value *elements = KD_NEW_ARRAY(ctx, arena, kd_value, count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint64_t i = 0; i < count; i++)
        KD_TRY(read_counted(ctx, arena, settings, element, reader, depth + 1, &elements[i]));
    if (count == 0)
        return kd_array_make(ctx, arena, element, NULL, 0, &out->as.str);
    return kd_array_make_shaped(ctx, arena, element, &shape, elements, &out->as.str);
}

static kd_status read_record(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                             kd_type type, kd_reader *reader, uint32_t depth, kd_value *out)
{
    kd_record_shape shape;
    if (type.object == 0 || settings == NULL || settings->row_shape == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "input of anonymous composite types is not implemented");
    KD_TRY(settings->row_shape(ctx, settings->enum_object, arena, type, &shape));
    uint32_t count = read_big_u32(reader);
    if (reader->failed || count != shape.field_count)
        return KD_FAIL(ctx, KD_INVALID, "42804", "wrong number of columns: %u, expected %u", count,
                       shape.field_count);
    kd_value *fields = KD_NEW_ARRAY(ctx, arena, kd_value, count + 1);
    if (fields == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = read_big_u32(reader);
        if (reader->failed)
            return malformed(ctx, type);
        if (number != kd_type_number(shape.types[i]))
            return KD_FAIL(ctx, KD_INVALID, "42804", "wrong data type of column %u", i + 1);
        KD_TRY(read_counted(ctx, arena, settings, shape.types[i], reader, depth + 1, &fields[i]));
    }
    return kd_record_make(ctx, arena, &shape, fields, &out->as.str);
}

static kd_status read_moment(kd_ctx *ctx, kd_type type, kd_reader *reader, kd_value *out)
{
    switch (type.id) {
    case KD_TYPE_DATE:
        out->as.i32 = (int32_t)read_big_u32(reader);
        if (kd_date_is_finite(out->as.i32) &&
            (out->as.i32 < KD_DATE_MIN || out->as.i32 > KD_DATE_MAX))
            return KD_FAIL(ctx, KD_INVALID, "22008", "date out of range");
        return KD_OK;
    case KD_TYPE_TIME:
        out->as.i64 = (int64_t)read_big_u64(reader);
        if (out->as.i64 < 0 || out->as.i64 > KD_DAY_US)
            return KD_FAIL(ctx, KD_INVALID, "22008", "time out of range");
        return KD_OK;
    case KD_TYPE_TIMETZ: {
        int64_t time = (int64_t)read_big_u64(reader);
        int32_t west_s = (int32_t)read_big_u32(reader);
        if (time < 0 || time > KD_DAY_US)
            return KD_FAIL(ctx, KD_INVALID, "22008", "time out of range");
        if (west_s < -KD_TIMETZ_WEST_MAX || west_s > KD_TIMETZ_WEST_MAX)
            return KD_FAIL(ctx, KD_INVALID, "22009", "time zone displacement out of range");
        out->as.i64 = kd_timetz_pack((kd_timetz){.time = time, .west_s = west_s});
        return KD_OK;
    }
    case KD_TYPE_TIMESTAMP_NS:
        out->as.i64 = (int64_t)read_big_u64(reader);
        return KD_OK;
    default:
        out->as.i64 = (int64_t)read_big_u64(reader);
        return kd_timestamp_is_finite(out->as.i64) ? kd_timestamp_check(ctx, out->as.i64) : KD_OK;
    }
}

static kd_status read_plain(kd_ctx *ctx, kd_type type, kd_reader *reader, kd_value *out)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        out->as.boolean = kd_read_u8(reader) != 0;
        return KD_OK;
    case KD_PHYS_I16:
        out->as.i16 = (int16_t)read_big_u16(reader);
        return KD_OK;
    case KD_PHYS_I32:
    case KD_PHYS_F32:
        kd_store_u32(&out->as, read_big_u32(reader));
        return KD_OK;
    case KD_PHYS_I64:
    case KD_PHYS_F64:
        kd_store_u64(&out->as, read_big_u64(reader));
        return KD_OK;
    case KD_PHYS_I128: {
        kd_u128 high = read_big_u64(reader);
        kd_u128 bits = high << 64 | read_big_u64(reader);
        out->as.i128 = (kd_i128)(bits ^ ((kd_u128)1 << 127));
        return KD_OK;
    }
    case KD_PHYS_INTERVAL:
        out->as.interval.micros = (int64_t)read_big_u64(reader);
        out->as.interval.days = (int32_t)read_big_u32(reader);
        out->as.interval.months = (int32_t)read_big_u32(reader);
        return KD_OK;
    default:
        return malformed(ctx, type);
    }
}

static kd_status read_scalar(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                             kd_type type, kd_reader *reader, kd_value *out)
{
    kd_slice bytes = {reader->at, (size_t)(reader->end - reader->at)};
    switch (type.id) {
    case KD_TYPE_NUMERIC:
        return read_numeric(ctx, arena, type, reader, out);
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return read_bits(ctx, arena, type, reader, out);
    case KD_TYPE_OID:
        out->as.i64 = (int64_t)read_big_u32(reader);
        return KD_OK;
    case KD_TYPE_TID: {
        uint64_t unit = read_big_u32(reader);
        out->as.i64 = (int64_t)(unit << KD_TID_ORDINAL_BITS | read_big_u16(reader));
        return KD_OK;
    }
    case KD_TYPE_DATE:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
        return read_moment(ctx, type, reader, out);
    case KD_TYPE_BYTEA:
        reader->at = reader->end;
        return kd_str_copy(ctx, arena, bytes, &out->as.str);
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_UNKNOWN:
        reader->at = reader->end;
        return read_text(ctx, arena, bytes, out);
    case KD_TYPE_CHAR:
    case KD_TYPE_JSON:
    case KD_TYPE_JSONB:
    case KD_TYPE_JSONPATH:
    case KD_TYPE_ENUM:
        reader->at = reader->end;
        return read_parsed(ctx, arena, settings, type, bytes, out);
    default:
        return read_plain(ctx, type, reader, out);
    }
}

static kd_status read_value(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                            kd_type type, kd_slice bytes, uint32_t depth, kd_value *out)
{
    kd_reader reader = kd_reader_of(bytes);
    *out = (kd_value){.type = type};
    if (depth > DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "values are nested too deeply");
    if (type.is_array)
        KD_TRY(read_array(ctx, arena, settings, type, &reader, depth, out));
    else if (type.id == KD_TYPE_RECORD)
        KD_TRY(read_record(ctx, arena, settings, type, &reader, depth, out));
    else
        KD_TRY(read_scalar(ctx, arena, settings, type, &reader, out));
    return reader.failed || reader.at != reader.end ? malformed(ctx, type) : KD_OK;
}

kd_status kd_binary_read(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type type, kd_slice bytes, kd_value *out_value)
{
    kd_status status = read_value(ctx, arena, settings, type, bytes, 0, out_value);
    if (status != KD_OK)
        *out_value = kd_value_null(type);
    return status;
}
