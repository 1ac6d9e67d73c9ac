/*
 * Bulk loads: sorted entries become a run, which is entered at once.
 *
 * The run is written beside everything else. Where keys are unique, the entries that
 * the index has of them are judged in three rounds, each of which looks only at what
 * the one before has not seen: everything, without a lock; with `maintenance` held,
 * so that no other part comes any more; with the gate closed, so that nobody enters
 * a key. The last one finds work only where keys were entered one by one meanwhile.
 * What was judged once stays so: rows that are over do not come back.
 */
#include "index/index_internal.h"

#include <assert.h>

struct kd_index_run {
    kd_index *index;
    kdi_run *run; /* NULL: no entry, or entered. */
};

/* --- Writing --- */

static kd_status write_given(kd_ctx *ctx, kdi_run_writer *writer, kd_index_source next,
                             void *object)
{
    for (;;) {
        kd_slice key;
        uint64_t ref;
        bool end;
        KD_TRY(next(ctx, object, &key, &ref, &end));
        if (end)
            return KD_OK;
        if (key.size_bytes > KD_INDEX_KEY_BYTES_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000",
                           "index row size %zu exceeds maximum %d for an index", key.size_bytes,
                           KD_INDEX_KEY_BYTES_MAX);
        KD_TRY(kdi_run_writer_add(ctx, writer, key, ref, false));
    }
}

static uint32_t take_run_no(kd_index *index)
{
    kd_mutex_lock(&index->maintenance);
    uint32_t run_no = index->next_run_no++;
    kd_mutex_unlock(&index->maintenance);
    return run_no;
}

kd_status kd_index_run_write(kd_ctx *ctx, kd_index *index, kd_index_source next, void *object,
                             kd_index_run **out_run)
{
    kd_status status = KD_OK;
    kdi_run_writer *writer = NULL;
    uint32_t run_no = take_run_no(index);
    *out_run = NULL;
    kd_index_run *run = KD_HEAP_NEW(ctx, index->account, kd_index_run);
    if (run == NULL)
        return KD_NOMEM;
    run->index = index;
    KD_TRY_OUT(kdi_run_writer_create(ctx, &index->files, index->index_no, run_no, &writer));
    KD_TRY_OUT(write_given(ctx, writer, next, object));
    if (kdi_run_writer_count(writer) > 0) {
        KD_TRY_OUT(kdi_run_writer_finish(ctx, writer));
        KD_TRY_OUT(kdi_run_open(ctx, &index->files, index->index_no, run_no, &run->run));
    }
    *out_run = run;
    run = NULL;

out:
    kdi_run_writer_destroy(writer);
    kd_index_run_end(run);
    return status;
}

void kd_index_run_end(kd_index_run *run)
{
    if (run == NULL)
        return;
    kd_index *index = run->index;
    kd_ctx ctx = {.world = index->world};
    if (run->run != NULL) {
        uint32_t run_no = kdi_run_no(run->run);
        kdi_run_unref(run->run);
        /* A file that stays is found by nobody: no manifest names it. */
        if (kdi_index_remove_run_file(&ctx, &index->files, index->index_no, run_no) != KD_OK)
            kd_error_clear(&ctx);
    }
    kd_heap_free(index->world, index->account, run);
}

/* --- Entering --- */

/* As the newest run; `maintenance` is held. */
static kd_status install(kd_ctx *ctx, kd_index_run *run)
{
    kd_index *index = run->index;
    if (run->run == NULL)
        return KD_OK;
    kdi_index_version *version = kdi_index_version_create(ctx, index);
    if (version == NULL)
        return KD_NOMEM;
    kdi_index_share_trees(version, index->version, 0);
    version->runs[version->run_count++] = run->run;
    run->run = NULL;
    kdi_index_share_runs(version, index->version, 0);
    kdi_index_install(index, version);
    return KD_OK;
}

kd_status kd_index_run_enter(kd_ctx *ctx, kd_index_run *run)
{
    kd_mutex_lock(&run->index->maintenance);
    kd_status status = kdi_index_make_room(ctx, run->index);
    if (status == KD_OK)
        status = install(ctx, run);
    kd_mutex_unlock(&run->index->maintenance);
    return status;
}

typedef struct rounds {
    kd_index *index;
    const kd_index_entry *entries;
    size_t count;
    const kd_index_judge *judge;
    kd_arena *scratch;                  /* Reset after each key that needed it. */
    kdi_index_version *seen;            /* Judged in the rounds before; NULL in the first. */
    uint64_t puts[KDI_INDEX_TREES_MAX]; /* Into its trees before that. */
    bool is_stopped;
} rounds;

static bool tree_was_seen(const rounds *all, const kdi_tree *tree, uint64_t puts)
{
    for (uint32_t i = 0; all->seen != NULL && i < all->seen->tree_count; i++)
        if (all->seen->trees[i] == tree)
            return all->puts[i] == puts;
    return kdi_tree_count(tree) == 0;
}

static bool run_was_seen(const rounds *all, const kdi_run *run)
{
    for (uint32_t i = 0; all->seen != NULL && i < all->seen->run_count; i++)
        if (all->seen->runs[i] == run)
            return true;
    return false;
}

/* What of the version was not judged yet and may have the keys, borrowed. The puts are read before
 * the trees are. */
static kd_status parts_choose(kd_ctx *ctx, rounds *all, const kdi_index_version *version,
                              kdi_index_version *out_fresh)
{
    uint64_t puts[KDI_INDEX_TREES_MAX] = {0};
    *out_fresh = (kdi_index_version){0};
    for (uint32_t i = 0; i < version->tree_count; i++) {
        puts[i] = kdi_tree_put_count(version->trees[i]);
        if (!tree_was_seen(all, version->trees[i], puts[i]))
            out_fresh->trees[out_fresh->tree_count++] = version->trees[i];
    }
    memcpy(all->puts, puts, sizeof puts);
    for (uint32_t i = 0; i < version->run_count; i++) {
        bool overlaps = false;
        if (!run_was_seen(all, version->runs[i]))
            KD_TRY(kdi_run_may_overlap(ctx, version->runs[i], all->entries[0].key,
                                       all->entries[all->count - 1].key, &overlaps));
        if (overlaps)
            out_fresh->runs[out_fresh->run_count++] = version->runs[i];
    }
    return KD_OK;
}

static kd_status key_judge(kd_ctx *ctx, rounds *all, const kdi_index_version *fresh,
                           const kd_index_entry *entry)
{
    enum { FEW = 16 };
    uint64_t few[FEW], *refs = few;
    uint32_t capacity = FEW, count;
    kd_status status = kdi_index_find_in(ctx, fresh, entry->key, refs, capacity, &count);
    while (status == KD_OK && count > capacity) {
        capacity = count * 2;
        refs = KD_NEW_ARRAY(ctx, all->scratch, uint64_t, capacity);
        if (refs == NULL)
            return KD_NOMEM;
        status = kdi_index_find_in(ctx, fresh, entry->key, refs, capacity, &count);
    }
    if (status == KD_OK && count > 0)
        status = all->judge->rows(ctx, all->judge->object, entry, refs, count, &all->is_stopped);
    if (refs != few)
        kd_arena_reset(all->scratch);
    return status;
}

static kd_status round_judge(kd_ctx *ctx, rounds *all)
{
    enum { STEP = 1024 };
    kdi_index_version fresh;
    kdi_index_version *version = kdi_index_pin(all->index);
    kd_status status = parts_choose(ctx, all, version, &fresh);
    size_t count = fresh.tree_count + fresh.run_count == 0 ? 0 : all->count;
    for (size_t i = 0; i < count && status == KD_OK && !all->is_stopped; i++) {
        if (i % STEP == 0)
            status = kd_check_cancelled(ctx);
        if (status == KD_OK && all->entries[i].is_unique)
            status = key_judge(ctx, all, &fresh, &all->entries[i]);
    }
    kdi_index_unpin(all->index, all->seen);
    all->seen = version;
    return status;
}

/* `maintenance` is held: the version stays, only its first tree grows. */
static kd_status enter_judged(kd_ctx *ctx, kd_index_run *run, rounds *all)
{
    KD_TRY(kdi_index_make_room(ctx, run->index));
    KD_TRY(round_judge(ctx, all));
    kd_rwlock_lock_exclusive(&run->index->gate);
    kd_status status = all->is_stopped ? KD_OK : round_judge(ctx, all);
    if (status == KD_OK && !all->is_stopped)
        status = install(ctx, run);
    kd_rwlock_unlock_exclusive(&run->index->gate);
    return status;
}

kd_status kd_index_run_enter_unique(kd_ctx *ctx, kd_index_run *run, const kd_index_entry *entries,
                                    size_t count, const kd_index_judge *judge, bool *out_is_entered)
{
    kd_index *index = run->index;
    rounds all = {.index = index, .entries = entries, .count = count, .judge = judge};
    assert(count > 0);
    *out_is_entered = false;
    KD_TRY(kdi_index_is_whole(ctx, index));
    all.scratch = kd_arena_create(ctx, NULL, "index load", KD_ARENA_UNLIMITED);
    if (all.scratch == NULL)
        return KD_NOMEM;
    kd_status status = round_judge(ctx, &all);
    if (status == KD_OK && !all.is_stopped) {
        kd_mutex_lock(&index->maintenance);
        status = enter_judged(ctx, run, &all);
        kd_mutex_unlock(&index->maintenance);
    }
    kdi_index_unpin(index, all.seen);
    kd_arena_destroy(all.scratch);
    *out_is_entered = status == KD_OK && !all.is_stopped;
    return status;
}
