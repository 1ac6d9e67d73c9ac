/*
 * The server's side of SCRAM-SHA-256, with channel binding over TLS (RFC 5802, RFC 7677).
 *
 * A role that does not exist, or has no password, goes through the same exchange with a salt made
 * of its name, the same each time, and fails at its end: nobody learns which roles there are.
 */
#include "server/pg_internal.h"

#include "security/scram.h"

#include <openssl/rand.h>

#include <stdio.h>

enum { NONCE_BYTES = 18 };

struct kdi_pg_scram {
    kd_scram_verifier verifier;
    bool is_mock;
    kd_slice binding;      /* What the last message is to say: the header, and the end point. */
    kd_slice client_first; /* Without the header. */
    kd_slice server_first;
    kd_slice nonce; /* Both sides'. */
};

static kd_status malformed(kd_ctx *ctx)
{
    return kdi_pg_malformed(ctx, "malformed SCRAM message");
}

/* --- What the client may choose from ---------------------------------------------------------- */

/* Of a role that cannot log in with a password. */
static kd_status make_mock(kd_ctx *ctx, kdi_pg *pg)
{
    kd_scram_verifier *verifier = &pg->scram->verifier;
    uint8_t *salt = kd_alloc(ctx, pg->arena, KD_SCRAM_KEY_BYTES);
    if (salt == NULL)
        return KD_NOMEM;
    pg->scram->is_mock = true;
    KD_TRY(kd_scram_hmac(ctx, pg->server->mock_key, pg->user_name, salt));
    verifier->iterations = KD_SCRAM_ITERATIONS;
    verifier->salt = (kd_slice){(const char *)salt, KD_SCRAM_SALT_BYTES};
    memcpy(verifier->stored_key, pg->server->mock_key, KD_SCRAM_KEY_BYTES);
    return KD_OK;
}

kd_status kdi_pg_scram_begin(kd_ctx *ctx, kdi_pg *pg)
{
    bool is_verifier = false;
    size_t start;
    pg->scram = KD_NEW(ctx, pg->arena, kdi_pg_scram);
    if (pg->scram == NULL)
        return KD_NOMEM;
    if (pg->login.exists)
        KD_TRY(kd_scram_verifier_parse(ctx, pg->arena, pg->login.verifier, &is_verifier,
                                       &pg->scram->verifier));
    if (!is_verifier)
        KD_TRY(make_mock(ctx, pg));
    KD_TRY(kdi_pg_begin(ctx, pg, 'R', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, 10));
    if (pg->stream->tls != NULL)
        KD_TRY(kdi_pg_put_text(ctx, pg, KD_SLICE("SCRAM-SHA-256-PLUS")));
    KD_TRY(kdi_pg_put_text(ctx, pg, KD_SLICE("SCRAM-SHA-256")));
    KD_TRY(kdi_pg_put_text(ctx, pg, KD_SLICE("")));
    kdi_pg_end(pg, start);
    return KD_OK;
}

/* --- The first message ------------------------------------------------------------------------ */

/* "x=value" up to the next comma or the end; the rest is behind the comma. */
static bool take_attribute(kd_slice *rest, char name, kd_slice *out_value)
{
    if (rest->size_bytes < 2 || rest->data[0] != name || rest->data[1] != '=')
        return false;
    const char *comma = memchr(rest->data, ',', rest->size_bytes);
    size_t size = comma == NULL ? rest->size_bytes : (size_t)(comma - rest->data);
    *out_value = (kd_slice){rest->data + 2, size - 2};
    size_t taken = comma == NULL ? size : size + 1;
    *rest = (kd_slice){rest->data + taken, rest->size_bytes - taken};
    return true;
}

/* "n,,", "y,,", "p=tls-server-end-point,,". */
static kd_status take_header(kd_ctx *ctx, const kdi_pg *pg, bool binds, kd_slice *rest,
                             kd_slice *out_header)
{
    static const kd_slice with_binding = {"p=tls-server-end-point,,", 24};
    kd_slice text = *rest;
    if (text.size_bytes < 3)
        return malformed(ctx);
    size_t size = binds ? with_binding.size_bytes : 3;
    *out_header = (kd_slice){text.data, size};
    if (text.size_bytes < size)
        return malformed(ctx);
    bool is_right = binds ? kd_slice_equal(*out_header, with_binding)
                          : (text.data[0] == 'n' || text.data[0] == 'y') && text.data[1] == ',' &&
                                text.data[2] == ',';
    if (!is_right)
        return malformed(ctx); /* Also a client that wants to act for somebody else. */
    if (!binds && text.data[0] == 'y' && pg->stream->tls != NULL)
        return KD_FAIL(ctx, KD_DENIED, "28000", "SCRAM channel binding negotiation error");
    *rest = (kd_slice){text.data + size, text.size_bytes - size};
    return KD_OK;
}

static kd_status make_binding(kd_ctx *ctx, kdi_pg *pg, bool binds, kd_slice header)
{
    const kdi_tls *tls = pg->server->tls;
    kd_buffer bytes = kd_buffer_in(pg->arena);
    KD_TRY(kd_buffer_append_slice(ctx, &bytes, header));
    if (binds)
        KD_TRY(kd_buffer_append(ctx, &bytes, tls->end_point, tls->end_point_bytes));
    return kd_base64_encode(ctx, pg->arena, kd_buffer_slice(&bytes), &pg->scram->binding);
}

static bool is_printable(kd_slice text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    return text.size_bytes > 0;
}

/* "r=...,s=...,i=4096" */
static kd_status make_server_first(kd_ctx *ctx, kdi_pg *pg, kd_slice client_nonce)
{
    kdi_pg_scram *scram = pg->scram;
    uint8_t random[NONCE_BYTES];
    kd_slice own, salt;
    if (RAND_bytes(random, sizeof random) != 1)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "there are no random numbers");
    KD_TRY(kd_base64_encode(ctx, pg->arena, (kd_slice){(const char *)random, sizeof random}, &own));
    KD_TRY(kd_base64_encode(ctx, pg->arena, scram->verifier.salt, &salt));
    char *nonce = kd_format_text(ctx, pg->arena, "%.*s%s", (int)client_nonce.size_bytes,
                                 client_nonce.data, own.data);
    if (nonce == NULL)
        return KD_NOMEM;
    char *text = kd_format_text(ctx, pg->arena, "r=%s,s=%s,i=%u", nonce, salt.data,
                                scram->verifier.iterations);
    if (text == NULL)
        return KD_NOMEM;
    scram->nonce = kd_slice_of(nonce);
    scram->server_first = kd_slice_of(text);
    return KD_OK;
}

static kd_status put_sasl(kd_ctx *ctx, kdi_pg *pg, uint32_t code, kd_slice text)
{
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 'R', &start));
    KD_TRY(kd_buffer_append_big_u32(ctx, &pg->stream->out, code));
    KD_TRY(kd_buffer_append_slice(ctx, &pg->stream->out, text));
    kdi_pg_end(pg, start);
    return KD_OK;
}

kd_status kdi_pg_scram_first(kd_ctx *ctx, kdi_pg *pg, kd_slice mechanism, kd_slice message)
{
    kdi_pg_scram *scram = pg->scram;
    bool binds = kd_slice_equal(mechanism, KD_SLICE("SCRAM-SHA-256-PLUS"));
    kd_slice rest = message, header, user, nonce;
    if ((binds && pg->stream->tls == NULL) ||
        (!binds && !kd_slice_equal(mechanism, KD_SLICE("SCRAM-SHA-256"))))
        return kdi_pg_malformed(ctx, "client selected an invalid SASL authentication mechanism");
    KD_TRY(take_header(ctx, pg, binds, &rest, &header));
    char *bare = kd_copy_text(ctx, pg->arena, rest.data, rest.size_bytes);
    if (bare == NULL)
        return KD_NOMEM;
    scram->client_first = (kd_slice){bare, rest.size_bytes};
    /* The user's name there is not looked at: that of the startup packet counts. */
    if (!take_attribute(&rest, 'n', &user) || !take_attribute(&rest, 'r', &nonce) ||
        rest.size_bytes > 0 || !is_printable(nonce))
        return malformed(ctx);
    KD_TRY(make_binding(ctx, pg, binds, header));
    KD_TRY(make_server_first(ctx, pg, nonce));
    return put_sasl(ctx, pg, 11, scram->server_first);
}

/* --- The last message ------------------------------------------------------------------------- */

static kd_status make_auth_message(kd_ctx *ctx, kdi_pg *pg, kd_slice without_proof, kd_slice *out)
{
    const kdi_pg_scram *scram = pg->scram;
    kd_buffer text = kd_buffer_in(pg->arena);
    KD_TRY(kd_buffer_append_slice(ctx, &text, scram->client_first));
    KD_TRY(kd_buffer_append_byte(ctx, &text, ','));
    KD_TRY(kd_buffer_append_slice(ctx, &text, scram->server_first));
    KD_TRY(kd_buffer_append_byte(ctx, &text, ','));
    KD_TRY(kd_buffer_append_slice(ctx, &text, without_proof));
    *out = kd_buffer_slice(&text);
    return KD_OK;
}

static kd_status put_signature(kd_ctx *ctx, kdi_pg *pg, kd_slice auth_message)
{
    uint8_t signature[KD_SCRAM_KEY_BYTES];
    kd_slice text;
    KD_TRY(kd_scram_hmac(ctx, pg->scram->verifier.server_key, auth_message, signature));
    KD_TRY(kd_base64_encode(ctx, pg->arena, (kd_slice){(const char *)signature, sizeof signature},
                            &text));
    char *answer = kd_format_text(ctx, pg->arena, "v=%s", text.data);
    return answer == NULL ? KD_NOMEM : put_sasl(ctx, pg, 12, kd_slice_of(answer));
}

kd_status kdi_pg_scram_last(kd_ctx *ctx, kdi_pg *pg, kd_slice message, bool *out_is_right)
{
    const kdi_pg_scram *scram = pg->scram;
    kd_slice rest = message, binding, nonce, proof_text, proof, auth_message;
    bool is_base64;
    *out_is_right = false;
    if (!take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce))
        return malformed(ctx);
    const char *proof_at = rest.data;
    if (!take_attribute(&rest, 'p', &proof_text) || rest.size_bytes > 0)
        return malformed(ctx);
    KD_TRY(kd_base64_decode(ctx, pg->arena, proof_text, &is_base64, &proof));
    if (!is_base64 || proof.size_bytes != KD_SCRAM_KEY_BYTES)
        return malformed(ctx);
    if (!kd_slice_equal(binding, scram->binding))
        return KD_FAIL(ctx, KD_DENIED, "28000", "SCRAM channel binding check failed");
    if (!kd_slice_equal(nonce, scram->nonce))
        return malformed(ctx);
    kd_slice without_proof = {message.data, (size_t)(proof_at - message.data) - 1};
    KD_TRY(make_auth_message(ctx, pg, without_proof, &auth_message));
    KD_TRY(kd_scram_check_proof(ctx, &scram->verifier, auth_message, (const uint8_t *)proof.data,
                                out_is_right));
    *out_is_right &= !scram->is_mock;
    return *out_is_right ? put_signature(ctx, pg, auth_message) : KD_OK;
}
