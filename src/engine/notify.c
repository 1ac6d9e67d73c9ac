/*
 * Messages between sessions, and what one session may do to another.
 */
#include "engine/notify.h"

#include "engine/conversation.h"
#include "engine/session_function_internal.h"

#define ARGS kd_ctx *ctx, kd_call_env *env, const void *const *args, void *result, bool *out_is_null

enum { PAYLOAD_BYTES_MAX = 7999, QUEUE_BYTES_MAX = 64 << 20 };

/* What a transaction has said, newest first; in the session's arena of it. */
struct kdi_said {
    struct kdi_said *next;
    kd_ast_notify_kind what;
    kd_slice channel; /* Empty: UNLISTEN * */
    kd_slice payload;
};

/* A channel that a session listens to. */
typedef struct listened {
    struct listened *next;
    size_t size_bytes;
    char channel[];
} listened;

/* For one listener. */
typedef struct queued {
    struct queued *next;
    uint32_t session_no;
    size_t channel_bytes, payload_bytes;
    char bytes[];
} queued;

/* A session's ear; guarded by the hub's mutex. */
struct listener {
    struct listener *next;
    kd_session *session;
    listened *channels;
    queued *first, **last;
    size_t queue_bytes;
};

struct kdi_notify_hub {
    kd_world *world;
    kd_mutex mutex;
    kd_account account;
    struct listener *listeners;
};

kd_status kdi_notify_open(kd_ctx *ctx, kd_database *database)
{
    kdi_notify_hub *hub = KD_NEW(ctx, database->arena, kdi_notify_hub);
    if (hub == NULL)
        return KD_NOMEM;
    hub->world = database->world;
    kd_account_init(&hub->account, NULL, "notifications", SIZE_MAX);
    kd_mutex_init(&hub->mutex, database->world);
    database->notify = hub;
    return KD_OK;
}

void kdi_notify_close(kd_database *database)
{
    if (database->notify != NULL)
        kd_mutex_clear(&database->notify->mutex);
    database->notify = NULL;
}

/* --- Saying ----------------------------------------------------------------------------------- */

static kd_status copy_slice(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    char *copy = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    *out = (kd_slice){copy, copy == NULL ? 0 : text.size_bytes};
    return copy == NULL ? KD_NOMEM : KD_OK;
}

static bool was_said(const kd_session *session, kd_slice channel, kd_slice payload)
{
    for (const struct kdi_said *it = session->said; it != NULL; it = it->next)
        if (it->what == KD_AST_NOTIFY_NOTIFY && kd_slice_equal(it->channel, channel) &&
            kd_slice_equal(it->payload, payload))
            return true;
    return false;
}

static kd_status say(kd_ctx *ctx, kd_session *session, kd_ast_notify_kind what, kd_slice channel,
                     kd_slice payload)
{
    if (what == KD_AST_NOTIFY_NOTIFY && was_said(session, channel, payload))
        return KD_OK;
    if (session->said_arena == NULL)
        session->said_arena = kd_arena_create(ctx, NULL, "notifications", KD_ARENA_UNLIMITED);
    kd_arena *arena = session->said_arena;
    struct kdi_said *added = arena == NULL ? NULL : KD_NEW(ctx, arena, struct kdi_said);
    if (added == NULL)
        return KD_NOMEM;
    KD_TRY(copy_slice(ctx, arena, channel, &added->channel));
    KD_TRY(copy_slice(ctx, arena, payload, &added->payload));
    added->what = what;
    added->next = session->said;
    session->said = added;
    return KD_OK;
}

static kd_status check_notification(kd_ctx *ctx, kd_slice channel, kd_slice payload)
{
    if (channel.size_bytes == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "channel name cannot be empty");
    if (channel.size_bytes >= KDI_NAME_BYTES)
        return KD_FAIL(ctx, KD_INVALID, "22023", "channel name too long");
    if (payload.size_bytes > PAYLOAD_BYTES_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22023", "payload string too long");
    return KD_OK;
}

kd_status kdi_notify_command(kd_ctx *ctx, kd_run *run, const kd_ast_notify *ast)
{
    static const char *const tags[] = {"LISTEN", "NOTIFY", "UNLISTEN"};
    kdi_set_tag(run, tags[ast->what]);
    if (ast->what == KD_AST_NOTIFY_NOTIFY)
        KD_TRY(check_notification(ctx, ast->channel, ast->payload));
    return say(ctx, run->session, ast->what, ast->channel, ast->payload);
}

/* --- Delivering ------------------------------------------------------------------------------- */

static struct listener **find_listener(kdi_notify_hub *hub, const kd_session *session)
{
    struct listener **link = &hub->listeners;
    while (*link != NULL && (*link)->session != session)
        link = &(*link)->next;
    return link;
}

static listened **find_channel(struct listener *listener, kd_slice channel)
{
    listened **link = &listener->channels;
    while (*link != NULL &&
           !kd_slice_equal((kd_slice){(*link)->channel, (*link)->size_bytes}, channel))
        link = &(*link)->next;
    return link;
}

static void listen(kd_ctx *ctx, kdi_notify_hub *hub, kd_session *session, kd_slice channel)
{
    struct listener **link = find_listener(hub, session);
    if (*link == NULL) {
        *link = KD_HEAP_NEW(ctx, &hub->account, struct listener);
        if (*link == NULL)
            return;
        (*link)->session = session;
        (*link)->last = &(*link)->first;
    }
    listened **at = find_channel(*link, channel);
    if (*at != NULL)
        return;
    *at = kd_heap_alloc(ctx, &hub->account, sizeof(listened) + channel.size_bytes);
    if (*at == NULL)
        return;
    (*at)->size_bytes = channel.size_bytes;
    memcpy((*at)->channel, channel.data, channel.size_bytes);
}

/* An empty channel is all of them. */
static void unlisten(kdi_notify_hub *hub, struct listener *listener, kd_slice channel)
{
    kd_world *world = hub->world;
    if (listener == NULL)
        return;
    listened **link =
        channel.size_bytes == 0 ? &listener->channels : find_channel(listener, channel);
    while (*link != NULL) {
        listened *gone = *link;
        *link = gone->next;
        kd_heap_free(world, &hub->account, gone);
        if (channel.size_bytes > 0)
            return;
    }
}

static void enqueue(kd_ctx *ctx, kdi_notify_hub *hub, struct listener *listener,
                    const struct kdi_said *said, uint32_t session_no)
{
    size_t size = sizeof(queued) + said->channel.size_bytes + said->payload.size_bytes;
    if (listener->queue_bytes + size > QUEUE_BYTES_MAX)
        return; /* Its owner has not looked for long. */
    queued *added = kd_heap_alloc(ctx, &hub->account, size);
    if (added == NULL)
        return;
    added->session_no = session_no;
    added->channel_bytes = said->channel.size_bytes;
    added->payload_bytes = said->payload.size_bytes;
    memcpy(added->bytes, said->channel.data, said->channel.size_bytes);
    if (said->payload.size_bytes > 0)
        memcpy(added->bytes + said->channel.size_bytes, said->payload.data,
               said->payload.size_bytes);
    bool is_first = listener->first == NULL;
    *listener->last = added;
    listener->last = &added->next;
    listener->queue_bytes += size;
    const kd_session_hooks *hooks = &listener->session->hooks;
    if (is_first && hooks->wake != NULL)
        hooks->wake(hooks->object);
}

static void notify(kd_ctx *ctx, kdi_notify_hub *hub, const struct kdi_said *said,
                   uint32_t session_no)
{
    for (struct listener *it = hub->listeners; it != NULL; it = it->next)
        if (*find_channel(it, said->channel) != NULL)
            enqueue(ctx, hub, it, said, session_no);
}

/* Newest first: the older ones go before. Depth follows the number of statements, so it is a loop.
 */
static struct kdi_said *reversed(struct kdi_said *list)
{
    struct kdi_said *other = NULL;
    while (list != NULL) {
        struct kdi_said *next = list->next;
        list->next = other;
        other = list;
        list = next;
    }
    return other;
}

void kdi_notify_committed(kd_session *session)
{
    kdi_notify_hub *hub = session->database->notify;
    kd_ctx own = {.world = session->database->world};
    if (session->said == NULL)
        return;
    kd_error_clear(&own);
    kd_mutex_lock(&hub->mutex);
    struct kdi_said *said = reversed(session->said);
    for (const struct kdi_said *it = said; it != NULL; it = it->next) {
        if (it->what == KD_AST_NOTIFY_LISTEN)
            listen(&own, hub, session, it->channel);
        else if (it->what == KD_AST_NOTIFY_UNLISTEN)
            unlisten(hub, *find_listener(hub, session), it->channel);
    }
    for (const struct kdi_said *it = said; it != NULL; it = it->next)
        if (it->what == KD_AST_NOTIFY_NOTIFY)
            notify(&own, hub, it, session->session_no);
    kd_mutex_unlock(&hub->mutex);
    kdi_notify_drop(session);
}

void kdi_notify_drop(kd_session *session)
{
    session->said = NULL;
    kd_arena_destroy(session->said_arena);
    session->said_arena = NULL;
}

static queued *take_first(struct listener *listener)
{
    queued *first = listener->first;
    if (first == NULL)
        return NULL;
    listener->first = first->next;
    if (listener->first == NULL)
        listener->last = &listener->first;
    listener->queue_bytes -= sizeof *first + first->channel_bytes + first->payload_bytes;
    return first;
}

void kdi_notify_forget(kd_session *session)
{
    kdi_notify_hub *hub = session->database->notify;
    kd_world *world = session->database->world;
    kdi_notify_drop(session);
    if (hub == NULL)
        return;
    kd_mutex_lock(&hub->mutex);
    struct listener **link = find_listener(hub, session), *listener = *link;
    if (listener != NULL) {
        *link = listener->next;
        unlisten(hub, listener, (kd_slice){"", 0});
        for (queued *it; (it = take_first(listener)) != NULL;)
            kd_heap_free(world, &hub->account, it);
        kd_heap_free(world, &hub->account, listener);
    }
    kd_mutex_unlock(&hub->mutex);
}

kd_status kd_conversation_next_notification(kd_ctx *ctx, kd_arena *arena,
                                            kd_conversation *conversation, bool *out_found,
                                            kd_notification *out_notification)
{
    kd_session *session = conversation->session;
    kdi_notify_hub *hub = session->database->notify;
    kd_mutex_lock(&hub->mutex);
    struct listener *listener = *find_listener(hub, session);
    queued *first = listener == NULL ? NULL : take_first(listener);
    kd_mutex_unlock(&hub->mutex);
    *out_found = first != NULL;
    if (first == NULL)
        return KD_OK;
    kd_slice channel = {first->bytes, first->channel_bytes};
    kd_slice payload = {first->bytes + first->channel_bytes, first->payload_bytes};
    out_notification->session_no = first->session_no;
    kd_status status = copy_slice(ctx, arena, channel, &out_notification->channel);
    if (status == KD_OK)
        status = copy_slice(ctx, arena, payload, &out_notification->payload);
    kd_heap_free(ctx->world, &hub->account, first);
    return status;
}

/* --- Functions -------------------------------------------------------------------------------- */

static kd_status call_notify(ARGS)
{
    kd_slice channel = args[0] == NULL ? KD_SLICE("") : kd_str_slice(args[0]);
    kd_slice payload = args[1] == NULL ? KD_SLICE("") : kd_str_slice(args[1]);
    *out_is_null = false;
    memset(result, 0, 1);
    KD_TRY(check_notification(ctx, channel, payload));
    return say(ctx, kdi_call_session(env), KD_AST_NOTIFY_NOTIFY, channel, payload);
}

/* Another session of the database; called with its list locked, under which none goes. */
static bool with_session(const kd_call_env *env, int32_t number, void (*act)(kd_session *session))
{
    kd_database *database = kdi_call_session(env)->database;
    kd_mutex_lock(&database->mutex);
    kd_session *it = database->first_session;
    while (it != NULL && ((int32_t)it->session_no != number || it->is_internal))
        it = it->next;
    if (it != NULL)
        act(it);
    kd_mutex_unlock(&database->mutex);
    return it != NULL;
}

static void terminate(kd_session *session)
{
    atomic_store(&session->is_terminated, true);
    kd_session_cancel(session);
    if (session->hooks.wake != NULL)
        session->hooks.wake(session->hooks.object);
}

static kd_status signal_session(kd_call_env *env, const void *const *args,
                                void (*act)(kd_session *session), void *result, bool *out_is_null)
{
    int32_t number = *(const int32_t *)args[0];
    *out_is_null = false;
    *(bool *)result = with_session(env, number, act);
    if (!*(bool *)result)
        kdi_session_notice(kdi_call_session(env), "WARNING", "01000",
                           "PID %d is not a PostgreSQL backend process", number);
    return KD_OK;
}

static kd_status call_cancel(ARGS)
{
    (void)ctx;
    return signal_session(env, args, kd_session_cancel, result, out_is_null);
}

static kd_status call_terminate(ARGS)
{
    (void)ctx;
    return signal_session(env, args, terminate, result, out_is_null);
}

#define T(name)                              \
    {                                        \
        .id = KD_TYPE_##name, .modifier = -1 \
    }

static const kd_function functions[] = {
    {.name = "pg_notify",
     .argument_count = 2,
     .arguments = {T(TEXT), T(TEXT)},
     .result = T(VOID),
     .volatility = KD_VOLATILE,
     .row = call_notify},
    {.name = "pg_cancel_backend",
     .argument_count = 1,
     .arguments = {T(INT4)},
     .result = T(BOOL),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_cancel},
    {.name = "pg_terminate_backend",
     .argument_count = 1,
     .arguments = {T(INT4)},
     .result = T(BOOL),
     .volatility = KD_VOLATILE,
     .strict = true,
     .row = call_terminate},
};

kd_status kdi_register_notify_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions,
                                     sizeof functions / sizeof functions[0]);
}
