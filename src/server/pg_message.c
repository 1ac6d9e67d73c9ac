/*
 * Messages: taken apart as they arrive, put together before they are sent.
 */
#include "server/pg_internal.h"

#include "types/utf8.h"

enum { WAIT_MS = 200 };

/* --- In --------------------------------------------------------------------------------------- */

static uint32_t size_max(const kdi_pg *pg)
{
    return pg->phase == KDI_PG_STARTUP ? KDI_PG_STARTUP_BYTES_MAX
           : pg->phase == KDI_PG_READY ? KDI_PG_MESSAGE_BYTES_MAX
                                       : KDI_PG_LOGIN_BYTES_MAX;
}

kd_status kdi_pg_malformed(kd_ctx *ctx, const char *message)
{
    return KD_FAIL(ctx, KD_INVALID, "08P01", "%s", message);
}

kd_status kdi_pg_next_message(kd_ctx *ctx, kdi_pg *pg, bool *out_found, kdi_pg_message *out_message)
{
    kd_slice bytes = kdi_stream_bytes(pg->stream);
    size_t head = pg->phase == KDI_PG_STARTUP ? 0 : 1;
    *out_found = false;
    if (bytes.size_bytes < head + 4)
        return KD_OK;
    uint32_t size = kd_load_big_u32(bytes.data + head);
    if (size < 4 || size > size_max(pg))
        return kdi_pg_malformed(ctx, "invalid length of message");
    if (bytes.size_bytes < head + size)
        return KD_OK;
    *out_message = (kdi_pg_message){
        .type = head == 0 ? '\0' : bytes.data[0],
        .body = kd_reader_of((kd_slice){bytes.data + head + 4, size - 4}),
    };
    *out_found = true;
    kdi_stream_take(pg->stream, head + size);
    return KD_OK;
}

kd_status kdi_pg_wait_message(kd_ctx *ctx, kdi_pg *pg, kdi_pg_message *out_message)
{
    for (;;) {
        bool found;
        kdi_stream_state state;
        KD_TRY(kdi_pg_next_message(ctx, pg, &found, out_message));
        if (found)
            return KD_OK;
        KD_TRY(kdi_stream_fill(ctx, pg->stream, &state));
        if (state == KDI_STREAM_CLOSED)
            return KD_FAIL(ctx, KD_IO, "08006", "the client has gone");
        if (state != KDI_STREAM_WOULD_BLOCK)
            continue;
        KD_TRY(kdi_stream_flush(ctx, pg->stream));
        if (kdi_stream_wait(pg->stream, WAIT_MS))
            continue;
        if (pg->stream->gives_up != NULL && pg->stream->gives_up(pg->stream->object))
            return KD_FAIL(ctx, KD_CANCELLED, "57P01",
                           "terminating connection due to administrator command");
        if (pg->talk != NULL)
            KD_TRY(kd_check_cancelled(ctx));
    }
}

bool kdi_pg_sync_follows(const kdi_pg *pg)
{
    kd_slice bytes = kdi_stream_bytes(pg->stream);
    return bytes.size_bytes >= 1 && bytes.data[0] == 'S';
}

uint16_t kdi_pg_read_u16(kd_reader *body)
{
    return __builtin_bswap16(kd_read_u16(body));
}

uint32_t kdi_pg_read_u32(kd_reader *body)
{
    return __builtin_bswap32(kd_read_u32(body));
}

kd_slice kdi_pg_read_text(kd_reader *body)
{
    size_t left = (size_t)(body->end - body->at);
    const char *end = left == 0 ? NULL : memchr(body->at, '\0', left);
    if (end == NULL) {
        body->failed = true;
        return (kd_slice){"", 0};
    }
    kd_slice text = {body->at, (size_t)(end - body->at)};
    body->at = end + 1;
    return text;
}

/* --- Out -------------------------------------------------------------------------------------- */

kd_status kdi_pg_begin(kd_ctx *ctx, kdi_pg *pg, char type, size_t *out_start)
{
    kd_buffer *out = &pg->stream->out;
    if (pg->message_is_open)
        out->size_bytes = pg->message_at;
    pg->message_is_open = true;
    pg->message_at = out->size_bytes;
    KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)type));
    *out_start = out->size_bytes;
    return kd_buffer_append_u32(ctx, out, 0);
}

void kdi_pg_end(kdi_pg *pg, size_t start)
{
    kd_buffer *out = &pg->stream->out;
    kd_store_big_u32(out->data + start, (uint32_t)(out->size_bytes - start));
    pg->message_is_open = false;
}

kd_status kdi_pg_put_text(kd_ctx *ctx, kdi_pg *pg, kd_slice text)
{
    KD_TRY(kd_buffer_append_slice(ctx, &pg->stream->out, text));
    return kd_buffer_append_byte(ctx, &pg->stream->out, 0);
}

kd_status kdi_pg_put_empty(kd_ctx *ctx, kdi_pg *pg, char type)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, type, &start));
    kdi_pg_end(pg, start);
    return KD_OK;
}

kd_status kdi_pg_put_tag(kd_ctx *ctx, kdi_pg *pg, const char *tag)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'C', &start));
    KD_TRY(kdi_pg_put_text(ctx, pg, kd_slice_of(tag)));
    kdi_pg_end(pg, start);
    return KD_OK;
}

kd_status kdi_pg_flush_if_full(kd_ctx *ctx, kdi_pg *pg)
{
    return pg->stream->out.size_bytes < KDI_PG_FLUSH_BYTES ? KD_OK
                                                           : kdi_stream_flush(ctx, pg->stream);
}

/* --- Errors and notices ----------------------------------------------------------------------- */

static kd_status put_field(kd_ctx *ctx, kdi_pg *pg, char field, const char *text)
{
    if (text[0] == '\0')
        return KD_OK;
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, (uint8_t)field));
    return kdi_pg_put_text(ctx, pg, kd_slice_of(text));
}

kd_status kdi_pg_put_error(kd_ctx *ctx, kdi_pg *pg, const char *severity, const kd_error *error,
                           kd_slice text)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'E', &start));
    KD_TRY(put_field(ctx, pg, 'S', severity));
    KD_TRY(put_field(ctx, pg, 'V', severity));
    KD_TRY(put_field(ctx, pg, 'C', error->sqlstate));
    KD_TRY(put_field(ctx, pg, 'M', error->message[0] == '\0' ? "unknown error" : error->message));
    KD_TRY(put_field(ctx, pg, 'D', error->detail));
    KD_TRY(put_field(ctx, pg, 'H', error->hint));
    KD_TRY(put_field(ctx, pg, 'n', error->constraint));
    if (error->position >= 0 && (size_t)error->position <= text.size_bytes) {
        char position[24]; /* In characters, from 1. */
        size_t before = kd_utf8_length((kd_slice){text.data, (size_t)error->position});
        (void)snprintf(position, sizeof position, "%zu", before + 1);
        KD_TRY(put_field(ctx, pg, 'P', position));
    }
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, 0));
    kdi_pg_end(pg, start);
    return KD_OK;
}

kd_status kdi_pg_put_notice(kd_ctx *ctx, kdi_pg *pg, const char *severity, const char *sqlstate,
                            const char *message, const char *hint)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'N', &start));
    KD_TRY(put_field(ctx, pg, 'S', severity));
    KD_TRY(put_field(ctx, pg, 'V', severity));
    KD_TRY(put_field(ctx, pg, 'C', sqlstate));
    KD_TRY(put_field(ctx, pg, 'M', message));
    KD_TRY(put_field(ctx, pg, 'H', hint));
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, 0));
    kdi_pg_end(pg, start);
    return KD_OK;
}
