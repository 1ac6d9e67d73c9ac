/*
 * Text of booleans, integers and floating-point numbers, as PostgreSQL reads and writes them.
 *
 * The _fast functions are for bulk input: they take plain digits without blanks around and answer
 * false for everything else, also for what is wrong, so that the slow ones can say why.
 */
#ifndef KD_TYPES_NUMBER_TEXT_H
#define KD_TYPES_NUMBER_TEXT_H

#include "base/bytes.h"

bool kd_parse_int64(kd_slice text, int64_t *out);
bool kd_parse_double_fast(kd_slice text, double *out);

/* `type_name` is for the message: "smallint", "integer", "bigint", "oid". Blanks around are
 * skipped. */
kd_status kd_integer_parse(kd_ctx *ctx, kd_slice text, const char *type_name, int64_t min,
                           int64_t max, int64_t *out) KD_MUST_CHECK;
kd_status kd_bool_parse(kd_ctx *ctx, kd_slice text, bool *out) KD_MUST_CHECK;
kd_status kd_float8_parse(kd_ctx *ctx, kd_slice text, double *out) KD_MUST_CHECK;
kd_status kd_float4_parse(kd_ctx *ctx, kd_slice text, float *out) KD_MUST_CHECK;

enum { KD_NUMBER_TEXT_BYTES = 48 };
/* Each writes at most KD_NUMBER_TEXT_BYTES (no NUL) and gives the length. */
size_t kd_int64_format(int64_t value, char *out);
/* `extra_float_digits` > 0: the shortest text that reads back the same; else 15 (6) + digits. */
size_t kd_float8_format(double value, int extra_float_digits, char *out);
size_t kd_float4_format(float value, int extra_float_digits, char *out);

#endif
