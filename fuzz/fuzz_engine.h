/*
 * A database in memory and one session, for the targets that speak SQL.
 */
#ifndef KD_FUZZ_ENGINE_H
#define KD_FUZZ_ENGINE_H

#include "engine/database.h"
#include "engine/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct fuzz_engine {
    kd_ctx ctx;
    kd_database *database;
    kd_session *session;
} fuzz_engine;

static inline bool fuzz_copy_read(void *object, void *target, size_t capacity_bytes,
                                  size_t *out_bytes)
{
    static const char rows[] = "501,abc\nx,y,z\n\"unfinished\n";
    bool *done = object;
    *out_bytes = *done || capacity_bytes < sizeof rows ? 0 : sizeof rows - 1;
    memcpy(target, rows, *out_bytes);
    *done = !*done;
    return true;
}

static inline bool fuzz_copy_write(void *object, const void *source, size_t size_bytes)
{
    (void)object;
    (void)source;
    return size_bytes < 1 << 20;
}

static inline void fuzz_engine_open(fuzz_engine *engine, uint64_t budget_bytes)
{
    static bool copy_done;
    kd_database_options options = {
        .memory_budget_bytes = budget_bytes, .worker_count = 1, .no_background = true};
    kd_session_options session_options = {.isolation = KD_SNAPSHOT_ISOLATION};
    kd_session_hooks hooks = {
        .object = &copy_done, .copy_read = fuzz_copy_read, .copy_write = fuzz_copy_write};
    engine->ctx = (kd_ctx){.world = kd_world_posix()};
    kd_error_clear(&engine->ctx);
    if (kd_database_open(&engine->ctx, ":memory:", &options, &engine->database) != KD_OK ||
        kd_session_open(&engine->ctx, engine->database, &session_options, &engine->session) !=
            KD_OK)
        abort();
    kd_session_set_hooks(engine->session, &hooks);
}

static inline void fuzz_engine_close(fuzz_engine *engine)
{
    if (kd_database_close(&engine->ctx, engine->database) != KD_OK)
        abort();
}

/* COPY must not write the machine's files. */
static inline bool fuzz_names_a_file(kd_slice text)
{
    for (size_t i = 0; i + 4 <= text.size_bytes; i++)
        if (strncasecmp(text.data + i, "copy", 4) == 0)
            return memchr(text.data, '\'', text.size_bytes) != NULL ||
                   memchr(text.data, '$', text.size_bytes) != NULL;
    return false;
}

/* One statement to its end. An internal error or a record that disagrees is a finding. */
static inline kd_status fuzz_run(fuzz_engine *engine, kd_slice text, const kd_value *parameters,
                                 uint32_t parameter_count)
{
    kd_ctx *ctx = kd_session_ctx(engine->session);
    kd_prepared *prepared;
    kd_run *run;
    kd_error_clear(ctx);
    kd_status status = kd_prepared_create(ctx, engine->session, text, NULL, 0, &prepared);
    if (status == KD_OK) {
        status = kd_run_begin(ctx, prepared, parameters, parameter_count, &run);
        for (bool is_end = false; status == KD_OK && !is_end;) {
            kd_batch batch;
            status = kd_run_next(ctx, run, &batch, &is_end);
            if (status != KD_OK)
                kd_run_abandon(run);
            else if (is_end)
                status = kd_run_end(ctx, run);
        }
        kd_prepared_destroy(prepared);
    }
    if (ctx->error.status != status ||
        (status != KD_OK && strncmp(ctx->error.sqlstate, "XX", 2) == 0)) {
        fprintf(stderr, "%s %s\n", ctx->error.sqlstate, ctx->error.message);
        abort();
    }
    return status;
}

#endif
