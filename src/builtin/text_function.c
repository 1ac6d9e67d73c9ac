/*
 * Functions of text: lengths, case, parts, padding, replacement.
 *
 * Positions count characters. For ASCII text a character is a byte, which
 * kd_utf8_offset finds out quickly; nothing here is special to it.
 */
#include "builtin/signature_internal.h"
#include "types/utf8.h"

#include <limits.h>

enum { TEXT_BYTES_MAX = 0x3fffffff }; /* PostgreSQL's MaxAllocSize */

static kd_slice slice_between(kd_slice text, size_t from, size_t to)
{
    return (kd_slice){text.data + from, to > from ? to - from : 0};
}

static kd_status too_long(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_LIMIT, "54000", "requested length too large");
}

/* --- Lengths and case ------------------------------------------------------------------------- */

KDI_ROW(char_length)
{
    *(int32_t *)result = (int32_t)kd_utf8_length(kdi_arg_text(args, 0));
    return KD_OK;
}

KDI_ROW(octet_length)
{
    *(int32_t *)result = (int32_t)((const kd_str *)args[0])->size_bytes;
    return KD_OK;
}

KDI_ROW(char_octet_length)
{
    kd_str padded;
    KD_TRY(kdi_arg_padded(ctx, env, args, 0, &padded));
    *(int32_t *)result = (int32_t)padded.size_bytes;
    return KD_OK;
}

KDI_ROW(bit_length)
{
    *(int32_t *)result = (int32_t)(((const kd_str *)args[0])->size_bytes * 8);
    return KD_OK;
}

#define CASE_FUNCTION(name, append)                          \
    KDI_ROW(name)                                            \
    {                                                        \
        kd_buffer buffer = kd_buffer_in(env->arena);         \
        KD_TRY(append(ctx, kdi_arg_text(args, 0), &buffer)); \
        return kdi_return_buffer(result, &buffer);           \
    }
CASE_FUNCTION(lower, kd_utf8_append_lower)
CASE_FUNCTION(upper, kd_utf8_append_upper)
CASE_FUNCTION(initcap, kd_utf8_append_initcap)

/* --- Parts ------------------------------------------------------------------------------------ */

/* Characters `start` .. `start + count - 1`, from 1; what lies outside is cut off. */
static kd_slice substring_of(kd_slice text, int64_t start, int64_t count)
{
    int64_t end = start + count;
    if (start < 1)
        start = 1;
    if (end <= start)
        return (kd_slice){text.data, 0};
    size_t from = kd_utf8_offset(text, (size_t)(start - 1));
    kd_slice rest = slice_between(text, from, text.size_bytes);
    rest.size_bytes = kd_utf8_offset(rest, (size_t)(end - start));
    return rest;
}

KDI_ROW(substring_from)
{
    return kdi_return_text(result,
                           substring_of(kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), INT_MAX));
}

static kd_status check_count(kd_ctx *ctx, int32_t count)
{
    if (count < 0)
        return KD_FAIL(ctx, KD_INVALID, "22011", "negative substring length not allowed");
    return KD_OK;
}

KDI_ROW(substring_for)
{
    int32_t count = KDI_ARG(int32_t, args, 2);
    KD_TRY(check_count(ctx, count));
    return kdi_return_text(result,
                           substring_of(kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), count));
}

static kd_slice byte_substring_of(kd_slice bytes, int64_t start, int64_t count)
{
    int64_t end = start + count;
    int64_t size = (int64_t)bytes.size_bytes;
    if (start < 1)
        start = 1;
    if (end > size + 1)
        end = size + 1;
    if (end <= start)
        return (kd_slice){bytes.data, 0};
    return (kd_slice){bytes.data + start - 1, (size_t)(end - start)};
}

KDI_ROW(byte_substring_from)
{
    return kdi_return_text(
        result, byte_substring_of(kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), INT_MAX));
}

KDI_ROW(byte_substring_for)
{
    int32_t count = KDI_ARG(int32_t, args, 2);
    KD_TRY(check_count(ctx, count));
    return kdi_return_text(
        result, byte_substring_of(kdi_arg_text(args, 0), KDI_ARG(int32_t, args, 1), count));
}

KDI_ROW(left)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t count = KDI_ARG(int32_t, args, 1);
    if (count < 0)
        count += (int64_t)kd_utf8_length(text);
    return kdi_return_text(result, substring_of(text, 1, count < 0 ? 0 : count));
}

KDI_ROW(right)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t count = KDI_ARG(int32_t, args, 1);
    int64_t skipped = count < 0 ? -count : (int64_t)kd_utf8_length(text) - count;
    return kdi_return_text(result, substring_of(text, skipped < 0 ? 1 : skipped + 1, INT_MAX));
}

/* Byte offset of `part`, or -1. */
static int64_t find_from(kd_slice text, size_t from, kd_slice part)
{
    if (part.size_bytes == 0)
        return (int64_t)from;
    if (from + part.size_bytes > text.size_bytes)
        return -1;
    const char *at = kd_slice_find((kd_slice){text.data + from, text.size_bytes - from}, part);
    return at == NULL ? -1 : at - text.data;
}

KDI_ROW(strpos)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t at = find_from(text, 0, kdi_arg_text(args, 1));
    *(int32_t *)result =
        at < 0 ? 0 : (int32_t)kd_utf8_length((kd_slice){text.data, (size_t)at}) + 1;
    return KD_OK;
}

KDI_ROW(byte_position)
{
    *(int32_t *)result = (int32_t)find_from(kdi_arg_text(args, 0), 0, kdi_arg_text(args, 1)) + 1;
    return KD_OK;
}

static kd_status overlay_of(kd_ctx *ctx, kd_call_env *env, const void *const *args, int64_t count,
                            void *result)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t start = KDI_ARG(int32_t, args, 2);
    if (start <= 0)
        return KD_FAIL(ctx, KD_INVALID, "22011", "negative substring length not allowed");
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, substring_of(text, 1, start - 1)));
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, kdi_arg_text(args, 1)));
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, substring_of(text, start + count, INT_MAX)));
    return kdi_return_buffer(result, &buffer);
}

static kd_status byte_overlay_of(kd_ctx *ctx, kd_call_env *env, const void *const *args,
                                 int64_t count, void *result)
{
    kd_slice bytes = kdi_arg_text(args, 0);
    int64_t start = KDI_ARG(int32_t, args, 2) - 1, end = start + count;
    if (start < 0)
        return KD_FAIL(ctx, KD_INVALID, "22011", "negative substring length not allowed");
    size_t head = (size_t)start < bytes.size_bytes ? (size_t)start : bytes.size_bytes;
    size_t tail = end < 0 ? 0 : (size_t)end < bytes.size_bytes ? (size_t)end : bytes.size_bytes;
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append(ctx, &buffer, bytes.data, head));
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, kdi_arg_text(args, 1)));
    KD_TRY(kd_buffer_append(ctx, &buffer, bytes.data + tail, bytes.size_bytes - tail));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(byte_overlay)
{
    return byte_overlay_of(ctx, env, args, (int64_t)kdi_arg_text(args, 1).size_bytes, result);
}

KDI_ROW(byte_overlay_for)
{
    return byte_overlay_of(ctx, env, args, KDI_ARG(int32_t, args, 3), result);
}

KDI_ROW(overlay)
{
    return overlay_of(ctx, env, args, (int64_t)kd_utf8_length(kdi_arg_text(args, 1)), result);
}

KDI_ROW(overlay_for)
{
    return overlay_of(ctx, env, args, KDI_ARG(int32_t, args, 3), result);
}

KDI_ROW(starts_with)
{
    kd_slice text = kdi_arg_text(args, 0), prefix = kdi_arg_text(args, 1);
    *(uint8_t *)result = text.size_bytes >= prefix.size_bytes &&
                         memcmp(text.data, prefix.data, prefix.size_bytes) == 0;
    return KD_OK;
}

/* Field `number` of the text between separators, counted from the end when negative. */
KDI_ROW(split_part)
{
    kd_slice text = kdi_arg_text(args, 0), separator = kdi_arg_text(args, 1);
    int64_t number = KDI_ARG(int32_t, args, 2);
    if (number == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "field position must not be zero");
    if (text.size_bytes == 0)
        return kdi_return_text(result, text);
    if (separator.size_bytes == 0)
        return kdi_return_text(result, number == 1 || number == -1 ? text : KD_SLICE(""));
    if (number < 0) {
        int64_t fields = 1;
        for (int64_t at = find_from(text, 0, separator); at >= 0;
             at = find_from(text, (size_t)at + separator.size_bytes, separator))
            fields++;
        number += fields + 1;
        if (number < 1)
            return kdi_return_text(result, KD_SLICE(""));
    }
    size_t from = 0;
    while (true) {
        int64_t at = find_from(text, from, separator);
        size_t to = at < 0 ? text.size_bytes : (size_t)at;
        if (--number == 0)
            return kdi_return_text(result, slice_between(text, from, to));
        if (at < 0)
            return kdi_return_text(result, KD_SLICE(""));
        from = to + separator.size_bytes;
    }
}

/* --- Trimming and padding --------------------------------------------------------------------- */

static bool has_character(kd_slice set, const char *character, uint32_t size_bytes)
{
    uint32_t width;
    for (size_t i = 0; i < set.size_bytes; i += width) {
        (void)kd_utf8_decode(set.data + i, set.size_bytes - i, &width);
        if (width == size_bytes && memcmp(set.data + i, character, width) == 0)
            return true;
    }
    return false;
}

static kd_slice trimmed(kd_slice text, kd_slice set, bool leading, bool trailing)
{
    uint32_t width;
    while (leading && text.size_bytes > 0) {
        (void)kd_utf8_decode(text.data, text.size_bytes, &width);
        if (!has_character(set, text.data, width))
            break;
        text.data += width;
        text.size_bytes -= width;
    }
    while (trailing && text.size_bytes > 0) {
        size_t start = text.size_bytes - 1;
        while (start > 0 && ((uint8_t)text.data[start] & 0xc0) == 0x80)
            start--;
        if (!has_character(set, text.data + start, (uint32_t)(text.size_bytes - start)))
            break;
        text.size_bytes = start;
    }
    return text;
}

#define TRIM_FUNCTION(name, leading, trailing)                                                    \
    KDI_ROW(name##_blanks)                                                                        \
    {                                                                                             \
        return kdi_return_text(result,                                                            \
                               trimmed(kdi_arg_text(args, 0), KD_SLICE(" "), leading, trailing)); \
    }                                                                                             \
    KDI_ROW(name##_set)                                                                           \
    {                                                                                             \
        return kdi_return_text(                                                                   \
            result, trimmed(kdi_arg_text(args, 0), kdi_arg_text(args, 1), leading, trailing));    \
    }
TRIM_FUNCTION(btrim, true, true)
TRIM_FUNCTION(ltrim, true, false)
TRIM_FUNCTION(rtrim, false, true)

static kd_slice bytes_trimmed(kd_slice bytes, kd_slice set, bool leading, bool trailing)
{
    while (leading && bytes.size_bytes > 0 && set.size_bytes > 0 &&
           memchr(set.data, bytes.data[0], set.size_bytes) != NULL) {
        bytes.data++;
        bytes.size_bytes--;
    }
    while (trailing && bytes.size_bytes > 0 && set.size_bytes > 0 &&
           memchr(set.data, bytes.data[bytes.size_bytes - 1], set.size_bytes) != NULL)
        bytes.size_bytes--;
    return bytes;
}

#define BYTE_TRIM(name, leading, trailing)                                                         \
    KDI_ROW(name)                                                                                  \
    {                                                                                              \
        return kdi_return_text(result, bytes_trimmed(kdi_arg_text(args, 0), kdi_arg_text(args, 1), \
                                                     leading, trailing));                          \
    }
BYTE_TRIM(byte_btrim, true, true)
BYTE_TRIM(byte_ltrim, true, false)
BYTE_TRIM(byte_rtrim, false, true)

/* Appends `count` characters of `fill`, over and over. */
static kd_status append_fill(kd_ctx *ctx, kd_slice fill, size_t count, kd_buffer *buffer)
{
    size_t fill_length = kd_utf8_length(fill);
    for (; count >= fill_length; count -= fill_length)
        KD_TRY(kd_buffer_append_slice(ctx, buffer, fill));
    fill.size_bytes = kd_utf8_offset(fill, count);
    return kd_buffer_append_slice(ctx, buffer, fill);
}

static kd_status pad(kd_ctx *ctx, kd_call_env *env, const void *const *args, kd_slice fill,
                     bool on_left, void *result)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t wanted = KDI_ARG(int32_t, args, 1);
    if (wanted <= 0)
        return kdi_return_text(result, KD_SLICE(""));
    if (wanted > TEXT_BYTES_MAX / 4)
        return too_long(ctx);
    int64_t length = (int64_t)kd_utf8_length(text);
    if (length >= wanted || fill.size_bytes == 0)
        return kdi_return_text(result, substring_of(text, 1, wanted));
    kd_buffer buffer = kd_buffer_in(env->arena);
    if (!on_left)
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, text));
    KD_TRY(append_fill(ctx, fill, (size_t)(wanted - length), &buffer));
    if (on_left)
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, text));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(lpad_blanks)
{
    return pad(ctx, env, args, KD_SLICE(" "), true, result);
}

KDI_ROW(lpad_fill)
{
    return pad(ctx, env, args, kdi_arg_text(args, 2), true, result);
}

KDI_ROW(rpad_blanks)
{
    return pad(ctx, env, args, KD_SLICE(" "), false, result);
}

KDI_ROW(rpad_fill)
{
    return pad(ctx, env, args, kdi_arg_text(args, 2), false, result);
}

KDI_ROW(repeat)
{
    kd_slice text = kdi_arg_text(args, 0);
    int64_t count = KDI_ARG(int32_t, args, 1);
    if (count <= 0 || text.size_bytes == 0)
        return kdi_return_text(result, KD_SLICE(""));
    size_t total;
    if (__builtin_mul_overflow(text.size_bytes, (size_t)count, &total) || total > TEXT_BYTES_MAX)
        return too_long(ctx);
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_reserve(ctx, &buffer, total, NULL));
    for (int64_t i = 0; i < count; i++)
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, text));
    return kdi_return_buffer(result, &buffer);
}

/* --- Replacement ------------------------------------------------------------------------------ */

KDI_ROW(replace)
{
    kd_slice text = kdi_arg_text(args, 0), from = kdi_arg_text(args, 1), to = kdi_arg_text(args, 2);
    int64_t at = from.size_bytes == 0 ? -1 : find_from(text, 0, from);
    if (at < 0) {
        *(kd_str *)result = *(const kd_str *)args[0];
        return KD_OK;
    }
    kd_buffer buffer = kd_buffer_in(env->arena);
    size_t start = 0;
    for (; at >= 0; at = find_from(text, start, from)) {
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, slice_between(text, start, (size_t)at)));
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, to));
        start = (size_t)at + from.size_bytes;
    }
    KD_TRY(kd_buffer_append_slice(ctx, &buffer, slice_between(text, start, text.size_bytes)));
    return kdi_return_buffer(result, &buffer);
}

/* The index of the character in the set, counted in characters; -1 when it is not there. */
static int64_t index_of_character(kd_slice set, uint32_t character)
{
    uint32_t width;
    int64_t index = 0;
    for (size_t i = 0; i < set.size_bytes; i += width, index++)
        if (kd_utf8_decode(set.data + i, set.size_bytes - i, &width) == character)
            return index;
    return -1;
}

KDI_ROW(translate)
{
    kd_slice text = kdi_arg_text(args, 0), from = kdi_arg_text(args, 1), to = kdi_arg_text(args, 2);
    kd_buffer buffer = kd_buffer_in(env->arena);
    uint32_t width;
    for (size_t i = 0; i < text.size_bytes; i += width) {
        uint32_t character = kd_utf8_decode(text.data + i, text.size_bytes - i, &width);
        int64_t index = index_of_character(from, character);
        kd_slice kept = {text.data + i, width};
        if (index >= 0)
            kept = substring_of(to, index + 1, 1);
        KD_TRY(kd_buffer_append_slice(ctx, &buffer, kept));
    }
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(reverse)
{
    kd_slice text = kdi_arg_text(args, 0);
    kd_buffer buffer = kd_buffer_in(env->arena);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, &buffer, text.size_bytes + 1, &at));
    uint32_t width;
    for (size_t i = 0; i < text.size_bytes; i += width) {
        (void)kd_utf8_decode(text.data + i, text.size_bytes - i, &width);
        memcpy(at + text.size_bytes - i - width, text.data + i, width);
    }
    return kdi_return_text(result, (kd_slice){at, text.size_bytes});
}

/* --- Characters and numbers ------------------------------------------------------------------- */

KDI_ROW(ascii)
{
    kd_slice text = kdi_arg_text(args, 0);
    uint32_t width;
    *(int32_t *)result =
        text.size_bytes == 0 ? 0 : (int32_t)kd_utf8_decode(text.data, text.size_bytes, &width);
    return KD_OK;
}

KDI_ROW(chr)
{
    int32_t code = KDI_ARG(int32_t, args, 0);
    if (code < 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "character number must be positive");
    if (code == 0)
        return KD_FAIL(ctx, KD_INVALID, "54000", "null character not permitted");
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return KD_FAIL(ctx, KD_INVALID, "54000",
                       code > 0x10ffff ? "requested character too large for encoding: %u"
                                       : "requested character not valid for encoding: %u",
                       (unsigned)code);
    char bytes[4];
    uint32_t width = kd_utf8_encode((uint32_t)code, bytes);
    return kdi_return_text(result, (kd_slice){bytes, width});
}

/* At most 16 digits: made in the arena because they may not fit inline. */
static kd_status to_hex(kd_ctx *ctx, kd_call_env *env, uint64_t value, void *result)
{
    kd_buffer buffer = kd_buffer_in(env->arena);
    KD_TRY(kd_buffer_append_format(ctx, &buffer, "%llx", (unsigned long long)value));
    return kdi_return_buffer(result, &buffer);
}

KDI_ROW(to_hex_i32)
{
    return to_hex(ctx, env, KDI_ARG(uint32_t, args, 0), result);
}

KDI_ROW(to_hex_i64)
{
    return to_hex(ctx, env, KDI_ARG(uint64_t, args, 0), result);
}

static const kd_function functions[] = {
    IMMUTABLE("length", char_length, INT4, TEXT),
    IMMUTABLE("length", octet_length, INT4, BYTEA),
    IMMUTABLE("length", char_length, INT4, KDI_TYPE(CHAR)),
    IMMUTABLE("char_length", char_length, INT4, TEXT),
    IMMUTABLE("character_length", char_length, INT4, TEXT),
    IMMUTABLE("octet_length", octet_length, INT4, TEXT),
    IMMUTABLE("octet_length", octet_length, INT4, BYTEA),
    IMMUTABLE("octet_length", char_octet_length, INT4, CHAR),
    IMMUTABLE("bit_length", bit_length, INT4, TEXT),
    IMMUTABLE("bit_length", bit_length, INT4, BYTEA),
    IMMUTABLE("lower", lower, TEXT, TEXT),
    IMMUTABLE("upper", upper, TEXT, TEXT),
    IMMUTABLE("initcap", initcap, TEXT, TEXT),
    IMMUTABLE("substring", substring_from, TEXT, TEXT, INT4),
    IMMUTABLE("substring", substring_for, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("substr", substring_from, TEXT, TEXT, INT4),
    IMMUTABLE("substr", substring_for, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("substring", byte_substring_from, BYTEA, BYTEA, INT4),
    IMMUTABLE("substring", byte_substring_for, BYTEA, BYTEA, INT4, INT4),
    IMMUTABLE("substr", byte_substring_from, BYTEA, BYTEA, INT4),
    IMMUTABLE("substr", byte_substring_for, BYTEA, BYTEA, INT4, INT4),
    IMMUTABLE("left", left, TEXT, TEXT, INT4),
    IMMUTABLE("right", right, TEXT, TEXT, INT4),
    IMMUTABLE("position", strpos, INT4, TEXT, TEXT),
    IMMUTABLE("position", byte_position, INT4, BYTEA, BYTEA),
    IMMUTABLE("strpos", strpos, INT4, TEXT, TEXT),
    IMMUTABLE("overlay", byte_overlay, BYTEA, BYTEA, BYTEA, INT4),
    IMMUTABLE("overlay", byte_overlay_for, BYTEA, BYTEA, BYTEA, INT4, INT4),
    IMMUTABLE("overlay", overlay, TEXT, TEXT, TEXT, INT4),
    IMMUTABLE("overlay", overlay_for, TEXT, TEXT, TEXT, INT4, INT4),
    IMMUTABLE("starts_with", starts_with, BOOL, TEXT, TEXT),
    IMMUTABLE("^@", starts_with, BOOL, TEXT, TEXT),
    IMMUTABLE("split_part", split_part, TEXT, TEXT, TEXT, INT4),
    IMMUTABLE("btrim", btrim_blanks, TEXT, TEXT),
    IMMUTABLE("btrim", btrim_set, TEXT, TEXT, TEXT),
    IMMUTABLE("ltrim", ltrim_blanks, TEXT, TEXT),
    IMMUTABLE("ltrim", ltrim_set, TEXT, TEXT, TEXT),
    IMMUTABLE("rtrim", rtrim_blanks, TEXT, TEXT),
    IMMUTABLE("rtrim", rtrim_set, TEXT, TEXT, TEXT),
    IMMUTABLE("btrim", byte_btrim, BYTEA, BYTEA, BYTEA),
    IMMUTABLE("ltrim", byte_ltrim, BYTEA, BYTEA, BYTEA),
    IMMUTABLE("rtrim", byte_rtrim, BYTEA, BYTEA, BYTEA),
    IMMUTABLE("lpad", lpad_blanks, TEXT, TEXT, INT4),
    IMMUTABLE("lpad", lpad_fill, TEXT, TEXT, INT4, TEXT),
    IMMUTABLE("rpad", rpad_blanks, TEXT, TEXT, INT4),
    IMMUTABLE("rpad", rpad_fill, TEXT, TEXT, INT4, TEXT),
    IMMUTABLE("repeat", repeat, TEXT, TEXT, INT4),
    IMMUTABLE("replace", replace, TEXT, TEXT, TEXT, TEXT),
    IMMUTABLE("translate", translate, TEXT, TEXT, TEXT, TEXT),
    IMMUTABLE("reverse", reverse, TEXT, TEXT),
    IMMUTABLE("ascii", ascii, INT4, TEXT),
    IMMUTABLE("chr", chr, TEXT, INT4),
    IMMUTABLE("to_hex", to_hex_i32, TEXT, INT4),
    IMMUTABLE("to_hex", to_hex_i64, TEXT, INT8),
};

kd_status kdi_register_text(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_functions(ctx, registry, functions, KDI_COUNT(functions));
}
