/*
 * Requests to a server that speaks S3.
 */
#ifndef KD_BACKUP_S3_INTERNAL_H
#define KD_BACKUP_S3_INTERNAL_H

#include "backup/store_internal.h"

#include "base/http.h"

enum {
    KDI_S3_URL_BYTES = 4096,
    KDI_S3_ANSWER_BYTES = 1 << 20, /* A list of 1,000 keys of at most 1,024 bytes. */
    KDI_S3_HASH_DIGITS = 64,
};

typedef struct kdi_s3 {
    const char *target;   /* As it was given. */
    const char *endpoint; /* "https://host:port", without a slash at the end; */
    const char *host;     /* its "host:port". */
    const char *region, *bucket;
    const char *prefix; /* Empty, or with a slash at the end. */
    const char *key_id, *secret, *token;
    kd_http *http;
    char *answer; /* KDI_S3_ANSWER_BYTES + 1. */
} kdi_s3;

typedef struct kdi_s3_request {
    const char *method;
    const char *name;  /* Of the object, behind the prefix; NULL: the bucket itself. */
    const char *query; /* Encoded, sorted by name, without '?'; "" when there is none. */
    kd_slice body;
    uint64_t range_from, range_bytes; /* A part of it, when range_bytes > 0. */
    char *target;                     /* NULL: the answer goes to kdi_s3.answer, as a text. */
    size_t target_bytes;
    bool may_be_missing; /* 404 is no failure. */
} kdi_s3_request;

/* What the target and the environment say; texts live in the arena. */
kd_status kdi_s3_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_s3 *out) KD_MUST_CHECK;
void kdi_s3_close(kdi_s3 *s3);
/* Tries again, with growing pauses, what the server or the network may be able to do in a moment. A
 * refusal names method, bucket, key, status and the server's code. */
kd_status kdi_s3_send(kd_ctx *ctx, kdi_s3 *s3, const kdi_s3_request *request,
                      kd_http_response *out_response) KD_MUST_CHECK;

/* Appends the text with everything but letters, digits and -._~ as %XX; `keep` is kept too. */
bool kdi_s3_encode(const char *text, char keep, char *target, size_t target_bytes);
/* What is between <tag> and </tag> behind `*at`, decoded, cut to fit; `*at` goes behind it. */
bool kdi_s3_tag(const char **at, const char *tag, char *out_text, size_t text_bytes);

/* The value of the header "Authorization"; `moment` is like 20261201T015930Z. */
enum { KDI_S3_MOMENT_BYTES = 24, KDI_S3_AUTHORIZATION_BYTES = 512 };
bool kdi_s3_sign(const kdi_s3 *s3, const char *method, const char *path, const char *query,
                 const char *moment, const char *body_hash,
                 char out_authorization[KDI_S3_AUTHORIZATION_BYTES]);
/* SHA-256 in hex digits. */
bool kdi_s3_hash(kd_slice bytes, char out_digits[KDI_S3_HASH_DIGITS + 1]);

#endif
