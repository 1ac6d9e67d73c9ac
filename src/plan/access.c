/*
 * How a table is read: a scan with tests for zone maps, or an index.
 */
#include "plan/plan_internal.h"

#include "types/numeric.h"

typedef struct access {
    kdi_planner *p;
    kd_rel *scan;
    kd_id_set own;
    const kd_table_entry *table;
} access;

static bool column_position(const access *a, kd_column_id id, uint32_t *out_position)
{
    const kd_rel *rel = a->scan;
    uint32_t count = rel->column_count - (rel->as.scan.ref_column != 0);
    for (uint32_t i = 0; i < count; i++)
        if (rel->columns[i].id == id) {
            *out_position = rel->as.scan.positions[i];
            return true;
        }
    return false;
}

/* --- Comparisons that zone maps and indexes understand ------------------------------------------------ */

typedef struct comparison {
    uint32_t position;
    kd_scan_test test;
    kd_expr *value; /* Of the column's type; NULL for the NULL tests. */
} comparison;

static bool test_of(const char *name, bool swapped, kd_scan_test *out)
{
    static const struct {
        const char *name;
        kd_scan_test test, swapped;
    } tests[] = {
        {"=", KD_SCAN_EQUAL, KD_SCAN_EQUAL},
        {"<", KD_SCAN_LESS, KD_SCAN_GREATER},
        {"<=", KD_SCAN_LESS_EQUAL, KD_SCAN_GREATER_EQUAL},
        {">", KD_SCAN_GREATER, KD_SCAN_LESS},
        {">=", KD_SCAN_GREATER_EQUAL, KD_SCAN_LESS_EQUAL},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp(tests[i].name, name) == 0) {
            *out = swapped ? tests[i].swapped : tests[i].test;
            return true;
        }
    return false;
}

static kd_expr *retyped(kd_ctx *ctx, access *a, const kd_expr *constant, kd_value value)
{
    (void)constant;
    return kdi_make_constant(ctx, a->p, value);
}

static bool integer_of(const kd_value *value, int64_t *out)
{
    switch (value->type.id) {
    case KD_TYPE_INT2:
        *out = value->as.i16;
        return true;
    case KD_TYPE_INT4:
        *out = value->as.i32;
        return true;
    case KD_TYPE_INT8:
        *out = value->as.i64;
        return true;
    default:
        return false;
    }
}

static bool integer_to(int64_t number, kd_type type, kd_value *out)
{
    *out = (kd_value){.type = type};
    switch (type.id) {
    case KD_TYPE_INT2:
        out->as.i16 = (int16_t)number;
        return number == (int16_t)number;
    case KD_TYPE_INT4:
        out->as.i32 = (int32_t)number;
        return number == (int32_t)number;
    case KD_TYPE_INT8:
        out->as.i64 = number;
        return true;
    default:
        return false;
    }
}

/* A numeric constant in the column's own form, when it is exactly that. */
static kd_status numeric_to(kd_ctx *ctx, access *a, const kd_value *from, kd_type type,
                            kd_value *out, bool *out_fits)
{
    *out_fits = false;
    kd_decimal value, back;
    kd_i128 fixed;
    kd_value copy = *from;
    KD_TRY(kd_decimal_from_payload(ctx, a->p->arena, from->type, kd_value_payload(&copy), &value));
    int scale = kd_numeric_scale(type);
    if (value.kind != KD_DECIMAL_FINITE || !kd_decimal_try_fixed(&value, scale, &fixed))
        return KD_OK;
    KD_TRY(kd_decimal_from_fixed(ctx, a->p->arena, fixed, scale, &back));
    kd_i128 limit = kd_pow10_i128(kd_numeric_precision(type));
    if (kd_decimal_compare(&value, &back) != 0 || fixed >= limit || fixed <= -limit)
        return KD_OK;
    *out = (kd_value){.type = type};
    if (kd_type_physical(type) == KD_PHYS_I64)
        out->as.i64 = (int64_t)fixed;
    else
        out->as.i128 = fixed;
    *out_fits = true;
    return KD_OK;
}

/* The value as one of the column's type; NULL when there is no such thing. */
static kd_status value_for(kd_ctx *ctx, access *a, kd_type type, kd_expr *value, kd_expr **out)
{
    *out = NULL;
    if (kd_type_same(type, value->type) &&
        (type.id != KD_TYPE_NUMERIC || type.modifier == value->type.modifier)) {
        *out = value;
        return KD_OK;
    }
    if (value->kind != KD_EXPR_CONSTANT || value->constant.is_null || type.is_array ||
        value->type.is_array)
        return KD_OK;
    kd_value made;
    int64_t number;
    if (type.id == KD_TYPE_NUMERIC && type.modifier >= 0 && kd_type_is_number(value->type)) {
        bool fits;
        KD_TRY(numeric_to(ctx, a, &value->constant, type, &made, &fits));
        if (!fits)
            return KD_OK;
    } else if (integer_of(&value->constant, &number)) {
        if (!integer_to(number, type, &made))
            return KD_OK;
    } else if (type.id == KD_TYPE_VARCHAR && value->type.id == KD_TYPE_TEXT) {
        made = value->constant;
        made.type = type;
    } else {
        return KD_OK;
    }
    *out = retyped(ctx, a, value, made);
    return *out == NULL ? KD_NOMEM : KD_OK;
}

/* The column itself, or under a cast that keeps the order of its values. */
static const kd_expr *bare_column(const kd_expr *expr)
{
    if (expr->kind == KD_EXPR_CAST && !expr->type.is_array) {
        const kd_expr *inner = expr->arguments[0];
        bool widens = kd_type_is_integer(inner->type) && kd_type_is_integer(expr->type);
        bool text = inner->type.id == KD_TYPE_VARCHAR && expr->type.id == KD_TYPE_TEXT &&
                    !inner->type.is_array;
        bool numeric = inner->type.id == KD_TYPE_NUMERIC && expr->type.id == KD_TYPE_NUMERIC &&
                       expr->type.modifier == -1;
        if (widens || text || numeric)
            expr = inner;
    }
    return expr->kind == KD_EXPR_COLUMN ? expr : NULL;
}

static kd_status constant_side(kd_ctx *ctx, access *a, const kd_expr *expr, bool *out)
{
    KD_TRY(kdi_uses_any(ctx, a->p, expr, &a->own, out));
    *out = !*out && !kd_expr_is_volatile(expr);
    return KD_OK;
}

/* `column op value-without-own-columns`; false for anything else. */
static kd_status comparison_of(kd_ctx *ctx, access *a, const kd_expr *condition, comparison *out,
                               bool *out_found)
{
    *out_found = false;
    bool negated = condition->kind == KD_EXPR_NOT;
    const kd_expr *inner = negated ? condition->arguments[0] : condition;
    if (inner->kind == KD_EXPR_IS_NULL && inner->arguments[0]->kind == KD_EXPR_COLUMN) {
        out->test = negated ? KD_SCAN_IS_NOT_NULL : KD_SCAN_IS_NULL;
        out->value = NULL;
        *out_found = column_position(a, inner->arguments[0]->column, &out->position);
        return KD_OK;
    }
    if (condition->kind != KD_EXPR_CALL || condition->argument_count != 2)
        return KD_OK;
    for (int side = 0; side < 2; side++) {
        const kd_expr *column = bare_column(condition->arguments[side]);
        bool constant;
        if (column == NULL || !test_of(condition->function->name, side == 1, &out->test) ||
            !column_position(a, column->column, &out->position))
            continue;
        KD_TRY(constant_side(ctx, a, condition->arguments[1 - side], &constant));
        if (!constant)
            continue;
        KD_TRY(value_for(ctx, a, column->type, condition->arguments[1 - side], &out->value));
        *out_found = out->value != NULL;
        return KD_OK;
    }
    return KD_OK;
}

/* --- Scans ------------------------------------------------------------------------------------------- */

static kd_status add_prune(kd_ctx *ctx, access *a, kd_plan *plan, size_t *capacity,
                           const comparison *test)
{
    struct kd_plan_prune *added;
    KD_TRY(KD_PUSH(ctx, a->p->arena, plan->as.scan.prunes, plan->as.scan.prune_count, *capacity,
                   &added));
    added->shape_position = test->position;
    added->test = test->test;
    added->value = test->value;
    return KD_OK;
}

/* IN (5, 9, 7): between the smallest and the largest. */
static kd_status prune_in_list(kd_ctx *ctx, access *a, kd_plan *plan, size_t *capacity,
                               const kd_expr *list)
{
    const kd_expr *column = bare_column(list->arguments[0]);
    comparison low = {.test = KD_SCAN_GREATER_EQUAL}, high = {.test = KD_SCAN_LESS_EQUAL};
    if (column == NULL || !column_position(a, column->column, &low.position))
        return KD_OK;
    for (uint32_t i = 1; i < list->argument_count; i++) {
        kd_expr *value = list->arguments[i];
        if (value->kind != KD_EXPR_CONSTANT)
            return KD_OK;
        if (value->constant.is_null)
            continue;
        KD_TRY(value_for(ctx, a, column->type, value, &value));
        if (value == NULL)
            return KD_OK;
        if (low.value == NULL || kd_value_compare(&value->constant, &low.value->constant) < 0)
            low.value = value;
        if (high.value == NULL || kd_value_compare(&value->constant, &high.value->constant) > 0)
            high.value = value;
    }
    if (low.value == NULL)
        return KD_OK;
    high.position = low.position;
    KD_TRY(add_prune(ctx, a, plan, capacity, &low));
    return add_prune(ctx, a, plan, capacity, &high);
}

static kd_status add_prunes(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                            kd_plan *plan)
{
    size_t capacity = 0;
    for (size_t i = 0; i < conditions->count; i++) {
        comparison test;
        bool found;
        KD_TRY(comparison_of(ctx, a, conditions->items[i], &test, &found));
        if (found)
            KD_TRY(add_prune(ctx, a, plan, &capacity, &test));
        else if (conditions->items[i]->kind == KD_EXPR_IN_LIST)
            KD_TRY(prune_in_list(ctx, a, plan, &capacity, conditions->items[i]));
    }
    return KD_OK;
}

/* Columns and positions of the plan; the row reference comes last where it is needed. */
static kd_status access_columns(kd_ctx *ctx, access *a, const kd_id_set *needed, kd_plan *plan,
                                const uint32_t **out_positions, kd_column_id *out_ref)
{
    const kd_rel *rel = a->scan;
    KD_TRY(kdi_plan_columns(ctx, a->p, rel->columns, rel->column_count, needed, plan));
    uint32_t *positions = KD_NEW_ARRAY(ctx, a->p->arena, uint32_t, rel->column_count);
    if (positions == NULL)
        return KD_NOMEM;
    uint32_t at = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (!kd_id_set_has(needed, rel->columns[i].id))
            continue;
        if (rel->columns[i].id == rel->as.scan.ref_column)
            *out_ref = rel->as.scan.ref_column;
        else
            positions[at++] = rel->as.scan.positions[i];
    }
    *out_positions = positions;
    return KD_OK;
}

/* --- Indexes ----------------------------------------------------------------------------------------- */

typedef struct candidate {
    const kd_table_index *index;
    uint32_t equal_count;
    comparison *equals;   /* Per leading column. */
    size_t *used;         /* The conditions that they are. */
} candidate;

static kd_status match_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                             const kd_table_index *index, candidate *out)
{
    *out = (candidate){.index = index};
    uint32_t count = index->storage.column_count;
    out->equals = KD_NEW_ARRAY(ctx, a->p->arena, comparison, count);
    out->used = KD_NEW_ARRAY(ctx, a->p->arena, size_t, count);
    if (out->equals == NULL || out->used == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < count; k++) {
        bool matched = false;
        for (size_t i = 0; i < conditions->count && !matched; i++) {
            comparison test;
            KD_TRY(comparison_of(ctx, a, conditions->items[i], &test, &matched));
            matched = matched && test.test == KD_SCAN_EQUAL &&
                      a->table->columns[test.position].storage.column_no ==
                          index->storage.columns[k].column_no;
            if (matched) {
                out->equals[k] = test;
                out->used[k] = i;
            }
        }
        if (!matched)
            break;
        out->equal_count++;
    }
    return KD_OK;
}

/* A unique key that is fixed gives one row; any other index is taken for an equality on its first
 * column, since somebody thought that selective enough to make it. */
static kd_status choose_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                              candidate *out)
{
    *out = (candidate){0};
    bool best_unique = false;
    for (uint32_t i = 0; i < a->table->index_count; i++) {
        const kd_table_index *index = &a->table->indexes[i];
        bool ordered = index->method.size_bytes == 0 ||
                       kd_slice_equal(index->method, KD_SLICE("btree")) ||
                       kd_slice_equal(index->method, KD_SLICE("hash"));
        if (index->storage.predicate_column_no >= 0 || !ordered)
            continue;
        candidate found;
        KD_TRY(match_index(ctx, a, conditions, index, &found));
        bool unique = index->storage.unique && found.equal_count == index->storage.column_count;
        if (found.equal_count == 0 || (best_unique && !unique))
            continue;
        if (out->index == NULL || (unique && !best_unique) ||
            found.equal_count > out->equal_count) {
            *out = found;
            best_unique = unique;
        }
    }
    return KD_OK;
}

static kd_status plan_index(kd_ctx *ctx, access *a, const kdi_conditions *conditions,
                            const candidate *chosen, const kd_id_set *needed, kd_plan **out)
{
    kdi_planner *p = a->p;
    kdi_conditions rest = {0};
    for (size_t i = 0; i < conditions->count; i++) {
        bool covered = false;
        for (uint32_t k = 0; k < chosen->equal_count; k++)
            covered |= chosen->used[k] == i;
        if (!covered)
            KD_TRY(kdi_conditions_add(ctx, p, &rest, conditions->items[i]));
    }
    bool unique = chosen->index->storage.unique &&
                  chosen->equal_count == chosen->index->storage.column_count;
    double rows = unique ? 1 : kdi_estimate(p, a->scan) * 0.01;
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_INDEX_SCAN, rows < 1 ? 1 : rows, 0);
    if (plan == NULL)
        return KD_NOMEM;
    kd_id_set wanted = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, &wanted, needed));
    KD_TRY(kdi_conditions_join(ctx, p, &rest, &plan->as.index_scan.condition));
    if (plan->as.index_scan.condition != NULL)
        KD_TRY(kd_expr_columns(ctx, plan->as.index_scan.condition, &wanted));
    KD_TRY(access_columns(ctx, a, &wanted, plan, &plan->as.index_scan.positions,
                          &plan->as.index_scan.ref_column));
    plan->as.index_scan.table = a->table;
    plan->as.index_scan.alias = a->scan->as.scan.alias;
    plan->as.index_scan.index = chosen->index;
    kd_index_bound *bound = &plan->as.index_scan.bound;
    bound->equal_count = chosen->equal_count;
    bound->equals = KD_NEW_ARRAY(ctx, p->arena, kd_expr *, chosen->equal_count);
    if (bound->equals == NULL)
        return KD_NOMEM;
    for (uint32_t k = 0; k < chosen->equal_count; k++)
        bound->equals[k] = chosen->equals[k].value;
    *out = plan;
    return KD_OK;
}

kd_status kdi_plan_access(kd_ctx *ctx, kdi_planner *p, kd_rel *scan, kdi_conditions *conditions,
                          const kd_id_set *needed, kd_plan **out)
{
    access a = {.p = p, .scan = scan, .own = kdi_set(p), .table = scan->as.scan.table};
    KD_TRY(kd_rel_column_set(ctx, scan, &a.own));
    if (conditions->count > 0 && !p->options->no_index_scans) {
        candidate chosen;
        KD_TRY(choose_index(ctx, &a, conditions, &chosen));
        if (chosen.index != NULL)
            return plan_index(ctx, &a, conditions, &chosen, needed, out);
    }
    kd_id_set wanted = kdi_set(p);
    KD_TRY(kd_id_set_unite(ctx, &wanted, needed));
    kd_plan *plan = kdi_make_plan(ctx, p, KD_PLAN_SCAN, kdi_estimate(p, scan), 0);
    if (plan == NULL)
        return KD_NOMEM;
    KD_TRY(kdi_conditions_join(ctx, p, conditions, &plan->as.scan.condition));
    if (plan->as.scan.condition != NULL) {
        KD_TRY(kd_expr_columns(ctx, plan->as.scan.condition, &wanted));
        plan->row_estimate *= kdi_selectivity(plan->as.scan.condition);
    }
    KD_TRY(access_columns(ctx, &a, &wanted, plan, &plan->as.scan.positions,
                          &plan->as.scan.ref_column));
    plan->as.scan.table = a.table;
    plan->as.scan.alias = scan->as.scan.alias;
    KD_TRY(add_prunes(ctx, &a, conditions, plan));
    *out = plan;
    return KD_OK;
}
