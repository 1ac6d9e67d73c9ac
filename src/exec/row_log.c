/*
 * Logs of rows: a row store, its spill file, and a reader.
 */
#include "exec/row_log.h"

#include "exec/keep_internal.h"
#include "exec/spill_file_internal.h"

struct kd_row_log {
    kd_world *world;
    kdi_budget budget;
    kdi_spill_file spill;
    kdi_row_layout layout;
    kdi_row_store store;
    kdi_row_reader reader;
    uint64_t numbered_count; /* Rows that the reader knows by number. */
    uint64_t dropped_pages;
    kdi_appender appender;
    kd_vector *columns;
    char **rows;
};

kd_status kd_row_log_create(kd_ctx *ctx, kd_arena *arena, const kd_row_log_options *options,
                            const kd_type *types, uint32_t column_count, kd_row_log **out_log)
{
    *out_log = NULL;
    kd_row_log *log = KD_NEW(ctx, arena, kd_row_log);
    if (log == NULL)
        return KD_NOMEM;
    size_t limit = options->memory_limit_bytes;
    uint64_t file_limit = options->spill_limit_bytes;
    kdi_budget_init(&log->budget, options->governor, limit == 0 ? SIZE_MAX : limit);
    log->budget.spill = &log->spill;
    log->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    log->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    if (log->rows == NULL || log->columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < column_count; c++)
        KD_TRY(kdi_vector_create(ctx, arena, types[c], &log->columns[c]));
    KD_TRY(kdi_row_layout_init(ctx, arena, types, column_count, false, 0, &log->layout));
    KD_TRY(kdi_appender_init(ctx, arena, column_count, &log->appender));
    log->world = ctx->world;
    kdi_spill_file_init(&log->spill, ctx->world, options->spill_directory,
                        file_limit == 0 ? UINT64_MAX : file_limit, &log->budget.account);
    kdi_row_store_init(&log->store, &log->budget, &log->layout);
    kdi_row_reader_init(&log->reader, ctx->world, &log->store);
    *out_log = log;
    return KD_OK;
}

void kd_row_log_destroy(kd_row_log *log)
{
    if (log == NULL)
        return;
    kd_ctx ctx = {.world = log->world};
    kdi_row_reader_clear(&log->reader);
    kdi_row_store_clear(log->world, &log->store);
    kdi_spill_file_clear(&ctx, &log->spill);
}

kd_status kd_row_log_append(kd_ctx *ctx, kd_row_log *log, const kd_batch *batch)
{
    KD_TRY(kdi_keep_make_room(ctx, &log->store));
    return kdi_appender_add(ctx, &log->appender, &log->store, batch);
}

uint64_t kd_row_log_count(const kd_row_log *log)
{
    return log->store.row_count;
}

kd_status kd_row_log_read(kd_ctx *ctx, kd_row_log *log, uint64_t first, uint64_t count,
                          kd_batch *out_batch)
{
    *out_batch = (kd_batch){0};
    if (first >= log->store.row_count)
        return KD_OK;
    if (log->numbered_count != log->store.row_count) {
        KD_TRY(kdi_row_reader_number(ctx, &log->reader));
        log->numbered_count = log->store.row_count;
    }
    KD_TRY(kdi_row_reader_row(ctx, &log->reader, first, &log->rows[0]));
    uint64_t left = log->reader.first_rows[log->reader.near_page + 1] - first;
    count = count < left ? count : left;
    uint32_t given = count < KD_BATCH_ROWS ? (uint32_t)count : KD_BATCH_ROWS;
    for (uint32_t i = 1; i < given; i++)
        log->rows[i] = log->rows[i - 1] + log->layout.row_bytes;
    kdi_batch_gather(&log->layout, log->rows, given, log->columns, out_batch);
    return KD_OK;
}

void kd_row_log_forget(kd_row_log *log, uint64_t first)
{
    if (log->numbered_count == 0)
        return;
    const uint64_t *first_rows = log->reader.first_rows;
    while (log->dropped_pages + 1 < log->store.page_count &&
           first_rows[log->dropped_pages + 1] <= first && first_rows[log->dropped_pages + 1] > 0) {
        kdi_page *page = &log->store.pages[log->dropped_pages++];
        uint32_t row_count = page->row_count;
        kdi_page_clear(log->world, &log->budget, page);
        page->row_count = row_count; /* Numbers stay. */
    }
}
