/*
 * Cursors: a range of an index in either direction.
 *
 * A prefix of composite keys works as a bound, so bounds stand for all keys that
 * begin with them: "after the bound" means after its last extension, which is where
 * the bound's successor (the last byte that can be raised, raised) would stand.
 */
#include "index/index_internal.h"

struct kd_index_cursor {
    kd_index *index;
    kdi_index_version *version;
    kd_index_range range; /* Bounds copied. */
    kdi_merge merge;
    bool at_end;
};

static kd_status copy_bound(kd_ctx *ctx, kd_arena *arena, kd_slice bound, kd_slice *out_copy)
{
    *out_copy = bound;
    if (bound.data == NULL)
        return KD_OK;
    out_copy->data = kd_copy_text(ctx, arena, bound.data, bound.size_bytes);
    return out_copy->data == NULL ? KD_NOMEM : KD_OK;
}

/* The least byte string above everything that begins with `bound`; `*out_exists` is false when
 * there is none. */
static kd_status successor(kd_ctx *ctx, kd_arena *arena, kd_slice bound, kd_slice *out,
                           bool *out_exists)
{
    size_t size_bytes = bound.size_bytes;
    while (size_bytes > 0 && (uint8_t)bound.data[size_bytes - 1] == UINT8_MAX)
        size_bytes--;
    *out_exists = size_bytes > 0;
    *out = (kd_slice){0};
    if (size_bytes == 0)
        return KD_OK;
    char *copy = kd_copy_text(ctx, arena, bound.data, size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    copy[size_bytes - 1] = (char)((uint8_t)copy[size_bytes - 1] + 1);
    *out = (kd_slice){copy, size_bytes};
    return KD_OK;
}

/* Where the cursor starts; `*out_empty` when nothing can be in the range. */
static kd_status start_position(kd_ctx *ctx, kd_arena *arena, const kd_index_range *range,
                                kdi_tree_position *out_from, bool *out_empty)
{
    kd_slice bound = range->descending ? range->high : range->low;
    bool past_extensions = range->descending ? !range->high_exclusive : range->low_exclusive;
    *out_empty = false;
    *out_from = (kdi_tree_position){.key = bound,
                                    .descending = range->descending,
                                    .exclusive = range->descending,
                                    .unbounded = bound.data == NULL};
    if (bound.data == NULL || !past_extensions)
        return KD_OK;
    bool exists;
    KD_TRY(successor(ctx, arena, bound, &out_from->key, &exists));
    out_from->unbounded = !exists && range->descending;
    *out_empty = !exists && !range->descending;
    return KD_OK;
}

kd_status kd_index_cursor_open(kd_ctx *ctx, kd_arena *arena, kd_index *index,
                               const kd_index_range *range, kd_index_cursor **out_cursor)
{
    kd_status status = kdi_index_is_whole(ctx, index);
    *out_cursor = NULL;
    if (status != KD_OK)
        return status;
    kd_index_cursor *cursor = KD_NEW(ctx, arena, kd_index_cursor);
    if (cursor == NULL)
        return KD_NOMEM;
    cursor->index = index;
    cursor->range = *range;
    kdi_tree_position from;
    KD_TRY_OUT(copy_bound(ctx, arena, range->low, &cursor->range.low));
    KD_TRY_OUT(copy_bound(ctx, arena, range->high, &cursor->range.high));
    KD_TRY_OUT(start_position(ctx, arena, &cursor->range, &from, &cursor->at_end));
    cursor->version = kdi_index_pin(index);
    if (!cursor->at_end)
        KD_TRY_OUT(
            kdi_merge_open(ctx, arena, cursor->version, 0, UINT32_MAX, &from, &cursor->merge));
    *out_cursor = cursor;
    cursor = NULL;

out:
    kd_index_cursor_close(cursor);
    return status;
}

static bool starts_with(kd_slice key, kd_slice prefix)
{
    return key.size_bytes >= prefix.size_bytes &&
           (prefix.size_bytes == 0 || memcmp(key.data, prefix.data, prefix.size_bytes) == 0);
}

/* Whether the key lies behind the range's far end. */
static bool is_past_end(const kd_index_range *range, kd_slice key)
{
    kd_slice bound = range->descending ? range->low : range->high;
    if (bound.data == NULL)
        return false;
    int order = kd_slice_compare(key, bound);
    bool extends = starts_with(key, bound);
    if (range->descending)
        return order < 0 || (range->low_exclusive && extends);
    return range->high_exclusive ? order >= 0 : order > 0 && !extends;
}

kd_status kd_index_cursor_next(kd_ctx *ctx, kd_index_cursor *cursor, kd_slice *out_key,
                               uint64_t *out_ref, bool *out_end)
{
    kdi_index_entry entry = {0};
    *out_key = (kd_slice){0};
    *out_ref = 0;
    while (!cursor->at_end) {
        KD_TRY(kdi_merge_next(ctx, &cursor->merge, &entry, &cursor->at_end));
        if (cursor->at_end || is_past_end(&cursor->range, entry.key)) {
            cursor->at_end = true;
            break;
        }
        if (entry.removed)
            continue;
        *out_key = entry.key;
        *out_ref = entry.ref;
        break;
    }
    *out_end = cursor->at_end;
    return KD_OK;
}

void kd_index_cursor_close(kd_index_cursor *cursor)
{
    if (cursor == NULL || cursor->index == NULL)
        return;
    kdi_merge_close(&cursor->merge);
    kdi_index_unpin(cursor->index, cursor->version);
    cursor->version = NULL;
    cursor->index = NULL;
    cursor->at_end = true;
}
