/*
 * Any bytes as a catalog entry: refused, or an entry whose bytes, written again, read as the same.
 */
#include "base/world.h"
#include "catalog/entry_codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)64 << 20);
    kd_slice bytes = {(const char *)data, size_bytes};
    kd_buffer once = kd_buffer_in(arena), twice = kd_buffer_in(arena);
    const kd_object *entry, *again;
    if (kd_entry_decode(&ctx, arena, bytes, &entry) == KD_OK) {
        if (kd_entry_encode(&ctx, entry, &once) != KD_OK ||
            kd_entry_decode(&ctx, arena, kd_buffer_slice(&once), &again) != KD_OK ||
            kd_entry_encode(&ctx, again, &twice) != KD_OK ||
            !kd_slice_equal(kd_buffer_slice(&once), kd_buffer_slice(&twice)))
            abort();
    }
    kd_arena_destroy(arena);
    return 0;
}
