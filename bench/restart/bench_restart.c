/*
 * What stands between a crash and the first answer: replaying the log.
 *
 * A process writes rows that stay in the log alone and ends without closing; the time until the
 * database is open again, its rows can be found by every index, and counts are right. The same for
 * CHECKPOINT of what is in memory, with single-row writers beside it, and for the log of one more
 * checkpoint. The disk's own speed is measured in the same run, by writing and syncing 256 MiB.
 *
 * Log files are written with zeros ahead, and upkeep flushes rows while they come: neither the size
 * of the files nor that of the rows is what replay read or a checkpoint wrote, so no rates of bytes
 * are told.
 *
 *     bench_restart [MEBIBYTES]     of rows; 256 by default. TMPDIR says on which disk.
 */
#include "../bench_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 1000, PAYLOAD_NARROW = 24, PAYLOAD_WIDE = 400, WRITES_MAX = 1 << 16 };

typedef struct load {
    const char *name;
    const char *create;
    const char *insert; /* %ld: the first number of the batch, and the last. */
    const char *more;   /* The same, after each batch; NULL: nothing. */
    long row_bytes;
    const char *finds[3]; /* Each by an index; %ld: a number. Answers 1. */
} load;

static const load loads[] = {
    {"narrow rows, a primary key",
     "CREATE TABLE t (id bigint PRIMARY KEY, a int, b double precision)",
     "INSERT INTO t SELECT i, i % 1000, i * 0.5 FROM generate_series(%ld::bigint, %ld) i",
     NULL,
     PAYLOAD_NARROW,
     {"SELECT count(*) FROM t WHERE id = %ld"}},
    {"wide rows, a primary key",
     "CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)",
     "INSERT INTO t SELECT i, repeat(md5(i::text), 6), repeat(md5((i + 1)::text), 6) "
     "FROM generate_series(%ld::bigint, %ld) i",
     NULL,
     PAYLOAD_WIDE,
     {"SELECT count(*) FROM t WHERE id = %ld"}},
    {"updates and deletes, three indexes",
     "CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b text); CREATE INDEX ON t (a); "
     "CREATE INDEX ON t (b)",
     "INSERT INTO t SELECT i, i * 7, 'name ' || i FROM generate_series(%ld::bigint, %ld) i",
     "UPDATE t SET a = a + 1 WHERE id BETWEEN %ld AND %ld AND id % 2 = 0;"
     "DELETE FROM t WHERE id BETWEEN %ld AND %ld AND id % 10 = 3",
     PAYLOAD_NARROW * 3,
     {"SELECT count(*) FROM t WHERE id = %ld * 10 + 1",
      "SELECT count(*) FROM t WHERE a = %ld * 70 + 1",
      "SELECT count(*) FROM t WHERE b = 'name ' || %ld * 10"}},
};

static double disk_bytes_per_second(const char *directory)
{
    enum { CHUNK = 1 << 20, CHUNKS = 256 };
    static char chunk[CHUNK];
    char path[BENCH_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/probe", directory);
    memset(chunk, 'x', sizeof chunk);
    double start = seconds_now();
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    for (int i = 0; i < CHUNKS; i++)
        if (write(file, chunk, CHUNK) != CHUNK)
            die("write", path);
    if (fsync(file) != 0)
        die("fsync", path);
    close(file);
    double seconds = seconds_now() - start;
    unlink(path);
    return CHUNK * (double)CHUNKS / seconds;
}

static void folder_bytes(const char *path, double *io_bytes)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        die("opendir", path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char below[512];
        struct stat info;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && stat(below, &info) == 0)
            *io_bytes += (double)info.st_blocks * 512;
    }
    closedir(folder);
}

static double log_bytes(const char *directory)
{
    char path[BENCH_PATH_BYTES + 16];
    double bytes = 0;
    snprintf(path, sizeof path, "%s/db/wal", directory);
    folder_bytes(path, &bytes);
    return bytes;
}

static kade_database *open_database(const char *directory)
{
    char path[BENCH_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/db", directory);
    return open_kade(path);
}

static void run_batch(kade_session *session, const char *form, long first, long last)
{
    char sql[512];
    if (form == NULL)
        return;
    snprintf(sql, sizeof sql, form, first, last, first, last);
    run(session, sql);
}

static long fill(kade_session *session, const load *what, long mebibytes)
{
    long batches = mebibytes * (1 << 20) / (what->row_bytes * BATCH) + 1;
    for (long i = 0; i < batches; i++) {
        run_batch(session, what->insert, i * BATCH, i * BATCH + BATCH - 1);
        run_batch(session, what->more, i * BATCH, i * BATCH + BATCH - 1);
    }
    return batches * BATCH;
}

/* In a process of its own, which ends as a crash would have it. */
static void fill_and_die(const char *directory, const load *what, long mebibytes)
{
    pid_t child = fork();
    if (child == 0) {
        kade_database *database = open_database(directory);
        kade_session *session = connect_kade(database);
        run(session, "SET synchronous_commit = off");
        run(session, what->create);
        (void)fill(session, what, mebibytes);
        run(session, "SET synchronous_commit = on; CREATE TABLE last (a int)");
        (void)kill(getpid(), SIGKILL);
    }
    int how;
    if (waitpid(child, &how, 0) != child || !WIFSIGNALED(how))
        die("the writing process", "did not end as it ought to");
}

static void check_finds(kade_session *session, const load *what, long rows)
{
    for (int f = 0; f < 3 && what->finds[f] != NULL; f++)
        for (long i = 0; i < 1000; i++) {
            char sql[256];
            long number = (rows / 10 - 1) * i / 1000;
            snprintf(sql, sizeof sql, what->finds[f], number);
            if (ask(session, sql) != 1)
                die(sql, "the row is not there");
        }
}

static void bench_replay(const load *what, long mebibytes)
{
    char directory[BENCH_PATH_BYTES];
    directory_make(directory);
    double disk = disk_bytes_per_second(directory);
    fill_and_die(directory, what, mebibytes);
    double bytes = log_bytes(directory);
    double start = seconds_now(), cpu = seconds_on(CLOCK_PROCESS_CPUTIME_ID);
    kade_database *database = open_database(directory);
    double seconds = seconds_now() - start;
    cpu = seconds_on(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    kade_session *session = connect_kade(database);
    long rows = mebibytes * (1 << 20) / (what->row_bytes * BATCH) * BATCH;
    check_finds(session, what, rows);
    printf(
        "replay, %s: %ld rows in %.2f s (CPU %.2f s), %.2f million/s; %.0f MB of log files; disk "
        "%.0f MB/s\n",
        what->name, rows, seconds, cpu, (double)rows / 1e6 / seconds, bytes / 1e6, disk / 1e6);
    fflush(stdout);
    kade_disconnect(session);
    kade_close(database);
    directory_remove(directory);
}

/* --- CHECKPOINT beside writers -----------------------------------------------------------------
 */

typedef struct writer {
    kade_database *database;
    _Atomic bool *stops;
    double times[WRITES_MAX];
    long count;
} writer;

static void *write_rows(void *object)
{
    writer *self = object;
    kade_session *session = connect_kade(self->database);
    while (!atomic_load(self->stops) && self->count < WRITES_MAX) {
        char sql[128];
        snprintf(sql, sizeof sql, "INSERT INTO beside VALUES (%ld, 'a row')", self->count);
        double start = seconds_now();
        run(session, sql);
        self->times[self->count++] = seconds_now() - start;
    }
    kade_disconnect(session);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(writer *self, double share)
{
    qsort(self->times, (size_t)self->count, sizeof *self->times, by_time);
    return self->count == 0 ? 0 : self->times[(long)((double)(self->count - 1) * share)] * 1e3;
}

/* Runs `sql`, or waits for `seconds`, while one client commits row after row. */
static double beside(kade_database *database, kade_session *session, const char *sql,
                     double seconds, writer *out)
{
    static _Atomic bool stops;
    pthread_t thread;
    memset(out, 0, sizeof *out);
    out->database = database;
    out->stops = &stops;
    atomic_store(&stops, false);
    run(session, "DELETE FROM beside");
    double start = seconds_now();
    if (pthread_create(&thread, NULL, write_rows, out) != 0)
        die("pthread_create", "failed");
    if (sql == NULL)
        sleep_for(seconds);
    else
        run(session, sql);
    double took = seconds_now() - start;
    atomic_store(&stops, true);
    pthread_join(thread, NULL);
    return took;
}

static void bench_checkpoint(const load *what, long mebibytes)
{
    char directory[BENCH_PATH_BYTES];
    static writer alone, busy;
    directory_make(directory);
    double disk = disk_bytes_per_second(directory);
    kade_database *database = open_database(directory);
    kade_session *session = connect_kade(database);
    run(session, "SET synchronous_commit = off; CREATE TABLE beside (id bigint, note text)");
    run(session, what->create);
    long rows = fill(session, what, mebibytes);
    double before = log_bytes(directory);
    (void)beside(database, session, NULL, 1, &alone);
    double seconds = beside(database, session, "CHECKPOINT", 0, &busy);
    printf("checkpoint, %s: %ld rows, %.0f MB of log files to %.0f in %.2f s; disk %.0f MB/s; "
           "commits beside it p50 %.2f ms (alone %.2f), p99 %.2f (%.2f), %.0f/s (%.0f/s)\n",
           what->name, rows, before / 1e6, log_bytes(directory) / 1e6, seconds, disk / 1e6,
           quantile(&busy, 0.5), quantile(&alone, 0.5), quantile(&busy, 0.99),
           quantile(&alone, 0.99), (double)busy.count / seconds, (double)alone.count);
    fflush(stdout);
    kade_disconnect(session);
    kade_close(database);
    directory_remove(directory);
}

int main(int argc, char **argv)
{
    long mebibytes = argc > 1 ? strtol(argv[1], NULL, 10) : 256;
    if (mebibytes < 1)
        die("bench_restart [MEBIBYTES]", "a number above 0");
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        bench_replay(&loads[i], mebibytes);
    for (size_t i = 0; i < 2; i++)
        bench_checkpoint(&loads[i], mebibytes);
    return 0;
}
