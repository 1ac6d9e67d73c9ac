/*
 * How fast the flights are sniffed and parsed into batches, from the plain and the compressed
 * file, on one and two threads. The sum of the distances is checked before a time is reported.
 *
 *     bench_csv [DIRECTORY with flights.csv.zst] [flights.csv]
 */
#include "base/thread.h"
#include "lake/csv.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 16, ROUNDS = 3 };
static const int64_t DISTANCE_SUM_NONE = -1;

typedef struct parse_job {
    kd_ctx ctx;
    kd_csv_reader *reader;
    uint64_t row_count;
    int64_t distance_sum;
    kd_status status;
} parse_job;

static const kd_text_settings SETTINGS = {.extra_float_digits = 1};

static kd_status job_parse(parse_job *job, kd_arena *arena)
{
    kd_csv_worker *worker;
    KD_TRY(kd_csv_worker_create(&job->ctx, arena, job->reader, &SETTINGS, &worker));
    kd_batch batch;
    do {
        KD_TRY(kd_csv_worker_next(&job->ctx, worker, &batch));
        job->row_count += batch.row_count;
        const int32_t *distances = batch.row_count == 0 ? NULL : batch.columns[2].values;
        for (uint32_t i = 0; i < batch.row_count; i++)
            job->distance_sum += distances[i];
    } while (batch.row_count > 0);
    return KD_OK;
}

static void job_run(void *object)
{
    parse_job *job = object;
    kd_arena *arena = kd_arena_create(&job->ctx, NULL, "bench", KD_ARENA_UNLIMITED);
    job->status = arena == NULL ? KD_NOMEM : job_parse(job, arena);
    kd_arena_destroy(arena);
}

static kd_status file_parse(kd_ctx *ctx, const char *path, unsigned thread_count,
                            uint64_t *out_rows, int64_t *out_sum)
{
    kd_status status = KD_OK;
    kd_arena *arena = kd_arena_create(ctx, NULL, "bench", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kd_text_source *source = NULL;
    kd_csv_reader *reader = NULL;
    kd_csv_options options = kd_csv_options_default();
    parse_job jobs[THREADS_MAX];
    kd_thread *threads[THREADS_MAX] = {NULL};
    KD_TRY_OUT(kd_text_source_open(ctx, arena, path, &source));
    KD_TRY_OUT(kd_csv_reader_create(ctx, arena, source, &options, &reader));
    for (unsigned i = 0; i < thread_count; i++) {
        jobs[i] = (parse_job){.ctx = {.world = ctx->world}, .reader = reader};
        KD_TRY_OUT(kd_thread_start(ctx, "parse", job_run, &jobs[i], &threads[i]));
    }
    for (unsigned i = 0; i < thread_count; i++) {
        kd_thread_join(ctx->world, threads[i]);
        *out_rows += jobs[i].row_count;
        *out_sum += jobs[i].distance_sum;
        if (jobs[i].status != KD_OK) {
            ctx->error = jobs[i].ctx.error;
            status = jobs[i].status;
        }
    }

out:
    kd_csv_reader_destroy(reader);
    kd_text_source_close(source);
    kd_arena_destroy(arena);
    return status;
}

/* The best of some rounds, in seconds; negative on failure. */
static double file_measure(const char *path, unsigned thread_count, uint64_t *out_rows,
                           int64_t *out_sum)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        kd_ctx ctx = {.world = kd_world_posix()};
        *out_rows = 0;
        *out_sum = 0;
        uint64_t begin = ctx.world->monotonic_ns(ctx.world);
        if (file_parse(&ctx, path, thread_count, out_rows, out_sum) != KD_OK) {
            fprintf(stderr, "%s: %s %s\n", path, ctx.error.message, ctx.error.detail);
            return -1;
        }
        double took = (double)(ctx.world->monotonic_ns(ctx.world) - begin) / 1e9;
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    char compressed[4096];
    snprintf(compressed, sizeof compressed, "%s/flights.csv.zst",
             argc > 1 ? argv[1] : "data/flights");
    const char *paths[] = {compressed, argc > 2 ? argv[2] : NULL};
    int64_t expected = DISTANCE_SUM_NONE;
    for (int i = 0; i < 2 && paths[i] != NULL; i++) {
        for (unsigned threads = 1; threads <= 2; threads++) {
            uint64_t rows;
            int64_t sum;
            double seconds = file_measure(paths[i], threads, &rows, &sum);
            if (expected == DISTANCE_SUM_NONE)
                expected = sum;
            if (seconds < 0 || rows != 3000000 || sum != expected) {
                fprintf(stderr, "%s: wrong answer: %llu rows, sum %lld\n", paths[i],
                        (unsigned long long)rows, (long long)sum);
                return 1;
            }
            printf("csv parse %s, %u thread%s: %.3f s, %.1f M rows/s\n", paths[i], threads,
                   threads == 1 ? "" : "s", seconds, 3.0 / seconds);
        }
    }
    return 0;
}
