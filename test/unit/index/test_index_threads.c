/*
 * Many threads on one index: writers on keys of their own, readers, and checkpoints in between.
 * For TSan; in any build nothing inserted may be missing.
 */
#include "base/thread.h"
#include "index/index.h"
#include "test.h"

enum { WRITERS = 3, KEYS = 4000 };

typedef struct shared {
    kd_index *index;
    atomic_bool stop;
} shared;

typedef struct writer_job {
    shared *shared;
    unsigned number;
} writer_job;

static void key_make(unsigned writer, uint32_t number, char key[8])
{
    key[0] = 'k';
    key[1] = (char)(number >> 16);
    key[2] = (char)(number >> 8);
    key[3] = (char)number;
    key[4] = (char)writer;
}

static void write_keys(void *object)
{
    writer_job *job = object;
    kd_ctx ctx = test_ctx();
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[8];
        key_make(job->number, i, key);
        kd_slice slice = {key, 5};
        kd_index_latch_key(job->shared->index, slice);
        CHECK_STATUS(&ctx, kd_index_insert(&ctx, job->shared->index, slice, i));
        kd_index_unlatch_key(job->shared->index, slice);
        uint64_t ref;
        uint32_t count;
        CHECK_STATUS(&ctx, kd_index_find(&ctx, job->shared->index, slice, &ref, 1, &count));
        CHECK_EQ(count, 1);
        CHECK_EQ(ref, i);
        if (i % 5 == 0) {
            CHECK_STATUS(&ctx, kd_index_remove(&ctx, job->shared->index, slice, i));
            CHECK_STATUS(&ctx, kd_index_find(&ctx, job->shared->index, slice, &ref, 1, &count));
            CHECK_EQ(count, 0);
        }
    }
}

static void scan(void *object)
{
    shared *self = object;
    kd_ctx ctx = test_ctx();
    while (!atomic_load(&self->stop)) {
        kd_arena *arena = test_arena(&ctx);
        kd_index_cursor *cursor;
        kd_index_range range = {0};
        CHECK_STATUS(&ctx, kd_index_cursor_open(&ctx, arena, self->index, &range, &cursor));
        char last[8] = {0};
        for (;;) {
            kd_slice key;
            uint64_t ref;
            bool at_end;
            CHECK_STATUS(&ctx, kd_index_cursor_next(&ctx, cursor, &key, &ref, &at_end));
            if (at_end)
                break;
            CHECK_EQ(key.size_bytes, 5);
            CHECK(memcmp(last, key.data, 5) < 0);
            memcpy(last, key.data, 5);
        }
        kd_index_cursor_close(cursor);
        kd_arena_destroy(arena);
    }
}

TEST(threads_share_an_index)
{
    kd_ctx ctx = test_ctx();
    kd_account account;
    kd_account_init(&account, NULL, "test", SIZE_MAX);
    kd_segment_options files = {
        .directory = test_directory(), .database_id = 1, .account = &account};
    CHECK_STATUS(&ctx, kd_block_cache_create(&ctx, &account, 1 << 20, &files.cache));
    kd_index_options options = {.index_no = 1, .files = &files, .account = &account};
    shared self = {0};
    CHECK_STATUS(&ctx, kd_index_create(&ctx, &options, &self.index));
    kd_thread *threads[WRITERS + 1];
    writer_job jobs[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        jobs[i] = (writer_job){&self, i};
        CHECK_STATUS(&ctx, kd_thread_start(&ctx, "writer", write_keys, &jobs[i], &threads[i]));
    }
    CHECK_STATUS(&ctx, kd_thread_start(&ctx, "scan", scan, &self, &threads[WRITERS]));
    kd_arena *arena = test_arena(&ctx);
    for (int i = 0; i < 6; i++) {
        kd_slice manifest;
        CHECK_STATUS(
            &ctx, kd_index_checkpoint(&ctx, self.index, NULL, NULL, i % 3 == 2, arena, &manifest));
        CHECK_STATUS(&ctx, kd_index_release_old(&ctx, self.index));
        ctx.world->sleep_ns(ctx.world, 20000000);
    }
    for (int i = 0; i < WRITERS; i++)
        kd_thread_join(ctx.world, threads[i]);
    atomic_store(&self.stop, true);
    kd_thread_join(ctx.world, threads[WRITERS]);
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            char key[8];
            uint64_t ref;
            uint32_t count;
            key_make(writer, i, key);
            CHECK_STATUS(&ctx,
                         kd_index_find(&ctx, self.index, (kd_slice){key, 5}, &ref, 1, &count));
            CHECK_EQ(count, i % 5 != 0);
        }
    }
    kd_index_close(ctx.world, self.index);
    kd_block_cache_destroy(files.cache);
    CHECK_EQ(atomic_load(&account.used_bytes), 0);
    kd_arena_destroy(arena);
}
