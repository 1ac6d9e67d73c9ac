/*
 * Values by key in the public API: three statements over the table public.kade_kv, prepared at
 * their first use and kept with the session, as long as it lasts.
 */
#include "engine/kade_internal.h"

static const char table_exists[] = "SELECT to_regclass('public.kade_kv') IS NOT NULL";
static const char table_make[] =
    "CREATE TABLE public.kade_kv (key text PRIMARY KEY, value bytea NOT NULL)";
/* By kdi_key_statement. */
static const char *const texts[] = {
    "SELECT value FROM public.kade_kv WHERE key = $1",
    ("INSERT INTO public.kade_kv (key, value) VALUES ($1, $2) "
     "ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
    "DELETE FROM public.kade_kv WHERE key = $1",
};

static kade_status find_table(kade_session *session, bool *out_exists)
{
    kade_statement *statement;
    bool has_row;
    *out_exists = false;
    kade_status status = kade_prepare(session, table_exists, KADE_NUL, &statement);
    if (status != KADE_OK)
        return status;
    status = kade_step(statement, &has_row);
    if (status == KADE_OK)
        *out_exists = kade_column_bool(statement, 0);
    kade_finalize(statement);
    return status;
}

/* Two sessions may want to make it at once: who comes second finds it there. */
static kade_status make_table(kade_session *session)
{
    bool exists;
    kade_status status = kade_execute(session, table_make, KADE_NUL, NULL, NULL);
    if (status == KADE_OK || kade_session_transaction(session) != KADE_TRANSACTION_NONE)
        return status;
    kd_error record = session->ctx->error;
    if (find_table(session, &exists) == KADE_OK && exists)
        return KADE_OK;
    session->ctx->error = record;
    return kdi_api_end(session, (kd_status)status);
}

/* The statement, prepared; NULL where there is no table yet and it is not to be made. */
static kade_status find_statement(kade_session *session, kdi_key_statement which, bool makes_table,
                                  kade_statement **out_statement)
{
    bool exists;
    *out_statement = session->key_statements[which];
    if (*out_statement != NULL)
        return KADE_OK;
    kade_status status = find_table(session, &exists);
    if (status == KADE_OK && !exists && makes_table)
        status = make_table(session);
    if (status != KADE_OK || (!exists && !makes_table))
        return status;
    status = kade_prepare(session, texts[which], KADE_NUL, &session->key_statements[which]);
    *out_statement = session->key_statements[which];
    return status;
}

static kade_status run(kade_statement *statement, const char *key, size_t key_bytes,
                       bool *out_has_row)
{
    kade_status status = kade_bind_text(statement, 1, key, key_bytes);
    return status != KADE_OK ? status : kade_step(statement, out_has_row);
}

/* Copies the value: a statement that stands on its row would hold on to a snapshot. */
static kade_status keep_value(kade_session *session, kade_statement *statement,
                              const void **out_value, size_t *out_bytes)
{
    size_t size_bytes;
    const char *value = kade_column_blob(statement, 0, &size_bytes);
    kd_ctx *ctx = kdi_api_begin(session);
    if (session->key_arena == NULL)
        session->key_arena = kd_arena_create(ctx, session->arena, "key value", KD_ARENA_UNLIMITED);
    if (session->key_arena == NULL)
        return kdi_api_end(session, KD_NOMEM);
    kd_arena_reset(session->key_arena);
    char *copy = kd_copy_text(ctx, session->key_arena, value, size_bytes);
    if (copy == NULL)
        return kdi_api_end(session, KD_NOMEM);
    *out_value = copy;
    *out_bytes = size_bytes;
    return KADE_OK;
}

kade_status kade_kv_get(kade_session *session, const char *key, size_t key_bytes,
                        const void **out_value, size_t *out_bytes)
{
    kade_statement *statement;
    bool has_row = false;
    *out_value = NULL;
    *out_bytes = 0;
    kade_status status = find_statement(session, KDI_KEY_GET, false, &statement);
    if (status != KADE_OK || statement == NULL)
        return status;
    status = run(statement, key, key_bytes, &has_row);
    if (status == KADE_OK && has_row)
        status = keep_value(session, statement, out_value, out_bytes);
    kade_reset(statement);
    return status;
}

kade_status kade_kv_set(kade_session *session, const char *key, size_t key_bytes, const void *value,
                        size_t value_bytes)
{
    kade_statement *statement;
    bool has_row;
    kade_status status = find_statement(session, KDI_KEY_SET, true, &statement);
    if (status == KADE_OK)
        status = kade_bind_blob(statement, 2, value, value_bytes);
    return status != KADE_OK ? status : run(statement, key, key_bytes, &has_row);
}

kade_status kade_kv_delete(kade_session *session, const char *key, size_t key_bytes,
                           bool *out_was_there)
{
    kade_statement *statement;
    bool has_row;
    if (out_was_there != NULL)
        *out_was_there = false;
    kade_status status = find_statement(session, KDI_KEY_DELETE, false, &statement);
    if (status != KADE_OK || statement == NULL)
        return status;
    status = run(statement, key, key_bytes, &has_row);
    if (status == KADE_OK && out_was_there != NULL)
        *out_was_there = kade_rows_affected(statement) > 0;
    return status;
}
