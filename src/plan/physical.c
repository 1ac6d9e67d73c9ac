/*
 * Bound operators to physical ones, each with the columns that are needed of it.
 *
 * A physical operator may give columns besides those asked for; whoever works by
 * position (set operations, DISTINCT, recursion, the root) asks kdi_exact for a
 * certain list.
 */
#include "plan/plan_internal.h"

kd_plan *kdi_make_plan(kd_ctx *ctx, kdi_planner *p, kd_plan_kind kind, double rows,
                       uint32_t column_count)
{
    kd_plan *plan = KD_NEW(ctx, p->arena, kd_plan);
    if (plan == NULL)
        return NULL;
    plan->kind = kind;
    plan->no = ++p->last_no;
    plan->row_estimate = rows;
    plan->column_count = column_count;
    plan->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, column_count);
    return plan->columns == NULL ? NULL : plan;
}

static kd_plan *plan_over(kd_ctx *ctx, kdi_planner *p, kd_plan_kind kind, double rows,
                          kd_plan *input)
{
    kd_plan *plan = kdi_make_plan(ctx, p, kind, rows, 0);
    if (plan == NULL)
        return NULL;
    plan->columns = input->columns;
    plan->column_count = input->column_count;
    plan->inputs[0] = input;
    return plan;
}

kd_status kdi_plan_columns(kd_ctx *ctx, kdi_planner *p, const kd_rel_column *from, uint32_t count,
                           const kd_id_set *needed, kd_plan *plan)
{
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, count);
    if (columns == NULL)
        return KD_NOMEM;
    plan->column_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (needed == NULL || kd_id_set_has(needed, from[i].id))
            columns[plan->column_count++] = from[i];
    plan->columns = columns;
    return KD_OK;
}

/* Adds a projection unless the plan gives exactly these columns. */
kd_status kdi_exact_columns(kd_ctx *ctx, kdi_planner *p, const kd_rel_column *columns,
                            uint32_t count, kd_plan **io_plan)
{
    kd_plan *input = *io_plan;
    bool same = input->column_count == count;
    for (uint32_t i = 0; same && i < count; i++)
        same = input->columns[i].id == columns[i].id;
    if (same)
        return KD_OK;
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_PROJECT, input->row_estimate, 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, columns, count, NULL, plan));
    plan->inputs[0] = input;
    plan->as.project.exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, count);
    if (plan->as.project.exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        plan->as.project.exprs[i] = kdi_make_column(ctx, p, columns[i].id, columns[i].type);
        if (plan->as.project.exprs[i] == NULL)
            return KD_NOMEM;
    }
    *io_plan = plan;
    return KD_OK;
}

kd_status kdi_exact(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, kd_plan **out)
{
    kd_id_set all = kdi_set(p);
    KD_TRY(kd_rel_column_set(ctx, rel, &all));
    KD_TRY(kdi_physical(ctx, p, rel, &all, out));
    return kdi_exact_columns(ctx, p, rel->columns, rel->column_count, out);
}

/* Needed of the inputs: what is needed of the operator, and its own expressions' columns. */
static kd_status add_used(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return kd_expr_columns(ctx, *slot, object);
}

static kd_status needed_below(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                              kd_id_set *out)
{
    *out = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, out, needed));
    return kd_rel_visit_exprs(ctx, rel, add_used, out);
}

/* --- Leaves --- */

static kd_status plan_values(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                             kd_plan **out)
{
    uint32_t rows = rel->as.values.row_count;
    kd_plan *plan = kdi_make_plan(ctx, p, rows == 0 ? KD_PLAN_EMPTY : KD_PLAN_VALUES, rows, 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, needed, plan));
    *out = plan;
    if (rows == 0)
        return KD_OK;
    plan->as.values.row_count = rows;
    plan->as.values.rows = KD_NEW_ARRAY(ctx, p->arena, kd_expr **, rows);
    if (plan->as.values.rows == NULL)
        return KD_NOMEM;
    for (uint32_t r = 0; r < rows; r++) {
        kd_expr **row = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, plan->column_count);
        if (row == NULL)
            return KD_NOMEM;
        uint32_t at = 0;
        for (uint32_t c = 0; c < rel->column_count; c++)
            if (kd_id_set_has(needed, rel->columns[c].id))
                row[at++] = rel->as.values.rows[r][c];
        plan->as.values.rows[r] = row;
    }
    return KD_OK;
}

static kd_status plan_leaf(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, kd_plan_kind kind,
                           kd_plan **out)
{
    kd_plan *plan = kdi_make_plan(ctx, p, kind, kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, NULL, plan));
    *out = plan;
    switch (kind) {
    case KD_PLAN_FUNCTION:
        plan->as.function.function = rel->as.function.function;
        plan->as.function.argument_count = rel->as.function.argument_count;
        plan->as.function.arguments = rel->as.function.arguments;
        plan->as.function.with_ordinality = rel->as.function.with_ordinality;
        return KD_OK;
    case KD_PLAN_VIRTUAL:
        plan->as.virtual_table.table = rel->as.virtual_table.table;
        return KD_OK;
    default:
        plan->as.working.working_no = rel->as.working.working_no;
        return KD_OK;
    }
}

static kd_status cte_number(kd_ctx *ctx, kdi_planner *p, kd_cte *cte, uint32_t *out_no)
{
    for (size_t i = 0; i < p->cte_count; i++)
        if (p->cte_of[i] == cte) {
            *out_no = (uint32_t)i;
            return KD_OK;
        }
    kd_plan *plan = NULL;
    kd_rel *query = cte->query;
    kd_id_set all = kdi_set(p);
    KD_TRY(kdi_optimize(ctx, p, &query));
    KD_TRY(kd_rel_column_set(ctx, cte->query, &all));
    KD_TRY(kdi_physical(ctx, p, query, &all, &plan));
    KD_TRY(kdi_exact_columns(ctx, p, cte->query->columns, cte->query->column_count, &plan));
    kd_plan **slot;
    kd_cte **of;
    KD_TRY(KD_PUSH(ctx, p->arena, p->cte_of, p->cte_of_count, p->cte_of_capacity, &of));
    KD_TRY(KD_PUSH(ctx, p->arena, p->ctes, p->cte_count, p->cte_capacity, &slot));
    *slot = plan;
    *of = cte;
    *out_no = (uint32_t)p->cte_count - 1;
    return KD_OK;
}

static kd_status plan_cte(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                          kd_plan **out)
{
    kd_cte *cte = rel->as.cte.cte;
    uint32_t no = 0;
    bool is_given = kdi_is_modifying(p->bound, cte, &no);
    if (!is_given)
        KD_TRY(cte_number(ctx, p, cte, &no));
    kd_plan *plan =
        kdi_make_plan(ctx, p, is_given ? KD_PLAN_GIVEN : KD_PLAN_CTE_SCAN, kdi_estimate(p, rel), 0);
    uint32_t *positions = KD_NEW_ARRAY(ctx, p->arena, uint32_t, rel->column_count);
    if (plan == NULL || positions == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, needed, plan));
    uint32_t at = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (!kd_id_set_has(needed, rel->columns[i].id))
            continue;
        uint32_t source = 0;
        while (source < cte->query->column_count &&
               cte->query->columns[source].id != rel->as.cte.source_ids[i])
            source++;
        positions[at++] = source;
    }
    plan->as.cte.cte_no = no;
    plan->as.cte.source_positions = positions;
    *out = plan;
    return KD_OK;
}

/* --- One input --- */

static kd_status plan_filter(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                             kd_plan **out)
{
    kdi_conditions conditions = {0};
    if (rel->inputs[0]->kind == KD_REL_SCAN && !kd_expr_is_volatile(rel->as.filter.condition)) {
        KD_TRY(kdi_conditions_add(ctx, p, &conditions, rel->as.filter.condition));
        return kdi_plan_access(ctx, p, rel->inputs[0], &conditions, needed, out);
    }
    kd_id_set below;
    kd_plan *input;
    KD_TRY(needed_below(ctx, p, rel, needed, &below));
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    *out = plan_over(ctx, p, KD_PLAN_FILTER, kdi_estimate(p, rel), input);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->as.filter.condition = rel->as.filter.condition;
    return KD_OK;
}

static kd_status plan_project(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                              kd_plan **out)
{
    kd_id_set below = kdi_set(p);
    bool identity = true;
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_PROJECT, 0, 0);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, rel->column_count);
    if (plan == NULL || exprs == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, needed, plan));
    uint32_t at = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        kd_expr *expr = rel->as.project.exprs[i];
        if (!kd_id_set_has(needed, rel->columns[i].id))
            continue;
        exprs[at++] = expr;
        identity &= expr->kind == KD_EXPR_COLUMN && expr->column == rel->columns[i].id;
        KD_TRY(kd_expr_columns(ctx, expr, &below));
    }
    kd_plan *input;
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    if (identity) {
        *out = input;
        return KD_OK;
    }
    kd_expr ***slots = KD_NEW_ARRAY(ctx, p->arena, kd_expr **, at);
    if (slots == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < at; i++)
        slots[i] = &exprs[i];
    KD_TRY(kdi_scan_paths(ctx, p, input, slots, at));
    plan->inputs[0] = input;
    plan->row_estimate = input->row_estimate;
    plan->as.project.exprs = exprs;
    *out = plan;
    return KD_OK;
}

/* Copies of what the node shares with the bound tree, with paths as columns of the scan below. */
static kd_status aggregate_paths(kd_ctx *ctx, kdi_planner *p, kd_aggregate_call *calls,
                                 kd_plan *plan)
{
    struct {
        kd_expr ***items;
        size_t count, capacity;
    } slots = {0};
    kd_expr ***slot;
    uint32_t keys = plan->as.aggregate.key_count;
    kd_expr **copies = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, keys);
    if (copies == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < keys; i++) {
        copies[i] = plan->as.aggregate.keys[i];
        KD_TRY(KD_PUSH(ctx, p->arena, slots.items, slots.count, slots.capacity, &slot));
        *slot = &copies[i];
    }
    plan->as.aggregate.keys = copies;
    for (uint32_t c = 0; c < plan->as.aggregate.call_count; c++) {
        kd_aggregate_call *call = &calls[c];
        kd_expr **arguments = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, call->argument_count);
        kd_sort_key *order = KD_NEW_ARRAY(ctx, p->arena, kd_sort_key, call->order_count);
        if (arguments == NULL || order == NULL)
            return KD_NOMEM;
        for (uint32_t i = 0; i < call->argument_count; i++) {
            arguments[i] = call->arguments[i];
            KD_TRY(KD_PUSH(ctx, p->arena, slots.items, slots.count, slots.capacity, &slot));
            *slot = &arguments[i];
        }
        for (uint32_t i = 0; i < call->order_count; i++) {
            order[i] = call->order[i];
            KD_TRY(KD_PUSH(ctx, p->arena, slots.items, slots.count, slots.capacity, &slot));
            *slot = &order[i].expr;
        }
        call->arguments = arguments;
        call->order = order;
        KD_TRY(KD_PUSH(ctx, p->arena, slots.items, slots.count, slots.capacity, &slot));
        *slot = &call->filter;
    }
    return kdi_scan_paths(ctx, p, plan->inputs[0], slots.items, slots.count);
}

/* One group, of which nothing is asked: a row, whatever the input. */
static bool is_bare_group(const kd_rel *rel, const kd_id_set *needed)
{
    for (uint32_t i = 0; i < rel->as.aggregate.call_count; i++)
        if (kd_id_set_has(needed, rel->as.aggregate.calls[i].output))
            return false;
    return rel->as.aggregate.key_count == 0 && rel->as.aggregate.set_count == 0 &&
           rel->as.aggregate.grouping_id == 0 && !kd_rel_is_volatile(rel->inputs[0]);
}

static kd_status plan_aggregate(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                                kd_plan **out)
{
    kd_rel one_row = {.kind = KD_REL_VALUES, .as.values.row_count = 1};
    if (is_bare_group(rel, needed))
        return plan_values(ctx, p, &one_row, needed, out);
    uint32_t keys = rel->as.aggregate.key_count, calls = 0;
    kd_aggregate_call *kept =
        KD_NEW_ARRAY(ctx, p->arena, kd_aggregate_call, rel->as.aggregate.call_count);
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_AGGREGATE, kdi_estimate(p, rel),
                                  keys + rel->as.aggregate.call_count + 1);
    if (kept == NULL || plan == NULL)
        return KD_NOMEM;
    kd_rel_column *columns = (kd_rel_column *)(uintptr_t)plan->columns;
    for (uint32_t i = 0; i < keys; i++)
        columns[i] = (kd_rel_column){.id = rel->as.aggregate.key_ids[i],
                                     .type = rel->as.aggregate.keys[i]->type};
    for (uint32_t i = 0; i < rel->as.aggregate.call_count; i++) {
        const kd_aggregate_call *call = &rel->as.aggregate.calls[i];
        if (!kd_id_set_has(needed, call->output))
            continue;
        columns[keys + calls] = (kd_rel_column){.id = call->output, .type = call->type};
        kept[calls++] = *call;
    }
    plan->column_count = keys + calls;
    if (rel->as.aggregate.grouping_id != 0)
        columns[plan->column_count++] =
            (kd_rel_column){.id = rel->as.aggregate.grouping_id, .type = kd_type_of(KD_TYPE_INT8)};
    kd_rel pruned = *rel;
    pruned.as.aggregate.calls = kept;
    pruned.as.aggregate.call_count = calls;
    kd_id_set below = kdi_set(p);
    KD_TRY(kd_rel_visit_exprs(ctx, &pruned, add_used, &below));
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &plan->inputs[0]));
    plan->as.aggregate.key_count = keys;
    plan->as.aggregate.keys = rel->as.aggregate.keys;
    plan->as.aggregate.call_count = calls;
    plan->as.aggregate.calls = kept;
    plan->as.aggregate.set_count = rel->as.aggregate.set_count;
    plan->as.aggregate.sets = rel->as.aggregate.sets;
    plan->as.aggregate.grouping_id = rel->as.aggregate.grouping_id;
    *out = plan;
    return plan->inputs[0]->kind == KD_PLAN_SCAN ? aggregate_paths(ctx, p, kept, plan) : KD_OK;
}

static kd_status plan_window(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                             kd_plan **out)
{
    kd_id_set below;
    kd_plan *input;
    KD_TRY(needed_below(ctx, p, rel, needed, &below));
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    uint32_t calls = rel->as.window.call_count;
    kd_plan *plan =
        kdi_make_plan(ctx, p, KD_PLAN_WINDOW, input->row_estimate, input->column_count + calls);
    if (plan == NULL)
        return KD_NOMEM;
    kd_rel_column *columns = (kd_rel_column *)(uintptr_t)plan->columns;
    memcpy(columns, input->columns, input->column_count * sizeof *columns);
    for (uint32_t i = 0; i < calls; i++)
        columns[input->column_count + i] = (kd_rel_column){.id = rel->as.window.calls[i].output,
                                                           .type = rel->as.window.calls[i].type};
    plan->inputs[0] = input;
    plan->as.window.partition_count = rel->as.window.partition_count;
    plan->as.window.partition_by = rel->as.window.partition_by;
    plan->as.window.order_count = rel->as.window.order_count;
    plan->as.window.order_by = rel->as.window.order_by;
    plan->as.window.call_count = calls;
    plan->as.window.calls = rel->as.window.calls;
    plan->as.window.top_count = rel->as.window.top_count;
    *out = plan;
    return KD_OK;
}

static kd_status plan_distinct(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                               kd_plan **out)
{
    kd_plan *input;
    if (rel->as.distinct.on_count == 0) {
        KD_TRY(kdi_exact(ctx, p, rel->inputs[0], &input));
    } else {
        kd_id_set below;
        KD_TRY(needed_below(ctx, p, rel, needed, &below));
        KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    }
    *out = plan_over(ctx, p, KD_PLAN_DISTINCT, kdi_estimate(p, rel), input);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->as.distinct.on_count = rel->as.distinct.on_count;
    (*out)->as.distinct.on = rel->as.distinct.on;
    return KD_OK;
}

static kd_status plan_sort(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                           kd_plan **out)
{
    kd_id_set below;
    kd_plan *input;
    KD_TRY(needed_below(ctx, p, rel, needed, &below));
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    *out = plan_over(ctx, p, KD_PLAN_SORT, input->row_estimate, input);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->as.sort.key_count = rel->as.sort.key_count;
    (*out)->as.sort.keys = rel->as.sort.keys;
    return KD_OK;
}

static bool is_bound_constant(const kd_expr *expr)
{
    return expr == NULL || expr->kind == KD_EXPR_CONSTANT;
}

/* The scan that gives a sort its rows, through filters and columns handed on; else NULL. */
static kd_rel *scan_below(kd_rel *sort)
{
    kd_rel *at = sort->inputs[0];
    for (;;) {
        if (at->kind == KD_REL_PROJECT) {
            for (uint32_t k = 0; k < sort->as.sort.key_count; k++) {
                const kd_expr *key = sort->as.sort.keys[k].expr;
                bool handed = false;
                for (uint32_t c = 0; c < at->column_count; c++)
                    handed |= key->kind == KD_EXPR_COLUMN && at->columns[c].id == key->column &&
                              at->as.project.exprs[c]->kind == KD_EXPR_COLUMN &&
                              at->as.project.exprs[c]->column == key->column;
                if (!handed)
                    return NULL;
            }
        } else if (at->kind != KD_REL_FILTER) {
            return at->kind == KD_REL_SCAN ? at : NULL;
        }
        at = at->inputs[0];
    }
}

/* LIMIT over a sort that an index can do: the sort goes. */
static kd_status limit_by_index(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                                kd_plan **out)
{
    *out = NULL;
    kd_rel *sort = rel->inputs[0];
    const kd_expr *count = rel->as.limit.count, *offset = rel->as.limit.offset;
    if (sort->kind != KD_REL_SORT || count == NULL || rel->as.limit.with_ties)
        return KD_OK;
    kd_rel *scan = scan_below(sort);
    if (scan == NULL)
        return KD_OK;
    p->order_scan = scan;
    p->order = sort->as.sort.keys;
    p->order_count = sort->as.sort.key_count;
    p->order_limit = count->kind == KD_EXPR_CONSTANT ? (double)count->constant.as.i64 : 100;
    if (offset != NULL)
        p->order_limit += offset->kind == KD_EXPR_CONSTANT ? (double)offset->constant.as.i64 : 100;
    p->order_met = false;
    kd_id_set below;
    kd_plan *input;
    KD_TRY(needed_below(ctx, p, sort, needed, &below));
    KD_TRY(kdi_physical(ctx, p, sort->inputs[0], &below, &input));
    p->order_scan = NULL;
    if (p->order_met)
        *out = input;
    return KD_OK;
}

static kd_status plan_limit(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                            kd_plan **out)
{
    kd_expr *count = rel->as.limit.count, *offset = rel->as.limit.offset;
    kd_plan *input;
    if (count != NULL && kdi_is_zero(count)) {
        *out = kdi_make_plan(ctx, p, KD_PLAN_EMPTY, 0, 0);
        return *out == NULL
                   ? KD_NOMEM
                   : kdi_plan_columns(ctx, p, rel->columns, rel->column_count, needed, *out);
    }
    KD_TRY(limit_by_index(ctx, p, rel, needed, &input));
    if (input == NULL)
        KD_TRY(kdi_physical(ctx, p, rel->inputs[0], needed, &input));
    for (kd_plan *below = input; below->kind == KD_PLAN_LOCK_ROWS; below = below->inputs[0])
        below->as.lock.one_by_one = true;
    bool top = input->kind == KD_PLAN_SORT && count != NULL;
    if (top &&
        ((is_bound_constant(count) && is_bound_constant(offset)) || rel->as.limit.with_ties)) {
        input->kind = KD_PLAN_TOP_N;
        input->as.sort.count = count;
        input->as.sort.offset = offset;
        input->as.sort.with_ties = rel->as.limit.with_ties;
        input->row_estimate = kdi_estimate(p, rel);
        *out = input;
        return KD_OK;
    }
    *out = plan_over(ctx, p, KD_PLAN_LIMIT, kdi_estimate(p, rel), input);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->as.limit.count = count;
    (*out)->as.limit.offset = offset;
    return KD_OK;
}

static kd_status plan_lock(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                           kd_plan **out)
{
    kd_id_set below = kdi_set(p);
    kd_plan *input;
    KD_TRY(kd_id_set_unite(ctx, &below, needed));
    KD_TRY(kd_id_set_add(ctx, &below, rel->as.lock.ref_column));
    KD_TRY(kdi_physical(ctx, p, rel->inputs[0], &below, &input));
    *out = plan_over(ctx, p, KD_PLAN_LOCK_ROWS, input->row_estimate, input);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->as.lock.mode = rel->as.lock.mode;
    (*out)->as.lock.wait = rel->as.lock.wait;
    (*out)->as.lock.table = rel->as.lock.table;
    (*out)->as.lock.ref_column = rel->as.lock.ref_column;
    (*out)->as.lock.recheck = rel->as.lock.recheck;
    return KD_OK;
}

/* --- Two inputs --- */

typedef struct branches {
    kd_plan **items;
    size_t count, capacity;
} branches;

/* One input of a UNION: the wanted columns, by the ids they have there. Nested UNIONs join in. */
static kd_status add_branch(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_rel_column *wanted,
                            uint32_t count, bool all, branches *list)
{
    bool joins_in =
        rel->kind == KD_REL_SET && rel->as.set.kind == KD_SET_UNION && (rel->as.set.all || !all);
    if (joins_in) {
        KD_TRY(kdi_plan_enter(ctx, p));
        for (int side = 0; side < 2; side++) {
            const kd_column_id *ids = side == 0 ? rel->as.set.left_ids : rel->as.set.right_ids;
            kd_rel_column *below = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, count);
            if (below == NULL)
                return KD_NOMEM;
            for (uint32_t i = 0; i < count; i++) {
                below[i] = wanted[i];
                for (uint32_t c = 0; c < rel->column_count; c++)
                    if (rel->columns[c].id == wanted[i].id)
                        below[i].id = ids[c];
            }
            KD_TRY(add_branch(ctx, p, rel->inputs[side], below, count, all, list));
        }
        kdi_plan_leave(p);
        return KD_OK;
    }
    kd_id_set needed = kdi_set(p);
    for (uint32_t i = 0; i < count; i++)
        KD_TRY(kd_id_set_add(ctx, &needed, wanted[i].id));
    kd_plan *plan, **slot;
    KD_TRY(kdi_physical(ctx, p, rel, &needed, &plan));
    KD_TRY(kdi_exact_columns(ctx, p, wanted, count, &plan));
    if (plan->kind == KD_PLAN_EMPTY)
        return KD_OK;
    KD_TRY(KD_PUSH(ctx, p->arena, list->items, list->count, list->capacity, &slot));
    *slot = plan;
    return KD_OK;
}

static kd_status plan_union(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                            kd_plan **out)
{
    branches list = {0};
    bool all = rel->as.set.all;
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_UNION_ALL, kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, all ? needed : NULL, plan));
    KD_TRY(add_branch(ctx, p, rel, plan->columns, plan->column_count, all, &list));
    plan->more = list.items;
    plan->more_count = (uint32_t)list.count;
    if (list.count == 0)
        plan->kind = KD_PLAN_EMPTY;
    *out = plan;
    if (all || list.count == 0)
        return KD_OK;
    *out = plan_over(ctx, p, KD_PLAN_DISTINCT, plan->row_estimate * 0.5, plan);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

static kd_status plan_set(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                          kd_plan **out)
{
    if (rel->as.set.kind == KD_SET_UNION)
        return plan_union(ctx, p, rel, needed, out);
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_SET_OP, kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, NULL, plan));
    kd_rel_column *sides = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, rel->column_count);
    if (sides == NULL)
        return KD_NOMEM;
    for (int side = 0; side < 2; side++) {
        const kd_column_id *ids = side == 0 ? rel->as.set.left_ids : rel->as.set.right_ids;
        kd_id_set below = kdi_set(p);
        for (uint32_t i = 0; i < rel->column_count; i++) {
            sides[i] = rel->columns[i];
            sides[i].id = ids[i];
            KD_TRY(kd_id_set_add(ctx, &below, ids[i]));
        }
        KD_TRY(kdi_physical(ctx, p, rel->inputs[side], &below, &plan->inputs[side]));
        KD_TRY(kdi_exact_columns(ctx, p, sides, rel->column_count, &plan->inputs[side]));
    }
    plan->as.set.kind = rel->as.set.kind;
    plan->as.set.all = rel->as.set.all;
    *out = plan;
    return KD_OK;
}

static kd_status plan_recursive(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, kd_plan **out)
{
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_RECURSIVE, kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_plan_columns(ctx, p, rel->columns, rel->column_count, NULL, plan));
    for (int side = 0; side < 2; side++)
        KD_TRY(kdi_exact(ctx, p, rel->inputs[side], &plan->inputs[side]));
    plan->as.recursive.all = rel->as.recursive.all;
    plan->as.recursive.working_no = rel->as.recursive.working_no;
    if (rel->as.recursive.working_no > p->working_count)
        p->working_count = rel->as.recursive.working_no;
    *out = plan;
    return KD_OK;
}

/* --- All --- */

static kd_status plan_any(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                          kd_plan **out)
{
    kdi_conditions none = {0};
    switch (rel->kind) {
    case KD_REL_SCAN:
        return kdi_plan_access(ctx, p, rel, &none, needed, out);
    case KD_REL_FUNCTION:
        return plan_leaf(ctx, p, rel, KD_PLAN_FUNCTION, out);
    case KD_REL_VIRTUAL:
        return plan_leaf(ctx, p, rel, KD_PLAN_VIRTUAL, out);
    case KD_REL_WORKING:
        return plan_leaf(ctx, p, rel, KD_PLAN_WORKING_SCAN, out);
    case KD_REL_VALUES:
        return plan_values(ctx, p, rel, needed, out);
    case KD_REL_FILTER:
        return plan_filter(ctx, p, rel, needed, out);
    case KD_REL_PROJECT:
        return plan_project(ctx, p, rel, needed, out);
    case KD_REL_JOIN:
        return kdi_plan_join(ctx, p, rel, needed, out);
    case KD_REL_AGGREGATE:
        return plan_aggregate(ctx, p, rel, needed, out);
    case KD_REL_WINDOW:
        return plan_window(ctx, p, rel, needed, out);
    case KD_REL_DISTINCT:
        return plan_distinct(ctx, p, rel, needed, out);
    case KD_REL_SORT:
        return plan_sort(ctx, p, rel, needed, out);
    case KD_REL_LIMIT:
        return plan_limit(ctx, p, rel, needed, out);
    case KD_REL_SET:
        return plan_set(ctx, p, rel, needed, out);
    case KD_REL_CTE:
        return plan_cte(ctx, p, rel, needed, out);
    case KD_REL_RECURSIVE:
        return plan_recursive(ctx, p, rel, out);
    case KD_REL_LOCK:
        return plan_lock(ctx, p, rel, needed, out);
    }
    return KD_FAIL(ctx, KD_INTERNAL, "XX000", "unexpected operator");
}

kd_status kdi_physical(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                       kd_plan **out)
{
    *out = NULL;
    KD_TRY(kdi_plan_enter(ctx, p));
    KD_TRY(plan_any(ctx, p, rel, needed, out));
    kdi_plan_leave(p);
    return KD_OK;
}
