/*
 * What payloads are made of comes back as it was, and bytes that nobody wrote are refused.
 */
#include "test.h"

#include "link/message_internal.h"

#include <string.h>

static kd_ctx ctx;
static kd_arena *arena;

static void begin(void)
{
    ctx = test_ctx();
    arena = test_arena(&ctx);
}

TEST(an_error_comes_back_whole)
{
    begin();
    char file[KDI_SOURCE_NAME_BYTES];
    kd_error error = {.status = KD_CONFLICT,
                      .sqlstate = "40001",
                      .os_error = 5,
                      .position = 17,
                      .file = "there.c",
                      .line = 33,
                      .message = "m",
                      .detail = "d",
                      .hint = "h",
                      .constraint = "c"};
    kd_error back;
    kd_buffer buffer = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kdi_error_put(&ctx, &error, &buffer));
    kd_reader reader = kd_reader_of(kd_buffer_slice(&buffer));
    CHECK_STATUS(&ctx, kdi_error_get(&ctx, &reader, &back, file));
    CHECK_EQ(back.status, KD_CONFLICT);
    CHECK_TEXT(back.sqlstate, "40001");
    CHECK_EQ(back.os_error, 5);
    CHECK_EQ(back.position, 17);
    CHECK_TEXT(back.file, "there.c");
    CHECK_EQ(back.line, 33);
    CHECK_TEXT(back.message, "m");
    CHECK_TEXT(back.detail, "d");
    CHECK_TEXT(back.hint, "h");
    CHECK_TEXT(back.constraint, "c");
    CHECK(reader.at == reader.end);
    for (size_t i = 0; i < buffer.size_bytes; i++) {
        reader = kd_reader_of((kd_slice){buffer.data, i});
        CHECK_FAILS(&ctx, kdi_error_get(&ctx, &reader, &back, file), "08P01");
    }
    kd_arena_destroy(arena);
}

TEST(parameters_come_back_as_they_were)
{
    begin();
    const kd_value values[] = {kd_value_i64(-7),
                               kd_value_text(KD_SLICE("a text longer than twelve bytes")),
                               kd_value_null(kd_type_of(KD_TYPE_DATE)), kd_value_bool(true)};
    kd_value *back;
    uint32_t count;
    kd_buffer buffer = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kdi_parameters_put(&ctx, values, 4, &buffer));
    kd_reader reader = kd_reader_of(kd_buffer_slice(&buffer));
    CHECK_STATUS(&ctx, kdi_parameters_get(&ctx, arena, &reader, &back, &count));
    CHECK_EQ(count, 4);
    CHECK_EQ(back[0].as.i64, -7);
    CHECK_SLICE(kd_str_slice(&back[1].as.str), "a text longer than twelve bytes");
    CHECK(back[2].is_null && back[2].type.id == KD_TYPE_DATE);
    CHECK(back[3].as.boolean);
    for (size_t i = 0; i < buffer.size_bytes; i++) {
        reader = kd_reader_of((kd_slice){buffer.data, i});
        CHECK_FAILS(&ctx, kdi_parameters_get(&ctx, arena, &reader, &back, &count), "08P01");
    }
    kd_arena_destroy(arena);
}

/* A peer may send any bytes: the engine takes a text for UTF-8 and a jsonb for a right one. */
TEST(parameters_that_no_client_binds_are_refused)
{
    begin();
    kd_value jsonb = kd_value_text(KD_SLICE("\x26\xff\xff\xff"));
    jsonb.type = kd_type_of(KD_TYPE_JSONB);
    kd_value array = kd_value_text(KD_SLICE("no array"));
    array.type.is_array = 1;
    const kd_value values[] = {kd_value_text(KD_SLICE("\xff\xfe")), jsonb, array};
    for (size_t i = 0; i < 3; i++) {
        kd_value *back;
        uint32_t count;
        kd_buffer buffer = kd_buffer_in(arena);
        CHECK_STATUS(&ctx, kdi_parameters_put(&ctx, &values[i], 1, &buffer));
        kd_reader reader = kd_reader_of(kd_buffer_slice(&buffer));
        CHECK_FAILS(&ctx, kdi_parameters_get(&ctx, arena, &reader, &back, &count), "08P01");
    }
    kd_arena_destroy(arena);
}

/* Three columns: flat integers with NULLs, a dictionary of texts, a constant. */
static kd_batch make_batch(uint32_t rows)
{
    kd_vector *columns = KD_NEW_ARRAY(&ctx, arena, kd_vector, 3);
    kd_vector *dictionary = KD_NEW(&ctx, arena, kd_vector);
    CHECK(columns != NULL && dictionary != NULL);
    CHECK_STATUS(&ctx,
                 kd_vector_init_flat(&ctx, arena, kd_type_of(KD_TYPE_INT4), rows, &columns[0]));
    CHECK_STATUS(&ctx, kd_vector_init_flat(&ctx, arena, kd_type_of(KD_TYPE_TEXT), 3, dictionary));
    kd_value text = kd_value_text(KD_SLICE("short"));
    kd_vector_set(dictionary, 0, &text);
    text = kd_value_text(KD_SLICE("a text that is stored elsewhere"));
    kd_vector_set(dictionary, 1, &text);
    kd_vector_set_null(dictionary, 2);
    uint8_t *codes = kd_alloc(&ctx, arena, rows);
    CHECK(codes != NULL);
    columns[1] = (kd_vector){.type = dictionary->type,
                             .physical = KD_PHYS_STR,
                             .form = KD_VECTOR_DICT,
                             .width_bytes = 1,
                             .values = codes,
                             .dictionary = dictionary,
                             .dictionary_count = 3};
    for (uint32_t i = 0; i < rows; i++) {
        kd_value value = kd_value_i32((int32_t)i);
        kd_vector_set(&columns[0], i, &value);
        if (i % 5 == 0)
            kd_vector_set_null(&columns[0], i);
        codes[i] = (uint8_t)(i % 3);
    }
    kd_value constant = kd_value_f64(1.5);
    CHECK_STATUS(&ctx, kd_vector_init_constant(&ctx, arena, &constant, &columns[2]));
    return (kd_batch){
        .row_count = rows, .selected_count = rows, .column_count = 3, .columns = columns};
}

TEST(rows_come_back_as_they_were)
{
    begin();
    uint16_t selection[] = {1, 2, 5, 9, 10, 98};
    for (int selected = 0; selected < 2; selected++) {
        kd_batch batch = make_batch(99);
        kd_batch back;
        if (selected != 0) {
            batch.selection = selection;
            batch.selected_count = 6;
        }
        kd_buffer buffer = kd_buffer_in(arena);
        CHECK_EQ(kdi_rows_that_fit(&batch, 0), batch.selected_count);
        CHECK_STATUS(&ctx, kdi_rows_put(&ctx, &batch, 1, batch.selected_count - 1, &buffer));
        kd_reader reader = kd_reader_of(kd_buffer_slice(&buffer));
        CHECK_STATUS(&ctx, kdi_rows_get(&ctx, arena, &reader, &back));
        CHECK_EQ(back.row_count, batch.selected_count - 1);
        CHECK(reader.at == reader.end);
        for (uint32_t i = 0; i < back.row_count; i++) {
            uint32_t row = kd_batch_row(&batch, i + 1);
            for (uint32_t c = 0; c < 3; c++) {
                kd_value a = kd_vector_get(&batch.columns[c], row);
                kd_value b = kd_vector_get(&back.columns[c], i);
                CHECK_EQ(a.is_null, b.is_null);
                CHECK(a.is_null || kd_value_compare(&a, &b) == 0);
            }
        }
        for (size_t i = 0; i < buffer.size_bytes; i++) {
            reader = kd_reader_of((kd_slice){buffer.data, i});
            CHECK_FAILS(&ctx, kdi_rows_get(&ctx, arena, &reader, &back), "08P01");
        }
    }
    kd_arena_destroy(arena);
}

TEST(large_rows_are_cut_into_frames)
{
    begin();
    kd_vector column;
    kd_batch batch = {.row_count = 10, .selected_count = 10, .column_count = 1, .columns = &column};
    char *large = kd_alloc(&ctx, arena, KDI_ROWS_FRAME_BYTES * 2);
    CHECK(large != NULL);
    CHECK_STATUS(&ctx, kd_vector_init_flat(&ctx, arena, kd_type_of(KD_TYPE_TEXT), 10, &column));
    for (uint32_t i = 0; i < 10; i++) {
        size_t size_bytes = i == 3 ? KDI_ROWS_FRAME_BYTES * 2 : KDI_ROWS_FRAME_BYTES / 3;
        kd_value value = kd_value_text((kd_slice){large, size_bytes});
        kd_vector_set(&column, i, &value);
    }
    CHECK_EQ(kdi_rows_that_fit(&batch, 0), 2);
    CHECK_EQ(kdi_rows_that_fit(&batch, 2), 1);
    CHECK_EQ(kdi_rows_that_fit(&batch, 3), 1);
    CHECK_EQ(kdi_rows_that_fit(&batch, 4), 2);
    kd_arena_destroy(arena);
}

TEST(types_that_nobody_has_are_refused)
{
    begin();
    kd_type wrong[] = {
        {.id = KD_TYPE_COUNT, .modifier = -1},    {.id = 1, .is_array = 2, .modifier = -1},
        {.id = 1, .reserved = 1, .modifier = -1}, {.id = KD_TYPE_NUMERIC, .modifier = 39 * 256},
        {.id = KD_TYPE_NUMERIC, .modifier = 0},   {.id = KD_TYPE_NUMERIC, .modifier = 256 + 2},
        {.id = KD_TYPE_TEXT, .modifier = -2}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kd_type back;
        kd_reader reader = kd_reader_of((kd_slice){(const char *)&wrong[i], sizeof wrong[i]});
        CHECK_FAILS(&ctx, kdi_type_get(&ctx, &reader, &back), "08P01");
    }
    kd_arena_destroy(arena);
}
