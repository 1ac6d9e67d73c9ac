/*
 * Groups by code: when every key of a batch is a dictionary code or lies in a small range of
 * integers, a row's group is an index into small arrays.
 *
 * The arrays belong to an epoch: as long as dictionaries and ranges stay the same, a code's group
 * row is looked up once, at its first row, and counts and sums are only added up by code. They go
 * to the groups' states when the epoch ends. Codes only shorten the way to the group table, which
 * decides what a group is: two codes may well lead to one row.
 */
#ifndef KD_EXEC_GROUP_CODE_INTERNAL_H
#define KD_EXEC_GROUP_CODE_INTERNAL_H

#include "exec/aggregate_internal.h"

enum {
    KDI_CODES_MAX = 1 << 17,
    KDI_RANGE_MAX = 1 << 20, /* Of a single key that is a range. */
    KDI_CODE_KEYS_MAX = 8,
    /* Up to so many codes have their counts and sums in four lanes, so that neighbours in one group
     * do not wait for each other. */
    KDI_CODE_LANES_MAX = 512,
    /* Up to so many groups, in codes of a byte, have a mask of their rows in each batch. */
    KDI_CODE_MASKS_MAX = 8,
    KDI_CODE_MASK_CODES_MAX = 255,
};

#define KDI_NO_ONE_CODE UINT32_MAX

typedef struct kdi_code_key {
    uint64_t dictionary_id; /* 0: a range. */
    int64_t low;            /* Of the range; its last code is NULL's. */
    uint32_t cardinality;
} kdi_code_key;

/* What one call has gathered in this epoch. All arrays are zero where no row has been. */
typedef struct kdi_code_sum {
    int64_t *sums;     /* In lanes. */
    double *doubles;   /* In lanes, instead of `sums`. */
    uint32_t *nulls;   /* Rows that do not count. */
    uint8_t *scales;   /* Digits shown, where they differ; else NULL. */
    int scale;         /* Of the sums. */
    uint64_t reach;    /* No sum is farther from zero. */
    uint32_t capacity; /* Codes that the arrays have room for. */
    bool is_open;      /* Every row of the epoch so far has been added. */
    bool is_shown;     /* `scales` says what is shown. */
    bool goes_by_rows; /* For the rest of the epoch. */
} kdi_code_sum;

typedef struct kdi_group_codes {
    kd_arena *arena;
    uint32_t key_count;
    kdi_code_key keys[KDI_CODE_KEYS_MAX];
    uint32_t cardinality;
    uint32_t lanes; /* 1 or 4 */
    uint32_t capacity;
    char **groups;     /* Per code; NULL: not seen yet. */
    uint8_t *unseen;   /* Per code: 1, 0 once it has been seen. */
    uint32_t *touched; /* Codes that have been seen. */
    uint32_t touched_count;
    uint32_t *counts;   /* Rows, in lanes. */
    uint64_t row_count; /* Of the epoch. */
    uint32_t *codes;    /* Of this batch's selected rows. */
    uint32_t one_code;  /* That of all of them; KDI_NO_ONE_CODE: they differ. */
    uint16_t *missing;  /* Rows whose code is new, one per code. */
    uint32_t *missing_codes;
    uint32_t missing_count;
    /* Of this batch, by row: made when the first sum wants them; one for each touched code. */
    uint64_t (*masks)[KDI_BATCH_WORDS];
    bool has_masks;
    kdi_code_sum *sums; /* Per call. */
} kdi_group_codes;

kd_status kdi_group_codes_create(kd_ctx *ctx, kd_arena *arena, uint32_t call_count,
                                 kdi_group_codes **out_codes) KD_MUST_CHECK;
/* The codes of the batch's rows and which of them are new; false when the keys are of another kind.
 */
kd_status kdi_group_codes_open(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg,
                               const kd_vector *keys, uint32_t key_count, const kd_batch *batch,
                               bool *out_opened) KD_MUST_CHECK;
/* The group of a missing code. */
void kdi_group_codes_set(kdi_group_codes *codes, uint32_t missing, char *group);
/* Ends the epoch: what was gathered goes to the groups' states. Before the groups' rows move and
 * before anybody reads them. */
kd_status kdi_group_codes_settle(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg) KD_MUST_CHECK;

/* ---- group_sum.c ---- */

/* Counts the batch's rows by code, after its calls were stepped. */
void kdi_code_rows_count(kdi_group_codes *codes, uint32_t count);
/* Counts and sums straight from the columns; false when the call needs its rows. */
kd_status kdi_code_sum_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, uint32_t call,
                            const kd_batch *batch, bool *out_done) KD_MUST_CHECK;
/* Everything gathered to the states; the arrays are zero again. */
kd_status kdi_code_sums_fold(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg) KD_MUST_CHECK;

/* ---- group_double.c ---- */

/* Adds the call's doubles by code. */
kd_status kdi_code_doubles_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg, uint32_t call,
                                const kd_batch *batch) KD_MUST_CHECK;
/* A code's sum, of `count` values, to its group's state; it is zero again. */
void kdi_code_doubles_fold(const kdi_group_codes *codes, kdi_code_sum *sum, uint32_t code,
                           kd_double_sum *state, int64_t count);

/* add_lanes(): values by code into four sums each, so that rows of one group do not wait for each
 * other. */
#define KDI_ADD_LANES(type)                                                    \
    static void add_lanes(type *restrict sums, const uint32_t *restrict codes, \
                          const type *restrict values, uint32_t count)         \
    {                                                                          \
        uint32_t i = 0;                                                        \
        for (; i + 4 <= count; i += 4) {                                       \
            sums[codes[i] * 4] += values[i];                                   \
            sums[codes[i + 1] * 4 + 1] += values[i + 1];                       \
            sums[codes[i + 2] * 4 + 2] += values[i + 2];                       \
            sums[codes[i + 3] * 4 + 3] += values[i + 3];                       \
        }                                                                      \
        for (; i < count; i++)                                                 \
            sums[codes[i] * 4] += values[i];                                   \
    }

#endif
