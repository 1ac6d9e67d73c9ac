/*
 * The fuzzer's bytes as a text that is read piece by piece, for the targets that read files.
 */
#ifndef KD_FUZZ_FEED_H
#define KD_FUZZ_FEED_H

#include "lake/text_source.h"

#include <string.h>

typedef struct fuzz_feed {
    const uint8_t *data;
    size_t left;
} fuzz_feed;

/* Reads the source to its end or to an error; `choice` is the input's first byte. */
typedef kd_status (*fuzz_reader)(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                                 uint8_t choice);

static inline kd_status fuzz_feed_read(kd_ctx *ctx, void *object, void *target,
                                       size_t capacity_bytes, size_t *out_bytes)
{
    (void)ctx;
    fuzz_feed *self = object;
    size_t taken = capacity_bytes < self->left ? capacity_bytes : self->left;
    memcpy(target, self->data, taken);
    self->data += taken;
    self->left -= taken;
    *out_bytes = taken;
    return KD_OK;
}

static inline void fuzz_feed_run(const uint8_t *data, size_t size_bytes, fuzz_reader read)
{
    if (size_bytes == 0)
        return;
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)1 << 30);
    fuzz_feed input = {.data = data + 1, .left = size_bytes - 1};
    kd_text_source *source;
    if (arena != NULL &&
        kd_text_source_open_callback(&ctx, arena, fuzz_feed_read, &input, &source) == KD_OK) {
        (void)!read(&ctx, arena, source, data[0]);
        kd_text_source_close(source);
    }
    kd_arena_destroy(arena);
}

#endif
