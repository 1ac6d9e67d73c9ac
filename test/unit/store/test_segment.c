/*
 * Segments against a plain model: every type, every shape of values, every
 * encoding, with and without NULLs, in vectors and value by value.
 */
#include "segment_fixture.h"

#include <stdio.h>

static kd_type type_numbered(unsigned number)
{
    switch (number) {
    case 0:
        return kd_type_of(KD_TYPE_BOOL);
    case 1:
        return kd_type_of(KD_TYPE_INT2);
    case 2:
        return kd_type_of(KD_TYPE_INT4);
    case 3:
        return kd_type_of(KD_TYPE_INT8);
    case 4:
        return kd_type_of(KD_TYPE_FLOAT4);
    case 5:
        return kd_type_of(KD_TYPE_FLOAT8);
    case 6:
        return kd_type_numeric(30, 2);
    case 7:
        return kd_type_of(KD_TYPE_INTERVAL);
    case 8:
        return kd_type_of(KD_TYPE_BYTEA);
    case 9:
        return kd_type_of(KD_TYPE_JSON); /* Codes are no values: given out as strings. */
    default:
        return kd_type_of(KD_TYPE_TEXT);
    }
}
enum { TYPE_COUNT = 11 };

static segment_model make_model(segment_fixture *fixture, test_random *random,
                                value_pattern pattern, uint32_t row_count, unsigned null_percent)
{
    segment_model model = {.row_count = row_count, .column_count = TYPE_COUNT};
    model.columns = KD_NEW_ARRAY(&fixture->ctx, fixture->arena, model_column, TYPE_COUNT);
    CHECK(model.columns != NULL);
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        model.columns[i] =
            model_column_make(fixture, random, type_numbered(i), pattern, row_count, null_percent);
    return model;
}

static void write_and_check(segment_fixture *fixture, test_random *random,
                            const segment_model *model, kdi_encoding force)
{
    kd_ctx *ctx = &fixture->ctx;
    kd_segment *segment;
    CHECK_STATUS(ctx, model_write(fixture, random, model, 12, force));
    CHECK_STATUS(ctx, kd_segment_open(ctx, &fixture->options, 12, &segment));
    CHECK_STATUS(ctx, kd_segment_check(ctx, segment));
    model_check(fixture, model, segment, 37);
    CHECK_EQ(kd_segment_find_column(segment, 99 + model->column_count), model->column_count - 1);
    CHECK_EQ(kd_segment_find_column(segment, 5), -1);
    kd_segment_close(ctx->world, segment);
    CHECK_STATUS(ctx, kd_segment_remove(ctx, &fixture->options, 12));
}

TEST(every_pattern_and_encoding_reads_back)
{
    static const uint32_t row_counts[] = {1, 63, 1024, 1500, 5000};
    test_random random = {42};
    for (int pattern = 0; pattern < PATTERN_COUNT; pattern++) {
        for (int force = 0; force < KDI_ENCODING_COUNT; force++) {
            for (unsigned nulls = 0; nulls <= 100; nulls += 50) {
                uint32_t rows = row_counts[test_random_below(&random, 5)];
                test_note("pattern %d, encoding %d, %u %% NULL, %u rows", pattern, force, nulls,
                          rows);
                segment_fixture fixture;
                fixture_begin(&fixture, 1 << 20);
                segment_model model =
                    make_model(&fixture, &random, (value_pattern)pattern, rows, nulls / 3);
                write_and_check(&fixture, &random, &model, (kdi_encoding)force);
                fixture_end(&fixture);
            }
        }
    }
}

TEST(many_blocks_read_back)
{
    test_random random = {7};
    for (int pattern = 0; pattern < PATTERN_COUNT; pattern++) {
        test_note("pattern %d", pattern);
        segment_fixture fixture;
        fixture_begin(&fixture, 64 << 10);
        segment_model model = make_model(&fixture, &random, (value_pattern)pattern,
                                         KD_BLOCK_ROWS + 3000, pattern % 2 == 0 ? 10 : 0);
        write_and_check(&fixture, &random, &model, 0);
        fixture_end(&fixture);
    }
}

TEST(stamps_are_kept)
{
    test_random random = {9};
    segment_fixture fixture;
    fixture_begin(&fixture, 1 << 20);
    segment_model model = make_model(&fixture, &random, PATTERN_SMALL, 20000, 0);
    model.stamps = KD_NEW_ARRAY(&fixture.ctx, fixture.arena, uint64_t, model.row_count);
    CHECK(model.stamps != NULL);
    for (uint32_t row = 0; row < model.row_count; row++)
        model.stamps[row] = row < 17000 ? 0 : 1000 + row / 100;
    write_and_check(&fixture, &random, &model, 0);
    fixture_end(&fixture);
}

TEST(a_dictionary_that_overflows_goes_on_as_strings)
{
    segment_fixture fixture;
    test_random random = {3};
    fixture_begin(&fixture, 4 << 20);
    segment_model model = {.row_count = 180000, .column_count = 1};
    model_column column = {.type = kd_type_of(KD_TYPE_TEXT)};
    column.values = KD_NEW_ARRAY(&fixture.ctx, fixture.arena, kd_value, model.row_count);
    CHECK(column.values != NULL);
    for (uint32_t row = 0; row < model.row_count; row++) {
        /* 70,000 distinct values, each several times: too many, but not at once. */
        char text[32];
        int length = snprintf(text, sizeof text, "key %u and more text", row / 2 % 70000);
        column.values[row] = kd_value_text((kd_slice){text, (size_t)length});
        CHECK_STATUS(&fixture.ctx,
                     kd_str_copy(&fixture.ctx, fixture.arena, (kd_slice){text, (size_t)length},
                                 &column.values[row].as.str));
    }
    model.columns = &column;
    write_and_check(&fixture, &random, &model, 0);
    fixture_end(&fixture);
}

TEST(an_empty_segment_is_a_segment)
{
    segment_fixture fixture;
    test_random random = {3};
    fixture_begin(&fixture, 1 << 20);
    segment_model model = make_model(&fixture, &random, PATTERN_SMALL, 0, 0);
    write_and_check(&fixture, &random, &model, 0);
    fixture_end(&fixture);
}

static kd_vector read_one(segment_fixture *fixture, kd_segment *segment, kd_segment_reader **out)
{
    kd_ctx *ctx = &fixture->ctx;
    uint32_t column = 0;
    kd_vector vector;
    CHECK_STATUS(ctx, kd_segment_reader_create(ctx, fixture->arena, segment, &column, 1, out));
    CHECK_STATUS(ctx, kd_segment_read(ctx, *out, 0, 0, KD_BATCH_ROWS, &vector));
    return vector;
}

static void check_form(kd_type type, value_pattern pattern, kd_vector_form form, unsigned width)
{
    segment_fixture fixture;
    test_random random = {11};
    fixture_begin(&fixture, 1 << 20);
    model_column column = model_column_make(&fixture, &random, type, pattern, 20000, 0);
    segment_model model = {.row_count = 20000, .column_count = 1, .columns = &column};
    CHECK_STATUS(&fixture.ctx, model_write(&fixture, &random, &model, 1, 0));
    kd_segment *segment;
    CHECK_STATUS(&fixture.ctx, kd_segment_open(&fixture.ctx, &fixture.options, 1, &segment));
    kd_segment_reader *reader;
    kd_vector vector = read_one(&fixture, segment, &reader);
    CHECK_EQ(vector.form, form);
    if (width != 0)
        CHECK_EQ(vector.width_bytes, width);
    if (form == KD_VECTOR_DICT && pattern == PATTERN_FEW) {
        CHECK(vector.dictionary_id != 0);
        for (uint32_t i = 1; i < vector.dictionary_count; i++)
            CHECK(kd_payload_compare(type, kd_vector_payload(vector.dictionary, i - 1, NULL),
                                     kd_vector_payload(vector.dictionary, i, NULL)) < 0);
    }
    kd_segment_reader_destroy(reader);
    kd_segment_close(fixture.ctx.world, segment);
    fixture_end(&fixture);
}

TEST(vectors_come_encoded)
{
    check_form(kd_type_of(KD_TYPE_TEXT), PATTERN_FEW, KD_VECTOR_DICT, 1);
    check_form(kd_type_of(KD_TYPE_INT8), PATTERN_FEW, KD_VECTOR_DICT, 1);
    check_form(kd_type_of(KD_TYPE_INT4), PATTERN_CONSTANT, KD_VECTOR_CONSTANT, 0);
    check_form(kd_type_of(KD_TYPE_INT8), PATTERN_SMALL, KD_VECTOR_FRAME, 4);
    check_form(kd_type_of(KD_TYPE_TEXT), PATTERN_CONSTANT, KD_VECTOR_CONSTANT, 0);
}

TEST(too_many_rows_are_refused)
{
    segment_fixture fixture;
    fixture_begin(&fixture, 1 << 20);
    kd_type type = kd_type_of(KD_TYPE_INT4);
    uint32_t number = 1;
    kd_segment_shape shape = {.unit = 5, .column_count = 1, .types = &type, .column_nos = &number};
    kd_segment_writer *writer;
    CHECK_STATUS(&fixture.ctx,
                 kd_segment_writer_create(&fixture.ctx, &fixture.options, &shape, &writer));
    kd_value one = kd_value_i32(1);
    kd_vector vector;
    CHECK_STATUS(&fixture.ctx, kd_vector_init_constant(&fixture.ctx, fixture.arena, &one, &vector));
    kd_batch batch = {.row_count = KD_BATCH_ROWS,
                      .selected_count = KD_BATCH_ROWS,
                      .column_count = 1,
                      .columns = &vector};
    for (uint32_t rows = 0; rows < KD_SEGMENT_ROWS_MAX; rows += KD_BATCH_ROWS)
        CHECK_STATUS(&fixture.ctx, kd_segment_writer_append(&fixture.ctx, writer, &batch, NULL));
    CHECK_FAILS(&fixture.ctx, kd_segment_writer_append(&fixture.ctx, writer, &batch, NULL),
                "54000");
    kd_segment_writer_destroy(writer);
    fixture_end(&fixture);
}
