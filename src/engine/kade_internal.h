/*
 * What the files of the public API share. kade.h's objects are thin shells around
 * the engine's: each owns an arena that holds it, and a list of what was made
 * from it, so that ending one ends the others.
 *
 *   kade_open.c       databases, sessions, errors, hooks
 *   kade_statement.c  scripts, prepare, step, reset
 *   kade_bind.c       parameters
 *   kade_column.c     typed access to the current row
 *   kade_convert.c    values to and from the API's own forms (epochs, uuids)
 *   kade_arrow*.c     batches as Arrow arrays, and back
 *   kade_appender.c   many rows
 *   kade_function.c   user-defined functions
 *   kade_pool.c       pools of sessions
 *   kade_key_value.c  values by key
 *   kade_transaction.c  several statements as one transaction
 *
 * Every call that can fail begins with kdi_api_begin, which forgets the last error,
 * and ends with kdi_api_end, which makes the record of this one.
 */
#ifndef KD_ENGINE_KADE_INTERNAL_H
#define KD_ENGINE_KADE_INTERNAL_H

#include "kade.h"

#include "engine/conversation.h"
#include "engine/engine_internal.h"

typedef struct kdi_user_function kdi_user_function;

struct kade_database {
    kd_arena *arena;
    kd_database *inner;       /* NULL when another process has the database open: */
    kd_remote *remote;        /* then this is what reaches it. */
    kd_remote_server *server; /* Lets other processes in; may be NULL. */
    bool read_only;
    kd_mutex mutex; /* Guards the lists. */
    kade_session *sessions;
    kdi_user_function *functions;
};

/* The statements behind kade_kv_*. */
typedef enum kdi_key_statement {
    KDI_KEY_GET = 0,
    KDI_KEY_SET,
    KDI_KEY_DELETE,
    KDI_KEY_STATEMENTS
} kdi_key_statement;

struct kade_session {
    kade_database *database;
    kade_session *next;
    kd_arena *arena;
    kd_conversation *talk;
    kd_session *inner; /* Of `talk`: NULL when the session is in another process. */
    kd_ctx *ctx;       /* The conversation's. */
    kade_error error;  /* Points into the context's record. */
    kade_statement *statements;
    kade_appender *appenders;
    kade_statement *key_statements[KDI_KEY_STATEMENTS]; /* Among the statements; NULL: not yet. */
    kd_arena *key_arena;                                /* The value that was read last. */
    kade_notice_fn notice;
    void *notice_object;
    kade_progress_fn progress;
    void *progress_object;
    kade_copy_read_fn copy_read;
    kade_copy_write_fn copy_write;
    void *copy_object;
};

typedef struct kdi_column_name {
    char *name;
    size_t name_bytes;
    char *type_name;
    kd_type type;
} kdi_column_name;

struct kade_statement {
    kade_session *session;
    kade_statement *next;
    kd_arena *arena;
    kd_request *request;
    int script_offset; /* Where the statement begins in its script. */
    bool is_running;
    kd_batch batch;
    uint32_t row; /* Position in the batch's selection. */
    bool has_row;
    int64_t affected;
    char tag[KDI_TAG_BYTES];
    uint32_t column_count;
    kdi_column_name *columns;
    uint32_t parameter_count;
    kd_type *parameter_types;
    kd_value *parameters;
    kd_arena **parameter_arenas; /* One per parameter that needs bytes. */
    char **parameter_names;
    kd_arena *row_arena; /* Texts of the current row. */
    kd_ctx row_ctx;      /* Readers do not touch the session's error. */
    int arrow_failure;   /* Of a stream: errno. */
};

/* --- kade_open.c ------------------------------------------------------------------------------ */

kd_ctx *kdi_api_begin(kade_session *session);
/* Makes the session's error from the context's record when `status` is a failure; returns it. */
kade_status kdi_api_end(kade_session *session, kd_status status);
/* The record as the API shows it; strings point into it. */
void kdi_error_view(const kd_error *record, kade_error *out_error);
/* A copy that kade_error_free frees. `out_error` may be NULL. */
void kdi_error_give(const kd_error *record, kade_error **out_error);
/* Ends the session's appenders and statements but those of kade_kv_*. */
void kdi_session_end_objects(kade_session *session);
kd_slice kdi_api_slice(const char *text, size_t text_bytes); /* KADE_NUL understood; NULL is "". */

/* --- kade_convert.c --------------------------------------------------------------------------- */

int32_t kdi_date_from_unix(int32_t days);
int32_t kdi_date_to_unix(int32_t date);
int64_t kdi_timestamp_from_unix(int64_t micros);
int64_t kdi_timestamp_to_unix(int64_t timestamp);
/* uuids are held with the top bit flipped. */
kd_i128 kdi_uuid_from_bytes(const uint8_t bytes[16]);
void kdi_uuid_to_bytes(kd_i128 uuid, uint8_t bytes[16]);
kd_value kdi_value_interval(kade_interval interval);

/* --- kade_statement.c ------------------------------------------------------------------------- */

/* Begins a run with the parameters bound. */
kd_status kdi_statement_start(kade_statement *statement) KD_MUST_CHECK;
/* The next batch, beginning a run where none is there; at the end the run is over and
 * `*out_end`. */
kd_status kdi_statement_next_batch(kade_statement *statement, bool *out_end) KD_MUST_CHECK;
/* Stops what runs; failures of it are dropped. */
void kdi_statement_stop(kade_statement *statement);

/* --- kade_appender.c -------------------------------------------------------------------------- */

/* Ends the appender without writing. */
void kdi_appender_end(kade_appender *appender);
/* One row, cast to the columns' types. */
kd_status kdi_appender_add_row(kade_appender *appender, const kd_value *values,
                               uint32_t count) KD_MUST_CHECK;
kade_session *kdi_appender_session(const kade_appender *appender);
uint32_t kdi_appender_columns(const kade_appender *appender);

/* --- kade_function.c -------------------------------------------------------------------------- */

/* Calls the functions' destroyers. */
void kdi_user_functions_end(kade_database *database);

#endif
