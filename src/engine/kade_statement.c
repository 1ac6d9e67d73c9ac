/*
 * Statements of the public API: scripts, prepare, step, reset, finalize.
 *
 * A kade_statement keeps its own copies of column names and types, since those of
 * the engine's prepared statement go when the catalog changes and it is planned anew.
 */
#include "engine/kade_internal.h"

#include <assert.h>
#include <string.h>

/* --- Describing ------------------------------------------------------------------------------- */

static bool same_column(const kdi_column_name *have, const kd_rel_column *column)
{
    return kd_type_same(have->type, column->type) && have->type.modifier == column->type.modifier &&
           kd_slice_equal((kd_slice){have->name, have->name_bytes}, column->name);
}

static kd_status format_type(kade_statement *statement, kd_type type, char **out_name)
{
    kd_ctx *ctx = statement->session->ctx;
    kd_buffer buffer = kd_buffer_in(statement->arena);
    *out_name = NULL;
    if (type.id == KD_TYPE_UNKNOWN) {
        KD_TRY(kd_buffer_append_text(ctx, &buffer, "unknown"));
    } else {
        kd_conversation *talk = statement->session->talk;
        KD_TRY(talk->ops->format_type(ctx, statement->request, type, &buffer));
    }
    *out_name = buffer.data;
    return KD_OK;
}

/* Columns of the statement, or of its run when there is one: EXECUTE and FETCH know theirs only
 * then. */
static kd_status describe_columns(kade_statement *statement)
{
    kd_ctx *ctx = statement->session->ctx;
    uint32_t count = statement->request->column_count;
    const kd_rel_column *columns = statement->request->columns;
    bool same = count == statement->column_count;
    for (uint32_t i = 0; same && i < count; i++)
        same = same_column(&statement->columns[i], &columns[i]);
    if (same)
        return KD_OK;
    statement->column_count = 0;
    statement->columns = KD_NEW_ARRAY(ctx, statement->arena, kdi_column_name, count);
    if (statement->columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kdi_column_name *column = &statement->columns[i];
        column->type = columns[i].type;
        column->name_bytes = columns[i].name.size_bytes;
        column->name =
            kd_copy_text(ctx, statement->arena, columns[i].name.data, columns[i].name.size_bytes);
        if (column->name == NULL)
            return KD_NOMEM;
        KD_TRY(format_type(statement, column->type, &column->type_name));
    }
    statement->column_count = count;
    return KD_OK;
}

static kd_status describe_parameters(kade_statement *statement)
{
    kd_ctx *ctx = statement->session->ctx;
    uint32_t count = statement->request->parameter_count;
    statement->parameter_types = KD_NEW_ARRAY(ctx, statement->arena, kd_type, count);
    statement->parameters = KD_NEW_ARRAY(ctx, statement->arena, kd_value, count);
    statement->parameter_arenas = KD_NEW_ARRAY(ctx, statement->arena, kd_arena *, count);
    statement->parameter_names = KD_NEW_ARRAY(ctx, statement->arena, char *, count);
    if (statement->parameter_types == NULL || statement->parameters == NULL ||
        statement->parameter_arenas == NULL || statement->parameter_names == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        kd_type type = statement->request->parameter_types[i];
        statement->parameter_types[i] = type;
        statement->parameters[i] = kd_value_null(type);
        KD_TRY(format_type(statement, type, &statement->parameter_names[i]));
    }
    statement->parameter_count = count;
    return KD_OK;
}

/* --- Lives ------------------------------------------------------------------------------------ */

static kd_status statement_create(kade_session *session, kade_statement **out_statement)
{
    kd_ctx *ctx = session->ctx;
    *out_statement = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "api statement", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kade_statement *statement = KD_NEW(ctx, arena, kade_statement);
    kd_arena *row_arena =
        statement == NULL ? NULL : kd_arena_create(ctx, arena, "row", KD_ARENA_UNLIMITED);
    if (row_arena == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    *statement = (kade_statement){.session = session,
                                  .arena = arena,
                                  .row_arena = row_arena,
                                  .affected = -1,
                                  .row_ctx = {.world = ctx->world},
                                  .next = session->statements};
    kd_error_clear(&statement->row_ctx);
    session->statements = statement;
    *out_statement = statement;
    return KD_OK;
}

static void no_current_row(kade_statement *statement)
{
    statement->has_row = false;
    statement->batch = (kd_batch){0};
    statement->row = 0;
    kd_arena_reset(statement->row_arena);
}

/* Ends the run, committing where it is its own transaction. */
static kd_status end_run(kade_statement *statement)
{
    const kd_conversation_ops *ops = statement->session->talk->ops;
    no_current_row(statement);
    if (!statement->is_running)
        return KD_OK;
    statement->affected = ops->affected(statement->request);
    const char *tag = ops->tag(statement->request);
    memcpy(statement->tag, tag, strnlen(tag, sizeof statement->tag - 1) + 1);
    statement->is_running = false;
    return ops->end(statement->session->ctx, statement->request);
}

void kdi_statement_stop(kade_statement *statement)
{
    kd_ctx *ctx = statement->session->ctx;
    bool failed_before = ctx->error.status != KD_OK;
    if (end_run(statement) != KD_OK && !failed_before)
        kd_error_clear(ctx);
}

void kade_finalize(kade_statement *statement)
{
    if (statement == NULL)
        return;
    kade_session *session = statement->session;
    kdi_statement_stop(statement);
    session->talk->ops->destroy(statement->request);
    kade_statement **link = &session->statements;
    while (*link != statement)
        link = &(*link)->next;
    *link = statement->next;
    kd_arena_destroy(statement->arena);
}

kade_session *kade_statement_session(const kade_statement *statement)
{
    return statement->session;
}

kade_status kade_prepare(kade_session *session, const char *sql, size_t sql_bytes,
                         kade_statement **out_statement)
{
    kd_status status = KD_OK;
    kade_statement *statement = NULL;
    kd_ctx *ctx = kdi_api_begin(session);
    *out_statement = NULL;
    kd_slice text = kdi_api_slice(sql, sql_bytes);
    KD_TRY_OUT(statement_create(session, &statement));
    KD_TRY_OUT(session->talk->ops->prepare(ctx, session->talk, text, &statement->request));
    KD_TRY_OUT(describe_columns(statement));
    KD_TRY_OUT(describe_parameters(statement));
    *out_statement = statement;
    statement = NULL;
out:
    kade_finalize(statement);
    return kdi_api_end(session, status);
}

/* --- Running ---------------------------------------------------------------------------------- */

/* Positions count from the start of the script. */
static kd_status shift_position(kade_statement *statement, kd_status status)
{
    kd_error *error = &statement->session->ctx->error;
    if (status != KD_OK && error->position >= 0)
        error->position += statement->script_offset;
    return status;
}

kd_status kdi_statement_start(kade_statement *statement)
{
    kd_ctx *ctx = statement->session->ctx;
    const kd_conversation_ops *ops = statement->session->talk->ops;
    assert(!statement->is_running);
    no_current_row(statement);
    statement->affected = -1;
    statement->tag[0] = '\0';
    KD_TRY(shift_position(statement, ops->begin(ctx, statement->request, statement->parameters,
                                                statement->parameter_count)));
    statement->is_running = true;
    return describe_columns(statement);
}

kd_status kdi_statement_next_batch(kade_statement *statement, bool *out_end)
{
    kd_ctx *ctx = statement->session->ctx;
    *out_end = true;
    if (!statement->is_running)
        KD_TRY(kdi_statement_start(statement));
    no_current_row(statement);
    kd_status status =
        statement->session->talk->ops->next(ctx, statement->request, &statement->batch, out_end);
    if (status != KD_OK) {
        (void)shift_position(statement, status);
        kdi_statement_stop(statement);
        *out_end = true;
        return status;
    }
    /* The last batch may come with the end's news: its rows are read first. */
    if (*out_end && statement->batch.selected_count > 0)
        *out_end = false;
    return *out_end ? end_run(statement) : KD_OK;
}

static kd_status step(kade_statement *statement, bool *out_has_row)
{
    *out_has_row = false;
    if (statement->has_row && statement->row + 1 < statement->batch.selected_count) {
        statement->row++;
        kd_arena_reset(statement->row_arena);
        *out_has_row = true;
        return KD_OK;
    }
    bool end;
    KD_TRY(kdi_statement_next_batch(statement, &end));
    statement->has_row = !end;
    *out_has_row = !end;
    return KD_OK;
}

kade_status kade_step(kade_statement *statement, bool *out_has_row)
{
    (void)kdi_api_begin(statement->session);
    return kdi_api_end(statement->session, step(statement, out_has_row));
}

void kade_reset(kade_statement *statement)
{
    (void)kdi_api_begin(statement->session);
    kdi_statement_stop(statement);
}

int64_t kade_rows_affected(const kade_statement *statement)
{
    return statement->is_running ? statement->session->talk->ops->affected(statement->request)
                                 : statement->affected;
}

const char *kade_command_tag(const kade_statement *statement)
{
    return statement->is_running ? statement->session->talk->ops->tag(statement->request)
                                 : statement->tag;
}

/* --- Scripts ---------------------------------------------------------------------------------- */

static kd_status drain(kade_statement *statement)
{
    bool end = false;
    while (!end)
        KD_TRY(kdi_statement_next_batch(statement, &end));
    return KD_OK;
}

static kd_status run_one(kade_session *session, kd_slice script, const kd_statement *parsed,
                         kade_result_fn fn, void *object)
{
    kd_status status = KD_OK;
    kade_statement *statement;
    KD_TRY_OUT(statement_create(session, &statement));
    statement->script_offset = parsed->position;
    kd_slice part = {script.data + parsed->position, (size_t)(parsed->end - parsed->position)};
    KD_TRY_OUT(shift_position(statement, session->talk->ops->prepare(session->ctx, session->talk,
                                                                     part, &statement->request)));
    KD_TRY_OUT(describe_parameters(statement));
    KD_TRY_OUT(kdi_statement_start(statement));
    if (fn == NULL) {
        KD_TRY_OUT(drain(statement));
    } else {
        KD_TRY_OUT((kd_status)fn(object, statement));
        KD_TRY_OUT(end_run(statement));
    }
out:
    kade_finalize(statement);
    return status;
}

kade_status kade_execute(kade_session *session, const char *sql, size_t sql_bytes,
                         kade_result_fn fn, void *object)
{
    kd_status status = KD_OK;
    kd_ctx *ctx = kdi_api_begin(session);
    kd_slice script = kdi_api_slice(sql, sql_bytes);
    kd_parser *parser;
    kd_arena *arena = kd_arena_create(ctx, NULL, "script", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return kdi_api_end(session, KD_NOMEM);
    KD_TRY_OUT(kd_parser_create(ctx, arena, script, &parser));
    for (;;) {
        kd_statement parsed;
        status = kd_parser_next(ctx, parser, &parsed);
        if (status != KD_OK) {
            session->talk->ops->fail_transaction(session->talk, script);
            goto out;
        }
        if (parsed.node == NULL)
            break;
        KD_TRY_OUT(run_one(session, script, &parsed, fn, object));
    }
out:
    kd_arena_destroy(arena);
    return kdi_api_end(session, status);
}
