/*
 * The references of one key that very many rows have: an inverted index's postings.
 *
 * Every part gives its own in ascending order; they are merged two by two from the newest on, so
 * that of equal references the newest statement stays. Mostly one run has nearly all of them.
 */
#include "index/index_internal.h"

#include <string.h>

enum { BATCH = 4096 };

typedef struct hit_list {
    kd_arena *arena;
    kdi_tree_hit *hits;
    size_t count, capacity;
} hit_list;

static kd_status hits_read(kd_ctx *ctx, const kdi_index_version *version, uint32_t source,
                           kd_slice key, hit_list *list)
{
    kdi_tree_hit batch[BATCH];
    uint64_t from_ref = 0;
    for (uint32_t count = BATCH; count == BATCH;) {
        KD_TRY(kd_check_cancelled(ctx));
        if (source < version->tree_count)
            count = kdi_tree_find(version->trees[source], key, from_ref, batch, BATCH);
        else
            KD_TRY(kdi_run_find(ctx, version->runs[source - version->tree_count], key, from_ref,
                                batch, BATCH, &count));
        if (count == 0)
            return KD_OK;
        KD_TRY(kd_array_reserve(ctx, list->arena, (void **)&list->hits, &list->capacity,
                                list->count + count, sizeof *list->hits));
        memcpy(list->hits + list->count, batch, count * sizeof *batch);
        list->count += count;
        if (batch[count - 1].ref == UINT64_MAX)
            return KD_OK;
        from_ref = batch[count - 1].ref + 1;
    }
    return KD_OK;
}

/* `newer` speaks first. */
static kd_status hits_merge(kd_ctx *ctx, const hit_list *newer, const hit_list *older,
                            hit_list *out)
{
    size_t n = 0, o = 0;
    out->hits = KD_NEW_ARRAY(ctx, out->arena, kdi_tree_hit, newer->count + older->count);
    if (out->hits == NULL)
        return KD_NOMEM;
    while (n < newer->count || o < older->count) {
        bool takes_newer =
            o == older->count || (n < newer->count && newer->hits[n].ref <= older->hits[o].ref);
        if (takes_newer && o < older->count && newer->hits[n].ref == older->hits[o].ref)
            o++;
        out->hits[out->count++] = takes_newer ? newer->hits[n++] : older->hits[o++];
    }
    return KD_OK;
}

static kd_status postings_read(kd_ctx *ctx, kd_arena *arena, kd_arena *scratch,
                               const kdi_index_version *version, kd_slice key, uint64_t **out_refs,
                               size_t *out_count)
{
    hit_list all = {.arena = scratch};
    for (uint32_t i = 0; i < version->tree_count + version->run_count; i++) {
        hit_list own = {.arena = scratch}, merged = {.arena = scratch};
        KD_TRY(hits_read(ctx, version, i, key, &own));
        if (own.count == 0)
            continue;
        if (all.count > 0)
            KD_TRY(hits_merge(ctx, &all, &own, &merged));
        all = all.count > 0 ? merged : own;
    }
    *out_refs = KD_NEW_ARRAY(ctx, arena, uint64_t, all.count + 1);
    if (*out_refs == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < all.count; i++)
        if (!all.hits[i].removed)
            (*out_refs)[(*out_count)++] = all.hits[i].ref;
    return KD_OK;
}

kd_status kd_index_postings(kd_ctx *ctx, kd_arena *arena, kd_index *index, kd_slice key,
                            uint64_t **out_refs, size_t *out_count)
{
    *out_refs = NULL;
    *out_count = 0;
    KD_TRY(kdi_index_is_whole(ctx, index));
    kd_arena *scratch = kd_arena_create(ctx, arena, "postings", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kdi_index_version *version = kdi_index_pin(index);
    kd_status status = postings_read(ctx, arena, scratch, version, key, out_refs, out_count);
    kdi_index_unpin(index, version);
    kd_arena_destroy(scratch);
    return status;
}

kd_status kd_index_key_count(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t *out_count)
{
    kd_status status = KD_OK;
    kdi_tree_hit batch[BATCH];
    *out_count = 0;
    KD_TRY(kdi_index_is_whole(ctx, index));
    kdi_index_version *version = kdi_index_pin(index);
    for (uint32_t i = 0; i < version->tree_count; i++) {
        uint64_t from_ref = 0;
        for (uint32_t count = BATCH; count == BATCH; from_ref = batch[BATCH - 1].ref + 1) {
            count = kdi_tree_find(version->trees[i], key, from_ref, batch, BATCH);
            *out_count += count;
        }
    }
    for (uint32_t i = 0; status == KD_OK && i < version->run_count; i++) {
        uint64_t count;
        status = kdi_run_key_count(ctx, version->runs[i], key, &count);
        *out_count += count;
    }
    kdi_index_unpin(index, version);
    return status;
}
