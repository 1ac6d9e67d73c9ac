/*
 * A request to the owner and its answer. Between the two the owner may call back:
 * notices, progress, the data of COPY.
 */
#include "link/client_internal.h"

#include <assert.h>
#include <stdio.h>

kd_status kdi_owner_gone(kd_ctx *ctx, kdi_remote_talk *talk)
{
    talk->is_gone = true;
    talk->state = KD_SESSION_IDLE;
    return KD_FAIL(ctx, KD_IO, "08006",
                   talk->is_silent ? "the process that owns the database does not answer"
                                   : "the process that owns the database has gone; open it again");
}

/* What the socket or a frame failed with, as the caller is told. */
static kd_status fail_transfer(kd_ctx *ctx, kdi_remote_talk *talk, const kd_ctx *transfer)
{
    kd_status status = transfer->error.status;
    bool is_own = status == KD_LIMIT || status == KD_NOMEM;
    if (is_own || strcmp(transfer->error.sqlstate, "08P01") == 0) {
        if (status != KD_LIMIT) { /* Where in the stream the next frame begins is not known. */
            talk->is_gone = true;
            talk->state = KD_SESSION_IDLE;
        }
        if (ctx->error.status == KD_OK)
            ctx->error = transfer->error;
        return status;
    }
    return kdi_owner_gone(ctx, talk);
}

static kd_status transfer_out(kd_ctx *ctx, kdi_remote_talk *talk)
{
    kd_ctx transfer = {.world = talk->remote->world};
    kd_error_clear(&transfer);
    if (kdi_frame_send(&transfer, talk->remote->sockets, talk->socket, &talk->out) != KD_OK)
        return fail_transfer(ctx, talk, &transfer);
    return KD_OK;
}

static kd_status transfer_in(kd_ctx *ctx, kdi_remote_talk *talk, kdi_frame *out_frame)
{
    kd_ctx transfer = {.world = talk->remote->world};
    kd_error_clear(&transfer);
    if (kdi_frame_receive(&transfer, talk->remote->sockets, talk->socket, KDI_FRAME_BYTES_MAX,
                          &talk->in, out_frame) != KD_OK)
        return fail_transfer(ctx, talk, &transfer);
    return KD_OK;
}

/* An answer that this side does not understand: nothing that follows could be trusted. */
static kd_status fail_answer(kd_ctx *ctx, kdi_remote_talk *talk)
{
    talk->is_gone = true;
    talk->state = KD_SESSION_IDLE;
    talk->remote->sockets->shutdown(talk->socket);
    return kdi_protocol_fail(ctx, "an answer that belongs to no request");
}

kd_status kdi_call_start(kd_ctx *ctx, kdi_remote_talk *talk, kdi_frame_kind kind)
{
    if (talk->is_gone)
        return kdi_owner_gone(ctx, talk);
    uint32_t sequence = (uint32_t)atomic_load(&talk->sequence) + 1;
    atomic_store(&talk->sequence, sequence);
    return kdi_frame_start(ctx, &talk->out, kind, sequence);
}

kd_status kdi_call_tell(kd_ctx *ctx, kdi_remote_talk *talk)
{
    return transfer_out(ctx, talk);
}

kd_status kdi_call_state(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader)
{
    uint8_t state = kd_read_u8(reader);
    if (reader->failed || state > KD_SESSION_FAILED)
        return fail_answer(ctx, talk);
    talk->state = (kd_session_state)state;
    return KD_OK;
}

void kdi_call_cancel(kd_conversation *conversation)
{
    kdi_remote_talk *talk = (kdi_remote_talk *)conversation;
    char frame[KDI_CANCEL_FRAME_BYTES];
    kdi_cancel_frame((uint32_t)atomic_load(&talk->sequence), frame);
    /* It fails where the owner has gone, and there is nothing to stop. */
    (void)talk->remote->sockets->poke(talk->control, frame, sizeof frame);
}

/* --- Callbacks -------------------------------------------------------------------------------- */

static void read_text(kd_reader *reader, char *target, size_t room_bytes)
{
    kd_slice text = kd_read_slice(reader);
    int size_bytes = (int)(text.size_bytes < room_bytes ? text.size_bytes : room_bytes - 1);
    (void)snprintf(target, room_bytes, "%.*s", reader->failed ? 0 : size_bytes,
                   reader->failed ? "" : text.data);
}

static kd_status call_notice(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader)
{
    char severity[16];
    char sqlstate[6];
    char message[KD_ERROR_MESSAGE_BYTES];
    char hint[KD_ERROR_HINT_BYTES];
    read_text(reader, severity, sizeof severity);
    read_text(reader, sqlstate, sizeof sqlstate);
    read_text(reader, message, sizeof message);
    read_text(reader, hint, sizeof hint);
    if (reader->failed)
        return fail_answer(ctx, talk);
    if (talk->hooks.notice != NULL)
        talk->hooks.notice(talk->hooks.object, severity, sqlstate, message, hint);
    return KD_OK;
}

static kd_status call_progress(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader)
{
    char phase[32];
    read_text(reader, phase, sizeof phase);
    uint64_t rows_done = kd_read_u64(reader);
    uint64_t rows_expected = kd_read_u64(reader);
    uint64_t elapsed_us = kd_read_u64(reader);
    if (reader->failed)
        return fail_answer(ctx, talk);
    if (talk->hooks.progress != NULL &&
        !talk->hooks.progress(talk->hooks.object, phase, rows_done, rows_expected, elapsed_us))
        kdi_call_cancel(&talk->base);
    return KD_OK;
}

static kd_status call_copy_read(kd_ctx *ctx, kdi_remote_talk *talk, const kdi_frame *frame)
{
    kd_reader reader = frame->payload;
    uint32_t capacity_bytes = kd_read_u32(&reader);
    if (reader.failed || capacity_bytes > KDI_FRAME_BYTES_MAX / 2)
        return fail_answer(ctx, talk);
    char *bytes;
    size_t size_bytes = 0;
    talk->copy.bytes.size_bytes = 0;
    KD_TRY(kd_buffer_reserve(ctx, &talk->copy.bytes, capacity_bytes, &bytes));
    bool goes_on = talk->hooks.copy_read != NULL &&
                   talk->hooks.copy_read(talk->hooks.object, bytes, capacity_bytes, &size_bytes);
    assert(size_bytes <= capacity_bytes);
    KD_TRY(kdi_frame_start(ctx, &talk->out, KDI_FRAME_COPY_DATA, frame->sequence));
    KD_TRY(kd_buffer_append_byte(ctx, &talk->out.bytes, goes_on));
    KD_TRY(kd_buffer_append_counted(ctx, &talk->out.bytes, (kd_slice){bytes, size_bytes}));
    return transfer_out(ctx, talk);
}

static kd_status call_copy_write(kd_ctx *ctx, kdi_remote_talk *talk, const kdi_frame *frame)
{
    kd_reader reader = frame->payload;
    kd_slice bytes = kd_read_slice(&reader);
    if (reader.failed)
        return fail_answer(ctx, talk);
    bool goes_on = talk->hooks.copy_write != NULL &&
                   talk->hooks.copy_write(talk->hooks.object, bytes.data, bytes.size_bytes);
    KD_TRY(kdi_frame_start(ctx, &talk->out, KDI_FRAME_COPY_TAKEN, frame->sequence));
    KD_TRY(kd_buffer_append_byte(ctx, &talk->out.bytes, goes_on));
    return transfer_out(ctx, talk);
}

kd_status kdi_call_failed(kd_ctx *ctx, kdi_remote_talk *talk, kd_reader *reader)
{
    kd_error error;
    char file[KDI_SOURCE_NAME_BYTES];
    KD_TRY(kdi_call_state(ctx, talk, reader));
    if (kdi_error_get(ctx, reader, &error, file) != KD_OK)
        return fail_answer(ctx, talk);
    if (ctx->error.status == KD_OK) {
        memcpy(talk->error_file, file, sizeof file);
        error.file = talk->error_file;
        ctx->error = error;
    }
    return error.status;
}

kd_status kdi_call_ask(kd_ctx *ctx, kdi_remote_talk *talk, kdi_frame_kind kind,
                       kdi_frame *out_answer)
{
    uint32_t sequence = (uint32_t)atomic_load(&talk->sequence);
    kd_ctx sending = {.world = talk->remote->world};
    kd_error_clear(&sending);
    *out_answer = (kdi_frame){0};
    kd_status sent = transfer_out(&sending, talk);
    /* An owner that hung up may have said why: that is still to be read. */
    if (sent != KD_OK && !talk->is_gone) {
        ctx->error = ctx->error.status == KD_OK ? sending.error : ctx->error;
        return sent;
    }
    for (;;) {
        KD_TRY(transfer_in(ctx, talk, out_answer));
        if (out_answer->sequence != sequence)
            return fail_answer(ctx, talk);
        switch ((kdi_frame_kind)out_answer->kind) {
        case KDI_FRAME_NOTICE:
            KD_TRY(call_notice(ctx, talk, &out_answer->payload));
            break;
        case KDI_FRAME_PROGRESS:
            KD_TRY(call_progress(ctx, talk, &out_answer->payload));
            break;
        case KDI_FRAME_COPY_READ:
            KD_TRY(call_copy_read(ctx, talk, out_answer));
            break;
        case KDI_FRAME_COPY_WRITE:
            KD_TRY(call_copy_write(ctx, talk, out_answer));
            break;
        case KDI_FRAME_FAILED:
            return kdi_call_failed(ctx, talk, &out_answer->payload);
        default:
            return out_answer->kind == kind ? KD_OK : fail_answer(ctx, talk);
        }
    }
}
