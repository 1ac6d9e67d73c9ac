/*
 * Two and more processes on one database, through kade.h alone.
 *
 * A test forks its other processes before it opens anything: a child waits on a pipe for its
 * turn, does its part, and answers with one byte. What a child checks fails the test by its
 * exit code.
 */
#include "test.h"

#include "kade.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct process {
    pid_t id;
    int to;   /* Its turn begins with a byte from here. */
    int from; /* What it has to say. */
} process;

static const char *path;

/* --- Helpers ---------------------------------------------------------------------------------- */

/* In a child a failed check ends the child; the parent sees its exit code. */
static process start(void (*run)(int in, int out))
{
    int down[2];
    int up[2];
    CHECK(pipe(down) == 0 && pipe(up) == 0);
    pid_t id = fork();
    CHECK(id >= 0);
    if (id == 0) {
        (void)close(down[1]);
        (void)close(up[0]);
        run(down[0], up[1]);
        _exit(0);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    return (process){.id = id, .to = down[1], .from = up[0]};
}

static void say(int out)
{
    CHECK(write(out, "x", 1) == 1);
}

static void hear(int in)
{
    char byte;
    CHECK(read(in, &byte, 1) == 1);
}

static void turn(const process *child)
{
    say(child->to);
    hear(child->from);
}

static void finish(const process *child)
{
    int result;
    (void)close(child->to);
    CHECK(waitpid(child->id, &result, 0) == child->id);
    CHECK(WIFEXITED(result));
    CHECK_EQ(WEXITSTATUS(result), 0);
    (void)close(child->from);
}

static kade_database *open_database(void)
{
    kade_database *database;
    kade_error *error = NULL;
    if (kade_open(path, KADE_NUL, NULL, &database, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "open: %s %s", error->sqlstate, error->message);
    return database;
}

static kade_session *open_session(kade_database *database)
{
    kade_session *session;
    kade_error *error = NULL;
    if (kade_connect(database, &session, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "connect: %s %s", error->sqlstate, error->message);
    return session;
}

static void run(kade_session *session, const char *sql)
{
    if (kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s: %s %s", sql, kade_session_error(session)->sqlstate,
                  kade_session_error(session)->message);
}

static void run_fails(kade_session *session, const char *sql, const char *sqlstate)
{
    CHECK(kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK);
    CHECK_TEXT(kade_session_error(session)->sqlstate, sqlstate);
}

/* The first value of the first row; -1 for no row. */
static int64_t number(kade_session *session, const char *sql)
{
    kade_statement *statement;
    bool has_row;
    if (kade_prepare(session, sql, KADE_NUL, &statement) != KADE_OK ||
        kade_step(statement, &has_row) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s: %s %s", sql, kade_session_error(session)->sqlstate,
                  kade_session_error(session)->message);
    int64_t value = has_row ? kade_column_int64(statement, 0) : -1;
    kade_finalize(statement);
    return value;
}

/* The first value of the first row as text, in a buffer of its own. */
static const char *text(kade_session *session, const char *sql)
{
    static char value[256];
    kade_statement *statement;
    bool has_row;
    if (kade_prepare(session, sql, KADE_NUL, &statement) != KADE_OK ||
        kade_step(statement, &has_row) != KADE_OK)
        test_fail(__FILE__, __LINE__, "%s: %s %s", sql, kade_session_error(session)->sqlstate,
                  kade_session_error(session)->message);
    CHECK(has_row);
    (void)snprintf(value, sizeof value, "%s", kade_column_text(statement, 0, NULL));
    kade_finalize(statement);
    return value;
}

static void prepare_path(void)
{
    (void)test_directory();
    path = test_path("shared");
}

/* --- Reading each other's commits ------------------------------------------------------------- */

static void child_writes_and_reads(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1);
    run(session, "INSERT INTO t VALUES (2, 'two')");
    say(out);
    hear(in);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 3);
    kade_close(database);
    say(out);
}

TEST(two_processes_read_each_others_commits)
{
    prepare_path();
    process child = start(child_writes_and_reads);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'one')");
    turn(&child);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 2);
    run(session, "INSERT INTO t VALUES (3, 'three')");
    turn(&child);
    finish(&child);
    kade_close(database);
}

/* --- Isolation -------------------------------------------------------------------------------- */

static void child_in_transaction(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "BEGIN; INSERT INTO t VALUES (2)");
    CHECK(kade_session_transaction(session) == KADE_TRANSACTION_OPEN);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 2);
    run_fails(session, "INSERT INTO t VALUES (2)", "23505");
    CHECK(kade_session_transaction(session) == KADE_TRANSACTION_FAILED);
    run_fails(session, "SELECT 1", "25P02");
    run(session, "ROLLBACK; BEGIN; INSERT INTO t VALUES (3)");
    say(out);
    hear(in);
    run(session, "COMMIT");
    CHECK(kade_session_transaction(session) == KADE_TRANSACTION_NONE);
    say(out);
    kade_close(database);
}

TEST(a_clients_transaction_is_seen_when_it_commits)
{
    prepare_path();
    process child = start(child_in_transaction);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer PRIMARY KEY); INSERT INTO t VALUES (1)");
    turn(&child);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1);
    turn(&child);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 2);
    finish(&child);
    kade_close(database);
}

/* --- A client that dies ----------------------------------------------------------------------- */

static void child_holds_a_lock(int in, int out)
{
    hear(in);
    kade_session *session = open_session(open_database());
    run(session, "BEGIN; UPDATE t SET a = 5");
    say(out);
    hear(in); /* Killed here. */
}

TEST(a_killed_client_is_rolled_back_and_holds_no_lock)
{
    prepare_path();
    process child = start(child_holds_a_lock);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
    turn(&child);
    CHECK(kill(child.id, SIGKILL) == 0);
    CHECK(waitpid(child.id, NULL, 0) == child.id);
    run(session, "UPDATE t SET a = a + 1"); /* Waits for the lock as long as the death takes. */
    CHECK_EQ(number(session, "SELECT a FROM t"), 2);
    kade_close(database);
}

/* --- An owner that dies ----------------------------------------------------------------------- */

static void child_owns(int in, int out)
{
    kade_session *session = open_session(open_database());
    run(session, "CREATE TABLE t (a integer)");
    say(out);
    hear(in); /* Killed here. */
}

static kade_database *open_impatiently(void)
{
    kade_open_options options = {.struct_bytes = sizeof options, .owner_timeout_ms = 300};
    kade_database *database;
    CHECK_EQ(kade_open(path, KADE_NUL, &options, &database, NULL), KADE_OK);
    return database;
}

/* A stopped process keeps its sockets open, and its clients used to wait for ever. */
TEST(an_owner_that_is_stopped_is_given_up_and_one_that_is_slow_is_not)
{
    prepare_path();
    process child = start(child_owns);
    hear(child.from);
    kade_database *database = open_impatiently();
    kade_session *session = open_session(database);
    CHECK_EQ(number(session, "SELECT pg_sleep(1) IS NULL, 7"), 0); /* Longer than its time-out. */
    run(session, "BEGIN; INSERT INTO t VALUES (1)");
    CHECK(kill(child.id, SIGSTOP) == 0);
    CHECK(waitpid(child.id, NULL, WUNTRACED) == child.id); /* It stops when it is next scheduled. */
    run_fails(session, "SELECT 1", "08006");
    run_fails(session, "SELECT 1", "08006");
    kade_error *error;
    kade_session *other;
    CHECK(kade_connect(database, &other, &error) != KADE_OK);
    CHECK_TEXT(error->sqlstate, "08006");
    kade_error_free(error);
    kade_close(database);
    CHECK(kill(child.id, SIGCONT) == 0);
    database = open_impatiently();
    session = open_session(database);
    run(session, "INSERT INTO t VALUES (2)");
    CHECK_EQ(number(session, "SELECT sum(a) FROM t"), 2); /* The other session has ended. */
    kade_close(database);
    CHECK(kill(child.id, SIGKILL) == 0);
    CHECK(waitpid(child.id, NULL, 0) == child.id);
}

TEST(a_client_of_a_killed_owner_reopens_and_finds_every_commit)
{
    prepare_path();
    process owner = start(child_owns);
    hear(owner.from);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    for (int i = 0; i < 20; i++)
        run(session, "INSERT INTO t VALUES (1)");
    run(session, "BEGIN; INSERT INTO t VALUES (100)");
    kade_statement *statement;
    CHECK(kade_prepare(session, "SELECT 1", KADE_NUL, &statement) == KADE_OK);
    CHECK(kill(owner.id, SIGKILL) == 0);
    CHECK(waitpid(owner.id, NULL, 0) == owner.id);
    run_fails(session, "SELECT 1", "08006");
    CHECK(kade_session_error(session)->status == KADE_IO);
    CHECK_TEXT(kade_session_error(session)->message,
               "the process that owns the database has gone; open it again");
    CHECK(kade_session_transaction(session) == KADE_TRANSACTION_NONE);
    bool has_row;
    CHECK(kade_step(statement, &has_row) == KADE_IO);
    kade_session *other;
    kade_error *error;
    CHECK(kade_connect(database, &other, &error) == KADE_IO);
    CHECK_TEXT(error->sqlstate, "08006");
    kade_error_free(error);
    kade_finalize(statement);
    kade_close(database);

    database = open_database();
    session = open_session(database);
    CHECK_EQ(number(session, "SELECT sum(a) FROM t"), 20);
    kade_close(database);
}

static void child_is_left(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "BEGIN; INSERT INTO t VALUES (2)");
    say(out);
    hear(in); /* The owner has closed. */
    run_fails(session, "COMMIT", "08006");
    kade_close(database);
    database = open_database();
    session = open_session(database);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1);
    run(session, "INSERT INTO t VALUES (3)");
    kade_close(database);
    say(out);
}

TEST(an_owner_that_closes_ends_its_clients)
{
    prepare_path();
    process child = start(child_is_left);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
    turn(&child);
    kade_close(database);
    turn(&child);
    finish(&child);
    database = open_database();
    CHECK_EQ(number(open_session(database), "SELECT count(*) FROM t"), 2);
    kade_close(database);
}

/* --- Stopping a statement --------------------------------------------------------------------- */

static kade_session *alarm_session;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    kade_cancel(alarm_session);
}

static void child_cancels(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    alarm_session = session;
    (void)signal(SIGALRM, on_alarm);
    (void)alarm(1);
    run_fails(session, "SELECT count(*) FROM generate_series(1, 100000000000)", "57014");
    kade_cancel(session); /* Nothing runs: nothing happens. */
    CHECK_EQ(number(session, "SELECT 7"), 7);
    kade_close(database);
    say(out);
}

TEST(a_client_cancels_from_a_signal_handler)
{
    prepare_path();
    process child = start(child_cancels);
    kade_database *database = open_database();
    turn(&child);
    finish(&child);
    kade_close(database);
}

static void child_runs_for_ever(int in, int out)
{
    hear(in);
    kade_session *session = open_session(open_database());
    say(out);
    run_fails(session, "SELECT count(*) FROM generate_series(1, 100000000000)", "08006");
}

TEST(an_owner_that_closes_does_not_wait_for_statements)
{
    prepare_path();
    process child = start(child_runs_for_ever);
    kade_database *database = open_database();
    turn(&child);
    (void)usleep(200000);
    kade_close(database);
    finish(&child);
}

/* --- Everything else of a session ------------------------------------------------------------- */

static int notice_count;

static void on_notice(void *object, const kade_error *notice)
{
    (void)object;
    CHECK_TEXT(notice->severity, "NOTICE");
    notice_count++;
}

static bool feed(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    const char **rest = object;
    size_t size_bytes = strlen(*rest);
    if (size_bytes > 5)
        size_bytes = 5;
    CHECK(size_bytes <= capacity_bytes);
    memcpy(target, *rest, size_bytes);
    *rest += size_bytes;
    *out_bytes = size_bytes;
    return true;
}

static void use_texts(kade_session *session)
{
    kade_session_on_notice(session, on_notice, NULL);
    run(session, "CREATE TABLE IF NOT EXISTS t (a integer)");
    CHECK_EQ(notice_count, 1);
    CHECK_TEXT(text(session, "SELECT 'low'::mood"), "low");
    CHECK_TEXT(text(session, "SELECT ARRAY['low', 'high']::mood[]"), "{low,high}");
    CHECK_TEXT(text(session, "SELECT 12.50::numeric(10,2)"), "12.50");
    CHECK_TEXT(text(session, "SELECT 'a long text that does not fit inline'"),
               "a long text that does not fit inline");
    run(session, "SET TimeZone = 'Europe/Berlin'");
    CHECK_TEXT(text(session, "SELECT timestamptz '2020-07-01 12:00:00+00'"),
               "2020-07-01 14:00:00+02");
    run_fails(session, "SELECT 1 + nothing", "42703");
    CHECK_EQ(kade_session_error(session)->position, 11);
    run_fails(session, "SELECT 1; SELECT (", "42601");
}

static void use_parameters(kade_session *session)
{
    kade_statement *statement;
    bool has_row;
    CHECK(kade_prepare(session, "SELECT $1::integer + 1, $2::text, NULL::date", KADE_NUL,
                       &statement) == KADE_OK);
    CHECK_EQ(kade_parameter_count(statement), 2);
    CHECK_TEXT(kade_parameter_type_name(statement, 1), "integer");
    CHECK_TEXT(kade_column_type_name(statement, 2), "date");
    for (int64_t i = 0; i < 3; i++) {
        CHECK(kade_bind_int64(statement, 1, i) == KADE_OK);
        CHECK(kade_bind_text(statement, 2, "hello", KADE_NUL) == KADE_OK);
        CHECK(kade_step(statement, &has_row) == KADE_OK && has_row);
        CHECK_EQ(kade_column_int64(statement, 0), i + 1);
        CHECK_TEXT(kade_column_text(statement, 1, NULL), "hello");
        CHECK(kade_column_is_null(statement, 2));
        CHECK(kade_step(statement, &has_row) == KADE_OK && !has_row);
        CHECK_TEXT(kade_command_tag(statement), "SELECT 1");
    }
    kade_finalize(statement);
}

/* Two results are read in turns; each keeps its rows. */
static void use_many_rows(kade_session *session)
{
    kade_statement *statement;
    kade_statement *other;
    bool has_row;
    int64_t sum = 0;
    CHECK(kade_prepare(session, "SELECT x, repeat('y', 100) FROM generate_series(0, 99999) r(x)",
                       KADE_NUL, &statement) == KADE_OK);
    CHECK(kade_prepare(session, "SELECT repeat('z', 50) FROM generate_series(1, 1000000) r(x)",
                       KADE_NUL, &other) == KADE_OK);
    while (kade_step(statement, &has_row) == KADE_OK && has_row) {
        bool other_has_row;
        CHECK(kade_step(other, &other_has_row) == KADE_OK && other_has_row);
        sum += kade_column_int64(statement, 0);
        CHECK_EQ(strlen(kade_column_text(statement, 1, NULL)), 100);
        CHECK(strlen(kade_column_text(other, 0, NULL)) >= 50);
    }
    CHECK_EQ(sum, 4999950000);
    CHECK(kade_step(statement, &has_row) == KADE_OK && has_row);
    kade_finalize(statement); /* With rows left. */
    kade_finalize(other);
}

static void use_copy(kade_session *session)
{
    const char *rest = "1\n2\n3\n4\n5\n";
    kade_session_on_copy(session, feed, NULL, &rest);
    run(session, "COPY t FROM STDIN");
    CHECK_EQ(number(session, "SELECT sum(a) FROM t"), 15);
    kade_appender *appender;
    CHECK(kade_appender_create(session, NULL, "t", NULL, 0, &appender) == KADE_OK);
    for (int64_t i = 0; i < 1000; i++)
        CHECK(kade_append_int64(appender, i) == KADE_OK &&
              kade_append_row_end(appender) == KADE_OK);
    CHECK(kade_appender_close(appender) == KADE_OK);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1005);
}

/* Batches of every kind of column out of a result, and into a table again. */
static void use_arrow(kade_session *session)
{
    kade_statement *statement;
    kade_appender *appender;
    struct ArrowSchema schema;
    struct ArrowArray array;
    int64_t rows = 0;
    run(session, "CREATE TABLE source (b bool, l bigint, g float8, n numeric(10,2), x text, d date,"
                 " z timestamptz, j interval, u uuid, o jsonb, r int[]);"
                 "INSERT INTO source SELECT g % 2 = 0, g, g / 4.0, g / 8.0, 'text number ' || g,"
                 " '2024-01-01'::date + g, '2024-01-01 00:00+00', g * interval '1 month 2 days',"
                 " '01020304-0506-0708-090a-0b0c0d0e0f10', '{\"a\": 1}', ARRAY[g, NULL]"
                 " FROM generate_series(1, 9000) g; INSERT INTO source (l) VALUES (1);"
                 "CREATE TABLE target (LIKE source)");
    CHECK_EQ(kade_prepare(session, "SELECT * FROM source", KADE_NUL, &statement), KADE_OK);
    CHECK_EQ(kade_arrow_schema(statement, &schema), KADE_OK);
    CHECK_EQ(schema.n_children, 11);
    CHECK_EQ(kade_appender_create(session, NULL, "target", NULL, 0, &appender), KADE_OK);
    for (;;) {
        CHECK_EQ(kade_arrow_next(statement, &array), KADE_OK);
        if (array.release == NULL)
            break;
        rows += array.length;
        CHECK_EQ(kade_append_arrow(appender, &schema, &array), KADE_OK);
        array.release(&array);
    }
    CHECK_EQ(rows, 9001);
    schema.release(&schema);
    kade_finalize(statement);
    CHECK_EQ(kade_appender_close(appender), KADE_OK);
    CHECK_EQ(number(session, "SELECT count(*) FROM (SELECT * FROM source EXCEPT ALL"
                             " SELECT * FROM target) q"),
             0);
}

static void child_uses_everything(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    use_texts(session);
    use_parameters(session);
    use_many_rows(session);
    use_copy(session);
    use_arrow(session);
    kade_close(database);

    kade_open_options options = {.struct_bytes = sizeof options, .read_only = true};
    CHECK(kade_open(path, KADE_NUL, &options, &database, NULL) == KADE_OK);
    session = open_session(database);
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1005);
    run_fails(session, "INSERT INTO t VALUES (6)", "25006");
    run_fails(session, "BEGIN READ WRITE; INSERT INTO t VALUES (6)", "25006");
    kade_close(database);
    say(out);
}

TEST(everything_works_in_a_client)
{
    prepare_path();
    process child = start(child_uses_everything);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer); CREATE TYPE mood AS ENUM ('low', 'high')");
    turn(&child);
    finish(&child);
    kade_close(database);
}

/* --- Many ------------------------------------------------------------------------------------- */

static void child_counts_up(int in, int out)
{
    hear(in);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "SET default_transaction_isolation = 'read committed'");
    for (int i = 0; i < 10; i++)
        run(session, "UPDATE t SET a = a + 1");
    kade_close(database);
    say(out);
}

TEST(twenty_clients_count_together)
{
    enum { CLIENTS = 20 };
    process children[CLIENTS];
    prepare_path();
    for (int i = 0; i < CLIENTS; i++)
        children[i] = start(child_counts_up);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    run(session, "CREATE TABLE t (a integer); INSERT INTO t VALUES (0)");
    for (int i = 0; i < CLIENTS; i++)
        say(children[i].to);
    for (int i = 0; i < CLIENTS; i++)
        finish(&children[i]);
    CHECK_EQ(number(session, "SELECT a FROM t"), CLIENTS * 10);
    kade_close(database);
}

enum { STORM_CLIENTS = 4, STORM_ROWS = 400 };

static int storm_number;

/* Opens again whenever the owner has gone; a commit that was not acknowledged is made again. */
static void child_in_storm(int in, int out)
{
    kade_database *database = NULL;
    kade_session *session = NULL;
    char sql[128];
    hear(in);
    for (int i = 0; i < STORM_ROWS;) {
        if (session == NULL) {
            database = open_database();
            if (kade_connect(database, &session, NULL) != KADE_OK) {
                kade_close(database);
                continue;
            }
        }
        (void)snprintf(sql, sizeof sql,
                       "CREATE TABLE IF NOT EXISTS t (a integer PRIMARY KEY);"
                       "INSERT INTO t VALUES (%d) ON CONFLICT DO NOTHING",
                       storm_number * 1000 + i);
        kade_status status = kade_execute(session, sql, KADE_NUL, NULL, NULL);
        const char *sqlstate = kade_session_error(session)->sqlstate;
        bool is_known = strcmp(sqlstate, "08006") == 0 || strcmp(sqlstate, "42P07") == 0 ||
                        strcmp(sqlstate, "23505") == 0 || strcmp(sqlstate, "40001") == 0;
        if (status == KADE_OK)
            i++;
        else if (!is_known)
            test_fail(__FILE__, __LINE__, "%s %s", sqlstate, kade_session_error(session)->message);
        if (status != KADE_OK && strcmp(sqlstate, "08006") == 0) {
            kade_close(database);
            session = NULL;
        }
    }
    say(out);
    hear(in);
    kade_close(database);
}

TEST(clients_go_on_whoever_is_killed)
{
    prepare_path();
    process children[STORM_CLIENTS];
    for (storm_number = 0; storm_number < STORM_CLIENTS; storm_number++)
        children[storm_number] = start(child_in_storm);
    for (int i = 0; i < STORM_CLIENTS; i++)
        say(children[i].to); /* All make the database at once. */
    (void)usleep(150000);
    for (int i = 0; i < 2; i++) {
        CHECK(kill(children[i].id, SIGKILL) == 0);
        CHECK(waitpid(children[i].id, NULL, 0) == children[i].id);
        (void)usleep(100000);
    }
    for (int i = 2; i < STORM_CLIENTS; i++)
        hear(children[i].from);
    kade_database *database = open_database();
    kade_session *session = open_session(database);
    CHECK_EQ(number(session, "SELECT count(*) FROM t WHERE a >= 2000"), 2 * STORM_ROWS);
    for (int i = 2; i < STORM_CLIENTS; i++) {
        say(children[i].to);
        finish(&children[i]);
    }
    kade_close(database);
}

TEST(one_process_may_open_a_database_twice)
{
    prepare_path();
    kade_database *first = open_database();
    kade_database *second = open_database();
    kade_session *session = open_session(first);
    kade_session *other = open_session(second);
    run(session, "CREATE TABLE t (a integer)");
    run(other, "INSERT INTO t VALUES (1)");
    CHECK_EQ(number(session, "SELECT count(*) FROM t"), 1);
    kade_close(second);
    kade_close(first);
}

TEST(readers_share_a_database)
{
    prepare_path();
    kade_database *first = open_database();
    run(open_session(first), "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
    kade_close(first);
    kade_open_options options = {.struct_bytes = sizeof options, .read_only = true};
    kade_database *second;
    CHECK(kade_open(path, KADE_NUL, &options, &first, NULL) == KADE_OK);
    CHECK(kade_open(path, KADE_NUL, &options, &second, NULL) == KADE_OK);
    CHECK_EQ(number(open_session(first), "SELECT count(*) FROM t"), 1);
    CHECK_EQ(number(open_session(second), "SELECT count(*) FROM t"), 1);
    kade_close(first);
    kade_close(second);
}

TEST(a_long_path_works_as_well)
{
    char name[160];
    (void)test_directory();
    memset(name, 'd', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    path = test_path(name);
    kade_database *first = open_database();
    kade_database *second = open_database();
    CHECK_EQ(number(open_session(second), "SELECT 42"), 42);
    kade_close(second);
    kade_close(first);
}
