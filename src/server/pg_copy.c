/*
 * What a session tells and asks while a statement runs: notices, whether to go on, COPY's data.
 */
#include "server/pg_internal.h"

#include <stdio.h>

enum { COPY_PIECE_BYTES = 64 << 10 };

static void on_notice(void *object, const char *severity, const char *sqlstate, const char *message,
                      const char *hint)
{
    kdi_pg *pg = object;
    if (kdi_pg_put_notice(&pg->ctx, pg, severity, sqlstate, message, hint) != KD_OK)
        kd_error_clear(&pg->ctx); /* No memory: the statement goes on without it. */
}

/* A client that has gone does not wait for its answer. */
static bool on_progress(void *object, const char *phase, uint64_t rows_done, uint64_t rows_expected,
                        uint64_t elapsed_us)
{
    kdi_pg *pg = object;
    (void)phase;
    (void)rows_done;
    (void)rows_expected;
    (void)elapsed_us;
    return !kdi_stream_is_gone(pg->stream) &&
           atomic_load(&pg->server->stopping) != KDI_STOPPING_NOW;
}

static void on_wake(void *object)
{
    const kdi_pg *pg = object;
    kdi_connection_tell(pg->connection);
}

/* CopyInResponse, CopyOutResponse. */
static kd_status put_copy_response(kd_ctx *ctx, kdi_pg *pg, char type, bool is_binary,
                                   uint32_t column_count)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, type, &start));
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, is_binary));
    KD_TRY(kd_buffer_append_big_u16(ctx, &pg->stream->out, (uint16_t)column_count));
    for (uint32_t i = 0; i < column_count; i++)
        KD_TRY(kd_buffer_append_big_u16(ctx, &pg->stream->out, is_binary));
    kdi_pg_end(pg, start);
    return KD_OK;
}

static bool on_copy_begin(void *object, bool is_input, kd_copy_kind kind, uint32_t column_count)
{
    kdi_pg *pg = object;
    kd_status status =
        put_copy_response(&pg->ctx, pg, is_input ? 'G' : 'H', kind >= KD_COPY_PIECES, column_count);
    if (status == KD_OK && is_input)
        status = kdi_stream_flush(&pg->ctx, pg->stream);
    kd_error_clear(&pg->ctx);
    pg->copy_kind = kind;
    pg->copy_is_quoted = false;
    pg->copy_row_is_open = false;
    pg->copy_rest = (kd_slice){"", 0};
    pg->copy_failure[0] = '\0';
    pg->is_copying_out = !is_input && status == KD_OK;
    return status == KD_OK;
}

/* --- From the client -------------------------------------------------------------------------- */

/* The next message's data; false when the COPY is to fail. */
static bool next_piece(kdi_pg *pg, bool *out_is_end)
{
    kdi_pg_message message;
    *out_is_end = false;
    for (;;) {
        if (kdi_pg_wait_message(pg->talk->ctx, pg, &message) != KD_OK)
            return false;
        switch (message.type) {
        case 'd':
            pg->copy_rest =
                (kd_slice){message.body.at, (size_t)(message.body.end - message.body.at)};
            return true;
        case 'c':
            *out_is_end = true;
            return true;
        case 'f': {
            kd_slice text = kdi_pg_read_text(&message.body);
            (void)snprintf(pg->copy_failure, sizeof pg->copy_failure, "%.*s", (int)text.size_bytes,
                           text.data);
            return false;
        }
        case 'H':
        case 'S':
            continue; /* A client in a pipeline sends these before it knows. */
        default:
            (void)snprintf(pg->copy_failure, sizeof pg->copy_failure,
                           "unexpected message type 0x%02X", (unsigned char)message.type);
            return false;
        }
    }
}

static bool on_copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    kdi_pg *pg = object;
    bool is_end = false;
    *out_bytes = 0;
    while (pg->copy_rest.size_bytes == 0 && !is_end)
        if (!next_piece(pg, &is_end))
            return false;
    size_t size =
        pg->copy_rest.size_bytes < capacity_bytes ? pg->copy_rest.size_bytes : capacity_bytes;
    if (size > 0)
        memcpy(target, pg->copy_rest.data, size);
    pg->copy_rest = (kd_slice){pg->copy_rest.data + size, pg->copy_rest.size_bytes - size};
    *out_bytes = size;
    return true;
}

void kdi_pg_copy_explain(kdi_pg *pg, kd_error *error)
{
    if (pg->copy_failure[0] == '\0')
        return;
    (void)snprintf(error->message, sizeof error->message, "COPY from stdin failed: %s",
                   pg->copy_failure);
    pg->copy_failure[0] = '\0';
}

/* --- To the client ---------------------------------------------------------------------------- */

/* Where the row that begins or goes on here ends, in bytes; 0: not in these bytes. */
static size_t row_end(kdi_pg *pg, kd_slice bytes)
{
    if (pg->copy_kind == KD_COPY_PIECES)
        return bytes.size_bytes;
    if (pg->copy_kind == KD_COPY_BYTES)
        return bytes.size_bytes < COPY_PIECE_BYTES ? bytes.size_bytes : COPY_PIECE_BYTES;
    if (pg->copy_kind == KD_COPY_LINES) {
        const char *end = memchr(bytes.data, '\n', bytes.size_bytes);
        return end == NULL ? 0 : (size_t)(end - bytes.data) + 1;
    }
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        if (bytes.data[i] == '"')
            pg->copy_is_quoted = !pg->copy_is_quoted;
        else if (bytes.data[i] == '\n' && !pg->copy_is_quoted)
            return i + 1;
    }
    return 0;
}

/* A message a row, as clients expect. */
static kd_status put_copy_data(kd_ctx *ctx, kdi_pg *pg, kd_slice bytes)
{
    while (bytes.size_bytes > 0) {
        size_t end = row_end(pg, bytes);
        size_t size = end == 0 ? bytes.size_bytes : end;
        if (!pg->copy_row_is_open)
            KD_TRY(kdi_pg_begin(ctx, pg, 'd', &pg->copy_row));
        pg->copy_row_is_open = true;
        KD_TRY(kd_buffer_append(ctx, &pg->stream->out, bytes.data, size));
        bytes = (kd_slice){bytes.data + size, bytes.size_bytes - size};
        if (end == 0)
            return KD_OK;
        kdi_pg_end(pg, pg->copy_row);
        pg->copy_row_is_open = false;
        KD_TRY(kdi_pg_flush_if_full(ctx, pg));
    }
    return KD_OK;
}

static bool on_copy_write(void *object, const void *source, size_t size_bytes)
{
    kdi_pg *pg = object;
    bool is_done = put_copy_data(&pg->ctx, pg, (kd_slice){source, size_bytes}) == KD_OK;
    kd_error_clear(&pg->ctx);
    return is_done;
}

kd_status kdi_pg_copy_end(kd_ctx *ctx, kdi_pg *pg)
{
    if (!pg->is_copying_out)
        return KD_OK;
    pg->is_copying_out = false;
    if (pg->copy_row_is_open)
        kdi_pg_end(pg, pg->copy_row);
    pg->copy_row_is_open = false;
    return kdi_pg_put_empty(ctx, pg, 'c');
}

void kdi_pg_set_hooks(kdi_pg *pg)
{
    const kd_session_hooks hooks = {
        .object = pg,
        .notice = on_notice,
        .copy_begin = on_copy_begin,
        .copy_read = on_copy_read,
        .copy_write = on_copy_write,
        .progress = on_progress,
        .wake = on_wake,
    };
    pg->talk->ops->set_hooks(pg->talk, &hooks);
}
