/*
 * Dates, times, intervals and arrays of them: what is accepted is written in a form that reads back
 * as the same value.
 */
#include "base/world.h"
#include "types/value.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const kd_type_id ids[] = {KD_TYPE_DATE,        KD_TYPE_TIME,         KD_TYPE_TIMESTAMP,
                                     KD_TYPE_TIMESTAMPTZ, KD_TYPE_TIMESTAMP_NS, KD_TYPE_INTERVAL,
                                     KD_TYPE_TIMETZ,      KD_TYPE_TID};
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", 64u << 20);
    kd_slice text = {(const char *)data, size > 500 ? 500 : size};
    for (size_t i = 0; i < 2 * sizeof ids / sizeof ids[0]; i++) {
        kd_type type = kd_type_of(ids[i / 2]);
        type.is_array = i % 2;
        kd_value value;
        if (kd_value_parse(&ctx, arena, NULL, type, text, &value) == KD_OK) {
            kd_buffer out = kd_buffer_in(arena);
            kd_value again;
            if (kd_value_format(&ctx, NULL, &value, &out) != KD_OK ||
                kd_value_parse(&ctx, arena, NULL, type, kd_buffer_slice(&out), &again) != KD_OK ||
                kd_value_compare(&value, &again) != 0)
                abort();
        }
        kd_error_clear(&ctx);
    }
    kd_arena_destroy(arena);
    return 0;
}
