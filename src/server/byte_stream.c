/*
 * Sockets and TLS below the protocols.
 */
#include "server/byte_stream.h"

#include <openssl/err.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_BYTES_MIN = 8 << 10,
    READ_BYTES_MAX = 1 << 20, /* At once. */
    OUT_KEPT_BYTES = 1 << 20, /* Beyond it the buffer is given back. */
    WAIT_STEP_MS = 100,
};

kd_status kdi_stream_init(kd_ctx *ctx, kd_account *account, int descriptor, kdi_stream *out_stream)
{
    *out_stream = (kdi_stream){.world = ctx->world, .account = account, .descriptor = descriptor};
    out_stream->out_arena = kd_arena_create(ctx, NULL, "answers", KD_ARENA_UNLIMITED);
    if (out_stream->out_arena == NULL)
        return KD_NOMEM;
    out_stream->out = kd_buffer_in(out_stream->out_arena);
    return KD_OK;
}

void kdi_stream_close(kdi_stream *stream)
{
    if (stream->tls != NULL) {
        if (!stream->is_broken && !stream->is_shaking_hands)
            (void)SSL_shutdown(stream->tls);
        ERR_clear_error();
        SSL_free(stream->tls);
    }
    stream->tls = NULL;
    if (stream->descriptor >= 0)
        (void)close(stream->descriptor);
    stream->descriptor = -1;
    kd_heap_free(stream->world, stream->account, stream->in);
    stream->in = NULL;
    kd_arena_destroy(stream->out_arena);
    stream->out_arena = NULL;
}

void kdi_stream_take(kdi_stream *stream, size_t size_bytes)
{
    stream->in_start += size_bytes;
    if (stream->in_start == stream->in_end)
        stream->in_start = stream->in_end = 0;
}

/* Room behind the bytes that wait. They are moved to the front, or the room doubles. */
static kd_status make_room(kd_ctx *ctx, kdi_stream *stream)
{
    size_t waiting = stream->in_end - stream->in_start;
    if (stream->in_start > 0 && waiting <= stream->in_capacity / 2) {
        memmove(stream->in, stream->in + stream->in_start, waiting);
        stream->in_start = 0;
        stream->in_end = waiting;
    }
    if (stream->in_capacity - stream->in_end >= IN_BYTES_MIN / 2)
        return KD_OK;
    size_t capacity = stream->in_capacity == 0 ? IN_BYTES_MIN : stream->in_capacity * 2;
    char *grown = kd_heap_resize(ctx, stream->account, stream->in, capacity);
    if (grown == NULL)
        return KD_NOMEM;
    stream->in = grown;
    stream->in_capacity = capacity;
    return KD_OK;
}

/* Why OpenSSL did not do it. */
static kdi_stream_state tls_state(kdi_stream *stream, int result)
{
    int reason = SSL_get_error(stream->tls, result);
    ERR_clear_error();
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return KDI_STREAM_WOULD_BLOCK;
    if (reason != SSL_ERROR_ZERO_RETURN)
        stream->is_broken = true; /* It may not be used any more, not even to say goodbye. */
    return KDI_STREAM_CLOSED;
}

static kdi_stream_state plain_state(kdi_stream *stream, ssize_t result)
{
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return KDI_STREAM_WOULD_BLOCK;
    stream->is_broken = result < 0;
    return KDI_STREAM_CLOSED;
}

kd_status kdi_stream_fill(kd_ctx *ctx, kdi_stream *stream, kdi_stream_state *out_state)
{
    *out_state = KDI_STREAM_CLOSED;
    KD_TRY(make_room(ctx, stream));
    char *at = stream->in + stream->in_end;
    size_t room = stream->in_capacity - stream->in_end;
    if (room > READ_BYTES_MAX)
        room = READ_BYTES_MAX;
    ssize_t size;
    if (stream->tls != NULL) {
        ERR_clear_error();
        size = SSL_read(stream->tls, at, (int)room);
        *out_state = size > 0 ? KDI_STREAM_READY : tls_state(stream, (int)size);
    } else {
        size = recv(stream->descriptor, at, room, 0);
        *out_state = size > 0 ? KDI_STREAM_READY : plain_state(stream, size);
    }
    if (size > 0)
        stream->in_end += (size_t)size;
    return KD_OK;
}

static bool wait_for(const kdi_stream *stream, short events, uint32_t timeout_ms)
{
    struct pollfd wanted = {.fd = stream->descriptor, .events = events};
    return poll(&wanted, 1, (int)timeout_ms) > 0;
}

bool kdi_stream_wait(kdi_stream *stream, uint32_t timeout_ms)
{
    return (stream->tls != NULL && SSL_pending(stream->tls) > 0) ||
           wait_for(stream, POLLIN, timeout_ms);
}

bool kdi_stream_is_gone(const kdi_stream *stream)
{
    struct pollfd wanted = {.fd = stream->descriptor, .events = POLLRDHUP};
    return stream->is_broken ||
           (poll(&wanted, 1, 0) > 0 && (wanted.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

static kd_status peer_has_gone(kd_ctx *ctx, kdi_stream *stream)
{
    stream->is_broken = true;
    return KD_FAIL(ctx, KD_IO, "08006", "could not send to the client");
}

kd_status kdi_stream_flush(kd_ctx *ctx, kdi_stream *stream)
{
    size_t sent = 0;
    while (sent < stream->out.size_bytes && !stream->is_broken) {
        const char *at = stream->out.data + sent;
        size_t left = stream->out.size_bytes - sent;
        kdi_stream_state state = KDI_STREAM_READY;
        ssize_t size;
        if (stream->tls != NULL) {
            ERR_clear_error();
            size = SSL_write(stream->tls, at, (int)(left > INT32_MAX ? INT32_MAX : left));
            if (size <= 0)
                state = tls_state(stream, (int)size);
        } else {
            size = send(stream->descriptor, at, left, MSG_NOSIGNAL);
            if (size <= 0)
                state = plain_state(stream, size);
        }
        if (size > 0)
            sent += (size_t)size;
        else if (state == KDI_STREAM_CLOSED)
            return peer_has_gone(ctx, stream);
        else if (!wait_for(stream, POLLOUT, WAIT_STEP_MS) && stream->gives_up != NULL &&
                 stream->gives_up(stream->object))
            return peer_has_gone(ctx, stream);
    }
    if (stream->is_broken)
        return peer_has_gone(ctx, stream);
    stream->out.size_bytes = 0;
    if (stream->out.capacity_bytes > OUT_KEPT_BYTES) {
        kd_arena_reset(stream->out_arena);
        stream->out = kd_buffer_in(stream->out_arena);
    }
    return KD_OK;
}

kd_status kdi_stream_start_tls(kd_ctx *ctx, kdi_stream *stream, SSL_CTX *context)
{
    stream->tls = SSL_new(context);
    if (stream->tls == NULL || SSL_set_fd(stream->tls, stream->descriptor) != 1)
        return KD_FAIL(ctx, KD_NOMEM, "53200", "could not make a TLS session");
    SSL_set_accept_state(stream->tls);
    stream->is_shaking_hands = true;
    return KD_OK;
}

kd_status kdi_stream_shake_hands(kd_ctx *ctx, kdi_stream *stream, kdi_stream_state *out_state)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->tls);
    if (result == 1) {
        stream->is_shaking_hands = false;
        *out_state = KDI_STREAM_READY;
        return KD_OK;
    }
    *out_state = tls_state(stream, result);
    if (*out_state == KDI_STREAM_CLOSED)
        return KD_FAIL(ctx, KD_INVALID, "08P01", "the TLS handshake failed");
    return KD_OK;
}

void kdi_stream_rest(kdi_stream *stream)
{
    if (stream->in_start == stream->in_end && stream->in != NULL) {
        kd_heap_free(stream->world, stream->account, stream->in);
        stream->in = NULL;
        stream->in_start = stream->in_end = stream->in_capacity = 0;
    }
    if (stream->out.size_bytes == 0 && stream->out.data != NULL) {
        kd_arena_reset(stream->out_arena);
        stream->out = kd_buffer_in(stream->out_arena);
    }
}
