/*
 * From the first message to the login.
 */
#include "server/pg_internal.h"

#include <unistd.h>

enum {
    PROTOCOL_MAJOR = 3,
    REQUEST_CANCEL = 80877102,
    REQUEST_TLS = 80877103,
    REQUEST_GSS = 80877104,
    SETTINGS_MAX = 128,
};

/* --- The first message ------------------------------------------------------------------------ */

/* One byte without a frame: yes or no. */
static kd_status answer_byte(kd_ctx *ctx, kdi_pg *pg, char byte)
{
    KD_TRY(kd_buffer_append_byte(ctx, &pg->stream->out, (uint8_t)byte));
    return kdi_stream_flush(ctx, pg->stream);
}

static kd_status answer_tls(kd_ctx *ctx, kdi_pg *pg)
{
    bool offers = pg->server->tls != NULL && !pg->connection->peer.is_local;
    if (pg->tls_was_answered || pg->stream->tls != NULL)
        return kdi_pg_malformed(ctx, "a second request for encryption");
    pg->tls_was_answered = true;
    if (!offers)
        return answer_byte(ctx, pg, 'N');
    /* What was sent in clear text must not count as encrypted (CVE-2021-23214). */
    if (kdi_stream_bytes(pg->stream).size_bytes > 0)
        return kdi_pg_malformed(ctx, "received unencrypted data after SSL request");
    KD_TRY(answer_byte(ctx, pg, 'S'));
    pg->phase = KDI_PG_TLS;
    return kdi_stream_start_tls(ctx, pg->stream, pg->server->tls->context);
}

static kd_status answer_gss(kd_ctx *ctx, kdi_pg *pg)
{
    if (pg->gss_was_answered)
        return kdi_pg_malformed(ctx, "a second request for encryption");
    pg->gss_was_answered = true;
    return answer_byte(ctx, pg, 'N');
}

/* Nothing is answered, whether it was right or not. */
static void cancel(kdi_pg *pg, kd_reader *body)
{
    uint32_t cancel_no = kdi_pg_read_u32(body);
    uint32_t secret = kdi_pg_read_u32(body);
    if (!body->failed && body->at == body->end)
        kdi_connection_cancel(pg->server, cancel_no, secret);
    pg->phase = KDI_PG_ENDED;
}

static kd_status keep(kd_ctx *ctx, kdi_pg *pg, kd_slice text, kd_slice *out)
{
    char *copy = kd_copy_text(ctx, pg->arena, text.data, text.size_bytes);
    *out = (kd_slice){copy, copy == NULL ? 0 : text.size_bytes};
    return copy == NULL ? KD_NOMEM : KD_OK;
}

static kd_status keep_parameter(kd_ctx *ctx, kdi_pg *pg, kd_slice name, kd_slice value)
{
    if (kd_slice_equal(name, KD_SLICE("user")))
        return keep(ctx, pg, value, &pg->user_name);
    if (kd_slice_equal(name, KD_SLICE("database")))
        return keep(ctx, pg, value, &pg->database_name);
    if (kd_slice_equal(name, KD_SLICE("options")))
        return keep(ctx, pg, value, &pg->startup_options);
    if (kd_slice_equal(name, KD_SLICE("replication"))) {
        if (kd_slice_equal(value, KD_SLICE("false")) || kd_slice_equal(value, KD_SLICE("off")) ||
            kd_slice_equal(value, KD_SLICE("0")))
            return KD_OK;
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "there is no streaming replication");
    }
    if (name.size_bytes >= 5 && memcmp(name.data, "_pq_.", 5) == 0)
        return KD_OK; /* Options of the protocol: NegotiateProtocolVersion says that we have none.
                       */
    if (pg->startup_setting_count >= SETTINGS_MAX)
        return kdi_pg_malformed(ctx, "too many settings in the startup packet");
    KD_TRY(keep(ctx, pg, name, &pg->startup_settings[2 * pg->startup_setting_count]));
    KD_TRY(keep(ctx, pg, value, &pg->startup_settings[2 * pg->startup_setting_count + 1]));
    pg->startup_setting_count++;
    return KD_OK;
}

static kd_status read_parameters(kd_ctx *ctx, kdi_pg *pg, kd_reader body, uint32_t *out_unknown)
{
    pg->startup_settings = KD_NEW_ARRAY(ctx, pg->arena, kd_slice, 2 * SETTINGS_MAX);
    *out_unknown = 0;
    if (pg->startup_settings == NULL)
        return KD_NOMEM;
    for (;;) {
        kd_slice name = kdi_pg_read_text(&body);
        if (!body.failed && name.size_bytes == 0)
            break;
        kd_slice value = kdi_pg_read_text(&body);
        if (body.failed)
            return kdi_pg_malformed(ctx, "invalid startup packet layout: expected terminator");
        *out_unknown += name.size_bytes >= 5 && memcmp(name.data, "_pq_.", 5) == 0;
        KD_TRY(keep_parameter(ctx, pg, name, value));
    }
    if (body.at != body.end)
        return kdi_pg_malformed(ctx, "invalid startup packet layout: bytes after the terminator");
    if (pg->user_name.size_bytes == 0)
        return KD_FAIL(ctx, KD_DENIED, "28000",
                       "no PostgreSQL user name specified in startup packet");
    return KD_OK;
}

/* NegotiateProtocolVersion: we know 3.0, and no options. */
static kd_status negotiate(kd_ctx *ctx, kdi_pg *pg, kd_reader body)
{
    kd_buffer *out = &pg->stream->out;
    size_t start, count_at;
    uint32_t count = 0;
    KD_TRY(kdi_pg_begin(ctx, pg, 'v', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, out, 0));
    count_at = out->size_bytes;
    KD_TRY(kd_buffer_append_big_u32(ctx, out, 0));
    for (;;) {
        kd_slice name = kdi_pg_read_text(&body);
        if (name.size_bytes == 0)
            break;
        (void)kdi_pg_read_text(&body);
        if (name.size_bytes < 5 || memcmp(name.data, "_pq_.", 5) != 0)
            continue;
        KD_TRY(kdi_pg_put_text(ctx, pg, name));
        count++;
    }
    kd_store_big_u32(out->data + count_at, count);
    kdi_pg_end(pg, start);
    return KD_OK;
}

/* --- Who it is -------------------------------------------------------------------------------- */

static kd_status denied(kd_ctx *ctx, kdi_pg *pg, const char *sqlstate, const char *format)
{
    char name[65]; /* No more of it than a role's name can have. */
    (void)snprintf(name, sizeof name, "%.*s", (int)pg->user_name.size_bytes, pg->user_name.data);
    kd_status status = KD_FAIL(ctx, KD_DENIED, sqlstate, "%s \"%s\"", format, name);
    return status;
}

/* The database has one name; its user's, which clients send without being told, and "postgres",
 * where tools begin, mean it too. */
static kd_status check_database(kd_ctx *ctx, kdi_pg *pg)
{
    kd_slice name = pg->database_name;
    kd_slice own = kd_slice_of(kd_database_name(pg->server->database));
    if (name.size_bytes == 0 || kd_slice_equal(name, own) || kd_slice_equal(name, pg->user_name) ||
        kd_slice_equal(name, KD_SLICE("postgres")))
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "3D000", "database \"%.*s\" does not exist",
                               (int)(name.size_bytes > 63 ? 63 : name.size_bytes), name.data);
    kd_error_set_hint(ctx, "The database is called \"%s\".", own.data);
    return status;
}

/* The operating system's user that the server runs as has the database's files anyway; so has root.
 */
static bool is_owner_of_server(const kdi_pg *pg)
{
    const kdi_peer *peer = &pg->connection->peer;
    return peer->is_local && (peer->user_id == geteuid() || peer->user_id == 0);
}

/* A certificate that one of ssl_ca_file's has signed names the role as its common name. */
static bool certificate_names_user(const kdi_pg *pg)
{
    char name[65];
    SSL *tls = pg->stream->tls;
    X509 *certificate = tls == NULL ? NULL : SSL_get1_peer_certificate(tls);
    if (certificate == NULL)
        return false;
    int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                         (int)sizeof name);
    bool is_user = SSL_get_verify_result(tls) == X509_V_OK && size > 0 &&
                   kd_slice_equal((kd_slice){name, (size_t)size}, pg->user_name);
    X509_free(certificate);
    return is_user;
}

static kd_status let_in(kd_ctx *ctx, kdi_pg *pg)
{
    size_t start;
    if (!pg->login.exists || !pg->login.may_log_in)
        return denied(ctx, pg, "28000",
                      pg->login.exists ? "this role is not permitted to log in:"
                                       : "there is no role");
    if (!pg->login.is_superuser) {
        /* Nobody checks what other roles may do: they must not get in. */
        kd_status status = denied(ctx, pg, "28000", "only superusers may log in, and not role");
        kd_error_set_detail(ctx, "Privileges of roles on tables are not checked.");
        return status;
    }
    KD_TRY(kdi_pg_begin(ctx, pg, 'R', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, 0));
    kdi_pg_end(pg, start);
    return kdi_pg_session_begin(ctx, pg);
}

/* Who has guessed too often waits. */
static kd_status check_attempts(kd_ctx *ctx, kdi_pg *pg)
{
    uint64_t wait_ns = kdi_attempts_wait_ns(&pg->server->attempts, pg->user_name,
                                            kd_slice_of(pg->connection->peer.address));
    if (wait_ns == 0)
        return KD_OK;
    kd_status status = denied(ctx, pg, "28000", "too many wrong passwords for user");
    kd_error_set_hint(ctx, "Try again in %llu s.", (unsigned long long)(wait_ns / 1000000000 + 1));
    return status;
}

static kd_status start(kd_ctx *ctx, kdi_pg *pg, uint32_t version, kd_reader body)
{
    uint32_t unknown;
    if (version >> 16 != PROTOCOL_MAJOR)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "unsupported frontend protocol %u.%u: server supports 3.0", version >> 16,
                       version & 0xffff);
    KD_TRY(read_parameters(ctx, pg, body, &unknown));
    if ((version & 0xffff) != 0 || unknown > 0)
        KD_TRY(negotiate(ctx, pg, body));
    KD_TRY(check_database(ctx, pg));
    KD_TRY(kdi_login_find(ctx, pg->arena, pg->server->database, pg->user_name, &pg->login));
    if (is_owner_of_server(pg) || certificate_names_user(pg))
        return let_in(ctx, pg);
    KD_TRY(check_attempts(ctx, pg));
    pg->phase = KDI_PG_SASL_FIRST;
    return kdi_pg_scram_begin(ctx, pg);
}

/* --- The exchange ----------------------------------------------------------------------------- */

static kd_status first_message(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    uint32_t code = kdi_pg_read_u32(body);
    if (body->failed)
        return kdi_pg_malformed(ctx, "invalid length of startup packet");
    switch (code) {
    case REQUEST_TLS:
        return answer_tls(ctx, pg);
    case REQUEST_GSS:
        return answer_gss(ctx, pg);
    case REQUEST_CANCEL:
        cancel(pg, body);
        return KD_OK;
    default:
        return start(ctx, pg, code, *body);
    }
}

/* SASLInitialResponse: a mechanism, and what the client says first. */
static kd_status sasl_first(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    kd_slice mechanism = kdi_pg_read_text(body);
    uint32_t size = kdi_pg_read_u32(body);
    if (body->failed || size != (size_t)(body->end - body->at))
        return kdi_pg_malformed(ctx, "malformed SCRAM message");
    pg->phase = KDI_PG_SASL_LAST;
    return kdi_pg_scram_first(ctx, pg, mechanism, (kd_slice){body->at, size});
}

kd_status kdi_pg_log_in(kd_ctx *ctx, kdi_pg *pg, kdi_pg_message *message)
{
    kd_reader *body = &message->body;
    if (pg->phase == KDI_PG_STARTUP)
        return first_message(ctx, pg, body);
    if (message->type != 'p')
        return KD_FAIL(ctx, KD_INVALID, "08P01", "expected SASL response, got message type %d",
                       message->type);
    if (pg->phase == KDI_PG_SASL_FIRST)
        return sasl_first(ctx, pg, body);
    bool is_right;
    KD_TRY(kdi_pg_scram_last(ctx, pg, (kd_slice){body->at, (size_t)(body->end - body->at)},
                             &is_right));
    kdi_attempts_note(&pg->server->attempts, pg->user_name,
                      kd_slice_of(pg->connection->peer.address), is_right);
    if (!is_right)
        return denied(ctx, pg, "28P01", "password authentication failed for user");
    return let_in(ctx, pg);
}
