/*
 * The order of joins, by cost.
 *
 * Leaves are joined inner, or are dependent: the right side of a semi, anti, outer, mark or single
 * join, which keeps its left side's rows one by one and so may be joined at any point at which
 * everything that its condition names is there. Up to DP_LEAVES leaves, every connected subset gets
 * its cheapest bushy tree (Selinger et al. 1979, over subsets as in Moerkotte and Neumann, VLDB
 * 2006); beyond that, and between parts that nothing connects, the pair with the smallest result is
 * joined next (Fegaras 1998).
 *
 * Columns that equalities make equal are a class: one equality per class and join is enough, and
 * any two members can be compared, written or not. A subset's rows follow from its leaves and
 * conditions alone, whatever the tree.
 */
#include "base/hash.h"
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

enum {
    DP_LEAVES = 12,
    LEAVES_MAX = 64,            /* A leaf_mask has no more bits. */
    BUILD_ROWS_CACHED = 100000, /* A larger hash table misses the cache at each probe. */
};

typedef uint64_t leaf_mask;

typedef struct class_member {
    const kd_expr *column;
    uint32_t leaf;
    double distinct;
} class_member;

/* Columns that are equal to each other in the result. */
typedef struct column_class {
    const kd_function *equal;
    class_member *members;
    size_t member_count, member_capacity;
    leaf_mask leaves;
    bool is_dissolved; /* Two members in one leaf: its equalities stand for themselves. */
} column_class;

typedef struct join_condition {
    kd_expr *expr;
    leaf_mask leaves;
    double share;
    column_class *of_class; /* NULL: none. */
} join_condition;

/* A subset's best tree. */
typedef struct subset {
    double cost, rows;
    leaf_mask left; /* 0: a leaf, or not reachable (cost is infinite). */
} subset;

/* A subset whose rows an earlier run has counted: those of every subset around it change alike. */
typedef struct known_subset {
    leaf_mask leaves;
    double factor;
} known_subset;

typedef struct ordering {
    kdi_planner *p;
    kdi_leaf *leaves;
    uint32_t count;
    kd_id_set *sets;
    double *rows;        /* Inner leaves: theirs. Dependent ones: what they make of a left row. */
    leaf_mask *needs;    /* Dependent leaves: what must be on their left. */
    leaf_mask *nearby;   /* Leaves that a condition or a need connects. */
    leaf_mask dependent; /* All dependent leaves. */
    join_condition *conditions;
    size_t condition_count;
    column_class *classes;
    size_t class_count, class_capacity;
    double *pair_factor;  /* count * count: correction for pairs that several classes join. */
    kdi_conditions loose; /* Conditions that name no leaf. */
    subset *table;        /* By mask, up to DP_LEAVES. */
    known_subset *known;
    uint32_t known_count;
} ordering;

static inline leaf_mask bit(uint32_t leaf)
{
    return (leaf_mask)1 << leaf;
}

static inline uint32_t first_of(leaf_mask mask)
{
    return (uint32_t)__builtin_ctzll(mask);
}

/* --- The graph -------------------------------------------------------------------------------- */

static kd_status leaves_of(kd_ctx *ctx, ordering *o, const kd_expr *expr, leaf_mask *out)
{
    kd_id_set used = kdi_set(o->p);
    KD_TRY(kd_expr_columns(ctx, expr, &used));
    *out = 0;
    for (uint32_t i = 0; i < o->count; i++)
        if (kd_id_set_overlaps(&o->sets[i], &used))
            *out |= bit(i);
    return KD_OK;
}

static column_class *class_with(ordering *o, const kd_expr *column)
{
    for (size_t c = 0; c < o->class_count; c++)
        for (size_t m = 0; m < o->classes[c].member_count; m++)
            if (o->classes[c].members[m].column->column == column->column)
                return &o->classes[c];
    return NULL;
}

static kd_status class_join(kd_ctx *ctx, ordering *o, column_class *class, const kd_expr *column)
{
    class_member *slot;
    leaf_mask leaf;
    KD_TRY(leaves_of(ctx, o, column, &leaf));
    KD_TRY(KD_PUSH(ctx, o->p->arena, class->members, class->member_count, class->member_capacity,
                   &slot));
    double distinct = kdi_distinct(o->p, column);
    uint32_t at = first_of(leaf);
    *slot =
        (class_member){.column = column,
                       .leaf = at,
                       .distinct = distinct > 0 ? distinct : kdi_estimate(o->p, o->leaves[at].rel)};
    class->is_dissolved |= (class->leaves & leaf) != 0;
    class->leaves |= leaf;
    return KD_OK;
}

/* a = b: their classes become one. Whatever is not an equality of two leaves' columns is left. */
static kd_status class_note(kd_ctx *ctx, ordering *o, const join_condition *condition)
{
    kd_expr *sides[2];
    bool null_equal;
    if (__builtin_popcountll(condition->leaves) != 2 || (condition->leaves & o->dependent) != 0 ||
        !kdi_is_equality(condition->expr, &sides[0], &sides[1], &null_equal) || null_equal ||
        sides[0]->kind != KD_EXPR_COLUMN || sides[1]->kind != KD_EXPR_COLUMN)
        return KD_OK;
    column_class *of[2] = {class_with(o, sides[0]), class_with(o, sides[1])};
    for (int s = 0; s < 2; s++)
        if (of[s] != NULL && of[s]->equal != condition->expr->function)
            return KD_OK;
    if (of[0] == NULL && of[1] == NULL) {
        KD_TRY(KD_PUSH(ctx, o->p->arena, o->classes, o->class_count, o->class_capacity, &of[0]));
        *of[0] = (column_class){.equal = condition->expr->function};
        KD_TRY(class_join(ctx, o, of[0], sides[0]));
        return class_join(ctx, o, of[0], sides[1]);
    }
    if (of[0] == NULL || of[1] == NULL)
        return class_join(ctx, o, of[0] == NULL ? of[1] : of[0], sides[of[0] == NULL ? 0 : 1]);
    if (of[0] == of[1])
        return KD_OK;
    for (size_t m = 0; m < of[1]->member_count; m++)
        KD_TRY(class_join(ctx, o, of[0], of[1]->members[m].column));
    of[0]->is_dissolved |= of[1]->is_dissolved;
    *of[1] = (column_class){0};
    return KD_OK;
}

static void connect_leaves(ordering *o, leaf_mask all)
{
    for (leaf_mask left = all; left != 0; left &= left - 1)
        o->nearby[first_of(left)] |= all & ~bit(first_of(left));
}

static kd_status conditions_note(kd_ctx *ctx, ordering *o, const kdi_conditions *list)
{
    o->conditions = KD_NEW_ARRAY(ctx, o->p->arena, join_condition, list->count);
    if (o->conditions == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        join_condition *condition = &o->conditions[o->condition_count];
        *condition = (join_condition){.expr = list->items[i]};
        KD_TRY(leaves_of(ctx, o, list->items[i], &condition->leaves));
        /* A dependent leaf's columns are there only where it has been joined to what it needs. */
        for (leaf_mask at = condition->leaves & o->dependent; at != 0; at &= at - 1)
            condition->leaves |= o->needs[first_of(at)];
        if (condition->leaves == 0) {
            KD_TRY(kdi_conditions_add(ctx, o->p, &o->loose, list->items[i]));
            continue;
        }
        o->condition_count++;
        KD_TRY(class_note(ctx, o, condition));
    }
    for (size_t i = 0; i < o->condition_count; i++) {
        join_condition *condition = &o->conditions[i];
        kd_expr *sides[2];
        bool null_equal;
        bool equal = kdi_is_equality(condition->expr, &sides[0], &sides[1], &null_equal);
        bool of_columns = equal && !null_equal && sides[0]->kind == KD_EXPR_COLUMN &&
                          sides[1]->kind == KD_EXPR_COLUMN;
        column_class *class = of_columns ? class_with(o, sides[0]) : NULL;
        if (class != NULL && class == class_with(o, sides[1]) && !class->is_dissolved &&
            class->equal == condition->expr->function)
            condition->of_class = class;
        else
            condition->share = equal ? kdi_equality_share(o->p, sides[0], sides[1], 1000, 1000)
                                     : kdi_selectivity(o->p, condition->expr);
        if (equal || __builtin_popcountll(condition->leaves) == 2)
            connect_leaves(o, condition->leaves);
    }
    for (size_t c = 0; c < o->class_count; c++)
        if (!o->classes[c].is_dissolved)
            connect_leaves(o, o->classes[c].leaves);
    return KD_OK;
}

/* What a dependent leaf makes of each left row, and what it needs there. */
static kd_status dependent_note(kd_ctx *ctx, ordering *o, uint32_t at)
{
    kdi_leaf *leaf = &o->leaves[at];
    const double left = 1e6; /* Only the share counts. */
    double rows = kdi_join_rows(o->p, leaf->kind, &leaf->on, left, kdi_estimate(o->p, leaf->rel));
    o->rows[at] = rows / left;
    for (size_t i = 0; i < leaf->on.count; i++) {
        leaf_mask used;
        KD_TRY(leaves_of(ctx, o, leaf->on.items[i], &used));
        o->needs[at] |= used & ~bit(at);
    }
    if (o->needs[at] == 0)
        o->needs[at] = bit(0); /* Leaf 0 is never dependent. */
    connect_leaves(o, o->needs[at] | bit(at));
    return KD_OK;
}

/* Two leaves joined by several classes: the product of the classes' values is more than there are
 * combinations. */
static void pair_note(ordering *o, uint32_t a, uint32_t b)
{
    const kd_rel *scans[2] = {NULL, NULL};
    uint32_t positions[2][16], count = 0;
    double product = 1;
    for (size_t c = 0; c < o->class_count && count < 16; c++) {
        const column_class *class = &o->classes[c];
        double most = 0;
        if (class->is_dissolved || (~class->leaves & (bit(a) | bit(b))) != 0)
            continue;
        for (size_t m = 0; m < class->member_count; m++) {
            const class_member *member = &class->members[m];
            if (member->leaf != a && member->leaf != b)
                continue;
            int side = member->leaf == b;
            const kdi_origin *origin = kdi_origin_of(o->p, member->column->column);
            if (origin == NULL || (scans[side] != NULL && scans[side] != origin->scan))
                return;
            scans[side] = origin->scan;
            positions[side][count] = origin->position;
            most = fmax(most, member->distinct);
        }
        product *= most;
        count++;
    }
    if (count < 2)
        return;
    double together = product;
    for (int side = 0; side < 2; side++) {
        double distinct = kdi_distinct_together(o->p, scans[side], positions[side], count);
        if (distinct > 0)
            together = fmin(together, distinct);
    }
    o->pair_factor[(size_t)a * o->count + b] = product / together;
}

static kd_status graph_make(kd_ctx *ctx, ordering *o, const kdi_conditions *conditions)
{
    kd_arena *arena = o->p->arena;
    o->sets = KD_NEW_ARRAY(ctx, arena, kd_id_set, o->count);
    o->rows = KD_NEW_ARRAY(ctx, arena, double, o->count);
    o->needs = KD_NEW_ARRAY(ctx, arena, leaf_mask, o->count);
    o->nearby = KD_NEW_ARRAY(ctx, arena, leaf_mask, o->count);
    o->pair_factor = KD_NEW_ARRAY(ctx, arena, double, (size_t)o->count * o->count);
    if (o->sets == NULL || o->rows == NULL || o->needs == NULL || o->nearby == NULL ||
        o->pair_factor == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < o->count; i++) {
        o->sets[i] = kdi_set(o->p);
        KD_TRY(kd_rel_column_set(ctx, o->leaves[i].rel, &o->sets[i]));
        if (o->leaves[i].mark != 0)
            KD_TRY(kd_id_set_add(ctx, &o->sets[i], o->leaves[i].mark));
        if (o->leaves[i].kind != KD_JOIN_INNER)
            o->dependent |= bit(i);
        o->rows[i] = kdi_estimate(o->p, o->leaves[i].rel);
    }
    for (uint32_t i = 0; i < o->count; i++)
        if ((o->dependent & bit(i)) != 0)
            KD_TRY(dependent_note(ctx, o, i));
    KD_TRY(conditions_note(ctx, o, conditions));
    for (uint32_t a = 0; a < o->count; a++)
        for (uint32_t b = a + 1; b < o->count && o->class_count > 1; b++)
            pair_note(o, a, b);
    return KD_OK;
}

/* --- Rows and cost ------------------------------------------------------------------------------
 */

/* All but the class's smallest member in the subset divide. */
static double class_share(const column_class *class, leaf_mask all)
{
    double share = 1, least = INFINITY;
    leaf_mask here = class->leaves & all;
    if (class->is_dissolved || here == 0 || (here & (here - 1)) == 0)
        return 1;
    for (size_t m = 0; m < class->member_count; m++) {
        const class_member *member = &class->members[m];
        if ((bit(member->leaf) & all) == 0)
            continue;
        share /= member->distinct;
        least = fmin(least, member->distinct);
    }
    return share * least;
}

/* By how much the estimate of what contains counted subsets is wrong: the largest of them count. */
static double known_factor(const ordering *o, leaf_mask all)
{
    double factor = 1;
    for (uint32_t i = 0; i < o->known_count; i++) {
        if ((o->known[i].leaves & ~all) != 0)
            continue;
        factor *= o->known[i].factor;
        all &= ~o->known[i].leaves;
    }
    return factor;
}

static double subset_rows(const ordering *o, leaf_mask all)
{
    double rows = known_factor(o, all);
    for (leaf_mask left = all; left != 0; left &= left - 1)
        rows *= o->rows[first_of(left)];
    for (size_t c = 0; c < o->class_count; c++)
        rows *= class_share(&o->classes[c], all);
    for (size_t i = 0; i < o->condition_count; i++)
        if (o->conditions[i].of_class == NULL && (o->conditions[i].leaves & ~all) == 0)
            rows *= o->conditions[i].share;
    for (uint32_t b = 1; b < o->count && o->class_count > 1; b++) {
        if ((all & bit(b)) == 0)
            continue;
        for (uint32_t a = 0; a < b; a++) {
            double factor = (all & bit(a)) == 0 ? 0 : o->pair_factor[(size_t)a * o->count + b];
            if (factor > 1) {
                rows *= factor;
                break;
            }
        }
    }
    return rows < 1 ? 1 : rows;
}

/* Names the subset's tables by columns that they give, whatever the tree. */
static uint64_t row_key(const ordering *o, leaf_mask all)
{
    uint64_t key = 0;
    for (leaf_mask left = all; left != 0; left &= left - 1) {
        const kd_rel *rel = o->leaves[first_of(left)].rel;
        if (rel->column_count == 0)
            return 0;
        key += kd_hash_u64(rel->columns[0].id);
    }
    return (all & o->dependent) != 0 ? 0 : key;
}

static int by_leaves_descending(const void *a, const void *b)
{
    return __builtin_popcountll(((const known_subset *)b)->leaves) -
           __builtin_popcountll(((const known_subset *)a)->leaves);
}

/* Which subsets were counted before, the largest first. */
static kd_status known_find(kd_ctx *ctx, ordering *o)
{
    const kd_plan_options *options = o->p->options;
    if (options->known_count == 0 || o->count > DP_LEAVES)
        return KD_OK;
    known_subset *known = KD_NEW_ARRAY(ctx, o->p->arena, known_subset, options->known_count);
    if (known == NULL)
        return KD_NOMEM;
    uint32_t count = 0;
    for (leaf_mask all = 1; all < bit(o->count); all++) {
        uint64_t key = row_key(o, all);
        for (uint32_t i = 0; key != 0 && i < options->known_count; i++)
            if (options->known[i].key == key && count < options->known_count)
                known[count++] = (known_subset){all, options->known[i].rows / subset_rows(o, all)};
    }
    qsort(known, count, sizeof *known, by_leaves_descending);
    o->known = known;
    o->known_count = count;
    return KD_OK;
}

/* Whether the two can be joined at all; a dependent leaf comes by itself, to what it needs. */
static bool may_join(const ordering *o, leaf_mask left, leaf_mask right)
{
    bool left_alone = (left & (left - 1)) == 0 && (left & o->dependent) != 0;
    bool right_alone = (right & (right - 1)) == 0 && (right & o->dependent) != 0;
    if (left_alone && right_alone)
        return false;
    if (left_alone)
        return (o->needs[first_of(left)] & ~right) == 0;
    return !right_alone || (o->needs[first_of(right)] & ~left) == 0;
}

static bool is_connected(const ordering *o, leaf_mask left, leaf_mask right)
{
    for (leaf_mask at = left; at != 0; at &= at - 1)
        if ((o->nearby[first_of(at)] & right) != 0)
            return true;
    return false;
}

/* Rows of a side as they come into a join: a dependent leaf's own. */
static double side_rows(const ordering *o, leaf_mask side, double rows)
{
    bool alone = (side & (side - 1)) == 0 && (side & o->dependent) != 0;
    return alone ? kdi_estimate(o->p, o->leaves[first_of(side)].rel) : rows;
}

double kdi_join_cost(double build, double probe, double out)
{
    return build * 2 + probe * (build > BUILD_ROWS_CACHED ? 1.5 : 0.7) + out * 0.7;
}

static double join_cost(double left, double right, double out, bool connected)
{
    if (!connected)
        return left * right + out;
    return kdi_join_cost(fmin(left, right), fmax(left, right), out);
}

/* --- Every connected subset ----------------------------------------------------------------------
 */

static void subset_try(ordering *o, leaf_mask left, leaf_mask right)
{
    subset *whole = &o->table[left | right];
    const subset *a = &o->table[left], *b = &o->table[right];
    if (isinf(a->cost) || isinf(b->cost) || !may_join(o, left, right) ||
        !is_connected(o, left, right))
        return;
    if (whole->rows == 0)
        whole->rows = subset_rows(o, left | right);
    double cost =
        a->cost + b->cost +
        join_cost(side_rows(o, left, a->rows), side_rows(o, right, b->rows), whole->rows, true);
    if (cost < whole->cost) {
        whole->cost = cost;
        whole->left = left;
    }
}

static kd_status subsets_fill(kd_ctx *ctx, ordering *o)
{
    size_t count = (size_t)1 << o->count;
    o->table = KD_NEW_ARRAY(ctx, o->p->arena, subset, count);
    if (o->table == NULL)
        return KD_NOMEM;
    for (leaf_mask all = 1; all < count; all++) {
        o->table[all].cost = (all & (all - 1)) == 0 ? 0 : INFINITY;
        if ((all & (all - 1)) == 0) {
            o->table[all].rows = o->rows[first_of(all)] * known_factor(o, all);
            continue;
        }
        /* Each pair once: the left part has the lowest leaf. */
        leaf_mask lowest = all & -all, rest = all ^ lowest;
        for (leaf_mask part = (rest - 1) & rest;; part = (part - 1) & rest) {
            subset_try(o, part | lowest, rest ^ part);
            if (part == 0)
                break;
        }
    }
    return KD_OK;
}

/* --- Trees
 * ---------------------------------------------------------------------------------------- */

static kd_expr *member_in(const column_class *class, leaf_mask side)
{
    for (size_t m = 0; m < class->member_count; m++)
        if ((bit(class->members[m].leaf) & side) != 0)
            return (kd_expr *)(uintptr_t) class->members[m].column;
    return NULL;
}

/* What the join of the two can decide: written equalities of a class before made ones. */
static kd_status conditions_between(kd_ctx *ctx, ordering *o, leaf_mask left, leaf_mask right,
                                    kdi_conditions *out)
{
    leaf_mask all = left | right;
    for (size_t i = 0; i < o->condition_count; i++) {
        const join_condition *condition = &o->conditions[i];
        bool here = (condition->leaves & ~all) == 0 && (condition->leaves & ~left) != 0 &&
                    (condition->leaves & ~right) != 0;
        if (here && condition->of_class == NULL)
            KD_TRY(kdi_conditions_add(ctx, o->p, out, condition->expr));
    }
    for (size_t c = 0; c < o->class_count; c++) {
        const column_class *class = &o->classes[c];
        kd_expr *made = NULL;
        if (class->is_dissolved || (class->leaves & left) == 0 || (class->leaves & right) == 0)
            continue;
        for (size_t i = 0; i < o->condition_count && made == NULL; i++) {
            const join_condition *condition = &o->conditions[i];
            if (condition->of_class == class && (condition->leaves & ~all) == 0 &&
                (condition->leaves & left) != 0 && (condition->leaves & right) != 0)
                made = condition->expr;
        }
        if (made == NULL)
            KD_TRY(kdi_make_call(ctx, o->p, class->equal, member_in(class, left),
                                 member_in(class, right), &made));
        KD_TRY(kdi_conditions_add(ctx, o->p, out, made));
    }
    return KD_OK;
}

/* A dependent leaf joined to its left side; conditions on its columns stand above. */
static kd_status dependent_join(kd_ctx *ctx, ordering *o, kd_rel *left, uint32_t at,
                                const kdi_conditions *above, double rows, kd_rel **out)
{
    const kdi_leaf *leaf = &o->leaves[at];
    kd_expr *condition;
    KD_TRY(kdi_conditions_join(ctx, o->p, &leaf->on, &condition));
    kd_column_id last = o->p->last_id;
    KD_TRY(kdi_make_join(ctx, o->p, leaf->kind, left, leaf->rel, condition, out));
    if (leaf->kind == KD_JOIN_MARK) {
        o->p->last_id = last;
        (*out)->as.join.mark = leaf->mark;
        (*out)->as.join.mark_is_exists = leaf->mark_is_exists;
        (*out)->columns[(*out)->column_count - 1].id = leaf->mark;
    }
    (*out)->row_estimate = rows;
    return kdi_make_filter(ctx, o->p, above, out);
}

static kd_status sides_join(kd_ctx *ctx, ordering *o, leaf_mask left, leaf_mask right, kd_rel *a,
                            kd_rel *b, kd_rel **out)
{
    kdi_conditions here = {0};
    kd_expr *condition;
    double rows = subset_rows(o, left | right);
    KD_TRY(conditions_between(ctx, o, left, right, &here));
    if ((left & (left - 1)) == 0 && (left & o->dependent) != 0)
        return dependent_join(ctx, o, b, first_of(left), &here, rows, out);
    if ((right & (right - 1)) == 0 && (right & o->dependent) != 0)
        return dependent_join(ctx, o, a, first_of(right), &here, rows, out);
    KD_TRY(kdi_conditions_join(ctx, o->p, &here, &condition));
    KD_TRY(kdi_make_join(ctx, o->p, KD_JOIN_INNER, a, b, condition, out));
    (*out)->row_estimate = rows;
    (*out)->row_key = row_key(o, left | right);
    return KD_OK;
}

/* The tree that the table has for the subset; its depth is bounded by DP_LEAVES. */
static kd_status subset_build(kd_ctx *ctx, ordering *o, leaf_mask all, kd_rel **out)
{
    leaf_mask left = o->table[all].left;
    kd_rel *a, *b;
    if (left == 0) {
        *out = o->leaves[first_of(all)].rel;
        return KD_OK;
    }
    KD_TRY(subset_build(ctx, o, left, &a));
    KD_TRY(subset_build(ctx, o, all ^ left, &b));
    return sides_join(ctx, o, left, all ^ left, a, b, out);
}

/* --- Pair by pair -------------------------------------------------------------------------------
 */

typedef struct piece {
    leaf_mask leaves;
    kd_rel *rel;
    double rows;
} piece;

static void best_pair(const ordering *o, const piece *pieces, uint32_t count, uint32_t *out_a,
                      uint32_t *out_b)
{
    double best = INFINITY;
    bool best_connected = false;
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = a + 1; b < count; b++) {
            if (!may_join(o, pieces[a].leaves, pieces[b].leaves))
                continue;
            bool connected = is_connected(o, pieces[a].leaves, pieces[b].leaves);
            double rows = subset_rows(o, pieces[a].leaves | pieces[b].leaves);
            if ((connected && !best_connected) || (connected == best_connected && rows < best)) {
                best = rows;
                best_connected = connected;
                *out_a = a;
                *out_b = b;
            }
        }
}

static kd_status pieces_join(kd_ctx *ctx, ordering *o, piece *pieces, uint32_t count, kd_rel **out)
{
    while (count > 1) {
        uint32_t a = 0, b = 1;
        best_pair(o, pieces, count, &a, &b);
        piece whole = {.leaves = pieces[a].leaves | pieces[b].leaves};
        KD_TRY(sides_join(ctx, o, pieces[a].leaves, pieces[b].leaves, pieces[a].rel, pieces[b].rel,
                          &whole.rel));
        pieces[a] = whole;
        pieces[b] = pieces[--count];
    }
    *out = pieces[0].rel;
    return KD_OK;
}

kd_status kdi_join_as_written(kd_ctx *ctx, kdi_planner *p, kdi_leaf *leaves, uint32_t count,
                              kdi_conditions *conditions, kd_rel **out)
{
    kdi_conditions rest = *conditions;
    kd_rel *rel = leaves[0].rel;
    for (uint32_t i = 1; i < count; i++) {
        kd_id_set have = kdi_set(p), none = kdi_set(p);
        kdi_conditions here = {0}, later = {0};
        kd_expr *condition;
        KD_TRY(kd_rel_column_set(ctx, rel, &have));
        KD_TRY(kd_rel_column_set(ctx, leaves[i].rel, &have));
        for (uint32_t l = i + 1; l < count; l++) {
            KD_TRY(kd_rel_column_set(ctx, leaves[l].rel, &none));
            if (leaves[l].mark != 0)
                KD_TRY(kd_id_set_add(ctx, &none, leaves[l].mark));
        }
        bool inner = leaves[i].kind == KD_JOIN_INNER;
        for (size_t c = 0; c < rest.count; c++) {
            bool uses_later;
            KD_TRY(kdi_uses_any(ctx, p, rest.items[c], &none, &uses_later));
            KD_TRY(
                kdi_conditions_add(ctx, p, uses_later || !inner ? &later : &here, rest.items[c]));
        }
        rest = later;
        KD_TRY(kdi_conditions_join(ctx, p, inner ? &here : &leaves[i].on, &condition));
        KD_TRY(kdi_make_join(ctx, p, leaves[i].kind, rel, leaves[i].rel, condition, &rel));
        if (leaves[i].kind == KD_JOIN_MARK) {
            rel->as.join.mark = leaves[i].mark;
            rel->as.join.mark_is_exists = leaves[i].mark_is_exists;
            rel->columns[rel->column_count - 1].id = leaves[i].mark;
        }
    }
    *out = rel;
    return kdi_make_filter(ctx, p, &rest, out);
}

/* Parts of the table's graph that nothing connects, each with its best tree. */
static kd_status parts_find(kd_ctx *ctx, ordering *o, piece *pieces, uint32_t *out_count)
{
    leaf_mask left = bit(o->count) - 1;
    *out_count = 0;
    while (left != 0) {
        leaf_mask part = left & -left;
        for (leaf_mask grown = 0; grown != part;) {
            grown = part;
            for (leaf_mask at = grown; at != 0; at &= at - 1)
                part |= o->nearby[first_of(at)] & left;
        }
        left &= ~part;
        piece *made = &pieces[(*out_count)++];
        made->leaves = part;
        if (isinf(o->table[part].cost))
            return KD_FAIL(ctx, KD_INTERNAL, "XX000", "no join order was found");
        KD_TRY(subset_build(ctx, o, part, &made->rel));
    }
    return KD_OK;
}

kd_status kdi_order_joins(kd_ctx *ctx, kdi_planner *p, kdi_leaf *leaves, size_t leaf_count,
                          kdi_conditions *conditions, kd_rel **out)
{
    uint32_t count = (uint32_t)leaf_count;
    if (p->options->joins_as_written || leaf_count > LEAVES_MAX)
        return kdi_join_as_written(ctx, p, leaves, count, conditions, out);
    ordering o = {.p = p, .leaves = leaves, .count = count};
    piece *pieces = KD_NEW_ARRAY(ctx, p->arena, piece, count);
    if (pieces == NULL)
        return KD_NOMEM;
    KD_TRY(graph_make(ctx, &o, conditions));
    KD_TRY(known_find(ctx, &o));
    for (uint32_t i = 0; i < count; i++) {
        leaves[i].rel->row_key = row_key(&o, bit(i));
        if (leaves[i].rel->row_key != 0)
            leaves[i].rel->row_estimate = o.rows[i] * known_factor(&o, bit(i));
    }
    uint32_t piece_count = count;
    if (count <= DP_LEAVES) {
        KD_TRY(subsets_fill(ctx, &o));
        KD_TRY(parts_find(ctx, &o, pieces, &piece_count));
    } else {
        for (uint32_t i = 0; i < count; i++)
            pieces[i] = (piece){.leaves = bit(i), .rel = leaves[i].rel};
    }
    KD_TRY(pieces_join(ctx, &o, pieces, piece_count, out));
    return kdi_make_filter(ctx, p, &o.loose, out);
}
