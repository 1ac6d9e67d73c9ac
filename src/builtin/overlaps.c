/*
 * OVERLAPS: whether two spans of time have a point in common.
 *
 * A span is two ends in any order, or one end and a length. It is closed at its start and open at
 * its end, except when both are the same. An end that is NULL leaves the answer open unless the
 * other three decide it.
 */
#include "builtin/signature_internal.h"
#include "types/datetime.h"

typedef struct span {
    int64_t start, end;
    bool has_start, has_end;
} span;

static kd_status add_length(kd_ctx *ctx, const kd_call_env *env, int64_t start, kd_interval length,
                            int64_t *out)
{
    switch (env->argument_types[0].id) {
    case KD_TYPE_TIMESTAMPTZ:
        return kd_timestamptz_add(ctx, kdi_zone(env), start, length, out);
    case KD_TYPE_TIMESTAMP:
        return kd_timestamp_add(ctx, start, length, out);
    default:
        *out = (start + length.micros % KD_DAY_US + KD_DAY_US) % KD_DAY_US;
        return KD_OK;
    }
}

/* Arguments `first` and the one after it; the known end is the start, the earlier one of two. */
static kd_status read_span(kd_ctx *ctx, const kd_call_env *env, const void *const *args,
                           uint32_t first, span *out)
{
    span it = {.has_start = args[first] != NULL, .has_end = args[first + 1] != NULL};
    if (it.has_start)
        it.start = KDI_ARG(int64_t, args, first);
    bool is_length = env->argument_types[first + 1].id == KD_TYPE_INTERVAL;
    it.has_end &= !is_length || it.has_start;
    if (it.has_end && is_length)
        KD_TRY(add_length(ctx, env, it.start, KDI_ARG(kd_interval, args, first + 1), &it.end));
    else if (it.has_end)
        it.end = KDI_ARG(int64_t, args, first + 1);
    if ((!it.has_start && it.has_end) || (it.has_start && it.has_end && it.start > it.end))
        it = (span){it.end, it.start, true, it.has_start};
    *out = it;
    return KD_OK;
}

KDI_ROW(overlaps)
{
    span a, b;
    KD_TRY(read_span(ctx, env, args, 0, &a));
    KD_TRY(read_span(ctx, env, args, 2, &b));
    *out_is_null = !a.has_start || !b.has_start;
    if (*out_is_null)
        return KD_OK;
    if (a.start == b.start) {
        *out_is_null = !a.has_end || !b.has_end;
        *(uint8_t *)result = true;
        return KD_OK;
    }
    span earlier = a.start < b.start ? a : b, later = a.start < b.start ? b : a;
    *out_is_null = !earlier.has_end || (later.start >= earlier.end && !later.has_end);
    *(uint8_t *)result = earlier.has_end && later.start < earlier.end;
    return KD_OK;
}

#define OVERLAPS(TYPE)                                                          \
    STABLE_LENIENT("overlaps", overlaps, BOOL, TYPE, TYPE, TYPE, TYPE),         \
        STABLE_LENIENT("overlaps", overlaps, BOOL, TYPE, INTERVAL, TYPE, TYPE), \
        STABLE_LENIENT("overlaps", overlaps, BOOL, TYPE, TYPE, TYPE, INTERVAL), \
        STABLE_LENIENT("overlaps", overlaps, BOOL, TYPE, INTERVAL, TYPE, INTERVAL)

static const kd_function functions[] = {
    OVERLAPS(TIMESTAMP), OVERLAPS(TIMESTAMPTZ), OVERLAPS(TIME),
    STABLE_LENIENT("overlaps", overlaps, BOOL, TIMETZ, TIMETZ, TIMETZ, TIMETZ)};

kd_status kdi_register_overlaps(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
