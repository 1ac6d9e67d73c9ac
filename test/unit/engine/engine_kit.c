/*
 * The kit of the engine's tests.
 */
#include "engine_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_BYTES = 1 << 16 };

void kit_check(kade_status status, const kade_error *error, const char *file, int line,
               const char *text)
{
    if (status != KADE_OK)
        test_fail(file, line, "%s: %s %s (detail: %s)", text, error->sqlstate, error->message,
                  error->detail);
}

kit kit_open(const char *path)
{
    kit self = {0};
    kade_error *error = NULL;
    kade_open_options options = {
        .struct_bytes = sizeof options, .worker_count = 2, .memory_budget_bytes = 256u << 20};
    if (kade_open(path, KADE_NUL, &options, &self.database, &error) != KADE_OK)
        test_fail(__FILE__, __LINE__, "open %s: %s %s", path, error->sqlstate, error->message);
    CHECK(error == NULL);
    CHECK_EQ(kade_connect(self.database, &self.session, NULL), KADE_OK);
    return self;
}

kit kit_memory(void)
{
    return kit_open(":memory:");
}

void kit_close(kit *self)
{
    kade_close(self->database);
    *self = (kit){0};
}

kade_session *kit_connect(const kit *self)
{
    kade_session *session;
    CHECK_EQ(kade_connect(self->database, &session, NULL), KADE_OK);
    return session;
}

void kit_run(kade_session *session, const char *sql)
{
    kit_check(kade_execute(session, sql, KADE_NUL, NULL, NULL), kade_session_error(session),
              __FILE__, __LINE__, sql);
}

void kit_fails(kade_session *session, const char *sql, const char *sqlstate)
{
    test_note("%s", sql);
    CHECK(kade_execute(session, sql, KADE_NUL, NULL, NULL) != KADE_OK);
    CHECK_TEXT(kade_session_error(session)->sqlstate, sqlstate);
}

typedef struct rows_text {
    char text[ROWS_BYTES];
    size_t size_bytes;
} rows_text;

static void add_text(rows_text *out, const char *text)
{
    size_t size = strlen(text);
    if (out->size_bytes + size + 1 > sizeof out->text)
        test_fail(__FILE__, __LINE__, "too many rows for this kit");
    memcpy(out->text + out->size_bytes, text, size + 1);
    out->size_bytes += size;
}

static kade_status add_rows(void *object, kade_statement *statement)
{
    rows_text *out = object;
    bool has_row = false;
    kade_status status;
    while ((status = kade_step(statement, &has_row)) == KADE_OK && has_row) {
        if (out->size_bytes > 0)
            add_text(out, ";");
        for (uint32_t i = 0; i < kade_column_count(statement); i++) {
            if (i > 0)
                add_text(out, "|");
            add_text(out, kade_column_is_null(statement, i) ? "~"
                                                            : kade_column_text(statement, i, NULL));
        }
    }
    return status;
}

const char *kit_rows(kade_session *session, const char *sql)
{
    static rows_text out;
    out.size_bytes = 0;
    out.text[0] = '\0';
    kit_check(kade_execute(session, sql, KADE_NUL, add_rows, &out), kade_session_error(session),
              __FILE__, __LINE__, sql);
    return out.text;
}

const char *kit_directory(const char *name)
{
    static char path[256];
    char command[600];
    snprintf(path, sizeof path, "%s/%s.kade", test_directory(), name);
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    CHECK_EQ(system(command), 0);
    return path;
}

void kit_write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    CHECK_EQ(fclose(file), 0);
}
