/*
 * Kept rows: entries in a hash table and a list by last use, counted, under one lock.
 *
 * An entry never changes once it is in. Whoever reads its rows holds it; dropping one takes it out
 * of the lists, and the last to hold it frees it, outside the lock. Nothing is allocated under the
 * lock, which is therefore last in any order: statements that find the memory budget used up take
 * it from within the governor.
 */
#include "engine/result_cache.h"

#include "engine/engine_internal.h"

#include "base/hash.h"

#include <assert.h>

enum {
    BUCKETS = 1024,
    SHARE_MAX = 4,    /* One answer takes at most this part of the room. */
    BEGUN_BYTES = 32, /* What a value of a vector that is not full yet takes in a draft, at most. */
};

struct kdi_result {
    atomic_uint holds; /* Of the lists, and of everybody who reads. */
    kd_arena *arena;   /* Holds this struct. */
    kdi_result *next;  /* In the bucket. */
    kdi_result *newer, *older;
    uint64_t hash;
    kd_slice key;
    size_t bytes;
    kd_stamp snapshot; /* That the rows were read at. */
    uint32_t table_count;
    const uint64_t *table_nos;
    uint64_t row_count;
    uint32_t batch_count;
    kd_batch *batches;
};

struct kdi_result_cache {
    kd_database *database;
    kd_mutex lock; /* Guards all but the limit. */
    kdi_result *buckets[BUCKETS];
    kdi_result *newest, *oldest;
    kdi_result_counts counts;
    atomic_size_t limit_bytes;
};

struct kdi_result_draft {
    kd_run *run;
    kd_arena *arena; /* Holds this struct and the rows so far. */
    kd_slice key;
    kd_stamp snapshot;
    kdi_plan_sources sources;
    kdi_row_set *rows;
};

/* --- Lists ------------------------------------------------------------------------------------ */

static kdi_result **bucket_of(kdi_result_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash % BUCKETS];
}

/* The lock is held; the caller releases what the lists held. */
static void unlink_result(kdi_result_cache *cache, kdi_result *it)
{
    kdi_result **link = bucket_of(cache, it->hash);
    while (*link != it)
        link = &(*link)->next;
    *link = it->next;
    if (it->newer != NULL)
        it->newer->older = it->older;
    else
        cache->newest = it->older;
    if (it->older != NULL)
        it->older->newer = it->newer;
    else
        cache->oldest = it->newer;
    cache->counts.entries--;
    cache->counts.bytes -= it->bytes;
}

static void link_newest(kdi_result_cache *cache, kdi_result *it)
{
    kdi_result **bucket = bucket_of(cache, it->hash);
    it->next = *bucket;
    *bucket = it;
    it->newer = NULL;
    it->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = it;
    else
        cache->oldest = it;
    cache->newest = it;
    cache->counts.entries++;
    cache->counts.bytes += it->bytes;
}

static kdi_result *find_key(kdi_result_cache *cache, uint64_t hash, kd_slice key)
{
    kdi_result *it = *bucket_of(cache, hash);
    while (it != NULL && (it->hash != hash || !kd_slice_equal(it->key, key)))
        it = it->next;
    return it;
}

/* Takes the least recently used out until so many bytes are left; gives them as a chain of `older`.
 * The lock is held. */
static kdi_result *evict_to(kdi_result_cache *cache, size_t bytes)
{
    kdi_result *chain = NULL;
    while (cache->oldest != NULL && cache->counts.bytes > bytes) {
        kdi_result *oldest = cache->oldest;
        unlink_result(cache, oldest);
        cache->counts.evicted++;
        oldest->older = chain;
        chain = oldest;
    }
    return chain;
}

static bool release_chain(kdi_result *chain)
{
    bool any = chain != NULL;
    while (chain != NULL) {
        kdi_result *next = chain->older;
        kdi_result_release(chain);
        chain = next;
    }
    return any;
}

static void shrink(kdi_result_cache *cache, size_t bytes)
{
    kd_mutex_lock(&cache->lock);
    kdi_result *chain = evict_to(cache, bytes);
    kd_mutex_unlock(&cache->lock);
    (void)release_chain(chain);
}

/* A statement found the budget used up: half of what is kept goes. */
static bool give_back(void *object)
{
    kdi_result_cache *cache = object;
    kd_mutex_lock(&cache->lock);
    kdi_result *chain = evict_to(cache, (size_t)cache->counts.bytes / 2);
    kd_mutex_unlock(&cache->lock);
    return release_chain(chain);
}

/* --- Life ------------------------------------------------------------------------------------- */

kd_status kdi_result_cache_create(kd_ctx *ctx, kd_database *database, kdi_result_cache **out_cache)
{
    kdi_result_cache *cache = KD_NEW(ctx, database->arena, kdi_result_cache);
    *out_cache = cache;
    if (cache == NULL)
        return KD_NOMEM;
    cache->database = database;
    kd_mutex_init(&cache->lock, database->world);
    kd_governor_set_reserve(database->governor, give_back, cache);
    return KD_OK;
}

void kdi_result_cache_destroy(kdi_result_cache *cache)
{
    if (cache == NULL)
        return;
    kd_governor_set_reserve(cache->database->governor, NULL, NULL);
    shrink(cache, 0);
    assert(cache->counts.entries == 0);
    kd_mutex_clear(&cache->lock);
}

void kdi_result_cache_limit(kdi_result_cache *cache, uint64_t limit_bytes)
{
    atomic_store(&cache->limit_bytes, (size_t)limit_bytes);
    shrink(cache, (size_t)limit_bytes);
}

bool kdi_result_cache_is_on(const kdi_result_cache *cache)
{
    return atomic_load_explicit(&cache->limit_bytes, memory_order_relaxed) > 0;
}

kdi_result_counts kdi_result_cache_counts(kdi_result_cache *cache)
{
    kd_mutex_lock(&cache->lock);
    kdi_result_counts counts = cache->counts;
    kd_mutex_unlock(&cache->lock);
    counts.limit_bytes = atomic_load(&cache->limit_bytes);
    return counts;
}

/* --- Finding ---------------------------------------------------------------------------------- */

/* The newest change of any of the tables; KD_STAMP_NONE if one has gone. */
static kd_stamp last_change(const kdi_result_cache *cache, const kdi_result *it)
{
    kd_stamp newest = 0;
    for (uint32_t i = 0; i < it->table_count; i++) {
        kd_table *table = kd_table_find(cache->database->storage, it->table_nos[i]);
        kd_stamp changed = table == NULL ? KD_STAMP_NONE : kd_table_changed(table);
        newest = changed > newest ? changed : newest;
    }
    return newest;
}

/* The lock is held. */
static kdi_result *find_current(kdi_result_cache *cache, uint64_t hash, kd_slice key,
                                kd_stamp snapshot, kdi_result **out_stale)
{
    kdi_result *it = find_key(cache, hash, key);
    if (it == NULL)
        return NULL;
    kd_stamp changed = last_change(cache, it);
    if (changed > it->snapshot) { /* Nobody will be given it any more. */
        unlink_result(cache, it);
        cache->counts.stale++;
        *out_stale = it;
        return NULL;
    }
    if (changed > snapshot)
        return NULL;
    unlink_result(cache, it);
    link_newest(cache, it);
    atomic_fetch_add(&it->holds, 1);
    return it;
}

kdi_result *kdi_result_find(kdi_result_cache *cache, kd_slice key, kd_stamp snapshot)
{
    kdi_result *stale = NULL;
    uint64_t hash = kd_hash_bytes(key.data, key.size_bytes);
    kd_mutex_lock(&cache->lock);
    kdi_result *found = find_current(cache, hash, key, snapshot, &stale);
    if (found != NULL)
        cache->counts.hits++;
    else
        cache->counts.misses++;
    kd_mutex_unlock(&cache->lock);
    kdi_result_release(stale);
    return found;
}

void kdi_result_release(kdi_result *result)
{
    if (result != NULL && atomic_fetch_sub(&result->holds, 1) == 1)
        kd_arena_destroy(result->arena);
}

bool kdi_result_batch(const kdi_result *result, uint32_t index, kd_batch *out_batch)
{
    if (index >= result->batch_count)
        return false;
    *out_batch = result->batches[index];
    return true;
}

uint64_t kdi_result_row_count(const kdi_result *result)
{
    return result->row_count;
}

/* --- Keeping ---------------------------------------------------------------------------------- */

static size_t room_of_one(const kdi_result_cache *cache)
{
    return atomic_load(&cache->limit_bytes) / SHARE_MAX;
}

/* Memory that is short is no failure of the statement. */
static kd_ctx quiet_ctx(const kd_database *database)
{
    return (kd_ctx){.world = database->world};
}

static kd_status draft_make(kd_ctx *ctx, kd_arena *arena, kd_run *run, kd_slice key,
                            kdi_result_draft **out_draft)
{
    kd_database *database = run->session->database;
    kdi_result_draft *draft = KD_NEW(ctx, arena, kdi_result_draft);
    if (draft == NULL)
        return KD_NOMEM;
    *draft = (kdi_result_draft){.run = run,
                                .arena = arena,
                                .key = key,
                                .snapshot = kd_txn_snapshot(run->session->txn).stamp};
    /* The statement's own plan reads the tables, the run's perhaps a materialized view of them. */
    KD_TRY(kdi_plan_sources_note(ctx, arena, database, run->prepared->plan, &draft->sources));
    KD_TRY(kdi_row_set_create(ctx, arena, run->columns, run->column_count, &draft->rows));
    *out_draft = draft;
    return KD_OK;
}

kdi_result_draft *kdi_result_draft_begin(kd_run *run, kd_slice key)
{
    kd_database *database = run->session->database;
    kd_ctx ctx = quiet_ctx(database);
    kdi_result_draft *draft = NULL;
    kd_arena *arena = kd_arena_create(&ctx, run->arena, "kept rows", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return NULL;
    kd_arena_charge_to(arena, kd_governor_account(database->governor));
    if (draft_make(&ctx, arena, run, key, &draft) != KD_OK)
        kd_arena_destroy(arena);
    return draft;
}

void kdi_result_draft_drop(kdi_result_draft *draft)
{
    if (draft != NULL)
        kd_arena_destroy(draft->arena);
}

bool kdi_result_draft_add(kdi_result_draft *draft, const kd_batch *batch)
{
    kd_database *database = draft->run->session->database;
    kd_ctx ctx = quiet_ctx(database);
    size_t begun = (size_t)draft->rows->column_count * KD_VECTOR_ROWS * BEGUN_BYTES;
    if (kdi_row_set_add_batch(&ctx, draft->rows, batch) == KD_OK &&
        kd_arena_used_bytes(draft->arena) <= room_of_one(database->results) + begun)
        return true;
    kdi_result_draft_drop(draft);
    return false;
}

/* A batch in vectors that are no longer than it is. */
static kd_status copy_batch(kd_ctx *ctx, kd_arena *arena, const kd_batch *from, kd_batch *out)
{
    uint16_t all[KD_VECTOR_ROWS];
    kd_vector *columns = KD_NEW_ARRAY(ctx, arena, kd_vector, from->column_count);
    if (columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < from->row_count; i++)
        all[i] = (uint16_t)i;
    for (uint32_t c = 0; c < from->column_count; c++) {
        KD_TRY(
            kd_vector_init_flat(ctx, arena, from->columns[c].type, from->row_count, &columns[c]));
        KD_TRY(
            kd_vector_gather(ctx, arena, &from->columns[c], all, from->row_count, &columns[c], 0));
    }
    *out = *from;
    out->columns = columns;
    return KD_OK;
}

static kd_status copy_tables(kd_ctx *ctx, const kdi_result_draft *draft, kdi_result *it)
{
    uint64_t *table_nos = KD_NEW_ARRAY(ctx, it->arena, uint64_t, draft->sources.count);
    char *key = kd_copy_text(ctx, it->arena, draft->key.data, draft->key.size_bytes);
    if (table_nos == NULL || key == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < draft->sources.count; i++)
        table_nos[i] = draft->sources.items[i].table_no;
    it->table_nos = table_nos;
    it->table_count = draft->sources.count;
    it->key = (kd_slice){key, draft->key.size_bytes};
    it->hash = kd_hash_bytes(key, draft->key.size_bytes);
    return KD_OK;
}

static kd_status result_make(kd_ctx *ctx, kd_arena *arena, const kdi_result_draft *draft,
                             kdi_result **out_result)
{
    kd_given_rows rows;
    kdi_result *it = KD_NEW(ctx, arena, kdi_result);
    *out_result = it;
    if (it == NULL)
        return KD_NOMEM;
    it->arena = arena;
    it->snapshot = draft->snapshot;
    it->row_count = draft->rows->row_count;
    atomic_init(&it->holds, 1);
    KD_TRY(copy_tables(ctx, draft, it));
    KD_TRY(kdi_row_set_batches(ctx, draft->rows, &rows));
    it->batches = KD_NEW_ARRAY(ctx, arena, kd_batch, rows.batch_count);
    if (it->batches == NULL)
        return KD_NOMEM;
    for (; it->batch_count < rows.batch_count; it->batch_count++)
        KD_TRY(
            copy_batch(ctx, arena, &rows.batches[it->batch_count], &it->batches[it->batch_count]));
    it->bytes = kd_arena_used_bytes(arena);
    return KD_OK;
}

/* False: it is not worth the room. */
static bool enter(kdi_result_cache *cache, kdi_result *it)
{
    kd_governor *governor = cache->database->governor;
    if (kd_governor_used_bytes(governor) > kd_governor_budget_bytes(governor))
        return false;
    kd_mutex_lock(&cache->lock);
    size_t limit = atomic_load(&cache->limit_bytes); /* Who lowers it takes the lock afterwards. */
    if (it->bytes > limit / SHARE_MAX) {
        kd_mutex_unlock(&cache->lock);
        return false;
    }
    kdi_result *before = find_key(cache, it->hash, it->key);
    if (before != NULL)
        unlink_result(cache, before);
    kdi_result *chain = evict_to(cache, limit - it->bytes);
    link_newest(cache, it);
    kd_mutex_unlock(&cache->lock);
    kdi_result_release(before);
    (void)release_chain(chain);
    return true;
}

void kdi_result_draft_keep(kdi_result_draft *draft)
{
    kd_database *database = draft->run->session->database;
    kd_ctx ctx = quiet_ctx(database);
    kdi_result *made;
    kd_arena *arena = kd_arena_create(&ctx, NULL, "kept rows", KD_ARENA_UNLIMITED);
    if (arena != NULL)
        kd_arena_charge_to(arena, kd_governor_account(database->governor));
    if (arena != NULL &&
        (result_make(&ctx, arena, draft, &made) != KD_OK || !enter(database->results, made)))
        kd_arena_destroy(arena);
    kdi_result_draft_drop(draft);
}
