/*
 * Arrow arrays into tables: kade_append_arrow.
 */
#include "engine/kade_arrow_internal.h"

#include <assert.h>
#include <stdlib.h>

static bool is_null(const struct ArrowArray *array, int64_t row)
{
    const uint8_t *bits = array->buffers[0];
    return array->null_count != 0 && bits != NULL && (bits[row / 8] >> (row % 8) & 1) == 0;
}

static int64_t load_signed(const uint8_t *at, int bytes)
{
    int64_t number = 0;
    switch (bytes) {
    case 1:
        return *(const int8_t *)at;
    case 2: {
        int16_t part;
        memcpy(&part, at, sizeof part);
        return part;
    }
    case 4: {
        int32_t part;
        memcpy(&part, at, sizeof part);
        return part;
    }
    default:
        memcpy(&number, at, sizeof number);
        return number;
    }
}

static kd_status read_integer(const char format, const uint8_t *values, int64_t row, kd_value *out)
{
    static const char letters[] = "csilCSIL";
    int place = (int)(strchr(letters, format) - letters);
    int bytes = 1 << (place % 4);
    int64_t number = load_signed(values + row * bytes, bytes);
    if (place >= 4 && bytes < 8)
        number &= ((int64_t)1 << (bytes * 8)) - 1;
    *out = kd_value_i64(number);
    if (place >= 4 && bytes == 8 && number < 0) {
        /* Above bigint: exact as a numeric. */
        out->type = kd_type_numeric(20, 0);
        out->as.i128 = (kd_i128)(uint64_t)number;
    }
    return KD_OK;
}

static kd_status read_text(kd_ctx *ctx, const struct ArrowArray *array, char format, int64_t row,
                           kd_value *out)
{
    bool is_large = format == 'U' || format == 'Z';
    const uint8_t *offsets = array->buffers[1];
    int bytes = is_large ? 8 : 4;
    int64_t begin = load_signed(offsets + row * bytes, bytes);
    int64_t end = load_signed(offsets + (row + 1) * bytes, bytes);
    if (begin < 0 || end < begin || end - begin > INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22023", "the offsets of an Arrow array do not ascend");
    *out =
        kd_value_text((kd_slice){(const char *)array->buffers[2] + begin, (size_t)(end - begin)});
    if (format == 'z' || format == 'Z')
        out->type = kd_type_of(KD_TYPE_BYTEA);
    return KD_OK;
}

/* Moments of units s m u n, as microseconds. */
static int64_t to_micros(int64_t number, char unit)
{
    int64_t micros;
    int64_t factor = unit == 's' ? 1000000 : unit == 'm' ? 1000 : 1;
    if (unit == 'n')
        return number >= 0 ? number / 1000 : -((-(number + 1)) / 1000) - 1;
    if (__builtin_mul_overflow(number, factor, &micros))
        return number < 0 ? INT64_MIN : INT64_MAX;
    return micros;
}

static kd_status read_interval(const char *format, const uint8_t *values, int64_t row,
                               kd_value *out)
{
    *out = (kd_value){.type = kd_type_of(KD_TYPE_INTERVAL)};
    if (format[2] == 'M') {
        out->as.interval.months = (int32_t)load_signed(values + row * 4, 4);
    } else if (format[2] == 'D') {
        out->as.interval.days = (int32_t)load_signed(values + row * 8, 4);
        out->as.interval.micros = load_signed(values + row * 8 + 4, 4) * 1000;
    } else {
        out->as.interval.months = (int32_t)load_signed(values + row * 16, 4);
        out->as.interval.days = (int32_t)load_signed(values + row * 16 + 4, 4);
        out->as.interval.micros = to_micros(load_signed(values + row * 16 + 8, 8), 'n');
    }
    return KD_OK;
}

static kd_status read_time(kd_ctx *ctx, const char *format, const uint8_t *values, int64_t row,
                           kd_value *out)
{
    char unit = format[2];
    int64_t number;
    switch (format[1]) {
    case 'd':
        number = unit == 'D' ? load_signed(values + row * 4, 4)
                             : load_signed(values + row * 8, 8) / 86400000;
        *out = (kd_value){.type = kd_type_of(KD_TYPE_DATE),
                          .as.i32 = kdi_date_from_unix((int32_t)number)};
        return KD_OK;
    case 't':
        number = unit == 's' || unit == 'm' ? load_signed(values + row * 4, 4)
                                            : load_signed(values + row * 8, 8);
        *out = (kd_value){.type = kd_type_of(KD_TYPE_TIME), .as.i64 = to_micros(number, unit)};
        return KD_OK;
    case 's': {
        bool has_zone = format[3] == ':' && format[4] != '\0';
        number = load_signed(values + row * 8, 8);
        *out = (kd_value){.type = kd_type_of(has_zone ? KD_TYPE_TIMESTAMPTZ : KD_TYPE_TIMESTAMP),
                          .as.i64 = kdi_timestamp_from_unix(to_micros(number, unit))};
        return KD_OK;
    }
    case 'i':
        return read_interval(format, values, row, out);
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "Arrow's format \"%s\" is not read", format);
    }
}

static kd_status read_decimal(kd_ctx *ctx, const char *format, const uint8_t *values, int64_t row,
                              kd_value *out)
{
    char *end;
    long precision = strtol(format + 2, &end, 10);
    long scale = *end == ',' ? strtol(end + 1, &end, 10) : -1;
    if (*end != '\0' || precision < 1 || precision > 38 || scale < 0 || scale > precision)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "Arrow's format \"%s\" is not read", format);
    kd_i128 number;
    memcpy(&number, values + row * 16, sizeof number);
    *out = (kd_value){.type = kd_type_numeric((int)precision, (int)scale)};
    if (kd_type_physical(out->type) == KD_PHYS_I64)
        out->as.i64 = (int64_t)number;
    else
        out->as.i128 = number;
    return KD_OK;
}

kd_status kdi_arrow_value(kd_ctx *ctx, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, kd_value *out_value)
{
    const char *format = schema->format;
    *out_value = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    row += array->offset;
    if (schema->dictionary != NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "dictionaries of Arrow are not read");
    if (strcmp(format, "n") == 0 || is_null(array, row))
        return KD_OK;
    const uint8_t *values = array->n_buffers > 1 ? array->buffers[1] : NULL;
    if (values == NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023", "an Arrow array has no values");
    bool is_single = format[0] != '\0' && format[1] == '\0';
    if (is_single && strchr("csilCSIL", format[0]) != NULL)
        return read_integer(format[0], values, row, out_value);
    if (is_single && strchr("uUzZ", format[0]) != NULL && array->n_buffers == 3)
        return read_text(ctx, array, format[0], row, out_value);
    if (strcmp(format, "b") == 0) {
        *out_value = kd_value_bool((values[row / 8] >> (row % 8) & 1) != 0);
        return KD_OK;
    }
    if (strcmp(format, "g") == 0) {
        double number;
        memcpy(&number, values + row * 8, sizeof number);
        *out_value = kd_value_f64(number);
        return KD_OK;
    }
    if (strcmp(format, "f") == 0) {
        *out_value = (kd_value){.type = kd_type_of(KD_TYPE_FLOAT4)};
        memcpy(&out_value->as.f32, values + row * 4, sizeof out_value->as.f32);
        return KD_OK;
    }
    if (format[0] == 'd' && format[1] == ':')
        return read_decimal(ctx, format, values, row, out_value);
    if (format[0] == 't' && strlen(format) >= 3)
        return read_time(ctx, format, values, row, out_value);
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "Arrow's format \"%s\" is not read", format);
}

static kd_status append_rows(kd_ctx *ctx, kade_appender *appender, const struct ArrowSchema *schema,
                             const struct ArrowArray *array, kd_arena *arena)
{
    uint32_t count = kdi_appender_columns(appender);
    if (strcmp(schema->format, "+s") != 0 || schema->n_children != count ||
        array->n_children != count)
        return KD_FAIL(ctx, KD_INVALID, "42601", "the Arrow batch is no struct of %u columns",
                       count);
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, count + 1);
    if (values == NULL)
        return KD_NOMEM;
    for (int64_t row = 0; row < array->length; row++) {
        for (uint32_t i = 0; i < count; i++)
            KD_TRY(kdi_arrow_value(ctx, schema->children[i], array->children[i],
                                   row + array->offset, &values[i]));
        KD_TRY(kdi_appender_add_row(appender, values, count));
    }
    return KD_OK;
}

kade_status kade_append_arrow(kade_appender *appender, const struct ArrowSchema *schema,
                              const struct ArrowArray *array)
{
    kade_session *session = kdi_appender_session(appender);
    kd_ctx *ctx = kdi_api_begin(session);
    kd_arena *arena = kd_arena_create(ctx, NULL, "arrow", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return kdi_api_end(session, KD_NOMEM);
    kd_status status = append_rows(ctx, appender, schema, array, arena);
    kd_arena_destroy(arena);
    return kdi_api_end(session, status);
}
