/*
 * Indexes against a plain model: random inserts, removals, finds and scans, with
 * checkpoints, bulk loads and reopening in between.
 */
#include "index/index.h"
#include "test.h"
#include "types/value.h"

enum { MODEL_MAX = 8192, KEY_MAX = 40 };

typedef struct model_entry {
    uint32_t key_bytes;
    char key[KEY_MAX];
    uint64_t ref;
} model_entry;

typedef struct fixture {
    kd_ctx ctx;
    kd_arena *arena;
    kd_account account;
    kd_segment_options files;
    kd_index_options options;
    kd_index *index;
    model_entry *entries; /* Sorted. */
    uint32_t count;
    uint32_t key_space;
    bool long_keys;
} fixture;

static void begin(fixture *self)
{
    memset(self, 0, sizeof *self);
    self->ctx = test_ctx();
    self->arena = test_arena(&self->ctx);
    kd_account_init(&self->account, NULL, "test", SIZE_MAX);
    self->files.directory = test_directory();
    self->files.database_id = 77;
    self->files.account = &self->account;
    CHECK_STATUS(&self->ctx,
                 kd_block_cache_create(&self->ctx, &self->account, 1 << 20, &self->files.cache));
    self->options =
        (kd_index_options){.index_no = 5, .files = &self->files, .account = &self->account};
    CHECK_STATUS(&self->ctx, kd_index_create(&self->ctx, &self->options, &self->index));
    self->entries = KD_NEW_ARRAY(&self->ctx, self->arena, model_entry, MODEL_MAX);
    CHECK(self->entries != NULL);
    self->key_space = 300;
}

static void end(fixture *self)
{
    kd_index_close(self->ctx.world, self->index);
    kd_block_cache_destroy(self->files.cache);
    CHECK_EQ(atomic_load(&self->account.used_bytes), 0);
    kd_arena_destroy(self->arena);
}

static kd_slice model_key(const model_entry *entry)
{
    return (kd_slice){entry->key, entry->key_bytes};
}

static void make_key(const fixture *self, test_random *random, model_entry *out)
{
    uint32_t number = (uint32_t)test_random_below(random, self->key_space);
    memset(out, 0, sizeof *out);
    memcpy(out->key, "\x02same", 5);
    out->key[5] = (char)(number >> 8);
    out->key[6] = (char)number;
    out->key_bytes = 7;
    if (self->long_keys && number % 3 != 0) {
        memset(out->key + 7, (int)(number % 5), 30);
        out->key_bytes = 8 + number % 29;
    }
    out->ref = test_random_below(random, 20) * 1000003;
}

static int compare(const model_entry *a, const model_entry *b)
{
    int order = kd_slice_compare(model_key(a), model_key(b));
    return order != 0 ? order : (a->ref > b->ref) - (a->ref < b->ref);
}

static uint32_t model_find(const fixture *self, const model_entry *entry, bool *out_found)
{
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (compare(&self->entries[middle], entry) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_found = low < self->count && compare(&self->entries[low], entry) == 0;
    return low;
}

static void insert(fixture *self, const model_entry *entry)
{
    bool found;
    uint32_t at = model_find(self, entry, &found);
    CHECK_STATUS(&self->ctx,
                 kd_index_insert(&self->ctx, self->index, model_key(entry), entry->ref));
    if (found)
        return;
    CHECK(self->count < MODEL_MAX);
    memmove(&self->entries[at + 1], &self->entries[at],
            (self->count - at) * sizeof self->entries[0]);
    self->entries[at] = *entry;
    self->count++;
}

static void remove_entry(fixture *self, const model_entry *entry)
{
    bool found;
    uint32_t at = model_find(self, entry, &found);
    CHECK_STATUS(&self->ctx,
                 kd_index_remove(&self->ctx, self->index, model_key(entry), entry->ref));
    if (!found)
        return;
    self->count--;
    memmove(&self->entries[at], &self->entries[at + 1],
            (self->count - at) * sizeof self->entries[0]);
}

static void check_find(fixture *self, const model_entry *wanted)
{
    uint64_t refs[64];
    uint32_t count, at = 0;
    CHECK_STATUS(&self->ctx,
                 kd_index_find(&self->ctx, self->index, model_key(wanted), refs, 64, &count));
    for (uint32_t i = 0; i < self->count; i++) {
        if (!kd_slice_equal(model_key(&self->entries[i]), model_key(wanted)))
            continue;
        CHECK(at < count);
        CHECK_EQ(refs[at++], self->entries[i].ref);
    }
    CHECK_EQ(at, count);
    kd_arena *arena = test_arena(&self->ctx);
    uint64_t *postings, counted;
    size_t posting_count;
    CHECK_STATUS(&self->ctx, kd_index_postings(&self->ctx, arena, self->index, model_key(wanted),
                                               &postings, &posting_count));
    CHECK_EQ(posting_count, count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(postings[i], refs[i]);
    CHECK_STATUS(&self->ctx,
                 kd_index_key_count(&self->ctx, self->index, model_key(wanted), &counted));
    CHECK(counted >= count); /* Marks are counted, too. */
    kd_arena_destroy(arena);
}

static bool starts_with(kd_slice key, kd_slice prefix)
{
    return key.size_bytes >= prefix.size_bytes &&
           memcmp(key.data, prefix.data, prefix.size_bytes) == 0;
}

static bool in_range(const kd_index_range *range, kd_slice key)
{
    if (range->low.data != NULL) {
        if (kd_slice_compare(key, range->low) < 0)
            return false;
        if (range->low_exclusive && starts_with(key, range->low))
            return false;
    }
    if (range->high.data == NULL || kd_slice_compare(key, range->high) < 0)
        return true;
    return !range->high_exclusive && starts_with(key, range->high);
}

static void check_scan(fixture *self, const kd_index_range *range)
{
    kd_arena *arena = test_arena(&self->ctx);
    kd_index_cursor *cursor;
    CHECK_STATUS(&self->ctx, kd_index_cursor_open(&self->ctx, arena, self->index, range, &cursor));
    for (uint32_t i = 0; i < self->count; i++) {
        const model_entry *entry = &self->entries[range->descending ? self->count - 1 - i : i];
        if (!in_range(range, model_key(entry)))
            continue;
        kd_slice key;
        uint64_t ref;
        bool at_end;
        CHECK_STATUS(&self->ctx, kd_index_cursor_next(&self->ctx, cursor, &key, &ref, &at_end));
        CHECK(!at_end);
        CHECK(kd_slice_equal(key, model_key(entry)));
        CHECK_EQ(ref, entry->ref);
    }
    kd_slice key;
    uint64_t ref;
    bool at_end;
    CHECK_STATUS(&self->ctx, kd_index_cursor_next(&self->ctx, cursor, &key, &ref, &at_end));
    CHECK(at_end);
    kd_index_cursor_close(cursor);
    kd_arena_destroy(arena);
}

static void check_random_scan(fixture *self, test_random *random)
{
    model_entry low, high;
    make_key(self, random, &low);
    make_key(self, random, &high);
    if (test_random_below(random, 2) == 0)
        high.key_bytes = 6; /* A prefix of many keys. */
    if (test_random_below(random, 4) == 0)
        low.key_bytes = 5;
    kd_index_range range = {.descending = test_random_below(random, 2) == 0,
                            .low_exclusive = test_random_below(random, 2) == 0,
                            .high_exclusive = test_random_below(random, 2) == 0};
    if (test_random_below(random, 4) != 0)
        range.low = model_key(&low);
    if (test_random_below(random, 4) != 0)
        range.high = model_key(&high);
    check_scan(self, &range);
}

/* Rows of even "units" move up by 7, which keeps the test's references apart. */
static kd_ref_fate move_some(void *object, uint64_t ref, uint64_t *out_ref)
{
    (void)object;
    if (ref / 1000003 % 5 == 1)
        return KD_REF_GONE;
    if (ref / 1000003 % 5 == 2 && ref % 1000003 == 0) {
        *out_ref = ref + 7;
        return KD_REF_MOVED;
    }
    return KD_REF_SAME;
}

/* The model after move_some. */
static void model_move(fixture *self)
{
    uint32_t count = self->count;
    model_entry *old = KD_NEW_ARRAY(&self->ctx, self->arena, model_entry, count + 1);
    CHECK(old != NULL);
    memcpy(old, self->entries, count * sizeof *old);
    self->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t moved;
        kd_ref_fate fate = move_some(NULL, old[i].ref, &moved);
        if (fate == KD_REF_GONE)
            continue;
        if (fate == KD_REF_MOVED)
            old[i].ref = moved;
        bool found;
        uint32_t at = model_find(self, &old[i], &found);
        if (found)
            continue;
        memmove(&self->entries[at + 1], &self->entries[at],
                (self->count - at) * sizeof self->entries[0]);
        self->entries[at] = old[i];
        self->count++;
    }
}

static void checkpoint(fixture *self, bool rewrite_all, bool move, bool reopen)
{
    kd_slice manifest;
    CHECK_STATUS(&self->ctx, kd_index_checkpoint(&self->ctx, self->index, move ? move_some : NULL,
                                                 NULL, rewrite_all, self->arena, &manifest));
    if (move)
        model_move(self);
    CHECK_STATUS(&self->ctx, kd_index_release_old(&self->ctx, self->index));
    CHECK_STATUS(&self->ctx, kd_index_check(&self->ctx, self->index));
    if (!reopen)
        return;
    kd_index_close(self->ctx.world, self->index);
    CHECK_STATUS(&self->ctx, kd_index_open(&self->ctx, &self->options, manifest, &self->index));
}

static void step(fixture *self, test_random *random)
{
    model_entry entry;
    make_key(self, random, &entry);
    switch (test_random_below(random, 400)) {
    case 0:
        checkpoint(self, false, false, test_random_below(random, 2) == 0);
        break;
    case 1:
        checkpoint(self, true, test_random_below(random, 2) == 0,
                   test_random_below(random, 2) == 0);
        break;
    case 2:
    case 3:
    case 4:
        check_random_scan(self, random);
        break;
    default:
        if (test_random_below(random, 3) == 0)
            remove_entry(self, &entry);
        else
            insert(self, &entry);
        if (test_random_below(random, 8) == 0)
            check_find(self, &entry);
        break;
    }
}

static void run_random(bool long_keys, uint32_t key_space, uint64_t seed)
{
    test_random random = {seed};
    fixture self;
    begin(&self);
    self.long_keys = long_keys;
    self.key_space = key_space;
    for (int i = 0; i < 12000; i++)
        step(&self, &random);
    kd_index_range all = {0};
    check_scan(&self, &all);
    all.descending = true;
    check_scan(&self, &all);
    end(&self);
}

TEST(an_index_agrees_with_its_model)
{
    for (uint64_t seed = 1; seed <= (test_seed_count(40) + 9) / 10; seed++) {
        test_note("seed %llu", (unsigned long long)seed);
        run_random(seed % 2 == 0, seed % 3 == 0 ? 5 : 300, seed);
    }
}

TEST(over_long_keys_are_refused)
{
    fixture self;
    begin(&self);
    char *key = kd_alloc(&self.ctx, self.arena, KD_INDEX_KEY_BYTES_MAX + 1);
    CHECK(key != NULL);
    CHECK_STATUS(&self.ctx, kd_index_insert(&self.ctx, self.index,
                                            (kd_slice){key, KD_INDEX_KEY_BYTES_MAX}, 1));
    CHECK_FAILS(
        &self.ctx,
        kd_index_insert(&self.ctx, self.index, (kd_slice){key, KD_INDEX_KEY_BYTES_MAX + 1}, 1),
        "54000");
    kd_slice manifest;
    CHECK_STATUS(&self.ctx, kd_index_checkpoint(&self.ctx, self.index, NULL, NULL, false,
                                                self.arena, &manifest));
    uint64_t ref;
    uint32_t count;
    CHECK_STATUS(&self.ctx,
                 kd_index_find(&self.ctx, self.index, (kd_slice){key, KD_INDEX_KEY_BYTES_MAX}, &ref,
                               1, &count));
    CHECK_EQ(count, 1);
    end(&self);
}

TEST(find_tells_how_much_room_it_needs)
{
    fixture self;
    begin(&self);
    for (uint64_t ref = 0; ref < 100; ref++)
        CHECK_STATUS(&self.ctx, kd_index_insert(&self.ctx, self.index, KD_SLICE("k"), ref));
    uint64_t refs[10];
    uint32_t count;
    CHECK_STATUS(&self.ctx, kd_index_find(&self.ctx, self.index, KD_SLICE("k"), refs, 10, &count));
    CHECK_EQ(count, 100);
    CHECK_EQ(refs[9], 9);
    CHECK_EQ(kd_index_entry_count(self.index), 100);
    CHECK(kd_index_memory_bytes(self.index) > 100 * 32);
    end(&self);
}

typedef struct bulk {
    uint64_t next, count;
    char key[16];
    kd_ctx *ctx;
    kd_arena *arena;
} bulk;

static kd_status bulk_next(kd_ctx *ctx, void *object, kd_slice *out_key, uint64_t *out_ref,
                           bool *out_end)
{
    bulk *self = object;
    *out_end = self->next == self->count;
    if (*out_end)
        return KD_OK;
    kd_buffer buffer = kd_buffer_in(self->arena);
    int64_t number = (int64_t)self->next;
    KD_TRY(
        kd_key_append(ctx, kd_type_of(KD_TYPE_INT8), &number, false, (kd_key_order){0}, &buffer));
    memcpy(self->key, buffer.data, buffer.size_bytes);
    *out_key = (kd_slice){self->key, buffer.size_bytes};
    *out_ref = self->next * 3;
    self->next++;
    return KD_OK;
}

TEST(a_bulk_load_is_found)
{
    fixture self;
    begin(&self);
    for (int round = 0; round < 10; round++) {
        bulk load = {.next = (uint64_t)round * 20000,
                     .count = (uint64_t)(round + 1) * 20000,
                     .arena = self.arena};
        kd_index_run *run;
        CHECK_STATUS(&self.ctx, kd_index_run_write(&self.ctx, self.index, bulk_next, &load, &run));
        CHECK_STATUS(&self.ctx, kd_index_run_enter(&self.ctx, run));
        kd_index_run_end(run);
    }
    for (int64_t number = 0; number < 200000; number += 7) {
        kd_buffer key = kd_buffer_in(self.arena);
        CHECK_STATUS(&self.ctx, kd_key_append(&self.ctx, kd_type_of(KD_TYPE_INT8), &number, false,
                                              (kd_key_order){0}, &key));
        uint64_t ref;
        uint32_t count;
        CHECK_STATUS(&self.ctx,
                     kd_index_find(&self.ctx, self.index, kd_buffer_slice(&key), &ref, 1, &count));
        CHECK_EQ(count, 1);
        CHECK_EQ(ref, number * 3);
    }
    CHECK_EQ(kd_index_entry_count(self.index), 200000);
    kd_slice manifest;
    CHECK_STATUS(&self.ctx, kd_index_checkpoint(&self.ctx, self.index, NULL, NULL, true, self.arena,
                                                &manifest));
    CHECK_EQ(kd_index_entry_count(self.index), 200000);
    CHECK_STATUS(&self.ctx, kd_index_remove_files(&self.ctx, &self.options, manifest));
    end(&self);
}
