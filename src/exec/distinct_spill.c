/*
 * Finding duplicates by sorting hashes.
 */
#include "exec/distinct_spill_internal.h"

#include <assert.h>

enum { COLUMN_HASH, COLUMN_NUMBER, COLUMN_COUNT, COLUMN_KEYS };

/* A key of the hash at work. */
typedef struct head {
    char *row;
    int64_t count;
} head;

struct kdi_distinct_spill {
    const kd_plan *plan;
    kd_arena *arena;
    kdi_distinct_rule rule;
    kdi_distinct_shape shape;
    uint32_t column_count, first_column; /* Given. */
    kdi_row_layout layout;               /* Hash, number, count, keys, columns. */
    kdi_sort_column by_hash[2], by_number[1];
    kdi_sorter sorter;  /* By hash. */
    kdi_sorter ordered; /* What goes on, by number. */
    int64_t next_number;
    bool is_reading;
    /* Room for one batch. */
    kdi_view *views;
    kd_vector *columns;
    int64_t *numbers, *counts;
    uint64_t *hashes;
    char **rows;
    /* Keys met under `hash`, copied. */
    uint64_t hash;
    kdi_row_store head_rows;
    head *heads;
    size_t head_count, head_capacity;
};

static kd_status layout_make(kd_ctx *ctx, kdi_distinct_spill *spill)
{
    const kdi_distinct_shape *shape = &spill->shape;
    uint32_t total = COLUMN_KEYS + shape->key_count + shape->column_count;
    kd_type *types = KD_NEW_ARRAY(ctx, spill->arena, kd_type, total);
    if (types == NULL)
        return KD_NOMEM;
    types[COLUMN_HASH] = types[COLUMN_NUMBER] = types[COLUMN_COUNT] = kd_type_of(KD_TYPE_INT8);
    memcpy(types + COLUMN_KEYS, shape->types, (total - COLUMN_KEYS) * sizeof *types);
    spill->first_column = COLUMN_KEYS + (shape->keeps_order ? shape->key_count : 0);
    spill->column_count = total - spill->first_column;
    spill->views = KD_NEW_ARRAY(ctx, spill->arena, kdi_view, total);
    spill->columns = KD_NEW_ARRAY(ctx, spill->arena, kd_vector, total);
    if (spill->views == NULL || spill->columns == NULL)
        return KD_NOMEM;
    for (uint32_t c = COLUMN_KEYS; c < total; c++)
        KD_TRY(kdi_vector_create(ctx, spill->arena, types[c], &spill->columns[c]));
    return kdi_row_layout_init(ctx, spill->arena, types, total, false, 0, &spill->layout);
}

kd_status kdi_distinct_spill_create(kd_ctx *ctx, const kdi_op *op, kd_arena *arena,
                                    kdi_distinct_shape shape, kdi_distinct_rule rule,
                                    kdi_distinct_spill **out_spill)
{
    kdi_budget *budget = op->budget;
    kdi_distinct_spill *spill = KD_NEW(ctx, arena, kdi_distinct_spill);
    *out_spill = spill;
    if (spill == NULL)
        return KD_NOMEM;
    spill->plan = op->plan;
    spill->arena = arena;
    spill->rule = rule;
    spill->shape = shape;
    spill->numbers = KD_NEW_ARRAY(ctx, arena, int64_t, KD_BATCH_ROWS);
    spill->counts = KD_NEW_ARRAY(ctx, arena, int64_t, KD_BATCH_ROWS);
    spill->hashes = KD_NEW_ARRAY(ctx, arena, uint64_t, KD_BATCH_ROWS);
    spill->rows = KD_NEW_ARRAY(ctx, arena, char *, KD_BATCH_ROWS);
    if (spill->numbers == NULL || spill->counts == NULL || spill->hashes == NULL ||
        spill->rows == NULL)
        return KD_NOMEM;
    KD_TRY(layout_make(ctx, spill));
    spill->by_hash[0] = (kdi_sort_column){.column = COLUMN_HASH, .never_null = true};
    spill->by_hash[1] = spill->by_number[0] =
        (kdi_sort_column){.column = COLUMN_NUMBER, .never_null = true};
    kdi_sorter_init(&spill->sorter, ctx->world, budget, &spill->layout, spill->by_hash, 2);
    kdi_sorter_init(&spill->ordered, ctx->world, budget, &spill->layout, spill->by_number, 1);
    kdi_row_store_init(&spill->head_rows, budget, &spill->layout);
    return KD_OK;
}

void kdi_distinct_spill_destroy(kdi_distinct_spill *spill)
{
    if (spill == NULL)
        return;
    kdi_sorter_clear(&spill->sorter);
    kdi_sorter_clear(&spill->ordered);
    if (spill->sorter.world != NULL)
        kdi_row_store_clear(spill->sorter.world, &spill->head_rows);
}

static kd_vector numbers_vector(void *values)
{
    return (kd_vector){.type = kd_type_of(KD_TYPE_INT8),
                       .physical = KD_PHYS_I64,
                       .form = KD_VECTOR_FLAT,
                       .values = values};
}

/* Views of the three numbers of each row. */
static kd_status numbers_open(kd_ctx *ctx, kdi_distinct_spill *spill, const uint64_t *hashes,
                              uint32_t count)
{
    if (hashes != spill->hashes)
        memcpy(spill->hashes, hashes, count * sizeof *hashes);
    void *const values[] = {spill->hashes, spill->numbers, spill->counts};
    for (uint32_t c = COLUMN_HASH; c <= COLUMN_COUNT; c++) {
        kd_vector vector = numbers_vector(values[c]);
        KD_TRY(kdi_view_open(ctx, spill->arena, &spill->views[c], &vector, NULL, count));
    }
    return KD_OK;
}

static kd_status rows_append(kd_ctx *ctx, kdi_distinct_spill *spill, uint32_t count)
{
    uint32_t appended;
    return kdi_row_store_append(ctx, &spill->sorter.store, spill->views, NULL, count, true,
                                spill->rows, &appended);
}

/* Columns that the table does not have are NULL. */
static kd_status nulls_open(kd_ctx *ctx, kdi_distinct_spill *spill, uint32_t first)
{
    for (uint32_t c = first; c < spill->layout.column_count; c++) {
        kd_value null = kd_value_null(spill->layout.types[c]);
        kd_vector vector;
        KD_TRY(kd_vector_init_constant(ctx, spill->arena, &null, &vector));
        KD_TRY(kdi_view_open(ctx, spill->arena, &spill->views[c], &vector, NULL, KD_BATCH_ROWS));
    }
    return KD_OK;
}

/* Up to a batch of a table's groups, which are in spill->rows. */
static kd_status groups_append(kd_ctx *ctx, kdi_distinct_spill *spill, const kdi_row_layout *layout,
                               uint32_t count, bool are_judged)
{
    bool has_count = layout->row_bytes - layout->extra_offset >= sizeof(int64_t);
    for (uint32_t i = 0; i < count; i++) {
        const char *row = spill->rows[i];
        spill->hashes[i] = kdi_row_hash(row);
        spill->numbers[i] = are_judged ? spill->next_number++ : -1;
        spill->counts[i] = has_count ? (int64_t)kd_load_u64(row + layout->extra_offset) : 0;
    }
    KD_TRY(numbers_open(ctx, spill, spill->hashes, count));
    for (uint32_t c = 0; c < layout->column_count; c++) {
        kd_vector *column = &spill->columns[COLUMN_KEYS + c];
        kdi_rows_gather(layout, c, spill->rows, NULL, count, column);
        KD_TRY(
            kdi_view_open(ctx, spill->arena, &spill->views[COLUMN_KEYS + c], column, NULL, count));
    }
    return rows_append(ctx, spill, count);
}

kd_status kdi_distinct_spill_take(kd_ctx *ctx, kdi_distinct_spill *spill, kdi_group_table *table,
                                  bool are_judged)
{
    kdi_row_store *store = &table->store;
    KD_TRY(nulls_open(ctx, spill, COLUMN_KEYS + store->layout->column_count));
    for (uint32_t p = 0; p < store->page_count; p++) {
        const kdi_page *page = &store->pages[p];
        KD_TRY(kdi_sorter_make_room(ctx, &spill->sorter));
        for (uint32_t row = 0; row < page->row_count;) {
            uint32_t count = 0;
            while (count < KD_BATCH_ROWS && row < page->row_count)
                spill->rows[count++] = kdi_page_row(store, page, row++);
            KD_TRY(groups_append(ctx, spill, store->layout, count, are_judged));
        }
        kdi_row_store_drop_page(ctx->world, store, p);
    }
    kdi_group_table_clear(table);
    return KD_OK;
}

kd_status kdi_distinct_spill_add(kd_ctx *ctx, kdi_distinct_spill *spill, const kdi_view *views,
                                 const uint64_t *hashes, uint32_t count, int64_t weight)
{
    KD_TRY(kdi_sorter_make_room(ctx, &spill->sorter));
    for (uint32_t i = 0; i < count; i++) {
        spill->numbers[i] = weight != 0 ? -1 : spill->next_number++;
        spill->counts[i] = weight;
    }
    KD_TRY(numbers_open(ctx, spill, hashes, count));
    /* A view's room is its owner's: only what it shows is borrowed, until the rows are written. */
    for (uint32_t c = COLUMN_KEYS; c < spill->layout.column_count; c++) {
        kdi_view room = spill->views[c];
        spill->views[c] = views[c - COLUMN_KEYS];
        spill->views[c].index_room = room.index_room;
        spill->views[c].value_room = room.value_room;
        spill->views[c].validity_room = room.validity_room;
    }
    return rows_append(ctx, spill, count);
}

/* The head of the row's key, a new one when there is none. */
static kd_status head_get(kd_ctx *ctx, kdi_distinct_spill *spill, const char *row, head **out_head,
                          bool *out_is_fresh)
{
    uint64_t hash = kd_load_u64(kdi_row_at(&spill->layout, row, COLUMN_HASH));
    if (hash != spill->hash || spill->head_count == 0) {
        kdi_row_store_rewind(ctx->world, &spill->head_rows);
        spill->head_count = 0;
        spill->hash = hash;
    }
    *out_is_fresh = false;
    for (size_t i = 0; i < spill->head_count; i++) {
        *out_head = &spill->heads[i];
        if (kdi_row_columns_equal(&spill->layout, spill->heads[i].row, row, COLUMN_KEYS,
                                  spill->shape.key_count))
            return KD_OK;
    }
    *out_is_fresh = true;
    char *copy;
    KD_TRY(kdi_row_store_copy(ctx, &spill->head_rows, row, true, &copy));
    KD_TRY(KD_PUSH(ctx, spill->arena, spill->heads, spill->head_count, spill->head_capacity,
                   out_head));
    **out_head = (head){.row = copy};
    return KD_OK;
}

/* The next rows that go on, in the order of hashes; `*out_end` when all are through. */
static kd_status rows_judge(kd_ctx *ctx, kdi_distinct_spill *spill, uint32_t *out_count,
                            bool *out_end)
{
    uint32_t count, kept = 0;
    KD_TRY(kdi_sorter_next(ctx, &spill->sorter, spill->rows, &count));
    for (uint32_t i = 0; i < count; i++) {
        char *row = spill->rows[i];
        bool is_fresh;
        head *key;
        KD_TRY(head_get(ctx, spill, row, &key, &is_fresh));
        if ((int64_t)kd_load_u64(kdi_row_at(&spill->layout, row, COLUMN_NUMBER)) < 0) {
            key->count += (int64_t)kd_load_u64(kdi_row_at(&spill->layout, row, COLUMN_COUNT));
            continue;
        }
        spill->rows[kept] = row;
        kept += spill->rule == NULL ? is_fresh : spill->rule(spill->plan, &key->count, is_fresh);
    }
    *out_count = kept;
    *out_end = count == 0;
    return KD_OK;
}

/* All rows that go on, into the sorter by number. */
static kd_status rows_order(kd_ctx *ctx, kdi_distinct_spill *spill)
{
    bool end = false;
    while (!end) {
        uint32_t count;
        KD_TRY(rows_judge(ctx, spill, &count, &end));
        KD_TRY(kdi_sorter_make_room(ctx, &spill->ordered));
        for (uint32_t i = 0; i < count; i++) {
            char *copy;
            KD_TRY(kdi_row_store_copy(ctx, &spill->ordered.store, spill->rows[i], true, &copy));
        }
    }
    kdi_sorter_clear(&spill->sorter);
    return kdi_sorter_finish(ctx, &spill->ordered);
}

kd_status kdi_distinct_spill_next(kd_ctx *ctx, kdi_distinct_spill *spill, kd_batch *out)
{
    bool keeps_order = spill->shape.keeps_order;
    uint32_t count = 0;
    if (!spill->is_reading) {
        spill->is_reading = true;
        KD_TRY(kdi_sorter_finish(ctx, &spill->sorter));
        if (keeps_order)
            KD_TRY(rows_order(ctx, spill));
    }
    if (keeps_order)
        KD_TRY(kdi_sorter_next(ctx, &spill->ordered, spill->rows, &count));
    for (bool end = keeps_order; count == 0 && !end;)
        KD_TRY(rows_judge(ctx, spill, &count, &end));
    kd_vector *columns = spill->columns + spill->first_column;
    for (uint32_t c = 0; c < spill->column_count; c++)
        kdi_rows_gather(&spill->layout, spill->first_column + c, spill->rows, NULL, count,
                        &columns[c]);
    *out = (kd_batch){.row_count = count,
                      .selected_count = count,
                      .column_count = spill->column_count,
                      .columns = columns};
    return KD_OK;
}
