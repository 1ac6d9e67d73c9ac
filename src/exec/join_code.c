/*
 * Hash joins by dictionary codes.
 */
#include "exec/join_code_internal.h"

#include "base/hash.h"

enum { CODES_MAX = 65536, CODES_PER_ROW = 8 };

kd_status kdi_join_codes_create(kd_ctx *ctx, kd_arena *arena, uint32_t column_count,
                                kdi_join_codes **out_codes)
{
    kdi_join_codes *codes = KD_NEW(ctx, arena, kdi_join_codes);
    *out_codes = codes;
    if (codes == NULL)
        return KD_NOMEM;
    codes->column_count = column_count;
    codes->arena = kd_arena_create(ctx, arena, "join codes", KD_ARENA_UNLIMITED);
    codes->columns = KD_NEW_ARRAY(ctx, arena, kd_vector, column_count);
    codes->ids = KD_NEW_ARRAY(ctx, arena, uint64_t, column_count);
    if (codes->arena == NULL || codes->columns == NULL || codes->ids == NULL)
        return KD_NOMEM;
    return KD_OK;
}

/* The only match of an entry, or NULL; `*out_several` when there are more. */
static char *entry_match(const kdi_join_table *table, const kdi_row_layout *layout,
                         const kdi_view *view, uint16_t position, uint64_t hash, bool *out_several)
{
    char *match = NULL;
    char *row = table->is_direct ? kdi_join_table_of_key(table, kdi_view_integer(view, position))
                                 : kdi_join_table_first(table, hash);
    for (; row != NULL; row = kdi_join_row_next(row)) {
        uint16_t subset = position;
        char *candidate = row;
        if (kdi_row_hash(row) != hash ||
            kdi_rows_match(layout, 0, view, &subset, &candidate, 1) == 0)
            continue;
        *out_several |= match != NULL;
        match = row;
    }
    return match;
}

static void entry_fill(kdi_join_codes *codes, const kdi_row_layout *layout, uint32_t code,
                       char *match)
{
    uint16_t position = (uint16_t)code;
    codes->matched[code] = match != NULL;
    codes->all_matched = codes->all_matched && match != NULL;
    for (uint32_t c = 0; c < codes->column_count; c++) {
        if (match == NULL)
            kd_vector_set_null(&codes->columns[c], code);
        else
            kdi_rows_gather(layout, 1 + c, &match, &position, 1, &codes->columns[c]);
    }
}

/* Entries start .. start + count - 1 of the dictionary. */
static kd_status chunk_fill(kd_ctx *ctx, kdi_join_codes *codes, const kdi_join_table *table,
                            const kdi_row_layout *layout, const kd_vector *dictionary,
                            uint32_t start, uint32_t count, bool *out_several)
{
    kd_vector slice = *dictionary;
    kdi_view view = {0};
    uint64_t *hashes = KD_NEW_ARRAY(ctx, codes->arena, uint64_t, count);
    if (hashes == NULL)
        return KD_NOMEM;
    slice.values = (char *)slice.values + start * kd_physical_bytes((kd_physical)slice.physical);
    if (slice.validity != NULL)
        slice.validity += start / 64;
    KD_TRY(kdi_view_open(ctx, codes->arena, &view, &slice, NULL, count));
    kdi_view_hash(&view, count, false, hashes);
    for (uint32_t i = 0; i < count && !*out_several; i++) {
        char *match = NULL;
        if (!kd_vector_is_null(&slice, i))
            match = entry_match(table, layout, &view, (uint16_t)i, hashes[i], out_several);
        entry_fill(codes, layout, start + i, match);
    }
    return KD_OK;
}

/* Room for the answers of so many codes. */
static kd_status codes_reserve(kd_ctx *ctx, kdi_join_codes *codes, const kdi_row_layout *layout,
                               uint32_t entries)
{
    kd_arena_reset(codes->arena);
    codes->is_of_slots = false;
    codes->dictionary_id = 0;
    codes->matched = KD_NEW_ARRAY(ctx, codes->arena, uint8_t, entries);
    if (codes->matched == NULL)
        return KD_NOMEM;
    codes->all_matched = true;
    for (uint32_t c = 0; c < codes->column_count; c++) {
        kd_vector *column = &codes->columns[c];
        KD_TRY(kd_vector_init_flat(ctx, codes->arena, layout->types[1 + c], entries, column));
        memset(column->values, 0, entries * kd_physical_bytes((kd_physical)column->physical));
    }
    return KD_OK;
}

/* Nothing else of this statement may take them for dictionaries that it knows. */
static void ids_draw(kdi_join_codes *codes, kdi_shared *shared, uint64_t seed)
{
    for (uint32_t c = 0; c < codes->column_count; c++) {
        uint64_t serial = atomic_fetch_add(&shared->dictionaries_made, 1) + 1;
        codes->ids[c] = kd_hash_u64(kd_hash_u64(serial) ^ seed) | 1;
    }
}

static kd_status codes_fill(kd_ctx *ctx, kdi_join_codes *codes, const kdi_join_table *table,
                            const kdi_row_layout *layout, const kd_vector *key, bool *out_several)
{
    uint32_t entries = key->dictionary_count;
    KD_TRY(codes_reserve(ctx, codes, layout, entries));
    for (uint32_t start = 0; start < entries && !*out_several; start += KD_BATCH_ROWS) {
        uint32_t count = entries - start < KD_BATCH_ROWS ? entries - start : KD_BATCH_ROWS;
        KD_TRY(chunk_fill(ctx, codes, table, layout, key->dictionary, start, count, out_several));
    }
    return KD_OK;
}

kd_status kdi_join_codes_open(kd_ctx *ctx, kdi_join_codes *codes, kdi_shared *shared,
                              const kdi_join_table *table, const kdi_row_layout *layout,
                              const kd_vector *key, uint32_t row_count, bool *out_done)
{
    *out_done = false;
    if (key->form != KD_VECTOR_DICT || key->dictionary_id == 0 ||
        key->dictionary_id == codes->failed_id)
        return KD_OK;
    if (key->dictionary_id != codes->dictionary_id) {
        if (key->dictionary_count == 0 || key->dictionary_count > CODES_MAX ||
            key->dictionary_count > CODES_PER_ROW * row_count)
            return KD_OK;
        bool several = false;
        KD_TRY(codes_fill(ctx, codes, table, layout, key, &several));
        if (several) {
            codes->failed_id = key->dictionary_id;
            return KD_OK;
        }
        codes->dictionary_id = key->dictionary_id;
        ids_draw(codes, shared, key->dictionary_id);
    }
    *out_done = true;
    return KD_OK;
}

bool kdi_join_codes_fit(const kdi_join_table *table, const kd_vector *key)
{
    return table->is_direct && !table->has_chains && table->span < CODES_MAX &&
           key->form != KD_VECTOR_CONSTANT;
}

static kd_status slots_fill(kd_ctx *ctx, kdi_join_codes *codes, const kdi_join_table *table,
                            const kdi_row_layout *layout)
{
    uint32_t slots = (uint32_t)table->span;
    KD_TRY(codes_reserve(ctx, codes, layout, slots + 1));
    codes->slot_codes = kd_alloc_raw(ctx, codes->arena, KD_BATCH_ROWS * sizeof(uint16_t));
    if (codes->slot_codes == NULL)
        return KD_NOMEM;
    for (uint32_t slot = 0; slot < slots; slot++)
        entry_fill(codes, layout, slot, (char *)(uintptr_t)table->slots[slot]);
    entry_fill(codes, layout, slots, NULL);
    codes->is_of_slots = true;
    return KD_OK;
}

#define SLOT_LOOP(name, value_type)                                                            \
    static void name(const kdi_join_table *table, const kdi_view *view, const kd_batch *batch, \
                     uint16_t *codes)                                                          \
    {                                                                                          \
        const value_type *values = view->values;                                               \
        const uint32_t *index = view->index;                                                   \
        uint64_t low = (uint64_t)table->low, span = table->span;                               \
        for (uint32_t i = 0; i < batch->selected_count; i++) {                                 \
            uint64_t at = (uint64_t)(int64_t)values[index[i]] - low;                           \
            codes[kd_batch_row(batch, i)] = (uint16_t)(at < span ? at : span);                 \
        }                                                                                      \
    }
SLOT_LOOP(slots_i16, int16_t)
SLOT_LOOP(slots_i32, int32_t)
SLOT_LOOP(slots_i64, int64_t)
#undef SLOT_LOOP

static void slots_take(const kdi_join_table *table, const kdi_view *view, const kd_batch *batch,
                       uint16_t *codes)
{
    if (batch->selection != NULL) /* What is not selected has no match either. */
        for (uint32_t row = 0; row < batch->row_count; row++)
            codes[row] = (uint16_t)table->span;
    if (view->physical == KD_PHYS_I16)
        slots_i16(table, view, batch, codes);
    else if (view->physical == KD_PHYS_I32)
        slots_i32(table, view, batch, codes);
    else
        slots_i64(table, view, batch, codes);
    for (uint32_t i = 0; view->validity != NULL && i < batch->selected_count; i++)
        if (kdi_view_is_null(view, i))
            codes[kd_batch_row(batch, i)] = (uint16_t)table->span;
}

kd_status kdi_join_codes_of_slots(kd_ctx *ctx, kdi_join_codes *codes, kdi_shared *shared,
                                  const kdi_join_table *table, const kdi_row_layout *layout,
                                  const kd_batch *batch, const kdi_view *view, kd_vector *io_key,
                                  bool *out_done)
{
    *out_done = false;
    if (!codes->is_of_slots) {
        codes->probed_rows += batch->selected_count;
        if (codes->probed_rows < table->span)
            return KD_OK;
        KD_TRY(slots_fill(ctx, codes, table, layout));
        ids_draw(codes, shared, table->span);
    }
    slots_take(table, view, batch, codes->slot_codes);
    *io_key = (kd_vector){.form = KD_VECTOR_DICT,
                          .width_bytes = sizeof(uint16_t),
                          .values = codes->slot_codes,
                          .dictionary_count = (uint32_t)table->span + 1};
    *out_done = true;
    return KD_OK;
}

kd_vector kdi_join_codes_column(const kdi_join_codes *codes, const kd_vector *key, uint32_t c)
{
    kd_vector column = *key;
    column.type = codes->columns[c].type;
    column.physical = codes->columns[c].physical;
    column.validity = NULL;
    column.dictionary = &codes->columns[c];
    column.dictionary_id = codes->ids[c];
    return column;
}
