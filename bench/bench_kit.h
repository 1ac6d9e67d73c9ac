/*
 * What the C benchmarks share: time, chance, and kade.h that ends the program where it fails.
 */
#ifndef KD_BENCH_KIT_H
#define KD_BENCH_KIT_H

#include <kade.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double seconds_on(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double seconds_now(void)
{
    return seconds_on(CLOCK_MONOTONIC);
}

static inline void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

static inline void sleep_for(double seconds)
{
    struct timespec duration = {.tv_sec = (time_t)seconds};
    duration.tv_nsec = (long)((seconds - (double)duration.tv_sec) * 1e9);
    (void)nanosleep(&duration, NULL);
}

enum { BENCH_PATH_BYTES = 160 };
/* A directory of the run's own, below TMPDIR: which disk is measured is for the caller to say.
 * `out_directory` of BENCH_PATH_BYTES. */
static inline void directory_make(char *out_directory)
{
    const char *below = getenv("TMPDIR");
    int length = snprintf(out_directory, BENCH_PATH_BYTES, "%s/kade-bench-XXXXXX",
                          below == NULL || *below == '\0' ? "/tmp" : below);
    if (length >= BENCH_PATH_BYTES || mkdtemp(out_directory) == NULL)
        die("mkdtemp", out_directory);
}

static inline void directory_remove(const char *directory)
{
    char command[BENCH_PATH_BYTES + 8];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    if (system(command) != 0)
        die("rm", directory);
}

static inline void must(kade_session *session, kade_status status, const char *what)
{
    if (status != KADE_OK)
        die(what, kade_session_error(session)->message);
}

static inline void run(kade_session *session, const char *sql)
{
    must(session, kade_execute(session, sql, KADE_NUL, NULL, NULL), sql);
}

/* The first value of the first row; -1: there is no row. */
static inline int64_t ask(kade_session *session, const char *sql)
{
    kade_statement *statement;
    bool has_row;
    must(session, kade_prepare(session, sql, KADE_NUL, &statement), sql);
    must(session, kade_step(statement, &has_row), sql);
    int64_t answer = has_row ? kade_column_int64(statement, 0) : -1;
    kade_finalize(statement);
    return answer;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static inline kade_database *open_kade(const char *path)
{
    kade_database *database;
    kade_error *error = NULL;
    if (kade_open(path, KADE_NUL, NULL, &database, &error) != KADE_OK)
        die(path, error->message);
    return database;
}

static inline kade_session *connect_kade(kade_database *database)
{
    kade_session *session;
    kade_error *error = NULL;
    if (kade_connect(database, &session, &error) != KADE_OK)
        die("connect", error->message);
    return session;
}

#endif
