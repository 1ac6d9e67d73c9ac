/*
 * SQL values as JSON, as to_json writes them.
 */
#include "builtin/builtin_internal.h"
#include "types/array.h"
#include "types/json.h"
#include "types/jsonb.h"
#include "types/record.h"

/* Dates and times have a 'T' in the middle and offsets with minutes: ISO 8601. */
static kd_status append_time(kd_ctx *ctx, kd_slice text, bool has_zone, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
    bool seen_blank = false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        if (c == ' ' && !seen_blank) {
            seen_blank = true;
            c = 'T';
        }
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)c));
    }
    bool short_offset =
        has_zone && text.size_bytes > 3 &&
        (text.data[text.size_bytes - 3] == '+' || text.data[text.size_bytes - 3] == '-') &&
        seen_blank;
    return kd_buffer_append_text(ctx, out, short_offset ? ":00\"" : "\"");
}

static kd_status append_scalar(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                               kd_buffer *out)
{
    kd_type type = value->type;
    kd_buffer text = kd_buffer_in(out->arena);
    if (type.id == KD_TYPE_BOOL)
        return kd_buffer_append_text(ctx, out, value->as.boolean ? "true" : "false");
    if (type.id == KD_TYPE_JSONB)
        return kd_jsonb_format(ctx, kdi_value_text(value), out);
    if (type.id == KD_TYPE_JSON)
        return kd_buffer_append_slice(ctx, out, kdi_value_text(value));
    if (kd_type_is_string(type) && type.id != KD_TYPE_CHAR)
        return kd_json_append_string(ctx, kdi_value_text(value), out);
    kd_text_settings iso = settings == NULL ? (kd_text_settings){0} : *settings;
    iso.date_style = KD_DATE_STYLE_ISO; /* JSON's dates are ISO 8601 whatever DateStyle is. */
    KD_TRY(kd_value_format(ctx, settings == NULL ? NULL : &iso, value, &text));
    if (kd_type_is_timestamp(type))
        return append_time(ctx, kd_buffer_slice(&text), type.id == KD_TYPE_TIMESTAMPTZ, out);
    bool plain = kd_type_is_number(type) && type.id != KD_TYPE_OID && text.size_bytes > 0 &&
                 text.data[text.size_bytes - 1] >= '0' && text.data[text.size_bytes - 1] <= '9';
    return plain ? kd_buffer_append_slice(ctx, out, kd_buffer_slice(&text))
                 : kd_json_append_string(ctx, kd_buffer_slice(&text), out);
}

/* The elements of one dimension; recursion is bounded by the number of dimensions. */
static kd_status append_dimension(kd_ctx *ctx, const kd_text_settings *settings,
                                  const kd_array *array, uint32_t dimension, const char *between,
                                  uint32_t *io_index, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '['));
    for (uint32_t i = 0; i < array->shape.lengths[dimension]; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, between));
        if (dimension + 1 < array->shape.dimensions) {
            KD_TRY(append_dimension(ctx, settings, array, dimension + 1, ",", io_index, out));
        } else {
            kd_value element = kd_array_get(array, (*io_index)++);
            KD_TRY(kdi_append_json(ctx, settings, &element, out));
        }
    }
    return kd_buffer_append_byte(ctx, out, ']');
}

kd_status kdi_append_json_row(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *row,
                              const char *between, kd_buffer *out)
{
    kd_record record;
    kd_slice name;
    kd_value value;
    bool found;
    KD_TRY(kd_record_open(ctx, kdi_value_text(row), &record));
    KD_TRY(kd_buffer_append_byte(ctx, out, '{'));
    for (uint32_t i = 0;; i++) {
        KD_TRY(kd_record_next(ctx, &record, &name, &value, &found));
        if (!found)
            return kd_buffer_append_byte(ctx, out, '}');
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, between));
        KD_TRY(kd_json_append_string(ctx, name, out));
        KD_TRY(kd_buffer_append_byte(ctx, out, ':'));
        KD_TRY(kdi_append_json(ctx, settings, &value, out));
    }
}

kd_status kdi_append_json_array(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_value *value, const char *between, kd_buffer *out)
{
    kd_array array;
    KD_TRY(kd_array_open(ctx, value->type, kdi_value_text(value), &array));
    if (array.shape.dimensions == 0)
        return kd_buffer_append_text(ctx, out, "[]");
    uint32_t index = 0;
    return append_dimension(ctx, settings, &array, 0, between, &index, out);
}

kd_status kdi_append_json(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                          kd_buffer *out)
{
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "null");
    if (value->type.is_array)
        return kdi_append_json_array(ctx, settings, value, ",", out);
    return value->type.id == KD_TYPE_RECORD ? kdi_append_json_row(ctx, settings, value, ",", out)
                                            : append_scalar(ctx, settings, value, out);
}

kd_status kdi_append_json_key(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                              kd_buffer *out)
{
    kd_type type = value->type;
    kd_buffer text = kd_buffer_in(out->arena);
    if (type.is_array || type.id == KD_TYPE_RECORD || type.id == KD_TYPE_JSON ||
        type.id == KD_TYPE_JSONB)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "key value must be scalar, not array, composite, or json");
    KD_TRY(append_scalar(ctx, settings, value, &text));
    kd_slice key = kd_buffer_slice(&text);
    return key.data[0] == '"' ? kd_buffer_append_slice(ctx, out, key)
                              : kd_json_append_string(ctx, key, out);
}
