/*
 * The order of inner joins: greedy by estimated size, joined inputs first.
 *
 * Starts from the pair whose join is smallest and adds the input that keeps the
 * result smallest; cross products come last. The smaller side becomes the right
 * (build) one when the physical join is made.
 */
#include "plan/plan_internal.h"

typedef struct ordering {
    kdi_planner *p;
    kd_rel **leaves;
    size_t leaf_count;
    kd_id_set *sets;
    bool *used;
    kdi_conditions rest;
    kd_id_set own;
} ordering;

/* The conditions that the two sides together can answer, and that neither can alone. */
static kd_status applicable(kd_ctx *ctx, ordering *o, const kd_id_set *have, const kd_id_set *more,
                            kdi_conditions *out, kdi_conditions *out_rest)
{
    kd_id_set both = kdi_set(o->p);
    KD_TRY(kd_id_set_unite(ctx, &both, have));
    KD_TRY(kd_id_set_unite(ctx, &both, more));
    for (size_t i = 0; i < o->rest.count; i++) {
        kd_id_set used = kdi_set(o->p);
        KD_TRY(kd_expr_columns(ctx, o->rest.items[i], &used));
        for (size_t w = 0; w < used.word_count; w++)
            used.words[w] &= w < o->own.word_count ? o->own.words[w] : 0;
        bool fits = kd_id_set_contains(&both, &used);
        KD_TRY(kdi_conditions_add(ctx, o->p, fits ? out : out_rest, o->rest.items[i]));
    }
    return KD_OK;
}

static bool has_equality(const kdi_conditions *list)
{
    kd_expr *sides[2];
    bool null_equal;
    for (size_t i = 0; i < list->count; i++)
        if (kdi_is_equality(list->items[i], &sides[0], &sides[1], &null_equal))
            return true;
    return false;
}

static double joined_size(double left, double right, const kdi_conditions *conditions)
{
    double size = left * right;
    if (has_equality(conditions))
        size = left > right ? left : right;
    for (size_t i = 0; i < conditions->count; i++) {
        kd_expr *sides[2];
        bool null_equal;
        if (!kdi_is_equality(conditions->items[i], &sides[0], &sides[1], &null_equal))
            size *= kdi_selectivity(conditions->items[i]);
    }
    /* A cross product is the last resort even where it looks small. */
    return has_equality(conditions) ? size : size + 1e6;
}

static kd_status join_next(kd_ctx *ctx, ordering *o, kd_rel **io_rel, kd_id_set *have, size_t index)
{
    kdi_conditions here = {0}, rest = {0};
    KD_TRY(applicable(ctx, o, have, &o->sets[index], &here, &rest));
    kd_expr *condition;
    KD_TRY(kdi_conditions_join(ctx, o->p, &here, &condition));
    double size =
        joined_size(kdi_estimate(o->p, *io_rel), kdi_estimate(o->p, o->leaves[index]), &here);
    KD_TRY(kdi_make_join(ctx, o->p, KD_JOIN_INNER, *io_rel, o->leaves[index], condition, io_rel));
    (*io_rel)->row_estimate = has_equality(&here) ? size : size - 1e6;
    o->rest = rest;
    o->used[index] = true;
    return kd_id_set_unite(ctx, have, &o->sets[index]);
}

static kd_status best_next(kd_ctx *ctx, ordering *o, kd_rel *rel, const kd_id_set *have,
                           size_t *out_index)
{
    double best = 0;
    *out_index = SIZE_MAX;
    for (size_t i = 0; i < o->leaf_count; i++) {
        if (o->used[i])
            continue;
        kdi_conditions here = {0}, rest = {0};
        KD_TRY(applicable(ctx, o, have, &o->sets[i], &here, &rest));
        double size = joined_size(kdi_estimate(o->p, rel), kdi_estimate(o->p, o->leaves[i]), &here);
        if (*out_index == SIZE_MAX || size < best) {
            best = size;
            *out_index = i;
        }
    }
    return KD_OK;
}

/* The largest input that is joined by an equality drives: it is streamed, the others are built. */
static size_t first_leaf(ordering *o)
{
    size_t best = 0;
    for (size_t i = 1; i < o->leaf_count; i++)
        if (kdi_estimate(o->p, o->leaves[i]) > kdi_estimate(o->p, o->leaves[best]))
            best = i;
    return best;
}

kd_status kdi_order_joins(kd_ctx *ctx, kdi_planner *p, kd_rel **leaves, size_t leaf_count,
                          kdi_conditions *conditions, kd_rel **out)
{
    ordering o = {
        .p = p, .leaves = leaves, .leaf_count = leaf_count, .rest = *conditions, .own = kdi_set(p)};
    o.sets = KD_NEW_ARRAY(ctx, p->arena, kd_id_set, leaf_count);
    o.used = KD_NEW_ARRAY(ctx, p->arena, bool, leaf_count);
    if (o.sets == NULL || o.used == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < leaf_count; i++) {
        o.sets[i] = kdi_set(p);
        KD_TRY(kd_rel_column_set(ctx, leaves[i], &o.sets[i]));
        KD_TRY(kd_id_set_unite(ctx, &o.own, &o.sets[i]));
    }
    size_t at = first_leaf(&o);
    kd_rel *rel = leaves[at];
    kd_id_set have = kdi_set(p);
    o.used[at] = true;
    KD_TRY(kd_id_set_unite(ctx, &have, &o.sets[at]));
    for (size_t joined = 1; joined < leaf_count; joined++) {
        KD_TRY(best_next(ctx, &o, rel, &have, &at));
        KD_TRY(join_next(ctx, &o, &rel, &have, at));
    }
    *out = rel;
    return kdi_make_filter(ctx, p, &o.rest, out);
}
