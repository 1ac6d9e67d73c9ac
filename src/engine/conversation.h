/*
 * A conversation: what kade.h says to a session, wherever the session is.
 *
 * There are two kinds. A local one is a session of a database of this process
 * (conversation_local.c). A remote one reaches a session in the process that has
 * the database open; module link makes those and registers itself here, since the
 * engine may not include it. kade_*.c knows only this header.
 *
 * A request is one prepared statement of a conversation:
 *
 *     prepare -> begin -> next ... -> end -> destroy
 *
 * with the meaning of kd_prepared and kd_run (statement.h). Everything but `cancel`
 * belongs to one thread at a time.
 */
#ifndef KD_ENGINE_CONVERSATION_H
#define KD_ENGINE_CONVERSATION_H

#include "engine/statement.h"

typedef struct kd_conversation kd_conversation;
typedef struct kd_request kd_request;

typedef struct kd_conversation_ops {
    void (*close)(kd_conversation *conversation); /* Rolls back; no request is left. */
    void (*set_hooks)(kd_conversation *conversation, const kd_session_hooks *hooks);
    kd_session_state (*state)(const kd_conversation *conversation);
    /* Any thread, also a signal handler. */
    void (*cancel)(kd_conversation *conversation);
    /* A text that does not parse fails an open transaction. The reason is in the record. */
    void (*fail_transaction)(kd_conversation *conversation, kd_slice text);

    kd_status (*prepare)(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                         kd_request **out_request);
    void (*destroy)(kd_request *request); /* Not running. NULL is allowed. */
    /* The name of a type of the request's parameters or columns. */
    kd_status (*format_type)(kd_ctx *ctx, kd_request *request, kd_type type, kd_buffer *out);
    /* On success the request is running, until `end` or `abandon`. */
    kd_status (*begin)(kd_ctx *ctx, kd_request *request, const kd_value *parameters,
                       uint32_t parameter_count);
    kd_status (*next)(kd_ctx *ctx, kd_request *request, kd_batch *out_batch, bool *out_end);
    kd_status (*end)(kd_ctx *ctx, kd_request *request);
    void (*abandon)(kd_request *request);
    /* While it runs. */
    const char *(*tag)(const kd_request *request);
    int64_t (*affected)(const kd_request *request);
} kd_conversation_ops;

/* The first member of what an implementation makes. */
struct kd_conversation {
    const kd_conversation_ops *ops;
    kd_ctx *ctx;                 /* Its record is the error of the last failed call. */
    const kd_registry *registry; /* For casts of the values read. */
    kd_session *session;         /* NULL when it is in another process. */
};

struct kd_request {
    kd_conversation *conversation;
    uint32_t parameter_count;
    const kd_type *parameter_types;
    uint32_t column_count; /* Of the statement; of the run while there is one. */
    const kd_rel_column *columns;
    const kd_text_settings *text; /* Of the run: how its values become text. */
    const kd_session_facts *facts;
};

kd_status kd_conversation_open_local(kd_ctx *ctx, kd_database *database,
                                     const kd_session_options *options,
                                     kd_conversation **out_conversation) KD_MUST_CHECK;

/* The built-in functions and casts, for conversations whose session is elsewhere. */
kd_status kd_conversation_registry(kd_ctx *ctx, kd_arena *arena,
                                   const kd_registry **out_registry) KD_MUST_CHECK;

/* --- Of this process: what a server needs beside kade.h's calls ------------------------------ */

/* As `prepare`, with the types of some parameters declared; unknown ones are inferred. */
kd_status kd_conversation_prepare_typed(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                                        const kd_type *types, uint32_t type_count,
                                        kd_request **out_request) KD_MUST_CHECK;
/*
 * A transaction around statements that came together, as PostgreSQL makes one of a script and of a
 * pipeline. No transaction is open. COMMIT and ROLLBACK end it, with a warning; BEGIN makes it one
 * that was begun by a statement.
 */
kd_status kd_conversation_begin_block(kd_ctx *ctx, kd_conversation *conversation) KD_MUST_CHECK;
/* Commits, or rolls back where a statement has failed. Without a block: nothing. */
kd_status kd_conversation_end_block(kd_ctx *ctx, kd_conversation *conversation) KD_MUST_CHECK;
bool kd_conversation_is_in_block(const kd_conversation *conversation);
/* Between statements. Marks the transaction, if there is one, as failed. */
void kd_conversation_fail(kd_conversation *conversation);
/* The value of a setting, in `arena`. */
kd_status kd_conversation_show(kd_ctx *ctx, kd_arena *arena, kd_conversation *conversation,
                               kd_slice name, kd_slice *out_value) KD_MUST_CHECK;
/* Grows whenever a setting may have changed. */
uint64_t kd_conversation_setting_changes(const kd_conversation *conversation);
/* The columns of an open cursor; false where there is none of the name. */
bool kd_conversation_find_cursor(const kd_conversation *conversation, kd_slice name,
                                 const kd_rel_column **out_columns, uint32_t *out_count);
/* The oldest notification that waits for the session, in `arena`. Asked outside transactions. */
typedef struct kd_notification {
    uint32_t session_no; /* Of who sent it. */
    kd_slice channel, payload;
} kd_notification;
kd_status kd_conversation_next_notification(kd_ctx *ctx, kd_arena *arena,
                                            kd_conversation *conversation, bool *out_found,
                                            kd_notification *out_notification) KD_MUST_CHECK;
/* Fails where the session was ended: 57P01, 57P05, 25P03. */
kd_status kd_conversation_check(kd_ctx *ctx, kd_conversation *conversation) KD_MUST_CHECK;
/* As pg_backend_pid() gives it. */
uint32_t kd_conversation_number(const kd_conversation *conversation);
/* How values of types are written outside of a run: for parameters in binary form. Their catalog is
 * that of the request. */
void kd_request_text_settings(kd_request *request, kd_text_settings *out_settings);

/* --- Other processes -------------------------------------------------------------------------- */

typedef struct kd_remote kd_remote;               /* A database that another process has open. */
typedef struct kd_remote_server kd_remote_server; /* Serves a database to other processes. */

typedef struct kd_remote_ops {
    /* Lets other processes use the database. A failure leaves it closed to them, no more. */
    kd_status (*serve)(kd_ctx *ctx, kd_database *database, const char *path,
                       kd_remote_server **out_server);
    /* Ends the sessions of other processes, rolling back. Before the database closes. NULL is
     * allowed. */
    void (*stop)(kd_remote_server *server);
    /* KD_IO 08001: nobody serves `path`. */
    kd_status (*open)(kd_ctx *ctx, const char *path, const kd_database_options *options,
                      kd_remote **out_remote);
    void (*close)(kd_remote *remote); /* No conversation is left. NULL is allowed. */
    kd_status (*connect)(kd_ctx *ctx, kd_remote *remote, const kd_session_options *options,
                         kd_conversation **out_conversation);
} kd_remote_ops;

/* Called once, before any database is opened; `ops` lives as long as the process. */
void kd_remote_register(const kd_remote_ops *ops);
/* NULL where nothing is registered. */
const kd_remote_ops *kd_remote_registered(void);

#endif
