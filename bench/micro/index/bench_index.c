/*
 * Indexes on bigint keys: inserts, exact finds in memory and in a run, a scan.
 *
 *     bench_index [KEYS]
 *
 * Every find is checked.
 */
#include "base/world.h"
#include "index/index.h"
#include "types/value.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct bench {
    kd_ctx ctx;
    kd_arena *arena;
    kd_index *index;
    uint64_t count;
} bench;

static void must(const bench *self, kd_status status)
{
    if (status == KD_OK)
        return;
    (void)fprintf(stderr, "%s\n", self->ctx.error.message);
    exit(1);
}

static double seconds(const bench *self)
{
    return (double)self->ctx.world->monotonic_ns(self->ctx.world) * 1e-9;
}

/* As kd_key_append writes a bigint, without its buffer. */
static kd_slice make_key(uint64_t number, char room[9])
{
    uint64_t word = __builtin_bswap64(number ^ (uint64_t)1 << 63);
    room[0] = 2;
    memcpy(room + 1, &word, sizeof word);
    return (kd_slice){room, 9};
}

/* A permutation of 0 .. count - 1, near enough: all numbers below a power of two, in a wild order.
 */
static uint64_t scatter(uint64_t i, uint64_t count)
{
    uint64_t mask = 1;
    while (mask < count)
        mask *= 2;
    do
        i = (i * 0x9e3779b1u + 12345) & (mask - 1);
    while (i >= count);
    return i;
}

static void insert_all(bench *self)
{
    double start = seconds(self);
    for (uint64_t i = 0; i < self->count; i++) {
        char room[9];
        uint64_t number = scatter(i, self->count);
        must(self, kd_index_insert(&self->ctx, self->index, make_key(number, room), number));
    }
    double time = seconds(self) - start;
    (void)printf("insert, random order   %.0f ns, %.1f bytes an entry\n",
                 time * 1e9 / (double)self->count,
                 (double)kd_index_memory_bytes(self->index) / (double)self->count);
}

static void find_all(bench *self, const char *where)
{
    double start = seconds(self);
    uint64_t state = 5;
    for (uint64_t i = 0; i < self->count; i++) {
        char room[9];
        uint64_t ref;
        uint32_t count;
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t number = (state >> 20) % self->count;
        must(self, kd_index_find(&self->ctx, self->index, make_key(number, room), &ref, 1, &count));
        if (count != 1 || ref != number) {
            (void)fprintf(stderr, "%llu is not found\n", (unsigned long long)number);
            exit(1);
        }
    }
    (void)printf("find, random, %-8s %.0f ns\n", where,
                 (seconds(self) - start) * 1e9 / (double)self->count);
}

static void scan_all(bench *self, const char *where)
{
    double start = seconds(self);
    kd_index_cursor *cursor;
    kd_index_range range = {0};
    uint64_t count = 0, sum = 0;
    bool at_end = false;
    must(self, kd_index_cursor_open(&self->ctx, self->arena, self->index, &range, &cursor));
    while (!at_end) {
        kd_slice key;
        uint64_t ref;
        must(self, kd_index_cursor_next(&self->ctx, cursor, &key, &ref, &at_end));
        count += !at_end;
        sum += ref;
    }
    kd_index_cursor_close(cursor);
    if (count != self->count || sum != count * (count - 1) / 2)
        exit(1);
    (void)printf("scan, %-8s         %.0f ns an entry\n", where,
                 (seconds(self) - start) * 1e9 / (double)self->count);
}

int main(int argc, char **argv)
{
    bench self = {.ctx = {.world = kd_world_posix()}};
    kd_account account;
    kd_account_init(&account, NULL, "bench", SIZE_MAX);
    self.count = argc > 1 ? (uint64_t)atoll(argv[1]) : 20000;
    self.arena = kd_arena_create(&self.ctx, NULL, "bench", SIZE_MAX);
    if (self.arena == NULL)
        return 1;
    kd_segment_options files = {
        .directory = "bench_index.tmp", .database_id = 1, .account = &account};
    must(&self, self.ctx.world->directory_create(&self.ctx, files.directory));
    must(&self, kd_block_cache_create(&self.ctx, &account, (size_t)1 << 30, &files.cache));
    kd_index_options options = {.index_no = 1, .files = &files, .account = &account};
    must(&self, kd_index_create(&self.ctx, &options, &self.index));
    insert_all(&self);
    find_all(&self, "memory");
    scan_all(&self, "memory");
    kd_slice manifest;
    double start = seconds(&self);
    must(&self,
         kd_index_checkpoint(&self.ctx, self.index, NULL, NULL, false, self.arena, &manifest));
    (void)printf("checkpoint             %.3f s\n", seconds(&self) - start);
    find_all(&self, "run");
    scan_all(&self, "run");
    kd_index_close(self.ctx.world, self.index);
    must(&self, kd_index_remove_files(&self.ctx, &options, manifest));
    must(&self, self.ctx.world->path_remove(&self.ctx, files.directory));
    kd_block_cache_destroy(files.cache);
    kd_arena_destroy(self.arena);
    return 0;
}
