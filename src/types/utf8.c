/*
 * UTF-8 text. ASCII, which is most of all text, is passed over eight bytes at a time.
 */
#include "types/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <utf8proc.h>

static const uint64_t high_bits = 0x8080808080808080u;
static const uint64_t low_bits = 0x0101010101010101u;

/* Bytes from `at` that are ASCII and not NUL, counted in whole words. */
static size_t plain_prefix(const char *at, size_t size_bytes)
{
    size_t done = 0;
    for (; size_bytes - done >= 32; done += 32) {
        uint64_t bad = 0;
        for (int i = 0; i < 4; i++) {
            uint64_t word = kd_load_u64(at + done + (size_t)i * 8);
            bad |= (word | (word - low_bits)) & high_bits;
        }
        if (bad != 0)
            break;
    }
    for (; size_bytes - done >= 8; done += 8) {
        uint64_t word = kd_load_u64(at + done);
        if (((word | (word - low_bits)) & high_bits) != 0)
            break;
    }
    return done;
}

/* Bytes of the valid sequence at `at`, 0 when it is wrong (Unicode 15, table 3-7). */
static uint32_t sequence_bytes(const unsigned char *at, size_t left)
{
    unsigned first = at[0];
    if (first < 0x80)
        return first != 0;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    uint32_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < size)
        return 0;
    unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most)
        return 0;
    for (uint32_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool kd_utf8_is_valid(kd_slice text, size_t *out_bad_offset)
{
    size_t at = 0;
    while (at < text.size_bytes) {
        at += plain_prefix(text.data + at, text.size_bytes - at);
        /* Up to a word's worth of single steps before the fast loop is tried again. */
        for (int i = 0; i < 8 && at < text.size_bytes; i++) {
            uint32_t size =
                sequence_bytes((const unsigned char *)text.data + at, text.size_bytes - at);
            if (size == 0) {
                if (out_bad_offset != NULL)
                    *out_bad_offset = at;
                return false;
            }
            at += size;
        }
    }
    if (out_bad_offset != NULL)
        *out_bad_offset = text.size_bytes;
    return true;
}

kd_status kd_utf8_check(kd_ctx *ctx, kd_slice text)
{
    size_t bad;
    if (kd_utf8_is_valid(text, &bad))
        return KD_OK;
    const unsigned char *at = (const unsigned char *)text.data + bad;
    size_t left = text.size_bytes - bad;
    size_t shown = at[0] < 0xc0 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 1;
    shown = shown < left ? shown : left;
    char bytes[32] = "";
    for (size_t i = 0; i < shown; i++)
        snprintf(bytes + i * 5, sizeof bytes - i * 5, "%s0x%02x", i == 0 ? "" : " ", at[i]);
    return KD_FAIL(ctx, KD_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": %s",
                   bytes);
}

bool kd_utf8_is_ascii(kd_slice text)
{
    size_t at = 0;
    uint64_t seen = 0;
    for (; text.size_bytes - at >= 8; at += 8)
        seen |= kd_load_u64(text.data + at);
    for (; at < text.size_bytes; at++)
        seen |= (unsigned char)text.data[at];
    return (seen & high_bits) == 0;
}

size_t kd_utf8_length(kd_slice text)
{
    /* Every byte but the continuations (10xxxxxx) starts a character. */
    size_t length = 0;
    for (size_t i = 0; i < text.size_bytes; i++)
        length += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return length;
}

size_t kd_utf8_offset(kd_slice text, size_t index)
{
    if (index >= text.size_bytes)
        return text.size_bytes; /* Characters are one byte at least. */
    size_t at = 0;
    while (index >= 8 && text.size_bytes - at >= 8 &&
           (kd_load_u64(text.data + at) & high_bits) == 0) {
        at += 8;
        index -= 8;
    }
    for (; at < text.size_bytes; at++) {
        if (((unsigned char)text.data[at] & 0xc0) == 0x80)
            continue;
        if (index-- == 0)
            return at;
    }
    return text.size_bytes;
}

uint32_t kd_utf8_decode(const char *at, size_t size_bytes, uint32_t *out_size_bytes)
{
    const unsigned char *bytes = (const unsigned char *)at;
    unsigned first = bytes[0];
    assert(size_bytes > 0);
    if (first >= 0xf0 && size_bytes >= 4) {
        *out_size_bytes = 4;
        return (first & 7) << 18 | (uint32_t)(bytes[1] & 0x3f) << 12 |
               (uint32_t)(bytes[2] & 0x3f) << 6 | (bytes[3] & 0x3f);
    }
    if (first >= 0xe0 && size_bytes >= 3) {
        *out_size_bytes = 3;
        return (first & 15) << 12 | (uint32_t)(bytes[1] & 0x3f) << 6 | (bytes[2] & 0x3f);
    }
    if (first >= 0xc0 && size_bytes >= 2) {
        *out_size_bytes = 2;
        return (first & 31) << 6 | (bytes[1] & 0x3f);
    }
    *out_size_bytes = 1;
    return first;
}

uint32_t kd_utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

uint32_t kd_utf8_fold(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point >= 'A' && code_point <= 'Z' ? code_point + 32 : code_point;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point);
}

bool kd_utf8_is_letter_or_digit(uint32_t code_point)
{
    if (code_point < 0x80)
        return (code_point >= '0' && code_point <= '9') ||
               (code_point >= 'A' && code_point <= 'Z') || (code_point >= 'a' && code_point <= 'z');
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
        return true;
    default:
        return false;
    }
}

static uint32_t to_upper(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point >= 'a' && code_point <= 'z' ? code_point - 32 : code_point;
    if (code_point == 0xdf) /* Sharp s has no single capital that C libraries know. */
        return code_point;
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)code_point);
}

/* How a character is mapped, knowing whether a letter or digit stood before it. */
typedef uint32_t (*case_map)(uint32_t code_point, bool inside_word);

static uint32_t map_upper(uint32_t code_point, bool inside_word)
{
    (void)inside_word;
    return to_upper(code_point);
}

static uint32_t map_lower(uint32_t code_point, bool inside_word)
{
    (void)inside_word;
    return kd_utf8_fold(code_point);
}

static uint32_t map_initcap(uint32_t code_point, bool inside_word)
{
    return inside_word ? kd_utf8_fold(code_point) : to_upper(code_point);
}

static kd_status append_mapped(kd_ctx *ctx, kd_slice text, case_map map, kd_buffer *out)
{
    bool inside_word = false;
    for (size_t at = 0; at < text.size_bytes;) {
        uint32_t size;
        uint32_t code_point = kd_utf8_decode(text.data + at, text.size_bytes - at, &size);
        at += size;
        char *target;
        KD_TRY(kd_buffer_reserve(ctx, out, 4, &target));
        out->size_bytes += kd_utf8_encode(map(code_point, inside_word), target);
        inside_word = kd_utf8_is_letter_or_digit(code_point);
    }
    return kd_buffer_append(ctx, out, "", 0);
}

kd_status kd_utf8_append_upper(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    if (!kd_utf8_is_ascii(text))
        return append_mapped(ctx, text, map_upper, out);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, text.size_bytes, &at));
    for (size_t i = 0; i < text.size_bytes; i++)
        at[i] = (char)(text.data[i] - (text.data[i] >= 'a' && text.data[i] <= 'z' ? 32 : 0));
    out->size_bytes += text.size_bytes;
    return kd_buffer_append(ctx, out, "", 0);
}

kd_status kd_utf8_append_lower(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    if (!kd_utf8_is_ascii(text))
        return append_mapped(ctx, text, map_lower, out);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, out, text.size_bytes, &at));
    for (size_t i = 0; i < text.size_bytes; i++)
        at[i] = (char)(text.data[i] + (text.data[i] >= 'A' && text.data[i] <= 'Z' ? 32 : 0));
    out->size_bytes += text.size_bytes;
    return kd_buffer_append(ctx, out, "", 0);
}

kd_status kd_utf8_append_initcap(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    return append_mapped(ctx, text, map_initcap, out);
}
