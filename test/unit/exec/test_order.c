/*
 * Groups of a key that comes in order, for a while or for ever, against a naive count: one thread
 * and several, with memory and without.
 */
#include "plan_kit.h"

#include <stdio.h>

enum { ROWS = 400000 };

/* row / step % modulus + row % spread */
typedef struct key_shape {
    int64_t step, modulus, spread;
} key_shape;

static kd_expr *key_of(kit *k, const kd_plan *source, const key_shape *shape)
{
    kd_expr *row = kit_ref(k, source, 0);
    kd_expr *slow = kit_call(k, "%", kit_call(k, "/", row, kit_i64(k, shape->step)),
                             kit_i64(k, shape->modulus));
    kd_expr *fast = kit_call(k, "%", kit_ref(k, source, 0), kit_i64(k, shape->spread));
    return kit_call(k, "+", slow, fast);
}

static kd_plan *plan_make(kit *k, const key_shape *shape)
{
    static const kit_column column = {.type = {.id = KD_TYPE_INT8, .modifier = -1},
                                      .sequential = true};
    kd_plan *source = kit_cte(k, kit_source(k, &column, 1, ROWS));
    kd_plan *plan = kit_plan(k, KD_PLAN_AGGREGATE, source, NULL);
    plan->as.aggregate.keys = KD_NEW(&k->ctx, k->arena, kd_expr *);
    plan->as.aggregate.keys[0] = key_of(k, source, shape);
    plan->as.aggregate.key_count = 1;
    kd_aggregate_call *calls = KD_NEW_ARRAY(&k->ctx, k->arena, kd_aggregate_call, 2);
    calls[0] = kit_aggregate(k, "count*", NULL);
    calls[1] = kit_aggregate(k, "sum", kit_ref(k, source, 0));
    plan->as.aggregate.calls = calls;
    plan->as.aggregate.call_count = 2;
    for (int c = 0; c < 3; c++)
        kit_add_column(k, plan, kd_type_of(KD_TYPE_INT8), NULL);
    return plan;
}

static void check_shape(const key_shape *shape, size_t budget_bytes, unsigned threads)
{
    static int64_t counts[ROWS * 2], sums[ROWS * 2];
    kit *k = kit_open(budget_bytes, threads);
    kit_rows got = kit_run(k, plan_make(k, shape));
    uint64_t groups = 0;
    for (int64_t row = 0; row < ROWS * 2; row++)
        counts[row] = sums[row] = 0;
    for (int64_t row = 0; row < ROWS; row++) {
        int64_t key = row / shape->step % shape->modulus + row % shape->spread;
        groups += counts[key] == 0;
        counts[key]++;
        sums[key] += row;
    }
    CHECK_EQ(got.count, groups);
    for (uint64_t i = 0; i < got.count; i++) {
        long long key, count, sum;
        CHECK_EQ(sscanf(got.texts[i], "%lld|%lld|%lld", &key, &count, &sum), 3);
        CHECK_EQ(count, counts[key]);
        CHECK_EQ(sum, sums[key]);
        counts[key] = -1; /* Every group comes once. */
    }
    kit_close(k);
}

TEST(groups_in_order_are_those_of_any_order)
{
    static const key_shape shapes[] = {
        {1, ROWS, 1},  {3, ROWS, 1},  {100, ROWS, 1}, /* in order */
        {4, 90000, 1}, {2, 20000, 1}, {1, 4096, 1},   /* falls here and there */
        {7, ROWS, 9},  {1, 30000, 7},                 /* none */
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_shape(&shapes[i], 0, 0);
        check_shape(&shapes[i], 0, 3);
        check_shape(&shapes[i], 4 << 20, 3);
    }
}
