/*
 * What a plan does, whatever the values are that it does it with: a number that tells two plans
 * apart which read their tables in other ways or join them in another order.
 */
#include "base/hash.h"
#include "plan/plan_internal.h"

static void add(uint64_t *shape, uint64_t what)
{
    *shape = kd_hash_combine(*shape, what);
}

static void add_scan(uint64_t *shape, const kd_plan *plan)
{
    add(shape, plan->as.scan.table->object.object_no);
    add(shape, plan->as.scan.prune_count);
    for (uint32_t i = 0; i < plan->as.scan.prune_count; i++) {
        add(shape, plan->as.scan.prunes[i].shape_position);
        add(shape, plan->as.scan.prunes[i].test);
    }
    add(shape, plan->as.scan.filter_count);
    add(shape, plan->as.scan.condition != NULL);
}

static void add_index_scan(uint64_t *shape, const kd_plan *plan)
{
    const kd_index_bound *bound = &plan->as.index_scan.bound;
    const kd_table_index *index = plan->as.index_scan.index;
    add(shape, plan->as.index_scan.table->object.object_no);
    add(shape, index == NULL ? 0 : index->storage.index_no);
    add(shape, bound->equal_count);
    add(shape,
        (uint64_t)(bound->low != NULL) * 4 + (uint64_t)(bound->high != NULL) * 2 + bound->in_list);
    add(shape, plan->as.index_scan.descending);
    add(shape, plan->as.index_scan.items != NULL);
    add(shape, plan->as.index_scan.condition != NULL);
}

static void add_node(uint64_t *shape, const kd_plan *plan, uint32_t depth)
{
    if (plan == NULL || depth > KDI_PLAN_DEPTH_MAX)
        return;
    add(shape, plan->kind);
    switch (plan->kind) {
    case KD_PLAN_SCAN:
        add_scan(shape, plan);
        break;
    case KD_PLAN_INDEX_SCAN:
        add_index_scan(shape, plan);
        break;
    case KD_PLAN_HASH_JOIN:
    case KD_PLAN_NESTED_LOOP:
        add(shape, plan->as.join.kind);
        add(shape, plan->as.join.key_count);
        add(shape, plan->as.join.filter_keys);
        break;
    case KD_PLAN_APPLY:
        add(shape, plan->as.apply.kind);
        break;
    case KD_PLAN_CTE_SCAN:
        add(shape, plan->as.cte.cte_no);
        break;
    default:
        break;
    }
    for (int i = 0; i < 2; i++)
        add_node(shape, plan->inputs[i], depth + 1);
    add(shape, plan->more_count);
    for (uint32_t i = 0; i < plan->more_count; i++)
        add_node(shape, plan->more[i], depth + 1);
}

uint64_t kd_plan_shape(const kd_statement_plan *plan)
{
    uint64_t shape = 0;
    add_node(&shape, plan->root, 0);
    for (uint32_t i = 0; i < plan->cte_count; i++)
        add_node(&shape, plan->ctes[i], 0);
    for (uint32_t i = 0; i < plan->modifying_count; i++)
        add_node(&shape, plan->modifying[i].root, 0);
    return shape;
}
