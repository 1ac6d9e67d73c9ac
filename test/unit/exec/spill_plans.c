/*
 * Building them.
 */
#include "spill_plans.h"

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static kd_plan *source_of(kit *k, uint64_t rows, uint64_t modulus, uint64_t salt)
{
    kit_column columns[3] = {
        {.type = {.id = KD_TYPE_INT8, .modifier = -1},
         .modulus = modulus,
         .salt = salt,
         .null_every = 40},
        {.type = {.id = KD_TYPE_TEXT, .modifier = -1}, .modulus = 3000, .salt = 4, .is_long = true},
        {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .sequential = true}};
    return kit_source(k, columns, 3, rows);
}

static kd_plan *columns_of(kit *k, kd_plan *input, uint32_t first, uint32_t second)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_PROJECT, input, NULL);
    plan->as.project.exprs = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 2);
    plan->as.project.exprs[0] = kit_ref(k, input, first);
    plan->as.project.exprs[1] = kit_ref(k, input, second);
    kit_add_column(k, plan, plan->as.project.exprs[0]->type, NULL);
    kit_add_column(k, plan, plan->as.project.exprs[1]->type, NULL);
    return plan;
}

static kd_plan *set_of(kit *k, uint64_t rows, kd_set_kind kind, bool all)
{
    kd_plan *left = columns_of(k, source_of(k, rows, rows * 2 / 3, 3), 0, 1);
    kd_plan *right = columns_of(k, source_of(k, rows, rows, 3), 0, 1);
    kd_plan *plan = kit_plan(k, KD_PLAN_SET_OP, left, right);
    kit_take_columns(k, plan, false);
    plan->as.set.kind = kind;
    plan->as.set.all = all;
    return plan;
}

static kd_plan *sorted(kit *k, kd_plan *input, uint32_t first, uint32_t second)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_SORT, input, NULL);
    kit_take_columns(k, plan, false);
    kd_sort_key *keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_sort_key, 2);
    keys[0] = (kd_sort_key){.expr = kit_ref(k, input, first), .nulls_first = true};
    keys[1] = (kd_sort_key){.expr = kit_ref(k, input, second), .descending = true};
    plan->as.sort.keys = keys;
    plan->as.sort.key_count = 2;
    return plan;
}

static kd_plan *top_of(kit *k, uint64_t rows, bool with_ties)
{
    kd_plan *plan = sorted(k, source_of(k, rows, 50, 3), 1, with_ties ? 0 : 2);
    plan->kind = KD_PLAN_TOP_N;
    plan->as.sort.count = kit_i64(k, (int64_t)rows / 2);
    plan->as.sort.offset = kit_i64(k, 777);
    plan->as.sort.with_ties = with_ties;
    return with_ties ? columns_of(k, plan, 0, 1) : plan;
}

static kd_plan *distinct_on(kit *k, kd_plan *input, uint32_t column)
{
    kd_plan *plan = kit_plan(k, KD_PLAN_DISTINCT, input, NULL);
    kit_take_columns(k, plan, false);
    plan->as.distinct.on_count = 1;
    plan->as.distinct.on = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.distinct.on[0] = kit_ref(k, input, column);
    return plan;
}

static kd_window_call call_of(kit *k, const char *name, kd_expr *argument)
{
    kd_window_call call = {.type = argument == NULL ? int8_type() : argument->type,
                           .start = KD_BOUND_UNBOUNDED_PRECEDING,
                           .end = KD_BOUND_CURRENT,
                           .mode = KD_FRAME_ROWS};
    if (argument != NULL) {
        call.argument_count = 1;
        call.arguments = KD_NEW(&k->ctx, k->arena, kd_expr *);
        call.arguments[0] = argument;
    }
    if (name != NULL)
        call.name = kd_slice_of(name);
    return call;
}

/* Every kind of call; `column` gives the partitions, -1: one of all rows. */
static kd_plan *window_of(kit *k, uint64_t rows, int column)
{
    kd_plan *source = source_of(k, rows, 300, 3);
    kd_plan *plan = kit_plan(k, KD_PLAN_WINDOW, source, NULL);
    kd_window_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_window_call, 9);
    kit_take_columns(k, plan, false);
    calls[0] = call_of(k, "row_number", NULL);
    calls[1] = call_of(k, "rank", NULL);
    calls[2] = call_of(k, "dense_rank", NULL);
    kd_aggregate_call sum = kit_aggregate(k, "sum", kit_ref(k, source, 2));
    for (int i = 3; i < 6; i++) {
        calls[i] = call_of(k, NULL, kit_ref(k, source, 2));
        calls[i].aggregate = sum.aggregate;
    }
    calls[4].mode = KD_FRAME_RANGE;
    calls[5].start = KD_BOUND_PRECEDING;
    calls[5].start_offset = kit_i64(k, 3);
    calls[5].end = KD_BOUND_FOLLOWING;
    calls[5].end_offset = kit_i64(k, 2);
    calls[6] = call_of(k, "lag", kit_ref(k, source, 1));
    calls[7] = call_of(k, "first_value", kit_ref(k, source, 1));
    calls[8] = call_of(k, "last_value", kit_ref(k, source, 1));
    calls[8].mode = KD_FRAME_GROUPS;
    calls[8].end = KD_BOUND_UNBOUNDED_FOLLOWING;
    for (int i = 0; i < 9; i++)
        kit_add_column(k, plan, calls[i].type, &calls[i].output);
    plan->as.window.call_count = 9;
    plan->as.window.calls = calls;
    if (column >= 0) {
        plan->as.window.partition_count = 1;
        plan->as.window.partition_by = KD_NEW(&k->ctx, k->arena, kd_expr *);
        plan->as.window.partition_by[0] = kit_ref(k, source, (uint32_t)column);
    }
    kd_sort_key *order = KD_NEW_ARRAY(&k->ctx, k->arena, kd_sort_key, 2);
    order[0] = (kd_sort_key){.expr = kit_ref(k, source, 0)};
    order[1] = (kd_sort_key){.expr = kit_ref(k, source, 2)};
    plan->as.window.order_count = 2;
    plan->as.window.order_by = order;
    return plan;
}

static kd_sort_key *order_of(kit *k, kd_expr *expr, bool descending)
{
    kd_sort_key *order = KD_NEW(&k->ctx, k->arena, kd_sort_key);
    *order = (kd_sort_key){.expr = expr, .descending = descending};
    return order;
}

/* DISTINCT and ORDER BY inside calls; `group` -1: one group of all rows. */
static kd_plan *distinct_calls(kit *k, uint64_t rows, int group, uint64_t modulus)
{
    kd_plan *source = source_of(k, rows, modulus, 3);
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, source, NULL);
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 4);
    plan->as.aggregate.calls = calls;
    plan->as.aggregate.call_count = group < 0 ? 3 : 4;
    calls[0] = kit_aggregate(k, "sum", kit_ref(k, source, 0));
    calls[0].distinct = true;
    calls[1] = kit_aggregate(k, "count", kit_ref(k, source, 1));
    calls[1].distinct = true;
    calls[2] = kit_aggregate(k, "sum", kit_ref(k, source, 2));
    if (group >= 0) {
        calls[3] = kit_aggregate(k, "chain", kit_ref(k, source, 1));
        calls[3].order_count = 1;
        calls[3].order = order_of(k, kit_ref(k, source, 2), true);
        plan->as.aggregate.key_count = 1;
        plan->as.aggregate.keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
        plan->as.aggregate.keys[0] = kit_ref(k, source, (uint32_t)group);
        kit_add_column(k, plan, plan->as.aggregate.keys[0]->type, NULL);
    }
    for (int i = 0; i < (group < 0 ? 3 : 4); i++)
        kit_add_column(k, plan, int8_type(), NULL);
    return plan;
}

/* DISTINCT and ORDER BY in one call, over few values and over many. */
static kd_plan *ordered_distinct(kit *k, uint64_t rows)
{
    kd_plan *source = source_of(k, rows, rows / 2, 3);
    kd_plan *upper = kit_plan(k, KD_PLAN_FILTER, source, NULL);
    kit_take_columns(k, upper, false);
    upper->as.filter.condition = kit_call(k, "<", kit_ref(k, source, 2), kit_i64(k, (int64_t)rows));
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, upper, NULL);
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 1);
    calls[0] = kit_aggregate(k, "chain", kit_ref(k, upper, 1));
    calls[0].distinct = true;
    calls[0].order_count = 1;
    calls[0].order = order_of(k, kit_ref(k, upper, 1), true);
    plan->as.aggregate.calls = calls;
    plan->as.aggregate.call_count = 1;
    plan->as.aggregate.key_count = 1;
    plan->as.aggregate.keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.aggregate.keys[0] = kit_call(k, "%", kit_ref(k, upper, 0), kit_i64(k, 5));
    kit_add_column(k, plan, int8_type(), NULL);
    kit_add_column(k, plan, int8_type(), NULL);
    return plan;
}

static kd_plan *cte_twice(kit *k, uint64_t rows)
{
    kd_plan *first = kit_cte(k, source_of(k, rows, rows, 3));
    kd_plan *again = kit_plan(k, KD_PLAN_CTE_SCAN, NULL, NULL);
    again->as.cte = first->as.cte;
    for (uint32_t c = 0; c < first->column_count; c++)
        kit_add_column(k, again, first->columns[c].type, NULL);
    kd_plan *plan = kit_plan(k, KD_PLAN_UNION_ALL, NULL, NULL);
    plan->more_count = 2;
    plan->more = KD_NEW_ARRAY(&k->ctx, k->arena, kd_plan *, 2);
    plan->more[0] = first;
    plan->more[1] = again;
    for (uint32_t c = 0; c < first->column_count; c++)
        kit_add_column(k, plan, first->columns[c].type, NULL);
    return plan;
}

static kd_plan *loop_of(kit *k, uint64_t rows, uint64_t left_rows, kd_join_kind kind)
{
    kd_plan *left = source_of(k, left_rows, 500, 9);
    kd_plan *right = source_of(k, rows, 500, 3);
    kd_plan *plan = kit_plan(k, KD_PLAN_NESTED_LOOP, left, right);
    kit_take_columns(k, plan, kind == KD_JOIN_FULL || kind == KD_JOIN_LEFT);
    plan->as.join.kind = kind;
    plan->as.join.residual = kit_call(k, "=", kit_ref(k, left, 0), kit_ref(k, right, 2));
    return plan;
}

/* For each of a few left rows, many right rows; the same ones for some. */
static kd_plan *apply_of(kit *k, uint64_t rows)
{
    kd_plan *left = source_of(k, 9, 4, 9);
    kd_plan *right = source_of(k, rows, 300, 3);
    kd_plan *filter = kit_plan(k, KD_PLAN_FILTER, right, NULL);
    kit_take_columns(k, filter, false);
    filter->as.filter.condition = kit_call(k, ">", kit_ref(k, right, 2), kit_ref(k, left, 0));
    kd_plan *plan = kit_plan(k, KD_PLAN_APPLY, left, filter);
    kit_take_columns(k, plan, true);
    plan->as.apply.kind = KD_JOIN_LEFT;
    plan->as.apply.outer_count = 1;
    kd_column_id *outer = KD_NEW(&k->ctx, k->arena, kd_column_id);
    *outer = left->columns[0].id;
    plan->as.apply.outer_ids = outer;
    return plan;
}

/* n, text -> (n + 1) % rows, text until all have been seen, from many starts. */
static kd_plan *recursion_of(kit *k, uint64_t rows)
{
    kd_plan *start = columns_of(k, source_of(k, rows / 2, 1000000000, 3), 2, 1);
    kd_plan *working = kit_plan(k, KD_PLAN_WORKING_SCAN, NULL, NULL);
    kit_add_column(k, working, int8_type(), NULL);
    kit_add_column(k, working, kd_type_of(KD_TYPE_TEXT), NULL);
    kd_plan *step = kit_plan(k, KD_PLAN_PROJECT, working, NULL);
    step->as.project.exprs = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 2);
    step->as.project.exprs[0] =
        kit_call(k, "%", kit_call(k, "+", kit_ref(k, working, 0), kit_i64(k, (int64_t)rows / 8)),
                 kit_i64(k, (int64_t)rows));
    step->as.project.exprs[1] = kit_ref(k, working, 1);
    kit_add_column(k, step, int8_type(), NULL);
    kit_add_column(k, step, kd_type_of(KD_TYPE_TEXT), NULL);
    kd_plan *plan = kit_plan(k, KD_PLAN_RECURSIVE, start, step);
    kit_add_column(k, plan, int8_type(), NULL);
    kit_add_column(k, plan, kd_type_of(KD_TYPE_TEXT), NULL);
    return plan;
}

static const char *const names[SPILL_PLANS] = {"intersect",
                                               "intersect all",
                                               "except",
                                               "except all",
                                               "distinct on",
                                               "distinct on order",
                                               "window parts",
                                               "window one part",
                                               "distinct calls",
                                               "calls of groups",
                                               "calls of few",
                                               "ordered distinct",
                                               "cte twice",
                                               "full loop",
                                               "semi loop",
                                               "anti loop",
                                               "apply",
                                               "recursion",
                                               "top many",
                                               "top with ties",
                                               "distinct on sorted",
                                               "sort",
                                               "window many parts"};

kd_plan *spill_plan(kit *k, int which, uint64_t rows, const char **out_name, bool *out_in_order)
{
    *out_name = names[which];
    *out_in_order = which == 5 || which == 18 || which == 20 || which == 21;
    switch (which) {
    case 0:
    case 1:
        return set_of(k, rows, KD_SET_INTERSECT, which == 1);
    case 2:
    case 3:
        return set_of(k, rows, KD_SET_EXCEPT, which == 3);
    case 4:
        return distinct_on(k, source_of(k, rows, rows / 2, 3), 0);
    case 5:
        return distinct_on(k, sorted(k, source_of(k, rows, rows / 2, 3), 2, 1), 0);
    case 6:
        return window_of(k, rows, 0);
    case 7:
        return window_of(k, rows, -1);
    case 8:
        return distinct_calls(k, rows, -1, rows);
    case 9:
        return distinct_calls(k, rows, 0, rows / 2);
    case 10:
        return distinct_calls(k, rows, 0, 20);
    case 11:
        return ordered_distinct(k, rows);
    case 12:
        return cte_twice(k, rows);
    case 13:
        return loop_of(k, rows, 60, KD_JOIN_FULL);
    case 14:
        return loop_of(k, rows, 60, KD_JOIN_SEMI);
    case 15:
        return loop_of(k, rows, 60, KD_JOIN_ANTI);
    case 16:
        return apply_of(k, rows);
    case 17:
        return recursion_of(k, rows);
    case 18:
    case 19:
        return top_of(k, rows, which == 19);
    case 20:
        return distinct_on(k, sorted(k, source_of(k, rows, 500, 3), 0, 2), 0);
    case 21:
        return sorted(k, source_of(k, rows, rows, 3), 1, 2);
    default:
        return window_of(k, rows, 2);
    }
}
