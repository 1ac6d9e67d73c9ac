/*
 * Joins and groups that a plan has twice are computed once, as a WITH query is.
 *
 * It works on the finished plan, where both places have their algorithm and only the columns that
 * they need: one may need fewer. Columns have other numbers in each place, so trees are compared
 * under a map from those of one to those of the other. Kept rows cost too, numerics among them
 * most, which are read back as decimals and no longer as integers: it is done where the tables
 * below have many times as many rows. Below a LIMIT that could stop early nothing is shared.
 */
#include "plan/plan_internal.h"

enum {
    READ_ROWS_MIN = 20000, /* Of the tables below: less is computed faster than kept. */
    /* What a kept row costs, in rows that are read. */
    KEPT_ROW = 4,
    KEPT_COLUMN = 1,
    KEPT_NUMERIC = 50,
    KEPT_ROWS_MAX = 4000000,
    PLACES_MAX = 64,
};

/* A place that a join or group stands at, in the order of a walk from the root. */
typedef struct place {
    kd_plan **slot;
    size_t end; /* The first place that is not below it. */
    double read_rows;
    bool is_gone;
} place;

typedef struct sharing {
    kdi_planner *p;
    place places[PLACES_MAX];
    size_t count;
} sharing;

/* Columns of the second tree and what they are in the first. */
typedef struct column_map {
    kdi_planner *p;
    kd_column_id *ids;
    kd_expr **columns;
    size_t count, id_capacity, column_capacity;
} column_map;

/* --- Whether two trees are the same ----------------------------------------------------------- */

static kd_status map_add(kd_ctx *ctx, column_map *map, kd_column_id from, const kd_rel_column *to)
{
    size_t count = map->count;
    kd_column_id *id;
    kd_expr **column;
    KD_TRY(KD_PUSH(ctx, map->p->arena, map->ids, map->count, map->id_capacity, &id));
    KD_TRY(KD_PUSH(ctx, map->p->arena, map->columns, count, map->column_capacity, &column));
    *id = from;
    *column = kdi_make_column(ctx, map->p, to->id, to->type);
    return *column == NULL ? KD_NOMEM : KD_OK;
}

static kd_status expr_same(kd_ctx *ctx, column_map *map, const kd_expr *a, const kd_expr *b,
                           bool *io_same)
{
    kd_expr *moved;
    if (a == NULL || b == NULL || !*io_same) {
        *io_same = *io_same && a == b;
        return KD_OK;
    }
    *io_same = a->kind == b->kind && !kd_expr_has_subquery(b);
    if (!*io_same)
        return KD_OK;
    KD_TRY(kdi_substitute(ctx, map->p, b, map->ids, map->columns, (uint32_t)map->count, &moved));
    *io_same = kd_expr_equal(a, moved);
    return KD_OK;
}

static kd_status scan_same(kd_ctx *ctx, column_map *map, const kd_plan *a, const kd_plan *b,
                           bool *io_same)
{
    const kd_plan *both[2] = {a, b};
    for (int i = 0; i < 2; i++)
        *io_same = *io_same && both[i]->as.scan.ref_column == 0 && !both[i]->as.scan.holds_places &&
                   both[i]->as.scan.paths == NULL && both[i]->gate_count == 0;
    *io_same = *io_same && a->as.scan.table == b->as.scan.table;
    for (uint32_t i = 0; i < b->column_count && *io_same; i++) {
        uint32_t at = 0;
        while (at < a->column_count && a->as.scan.positions[at] != b->as.scan.positions[i])
            at++;
        *io_same = at < a->column_count;
        if (*io_same)
            KD_TRY(map_add(ctx, map, b->columns[i].id, &a->columns[at]));
    }
    return expr_same(ctx, map, a->as.scan.condition, b->as.scan.condition, io_same);
}

static kd_status project_same(kd_ctx *ctx, column_map *map, const kd_plan *a, const kd_plan *b,
                              bool *io_same)
{
    for (uint32_t i = 0; i < b->column_count && *io_same; i++) {
        bool found = false;
        for (uint32_t k = 0; k < a->column_count && !found; k++) {
            found = true;
            KD_TRY(expr_same(ctx, map, a->as.project.exprs[k], b->as.project.exprs[i], &found));
            if (found && a->columns[k].id != b->columns[i].id)
                KD_TRY(map_add(ctx, map, b->columns[i].id, &a->columns[k]));
        }
        *io_same = found;
    }
    return KD_OK;
}

static kd_status join_same(kd_ctx *ctx, column_map *map, const kd_plan *a, const kd_plan *b,
                           bool *io_same)
{
    *io_same = *io_same && a->as.join.kind == b->as.join.kind && a->as.join.mark == 0 &&
               b->as.join.mark == 0 && a->as.join.key_count == b->as.join.key_count;
    for (uint32_t k = 0; *io_same && k < a->as.join.key_count; k++) {
        *io_same = a->as.join.null_equal[k] == b->as.join.null_equal[k];
        KD_TRY(expr_same(ctx, map, a->as.join.left_keys[k], b->as.join.left_keys[k], io_same));
        KD_TRY(expr_same(ctx, map, a->as.join.right_keys[k], b->as.join.right_keys[k], io_same));
    }
    return expr_same(ctx, map, a->as.join.residual, b->as.join.residual, io_same);
}

static kd_status call_same(kd_ctx *ctx, column_map *map, const kd_aggregate_call *a,
                           const kd_aggregate_call *b, bool *out_same)
{
    *out_same = a->aggregate == b->aggregate && a->argument_count == b->argument_count &&
                a->distinct == b->distinct && a->order_count == 0 && b->order_count == 0;
    for (uint32_t i = 0; *out_same && i < a->argument_count; i++)
        KD_TRY(expr_same(ctx, map, a->arguments[i], b->arguments[i], out_same));
    return expr_same(ctx, map, a->filter, b->filter, out_same);
}

static kd_status aggregate_same(kd_ctx *ctx, column_map *map, const kd_plan *a, const kd_plan *b,
                                bool *io_same)
{
    uint32_t keys = a->as.aggregate.key_count;
    *io_same = *io_same && keys == b->as.aggregate.key_count && a->as.aggregate.set_count == 0 &&
               b->as.aggregate.set_count == 0;
    for (uint32_t k = 0; k < keys && *io_same; k++)
        KD_TRY(expr_same(ctx, map, a->as.aggregate.keys[k], b->as.aggregate.keys[k], io_same));
    for (uint32_t k = 0; k < keys && *io_same; k++)
        KD_TRY(map_add(ctx, map, b->columns[k].id, &a->columns[k]));
    for (uint32_t i = 0; *io_same && i < b->as.aggregate.call_count; i++) {
        bool found = false;
        uint32_t at = 0;
        for (; at < a->as.aggregate.call_count && !found; at++)
            KD_TRY(
                call_same(ctx, map, &a->as.aggregate.calls[at], &b->as.aggregate.calls[i], &found));
        *io_same = found;
        if (found)
            KD_TRY(map_add(ctx, map, b->columns[keys + i].id, &a->columns[keys + at - 1]));
    }
    return KD_OK;
}

static const kd_expr *mapped(const column_map *map, kd_column_id id)
{
    for (size_t i = map->count; i-- > 0;)
        if (map->ids[i] == id)
            return map->columns[i];
    return NULL;
}

/* Where the first tree gives a column of the second; UINT32_MAX: it does not. */
static uint32_t column_place(const column_map *map, const kd_plan *a, kd_column_id id)
{
    const kd_expr *column = mapped(map, id);
    for (uint32_t i = 0; column != NULL && i < a->column_count; i++)
        if (a->columns[i].id == column->column)
            return i;
    return UINT32_MAX;
}

/* Whether `a` gives the rows of `b`, and all its columns. */
static kd_status tree_same(kd_ctx *ctx, column_map *map, const kd_plan *a, const kd_plan *b,
                           bool *io_same)
{
    *io_same = *io_same && a->kind == b->kind;
    for (int i = 0; i < 2 && *io_same; i++) {
        *io_same = (a->inputs[i] == NULL) == (b->inputs[i] == NULL);
        if (*io_same && a->inputs[i] != NULL)
            KD_TRY(tree_same(ctx, map, a->inputs[i], b->inputs[i], io_same));
    }
    if (!*io_same)
        return KD_OK;
    switch (a->kind) {
    case KD_PLAN_SCAN:
        KD_TRY(scan_same(ctx, map, a, b, io_same));
        break;
    case KD_PLAN_FILTER:
        KD_TRY(expr_same(ctx, map, a->as.filter.condition, b->as.filter.condition, io_same));
        break;
    case KD_PLAN_PROJECT:
        KD_TRY(project_same(ctx, map, a, b, io_same));
        break;
    case KD_PLAN_HASH_JOIN:
        KD_TRY(join_same(ctx, map, a, b, io_same));
        break;
    case KD_PLAN_AGGREGATE:
        KD_TRY(aggregate_same(ctx, map, a, b, io_same));
        break;
    default:
        *io_same = false;
    }
    for (uint32_t i = 0; *io_same && i < b->column_count; i++)
        *io_same = column_place(map, a, b->columns[i].id) != UINT32_MAX;
    return KD_OK;
}

/* --- Places ----------------------------------------------------------------------------------- */

static double rows_read(kdi_planner *p, const kd_plan *plan)
{
    double rows = plan->kind == KD_PLAN_SCAN ? kdi_table_rows(p, plan->as.scan.table) : 0;
    for (int i = 0; i < 2; i++)
        if (plan->inputs[i] != NULL)
            rows += rows_read(p, plan->inputs[i]);
    return rows;
}

static bool pays(const kd_plan *plan, double read_rows)
{
    double each = KEPT_ROW;
    for (uint32_t i = 0; i < plan->column_count; i++)
        each += plan->columns[i].type.id == KD_TYPE_NUMERIC ? KEPT_NUMERIC : KEPT_COLUMN;
    return (plan->kind == KD_PLAN_HASH_JOIN || plan->kind == KD_PLAN_AGGREGATE) &&
           read_rows >= READ_ROWS_MIN && plan->row_estimate * each <= read_rows &&
           plan->row_estimate <= KEPT_ROWS_MAX;
}

/* `stops`: somebody above may want only the first rows. */
static kd_status places_find(kd_ctx *ctx, sharing *s, kd_plan **slot, bool stops)
{
    kd_plan *plan = *slot;
    size_t own = SIZE_MAX;
    double read_rows = rows_read(s->p, plan);
    KD_TRY(kdi_plan_enter(ctx, s->p));
    if (!stops && s->count < PLACES_MAX && pays(plan, read_rows)) {
        own = s->count++;
        s->places[own] = (place){.slot = slot, .read_rows = read_rows};
    }
    bool is_over = plan->kind == KD_PLAN_AGGREGATE || plan->kind == KD_PLAN_SORT ||
                   plan->kind == KD_PLAN_TOP_N || plan->kind == KD_PLAN_WINDOW;
    stops = (stops && !is_over) || plan->kind == KD_PLAN_LIMIT;
    /* What runs once per row, or is told which rows it gives, stays as it is. */
    if (plan->kind != KD_PLAN_RECURSIVE && plan->kind != KD_PLAN_LOCK_ROWS) {
        for (uint32_t i = 0; i < plan->more_count; i++)
            KD_TRY(places_find(ctx, s, &plan->more[i], stops));
        if (plan->inputs[0] != NULL)
            KD_TRY(places_find(ctx, s, &plan->inputs[0], stops));
        bool is_kept = plan->kind == KD_PLAN_HASH_JOIN || plan->kind == KD_PLAN_NESTED_LOOP;
        if (plan->inputs[1] != NULL && plan->kind != KD_PLAN_APPLY)
            KD_TRY(places_find(ctx, s, &plan->inputs[1], stops && !is_kept));
    }
    if (own != SIZE_MAX)
        s->places[own].end = s->count;
    kdi_plan_leave(s->p);
    return KD_OK;
}

/* --- Sharing ---------------------------------------------------------------------------------- */

static kd_status use_put(kd_ctx *ctx, sharing *s, place *at, const column_map *map,
                         const kd_plan *source, uint32_t cte_no)
{
    const kd_plan *old = *at->slot;
    kd_plan *use = kdi_make_plan(ctx, s->p, KD_PLAN_CTE_SCAN, old->row_estimate, old->column_count);
    uint32_t *positions = KD_NEW_ARRAY(ctx, s->p->arena, uint32_t, old->column_count);
    if (use == NULL || positions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < old->column_count; i++)
        positions[i] = map == NULL ? i : column_place(map, source, old->columns[i].id);
    use->columns = old->columns;
    use->as.cte.cte_no = cte_no;
    use->as.cte.source_positions = positions;
    *at->slot = use;
    for (size_t i = (size_t)(at - s->places); i < at->end; i++)
        s->places[i].is_gone = true;
    return KD_OK;
}

/* The plan at a place becomes a WITH query, and the place a use of it. */
static kd_status cte_make(kd_ctx *ctx, sharing *s, place *at, uint32_t *out_no)
{
    kdi_planner *p = s->p;
    kd_plan **slot, *plan = *at->slot;
    kd_cte **of;
    KD_TRY(KD_PUSH(ctx, p->arena, p->cte_of, p->cte_of_count, p->cte_of_capacity, &of));
    KD_TRY(KD_PUSH(ctx, p->arena, p->ctes, p->cte_count, p->cte_capacity, &slot));
    *of = NULL;
    *slot = plan;
    *out_no = (uint32_t)p->cte_count - 1;
    return use_put(ctx, s, at, NULL, plan, *out_no);
}

/* Looks for what the plan at place `first` gives in places after it. */
static kd_status place_share(kd_ctx *ctx, sharing *s, size_t first)
{
    const kd_plan *source = *s->places[first].slot;
    bool is_made = false;
    uint32_t cte_no = 0;
    for (size_t i = s->places[first].end; i < s->count; i++) {
        column_map map = {.p = s->p}, back = {.p = s->p};
        const kd_plan *other = *s->places[i].slot;
        bool same = !s->places[i].is_gone && s->places[i].read_rows == s->places[first].read_rows;
        bool reversed = same && !is_made;
        KD_TRY(tree_same(ctx, &map, source, other, &same));
        if (!same && reversed)
            KD_TRY(tree_same(ctx, &back, other, source, &reversed));
        if (same) {
            if (!is_made)
                KD_TRY(cte_make(ctx, s, &s->places[first], &cte_no));
            KD_TRY(use_put(ctx, s, &s->places[i], &map, source, cte_no));
            is_made = true;
        } else if (reversed) {
            KD_TRY(cte_make(ctx, s, &s->places[i], &cte_no));
            KD_TRY(use_put(ctx, s, &s->places[first], &back, other, cte_no));
            source = other;
            is_made = true;
        }
    }
    return KD_OK;
}

kd_status kdi_share_plans(kd_ctx *ctx, kdi_planner *p, kd_plan **io_plan)
{
    if (p->scan_count < 2)
        return KD_OK;
    sharing *s = KD_NEW(ctx, p->arena, sharing);
    if (s == NULL)
        return KD_NOMEM;
    s->p = p;
    KD_TRY(places_find(ctx, s, io_plan, false));
    for (size_t i = 0; i + 1 < s->count; i++)
        if (!s->places[i].is_gone)
            KD_TRY(place_share(ctx, s, i));
    return KD_OK;
}
