/*
 * What the files of the server share: the server, its connections, and who has them.
 *
 *   server.c       the server's life: opening, signals, stopping
 *   listener.c     sockets that wait for clients
 *   connection.c   a connection's life, between the loop and the crew
 *   crew.c         threads that serve connections
 *   byte_stream.c  a connection's bytes, plain or encrypted; tls.c what encryption needs
 *   pg_*.c         PostgreSQL's protocol
 *
 * A connection belongs to the loop's thread while it rests and to one thread of the crew while it
 * is served. What others may touch meanwhile is atomic, or under the server's mutex.
 */
#ifndef KD_SERVER_CONNECTION_INTERNAL_H
#define KD_SERVER_CONNECTION_INTERNAL_H

#include "base/map.h"
#include "base/thread.h"
#include "engine/conversation.h"
#include "server/attempt.h"
#include "server/crew.h"
#include "server/server.h"
#include "server/byte_stream.h"
#include "server/tls.h"

#include <uv.h>

typedef struct kd_server kd_server;
typedef struct kdi_connection kdi_connection;
typedef struct kdi_listener kdi_listener;
typedef struct kdi_pg kdi_pg;

/* How urgently connections are to end. */
typedef enum kdi_stopping {
    KDI_STOPPING_NO = 0,
    KDI_STOPPING_WHEN_IDLE, /* Outside transactions. */
    KDI_STOPPING_NOW,
} kdi_stopping;

/* Who is at the other end. */
typedef struct kdi_peer {
    bool is_local;    /* By a local socket: the kernel knows the user. */
    uint32_t user_id; /* Then. */
    char address[48]; /* "127.0.0.1"; empty for local ones. */
    uint16_t port;
} kdi_peer;

struct kdi_listener {
    kd_server *server;
    kdi_listener *next;
    uv_poll_t poll;
    int descriptor;
    bool is_local;
    bool is_paused;
    bool is_handed_over; /* By the service manager, who keeps the socket. */
    char place[128];     /* "127.0.0.1:5432", "/tmp/.s.PGSQL.5432": the path, for local ones. */
};

struct kdi_connection {
    kd_server *server;
    kdi_connection *previous, *next; /* In the server's list: the loop's thread. */
    kdi_connection *next_returned;   /* The crew is done with it: the server's mutex. */
    kdi_crew_job job;
    uv_poll_t poll;
    kdi_stream stream;
    kdi_peer peer;
    kdi_pg *pg;
    uint64_t accepted_ns;
    bool is_resting;    /* The loop has it, and waits for its bytes. */
    bool ends;          /* The crew says so. */
    uint32_t cancel_no; /* What a request to cancel names; 0: none yet. */
    uint32_t cancel_secret;
    kd_conversation *talk; /* For those requests. These three: under the server's mutex. */
    atomic_bool is_logged_in;
    atomic_bool is_in_transaction;
    atomic_bool has_news; /* Its session has something for the client. */
};

struct kd_server {
    kd_world *world;
    kd_database *database;
    kd_arena *arena;
    kd_account account;          /* Of connections. */
    kd_server_settings settings; /* As they were at the start. */
    kdi_tls *tls;                /* NULL: no encryption. */
    kdi_crew *crew;
    kdi_attempts attempts;
    uint8_t mock_key[32]; /* Makes salts for roles that do not exist. */
    uv_loop_t loop;
    bool loop_is_open;
    uv_async_t wake;
    uv_timer_t tick;
    uv_timer_t hurry; /* While jobs wait for a thread of the crew. */
    uv_signal_t signals[2];
    kdi_listener *listeners;
    kdi_connection *connections; /* Newest first. */
    uint32_t connection_count;
    uint32_t waiting_count; /* Not logged in. */
    uint64_t stop_deadline_ns;
    atomic_uint_least64_t login_timeout_ns;
    atomic_bool has_news; /* Some connection has. */
    atomic_int stopping;  /* kdi_stopping */
    kd_mutex mutex;       /* Guards what follows, and what connections say that it does. */
    kdi_connection *returned;
    kd_map named; /* Connections by their cancel_no. */
};

/* --- listener.c ------------------------------------------------------------------------------- */

/* On the settings' addresses, or, where the service manager has handed over sockets, on those. */
kd_status kdi_listeners_open(kd_ctx *ctx, kd_server *server) KD_MUST_CHECK;
/* From now on nobody else gets in. Local sockets go from the file system. */
void kdi_listeners_close(kd_server *server);
/* Those that found no descriptor for a client try again. */
void kdi_listeners_resume(kd_server *server);
/* "READY=1" and the like, to systemd (sd_notify(3)), if it started us and wants to know. */
void kdi_tell_service_manager(const char *news);
/* "127.0.0.1:5432, /tmp/.s.PGSQL.5432", in `out`. */
void kdi_listeners_describe(const kd_server *server, char *out, size_t capacity_bytes);

/* --- connection.c ----------------------------------------------------------------------------- */

/* Takes over the descriptor, also on failure. The loop's thread, as all below but the last. */
void kdi_connection_accept(kd_server *server, int descriptor, const kdi_peer *peer);
/* Those that the crew has given back. */
void kdi_connections_take_back(kd_server *server);
/* Serves those that rest and have news for their clients. */
void kdi_connections_wake(kd_server *server);
/* Such a connection; any thread. */
void kdi_connection_tell(kdi_connection *connection);
/* Ends those that took too long to log in; when the server stops, those that may end. */
void kdi_connections_look_after(kd_server *server);
/* Stops what runs on every connection. */
void kdi_connections_cancel(kd_server *server);
/* Its session, by the number that requests to cancel name; and its end. The thread that serves it.
 */
kd_status kdi_connection_name(kd_ctx *ctx, kdi_connection *connection,
                              uint32_t cancel_no) KD_MUST_CHECK;
void kdi_connection_forget_name(kdi_connection *connection);
/* What can be cancelled now; NULL: nothing. */
void kdi_connection_set_talk(kdi_connection *connection, kd_conversation *talk);
/* Stops the statement of the session with this number, if the secret is its own. Any thread. */
void kdi_connection_cancel(kd_server *server, uint32_t cancel_no, uint32_t secret);

/* --- pg_serve.c ------------------------------------------------------------------------------- */

kd_status kdi_pg_create(kd_ctx *ctx, kdi_connection *connection, kdi_pg **out_pg) KD_MUST_CHECK;
/* Serves what has arrived and what comes soon after. False: the connection ends. */
bool kdi_pg_serve(kdi_pg *pg);
/* The session ends; a transaction is rolled back. NULL is allowed. */
void kdi_pg_destroy(kdi_pg *pg);

#endif
