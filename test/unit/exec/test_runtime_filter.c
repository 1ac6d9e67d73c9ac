/*
 * Runtime filters against sets of the same keys: no key is ever lost, a set of bits lets nothing
 * else through, a Bloom filter little, in every form of vector.
 */
#include "exec/runtime_filter_internal.h"

#include "plan_kit.h"

enum { ROWS = 2000 };

typedef struct filter_kit {
    kit *k;
    kdi_budget budget;
    kdi_row_layout layout;
    kdi_row_store store;
    kd_type type;
} filter_kit;

/* Keys 0, step, 2 * step ... and one NULL. */
static filter_kit *filter_kit_open(kd_type type, uint32_t count, int64_t step)
{
    kit *k = kit_open(0, 0);
    filter_kit *f = KD_NEW(&k->ctx, k->arena, filter_kit);
    CHECK(f != NULL);
    f->k = k;
    f->type = type;
    kdi_budget_init(&f->budget, k->governor, SIZE_MAX);
    CHECK_STATUS(&k->ctx, kdi_row_layout_init(&k->ctx, k->arena, &type, 1, true, 0, &f->layout));
    kdi_row_store_init(&f->store, &f->budget, &f->layout);
    for (uint32_t i = 0; i < count + 1; i++) {
        kd_vector vector;
        kdi_view view = {0};
        char *row;
        uint32_t appended;
        kd_value value = {.type = type, .is_null = i == count};
        if (type.id == KD_TYPE_INT4)
            value.as.i32 = (int32_t)(i * step);
        else
            value.as.i64 = i * step;
        CHECK_STATUS(&k->ctx, kd_vector_init_constant(&k->ctx, k->arena, &value, &vector));
        CHECK_STATUS(&k->ctx, kdi_view_open(&k->ctx, k->arena, &view, &vector, NULL, 1));
        CHECK_STATUS(&k->ctx, kdi_row_store_append(&k->ctx, &f->store, &view, NULL, 1, true, &row,
                                                   &appended));
    }
    return f;
}

static void filter_kit_close(filter_kit *f)
{
    kdi_row_store_clear(f->k->ctx.world, &f->store);
    kit_close(f->k);
}

/* Values first .. first + ROWS - 1 in the form asked for; the last one is NULL where it can be. */
static kd_vector probe_vector(filter_kit *f, kd_vector_form form, int64_t first)
{
    kit *k = f->k;
    kd_vector flat;
    CHECK_STATUS(&k->ctx, kd_vector_init_flat(&k->ctx, k->arena, f->type, ROWS, &flat));
    for (uint32_t i = 0; i < ROWS; i++) {
        kd_value value = {.type = f->type};
        if (f->type.id == KD_TYPE_INT4)
            value.as.i32 = (int32_t)(first + i);
        else
            value.as.i64 = first + i;
        kd_vector_set(&flat, i, &value);
    }
    if (form == KD_VECTOR_FLAT) {
        kd_vector_set_null(&flat, ROWS - 1);
        return flat;
    }
    uint16_t *codes = KD_NEW_ARRAY(&k->ctx, k->arena, uint16_t, ROWS);
    kd_vector *dictionary = KD_NEW(&k->ctx, k->arena, kd_vector);
    CHECK(codes != NULL && dictionary != NULL);
    for (uint32_t i = 0; i < ROWS; i++)
        codes[i] = (uint16_t)i;
    kd_vector made = {.type = f->type,
                      .physical = flat.physical,
                      .form = (uint8_t)form,
                      .width_bytes = 2,
                      .values = codes,
                      .base = first};
    if (form == KD_VECTOR_FRAME)
        return made;
    *dictionary = flat;
    kd_vector_set_null(dictionary, ROWS - 1);
    made.dictionary = dictionary;
    made.dictionary_count = ROWS;
    made.dictionary_id = 77;
    return made;
}

/* With `step_rows` 2 only every other row is asked about. */
static void check_batch(filter_kit *f, kd_vector *vector, uint32_t step_rows, uint32_t keys,
                        int64_t step, int64_t first, bool exact)
{
    kit *k = f->k;
    const kdi_runtime_filter *filter;
    uint16_t rows[ROWS], selection[ROWS];
    uint32_t count = 0, wrong = 0, at = 0, selected = 0;
    CHECK_STATUS(&k->ctx, kdi_runtime_filter_create(&k->ctx, k->arena, &f->store, 0, &filter));
    kdi_filter_use use = {.filter = filter};
    for (uint32_t i = 0; i < ROWS; i += step_rows)
        selection[selected++] = (uint16_t)i;
    kd_batch batch = {.row_count = ROWS,
                      .selected_count = selected,
                      .selection = step_rows == 1 ? NULL : selection,
                      .column_count = 1,
                      .columns = vector};
    CHECK_STATUS(&k->ctx, kdi_filter_use_select(&k->ctx, k->arena, &use, &batch, rows, &count));
    for (uint32_t i = 0; i < ROWS; i += step_rows) {
        int64_t value = first + i;
        bool is_key =
            value >= 0 && value % step == 0 && value / step < keys && !kd_vector_is_null(vector, i);
        bool passed = at < count && rows[at] == i;
        at += passed;
        CHECK(passed || !is_key);
        wrong += passed && !is_key;
    }
    CHECK(at == count);
    CHECK(wrong <= (exact ? 0 : ROWS / 10));
}

static void check_form(filter_kit *f, kd_vector_form form, uint32_t keys, int64_t step,
                       int64_t first, bool exact)
{
    kd_vector vector = probe_vector(f, form, first);
    check_batch(f, &vector, 1, keys, step, first, exact);
    check_batch(f, &vector, 2, keys, step, first, exact);
    if (form == KD_VECTOR_DICT) {
        vector.dictionary_id = 0;
    } else if (form == KD_VECTOR_FLAT) { /* Nothing is NULL. */
        kd_value last = {.type = f->type};
        if (f->type.id == KD_TYPE_INT4)
            last.as.i32 = (int32_t)(first + ROWS - 1);
        else
            last.as.i64 = first + ROWS - 1;
        kd_vector_set(&vector, ROWS - 1, &last);
        vector.validity = NULL;
    }
    check_batch(f, &vector, 1, keys, step, first, exact);
    check_batch(f, &vector, 2, keys, step, first, exact);
}

static void check_all(kd_type_id id, uint32_t keys, int64_t step, bool exact)
{
    static const int64_t firsts[] = {-100, 0, 1500};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        filter_kit *f = filter_kit_open(kd_type_of(id), keys, step);
        test_note("type %d keys %d step %d first %d", (int)id, (int)keys, (int)step,
                  (int)firsts[i]);
        check_form(f, KD_VECTOR_FLAT, keys, step, firsts[i], exact);
        check_form(f, KD_VECTOR_DICT, keys, step, firsts[i], exact);
        check_form(f, KD_VECTOR_FRAME, keys, step, firsts[i], exact);
        filter_kit_close(f);
    }
}

TEST(close_integers_are_a_set_of_bits)
{
    check_all(KD_TYPE_INT4, 300, 3, true);
    check_all(KD_TYPE_INT8, 300, 3, true);
    check_all(KD_TYPE_INT8, 1, 1, true);
}

TEST(far_integers_are_a_bloom_filter)
{
    check_all(KD_TYPE_INT8, 300, (int64_t)1 << 40, false);
    check_all(KD_TYPE_INT4, 300, 1 << 22, false);
}

TEST(no_keys_let_nothing_through)
{
    check_all(KD_TYPE_INT8, 0, 1, true);
    filter_kit *f = filter_kit_open(kd_type_of(KD_TYPE_INT8), 0, 1);
    const kdi_runtime_filter *filter;
    kd_value low, high;
    CHECK_STATUS(&f->k->ctx,
                 kdi_runtime_filter_create(&f->k->ctx, f->k->arena, &f->store, 0, &filter));
    CHECK(!kdi_runtime_filter_bounds(filter, &low, &high));
    filter_kit_close(f);
}

TEST(bounds_are_the_least_and_the_greatest_key)
{
    filter_kit *f = filter_kit_open(kd_type_of(KD_TYPE_INT4), 10, 7);
    const kdi_runtime_filter *filter;
    kd_value low, high;
    CHECK_STATUS(&f->k->ctx,
                 kdi_runtime_filter_create(&f->k->ctx, f->k->arena, &f->store, 0, &filter));
    CHECK(kdi_runtime_filter_bounds(filter, &low, &high));
    CHECK_EQ(low.as.i32, 0);
    CHECK_EQ(high.as.i32, 63);
    filter_kit_close(f);
}

TEST(a_filter_that_passes_everything_turns_itself_off)
{
    filter_kit *f = filter_kit_open(kd_type_of(KD_TYPE_INT8), ROWS, 1);
    kit *k = f->k;
    const kdi_runtime_filter *filter;
    CHECK_STATUS(&k->ctx, kdi_runtime_filter_create(&k->ctx, k->arena, &f->store, 0, &filter));
    kdi_filter_use use = {.filter = filter};
    kd_vector vector = probe_vector(f, KD_VECTOR_FRAME, 0);
    kd_batch batch = {
        .row_count = ROWS, .selected_count = ROWS, .column_count = 1, .columns = &vector};
    for (int round = 0; round < 20; round++) {
        uint16_t rows[ROWS];
        uint32_t count;
        CHECK_STATUS(&k->ctx, kdi_filter_use_select(&k->ctx, k->arena, &use, &batch, rows, &count));
        CHECK_EQ((int)count, ROWS);
    }
    CHECK(use.is_off);
    filter_kit_close(f);
}
