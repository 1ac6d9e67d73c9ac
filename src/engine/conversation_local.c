/*
 * Conversations with a session of this process.
 */
#include "engine/conversation.h"

#include "builtin/builtin.h"
#include "engine/engine_internal.h"

#include <assert.h>

typedef struct local_request {
    kd_request base;
    kd_arena *arena;
    kd_prepared *prepared;
    kd_run *run;
} local_request;

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
    return kd_session_get_state(conversation->session);
}

static void local_cancel(kd_conversation *conversation)
{
    kd_session_cancel(conversation->session);
}

static void local_fail_transaction(kd_conversation *conversation)
{
    kd_session *session = conversation->session;
    if (session->is_explicit && session->state == KD_SESSION_IN_TRANSACTION)
        session->state = KD_SESSION_FAILED;
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

static kd_status local_prepare(kd_ctx *ctx, kd_conversation *conversation, kd_slice text,
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
    KD_TRY_OUT(kd_prepared_create(ctx, conversation->session, text, NULL, 0, &request->prepared));
    note_columns(request);
    *out_request = &request->base;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    return status;
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
    assert(local->run == NULL);
    KD_TRY(kd_run_begin(ctx, local->prepared, parameters, parameter_count, &local->run));
    note_columns(local);
    return KD_OK;
}

static kd_status local_next(kd_ctx *ctx, kd_request *request, kd_batch *out_batch, bool *out_end)
{
    return kd_run_next(ctx, ((local_request *)request)->run, out_batch, out_end);
}

static kd_status local_end(kd_ctx *ctx, kd_request *request)
{
    local_request *local = (local_request *)request;
    kd_run *run = local->run;
    local->run = NULL;
    note_columns(local);
    return kd_run_end(ctx, run);
}

static void local_abandon(kd_request *request)
{
    local_request *local = (local_request *)request;
    kd_run *run = local->run;
    local->run = NULL;
    note_columns(local);
    kd_run_abandon(run);
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
