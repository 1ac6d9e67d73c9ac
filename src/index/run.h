/*
 * Runs: immutable files of sorted index entries.
 *
 *   blocks    of about 16 KiB, each:
 *
 *     offset  size  field
 *          0     4  checksum      CRC-32C of database id, run's unit, generation, block number, and
 *                                 of bytes 4 .. size_bytes
 *          4     4  size_bytes
 *          8     2  entry_count   1 or more
 *         10     2  prefix_bytes  shared by all keys of the block
 *         12     2  suffix_bytes  of each key; 0xffff: they differ
 *         14     1  ref_bytes     0 .. 8
 *         15     1  flags         1: removal marks
 *         16     8  ref_base      reference = ref_base + stored number
 *         24        prefix
 *                   ends          u16 each, of the suffixes, where suffix_bytes is 0xffff
 *                   suffixes      one after the other
 *                   references    ref_bytes each
 *                   marks         with flag 1: one bit per entry, set = removed
 *
 *   footer    entry_count 8, removed_count 8, block_count 4, filter blocks 4; per block offset 8,
 *             size 4, checksum 4, entries 4, first reference 8, first key (varint length, bytes);
 *             then the filter, 64 bytes per filter block
 *   zeros     so that the file is whole 4 KiB
 *   trailer   64 bytes, as kdi_run_trailer
 *
 * Every entry can be reached without decoding others: a search in a block is a binary search. Keys
 * are stored once for their shared start, which for sorted keys is most of them.
 *
 * The filter is a blocked Bloom filter (Putze et al., 2007): 512 bits per block, one bit in each of
 * eight words, about ten bits per key. It hashes CRC-32C of the key and its length by splitmix64.
 */
#ifndef KD_INDEX_RUN_H
#define KD_INDEX_RUN_H

#include "index/memory_tree.h"
#include "store/file_sink.h"
#include "store/segment.h"

enum { KDI_RUN_FORMAT = 1, KDI_RUN_PATH_BYTES = 4096, KDI_RUN_BLOCK_HEADER_BYTES = 24 };

#define KDI_RUN_MAGIC "KADERUN1"

typedef struct kdi_run_trailer {
    char magic[8];
    uint32_t format;
    uint32_t footer_checksum;
    uint64_t footer_offset;
    uint64_t database_id;
    uint64_t unit; /* Bit 63, index number, run number. */
    uint64_t generation;
    uint32_t footer_bytes;
    uint32_t reserved[2];
    uint32_t checksum; /* CRC-32C of the 60 bytes before. */
} kdi_run_trailer;
_Static_assert(sizeof(kdi_run_trailer) == 64, "on-disk layout");

typedef struct kdi_run_block_header {
    uint32_t checksum;
    uint32_t size_bytes;
    uint16_t entry_count;
    uint16_t prefix_bytes;
    uint16_t suffix_bytes;
    uint8_t ref_bytes;
    uint8_t flags;
    uint64_t ref_base;
} kdi_run_block_header;
_Static_assert(sizeof(kdi_run_block_header) == KDI_RUN_BLOCK_HEADER_BYTES, "on-disk layout");

enum { KDI_RUN_KEYS_DIFFER = UINT16_MAX, KDI_RUN_HAS_REMOVED = 1 };

typedef struct kdi_run_identity {
    uint64_t database_id;
    uint64_t unit;
    uint64_t generation;
    uint64_t block_no;
} kdi_run_identity;
_Static_assert(sizeof(kdi_run_identity) == 32, "no padding: it is hashed as bytes");

static inline uint64_t kdi_run_unit(uint64_t index_no, uint32_t run_no)
{
    return (uint64_t)1 << 63 | index_no << 24 | run_no;
}

kd_status kdi_run_path(kd_ctx *ctx, const char *directory, uint64_t index_no, uint32_t run_no,
                       char *path) KD_MUST_CHECK;
uint32_t kdi_run_checksum(const kdi_run_identity *identity, const void *bytes, size_t size_bytes);
/* The filter: 64-byte blocks as eight words each. */
uint64_t kdi_filter_hash(kd_slice key);
void kdi_filter_add(uint64_t *words, uint32_t block_count, uint64_t hash);
bool kdi_filter_may_have(const uint64_t *words, uint32_t block_count, uint64_t hash);

/* --- Writing (run_writer.c) --- */

typedef struct kdi_run_writer kdi_run_writer;
kd_status kdi_run_writer_create(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                                uint32_t run_no, kdi_run_writer **out_writer) KD_MUST_CHECK;
/* In ascending order, each entry once. */
kd_status kdi_run_writer_add(kd_ctx *ctx, kdi_run_writer *writer, kd_slice key, uint64_t ref,
                             bool removed) KD_MUST_CHECK;
uint64_t kdi_run_writer_count(const kdi_run_writer *writer);
kd_status kdi_run_writer_finish(kd_ctx *ctx, kdi_run_writer *writer) KD_MUST_CHECK;
/* Removes an unfinished file. NULL is allowed. */
void kdi_run_writer_destroy(kdi_run_writer *writer);

/* --- Reading (run.c): any number of threads --- */

typedef struct kdi_run kdi_run;
kd_status kdi_run_open(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                       uint32_t run_no, kdi_run **out_run) KD_MUST_CHECK;
kdi_run *kdi_run_ref(kdi_run *run);
void kdi_run_unref(kdi_run *run); /* Closes it with the last one. NULL is allowed. */
uint32_t kdi_run_no(const kdi_run *run);
uint64_t kdi_run_count(const kdi_run *run);
uint64_t kdi_run_removed_count(const kdi_run *run);
size_t kdi_run_memory_bytes(const kdi_run *run);
uint64_t kdi_run_size_bytes(const kdi_run *run); /* Of its file. */
kd_status kdi_run_check(kd_ctx *ctx, kdi_run *run) KD_MUST_CHECK;
/* As of segments: see kd_segment_check_piece. */
uint32_t kdi_run_piece_count(const kdi_run *run);
kd_status kdi_run_check_piece(kd_ctx *ctx, kdi_run *run, uint32_t piece, uint64_t *out_bytes,
                              kd_damage *out_damage) KD_MUST_CHECK;

/* As kdi_tree_find. */
kd_status kdi_run_find(kd_ctx *ctx, kdi_run *run, kd_slice key, uint64_t from_ref,
                       kdi_tree_hit *hits, uint32_t capacity, uint32_t *out_count) KD_MUST_CHECK;

/* Whether keys from `low` to `high` may be in it: false when all of its own are above or below. */
kd_status kdi_run_may_overlap(kd_ctx *ctx, kdi_run *run, kd_slice low, kd_slice high,
                              bool *out_overlaps) KD_MUST_CHECK;

/* How many entries have the key. */
kd_status kdi_run_key_count(kd_ctx *ctx, kdi_run *run, kd_slice key,
                            uint64_t *out_count) KD_MUST_CHECK;

/* A block taken apart. */
typedef struct kdi_run_block {
    uint32_t entry_count;
    kd_slice prefix;
    uint32_t suffix_bytes;
    const uint8_t *ends;
    const char *suffixes;
    const uint8_t *refs;
    uint32_t ref_bytes;
    uint64_t ref_base;
    const uint8_t *removed; /* NULL: none. */
} kdi_run_block;
/* NULL when every structure holds, else what does not. Any bytes are allowed. */
const char *kdi_run_block_parse(const void *bytes, size_t size_bytes, kdi_run_block *out_block);

typedef struct kdi_run_cursor {
    kdi_run *run;
    bool descending;
    bool is_placed;
    uint32_t block_no;
    int64_t at; /* Entry in the block; may stand one outside of it. */
    kd_block *pinned;
    kdi_run_block block;
    char *key; /* Room for KD_INDEX_KEY_BYTES_MAX + 1. */
} kdi_run_cursor;
/* Stands before the entries from `from` on. */
kd_status kdi_run_cursor_seek(kd_ctx *ctx, kdi_run_cursor *cursor,
                              const kdi_tree_position *from) KD_MUST_CHECK;
/* The key is valid until the next call. */
kd_status kdi_run_cursor_next(kd_ctx *ctx, kdi_run_cursor *cursor, kdi_index_entry *out_entry,
                              bool *out_end) KD_MUST_CHECK;
void kdi_run_cursor_clear(kdi_run_cursor *cursor); /* Unpins. */

#endif
