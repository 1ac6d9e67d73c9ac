/*
 * Three million flights with a memory budget of 256 MiB: what does not fit is spilled, the answers
 * are right, the process stays small, and a statement that can never fit fails alone.
 */
#include "kade_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLIGHTS = 3000000 };
static const uint64_t budget_bytes = (uint64_t)256 << 20;
/* Beside the budget: code, stacks, what the C library keeps. */
static const uint64_t rss_bytes_max = (uint64_t)448 << 20;
/* A statement that does not fit is stopped at its own limit, beside the block cache. */
static const uint64_t rss_bytes_over = (uint64_t)704 << 20;

static void report(const char *what, double began, uint64_t bytes_max)
{
    printf("%-28s %6.1f s, at most %llu MiB resident\n", what, kit_seconds() - began,
           (unsigned long long)(kit_rss_peak_bytes() >> 20));
    CHECK(kit_rss_peak_bytes() <= bytes_max);
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
    report("statements over the limit", began, rss_bytes_over);
}

TEST(flights_within_256_mib)
{
    (void)alarm(900);
    kade_database *database = kit_open(test_path("db"), budget_bytes);
    kade_session *session = kit_connect(database);
    load(session);
    kit_run(session, "VACUUM");
    sort_all(session);
    aggregate(session);
    self_join(session);
    over_the_limit(session);
    kade_disconnect(session);
    kade_close(database);
}
