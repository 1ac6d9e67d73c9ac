/*
 * Statements by name: PREPARE and EXECUTE, DISCARD; cursors are in cursor.c.
 *
 * EXECUTE copies the rows it gives into its own run.
 */
#include "engine/engine_internal.h"

#include "engine/advisory_lock.h"
#include "engine/notify.h"

#include "engine/value_cast.h"

#include <stdio.h>

static kdi_named *find(kdi_named *list, kd_slice name)
{
    for (; list != NULL; list = list->next)
        if (kd_slice_equal(list->name, name))
            return list;
    return NULL;
}

static kd_status named_create(kd_ctx *ctx, kd_slice name, kdi_named **out_named)
{
    *out_named = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "named statement", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    kdi_named *created = KD_NEW(ctx, arena, kdi_named);
    char *copy = kd_copy_text(ctx, arena, name.data, name.size_bytes);
    if (created == NULL || copy == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    created->arena = arena;
    created->name = (kd_slice){copy, name.size_bytes};
    *out_named = created;
    return KD_OK;
}

static void named_destroy(kdi_named *named)
{
    kd_prepared_destroy(named->prepared);
    kd_arena_destroy(named->arena);
}

static void unlink_named(kdi_named **list, kdi_named *named)
{
    while (*list != named)
        list = &(*list)->next;
    *list = named->next;
}

/* The text of a part of the statement being run. */
static kd_slice text_of(const kd_run *run, const kd_ast_node *node)
{
    return (kd_slice){run->prepared->text.data + node->position,
                      (size_t)(node->end - node->position)};
}

/* What PREPARE was told, and when. */
static kd_status note_text(kd_ctx *ctx, const kd_run *run, kdi_named *added)
{
    kd_slice text = run->prepared->statement_text;
    char *copy = kd_copy_text(ctx, added->arena, text.data, text.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    added->statement = (kd_slice){copy, text.size_bytes};
    added->made_us = ctx->world->wall_us(ctx->world);
    return KD_OK;
}

/* --- PREPARE, EXECUTE, DEALLOCATE ----------------------------------------------------------------
 */

static kd_status prepare(kd_ctx *ctx, kd_run *run, const kd_ast_prepare *ast)
{
    kd_status status = KD_OK;
    kd_session *session = run->session;
    kdi_named *added = NULL;
    kd_bind_options options;
    kdi_set_tag(run, "PREPARE");
    if (find(session->prepared, ast->name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P05", "prepared statement \"%.*s\" already exists",
                       (int)ast->name.size_bytes, ast->name.data);
    KD_TRY_OUT(kdi_bind_options(ctx, run->arena, session, run->catalog, &run->facts, &options));
    kd_type *types = KD_NEW_ARRAY(ctx, run->arena, kd_type, ast->type_count);
    if (types == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < ast->type_count; i++) {
        KD_TRY_OUT(kd_bind_type(ctx, &options, &ast->types[i], &types[i]));
        types[i].modifier = -1; /* Values are neither cut nor refused, as in PostgreSQL. */
    }
    KD_TRY_OUT(named_create(ctx, ast->name, &added));
    KD_TRY_OUT(note_text(ctx, run, added));
    KD_TRY_OUT(kdi_prepared_anew(ctx, session, text_of(run, ast->statement), types,
                                 (uint32_t)ast->type_count, &added->prepared));
    added->next = session->prepared;
    session->prepared = added;
    added = NULL;
out:
    if (added != NULL)
        named_destroy(added);
    return status;
}

static kd_status argument_values(kd_ctx *ctx, kd_run *run, const kd_ast_list *args,
                                 const kd_prepared *prepared, kd_value **out_values)
{
    kd_bind_options options;
    *out_values = KD_NEW_ARRAY(ctx, run->arena, kd_value, args->count);
    if (*out_values == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    options.allow_parameters = false;
    for (size_t i = 0; i < args->count; i++) {
        kd_type wanted = kd_prepared_parameter_type(prepared, (uint32_t)i);
        kd_column_id *ids;
        kd_expr *bound;
        kd_compiled_expr *compiled;
        KD_TRY(kd_bind_expression(ctx, run->arena, &options, args->items[i], NULL, wanted, &ids,
                                  &bound));
        KD_TRY(kd_expr_compile(ctx, run->arena, bound, NULL, 0, &run->facts, NULL, 0, &compiled));
        KD_TRY(kd_expr_evaluate_row(ctx, compiled, run->arena, NULL, &(*out_values)[i]));
    }
    return KD_OK;
}

/* Runs `prepared` in this run's place: its rows, tag and number become this run's. */
static kd_status run_in_place(kd_ctx *ctx, kd_run *run, kd_prepared *prepared,
                              const kd_value *values, uint32_t value_count)
{
    kd_status status = KD_OK;
    kd_run *inner = NULL;
    KD_TRY_OUT(kd_run_begin(ctx, prepared, values, value_count, &inner));
    run->text = *kd_run_text_settings(inner);
    run->text.enum_object = run->catalog;
    KD_TRY_OUT(kdi_run_start_log(ctx, run, kd_run_columns(inner), kd_run_column_count(inner)));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, inner, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(kd_row_log_append(ctx, run->log, &batch));
    }
    run->affected = kd_run_affected(inner);
    kdi_set_tag(run, kd_run_tag(inner));
out:
    if (status == KD_OK)
        return kd_run_end(ctx, inner);
    kd_run_abandon(inner);
    return status;
}

kd_status kdi_execute_target(kd_ctx *ctx, kd_run *run, const kd_ast_execute *ast,
                             kd_prepared **out_prepared, kd_value **out_values)
{
    kdi_named *named = find(run->session->prepared, ast->name);
    if (named == NULL)
        return KD_FAIL(ctx, KD_INVALID, "26000", "prepared statement \"%.*s\" does not exist",
                       (int)ast->name.size_bytes, ast->name.data);
    uint32_t wanted = kd_prepared_parameter_count(named->prepared);
    if (ast->args.count != wanted) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "42601",
                                   "wrong number of parameters for prepared statement "
                                   "\"%.*s\"",
                                   (int)ast->name.size_bytes, ast->name.data);
        kd_error_set_detail(ctx, "Expected %u parameters but got %zu.", wanted, ast->args.count);
        return status;
    }
    *out_prepared = named->prepared;
    return argument_values(ctx, run, &ast->args, named->prepared, out_values);
}

static kd_status execute(kd_ctx *ctx, kd_run *run, const kd_ast_execute *ast)
{
    kd_prepared *prepared;
    kd_value *values;
    KD_TRY(kdi_execute_target(ctx, run, ast, &prepared, &values));
    return run_in_place(ctx, run, prepared, values, kd_prepared_parameter_count(prepared));
}

static kd_status deallocate(kd_ctx *ctx, kd_run *run, const kd_ast_deallocate *ast)
{
    kd_session *session = run->session;
    if (ast->name.size_bytes == 0) {
        kdi_set_tag(run, "DEALLOCATE ALL");
        while (session->prepared != NULL) {
            kdi_named *next = session->prepared->next;
            named_destroy(session->prepared);
            session->prepared = next;
        }
        return KD_OK;
    }
    kdi_set_tag(run, "DEALLOCATE");
    kdi_named *named = find(session->prepared, ast->name);
    if (named == NULL)
        return KD_FAIL(ctx, KD_INVALID, "26000", "prepared statement \"%.*s\" does not exist",
                       (int)ast->name.size_bytes, ast->name.data);
    unlink_named(&session->prepared, named);
    named_destroy(named);
    return KD_OK;
}

static void forget_sequences(kd_session *session)
{
    kd_mutex_lock(&session->database->mutex);
    session->sequence_values = NULL;
    session->has_last_sequence_value = false;
    kd_mutex_unlock(&session->database->mutex);
}

static kd_status drop_temporary(kd_ctx *ctx, kd_session *session)
{
    char text[KDI_NAME_BYTES + 64];
    if (session->temp_schema_no == 0)
        return KD_OK;
    int length =
        snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", session->temp_schema);
    return kdi_run_internal(ctx, session, (kd_slice){text, (size_t)length}, NULL, 0, NULL);
}

static kd_status discard(kd_ctx *ctx, kd_run *run, const kd_ast_discard *ast)
{
    kd_session *session = run->session;
    bool is_all = kd_slice_equal(ast->what, KD_SLICE("all"));
    bool is_temporary = kd_slice_equal(ast->what, KD_SLICE("temp"));
    if (kd_slice_equal(ast->what, KD_SLICE("sequences")))
        forget_sequences(session);
    if (kd_slice_equal(ast->what, KD_SLICE("plans")))
        kdi_plan_cache_clear(session);
    if (!is_all) {
        kdi_set_tag(run, "DISCARD");
        return is_temporary ? drop_temporary(ctx, session) : KD_OK;
    }
    kdi_set_tag(run, "DISCARD ALL");
    if (session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "DISCARD ALL cannot run inside a transaction block");
    kdi_cursors_close(session, true);
    kd_ast_deallocate all = {.name = {"", 0}};
    KD_TRY(deallocate(ctx, run, &all));
    kdi_plan_cache_clear(session);
    kdi_set_tag(run, "DISCARD ALL");
    kdi_reset_settings(session);
    kdi_notify_forget(session);
    kdi_advisory_forget(session);
    session->settings.role_no = session->committed.role_no = 0;
    session->settings.session_role_no = session->committed.session_role_no = session->login_role_no;
    forget_sequences(session);
    return drop_temporary(ctx, session);
}

const kdi_named *kdi_find_cursor(const kd_session *session, kd_slice name)
{
    return find(session->cursors, name);
}

const kdi_named *kdi_find_prepared(const kd_session *session, kd_slice name)
{
    return find(session->prepared, name);
}

kd_status kdi_named_command(kd_ctx *ctx, kd_run *run, const kd_ast_node *node)
{
    switch (node->kind) {
    case KD_AST_PREPARE:
        return prepare(ctx, run, (const kd_ast_prepare *)node);
    case KD_AST_EXECUTE:
        return execute(ctx, run, (const kd_ast_execute *)node);
    case KD_AST_DEALLOCATE:
        return deallocate(ctx, run, (const kd_ast_deallocate *)node);
    case KD_AST_DECLARE_CURSOR:
    case KD_AST_FETCH:
    case KD_AST_CLOSE:
        return kdi_cursor_command(ctx, run, node);
    default:
        return discard(ctx, run, (const kd_ast_discard *)node);
    }
}
