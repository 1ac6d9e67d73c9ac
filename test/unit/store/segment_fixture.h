/*
 * What the segment tests share: options on a fresh directory, random columns with a
 * plain model beside them, and the comparison of a segment with its model.
 */
#ifndef KD_TEST_SEGMENT_FIXTURE_H
#define KD_TEST_SEGMENT_FIXTURE_H

#include "store/segment_internal.h"
#include "test.h"

typedef struct segment_fixture {
    kd_ctx ctx;
    kd_arena *arena;
    kd_account account;
    kd_segment_options options;
} segment_fixture;

void fixture_begin(segment_fixture *fixture, size_t cache_bytes);
void fixture_end(segment_fixture *fixture); /* Checks that nothing leaked. */

/* How the values of a column come about. */
typedef enum value_pattern {
    PATTERN_RANDOM, /* Of the whole range of the type. */
    PATTERN_SMALL,  /* 0 .. 300, now and then an outlier. */
    PATTERN_SORTED, /* Ascending by small steps. */
    PATTERN_RUNS,
    PATTERN_FEW, /* A few distinct values. */
    PATTERN_CONSTANT,
    PATTERN_FACTOR, /* Multiples of 60,000,000. */
    PATTERN_COUNT
} value_pattern;

typedef struct model_column {
    kd_type type;
    kd_value *values; /* row_count */
} model_column;

typedef struct segment_model {
    uint32_t row_count;
    uint32_t column_count;
    model_column *columns;
    uint64_t *stamps; /* NULL: all 0. */
} segment_model;

/* `null_percent` of the rows are NULL. */
model_column model_column_make(segment_fixture *fixture, test_random *random, kd_type type,
                               value_pattern pattern, uint32_t row_count, unsigned null_percent);
/* Appends the model in batches of random sizes and forms, some with selections. */
kd_status model_append(segment_fixture *fixture, test_random *random, const segment_model *model,
                       kd_segment_writer *writer);
kd_status model_write(segment_fixture *fixture, test_random *random, const segment_model *model,
                      uint64_t unit, kdi_encoding force);
/* Every row through vectors, every `step`th also alone, zone maps and stamps. */
void model_check(segment_fixture *fixture, const segment_model *model, kd_segment *segment,
                 uint32_t step);

#endif
