/*
 * Status codes and the error record.
 *
 * A kd_status says what the caller should DO next; the record in kd_ctx says
 * what the user should be TOLD. The record is written once, where the failure
 * is first seen, and travels up unchanged while status codes are returned.
 */
#ifndef KD_BASE_STATUS_H
#define KD_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kd_status {
    KD_OK = 0,
    KD_INVALID,     /* The request is wrong: tell the user, do not retry. */
    KD_DENIED,      /* The principal may not do this. */
    KD_CONFLICT,    /* Another transaction won: roll back and retry. */
    KD_BUSY,        /* A wait ran out of time: retry later. */
    KD_CANCELLED,   /* The session asked us to stop. */
    KD_LIMIT,       /* A configured bound was reached. */
    KD_NOMEM,       /* The system, or this arena's budget, has no memory. */
    KD_IO,          /* The operating system refused or failed. */
    KD_CORRUPT,     /* Stored bytes break an invariant. */
    KD_UNSUPPORTED, /* Valid, but this build or version cannot do it. */
    KD_INTERNAL,    /* A bug in KadeDB that we could contain. */
} kd_status;

enum { KD_ERROR_MESSAGE_BYTES = 512, KD_ERROR_HINT_BYTES = 256, KD_ERROR_NAME_BYTES = 64 };

typedef struct kd_error {
    kd_status status;
    char sqlstate[6];
    int os_error;     /* errno when the failure came from the OS, else 0. */
    int position;     /* Byte offset in the statement's text; -1 when unknown. */
    const char *file; /* Where in the source the failure was first seen. */
    int line;
    char message[KD_ERROR_MESSAGE_BYTES];
    char detail[KD_ERROR_MESSAGE_BYTES];  /* Empty when there is none. */
    char hint[KD_ERROR_HINT_BYTES];       /* Empty when there is none. */
    char constraint[KD_ERROR_NAME_BYTES]; /* Violated constraint, or empty. */
} kd_error;

typedef struct kd_ctx kd_ctx;

/* Records the failure, unless an earlier one is still unread, and returns `status`. */
#define KD_FAIL(ctx, status, sqlstate, ...) \
    kd_fail_at((ctx), (status), (sqlstate), __FILE__, __LINE__, __VA_ARGS__)

kd_status kd_fail_at(kd_ctx *ctx, kd_status status, const char *sqlstate, const char *file,
                     int line, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Refine the record just written; each keeps what is there already. */
void kd_error_set_hint(kd_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kd_error_set_detail(kd_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kd_error_set_position(kd_ctx *ctx, int position);
void kd_error_set_constraint(kd_ctx *ctx, const char *name);

/* Whoever swallows a failure must call this. */
void kd_error_clear(kd_ctx *ctx);

/* For functions that hold nothing: leave at once on failure. */
#define KD_TRY(call)                \
    do {                            \
        kd_status kd_try_ = (call); \
        if (kd_try_ != KD_OK)       \
            return kd_try_;         \
    } while (0)

/* For functions that hold something: `status` and a label `out:` are in scope. */
#define KD_TRY_OUT(call)     \
    do {                     \
        status = (call);     \
        if (status != KD_OK) \
            goto out;        \
    } while (0)

#define KD_MUST_CHECK __attribute__((warn_unused_result))

#endif
