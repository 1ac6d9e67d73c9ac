/*
 * Readers and buffers.
 */
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool kd_slice_equal_ignoring_case(kd_slice a, kd_slice b)
{
    if (a.size_bytes != b.size_bytes)
        return false;
    for (size_t i = 0; i < a.size_bytes; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

int kd_slice_compare(kd_slice a, kd_slice b)
{
    size_t shorter = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

#if defined(__SSE2__)
/* Sixteen places at once: where the part's first and last byte are right, the rest is compared. */
enum { FIND_PLACES = 16, FIND_PART_MAX = 64 };

/* `places` is FIND_PLACES or more; the part has two bytes or more. */
static const char *find_places(const char *text, size_t places, kd_slice part)
{
    const __m128i first = _mm_set1_epi8(part.data[0]);
    const __m128i last = _mm_set1_epi8(part.data[part.size_bytes - 1]);
    for (size_t at = 0;;) {
        const char *from = text + at, *end = from + part.size_bytes - 1;
        __m128i starts =
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)from), first);
        __m128i ends = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)end), last);
        for (int mask = _mm_movemask_epi8(_mm_and_si128(starts, ends)); mask != 0;
             mask &= mask - 1) {
            const char *found = from + __builtin_ctz((unsigned)mask);
            if (memcmp(found + 1, part.data + 1, part.size_bytes - 2) == 0)
                return found;
        }
        if (at + FIND_PLACES == places)
            return NULL;
        /* The last step goes over some places again, and finds nothing there. */
        at = at + 2 * FIND_PLACES <= places ? at + FIND_PLACES : places - FIND_PLACES;
    }
}
#endif

const char *kd_slice_find(kd_slice text, kd_slice part)
{
    if (part.size_bytes > text.size_bytes)
        return NULL;
#if defined(__SSE2__)
    size_t places = text.size_bytes - part.size_bytes + 1;
    /* Longer parts would make repetitive texts slow; memmem is linear. */
    if (places >= FIND_PLACES && part.size_bytes >= 2 && part.size_bytes <= FIND_PART_MAX)
        return find_places(text.data, places, part);
#endif
    return memmem(text.data, text.size_bytes, part.data, part.size_bytes);
}

const char *kd_read_bytes(kd_reader *reader, size_t size_bytes)
{
    if (reader->failed || size_bytes > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return NULL;
    }
    const char *bytes = reader->at;
    reader->at += size_bytes;
    return bytes;
}

uint8_t kd_read_u8(kd_reader *reader)
{
    const char *bytes = kd_read_bytes(reader, 1);
    return bytes == NULL ? 0 : (uint8_t)bytes[0];
}

uint16_t kd_read_u16(kd_reader *reader)
{
    const char *bytes = kd_read_bytes(reader, 2);
    return bytes == NULL ? 0 : kd_load_u16(bytes);
}

uint32_t kd_read_u32(kd_reader *reader)
{
    const char *bytes = kd_read_bytes(reader, 4);
    return bytes == NULL ? 0 : kd_load_u32(bytes);
}

uint64_t kd_read_u64(kd_reader *reader)
{
    const char *bytes = kd_read_bytes(reader, 8);
    return bytes == NULL ? 0 : kd_load_u64(bytes);
}

uint64_t kd_read_varint(kd_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = kd_read_u8(reader);
        if (reader->failed)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

kd_slice kd_read_slice(kd_reader *reader)
{
    uint64_t size_bytes = kd_read_varint(reader);
    const char *bytes = kd_read_bytes(reader, size_bytes);
    return bytes == NULL ? (kd_slice){"", 0} : (kd_slice){bytes, size_bytes};
}

kd_status kd_buffer_reserve(kd_ctx *ctx, kd_buffer *buffer, size_t size_bytes, char **out_at)
{
    assert(buffer->arena != NULL);
    size_t needed_bytes = buffer->size_bytes + size_bytes + 1;
    if (needed_bytes > buffer->capacity_bytes) {
        size_t capacity_bytes = buffer->capacity_bytes * 2;
        if (capacity_bytes < needed_bytes)
            capacity_bytes = needed_bytes < 64 ? 64 : needed_bytes;
        char *grown = kd_alloc_raw(ctx, buffer->arena, capacity_bytes);
        if (grown == NULL)
            return KD_NOMEM;
        if (buffer->size_bytes > 0)
            memcpy(grown, buffer->data, buffer->size_bytes);
        grown[buffer->size_bytes] = '\0';
        buffer->data = grown;
        buffer->capacity_bytes = capacity_bytes;
    }
    if (out_at != NULL)
        *out_at = buffer->data + buffer->size_bytes;
    return KD_OK;
}

kd_status kd_buffer_append(kd_ctx *ctx, kd_buffer *buffer, const void *bytes, size_t size_bytes)
{
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, buffer, size_bytes, &at));
    if (size_bytes > 0)
        memcpy(at, bytes, size_bytes);
    at[size_bytes] = '\0';
    buffer->size_bytes += size_bytes;
    return KD_OK;
}

kd_status kd_buffer_append_slice(kd_ctx *ctx, kd_buffer *buffer, kd_slice bytes)
{
    return kd_buffer_append(ctx, buffer, bytes.data, bytes.size_bytes);
}

kd_status kd_buffer_append_text(kd_ctx *ctx, kd_buffer *buffer, const char *text)
{
    return kd_buffer_append(ctx, buffer, text, strlen(text));
}

kd_status kd_buffer_append_byte(kd_ctx *ctx, kd_buffer *buffer, uint8_t byte)
{
    return kd_buffer_append(ctx, buffer, &byte, 1);
}

kd_status kd_buffer_append_u16(kd_ctx *ctx, kd_buffer *buffer, uint16_t value)
{
    return kd_buffer_append(ctx, buffer, &value, sizeof value);
}

kd_status kd_buffer_append_u32(kd_ctx *ctx, kd_buffer *buffer, uint32_t value)
{
    return kd_buffer_append(ctx, buffer, &value, sizeof value);
}

kd_status kd_buffer_append_u64(kd_ctx *ctx, kd_buffer *buffer, uint64_t value)
{
    return kd_buffer_append(ctx, buffer, &value, sizeof value);
}

kd_status kd_buffer_append_varint(kd_ctx *ctx, kd_buffer *buffer, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (value >= 0x80) {
        bytes[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[count++] = (uint8_t)value;
    return kd_buffer_append(ctx, buffer, bytes, count);
}

kd_status kd_buffer_append_counted(kd_ctx *ctx, kd_buffer *buffer, kd_slice bytes)
{
    KD_TRY(kd_buffer_append_varint(ctx, buffer, bytes.size_bytes));
    return kd_buffer_append_slice(ctx, buffer, bytes);
}

kd_status kd_buffer_append_format(kd_ctx *ctx, kd_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    char *at;
    KD_TRY(kd_buffer_reserve(ctx, buffer, (size_t)length, &at));
    va_start(args, format);
    (void)vsnprintf(at, (size_t)length + 1, format, args);
    va_end(args);
    buffer->size_bytes += (size_t)length;
    return KD_OK;
}
