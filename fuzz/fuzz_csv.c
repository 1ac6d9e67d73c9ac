/*
 * Any bytes as a CSV file: sniffed and read to the end or refused, never worse. The first byte
 * chooses the format and what becomes of bad rows.
 */
#include "fuzz_feed.h"

#include "lake/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static kd_status read_all(kd_ctx *ctx, kd_arena *arena, kd_text_source *source, uint8_t choice)
{
    kd_csv_options options = kd_csv_options_default();
    options.format = choice & 1 ? KD_CSV_TEXT : KD_CSV_CSV;
    options.on_error = choice & 2 ? KD_IMPORT_REJECT : KD_IMPORT_STOP;
    options.escape = choice & 4 ? '\\' : '\0';
    options.null_padding = (choice & 8) != 0;
    options.ignore_extra = (choice & 16) != 0;
    options.skip_lines = choice & 32 ? 1 : 0;
    kd_text_settings settings = {.extra_float_digits = 1};
    kd_csv_reader *reader;
    kd_csv_worker *worker;
    KD_TRY(kd_csv_reader_create(ctx, arena, source, &options, &reader));
    kd_status status = kd_csv_worker_create(ctx, arena, reader, &settings, &worker);
    kd_batch batch = {.row_count = 1};
    while (status == KD_OK && batch.row_count > 0)
        status = kd_csv_worker_next(ctx, worker, &batch);
    kd_csv_reader_destroy(reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    fuzz_feed_run(data, size_bytes, read_all);
    return 0;
}
