/*
 * Many rows in, a function of one's own, columns out: the appender, a user-defined function, Arrow
 * batches.
 */
#include <kade.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { READING_COUNT = 200000, SENSOR_COUNT = 50 };

static void check(kade_session *session, kade_status status)
{
    if (status == KADE_OK)
        return;
    const kade_error *error = kade_session_error(session);
    fprintf(stderr, "%s: %s\n", error->sqlstate, error->message);
    exit(1);
}

/* fahrenheit(double precision): called on worker threads, so it keeps nothing. */
static void fahrenheit(void *object, kade_call *call)
{
    (void)object;
    kade_call_return_double(call, kade_call_double(call, 0) * 9 / 5 + 32);
}

static void load(kade_session *session)
{
    kade_appender *appender;
    check(session, kade_appender_create(session, NULL, "readings", NULL, 0, &appender));
    int64_t at_us = INT64_C(1767225600000000); /* 2026-01-01 */
    for (int64_t i = 0; i < READING_COUNT; i++) {
        check(session, kade_append_timestamp(appender, at_us + i * 1000000));
        check(session, kade_append_int64(appender, i % SENSOR_COUNT));
        check(session, kade_append_double(appender, 20 + 5 * sin((double)i / 5000)));
        check(session, kade_append_row_end(appender));
    }
    check(session, kade_appender_close(appender));
}

/* The sum of the temperatures, read as columns. */
static double sum_columns(kade_session *session, int64_t *out_rows)
{
    kade_statement *statement;
    check(session,
          kade_prepare(session, "SELECT fahrenheit(celsius) FROM readings", KADE_NUL, &statement));
    double sum = 0;
    *out_rows = 0;
    for (;;) {
        struct ArrowArray batch;
        check(session, kade_arrow_next(statement, &batch));
        if (batch.release == NULL)
            break;
        const struct ArrowArray *column = batch.children[0];
        const double *values = column->buffers[1];
        for (int64_t i = 0; i < batch.length; i++)
            sum += values[column->offset + i];
        *out_rows += batch.length;
        batch.release(&batch);
    }
    kade_finalize(statement);
    return sum;
}

int main(void)
{
    kade_database *database;
    kade_session *session;
    static const char *const ARGUMENTS[] = {"double precision"};
    kade_scalar_options function = {
        .struct_bytes = sizeof function,
        .name = "fahrenheit",
        .argument_types = ARGUMENTS,
        .argument_count = 1,
        .return_type = "double precision",
        .run = fahrenheit,
    };
    if (kade_open(":memory:", KADE_NUL, NULL, &database, NULL) != KADE_OK ||
        kade_connect(database, &session, NULL) != KADE_OK)
        return 1;
    check(session, kade_execute(session,
                                "CREATE TABLE readings (at timestamp NOT NULL, sensor integer "
                                "NOT NULL, celsius double precision)",
                                KADE_NUL, NULL, NULL));
    load(session);
    if (kade_create_scalar(database, &function, NULL) != KADE_OK)
        return 1;
    int64_t row_count;
    double sum = sum_columns(session, &row_count);
    printf("%lld readings, %.1f degrees Fahrenheit on average\n", (long long)row_count,
           sum / (double)row_count);
    kade_disconnect(session);
    kade_close(database);
    return row_count == READING_COUNT ? 0 : 1;
}
