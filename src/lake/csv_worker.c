/*
 * A CSV worker: takes a chunk, finds all its fields, then fills batch after batch from them, column
 * by column, so that one parser runs over many values in a row.
 *
 * A bad row must not hide an earlier one: once column 3 failed in row 70, later columns are
 * parsed only up to row 69, and the failure that remains is the first in the file.
 */
#include "lake/csv_internal.h"
#include "lake/import_column_internal.h"

#include <assert.h>
#include <string.h>

enum { DETAIL_VALUE_BYTES = 100 };

typedef struct field_span {
    uint32_t begin;
    uint32_t end;
} field_span;

static const uint32_t SPAN_MISSING = UINT32_MAX; /* As `begin`: null padding. */

struct kd_csv_worker {
    kd_csv_reader *reader;
    const kd_text_settings *settings;
    kd_arena *chunk_arena; /* Chunk data and positions; reset when a chunk outgrows them. */
    kd_arena *batch_arena;
    kdi_chunk chunk;
    uint32_t *positions;
    size_t position_capacity;
    kdi_csv_scan scan;
    size_t next_position;
    uint32_t next_begin; /* Offset of the next record. */
    uint32_t column_count;
    kdi_import_column *columns;
    kd_vector *vectors;   /* What the batch shows: copies of the columns' vectors. */
    field_span *spans;    /* [column][row] */
    uint32_t *row_begins; /* Offset of each row's record; one more entry for the end. */
    uint64_t *bad_rows;   /* A bit per row of the batch. */
    uint16_t *selection;
    kd_import_rejects rejects;
    uint64_t batch_line;  /* Line of the batch's first record, */
    uint32_t batch_begin; /* which begins at this offset of the chunk. */
    /* Stopping mode: the earliest failure of the batch. */
    bool has_failed;
    uint32_t failed_row;
    kd_error failure;
};

kd_status kd_csv_worker_create(kd_ctx *ctx, kd_arena *arena, kd_csv_reader *reader,
                               const kd_text_settings *settings, kd_csv_worker **out_worker)
{
    *out_worker = NULL;
    uint32_t column_count = reader->schema.column_count;
    kd_csv_worker *worker = KD_NEW(ctx, arena, kd_csv_worker);
    if (worker == NULL)
        return KD_NOMEM;
    worker->reader = reader;
    worker->settings = settings;
    worker->column_count = column_count;
    worker->chunk_arena = kd_arena_create(ctx, arena, "csv chunk", KD_ARENA_UNLIMITED);
    worker->batch_arena = kd_arena_create(ctx, arena, "csv batch", KD_ARENA_UNLIMITED);
    worker->vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    worker->spans =
        kd_alloc_array(ctx, arena, (size_t)column_count * KD_BATCH_ROWS, sizeof *worker->spans);
    worker->row_begins = KD_NEW_ARRAY(ctx, arena, uint32_t, KD_BATCH_ROWS + 1);
    worker->bad_rows = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS / 64);
    worker->selection = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    if (worker->chunk_arena == NULL || worker->batch_arena == NULL || worker->vectors == NULL ||
        worker->spans == NULL || worker->row_begins == NULL || worker->bad_rows == NULL ||
        worker->selection == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_import_columns_create(ctx, arena, reader->schema.columns, column_count,
                                     &worker->columns));
    *out_worker = worker;
    return KD_OK;
}

/* `offset` is not before the batch. */
static uint64_t line_of(const kd_csv_worker *worker, uint32_t offset)
{
    return worker->batch_line + kdi_count_bytes(worker->chunk.data + worker->batch_begin,
                                                offset - worker->batch_begin, '\n');
}

static kd_slice row_text(const kd_csv_worker *worker, uint32_t row)
{
    uint32_t begin = worker->row_begins[row];
    uint32_t end = begin;
    const char *stop = memchr(worker->chunk.data + begin, '\n', worker->chunk.size_bytes - begin);
    if (stop != NULL)
        end = (uint32_t)(stop - worker->chunk.data);
    if (end > begin && worker->chunk.data[end - 1] == '\r')
        end--;
    return (kd_slice){worker->chunk.data + begin, end - begin};
}

/* A row cannot be read: `ctx` holds why. Takes the failure over, or gives it back when it is none
 * of the row's (no memory, cancelled). */
static kd_status row_fail(kd_ctx *ctx, kd_csv_worker *worker, uint32_t row,
                          const kd_import_column *column, kd_slice value)
{
    if (ctx->error.status != KD_INVALID)
        return ctx->error.status;
    const char *column_name = NULL;
    if (column != NULL) {
        column_name =
            kd_copy_text(ctx, worker->batch_arena, column->name.data, column->name.size_bytes);
        if (column_name == NULL)
            return KD_NOMEM;
    }
    uint64_t line = line_of(worker, worker->row_begins[row]);
    if (worker->reader->options.on_error == KD_IMPORT_REJECT) {
        kd_error error = ctx->error;
        kd_error_clear(ctx);
        kd_bit_set(worker->bad_rows, row);
        return kdi_import_rejects_add(ctx, worker->batch_arena, &worker->rejects, &error, line,
                                      column_name, row_text(worker, row));
    }
    int shown =
        (int)(value.size_bytes < DETAIL_VALUE_BYTES ? value.size_bytes : DETAIL_VALUE_BYTES);
    if (column != NULL)
        kd_error_set_detail(ctx, "line %llu, column %s: \"%.*s\"", (unsigned long long)line,
                            column_name, shown, value.data);
    else
        kd_error_set_detail(ctx, "line %llu: \"%.*s\"", (unsigned long long)line, shown,
                            value.data);
    if (!worker->has_failed || row < worker->failed_row) {
        worker->failure = ctx->error;
        worker->failed_row = row;
        worker->has_failed = true;
    }
    kd_error_clear(ctx);
    return KD_OK;
}

/* ---- Splitting: positions to spans ---- */

static kd_status ragged_row(kd_ctx *ctx, kd_csv_worker *worker, uint32_t row, uint32_t field_count)
{
    const kd_csv_options *options = &worker->reader->options;
    if (field_count > worker->column_count) {
        if (options->ignore_extra)
            return KD_OK;
        (void)KD_FAIL(ctx, KD_INVALID, "22P04", "extra data after last expected column");
        return row_fail(ctx, worker, row, NULL, row_text(worker, row));
    }
    for (uint32_t i = field_count; i < worker->column_count; i++)
        worker->spans[(size_t)i * KD_BATCH_ROWS + row] = (field_span){SPAN_MISSING, SPAN_MISSING};
    if (options->null_padding)
        return KD_OK;
    kd_slice name = worker->reader->schema.columns[field_count].name;
    (void)KD_FAIL(ctx, KD_INVALID, "22P04", "missing data for column \"%.*s\"",
                  (int)name.size_bytes, name.data);
    return row_fail(ctx, worker, row, NULL, row_text(worker, row));
}

/* An empty line, or COPY's end mark; `end` is the offset of its LF. */
static bool record_is_void(const kd_csv_worker *worker, uint32_t begin, uint32_t end)
{
    const char *data = worker->chunk.data;
    if (end > begin && data[end - 1] == '\r')
        end--;
    if (end == begin)
        return worker->reader->options.skip_blank_lines;
    return end - begin == 2 && data[begin] == '\\' && data[begin + 1] == '.';
}

/* Fills spans[..][row] from the positions on; false when the record holds no row. */
static bool record_split(kd_csv_worker *worker, uint32_t row, uint32_t *out_field_count)
{
    const uint32_t *positions = worker->positions;
    size_t at = worker->next_position;
    uint32_t begin = worker->next_begin;
    uint32_t field_count = 0;
    worker->row_begins[row] = begin;
    for (;;) {
        uint32_t end = positions[at] & ~KDI_CSV_RECORD_END;
        bool is_last = (positions[at] & KDI_CSV_RECORD_END) != 0;
        at++;
        if (field_count < worker->column_count)
            worker->spans[(size_t)field_count * KD_BATCH_ROWS + row] = (field_span){begin, end};
        field_count++;
        if (is_last) {
            uint32_t record_begin = worker->next_begin;
            worker->next_begin = end + 1;
            worker->next_position = at;
            *out_field_count = field_count;
            if (field_count == 1 && record_is_void(worker, record_begin, end))
                return false;
            if (worker->scan.has_return && end > begin && worker->chunk.data[end - 1] == '\r' &&
                field_count <= worker->column_count)
                worker->spans[(size_t)(field_count - 1) * KD_BATCH_ROWS + row].end = end - 1;
            return true;
        }
        begin = end + 1;
    }
}

static kd_status rows_split(kd_ctx *ctx, kd_csv_worker *worker, uint32_t *out_row_count)
{
    uint32_t row = 0;
    while (row < KD_BATCH_ROWS && worker->next_position < worker->scan.count) {
        uint32_t field_count;
        if (!record_split(worker, row, &field_count))
            continue;
        if (field_count != worker->column_count)
            KD_TRY(ragged_row(ctx, worker, row, field_count));
        row++;
        if (worker->has_failed)
            break;
    }
    *out_row_count = row;
    return KD_OK;
}

/* ---- Parsing: spans to vectors ---- */

static kd_status field_set(kd_ctx *ctx, kd_csv_worker *worker, kdi_import_column *column,
                           uint32_t row, kd_slice raw)
{
    kd_slice text = raw;
    bool is_null = false, was_quoted = false;
    if (worker->scan.has_quote)
        KD_TRY(kdi_csv_field_decode(ctx, worker->batch_arena, &worker->reader->dialect, raw, &text,
                                    &is_null, &was_quoted));
    else
        is_null = kd_slice_equal(raw, worker->reader->dialect.null_text);
    if (is_null && !column->is_forced_text) {
        kdi_import_column_set_null(column, row);
        return KD_OK;
    }
    return kdi_import_column_set(ctx, worker->batch_arena, worker->settings, column, row, text,
                                 !worker->scan.has_special);
}

static kd_status column_fill(kd_ctx *ctx, kd_csv_worker *worker, uint32_t index, uint32_t row_count)
{
    kdi_import_column *column = &worker->columns[index];
    if (column->is_skipped)
        return KD_OK;
    const field_span *spans = worker->spans + (size_t)index * KD_BATCH_ROWS;
    const char *data = worker->chunk.data;
    bool is_plain = !worker->scan.has_quote && !worker->scan.has_special &&
                    column->parse_fast != NULL && worker->reader->dialect.null_text.size_bytes == 0;
    for (uint32_t row = 0; row < row_count; row++) {
        field_span span = spans[row];
        if (span.begin == SPAN_MISSING) {
            kdi_import_column_set_null(column, row);
            continue;
        }
        kd_slice raw = {data + span.begin, span.end - span.begin};
        if (is_plain && raw.size_bytes > 0 && column->parse_fast(column, raw, row))
            continue;
        if (field_set(ctx, worker, column, row, raw) == KD_OK)
            continue;
        KD_TRY(row_fail(ctx, worker, row, &worker->reader->schema.columns[index], raw));
        kdi_import_column_set_null(column, row);
        if (worker->has_failed && row == worker->failed_row)
            break;
    }
    return KD_OK;
}

/* The file ended inside quotes: the scanner found no end of its last record. */
static kd_status open_quote_fail(kd_ctx *ctx, kd_csv_worker *worker)
{
    uint32_t begin = 0;
    for (size_t i = worker->scan.count; i > 0; i--) {
        if ((worker->positions[i - 1] & KDI_CSV_RECORD_END) == 0)
            continue;
        begin = (worker->positions[i - 1] & ~KDI_CSV_RECORD_END) + 1;
        worker->scan.count = i;
        break;
    }
    if (begin == 0)
        worker->scan.count = 0;
    uint64_t line = line_of(worker, begin);
    (void)KD_FAIL(ctx, KD_INVALID, "22P04", "unterminated CSV quoted field");
    if (worker->reader->options.on_error == KD_IMPORT_STOP) {
        kd_error_set_detail(ctx, "line %llu", (unsigned long long)line);
        return KD_INVALID;
    }
    kd_error error = ctx->error;
    kd_error_clear(ctx);
    kd_slice record = {worker->chunk.data + begin, worker->chunk.size_bytes - begin};
    return kdi_import_rejects_add(ctx, worker->batch_arena, &worker->rejects, &error, line, NULL,
                                  record);
}

static kd_status chunk_take(kd_ctx *ctx, kd_csv_worker *worker)
{
    kdi_chunk *chunk = &worker->chunk;
    KD_TRY(kdi_chunks_next(ctx, worker->chunk_arena, &worker->reader->chunks, chunk));
    worker->next_position = 0;
    worker->next_begin = 0;
    worker->batch_begin = 0;
    worker->batch_line = chunk->first_line;
    worker->scan.count = 0;
    if (chunk->size_bytes == 0)
        return KD_OK;
    if (worker->position_capacity < chunk->size_bytes) {
        worker->positions = kd_alloc_raw(ctx, worker->chunk_arena,
                                         chunk->capacity_bytes * sizeof *worker->positions + 64);
        if (worker->positions == NULL)
            return KD_NOMEM;
        worker->position_capacity = chunk->capacity_bytes + 2;
    }
    kdi_csv_scan_run(&worker->reader->dialect, chunk->data, chunk->size_bytes, worker->positions,
                     &worker->scan);
    if (chunk->quote_is_open)
        return open_quote_fail(ctx, worker);
    assert(worker->scan.count > 0 &&
           (worker->positions[worker->scan.count - 1] & KDI_CSV_RECORD_END) != 0);
    return KD_OK;
}

static void batch_show(kd_csv_worker *worker, uint32_t row_count, kd_batch *out_batch)
{
    for (uint32_t i = 0; i < worker->column_count; i++)
        worker->vectors[i] = worker->columns[i].vector;
    *out_batch = (kd_batch){
        .row_count = row_count,
        .selected_count = row_count,
        .column_count = worker->column_count,
        .columns = worker->vectors,
    };
    if (worker->rejects.count == 0)
        return;
    uint32_t selected_count = 0;
    for (uint32_t row = 0; row < row_count; row++) {
        worker->selection[selected_count] = (uint16_t)row;
        selected_count += !kd_bit_get(worker->bad_rows, row);
    }
    out_batch->selection = worker->selection;
    out_batch->selected_count = selected_count;
}

static kd_status batch_fill(kd_ctx *ctx, kd_csv_worker *worker, uint32_t *out_row_count)
{
    kdi_import_columns_begin(worker->columns, worker->column_count);
    memset(worker->bad_rows, 0, KD_BATCH_ROWS / 8);
    worker->batch_line = line_of(worker, worker->next_begin);
    worker->batch_begin = worker->next_begin;
    uint32_t row_count;
    KD_TRY(rows_split(ctx, worker, &row_count));
    for (uint32_t i = 0; i < worker->column_count; i++) {
        uint32_t limit = worker->has_failed ? worker->failed_row : row_count;
        KD_TRY(column_fill(ctx, worker, i, limit));
    }
    if (worker->has_failed) {
        ctx->error = worker->failure;
        return ctx->error.status;
    }
    *out_row_count = row_count;
    return KD_OK;
}

kd_status kd_csv_worker_next(kd_ctx *ctx, kd_csv_worker *worker, kd_batch *out_batch)
{
    *out_batch = (kd_batch){0};
    KD_TRY(kd_check_cancelled(ctx));
    kd_arena_reset(worker->batch_arena);
    worker->rejects = (kd_import_rejects){0};
    worker->has_failed = false;
    uint32_t row_count = 0;
    while (row_count == 0) {
        if (worker->next_position >= worker->scan.count) {
            KD_TRY(chunk_take(ctx, worker));
            if (worker->chunk.size_bytes == 0)
                return KD_OK;
        }
        KD_TRY(batch_fill(ctx, worker, &row_count));
    }
    batch_show(worker, row_count, out_batch);
    return KD_OK;
}

const kd_import_rejects *kd_csv_worker_rejects(const kd_csv_worker *worker)
{
    return &worker->rejects;
}

void kd_csv_worker_position(const kd_csv_worker *worker, uint64_t *out_chunk_no, uint64_t *out_line)
{
    *out_chunk_no = worker->chunk.no;
    *out_line = worker->batch_line;
}
