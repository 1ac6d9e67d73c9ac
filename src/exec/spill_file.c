/*
 * Spilling the pages of row stores and reading them back.
 */
#include "exec/spill_file_internal.h"

#include <assert.h>
#include <stdio.h>

void kdi_spill_file_init(kdi_spill_file *spill, kd_world *world, const char *directory)
{
    *spill = (kdi_spill_file){.world = world, .directory = directory};
    kd_mutex_init(&spill->lock, world);
}

void kdi_spill_file_clear(kd_ctx *ctx, kdi_spill_file *spill)
{
    if (spill->world == NULL)
        return;
    if (spill->file != NULL) {
        spill->world->file_close(spill->world, spill->file);
        kd_ctx own = {.world = ctx->world};
        /* A file that cannot be removed is found by the next opening of the database. */
        if (spill->world->path_remove(&own, spill->path) != KD_OK)
            kd_error_clear(&own);
        spill->file = NULL;
    }
    kd_mutex_clear(&spill->lock);
    spill->world = NULL;
}

static kd_status file_create(kd_ctx *ctx, kdi_spill_file *spill)
{
    if (spill->directory == NULL)
        return KD_FAIL(ctx, KD_NOMEM, "53200",
                       "out of memory, and there is no directory to spill to");
    KD_TRY(ctx->world->directory_create(ctx, spill->directory));
    (void)snprintf(spill->path, sizeof spill->path, "%s/%016llx.spill", spill->directory,
                   (unsigned long long)ctx->world->random_u64(ctx->world));
    return ctx->world->file_open(ctx, spill->path,
                                 KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_EXCLUSIVE, &spill->file);
}

static kd_status file_ensure(kd_ctx *ctx, kdi_spill_file *spill)
{
    kd_mutex_lock(&spill->lock);
    kd_status status = spill->file != NULL ? KD_OK : file_create(ctx, spill);
    kd_mutex_unlock(&spill->lock);
    return status;
}

static kd_status page_write(kd_ctx *ctx, kdi_row_store *store, kdi_page *page)
{
    kdi_spill_file *spill = store->budget->spill;
    page->file_offset = atomic_fetch_add(&spill->end, KD_GOVERNOR_PAGE_BYTES);
    uint64_t rows_bytes = (uint64_t)page->row_count * store->layout->row_bytes;
    KD_TRY(ctx->world->file_write(ctx, spill->file, page->file_offset, page->memory, rows_bytes));
    if (page->heap_start < KD_GOVERNOR_PAGE_BYTES)
        KD_TRY(ctx->world->file_write(ctx, spill->file, page->file_offset + page->heap_start,
                                      page->memory + page->heap_start,
                                      KD_GOVERNOR_PAGE_BYTES - page->heap_start));
    (void)atomic_fetch_add_explicit(&store->budget->spilled_bytes,
                                    rows_bytes + KD_GOVERNOR_PAGE_BYTES - page->heap_start,
                                    memory_order_relaxed);
    page->old_address = (uint64_t)(uintptr_t)page->memory;
    kdi_budget_put_page(store->budget, page->memory);
    page->memory = NULL;
    return KD_OK;
}

kd_status kdi_row_store_spill(kd_ctx *ctx, kdi_row_store *store, bool keep_last)
{
    uint32_t end = store->page_count - (keep_last && store->page_count > 0);
    for (uint32_t p = store->spilled_count; p < end; p++) {
        if (store->pages[p].memory == NULL)
            continue;
        KD_TRY(file_ensure(ctx, store->budget->spill));
        KD_TRY(page_write(ctx, store, &store->pages[p]));
    }
    store->spilled_count = end;
    return KD_OK;
}

static void strings_move(const kdi_row_store *store, kdi_page *page)
{
    const kdi_row_layout *layout = store->layout;
    uint64_t moved = (uint64_t)(uintptr_t)page->memory - page->old_address;
    for (uint32_t s = 0; s < layout->str_count; s++) {
        uint32_t offset = layout->offsets[layout->str_columns[s]];
        for (uint32_t i = 0; i < page->row_count; i++) {
            char *at = kdi_page_row(store, page, i) + offset;
            if (kd_load_u32(at) <= KD_STR_INLINE_BYTES)
                continue;
            uint64_t pointer = kd_load_u64(at + 8);
            if (pointer - page->old_address < KD_GOVERNOR_PAGE_BYTES) /* Else in a blob. */
                kd_store_u64(at + 8, pointer + moved);
        }
    }
}

kd_status kdi_row_store_load(kd_ctx *ctx, kdi_row_store *store, uint32_t page_index)
{
    kdi_page *page = &store->pages[page_index];
    if (page->memory != NULL)
        return KD_OK;
    kd_file *file = store->budget->spill->file;
    void *memory;
    KD_TRY(kdi_budget_get_page(ctx, store->budget, true, &memory));
    uint64_t rows_bytes = (uint64_t)page->row_count * store->layout->row_bytes;
    uint64_t heap_bytes = KD_GOVERNOR_PAGE_BYTES - page->heap_start;
    size_t got = 0, got_heap = 0;
    kd_status status =
        ctx->world->file_read(ctx, file, page->file_offset, memory, rows_bytes, &got);
    if (status == KD_OK && heap_bytes > 0)
        status = ctx->world->file_read(ctx, file, page->file_offset + page->heap_start,
                                       (char *)memory + page->heap_start, heap_bytes, &got_heap);
    if (status == KD_OK && (got != rows_bytes || got_heap != heap_bytes))
        status = KD_FAIL(ctx, KD_CORRUPT, "XX001", "a spill file ended early");
    if (status != KD_OK) {
        kdi_budget_put_page(store->budget, memory);
        return status;
    }
    page->memory = memory;
    strings_move(store, page);
    return KD_OK;
}

void kdi_row_store_drop_page(kd_world *world, kdi_row_store *store, uint32_t page_index)
{
    kdi_page_clear(world, store->budget, &store->pages[page_index]);
    store->pages[page_index].row_count = 0;
}
