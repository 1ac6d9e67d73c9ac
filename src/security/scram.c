/*
 * SCRAM-SHA-256 over OpenSSL.
 *
 * Passwords are taken as they are: SASLprep, which RFC 5802 asks for, changes nothing in ASCII, and
 * a client that prepares others differently than we do would never get in.
 */
#include "security/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <string.h>

static kd_status crypto_failed(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "the cryptographic library failed");
}

kd_status kd_base64_encode(kd_ctx *ctx, kd_arena *arena, kd_slice bytes, kd_slice *out_text)
{
    size_t size = (bytes.size_bytes + 2) / 3 * 4;
    unsigned char *text = kd_alloc(ctx, arena, size + 1);
    *out_text = (kd_slice){NULL, 0};
    if (text == NULL)
        return KD_NOMEM;
    (void)EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)bytes.size_bytes);
    *out_text = (kd_slice){(const char *)text, size};
    return KD_OK;
}

kd_status kd_base64_decode(kd_ctx *ctx, kd_arena *arena, kd_slice text, bool *out_is_right,
                           kd_slice *out_bytes)
{
    *out_is_right = false;
    *out_bytes = (kd_slice){"", 0};
    if (text.size_bytes % 4 != 0 || text.size_bytes > INT32_MAX)
        return KD_OK;
    if (text.size_bytes == 0) {
        *out_is_right = true;
        return KD_OK;
    }
    unsigned char *bytes = kd_alloc(ctx, arena, text.size_bytes / 4 * 3 + 1);
    if (bytes == NULL)
        return KD_NOMEM;
    int size = EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)text.size_bytes);
    if (size < 0)
        return KD_OK;
    size_t padding = (size_t)(text.data[text.size_bytes - 1] == '=') +
                     (size_t)(text.data[text.size_bytes - 2] == '=');
    kd_slice decoded = {(const char *)bytes, (size_t)size - padding}, again;
    KD_TRY(kd_base64_encode(ctx, arena, decoded, &again));
    *out_is_right = kd_slice_equal(again, text); /* Blanks and stray bits are skipped above. */
    if (*out_is_right)
        *out_bytes = decoded;
    return KD_OK;
}

kd_status kd_scram_hmac(kd_ctx *ctx, const uint8_t key[KD_SCRAM_KEY_BYTES], kd_slice message,
                        uint8_t out[KD_SCRAM_KEY_BYTES])
{
    unsigned size = 0;
    bool is_done = HMAC(EVP_sha256(), key, KD_SCRAM_KEY_BYTES, (const unsigned char *)message.data,
                        message.size_bytes, out, &size) != NULL;
    return is_done && size == KD_SCRAM_KEY_BYTES ? KD_OK : crypto_failed(ctx);
}

static kd_status make_keys(kd_ctx *ctx, kd_slice password, kd_slice salt, uint32_t iterations,
                           uint8_t stored_key[KD_SCRAM_KEY_BYTES],
                           uint8_t server_key[KD_SCRAM_KEY_BYTES])
{
    uint8_t salted[KD_SCRAM_KEY_BYTES], client_key[KD_SCRAM_KEY_BYTES];
    kd_status status = KD_OK;
    if (PKCS5_PBKDF2_HMAC(password.data, (int)password.size_bytes, (const unsigned char *)salt.data,
                          (int)salt.size_bytes, (int)iterations, EVP_sha256(), sizeof salted,
                          salted) != 1) {
        status = crypto_failed(ctx);
        goto out;
    }
    KD_TRY_OUT(kd_scram_hmac(ctx, salted, KD_SLICE("Client Key"), client_key));
    KD_TRY_OUT(kd_scram_hmac(ctx, salted, KD_SLICE("Server Key"), server_key));
    if (SHA256(client_key, sizeof client_key, stored_key) == NULL)
        status = crypto_failed(ctx);
out:
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return status;
}

kd_status kd_scram_make_verifier(kd_ctx *ctx, kd_arena *arena, kd_slice password,
                                 kd_slice *out_text)
{
    uint8_t salt[KD_SCRAM_SALT_BYTES];
    uint8_t keys[2][KD_SCRAM_KEY_BYTES];
    kd_slice parts[3];
    *out_text = (kd_slice){"", 0};
    if (password.size_bytes == 0 || password.size_bytes > INT32_MAX)
        return KD_FAIL(ctx, KD_INVALID, "22023", "empty string is not a valid password");
    if (RAND_bytes(salt, sizeof salt) != 1)
        return crypto_failed(ctx);
    KD_TRY(make_keys(ctx, password, (kd_slice){(const char *)salt, sizeof salt},
                     KD_SCRAM_ITERATIONS, keys[0], keys[1]));
    KD_TRY(kd_base64_encode(ctx, arena, (kd_slice){(const char *)salt, sizeof salt}, &parts[0]));
    for (int i = 0; i < 2; i++)
        KD_TRY(kd_base64_encode(ctx, arena, (kd_slice){(const char *)keys[i], KD_SCRAM_KEY_BYTES},
                                &parts[i + 1]));
    char *text = kd_format_text(ctx, arena, "SCRAM-SHA-256$%d:%s$%s:%s", KD_SCRAM_ITERATIONS,
                                parts[0].data, parts[1].data, parts[2].data);
    if (text == NULL)
        return KD_NOMEM;
    *out_text = kd_slice_of(text);
    return KD_OK;
}

/* The part before `mark`, which `*rest` begins behind then; false where there is no mark. */
static bool cut(kd_slice *rest, char mark, kd_slice *out_part)
{
    const char *found = rest->size_bytes == 0 ? NULL : memchr(rest->data, mark, rest->size_bytes);
    if (found == NULL)
        return false;
    *out_part = (kd_slice){rest->data, (size_t)(found - rest->data)};
    *rest = (kd_slice){found + 1, rest->size_bytes - out_part->size_bytes - 1};
    return true;
}

static bool read_iterations(kd_slice text, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || *out > KD_SCRAM_ITERATIONS_MAX)
            return false;
        *out = *out * 10 + (uint32_t)(text.data[i] - '0');
    }
    return *out > 0 && *out <= KD_SCRAM_ITERATIONS_MAX;
}

static kd_status read_key(kd_ctx *ctx, kd_arena *arena, kd_slice text, bool *io_is_right,
                          uint8_t out[KD_SCRAM_KEY_BYTES])
{
    kd_slice bytes;
    bool is_right;
    KD_TRY(kd_base64_decode(ctx, arena, text, &is_right, &bytes));
    *io_is_right &= is_right && bytes.size_bytes == KD_SCRAM_KEY_BYTES;
    if (*io_is_right)
        memcpy(out, bytes.data, KD_SCRAM_KEY_BYTES);
    return KD_OK;
}

kd_status kd_scram_verifier_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                                  bool *out_is_verifier, kd_scram_verifier *out_verifier)
{
    kd_slice rest = text, name, iterations, salt, stored;
    *out_is_verifier = false;
    *out_verifier = (kd_scram_verifier){0};
    if (!cut(&rest, '$', &name) || !kd_slice_equal(name, KD_SLICE("SCRAM-SHA-256")) ||
        !cut(&rest, ':', &iterations) || !cut(&rest, '$', &salt) || !cut(&rest, ':', &stored) ||
        !read_iterations(iterations, &out_verifier->iterations))
        return KD_OK;
    bool is_right;
    KD_TRY(kd_base64_decode(ctx, arena, salt, &is_right, &out_verifier->salt));
    is_right &= out_verifier->salt.size_bytes > 0;
    KD_TRY(read_key(ctx, arena, stored, &is_right, out_verifier->stored_key));
    KD_TRY(read_key(ctx, arena, rest, &is_right, out_verifier->server_key));
    *out_is_verifier = is_right;
    return KD_OK;
}

kd_status kd_scram_check_proof(kd_ctx *ctx, const kd_scram_verifier *verifier,
                               kd_slice auth_message, const uint8_t proof[KD_SCRAM_KEY_BYTES],
                               bool *out_is_right)
{
    uint8_t client_key[KD_SCRAM_KEY_BYTES], stored_key[KD_SCRAM_KEY_BYTES];
    *out_is_right = false;
    KD_TRY(kd_scram_hmac(ctx, verifier->stored_key, auth_message, client_key));
    for (int i = 0; i < KD_SCRAM_KEY_BYTES; i++)
        client_key[i] ^= proof[i];
    if (SHA256(client_key, sizeof client_key, stored_key) == NULL)
        return crypto_failed(ctx);
    *out_is_right = CRYPTO_memcmp(stored_key, verifier->stored_key, sizeof stored_key) == 0;
    return KD_OK;
}
