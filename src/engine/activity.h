/*
 * What a session does, for others to see: pg_stat_activity.
 *
 * A session that asks for it (kd_session_options.tells_activity) notes each statement's text and
 * times; the note has a lock of its own, which nobody else wants most of the time. Of texts the
 * beginning is kept, without passwords.
 */
#ifndef KD_ENGINE_ACTIVITY_H
#define KD_ENGINE_ACTIVITY_H

#include "engine/session.h"
#include "base/thread.h"

enum { KDI_ACTIVITY_TEXT_BYTES = 1024, KDI_ACTIVITY_NAME_BYTES = 64 };

typedef enum kdi_activity_state {
    KDI_ACTIVITY_IDLE = 0,
    KDI_ACTIVITY_ACTIVE,
    KDI_ACTIVITY_IN_TRANSACTION,
    KDI_ACTIVITY_ABORTED,
} kdi_activity_state;

typedef struct kdi_activity {
    bool is_told; /* Whether any of this is kept up. */
    kd_mutex mutex;
    kdi_activity_state state;
    /* Microseconds since 1970; 0: none yet, or no transaction is open. */
    int64_t session_us, transaction_us, statement_us, state_us;
    char application_name[KDI_ACTIVITY_NAME_BYTES];
    char client_address[KDI_ACTIVITY_NAME_BYTES]; /* Of the network; empty: this machine. */
    int32_t client_port;                          /* -1: a local socket. */
    char text[KDI_ACTIVITY_TEXT_BYTES];
} kdi_activity;

void kdi_activity_open(kd_session *session, const kd_session_options *options);
void kdi_activity_close(kd_session *session);
/* A statement begins; the session's thread, as the next. */
void kdi_activity_begin(kd_session *session, kd_slice text);
/* It has ended, and the session's state is what comes after it. */
void kdi_activity_end(kd_session *session);
/* A copy of what is told; any thread for which the session lives. */
void kdi_activity_read(const kd_session *session, kdi_activity *out_activity);

#endif
