/*
 * An open segment, as its reader sees it. Module-internal.
 */
#ifndef KD_STORE_SEGMENT_OPEN_H
#define KD_STORE_SEGMENT_OPEN_H

#include "base/thread.h"
#include "store/segment_internal.h"

typedef struct kdi_open_column {
    kdi_column_layout layout;
    kdi_column_entry entry;
    const kdi_block_entry *blocks;
    uint32_t number; /* In the identity of its blocks. */
    kd_slice keys;   /* Of a shred. */
    /* The shared dictionary: made on first use under the segment's mutex, then never changed. */
    _Atomic(kd_vector *) dictionary;
} kdi_open_column;

struct kd_segment {
    kd_world *world;
    kd_account *account;
    kd_arena *arena; /* Filled by open, then only read. */
    kd_block_cache *cache;
    kd_file *file;
    uint64_t size_bytes;
    kdi_block_identity identity; /* column and block unused. */
    kdi_segment_head head;
    bool has_stamps;       /* They come behind the table's columns. */
    uint32_t shred_count;  /* They come last. */
    uint32_t stored_count; /* All of them. */
    kdi_open_column *columns;
    kd_mutex dictionary_mutex;
    const char *lost; /* Why there is no file; NULL: there is one. */
    char name[32];    /* "000000000c.seg" */
};

/* Fails for a lost segment. */
kd_status kdi_segment_is_there(kd_ctx *ctx, const kd_segment *segment) KD_MUST_CHECK;
/* The column's dictionary, or NULL in `*out_dictionary` when it has none. */
kd_status kdi_segment_dictionary(kd_ctx *ctx, kd_segment *segment, uint32_t column,
                                 const kd_vector **out_dictionary) KD_MUST_CHECK;
/* Pins the block; it was checked. */
kd_status kdi_segment_pin(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t block,
                          kd_block **out_block) KD_MUST_CHECK;
/* What decoding a pinned block needs. Pins nothing. */
kd_status kdi_segment_input(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t block,
                            const kd_block *pinned, kdi_decode_input *out_input) KD_MUST_CHECK;
/* Whether the shreds say in this block what their documents say (shred_check.c). Blocks that are
 * damaged in themselves are left to their own checks. */
kd_status kdi_segment_check_shreds(kd_ctx *ctx, kd_segment *segment, uint32_t block,
                                   uint64_t *out_bytes, kd_damage *out_damage) KD_MUST_CHECK;

#endif
