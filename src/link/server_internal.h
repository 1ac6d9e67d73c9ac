/*
 * The owner's side: a listener, and one thread per connection.
 *
 *   link_server.c    listening, connections and their lives, cancel
 *   link_session.c   the requests of one client
 */
#ifndef KD_LINK_SERVER_INTERNAL_H
#define KD_LINK_SERVER_INTERNAL_H

#include "link/message_internal.h"

#include "base/thread.h"

enum { KDI_CONNECTIONS_MAX = 2000, KDI_STATEMENTS_MAX = 65536 };

typedef struct kdi_connection kdi_connection;

struct kd_remote_server {
    kd_world *world;
    const kd_sockets *sockets;
    kd_database *database;
    kd_arena *arena;
    const char *socket_path;
    kd_socket *listener;
    kd_thread *thread;
    kd_mutex mutex;              /* Guards what follows, and the connections' `talk`. */
    kd_cond changed;             /* A connection ended, or the server stops. */
    kdi_connection *connections; /* Newest first. */
    uint32_t connection_count;
    uint64_t next_key;
    bool stopping;
};

/* One client's statement. */
typedef struct kdi_served {
    kd_request *request; /* NULL: the slot is free. */
    bool is_running;
    kd_batch batch; /* Rows not sent yet: from `position` on. */
    uint32_t position;
    bool at_end;    /* Nothing comes after the batch. */
    bool has_enums; /* The client may ask for labels as long as the run is open. */
} kdi_served;

struct kdi_connection {
    kd_remote_server *server;
    kdi_connection *next;
    kd_arena *arena;
    kd_ctx ctx; /* The connection's own failures; a session has its own. */
    kd_socket *socket;
    kd_thread *thread;
    bool is_ended;         /* Under the server's mutex: the thread may be joined. */
    uint64_t key;          /* Of the session, for its CONTROL connection; 0: none. */
    kd_conversation *talk; /* Set and cleared under the server's mutex. */
    atomic_uint_least32_t current_sequence; /* The request that is being served, or was last. */
    atomic_uint_least32_t done_sequence;    /* The last one that was answered. */
    kdi_frame_room in;                      /* The request. */
    kdi_frame_room out;                     /* Its answer. */
    kdi_frame_room hook_in;                 /* Callbacks, while an answer is being made. */
    kdi_frame_room hook_out;
    kd_arena *scratch; /* Of one request. */
    kdi_served *served;
    size_t served_count;
    size_t served_capacity;
};

/* --- link_session.c --------------------------------------------------------------------------- */

/* Serves the client until it goes. `hello` is its first frame. */
void kdi_serve_session(kdi_connection *connection, kdi_frame *hello);
/* Sends FAILED with the record. */
kd_status kdi_send_failure(kd_ctx *ctx, kdi_connection *connection, uint32_t sequence,
                           const kd_error *error, kd_session_state state) KD_MUST_CHECK;

#endif
