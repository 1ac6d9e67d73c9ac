/*
 * Conditions that follow from others: a = b and b = 5 give a = 5; an OR whose
 * branches share a condition has it outside; an OR whose branches all say something
 * about one input gives that input an OR of its own.
 */
#include "plan/plan_internal.h"

static bool is_plain_constant(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_CONSTANT || expr->kind == KD_EXPR_PARAMETER;
}

static bool column_and_constant(const kd_expr *expr, const kd_expr **out_column,
                                const kd_expr **out_constant)
{
    kd_expr *sides[2];
    bool null_equal;
    if (!kdi_is_equality(expr, &sides[0], &sides[1], &null_equal) || null_equal)
        return false;
    int column = sides[0]->kind == KD_EXPR_COLUMN ? 0 : 1;
    *out_column = sides[column];
    *out_constant = sides[1 - column];
    return sides[column]->kind == KD_EXPR_COLUMN && is_plain_constant(sides[1 - column]);
}

static bool is_known(const kdi_conditions *list, const kd_expr *expr)
{
    for (size_t i = 0; i < list->count; i++)
        if (kd_expr_equal(list->items[i], expr))
            return true;
    return false;
}

/* a = b where one of them equals a constant: so does the other. */
static kd_status carry_constants(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list, bool *out_more)
{
    size_t count = list->count;
    for (size_t i = 0; i < count; i++) {
        const kd_expr *column, *constant;
        if (!column_and_constant(list->items[i], &column, &constant))
            continue;
        for (size_t j = 0; j < count; j++) {
            kd_expr *sides[2], *made;
            bool null_equal;
            if (!kdi_is_equality(list->items[j], &sides[0], &sides[1], &null_equal) || null_equal ||
                sides[0]->kind != KD_EXPR_COLUMN || sides[1]->kind != KD_EXPR_COLUMN)
                continue;
            int other = sides[0]->column == column->column   ? 1
                        : sides[1]->column == column->column ? 0
                                                             : -1;
            if (other < 0 || list->items[j]->function != list->items[i]->function)
                continue;
            KD_TRY(kdi_make_call(ctx, p, list->items[j]->function, sides[other],
                                 (kd_expr *)(uintptr_t)constant, &made));
            if (is_known(list, made))
                continue;
            KD_TRY(kdi_conditions_add(ctx, p, list, made));
            *out_more = true;
        }
    }
    return KD_OK;
}

static bool branch_has(const kd_expr *branch, const kd_expr *part)
{
    if (branch->kind != KD_EXPR_AND)
        return kd_expr_equal(branch, part);
    for (uint32_t i = 0; i < branch->argument_count; i++)
        if (kd_expr_equal(branch->arguments[i], part))
            return true;
    return false;
}

/* (a AND b) OR (a AND c) implies a; the OR stays, and a can sink or be a join's key. */
static kd_status common_factors(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list)
{
    size_t count = list->count;
    for (size_t i = 0; i < count; i++) {
        const kd_expr *either = list->items[i];
        if (either->kind != KD_EXPR_OR || kd_expr_is_volatile(either))
            continue;
        kd_expr *first = either->arguments[0];
        uint32_t parts = first->kind == KD_EXPR_AND ? first->argument_count : 1;
        for (uint32_t k = 0; k < parts; k++) {
            kd_expr *part = first->kind == KD_EXPR_AND ? first->arguments[k] : first;
            bool everywhere = true;
            for (uint32_t b = 1; b < either->argument_count && everywhere; b++)
                everywhere = branch_has(either->arguments[b], part);
            if (everywhere && !is_known(list, part))
                KD_TRY(kdi_conditions_add(ctx, p, list, part));
        }
    }
    return KD_OK;
}

/* What the branch says about these columns alone; NULL: nothing. */
static kd_status branch_part(kd_ctx *ctx, kdi_planner *p, kd_expr *branch, const kd_id_set *set,
                             kd_expr **out)
{
    kdi_conditions all = {0}, part = {0};
    KD_TRY(kdi_conditions_add(ctx, p, &all, branch));
    for (size_t i = 0; i < all.count; i++) {
        bool only;
        KD_TRY(kdi_uses_only(ctx, p, all.items[i], set, &only));
        if (only)
            KD_TRY(kdi_conditions_add(ctx, p, &part, all.items[i]));
    }
    return kdi_conditions_join(ctx, p, &part, out);
}

/* The rows that a condition drops here are not dropped again where it stands itself. */
static kd_status note_implied(kd_ctx *ctx, kdi_planner *p, const kd_expr *condition,
                              const kd_expr *implied)
{
    double share = kdi_selectivity(p, condition), part = kdi_selectivity(p, implied);
    for (size_t i = 0; i < p->share_count; i++)
        if (p->shares[i].condition == condition) {
            p->shares[i].share = share < part ? share / part : 1;
            return KD_OK;
        }
    kdi_share *slot;
    KD_TRY(KD_PUSH(ctx, p->arena, p->shares, p->share_count, p->share_capacity, &slot));
    *slot = (kdi_share){condition, share < part ? share / part : 1};
    return KD_OK;
}

kd_status kdi_derive_for(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *list,
                         const kd_id_set *set, kdi_conditions *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const kd_expr *either = list->items[i];
        if (either->kind != KD_EXPR_OR || kd_expr_is_volatile(either))
            continue;
        kd_expr *made = kdi_make_expr(ctx, p, KD_EXPR_OR, either->type, either->argument_count);
        if (made == NULL)
            return KD_NOMEM;
        bool everywhere = true;
        for (uint32_t b = 0; b < either->argument_count && everywhere; b++) {
            KD_TRY(branch_part(ctx, p, either->arguments[b], set, &made->arguments[b]));
            everywhere = made->arguments[b] != NULL;
        }
        if (!everywhere)
            continue;
        KD_TRY(note_implied(ctx, p, either, made));
        KD_TRY(kdi_conditions_add(ctx, p, out, made));
    }
    return KD_OK;
}

kd_status kdi_derive_conditions(kd_ctx *ctx, kdi_planner *p, kdi_conditions *list)
{
    if (list->count > 64)
        return KD_OK;
    KD_TRY(common_factors(ctx, p, list));
    for (int round = 0; round < 8; round++) {
        bool more = false;
        KD_TRY(carry_constants(ctx, p, list, &more));
        if (!more)
            break;
    }
    return KD_OK;
}
