/*
 * Statements of sim_engine, and their answers held against what was foretold.
 */
#include "sim_engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned below(worker *self, unsigned bound)
{
    return (unsigned)test_random_below(&self->random, bound);
}

static void text_add_list(char *text, size_t capacity, const char *format, va_list args)
{
    size_t used = strlen(text);
    int length = vsnprintf(text + used, capacity - used, format, args);
    CHECK(length >= 0 && (size_t)length < capacity - used);
}

void text_add(char *text, size_t capacity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add_list(text, capacity, format, args);
    va_end(args);
}

static void value_add(char *text, const kd_value *value)
{
    if (value->is_null)
        text_add(text, TEXT_BYTES, "-");
    else if (value->type.id == KD_TYPE_INT8)
        text_add(text, TEXT_BYTES, "%lld", (long long)value->as.i64);
    else if (value->type.id == KD_TYPE_INT4)
        text_add(text, TEXT_BYTES, "%d", value->as.i32);
    else if (value->type.id == KD_TYPE_TEXT)
        text_add(text, TEXT_BYTES, "%.*s", (int)kd_str_slice(&value->as.str).size_bytes,
                 kd_str_slice(&value->as.str).data);
    else
        test_fail(__FILE__, __LINE__, "a value of type %d", (int)value->type.id);
}

static void batch_add(char *text, const kd_batch *batch)
{
    for (uint32_t i = 0; i < batch->selected_count; i++) {
        uint32_t row = kd_batch_row(batch, i);
        for (uint32_t k = 0; k < batch->column_count; k++) {
            kd_value value = kd_vector_get(&batch->columns[k], row);
            if (k > 0)
                text_add(text, TEXT_BYTES, "|");
            value_add(text, &value);
        }
        text_add(text, TEXT_BYTES, "\n");
    }
}

static kd_status run_statement(worker *self, const char *sql, char *rows, int64_t *out_affected)
{
    kd_ctx *ctx = kd_session_ctx(self->session);
    kd_prepared *prepared;
    kd_run *run;
    kd_error_clear(ctx);
    rows[0] = '\0';
    *out_affected = ABSENT;
    kd_status status = kd_prepared_create(ctx, self->session, kd_slice_of(sql), NULL, 0, &prepared);
    if (status != KD_OK)
        return status;
    status = kd_run_begin(ctx, prepared, NULL, 0, &run);
    if (status == KD_OK) {
        for (bool is_end = false; status == KD_OK && !is_end;) {
            kd_batch batch;
            status = kd_run_next(ctx, run, &batch, &is_end);
            if (status == KD_OK && !is_end)
                batch_add(rows, &batch);
        }
        if (status == KD_OK) {
            *out_affected = kd_run_affected(run);
            status = kd_run_end(ctx, run);
        } else {
            kd_run_abandon(run);
        }
    }
    kd_prepared_destroy(prepared);
    return status;
}

_Noreturn static void report(const worker *self, const char *sql, const char *what,
                             const char *expected, const char *got)
{
    fprintf(stderr, "session %u: %s\n%s: expected\n%s\ngot\n%s\n", self->no, sql, what, expected,
            got);
    test_fail(__FILE__, __LINE__, "the answer is wrong: %s", sql);
}

static bool is_one_of(const char *sqlstate, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(sqlstate, *list) == 0)
            return true;
    return false;
}

/* A failure that was not foretold. */
static verdict judge_failure(worker *self, const char *sql, const char *expected)
{
    static const char *const conflicts[] = {"40001", "40P01", "55P03", "57014", NULL};
    static const char *const broken[] = {"58030", "53100", "53000", NULL};
    const kd_ctx *ctx = kd_session_ctx(self->session);
    const char *sqlstate = ctx->error.sqlstate;
    char told[KD_ERROR_MESSAGE_BYTES + 64];
    if (is_one_of(sqlstate, conflicts))
        return CONFLICT;
    if (self->run->may_fail && strcmp(sqlstate, "53200") == 0)
        return NO_MEMORY;
    if ((self->run->may_fail || sim_has_crashed(self->run->sim)) && is_one_of(sqlstate, broken))
        return BROKEN;
    (void)snprintf(told, sizeof told, "%s %s", sqlstate, ctx->error.message);
    report(self, sql, "SQLSTATE", expected, told);
}

static verdict ask_sql(worker *self, const char *sqlstate, int64_t affected, const char *rows,
                       char *out_rows, const char *sql)
{
    int64_t got_affected;
    char expected_count[32], got_count[32];
    if (getenv("SIM_TRACE") != NULL)
        fprintf(stderr, "%u: %s\n", self->no, sql);
    kd_status status = run_statement(self, sql, out_rows, &got_affected);
    const kd_ctx *ctx = kd_session_ctx(self->session);
    CHECK_EQ(ctx->error.status, status);
    if (getenv("SIM_TRACE") != NULL && status != KD_OK)
        fprintf(stderr, "%u: -> %s %s\n", self->no, ctx->error.sqlstate, ctx->error.message);
    const char *got = status == KD_OK ? "00000" : ctx->error.sqlstate;
    if (strcmp(got, sqlstate) != 0) {
        if (status == KD_OK)
            report(self, sql, "SQLSTATE", sqlstate, "success");
        return judge_failure(self, sql, sqlstate);
    }
    self->answered++;
    if (status != KD_OK)
        return FORETOLD;
    if (rows != NULL && strcmp(rows, out_rows) != 0)
        report(self, sql, "rows", rows, out_rows);
    if (affected != ABSENT && affected != got_affected) {
        (void)snprintf(expected_count, sizeof expected_count, "%lld", (long long)affected);
        (void)snprintf(got_count, sizeof got_count, "%lld", (long long)got_affected);
        report(self, sql, "affected rows", expected_count, got_count);
    }
    return FORETOLD;
}

verdict ask(worker *self, const char *sqlstate, int64_t affected, const char *rows,
            const char *format, ...)
{
    char sql[SQL_BYTES] = "", got[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    text_add_list(sql, sizeof sql, format, args);
    va_end(args);
    return ask_sql(self, sqlstate, affected, rows, got, sql);
}

verdict ask_text(worker *self, char *out, const char *format, ...)
{
    char sql[SQL_BYTES] = "";
    va_list args;
    va_start(args, format);
    text_add_list(sql, sizeof sql, format, args);
    va_end(args);
    return ask_sql(self, "00000", ABSENT, NULL, out, sql);
}

verdict ask_int(worker *self, int64_t *out, const char *format, ...)
{
    char sql[SQL_BYTES] = "", got[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    text_add_list(sql, sizeof sql, format, args);
    va_end(args);
    verdict how = ask_sql(self, "00000", ABSENT, NULL, got, sql);
    *out = how == FORETOLD ? strtoll(got, NULL, 10) : 0;
    return how;
}

/* COPY FROM STDIN: the rows of a batch, a few at a time. */
bool copy_read(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    worker *self = object;
    size_t used = 0;
    while (self->copy_sent < self->copy_rows && used + 128 < capacity_bytes && used < 4000) {
        int i = self->copy_sent++;
        used += (size_t)snprintf((char *)target + used, capacity_bytes - used,
                                 "%u,%d,%d,\"text, %d\"\n", self->no, self->copy_batch, i, 0);
    }
    *out_bytes = used;
    return true;
}
