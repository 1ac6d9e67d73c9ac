/*
 * Any bytes as a script: the parser must give statements or one failure with a place in the text.
 */
#include "base/world.h"
#include "sql/parser.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)256 << 20);
    if (arena == NULL)
        return 0;
    kd_parser *parser;
    kd_slice text = {(const char *)data, size};
    kd_status status = kd_parser_create(&ctx, arena, text, &parser);
    kd_statement statement = {.position = 0};
    do {
        if (status == KD_OK)
            status = kd_parser_next(&ctx, parser, &statement);
        if (status == KD_OK && statement.node != NULL) {
            if (statement.position < 0 || statement.end > (int32_t)size ||
                statement.node->end > statement.end)
                abort();
        }
    } while (status == KD_OK && statement.node != NULL);
    if (status != KD_OK && status != KD_NOMEM &&
        (ctx.error.position < 0 || ctx.error.position > (int)size))
        abort();
    kd_arena_destroy(arena);
    return 0;
}
