/*
 * Filling vectors from text: fast paths for plain spellings, the types module for the rest.
 */
#include "lake/import_column_internal.h"

#include "types/datetime.h"
#include "types/number_text.h"
#include "types/numeric.h"
#include "types/utf8.h"

#include <assert.h>
#include <string.h>

enum { REJECT_RECORD_BYTES = 1000 };

/* Up to 18 digits: what cannot overflow needs no check. */
static inline bool digits_parse(kd_slice text, int64_t *out)
{
    const char *at = text.data;
    size_t left = text.size_bytes;
    bool negative = left > 0 && *at == '-';
    if (negative) {
        at++;
        left--;
    }
    if (left == 0 || left > 18)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < left; i++) {
        unsigned digit = (unsigned)(unsigned char)at[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? -value : value;
    return true;
}

static bool fast_int2(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    int64_t value;
    if (!digits_parse(text, &value) || value < INT16_MIN || value > INT16_MAX)
        return false;
    ((int16_t *)column->vector.values)[row] = (int16_t)value;
    return true;
}

static bool fast_int4(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    int64_t value;
    if (!digits_parse(text, &value) || value < INT32_MIN || value > INT32_MAX)
        return false;
    ((int32_t *)column->vector.values)[row] = (int32_t)value;
    return true;
}

static bool fast_int8(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    return digits_parse(text, (int64_t *)column->vector.values + row);
}

static bool fast_float8(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    return kd_parse_double_fast(text, (double *)column->vector.values + row);
}

static bool fast_date(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    return kd_date_parse_fast(text, (int32_t *)column->vector.values + row);
}

static bool fast_time(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    return kd_time_parse_fast(text, (int64_t *)column->vector.values + row);
}

static bool fast_timestamp(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    return kd_timestamp_parse_fast(text, (int64_t *)column->vector.values + row);
}

/* numeric(p,s) with p <= 18: digits, a point, at most s more digits. */
static bool fast_numeric(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    int scale = kd_numeric_scale(column->type);
    int whole_max = kd_numeric_precision(column->type) - scale;
    const char *point = memchr(text.data, '.', text.size_bytes);
    size_t whole_bytes = point == NULL ? text.size_bytes : (size_t)(point - text.data);
    int64_t whole;
    if (text.size_bytes > 20 || !digits_parse((kd_slice){text.data, whole_bytes}, &whole))
        return false;
    bool negative = text.data[0] == '-';
    if ((int)whole_bytes - (negative ? 1 : 0) > whole_max)
        return false;
    int64_t fraction = 0;
    int fraction_digits = 0;
    if (point != NULL) {
        kd_slice digits = {point + 1, text.size_bytes - whole_bytes - 1};
        if (digits.size_bytes == 0 || digits.data[0] == '-' || (int)digits.size_bytes > scale ||
            !digits_parse(digits, &fraction))
            return false;
        fraction_digits = (int)digits.size_bytes;
    }
    for (; fraction_digits < scale; fraction_digits++)
        fraction *= 10;
    int64_t power = 1;
    for (int i = 0; i < scale; i++)
        power *= 10;
    ((int64_t *)column->vector.values)[row] = whole * power + (negative ? -fraction : fraction);
    return true;
}

/* varchar(n): no text of n bytes is longer than n characters. */
static bool fast_varchar(const kdi_import_column *column, kd_slice text, uint32_t row)
{
    if (text.size_bytes > (size_t)column->type.modifier)
        return false;
    ((kd_str *)column->vector.values)[row] = kd_str_from(text.data, text.size_bytes);
    return true;
}

static void column_choose_parser(kdi_import_column *column)
{
    kd_type type = column->type;
    if (type.is_array)
        return;
    bool is_plain = type.modifier == -1;
    switch (type.id) {
    case KD_TYPE_INT2:
        column->parse_fast = fast_int2;
        break;
    case KD_TYPE_INT4:
        column->parse_fast = fast_int4;
        break;
    case KD_TYPE_INT8:
        column->parse_fast = fast_int8;
        break;
    case KD_TYPE_FLOAT8:
        column->parse_fast = fast_float8;
        break;
    case KD_TYPE_NUMERIC:
        if (kd_numeric_is_fixed(type) && kd_numeric_precision(type) <= 18)
            column->parse_fast = fast_numeric;
        break;
    case KD_TYPE_DATE:
        column->parse_fast = fast_date;
        break;
    case KD_TYPE_TIME:
        column->parse_fast = is_plain ? fast_time : NULL;
        break;
    case KD_TYPE_TIMESTAMP:
        column->parse_fast = is_plain ? fast_timestamp : NULL;
        break;
    case KD_TYPE_TEXT:
        column->is_text = true;
        break;
    case KD_TYPE_VARCHAR:
        column->is_text = is_plain;
        column->parse_fast = is_plain ? NULL : fast_varchar;
        break;
    default:
        break;
    }
}

kd_status kdi_import_columns_create(kd_ctx *ctx, kd_arena *arena, const kd_import_column *columns,
                                    uint32_t column_count, kdi_import_column **out_columns)
{
    *out_columns = NULL;
    kdi_import_column *made = KD_NEW_ARRAY(ctx, arena, kdi_import_column, column_count);
    if (made == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < column_count; i++) {
        kdi_import_column *column = &made[i];
        column->type = columns[i].type;
        column->is_skipped = columns[i].is_skipped;
        column->is_forced_text = columns[i].is_forced_text;
        if (column->is_skipped) {
            kd_value null = kd_value_null(column->type);
            KD_TRY(kd_vector_init_constant(ctx, arena, &null, &column->vector));
            continue;
        }
        KD_TRY(kd_vector_init_flat(ctx, arena, column->type, KD_BATCH_ROWS, &column->vector));
        column->validity = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS / 64);
        if (column->validity == NULL)
            return KD_NOMEM;
        column_choose_parser(column);
    }
    *out_columns = made;
    return KD_OK;
}

void kdi_import_columns_begin(kdi_import_column *columns, uint32_t column_count)
{
    for (uint32_t i = 0; i < column_count; i++)
        if (!columns[i].is_skipped)
            columns[i].vector.validity = NULL;
}

void kdi_import_column_set_null(kdi_import_column *column, uint32_t row)
{
    if (column->is_skipped)
        return;
    if (column->vector.validity == NULL) {
        memset(column->validity, 0xff, KD_BATCH_ROWS / 8);
        column->vector.validity = column->validity;
    }
    kd_vector_set_null(&column->vector, row);
}

kd_status kdi_import_column_set(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                                kdi_import_column *column, uint32_t row, kd_slice text,
                                bool is_ascii)
{
    if (column->is_skipped)
        return KD_OK;
    if (!is_ascii)
        KD_TRY(kd_utf8_check(ctx, text));
    if (column->is_text) {
        ((kd_str *)column->vector.values)[row] = kd_str_from(text.data, text.size_bytes);
        return KD_OK;
    }
    if (column->parse_fast != NULL && column->parse_fast(column, text, row))
        return KD_OK;
    kd_value value;
    KD_TRY(kd_value_parse(ctx, arena, settings, column->type, text, &value));
    if (value.is_null) {
        kdi_import_column_set_null(column, row);
        return KD_OK;
    }
    memcpy((char *)column->vector.values + (size_t)row * kd_physical_bytes(column->vector.physical),
           kd_value_payload(&value), kd_physical_bytes(column->vector.physical));
    return KD_OK;
}

kd_status kdi_import_rejects_add(kd_ctx *ctx, kd_arena *arena, kd_import_rejects *rejects,
                                 const kd_error *error, uint64_t line, const char *column,
                                 kd_slice record)
{
    if (record.size_bytes > REJECT_RECORD_BYTES)
        record.size_bytes = REJECT_RECORD_BYTES;
    kd_import_reject reject = {.line = line, .column = column};
    memcpy(reject.sqlstate, error->sqlstate, sizeof reject.sqlstate);
    reject.reason = kd_copy_text(ctx, arena, error->message, strlen(error->message));
    reject.record.data = kd_copy_text(ctx, arena, record.data, record.size_bytes);
    reject.record.size_bytes = record.size_bytes;
    if (reject.reason == NULL || reject.record.data == NULL)
        return KD_NOMEM;
    kd_import_reject *item;
    KD_TRY(KD_PUSH(ctx, arena, rejects->items, rejects->count, rejects->capacity, &item));
    *item = reject;
    return KD_OK;
}
