/*
 * PostgreSQL's frontend/backend protocol, version 3.0: what its parts share.
 *
 *   pg_message.c    messages in and out
 *   pg_startup.c    the first message, TLS, logging in; pg_scram.c the exchange of SCRAM
 *   pg_session.c    a session's beginning: settings, what is reported
 *   pg_serve.c      what each message does
 *   pg_query.c      scripts (Query)
 *   pg_extended.c   Parse, Bind, Describe, Execute, Close
 *   pg_rows.c       descriptions and rows; pg_copy.c COPY's data
 *
 * The protocol: PostgreSQL 15's documentation, chapter 55. A message is a type byte (none in the
 * first one), an i32 length that counts itself, and the body; integers have their most significant
 * byte first.
 */
#ifndef KD_SERVER_PG_INTERNAL_H
#define KD_SERVER_PG_INTERNAL_H

#include "server/login.h"
#include "server/connection_internal.h"
#include "types/binary.h"

enum {
    KDI_PG_STARTUP_BYTES_MAX = 10000, /* Of the first message, as in PostgreSQL. */
    KDI_PG_LOGIN_BYTES_MAX = 4096,    /* Of messages before the login is done. */
    KDI_PG_MESSAGE_BYTES_MAX = 1 << 30,
    KDI_PG_FLUSH_BYTES = 64 << 10, /* Answers are sent when there are as many. */
};

typedef enum kdi_pg_phase {
    KDI_PG_STARTUP = 0, /* The first message, or the one after the answer to a request for TLS. */
    KDI_PG_TLS,         /* Shaking hands. */
    KDI_PG_SASL_FIRST,
    KDI_PG_SASL_LAST,
    KDI_PG_READY,
    KDI_PG_ENDED,
} kdi_pg_phase;

typedef struct kdi_pg_message {
    char type; /* 0: the first one. */
    kd_reader body;
} kdi_pg_message;

typedef struct kdi_pg_statement kdi_pg_statement;
typedef struct kdi_pg_portal kdi_pg_portal;
typedef struct kdi_pg_scram kdi_pg_scram;

/* A prepared statement, "" without a name. */
struct kdi_pg_statement {
    kd_arena *arena; /* Holds this struct. */
    kd_slice name;
    kd_slice text;
    kd_type *types; /* Declared by Parse. */
    uint32_t type_count;
    kd_request *request;
    bool is_empty;
    bool is_transaction_command; /* BEGIN and its kin: never within a block of ours. */
    uint32_t portal_count;       /* Portals that run its request: at most one. */
};

/* A statement with its parameters, "" without a name. */
struct kdi_pg_portal {
    kd_arena *arena; /* Holds this struct. */
    kd_slice name;
    kdi_pg_statement *statement;
    kd_request *request; /* The statement's, or the portal's own where that one is busy. */
    bool owns_request;
    kd_value *parameters;
    uint32_t parameter_count;
    uint16_t *formats; /* Of columns: 0 text, 1 binary; none: all text, one: of all. */
    uint32_t format_count;
    bool is_running;
    bool is_done;
    kd_batch batch; /* Rows not sent yet: from `position` on. */
    uint32_t position;
    bool at_end; /* Nothing comes after the batch. */
    char tag[64];
};

struct kdi_pg {
    kdi_connection *connection;
    kd_server *server;
    kdi_stream *stream;
    kd_arena *arena;   /* Of the connection. */
    kd_arena *scratch; /* Of one message. */
    kd_ctx ctx;        /* Before there is a session, and for what is not a session's failure. */
    kdi_pg_phase phase;
    bool tls_was_answered, gss_was_answered;            /* Once each. */
    kd_slice user_name, database_name, startup_options; /* Of the first message. */
    kd_slice *startup_settings;                         /* Names and values in turn. */
    uint32_t startup_setting_count;
    kdi_login login;
    kdi_pg_scram *scram;
    kd_conversation *talk; /* NULL before the login. */
    bool skips_to_sync;    /* A message of the extended protocol failed. */
    bool message_is_open;  /* One is being put together; it begins at: */
    size_t message_at;
    kd_copy_kind copy_kind;
    bool is_copying_out;    /* CopyDone is due. */
    bool copy_is_quoted;    /* The row that goes out is within quotes. */
    bool copy_row_is_open;  /* A CopyData message has begun, */
    size_t copy_row;        /* here. */
    kd_slice copy_rest;     /* Of a CopyData message: what was not read yet. */
    char copy_failure[256]; /* What CopyFail said. */
    kdi_pg_statement *unnamed_statement;
    kdi_pg_portal *unnamed_portal;
    kd_map statements, portals; /* Those with names. */
    uint64_t settings_seen;     /* As kd_conversation_setting_changes. */
    kd_slice *reported;         /* Values last sent, by pg_session.c's list. */
};

/* --- pg_message.c ----------------------------------------------------------------------------- */

/* The next message, if all of it has arrived. 08P01 for one that cannot be. */
kd_status kdi_pg_next_message(kd_ctx *ctx, kdi_pg *pg, bool *out_found,
                              kdi_pg_message *out_message) KD_MUST_CHECK;
/* Waits for one, as long as the connection lasts. KD_IO 08006. */
kd_status kdi_pg_wait_message(kd_ctx *ctx, kdi_pg *pg, kdi_pg_message *out_message) KD_MUST_CHECK;
/* Whether the message after this one is there, and is a Sync. */
bool kdi_pg_sync_follows(const kdi_pg *pg);

uint16_t kdi_pg_read_u16(kd_reader *body);
uint32_t kdi_pg_read_u32(kd_reader *body);
/* Up to the NUL, which must be there. */
kd_slice kdi_pg_read_text(kd_reader *body);
kd_status kdi_pg_malformed(kd_ctx *ctx, const char *message) KD_MUST_CHECK;

/* Begins a message; its length is written at the end. One that is not ended when the next begins
 * was given up: its bytes go. */
kd_status kdi_pg_begin(kd_ctx *ctx, kdi_pg *pg, char type, size_t *out_start) KD_MUST_CHECK;
void kdi_pg_end(kdi_pg *pg, size_t start);
kd_status kdi_pg_put_text(kd_ctx *ctx, kdi_pg *pg, kd_slice text) KD_MUST_CHECK; /* And a NUL. */
/* A message without a body. */
kd_status kdi_pg_put_empty(kd_ctx *ctx, kdi_pg *pg, char type) KD_MUST_CHECK;
kd_status kdi_pg_put_tag(kd_ctx *ctx, kdi_pg *pg, const char *tag) KD_MUST_CHECK;
/* Sends what was gathered, if that is a lot. */
kd_status kdi_pg_flush_if_full(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;

/* ErrorResponse. `text` is what the position counts in; may be empty. */
kd_status kdi_pg_put_error(kd_ctx *ctx, kdi_pg *pg, const char *severity, const kd_error *error,
                           kd_slice text) KD_MUST_CHECK;
kd_status kdi_pg_put_notice(kd_ctx *ctx, kdi_pg *pg, const char *severity, const char *sqlstate,
                            const char *message, const char *hint) KD_MUST_CHECK;

/* --- pg_startup.c, pg_scram.c ----------------------------------------------------------------- */

/* What the phase before READY does with a message. */
kd_status kdi_pg_log_in(kd_ctx *ctx, kdi_pg *pg, kdi_pg_message *message) KD_MUST_CHECK;

/* Offers the exchange for the login that was found. */
kd_status kdi_pg_scram_begin(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;
kd_status kdi_pg_scram_first(kd_ctx *ctx, kdi_pg *pg, kd_slice mechanism,
                             kd_slice message) KD_MUST_CHECK;
/* Whether the client has the password; if so the server's proof is on its way. */
kd_status kdi_pg_scram_last(kd_ctx *ctx, kdi_pg *pg, kd_slice message,
                            bool *out_is_right) KD_MUST_CHECK;

/* --- pg_session.c ----------------------------------------------------------------------------- */

/* The login is done: the session, its settings, and what the client is told. */
kd_status kdi_pg_session_begin(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;
/* ParameterStatus for settings that have changed. */
kd_status kdi_pg_report_settings(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;
/* NotificationResponse for those that wait, outside transactions. */
kd_status kdi_pg_put_notifications(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;
/* ReadyForQuery, and what comes before it. */
kd_status kdi_pg_put_ready(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;

/* --- pg_query.c ------------------------------------------------------------------------------- */

kd_status kdi_pg_query(kd_ctx *ctx, kdi_pg *pg, kd_slice text) KD_MUST_CHECK;

/* --- pg_extended.c ---------------------------------------------------------------------------- */

kd_status kdi_pg_parse(kd_ctx *ctx, kdi_pg *pg, kd_reader *body) KD_MUST_CHECK;
kd_status kdi_pg_bind(kd_ctx *ctx, kdi_pg *pg, kd_reader *body) KD_MUST_CHECK;
kd_status kdi_pg_describe(kd_ctx *ctx, kdi_pg *pg, kd_reader *body) KD_MUST_CHECK;
kd_status kdi_pg_execute(kd_ctx *ctx, kdi_pg *pg, kd_reader *body) KD_MUST_CHECK;
kd_status kdi_pg_close(kd_ctx *ctx, kdi_pg *pg, kd_reader *body) KD_MUST_CHECK;
/* Their transaction has ended. */
void kdi_pg_portals_close(kdi_pg *pg);
void kdi_pg_statements_close(kdi_pg *pg);

/* --- pg_rows.c -------------------------------------------------------------------------------- */

kd_status kdi_pg_put_description(kd_ctx *ctx, kdi_pg *pg, const kd_rel_column *columns,
                                 uint32_t count, const uint16_t *formats,
                                 uint32_t format_count) KD_MUST_CHECK;
/* DataRow for rows `from` .. `to` - 1 of those selected. */
kd_status kdi_pg_put_rows(kd_ctx *ctx, kdi_pg *pg, const kd_request *request, const kd_batch *batch,
                          uint32_t from, uint32_t to, const uint16_t *formats,
                          uint32_t format_count) KD_MUST_CHECK;

/* --- pg_copy.c -------------------------------------------------------------------------------- */

/* Notices, progress and COPY of the session. */
void kdi_pg_set_hooks(kdi_pg *pg);
/* CopyDone, where a COPY TO STDOUT has just been run. */
kd_status kdi_pg_copy_end(kd_ctx *ctx, kdi_pg *pg) KD_MUST_CHECK;
/* The failure of a COPY FROM STDIN says what the client gave as its reason. */
void kdi_pg_copy_explain(kdi_pg *pg, kd_error *error);

#endif
