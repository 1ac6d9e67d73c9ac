/*
 * What a plan costs, in the units that join orders are compared in: a row that is probed is 0.7.
 *
 * For one question: whether it pays to leave a plan that has built a far larger side of a join than
 * was expected. What is built is paid for; what stands above it gets more rows by the same factor.
 */
#include "plan/plan_internal.h"

#include <math.h>

typedef struct costing {
    kd_storage *storage;
    uint64_t built_key;
    double factor;
} costing;

static double plan_cost(const costing *c, const kd_plan *plan, uint32_t depth, bool *out_grown);

static double rows_of(const costing *c, const kd_plan *plan, bool grown)
{
    return plan->row_estimate * (grown ? c->factor : 1);
}

static double scan_cost(const costing *c, const kd_plan *plan)
{
    kd_table *table = kd_table_find(c->storage, plan->as.scan.table->table_no);
    double stored = table == NULL ? 0 : (double)kd_table_row_count_estimate(table);
    return stored * 0.1 + plan->row_estimate * 0.2;
}

static double join_plan_cost(const costing *c, const kd_plan *plan, uint32_t depth, bool *out_grown)
{
    bool is_built = c->built_key != 0 && plan->as.join.build_key == c->built_key;
    bool left_grown, right_grown = is_built;
    double cost = plan_cost(c, plan->inputs[0], depth, &left_grown);
    if (!is_built)
        cost += plan_cost(c, plan->inputs[1], depth, &right_grown);
    double probe = rows_of(c, plan->inputs[0], left_grown);
    double build = rows_of(c, plan->inputs[1], right_grown);
    *out_grown = left_grown || right_grown;
    double out = rows_of(c, plan, *out_grown);
    if (plan->kind == KD_PLAN_NESTED_LOOP)
        return cost + probe * build + out;
    double whole = kdi_join_cost(build, probe, out);
    return cost + (is_built ? fmax(whole - build * 2, 0) : whole);
}

static double plan_cost(const costing *c, const kd_plan *plan, uint32_t depth, bool *out_grown)
{
    *out_grown = false;
    if (plan == NULL || depth > KDI_PLAN_DEPTH_MAX)
        return 0;
    switch (plan->kind) {
    case KD_PLAN_SCAN:
        return scan_cost(c, plan);
    case KD_PLAN_INDEX_SCAN:
        return plan->row_estimate * 5;
    case KD_PLAN_HASH_JOIN:
    case KD_PLAN_NESTED_LOOP:
        return join_plan_cost(c, plan, depth + 1, out_grown);
    default:
        break;
    }
    double cost = 0;
    for (int i = 0; i < 2; i++) {
        bool grown;
        cost += plan_cost(c, plan->inputs[i], depth + 1, &grown);
        if (plan->inputs[i] != NULL)
            cost += rows_of(c, plan->inputs[i], grown) * 0.5;
        *out_grown |= grown;
    }
    for (uint32_t i = 0; i < plan->more_count; i++) {
        bool grown;
        cost += plan_cost(c, plan->more[i], depth + 1, &grown);
        *out_grown |= grown;
    }
    if (plan->kind == KD_PLAN_APPLY)
        cost *= fmax(rows_of(c, plan->inputs[0], false), 1);
    *out_grown &= plan->kind != KD_PLAN_AGGREGATE; /* Its groups are not the more for it. */
    return cost;
}

static double whole_cost(const costing *c, const kd_statement_plan *plan)
{
    bool grown;
    double cost = plan_cost(c, plan->root, 0, &grown);
    for (uint32_t i = 0; i < plan->cte_count; i++)
        cost += plan_cost(c, plan->ctes[i], 0, &grown);
    return cost;
}

bool kd_plan_pays(const kd_statement_plan *plan, kd_storage *storage, const kd_statement_plan *from,
                  kd_known_rows built, double expected_rows)
{
    costing anew = {.storage = storage, .factor = 1};
    costing rest = {
        .storage = storage, .built_key = built.key, .factor = built.rows / fmax(expected_rows, 1)};
    return kd_plan_shape(plan) != kd_plan_shape(from) &&
           whole_cost(&anew, plan) < whole_cost(&rest, from) * 0.5;
}
