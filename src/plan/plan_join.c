/*
 * Joins get their algorithm: APPLY where the right side depends on the left row,
 * a hash join where there are equalities between the sides, a nested loop otherwise.
 */
#include "plan/plan_internal.h"

typedef struct join_keys {
    kd_expr **left, **right;
    bool *null_equal;
    uint32_t count;
    kdi_conditions residual;
} join_keys;

/* Numbers of different precision are held differently: both become plain numeric. */
static kd_status one_form(kd_ctx *ctx, kdi_planner *p, kd_expr **left, kd_expr **right)
{
    kd_type type = (*left)->type;
    if (type.id != KD_TYPE_NUMERIC || type.modifier == (*right)->type.modifier)
        return KD_OK;
    type.modifier = -1;
    kd_expr **sides[2] = {left, right};
    for (int i = 0; i < 2; i++) {
        if ((*sides[i])->type.modifier == -1)
            continue;
        kd_expr *cast = kdi_make_expr(ctx, p, KD_EXPR_CAST, type, 1);
        if (cast == NULL)
            return KD_NOMEM;
        cast->arguments[0] = *sides[i];
        cast->cast = kd_registry_find_cast(p->registry, (*sides[i])->type, type, KD_CAST_IMPLICIT);
        *sides[i] = cast;
    }
    return KD_OK;
}

static kd_status find_keys(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, join_keys *keys)
{
    kd_id_set left = kdi_set(p), right = kdi_set(p);
    kdi_conditions all = {0};
    KD_TRY(kd_rel_column_set(ctx, rel->inputs[0], &left));
    KD_TRY(kd_rel_column_set(ctx, rel->inputs[1], &right));
    KD_TRY(kdi_conditions_add(ctx, p, &all, rel->as.join.condition));
    keys->left = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, all.count);
    keys->right = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, all.count);
    keys->null_equal = KD_NEW_ARRAY(ctx, p->arena, bool, all.count);
    if (keys->left == NULL || keys->right == NULL || keys->null_equal == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < all.count; i++) {
        kd_expr *sides[2];
        bool null_equal, uses_left[2], uses_right[2];
        if (!p->options->no_hash_joins &&
            kdi_is_equality(all.items[i], &sides[0], &sides[1], &null_equal) &&
            !kd_expr_is_volatile(all.items[i])) {
            for (int s = 0; s < 2; s++) {
                KD_TRY(kdi_uses_any(ctx, p, sides[s], &left, &uses_left[s]));
                KD_TRY(kdi_uses_any(ctx, p, sides[s], &right, &uses_right[s]));
            }
            int of_right = uses_right[1] && !uses_left[1] && !uses_right[0]   ? 1
                           : uses_right[0] && !uses_left[0] && !uses_right[1] ? 0
                                                                              : -1;
            if (of_right >= 0) {
                kd_expr *of_left = sides[1 - of_right];
                KD_TRY(one_form(ctx, p, &of_left, &sides[of_right]));
                keys->left[keys->count] = of_left;
                keys->right[keys->count] = sides[of_right];
                keys->null_equal[keys->count++] = null_equal;
                continue;
            }
        }
        KD_TRY(kdi_conditions_add(ctx, p, &keys->residual, all.items[i]));
    }
    return KD_OK;
}

static kd_status outputs(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                         kd_plan *plan)
{
    return kdi_plan_columns(ctx, p, rel->columns, rel->column_count, needed, plan);
}

/* What a side has to give: what is needed above, and what the join's condition names. */
static kd_status sides_plan(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                            kd_plan *plan)
{
    kd_id_set below = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, &below, needed));
    if (rel->as.join.condition != NULL)
        KD_TRY(kd_expr_columns(ctx, rel->as.join.condition, &below));
    if (rel->as.join.lateral)
        KD_TRY(kd_rel_free_columns(ctx, rel->inputs[1], &below));
    for (int i = 0; i < 2; i++)
        KD_TRY(kdi_physical(ctx, p, rel->inputs[i], &below, &plan->inputs[i]));
    /* The build side keeps its rows: only the columns that are wanted. */
    kd_plan *build = plan->inputs[1];
    kd_rel_column *kept = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, build->column_count);
    if (kept == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < build->column_count; i++)
        if (kd_id_set_has(&below, build->columns[i].id))
            kept[count++] = build->columns[i];
    return count < build->column_count ? kdi_exact_columns(ctx, p, kept, count, &plan->inputs[1])
                                       : KD_OK;
}

static kd_status plan_apply(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                            kd_plan **out)
{
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_APPLY, kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(outputs(ctx, p, rel, needed, plan));
    KD_TRY(sides_plan(ctx, p, rel, needed, plan));
    kd_id_set free_ids = kdi_set(p);
    KD_TRY(kd_rel_free_columns(ctx, rel->inputs[1], &free_ids));
    kd_column_id *ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, rel->inputs[0]->column_count);
    if (ids == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rel->inputs[0]->column_count; i++)
        if (kd_id_set_has(&free_ids, rel->inputs[0]->columns[i].id))
            ids[count++] = rel->inputs[0]->columns[i].id;
    plan->as.apply.kind = rel->as.join.kind;
    plan->as.apply.outer_count = count;
    plan->as.apply.outer_ids = ids;
    plan->as.apply.condition = rel->as.join.condition;
    plan->as.apply.mark = rel->as.join.mark;
    *out = plan;
    return KD_OK;
}

static void swap_sides(kd_rel *rel)
{
    kd_rel *left = rel->inputs[0];
    rel->inputs[0] = rel->inputs[1];
    rel->inputs[1] = left;
}

/* The right side is kept in memory: it should be the smaller one where there is a choice. */
static void choose_sides(kdi_planner *p, kd_rel *rel, bool hashed)
{
    double left = kdi_estimate(p, rel->inputs[0]), right = kdi_estimate(p, rel->inputs[1]);
    switch (rel->as.join.kind) {
    case KD_JOIN_INNER:
        if (left < right)
            swap_sides(rel);
        return;
    case KD_JOIN_SEMI:
    case KD_JOIN_ANTI:
        if (hashed && left < right) {
            swap_sides(rel);
            rel->as.join.kind =
                rel->as.join.kind == KD_JOIN_SEMI ? KD_JOIN_RIGHT_SEMI : KD_JOIN_RIGHT_ANTI;
        }
        return;
    case KD_JOIN_LEFT:
        if (hashed && left * 4 < right) {
            swap_sides(rel);
            rel->as.join.kind = KD_JOIN_RIGHT;
        }
        return;
    case KD_JOIN_RIGHT:
        if (!hashed || left < right * 4) {
            swap_sides(rel);
            rel->as.join.kind = KD_JOIN_LEFT;
        }
        return;
    default:
        return;
    }
}

static bool keys_are_usable(const kd_rel *rel, const join_keys *keys)
{
    if (keys->count == 0)
        return false;
    /* Three-valued answers: only one comparison can be told from the hash table. */
    if (rel->as.join.kind == KD_JOIN_MARK && !rel->as.join.mark_is_exists)
        return keys->count == 1 && keys->residual.count == 0;
    return true;
}

enum { ROWS_PER_LOOKUP = 5000 };

/* Few left rows and an index on the right side's key: each left row looks its matches up,
 * instead of the whole right side being read. */
static kd_status try_lookups(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, bool *out_done)
{
    *out_done = false;
    kd_join_kind kind = rel->as.join.kind;
    if (kind != KD_JOIN_INNER && kind != KD_JOIN_LEFT && kind != KD_JOIN_SEMI &&
        kind != KD_JOIN_ANTI)
        return KD_OK;
    for (int side = 1; side >= (kind == KD_JOIN_INNER ? 0 : 1); side--) {
        kd_rel *right = rel->inputs[side], *filter = NULL;
        if (right->kind == KD_REL_FILTER) {
            filter = right;
            right = right->inputs[0];
        }
        double left_rows = kdi_estimate(p, rel->inputs[1 - side]);
        if (right->kind != KD_REL_SCAN || left_rows * ROWS_PER_LOOKUP > kdi_estimate(p, right) ||
            rel->as.join.condition == NULL)
            continue;
        kdi_conditions all = {0};
        bool serves;
        KD_TRY(kdi_conditions_add(ctx, p, &all, rel->as.join.condition));
        if (filter != NULL)
            KD_TRY(kdi_conditions_add(ctx, p, &all, filter->as.filter.condition));
        KD_TRY(kdi_index_serves(ctx, p, right, &all, &serves));
        if (!serves)
            continue;
        KD_TRY(kdi_make_filter(ctx, p, &all, &right));
        kd_rel *left = rel->inputs[1 - side];
        rel->inputs[0] = left;
        rel->inputs[1] = right;
        rel->as.join.condition = NULL;
        rel->as.join.lateral = true;
        *out_done = true;
        return KD_OK;
    }
    return KD_OK;
}

/* --- Joins that change nothing --- */

/* Whether the conditions fix the column of the right side by something of the left. */
static kd_status is_fixed(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *all,
                          const kd_id_set *right, kd_column_id column, bool *out_fixed)
{
    *out_fixed = false;
    for (size_t i = 0; i < all->count && !*out_fixed; i++) {
        kd_expr *sides[2];
        bool null_equal, uses_right;
        if (!kdi_is_equality(all->items[i], &sides[0], &sides[1], &null_equal) || null_equal)
            continue;
        for (int s = 0; s < 2 && !*out_fixed; s++) {
            if (sides[s]->kind != KD_EXPR_COLUMN || sides[s]->column != column)
                continue;
            KD_TRY(kdi_uses_any(ctx, p, sides[1 - s], right, &uses_right));
            *out_fixed = !uses_right;
        }
    }
    return KD_OK;
}

static kd_status index_is_fixed(kd_ctx *ctx, kdi_planner *p, const kdi_conditions *all,
                                const kd_id_set *right, const kd_rel *scan,
                                const kd_table_index *index, bool *out_fixed)
{
    const kd_table_entry *table = scan->as.scan.table;
    *out_fixed = index->storage.unique && index->storage.predicate_column_no < 0 &&
                 !index->storage.deferrable;
    for (uint32_t k = 0; k < index->storage.column_count && *out_fixed; k++) {
        kd_column_id id = 0;
        for (uint32_t c = 0; c < scan->column_count; c++)
            if (scan->columns[c].id != scan->as.scan.ref_column &&
                table->columns[scan->as.scan.positions[c]].storage.column_no ==
                    index->storage.columns[k].column_no)
                id = scan->columns[c].id;
        *out_fixed = false;
        if (id != 0)
            KD_TRY(is_fixed(ctx, p, all, right, id, out_fixed));
    }
    return KD_OK;
}

/* Whether a left row has at most one partner: a unique index, or groups, of the right side. */
static kd_status matches_once(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, bool *out_once)
{
    kdi_conditions all = {0};
    kd_id_set right = kdi_set(p);
    kd_rel *at = rel->inputs[1];
    KD_TRY(kd_rel_column_set(ctx, at, &right));
    KD_TRY(kdi_conditions_add(ctx, p, &all, rel->as.join.condition));
    *out_once = false;
    while (at->kind == KD_REL_FILTER)
        at = at->inputs[0];
    if (at->kind == KD_REL_AGGREGATE && at->as.aggregate.set_count == 0) {
        *out_once = true;
        for (uint32_t k = 0; k < at->as.aggregate.key_count && *out_once; k++)
            KD_TRY(is_fixed(ctx, p, &all, &right, at->as.aggregate.key_ids[k], out_once));
        return KD_OK;
    }
    for (uint32_t i = 0; at->kind == KD_REL_SCAN && i < at->as.scan.table->index_count; i++) {
        KD_TRY(index_is_fixed(ctx, p, &all, &right, at, &at->as.scan.table->indexes[i], out_once));
        if (*out_once)
            break;
    }
    return KD_OK;
}

/* A join that keeps its left rows one by one, whose right side nobody asks for, is its left side. A
 * scalar sub-query that is not asked for does not fail either, as in PostgreSQL. */
static kd_status is_needless(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                             bool *out_needless)
{
    *out_needless = false;
    kd_join_kind kind = rel->as.join.kind;
    const kd_expr *condition = rel->as.join.condition;
    bool is_mark = kind == KD_JOIN_MARK && !kd_id_set_has(needed, rel->as.join.mark);
    if ((kind != KD_JOIN_LEFT && kind != KD_JOIN_SINGLE && !is_mark) ||
        (condition != NULL && kd_expr_is_volatile(condition)) || kd_rel_is_volatile(rel->inputs[1]))
        return KD_OK;
    for (uint32_t i = 0; i < rel->inputs[1]->column_count; i++)
        if (kd_id_set_has(needed, rel->inputs[1]->columns[i].id))
            return KD_OK;
    if (kind == KD_JOIN_LEFT && (rel->as.join.lateral || condition == NULL))
        return KD_OK;
    *out_needless = true;
    return kind == KD_JOIN_LEFT ? matches_once(ctx, p, rel, out_needless) : KD_OK;
}

kd_status kdi_plan_join(kd_ctx *ctx, kdi_planner *p, kd_rel *rel, const kd_id_set *needed,
                        kd_plan **out)
{
    bool looks_up = false, needless;
    KD_TRY(is_needless(ctx, p, rel, needed, &needless));
    if (needless)
        return kdi_physical(ctx, p, rel->inputs[0], needed, out);
    if (!rel->as.join.lateral)
        KD_TRY(try_lookups(ctx, p, rel, &looks_up));
    if (rel->as.join.lateral)
        return plan_apply(ctx, p, rel, needed, out);
    join_keys keys = {0};
    KD_TRY(find_keys(ctx, p, rel, &keys));
    choose_sides(p, rel, keys.count > 0);
    keys = (join_keys){0};
    KD_TRY(find_keys(ctx, p, rel, &keys));
    bool hashed = keys_are_usable(rel, &keys);
    kd_plan *plan = kdi_make_plan(ctx, p, hashed ? KD_PLAN_HASH_JOIN : KD_PLAN_NESTED_LOOP,
                                  kdi_estimate(p, rel), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(outputs(ctx, p, rel, needed, plan));
    KD_TRY(sides_plan(ctx, p, rel, needed, plan));
    plan->as.join.kind = rel->as.join.kind;
    plan->as.join.mark = rel->as.join.mark;
    plan->as.join.residual = rel->as.join.condition;
    *out = plan;
    if (!hashed)
        return KD_OK;
    plan->as.join.key_count = keys.count;
    plan->as.join.left_keys = keys.left;
    plan->as.join.right_keys = keys.right;
    plan->as.join.null_equal = keys.null_equal;
    if (rel->as.join.kind == KD_JOIN_INNER)
        plan->as.join.build_key = rel->inputs[1]->row_key;
    return kdi_conditions_join(ctx, p, &keys.residual, &plan->as.join.residual);
}
