/*
 * Point reads and durable commits through kade.h, beside SQLite in the same run.
 *
 * Reads: one row by primary key, prepared, from segments and from the delta, a statement per
 * transaction and inside one. Commits: one row inserted per durable transaction (SQLite: WAL,
 * synchronous=FULL), from one client and from sixteen threads. Answers are checked as they come.
 *
 * Times of single calls: a prepared read from bind to reset (its 50th and 99th of 100), and what
 * preparing a short query costs when its text is new, and when it has come before.
 *
 *     bench_point [ROWS] [SECONDS]
 */
#include "../bench_kit.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 16 };

/* Reads wait for nothing, so they are timed by this thread's processor time: what else the machine
 * does falls out of the ratio. */
static double cpu_seconds_now(void)
{
    return seconds_on(CLOCK_THREAD_CPUTIME_ID);
}

/* --- KadeDB ----------------------------------------------------------------------------------- */

static double kade_reads(kade_session *session, long rows, double duration)
{
    kade_statement *statement;
    uint64_t state = 42;
    long count = 0;
    must(session,
         kade_prepare(session, "SELECT value FROM points WHERE id = $1", KADE_NUL, &statement),
         "prepare");
    double start = cpu_seconds_now();
    while (cpu_seconds_now() - start < duration) {
        for (int i = 0; i < 256; i++, count++) {
            long id = (long)(next_random(&state) % (uint64_t)rows);
            bool has_row;
            must(session, kade_bind_int64(statement, 1, id), "bind");
            must(session, kade_step(statement, &has_row), "step");
            if (!has_row || kade_column_int64(statement, 0) != id * 7)
                die("read", "wrong answer");
            kade_reset(statement);
        }
    }
    double elapsed = cpu_seconds_now() - start;
    kade_finalize(statement);
    return (double)count / elapsed;
}

enum { CALLS = 20000 };

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Sorts the times, in seconds, and prints two of them. */
static void report_times(const char *what, double *times, double goal_us)
{
    qsort(times, CALLS, sizeof *times, compare_times);
    printf("%s: p50 %.2f us, p99 %.2f us (goal: p50 <= %.0f us)\n", what, times[CALLS / 2] * 1e6,
           times[CALLS / 100 * 99] * 1e6, goal_us);
}

static void time_reads(kade_session *session, long rows)
{
    static double times[CALLS];
    kade_statement *statement;
    uint64_t state = 42;
    must(session,
         kade_prepare(session, "SELECT value FROM points WHERE id = $1", KADE_NUL, &statement),
         "prepare");
    for (int i = 0; i < CALLS; i++) {
        bool has_row;
        long id = (long)(next_random(&state) % (uint64_t)rows);
        double start = seconds_now();
        must(session, kade_bind_int64(statement, 1, id), "bind");
        must(session, kade_step(statement, &has_row), "step");
        if (!has_row || kade_column_int64(statement, 0) != id * 7)
            die("read", "wrong answer");
        kade_reset(statement);
        times[i] = seconds_now() - start;
    }
    kade_finalize(statement);
    report_times("one prepared read", times, 5);
}

/* `count` texts by turns: more than a session keeps, or one. */
static void time_planning(kade_session *session, const char *what, const char *format, int count)
{
    static double times[CALLS];
    char sql[200];
    for (int i = 0; i < CALLS; i++) {
        kade_statement *statement;
        snprintf(sql, sizeof sql, format, i % count, i % count);
        double start = seconds_now();
        must(session, kade_prepare(session, sql, KADE_NUL, &statement), "prepare");
        kade_finalize(statement);
        times[i] = seconds_now() - start;
    }
    report_times(what, times, 100);
}

static void time_plans(kade_session *session)
{
    const char *point = "SELECT name, value + %d FROM points WHERE id = %d";
    const char *join =
        "SELECT count(*), max(b.value) FROM points a JOIN points b ON a.id = b.value "
        "WHERE a.id < %d AND b.name LIKE 'point number %d%%' GROUP BY b.name";
    time_planning(session, "planning a short query, new text", point, CALLS);
    time_planning(session, "planning a short query, same text", point, 1);
    time_planning(session, "planning a join with groups, new text", join, CALLS);
    time_planning(session, "planning a join with groups, same text", join, 1);
}

static void fill_kade(kade_session *session, long rows)
{
    run(session, "CREATE TABLE points (id bigint PRIMARY KEY, value bigint, name text)");
    run(session, "BEGIN");
    kade_statement *statement;
    must(session,
         kade_prepare(session, "INSERT INTO points VALUES ($1, $2, $3)", KADE_NUL, &statement),
         "prepare insert");
    for (long id = 0; id < rows; id++) {
        bool has_row;
        char name[40];
        snprintf(name, sizeof name, "point number %ld", id);
        must(session, kade_bind_int64(statement, 1, id), "bind");
        must(session, kade_bind_int64(statement, 2, id * 7), "bind");
        must(session, kade_bind_text(statement, 3, name, KADE_NUL), "bind");
        must(session, kade_step(statement, &has_row), "insert");
    }
    kade_finalize(statement);
    run(session, "COMMIT");
}

typedef struct writer {
    kade_database *database;
    long first;
    double duration;
    long count;
} writer;

static void *kade_writer(void *object)
{
    writer *work = object;
    kade_session *session = connect_kade(work->database);
    kade_statement *statement;
    must(session, kade_prepare(session, "INSERT INTO log VALUES ($1, $2)", KADE_NUL, &statement),
         "prepare");
    double start = seconds_now();
    while (seconds_now() - start < work->duration) {
        bool has_row;
        must(session, kade_bind_int64(statement, 1, work->first + work->count), "bind");
        must(session, kade_bind_int64(statement, 2, work->count * 3), "bind");
        must(session, kade_step(statement, &has_row), "insert");
        work->count++;
    }
    kade_finalize(statement);
    kade_disconnect(session);
    return NULL;
}

static double kade_commits(kade_database *database, int threads, double duration)
{
    static long base;
    pthread_t ids[THREADS];
    writer writers[THREADS];
    long total = 0;
    double start = seconds_now();
    for (int i = 0; i < threads; i++) {
        writers[i] =
            (writer){.database = database, .first = base + i * 100000000L, .duration = duration};
        pthread_create(&ids[i], NULL, kade_writer, &writers[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        total += writers[i].count;
    }
    base += 10000000000L;
    return (double)total / (seconds_now() - start);
}

/* --- SQLite ----------------------------------------------------------------------------------- */

static void sqlite_run(sqlite3 *database, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK)
        die(sql, error);
}

static double sqlite_reads(sqlite3 *database, long rows, double duration)
{
    sqlite3_stmt *statement;
    uint64_t state = 42;
    long count = 0;
    if (sqlite3_prepare_v2(database, "SELECT value FROM points WHERE id = ?", -1, &statement,
                           NULL) != SQLITE_OK)
        die("sqlite prepare", sqlite3_errmsg(database));
    double start = cpu_seconds_now();
    while (cpu_seconds_now() - start < duration) {
        for (int i = 0; i < 256; i++, count++) {
            long id = (long)(next_random(&state) % (uint64_t)rows);
            sqlite3_bind_int64(statement, 1, id);
            if (sqlite3_step(statement) != SQLITE_ROW ||
                sqlite3_column_int64(statement, 0) != id * 7)
                die("sqlite read", "wrong answer");
            sqlite3_reset(statement);
        }
    }
    double elapsed = cpu_seconds_now() - start;
    sqlite3_finalize(statement);
    return (double)count / elapsed;
}

static sqlite3 *open_sqlite(const char *path)
{
    sqlite3 *database;
    if (sqlite3_open(path, &database) != SQLITE_OK)
        die(path, "cannot open");
    sqlite_run(database, "PRAGMA journal_mode=WAL");
    sqlite_run(database, "PRAGMA synchronous=FULL");
    return database;
}

static void fill_sqlite(sqlite3 *database, long rows)
{
    sqlite3_stmt *statement;
    sqlite_run(database, "CREATE TABLE points (id INTEGER PRIMARY KEY, value INTEGER, name TEXT)");
    sqlite_run(database, "CREATE TABLE log (id INTEGER PRIMARY KEY, value INTEGER)");
    sqlite_run(database, "BEGIN");
    sqlite3_prepare_v2(database, "INSERT INTO points VALUES (?, ?, ?)", -1, &statement, NULL);
    for (long id = 0; id < rows; id++) {
        char name[40];
        snprintf(name, sizeof name, "point number %ld", id);
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_int64(statement, 2, id * 7);
        sqlite3_bind_text(statement, 3, name, -1, SQLITE_TRANSIENT);
        if (sqlite3_step(statement) != SQLITE_DONE)
            die("sqlite insert", sqlite3_errmsg(database));
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    sqlite_run(database, "COMMIT");
}

static double sqlite_commits(sqlite3 *database, double duration)
{
    sqlite3_stmt *statement;
    long count = 0;
    sqlite3_prepare_v2(database, "INSERT INTO log VALUES (?, ?)", -1, &statement, NULL);
    double start = seconds_now();
    while (seconds_now() - start < duration) {
        sqlite3_bind_int64(statement, 1, count);
        sqlite3_bind_int64(statement, 2, count * 3);
        if (sqlite3_step(statement) != SQLITE_DONE)
            die("sqlite insert", sqlite3_errmsg(database));
        sqlite3_reset(statement);
        count++;
    }
    sqlite3_finalize(statement);
    return (double)count / (seconds_now() - start);
}

static void report(const char *what, double ours, double theirs, double goal)
{
    printf("%s: KadeDB %.0f/s, SQLite %.0f/s, ratio %.2f (goal %.1f)\n", what, ours, theirs,
           ours / theirs, goal);
}

int main(int argc, char **argv)
{
    long rows = argc > 1 ? atol(argv[1]) : 100000;
    double duration = argc > 2 ? atof(argv[2]) : 1.0;
    char directory[BENCH_PATH_BYTES], kade_path[BENCH_PATH_BYTES + 16],
        sqlite_path[BENCH_PATH_BYTES + 16];
    directory_make(directory);
    snprintf(kade_path, sizeof kade_path, "%s/point.kade", directory);
    snprintf(sqlite_path, sizeof sqlite_path, "%s/point.sqlite", directory);
    printf("KadeDB %s, SQLite %s, %ld rows\n", kade_version(), sqlite3_libversion(), rows);

    kade_database *database = open_kade(kade_path);
    kade_session *session = connect_kade(database);
    sqlite3 *sqlite = open_sqlite(sqlite_path);
    fill_kade(session, rows);
    fill_sqlite(sqlite, rows);
    run(session, "CREATE TABLE log (id bigint PRIMARY KEY, value bigint)");

    double theirs = sqlite_reads(sqlite, rows, duration);
    report("read from delta, a statement per transaction", kade_reads(session, rows, duration),
           theirs, 3);
    sqlite_run(sqlite, "BEGIN");
    double theirs_in_one = sqlite_reads(sqlite, rows, duration);
    sqlite_run(sqlite, "COMMIT");
    run(session, "BEGIN");
    report("read from delta, in one transaction", kade_reads(session, rows, duration),
           theirs_in_one, 1.5);
    run(session, "COMMIT");
    run(session, "VACUUM");
    report("read from segments, a statement per transaction", kade_reads(session, rows, duration),
           theirs, 3);
    run(session, "BEGIN");
    report("read from segments, in one transaction", kade_reads(session, rows, duration),
           theirs_in_one, 1.5);
    run(session, "COMMIT");
    time_reads(session, rows);
    time_plans(session);
    double single = sqlite_commits(sqlite, duration);
    report("durable commits, one client", kade_commits(database, 1, duration), single, 1);
    report("durable commits, 16 threads", kade_commits(database, THREADS, duration), single, 5);

    kade_disconnect(session);
    kade_close(database);
    sqlite3_close(sqlite);
    directory_remove(directory);
    return 0;
}
