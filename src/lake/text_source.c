/*
 * Bytes for the import readers: raw input is read in blocks of 256 KiB, decompressed where the
 * first bytes say so, and otherwise read straight into the caller's buffer.
 */
#include "lake/text_source.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_BYTES = 256 * 1024, MAGIC_BYTES = 4, GZIP_WINDOW_BITS = 15 + 16 };

typedef enum compression {
    COMPRESSION_UNKNOWN = 0, /* Nothing was read yet. */
    COMPRESSION_NONE,
    COMPRESSION_GZIP,
    COMPRESSION_ZSTD,
} compression;

struct kd_text_source {
    kd_world *world;
    kd_file *file; /* NULL for a callback. */
    kd_text_read_fn read;
    void *object;
    uint64_t total_bytes;
    atomic_uint_least64_t consumed_bytes;
    compression compression;
    char *raw; /* RAW_BYTES; raw[raw_at .. raw_end) is not used yet. */
    size_t raw_at;
    size_t raw_end;
    bool raw_is_over;
    bool frame_is_open; /* Compressed data may not end now. */
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static kd_status source_create(kd_ctx *ctx, kd_arena *arena, kd_text_source **out_source)
{
    kd_text_source *source = KD_NEW(ctx, arena, kd_text_source);
    if (source == NULL)
        return KD_NOMEM;
    source->raw = kd_alloc_raw(ctx, arena, RAW_BYTES);
    if (source->raw == NULL)
        return KD_NOMEM;
    source->world = ctx->world;
    *out_source = source;
    return KD_OK;
}

kd_status kd_text_source_open(kd_ctx *ctx, kd_arena *arena, const char *path,
                              kd_text_source **out_source)
{
    kd_status status = KD_OK;
    kd_text_source *source = NULL;
    kd_file *file = NULL;
    *out_source = NULL;

    KD_TRY_OUT(ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    KD_TRY_OUT(source_create(ctx, arena, &source));
    KD_TRY_OUT(ctx->world->file_size(ctx, file, &source->total_bytes));
    source->file = file;
    file = NULL;
    *out_source = source;

out:
    ctx->world->file_close(ctx->world, file);
    return status;
}

kd_status kd_text_source_open_callback(kd_ctx *ctx, kd_arena *arena, kd_text_read_fn read,
                                       void *object, kd_text_source **out_source)
{
    *out_source = NULL;
    kd_text_source *source;
    KD_TRY(source_create(ctx, arena, &source));
    source->read = read;
    source->object = object;
    *out_source = source;
    return KD_OK;
}

void kd_text_source_close(kd_text_source *source)
{
    if (source == NULL)
        return;
    if (source->compression == COMPRESSION_GZIP)
        (void)inflateEnd(&source->gzip);
    ZSTD_freeDStream(source->zstd);
    source->zstd = NULL;
    source->compression = COMPRESSION_NONE;
    source->world->file_close(source->world, source->file);
    source->file = NULL;
}

/* One read of the file or callback; 0 bytes only at the end. */
static kd_status raw_read(kd_ctx *ctx, kd_text_source *source, void *target, size_t capacity_bytes,
                          size_t *out_bytes)
{
    *out_bytes = 0;
    if (source->raw_is_over)
        return KD_OK;
    uint64_t consumed = atomic_load_explicit(&source->consumed_bytes, memory_order_relaxed);
    if (source->file != NULL)
        KD_TRY(source->world->file_read(ctx, source->file, consumed, target, capacity_bytes,
                                        out_bytes));
    else
        KD_TRY(source->read(ctx, source->object, target, capacity_bytes, out_bytes));
    assert(*out_bytes <= capacity_bytes);
    if (*out_bytes == 0)
        source->raw_is_over = true;
    atomic_store_explicit(&source->consumed_bytes, consumed + *out_bytes, memory_order_relaxed);
    return KD_OK;
}

/* Refills the raw block once it is used up. */
static kd_status raw_fill(kd_ctx *ctx, kd_text_source *source)
{
    if (source->raw_at < source->raw_end)
        return KD_OK;
    source->raw_at = 0;
    source->raw_end = 0;
    return raw_read(ctx, source, source->raw, RAW_BYTES, &source->raw_end);
}

static kd_status compression_detect(kd_ctx *ctx, kd_text_source *source)
{
    while (source->raw_end < MAGIC_BYTES && !source->raw_is_over) {
        size_t read_bytes;
        KD_TRY(raw_read(ctx, source, source->raw + source->raw_end, RAW_BYTES - source->raw_end,
                        &read_bytes));
        source->raw_end += read_bytes;
    }
    source->compression = COMPRESSION_NONE;
    if (source->raw_end >= 2 && memcmp(source->raw, "\x1f\x8b", 2) == 0) {
        if (inflateInit2(&source->gzip, GZIP_WINDOW_BITS) != Z_OK)
            return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
        source->compression = COMPRESSION_GZIP;
    } else if (source->raw_end >= 4 && memcmp(source->raw, "\x28\xb5\x2f\xfd", 4) == 0) {
        source->zstd = ZSTD_createDStream();
        if (source->zstd == NULL)
            return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
        source->compression = COMPRESSION_ZSTD;
    }
    return KD_OK;
}

static kd_status gzip_step(kd_ctx *ctx, kd_text_source *source, char *target, size_t capacity_bytes,
                           size_t *out_bytes)
{
    z_stream *gzip = &source->gzip;
    gzip->next_in = (Bytef *)source->raw + source->raw_at;
    gzip->avail_in = (uInt)(source->raw_end - source->raw_at);
    gzip->next_out = (Bytef *)target;
    gzip->avail_out = (uInt)(capacity_bytes > UINT32_MAX / 2 ? UINT32_MAX / 2 : capacity_bytes);
    uInt room = gzip->avail_out;
    int code = inflate(gzip, Z_NO_FLUSH);
    source->raw_at = source->raw_end - gzip->avail_in;
    *out_bytes = room - gzip->avail_out;
    if (code == Z_STREAM_END) {
        /* Another member may follow: gzip files may be concatenated. */
        source->frame_is_open = false;
        (void)inflateReset(gzip);
        return KD_OK;
    }
    if (code != Z_OK && code != Z_BUF_ERROR)
        return KD_FAIL(ctx, KD_INVALID, "22P04", "invalid gzip data: %s",
                       gzip->msg != NULL ? gzip->msg : "unknown error");
    source->frame_is_open = true;
    return KD_OK;
}

static kd_status zstd_step(kd_ctx *ctx, kd_text_source *source, char *target, size_t capacity_bytes,
                           size_t *out_bytes)
{
    ZSTD_inBuffer in = {source->raw + source->raw_at, source->raw_end - source->raw_at, 0};
    ZSTD_outBuffer out = {target, capacity_bytes, 0};
    size_t left = ZSTD_decompressStream(source->zstd, &out, &in);
    if (ZSTD_isError(left))
        return KD_FAIL(ctx, KD_INVALID, "22P04", "invalid zstd data: %s", ZSTD_getErrorName(left));
    source->raw_at += in.pos;
    *out_bytes = out.pos;
    source->frame_is_open = left != 0;
    return KD_OK;
}

/* Some decompressed bytes, or none with all input used up. */
static kd_status decompress_step(kd_ctx *ctx, kd_text_source *source, char *target,
                                 size_t capacity_bytes, size_t *out_bytes)
{
    if (source->compression == COMPRESSION_GZIP)
        return gzip_step(ctx, source, target, capacity_bytes, out_bytes);
    return zstd_step(ctx, source, target, capacity_bytes, out_bytes);
}

static kd_status plain_read(kd_ctx *ctx, kd_text_source *source, char *target,
                            size_t capacity_bytes, size_t *out_bytes)
{
    size_t done = source->raw_end - source->raw_at;
    if (done > capacity_bytes)
        done = capacity_bytes;
    memcpy(target, source->raw + source->raw_at, done);
    source->raw_at += done;
    while (done < capacity_bytes && !source->raw_is_over) {
        size_t read_bytes;
        KD_TRY(raw_read(ctx, source, target + done, capacity_bytes - done, &read_bytes));
        done += read_bytes;
    }
    *out_bytes = done;
    return KD_OK;
}

kd_status kd_text_source_read(kd_ctx *ctx, kd_text_source *source, void *target,
                              size_t capacity_bytes, size_t *out_bytes)
{
    *out_bytes = 0;
    if (source->compression == COMPRESSION_UNKNOWN)
        KD_TRY(compression_detect(ctx, source));
    if (source->compression == COMPRESSION_NONE)
        return plain_read(ctx, source, target, capacity_bytes, out_bytes);

    size_t done = 0;
    while (done < capacity_bytes) {
        KD_TRY(kd_check_cancelled(ctx));
        KD_TRY(raw_fill(ctx, source));
        bool input_is_over = source->raw_at == source->raw_end;
        if (input_is_over && !source->frame_is_open)
            break; /* The last frame is finished, and its output was all delivered. */
        size_t step_bytes = 0;
        KD_TRY(decompress_step(ctx, source, (char *)target + done, capacity_bytes - done,
                               &step_bytes));
        done += step_bytes;
        if (input_is_over && step_bytes == 0)
            return KD_FAIL(ctx, KD_INVALID, "22P04", "unexpected end of compressed data");
    }
    *out_bytes = done;
    return KD_OK;
}

uint64_t kd_text_source_consumed_bytes(const kd_text_source *source)
{
    return atomic_load_explicit(&source->consumed_bytes, memory_order_relaxed);
}

uint64_t kd_text_source_total_bytes(const kd_text_source *source)
{
    return source->total_bytes;
}
