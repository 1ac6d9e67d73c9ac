/*
 * kade_scrub: how far the background check of stored bytes is.
 */
#include "engine/system_view_internal.h"

#define KADE_SCRUB(X)         \
    X(state, TEXT)            \
    X(bytes_per_second, INT8) \
    X(passes, INT8)           \
    X(bytes_read, INT8)       \
    X(damages_found, INT8)    \
    X(begun_at, TIMESTAMPTZ)  \
    X(last_full_pass, TIMESTAMPTZ)

static kd_status kade_scrub(kdi_sys_view *view)
{
    kd_scrub_statistics at = kd_storage_scrub_statistics(view->session->database->storage);
    kdi_put_literal(view, at.bytes_per_second == 0 ? "off" : at.is_running ? "running" : "waiting");
    kdi_put_int8(view, (int64_t)at.bytes_per_second);
    kdi_put_int8(view, (int64_t)at.passes);
    kdi_put_int8(view, (int64_t)at.bytes);
    kdi_put_int8(view, (int64_t)at.found);
    kdi_put_moment(view, at.begun_at_us);
    kdi_put_moment(view, at.ended_at_us);
    return kdi_sys_emit(view);
}

KDI_VIEW(kade_scrub, KADE_SCRUB)

const kd_virtual_table *kdi_damage_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "kade_scrub", kade_scrub),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
