/*
 * Aggregates that a materialized view has already: read there.
 *
 * An AGGREGATE is replaced by a scan of a view whose query groups the same rows by the same keys
 * and has the calls that are wanted; conditions that the query has beyond the view's may be over
 * keys alone, and are asked of the view's rows. Both trees are as they were bound. Columns of the
 * view's are paired with the query's from the scans up, and expressions are compared after putting
 * the query's columns in.
 */
#include "plan/plan_internal.h"

typedef struct matching {
    kdi_planner *p;
    kd_column_id *ids; /* Of the view's query, ... */
    kd_expr **exprs;   /* ... and the columns of the query that they are. */
    size_t id_count, id_capacity, expr_count, expr_capacity;
} matching;

/* --- The rows below --------------------------------------------------------------------------- */

static kd_status pair(kd_ctx *ctx, matching *m, kd_column_id of_view, const kd_rel_column *of_query)
{
    kd_column_id *id;
    kd_expr **expr;
    KD_TRY(KD_PUSH(ctx, m->p->arena, m->ids, m->id_count, m->id_capacity, &id));
    KD_TRY(KD_PUSH(ctx, m->p->arena, m->exprs, m->expr_count, m->expr_capacity, &expr));
    *id = of_view;
    *expr = kdi_make_column(ctx, m->p, of_query->id, of_query->type);
    return *expr == NULL ? KD_NOMEM : KD_OK;
}

static kd_status same_expr(kd_ctx *ctx, matching *m, const kd_expr *query, const kd_expr *view,
                           bool *out_same)
{
    kd_expr *copy;
    *out_same = query == view; /* NULL. */
    if (query == NULL || view == NULL)
        return KD_OK;
    KD_TRY(kdi_substitute(ctx, m->p, view, m->ids, m->exprs, (uint32_t)m->id_count, &copy));
    *out_same = kd_expr_equal(query, copy);
    return KD_OK;
}

/* The same stored columns; those of the view may be fewer. */
static kd_status match_scans(kd_ctx *ctx, matching *m, const kd_rel *query, const kd_rel *view,
                             bool *out_same)
{
    const kd_table_entry *table = query->as.scan.table, *of_view = view->as.scan.table;
    *out_same = table->table_no == of_view->table_no && query->as.scan.ref_column == 0 &&
                view->as.scan.ref_column == 0 && query->as.scan.place == NULL &&
                view->as.scan.place == NULL;
    for (uint32_t i = 0; *out_same && i < view->column_count; i++) {
        uint32_t number = of_view->columns[view->as.scan.positions[i]].storage.column_no, k = 0;
        while (k < query->column_count &&
               table->columns[query->as.scan.positions[k]].storage.column_no != number)
            k++;
        *out_same =
            k < query->column_count && kd_type_same(query->columns[k].type, view->columns[i].type);
        if (*out_same)
            KD_TRY(pair(ctx, m, view->columns[i].id, &query->columns[k]));
    }
    return KD_OK;
}

static kd_status match_rows(kd_ctx *ctx, matching *m, kd_rel *query, kd_rel *view,
                            kdi_conditions *extra, bool *out_same);

static kd_status match_projects(kd_ctx *ctx, matching *m, const kd_rel *query, const kd_rel *view,
                                bool *out_same)
{
    *out_same = query->column_count == view->column_count;
    for (uint32_t i = 0; *out_same && i < view->column_count; i++) {
        KD_TRY(same_expr(ctx, m, query->as.project.exprs[i], view->as.project.exprs[i], out_same));
        if (*out_same)
            KD_TRY(pair(ctx, m, view->columns[i].id, &query->columns[i]));
    }
    return KD_OK;
}

/* UNION ALL of partitions. */
static kd_status match_unions(kd_ctx *ctx, matching *m, const kd_rel *query, const kd_rel *view,
                              bool *out_same)
{
    *out_same = query->as.set.kind == KD_SET_UNION && view->as.set.kind == KD_SET_UNION &&
                query->as.set.all && view->as.set.all && query->column_count == view->column_count;
    for (uint32_t i = 0; *out_same && i < view->column_count; i++) {
        kd_expr left = {.kind = KD_EXPR_COLUMN, .type = view->columns[i].type};
        kd_expr other = {.kind = KD_EXPR_COLUMN, .type = query->columns[i].type};
        bool same_right;
        left.column = view->as.set.left_ids[i];
        other.column = query->as.set.left_ids[i];
        KD_TRY(same_expr(ctx, m, &other, &left, out_same));
        left.column = view->as.set.right_ids[i];
        other.column = query->as.set.right_ids[i];
        KD_TRY(same_expr(ctx, m, &other, &left, &same_right));
        *out_same &= same_right;
        if (*out_same)
            KD_TRY(pair(ctx, m, view->columns[i].id, &query->columns[i]));
    }
    return KD_OK;
}

static bool is_plain_join(const kd_rel *join)
{
    return (join->as.join.kind == KD_JOIN_INNER || join->as.join.kind == KD_JOIN_LEFT) &&
           !join->as.join.lateral;
}

/* Operators of one kind, without the conditions over them. */
static kd_status match_operators(kd_ctx *ctx, matching *m, const kd_rel *query, const kd_rel *view,
                                 bool *out_same)
{
    *out_same = query->kind == view->kind;
    for (int i = 0; *out_same && i < 2; i++) {
        *out_same = (query->inputs[i] == NULL) == (view->inputs[i] == NULL);
        if (*out_same && query->inputs[i] != NULL)
            KD_TRY(match_rows(ctx, m, query->inputs[i], view->inputs[i], NULL, out_same));
    }
    if (!*out_same)
        return KD_OK;
    switch (query->kind) {
    case KD_REL_SCAN:
        return match_scans(ctx, m, query, view, out_same);
    case KD_REL_PROJECT:
        return match_projects(ctx, m, query, view, out_same);
    case KD_REL_SET:
        return match_unions(ctx, m, query, view, out_same);
    case KD_REL_JOIN:
        *out_same = query->as.join.kind == view->as.join.kind && is_plain_join(query) &&
                    is_plain_join(view);
        return !*out_same
                   ? KD_OK
                   : same_expr(ctx, m, query->as.join.condition, view->as.join.condition, out_same);
    default:
        *out_same = false;
        return KD_OK;
    }
}

static kd_status peel_filters(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel, kdi_conditions *out)
{
    for (; (*io_rel)->kind == KD_REL_FILTER; *io_rel = (*io_rel)->inputs[0])
        KD_TRY(kdi_conditions_add(ctx, p, out, (*io_rel)->as.filter.condition));
    return KD_OK;
}

/* The same rows. What the query asks beyond the view goes to `extra`; NULL: nothing may. */
static kd_status match_rows(kd_ctx *ctx, matching *m, kd_rel *query, kd_rel *view,
                            kdi_conditions *extra, bool *out_same)
{
    kdi_conditions asked = {0}, has = {0};
    KD_TRY(kdi_plan_enter(ctx, m->p));
    KD_TRY(peel_filters(ctx, m->p, &query, &asked));
    KD_TRY(peel_filters(ctx, m->p, &view, &has));
    KD_TRY(match_operators(ctx, m, query, view, out_same));
    kdi_plan_leave(m->p);
    for (size_t i = 0; *out_same && i < has.count; i++) {
        bool found = false;
        size_t k = 0;
        for (; k < asked.count; k++) {
            KD_TRY(same_expr(ctx, m, asked.items[k], has.items[i], &found));
            if (found)
                break;
        }
        *out_same = found;
        if (found)
            asked.items[k] = asked.items[--asked.count];
    }
    if (*out_same && extra == NULL)
        *out_same = asked.count == 0;
    for (size_t k = 0; *out_same && extra != NULL && k < asked.count; k++)
        KD_TRY(kdi_conditions_add(ctx, m->p, extra, asked.items[k]));
    return KD_OK;
}

/* --- The groups ------------------------------------------------------------------------------- */

static kd_status same_call(kd_ctx *ctx, matching *m, const kd_aggregate_call *query,
                           const kd_aggregate_call *view, bool *out_same)
{
    *out_same = query->aggregate == view->aggregate && query->distinct == view->distinct &&
                query->argument_count == view->argument_count && query->order_count == 0 &&
                view->order_count == 0 && kd_type_same(query->type, view->type);
    for (uint32_t i = 0; *out_same && i < query->argument_count; i++)
        KD_TRY(same_expr(ctx, m, query->arguments[i], view->arguments[i], out_same));
    return *out_same ? same_expr(ctx, m, query->filter, view->filter, out_same) : KD_OK;
}

/* The view's column that gives `id` of its aggregate. */
static bool shown_as(const kd_rel *root, kd_column_id id, uint32_t *out_position)
{
    for (uint32_t i = 0; i < root->column_count; i++) {
        const kd_expr *expr = root->as.project.exprs[i];
        *out_position = i;
        if (expr->kind == KD_EXPR_COLUMN && expr->column == id)
            return true;
    }
    return false;
}

/* Where the view has the query's keys, all of its own among them, and calls: per column. */
static kd_status place_groups(kd_ctx *ctx, matching *m, const kd_rel *query, const kd_rel *root,
                              uint32_t *places, bool *out_same)
{
    const kd_rel *view = root->inputs[0];
    uint32_t keys = query->as.aggregate.key_count, calls = query->as.aggregate.call_count;
    *out_same =
        keys == view->as.aggregate.key_count && keys < 64 && query->column_count == keys + calls;
    uint64_t met = 0;
    for (uint32_t i = 0; *out_same && i < keys; i++) {
        bool found = false;
        for (uint32_t k = 0; !found && k < keys; k++) {
            KD_TRY(
                same_expr(ctx, m, query->as.aggregate.keys[i], view->as.aggregate.keys[k], &found));
            if (found)
                met |= (uint64_t)1 << k;
            if (found)
                found = shown_as(root, view->as.aggregate.key_ids[k], &places[i]);
        }
        *out_same = found;
    }
    *out_same = *out_same && met == ((uint64_t)1 << keys) - 1;
    for (uint32_t i = 0; *out_same && i < calls; i++) {
        bool found = false;
        for (uint32_t k = 0; !found && k < view->as.aggregate.call_count; k++) {
            KD_TRY(same_call(ctx, m, &query->as.aggregate.calls[i], &view->as.aggregate.calls[k],
                             &found));
            found = found && shown_as(root, view->as.aggregate.calls[k].output, &places[keys + i]);
        }
        *out_same = found;
    }
    return KD_OK;
}

/* --- Reading the view ------------------------------------------------------------------------- */

static kd_status make_scan(kd_ctx *ctx, kdi_planner *p, const kd_table_entry *table, uint32_t count,
                           kd_rel **out)
{
    kd_rel *scan = kdi_make_rel(ctx, p, KD_REL_SCAN, NULL);
    if (scan == NULL)
        return KD_NOMEM;
    scan->column_count = count;
    scan->columns = KD_NEW_ARRAY(ctx, p->arena, kd_rel_column, count);
    scan->as.scan.positions = KD_NEW_ARRAY(ctx, p->arena, uint32_t, count);
    if (scan->columns == NULL || scan->as.scan.positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        scan->columns[i] = (kd_rel_column){.id = ++p->last_id,
                                           .type = table->columns[i].storage.type,
                                           .name = table->columns[i].storage.name};
        scan->as.scan.positions[i] = i;
    }
    scan->as.scan.table = table;
    scan->as.scan.alias = table->object.name;
    *out = scan;
    return KD_OK;
}

static kd_expr *view_column(kd_ctx *ctx, kdi_planner *p, const kd_rel_column *column)
{
    kd_expr *made = kdi_make_column(ctx, p, column->id, column->type);
    if (made != NULL)
        made->name = column->name;
    return made;
}

/* Types of which equal values are the same: a condition on one of a group is one on all. */
static bool equal_is_same(kd_type type)
{
    switch (type.id) {
    case KD_TYPE_BOOL:
    case KD_TYPE_INT2:
    case KD_TYPE_INT4:
    case KD_TYPE_INT8:
    case KD_TYPE_DATE:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
        return !type.is_array;
    default:
        return false;
    }
}

/* Conditions over keys that are columns, as conditions over the view's. */
static kd_status move_conditions(kd_ctx *ctx, kdi_planner *p, const kd_rel *query,
                                 const uint32_t *places, const kd_rel *scan,
                                 kdi_conditions *conditions, bool *out_can)
{
    uint32_t keys = query->as.aggregate.key_count, count = 0;
    kd_column_id *ids = KD_NEW_ARRAY(ctx, p->arena, kd_column_id, keys);
    kd_expr **columns = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, keys);
    kd_id_set known = kdi_set(p);
    if (ids == NULL || columns == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < keys; i++) {
        const kd_expr *key = query->as.aggregate.keys[i];
        const kd_rel_column *column = &scan->columns[places[i]];
        if (key->kind != KD_EXPR_COLUMN || !equal_is_same(key->type))
            continue;
        ids[count] = key->column;
        columns[count] = view_column(ctx, p, column);
        if (columns[count++] == NULL)
            return KD_NOMEM;
        KD_TRY(kd_id_set_add(ctx, &known, key->column));
    }
    *out_can = true;
    for (size_t i = 0; *out_can && i < conditions->count; i++) {
        kd_id_set used = kdi_set(p);
        KD_TRY(kd_expr_columns(ctx, conditions->items[i], &used));
        *out_can = kd_id_set_contains(&known, &used) &&
                   !kd_expr_is_volatile(conditions->items[i]) &&
                   !kd_expr_has_subquery(conditions->items[i]);
        if (*out_can)
            KD_TRY(kdi_substitute(ctx, p, conditions->items[i], ids, columns, count,
                                  &conditions->items[i]));
    }
    return KD_OK;
}

static kd_status read_view(kd_ctx *ctx, kdi_planner *p, const kd_plan_view *view,
                           const uint32_t *places, kdi_conditions *conditions, kd_rel **io_query)
{
    const kd_rel *query = *io_query;
    uint32_t count = view->bound->query->column_count;
    kd_rel *rel;
    bool can = count <= view->table->visible_count;
    if (!can)
        return KD_OK;
    KD_TRY(make_scan(ctx, p, view->table, count, &rel));
    const kd_rel *scan = rel;
    for (uint32_t i = 0; can && i < query->column_count; i++)
        can = kd_type_same(scan->columns[places[i]].type, query->columns[i].type);
    if (can)
        KD_TRY(move_conditions(ctx, p, query, places, scan, conditions, &can));
    if (!can)
        return KD_OK;
    KD_TRY(kdi_make_filter(ctx, p, conditions, &rel));
    kd_rel *project = kdi_make_rel(ctx, p, KD_REL_PROJECT, rel);
    kd_expr **exprs = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, query->column_count);
    if (project == NULL || exprs == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < query->column_count; i++) {
        exprs[i] = view_column(ctx, p, &scan->columns[places[i]]);
        if (exprs[i] == NULL)
            return KD_NOMEM;
    }
    project->column_count = query->column_count;
    project->columns = query->columns;
    project->as.project.exprs = exprs;
    *io_query = project;
    p->view_uses++;
    return KD_OK;
}

static bool is_plain_aggregate(const kd_rel *rel)
{
    return rel->kind == KD_REL_AGGREGATE && rel->as.aggregate.set_count == 0 &&
           rel->as.aggregate.grouping_id == 0;
}

static kd_status try_view(kd_ctx *ctx, kdi_planner *p, const kd_plan_view *view, kd_rel **io_query)
{
    kd_rel *query = *io_query, *root = view->bound->query;
    matching m = {.p = p};
    kdi_conditions extra = {0};
    bool same;
    if (root->kind != KD_REL_PROJECT || !is_plain_aggregate(root->inputs[0]))
        return KD_OK;
    uint32_t *places = KD_NEW_ARRAY(ctx, p->arena, uint32_t, query->column_count);
    if (places == NULL)
        return KD_NOMEM;
    KD_TRY(match_rows(ctx, &m, query->inputs[0], root->inputs[0]->inputs[0], &extra, &same));
    if (same)
        KD_TRY(place_groups(ctx, &m, query, root, places, &same));
    return same ? read_view(ctx, p, view, places, &extra, io_query) : KD_OK;
}

kd_status kdi_rewrite_views(kd_ctx *ctx, kdi_planner *p, kd_rel **io_rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    for (uint32_t i = 0; is_plain_aggregate(*io_rel) && i < p->options->view_count; i++)
        KD_TRY(try_view(ctx, p, &p->options->views[i], io_rel));
    for (int i = 0; i < 2; i++)
        if ((*io_rel)->inputs[i] != NULL)
            KD_TRY(kdi_rewrite_views(ctx, p, &(*io_rel)->inputs[i]));
    kdi_plan_leave(p);
    return KD_OK;
}
