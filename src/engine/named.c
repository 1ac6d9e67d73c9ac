/*
 * Statements by name: PREPARE and EXECUTE, cursors, DISCARD.
 *
 * EXECUTE and FETCH copy the rows they give into their own run. A cursor that
 * must move backwards keeps what it has read; one WITH HOLD is read to its end
 * when it is declared, so that it outlives its transaction.
 */
#include "engine/engine_internal.h"

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
    for (size_t i = 0; i < ast->type_count; i++)
        KD_TRY_OUT(kd_bind_type(ctx, &options, &ast->types[i], &types[i]));
    KD_TRY_OUT(named_create(ctx, ast->name, &added));
    KD_TRY_OUT(kd_prepared_create(ctx, session, text_of(run, ast->statement), types,
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
    kdi_row_set *rows;
    KD_TRY_OUT(kd_run_begin(ctx, prepared, values, value_count, &inner));
    run->text = *kd_run_text_settings(inner);
    run->text.enum_object = run->catalog;
    KD_TRY_OUT(
        kdi_run_start_rows(ctx, run, kd_run_columns(inner), kd_run_column_count(inner), &rows));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, inner, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(kdi_row_set_add_batch(ctx, rows, &batch));
    }
    run->affected = kd_run_affected(inner);
    kdi_set_tag(run, kd_run_tag(inner));
    if (run->column_count == 0)
        run->rows = NULL;
out:
    if (status == KD_OK)
        return kd_run_end(ctx, inner);
    kd_run_abandon(inner);
    return status;
}

static kd_status execute(kd_ctx *ctx, kd_run *run, const kd_ast_execute *ast)
{
    kdi_named *named = find(run->session->prepared, ast->name);
    kd_value *values;
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
    KD_TRY(argument_values(ctx, run, &ast->args, named->prepared, &values));
    return run_in_place(ctx, run, named->prepared, values, wanted);
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

/* --- Cursors: all rows are read when the cursor is declared, and kept until it is closed
 * ------------- */

typedef struct cursor {
    kdi_named named;
    kdi_row_set *rows;
    kd_value *row;
    int64_t position; /* 0 before the first row, 1 on it, row_count + 1 after the last. */
} cursor;

static kd_status cursor_fill(kd_ctx *ctx, kd_session *session, cursor *it, kd_slice text)
{
    kd_status status = KD_OK;
    kd_run *inner = NULL;
    KD_TRY_OUT(kd_prepared_create(ctx, session, text, NULL, 0, &it->named.prepared));
    KD_TRY_OUT(kd_run_begin(ctx, it->named.prepared, NULL, 0, &inner));
    KD_TRY_OUT(kdi_row_set_create(ctx, it->named.arena, kd_run_columns(inner),
                                  kd_run_column_count(inner), &it->rows));
    it->row = KD_NEW_ARRAY(ctx, it->named.arena, kd_value, it->rows->column_count);
    if (it->row == NULL)
        status = KD_NOMEM;
    for (bool end = status != KD_OK; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, inner, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(kdi_row_set_add_batch(ctx, it->rows, &batch));
    }
out:
    if (status == KD_OK)
        return kd_run_end(ctx, inner);
    kd_run_abandon(inner);
    return status;
}

static kd_status declare(kd_ctx *ctx, kd_run *run, const kd_ast_declare_cursor *ast)
{
    kd_session *session = run->session;
    kdi_set_tag(run, "DECLARE CURSOR");
    if (!session->is_explicit && !ast->hold)
        return KD_FAIL(ctx, KD_INVALID, "25P01",
                       "DECLARE CURSOR can only be used in transaction blocks");
    if (find(session->cursors, ast->name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P03", "cursor \"%.*s\" already exists",
                       (int)ast->name.size_bytes, ast->name.data);
    kd_arena *arena = kd_arena_create(ctx, NULL, "cursor", KD_ARENA_UNLIMITED);
    if (arena == NULL)
        return KD_NOMEM;
    cursor *added = KD_NEW(ctx, arena, cursor);
    char *name = kd_copy_text(ctx, arena, ast->name.data, ast->name.size_bytes);
    kd_status status = added == NULL || name == NULL ? KD_NOMEM : KD_OK;
    if (status == KD_OK) {
        added->named.arena = arena;
        added->named.hold = ast->hold;
        added->named.name = (kd_slice){name, ast->name.size_bytes};
        status = cursor_fill(ctx, session, added, text_of(run, ast->query));
    }
    if (status != KD_OK) {
        if (added != NULL)
            kd_prepared_destroy(added->named.prepared);
        kd_arena_destroy(arena);
        return status;
    }
    added->named.next = session->cursors;
    session->cursors = &added->named;
    return KD_OK;
}

/* Row `position`, from 1. */
static bool cursor_read(cursor *it, int64_t position)
{
    if (position < 1 || position > (int64_t)it->rows->row_count)
        return false;
    kdi_row_set_rewind(it->rows);
    int64_t before = 0;
    for (;;) {
        kd_batch batch;
        bool end;
        kdi_row_set_next(it->rows, &batch, &end);
        if (end)
            return false;
        if (position <= before + batch.row_count) {
            uint32_t row = (uint32_t)(position - before - 1);
            for (uint32_t i = 0; i < it->rows->column_count; i++)
                it->row[i] = kd_vector_get(&batch.columns[i], row);
            return true;
        }
        before += batch.row_count;
    }
}

static int64_t clamp_position(const cursor *it, int64_t position)
{
    int64_t last = (int64_t)it->rows->row_count + 1;
    return position < 0 ? 0 : position > last ? last : position;
}

static kd_status give(kd_ctx *ctx, cursor *it, int64_t position, kdi_row_set *rows,
                      int64_t *in_out_count)
{
    it->position = clamp_position(it, position);
    if (!cursor_read(it, it->position))
        return KD_OK;
    (*in_out_count)++;
    return rows == NULL ? KD_OK : kdi_row_set_add(ctx, rows, it->row);
}

static kd_status fetch_rows(kd_ctx *ctx, cursor *it, const kd_ast_fetch *ast, kdi_row_set *rows,
                            int64_t *out_count)
{
    int64_t last = (int64_t)it->rows->row_count;
    *out_count = 0;
    if (ast->direction == KD_AST_FETCH_ABSOLUTE)
        return give(ctx, it, ast->count < 0 ? last + 1 + ast->count : ast->count, rows, out_count);
    if (ast->direction == KD_AST_FETCH_RELATIVE)
        return give(ctx, it, it->position + ast->count, rows, out_count);
    bool backward = (ast->direction == KD_AST_FETCH_BACKWARD) != (ast->count < 0);
    int64_t wanted = ast->all ? last + 1 : ast->count < 0 ? -ast->count : ast->count;
    if (wanted == 0)
        return give(ctx, it, it->position, rows, out_count);
    for (int64_t i = 0; i < wanted; i++) {
        int64_t before = *out_count;
        KD_TRY(give(ctx, it, it->position + (backward ? -1 : 1), rows, out_count));
        if (*out_count == before)
            break;
        KD_TRY(kd_check_cancelled(ctx));
    }
    return KD_OK;
}

static kd_status fetch(kd_ctx *ctx, kd_run *run, const kd_ast_fetch *ast)
{
    cursor *it = (cursor *)find(run->session->cursors, ast->cursor);
    kdi_row_set *rows = NULL;
    int64_t count;
    if (it == NULL)
        return KD_FAIL(ctx, KD_INVALID, "34000", "cursor \"%.*s\" does not exist",
                       (int)ast->cursor.size_bytes, ast->cursor.data);
    if (!ast->is_move)
        KD_TRY(kdi_run_start_rows(ctx, run, it->rows->columns, it->rows->column_count, &rows));
    KD_TRY(fetch_rows(ctx, it, ast, rows, &count));
    run->affected = count;
    (void)snprintf(run->tag, sizeof run->tag, "%s %lld", ast->is_move ? "MOVE" : "FETCH",
                   (long long)count);
    return KD_OK;
}

static void close_all(kd_session *session)
{
    while (session->cursors != NULL) {
        kdi_named *next = session->cursors->next;
        named_destroy(session->cursors);
        session->cursors = next;
    }
}

static kd_status close_cursor(kd_ctx *ctx, kd_run *run, const kd_ast_close *ast)
{
    kd_session *session = run->session;
    kdi_set_tag(run, ast->name.size_bytes == 0 ? "CLOSE CURSOR ALL" : "CLOSE CURSOR");
    if (ast->name.size_bytes == 0) {
        close_all(session);
        return KD_OK;
    }
    kdi_named *named = find(session->cursors, ast->name);
    if (named == NULL)
        return KD_FAIL(ctx, KD_INVALID, "34000", "cursor \"%.*s\" does not exist",
                       (int)ast->name.size_bytes, ast->name.data);
    unlink_named(&session->cursors, named);
    named_destroy(named);
    return KD_OK;
}

static kd_status discard(kd_ctx *ctx, kd_run *run, const kd_ast_discard *ast)
{
    kd_session *session = run->session;
    if (!kd_slice_equal(ast->what, KD_SLICE("all"))) {
        kdi_set_tag(run, "DISCARD");
        return KD_OK;
    }
    kdi_set_tag(run, "DISCARD ALL");
    if (session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25001",
                       "DISCARD ALL cannot run inside a transaction block");
    close_all(session);
    kd_ast_deallocate all = {.name = {"", 0}};
    KD_TRY(deallocate(ctx, run, &all));
    kdi_set_tag(run, "DISCARD ALL");
    return KD_OK;
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
        return declare(ctx, run, (const kd_ast_declare_cursor *)node);
    case KD_AST_FETCH:
        return fetch(ctx, run, (const kd_ast_fetch *)node);
    case KD_AST_CLOSE:
        return close_cursor(ctx, run, (const kd_ast_close *)node);
    default:
        return discard(ctx, run, (const kd_ast_discard *)node);
    }
}
