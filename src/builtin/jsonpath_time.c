/*
 * Dates and times in jsonpath: what datetime() reads, how they compare, how they are written.
 *
 * A time with time zone is a TIME with `has_zone`: its clock time, and the offset beside it.
 */
#include "builtin/jsonpath_internal.h"
#include "types/datetime.h"
#include "types/zone.h"

/* What is read without a template: ISO 8601, of the longer forms of one kind first. */
static const char *const iso_forms[] = {
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
};

kd_status kdi_path_read_time(kd_ctx *ctx, const kd_zone *zone, kd_slice text,
                             const kd_slice *template, kdi_path_value *out)
{
    if (template != NULL)
        return kdi_template_datetime(ctx, zone, text, *template, out);
    for (size_t i = 0; i < KDI_COUNT(iso_forms); i++) {
        kd_status status = kdi_template_datetime(ctx, zone, text, kd_slice_of(iso_forms[i]), out);
        if (status != KD_INVALID)
            return status;
        kd_error_clear(ctx);
    }
    return KD_FAIL(ctx, KD_INVALID, "22031", "datetime format is not recognized: \"%.*s\"",
                   (int)text.size_bytes, text.data);
}

static kd_type_id type_of(const kdi_path_value *v)
{
    return (kd_type_id)v->time.type.id;
}

static const char *short_name(const kdi_path_value *v)
{
    switch (type_of(v)) {
    case KD_TYPE_DATE:
        return "date";
    case KD_TYPE_TIME:
        return v->has_zone ? "timetz" : "time";
    default:
        return v->has_zone ? "timestamptz" : "timestamp";
    }
}

const char *kdi_path_time_name(const kdi_path_value *v)
{
    switch (type_of(v)) {
    case KD_TYPE_DATE:
        return "date";
    case KD_TYPE_TIME:
        return v->has_zone ? "time with time zone" : "time without time zone";
    default:
        return v->has_zone ? "timestamp with time zone" : "timestamp without time zone";
    }
}

/* `v` is to be compared with one that has a zone. */
static kd_status check_zone(kd_ctx *ctx, const kdi_path_call *call, const kdi_path_value *v)
{
    if (call->uses_zone)
        return KD_OK;
    kd_status status = KD_FAIL(
        ctx, KD_UNSUPPORTED, "0A000", "cannot convert value from %s to %s without time zone usage",
        short_name(v), type_of(v) == KD_TYPE_TIME ? "timetz" : "timestamptz");
    kd_error_set_hint(ctx, "Use *_tz() function for time zone support.");
    return status;
}

/* ---- Order ---- */

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int32_t offset_now(const kdi_path_call *call)
{
    int64_t seconds = (call->env->facts->transaction_us - KD_UNIX_EPOCH_US) / INT64_C(1000000);
    return kd_zone_at_utc(kdi_zone(call->env), seconds).seconds;
}

/* By the instant, then by the offset, the eastern one first. */
static kd_status compare_clocks(kd_ctx *ctx, const kdi_path_call *call, const kdi_path_value *a,
                                const kdi_path_value *b, int *out_order)
{
    *out_order = order_of(a->time.as.i64, b->time.as.i64);
    if (!a->has_zone && !b->has_zone)
        return KD_OK;
    if (!a->has_zone || !b->has_zone)
        KD_TRY(check_zone(ctx, call, a->has_zone ? b : a));
    int64_t a_offset = a->has_zone ? a->offset_s : offset_now(call);
    int64_t b_offset = b->has_zone ? b->offset_s : offset_now(call);
    *out_order = order_of(a->time.as.i64 - a_offset * INT64_C(1000000),
                          b->time.as.i64 - b_offset * INT64_C(1000000));
    if (*out_order == 0)
        *out_order = order_of(b_offset, a_offset);
    return KD_OK;
}

/* As a timestamp, in UTC where `to_utc`; dates beyond those of timestamps are beyond all of them.
 */
static kd_status widen(kd_ctx *ctx, const kdi_path_call *call, const kdi_path_value *v, bool to_utc,
                       int64_t *out)
{
    bool is_date = type_of(v) == KD_TYPE_DATE;
    kd_status status = KD_OK;
    *out = is_date ? (v->time.as.i32 < 0 ? INT64_MIN : INT64_MAX) : v->time.as.i64;
    if (to_utc && !v->has_zone)
        KD_TRY(check_zone(ctx, call, v));
    if (is_date)
        status = kd_date_to_timestamp(ctx, v->time.as.i32, out);
    if (status == KD_OK && to_utc && !v->has_zone)
        status = kd_timestamp_to_utc(ctx, kdi_zone(call->env), *out, out);
    if (status == KD_INVALID && is_date) {
        kd_error_clear(ctx);
        *out = v->time.as.i32 < 0 ? INT64_MIN : INT64_MAX;
        return KD_OK;
    }
    return status;
}

kd_status kdi_path_compare_times(kd_ctx *ctx, const kdi_path_call *call, const kdi_path_value *a,
                                 const kdi_path_value *b, int *out_order, bool *out_known)
{
    bool is_clock = type_of(a) == KD_TYPE_TIME;
    int64_t left, right;
    *out_known = is_clock == (type_of(b) == KD_TYPE_TIME);
    if (!*out_known)
        return KD_OK;
    if (is_clock)
        return compare_clocks(ctx, call, a, b, out_order);
    if (type_of(a) == KD_TYPE_DATE && type_of(b) == KD_TYPE_DATE) {
        *out_order = order_of(a->time.as.i32, b->time.as.i32);
        return KD_OK;
    }
    KD_TRY(widen(ctx, call, a, b->has_zone, &left));
    KD_TRY(widen(ctx, call, b, a->has_zone, &right));
    *out_order = order_of(left, right);
    return KD_OK;
}

/* ---- As text ---- */

kd_status kdi_path_time_json(kd_ctx *ctx, const kd_call_env *env, const kdi_path_value *v,
                             kd_buffer *out)
{
    kd_value time = v->time;
    if (time.type.id == KD_TYPE_TIMESTAMPTZ) {
        time.type = kd_type_of(KD_TYPE_TIMESTAMP);
        time.as.i64 += v->offset_s * INT64_C(1000000);
    }
    KD_TRY(kdi_append_json(ctx, kdi_settings(env), &time, out));
    if (!v->has_zone)
        return KD_OK;
    int32_t minutes = (v->offset_s < 0 ? -v->offset_s : v->offset_s) / 60;
    out->size_bytes--; /* The closing quote. */
    return kd_buffer_append_format(ctx, out, "%c%02d:%02d\"", v->offset_s < 0 ? '-' : '+',
                                   minutes / 60, minutes % 60);
}
