/*
 * Groups made below the join whose rows they count (Yan and Larson, VLDB 1995; a group of a left
 * join by its own key is their simplest case).
 *
 *   GROUP BY k over (upper JOIN lower ON u = l)   becomes   upper JOIN (GROUP BY l over lower)
 *
 * where the keys determine the upper side's row, by unique keys and the join's equalities, and the
 * calls are about the lower side alone: then a group is one upper row with all its partners, and
 * these are the lower rows of one l. Nothing is added twice or in parts, so every answer is what it
 * was. Groups of one narrow key are found faster than those of many columns, and only they are
 * joined. It is not done where the upper side would leave out much of the lower one.
 *
 * Calls are made of lower rows without a partner too, so only what cannot fail goes down.
 */
#include "plan/plan_internal.h"

typedef struct below {
    kdi_planner *p;
    const kd_rel *group;
    const kdi_leaf *leaves;
    size_t count;
    kd_id_set *sets; /* Columns of each leaf, its mark too. */
    bool *is_lower;
    bool *is_upper;
    size_t left_leaf; /* The right side of a left join that is the lower side; SIZE_MAX: none. */
    kd_id_set known;  /* Columns that the keys determine. */
    kd_id_set own, upper, lower;
    kdi_conditions links;    /* Between the sides, ... */
    kd_expr **above;         /* ... and of each, its side above ... */
    kd_expr **under;         /* ... and the column below. */
    kdi_conditions upper_on; /* Of a left join: about its left side. */
    kdi_conditions upper_all, lower_all;
} below;

/* --- What may go down ------------------------------------------------------------------------- */

static bool never_fails(const kd_expr *expr)
{
    static const char *const calls[] = {"=", "<>", "<", "<=", ">", ">="};
    bool fine = false;
    switch (expr->kind) {
    case KD_EXPR_COLUMN:
    case KD_EXPR_CONSTANT:
        return true;
    case KD_EXPR_CALL:
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            fine = fine || strcmp(expr->function->name, calls[i]) == 0;
        fine = fine || (expr->type.id == KD_TYPE_NUMERIC && strlen(expr->function->name) == 1 &&
                        strchr("+-*", expr->function->name[0]) != NULL);
        break;
    case KD_EXPR_AND:
    case KD_EXPR_OR:
    case KD_EXPR_NOT:
    case KD_EXPR_IS_NULL:
    case KD_EXPR_CASE:
    case KD_EXPR_COALESCE:
        fine = true;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < expr->argument_count && fine; i++)
        fine = never_fails(expr->arguments[i]);
    return fine;
}

static bool is_float(kd_type type)
{
    return type.id == KD_TYPE_FLOAT4 || type.id == KD_TYPE_FLOAT8;
}

/* Calls that answer NULL, or a count 0, where there is nothing but NULLs. */
static bool call_may_sink(const kd_aggregate_call *call)
{
    static const char *const names[] = {"count", "min", "max", "bool_and", "bool_or", "every"};
    bool fine = call->aggregate == NULL;
    if (call->order_count > 0 || (call->filter != NULL && !never_fails(call->filter)))
        return false;
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (!never_fails(call->arguments[i]))
            return false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !fine; i++)
        fine = strcmp(call->aggregate->name, names[i]) == 0;
    if (!fine)
        fine = (strcmp(call->aggregate->name, "sum") == 0 ||
                strcmp(call->aggregate->name, "avg") == 0) &&
               !is_float(call->arguments[0]->type);
    return fine;
}

static bool is_candidate(const kd_rel *group)
{
    if (group->as.aggregate.set_count > 0 || group->as.aggregate.key_count == 0)
        return false;
    for (uint32_t i = 0; i < group->as.aggregate.key_count; i++)
        if (kd_expr_is_volatile(group->as.aggregate.keys[i]) ||
            kd_expr_has_subquery(group->as.aggregate.keys[i]))
            return false;
    for (uint32_t i = 0; i < group->as.aggregate.call_count; i++)
        if (!call_may_sink(&group->as.aggregate.calls[i]))
            return false;
    return true;
}

/* --- What the keys determine ------------------------------------------------------------------ */

static bool index_is_known(const kd_rel *scan, const kd_index_definition *index,
                           const kd_id_set *known)
{
    const kd_table_entry *table = scan->as.scan.table;
    if (!index->unique || index->deferrable || index->predicate_column_no >= 0)
        return false;
    for (uint32_t k = 0; k < index->column_count; k++) {
        bool found = false;
        for (uint32_t c = 0; c < scan->column_count && !found; c++) {
            if (scan->columns[c].id == scan->as.scan.ref_column)
                continue;
            const kd_table_column *column = &table->columns[scan->as.scan.positions[c]].storage;
            found = column->column_no == index->columns[k].column_no && column->not_null &&
                    kd_id_set_has(known, scan->columns[c].id);
        }
        if (!found)
            return false;
    }
    return true;
}

/* Whether rows that agree in the known columns are one row. */
static kd_status row_is_known(kd_ctx *ctx, kdi_planner *p, const kd_rel *rel,
                              const kd_id_set *known, bool *out_known)
{
    kd_id_set inside = kdi_set(p);
    *out_known = false;
    while (rel->kind == KD_REL_FILTER || rel->kind == KD_REL_SORT || rel->kind == KD_REL_PROJECT) {
        if (rel->kind == KD_REL_PROJECT) {
            kd_id_set handed = kdi_set(p);
            for (uint32_t i = 0; i < rel->column_count; i++)
                if (rel->as.project.exprs[i]->kind == KD_EXPR_COLUMN &&
                    kd_id_set_has(known, rel->columns[i].id))
                    KD_TRY(kd_id_set_add(ctx, &handed, rel->as.project.exprs[i]->column));
            inside = handed;
            known = &inside;
        }
        rel = rel->inputs[0];
    }
    for (uint32_t i = 0; rel->kind == KD_REL_SCAN && i < rel->as.scan.table->index_count; i++)
        *out_known =
            *out_known || index_is_known(rel, &rel->as.scan.table->indexes[i].storage, known);
    if (rel->kind == KD_REL_AGGREGATE && rel->as.aggregate.set_count == 0) {
        *out_known = true;
        for (uint32_t i = 0; i < rel->as.aggregate.key_count; i++)
            *out_known = *out_known && kd_id_set_has(known, rel->as.aggregate.key_ids[i]);
    }
    return KD_OK;
}

/* One step: equal columns, and inner leaves whose row is known now. */
static kd_status known_grow(kd_ctx *ctx, below *b, const kdi_conditions *all, bool *out_grown)
{
    for (size_t i = 0; i < all->count; i++) {
        kd_expr *sides[2];
        bool null_equal;
        if (!kdi_is_equality(all->items[i], &sides[0], &sides[1], &null_equal))
            continue;
        for (int s = 0; s < 2; s++)
            if (sides[s]->kind == KD_EXPR_COLUMN && sides[1 - s]->kind == KD_EXPR_COLUMN &&
                kd_id_set_has(&b->known, sides[s]->column) &&
                !kd_id_set_has(&b->known, sides[1 - s]->column)) {
                KD_TRY(kd_id_set_add(ctx, &b->known, sides[1 - s]->column));
                *out_grown = true;
            }
    }
    for (size_t i = 0; i < b->count; i++) {
        bool known;
        if (b->is_lower[i] || b->is_upper[i] || b->leaves[i].kind != KD_JOIN_INNER)
            continue;
        KD_TRY(row_is_known(ctx, b->p, b->leaves[i].rel, &b->known, &known));
        if (!known)
            continue;
        b->is_upper[i] = true;
        KD_TRY(kd_id_set_unite(ctx, &b->known, &b->sets[i]));
        *out_grown = true;
    }
    return KD_OK;
}

/* --- Sides ------------------------------------------------------------------------------------ */

static kd_status calls_columns(kd_ctx *ctx, const below *b, kd_id_set *out)
{
    for (uint32_t i = 0; i < b->group->as.aggregate.call_count; i++) {
        const kd_aggregate_call *call = &b->group->as.aggregate.calls[i];
        for (uint32_t k = 0; k < call->argument_count; k++)
            KD_TRY(kd_expr_columns(ctx, call->arguments[k], out));
        if (call->filter != NULL)
            KD_TRY(kd_expr_columns(ctx, call->filter, out));
    }
    return KD_OK;
}

/* The lower side: what calls are about, and whatever the keys do not determine. */
static kd_status inner_sides(kd_ctx *ctx, below *b, const kdi_conditions *all)
{
    kd_id_set asked = kdi_set(b->p);
    KD_TRY(calls_columns(ctx, b, &asked));
    for (uint32_t i = 0; i < b->group->as.aggregate.key_count; i++)
        if (b->group->as.aggregate.keys[i]->kind == KD_EXPR_COLUMN)
            KD_TRY(kd_id_set_add(ctx, &b->known, b->group->as.aggregate.keys[i]->column));
    for (size_t i = 0; i < b->count; i++)
        b->is_lower[i] = i == b->left_leaf || (b->leaves[i].kind == KD_JOIN_INNER &&
                                               kd_id_set_overlaps(&asked, &b->sets[i]));
    for (bool grown = true; grown;) {
        grown = false;
        KD_TRY(known_grow(ctx, b, all, &grown));
    }
    for (size_t i = 0; i < b->count; i++)
        if (b->leaves[i].kind == KD_JOIN_INNER)
            b->is_lower[i] = !b->is_upper[i];
    for (size_t i = 0; i < b->count; i++)
        if (b->is_lower[i] || b->is_upper[i])
            KD_TRY(kd_id_set_unite(ctx, b->is_lower[i] ? &b->lower : &b->upper, &b->sets[i]));
    return KD_OK;
}

/* Of the operators' own columns, those that the expression names. */
static kd_status own_columns(kd_ctx *ctx, const below *b, const kd_expr *expr, kd_id_set *out)
{
    KD_TRY(kd_expr_columns(ctx, expr, out));
    for (size_t w = 0; w < out->word_count; w++)
        out->words[w] &= w < b->own.word_count ? b->own.words[w] : 0;
    return KD_OK;
}

/* Semi joins and their like stand on the side that their condition is about. */
static kd_status dependent_sides(kd_ctx *ctx, below *b, bool *io_fits)
{
    for (size_t i = 0; i < b->count && *io_fits; i++) {
        const kdi_leaf *leaf = &b->leaves[i];
        kd_id_set named = kdi_set(b->p);
        if (leaf->kind == KD_JOIN_INNER || i == b->left_leaf)
            continue;
        for (size_t c = 0; c < leaf->on.count; c++)
            KD_TRY(own_columns(ctx, b, leaf->on.items[c], &named));
        for (size_t w = 0; w < named.word_count && w < b->sets[i].word_count; w++)
            named.words[w] &= ~b->sets[i].words[w];
        b->is_upper[i] = kd_id_set_contains(&b->upper, &named);
        b->is_lower[i] = !b->is_upper[i] && kd_id_set_contains(&b->lower, &named);
        *io_fits = leaf->kind != KD_JOIN_LEFT && (b->is_upper[i] || b->is_lower[i]);
        KD_TRY(kd_id_set_unite(ctx, b->is_lower[i] ? &b->lower : &b->upper, &b->sets[i]));
    }
    return KD_OK;
}

/* A condition between the sides: an equality with a column of the lower one. */
static kd_status link_add(kd_ctx *ctx, below *b, kd_expr *condition, bool *out_fits)
{
    kd_expr *sides[2];
    bool null_equal;
    *out_fits = false;
    if (!kdi_is_equality(condition, &sides[0], &sides[1], &null_equal) ||
        kd_expr_has_subquery(condition))
        return KD_OK;
    for (int s = 0; s < 2 && !*out_fits; s++) {
        kd_id_set named = kdi_set(b->p);
        KD_TRY(own_columns(ctx, b, sides[1 - s], &named));
        if (sides[s]->kind != KD_EXPR_COLUMN || !kd_id_set_has(&b->lower, sides[s]->column) ||
            kd_id_set_is_empty(&named) || !kd_id_set_contains(&b->upper, &named))
            continue;
        b->under[b->links.count] = sides[s];
        b->above[b->links.count] = sides[1 - s];
        KD_TRY(kdi_conditions_add(ctx, b->p, &b->links, condition));
        *out_fits = true;
    }
    return KD_OK;
}

static kd_status conditions_split(kd_ctx *ctx, below *b, const kdi_conditions *all,
                                  kdi_conditions *to_upper, bool *io_fits)
{
    for (size_t i = 0; i < all->count && *io_fits; i++) {
        kd_id_set named = kdi_set(b->p);
        KD_TRY(own_columns(ctx, b, all->items[i], &named));
        if (kd_expr_is_volatile(all->items[i]))
            *io_fits = false;
        else if (kd_id_set_contains(&b->upper, &named))
            KD_TRY(kdi_conditions_add(ctx, b->p, to_upper, all->items[i]));
        else if (kd_id_set_contains(&b->lower, &named))
            KD_TRY(kdi_conditions_add(ctx, b->p, &b->lower_all, all->items[i]));
        else
            KD_TRY(link_add(ctx, b, all->items[i], io_fits));
    }
    return KD_OK;
}

/* Equal values of these types are the same value. */
static bool equal_is_same(kd_type type)
{
    return type.id == KD_TYPE_INT2 || type.id == KD_TYPE_INT4 || type.id == KD_TYPE_INT8 ||
           type.id == KD_TYPE_DATE || type.id == KD_TYPE_TIMESTAMP ||
           type.id == KD_TYPE_TIMESTAMPTZ || type.id == KD_TYPE_UUID;
}

/* A key over the upper side alone; columns of the lower side by what they are equal to. */
static kd_status key_above(kd_ctx *ctx, const below *b, const kd_expr *key, kd_expr **out)
{
    kd_id_set named = kdi_set(b->p);
    kd_column_id *ids = KD_NEW_ARRAY(ctx, b->p->arena, kd_column_id, b->links.count);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->p->arena, kd_expr *, b->links.count);
    uint32_t count = 0;
    *out = NULL;
    if (ids == NULL || exprs == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < b->links.count && b->left_leaf == SIZE_MAX; i++)
        if (equal_is_same(b->under[i]->type)) {
            ids[count] = b->under[i]->column;
            exprs[count++] = b->above[i];
        }
    KD_TRY(kdi_substitute(ctx, b->p, key, ids, exprs, count, out));
    KD_TRY(own_columns(ctx, b, *out, &named));
    if (!kd_id_set_contains(&b->upper, &named))
        *out = NULL;
    return KD_OK;
}

/* --- The new tree ----------------------------------------------------------------------------- */

static kd_status side_build(kd_ctx *ctx, const below *b, const bool *is_of, kdi_conditions *all,
                            kd_rel **out)
{
    kdi_leaf *leaves = KD_NEW_ARRAY(ctx, b->p->arena, kdi_leaf, b->count);
    uint32_t count = 0;
    if (leaves == NULL)
        return KD_NOMEM;
    for (int dependent = 0; dependent < 2; dependent++)
        for (size_t i = 0; i < b->count; i++)
            if (is_of[i] && dependent == (b->leaves[i].kind != KD_JOIN_INNER && i != b->left_leaf))
                leaves[count++] = b->leaves[i];
    leaves[0].kind = KD_JOIN_INNER;
    return kdi_join_as_written(ctx, b->p, leaves, count, all, out);
}

static void estimate_forget(kd_rel *rel)
{
    rel->row_estimate = 0;
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            estimate_forget(rel->inputs[i]);
}

/* Before the passes have changed the tree: nothing of it may be remembered. */
static double estimate_now(kdi_planner *p, kd_rel *rel)
{
    double rows = kdi_estimate(p, rel);
    estimate_forget(rel);
    return rows;
}

/* The distinct columns below that links are about become the keys of the groups below. */
static kd_status group_build(kd_ctx *ctx, const below *b, kd_rel *lower, kd_rel **out)
{
    kdi_planner *p = b->p;
    uint32_t calls = b->group->as.aggregate.call_count, keys = 0;
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_AGGREGATE, lower);
    if (rel == NULL)
        return KD_NOMEM;
    rel->as.aggregate.keys = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, b->links.count);
    rel->as.aggregate.key_ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, b->links.count);
    rel->as.aggregate.calls = KD_NEW_ARRAY(ctx, p->arena, kd_aggregate_call, calls);
    rel->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, b->links.count + calls);
    if (rel->as.aggregate.keys == NULL || rel->as.aggregate.key_ids == NULL ||
        rel->as.aggregate.calls == NULL || rel->columns == NULL)
        return KD_NOMEM;
    for (size_t i = 0; i < b->links.count; i++) {
        bool is_there = false;
        for (uint32_t k = 0; k < keys && !is_there; k++)
            is_there = rel->as.aggregate.keys[k]->column == b->under[i]->column;
        if (is_there)
            continue;
        rel->as.aggregate.keys[keys] = b->under[i];
        rel->as.aggregate.key_ids[keys] = ++p->last_id;
        rel->columns[keys++] = (kd_rel_column){.id = p->last_id, .type = b->under[i]->type};
    }
    for (uint32_t i = 0; i < calls; i++) {
        kd_aggregate_call *call = &rel->as.aggregate.calls[i];
        *call = b->group->as.aggregate.calls[i];
        call->output = ++p->last_id;
        rel->columns[keys + i] = (kd_rel_column){.id = call->output, .type = call->type};
    }
    rel->as.aggregate.key_count = keys;
    rel->as.aggregate.call_count = calls;
    rel->column_count = keys + calls;
    *out = rel;
    return kdi_note_node(ctx, p, rel);
}

/* The links over the groups' keys, and what a left join says of its left side. */
static kd_status join_condition(kd_ctx *ctx, const below *b, const kd_rel *group, kd_expr **out)
{
    uint32_t count = group->as.aggregate.key_count;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, b->p->arena, kd_column_id, count);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, b->p->arena, kd_expr *, count);
    kdi_conditions all = {0};
    if (ids == NULL || exprs == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < count; k++) {
        ids[k] = group->as.aggregate.keys[k]->column;
        exprs[k] = kdi_make_column(ctx, b->p, group->columns[k].id, group->columns[k].type);
        if (exprs[k] == NULL)
            return KD_NOMEM;
    }
    for (size_t i = 0; i < b->links.count; i++) {
        kd_expr *link;
        KD_TRY(kdi_substitute(ctx, b->p, b->links.items[i], ids, exprs, count, &link));
        KD_TRY(kdi_conditions_add(ctx, b->p, &all, link));
    }
    for (size_t i = 0; i < b->upper_on.count; i++)
        KD_TRY(kdi_conditions_add(ctx, b->p, &all, b->upper_on.items[i]));
    return kdi_conditions_join(ctx, b->p, &all, out);
}

/* A call's value above the join. A left row without partners was a group of one row of NULLs. */
static kd_status call_above(kd_ctx *ctx, const below *b, const kd_aggregate_call *call,
                            kd_column_id id, kd_expr **out)
{
    *out = kdi_make_column(ctx, b->p, id, call->type);
    bool counts = call->aggregate == NULL || strcmp(call->aggregate->name, "count") == 0;
    if (*out == NULL)
        return KD_NOMEM;
    if (b->left_leaf == SIZE_MAX || !counts)
        return KD_OK;
    kd_expr *none = kdi_make_constant(ctx, b->p, kd_value_i64(call->argument_count == 0));
    kd_expr *coalesce = kdi_make_expr(ctx, b->p, KD_EXPR_COALESCE, call->type, 2);
    if (none == NULL || coalesce == NULL)
        return KD_NOMEM;
    coalesce->arguments[0] = *out;
    coalesce->arguments[1] = none;
    *out = coalesce;
    return KD_OK;
}

/* The columns that the groups above had. */
static kd_status project_build(kd_ctx *ctx, const below *b, const kd_rel *group,
                               kd_expr *const *keys, kd_rel *join, kd_rel **out)
{
    const kd_rel *old = b->group;
    kd_rel *rel = kdi_make_rel(ctx, b->p, KD_REL_PROJECT, join);
    if (rel == NULL)
        return KD_NOMEM;
    rel->columns = old->columns;
    rel->column_count = old->column_count;
    rel->as.project.exprs = KD_NEW_ARRAY(ctx, b->p->arena, kd_expr *, old->column_count);
    if (rel->as.project.exprs == NULL)
        return KD_NOMEM;
    for (uint32_t c = 0; c < old->column_count; c++) {
        for (uint32_t k = 0; k < old->as.aggregate.key_count; k++)
            if (old->as.aggregate.key_ids[k] == old->columns[c].id)
                rel->as.project.exprs[c] = keys[k];
        for (uint32_t i = 0; i < old->as.aggregate.call_count; i++)
            if (old->as.aggregate.calls[i].output == old->columns[c].id)
                KD_TRY(call_above(ctx, b, &old->as.aggregate.calls[i],
                                  group->as.aggregate.calls[i].output, &rel->as.project.exprs[c]));
    }
    *out = rel;
    return kdi_note_node(ctx, b->p, rel);
}

/* --- All -------------------------------------------------------------------------------------- */

/* The one left join among the leaves; SIZE_MAX: none. False: more than one. */
static bool find_left_leaf(below *b)
{
    b->left_leaf = SIZE_MAX;
    for (size_t i = 0; i < b->count; i++) {
        if (b->leaves[i].kind != KD_JOIN_LEFT)
            continue;
        if (b->left_leaf != SIZE_MAX)
            return false;
        b->left_leaf = i;
    }
    return true;
}

/* Calls over a left join: of arguments that are NULL where the right side is. */
static bool calls_fit_left(const below *b)
{
    for (uint32_t i = 0; i < b->group->as.aggregate.call_count; i++) {
        const kd_aggregate_call *call = &b->group->as.aggregate.calls[i];
        if (call->filter != NULL)
            return false;
        for (uint32_t k = 0; k < call->argument_count; k++)
            if (call->arguments[k]->kind != KD_EXPR_COLUMN ||
                !kd_id_set_has(&b->lower, call->arguments[k]->column))
                return false;
    }
    return true;
}

static kd_status sides_find(kd_ctx *ctx, below *b, const kdi_conditions *all, bool *out_fits)
{
    kdi_planner *p = b->p;
    kd_id_set asked = kdi_set(p);
    size_t links_max = all->count;
    b->known = b->own = b->upper = b->lower = kdi_set(p);
    for (size_t i = 0; i < b->count; i++) {
        b->sets[i] = kdi_set(p);
        KD_TRY(kd_rel_column_set(ctx, b->leaves[i].rel, &b->sets[i]));
        if (b->leaves[i].mark != 0)
            KD_TRY(kd_id_set_add(ctx, &b->sets[i], b->leaves[i].mark));
        KD_TRY(kd_id_set_unite(ctx, &b->own, &b->sets[i]));
        links_max += b->leaves[i].on.count;
    }
    b->above = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, links_max);
    b->under = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, links_max);
    if (b->above == NULL || b->under == NULL)
        return KD_NOMEM;
    *out_fits = find_left_leaf(b);
    if (!*out_fits)
        return KD_OK;
    KD_TRY(inner_sides(ctx, b, all));
    KD_TRY(dependent_sides(ctx, b, out_fits));
    if (b->left_leaf != SIZE_MAX) {
        const kdi_conditions *on = &b->leaves[b->left_leaf].on;
        KD_TRY(conditions_split(ctx, b, on, &b->upper_on, out_fits));
        kdi_conditions lower_on = b->lower_all;
        size_t links = b->links.count;
        KD_TRY(conditions_split(ctx, b, all, &b->upper_all, out_fits));
        *out_fits = *out_fits && lower_on.count == b->lower_all.count && links == b->links.count &&
                    calls_fit_left(b);
        for (size_t i = 0; i < b->count; i++)
            *out_fits = *out_fits && (i == b->left_leaf || !b->is_lower[i]);
    } else {
        KD_TRY(conditions_split(ctx, b, all, &b->upper_all, out_fits));
    }
    KD_TRY(calls_columns(ctx, b, &asked));
    *out_fits = *out_fits && b->links.count > 0 && kd_id_set_contains(&b->lower, &asked);
    return KD_OK;
}

/* Whether few lower rows are without a partner, and many share a key. */
static bool pays(below *b, kd_rel *upper, kd_rel *lower)
{
    double rows = estimate_now(b->p, lower);
    double joined = kdi_join_rows(b->p, KD_JOIN_INNER, &b->links, estimate_now(b->p, upper), rows);
    double groups = kdi_group_count(b->p, b->under, (uint32_t)b->links.count, rows);
    return rows <= joined * 2 && groups <= rows * 0.8;
}

kd_status kdi_group_below(kd_ctx *ctx, kdi_planner *p, const kd_rel *group, const kdi_leaf *leaves,
                          size_t count, const kdi_conditions *all, kd_rel **out)
{
    *out = NULL;
    if (count < 2 || p->options->joins_as_written || !is_candidate(group))
        return KD_OK;
    for (size_t i = 0; i < count; i++)
        if (kd_rel_is_volatile(leaves[i].rel))
            return KD_OK;
    below b = {.p = p,
               .group = group,
               .leaves = leaves,
               .count = count,
               .sets = KD_NEW_ARRAY(ctx, p->arena, kd_id_set, count),
               .is_lower = KD_NEW_ARRAY(ctx, p->arena, bool, count),
               .is_upper = KD_NEW_ARRAY(ctx, p->arena, bool, count)};
    uint32_t key_count = group->as.aggregate.key_count;
    kd_expr **keys = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, key_count);
    bool fits;
    if (b.sets == NULL || b.is_lower == NULL || b.is_upper == NULL || keys == NULL)
        return KD_NOMEM;
    KD_TRY(sides_find(ctx, &b, all, &fits));
    for (uint32_t i = 0; i < key_count && fits; i++) {
        KD_TRY(key_above(ctx, &b, group->as.aggregate.keys[i], &keys[i]));
        fits = keys[i] != NULL;
    }
    kd_rel *upper, *lower, *groups;
    kd_expr *condition;
    if (!fits || kd_id_set_is_empty(&b.upper))
        return KD_OK;
    KD_TRY(side_build(ctx, &b, b.is_lower, &b.lower_all, &lower));
    KD_TRY(side_build(ctx, &b, b.is_upper, &b.upper_all, &upper));
    if (!pays(&b, upper, lower))
        return KD_OK;
    KD_TRY(group_build(ctx, &b, lower, &groups));
    KD_TRY(join_condition(ctx, &b, groups, &condition));
    kd_rel *join;
    KD_TRY(kdi_make_join(ctx, p, b.left_leaf == SIZE_MAX ? KD_JOIN_INNER : KD_JOIN_LEFT, upper,
                         groups, condition, &join));
    return project_build(ctx, &b, groups, keys, join, out);
}
