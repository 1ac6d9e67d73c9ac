/*
 * Statements that have plans: pg_prepared_statements, and kade_plan_cache of those that the session
 * keeps by their texts, both of the session's own; kade_result_cache of the whole database.
 */
#include "engine/system_view_internal.h"

#include "engine/result_cache.h"

#define PG_PREPARED_STATEMENTS(X)     \
    X(name, TEXT)                     \
    X(statement, TEXT)                \
    X(prepare_time, TIMESTAMPTZ)      \
    X(parameter_types, REGTYPE_ARRAY) \
    X(from_sql, BOOL) X(generic_plans, INT8) X(custom_plans, INT8)

static kd_status pg_prepared_statements(kdi_sys_view *view)
{
    for (const kdi_named *it = view->session->prepared; it != NULL; it = it->next) {
        const kd_prepared *prepared = it->prepared;
        kdi_put_text(view, it->name);
        kdi_put_text(view, it->statement);
        kdi_put_timestamptz(view, it->made_us);
        KD_TRY(kdi_put_types(view, prepared->parameter_types, prepared->parameter_count));
        kdi_put_bool(view, true);
        kdi_put_int8(view, (int64_t)prepared->choice.generic_runs);
        kdi_put_int8(view, (int64_t)prepared->choice.custom_runs);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define KADE_PLAN_CACHE(X) \
    X(statement, TEXT)     \
    X(uses, INT8)          \
    X(generic_plans, INT8) X(custom_plans, INT8) X(replans, INT8) X(bytes, INT8)

/* The last used first. */
static kd_status kade_plan_cache(kdi_sys_view *view)
{
    const kd_prepared *it = view->session->plans.newest;
    for (; it != NULL; it = it->place.older) {
        kdi_put_text(view, it->statement_text);
        kdi_put_int8(view, (int64_t)it->place.uses);
        kdi_put_int8(view, (int64_t)it->choice.generic_runs);
        kdi_put_int8(view, (int64_t)it->choice.custom_runs);
        kdi_put_int8(view, (int64_t)it->replans);
        kdi_put_int8(view, (int64_t)it->place.bytes);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define KADE_RESULT_CACHE(X) \
    X(entries, INT8)         \
    X(bytes, INT8)           \
    X(limit_bytes, INT8) X(hits, INT8) X(misses, INT8) X(stale, INT8) X(evicted, INT8)

static kd_status kade_result_cache(kdi_sys_view *view)
{
    kdi_result_counts counts = kdi_result_cache_counts(view->session->database->results);
    const uint64_t row[] = {counts.entries, counts.bytes, counts.limit_bytes, counts.hits,
                            counts.misses,  counts.stale, counts.evicted};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        kdi_put_int8(view, (int64_t)row[i]);
    return kdi_sys_emit(view);
}

KDI_VIEW(pg_prepared_statements, PG_PREPARED_STATEMENTS)
KDI_VIEW(kade_plan_cache, KADE_PLAN_CACHE)
KDI_VIEW(kade_result_cache, KADE_RESULT_CACHE)

const kd_virtual_table *kdi_plan_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_prepared_statements", pg_prepared_statements),
        KDI_VIEW_ENTRY("pg_catalog", "kade_plan_cache", kade_plan_cache),
        KDI_VIEW_ENTRY("pg_catalog", "kade_result_cache", kade_result_cache),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
