/*
 * Group tables: open addressing with linear steps over tagged addresses.
 */
#include "exec/group_table_internal.h"

#include <assert.h>

enum { SLOTS_MIN = 64, TAG_SHIFT = 48, PREFETCH_SLOTS_MIN = 1 << 13 };

static uint64_t slot_tag(uint64_t hash)
{
    return hash & ~(((uint64_t)1 << TAG_SHIFT) - 1);
}

static char *slot_row(uint64_t slot)
{
    return (char *)(uintptr_t)(slot & (((uint64_t)1 << TAG_SHIFT) - 1));
}

static uint64_t slot_make(uint64_t hash, const char *row)
{
    return slot_tag(hash) | (uint64_t)(uintptr_t)row;
}

kd_status kdi_group_table_init(kd_ctx *ctx, kd_arena *arena, kdi_group_table *table,
                               kdi_budget *budget, const kdi_row_layout *layout, uint32_t key_count)
{
    *table =
        (kdi_group_table){.world = ctx->world, .account = &budget->account, .key_count = key_count};
    kdi_row_store_init(&table->store, budget, layout);
    table->match_rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    table->open = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    table->fresh = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    table->match = KD_NEW_ARRAY(ctx, arena, uint16_t, KD_BATCH_ROWS);
    table->slot_of = KD_NEW_ARRAY(ctx, arena, uint32_t, KD_BATCH_ROWS);
    if (table->match_rows == NULL || table->open == NULL || table->fresh == NULL ||
        table->match == NULL || table->slot_of == NULL)
        return KD_NOMEM;
    return KD_OK;
}

void kdi_group_table_clear(kdi_group_table *table)
{
    if (table->world == NULL)
        return;
    kdi_row_store_clear(table->world, &table->store);
    kd_heap_free(table->world, table->account, table->slots);
    table->slots = NULL;
    table->slot_mask = 0;
}

void kdi_group_table_forget(kdi_group_table *table)
{
    if (table->slots != NULL)
        memset(table->slots, 0, (table->slot_mask + 1) * sizeof *table->slots);
}

static void slot_insert(kdi_group_table *table, uint64_t hash, const char *row)
{
    uint64_t at = hash & table->slot_mask;
    while (table->slots[at] != 0)
        at = (at + 1) & table->slot_mask;
    table->slots[at] = slot_make(hash, row);
}

/* Room for `more` groups at a load of at most one half. */
static kd_status slots_reserve(kd_ctx *ctx, kdi_group_table *table, uint64_t more)
{
    uint64_t needed = (table->store.row_count + more) * 2;
    uint64_t count = table->slots == NULL ? 0 : table->slot_mask + 1;
    if (needed <= count)
        return KD_OK;
    uint64_t new_count = count == 0 ? SLOTS_MIN : count;
    while (new_count < needed)
        new_count *= 2;
    if (new_count > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "too many groups");
    uint64_t *slots = kd_heap_alloc(ctx, table->account, new_count * sizeof *slots);
    if (slots == NULL)
        return KD_NOMEM;
    uint64_t *old = table->slots;
    table->slots = slots;
    table->slot_mask = new_count - 1;
    for (uint64_t i = 0; i < count; i++)
        if (old[i] != 0)
            slot_insert(table, kdi_row_hash(slot_row(old[i])), slot_row(old[i]));
    kd_heap_free(table->world, table->account, old);
    return KD_OK;
}

kd_status kdi_group_table_index(kd_ctx *ctx, kdi_group_table *table)
{
    kdi_row_cursor cursor = {0};
    char *row;
    KD_TRY(slots_reserve(ctx, table, 0));
    while (kdi_row_store_next(&table->store, &cursor, 1, &row) == 1)
        slot_insert(table, kdi_row_hash(row), row);
    return KD_OK;
}

/* Finds each open row's next slot: free (taken for it, marked by position + 1) or of the same tag.
 */
static void slots_probe(kdi_group_table *table, const uint64_t *hashes, uint32_t open_count,
                        uint32_t *out_fresh, uint32_t *out_match)
{
    uint64_t *slots = table->slots;
    uint64_t mask = table->slot_mask;
    uint32_t fresh = 0, match = 0;
    if (mask >= PREFETCH_SLOTS_MIN)
        for (uint32_t i = 0; i < open_count; i++)
            __builtin_prefetch(&slots[table->slot_of[table->open[i]]], 1);
    for (uint32_t i = 0; i < open_count; i++) {
        uint16_t position = table->open[i];
        uint64_t hash = hashes[position];
        uint64_t at = table->slot_of[position];
        while (slots[at] != 0 && slot_tag(slots[at]) != slot_tag(hash))
            at = (at + 1) & mask;
        table->slot_of[position] = (uint32_t)at;
        if (slots[at] == 0) {
            slots[at] = slot_make(hash, NULL) | (uint64_t)(position + 1);
            table->fresh[fresh++] = position;
        } else {
            __builtin_prefetch(slot_row(slots[at]), 1);
            table->match[match++] = position;
        }
    }
    *out_fresh = fresh;
    *out_match = match;
}

static kd_status fresh_append(kd_ctx *ctx, kdi_group_table *table, const kdi_view *views,
                              const uint64_t *hashes, uint32_t fresh_count, char **out_rows)
{
    const kdi_row_layout *layout = table->store.layout;
    char **rows = table->match_rows;
    uint32_t appended = 0;
    kd_status status = kdi_row_store_append(ctx, &table->store, views, table->fresh, fresh_count,
                                            true, rows, &appended);
    if (status != KD_OK) {
        for (uint32_t i = 0; i < fresh_count; i++)
            table->slots[table->slot_of[table->fresh[i]]] = 0;
        return status;
    }
    assert(appended == fresh_count);
    for (uint32_t i = 0; i < fresh_count; i++) {
        uint16_t position = table->fresh[i];
        uint64_t hash = hashes[position];
        char *row = rows[i];
        kd_store_u64(row, hash);
        kd_store_u64(row + 8, 0);
        memset(row + layout->extra_offset, 0, layout->row_bytes - layout->extra_offset);
        table->slots[table->slot_of[position]] = slot_make(hash, row);
        out_rows[position] = row;
    }
    return KD_OK;
}

/* Sorts the candidates into found (out_rows) and still open, which go on at the next slot. */
static uint32_t matches_compare(kdi_group_table *table, const kdi_view *views,
                                const uint64_t *hashes, uint32_t match_count, char **out_rows)
{
    uint32_t count = 0;
    uint16_t *open = table->open;
    uint32_t open_count = 0;
    uint16_t candidates[KD_BATCH_ROWS];
    for (uint32_t i = 0; i < match_count; i++) {
        uint16_t position = table->match[i];
        char *row = slot_row(table->slots[table->slot_of[position]]);
        out_rows[position] = NULL;
        if (kdi_row_hash(row) != hashes[position])
            continue;
        candidates[count] = position;
        table->match_rows[count++] = row;
    }
    for (uint32_t k = 0; k < table->key_count && count > 0; k++)
        count =
            kdi_rows_match(table->store.layout, k, &views[k], candidates, table->match_rows, count);
    for (uint32_t i = 0; i < count; i++)
        out_rows[candidates[i]] = table->match_rows[i];
    for (uint32_t i = 0; i < match_count; i++) {
        uint16_t position = table->match[i];
        if (out_rows[position] != NULL)
            continue;
        table->slot_of[position] = (uint32_t)((table->slot_of[position] + 1) & table->slot_mask);
        open[open_count++] = position;
    }
    return open_count;
}

kd_status kdi_group_table_find(kd_ctx *ctx, kdi_group_table *table, const kdi_view *views,
                               const uint64_t *hashes, uint32_t count, char **out_rows,
                               uint16_t *out_fresh, uint32_t *out_fresh_count)
{
    KD_TRY(slots_reserve(ctx, table, count));
    for (uint32_t i = 0; i < count; i++) {
        table->open[i] = (uint16_t)i;
        table->slot_of[i] = (uint32_t)(hashes[i] & table->slot_mask);
    }
    uint64_t fresh_rows[KDI_BATCH_WORDS] = {0};
    uint32_t open_count = count;
    while (open_count > 0) {
        uint32_t fresh_count, match_count;
        slots_probe(table, hashes, open_count, &fresh_count, &match_count);
        if (fresh_count > 0)
            KD_TRY(fresh_append(ctx, table, views, hashes, fresh_count, out_rows));
        for (uint32_t i = 0; out_fresh != NULL && i < fresh_count; i++)
            kd_bit_set(fresh_rows, table->fresh[i]);
        open_count = matches_compare(table, views, hashes, match_count, out_rows);
    }
    if (out_fresh == NULL)
        return KD_OK;
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        out_fresh[total] = (uint16_t)i;
        total += kd_bit_get(fresh_rows, i);
    }
    *out_fresh_count = total;
    return KD_OK;
}

void kdi_group_table_lookup(kdi_group_table *table, const kdi_view *views, const uint64_t *hashes,
                            uint32_t count, char **out_rows)
{
    const uint64_t *slots = table->slots;
    uint32_t open_count = slots == NULL ? 0 : count;
    for (uint32_t i = 0; i < count; i++) {
        out_rows[i] = NULL;
        table->open[i] = (uint16_t)i;
        table->slot_of[i] = (uint32_t)(hashes[i] & table->slot_mask);
    }
    while (open_count > 0) {
        uint32_t match_count = 0;
        for (uint32_t i = 0; i < open_count; i++) {
            uint16_t position = table->open[i];
            uint64_t at = table->slot_of[position];
            while (slots[at] != 0 && slot_tag(slots[at]) != slot_tag(hashes[position]))
                at = (at + 1) & table->slot_mask;
            table->slot_of[position] = (uint32_t)at;
            if (slots[at] != 0)
                table->match[match_count++] = position;
        }
        open_count = matches_compare(table, views, hashes, match_count, out_rows);
    }
}

kd_status kdi_group_table_adopt(kd_ctx *ctx, kdi_group_table *table, const char *row,
                                char **out_row, bool *out_is_new)
{
    *out_row = NULL;
    *out_is_new = false;
    KD_TRY(slots_reserve(ctx, table, 1));
    uint64_t hash = kdi_row_hash(row);
    uint64_t at = hash & table->slot_mask;
    for (; table->slots[at] != 0; at = (at + 1) & table->slot_mask) {
        if (slot_tag(table->slots[at]) != slot_tag(hash))
            continue;
        char *other = slot_row(table->slots[at]);
        if (kdi_row_hash(other) == hash &&
            kdi_row_columns_equal(table->store.layout, row, other, 0, table->key_count)) {
            *out_row = other;
            return KD_OK;
        }
    }
    KD_TRY(kdi_row_store_copy(ctx, &table->store, row, true, out_row));
    table->slots[at] = slot_make(hash, *out_row);
    *out_is_new = true;
    return KD_OK;
}
