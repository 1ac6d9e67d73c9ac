/*
 * Shreds against the documents that they are of.
 */
#include "store/segment_open.h"
#include "types/jsonb.h"

/* One shred beside its column of documents: slots 1 and 0 of the reader. */
typedef struct shred_walk {
    kd_segment *segment;
    const kdi_open_column *shred;
    kd_segment_reader *reader;
    kd_jsonb_keys keys;
    kd_arena *batch_arena;
} shred_walk;

static kd_status find_difference(kd_ctx *ctx, shred_walk *walk, uint32_t first, uint32_t count,
                                 bool *out_differs, kd_damage *damage)
{
    _Alignas(16) char scratch[16], scratch_text[16];
    kd_vector documents, texts;
    *out_differs = false;
    KD_TRY(kd_segment_read(ctx, walk->reader, 0, first, count, &documents));
    KD_TRY(kd_segment_read(ctx, walk->reader, 1, first, count, &texts));
    for (uint32_t i = 0; i < count && !*out_differs; i++) {
        bool is_null = true;
        kd_slice text;
        if (!kd_vector_is_null(&documents, i)) {
            const kd_str *stored = kd_vector_payload(&documents, i, scratch);
            KD_TRY(kd_jsonb_follow_text(ctx, walk->batch_arena, &walk->keys, kd_str_slice(stored),
                                        &is_null, &text));
        }
        *out_differs = is_null != kd_vector_is_null(&texts, i);
        if (!is_null && !*out_differs) {
            const kd_str *there = kd_vector_payload(&texts, i, scratch_text);
            *out_differs = !kd_slice_equal(kd_str_slice(there), text);
        }
        damage->first_row = first + i;
        damage->row_count = 1;
    }
    return KD_OK;
}

static kd_status check_shred(kd_ctx *ctx, shred_walk *walk, kd_arena *arena, uint32_t block,
                             bool *out_differs, kd_damage *damage)
{
    kd_status status = KD_OK;
    const kdi_open_column *shred = walk->shred;
    uint32_t first = block * KD_BLOCK_ROWS, end = first + shred->blocks[block].row_count;
    uint32_t columns[2] = {(uint32_t)kd_segment_find_column(walk->segment, shred->entry.column_no),
                           (uint32_t)(shred - walk->segment->columns)};
    *out_differs = false;
    KD_TRY_OUT(kd_segment_reader_create(ctx, arena, walk->segment, columns, 2, &walk->reader));
    for (; first < end && !*out_differs; first += KD_VECTOR_ROWS) {
        uint32_t count = end - first < KD_VECTOR_ROWS ? end - first : KD_VECTOR_ROWS;
        kd_arena_reset(walk->batch_arena);
        KD_TRY_OUT(kd_check_cancelled(ctx));
        KD_TRY_OUT(find_difference(ctx, walk, first, count, out_differs, damage));
    }

out:
    kd_segment_reader_destroy(walk->reader);
    walk->reader = NULL;
    return status;
}

static kd_status check_block(kd_ctx *ctx, kd_segment *segment, kd_arena *arena, uint32_t block,
                             uint64_t *out_bytes, kd_damage *damage)
{
    kd_arena *batch_arena = kd_arena_create(ctx, arena, "shred texts", KD_ARENA_UNLIMITED);
    if (batch_arena == NULL)
        return KD_NOMEM;
    for (uint32_t i = segment->stored_count - segment->shred_count; i < segment->stored_count;
         i++) {
        shred_walk walk = {.segment = segment,
                           .shred = &segment->columns[i],
                           .keys.bytes = segment->columns[i].keys,
                           .batch_arena = batch_arena};
        bool differs;
        damage->column_no = walk.shred->entry.column_no;
        kd_status status = check_shred(ctx, &walk, arena, block, &differs, damage);
        if (differs)
            return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                           "segment %s, shred %u, block %u: row %u differs from its document",
                           segment->name, walk.shred->number - KDI_SHRED_NUMBER_FIRST, block,
                           (uint32_t)damage->first_row);
        if (kd_is_damage(status))
            kd_error_clear(ctx);
        else
            KD_TRY(status);
        *out_bytes += walk.shred->blocks[block].size_bytes;
    }
    return KD_OK;
}

kd_status kdi_segment_check_shreds(kd_ctx *ctx, kd_segment *segment, uint32_t block,
                                   uint64_t *out_bytes, kd_damage *out_damage)
{
    *out_bytes = 0;
    kd_arena *arena = kd_arena_create(ctx, NULL, "shred check", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_status status = check_block(ctx, segment, arena, block, out_bytes, out_damage);
    kd_arena_destroy(arena);
    return status;
}
