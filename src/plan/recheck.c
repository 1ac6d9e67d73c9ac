/*
 * How one row of a table becomes a row of the query, for queries that read nothing else:
 * noted before anything is rewritten, so that a row that another transaction changed while
 * its lock was waited for can be looked at again alone.
 */
#include "plan/plan_internal.h"

#include "sql/expr_walk.h"

static kd_status subquery_find(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    *(bool *)object |= kd_expr_has_subquery(*slot);
    return KD_OK;
}

/* Whether `rel` is a chain of what works row by row over one scan with a reference. */
static kd_status chain_check(kd_ctx *ctx, kd_rel *rel, kd_rel **out_scan, uint32_t *out_steps)
{
    *out_scan = NULL;
    *out_steps = 0;
    for (; rel->kind != KD_REL_SCAN; rel = rel->inputs[0]) {
        bool has_subquery = false;
        if (rel->kind == KD_REL_SORT || rel->kind == KD_REL_LOCK)
            continue;
        if (rel->kind != KD_REL_FILTER && rel->kind != KD_REL_PROJECT)
            return KD_OK;
        KD_TRY(kd_rel_visit_exprs(ctx, rel, subquery_find, &has_subquery));
        if (has_subquery)
            return KD_OK;
        (*out_steps)++;
    }
    if (rel->as.scan.ref_column != 0 && rel->as.scan.table->strategy == KD_PARTITION_NONE)
        *out_scan = rel;
    return KD_OK;
}

static kd_status step_make(kd_ctx *ctx, kdi_planner *p, const kd_rel *rel, kd_recheck_step *step)
{
    *step = (kd_recheck_step){0};
    if (rel->kind == KD_REL_FILTER)
        return kdi_substitute(ctx, p, rel->as.filter.condition, NULL, NULL, 0, &step->condition);
    step->count = rel->column_count;
    step->ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, step->count);
    step->exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, step->count);
    if (step->ids == NULL || step->exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < step->count; i++) {
        step->ids[i] = rel->columns[i].id;
        KD_TRY(kdi_substitute(ctx, p, rel->as.project.exprs[i], NULL, NULL, 0, &step->exprs[i]));
    }
    return KD_OK;
}

static kd_status scan_note(kd_ctx *ctx, kdi_planner *p, const kd_rel *scan, kd_recheck *out)
{
    out->table = scan->as.scan.table;
    out->ref_column = scan->as.scan.ref_column;
    out->ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, scan->column_count);
    out->positions = KD_NEW_ARRAY(ctx, p->arena, uint32_t, scan->column_count);
    if (out->ids == NULL || out->positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < scan->column_count; i++) {
        if (scan->columns[i].id == out->ref_column)
            continue;
        out->ids[out->column_count] = scan->columns[i].id;
        out->positions[out->column_count++] = scan->as.scan.positions[i];
    }
    return KD_OK;
}

kd_status kdi_recheck_make(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, kd_recheck **out)
{
    kd_rel *scan;
    uint32_t count;
    *out = NULL;
    KD_TRY(chain_check(ctx, rel, &scan, &count));
    if (scan == NULL)
        return KD_OK;
    kd_recheck *recheck = KD_NEW(ctx, p->arena, kd_recheck);
    if (recheck == NULL)
        return KD_NOMEM;
    KD_TRY(scan_note(ctx, p, scan, recheck));
    recheck->step_count = count;
    recheck->steps = KD_NEW_ARRAY(ctx, p->arena, kd_recheck_step, count);
    if (recheck->steps == NULL)
        return KD_NOMEM;
    for (; rel != scan; rel = rel->inputs[0]) {
        if (rel->kind == KD_REL_FILTER || rel->kind == KD_REL_PROJECT)
            KD_TRY(step_make(ctx, p, rel, &recheck->steps[--count]));
    }
    *out = recheck;
    return KD_OK;
}

static kd_status locks_note(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, uint32_t depth)
{
    if (rel == NULL || depth > KD_BOUND_DEPTH_MAX)
        return KD_OK;
    if (rel->kind == KD_REL_LOCK)
        KD_TRY(kdi_recheck_make(ctx, p, rel->inputs[0], &rel->as.lock.recheck));
    KD_TRY(locks_note(ctx, p, rel->inputs[0], depth + 1));
    return locks_note(ctx, p, rel->inputs[1], depth + 1);
}

kd_status kdi_recheck_note_locks(kd_ctx *ctx, kdi_planner *p, const kd_bound_statement *bound)
{
    if (!bound->for_update)
        return KD_OK;
    for (uint32_t i = 0; i < bound->cte_count; i++)
        KD_TRY(locks_note(ctx, p, bound->ctes[i]->query, 0));
    return locks_note(ctx, p, bound->query, 0);
}
