/*
 * Ordered indexes: key -> row reference.
 *
 * One in-memory part plus at most 8 immutable runs on disk, merged on their own
 * schedule, never rebuilt at open. Keys are memory-comparable bytes (kd_key_append),
 * at most KD_INDEX_KEY_BYTES_MAX; entries are (key, reference) pairs, both part of
 * the order, so equal keys may stand several times.
 *
 * An index knows nothing of visibility: it holds an entry for every version that
 * some snapshot may still see, and perhaps for some that none does. The table
 * checks each reference (and the key) against the row. Removals in runs are kept
 * as tombstones in the in-memory part until a merge.
 *
 * Thread-safe: any number of readers and writers. A cursor sees every entry that
 * was there from its opening to its end, and may or may not see others.
 */
#ifndef KD_INDEX_INDEX_H
#define KD_INDEX_INDEX_H

#include "base/bytes.h"
#include "base/heap.h"
#include "store/segment.h"

enum { KD_INDEX_KEY_BYTES_MAX = 8000, KD_INDEX_RUNS_MAX = 8 };

typedef struct kd_index kd_index;
typedef struct kd_index_cursor kd_index_cursor;

typedef struct kd_index_options {
    uint64_t index_no;
    const kd_segment_options *files; /* Runs live in the same directory as "<index>-<run>.run". */
    kd_account *account;
} kd_index_options;

kd_status kd_index_create(kd_ctx *ctx, const kd_index_options *options,
                          kd_index **out_index) KD_MUST_CHECK;
/* `manifest` is what kd_index_checkpoint gave. */
kd_status kd_index_open(kd_ctx *ctx, const kd_index_options *options, kd_slice manifest,
                        kd_index **out_index) KD_MUST_CHECK;
void kd_index_close(kd_world *world, kd_index *index); /* NULL is allowed. */

/*
 * Damage. A manifest may say that its index cannot be read whole: kd_index_open refuses it then as
 * it refuses a run that is damaged (KD_CORRUPT), and an empty one takes its place, whose runs get
 * numbers that the manifest's do not have.
 */
kd_status kd_index_create_after(kd_ctx *ctx, const kd_index_options *options, kd_slice manifest,
                                kd_index **out_index) KD_MUST_CHECK;
/* From now on reads fail with KD_CORRUPT and `what`; entries are still taken. Nobody else is there
 * yet. */
kd_status kd_index_set_damage(kd_ctx *ctx, kd_index *index, const char *what) KD_MUST_CHECK;
const char *kd_index_damage(const kd_index *index); /* NULL: none. */
/* The manifests from now on say that the index cannot be read whole. A checkpoint that finds it so
 * does the same, and succeeds. */
void kd_index_set_broken(kd_index *index);
bool kd_index_is_broken(const kd_index *index);
/* Deletes the runs of a dropped index. */
kd_status kd_index_remove_files(kd_ctx *ctx, const kd_index_options *options,
                                kd_slice manifest) KD_MUST_CHECK;
/* The paths of the runs that the manifest names, in `arena`: for whoever copies them. */
kd_status kd_index_file_paths(kd_ctx *ctx, kd_arena *arena, const kd_index_options *options,
                              kd_slice manifest, const char *const **out_paths,
                              uint32_t *out_count) KD_MUST_CHECK;

/* Over-long keys fail with 54000. Inserting an entry that is there already changes nothing. */
kd_status kd_index_insert(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t ref) KD_MUST_CHECK;
/* The same for many: those before one that fails are in. */
kd_status kd_index_insert_all(kd_ctx *ctx, kd_index *index, const kd_slice *keys,
                              const uint64_t *refs, uint32_t count) KD_MUST_CHECK;
/* Not there: nothing happens. */
kd_status kd_index_remove(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t ref) KD_MUST_CHECK;
/* For an entry that points at nothing any snapshot sees: it goes at once when it is still in
 * memory, and leaves no mark; else it stays until a checkpoint's `resolve` says that its reference
 * is gone. */
void kd_index_forget(kd_index *index, kd_slice key, uint64_t ref);
/* The latch of a key's bucket, for uniqueness checks: hold it from looking a key up until the new
 * entry is in. Never held over a wait. */
void kd_index_latch_key(kd_index *index, kd_slice key);
void kd_index_unlatch_key(kd_index *index, kd_slice key);

/*
 * Bulk loads: entries that come sorted by (key, ref) become a run, which nobody finds until it is
 * entered.
 */
typedef struct kd_index_run kd_index_run;
typedef kd_status (*kd_index_source)(kd_ctx *ctx, void *object, kd_slice *out_key,
                                     uint64_t *out_ref, bool *out_end);
kd_status kd_index_run_write(kd_ctx *ctx, kd_index *index, kd_index_source next, void *object,
                             kd_index_run **out_run) KD_MUST_CHECK;
/* Without any check. */
kd_status kd_index_run_enter(kd_ctx *ctx, kd_index_run *run) KD_MUST_CHECK;
/* Frees it; the file goes unless the run was entered. NULL is allowed. */
void kd_index_run_end(kd_index_run *run);

typedef struct kd_index_entry {
    kd_slice key;
    uint64_t ref;
    bool is_unique; /* The key may have no other owner. */
} kd_index_entry;
/* Told the references of other entries with the key of `entry`, each at least once; `*out_stop`:
 * the run cannot be entered now. Nothing is waited for in it: keys may be latched. */
typedef struct kd_index_judge {
    kd_status (*rows)(kd_ctx *ctx, void *object, const kd_index_entry *entry, const uint64_t *refs,
                      uint32_t count, bool *out_stop);
    void *object;
} kd_index_judge;
/* Enters the run when the judge lets every unique key of its entries pass, at a moment when nobody
 * else can enter one. */
kd_status kd_index_run_enter_unique(kd_ctx *ctx, kd_index_run *run, const kd_index_entry *entries,
                                    size_t count, const kd_index_judge *judge,
                                    bool *out_is_entered) KD_MUST_CHECK;

/* References of entries whose key equals `key`, at most `capacity`; `*out_count` may be larger than
 * capacity: call again with more room. The fast path of point reads: no allocation. */
kd_status kd_index_find(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t *refs,
                        uint32_t capacity, uint32_t *out_count) KD_MUST_CHECK;

/* All references of entries whose key equals `key`, ascending, in `arena`: for keys that many rows
 * have. */
kd_status kd_index_postings(kd_ctx *ctx, kd_arena *arena, kd_index *index, kd_slice key,
                            uint64_t **out_refs, size_t *out_count) KD_MUST_CHECK;
/* How many entries have the key: marks and entries that several parts hold are counted, too. Reads
 * two blocks of each run at most. */
kd_status kd_index_key_count(kd_ctx *ctx, kd_index *index, kd_slice key,
                             uint64_t *out_count) KD_MUST_CHECK;

typedef struct kd_index_range {
    kd_slice low; /* data NULL: open. A prefix of composite keys works as a bound. */
    kd_slice high;
    bool low_exclusive;  /* Exclusive bounds exclude every key that has the bound as its prefix. */
    bool high_exclusive; /* An inclusive high bound includes every key that it is a prefix of. */
    bool descending;
} kd_index_range;

kd_status kd_index_cursor_open(kd_ctx *ctx, kd_arena *arena, kd_index *index,
                               const kd_index_range *range,
                               kd_index_cursor **out_cursor) KD_MUST_CHECK;
/* The key is valid until the next call. At the end `*out_end` is true. */
kd_status kd_index_cursor_next(kd_ctx *ctx, kd_index_cursor *cursor, kd_slice *out_key,
                               uint64_t *out_ref, bool *out_end) KD_MUST_CHECK;
void kd_index_cursor_close(kd_index_cursor *cursor); /* NULL is allowed. */

/* Estimated number of entries, in memory and in runs. */
uint64_t kd_index_entry_count(kd_index *index);
size_t kd_index_memory_bytes(kd_index *index);
/* What its entries take, in memory and in files. */
uint64_t kd_index_size_bytes(kd_index *index);

/*
 * Checkpoint and merge. `resolve` maps a reference to where its row is now (after a
 * flush or compaction), or says that the row is gone for every snapshot; entries
 * are rewritten accordingly. Writes the in-memory part as a new run and merges
 * runs where there are too many (or all of them with `rewrite_all`, after which no
 * old reference is left). Writers go on meanwhile. `out_manifest` (in `arena`)
 * names the runs for the database root; old run files are deleted by
 * kd_index_release_old, once the root that names the new ones is durable.
 */
typedef enum kd_ref_fate { KD_REF_SAME, KD_REF_MOVED, KD_REF_GONE } kd_ref_fate;
typedef kd_ref_fate (*kd_ref_resolver)(void *object, uint64_t ref, uint64_t *out_ref);

kd_status kd_index_checkpoint(kd_ctx *ctx, kd_index *index, kd_ref_resolver resolve, void *object,
                              bool rewrite_all, kd_arena *arena,
                              kd_slice *out_manifest) KD_MUST_CHECK;
kd_status kd_index_release_old(kd_ctx *ctx, kd_index *index) KD_MUST_CHECK;
/* Reads every run block and checks checksums and order. */
kd_status kd_index_check(kd_ctx *ctx, kd_index *index) KD_MUST_CHECK;

/* A check's place: the next piece (block, footer) of a run, by numbers that stay when runs are
 * merged meanwhile. Begins as zeros. */
typedef struct kd_index_check_place {
    uint32_t run_no, piece;
} kd_index_check_place;
/* Checks one piece past the cache and moves on, or says that there is none any more. A failure says
 * in `out_damage` where. */
kd_status kd_index_check_piece(kd_ctx *ctx, kd_index *index, kd_index_check_place *io_place,
                               uint64_t *out_bytes, kd_damage *out_damage,
                               bool *out_end) KD_MUST_CHECK;
/* Checks a run's file that no index has open. */
kd_status kd_index_check_file(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                              uint32_t run_no, const kd_damage_watch *watch) KD_MUST_CHECK;

#endif
