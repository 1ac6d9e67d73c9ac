/*
 * Making and taking apart bound nodes inside the planner.
 */
#include "plan/plan_internal.h"

kd_status kdi_plan_enter(kd_ctx *ctx, kdi_planner *p)
{
    if (++p->depth > KDI_PLAN_DEPTH_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54001", "stack depth limit exceeded");
    return KD_OK;
}

kd_expr *kdi_make_expr(kd_ctx *ctx, kdi_planner *p, kd_expr_kind kind, kd_type type,
                       uint32_t argument_count)
{
    kd_expr *expr = KD_NEW(ctx, p->arena, kd_expr);
    if (expr == NULL)
        return NULL;
    expr->kind = kind;
    expr->type = type;
    expr->position = -1;
    expr->argument_count = argument_count;
    expr->arguments = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, argument_count);
    return expr->arguments == NULL ? NULL : expr;
}

kd_expr *kdi_make_column(kd_ctx *ctx, kdi_planner *p, kd_column_id id, kd_type type)
{
    kd_expr *expr = kdi_make_expr(ctx, p, KD_EXPR_COLUMN, type, 0);
    if (expr != NULL)
        expr->column = id;
    return expr;
}

kd_expr *kdi_make_constant(kd_ctx *ctx, kdi_planner *p, kd_value value)
{
    kd_expr *expr = kdi_make_expr(ctx, p, KD_EXPR_CONSTANT, value.type, 0);
    if (expr != NULL)
        expr->constant = value;
    return expr;
}

kd_rel *kdi_make_rel(kd_ctx *ctx, kdi_planner *p, kd_rel_kind kind, kd_rel *input)
{
    kd_rel *rel = KD_NEW(ctx, p->arena, kd_rel);
    if (rel == NULL)
        return NULL;
    rel->kind = kind;
    rel->position = -1;
    if (input != NULL) {
        rel->column_count = input->column_count;
        rel->columns = input->columns;
        rel->inputs[0] = input;
    }
    return rel;
}

kd_status kdi_make_join(kd_ctx *ctx, kdi_planner *p, kd_join_kind kind, kd_rel *left, kd_rel *right,
                        kd_expr *condition, kd_rel **out)
{
    *out = NULL;
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_JOIN, NULL);
    if (rel == NULL)
        return KD_NOMEM;
    bool both = kind == KD_JOIN_INNER || kind == KD_JOIN_LEFT || kind == KD_JOIN_RIGHT ||
                kind == KD_JOIN_FULL || kind == KD_JOIN_SINGLE;
    uint32_t count = left->column_count + (both ? right->column_count : kind == KD_JOIN_MARK);
    rel->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, count);
    if (rel->columns == NULL)
        return KD_NOMEM;
    rel->column_count = count;
    memcpy(rel->columns, left->columns, left->column_count * sizeof *rel->columns);
    if (both)
        memcpy(rel->columns + left->column_count, right->columns,
               right->column_count * sizeof *rel->columns);
    if (kind == KD_JOIN_MARK) {
        rel->as.join.mark = ++p->last_id;
        rel->columns[count - 1] =
            (kd_rel_column){.id = rel->as.join.mark, .type = kd_type_of(KD_TYPE_BOOL)};
    }
    rel->inputs[0] = left;
    rel->inputs[1] = right;
    rel->as.join.kind = kind;
    rel->as.join.condition = condition;
    *out = rel;
    return KD_OK;
}

kd_status kdi_make_call(kd_ctx *ctx, kdi_planner *p, const kd_function *function, kd_expr *left,
                        kd_expr *right, kd_expr **out)
{
    *out = kdi_make_expr(ctx, p, KD_EXPR_CALL, function->result, 2);
    if (*out == NULL)
        return KD_NOMEM;
    (*out)->function = function;
    (*out)->arguments[0] = left;
    (*out)->arguments[1] = right;
    return KD_OK;
}

/* --- Lists of conditions --- */

bool kdi_is_true(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT && !expr->constant.is_null && expr->constant.as.boolean;
}

bool kdi_is_never_true(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT && (expr->constant.is_null || !expr->constant.as.boolean);
}

kd_status kdi_conditions_add(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list, kd_expr *condition)
{
    if (condition == NULL || kdi_is_true(condition))
        return KD_OK;
    if (condition->kind == KD_EXPR_AND) {
        KD_TRY(kdi_plan_enter(ctx, p));
        for (uint32_t i = 0; i < condition->argument_count; i++)
            KD_TRY(kdi_conditions_add(ctx, p, list, condition->arguments[i]));
        kdi_plan_leave(p);
        return KD_OK;
    }
    kd_expr **slot;
    KD_TRY(KD_PUSH(ctx, p->arena, list->items, list->count, list->capacity, &slot));
    *slot = condition;
    return KD_OK;
}

kd_status kdi_conditions_join(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *list,
                              kd_expr **out)
{
    *out = NULL;
    if (list->count <= 1) {
        if (list->count == 1)
            *out = list->items[0];
        return KD_OK;
    }
    *out = kdi_make_expr(ctx, p, KD_EXPR_AND, kd_type_of(KD_TYPE_BOOL), (uint32_t)list->count);
    if (*out == NULL)
        return KD_NOMEM;
    memcpy((*out)->arguments, list->items, list->count * sizeof *list->items);
    return KD_OK;
}

kd_status kdi_make_filter(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *conditions,
                          kd_rel **io_rel)
{
    if (conditions->count == 0)
        return KD_OK;
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_FILTER, *io_rel);
    if (rel == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_conditions_join(ctx, p, conditions, &rel->as.filter.condition));
    *io_rel = rel;
    return KD_OK;
}

/* --- Expressions --- */

typedef struct substitution {
    kdi_planner *p;
    const kd_column_id *ids;
    kd_expr *const *exprs;
    uint32_t count;
} substitution;

static kd_status substitute_one(kd_ctx *ctx, const substitution *s, const kd_expr *expr,
                                kd_expr **out)
{
    kdi_planner *p = s->p;
    if (expr->kind == KD_EXPR_COLUMN) {
        for (uint32_t i = 0; i < s->count; i++)
            if (s->ids[i] == expr->column) {
                *out = s->exprs[i];
                return KD_OK;
            }
    }
    KD_TRY(kdi_plan_enter(ctx, p));
    kd_expr *copy = KD_NEW(ctx, p->arena, kd_expr);
    if (copy == NULL)
        return KD_NOMEM;
    *copy = *expr;
    copy->arguments = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, expr->argument_count);
    if (copy->arguments == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(substitute_one(ctx, s, expr->arguments[i], &copy->arguments[i]));
    *out = copy;
    kdi_plan_leave(p);
    return KD_OK;
}

kd_status kdi_substitute(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_column_id *ids,
                         kd_expr *const *exprs, uint32_t count, kd_expr **out)
{
    substitution s = {.p = p, .ids = ids, .exprs = exprs, .count = count};
    return substitute_one(ctx, &s, expr, out);
}

bool kdi_has_column(const kd_rel *rel, kd_column_id id)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (rel->columns[i].id == id)
            return true;
    return false;
}

kd_status kdi_uses_only(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_id_set *set,
                        bool *out_only)
{
    kd_id_set used = kdi_set(p);
    KD_TRY(kd_expr_columns(ctx, expr, &used));
    *out_only = kd_id_set_contains(set, &used);
    return KD_OK;
}

kd_status kdi_uses_any(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, const kd_id_set *set,
                       bool *out_any)
{
    kd_id_set used = kdi_set(p);
    KD_TRY(kd_expr_columns(ctx, expr, &used));
    *out_any = kd_id_set_overlaps(set, &used);
    return KD_OK;
}

bool kdi_is_equality(const kd_expr *expr, kd_expr **out_left, kd_expr **out_right,
                     bool *out_null_equal)
{
    *out_null_equal = false;
    if (expr->kind == KD_EXPR_NOT && expr->arguments[0]->kind == KD_EXPR_IS_DISTINCT) {
        *out_null_equal = true;
        expr = expr->arguments[0];
    } else if (expr->kind != KD_EXPR_CALL || expr->argument_count != 2 ||
               strcmp(expr->function->name, "=") != 0) {
        return false;
    }
    *out_left = expr->arguments[0];
    *out_right = expr->arguments[1];
    return kd_type_same((*out_left)->type, (*out_right)->type);
}
