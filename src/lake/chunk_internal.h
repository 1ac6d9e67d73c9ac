/*
 * Chunks: pieces of a text source that end at a record border, handed out to workers one after the
 * other under a lock.
 *
 * The lock is held while a chunk is filled, so that reading and decompressing are sequential;
 * parsing, the larger part, runs outside it. What follows the last border of a chunk is kept and
 * begins the next one.
 */
#ifndef KD_LAKE_CHUNK_INTERNAL_H
#define KD_LAKE_CHUNK_INTERNAL_H

#include "base/bytes.h"
#include "base/thread.h"
#include "lake/text_source.h"

enum {
    KDI_CHUNK_BYTES = 512 * 1024,
    KDI_SAMPLE_BYTES = 256 * 1024,
    KDI_RECORD_BYTES_MAX = 256 * 1024 * 1024,
};

/* How records end. */
typedef struct kdi_border {
    char quote;  /* Line ends inside quotes do not count; 0: there is no quoting. */
    char escape; /* Takes the next byte literally; 0 or the quote itself: none. Outside quotes too
                  * when `quote` is 0 (COPY's text format). */
} kdi_border;

typedef struct kdi_chunk {
    char *data; /* Whole records; the last one ends in LF too, added where the file lacks it. */
    size_t size_bytes;
    size_t capacity_bytes;
    uint64_t no;         /* From 0. */
    uint64_t first_line; /* From 1. */
    bool quote_is_open;  /* The file ended inside quotes. */
} kdi_chunk;

typedef struct kdi_chunks {
    kd_mutex lock;
    kd_text_source *source;
    kdi_border border;
    kd_buffer rest; /* rest.data[rest_at ..] comes before what the source has. */
    size_t rest_at;
    uint64_t next_no;
    uint64_t next_line;
    bool source_is_over;
} kdi_chunks;

/* Reads a sample of up to KDI_SAMPLE_BYTES, which stays in `rest`. */
kd_status kdi_chunks_open(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                          kdi_chunks *chunks) KD_MUST_CHECK;
void kdi_chunks_clear(kdi_chunks *chunks);

/* The whole records at the start of the data: what sniffing may look at, before the first chunk. */
kd_slice kdi_chunks_sample(const kdi_chunks *chunks);
/* Drops the first bytes of the sample: skipped lines and the header. They hold `line_count` LFs. */
void kdi_chunks_skip(kdi_chunks *chunks, size_t size_bytes, uint64_t line_count);

/* The next chunk, in a buffer of the chunk's own from `arena`, reused by the next call; size 0 at
 * the end. Called by several threads. */
kd_status kdi_chunks_next(kd_ctx *ctx, kd_arena *arena, kdi_chunks *chunks,
                          kdi_chunk *chunk) KD_MUST_CHECK;

/* Bytes up to and with the last LF that ends a record; 0 when there is none. */
size_t kdi_border_find_last(const kdi_border *border, const char *data, size_t size_bytes,
                            bool *out_quote_is_open);
size_t kdi_count_bytes(const char *data, size_t size_bytes, char wanted);

#endif
