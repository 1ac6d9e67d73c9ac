/*
 * Durable appends against what the disk gives: synchronous 4 KiB writes into a
 * pre-written file, one after another.
 *
 *     bench_wal [DIRECTORY] [COMMITS] [ROUNDS]
 *
 * Rounds alternate between the disk alone, one client and sixteen, so that a change of the
 * machine hits all alike; the medians are compared. After each round the log is opened
 * again and its records are counted: a rate without the records would be no rate.
 */
#include "base/thread.h"
#include "wal/wal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CLIENT_COUNT = 16,
    ROUNDS_MAX = 64,
    RAW_BYTES = 16 << 20,
    PAYLOAD_BYTES = 120,
    RELAXED_FACTOR = 500
};

typedef struct bench {
    kd_ctx ctx;
    kd_account account;
    char directory[512];
    char raw_path[600];
    uint64_t commits;
    kd_wal *wal;
} bench;

typedef struct client {
    bench *bench;
    uint64_t commits;
    kd_status status;
    kd_thread *thread;
} client;

static _Noreturn void die(const kd_ctx *ctx)
{
    fprintf(stderr, "bench_wal: %s: %s\n", ctx->error.sqlstate, ctx->error.message);
    exit(1);
}

static void must(const kd_ctx *ctx, kd_status status)
{
    if (status != KD_OK)
        die(ctx);
}

static double seconds_since(kd_world *world, uint64_t begin_ns)
{
    return (double)(world->monotonic_ns(world) - begin_ns) * 1e-9;
}

/* Writes per second of the disk alone. */
static double raw_measure(bench *self)
{
    kd_ctx *ctx = &self->ctx;
    kd_world *world = ctx->world;
    kd_file *file;
    unsigned flags = KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_DIRECT;
    char *memory = world->memory_alloc(world, 1 << 20);
    if (memory == NULL)
        exit(1);
    memset(memory, 0, 1 << 20);
    must(ctx, world->file_open(ctx, self->raw_path, flags, &file));
    for (uint64_t offset = 0; offset < RAW_BYTES; offset += 1 << 20)
        must(ctx, world->file_write(ctx, file, offset, memory, 1 << 20));
    must(ctx, world->file_sync(ctx, file));
    world->file_close(world, file);
    must(ctx, world->file_open(ctx, self->raw_path, flags | KD_FILE_DSYNC, &file));
    uint64_t begin_ns = world->monotonic_ns(world);
    for (uint64_t i = 0; i < self->commits; i++)
        must(ctx, world->file_write(ctx, file, i * 4096 % RAW_BYTES, memory, 4096));
    double rate = (double)self->commits / seconds_since(world, begin_ns);
    world->file_close(world, file);
    world->memory_free(world, memory, 1 << 20);
    return rate;
}

static kd_status count_records(kd_ctx *ctx, void *object, const kd_wal_record *record)
{
    (void)ctx;
    (void)record;
    ++*(uint64_t *)object;
    return KD_OK;
}

static void log_open(bench *self, uint64_t *record_count)
{
    kd_wal_options options = {.directory = self->directory, .log_id = 1, .create = true};
    *record_count = 0;
    must(&self->ctx, kd_wal_open(&self->ctx, &self->account, &options, count_records, record_count,
                                 &self->wal));
}

static void client_run(void *object)
{
    client *self = object;
    kd_ctx ctx = {.world = self->bench->ctx.world};
    kd_error_clear(&ctx);
    char record[KD_WAL_FRAME_BYTES + PAYLOAD_BYTES] = {0};
    kd_store_u32(record, PAYLOAD_BYTES);
    record[4] = 1;
    for (uint64_t i = 0; i < self->commits && self->status == KD_OK; i++) {
        uint64_t end;
        self->status = kd_wal_append(&ctx, self->bench->wal, record, sizeof record, NULL, &end);
        if (self->status == KD_OK)
            self->status = kd_wal_wait_durable(&ctx, self->bench->wal, end);
    }
    if (self->status != KD_OK)
        die(&ctx);
}

/* Commits per second of `client_count` threads together. */
static double log_measure(bench *self, unsigned client_count)
{
    kd_world *world = self->ctx.world;
    uint64_t before, after;
    log_open(self, &before);
    client clients[CLIENT_COUNT];
    uint64_t begin_ns = world->monotonic_ns(world);
    for (unsigned i = 0; i < client_count; i++) {
        clients[i] = (client){.bench = self, .commits = self->commits};
        must(&self->ctx,
             kd_thread_start(&self->ctx, "client", client_run, &clients[i], &clients[i].thread));
    }
    for (unsigned i = 0; i < client_count; i++)
        kd_thread_join(world, clients[i].thread);
    double seconds = seconds_since(world, begin_ns);
    must(&self->ctx, kd_wal_close(&self->ctx, self->wal));
    log_open(self, &after);
    must(&self->ctx, kd_wal_close(&self->ctx, self->wal));
    if (after - before != self->commits * client_count) {
        fprintf(stderr, "bench_wal: records are missing\n");
        exit(1);
    }
    return (double)(self->commits * client_count) / seconds;
}

/* Appends per second when only the last one is waited for: the cost of the log without the disk's
 * latency. */
static double relaxed_measure(bench *self)
{
    kd_ctx *ctx = &self->ctx;
    kd_world *world = ctx->world;
    uint64_t before, count = self->commits * RELAXED_FACTOR;
    log_open(self, &before);
    char record[KD_WAL_FRAME_BYTES + PAYLOAD_BYTES] = {0};
    kd_store_u32(record, PAYLOAD_BYTES);
    record[4] = 1;
    uint64_t begin_ns = world->monotonic_ns(world);
    for (uint64_t i = 0; i < count; i++)
        must(ctx, kd_wal_append(ctx, self->wal, record, sizeof record, NULL, NULL));
    must(ctx, kd_wal_flush(ctx, self->wal));
    double rate = (double)count / seconds_since(world, begin_ns);
    must(ctx, kd_wal_close(ctx, self->wal));
    return rate;
}

/* Bytes per second of opening a log: reading, checking and visiting every record. */
static double recovery_measure(bench *self)
{
    kd_world *world = self->ctx.world;
    uint64_t count;
    uint64_t begin_ns = world->monotonic_ns(world);
    log_open(self, &count);
    double seconds = seconds_since(world, begin_ns);
    double bytes = (double)kd_wal_next_position(self->wal);
    must(&self->ctx, kd_wal_close(&self->ctx, self->wal));
    return bytes / seconds;
}

static int compare_rates(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *rates, unsigned count)
{
    qsort(rates, count, sizeof *rates, compare_rates);
    return rates[count / 2];
}

static kd_status entry_remove(kd_ctx *ctx, void *object, const kd_directory_entry *entry)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)object, entry->name);
    return ctx->world->path_remove(ctx, path);
}

static void directory_clear(bench *self)
{
    kd_world *world = self->ctx.world;
    must(&self->ctx,
         world->directory_list(&self->ctx, self->directory, entry_remove, self->directory));
    must(&self->ctx, world->path_remove(&self->ctx, self->directory));
    must(&self->ctx, world->path_remove(&self->ctx, self->raw_path));
}

int main(int argument_count, char **arguments)
{
    bench self = {.ctx = {.world = kd_world_posix()}};
    const char *parent = argument_count > 1 ? arguments[1] : ".";
    self.commits = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 200;
    unsigned rounds = argument_count > 3 ? (unsigned)strtoul(arguments[3], NULL, 10) : 3;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    kd_error_clear(&self.ctx);
    kd_account_init(&self.account, NULL, "bench", SIZE_MAX);
    (void)snprintf(self.directory, sizeof self.directory, "%s/bench-wal", parent);
    (void)snprintf(self.raw_path, sizeof self.raw_path, "%s/bench-wal.raw", parent);

    double raw[ROUNDS_MAX], one[ROUNDS_MAX], many[ROUNDS_MAX], relaxed[ROUNDS_MAX];
    double recovery[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        raw[i] = raw_measure(&self);
        one[i] = log_measure(&self, 1);
        many[i] = log_measure(&self, CLIENT_COUNT);
        relaxed[i] = relaxed_measure(&self);
        recovery[i] = recovery_measure(&self);
    }
    directory_clear(&self);
    double raw_rate = median(raw, rounds), one_rate = median(one, rounds);
    double many_rate = median(many, rounds);
    printf("wal: disk alone %.0f writes/s; 1 client %.0f commits/s (%.0f %% of the disk); "
           "%d clients %.0f commits/s (%.1f x one); unwaited %.0f appends/s; "
           "recovery %.0f MB/s\n",
           raw_rate, one_rate, 100 * one_rate / raw_rate, CLIENT_COUNT, many_rate,
           many_rate / one_rate, median(relaxed, rounds), median(recovery, rounds) * 1e-6);
    return 0;
}
