/*
 * Segments: immutable columnar files of up to about a million rows.
 *
 *   blocks       in any order, each a multiple of 8 bytes (block_internal.h draws them)
 *   footer       offset  size
 *                     0     4  table_no
 *                     4     4  schema_version
 *                     8     4  row_count
 *                    12     4  column_count
 *                    16     4  block_count     of every column
 *                    20     4  flags           1: begin stamps are stored as one more column;
 *                              bits 8 and above: the number of shreds
 *                    24        per stored column, 40 bytes: type 12, column_no 4, and of the shared
 *                              dictionary's block offset 8, size 4, checksum 4, entries 4, has_null
 * 4 then        per stored column and block, 64 bytes: offset 8, size 4, checksum 4, rows 4, NULLs
 * 4, distinct values 4, encoding 1, flags 1 (1: bounds, 2: exact), 0 2, min 16, max 16; then per
 * shred: bytes of its keys 4, the keys, each ended by a zero byte. Zeros so that the file is whole
 * 4 KiB. trailer      the last 64 bytes: magic "KADESEG1", format 4 (1, or 2 with shreds), footer
 * checksum 4, footer offset 8, database_id 8, unit 8, generation 8, footer bytes 4, 0 8, checksum 4
 * of the 60 before
 *
 * All integers are little-endian. The generation is drawn at random for each file written and is,
 * with database, unit, column and block number, part of what each block's checksum covers, so that
 * no block can be taken for another.
 *
 * A segment is a unit of row storage: its rows are addressed by ordinal, 0 ..
 * row_count - 1, in the order in which they were appended. Columns are stored in
 * blocks of 16 vectors of 1,024 rows; each block has its own encoding, zone map,
 * null count and checksum. Beside the table's columns it holds the begin stamp of
 * each row (RLE; absent when every row is older than any snapshot).
 *
 * Last come shreds: a path of keys that most documents of a jsonb column have, as a column of text.
 * Each row's is exactly what doc -> 'a' ->> 'b' gives of its document, which stays whole beside it.
 * The writer chooses them; a segment may have none.
 */
#ifndef KD_STORE_SEGMENT_H
#define KD_STORE_SEGMENT_H

#include "store/block_cache.h"
#include "store/damage.h"
#include "types/vector.h"

enum {
    KD_BLOCK_ROWS = 16 * KD_VECTOR_ROWS,
    KD_SEGMENT_ROWS_MAX = 1 << 20,
    KD_SEGMENT_COLUMNS_MAX = 1600,
};

typedef struct kd_segment kd_segment;
typedef struct kd_segment_writer kd_segment_writer;

/* Where the files of a database are. One per database; immutable after opening. */
typedef struct kd_segment_options {
    const char *directory; /* Segment files live here as "<unit, 10 hex digits>.seg". */
    kd_block_cache *cache;
    /* Part of every block's identity: a foreign segment is refused. 0, for checks without a root:
     * what the file itself says. */
    uint64_t database_id;
    kd_account *account;
} kd_segment_options;

typedef struct kd_segment_shape {
    uint64_t unit;
    uint32_t table_no;
    uint32_t schema_version;
    uint32_t column_count;
    const kd_type *types;       /* column_count of them; copied. */
    const uint32_t *column_nos; /* The table's stable column numbers; copied. */
} kd_segment_shape;

/* --- Writing: one thread. The file is complete and durable only after finish. --- */

kd_status kd_segment_writer_create(kd_ctx *ctx, const kd_segment_options *options,
                                   const kd_segment_shape *shape,
                                   kd_segment_writer **out_writer) KD_MUST_CHECK;
/* Rows in their final order. `begin_stamps` has one entry per selected row, or NULL for
 * all-visible (0). Stops with KD_LIMIT past KD_SEGMENT_ROWS_MAX. */
kd_status kd_segment_writer_append(kd_ctx *ctx, kd_segment_writer *writer, const kd_batch *batch,
                                   const uint64_t *begin_stamps) KD_MUST_CHECK;
uint32_t kd_segment_writer_row_count(const kd_segment_writer *writer);
/* Encodes, writes, syncs file and directory. The writer is still to be destroyed. */
kd_status kd_segment_writer_finish(kd_ctx *ctx, kd_segment_writer *writer) KD_MUST_CHECK;
/* Removes the unfinished file. NULL is allowed. */
void kd_segment_writer_destroy(kd_segment_writer *writer);

/* --- Reading: any number of threads on one open segment. --- */

/* Reads and checks the footer. Missing file, foreign or damaged: KD_CORRUPT naming file and what.
 */
kd_status kd_segment_open(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                          kd_segment **out_segment) KD_MUST_CHECK;
/* In the place of a segment whose file kd_segment_open refused: it has as many rows as a segment
 * may have, and every read of one fails with KD_CORRUPT and `what`. */
kd_status kd_segment_open_lost(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                               const char *what, kd_segment **out_segment) KD_MUST_CHECK;
bool kd_segment_is_lost(const kd_segment *segment);
void kd_segment_close(kd_world *world,
                      kd_segment *segment); /* NULL is allowed; no pins are left. */
/* Deletes the file of a unit that nobody reads any more. */
kd_status kd_segment_remove(kd_ctx *ctx, const kd_segment_options *options,
                            uint64_t unit) KD_MUST_CHECK;

/* For whoever copies files: the file's path in `arena`; and whether it has its trailer, without
 * which nothing names it (false for a file that is not there). */
kd_status kd_segment_file_path(kd_ctx *ctx, kd_arena *arena, const kd_segment_options *options,
                               uint64_t unit, const char **out_path) KD_MUST_CHECK;
kd_status kd_segment_is_complete(kd_ctx *ctx, const kd_segment_options *options, uint64_t unit,
                                 bool *out_is_complete) KD_MUST_CHECK;

uint32_t kd_segment_row_count(const kd_segment *segment);
uint64_t kd_segment_size_bytes(const kd_segment *segment);
uint32_t kd_segment_column_count(const kd_segment *segment);
/* The segment's column that holds the table's column number, or -1 (added later). Of a lost segment
 * some column: who reads it fails, rather than to take the column for one that was added later. */
int kd_segment_find_column(const kd_segment *segment, uint32_t column_no);
kd_type kd_segment_column_type(const kd_segment *segment, uint32_t column);

/* The column of text that holds the path (kd_jsonb_keys) of the column of documents, to be read as
 * any other, or -1. */
int kd_segment_find_shred(const kd_segment *segment, uint32_t column_no, kd_slice keys);

/* Zone map of one block of one column. `has_bounds` is false when all rows are NULL or the type
 * keeps none. Strings' bounds may be cut (min rounded down, max up), then `exact` is false. */
typedef struct kd_zone_map {
    bool has_bounds;
    bool exact;
    uint32_t row_count;
    uint32_t null_count;
    uint32_t distinct_count; /* Estimated; 0: not known. */
    kd_value min;
    kd_value max;
} kd_zone_map;
kd_status kd_segment_zone_map(kd_ctx *ctx, const kd_segment *segment, uint32_t column,
                              uint32_t block, kd_zone_map *out_map) KD_MUST_CHECK;

/*
 * A reader decodes for one thread: it pins the cached blocks that its last
 * answers point into, until the next read of the same column slot or its end.
 */
typedef struct kd_segment_reader kd_segment_reader;
kd_status kd_segment_reader_create(kd_ctx *ctx, kd_arena *arena, kd_segment *segment,
                                   const uint32_t *columns, uint32_t column_count,
                                   kd_segment_reader **out_reader) KD_MUST_CHECK;
void kd_segment_reader_destroy(kd_segment_reader *reader); /* Unpins. NULL is allowed. */
/* Encoded bytes of the blocks that it has moved to. */
uint64_t kd_segment_reader_read_bytes(const kd_segment_reader *reader);
/* Rows first_row .. first_row + row_count - 1 of the reader's column `slot`, in whatever form is
 * cheapest (DICT codes, FRAME, CONSTANT or FLAT). first_row is a multiple of KD_VECTOR_ROWS;
 * row_count <= KD_BATCH_ROWS; the range must not cross a block border. The vector is valid until
 * the slot is read again. Blocks are checked (checksum, identity, bounds) when they enter the
 * cache. */
kd_status kd_segment_read(kd_ctx *ctx, kd_segment_reader *reader, uint32_t slot, uint32_t first_row,
                          uint32_t row_count, kd_vector *out_vector) KD_MUST_CHECK;
/* The same where only `rows` are asked for: ascending, counted from first_row. At other rows the
 * vector has any value that its form allows. */
kd_status kd_segment_read_rows(kd_ctx *ctx, kd_segment_reader *reader, uint32_t slot,
                               uint32_t first_row, uint32_t row_count, const uint16_t *rows,
                               uint32_t count, kd_vector *out_vector) KD_MUST_CHECK;
/* Begin stamps of the range; `*out_stamps` is NULL when all are 0. */
kd_status kd_segment_read_stamps(kd_ctx *ctx, kd_segment_reader *reader, uint32_t first_row,
                                 uint32_t row_count, const uint64_t **out_stamps) KD_MUST_CHECK;
/* One value without decoding its vector; string bytes are copied into `arena`. */
kd_status kd_segment_get(kd_ctx *ctx, kd_segment *segment, uint32_t column, uint32_t ordinal,
                         kd_arena *arena, kd_value *out_value) KD_MUST_CHECK;
kd_status kd_segment_get_stamp(kd_ctx *ctx, kd_segment *segment, uint32_t ordinal,
                               uint64_t *out_stamp) KD_MUST_CHECK;
/* Reads every block and checks it: names file, block, column of the first damage. */
kd_status kd_segment_check(kd_ctx *ctx, kd_segment *segment) KD_MUST_CHECK;
/* The same for one of its pieces (blocks, dictionaries, the footer) past the cache, counted from 0.
 * `*out_bytes` is what was read; a failure says in `out_damage` where. */
uint32_t kd_segment_piece_count(const kd_segment *segment);
kd_status kd_segment_check_piece(kd_ctx *ctx, kd_segment *segment, uint32_t piece,
                                 uint64_t *out_bytes, kd_damage *out_damage) KD_MUST_CHECK;

#endif
