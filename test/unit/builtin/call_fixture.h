/*
 * Calling built-in functions by name through the registry, with arguments and
 * results as text.
 */
#ifndef KD_TEST_CALL_FIXTURE_H
#define KD_TEST_CALL_FIXTURE_H

#include "test.h"

#include "builtin/builtin.h"

enum { CALL_ARGUMENTS_MAX = 8 };

typedef struct call_fixture {
    kd_ctx ctx;
    kd_arena *arena;
    kd_registry *registry;
    kd_text_settings settings;
    kd_session_facts facts;
} call_fixture;

void call_fixture_init(call_fixture *fixture);
void call_fixture_clear(call_fixture *fixture);

/* "TYPE:VALUE" each, NULL-terminated unless all are used. The answer is "=text", "\\N" for NULL, or
 * "!SQLSTATE message"; it lives in the fixture's arena. */
const char *call_function(call_fixture *fixture, const char *name, const char *const *arguments);
/* Arguments are arrays "TYPE:{...}" of the rows' values; for an ordered set all but the last are
 * single values. Otherwise the rows are stepped in two halves that are then combined. */
const char *call_aggregate(call_fixture *fixture, const char *name, const char *const *arguments,
                           bool ordered_set);
/* Rows joined by " ; ", columns as PostgreSQL's composite text. */
const char *call_table_function(call_fixture *fixture, const char *name,
                                const char *const *arguments);

#endif
