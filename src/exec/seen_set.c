/*
 * Sets of rows seen: adding batches, in memory and on disk.
 */
#include "exec/seen_set_internal.h"

#include "exec/keep_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 1024, TAG_SHIFT = 48, ROW_BITS = 16 };

/* A slot that is taken is never 0: places count from 1. */
static uint64_t slot_make(uint64_t hash, uint32_t page, uint32_t row)
{
    uint64_t place = (((uint64_t)page << ROW_BITS) | row) + 1;
    assert(place >> TAG_SHIFT == 0);
    return (hash >> TAG_SHIFT << TAG_SHIFT) | place;
}

static uint64_t slot_place(uint64_t slot)
{
    return (slot & (((uint64_t)1 << TAG_SHIFT) - 1)) - 1;
}

static bool slot_may_be(uint64_t slot, uint64_t hash)
{
    return slot >> TAG_SHIFT == hash >> TAG_SHIFT;
}

kd_status kdi_seen_set_init(kd_ctx *ctx, kd_arena *arena, kdi_seen_set *set, kdi_budget *budget,
                            const kdi_row_layout *layout)
{
    *set = (kdi_seen_set){
        .candidates = KD_NEW_ARRAY(ctx, arena, kdi_seen_candidate, KD_BATCH_ROWS),
        .rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS),
    };
    if (set->candidates == NULL || set->rows == NULL)
        return KD_NOMEM;
    return kdi_group_table_init(ctx, arena, &set->table, budget, layout, layout->column_count);
}

void kdi_seen_set_clear(kdi_seen_set *set)
{
    kdi_row_reader_clear(&set->reader);
    kdi_group_table_clear(&set->table);
}

static void slot_insert(kdi_group_table *table, uint64_t hash, uint32_t page, uint32_t row)
{
    uint64_t at = hash & table->slot_mask;
    while (table->slots[at] != 0)
        at = (at + 1) & table->slot_mask;
    table->slots[at] = slot_make(hash, page, row);
}

/* Makes slots for all rows and `more`, reading the rows' hashes. */
static kd_status slots_rebuild(kd_ctx *ctx, kdi_seen_set *set, uint64_t more)
{
    kdi_group_table *table = &set->table;
    uint64_t count = SLOTS_MIN;
    while (count < (table->store.row_count + more) * 2)
        count *= 2;
    uint64_t *slots = kd_heap_alloc(ctx, table->account, count * sizeof *slots);
    if (slots == NULL)
        return KD_NOMEM;
    kd_heap_free(table->world, table->account, table->slots);
    table->slots = slots;
    table->slot_mask = count - 1;
    for (uint32_t p = 0; p < table->store.page_count; p++) {
        const kdi_page *page;
        KD_TRY(kdi_row_reader_page(ctx, &set->reader, p, &page));
        for (uint32_t r = 0; r < page->row_count; r++)
            slot_insert(table, kdi_row_hash(kdi_page_row(&table->store, page, r)), p, r);
    }
    return KD_OK;
}

static kd_status room_make(kd_ctx *ctx, kdi_seen_set *set, uint32_t more)
{
    enum { PAGES_MIN = 4 };
    kdi_row_store *store = &set->table.store;
    if (!set->is_on_disk) {
        if (store->page_count < PAGES_MIN || !kdi_budget_is_tight(store->budget, 0))
            return KD_OK;
        set->is_on_disk = true;
        kdi_row_reader_init(&set->reader, ctx->world, store);
        KD_TRY(slots_rebuild(ctx, set, more));
    }
    KD_TRY(kdi_keep_make_room(ctx, store));
    if ((store->row_count + more) * 3 / 2 > set->table.slot_mask)
        return slots_rebuild(ctx, set, store->row_count + more);
    return KD_OK;
}

static int candidate_compare(const void *a, const void *b)
{
    uint64_t left = ((const kdi_seen_candidate *)a)->place;
    uint64_t right = ((const kdi_seen_candidate *)b)->place;
    return left < right ? -1 : left > right;
}

/* Whether the row at a place is the view row at `position`. */
static kd_status place_matches(kd_ctx *ctx, kdi_seen_set *set, const kdi_view *views,
                               const uint64_t *hashes, const kdi_seen_candidate *candidate,
                               bool *out_matches)
{
    kdi_row_store *store = &set->table.store;
    const kdi_page *page;
    KD_TRY(kdi_row_reader_page(ctx, &set->reader, (uint32_t)(candidate->place >> ROW_BITS), &page));
    char *row =
        kdi_page_row(store, page, (uint32_t)(candidate->place & (((uint64_t)1 << ROW_BITS) - 1)));
    uint16_t position = candidate->position;
    uint32_t equal = kdi_row_hash(row) == hashes[position];
    for (uint32_t k = 0; k < store->layout->column_count && equal > 0; k++)
        equal = kdi_rows_match(store->layout, k, &views[k], &position, &row, 1);
    *out_matches = equal > 0;
    return KD_OK;
}

/* From `slot` on, the first that may hold the row; false when there is none. */
static bool candidate_find(const kdi_seen_set *set, uint64_t hash, uint64_t slot,
                           kdi_seen_candidate *out)
{
    const kdi_group_table *table = &set->table;
    while (table->slots[slot] != 0 && !slot_may_be(table->slots[slot], hash))
        slot = (slot + 1) & table->slot_mask;
    if (table->slots[slot] == 0)
        return false;
    out->slot = slot;
    out->place = slot_place(table->slots[slot]);
    return true;
}

/* Bits of the batch's rows that are not among the rows on disk. */
static kd_status unknown_find(kd_ctx *ctx, kdi_seen_set *set, const kdi_view *views,
                              const uint64_t *hashes, uint32_t count, uint64_t *unknown)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < count; i++) {
        kdi_seen_candidate *candidate = &set->candidates[open];
        candidate->position = (uint16_t)i;
        if (candidate_find(set, hashes[i], hashes[i] & set->table.slot_mask, candidate))
            open++;
        else
            kd_bit_set(unknown, i);
    }
    while (open > 0) {
        qsort(set->candidates, open, sizeof *set->candidates, candidate_compare);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open; i++) {
            kdi_seen_candidate candidate = set->candidates[i];
            bool matches;
            KD_TRY(place_matches(ctx, set, views, hashes, &candidate, &matches));
            if (matches)
                continue;
            uint64_t hash = hashes[candidate.position];
            if (candidate_find(set, hash, (candidate.slot + 1) & set->table.slot_mask, &candidate))
                set->candidates[kept++] = candidate;
            else
                kd_bit_set(unknown, candidate.position);
        }
        open = kept;
    }
    return KD_OK;
}

/* Adds a row that no batch before this one had, unless this one had it. */
static kd_status unknown_add(kd_ctx *ctx, kdi_seen_set *set, const kdi_view *views,
                             const uint64_t *hashes, uint16_t position, uint64_t first_new,
                             bool *out_is_new)
{
    kdi_group_table *table = &set->table;
    uint64_t hash = hashes[position];
    kdi_seen_candidate candidate = {.position = position};
    uint64_t slot = hash & table->slot_mask;
    *out_is_new = false;
    while (candidate_find(set, hash, slot, &candidate)) {
        bool matches = false;
        if (candidate.place >= first_new)
            KD_TRY(place_matches(ctx, set, views, hashes, &candidate, &matches));
        if (matches)
            return KD_OK;
        slot = (candidate.slot + 1) & table->slot_mask;
    }
    uint32_t appended;
    char *row;
    KD_TRY(kdi_row_store_append(ctx, &table->store, views, &position, 1, true, &row, &appended));
    kd_store_u64(row, hash);
    kd_store_u64(row + 8, 0);
    uint32_t page = table->store.page_count - 1;
    slot_insert(table, hash, page, table->store.pages[page].row_count - 1);
    *out_is_new = true;
    return KD_OK;
}

kd_status kdi_seen_set_add(kd_ctx *ctx, kdi_seen_set *set, const kdi_view *views,
                           const uint64_t *hashes, uint32_t count, uint16_t *out_fresh,
                           uint32_t *out_fresh_count)
{
    *out_fresh_count = 0;
    KD_TRY(room_make(ctx, set, count));
    if (!set->is_on_disk)
        return kdi_group_table_find(ctx, &set->table, views, hashes, count, set->rows, out_fresh,
                                    out_fresh_count);
    uint64_t unknown[KDI_BATCH_WORDS] = {0};
    KD_TRY(unknown_find(ctx, set, views, hashes, count, unknown));
    const kdi_row_store *store = &set->table.store;
    uint64_t first_new = 0;
    if (store->page_count > 0)
        first_new = ((uint64_t)(store->page_count - 1) << ROW_BITS) |
                    store->pages[store->page_count - 1].row_count;
    for (uint32_t i = 0; i < count; i++) {
        bool is_new = false;
        if (kd_bit_get(unknown, i))
            KD_TRY(unknown_add(ctx, set, views, hashes, (uint16_t)i, first_new, &is_new));
        if (is_new)
            out_fresh[(*out_fresh_count)++] = (uint16_t)i;
    }
    return KD_OK;
}
