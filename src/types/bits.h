/*
 * Bit strings: bit(n) and bit varying(n).
 *
 * A value is held as it is written, one character '0' or '1' per bit. So text, order, equality,
 * hash and keys are those of text, and PostgreSQL's order (bits from the left, the shorter before
 * the longer) comes of itself. Eight times the room of packed bits is what that costs in memory;
 * stored segments compress it away.
 */
#ifndef KD_TYPES_BITS_H
#define KD_TYPES_BITS_H

#include "types/str.h"
#include "types/type.h"

enum { KD_BITS_LENGTH_MAX = 83886080 };

/* '101', 'b101' or 'x1F'. 22P02 at a wrong digit; the length is checked as on assignment. */
kd_status kd_bits_parse(kd_ctx *ctx, kd_arena *arena, kd_type type, kd_slice text,
                        kd_str *out) KD_MUST_CHECK;
/* The length of the type: a written cast cuts, and fills bit(n) with zeros; otherwise bit(n) must
 * have n bits (22026) and bit varying(n) no more (22001). */
kd_status kd_bits_fit(kd_ctx *ctx, kd_arena *arena, kd_type type, bool is_explicit_cast,
                      kd_slice bits, kd_str *out) KD_MUST_CHECK;

#endif
