/*
 * Logs of rows: whatever is in memory or on disk, every row is found by its number.
 */
#include "exec/row_log.h"

#include "types/str.h"

#include "test.h"

#include <stdio.h>

enum { BATCHES = 40, ROWS = BATCHES * KD_BATCH_ROWS };

static void batch_make(kd_ctx *ctx, kd_arena *arena, uint64_t first, kd_vector *columns,
                       kd_batch *out)
{
    for (uint32_t i = 0; i < KD_BATCH_ROWS; i++) {
        kd_value number = kd_value_i64((int64_t)(first + i));
        char *text = kd_format_text(ctx, arena, "the text of row number %llu",
                                    (unsigned long long)(first + i));
        kd_value value = kd_value_text(kd_slice_of(text));
        kd_vector_set(&columns[0], i, &number);
        kd_vector_set(&columns[1], i, &value);
    }
    *out = (kd_batch){.row_count = KD_BATCH_ROWS,
                      .selected_count = KD_BATCH_ROWS,
                      .column_count = 2,
                      .columns = columns};
}

static void row_check(kd_ctx *ctx, kd_row_log *log, uint64_t row)
{
    kd_batch batch;
    char expected[64];
    CHECK_STATUS(ctx, kd_row_log_read(ctx, log, row, 3, &batch));
    CHECK(batch.selected_count >= 1 && batch.selected_count <= 3);
    CHECK_EQ(kd_vector_get(&batch.columns[0], 0).as.i64, row);
    kd_value text = kd_vector_get(&batch.columns[1], 0);
    int length =
        snprintf(expected, sizeof expected, "the text of row number %llu", (unsigned long long)row);
    CHECK_EQ(text.as.str.size_bytes, length);
    CHECK(memcmp(kd_str_data(&text.as.str), expected, (size_t)length) == 0);
}

TEST(rows_are_found_by_number)
{
    for (int round = 0; round < 2; round++) {
        kd_ctx ctx = test_ctx();
        kd_arena *arena = test_arena(&ctx);
        kd_governor *governor = kd_governor_create(&ctx, 64 << 20);
        kd_row_log_options options = {.governor = governor,
                                      .spill_directory = test_path("spill"),
                                      .memory_limit_bytes = round == 0 ? 0 : 1};
        kd_type types[2] = {kd_type_of(KD_TYPE_INT8), kd_type_of(KD_TYPE_TEXT)};
        kd_row_log *log;
        kd_vector columns[2];
        for (int c = 0; c < 2; c++)
            CHECK_STATUS(&ctx,
                         kd_vector_init_flat(&ctx, arena, types[c], KD_BATCH_ROWS, &columns[c]));
        CHECK_STATUS(&ctx, kd_row_log_create(&ctx, arena, &options, types, 2, &log));
        for (uint64_t first = 0; first < ROWS; first += KD_BATCH_ROWS) {
            kd_batch batch;
            batch_make(&ctx, arena, first, columns, &batch);
            CHECK_STATUS(&ctx, kd_row_log_append(&ctx, log, &batch));
            row_check(&ctx, log, first / 2);
            row_check(&ctx, log, first + KD_BATCH_ROWS - 1);
        }
        CHECK_EQ(kd_row_log_count(log), ROWS);
        for (uint64_t row = ROWS; row-- > 0;)
            row_check(&ctx, log, row);
        for (uint64_t row = 0; row < ROWS; row += 7001) {
            kd_row_log_forget(log, row);
            row_check(&ctx, log, row);
        }
        kd_batch none;
        CHECK_STATUS(&ctx, kd_row_log_read(&ctx, log, ROWS, 1, &none));
        CHECK_EQ(none.selected_count, 0);
        kd_row_log_destroy(log);
        kd_arena_destroy(arena);
        CHECK_EQ(kd_governor_used_bytes(governor), 0);
        kd_governor_destroy(governor);
    }
}
