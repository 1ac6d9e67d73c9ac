/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): what a server keeps of a password, and the sums that both
 * sides make.
 *
 * A verifier's text is PostgreSQL's: "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>",
 * salt and keys in base64. The password cannot be computed from it; who has it can pretend to be
 * the server, not the client.
 */
#ifndef KD_SECURITY_SCRAM_H
#define KD_SECURITY_SCRAM_H

#include "base/bytes.h"

enum {
    KD_SCRAM_KEY_BYTES = 32,
    KD_SCRAM_SALT_BYTES = 16,
    KD_SCRAM_ITERATIONS = 4096,
    KD_SCRAM_ITERATIONS_MAX = 1000000, /* Of a verifier made elsewhere. */
};

typedef struct kd_scram_verifier {
    uint32_t iterations;
    kd_slice salt; /* Bytes, not base64. */
    uint8_t stored_key[KD_SCRAM_KEY_BYTES];
    uint8_t server_key[KD_SCRAM_KEY_BYTES];
} kd_scram_verifier;

/* Of a password with a new salt, in `arena`. Takes some milliseconds. 22023 for an empty one. */
kd_status kd_scram_make_verifier(kd_ctx *ctx, kd_arena *arena, kd_slice password,
                                 kd_slice *out_text) KD_MUST_CHECK;
/* False when the text is no verifier. The salt is in `arena`. */
kd_status kd_scram_verifier_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                                  bool *out_is_verifier,
                                  kd_scram_verifier *out_verifier) KD_MUST_CHECK;

/* HMAC-SHA-256 of a message. */
kd_status kd_scram_hmac(kd_ctx *ctx, const uint8_t key[KD_SCRAM_KEY_BYTES], kd_slice message,
                        uint8_t out[KD_SCRAM_KEY_BYTES]) KD_MUST_CHECK;
/* Whether a client that sent `proof` over `auth_message` has the password: 32 bytes of proof. */
kd_status kd_scram_check_proof(kd_ctx *ctx, const kd_scram_verifier *verifier,
                               kd_slice auth_message, const uint8_t proof[KD_SCRAM_KEY_BYTES],
                               bool *out_is_right) KD_MUST_CHECK;

/* Base64 with padding, in `arena`, with a NUL behind. */
kd_status kd_base64_encode(kd_ctx *ctx, kd_arena *arena, kd_slice bytes,
                           kd_slice *out_text) KD_MUST_CHECK;
/* False for anything but canonical base64. */
kd_status kd_base64_decode(kd_ctx *ctx, kd_arena *arena, kd_slice text, bool *out_is_right,
                           kd_slice *out_bytes) KD_MUST_CHECK;

#endif
