/*
 * What the tests of the engine share: they speak kade.h, as programs do.
 */
#ifndef TEST_ENGINE_KIT_H
#define TEST_ENGINE_KIT_H

#include "kade.h"

#include "test.h"

typedef struct kit {
    kade_database *database;
    kade_session *session;
} kit;

/* ":memory:" or a directory. */
kit kit_open(const char *path);
kit kit_memory(void);
void kit_close(kit *self);
kade_session *kit_connect(const kit *self);

/* The script works. */
void kit_run(kade_session *session, const char *sql);
/* It fails with this SQLSTATE. */
void kit_fails(kade_session *session, const char *sql, const char *sqlstate);
/* All rows of all statements as text: values with '|' between them, rows with ';'. NULL is "~".
 * The text is valid until the next call. */
const char *kit_rows(kade_session *session, const char *sql);
/* A directory of the test's own below /tmp; removed at the start if it is there. */
const char *kit_directory(const char *name);
void kit_write_file(const char *path, const char *text);

#define CHECK_ROWS(session, sql, expected) CHECK_TEXT(kit_rows((session), (sql)), (expected))
#define CHECK_KADE(session, call) \
    kit_check((call), kade_session_error(session), __FILE__, __LINE__, #call)
void kit_check(kade_status status, const kade_error *error, const char *file, int line,
               const char *text);

#endif
