/*
 * A connection that is served: messages in the order of coming, each answered, until none is left.
 */
#include "server/pg_internal.h"

enum {
    LINGER_MS = 2, /* A client that asks again at once finds its thread waiting. */
    WAIT_MS = 200,
};

/* --- Lives ------------------------------------------------------------------------------------ */

kd_status kdi_pg_create(kd_ctx *ctx, kdi_connection *connection, kdi_pg **out_pg)
{
    *out_pg = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "connection", KD_ARENA_UNLIMITED);
    kdi_pg *pg = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_pg);
    kd_arena *scratch =
        pg == NULL ? NULL : kd_arena_create(ctx, arena, "message", KD_ARENA_UNLIMITED);
    if (scratch == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    pg->arena = arena;
    pg->scratch = scratch;
    pg->connection = connection;
    pg->server = connection->server;
    pg->stream = &connection->stream;
    pg->user_name = pg->database_name = pg->startup_options = (kd_slice){"", 0};
    pg->ctx = (kd_ctx){.world = ctx->world};
    kd_error_clear(&pg->ctx);
    kd_map_init(&pg->statements, ctx->world, &connection->server->account);
    kd_map_init(&pg->portals, ctx->world, &connection->server->account);
    *out_pg = pg;
    return KD_OK;
}

void kdi_pg_destroy(kdi_pg *pg)
{
    if (pg == NULL)
        return;
    kdi_connection_forget_name(pg->connection);
    if (pg->talk != NULL) {
        kdi_pg_statements_close(pg);
        pg->talk->ops->close(pg->talk);
    }
    kd_map_clear(&pg->statements);
    kd_map_clear(&pg->portals);
    kd_arena_destroy(pg->arena);
}

/* --- Failures --------------------------------------------------------------------------------- */

/* Before the connection ends: whether the client hears it makes no difference. */
static void flush_last(kdi_pg *pg)
{
    kd_error_clear(&pg->ctx);
    if (kdi_stream_flush(&pg->ctx, pg->stream) != KD_OK)
        kd_error_clear(&pg->ctx);
}

/* Tells the client why it is thrown out. */
static void say_goodbye(kdi_pg *pg, kd_ctx *ctx, const kd_error *error)
{
    kd_error told = *error;
    kd_error_clear(ctx);
    if (pg->stream->is_broken || pg->stream->is_shaking_hands)
        return;
    if (kdi_pg_put_error(ctx, pg, "FATAL", &told, (kd_slice){"", 0}) == KD_OK)
        flush_last(pg);
    kd_error_clear(ctx);
}

static void fail_fatally(kdi_pg *pg, const char *sqlstate, const char *message)
{
    (void)KD_FAIL(&pg->ctx, KD_CANCELLED, sqlstate, "%s", message);
    say_goodbye(pg, &pg->ctx, &pg->ctx.error);
}

/* Failures after which the connection cannot go on: bytes that make no sense, a session that was
 * ended, a peer that is gone. */
static bool is_fatal(const kd_error *error)
{
    static const char *const codes[] = {"08006", "57P01", "57P05", "25P03"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(error->sqlstate, codes[i]) == 0)
            return true;
    return false;
}

/* A session that somebody has ended, and notifications for a client that rests. */
static bool serve_news(kdi_pg *pg)
{
    if (pg->phase != KDI_PG_READY || !atomic_load(&pg->connection->has_news))
        return true;
    kd_ctx *ctx = pg->talk->ctx;
    kd_error_clear(ctx);
    if (kd_conversation_check(ctx, pg->talk) != KD_OK) {
        say_goodbye(pg, ctx, &ctx->error);
        return false;
    }
    kd_status status = kdi_pg_put_notifications(ctx, pg);
    kd_error_clear(ctx);
    return status == KD_OK;
}

/* --- Messages --------------------------------------------------------------------------------- */

/* The statement's failure, and what becomes of its transaction. False: the connection ends. */
static bool answer_failure(kdi_pg *pg, kd_slice text)
{
    kd_ctx *ctx = pg->talk->ctx;
    kd_error failed = ctx->error;
    kd_error_clear(ctx);
    pg->is_copying_out = false;
    pg->copy_row_is_open = false;
    kdi_pg_copy_explain(pg, &failed);
    if (is_fatal(&failed)) {
        say_goodbye(pg, ctx, &failed);
        return false;
    }
    kd_conversation_fail(pg->talk);
    if (kdi_pg_put_error(ctx, pg, "ERROR", &failed, text) == KD_OK)
        return true;
    kd_error_clear(ctx);
    return false;
}

/* Portals last as long as their transaction; a block that nobody has begun ends here. */
static kd_status sync_transaction(kd_ctx *ctx, kdi_pg *pg)
{
    bool is_in_block = kd_conversation_is_in_block(pg->talk);
    if (is_in_block || pg->talk->ops->state(pg->talk) == KD_SESSION_IDLE)
        kdi_pg_portals_close(pg);
    return is_in_block ? kd_conversation_end_block(ctx, pg->talk) : KD_OK;
}

/* The end of a Query or of what came before a Sync. */
static bool finish(kdi_pg *pg, kd_status status, kd_slice text)
{
    kd_ctx *ctx = pg->talk->ctx;
    if (status != KD_OK && !answer_failure(pg, text))
        return false;
    if (sync_transaction(ctx, pg) != KD_OK && !answer_failure(pg, (kd_slice){"", 0}))
        return false;
    if (!serve_news(pg))
        return false;
    status = kdi_pg_put_ready(ctx, pg);
    kd_error_clear(ctx);
    return status == KD_OK;
}

static bool serve_query(kdi_pg *pg, kd_reader *body)
{
    kd_ctx *ctx = pg->talk->ctx;
    kd_slice text = kdi_pg_read_text(body);
    if (body->failed || body->at != body->end)
        return finish(pg, kdi_pg_malformed(ctx, "invalid Query message"), (kd_slice){"", 0});
    if (pg->unnamed_portal != NULL || kd_map_count(&pg->portals) > 0)
        if (pg->talk->ops->state(pg->talk) == KD_SESSION_IDLE)
            kdi_pg_portals_close(pg);
    /* The bytes may move when a COPY reads on. */
    char *copy = kd_copy_text(ctx, pg->scratch, text.data, text.size_bytes);
    if (copy == NULL)
        return finish(pg, KD_NOMEM, (kd_slice){"", 0});
    kd_slice own = {copy, text.size_bytes};
    return finish(pg, kdi_pg_query(ctx, pg, own), own);
}

/* A message of the extended protocol; after a failure all are passed over until Sync. */
static bool serve_extended(kdi_pg *pg, kdi_pg_message *message)
{
    kd_ctx *ctx = pg->talk->ctx;
    kd_status status = KD_OK;
    kd_slice text = {"", 0};
    if (pg->skips_to_sync)
        return true;
    switch (message->type) {
    case 'P': {
        kd_reader peek = message->body;
        (void)kdi_pg_read_text(&peek);
        text = kdi_pg_read_text(&peek);
        status = kdi_pg_parse(ctx, pg, &message->body);
        break;
    }
    case 'B':
        status = kdi_pg_bind(ctx, pg, &message->body);
        break;
    case 'D':
        status = kdi_pg_describe(ctx, pg, &message->body);
        break;
    case 'E':
        status = kdi_pg_execute(ctx, pg, &message->body);
        break;
    default:
        status = kdi_pg_close(ctx, pg, &message->body);
        break;
    }
    if (status == KD_OK)
        return true;
    pg->skips_to_sync = true;
    return answer_failure(pg, text);
}

static bool serve_function_call(kdi_pg *pg)
{
    kd_status status = KD_FAIL(pg->talk->ctx, KD_UNSUPPORTED, "0A000",
                               "function calls have no message of their own: use SELECT");
    return finish(pg, status, (kd_slice){"", 0});
}

/* False: the connection ends. */
static bool serve_message(kdi_pg *pg, kdi_pg_message *message)
{
    switch (message->type) {
    case 'Q':
        pg->skips_to_sync = false;
        return serve_query(pg, &message->body);
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        return serve_extended(pg, message);
    case 'S':
        pg->skips_to_sync = false;
        return finish(pg, KD_OK, (kd_slice){"", 0});
    case 'H':
        return kdi_stream_flush(&pg->ctx, pg->stream) == KD_OK;
    case 'F':
        return pg->skips_to_sync || serve_function_call(pg);
    case 'd':
    case 'c':
    case 'f':
        return true; /* Of a COPY that has failed: the client did not know yet. */
    case 'X':
        return false;
    default: {
        char text[64];
        (void)snprintf(text, sizeof text, "invalid frontend message type %u",
                       (unsigned char)message->type);
        fail_fatally(pg, "08P01", text);
        return false;
    }
    }
}

/* Before the login is done every failure is the end. */
static bool serve_login(kdi_pg *pg, kdi_pg_message *message)
{
    if (kdi_pg_log_in(&pg->ctx, pg, message) == KD_OK)
        return pg->phase != KDI_PG_ENDED;
    say_goodbye(pg, &pg->ctx, &pg->ctx.error);
    return false;
}

/* --- Serving ---------------------------------------------------------------------------------- */

/* Serves the messages that are there. */
static bool serve_all(kdi_pg *pg)
{
    for (;;) {
        kdi_pg_message message;
        bool found;
        if (pg->phase == KDI_PG_TLS)
            return true;
        if (kdi_pg_next_message(&pg->ctx, pg, &found, &message) != KD_OK) {
            say_goodbye(pg, &pg->ctx, &pg->ctx.error);
            return false;
        }
        if (!found)
            return true;
        kd_arena_reset(pg->scratch);
        bool goes_on =
            pg->phase == KDI_PG_READY ? serve_message(pg, &message) : serve_login(pg, &message);
        if (!goes_on)
            return false;
        if (kdi_pg_flush_if_full(&pg->ctx, pg) != KD_OK)
            return false;
    }
}

static bool shake_hands(kdi_pg *pg, kdi_stream_state *out_state)
{
    if (kdi_stream_shake_hands(&pg->ctx, pg->stream, out_state) != KD_OK)
        return false;
    if (*out_state == KDI_STREAM_READY)
        pg->phase = KDI_PG_STARTUP;
    return true;
}

/* What must not go on: a login that takes too long, a session that ended, a server that stops. */
static bool may_go_on(kdi_pg *pg)
{
    kd_server *server = pg->server;
    uint64_t now_ns = server->world->monotonic_ns(server->world);
    int stopping = atomic_load(&server->stopping);
    if (!atomic_load(&pg->connection->is_logged_in) &&
        now_ns - pg->connection->accepted_ns > atomic_load(&server->login_timeout_ns))
        return false; /* Without a word, as PostgreSQL does. */
    bool may_end =
        stopping == KDI_STOPPING_NOW ||
        (stopping == KDI_STOPPING_WHEN_IDLE && !atomic_load(&pg->connection->is_in_transaction));
    if (!may_end)
        return true;
    fail_fatally(pg, "57P01", "terminating connection due to administrator command");
    return false;
}

bool kdi_pg_serve(kdi_pg *pg)
{
    kd_error_clear(&pg->ctx);
    while (may_go_on(pg) && serve_news(pg)) {
        kdi_stream_state state = KDI_STREAM_READY;
        if (pg->phase == KDI_PG_TLS) {
            if (!shake_hands(pg, &state))
                return false;
        } else if (kdi_stream_fill(&pg->ctx, pg->stream, &state) != KD_OK ||
                   state == KDI_STREAM_CLOSED) {
            return false;
        } else if (state == KDI_STREAM_READY && !serve_all(pg)) {
            flush_last(pg);
            return false;
        }
        if (state == KDI_STREAM_READY)
            continue;
        if (pg->stream->out.size_bytes > 0 && kdi_stream_flush(&pg->ctx, pg->stream) != KD_OK)
            return false;
        bool lingers = pg->phase == KDI_PG_READY && !kdi_crew_is_short(pg->server->crew);
        if (!lingers || !kdi_stream_wait(pg->stream, LINGER_MS))
            return true;
    }
    return false;
}
