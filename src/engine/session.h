/*
 * Sessions: one conversation with its transaction, settings, prepared statements
 * and cursors. A session belongs to one thread at a time; only kd_session_cancel
 * may be called from another.
 *
 * Transactions. Outside BEGIN each statement is a transaction of its own. Inside,
 * each statement runs in a savepoint: when it fails its work is undone and the
 * transaction is FAILED until ROLLBACK (25P02), as in PostgreSQL.
 */
#ifndef KD_ENGINE_SESSION_H
#define KD_ENGINE_SESSION_H

#include "engine/database.h"

typedef struct kd_session kd_session;

/* What the bytes of a COPY through a session's hooks are: a row is a line, a line with quotes in
 * which it may go on, one call of copy_write, or nothing of these. The last two are binary. */
typedef enum kd_copy_kind {
    KD_COPY_LINES = 0,
    KD_COPY_QUOTED_LINES,
    KD_COPY_PIECES,
    KD_COPY_BYTES,
} kd_copy_kind;

typedef enum kd_session_state {
    KD_SESSION_IDLE = 0,
    KD_SESSION_IN_TRANSACTION,
    KD_SESSION_FAILED,
} kd_session_state;

typedef struct kd_session_options {
    const char *user_name;      /* NULL: "kade". */
    kd_isolation isolation;     /* kade.h: SNAPSHOT; PostgreSQL's protocol: READ COMMITTED. */
    bool read_only;             /* Refuses every change (25006), as a read-only database does. */
    bool is_internal;           /* The engine's own: not counted by max_connections. */
    bool tells_activity;        /* pg_stat_activity has its statements and their times. */
    const char *client_address; /* Of the network, for that view; NULL: this machine. */
    int32_t client_port;
} kd_session_options;

/* What the session's owner wants to be told; members may be NULL. */
typedef struct kd_session_hooks {
    void *object;
    /* A notice or warning. */
    void (*notice)(void *object, const char *severity, const char *sqlstate, const char *message,
                   const char *hint);
    /* Before the first byte of either COPY below; false fails the statement. */
    bool (*copy_begin)(void *object, bool is_input, kd_copy_kind kind, uint32_t columns);
    /* COPY FROM STDIN: fills `target`, `*out_bytes` 0 is the end. COPY TO STDOUT: takes all. */
    bool (*copy_read)(void *object, void *target, size_t capacity_bytes, size_t *out_bytes);
    bool (*copy_write)(void *object, const void *source, size_t size_bytes);
    /* Notifications wait, or somebody has ended the session: from any thread, under locks. The
     * owner should look at it when it can. */
    void (*wake)(void *object);
    /* Called now and then while a statement runs; false cancels it. rows_expected 0: unknown. */
    bool (*progress)(void *object, const char *phase, uint64_t rows_done, uint64_t rows_expected,
                     uint64_t elapsed_us);
} kd_session_hooks;

/* 53300 where there are max_connections, and are still after connection_timeout. */
kd_status kd_session_open(kd_ctx *ctx, kd_database *database, const kd_session_options *options,
                          kd_session **out_session) KD_MUST_CHECK;
void kd_session_close(kd_session *session); /* Rolls back. NULL is allowed. */
void kd_session_set_hooks(kd_session *session, const kd_session_hooks *hooks);
/* The session's own context: its record is the error of the last failed call. */
kd_ctx *kd_session_ctx(kd_session *session);
kd_database *kd_session_database(kd_session *session);
kd_session_state kd_session_get_state(const kd_session *session);
/* Any thread. The running statement fails with 57014. */
void kd_session_cancel(kd_session *session);

#endif
