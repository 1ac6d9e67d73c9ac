/*
 * RowDescription and DataRow.
 */
#include "server/pg_internal.h"

#include "types/number_text.h"
#include "types/type_number.h"

static bool is_binary(const uint16_t *formats, uint32_t format_count, uint32_t column)
{
    return format_count == 0 ? false : formats[format_count == 1 ? 0 : column] == 1;
}

kd_status kdi_pg_put_description(kd_ctx *ctx, kdi_pg *pg, const kd_rel_column *columns,
                                 uint32_t count, const uint16_t *formats, uint32_t format_count)
{
    kd_buffer *out = &pg->stream->out;
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'T', &start));
    KD_TRY(kd_buffer_append_big_u16(ctx, out, (uint16_t)count));
    for (uint32_t i = 0; i < count; i++) {
        const kd_rel_column *column = &columns[i];
        /* A column whose type stayed open is a text. */
        kd_type type = column->type.id == KD_TYPE_UNKNOWN ? kd_type_of(KD_TYPE_TEXT) : column->type;
        KD_TRY(kdi_pg_put_text(ctx, pg, column->name));
        KD_TRY(kd_buffer_append_big_u32(ctx, out, 0)); /* No table is named. */
        KD_TRY(kd_buffer_append_big_u16(ctx, out, 0));
        KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)kd_type_number(type)));
        KD_TRY(kd_buffer_append_big_u16(ctx, out, (uint16_t)kd_type_length_number(type)));
        KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)kd_type_modifier_number(type)));
        KD_TRY(kd_buffer_append_big_u16(ctx, out, is_binary(formats, format_count, i)));
    }
    kdi_pg_end(pg, start);
    return KD_OK;
}

/* Integers and texts are most of what is sent. */
static kd_status put_text_value(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_value *value, kd_buffer *out)
{
    bool is_text = kd_type_is_string(value->type) && value->type.id != KD_TYPE_CHAR;
    if (is_text && !value->type.is_array)
        return kd_buffer_append_slice(ctx, out, kd_str_slice(&value->as.str));
    bool is_int4 = value->type.id == KD_TYPE_INT4, is_int8 = value->type.id == KD_TYPE_INT8;
    if ((!is_int4 && !is_int8) || value->type.is_array)
        return kd_value_format(ctx, settings, value, out);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, KD_NUMBER_TEXT_BYTES, &at));
    out->size_bytes += kd_int64_format(is_int4 ? value->as.i32 : value->as.i64, at);
    return KD_OK;
}

static kd_status put_value(kd_ctx *ctx, const kd_text_settings *settings, const kd_vector *vector,
                           uint32_t row, bool binary, kd_buffer *out)
{
    kd_value value = kd_vector_get(vector, row);
    if (binary || value.is_null)
        return kd_binary_append_counted(ctx, settings, &value, out);
    size_t start = out->size_bytes;
    KD_TRY(kd_buffer_append_u32(ctx, out, 0));
    KD_TRY(put_text_value(ctx, settings, &value, out));
    kd_store_big_u32(out->data + start, (uint32_t)(out->size_bytes - start - 4));
    return KD_OK;
}

kd_status kdi_pg_put_rows(kd_ctx *ctx, kdi_pg *pg, const kd_request *request, const kd_batch *batch,
                          uint32_t from, uint32_t to, const uint16_t *formats,
                          uint32_t format_count)
{
    kd_buffer *out = &pg->stream->out;
    for (uint32_t i = from; i < to; i++) {
        uint32_t row = kd_batch_row(batch, i);
        size_t start;
        KD_TRY(kdi_pg_begin(ctx, pg, 'D', &start));
        KD_TRY(kd_buffer_append_big_u16(ctx, out, (uint16_t)request->column_count));
        for (uint32_t c = 0; c < request->column_count; c++)
            KD_TRY(put_value(ctx, request->text, &batch->columns[c], row,
                             is_binary(formats, format_count, c), out));
        if (out->size_bytes - start > INT32_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "a row is too long for the protocol");
        kdi_pg_end(pg, start);
        KD_TRY(kdi_pg_flush_if_full(ctx, pg));
    }
    return KD_OK;
}
