/*
 * The binary form of values: bytes that PostgreSQL gives, what comes back, and bytes that are none.
 */
#include "types/binary.h"

#include "types/array.h"
#include "types/type_number.h"

#include "test.h"

typedef struct setup {
    kd_ctx ctx;
    kd_arena *arena;
    kd_buffer out;
} setup;

static setup begin(void)
{
    setup it = {.ctx = {.world = kd_world_posix()}};
    kd_error_clear(&it.ctx);
    it.arena = kd_arena_create(&it.ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(it.arena != NULL);
    it.out = kd_buffer_in(it.arena);
    return it;
}

/* A text of the type as PostgreSQL's send function gives it. */
typedef struct sample {
    const char *type, *text;
    const char *hex;
    int32_t modifier; /* Of numeric, as the type has it; 0: none. */
} sample;

static const sample samples[] = {
    {"boolean", "t", "01", 0},
    {"smallint", "-2", "fffe", 0},
    {"integer", "305419896", "12345678", 0},
    {"bigint", "-1", "ffffffffffffffff", 0},
    {"oid", "4294967295", "ffffffff", 0},
    {"real", "1.5", "3fc00000", 0},
    {"double precision", "-0.1", "bfb999999999999a", 0},
    {"text", "h\xc3\xa9", "68c3a9", 0},
    {"bytea", "\\x00ff", "00ff", 0},
    {"date", "2000-01-02", "00000001", 0},
    {"date", "infinity", "7fffffff", 0},
    {"time without time zone", "00:00:00.000001", "0000000000000001", 0},
    {"time with time zone", "01:00:00+01", "00000000d693a400fffff1f0", 0},
    {"timestamp without time zone", "2000-01-01 00:00:01", "00000000000f4240", 0},
    {"timestamp with time zone", "1999-12-31 23:59:59+00", "fffffffffff0bdc0", 0},
    {"interval", "1 mon 2 days 00:00:03", "00000000002dc6c00000000200000001", 0},
    {"uuid", "00112233-4455-6677-8899-aabbccddeeff", "00112233445566778899aabbccddeeff", 0},
    {"json", "{\"a\": 1}", "7b2261223a20317d", 0},
    {"jsonb", "{\"a\": 1}", "017b2261223a20317d", 0},
    {"bit varying", "1010000011", "0000000aa0c0", 0},
    {"numeric", "0", "0000000000000000", 0},
    {"numeric", "-12345.678", "0003000140000003000109291a7c", 0},
    {"numeric", "1000000",
     "000100010000000000"
     "64",
     0},
    {"numeric", "0.0001",
     "0001ffff00000004"
     "0001",
     0},
    {"numeric", "NaN", "00000000c0000000", 0},
    {"numeric", "Infinity", "00000000d0000000", 0},
    {"numeric", "12.30", "0002000000000002000c0bb8", 10 * 256 + 2},
    {"numeric", "0.00", "0000000000000002", 30 * 256 + 2},
};

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static kd_slice bytes_of(setup *it, const char *hex)
{
    size_t size = strlen(hex) / 2;
    char *bytes = kd_alloc(&it->ctx, it->arena, size + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    return (kd_slice){bytes, size};
}

static kd_type type_of(const sample *it)
{
    kd_type type;
    CHECK(kd_type_find(kd_slice_of(it->type), &type));
    if (it->modifier != 0)
        type.modifier = it->modifier;
    return type;
}

static void check_text(setup *it, const kd_value *value, const char *text)
{
    kd_buffer out = kd_buffer_in(it->arena);
    CHECK_STATUS(&it->ctx, kd_value_format(&it->ctx, &(kd_text_settings){0}, value, &out));
    CHECK_SLICE(kd_buffer_slice(&out), text);
}

TEST(values_have_the_bytes_that_postgresql_gives)
{
    setup it = begin();
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const sample *wanted = &samples[i];
        test_note("%s %s", wanted->type, wanted->text);
        kd_value value, back;
        kd_slice bytes = bytes_of(&it, wanted->hex);
        CHECK_STATUS(&it.ctx, kd_value_parse(&it.ctx, it.arena, &(kd_text_settings){0},
                                             type_of(wanted), kd_slice_of(wanted->text), &value));
        it.out.size_bytes = 0;
        CHECK_STATUS(&it.ctx, kd_binary_append(&it.ctx, NULL, &value, &it.out));
        CHECK_EQ(it.out.size_bytes, bytes.size_bytes);
        CHECK_BYTES(it.out.data, bytes.data, bytes.size_bytes);
        CHECK_STATUS(&it.ctx,
                     kd_binary_read(&it.ctx, it.arena, NULL, type_of(wanted), bytes, &back));
        check_text(&it, &back, wanted->text);
    }
    kd_arena_destroy(it.arena);
}

TEST(truncated_and_longer_bytes_are_refused)
{
    setup it = begin();
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const sample *wanted = &samples[i];
        kd_type type = type_of(wanted);
        bool any_length = kd_type_physical(type) == KD_PHYS_STR && type.id != KD_TYPE_NUMERIC &&
                          type.id != KD_TYPE_VARBIT;
        kd_slice bytes = bytes_of(&it, wanted->hex);
        char *longer = kd_alloc(&it.ctx, it.arena, bytes.size_bytes + 1);
        CHECK(longer != NULL);
        memcpy(longer, bytes.data, bytes.size_bytes);
        for (size_t size = 0; size <= bytes.size_bytes + 1 && !any_length; size++) {
            kd_value value;
            test_note("%s %s %zu", wanted->type, wanted->text, size);
            if (size != bytes.size_bytes)
                CHECK_FAILS(
                    &it.ctx,
                    kd_binary_read(&it.ctx, it.arena, NULL, type, (kd_slice){longer, size}, &value),
                    "22P03");
        }
    }
    kd_arena_destroy(it.arena);
}

TEST(an_array_is_read_as_it_was_written)
{
    static const char *const texts[] = {"{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}"};
    setup it = begin();
    kd_type type = kd_type_array_of(kd_type_of(KD_TYPE_INT4));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        kd_value value, back;
        test_note("%s", texts[i]);
        CHECK_STATUS(&it.ctx, kd_value_parse(&it.ctx, it.arena, &(kd_text_settings){0}, type,
                                             kd_slice_of(texts[i]), &value));
        it.out.size_bytes = 0;
        CHECK_STATUS(&it.ctx, kd_binary_append(&it.ctx, NULL, &value, &it.out));
        CHECK_STATUS(&it.ctx, kd_binary_read(&it.ctx, it.arena, NULL, type,
                                             kd_buffer_slice(&it.out), &back));
        check_text(&it, &back, texts[i]);
        for (size_t size = 0; size < it.out.size_bytes; size++)
            CHECK_FAILS(
                &it.ctx,
                kd_binary_read(&it.ctx, it.arena, NULL, type, (kd_slice){it.out.data, size}, &back),
                "22P03");
    }
    kd_arena_destroy(it.arena);
}

TEST(an_array_that_announces_too_much_is_refused)
{
    static const struct {
        const char *hex, *sqlstate;
    } wrong[] = {
        {"0000000700000000"
         "00000017",
         "22P03"}, /* 7 dimensions */
        {"0000000100000000"
         "00000019"
         "0000000100000001"
         "0000000161",
         "42804"}, /* of text */
        {"0000000100000000"
         "00000017"
         "7fffffff00000001",
         "22P03"},
        {"0000000200000000"
         "00000017"
         "0001000000000001"
         "0001000000000001",
         "22P03"},
        {"0000000100000000"
         "00000017"
         "0000000100000001"
         "7fffffff",
         "22P03"},
        {"0000000100000000"
         "00000017"
         "0000000100000001"
         "fffffffe",
         "22P03"},
        {"0000000100000000"
         "00000017"
         "000000027fffffff"
         "ffffffffffffffff",
         "22P03"},
        {"0000000100000002"
         "00000017"
         "0000000100000001"
         "ffffffff",
         "22P03"},
    };
    setup it = begin();
    kd_type type = kd_type_array_of(kd_type_of(KD_TYPE_INT4));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kd_value value;
        test_note("%s", wrong[i].hex);
        CHECK_FAILS(
            &it.ctx,
            kd_binary_read(&it.ctx, it.arena, NULL, type, bytes_of(&it, wrong[i].hex), &value),
            wrong[i].sqlstate);
    }
    kd_arena_destroy(it.arena);
}

TEST(values_out_of_their_range_are_refused)
{
    static const struct {
        const char *type, *hex, *sqlstate;
    } wrong[] = {
        {"text", "61ff", "22021"},
        {"text", "6100", "22021"},
        {"jsonb", "027b7d", "22P03"},
        {"jsonb", "", "22P03"},
        {"jsonb", "017b", "22P02"},
        {"time without time zone", "000000141dd76001", "22008"},
        {"time with time zone", "00000000000000007fffffff", "22009"},
        {"timestamp without time zone", "7ffffffffffffffe", "22008"},
        {"date", "7ffffffe", "22008"},
        {"numeric", "00010000000000002710", "22P03"}, /* A digit of 10,000. */
        {"numeric", "0000000012340000", "22P03"},     /* No such sign. */
    };
    setup it = begin();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        kd_value value;
        kd_type type;
        test_note("%s %s", wrong[i].type, wrong[i].hex);
        CHECK(kd_type_find(kd_slice_of(wrong[i].type), &type));
        CHECK_FAILS(
            &it.ctx,
            kd_binary_read(&it.ctx, it.arena, NULL, type, bytes_of(&it, wrong[i].hex), &value),
            wrong[i].sqlstate);
    }
    kd_arena_destroy(it.arena);
}

TEST(every_type_is_found_by_its_number)
{
    for (int id = 0; id < KD_TYPE_COUNT; id++) {
        kd_type type = kd_type_of((kd_type_id)id), found;
        for (int i = 0; i < 2; i++, type = kd_type_array_of(type)) {
            uint64_t number = kd_type_number(type);
            if (number == 0 || id == KD_TYPE_ENUM)
                continue; /* Numbered by the catalog. */
            test_note("type %d", id);
            CHECK(kd_type_of_number(number, -1, &found));
            CHECK(kd_type_same(type, found));
        }
    }
    kd_type found;
    CHECK(!kd_type_of_number(0, -1, &found));
    CHECK(!kd_type_of_number(16384, -1, &found));
    CHECK(kd_type_of_number(1700, (10 << 16 | 2) + 4, &found));
    CHECK_EQ(found.modifier, kd_type_numeric(10, 2).modifier);
    CHECK_EQ(kd_type_modifier_number(found), (10 << 16 | 2) + 4);
}
