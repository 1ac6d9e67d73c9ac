/*
 * Text of byte strings and UUIDs.
 */
#include "types/bytes_text.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static kd_status hex_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    char *bytes = kd_alloc_raw(ctx, arena, text.size_bytes / 2 + 1);
    if (bytes == NULL)
        return KD_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < text.size_bytes;) {
        if (is_blank(text.data[i])) {
            i++;
            continue;
        }
        int high = hex_value(text.data[i]);
        if (high >= 0 && i + 1 == text.size_bytes)
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "invalid hexadecimal data: odd number of digits");
        int low = high < 0 ? -1 : hex_value(text.data[i + 1]);
        if (low < 0)
            return KD_FAIL(ctx, KD_INVALID, "22023", "invalid hexadecimal digit: \"%c\"",
                           text.data[high < 0 ? i : i + 1]);
        bytes[count++] = (char)(high << 4 | low);
        i += 2;
    }
    *out = (kd_slice){bytes, count};
    return KD_OK;
}

static bool is_octal(char c, char most)
{
    return c >= '0' && c <= most;
}

kd_status kd_bytea_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    *out = (kd_slice){"", 0};
    if (text.size_bytes >= 2 && text.data[0] == '\\' && text.data[1] == 'x')
        return hex_parse(ctx, arena, (kd_slice){text.data + 2, text.size_bytes - 2}, out);
    char *bytes = kd_alloc_raw(ctx, arena, text.size_bytes + 1);
    if (bytes == NULL)
        return KD_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < text.size_bytes; count++) {
        const char *at = text.data + i;
        size_t left = text.size_bytes - i;
        if (*at != '\\') {
            bytes[count] = *at;
            i++;
        } else if (left >= 2 && at[1] == '\\') {
            bytes[count] = '\\';
            i += 2;
        } else if (left >= 4 && is_octal(at[1], '3') && is_octal(at[2], '7') &&
                   is_octal(at[3], '7')) {
            bytes[count] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 4;
        } else {
            return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type bytea");
        }
    }
    *out = (kd_slice){bytes, count};
    return KD_OK;
}

static const char hex_digits[] = "0123456789abcdef";

kd_status kd_bytea_format(kd_ctx *ctx, kd_slice bytes, bool escape_form, kd_buffer *out)
{
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, 2 + bytes.size_bytes * (escape_form ? 4 : 2), &at));
    char *start = at;
    if (!escape_form) {
        *at++ = '\\';
        *at++ = 'x';
    }
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        unsigned byte = (unsigned char)bytes.data[i];
        if (!escape_form) {
            *at++ = hex_digits[byte >> 4];
            *at++ = hex_digits[byte & 15];
        } else if (byte == '\\') {
            *at++ = '\\';
            *at++ = '\\';
        } else if (byte < 0x20 || byte > 0x7e) {
            *at++ = '\\';
            *at++ = (char)('0' + (byte >> 6));
            *at++ = (char)('0' + (byte >> 3 & 7));
            *at++ = (char)('0' + (byte & 7));
        } else {
            *at++ = (char)byte;
        }
    }
    out->size_bytes += (size_t)(at - start);
    out->data[out->size_bytes] = '\0';
    return KD_OK;
}

/* ---- UUIDs ---- */

kd_i128 kd_uuid_from_bytes(const uint8_t bytes[16])
{
    kd_u128 number = 0;
    for (int i = 0; i < 16; i++)
        number = number << 8 | bytes[i];
    return (kd_i128)(number ^ (kd_u128)1 << 127);
}

void kd_uuid_to_bytes(kd_i128 uuid, uint8_t out_bytes[16])
{
    kd_u128 number = (kd_u128)uuid ^ (kd_u128)1 << 127;
    for (int i = 15; i >= 0; i--) {
        out_bytes[i] = (uint8_t)number;
        number >>= 8;
    }
}

/* As PostgreSQL: 32 digits, in braces or not, a hyphen allowed after each group of four. */
static bool uuid_scan(kd_slice text, uint8_t bytes[16])
{
    if (text.size_bytes >= 2 && text.data[0] == '{') {
        if (text.data[text.size_bytes - 1] != '}')
            return false;
        text = (kd_slice){text.data + 1, text.size_bytes - 2};
    }
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (text.size_bytes - at < 2)
            return false;
        int high = hex_value(text.data[at]);
        int low = hex_value(text.data[at + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
        if (i % 2 == 1 && i < 15 && at < text.size_bytes && text.data[at] == '-')
            at++;
    }
    return at == text.size_bytes;
}

kd_status kd_uuid_parse(kd_ctx *ctx, kd_slice text, kd_i128 *out)
{
    *out = 0;
    uint8_t bytes[16];
    if (!uuid_scan(text, bytes))
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type uuid: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    *out = kd_uuid_from_bytes(bytes);
    return KD_OK;
}

void kd_uuid_format(kd_i128 uuid, char out[KD_UUID_TEXT_BYTES])
{
    uint8_t bytes[16];
    kd_uuid_to_bytes(uuid, bytes);
    char *at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex_digits[bytes[i] >> 4];
        *at++ = hex_digits[bytes[i] & 15];
    }
}
