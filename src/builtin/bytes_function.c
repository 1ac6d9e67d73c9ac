/*
 * Functions of byte strings: digests, encode and decode, conversion, bits; and Unicode escapes and
 * normal forms of text.
 */
#include "builtin/signature_internal.h"
#include "types/utf8.h"

#include <openssl/evp.h>
#include <utf8proc.h>

/* --- Digests ---------------------------------------------------------------------------------- */

static const char hex_digits[] = "0123456789abcdef";

static kd_status digest(kd_ctx *ctx, kd_slice bytes, const EVP_MD *method,
                        uint8_t out[EVP_MAX_MD_SIZE], unsigned *out_size)
{
    if (EVP_Digest(bytes.data, bytes.size_bytes, out, out_size, method, NULL) != 1)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "could not compute a digest");
    return KD_OK;
}

KDI_ROW(md5)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned size;
    KD_TRY(digest(ctx, kdi_arg_text(args, 0), EVP_md5(), sum, &size));
    char *text = kd_alloc_raw(ctx, env->arena, 32);
    if (text == NULL)
        return KD_NOMEM;
    for (unsigned i = 0; i < size; i++) {
        text[i * 2] = hex_digits[sum[i] >> 4];
        text[i * 2 + 1] = hex_digits[sum[i] & 15];
    }
    return kdi_return_text(result, (kd_slice){text, 32});
}

static kd_status sha(kd_ctx *ctx, kd_call_env *env, kd_slice bytes, const EVP_MD *method,
                     void *result)
{
    uint8_t *sum = kd_alloc_raw(ctx, env->arena, EVP_MAX_MD_SIZE);
    unsigned size;
    if (sum == NULL)
        return KD_NOMEM;
    KD_TRY(digest(ctx, bytes, method, sum, &size));
    return kdi_return_text(result, (kd_slice){(const char *)sum, size});
}

KDI_ROW(sha224)
{
    return sha(ctx, env, kdi_arg_text(args, 0), EVP_sha224(), result);
}

KDI_ROW(sha256)
{
    return sha(ctx, env, kdi_arg_text(args, 0), EVP_sha256(), result);
}

KDI_ROW(sha384)
{
    return sha(ctx, env, kdi_arg_text(args, 0), EVP_sha384(), result);
}

KDI_ROW(sha512)
{
    return sha(ctx, env, kdi_arg_text(args, 0), EVP_sha512(), result);
}

/* --- encode, decode --------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static kd_status hex_encode(kd_ctx *ctx, kd_slice bytes, kd_buffer *out)
{
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        char pair[2] = {hex_digits[byte >> 4], hex_digits[byte & 15]};
        KD_TRY(kd_buffer_append(ctx, out, pair, 2));
    }
    return KD_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static kd_status hex_decode(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    int high = -1;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        int value = hex_value(c);
        if (is_blank(c) && high < 0)
            continue;
        if (value < 0) {
            uint32_t width;
            (void)kd_utf8_decode(text.data + i, text.size_bytes - i, &width);
            return KD_FAIL(ctx, KD_INVALID, "22023", "invalid hexadecimal digit: \"%.*s\"",
                           (int)width, text.data + i);
        }
        if (high < 0) {
            high = value;
            continue;
        }
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)(high * 16 + value)));
        high = -1;
    }
    if (high >= 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid hexadecimal data: odd number of digits");
    return KD_OK;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Lines of 76 characters, as RFC 2045 has them. */
static kd_status base64_encode(kd_ctx *ctx, kd_slice bytes, kd_buffer *out)
{
    size_t in_line = 0;
    for (size_t i = 0; i < bytes.size_bytes; i += 3) {
        size_t left = bytes.size_bytes - i;
        uint32_t group = (uint32_t)(uint8_t)bytes.data[i] << 16;
        if (left > 1)
            group |= (uint32_t)(uint8_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= (uint8_t)bytes.data[i + 2];
        char four[4] = {base64_digits[group >> 18], base64_digits[(group >> 12) & 63],
                        left > 1 ? base64_digits[(group >> 6) & 63] : '=',
                        left > 2 ? base64_digits[group & 63] : '='};
        KD_TRY(kd_buffer_append(ctx, out, four, 4));
        in_line += 4;
        if (in_line >= 76 && left >= 3) {
            KD_TRY(kd_buffer_append_byte(ctx, out, '\n'));
            in_line = 0;
        }
    }
    return KD_OK;
}

static kd_status base64_decode(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    uint32_t group = 0;
    int digits = 0, padding = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = text.data[i];
        if (is_blank(c))
            continue;
        uint32_t value = 0;
        if (c == '=') {
            if (digits < 2 || (padding == 0 && digits > 3))
                return KD_FAIL(ctx, KD_INVALID, "22023",
                               "unexpected \"=\" while decoding base64 sequence");
            padding++;
        } else {
            const char *at = c == '\0' ? NULL : strchr(base64_digits, c);
            if (at == NULL || padding > 0) {
                uint32_t width;
                (void)kd_utf8_decode(text.data + i, text.size_bytes - i, &width);
                return KD_FAIL(ctx, KD_INVALID, "22023",
                               "invalid symbol \"%.*s\" found while decoding base64 sequence",
                               (int)width, text.data + i);
            }
            value = (uint32_t)(at - base64_digits);
        }
        group = group << 6 | value;
        if (++digits < 4)
            continue;
        const char three[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        KD_TRY(kd_buffer_append(ctx, out, three, 3 - (size_t)(padding < 3 ? padding : 2)));
        group = 0;
        digits = 0;
        padding = 0;
    }
    if (digits != 0) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "22023", "invalid base64 end sequence");
        kd_error_set_hint(ctx, "Input data is missing padding, is truncated, or is otherwise "
                               "corrupted.");
        return status;
    }
    return KD_OK;
}

static kd_status escape_encode(kd_ctx *ctx, kd_slice bytes, kd_buffer *out)
{
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        if (byte == 0 || byte >= 0x80)
            KD_TRY(kd_buffer_append_format(ctx, out, "\\%03o", byte));
        else if (byte == '\\')
            KD_TRY(kd_buffer_append_text(ctx, out, "\\\\"));
        else
            KD_TRY(kd_buffer_append_byte(ctx, out, byte));
    }
    return KD_OK;
}

static kd_status escape_decode(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char *at = text.data + i;
        size_t left = text.size_bytes - i;
        if (*at != '\\') {
            KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)*at));
        } else if (left > 1 && at[1] == '\\') {
            KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
            i++;
        } else if (left > 3 && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
                   at[3] >= '0' && at[3] <= '7') {
            KD_TRY(kd_buffer_append_byte(
                ctx, out, (uint8_t)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'))));
            i += 3;
        } else {
            return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type bytea");
        }
    }
    return KD_OK;
}

static const struct {
    const char *name;
    kd_status (*encode)(kd_ctx *ctx, kd_slice bytes, kd_buffer *out);
    kd_status (*decode)(kd_ctx *ctx, kd_slice text, kd_buffer *out);
} encodings[] = {
    {"hex", hex_encode, hex_decode},
    {"base64", base64_encode, base64_decode},
    {"escape", escape_encode, escape_decode},
};

static kd_status encoding_of(kd_ctx *ctx, kd_slice name, size_t *out_index)
{
    for (size_t i = 0; i < KDI_COUNT(encodings); i++) {
        *out_index = i;
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(encodings[i].name)))
            return KD_OK;
    }
    return KD_FAIL(ctx, KD_INVALID, "22023", "unrecognized encoding: \"%.*s\"",
                   (int)name.size_bytes, name.data);
}

KDI_ROW(encode)
{
    size_t index;
    KD_TRY(encoding_of(ctx, kdi_arg_text(args, 1), &index));
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(encodings[index].encode(ctx, kdi_arg_text(args, 0), &buffer));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(decode)
{
    size_t index;
    KD_TRY(encoding_of(ctx, kdi_arg_text(args, 1), &index));
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(encodings[index].decode(ctx, kdi_arg_text(args, 0), &buffer));
    return kdi_return_buffer(result, &buffer);
}

/* --- Conversion ------------------------------------------------------------------------------- */

static kd_status check_utf8_name(kd_ctx *ctx, kd_slice name, const char *what)
{
    static const char *const names[] = {"UTF8", "UTF-8", "SQL_ASCII", "unicode"};
    for (size_t i = 0; i < KDI_COUNT(names); i++)
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(names[i])))
            return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22023", "invalid %s encoding name \"%.*s\"", what,
                   (int)name.size_bytes, name.data);
}

KDI_ROW(convert_from)
{
    KD_TRY(check_utf8_name(ctx, kdi_arg_text(args, 1), "source"));
    KD_TRY(kd_utf8_check(ctx, kdi_arg_text(args, 0)));
    *(kd_str *)result = *(const kd_str *)args[0];
    return KD_OK;
}

KDI_ROW(convert_to)
{
    KD_TRY(check_utf8_name(ctx, kdi_arg_text(args, 1), "destination"));
    *(kd_str *)result = *(const kd_str *)args[0];
    return KD_OK;
}

/* --- Bytes and bits --------------------------------------------------------------------------- */

static kd_status check_index(kd_ctx *ctx, int64_t index, int64_t count)
{
    if (index < 0 || index >= count)
        return KD_FAIL(ctx, KD_INVALID, "2202E", "index %lld out of valid range, 0..%lld",
                       (long long)index, (long long)count - 1);
    return KD_OK;
}

KDI_ROW(get_byte)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t index = KDI_ARG(int32_t, args, 1);
    KD_TRY(check_index(ctx, index, (int64_t)bytes.size_bytes));
    *(int32_t *)result = (uint8_t)bytes.data[index];
    return KD_OK;
}

KDI_ROW(get_bit)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t index = KDI_ARG(int64_t, args, 1);
    KD_TRY(check_index(ctx, index, (int64_t)bytes.size_bytes * 8));
    *(int32_t *)result = ((uint8_t)bytes.data[index / 8] >> (index % 8)) & 1;
    return KD_OK;
}

static kd_status copy_bytes(kd_ctx *ctx, kd_call_env *env, kd_slice bytes, char **out)
{
    *out = kd_alloc_raw(ctx, env->arena, bytes.size_bytes);
    if (*out == NULL)
        return KD_NOMEM;
    memcpy(*out, bytes.data, bytes.size_bytes);
    return KD_OK;
}

KDI_ROW(set_byte)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t index = KDI_ARG(int32_t, args, 1);
    KD_TRY(check_index(ctx, index, (int64_t)bytes.size_bytes));
    char *copy;
    KD_TRY(copy_bytes(ctx, env, bytes, &copy));
    copy[index] = (char)KDI_ARG(int32_t, args, 2);
    return kdi_return_text(result, (kd_slice){copy, bytes.size_bytes});
}

KDI_ROW(set_bit)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t index = KDI_ARG(int64_t, args, 1);
    int32_t bit = KDI_ARG(int32_t, args, 2);
    KD_TRY(check_index(ctx, index, (int64_t)bytes.size_bytes * 8));
    if (bit != 0 && bit != 1)
        return KD_FAIL(ctx, KD_INVALID, "22023", "new bit must be 0 or 1");
    char *copy;
    KD_TRY(copy_bytes(ctx, env, bytes, &copy));
    unsigned mask = 1u << (index % 8);
    unsigned old = (uint8_t)copy[index / 8];
    copy[index / 8] = (char)(bit ? old | mask : old & ~mask);
    return kdi_return_text(result, (kd_slice){copy, bytes.size_bytes});
}

KDI_ROW(byte_bit_count)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t count = 0;
    for (size_t i = 0; i < bytes.size_bytes; i++)
        count += __builtin_popcount((uint8_t)bytes.data[i]);
    *(int64_t *)result = count;
    return KD_OK;
}

/* --- Unicode ---------------------------------------------------------------------------------- */

static bool read_hex(kd_slice text, size_t at, size_t digits, uint32_t *out)
{
    *out = 0;
    if (at + digits > text.size_bytes)
        return false;
    for (size_t i = 0; i < digits; i++) {
        int value = hex_value(text.data[at + i]);
        if (value < 0)
            return false;
        *out = *out << 4 | (uint32_t)value;
    }
    return true;
}

/* \XXXX, \+XXXXXX, \uXXXX, \UXXXXXXXX; gives how many bytes it took, 0 when it is none of them. */
static size_t unicode_escape(kd_slice text, size_t at, uint32_t *out_code)
{
    size_t left = text.size_bytes - at;
    if (left > 1 && text.data[at + 1] == '+')
        return read_hex(text, at + 2, 6, out_code) ? 8 : 0;
    if (left > 1 && text.data[at + 1] == 'u')
        return read_hex(text, at + 2, 4, out_code) ? 6 : 0;
    if (left > 1 && text.data[at + 1] == 'U')
        return read_hex(text, at + 2, 8, out_code) ? 10 : 0;
    return read_hex(text, at + 1, 4, out_code) ? 5 : 0;
}

static kd_status escape_failed(kd_ctx *ctx, const char *what)
{
    return KD_FAIL(ctx, KD_INVALID, "42601", "%s", what);
}

KDI_ROW(unistr)
{
    kd_slice text = kdi_arg_text(args, 0);
    kd_buffer buffer = kd_buffer_in(env->arena);
    for (size_t at = 0; at < text.size_bytes;) {
        if (text.data[at] != '\\' || (at + 1 < text.size_bytes && text.data[at + 1] == '\\')) {
            KD_TRY(kd_buffer_append_byte(ctx, &buffer, (uint8_t)text.data[at]));
            at += text.data[at] == '\\' ? 2 : 1;
            continue;
        }
        uint32_t code, low;
        size_t taken = unicode_escape(text, at, &code);
        if (taken == 0)
            return escape_failed(ctx, "invalid Unicode escape");
        at += taken;
        if (code >= 0xd800 && code <= 0xdbff) {
            taken =
                at < text.size_bytes && text.data[at] == '\\' ? unicode_escape(text, at, &low) : 0;
            if (taken == 0 || low < 0xdc00 || low > 0xdfff)
                return escape_failed(ctx, "invalid Unicode surrogate pair");
            at += taken;
            code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        } else if (code >= 0xdc00 && code <= 0xdfff) {
            return escape_failed(ctx, "invalid Unicode surrogate pair");
        }
        if (code == 0 || code > 0x10ffff)
            return KD_FAIL(ctx, KD_INVALID, "22023", "invalid Unicode code point: %04X", code);
        char bytes[4];
        KD_TRY(kd_buffer_append(ctx, &buffer, bytes, kd_utf8_encode(code, bytes)));
    }
    return kdi_return_buffer(result, &buffer);
}

static kd_status normal_form(kd_ctx *ctx, kd_call_env *env, kd_slice text, kd_slice form,
                             kd_slice *out)
{
    static const struct {
        const char *name;
        int options;
    } forms[] = {
        {"NFC", UTF8PROC_COMPOSE},
        {"NFD", UTF8PROC_DECOMPOSE},
        {"NFKC", UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
        {"NFKD", UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
    };
    int options = 0;
    for (size_t i = 0; i < KDI_COUNT(forms); i++)
        if (kd_slice_equal_ignoring_case(form, kd_slice_of(forms[i].name)))
            options = forms[i].options | UTF8PROC_STABLE;
    if (options == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "invalid normalization form: %.*s",
                       (int)form.size_bytes, form.data);
    *out = text;
    if (kd_utf8_is_ascii(text))
        return KD_OK;
    /* A character decomposes into at most 18 (NFKD of U+FDFA). */
    size_t room = kd_utf8_length(text) * 18 + 1;
    utf8proc_int32_t *codes = kd_alloc_array(ctx, env->arena, room, sizeof *codes);
    if (codes == NULL)
        return KD_NOMEM;
    utf8proc_ssize_t count =
        utf8proc_decompose((const utf8proc_uint8_t *)text.data, (utf8proc_ssize_t)text.size_bytes,
                           codes, (utf8proc_ssize_t)room, (utf8proc_option_t)options);
    if (count >= 0 && count < (utf8proc_ssize_t)room)
        count = utf8proc_reencode(codes, count, (utf8proc_option_t)options);
    if (count < 0)
        return KD_FAIL(ctx, KD_INTERNAL, "XX000", "normalization failed");
    *out = (kd_slice){(const char *)codes, (size_t)count};
    return KD_OK;
}

KDI_ROW(normalize)
{
    kd_slice form = env->argument_count > 1 ? kdi_arg_text(args, 1) : KD_SLICE("NFC"), normal;
    KD_TRY(normal_form(ctx, env, kdi_arg_text(args, 0), form, &normal));
    return kdi_return_text(result, normal);
}

KDI_ROW(is_normalized)
{
    kd_slice form = env->argument_count > 1 ? kdi_arg_text(args, 1) : KD_SLICE("NFC"), normal;
    KD_TRY(normal_form(ctx, env, kdi_arg_text(args, 0), form, &normal));
    *(uint8_t *)result = kd_slice_equal(normal, kdi_arg_text(args, 0));
    return KD_OK;
}

/* --- hashtext --------------------------------------------------------------------------------- */

static uint32_t rotated(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

/* Bob Jenkins' lookup3 (2006), which PostgreSQL's hashtext is: people share rows out by it. */
static uint32_t lookup3(kd_slice bytes)
{
    uint32_t a = 0x9e3779b9u + (uint32_t)bytes.size_bytes + 3923095u, b = a, c = a;
    const char *at = bytes.data;
    size_t left = bytes.size_bytes;
    static const uint8_t turns[6] = {4, 6, 8, 16, 19, 4};
    for (; left >= 12; at += 12, left -= 12) {
        uint32_t *parts[3] = {&a, &b, &c};
        for (int i = 0; i < 3; i++)
            *parts[i] += kd_load_u32(at + 4 * i);
        for (int i = 0; i < 6; i++) {
            uint32_t *x = parts[i % 3], *y = parts[(i + 2) % 3], *z = parts[(i + 1) % 3];
            *x -= *y;
            *x ^= rotated(*y, turns[i]);
            *y += *z;
        }
    }
    uint8_t tail[12] = {0}; /* The lowest byte of c counts nothing here. */
    memcpy(tail, at, left < 8 ? left : 8);
    if (left > 8)
        memcpy(tail + 9, at + 8, left - 8);
    a += kd_load_u32(tail);
    b += kd_load_u32(tail + 4);
    c += kd_load_u32(tail + 8);
    static const uint8_t last_turns[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t *parts[3] = {&c, &a, &b};
    for (int i = 0; i < 7; i++) {
        uint32_t *x = parts[i % 3], y = *parts[(i + 2) % 3];
        *x ^= y;
        *x -= rotated(y, last_turns[i]);
    }
    return c;
}

KDI_ROW(hashtext)
{
    *(int32_t *)result = (int32_t)lookup3(kdi_arg_text(args, 0));
    return KD_OK;
}

static const kd_function functions[] = {
    IMMUTABLE("hashtext", hashtext, INT4, TEXT),
    IMMUTABLE("md5", md5, TEXT, TEXT),
    IMMUTABLE("md5", md5, TEXT, BYTEA),
    IMMUTABLE("sha224", sha224, BYTEA, BYTEA),
    IMMUTABLE("sha256", sha256, BYTEA, BYTEA),
    IMMUTABLE("sha384", sha384, BYTEA, BYTEA),
    IMMUTABLE("sha512", sha512, BYTEA, BYTEA),
    IMMUTABLE("encode", encode, TEXT, BYTEA, TEXT),
    IMMUTABLE("decode", decode, BYTEA, TEXT, TEXT),
    IMMUTABLE("convert_from", convert_from, TEXT, BYTEA, TEXT),
    IMMUTABLE("convert_to", convert_to, BYTEA, TEXT, TEXT),
    IMMUTABLE("get_byte", get_byte, INT4, BYTEA, INT4),
    IMMUTABLE("set_byte", set_byte, BYTEA, BYTEA, INT4, INT4),
    IMMUTABLE("get_bit", get_bit, INT4, BYTEA, INT8),
    IMMUTABLE("set_bit", set_bit, BYTEA, BYTEA, INT8, INT4),
    IMMUTABLE("bit_count", byte_bit_count, INT8, BYTEA),
    IMMUTABLE("unistr", unistr, TEXT, TEXT),
    IMMUTABLE("normalize", normalize, TEXT, TEXT),
    IMMUTABLE("normalize", normalize, TEXT, TEXT, TEXT),
    IMMUTABLE("is_normalized", is_normalized, BOOL, TEXT),
    IMMUTABLE("is_normalized", is_normalized, BOOL, TEXT, TEXT),
};

kd_status kdi_register_bytes(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
