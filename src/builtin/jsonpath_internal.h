/*
 * Evaluating paths of SQL/JSON over jsonb.
 */
#ifndef KD_BUILTIN_JSONPATH_INTERNAL_H
#define KD_BUILTIN_JSONPATH_INTERNAL_H

#include "builtin/builtin_internal.h"
#include "types/jsonpath.h"

/* One item of a result: a jsonb, or a date or time made by datetime(). */
typedef struct kdi_path_value {
    bool is_time;
    kd_slice json;
    kd_value time;
    int32_t offset_s; /* Of a timestamp with time zone: the one that it was written with. */
} kdi_path_value;

/* Zeroed before use, and not copied: most lists have one item, which is held inside. */
typedef struct kdi_path_values {
    kdi_path_value *items;
    size_t count;
    size_t capacity;
    kdi_path_value first;
} kdi_path_values;

typedef enum kdi_path_result {
    KDI_PATH_OK = 0,
    KDI_PATH_NOT_FOUND,
    KDI_PATH_ERROR, /* One that the caller asked not to be told. */
} kdi_path_result;

typedef struct kdi_path_call {
    kd_call_env *env; /* Its arena holds the answer; its state_arena the compiled patterns. */
    kd_jsonpath *path;
    void **patterns; /* path->pattern_count of them, NULL at first, kept between calls. */
    kd_slice json;
    kd_slice variables; /* A jsonb object; size 0: none. */
    bool throws;        /* Errors of the path are reported, not returned as KDI_PATH_ERROR. */
    bool uses_zone;     /* Dates may be compared with timestamps with time zone. */
} kdi_path_call;

/* Fills in `path` and `patterns`: parsed from argument 1 of the call and kept in env->state. */
kd_status kdi_path_prepare(kd_ctx *ctx, kd_slice text, kdi_path_call *io_call) KD_MUST_CHECK;
/* All items that the path gives, or, where `values` is NULL, whether there are any. */
kd_status kdi_path_run(kd_ctx *ctx, const kdi_path_call *call, kdi_path_values *values,
                       kdi_path_result *out) KD_MUST_CHECK;
/* An item as jsonb: times become strings. */
kd_status kdi_path_value_json(kd_ctx *ctx, const kd_call_env *env, const kdi_path_value *value,
                              kd_slice *out) KD_MUST_CHECK;

/* What a template reads: the type follows from the patterns that it has. */
kd_status kdi_template_datetime(kd_ctx *ctx, const struct kd_zone *zone, kd_slice input,
                                kd_slice format, kd_value *out,
                                int32_t *out_offset_s) KD_MUST_CHECK;

#endif
