/*
 * Any bytes as a script for a database in memory with a small budget and a few rows: every
 * statement gives a result or a clean error, and the session goes on. A new database every 200
 * scripts.
 */
#include "fuzz_engine.h"

#include "sql/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { SCRIPT_BYTES_MAX = 4000, STATEMENTS_MAX = 20, SCRIPTS_PER_DATABASE = 200 };

static const char *const beginning[] = {
    "CREATE TABLE t (a integer PRIMARY KEY, b text, c numeric(10,2))",
    "CREATE TABLE u (a integer, x bigint)",
    "INSERT INTO t VALUES (1, 'abc', 1.5), (2, 'x', NULL), (3, NULL, 7), (4, 'abd', 0)",
    "INSERT INTO u VALUES (1, 10), (1, 20), (3, 30), (NULL, 5)",
    "SET statement_timeout = 1000",
    "SET work_mem = '64kB'",
};

static void begin(fuzz_engine *engine)
{
    fuzz_engine_open(engine, (uint64_t)48 << 20);
    for (size_t i = 0; i < sizeof beginning / sizeof *beginning; i++)
        (void)!fuzz_run(engine, kd_slice_of(beginning[i]), NULL, 0);
}

static void script_run(fuzz_engine *engine, kd_slice text)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    kd_error_clear(&ctx);
    kd_arena *arena = kd_arena_create(&ctx, NULL, "fuzz", (size_t)64 << 20);
    kd_parser *parser;
    kd_statement statement = {.position = 0};
    kd_status status = kd_parser_create(&ctx, arena, text, &parser);
    for (int i = 0; i < STATEMENTS_MAX && status == KD_OK; i++) {
        status = kd_parser_next(&ctx, parser, &statement);
        if (status != KD_OK || statement.node == NULL)
            break;
        kd_slice one = {text.data + statement.position,
                        (size_t)(statement.end - statement.position)};
        (void)!fuzz_run(engine, one, NULL, 0);
    }
    if (status != KD_OK) /* The engine must refuse what the parser does. */
        (void)!fuzz_run(engine, text, NULL, 0);
    kd_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static fuzz_engine engine;
    static int count;
    kd_slice text = {(const char *)data, size_bytes};
    if (size_bytes > SCRIPT_BYTES_MAX || fuzz_names_a_file(text))
        return 0;
    if (engine.database == NULL)
        begin(&engine);
    script_run(&engine, text);
    if (kd_session_get_state(engine.session) != KD_SESSION_IDLE)
        (void)!fuzz_run(&engine, KD_SLICE("ROLLBACK"), NULL, 0);
    if (kd_session_get_state(engine.session) != KD_SESSION_IDLE)
        abort();
    if (++count % SCRIPTS_PER_DATABASE == 0) {
        fuzz_engine_close(&engine);
        engine.database = NULL;
    }
    return 0;
}
