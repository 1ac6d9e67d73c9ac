/*
 * Unix domain sockets.
 *
 * An address holds 107 bytes of path. A longer path is reached through the open
 * directory it lies in: "/proc/self/fd/7/LINK" names the same file.
 */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

struct kd_socket {
    int descriptor;
    bool (*is_alive)(void *object); /* NULL: the peer is waited for as long as it takes. */
    void *object;
};

/* --- Failures --------------------------------------------------------------------------------- */

static bool is_gone(int code)
{
    return code == EPIPE || code == ECONNRESET || code == ENOTCONN || code == ECONNABORTED;
}

static kd_status gone(kd_ctx *ctx)
{
    kd_status status = KD_FAIL(ctx, KD_IO, "08006", "the other side closed the connection");
    ctx->error.os_error = 0;
    return status;
}

/* After a wait that ran out: whether to go on waiting. */
static bool waits_on(const kd_socket *socket, int code)
{
    if (code != EAGAIN && code != EWOULDBLOCK)
        return false;
    bool is_alive = socket->is_alive == NULL || socket->is_alive(socket->object);
    errno = code;
    return is_alive;
}

static kd_status socket_fail(kd_ctx *ctx, const char *what)
{
    int code = errno;
    if (is_gone(code))
        return gone(ctx);
    if (code == EAGAIN || code == EWOULDBLOCK)
        return KD_FAIL(ctx, KD_IO, "08006", "the other side does not answer");
    return KD_FAIL(ctx, KD_IO, "58030", "could not %s: %s", what, strerror(code));
}

/* --- Addresses -------------------------------------------------------------------------------- */

typedef struct address {
    struct sockaddr_un native;
    int directory; /* Open while the address is used; -1 for none. */
} address;

static void address_clear(address *where)
{
    if (where->directory >= 0)
        (void)close(where->directory);
}

static kd_status address_init(kd_ctx *ctx, const char *path, address *out_where)
{
    *out_where = (address){.native = {.sun_family = AF_UNIX}, .directory = -1};
    char *target = out_where->native.sun_path;
    size_t room_bytes = sizeof out_where->native.sun_path;
    size_t path_bytes = strlen(path);
    if (path_bytes < room_bytes) {
        memcpy(target, path, path_bytes + 1);
        return KD_OK;
    }
    const char *slash = strrchr(path, '/');
    char *above = slash == NULL ? NULL : strndup(path, (size_t)(slash - path));
    if (above != NULL)
        out_where->directory = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(above);
    if (out_where->directory < 0)
        return KD_FAIL(ctx, KD_IO, "08001", "no socket can be at \"%s\"", path);
    int put = snprintf(target, room_bytes, "/proc/self/fd/%d/%s", out_where->directory, slash + 1);
    if (put < 0 || (size_t)put >= room_bytes) {
        address_clear(out_where);
        return KD_FAIL(ctx, KD_IO, "08001", "no socket can be at \"%s\"", path);
    }
    return KD_OK;
}

static kd_status wrap(kd_ctx *ctx, int descriptor, kd_socket **out_socket)
{
    kd_socket *made = malloc(sizeof *made);
    *out_socket = made;
    if (made == NULL) {
        (void)close(descriptor);
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory for a connection");
    }
    *made = (kd_socket){.descriptor = descriptor};
    return KD_OK;
}

static int socket_make(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* --- The table -------------------------------------------------------------------------------- */

static kd_status posix_listen(kd_ctx *ctx, const char *path, kd_socket **out_listener)
{
    address where;
    int descriptor = -1;
    *out_listener = NULL;
    kd_status status = address_init(ctx, path, &where);
    if (status != KD_OK)
        return status;
    descriptor = socket_make();
    if (descriptor < 0) {
        status = socket_fail(ctx, "make a socket");
        goto out;
    }
    (void)unlink(where.native.sun_path);
    /* Before bind: the file then has this mode from its first moment on. */
    if (fchmod(descriptor, 0600) != 0 ||
        bind(descriptor, (const struct sockaddr *)&where.native, sizeof where.native) != 0 ||
        listen(descriptor, BACKLOG) != 0) {
        status = socket_fail(ctx, "listen on a socket");
        goto out;
    }
    status = wrap(ctx, descriptor, out_listener);
    descriptor = -1;
out:
    if (descriptor >= 0)
        (void)close(descriptor);
    address_clear(&where);
    return status;
}

static kd_status posix_connect(kd_ctx *ctx, const char *path, kd_socket **out_socket)
{
    address where;
    int descriptor = -1;
    *out_socket = NULL;
    kd_status status = address_init(ctx, path, &where);
    if (status != KD_OK)
        return status;
    descriptor = socket_make();
    if (descriptor < 0) {
        status = socket_fail(ctx, "make a socket");
        goto out;
    }
    int result;
    do
        result = connect(descriptor, (const struct sockaddr *)&where.native, sizeof where.native);
    while (result != 0 && errno == EINTR);
    if (result != 0) {
        int code = errno;
        status =
            KD_FAIL(ctx, KD_IO, "08001", "could not connect to \"%s\": %s", path, strerror(code));
        goto out;
    }
    status = wrap(ctx, descriptor, out_socket);
    descriptor = -1;
out:
    if (descriptor >= 0)
        (void)close(descriptor);
    address_clear(&where);
    return status;
}

static kd_status posix_accept(kd_ctx *ctx, kd_socket *listener, kd_socket **out_socket)
{
    *out_socket = NULL;
    int descriptor;
    do
        descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_CLOEXEC);
    while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (descriptor >= 0)
        return wrap(ctx, descriptor, out_socket);
    return errno == EINVAL ? gone(ctx) : socket_fail(ctx, "accept a connection");
}

static kd_status posix_peer(kd_ctx *ctx, kd_socket *socket, kd_socket_peer *out_peer)
{
    struct ucred credentials;
    socklen_t size_bytes = sizeof credentials;
    *out_peer = (kd_socket_peer){.user_id = UINT32_MAX};
    if (getsockopt(socket->descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size_bytes) != 0)
        return socket_fail(ctx, "examine a connection");
    out_peer->user_id = (uint32_t)credentials.uid;
    out_peer->process_id = (uint32_t)credentials.pid;
    return KD_OK;
}

static kd_status posix_send(kd_ctx *ctx, kd_socket *socket, const void *source, size_t size_bytes)
{
    const char *at = source;
    while (size_bytes > 0) {
        ssize_t put = send(socket->descriptor, at, size_bytes, MSG_NOSIGNAL);
        if (put < 0 && (errno == EINTR || waits_on(socket, errno)))
            continue;
        if (put < 0)
            return socket_fail(ctx, "send to a connection");
        at += put;
        size_bytes -= (size_t)put;
    }
    return KD_OK;
}

static bool posix_poke(kd_socket *socket, const void *source, size_t size_bytes)
{
    int before = errno; /* A signal handler leaves no trace. */
    ssize_t put = send(socket->descriptor, source, size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    errno = before;
    return put == (ssize_t)size_bytes;
}

static kd_status posix_receive(kd_ctx *ctx, kd_socket *socket, void *target, size_t size_bytes)
{
    char *at = target;
    while (size_bytes > 0) {
        ssize_t got = recv(socket->descriptor, at, size_bytes, 0);
        if (got < 0 && (errno == EINTR || waits_on(socket, errno)))
            continue;
        if (got < 0)
            return socket_fail(ctx, "receive from a connection");
        if (got == 0)
            return gone(ctx);
        at += got;
        size_bytes -= (size_t)got;
    }
    return KD_OK;
}

static kd_status posix_watch(kd_ctx *ctx, kd_socket *socket, uint64_t silence_ns,
                             bool (*is_alive)(void *object), void *object)
{
    struct timeval span = {.tv_sec = (time_t)(silence_ns / 1000000000),
                           .tv_usec = (suseconds_t)(silence_ns % 1000000000 / 1000)};
    socket->is_alive = is_alive;
    socket->object = object;
    if (setsockopt(socket->descriptor, SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span) != 0 ||
        setsockopt(socket->descriptor, SOL_SOCKET, SO_SNDTIMEO, &span, sizeof span) != 0)
        return socket_fail(ctx, "limit the wait on a connection");
    return KD_OK;
}

static void posix_shutdown(kd_socket *socket)
{
    (void)shutdown(socket->descriptor, SHUT_RDWR);
}

static void posix_close(kd_world *world, kd_socket *socket)
{
    (void)world;
    if (socket == NULL)
        return;
    (void)close(socket->descriptor);
    free(socket);
}

static uint32_t posix_own_user_id(void)
{
    return (uint32_t)geteuid();
}

static const kd_sockets posix_sockets = {
    .listen = posix_listen,
    .connect = posix_connect,
    .accept = posix_accept,
    .peer = posix_peer,
    .send = posix_send,
    .poke = posix_poke,
    .receive = posix_receive,
    .watch = posix_watch,
    .shutdown = posix_shutdown,
    .close = posix_close,
    .own_user_id = posix_own_user_id,
};

const kd_sockets *kd_sockets_of(const kd_world *world)
{
    return world == kd_world_posix() ? &posix_sockets : NULL;
}
