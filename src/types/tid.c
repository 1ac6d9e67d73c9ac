/*
 * Row places from text and to it.
 */
#include "types/tid.h"

static bool blank_skip(kd_slice text, size_t *at)
{
    while (*at < text.size_bytes && (text.data[*at] == ' ' || text.data[*at] == '\t'))
        ++*at;
    return *at < text.size_bytes;
}

/* Digits of a number below 2^bits, and the character that ends them. */
static bool number_take(kd_slice text, size_t *at, int bits, char end, uint64_t *out)
{
    *out = 0;
    if (!blank_skip(text, at))
        return false;
    size_t start = *at;
    for (; *at < text.size_bytes && text.data[*at] >= '0' && text.data[*at] <= '9'; ++*at) {
        *out = *out * 10 + (uint64_t)(text.data[*at] - '0');
        if (*out >> bits != 0)
            return false;
    }
    return *at > start && *at < text.size_bytes && text.data[(*at)++] == end;
}

kd_status kd_tid_parse(kd_ctx *ctx, kd_slice text, int64_t *out)
{
    uint64_t unit, ordinal;
    size_t at = 0;
    *out = 0;
    if (!blank_skip(text, &at) || text.data[at++] != '(' ||
        !number_take(text, &at, KD_TID_UNIT_BITS, ',', &unit) ||
        !number_take(text, &at, KD_TID_ORDINAL_BITS, ')', &ordinal) || blank_skip(text, &at))
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid input syntax for type tid: \"%.*s\"",
                       (int)text.size_bytes, text.data);
    *out = (int64_t)(unit << KD_TID_ORDINAL_BITS | ordinal);
    return KD_OK;
}

kd_status kd_tid_format(kd_ctx *ctx, int64_t tid, kd_buffer *out)
{
    uint64_t place = (uint64_t)tid;
    uint64_t ordinal = place & (((uint64_t)1 << KD_TID_ORDINAL_BITS) - 1);
    return kd_buffer_append_format(ctx, out, "(%llu,%llu)",
                                   (unsigned long long)(place >> KD_TID_ORDINAL_BITS),
                                   (unsigned long long)ordinal);
}
