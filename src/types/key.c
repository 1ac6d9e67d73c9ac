/*
 * Memory-comparable keys.
 *
 *   NULL         0x01 (first) or 0xff (last)
 *   a value      0x02, then by type, all of it inverted when descending:
 *   integers     big-endian with the sign bit flipped
 *   floats       IEEE bits, big-endian; negative ones inverted, others with the sign bit flipped;
 *                one NaN, above infinity, and one zero
 *   interval     its normalised microseconds as a 128-bit integer
 *   text, bytea  the bytes, 0x00 written as 0x00 0xff, ended by 0x00 0x00
 *   numeric      a class byte; for numbers a biased weight and the digits plus one, big-endian,
 *                ended by 0x00 0x00; inverted for negative ones
 *   jsonb        kind rank, then count or scalar, members in turn (jsonb's own order)
 *   arrays       0x01 and the element's key for each element (NULLs last), then 0x00; then the
 *                dimensions, lengths and lower bounds as integers
 *   rows         0x01, the field's type and its key for each field (NULLs last), then 0x00
 *
 * No key is a prefix of another of its type, so composite keys are concatenations.
 */
#include "types/array.h"
#include "types/interval.h"
#include "types/jsonb.h"
#include "types/numeric.h"
#include "types/record.h"

#include <assert.h>
#include <math.h>

enum { KEY_NULL_FIRST = 0x01, KEY_VALUE = 0x02, KEY_NULL_LAST = 0xff };

enum {
    NUMERIC_NEGATIVE_INFINITY = 0x10,
    NUMERIC_NEGATIVE = 0x20,
    NUMERIC_ZERO = 0x30,
    NUMERIC_POSITIVE = 0x40,
    NUMERIC_INFINITY = 0x50,
    NUMERIC_NAN = 0x60,
    NUMERIC_WEIGHT_BIAS = 0x4000 * 2,
};

bool kd_key_is_exact(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    return !type.is_array && physical != KD_PHYS_INTERVAL && physical != KD_PHYS_F32 &&
           physical != KD_PHYS_F64 &&
           !(physical == KD_PHYS_STR &&
             (type.id == KD_TYPE_NUMERIC || type.id == KD_TYPE_JSONB || type.id == KD_TYPE_RECORD));
}

/* ---- Appending ---- */

static void big_endian_store(char *at, kd_u128 value, uint32_t size_bytes)
{
    for (uint32_t i = size_bytes; i-- > 0;) {
        at[i] = (char)value;
        value >>= 8;
    }
}

static kd_status append_integer(kd_ctx *ctx, kd_i128 value, uint32_t size_bytes, kd_buffer *out)
{
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, size_bytes, &at));
    kd_u128 flipped = (kd_u128)value ^ (kd_u128)1 << (size_bytes * 8 - 1);
    if (size_bytes <= 8) {
        uint64_t swapped = __builtin_bswap64((uint64_t)flipped << (64 - size_bytes * 8));
        memcpy(at, &swapped, size_bytes);
    } else {
        big_endian_store(at, flipped, size_bytes);
    }
    out->size_bytes += size_bytes;
    return KD_OK;
}

static kd_status append_float(kd_ctx *ctx, double value, bool is_float4, kd_buffer *out)
{
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, 8, &at));
    if (isnan(value))
        value = (double)NAN;
    if (value == 0)
        value = 0;
    uint32_t size_bytes = is_float4 ? 4 : 8;
    uint64_t bits = 0;
    if (is_float4) {
        float narrow = (float)value;
        memcpy(&bits, &narrow, sizeof narrow);
    } else {
        memcpy(&bits, &value, sizeof value);
    }
    uint64_t sign = (uint64_t)1 << (size_bytes * 8 - 1);
    if (isnan(value))
        bits &= ~sign; /* The sign of a NaN means nothing. */
    bits = (bits & sign) != 0 ? ~bits : bits | sign;
    big_endian_store(at, bits, size_bytes);
    out->size_bytes += size_bytes;
    return KD_OK;
}

static kd_status append_bytes(kd_ctx *ctx, kd_slice bytes, kd_buffer *out)
{
    const char *at = bytes.data;
    size_t left = bytes.size_bytes;
    while (left > 0) {
        const char *zero = memchr(at, 0, left);
        size_t plain = zero == NULL ? left : (size_t)(zero - at);
        KD_TRY(kd_buffer_append(ctx, out, at, plain));
        if (zero == NULL)
            break;
        KD_TRY(kd_buffer_append(ctx, out, "\0\xff", 2));
        at = zero + 1;
        left -= plain + 1;
    }
    return kd_buffer_append(ctx, out, "\0\0", 2);
}

static void invert(char *at, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        at[i] = (char)~at[i];
}

static kd_status append_numeric(kd_ctx *ctx, kd_slice stored, kd_buffer *out)
{
    static const uint8_t special_classes[4] = {0, NUMERIC_NAN, NUMERIC_INFINITY,
                                               NUMERIC_NEGATIVE_INFINITY};
    kd_str str = kd_str_from(stored.data, stored.size_bytes);
    kd_decimal number;
    KD_TRY(kd_decimal_load(ctx, out->arena, &str, &number));
    if (number.kind != KD_DECIMAL_FINITE)
        return kd_buffer_append_byte(ctx, out, special_classes[number.kind]);
    if (number.digit_count == 0)
        return kd_buffer_append_byte(ctx, out, NUMERIC_ZERO);
    size_t size_bytes = 1 + 2 + (size_t)number.digit_count * 2 + 2;
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, size_bytes, &at));
    at[0] = NUMERIC_POSITIVE;
    big_endian_store(at + 1, (kd_u128)(number.weight + NUMERIC_WEIGHT_BIAS), 2);
    for (uint32_t i = 0; i < number.digit_count; i++)
        big_endian_store(at + 3 + 2 * (size_t)i, (kd_u128)number.digits[i] + 1, 2);
    memset(at + size_bytes - 2, 0, 2);
    if (number.negative) {
        at[0] = NUMERIC_NEGATIVE;
        invert(at + 1, size_bytes - 1);
    }
    out->size_bytes += size_bytes;
    return KD_OK;
}

/* Ranks of jsonb kinds in keys; booleans are two. */
enum {
    JSON_RANK_EMPTY_ARRAY = 0, /* Only as the whole value. */
    JSON_RANK_NULL = 1,
    JSON_RANK_STRING,
    JSON_RANK_NUMBER,
    JSON_RANK_FALSE,
    JSON_RANK_TRUE,
    JSON_RANK_ARRAY,
    JSON_RANK_OBJECT,
};

/* Recursion depth is the JSON parser's limit at most; beyond this a key is refused. */
enum { JSON_KEY_DEPTH_MAX = 200 };

static kd_status append_json(kd_ctx *ctx, kd_slice stored, uint32_t depth, kd_buffer *out)
{
    static const uint8_t ranks[7] = {
        [KD_JSONB_NULL] = JSON_RANK_NULL,     [KD_JSONB_FALSE] = JSON_RANK_FALSE,
        [KD_JSONB_TRUE] = JSON_RANK_TRUE,     [KD_JSONB_NUMBER] = JSON_RANK_NUMBER,
        [KD_JSONB_STRING] = JSON_RANK_STRING, [KD_JSONB_ARRAY] = JSON_RANK_ARRAY,
        [KD_JSONB_OBJECT] = JSON_RANK_OBJECT,
    };
    if (depth > JSON_KEY_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "jsonb is nested too deeply for an index key");
    kd_jsonb value = kd_jsonb_open(stored);
    if (depth == 0 && value.kind == KD_JSONB_ARRAY && value.count == 0)
        return kd_buffer_append_byte(ctx, out, JSON_RANK_EMPTY_ARRAY);
    KD_TRY(kd_buffer_append_byte(ctx, out, ranks[value.kind]));
    if (value.kind == KD_JSONB_NUMBER)
        return append_numeric(ctx, value.body, out);
    if (value.kind == KD_JSONB_STRING)
        return append_bytes(ctx, value.body, out);
    if (value.kind != KD_JSONB_ARRAY && value.kind != KD_JSONB_OBJECT)
        return KD_OK;
    KD_TRY(append_integer(ctx, value.count, 4, out));
    for (uint32_t i = 0; i < value.count; i++) {
        if (value.kind == KD_JSONB_OBJECT)
            KD_TRY(append_bytes(ctx, kd_jsonb_key(&value, i), out));
        KD_TRY(append_json(ctx, kd_jsonb_element(&value, i), depth + 1, out));
    }
    return KD_OK;
}

static kd_status append_array(kd_ctx *ctx, kd_type type, kd_slice stored, kd_buffer *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, type, stored, &array));
    for (uint32_t i = 0; i < array.count; i++) {
        kd_value element = kd_array_get(&array, i);
        KD_TRY(kd_buffer_append_byte(ctx, out, 1));
        KD_TRY(
            kd_key_append(ctx, element.type, &element.as, element.is_null, (kd_key_order){0}, out));
    }
    KD_TRY(kd_buffer_append_byte(ctx, out, 0));
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)array.shape.dimensions));
    for (uint32_t i = 0; i < array.shape.dimensions; i++)
        KD_TRY(append_integer(ctx, array.shape.lengths[i], 4, out));
    for (uint32_t i = 0; i < array.shape.dimensions; i++)
        KD_TRY(append_integer(ctx, array.shape.lower_bounds[i], 4, out));
    return KD_OK;
}

static kd_status append_row(kd_ctx *ctx, kd_slice stored, kd_buffer *out)
{
    kd_record record;
    KD_TRY(kd_record_open(ctx, stored, &record));
    for (;;) {
        kd_value value;
        bool found;
        KD_TRY(kd_record_next(ctx, &record, NULL, &value, &found));
        KD_TRY(kd_buffer_append_byte(ctx, out, found));
        if (!found)
            return KD_OK;
        KD_TRY(kd_buffer_append(ctx, out, &value.type, sizeof value.type));
        KD_TRY(kd_key_append(ctx, value.type, &value.as, value.is_null, (kd_key_order){0}, out));
    }
}

static kd_status append_string(kd_ctx *ctx, kd_type type, const kd_str *str, kd_buffer *out)
{
    kd_slice bytes = kd_str_slice(str);
    if (type.is_array)
        return append_array(ctx, type, bytes, out);
    if (type.id == KD_TYPE_NUMERIC)
        return append_numeric(ctx, bytes, out);
    if (type.id == KD_TYPE_JSONB)
        return append_json(ctx, bytes, 0, out);
    if (type.id == KD_TYPE_RECORD)
        return append_row(ctx, bytes, out);
    return append_bytes(ctx, bytes, out);
}

static kd_status append_payload(kd_ctx *ctx, kd_type type, const void *payload, kd_buffer *out)
{
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        return kd_buffer_append_byte(ctx, out, *(const uint8_t *)payload);
    case KD_PHYS_I16:
        return append_integer(ctx, *(const int16_t *)payload, 2, out);
    case KD_PHYS_I32:
        return append_integer(ctx, *(const int32_t *)payload, 4, out);
    case KD_PHYS_I64:
        return append_integer(ctx, *(const int64_t *)payload, 8, out);
    case KD_PHYS_I128: {
        kd_i128 value;
        memcpy(&value, payload, sizeof value);
        return append_integer(ctx, value, 16, out);
    }
    case KD_PHYS_F32:
        return append_float(ctx, (double)*(const float *)payload, true, out);
    case KD_PHYS_F64:
        return append_float(ctx, *(const double *)payload, false, out);
    case KD_PHYS_STR:
        return append_string(ctx, type, payload, out);
    case KD_PHYS_INTERVAL:
        return append_integer(ctx, kd_interval_total_us(*(const kd_interval *)payload), 16, out);
    case KD_PHYS_COUNT:
        break;
    }
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "no key for type %u", type.id);
}

kd_status kd_key_append(kd_ctx *ctx, kd_type type, const void *payload, bool is_null,
                        kd_key_order order, kd_buffer *out)
{
    if (is_null)
        return kd_buffer_append_byte(ctx, out, order.nulls_first ? KEY_NULL_FIRST : KEY_NULL_LAST);
    KD_TRY(kd_buffer_append_byte(ctx, out, KEY_VALUE));
    size_t start = out->size_bytes;
    KD_TRY(append_payload(ctx, type, payload, out));
    if (order.descending)
        invert(out->data + start, out->size_bytes - start);
    return KD_OK;
}

/* ---- Reading ---- */

/* A key's bytes, put right side up when it is descending. */
typedef struct key_reader {
    kd_ctx *ctx;
    kd_arena *arena;
    kd_reader *bytes;
    uint8_t flip; /* 0xff when descending. */
} key_reader;

static uint8_t next_byte(key_reader *reader)
{
    return kd_read_u8(reader->bytes) ^ reader->flip;
}

static kd_i128 read_integer(key_reader *reader, uint32_t size_bytes)
{
    kd_u128 value = 0;
    for (uint32_t i = 0; i < size_bytes; i++)
        value = value << 8 | next_byte(reader);
    value ^= (kd_u128)1 << (size_bytes * 8 - 1);
    if (size_bytes == 16)
        return (kd_i128)value;
    /* Sign-extends from the width read. */
    kd_u128 sign = (kd_u128)1 << (size_bytes * 8 - 1);
    return (kd_i128)((value ^ sign) - sign);
}

static double read_float(key_reader *reader, bool is_float4)
{
    uint32_t size_bytes = is_float4 ? 4 : 8;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < size_bytes; i++)
        bits = bits << 8 | next_byte(reader);
    uint64_t sign = (uint64_t)1 << (size_bytes * 8 - 1);
    bits = (bits & sign) != 0 ? bits & ~sign : ~bits;
    if (is_float4) {
        uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static kd_status fail_corrupt(key_reader *reader)
{
    return KD_FAIL(reader->ctx, KD_CORRUPT, "XX001", "stored key is damaged");
}

static kd_status read_bytes(key_reader *reader, kd_slice *out)
{
    kd_buffer bytes = kd_buffer_in(reader->arena);
    KD_TRY(kd_buffer_reserve(reader->ctx, &bytes, 16, NULL));
    for (;;) {
        uint8_t byte = next_byte(reader);
        if (reader->bytes->failed)
            return fail_corrupt(reader);
        if (byte == 0) {
            uint8_t escape = next_byte(reader);
            if (escape == 0 && !reader->bytes->failed)
                break;
            if (escape != 0xff)
                return fail_corrupt(reader);
        }
        KD_TRY(kd_buffer_append_byte(reader->ctx, &bytes, byte));
    }
    *out = kd_buffer_slice(&bytes);
    return KD_OK;
}

static kd_status read_digits(key_reader *reader, bool negative, kd_decimal *out)
{
    key_reader inner = *reader;
    inner.flip = negative ? (uint8_t)~inner.flip : inner.flip;
    int32_t weight = next_byte(&inner) << 8;
    weight |= next_byte(&inner);
    kd_buffer digits = kd_buffer_in(reader->arena);
    for (;;) {
        unsigned digit = (unsigned)next_byte(&inner) << 8;
        digit |= next_byte(&inner);
        if (reader->bytes->failed || digit > KD_NUMERIC_BASE)
            return fail_corrupt(reader);
        if (digit == 0)
            break;
        KD_TRY(kd_buffer_append_u16(reader->ctx, &digits, (uint16_t)(digit - 1)));
    }
    uint32_t count = (uint32_t)(digits.size_bytes / 2);
    if (count == 0)
        return fail_corrupt(reader);
    *out = (kd_decimal){.negative = negative,
                        .weight = weight - NUMERIC_WEIGHT_BIAS,
                        .digit_count = count,
                        .digits = (const uint16_t *)(const void *)digits.data};
    /* The fewest decimals that show all digits. */
    int32_t scale = ((int32_t)count - 1 - out->weight) * KD_NUMERIC_BASE_DIGITS;
    unsigned last = out->digits[count - 1];
    for (; scale > 0 && last % 10 == 0 && last != 0; last /= 10)
        scale--;
    out->scale = scale < 0 ? 0 : scale;
    if (out->scale > KD_NUMERIC_SCALE_MAX)
        return fail_corrupt(reader);
    return KD_OK;
}

static kd_status read_numeric(key_reader *reader, kd_str *out)
{
    kd_decimal number = {0};
    switch (next_byte(reader)) {
    case NUMERIC_NEGATIVE_INFINITY:
        number.kind = KD_DECIMAL_NEGATIVE_INFINITY;
        number.negative = true;
        break;
    case NUMERIC_NEGATIVE:
        KD_TRY(read_digits(reader, true, &number));
        break;
    case NUMERIC_ZERO:
        break;
    case NUMERIC_POSITIVE:
        KD_TRY(read_digits(reader, false, &number));
        break;
    case NUMERIC_INFINITY:
        number.kind = KD_DECIMAL_INFINITY;
        break;
    case NUMERIC_NAN:
        number.kind = KD_DECIMAL_NAN;
        break;
    default:
        return fail_corrupt(reader);
    }
    return kd_decimal_store(reader->ctx, reader->arena, &number, out);
}

static kd_status read_json(key_reader *reader, uint32_t depth, kd_slice *out);

static kd_status read_json_members(key_reader *reader, bool is_object, uint32_t depth,
                                   kd_slice *out)
{
    kd_i128 count = read_integer(reader, 4);
    size_t left = (size_t)(reader->bytes->end - reader->bytes->at);
    if (reader->bytes->failed || count < 0 || count > (kd_i128)left || depth > JSON_KEY_DEPTH_MAX)
        return fail_corrupt(reader);
    uint32_t member_count = (uint32_t)count;
    kd_slice *members = KD_NEW_ARRAY(reader->ctx, reader->arena, kd_slice, member_count + 1u);
    kd_slice *keys = KD_NEW_ARRAY(reader->ctx, reader->arena, kd_slice, member_count + 1u);
    if (members == NULL || keys == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < member_count; i++) {
        if (is_object)
            KD_TRY(read_bytes(reader, &keys[i]));
        KD_TRY(read_json(reader, depth + 1, &members[i]));
    }
    if (is_object)
        return kd_jsonb_make_object(reader->ctx, reader->arena, keys, members, member_count, out);
    return kd_jsonb_make_array(reader->ctx, reader->arena, members, member_count, out);
}

/* Depth is bounded by read_json_members. */
static kd_status read_json(key_reader *reader, uint32_t depth, kd_slice *out)
{
    uint8_t rank = next_byte(reader);
    switch (rank) {
    case JSON_RANK_EMPTY_ARRAY:
        return kd_jsonb_make_array(reader->ctx, reader->arena, NULL, 0, out);
    case JSON_RANK_NULL:
        return kd_jsonb_make_null(reader->ctx, reader->arena, out);
    case JSON_RANK_FALSE:
    case JSON_RANK_TRUE:
        return kd_jsonb_make_bool(reader->ctx, reader->arena, rank == JSON_RANK_TRUE, out);
    case JSON_RANK_STRING: {
        kd_slice text;
        KD_TRY(read_bytes(reader, &text));
        return kd_jsonb_make_string(reader->ctx, reader->arena, text, out);
    }
    case JSON_RANK_NUMBER: {
        kd_str stored;
        kd_decimal number;
        KD_TRY(read_numeric(reader, &stored));
        KD_TRY(kd_decimal_load(reader->ctx, reader->arena, &stored, &number));
        return kd_jsonb_make_number(reader->ctx, reader->arena, &number, out);
    }
    case JSON_RANK_ARRAY:
    case JSON_RANK_OBJECT:
        return read_json_members(reader, rank == JSON_RANK_OBJECT, depth, out);
    default:
        return fail_corrupt(reader);
    }
}

static kd_status read_payload(key_reader *reader, kd_type type, kd_value *out);

static kd_status read_array(key_reader *reader, kd_type type, kd_str *out)
{
    kd_type element_type = kd_type_element(type);
    kd_value *elements = NULL;
    size_t count = 0;
    size_t capacity = 0;
    for (;;) {
        uint8_t mark = next_byte(reader);
        if (reader->bytes->failed || mark > 1)
            return fail_corrupt(reader);
        if (mark == 0)
            break;
        kd_value *element;
        KD_TRY(KD_PUSH(reader->ctx, reader->arena, elements, count, capacity, &element));
        *element = kd_value_null(element_type);
        uint8_t flag = next_byte(reader);
        if (flag == KEY_VALUE)
            KD_TRY(read_payload(reader, element_type, element));
        else if (flag != KEY_NULL_LAST)
            return fail_corrupt(reader);
    }
    kd_array_shape shape = {.dimensions = next_byte(reader)};
    if (shape.dimensions > KD_ARRAY_DIMENSIONS_MAX)
        return fail_corrupt(reader);
    uint64_t expected = shape.dimensions > 0;
    for (uint32_t i = 0; i < shape.dimensions; i++) {
        shape.lengths[i] = (uint32_t)read_integer(reader, 4);
        expected =
            shape.lengths[i] > KD_ARRAY_ELEMENTS_MAX ? UINT32_MAX : expected * shape.lengths[i];
        if (expected > count)
            return fail_corrupt(reader);
    }
    for (uint32_t i = 0; i < shape.dimensions; i++)
        shape.lower_bounds[i] = (int32_t)read_integer(reader, 4);
    if (reader->bytes->failed || expected != count)
        return fail_corrupt(reader);
    return kd_array_make_shaped(reader->ctx, reader->arena, element_type, &shape, elements, out);
}

typedef struct row_fields {
    kd_value *values;
    kd_type *types;
    kd_slice *names;
} row_fields;

static kd_status row_fields_create(key_reader *reader, row_fields *out)
{
    out->values = KD_NEW_ARRAY(reader->ctx, reader->arena, kd_value, KD_RECORD_FIELDS_MAX);
    out->types = KD_NEW_ARRAY(reader->ctx, reader->arena, kd_type, KD_RECORD_FIELDS_MAX);
    out->names = KD_NEW_ARRAY(reader->ctx, reader->arena, kd_slice, KD_RECORD_FIELDS_MAX);
    return out->values == NULL || out->types == NULL || out->names == NULL ? KD_NOMEM : KD_OK;
}

/* The names of fields are not in keys. */
static kd_status read_row(key_reader *reader, kd_str *out)
{
    row_fields fields;
    KD_TRY(row_fields_create(reader, &fields));
    kd_record_shape shape = {.types = fields.types, .names = fields.names};
    for (uint8_t mark; (mark = next_byte(reader)) != 0; shape.field_count++) {
        if (reader->bytes->failed || mark > 1 || shape.field_count == KD_RECORD_FIELDS_MAX)
            return fail_corrupt(reader);
        char *type = (char *)&fields.types[shape.field_count];
        for (size_t i = 0; i < sizeof(kd_type); i++)
            type[i] = (char)next_byte(reader);
        kd_value *value = &fields.values[shape.field_count];
        *value = kd_value_null(fields.types[shape.field_count]);
        if (value->type.id >= KD_TYPE_COUNT || value->type.is_array > 1)
            return fail_corrupt(reader);
        uint8_t flag = next_byte(reader);
        if (flag == KEY_VALUE)
            KD_TRY(read_payload(reader, value->type, value));
        else if (flag != KEY_NULL_LAST)
            return fail_corrupt(reader);
    }
    return kd_record_make(reader->ctx, reader->arena, &shape, fields.values, out);
}

static kd_status read_string(key_reader *reader, kd_type type, kd_str *out)
{
    if (type.is_array)
        return read_array(reader, type, out);
    if (type.id == KD_TYPE_NUMERIC)
        return read_numeric(reader, out);
    kd_slice bytes;
    if (type.id == KD_TYPE_JSONB)
        KD_TRY(read_json(reader, 0, &bytes));
    else if (type.id == KD_TYPE_RECORD)
        return read_row(reader, out);
    else
        KD_TRY(read_bytes(reader, &bytes));
    *out = kd_str_from(bytes.data, bytes.size_bytes);
    return KD_OK;
}

static kd_interval interval_of(kd_i128 total_us)
{
    const kd_i128 day_us = (kd_i128)86400000000;
    kd_i128 days = total_us / day_us;
    kd_i128 months = days / 30;
    return (kd_interval){.micros = (int64_t)(total_us % day_us),
                         .days = (int32_t)(days % 30),
                         .months = (int32_t)months};
}

static kd_status read_payload(key_reader *reader, kd_type type, kd_value *out)
{
    *out = (kd_value){.type = type};
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL: {
        uint8_t byte = next_byte(reader);
        if (byte > 1)
            return fail_corrupt(reader);
        out->as.boolean = byte != 0;
        break;
    }
    case KD_PHYS_I16:
        out->as.i16 = (int16_t)read_integer(reader, 2);
        break;
    case KD_PHYS_I32:
        out->as.i32 = (int32_t)read_integer(reader, 4);
        break;
    case KD_PHYS_I64:
        out->as.i64 = (int64_t)read_integer(reader, 8);
        break;
    case KD_PHYS_I128:
        out->as.i128 = read_integer(reader, 16);
        break;
    case KD_PHYS_F32:
        out->as.f32 = (float)read_float(reader, true);
        break;
    case KD_PHYS_F64:
        out->as.f64 = read_float(reader, false);
        break;
    case KD_PHYS_INTERVAL:
        out->as.interval = interval_of(read_integer(reader, 16));
        break;
    default:
        KD_TRY(read_string(reader, type, &out->as.str));
        break;
    }
    return reader->bytes->failed ? fail_corrupt(reader) : KD_OK;
}

kd_status kd_key_read(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_key_order order,
                      kd_reader *reader, kd_value *out_value)
{
    *out_value = kd_value_null(type);
    key_reader key = {
        .ctx = ctx, .arena = arena, .bytes = reader, .flip = order.descending ? 0xff : 0};
    uint8_t flag = kd_read_u8(reader);
    if (reader->failed)
        return fail_corrupt(&key);
    if (flag == (order.nulls_first ? KEY_NULL_FIRST : KEY_NULL_LAST))
        return KD_OK;
    if (flag != KEY_VALUE)
        return fail_corrupt(&key);
    kd_value value;
    KD_TRY(read_payload(&key, type, &value));
    *out_value = value;
    return KD_OK;
}
