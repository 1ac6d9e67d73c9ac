/*
 * Local stream sockets: bytes between two processes of one machine.
 *
 * As the world, a table of functions. The real world has one; a simulated one has
 * none (kd_sockets_of gives NULL), and who needs sockets does without them there.
 *
 * An address is a path of the file system. Longer ones than the system takes (about
 * 100 bytes) work as well. Failures are KD_IO with 08006 where the other side has
 * gone (os_error 0), 58030 else; a send to a peer that has gone raises no signal.
 */
#ifndef KD_BASE_SOCKET_H
#define KD_BASE_SOCKET_H

#include "base/world.h"

typedef struct kd_socket kd_socket;

/* Who is at the other end, as the kernel says. */
typedef struct kd_socket_peer {
    uint32_t user_id;
    uint32_t process_id;
} kd_socket_peer;

typedef struct kd_sockets {
    /* A socket at `path` that only this user may connect to. What is left there of a dead owner is
     * replaced: the caller knows that nobody alive listens there. */
    kd_status (*listen)(kd_ctx *ctx, const char *path, kd_socket **out_listener);
    /* Nobody listens: KD_IO 08001. */
    kd_status (*connect)(kd_ctx *ctx, const char *path, kd_socket **out_socket);
    /* Waits for the next peer. After `shutdown` of the listener: KD_IO 08006. */
    kd_status (*accept)(kd_ctx *ctx, kd_socket *listener, kd_socket **out_socket);
    kd_status (*peer)(kd_ctx *ctx, kd_socket *socket, kd_socket_peer *out_peer);
    /* All of it; waits where the peer is slow. */
    kd_status (*send)(kd_ctx *ctx, kd_socket *socket, const void *source, size_t size_bytes);
    /* Without waiting, from any thread and from signal handlers; false when it did not go out. */
    bool (*poke)(kd_socket *socket, const void *source, size_t size_bytes);
    /* Exactly `size_bytes`, waiting for them. */
    kd_status (*receive)(kd_ctx *ctx, kd_socket *socket, void *target, size_t size_bytes);
    /* From now on this side waits in `send` and `receive` no longer than `silence_ns` for a sign of
     * the peer, then asks whether it is alive; when not they fail with 08006. */
    kd_status (*watch)(kd_ctx *ctx, kd_socket *socket, uint64_t silence_ns,
                       bool (*is_alive)(void *object), void *object);
    /* Wakes whoever waits on the socket, in this process and at the other end; any thread. */
    void (*shutdown)(kd_socket *socket);
    void (*close)(kd_world *world, kd_socket *socket); /* NULL is allowed. */
    uint32_t (*own_user_id)(void);
} kd_sockets;

/* NULL where the world has none. */
const kd_sockets *kd_sockets_of(const kd_world *world);

#endif
