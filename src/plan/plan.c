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
    KD_TRY(kdi_note_origins(ctx, p, *io_rel));
    return kdi_push_down(ctx, p, &none, io_rel);
}

bool kdi_is_modifying(const kd_bound_statement *bound, const kd_cte *cte, uint32_t *out_no)
{
    for (uint32_t i = 0; i < bound->modifying_cte_count; i++)
        if (bound->modifying_ctes[i].cte == cte) {
            *out_no = i;
            return true;
        }
    return false;
}

static kd_status plan_query(kd_ctx *ctx, kdi_planner *p, kd_rel *bound, kd_plan **out)
{
    kd_rel *query = bound;
    kd_id_set all = kdi_set(p);
    KD_TRY(kdi_optimize(ctx, p, &query));
    KD_TRY(kd_rel_column_set(ctx, bound, &all));
    KD_TRY(kdi_physical(ctx, p, query, &all, out));
    KD_TRY(kdi_exact_columns(ctx, p, bound->columns, bound->column_count, out));
    KD_TRY(kdi_share_plans(ctx, p, out));
    return kdi_place_filters(ctx, p, *out);
}

/* A query that the statement runs now and then; NULL: none. */
static kd_status plan_part(kd_ctx *ctx, kdi_planner *p, const kd_bound_statement *bound,
                           kd_rel *query, kd_statement_plan **out)
{
    if (query == NULL)
        return KD_OK;
    *out = KD_NEW(ctx, p->arena, kd_statement_plan);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->bound = bound;
    return plan_query(ctx, p, query, &(*out)->root);
}

/* The root of one statement: the main one, or one in WITH. */
static kd_status plan_root(kd_ctx *ctx, kdi_planner *p, const kd_bound_statement *bound,
                           kd_statement_plan *out)
{
    out->bound = bound;
    if (bound->query == NULL)
        return KD_OK;
    if (bound->kind == KD_DML_UPDATE || bound->kind == KD_DML_DELETE)
        KD_TRY(kdi_recheck_make(ctx, p, bound->query, &out->recheck));
    KD_TRY(plan_query(ctx, p, bound->query, &out->root));
    KD_TRY(plan_part(ctx, p, bound, bound->conflict_test, &out->conflict_test));
    return plan_part(ctx, p, bound, bound->conflict_values, &out->conflict_values);
}

/* The statements in WITH share numbers, WITH queries and working tables with the main one. */
static void share_lists(const kdi_planner *p, kd_statement_plan *plan)
{
    plan->cte_count = (uint32_t)p->cte_count;
    plan->ctes = p->ctes;
    plan->working_count = p->working_count;
    plan->plan_count = p->last_no;
    plan->view_uses = p->view_uses;
    if (plan->conflict_test != NULL)
        share_lists(p, plan->conflict_test);
    if (plan->conflict_values != NULL)
        share_lists(p, plan->conflict_values);
}

/* The root gives the statement's columns: it is never an aggregate itself. */
static kd_status read_views(kd_ctx *ctx, kdi_planner *p, const kd_bound_statement *bound)
{
    kd_rel *root = bound->query;
    for (uint32_t i = 0; i < bound->cte_count; i++)
        KD_TRY(kdi_rewrite_views(ctx, p, &bound->ctes[i]->query));
    return root->kind == KD_REL_AGGREGATE ? KD_OK : kdi_rewrite_views(ctx, p, &root);
}

kd_status kd_plan_statement(kd_ctx *ctx, kd_arena *arena, const kd_plan_options *options,
                            const kd_bound_statement *bound, kd_statement_plan **out_plan)
{
    *out_plan = NULL;
    kdi_planner *p = KD_NEW(ctx, arena, kdi_planner);
    kd_statement_plan *plan = KD_NEW(ctx, arena, kd_statement_plan);
    if (p == NULL || plan == NULL)
        return KD_NOMEM;
    p->ctx = ctx;
    p->arena = arena;
    p->options = options;
    p->bound = bound;
    p->registry = kd_catalog_registry(options->catalog);
    p->last_id = bound->last_column_id;
    plan->modifying_count = bound->modifying_cte_count;
    plan->modifying = KD_NEW_ARRAY(ctx, arena, kd_statement_plan, plan->modifying_count);
    if (plan->modifying == NULL)
        return KD_NOMEM;
    if (options->view_count > 0)
        KD_TRY(read_views(ctx, p, bound));
    KD_TRY(kdi_recheck_note_locks(ctx, p, bound));
    /* CTEs that stay are optimised in place, in order, so that a later one sees the earlier. */
    uint32_t no;
    for (uint32_t i = 0; i < bound->cte_count; i++)
        if (bound->ctes[i]->use_count > 0 && !kdi_is_modifying(bound, bound->ctes[i], &no))
            KD_TRY(kdi_inline_ctes(ctx, p, &bound->ctes[i]->query));
    for (uint32_t i = 0; i < plan->modifying_count; i++)
        KD_TRY(plan_root(ctx, p, bound->modifying_ctes[i].statement, &plan->modifying[i]));
    KD_TRY(plan_root(ctx, p, bound, plan));
    for (size_t i = 0; i < p->cte_count; i++)
        KD_TRY(kdi_place_filters(ctx, p, p->ctes[i]));
    for (uint32_t i = 0; i < plan->modifying_count; i++)
        share_lists(p, &plan->modifying[i]);
    share_lists(p, plan);
    *out_plan = plan;
    return KD_OK;
}
