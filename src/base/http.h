/*
 * One HTTP request at a time, by libcurl, which is loaded when the first connection is opened:
 * whoever embeds the library and never asks for it neither loads nor needs it and the thirty
 * libraries behind it.
 *
 * A connection is kept between requests, and belongs to one thread at a time. A request ends when
 * nothing has passed for KD_HTTP_STALL_SECONDS, or when the statement is cancelled.
 */
#ifndef KD_BASE_HTTP_H
#define KD_BASE_HTTP_H

#include "base/ctx.h"

#include "base/bytes.h"

enum { KD_HTTP_CONNECT_SECONDS = 10, KD_HTTP_STALL_SECONDS = 20, KD_HTTP_HEADER_BYTES = 128 };

typedef struct kd_http kd_http;

typedef struct kd_http_request {
    const char *method;         /* GET, HEAD, PUT, POST, DELETE. */
    const char *url;            /* http:// or https://, encoded. */
    const char *const *headers; /* "name: value" */
    size_t header_count;
    kd_slice body;
    /* Where the answer's body goes; a longer one fails with 54000. */
    char *target;
    size_t target_bytes;
} kd_http_request;

typedef struct kd_http_response {
    int status;
    size_t body_bytes;
    uint64_t content_bytes;                   /* What a HEAD says that a GET would give. */
    char etag[KD_HTTP_HEADER_BYTES];          /* Empty: there was none, */
    char content_range[KD_HTTP_HEADER_BYTES]; /* as here. */
    bool may_retry; /* When the call failed: nothing was refused, the network broke or was slow. */
} kd_http_response;

/* `ca_file` (NULL: the machine's) says who is trusted. 0A000 without libcurl. */
kd_status kd_http_open(kd_ctx *ctx, const char *ca_file, kd_http **out_http) KD_MUST_CHECK;
/* Any status of HTTP is an answer. KD_IO 58030 when there is none, KD_CANCELLED. */
kd_status kd_http_send(kd_ctx *ctx, kd_http *http, const kd_http_request *request,
                       kd_http_response *out_response) KD_MUST_CHECK;
void kd_http_close(kd_http *http); /* NULL is allowed. */

/* What the environment says; NULL when it says nothing, or an empty text. */
const char *kd_environment(const char *name);

#endif
