/*
 * Readers of stores: a handful of pages, the one unused for longest makes room.
 */
#include "exec/row_reader_internal.h"

void kdi_row_reader_init(kdi_row_reader *reader, kd_world *world, const kdi_row_store *store)
{
    *reader = (kdi_row_reader){.world = world, .store = store};
    for (uint32_t i = 0; i < KDI_READER_PAGES; i++) {
        reader->page_index[i] = UINT32_MAX;
        reader->pages[i].file_offset = KDI_NOT_ON_FILE;
    }
}

void kdi_row_reader_clear(kdi_row_reader *reader)
{
    if (reader->store == NULL)
        return;
    kdi_budget *budget = reader->store->budget;
    for (uint32_t i = 0; i < KDI_READER_PAGES; i++)
        kdi_page_clear(reader->world, budget, &reader->pages[i]);
    kd_heap_free(reader->world, &budget->account, reader->first_rows);
    *reader = (kdi_row_reader){0};
}

static uint32_t slot_free(kdi_row_reader *reader)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < KDI_READER_PAGES; i++)
        if (reader->used_at[i] < reader->used_at[oldest])
            oldest = i;
    kdi_page_clear(reader->world, reader->store->budget, &reader->pages[oldest]);
    reader->page_index[oldest] = UINT32_MAX;
    return oldest;
}

kd_status kdi_row_reader_page(kd_ctx *ctx, kdi_row_reader *reader, uint32_t page_index,
                              const kdi_page **out_page)
{
    const kdi_page *page = &reader->store->pages[page_index];
    if (page->memory == NULL) {
        uint32_t slot = 0;
        while (slot < KDI_READER_PAGES && reader->page_index[slot] != page_index)
            slot++;
        if (slot == KDI_READER_PAGES) {
            slot = slot_free(reader);
            KD_TRY(kdi_page_read(ctx, reader->store, page_index, &reader->pages[slot]));
            reader->page_index[slot] = page_index;
        }
        reader->used_at[slot] = ++reader->clock;
        page = &reader->pages[slot];
    }
    *out_page = page;
    return KD_OK;
}

kd_status kdi_row_reader_next(kd_ctx *ctx, kdi_row_reader *reader, kdi_row_cursor *cursor,
                              uint32_t capacity, char **out_rows, uint32_t *out_count)
{
    const kdi_row_store *store = reader->store;
    uint32_t count = 0;
    *out_count = 0;
    while (count == 0 && cursor->page < store->page_count) {
        const kdi_page *page;
        KD_TRY(kdi_row_reader_page(ctx, reader, cursor->page, &page));
        while (count < capacity && cursor->row < page->row_count)
            out_rows[count++] = kdi_page_row(store, page, cursor->row++);
        if (cursor->row >= page->row_count && count < capacity) {
            cursor->page++;
            cursor->row = 0;
        }
    }
    *out_count = count;
    return KD_OK;
}

kd_status kdi_row_reader_number(kd_ctx *ctx, kdi_row_reader *reader)
{
    const kdi_row_store *store = reader->store;
    kd_heap_free(reader->world, &store->budget->account, reader->first_rows);
    reader->near_page = 0;
    reader->first_rows = kd_heap_alloc_raw(ctx, &store->budget->account,
                                           (store->page_count + 1) * sizeof *reader->first_rows);
    if (reader->first_rows == NULL)
        return KD_NOMEM;
    uint64_t row = 0;
    for (uint32_t p = 0; p < store->page_count; p++) {
        reader->first_rows[p] = row;
        row += store->pages[p].row_count;
    }
    reader->first_rows[store->page_count] = row;
    return KD_OK;
}

kd_status kdi_row_reader_row(kd_ctx *ctx, kdi_row_reader *reader, uint64_t row, char **out_row)
{
    const uint64_t *first = reader->first_rows;
    uint32_t p = reader->near_page;
    *out_row = NULL;
    if (row < first[p] || row >= first[p + 1]) {
        uint32_t low = 0, high = reader->store->page_count;
        while (low + 1 < high) {
            uint32_t middle = low + (high - low) / 2;
            if (first[middle] <= row)
                low = middle;
            else
                high = middle;
        }
        p = low;
        reader->near_page = p;
    }
    const kdi_page *page;
    KD_TRY(kdi_row_reader_page(ctx, reader, p, &page));
    *out_row = kdi_page_row(reader->store, page, (uint32_t)(row - first[p]));
    return KD_OK;
}
