/*
 * JSON text: the checker and the jsonb builder accept the same texts, and what they accept comes
 * back unchanged from a second round.
 */
#include "base/world.h"
#include "types/jsonb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(kd_ctx *ctx, kd_arena *arena, kd_slice stored)
{
    kd_buffer text = kd_buffer_in(arena);
    kd_slice again;
    if (kd_jsonb_check(ctx, stored) != KD_OK || kd_jsonb_format(ctx, stored, &text) != KD_OK ||
        kd_jsonb_parse(ctx, arena, kd_buffer_slice(&text), &again) != KD_OK ||
        kd_jsonb_compare(stored, again) != 0 || kd_jsonb_hash(stored) != kd_jsonb_hash(again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", 256u << 20);
    kd_slice text = {(const char *)data, size};
    kd_slice stored;
    bool is_json = kd_json_check(&ctx, text) == KD_OK;
    kd_error_clear(&ctx);
    if (kd_jsonb_parse(&ctx, arena, text, &stored) == KD_OK) {
        if (!is_json)
            abort();
        round_trip(&ctx, arena, stored);
    }
    kd_error_clear(&ctx);
    /* The bytes as a stored value: nothing is read outside. */
    kd_buffer out = kd_buffer_in(arena);
    if (kd_jsonb_check(&ctx, text) == KD_OK && kd_jsonb_format(&ctx, text, &out) != KD_OK)
        kd_error_clear(&ctx);
    (void)kd_jsonb_hash(text);
    kd_arena_destroy(arena);
    return 0;
}
