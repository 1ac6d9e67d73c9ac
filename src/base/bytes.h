/*
 * Byte ranges: slices, little-endian loads and stores, a bounded reader for
 * decoders and a growing buffer for encoders.
 *
 * A reader never reads past its end: the first read that would sets `failed`,
 * and every later read gives zero. Decoders check `failed` once, at the end of
 * a record, and report what they were reading.
 */
#ifndef KD_BASE_BYTES_H
#define KD_BASE_BYTES_H

#include "base/arena.h"

#include <string.h>

typedef struct kd_slice {
    const char *data;
    size_t size_bytes;
} kd_slice;

#define KD_SLICE(literal) ((kd_slice){(literal), sizeof(literal) - 1})

static inline kd_slice kd_slice_of(const char *text)
{
    return (kd_slice){text, strlen(text)};
}

static inline bool kd_slice_equal(kd_slice a, kd_slice b)
{
    return a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.data, b.data, a.size_bytes) == 0);
}

static inline bool kd_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the blanks around it. */
static inline kd_slice kd_slice_trim(kd_slice text)
{
    while (text.size_bytes > 0 && kd_is_blank(text.data[0]))
        text = (kd_slice){text.data + 1, text.size_bytes - 1};
    while (text.size_bytes > 0 && kd_is_blank(text.data[text.size_bytes - 1]))
        text.size_bytes--;
    return text;
}

/* ASCII letters only. */
bool kd_slice_equal_ignoring_case(kd_slice a, kd_slice b);

/* As memcmp, the shorter one first where one is a prefix of the other. */
int kd_slice_compare(kd_slice a, kd_slice b);
/* Where `part` is first found in `text`, or NULL; an empty part is found at the start. */
const char *kd_slice_find(kd_slice text, kd_slice part);

#define KDI_LOAD_STORE(bits)                                                \
    static inline uint##bits##_t kd_load_u##bits(const void *source)        \
    {                                                                       \
        uint##bits##_t value;                                               \
        memcpy(&value, source, sizeof value);                               \
        return value;                                                       \
    }                                                                       \
    static inline void kd_store_u##bits(void *target, uint##bits##_t value) \
    {                                                                       \
        memcpy(target, &value, sizeof value);                               \
    }
KDI_LOAD_STORE(16)
KDI_LOAD_STORE(32)
KDI_LOAD_STORE(64)
#undef KDI_LOAD_STORE
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are little-endian, so are we");

typedef struct kd_reader {
    const char *at;
    const char *end;
    bool failed;
} kd_reader;

static inline kd_reader kd_reader_of(kd_slice bytes)
{
    return (kd_reader){.at = bytes.data, .end = bytes.data + bytes.size_bytes};
}

uint8_t kd_read_u8(kd_reader *reader);
uint16_t kd_read_u16(kd_reader *reader);
uint32_t kd_read_u32(kd_reader *reader);
uint64_t kd_read_u64(kd_reader *reader);
uint64_t kd_read_varint(kd_reader *reader); /* LEB128, at most 10 bytes. */
/* NULL (and `failed`) when fewer than `size_bytes` are left; points into the input. */
const char *kd_read_bytes(kd_reader *reader, size_t size_bytes);
kd_slice kd_read_slice(kd_reader *reader); /* A varint length, then the bytes. */

/* Grows inside `arena`; the content stays contiguous and NUL-terminated (not counted). */
typedef struct kd_buffer {
    kd_arena *arena;
    char *data;
    size_t size_bytes;
    size_t capacity_bytes;
} kd_buffer;

static inline kd_buffer kd_buffer_in(kd_arena *arena)
{
    return (kd_buffer){.arena = arena};
}

static inline kd_slice kd_buffer_slice(const kd_buffer *buffer)
{
    return (kd_slice){buffer->data, buffer->size_bytes};
}

/* Room for `size_bytes` more; `*out_at` (may be NULL) is where they go. Does not change the size.
 */
kd_status kd_buffer_reserve(kd_ctx *ctx, kd_buffer *buffer, size_t size_bytes,
                            char **out_at) KD_MUST_CHECK;
kd_status kd_buffer_append(kd_ctx *ctx, kd_buffer *buffer, const void *bytes,
                           size_t size_bytes) KD_MUST_CHECK;
kd_status kd_buffer_append_slice(kd_ctx *ctx, kd_buffer *buffer, kd_slice bytes) KD_MUST_CHECK;
kd_status kd_buffer_append_text(kd_ctx *ctx, kd_buffer *buffer, const char *text) KD_MUST_CHECK;
kd_status kd_buffer_append_byte(kd_ctx *ctx, kd_buffer *buffer, uint8_t byte) KD_MUST_CHECK;
kd_status kd_buffer_append_u16(kd_ctx *ctx, kd_buffer *buffer, uint16_t value) KD_MUST_CHECK;
kd_status kd_buffer_append_u32(kd_ctx *ctx, kd_buffer *buffer, uint32_t value) KD_MUST_CHECK;
kd_status kd_buffer_append_u64(kd_ctx *ctx, kd_buffer *buffer, uint64_t value) KD_MUST_CHECK;
kd_status kd_buffer_append_varint(kd_ctx *ctx, kd_buffer *buffer, uint64_t value) KD_MUST_CHECK;
/* A varint length, then the bytes: what kd_read_slice reads. */
kd_status kd_buffer_append_counted(kd_ctx *ctx, kd_buffer *buffer, kd_slice bytes) KD_MUST_CHECK;
kd_status kd_buffer_append_format(kd_ctx *ctx, kd_buffer *buffer, const char *format,
                                  ...) KD_MUST_CHECK __attribute__((format(printf, 3, 4)));

#endif
