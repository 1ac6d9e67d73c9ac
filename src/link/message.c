/*
 * Errors, types, descriptions, parameters and settings as bytes.
 */
#include "link/message_internal.h"

#include "types/utf8.h"
#include "types/zone.h"

#include <stdio.h>

static kd_status put_text(kd_ctx *ctx, const char *text, kd_buffer *out)
{
    return kd_buffer_append_counted(ctx, out, text == NULL ? KD_SLICE("") : kd_slice_of(text));
}

/* --- Errors ----------------------------------------------------------------------------------- */

kd_status kdi_error_put(kd_ctx *ctx, const kd_error *error, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)error->status));
    KD_TRY(put_text(ctx, error->sqlstate, out));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)error->os_error));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)error->position));
    KD_TRY(kd_buffer_append_u32(ctx, out, (uint32_t)error->line));
    KD_TRY(put_text(ctx, error->file, out));
    KD_TRY(put_text(ctx, error->message, out));
    KD_TRY(put_text(ctx, error->detail, out));
    KD_TRY(put_text(ctx, error->hint, out));
    return put_text(ctx, error->constraint, out);
}

/* What does not fit is cut; the rest of the record is worth more than a refusal. */
static void get_text(kd_reader *reader, char *target, size_t room_bytes)
{
    kd_slice text = kd_read_slice(reader);
    size_t size_bytes = text.size_bytes < room_bytes ? text.size_bytes : room_bytes - 1;
    target[0] = '\0';
    if (reader->failed)
        return;
    (void)snprintf(target, room_bytes, "%.*s", (int)size_bytes, text.data);
}

kd_status kdi_error_get(kd_ctx *ctx, kd_reader *reader, kd_error *out_error,
                        char out_file[KDI_SOURCE_NAME_BYTES])
{
    *out_error = (kd_error){.position = -1};
    uint8_t status = kd_read_u8(reader);
    get_text(reader, out_error->sqlstate, sizeof out_error->sqlstate);
    out_error->os_error = (int)kd_read_u32(reader);
    out_error->position = (int)kd_read_u32(reader);
    out_error->line = (int)kd_read_u32(reader);
    get_text(reader, out_file, KDI_SOURCE_NAME_BYTES);
    get_text(reader, out_error->message, sizeof out_error->message);
    get_text(reader, out_error->detail, sizeof out_error->detail);
    get_text(reader, out_error->hint, sizeof out_error->hint);
    get_text(reader, out_error->constraint, sizeof out_error->constraint);
    if (reader->failed || status == KD_OK || status > KD_INTERNAL)
        return kdi_protocol_fail(ctx, "an error is malformed");
    out_error->status = (kd_status)status;
    out_error->file = out_file;
    return KD_OK;
}

/* --- Types and descriptions ------------------------------------------------------------------- */

kd_status kdi_type_put(kd_ctx *ctx, kd_type type, kd_buffer *out)
{
    return kd_buffer_append(ctx, out, &type, sizeof type);
}

/* A numeric's modifier, or none. */
static bool is_numeric_modifier(int32_t modifier)
{
    kd_type type = {.id = KD_TYPE_NUMERIC, .modifier = modifier};
    int precision = kd_numeric_precision(type), scale = kd_numeric_scale(type);
    return modifier == -1 ||
           (precision >= 1 && precision <= 1000 && scale >= -1000 && scale <= 1000 &&
            kd_type_numeric(precision, scale).modifier == modifier);
}

kd_status kdi_type_get(kd_ctx *ctx, kd_reader *reader, kd_type *out_type)
{
    *out_type = kd_type_of(KD_TYPE_UNKNOWN);
    const char *bytes = kd_read_bytes(reader, sizeof *out_type);
    if (bytes == NULL)
        return kdi_protocol_fail(ctx, "a type is cut short");
    kd_type type;
    memcpy(&type, bytes, sizeof type);
    if (type.id >= KD_TYPE_COUNT || type.is_array > 1 || type.reserved != 0 || type.modifier < -1 ||
        (type.id == KD_TYPE_NUMERIC && !is_numeric_modifier(type.modifier)))
        return kdi_protocol_fail(ctx, "a type is unknown");
    *out_type = type;
    return KD_OK;
}

kd_status kdi_described_put(kd_ctx *ctx, const kdi_described *item, kd_buffer *out)
{
    KD_TRY(kdi_type_put(ctx, item->type, out));
    KD_TRY(kd_buffer_append_counted(ctx, out, item->name));
    return kd_buffer_append_counted(ctx, out, item->type_name);
}

static kd_status copy_slice(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out_copy)
{
    char *copy = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    *out_copy = (kd_slice){copy, copy == NULL ? 0 : text.size_bytes};
    return copy == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_described_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                            kdi_described *out_item)
{
    *out_item = (kdi_described){0};
    KD_TRY(kdi_type_get(ctx, reader, &out_item->type));
    kd_slice name = kd_read_slice(reader);
    kd_slice type_name = kd_read_slice(reader);
    if (reader->failed)
        return kdi_protocol_fail(ctx, "a description is cut short");
    KD_TRY(copy_slice(ctx, arena, name, &out_item->name));
    return copy_slice(ctx, arena, type_name, &out_item->type_name);
}

/* A count of things that take at least `item_bytes` each in what is left. */
static bool count_is_possible(const kd_reader *reader, uint64_t count, size_t item_bytes)
{
    return !reader->failed && count <= (uint64_t)(reader->end - reader->at) / item_bytes;
}

kd_status kdi_described_list_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, uint32_t max,
                                 kdi_described **out_items, uint32_t *out_count)
{
    *out_items = NULL;
    *out_count = 0;
    uint64_t count = kd_read_varint(reader);
    if (count > max || !count_is_possible(reader, count, sizeof(kd_type) + 2))
        return kdi_protocol_fail(ctx, "a list of descriptions has a wrong length");
    kdi_described *items = KD_NEW_ARRAY(ctx, arena, kdi_described, (size_t)count);
    if (items == NULL)
        return KD_NOMEM;
    for (uint64_t i = 0; i < count; i++)
        KD_TRY(kdi_described_get(ctx, arena, reader, &items[i]));
    *out_items = items;
    *out_count = (uint32_t)count;
    return KD_OK;
}

/* --- Parameters ------------------------------------------------------------------------------- */

kd_status kdi_parameters_put(kd_ctx *ctx, const kd_value *values, uint32_t count, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_varint(ctx, out, count));
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(kdi_type_put(ctx, values[i].type, out));
        KD_TRY(kd_value_append(ctx, &values[i], out));
    }
    return KD_OK;
}

/* What kade_bind_* makes, as it makes it: other values go through their texts, which are checked
 * where they become values. */
static bool is_bindable(const kd_value *value)
{
    if (value->is_null)
        return true;
    switch (value->type.is_array ? KD_TYPE_VOID : value->type.id) {
    case KD_TYPE_TEXT:
        return kd_utf8_is_valid(kd_str_slice(&value->as.str), NULL);
    case KD_TYPE_JSON:
    case KD_TYPE_JSONB:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
    case KD_TYPE_ENUM:
    case KD_TYPE_VOID:
    case KD_TYPE_UNKNOWN:
        return false;
    default:
        return true;
    }
}

kd_status kdi_parameters_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, kd_value **out_values,
                             uint32_t *out_count)
{
    *out_values = NULL;
    *out_count = 0;
    uint64_t count = kd_read_varint(reader);
    if (count > KDI_LINK_PARAMETERS_MAX || !count_is_possible(reader, count, sizeof(kd_type) + 1))
        return kdi_protocol_fail(ctx, "a list of parameters has a wrong length");
    kd_value *values = KD_NEW_ARRAY(ctx, arena, kd_value, (size_t)count + 1);
    if (values == NULL)
        return KD_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        kd_type type;
        kd_value value;
        KD_TRY(kdi_type_get(ctx, reader, &type));
        if (kd_value_read(ctx, type, reader, &value) != KD_OK || !is_bindable(&value)) {
            kd_error_clear(ctx);
            return kdi_protocol_fail(ctx, "a parameter is malformed");
        }
        KD_TRY(kd_value_copy(ctx, arena, &value, &values[i]));
    }
    *out_values = values;
    *out_count = (uint32_t)count;
    return KD_OK;
}

/* --- Settings --------------------------------------------------------------------------------- */

kd_status kdi_run_facts_put(kd_ctx *ctx, const kd_session_facts *facts,
                            const kd_text_settings *text, kd_buffer *out)
{
    KD_TRY(put_text(ctx, kd_zone_name(text->zone), out));
    KD_TRY(kd_buffer_append_byte(ctx, out, text->date_order));
    KD_TRY(kd_buffer_append_byte(ctx, out, text->date_style));
    KD_TRY(kd_buffer_append_byte(ctx, out, text->interval_style));
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)text->extra_float_digits));
    KD_TRY(kd_buffer_append_byte(ctx, out, text->bytea_escape_output));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)text->now_us));
    KD_TRY(put_text(ctx, facts->user_name, out));
    KD_TRY(put_text(ctx, facts->database_name, out));
    KD_TRY(put_text(ctx, facts->current_schema, out));
    KD_TRY(kd_buffer_append_u64(ctx, out, (uint64_t)facts->transaction_us));
    return kd_buffer_append_u64(ctx, out, (uint64_t)facts->statement_us);
}

kd_status kdi_run_facts_get(kd_ctx *ctx, kd_reader *reader, kdi_run_facts *out_facts)
{
    *out_facts = (kdi_run_facts){0};
    out_facts->zone_name = kd_read_slice(reader);
    out_facts->text.date_order = kd_read_u8(reader);
    out_facts->text.date_style = kd_read_u8(reader);
    out_facts->text.interval_style = kd_read_u8(reader);
    out_facts->text.extra_float_digits = (int8_t)kd_read_u8(reader);
    out_facts->text.bytea_escape_output = kd_read_u8(reader) != 0;
    out_facts->text.now_us = (int64_t)kd_read_u64(reader);
    out_facts->user_name = kd_read_slice(reader);
    out_facts->database_name = kd_read_slice(reader);
    out_facts->schema_name = kd_read_slice(reader);
    out_facts->transaction_us = (int64_t)kd_read_u64(reader);
    out_facts->statement_us = (int64_t)kd_read_u64(reader);
    if (reader->failed || out_facts->text.date_order > 2 ||
        out_facts->text.date_style > KD_DATE_STYLE_GERMAN ||
        out_facts->text.interval_style > KD_INTERVAL_STYLE_ISO)
        return kdi_protocol_fail(ctx, "settings are malformed");
    return KD_OK;
}
