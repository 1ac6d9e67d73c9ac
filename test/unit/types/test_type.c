/*
 * Names of types, and char(n)/varchar(n).
 */
#include "test.h"

#include "types/value.h"

static void name_check(const char *spelled, int32_t modifier, const char *expected)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_type type;
    CHECK(kd_type_find(kd_slice_of(spelled), &type));
    type.modifier = modifier;
    kd_buffer name = kd_buffer_in(arena);
    CHECK_STATUS(&ctx, kd_type_format(&ctx, type, &name));
    CHECK_TEXT(name.data, expected);
    kd_arena_destroy(arena);
}

TEST(types_are_named_as_in_postgres)
{
    name_check("int", -1, "integer");
    name_check("_text", -1, "text[]");
    name_check("double precision", -1, "double precision");
    name_check("decimal", 10 * 256 + 2, "numeric(10,2)");
    name_check("varchar", 20, "character varying(20)");
    name_check("timestamptz", 3, "timestamp(3) with time zone");
    kd_type type;
    CHECK(!kd_type_find(KD_SLICE("nonsense"), &type));
    CHECK_TEXT(kd_type_internal_name(kd_type_array_of(kd_type_of(KD_TYPE_INT8))), "_int8");
}

TEST(lengths_are_kept_or_refused)
{
    kd_ctx ctx = test_ctx();
    kd_type type = kd_type_of(KD_TYPE_VARCHAR);
    type.modifier = 3;
    kd_slice kept;
    CHECK_STATUS(&ctx, kd_text_fit(&ctx, type, false, KD_SLICE("abc  "), &kept));
    CHECK_SLICE(kept, "abc");
    CHECK_FAILS_WITH(&ctx, kd_text_fit(&ctx, type, false, KD_SLICE("abcd"), &kept), "22001",
                     "value too long for type character varying(3)");
    CHECK_STATUS(&ctx, kd_text_fit(&ctx, type, true, KD_SLICE("\xc3\xa9zzzz"), &kept));
    CHECK_SLICE(kept, "\xc3\xa9zz");
    type = kd_type_of(KD_TYPE_CHAR);
    type.modifier = 5;
    CHECK_STATUS(&ctx, kd_text_fit(&ctx, type, false, KD_SLICE("ab "), &kept));
    CHECK_SLICE(kept, "ab");
}
