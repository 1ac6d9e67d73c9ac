/*
 * Any bytes as an NDJSON file: sniffed and read to the end or refused, never worse. The first byte
 * chooses what becomes of bad lines.
 */
#include "lake/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

typedef struct feed {
    const uint8_t *data;
    size_t left;
} feed;

static kd_status feed_read(kd_ctx *ctx, void *object, void *target, size_t capacity_bytes,
                           size_t *out_bytes)
{
    (void)ctx;
    feed *self = object;
    size_t taken = capacity_bytes < self->left ? capacity_bytes : self->left;
    memcpy(target, self->data, taken);
    self->data += taken;
    self->left -= taken;
    *out_bytes = taken;
    return KD_OK;
}

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
    if (size_bytes == 0)
        return 0;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)1 << 30);
    feed input = {.data = data + 1, .left = size_bytes - 1};
    kd_text_source *source;
    if (arena != NULL &&
        kd_text_source_open_callback(&ctx, arena, feed_read, &input, &source) == KD_OK) {
        (void)!read_all(&ctx, arena, source, data[0]);
        kd_text_source_close(source);
    }
    kd_arena_destroy(arena);
    return 0;
}
