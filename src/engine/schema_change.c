/*
 * Rows of pg_catalog.kade_schema_changes.
 */
#include "engine/schema_change.h"

#include "engine/session_role.h"
#include "engine/statement_log.h"

#include <stdio.h>

static const char table_name[] = "kade_schema_changes";
static const char table_text[] =
    "CREATE TABLE pg_catalog.kade_schema_changes (at timestamptz NOT NULL, session integer NOT "
    "NULL,"
    " user_name text NOT NULL, application_name text NOT NULL, tag text NOT NULL,"
    " object text NOT NULL, statement text NOT NULL)";
static const char insert_text[] = "INSERT INTO pg_catalog.kade_schema_changes"
                                  " VALUES (clock_timestamp(), $1, $2, $3, $4, $5, $6)";
static const char trim_format[] =
    "DELETE FROM pg_catalog.kade_schema_changes WHERE at < (SELECT min(at) FROM (SELECT at FROM"
    " pg_catalog.kade_schema_changes ORDER BY at DESC LIMIT %d) newest)";

static const kd_table_entry *find_table(const kd_catalog_version *catalog)
{
    const kd_object *schema = kd_catalog_find_schema(catalog, KD_SLICE("pg_catalog"));
    const kd_object *table = schema == NULL ? NULL
                                            : kd_catalog_find_relation(catalog, schema->object_no,
                                                                       kd_slice_of(table_name));
    return table == NULL || table->kind != KD_OBJECT_TABLE ? NULL : (const kd_table_entry *)table;
}

/* --- Opening -------------------------------------------------------------------------------- */

/* What the table needs now; an empty text: nothing. */
static kd_status find_work(kd_ctx *ctx, kd_session *session, char *text, size_t text_bytes)
{
    bool owns;
    kd_catalog_version *catalog = NULL;
    kd_storage *storage = session->database->storage;
    text[0] = '\0';
    KD_TRY(kdi_transaction_ensure(ctx, session, &owns));
    kd_status status = kd_catalog_pin(ctx, session->database->catalog, session->txn, &catalog);
    const kd_table_entry *entry = status == KD_OK ? find_table(catalog) : NULL;
    kd_table *table = entry == NULL ? NULL : kd_table_find(storage, entry->table_no);
    if (status == KD_OK && entry == NULL)
        (void)snprintf(text, text_bytes, "%s", table_text);
    else if (table != NULL && kd_table_row_count_estimate(table) > KD_SCHEMA_CHANGES_KEPT)
        (void)snprintf(text, text_bytes, trim_format, KD_SCHEMA_CHANGES_KEPT);
    kd_catalog_unpin(catalog);
    kdi_transaction_rollback(session);
    return status;
}

kd_status kdi_schema_changes_open(kd_ctx *ctx, kd_database *database)
{
    char text[512];
    kd_session *session;
    kd_session_options options = {.is_internal = true};
    if (database->read_only)
        return KD_OK;
    KD_TRY(kd_session_open(ctx, database, &options, &session));
    kd_status status = find_work(ctx, session, text, sizeof text);
    if (status == KD_OK && text[0] != '\0')
        status = kdi_session_run(ctx, session, kd_slice_of(text));
    kd_session_close(session);
    return status;
}

/* --- Changes -------------------------------------------------------------------------------- */

/* Of several objects that a statement changes, which one it is about: a table comes with its
 * sequences, a schema with all that is in it. */
static int rank_of(const kd_object *object)
{
    switch (object->kind) {
    case KD_OBJECT_SCHEMA:
        return 3;
    case KD_OBJECT_SEQUENCE:
        return 1;
    default:
        return 2;
    }
}

kd_status kdi_schema_change_note(kd_ctx *ctx, kd_run *run, const kd_object *object)
{
    const kd_session *session = run->session;
    uint32_t temp_no = session->temp_schema_no;
    bool is_temporary =
        temp_no != 0 && (object->schema_no == temp_no || object->object_no == temp_no);
    int rank = rank_of(object);
    if (is_temporary || rank <= run->changed_rank)
        return KD_OK;
    const kd_object *schema = kd_catalog_get(run->catalog, object->schema_no);
    kd_slice schema_name = schema == NULL ? KD_SLICE("") : schema->name;
    char *name =
        kd_format_text(ctx, run->arena, "%.*s%s%.*s", (int)schema_name.size_bytes, schema_name.data,
                       schema == NULL ? "" : ".", (int)object->name.size_bytes, object->name.data);
    if (name == NULL)
        return KD_NOMEM;
    run->changed_object = name;
    run->changed_rank = rank;
    return KD_OK;
}

kd_status kdi_schema_change_write(kd_ctx *ctx, kd_run *run)
{
    kd_session *session = run->session;
    bool is_users = !run->is_engines && !session->is_internal;
    if (!is_users || run->changed_object == NULL || find_table(run->catalog) == NULL)
        return KD_OK;
    kd_slice text;
    KD_TRY(kdi_hide_secrets(ctx, run->arena, run->prepared->statement_text, &text));
    kd_value values[] = {
        kd_value_i32((int32_t)session->session_no),
        kd_value_text(kd_slice_of(session->user_name)),
        kd_value_text(session->settings.application_name),
        kd_value_text(kd_slice_of(run->tag)),
        kd_value_text(kd_slice_of(run->changed_object)),
        kd_value_text(text),
    };
    const kdi_routine_frame *routine = session->routine; /* Its parameters are not this text's. */
    session->routine = NULL;
    uint32_t acting = kdi_act_as(session, KD_ROLE_OWNER);
    kd_status status = kdi_run_internal(ctx, session, kd_slice_of(insert_text), values,
                                        sizeof values / sizeof *values, NULL);
    session->routine = routine;
    (void)kdi_act_as(session, acting);
    return status;
}
