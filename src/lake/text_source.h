/*
 * Where import readers get their bytes: a file of the world or a callback, plain, gzip or zstd. The
 * compression is recognised by its magic bytes, never by the name.
 *
 * A source is read once, from its start to its end. It is not thread-safe; the readers above it
 * take turns under their own lock.
 */
#ifndef KD_LAKE_TEXT_SOURCE_H
#define KD_LAKE_TEXT_SOURCE_H

#include "base/arena.h"
#include "base/world.h"

typedef struct kd_text_source kd_text_source;

/* Fills `target` with up to `capacity_bytes`; `*out_bytes` 0 means the end. */
typedef kd_status (*kd_text_read_fn)(kd_ctx *ctx, void *object, void *target, size_t capacity_bytes,
                                     size_t *out_bytes);

/* The source lives in `arena` but must be closed before the arena ends. A missing file is 58P01. */
kd_status kd_text_source_open(kd_ctx *ctx, kd_arena *arena, const char *path,
                              kd_text_source **out_source) KD_MUST_CHECK;
kd_status kd_text_source_open_callback(kd_ctx *ctx, kd_arena *arena, kd_text_read_fn read,
                                       void *object, kd_text_source **out_source) KD_MUST_CHECK;
void kd_text_source_close(kd_text_source *source); /* NULL is allowed. */

/* Fills `target` wholly except at the end of the data. Broken compressed data is KD_INVALID 22P04.
 */
kd_status kd_text_source_read(kd_ctx *ctx, kd_text_source *source, void *target,
                              size_t capacity_bytes, size_t *out_bytes) KD_MUST_CHECK;

/* For progress: bytes taken from the file or callback so far, and their total (0 when unknown). May
 * be called from any thread. */
uint64_t kd_text_source_consumed_bytes(const kd_text_source *source);
uint64_t kd_text_source_total_bytes(const kd_text_source *source);

#endif
