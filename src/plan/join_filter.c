/*
 * Which scans are told of which joins' build sides at run time, and of how far TOP_N has come.
 *
 * A hash join that drops left rows without a partner has its keys' build side tested as far down
 * the left side as the key's column goes: through projections, filters, grouping by the column and
 * other joins; where an inner join makes the column equal to one of its right side's, there too.
 * The join's build side is complete before its left side runs, so the scans find the filter made.
 *
 * The first key of a TOP_N goes the same ways: rows beyond that of its last row so far need not be
 * read.
 */
#include "plan/plan_internal.h"

typedef struct placing {
    kdi_planner *p;
    kd_plan *join; /* NULL: the bound of a TOP_N. */
    kd_runtime_filter filter;
    uint32_t top_no;
} placing;

static kd_status place(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column);

static bool gives(const kd_plan *plan, kd_column_id column)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->columns[i].id == column)
            return true;
    return false;
}

static kd_status place_scan(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    uint32_t count = plan->as.scan.filter_count;
    if (column == plan->as.scan.ref_column)
        return KD_OK;
    if (to->join == NULL) {
        plan->as.scan.top_no = to->top_no;
        plan->as.scan.top_column = column;
        return KD_OK;
    }
    kd_runtime_filter *filters =
        KD_NEW_ARRAY(ctx, to->p->arena, kd_runtime_filter, (size_t)count + 1);
    if (filters == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        filters[i] = plan->as.scan.filters[i];
    filters[count] = to->filter;
    filters[count].column = column;
    plan->as.scan.filters = filters;
    plan->as.scan.filter_count = count + 1;
    to->join->as.join.filter_keys |= (uint64_t)1 << to->filter.key_no;
    return KD_OK;
}

/* The column among the outputs that is nothing but another column below. */
static kd_status place_project(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (kd_expr_is_volatile(plan->as.project.exprs[i]))
            return KD_OK;
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->columns[i].id == column && plan->as.project.exprs[i]->kind == KD_EXPR_COLUMN)
            return place(ctx, to, plan->inputs[0], plan->as.project.exprs[i]->column);
    return KD_OK;
}

static kd_status place_aggregate(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    if (plan->as.aggregate.set_count > 0)
        return KD_OK;
    for (uint32_t i = 0; i < plan->as.aggregate.key_count; i++)
        if (plan->columns[i].id == column && plan->as.aggregate.keys[i]->kind == KD_EXPR_COLUMN)
            return place(ctx, to, plan->inputs[0], plan->as.aggregate.keys[i]->column);
    return KD_OK;
}

static kd_status place_union(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    for (uint32_t i = 0; i < plan->column_count; i++) {
        if (plan->columns[i].id != column)
            continue;
        for (uint32_t m = 0; m < plan->more_count; m++)
            KD_TRY(place(ctx, to, plan->more[m], plan->more[m]->columns[i].id));
    }
    return KD_OK;
}

/* Left rows may go early wherever the join gives them one by one; right rows of inner joins too. */
static kd_status place_join(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    kd_join_kind kind = plan->as.join.kind;
    bool inner = kind == KD_JOIN_INNER;
    bool right_kept = kind == KD_JOIN_RIGHT_SEMI || kind == KD_JOIN_RIGHT_ANTI;
    bool from_left = gives(plan->inputs[0], column);
    if (from_left && kind != KD_JOIN_RIGHT && kind != KD_JOIN_FULL && !right_kept)
        KD_TRY(place(ctx, to, plan->inputs[0], column));
    if (!from_left && (inner || right_kept))
        KD_TRY(place(ctx, to, plan->inputs[1], column));
    if (plan->kind != KD_PLAN_HASH_JOIN || !(inner || kind == KD_JOIN_SEMI || right_kept))
        return KD_OK;
    /* What equals the column on the other side. */
    for (uint32_t k = 0; k < plan->as.join.key_count; k++) {
        const kd_expr *mine = from_left ? plan->as.join.left_keys[k] : plan->as.join.right_keys[k];
        const kd_expr *other = from_left ? plan->as.join.right_keys[k] : plan->as.join.left_keys[k];
        if (mine->kind == KD_EXPR_COLUMN && mine->column == column &&
            other->kind == KD_EXPR_COLUMN && !plan->as.join.null_equal[k])
            return place(ctx, to, plan->inputs[from_left ? 1 : 0], other->column);
    }
    return KD_OK;
}

static kd_status place_any(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    switch (plan->kind) {
    case KD_PLAN_SCAN:
        return place_scan(ctx, to, plan, column);
    case KD_PLAN_FILTER:
        return kd_expr_is_volatile(plan->as.filter.condition)
                   ? KD_OK
                   : place(ctx, to, plan->inputs[0], column);
    case KD_PLAN_SORT:
        return place(ctx, to, plan->inputs[0], column);
    case KD_PLAN_DISTINCT:
        return plan->as.distinct.on_count == 0 ? place(ctx, to, plan->inputs[0], column) : KD_OK;
    case KD_PLAN_PROJECT:
        return place_project(ctx, to, plan, column);
    case KD_PLAN_AGGREGATE:
        return place_aggregate(ctx, to, plan, column);
    case KD_PLAN_UNION_ALL:
        return place_union(ctx, to, plan, column);
    case KD_PLAN_HASH_JOIN:
    case KD_PLAN_NESTED_LOOP:
        return place_join(ctx, to, plan, column);
    case KD_PLAN_APPLY:
        return gives(plan->inputs[0], column) ? place(ctx, to, plan->inputs[0], column) : KD_OK;
    default:
        return KD_OK;
    }
}

static kd_status place(kd_ctx *ctx, placing *to, kd_plan *plan, kd_column_id column)
{
    KD_TRY(kdi_plan_enter(ctx, to->p));
    if (gives(plan, column))
        KD_TRY(place_any(ctx, to, plan, column));
    kdi_plan_leave(to->p);
    return KD_OK;
}

static kd_status place_keys(kd_ctx *ctx, kdi_planner *p, kd_plan *join)
{
    for (uint32_t k = 0; k < join->as.join.key_count && k < 64; k++) {
        const kd_expr *left = join->as.join.left_keys[k], *right = join->as.join.right_keys[k];
        bool same = left->type.id == right->type.id && left->type.modifier == right->type.modifier;
        if (left->kind != KD_EXPR_COLUMN || join->as.join.null_equal[k] ||
            (left->type.id == KD_TYPE_NUMERIC && !same))
            continue;
        placing to = {.p = p, .join = join, .filter = {.join_no = join->no, .key_no = k}};
        KD_TRY(place(ctx, &to, join->inputs[0], left->column));
    }
    return KD_OK;
}

static kd_status place_top(kd_ctx *ctx, kdi_planner *p, kd_plan *top)
{
    const kd_expr *key = top->as.sort.key_count == 0 ? NULL : top->as.sort.keys[0].expr;
    if (key == NULL || key->kind != KD_EXPR_COLUMN || !kd_type_is_ordinal(key->type))
        return KD_OK;
    placing to = {.p = p, .top_no = top->no};
    return place(ctx, &to, top->inputs[0], key->column);
}

static bool drops_left_rows(kd_join_kind kind)
{
    return kind == KD_JOIN_INNER || kind == KD_JOIN_SEMI || kind == KD_JOIN_RIGHT ||
           kind == KD_JOIN_RIGHT_SEMI || kind == KD_JOIN_RIGHT_ANTI;
}

kd_status kdi_place_filters(kd_ctx *ctx, kdi_planner *p, kd_plan *plan)
{
    if (plan == NULL)
        return KD_OK;
    KD_TRY(kdi_plan_enter(ctx, p));
    if (plan->kind == KD_PLAN_HASH_JOIN && drops_left_rows(plan->as.join.kind))
        KD_TRY(place_keys(ctx, p, plan));
    if (plan->kind == KD_PLAN_TOP_N)
        KD_TRY(place_top(ctx, p, plan));
    for (uint32_t i = 0; i < plan->more_count; i++)
        KD_TRY(kdi_place_filters(ctx, p, plan->more[i]));
    for (int i = 0; i < 2; i++)
        KD_TRY(kdi_place_filters(ctx, p, plan->inputs[i]));
    kdi_plan_leave(p);
    return KD_OK;
}
