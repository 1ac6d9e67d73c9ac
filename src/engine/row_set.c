/*
 * Rows that a statement makes one by one, held until they are read.
 */
#include "engine/engine_internal.h"

#include <assert.h>

enum { CHUNK_ROWS = KD_VECTOR_ROWS };

typedef struct kdi_row_chunk row_chunk;
struct kdi_row_chunk {
    row_chunk *next;
    uint32_t row_count;
    kd_vector *columns;
};

kd_status kdi_row_set_create(kd_ctx *ctx, kd_arena *arena, const kd_rel_column *columns,
                             uint32_t column_count, kdi_row_set **out_rows)
{
    *out_rows = KD_NEW(ctx, arena, kdi_row_set);
    if (*out_rows == NULL)
        return KD_NOMEM;
    **out_rows = (kdi_row_set){.arena = arena, .columns = columns, .column_count = column_count};
    return KD_OK;
}

/* The chunk to add to, with room. */
static kd_status open_chunk(kd_ctx *ctx, kdi_row_set *rows, row_chunk **out_chunk)
{
    if (rows->last != NULL && rows->last->row_count < CHUNK_ROWS) {
        *out_chunk = rows->last;
        return KD_OK;
    }
    row_chunk *added = KD_NEW(ctx, rows->arena, row_chunk);
    *out_chunk = added;
    if (added == NULL)
        return KD_NOMEM;
    added->columns = KD_NEW_ARRAY(ctx, rows->arena, kd_vector, rows->column_count);
    if (added->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rows->column_count; i++)
        KD_TRY(kd_vector_init_flat(ctx, rows->arena, rows->columns[i].type, CHUNK_ROWS,
                                   &added->columns[i]));
    if (rows->last == NULL)
        rows->first = added;
    else
        rows->last->next = added;
    rows->last = added;
    if (rows->reading == NULL)
        rows->reading = added;
    return KD_OK;
}

kd_status kdi_row_set_add(kd_ctx *ctx, kdi_row_set *rows, const kd_value *values)
{
    row_chunk *chunk;
    KD_TRY(open_chunk(ctx, rows, &chunk));
    for (uint32_t i = 0; i < rows->column_count; i++) {
        kd_value copy;
        KD_TRY(kd_value_copy(ctx, rows->arena, &values[i], &copy));
        kd_vector_set(&chunk->columns[i], chunk->row_count, &copy);
    }
    chunk->row_count++;
    rows->row_count++;
    return KD_OK;
}

kd_status kdi_row_set_add_batch(kd_ctx *ctx, kdi_row_set *rows, const kd_batch *batch)
{
    assert(batch->column_count >= rows->column_count);
    uint16_t part[CHUNK_ROWS];
    for (uint32_t done = 0; done < batch->selected_count;) {
        row_chunk *chunk;
        KD_TRY(open_chunk(ctx, rows, &chunk));
        uint32_t count = CHUNK_ROWS - chunk->row_count;
        if (count > batch->selected_count - done)
            count = batch->selected_count - done;
        for (uint32_t i = 0; i < count; i++)
            part[i] = (uint16_t)kd_batch_row(batch, done + i);
        for (uint32_t i = 0; i < rows->column_count; i++)
            KD_TRY(kd_vector_gather(ctx, rows->arena, &batch->columns[i], part, count,
                                    &chunk->columns[i], chunk->row_count));
        chunk->row_count += count;
        rows->row_count += count;
        done += count;
    }
    return KD_OK;
}

void kdi_row_set_next(kdi_row_set *rows, kd_batch *out_batch, bool *out_end)
{
    row_chunk *chunk = rows->reading;
    *out_end = chunk == NULL;
    *out_batch = (kd_batch){0};
    if (chunk == NULL)
        return;
    *out_batch = (kd_batch){.row_count = chunk->row_count,
                            .selected_count = chunk->row_count,
                            .column_count = rows->column_count,
                            .columns = chunk->columns};
    rows->reading = chunk->next;
}

kd_status kdi_row_set_batches(kd_ctx *ctx, kdi_row_set *rows, kd_given_rows *out_batches)
{
    size_t count = 0;
    *out_batches = (kd_given_rows){0};
    for (const row_chunk *it = rows->first; it != NULL; it = it->next)
        count++;
    kd_batch *batches = KD_NEW_ARRAY(ctx, rows->arena, kd_batch, count);
    if (batches == NULL)
        return KD_NOMEM;
    for (const row_chunk *it = rows->first; it != NULL; it = it->next)
        batches[out_batches->batch_count++] = (kd_batch){.row_count = it->row_count,
                                                         .selected_count = it->row_count,
                                                         .column_count = rows->column_count,
                                                         .columns = it->columns};
    out_batches->batches = batches;
    return KD_OK;
}

void kdi_row_set_rewind(kdi_row_set *rows)
{
    rows->reading = rows->first;
}

kd_status kdi_columns(kd_ctx *ctx, kd_arena *arena, const char *const *names, const kd_type *types,
                      uint32_t count, kd_rel_column **out_columns)
{
    *out_columns = KD_NEW_ARRAY(ctx, arena, kd_rel_column, count);
    if (*out_columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        (*out_columns)[i] =
            (kd_rel_column){.id = i + 1, .type = types[i], .name = kd_slice_of(names[i])};
    return KD_OK;
}

kd_status kdi_run_start_rows(kd_ctx *ctx, kd_run *run, const kd_rel_column *columns,
                             uint32_t column_count, kdi_row_set **out_rows)
{
    KD_TRY(kdi_row_set_create(ctx, run->arena, columns, column_count, out_rows));
    run->rows = *out_rows;
    run->columns = columns;
    run->column_count = column_count;
    return KD_OK;
}
