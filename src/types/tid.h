/*
 * tid: where a row is, as the system column ctid gives it.
 *
 * Held as the 64 bits of a row reference: 40 bits of the unit (the top one is never used, so that
 * integers compare as references do), then 24 bits of the row's ordinal in it. Written as
 * '(unit,ordinal)'.
 */
#ifndef KD_TYPES_TID_H
#define KD_TYPES_TID_H

#include "base/bytes.h"

enum { KD_TID_ORDINAL_BITS = 24, KD_TID_UNIT_BITS = 39 };

/* 22P02 for anything but two numbers in range. */
kd_status kd_tid_parse(kd_ctx *ctx, kd_slice text, int64_t *out) KD_MUST_CHECK;
kd_status kd_tid_format(kd_ctx *ctx, int64_t tid, kd_buffer *out) KD_MUST_CHECK;

#endif
