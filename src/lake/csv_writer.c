/*
 * Writing CSV and COPY's text format.
 *
 * A value is first written at the end of the buffer as it is; where it needs quotes or escapes it
 * is then spread in place from its end, so that no second buffer is needed.
 */
#include "lake/csv_writer.h"

#include "types/number_text.h"

#include <assert.h>
#include <string.h>

typedef struct write_dialect {
    kd_csv_format format;
    char delimiter;
    char quote;
    char escape;
    bool quote_all;
    kd_slice null_text;
} write_dialect;

static write_dialect dialect_of(const kd_csv_write_options *options)
{
    bool is_csv = options->format == KD_CSV_CSV;
    write_dialect dialect = {
        .format = options->format,
        .delimiter = options->delimiter != 0 ? options->delimiter
                     : is_csv                ? ','
                                             : '\t',
        .quote = options->quote != 0 ? options->quote : '"',
        .escape = options->escape,
        .quote_all = options->quote_all,
        .null_text = options->null_text,
    };
    if (dialect.escape == 0)
        dialect.escape = dialect.quote;
    if (dialect.null_text.data == NULL)
        dialect.null_text = is_csv ? KD_SLICE("") : KD_SLICE("\\N");
    return dialect;
}

static bool csv_needs_quotes(const write_dialect *dialect, kd_slice text, bool is_alone)
{
    if (kd_slice_equal(text, dialect->null_text))
        return true;
    if (is_alone && kd_slice_equal(text, KD_SLICE("\\.")))
        return true; /* Would read as the end mark. */
    for (size_t i = 0; i < text.size_bytes; i++) {
        char byte = text.data[i];
        if (byte == dialect->delimiter || byte == dialect->quote || byte == '\n' || byte == '\r')
            return true;
    }
    return false;
}

/* The bytes of `out` from `begin` on become a quoted field. */
static kd_status csv_quote(kd_ctx *ctx, const write_dialect *dialect, kd_buffer *out, size_t begin)
{
    size_t size = out->size_bytes - begin;
    size_t escape_count = 0;
    for (size_t i = begin; i < out->size_bytes; i++)
        escape_count += out->data[i] == dialect->quote || out->data[i] == dialect->escape;
    size_t extra = escape_count + 2;
    KD_TRY(kd_buffer_reserve(ctx, out, extra, NULL));
    char *to = out->data + out->size_bytes + extra;
    *--to = dialect->quote;
    for (size_t i = size; i > 0; i--) {
        char byte = out->data[begin + i - 1];
        *--to = byte;
        if (byte == dialect->quote || byte == dialect->escape)
            *--to = dialect->escape;
    }
    *--to = dialect->quote;
    assert(to == out->data + begin);
    out->size_bytes += extra;
    return KD_OK;
}

/* The letter after the backslash; 0 when the byte stands for itself. */
static char text_escape_of(const write_dialect *dialect, char byte)
{
    switch (byte) {
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\v':
        return 'v';
    case '\\':
        return '\\';
    default:
        return byte == dialect->delimiter ? byte : '\0';
    }
}

static kd_status text_escape(kd_ctx *ctx, const write_dialect *dialect, kd_buffer *out,
                             size_t begin)
{
    size_t size = out->size_bytes - begin;
    size_t extra = 0;
    for (size_t i = begin; i < out->size_bytes; i++)
        extra += text_escape_of(dialect, out->data[i]) != 0;
    if (extra == 0)
        return KD_OK;
    KD_TRY(kd_buffer_reserve(ctx, out, extra, NULL));
    char *to = out->data + out->size_bytes + extra;
    for (size_t i = size; i > 0; i--) {
        char byte = out->data[begin + i - 1];
        char letter = text_escape_of(dialect, byte);
        *--to = letter != 0 ? letter : byte;
        if (letter != 0)
            *--to = '\\';
    }
    out->size_bytes += extra;
    return KD_OK;
}

static kd_status field_finish(kd_ctx *ctx, const write_dialect *dialect, kd_buffer *out,
                              size_t begin, bool is_alone)
{
    if (dialect->format == KD_CSV_TEXT)
        return text_escape(ctx, dialect, out, begin);
    kd_slice text = {out->data + begin, out->size_bytes - begin};
    if (!dialect->quote_all && !csv_needs_quotes(dialect, text, is_alone))
        return KD_OK;
    return csv_quote(ctx, dialect, out, begin);
}

/* Integers need neither quotes nor escapes, and are half of most files. */
static kd_status field_write(kd_ctx *ctx, const write_dialect *dialect,
                             const kd_text_settings *settings, const kd_vector *vector,
                             uint32_t row, bool is_alone, kd_buffer *out)
{
    if (kd_vector_is_null(vector, row))
        return kd_buffer_append_slice(ctx, out, dialect->null_text);
    kd_value value = kd_vector_get(vector, row);
    size_t begin = out->size_bytes;
    bool is_integer =
        !value.type.is_array && (value.type.id == KD_TYPE_INT4 || value.type.id == KD_TYPE_INT8);
    if (is_integer && !dialect->quote_all) {
        char *at;
        KD_TRY(kd_buffer_reserve(ctx, out, KD_NUMBER_TEXT_BYTES, &at));
        int64_t number = value.type.id == KD_TYPE_INT4 ? value.as.i32 : value.as.i64;
        out->size_bytes += kd_int64_format(number, at);
    } else if (vector->physical == KD_PHYS_STR && kd_type_is_string(value.type) &&
               value.type.id != KD_TYPE_CHAR) {
        KD_TRY(kd_buffer_append_slice(ctx, out, kd_str_slice(&value.as.str)));
    } else {
        KD_TRY(kd_value_format(ctx, settings, &value, out));
    }
    if (is_integer && !dialect->quote_all && dialect->null_text.size_bytes == 0)
        return KD_OK;
    return field_finish(ctx, dialect, out, begin, is_alone);
}

kd_status kd_csv_write_header(kd_ctx *ctx, const kd_csv_write_options *options,
                              const kd_slice *names, uint32_t column_count, kd_buffer *out)
{
    write_dialect dialect = dialect_of(options);
    dialect.quote_all = false;
    for (uint32_t i = 0; i < column_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)dialect.delimiter));
        size_t begin = out->size_bytes;
        KD_TRY(kd_buffer_append_slice(ctx, out, names[i]));
        KD_TRY(field_finish(ctx, &dialect, out, begin, column_count == 1));
    }
    return kd_buffer_append_byte(ctx, out, '\n');
}

kd_status kd_csv_write_batch(kd_ctx *ctx, const kd_csv_write_options *options,
                             const kd_text_settings *settings, const kd_batch *batch,
                             kd_buffer *out)
{
    write_dialect dialect = dialect_of(options);
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        for (uint32_t c = 0; c < batch->column_count; c++) {
            if (c > 0)
                KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)dialect.delimiter));
            KD_TRY(field_write(ctx, &dialect, settings, &batch->columns[c], row,
                               batch->column_count == 1, out));
        }
        KD_TRY(kd_buffer_append_byte(ctx, out, '\n'));
    }
    return KD_OK;
}
