/*
 * A file written from front to back: large aligned pieces, O_DIRECT where the
 * world has it, synced at the end. For segments and index runs.
 */
#ifndef KD_STORE_FILE_SINK_H
#define KD_STORE_FILE_SINK_H

#include "base/heap.h"
#include "base/world.h"

typedef struct kd_file_sink {
    kd_file *file;
    kd_account *account;
    void *memory;
    uint8_t *buffer; /* Inside `memory`, aligned for direct writes. */
    size_t used_bytes;
    uint64_t flushed_bytes;
} kd_file_sink;

/* Creates the file, or empties what a crash left of it. */
kd_status kd_file_sink_open(kd_ctx *ctx, kd_file_sink *sink, kd_account *account,
                            const char *path) KD_MUST_CHECK;
static inline uint64_t kd_file_sink_offset(const kd_file_sink *sink)
{
    return sink->flushed_bytes + sink->used_bytes;
}
kd_status kd_file_sink_append(kd_ctx *ctx, kd_file_sink *sink, const void *bytes,
                              size_t size_bytes) KD_MUST_CHECK;
/* Puts `trailer` at the end of the last 4 KiB, writes and syncs everything, closes the file. */
kd_status kd_file_sink_finish(kd_ctx *ctx, kd_file_sink *sink, const void *trailer,
                              size_t trailer_bytes) KD_MUST_CHECK;
void kd_file_sink_close(kd_world *world,
                        kd_file_sink *sink); /* Of any state; may be called again. */

#endif
