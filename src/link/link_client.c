/*
 * Databases that another process has open, and conversations with it.
 *
 * A conversation has two connections to the owner: one for requests and answers, one to
 * stop a request from another thread or a signal handler. When the owner has gone, every
 * call fails with 08006 and the conversation does nothing more; opening the database
 * again finds the new owner, or makes this process the owner.
 */
#include "link/client_internal.h"
#include "link/link_internal.h"

#include <assert.h>

enum { OWNER_TIMEOUT_USUAL_MS = 10000 };

/* --- Conversations ---------------------------------------------------------------------------- */

static void talk_destroy(kdi_remote_talk *talk)
{
    const kd_sockets *sockets = talk->remote->sockets;
    kd_world *world = talk->remote->world;
    sockets->close(world, talk->socket);
    sockets->close(world, talk->control);
    kdi_frame_room_clear(&talk->out);
    kdi_frame_room_clear(&talk->in);
    kdi_frame_room_clear(&talk->copy);
    kd_arena_destroy(talk->arena);
}

static void remote_close(kd_conversation *conversation)
{
    kdi_remote_talk *talk = (kdi_remote_talk *)conversation;
    kd_ctx ctx = {.world = talk->remote->world};
    kdi_frame answer;
    kd_error_clear(&ctx);
    /* The owner answers when the session has ended, unless it has gone, and the session with it. */
    if (kdi_call_start(&ctx, talk, KDI_FRAME_BYE) != KD_OK ||
        kdi_call_ask(&ctx, talk, KDI_FRAME_DONE, &answer) != KD_OK)
        kd_error_clear(&ctx);
    talk_destroy(talk);
}

static void remote_set_hooks(kd_conversation *conversation, const kd_session_hooks *hooks)
{
    kdi_remote_talk *talk = (kdi_remote_talk *)conversation;
    kd_ctx ctx = {.world = talk->remote->world};
    kd_error_clear(&ctx);
    talk->hooks = *hooks;
    uint8_t bits = (uint8_t)((hooks->notice != NULL ? KDI_HOOK_NOTICE : 0) |
                             (hooks->progress != NULL ? KDI_HOOK_PROGRESS : 0) |
                             (hooks->copy_read != NULL ? KDI_HOOK_COPY_READ : 0) |
                             (hooks->copy_write != NULL ? KDI_HOOK_COPY_WRITE : 0));
    if (bits == talk->hook_bits)
        return;
    talk->hook_bits = bits;
    kd_status status = kdi_call_start(&ctx, talk, KDI_FRAME_HOOKS);
    if (status == KD_OK)
        status = kd_buffer_append_byte(&ctx, &talk->out.bytes, bits);
    if (status == KD_OK)
        status = kdi_call_tell(&ctx, talk);
    if (status != KD_OK) /* The next request tells that the owner has gone. */
        kd_error_clear(&ctx);
}

static kd_session_state remote_state(const kd_conversation *conversation)
{
    return ((const kdi_remote_talk *)conversation)->state;
}

static void remote_fail_transaction(kd_conversation *conversation, kd_slice text)
{
    (void)text;
    kdi_remote_talk *talk = (kdi_remote_talk *)conversation;
    kd_ctx ctx = {.world = talk->remote->world};
    kd_error_clear(&ctx);
    if (talk->state != KD_SESSION_IN_TRANSACTION)
        return;
    talk->state = KD_SESSION_FAILED;
    kd_status status = kdi_call_start(&ctx, talk, KDI_FRAME_FAIL);
    if (status == KD_OK)
        status = kdi_call_tell(&ctx, talk);
    if (status != KD_OK)
        kd_error_clear(&ctx);
}

static const kd_conversation_ops remote_ops = {
    .close = remote_close,
    .set_hooks = remote_set_hooks,
    .state = remote_state,
    .cancel = kdi_call_cancel,
    .fail_transaction = remote_fail_transaction,
    .prepare = kdi_remote_prepare,
    .destroy = kdi_remote_destroy,
    .format_type = kdi_remote_format_type,
    .begin = kdi_remote_begin,
    .next = kdi_remote_next,
    .end = kdi_remote_end,
    .abandon = kdi_remote_abandon,
    .tag = kdi_remote_tag,
    .affected = kdi_remote_affected,
};

/* --- Greeting --------------------------------------------------------------------------------- */

static kd_status put_greeting(kd_ctx *ctx, kdi_frame_room *room, kdi_frame_kind kind)
{
    KD_TRY(kdi_frame_start(ctx, room, kind, 0));
    KD_TRY(kd_buffer_append_u32(ctx, &room->bytes, KDI_LINK_MAGIC));
    return kd_buffer_append_u32(ctx, &room->bytes, KDI_LINK_VERSION);
}

static kd_status greet(kd_ctx *ctx, kdi_remote_talk *talk, const kd_session_options *options)
{
    kdi_frame answer;
    const char *user = options->user_name == NULL ? "" : options->user_name;
    bool read_only = options->read_only || talk->remote->read_only;
    KD_TRY(put_greeting(ctx, &talk->out, KDI_FRAME_HELLO));
    KD_TRY(kd_buffer_append_byte(ctx, &talk->out.bytes, read_only));
    KD_TRY(kd_buffer_append_byte(ctx, &talk->out.bytes, (uint8_t)options->isolation));
    KD_TRY(kd_buffer_append_counted(ctx, &talk->out.bytes, kd_slice_of(user)));
    KD_TRY(kdi_call_ask(ctx, talk, KDI_FRAME_WELCOME, &answer));
    talk->key = kd_read_u64(&answer.payload);
    return answer.payload.failed ? kdi_protocol_fail(ctx, "the welcome is malformed") : KD_OK;
}

static bool is_never_alive(void *object)
{
    (void)object;
    return false;
}

/* Whoever is stopped still gets connections, but says nothing on them. */
static kd_status owner_probe(kd_ctx *ctx, const kd_remote *remote, kdi_frame_room *room)
{
    kd_socket *socket;
    kdi_frame answer;
    KD_TRY(remote->sockets->connect(ctx, remote->socket_path, &socket));
    kd_status status =
        remote->sockets->watch(ctx, socket, remote->silence_ns, is_never_alive, NULL);
    if (status == KD_OK)
        status = put_greeting(ctx, room, KDI_FRAME_CONTROL);
    if (status == KD_OK)
        status = kd_buffer_append_u64(ctx, &room->bytes, 0); /* Nobody's key: it is refused. */
    if (status == KD_OK)
        status = kdi_frame_send(ctx, remote->sockets, socket, room);
    if (status == KD_OK)
        status =
            kdi_frame_receive(ctx, remote->sockets, socket, KDI_HELLO_BYTES_MAX, room, &answer);
    remote->sockets->close(remote->world, socket);
    return status;
}

/* A statement may take as long as it likes, as long as the process that runs it is there. */
static bool owner_is_alive(void *object)
{
    kdi_remote_talk *talk = object;
    kdi_frame_room room;
    kd_ctx ctx = {.world = talk->remote->world};
    kd_error_clear(&ctx);
    bool is_alive = false;
    if (talk->is_greeted && kdi_frame_room_init(&ctx, &room) == KD_OK) {
        is_alive = owner_probe(&ctx, talk->remote, &room) == KD_OK;
        kdi_frame_room_clear(&room);
    }
    if (!is_alive) {
        talk->is_silent = true;
        /* Should it go on one day, the session ends, and its transaction with it. */
        talk->remote->sockets->shutdown(talk->socket);
        if (talk->control != NULL)
            talk->remote->sockets->shutdown(talk->control);
    }
    return is_alive;
}

/* On the second connection, spoken over the same rooms. */
static kd_status greet_control(kd_ctx *ctx, kdi_remote_talk *talk)
{
    const kd_sockets *sockets = talk->remote->sockets;
    kdi_frame answer;
    KD_TRY(put_greeting(ctx, &talk->out, KDI_FRAME_CONTROL));
    KD_TRY(kd_buffer_append_u64(ctx, &talk->out.bytes, talk->key));
    if (kdi_frame_send(ctx, sockets, talk->control, &talk->out) != KD_OK)
        kd_error_clear(ctx); /* Why it hung up is still to be read. */
    KD_TRY(kdi_frame_receive(ctx, sockets, talk->control, KDI_HELLO_BYTES_MAX, &talk->in, &answer));
    if (answer.kind == KDI_FRAME_FAILED)
        return kdi_call_failed(ctx, talk, &answer.payload);
    return answer.kind == KDI_FRAME_WELCOME ? KD_OK
                                            : kdi_protocol_fail(ctx, "the welcome is malformed");
}

kd_status kdi_link_connect(kd_ctx *ctx, kd_remote *remote, const kd_session_options *options,
                           kd_conversation **out_conversation)
{
    kd_status status = KD_OK;
    bool is_silent = false;
    *out_conversation = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "link conversation", KD_ARENA_UNLIMITED);
    kdi_remote_talk *talk = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_remote_talk);
    if (talk == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    talk->arena = arena;
    talk->remote = remote;
    talk->ctx = (kd_ctx){.world = remote->world};
    kd_error_clear(&talk->ctx);
    talk->base =
        (kd_conversation){.ops = &remote_ops, .ctx = &talk->ctx, .registry = remote->registry};
    KD_TRY_OUT(kdi_frame_room_init(ctx, &talk->out));
    KD_TRY_OUT(kdi_frame_room_init(ctx, &talk->in));
    KD_TRY_OUT(kdi_frame_room_init(ctx, &talk->copy));
    KD_TRY_OUT(remote->sockets->connect(ctx, remote->socket_path, &talk->socket));
    KD_TRY_OUT(remote->sockets->watch(ctx, talk->socket, remote->silence_ns, owner_is_alive, talk));
    KD_TRY_OUT(greet(ctx, talk, options));
    KD_TRY_OUT(remote->sockets->connect(ctx, remote->socket_path, &talk->control));
    KD_TRY_OUT(
        remote->sockets->watch(ctx, talk->control, remote->silence_ns, owner_is_alive, talk));
    KD_TRY_OUT(greet_control(ctx, talk));
    talk->is_greeted = true;
    *out_conversation = &talk->base;
    talk = NULL;
out:
    if (talk != NULL) {
        is_silent = talk->is_silent;
        talk_destroy(talk);
    }
    if (status == KD_IO && strcmp(ctx->error.sqlstate, "08P01") != 0) {
        kd_error_clear(ctx);
        status = KD_FAIL(ctx, KD_IO, "08006",
                         is_silent ? "the process that owns the database does not answer"
                                   : "the process that owns the database has gone; open it again");
    }
    return status;
}

/* --- Databases -------------------------------------------------------------------------------- */

static kd_status remote_create(kd_ctx *ctx, const char *path, const kd_database_options *options,
                               kd_remote **out_remote)
{
    *out_remote = NULL;
    const kd_sockets *sockets = kd_sockets_of(ctx->world);
    if (sockets == NULL)
        return KD_FAIL(ctx, KD_IO, "08001", "there are no sockets here");
    kd_arena *arena = kd_arena_create(ctx, NULL, "link database", KD_ARENA_UNLIMITED);
    kd_remote *remote = arena == NULL ? NULL : KD_NEW(ctx, arena, kd_remote);
    char *socket_path =
        remote == NULL ? NULL : kd_format_text(ctx, arena, "%s/" KDI_SOCKET_NAME, path);
    if (socket_path == NULL || kd_conversation_registry(ctx, arena, &remote->registry) != KD_OK) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    remote->arena = arena;
    remote->world = ctx->world;
    remote->sockets = sockets;
    remote->socket_path = socket_path;
    remote->read_only = options->read_only;
    remote->silence_ns =
        (uint64_t)1000000 *
        (options->owner_timeout_ms != 0 ? options->owner_timeout_ms : OWNER_TIMEOUT_USUAL_MS);
    *out_remote = remote;
    return KD_OK;
}

kd_status kdi_link_open(kd_ctx *ctx, const char *path, const kd_database_options *options,
                        kd_remote **out_remote)
{
    kd_remote *remote;
    kd_conversation *probe;
    *out_remote = NULL;
    KD_TRY(remote_create(ctx, path, options, &remote));
    /* Whether the owner is there, and takes this process, is known now, not at a first session. */
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_status status = kdi_link_connect(ctx, remote, &session_options, &probe);
    if (status == KD_OK) {
        probe->ops->close(probe);
        *out_remote = remote;
        return KD_OK;
    }
    if (status == KD_IO && strcmp(ctx->error.sqlstate, "08006") == 0) {
        kd_error_clear(ctx);
        status = KD_FAIL(ctx, KD_IO, "08001", "no process serves the database \"%s\"", path);
    }
    kdi_link_close(remote);
    return status;
}

void kdi_link_close(kd_remote *remote)
{
    if (remote != NULL)
        kd_arena_destroy(remote->arena);
}
