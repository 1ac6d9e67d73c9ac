/*
 * Conditions sink to where they cost least.
 *
 * kdi_push_down gives a tree that has applied all the conditions it was handed:
 * each goes into an input where that means the same, and stays above where not.
 */
#include "plan/plan_internal.h"

static kd_status push_into(kd_ctx *ctx, kdi_planner *p, kd_rel **slot, kdi_conditions *conditions)
{
    return kdi_push_down(ctx, p, conditions, slot);
}

static kd_status push_nothing(kd_ctx *ctx, kdi_planner *p, kd_rel **slot)
{
    kdi_conditions none = {0};
    return kdi_push_down(ctx, p, &none, slot);
}

/* Splits by whether a condition names only columns of `set` besides outer ones. `own` is everything
 * that the operator's inputs give. */
static kd_status split(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *all, const kd_id_set *own,
                       const kd_id_set *set, kdi_conditions *inside, kdi_conditions *outside)
{
    for (size_t i = 0; i < all->count; i++) {
        kd_id_set used = kdi_set(p);
        KD_TRY(kd_expr_columns(ctx, all->items[i], &used));
        for (size_t w = 0; w < used.word_count; w++)
            used.words[w] &= w < own->word_count ? own->words[w] : 0;
        bool fits = kd_id_set_contains(set, &used) && !kd_expr_is_volatile(all->items[i]);
        KD_TRY(kdi_conditions_add(ctx, p, fits ? inside : outside, all->items[i]));
    }
    return KD_OK;
}

/* --- Projections --- */

static kd_status push_project(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                              kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_conditions below = {0}, above = {0};
    kd_column_id *ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, rel->column_count);
    if (ids == NULL)
        return KD_NOMEM;
    kd_id_set fixed = kdi_set(p);
    for (uint32_t i = 0; i < rel->column_count; i++) {
        ids[i] = rel->columns[i].id;
        if (kd_expr_is_volatile(rel->as.project.exprs[i]))
            KD_TRY(kd_id_set_add(ctx, &fixed, ids[i]));
    }
    for (size_t i = 0; i < conditions->count; i++) {
        bool blocked;
        KD_TRY(kdi_uses_any(ctx, p, conditions->items[i], &fixed, &blocked));
        if (blocked || kd_expr_is_volatile(conditions->items[i])) {
            KD_TRY(kdi_conditions_add(ctx, p, &above, conditions->items[i]));
            continue;
        }
        kd_expr *moved;
        KD_TRY(kdi_substitute(ctx, p, conditions->items[i], ids, rel->as.project.exprs,
                              rel->column_count, &moved));
        KD_TRY(kdi_conditions_add(ctx, p, &below, moved));
    }
    KD_TRY(push_into(ctx, p, &rel->inputs[0], &below));
    return kdi_make_filter(ctx, p, &above, io_rel);
}

/* --- Grouping --- */

typedef struct project_merge {
    kdi_planner *p;
    const kd_rel *project;
    kd_column_id *ids;
    uint32_t *uses; /* Of each column by the operator above. */
    bool has_subquery;
} project_merge;

static kd_status use_count(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    project_merge *merge = object;
    for (uint32_t i = 0; (*slot)->kind == KD_EXPR_COLUMN && i < merge->project->column_count; i++)
        merge->uses[i] += (*slot)->column == merge->ids[i];
    return KD_OK;
}

static kd_status uses_count(kd_ctx *ctx, void *object, kd_expr **slot)
{
    project_merge *merge = object;
    merge->has_subquery = merge->has_subquery || kd_expr_has_subquery(*slot);
    return kd_expr_walk(ctx, slot, use_count, object);
}

static kd_status use_replace(kd_ctx *ctx, void *object, kd_expr **slot)
{
    project_merge *merge = object;
    return kdi_substitute(ctx, merge->p, *slot, merge->ids, merge->project->as.project.exprs,
                          merge->project->column_count, slot);
}

static bool is_cheap(const kd_expr *expr)
{
    return expr->kind == KD_EXPR_COLUMN || expr->kind == KD_EXPR_CONSTANT;
}

/*
 * A projection below goes away when nothing of it is then computed more often: sums of its
 * expressions need no numerics in between.
 */
static kd_status project_take(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, bool *out_taken)
{
    const kd_rel *project = rel->inputs[0];
    *out_taken = false;
    if (project->kind != KD_REL_PROJECT)
        return KD_OK;
    project_merge merge = {.p = p,
                           .project = project,
                           .ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, project->column_count),
                           .uses = KD_NEW_ARRAY(ctx, p->arena, uint32_t, project->column_count)};
    if (merge.ids == NULL || merge.uses == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < project->column_count; i++)
        merge.ids[i] = project->columns[i].id;
    KD_TRY(kd_rel_visit_exprs(ctx, rel, uses_count, &merge));
    for (uint32_t i = 0; i < project->column_count; i++) {
        const kd_expr *expr = project->as.project.exprs[i];
        if (kd_expr_is_volatile(expr) || kd_expr_has_subquery(expr) ||
            (merge.uses[i] > 1 && !is_cheap(expr)))
            return KD_OK;
    }
    if (merge.has_subquery)
        return KD_OK;
    KD_TRY(kd_rel_visit_exprs(ctx, rel, use_replace, &merge));
    rel->inputs[0] = project->inputs[0];
    *out_taken = true;
    return KD_OK;
}

/* Below, among joins. */
static kd_status groups_sink(kd_ctx *ctx, kdi_planner *p, kd_rel *group, kd_rel **out);

static kd_status push_aggregate(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                                kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_conditions below = {0}, above = {0}, moved = {0};
    kd_id_set own = kdi_set(p), keys = kdi_set(p);
    for (bool taken = true; taken;)
        KD_TRY(project_take(ctx, p, rel, &taken));
    kd_rel *sunk;
    KD_TRY(groups_sink(ctx, p, rel, &sunk));
    if (sunk != NULL) {
        *io_rel = sunk;
        return kdi_push_down(ctx, p, conditions, io_rel);
    }
    KD_TRY(kd_rel_column_set(ctx, rel, &own));
    /* With no keys there is a row even where the input has none. */
    uint32_t count = rel->as.aggregate.set_count > 0 ? 0 : rel->as.aggregate.key_count;
    for (uint32_t i = 0; i < count; i++)
        if (!kd_expr_is_volatile(rel->as.aggregate.keys[i]))
            KD_TRY(kd_id_set_add(ctx, &keys, rel->as.aggregate.key_ids[i]));
    if (count == 0)
        above = *conditions;
    else
        KD_TRY(split(ctx, p, conditions, &own, &keys, &below, &above));
    for (size_t i = 0; i < below.count; i++) {
        kd_expr *expr;
        KD_TRY(kdi_substitute(ctx, p, below.items[i], rel->as.aggregate.key_ids,
                              rel->as.aggregate.keys, count, &expr));
        KD_TRY(kdi_conditions_add(ctx, p, &moved, expr));
    }
    KD_TRY(push_into(ctx, p, &rel->inputs[0], &moved));
    return kdi_make_filter(ctx, p, &above, io_rel);
}

static kd_status push_window(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                             kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_conditions below = {0}, above = {0};
    kd_id_set own = kdi_set(p), keys = kdi_set(p);
    KD_TRY(kd_rel_column_set(ctx, rel, &own));
    for (uint32_t i = 0; i < rel->as.window.partition_count; i++)
        if (rel->as.window.partition_by[i]->kind == KD_EXPR_COLUMN)
            KD_TRY(kd_id_set_add(ctx, &keys, rel->as.window.partition_by[i]->column));
    KD_TRY(split(ctx, p, conditions, &own, &keys, &below, &above));
    KD_TRY(push_into(ctx, p, &rel->inputs[0], &below));
    kdi_note_first_rows(rel, &above);
    return kdi_make_filter(ctx, p, &above, io_rel);
}

static kd_status push_distinct(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                               kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    if (rel->as.distinct.on_count == 0)
        return push_into(ctx, p, &rel->inputs[0], conditions);
    KD_TRY(push_nothing(ctx, p, &rel->inputs[0]));
    return kdi_make_filter(ctx, p, conditions, io_rel);
}

/* --- Set operations --- */

static kd_status push_set(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, rel->column_count);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, rel->column_count);
    if (ids == NULL || exprs == NULL)
        return KD_NOMEM;
    kdi_conditions above = {0}, below = {0};
    for (size_t i = 0; i < conditions->count; i++)
        KD_TRY(kdi_conditions_add(ctx, p,
                                  kd_expr_is_volatile(conditions->items[i]) ? &above : &below,
                                  conditions->items[i]));
    for (int side = 0; side < 2; side++) {
        const kd_column_id *from = side == 0 ? rel->as.set.left_ids : rel->as.set.right_ids;
        kdi_conditions moved = {0};
        for (uint32_t c = 0; c < rel->column_count; c++) {
            ids[c] = rel->columns[c].id;
            exprs[c] = kdi_make_column(ctx, p, from[c], rel->columns[c].type);
            if (exprs[c] == NULL)
                return KD_NOMEM;
        }
        for (size_t i = 0; i < below.count; i++) {
            kd_expr *expr;
            KD_TRY(kdi_substitute(ctx, p, below.items[i], ids, exprs, rel->column_count, &expr));
            KD_TRY(kdi_conditions_add(ctx, p, &moved, expr));
        }
        KD_TRY(push_into(ctx, p, &rel->inputs[side], &moved));
    }
    return kdi_make_filter(ctx, p, &above, io_rel);
}

/* --- Joins --- */

/* Whether the condition cannot be true when all columns of `set` are NULL: comparisons of columns
 * and constants by strict operators, and what ANDs of them make. */
static bool strict_in(const kd_expr *expr, const kd_id_set *set)
{
    if (expr->kind == KD_EXPR_COLUMN)
        return kd_id_set_has(set, expr->column);
    bool strict =
        (expr->kind == KD_EXPR_CALL && expr->function->strict) || expr->kind == KD_EXPR_CAST;
    if (!strict)
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (strict_in(expr->arguments[i], set))
            return true;
    return false;
}

static bool rejects_nulls(const kd_expr *expr, const kd_id_set *set)
{
    switch (expr->kind) {
    case KD_EXPR_CALL:
    case KD_EXPR_COLUMN:
        return strict_in(expr, set);
    case KD_EXPR_IN_LIST:
        return strict_in(expr->arguments[0], set);
    case KD_EXPR_NOT:
        return expr->arguments[0]->kind == KD_EXPR_IS_NULL
                   ? strict_in(expr->arguments[0]->arguments[0], set)
                   : strict_in(expr->arguments[0], set);
    case KD_EXPR_AND:
        for (uint32_t i = 0; i < expr->argument_count; i++)
            if (rejects_nulls(expr->arguments[i], set))
                return true;
        return false;
    case KD_EXPR_OR:
        for (uint32_t i = 0; i < expr->argument_count; i++)
            if (!rejects_nulls(expr->arguments[i], set))
                return false;
        return expr->argument_count > 0;
    default:
        return false;
    }
}

static bool any_rejects(const kdi_conditions *conditions, const kd_id_set *set)
{
    for (size_t i = 0; i < conditions->count; i++)
        if (rejects_nulls(conditions->items[i], set))
            return true;
    return false;
}

/* Outer joins whose NULL rows a condition above throws away are not outer. */
static void simplify_outer(kd_rel *rel, const kdi_conditions *conditions, const kd_id_set *left,
                           const kd_id_set *right)
{
    bool left_known = any_rejects(conditions, left), right_known = any_rejects(conditions, right);
    kd_join_kind *kind = &rel->as.join.kind;
    if (*kind == KD_JOIN_FULL && left_known)
        *kind = right_known ? KD_JOIN_INNER : KD_JOIN_LEFT;
    else if (*kind == KD_JOIN_FULL && right_known)
        *kind = KD_JOIN_RIGHT;
    else if (*kind == KD_JOIN_LEFT && right_known)
        *kind = KD_JOIN_INNER;
    else if (*kind == KD_JOIN_RIGHT && left_known)
        *kind = KD_JOIN_INNER;
}

typedef struct leaves {
    kdi_leaf *items;
    size_t count, capacity;
} leaves;

static kd_status leaf_add(kd_ctx *ctx, kdi_planner *p, leaves *list, kdi_leaf leaf)
{
    kdi_leaf *slot;
    KD_TRY(KD_PUSH(ctx, p->arena, list->items, list->count, list->capacity, &slot));
    *slot = leaf;
    return KD_OK;
}

/* Joins that give each left row by itself: their place among inner joins is free. */
static bool keeps_left_rows(const kd_rel *rel)
{
    if (rel->kind != KD_REL_JOIN || rel->as.join.lateral)
        return false;
    switch (rel->as.join.kind) {
    case KD_JOIN_LEFT:
    case KD_JOIN_SEMI:
    case KD_JOIN_ANTI:
    case KD_JOIN_ANTI_NULL:
    case KD_JOIN_MARK:
    case KD_JOIN_SINGLE:
        return rel->as.join.condition == NULL || !kd_expr_is_volatile(rel->as.join.condition);
    default:
        return false;
    }
}

static bool is_plain_inner(const kd_rel *rel)
{
    return rel->kind == KD_REL_JOIN && rel->as.join.kind == KD_JOIN_INNER && !rel->as.join.lateral;
}

/* Joins and filters between them come apart into leaves and conditions, the leftmost leaf first. */
static kd_status flatten(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, leaves *list,
                         kdi_conditions *conditions)
{
    if (rel->kind == KD_REL_FILTER && !kd_expr_is_volatile(rel->as.filter.condition)) {
        KD_TRY(kdi_conditions_add(ctx, p, conditions, rel->as.filter.condition));
        return flatten(ctx, p, rel->inputs[0], list, conditions);
    }
    bool inner = is_plain_inner(rel);
    if (!inner && !keeps_left_rows(rel))
        return leaf_add(ctx, p, list, (kdi_leaf){.rel = rel});
    KD_TRY(kdi_plan_enter(ctx, p));
    KD_TRY(flatten(ctx, p, rel->inputs[0], list, conditions));
    if (inner) {
        KD_TRY(kdi_conditions_add(ctx, p, conditions, rel->as.join.condition));
        KD_TRY(flatten(ctx, p, rel->inputs[1], list, conditions));
    } else {
        kdi_leaf leaf = {.rel = rel->inputs[1],
                         .kind = rel->as.join.kind,
                         .mark = rel->as.join.mark,
                         .mark_is_exists = rel->as.join.mark_is_exists};
        KD_TRY(kdi_conditions_add(ctx, p, &leaf.on, rel->as.join.condition));
        KD_TRY(leaf_add(ctx, p, list, leaf));
    }
    kdi_plan_leave(p);
    return KD_OK;
}

/* Takes the leaf at `at` apart again, now that it is joined inner. */
static kd_status flatten_leaf(kd_ctx *ctx, kdi_planner *p, leaves *list, size_t at,
                              kdi_conditions *conditions)
{
    leaves more = {0};
    KD_TRY(flatten(ctx, p, list->items[at].rel, &more, conditions));
    list->items[at] = more.items[0];
    for (size_t m = 1; m < more.count; m++)
        KD_TRY(leaf_add(ctx, p, list, more.items[m]));
    return KD_OK;
}

/* An outer join among the leaves becomes inner first, where the conditions say so. */
static kd_status simplify_leaves(kd_ctx *ctx, kdi_planner *p, leaves *list,
                                 kdi_conditions *conditions)
{
    for (size_t i = 0; i < list->count; i++) {
        kdi_leaf *leaf = &list->items[i];
        kd_rel *rel = leaf->rel;
        kd_id_set left = kdi_set(p), right = kdi_set(p);
        if (leaf->kind == KD_JOIN_LEFT) {
            KD_TRY(kd_rel_column_set(ctx, rel, &right));
            if (!any_rejects(conditions, &right))
                continue;
            for (size_t c = 0; c < leaf->on.count; c++)
                KD_TRY(kdi_conditions_add(ctx, p, conditions, leaf->on.items[c]));
            leaf->kind = KD_JOIN_INNER;
            KD_TRY(flatten_leaf(ctx, p, list, i, conditions));
            i = SIZE_MAX; /* Leaves before it may be known by the new conditions. */
            continue;
        }
        if (leaf->kind != KD_JOIN_INNER || rel->kind != KD_REL_JOIN || rel->as.join.lateral)
            continue;
        KD_TRY(kd_rel_column_set(ctx, rel->inputs[0], &left));
        KD_TRY(kd_rel_column_set(ctx, rel->inputs[1], &right));
        simplify_outer(rel, conditions, &left, &right);
        if (!is_plain_inner(rel) && !keeps_left_rows(rel))
            continue;
        KD_TRY(flatten_leaf(ctx, p, list, i, conditions));
        i--; /* Look at what took its place. */
    }
    return KD_OK;
}

static kd_status groups_sink(kd_ctx *ctx, kdi_planner *p, kd_rel *group, kd_rel **out)
{
    leaves list = {0};
    kdi_conditions all = {0};
    KD_TRY(flatten(ctx, p, group->inputs[0], &list, &all));
    KD_TRY(simplify_leaves(ctx, p, &list, &all));
    return kdi_group_below(ctx, p, group, list.items, list.count, &all, out);
}

/* What a dependent join's condition says of its right side alone goes there; what a semi join's
 * says of the left alone is a condition like any other. */
static kd_status split_on(kd_ctx *ctx, kdi_planner *p, kdi_leaf *leaf, const kd_id_set *own,
                          kdi_conditions *to_right, kdi_conditions *to_left)
{
    kd_id_set right = kdi_set(p), left = kdi_set(p);
    kdi_conditions rest = {0};
    KD_TRY(kd_rel_column_set(ctx, leaf->rel, &right));
    if (leaf->kind != KD_JOIN_ANTI_NULL && (leaf->kind != KD_JOIN_MARK || leaf->mark_is_exists)) {
        KD_TRY(split(ctx, p, &leaf->on, own, &right, to_right, &rest));
        leaf->on = rest;
    }
    if (leaf->kind != KD_JOIN_SEMI)
        return KD_OK;
    KD_TRY(kd_id_set_unite(ctx, &left, own));
    for (size_t w = 0; w < left.word_count && w < right.word_count; w++)
        left.words[w] &= ~right.words[w];
    rest = (kdi_conditions){0};
    KD_TRY(split(ctx, p, &leaf->on, own, &left, to_left, &rest));
    leaf->on = rest;
    return KD_OK;
}

static kd_status leaves_columns(kd_ctx *ctx, const leaves *list, kd_id_set *own)
{
    for (size_t i = 0; i < list->count; i++) {
        KD_TRY(kd_rel_column_set(ctx, list->items[i].rel, own));
        if (list->items[i].mark != 0)
            KD_TRY(kd_id_set_add(ctx, own, list->items[i].mark));
    }
    return KD_OK;
}

static kd_status push_joins(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                            kd_rel **io_rel)
{
    leaves list = {0};
    kdi_conditions all = {0};
    for (size_t i = 0; i < conditions->count; i++)
        KD_TRY(kdi_conditions_add(ctx, p, &all, conditions->items[i]));
    KD_TRY(flatten(ctx, p, *io_rel, &list, &all));
    KD_TRY(simplify_leaves(ctx, p, &list, &all));
    kd_id_set own = kdi_set(p);
    KD_TRY(leaves_columns(ctx, &list, &own));
    kdi_conditions *to_right = KD_NEW_ARRAY(ctx, p->arena, kdi_conditions, list.count);
    if (to_right == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].kind != KD_JOIN_INNER)
            KD_TRY(split_on(ctx, p, &list.items[i], &own, &to_right[i], &all));
    KD_TRY(kdi_derive_conditions(ctx, p, &all));
    for (size_t i = 0; i < list.count; i++) {
        kd_id_set set = kdi_set(p);
        kdi_conditions inside = {0}, outside = {0};
        kdi_leaf *leaf = &list.items[i];
        if (leaf->kind == KD_JOIN_INNER) {
            KD_TRY(kd_rel_column_set(ctx, leaf->rel, &set));
            KD_TRY(split(ctx, p, &all, &own, &set, &inside, &outside));
            all = outside;
            KD_TRY(kdi_derive_for(ctx, p, &all, &set, &inside));
        }
        KD_TRY(push_into(ctx, p, &leaf->rel, leaf->kind == KD_JOIN_INNER ? &inside : &to_right[i]));
    }
    return kdi_order_joins(ctx, p, list.items, list.count, &all, io_rel);
}

static kd_status push_join(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_id_set left = kdi_set(p), right = kdi_set(p), own = kdi_set(p);
    KD_TRY(kd_rel_column_set(ctx, rel->inputs[0], &left));
    KD_TRY(kd_rel_column_set(ctx, rel->inputs[1], &right));
    KD_TRY(kd_id_set_unite(ctx, &own, &left));
    KD_TRY(kd_id_set_unite(ctx, &own, &right));
    if (rel->as.join.mark != 0)
        KD_TRY(kd_id_set_add(ctx, &own, rel->as.join.mark));
    simplify_outer(rel, conditions, &left, &right);
    kd_join_kind kind = rel->as.join.kind;
    if (is_plain_inner(rel) || keeps_left_rows(rel))
        return push_joins(ctx, p, conditions, io_rel);
    kdi_conditions on = {0}, to_left = {0}, to_right = {0}, above = {0}, rest = {0};
    KD_TRY(kdi_conditions_add(ctx, p, &on, rel->as.join.condition));
    /* From above: into a side whose rows all come through as they are. */
    if (kind == KD_JOIN_RIGHT)
        KD_TRY(split(ctx, p, conditions, &own, &right, &to_right, &above));
    else if (kind == KD_JOIN_FULL)
        above = *conditions;
    else
        KD_TRY(split(ctx, p, conditions, &own, &left, &to_left, &above));
    /* From the join's own condition: into the side that only has to match. */
    if (kind == KD_JOIN_LEFT || kind == KD_JOIN_SEMI || kind == KD_JOIN_ANTI ||
        kind == KD_JOIN_SINGLE || kind == KD_JOIN_INNER ||
        (kind == KD_JOIN_MARK && rel->as.join.mark_is_exists)) {
        KD_TRY(split(ctx, p, &on, &own, &right, &to_right, &rest));
        on = rest;
        rest = (kdi_conditions){0};
    }
    if (kind == KD_JOIN_RIGHT || kind == KD_JOIN_SEMI || kind == KD_JOIN_INNER) {
        KD_TRY(split(ctx, p, &on, &own, &left, &to_left, &rest));
        on = rest;
    }
    KD_TRY(kdi_conditions_join(ctx, p, &on, &rel->as.join.condition));
    KD_TRY(push_into(ctx, p, &rel->inputs[0], &to_left));
    KD_TRY(push_into(ctx, p, &rel->inputs[1], &to_right));
    return kdi_make_filter(ctx, p, &above, io_rel);
}

/* --- All --- */

static kd_status push_filter(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions,
                             kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_conditions all = {0}, stay = {0};
    for (size_t i = 0; i < conditions->count; i++)
        KD_TRY(kdi_conditions_add(ctx, p, &all, conditions->items[i]));
    KD_TRY(kdi_conditions_add(ctx, p, kd_expr_is_volatile(rel->as.filter.condition) ? &stay : &all,
                              rel->as.filter.condition));
    *io_rel = rel->inputs[0];
    if (stay.count > 0) {
        /* Volatile: evaluated exactly where it was written. */
        KD_TRY(push_nothing(ctx, p, io_rel));
        KD_TRY(kdi_make_filter(ctx, p, &stay, io_rel));
        return kdi_make_filter(ctx, p, &all, io_rel);
    }
    return kdi_push_down(ctx, p, &all, io_rel);
}

/* Rows that no condition lets through. */
static kd_status make_empty(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_VALUES, NULL);
    if (rel == NULL)
        return KD_NOMEM;
    rel->columns = (*io_rel)->columns;
    rel->column_count = (*io_rel)->column_count;
    *io_rel = rel;
    return KD_OK;
}

static kd_status push_any(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    for (size_t i = 0; i < conditions->count; i++)
        if (kdi_is_never_true(conditions->items[i]))
            return make_empty(ctx, p, io_rel);
    if (rel->kind == KD_REL_SCAN && conditions->count > 0) {
        bool excluded;
        KD_TRY(kdi_partition_excluded(ctx, p, rel, conditions, &excluded));
        if (excluded)
            return make_empty(ctx, p, io_rel);
    }
    switch (rel->kind) {
    case KD_REL_FILTER:
        return push_filter(ctx, p, conditions, io_rel);
    case KD_REL_PROJECT:
        return push_project(ctx, p, conditions, io_rel);
    case KD_REL_JOIN:
        return push_join(ctx, p, conditions, io_rel);
    case KD_REL_AGGREGATE:
        return push_aggregate(ctx, p, conditions, io_rel);
    case KD_REL_WINDOW:
        return push_window(ctx, p, conditions, io_rel);
    case KD_REL_DISTINCT:
        return push_distinct(ctx, p, conditions, io_rel);
    case KD_REL_SORT:
        return push_into(ctx, p, &rel->inputs[0], conditions);
    case KD_REL_SET:
        return push_set(ctx, p, conditions, io_rel);
    default:
        for (int i = 0; i < 2; i++)
            if (rel->inputs[i] != NULL)
                KD_TRY(push_nothing(ctx, p, &rel->inputs[i]));
        return kdi_make_filter(ctx, p, conditions, io_rel);
    }
}

kd_status kdi_push_down(kd_ctx *ctx, kdi_planner *p, kdi_conditions *conditions, kd_rel **io_rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    KD_TRY(push_any(ctx, p, conditions, io_rel));
    kdi_plan_leave(p);
    return KD_OK;
}
