/*
 * A store that is a bucket, or a prefix in one, on a server that speaks S3.
 *
 * What is small is put at once. What is larger goes up in parts, of which nobody sees anything
 * before they are completed; a failed upload is aborted, and one whose process was killed is no
 * backup and no object, only parts that the bucket's own rules remove.
 *
 * A LOCK is an object "<name>.<moment>.<chance>". Who wants it puts its own, then lists them: of
 * two that do that at the same time at least one sees the other's, so that never both have it,
 * whatever a server knows of conditions. It says when it was renewed, so that one whose process was
 * killed does not count for long.
 */
#include "backup/backup_internal.h"
#include "backup/s3_internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART_BYTES = 8 << 20,  /* Of an upload. */
    AHEAD_BYTES = 2 << 20, /* Read at once. */
    NAME_BYTES = 1024,
    QUERY_BYTES = 4096,
    UPLOAD_BYTES = 1024,
    ETAG_BYTES = 80,
    LOCKS_MAX = 2,
};
static const int64_t renew_us = INT64_C(60000000);
static const int64_t lock_life_us = INT64_C(600000000);

struct kdi_store_lock {
    const char *name;
    char object[NAME_BYTES]; /* Empty: it is free. */
    int64_t renewed_us;
};

typedef struct s3_store {
    kdi_store base;
    kdi_s3 s3;
    kdi_store_lock locks[LOCKS_MAX];
} s3_store;

struct kdi_stored {
    s3_store *store;
    kd_arena *arena; /* Its own. */
    const char *name;
    uint64_t size_bytes;
    char *ahead;
    uint64_t ahead_from;
    size_t ahead_bytes;
};

struct kdi_storing {
    s3_store *store;
    kd_arena *arena; /* Its own. */
    const char *name;
    char *part; /* PART_BYTES. */
    size_t part_bytes;
    char upload[UPLOAD_BYTES]; /* Encoded; empty: nothing is sent yet. */
    uint32_t part_count;
    kd_buffer parts; /* What completes it. */
};

static s3_store *s3_of(kdi_store *store)
{
    return (s3_store *)store;
}

static void s3_close(kdi_store *store)
{
    kdi_s3_close(&s3_of(store)->s3);
}

/* --- Locks ----------------------------------------------------------------------------------- */

static kd_status lock_put(kd_ctx *ctx, s3_store *store, kdi_store_lock *lock)
{
    kd_http_response response;
    int64_t now_us = ctx->world->wall_us(ctx->world);
    (void)snprintf(lock->object, sizeof lock->object, "%s.%016" PRIx64 ".%016" PRIx64, lock->name,
                   (uint64_t)now_us, ctx->world->random_u64(ctx->world));
    lock->renewed_us = now_us;
    kdi_s3_request request = {.method = "PUT", .name = lock->object, .query = ""};
    return kdi_s3_send(ctx, &store->s3, &request, &response);
}

static kd_status object_delete(kd_ctx *ctx, s3_store *store, const char *name)
{
    kd_http_response response;
    kdi_s3_request request = {
        .method = "DELETE", .name = name, .query = "", .may_be_missing = true};
    return kdi_s3_send(ctx, &store->s3, &request, &response);
}

/* The new one is there before the old one goes. */
static kd_status locks_renew(kd_ctx *ctx, s3_store *store)
{
    for (size_t i = 0; i < LOCKS_MAX; i++) {
        char old[NAME_BYTES];
        kdi_store_lock *lock = &store->locks[i];
        int64_t age_us = ctx->world->wall_us(ctx->world) - lock->renewed_us;
        if (lock->object[0] == '\0' || age_us < renew_us)
            continue;
        memcpy(old, lock->object, sizeof old);
        if (age_us > lock_life_us)
            return KD_FAIL(ctx, KD_IO, "58030",
                           "the lock \"%s\" of \"%s\" could not be renewed in time", lock->name,
                           store->base.target);
        KD_TRY(lock_put(ctx, store, lock));
        KD_TRY(object_delete(ctx, store, old));
    }
    return KD_OK;
}

/* Every request but those for the locks themselves. */
static kd_status request_send(kd_ctx *ctx, s3_store *store, const kdi_s3_request *request,
                              kd_http_response *out_response)
{
    KD_TRY(locks_renew(ctx, store));
    return kdi_s3_send(ctx, &store->s3, request, out_response);
}

/* --- Lists ----------------------------------------------------------------------------------- */

typedef struct s3_list {
    char prefix[NAME_BYTES]; /* Of the whole key. */
    char query[QUERY_BYTES];
    char next[NAME_BYTES]; /* Where the next page begins; empty: there is none. */
    kd_status (*visit)(kd_ctx *ctx, void *object, const kd_directory_entry *entry);
    void *object;
} s3_list;

static kd_status query_make(kd_ctx *ctx, s3_store *store, s3_list *list)
{
    char token[QUERY_BYTES / 2] = "", prefix[QUERY_BYTES / 2] = "";
    bool is_fine = kdi_s3_encode(list->next, '\0', token, sizeof token) &&
                   kdi_s3_encode(list->prefix, '\0', prefix, sizeof prefix);
    int length = snprintf(
        list->query, sizeof list->query, "%s%s%sdelimiter=%%2F&list-type=2&prefix=%s",
        token[0] == '\0' ? "" : "continuation-token=", token, token[0] == '\0' ? "" : "&", prefix);
    if (is_fine && length > 0 && (size_t)length < sizeof list->query)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22023", "the prefix of \"%s\" is too long",
                   store->base.target);
}

static kd_status names_visit(kd_ctx *ctx, const s3_list *list, const char *answer, const char *tag,
                             const char *inner)
{
    char text[NAME_BYTES + 1];
    size_t prefix = strlen(list->prefix);
    for (const char *at = answer; (at = strstr(at, tag)) != NULL;) {
        at += strlen(tag);
        if (!kdi_s3_tag(&at, inner, text, sizeof text))
            break;
        size_t length = strlen(text);
        bool is_directory = length > 0 && text[length - 1] == '/';
        if (length <= prefix)
            continue; /* The prefix itself, which some programs put as a folder. */
        if (is_directory)
            text[length - 1] = '\0';
        kd_directory_entry entry = {.name = text + prefix, .is_directory = is_directory};
        KD_TRY(list->visit(ctx, list->object, &entry));
    }
    return KD_OK;
}

/* `visit` sends nothing: the page is in the store's answer. */
static kd_status list_run(kd_ctx *ctx, s3_store *store, s3_list *list)
{
    kd_http_response response;
    do {
        char more[8];
        KD_TRY(query_make(ctx, store, list));
        kdi_s3_request request = {.method = "GET", .query = list->query};
        KD_TRY(kdi_s3_send(ctx, &store->s3, &request, &response));
        const char *answer = store->s3.answer, *at = answer;
        if (strstr(answer, "<ListBucketResult") == NULL)
            return KD_FAIL(ctx, KD_IO, "58030", "what answers at %s for bucket \"%s\" is no S3",
                           store->s3.endpoint, store->s3.bucket);
        KD_TRY(names_visit(ctx, list, answer, "<Contents>", "Key"));
        KD_TRY(names_visit(ctx, list, answer, "<CommonPrefixes>", "Prefix"));
        list->next[0] = '\0';
        if (kdi_s3_tag(&at, "IsTruncated", more, sizeof more) && strcmp(more, "true") == 0) {
            at = answer;
            if (!kdi_s3_tag(&at, "NextContinuationToken", list->next, sizeof list->next))
                return KD_FAIL(ctx, KD_IO, "58030", "the server lists \"%s\" only in part",
                               store->base.target);
        }
    } while (list->next[0] != '\0');
    return KD_OK;
}

static kd_status s3_list_folder(kd_ctx *ctx, kdi_store *base, const char *folder,
                                kd_status (*visit)(kd_ctx *ctx, void *object,
                                                   const kd_directory_entry *entry),
                                void *object)
{
    s3_store *store = s3_of(base);
    s3_list list = {.visit = visit, .object = object};
    KD_TRY(locks_renew(ctx, store));
    (void)snprintf(list.prefix, sizeof list.prefix, "%s%s%s", store->s3.prefix, folder,
                   folder[0] == '\0' ? "" : "/");
    return list_run(ctx, store, &list);
}

/* --- Taking a lock --------------------------------------------------------------------------- */

typedef struct rivals {
    const char *mine; /* Behind the lock's name. */
    int64_t now_us;
    char found[NAME_BYTES];
    char dead[NAME_BYTES]; /* One that does not count any more: its run was killed. */
} rivals;

static kd_status rival_look(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    rivals *look = object;
    (void)ctx;
    int64_t renewed_us = (int64_t)strtoull(entry->name, NULL, 16);
    bool is_dead = look->now_us - renewed_us >= lock_life_us;
    if (strcmp(entry->name, look->mine) != 0)
        (void)snprintf(is_dead ? look->dead : look->found, NAME_BYTES, "%s", entry->name);
    return KD_OK;
}

/* So that the locks of killed runs do not gather; a run that cannot does without. */
static void dead_remove(const kd_ctx *ctx, s3_store *store, const kdi_store_lock *lock,
                        const char *dead)
{
    char name[NAME_BYTES];
    kd_ctx own = {.world = ctx->world};
    if (dead[0] == '\0')
        return;
    int length = snprintf(name, sizeof name, "%s.%s", lock->name, dead);
    if (length < NAME_BYTES && object_delete(&own, store, name) != KD_OK)
        kd_error_clear(&own);
}

static kd_status rivals_find(kd_ctx *ctx, s3_store *store, const kdi_store_lock *lock)
{
    rivals look = {.mine = lock->object + strlen(lock->name) + 1, .now_us = lock->renewed_us};
    s3_list list = {.visit = rival_look, .object = &look};
    (void)snprintf(list.prefix, sizeof list.prefix, "%s%s.", store->s3.prefix, lock->name);
    KD_TRY(list_run(ctx, store, &list));
    if (look.found[0] == '\0') {
        dead_remove(ctx, store, lock, look.dead);
        return KD_OK;
    }
    (void)KD_FAIL(ctx, KD_INVALID, "55006", "\"%s\" is in use by another run", store->base.target);
    kd_error_set_detail(ctx,
                        "It has the lock \"%s%s.%s\", which counts for ten minutes after its "
                        "process was killed.",
                        store->s3.prefix, lock->name, look.found);
    return KD_INVALID;
}

static void s3_unlock(kd_ctx *ctx, kdi_store *base, kdi_store_lock *lock)
{
    if (lock == NULL)
        return;
    kd_ctx own = {.world = ctx->world};
    if (object_delete(&own, s3_of(base), lock->object) != KD_OK)
        kd_error_clear(&own); /* It ends by itself. */
    lock->object[0] = '\0';
}

/* Who reads may have no right to write, and takes none. */
static kd_status s3_lock(kd_ctx *ctx, kdi_store *base, const char *name, bool writes,
                         kdi_store_lock **out_lock)
{
    s3_store *store = s3_of(base);
    kdi_store_lock *lock = NULL;
    *out_lock = NULL;
    if (!writes)
        return KD_OK;
    for (size_t i = 0; i < LOCKS_MAX; i++)
        if (store->locks[i].object[0] == '\0')
            lock = &store->locks[i];
    kd_assert(lock != NULL);
    lock->name = name;
    kd_status status = lock_put(ctx, store, lock);
    if (status == KD_OK)
        status = rivals_find(ctx, store, lock);
    if (status != KD_OK)
        s3_unlock(ctx, base, lock);
    else
        *out_lock = lock;
    return status;
}

/* --- Names ----------------------------------------------------------------------------------- */

static kd_status s3_exists(kd_ctx *ctx, kdi_store *store, bool *out_exists)
{
    (void)ctx;
    (void)store;
    *out_exists = true;
    return KD_OK;
}

/* Folders are parts of names, and what was answered is durable. */
static kd_status s3_folder(kd_ctx *ctx, kdi_store *store, const char *folder)
{
    (void)ctx;
    (void)store;
    (void)folder;
    return KD_OK;
}

static kd_status s3_has(kd_ctx *ctx, kdi_store *store, const char *name, bool *out_has,
                        uint64_t *out_bytes)
{
    kd_http_response response;
    kdi_s3_request request = {.method = "HEAD", .name = name, .query = "", .may_be_missing = true};
    *out_has = false;
    KD_TRY(request_send(ctx, s3_of(store), &request, &response));
    *out_has = response.status != 404;
    if (out_bytes != NULL)
        *out_bytes = response.content_bytes;
    return KD_OK;
}

static kd_status s3_remove(kd_ctx *ctx, kdi_store *store, const char *name)
{
    KD_TRY(locks_renew(ctx, s3_of(store)));
    return object_delete(ctx, s3_of(store), name);
}

static kd_status s3_put(kd_ctx *ctx, kdi_store *store, const char *name, kd_slice bytes)
{
    kd_http_response response;
    kdi_s3_request request = {.method = "PUT", .name = name, .query = "", .body = bytes};
    return request_send(ctx, s3_of(store), &request, &response);
}

/* --- Reading --------------------------------------------------------------------------------- */

static kd_status ahead_read(kd_ctx *ctx, kdi_stored *stored, uint64_t from)
{
    kd_http_response response;
    kdi_s3_request request = {.method = "GET",
                              .name = stored->name,
                              .query = "",
                              .range_from = from,
                              .range_bytes = AHEAD_BYTES,
                              .target = stored->ahead,
                              .target_bytes = AHEAD_BYTES};
    stored->ahead_bytes = 0;
    KD_TRY(request_send(ctx, stored->store, &request, &response));
    const char *slash = strchr(response.content_range, '/');
    bool is_part = response.status == 206 && slash != NULL;
    if (!is_part && from > 0)
        return KD_FAIL(ctx, KD_IO, "58030", "the server of \"%s\" gives no parts of objects",
                       stored->store->base.target);
    stored->size_bytes = is_part ? strtoull(slash + 1, NULL, 10) : response.body_bytes;
    stored->ahead_from = from;
    stored->ahead_bytes = response.body_bytes;
    return KD_OK;
}

static kd_status stored_begin(kd_ctx *ctx, kdi_stored *stored, const char *name)
{
    stored->name = kd_copy_text(ctx, stored->arena, name, strlen(name));
    stored->ahead = kd_alloc_raw(ctx, stored->arena, AHEAD_BYTES);
    if (stored->name == NULL || stored->ahead == NULL)
        return KD_NOMEM;
    return ahead_read(ctx, stored, 0);
}

static kd_status s3_read_open(kd_ctx *ctx, kdi_store *store, const char *name,
                              kdi_stored **out_stored)
{
    *out_stored = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "stored object", KD_ARENA_UNLIMITED);
    kdi_stored *stored = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_stored);
    kd_status status = stored == NULL ? KD_NOMEM : KD_OK;
    if (stored != NULL) {
        stored->store = s3_of(store);
        stored->arena = arena;
        status = stored_begin(ctx, stored, name);
    }
    if (status != KD_OK)
        kd_arena_destroy(arena);
    else
        *out_stored = stored;
    return status;
}

static kd_status s3_read(kd_ctx *ctx, kdi_stored *stored, uint64_t offset, void *target,
                         size_t size_bytes, size_t *out_read_bytes)
{
    size_t read_bytes = 0;
    *out_read_bytes = 0;
    while (read_bytes < size_bytes && offset + read_bytes < stored->size_bytes) {
        uint64_t at = offset + read_bytes;
        if (at < stored->ahead_from || at >= stored->ahead_from + stored->ahead_bytes)
            KD_TRY(ahead_read(ctx, stored, at));
        if (stored->ahead_bytes == 0)
            break;
        size_t skipped = (size_t)(at - stored->ahead_from);
        size_t had = stored->ahead_bytes - skipped, wanted = size_bytes - read_bytes;
        size_t taken = had < wanted ? had : wanted;
        memcpy((char *)target + read_bytes, stored->ahead + skipped, taken);
        read_bytes += taken;
    }
    *out_read_bytes = read_bytes;
    return KD_OK;
}

static kd_status s3_size(kd_ctx *ctx, kdi_stored *stored, uint64_t *out_bytes)
{
    (void)ctx;
    *out_bytes = stored->size_bytes;
    return KD_OK;
}

static void s3_read_close(kd_ctx *ctx, kdi_stored *stored)
{
    (void)ctx;
    if (stored != NULL)
        kd_arena_destroy(stored->arena);
}

/* --- Writing --------------------------------------------------------------------------------- */

static kd_status upload_begin(kd_ctx *ctx, kdi_storing *storing)
{
    char id[UPLOAD_BYTES];
    kd_http_response response;
    kdi_s3_request request = {.method = "POST", .name = storing->name, .query = "uploads="};
    KD_TRY(request_send(ctx, storing->store, &request, &response));
    const char *at = storing->store->s3.answer;
    if (kdi_s3_tag(&at, "UploadId", id, sizeof id) && id[0] != '\0' &&
        kdi_s3_encode(id, '\0', storing->upload, sizeof storing->upload))
        return kd_buffer_append_text(ctx, &storing->parts, "<CompleteMultipartUpload>");
    storing->upload[0] = '\0';
    return KD_FAIL(ctx, KD_IO, "58030", "the server of \"%s\" began an upload without a name",
                   storing->store->base.target);
}

static kd_status part_send(kd_ctx *ctx, kdi_storing *storing)
{
    char query[UPLOAD_BYTES + 64];
    kd_http_response response;
    uint32_t number = storing->part_count + 1;
    if (storing->upload[0] == '\0')
        KD_TRY(upload_begin(ctx, storing));
    (void)snprintf(query, sizeof query, "partNumber=%" PRIu32 "&uploadId=%s", number,
                   storing->upload);
    kdi_s3_request request = {.method = "PUT",
                              .name = storing->name,
                              .query = query,
                              .body = {storing->part, storing->part_bytes}};
    KD_TRY(request_send(ctx, storing->store, &request, &response));
    storing->part_count = number;
    storing->part_bytes = 0;
    return kd_buffer_append_format(ctx, &storing->parts,
                                   "<Part><PartNumber>%" PRIu32 "</PartNumber><ETag>%s</ETag>"
                                   "</Part>",
                                   number, response.etag);
}

static kd_status s3_write_open(kd_ctx *ctx, kdi_store *store, const char *name, const char *scratch,
                               kdi_storing **out_storing)
{
    (void)scratch;
    *out_storing = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "object under way", KD_ARENA_UNLIMITED);
    kdi_storing *storing = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_storing);
    if (storing != NULL) {
        *storing = (kdi_storing){.store = s3_of(store), .arena = arena};
        storing->parts = kd_buffer_in(arena);
        storing->name = kd_copy_text(ctx, arena, name, strlen(name));
        storing->part = kd_alloc_raw(ctx, arena, PART_BYTES);
    }
    if (storing == NULL || storing->name == NULL || storing->part == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    *out_storing = storing;
    return KD_OK;
}

static kd_status s3_write(kd_ctx *ctx, kdi_storing *storing, const void *bytes, size_t size_bytes)
{
    const char *from = bytes;
    while (size_bytes > 0) {
        size_t room = PART_BYTES - storing->part_bytes;
        size_t taken = size_bytes < room ? size_bytes : room;
        if (room == 0) {
            KD_TRY(part_send(ctx, storing));
            continue;
        }
        memcpy(storing->part + storing->part_bytes, from, taken);
        storing->part_bytes += taken;
        from += taken;
        size_bytes -= taken;
    }
    return KD_OK;
}

static kd_status s3_write_finish(kd_ctx *ctx, kdi_storing *storing)
{
    char query[UPLOAD_BYTES + 64];
    kd_http_response response;
    if (storing->upload[0] == '\0')
        return s3_put(ctx, &storing->store->base, storing->name,
                      (kd_slice){storing->part, storing->part_bytes});
    if (storing->part_bytes > 0)
        KD_TRY(part_send(ctx, storing));
    KD_TRY(kd_buffer_append_text(ctx, &storing->parts, "</CompleteMultipartUpload>"));
    (void)snprintf(query, sizeof query, "uploadId=%s", storing->upload);
    kdi_s3_request request = {.method = "POST",
                              .name = storing->name,
                              .query = query,
                              .body = kd_buffer_slice(&storing->parts)};
    KD_TRY(request_send(ctx, storing->store, &request, &response));
    storing->upload[0] = '\0';
    return KD_OK;
}

static void s3_write_close(kd_ctx *ctx, kdi_storing *storing)
{
    if (storing == NULL)
        return;
    if (storing->upload[0] != '\0') {
        char query[UPLOAD_BYTES + 64];
        kd_http_response response;
        kd_ctx own = {.world = ctx->world};
        (void)snprintf(query, sizeof query, "uploadId=%s", storing->upload);
        kdi_s3_request request = {
            .method = "DELETE", .name = storing->name, .query = query, .may_be_missing = true};
        if (kdi_s3_send(&own, &storing->store->s3, &request, &response) != KD_OK)
            kd_error_clear(&own); /* Its parts are nothing; the bucket's rules remove them. */
    }
    kd_arena_destroy(storing->arena);
}

static const kdi_store_kind s3_kind = {
    .close = s3_close,
    .exists = s3_exists,
    .make = s3_folder,
    .settle = s3_folder,
    .list = s3_list_folder,
    .lock = s3_lock,
    .unlock = s3_unlock,
    .has = s3_has,
    .remove = s3_remove,
    .put = s3_put,
    .read_open = s3_read_open,
    .read = s3_read,
    .size = s3_size,
    .read_close = s3_read_close,
    .write_open = s3_write_open,
    .write = s3_write,
    .write_finish = s3_write_finish,
    .write_close = s3_write_close,
};

kd_status kdi_store_s3_open(kd_ctx *ctx, kd_arena *arena, const char *target, kdi_store **out_store)
{
    s3_store *store = KD_NEW(ctx, arena, s3_store);
    *out_store = NULL;
    if (store == NULL)
        return KD_NOMEM;
    store->base = (kdi_store){.kind = &s3_kind, .target = target, .is_remote = true};
    KD_TRY(kdi_s3_open(ctx, arena, target, &store->s3));
    *out_store = &store->base;
    return KD_OK;
}
