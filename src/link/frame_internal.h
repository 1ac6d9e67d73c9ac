/*
 * Frames: what travels over the socket.
 *
 *   bytes 0-3  how many bytes follow these four: 5 .. 64 MiB
 *   byte  4    kind (kdi_frame_kind)
 *   bytes 5-8  sequence: the request's number; an answer has that of its request
 *   bytes 9-   payload, by kind
 *
 * Little-endian. Lengths inside payloads are varints (kd_buffer_append_counted). There
 * are no checksums: the kernel carries the bytes from one process to another.
 *
 * A client sends one request and reads until its answer comes; on the way the owner may
 * send notices, progress, and ask for or hand over the data of COPY. A request
 * marked with (-) has no answer.
 *
 *   HELLO             magic, version, session options  -> WELCOME
 *   CONTROL           magic, version, session's key    -> WELCOME; afterwards only CANCEL (-)
 *   CANCEL (-)        sequence of the request to stop
 *   HOOKS (-)         bits: which callbacks the client has
 *   PREPARE           text                             -> PREPARED
 *   DESTROY (-)       statement
 *   FAIL (-)          the open transaction fails
 *   BEGIN             statement, parameters            -> RUNNING (with the first rows)
 *   NEXT              statement                        -> ROWS
 *   END, ABANDON      statement                        -> DONE
 *   LABEL             statement, enum type, rank       -> LABEL_IS
 *   COPY_DATA         answers COPY_READ
 *   COPY_TAKEN        answers COPY_WRITE
 *   BYE               the session ends                 -> DONE
 *   any                                                -> FAILED
 */
#ifndef KD_LINK_FRAME_INTERNAL_H
#define KD_LINK_FRAME_INTERNAL_H

#include "base/socket.h"
#include "base/bytes.h"

enum {
    KDI_LINK_MAGIC = 0x4b4c444b,
    KDI_LINK_VERSION = 1,
    KDI_FRAME_HEADER_BYTES = 9,
    KDI_FRAME_BYTES_MAX = 64 << 20,
    KDI_HELLO_BYTES_MAX = 4096, /* Of a frame from somebody unknown. */
    KDI_CANCEL_FRAME_BYTES = KDI_FRAME_HEADER_BYTES + 4,
};

typedef enum kdi_frame_kind {
    KDI_FRAME_HELLO = 1,
    KDI_FRAME_CONTROL,
    KDI_FRAME_CANCEL,
    KDI_FRAME_HOOKS,
    KDI_FRAME_PREPARE,
    KDI_FRAME_DESTROY,
    KDI_FRAME_FAIL,
    KDI_FRAME_BEGIN,
    KDI_FRAME_NEXT,
    KDI_FRAME_END,
    KDI_FRAME_ABANDON,
    KDI_FRAME_LABEL,
    KDI_FRAME_BYE,
    KDI_FRAME_COPY_DATA,
    KDI_FRAME_COPY_TAKEN,
    KDI_FRAME_WELCOME = 64,
    KDI_FRAME_PREPARED,
    KDI_FRAME_RUNNING,
    KDI_FRAME_ROWS,
    KDI_FRAME_DONE,
    KDI_FRAME_LABEL_IS,
    KDI_FRAME_FAILED,
    KDI_FRAME_NOTICE,
    KDI_FRAME_PROGRESS,
    KDI_FRAME_COPY_READ,
    KDI_FRAME_COPY_WRITE,
} kdi_frame_kind;

enum kdi_hook_bits {
    KDI_HOOK_NOTICE = 1,
    KDI_HOOK_PROGRESS = 2,
    KDI_HOOK_COPY_READ = 4,
    KDI_HOOK_COPY_WRITE = 8,
};

typedef struct kdi_frame {
    uint8_t kind;
    uint32_t sequence;
    kd_reader payload; /* Points into what it was received in, until the next one. */
} kdi_frame;

/* A frame being made, or the last one received. Kept from frame to frame. */
typedef struct kdi_frame_room {
    kd_arena *arena;
    kd_buffer bytes;
} kdi_frame_room;

kd_status kdi_frame_room_init(kd_ctx *ctx, kdi_frame_room *room) KD_MUST_CHECK;
void kdi_frame_room_clear(kdi_frame_room *room); /* Zeroed is allowed. */

/* Begins a frame; its payload is then appended to `room->bytes`. */
kd_status kdi_frame_start(kd_ctx *ctx, kdi_frame_room *room, kdi_frame_kind kind,
                          uint32_t sequence) KD_MUST_CHECK;
/* 54000 when it has become too long: nothing was sent. */
kd_status kdi_frame_send(kd_ctx *ctx, const kd_sockets *sockets, kd_socket *socket,
                         kdi_frame_room *room) KD_MUST_CHECK;
/* 08P01 for a length that no frame has. */
kd_status kdi_frame_receive(kd_ctx *ctx, const kd_sockets *sockets, kd_socket *socket,
                            uint32_t bytes_max, kdi_frame_room *room,
                            kdi_frame *out_frame) KD_MUST_CHECK;
/* The same of bytes in memory: kind, sequence, payload, without the length. */
kd_status kdi_frame_parse(kd_ctx *ctx, kd_slice bytes, kdi_frame *out_frame) KD_MUST_CHECK;
/* A whole CANCEL frame, made without memory or failure. */
void kdi_cancel_frame(uint32_t sequence, char out_bytes[KDI_CANCEL_FRAME_BYTES]);

/* 08P01: the other side does not keep to this. */
kd_status kdi_protocol_fail(kd_ctx *ctx, const char *what);

#endif
