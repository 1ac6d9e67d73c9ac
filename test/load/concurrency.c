/*
 * Many sessions on few cores: everybody makes progress, locks do what SQL says of them, and nothing
 * that was committed is overwritten unseen.
 */
#include "kade_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SESSIONS = 50, PORTALS = 10, UPSERTERS = 8, UPSERTS = 60, DROPPERS = 3, DROPS = 100 };

static kade_database *database;
static kade_session *main_session;
static atomic_bool is_over;
static _Atomic int droppers_left;

static void open_it(void)
{
    (void)test_directory();
    database = kit_open(test_path("db"), (uint64_t)256 << 20);
    main_session = kit_connect(database);
}

static void close_it(void)
{
    kade_disconnect(main_session);
    kade_close(database);
}

static void numbers(const char *name, int rows)
{
    kit_run(main_session, "CREATE TABLE %s (i integer PRIMARY KEY, n bigint NOT NULL)", name);
    kit_run(main_session, "INSERT INTO %s VALUES (1, 0)", name);
    for (int count = 1; count < rows; count *= 2)
        kit_run(main_session, "INSERT INTO %s SELECT i + %d, 0 FROM %s WHERE i + %d <= %d", name,
                count, name, count, rows);
    CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM %s", name), rows);
}

/* Runs a script again while it loses to others. */
static int until_done(kade_session *session, const char *sql)
{
    for (int lost = 0;; lost++) {
        const char *sqlstate = kit_try(session, "%s", sql);
        if (strcmp(sqlstate, "00000") == 0)
            return lost;
        if (strcmp(sqlstate, "40001") != 0 && strcmp(sqlstate, "40P01") != 0)
            test_fail(__FILE__, __LINE__, "%s: %s %s", sql, sqlstate,
                      kade_session_error(session)->message);
        if (kade_session_transaction(session) != KADE_TRANSACTION_NONE)
            kit_run(session, "ROLLBACK");
    }
}

/* --- Progress --------------------------------------------------------------------------------- */

typedef struct client {
    kade_session *session;
    kit_thread *thread;
    int number;
    uint64_t done;
    _Atomic(const char *) last; /* SQLSTATE of a statement run in a thread. */
    char sql[512];
} client;

static client clients[SESSIONS];

static void short_transactions(void *object)
{
    client *self = object;
    char sql[512];
    while (!atomic_load(&is_over)) {
        switch (self->done % 3) {
        case 0:
            (void)snprintf(sql, sizeof sql,
                           "BEGIN; UPDATE own SET n = n + 1 WHERE i = %d;"
                           "UPDATE shared SET n = n + 1 WHERE i = %llu; COMMIT",
                           self->number + 1, (unsigned long long)(1 + self->done % 10));
            break;
        case 1:
            (void)snprintf(sql, sizeof sql, "SELECT n FROM own WHERE i = %d", self->number + 1);
            break;
        default:
            (void)snprintf(sql, sizeof sql, "SELECT sum(n) FROM shared");
            break;
        }
        (void)until_done(self->session, sql);
        self->done++;
    }
}

TEST(fifty_sessions_all_make_progress)
{
    open_it();
    numbers("own", SESSIONS);
    numbers("shared", 10);
    for (int i = 0; i < SESSIONS; i++) {
        clients[i] = (client){.session = kit_connect(database), .number = i};
        clients[i].thread = kit_thread_start(short_transactions, &clients[i]);
    }
    kit_sleep_ms(4000);
    atomic_store(&is_over, true);
    uint64_t least = UINT64_MAX, total = 0, updates = 0;
    for (int i = 0; i < SESSIONS; i++) {
        kit_thread_join(clients[i].thread);
        kade_disconnect(clients[i].session);
        least = clients[i].done < least ? clients[i].done : least;
        total += clients[i].done;
        updates += (clients[i].done + 2) / 3;
    }
    printf("%llu statements and transactions, the slowest session %llu\n",
           (unsigned long long)total, (unsigned long long)least);
    CHECK(least > 0);
    CHECK_EQ(kit_int(main_session, "SELECT sum(n) FROM own"), updates);
    CHECK_EQ(kit_int(main_session, "SELECT sum(n) FROM shared"), updates); /* None lost. */
    close_it();
}

/* --- Locks --------------------------------------------------------------------------------------
 */

static void run_one(void *object)
{
    client *self = object;
    atomic_store(&self->last, kit_try(self->session, "%s", self->sql));
}

static void start(client *it, const char *sql)
{
    atomic_store(&it->last, NULL);
    (void)snprintf(it->sql, sizeof it->sql, "%s", sql);
    it->thread = kit_thread_start(run_one, it);
}

static const char *finish(client *it)
{
    kit_thread_join(it->thread);
    return atomic_load(&it->last);
}

TEST(waiters_do_not_stop_the_holder)
{
    open_it();
    numbers("t", 100);
    kit_run(main_session, "BEGIN; UPDATE t SET n = 1 WHERE i = 1");
    for (int i = 0; i < 2; i++) {
        clients[i] = (client){.session = kit_connect(database)};
        kit_run(clients[i].session, "SET default_transaction_isolation = 'read committed'");
        start(&clients[i], "UPDATE t SET n = n + 10 WHERE i = 1");
    }
    kit_sleep_ms(200);
    CHECK(atomic_load(&clients[0].last) == NULL && atomic_load(&clients[1].last) == NULL);
    for (int i = 2; i <= 50; i++) /* The holder goes on as if nobody waited. */
        kit_run(main_session, "UPDATE t SET n = n + 1 WHERE i = %d", i);
    CHECK_EQ(kit_int(main_session, "SELECT sum(n) FROM t"), 50);
    kit_run(main_session, "COMMIT");
    CHECK_TEXT(finish(&clients[0]), "00000");
    CHECK_TEXT(finish(&clients[1]), "00000");
    CHECK_EQ(kit_int(main_session, "SELECT n FROM t WHERE i = 1"), 21);
    close_it();
}

TEST(a_deadlock_is_found_and_one_survives)
{
    open_it();
    numbers("t", 2);
    for (int i = 0; i < 2; i++) {
        clients[i] = (client){.session = kit_connect(database)};
        kit_run(clients[i].session, "BEGIN; UPDATE t SET n = n + 1 WHERE i = %d", i + 1);
    }
    start(&clients[0], "UPDATE t SET n = n + 1 WHERE i = 2");
    start(&clients[1], "UPDATE t SET n = n + 1 WHERE i = 1");
    double began = kit_seconds();
    /* Whoever loses rolls back, so that the other gets its row. */
    int losers = 0;
    for (int waited = 0; losers == 0 && waited < 10000; waited += 10) {
        kit_sleep_ms(10);
        for (int i = 0; i < 2; i++) {
            const char *last = atomic_load(&clients[i].last);
            if (last != NULL && strcmp(last, "40P01") == 0) {
                CHECK_TEXT(finish(&clients[i]), "40P01");
                kit_run(clients[i].session, "ROLLBACK");
                const char *other = finish(&clients[1 - i]);
                /* Under SNAPSHOT the row was given back unchanged: no conflict. */
                CHECK_TEXT(other, "00000");
                kit_run(clients[1 - i].session, "COMMIT");
                losers++;
                break;
            }
        }
    }
    CHECK_EQ(losers, 1);
    CHECK(kit_seconds() - began < 5);
    CHECK_EQ(kit_int(main_session, "SELECT sum(n) FROM t"), 2);
    close_it();
}

TEST(nowait_and_skip_locked)
{
    open_it();
    numbers("t", 5);
    kade_session *other = kit_connect(database);
    kit_run(main_session, "BEGIN; SELECT * FROM t WHERE i IN (2, 4) FOR UPDATE");
    kit_fails(other, "55P03", "SELECT * FROM t WHERE i = 2 FOR UPDATE NOWAIT");
    kit_run(other, "SELECT * FROM t WHERE i = 3 FOR UPDATE NOWAIT");
    CHECK_EQ(kit_int(other, "SELECT count(*) FROM (SELECT i FROM t FOR UPDATE SKIP LOCKED) x"), 3);
    kit_run(other, "SET lock_timeout = 100");
    kit_fails(other, "55P03", "UPDATE t SET n = 1 WHERE i = 4");
    kit_run(other, "UPDATE t SET n = 1 WHERE i = 5");
    kit_run(main_session, "COMMIT");
    kit_run(other, "UPDATE t SET n = 1 WHERE i = 4");
    kade_disconnect(other);
    close_it();
}

TEST(statements_read_in_part_hold_no_worker)
{
    kade_session *readers[PORTALS];
    kade_statement *statements[PORTALS];
    bool has_row;
    open_it();
    numbers("t", 60000);
    kit_run(main_session, "VACUUM");
    for (int i = 0; i < PORTALS; i++) {
        readers[i] = kit_connect(database);
        CHECK_EQ(kade_prepare(readers[i],
                              i % 2 == 0 ? "SELECT * FROM t"
                                         : "SELECT a.i FROM t a JOIN t b ON a.i = b.i",
                              KADE_NUL, &statements[i]),
                 KADE_OK);
        CHECK_EQ(kade_step(statements[i], &has_row), KADE_OK);
        CHECK(has_row);
    }
    /* Others run as ever, also through the workers, and write what the readers read. */
    double began = kit_seconds();
    CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM t WHERE n = 0"), 60000);
    kit_run(main_session, "UPDATE t SET n = 1 WHERE i <= 1000");
    kit_run(main_session, "DELETE FROM t WHERE i > 59000");
    kit_run(main_session, "VACUUM");
    kit_run(main_session, "CHECKPOINT");
    CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM t"), 59000);
    CHECK(kit_seconds() - began < 20);
    for (int i = 0; i < PORTALS; i++) { /* Each sees all of what was there when it began. */
        int64_t rows = 1;
        while (kade_step(statements[i], &has_row) == KADE_OK && has_row)
            rows++;
        CHECK_EQ(rows, 60000);
        kade_finalize(statements[i]);
        kade_disconnect(readers[i]);
    }
    close_it();
}

enum { CURSOR_SESSIONS = 10, CURSORS = 5 };

/* Fifty cursors, some over more rows than could ever be read, on however few cores: the others go
 * on, and every cursor sees what there was when it was declared. */
TEST(open_cursors_hold_no_worker)
{
    kade_session *readers[CURSOR_SESSIONS];
    open_it();
    numbers("t", 60000);
    for (int i = 0; i < CURSOR_SESSIONS; i++) {
        readers[i] = kit_connect(database);
        kit_run(readers[i], "BEGIN ISOLATION LEVEL READ COMMITTED");
        kit_run(readers[i], "DECLARE c0 CURSOR FOR SELECT n FROM t");
        kit_run(readers[i], "DECLARE c1 CURSOR FOR SELECT a.i FROM t a CROSS JOIN t b, t c");
        kit_run(readers[i], "DECLARE c2 NO SCROLL CURSOR FOR SELECT n FROM t ORDER BY i");
        kit_run(readers[i], "DECLARE c3 CURSOR FOR SELECT count(*) FROM t GROUP BY i");
        kit_run(readers[i], "DECLARE c4 CURSOR FOR SELECT a.n FROM t a JOIN t b ON a.i = b.i");
        for (int c = 0; c < CURSORS; c++)
            kit_run(readers[i], "FETCH 10 FROM c%d", c);
    }
    double began = kit_seconds();
    kit_run(main_session, "UPDATE t SET n = 1 WHERE i <= 30000");
    kit_run(main_session, "DELETE FROM t WHERE i > 59000");
    kit_run(main_session, "VACUUM");
    kit_run(main_session, "CHECKPOINT");
    CHECK_EQ(kit_int(main_session, "SELECT sum(n) FROM t"), 30000);
    CHECK(kit_seconds() - began < 30);
    for (int i = 0; i < CURSOR_SESSIONS; i++) {
        /* The session itself sees the news; its cursors do not. */
        CHECK_EQ(kit_int(readers[i], "SELECT sum(n) FROM t"), 30000);
        kit_run(readers[i], "FETCH 5000 FROM c1");
        for (int c = 0; c < CURSORS; c += 2) {
            kit_run(readers[i], "MOVE 59979 FROM c%d", c);
            CHECK_EQ(kit_int(readers[i], "FETCH 1 FROM c%d", c), 0);
            CHECK_EQ(kit_int(readers[i], "FETCH ABSOLUTE 59995 FROM c%d", c), 0);
        }
        kit_run(readers[i], "COMMIT");
        kade_disconnect(readers[i]);
    }
    close_it();
}

/* --- Isolation
 * ------------------------------------------------------------------------------------ */

TEST(an_update_is_not_lost_under_the_default_level)
{
    open_it();
    numbers("t", 1);
    kade_session *other = kit_connect(database);
    kit_run(main_session, "BEGIN; SELECT n FROM t");
    kit_run(other, "UPDATE t SET n = 5");
    kit_fails(main_session, "40001", "UPDATE t SET n = 1 WHERE i = 1");
    kit_run(main_session, "ROLLBACK");
    CHECK_EQ(kit_int(main_session, "SELECT n FROM t"), 5);
    kade_disconnect(other);
    close_it();
}

TEST(write_skew_is_prevented_under_serializable)
{
    open_it();
    kit_run(main_session, "CREATE TABLE doctor (id integer PRIMARY KEY, on_call boolean NOT NULL)");
    for (int round = 0; round < 2; round++) {
        kit_run(main_session, "TRUNCATE doctor");
        kit_run(main_session, "INSERT INTO doctor VALUES (1, true), (2, true)");
        kade_session *other = kit_connect(database);
        /* Round 0 shows that the test can see write skew: a snapshot allows it. */
        const char *level = round == 0 ? "REPEATABLE READ" : "SERIALIZABLE";
        kit_run(main_session, "BEGIN ISOLATION LEVEL %s", level);
        kit_run(other, "BEGIN ISOLATION LEVEL %s", level);
        CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM doctor WHERE on_call"), 2);
        CHECK_EQ(kit_int(other, "SELECT count(*) FROM doctor WHERE on_call"), 2);
        kit_run(main_session, "UPDATE doctor SET on_call = false WHERE id = 1");
        kit_run(other, "UPDATE doctor SET on_call = false WHERE id = 2");
        kit_run(main_session, "COMMIT");
        if (round == 0)
            kit_run(other, "COMMIT");
        else
            kit_fails(other, "40001", "COMMIT");
        kade_disconnect(other);
        CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM doctor WHERE on_call"), round);
    }
    close_it();
}

static void upserts(void *object)
{
    client *self = object;
    for (int i = 0; i < UPSERTS; i++)
        (void)until_done(self->session, "INSERT INTO counter VALUES ('the key', 1)"
                                        " ON CONFLICT (key) DO UPDATE SET n = counter.n + 1");
}

TEST(concurrent_upserts_count_every_one)
{
    open_it();
    kit_run(main_session, "CREATE TABLE counter (key text PRIMARY KEY, n bigint NOT NULL)");
    for (int i = 0; i < UPSERTERS; i++) {
        clients[i] = (client){.session = kit_connect(database)};
        clients[i].thread = kit_thread_start(upserts, &clients[i]);
    }
    for (int i = 0; i < UPSERTERS; i++) {
        kit_thread_join(clients[i].thread);
        kade_disconnect(clients[i].session);
    }
    CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM counter"), 1);
    CHECK_EQ(kit_int(main_session, "SELECT n FROM counter"), UPSERTERS * UPSERTS);
    close_it();
}

static void make_and_drop(void *object)
{
    client *self = object;
    for (int i = 0; i < DROPS; i++) {
        kit_run(self->session, "CREATE TABLE passing_%d (i integer PRIMARY KEY)", self->number);
        kit_run(self->session, "INSERT INTO passing_%d VALUES (1), (2)", self->number);
        kit_run(self->session, "DROP TABLE passing_%d", self->number);
        self->done++;
    }
    atomic_fetch_sub(&droppers_left, 1);
}

/* VACUUM went on with a table that was freed after its drop. */
TEST(vacuum_beside_tables_that_are_dropped)
{
    open_it();
    atomic_store(&droppers_left, DROPPERS);
    for (int i = 0; i < DROPPERS; i++) {
        clients[i] = (client){.session = kit_connect(database), .number = i};
        clients[i].thread = kit_thread_start(make_and_drop, &clients[i]);
    }
    while (atomic_load(&droppers_left) > 0)
        kit_run(main_session, "VACUUM");
    for (int i = 0; i < DROPPERS; i++) {
        kit_thread_join(clients[i].thread);
        CHECK_EQ(clients[i].done, DROPS);
        kade_disconnect(clients[i].session);
    }
    close_it();
}

static bool stop_at_third(void *object, const kade_progress *progress)
{
    CHECK_TEXT(progress->phase, "query");
    CHECK(progress->rows_expected >= 15000);
    return ++*(int *)object < 3;
}

static void endless(void *object)
{
    client *self = object;
    atomic_store(&self->last,
                 kit_try(self->session, "SELECT count(*) FROM t a CROSS JOIN t b CROSS JOIN t c"
                                        " WHERE a.n + b.n + c.n < 0"));
}

TEST(cancelling_stops_a_long_statement_and_the_session_goes_on)
{
    open_it();
    numbers("t", 5000);
    clients[0] = (client){.session = kit_connect(database)};
    (void)alarm(30);
    clients[0].thread = kit_thread_start(endless, &clients[0]);
    kit_sleep_ms(300);
    /* Others see that it runs and what it has read. */
    CHECK_EQ(kit_int(main_session, "SELECT count(*) FROM kade_progress WHERE rows_expected >= 15000"
                                   " AND rows_done > 0 AND elapsed_ms > 100"),
             1);
    double began = kit_seconds();
    kade_cancel(clients[0].session);
    CHECK_TEXT(finish(&clients[0]), "57014");
    CHECK(kit_seconds() - began < 2);
    kit_run(clients[0].session, "SET statement_timeout = 200");
    began = kit_seconds();
    kit_fails(clients[0].session, "57014",
              "SELECT count(*) FROM t a CROSS JOIN t b CROSS JOIN t c WHERE a.n + b.n + c.n < 0");
    CHECK(kit_seconds() - began < 2);
    CHECK_EQ(kit_int(clients[0].session, "SELECT count(*) FROM t"), 5000);
    kit_run(clients[0].session, "SET statement_timeout = 0");
    int told = 0;
    kade_session_on_progress(clients[0].session, stop_at_third, &told);
    kit_fails(clients[0].session, "57014",
              "SELECT count(*) FROM t a CROSS JOIN t b CROSS JOIN t c WHERE a.n + b.n + c.n < 0");
    CHECK_EQ(told, 3);
    close_it();
}
