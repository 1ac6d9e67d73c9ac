/*
 * Point reads at a fixed rate beside long analytic queries, all through kade.h in one process.
 *
 * Ten sessions ask for groups of three million rows, sorts, windows and a join, one query after the
 * other; fifty read single rows by primary key, each at its own moments, however long the read
 * before took: a read's time counts from when it was due (no coordinated omission). Printed: the
 * reads' p50, p99 and p99.9 alone and beside the others, and how many queries those finished. Every
 * answer is checked.
 *
 *     bench_mixed [SECONDS] [READS_PER_SECOND]      10 and 1000 by default; of all sessions
 * together
 */
#include "../bench_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { READERS = 50, ANALYSTS = 10, POINTS = 1000000, ROWS = 3000000 };

static const char *const queries[] = {
    "SELECT count(*) FROM (SELECT origin, destination, count(*), avg(delay) FROM trips "
    "GROUP BY origin, destination) g",
    "SELECT count(*) FROM (SELECT delay, rank() OVER (PARTITION BY origin ORDER BY delay DESC) AS "
    "r "
    "FROM trips) w WHERE r <= 3",
    "SELECT count(*) FROM (SELECT note FROM trips ORDER BY note, delay LIMIT 2000000) s",
    "SELECT count(*) FROM trips a, trips b WHERE a.id = b.id AND a.delay < b.distance",
    "SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY distance) FROM trips",
};

typedef struct reader {
    kade_database *database;
    double interval, start, until;
    uint64_t state;
    double *times;
    long count;
} reader;

static void *read_points(void *object)
{
    reader *self = object;
    kade_session *session = connect_kade(self->database);
    kade_statement *statement;
    must(session,
         kade_prepare(session, "SELECT value FROM points WHERE id = $1", KADE_NUL, &statement),
         "prepare");
    for (double due = self->start; due < self->until; due += self->interval) {
        double now = seconds_now();
        if (now < due)
            sleep_for(due - now);
        int64_t id = (int64_t)(next_random(&self->state) % POINTS);
        bool has_row;
        must(session, kade_bind_int64(statement, 1, id), "bind");
        must(session, kade_step(statement, &has_row), "step");
        if (!has_row || kade_column_int64(statement, 0) != id * 3)
            die("a point read", "a wrong answer");
        kade_reset(statement);
        self->times[self->count++] = seconds_now() - due;
    }
    kade_finalize(statement);
    kade_disconnect(session);
    return NULL;
}

typedef struct analyst {
    kade_database *database;
    const int64_t *answers;
    _Atomic bool *stops;
    int first;
    long finished;
} analyst;

static void *analyse(void *object)
{
    analyst *self = object;
    kade_session *session = connect_kade(self->database);
    enum { COUNT = sizeof queries / sizeof *queries };
    for (int q = self->first; !atomic_load(self->stops); q++) {
        if (ask(session, queries[q % COUNT]) != self->answers[q % COUNT])
            die(queries[q % COUNT], "a wrong answer");
        self->finished++;
    }
    kade_disconnect(session);
    return NULL;
}

static void fill(kade_session *session)
{
    run(session, "CREATE TABLE points (id bigint PRIMARY KEY, value bigint, note text)");
    run(session, "INSERT INTO points SELECT i, i * 3, 'the point ' || i "
                 "FROM generate_series(0::bigint, 999999) i");
    run(session, "CREATE TABLE trips (id bigint, origin text, destination text, delay int, "
                 "distance int, note text)");
    run(session, "INSERT INTO trips SELECT i, 'A' || i % 300, 'B' || i * 7 % 311, i * 13 % 1440, "
                 "i * 17 % 3000, md5(i::text) FROM generate_series(1::bigint, 3000000) i");
    run(session, "VACUUM; CHECKPOINT");
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void read_all(kade_database *database, double seconds, double rate, const char *what)
{
    pthread_t threads[READERS];
    static reader readers[READERS];
    size_t room = (size_t)(seconds * rate / READERS) + 2;
    double *all = malloc(READERS * room * sizeof *all);
    long count = 0;
    if (all == NULL)
        die("malloc", "no memory");
    double start = seconds_now() + 0.2;
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){.database = database,
                              .interval = READERS / rate,
                              .start = start + (double)i / rate,
                              .until = start + seconds,
                              .state = (uint64_t)i + 1,
                              .times = all + (size_t)i * room};
        if (pthread_create(&threads[i], NULL, read_points, &readers[i]) != 0)
            die("pthread_create", "failed");
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        memmove(all + count, readers[i].times, (size_t)readers[i].count * sizeof *all);
        count += readers[i].count;
    }
    qsort(all, (size_t)count, sizeof *all, by_time);
    printf("%s: %ld reads by key, %.0f/s; p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, most %.1f ms\n",
           what, count, (double)count / seconds, all[count / 2] * 1e3, all[count * 99 / 100] * 1e3,
           all[count * 999 / 1000] * 1e3, all[count - 1] * 1e3);
    fflush(stdout);
    free(all);
}

int main(int argc, char **argv)
{
    char directory[BENCH_PATH_BYTES], path[BENCH_PATH_BYTES + 8];
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    double rate = argc > 2 ? strtod(argv[2], NULL) : 1000;
    int64_t answers[sizeof queries / sizeof *queries];
    static _Atomic bool stops;
    analyst analysts[ANALYSTS];
    pthread_t threads[ANALYSTS];
    long finished = 0;
    directory_make(directory);
    snprintf(path, sizeof path, "%s/db", directory);
    kade_database *database = open_kade(path);
    kade_session *session = connect_kade(database);
    fill(session);
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
        double start = seconds_now();
        answers[q] = ask(session, queries[q]);
        printf("query %zu alone: %.0f ms\n", q + 1, (seconds_now() - start) * 1e3);
    }
    read_all(database, seconds, rate, "alone");
    for (int i = 0; i < ANALYSTS; i++) {
        analysts[i] = (analyst){database, answers, &stops, i, 0};
        if (pthread_create(&threads[i], NULL, analyse, &analysts[i]) != 0)
            die("pthread_create", "failed");
    }
    sleep_for(1);
    read_all(database, seconds, rate, "beside ten sessions of analytics");
    atomic_store(&stops, true);
    for (int i = 0; i < ANALYSTS; i++) {
        pthread_join(threads[i], NULL);
        finished += analysts[i].finished;
    }
    printf("queries finished beside: %ld\n", finished);
    kade_disconnect(session);
    kade_close(database);
    directory_remove(directory);
    return 0;
}
