/*
 * Vectors of every form give the same rows: flatten and gather against row-wise reading.
 */
#include "test.h"

#include "types/vector.h"

#include <stdio.h>

enum { ROWS = 1500, DICTIONARY = 70 };

typedef struct fixture {
    kd_ctx ctx;
    kd_arena *arena;
    test_random random;
} fixture;

static kd_value value_of(fixture *self, kd_type type, uint64_t seed)
{
    kd_value value = kd_value_null(type);
    if (seed % 7 == 0)
        return value;
    value.is_null = false;
    if (kd_type_physical(type) == KD_PHYS_STR) {
        char *text =
            kd_format_text(&self->ctx, self->arena, seed % 2 ? "%llu" : "far text number %llu",
                           (unsigned long long)seed);
        CHECK(text != NULL);
        value.as.str = kd_str_from(text, strlen(text));
    } else if (kd_type_physical(type) == KD_PHYS_BOOL) {
        value.as.boolean = seed % 2;
    } else {
        memset(&value.as, 0, sizeof value.as);
        memcpy(&value.as, &seed, sizeof seed);
    }
    return value;
}

static kd_vector flat_of(fixture *self, kd_type type, uint32_t rows)
{
    kd_vector vector;
    CHECK_STATUS(&self->ctx, kd_vector_init_flat(&self->ctx, self->arena, type, rows, &vector));
    for (uint32_t i = 0; i < rows; i++) {
        kd_value value = value_of(self, type, test_random_below(&self->random, 100000));
        kd_vector_set(&vector, i, &value);
    }
    return vector;
}

static kd_vector dict_of(fixture *self, kd_type type, uint32_t rows, uint8_t width_bytes)
{
    kd_vector *dictionary = KD_NEW(&self->ctx, self->arena, kd_vector);
    char *codes = kd_alloc(&self->ctx, self->arena, (size_t)rows * 4);
    CHECK(dictionary != NULL && codes != NULL);
    *dictionary = flat_of(self, type, DICTIONARY);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t code = (uint32_t)test_random_below(&self->random, DICTIONARY);
        memcpy(codes + (size_t)i * width_bytes, &code, width_bytes);
    }
    return (kd_vector){.type = type,
                       .physical = dictionary->physical,
                       .form = KD_VECTOR_DICT,
                       .width_bytes = width_bytes,
                       .values = codes,
                       .dictionary = dictionary,
                       .dictionary_count = DICTIONARY};
}

static kd_vector frame_of(fixture *self, kd_type type, uint32_t rows, uint8_t width_bytes)
{
    kd_vector flat = flat_of(self, type, rows); /* For its validity. */
    char *offsets = kd_alloc(&self->ctx, self->arena, (size_t)rows * 4);
    CHECK(offsets != NULL);
    for (uint32_t i = 0; i < rows * width_bytes; i++)
        offsets[i] = (char)test_random_next(&self->random);
    flat.form = KD_VECTOR_FRAME;
    flat.width_bytes = width_bytes;
    flat.values = offsets;
    flat.base = -100;
    return flat;
}

static uint32_t selection_make(fixture *self, uint16_t *rows, uint64_t one_in)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        if (test_random_below(&self->random, one_in) == 0)
            rows[count++] = (uint16_t)i;
    return count;
}

static void row_check(const kd_vector *expected, uint32_t row, const kd_vector *actual,
                      uint32_t position)
{
    kd_value a = kd_vector_get(expected, row);
    kd_value b = kd_vector_get(actual, position);
    CHECK_EQ(a.is_null, b.is_null);
    if (!a.is_null)
        CHECK(kd_payload_equal(a.type, &a.as, &b.as));
}

static void vector_check(fixture *self, const kd_vector *vector)
{
    uint16_t rows[ROWS];
    for (uint64_t one_in = 1; one_in <= 9; one_in += 4) {
        uint32_t count = selection_make(self, rows, one_in);
        kd_vector flat;
        CHECK_STATUS(&self->ctx, kd_vector_flatten(&self->ctx, self->arena, vector,
                                                   one_in == 1 ? NULL : rows, count, ROWS, &flat));
        for (uint32_t i = 0; i < count; i++)
            row_check(vector, rows[i], &flat, rows[i]);
        kd_vector target;
        CHECK_STATUS(&self->ctx,
                     kd_vector_init_flat(&self->ctx, self->arena, vector->type, ROWS * 2, &target));
        uint32_t start = 77;
        CHECK_STATUS(&self->ctx,
                     kd_vector_gather(&self->ctx, self->arena, vector, one_in == 1 ? NULL : rows,
                                      count, &target, start));
        for (uint32_t i = 0; i < count; i++)
            row_check(vector, rows[i], &target, start + i);
    }
}

TEST(every_form_flattens_and_gathers_to_the_same_rows)
{
    fixture self = {.ctx = test_ctx(), .random = {11}};
    static const kd_type_id ids[] = {KD_TYPE_BOOL, KD_TYPE_INT2, KD_TYPE_INT4,   KD_TYPE_INT8,
                                     KD_TYPE_UUID, KD_TYPE_TEXT, KD_TYPE_FLOAT8, KD_TYPE_INTERVAL};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        test_note("type %u", ids[i]);
        self.arena = test_arena(&self.ctx);
        kd_type type = kd_type_of(ids[i]);
        kd_vector flat = flat_of(&self, type, ROWS);
        vector_check(&self, &flat);
        for (uint8_t width = 1; width <= 4; width = (uint8_t)(width * 2)) {
            kd_vector dict = dict_of(&self, type, ROWS, width);
            vector_check(&self, &dict);
            if (ids[i] == KD_TYPE_INT4 || ids[i] == KD_TYPE_INT8 ||
                (ids[i] == KD_TYPE_INT2 && width == 1)) {
                kd_vector frame = frame_of(&self, type, ROWS, width);
                vector_check(&self, &frame);
            }
        }
        kd_value value = value_of(&self, type, 22);
        kd_vector constant;
        CHECK_STATUS(&self.ctx, kd_vector_init_constant(&self.ctx, self.arena, &value, &constant));
        vector_check(&self, &constant);
        value = kd_value_null(type);
        CHECK_STATUS(&self.ctx, kd_vector_init_constant(&self.ctx, self.arena, &value, &constant));
        vector_check(&self, &constant);
        kd_arena_destroy(self.arena);
    }
}
