/*
 * Short calls of kade.h for tests of the whole program: what fails unexpectedly ends the test with
 * the statement, the SQLSTATE and the message.
 */
#ifndef KD_TEST_KADE_KIT_H
#define KD_TEST_KADE_KIT_H

#include "test.h"

#include <kade.h>

enum { KIT_SQL_BYTES = 4096 };

/* `memory_budget_bytes` 0: the default. */
kade_database *kit_open(const char *path, uint64_t memory_budget_bytes);
kade_session *kit_connect(kade_database *database);

/* printf-like; the statement must succeed. */
void kit_run(kade_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, answering the SQLSTATE ("00000" after success), which lives as long as the session's
 * error. */
const char *kit_try(kade_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The text may be of any length and hold any bytes. */
const char *kit_try_bytes(kade_session *session, const char *sql, size_t sql_bytes);
/* The first column of the first row, which must be there. */
int64_t kit_int(kade_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As text into `out`, of `capacity` bytes. */
void kit_text(kade_session *session, char *out, size_t capacity, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* By asking it: works on a name that SQL can read. */
bool kit_has_relation(kade_session *session, const char *name);
/* The statement must fail with this SQLSTATE. */
void kit_fails(kade_session *session, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Resident memory of this process: now, and the most it ever was since kit_rss_forget. */
uint64_t kit_rss_bytes(void);
uint64_t kit_rss_peak_bytes(void);
void kit_rss_forget(void);

double kit_seconds(void);
void kit_sleep_ms(unsigned ms);

/* Threads that only a test starts. */
typedef struct kit_thread kit_thread;
kit_thread *kit_thread_start(void (*body)(void *object), void *object);
void kit_thread_join(kit_thread *thread);

#endif
