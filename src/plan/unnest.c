/*
 * Sub-queries in expressions become joins.
 *
 * A condition that is nothing but EXISTS or IN becomes a semi or anti join. Any
 * other sub-query is computed by a join below the operator that uses it: a
 * SINGLE join for a value, a MARK join for a truth value; the expression then
 * names the join's column. Correlated ones are LATERAL joins, for
 * decorrelation to look at.
 */
#include "plan/plan_internal.h"

/* What took a sub-query's place. WITHIN GROUP has one expression as argument and as order. */
typedef struct replacement {
    const kd_expr *subquery;
    kd_expr *value;
    struct replacement *next;
} replacement;

typedef struct unnesting {
    kdi_planner *p;
    kd_rel **input; /* Joins are put on top of this. */
    replacement *done;
} unnesting;

static kd_status attach(kd_ctx *ctx, kdi_planner *p, kd_join_kind kind, kd_rel *subquery,
                        kd_expr *condition, kd_rel **io_rel)
{
    kd_id_set free_ids = kdi_set(p), left = kdi_set(p);
    KD_TRY(kd_rel_free_columns(ctx, subquery, &free_ids));
    KD_TRY(kd_rel_column_set(ctx, *io_rel, &left));
    KD_TRY(kdi_make_join(ctx, p, kind, *io_rel, subquery, condition, io_rel));
    (*io_rel)->as.join.lateral = kd_id_set_overlaps(&free_ids, &left);
    return KD_OK;
}

/* operand op column, for every column; for ALL its negation, so that ALL is NOT of the mark. */
static kd_status comparison(kd_ctx *ctx, kdi_planner *p, const kd_expr *expr, kd_expr **out)
{
    kdi_conditions all = {0};
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        const kd_rel_column *column = &expr->subquery->columns[i];
        kd_expr *right = kdi_make_column(ctx, p, column->id, column->type), *call;
        if (right == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_make_call(ctx, p, expr->operators[i], expr->arguments[i], right, &call));
        KD_TRY(kdi_conditions_add(ctx, p, &all, call));
    }
    KD_TRY(kdi_conditions_join(ctx, p, &all, out));
    if (expr->subquery_kind != KD_SUBQUERY_ALL)
        return KD_OK;
    kd_expr *negated = kdi_make_expr(ctx, p, KD_EXPR_NOT, kd_type_of(KD_TYPE_BOOL), 1);
    if (negated == NULL)
        return KD_NOMEM;
    negated->arguments[0] = *out;
    *out = negated;
    return KD_OK;
}

/* ARRAY(SELECT ...): array_agg of the rows; none make an empty array. */
static kd_status array_query(kd_ctx *ctx, kdi_planner *p, kd_expr *expr, kd_expr **out)
{
    kd_rel_column element = expr->subquery->columns[0];
    kd_rel *rel = kdi_make_rel(ctx, p, KD_REL_AGGREGATE, expr->subquery);
    kd_rel_column *column = KD_NEW(ctx, p->arena, kd_rel_column);
    kd_aggregate_call *call = KD_NEW(ctx, p->arena, kd_aggregate_call);
    kd_type wanted, result;
    if (rel == NULL || column == NULL || call == NULL)
        return KD_NOMEM;
    if (!kd_registry_find_aggregate(p->registry, KD_SLICE("array_agg"), &element.type, 1,
                                    &call->aggregate, &wanted, &result))
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "ARRAY(query) of this type is not supported");
    call->argument_count = 1;
    call->arguments = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, 1);
    if (call->arguments == NULL)
        return KD_NOMEM;
    call->arguments[0] = kdi_make_column(ctx, p, element.id, element.type);
    call->type = expr->type;
    call->output = ++p->last_id;
    *column = (kd_rel_column){.id = call->output, .type = expr->type};
    rel->columns = column;
    rel->column_count = 1;
    rel->as.aggregate.call_count = 1;
    rel->as.aggregate.calls = call;
    expr->subquery = rel;
    kd_expr *coalesce = kdi_make_expr(ctx, p, KD_EXPR_COALESCE, expr->type, 2);
    kd_expr *empty = kdi_make_expr(ctx, p, KD_EXPR_ARRAY, expr->type, 0);
    kd_expr *made = kdi_make_column(ctx, p, call->output, expr->type);
    if (coalesce == NULL || empty == NULL || made == NULL || call->arguments[0] == NULL)
        return KD_NOMEM;
    coalesce->arguments[0] = made;
    coalesce->arguments[1] = empty;
    *out = coalesce;
    return KD_OK;
}

static kd_status replace_value(kd_ctx *ctx, kdi_planner *p, kd_expr *expr, kd_rel **input,
                               kd_expr **out)
{
    kd_expr *value = NULL;
    if (expr->subquery_kind == KD_SUBQUERY_ARRAY) {
        KD_TRY(array_query(ctx, p, expr, &value));
    } else {
        value = kdi_make_column(ctx, p, expr->subquery->columns[0].id, expr->type);
        if (value == NULL)
            return KD_NOMEM;
    }
    *out = value;
    return attach(ctx, p, KD_JOIN_SINGLE, expr->subquery, NULL, input);
}

static kd_status replace_truth(kd_ctx *ctx, kdi_planner *p, kd_expr *expr, kd_rel **input,
                               kd_expr **out)
{
    kd_expr *condition = NULL;
    bool exists = expr->subquery_kind == KD_SUBQUERY_EXISTS;
    if (!exists)
        KD_TRY(comparison(ctx, p, expr, &condition));
    KD_TRY(attach(ctx, p, KD_JOIN_MARK, expr->subquery, condition, input));
    kd_expr *mark = kdi_make_column(ctx, p, (*input)->as.join.mark, kd_type_of(KD_TYPE_BOOL));
    kd_expr *wrapped = kdi_make_expr(ctx, p, exists ? KD_EXPR_COALESCE : KD_EXPR_NOT,
                                     kd_type_of(KD_TYPE_BOOL), exists ? 2 : 1);
    if (mark == NULL || wrapped == NULL)
        return KD_NOMEM;
    *out = mark;
    if (!exists && expr->subquery_kind != KD_SUBQUERY_ALL)
        return KD_OK;
    wrapped->arguments[0] = mark;
    if (exists) {
        /* Never unknown, whatever decorrelation makes of the join's condition. */
        (*input)->as.join.mark_is_exists = true;
        wrapped->arguments[1] = kdi_make_constant(ctx, p, kd_value_bool(false));
        if (wrapped->arguments[1] == NULL)
            return KD_NOMEM;
    }
    *out = wrapped;
    return KD_OK;
}

static kd_status replace_subquery(kd_ctx *ctx, unnesting *self, kd_expr *expr, kd_expr **out)
{
    replacement *made = KD_NEW(ctx, self->p->arena, replacement);
    if (made == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_unnest(ctx, self->p, &expr->subquery));
    if (expr->subquery_kind == KD_SUBQUERY_SCALAR || expr->subquery_kind == KD_SUBQUERY_ARRAY)
        KD_TRY(replace_value(ctx, self->p, expr, self->input, out));
    else
        KD_TRY(replace_truth(ctx, self->p, expr, self->input, out));
    *made = (replacement){expr, *out, self->done};
    self->done = made;
    return KD_OK;
}

static kd_status replace_slot(kd_ctx *ctx, void *object, kd_expr **slot)
{
    unnesting *self = object;
    kd_expr *expr = *slot;
    for (const replacement *it = self->done; it != NULL; it = it->next)
        if (it->subquery == expr) {
            *slot = it->value;
            return KD_OK;
        }
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(replace_slot(ctx, object, &expr->arguments[i]));
    return expr->kind == KD_EXPR_SUBQUERY ? replace_subquery(ctx, self, expr, slot) : KD_OK;
}

/* --- Filters: semi and anti joins --- */

static kd_status filter_one(kd_ctx *ctx, kdi_planner *p, kd_expr *condition, kd_rel **input,
                            bool *out_done)
{
    *out_done = false;
    bool negated = condition->kind == KD_EXPR_NOT;
    kd_expr *expr = negated ? condition->arguments[0] : condition;
    if (expr->kind != KD_EXPR_SUBQUERY ||
        (expr->subquery_kind != KD_SUBQUERY_EXISTS && expr->subquery_kind != KD_SUBQUERY_ANY))
        return KD_OK;
    unnesting self = {.p = p, .input = input};
    for (uint32_t i = 0; i < expr->argument_count; i++)
        KD_TRY(replace_slot(ctx, &self, &expr->arguments[i]));
    KD_TRY(kdi_unnest(ctx, p, &expr->subquery));
    kd_expr *comparing = NULL;
    kd_join_kind kind = negated ? KD_JOIN_ANTI : KD_JOIN_SEMI;
    if (expr->subquery_kind == KD_SUBQUERY_ANY) {
        kd_id_set free_ids = kdi_set(p);
        KD_TRY(kd_rel_free_columns(ctx, expr->subquery, &free_ids));
        /* NOT IN knows NULLs, which only an uncorrelated join on one column can tell. */
        bool plain = expr->argument_count == 1 && kd_id_set_is_empty(&free_ids) &&
                     strcmp(expr->operators[0]->name, "=") == 0;
        if (negated && !plain)
            return KD_OK;
        if (negated)
            kind = KD_JOIN_ANTI_NULL;
        KD_TRY(comparison(ctx, p, expr, &comparing));
    }
    *out_done = true;
    return attach(ctx, p, kind, expr->subquery, comparing, input);
}

static kd_status unnest_filter(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kdi_conditions all = {0}, kept = {0}, plain = {0};
    KD_TRY(kdi_conditions_add(ctx, p, &all, rel->as.filter.condition));
    /* What needs no sub-query goes first: it may leave fewer rows. */
    for (size_t i = 0; i < all.count; i++)
        if (!kd_expr_has_subquery(all.items[i]))
            KD_TRY(kdi_conditions_add(ctx, p, &plain, all.items[i]));
    kd_rel *input = rel->inputs[0];
    KD_TRY(kdi_make_filter(ctx, p, &plain, &input));
    unnesting self = {.p = p, .input = &input};
    for (size_t i = 0; i < all.count; i++) {
        if (!kd_expr_has_subquery(all.items[i]))
            continue;
        bool done;
        KD_TRY(filter_one(ctx, p, all.items[i], &input, &done));
        if (done)
            continue;
        KD_TRY(replace_slot(ctx, &self, &all.items[i]));
        KD_TRY(kdi_conditions_add(ctx, p, &kept, all.items[i]));
    }
    KD_TRY(kdi_make_filter(ctx, p, &kept, &input));
    *io_rel = input;
    return KD_OK;
}

/* --- Joins, VALUES, functions --- */

static kd_status unnest_join(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_rel *filter = kdi_make_rel(ctx, p, KD_REL_FILTER, rel);
    if (filter == NULL)
        return KD_NOMEM;
    filter->as.filter.condition = rel->as.join.condition;
    rel->as.join.condition = NULL;
    if (rel->as.join.kind == KD_JOIN_INNER) {
        *io_rel = filter;
        return unnest_filter(ctx, p, io_rel);
    }
    if (rel->as.join.kind == KD_JOIN_RIGHT) {
        kd_rel *left = rel->inputs[0];
        rel->inputs[0] = rel->inputs[1];
        rel->inputs[1] = left;
        rel->as.join.kind = KD_JOIN_LEFT;
    }
    if (rel->as.join.kind == KD_JOIN_FULL)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                       "FULL JOIN with a sub-query in its condition is not supported");
    filter->inputs[0] = rel->inputs[1];
    filter->columns = rel->inputs[1]->columns;
    filter->column_count = rel->inputs[1]->column_count;
    KD_TRY(unnest_filter(ctx, p, &filter));
    rel->inputs[1] = filter;
    rel->as.join.lateral = true;
    return KD_OK;
}

/* Rows with sub-queries: one projection per row, over a row of nothing. */
static kd_status unnest_values(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_rel *all = NULL;
    for (uint32_t r = 0; r < rel->as.values.row_count; r++) {
        kd_rel *one = kdi_make_rel(ctx, p, KD_REL_VALUES, NULL);
        if (one == NULL)
            return KD_NOMEM;
        one->as.values.row_count = 1;
        one->as.values.rows = KD_NEW_ARRAY(ctx, p->arena, kd_expr **, 1);
        one->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, 0);
        kd_rel *project = kdi_make_rel(ctx, p, KD_REL_PROJECT, one);
        if (one->as.values.rows == NULL || project == NULL)
            return KD_NOMEM;
        project->column_count = rel->column_count;
        project->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, rel->column_count);
        if (project->columns == NULL)
            return KD_NOMEM;
        memcpy(project->columns, rel->columns, rel->column_count * sizeof *rel->columns);
        project->as.project.exprs = rel->as.values.rows[r];
        if (rel->as.values.row_count > 1)
            for (uint32_t c = 0; c < rel->column_count; c++)
                project->columns[c].id = ++p->last_id;
        KD_TRY(kdi_unnest(ctx, p, &project));
        if (all == NULL) {
            all = project;
            continue;
        }
        kd_rel *set = kdi_make_rel(ctx, p, KD_REL_SET, all);
        if (set == NULL)
            return KD_NOMEM;
        bool last = r + 1 == rel->as.values.row_count;
        set->inputs[1] = project;
        set->as.set.all = true;
        set->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, rel->column_count);
        set->as.set.left_ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, rel->column_count);
        set->as.set.right_ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, rel->column_count);
        if (set->columns == NULL || set->as.set.left_ids == NULL || set->as.set.right_ids == NULL)
            return KD_NOMEM;
        for (uint32_t c = 0; c < rel->column_count; c++) {
            set->columns[c] = rel->columns[c];
            if (!last)
                set->columns[c].id = ++p->last_id;
            set->as.set.left_ids[c] = all->columns[c].id;
            set->as.set.right_ids[c] = project->columns[c].id;
        }
        all = set;
    }
    *io_rel = all;
    return KD_OK;
}

static kd_status note_subquery(kd_ctx *ctx, void *object, kd_expr **slot)
{
    (void)ctx;
    *(bool *)object |= kd_expr_has_subquery(*slot);
    return KD_OK;
}

/* f((SELECT ...)) in FROM: the arguments are computed by one row that the function is joined to. */
static kd_status unnest_function(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel;
    kd_rel *one = kdi_make_rel(ctx, p, KD_REL_VALUES, NULL);
    if (one == NULL)
        return KD_NOMEM;
    one->as.values.row_count = 1;
    one->as.values.rows = KD_NEW_ARRAY(ctx, p->arena, kd_expr **, 1);
    one->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, 0);
    if (one->as.values.rows == NULL || one->columns == NULL)
        return KD_NOMEM;
    unnesting self = {.p = p, .input = &one};
    for (uint32_t i = 0; i < rel->as.function.argument_count; i++)
        KD_TRY(replace_slot(ctx, &self, &rel->as.function.arguments[i]));
    kd_rel *join;
    KD_TRY(kdi_make_join(ctx, p, KD_JOIN_INNER, one, rel, NULL, &join));
    join->as.join.lateral = true;
    *io_rel = join;
    return KD_OK;
}

/* LIMIT (SELECT ...): one row computes the bounds, and the limited query is run with it. */
static kd_status unnest_limit(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *rel = *io_rel, *join;
    kd_rel *one = kdi_make_rel(ctx, p, KD_REL_VALUES, NULL);
    if (one == NULL)
        return KD_NOMEM;
    one->as.values.row_count = 1;
    one->as.values.rows = KD_NEW_ARRAY(ctx, p->arena, kd_expr **, 1);
    one->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, 0);
    if (one->as.values.rows == NULL || one->columns == NULL)
        return KD_NOMEM;
    unnesting self = {.p = p, .input = &one};
    KD_TRY(kd_rel_visit_exprs(ctx, rel, replace_slot, &self));
    KD_TRY(kdi_make_join(ctx, p, KD_JOIN_INNER, one, rel, NULL, &join));
    join->as.join.lateral = true;
    *io_rel = join;
    return KD_OK;
}

kd_status kdi_unnest(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    kd_rel *rel = *io_rel;
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(kdi_unnest(ctx, p, &rel->inputs[i]));
    kdi_plan_leave(p);
    bool found = false;
    KD_TRY(kd_rel_visit_exprs(ctx, rel, note_subquery, &found));
    if (!found)
        return KD_OK;
    switch (rel->kind) {
    case KD_REL_FILTER:
        return unnest_filter(ctx, p, io_rel);
    case KD_REL_JOIN:
        return unnest_join(ctx, p, io_rel);
    case KD_REL_VALUES:
        return unnest_values(ctx, p, io_rel);
    case KD_REL_FUNCTION:
        return unnest_function(ctx, p, io_rel);
    case KD_REL_LIMIT:
        return unnest_limit(ctx, p, io_rel);
    default: {
        unnesting self = {.p = p, .input = &rel->inputs[0]};
        return kd_rel_visit_exprs(ctx, rel, replace_slot, &self);
    }
    }
}
