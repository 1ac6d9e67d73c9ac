/*
 * Short calls of kade.h for tests.
 */
#include "kade_kit.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

kade_database *kit_open(const char *path, uint64_t memory_budget_bytes)
{
    kade_open_options options = {.struct_bytes = sizeof options,
                                 .memory_budget_bytes = memory_budget_bytes};
    kade_database *database;
    kade_error *error;
    if (kade_open(path, KADE_NUL, &options, &database, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "open %s: %s %s", path, error->sqlstate, error->message);
    return database;
}

kade_session *kit_connect(kade_database *database)
{
    kade_session *session;
    kade_error *error;
    if (kade_connect(database, &session, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "connect: %s %s", error->sqlstate, error->message);
    return session;
}

static void format_sql(char *sql, const char *format, va_list args)
{
    int length = vsnprintf(sql, KIT_SQL_BYTES, format, args);
    CHECK(length >= 0 && length < KIT_SQL_BYTES);
}

_Noreturn static void fail_with(kade_session *session, const char *sql)
{
    const kade_error *error = kade_session_error(session);
    test_fail(__FILE__, __LINE__, "%.300s: %s %s", sql, error->sqlstate, error->message);
}

const char *kit_try_bytes(kade_session *session, const char *sql, size_t sql_bytes)
{
    kade_status status = kade_execute(session, sql, sql_bytes, NULL, NULL);
    const kade_error *error = kade_session_error(session);
    /* Status and record agree, always. */
    CHECK((status == KADE_OK) == (strcmp(error->sqlstate, "00000") == 0));
    CHECK(status == KADE_OK || error->status == status);
    return error->sqlstate;
}

void kit_run(kade_session *session, const char *format, ...)
{
    char sql[KIT_SQL_BYTES];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    if (strcmp(kit_try_bytes(session, sql, KADE_NUL), "00000") != 0)
        fail_with(session, sql);
}

const char *kit_try(kade_session *session, const char *format, ...)
{
    char sql[KIT_SQL_BYTES];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    return kit_try_bytes(session, sql, KADE_NUL);
}

void kit_fails(kade_session *session, const char *sqlstate, const char *format, ...)
{
    char sql[KIT_SQL_BYTES];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    const char *got = kit_try_bytes(session, sql, KADE_NUL);
    if (strcmp(got, sqlstate) != 0)
        test_fail(__FILE__, __LINE__, "%.300s: expected %s, got %s %s", sql, sqlstate, got,
                  kade_session_error(session)->message);
}

bool kit_has_relation(kade_session *session, const char *name)
{
    const char *sqlstate = kit_try(session, "SELECT count(*) FROM %s", name);
    if (strcmp(sqlstate, "00000") != 0)
        CHECK_TEXT(sqlstate, "42P01");
    return sqlstate[0] == '0';
}

/* The first row's first value as text; "" for NULL. */
static void first_value(kade_session *session, const char *sql, char *out, size_t capacity)
{
    kade_statement *statement;
    bool has_row;
    if (kade_prepare(session, sql, KADE_NUL, &statement) != KADE_OK ||
        kade_step(statement, &has_row) != KADE_OK)
        fail_with(session, sql);
    if (!has_row)
        test_fail(__FILE__, __LINE__, "%.300s: no row", sql);
    (void)snprintf(out, capacity, "%s", kade_column_text(statement, 0, NULL));
    kade_finalize(statement);
}

int64_t kit_int(kade_session *session, const char *format, ...)
{
    char sql[KIT_SQL_BYTES], text[64];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    first_value(session, sql, text, sizeof text);
    return strtoll(text, NULL, 10);
}

void kit_text(kade_session *session, char *out, size_t capacity, const char *format, ...)
{
    char sql[KIT_SQL_BYTES];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    first_value(session, sql, out, capacity);
}

/* A line of /proc/self/status, in bytes. */
static uint64_t status_bytes(const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoull(line + strlen(name) + 1, NULL, 10);
    (void)fclose(file);
    return kib * 1024;
}

uint64_t kit_rss_bytes(void)
{
    return status_bytes("VmRSS");
}

uint64_t kit_rss_peak_bytes(void)
{
    return status_bytes("VmHWM");
}

void kit_rss_forget(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

double kit_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void kit_sleep_ms(unsigned ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&span, NULL);
}

struct kit_thread {
    pthread_t handle;
    void (*body)(void *object);
    void *object;
};

static void *thread_main(void *object)
{
    kit_thread *self = object;
    self->body(self->object);
    return NULL;
}

kit_thread *kit_thread_start(void (*body)(void *object), void *object)
{
    kit_thread *thread = calloc(1, sizeof *thread);
    CHECK(thread != NULL);
    thread->body = body;
    thread->object = object;
    CHECK_EQ(pthread_create(&thread->handle, NULL, thread_main, thread), 0);
    return thread;
}

void kit_thread_join(kit_thread *thread)
{
    CHECK_EQ(pthread_join(thread->handle, NULL), 0);
    free(thread);
}
