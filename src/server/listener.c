/*
 * Sockets that wait for clients: TCP addresses and local sockets.
 */
#include "server/connection_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    ACCEPT_AT_ONCE = 64,
    LOCAL_MODE = 0777,
    FIRST_HANDED_OVER = 3,
    HANDED_OVER_MAX = 64,
};

/* The port; the address as text in `out`. */
static uint16_t address_of(const struct sockaddr_storage *address, char *out, size_t capacity)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    out[0] = '\0';
    if (address->ss_family == AF_INET) {
        memcpy(&in4, address, sizeof in4);
        (void)inet_ntop(AF_INET, &in4.sin_addr, out, (socklen_t)capacity);
        return ntohs(in4.sin_port);
    }
    memcpy(&in6, address, sizeof in6);
    (void)inet_ntop(AF_INET6, &in6.sin6_addr, out, (socklen_t)capacity);
    return ntohs(in6.sin6_port);
}

static void describe_address(const struct sockaddr_storage *address, char *out, size_t capacity)
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port = address_of(address, host, sizeof host);
    (void)snprintf(out, capacity, address->ss_family == AF_INET ? "%s:%u" : "[%s]:%u", host, port);
}

/* --- Accepting -------------------------------------------------------------------------------- */

static void peer_of(int descriptor, const kdi_listener *listener,
                    const struct sockaddr_storage *address, kdi_peer *out)
{
    *out = (kdi_peer){.is_local = listener->is_local, .user_id = UINT32_MAX};
    struct ucred who;
    socklen_t size = sizeof who;
    if (!listener->is_local) {
        out->port = address_of(address, out->address, sizeof out->address);
        return;
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
        out->user_id = who.uid;
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    kdi_listener *listener = poll->data;
    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int descriptor = accept4(listener->descriptor, (struct sockaddr *)&address, &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
            return;
        if (descriptor < 0) { /* No descriptor or memory: the next tick tries again. */
            (void)uv_poll_stop(poll);
            listener->is_paused = true;
            return;
        }
        int on = 1;
        if (!listener->is_local) {
            (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            (void)setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        }
        kdi_peer peer;
        peer_of(descriptor, listener, &address, &peer);
        kdi_connection_accept(listener->server, descriptor, &peer);
    }
}

/* --- Listening -------------------------------------------------------------------------------- */

static kd_status listen_failed(kd_ctx *ctx, const char *place, int os_error)
{
    kd_status status = KD_FAIL(ctx, KD_IO, os_error == EADDRINUSE ? "55006" : "58030",
                               "could not listen on %s: %s", place, strerror(os_error));
    ctx->error.os_error = os_error;
    if (os_error == EADDRINUSE)
        kd_error_set_hint(ctx, "Another server uses it: stop that one, or choose another port.");
    return status;
}

/* The listener is the server's, and polled, from here on; `descriptor` too, also on failure. */
static kd_status add_listener(kd_ctx *ctx, kd_server *server, int descriptor, bool is_local,
                              const char *place)
{
    kdi_listener *listener = KD_NEW(ctx, server->arena, kdi_listener);
    if (listener == NULL) {
        (void)close(descriptor);
        return KD_NOMEM;
    }
    *listener = (kdi_listener){.server = server, .descriptor = descriptor, .is_local = is_local};
    (void)snprintf(listener->place, sizeof listener->place, "%s", place);
    int code = uv_poll_init(&server->loop, &listener->poll, descriptor);
    if (code == 0) {
        listener->poll.data = listener;
        listener->next = server->listeners;
        server->listeners = listener;
        code = uv_poll_start(&listener->poll, UV_READABLE, on_client);
    } else {
        (void)close(descriptor);
    }
    return code == 0 ? KD_OK : listen_failed(ctx, place, -code);
}

static int open_descriptor(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static kd_status listen_on_address(kd_ctx *ctx, kd_server *server, const struct addrinfo *info)
{
    char place[sizeof((kdi_listener *)NULL)->place];
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    int on = 1;
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    describe_address(&address, place, sizeof place);
    int descriptor = open_descriptor(info->ai_family);
    if (descriptor < 0)
        return listen_failed(ctx, place, errno);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(descriptor, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(descriptor, BACKLOG) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &size) != 0) {
        int os_error = errno;
        (void)close(descriptor);
        return listen_failed(ctx, place, os_error);
    }
    if (server->settings.port == 0) { /* The others take the same. */
        struct sockaddr_in in4;
        memcpy(&in4, &address, sizeof in4); /* The port stands at one place in both. */
        server->settings.port = ntohs(in4.sin_port);
    }
    describe_address(&address, place, sizeof place);
    return add_listener(ctx, server, descriptor, false, place);
}

/* One that the machine has no such addresses for (IPv6 is off) is passed over, if another works. */
static kd_status listen_on_name(kd_ctx *ctx, kd_server *server, const char *name)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", server->settings.port);
    int code = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, port, &wanted, &found);
    if (code != 0)
        return KD_FAIL(ctx, KD_INVALID, "F0000", "listen_addresses: \"%s\": %s", name,
                       gai_strerror(code));
    uint32_t count = 0;
    kd_status status = KD_OK;
    for (const struct addrinfo *it = found; it != NULL; it = it->ai_next) {
        if (server->settings.port != 0) {
            struct sockaddr_in in4;
            memcpy(&in4, it->ai_addr, sizeof in4);
            in4.sin_port = htons(server->settings.port);
            memcpy(it->ai_addr, &in4, sizeof in4);
        }
        status = listen_on_address(ctx, server, it);
        if (status == KD_OK)
            count++;
        bool is_absent =
            ctx->error.os_error == EADDRNOTAVAIL || ctx->error.os_error == EAFNOSUPPORT;
        if (status != KD_OK && !is_absent)
            break;
        if (status != KD_OK && count > 0) {
            kd_error_clear(ctx);
            status = KD_OK;
        }
    }
    freeaddrinfo(found);
    return status;
}

/* A socket that a server left behind is replaced; one that somebody answers at is not. */
static bool is_in_use(const struct sockaddr_un *address)
{
    int descriptor = open_descriptor(AF_UNIX);
    bool answers = descriptor >= 0 &&
                   connect(descriptor, (const struct sockaddr *)address, sizeof *address) == 0;
    if (descriptor >= 0)
        (void)close(descriptor);
    return answers;
}

static kd_status listen_on_directory(kd_ctx *ctx, kd_server *server, const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.%u", directory,
                        server->settings.port);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return KD_FAIL(ctx, KD_INVALID, "F0000", "unix_socket_directories: \"%s\" is too long",
                       directory);
    int descriptor = open_descriptor(AF_UNIX);
    if (descriptor < 0)
        return listen_failed(ctx, address.sun_path, errno);
    int os_error = is_in_use(&address) ? EADDRINUSE : 0;
    if (os_error == 0) {
        (void)unlink(address.sun_path);
        bool is_done = bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
                       chmod(address.sun_path, LOCAL_MODE) == 0 && listen(descriptor, BACKLOG) == 0;
        os_error = is_done ? 0 : errno;
    }
    if (os_error != 0) {
        (void)close(descriptor);
        return listen_failed(ctx, address.sun_path, os_error);
    }
    return add_listener(ctx, server, descriptor, true, address.sun_path);
}

/* Calls `listen_on` for each part of a list by commas. */
static kd_status each_part(kd_ctx *ctx, kd_server *server, kd_slice list,
                           kd_status (*listen_on)(kd_ctx *, kd_server *, const char *))
{
    while (list.size_bytes > 0) {
        const char *comma = memchr(list.data, ',', list.size_bytes);
        size_t size = comma == NULL ? list.size_bytes : (size_t)(comma - list.data);
        kd_slice part = kd_slice_trim((kd_slice){list.data, size});
        list.data += comma == NULL ? size : size + 1;
        list.size_bytes -= comma == NULL ? size : size + 1;
        if (part.size_bytes == 0)
            continue;
        char *text = kd_copy_text(ctx, server->arena, part.data, part.size_bytes);
        if (text == NULL)
            return KD_NOMEM;
        KD_TRY(listen_on(ctx, server, text));
    }
    return KD_OK;
}

/* --- Sockets that were handed over -------------------------------------------------------------
 */

/* How many descriptors from FIRST_HANDED_OVER on the service manager has opened for this process
 * (systemd's protocol, sd_listen_fds(3)). */
static int handed_over_count(void)
{
    const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (process == NULL || count == NULL || strtol(process, NULL, 10) != (long)getpid())
        return 0;
    long number = strtol(count, NULL, 10);
    return number < 0 || number > HANDED_OVER_MAX ? 0 : (int)number;
}

static kd_status take_over(kd_ctx *ctx, kd_server *server, int descriptor)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char place[sizeof((kdi_listener *)NULL)->place] = "handed over";
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &size) != 0)
        return listen_failed(ctx, place, errno);
    bool is_local = address.ss_family == AF_UNIX;
    if (!is_local)
        describe_address(&address, place, sizeof place);
    KD_TRY(add_listener(ctx, server, descriptor, is_local, place));
    server->listeners->is_handed_over = true;
    return KD_OK;
}

kd_status kdi_listeners_open(kd_ctx *ctx, kd_server *server)
{
    const kd_server_settings *settings = &server->settings;
    int handed_over = handed_over_count();
    for (int i = 0; i < handed_over; i++)
        KD_TRY(take_over(ctx, server, FIRST_HANDED_OVER + i));
    if (handed_over > 0)
        return KD_OK;
    KD_TRY(each_part(ctx, server, settings->listen_addresses, listen_on_name));
    KD_TRY(each_part(ctx, server, settings->unix_socket_directories, listen_on_directory));
    if (server->listeners == NULL)
        return KD_FAIL(ctx, KD_INVALID, "F0000",
                       "nobody could connect: listen_addresses and unix_socket_directories are "
                       "empty");
    return KD_OK;
}

void kdi_listeners_resume(kd_server *server)
{
    for (kdi_listener *it = server->listeners; it != NULL; it = it->next) {
        if (it->is_paused)
            it->is_paused = uv_poll_start(&it->poll, UV_READABLE, on_client) != 0;
    }
}

static void listener_gone(uv_handle_t *handle)
{
    kdi_listener *listener = handle->data;
    if (listener->is_local && !listener->is_handed_over)
        (void)unlink(listener->place);
    (void)close(listener->descriptor);
}

void kdi_listeners_close(kd_server *server)
{
    for (kdi_listener *it = server->listeners; it != NULL; it = it->next) {
        (void)uv_poll_stop(&it->poll);
        uv_close((uv_handle_t *)&it->poll, listener_gone);
    }
    server->listeners = NULL;
}

void kdi_tell_service_manager(const char *news)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = path == NULL ? 0 : strlen(path);
    if (size < 2 || size >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') /* A name outside the file system. */
        address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    socklen_t address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    (void)sendto(descriptor, news, strlen(news), MSG_NOSIGNAL, (struct sockaddr *)&address,
                 address_bytes);
    (void)close(descriptor);
}

void kdi_listeners_describe(const kd_server *server, char *out, size_t capacity_bytes)
{
    size_t size = 0;
    out[0] = '\0';
    for (const kdi_listener *it = server->listeners; it != NULL && size < capacity_bytes;
         it = it->next)
        size += (size_t)snprintf(out + size, capacity_bytes - size, "%s%s", size == 0 ? "" : ", ",
                                 it->place);
}
