/*
 * The server's life.
 */
#include "server/connection_internal.h"

#include "base/log.h"
#include "base/world_memory.h"

#include <openssl/rand.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { TICK_MS = 100, PLACES_BYTES = 1024 };
/* Logins and requests to cancel beside the sessions. */
enum { THREADS_BESIDE_SESSIONS = 64, THREADS_READY_MAX = 32 };

/* --- Stopping --------------------------------------------------------------------------------- */

static void end_loop_if_done(kd_server *server)
{
    if (atomic_load(&server->stopping) == KDI_STOPPING_NO || server->connections != NULL)
        return;
    uv_stop(&server->loop);
}

static void stop_now(kd_server *server)
{
    atomic_store(&server->stopping, KDI_STOPPING_NOW);
    kdi_connections_cancel(server);
    kdi_connections_look_after(server);
}

static void stop(kd_server *server)
{
    uint64_t now_ns = server->world->monotonic_ns(server->world);
    if (atomic_load(&server->stopping) != KDI_STOPPING_NO) {
        stop_now(server);
        return;
    }
    kd_server_settings settings;
    kd_database_server_settings(server->database, &settings);
    server->stop_deadline_ns = now_ns + settings.shutdown_timeout_ns;
    kd_log(server->world, KD_LOG_INFO, "server", "stopping connections=%u",
           server->connection_count);
    kdi_tell_service_manager("STOPPING=1");
    atomic_store(&server->stopping, KDI_STOPPING_WHEN_IDLE);
    kdi_listeners_close(server);
    kdi_connections_look_after(server);
    end_loop_if_done(server);
}

static void on_signal(uv_signal_t *handle, int signal_no)
{
    (void)signal_no;
    stop(handle->data);
}

/* --- The loop --------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *handle)
{
    kd_server *server = handle->data;
    kdi_connections_take_back(server);
    kdi_connections_wake(server);
    end_loop_if_done(server);
}

/* Those that change while it runs. */
static void note_timeouts(kd_server *server)
{
    kd_server_settings settings;
    kd_database_server_settings(server->database, &settings);
    atomic_store(&server->login_timeout_ns, settings.authentication_timeout_ns);
}

static void on_tick(uv_timer_t *handle)
{
    kd_server *server = handle->data;
    bool is_late = server->world->monotonic_ns(server->world) > server->stop_deadline_ns;
    kdi_listeners_resume(server);
    note_timeouts(server);
    if (atomic_load(&server->stopping) == KDI_STOPPING_WHEN_IDLE && is_late)
        stop_now(server);
    else if (atomic_load(&server->stopping) == KDI_STOPPING_NOW)
        stop_now(server); /* Statements that have begun meanwhile. */
    else
        kdi_connections_look_after(server);
    end_loop_if_done(server);
}

static kd_status loop_failed(kd_ctx *ctx, int code)
{
    return KD_FAIL(ctx, KD_IO, "58030", "could not start the server's loop: %s", uv_strerror(code));
}

/* The handles live in the server until the loop has ended. */
static kd_status loop_open(kd_ctx *ctx, kd_server *server)
{
    static const int signal_nos[] = {SIGINT, SIGTERM};
    int code = uv_loop_init(&server->loop);
    if (code != 0)
        return loop_failed(ctx, code);
    server->loop_is_open = true;
    code = uv_async_init(&server->loop, &server->wake, on_wake);
    if (code == 0)
        code = uv_timer_init(&server->loop, &server->tick);
    if (code == 0)
        code = uv_timer_init(&server->loop, &server->hurry);
    for (int i = 0; i < 2 && code == 0; i++) {
        code = uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        if (code == 0)
            code = uv_signal_start(&server->signals[i], on_signal, signal_nos[i]);
    }
    server->wake.data = server;
    server->tick.data = server;
    server->hurry.data = server;
    if (code == 0)
        code = uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    return code == 0 ? KD_OK : loop_failed(ctx, code);
}

static void close_any(uv_handle_t *handle, void *object)
{
    (void)object;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Signals that come until then are taken and forgotten. */
static void loop_close(kd_server *server)
{
    if (!server->loop_is_open)
        return;
    uv_walk(&server->loop, close_any, NULL);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&server->loop);
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* As many descriptors as the system lets us have: connections and segments need them. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static kd_status server_open(kd_ctx *ctx, kd_server *server, const kd_server_options *options)
{
    kd_database_options database = {.settings = options->settings};
    KD_TRY(kd_database_open(ctx, options->path, &database, &server->database));
    kd_database_server_settings(server->database, &server->settings);
    note_timeouts(server);
    if (RAND_bytes(server->mock_key, sizeof server->mock_key) != 1)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "there are no random numbers");
    if (server->settings.uses_tls)
        KD_TRY(kdi_tls_create(ctx, server->arena, &server->settings,
                              kd_database_path(server->database), &server->tls));
    return kdi_crew_create(ctx, server->arena, THREADS_READY_MAX,
                           server->settings.session_max + THREADS_BESIDE_SESSIONS, &server->crew);
}

static kd_status server_run(kd_ctx *ctx, kd_server *server, const kd_server_options *options)
{
    char places[PLACES_BYTES];
    KD_TRY(loop_open(ctx, server));
    kd_status status = kdi_listeners_open(ctx, server);
    if (status == KD_OK) {
        kdi_listeners_describe(server, places, sizeof places);
        kd_log(server->world, KD_LOG_INFO, "server", "listening places=%s", places);
        kdi_tell_service_manager("READY=1");
        if (options->ready != NULL)
            options->ready(options->object, places, server->settings.port);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    } else {
        kdi_listeners_close(server);
    }
    return status;
}

/* The first failure is told. */
static kd_status database_close(kd_ctx *ctx, kd_server *server, kd_status status)
{
    kd_ctx closing = {.world = ctx->world};
    kd_error_clear(&closing);
    if (server->database == NULL)
        return status;
    kd_status closed = kd_database_close(&closing, server->database);
    if (status != KD_OK || closed == KD_OK)
        return status;
    ctx->error = closing.error;
    return closed;
}

kd_status kd_server_run(kd_ctx *ctx, const kd_server_options *options)
{
    kd_arena *arena = kd_arena_create(ctx, NULL, "server", KD_ARENA_UNLIMITED);
    kd_server *server = arena == NULL ? NULL : KD_NEW(ctx, arena, kd_server);
    if (server == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    server->arena = arena;
    server->world = ctx->world;
    kd_account_init(&server->account, NULL, "connections", SIZE_MAX);
    kd_map_init(&server->named, ctx->world, &server->account);
    kd_mutex_init(&server->mutex, ctx->world);
    kdi_attempts_init(&server->attempts, ctx->world, &server->account);
    raise_descriptor_limit();
    kd_status status = server_open(ctx, server, options);
    if (status == KD_OK)
        status = server_run(ctx, server, options);
    kdi_crew_stop(server->crew);
    status = database_close(ctx, server, status);
    loop_close(server);
    kdi_tls_destroy(server->tls);
    kd_map_clear(&server->named);
    kdi_attempts_clear(&server->attempts);
    kd_mutex_clear(&server->mutex);
    kd_arena_destroy(arena);
    return status;
}
