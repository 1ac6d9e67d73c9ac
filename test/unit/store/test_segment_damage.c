/*
 * Damage: every byte of a small segment changed in turn is found and named, or lies in padding
 * that nothing reads.
 */
#include "segment_fixture.h"

static size_t read_file(kd_ctx *ctx, const char *path, uint8_t *target, size_t room)
{
    kd_file *file;
    size_t got_bytes;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_READ, &file));
    CHECK_STATUS(ctx, ctx->world->file_read(ctx, file, 0, target, room, &got_bytes));
    ctx->world->file_close(ctx->world, file);
    return got_bytes;
}

static void write_at(kd_ctx *ctx, const char *path, uint64_t offset, uint8_t byte)
{
    kd_file *file;
    CHECK_STATUS(ctx, ctx->world->file_open(ctx, path, KD_FILE_WRITE, &file));
    CHECK_STATUS(ctx, ctx->world->file_write(ctx, file, offset, &byte, 1));
    ctx->world->file_close(ctx->world, file);
}

static segment_model small_model(segment_fixture *fixture, test_random *random)
{
    static const kd_type_id ids[] = {KD_TYPE_INT4, KD_TYPE_TEXT, KD_TYPE_FLOAT8, KD_TYPE_INT8};
    static const value_pattern patterns[] = {PATTERN_SMALL, PATTERN_FEW, PATTERN_SMALL,
                                             PATTERN_RUNS};
    segment_model model = {.row_count = 300, .column_count = 4};
    model.columns = KD_NEW_ARRAY(&fixture->ctx, fixture->arena, model_column, 4);
    CHECK(model.columns != NULL);
    for (unsigned i = 0; i < 4; i++)
        model.columns[i] = model_column_make(fixture, random, kd_type_of(ids[i]), patterns[i],
                                             model.row_count, i == 1 ? 10 : 0);
    return model;
}

static kd_status open_and_check(segment_fixture *fixture, uint64_t unit)
{
    kd_segment *segment;
    kd_status status = kd_segment_open(&fixture->ctx, &fixture->options, unit, &segment);
    if (status == KD_OK)
        status = kd_segment_check(&fixture->ctx, segment);
    kd_segment_close(fixture->ctx.world, segment);
    return status;
}

TEST(every_damaged_byte_of_a_segment_is_found)
{
    segment_fixture fixture;
    test_random random = {5};
    fixture_begin(&fixture, 1 << 20);
    segment_model model = small_model(&fixture, &random);
    CHECK_STATUS(&fixture.ctx, model_write(&fixture, &random, &model, 3, 0));
    static uint8_t bytes[64 << 10];
    const char *path = test_path("0000000003.seg");
    size_t size_bytes = read_file(&fixture.ctx, path, bytes, sizeof bytes);
    CHECK(size_bytes > 0 && size_bytes < sizeof bytes);
    uint32_t found = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        test_note("byte %zu of %zu", i, size_bytes);
        write_at(&fixture.ctx, path, i, bytes[i] ^ 0x10);
        kd_status status = open_and_check(&fixture, 3);
        if (status != KD_OK) {
            CHECK(status == KD_CORRUPT || status == KD_UNSUPPORTED);
            CHECK(strstr(fixture.ctx.error.message, "segment 0000000003.seg") != NULL);
            found++;
        } else {
            CHECK_EQ(bytes[i], 0); /* Padding before the trailer. */
        }
        kd_error_clear(&fixture.ctx);
        write_at(&fixture.ctx, path, i, bytes[i]);
    }
    CHECK(found > size_bytes / 2);
    CHECK_STATUS(&fixture.ctx, open_and_check(&fixture, 3));
    fixture_end(&fixture);
}

TEST(a_damaged_block_is_named)
{
    segment_fixture fixture;
    test_random random = {5};
    fixture_begin(&fixture, 1 << 20);
    segment_model model = small_model(&fixture, &random);
    CHECK_STATUS(&fixture.ctx, model_write(&fixture, &random, &model, 3, 0));
    write_at(&fixture.ctx, test_path("0000000003.seg"), 40, 0xee);
    kd_segment *segment;
    CHECK_STATUS(&fixture.ctx, kd_segment_open(&fixture.ctx, &fixture.options, 3, &segment));
    kd_value value;
    CHECK_FAILS_WITH(&fixture.ctx,
                     kd_segment_get(&fixture.ctx, segment, 0, 0, fixture.arena, &value), "XX001",
                     "segment 0000000003.seg, column 0, block 0: checksum mismatch");
    kd_segment_close(fixture.ctx.world, segment);
    fixture_end(&fixture);
}

TEST(a_missing_foreign_or_cut_segment_is_refused)
{
    segment_fixture fixture;
    test_random random = {5};
    fixture_begin(&fixture, 1 << 20);
    segment_model model = small_model(&fixture, &random);
    kd_segment *segment;
    CHECK_FAILS_WITH(&fixture.ctx, kd_segment_open(&fixture.ctx, &fixture.options, 4, &segment),
                     "XX001", "missing");
    CHECK_STATUS(&fixture.ctx, model_write(&fixture, &random, &model, 4, 0));
    kd_segment_options foreign = fixture.options;
    foreign.database_id++;
    CHECK_FAILS_WITH(&fixture.ctx, kd_segment_open(&fixture.ctx, &foreign, 4, &segment), "XX001",
                     "another database");
    kd_file *file;
    CHECK_STATUS(&fixture.ctx,
                 fixture.ctx.world->file_open(&fixture.ctx, test_path("0000000004.seg"),
                                              KD_FILE_WRITE, &file));
    CHECK_STATUS(&fixture.ctx, fixture.ctx.world->file_resize(&fixture.ctx, file, 4000));
    fixture.ctx.world->file_close(fixture.ctx.world, file);
    CHECK_FAILS_WITH(&fixture.ctx, kd_segment_open(&fixture.ctx, &fixture.options, 4, &segment),
                     "XX001", "incomplete");
    fixture_end(&fixture);
}

TEST(an_unfinished_segment_leaves_no_file)
{
    segment_fixture fixture;
    fixture_begin(&fixture, 1 << 20);
    kd_type type = kd_type_of(KD_TYPE_INT4);
    uint32_t number = 1;
    kd_segment_shape shape = {.unit = 6, .column_count = 1, .types = &type, .column_nos = &number};
    kd_segment_writer *writer;
    CHECK_STATUS(&fixture.ctx,
                 kd_segment_writer_create(&fixture.ctx, &fixture.options, &shape, &writer));
    kd_segment_writer_destroy(writer);
    bool exists;
    CHECK_STATUS(&fixture.ctx, fixture.ctx.world->path_exists(
                                   &fixture.ctx, test_path("0000000006.seg"), &exists));
    CHECK(!exists);
    fixture_end(&fixture);
}

/* Random bytes where a block should be: no crash, whatever the check says. */
TEST(random_blocks_are_checked_or_read_safely)
{
    test_random random = {17};
    kd_ctx ctx = test_ctx();
    static uint64_t words[1024];
    static const kd_type_id ids[] = {KD_TYPE_INT4, KD_TYPE_TEXT, KD_TYPE_FLOAT8, KD_TYPE_UUID,
                                     KD_TYPE_BOOL};
    for (int round = 0; round < 200000; round++) {
        size_t size_bytes = 16 + 8 * test_random_below(&random, 300);
        uint8_t *bytes = (uint8_t *)words;
        memset(bytes, 0, size_bytes);
        kdi_block_header header = {.size_bytes = (uint32_t)size_bytes,
                                   .encoding = (uint8_t)test_random_below(&random, 11),
                                   .flags = test_random_below(&random, 4) == 0,
                                   .row_count = 1 + (uint32_t)test_random_below(&random, 1030)};
        memcpy(bytes, &header, sizeof header);
        for (size_t i = 16; i < size_bytes && i < 60; i++)
            if (test_random_below(&random, 3) == 0)
                bytes[i] = (uint8_t)test_random_below(&random, 40);
        kdi_column_layout layout = {.type = kd_type_of(ids[test_random_below(&random, 5)])};
        layout.physical = kd_type_physical(layout.type);
        if (kdi_block_check(bytes, size_bytes, header.row_count, &layout) != NULL)
            continue;
        kdi_decode_input input = {.view = kdi_block_view_of(bytes),
                                  .type = layout.type,
                                  .physical = layout.physical,
                                  .codes_are_values = true,
                                  .local_id = 1};
        kd_arena *arena = test_arena(&ctx);
        kdi_decode_room room = {.arena = arena};
        kd_vector vector;
        CHECK_STATUS(&ctx, kdi_block_decode(&ctx, &input, 0, header.row_count, &room, &vector));
        for (uint32_t row = 0; row < header.row_count; row++) {
            kd_value value;
            kdi_block_get(&input, row, &value);
        }
        kd_arena_destroy(arena);
    }
}
