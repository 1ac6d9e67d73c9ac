/*
 * A connection's bytes, plain or encrypted.
 *
 * What arrives is kept in one piece until it is taken, so that messages are read where they stand.
 * What goes out is gathered and sent together. Reading never waits; sending waits for a slow peer.
 * A stream belongs to one thread at a time.
 */
#ifndef KD_SERVER_BYTE_STREAM_H
#define KD_SERVER_BYTE_STREAM_H

#include "base/bytes.h"

#include <openssl/ssl.h>

typedef enum kdi_stream_state {
    KDI_STREAM_READY = 0,
    KDI_STREAM_WOULD_BLOCK,
    KDI_STREAM_CLOSED, /* By the peer, or by a failure of the network. */
} kdi_stream_state;

typedef struct kdi_stream {
    kd_world *world;
    kd_account *account;
    int descriptor;
    SSL *tls; /* NULL: plain. */
    bool is_shaking_hands;
    bool is_broken; /* Nothing can be sent any more. */
    char *in;
    size_t in_start, in_end, in_capacity;
    kd_arena *out_arena;
    kd_buffer out;
    /* Whoever waits in a send gives up when this answers true; NULL: never. */
    bool (*gives_up)(void *object);
    void *object;
} kdi_stream;

/* The descriptor is the stream's from now on; it does not block. */
kd_status kdi_stream_init(kd_ctx *ctx, kd_account *account, int descriptor,
                          kdi_stream *out_stream) KD_MUST_CHECK;
void kdi_stream_close(kdi_stream *stream);

static inline kd_slice kdi_stream_bytes(const kdi_stream *stream)
{
    if (stream->in == NULL)
        return (kd_slice){"", 0};
    return (kd_slice){stream->in + stream->in_start, stream->in_end - stream->in_start};
}
/* The first bytes have been read. */
void kdi_stream_take(kdi_stream *stream, size_t size_bytes);
/* Reads more of what has arrived, once. Slices of the bytes there were become invalid. */
kd_status kdi_stream_fill(kd_ctx *ctx, kdi_stream *stream,
                          kdi_stream_state *out_state) KD_MUST_CHECK;
/* Waits for bytes; false when none came in time. */
bool kdi_stream_wait(kdi_stream *stream, uint32_t timeout_ms);
/* Whether the peer has gone. */
bool kdi_stream_is_gone(const kdi_stream *stream);

/* Sends what was gathered. KD_IO 08006 when the peer has gone. */
kd_status kdi_stream_flush(kd_ctx *ctx, kdi_stream *stream) KD_MUST_CHECK;
/* From here on encrypted, as the server. Nothing that arrived before is left. */
kd_status kdi_stream_start_tls(kd_ctx *ctx, kdi_stream *stream, SSL_CTX *context) KD_MUST_CHECK;
/* Goes on with the handshake: READY once it is done. 08P01 when it fails. */
kd_status kdi_stream_shake_hands(kd_ctx *ctx, kdi_stream *stream,
                                 kdi_stream_state *out_state) KD_MUST_CHECK;
/* Gives up memory while the connection rests. */
void kdi_stream_rest(kdi_stream *stream);

#endif
