/*
 * 16-byte strings with an inline prefix (Neumann and Freitag, Umbra, CIDR 2020).
 *
 *   bytes 0-3  length
 *   length <= 12:  bytes 4-15 the string itself, padded with zeros
 *   length  > 12:  bytes 4-7 its first four bytes, bytes 8-15 a pointer to all of it
 *
 * Most comparisons are decided by the first eight bytes. Padding is zero always,
 * so two short strings are equal exactly when their 16 bytes are.
 * A kd_str does not own its bytes: what it points to lives as long as the batch,
 * block or arena that it came from.
 */
#ifndef KD_TYPES_STR_H
#define KD_TYPES_STR_H

#include "base/arena.h"
#include "base/bytes.h"

enum { KD_STR_INLINE_BYTES = 12 };

typedef struct kd_str {
    uint32_t size_bytes;
    union {
        char inlined[KD_STR_INLINE_BYTES];
        struct {
            char prefix[4];
            char pointer[8]; /* const char *, unaligned-safe through memcpy. */
        } far;
    } as;
} kd_str;
_Static_assert(sizeof(kd_str) == 16, "two words");

static inline kd_str kd_str_from(const char *data, size_t size_bytes)
{
    kd_str str;
    memset(&str, 0, sizeof str);
    str.size_bytes = (uint32_t)size_bytes;
    if (size_bytes <= KD_STR_INLINE_BYTES) {
        if (size_bytes > 0)
            memcpy(str.as.inlined, data, size_bytes);
    } else {
        memcpy(str.as.far.prefix, data, 4);
        memcpy(str.as.far.pointer, &data, sizeof data);
    }
    return str;
}

static inline const char *kd_str_data(const kd_str *str)
{
    if (str->size_bytes <= KD_STR_INLINE_BYTES)
        return str->as.inlined;
    const char *data;
    memcpy(&data, str->as.far.pointer, sizeof data);
    return data;
}

/* Points into `*str` itself when the string is short: keep `*str` where it is. */
static inline kd_slice kd_str_slice(const kd_str *str)
{
    return (kd_slice){kd_str_data(str), str->size_bytes};
}

static inline bool kd_str_equal(const kd_str *a, const kd_str *b)
{
    if (memcmp(a, b, 8) != 0)
        return false;
    if (a->size_bytes <= KD_STR_INLINE_BYTES)
        return memcmp(a, b, sizeof *a) == 0;
    return memcmp(kd_str_data(a), kd_str_data(b), a->size_bytes) == 0;
}

/* Byte order: collation "C". */
static inline int kd_str_compare(const kd_str *a, const kd_str *b)
{
    return kd_slice_compare(kd_str_slice(a), kd_str_slice(b));
}

/* Copies the bytes into `arena` (short strings need none). */
kd_status kd_str_copy(kd_ctx *ctx, kd_arena *arena, kd_slice bytes, kd_str *out_str) KD_MUST_CHECK;

#endif
