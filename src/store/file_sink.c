/*
 * Writing a file from front to back: pieces of 1 MiB, aligned for O_DIRECT.
 */
#include "store/file_sink.h"

#include <assert.h>
#include <string.h>

enum { SINK_BYTES = 1 << 20 };

kd_status kd_file_sink_open(kd_ctx *ctx, kd_file_sink *sink, kd_account *account, const char *path)
{
    *sink = (kd_file_sink){.account = account};
    sink->memory = kd_heap_alloc_raw(ctx, account, SINK_BYTES + KD_DIRECT_ALIGN_BYTES);
    if (sink->memory == NULL)
        return KD_NOMEM;
    uintptr_t at = (uintptr_t)sink->memory;
    size_t skip = (KD_DIRECT_ALIGN_BYTES - at % KD_DIRECT_ALIGN_BYTES) % KD_DIRECT_ALIGN_BYTES;
    sink->buffer = (uint8_t *)sink->memory + skip;
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE | KD_FILE_DIRECT;
    return ctx->world->file_open(ctx, path, flags, &sink->file);
}

static kd_status flush(kd_ctx *ctx, kd_file_sink *sink, size_t size_bytes)
{
    assert(size_bytes % KD_DIRECT_ALIGN_BYTES == 0);
    KD_TRY(ctx->world->file_write(ctx, sink->file, sink->flushed_bytes, sink->buffer, size_bytes));
    sink->flushed_bytes += size_bytes;
    sink->used_bytes = 0;
    return KD_OK;
}

kd_status kd_file_sink_append(kd_ctx *ctx, kd_file_sink *sink, const void *bytes, size_t size_bytes)
{
    const uint8_t *from = bytes;
    while (size_bytes > 0) {
        size_t room = SINK_BYTES - sink->used_bytes;
        size_t piece = size_bytes < room ? size_bytes : room;
        memcpy(sink->buffer + sink->used_bytes, from, piece);
        sink->used_bytes += piece;
        from += piece;
        size_bytes -= piece;
        if (sink->used_bytes == SINK_BYTES)
            KD_TRY(flush(ctx, sink, SINK_BYTES));
    }
    return KD_OK;
}

kd_status kd_file_sink_finish(kd_ctx *ctx, kd_file_sink *sink, const void *trailer,
                              size_t trailer_bytes)
{
    /* Whole 4 KiB, with the trailer last; the buffer is a multiple of that, so it never overruns.
     */
    size_t total = sink->used_bytes + trailer_bytes;
    total = (total + KD_DIRECT_ALIGN_BYTES - 1) / KD_DIRECT_ALIGN_BYTES * KD_DIRECT_ALIGN_BYTES;
    if (total > SINK_BYTES) {
        size_t gap = SINK_BYTES - sink->used_bytes;
        memset(sink->buffer + sink->used_bytes, 0, gap);
        KD_TRY(flush(ctx, sink, SINK_BYTES));
        total = KD_DIRECT_ALIGN_BYTES;
    }
    memset(sink->buffer + sink->used_bytes, 0, total - sink->used_bytes);
    memcpy(sink->buffer + total - trailer_bytes, trailer, trailer_bytes);
    KD_TRY(flush(ctx, sink, total));
    KD_TRY(ctx->world->file_sync(ctx, sink->file));
    kd_file_sink_close(ctx->world, sink);
    return KD_OK;
}

void kd_file_sink_close(kd_world *world, kd_file_sink *sink)
{
    if (sink->file != NULL)
        world->file_close(world, sink->file);
    sink->file = NULL;
    if (sink->memory != NULL)
        kd_heap_free(world, sink->account, sink->memory);
    sink->memory = NULL;
    sink->buffer = NULL;
}
