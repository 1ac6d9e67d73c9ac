/*
 * Inside module table: chunks, segments, unit lists, write sets, redo.
 *
 * Who may follow a pointer: everything reachable from a table (unit lists, chunks,
 * segments, index lists) is retired through kd_txn_retire when it is unlinked, so it
 * stays while any transaction or pin that could have reached it is there.
 *
 * Lock order: storage->structure, table->publish, table->lock, row latch; an index
 * key's latch comes before none of these and is never held over a wait.
 */
#ifndef KD_TABLE_TABLE_INTERNAL_H
#define KD_TABLE_TABLE_INTERNAL_H

#include "base/thread.h"
#include "index/index.h"
#include "store/root.h"
#include "table/table.h"
#include "table/usage.h"

#include <assert.h>
#include <stdatomic.h>

enum {
    KDI_CHUNK_SLOTS = 1024,
    KDI_CHUNK_SLOTS_FIRST = 64, /* Of a table's first chunk: most tables are small. */
    KDI_NEXT_STEPS_MAX = 1 << 24,
    KDI_DIRECTORY_BLOCK = 1024,
    KDI_DIRECTORY_BLOCKS = 4096,
};

/* Stamps of a row. A slot is EMPTY until its row is complete, DEAD when that never counts. Both
 * read as the in-flight work of a transaction that does not exist. */
#define KDI_STAMP_EMPTY (UINT64_MAX - 1)
#define KDI_STAMP_DEAD UINT64_MAX
/* In an end stamp in flight: the row's key goes away (a delete, or an update of key columns). */
#define KDI_STAMP_KEY ((kd_stamp)1 << 62)
#define KDI_STAMP_TXN_MASK (KDI_STAMP_KEY - 1)
#define KDI_SNAPSHOT_LATEST (KD_STAMP_IN_FLIGHT - 1)

static inline bool kdi_is_in_flight(kd_stamp stamp)
{
    return (stamp & KD_STAMP_IN_FLIGHT) != 0;
}

static inline uint64_t kdi_stamp_txn(kd_stamp stamp)
{
    return stamp & KDI_STAMP_TXN_MASK;
}

/* Whether the snapshot knows of what the stamp stands for. */
static inline bool kdi_stamp_seen(kd_stamp stamp, kd_snapshot snapshot)
{
    if (kdi_is_in_flight(stamp))
        return snapshot.txn_no != 0 && kdi_stamp_txn(stamp) == snapshot.txn_no;
    return stamp <= snapshot.stamp;
}

/* Whether somebody may see a version, or it may come to be the newest one again. Once it is over it
 * stays so: see kd_txn_live_snapshots. A slot that is dead, and never counted, is over. */
static inline bool kdi_version_is_seen(const kd_live_snapshots *live, kd_stamp begin, kd_stamp end)
{
    if (begin == KDI_STAMP_DEAD)
        return false;
    return kdi_is_in_flight(begin) || kdi_is_in_flight(end) ||
           kd_live_snapshots_see(live, begin, end);
}

static inline kd_rowref kdi_ref(uint64_t unit, uint32_t ordinal)
{
    return unit << KD_ROWREF_ORDINAL_BITS | ordinal;
}

static inline uint64_t kdi_ref_unit(kd_rowref ref)
{
    return ref >> KD_ROWREF_ORDINAL_BITS;
}

static inline uint32_t kdi_ref_ordinal(kd_rowref ref)
{
    return (uint32_t)(ref & ((1u << KD_ROWREF_ORDINAL_BITS) - 1));
}

/* --- Columns --------------------------------------------------------------------------------- */

/* One version of a table's columns; never changes, lives as long as the table. */
typedef struct kdi_column_set {
    uint32_t version; /* Counts from 0. */
    uint32_t count;
    kd_table_column *columns;
    uint8_t *physicals;
    uint32_t *widths;
} kdi_column_set;

/* The set's position of a column number, or -1. `hint` is where it probably is. */
int kdi_set_find(const kdi_column_set *set, uint32_t column_no, uint32_t hint);
kd_status kdi_set_make(kd_ctx *ctx, kd_arena *arena, const kd_table_column *columns, uint32_t count,
                       uint32_t version, kdi_column_set **out_set) KD_MUST_CHECK;
kd_status kdi_set_append(kd_ctx *ctx, const kdi_column_set *set, kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_set_read(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                       kdi_column_set **out_set) KD_MUST_CHECK;

/* --- Units of rows --------------------------------------------------------------------------- */

typedef struct kdi_string_block kdi_string_block;

/*
 * A delta chunk: rows together, columns apart inside it. A writer takes slots by
 * adding to `used`, fills them and then publishes the begin stamps; after that the
 * values of a slot never change. Nulls are bytes so that writers of neighbouring
 * slots do not share a word.
 */
typedef struct kdi_chunk {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint64_t unit;
    uint64_t born; /* Epoch. */
    uint32_t capacity;
    _Atomic uint32_t used; /* May stand above the capacity. */
    const kdi_column_set *set;
    _Atomic kd_stamp *begins;
    _Atomic kd_stamp *ends;
    _Atomic kd_rowref *nexts; /* Where the row's next version is. */
    char **values;
    uint8_t **nulls;
    void *memory;
    kd_mutex string_lock;
    kdi_string_block *strings;
    _Atomic uint64_t bytes;
} kdi_chunk;

kd_status kdi_chunk_create(kd_ctx *ctx, kd_storage *storage, uint64_t unit,
                           const kdi_column_set *set, uint32_t capacity,
                           kdi_chunk **out_chunk) KD_MUST_CHECK;
void kdi_chunk_destroy(void *chunk); /* NULL is allowed. */
/* Copies a physical value; `payload` is ignored for NULL. */
kd_status kdi_chunk_put(kd_ctx *ctx, kdi_chunk *chunk, uint32_t slot, uint32_t column,
                        const void *payload, bool is_null) KD_MUST_CHECK;
/* Points into the chunk. */
kd_value kdi_chunk_get(const kdi_chunk *chunk, uint32_t slot, uint32_t column);
static inline uint32_t kdi_chunk_used(kdi_chunk *chunk)
{
    uint32_t used = atomic_load_explicit(&chunk->used, memory_order_acquire);
    return used < chunk->capacity ? used : chunk->capacity;
}
static inline const void *kdi_chunk_payload(const kdi_chunk *chunk, uint32_t slot, uint32_t column)
{
    return chunk->values[column] + (size_t)slot * chunk->set->widths[column];
}
/* Rows first .. first + count - 1 for the log and the delta image, and back into empty slots. */
kd_status kdi_chunk_append_rows(kd_ctx *ctx, const kdi_chunk *chunk, uint32_t first, uint32_t count,
                                kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_chunk_read_rows(kd_ctx *ctx, kdi_chunk *chunk, uint32_t first, uint32_t count,
                              kd_reader *reader) KD_MUST_CHECK;

/*
 * Ends of 1,024 rows of a segment; made when the first of them is deleted. Once all of them lie
 * before every snapshot, bits say it: upkeep puts such a small form in the place of the stamps,
 * and the next delete brings them back.
 */
typedef struct kdi_mark_vector {
    kd_txn_garbage garbage;
    kd_storage *storage;
    _Atomic(_Atomic kd_rowref *) nexts;  /* KD_VECTOR_ROWS of them, or NULL. */
    uint64_t ended[KD_VECTOR_ROWS / 64]; /* The small form. */
    bool is_small;
    _Atomic kd_stamp ends[]; /* KD_VECTOR_ROWS of them, or none in the small form. */
} kdi_mark_vector;

/* The small form's ends stand for this stamp. */
#define KDI_STAMP_OLDEST ((kd_stamp)1)
static inline kd_stamp kdi_mark_end(const kdi_mark_vector *vector, uint32_t row)
{
    if (!vector->is_small)
        return atomic_load(&vector->ends[row]);
    return (vector->ended[row / 64] >> (row % 64) & 1) != 0 ? KDI_STAMP_OLDEST : KD_STAMP_NONE;
}

typedef struct kdi_segment {
    kd_txn_garbage garbage;
    kd_storage *storage;
    kd_table *table; /* Set while a bulk load is in flight. */
    uint64_t unit;
    _Atomic(kd_segment *) file; /* NULL while a large transaction still fills it. */
    _Atomic uint32_t row_count; /* Until then the most that it may get. */
    atomic_bool is_damaged;     /* A read of it failed: it is left where it is. */
    bool is_private;            /* Made by a large transaction, which logs it at its commit. */
    bool removes_file;          /* When the last reader has gone. */
    _Atomic kd_stamp begin; /* Of all rows: a bulk load's transaction. 0: rows have their own. */
    kd_stamp stamps_max;    /* Snapshots at or above need not look at the rows' begin stamps. */
    _Atomic uint32_t ended_count;
    /* So many had ended when too few of them were over for a compaction, and who was oldest then.
     */
    _Atomic uint32_t kept_ended;
    _Atomic kd_stamp kept_oldest;
    atomic_bool has_stamps; /* Vectors of marks may be in their large form. */
    uint32_t vector_count;
    _Atomic(kdi_mark_vector *) *marks;
} kdi_segment;

kd_status kdi_segment_open(kd_ctx *ctx, kd_storage *storage, uint64_t unit, kd_stamp begin,
                           kd_stamp stamps_max, kdi_segment **out_segment) KD_MUST_CHECK;
/* One without a file yet, in flight by `begin`; kdi_segment_complete opens the file. */
kd_status kdi_segment_make_private(kd_ctx *ctx, kd_storage *storage, uint64_t unit, kd_stamp begin,
                                   kdi_segment **out_segment) KD_MUST_CHECK;
kd_status kdi_segment_complete(kd_ctx *ctx, kdi_segment *segment) KD_MUST_CHECK;
void kdi_segment_close(void *segment); /* NULL is allowed. */
/* The row's end stamp; KD_STAMP_NONE where no mark is. */
kd_stamp kdi_segment_end(const kdi_segment *segment, uint32_t ordinal);
/* Makes the vector of marks, with stamps. Whoever writes one holds table->publish shared, unless
 * the segment is in flight or nobody else is there. */
kd_status kdi_segment_mark(kd_ctx *ctx, kdi_segment *segment, uint32_t ordinal,
                           _Atomic kd_stamp **out_end) KD_MUST_CHECK;
/* Gives vectors of marks that ended at or before `oldest` their small form. table->publish is held
 * exclusively, or nobody else is there. */
kd_status kdi_segment_shrink_marks(kd_ctx *ctx, kdi_segment *segment,
                                   kd_stamp oldest) KD_MUST_CHECK;
kd_status kdi_segment_begin(kd_ctx *ctx, const kdi_segment *segment, uint32_t ordinal,
                            kd_stamp newest_needed, kd_stamp *out_begin) KD_MUST_CHECK;

/* No run that a root names has references to what the image beside it says was moved: the replay of
 * the log may follow such a remap, nobody after it. */
enum { KDI_UNNAMED_BY_IMAGE = 1 };

/* Where the rows of a unit went. */
typedef struct kdi_remap {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint64_t unit;
    uint64_t epoch; /* Of the move: transactions that began before may hold old references. */
    /* When a checkpoint had rewritten all index runs: whoever began before may still read an old
     * version of an index. 0: not yet. Guarded by storage->checkpoint. */
    uint64_t unnamed_since;
    uint32_t count;
    kd_rowref refs[]; /* KD_ROWREF_NONE: seen by nobody any more. */
} kdi_remap;

kd_status kdi_remap_make(kd_ctx *ctx, kd_storage *storage, uint64_t unit, uint32_t count,
                         kdi_remap **out_remap) KD_MUST_CHECK;
void kdi_remap_destroy(void *remap);

/* What a table consists of at one moment; never changes. All arrays ascend by unit. The units stand
 * beside the pointers, so that a search reads a few neighbouring lines and none of the objects. */
typedef struct kdi_unit_list {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint64_t born; /* Epoch. */
    uint32_t segment_count, chunk_count, remap_count;
    uint32_t chunk_capacity;
    kdi_segment **segments;
    kdi_chunk **chunks;
    kdi_remap **remaps;
    uint64_t *segment_units;
    uint64_t *chunk_units;
    uint64_t *remap_units;
} kdi_unit_list;

/* A change of the list: everything may be empty. */
typedef struct kdi_unit_change {
    kdi_segment **add_segments;
    uint32_t add_segment_count;
    kdi_chunk *add_chunk;
    kdi_remap **add_remaps; /* Their units leave the list. Those without rows do not enter it. */
    uint32_t add_remap_count;
    const uint64_t *drop_remaps; /* Units, ascending. */
    uint32_t drop_remap_count;
    kdi_segment **drop_segments; /* A bulk load that did not happen. */
    uint32_t drop_segment_count;
} kdi_unit_change;
kd_status kdi_units_make(kd_ctx *ctx, kd_table *table, const kdi_unit_change *change,
                         kdi_unit_list **out_list) KD_MUST_CHECK;
/* Recovery is alone: its chunks are added to the list in place, while there is room. */
bool kdi_units_append(kd_table *table, kdi_chunk *chunk);
/* Puts the list in place of the old one, which was its base; table->lock is held. */
void kdi_units_publish(kd_table *table, kdi_unit_list *list);
void kdi_units_destroy(void *list);

struct kdi_write_set;
typedef struct kdi_place kdi_place;

/* --- Indexes --------------------------------------------------------------------------------- */

typedef struct kdi_index_texts kdi_index_texts;

/* Places in a copy of the counters (usage.h): of tables, and of indexes. A look-up of one key
 * counts once, as found or missed, and stands for a scan, an entry and a row. */
typedef enum kdi_usage_count {
    KDI_TABLE_SCANS = 0,
    KDI_TABLE_SCAN_ROWS,
    KDI_TABLE_INSERTED,
    KDI_TABLE_UPDATED,
    KDI_TABLE_DELETED,
    KDI_INDEX_SCANS = 0,
    KDI_INDEX_ENTRIES,
    KDI_INDEX_ROWS,
    KDI_INDEX_KEYS_FOUND,
    KDI_INDEX_KEYS_MISSED,
} kdi_usage_count;

enum { KDI_USAGE_COPIES = 8, KDI_USAGE_OWN_COPIES = 4, KDI_USAGE_COUNTS = 5 };

/* The gap keeps two copies off one cache line, wherever they begin. */
typedef struct kdi_usage_copy {
    _Atomic uint64_t counts[KDI_USAGE_COUNTS];
    char gap[64];
} kdi_usage_copy;

typedef struct kdi_usage {
    kdi_usage_copy copies[KDI_USAGE_COPIES];
} kdi_usage;

typedef struct kdi_searches {
    uint32_t count;
    kd_table_search items[KD_SEARCHES_MAX];
} kdi_searches;

typedef struct kdi_index {
    kd_txn_garbage garbage;
    kd_table *table;
    kd_index_definition definition; /* Copied into the table's arena. */
    kdi_index_texts *renaming;      /* By a transaction that is open; NULL: none. */
    kd_type *types;
    kd_index *index;
    kd_index_options options;
    kd_slice manifest; /* Of the last checkpoint, in `manifest_arena`; may be empty. */
    kd_arena *manifest_arena;
    atomic_bool is_dirty; /* Changed since the last checkpoint. */
    bool is_dropped;
    _Atomic kd_stamp created; /* In flight until its transaction commits. */
    bool is_stored;           /* It has a manifest: rows of a delta image are in it already. */
    kdi_usage usage;
    _Atomic uint64_t reads_before; /* Of the table, before there was the index. */
} kdi_index;

typedef struct kdi_index_list {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint32_t count;
    kdi_index *items[];
} kdi_index_list;

/* Rows of the table are changed by the commit of this stamp, which no snapshot sees yet. */
void kdi_table_note_change(kd_table *table, kd_stamp stamp);

kdi_index *kdi_index_find(kd_table *table, uint64_t index_no);
/* NULL with 40001: whoever asks knows the number from a catalog in which the index still is. */
kdi_index *kdi_index_get(kd_ctx *ctx, kd_table *table, uint64_t index_no);
/* One look-up of a key. */
void kdi_count_key(kdi_index *index, bool found);
/* A new index: from now on it is counted how its table is read. */
void kdi_usage_begin(kdi_index *index);
/* Whether foreign keys may refer to its key: whoever changes that takes a stronger row lock. */
static inline bool kdi_index_may_be_referenced(const kd_index_definition *definition)
{
    return definition->unique && !definition->deferrable;
}
kd_status kdi_index_make(kd_ctx *ctx, kd_table *table, const kd_index_definition *definition,
                         kd_slice manifest, kdi_index **out_index) KD_MUST_CHECK;
/* At an opening: one whose runs of `manifest` cannot be read, for the reason in `ctx`, which is
 * cleared. Its reads fail until it is built anew. */
kd_status kdi_index_make_damaged(kd_ctx *ctx, kd_table *table,
                                 const kd_index_definition *definition, kd_slice manifest,
                                 kdi_index **out_index) KD_MUST_CHECK;
/* A part of it cannot be read: the next root says so, and the next opening builds it anew. */
void kdi_index_break(kdi_index *index);
/* At the end of an opening: builds it from its table, when that can be read; else it stays as it
 * is.
 */
kd_status kdi_index_mend(kd_ctx *ctx, kdi_index *index) KD_MUST_CHECK;
void kdi_index_destroy(void *index);
/* Copies the texts and makes them the index's. */
kd_status kdi_index_set_texts(kd_ctx *ctx, kdi_index *index, kd_slice name,
                              kd_slice columns_text) KD_MUST_CHECK;
/* Takes it out of its table for good. */
kd_status kdi_index_unlink(kd_ctx *ctx, kdi_index *index) KD_MUST_CHECK;
/* Enters all rows of a segment, in flight by this transaction, checking unique keys. */
kd_status kdi_indexes_enter_segment(kd_ctx *ctx, struct kdi_write_set *writes, kd_table *table,
                                    kdi_segment *segment) KD_MUST_CHECK;
/* The same for a batch (its columns are those of `set`) whose selected rows are first, first + 1
 * and so on. */
kd_status kdi_indexes_enter_batch(kd_ctx *ctx, struct kdi_write_set *writes, kd_table *table,
                                  const kdi_column_set *set, const kd_batch *batch,
                                  kd_rowref first) KD_MUST_CHECK;
/* Enters all rows of a segment into every index: recovery. */
kd_status kdi_indexes_add_segment(kd_ctx *ctx, kd_table *table, kdi_segment *segment) KD_MUST_CHECK;
/* Adds or removes (one of the two is NULL). */
kd_status kdi_index_list_change(kd_ctx *ctx, kd_table *table, kdi_index *add,
                                kdi_index *remove) KD_MUST_CHECK;
kd_status kdi_index_definition_append(kd_ctx *ctx, const kd_index_definition *definition,
                                      kd_buffer *out) KD_MUST_CHECK;
kd_status kdi_index_definition_read(kd_ctx *ctx, kd_arena *arena, kd_reader *reader,
                                    kd_index_definition *out_definition) KD_MUST_CHECK;
/* Enters every row that the snapshot sees; 23505 when a unique key stands twice. */
kd_status kdi_index_build(kd_ctx *ctx, kdi_index *index, kd_snapshot snapshot) KD_MUST_CHECK;
/* A column's part of a row's keys: of an ordered index the next bytes of the only one. */
kd_status kdi_index_column_append(kd_ctx *ctx, const kdi_index *index, uint32_t column,
                                  kd_value *value, kd_key_list *keys) KD_MUST_CHECK;
/* The keys of a chunk's row in `out` (emptied first): one of an ordered index, any number,
 * ascending, of an inverted one; none when the index's predicate leaves the row out.
 * `*out_has_null` says that a column is NULL. */
kd_status kdi_index_keys_of(kd_ctx *ctx, const kdi_index *index, const kdi_chunk *chunk,
                            uint32_t slot, kd_key_list *out, bool *out_has_null) KD_MUST_CHECK;
/* The keys of any row, from its values; `arena` holds what they point at. */
kd_status kdi_index_keys_at(kd_ctx *ctx, kd_arena *arena, const kdi_index *index,
                            const kdi_place *place, kd_key_list *out) KD_MUST_CHECK;
/* Enters the rows of a chunk into every index (or those without stored runs), without any check:
 * recovery. */
kd_status kdi_indexes_add_rows(kd_ctx *ctx, kd_table *table, const kdi_chunk *chunk, uint32_t first,
                               uint32_t count, bool only_unstored, kd_key_list *keys) KD_MUST_CHECK;
/* Undoes a row of the first `index_count` indexes. */
void kdi_indexes_remove_row(kd_table *table, const kdi_chunk *chunk, uint32_t slot,
                            uint32_t index_count, kd_key_list *keys);

/* --- Tables and storage ---------------------------------------------------------------------- */

struct kd_table {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint64_t table_no;
    kd_arena *arena;              /* Definitions; whoever adds holds the table exclusively. */
    kd_mutex lock;                /* Changes of the unit list and of the active chunk. */
    kd_rwlock publish;            /* Shared: row writers and commits. Exclusive: a move of rows. */
    kd_mutex bulk;                /* Bulk loads of one transaction finish one after the other. */
    kd_mutex upkeep;              /* One flush or compaction at a time. */
    _Atomic uint32_t place_holds; /* Statements that keep rows from moving; grows under `upkeep`. */
    _Atomic(kdi_unit_list *) units;
    _Atomic(kdi_chunk *) active;
    _Atomic(const kdi_column_set *) set;
    const kdi_column_set **sets;
    size_t set_count, set_capacity;
    _Atomic size_t sets_committed; /* Those behind belong to a transaction in flight. */
    _Atomic(kdi_index_list *) indexes;
    uint32_t *sort_column_nos;
    uint32_t sort_column_count;
    _Atomic kd_stamp created;  /* In flight until its transaction commits. */
    _Atomic kd_stamp dropped;  /* KD_STAMP_NONE while it is there. */
    _Atomic int64_t row_count; /* An estimate. */
    _Atomic kd_stamp changed;  /* The newest commit that changed rows since the opening; 0: none. */
    _Atomic uint64_t delta_bytes;
    _Atomic uint64_t units_gone; /* Left without a remap: index runs may name them. */
    uint64_t units_gone_named;   /* As many had gone when all runs were rewritten; guarded by
                                  * storage->checkpoint. */
    kdi_usage usage;
    kd_mutex usage_lock;    /* Guards the rest. */
    kdi_searches *searches; /* NULL: none was noted. */
    kd_table_analysis analysis;
    uint64_t rows_changed_before; /* The last analysis. */
};

/* Number -> object without locks for readers; numbers are dense. */
typedef struct kdi_directory {
    kd_mutex lock;
    kd_storage *storage;
    _Atomic(_Atomic(void *) *) blocks[KDI_DIRECTORY_BLOCKS];
    _Atomic uint64_t end; /* Above every number in it. */
} kdi_directory;
void kdi_directory_init(kdi_directory *directory, kd_storage *storage);
void kdi_directory_clear(kdi_directory *directory);
void *kdi_directory_find(kdi_directory *directory, uint64_t number);
kd_status kdi_directory_put(kd_ctx *ctx, kdi_directory *directory, uint64_t number,
                            void *object) KD_MUST_CHECK;
void kdi_directory_remove(kdi_directory *directory, uint64_t number);

/* A file that no new root names; removed once such a root is durable. */
typedef struct kdi_doomed {
    struct kdi_doomed *next;
    uint64_t unit;     /* A segment, or 0. */
    uint64_t index_no; /* Runs of an index otherwise. */
    bool is_image;     /* The unit is a delta image. */
    size_t manifest_bytes;
    char manifest[];
} kdi_doomed;
/* Never fails: a file that could not be noted is an orphan for the next opening. */
void kdi_doom(kd_storage *storage, uint64_t unit, uint64_t index_no, kd_slice manifest);

typedef struct kdi_sequence {
    kd_txn_garbage garbage;
    kd_storage *storage;
    uint64_t sequence_no;
    kd_mutex lock;
    kd_sequence_definition definition;
    int64_t last;
    bool is_called;
    int64_t logged_ahead; /* Values that may still be handed out without logging. */
    _Atomic kd_stamp created, dropped;
} kdi_sequence;

/* What damage was met; see damage_log.c. */
enum { KDI_DAMAGE_RECORDS_MAX = 256 };
typedef struct kdi_damage_log {
    kd_mutex lock;
    kd_damage_record *records; /* Heap; made with the first. */
    uint32_t count;
} kdi_damage_log;

/* Where scrubbing is, and how much it may read; see scrub.c. */
typedef struct kdi_scrub {
    uint64_t table_at;
    bool has_segments; /* Of the table; its indexes come next. */
    uint64_t unit;
    uint32_t piece;
    uint32_t index_at;
    kd_index_check_place place;
    int64_t credit;
} kdi_scrub;

typedef struct kdi_scrubbing {
    _Atomic uint64_t bytes_per_second, interval_ns;
    kdi_scrub at; /* The upkeep thread's, like the two that follow. */
    uint64_t begun_ns, looked_ns;
    atomic_bool is_running;
    _Atomic uint64_t passes, bytes, found;
    _Atomic int64_t begun_at_us, ended_at_us;
} kdi_scrubbing;

struct kd_storage {
    kd_world *world;
    kd_storage_options options;
    kd_arena *arena;
    char *directory, *units_directory, *wal_directory;
    kd_account account;
    kd_governor *governor;
    kd_file *lock_file;
    uint64_t database_id;
    uint64_t root_generation;
    kd_block_cache *cache;
    kd_segment_options files;
    kd_txn_manager *txns;
    kd_wal *wal;
    _Atomic uint64_t next_unit, next_table_no, next_sequence_no, next_index_no;
    kdi_directory tables, sequences;
    kd_mutex structure;  /* From a structural commit's stamp to its publication. */
    kd_mutex checkpoint; /* One at a time. */
    kd_mutex serial;     /* From a SERIALIZABLE commit's validation until it is noted. */
    struct kdi_committed *committed; /* Write sets that later commits validate against. */
    bool is_recovering;
    _Atomic uint64_t checkpoint_count;
    kd_mutex doomed_lock;
    kdi_doomed *doomed;
    kdi_damage_log damages;
    kdi_scrubbing scrubbing;
    unsigned hold_count; /* Of kd_storage_hold_begin; checkpoint is held to change or use it. */
    uint64_t hold_no;    /* Of the last one. */
    /* An archive has the log before it and what that installed; UINT64_MAX: there is none. */
    _Atomic uint64_t archived_position;
    _Atomic uint64_t spared_bytes;        /* Of segments that only it still wants. */
    uint64_t image_unit;                  /* Of the delta image that the root names; 0: none. */
    _Atomic uint64_t checkpoint_position; /* Where replay begins; upkeep looks without a lock. */
    _Atomic uint64_t checkpoint_end;      /* The log's next position when it was done. */
    _Atomic uint64_t checkpoint_at_ns;    /* When the last checkpoint ended (or the opening). */
    _Atomic uint64_t checkpoint_ns;       /* As the option; may be changed. */
    _Atomic uint64_t
        settled_position; /* As long as the log ends here the root says everything; 0: never. */
    _Atomic uint64_t segment_count, segment_bytes, delta_bytes;
    _Atomic uint64_t slowed_at; /* What delta_bytes was when a writer was slowed last. */
    /* Upkeep thread. */
    kd_mutex upkeep_lock;
    kd_cond upkeep_cond;
    kd_thread *upkeep_thread;
    bool upkeep_stops;
};

/* Notes damage for whoever asks later; without memory, or past the most, it is not noted. */
void kdi_damage_note(kd_storage *storage, const kd_damage *damage, const char *what);
/* The same of the failure in `ctx`, about a segment or (`index` not NULL) an index. */
void kdi_damage_note_error(kd_ctx *ctx, const kd_table *table, uint64_t unit,
                           const struct kdi_index *index);

kd_status kdi_table_make(kd_ctx *ctx, kd_storage *storage, uint64_t table_no,
                         kd_table **out_table) KD_MUST_CHECK;
void kdi_table_destroy(void *table);
/* With its first `set_count` column sets. */
kd_status kdi_table_append(kd_ctx *ctx, const kd_table *table, size_t set_count,
                           kd_buffer *out) KD_MUST_CHECK;
/* Reads what kdi_table_append wrote and makes the table. */
kd_status kdi_table_read(kd_ctx *ctx, kd_storage *storage, kd_reader *reader,
                         kd_table **out_table) KD_MUST_CHECK;
kd_status kdi_table_set_push(kd_ctx *ctx, kd_table *table, const kdi_column_set *set) KD_MUST_CHECK;

/* --- Rows ------------------------------------------------------------------------------------ */

/* A row's place: a slot of a chunk or an ordinal of a segment. */
struct kdi_place {
    kdi_chunk *chunk; /* NULL for a segment's row. */
    kdi_segment *segment;
    uint32_t ordinal;
    kd_rowref ref; /* Where it really is. */
};

/* NULL: the list has no such chunk. */
kdi_chunk *kdi_chunk_by_unit(const kdi_unit_list *units, uint64_t unit);
/* Follows remaps. False when no snapshot in use can see the row. */
bool kdi_place_find(kd_table *table, kd_rowref ref, kdi_place *out_place);
/* The same in a list of units that the caller holds (NULL: nothing is found). */
bool kdi_place_find_in(const kdi_unit_list *units, kd_rowref ref, kdi_place *out_place);
kd_stamp kdi_place_end(const kdi_place *place);
/* Begin stamps at or below `newest_needed` may be given as 0. */
kd_status kdi_place_begin(kd_ctx *ctx, const kdi_place *place, kd_stamp newest_needed,
                          kd_stamp *out_begin) KD_MUST_CHECK;
kd_status kdi_place_end_cell(kd_ctx *ctx, const kdi_place *place,
                             _Atomic kd_stamp **out_cell) KD_MUST_CHECK;
kd_rowref kdi_place_next(const kdi_place *place);
kd_status kdi_place_set_next(kd_ctx *ctx, const kdi_place *place, kd_rowref next) KD_MUST_CHECK;
kd_status kdi_place_visible(kd_ctx *ctx, const kdi_place *place, kd_snapshot snapshot,
                            bool *out_visible) KD_MUST_CHECK;
/* One column of the row, copied into `arena`. */
kd_status kdi_place_value(kd_ctx *ctx, kd_arena *arena, const kdi_place *place,
                          const kd_table_column *column, uint32_t hint,
                          kd_value *out_value) KD_MUST_CHECK;
/* One value per position of `shape`. */
kd_status kdi_place_values(kd_ctx *ctx, kd_arena *arena, const kdi_place *place,
                           const kd_table_shape *shape, const uint32_t *positions,
                           uint32_t position_count, kd_value *out_values) KD_MUST_CHECK;
/* The newest committed (or own) version behind the row; KD_ROWREF_NONE when it was deleted.
 * table->publish is held shared: versions between leave the chain. */
kd_rowref kdi_newest_version(kd_table *table, const kdi_place *place);

/* Called before rows are written, without any latch: when the deltas take too much of the budget,
 * waits a little for a flush. */
void kdi_delta_slow(kd_ctx *ctx, kd_table *table);
/* Takes up to `wanted` neighbouring slots. */
kd_status kdi_delta_take(kd_ctx *ctx, kd_table *table, uint32_t wanted, kdi_chunk **out_chunk,
                         uint32_t *out_first, uint32_t *out_count) KD_MUST_CHECK;
/* No more slots are given out of the active chunk. */
void kdi_delta_seal(kd_table *table);
/* The chunk of a unit, made when absent: recovery. */
kd_status kdi_delta_chunk(kd_ctx *ctx, kd_table *table, uint64_t unit, uint32_t set_version,
                          kdi_chunk **out_chunk) KD_MUST_CHECK;

/* --- Write sets ------------------------------------------------------------------------------ */

/* A change that is not of rows: tables, indexes, segments, sequences. */
typedef struct kdi_structural {
    void (*committed)(void *object, kd_stamp stamp);
    void (*undone)(void *object);
} kdi_structural;

typedef enum kdi_write_kind {
    KDI_WRITE_INSERT,
    KDI_WRITE_END,
    KDI_WRITE_STRUCTURE,
    KDI_WRITE_PRIVATE, /* Rows of a private segment. */
} kdi_write_kind;

typedef struct kdi_write {
    kd_table *table;
    void *object; /* INSERT: the chunk. STRUCTURE: its object. PRIVATE: the segment. */
    const kdi_structural *structural;
    kd_rowref ref; /* END: the row. INSERT: the first slot. PRIVATE: the first row. */
    uint32_t count;
    uint32_t savepoint;
    kdi_write_kind kind;
} kdi_write;

typedef struct kdi_write_set kdi_write_set;
struct kdi_write_set {
    kd_txn *txn;
    kd_storage *storage;
    kdi_write *writes;
    size_t count, capacity;
    kd_key_list keys;     /* Scratch for index keys. */
    kd_key_list old_keys; /* Of versions that are cleaned away meanwhile. */
    kd_arena *scratch;    /* Reset between rows. */
    kd_key_doubt *doubts; /* Of deferrable keys, that nobody has taken yet. */
    size_t doubt_count, doubt_capacity;
    bool is_structural;
    bool holds_structure;
    uint64_t delta_bytes;                  /* Roughly what its rows take in the delta. */
    struct kdi_private_set *private;       /* NULL: none yet. */
    struct kdi_superseded_set *superseded; /* NULL: none yet. */
    /* SERIALIZABLE: what was read. */
    kd_mutex predicate_lock;
    struct kdi_predicate *predicates;
    kd_arena *predicate_arena;
    uint32_t predicate_count;
    struct kdi_committed *committed; /* Made before the stamp, filled after it. */
    bool holds_serial;
};

kd_status kdi_writes_get(kd_ctx *ctx, kd_txn *txn, kd_storage *storage,
                         kdi_write_set **out_writes) KD_MUST_CHECK;
kd_status kdi_writes_insert(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                            uint32_t first, uint32_t count) KD_MUST_CHECK;
/* Forgets the row noted last, which did not come to be. */
void kdi_writes_insert_drop(kdi_write_set *writes);
kd_status kdi_writes_end(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                         kd_rowref ref) KD_MUST_CHECK;
kd_status kdi_writes_structure(kd_ctx *ctx, kdi_write_set *writes, const kdi_structural *structural,
                               void *object) KD_MUST_CHECK;
/* A new entry of the current savepoint; the caller fills the rest. */
kd_status kdi_write_push(kd_ctx *ctx, kdi_write_set *writes, kdi_write_kind kind,
                         kdi_write **out_write) KD_MUST_CHECK;
/* Undoes everything from write `keep` on, newest first. */
void kdi_writes_undo(kdi_write_set *writes, size_t keep);

/*
 * private_rows.c: the rows of a large transaction that go to segments of its own. They are logged
 * by kdi_private_prepare, at the commit, as segments and ends.
 */
/* Whether a batch should go there. */
bool kdi_private_wanted(const kdi_write_set *writes, const kd_table *table);
kd_status kdi_private_insert(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                             const kd_table_shape *shape, const kd_batch *batch,
                             kd_rowref *out_refs) KD_MUST_CHECK;
/* Before the transaction looks at rows of its own private segments: their files are finished and
 * the rows that were rolled back have ended. */
kd_status kdi_private_settle(kd_ctx *ctx, kd_storage *storage, uint64_t txn_no) KD_MUST_CHECK;
/* Only the latter. */
kd_status kdi_private_bury(kd_ctx *ctx, kdi_write_set *writes) KD_MUST_CHECK;
/* Whether the segment is this transaction's and will be logged by its kdi_private_prepare. */
bool kdi_private_is_unlogged(const kdi_write_set *writes, const kdi_segment *segment);
kd_status kdi_private_prepare(kd_ctx *ctx, kdi_write_set *writes) KD_MUST_CHECK;
/* The rows of the write go; cannot fail. */
void kdi_private_undo(kdi_write_set *writes, const kdi_write *write);
void kdi_private_end(kdi_write_set *writes);
/* bulk_load.c: takes a segment of the transaction out of its table again. */
void kdi_segment_undone(void *segment);

/*
 * superseded.c: versions that their own transaction replaced.
 */
/* The row, whose end the transaction has just written, if it made it too. */
kd_status kdi_superseded_note(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                              const kdi_place *place) KD_MUST_CHECK;
/* A new version of a row. */
void kdi_superseded_made(kdi_write_set *writes, kd_rowref ref);
/* The row's end is undone. */
void kdi_superseded_undo(kdi_write_set *writes, kd_rowref ref);

/* --- Redo ------------------------------------------------------------------------------------ */

typedef enum kdi_redo {
    KDI_REDO_ROWS = 1,       /* table, unit, first slot, count, set version, rows */
    KDI_REDO_END = 2,        /* table, unit, ordinal */
    KDI_REDO_TABLE = 3,      /* definition */
    KDI_REDO_DROP = 4,       /* table */
    KDI_REDO_COLUMNS = 5,    /* table, column set */
    KDI_REDO_INDEX = 6,      /* table, definition */
    KDI_REDO_INDEX_DROP = 7, /* table, index */
    KDI_REDO_INSTALL = 8,    /* table, unit, stamps_max */
    KDI_REDO_MOVE = 9,       /* table, old unit, count, new references */
    KDI_REDO_SEQUENCE = 10,  /* number, state */
    KDI_REDO_SEQUENCE_DROP = 11,
    KDI_REDO_INDEX_NAME = 12, /* table, index, name, columns' text */
} kdi_redo;

kd_status kdi_redo_rows(kd_ctx *ctx, kd_txn *txn, const kd_table *table, const kdi_chunk *chunk,
                        uint32_t first, uint32_t count) KD_MUST_CHECK;
kd_status kdi_redo_numbers(kd_ctx *ctx, kd_txn *txn, kdi_redo op, const uint64_t *numbers,
                           uint32_t count) KD_MUST_CHECK;

/* insert.c: a row of the values of all columns of `set`, in flight, in every index. `on_conflict`
 * as for kd_table_insert_row. */
kd_status kdi_insert_values(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                            const kdi_column_set *set, const kd_value *values,
                            const kd_on_conflict *on_conflict,
                            kd_insert_outcome *out_outcome) KD_MUST_CHECK;
kd_status kdi_check_not_null(kd_ctx *ctx, const kd_table_shape *shape, uint32_t position,
                             bool is_null) KD_MUST_CHECK;

/* unique.c: enters row `slot` into all indexes, checking unique ones. A key that is taken gives
 * the row in the way and its index, one whose conflict `on_conflict` tells before any other; then
 * nothing of the row is left in any index. */
kd_status kdi_unique_enter(kd_ctx *ctx, kdi_write_set *writes, kd_table *table, kdi_chunk *chunk,
                           uint32_t slot, const kd_on_conflict *on_conflict,
                           kd_rowref *out_conflict, const kdi_index **out_index) KD_MUST_CHECK;
bool kdi_conflict_is_told(const kd_on_conflict *on_conflict, uint64_t index_no);
/* As kdi_unique_enter for one key of one index, for a row that is not in a chunk. */
kd_status kdi_unique_enter_key(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                               kdi_index *index, kd_slice key, bool is_checked, kd_rowref self,
                               kd_rowref *out_conflict) KD_MUST_CHECK;
/* Who owns the key that the rows at `refs` have: a row (of nobody else's transaction in flight), or
 * the number of a transaction that decides. Both empty: it is free. Waits for nobody. */
typedef struct kdi_key_state {
    kd_rowref conflict;
    uint64_t blocker;
} kdi_key_state;
kd_status kdi_unique_judge(kd_ctx *ctx, kdi_write_set *writes, kd_table *table,
                           const kd_rowref *refs, uint32_t count, kd_rowref self,
                           kdi_key_state *out_state) KD_MUST_CHECK;
/* One value of a key as messages show it, after a comma unless it is the first. */
kd_status kdi_key_value_text(kd_ctx *ctx, uint32_t position, const kd_value *value,
                             kd_buffer *out) KD_MUST_CHECK;
/* 23505, or 23P01 of an EXCLUDE, for a key whose values are `key`. */
kd_status kdi_key_taken(kd_ctx *ctx, const kd_index_definition *definition,
                        kd_slice key) KD_MUST_CHECK;
/* The same for the row at `place`. */
kd_status kdi_unique_fail(kd_ctx *ctx, kd_arena *scratch, const kdi_index *index,
                          const kdi_place *place) KD_MUST_CHECK;

/* serializable.c: what a SERIALIZABLE transaction reads, by the number in its snapshot; nothing
 * happens for others. Validation fails with 40001. */
kd_status kdi_serial_note_scan(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                               const kd_scan_spec *spec) KD_MUST_CHECK;
/* `high` NULL data: open. For one key both are the key. */
kd_status kdi_serial_note_range(kd_ctx *ctx, kd_table *table, kd_snapshot snapshot,
                                uint64_t index_no, kd_slice low, kd_slice high) KD_MUST_CHECK;
kd_status kdi_serial_validate(kd_ctx *ctx, kdi_write_set *writes) KD_MUST_CHECK;
void kdi_serial_committed(kdi_write_set *writes, kd_stamp stamp);
void kdi_serial_end(kdi_write_set *writes);
void kdi_serial_clear(kd_storage *storage);

/* recovery.c: loads what the root's body names, opens the log and replays it. */
kd_status kdi_recover(kd_ctx *ctx, kd_storage *storage, kd_slice root_body) KD_MUST_CHECK;
/* row_move.c: what was taken out of units went to new segments. Publishes segments and remaps and
 * carries end stamps and locks along. table->publish is held exclusively (or nobody else is there).
 * Without `adds_segments` they are in the list already. The segments and remaps belong to the table
 * afterwards (a remap without rows is gone); on failure nothing has changed. */
kd_status kdi_move_publish(kd_ctx *ctx, kd_table *table, kdi_segment **segments,
                           uint32_t segment_count, bool adds_segments, kdi_remap **remaps,
                           uint32_t remap_count) KD_MUST_CHECK;
kd_status kdi_sequence_append(kd_ctx *ctx, const kdi_sequence *sequence,
                              kd_buffer *out) KD_MUST_CHECK;
/* Makes the sequence (in flight) when it is not there. */
kd_status kdi_sequence_apply(kd_ctx *ctx, kd_storage *storage, kd_reader *reader,
                             kdi_sequence **out_sequence) KD_MUST_CHECK;
void kdi_sequence_destroy(void *sequence);

#endif
