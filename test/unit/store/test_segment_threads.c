/*
 * Many threads read one open segment through a cache that holds a part of it. For TSan.
 */
#include "base/thread.h"
#include "segment_fixture.h"

enum { THREADS = 4, ROWS = 40000, COLUMNS = 4 };

typedef struct shared {
    segment_fixture *fixture;
    const segment_model *model;
    kd_segment *segment;
} shared;

typedef struct job {
    shared *shared;
    uint64_t seed;
} job;

static void check_value(const kd_value *got, const kd_value *wanted)
{
    CHECK_EQ(got->is_null, wanted->is_null);
    if (!got->is_null)
        CHECK_EQ(kd_value_compare(got, wanted), 0);
}

static void read_randomly(void *object)
{
    static const uint32_t columns[COLUMNS] = {0, 1, 2, 3};
    job *self = object;
    kd_ctx ctx = test_ctx();
    test_random random = {self->seed};
    kd_arena *arena = test_arena(&ctx);
    kd_segment *segment = self->shared->segment;
    const segment_model *model = self->shared->model;
    kd_segment_reader *reader;
    CHECK_STATUS(&ctx, kd_segment_reader_create(&ctx, arena, segment, columns, COLUMNS, &reader));
    for (int i = 0; i < 300; i++) {
        uint32_t column = (uint32_t)test_random_below(&random, COLUMNS);
        uint32_t first =
            (uint32_t)test_random_below(&random, ROWS / KD_VECTOR_ROWS) * (uint32_t)KD_VECTOR_ROWS;
        kd_vector vector;
        CHECK_STATUS(&ctx, kd_segment_read(&ctx, reader, column, first, KD_VECTOR_ROWS, &vector));
        uint32_t at = (uint32_t)test_random_below(&random, KD_VECTOR_ROWS);
        kd_value value = kd_vector_get(&vector, at);
        check_value(&value, &model->columns[column].values[first + at]);
        uint32_t row = (uint32_t)test_random_below(&random, ROWS);
        CHECK_STATUS(&ctx, kd_segment_get(&ctx, segment, column, row, arena, &value));
        check_value(&value, &model->columns[column].values[row]);
    }
    kd_segment_reader_destroy(reader);
    kd_arena_destroy(arena);
}

TEST(threads_read_one_segment)
{
    segment_fixture fixture;
    test_random random = {31};
    fixture_begin(&fixture, 30 << 10);
    segment_model model = {.row_count = ROWS, .column_count = COLUMNS};
    model_column columns[COLUMNS] = {
        model_column_make(&fixture, &random, kd_type_of(KD_TYPE_TEXT), PATTERN_FEW, ROWS, 5),
        model_column_make(&fixture, &random, kd_type_of(KD_TYPE_INT8), PATTERN_SMALL, ROWS, 0),
        model_column_make(&fixture, &random, kd_type_of(KD_TYPE_INT4), PATTERN_RUNS, ROWS, 0),
        model_column_make(&fixture, &random, kd_type_of(KD_TYPE_INT8), PATTERN_FEW, ROWS, 0)};
    model.columns = columns;
    CHECK_STATUS(&fixture.ctx, model_write(&fixture, &random, &model, 8, 0));
    shared self = {.fixture = &fixture, .model = &model};
    CHECK_STATUS(&fixture.ctx, kd_segment_open(&fixture.ctx, &fixture.options, 8, &self.segment));
    kd_thread *threads[THREADS];
    job jobs[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        jobs[i] = (job){&self, i + 1};
        CHECK_STATUS(&fixture.ctx,
                     kd_thread_start(&fixture.ctx, "reader", read_randomly, &jobs[i], &threads[i]));
    }
    for (int i = 0; i < THREADS; i++)
        kd_thread_join(fixture.ctx.world, threads[i]);
    kd_segment_close(fixture.ctx.world, self.segment);
    fixture_end(&fixture);
}
