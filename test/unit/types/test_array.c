/*
 * Arrays: subscripts, order, damaged bytes.
 */
#include "test.h"

#include "types/array.h"

static kd_value array_of(kd_ctx *ctx, kd_arena *arena, kd_type_id element, const char *text)
{
    kd_value value;
    CHECK_STATUS(ctx, kd_value_parse(ctx, arena, NULL, kd_type_array_of(kd_type_of(element)),
                                     kd_slice_of(text), &value));
    return value;
}

TEST(arrays_are_found_by_subscripts)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_value value = array_of(&ctx, arena, KD_TYPE_INT4, "[0:1][1:3]={{1,2,3},{4,NULL,6}}");
    kd_array array;
    CHECK_STATUS(&ctx, kd_array_open(&ctx, value.type, kd_str_slice(&value.as.str), &array));
    CHECK_EQ(array.count, 6);
    uint32_t index;
    CHECK(kd_array_find(&array, (const int32_t[]){1, 3}, 2, &index));
    CHECK_EQ(kd_array_get(&array, index).as.i32, 6);
    CHECK(kd_array_find(&array, (const int32_t[]){1, 2}, 2, &index));
    CHECK(kd_array_get(&array, index).is_null);
    CHECK(!kd_array_find(&array, (const int32_t[]){2, 1}, 2, &index));
    CHECK(!kd_array_find(&array, (const int32_t[]){1}, 1, &index));
    kd_arena_destroy(arena);
}

TEST(damaged_arrays_are_refused_or_read_inside)
{
    kd_ctx ctx = test_ctx();
    kd_arena *arena = test_arena(&ctx);
    kd_value value =
        array_of(&ctx, arena, KD_TYPE_TEXT, "{abc,NULL,\"a long string, not inlined\"}");
    kd_slice stored = kd_str_slice(&value.as.str);
    test_random random = {5};
    for (int i = 0; i < 3000; i++) {
        kd_arena *scratch = test_arena(&ctx);
        char *copy = kd_alloc_raw(&ctx, scratch, stored.size_bytes);
        memcpy(copy, stored.data, stored.size_bytes);
        copy[test_random_below(&random, stored.size_bytes)] = (char)test_random_next(&random);
        kd_slice damaged = {copy, stored.size_bytes};
        kd_array array;
        if (kd_array_open(&ctx, value.type, damaged, &array) != KD_OK)
            kd_error_clear(&ctx);
        (void)kd_array_hash(value.type, damaged);
        (void)kd_array_compare(value.type, damaged, stored);
        kd_arena_destroy(scratch);
    }
    kd_arena_destroy(arena);
}
