/*
 * The planner's entry: the passes in their order.
 */
#include "plan/plan_internal.h"

bool kdi_is_zero(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT && !expr->constant.is_null &&
           expr->type.id == KD_TYPE_INT8 && expr->constant.as.i64 == 0;
}

kd_status kdi_optimize(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kdi_conditions none = {0};
    KD_TRY(kdi_inline_ctes(ctx, p, io_rel));
    KD_TRY(kdi_unnest(ctx, p, io_rel));
    KD_TRY(kdi_decorrelate(ctx, p, io_rel));
    KD_TRY(kdi_fold_tree(ctx, p, *io_rel));
    return kdi_push_down(ctx, p, &none, io_rel);
}

static bool is_modifying(const kd_bound_statement *bound, const kd_cte *cte)
{
    for (uint32_t i = 0; i < bound->modifying_cte_count; i++)
        if (bound->modifying_ctes[i].cte == cte)
            return true;
    return false;
}

kd_status kd_plan_statement(kd_ctx *ctx, kd_arena *arena, const kd_plan_options *options,
                            const kd_bound_statement *bound, kd_statement_plan **out_plan)
{
    *out_plan = NULL;
    kdi_planner *p = KD_NEW(ctx, arena, kdi_planner);
    kd_statement_plan *plan = KD_NEW(ctx, arena, kd_statement_plan);
    if (p == NULL || plan == NULL)
        return KD_NOMEM;
    p->arena = arena;
    p->options = options;
    p->bound = bound;
    p->registry = kd_catalog_registry(options->catalog);
    p->last_id = bound->last_column_id;
    plan->bound = bound;
    /* CTEs that stay are optimised in place, in order, so that a later one sees the earlier. */
    for (uint32_t i = 0; i < bound->cte_count; i++)
        if (bound->ctes[i]->use_count > 0 && !is_modifying(bound, bound->ctes[i]))
            KD_TRY(kdi_inline_ctes(ctx, p, &bound->ctes[i]->query));
    if (bound->query != NULL) {
        kd_rel *query = bound->query;
        KD_TRY(kdi_optimize(ctx, p, &query));
        kd_id_set all = kdi_set(p);
        KD_TRY(kd_rel_column_set(ctx, bound->query, &all));
        KD_TRY(kdi_physical(ctx, p, query, &all, &plan->root));
        KD_TRY(kdi_exact_columns(ctx, p, bound->query->columns, bound->query->column_count,
                                 &plan->root));
    }
    plan->cte_count = (uint32_t)p->cte_count;
    plan->ctes = p->ctes;
    plan->working_count = p->working_count;
    plan->plan_count = p->last_no;
    *out_plan = plan;
    return KD_OK;
}
