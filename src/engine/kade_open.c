/*
 * Databases and sessions of the public API: their lives, errors and hooks.
 */
#include "engine/kade_internal.h"

#include <assert.h>
#include <stdio.h>

#define TEXT_OF(number) #number
#define VERSION_OF(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

_Static_assert((int)KADE_INTERNAL == (int)KD_INTERNAL && (int)KADE_CANCELLED == (int)KD_CANCELLED,
               "the public status codes are the engine's");

const char *kade_version(void)
{
    return VERSION_OF(KADE_VERSION_MAJOR, KADE_VERSION_MINOR, KADE_VERSION_PATCH);
}

/* --- Errors ----------------------------------------------------------------------------------- */

/* An error that lives by itself. */
typedef struct given_error {
    kade_error view; /* First: kade_error_free finds the rest. */
    kd_arena *arena;
    kd_error record;
} given_error;

static const kade_error no_error = {.sqlstate = "00000",
                                    .severity = "",
                                    .message = "",
                                    .detail = "",
                                    .hint = "",
                                    .constraint = "",
                                    .position = -1};

void kdi_error_view(const kd_error *record, kade_error *out_error)
{
    *out_error = (kade_error){
        .status = (kade_status)record->status,
        .severity = "ERROR",
        .message = record->message,
        .detail = record->detail,
        .hint = record->hint,
        .constraint = record->constraint,
        .position = record->position,
    };
    (void)snprintf(out_error->sqlstate, sizeof out_error->sqlstate, "%s",
                   record->sqlstate[0] == '\0' ? "XX000" : record->sqlstate);
}

void kdi_error_give(const kd_error *record, kade_error **out_error)
{
    static given_error no_memory = {.view = {.status = KADE_NOMEM,
                                             .sqlstate = "53200",
                                             .severity = "ERROR",
                                             .message = "out of memory",
                                             .detail = "",
                                             .hint = "",
                                             .constraint = "",
                                             .position = -1}};
    if (out_error == NULL)
        return;
    kd_ctx ctx = {.world = kd_world_posix()};
    *out_error = &no_memory.view;
    kd_arena *arena = kd_arena_create(&ctx, NULL, "error", KD_ARENA_UNLIMITED);
    given_error *given = arena == NULL ? NULL : KD_NEW(&ctx, arena, given_error);
    if (given == NULL) {
        kd_arena_destroy(arena);
        return;
    }
    given->arena = arena;
    given->record = *record;
    kdi_error_view(&given->record, &given->view);
    *out_error = &given->view;
}

void kade_error_free(kade_error *error)
{
    if (error != NULL)
        kd_arena_destroy(((given_error *)error)->arena);
}

kd_ctx *kdi_api_begin(kade_session *session)
{
    kd_error_clear(session->ctx);
    session->error = no_error;
    return session->ctx;
}

kade_status kdi_api_end(kade_session *session, kd_status status)
{
    if (status != KD_OK) {
        kdi_error_view(&session->ctx->error, &session->error);
        session->error.status = (kade_status)status;
    }
    return (kade_status)status;
}

const kade_error *kade_session_error(const kade_session *session)
{
    return &session->error;
}

kd_slice kdi_api_slice(const char *text, size_t text_bytes)
{
    if (text == NULL)
        return (kd_slice){"", 0};
    return (kd_slice){text, text_bytes == KADE_NUL ? strlen(text) : text_bytes};
}

/* --- Databases -------------------------------------------------------------------------------- */

static kd_database_options translate_options(const kade_open_options *options)
{
    kade_open_options all = {0};
    if (options != NULL)
        memcpy(&all, options,
               options->struct_bytes < sizeof all ? options->struct_bytes : sizeof all);
    bool later = all.durability == KADE_DURABILITY_ASYNC || all.durability == KADE_DURABILITY_OFF;
    return (kd_database_options){
        .read_only = all.read_only,
        .must_exist = all.must_exist,
        .memory_budget_bytes = all.memory_budget_bytes,
        .worker_count = all.worker_count,
        .durability = later ? KD_DURABLE_LATER : KD_DURABLE,
        .no_sync = all.durability == KADE_DURABILITY_OFF,
        .temp_directory = all.temp_directory,
        .owner_timeout_ms = all.owner_timeout_ms,
        .settings = all.settings,
    };
}

/* How long a process may have the database open without letting others in: it replays its log, or
 * is closing. */
static const uint64_t open_patience_ns = 10000000000u;
static const uint64_t open_pause_ns = 20000000u;

/* Opens the database of a process that has it in use, unless that gives it up meanwhile. */
static kd_status open_shared(kd_ctx *ctx, const char *path, const kd_database_options *options,
                             kade_database *database)
{
    const kd_remote_ops *remote = kd_remote_registered();
    kd_world *world = ctx->world;
    uint64_t started_ns = world->monotonic_ns(world);
    for (;;) {
        kd_ctx attempt = {.world = world};
        kd_error_clear(&attempt);
        kd_status status = remote->open(&attempt, path, options, &database->remote);
        if (status != KD_OK && strcmp(attempt.error.sqlstate, "08001") == 0) {
            kd_error_clear(&attempt);
            status = kd_database_open(&attempt, path, options, &database->inner);
        }
        bool again = status == KD_BUSY && strcmp(attempt.error.sqlstate, "55006") == 0 &&
                     world->monotonic_ns(world) - started_ns < open_patience_ns;
        if (!again) {
            ctx->error = attempt.error;
            return status;
        }
        world->sleep_ns(world, open_pause_ns);
    }
}

/* In this process, or as a client of the one that has it open. */
static kd_status open_here_or_there(kd_ctx *ctx, const char *path,
                                    const kd_database_options *options, kade_database *database)
{
    const kd_remote_ops *remote = kd_remote_registered();
    kd_status status = kd_database_open(ctx, path, options, &database->inner);
    if (status != KD_OK && remote != NULL && strcmp(ctx->error.sqlstate, "55006") == 0) {
        kd_error_clear(ctx);
        status = open_shared(ctx, path, options, database);
    }
    if (status != KD_OK || remote == NULL || database->inner == NULL ||
        database->inner->is_memory || options->read_only)
        return status;
    /* A database that cannot be shared is a database all the same. */
    if (remote->serve(ctx, database->inner, path, &database->server) != KD_OK)
        kd_error_clear(ctx);
    return KD_OK;
}

kade_status kade_open(const char *path, size_t path_bytes, const kade_open_options *options,
                      kade_database **out_database, kade_error **out_error)
{
    kd_status status = KD_OK;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    *out_database = NULL;
    if (out_error != NULL)
        *out_error = NULL;
    kd_slice name = kdi_api_slice(path, path_bytes);
    kd_database_options inner_options = translate_options(options);
    kade_database *database = NULL;
    kd_arena *arena = kd_arena_create(&ctx, NULL, "api database", KD_ARENA_UNLIMITED);
    if (arena != NULL)
        database = KD_NEW(&ctx, arena, kade_database);
    char *text = database == NULL ? NULL : kd_copy_text(&ctx, arena, name.data, name.size_bytes);
    if (text == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    if (name.size_bytes == 0 || strlen(text) != name.size_bytes) {
        status = KD_FAIL(&ctx, KD_INVALID, "22023", "the path of a database is not empty");
        goto out;
    }
    database->arena = arena;
    database->read_only = inner_options.read_only;
    KD_TRY_OUT(open_here_or_there(&ctx, text, &inner_options, database));
    kd_mutex_init(&database->mutex, ctx.world);
    *out_database = database;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    if (status != KD_OK)
        kdi_error_give(&ctx.error, out_error);
    return (kade_status)status;
}

void kade_close(kade_database *database)
{
    if (database == NULL)
        return;
    while (database->sessions != NULL)
        kade_disconnect(database->sessions);
    kd_ctx ctx = {.world = kd_world_posix()};
    if (database->inner == NULL) {
        kd_remote_registered()->close(database->remote);
    } else {
        if (database->server != NULL)
            kd_remote_registered()->stop(database->server);
        /* A failed last checkpoint loses nothing: the log has it, and the next open reads it. */
        if (kd_database_close(&ctx, database->inner) != KD_OK)
            kd_error_clear(&ctx);
    }
    kdi_user_functions_end(database);
    kd_mutex_clear(&database->mutex);
    kd_arena_destroy(database->arena);
}

/* --- Hooks ------------------------------------------------------------------------------------ */

static void on_notice(void *object, const char *severity, const char *sqlstate, const char *message,
                      const char *hint)
{
    const kade_session *session = object;
    kade_error notice = no_error;
    notice.severity = severity;
    notice.message = message;
    notice.hint = hint == NULL ? "" : hint;
    (void)snprintf(notice.sqlstate, sizeof notice.sqlstate, "%s", sqlstate);
    session->notice(session->notice_object, &notice);
}

static bool on_progress(void *object, const char *phase, uint64_t rows_done, uint64_t rows_expected,
                        uint64_t elapsed_us)
{
    const kade_session *session = object;
    kade_progress progress = {
        .fraction = rows_expected == 0           ? -1.0
                    : rows_done >= rows_expected ? 1.0
                                                 : (double)rows_done / (double)rows_expected,
        .rows_done = rows_done,
        .rows_expected = rows_expected,
        .elapsed_us = elapsed_us,
        .phase = phase,
    };
    return session->progress(session->progress_object, &progress);
}

static bool on_copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    const kade_session *session = object;
    *out_bytes = 0;
    return session->copy_read(session->copy_object, target, capacity_bytes, out_bytes);
}

static bool on_copy_write(void *object, const void *source, size_t size_bytes)
{
    const kade_session *session = object;
    return session->copy_write(session->copy_object, source, size_bytes);
}

static void set_hooks(kade_session *session)
{
    kd_session_hooks hooks = {
        .object = session,
        .notice = session->notice == NULL ? NULL : on_notice,
        .copy_read = session->copy_read == NULL ? NULL : on_copy_read,
        .copy_write = session->copy_write == NULL ? NULL : on_copy_write,
        .progress = session->progress == NULL ? NULL : on_progress,
    };
    session->talk->ops->set_hooks(session->talk, &hooks);
}

void kade_session_on_progress(kade_session *session, kade_progress_fn fn, void *object)
{
    session->progress = fn;
    session->progress_object = object;
    set_hooks(session);
}

void kade_session_on_notice(kade_session *session, kade_notice_fn fn, void *object)
{
    session->notice = fn;
    session->notice_object = object;
    set_hooks(session);
}

void kade_session_on_copy(kade_session *session, kade_copy_read_fn read, kade_copy_write_fn write,
                          void *object)
{
    session->copy_read = read;
    session->copy_write = write;
    session->copy_object = object;
    set_hooks(session);
}

/* --- Sessions --------------------------------------------------------------------------------- */

kade_status kade_connect(kade_database *database, kade_session **out_session,
                         kade_error **out_error)
{
    kd_status status = KD_OK;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    *out_session = NULL;
    if (out_error != NULL)
        *out_error = NULL;
    kd_session_options options = {.isolation = KD_SNAPSHOT_ISOLATION,
                                  .read_only = database->read_only};
    kade_session *session = NULL;
    kd_arena *arena = kd_arena_create(&ctx, NULL, "api session", KD_ARENA_UNLIMITED);
    if (arena != NULL)
        session = KD_NEW(&ctx, arena, kade_session);
    if (session == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    *session = (kade_session){.database = database, .arena = arena, .error = no_error};
    if (database->inner != NULL)
        KD_TRY_OUT(kd_conversation_open_local(&ctx, database->inner, &options, &session->talk));
    else
        KD_TRY_OUT(
            kd_remote_registered()->connect(&ctx, database->remote, &options, &session->talk));
    session->inner = session->talk->session;
    session->ctx = session->talk->ctx;
    kd_mutex_lock(&database->mutex);
    session->next = database->sessions;
    database->sessions = session;
    kd_mutex_unlock(&database->mutex);
    *out_session = session;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    if (status != KD_OK)
        kdi_error_give(&ctx.error, out_error);
    return (kade_status)status;
}

static bool is_key_statement(const kade_session *session, const kade_statement *statement)
{
    for (int i = 0; i < KDI_KEY_STATEMENTS; i++)
        if (session->key_statements[i] == statement)
            return true;
    return false;
}

void kdi_session_end_objects(kade_session *session)
{
    while (session->appenders != NULL)
        kdi_appender_end(session->appenders);
    kade_statement *next;
    for (kade_statement *it = session->statements; it != NULL; it = next) {
        next = it->next;
        if (!is_key_statement(session, it))
            kade_finalize(it);
    }
}

void kade_disconnect(kade_session *session)
{
    if (session == NULL)
        return;
    kade_database *database = session->database;
    (void)kdi_api_begin(session);
    while (session->appenders != NULL)
        kdi_appender_end(session->appenders);
    while (session->statements != NULL)
        kade_finalize(session->statements);
    session->talk->ops->close(session->talk);

    kd_mutex_lock(&database->mutex);
    kade_session **link = &database->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    kd_mutex_unlock(&database->mutex);
    kd_arena_destroy(session->arena);
}

kade_transaction_state kade_session_transaction(const kade_session *session)
{
    switch (session->talk->ops->state(session->talk)) {
    case KD_SESSION_IN_TRANSACTION:
        return KADE_TRANSACTION_OPEN;
    case KD_SESSION_FAILED:
        return KADE_TRANSACTION_FAILED;
    case KD_SESSION_IDLE:
    default:
        return KADE_TRANSACTION_NONE;
    }
}

void kade_cancel(kade_session *session)
{
    session->talk->ops->cancel(session->talk);
}
