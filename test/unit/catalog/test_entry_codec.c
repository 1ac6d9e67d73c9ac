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

TEST(routines_read_as_they_were_written)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_type any = {.id = KD_PSEUDO_ANYELEMENT, .modifier = -1};
    const kd_routine_argument arguments[] = {
        {.name = KD_SLICE("a"), .type = any, .default_text = KD_SLICE("1")},
        {.name = KD_SLICE(""),
         .type = kd_type_of(KD_TYPE_TEXT),
         .mode = KD_ARGUMENT_TABLE,
         .domain_no = 8,
         .default_text = KD_SLICE("")}};
    const uint32_t depends_on[] = {3, 4};
    const kd_routine_entry entry = {.object = {.object_no = 50,
                                               .schema_no = 2,
                                               .kind = KD_OBJECT_ROUTINE,
                                               .name = KD_SLICE("f"),
                                               .comment = KD_SLICE("")},
                                    .form = KD_BODY_ATOMIC,
                                    .volatility = KD_STABLE,
                                    .strict = true,
                                    .returns_set = true,
                                    .argument_count = 2,
                                    .arguments = arguments,
                                    .result = kd_type_of(KD_TYPE_RECORD),
                                    .body = KD_SLICE("SELECT 1;"),
                                    .depends_count = 2,
                                    .depends_on = depends_on};
    const kd_routine_entry *read = (const kd_routine_entry *)again(&ctx, arena, &entry.object);
    CHECK_EQ(read->form, KD_BODY_ATOMIC);
    CHECK_EQ(read->volatility, KD_STABLE);
    CHECK(read->strict && read->returns_set && !read->security_definer);
    CHECK_EQ(read->arguments[0].type.id, KD_PSEUDO_ANYELEMENT);
    CHECK_SLICE(read->arguments[0].default_text, "1");
    CHECK_EQ(read->arguments[1].mode, KD_ARGUMENT_TABLE);
    CHECK_EQ(read->arguments[1].domain_no, 8);
    CHECK_SLICE(read->body, "SELECT 1;");
    CHECK_EQ(read->depends_on[1], 4);
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
    static const int others[] = {0, 1, 6, KD_ENTRY_FORMAT + 1, 127}; /* 7 is read too. */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        bytes.data[0] = (char)others[i];
        CHECK_FAILS(&ctx, kd_entry_decode(&ctx, arena, kd_buffer_slice(&bytes), &read), "0A000");
    }
    kd_arena_destroy(arena);
}
