/*
 * An index: its versions, single entries, and exact finds.
 */
#include "index/index_internal.h"

#include "base/hash.h"
#include "base/world.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { HITS_BATCH = 16 };

/* --- Versions --- */

kdi_index_version *kdi_index_pin(kd_index *index)
{
    kd_rwlock_lock_shared(&index->state_lock);
    kdi_index_version *version = index->version;
    atomic_fetch_add_explicit(&version->reference_count, 1, memory_order_relaxed);
    kd_rwlock_unlock_shared(&index->state_lock);
    return version;
}

void kdi_index_unpin(kd_index *index, kdi_index_version *version)
{
    if (version == NULL ||
        atomic_fetch_sub_explicit(&version->reference_count, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < version->tree_count; i++)
        kdi_tree_unref(version->trees[i]);
    for (uint32_t i = 0; i < version->run_count; i++)
        kdi_run_unref(version->runs[i]);
    kd_heap_free(index->world, index->account, version);
}

kdi_index_version *kdi_index_version_create(kd_ctx *ctx, kd_index *index)
{
    kdi_index_version *version = KD_HEAP_NEW(ctx, index->account, kdi_index_version);
    if (version != NULL)
        atomic_init(&version->reference_count, 1);
    return version;
}

void kdi_index_install(kd_index *index, kdi_index_version *version)
{
    assert(version->tree_count > 0);
    kd_rwlock_lock_exclusive(&index->state_lock);
    kdi_index_version *old = index->version;
    index->version = version;
    kd_rwlock_unlock_exclusive(&index->state_lock);
    kdi_index_unpin(index, old);
}

/* --- Create, open, close --- */

kd_status kd_index_create(kd_ctx *ctx, const kd_index_options *options, kd_index **out_index)
{
    kd_status status = KD_OK;
    *out_index = NULL;
    kd_index *index = KD_HEAP_NEW(ctx, options->account, kd_index);
    if (index == NULL)
        return KD_NOMEM;
    index->world = ctx->world;
    index->account = options->account;
    if (options->files != NULL)
        index->files = *options->files;
    index->index_no = options->index_no;
    index->next_run_no = 1;
    kd_rwlock_init(&index->state_lock, ctx->world);
    kd_rwlock_init(&index->gate, ctx->world);
    kd_mutex_init(&index->maintenance, ctx->world);
    for (int i = 0; i < KDI_INDEX_LATCHES; i++)
        kd_mutex_init(&index->latches[i], ctx->world);
    index->version = kdi_index_version_create(ctx, index);
    if (index->version == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(kdi_tree_create(ctx, index->account, &index->version->trees[0]));
    index->version->tree_count = 1;
    *out_index = index;
    index = NULL;

out:
    kd_index_close(ctx->world, index);
    return status;
}

kd_status kd_index_set_damage(kd_ctx *ctx, kd_index *index, const char *what)
{
    size_t size = strlen(what) + 1;
    char *copy = kd_heap_alloc(ctx, index->account, size);
    if (copy == NULL)
        return KD_NOMEM;
    memcpy(copy, what, size);
    kd_heap_free(index->world, index->account, index->damage);
    index->damage = copy;
    kd_index_set_broken(index);
    return KD_OK;
}

const char *kd_index_damage(const kd_index *index)
{
    return index->damage;
}

void kd_index_set_broken(kd_index *index)
{
    atomic_store(&index->is_broken, true);
}

bool kd_index_is_broken(const kd_index *index)
{
    return atomic_load(&index->is_broken);
}

kd_status kdi_index_is_whole(kd_ctx *ctx, const kd_index *index)
{
    if (index->damage == NULL)
        return KD_OK;
    return KD_FAIL(ctx, KD_CORRUPT, "XX001", "%s", index->damage);
}

/* Manifest: format 1 byte (0: as 1, of an index that cannot be read whole), next run number 4, run
 * count 4, then the runs' numbers, newest first. */
static kd_status read_manifest(kd_ctx *ctx, kd_slice manifest, uint32_t *out_next_run_no,
                               uint32_t *out_count, uint32_t run_nos[KD_INDEX_RUNS_MAX + 1],
                               bool *out_is_broken)
{
    kd_reader reader = kd_reader_of(manifest);
    *out_count = 0;
    *out_next_run_no = 1;
    *out_is_broken = false;
    if (manifest.size_bytes == 0)
        return KD_OK;
    uint8_t format = kd_read_u8(&reader);
    *out_next_run_no = kd_read_u32(&reader);
    uint32_t count = kd_read_u32(&reader);
    *out_is_broken = format == KDI_MANIFEST_BROKEN;
    if ((format != KDI_MANIFEST_FORMAT && !*out_is_broken) || count > KD_INDEX_RUNS_MAX)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the list of an index's runs is damaged");
    for (uint32_t i = 0; i < count; i++)
        run_nos[i] = kd_read_u32(&reader);
    if (reader.failed || reader.at != reader.end)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "the list of an index's runs is damaged");
    *out_count = count;
    return KD_OK;
}

kd_status kd_index_open(kd_ctx *ctx, const kd_index_options *options, kd_slice manifest,
                        kd_index **out_index)
{
    kd_status status = KD_OK;
    kd_index *index = NULL;
    uint32_t run_nos[KD_INDEX_RUNS_MAX + 1], count, next_run_no;
    bool is_broken;
    *out_index = NULL;
    KD_TRY_OUT(read_manifest(ctx, manifest, &next_run_no, &count, run_nos, &is_broken));
    if (is_broken) {
        status = KD_FAIL(ctx, KD_CORRUPT, "XX001", "a run of index %llu was found damaged",
                         (unsigned long long)options->index_no);
        goto out;
    }
    KD_TRY_OUT(kd_index_create(ctx, options, &index));
    index->next_run_no = next_run_no;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY_OUT(kdi_run_open(ctx, &index->files, index->index_no, run_nos[i],
                                &index->version->runs[i]));
        index->version->run_count = i + 1;
    }
    *out_index = index;
    index = NULL;

out:
    kd_index_close(ctx->world, index);
    return status;
}

kd_status kd_index_create_after(kd_ctx *ctx, const kd_index_options *options, kd_slice manifest,
                                kd_index **out_index)
{
    uint32_t run_nos[KD_INDEX_RUNS_MAX + 1], count, next_run_no;
    bool is_broken;
    *out_index = NULL;
    KD_TRY(read_manifest(ctx, manifest, &next_run_no, &count, run_nos, &is_broken));
    KD_TRY(kd_index_create(ctx, options, out_index));
    (*out_index)->next_run_no = next_run_no;
    return KD_OK;
}

void kd_index_close(kd_world *world, kd_index *index)
{
    if (index == NULL)
        return;
    kd_heap_free(world, index->account, index->damage);
    kdi_index_unpin(index, index->version);
    for (int i = 0; i < KDI_INDEX_LATCHES; i++)
        kd_mutex_clear(&index->latches[i]);
    kd_mutex_clear(&index->maintenance);
    kd_rwlock_clear(&index->gate);
    kd_rwlock_clear(&index->state_lock);
    kd_heap_free(world, index->account, index->obsolete_runs);
    kd_heap_free(world, index->account, index);
}

kd_status kdi_index_remove_run_file(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                                    uint32_t run_no)
{
    char path[KDI_RUN_PATH_BYTES];
    bool exists;
    KD_TRY(kdi_run_path(ctx, files->directory, index_no, run_no, path));
    KD_TRY(ctx->world->path_exists(ctx, path, &exists));
    return exists ? ctx->world->path_remove(ctx, path) : KD_OK;
}

kd_status kd_index_remove_files(kd_ctx *ctx, const kd_index_options *options, kd_slice manifest)
{
    uint32_t run_nos[KD_INDEX_RUNS_MAX + 1], count, next_run_no;
    bool is_broken;
    KD_TRY(read_manifest(ctx, manifest, &next_run_no, &count, run_nos, &is_broken));
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kdi_index_remove_run_file(ctx, options->files, options->index_no, run_nos[i]));
    return KD_OK;
}

kd_status kd_index_file_paths(kd_ctx *ctx, kd_arena *arena, const kd_index_options *options,
                              kd_slice manifest, const char *const **out_paths, uint32_t *out_count)
{
    uint32_t run_nos[KD_INDEX_RUNS_MAX + 1], next_run_no;
    char path[KDI_RUN_PATH_BYTES];
    bool is_broken;
    *out_paths = NULL;
    KD_TRY(read_manifest(ctx, manifest, &next_run_no, out_count, run_nos, &is_broken));
    const char **paths = KD_NEW_ARRAY(ctx, arena, const char *, *out_count + 1);
    if (paths == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < *out_count; i++) {
        KD_TRY(kdi_run_path(ctx, options->files->directory, options->index_no, run_nos[i], path));
        paths[i] = kd_copy_text(ctx, arena, path, strlen(path));
        if (paths[i] == NULL)
            return KD_NOMEM;
    }
    *out_paths = paths;
    return KD_OK;
}

kd_status kd_index_release_old(kd_ctx *ctx, kd_index *index)
{
    kd_status status = KD_OK;
    kd_mutex_lock(&index->maintenance);
    while (status == KD_OK && index->obsolete_count > 0) {
        status = kdi_index_remove_run_file(ctx, &index->files, index->index_no,
                                           index->obsolete_runs[index->obsolete_count - 1]);
        if (status == KD_OK)
            index->obsolete_count--;
    }
    kd_mutex_unlock(&index->maintenance);
    return status;
}

/* --- Entries --- */

static kd_status check_key(kd_ctx *ctx, kd_slice key)
{
    if (key.size_bytes <= KD_INDEX_KEY_BYTES_MAX)
        return KD_OK;
    return KD_FAIL(ctx, KD_LIMIT, "54000", "index row size %zu exceeds maximum %d for an index",
                   key.size_bytes, KD_INDEX_KEY_BYTES_MAX);
}

kd_status kd_index_insert(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t ref)
{
    KD_TRY(check_key(ctx, key));
    kd_rwlock_lock_shared(&index->state_lock);
    kd_status status = kdi_tree_put(ctx, index->version->trees[0], key, ref, false);
    kd_rwlock_unlock_shared(&index->state_lock);
    return status;
}

kd_status kd_index_insert_all(kd_ctx *ctx, kd_index *index, const kd_slice *keys,
                              const uint64_t *refs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(check_key(ctx, keys[i]));
    kd_rwlock_lock_shared(&index->state_lock);
    kd_status status = kdi_tree_put_all(ctx, index->version->trees[0], keys, refs, count);
    kd_rwlock_unlock_shared(&index->state_lock);
    return status;
}

kd_status kd_index_remove(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t ref)
{
    kd_status status = KD_OK;
    KD_TRY(check_key(ctx, key));
    kd_rwlock_lock_shared(&index->state_lock);
    kdi_index_version *version = index->version;
    /* Older parts may hold the entry: then it is only marked. */
    if (version->tree_count == 1 && version->run_count == 0)
        kdi_tree_delete(version->trees[0], key, ref);
    else
        status = kdi_tree_put(ctx, version->trees[0], key, ref, true);
    kd_rwlock_unlock_shared(&index->state_lock);
    return status;
}

void kd_index_forget(kd_index *index, kd_slice key, uint64_t ref)
{
    if (key.size_bytes > KD_INDEX_KEY_BYTES_MAX)
        return; /* Never was. */
    kd_rwlock_lock_shared(&index->state_lock);
    kdi_tree_delete(index->version->trees[0], key, ref);
    kd_rwlock_unlock_shared(&index->state_lock);
}

static kd_mutex *latch_of(kd_index *index, kd_slice key)
{
    return &index->latches[kd_hash_bytes(key.data, key.size_bytes) % KDI_INDEX_LATCHES];
}

void kd_index_latch_key(kd_index *index, kd_slice key)
{
    kd_rwlock_lock_shared(&index->gate);
    kd_mutex_lock(latch_of(index, key));
}

void kd_index_unlatch_key(kd_index *index, kd_slice key)
{
    kd_mutex_unlock(latch_of(index, key));
    kd_rwlock_unlock_shared(&index->gate);
}

/* --- Finding --- */

typedef struct find_source {
    kdi_tree *tree; /* Or */
    kdi_run *run;
    uint32_t count, at;
    bool at_end;
    kdi_tree_hit hits[HITS_BATCH];
} find_source;

static kd_status find_fill(kd_ctx *ctx, find_source *source, kd_slice key, uint64_t from_ref)
{
    source->at = 0;
    if (source->tree != NULL)
        source->count = kdi_tree_find(source->tree, key, from_ref, source->hits, HITS_BATCH);
    else
        KD_TRY(kdi_run_find(ctx, source->run, key, from_ref, source->hits, HITS_BATCH,
                            &source->count));
    source->at_end = source->count < HITS_BATCH;
    return KD_OK;
}

/* Moves past a hit, fetching more where there may be more. */
static kd_status find_advance(kd_ctx *ctx, find_source *source, kd_slice key)
{
    uint64_t ref = source->hits[source->at++].ref;
    if (source->at < source->count || source->at_end || ref == UINT64_MAX)
        return KD_OK;
    return find_fill(ctx, source, key, ref + 1);
}

/* The sources that have the key at all, newest first. */
static kd_status find_sources(kd_ctx *ctx, const kdi_index_version *version, kd_slice key,
                              find_source *sources, uint32_t *out_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < version->tree_count + version->run_count; i++) {
        find_source *source = &sources[count];
        source->tree = i < version->tree_count ? version->trees[i] : NULL;
        source->run = source->tree != NULL ? NULL : version->runs[i - version->tree_count];
        if (source->tree != NULL && kdi_tree_count(source->tree) == 0)
            continue;
        KD_TRY(find_fill(ctx, source, key, 0));
        count += source->count > 0;
    }
    *out_count = count;
    return KD_OK;
}

/* All sources give references in ascending order; of equal ones the first source's counts. */
static kd_status find_merge(kd_ctx *ctx, find_source *sources, uint32_t source_count, kd_slice key,
                            uint64_t *refs, uint32_t capacity, uint32_t *out_count)
{
    for (;;) {
        const kdi_tree_hit *best = NULL;
        for (uint32_t i = 0; i < source_count; i++) {
            const find_source *source = &sources[i];
            if (source->at < source->count &&
                (best == NULL || source->hits[source->at].ref < best->ref))
                best = &source->hits[source->at];
        }
        if (best == NULL)
            return KD_OK;
        kdi_tree_hit hit = *best;
        for (uint32_t i = 0; i < source_count; i++) {
            find_source *source = &sources[i];
            if (source->at < source->count && source->hits[source->at].ref == hit.ref)
                KD_TRY(find_advance(ctx, source, key));
        }
        if (hit.removed)
            continue;
        if (*out_count < capacity)
            refs[*out_count] = hit.ref;
        (*out_count)++;
    }
}

kd_status kdi_index_find_in(kd_ctx *ctx, const kdi_index_version *version, kd_slice key,
                            uint64_t *refs, uint32_t capacity, uint32_t *out_count)
{
    find_source sources[KDI_INDEX_SOURCES_MAX];
    uint32_t source_count;
    *out_count = 0;
    KD_TRY(find_sources(ctx, version, key, sources, &source_count));
    return find_merge(ctx, sources, source_count, key, refs, capacity, out_count);
}

kd_status kd_index_find(kd_ctx *ctx, kd_index *index, kd_slice key, uint64_t *refs,
                        uint32_t capacity, uint32_t *out_count)
{
    *out_count = 0;
    KD_TRY(kdi_index_is_whole(ctx, index));
    kdi_index_version *version = kdi_index_pin(index);
    kd_status status = kdi_index_find_in(ctx, version, key, refs, capacity, out_count);
    kdi_index_unpin(index, version);
    if (status != KD_OK)
        *out_count = 0;
    return status;
}

/* --- Sizes and checks --- */

uint64_t kd_index_entry_count(kd_index *index)
{
    kdi_index_version *version = kdi_index_pin(index);
    uint64_t count = 0, removed = 0;
    for (uint32_t i = 0; i < version->tree_count; i++) {
        uint64_t marks = kdi_tree_removed_count(version->trees[i]);
        count += kdi_tree_count(version->trees[i]);
        removed += 2 * marks;
    }
    for (uint32_t i = 0; i < version->run_count; i++) {
        count += kdi_run_count(version->runs[i]);
        removed += 2 * kdi_run_removed_count(version->runs[i]);
    }
    kdi_index_unpin(index, version);
    return count > removed ? count - removed : 0;
}

size_t kd_index_memory_bytes(kd_index *index)
{
    kdi_index_version *version = kdi_index_pin(index);
    size_t size_bytes = 0;
    for (uint32_t i = 0; i < version->tree_count; i++)
        size_bytes += kdi_tree_memory_bytes(version->trees[i]);
    for (uint32_t i = 0; i < version->run_count; i++)
        size_bytes += kdi_run_memory_bytes(version->runs[i]);
    kdi_index_unpin(index, version);
    return size_bytes;
}

uint64_t kd_index_size_bytes(kd_index *index)
{
    kdi_index_version *version = kdi_index_pin(index);
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < version->tree_count; i++)
        size_bytes += kdi_tree_memory_bytes(version->trees[i]);
    for (uint32_t i = 0; i < version->run_count; i++)
        size_bytes += kdi_run_size_bytes(version->runs[i]);
    kdi_index_unpin(index, version);
    return size_bytes;
}

kd_status kd_index_check(kd_ctx *ctx, kd_index *index)
{
    kd_status status = KD_OK;
    kdi_index_version *version = kdi_index_pin(index);
    for (uint32_t i = 0; i < version->run_count && status == KD_OK; i++)
        status = kdi_run_check(ctx, version->runs[i]);
    kdi_index_unpin(index, version);
    return status;
}

/* The run that a check goes on with; NULL: none. */
static kdi_run *run_at(const kdi_index_version *version, uint32_t run_no)
{
    kdi_run *found = NULL;
    for (uint32_t i = 0; i < version->run_count; i++) {
        uint32_t number = kdi_run_no(version->runs[i]);
        if (number >= run_no && (found == NULL || number < kdi_run_no(found)))
            found = version->runs[i];
    }
    return found;
}

kd_status kd_index_check_piece(kd_ctx *ctx, kd_index *index, kd_index_check_place *io_place,
                               uint64_t *out_bytes, kd_damage *out_damage, bool *out_end)
{
    kd_status status = KD_OK;
    *out_bytes = 0;
    *out_end = false;
    *out_damage = kd_damage_none();
    out_damage->index_no = index->index_no;
    if (io_place->run_no == 0) {
        io_place->run_no = 1; /* Runs count from there. */
        KD_TRY(kdi_index_is_whole(ctx, index));
    }
    kdi_index_version *version = kdi_index_pin(index);
    kdi_run *run = run_at(version, io_place->run_no);
    *out_end = run == NULL;
    if (run != NULL) {
        if (kdi_run_no(run) != io_place->run_no)
            *io_place = (kd_index_check_place){.run_no = kdi_run_no(run)};
        status = kdi_run_check_piece(ctx, run, io_place->piece++, out_bytes, out_damage);
        out_damage->index_no = index->index_no;
        if (io_place->piece == kdi_run_piece_count(run))
            *io_place = (kd_index_check_place){.run_no = kdi_run_no(run) + 1};
    }
    kdi_index_unpin(index, version);
    return status;
}

kd_status kd_index_check_file(kd_ctx *ctx, const kd_segment_options *files, uint64_t index_no,
                              uint32_t run_no, const kd_damage_watch *watch)
{
    kdi_run *run;
    kd_damage damage = kd_damage_none();
    damage.index_no = index_no;
    (void)snprintf(damage.file, sizeof damage.file, "units/%llu-%u.run",
                   (unsigned long long)index_no, run_no);
    kd_status status = kdi_run_open(ctx, files, index_no, run_no, &run);
    if (status != KD_OK)
        return kd_damage_tell(ctx, watch, status, &damage);
    uint32_t count = kdi_run_piece_count(run);
    for (uint32_t piece = 0; status == KD_OK && piece < count; piece++) {
        uint64_t bytes;
        status = kdi_run_check_piece(ctx, run, piece, &bytes, &damage);
        damage.index_no = index_no;
        status = kd_damage_tell(ctx, watch, status, &damage);
        if (status == KD_OK)
            status = watch->read(ctx, watch->object, bytes);
    }
    kdi_run_unref(run);
    return status;
}
