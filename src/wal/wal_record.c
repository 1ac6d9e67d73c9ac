/*
 * Framing records in a buffer before they are appended.
 */
#include "wal/wal.h"

#include "base/assert.h"

kd_status kd_wal_record_begin(kd_ctx *ctx, kd_buffer *buffer, uint8_t kind, size_t *out_mark)
{
    kd_assert(kind != 0);
    *out_mark = buffer->size_bytes;
    KD_TRY(kd_buffer_append_u32(ctx, buffer, 0));
    return kd_buffer_append_byte(ctx, buffer, kind);
}

kd_status kd_wal_record_end(kd_ctx *ctx, kd_buffer *buffer, size_t mark)
{
    kd_assert(mark + KD_WAL_FRAME_BYTES <= buffer->size_bytes);
    size_t payload_bytes = buffer->size_bytes - mark - KD_WAL_FRAME_BYTES;
    if (payload_bytes > KD_WAL_PAYLOAD_BYTES_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "log record of %zu bytes is over the limit of %d",
                       payload_bytes, KD_WAL_PAYLOAD_BYTES_MAX);
    kd_store_u32(buffer->data + mark, (uint32_t)payload_bytes);
    return KD_OK;
}
