/*
 * Sort entries against naive comparisons: keys that agree for long, texts that end within what the
 * others share, NULLs, every direction. The order of equal rows stays.
 */
#include "exec/sort_internal.h"

#include "plan_kit.h"

#include <stdio.h>

enum { ROWS = 3000, COLUMNS = 3 };

static kd_value value_of(kit *k, test_random *random, uint32_t column)
{
    static const uint32_t shared[] = {0, 3, 13, 14, 15, 16, 29, 30, 31, 44, 61, 90};
    kd_type type = kd_type_of(column == 1 ? KD_TYPE_INT4 : KD_TYPE_TEXT);
    if (test_random_below(random, 12) == 0)
        return kd_value_null(type);
    if (column == 1)
        return kd_value_i32((int32_t)test_random_below(random, 3) - 1);
    char text[128];
    uint32_t size = shared[test_random_below(random, sizeof shared / sizeof *shared)];
    memset(text, 'x', size);
    for (uint64_t more = test_random_below(random, 4); more > 0; more--)
        text[size++] = (char)('w' + test_random_below(random, 3));
    char *kept = kd_copy_text(&k->ctx, k->arena, text, size);
    CHECK(kept != NULL);
    return (kd_value){.type = type, .as.str = kd_str_from(kept, size)};
}

static void store_fill(kit *k, test_random *random, kdi_row_store *store)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        kdi_view views[COLUMNS] = {0};
        kd_vector vectors[COLUMNS];
        char *address;
        uint32_t appended;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            kd_value value = value_of(k, random, c);
            CHECK_STATUS(&k->ctx, kd_vector_init_constant(&k->ctx, k->arena, &value, &vectors[c]));
            CHECK_STATUS(&k->ctx,
                         kdi_view_open(&k->ctx, k->arena, &views[c], &vectors[c], NULL, 1));
        }
        CHECK_STATUS(&k->ctx, kdi_row_store_append(&k->ctx, store, views, NULL, 1, true, &address,
                                                   &appended));
    }
}

static int naive_compare(const kdi_sort_order *order, const char *a, const char *b)
{
    for (uint32_t i = 0; i < order->column_count; i++) {
        const kdi_sort_column *column = &order->columns[i];
        kd_value x = kdi_row_get(order->layout, a, column->column);
        kd_value y = kdi_row_get(order->layout, b, column->column);
        if (x.is_null || y.is_null) {
            if (x.is_null != y.is_null)
                return x.is_null == column->nulls_first ? -1 : 1;
            continue;
        }
        int compared = kd_value_compare(&x, &y);
        if (compared != 0)
            return column->descending ? -compared : compared;
    }
    return 0;
}

static void check_order(kit *k, const kdi_row_store *store, const kdi_sort_column *columns,
                        uint32_t column_count)
{
    static uint32_t numbers[ROWS];
    kdi_sort_order order = kdi_sort_order_of(store->layout, columns, column_count);
    kdi_sort_entry *entries;
    CHECK_STATUS(&k->ctx, kdi_sort_store(&k->ctx, store, &order, &entries));
    char *rows[ROWS];
    kdi_row_cursor cursor = {0};
    for (uint32_t got = 0, more = 1; more > 0; got += more)
        more = kdi_row_store_next(store, &cursor, ROWS - got, rows + got);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t at = 0;
        while (at < ROWS && rows[at] != entries[i].row)
            at++;
        CHECK(at < ROWS);
        numbers[i] = at;
        rows[at] = NULL; /* Every row comes once. */
    }
    for (uint32_t i = 1; i < ROWS; i++) {
        int compared = naive_compare(&order, entries[i - 1].row, entries[i].row);
        CHECK(compared < 0 || (compared == 0 && numbers[i - 1] < numbers[i]));
        CHECK(kdi_sort_compare(&order, &entries[i - 1], &entries[i]) <= 0);
    }
    kd_heap_free(k->ctx.world, &store->budget->account, entries);
}

TEST(keys_that_agree_for_long_are_sorted)
{
    kit *k = kit_open(0, 0);
    test_random random = {77};
    kd_type types[COLUMNS] = {kd_type_of(KD_TYPE_TEXT), kd_type_of(KD_TYPE_INT4),
                              kd_type_of(KD_TYPE_TEXT)};
    kdi_budget budget;
    kdi_row_layout layout;
    kdi_row_store store;
    kdi_budget_init(&budget, k->governor, SIZE_MAX);
    CHECK_STATUS(&k->ctx, kdi_row_layout_init(&k->ctx, k->arena, types, COLUMNS, true, 0, &layout));
    kdi_row_store_init(&store, &budget, &layout);
    store_fill(k, &random, &store);
    static const uint32_t orders[][COLUMNS] = {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}, {1, 2, 0}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        for (uint32_t turns = 0; turns < 8; turns++) {
            kdi_sort_column columns[COLUMNS];
            for (uint32_t c = 0; c < COLUMNS; c++)
                columns[c] = (kdi_sort_column){.column = orders[i][c],
                                               .descending = (turns >> c & 1) != 0,
                                               .nulls_first = (turns + c) % 3 == 0};
            check_order(k, &store, columns, 1 + turns % COLUMNS);
        }
    kdi_row_store_clear(k->ctx.world, &store);
    kit_close(k);
}
