/*
 * Goal: Arrow streams and files are framed as the format says. Method: a batch of every kind of
 * column is written and walked message by message; with KADE_TEST_ARROW_OUT set it is also left in
 * that file, for other readers.
 */
#include "lake/arrow_ipc.h"
#include "test.h"
#include "types/numeric.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMN_COUNT = 14, ROW_COUNT = 3 };

static const kd_text_settings SETTINGS = {.extra_float_digits = 1};
static const char *const TEXTS[COLUMN_COUNT][2] = {
    {"t", "f"},
    {"-7", "32767"},
    {"2147483647", "-1"},
    {"9223372036854775807", "0"},
    {"1.5", "-0.25"},
    {"1e300", "3"},
    {"12.34", "-0.05"},
    {"1234567890123456789012345678.5", "-1.0"},
    {"hello, a long text", ""},
    {"\\x00ff", "\\x"},
    {"2001-02-03", "1969-12-31"},
    {"10:20:30.5", "00:00:00"},
    {"2001-02-03 04:05:06", "1970-01-01 00:00:00"},
    {"1 mon 2 days 00:00:03", "-1 days"},
};

static void types_make(kd_type types[COLUMN_COUNT])
{
    static const kd_type_id IDS[COLUMN_COUNT] = {
        KD_TYPE_BOOL,   KD_TYPE_INT2,    KD_TYPE_INT4,        KD_TYPE_INT8,     KD_TYPE_FLOAT4,
        KD_TYPE_FLOAT8, KD_TYPE_NUMERIC, KD_TYPE_NUMERIC,     KD_TYPE_TEXT,     KD_TYPE_BYTEA,
        KD_TYPE_DATE,   KD_TYPE_TIME,    KD_TYPE_TIMESTAMPTZ, KD_TYPE_INTERVAL,
    };
    for (int i = 0; i < COLUMN_COUNT; i++)
        types[i] = kd_type_of(IDS[i]);
    types[6] = kd_type_numeric(9, 2);
    types[7] = kd_type_numeric(38, 1);
}

static kd_batch batch_make(kd_ctx *ctx, kd_arena *arena, const kd_type *types, kd_vector *columns)
{
    for (int c = 0; c < COLUMN_COUNT; c++) {
        CHECK_STATUS(ctx, kd_vector_init_flat(ctx, arena, types[c], ROW_COUNT, &columns[c]));
        for (uint32_t r = 0; r < 2; r++) {
            kd_value value;
            CHECK_STATUS(ctx, kd_value_parse(ctx, arena, &SETTINGS, types[c],
                                             kd_slice_of(TEXTS[c][r]), &value));
            kd_vector_set(&columns[c], r, &value);
        }
        kd_vector_set_null(&columns[c], 2);
    }
    return (kd_batch){.row_count = ROW_COUNT,
                      .selected_count = ROW_COUNT,
                      .column_count = COLUMN_COUNT,
                      .columns = columns};
}

static void write_all(kd_ctx *ctx, kd_arena *arena, kd_arrow_form form, kd_buffer *out)
{
    static char names[COLUMN_COUNT][16];
    kd_slice slices[COLUMN_COUNT];
    kd_type types[COLUMN_COUNT];
    kd_vector columns[COLUMN_COUNT];
    types_make(types);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        slices[i] = kd_slice_of(names[i]);
    }
    kd_batch batch = batch_make(ctx, arena, types, columns);
    kd_arrow_writer *writer;
    CHECK_STATUS(ctx, kd_arrow_writer_create(ctx, arena, form, &SETTINGS, slices, types,
                                             COLUMN_COUNT, out, &writer));
    CHECK_STATUS(ctx, kd_arrow_writer_batch(ctx, writer, &batch, out));
    static const uint16_t SELECTION[] = {1};
    batch.selection = SELECTION;
    batch.selected_count = 1;
    CHECK_STATUS(ctx, kd_arrow_writer_batch(ctx, writer, &batch, out));
    CHECK_STATUS(ctx, kd_arrow_writer_end(ctx, writer, out));
}

/* The 64-bit field of a table in a metadata buffer: slot `slot` of the root. */
static uint64_t root_u64(const char *metadata, unsigned slot)
{
    const char *table = metadata + kd_load_u32(metadata);
    const char *slots = table - (int32_t)kd_load_u32(table);
    CHECK(kd_load_u16(slots) >= 6 + 2 * slot);
    return kd_load_u64(table + kd_load_u16(slots + 4 + 2 * slot));
}

/* Walks the messages from `at`; gives where the end mark ends. */
static size_t check_messages(const kd_buffer *out, size_t at, int expected_count)
{
    for (int i = 0; i < expected_count; i++) {
        CHECK_EQ(at % 8, 0);
        CHECK_EQ(kd_load_u32(out->data + at), UINT32_MAX);
        uint32_t metadata_bytes = kd_load_u32(out->data + at + 4);
        CHECK_EQ(metadata_bytes % 8, 0);
        uint64_t body_bytes = root_u64(out->data + at + 8, 3);
        CHECK_EQ(body_bytes % 8, 0);
        CHECK_EQ(body_bytes > 0, i > 0);
        at += 8 + metadata_bytes + body_bytes;
    }
    CHECK_EQ(kd_load_u32(out->data + at), UINT32_MAX);
    CHECK_EQ(kd_load_u32(out->data + at + 4), 0);
    return at + 8;
}

TEST(arrow_stream_is_framed)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_buffer out = kd_buffer_in(arena);
    write_all(&ctx, arena, KD_ARROW_STREAM, &out);
    CHECK_EQ(check_messages(&out, 0, 3), out.size_bytes);
    kd_arena_destroy(arena);
}

TEST(arrow_file_is_framed_and_has_a_footer)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_buffer out = kd_buffer_in(arena);
    write_all(&ctx, arena, KD_ARROW_FILE, &out);
    CHECK(memcmp(out.data, "ARROW1\0\0", 8) == 0);
    size_t footer_at = check_messages(&out, 8, 3);
    CHECK(memcmp(out.data + out.size_bytes - 6, "ARROW1", 6) == 0);
    CHECK_EQ(kd_load_u32(out.data + out.size_bytes - 10), out.size_bytes - 10 - footer_at);
    const char *path = getenv("KADE_TEST_ARROW_OUT");
    FILE *file = path == NULL ? NULL : fopen(path, "wb");
    if (file != NULL) {
        CHECK_EQ(fwrite(out.data, 1, out.size_bytes, file), out.size_bytes);
        fclose(file);
    }
    kd_arena_destroy(arena);
}
