/*
 * AWS Signature Version 4, with the hashes of OpenSSL.
 *
 * libcurl has it too, but the version in Debian 12 signs queries as they come instead of sorted,
 * and some keys in another encoding than it sends.
 */
#include "backup/s3_internal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

enum { HASH_BYTES = 32, CANONICAL_BYTES = KDI_S3_URL_BYTES * 2 + 8192, DAY_DIGITS = 8 };

static void digits_make(const unsigned char *bytes, char out_digits[KDI_S3_HASH_DIGITS + 1])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < HASH_BYTES; i++) {
        out_digits[2 * i] = hex[bytes[i] >> 4];
        out_digits[2 * i + 1] = hex[bytes[i] & 15];
    }
    out_digits[KDI_S3_HASH_DIGITS] = '\0';
}

bool kdi_s3_hash(kd_slice bytes, char out_digits[KDI_S3_HASH_DIGITS + 1])
{
    unsigned char hash[HASH_BYTES];
    if (EVP_Digest(bytes.data, bytes.size_bytes, hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    digits_make(hash, out_digits);
    return true;
}

static bool mac(const void *key, size_t key_bytes, const char *text,
                unsigned char out_mac[HASH_BYTES])
{
    return HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text, strlen(text),
                out_mac, NULL) != NULL;
}

/* The key of one day, region and service, and with it the text's. */
static bool text_sign(const kdi_s3 *s3, const char *day, const char *text,
                      char out_digits[KDI_S3_HASH_DIGITS + 1])
{
    char secret[256];
    unsigned char a[HASH_BYTES], b[HASH_BYTES];
    int length = snprintf(secret, sizeof secret, "AWS4%s", s3->secret);
    bool is_fine = length > 0 && (size_t)length < sizeof secret &&
                   mac(secret, (size_t)length, day, a) && mac(a, HASH_BYTES, s3->region, b) &&
                   mac(b, HASH_BYTES, "s3", a) && mac(a, HASH_BYTES, "aws4_request", b) &&
                   mac(b, HASH_BYTES, text, a);
    if (is_fine)
        digits_make(a, out_digits);
    return is_fine;
}

bool kdi_s3_sign(const kdi_s3 *s3, const char *method, const char *path, const char *query,
                 const char *moment, const char *body_hash,
                 char out_authorization[KDI_S3_AUTHORIZATION_BYTES])
{
    char canonical[CANONICAL_BYTES], text[512], day[DAY_DIGITS + 1];
    char hash[KDI_S3_HASH_DIGITS + 1], signature[KDI_S3_HASH_DIGITS + 1];
    const char *token = s3->token == NULL ? "" : s3->token;
    const char *token_header = s3->token == NULL ? "" : "x-amz-security-token:";
    const char *names = s3->token == NULL ? "host;x-amz-content-sha256;x-amz-date"
                                          : "host;x-amz-content-sha256;x-amz-date;"
                                            "x-amz-security-token";
    memcpy(day, moment, DAY_DIGITS);
    day[DAY_DIGITS] = '\0';
    int length = snprintf(canonical, sizeof canonical,
                          "%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s%s%s\n"
                          "%s\n%s",
                          method, path, query, s3->host, body_hash, moment, token_header, token,
                          s3->token == NULL ? "" : "\n", names, body_hash);
    if (length < 0 || (size_t)length >= sizeof canonical ||
        !kdi_s3_hash((kd_slice){canonical, (size_t)length}, hash))
        return false;
    length = snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", moment,
                      day, s3->region, hash);
    if (length < 0 || (size_t)length >= sizeof text || !text_sign(s3, day, text, signature))
        return false;
    length = snprintf(out_authorization, KDI_S3_AUTHORIZATION_BYTES,
                      "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, "
                      "SignedHeaders=%s, Signature=%s",
                      s3->key_id, day, s3->region, names, signature);
    return length > 0 && length < KDI_S3_AUTHORIZATION_BYTES;
}
