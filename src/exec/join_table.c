/*
 * Building the chains of a join's build side.
 */
#include "exec/join_table_internal.h"

#include <assert.h>

enum { SLOT_BITS_MIN = 10, DIRECT_SLOTS_MIN = 1 << 12, DIRECT_SLOTS_PER_ROW = 8 };

#define DIRECT_SLOTS_MAX ((uint64_t)1 << 31)

static int64_t row_key(const kdi_row_layout *layout, const char *row)
{
    const void *payload = kdi_row_at(layout, row, 0);
    switch (layout->physicals[0]) {
    case KD_PHYS_I16: {
        int16_t value;
        memcpy(&value, payload, sizeof value);
        return value;
    }
    case KD_PHYS_I32: {
        int32_t value;
        memcpy(&value, payload, sizeof value);
        return value;
    }
    default:
        return (int64_t)kd_load_u64(payload);
    }
}

static bool is_integer_key(const kdi_row_layout *layout)
{
    uint8_t physical = layout->physicals[0];
    return physical == KD_PHYS_I16 || physical == KD_PHYS_I32 || physical == KD_PHYS_I64;
}

/* The range of the keys; false when it has too many integers for so few rows. */
static bool range_find(const kdi_row_store *store, int64_t *out_low, uint64_t *out_span)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    *out_low = 0;
    *out_span = 0;
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        for (uint32_t i = 0; i < page->row_count; i++) {
            const char *row = kdi_page_row(store, page, i);
            if (kd_load_u64(row + 8) != 0)
                continue;
            int64_t key = row_key(store->layout, row);
            low = key < low ? key : low;
            high = key > high ? key : high;
        }
    }
    if (low > high)
        return true;
    uint64_t most = store->row_count * DIRECT_SLOTS_PER_ROW;
    most = most < DIRECT_SLOTS_MIN ? DIRECT_SLOTS_MIN : most;
    most = most > DIRECT_SLOTS_MAX ? DIRECT_SLOTS_MAX : most;
    uint64_t last = (uint64_t)high - (uint64_t)low;
    *out_low = low;
    *out_span = last + 1;
    return last < most;
}

static void direct_chain(kdi_join_table *table, const kdi_row_store *store)
{
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        for (uint32_t i = 0; i < page->row_count; i++) {
            char *row = kdi_page_row(store, page, i);
            if (kd_load_u64(row + 8) != 0)
                continue; /* A key is NULL and never matches. */
            uint64_t at = (uint64_t)row_key(store->layout, row) - (uint64_t)table->low;
            uint64_t before = table->slots[at];
            table->has_chains |= before != 0;
            kd_store_u64(row + 8, before);
            table->slots[at] = (uint64_t)(uintptr_t)row;
        }
    }
}

/* `*out_done` is false when the keys are not of the kind. */
static kd_status direct_build(kd_ctx *ctx, kdi_join_table *table, kdi_row_store *store,
                              bool *out_done)
{
    *out_done = false;
    if (!is_integer_key(store->layout) || !range_find(store, &table->low, &table->span))
        return KD_OK;
    size_t slots = (size_t)table->span + 1;
    if (kdi_budget_is_tight(store->budget, slots * sizeof *table->slots))
        return KD_OK;
    table->slots = kd_heap_alloc(ctx, table->account, slots * sizeof *table->slots);
    if (table->slots == NULL)
        return KD_NOMEM;
    direct_chain(table, store);
    table->is_direct = true;
    *out_done = true;
    return KD_OK;
}

static void hash_chain(kdi_join_table *table, const kdi_row_store *store)
{
    uint64_t address_mask = ((uint64_t)1 << 48) - 1;
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        for (uint32_t i = 0; i < page->row_count; i++) {
            char *row = kdi_page_row(store, page, i);
            if (kd_load_u64(row + 8) != 0)
                continue;
            uint64_t hash = kdi_row_hash(row);
            uint64_t *slot = &table->slots[hash >> table->shift];
            kd_store_u64(row + 8, *slot & address_mask);
            *slot = (*slot & ~address_mask) | kdi_join_tag(hash) | (uint64_t)(uintptr_t)row;
        }
    }
}

kd_status kdi_join_table_build(kd_ctx *ctx, kdi_join_table *table, kdi_row_store *store,
                               bool is_one_key)
{
    *table = (kdi_join_table){.world = ctx->world,
                              .account = kd_governor_account(store->budget->governor),
                              .store = store};
    bool done = false;
    if (is_one_key)
        KD_TRY(direct_build(ctx, table, store, &done));
    if (done)
        return KD_OK;
    uint32_t bits = SLOT_BITS_MIN;
    while (((uint64_t)1 << bits) < store->row_count + store->row_count / 2)
        bits++;
    table->shift = 64 - bits;
    table->slots = kd_heap_alloc(ctx, table->account, ((size_t)1 << bits) * sizeof *table->slots);
    if (table->slots == NULL)
        return KD_NOMEM;
    hash_chain(table, store);
    return KD_OK;
}

void kdi_join_table_clear(kdi_join_table *table)
{
    if (table->world == NULL)
        return;
    kd_heap_free(table->world, table->account, table->slots);
    table->slots = NULL;
}
