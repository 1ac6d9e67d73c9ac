/*
 * EXPLAIN's text: one line per operator, its details below, PostgreSQL-like.
 */
#include "plan/plan_internal.h"

#include "types/json.h"

typedef struct explaining {
    kd_buffer *out;
    kd_buffer text; /* Of a field that is being made. */
    bool is_json;
    const kd_plan_actual *actual;
    const kd_statement_plan *statement;
} explaining;

static const char *const join_names[] = {
    [KD_JOIN_INNER] = "",
    [KD_JOIN_LEFT] = "Left ",
    [KD_JOIN_RIGHT] = "Right ",
    [KD_JOIN_FULL] = "Full ",
    [KD_JOIN_SEMI] = "Semi ",
    [KD_JOIN_ANTI] = "Anti ",
    [KD_JOIN_ANTI_NULL] = "Anti Null ",
    [KD_JOIN_MARK] = "Mark ",
    [KD_JOIN_SINGLE] = "Single ",
    [KD_JOIN_RIGHT_SEMI] = "Right Semi ",
    [KD_JOIN_RIGHT_ANTI] = "Right Anti ",
};

static const char *plan_name(const kd_plan *plan)
{
    switch (plan->kind) {
    case KD_PLAN_SCAN:
        return "Seq Scan";
    case KD_PLAN_INDEX_SCAN:
        return plan->as.index_scan.place != NULL   ? "Tid Scan"
               : plan->as.index_scan.items != NULL ? "Inverted Index Scan"
                                                   : "Index Scan";
    case KD_PLAN_FUNCTION:
        return "Function Scan";
    case KD_PLAN_VALUES:
        return "Values";
    case KD_PLAN_VIRTUAL:
        return "System View";
    case KD_PLAN_FILTER:
        return "Filter";
    case KD_PLAN_PROJECT:
        return "Project";
    case KD_PLAN_HASH_JOIN:
        return "Join";
    case KD_PLAN_NESTED_LOOP:
        return "Join";
    case KD_PLAN_APPLY:
        return "Apply";
    case KD_PLAN_AGGREGATE:
        return plan->as.aggregate.key_count > 0 ? "HashAggregate" : "Aggregate";
    case KD_PLAN_WINDOW:
        return "WindowAgg";
    case KD_PLAN_DISTINCT:
        return "Distinct";
    case KD_PLAN_SORT:
        return "Sort";
    case KD_PLAN_TOP_N:
        return "Top-N Sort";
    case KD_PLAN_LIMIT:
        return "Limit";
    case KD_PLAN_UNION_ALL:
        return "Append";
    case KD_PLAN_SET_OP:
        return plan->as.set.kind == KD_SET_INTERSECT ? "Intersect" : "Except";
    case KD_PLAN_CTE_SCAN:
        return "CTE Scan";
    case KD_PLAN_RECURSIVE:
        return "Recursive Union";
    case KD_PLAN_WORKING_SCAN:
        return "WorkTable Scan";
    case KD_PLAN_LOCK_ROWS:
        return "LockRows";
    case KD_PLAN_EMPTY:
        return "Result (no rows)";
    case KD_PLAN_GIVEN:
        return "CTE Scan";
    }
    return "?";
}

static kd_status on_table(kd_ctx *ctx, kd_buffer *out, const kd_table_entry *table, kd_slice alias)
{
    KD_TRY(kd_buffer_append_text(ctx, out, " on "));
    KD_TRY(kd_buffer_append_slice(ctx, out, table->object.name));
    if (alias.size_bytes == 0 || kd_slice_equal(alias, table->object.name))
        return KD_OK;
    KD_TRY(kd_buffer_append_byte(ctx, out, ' '));
    return kd_buffer_append_slice(ctx, out, alias);
}

static kd_status title(kd_ctx *ctx, explaining *e, const kd_plan *plan)
{
    kd_buffer *out = e->out;
    switch (plan->kind) {
    case KD_PLAN_HASH_JOIN:
        return kd_buffer_append_format(ctx, out, "Hash %sJoin", join_names[plan->as.join.kind]);
    case KD_PLAN_NESTED_LOOP:
        return kd_buffer_append_format(ctx, out, "Nested Loop%s%sJoin",
                                       plan->as.join.kind == KD_JOIN_INNER ? " " : " ",
                                       join_names[plan->as.join.kind]);
    case KD_PLAN_APPLY:
        return kd_buffer_append_format(ctx, out, "%sApply", join_names[plan->as.apply.kind]);
    case KD_PLAN_SCAN:
        KD_TRY(kd_buffer_append_text(ctx, out, "Seq Scan"));
        return on_table(ctx, out, plan->as.scan.table, plan->as.scan.alias);
    case KD_PLAN_INDEX_SCAN:
        if (plan->as.index_scan.place != NULL) {
            KD_TRY(kd_buffer_append_text(ctx, out, plan_name(plan)));
            return on_table(ctx, out, plan->as.index_scan.table, plan->as.index_scan.alias);
        }
        KD_TRY(kd_buffer_append_text(ctx, out,
                                     plan->as.index_scan.items != NULL
                                         ? "Inverted Index Scan using "
                                     : plan->as.index_scan.descending ? "Index Scan Backward using "
                                                                      : "Index Scan using "));
        KD_TRY(kd_buffer_append_slice(ctx, out, plan->as.index_scan.index->object.name));
        return on_table(ctx, out, plan->as.index_scan.table, plan->as.index_scan.alias);
    case KD_PLAN_FUNCTION:
        return kd_buffer_append_format(ctx, out, "Function Scan on %s",
                                       plan->as.function.function->name);
    case KD_PLAN_VIRTUAL:
        return kd_buffer_append_format(ctx, out, "Seq Scan on %s",
                                       plan->as.virtual_table.table->name);
    case KD_PLAN_CTE_SCAN:
        return kd_buffer_append_format(ctx, out, "CTE Scan on CTE %u", plan->as.cte.cte_no);
    case KD_PLAN_GIVEN:
        return kd_buffer_append_format(ctx, out, "CTE Scan on modifying CTE %u",
                                       plan->as.cte.cte_no);
    default:
        return kd_buffer_append_text(ctx, out, plan_name(plan));
    }
}

/* Nothing is said of nothing; a part of a kilobyte is one. */
static kd_status kilobytes(kd_ctx *ctx, kd_buffer *out, const char *label, uint64_t size_bytes)
{
    if (size_bytes == 0)
        return KD_OK;
    return kd_buffer_append_format(ctx, out, " %s=%llu kB", label,
                                   (unsigned long long)((size_bytes + 1023) / 1024));
}

static kd_status figures(kd_ctx *ctx, explaining *e, const kd_plan *plan)
{
    KD_TRY(kd_buffer_append_format(ctx, e->out, "  (rows=%.0f)", plan->row_estimate));
    if (e->actual == NULL)
        return kd_buffer_append_byte(ctx, e->out, '\n');
    const kd_plan_actual *actual = &e->actual[plan->no];
    if (!actual->was_run)
        return kd_buffer_append_text(ctx, e->out, " (never executed)\n");
    KD_TRY(kd_buffer_append_format(ctx, e->out, " (actual time=%.3f ms rows=%llu",
                                   (double)actual->time_ns / 1e6,
                                   (unsigned long long)actual->rows));
    KD_TRY(kilobytes(ctx, e->out, "read", actual->read_bytes));
    KD_TRY(kilobytes(ctx, e->out, "memory", actual->memory_bytes));
    KD_TRY(kilobytes(ctx, e->out, "spilled", actual->spilled_bytes));
    return kd_buffer_append_text(ctx, e->out, ")\n");
}

static kd_status indent(kd_ctx *ctx, kd_buffer *out, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++)
        KD_TRY(kd_buffer_append_text(ctx, out, "  "));
    return KD_OK;
}

/* The text for the next field, made up in one place. */
static kd_buffer *field_text(explaining *e)
{
    e->text.size_bytes = 0;
    return &e->text;
}

/* What field_text holds, as a line of its own or as a member of the operator's object. */
static kd_status field(kd_ctx *ctx, explaining *e, uint32_t depth, const char *label)
{
    if (e->is_json) {
        KD_TRY(kd_buffer_append_format(ctx, e->out, ", \"%s\": ", label));
        return kd_json_append_string(ctx, kd_buffer_slice(&e->text), e->out);
    }
    KD_TRY(indent(ctx, e->out, depth));
    KD_TRY(kd_buffer_append_format(ctx, e->out, "%s: ", label));
    KD_TRY(kd_buffer_append_slice(ctx, e->out, kd_buffer_slice(&e->text)));
    return kd_buffer_append_byte(ctx, e->out, '\n');
}

static kd_status detail(kd_ctx *ctx, explaining *e, uint32_t depth, const char *label,
                        const kd_expr *expr)
{
    if (expr == NULL)
        return KD_OK;
    KD_TRY(kd_expr_format(ctx, expr, field_text(e)));
    return field(ctx, e, depth, label);
}

static kd_status exprs(kd_ctx *ctx, explaining *e, uint32_t depth, const char *label,
                       kd_expr *const *list, uint32_t count)
{
    kd_buffer *text = field_text(e);
    if (count == 0)
        return KD_OK;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, text, ", "));
        KD_TRY(kd_expr_format(ctx, list[i], text));
    }
    return field(ctx, e, depth, label);
}

static kd_status sort_keys(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_sort_key *keys,
                           uint32_t count)
{
    kd_buffer *text = field_text(e);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, text, ", "));
        KD_TRY(kd_expr_format(ctx, keys[i].expr, text));
        if (keys[i].descending)
            KD_TRY(kd_buffer_append_text(ctx, text, " DESC"));
        if (keys[i].nulls_first != keys[i].descending)
            KD_TRY(kd_buffer_append_text(ctx, text,
                                         keys[i].nulls_first ? " NULLS FIRST" : " NULLS LAST"));
    }
    return field(ctx, e, depth, "Sort Key");
}

static kd_status hash_condition(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    for (uint32_t i = 0; i < plan->as.join.key_count; i++) {
        KD_TRY(kd_buffer_append_text(ctx, text, i > 0 ? " AND (" : "("));
        KD_TRY(kd_expr_format(ctx, plan->as.join.left_keys[i], text));
        const char *op = plan->as.join.null_equal[i] ? " IS NOT DISTINCT FROM " : " = ";
        KD_TRY(kd_buffer_append_text(ctx, text, op));
        KD_TRY(kd_expr_format(ctx, plan->as.join.right_keys[i], text));
        KD_TRY(kd_buffer_append_text(ctx, text, ")"));
    }
    return field(ctx, e, depth, "Hash Cond");
}

/* The columns that joins above filter at run time. */
static kd_status runtime_filters(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    if (plan->as.scan.filter_count == 0)
        return KD_OK;
    for (uint32_t i = 0; i < plan->as.scan.filter_count; i++)
        for (uint32_t c = 0; c < plan->column_count; c++)
            if (plan->columns[c].id == plan->as.scan.filters[i].column) {
                KD_TRY(kd_buffer_append_text(ctx, text, i > 0 ? ", " : ""));
                KD_TRY(kd_buffer_append_slice(ctx, text, plan->columns[c].name));
            }
    return field(ctx, e, depth, "Runtime Filter");
}

static kd_status top_bound(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    for (uint32_t c = 0; c < plan->column_count && plan->as.scan.top_no != 0; c++)
        if (plan->columns[c].id == plan->as.scan.top_column) {
            KD_TRY(kd_buffer_append_slice(ctx, text, plan->columns[c].name));
            return field(ctx, e, depth, "Top-N Bound");
        }
    return KD_OK;
}

/* How many first rows of each partition are wanted, if not all. */
static kd_status first_rows(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    if (plan->as.window.top_count == 0)
        return KD_OK;
    KD_TRY(
        kd_buffer_append_format(ctx, text, "%llu", (unsigned long long)plan->as.window.top_count));
    return field(ctx, e, depth, "First Rows");
}

/* Paths into documents that the scan gives as columns. */
static kd_status scan_paths(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    for (uint32_t c = 0; plan->as.scan.paths != NULL && c < plan->column_count; c++) {
        if (plan->as.scan.paths[c].size_bytes == 0)
            continue;
        KD_TRY(kd_buffer_append_text(ctx, text, text->size_bytes > 0 ? ", " : ""));
        KD_TRY(kd_buffer_append_slice(ctx, text, plan->columns[c].name));
    }
    return text->size_bytes > 0 ? field(ctx, e, depth, "Paths") : KD_OK;
}

static const char *const tests[] = {
    [KD_SCAN_EQUAL] = " = ",   [KD_SCAN_LESS] = " < ",           [KD_SCAN_LESS_EQUAL] = " <= ",
    [KD_SCAN_GREATER] = " > ", [KD_SCAN_GREATER_EQUAL] = " >= ",
};

/* What leaves out partitions at run time: keys by name, else the column that a bound is about. */
static kd_status gates(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    kd_buffer *text = field_text(e);
    const kd_plan *scan = plan->more[0];
    while (scan->kind == KD_PLAN_PROJECT || scan->kind == KD_PLAN_FILTER)
        scan = scan->inputs[0];
    if (scan->gate_count == 0)
        return KD_OK;
    for (uint32_t i = 0; i < scan->gate_count; i++) {
        const kd_plan_gate *gate = &scan->gates[i];
        const kd_table_entry *parent = gate->parent;
        KD_TRY(kd_buffer_append_text(ctx, text, i > 0 ? ", " : ""));
        if (gate->bound == NULL)
            KD_TRY(kd_buffer_append_slice(ctx, text, gate->key->object.name));
        for (uint32_t c = 0; gate->bound != NULL && c < parent->column_count; c++)
            if (parent->columns[c].storage.column_no == parent->partition_column_nos[0])
                KD_TRY(kd_buffer_append_slice(ctx, text,
                                              parent->columns[c].hidden
                                                  ? parent->columns[c].default_text
                                                  : parent->columns[c].storage.name));
        KD_TRY(kd_buffer_append_text(ctx, text, gate->bound == NULL ? " = " : tests[gate->test]));
        for (uint32_t v = 0; v < (gate->bound != NULL ? 1 : gate->key->storage.column_count); v++) {
            KD_TRY(kd_buffer_append_text(ctx, text, v > 0 ? ", " : ""));
            KD_TRY(kd_expr_format(ctx, gate->values[v], text));
        }
    }
    return field(ctx, e, depth, "Partitions By");
}

static kd_status details(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    switch (plan->kind) {
    case KD_PLAN_UNION_ALL:
        return gates(ctx, e, depth, plan);
    case KD_PLAN_SCAN:
        KD_TRY(scan_paths(ctx, e, depth, plan));
        KD_TRY(detail(ctx, e, depth, "Filter", plan->as.scan.condition));
        KD_TRY(runtime_filters(ctx, e, depth, plan));
        return top_bound(ctx, e, depth, plan);
    case KD_PLAN_INDEX_SCAN:
        KD_TRY(exprs(ctx, e, depth, "Index Key", plan->as.index_scan.bound.equals,
                     plan->as.index_scan.bound.equal_count));
        KD_TRY(detail(ctx, e, depth, "Place", plan->as.index_scan.place));
        KD_TRY(detail(ctx, e, depth, "Index Items", plan->as.index_scan.items_condition));
        return detail(ctx, e, depth, "Filter", plan->as.index_scan.condition);
    case KD_PLAN_FILTER:
        return detail(ctx, e, depth, "Condition", plan->as.filter.condition);
    case KD_PLAN_WINDOW:
        return first_rows(ctx, e, depth, plan);
    case KD_PLAN_HASH_JOIN:
        KD_TRY(hash_condition(ctx, e, depth, plan));
        return detail(ctx, e, depth, "Join Filter", plan->as.join.residual);
    case KD_PLAN_NESTED_LOOP:
        return detail(ctx, e, depth, "Join Filter", plan->as.join.residual);
    case KD_PLAN_APPLY:
        return detail(ctx, e, depth, "Join Filter", plan->as.apply.condition);
    case KD_PLAN_AGGREGATE:
        return exprs(ctx, e, depth, "Group Key", plan->as.aggregate.keys,
                     plan->as.aggregate.key_count);
    case KD_PLAN_SORT:
    case KD_PLAN_TOP_N:
        return sort_keys(ctx, e, depth, plan->as.sort.keys, plan->as.sort.key_count);
    default:
        return KD_OK;
    }
}

static kd_status explain(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    if (plan == NULL)
        return KD_OK;
    if (depth > KDI_PLAN_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
    KD_TRY(indent(ctx, e->out, depth));
    if (depth > 0)
        KD_TRY(kd_buffer_append_text(ctx, e->out, "->  "));
    KD_TRY(title(ctx, e, plan));
    KD_TRY(figures(ctx, e, plan));
    KD_TRY(details(ctx, e, depth + 3, plan));
    for (uint32_t i = 0; i < plan->more_count; i++)
        KD_TRY(explain(ctx, e, depth + 1, plan->more[i]));
    for (int i = 0; i < 2; i++)
        KD_TRY(explain(ctx, e, depth + 1, plan->inputs[i]));
    return KD_OK;
}

static const char *const change_names[] = {"Select", "Insert", "Update", "Delete", "Merge"};

static kd_status modified(kd_ctx *ctx, kd_buffer *out, const kd_bound_statement *bound)
{
    KD_TRY(kd_buffer_append_text(ctx, out, change_names[bound->kind]));
    KD_TRY(on_table(ctx, out, bound->target, KD_SLICE("")));
    return kd_buffer_append_byte(ctx, out, '\n');
}

kd_status kd_plan_explain(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                          const kd_plan_actual *actual, kd_buffer *out)
{
    explaining e = {.out = out, .text = kd_buffer_in(arena), .actual = actual, .statement = plan};
    for (uint32_t i = 0; i < plan->cte_count; i++) {
        if (plan->ctes[i] == NULL)
            continue;
        KD_TRY(kd_buffer_append_format(ctx, out, "CTE %u\n", i));
        KD_TRY(explain(ctx, &e, 1, plan->ctes[i]));
    }
    for (uint32_t i = 0; i < plan->modifying_count; i++) {
        KD_TRY(kd_buffer_append_format(ctx, out, "modifying CTE %u: ", i));
        KD_TRY(modified(ctx, out, plan->modifying[i].bound));
        e.actual = NULL; /* Its figures are not kept. */
        KD_TRY(explain(ctx, &e, 1, plan->modifying[i].root));
        e.actual = actual;
    }
    bool is_query = plan->bound->kind == KD_DML_SELECT;
    if (!is_query)
        KD_TRY(modified(ctx, out, plan->bound));
    return explain(ctx, &e, is_query ? 0 : 1, plan->root);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static kd_status member_text(kd_ctx *ctx, kd_buffer *out, const char *label, kd_slice text)
{
    KD_TRY(kd_buffer_append_format(ctx, out, ", \"%s\": ", label));
    return kd_json_append_string(ctx, text, out);
}

static kd_status json_table(kd_ctx *ctx, explaining *e, const kd_table_entry *table, kd_slice alias)
{
    KD_TRY(member_text(ctx, e->out, "Relation Name", table->object.name));
    return member_text(ctx, e->out, "Alias", alias.size_bytes > 0 ? alias : table->object.name);
}

static kd_status json_subject(kd_ctx *ctx, explaining *e, const kd_plan *plan)
{
    static const char *const join_types[] = {
        [KD_JOIN_INNER] = "Inner",
        [KD_JOIN_LEFT] = "Left",
        [KD_JOIN_RIGHT] = "Right",
        [KD_JOIN_FULL] = "Full",
        [KD_JOIN_SEMI] = "Semi",
        [KD_JOIN_ANTI] = "Anti",
        [KD_JOIN_ANTI_NULL] = "Anti Null",
        [KD_JOIN_MARK] = "Mark",
        [KD_JOIN_SINGLE] = "Single",
        [KD_JOIN_RIGHT_SEMI] = "Right Semi",
        [KD_JOIN_RIGHT_ANTI] = "Right Anti",
    };
    switch (plan->kind) {
    case KD_PLAN_SCAN:
        return json_table(ctx, e, plan->as.scan.table, plan->as.scan.alias);
    case KD_PLAN_INDEX_SCAN:
        if (plan->as.index_scan.index != NULL)
            KD_TRY(member_text(ctx, e->out, "Index Name", plan->as.index_scan.index->object.name));
        return json_table(ctx, e, plan->as.index_scan.table, plan->as.index_scan.alias);
    case KD_PLAN_HASH_JOIN:
    case KD_PLAN_NESTED_LOOP:
        return member_text(ctx, e->out, "Join Type", kd_slice_of(join_types[plan->as.join.kind]));
    case KD_PLAN_APPLY:
        return member_text(ctx, e->out, "Join Type", kd_slice_of(join_types[plan->as.apply.kind]));
    default:
        return KD_OK;
    }
}

static kd_status json_figures(kd_ctx *ctx, explaining *e, const kd_plan *plan)
{
    KD_TRY(kd_buffer_append_format(ctx, e->out, ", \"Plan Rows\": %.0f", plan->row_estimate));
    if (e->actual == NULL)
        return KD_OK;
    const kd_plan_actual *actual = &e->actual[plan->no];
    return kd_buffer_append_format(
        ctx, e->out,
        ", \"Actual Rows\": %llu, \"Actual Total Time\": %.3f, \"Actual Batches\": %llu, "
        "\"Read Bytes\": %llu, \"Memory Bytes\": %llu, \"Spilled Bytes\": %llu",
        (unsigned long long)actual->rows, (double)actual->time_ns / 1e6,
        (unsigned long long)actual->batches, (unsigned long long)actual->read_bytes,
        (unsigned long long)actual->memory_bytes, (unsigned long long)actual->spilled_bytes);
}

static const char *json_node_type(const kd_plan *plan)
{
    switch (plan->kind) {
    case KD_PLAN_HASH_JOIN:
        return "Hash Join";
    case KD_PLAN_NESTED_LOOP:
        return "Nested Loop";
    default:
        return plan_name(plan);
    }
}

static kd_status json_plan(kd_ctx *ctx, explaining *e, uint32_t depth, const kd_plan *plan)
{
    bool first = true;
    if (depth > KDI_PLAN_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
    KD_TRY(kd_buffer_append_format(ctx, e->out, "{\"Node Type\": \"%s\"", json_node_type(plan)));
    KD_TRY(json_subject(ctx, e, plan));
    KD_TRY(json_figures(ctx, e, plan));
    KD_TRY(details(ctx, e, 0, plan));
    for (uint32_t i = 0; i < plan->more_count + 2; i++) {
        const kd_plan *input =
            i < plan->more_count ? plan->more[i] : plan->inputs[i - plan->more_count];
        if (input == NULL)
            continue;
        KD_TRY(kd_buffer_append_text(ctx, e->out, first ? ", \"Plans\": [" : ", "));
        first = false;
        KD_TRY(json_plan(ctx, e, depth + 1, input));
    }
    return kd_buffer_append_text(ctx, e->out, first ? "}" : "]}");
}

/* As in PostgreSQL a statement that writes is a node above those that find its rows. */
static kd_status json_root(kd_ctx *ctx, explaining *e, const kd_statement_plan *plan)
{
    const kd_bound_statement *bound = plan->bound;
    if (bound->kind == KD_DML_SELECT)
        return json_plan(ctx, e, 0, plan->root);
    KD_TRY(kd_buffer_append_format(ctx, e->out,
                                   "{\"Node Type\": \"ModifyTable\", \"Operation\": \"%s\"",
                                   change_names[bound->kind]));
    KD_TRY(json_table(ctx, e, bound->target, KD_SLICE("")));
    if (plan->root == NULL)
        return kd_buffer_append_byte(ctx, e->out, '}');
    KD_TRY(kd_buffer_append_text(ctx, e->out, ", \"Plans\": ["));
    KD_TRY(json_plan(ctx, e, 1, plan->root));
    return kd_buffer_append_text(ctx, e->out, "]}");
}

kd_status kd_plan_explain_json(kd_ctx *ctx, kd_arena *arena, const kd_statement_plan *plan,
                               const kd_plan_actual *actual, kd_buffer *out)
{
    explaining e = {.out = out,
                    .text = kd_buffer_in(arena),
                    .is_json = true,
                    .actual = actual,
                    .statement = plan};
    KD_TRY(kd_buffer_append_text(ctx, out, "\"Plan\": "));
    KD_TRY(json_root(ctx, &e, plan));
    bool first = true;
    for (uint32_t i = 0; i < plan->cte_count; i++) {
        if (plan->ctes[i] == NULL)
            continue;
        KD_TRY(kd_buffer_append_format(
            ctx, out, "%s{\"CTE\": %u, \"Plan\": ", first ? ", \"CTEs\": [" : ", ", i));
        first = false;
        KD_TRY(json_plan(ctx, &e, 0, plan->ctes[i]));
        KD_TRY(kd_buffer_append_byte(ctx, out, '}'));
    }
    return first ? KD_OK : kd_buffer_append_byte(ctx, out, ']');
}
