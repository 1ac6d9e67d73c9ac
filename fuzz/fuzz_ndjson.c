/*
 * Any bytes as an NDJSON file: sniffed and read to the end or refused, never worse. The first byte
 * chooses what becomes of bad lines.
 */
#include "fuzz_feed.h"

#include "lake/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static kd_status read_all(kd_ctx *ctx, kd_arena *arena, kd_text_source *source, uint8_t choice)
{
    kd_ndjson_options options = {.on_error = choice & 1 ? KD_IMPORT_REJECT : KD_IMPORT_STOP};
    kd_text_settings settings = {.extra_float_digits = 1};
    kd_ndjson_reader *reader;
    kd_ndjson_worker *worker;
    KD_TRY(kd_ndjson_reader_create(ctx, arena, source, &options, &reader));
    kd_status status = kd_ndjson_worker_create(ctx, arena, reader, &settings, &worker);
    kd_batch batch = {.row_count = 1};
    while (status == KD_OK && batch.row_count > 0)
        status = kd_ndjson_worker_next(ctx, worker, &batch);
    kd_ndjson_reader_destroy(reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    fuzz_feed_run(data, size_bytes, read_all);
    return 0;
}
