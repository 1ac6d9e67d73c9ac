/*
 * Letting other processes in: the listener, the connections, their ends.
 *
 * A client has two connections. On the first it speaks its session; on the second,
 * CONTROL, it only ever says which request to stop, and when that connection ends the client is
 * gone, also in the middle of a request: it is then stopped at once.
 */
#include "link/link_internal.h"
#include "link/server_internal.h"

#include <assert.h>

/* A request is told to stop again and again: a statement that begins clears the flag. */
static const uint64_t cancel_pause_ns = 5000000;

/* --- CONTROL ---------------------------------------------------------------------------------- */

static kdi_connection *find_session(kd_remote_server *server, uint64_t key)
{
    for (kdi_connection *c = server->connections; c != NULL; c = c->next)
        if (c->key == key && key != 0)
            return c->talk == NULL ? NULL : c;
    return NULL;
}

/* Stops the request, or all requests and the session with them where there is none to name. */
static void cancel_request(kd_remote_server *server, uint64_t key, uint32_t sequence,
                           bool everything)
{
    bool is_told = false;
    kd_mutex_lock(&server->mutex);
    for (;;) {
        kdi_connection *session = find_session(server, key);
        if (session == NULL)
            break;
        if (everything) {
            server->sockets->shutdown(session->socket);
        } else if (is_told && (int32_t)(atomic_load(&session->done_sequence) - sequence) >= 0) {
            break;
        }
        /* One that this session has not read yet is waited for; one that it has answered left, at
         * most, a run that is open. A newer one is not meant. */
        bool is_its = atomic_load(&session->current_sequence) == sequence;
        if (!everything && (int32_t)(atomic_load(&session->current_sequence) - sequence) > 0)
            break;
        if (everything || is_its)
            session->talk->ops->cancel(session->talk);
        is_told = is_told || is_its;
        (void)kd_cond_wait(&server->changed, &server->mutex, cancel_pause_ns);
    }
    kd_mutex_unlock(&server->mutex);
}

static void serve_control(kdi_connection *connection, kdi_frame *hello)
{
    kd_remote_server *server = connection->server;
    kd_ctx *ctx = &connection->ctx;
    uint64_t key = kd_read_u64(&hello->payload);
    if (hello->payload.failed ||
        kdi_frame_start(ctx, &connection->out, KDI_FRAME_WELCOME, hello->sequence) != KD_OK ||
        kdi_frame_send(ctx, server->sockets, connection->socket, &connection->out) != KD_OK)
        return;
    for (;;) {
        kdi_frame frame;
        kd_status status = kdi_frame_receive(ctx, server->sockets, connection->socket,
                                             KDI_HELLO_BYTES_MAX, &connection->in, &frame);
        uint32_t sequence = kd_read_u32(&frame.payload);
        bool is_cancel = status == KD_OK && frame.kind == KDI_FRAME_CANCEL && !frame.payload.failed;
        cancel_request(server, key, sequence, !is_cancel);
        if (!is_cancel)
            return;
    }
}

/* --- Connections ------------------------------------------------------------------------------ */

static kd_status check_peer(kd_ctx *ctx, kdi_connection *connection)
{
    const kd_sockets *sockets = connection->server->sockets;
    kd_socket_peer peer;
    KD_TRY(sockets->peer(ctx, connection->socket, &peer));
    if (peer.user_id != 0 && peer.user_id != sockets->own_user_id())
        return KD_FAIL(ctx, KD_DENIED, "42501", "the database is open in another user's process");
    return KD_OK;
}

/* Leaves the reader behind the version. */
static kd_status check_hello(kd_ctx *ctx, kdi_frame *hello)
{
    uint32_t magic = kd_read_u32(&hello->payload);
    uint32_t version = kd_read_u32(&hello->payload);
    bool is_known = hello->kind == KDI_FRAME_HELLO || hello->kind == KDI_FRAME_CONTROL;
    if (hello->payload.failed || !is_known || magic != KDI_LINK_MAGIC)
        return kdi_protocol_fail(ctx, "this is no greeting");
    if (version != KDI_LINK_VERSION)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "08P01",
                       "the process that has the database open speaks version %d, this one %u",
                       KDI_LINK_VERSION, version);
    return KD_OK;
}

static void serve(kdi_connection *connection)
{
    kd_remote_server *server = connection->server;
    kd_ctx *ctx = &connection->ctx;
    kdi_frame hello = {0};
    kd_status status = check_peer(ctx, connection);
    if (status == KD_OK)
        status = kdi_frame_receive(ctx, server->sockets, connection->socket, KDI_HELLO_BYTES_MAX,
                                   &connection->in, &hello);
    if (status == KD_OK)
        status = check_hello(ctx, &hello);
    if (status != KD_OK) {
        kd_error refusal = ctx->error;
        kd_error_clear(ctx);
        if (kdi_send_failure(ctx, connection, hello.sequence, &refusal, KD_SESSION_IDLE) != KD_OK)
            kd_error_clear(ctx);
    } else if (hello.kind == KDI_FRAME_CONTROL) {
        serve_control(connection, &hello);
    } else {
        kdi_serve_session(connection, &hello);
    }
}

static void connection_run(void *object)
{
    kdi_connection *connection = object;
    kd_remote_server *server = connection->server;
    serve(connection);
    server->sockets->shutdown(connection->socket);
    kd_mutex_lock(&server->mutex);
    connection->is_ended = true;
    kd_cond_broadcast(&server->changed);
    kd_mutex_unlock(&server->mutex);
}

static void connection_destroy(kdi_connection *connection)
{
    kd_remote_server *server = connection->server;
    server->sockets->close(server->world, connection->socket);
    kdi_frame_room_clear(&connection->in);
    kdi_frame_room_clear(&connection->out);
    kdi_frame_room_clear(&connection->hook_in);
    kdi_frame_room_clear(&connection->hook_out);
    kd_arena_destroy(connection->scratch);
    kd_arena_destroy(connection->arena);
}

/* The socket is the connection's from here on. */
static kd_status connection_create(kd_ctx *ctx, kd_remote_server *server, kd_socket *socket,
                                   kdi_connection **out_connection)
{
    *out_connection = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "link connection", KD_ARENA_UNLIMITED);
    kdi_connection *connection = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_connection);
    if (connection == NULL) {
        kd_arena_destroy(arena);
        server->sockets->close(server->world, socket);
        return KD_NOMEM;
    }
    connection->server = server;
    connection->arena = arena;
    connection->socket = socket;
    connection->ctx = (kd_ctx){.world = server->world};
    kd_error_clear(&connection->ctx);
    connection->scratch = kd_arena_create(ctx, NULL, "link request", KD_ARENA_UNLIMITED);
    if (connection->scratch == NULL || kdi_frame_room_init(ctx, &connection->in) != KD_OK ||
        kdi_frame_room_init(ctx, &connection->out) != KD_OK ||
        kdi_frame_room_init(ctx, &connection->hook_in) != KD_OK ||
        kdi_frame_room_init(ctx, &connection->hook_out) != KD_OK) {
        connection_destroy(connection);
        return KD_NOMEM;
    }
    *out_connection = connection;
    return KD_OK;
}

/* Takes the ended connections out of the list, for the caller to join without the mutex. */
static kdi_connection *take_ended(kd_remote_server *server)
{
    kdi_connection *ended = NULL;
    kdi_connection **link = &server->connections;
    while (*link != NULL) {
        kdi_connection *connection = *link;
        if (!connection->is_ended) {
            link = &connection->next;
            continue;
        }
        *link = connection->next;
        connection->next = ended;
        ended = connection;
        server->connection_count--;
    }
    return ended;
}

static void reap(kd_remote_server *server)
{
    kd_mutex_lock(&server->mutex);
    kdi_connection *ended = take_ended(server);
    kd_mutex_unlock(&server->mutex);
    while (ended != NULL) {
        kdi_connection *next = ended->next;
        kd_thread_join(server->world, ended->thread);
        connection_destroy(ended);
        ended = next;
    }
}

/* --- The listener ----------------------------------------------------------------------------- */

static kd_status refuse(kd_ctx *ctx, kdi_connection *connection)
{
    const kd_error error = {.status = KD_LIMIT,
                            .sqlstate = "53300",
                            .position = -1,
                            .message = "sorry, too many clients already"};
    return kdi_send_failure(ctx, connection, 0, &error, KD_SESSION_IDLE);
}

static kd_status admit(kd_ctx *ctx, kd_remote_server *server, kd_socket *socket)
{
    kdi_connection *connection;
    KD_TRY(connection_create(ctx, server, socket, &connection));
    kd_mutex_lock(&server->mutex);
    bool refused = server->stopping || server->connection_count >= KDI_CONNECTIONS_MAX;
    kd_status status = KD_OK;
    /* Under the mutex: the thread cannot end, and be joined, before its handle is there. */
    if (!refused)
        status = kd_thread_start(ctx, "kade link", connection_run, connection, &connection->thread);
    if (!refused && status == KD_OK) {
        connection->next = server->connections;
        server->connections = connection;
        server->connection_count++;
        connection = NULL;
    }
    kd_mutex_unlock(&server->mutex);
    if (connection != NULL) {
        if (refused)
            status = refuse(ctx, connection);
        connection_destroy(connection);
    }
    return status;
}

static bool is_stopping(kd_remote_server *server)
{
    kd_mutex_lock(&server->mutex);
    bool stopping = server->stopping;
    kd_mutex_unlock(&server->mutex);
    return stopping;
}

static void listener_run(void *object)
{
    kd_remote_server *server = object;
    kd_ctx ctx = {.world = server->world};
    for (;;) {
        kd_socket *socket;
        kd_error_clear(&ctx);
        kd_status status = server->sockets->accept(&ctx, server->listener, &socket);
        if (is_stopping(server)) {
            server->sockets->close(server->world, socket);
            return;
        }
        reap(server);
        if (status == KD_OK)
            status = admit(&ctx, server, socket);
        if (status != KD_OK) /* Out of descriptors or memory: others may give some back. */
            server->world->sleep_ns(server->world, 10 * cancel_pause_ns);
    }
}

static void server_destroy(kd_remote_server *server)
{
    server->sockets->close(server->world, server->listener);
    kd_cond_clear(&server->changed);
    kd_mutex_clear(&server->mutex);
    kd_arena_destroy(server->arena);
}

kd_status kdi_link_serve(kd_ctx *ctx, kd_database *database, const char *path,
                         kd_remote_server **out_server)
{
    kd_status status = KD_OK;
    *out_server = NULL;
    const kd_sockets *sockets = kd_sockets_of(ctx->world);
    if (sockets == NULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "there are no sockets here");
    kd_arena *arena = kd_arena_create(ctx, NULL, "link server", KD_ARENA_UNLIMITED);
    kd_remote_server *server = arena == NULL ? NULL : KD_NEW(ctx, arena, kd_remote_server);
    char *socket_path =
        server == NULL ? NULL : kd_format_text(ctx, arena, "%s/" KDI_SOCKET_NAME, path);
    if (socket_path == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    server->world = ctx->world;
    server->sockets = sockets;
    server->database = database;
    server->arena = arena;
    server->socket_path = socket_path;
    server->next_key = ctx->world->random_u64(ctx->world) | 1;
    kd_mutex_init(&server->mutex, ctx->world);
    kd_cond_init(&server->changed, ctx->world);
    KD_TRY_OUT(sockets->listen(ctx, socket_path, &server->listener));
    KD_TRY_OUT(kd_thread_start(ctx, "kade link", listener_run, server, &server->thread));
    *out_server = server;
    server = NULL;
out:
    if (server != NULL)
        server_destroy(server);
    return status;
}

/* Every client's statement is stopped and its socket shut, until all are gone. */
static void end_connections(kd_remote_server *server)
{
    kd_mutex_lock(&server->mutex);
    for (;;) {
        bool is_any = false;
        for (kdi_connection *c = server->connections; c != NULL; c = c->next) {
            server->sockets->shutdown(c->socket);
            if (c->talk != NULL)
                c->talk->ops->cancel(c->talk);
            is_any = is_any || !c->is_ended;
        }
        if (!is_any)
            break;
        (void)kd_cond_wait(&server->changed, &server->mutex, cancel_pause_ns);
    }
    kd_mutex_unlock(&server->mutex);
}

void kdi_link_stop(kd_remote_server *server)
{
    if (server == NULL)
        return;
    kd_ctx ctx = {.world = server->world};
    kd_error_clear(&ctx);
    kd_mutex_lock(&server->mutex);
    server->stopping = true;
    kd_mutex_unlock(&server->mutex);
    /* The next owner puts its own there, once this one has given up the directory's lock. */
    if (server->world->path_remove(&ctx, server->socket_path) != KD_OK)
        kd_error_clear(&ctx);
    server->sockets->shutdown(server->listener);
    kd_thread_join(server->world, server->thread);
    end_connections(server);
    reap(server);
    assert(server->connections == NULL);
    server_destroy(server);
}
