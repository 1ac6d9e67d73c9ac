/*
 * EXPLAIN and EXPLAIN ANALYZE; DESCRIBE and SUMMARIZE.
 */
#include "engine/engine_internal.h"

#include "engine/replan.h"
#include "engine/result_cache.h"
#include "engine/result_key.h"

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

static kd_status add_time(kd_ctx *ctx, kdi_row_set *rows, const char *what, uint64_t ns)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%s: %.3f ms", what, (double)ns / 1e6);
    kd_value line = kd_value_text((kd_slice){text, (size_t)length});
    return kdi_row_set_add(ctx, rows, &line);
}

/* What there is to tell. */
typedef struct explained {
    kd_prepared *prepared; /* The statement, or what it executes. */
    kd_value *values;      /* Of its parameters. */
    const kd_statement_plan *plan;
    kd_plan_actual *actuals; /* NULL: nothing was run. */
    uint32_t replans;        /* How many plans were left for this one, ... */
    kd_known_rows found;     /* ... the last for this, ... */
    double expected_rows;    /* ... where so many had been expected. */
    const char *kept;        /* "hit" or "miss"; NULL: its rows are not kept. */
    uint64_t planned_ns, run_ns;
} explained;

/* FORMAT JSON: one row with everything. Times are left out where nothing was run. */
static kd_status add_json(kd_ctx *ctx, kd_run *run, const explained *it, kdi_row_set *rows)
{
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_buffer_append_text(ctx, &text, "[{"));
    KD_TRY(kd_plan_explain_json(ctx, run->arena, it->plan, it->actuals, &text));
    if (it->kept != NULL)
        KD_TRY(kd_buffer_append_format(ctx, &text, ", \"Result Cache\": \"%s\"", it->kept));
    if (it->replans > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text, ", \"Replans\": %u", it->replans));
    if (it->run_ns > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text,
                                       ", \"Planning Time\": %.3f, \"Execution Time\": %.3f",
                                       (double)it->planned_ns / 1e6, (double)it->run_ns / 1e6));
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

/* Kept rows answer as they would without EXPLAIN: the plan is not run. */
static kd_status look_for_rows(kd_ctx *ctx, kd_run *run, const kd_prepared *inner,
                               const char **out_kept)
{
    kd_session *session = run->session;
    kd_slice key;
    bool is_kept = false;
    *out_kept = NULL;
    if (inner->parameter_count == 0)
        KD_TRY(kdi_result_key(ctx, run->arena, run, inner, &key, &is_kept));
    if (!is_kept)
        return KD_OK;
    kdi_result *found =
        kdi_result_find(session->database->results, key, kd_txn_snapshot(session->txn).stamp);
    *out_kept = found == NULL ? "miss" : "hit";
    kdi_result_release(found);
    return KD_OK;
}

static kd_status actuals_make(kd_ctx *ctx, kd_run *run, explained *it)
{
    it->actuals = KD_NEW_ARRAY(ctx, run->arena, kd_plan_actual, it->plan->plan_count + 1);
    return it->actuals == NULL ? KD_NOMEM : KD_OK;
}

/* What the plan that was run in the end has done. */
static kd_status note_replans(kd_ctx *ctx, kd_run *run, explained *it)
{
    const kdi_replan *replan = run->replan;
    if (replan == NULL || replan->times == 0)
        return KD_OK;
    it->plan = run->plan;
    it->replans = replan->times;
    it->found = replan->known[replan->known_count - 1];
    it->expected_rows = replan->expected_rows;
    return actuals_make(ctx, run, it);
}

/* Runs the query to its end and drops the rows; the figures are copied before it ends, which is
 * before its plan goes. */
static kd_status measure(kd_ctx *ctx, kd_run *run, explained *it)
{
    kd_status status = KD_OK;
    run->actuals = it->actuals;
    KD_TRY_OUT(kdi_replan_allow(ctx, run, it->prepared));
    KD_TRY_OUT(kdi_run_execute(ctx, run, it->plan, &run->execution));
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY_OUT(kdi_replan_next(ctx, run, &batch, &end));
    }
    KD_TRY_OUT(note_replans(ctx, run, it));
    kdi_keep_actuals(it->actuals, it->plan, run->execution);
out:
    kd_execution_destroy(run->execution);
    run->execution = NULL; /* The run gives EXPLAIN's rows. */
    return status;
}

/* EXPLAIN ANALYZE of a statement that writes does write, as in PostgreSQL. */
static kd_status analyze(kd_ctx *ctx, kd_run *run, explained *it)
{
    kd_world *world = ctx->world;
    kd_prepared *inner = it->prepared;
    KD_TRY(actuals_make(ctx, run, it));
    uint64_t started = world->monotonic_ns(world);
    KD_TRY(look_for_rows(ctx, run, inner, &it->kept));
    if (it->kept != NULL && strcmp(it->kept, "hit") == 0) {
        it->run_ns = world->monotonic_ns(world) - started;
        return KD_OK;
    }
    if (inner->bound->kind != KD_DML_SELECT || inner->plan->modifying_count > 0) {
        kd_run *written = NULL;
        inner->actuals = it->actuals;
        kd_status status = kd_run_begin(ctx, inner, it->values, inner->parameter_count, &written);
        inner->actuals = NULL;
        KD_TRY(status);
        KD_TRY(kd_run_end(ctx, written));
    } else {
        KD_TRY(measure(ctx, run, it));
    }
    it->run_ns = world->monotonic_ns(world) - started;
    return KD_OK;
}

static kd_status add_text(kd_ctx *ctx, kd_run *run, const explained *it, kdi_row_set *rows)
{
    kd_buffer text = kd_buffer_in(run->arena);
    KD_TRY(kd_plan_explain(ctx, run->arena, it->plan, it->actuals, &text));
    if (it->kept != NULL)
        KD_TRY(kd_buffer_append_format(ctx, &text, "Result Cache: %s\n", it->kept));
    if (it->replans > 0)
        KD_TRY(kd_buffer_append_format(ctx, &text,
                                       "Planned Anew: %u, for %.0f rows in a join's build side "
                                       "instead of %.0f\n",
                                       it->replans, it->found.rows, it->expected_rows));
    KD_TRY(add_lines(ctx, rows, kd_buffer_slice(&text)));
    if (it->actuals == NULL)
        return KD_OK;
    KD_TRY(add_time(ctx, rows, "Planning Time", it->planned_ns));
    return add_time(ctx, rows, "Execution Time", it->run_ns);
}

/* Finds what is explained, which EXECUTE only names, and plans it. */
static kd_status plan_explained(kd_ctx *ctx, kd_run *run, bool is_run, explained *it)
{
    const kd_ast_node *node = it->prepared->statement.node;
    uint64_t started = ctx->world->monotonic_ns(ctx->world);
    if (node->kind == KD_AST_EXECUTE)
        KD_TRY(
            kdi_execute_target(ctx, run, (const kd_ast_execute *)node, &it->prepared, &it->values));
    const kd_prepared *prepared = it->prepared;
    if (prepared->class != KDI_QUERY)
        return KD_OK; /* There is nothing to plan. */
    KD_TRY(kdi_run_plan_other(ctx, run, it->prepared, it->values,
                              it->values == NULL ? 0 : prepared->parameter_count));
    it->plan = run->plan;
    if (is_run && (prepared->bound->kind != KD_DML_SELECT || prepared->plan->modifying_count > 0))
        it->plan = prepared->plan; /* As its run will: see kdi_plan_wants_values. */
    it->planned_ns += ctx->world->monotonic_ns(ctx->world) - started;
    return KD_OK;
}

kd_status kdi_explain(kd_ctx *ctx, kd_run *run, const kd_ast_explain *ast)
{
    static const char *const names[] = {"QUERY PLAN"};
    bool json = wants_json(&ast->options), is_run = option_is_on(&ast->options, "analyze");
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
    explained it = {.prepared = inner, .planned_ns = world->monotonic_ns(world) - started};
    KD_TRY_OUT(kdi_columns(ctx, run->arena, names, &text_type, 1, &columns));
    KD_TRY_OUT(kdi_run_start_rows(ctx, run, columns, 1, &rows));
    KD_TRY_OUT(plan_explained(ctx, run, is_run, &it));
    if (it.plan == NULL) {
        kd_value line = kd_value_text(KD_SLICE("Utility Statement"));
        KD_TRY_OUT(kdi_row_set_add(ctx, rows, &line));
    } else {
        if (is_run)
            KD_TRY_OUT(analyze(ctx, run, &it));
        KD_TRY_OUT((json ? add_json : add_text)(ctx, run, &it, rows));
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
