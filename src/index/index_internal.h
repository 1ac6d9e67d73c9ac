/*
 * The parts of an index and how they are merged.
 *
 * What readers see is a version: in-memory trees and runs, newest first. Versions
 * are counted; a reader takes one and keeps it as long as it likes. Writers hold the
 * state lock shared from looking the version up until their entry is in its first
 * tree, so that whoever replaces the version (with the lock held exclusively) knows
 * that no more entries reach the old first tree.
 */
#ifndef KD_INDEX_INDEX_INTERNAL_H
#define KD_INDEX_INDEX_INTERNAL_H

#include "index/index.h"
#include "index/run.h"

enum {
    KDI_MANIFEST_FORMAT = 1,
    KDI_MANIFEST_BROKEN = 0,
    KDI_INDEX_TREES_MAX = 8,
    KDI_INDEX_SOURCES_MAX = KDI_INDEX_TREES_MAX + KD_INDEX_RUNS_MAX + 1,
    KDI_INDEX_LATCHES = 64,
};

typedef struct kdi_index_version {
    atomic_uint reference_count;
    uint32_t tree_count; /* 1 or more; the first takes writes. */
    uint32_t run_count;
    kdi_tree *trees[KDI_INDEX_TREES_MAX];
    kdi_run *runs[KD_INDEX_RUNS_MAX + 1];
} kdi_index_version;

struct kd_index {
    kd_world *world;
    kd_account *account;
    kd_segment_options files;
    uint64_t index_no;
    kd_rwlock state_lock;
    kdi_index_version *version; /* Guarded by state_lock. */
    kd_mutex maintenance;       /* Checkpoints, bulk loads: one at a time. Guards what follows. */
    uint32_t next_run_no;
    /* A part cannot be read: the manifests say so, and the next opening builds the index anew. */
    atomic_bool is_broken;
    char *damage; /* Why reads fail; heap. NULL: they do not. Set before anybody else is there. */
    uint32_t *obsolete_runs; /* Numbers of runs whose files may go; heap. */
    uint32_t obsolete_count, obsolete_capacity;
    /* Shared: whoever holds a key's latch. Exclusive: a bulk load that enters its run. */
    kd_rwlock gate;
    kd_mutex latches[KDI_INDEX_LATCHES];
};

/* Fails when reads do. */
kd_status kdi_index_is_whole(kd_ctx *ctx, const kd_index *index) KD_MUST_CHECK;
kdi_index_version *kdi_index_pin(kd_index *index);
void kdi_index_unpin(kd_index *index, kdi_index_version *version); /* NULL is allowed. */
/* A copy without trees and runs. */
kdi_index_version *kdi_index_version_create(kd_ctx *ctx, kd_index *index) KD_MUST_CHECK;
/* Puts the version in the place of the present one. Takes over the caller's reference. */
void kdi_index_install(kd_index *index, kdi_index_version *version);

/* Parts of `from`, from the given one on, into a version that was just created. */
void kdi_index_share_trees(kdi_index_version *to, const kdi_index_version *from, uint32_t first);
void kdi_index_share_runs(kdi_index_version *to, const kdi_index_version *from, uint32_t first);
/* As kd_index_find in the parts of one version, which the caller keeps. */
kd_status kdi_index_find_in(kd_ctx *ctx, const kdi_index_version *version, kd_slice key,
                            uint64_t *refs, uint32_t capacity, uint32_t *out_count) KD_MUST_CHECK;
kd_status kdi_index_remove_run_file(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                                    uint32_t run_no) KD_MUST_CHECK;
/* Merges where no more runs fit. `maintenance` is held. */
kd_status kdi_index_make_room(kd_ctx *ctx, kd_index *index) KD_MUST_CHECK;

/* --- Merging sources in order (index_merge.c) --- */

enum { KDI_MERGE_BATCH = 64 };

typedef struct kdi_merge_source {
    kdi_tree *tree; /* Or */
    kdi_run_cursor run;
    kdi_index_entry *entries; /* tree: a batch, KDI_MERGE_BATCH */
    uint32_t count, at;
    bool at_end; /* No further batch. */
    kd_buffer keys;
    kdi_index_entry head;
    bool has_head;
} kdi_merge_source;

typedef struct kdi_merge {
    bool descending;
    uint32_t source_count;
    kdi_merge_source *sources; /* Newest first. */
    kdi_index_entry last;      /* What next gave; its source advances with the next call. */
} kdi_merge;

/* Over trees and runs of a version from `first_tree` on, up to `run_limit` runs. They stay pinned
 * by the caller. */
kd_status kdi_merge_open(kd_ctx *ctx, kd_arena *arena, const kdi_index_version *version,
                         uint32_t first_tree, uint32_t run_limit, const kdi_tree_position *from,
                         kdi_merge *out_merge) KD_MUST_CHECK;
/* The newest of equal entries, removed ones too. The key is valid until the next call. */
kd_status kdi_merge_next(kd_ctx *ctx, kdi_merge *merge, kdi_index_entry *out_entry,
                         bool *out_end) KD_MUST_CHECK;
void kdi_merge_close(kdi_merge *merge);

#endif
