/*
 * Conversations with a session of this process.
 */
#include "engine/conversation.h"

#include "builtin/builtin.h"
#include "engine/configuration.h"
#include "engine/statement_log.h"
#include "security/role.h"
#include "engine/watchdog.h"

#include <assert.h>

typedef struct local_request {
    kd_request base;
    kd_arena *arena;
    kd_prepared *prepared;
    kd_run *run;
    uint64_t started_ns; /* Of a run that may be logged; else 0. */
} local_request;

/* Every call on a session stands between these two: it is idle outside them. */
static kd_status enter(kd_ctx *ctx, kd_session *session)
{
    kdi_idle_end(session);
    return kdi_idle_check(ctx, session);
}

static kd_status leave(kd_session *session, kd_status status)
{
    if (session->runs == NULL)
        kdi_activity_end(session);
    kdi_idle_begin(session);
    return status;
}

static void local_close(kd_conversation *conversation)
{
    kd_session_close(conversation->session); /* Its arena holds the conversation. */
}

static void local_set_hooks(kd_conversation *conversation, const kd_session_hooks *hooks)
{
    kd_session_set_hooks(conversation->session, hooks);
}

static kd_session_state local_state(const kd_conversation *conversation)
{
    kdi_idle_end(conversation->session);
    kd_session_state state = kd_session_get_state(conversation->session);
    kdi_idle_begin(conversation->session);
    return state;
}

static void local_cancel(kd_conversation *conversation)
{
    kd_session_cancel(conversation->session);
}

/* A text that did not become a statement. The record is in the session's context. */
static void log_failed_text(kd_session *session, kd_slice text)
{
    kdi_logged logged = {.text = text, .error = &session->ctx.error};
    if (text.size_bytes > 0 && kdi_log_is_wanted(session))
        kdi_statement_log_add(session, &logged);
}

static void log_end(local_request *local, kd_status status)
{
    kd_session *session = local->prepared->session;
    kdi_logged logged = {
        .text = local->prepared->statement_text,
        .class = kdi_statement_log_class(local->prepared),
        .started_ns = local->started_ns,
        .error = status == KD_OK ? NULL : &session->ctx.error,
    };
    if (local->started_ns != 0)
        kdi_statement_log_add(session, &logged);
    local->started_ns = 0;
}

static void local_fail_transaction(kd_conversation *conversation, kd_slice text)
{
    kd_session *session = conversation->session;
    kdi_idle_end(session);
    log_failed_text(session, text);
    if (session->is_explicit && session->state == KD_SESSION_IN_TRANSACTION)
        session->state = KD_SESSION_FAILED;
    kdi_idle_begin(session);
}

/* The columns of the run, or of the statement where there is none. */
static void note_columns(local_request *request)
{
    const kd_run *run = request->run;
    kd_request *base = &request->base;
    base->parameter_count = kd_prepared_parameter_count(request->prepared);
    base->parameter_types = request->prepared->parameter_types;
    base->column_count =
        run == NULL ? kd_prepared_column_count(request->prepared) : kd_run_column_count(run);
    base->columns = run == NULL ? kd_prepared_columns(request->prepared) : kd_run_columns(run);
    base->text = run == NULL ? NULL : kd_run_text_settings(run);
    base->facts = run == NULL ? NULL : &run->facts;
}

static void local_destroy(kd_request *request)
{
    local_request *local = (local_request *)request;
    if (local == NULL)
        return;
    assert(local->run == NULL);
    kd_prepared_destroy(local->prepared);
    kd_arena_destroy(local->arena);
}

kd_status kd_conversation_prepare_typed(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                                        const kd_type *types, uint32_t type_count,
                                        kd_request **out_request)
{
    kd_status status = KD_OK;
    *out_request = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "request", KD_ARENA_UNLIMITED);
    local_request *request = arena == NULL ? NULL : KD_NEW(ctx, arena, local_request);
    if (request == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    request->arena = arena;
    request->base.conversation = conversation;
    KD_TRY_OUT(enter(ctx, conversation->session));
    status =
        kd_prepared_create(ctx, conversation->session, text, types, type_count, &request->prepared);
    if (status != KD_OK) {
        log_failed_text(conversation->session, text);
        goto out;
    }
    note_columns(request);
    *out_request = &request->base;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    return leave(conversation->session, status);
}

static kd_status local_prepare(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
                               kd_request **out_request)
{
    return kd_conversation_prepare_typed(ctx, conversation, text, NULL, 0, out_request);
}

/* Names of enums are in the catalog that the statement was made for. */
static kd_status local_format_type(kd_ctx *ctx, kd_request *request, kd_type type, kd_buffer *out)
{
    kd_session *session = request->conversation->session;
    kd_catalog_version *before = session->catalog;
    if (before == NULL)
        session->catalog = ((local_request *)request)->prepared->catalog;
    kd_status status = kd_session_format_type(ctx, session, type, out);
    session->catalog = before;
    return status;
}

static kd_status local_begin(kd_ctx *ctx, kd_request *request, const kd_value *parameters,
                             uint32_t parameter_count)
{
    local_request *local = (local_request *)request;
    kd_session *session = request->conversation->session;
    assert(local->run == NULL);
    kd_status status = enter(ctx, session);
    local->started_ns = 0;
    if (status == KD_OK && kdi_log_is_wanted(session))
        local->started_ns = ctx->world->monotonic_ns(ctx->world);
    kdi_activity_begin(session, local->prepared->statement_text);
    if (status == KD_OK)
        status = kd_run_begin(ctx, local->prepared, parameters, parameter_count, &local->run);
    if (status != KD_OK) {
        log_end(local, status);
        return leave(session, status);
    }
    note_columns(local);
    return KD_OK;
}

static kd_status local_next(kd_ctx *ctx, kd_request *request, kd_batch *out_batch, bool *out_end)
{
    local_request *local = (local_request *)request;
    kd_status status = kd_run_next(ctx, local->run, out_batch, out_end);
    if (status != KD_OK)
        log_end(local, status);
    return status;
}

static kd_status local_end(kd_ctx *ctx, kd_request *request)
{
    local_request *local = (local_request *)request;
    kd_run *run = local->run;
    local->run = NULL;
    note_columns(local);
    kd_status status = kd_run_end(ctx, run);
    log_end(local, status);
    return leave(request->conversation->session, status);
}

static void local_abandon(kd_request *request)
{
    local_request *local = (local_request *)request;
    kd_run *run = local->run;
    local->run = NULL;
    note_columns(local);
    kd_run_abandon(run);
    log_end(local, KD_OK);
    (void)!leave(request->conversation->session, KD_OK);
}

static const char *local_tag(const kd_request *request)
{
    return kd_run_tag(((const local_request *)request)->run);
}

static int64_t local_affected(const kd_request *request)
{
    return kd_run_affected(((const local_request *)request)->run);
}

static const kd_conversation_ops local_ops = {
    .close = local_close,
    .set_hooks = local_set_hooks,
    .state = local_state,
    .cancel = local_cancel,
    .fail_transaction = local_fail_transaction,
    .prepare = local_prepare,
    .destroy = local_destroy,
    .format_type = local_format_type,
    .begin = local_begin,
    .next = local_next,
    .end = local_end,
    .abandon = local_abandon,
    .tag = local_tag,
    .affected = local_affected,
};

kd_status kd_conversation_open_local(kd_ctx *ctx, kd_database *database,
                                     const kd_session_options *options,
                                     kd_conversation **out_conversation)
{
    kd_session *session;
    *out_conversation = NULL;
    KD_TRY(kd_session_open(ctx, database, options, &session));
    kd_conversation *local = KD_NEW(ctx, session->arena, kd_conversation);
    if (local == NULL) {
        kd_session_close(session);
        return KD_NOMEM;
    }
    *local = (kd_conversation){
        .ops = &local_ops,
        .ctx = kd_session_ctx(session),
        .registry = kd_database_registry(database),
        .session = session,
    };
    *out_conversation = local;
    return KD_OK;
}

/* --- What a server needs ---------------------------------------------------------------------- */

kd_status kd_conversation_begin_block(kd_ctx *ctx, kd_conversation *conversation)
{
    kd_status status = enter(ctx, conversation->session);
    if (status == KD_OK)
        status = kdi_block_begin(ctx, conversation->session);
    return leave(conversation->session, status);
}

kd_status kd_conversation_end_block(kd_ctx *ctx, kd_conversation *conversation)
{
    kd_status status = enter(ctx, conversation->session);
    if (status == KD_OK)
        status = kdi_block_end(ctx, conversation->session);
    return leave(conversation->session, status);
}

bool kd_conversation_is_in_block(const kd_conversation *conversation)
{
    kdi_idle_end(conversation->session);
    bool is_block = conversation->session->is_block;
    kdi_idle_begin(conversation->session);
    return is_block;
}

void kd_conversation_fail(kd_conversation *conversation)
{
    kdi_idle_end(conversation->session);
    if (conversation->session->state == KD_SESSION_IN_TRANSACTION)
        conversation->session->state = KD_SESSION_FAILED;
    kdi_idle_begin(conversation->session);
}

kd_status kd_conversation_show(kd_ctx *ctx, kd_arena *arena, kd_conversation *conversation,
                               kd_slice name, kd_slice *out_value)
{
    kd_session *session = conversation->session;
    if (kdi_show_fixed(name, out_value))
        return KD_OK;
    if (kd_slice_equal(name, KD_SLICE("is_superuser"))) {
        kd_catalog_version *catalog = kd_catalog_pin_newest(session->database->catalog);
        bool is_super = kd_role_is_superuser(catalog, session->settings.session_role_no);
        kd_catalog_unpin(catalog);
        *out_value = is_super ? KD_SLICE("on") : KD_SLICE("off");
        return KD_OK;
    }
    kdi_idle_end(session);
    kd_status status = kdi_session_show(ctx, arena, session, name, out_value);
    kdi_idle_begin(session);
    return status;
}

uint64_t kd_conversation_setting_changes(const kd_conversation *conversation)
{
    kdi_idle_end(conversation->session);
    uint64_t changes = conversation->session->settings_changes;
    kdi_idle_begin(conversation->session);
    return changes;
}

kd_status kd_conversation_check(kd_ctx *ctx, kd_conversation *conversation)
{
    return leave(conversation->session, enter(ctx, conversation->session));
}

bool kd_conversation_find_cursor(const kd_conversation *conversation, kd_slice name,
                                 const kd_rel_column **out_columns, uint32_t *out_count)
{
    kdi_idle_end(conversation->session);
    const kdi_named *found = kdi_find_cursor(conversation->session, name);
    if (found != NULL) {
        *out_columns = found->prepared->columns;
        *out_count = found->prepared->column_count;
    }
    kdi_idle_begin(conversation->session);
    return found != NULL;
}

uint32_t kd_conversation_number(const kd_conversation *conversation)
{
    return conversation->session->session_no;
}

void kd_request_text_settings(kd_request *request, kd_text_settings *out_settings)
{
    kdi_session_text(request->conversation->session, ((local_request *)request)->prepared->catalog,
                     out_settings);
}

kd_status kd_conversation_registry(kd_ctx *ctx, kd_arena *arena, const kd_registry **out_registry)
{
    kd_registry *registry;
    *out_registry = NULL;
    KD_TRY(kd_registry_create(ctx, arena, &registry));
    KD_TRY(kd_builtin_register(ctx, registry));
    *out_registry = registry;
    return KD_OK;
}

/* --- Other processes -------------------------------------------------------------------------- */

static const kd_remote_ops *registered_ops;

void kd_remote_register(const kd_remote_ops *ops)
{
    registered_ops = ops;
}

const kd_remote_ops *kd_remote_registered(void)
{
    return registered_ops;
}
