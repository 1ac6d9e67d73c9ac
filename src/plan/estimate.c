/*
 * How many rows an operator gives.
 *
 * Conditions over one table are tried on the sample that the statistics keep; equalities between
 * tables go by distinct values, each value of the side with fewer taken to have a partner on the
 * other. What nobody knows is guessed by the form of the condition. Estimates never fail.
 */
#include "plan/plan_internal.h"

#include <math.h>

/* HAVING looks for the groups that stand out. */
static const double GROUPS_SHARE = 0.05;

enum {
    ROWS_UNKNOWN = 1000,
    PASSED_ENOUGH = 8,       /* Sampled rows from which a share is believed. */
    LONE_SCAN_ROWS = 100000, /* Below, a statement of one table is faster run than asked about. */
    ALIAS_STEPS_MAX = 64,
    SHARES_MAX = 256,
};

/* --- Where columns come from ------------------------------------------------------------------ */

static kd_status origin_add(kd_ctx *ctx, kdi_planner *p, kd_column_id id, kdi_origin origin)
{
    if (id >= p->origin_count) {
        uint32_t count = p->last_id + 1 > id + 1 ? p->last_id + 1 : id + 1;
        kdi_origin *grown = KD_NEW_ARRAY(ctx, p->arena, kdi_origin, count);
        if (grown == NULL)
            return KD_NOMEM;
        if (p->origin_count > 0)
            memcpy(grown, p->origins, p->origin_count * sizeof *grown);
        p->origins = grown;
        p->origin_count = count;
    }
    p->origins[id] = origin;
    return KD_OK;
}

/* An expression that hands a column's values on: the column, or a cast that keeps them apart. */
static const kd_expr *handed_column(const kd_expr *expr)
{
    while (expr->kind == KD_EXPR_CAST &&
           kd_type_is_number(expr->type) == kd_type_is_number(expr->arguments[0]->type))
        expr = expr->arguments[0];
    return expr->kind == KD_EXPR_COLUMN ? expr : NULL;
}

static kd_status note_alias(kd_ctx *ctx, kdi_planner *p, kd_column_id id, const kd_expr *expr)
{
    const kd_expr *column = handed_column(expr);
    if (column == NULL || column->column == id)
        return KD_OK;
    return origin_add(ctx, p, id, (kdi_origin){.alias = column->column});
}

kd_status kdi_note_node(kd_ctx *ctx, kdi_planner *p, kd_rel *rel)
{
    switch (rel->kind) {
    case KD_REL_SCAN:
        p->scan_count++;
        for (uint32_t i = 0; i < rel->column_count; i++)
            if (rel->columns[i].id != rel->as.scan.ref_column)
                KD_TRY(
                    origin_add(ctx, p, rel->columns[i].id,
                               (kdi_origin){.scan = rel, .position = rel->as.scan.positions[i]}));
        return KD_OK;
    case KD_REL_PROJECT:
        for (uint32_t i = 0; i < rel->column_count; i++)
            KD_TRY(note_alias(ctx, p, rel->columns[i].id, rel->as.project.exprs[i]));
        return KD_OK;
    case KD_REL_AGGREGATE:
        for (uint32_t i = 0; i < rel->as.aggregate.key_count; i++)
            KD_TRY(note_alias(ctx, p, rel->as.aggregate.key_ids[i], rel->as.aggregate.keys[i]));
        for (uint32_t i = 0; i < rel->as.aggregate.call_count; i++)
            KD_TRY(origin_add(ctx, p, rel->as.aggregate.calls[i].output,
                              (kdi_origin){.is_of_group = true}));
        return KD_OK;
    case KD_REL_SET:
        for (uint32_t i = 0; i < rel->column_count; i++)
            KD_TRY(origin_add(ctx, p, rel->columns[i].id,
                              (kdi_origin){.alias = rel->as.set.left_ids[i]}));
        return KD_OK;
    case KD_REL_CTE:
        KD_TRY(kdi_note_origins(ctx, p, rel->as.cte.cte->query));
        for (uint32_t i = 0; i < rel->column_count; i++)
            KD_TRY(origin_add(ctx, p, rel->columns[i].id,
                              (kdi_origin){.alias = rel->as.cte.source_ids[i]}));
        return KD_OK;
    default:
        return KD_OK;
    }
}

kd_status kdi_note_origins(kd_ctx *ctx, kdi_planner *p, kd_rel *rel)
{
    KD_TRY(kdi_plan_enter(ctx, p));
    for (int i = 0; i < 2; i++)
        if (rel->inputs[i] != NULL)
            KD_TRY(kdi_note_origins(ctx, p, rel->inputs[i]));
    KD_TRY(kdi_note_node(ctx, p, rel));
    kdi_plan_leave(p);
    return KD_OK;
}

const kdi_origin *kdi_origin_of(const kdi_planner *p, kd_column_id id)
{
    for (int step = 0; step < ALIAS_STEPS_MAX && id < p->origin_count; step++) {
        const kdi_origin *origin = &p->origins[id];
        if (origin->scan != NULL)
            return origin;
        if (origin->alias == 0)
            return NULL;
        id = origin->alias;
    }
    return NULL;
}

/* --- Distinct values -------------------------------------------------------------------------- */

kd_table *kdi_table_stored(const kdi_planner *p, const kd_table_entry *table)
{
    kd_storage *storage =
        p->options->catalog == NULL ? NULL : kd_catalog_storage(p->options->catalog);
    return storage == NULL ? NULL : kd_table_find(storage, table->table_no);
}

double kdi_table_rows(kdi_planner *p, const kd_table_entry *table)
{
    kd_table *stored = kdi_table_stored(p, table);
    return stored == NULL ? ROWS_UNKNOWN : (double)kd_table_row_count_estimate(stored);
}

static bool asks_statistics(kdi_planner *p, const kd_table_entry *table)
{
    return p->options->statistics != NULL && table->table_no != 0 &&
           (p->scan_count > 1 || kdi_table_rows(p, table) >= LONE_SCAN_ROWS);
}

static bool has_unique_index(const kd_table_entry *table, uint32_t position)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        const kd_index_definition *index = &table->indexes[i].storage;
        if (index->unique && index->column_count == 1 && index->predicate_column_no < 0 &&
            index->columns[0].column_no == table->columns[position].storage.column_no)
            return true;
    }
    return false;
}

double kdi_distinct(kdi_planner *p, const kd_expr *expr)
{
    const kd_expr *column = handed_column(expr);
    const kdi_origin *origin = column == NULL ? NULL : kdi_origin_of(p, column->column);
    if (origin == NULL)
        return 0;
    const kd_table_entry *table = origin->scan->as.scan.table;
    if (has_unique_index(table, origin->position))
        return fmax(1, kdi_table_rows(p, table));
    if (!asks_statistics(p, table))
        return 0;
    const kd_statistics *statistics = p->options->statistics;
    return statistics->distinct(p->ctx, statistics, table, &origin->position, 1);
}

double kdi_distinct_together(kdi_planner *p, const kd_rel *scan, const uint32_t *positions,
                             uint32_t count)
{
    const kd_table_entry *table = scan->as.scan.table;
    if (!asks_statistics(p, table))
        return 0;
    const kd_statistics *statistics = p->options->statistics;
    return statistics->distinct(p->ctx, statistics, table, positions, count);
}

/* Of `distinct` values, how many are met in `rows` rows drawn at random (Cardenas 1975). */
double kdi_values_met(double distinct, double rows)
{
    if (distinct <= 1)
        return 1;
    double met = distinct * -expm1(rows * log1p(-1 / distinct));
    return met < 1 ? 1 : met;
}

/* --- Conditions: guesses -----------------------------------------------------------------------
 */

static double clamp_share(double share)
{
    return share < 1e-9 ? 1e-9 : share > 1 ? 1 : share;
}

static double guess_equality(kdi_planner *p, const kd_expr *left, const kd_expr *right)
{
    double a = kdi_distinct(p, left), b = kdi_distinct(p, right);
    double most = a > b ? a : b;
    return most > 0 ? 1 / most : 0.01;
}

/* A column that hands on what a call says of a group. */
static bool is_of_group(const kdi_planner *p, const kd_expr *expr)
{
    const kd_expr *column = handed_column(expr);
    kd_column_id id = column == NULL ? 0 : column->column;
    for (int step = 0; step < ALIAS_STEPS_MAX && id != 0 && id < p->origin_count; step++) {
        if (p->origins[id].is_of_group)
            return true;
        id = p->origins[id].alias;
    }
    return false;
}

static double guess_call(kdi_planner *p, const kd_expr *call)
{
    const char *name = call->function->name;
    if (call->argument_count == 2 && strcmp(name, "=") == 0)
        return guess_equality(p, call->arguments[0], call->arguments[1]);
    if (call->argument_count == 2 && strcmp(name, "<>") == 0)
        return 1 - fmin(0.5, guess_equality(p, call->arguments[0], call->arguments[1]));
    if (strcmp(name, "~~") == 0 || strcmp(name, "~~*") == 0)
        return 0.05;
    if (strcmp(name, "!~~") == 0)
        return 0.95;
    if (strpbrk(name, "@&?") != NULL) /* @>, <@, &&, ?, ?|, ?&, @?, @@ */
        return 0.01;
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (is_of_group(p, call->arguments[i]))
            return GROUPS_SHARE;
    return 0.33;
}

static double guess(kdi_planner *p, const kd_expr *condition)
{
    double all = 1;
    switch (condition->kind) {
    case KD_EXPR_CONSTANT:
        return kdi_is_true(condition) ? 1 : 0;
    case KD_EXPR_AND:
        for (uint32_t i = 0; i < condition->argument_count; i++)
            all *= kdi_selectivity(p, condition->arguments[i]);
        return all;
    case KD_EXPR_OR:
        for (uint32_t i = 0; i < condition->argument_count; i++)
            all *= 1 - kdi_selectivity(p, condition->arguments[i]);
        return 1 - all;
    case KD_EXPR_NOT:
        return 1 - kdi_selectivity(p, condition->arguments[0]);
    case KD_EXPR_IS_NULL:
        return 0.02;
    case KD_EXPR_IN_LIST:
        all = kdi_distinct(p, condition->arguments[0]);
        all = (condition->argument_count - 1) / (all > 0 ? all : 100);
        return all > 0.5 ? 0.5 : all;
    case KD_EXPR_CALL:
        return guess_call(p, condition);
    case KD_EXPR_ANY_ARRAY:
        return condition->all ? 0.33 : 0.1;
    default:
        return 0.33;
    }
}

/* --- Conditions: by the sample ------------------------------------------------------------------
 */

typedef struct sampled_columns {
    kdi_planner *p;
    const kd_rel *scan; /* NULL: no column yet. */
    kd_column_id *ids;
    uint32_t *positions;
    size_t id_count, id_capacity, position_count, position_capacity;
    bool is_other; /* Columns of several tables, parameters, sub-queries. */
} sampled_columns;

/* A set operation's column may be stored otherwise than the table's that it comes from: a numeric
 * of other precision, say. The sample holds the table's values. */
static bool is_stored_alike(const kd_expr *column, const kdi_origin *origin)
{
    const kd_rel *scan = origin->scan;
    for (uint32_t i = 0; i < scan->column_count; i++) {
        kd_type type = scan->columns[i].type;
        if (scan->columns[i].id != scan->as.scan.ref_column &&
            scan->as.scan.positions[i] == origin->position)
            return type.id == column->type.id && type.is_array == column->type.is_array &&
                   (type.id != KD_TYPE_NUMERIC || type.modifier == column->type.modifier);
    }
    return false;
}

static kd_status sampled_visit(kd_ctx *ctx, void *object, kd_expr **slot)
{
    sampled_columns *s = object;
    const kd_expr *expr = *slot;
    s->is_other |= expr->kind == KD_EXPR_PARAMETER || expr->kind == KD_EXPR_SUBQUERY;
    if (expr->kind != KD_EXPR_COLUMN || s->is_other)
        return KD_OK;
    const kdi_origin *origin = kdi_origin_of(s->p, expr->column);
    if (origin == NULL || (s->scan != NULL && s->scan != origin->scan) ||
        !is_stored_alike(expr, origin)) {
        s->is_other = true;
        return KD_OK;
    }
    s->scan = origin->scan;
    for (size_t i = 0; i < s->id_count; i++)
        if (s->ids[i] == expr->column)
            return KD_OK;
    kd_column_id *id;
    uint32_t *position;
    KD_TRY(KD_PUSH(ctx, s->p->arena, s->ids, s->id_count, s->id_capacity, &id));
    KD_TRY(KD_PUSH(ctx, s->p->arena, s->positions, s->position_count, s->position_capacity,
                   &position));
    *id = expr->column;
    *position = origin->position;
    return KD_OK;
}

/* Estimates do not fail, they guess, and clear the record of what failed in them. After a failure
 * of the caller's, which has yet to look at it, they must not: nobody will run this plan. */
static bool caller_has_failed(const kdi_planner *p)
{
    return p->ctx->error.status != KD_OK;
}

/* The one table that the condition is about and that can be asked; NULL: none. */
static const kd_rel *sampled_scan(kdi_planner *p, const kd_expr *condition, sampled_columns *out)
{
    *out = (sampled_columns){.p = p};
    kd_expr *expr = (kd_expr *)(uintptr_t)condition;
    if (kd_expr_is_volatile(condition) || caller_has_failed(p))
        return NULL;
    if (kd_expr_walk(p->ctx, &expr, sampled_visit, out) != KD_OK) {
        kd_error_clear(p->ctx);
        return NULL;
    }
    return out->is_other || out->scan == NULL || !asks_statistics(p, out->scan->as.scan.table)
               ? NULL
               : out->scan;
}

static bool ask(kdi_planner *p, const kd_expr *condition, const sampled_columns *columns,
                double *out_passed, double *out_sampled)
{
    const kd_statistics *statistics = p->options->statistics;
    kd_sample_question question = {.table = columns->scan->as.scan.table,
                                   .ids = columns->ids,
                                   .positions = columns->positions,
                                   .column_count = (uint32_t)columns->id_count,
                                   .condition = condition};
    uint32_t passed, sampled;
    kd_arena *scratch = kd_arena_create(p->ctx, p->arena, "estimate", KD_ARENA_UNLIMITED);
    bool known = scratch != NULL &&
                 statistics->passing(p->ctx, statistics, scratch, &question, &passed, &sampled);
    kd_arena_destroy(scratch);
    kd_error_clear(p->ctx);
    if (!known)
        return false;
    *out_passed = passed;
    *out_sampled = sampled;
    return true;
}

/* One condition, or several of one table together (so that their correlation counts). */
static double share_of(kdi_planner *p, const kd_expr *condition)
{
    sampled_columns columns;
    double passed, sampled;
    if (sampled_scan(p, condition, &columns) == NULL ||
        !ask(p, condition, &columns, &passed, &sampled))
        return guess(p, condition);
    if (passed >= PASSED_ENOUGH)
        return passed / sampled;
    if (sampled >= kdi_table_rows(p, columns.scan->as.scan.table))
        return fmax(passed, 0.5) / sampled;
    /* Rare: the parts by themselves say more, below what the sample allows. */
    return fmin(guess(p, condition), (passed + 1) / sampled);
}

double kdi_selectivity(kdi_planner *p, const kd_expr *condition)
{
    if (condition == NULL || caller_has_failed(p))
        return 1;
    for (size_t i = 0; i < p->share_count; i++)
        if (p->shares[i].condition == condition)
            return p->shares[i].share;
    double share = clamp_share(share_of(p, condition));
    if (p->share_count < SHARES_MAX) {
        kdi_share *slot;
        if (KD_PUSH(p->ctx, p->arena, p->shares, p->share_count, p->share_capacity, &slot) == KD_OK)
            *slot = (kdi_share){condition, share};
        kd_error_clear(p->ctx);
    }
    return share;
}

/* Conditions that all hold: those of one table are asked about together. */
double kdi_selectivity_all(kdi_planner *p, const kdi_conditions *list)
{
    double share = 1;
    bool done[64] = {false};
    if (list->count > 64 || caller_has_failed(p))
        return 0.01;
    for (size_t i = 0; i < list->count; i++) {
        sampled_columns columns, others;
        kdi_conditions group = {0};
        if (done[i])
            continue;
        const kd_rel *scan = sampled_scan(p, list->items[i], &columns);
        kd_expr *together = list->items[i];
        for (size_t k = i; k < list->count && scan != NULL; k++) {
            if (done[k] || sampled_scan(p, list->items[k], &others) != scan)
                continue;
            done[k] = true;
            if (kdi_conditions_add(p->ctx, p, &group, list->items[k]) != KD_OK)
                kd_error_clear(p->ctx);
        }
        if (group.count > 1 && kdi_conditions_join(p->ctx, p, &group, &together) != KD_OK) {
            kd_error_clear(p->ctx);
            together = list->items[i];
        }
        share *= kdi_selectivity(p, together);
    }
    return clamp_share(share);
}

/* --- Operators ----------------------------------------------------------------------------------
 */

static double filter_rows(kdi_planner *p, kd_rel *rel, double input)
{
    kdi_conditions all = {0};
    if (kdi_conditions_add(p->ctx, p, &all, rel->as.filter.condition) != KD_OK) {
        kd_error_clear(p->ctx);
        return input * 0.33;
    }
    return input * kdi_selectivity_all(p, &all);
}

/* The share of pairs that an equality lets through. */
double kdi_equality_share(kdi_planner *p, const kd_expr *left, const kd_expr *right,
                          double left_rows, double right_rows)
{
    double a = kdi_distinct(p, left), b = kdi_distinct(p, right);
    if (a <= 0 && b <= 0)
        return 1 / fmax(1, fmin(left_rows, right_rows));
    return 1 / fmax(a, b);
}

/* The share of left rows that have a partner on the right. */
static double matched_share(kdi_planner *p, const kdi_conditions *all, double left_rows,
                            double right_rows)
{
    double share = 1;
    bool found = false;
    for (size_t i = 0; i < all->count; i++) {
        kd_expr *sides[2];
        bool null_equal;
        if (!kdi_is_equality(all->items[i], &sides[0], &sides[1], &null_equal))
            continue;
        double a = kdi_distinct(p, sides[0]), b = kdi_distinct(p, sides[1]);
        if (a <= 0 && b <= 0)
            continue;
        found = true;
        double met = kdi_values_met(b > 0 ? b : a, right_rows);
        share = fmin(share, met / fmax(a, b));
    }
    (void)left_rows;
    return found ? fmin(share, 1) : 0.5;
}

double kdi_join_rows(kdi_planner *p, kd_join_kind kind, const kdi_conditions *all, double left,
                     double right)
{
    double rows = left * right;
    for (size_t i = 0; i < all->count; i++) {
        kd_expr *sides[2];
        bool null_equal;
        if (kdi_is_equality(all->items[i], &sides[0], &sides[1], &null_equal))
            rows *= kdi_equality_share(p, sides[0], sides[1], left, right);
        else
            rows *= kdi_selectivity(p, all->items[i]);
    }
    switch (kind) {
    case KD_JOIN_SEMI:
        return left * matched_share(p, all, left, right);
    case KD_JOIN_ANTI:
    case KD_JOIN_ANTI_NULL:
        return left * fmax(0.05, 1 - matched_share(p, all, left, right));
    case KD_JOIN_MARK:
    case KD_JOIN_SINGLE:
        return left;
    case KD_JOIN_LEFT:
        return fmax(rows, left);
    case KD_JOIN_RIGHT:
        return fmax(rows, right);
    case KD_JOIN_FULL:
        return fmax(rows, left + right);
    default:
        return rows;
    }
}

static double join_rows(kdi_planner *p, kd_rel *rel)
{
    kdi_conditions all = {0};
    if (kdi_conditions_add(p->ctx, p, &all, rel->as.join.condition) != KD_OK)
        kd_error_clear(p->ctx);
    return kdi_join_rows(p, rel->as.join.kind, &all, kdi_estimate(p, rel->inputs[0]),
                         kdi_estimate(p, rel->inputs[1]));
}

/* Different values of an expression of one column that is not the column itself. */
static double distinct_made(kdi_planner *p, const kd_expr *expr)
{
    sampled_columns columns;
    if (sampled_scan(p, expr, &columns) == NULL || columns.id_count != 1)
        return 0;
    const kd_statistics *statistics = p->options->statistics;
    double distinct =
        statistics->distinct(p->ctx, statistics, columns.scan->as.scan.table, columns.positions, 1);
    return fmin(distinct, fmax(20, distinct / 10));
}

/* Groups: combinations of the keys, those of one table counted together, met in the input's rows.
 */
double kdi_group_count(kdi_planner *p, kd_expr *const *keys, uint32_t count, double input)
{
    double groups = 1;
    bool done[64] = {false};
    if (count > 64)
        return input;
    for (uint32_t i = 0; i < count; i++) {
        const kd_expr *column = handed_column(keys[i]);
        const kdi_origin *origin = column == NULL ? NULL : kdi_origin_of(p, column->column);
        double distinct = 0;
        if (done[i] || keys[i]->kind == KD_EXPR_CONSTANT)
            continue;
        if (origin == NULL) {
            distinct = distinct_made(p, keys[i]);
        } else {
            uint32_t positions[64], together = 0;
            for (uint32_t k = i; k < count; k++) {
                const kd_expr *other = handed_column(keys[k]);
                const kdi_origin *of = other == NULL ? NULL : kdi_origin_of(p, other->column);
                if (of == NULL || of->scan != origin->scan)
                    continue;
                positions[together++] = of->position;
                done[k] = true;
            }
            distinct = together == 1 ? kdi_distinct(p, keys[i])
                                     : kdi_distinct_together(p, origin->scan, positions, together);
        }
        groups *= distinct > 0 ? distinct : fmax(1, sqrt(input));
    }
    return fmin(kdi_values_met(groups, input), input);
}

static double distinct_rows(kdi_planner *p, const kd_rel *rel, double input)
{
    if (rel->as.distinct.on_count > 0)
        return kdi_group_count(p, rel->as.distinct.on, rel->as.distinct.on_count, input);
    kd_expr *keys[64];
    if (rel->column_count > 64)
        return input;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        keys[i] = kdi_make_column(p->ctx, p, rel->columns[i].id, rel->columns[i].type);
        if (keys[i] == NULL) {
            kd_error_clear(p->ctx);
            return input;
        }
    }
    return kdi_group_count(p, keys, rel->column_count, input);
}

static double limit_rows(double rows, const kd_expr *count)
{
    if (count == NULL || count->kind != KD_EXPR_CONSTANT || count->constant.is_null)
        return rows;
    double limit = (double)count->constant.as.i64;
    return limit < rows ? limit : rows;
}

static double compute(kdi_planner *p, kd_rel *rel)
{
    uint32_t no;
    double input = rel->inputs[0] == NULL ? 1 : kdi_estimate(p, rel->inputs[0]);
    switch (rel->kind) {
    case KD_REL_SCAN:
        return rel->as.scan.place != NULL ? 1 : kdi_table_rows(p, rel->as.scan.table);
    case KD_REL_VALUES:
        return rel->as.values.row_count;
    case KD_REL_FUNCTION:
    case KD_REL_VIRTUAL:
    case KD_REL_WORKING:
        return ROWS_UNKNOWN;
    case KD_REL_FILTER:
        return filter_rows(p, rel, input);
    case KD_REL_JOIN:
        return join_rows(p, rel);
    case KD_REL_AGGREGATE:
        return rel->as.aggregate.key_count == 0
                   ? 1
                   : kdi_group_count(p, rel->as.aggregate.keys, rel->as.aggregate.key_count, input);
    case KD_REL_DISTINCT:
        return distinct_rows(p, rel, input);
    case KD_REL_LIMIT:
        return limit_rows(input, rel->as.limit.count);
    case KD_REL_SET:
        return input + kdi_estimate(p, rel->inputs[1]);
    case KD_REL_RECURSIVE:
        return input * 10;
    case KD_REL_CTE:
        if (kdi_is_modifying(p->bound, rel->as.cte.cte, &no))
            return ROWS_UNKNOWN;
        return kdi_estimate(p, rel->as.cte.cte->query);
    default:
        return input;
    }
}

double kdi_estimate(kdi_planner *p, kd_rel *rel)
{
    if (rel->row_estimate <= 0 && caller_has_failed(p))
        return 1;
    if (rel->row_estimate <= 0) {
        double rows = compute(p, rel);
        rel->row_estimate = rows < 1 ? 1 : rows;
    }
    return rel->row_estimate;
}
