/*
 * Groups by code: when every key of a batch is a dictionary code or a narrow frame, a row's group
 * is an index into a small array.
 *
 * The array maps the combined code to the group's row, filled at first sight and kept as long as
 * the dictionaries and frames stay the same. It only shortens the way to the group table, which
 * decides what a group is: two codes may well lead to one row.
 */
#ifndef KD_EXEC_GROUP_CODE_INTERNAL_H
#define KD_EXEC_GROUP_CODE_INTERNAL_H

#include "exec/aggregate_internal.h"

enum { KDI_CODES_MAX = 1 << 17, KDI_CODE_KEYS_MAX = 8, KDI_CODE_SUMS_MAX = 1 << 12 };

typedef struct kdi_code_key {
    uint64_t dictionary_id;
    int64_t base;
    uint32_t cardinality;
    uint8_t form;
} kdi_code_key;

typedef struct kdi_group_codes {
    uint32_t key_count;
    kdi_code_key keys[KDI_CODE_KEYS_MAX];
    uint32_t cardinality;
    char **groups;     /* Per code; NULL: not seen yet. */
    uint32_t *codes;   /* Per selected row. */
    uint16_t *missing; /* Rows whose code is new, one per code. */
    uint32_t *missing_codes;
    uint32_t missing_count;
    int64_t *counts; /* Per code: rows of this batch. */
    int64_t *sums;
    int64_t *sum_counts;
} kdi_group_codes;

kd_status kdi_group_codes_create(kd_ctx *ctx, kd_arena *arena,
                                 kdi_group_codes **out_codes) KD_MUST_CHECK;
/* The codes of the batch's rows and which of them are new; false when the keys are of another kind.
 */
bool kdi_group_codes_open(kdi_group_codes *codes, const kd_vector *keys, uint32_t key_count,
                          const kd_batch *batch);
/* The groups' rows have moved. */
void kdi_group_codes_forget(kdi_group_codes *codes);
/* Counts and integer sums straight from codes and frames; false when the call needs its rows. */
kd_status kdi_group_codes_step(kd_ctx *ctx, kdi_group_codes *codes, kdi_agg *agg,
                               kdi_agg_call *call, const kd_batch *batch,
                               bool *out_done) KD_MUST_CHECK;

#endif
