/*
 * HTTP by libcurl, which is loaded at run time.
 */
#include "base/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct curl_library {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_reset) *easy_reset;
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    bool is_loaded;
} curl_library;

static curl_library library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct kd_http {
    CURL *curl;
    char *ca_file; /* NULL: the machine's. */
    char message[CURL_ERROR_SIZE];
};

/* --- The library ----------------------------------------------------------------------------- */

static void symbol_find(void *handle, const char *name, void *out_function, bool *is_whole)
{
    void *symbol = dlsym(handle, name);
    *is_whole &= symbol != NULL;
    memcpy(out_function, &symbol, sizeof symbol); /* C has no cast from data to functions. */
}

static void library_load(void)
{
    bool is_whole = true;
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return;
    symbol_find(handle, "curl_global_init", &library.global_init, &is_whole);
    symbol_find(handle, "curl_easy_init", &library.easy_init, &is_whole);
    symbol_find(handle, "curl_easy_reset", &library.easy_reset, &is_whole);
    symbol_find(handle, "curl_easy_perform", &library.easy_perform, &is_whole);
    symbol_find(handle, "curl_easy_cleanup", &library.easy_cleanup, &is_whole);
    symbol_find(handle, "curl_easy_strerror", &library.easy_strerror, &is_whole);
    symbol_find(handle, "curl_slist_append", &library.slist_append, &is_whole);
    symbol_find(handle, "curl_slist_free_all", &library.slist_free_all, &is_whole);
    symbol_find(handle, "curl_easy_setopt", &library.easy_setopt, &is_whole);
    symbol_find(handle, "curl_easy_getinfo", &library.easy_getinfo, &is_whole);
    library.is_loaded = is_whole && library.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

kd_status kd_http_open(kd_ctx *ctx, const char *ca_file, kd_http **out_http)
{
    *out_http = NULL;
    (void)pthread_once(&once, library_load);
    if (!library.is_loaded) {
        (void)KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "the library libcurl.so.4 cannot be loaded");
        kd_error_set_hint(ctx, "Install it: on Debian the package libcurl4.");
        return KD_UNSUPPORTED;
    }
    kd_http *http = calloc(1, sizeof *http);
    if (http != NULL) {
        http->curl = library.easy_init();
        http->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    }
    if (http == NULL || http->curl == NULL || (ca_file != NULL && http->ca_file == NULL)) {
        kd_http_close(http);
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
    }
    *out_http = http;
    return KD_OK;
}

void kd_http_close(kd_http *http)
{
    if (http == NULL)
        return;
    if (http->curl != NULL)
        library.easy_cleanup(http->curl);
    free(http->ca_file);
    free(http);
}

/* --- A request ------------------------------------------------------------------------------- */

typedef struct exchange {
    kd_ctx *ctx;
    const kd_http_request *request;
    kd_http_response *response;
    size_t sent_bytes;
    bool is_too_long;
} exchange;

static size_t body_give(char *target, size_t size, size_t count, void *object)
{
    exchange *now = object;
    kd_slice body = now->request->body;
    size_t left = body.size_bytes - now->sent_bytes;
    size_t given = left < size * count ? left : size * count;
    if (given > 0)
        memcpy(target, body.data + now->sent_bytes, given);
    now->sent_bytes += given;
    return given;
}

/* Another address of the same host, or a connection that was closed meanwhile: from the start. */
static int body_rewind(void *object, curl_off_t offset, int origin)
{
    exchange *now = object;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > now->request->body.size_bytes)
        return CURL_SEEKFUNC_FAIL;
    now->sent_bytes = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t body_take(char *bytes, size_t size, size_t count, void *object)
{
    exchange *now = object;
    const kd_http_request *request = now->request;
    size_t got = size * count;
    if (got > request->target_bytes - now->response->body_bytes) {
        now->is_too_long = true;
        return 0;
    }
    memcpy(request->target + now->response->body_bytes, bytes, got);
    now->response->body_bytes += got;
    return got;
}

static void header_keep(const char *line, size_t length, const char *name, char *out_value)
{
    size_t name_length = strlen(name);
    if (length <= name_length || strncasecmp(line, name, name_length) != 0)
        return;
    const char *value = line + name_length, *end = line + length;
    while (value < end && *value == ' ')
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - value) >= KD_HTTP_HEADER_BYTES)
        return;
    memcpy(out_value, value, (size_t)(end - value));
    out_value[end - value] = '\0';
}

static size_t header_take(char *line, size_t size, size_t count, void *object)
{
    exchange *now = object;
    header_keep(line, size * count, "etag:", now->response->etag);
    header_keep(line, size * count, "content-range:", now->response->content_range);
    return size * count;
}

static int progress_look(void *object, curl_off_t all_down, curl_off_t down, curl_off_t all_up,
                         curl_off_t up)
{
    exchange *now = object;
    (void)all_down;
    (void)down;
    (void)all_up;
    (void)up;
    return kd_check_cancelled(now->ctx) == KD_OK ? 0 : 1;
}

static void method_set(CURL *curl, exchange *now)
{
    const kd_http_request *request = now->request;
    if (strcmp(request->method, "HEAD") == 0) {
        library.easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0) {
        library.easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        library.easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.size_bytes);
        library.easy_setopt(curl, CURLOPT_READFUNCTION, body_give);
        library.easy_setopt(curl, CURLOPT_READDATA, (void *)now);
        library.easy_setopt(curl, CURLOPT_SEEKFUNCTION, body_rewind);
        library.easy_setopt(curl, CURLOPT_SEEKDATA, (void *)now);
        library.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    } else {
        library.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void options_set(kd_http *http, exchange *now)
{
    CURL *curl = http->curl;
    library.easy_reset(curl); /* The connection stays. */
    library.easy_setopt(curl, CURLOPT_URL, now->request->url);
    library.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    library.easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* What is signed is what is asked for. */
    library.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    library.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)KD_HTTP_CONNECT_SECONDS);
    library.easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    library.easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)KD_HTTP_STALL_SECONDS);
    library.easy_setopt(curl, CURLOPT_ERRORBUFFER, http->message);
    library.easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
    library.easy_setopt(curl, CURLOPT_WRITEDATA, (void *)now);
    library.easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_take);
    library.easy_setopt(curl, CURLOPT_HEADERDATA, (void *)now);
    library.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    library.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_look);
    library.easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)now);
    if (http->ca_file != NULL)
        library.easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    method_set(curl, now);
}

static kd_status no_answer(kd_ctx *ctx, const kd_http *http, const exchange *now, CURLcode code)
{
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return kd_check_cancelled(ctx);
    if (code == CURLE_OUT_OF_MEMORY)
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
    if (now->is_too_long)
        return KD_FAIL(ctx, KD_IO, "54000", "the answer to %s %s is longer than %zu bytes",
                       now->request->method, now->request->url, now->request->target_bytes);
    /* Who is not trusted now will not be trusted in a second. */
    now->response->may_retry = code != CURLE_PEER_FAILED_VERIFICATION &&
                               code != CURLE_SSL_CACERT_BADFILE && code != CURLE_URL_MALFORMAT &&
                               code != CURLE_UNSUPPORTED_PROTOCOL;
    const char *text = http->message[0] != '\0' ? http->message : library.easy_strerror(code);
    return KD_FAIL(ctx, KD_IO, "58030", "%s", text);
}

static bool headers_make(const kd_http_request *request, struct curl_slist **out_list)
{
    /* Neither waits for "100 Continue" nor guesses a type that is not signed. */
    struct curl_slist *list = library.slist_append(NULL, "Expect:");
    for (size_t i = 0; list != NULL && i < request->header_count; i++) {
        struct curl_slist *longer = library.slist_append(list, request->headers[i]);
        if (longer == NULL)
            library.slist_free_all(list);
        list = longer;
    }
    *out_list = list;
    return list != NULL;
}

kd_status kd_http_send(kd_ctx *ctx, kd_http *http, const kd_http_request *request,
                       kd_http_response *out_response)
{
    long status = 0;
    struct curl_slist *headers;
    exchange now = {.ctx = ctx, .request = request, .response = out_response};
    *out_response = (kd_http_response){0};
    if (!headers_make(request, &headers))
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
    options_set(http, &now);
    library.easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    http->message[0] = '\0';
    CURLcode code = library.easy_perform(http->curl);
    library.easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    library.slist_free_all(headers);
    if (code != CURLE_OK)
        return no_answer(ctx, http, &now, code);
    curl_off_t content_bytes = 0;
    library.easy_getinfo(http->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &content_bytes);
    out_response->content_bytes = content_bytes < 0 ? 0 : (uint64_t)content_bytes;
    out_response->status = (int)status;
    return KD_OK;
}

const char *kd_environment(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}
