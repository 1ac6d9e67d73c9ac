/*
 * Rows that are changed again and again, through kade.h, beside SQLite in the same run.
 *
 * UPDATE of a counter by primary key, prepared, on one row, on eight, and on all of a warm table;
 * commits that nobody waits for (SQLite: WAL, synchronous=OFF), from one thread and from eight, and
 * all in one transaction. Then the same for a while alone, beside a transaction that keeps an old
 * snapshot, and beside a query that has begun to give its rows: what memory does between the first
 * quarter and the end, what a lookup of the hot row costs meanwhile, for the present and for the
 * old snapshot, and what a scan costs afterwards. Counters and answers are checked.
 *
 *     bench_hot [SECONDS] [PHASE]      PHASE: updates, memory, transaction; all of them without
 */
#include "../bench_kit.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ROWS = 10000, LOOKUPS = 2001 };

/* What one thread does is timed by processor time: what else the machine does falls out. */
static double cpu_seconds_now(void)
{
    return seconds_on(CLOCK_PROCESS_CPUTIME_ID);
}

static double rss_mib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* --- KadeDB ----------------------------------------------------------------------------------- */

/* Commits are not waited for. */
static kade_session *connect_relaxed(kade_database *database)
{
    kade_session *session = connect_kade(database);
    run(session, "SET synchronous_commit = off");
    return session;
}

static void fill_kade(kade_session *session)
{
    run(session, "CREATE TABLE hot (id bigint PRIMARY KEY, n bigint, note text)");
    run(session, "INSERT INTO hot SELECT i, 0, 'the row number ' || i "
                 "FROM generate_series(0, 9999) AS s(i)");
    run(session, "CHECKPOINT");
}

typedef struct updater {
    kade_database *database;
    long rows;
    double until;
    uint64_t state;
    long count;
} updater;

static void update_some(kade_session *session, kade_statement *update, updater *work, long count)
{
    for (long i = 0; i < count; i++) {
        bool has_row;
        long id = work->rows == 1 ? 7 : (long)(next_random(&work->state) % (uint64_t)work->rows);
        must(session, kade_bind_int64(update, 1, id), "bind");
        must(session, kade_step(update, &has_row), "update");
        kade_reset(update);
    }
    work->count += count;
}

static kade_statement *prepare_update(kade_session *session)
{
    kade_statement *update;
    must(session,
         kade_prepare(session, "UPDATE hot SET n = n + 1 WHERE id = $1", KADE_NUL, &update),
         "prepare");
    return update;
}

static void *updater_run(void *object)
{
    updater *work = object;
    kade_session *session = connect_relaxed(work->database);
    kade_statement *update = prepare_update(session);
    while (seconds_now() < work->until)
        update_some(session, update, work, 64);
    kade_finalize(update);
    kade_disconnect(session);
    return NULL;
}

static void updaters_start(kade_database *database, int threads, long rows, double duration,
                           updater *updaters, pthread_t *ids)
{
    for (int i = 0; i < threads; i++) {
        updaters[i] = (updater){.database = database,
                                .rows = rows,
                                .until = seconds_now() + duration,
                                .state = (uint64_t)i * 77 + 1};
        pthread_create(&ids[i], NULL, updater_run, &updaters[i]);
    }
}

static long updaters_join(int threads, const updater *updaters, const pthread_t *ids)
{
    long total = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        total += updaters[i].count;
    }
    return total;
}

static double kade_updates(kade_database *database, kade_session *session, int threads, long rows,
                           double duration)
{
    pthread_t ids[THREADS];
    updater updaters[THREADS];
    int64_t before = ask(session, "SELECT sum(n) FROM hot");
    double start = threads == 1 ? cpu_seconds_now() : seconds_now();
    updaters_start(database, threads, rows, duration, updaters, ids);
    long total = updaters_join(threads, updaters, ids);
    double elapsed = (threads == 1 ? cpu_seconds_now() : seconds_now()) - start;
    if (ask(session, "SELECT sum(n) FROM hot") != before + total)
        die("updates", "some were lost");
    return (double)total / elapsed;
}

static double kade_updates_in_one(kade_session *session, long rows, long count)
{
    updater work = {.rows = rows, .state = 5};
    kade_statement *update = prepare_update(session);
    int64_t before = ask(session, "SELECT sum(n) FROM hot");
    double start = cpu_seconds_now();
    run(session, "BEGIN");
    update_some(session, update, &work, count);
    run(session, "COMMIT");
    double elapsed = cpu_seconds_now() - start;
    if (ask(session, "SELECT sum(n) FROM hot") != before + count)
        die("updates in one transaction", "some were lost");
    kade_finalize(update);
    return (double)count / elapsed;
}

/* --- Beside an old snapshot ------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Median time of a lookup of the hot row, in microseconds. */
static double lookup_us(kade_session *session)
{
    static double times[LOOKUPS];
    kade_statement *statement;
    must(session, kade_prepare(session, "SELECT n FROM hot WHERE id = $1", KADE_NUL, &statement),
         "prepare");
    for (int i = 0; i < LOOKUPS; i++) {
        bool has_row;
        double start = seconds_now();
        must(session, kade_bind_int64(statement, 1, 7), "bind");
        must(session, kade_step(statement, &has_row), "step");
        if (!has_row)
            die("lookup", "the row is not there");
        kade_reset(statement);
        times[i] = (seconds_now() - start) * 1e6;
    }
    kade_finalize(statement);
    qsort(times, LOOKUPS, sizeof times[0], compare_doubles);
    return times[LOOKUPS / 2];
}

static double scan_ms(kade_session *session, const char *sql, int64_t wanted)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        double start = seconds_now();
        if (ask(session, sql) != wanted)
            die(sql, "wrong answer");
        double elapsed = (seconds_now() - start) * 1e3;
        best = elapsed < best ? elapsed : best;
    }
    return best;
}

typedef enum holding { HOLDS_NOTHING, HOLDS_TRANSACTION, HOLDS_QUERY } holding;

static kade_statement *hold(kade_session *holder, holding how, int64_t old_n)
{
    kade_statement *query = NULL;
    bool has_row;
    if (how == HOLDS_TRANSACTION) {
        run(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        if (ask(holder, "SELECT n FROM hot WHERE id = 7") != old_n)
            die("old snapshot", "wrong answer");
    } else if (how == HOLDS_QUERY) {
        must(holder, kade_prepare(holder, "SELECT n FROM hot", KADE_NUL, &query), "prepare");
        must(holder, kade_step(query, &has_row), "a query's first row");
    }
    return query;
}

/* The rest of a query that was begun long ago. */
static void query_end(kade_session *holder, kade_statement *query, int64_t old_sum)
{
    int64_t sum = 0;
    bool has_row = true;
    while (has_row) {
        sum += kade_column_int64(query, 0);
        must(holder, kade_step(query, &has_row), "the rest of a query");
    }
    if (sum != old_sum)
        die("an old query", "wrong answer");
    kade_finalize(query);
}

static void memory_phase(kade_database *database, kade_session *session, long rows, holding how,
                         double duration)
{
    static const char *const names[] = {"no snapshot held", "old snapshot held", "query open"};
    bool holds = how == HOLDS_TRANSACTION;
    pthread_t id;
    updater work;
    int64_t old_n = ask(session, "SELECT n FROM hot WHERE id = 7");
    int64_t old_sum = ask(session, "SELECT sum(n) FROM hot");
    kade_session *holder = connect_relaxed(database);
    kade_statement *query = hold(holder, how, old_n);
    updaters_start(database, 1, rows, duration, &work, &id);
    sleep_for(duration / 4); /* The updates run meanwhile. */
    double rss_quarter = rss_mib();
    double lookup_quarter = lookup_us(session);
    sleep_for(duration / 2);
    long count = updaters_join(1, &work, &id);
    double rss_end = rss_mib();
    double lookup_end = lookup_us(session);
    double old_lookup = holds ? lookup_us(holder) : 0;
    double old_scan = holds ? scan_ms(holder, "SELECT sum(n) FROM hot", old_sum) : 0;
    if (holds && ask(holder, "SELECT n FROM hot WHERE id = 7") != old_n)
        die("old snapshot", "its row has changed");
    printf("%ld row%s, %s: %.0f updates/s; RSS %.0f MiB after a quarter, %.0f MiB at the end; "
           "lookup %.2f us, then %.2f us; scan %.2f ms, by key %.2f ms",
           rows, rows == 1 ? "" : "s", names[how], (double)count / duration, rss_quarter, rss_end,
           lookup_quarter, lookup_end, scan_ms(session, "SELECT sum(n) FROM hot", old_sum + count),
           scan_ms(session, "SELECT count(*) FROM hot WHERE id BETWEEN 5 AND 9", 5));
    if (holds)
        printf("; in the old snapshot lookup %.2f us, scan %.2f ms", old_lookup, old_scan);
    printf("\n");
    fflush(stdout);
    if (how == HOLDS_QUERY)
        query_end(holder, query, old_sum);
    if (holds)
        run(holder, "COMMIT");
    kade_disconnect(holder);
}

/* --- SQLite ----------------------------------------------------------------------------------- */

static void sqlite_run(sqlite3 *database, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK)
        die(sql, error);
}

static sqlite3 *open_sqlite(const char *path)
{
    sqlite3 *database;
    if (sqlite3_open(path, &database) != SQLITE_OK)
        die(path, "cannot open");
    sqlite_run(database, "PRAGMA journal_mode=WAL");
    sqlite_run(database, "PRAGMA synchronous=OFF");
    sqlite_run(database, "CREATE TABLE hot (id INTEGER PRIMARY KEY, n INTEGER, note TEXT)");
    sqlite_run(database, "INSERT INTO hot WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 "
                         "FROM s WHERE i < 9999) SELECT i, 0, 'the row number ' || i FROM s");
    return database;
}

/* For `duration`, or `count` of them when that is above 0. */
static double sqlite_updates(sqlite3 *database, long rows, double duration, long count)
{
    sqlite3_stmt *statement;
    uint64_t state = 1;
    long done = 0;
    if (sqlite3_prepare_v2(database, "UPDATE hot SET n = n + 1 WHERE id = ?", -1, &statement,
                           NULL) != SQLITE_OK)
        die("sqlite prepare", sqlite3_errmsg(database));
    double start = cpu_seconds_now();
    while (count > 0 ? done < count : cpu_seconds_now() - start < duration) {
        for (int i = 0; i < 64; i++, done++) {
            long id = rows == 1 ? 7 : (long)(next_random(&state) % (uint64_t)rows);
            sqlite3_bind_int64(statement, 1, id);
            if (sqlite3_step(statement) != SQLITE_DONE)
                die("sqlite update", sqlite3_errmsg(database));
            sqlite3_reset(statement);
        }
    }
    sqlite3_finalize(statement);
    return (double)done / (cpu_seconds_now() - start);
}

static void report(const char *what, long rows, double ours, double theirs, double goal)
{
    printf("%s, %ld row%s: KadeDB %.0f/s, SQLite %.0f/s, ratio %.2f (goal %.1f)\n", what, rows,
           rows == 1 ? "" : "s", ours, theirs, ours / theirs, goal);
    fflush(stdout);
}

static void updates_phase(kade_database *database, kade_session *session, sqlite3 *sqlite,
                          double duration)
{
    static const long counts[] = {1, 8, ROWS};
    for (int i = 0; i < 3; i++) {
        double theirs = sqlite_updates(sqlite, counts[i], duration, 0);
        report("updates, one thread", counts[i],
               kade_updates(database, session, 1, counts[i], duration), theirs, 1);
        report("updates, 8 threads (SQLite: one)", counts[i],
               kade_updates(database, session, THREADS, counts[i], duration), theirs, 1);
    }
}

static void transaction_phase(kade_session *session, sqlite3 *sqlite, double duration)
{
    static const long counts[] = {1, 8, ROWS};
    long count = (long)(duration * 200000);
    for (int i = 0; i < 3; i++) {
        sqlite_run(sqlite, "BEGIN");
        double theirs = sqlite_updates(sqlite, counts[i], 0, count);
        sqlite_run(sqlite, "COMMIT");
        report("updates in one transaction", counts[i],
               kade_updates_in_one(session, counts[i], count), theirs, 1);
    }
}

int main(int argc, char **argv)
{
    double duration = argc > 1 ? atof(argv[1]) : 1.0;
    const char *phase = argc > 2 ? argv[2] : "";
    char directory[BENCH_PATH_BYTES], kade_path[BENCH_PATH_BYTES + 16],
        sqlite_path[BENCH_PATH_BYTES + 16];
    directory_make(directory);
    snprintf(kade_path, sizeof kade_path, "%s/hot.kade", directory);
    snprintf(sqlite_path, sizeof sqlite_path, "%s/hot.sqlite", directory);
    printf("KadeDB %s, SQLite %s, %d rows\n", kade_version(), sqlite3_libversion(), ROWS);

    kade_database *database = open_kade(kade_path);
    kade_session *session = connect_relaxed(database);
    sqlite3 *sqlite = open_sqlite(sqlite_path);
    fill_kade(session);
    if (phase[0] == 0 || strcmp(phase, "updates") == 0)
        updates_phase(database, session, sqlite, duration);
    for (int i = 0; i < 6 && (phase[0] == 0 || strcmp(phase, "memory") == 0); i++)
        memory_phase(database, session, i % 2 == 0 ? 1 : ROWS, (holding)(i / 2), duration * 4);
    if (phase[0] == 0 || strcmp(phase, "transaction") == 0)
        transaction_phase(session, sqlite, duration);

    kade_disconnect(session);
    kade_close(database);
    sqlite3_close(sqlite);
    directory_remove(directory);
    return 0;
}
