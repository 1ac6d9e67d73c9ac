/*
 * A session's beginning, and what the client is told about it from then on.
 */
#include "server/pg_internal.h"

/* What PostgreSQL 15 reports by itself, by the names under which clients look for it. */
static const struct {
    const char *reported;
    const char *name; /* Of our setting; NULL: the value is fixed. */
    const char *value;
} report_list[] = {
    {"server_version", "server_version", NULL},
    {"server_encoding", "server_encoding", NULL},
    {"client_encoding", "client_encoding", NULL},
    {"application_name", "application_name", NULL},
    {"default_transaction_read_only", "default_transaction_read_only", NULL},
    {"in_hot_standby", NULL, "off"},
    {"is_superuser", "is_superuser", NULL},
    {"session_authorization", "session_authorization", NULL},
    {"DateStyle", "datestyle", NULL},
    {"IntervalStyle", "intervalstyle", NULL},
    {"TimeZone", "timezone", NULL},
    {"integer_datetimes", NULL, "on"},
    {"standard_conforming_strings", "standard_conforming_strings", NULL},
};
enum { REPORT_COUNT = sizeof report_list / sizeof *report_list };

static kd_status put_parameter(kd_ctx *ctx, kdi_pg *pg, const char *name, kd_slice value)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'S', &start));
    KD_TRY(kdi_pg_put_text(ctx, pg, kd_slice_of(name)));
    KD_TRY(kdi_pg_put_text(ctx, pg, value));
    kdi_pg_end(pg, start);
    return KD_OK;
}

/* The value now; false where there is no such setting, which is no failure. */
static bool read_value(kd_ctx *ctx, kdi_pg *pg, int index, kd_slice *out)
{
    if (report_list[index].name == NULL) {
        *out = kd_slice_of(report_list[index].value);
        return true;
    }
    kd_slice name = kd_slice_of(report_list[index].name);
    if (kd_conversation_show(ctx, pg->scratch, pg->talk, name, out) == KD_OK)
        return true;
    kd_error_clear(ctx);
    return false;
}

kd_status kdi_pg_report_settings(kd_ctx *ctx, kdi_pg *pg)
{
    uint64_t changes = kd_conversation_setting_changes(pg->talk);
    if (changes == pg->settings_seen)
        return KD_OK;
    pg->settings_seen = changes;
    for (int i = 0; i < REPORT_COUNT; i++) {
        kd_slice value;
        if (!read_value(ctx, pg, i, &value) || kd_slice_equal(value, pg->reported[i]))
            continue;
        char *copy = kd_copy_text(ctx, pg->arena, value.data, value.size_bytes);
        if (copy == NULL)
            return KD_NOMEM;
        pg->reported[i] = (kd_slice){copy, value.size_bytes};
        KD_TRY(put_parameter(ctx, pg, report_list[i].reported, value));
    }
    return KD_OK;
}

/* --- Settings of the startup packet ----------------------------------------------------------- */

static kd_status set_one(kd_ctx *ctx, kdi_pg *pg, kd_slice name, kd_slice value)
{
    const kd_conversation_ops *ops = pg->talk->ops;
    kd_request *request;
    kd_value values[2] = {kd_value_text(name), kd_value_text(value)};
    bool end = false;
    KD_TRY(ops->prepare(ctx, pg->talk, KD_SLICE("SELECT set_config($1, $2, false)"), &request));
    kd_status status = ops->begin(ctx, request, values, 2);
    while (status == KD_OK && !end) {
        kd_batch batch;
        status = ops->next(ctx, request, &batch, &end);
        if (status != KD_OK)
            ops->abandon(request);
    }
    if (status == KD_OK)
        status = ops->end(ctx, request);
    ops->destroy(request);
    return status;
}

/* A word of the options: blanks end it, a backslash takes the next byte as it is. */
static kd_status next_word(kd_ctx *ctx, kd_arena *arena, kd_slice *rest, kd_slice *out)
{
    kd_buffer word = kd_buffer_in(arena);
    *rest = kd_slice_trim(*rest);
    size_t i = 0;
    for (; i < rest->size_bytes && !kd_is_blank(rest->data[i]); i++) {
        if (rest->data[i] == '\\' && i + 1 < rest->size_bytes)
            i++;
        KD_TRY(kd_buffer_append_byte(ctx, &word, (uint8_t)rest->data[i]));
    }
    *rest = (kd_slice){rest->data + i, rest->size_bytes - i};
    *out = kd_buffer_slice(&word);
    return KD_OK;
}

/* "-c name=value", "-cname=value", "--name=value"; a dash in such a name stands for '_'. */
static kd_status set_options(kd_ctx *ctx, kdi_pg *pg)
{
    kd_slice rest = pg->startup_options, word;
    for (;;) {
        KD_TRY(next_word(ctx, pg->scratch, &rest, &word));
        if (word.size_bytes == 0)
            return KD_OK;
        bool is_short = word.size_bytes >= 2 && word.data[0] == '-' && word.data[1] == 'c';
        bool is_long = word.size_bytes > 2 && word.data[0] == '-' && word.data[1] == '-';
        if (is_short && word.size_bytes == 2)
            KD_TRY(next_word(ctx, pg->scratch, &rest, &word));
        else if (is_short || is_long)
            word = (kd_slice){word.data + 2, word.size_bytes - 2};
        const char *equals = word.size_bytes == 0 ? NULL : memchr(word.data, '=', word.size_bytes);
        if (equals == NULL || (!is_short && !is_long))
            return KD_FAIL(ctx, KD_INVALID, "42601",
                           "invalid command-line argument for server: %.*s",
                           (int)(word.size_bytes > 64 ? 64 : word.size_bytes), word.data);
        size_t size = (size_t)(equals - word.data);
        char *name = kd_copy_text(ctx, pg->scratch, word.data, size);
        if (name == NULL)
            return KD_NOMEM;
        for (size_t i = 0; i < size; i++)
            name[i] = name[i] == '-' ? '_' : name[i];
        KD_TRY(set_one(ctx, pg, (kd_slice){name, size},
                       (kd_slice){equals + 1, word.size_bytes - size - 1}));
    }
}

/* --- Beginning -------------------------------------------------------------------------------- */

static kd_status put_key(kd_ctx *ctx, kdi_pg *pg)
{
    size_t start;
    uint32_t number = kd_conversation_number(pg->talk);
    KD_TRY(kdi_connection_name(ctx, pg->connection, number));
    kdi_connection_set_talk(pg->connection, pg->talk);
    KD_TRY(kdi_pg_begin(ctx, pg, 'K', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, number));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, pg->connection->cancel_secret));
    kdi_pg_end(pg, start);
    return KD_OK;
}

kd_status kdi_pg_session_begin(kd_ctx *ctx, kdi_pg *pg)
{
    char user[64];
    (void)snprintf(user, sizeof user, "%.*s", (int)pg->user_name.size_bytes, pg->user_name.data);
    const kdi_peer *peer = &pg->connection->peer;
    kd_session_options options = {.user_name = user,
                                  .isolation = KD_READ_COMMITTED,
                                  .tells_activity = true,
                                  .client_address = peer->is_local ? NULL : peer->address,
                                  .client_port = peer->port};
    KD_TRY(kd_conversation_open_local(ctx, pg->server->database, &options, &pg->talk));
    pg->phase = KDI_PG_READY;
    atomic_store(&pg->connection->is_logged_in, true);
    kdi_pg_set_hooks(pg);
    pg->reported = KD_NEW_ARRAY(ctx, pg->arena, kd_slice, REPORT_COUNT);
    if (pg->reported == NULL)
        return KD_NOMEM;
    kd_status status = set_options(pg->talk->ctx, pg);
    for (uint32_t i = 0; i < pg->startup_setting_count && status == KD_OK; i++)
        status = set_one(pg->talk->ctx, pg, pg->startup_settings[2 * i],
                         pg->startup_settings[2 * i + 1]);
    if (status != KD_OK) {
        ctx->error = pg->talk->ctx->error;
        kd_error_clear(pg->talk->ctx);
        return status;
    }
    pg->settings_seen = UINT64_MAX;
    KD_TRY(kdi_pg_report_settings(ctx, pg));
    KD_TRY(put_key(ctx, pg));
    return kdi_pg_put_ready(ctx, pg);
}

/* --- Notifications ---------------------------------------------------------------------------- */

static kd_status put_notification(kd_ctx *ctx, kdi_pg *pg, const kd_notification *it)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'A', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, it->session_no));
    KD_TRY(kdi_pg_put_text(ctx, pg, it->channel));
    KD_TRY(kdi_pg_put_text(ctx, pg, it->payload));
    kdi_pg_end(pg, start);
    return kdi_pg_flush_if_full(ctx, pg);
}

/* They wait while a transaction is open. */
kd_status kdi_pg_put_notifications(kd_ctx *ctx, kdi_pg *pg)
{
    if (!atomic_load(&pg->connection->has_news) ||
        pg->talk->ops->state(pg->talk) != KD_SESSION_IDLE)
        return KD_OK;
    atomic_store(&pg->connection->has_news, false);
    for (bool found = true; found;) {
        kd_notification it;
        KD_TRY(kd_conversation_next_notification(ctx, pg->scratch, pg->talk, &found, &it));
        if (found)
            KD_TRY(put_notification(ctx, pg, &it));
    }
    return KD_OK;
}

/* --- Between statements ----------------------------------------------------------------------- */

kd_status kdi_pg_put_ready(kd_ctx *ctx, kdi_pg *pg)
{
    static const char letters[] = {'I', 'T', 'E'};
    size_t start;
    kd_session_state state = pg->talk->ops->state(pg->talk);
    atomic_store(&pg->connection->is_in_transaction, state != KD_SESSION_IDLE);
    KD_TRY(kdi_pg_report_settings(ctx, pg));
    KD_TRY(kdi_pg_put_notifications(ctx, pg));
    KD_TRY(kdi_pg_begin(ctx, pg, 'Z', &start));
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, (uint8_t)letters[state]));
    kdi_pg_end(pg, start);
    return KD_OK;
}
