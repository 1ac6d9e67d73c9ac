/*
 * Putting rows of new groups away.
 */
#include "exec/aggregate_later_internal.h"

#include "exec/keep_internal.h"

#include <assert.h>

struct kdi_later {
    kd_world *world;
    const kdi_row_layout *layout;
    kd_arena *arena;
    uint32_t key_count, level;
    kdi_row_store parts[KDI_LATER_PARTS];
    kdi_view *views;
    kd_vector *vectors;
    char **rows;
    uint16_t *away, *rest, *of_part;
    uint8_t *part_of;
};

kd_status kdi_later_create(kd_ctx *ctx, const kdi_op *op, kd_arena *arena,
                           const kdi_row_layout *layout, uint32_t key_count, uint32_t level,
                           kdi_later **out_later)
{
    kdi_later *later = KD_NEW(ctx, arena, kdi_later);
    *out_later = later;
    if (later == NULL)
        return KD_NOMEM;
    later->world = ctx->world;
    later->layout = layout;
    later->arena = arena;
    later->key_count = key_count;
    later->level = level;
    for (uint32_t p = 0; p < KDI_LATER_PARTS; p++)
        kdi_row_store_init(&later->parts[p], op->budget, layout);
    later->views = KD_NEW_ARRAY(ctx, arena, kdi_view, layout->column_count);
    later->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, layout->column_count);
    later->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    later->away = KD_NEW_ARRAY(ctx, arena, uint16_t, 3 * KD_BATCH_ROWS);
    later->part_of = KD_NEW_ARRAY(ctx, arena, uint8_t, KD_BATCH_ROWS);
    if (later->views == NULL || later->vectors == NULL || later->rows == NULL ||
        later->away == NULL || later->part_of == NULL)
        return KD_NOMEM;
    later->rest = later->away + KD_BATCH_ROWS;
    later->of_part = later->rest + KD_BATCH_ROWS;
    return KD_OK;
}

void kdi_later_destroy(kdi_later *later)
{
    if (later == NULL)
        return;
    for (uint32_t p = 0; p < KDI_LATER_PARTS; p++)
        kdi_row_store_clear(later->world, &later->parts[p]);
}

/* The positions in `away` that belong to a part, appended to its store. */
static kd_status part_append(kd_ctx *ctx, kdi_later *later, uint32_t part, uint32_t away_count,
                             const uint64_t *hashes)
{
    kdi_row_store *store = &later->parts[part];
    uint32_t count = 0, appended;
    for (uint32_t i = 0; i < away_count; i++)
        if (later->part_of[i] == part)
            later->of_part[count++] = later->away[i];
    if (count == 0)
        return KD_OK;
    KD_TRY(kdi_keep_make_room(ctx, store));
    KD_TRY(kdi_row_store_append(ctx, store, later->views, later->of_part, count, true, later->rows,
                                &appended));
    for (uint32_t i = 0; i < count; i++) {
        kd_store_u64(later->rows[i], hashes[later->of_part[i]]);
        kd_store_u64(later->rows[i] + 8, 0);
    }
    return KD_OK;
}

kd_status kdi_later_put(kd_ctx *ctx, kdi_later *later, const kd_vector *keys,
                        const uint64_t *hashes, const kd_batch *batch, char **groups,
                        kd_batch *out_rest)
{
    uint32_t away_count = 0, rest_count = 0;
    uint32_t shift = 64 - KDI_LATER_BITS * (later->level + 1);
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        if (groups[i] == NULL) {
            later->part_of[away_count] = (hashes[i] >> shift) % KDI_LATER_PARTS;
            later->away[away_count++] = (uint16_t)i;
            continue;
        }
        groups[rest_count] = groups[i];
        later->rest[rest_count++] = (uint16_t)kd_batch_row(batch, i);
    }
    *out_rest = *batch;
    out_rest->selection = later->rest;
    out_rest->selected_count = rest_count;
    if (away_count == 0)
        return KD_OK;
    memcpy(later->vectors, keys, later->key_count * sizeof *keys);
    memcpy(later->vectors + later->key_count, batch->columns,
           (later->layout->column_count - later->key_count) * sizeof *keys);
    KD_TRY(kdi_views_open(ctx, later->arena, later->views, later->layout->column_count,
                          later->vectors, batch->selection, batch->selected_count));
    for (uint32_t p = 0; p < KDI_LATER_PARTS; p++)
        KD_TRY(part_append(ctx, later, p, away_count, hashes));
    return KD_OK;
}

kd_status kdi_later_take(kd_ctx *ctx, kdi_later *later, kdi_row_store *targets)
{
    for (uint32_t p = 0; p < KDI_LATER_PARTS; p++)
        KD_TRY(kdi_row_store_move(ctx, &targets[p], &later->parts[p]));
    return KD_OK;
}

kd_status kdi_later_wait(kd_ctx *ctx, kdi_later *later, kd_arena *arena, kdi_waiting **waiting,
                         size_t *count, size_t *capacity)
{
    for (uint32_t p = 0; p < KDI_LATER_PARTS; p++) {
        kdi_waiting *place;
        if (later->parts[p].row_count == 0)
            continue;
        KD_TRY(KD_PUSH(ctx, arena, *waiting, *count, *capacity, &place));
        *place = (kdi_waiting){.level = later->level + 1};
        kdi_row_store_init(&place->store, later->parts[p].budget, later->layout);
        KD_TRY(kdi_row_store_move(ctx, &place->store, &later->parts[p]));
    }
    return KD_OK;
}

kd_status kdi_later_columns(kd_ctx *ctx, kd_arena *arena, const kdi_row_layout *layout,
                            kd_vector **out_columns)
{
    *out_columns = KD_NEW_ARRAY(ctx, arena, kd_vector, layout->column_count);
    if (*out_columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < layout->column_count; c++)
        KD_TRY(kdi_vector_create(ctx, arena, layout->types[c], &(*out_columns)[c]));
    return KD_OK;
}
