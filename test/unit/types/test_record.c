/*
 * Row values: text, order, damaged bytes, and rows whose type was altered.
 */
#include "test.h"

#include "types/array.h"
#include "types/record.h"

/* Type 1 has (x int, y text) at first; the tests change what `shape_of` says of it. Type 2 has
 * (one, more) of type 1 and its arrays. */
typedef struct types {
    kd_record_shape one;
} types;

static kd_type row_type(uint32_t object)
{
    kd_type type = kd_type_of(KD_TYPE_RECORD);
    type.object = object;
    return type;
}

static kd_status shape_of(kd_ctx *ctx, void *object, kd_arena *arena, kd_type type,
                          kd_record_shape *out)
{
    const types *all = object;
    if (type.object == 1) {
        *out = all->one;
        return KD_OK;
    }
    kd_type *fields = KD_NEW_ARRAY(ctx, arena, kd_type, 2);
    kd_slice *names = KD_NEW_ARRAY(ctx, arena, kd_slice, 2);
    if (fields == NULL || names == NULL)
        return KD_NOMEM;
    fields[0] = row_type(1);
    fields[1] = kd_type_array_of(row_type(1));
    names[0] = KD_SLICE("one");
    names[1] = KD_SLICE("more");
    *out = (kd_record_shape){2, fields, names};
    return KD_OK;
}

static const kd_type int_text_int[] = {
    {.id = KD_TYPE_INT4, .modifier = -1},
    {.id = KD_TYPE_TEXT, .modifier = -1},
    {.id = KD_TYPE_INT4, .modifier = -1},
};

static kd_value parse(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings, kd_type type,
                      const char *text)
{
    kd_value value;
    CHECK_STATUS(ctx, kd_value_parse(ctx, arena, settings, type, kd_slice_of(text), &value));
    return value;
}

static const char *format(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                          const kd_value *value)
{
    kd_buffer text = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_value_format(ctx, settings, value, &text));
    CHECK_STATUS(ctx, kd_buffer_append_byte(ctx, &text, 0));
    return text.data;
}

TEST(rows_follow_their_type_at_any_depth)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_slice before[] = {KD_SLICE("x"), KD_SLICE("y")};
    const kd_slice added[] = {KD_SLICE("x"), KD_SLICE("y"), KD_SLICE("z")};
    const kd_slice renamed[] = {KD_SLICE("x"), KD_SLICE("why"), KD_SLICE("z")};
    types all = {.one = {2, int_text_int, before}};
    kd_text_settings settings = {.row_shape = shape_of, .enum_object = &all};
    kd_value value = parse(&ctx, arena, &settings, row_type(2),
                           "(\"(1,a)\",\"{\"\"(2,b)\"\",NULL,\"\"(,)\"\"}\")");
    all.one = (kd_record_shape){3, int_text_int, added};
    CHECK_STATUS(&ctx, kd_record_conform(&ctx, arena, &settings, &value));
    CHECK_TEXT(format(&ctx, arena, &settings, &value),
               "(\"(1,a,)\",\"{\"\"(2,b,)\"\",NULL,\"\"(,,)\"\"}\")");
    all.one = (kd_record_shape){3, int_text_int, renamed};
    CHECK_STATUS(&ctx, kd_record_conform(&ctx, arena, &settings, &value));
    CHECK_TEXT(format(&ctx, arena, &settings, &value),
               "(\"(1,a,)\",\"{\"\"(2,b,)\"\",NULL,\"\"(,,)\"\"}\")");
    all.one = (kd_record_shape){1, int_text_int + 1, renamed + 1};
    CHECK_STATUS(&ctx, kd_record_conform(&ctx, arena, &settings, &value));
    CHECK_TEXT(format(&ctx, arena, &settings, &value), "(\"(a)\",\"{(b),NULL,()}\")");
    kd_arena_destroy(arena);
}

TEST(rows_are_ordered_by_fields_nulls_last)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_slice names[] = {KD_SLICE("x"), KD_SLICE("y")};
    types all = {.one = {2, int_text_int, names}};
    kd_text_settings settings = {.row_shape = shape_of, .enum_object = &all};
    static const char *const ordered[] = {"(1,a)", "(1,b)", "(1,)", "(2,a)", "(,a)", "(,)"};
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++) {
            kd_value a = parse(&ctx, arena, &settings, row_type(1), ordered[i]);
            kd_value b = parse(&ctx, arena, &settings, row_type(1), ordered[k]);
            CHECK_EQ(kd_value_compare(&a, &b), i < k ? -1 : i > k);
            CHECK((kd_value_hash(&a) == kd_value_hash(&b)) == (i == k));
        }
    kd_arena_destroy(arena);
}

TEST(damaged_rows_are_refused_or_read_inside)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    const kd_slice names[] = {KD_SLICE("x"), KD_SLICE("y")};
    types all = {.one = {2, int_text_int, names}};
    kd_text_settings settings = {.row_shape = shape_of, .enum_object = &all};
    kd_value value = parse(&ctx, arena, &settings, row_type(2),
                           "(\"(1,a)\",\"{\"\"(2,a text that is long enough)\"\",NULL}\")");
    kd_slice stored = kd_str_slice(&value.as.str);
    test_random random = {7};
    for (int i = 0; i < 3000; i++) {
        kd_arena *scratch = test_arena(&ctx);
        char *copy = kd_alloc_raw(&ctx, scratch, stored.size_bytes);
        memcpy(copy, stored.data, stored.size_bytes);
        copy[test_random_below(&random, stored.size_bytes)] = (char)test_random_next(&random);
        kd_value damaged = value;
        damaged.as.str = kd_str_from(copy, stored.size_bytes);
        kd_slice bytes = {copy, stored.size_bytes};
        (void)kd_record_hash(bytes);
        (void)kd_record_compare(bytes, stored);
        if (kd_record_conform(&ctx, scratch, &settings, &damaged) != KD_OK)
            kd_error_clear(&ctx);
        kd_arena_destroy(scratch);
    }
    kd_arena_destroy(arena);
}
