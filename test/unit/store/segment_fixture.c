/*
 * Random columns and the comparison with their model.
 */
#include "segment_fixture.h"

#include <stdio.h>

void fixture_begin(segment_fixture *fixture, size_t cache_bytes)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->ctx = test_ctx();
    fixture->arena = test_arena(&fixture->ctx);
    kd_account_init(&fixture->account, NULL, "test", SIZE_MAX);
    fixture->options.directory = test_directory();
    fixture->options.database_id = 0x1234567890u;
    fixture->options.account = &fixture->account;
    CHECK_STATUS(&fixture->ctx, kd_block_cache_create(&fixture->ctx, &fixture->account, cache_bytes,
                                                      &fixture->options.cache));
}

void fixture_end(segment_fixture *fixture)
{
    kd_block_cache_destroy(fixture->options.cache);
    CHECK_EQ(atomic_load(&fixture->account.used_bytes), 0);
    kd_arena_destroy(fixture->arena);
}

static int64_t random_integer(test_random *random, value_pattern pattern, uint32_t row,
                              int64_t previous)
{
    switch (pattern) {
    case PATTERN_RANDOM:
        return (int64_t)test_random_next(random);
    case PATTERN_SMALL:
        if (test_random_below(random, 100) == 0)
            return (int64_t)(test_random_next(random) >> 40);
        return (int64_t)test_random_below(random, 300);
    case PATTERN_SORTED:
        return row == 0 ? -5000 : previous + (int64_t)test_random_below(random, 10);
    case PATTERN_RUNS:
        if (row == 0 || test_random_below(random, 50) == 0)
            return (int64_t)test_random_below(random, 1000);
        return previous;
    case PATTERN_FEW:
        return (int64_t)(test_random_below(random, 40) * 0x9e3779b97f4a7c15u);
    case PATTERN_FACTOR:
        return (int64_t)test_random_below(random, 5000) * 60000000;
    default:
        return 77;
    }
}

static kd_str random_text(segment_fixture *fixture, int64_t seed, value_pattern pattern)
{
    char text[80];
    int length;
    if (pattern == PATTERN_RANDOM)
        length = snprintf(text, sizeof text, "%0*llx", (int)((uint64_t)seed % 60),
                          (unsigned long long)seed);
    else
        length = snprintf(text, sizeof text, "v%lld%s", (long long)seed,
                          seed % 3 == 0 ? " with a longer text behind it" : "");
    kd_str str;
    CHECK_STATUS(&fixture->ctx, kd_str_copy(&fixture->ctx, fixture->arena,
                                            (kd_slice){text, (size_t)length}, &str));
    return str;
}

static kd_value value_from(segment_fixture *fixture, kd_type type, value_pattern pattern,
                           int64_t integer)
{
    kd_value value;
    memset(&value, 0, sizeof value);
    value.type = type;
    switch (kd_type_physical(type)) {
    case KD_PHYS_BOOL:
        value.as.boolean = integer & 1;
        break;
    case KD_PHYS_I16:
        value.as.i16 = (int16_t)integer;
        break;
    case KD_PHYS_I32:
        value.as.i32 = (int32_t)integer;
        break;
    case KD_PHYS_I64:
        value.as.i64 = integer;
        break;
    case KD_PHYS_I128:
        value.as.i128 = pattern == PATTERN_RANDOM ? (kd_i128)integer * integer : integer;
        break;
    case KD_PHYS_F32:
        value.as.f32 = (float)integer / 4;
        break;
    case KD_PHYS_F64:
        if (pattern == PATTERN_RANDOM)
            memcpy(&value.as.f64, &integer, sizeof integer);
        else
            value.as.f64 = integer % 97 == 5 ? 1.0 / 3 : (double)integer / 100;
        break;
    case KD_PHYS_STR:
        value.as.str = random_text(fixture, integer, pattern);
        break;
    default:
        value.as.interval = (kd_interval){integer, (int32_t)(integer >> 3), 5};
        break;
    }
    return value;
}

model_column model_column_make(segment_fixture *fixture, test_random *random, kd_type type,
                               value_pattern pattern, uint32_t row_count, unsigned null_percent)
{
    model_column column = {.type = type};
    column.values = KD_NEW_ARRAY(&fixture->ctx, fixture->arena, kd_value, row_count + 1);
    CHECK(column.values != NULL);
    int64_t integer = 0;
    for (uint32_t row = 0; row < row_count; row++) {
        integer = random_integer(random, pattern, row, integer);
        column.values[row] = value_from(fixture, type, pattern, integer);
        if (test_random_below(random, 100) < null_percent)
            column.values[row] = kd_value_null(type);
    }
    return column;
}

/* A batch of the model's rows from `first` on. With `spread`, each row is followed by a wrong one
 * that the selection leaves out. */
static void make_batch(segment_fixture *fixture, kd_arena *arena, const segment_model *model,
                       uint32_t first, uint32_t count, bool spread, kd_batch *out_batch)
{
    kd_ctx *ctx = &fixture->ctx;
    uint32_t stride = spread ? 2 : 1;
    kd_vector *vectors = KD_NEW_ARRAY(ctx, arena, kd_vector, model->column_count + 1);
    CHECK(vectors != NULL);
    uint16_t *selection = NULL;
    if (spread) {
        selection = KD_NEW_ARRAY(ctx, arena, uint16_t, count);
        CHECK(selection != NULL);
        for (uint32_t i = 0; i < count; i++)
            selection[i] = (uint16_t)(2 * i);
    }
    for (uint32_t c = 0; c < model->column_count; c++) {
        CHECK_STATUS(ctx, kd_vector_init_flat(ctx, arena, model->columns[c].type, count * stride,
                                              &vectors[c]));
        for (uint32_t i = 0; i < count; i++) {
            const kd_value *value = &model->columns[c].values[first + i];
            if (value->is_null)
                kd_vector_set_null(&vectors[c], i * stride);
            else
                kd_vector_set(&vectors[c], i * stride, value);
        }
    }
    *out_batch = (kd_batch){.row_count = count * stride,
                            .selected_count = count,
                            .selection = selection,
                            .column_count = model->column_count,
                            .columns = vectors};
}

kd_status model_append(segment_fixture *fixture, test_random *random, const segment_model *model,
                       kd_segment_writer *writer)
{
    kd_status status = KD_OK;
    for (uint32_t first = 0; first < model->row_count && status == KD_OK;) {
        uint32_t count = 1 + (uint32_t)test_random_below(random, KD_BATCH_ROWS / 2);
        if (test_random_below(random, 2) == 0)
            count = KD_BATCH_ROWS / 2;
        if (count > model->row_count - first)
            count = model->row_count - first;
        kd_arena *arena = test_arena(&fixture->ctx);
        kd_batch batch;
        make_batch(fixture, arena, model, first, count, test_random_below(random, 2) == 0, &batch);
        status = kd_segment_writer_append(&fixture->ctx, writer, &batch,
                                          model->stamps == NULL ? NULL : model->stamps + first);
        kd_arena_destroy(arena);
        first += count;
    }
    return status;
}

kd_status model_write(segment_fixture *fixture, test_random *random, const segment_model *model,
                      uint64_t unit, kdi_encoding force)
{
    kd_ctx *ctx = &fixture->ctx;
    kd_type types[32];
    uint32_t numbers[32];
    for (uint32_t i = 0; i < model->column_count; i++) {
        types[i] = model->columns[i].type;
        numbers[i] = 100 + i;
    }
    kd_segment_shape shape = {.unit = unit,
                              .table_no = 7,
                              .schema_version = 1,
                              .column_count = model->column_count,
                              .types = types,
                              .column_nos = numbers};
    kd_segment_writer *writer;
    kd_status status = kd_segment_writer_create(ctx, &fixture->options, &shape, &writer);
    CHECK((status == KD_OK) == (writer != NULL));
    if (status != KD_OK)
        return status;
    for (uint32_t i = 0; i < model->column_count; i++)
        kdi_segment_writer_force(writer, i, force);
    status = model_append(fixture, random, model, writer);
    if (status == KD_OK)
        status = kd_segment_writer_finish(ctx, writer);
    kd_segment_writer_destroy(writer);
    return status;
}

static bool same_value(const kd_value *a, const kd_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null && b->is_null;
    if (kd_type_physical(a->type) == KD_PHYS_STR)
        return kd_str_equal(&a->as.str, &b->as.str);
    return memcmp(&a->as, &b->as, kd_physical_bytes(kd_type_physical(a->type))) == 0;
}

/* Every `step`th row of the range alone; from vectors of other reads nothing is left over. */
static void check_rows(segment_fixture *fixture, const segment_model *model,
                       kd_segment_reader *reader, uint32_t column, uint32_t first, uint32_t count,
                       uint32_t step)
{
    uint16_t rows[KD_BATCH_ROWS];
    uint32_t asked = 0;
    for (uint32_t row = step / 2; row < count; row += step)
        rows[asked++] = (uint16_t)row;
    kd_vector vector;
    CHECK_STATUS(&fixture->ctx, kd_segment_read_rows(&fixture->ctx, reader, column, first, count,
                                                     rows, asked, &vector));
    for (uint32_t i = 0; i < count; i++)
        (void)kd_vector_get(&vector, i); /* Any value, but a value. */
    for (uint32_t i = 0; i < asked; i++) {
        kd_value value = kd_vector_get(&vector, rows[i]);
        if (!same_value(&value, &model->columns[column].values[first + rows[i]]))
            test_fail(__FILE__, __LINE__, "column %u row %u of a few differs", column,
                      first + rows[i]);
    }
}

static void check_vectors(segment_fixture *fixture, const segment_model *model, kd_segment *segment)
{
    kd_ctx *ctx = &fixture->ctx;
    uint32_t columns[32];
    for (uint32_t i = 0; i < model->column_count; i++)
        columns[i] = i;
    kd_arena *arena = test_arena(ctx);
    kd_segment_reader *reader;
    CHECK_STATUS(
        ctx, kd_segment_reader_create(ctx, arena, segment, columns, model->column_count, &reader));
    for (uint32_t first = 0; first < model->row_count; first += KD_BATCH_ROWS) {
        uint32_t count = model->row_count - first;
        count = count > KD_BATCH_ROWS ? KD_BATCH_ROWS : count;
        const uint64_t *stamps;
        CHECK_STATUS(ctx, kd_segment_read_stamps(ctx, reader, first, count, &stamps));
        for (uint32_t i = 0; i < count; i++)
            CHECK_EQ(stamps == NULL ? 0 : stamps[i],
                     model->stamps == NULL ? 0 : model->stamps[first + i]);
        for (uint32_t c = 0; c < model->column_count; c++) {
            kd_vector vector;
            CHECK_STATUS(ctx, kd_segment_read(ctx, reader, c, first, count, &vector));
            CHECK(kd_type_same(vector.type, model->columns[c].type));
            for (uint32_t i = 0; i < count; i++) {
                kd_value value = kd_vector_get(&vector, i);
                if (!same_value(&value, &model->columns[c].values[first + i]))
                    test_fail(__FILE__, __LINE__, "column %u row %u differs", c, first + i);
            }
            check_rows(fixture, model, reader, c, first, count, 100);
            check_rows(fixture, model, reader, c, first, count, 3);
        }
    }
    kd_segment_reader_destroy(reader);
    kd_arena_destroy(arena);
}

static void check_zone_maps(segment_fixture *fixture, const segment_model *model,
                            kd_segment *segment)
{
    for (uint32_t c = 0; c < model->column_count; c++) {
        for (uint32_t first = 0; first < model->row_count; first += KD_BLOCK_ROWS) {
            kd_zone_map map;
            uint32_t nulls = 0, count = model->row_count - first;
            count = count > KD_BLOCK_ROWS ? KD_BLOCK_ROWS : count;
            CHECK_STATUS(&fixture->ctx, kd_segment_zone_map(&fixture->ctx, segment, c,
                                                            first / KD_BLOCK_ROWS, &map));
            for (uint32_t i = 0; i < count; i++) {
                const kd_value *value = &model->columns[c].values[first + i];
                nulls += value->is_null;
                if (value->is_null || !map.has_bounds)
                    continue;
                CHECK(kd_value_compare(value, &map.min) >= 0);
                CHECK(kd_value_compare(value, &map.max) <= 0);
            }
            CHECK_EQ(map.row_count, count);
            CHECK_EQ(map.null_count, nulls);
        }
    }
}

void model_check(segment_fixture *fixture, const segment_model *model, kd_segment *segment,
                 uint32_t step)
{
    kd_ctx *ctx = &fixture->ctx;
    CHECK_EQ(kd_segment_row_count(segment), model->row_count);
    CHECK_EQ(kd_segment_column_count(segment), model->column_count);
    check_vectors(fixture, model, segment);
    check_zone_maps(fixture, model, segment);
    kd_arena *arena = test_arena(ctx);
    for (uint32_t row = 0; row < model->row_count; row += step) {
        uint64_t stamp;
        CHECK_STATUS(ctx, kd_segment_get_stamp(ctx, segment, row, &stamp));
        CHECK_EQ(stamp, model->stamps == NULL ? 0 : model->stamps[row]);
        for (uint32_t c = 0; c < model->column_count; c++) {
            kd_value value;
            CHECK_STATUS(ctx, kd_segment_get(ctx, segment, c, row, arena, &value));
            if (!same_value(&value, &model->columns[c].values[row]))
                test_fail(__FILE__, __LINE__, "column %u row %u differs alone", c, row);
        }
    }
    kd_arena_destroy(arena);
}
