/*
 * Statements by their texts: a hash table and a list by last use, both through the statements
 * themselves, so that keeping one allocates nothing and cannot fail.
 */
#include "engine/engine_internal.h"

#include "base/hash.h"

#include <assert.h>

enum { SHARE_MAX = 4 }; /* One statement takes at most this part of the room. */

static uint64_t hash_of(kd_slice text)
{
    return kd_hash_bytes(text.data, text.size_bytes);
}

static kd_prepared **bucket_of(kdi_plan_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash % KDI_PLAN_BUCKETS];
}

static void unlink_kept(kdi_plan_cache *cache, kd_prepared *prepared)
{
    kdi_plan_place *place = &prepared->place;
    kd_prepared **link = bucket_of(cache, place->hash);
    while (*link != prepared)
        link = &(*link)->place.next;
    *link = place->next;
    if (place->newer != NULL)
        place->newer->place.older = place->older;
    else
        cache->newest = place->older;
    if (place->older != NULL)
        place->older->place.newer = place->newer;
    else
        cache->oldest = place->newer;
    cache->used_bytes -= place->bytes;
    cache->count--;
}

static void link_newest(kdi_plan_cache *cache, kd_prepared *prepared)
{
    kdi_plan_place *place = &prepared->place;
    kd_prepared **bucket = bucket_of(cache, place->hash);
    place->next = *bucket;
    *bucket = prepared;
    place->newer = NULL;
    place->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->place.newer = prepared;
    else
        cache->oldest = prepared;
    cache->newest = prepared;
    cache->used_bytes += place->bytes;
    cache->count++;
}

kd_prepared *kdi_plan_cache_take(kd_session *session, kd_slice text)
{
    kdi_plan_cache *cache = &session->plans;
    if (cache->count == 0)
        return NULL;
    uint64_t hash = hash_of(text);
    kd_prepared *found = *bucket_of(cache, hash);
    while (found != NULL && (found->place.hash != hash || !kd_slice_equal(found->text, text)))
        found = found->place.next;
    if (found == NULL)
        return NULL;
    unlink_kept(cache, found);
    found->place.uses++;
    return found;
}

static void drop_oldest(kdi_plan_cache *cache)
{
    kd_prepared *oldest = cache->oldest;
    unlink_kept(cache, oldest);
    kdi_prepared_release(oldest);
}

/* Those of other catalog versions would be planned anew, and hold the memory of theirs. */
static void drop_stale(kdi_plan_cache *cache, const kd_catalog_version *catalog)
{
    uint64_t number = kd_catalog_version_no(catalog);
    kd_prepared *next;
    for (kd_prepared *it = cache->newest; it != NULL; it = next) {
        next = it->place.older;
        if (kd_catalog_version_no(it->catalog) == number)
            continue;
        unlink_kept(cache, it);
        kdi_prepared_release(it);
    }
}

/* The newest one tells which version the others are of: they were all of one before. */
static bool is_of_other_version(const kdi_plan_cache *cache, const kd_prepared *prepared)
{
    return cache->newest != NULL && kd_catalog_version_no(cache->newest->catalog) !=
                                        kd_catalog_version_no(prepared->catalog);
}

bool kdi_plan_cache_keep(kd_prepared *prepared)
{
    kd_session *session = prepared->session;
    kdi_plan_cache *cache = &session->plans;
    size_t room = (size_t)session->settings.plan_cache_bytes;
    if (!prepared->is_by_text || prepared->plan == NULL || prepared->reads_now || cache->is_closed)
        return false;
    size_t bytes = kd_arena_used_bytes(prepared->arena) + kd_arena_used_bytes(prepared->plan_arena);
    if (is_of_other_version(cache, prepared))
        drop_stale(cache, prepared->catalog);
    bool fits = bytes <= room / SHARE_MAX;
    while (cache->oldest != NULL && cache->used_bytes + (fits ? bytes : 0) > room)
        drop_oldest(cache);
    if (!fits)
        return false;
    prepared->actuals = NULL;
    prepared->place.hash = hash_of(prepared->text);
    prepared->place.bytes = bytes;
    link_newest(cache, prepared);
    return true;
}

void kdi_plan_cache_clear(kd_session *session)
{
    kdi_plan_cache *cache = &session->plans;
    while (cache->oldest != NULL)
        drop_oldest(cache);
    assert(cache->used_bytes == 0);
}

void kdi_plan_cache_close(kd_session *session)
{
    session->plans.is_closed = true;
    kdi_plan_cache_clear(session);
}
