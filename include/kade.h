/*
 * kade.h: the public C API of KadeDB, the only installed header.
 *
 *     kade_database *database;
 *     kade_session *session;
 *     kade_open("my.kade", KADE_NUL, NULL, &database, NULL);
 *     kade_connect(database, &session, NULL);
 *     kade_statement *statement;
 *     kade_prepare(session, "SELECT name FROM people WHERE id = $1", KADE_NUL, &statement);
 *     kade_bind_int64(statement, 1, 42);
 *     bool has_row;
 *     while (kade_step(statement, &has_row) == KADE_OK && has_row)
 *         puts(kade_column_text(statement, 0, NULL));
 *     kade_finalize(statement);
 *     kade_disconnect(session);
 *     kade_close(database);
 *
 * Rules that hold for every function:
 *
 * Status. KADE_OK is zero; anything else means that the call failed, that its out parameters are
 * empty, and that the reason is in the error record (kade_session_error(), or `out_error` where
 * there is no session yet). "No more rows" and "not found" are results, not failures.
 *
 * Strings are UTF-8, passed as pointer and length; KADE_NUL as the length means "up to the NUL".
 * Strings that the library returns are NUL-terminated as well; a blob may hold NULs, so use the
 * length. Input strings and blobs are copied before the call returns, unless said otherwise.
 *
 * Threads. A kade_database may be used from any number of threads. A session, and everything
 * made from it (statements, appenders), belongs to one thread at a time; kade_cancel() alone may be
 * called from any thread. Callbacks run on the thread that made the call which causes them, except
 * those of user-defined functions, which may run on several worker threads at once.
 *
 * Order of ending: statements and appenders before their session, sessions before their database.
 * kade_disconnect() and kade_close() end what is left. Every ending function accepts NULL.
 *
 * Options structs begin with `struct_bytes`, which the caller sets to sizeof the struct, so that
 * they can grow. Fields that are zero mean the default.
 */
#ifndef KADE_H
#define KADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KADE_API __attribute__((visibility("default")))
#else
#define KADE_API
#endif

#define KADE_VERSION_MAJOR 0
#define KADE_VERSION_MINOR 1
#define KADE_VERSION_PATCH 0

/* As a length: the string ends at its NUL. */
#define KADE_NUL ((size_t)-1)

typedef struct kade_database kade_database;
typedef struct kade_session kade_session;
typedef struct kade_statement kade_statement;
typedef struct kade_appender kade_appender;
typedef struct kade_call kade_call;
typedef struct kade_pool kade_pool;

/* What the caller should do next. Values never change; new ones may be added. */
typedef enum kade_status {
    KADE_OK = 0,
    KADE_INVALID = 1,      /* The request is wrong: do not retry. */
    KADE_DENIED = 2,       /* The principal may not do this. */
    KADE_CONFLICT = 3,     /* Another transaction won: roll back and retry. */
    KADE_BUSY = 4,         /* A wait ran out of time: retry later. */
    KADE_CANCELLED = 5,    /* kade_cancel(), a time-out, or a callback asked to stop. */
    KADE_LIMIT = 6,        /* A configured bound was reached. */
    KADE_NOMEM = 7,        /* No memory, or over the memory budget. */
    KADE_IO = 8,           /* The operating system refused or failed. */
    KADE_CORRUPT = 9,      /* Stored bytes break an invariant. */
    KADE_UNSUPPORTED = 10, /* Valid, but this version cannot do it. */
    KADE_INTERNAL = 11     /* A bug in KadeDB that could be contained. */
} kade_status;

/* What the user should be told. Strings are never NULL; empty means none. The library owns it. */
typedef struct kade_error {
    kade_status status;
    char sqlstate[6];     /* PostgreSQL's code, NUL-terminated; "00000" when there is no error. */
    const char *severity; /* "ERROR"; notices: "NOTICE", "WARNING", "INFO". */
    const char *message;
    const char *detail;
    const char *hint;
    const char *constraint; /* The violated constraint. */
    int64_t position;       /* Byte offset in the text given to kade_prepare or kade_execute; -1. */
} kade_error;

/* The library's version, "0.1.0". Never fails. */
KADE_API const char *kade_version(void);

/* ---- Databases --------------------------------------------------------------------------- */

typedef enum kade_durability {
    KADE_DURABILITY_DEFAULT = 0, /* As FULL. */
    KADE_DURABILITY_FULL = 1,    /* A commit is on disk before it is acknowledged. */
    /* Acknowledged at once, on disk a moment later; a crash may lose the commits of that moment. */
    KADE_DURABILITY_ASYNC = 2,
    /* Acknowledged at once and handed to the operating system a moment later, but forced to disk
     * only by a checkpoint or close: when the machine fails, commits since the last one may be
     * lost, the newest first. What is left is consistent. */
    KADE_DURABILITY_OFF = 3
} kade_durability;

typedef struct kade_open_options {
    uint32_t struct_bytes;
    bool read_only;               /* Refuses every change (25006); never creates. */
    bool must_exist;              /* Fails with 3D000 instead of creating the database. */
    uint64_t memory_budget_bytes; /* 0: 60 % of the machine or cgroup. */
    uint32_t worker_count;        /* 0: one per core. */
    uint32_t durability;          /* kade_durability */
    const char *temp_directory;   /* NUL-terminated; NULL: inside the database directory. */
    uint32_t owner_timeout_ms;    /* A client's: how long the process that has it open may give no
                                     sign of life before calls fail with 08006. 0: 10 s. */
    /* NUL-terminated lines "name = value", in the form of the database's settings.conf and before
     * it; NULL: none. A wrong line fails with F0000. A client's have no effect: its settings are
     * the owner's. */
    const char *settings;
} kade_open_options;

/*
 * Opens the database directory `path`, creating it when absent, or a database in memory for
 * ":memory:". When another process has it open, this one becomes its client and everything
 * works the same. Replays the log after a crash, which may take seconds.
 * `options` may be NULL. `out_error` may be NULL; otherwise on failure it gets an error that the
 * caller frees with kade_error_free().
 */
KADE_API kade_status kade_open(const char *path, size_t path_bytes,
                               const kade_open_options *options, kade_database **out_database,
                               kade_error **out_error);
/* Rolls back what is open, writes what has to be written, frees everything. NULL is allowed. No
 * call on the database or its sessions may be running. */
KADE_API void kade_close(kade_database *database);
KADE_API void kade_error_free(kade_error *error); /* NULL is allowed. */

/* ---- Sessions ---------------------------------------------------------------------------- */

/* A session is one conversation: its transaction, its settings, its prepared statements.
 * `out_error` as in kade_open(). */
KADE_API kade_status kade_connect(kade_database *database, kade_session **out_session,
                                  kade_error **out_error);
/* Rolls back the open transaction; ends the session's statements and appenders. NULL is allowed. */
KADE_API void kade_disconnect(kade_session *session);

/* The error of the session's last failed call. Valid until the next call on the session or on
 * anything made from it. Never NULL. */
KADE_API const kade_error *kade_session_error(const kade_session *session);

typedef enum kade_transaction_state {
    KADE_TRANSACTION_NONE = 0,  /* Every statement is its own transaction. */
    KADE_TRANSACTION_OPEN = 1,  /* After BEGIN. */
    KADE_TRANSACTION_FAILED = 2 /* Only ROLLBACK is accepted (25P02). */
} kade_transaction_state;

KADE_API kade_transaction_state kade_session_transaction(const kade_session *session);

/* Asks the session's running statement to stop: it fails with KADE_CANCELLED, 57014. Does nothing
 * when none is running. May be called from any thread, also from a signal handler. */
KADE_API void kade_cancel(kade_session *session);

typedef struct kade_progress {
    double fraction;        /* 0 .. 1; negative while unknown. */
    uint64_t rows_done;     /* Rows read so far. */
    uint64_t rows_expected; /* 0 while unknown. */
    uint64_t elapsed_us;    /* Since the statement began. */
    const char *phase;      /* "scan", "sort", "load", ...; valid during the callback. */
} kade_progress;

/* Called a few times a second while a statement runs, first after about 0.5 s. Return false to
 * cancel the statement. The callback makes no calls on the session. NULL turns it off. */
typedef bool (*kade_progress_fn)(void *object, const kade_progress *progress);
KADE_API void kade_session_on_progress(kade_session *session, kade_progress_fn fn, void *object);

/* Called for every notice and warning; `notice` is valid during the callback only. */
typedef void (*kade_notice_fn)(void *object, const kade_error *notice);
KADE_API void kade_session_on_notice(kade_session *session, kade_notice_fn fn, void *object);

/*
 * Data for COPY ... FROM STDIN and COPY ... TO STDOUT, with no framing: the bytes of the CSV or
 * text file. read: fills `target` with up to `capacity_bytes`, sets `*out_bytes` (0: the end).
 * write: takes all bytes. Both return false to fail the statement (57014). Without a hook such a
 * COPY fails (08P01).
 */
typedef bool (*kade_copy_read_fn)(void *object, void *target, size_t capacity_bytes,
                                  size_t *out_bytes);
typedef bool (*kade_copy_write_fn)(void *object, const void *source, size_t size_bytes);
KADE_API void kade_session_on_copy(kade_session *session, kade_copy_read_fn read,
                                   kade_copy_write_fn write, void *object);

/* ---- Statements -------------------------------------------------------------------------- */

/*
 * Runs a script of any number of statements separated by ';'. For each one `fn` is called with
 * its result before the first row: it may read the columns' names and types, step through the rows
 * and ask for the tag, all or none of it; rows that it leaves are dropped. The statement is owned
 * by the library and ends when `fn` returns; the error record's position counts from the script's
 * start. `fn` returns KADE_OK to go on; anything else stops the script and is returned, with the
 * error record as the failing call inside `fn` left it. `fn` may be NULL. Stops at the first
 * failure. No parameters.
 */
typedef kade_status (*kade_result_fn)(void *object, kade_statement *statement);
KADE_API kade_status kade_execute(kade_session *session, const char *sql, size_t sql_bytes,
                                  kade_result_fn fn, void *object);

/* Parses and plans exactly one statement; parameters are $1 .. $n. The statement follows changes of
 * the catalog by itself. An empty text (only blanks and comments) is a statement without columns
 * and with the tag "". */
KADE_API kade_status kade_prepare(kade_session *session, const char *sql, size_t sql_bytes,
                                  kade_statement **out_statement);
/* Ends a statement; an unfinished one is stopped first. NULL is allowed. */
KADE_API void kade_finalize(kade_statement *statement);
KADE_API kade_session *kade_statement_session(const kade_statement *statement);

/* SQL types as numbers; they are stored nowhere and never change. An array type is
 * KADE_TYPE_ARRAY plus its element's. */
typedef enum kade_type {
    KADE_TYPE_UNKNOWN = 0,
    KADE_TYPE_BOOL = 1,
    KADE_TYPE_INT2 = 2,
    KADE_TYPE_INT4 = 3,
    KADE_TYPE_INT8 = 4,
    KADE_TYPE_FLOAT4 = 5,
    KADE_TYPE_FLOAT8 = 6,
    KADE_TYPE_NUMERIC = 7,
    KADE_TYPE_TEXT = 8,
    KADE_TYPE_VARCHAR = 9,
    KADE_TYPE_CHAR = 10,
    KADE_TYPE_BYTEA = 11,
    KADE_TYPE_DATE = 12,
    KADE_TYPE_TIME = 13,
    KADE_TYPE_TIMESTAMP = 14,
    KADE_TYPE_TIMESTAMPTZ = 15,
    KADE_TYPE_TIMESTAMP_NS = 16,
    KADE_TYPE_INTERVAL = 17,
    KADE_TYPE_UUID = 18,
    KADE_TYPE_JSON = 19,
    KADE_TYPE_JSONB = 20,
    KADE_TYPE_ENUM = 21,
    KADE_TYPE_OID = 22,
    KADE_TYPE_VOID = 23,
    KADE_TYPE_RECORD = 24,
    KADE_TYPE_BIT = 25,
    KADE_TYPE_VARBIT = 26,
    KADE_TYPE_JSONPATH = 27,
    KADE_TYPE_TIMETZ = 28,
    KADE_TYPE_TID = 29,
    KADE_TYPE_ARRAY = 256
} kade_type;

typedef struct kade_interval {
    int32_t months;
    int32_t days;
    int64_t micros;
} kade_interval;

/*
 * Parameters, counted from 1. Binding converts to the parameter's type when the statement
 * runs, as an assignment would (a text binds to any type). Bound values stay until bound again;
 * unbound parameters are NULL. Binding a running statement resets it first. An index outside
 * 1 .. count fails with 22023.
 *
 * Dates count days, times microseconds since midnight, timestamps microseconds since
 * 1970-01-01 00:00 (UTC for timestamptz, as written for timestamp).
 */
KADE_API uint32_t kade_parameter_count(const kade_statement *statement);
KADE_API int kade_parameter_type(const kade_statement *statement, uint32_t index);
/* "bigint", "numeric(10,2)", ...; "unknown" where the statement leaves it open. Lives as long as
 * the statement. */
KADE_API const char *kade_parameter_type_name(const kade_statement *statement, uint32_t index);
KADE_API kade_status kade_bind_null(kade_statement *statement, uint32_t index);
KADE_API kade_status kade_bind_bool(kade_statement *statement, uint32_t index, bool value);
KADE_API kade_status kade_bind_int64(kade_statement *statement, uint32_t index, int64_t value);
KADE_API kade_status kade_bind_double(kade_statement *statement, uint32_t index, double value);
KADE_API kade_status kade_bind_text(kade_statement *statement, uint32_t index, const char *text,
                                    size_t text_bytes);
KADE_API kade_status kade_bind_blob(kade_statement *statement, uint32_t index, const void *blob,
                                    size_t blob_bytes);
/* A number written out: "-12.50". */
KADE_API kade_status kade_bind_decimal(kade_statement *statement, uint32_t index, const char *text,
                                       size_t text_bytes);
KADE_API kade_status kade_bind_date(kade_statement *statement, uint32_t index, int32_t days);
KADE_API kade_status kade_bind_time(kade_statement *statement, uint32_t index, int64_t micros);
KADE_API kade_status kade_bind_timestamp(kade_statement *statement, uint32_t index, int64_t micros);
KADE_API kade_status kade_bind_timestamptz(kade_statement *statement, uint32_t index,
                                           int64_t micros);
KADE_API kade_status kade_bind_interval(kade_statement *statement, uint32_t index,
                                        kade_interval value);
/* 16 bytes in the order in which they are written. */
KADE_API kade_status kade_bind_uuid(kade_statement *statement, uint32_t index,
                                    const uint8_t bytes[16]);
KADE_API kade_status kade_clear_bindings(kade_statement *statement);

/*
 * Runs the statement up to its next row. `*out_has_row` is false when it is finished; for
 * a statement without rows that is the first call. After the end (or a failure) the next call
 * runs the statement anew with the parameters bound then.
 */
KADE_API kade_status kade_step(kade_statement *statement, bool *out_has_row);
/* Stops a statement that has rows left, so that it holds no snapshot; bindings stay. */
KADE_API void kade_reset(kade_statement *statement);

/* Rows inserted, updated, deleted, or returned so far; -1 where the statement has no such number.
 */
KADE_API int64_t kade_rows_affected(const kade_statement *statement);
/* PostgreSQL's command tag: "INSERT 0 5", "SELECT 3", "CREATE TABLE". Complete once the statement
 * is finished; valid until the next call on it. */
KADE_API const char *kade_command_tag(const kade_statement *statement);

/* ---- Columns of the current row, counted from 0 ------------------------------------------- */

/* 0 for statements without rows. Known as soon as the statement is prepared. */
KADE_API uint32_t kade_column_count(const kade_statement *statement);
/* Names and type names live as long as the statement. `out_bytes` may be NULL. */
KADE_API const char *kade_column_name(const kade_statement *statement, uint32_t column,
                                      size_t *out_bytes);
KADE_API int kade_column_type(const kade_statement *statement, uint32_t column);
KADE_API const char *kade_column_type_name(const kade_statement *statement, uint32_t column);

/*
 * The typed readers convert as a cast would; NULL, and a value that the cast refuses, gives 0
 * (an empty string for text). They need a current row; without one they act as for NULL, as they do
 * for a column out of range. Pointers are valid until the next call of kade_step, kade_reset or
 * kade_finalize on the statement.
 */
KADE_API bool kade_column_is_null(const kade_statement *statement, uint32_t column);
KADE_API bool kade_column_bool(kade_statement *statement, uint32_t column);
KADE_API int64_t kade_column_int64(kade_statement *statement, uint32_t column);
KADE_API double kade_column_double(kade_statement *statement, uint32_t column);
/* PostgreSQL's text form of a value of any type. `out_bytes` may be NULL. */
KADE_API const char *kade_column_text(kade_statement *statement, uint32_t column,
                                      size_t *out_bytes);
/* The bytes of a bytea; of any other type those of its text form. */
KADE_API const void *kade_column_blob(kade_statement *statement, uint32_t column,
                                      size_t *out_bytes);
KADE_API int32_t kade_column_date(kade_statement *statement, uint32_t column);
KADE_API int64_t kade_column_time(kade_statement *statement, uint32_t column);
KADE_API int64_t kade_column_timestamp(kade_statement *statement, uint32_t column);
KADE_API kade_interval kade_column_interval(kade_statement *statement, uint32_t column);
KADE_API void kade_column_uuid(kade_statement *statement, uint32_t column, uint8_t out_bytes[16]);

/* ---- Column batches: the Arrow C data interface ------------------------------------------- */

/* These structs are the ABI of https://arrow.apache.org/docs/format/CDataInterface.html, as
 * every Arrow library declares them. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/* The result's columns as a struct type. The caller calls out_schema->release(). */
KADE_API kade_status kade_arrow_schema(kade_statement *statement, struct ArrowSchema *out_schema);
/*
 * Runs the statement up to its next batch of rows, as a struct array of at most some thousand rows;
 * at the end out_array->release is NULL. Takes the place of kade_step: do not mix the two within
 * one run. The arrays own their memory and may outlive the statement and the session; the caller
 * calls out_array->release() from any thread.
 *
 * bool -> b, integers -> s i l, real -> f, double -> g, numeric(p,s) -> d:p,s, other numeric, enum,
 * uuid, json, jsonb, text, arrays -> u, bytea -> z, date -> tdD, time -> ttu, timestamp -> tsu:,
 * timestamptz -> tsu:UTC, timestamp_ns -> tsn:UTC, interval -> tin.
 */
KADE_API kade_status kade_arrow_next(kade_statement *statement, struct ArrowArray *out_array);
/* Both as a stream over the statement, which must outlive it. */
KADE_API kade_status kade_arrow_stream(kade_statement *statement,
                                       struct ArrowArrayStream *out_stream);

/* ---- Appenders: many rows, fast ----------------------------------------------------------- */

/*
 * Adds rows to a table without SQL text. `schema` may be NULL (the search path decides); `columns`
 * (NUL-terminated names, `column_count` of them) may be NULL for all columns in their order;
 * columns not named get their defaults. Rows join the session's open transaction, or, where there
 * is none, a transaction of the appender's own, which kade_appender_flush() and _close() commit.
 */
KADE_API kade_status kade_appender_create(kade_session *session, const char *schema,
                                          const char *table, const char *const *columns,
                                          uint32_t column_count, kade_appender **out_appender);
/* One value after the other, in column order; each converts as kade_bind does. A value too many, or
 * one that does not convert, fails and drops the row begun. */
KADE_API kade_status kade_append_null(kade_appender *appender);
KADE_API kade_status kade_append_default(kade_appender *appender);
KADE_API kade_status kade_append_bool(kade_appender *appender, bool value);
KADE_API kade_status kade_append_int64(kade_appender *appender, int64_t value);
KADE_API kade_status kade_append_double(kade_appender *appender, double value);
KADE_API kade_status kade_append_text(kade_appender *appender, const char *text, size_t text_bytes);
KADE_API kade_status kade_append_blob(kade_appender *appender, const void *blob, size_t blob_bytes);
KADE_API kade_status kade_append_date(kade_appender *appender, int32_t days);
KADE_API kade_status kade_append_time(kade_appender *appender, int64_t micros);
KADE_API kade_status kade_append_timestamp(kade_appender *appender, int64_t micros);
KADE_API kade_status kade_append_interval(kade_appender *appender, kade_interval value);
KADE_API kade_status kade_append_uuid(kade_appender *appender, const uint8_t bytes[16]);
/* Ends the row; values left out fail (42601). Constraints are checked at the latest by flush. */
KADE_API kade_status kade_append_row_end(kade_appender *appender);
/* A whole batch (a struct array with the appender's columns); neither struct is released. */
KADE_API kade_status kade_append_arrow(kade_appender *appender, const struct ArrowSchema *schema,
                                       const struct ArrowArray *array);
/* Writes the rows added so far. A failure drops all rows since the last flush. */
KADE_API kade_status kade_appender_flush(kade_appender *appender);
/* Flushes and ends the appender, also when the flush fails. NULL is allowed. */
KADE_API kade_status kade_appender_close(kade_appender *appender);
/* Ends it and drops the rows not flushed. NULL is allowed. */
KADE_API void kade_appender_abandon(kade_appender *appender);

/* ---- Values by key ------------------------------------------------------------------------ */

/*
 * Keys are texts, values are bytes. They are rows of the table public.kade_kv (key text PRIMARY
 * KEY, value bytea), which the first kade_kv_set makes, and SQL sees them there; each call is one
 * statement, of the session's transaction where there is one.
 */
/* `*out_value` is NULL when there is no such key; else it is valid until the session's next
 * kade_kv_get. */
KADE_API kade_status kade_kv_get(kade_session *session, const char *key, size_t key_bytes,
                                 const void **out_value, size_t *out_bytes);
/* Takes the place of the value there was. */
KADE_API kade_status kade_kv_set(kade_session *session, const char *key, size_t key_bytes,
                                 const void *value, size_t value_bytes);
/* `out_was_there` may be NULL. */
KADE_API kade_status kade_kv_delete(kade_session *session, const char *key, size_t key_bytes,
                                    bool *out_was_there);

/* ---- Several statements as one transaction ------------------------------------------------ */

typedef struct kade_operation {
    const char *sql; /* One statement with parameters $1 .. $n. */
    size_t sql_bytes;
    const char *const
        *parameters; /* NUL-terminated texts, as kade_bind_text takes them; NULL: NULL. */
    uint32_t parameter_count;
    int64_t rows_affected; /* Out: as kade_rows_affected(). */
} kade_operation;

typedef struct kade_transaction_result {
    uint32_t done_count; /* Operations that went well: all, or those before the one that failed. */
    uint32_t attempt_count; /* More than 1: other transactions won meanwhile. */
} kade_transaction_result;

/*
 * Runs the operations in one transaction and commits it; rows that they return are dropped. When
 * one fails nothing of them stays, and the session's error is that operation's. One that lost
 * against another transaction (KADE_CONFLICT) is run again from the start, up to a hundred times.
 * 25001 within a transaction. `out_result` may be NULL.
 */
KADE_API kade_status kade_transaction(kade_session *session, kade_operation *operations,
                                      uint32_t count, kade_transaction_result *out_result);

/* ---- Pools of sessions -------------------------------------------------------------------- */

/* Threads that need a session now and then share a few: each takes one, uses it alone, and gives it
 * back. All functions may be called from any thread. */
typedef struct kade_pool_options {
    uint32_t struct_bytes;
    uint32_t session_min; /* Opened with the pool. */
    uint32_t session_max; /* 0: 16. */
    uint32_t wait_ms;     /* How long kade_pool_take waits for a session; 0: 30 s. */
} kade_pool_options;

typedef struct kade_pool_statistics {
    uint32_t struct_bytes; /* Set by the caller. */
    uint32_t session_max;
    uint32_t in_use;  /* Taken and not given back. */
    uint32_t idle;    /* Open and free. */
    uint32_t waiting; /* Calls of kade_pool_take that wait now. */
    uint32_t in_use_peak;
    uint64_t taken_count;
    uint64_t waited_count;    /* Calls that had to wait, */
    uint64_t waited_us;       /* for so long together, */
    uint64_t timed_out_count; /* and those that did so in vain. */
    double utilisation;       /* in_use / session_max, now, */
    double utilisation_mean;  /* and over the pool's life. */
} kade_pool_statistics;

/* `options` may be NULL. `out_error` as in kade_open(). The database outlives the pool. */
KADE_API kade_status kade_pool_open(kade_database *database, const kade_pool_options *options,
                                    kade_pool **out_pool, kade_error **out_error);
/* Every session has been given back, and no call on the pool is running. NULL is allowed. */
KADE_API void kade_pool_close(kade_pool *pool);
/* A session as kade_connect() gives it. KADE_BUSY, 53300, when none became free in time.
 * `out_error` as in kade_open(). */
KADE_API kade_status kade_pool_take(kade_pool *pool, kade_session **out_session,
                                    kade_error **out_error);
/* Ends the session's statements and appenders, rolls back its transaction, takes back its settings
 * and hooks and drops its temporary tables (DISCARD ALL), for whoever takes it next. NULL is
 * allowed. */
KADE_API void kade_pool_give(kade_pool *pool, kade_session *session);
KADE_API void kade_pool_read_statistics(kade_pool *pool, kade_pool_statistics *out_statistics);

/* ---- User-defined functions --------------------------------------------------------------- */

/*
 * Arguments and result of one call of a user-defined function; valid during the call. Arguments are
 * counted from 0 and read as columns are. A call that sets no result returns NULL; the last one set
 * counts. kade_call_fail() makes the statement fail; `sqlstate` may be NULL (38000).
 */
KADE_API uint32_t kade_call_count(const kade_call *call);
KADE_API bool kade_call_is_null(const kade_call *call, uint32_t index);
KADE_API bool kade_call_bool(kade_call *call, uint32_t index);
KADE_API int64_t kade_call_int64(kade_call *call, uint32_t index);
KADE_API double kade_call_double(kade_call *call, uint32_t index);
KADE_API const char *kade_call_text(kade_call *call, uint32_t index, size_t *out_bytes);
KADE_API const void *kade_call_blob(kade_call *call, uint32_t index, size_t *out_bytes);
KADE_API void kade_call_return_null(kade_call *call);
KADE_API void kade_call_return_bool(kade_call *call, bool value);
KADE_API void kade_call_return_int64(kade_call *call, int64_t value);
KADE_API void kade_call_return_double(kade_call *call, double value);
KADE_API void kade_call_return_text(kade_call *call, const char *text, size_t text_bytes);
KADE_API void kade_call_return_blob(kade_call *call, const void *blob, size_t blob_bytes);
KADE_API void kade_call_fail(kade_call *call, const char *sqlstate, const char *message,
                             size_t message_bytes);

typedef struct kade_scalar_options {
    uint32_t struct_bytes;
    const char *name;                  /* Folded to lower case. */
    const char *const *argument_types; /* "bigint", "text", ... */
    uint32_t argument_count;
    const char *return_type;
    bool is_volatile; /* false: equal arguments give equal results. */
    bool takes_null;  /* false: any NULL argument gives NULL without a call. */
    void (*run)(void *object, kade_call *call);
    void *object;
    void (*destroy)(void *object); /* At kade_close() or when the name is replaced; may be NULL. */
} kade_scalar_options;

typedef struct kade_aggregate_options {
    uint32_t struct_bytes;
    const char *name;
    const char *const *argument_types;
    uint32_t argument_count;
    const char *return_type;
    bool takes_null;    /* false: rows with a NULL argument are skipped. */
    size_t state_bytes; /* One state per group, zeroed, 16-byte aligned, never moved. */
    void (*add)(void *object, void *state, kade_call *call);    /* One row. */
    void (*combine)(void *object, void *state, void *other);    /* NULL: never in parallel. */
    void (*finish)(void *object, void *state, kade_call *call); /* Sets the result. */
    void (*state_clear)(void *object, void *state);             /* May be NULL. */
    void *object;
    void (*destroy)(void *object);
} kade_aggregate_options;

/* Registers the function for all sessions of the database until it is closed; it is not
 * stored. The same name and argument types again replace it. The functions are called on any
 * worker thread, several at once, and make no calls on sessions. `out_error` as in kade_open(). */
KADE_API kade_status kade_create_scalar(kade_database *database, const kade_scalar_options *options,
                                        kade_error **out_error);
KADE_API kade_status kade_create_aggregate(kade_database *database,
                                           const kade_aggregate_options *options,
                                           kade_error **out_error);

#ifdef __cplusplus
}
#endif

#endif
