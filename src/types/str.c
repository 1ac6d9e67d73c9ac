/*
 * Copies of strings that outlive what they pointed at.
 */
#include "types/str.h"

kd_status kd_str_copy(kd_ctx *ctx, kd_arena *arena, kd_slice bytes, kd_str *out_str)
{
    memset(out_str, 0, sizeof *out_str);
    if (bytes.size_bytes > UINT32_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54000", "value of %zu bytes is too long", bytes.size_bytes);
    if (bytes.size_bytes <= KD_STR_INLINE_BYTES) {
        *out_str = kd_str_from(bytes.data, bytes.size_bytes);
        return KD_OK;
    }
    char *copy = kd_alloc_raw(ctx, arena, bytes.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    memcpy(copy, bytes.data, bytes.size_bytes);
    *out_str = kd_str_from(copy, bytes.size_bytes);
    return KD_OK;
}
