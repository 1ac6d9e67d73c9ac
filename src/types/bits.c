/*
 * Bit strings from text, and their lengths.
 */
#include "types/bits.h"

static kd_status bad_digit(kd_ctx *ctx, kd_slice text, size_t at, const char *what)
{
    size_t width = 1;
    while (at + width < text.size_bytes && ((uint8_t)text.data[at + width] & 0xc0) == 0x80)
        width++;
    return KD_FAIL(ctx, KD_INVALID, "22P02", "\"%.*s\" is not a valid %s digit", (int)width,
                   text.data + at, what);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static kd_status too_long(kd_ctx *ctx)
{
    return KD_FAIL(ctx, KD_LIMIT, "54000", "bit string length exceeds the maximum allowed (%d)",
                   KD_BITS_LENGTH_MAX);
}

static kd_status hex_expand(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out)
{
    char *bits = kd_alloc_raw(ctx, arena, text.size_bytes * 4 + 1);
    if (bits == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < text.size_bytes; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0)
            return bad_digit(ctx, text, i, "hexadecimal");
        for (int bit = 0; bit < 4; bit++)
            bits[i * 4 + (size_t)bit] = (char)('0' + (digit >> (3 - bit) & 1));
    }
    *out = (kd_slice){bits, text.size_bytes * 4};
    return KD_OK;
}

kd_status kd_bits_parse(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice text, kd_str *out)
{
    char form = text.size_bytes > 0 ? (char)(text.data[0] | 0x20) : '\0';
    bool is_hex = form == 'x';
    if (is_hex || form == 'b') {
        text.data++;
        text.size_bytes--;
    }
    if (text.size_bytes > KD_BITS_LENGTH_MAX / (is_hex ? 4 : 1))
        return too_long(ctx);
    if (is_hex)
        KD_TRY(hex_expand(ctx, arena, text, &text));
    else
        for (size_t i = 0; i < text.size_bytes; i++)
            if (text.data[i] != '0' && text.data[i] != '1')
                return bad_digit(ctx, text, i, "binary");
    return kd_bits_fit(ctx, arena, type, false, text, out);
}

kd_status kd_bits_fit(kd_ctx *ctx, kd_arena *arena, kd_type type, bool is_explicit_cast,
                      kd_slice bits, kd_str *out)
{
    size_t wanted = type.modifier < 0 ? bits.size_bytes : (size_t)type.modifier;
    bool is_fixed = type.id == KD_TYPE_BIT;
    if (bits.size_bytes == wanted || (bits.size_bytes < wanted && !is_fixed))
        return kd_str_copy(ctx, arena, bits, out);
    if (!is_explicit_cast && is_fixed)
        return KD_FAIL(ctx, KD_INVALID, "22026",
                       "bit string length %zu does not match type bit(%d)", bits.size_bytes,
                       type.modifier);
    if (!is_explicit_cast)
        return KD_FAIL(ctx, KD_INVALID, "22001", "bit string too long for type bit varying(%d)",
                       type.modifier);
    if (bits.size_bytes > wanted)
        return kd_str_copy(ctx, arena, (kd_slice){bits.data, wanted}, out);
    char *filled = kd_alloc_raw(ctx, arena, wanted);
    if (filled == NULL)
        return KD_NOMEM;
    memset(filled, '0', wanted);
    if (bits.size_bytes > 0)
        memcpy(filled, bits.data, bits.size_bytes);
    *out = kd_str_from(filled, wanted);
    return KD_OK;
}
