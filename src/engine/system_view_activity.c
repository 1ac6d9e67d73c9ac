/*
 * System views of what sessions do now.
 */
#include "engine/system_view_internal.h"

#include <stdio.h>

#define PG_STAT_ACTIVITY(X)       \
    X(datid, OID)                 \
    X(datname, TEXT)              \
    X(pid, INT4)                  \
    X(leader_pid, INT4)           \
    X(usesysid, OID)              \
    X(usename, TEXT)              \
    X(application_name, TEXT)     \
    X(client_addr, TEXT)          \
    X(client_hostname, TEXT)      \
    X(client_port, INT4)          \
    X(backend_start, TIMESTAMPTZ) \
    X(xact_start, TIMESTAMPTZ)    \
    X(query_start, TIMESTAMPTZ)   \
    X(state_change, TIMESTAMPTZ)  \
    X(wait_event_type, TEXT)      \
    X(wait_event, TEXT)           \
    X(state, TEXT) X(query_id, INT8) X(query, TEXT) X(backend_type, TEXT)

typedef struct seen_session {
    char user_name[KDI_NAME_BYTES];
    uint32_t session_no, role_no;
    bool is_running;
    uint64_t started_ns, rows_done, rows_expected;
    const char *phase;
    kdi_activity activity;
} seen_session;

static void see(const kd_session *it, const kd_session *own, seen_session *out)
{
    (void)snprintf(out->user_name, sizeof out->user_name, "%s", it->user_name);
    out->session_no = it->session_no;
    out->role_no = it->login_role_no;
    out->started_ns = atomic_load(&it->progress.started_ns);
    out->rows_done = atomic_load(&it->progress.work.rows_done);
    out->rows_expected = atomic_load(&it->progress.work.rows_expected);
    out->phase = atomic_load(&it->progress.work.phase);
    out->is_running = it == own || out->started_ns != 0;
    kdi_activity_read(it, &out->activity);
}

/* Sessions are copied under the lock and shown after it: emitting may wait for memory. */
static kd_status see_sessions(kdi_sys_view *view, seen_session **out_list, uint32_t *out_count)
{
    kd_database *database = view->session->database;
    uint32_t capacity = 0, count = 0;
    kd_mutex_lock(&database->mutex);
    for (const kd_session *it = database->first_session; it != NULL; it = it->next)
        capacity++;
    seen_session *list = KD_NEW_ARRAY(view->ctx, view->arena, seen_session, capacity);
    for (const kd_session *it = database->first_session; list != NULL && it != NULL; it = it->next)
        see(it, view->session, &list[count++]);
    kd_mutex_unlock(&database->mutex);
    *out_list = list;
    *out_count = count;
    return list == NULL ? KD_NOMEM : KD_OK;
}

/* Sessions of the library tell no more than whether a statement runs. */
static void put_doing(kdi_sys_view *view, const seen_session *it)
{
    static const char *const states[] = {"idle", "active", "idle in transaction",
                                         "idle in transaction (aborted)"};
    const kdi_activity *activity = &it->activity;
    kdi_put_moment(view, activity->session_us);
    kdi_put_moment(view, activity->transaction_us);
    kdi_put_moment(view, activity->statement_us);
    kdi_put_moment(view, activity->state_us);
    bool waits = activity->is_told && activity->state != KDI_ACTIVITY_ACTIVE;
    kdi_put_text_or_null(view, waits ? KD_SLICE("Client") : KD_SLICE(""));
    kdi_put_text_or_null(view, waits ? KD_SLICE("ClientRead") : KD_SLICE(""));
    if (activity->is_told)
        kdi_put_literal(view, states[activity->state]);
    else
        kdi_put_text_or_null(view, it->is_running ? KD_SLICE("active") : KD_SLICE(""));
    kdi_put_null(view);
    kdi_put_text_or_null(view, kd_slice_of(activity->text));
}

static kd_status pg_stat_activity(kdi_sys_view *view)
{
    seen_session *list;
    uint32_t count;
    KD_TRY(see_sessions(view, &list, &count));
    for (uint32_t i = 0; i < count; i++) {
        const kdi_activity *activity = &list[i].activity;
        kdi_put_oid(view, KDI_DATABASE_NO);
        kdi_put_literal(view, view->session->database->name);
        kdi_put_int4(view, list[i].session_no);
        kdi_put_null(view);
        kdi_put_oid(view, list[i].role_no);
        kdi_put_literal(view, list[i].user_name);
        kdi_put_text_or_null(view, kd_slice_of(activity->application_name));
        kdi_put_text_or_null(view, kd_slice_of(activity->client_address));
        kdi_put_null(view);
        kdi_put_int4(view, activity->client_port);
        put_doing(view, &list[i]);
        kdi_put_literal(view, "client backend");
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define KADE_PROGRESS(X) \
    X(pid, INT4)         \
    X(usename, TEXT) X(phase, TEXT) X(rows_done, INT8) X(rows_expected, INT8) X(elapsed_ms, INT8)

/* Statements that run now: rows read so far, and how many there will be by the plan's estimate. */
static kd_status kade_progress(kdi_sys_view *view)
{
    seen_session *list;
    uint32_t count;
    kd_world *world = view->session->database->world;
    uint64_t now_ns = world->monotonic_ns(world);
    KD_TRY(see_sessions(view, &list, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].started_ns == 0)
            continue;
        kdi_put_int4(view, list[i].session_no);
        kdi_put_literal(view, list[i].user_name);
        kdi_put_literal(view, list[i].phase);
        kdi_put_int8(view, (int64_t)list[i].rows_done);
        if (list[i].rows_expected == 0)
            kdi_put_null(view);
        else
            kdi_put_int8(view, (int64_t)list[i].rows_expected);
        kdi_put_int8(view, now_ns < list[i].started_ns
                               ? 0
                               : (int64_t)((now_ns - list[i].started_ns) / 1000000));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

KDI_VIEW(pg_stat_activity, PG_STAT_ACTIVITY)
KDI_VIEW(kade_progress, KADE_PROGRESS)

const kd_virtual_table *kdi_activity_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_stat_activity", pg_stat_activity),
        KDI_VIEW_ENTRY("pg_catalog", "kade_progress", kade_progress),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
