/*
 * EXPLAIN and EXPLAIN ANALYZE; DESCRIBE and SUMMARIZE.
 */
#include "engine/engine_internal.h"

#include <stdio.h>

static bool option_is_on(const kd_ast_list *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)options->items[i];
        if (!kd_slice_equal_ignoring_case(option->name, kd_slice_of(name)))
            continue;
        const kd_ast_constant *value = (const kd_ast_constant *)option->value;
        if (value == NULL || value->node.kind != KD_AST_CONSTANT)
            return true;
        return value->what == KD_AST_BOOLEAN ? value->boolean : value->integer != 0;
    }
    return false;
}

static kd_status add_lines(kd_ctx *ctx, kdi_row_set *rows, kd_slice text)
{
    for (size_t at = 0; at < text.size_bytes;) {
        const char *start = text.data + at;
        const char *stop = memchr(start, '\n', text.size_bytes - at);
        size_t size_bytes = stop == NULL ? text.size_bytes - at : (size_t)(stop - start);
        kd_value line = kd_value_text((kd_slice){start, size_bytes});
        KD_TRY(kdi_row_set_add(ctx, rows, &line));
        at += size_bytes + 1;
    }
    return KD_OK;
}

/* Runs the inner plan to its end and drops the rows; the figures are copied before it ends. */
static kd_status measure(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                         kd_plan_actual *actuals)
{
    kd_status status = KD_OK;
    kd_execution *execution = NULL;
    run->actuals = actuals;
    KD_TRY_OUT(kdi_run_execute(ctx, run, plan, &execution));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_execution_next(ctx, execution, &batch, &end));
    }
    kdi_keep_actuals(actuals, plan, execution);
out:
    kd_execution_destroy(execution);
    return status;
}

static kd_status add_time(kd_ctx *ctx, kdi_row_set *rows, const char *what, uint64_t ns)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%s: %.3f ms", what, (double)ns / 1e6);
    kd_value line = kd_value_text((kd_slice){text, (size_t)length});
    return kdi_row_set_add(ctx, rows, &line);
}

/* FORMAT JSON: one row with everything. Times are left out where nothing was run. */
static kd_status add_json(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                          const kd_plan_actual *actuals, uint64_t planned_ns, uint64_t run_ns,
                          kdi_row_set *rows)
{
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_buffer_append_text(ctx, &text, "[{"));
    KD_TRY(kd_plan_explain_json(ctx, run->arena, plan, actuals, &text));
    if (run_ns > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text,
                                       ", \"Planning Time\": %.3f, \"Execution Time\": %.3f",
                                       (double)planned_ns / 1e6, (double)run_ns / 1e6));
    KD_TRY(kd_buffer_append_text(ctx, &text, "}]"));
    kd_value line = kd_value_text(kd_buffer_slice(&text));
    return kdi_row_set_add(ctx, rows, &line);
}

/* FORMAT json or FORMAT 'json'. */
static kd_slice option_word(const kd_ast_option *option)
{
    const kd_ast_node *value = option->value;
    if (value != NULL && value->kind == KD_AST_CONSTANT)
        return ((const kd_ast_constant *)value)->text;
    if (value != NULL && value->kind == KD_AST_COLUMN)
        return ((const kd_ast_column *)value)->parts[0];
    return KD_SLICE("");
}

static bool wants_json(const kd_ast_list *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)options->items[i];
        if (kd_slice_equal_ignoring_case(option->name, KD_SLICE("format")))
            return kd_slice_equal_ignoring_case(option_word(option), KD_SLICE("json"));
    }
    return false;
}

/* EXPLAIN ANALYZE of a statement that writes does write, as in PostgreSQL. */
static kd_status explain_analyze(kd_ctx *ctx, kd_run *run, kd_prepared *inner, kdi_row_set *rows,
                                 uint64_t planned_ns, bool json)
{
    kd_world *world = ctx->world;
    kd_plan_actual *actuals =
        KD_NEW_ARRAY(ctx, run->arena, kd_plan_actual, inner->plan->plan_count + 1);
    if (actuals == NULL)
        return KD_NOMEM;
    uint64_t started = world->monotonic_ns(world);
    if (inner->bound->kind != KD_DML_SELECT || inner->plan->modifying_count > 0) {
        kd_run *written;
        inner->actuals = actuals;
        KD_TRY(kd_run_begin(ctx, inner, NULL, 0, &written));
        KD_TRY(kd_run_end(ctx, written));
    } else {
        KD_TRY(measure(ctx, run, inner->plan, actuals));
    }
    uint64_t run_ns = world->monotonic_ns(world) - started;
    if (json)
        return add_json(ctx, run, inner->plan, actuals, planned_ns, run_ns, rows);
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_plan_explain(ctx, run->arena, inner->plan, actuals, &text));
    KD_TRY(add_lines(ctx, rows, kd_buffer_slice(&text)));
    KD_TRY(add_time(ctx, rows, "Planning Time", planned_ns));
    return add_time(ctx, rows, "Execution Time", run_ns);
}

kd_status kdi_explain(kd_ctx *ctx, kd_run *run, const kd_ast_explain *ast)
{
    static const char *const names[] = {"QUERY PLAN"};
    bool json = wants_json(&ast->options);
    const kd_type text_type = kd_type_of(json ? KD_TYPE_JSON : KD_TYPE_TEXT);
    kd_status status = KD_OK;
    kd_prepared *inner = NULL;
    kd_rel_column *columns;
    kdi_row_set *rows;
    kd_world *world = ctx->world;
    kd_slice part = {run->prepared->text.data + ast->statement->position,
                     (size_t)(ast->statement->end - ast->statement->position)};
    kdi_set_tag(run, "EXPLAIN");
    uint64_t started = world->monotonic_ns(world);
    KD_TRY_OUT(kdi_prepared_anew(ctx, run->session, part, NULL, 0, &inner));
    uint64_t planned_ns = world->monotonic_ns(world) - started;
    KD_TRY_OUT(kdi_columns(ctx, run->arena, names, &text_type, 1, &columns));
    KD_TRY_OUT(kdi_run_start_rows(ctx, run, columns, 1, &rows));
    if (inner->class != KDI_QUERY) {
        kd_value line = kd_value_text(KD_SLICE("Utility Statement"));
        KD_TRY_OUT(kdi_row_set_add(ctx, rows, &line));
    } else if (option_is_on(&ast->options, "analyze")) {
        KD_TRY_OUT(explain_analyze(ctx, run, inner, rows, planned_ns, json));
    } else if (json) {
        KD_TRY_OUT(add_json(ctx, run, inner->plan, NULL, 0, 0, rows));
    } else {
        kd_buffer text = kd_buffer_in(run->arena);
        KD_TRY_OUT(kd_plan_explain(ctx, run->arena, inner->plan, NULL, &text));
        KD_TRY_OUT(add_lines(ctx, rows, kd_buffer_slice(&text)));
    }
out:
    kd_prepared_destroy(inner);
    return status;
}

/* --- DESCRIBE, SUMMARIZE
 * ---------------------------------------------------------------------------- */

static kd_status append_identifier(kd_ctx *ctx, kd_buffer *out, kd_slice name)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "\""));
    for (size_t i = 0; i < name.size_bytes; i++) {
        if (name.data[i] == '"')
            KD_TRY(kd_buffer_append_text(ctx, out, "\""));
        KD_TRY(kd_buffer_append(ctx, out, &name.data[i], 1));
    }
    return kd_buffer_append_text(ctx, out, "\"");
}

/* The text of what is described: the query, or SELECT * FROM the table. */
static kd_status described_text(kd_ctx *ctx, kd_run *run, const kd_ast_describe *ast,
                                kd_buffer *out)
{
    if (ast->query != NULL)
        return kd_buffer_append(ctx, out, run->prepared->text.data + ast->query->position,
                                (size_t)(ast->query->end - ast->query->position));
    KD_TRY(kd_buffer_append_text(ctx, out, "SELECT * FROM "));
    if (ast->table.schema.size_bytes > 0) {
        KD_TRY(append_identifier(ctx, out, ast->table.schema));
        KD_TRY(kd_buffer_append_text(ctx, out, "."));
    }
    return append_identifier(ctx, out, ast->table.name);
}

static kd_status describe_columns(kd_ctx *ctx, kd_run *run, const kd_prepared *inner)
{
    static const char *const names[] = {"column_name", "column_type"};
    const kd_type types[] = {kd_type_of(KD_TYPE_TEXT), kd_type_of(KD_TYPE_TEXT)};
    kd_rel_column *columns;
    kdi_row_set *rows;
    KD_TRY(kdi_columns(ctx, run->arena, names, types, 2, &columns));
    KD_TRY(kdi_run_start_rows(ctx, run, columns, 2, &rows));
    for (uint32_t i = 0; i < inner->column_count; i++) {
        kd_buffer type = kd_buffer_in(run->arena);
        KD_TRY(kd_session_format_type(ctx, run->session, inner->columns[i].type, &type));
        kd_value row[2] = {kd_value_text(inner->columns[i].name),
                           kd_value_text(kd_buffer_slice(&type))};
        KD_TRY(kdi_row_set_add(ctx, rows, row));
    }
    return KD_OK;
}

/* One row per column, by one query over the described one. */
static kd_status summarize(kd_ctx *ctx, kd_run *run, const kd_prepared *inner, kd_slice source)
{
    kd_status status = KD_OK;
    kd_prepared *query = NULL;
    kd_run *reading = NULL;
    kdi_row_set *rows;
    kd_buffer text = kd_buffer_in(run->arena);
    for (uint32_t i = 0; i < inner->column_count; i++) {
        kd_buffer name = kd_buffer_in(run->arena);
        KD_TRY_OUT(append_identifier(ctx, &name, inner->columns[i].name));
        kd_buffer type = kd_buffer_in(run->arena);
        KD_TRY_OUT(kd_session_format_type(ctx, run->session, inner->columns[i].type, &type));
        KD_TRY_OUT(kd_buffer_append_format(
            ctx, &text,
            "%sSELECT '%.*s' AS column_name, '%s' AS column_type, min(%s)::text AS min, "
            "max(%s)::text AS max, count(DISTINCT %s) AS distinct_count, count(*) AS count, "
            "count(*) - count(%s) AS null_count FROM (%.*s) AS described",
            i == 0 ? "" : " UNION ALL ", (int)inner->columns[i].name.size_bytes,
            inner->columns[i].name.data, type.data, name.data, name.data, name.data, name.data,
            (int)source.size_bytes, source.data));
    }
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, kd_buffer_slice(&text), NULL, 0, &query));
    KD_TRY_OUT(kd_run_begin(ctx, query, NULL, 0, &reading));
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, run->arena, kd_rel_column, query->column_count);
    if (columns == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    static const char *const names[] = {"column_name",    "column_type", "min",       "max",
                                        "distinct_count", "count",       "null_count"};
    for (uint32_t i = 0; i < query->column_count; i++) {
        columns[i] = query->columns[i];
        columns[i].name = kd_slice_of(names[i]);
    }
    KD_TRY_OUT(kdi_run_start_rows(ctx, run, columns, query->column_count, &rows));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kd_run_next(ctx, reading, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY_OUT(kdi_row_set_add_batch(ctx, rows, &batch));
    }
out:
    if (reading != NULL) {
        kd_status ended = kd_run_end(ctx, reading);
        status = status == KD_OK ? ended : status;
    }
    kd_prepared_destroy(query);
    return status;
}

kd_status kdi_do_describe(kd_ctx *ctx, kd_run *run, const kd_ast_describe *ast)
{
    kd_status status = KD_OK;
    kd_prepared *inner = NULL;
    kd_buffer text = kd_buffer_in(run->arena);
    kdi_set_tag(run, ast->is_summarize ? "SUMMARIZE" : "DESCRIBE");
    if (ast->query == NULL && ast->table.name.size_bytes == 0)
        KD_TRY_OUT(kd_buffer_append_text(ctx, &text,
                                         "SELECT table_schema, table_name, table_type "
                                         "FROM information_schema.tables"));
    else
        KD_TRY_OUT(described_text(ctx, run, ast, &text));
    KD_TRY_OUT(kd_prepared_create(ctx, run->session, kd_buffer_slice(&text), NULL, 0, &inner));
    if (ast->is_summarize)
        KD_TRY_OUT(summarize(ctx, run, inner, kd_buffer_slice(&text)));
    else
        KD_TRY_OUT(describe_columns(ctx, run, inner));
out:
    kd_prepared_destroy(inner);
    return status;
}
