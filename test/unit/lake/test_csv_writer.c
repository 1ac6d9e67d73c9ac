/*
 * Goal: what the writers write is what PostgreSQL's COPY TO writes, and reads back the same.
 * Method: a batch of awkward values, compared with the expected text.
 */
#include "lake/csv_writer.h"
#include "lake/ndjson_writer.h"
#include "lake_text.h"

enum { ROW_COUNT = 5 };

static const kd_text_settings SETTINGS = {.extra_float_digits = 1};
static const kd_slice NAMES[] = {{"n", 1}, {"the text", 8}};

static kd_batch batch_make(kd_ctx *ctx, kd_arena *arena, kd_vector columns[2])
{
    static const char *const TEXTS[ROW_COUNT] = {"plain", "a,b", "q\"q", "two\nlines\t\\", ""};
    CHECK_STATUS(ctx,
                 kd_vector_init_flat(ctx, arena, kd_type_of(KD_TYPE_INT4), ROW_COUNT, &columns[0]));
    CHECK_STATUS(ctx,
                 kd_vector_init_flat(ctx, arena, kd_type_of(KD_TYPE_TEXT), ROW_COUNT, &columns[1]));
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        kd_value number = kd_value_i32((int32_t)i * -7);
        kd_value text = kd_value_text(kd_slice_of(TEXTS[i]));
        kd_vector_set(&columns[0], i, &number);
        kd_vector_set(&columns[1], i, &text);
    }
    kd_vector_set_null(&columns[0], 2);
    return (kd_batch){
        .row_count = ROW_COUNT, .selected_count = ROW_COUNT, .column_count = 2, .columns = columns};
}

static void check_csv(const kd_csv_write_options *options, const char *expected)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    kd_vector columns[2];
    kd_batch batch = batch_make(&ctx, arena, columns);
    kd_buffer out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_csv_write_header(&ctx, options, NAMES, 2, &out));
    CHECK_STATUS(&ctx, kd_csv_write_batch(&ctx, options, &SETTINGS, &batch, &out));
    CHECK_SLICE(kd_buffer_slice(&out), expected);
    kd_arena_destroy(arena);
}

TEST(csv_writer_quotes_what_needs_it)
{
    kd_csv_write_options options = {0};
    check_csv(&options, "n,the text\n0,plain\n-7,\"a,b\"\n,\"q\"\"q\"\n"
                        "-21,\"two\nlines\t\\\"\n-28,\"\"\n");
    options.quote_all = true;
    options.delimiter = ';';
    check_csv(&options, "n;the text\n\"0\";\"plain\"\n\"-7\";\"a,b\"\n;\"q\"\"q\"\n"
                        "\"-21\";\"two\nlines\t\\\"\n\"-28\";\"\"\n");
}

TEST(csv_writer_text_format_escapes)
{
    kd_csv_write_options options = {.format = KD_CSV_TEXT};
    check_csv(&options,
              "n\tthe text\n0\tplain\n-7\ta,b\n\\N\tq\"q\n-21\ttwo\\nlines\\t\\\\\n-28\t\n");
}

TEST(csv_writer_output_reads_back)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    kd_vector columns[2];
    kd_batch batch = batch_make(&ctx, arena, columns);
    kd_buffer written = kd_buffer_in(arena), direct = kd_buffer_in(arena),
              back = kd_buffer_in(arena);
    kd_csv_write_options options = {0};
    CHECK_STATUS(&ctx, kd_csv_write_batch(&ctx, &options, &SETTINGS, &batch, &written));
    CHECK_STATUS(&ctx, batch_to_text(&ctx, &batch, &direct));
    kd_import_column types[] = {{.name = {"n", 1}, .type = kd_type_of(KD_TYPE_INT4)},
                                {.name = {"t", 1}, .type = kd_type_of(KD_TYPE_TEXT)}};
    kd_csv_options read = {
        .delimiter = ',', .header = KD_CSV_HEADER_NO, .columns = types, .column_count = 2};
    CHECK_STATUS(&ctx, csv_to_text(&ctx, arena, kd_buffer_slice(&written), &read, &back, NULL));
    kd_slice expected = kd_buffer_slice(&direct);
    CHECK(kd_slice_equal(kd_buffer_slice(&back), expected));
    kd_arena_destroy(arena);
}

TEST(ndjson_writer_escapes_and_keeps_numbers)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(arena != NULL);
    kd_vector columns[2];
    kd_batch batch = batch_make(&ctx, arena, columns);
    static const uint16_t SELECTION[] = {2, 3};
    batch.selection = SELECTION;
    batch.selected_count = 2;
    kd_buffer out = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_ndjson_write_batch(&ctx, &SETTINGS, NAMES, &batch, &out));
    CHECK_SLICE(kd_buffer_slice(&out), "{\"n\":null,\"the text\":\"q\\\"q\"}\n"
                                       "{\"n\":-21,\"the text\":\"two\\nlines\\t\\\\\"}\n");
    kd_arena_destroy(arena);
}
