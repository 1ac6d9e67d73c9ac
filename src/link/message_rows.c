/*
 * Rows as bytes: flat columns with their validity.
 */
#include "link/message_internal.h"

#include <assert.h>

uint32_t kdi_rows_that_fit(const kd_batch *batch, uint32_t first)
{
    assert(first < batch->selected_count);
    size_t fixed_bytes = 0;
    for (uint32_t c = 0; c < batch->column_count; c++)
        fixed_bytes += kd_physical_bytes((kd_physical)batch->columns[c].physical) + 1;
    size_t total_bytes = 0;
    uint32_t count = 0;
    while (first + count < batch->selected_count) {
        total_bytes += fixed_bytes;
        uint32_t row = kd_batch_row(batch, first + count);
        for (uint32_t c = 0; c < batch->column_count; c++) {
            const kd_vector *vector = &batch->columns[c];
            if (vector->physical == KD_PHYS_STR && !kd_vector_is_null(vector, row))
                total_bytes += ((const kd_str *)kd_vector_payload(vector, row, NULL))->size_bytes;
        }
        if (count > 0 && total_bytes > KDI_ROWS_FRAME_BYTES)
            break;
        count++;
    }
    return count;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Whether any of the rows is NULL decides whether there is a bitmap. */
static kd_status put_validity(kd_ctx *ctx, const kd_batch *batch, const kd_vector *vector,
                              uint32_t first, uint32_t count, kd_buffer *out)
{
    bool has_nulls = false;
    if (vector->validity != NULL || vector->form == KD_VECTOR_DICT)
        for (uint32_t i = 0; i < count && !has_nulls; i++)
            has_nulls = kd_vector_is_null(vector, kd_batch_row(batch, first + i));
    KD_TRY(kd_buffer_append_byte(ctx, out, has_nulls));
    if (!has_nulls)
        return KD_OK;
    char *bits;
    size_t size_bytes = ((size_t)count + 7) / 8;
    KD_TRY(kd_buffer_reserve(ctx, out, size_bytes, &bits));
    memset(bits, 0, size_bytes);
    for (uint32_t i = 0; i < count; i++)
        if (!kd_vector_is_null(vector, kd_batch_row(batch, first + i)))
            bits[i / 8] = (char)((unsigned char)bits[i / 8] | 1u << i % 8);
    out->size_bytes += size_bytes;
    return KD_OK;
}

static kd_status put_fixed(kd_ctx *ctx, const kd_batch *batch, const kd_vector *vector,
                           uint32_t first, uint32_t count, kd_buffer *out)
{
    uint32_t width = kd_physical_bytes((kd_physical)vector->physical);
    size_t size_bytes = (size_t)count * width;
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, size_bytes, &at));
    out->size_bytes += size_bytes;
    if (vector->form == KD_VECTOR_FLAT && batch->selection == NULL && vector->validity == NULL) {
        memcpy(at, (const char *)vector->values + (size_t)first * width, size_bytes);
        return KD_OK;
    }
    for (uint32_t i = 0; i < count; i++, at += width) {
        char scratch[16];
        uint32_t row = kd_batch_row(batch, first + i);
        if (kd_vector_is_null(vector, row))
            memset(at, 0, width);
        else
            memcpy(at, kd_vector_payload(vector, row, scratch), width);
    }
    return KD_OK;
}

static kd_status put_strings(kd_ctx *ctx, const kd_batch *batch, const kd_vector *vector,
                             uint32_t first, uint32_t count, kd_buffer *out)
{
    char *lengths;
    size_t start_bytes = out->size_bytes;
    KD_TRY(kd_buffer_reserve(ctx, out, (size_t)count * 4, &lengths));
    out->size_bytes += (size_t)count * 4;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = kd_batch_row(batch, first + i);
        kd_slice bytes = {"", 0};
        if (!kd_vector_is_null(vector, row))
            bytes = kd_str_slice(kd_vector_payload(vector, row, NULL));
        kd_store_u32(out->data + start_bytes + (size_t)i * 4, (uint32_t)bytes.size_bytes);
        KD_TRY(kd_buffer_append_slice(ctx, out, bytes));
    }
    return KD_OK;
}

kd_status kdi_rows_put(kd_ctx *ctx, const kd_batch *batch, uint32_t first, uint32_t count,
                       kd_buffer *out)
{
    assert(first + count <= batch->selected_count);
    KD_TRY(kd_buffer_append_u32(ctx, out, count));
    KD_TRY(kd_buffer_append_u32(ctx, out, batch->column_count));
    for (uint32_t c = 0; c < batch->column_count; c++) {
        const kd_vector *vector = &batch->columns[c];
        KD_TRY(kdi_type_put(ctx, vector->type, out));
        KD_TRY(put_validity(ctx, batch, vector, first, count, out));
        KD_TRY(vector->physical == KD_PHYS_STR ? put_strings(ctx, batch, vector, first, count, out)
                                               : put_fixed(ctx, batch, vector, first, count, out));
    }
    return KD_OK;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static kd_status fail_rows(kd_ctx *ctx)
{
    return kdi_protocol_fail(ctx, "rows are malformed");
}

static kd_status get_validity(kd_ctx *ctx, kd_reader *reader, uint32_t count, kd_vector *vector)
{
    uint8_t flag = kd_read_u8(reader);
    if (reader->failed || flag > 1)
        return fail_rows(ctx);
    if (flag == 0)
        return KD_OK;
    const char *bits = kd_read_bytes(reader, ((size_t)count + 7) / 8);
    if (bits == NULL)
        return fail_rows(ctx);
    for (uint32_t i = 0; i < count; i++)
        if (((unsigned char)bits[i / 8] >> i % 8 & 1) == 0)
            kd_vector_set_null(vector, i);
    return KD_OK;
}

static kd_status get_fixed(kd_ctx *ctx, kd_reader *reader, uint32_t count, kd_vector *vector)
{
    size_t size_bytes = (size_t)count * kd_physical_bytes((kd_physical)vector->physical);
    const char *bytes = kd_read_bytes(reader, size_bytes);
    if (bytes == NULL)
        return fail_rows(ctx);
    if (vector->physical == KD_PHYS_BOOL)
        for (uint32_t i = 0; i < count; i++)
            if ((unsigned char)bytes[i] > 1)
                return fail_rows(ctx);
    if (size_bytes > 0)
        memcpy(vector->values, bytes, size_bytes);
    return KD_OK;
}

static kd_status get_strings(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, uint32_t count,
                             kd_vector *vector)
{
    const char *lengths = kd_read_bytes(reader, (size_t)count * 4);
    if (lengths == NULL)
        return fail_rows(ctx);
    uint64_t total_bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        total_bytes += kd_load_u32(lengths + (size_t)i * 4);
    const char *bytes = kd_read_bytes(reader, (size_t)total_bytes);
    if (bytes == NULL)
        return fail_rows(ctx);
    char *copy = kd_alloc_raw(ctx, arena, (size_t)total_bytes + 1);
    if (copy == NULL)
        return KD_NOMEM;
    memcpy(copy, bytes, (size_t)total_bytes);
    kd_str *strings = vector->values;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size_bytes = kd_load_u32(lengths + (size_t)i * 4);
        strings[i] = kd_str_from(copy, size_bytes);
        copy += size_bytes;
    }
    return KD_OK;
}

kd_status kdi_rows_get(kd_ctx *ctx, kd_arena *arena, kd_reader *reader, kd_batch *out_batch)
{
    *out_batch = (kd_batch){0};
    uint32_t row_count = kd_read_u32(reader);
    uint32_t column_count = kd_read_u32(reader);
    if (reader->failed || row_count > KD_BATCH_ROWS || column_count > KDI_LINK_COLUMNS_MAX ||
        column_count > (size_t)(reader->end - reader->at))
        return fail_rows(ctx);
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < column_count; c++) {
        kd_type type;
        KD_TRY(kdi_type_get(ctx, reader, &type));
        KD_TRY(kd_vector_init_flat(ctx, arena, type, row_count, &columns[c]));
        KD_TRY(get_validity(ctx, reader, row_count, &columns[c]));
        KD_TRY(columns[c].physical == KD_PHYS_STR
                   ? get_strings(ctx, arena, reader, row_count, &columns[c])
                   : get_fixed(ctx, reader, row_count, &columns[c]));
    }
    *out_batch = (kd_batch){.row_count = row_count,
                            .selected_count = row_count,
                            .column_count = column_count,
                            .columns = columns};
    return KD_OK;
}
