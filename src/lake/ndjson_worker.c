/*
 * An NDJSON worker: lines of its chunk to rows of a batch, member by member.
 */
#include "lake/import_column_internal.h"
#include "lake/ndjson_internal.h"

#include <string.h>

enum { DETAIL_VALUE_BYTES = 100 };

struct kd_ndjson_worker {
    kd_ndjson_reader *reader;
    const kd_text_settings *settings;
    kd_arena *chunk_arena;
    kd_arena *batch_arena;
    kdi_chunk chunk;
    size_t next_begin; /* Of the next line in the chunk. */
    uint64_t next_line;
    uint32_t column_count;
    kdi_import_column *columns;
    kd_vector *vectors;
    uint64_t *seen_rows; /* By column: 1 + the last row (counted for ever) that had the member. */
    uint64_t row_serial;
    kd_json_parser parser;
    kd_import_rejects rejects;
};

kd_status kd_ndjson_worker_create(kd_ctx *ctx, kd_arena *arena, kd_ndjson_reader *reader,
                                  const kd_text_settings *settings, kd_ndjson_worker **out_worker)
{
    *out_worker = NULL;
    kd_ndjson_worker *worker = KD_NEW(ctx, arena, kd_ndjson_worker);
    if (worker == NULL)
        return KD_NOMEM;
    worker->reader = reader;
    worker->settings = settings;
    worker->column_count = reader->column_count;
    worker->chunk_arena = kd_arena_create(ctx, arena, "ndjson chunk", KD_ARENA_UNLIMITED);
    worker->batch_arena = kd_arena_create(ctx, arena, "ndjson batch", KD_ARENA_UNLIMITED);
    worker->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, reader->column_count);
    worker->seen_rows = KD_NEW_ARRAY(ctx, arena, uint64_t, reader->column_count);
    if (worker->chunk_arena == NULL || worker->batch_arena == NULL || worker->vectors == NULL ||
        worker->seen_rows == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_import_columns_create(ctx, arena, reader->columns, reader->column_count,
                                     &worker->columns));
    *out_worker = worker;
    return KD_OK;
}

/* Members usually come in the columns' order: look at the one after the last first. */
static bool column_find(const kd_ndjson_worker *worker, uint32_t hint, kd_slice key,
                        uint32_t *out_index)
{
    for (uint32_t i = 0; i < worker->column_count; i++) {
        uint32_t index = hint + i;
        if (index >= worker->column_count)
            index -= worker->column_count;
        if (kd_slice_equal(worker->reader->columns[index].name, key)) {
            *out_index = index;
            return true;
        }
    }
    return false;
}

static kd_status member_set(kd_ctx *ctx, kd_ndjson_worker *worker, uint32_t index, uint32_t row,
                            const kdi_ndjson_member *member)
{
    kdi_import_column *column = &worker->columns[index];
    worker->seen_rows[index] = worker->row_serial;
    if (member->kind == KD_JSON_NULL) {
        kdi_import_column_set_null(column, row);
        return KD_OK;
    }
    /* Of equal keys the last one holds: it may follow a null. */
    if (!column->is_skipped && column->vector.validity != NULL)
        kd_bit_set(column->validity, row);
    bool keeps_source = column->type.id == KD_TYPE_JSON || column->type.id == KD_TYPE_JSONB;
    return kdi_import_column_set(ctx, worker->batch_arena, worker->settings, column, row,
                                 keeps_source ? member->source : member->text, true);
}

/* `*out_column` is the column at fault when it fails, -1 for the line as a whole. */
static kd_status line_read(kd_ctx *ctx, kd_ndjson_worker *worker, uint32_t row, kd_slice line,
                           int64_t *out_column)
{
    *out_column = -1;
    worker->row_serial++;
    KD_TRY(kdi_ndjson_begin(ctx, &worker->parser, line));
    uint32_t hint = 0;
    for (;;) {
        kdi_ndjson_member member;
        KD_TRY(kdi_ndjson_next(ctx, worker->batch_arena, &worker->parser, &member));
        if (member.kind == KD_JSON_END)
            break;
        uint32_t index;
        if (!column_find(worker, hint, member.key, &index))
            continue;
        *out_column = index;
        KD_TRY(member_set(ctx, worker, index, row, &member));
        *out_column = -1;
        hint = index + 1;
    }
    for (uint32_t c = 0; c < worker->column_count; c++)
        if (worker->seen_rows[c] != worker->row_serial)
            kdi_import_column_set_null(&worker->columns[c], row);
    return KD_OK;
}

static kd_status line_fail(kd_ctx *ctx, kd_ndjson_worker *worker, uint64_t line_no, kd_slice line,
                           int64_t column)
{
    if (ctx->error.status != KD_INVALID)
        return ctx->error.status;
    const char *name = NULL;
    if (column >= 0) {
        kd_slice text = worker->reader->columns[column].name;
        name = kd_copy_text(ctx, worker->batch_arena, text.data, text.size_bytes);
        if (name == NULL)
            return KD_NOMEM;
    }
    if (worker->reader->options.on_error == KD_IMPORT_REJECT) {
        kd_error error = ctx->error;
        kd_error_clear(ctx);
        return kdi_import_rejects_add(ctx, worker->batch_arena, &worker->rejects, &error, line_no,
                                      name, line);
    }
    int shown = (int)(line.size_bytes < DETAIL_VALUE_BYTES ? line.size_bytes : DETAIL_VALUE_BYTES);
    kd_error_set_detail(ctx, "line %llu%s%s: %.*s", (unsigned long long)line_no,
                        name != NULL ? ", column " : "", name != NULL ? name : "", shown,
                        line.data);
    return KD_INVALID;
}

static bool line_next(kd_ndjson_worker *worker, kd_slice *out_line, uint64_t *out_line_no)
{
    kdi_chunk *chunk = &worker->chunk;
    while (worker->next_begin < chunk->size_bytes) {
        const char *begin = chunk->data + worker->next_begin;
        const char *end = memchr(begin, '\n', chunk->size_bytes - worker->next_begin);
        size_t size = end == NULL ? chunk->size_bytes - worker->next_begin : (size_t)(end - begin);
        worker->next_begin += size + 1;
        *out_line = (kd_slice){begin, size};
        *out_line_no = worker->next_line++;
        if (!kdi_ndjson_line_is_blank(*out_line))
            return true;
    }
    return false;
}

static kd_status batch_fill(kd_ctx *ctx, kd_ndjson_worker *worker, uint32_t *out_row_count)
{
    uint32_t row = 0;
    kd_slice line;
    uint64_t line_no;
    kdi_import_columns_begin(worker->columns, worker->column_count);
    while (row < KD_BATCH_ROWS && line_next(worker, &line, &line_no)) {
        int64_t column;
        if (line_read(ctx, worker, row, line, &column) == KD_OK) {
            row++;
            continue;
        }
        KD_TRY(line_fail(ctx, worker, line_no, line, column));
        /* The row is used for the next line: what was set to NULL in it is not any more. */
        for (uint32_t c = 0; c < worker->column_count; c++)
            if (worker->columns[c].vector.validity != NULL && !worker->columns[c].is_skipped)
                kd_bit_set(worker->columns[c].validity, row);
    }
    *out_row_count = row;
    return KD_OK;
}

kd_status kd_ndjson_worker_next(kd_ctx *ctx, kd_ndjson_worker *worker, kd_batch *out_batch)
{
    *out_batch = (kd_batch){0};
    KD_TRY(kd_check_cancelled(ctx));
    kd_arena_reset(worker->batch_arena);
    worker->rejects = (kd_import_rejects){0};
    uint32_t row_count = 0;
    while (row_count == 0) {
        if (worker->next_begin >= worker->chunk.size_bytes) {
            KD_TRY(
                kdi_chunks_next(ctx, worker->chunk_arena, &worker->reader->chunks, &worker->chunk));
            worker->next_begin = 0;
            worker->next_line = worker->chunk.first_line;
            if (worker->chunk.size_bytes == 0)
                return KD_OK;
        }
        KD_TRY(batch_fill(ctx, worker, &row_count));
    }
    for (uint32_t i = 0; i < worker->column_count; i++)
        worker->vectors[i] = worker->columns[i].vector;
    *out_batch = (kd_batch){
        .row_count = row_count,
        .selected_count = row_count,
        .column_count = worker->column_count,
        .columns = worker->vectors,
    };
    return KD_OK;
}

const kd_import_rejects *kd_ndjson_worker_rejects(const kd_ndjson_worker *worker)
{
    return &worker->rejects;
}
