/*
 * Text of byte strings and UUIDs.
 */
#ifndef KD_TYPES_BYTES_TEXT_H
#define KD_TYPES_BYTES_TEXT_H

#include "base/bytes.h"
#include "types/type.h"

/* '\x0aff' (blanks allowed between bytes) or the escape form ('a\000b\\'). */
kd_status kd_bytea_parse(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out) KD_MUST_CHECK;
kd_status kd_bytea_format(kd_ctx *ctx, kd_slice bytes, bool escape_form,
                          kd_buffer *out) KD_MUST_CHECK;

/* The number that a uuid is held as (type.h) and its 16 bytes in text order. */
kd_i128 kd_uuid_from_bytes(const uint8_t bytes[16]);
void kd_uuid_to_bytes(kd_i128 uuid, uint8_t out_bytes[16]);
kd_status kd_uuid_parse(kd_ctx *ctx, kd_slice text, kd_i128 *out) KD_MUST_CHECK;
enum { KD_UUID_TEXT_BYTES = 36 };
void kd_uuid_format(kd_i128 uuid, char out[KD_UUID_TEXT_BYTES]);

#endif
