/*
 * A connection between the loop, which has it while it rests, and the crew, which serves it.
 */
#include "server/connection_internal.h"

#include <unistd.h>

/* Logins that may be under way at the same time, beside the sessions that there are. */
enum { WAITING_MAX = 65536 };

static void on_readable(uv_poll_t *poll, int status, int events);

/* --- The crew's side -------------------------------------------------------------------------- */

static void serve(kdi_crew_job *job)
{
    kdi_connection *connection = (kdi_connection *)((char *)job - offsetof(kdi_connection, job));
    kd_server *server = connection->server;
    connection->ends = !kdi_pg_serve(connection->pg);
    if (connection->ends) {
        kdi_pg_destroy(connection->pg);
        connection->pg = NULL;
    } else {
        kdi_stream_rest(&connection->stream);
    }
    kd_mutex_lock(&server->mutex);
    connection->next_returned = server->returned;
    server->returned = connection;
    kd_mutex_unlock(&server->mutex);
    (void)uv_async_send(&server->wake);
}

/* --- The loop's side -------------------------------------------------------------------------- */

/* Whoever waits for a peer in the middle of a statement gives up when the server cannot wait. */
static bool gives_up(void *object)
{
    kdi_connection *connection = object;
    return atomic_load(&connection->server->stopping) == KDI_STOPPING_NOW;
}

static void rest(kdi_connection *connection)
{
    connection->is_resting =
        uv_poll_start(&connection->poll, UV_READABLE | UV_DISCONNECT, on_readable) == 0;
}

static void on_hurry(uv_timer_t *timer)
{
    const kd_server *server = timer->data;
    if (!kdi_crew_hurry(server->crew))
        (void)uv_timer_stop(timer);
}

static void submit(kdi_connection *connection)
{
    kd_server *server = connection->server;
    kdi_crew_submit(server->crew, &connection->job);
    if (!uv_is_active((uv_handle_t *)&server->hurry))
        (void)uv_timer_start(&server->hurry, on_hurry, KDI_CREW_PATIENCE_MS, KDI_CREW_PATIENCE_MS);
}

static void wake_up(kdi_connection *connection)
{
    (void)uv_poll_stop(&connection->poll);
    connection->is_resting = false;
    submit(connection);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    wake_up(poll->data);
}

static void link_in(kdi_connection *connection)
{
    kd_server *server = connection->server;
    connection->next = server->connections;
    if (server->connections != NULL)
        server->connections->previous = connection;
    server->connections = connection;
    server->connection_count++;
    server->waiting_count++;
}

static void connection_gone(uv_handle_t *handle)
{
    kdi_connection *connection = handle->data;
    kd_server *server = connection->server;
    kdi_stream_close(&connection->stream);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    server->connection_count--;
    kd_heap_free(server->world, &server->account, connection);
}

static void end(kdi_connection *connection)
{
    uv_close((uv_handle_t *)&connection->poll, connection_gone);
}

void kdi_connection_accept(kd_server *server, int descriptor, const kdi_peer *peer)
{
    kd_ctx ctx = {.world = server->world};
    kd_error_clear(&ctx);
    kdi_connection *connection = NULL;
    if (server->waiting_count < WAITING_MAX)
        connection = KD_HEAP_NEW(&ctx, &server->account, kdi_connection);
    if (connection == NULL) {
        (void)close(descriptor);
        return;
    }
    *connection = (kdi_connection){.server = server,
                                   .peer = *peer,
                                   .job = {.run = serve},
                                   .accepted_ns = server->world->monotonic_ns(server->world)};
    kd_status status = kdi_stream_init(&ctx, &server->account, descriptor, &connection->stream);
    connection->stream.gives_up = gives_up;
    connection->stream.object = connection;
    if (status == KD_OK)
        status = kdi_pg_create(&ctx, connection, &connection->pg);
    if (status != KD_OK || uv_poll_init(&server->loop, &connection->poll, descriptor) != 0) {
        kdi_pg_destroy(connection->pg);
        kdi_stream_close(&connection->stream);
        kd_heap_free(server->world, &server->account, connection);
        return;
    }
    connection->poll.data = connection;
    link_in(connection);
    rest(connection);
}

static void take_back(kdi_connection *connection)
{
    kd_server *server = connection->server;
    if (connection->ends) {
        end(connection);
        return;
    }
    bool may_end = atomic_load(&server->stopping) != KDI_STOPPING_NO &&
                   !atomic_load(&connection->is_in_transaction);
    bool has_news =
        atomic_load(&connection->has_news) && !atomic_load(&connection->is_in_transaction);
    if (may_end || has_news)
        submit(connection);
    else
        rest(connection);
}

void kdi_connections_take_back(kd_server *server)
{
    kd_mutex_lock(&server->mutex);
    kdi_connection *returned = server->returned;
    server->returned = NULL;
    kd_mutex_unlock(&server->mutex);
    while (returned != NULL) {
        kdi_connection *next = returned->next_returned;
        take_back(returned);
        returned = next;
    }
}

void kdi_connection_tell(kdi_connection *connection)
{
    atomic_store(&connection->has_news, true);
    atomic_store(&connection->server->has_news, true);
    (void)uv_async_send(&connection->server->wake);
}

void kdi_connections_wake(kd_server *server)
{
    if (!atomic_exchange(&server->has_news, false))
        return;
    for (kdi_connection *it = server->connections; it != NULL; it = it->next)
        if (it->is_resting && atomic_load(&it->has_news))
            wake_up(it);
}

void kdi_connections_look_after(kd_server *server)
{
    uint64_t now_ns = server->world->monotonic_ns(server->world);
    uint64_t timeout_ns = atomic_load(&server->login_timeout_ns);
    int stopping = atomic_load(&server->stopping);
    uint32_t waiting_count = 0;
    kdi_connection *next;
    for (kdi_connection *it = server->connections; it != NULL; it = next) {
        next = it->next;
        bool is_logged_in = atomic_load(&it->is_logged_in);
        bool is_late = !is_logged_in && now_ns - it->accepted_ns > timeout_ns;
        waiting_count += !is_logged_in;
        if (!it->is_resting)
            continue;
        bool may_end = stopping == KDI_STOPPING_NOW ||
                       (stopping == KDI_STOPPING_WHEN_IDLE && !atomic_load(&it->is_in_transaction));
        if (is_late || may_end)
            wake_up(it);
    }
    server->waiting_count = waiting_count;
}

void kdi_connection_set_talk(kdi_connection *connection, kd_conversation *talk)
{
    kd_server *server = connection->server;
    kd_mutex_lock(&server->mutex);
    connection->talk = talk;
    kd_mutex_unlock(&server->mutex);
}

kd_status kdi_connection_name(kd_ctx *ctx, kdi_connection *connection, uint32_t cancel_no)
{
    kd_server *server = connection->server;
    uint64_t secret = server->world->random_u64(server->world);
    kd_mutex_lock(&server->mutex);
    kd_status status = kd_map_put_u64(ctx, &server->named, cancel_no, connection, NULL);
    if (status == KD_OK) {
        connection->cancel_no = cancel_no;
        connection->cancel_secret = (uint32_t)secret;
    }
    kd_mutex_unlock(&server->mutex);
    return status;
}

void kdi_connection_forget_name(kdi_connection *connection)
{
    kd_server *server = connection->server;
    kd_mutex_lock(&server->mutex);
    if (connection->cancel_no != 0)
        (void)kd_map_remove_u64(&server->named, connection->cancel_no);
    connection->cancel_no = 0;
    connection->talk = NULL;
    kd_mutex_unlock(&server->mutex);
}

void kdi_connections_cancel(kd_server *server)
{
    uint32_t cursor = 0;
    const kd_map_entry *entry;
    kd_mutex_lock(&server->mutex);
    while ((entry = kd_map_next(&server->named, &cursor)) != NULL) {
        kdi_connection *it = entry->value;
        if (it->talk != NULL)
            it->talk->ops->cancel(it->talk);
    }
    kd_mutex_unlock(&server->mutex);
}

void kdi_connection_cancel(kd_server *server, uint32_t cancel_no, uint32_t secret)
{
    kd_mutex_lock(&server->mutex);
    kdi_connection *named = kd_map_find_u64(&server->named, cancel_no);
    if (named != NULL && named->cancel_secret == secret && named->talk != NULL)
        named->talk->ops->cancel(named->talk);
    kd_mutex_unlock(&server->mutex);
}
