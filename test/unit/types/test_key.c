/*
 * Keys sort as values do, ascending and descending, and read back as equal values; stored values
 * read back; damaged bytes are refused and never crash.
 */
#include "test.h"

#include "types/value.h"

static const struct {
    const char *type;
    const char *values[10];
} samples[] = {
    {"bool", {"f", "t"}},
    {"int2", {"-32768", "-1", "0", "7", "32767"}},
    {"int4", {"-2147483648", "-1", "0", "5", "2147483647"}},
    {"int8", {"-9223372036854775808", "-1", "0", "9223372036854775807"}},
    {"float4", {"-Infinity", "-1.5", "0", "1e-30", "2", "Infinity", "NaN"}},
    {"float8", {"-Infinity", "-1e300", "-0.5", "0", "1e-300", "3", "1e300", "Infinity", "NaN"}},
    {"numeric",
     {"-Infinity", "-100000", "-1.00001", "-1", "0", "0.0001", "1", "1.5", "1e40", "NaN"}},
    {"text", {"", "a", "ab", "abc", "b", "long text that is not inlined", "z"}},
    {"bytea", {"", "\\x00", "\\x0000", "\\x0001", "\\x01", "\\x01ff", "\\xff"}},
    {"date", {"-infinity", "0044-03-15 BC", "1999-12-31", "2000-01-01", "infinity"}},
    {"timestamp", {"-infinity", "1999-12-31", "2000-01-01 00:00:00.000001", "infinity"}},
    {"timetz",
     {"00:00+15:59:59", "00:00+02", "23:00+12", "12:00:00.000001+01", "11:00:00.000001+00",
      "10:00:00.000001-01", "12:00-01", "00:00-15:59:59", "23:59:59.999999+00", "24:00-15:59:59"}},
    {"tid", {"(0,0)", "(0,1)", "(0,16777215)", "(1,0)", "(549755813887,16777215)"}},
    {"interval", {"-1 year", "-1 day", "0", "1 us", "23:00", "1 day", "29 days", "1 mon"}},
    {"uuid",
     {"00000000-0000-0000-0000-000000000001", "7fffffff-0000-0000-0000-000000000000",
      "80000000-0000-0000-0000-000000000000", "ffffffff-0000-0000-0000-000000000000"}},
    {"jsonb",
     {"[]", "null", "\"a\"", "\"b\"", "1", "2.5", "false", "true", "[1]", "{\"a\": [1, null]}"}},
};

static const kd_key_order orders[4] = {{false, false}, {true, false}, {false, true}, {true, true}};

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static kd_slice key_of(kd_ctx *ctx, kd_arena *arena, const kd_value *value, kd_key_order order)
{
    kd_buffer key = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_key_append(ctx, value->type, &value->as, value->is_null, order, &key));
    return kd_buffer_slice(&key);
}

static void pair_check(kd_ctx *ctx, kd_arena *arena, const kd_value *a, const kd_value *b,
                       int expected)
{
    CHECK_EQ(sign(kd_value_compare(a, b)), expected);
    for (int i = 0; i < 4; i++) {
        kd_slice left = key_of(ctx, arena, a, orders[i]);
        kd_slice right = key_of(ctx, arena, b, orders[i]);
        CHECK_EQ(sign(kd_slice_compare(left, right)), orders[i].descending ? -expected : expected);
        kd_value null_value = kd_value_null(a->type);
        kd_slice null_key = key_of(ctx, arena, &null_value, orders[i]);
        CHECK_EQ(sign(kd_slice_compare(null_key, left)), orders[i].nulls_first ? -1 : 1);
        kd_reader reader = kd_reader_of(left);
        kd_value back;
        CHECK_STATUS(ctx, kd_key_read(ctx, arena, a->type, orders[i], &reader, &back));
        CHECK(reader.at == reader.end);
        CHECK_EQ(kd_value_compare(a, &back), 0);
        CHECK_EQ(kd_value_hash(a) == kd_value_hash(&back), 1);
    }
}

static void damage_check(kd_ctx *ctx, kd_arena *arena, const kd_value *value)
{
    kd_slice key = key_of(ctx, arena, value, orders[0]);
    for (size_t cut = 0; cut < key.size_bytes; cut++) {
        kd_reader reader = kd_reader_of((kd_slice){key.data, cut});
        kd_value back;
        if (kd_key_read(ctx, arena, value->type, orders[0], &reader, &back) != KD_OK)
            kd_error_clear(ctx);
    }
    kd_buffer stored = kd_buffer_in(arena);
    CHECK_STATUS(ctx, kd_value_append(ctx, value, &stored));
    kd_reader reader = kd_reader_of(kd_buffer_slice(&stored));
    kd_value back;
    CHECK_STATUS(ctx, kd_value_read(ctx, value->type, &reader, &back));
    CHECK_EQ(kd_value_compare(value, &back), 0);
    reader = kd_reader_of((kd_slice){stored.data, stored.size_bytes - 1});
    CHECK_FAILS(ctx, kd_value_read(ctx, value->type, &reader, &back), "XX001");
}

TEST(keys_sort_as_values_do_and_read_back)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        kd_type type;
        CHECK(kd_type_find(kd_slice_of(samples[i].type), &type));
        kd_value values[10];
        int count = 0;
        for (; count < 10 && samples[i].values[count] != NULL; count++)
            CHECK_STATUS(&ctx,
                         kd_value_parse(&ctx, arena, NULL, type,
                                        kd_slice_of(samples[i].values[count]), &values[count]));
        for (int a = 0; a < count; a++) {
            test_note("%s '%s'", samples[i].type, samples[i].values[a]);
            for (int b = 0; b < count; b++)
                pair_check(&ctx, arena, &values[a], &values[b], (a > b) - (a < b));
            damage_check(&ctx, arena, &values[a]);
        }
    }
    kd_arena_destroy(arena);
}

TEST(equal_values_of_different_form_have_equal_keys_and_hashes)
{
    static const char *const pairs[][3] = {
        {"numeric", "1.0", "1.00"},
        {"numeric", "0", "-0.000"},
        {"interval", "1 day", "24:00"},
        {"interval", "1 mon", "30 days"},
        {"float8", "0", "-0"},
        {"jsonb", "[1.0]", "[1]"},
        {"char", "a ", "a"},
    };
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        kd_type type;
        kd_value a;
        kd_value b;
        test_note("%s %s", pairs[i][0], pairs[i][1]);
        CHECK(kd_type_find(kd_slice_of(pairs[i][0]), &type));
        CHECK_STATUS(&ctx, kd_value_parse(&ctx, arena, NULL, type, kd_slice_of(pairs[i][1]), &a));
        CHECK_STATUS(&ctx, kd_value_parse(&ctx, arena, NULL, type, kd_slice_of(pairs[i][2]), &b));
        CHECK_EQ(kd_value_compare(&a, &b), 0);
        CHECK(kd_value_hash(&a) == kd_value_hash(&b));
        CHECK(
            kd_slice_equal(key_of(&ctx, arena, &a, orders[0]), key_of(&ctx, arena, &b, orders[0])));
    }
    kd_arena_destroy(arena);
}
