/*
 * Sessions: opening, closing, notices, and what statements know of them.
 */
#include "engine/define_internal.h"

#include "engine/advisory_lock.h"
#include "engine/configuration.h"
#include "engine/notify.h"
#include "engine/session_role.h"
#include "engine/watchdog.h"
#include "types/datetime.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void kdi_session_defaults(const kd_session *session, kd_settings *out_settings)
{
    kdi_configuration_defaults(session->database->configuration, session->isolation, out_settings);
    kdi_session_role_defaults(session, out_settings);
}

/* The database's mutex is held. */
static bool too_many_of_role(const kd_session *session)
{
    int64_t count = 0;
    if (session->connection_limit < 0)
        return false;
    for (const kd_session *it = session->database->first_session; it != NULL; it = it->next)
        count += !it->is_internal && it->login_role_no == session->login_role_no;
    return count >= session->connection_limit;
}

/* Puts the session into the database's list, where there is room. */
static kd_status enter_list(kd_ctx *ctx, kd_session *session)
{
    kd_database *database = session->database;
    kd_world *world = database->world;
    kdi_limits limits = kdi_configuration_limits(database->configuration);
    uint64_t deadline_ns = world->monotonic_ns(world) + limits.connection_timeout_ns;
    kd_mutex_lock(&database->mutex);
    if (too_many_of_role(session)) {
        kd_mutex_unlock(&database->mutex);
        return KD_FAIL(ctx, KD_LIMIT, "53300", "too many connections for role \"%s\"",
                       session->user_name);
    }
    while (!session->is_internal && database->session_count >= limits.max_connections) {
        uint64_t now_ns = world->monotonic_ns(world);
        if (now_ns >= deadline_ns) {
            kd_mutex_unlock(&database->mutex);
            return KD_FAIL(ctx, KD_LIMIT, "53300", "sorry, too many clients already");
        }
        (void)kd_cond_wait(&database->session_ended, &database->mutex, deadline_ns - now_ns);
    }
    database->session_count += !session->is_internal;
    session->session_no = ++database->last_session_no;
    session->next = database->first_session;
    database->first_session = session;
    kd_mutex_unlock(&database->mutex);
    return KD_OK;
}

static void leave_list(kd_session *session)
{
    kd_database *database = session->database;
    kd_mutex_lock(&database->mutex);
    kd_session **link = &database->first_session;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    database->session_count -= !session->is_internal;
    if (!session->is_internal) {
        database->ended.committed += atomic_load(&session->committed_count);
        database->ended.rolled_back += atomic_load(&session->rolled_back_count);
    }
    kd_cond_signal(&database->session_ended);
    kd_mutex_unlock(&database->mutex);
}

kd_status kd_session_open(kd_ctx *ctx, kd_database *database, const kd_session_options *options,
                          kd_session **out_session)
{
    kd_status status = KD_OK;
    *out_session = NULL;
    kd_ctx own = {.world = database->world};
    kd_arena *arena = kd_arena_create(&own, NULL, "session", KD_ARENA_UNLIMITED);
    kd_session *session = NULL;
    if (arena != NULL)
        session = KD_NEW(&own, arena, kd_session);
    if (session == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    session->database = database;
    session->arena = arena;
    session->read_only = database->read_only || (options != NULL && options->read_only);
    session->ctx = (kd_ctx){.world = database->world,
                            .cancelled = &session->cancelled,
                            .progress = &session->progress.work};
    kd_error_clear(&session->ctx);
    session->is_internal = options != NULL && options->is_internal;
    session->isolation = options == NULL ? KD_SNAPSHOT_ISOLATION : options->isolation;
    KD_TRY_OUT(kdi_session_log_in(&own, session, options));
    kdi_session_defaults(session, &session->settings);
    kdi_activity_open(session, options);
    KD_TRY_OUT(enter_list(&own, session));
    arena = NULL; /* The session owns it now. */
    *out_session = session;
out:
    if (status != KD_OK)
        ctx->error = own.error;
    kd_arena_destroy(arena);
    return status;
}

static void end_named(kdi_named *list)
{
    while (list != NULL) {
        kdi_named *next = list->next;
        kd_run_abandon(list->run);
        kd_prepared_destroy(list->prepared);
        kd_arena_destroy(list->arena);
        list = next;
    }
}

kd_status kdi_temp_schema(kd_ctx *ctx, kd_run *run, uint32_t *out_schema_no)
{
    kd_session *session = run->session;
    *out_schema_no = session->temp_schema_no;
    if (session->temp_schema_no != 0 &&
        kd_catalog_get(run->catalog, session->temp_schema_no) != NULL)
        return KD_OK;
    kd_object schema = {.kind = KD_OBJECT_SCHEMA, .comment = {"", 0}};
    KD_TRY(kd_catalog_next_object_no(ctx, session->database->catalog, &schema.object_no));
    (void)snprintf(session->temp_schema, sizeof session->temp_schema, "pg_temp_%u",
                   schema.object_no);
    schema.name = kd_slice_of(session->temp_schema);
    session->temp_schema_no = schema.object_no;
    *out_schema_no = schema.object_no;
    return kdi_put(ctx, run, &schema);
}

kd_status kdi_session_run(kd_ctx *ctx, kd_session *session, kd_slice text)
{
    kd_status status = KD_OK;
    kd_prepared *prepared = NULL;
    kd_run *run = NULL;
    KD_TRY_OUT(kd_prepared_create(ctx, session, text, NULL, 0, &prepared));
    KD_TRY_OUT(kd_run_begin(ctx, prepared, NULL, 0, &run));
    KD_TRY_OUT(kd_run_end(ctx, run));
out:
    kd_prepared_destroy(prepared);
    return status;
}

static kd_status drop_schema(kd_ctx *ctx, kd_session *session, kd_slice name)
{
    char text[KDI_NAME_BYTES + 64];
    int length = snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS \"%.*s\" CASCADE",
                          (int)name.size_bytes, name.data);
    return kdi_session_run(ctx, session, (kd_slice){text, (size_t)length});
}

/* Temporary objects end with the session; should that fail, the next opening drops them. */
static void drop_temp_schema(kd_session *session)
{
    if (session->temp_schema_no == 0 || session->database->read_only)
        return;
    session->hooks = (kd_session_hooks){0};
    if (drop_schema(&session->ctx, session, kd_slice_of(session->temp_schema)) != KD_OK)
        kd_error_clear(&session->ctx);
}

typedef struct stale_schemas {
    kd_ctx *ctx;
    kd_arena *arena;
    kd_slice *names;
    uint32_t count;
    size_t capacity;
    kd_status status;
} stale_schemas;

static void find_stale(void *object, const kd_object *entry)
{
    stale_schemas *found = object;
    kd_slice *added;
    if (entry->kind != KD_OBJECT_SCHEMA || entry->name.size_bytes < 8 ||
        memcmp(entry->name.data, "pg_temp_", 8) != 0 || found->status != KD_OK)
        return;
    found->status =
        KD_PUSH(found->ctx, found->arena, found->names, found->count, found->capacity, &added);
    if (found->status == KD_OK)
        found->status = kdi_copy_name(found->ctx, found->arena, entry->name, added);
}

static kd_status list_stale(kd_ctx *ctx, kd_session *session, stale_schemas *out_found)
{
    bool owns;
    kd_catalog_version *catalog = NULL;
    *out_found = (stale_schemas){.ctx = ctx, .arena = session->arena};
    KD_TRY(kdi_transaction_ensure(ctx, session, &owns));
    kd_status status = kd_catalog_pin(ctx, session->database->catalog, session->txn, &catalog);
    if (status == KD_OK) {
        kd_catalog_visit(catalog, find_stale, out_found);
        status = out_found->status;
    }
    kd_catalog_unpin(catalog);
    kdi_transaction_rollback(session);
    return status;
}

kd_status kdi_drop_stale_schemas(kd_ctx *ctx, kd_database *database)
{
    kd_session *session;
    stale_schemas found;
    if (database->read_only)
        return KD_OK;
    kd_session_options options = {.is_internal = true};
    KD_TRY(kd_session_open(ctx, database, &options, &session));
    kd_status status = list_stale(ctx, session, &found);
    for (uint32_t i = 0; i < found.count && status == KD_OK; i++)
        status = drop_schema(ctx, session, found.names[i]);
    kd_session_close(session);
    return status;
}

void kd_session_close(kd_session *session)
{
    if (session == NULL)
        return;
    kdi_idle_end(session);
    kd_error_clear(&session->ctx);
    kdi_notify_forget(session);
    kdi_cursors_close(session, true);
    if (session->txn != NULL)
        kdi_transaction_rollback(session);
    drop_temp_schema(session);
    kdi_advisory_forget(session);
    end_named(session->prepared);
    session->prepared = NULL;
    kdi_plan_cache_close(session);

    leave_list(session);
    kdi_activity_close(session);
    kd_arena_destroy(session->arena);
}

static kd_status tell_progress(kd_ctx *ctx, void *object)
{
    enum { TELL_EVERY_NS = 100 * 1000 * 1000 };
    kd_session *session = object;
    kdi_progress *progress = &session->progress;
    uint64_t started_ns = atomic_load(&progress->started_ns);
    uint64_t now_ns = ctx->world->monotonic_ns(ctx->world);
    if (started_ns == 0 || now_ns - progress->told_ns < TELL_EVERY_NS)
        return KD_OK;
    progress->told_ns = now_ns;
    const char *phase = atomic_load(&progress->work.phase);
    if (session->hooks.progress(
            session->hooks.object, phase, atomic_load(&progress->work.rows_done),
            atomic_load(&progress->work.rows_expected), (now_ns - started_ns) / 1000))
        return KD_OK;
    return KD_FAIL(ctx, KD_CANCELLED, "57014", "canceling statement due to user request");
}

void kd_session_set_hooks(kd_session *session, const kd_session_hooks *hooks)
{
    session->hooks = *hooks;
    session->progress.work.tell = hooks->progress == NULL ? NULL : tell_progress;
    session->progress.work.object = session;
}

kd_ctx *kd_session_ctx(kd_session *session)
{
    return &session->ctx;
}

kd_database *kd_session_database(kd_session *session)
{
    return session->database;
}

kd_session_state kd_session_get_state(const kd_session *session)
{
    return session->state;
}

void kd_session_cancel(kd_session *session)
{
    atomic_store_explicit(&session->cancelled, true, memory_order_relaxed);
}

void kdi_session_notice(kd_session *session, const char *severity, const char *sqlstate,
                        const char *format, ...)
{
    char message[KD_ERROR_MESSAGE_BYTES];
    int64_t least = session->settings.message_level;
    bool is_wanted = least <= KD_MESSAGE_NOTICE ||
                     (least == KD_MESSAGE_WARNING && strcmp(severity, "NOTICE") != 0);
    if (session->hooks.notice == NULL || !is_wanted)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    session->hooks.notice(session->hooks.object, severity, sqlstate, message, "");
}

/* --- Enum labels, looked up in the catalog version that the statement has pinned -----------------
 */

static const kd_enum_entry *enum_of(const kd_catalog_version *catalog, kd_type type)
{
    const kd_object *object = kd_catalog_get(catalog, type.object);
    return object == NULL || object->kind != KD_OBJECT_ENUM ? NULL : (const kd_enum_entry *)object;
}

static kd_status enum_rank(kd_ctx *ctx, void *object, kd_type type, kd_slice label,
                           int32_t *out_rank)
{
    const kd_enum_entry *entry = enum_of(object, type);
    for (uint32_t i = 0; entry != NULL && i < entry->label_count; i++) {
        if (kd_slice_equal(entry->labels[i], label)) {
            *out_rank = entry->ranks[i];
            return KD_OK;
        }
    }
    kd_slice name = entry == NULL ? KD_SLICE("?") : entry->object.name;
    return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input value for enum %.*s: \"%.*s\"",
                   (int)name.size_bytes, name.data, (int)label.size_bytes, label.data);
}

static kd_status enum_label(kd_ctx *ctx, void *object, kd_type type, int32_t rank,
                            kd_slice *out_label)
{
    const kd_enum_entry *entry = enum_of(object, type);
    for (uint32_t i = 0; entry != NULL && i < entry->label_count; i++) {
        if (entry->ranks[i] == rank) {
            *out_label = entry->labels[i];
            return KD_OK;
        }
    }
    *out_label = (kd_slice){"", 0};
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "enum type %u has no label of rank %d", type.object,
                   rank);
}

static kd_status row_shape(kd_ctx *ctx, void *object, kd_arena *arena, kd_type type,
                           struct kd_record_shape *out)
{
    return kd_catalog_row_shape(ctx, arena, object, type, out);
}

void kdi_session_text(const kd_session *session, kd_catalog_version *catalog,
                      kd_text_settings *out_text)
{
    const kd_settings *settings = &session->settings;
    *out_text = (kd_text_settings){
        .zone = settings->time_zone,
        .date_order = (uint8_t)settings->date_order,
        .date_style = (uint8_t)settings->date_style,
        .interval_style = (uint8_t)settings->interval_style,
        .extra_float_digits = (int8_t)settings->extra_float_digits,
        .bytea_escape_output = settings->bytea_escape != 0,
        .enum_rank = enum_rank,
        .enum_label = enum_label,
        .enum_object = catalog,
        .row_shape = row_shape,
        .object_no = kdi_reg_no,
        .object_name = kdi_reg_name,
        .name_object = session,
    };
}

static void find_current_schema(kd_session *session, const kd_catalog_version *catalog)
{
    const kd_settings *settings = &session->settings;
    session->current_schema[0] = '\0';
    for (uint32_t i = 0; i < settings->search_path_count; i++) {
        kd_slice name = settings->search_path[i];
        if (kd_catalog_find_schema(catalog, name) == NULL)
            continue;
        (void)snprintf(session->current_schema, sizeof session->current_schema, "%.*s",
                       (int)name.size_bytes, name.data);
        return;
    }
}

void kdi_session_facts(kd_session *session, kd_catalog_version *catalog, kd_text_settings *out_text,
                       kd_session_facts *out_facts)
{
    kd_world *world = session->database->world;
    int64_t now = world->wall_us(world) + KD_UNIX_EPOCH_US;
    int64_t begun = session->txn == NULL ? now : kd_txn_start_us(session->txn) + KD_UNIX_EPOCH_US;
    kdi_session_text(session, catalog, out_text);
    out_text->now_us = begun;
    find_current_schema(session, catalog);
    *out_facts = (kd_session_facts){
        .text = out_text,
        .random_seed = &session->random_seed,
        .user_name = kdi_role_text(catalog, kdi_current_role_no(session)),
        .session_user_name = kdi_role_text(catalog, session->settings.session_role_no),
        .database_name = session->database->name,
        .current_schema = session->current_schema,
        .transaction_us = begun,
        .statement_us = now,
        .session = session,
    };
}

kd_status kdi_bind_options(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                           const kd_catalog_version *catalog, const kd_session_facts *facts,
                           kd_bind_options *out_options)
{
    const kd_settings *settings = &session->settings;
    kd_slice *path = KD_NEW_ARRAY(ctx, arena, kd_slice, KD_SEARCH_PATH_MAX + 1);
    kd_principal *principal = KD_NEW(ctx, arena, kd_principal);
    if (path == NULL || principal == NULL)
        return KD_NOMEM;
    *principal = (kd_principal){.role_no = kdi_current_role_no(session), .catalog = catalog};
    uint32_t count = 0;
    if (session->temp_schema_no != 0 && kd_catalog_get(catalog, session->temp_schema_no) != NULL)
        path[count++] = kd_slice_of(session->temp_schema);
    for (uint32_t i = 0; i < settings->search_path_count; i++) {
        kd_slice name = settings->search_path[i];
        if (kd_slice_equal(name, KD_SLICE("$user")))
            name = kd_slice_of(kdi_role_text(catalog, kdi_current_role_no(session)));
        if (kd_catalog_find_schema(catalog, name) != NULL)
            path[count++] = name;
    }
    *out_options = (kd_bind_options){
        .catalog = catalog,
        .facts = facts,
        .search_path = path,
        .search_path_count = count,
        .virtual_tables = kdi_system_views(),
        .allow_parameters = true,
        .authorize = kd_authorize,
        .authorize_object = principal,
    };
    if (session->routine != NULL) {
        out_options->parameter_names = session->routine->names;
        out_options->parameter_name_count = session->routine->count;
        out_options->routine_name = session->routine->name;
        out_options->routine_no = session->routine->routine_no;
    }
    return KD_OK;
}
