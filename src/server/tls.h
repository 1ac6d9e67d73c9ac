/*
 * What encrypted connections need, by OpenSSL: certificate, key, who signs clients' certificates.
 */
#ifndef KD_SERVER_TLS_H
#define KD_SERVER_TLS_H

#include "engine/database.h"

#include <openssl/ssl.h>

typedef struct kdi_tls {
    SSL_CTX *context;
    /* The hash of the server's certificate for channel binding (RFC 5929, tls-server-end-point). */
    uint8_t end_point[64];
    size_t end_point_bytes;
} kdi_tls;

/* F0000 tells which file is wrong and why: also one that others may read. */
kd_status kdi_tls_create(kd_ctx *ctx, kd_arena *arena, const kd_server_settings *settings,
                         const char *directory, kdi_tls **out_tls) KD_MUST_CHECK;
void kdi_tls_destroy(kdi_tls *tls); /* NULL is allowed. */

#endif
