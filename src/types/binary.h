/*
 * Values as PostgreSQL's binary protocol and COPY BINARY have them: what its send functions give
 * and its receive functions take, most significant byte first.
 *
 *   bool, integers, floats, oid   their bytes
 *   text, json, bytea             their bytes; jsonb and jsonpath: a version byte 1, then the text
 *   date, time, timestamp(tz)     as held here, which counts from 2000 as PostgreSQL does
 *   timestamp_ns                  the 8 bytes of its nanoseconds since 1970: a type of KadeDB's own
 *   interval                      microseconds, days, months
 *   numeric                       u16 digits, i16 weight, u16 sign, u16 scale, u16 per digit (base
 *                                 10,000)
 *   uuid                          16 bytes as written
 *   bit, bit varying              i32 length, then the bits, the first highest
 *   enum                          its label
 *   arrays                        i32 dimensions, i32 has NULLs, u32 element type; per dimension
 *                                 i32 length, i32 lower bound; per element i32 length (-1 NULL)
 *                                 and bytes
 *   rows                          i32 fields; per field u32 type, i32 length (-1 NULL), bytes
 */
#ifndef KD_TYPES_BINARY_H
#define KD_TYPES_BINARY_H

#include "types/value.h"

/* Appends the value, which is not NULL; without a length before it. `settings` are for enums and
 * names of objects. */
kd_status kd_binary_append(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                           kd_buffer *out) KD_MUST_CHECK;
/* With its length before it, -1 for NULL. */
kd_status kd_binary_append_counted(kd_ctx *ctx, const kd_text_settings *settings,
                                   const kd_value *value, kd_buffer *out) KD_MUST_CHECK;
/* A value of `type` from exactly these bytes; what it points at is in `arena` or in the bytes.
 * 22P03 when they are no such value, 22021 for text that is not UTF-8. The type's modifier is not
 * applied. */
kd_status kd_binary_read(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                         kd_type type, kd_slice bytes, kd_value *out_value) KD_MUST_CHECK;

/* Integers of a protocol whose bytes go from the most significant one down. */
static inline uint16_t kd_load_big_u16(const void *source)
{
    return __builtin_bswap16(kd_load_u16(source));
}

static inline uint32_t kd_load_big_u32(const void *source)
{
    return __builtin_bswap32(kd_load_u32(source));
}

static inline uint64_t kd_load_big_u64(const void *source)
{
    return __builtin_bswap64(kd_load_u64(source));
}

static inline void kd_store_big_u16(void *target, uint16_t value)
{
    kd_store_u16(target, __builtin_bswap16(value));
}

static inline void kd_store_big_u32(void *target, uint32_t value)
{
    kd_store_u32(target, __builtin_bswap32(value));
}

static inline void kd_store_big_u64(void *target, uint64_t value)
{
    kd_store_u64(target, __builtin_bswap64(value));
}

kd_status kd_buffer_append_big_u16(kd_ctx *ctx, kd_buffer *out, uint16_t value) KD_MUST_CHECK;
kd_status kd_buffer_append_big_u32(kd_ctx *ctx, kd_buffer *out, uint32_t value) KD_MUST_CHECK;
kd_status kd_buffer_append_big_u64(kd_ctx *ctx, kd_buffer *out, uint64_t value) KD_MUST_CHECK;

#endif
