/*
 * Typed access to the current row. A reader of the value's own type takes it as it
 * is; any other casts, and a cast that is refused gives 0.
 */
#include "engine/kade_internal.h"

#include "engine/value_cast.h"

#include <assert.h>

uint32_t kade_column_count(const kade_statement *statement)
{
    return statement->column_count;
}

const char *kade_column_name(const kade_statement *statement, uint32_t column, size_t *out_bytes)
{
    bool there = column < statement->column_count;
    if (out_bytes != NULL)
        *out_bytes = there ? statement->columns[column].name_bytes : 0;
    return there ? statement->columns[column].name : "";
}

int kade_column_type(const kade_statement *statement, uint32_t column)
{
    if (column >= statement->column_count)
        return KADE_TYPE_UNKNOWN;
    kd_type type = statement->columns[column].type;
    return type.id + (type.is_array ? KADE_TYPE_ARRAY : 0);
}

const char *kade_column_type_name(const kade_statement *statement, uint32_t column)
{
    return column < statement->column_count ? statement->columns[column].type_name : "unknown";
}

static kd_value current_value(const kade_statement *statement, uint32_t column)
{
    if (!statement->has_row || column >= statement->batch.column_count)
        return kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    return kd_vector_get(&statement->batch.columns[column],
                         kd_batch_row(&statement->batch, statement->row));
}

/* NULL when the value is NULL or cannot become one of the type. */
static kd_value read_as(kade_statement *statement, uint32_t column, kd_type_id type)
{
    kd_value value = current_value(statement, column);
    if (value.is_null || (value.type.id == type && !value.type.is_array))
        return value;
    kd_value cast;
    if (kd_value_cast(&statement->row_ctx, statement->row_arena, statement->session->talk->registry,
                      statement->request->facts, &value, kd_type_of(type), KD_CAST_EXPLICIT,
                      &cast) != KD_OK) {
        kd_error_clear(&statement->row_ctx);
        return kd_value_null(kd_type_of(type));
    }
    return cast;
}

bool kade_column_is_null(const kade_statement *statement, uint32_t column)
{
    return current_value(statement, column).is_null;
}

bool kade_column_bool(kade_statement *statement, uint32_t column)
{
    kd_value value = read_as(statement, column, KD_TYPE_BOOL);
    return !value.is_null && value.as.boolean;
}

int64_t kade_column_int64(kade_statement *statement, uint32_t column)
{
    kd_value value = current_value(statement, column);
    if (!value.is_null && !value.type.is_array) {
        switch (value.type.id) {
        case KD_TYPE_INT2:
            return value.as.i16;
        case KD_TYPE_INT4:
            return value.as.i32;
        case KD_TYPE_INT8:
        case KD_TYPE_OID:
            return value.as.i64;
        case KD_TYPE_BOOL:
            return value.as.boolean;
        default:
            break;
        }
    }
    value = read_as(statement, column, KD_TYPE_INT8);
    return value.is_null ? 0 : value.as.i64;
}

double kade_column_double(kade_statement *statement, uint32_t column)
{
    kd_value value = read_as(statement, column, KD_TYPE_FLOAT8);
    return value.is_null ? 0.0 : value.as.f64;
}

/* A NUL-terminated copy in the row's arena. */
static const char *give_bytes(kade_statement *statement, kd_slice bytes, size_t *out_bytes)
{
    char *copy =
        kd_copy_text(&statement->row_ctx, statement->row_arena, bytes.data, bytes.size_bytes);
    if (out_bytes != NULL)
        *out_bytes = copy == NULL ? 0 : bytes.size_bytes;
    if (copy == NULL)
        kd_error_clear(&statement->row_ctx);
    return copy == NULL ? "" : copy;
}

static const char *format(kade_statement *statement, const kd_value *value, size_t *out_bytes)
{
    kd_buffer buffer = kd_buffer_in(statement->row_arena);
    if (kd_value_format(&statement->row_ctx, statement->request->text, value, &buffer) != KD_OK) {
        kd_error_clear(&statement->row_ctx);
        buffer.data = NULL;
    }
    if (out_bytes != NULL)
        *out_bytes = buffer.data == NULL ? 0 : buffer.size_bytes;
    return buffer.data == NULL ? "" : buffer.data;
}

static bool is_plain_text(kd_type type)
{
    return !type.is_array && (type.id == KD_TYPE_TEXT || type.id == KD_TYPE_VARCHAR ||
                              type.id == KD_TYPE_JSON || type.id == KD_TYPE_UNKNOWN);
}

const char *kade_column_text(kade_statement *statement, uint32_t column, size_t *out_bytes)
{
    kd_value value = current_value(statement, column);
    if (out_bytes != NULL)
        *out_bytes = 0;
    if (value.is_null)
        return "";
    if (is_plain_text(value.type))
        return give_bytes(statement, kd_str_slice(&value.as.str), out_bytes);
    return format(statement, &value, out_bytes);
}

const void *kade_column_blob(kade_statement *statement, uint32_t column, size_t *out_bytes)
{
    kd_value value = current_value(statement, column);
    if (value.is_null || value.type.id != KD_TYPE_BYTEA || value.type.is_array)
        return kade_column_text(statement, column, out_bytes);
    return give_bytes(statement, kd_str_slice(&value.as.str), out_bytes);
}

int32_t kade_column_date(kade_statement *statement, uint32_t column)
{
    kd_value value = read_as(statement, column, KD_TYPE_DATE);
    return value.is_null ? 0 : kdi_date_to_unix(value.as.i32);
}

int64_t kade_column_time(kade_statement *statement, uint32_t column)
{
    kd_value value = read_as(statement, column, KD_TYPE_TIME);
    return value.is_null ? 0 : value.as.i64;
}

int64_t kade_column_timestamp(kade_statement *statement, uint32_t column)
{
    kd_value value = current_value(statement, column);
    /* Both kinds of timestamp count alike; one as the other would be moved by the zone. */
    if (value.is_null || value.type.id != KD_TYPE_TIMESTAMPTZ || value.type.is_array)
        value = read_as(statement, column, KD_TYPE_TIMESTAMP);
    return value.is_null ? 0 : kdi_timestamp_to_unix(value.as.i64);
}

kade_interval kade_column_interval(kade_statement *statement, uint32_t column)
{
    kd_value value = read_as(statement, column, KD_TYPE_INTERVAL);
    if (value.is_null)
        return (kade_interval){0};
    return (kade_interval){.months = value.as.interval.months,
                           .days = value.as.interval.days,
                           .micros = value.as.interval.micros};
}

void kade_column_uuid(kade_statement *statement, uint32_t column, uint8_t out_bytes[16])
{
    kd_value value = read_as(statement, column, KD_TYPE_UUID);
    memset(out_bytes, 0, 16);
    if (!value.is_null)
        kdi_uuid_to_bytes(value.as.i128, out_bytes);
}
