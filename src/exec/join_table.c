/*
 * Building the chains of a join's build side.
 */
#include "exec/join_table_internal.h"

#include <assert.h>

enum { SLOT_BITS_MIN = 10 };

kd_status kdi_join_table_build(kd_ctx *ctx, kdi_join_table *table, kdi_row_store *store)
{
    uint32_t bits = SLOT_BITS_MIN;
    while (((uint64_t)1 << bits) < store->row_count + store->row_count / 2)
        bits++;
    *table = (kdi_join_table){.world = ctx->world,
                              .account = &store->budget->account,
                              .store = store,
                              .shift = 64 - bits};
    table->slots = kd_heap_alloc(ctx, table->account, ((size_t)1 << bits) * sizeof *table->slots);
    if (table->slots == NULL)
        return KD_NOMEM;
    uint64_t address_mask = ((uint64_t)1 << 48) - 1;
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        for (uint32_t i = 0; i < page->row_count; i++) {
            char *row = kdi_page_row(store, page, i);
            if (kd_load_u64(row + 8) != 0)
                continue; /* A key is NULL and never matches. */
            uint64_t hash = kdi_row_hash(row);
            uint64_t *slot = &table->slots[hash >> table->shift];
            kd_store_u64(row + 8, *slot & address_mask);
            *slot = (*slot & ~address_mask) | kdi_join_tag(hash) | (uint64_t)(uintptr_t)row;
        }
    }
    return KD_OK;
}

void kdi_join_table_clear(kdi_join_table *table)
{
    if (table->world == NULL)
        return;
    kd_heap_free(table->world, table->account, table->slots);
    table->slots = NULL;
}
