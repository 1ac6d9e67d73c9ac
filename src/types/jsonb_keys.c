/*
 * Keys of objects one below the other: what doc -> 'a' -> 'b' ->> 'c' reads.
 */
#include "types/jsonb.h"

bool kd_jsonb_follow(kd_jsonb_keys *keys, kd_slice stored, kd_slice *out)
{
    const char *at = keys->bytes.data, *end = at + keys->bytes.size_bytes;
    uint32_t none = UINT32_MAX;
    *out = stored;
    for (uint32_t depth = 0; at < end; depth++) {
        uint32_t *near = depth < KD_JSONB_KEYS_NEAR ? &keys->near[depth] : &none;
        kd_slice key = {at, strlen(at)};
        if (!kd_jsonb_get_field_near(*out, key, near, out))
            return false;
        at += key.size_bytes + 1;
    }
    return true;
}

kd_status kd_jsonb_follow_text(kd_ctx *ctx, kd_arena *arena, kd_jsonb_keys *keys, kd_slice stored,
                               bool *out_is_null, kd_slice *out_text)
{
    kd_slice value;
    *out_is_null = true;
    *out_text = (kd_slice){"", 0};
    if (!kd_jsonb_follow(keys, stored, &value))
        return KD_OK;
    return kd_jsonb_as_text(ctx, arena, value, out_is_null, out_text);
}
