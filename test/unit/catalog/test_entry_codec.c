/*
 * Catalog entries as bytes: what is written reads as the same, other formats are refused.
 */
#include "test.h"

#include "catalog/entry_codec.h"

static const kd_object *again(kd_ctx *ctx, kd_arena *arena, const kd_object *entry)
{
    kd_buffer bytes = kd_buffer_in(arena);
    const kd_object *read;
    CHECK_STATUS(ctx, kd_entry_encode(ctx, entry, &bytes));
    CHECK_STATUS(ctx, kd_entry_decode(ctx, arena, kd_buffer_slice(&bytes), &read));
    return read;
}

TEST(composite_types_read_as_they_were_written)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_type row = kd_type_of(KD_TYPE_RECORD);
    row.object = 77;
    const kd_attribute attributes[] = {
        {.name = KD_SLICE("x"), .type = kd_type_numeric(6, 2), .comment = KD_SLICE("")},
        {.name = KD_SLICE("inner"),
         .type = kd_type_array_of(row),
         .domain_no = 12,
         .comment = KD_SLICE("rows")}};
    const kd_composite_entry entry = {.object = {.object_no = 99,
                                                 .schema_no = 2,
                                                 .kind = KD_OBJECT_COMPOSITE,
                                                 .name = KD_SLICE("pair"),
                                                 .comment = KD_SLICE("two")},
                                      .attribute_count = 2,
                                      .attributes = attributes};
    const kd_composite_entry *read = (const kd_composite_entry *)again(&ctx, arena, &entry.object);
    CHECK_EQ(read->object.kind, KD_OBJECT_COMPOSITE);
    CHECK_EQ(read->object.object_no, 99);
    CHECK_SLICE(read->object.name, "pair");
    CHECK_EQ(read->attribute_count, 2);
    CHECK_SLICE(read->attributes[0].name, "x");
    CHECK_EQ(read->attributes[0].type.modifier, 6 * 256 + 2);
    CHECK_EQ(read->attributes[1].type.object, 77);
    CHECK(read->attributes[1].type.is_array);
    CHECK_EQ(read->attributes[1].domain_no, 12);
    CHECK_SLICE(read->attributes[1].comment, "rows");
    kd_arena_destroy(arena);
}

TEST(entries_of_other_formats_are_refused)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_object entry = {
        .object_no = 5, .kind = KD_OBJECT_SCHEMA, .name = KD_SLICE("s"), .comment = KD_SLICE("")};
    kd_buffer bytes = kd_buffer_in(arena);
    const kd_object *read;
    CHECK_STATUS(&ctx, kd_entry_encode(&ctx, &entry, &bytes));
    CHECK_EQ(bytes.data[0], KD_ENTRY_FORMAT);
    for (int step = -1; step <= 1; step += 2) {
        bytes.data[0] = (char)(KD_ENTRY_FORMAT + step);
        CHECK_FAILS(&ctx, kd_entry_decode(&ctx, arena, kd_buffer_slice(&bytes), &read), "0A000");
    }
    kd_arena_destroy(arena);
}
