/*
 * The context of encrypted connections.
 */
#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <sys/stat.h>

static kd_status tls_failed(kd_ctx *ctx, const char *what, const char *path)
{
    char reason[160];
    unsigned long code = ERR_get_error();
    if (code == 0)
        (void)snprintf(reason, sizeof reason, "unknown reason");
    else
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    return KD_FAIL(ctx, KD_INVALID, "F0000", "could not load %s \"%s\": %s", what, path, reason);
}

/* The path of a file of the settings: relative ones are below the database. */
static const char *file_path(kd_ctx *ctx, kd_arena *arena, const char *directory, kd_slice name)
{
    if (name.size_bytes > 0 && name.data[0] == '/')
        return kd_copy_text(ctx, arena, name.data, name.size_bytes);
    return kd_format_text(ctx, arena, "%s/%.*s", directory, (int)name.size_bytes, name.data);
}

/* A private key is for its owner only, or for root and a group. */
static kd_status check_key_file(kd_ctx *ctx, const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return KD_FAIL(ctx, KD_INVALID, "F0000", "could not read the private key file \"%s\"",
                       path);
    mode_t refused = about.st_uid == 0 ? 0037 : 0077;
    if ((about.st_mode & refused) == 0)
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "F0000",
                               "private key file \"%s\" has group or world access", path);
    kd_error_set_hint(ctx, "chmod 600 \"%s\"", path);
    return status;
}

static kd_status load_files(kd_ctx *ctx, kd_arena *arena, const kd_server_settings *settings,
                            const char *directory, kdi_tls *tls)
{
    const char *certificate = file_path(ctx, arena, directory, settings->certificate_file);
    const char *key = file_path(ctx, arena, directory, settings->key_file);
    const char *ca = file_path(ctx, arena, directory, settings->ca_file);
    if (certificate == NULL || key == NULL || ca == NULL)
        return KD_NOMEM;
    if (SSL_CTX_use_certificate_chain_file(tls->context, certificate) != 1)
        return tls_failed(ctx, "the certificate file", certificate);
    KD_TRY(check_key_file(ctx, key));
    if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls->context) != 1)
        return tls_failed(ctx, "the private key file", key);
    if (settings->ca_file.size_bytes == 0)
        return KD_OK;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
    if (names == NULL || SSL_CTX_load_verify_locations(tls->context, ca, NULL) != 1)
        return tls_failed(ctx, "the certificate file", ca);
    SSL_CTX_set_client_CA_list(tls->context, names);
    /* A certificate is asked for, not demanded: a role may come with a password instead. */
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    return KD_OK;
}

/* The hash of the signature's algorithm; MD5 and SHA-1 are replaced by SHA-256. */
static kd_status note_end_point(kd_ctx *ctx, kdi_tls *tls)
{
    X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    int digest_no = NID_undef;
    unsigned size = 0;
    if (certificate == NULL)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "there is no certificate");
    (void)X509_get_signature_info(certificate, &digest_no, NULL, NULL, NULL);
    const EVP_MD *digest = digest_no == NID_undef ? NULL : EVP_get_digestbynid(digest_no);
    if (digest == NULL || digest_no == NID_md5 || digest_no == NID_sha1)
        digest = EVP_sha256();
    if (EVP_MD_get_size(digest) > (int)sizeof tls->end_point ||
        X509_digest(certificate, digest, tls->end_point, &size) != 1)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "could not hash the server's certificate");
    tls->end_point_bytes = size;
    return KD_OK;
}

kd_status kdi_tls_create(kd_ctx *ctx, kd_arena *arena, const kd_server_settings *settings,
                         const char *directory, kdi_tls **out_tls)
{
    kd_status status = KD_OK;
    kdi_tls *tls = KD_NEW(ctx, arena, kdi_tls);
    *out_tls = NULL;
    if (tls == NULL)
        return KD_NOMEM;
    tls->context = SSL_CTX_new(TLS_server_method());
    if (tls->context == NULL)
        return KD_FAIL(ctx, KD_NOMEM, "53200", "could not make a TLS context");
    (void)SSL_CTX_set_min_proto_version(tls->context,
                                        settings->needs_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    (void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                                SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_cipher_list(tls->context, "HIGH:!aNULL:!kRSA:!PSK:!SRP:!MD5:!SHA1") != 1)
        KD_TRY_OUT(tls_failed(ctx, "the list of ciphers", "HIGH"));
    KD_TRY_OUT(load_files(ctx, arena, settings, directory, tls));
    KD_TRY_OUT(note_end_point(ctx, tls));
    *out_tls = tls;
    tls = NULL;
out:
    kdi_tls_destroy(tls);
    return status;
}

void kdi_tls_destroy(kdi_tls *tls)
{
    if (tls != NULL)
        SSL_CTX_free(tls->context);
}
