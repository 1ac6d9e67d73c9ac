/*
 * Pipelines run by several threads give the rows that one thread gives; failures and cancelling
 * reach the caller.
 */
#include "plan_kit.h"

#include <string.h>

enum { ROWS = 120000 };

static kd_type int8_type(void)
{
    return kd_type_of(KD_TYPE_INT8);
}

static const kit_column columns[3] = {
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .modulus = 5000, .salt = 3, .null_every = 40},
    {.type = {.id = KD_TYPE_TEXT, .modifier = -1}, .modulus = 30, .salt = 4, .is_long = true},
    {.type = {.id = KD_TYPE_INT8, .modifier = -1}, .sequential = true}};

static kd_plan *plan_make(kit *k, int which)
{
    kd_plan *scan = kit_cte(k, kit_source(k, columns, 3, ROWS));
    if (which == 0 || which == 3) {
        kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, scan, NULL);
        kd_expr **keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_expr *, 2);
        kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 2);
        keys[0] = kit_ref(k, scan, which == 0 ? 0 : 2);
        keys[1] = kit_ref(k, scan, 1);
        calls[0] = kit_aggregate(k, "count*", NULL);
        calls[1] = kit_aggregate(k, "sum", kit_ref(k, scan, 2));
        plan->as.aggregate.key_count = 2;
        plan->as.aggregate.keys = keys;
        plan->as.aggregate.call_count = 2;
        plan->as.aggregate.calls = calls;
        kit_add_column(k, plan, int8_type(), NULL);
        kit_add_column(k, plan, kd_type_of(KD_TYPE_TEXT), NULL);
        kit_add_column(k, plan, int8_type(), NULL);
        kit_add_column(k, plan, int8_type(), NULL);
        return plan;
    }
    if (which == 1) {
        kd_plan *plan = kit_plan(k, KD_PLAN_SORT, scan, NULL);
        kit_take_columns(k, plan, false);
        kd_sort_key *keys = KD_NEW_ARRAY(&k->ctx, k->arena, kd_sort_key, 2);
        keys[0] = (kd_sort_key){.expr = kit_ref(k, scan, 1)};
        keys[1] = (kd_sort_key){.expr = kit_ref(k, scan, 2), .descending = true};
        plan->as.sort.keys = keys;
        plan->as.sort.key_count = 2;
        return plan;
    }
    kd_plan *right = kit_cte(k, kit_source(k, columns, 3, ROWS / 2));
    kd_plan *plan = kit_plan(k, KD_PLAN_HASH_JOIN, scan, right);
    kit_take_columns(k, plan, true);
    plan->as.join.kind = KD_JOIN_FULL;
    plan->as.join.key_count = 1;
    plan->as.join.left_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.right_keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.join.null_equal = KD_NEW(&k->ctx, k->arena, bool);
    plan->as.join.left_keys[0] = kit_ref(k, scan, 2);
    plan->as.join.right_keys[0] = kit_ref(k, right, 2);
    kd_plan *keep = kit_plan(k, KD_PLAN_SORT, plan, NULL);
    kit_take_columns(k, keep, false);
    kd_sort_key *keys = KD_NEW(&k->ctx, k->arena, kd_sort_key);
    keys[0] = (kd_sort_key){.expr = kit_ref(k, plan, 2)};
    keep->as.sort.keys = keys;
    keep->as.sort.key_count = 1;
    return keep;
}

TEST(threads_together_give_what_one_gives)
{
    for (int which = 0; which < 4; which++) {
        char *lines[2] = {0};
        uint64_t counts[2], hash[2] = {0};
        for (int parallel = 0; parallel < 2; parallel++) {
            kit *k = kit_open(0, parallel == 0 ? 0 : 3);
            kit_rows rows = kit_run(k, plan_make(k, which));
            kit_sort(&rows);
            counts[parallel] = rows.count;
            for (uint64_t i = 0; i < rows.count; i++)
                for (const char *at = rows.texts[i]; *at != 0; at++)
                    hash[parallel] = hash[parallel] * 31 + (unsigned char)*at;
            kit_close(k);
        }
        (void)lines;
        test_note("plan %d", which);
        CHECK(counts[0] > 0);
        CHECK_EQ(counts[1], counts[0]);
        CHECK(hash[0] == hash[1]);
    }
}

TEST(a_failure_in_a_worker_reaches_the_caller)
{
    kit *k = kit_open(0, 3);
    kd_plan *scan = kit_cte(k, kit_source(k, columns, 3, ROWS));
    kd_plan *filter = kit_plan(k, KD_PLAN_FILTER, scan, NULL);
    kit_take_columns(k, filter, false);
    kd_expr *x = kit_call(k, "+", kit_ref(k, scan, 2), kit_i64(k, -(ROWS - 5)));
    filter->as.filter.condition =
        kit_call(k, "<>", kit_call(k, "/", kit_i64(k, 1), x), kit_i64(k, 7));
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, filter, NULL);
    kd_aggregate_call call = kit_aggregate(k, "count*", NULL);
    plan->as.aggregate.call_count = 1;
    plan->as.aggregate.calls = &call;
    kit_add_column(k, plan, int8_type(), NULL);
    uint64_t count;
    CHECK_FAILS_WITH(&k->ctx, kit_try(k, plan, &count), "22012", "division");
    kit_close(k);
}

TEST(a_cancelled_statement_ends)
{
    for (unsigned threads = 0; threads < 3; threads += 2) {
        kit *k = kit_open(0, threads);
        atomic_bool cancelled = true;
        k->ctx.cancelled = &cancelled;
        uint64_t count;
        CHECK_FAILS(&k->ctx, kit_try(k, plan_make(k, 0), &count), "57014");
        k->ctx.cancelled = NULL;
        kit_close(k);
    }
}
