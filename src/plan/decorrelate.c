/*
 * LATERAL joins become plain ones.
 *
 * Three ways, tried in turn on the right side:
 *
 *   - it names no column of the left: nothing to do;
 *   - its correlated conditions stand in filters under nothing but projections (and, for joins that
 *     ask only whether there is a match, under DISTINCT, sorts and LIMIT 1): they move into the
 *     join's condition;
 *   - it is an aggregate without keys over such filters, all of them equalities: the aggregate is
 *     grouped by their inner sides and joined on them (count gives 0 where there is no group).
 *
 * What remains is run again for each left row (APPLY).
 */
#include "plan/plan_internal.h"

typedef struct pull {
    kdi_planner *p;
    kd_id_set left; /* The left side's columns. */
    kdi_conditions pulled;
} pull;

static kd_status is_correlated(kd_ctx *ctx, const pull *self, const kd_expr *expr, bool *out)
{
    return kdi_uses_any(ctx, self->p, expr, &self->left, out);
}

static kd_status rel_is_correlated(kd_ctx *ctx, const pull *self, kd_rel *rel, bool *out)
{
    kd_id_set free_ids = kdi_set(self->p);
    KD_TRY(kd_rel_free_columns(ctx, rel, &free_ids));
    *out = kd_id_set_overlaps(&free_ids, &self->left);
    return KD_OK;
}

/* --- Taking conditions out --- */

/* Makes the projection give the inner columns that a pulled condition names. */
static kd_status expose(kd_ctx *ctx, pull *self, kd_rel *project)
{
    kdi_planner *p = self->p;
    kd_id_set used = kdi_set(p);
    for (size_t i = 0; i < self->pulled.count; i++)
        KD_TRY(kd_expr_columns(ctx, self->pulled.items[i], &used));
    const kd_rel *input = project->inputs[0];
    uint32_t room = project->column_count + input->column_count;
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, room);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, room);
    if (columns == NULL || exprs == NULL)
        return KD_NOMEM;
    uint32_t count = project->column_count;
    memcpy(columns, project->columns, count * sizeof *columns);
    memcpy(exprs, project->as.project.exprs, count * sizeof *exprs);
    for (uint32_t i = 0; i < input->column_count; i++) {
        if (!kd_id_set_has(&used, input->columns[i].id) ||
            kdi_has_column(project, input->columns[i].id))
            continue;
        exprs[count] = kdi_make_column(ctx, p, input->columns[i].id, input->columns[i].type);
        if (exprs[count] == NULL)
            return KD_NOMEM;
        columns[count++] = input->columns[i];
    }
    project->columns = columns;
    project->column_count = count;
    project->as.project.exprs = exprs;
    return KD_OK;
}

static kd_status project_is_correlated(kd_ctx *ctx, const pull *self, const kd_rel *rel, bool *out)
{
    *out = false;
    for (uint32_t i = 0; i < rel->column_count && !*out; i++)
        KD_TRY(is_correlated(ctx, self, rel->as.project.exprs[i], out));
    return KD_OK;
}

static kd_status take_filter(kd_ctx *ctx, pull *self, kd_rel **io_rel)
{
    kdi_planner *p = self->p;
    kdi_conditions all = {0}, kept = {0};
    KD_TRY(kdi_conditions_add(ctx, p, &all, (*io_rel)->as.filter.condition));
    for (size_t i = 0; i < all.count; i++) {
        bool correlated;
        KD_TRY(is_correlated(ctx, self, all.items[i], &correlated));
        KD_TRY(kdi_conditions_add(ctx, p, correlated ? &self->pulled : &kept, all.items[i]));
    }
    *io_rel = (*io_rel)->inputs[0];
    return kdi_make_filter(ctx, p, &kept, io_rel);
}

/* Moves correlated conditions out of *io_rel. False: it cannot. */
static kd_status take_conditions(kd_ctx *ctx, pull *self, bool only_matches, kd_rel **io_rel,
                                 bool *out_done)
{
    kd_rel *rel = *io_rel;
    bool correlated;
    *out_done = true;
    KD_TRY(rel_is_correlated(ctx, self, rel, &correlated));
    if (!correlated)
        return KD_OK;
    if (rel->kind == KD_REL_FILTER) {
        KD_TRY(take_conditions(ctx, self, only_matches, &rel->inputs[0], out_done));
        if (!*out_done)
            return KD_OK;
        rel->columns = rel->inputs[0]->columns;
        rel->column_count = rel->inputs[0]->column_count;
        return take_filter(ctx, self, io_rel);
    }
    if (rel->kind == KD_REL_PROJECT) {
        KD_TRY(project_is_correlated(ctx, self, rel, &correlated));
        *out_done = !correlated;
        if (correlated)
            return KD_OK;
        KD_TRY(take_conditions(ctx, self, only_matches, &rel->inputs[0], out_done));
        return *out_done ? expose(ctx, self, rel) : KD_OK;
    }
    bool plain_distinct = rel->kind == KD_REL_DISTINCT && rel->as.distinct.on_count == 0;
    bool ignorable = only_matches && (rel->kind == KD_REL_SORT || plain_distinct);
    if (ignorable) {
        KD_TRY(take_conditions(ctx, self, only_matches, &rel->inputs[0], out_done));
        if (*out_done)
            *io_rel = rel->inputs[0];
        return KD_OK;
    }
    if (rel->kind == KD_REL_JOIN && rel->as.join.kind == KD_JOIN_INNER && !rel->as.join.lateral) {
        for (int i = 0; i < 2 && *out_done; i++)
            KD_TRY(take_conditions(ctx, self, only_matches, &rel->inputs[i], out_done));
        if (!*out_done)
            return KD_OK;
        kd_expr *condition = rel->as.join.condition;
        KD_TRY(kdi_make_join(ctx, self->p, KD_JOIN_INNER, rel->inputs[0], rel->inputs[1], NULL,
                             io_rel));
        kdi_conditions all = {0};
        KD_TRY(kdi_conditions_add(ctx, self->p, &all, condition));
        KD_TRY(kdi_make_filter(ctx, self->p, &all, io_rel));
        return all.count > 0 ? take_filter(ctx, self, io_rel) : KD_OK;
    }
    *out_done = false;
    return KD_OK;
}

/* Whether take_conditions would succeed: nothing is changed. */
static kd_status can_take(kd_ctx *ctx, const pull *self, bool only_matches, kd_rel *rel, bool *out)
{
    bool correlated;
    KD_TRY(rel_is_correlated(ctx, self, rel, &correlated));
    *out = !correlated;
    if (!correlated)
        return KD_OK;
    switch (rel->kind) {
    case KD_REL_FILTER:
        return can_take(ctx, self, only_matches, rel->inputs[0], out);
    case KD_REL_PROJECT:
        KD_TRY(project_is_correlated(ctx, self, rel, &correlated));
        return correlated ? KD_OK : can_take(ctx, self, only_matches, rel->inputs[0], out);
    case KD_REL_SORT:
        return only_matches ? can_take(ctx, self, only_matches, rel->inputs[0], out) : KD_OK;
    case KD_REL_DISTINCT:
        return only_matches && rel->as.distinct.on_count == 0
                   ? can_take(ctx, self, only_matches, rel->inputs[0], out)
                   : KD_OK;
    case KD_REL_JOIN:
        if (rel->as.join.kind != KD_JOIN_INNER || rel->as.join.lateral)
            return KD_OK;
        KD_TRY(can_take(ctx, self, only_matches, rel->inputs[0], out));
        return *out ? can_take(ctx, self, only_matches, rel->inputs[1], out) : KD_OK;
    default:
        return KD_OK;
    }
}

static kd_status pull_up(kd_ctx *ctx, kdi_planner *p, kd_rel *join, bool *out_done)
{
    kd_join_kind kind = join->as.join.kind;
    bool only_matches = kind == KD_JOIN_SEMI || kind == KD_JOIN_ANTI ||
                        (kind == KD_JOIN_MARK && join->as.join.mark_is_exists);
    pull self = {.p = p, .left = kdi_set(p)};
    *out_done = false;
    if (kind == KD_JOIN_ANTI_NULL || (kind == KD_JOIN_MARK && !join->as.join.mark_is_exists))
        return KD_OK;
    KD_TRY(kd_rel_column_set(ctx, join->inputs[0], &self.left));
    /* EXISTS does not care what is selected, nor for LIMIT 1. */
    if (only_matches && join->as.join.condition == NULL)
        while (join->inputs[1]->kind == KD_REL_PROJECT || join->inputs[1]->kind == KD_REL_SORT ||
               (join->inputs[1]->kind == KD_REL_LIMIT && join->inputs[1]->as.limit.offset == NULL &&
                join->inputs[1]->as.limit.count != NULL &&
                join->inputs[1]->as.limit.count->kind == KD_EXPR_CONSTANT &&
                join->inputs[1]->as.limit.count->constant.as.i64 > 0))
            join->inputs[1] = join->inputs[1]->inputs[0];
    bool possible;
    KD_TRY(can_take(ctx, &self, only_matches, join->inputs[1], &possible));
    if (!possible)
        return KD_OK;
    KD_TRY(take_conditions(ctx, &self, only_matches, &join->inputs[1], out_done));
    kdi_conditions all = {0};
    KD_TRY(kdi_conditions_add(ctx, p, &all, join->as.join.condition));
    for (size_t i = 0; i < self.pulled.count; i++)
        KD_TRY(kdi_conditions_add(ctx, p, &all, self.pulled.items[i]));
    KD_TRY(kdi_conditions_join(ctx, p, &all, &join->as.join.condition));
    return KD_OK;
}

/* --- Aggregates --- */

/* The chain PROJECT* over a plain AGGREGATE; NULL when the right side is not like that. */
static kd_rel *aggregate_below(kd_rel *rel)
{
    while (rel->kind == KD_REL_PROJECT)
        rel = rel->inputs[0];
    bool fits = rel->kind == KD_REL_AGGREGATE && rel->as.aggregate.key_count == 0 &&
                rel->as.aggregate.set_count == 0;
    return fits ? rel : NULL;
}

/* Each pulled condition as outer = inner; false when one is anything else. */
static kd_status split_equalities(kd_ctx *ctx, pull *self, kd_expr **outer, kd_expr **inner,
                                  bool *out_fits)
{
    *out_fits = true;
    for (size_t i = 0; i < self->pulled.count && *out_fits; i++) {
        kd_expr *sides[2];
        bool null_equal, correlated[2], pure[2];
        *out_fits = kdi_is_equality(self->pulled.items[i], &sides[0], &sides[1], &null_equal) &&
                    !null_equal;
        if (!*out_fits)
            return KD_OK;
        for (int s = 0; s < 2; s++) {
            KD_TRY(is_correlated(ctx, self, sides[s], &correlated[s]));
            KD_TRY(kdi_uses_only(ctx, self->p, sides[s], &self->left, &pure[s]));
        }
        int out_side = correlated[0] ? 0 : 1;
        *out_fits = pure[out_side] && !correlated[1 - out_side];
        outer[i] = sides[out_side];
        inner[i] = sides[1 - out_side];
    }
    return KD_OK;
}

static bool is_count(const kd_aggregate_call *call)
{
    return call->aggregate == NULL || strcmp(call->aggregate->name, "count") == 0;
}

/* Gives the aggregate these keys; the join is on them. */
static kd_status group_by_inner(kd_ctx *ctx, kdi_planner *p, kd_rel *aggregate, kd_expr **outer,
                                kd_expr **inner, const kdi_conditions *equalities,
                                kd_expr **out_condition)
{
    uint32_t keys = (uint32_t)equalities->count, calls = aggregate->as.aggregate.call_count;
    kd_rel_column *columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, (size_t)keys + calls);
    aggregate->as.aggregate.keys = inner;
    aggregate->as.aggregate.key_count = keys;
    aggregate->as.aggregate.key_ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, keys);
    if (columns == NULL || aggregate->as.aggregate.key_ids == NULL)
        return KD_NOMEM;
    kdi_conditions all = {0};
    for (uint32_t k = 0; k < keys; k++) {
        columns[k] = (kd_rel_column){.id = ++p->last_id, .type = inner[k]->type};
        aggregate->as.aggregate.key_ids[k] = columns[k].id;
        kd_expr *column = kdi_make_column(ctx, p, columns[k].id, columns[k].type), *equal;
        if (column == NULL)
            return KD_NOMEM;
        KD_TRY(kdi_make_call(ctx, p, equalities->items[k]->function, outer[k], column, &equal));
        KD_TRY(kdi_conditions_add(ctx, p, &all, equal));
    }
    memcpy(columns + keys, aggregate->columns, calls * sizeof *columns);
    aggregate->columns = columns;
    aggregate->column_count = keys + calls;
    return kdi_conditions_join(ctx, p, &all, out_condition);
}

/* Above the join: the left columns, counts without NULL, and the projections that were below. */
static kd_status project_again(kd_ctx *ctx, kdi_planner *p, kd_rel *aggregate, kd_rel *top,
                               const kd_rel *left, kd_rel **io_rel)
{
    uint32_t calls = aggregate->as.aggregate.call_count;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, calls);
    kd_expr **values = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, calls);
    if (ids == NULL || values == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < calls; i++) {
        kd_aggregate_call *call = &aggregate->as.aggregate.calls[i];
        ids[i] = call->output;
        /* The column below the projection gets a new number, so that the old one can be given. */
        call->output = ++p->last_id;
        for (uint32_t c = 0; c < aggregate->column_count; c++)
            if (aggregate->columns[c].id == ids[i])
                aggregate->columns[c].id = call->output;
        values[i] = kdi_make_column(ctx, p, call->output, call->type);
        kd_expr *zero = kdi_make_constant(ctx, p, kd_value_i64(0));
        kd_expr *coalesce = kdi_make_expr(ctx, p, KD_EXPR_COALESCE, call->type, 2);
        if (values[i] == NULL || zero == NULL || coalesce == NULL)
            return KD_NOMEM;
        coalesce->arguments[0] = values[i];
        coalesce->arguments[1] = zero;
        if (is_count(call))
            values[i] = coalesce;
    }
    kd_rel *project = kdi_make_rel(ctx, p, KD_REL_PROJECT, *io_rel);
    if (project == NULL)
        return KD_NOMEM;
    uint32_t count = left->column_count + top->column_count;
    project->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, count);
    project->as.project.exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, count);
    if (project->columns == NULL || project->as.project.exprs == NULL)
        return KD_NOMEM;
    project->column_count = count;
    for (uint32_t i = 0; i < left->column_count; i++) {
        project->columns[i] = left->columns[i];
        project->as.project.exprs[i] =
            kdi_make_column(ctx, p, left->columns[i].id, left->columns[i].type);
        if (project->as.project.exprs[i] == NULL)
            return KD_NOMEM;
    }
    for (uint32_t i = 0; i < top->column_count; i++) {
        kd_expr *expr = kdi_make_column(ctx, p, top->columns[i].id, top->columns[i].type);
        if (expr == NULL)
            return KD_NOMEM;
        for (const kd_rel *at = top; at->kind == KD_REL_PROJECT; at = at->inputs[0]) {
            kd_column_id *at_ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, at->column_count);
            if (at_ids == NULL)
                return KD_NOMEM;
            for (uint32_t c = 0; c < at->column_count; c++)
                at_ids[c] = at->columns[c].id;
            KD_TRY(kdi_substitute(ctx, p, expr, at_ids, at->as.project.exprs, at->column_count,
                                  &expr));
        }
        KD_TRY(kdi_substitute(ctx, p, expr, ids, values, calls, &expr));
        project->columns[left->column_count + i] = top->columns[i];
        project->as.project.exprs[left->column_count + i] = expr;
    }
    *io_rel = project;
    return KD_OK;
}

static kd_status group_aggregate(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel, bool *out_done)
{
    kd_rel *join = *io_rel, *top = join->inputs[1];
    kd_join_kind kind = join->as.join.kind;
    *out_done = false;
    kd_rel *aggregate = aggregate_below(top);
    if (aggregate == NULL || join->as.join.condition != NULL ||
        (kind != KD_JOIN_SINGLE && kind != KD_JOIN_LEFT && kind != KD_JOIN_INNER))
        return KD_OK;
    pull self = {.p = p, .left = kdi_set(p)};
    KD_TRY(kd_rel_column_set(ctx, join->inputs[0], &self.left));
    bool correlated = false, possible;
    kd_id_set own = kdi_set(p);
    for (kd_rel *at = top; at != aggregate && !correlated; at = at->inputs[0])
        KD_TRY(project_is_correlated(ctx, &self, at, &correlated));
    (void)own;
    kd_rel bare = *aggregate;
    bare.inputs[0] = NULL;
    kd_id_set free_ids = kdi_set(p);
    KD_TRY(kd_rel_free_columns(ctx, &bare, &free_ids));
    correlated |= kd_id_set_overlaps(&free_ids, &self.left);
    KD_TRY(can_take(ctx, &self, false, aggregate->inputs[0], &possible));
    if (correlated || !possible)
        return KD_OK;
    /* Look at the conditions first, on a copy of the filters, since taking them is for good. */
    kd_rel *input = aggregate->inputs[0];
    if (input->kind != KD_REL_FILTER)
        return KD_OK;
    bool deeper;
    KD_TRY(rel_is_correlated(ctx, &self, input->inputs[0], &deeper));
    kd_rel *probe = input;
    kd_rel copy = *input;
    probe = &copy;
    if (deeper)
        return KD_OK;
    KD_TRY(take_filter(ctx, &self, &probe));
    kd_expr **outer = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, self.pulled.count);
    kd_expr **inner = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, self.pulled.count);
    if (outer == NULL || inner == NULL)
        return KD_NOMEM;
    bool fits;
    KD_TRY(split_equalities(ctx, &self, outer, inner, &fits));
    if (!fits)
        return KD_OK;
    aggregate->inputs[0] = probe;
    kd_expr *condition;
    KD_TRY(group_by_inner(ctx, p, aggregate, outer, inner, &self.pulled, &condition));
    kd_rel *left = join->inputs[0];
    kd_rel *result = NULL;
    /* The columns of the new join are made after project_again has renumbered the calls. */
    kd_rel *holder = kdi_make_rel(ctx, p, KD_REL_JOIN, left);
    if (holder == NULL)
        return KD_NOMEM;
    result = holder;
    KD_TRY(project_again(ctx, p, aggregate, top, left, &result));
    kd_rel *made;
    KD_TRY(kdi_make_join(ctx, p, KD_JOIN_LEFT, left, aggregate, condition, &made));
    result->inputs[0] = made;
    *io_rel = result;
    *out_done = true;
    return KD_OK;
}

/* --- The pass --- */

static kd_status decorrelate_join(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    kd_rel *join = *io_rel;
    kd_id_set free_ids = kdi_set(p), left = kdi_set(p);
    KD_TRY(kd_rel_free_columns(ctx, join->inputs[1], &free_ids));
    KD_TRY(kd_rel_column_set(ctx, join->inputs[0], &left));
    join->as.join.lateral = kd_id_set_overlaps(&free_ids, &left);
    if (!join->as.join.lateral)
        return KD_OK;
    bool done;
    KD_TRY(group_aggregate(ctx, p, io_rel, &done));
    if (done)
        return KD_OK;
    KD_TRY(pull_up(ctx, p, join, &done));
    if (done) {
        free_ids = kdi_set(p);
        KD_TRY(kd_rel_free_columns(ctx, join->inputs[1], &free_ids));
        join->as.join.lateral = kd_id_set_overlaps(&free_ids, &left);
    }
    return KD_OK;
}

kd_status kdi_decorrelate(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    kd_rel *rel = *io_rel;
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(kdi_decorrelate(ctx, p, &rel->inputs[i]));
    kdi_plan_leave(p);
    return rel->kind == KD_REL_JOIN ? decorrelate_join(ctx, p, io_rel) : KD_OK;
}
