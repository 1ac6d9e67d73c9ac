/*
 * Three million flights with a memory budget of 256 MiB: what does not fit is spilled, the answers
 * are right, the process stays small, and a statement that can never fit fails alone.
 */
#include "kade_kit.h"

#include "base/sanitizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLIGHTS = 3000000 };
static const uint64_t budget_bytes = (uint64_t)256 << 20;
/* Beside the budget: code, stacks, batches on their way, what the C library keeps. */
static const uint64_t rss_bytes_max = (uint64_t)288 << 20;

/* Sanitizers keep shadows of all memory and free it late. */
static const bool is_sanitized = KD_ASAN || KD_TSAN;

static void report(const char *what, double began, uint64_t bytes_max)
{
    printf("%-28s %6.1f s, at most %llu MiB resident\n", what, kit_seconds() - began,
           (unsigned long long)(kit_rss_peak_bytes() >> 20));
    CHECK(is_sanitized || kit_rss_peak_bytes() <= bytes_max);
    kit_rss_forget();
}

static void load(kade_session *session)
{
    double began = kit_seconds();
    kit_rss_forget();
    kit_run(session, "CREATE TABLE flights (departed timestamp, delay integer, distance integer,"
                     " origin text, destination text)");
    kit_run(session, "COPY flights FROM '%s/flights.csv.zst' WITH (FORMAT csv, HEADER)",
            KADE_FLIGHTS);
    CHECK_EQ(kit_int(session, "SELECT count(*) FROM flights"), FLIGHTS);
    report("COPY", began, rss_bytes_max);
}

/* The whole table in order, read by the client; the order and a checksum are checked. */
static void sort_all(kade_session *session)
{
    double began = kit_seconds();
    kade_statement *statement;
    bool has_row;
    int64_t rows = 0, delays = 0, last = INT64_MIN;
    CHECK_EQ(kade_prepare(session,
                          "SELECT delay, distance, departed, origin, destination FROM flights"
                          " ORDER BY delay, distance, departed, origin",
                          KADE_NUL, &statement),
             KADE_OK);
    while (kade_step(statement, &has_row) == KADE_OK && has_row) {
        int64_t delay = kade_column_int64(statement, 0);
        CHECK(kade_column_is_null(statement, 0) || delay >= last);
        last = kade_column_is_null(statement, 0) ? INT64_MAX : delay;
        delays += delay;
        rows++;
    }
    CHECK_TEXT(kade_session_error(session)->sqlstate, "00000");
    kade_finalize(statement);
    CHECK_EQ(rows, FLIGHTS);
    CHECK_EQ(delays, kit_int(session, "SELECT sum(delay) FROM flights"));
    report("full sort", began, rss_bytes_max);
}

static void aggregate(kade_session *session)
{
    double began = kit_seconds();
    char answer[128];
    kit_text(session, answer, sizeof answer,
             "SELECT sum(n) || ' ' || sum(s) || ' ' || (count(*) > 2900000) FROM"
             " (SELECT departed, origin, destination, delay, distance, count(*) AS n,"
             "  sum(distance) AS s FROM flights"
             "  GROUP BY departed, origin, destination, delay, distance) g");
    char expected[128];
    kit_text(session, expected, sizeof expected,
             "SELECT count(*) || ' ' || sum(distance) || ' true' FROM flights");
    CHECK_TEXT(answer, expected);
    report("nearly 3 million groups", began, rss_bytes_max);
}

/* Each flight with the flights of the same minute from the same origin. */
static void self_join(kade_session *session)
{
    double began = kit_seconds();
    int64_t joined = kit_int(session, "SELECT count(*) FROM flights a JOIN flights b"
                                      " ON a.departed = b.departed AND a.origin = b.origin");
    int64_t expected = kit_int(session, "SELECT sum(n * n) FROM (SELECT count(*) AS n FROM flights"
                                        " GROUP BY departed, origin) g");
    CHECK_EQ(joined, expected);
    report("self-join", began, rss_bytes_max);
}

/* One number out of a query, and what it must be. */
static void check(kade_session *session, const char *what, const char *query, const char *expected)
{
    double began = kit_seconds();
    char answer[128], wanted[128];
    kit_text(session, answer, sizeof answer, "%s", query);
    report(what, began, rss_bytes_max);
    kit_text(session, wanted, sizeof wanted, "%s", expected);
    CHECK_TEXT(answer, wanted);
    kit_rss_forget();
}

static void other_operators(kade_session *session)
{
    check(session, "count(DISTINCT)",
          "SELECT count(DISTINCT departed) || ' ' || count(DISTINCT (departed, delay, origin))"
          " FROM flights",
          "SELECT (SELECT count(*) FROM (SELECT departed FROM flights WHERE departed IS NOT NULL"
          " GROUP BY departed) g) || ' ' || (SELECT count(*) FROM (SELECT departed, delay, origin"
          " FROM flights GROUP BY departed, delay, origin) g)");
    check(session, "count(DISTINCT) of many groups",
          "SELECT sum(n) || ' ' || count(*) FROM (SELECT departed, count(DISTINCT origin) AS n"
          " FROM flights GROUP BY departed) g",
          "SELECT count(*) || ' ' || (SELECT count(*) FROM (SELECT departed FROM flights"
          " GROUP BY departed) h) FROM (SELECT departed, origin FROM flights"
          " GROUP BY departed, origin) g WHERE origin IS NOT NULL");
    check(session, "window over all rows",
          "SELECT max(n) || ' ' || max(s) FROM (SELECT row_number() OVER w AS n, sum(distance) OVER"
          " w AS s FROM flights WINDOW w AS (ORDER BY departed, origin, destination, delay)) t",
          "SELECT count(*) || ' ' || sum(distance) FROM flights");
    check(session, "window without an order",
          "SELECT count(*) || ' ' || sum(n) FROM (SELECT lag(origin) OVER () AS o,"
          " count(*) OVER (ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS n FROM flights) t",
          "SELECT count(*) || ' ' || count(*) * 3 - 2 FROM flights");
    check(session, "UNION",
          "SELECT count(*) FROM (SELECT * FROM flights UNION SELECT * FROM flights) t",
          "SELECT count(*) FROM (SELECT departed FROM flights"
          " GROUP BY departed, delay, distance, origin, destination) t");
    check(session, "INTERSECT",
          "SELECT count(*) FROM (SELECT * FROM flights INTERSECT SELECT * FROM flights) t",
          "SELECT count(*) FROM (SELECT departed FROM flights"
          " GROUP BY departed, delay, distance, origin, destination) t");
    check(session, "EXCEPT ALL",
          "SELECT count(*) FROM (SELECT * FROM flights EXCEPT ALL SELECT * FROM flights"
          " WHERE distance > 500) t",
          "SELECT count(*) FROM flights WHERE distance <= 500 OR distance IS NULL");
    check(session, "DISTINCT ON",
          "SELECT count(*) || ' ' || sum(delay) FROM (SELECT DISTINCT ON (departed, origin) delay"
          " FROM flights ORDER BY departed, origin, delay) t",
          "SELECT count(*) || ' ' || sum(d) FROM (SELECT min(delay) AS d FROM flights"
          " GROUP BY departed, origin) t");
    check(session, "a CTE read twice",
          "WITH c AS MATERIALIZED (SELECT * FROM flights)"
          " SELECT (SELECT count(*) FROM c) || ' ' || (SELECT sum(distance) FROM c)",
          "SELECT count(*) || ' ' || sum(distance) FROM flights");
}

static void over_the_limit(kade_session *session)
{
    double began = kit_seconds();
    const char *const absurd[] = {
        "SELECT length(string_agg(repeat(origin, 100), ',')) FROM flights",
        "SELECT length(repeat(repeat('x', 100000000), 100))",
        "SELECT array_length(array_agg(departed::text || origin || destination), 1) FROM flights",
    };
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        const char *sqlstate = kit_try(session, "%s", absurd[i]);
        printf("%.40s...: %s\n", absurd[i], sqlstate);
        CHECK(strcmp(sqlstate, "53200") == 0 || strcmp(sqlstate, "54000") == 0 ||
              strcmp(sqlstate, "00000") == 0);
        CHECK_EQ(kit_int(session, "SELECT count(*) FROM flights WHERE origin = 'JFK'") > 0, 1);
    }
    report("statements over the limit", began, rss_bytes_max);
}

enum { SHARERS = 12, SHARED_ROWS = 200000 };

typedef struct sharer {
    kade_session *session;
    kit_thread *thread;
    char answers[3][128];
} sharer;

static const char *const shared_queries[3] = {
    "SELECT count(*) || ' ' || sum(n) FROM (SELECT t, count(*) AS n FROM numbers GROUP BY t) g",
    "SELECT max(s) FROM (SELECT sum(i) OVER (ORDER BY t, i) AS s FROM numbers) w",
    "SELECT count(*) FROM (SELECT t FROM numbers INTERSECT SELECT t FROM numbers) x",
};

static void share(void *object)
{
    sharer *self = object;
    for (int q = 0; q < 3; q++)
        kit_text(self->session, self->answers[q], sizeof self->answers[q], "%s", shared_queries[q]);
}

/* Far more statements than the budget has room for at a time: they wait for each other, and all
 * have their answers. */
TEST(statements_share_a_small_budget)
{
    static sharer sharers[SHARERS];
    (void)alarm(600);
    kade_database *database = kit_open(test_path("db"), (uint64_t)24 << 20);
    kade_session *session = kit_connect(database);
    char expected[3][128];
    kit_run(session, "CREATE TABLE numbers (i bigint, t text)");
    kit_run(session,
            "INSERT INTO numbers SELECT g, 'number ' || g * 7919 %% %d FROM"
            " generate_series(1, %d) g",
            SHARED_ROWS, SHARED_ROWS);
    for (int q = 0; q < 3; q++)
        kit_text(session, expected[q], sizeof expected[q], "%s", shared_queries[q]);
    kit_rss_forget();
    double began = kit_seconds();
    for (int i = 0; i < SHARERS; i++) {
        sharers[i].session = kit_connect(database);
        kit_run(sharers[i].session, "SET statement_timeout = '300s'");
        sharers[i].thread = kit_thread_start(share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        kit_thread_join(sharers[i].thread);
        for (int q = 0; q < 3; q++)
            CHECK_TEXT(sharers[i].answers[q], expected[q]);
        kade_disconnect(sharers[i].session);
    }
    report("twelve at a time in 24 MiB", began, (uint64_t)128 << 20);
    kade_disconnect(session);
    kade_close(database);
}

TEST(flights_within_256_mib)
{
    (void)alarm(1500);
    kade_database *database = kit_open(test_path("db"), budget_bytes);
    kade_session *session = kit_connect(database);
    load(session);
    kit_run(session, "VACUUM");
    sort_all(session);
    aggregate(session);
    self_join(session);
    other_operators(session);
    over_the_limit(session);
    kade_disconnect(session);
    kade_close(database);
}
