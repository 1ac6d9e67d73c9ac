/*
 * Writing newline-delimited JSON.
 */
#include "lake/ndjson_writer.h"

#include "types/json.h"

#include <math.h>
#include <string.h>

/* Types whose text form is a JSON number. */
static bool text_is_number(const kd_value *value)
{
    kd_type type = value->type;
    if (type.is_array)
        return false;
    if (type.id == KD_TYPE_FLOAT4)
        return isfinite(value->as.f32);
    if (type.id == KD_TYPE_FLOAT8)
        return isfinite(value->as.f64);
    return kd_type_is_integer(type);
}

/* numeric's text is a JSON number unless it is NaN or an infinity. */
static bool numeric_is_number(kd_slice text)
{
    char last = text.size_bytes > 0 ? text.data[text.size_bytes - 1] : '\0';
    return last >= '0' && last <= '9';
}

static kd_status value_write(kd_ctx *ctx, const kd_text_settings *settings, kd_arena *scratch,
                             const kd_value *value, kd_buffer *out)
{
    kd_type type = value->type;
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "null");
    if (!type.is_array && type.id == KD_TYPE_BOOL)
        return kd_buffer_append_text(ctx, out, value->as.boolean ? "true" : "false");
    if (!type.is_array && kd_type_is_string(type))
        return kd_json_append_string(ctx, kd_str_slice(&value->as.str), out);
    bool is_embedded = !type.is_array && (type.id == KD_TYPE_JSON || type.id == KD_TYPE_JSONB);
    if (is_embedded || text_is_number(value)) {
        size_t begin = out->size_bytes;
        KD_TRY(kd_value_format(ctx, settings, value, out));
        /* json keeps its text as written: a line end inside would break the record in two. */
        for (size_t i = begin; i < out->size_bytes; i++)
            if (out->data[i] == '\n' || out->data[i] == '\r')
                out->data[i] = ' ';
        return KD_OK;
    }
    kd_buffer text = kd_buffer_in(scratch);
    KD_TRY(kd_value_format(ctx, settings, value, &text));
    if (!type.is_array && type.id == KD_TYPE_NUMERIC && numeric_is_number(kd_buffer_slice(&text)))
        return kd_buffer_append_slice(ctx, out, kd_buffer_slice(&text));
    return kd_json_append_string(ctx, kd_buffer_slice(&text), out);
}

static kd_status row_write(kd_ctx *ctx, const kd_text_settings *settings, kd_arena *scratch,
                           const kd_slice *names, const kd_batch *batch, uint32_t row,
                           kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '{'));
    for (uint32_t c = 0; c < batch->column_count; c++) {
        if (c > 0)
            KD_TRY(kd_buffer_append_byte(ctx, out, ','));
        KD_TRY(kd_json_append_string(ctx, names[c], out));
        KD_TRY(kd_buffer_append_byte(ctx, out, ':'));
        kd_value value = kd_vector_get(&batch->columns[c], row);
        KD_TRY(value_write(ctx, settings, scratch, &value, out));
    }
    return kd_buffer_append_text(ctx, out, "}\n");
}

kd_status kd_ndjson_write_batch(kd_ctx *ctx, const kd_text_settings *settings,
                                const kd_slice *names, const kd_batch *batch, kd_buffer *out)
{
    kd_arena *scratch = kd_arena_create(ctx, out->arena, "ndjson", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_text_settings iso = settings == NULL ? (kd_text_settings){0} : *settings;
    iso.date_style = KD_DATE_STYLE_ISO; /* As in JSON that SQL makes. */
    kd_status status = KD_OK;
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        KD_TRY_OUT(row_write(ctx, settings == NULL ? NULL : &iso, scratch, names, batch,
                             kd_batch_row(batch, i), out));
        kd_arena_reset(scratch);
    }

out:
    kd_arena_destroy(scratch);
    return status;
}
