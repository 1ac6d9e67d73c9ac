/*
 * Spilling the pages of row stores and reading them back.
 *
 * Checksums of what was written stay in memory, with the pages' places: a disk that changed, lost
 * or misplaced a page of the file is noticed when it is read.
 */
#include "exec/spill_file_internal.h"

#include "base/checksum.h"

#include <assert.h>
#include <stdio.h>

void kdi_spill_file_init(kdi_spill_file *spill, kd_world *world, const char *directory,
                         uint64_t limit_bytes, kd_account *account)
{
    *spill = (kdi_spill_file){
        .world = world, .directory = directory, .limit_bytes = limit_bytes, .account = account};
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
    kd_heap_free(spill->world, spill->account, spill->free_places);
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

static kd_status file_extend(kd_ctx *ctx, kdi_spill_file *spill, uint64_t size_bytes,
                             uint64_t *out_offset)
{
    uint64_t places = (size_bytes + KD_GOVERNOR_PAGE_BYTES - 1) / KD_GOVERNOR_PAGE_BYTES;
    uint64_t bytes = places * KD_GOVERNOR_PAGE_BYTES;
    if (bytes > spill->limit_bytes || spill->end > spill->limit_bytes - bytes)
        return KD_FAIL(ctx, KD_LIMIT, "53400",
                       "temporary file size exceeds temp_file_limit (%llu kB)",
                       (unsigned long long)(spill->limit_bytes / 1024));
    *out_offset = spill->end;
    spill->end += bytes;
    return KD_OK;
}

/* A place for so many bytes; the file is there then. */
static kd_status place_get(kd_ctx *ctx, kdi_spill_file *spill, uint64_t size_bytes,
                           uint64_t *out_offset)
{
    kd_mutex_lock(&spill->lock);
    kd_status status = spill->file != NULL ? KD_OK : file_create(ctx, spill);
    if (status == KD_OK && size_bytes <= KD_GOVERNOR_PAGE_BYTES && spill->free_count > 0)
        *out_offset = spill->free_places[--spill->free_count];
    else if (status == KD_OK)
        status = file_extend(ctx, spill, size_bytes, out_offset);
    kd_mutex_unlock(&spill->lock);
    return status;
}

void kdi_spill_file_put(kdi_spill_file *spill, uint64_t offset)
{
    kd_ctx own = {.world = spill->world};
    kd_mutex_lock(&spill->lock);
    if (spill->free_count == spill->free_capacity) {
        size_t capacity = spill->free_capacity * 2 + 64;
        uint64_t *places =
            kd_heap_resize(&own, spill->account, spill->free_places, capacity * sizeof *places);
        if (places != NULL) {
            spill->free_places = places;
            spill->free_capacity = capacity;
        }
    }
    /* Without room for the note the place is lost until the file goes. */
    if (spill->free_count < spill->free_capacity)
        spill->free_places[spill->free_count++] = offset;
    kd_mutex_unlock(&spill->lock);
}

static kd_status blobs_write(kd_ctx *ctx, kdi_row_store *store, kdi_page *page)
{
    kdi_spill_file *spill = store->budget->spill;
    for (kdi_blob *blob = page->blobs; blob != NULL; blob = blob->next) {
        if (blob->memory == NULL)
            continue;
        KD_TRY(place_get(ctx, spill, blob->size_bytes, &blob->file_offset));
        KD_TRY(ctx->world->file_write(ctx, spill->file, blob->file_offset, blob->memory,
                                      blob->size_bytes));
        blob->checksum = kd_crc32c(0, blob->memory, blob->size_bytes);
        blob->old_address = (uint64_t)(uintptr_t)blob->memory;
        kd_heap_free(ctx->world, &store->budget->account, blob->memory);
        blob->memory = NULL;
        kdi_budget_note_spill(store->budget, blob->size_bytes);
    }
    return KD_OK;
}

/* Of what a page on disk consists of: its rows and, at its end, their strings. */
static uint32_t page_checksum(const kdi_page *page, uint64_t rows_bytes)
{
    return kd_crc32c(kd_crc32c(0, page->memory, rows_bytes), page->memory + page->heap_start,
                     KD_GOVERNOR_PAGE_BYTES - page->heap_start);
}

static kd_status page_write(kd_ctx *ctx, kdi_row_store *store, kdi_page *page)
{
    kdi_spill_file *spill = store->budget->spill;
    KD_TRY(kd_check_cancelled(ctx));
    if (page->file_offset == KDI_NOT_ON_FILE)
        KD_TRY(place_get(ctx, spill, KD_GOVERNOR_PAGE_BYTES, &page->file_offset));
    KD_TRY(blobs_write(ctx, store, page));
    uint64_t rows_bytes = (uint64_t)page->row_count * store->layout->row_bytes;
    KD_TRY(ctx->world->file_write(ctx, spill->file, page->file_offset, page->memory, rows_bytes));
    if (page->heap_start < KD_GOVERNOR_PAGE_BYTES)
        KD_TRY(ctx->world->file_write(ctx, spill->file, page->file_offset + page->heap_start,
                                      page->memory + page->heap_start,
                                      KD_GOVERNOR_PAGE_BYTES - page->heap_start));
    page->checksum = page_checksum(page, rows_bytes);
    kdi_budget_note_spill(store->budget, rows_bytes + KD_GOVERNOR_PAGE_BYTES - page->heap_start);
    page->old_address = (uint64_t)(uintptr_t)page->memory;
    kdi_budget_put_page(store->budget, page->memory);
    page->memory = NULL;
    return KD_OK;
}

kd_status kdi_row_store_spill(kd_ctx *ctx, kdi_row_store *store, bool keep_last)
{
    uint32_t end = store->page_count - (keep_last && store->page_count > 0);
    for (uint32_t p = store->spilled_count; p < end; p++)
        if (store->pages[p].memory != NULL)
            KD_TRY(page_write(ctx, store, &store->pages[p]));
    store->spilled_count = end;
    return KD_OK;
}

/* Where a far string stands now. */
static uint64_t pointer_moved(const kdi_page *page, const kdi_blob *old_blobs, uint64_t pointer)
{
    if (pointer - page->old_address < KD_GOVERNOR_PAGE_BYTES)
        return pointer - page->old_address + (uint64_t)(uintptr_t)page->memory;
    const kdi_blob *blob = page->blobs;
    for (const kdi_blob *old = old_blobs; old != NULL; old = old->next, blob = blob->next)
        if (pointer - old->old_address < old->size_bytes)
            return pointer - old->old_address + (uint64_t)(uintptr_t)blob->memory;
    return pointer;
}

static void strings_move(const kdi_row_layout *layout, kdi_page *page, const kdi_blob *old_blobs)
{
    for (uint32_t s = 0; s < layout->str_count; s++) {
        uint32_t offset = layout->offsets[layout->str_columns[s]];
        for (uint32_t i = 0; i < page->row_count; i++) {
            char *at = page->memory + (size_t)i * layout->row_bytes + offset;
            if (kd_load_u32(at) > KD_STR_INLINE_BYTES)
                kd_store_u64(at + 8, pointer_moved(page, old_blobs, kd_load_u64(at + 8)));
        }
    }
}

static kd_status file_fill(kd_ctx *ctx, const kdi_row_store *store, uint64_t offset, void *memory,
                           size_t size_bytes)
{
    size_t got = 0;
    if (size_bytes > 0)
        KD_TRY(ctx->world->file_read(ctx, store->budget->spill->file, offset, memory, size_bytes,
                                     &got));
    if (got != size_bytes)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "spill file \"%s\" ended early",
                       store->budget->spill->path);
    return KD_OK;
}

static kd_status checksum_compare(kd_ctx *ctx, const kdi_row_store *store, uint64_t offset,
                                  uint32_t found, uint32_t written)
{
    if (found == written)
        return KD_OK;
    return KD_FAIL(ctx, KD_CORRUPT, "XX001",
                   "spill file \"%s\": what was written at byte %llu is not what is read: "
                   "checksum mismatch",
                   store->budget->spill->path, (unsigned long long)offset);
}

/* Fills memory of `page`, whose numbers are those of the page on disk. */
static kd_status page_fill(kd_ctx *ctx, const kdi_row_store *store, uint64_t offset, kdi_page *page)
{
    uint64_t rows_bytes = (uint64_t)page->row_count * store->layout->row_bytes;
    KD_TRY(file_fill(ctx, store, offset, page->memory, rows_bytes));
    KD_TRY(file_fill(ctx, store, offset + page->heap_start, page->memory + page->heap_start,
                     KD_GOVERNOR_PAGE_BYTES - page->heap_start));
    KD_TRY(checksum_compare(ctx, store, offset, page_checksum(page, rows_bytes), page->checksum));
    for (kdi_blob *blob = page->blobs; blob != NULL; blob = blob->next) {
        blob->memory = kd_heap_alloc_raw(ctx, &store->budget->account, blob->size_bytes);
        if (blob->memory == NULL)
            return KD_NOMEM;
        KD_TRY(file_fill(ctx, store, blob->file_offset, blob->memory, blob->size_bytes));
        KD_TRY(checksum_compare(ctx, store, blob->file_offset,
                                kd_crc32c(0, blob->memory, blob->size_bytes), blob->checksum));
    }
    return KD_OK;
}

static kd_status blobs_copy(kd_ctx *ctx, const kdi_row_store *store, const kdi_blob *from,
                            kdi_page *page)
{
    kdi_blob **link = &page->blobs;
    for (; from != NULL; from = from->next) {
        kdi_blob *blob = KD_HEAP_NEW(ctx, &store->budget->account, kdi_blob);
        if (blob == NULL)
            return KD_NOMEM;
        blob->size_bytes = from->size_bytes;
        blob->file_offset = from->file_offset;
        blob->checksum = from->checksum;
        *link = blob;
        link = &blob->next;
    }
    return KD_OK;
}

kd_status kdi_page_read(kd_ctx *ctx, const kdi_row_store *store, uint32_t page_index,
                        kdi_page *out_page)
{
    const kdi_page *from = &store->pages[page_index];
    assert(from->memory == NULL);
    KD_TRY(kd_check_cancelled(ctx));
    *out_page = (kdi_page){.row_count = from->row_count,
                           .heap_start = from->heap_start,
                           .checksum = from->checksum,
                           .file_offset = KDI_NOT_ON_FILE,
                           .old_address = from->old_address};
    void *memory;
    KD_TRY(kdi_budget_get_page(ctx, store->budget, true, &memory));
    out_page->memory = memory;
    kd_status status = blobs_copy(ctx, store, from->blobs, out_page);
    if (status == KD_OK)
        status = page_fill(ctx, store, from->file_offset, out_page);
    if (status != KD_OK) {
        kdi_page_clear(ctx->world, store->budget, out_page);
        return status;
    }
    strings_move(store->layout, out_page, from->blobs);
    return KD_OK;
}

kd_status kdi_row_store_load(kd_ctx *ctx, kdi_row_store *store, uint32_t page_index)
{
    kdi_page *page = &store->pages[page_index];
    if (page->memory != NULL)
        return KD_OK;
    kdi_page loaded;
    KD_TRY(kdi_page_read(ctx, store, page_index, &loaded));
    kdi_page_clear(ctx->world, store->budget, page);
    *page = loaded;
    if (page_index < store->spilled_count)
        store->spilled_count = page_index;
    return KD_OK;
}

void kdi_row_store_drop_page(kd_world *world, kdi_row_store *store, uint32_t page_index)
{
    kdi_page_clear(world, store->budget, &store->pages[page_index]);
    store->pages[page_index].row_count = 0;
}
