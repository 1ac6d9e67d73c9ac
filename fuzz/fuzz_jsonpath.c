/*
 * Paths of SQL/JSON: the text of what is accepted is accepted again and gives the same text.
 */
#include "base/world.h"
#include "types/jsonpath.h"
#include "types/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", 256u << 20);
    kd_slice text = {(const char *)data, size};
    kd_jsonpath path, again;
    kd_buffer first = kd_buffer_in(arena), second = kd_buffer_in(arena);
    if (kd_utf8_check(&ctx, text) == KD_OK &&
        kd_jsonpath_parse(&ctx, arena, text, &path) == KD_OK &&
        kd_jsonpath_format(&ctx, &path, &first) == KD_OK) {
        /* Parentheses that are added may nest it too deeply. */
        kd_status status = kd_jsonpath_parse(&ctx, arena, kd_buffer_slice(&first), &again);
        if (status == KD_LIMIT)
            kd_error_clear(&ctx);
        else if (status != KD_OK || kd_jsonpath_format(&ctx, &again, &second) != KD_OK ||
                 !kd_slice_equal(kd_buffer_slice(&first), kd_buffer_slice(&second)))
            abort();
    }
    kd_error_clear(&ctx);
    kd_arena_destroy(arena);
    return 0;
}
