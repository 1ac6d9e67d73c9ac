/*
 * Tables: delta + segments + delete marks, and the indexes beside them.
 *
 * A table here is the storage of one table or partition: numbered columns of
 * types, no names of schemas, no expressions. What the catalog knows (defaults,
 * checks, foreign keys, generated columns) is done by the engine above; an
 * expression or partial index is an index over hidden stored columns that the
 * engine fills. NOT NULL and UNIQUE are kept here.
 *
 * Row references (kd_rowref) are 40 bits of unit and 24 of ordinal. They stay
 * valid while a transaction that got them is open: flush and compaction publish a
 * remap that the functions here follow.
 *
 * An index is ordered (one key per row) or inverted (a key for each item of its columns' values);
 * the definition of its columns says which.
 *
 * All functions may be called from any thread, with a kd_txn of that thread. Row
 * writers never wait for flush, compaction or readers.
 *
 * Halloween: a scan sees the table as of its opening: rows that its own
 * transaction adds after that do not appear in it.
 */
#ifndef KD_TABLE_TABLE_H
#define KD_TABLE_TABLE_H

#include "table/storage.h"
#include "types/item.h"
#include "types/vector.h"

typedef uint64_t kd_rowref;
enum { KD_ROWREF_ORDINAL_BITS = 24 };
#define KD_ROWREF_NONE UINT64_MAX

typedef struct kd_table kd_table;

/* --- Definition ------------------------------------------------------------------------------ */

/* A column as the storage knows it. `column_no` is never reused within a table. */
typedef struct kd_table_column {
    uint32_t column_no;
    kd_type type;
    bool not_null;    /* Checked on every write: 23502. */
    kd_slice name;    /* For messages. */
    kd_value missing; /* What rows older than the column have; usually NULL. */
} kd_table_column;

/* The columns that a caller works with, in its order: from the catalog's descriptor. */
typedef struct kd_table_shape {
    kd_slice table_name; /* For messages. */
    uint32_t column_count;
    const kd_table_column *columns;
} kd_table_shape;

/* Creates the storage of a table inside the transaction; `out_table_no` is new and unique for ever.
 * `sort_columns` (positions in `shape`, may be none) is the order of rows inside segments. */
kd_status kd_table_create(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                          const kd_table_shape *shape, const uint32_t *sort_columns,
                          uint32_t sort_column_count, uint64_t *out_table_no) KD_MUST_CHECK;
/* The caller holds KD_TABLE_EXCLUSIVE. Storage goes when no snapshot needs it any more. */
kd_status kd_table_drop(kd_ctx *ctx, kd_txn *txn, kd_table *table) KD_MUST_CHECK;
/* Adds a column (its `missing` serves the rows that are there). The caller holds EXCLUSIVE. */
kd_status kd_table_add_column(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                              const kd_table_column *column) KD_MUST_CHECK;
/* NULL when there is none of that number. The pointer is valid while the transaction is open. */
kd_table *kd_table_find(kd_storage *storage, uint64_t table_no);
uint64_t kd_table_no(const kd_table *table);

typedef struct kd_index_column {
    uint32_t column_no;
    kd_key_order order;
    kd_item_class items; /* Of an inverted index: how values are taken apart; else none. */
} kd_index_column;

typedef struct kd_index_definition {
    uint64_t index_no;     /* Given by kd_table_add_index. */
    kd_slice name;         /* The constraint or index: for 23505. */
    kd_slice columns_text; /* "a, b": for 23505's detail. */
    bool unique;
    bool deferrable; /* Of a unique one: a key that looks taken is noted, not refused. */
    bool exclusion;  /* Of a unique one: made by EXCLUDE, which its errors tell (23P01). */
    bool nulls_not_distinct;
    int64_t predicate_column_no; /* A hidden boolean column: rows where it is true; -1: all rows. */
    uint32_t column_count;
    const kd_index_column
        *columns; /* Of an inverted index: all have items, and it is not unique. */
} kd_index_definition;

static inline bool kd_index_is_inverted(const kd_index_definition *definition)
{
    return definition->column_count > 0 && definition->columns[0].items != KD_ITEMS_NONE;
}

/* Builds over all rows; the caller holds KD_TABLE_SHARE or EXCLUSIVE. 23505 for duplicates. */
kd_status kd_table_add_index(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                             const kd_index_definition *definition,
                             uint64_t *out_index_no) KD_MUST_CHECK;
kd_status kd_table_drop_index(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                              uint64_t index_no) KD_MUST_CHECK;
/* False once its DROP has been committed, also for snapshots from before: asking it is 40001. */
bool kd_table_has_index(kd_table *table, uint64_t index_no);

/* Gives an index the name and the columns' text of `definition`, from the commit on; nothing to do
 * when it has them. The caller holds KD_TABLE_EXCLUSIVE: writers tell the names in their errors. */
kd_status kd_table_rename_index(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                                const kd_index_definition *definition) KD_MUST_CHECK;

/* --- Writing rows ---------------------------------------------------------------------------- */

typedef struct kd_insert_outcome {
    kd_rowref ref; /* Of the new row, or of the row in the way. */
    bool inserted;
    uint64_t conflict_index_no; /* When not inserted. */
} kd_insert_outcome;

/*
 * Deferrable keys: a row enters though its key may be taken, and the doubt is noted. Whoever
 * ends the statement or the transaction takes the doubts and has them judged.
 */
typedef struct kd_key_doubt {
    uint64_t table_no;
    uint64_t index_no;
    kd_rowref ref; /* The row that came second. */
    kd_slice key;
} kd_key_doubt;

/* Those that came up since the last call, oldest first, in the transaction's arena. */
const kd_key_doubt *kd_table_doubts_take(kd_txn *txn, size_t *out_count);
/* Waits for in-flight owners of the key. 23505 when the row still stands and its key is taken; no
 * doubt is left when the row or the index has gone. */
kd_status kd_table_doubt_judge(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                               const kd_key_doubt *doubt) KD_MUST_CHECK;

/* What to do about a key that is taken: fail (NULL), or tell. `index_nos` lists the indexes whose
 * conflicts are told instead of failing; none listed means any. */
typedef struct kd_on_conflict {
    const uint64_t *index_nos;
    uint32_t index_count;
} kd_on_conflict;

/* One row; values in the shape's order, of its types. Waits for an in-flight owner of a unique key.
 * In the "tell" case the row in the way is committed or the transaction's own, and may be invisible
 * to the snapshot. */
kd_status kd_table_insert_row(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                              const kd_table_shape *shape, const kd_value *values,
                              const kd_on_conflict *on_conflict,
                              kd_insert_outcome *out_outcome) KD_MUST_CHECK;
/* The selected rows of a batch; the batch's columns are the shape's. `out_refs` may be NULL, else
 * room for selected_count. Large transactions go to private segments by themselves. */
kd_status kd_table_insert_batch(kd_ctx *ctx, kd_txn *txn, kd_table *table,
                                const kd_table_shape *shape, const kd_batch *batch,
                                kd_rowref *out_refs) KD_MUST_CHECK;
/* Bulk load: rows go straight to sorted, encoded segments, logged as installed units. Unique keys
 * are checked at finish. One loader per thread; several loaders of one transaction may run at once.
 */
typedef struct kd_bulk_load kd_bulk_load;
kd_status kd_bulk_load_begin(kd_ctx *ctx, kd_txn *txn, kd_table *table, const kd_table_shape *shape,
                             kd_bulk_load **out_load) KD_MUST_CHECK;
kd_status kd_bulk_load_append(kd_ctx *ctx, kd_bulk_load *load, const kd_batch *batch) KD_MUST_CHECK;
kd_status kd_bulk_load_finish(kd_ctx *ctx, kd_bulk_load *load) KD_MUST_CHECK;
void kd_bulk_load_destroy(kd_bulk_load *load); /* NULL is allowed; unfinished work is dropped. */

/*
 * Updating and deleting meet other writers: the row may be locked (wait), gone or
 * changed. READ COMMITTED callers look at the outcome: CHANGED says that a
 * committed transaction changed the row after the snapshot, and `newest` is where
 * it is now, so that they can look again and retry. SNAPSHOT and SERIALIZABLE fail
 * with 40001 instead. With `expected_newest` the caller says which version it has
 * looked at already (KD_ROWREF_NONE: the snapshot's).
 */
typedef enum kd_write_result {
    KD_WRITE_DONE = 0,
    KD_WRITE_CHANGED, /* Nothing was written; look at `newest` and decide again. */
    KD_WRITE_GONE,    /* Deleted by a committed transaction, or by this one. */
    KD_WRITE_SKIPPED, /* KD_WAIT_SKIP and somebody holds the row. */
} kd_write_result;

typedef struct kd_write_outcome {
    kd_write_result result;
    kd_rowref newest; /* CHANGED: the row's newest version. DONE (update): the new version. */
} kd_write_outcome;

kd_status kd_table_delete(kd_ctx *ctx, kd_txn *txn, kd_table *table, kd_rowref ref,
                          kd_write_outcome *out_outcome) KD_MUST_CHECK;
/* `column_nos`/`values`: the changed columns only. 23505/23502 as for insert. */
kd_status kd_table_update(kd_ctx *ctx, kd_txn *txn, kd_table *table, const kd_table_shape *shape,
                          kd_rowref ref, const uint32_t *shape_positions, const kd_value *values,
                          uint32_t changed_count, kd_write_outcome *out_outcome) KD_MUST_CHECK;

/* Modes: kd_row_lock in txn/txn.h. */
typedef enum kd_wait { KD_WAIT = 0, KD_WAIT_NOT /* 55P03 */, KD_WAIT_SKIP } kd_wait;
kd_status kd_table_lock_row(kd_ctx *ctx, kd_txn *txn, kd_table *table, kd_rowref ref,
                            kd_row_lock mode, kd_wait wait,
                            kd_write_outcome *out_outcome) KD_MUST_CHECK;

/* --- Reading rows ---------------------------------------------------------------------------- */

/* Prunes by zone maps; rows that do not match may still come. */
typedef enum kd_scan_test {
    KD_SCAN_EQUAL,
    KD_SCAN_LESS,
    KD_SCAN_LESS_EQUAL,
    KD_SCAN_GREATER,
    KD_SCAN_GREATER_EQUAL,
    KD_SCAN_IS_NULL,
    KD_SCAN_IS_NOT_NULL,
} kd_scan_test;
typedef struct kd_scan_filter {
    uint32_t shape_position;
    kd_scan_test test;
    kd_value value;
} kd_scan_filter;

/* A bound that becomes stricter while the scan runs, of a column of integers (int2 to int8, dates,
 * timestamps, fixed numerics, enums): blocks of segments in which no row is within it are left out.
 * Rows beyond it may come all the same. Set by one thread or several, read by all. */
typedef struct kd_scan_bound {
    bool is_least;    /* Values below it go; else those above. */
    bool keeps_nulls; /* Rows with NULL are wanted. */
    atomic_bool is_set;
    atomic_int_least64_t value;
} kd_scan_bound;

/* What a scan that may leave out damaged rows has left out. */
typedef struct kd_scan_skips {
    atomic_uint_least64_t rows;
    atomic_uint_least64_t blocks;
    atomic_uint_least64_t lost_segments; /* Nobody knows how many rows they had. */
} kd_scan_skips;

typedef struct kd_scan_spec {
    const kd_table_shape *shape;
    const uint32_t *positions; /* The shape's columns wanted, in output order; may be none. */
    const kd_slice
        *paths; /* Per position: keys (kd_jsonb_keys) below the column of documents, whose
                 * text is given instead (->>); empty: the column. NULL: no paths. */
    uint32_t position_count;
    const kd_scan_filter *filters; /* All must hold. */
    uint32_t filter_count;
    const kd_scan_bound *bound; /* NULL: none. With is_least the scan begins with what is newest. */
    uint32_t bound_position;    /* Of the shape. */
    bool with_refs;
    bool decodes_later;     /* Columns are asked for with kd_scan_reader_column. */
    kd_scan_skips *skips;   /* Damaged blocks are left out and counted; NULL: they fail. */
    uint32_t sample_stride; /* Not 0: one vector (one chunk of the delta) of so many, as a hash of
                             * their number draws them. */
    /* Whether a block of a segment, named by its first row, is read at all; NULL: every one is. May
     * be called by several threads at once. */
    kd_status (*block_test)(kd_ctx *ctx, void *object, kd_rowref first, bool *out_reads);
    void *block_test_object;
} kd_scan_spec;

typedef struct kd_table_scan kd_table_scan;
typedef struct kd_scan_reader kd_scan_reader;

/* The scan is shared by the readers of several threads; it pins what it reads until closed. `txn`
 * may be NULL with an explicit snapshot (time travel, checks of latest state: see kd_txn.h). */
kd_status kd_table_scan_open(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                             const kd_scan_spec *spec, kd_table_scan **out_scan) KD_MUST_CHECK;
void kd_table_scan_close(kd_table_scan *scan); /* NULL is allowed; readers are destroyed before. */
/* Rows that the scan may give, before filters: for progress and parallelism. */
uint64_t kd_table_scan_row_estimate(const kd_table_scan *scan);
/* One per thread; readers share the scan's morsels (a block of a segment, a chunk of the delta). */
kd_status kd_scan_reader_create(kd_ctx *ctx, kd_arena *arena, kd_table_scan *scan,
                                kd_scan_reader **out_reader) KD_MUST_CHECK;
void kd_scan_reader_destroy(kd_scan_reader *reader); /* NULL is allowed. */
/* The next batch of visible rows; vectors are valid until the next call. `out_refs` (may be NULL
 * unless with_refs) is indexed as the vectors' rows are. At the end `*out_end` is true. Never gives
 * a batch with nothing selected. */
kd_status kd_scan_reader_next(kd_ctx *ctx, kd_scan_reader *reader, kd_batch *out_batch,
                              const kd_rowref **out_refs, bool *out_end) KD_MUST_CHECK;

/* So far: encoded bytes of the blocks that it has touched, and bytes of rows in the delta. */
uint64_t kd_scan_reader_read_bytes(const kd_scan_reader *reader);

/* With decodes_later: makes `io_column`, column `position` of the last batch, good for `rows`
 * (ascending, among those selected; NULL: all), unless it has been asked for already: rows of later
 * calls are among those of earlier ones. */
kd_status kd_scan_reader_column(kd_ctx *ctx, kd_scan_reader *reader, uint32_t position,
                                const uint16_t *rows, uint32_t count,
                                kd_vector *io_column) KD_MUST_CHECK;

/* One row by reference, as the snapshot sees it (following remaps; with kd_table_latest also the
 * newest version of a row that was updated: writing to `ref` then tells where it is). Values are
 * copied into `arena`, one per position. */
kd_status kd_table_get(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                       kd_rowref ref, const kd_table_shape *shape, const uint32_t *positions,
                       uint32_t position_count, kd_value *out_values,
                       bool *out_visible) KD_MUST_CHECK;

/* Where a row is that the snapshot sees, from a reference to it or to an older version of it:
 * references of one row differ while it moves and is updated. False: it sees none. */
kd_status kd_table_find_place(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot, kd_rowref ref,
                              kd_rowref *out_place, bool *out_found) KD_MUST_CHECK;
/* Between these two no row moves, so that scans' references name the same row alike. The first
 * waits for a move that is under way; moves are put off meanwhile. */
void kd_table_hold_places(kd_table *table);
void kd_table_release_places(kd_table *table);

/* Exact key: the visible row, if any (unique indexes: at most one). */
kd_status kd_table_find_by_key(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                               uint64_t index_no, kd_slice key, kd_rowref *out_ref,
                               bool *out_found) KD_MUST_CHECK;
/* The same and kd_table_get in one step, for the short path: no allocation but strings' bytes in
 * `arena`. `out_ref` may be NULL. */
kd_status kd_table_get_by_key(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                              uint64_t index_no, kd_slice key, const kd_table_shape *shape,
                              const uint32_t *positions, uint32_t position_count,
                              kd_value *out_values, kd_rowref *out_ref,
                              bool *out_found) KD_MUST_CHECK;
/* The key of an index for given values (in the index's column order), in `out`; NULLs included. */
kd_status kd_table_index_key(kd_ctx *ctx, kd_table *table, uint64_t index_no,
                             const kd_value *values, uint32_t value_count,
                             kd_buffer *out) KD_MUST_CHECK;

/* Visible rows of a key range, in key order. */
typedef struct kd_index_scan kd_index_scan;
typedef struct kd_index_scan_range {
    kd_slice low, high; /* Encoded prefixes; data NULL: open. */
    bool low_exclusive, high_exclusive, descending;
} kd_index_scan_range;
kd_status kd_index_scan_open(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                             uint64_t index_no, const kd_index_scan_range *range,
                             kd_index_scan **out_scan) KD_MUST_CHECK;
kd_status kd_index_scan_next(kd_ctx *ctx, kd_index_scan *scan, kd_rowref *out_ref,
                             bool *out_end) KD_MUST_CHECK;
void kd_index_scan_close(kd_index_scan *scan); /* NULL is allowed. */

/* Rows that may satisfy a query of an inverted index, ascending, each once: all that the snapshot
 * sees and that do, and perhaps others; the caller tests them, and asks kd_table_get whether it
 * sees them. What the snapshot's own transaction adds later is not among them. */
kd_status kd_table_find_items(kd_ctx *ctx, kd_arena *arena, kd_table *table, kd_snapshot snapshot,
                              uint64_t index_no, const kd_item_node *query, kd_rowref **out_refs,
                              size_t *out_count) KD_MUST_CHECK;

/* What answering such a query costs, in rows of the table that are fetched one by one, and how many
 * rows it may give. From counts of the items, which are looked up. */
typedef struct kd_items_estimate {
    double cost, rows;
} kd_items_estimate;
kd_status kd_table_estimate_items(kd_ctx *ctx, kd_arena *arena, kd_table *table, uint64_t index_no,
                                  const kd_item_node *query,
                                  kd_items_estimate *out_estimate) KD_MUST_CHECK;

/* What is committed at the moment of looking, and the transaction's own work: for rows by
 * reference, under locks. A commit that is just being stamped may be seen in part: a row that it
 * updates shows neither version to a scan or a look-up by key. */
kd_snapshot kd_table_latest(kd_txn *txn);
/* Everything committed before the call, and the transaction's own work: for the scans and look-ups
 * of foreign-key checks, which read latest state under key locks. */
kd_snapshot kd_table_settled(kd_txn *txn);

/* --- Upkeep and numbers ---------------------------------------------------------------------- */

kd_status kd_table_flush(kd_ctx *ctx, kd_table *table) KD_MUST_CHECK;
kd_status kd_table_compact(kd_ctx *ctx, kd_table *table) KD_MUST_CHECK;
uint64_t kd_table_row_count_estimate(kd_table *table);
/* The newest commit that changed the table's rows: of those that a snapshot taken before the call
 * sees, none is newer. Snapshots at or behind it find the same rows. Moves change nothing. */
kd_stamp kd_table_changed(kd_table *table);
/* What the zone maps of a column say together. Blocks whose counts are not known are left out of
 * the distinct counts, and `blocks_known` says how many were not. */
typedef struct kd_column_zones {
    uint64_t row_count, null_count;
    uint64_t distinct_sum;   /* Of the blocks' counts: no more can be in the segments. */
    uint64_t distinct_apart; /* Of blocks whose values lie apart, or of one: no fewer are. */
    uint32_t block_count, blocks_known;
} kd_column_zones;
kd_status kd_table_column_zones(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                                uint32_t column_no, kd_column_zones *out_zones) KD_MUST_CHECK;

/* --- Sequences: values are handed out outside transactions and never twice ------------------- */

typedef struct kd_sequence_definition {
    int64_t start, increment, min, max;
    bool cycle;
} kd_sequence_definition;
kd_status kd_sequence_create(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                             const kd_sequence_definition *definition,
                             uint64_t *out_sequence_no) KD_MUST_CHECK;
kd_status kd_sequence_drop(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                           uint64_t sequence_no) KD_MUST_CHECK;
/* 2200H at the end of a sequence that does not cycle. */
kd_status kd_sequence_next(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                           int64_t *out_value) KD_MUST_CHECK;
kd_status kd_sequence_set(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no, int64_t value,
                          bool is_called) KD_MUST_CHECK;
kd_status kd_sequence_get(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                          kd_sequence_definition *out_definition, int64_t *out_last,
                          bool *out_is_called) KD_MUST_CHECK;
/* ALTER SEQUENCE: at once, not undone by a rollback (as setval). */
kd_status kd_sequence_alter(kd_ctx *ctx, kd_storage *storage, uint64_t sequence_no,
                            const kd_sequence_definition *definition) KD_MUST_CHECK;

#endif
