/*
 * For the tests of lake: readers over texts in memory, results as text.
 */
#include "lake_text.h"

kd_status text_feed_read(kd_ctx *ctx, void *object, void *target, size_t capacity_bytes,
                         size_t *out_bytes)
{
    (void)ctx;
    text_feed *feed = object;
    size_t left = feed->text.size_bytes - feed->at;
    size_t taken = capacity_bytes < feed->piece_bytes ? capacity_bytes : feed->piece_bytes;
    if (taken > left)
        taken = left;
    memcpy(target, feed->text.data + feed->at, taken);
    feed->at += taken;
    *out_bytes = taken;
    return KD_OK;
}

kd_status batch_to_text(kd_ctx *ctx, const kd_batch *batch, kd_buffer *out)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        for (uint32_t c = 0; c < batch->column_count; c++) {
            if (c > 0)
                KD_TRY(kd_buffer_append_byte(ctx, out, '|'));
            kd_value value = kd_vector_get(&batch->columns[c], row);
            if (value.is_null)
                KD_TRY(kd_buffer_append_byte(ctx, out, '~'));
            else
                KD_TRY(kd_value_format(ctx, &(kd_text_settings){.extra_float_digits = 1}, &value,
                                       out));
        }
        KD_TRY(kd_buffer_append_byte(ctx, out, '\n'));
    }
    return KD_OK;
}

static kd_status rejects_to_text(kd_ctx *ctx, const kd_import_rejects *rejects, kd_buffer *out)
{
    for (size_t i = 0; i < rejects->count; i++) {
        const kd_import_reject *reject = &rejects->items[i];
        KD_TRY(kd_buffer_append_format(ctx, out, "%llu:%s:%s\n", (unsigned long long)reject->line,
                                       reject->column == NULL ? "" : reject->column,
                                       reject->reason));
    }
    return KD_OK;
}

static kd_status reader_to_text(kd_ctx *ctx, kd_arena *arena, kd_csv_reader *reader, kd_buffer *out,
                                kd_buffer *rejects)
{
    static const kd_text_settings SETTINGS = {.extra_float_digits = 1};
    kd_csv_worker *worker;
    KD_TRY(kd_csv_worker_create(ctx, arena, reader, &SETTINGS, &worker));
    kd_batch batch;
    do {
        KD_TRY(kd_csv_worker_next(ctx, worker, &batch));
        KD_TRY(batch_to_text(ctx, &batch, out));
        if (rejects != NULL)
            KD_TRY(rejects_to_text(ctx, kd_csv_worker_rejects(worker), rejects));
    } while (batch.row_count > 0);
    return KD_OK;
}

kd_status csv_to_text(kd_ctx *ctx, kd_arena *arena, kd_slice text, const kd_csv_options *options,
                      kd_buffer *out, kd_buffer *rejects)
{
    kd_status status = KD_OK;
    text_feed feed = {.text = text, .piece_bytes = 1000};
    kd_text_source *source = NULL;
    kd_csv_reader *reader = NULL;
    KD_TRY_OUT(kd_text_source_open_callback(ctx, arena, text_feed_read, &feed, &source));
    KD_TRY_OUT(kd_csv_reader_create(ctx, arena, source, options, &reader));
    KD_TRY_OUT(reader_to_text(ctx, arena, reader, out, rejects));

out:
    kd_csv_reader_destroy(reader);
    kd_text_source_close(source);
    return status;
}

kd_status csv_schema_text(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                          const kd_csv_options *options, kd_buffer *out)
{
    kd_status status = KD_OK;
    text_feed feed = {.text = text, .piece_bytes = 1000};
    kd_text_source *source = NULL;
    kd_csv_reader *reader = NULL;
    KD_TRY_OUT(kd_text_source_open_callback(ctx, arena, text_feed_read, &feed, &source));
    KD_TRY_OUT(kd_csv_reader_create(ctx, arena, source, options, &reader));
    const kd_csv_schema *schema = kd_csv_reader_schema(reader);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (i > 0)
            KD_TRY_OUT(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY_OUT(kd_buffer_append_slice(ctx, out, schema->columns[i].name));
        KD_TRY_OUT(kd_buffer_append_byte(ctx, out, ' '));
        KD_TRY_OUT(kd_type_format(ctx, schema->columns[i].type, out));
    }

out:
    kd_csv_reader_destroy(reader);
    kd_text_source_close(source);
    return status;
}
