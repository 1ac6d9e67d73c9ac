/*
 * SQL from text to rows: a real database, tables made from a subset of CREATE TABLE, queries
 * parsed, bound, planned and run.
 */
#ifndef KD_TEST_QUERY_KIT_H
#define KD_TEST_QUERY_KIT_H

#include "exec/execute.h"
#include "sql/binder.h"
#include "test.h"

typedef struct query_kit {
    kd_ctx ctx;
    kd_arena *arena;
    kd_governor *governor;
    kd_registry *registry;
    kd_storage *storage;
    kd_catalog *catalog;
    kd_text_settings text;
    kd_session_facts facts;
    kd_slice path[1];
} query_kit;

query_kit *query_kit_open(void);
void query_kit_close(query_kit *k);
/* CREATE TABLE with PRIMARY KEY, UNIQUE and NOT NULL at columns; INSERT ... VALUES or SELECT. */
void query_kit_run(query_kit *k, const char *sql);
/* Rows as text, "1|x" per line; NULL is "~". Lines stand as they come. */
const char *query_kit_rows(query_kit *k, const char *sql);
/* Binds and plans only. */
kd_status query_kit_plan(query_kit *k, const char *sql);
const char *query_kit_explain(query_kit *k, const char *sql);

#define ROWS(k, sql, expected) CHECK_TEXT(query_kit_rows((k), (sql)), (expected))
#define FAILS(k, sql, state, part) \
    CHECK_FAILS_WITH(&(k)->ctx, query_kit_plan((k), (sql)), (state), (part))

#endif
