/*
 * Checkpoints and merges: trees and runs become one new run.
 *
 * The tree that takes writes is set aside first: a version with an empty tree
 * before it is installed, and from then on nobody writes to the old one. Merging
 * reads the set-aside trees and the newest runs; a second version then puts the new
 * run in their place. When merging fails the set-aside trees stay where they are,
 * readable, and the next checkpoint takes them along.
 *
 * References are moved, and rows that are gone dropped, only when every run takes
 * part: else an older run could still hold the same entry under its old reference,
 * and the row would be found twice.
 */
#include "index/index_internal.h"

#include <assert.h>

typedef struct merge_job {
    kd_index *index;
    kd_ref_resolver resolve; /* NULL: references stay. */
    void *object;
    uint32_t run_limit; /* So many of the newest runs take part. */
    bool is_full;       /* All of them. */
    kdi_run_writer *writer;
    /* References of one key, once moved: heap. */
    kd_buffer group_key;
    uint64_t *group;
    size_t group_count, group_capacity;
} merge_job;

/* --- Setting the first tree aside --- */

void kdi_index_share_trees(kdi_index_version *to, const kdi_index_version *from, uint32_t first)
{
    for (uint32_t i = first; i < from->tree_count; i++)
        to->trees[to->tree_count++] = kdi_tree_ref(from->trees[i]);
}

void kdi_index_share_runs(kdi_index_version *to, const kdi_index_version *from, uint32_t first)
{
    for (uint32_t i = first; i < from->run_count; i++)
        to->runs[to->run_count++] = kdi_run_ref(from->runs[i]);
}

static kd_status set_tree_aside(kd_ctx *ctx, kd_index *index)
{
    kdi_index_version *old = index->version; /* Only we replace it. */
    if (kdi_tree_count(old->trees[0]) == 0 || old->tree_count == KDI_INDEX_TREES_MAX)
        return KD_OK;
    kdi_index_version *version = kdi_index_version_create(ctx, index);
    if (version == NULL)
        return KD_NOMEM;
    kd_status status = kdi_tree_create(ctx, index->account, &version->trees[0]);
    if (status != KD_OK) {
        kdi_index_unpin(index, version);
        return status;
    }
    version->tree_count = 1;
    kdi_index_share_trees(version, old, 0);
    kdi_index_share_runs(version, old, 0);
    kdi_index_install(index, version);
    return KD_OK;
}

/* --- Merging --- */

static void sift_down(uint64_t *refs, size_t at, size_t count)
{
    uint64_t ref = refs[at];
    for (size_t child = 2 * at + 1; child < count; at = child, child = 2 * at + 1) {
        if (child + 1 < count && refs[child + 1] > refs[child])
            child++;
        if (refs[child] <= ref)
            break;
        refs[at] = refs[child];
    }
    refs[at] = ref;
}

/* Heapsort: moved references of one key may be many, and there is no room beside them. */
static void sort_refs(uint64_t *refs, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = refs[i - 1] <= refs[i];
    if (sorted)
        return;
    for (size_t i = count / 2; i > 0; i--)
        sift_down(refs, i - 1, count);
    for (size_t i = count - 1; i > 0; i--) {
        uint64_t last = refs[i];
        refs[i] = refs[0];
        refs[0] = last;
        sift_down(refs, 0, i);
    }
}

static kd_status flush_group(kd_ctx *ctx, merge_job *job)
{
    sort_refs(job->group, job->group_count);
    for (size_t i = 0; i < job->group_count; i++)
        if (i == 0 || job->group[i] != job->group[i - 1])
            KD_TRY(kdi_run_writer_add(ctx, job->writer, kd_buffer_slice(&job->group_key),
                                      job->group[i], false));
    job->group_count = 0;
    return KD_OK;
}

static kd_status group_add(kd_ctx *ctx, merge_job *job, kd_slice key, uint64_t ref)
{
    if (job->group_count > 0 && !kd_slice_equal(kd_buffer_slice(&job->group_key), key))
        KD_TRY(flush_group(ctx, job));
    if (job->group_count == 0) {
        job->group_key.size_bytes = 0;
        KD_TRY(kd_buffer_append_slice(ctx, &job->group_key, key));
    }
    if (job->group_count == job->group_capacity) {
        size_t capacity = job->group_capacity == 0 ? 64 : job->group_capacity * 2;
        uint64_t *group =
            kd_heap_resize(ctx, job->index->account, job->group, capacity * sizeof *group);
        if (group == NULL)
            return KD_NOMEM;
        job->group = group;
        job->group_capacity = capacity;
    }
    job->group[job->group_count++] = ref;
    return KD_OK;
}

static kd_status merge_entry(kd_ctx *ctx, merge_job *job, const kdi_index_entry *entry)
{
    if (!job->is_full)
        return kdi_run_writer_add(ctx, job->writer, entry->key, entry->ref, entry->removed);
    if (entry->removed)
        return KD_OK; /* Nothing older is left that it could hide. */
    uint64_t ref = entry->ref;
    if (job->resolve != NULL) {
        uint64_t moved = ref;
        kd_ref_fate fate = job->resolve(job->object, ref, &moved);
        if (fate == KD_REF_GONE)
            return KD_OK;
        if (fate == KD_REF_MOVED)
            ref = moved;
    }
    return group_add(ctx, job, entry->key, ref);
}

static kd_status merge_all(kd_ctx *ctx, merge_job *job, kdi_merge *merge)
{
    enum { STEP = 4096 };
    for (uint64_t count = 0;; count++) {
        kdi_index_entry entry;
        bool end;
        if (count % STEP == 0)
            KD_TRY(kd_progress_add(ctx, count == 0 ? 0 : STEP));
        KD_TRY(kdi_merge_next(ctx, merge, &entry, &end));
        if (end)
            return flush_group(ctx, job);
        KD_TRY(merge_entry(ctx, job, &entry));
    }
}

/* Writes what takes part to a new run; `*out_run` is NULL when nothing was left. */
static kd_status write_merged(kd_ctx *ctx, merge_job *job, const kdi_index_version *version,
                              kd_arena *scratch, uint32_t run_no, kdi_run **out_run)
{
    kd_status status = KD_OK;
    kd_index *index = job->index;
    kdi_merge merge = {0};
    kdi_tree_position from = {.unbounded = true};
    *out_run = NULL;
    job->group_key = kd_buffer_in(scratch);
    KD_TRY_OUT(kdi_run_writer_create(ctx, &index->files, index->index_no, run_no, &job->writer));
    KD_TRY_OUT(kdi_merge_open(ctx, scratch, version, 1, job->run_limit, &from, &merge));
    KD_TRY_OUT(merge_all(ctx, job, &merge));
    if (kdi_run_writer_count(job->writer) == 0)
        goto out;
    KD_TRY_OUT(kdi_run_writer_finish(ctx, job->writer));
    KD_TRY_OUT(kdi_run_open(ctx, &index->files, index->index_no, run_no, out_run));

out:
    kdi_merge_close(&merge);
    kdi_run_writer_destroy(job->writer);
    job->writer = NULL;
    kd_heap_free(index->world, index->account, job->group);
    job->group = NULL;
    job->group_capacity = job->group_count = 0;
    return status;
}

static kd_status reserve_obsolete(kd_ctx *ctx, kd_index *index, uint32_t more)
{
    uint32_t needed = index->obsolete_count + more;
    if (needed <= index->obsolete_capacity)
        return KD_OK;
    uint32_t *runs = kd_heap_resize(ctx, index->account, index->obsolete_runs,
                                    (size_t)needed * 2 * sizeof *runs);
    if (runs == NULL)
        return KD_NOMEM;
    index->obsolete_runs = runs;
    index->obsolete_capacity = needed * 2;
    return KD_OK;
}

/* The run, if any, in the place of the set-aside trees and of the newest runs. Takes `run` over. */
static kd_status replace_parts(kd_ctx *ctx, kd_index *index, uint32_t merged_runs, kdi_run *run)
{
    kd_status status = reserve_obsolete(ctx, index, merged_runs);
    kdi_index_version *version = NULL;
    if (status == KD_OK) {
        version = kdi_index_version_create(ctx, index);
        status = version == NULL ? KD_NOMEM : KD_OK;
    }
    if (status != KD_OK) {
        kdi_run_unref(run);
        return status;
    }
    const kdi_index_version *old = index->version;
    for (uint32_t i = 0; i < merged_runs; i++)
        index->obsolete_runs[index->obsolete_count++] = kdi_run_no(old->runs[i]);
    version->tree_count = 1;
    version->trees[0] = kdi_tree_ref(old->trees[0]);
    if (run != NULL)
        version->runs[version->run_count++] = run;
    kdi_index_share_runs(version, old, merged_runs);
    kdi_index_install(index, version);
    return KD_OK;
}

/* Runs that take part: those that are not much larger than what is merged with them, and as many as
 * it takes to stay within the limit. */
static uint32_t choose_runs(const kdi_index_version *version, bool everything)
{
    uint64_t entries = 0;
    for (uint32_t i = 1; i < version->tree_count; i++)
        entries += kdi_tree_count(version->trees[i]);
    uint32_t count = 0;
    while (count < version->run_count) {
        bool too_many = version->run_count - count >= KD_INDEX_RUNS_MAX;
        uint64_t size = kdi_run_count(version->runs[count]);
        if (!everything && !too_many && size > 2 * entries)
            break;
        entries += size;
        count++;
    }
    return count;
}

/* The set-aside trees and so many of the newest runs become one run. */
static kd_status merge_parts(kd_ctx *ctx, kd_index *index, kd_ref_resolver resolve, void *object,
                             uint32_t run_limit)
{
    kdi_index_version *version = kdi_index_pin(index);
    kd_status status = KD_OK;
    kd_arena *scratch = NULL;
    merge_job job = {.index = index, .resolve = resolve, .object = object, .run_limit = run_limit};
    job.is_full = job.run_limit == version->run_count;
    if (version->tree_count == 1 && job.run_limit == 0)
        goto out;
    scratch = kd_arena_create(ctx, NULL, "index merge", KD_ARENA_UNLIMITED);
    if (scratch == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    uint32_t run_no = index->next_run_no++;
    kdi_run *run;
    KD_TRY_OUT(write_merged(ctx, &job, version, scratch, run_no, &run));
    KD_TRY_OUT(replace_parts(ctx, index, job.run_limit, run));

out:
    kd_arena_destroy(scratch);
    kdi_index_unpin(index, version);
    return status;
}

static kd_status write_manifest(kd_ctx *ctx, kd_index *index, kd_arena *arena,
                                kd_slice *out_manifest)
{
    kd_buffer out = kd_buffer_in(arena);
    const kdi_index_version *version = index->version; /* Only we replace it. */
    KD_TRY(kd_buffer_append_byte(
        ctx, &out, kd_index_is_broken(index) ? KDI_MANIFEST_BROKEN : KDI_MANIFEST_FORMAT));
    KD_TRY(kd_buffer_append_u32(ctx, &out, index->next_run_no));
    KD_TRY(kd_buffer_append_u32(ctx, &out, version->run_count));
    for (uint32_t i = 0; i < version->run_count; i++)
        KD_TRY(kd_buffer_append_u32(ctx, &out, kdi_run_no(version->runs[i])));
    *out_manifest = kd_buffer_slice(&out);
    return KD_OK;
}

static kd_status checkpoint_locked(kd_ctx *ctx, kd_index *index, kd_ref_resolver resolve,
                                   void *object, bool rewrite_all, kd_arena *arena,
                                   kd_slice *out_manifest)
{
    /* After failures no place may be left for one more tree: those set aside go first. */
    if (index->version->tree_count == KDI_INDEX_TREES_MAX)
        KD_TRY(merge_parts(ctx, index, resolve, object, choose_runs(index->version, rewrite_all)));
    KD_TRY(set_tree_aside(ctx, index));
    KD_TRY(merge_parts(ctx, index, resolve, object, choose_runs(index->version, rewrite_all)));
    return write_manifest(ctx, index, arena, out_manifest);
}

kd_status kd_index_checkpoint(kd_ctx *ctx, kd_index *index, kd_ref_resolver resolve, void *object,
                              bool rewrite_all, kd_arena *arena, kd_slice *out_manifest)
{
    *out_manifest = (kd_slice){0};
    kd_mutex_lock(&index->maintenance);
    kd_status status =
        checkpoint_locked(ctx, index, resolve, object, rewrite_all, arena, out_manifest);
    if (status == KD_CORRUPT) {
        /* The checkpoint goes on without it. */
        kd_error_clear(ctx);
        kd_index_set_broken(index);
        status = write_manifest(ctx, index, arena, out_manifest);
    }
    kd_mutex_unlock(&index->maintenance);
    return status;
}

/* --- Room for one more run --- */

/* The newest runs up to the first that is larger than all before it: what a load adds piece by
 * piece is merged as often as its size has digits, not once for every few pieces. */
static uint32_t choose_small_runs(const kdi_index_version *version)
{
    uint64_t entries = kdi_run_count(version->runs[0]);
    uint32_t count = 1;
    while (count < version->run_count &&
           (count == 1 || kdi_run_count(version->runs[count]) <= entries))
        entries += kdi_run_count(version->runs[count++]);
    return count;
}

kd_status kdi_index_make_room(kd_ctx *ctx, kd_index *index)
{
    if (index->version->run_count < KD_INDEX_RUNS_MAX)
        return KD_OK;
    return merge_parts(ctx, index, NULL, NULL, choose_small_runs(index->version));
}
