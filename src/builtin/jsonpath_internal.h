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
    kd_value time;    /* DATE, TIME, TIMESTAMP or TIMESTAMPTZ. */
    bool has_zone;    /* Of a time: it has an offset. */
    int32_t offset_s; /* The one that it was written with. */
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
/* The same for a path that is used once; into env->state_arena. */
kd_status kdi_path_parse(kd_ctx *ctx, kd_slice text, kdi_path_call *io_call) KD_MUST_CHECK;
/* All items that the path gives, or, where `values` is NULL, whether there are any. */
kd_status kdi_path_run(kd_ctx *ctx, const kdi_path_call *call, kdi_path_values *values,
                       kdi_path_result *out) KD_MUST_CHECK;
/* An item as jsonb: times become strings. */
kd_status kdi_path_value_json(kd_ctx *ctx, const kd_call_env *env, const kdi_path_value *value,
                              kd_slice *out) KD_MUST_CHECK;

/* What a template of the SQL standard reads: the type follows from the patterns that it has, and
 * the input has to match it sign by sign. */
kd_status kdi_template_datetime(kd_ctx *ctx, const struct kd_zone *zone, kd_slice input,
                                kd_slice format, kdi_path_value *out) KD_MUST_CHECK;

/* Dates and times (jsonpath_time.c). Reading goes by the template, or, NULL, by ISO 8601. */
kd_status kdi_path_read_time(kd_ctx *ctx, const struct kd_zone *zone, kd_slice text,
                             const kd_slice *template, kdi_path_value *out) KD_MUST_CHECK;
/* The name of its type, as type() gives it. */
const char *kdi_path_time_name(const kdi_path_value *value);
/* `*out_known` is false for a time of day and a date. */
kd_status kdi_path_compare_times(kd_ctx *ctx, const kdi_path_call *call, const kdi_path_value *a,
                                 const kdi_path_value *b, int *out_order,
                                 bool *out_known) KD_MUST_CHECK;
kd_status kdi_path_time_json(kd_ctx *ctx, const kd_call_env *env, const kdi_path_value *value,
                             kd_buffer *out) KD_MUST_CHECK;

#endif
