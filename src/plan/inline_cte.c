/*
 * WITH queries that are used once take the place of their use, unless that was
 * asked not to be or they have effects.
 */
#include "plan/plan_internal.h"

static kd_status inline_use(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *use = *io_rel;
    kd_cte *cte = use->as.cte.cte;
    uint32_t no;
    if (cte->use_count != 1 || cte->materialized || kdi_is_modifying(p->bound, cte, &no) ||
        kd_rel_is_volatile(cte->query))
        return KD_OK;
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_PROJECT, cte->query);
    if (rel == NULL)
        return KD_NOMEM;
    rel->columns = use->columns;
    rel->column_count = use->column_count;
    rel->as.project.exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, use->column_count);
    if (rel->as.project.exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < use->column_count; i++) {
        rel->as.project.exprs[i] =
            kdi_make_column(ctx, p, use->as.cte.source_ids[i], use->columns[i].type);
        if (rel->as.project.exprs[i] == NULL)
            return KD_NOMEM;
    }
    *io_rel = rel;
    return KD_OK;
}

typedef struct pass {
    kdi_planner *p;
} pass;

static kd_status inline_in_expr(kd_ctx *ctx, void *object, kd_expr **slot)
{
    pass *self = object;
    if ((*slot)->subquery != NULL)
        KD_TRY(kdi_inline_ctes(ctx, self->p, &(*slot)->subquery));
    return KD_OK;
}

static kd_status inline_in_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    return kd_expr_walk(ctx, slot, inline_in_expr, object);
}

kd_status kdi_inline_ctes(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    if ((*io_rel)->kind == KD_REL_CTE)
        KD_TRY(inline_use(ctx, p, io_rel));
    pass self = {.p = p};
    KD_TRY(kd_rel_visit_exprs(ctx, *io_rel, inline_in_slot, &self));
    for (int i = 0; i < 2; i++)
        if ((*io_rel)->inputs[i] != NULL)
            KD_TRY(kdi_inline_ctes(ctx, p, &(*io_rel)->inputs[i]));
    kdi_plan_leave(p);
    return KD_OK;
}
