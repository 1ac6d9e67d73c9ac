/*
 * Merging trees and runs: entries in order, of equal ones the newest.
 */
#include "index/index_internal.h"

enum { FIRST_BATCH = 8 };

static kd_status fill_tree(kd_ctx *ctx, kdi_merge_source *source, const kdi_tree_position *from,
                           uint32_t capacity)
{
    KD_TRY(kdi_tree_scan(ctx, source->tree, from, &source->keys, source->entries, capacity,
                         &source->count));
    source->at = 0;
    source->at_end = source->count < capacity;
    return KD_OK;
}

static kd_status open_tree(kd_ctx *ctx, kd_arena *arena, kdi_merge_source *source, kdi_tree *tree,
                           const kdi_tree_position *from)
{
    source->tree = tree;
    source->keys = kd_buffer_in(arena);
    source->entries = KD_NEW_ARRAY(ctx, arena, kdi_index_entry, KDI_MERGE_BATCH);
    if (source->entries == NULL)
        return KD_NOMEM;
    return fill_tree(ctx, source, from, FIRST_BATCH);
}

static kd_status open_run(kd_ctx *ctx, kd_arena *arena, kdi_merge_source *source, kdi_run *run,
                          const kdi_tree_position *from)
{
    source->run.run = run;
    source->run.key = kd_alloc(ctx, arena, KD_INDEX_KEY_BYTES_MAX + 1);
    if (source->run.key == NULL)
        return KD_NOMEM;
    return kdi_run_cursor_seek(ctx, &source->run, from);
}

kd_status kdi_merge_open(kd_ctx *ctx, kd_arena *arena, const kdi_index_version *version,
                         uint32_t first_tree, uint32_t run_limit, const kdi_tree_position *from,
                         kdi_merge *out_merge)
{
    *out_merge = (kdi_merge){.descending = from->descending};
    uint32_t run_count = version->run_count < run_limit ? version->run_count : run_limit;
    uint32_t source_count = version->tree_count - first_tree + run_count;
    out_merge->sources = KD_NEW_ARRAY(ctx, arena, kdi_merge_source, source_count + 1u);
    if (out_merge->sources == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < source_count; i++) {
        kdi_merge_source *source = &out_merge->sources[i];
        uint32_t tree_no = first_tree + i;
        out_merge->source_count = i + 1; /* From now on closed with the others. */
        if (tree_no < version->tree_count)
            KD_TRY(open_tree(ctx, arena, source, version->trees[tree_no], from));
        else
            KD_TRY(
                open_run(ctx, arena, source, version->runs[tree_no - version->tree_count], from));
    }
    return KD_OK;
}

static kd_status advance_tree(kd_ctx *ctx, const kdi_merge *merge, kdi_merge_source *source)
{
    if (source->at == source->count && !source->at_end) {
        kdi_tree_position from = {.key = source->head.key,
                                  .ref = source->head.ref,
                                  .exclusive = true,
                                  .descending = merge->descending};
        KD_TRY(fill_tree(ctx, source, &from, KDI_MERGE_BATCH));
    }
    source->has_head = source->at < source->count;
    if (source->has_head)
        source->head = source->entries[source->at++];
    return KD_OK;
}

static kd_status advance(kd_ctx *ctx, const kdi_merge *merge, kdi_merge_source *source)
{
    if (source->tree != NULL)
        return advance_tree(ctx, merge, source);
    bool end;
    KD_TRY(kdi_run_cursor_next(ctx, &source->run, &source->head, &end));
    source->has_head = !end;
    source->at_end = end;
    return KD_OK;
}

static int compare_heads(const kdi_merge *merge, const kdi_index_entry *a, const kdi_index_entry *b)
{
    int order = kdi_entry_compare(a->key, a->ref, b->key, b->ref);
    return merge->descending ? -order : order;
}

kd_status kdi_merge_next(kd_ctx *ctx, kdi_merge *merge, kdi_index_entry *out_entry, bool *out_end)
{
    kdi_merge_source *best = NULL;
    for (uint32_t i = 0; i < merge->source_count; i++) {
        kdi_merge_source *source = &merge->sources[i];
        if (!source->has_head && !(source->at_end && source->at == source->count))
            KD_TRY(advance(ctx, merge, source));
        if (!source->has_head)
            continue;
        int order = best == NULL ? -1 : compare_heads(merge, &source->head, &best->head);
        if (order < 0)
            best = source;
        else if (order == 0)
            source->has_head = false; /* An older statement about the same entry. */
    }
    *out_end = best == NULL;
    if (best == NULL)
        return KD_OK;
    /* Sources before the best may hold the same entry only if they are newer: then they are best.
     */
    *out_entry = best->head;
    best->has_head = false;
    return KD_OK;
}

void kdi_merge_close(kdi_merge *merge)
{
    for (uint32_t i = 0; i < merge->source_count; i++)
        kdi_run_cursor_clear(&merge->sources[i].run);
    merge->source_count = 0;
}
