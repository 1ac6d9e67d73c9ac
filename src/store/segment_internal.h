/*
 * The segment file's own structures; segment.h draws them together.
 */
#ifndef KD_STORE_SEGMENT_INTERNAL_H
#define KD_STORE_SEGMENT_INTERNAL_H

#include "base/checksum.h"
#include "store/block_internal.h"
#include "store/file_sink.h"

enum {
    KDI_SEGMENT_FORMAT = 2,
    KDI_SEGMENT_FORMAT_PLAIN = 1, /* Of segments without shreds. */
    KDI_SEGMENT_BLOCKS_MAX = KD_SEGMENT_ROWS_MAX / KD_BLOCK_ROWS,
    KDI_SEGMENT_PATH_BYTES = 4096,
    KDI_ENTRY_HAS_BOUNDS = 1,
    KDI_ENTRY_EXACT = 2,
    KDI_FOOTER_HAS_STAMPS = 1,
    KDI_FOOTER_SHREDS_SHIFT = 8, /* The flags above are the number of shreds. */
    KDI_SHREDS_MAX = 256,
    KDI_SHRED_NUMBER_FIRST = KD_SEGMENT_COLUMNS_MAX + 1, /* In blocks' identities. */
    KDI_BOUND_BYTES = KD_STR_INLINE_BYTES, /* Longer strings' bounds are cut to this. */
};

#define KDI_SEGMENT_MAGIC "KADESEG1"

/* The last 64 bytes of the file. */
typedef struct kdi_segment_trailer {
    char magic[8];
    uint32_t format;
    uint32_t footer_checksum; /* CRC-32C of database id, unit, generation and the footer. */
    uint64_t footer_offset;
    uint64_t database_id;
    uint64_t unit;
    uint64_t generation;
    uint32_t footer_bytes;
    uint32_t reserved[2];
    uint32_t checksum; /* CRC-32C of the 60 bytes before. */
} kdi_segment_trailer;
_Static_assert(sizeof(kdi_segment_trailer) == 64, "on-disk layout");

/* First in the footer. */
typedef struct kdi_segment_head {
    uint32_t table_no;
    uint32_t schema_version;
    uint32_t row_count;
    uint32_t column_count; /* The table's; begin stamps and shreds are stored besides. */
    uint32_t block_count;  /* Of every column. */
    uint32_t flags;
} kdi_segment_head;
_Static_assert(sizeof(kdi_segment_head) == 24, "on-disk layout");

/* Then one per stored column. */
typedef struct kdi_column_entry {
    kd_type type;
    uint32_t column_no;
    uint64_t dictionary_offset;
    uint32_t dictionary_bytes; /* 0: no shared dictionary. */
    uint32_t dictionary_checksum;
    uint32_t dictionary_entries; /* NULL included. */
    uint32_t dictionary_has_null;
} kdi_column_entry;
_Static_assert(sizeof(kdi_column_entry) == 40, "on-disk layout");

/* Then, column by column, one per block. */
typedef struct kdi_block_entry {
    uint64_t offset;
    uint32_t size_bytes;
    uint32_t checksum; /* The same as in the block. */
    uint32_t row_count;
    uint32_t null_count;
    uint32_t distinct_count; /* Estimated. */
    uint8_t encoding;
    uint8_t flags;
    uint16_t reserved;
    uint8_t min[16]; /* Physical values; strings of at most 12 bytes. */
    uint8_t max[16];
} kdi_block_entry;
_Static_assert(sizeof(kdi_block_entry) == 64, "on-disk layout");

/* Writes "<directory>/<unit>.seg" into `path` (KDI_SEGMENT_PATH_BYTES). */
kd_status kdi_segment_path(kd_ctx *ctx, const char *directory, uint64_t unit,
                           char *path) KD_MUST_CHECK;
uint32_t kdi_footer_checksum(uint64_t database_id, uint64_t unit, uint64_t generation,
                             const void *footer, size_t size_bytes);

/* Tests: the encoding of a column, where its values allow it. Before the first append. */
void kdi_segment_writer_force(kd_segment_writer *writer, uint32_t column, kdi_encoding encoding);

#endif
