/*
 * Sending and receiving frames.
 */
#include "link/frame_internal.h"

#include <assert.h>

/* More than this is given back after the frame that needed it. */
enum { ROOM_KEPT_BYTES = 1 << 20, LENGTH_BYTES = 4 };

kd_status kdi_protocol_fail(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_IO, "08P01", "protocol violation between processes on a database: %s",
                   what);
}

kd_status kdi_frame_room_init(kd_ctx *ctx, kdi_frame_room *room)
{
    *room = (kdi_frame_room){.arena = kd_arena_create(ctx, NULL, "link frame", KD_ARENA_UNLIMITED)};
    if (room->arena == NULL)
        return KD_NOMEM;
    room->bytes = kd_buffer_in(room->arena);
    return KD_OK;
}

void kdi_frame_room_clear(kdi_frame_room *room)
{
    kd_arena_destroy(room->arena);
    *room = (kdi_frame_room){0};
}

static void room_empty(kdi_frame_room *room)
{
    if (room->bytes.capacity_bytes > ROOM_KEPT_BYTES) {
        kd_arena_reset(room->arena);
        room->bytes = kd_buffer_in(room->arena);
    }
    room->bytes.size_bytes = 0;
}

kd_status kdi_frame_start(kd_ctx *ctx, kdi_frame_room *room, kdi_frame_kind kind, uint32_t sequence)
{
    room_empty(room);
    KD_TRY(kd_buffer_append_u32(ctx, &room->bytes, 0)); /* The length, when it is known. */
    KD_TRY(kd_buffer_append_byte(ctx, &room->bytes, (uint8_t)kind));
    return kd_buffer_append_u32(ctx, &room->bytes, sequence);
}

kd_status kdi_frame_send(kd_ctx *ctx, const kd_sockets *sockets, kd_socket *socket,
                         kdi_frame_room *room)
{
    kd_buffer *bytes = &room->bytes;
    assert(bytes->size_bytes >= KDI_FRAME_HEADER_BYTES);
    if (bytes->size_bytes - LENGTH_BYTES > KDI_FRAME_BYTES_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "a statement, a parameter or a row is too large to pass between processes "
                       "(%zu bytes)",
                       bytes->size_bytes);
    kd_store_u32(bytes->data, (uint32_t)(bytes->size_bytes - LENGTH_BYTES));
    return sockets->send(ctx, socket, bytes->data, bytes->size_bytes);
}

kd_status kdi_frame_parse(kd_ctx *ctx, kd_slice bytes, kdi_frame *out_frame)
{
    *out_frame = (kdi_frame){0};
    kd_reader reader = kd_reader_of(bytes);
    out_frame->kind = kd_read_u8(&reader);
    out_frame->sequence = kd_read_u32(&reader);
    out_frame->payload = reader;
    return reader.failed ? kdi_protocol_fail(ctx, "a frame is too short") : KD_OK;
}

kd_status kdi_frame_receive(kd_ctx *ctx, const kd_sockets *sockets, kd_socket *socket,
                            uint32_t bytes_max, kdi_frame_room *room, kdi_frame *out_frame)
{
    char length[LENGTH_BYTES];
    *out_frame = (kdi_frame){0};
    KD_TRY(sockets->receive(ctx, socket, length, sizeof length));
    uint32_t size_bytes = kd_load_u32(length);
    if (size_bytes < KDI_FRAME_HEADER_BYTES - LENGTH_BYTES || size_bytes > bytes_max)
        return kdi_protocol_fail(ctx, "a frame has a wrong length");
    room_empty(room);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, &room->bytes, size_bytes, &at));
    KD_TRY(sockets->receive(ctx, socket, at, size_bytes));
    room->bytes.size_bytes = size_bytes;
    return kdi_frame_parse(ctx, kd_buffer_slice(&room->bytes), out_frame);
}

void kdi_cancel_frame(uint32_t sequence, char out_bytes[KDI_CANCEL_FRAME_BYTES])
{
    kd_store_u32(out_bytes, KDI_CANCEL_FRAME_BYTES - LENGTH_BYTES);
    out_bytes[4] = KDI_FRAME_CANCEL;
    kd_store_u32(out_bytes + 5, sequence);
    kd_store_u32(out_bytes + KDI_FRAME_HEADER_BYTES, sequence);
}
