/*
 * The watchdog: looks every few milliseconds while some statement or idle session has a deadline,
 * and sleeps otherwise.
 */
#include "engine/watchdog.h"

#include <string.h>

enum { LOOK_EVERY_NS = 5000000 };

static void cancel_late(kd_database *database, uint64_t now_ns)
{
    kd_mutex_lock(&database->mutex);
    for (kd_session *session = database->first_session; session != NULL; session = session->next) {
        uint64_t deadline_ns = atomic_load(&session->deadline_ns);
        if (deadline_ns == 0 || now_ns < deadline_ns)
            continue;
        atomic_store(&session->timed_out, true);
        atomic_store(&session->cancelled, true);
    }
    kd_mutex_unlock(&database->mutex);
}

static kd_session *find_idle(kd_database *database, uint64_t now_ns)
{
    kd_mutex_lock(&database->mutex);
    kd_session *session = database->first_session;
    while (session != NULL &&
           (session->idle_deadline_ns == 0 || now_ns < session->idle_deadline_ns))
        session = session->next;
    kd_mutex_unlock(&database->mutex);
    return session;
}

/* The watch's mutex is held: it keeps the sessions' owners out. */
static void end_idle(kd_database *database, uint64_t now_ns)
{
    kd_session *session;
    while ((session = find_idle(database, now_ns)) != NULL) {
        session->idle_deadline_ns = 0;
        database->watched_count--;
        session->ended_sqlstate = session->txn != NULL ? "25P03" : "57P05";
        kdi_cursors_close(session, true);
        if (session->txn != NULL)
            kdi_transaction_rollback(session);
        if (session->hooks.wake != NULL)
            session->hooks.wake(session->hooks.object);
    }
}

static void watch(void *object)
{
    kd_database *database = object;
    kd_world *world = database->world;
    kd_mutex_lock(&database->watch_mutex);
    while (!database->watch_stops) {
        if (database->watched_count == 0) {
            (void)kd_cond_wait(&database->watch_changed, &database->watch_mutex, UINT64_MAX);
            continue;
        }
        (void)kd_cond_wait(&database->watch_changed, &database->watch_mutex, LOOK_EVERY_NS);
        kd_mutex_unlock(&database->watch_mutex);
        uint64_t now_ns = world->monotonic_ns(world);
        cancel_late(database, now_ns);
        kd_mutex_lock(&database->watch_mutex);
        end_idle(database, now_ns);
    }
    kd_mutex_unlock(&database->watch_mutex);
}

/* The mutex is held. */
static kd_status ensure_watcher(kd_ctx *ctx, kd_database *database)
{
    if (database->watcher != NULL)
        return KD_OK;
    return kd_thread_start(ctx, "watchdog", watch, database, &database->watcher);
}

kd_status kdi_watch_begin(kd_ctx *ctx, kd_session *session, uint64_t deadline_ns)
{
    kd_database *database = session->database;
    kd_mutex_lock(&database->watch_mutex);
    kd_status status = ensure_watcher(ctx, database);
    if (status == KD_OK) {
        atomic_store(&session->timed_out, false);
        atomic_store(&session->deadline_ns, deadline_ns);
        database->watched_count++;
        kd_cond_signal(&database->watch_changed);
    }
    kd_mutex_unlock(&database->watch_mutex);
    return status;
}

void kdi_watch_end(kd_session *session)
{
    kd_database *database = session->database;
    if (atomic_load(&session->deadline_ns) == 0)
        return;
    kd_mutex_lock(&database->watch_mutex);
    atomic_store(&session->deadline_ns, 0);
    database->watched_count--;
    kd_mutex_unlock(&database->watch_mutex);
}

void kdi_idle_begin(kd_session *session)
{
    const kd_settings *settings = &session->settings;
    kd_database *database = session->database;
    int64_t timeout_ms = session->txn != NULL ? settings->idle_in_transaction_timeout_ms
                                              : settings->idle_session_timeout_ms;
    if (timeout_ms == 0 || session->runs != NULL || session->is_idle ||
        session->ended_sqlstate != NULL)
        return;
    kd_world *world = database->world;
    kd_ctx own = {.world = world};
    kd_mutex_lock(&database->watch_mutex);
    /* Without a thread it rests without a time-out. */
    if (ensure_watcher(&own, database) == KD_OK) {
        session->is_idle = true;
        session->idle_deadline_ns = world->monotonic_ns(world) + (uint64_t)timeout_ms * 1000000;
        database->watched_count++;
        kd_cond_signal(&database->watch_changed);
    }
    kd_error_clear(&own);
    kd_mutex_unlock(&database->watch_mutex);
}

void kdi_idle_end(kd_session *session)
{
    kd_database *database = session->database;
    if (!session->is_idle)
        return;
    kd_mutex_lock(&database->watch_mutex);
    session->is_idle = false;
    database->watched_count -= session->idle_deadline_ns != 0;
    session->idle_deadline_ns = 0;
    kd_mutex_unlock(&database->watch_mutex);
}

kd_status kdi_idle_check(kd_ctx *ctx, const kd_session *session)
{
    if (atomic_load_explicit(&session->is_terminated, memory_order_relaxed))
        return KD_FAIL(ctx, KD_CANCELLED, "57P01",
                       "terminating connection due to administrator command");
    if (session->ended_sqlstate == NULL)
        return KD_OK;
    bool was_in_transaction = strcmp(session->ended_sqlstate, "25P03") == 0;
    return KD_FAIL(ctx, KD_CANCELLED, session->ended_sqlstate,
                   was_in_transaction ? "terminating connection due to idle-in-transaction timeout"
                                      : "terminating connection due to idle-session timeout");
}

void kdi_watch_explain(kd_ctx *ctx, kd_session *session)
{
    static const char message[] = "canceling statement due to statement timeout";
    _Static_assert(sizeof message <= KD_ERROR_MESSAGE_BYTES, "fits the record");
    if (ctx->error.status != KD_CANCELLED || !atomic_load(&session->timed_out))
        return;
    memcpy(ctx->error.message, message, sizeof message);
}

void kdi_watch_stop(kd_database *database)
{
    kd_mutex_lock(&database->watch_mutex);
    database->watch_stops = true;
    kd_cond_broadcast(&database->watch_changed);
    kd_mutex_unlock(&database->watch_mutex);
    kd_thread_join(database->world, database->watcher);
    database->watcher = NULL;
}
