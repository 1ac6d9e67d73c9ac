/*
 * The watchdog: looks every few milliseconds while some statement has a deadline,
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
        cancel_late(database, world->monotonic_ns(world));
        kd_mutex_lock(&database->watch_mutex);
    }
    kd_mutex_unlock(&database->watch_mutex);
}

kd_status kdi_watch_begin(kd_ctx *ctx, kd_session *session, uint64_t deadline_ns)
{
    kd_database *database = session->database;
    kd_status status = KD_OK;
    kd_mutex_lock(&database->watch_mutex);
    if (database->watcher == NULL)
        status = kd_thread_start(ctx, "watchdog", watch, database, &database->watcher);
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
