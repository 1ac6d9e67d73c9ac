/*
 * Requests to a server that speaks S3: where it is, who asks, tries and refusals.
 */
#include "backup/s3_internal.h"

#include "types/datetime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t year_2000_us = INT64_C(946684800000000);
static const uint64_t first_pause_ns = UINT64_C(200000000);
static const uint64_t nap_ns = UINT64_C(50000000); /* How long a cancellation may go unseen. */

enum { TRIES = 5, CODE_BYTES = 64, REASON_BYTES = 256 };

/* --- The target ------------------------------------------------------------------------------ */

static const char *first_of(const char *first, const char *second, const char *third)
{
    return first != NULL ? first : second != NULL ? second : third;
}

static kd_status target_error(kd_ctx *ctx, const char *target, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "target \"%s\": %s", target, what);
}

/* One "name=value" behind the '?'. */
static kd_status option_take(kd_ctx *ctx, kd_arena *arena, kdi_s3 *out, const char *option,
                             size_t length)
{
    const char *equals = memchr(option, '=', length);
    size_t name_length = equals == NULL ? length : (size_t)(equals - option);
    const char **place = NULL;
    if (name_length == 8 && memcmp(option, "endpoint", 8) == 0)
        place = &out->endpoint;
    if (name_length == 6 && memcmp(option, "region", 6) == 0)
        place = &out->region;
    if (place == NULL || equals == NULL)
        return target_error(ctx, out->target, "behind '?' may be endpoint= and region=");
    *place = kd_copy_text(ctx, arena, equals + 1, length - name_length - 1);
    return *place == NULL ? KD_NOMEM : KD_OK;
}

static kd_status options_take(kd_ctx *ctx, kd_arena *arena, kdi_s3 *out, const char *options)
{
    while (options[0] != '\0') {
        size_t length = strcspn(options, "&");
        KD_TRY(option_take(ctx, arena, out, options, length));
        options += length + (options[length] == '&');
    }
    return KD_OK;
}

static kd_status place_take(kd_ctx *ctx, kd_arena *arena, kdi_s3 *out)
{
    const char *at = out->target + strlen("s3://");
    size_t all = strcspn(at, "?"), bucket = strcspn(at, "/?");
    size_t end = all;
    if (bucket == 0)
        return target_error(ctx, out->target, "it names no bucket");
    while (end > bucket && at[end - 1] == '/')
        end--;
    size_t from = bucket + (end > bucket);
    out->bucket = kd_copy_text(ctx, arena, at, bucket);
    out->prefix =
        kd_format_text(ctx, arena, "%.*s%s", (int)(end - from), at + from, end > from ? "/" : "");
    if (out->bucket == NULL || out->prefix == NULL)
        return KD_NOMEM;
    return at[all] == '?' ? options_take(ctx, arena, out, at + all + 1) : KD_OK;
}

static kd_status server_find(kd_ctx *ctx, kd_arena *arena, kdi_s3 *out)
{
    out->region = first_of(out->region, kd_environment("AWS_REGION"),
                           first_of(kd_environment("AWS_DEFAULT_REGION"), "us-east-1", NULL));
    out->endpoint = first_of(out->endpoint, kd_environment("AWS_ENDPOINT_URL_S3"),
                             kd_environment("AWS_ENDPOINT_URL"));
    if (out->endpoint == NULL)
        out->endpoint = kd_format_text(ctx, arena, "https://s3.%s.amazonaws.com", out->region);
    if (out->endpoint == NULL)
        return KD_NOMEM;
    bool is_http = strncmp(out->endpoint, "http://", 7) == 0;
    if (!is_http && strncmp(out->endpoint, "https://", 8) != 0)
        return target_error(ctx, out->target, "its endpoint begins with http:// or https://");
    const char *host = out->endpoint + (is_http ? 7 : 8);
    size_t length = strcspn(host, "/");
    if (length == 0 || (host[length] == '/' && host[length + 1] != '\0') ||
        memchr(host, '@', length) != NULL)
        return target_error(ctx, out->target, "its endpoint is a host and a port, no more");
    out->host = kd_copy_text(ctx, arena, host, length);
    out->endpoint =
        kd_copy_text(ctx, arena, out->endpoint, (size_t)(host - out->endpoint) + length);
    return out->host == NULL || out->endpoint == NULL ? KD_NOMEM : KD_OK;
}

static kd_status keys_find(kd_ctx *ctx, kdi_s3 *out)
{
    out->key_id = kd_environment("AWS_ACCESS_KEY_ID");
    out->secret = kd_environment("AWS_SECRET_ACCESS_KEY");
    out->token = kd_environment("AWS_SESSION_TOKEN");
    if (out->key_id != NULL && out->secret != NULL)
        return KD_OK;
    (void)KD_FAIL(ctx, KD_INVALID, "28000", "there are no keys for \"%s\"", out->target);
    kd_error_set_hint(ctx, "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of "
                           "the process that has the database open.");
    return KD_INVALID;
}

kd_status kdi_s3_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_s3 *out)
{
    *out = (kdi_s3){.target = target};
    KD_TRY(place_take(ctx, arena, out));
    KD_TRY(server_find(ctx, arena, out));
    KD_TRY(keys_find(ctx, out));
    out->answer = kd_alloc_raw(ctx, arena, KDI_S3_ANSWER_BYTES + 1);
    if (out->answer == NULL)
        return KD_NOMEM;
    return kd_http_open(ctx, kd_environment("AWS_CA_BUNDLE"), &out->http);
}

void kdi_s3_close(kdi_s3 *s3)
{
    kd_http_close(s3->http);
    s3->http = NULL;
}

/* --- Texts ----------------------------------------------------------------------------------- */

bool kdi_s3_encode(const char *text, char keep, char *target, size_t target_bytes)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t length = strlen(target);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        unsigned char c = *at;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                        c == (unsigned char)keep;
        if (length + 4 > target_bytes)
            return false;
        if (is_plain) {
            target[length++] = (char)c;
        } else {
            target[length++] = '%';
            target[length++] = hex[c >> 4];
            target[length++] = hex[c & 15];
        }
        target[length] = '\0';
    }
    return true;
}

/* One of XML's five entities; 0 when it is none of them. */
static size_t entity_read(const char *at, char *out_char)
{
    static const struct {
        const char *text;
        char is;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        size_t length = strlen(entities[i].text);
        if (strncmp(at, entities[i].text, length) == 0) {
            *out_char = entities[i].is;
            return length;
        }
    }
    return 0;
}

bool kdi_s3_tag(const char **at, const char *tag, char *out_text, size_t text_bytes)
{
    char open[64], shut[64];
    size_t length = 0;
    (void)snprintf(open, sizeof open, "<%s>", tag);
    (void)snprintf(shut, sizeof shut, "</%s>", tag);
    out_text[0] = '\0';
    const char *from = strstr(*at, open);
    const char *end = from == NULL ? NULL : strstr(from, shut);
    if (end == NULL)
        return false;
    for (from += strlen(open); from < end && length + 1 < text_bytes;) {
        char c = *from;
        size_t taken = c == '&' ? entity_read(from, &c) : 1;
        from += taken == 0 ? 1 : taken;
        out_text[length++] = c;
    }
    out_text[length] = '\0';
    *at = end + strlen(shut);
    return true;
}

/* --- One try --------------------------------------------------------------------------------- */

static void moment_make(kd_ctx *ctx, char out_moment[KDI_S3_MOMENT_BYTES])
{
    kd_civil civil;
    kd_timestamp_to_civil(ctx->world->wall_us(ctx->world) - year_2000_us, &civil);
    (void)snprintf(out_moment, KDI_S3_MOMENT_BYTES, "%04u%02u%02uT%02u%02u%02uZ",
                   (unsigned)civil.year % 10000, (unsigned)civil.month % 100,
                   (unsigned)civil.day % 100, (unsigned)civil.hour % 100,
                   (unsigned)civil.minute % 100, (unsigned)civil.second % 100);
}

typedef struct s3_texts {
    char path[KDI_S3_URL_BYTES], url[KDI_S3_URL_BYTES * 2];
    char hash_header[128], date_header[64], host_header[512], token_header[4096], range_header[96];
    char authorization[KDI_S3_AUTHORIZATION_BYTES];
    const char *headers[6];
    size_t header_count;
} s3_texts;

/* All but the range is signed. */
static bool texts_make(kd_ctx *ctx, const kdi_s3 *s3, const kdi_s3_request *request, s3_texts *out)
{
    char moment[KDI_S3_MOMENT_BYTES], hash[KDI_S3_HASH_DIGITS + 1];
    moment_make(ctx, moment);
    (void)snprintf(out->path, sizeof out->path, "/");
    bool is_fine = kdi_s3_encode(s3->bucket, '\0', out->path, sizeof out->path);
    if (request->name != NULL && is_fine) {
        size_t length = strlen(out->path);
        (void)snprintf(out->path + length, sizeof out->path - length, "/");
        is_fine = kdi_s3_encode(s3->prefix, '/', out->path, sizeof out->path) &&
                  kdi_s3_encode(request->name, '/', out->path, sizeof out->path);
    }
    int url = snprintf(out->url, sizeof out->url, "%s%s%s%s", s3->endpoint, out->path,
                       request->query[0] == '\0' ? "" : "?", request->query);
    is_fine = is_fine && url > 0 && (size_t)url < sizeof out->url &&
              kdi_s3_hash(request->body, hash) &&
              kdi_s3_sign(s3, request->method, out->path, request->query, moment, hash,
                          out->authorization);
    if (!is_fine)
        return false;
    (void)snprintf(out->hash_header, sizeof out->hash_header, "x-amz-content-sha256: %s", hash);
    (void)snprintf(out->date_header, sizeof out->date_header, "x-amz-date: %s", moment);
    int host = snprintf(out->host_header, sizeof out->host_header, "Host: %s", s3->host);
    out->headers[out->header_count++] = out->hash_header;
    out->headers[out->header_count++] = out->date_header;
    out->headers[out->header_count++] = out->host_header;
    out->headers[out->header_count++] = out->authorization;
    int token = 0;
    if (s3->token != NULL) {
        token = snprintf(out->token_header, sizeof out->token_header, "x-amz-security-token: %s",
                         s3->token);
        out->headers[out->header_count++] = out->token_header;
    }
    if (request->range_bytes > 0) {
        (void)snprintf(out->range_header, sizeof out->range_header,
                       "Range: bytes=%" PRIu64 "-%" PRIu64, request->range_from,
                       request->range_from + request->range_bytes - 1);
        out->headers[out->header_count++] = out->range_header;
    }
    return (size_t)host < sizeof out->host_header && (size_t)token < sizeof out->token_header;
}

static kd_status try_once(kd_ctx *ctx, kdi_s3 *s3, const kdi_s3_request *request,
                          kd_http_response *out_response)
{
    s3_texts texts = {.header_count = 0};
    if (!texts_make(ctx, s3, request, &texts))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "a name, a key or the endpoint of \"%s\" is too long", s3->target);
    bool is_text = request->target == NULL;
    kd_http_request http = {.method = request->method,
                            .url = texts.url,
                            .headers = texts.headers,
                            .header_count = texts.header_count,
                            .body = request->body,
                            .target = is_text ? s3->answer : request->target,
                            .target_bytes = is_text ? KDI_S3_ANSWER_BYTES : request->target_bytes};
    kd_status status = kd_http_send(ctx, s3->http, &http, out_response);
    if (status == KD_OK && is_text)
        s3->answer[out_response->body_bytes] = '\0';
    return status;
}

/* --- Tries and refusals ---------------------------------------------------------------------- */

typedef struct refusal {
    char code[CODE_BYTES], reason[REASON_BYTES];
} refusal;

/* HEAD has no body. */
static void refusal_read(kdi_s3 *s3, const kdi_s3_request *request,
                         const kd_http_response *response, refusal *out)
{
    size_t length = response->body_bytes;
    *out = (refusal){0};
    if (request->target != NULL) { /* It came where the bytes should have. */
        length = length < KDI_S3_ANSWER_BYTES ? length : KDI_S3_ANSWER_BYTES;
        memcpy(s3->answer, request->target, length);
    }
    s3->answer[length] = '\0';
    const char *at = s3->answer;
    (void)kdi_s3_tag(&at, "Code", out->code, sizeof out->code);
    at = s3->answer;
    (void)kdi_s3_tag(&at, "Message", out->reason, sizeof out->reason);
}

static bool is_busy(const kd_http_response *response, const refusal *why)
{
    return response->status == 429 || response->status == 500 || response->status == 502 ||
           response->status == 503 || response->status == 504 ||
           strcmp(why->code, "RequestTimeout") == 0 || strcmp(why->code, "SlowDown") == 0 ||
           strcmp(why->code, "InternalError") == 0;
}

static const char *sqlstate_of(const kd_http_response *response, const refusal *why,
                               kd_status *out_status)
{
    *out_status = KD_INVALID;
    if (response->status == 401 || response->status == 403)
        return "28000";
    if (response->status == 404)
        return "58P01";
    *out_status = KD_IO;
    bool is_full = response->status == 507 || strstr(why->code, "StorageFull") != NULL ||
                   strstr(why->code, "QuotaExceeded") != NULL;
    return is_full ? "53100" : "58030";
}

static kd_status refuse(kd_ctx *ctx, const kdi_s3 *s3, const kdi_s3_request *request,
                        const kd_http_response *response, const refusal *why)
{
    kd_status status;
    const char *name = request->name == NULL ? "" : request->name;
    const char *sqlstate = sqlstate_of(response, why, &status);
    (void)KD_FAIL(ctx, status, sqlstate, "%s of \"%s%s\" in bucket \"%s\" failed: HTTP %d%s%s%s%s",
                  request->method, s3->prefix, name, s3->bucket, response->status,
                  why->code[0] == '\0' ? "" : " ", why->code, why->reason[0] == '\0' ? "" : ": ",
                  why->reason);
    kd_error_set_detail(ctx, "The server is %s, the region %s.", s3->endpoint, s3->region);
    return status;
}

static kd_status unreachable(kd_ctx *ctx, const kdi_s3 *s3, const kdi_s3_request *request)
{
    kd_error why = ctx->error;
    kd_error_clear(ctx);
    (void)KD_FAIL(ctx, KD_IO, "58030", "%s of \"%s%s\" in bucket \"%s\" failed: %s",
                  request->method, s3->prefix, request->name == NULL ? "" : request->name,
                  s3->bucket, why.message);
    kd_error_set_detail(ctx, "The server is %s, the region %s.", s3->endpoint, s3->region);
    return KD_IO;
}

/* Twice as long each time, and as much again by chance: who was sent away comes back apart. */
static kd_status pause_make(kd_ctx *ctx, int tries)
{
    uint64_t pause_ns = first_pause_ns << tries;
    pause_ns += ctx->world->random_u64(ctx->world) % pause_ns;
    for (uint64_t slept_ns = 0; slept_ns < pause_ns; slept_ns += nap_ns) {
        KD_TRY(kd_check_cancelled(ctx));
        ctx->world->sleep_ns(ctx->world, nap_ns);
    }
    return kd_check_cancelled(ctx);
}

kd_status kdi_s3_send(kd_ctx *ctx, kdi_s3 *s3, const kdi_s3_request *request,
                      kd_http_response *out_response)
{
    for (int tries = 0;; tries++) {
        refusal why = {0};
        KD_TRY(kd_check_cancelled(ctx));
        kd_status status = try_once(ctx, s3, request, out_response);
        bool is_last = tries + 1 == TRIES;
        if (status != KD_OK && (status != KD_IO || !out_response->may_retry || is_last))
            return status == KD_IO ? unreachable(ctx, s3, request) : status;
        if (status == KD_OK) {
            int code = out_response->status;
            /* A finished upload may be refused in an answer that begins as a success. */
            bool may_lie = request->target == NULL && strstr(s3->answer, "<Error>") != NULL;
            if ((code >= 200 && code < 300 && !may_lie) || (code == 404 && request->may_be_missing))
                return KD_OK;
            refusal_read(s3, request, out_response, &why);
            if (!is_busy(out_response, &why) || is_last)
                return refuse(ctx, s3, request, out_response, &why);
        }
        kd_error_clear(ctx);
        KD_TRY(pause_make(ctx, tries));
    }
}
